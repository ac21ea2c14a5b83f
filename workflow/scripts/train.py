"""Train the runs of a job in turn and write their histories."""

from pathlib import Path

from boxest import logs, runtime

with logs.to_file(snakemake.log[0]):
    runtime.set_threads(snakemake.threads)
    if snakemake.params.compiled:
        runtime.share_compiled_programs(snakemake.params.compiled)

    from boxest import BoxRegressor, history, shards

    train, validation = (shards.load(snakemake.input[part]) for part in ("train", "validation"))
    for parameters, run in zip(snakemake.params.estimators, snakemake.output.run, strict=True):
        print(f"seed {parameters['random_state']}", flush=True)
        regressor = BoxRegressor(**parameters, verbose=1)
        regressor.fit(*train, validation_data=validation)
        history.write(Path(run).parent, regressor)
    if "model" in dict(snakemake.output.items()):
        regressor.save(snakemake.output.model)
