"""Predict the boxes of the test set and measure the errors."""

from boxest import logs, set_threads

with logs.to_file(snakemake.log[0]):
    set_threads(snakemake.threads)

    from boxest import BoxRegressor, analysis, shards
    from boxest.files import write_text

    images, boxes = shards.load(snakemake.input.test, snakemake.params.expected)
    regressor = BoxRegressor.load(snakemake.input.model)
    table = analysis.predictions(boxes, regressor.predict(images), image_size=images.shape[1])
    write_text(snakemake.output[0], table.to_csv(index=False))
    print(table[["iou_loss", "inclusive_iou_loss"]].describe())
