"""Train the runs of a job, in turn or all at once, and write their files."""

from contextlib import ExitStack
from pathlib import Path

from boxest.system import backend, logs, runtime, signals
from boxest.training.checkpoint import Checkpoint

with logs.to_file(snakemake.log[0]), ExitStack() as stack:
    runs, together = snakemake.params.runs, snakemake.params.together
    states = [together] if together else [run["checkpoint"] for run in runs]
    checkpoints = [Checkpoint(path) for path in states]
    signals.leave_promptly(lambda: [checkpoint.flush() for checkpoint in checkpoints])
    for checkpoint in checkpoints:
        stack.enter_context(checkpoint)
    if together:
        runtime.use_jax()
    runtime.prepare(
        snakemake.threads,
        gpus=snakemake.resources.get("gpu", 0),
        compiled=snakemake.params.compiled,
    )

    with runtime.without_unused_packages():
        from boxest import fit_many, shards
        from boxest.study import estimators, history

    # Images to learn from are read by the training, which need not keep them.
    train, validation = snakemake.input.train, snakemake.input.validation
    for part in ("train", "validation"):
        shards.arrange(snakemake.input[part], snakemake.params.expected[part])
    test = shards.load(snakemake.input.test, snakemake.params.expected["test"])
    print(f"device: {backend.device()}", flush=True)
    files = dict(zip(snakemake.params.files, snakemake.input.functions, strict=True))
    regressors = [estimators.make(run["settings"], run["seed"], files) for run in runs]
    if together:
        fit_many(
            regressors, train, validation_data=validation, checkpoint=checkpoints[0], verbose=1
        )
    else:
        followed = shards.first_images(validation, history.FOLLOWED)
    for i, regressor in enumerate(regressors):
        if not together:
            print(f"seed {runs[i]['seed']}", flush=True)
            regressor.set_params(checkpoint=checkpoints[i], verbose=1)
            regressor.fit(train, validation_data=validation, followed=followed)
        checkpoints[0 if together else i].flush()
        directory = Path(snakemake.output.run[i]).parent
        history.write(directory, regressor, runs[i]["settings"], test)
        history.save(snakemake.output.model[i], regressor)
    # Only now: if the job fails, Snakemake deletes what it has written.
    for checkpoint in checkpoints:
        checkpoint.remove()
