"""Train the runs of a job in turn and write their histories."""

from contextlib import ExitStack
from pathlib import Path

from boxest import interruption, logs, runtime
from boxest.training.checkpoint import Checkpoint

with logs.to_file(snakemake.log[0]), ExitStack() as stack:
    runs = [
        (parameters | {"checkpoint": Checkpoint(parameters["checkpoint"])}, Path(run).parent)
        for parameters, run in zip(snakemake.params.estimators, snakemake.output.run, strict=True)
    ]
    checkpoints = [parameters["checkpoint"] for parameters, _ in runs]
    interruption.leave_promptly(lambda: [checkpoint.flush() for checkpoint in checkpoints])
    for checkpoint in checkpoints:
        stack.enter_context(checkpoint)
    runtime.prepare(
        snakemake.threads,
        gpus=snakemake.resources.get("gpu", 0),
        compiled=snakemake.params.compiled,
    )

    from boxest import BoxRegressor, history, plan, shards

    data = snakemake.params.get("data", snakemake.config["data"])
    parts = [part for part in ("train", "validation", "test") if snakemake.input.get(part)]
    loaded = {part: shards.load(snakemake.input[part], plan.expected(data, part)) for part in parts}
    print(f"device: {runtime.device()}", flush=True)
    for parameters, directory in runs:
        print(f"seed {parameters['random_state']}", flush=True)
        regressor = BoxRegressor.paper(**parameters, verbose=1)
        regressor.fit(*loaded["train"], validation_data=loaded["validation"])
        parameters["checkpoint"].flush()
        regressor.set_params(checkpoint=None)
        history.write(directory, regressor, tested=loaded.get("test"))
    if "model" in dict(snakemake.output.items()):
        regressor.save(snakemake.output.model)
    # Only now: if the job fails, Snakemake deletes what it has written.
    for checkpoint in checkpoints:
        checkpoint.remove()
