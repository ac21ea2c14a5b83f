"""Train all runs of a batch size in one program and write their histories."""

from pathlib import Path

from boxest import interruption, logs, runtime
from boxest.training.checkpoint import Checkpoint

with logs.to_file(snakemake.log[0]), Checkpoint(snakemake.params.state) as checkpoint:
    interruption.leave_promptly(checkpoint.flush)
    runtime.use_jax()
    runtime.prepare(
        snakemake.threads,
        gpus=snakemake.resources.get("gpu", 0),
        compiled=snakemake.params.compiled,
    )

    from boxest import BoxRegressor, fit_many, history, plan, shards

    train, validation = (
        shards.load(snakemake.input[part], plan.expected(snakemake.config["data"], part))
        for part in ("train", "validation")
    )
    print(f"device: {runtime.device()}", flush=True)
    regressors = [BoxRegressor.paper(**parameters) for parameters in snakemake.params.estimators]
    fit_many(regressors, *train, validation_data=validation, checkpoint=checkpoint, verbose=1)
    checkpoint.flush()
    for regressor, run in zip(regressors, snakemake.output.run, strict=True):
        history.write(Path(run).parent, regressor)
    # Only now: if the job fails, Snakemake deletes what it has written.
    checkpoint.remove()
