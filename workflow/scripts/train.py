"""Train one run and write its history."""

from pathlib import Path

from boxest import logs, runtime

with logs.to_file(snakemake.log[0]):
    runtime.set_threads(snakemake.threads)
    if snakemake.params.compiled:
        runtime.share_compiled_programs(snakemake.params.compiled)

    from boxest import BoxRegressor, history, shards

    validation = shards.load(snakemake.input.validation)
    regressor = BoxRegressor(**snakemake.params.estimator, verbose=1)
    regressor.fit(*shards.load(snakemake.input.train), validation_data=validation)
    history.write(Path(snakemake.output.run).parent, regressor)
    if "model" in dict(snakemake.output.items()):
        regressor.save(snakemake.output.model)
