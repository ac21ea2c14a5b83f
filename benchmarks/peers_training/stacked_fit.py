"""boxest with many runs in one program, by its public interface."""

import boxest
from peers_training import problem
from peers_training.boxest_fit import network
from peers_training.stopwatch import Job


def run(job: Job) -> dict:
    """Train 1, 4, … runs at once; the seconds are those that all of them took, epoch by epoch."""
    if job.threads:
        boxest.set_threads(job.threads)
    images, boxes = problem.data(job.images, job.image_size)
    job.barrier()
    seconds, compile_seconds, losses = {}, {}, {}
    for n_runs in job.runs:
        regressors = [
            boxest.BoxRegressor.paper(
                network=network,
                batch_size=job.batch,
                learning_rate=problem.LEARNING_RATE,
                epochs=job.epochs,
                plateau_patience=None,
                validation_fraction=0,
                random_state=seed,
            )
            for seed in range(n_runs)
        ]
        boxest.fit_many(regressors, images, boxes)
        epochs = zip(*(regressor.history_ for regressor in regressors), strict=True)
        totals = [sum(row["train_seconds"] for row in epoch) for epoch in epochs]
        seconds[n_runs] = totals[1 : 1 + job.repetitions]
        compile_seconds[n_runs] = n_runs * regressors[0].seconds_["compile"]
        rows = regressors[0].history_[: 1 + job.repetitions]
        losses[n_runs] = [row["train_loss"] for row in rows]
    return {
        "seconds": seconds,
        "compile_seconds": compile_seconds,
        "losses": losses,
        "settings": "default",
    }
