"""Train one run and write its history."""

from pathlib import Path

from boxest import logs, set_threads

with logs.to_file(snakemake.log[0]):
    set_threads(snakemake.threads)

    from boxest import BoxRegressor, history, shards

    validation = shards.load(snakemake.input.validation)
    regressor = BoxRegressor(**snakemake.params.estimator, verbose=1)
    regressor.fit(*shards.load(snakemake.input.train), validation_data=validation)
    history.write(Path(snakemake.output.run).parent, regressor)
    if "model" in dict(snakemake.output.items()):
        regressor.save(snakemake.output.model)
