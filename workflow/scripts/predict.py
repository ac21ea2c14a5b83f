"""Predict the boxes of the test set and measure the errors."""

from boxest import logs, set_threads

with logs.to_file(snakemake.log[0]):
    set_threads(snakemake.threads)

    from boxest import BoxRegressor, history, shards

    images, boxes = shards.load(snakemake.input.test, snakemake.params.expected)
    regressor = BoxRegressor.load(snakemake.input.model)
    table = history.write_predictions(snakemake.output[0], regressor, images, boxes)
    print(table[["iou_loss", "inclusive_iou_loss"]].describe())
