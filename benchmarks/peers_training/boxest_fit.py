"""(e) and (f) boxest, by its public interface; the backend is that of KERAS_BACKEND."""

import boxest
from peers_training import problem
from peers_training.stopwatch import Job


def run(job: Job) -> dict:
    """Train; the seconds are those of the history."""
    if job.threads:
        boxest.set_threads(job.threads)
    images, boxes = problem.data(job.images, job.image_size)
    regressor = boxest.BoxRegressor.paper(
        network=network,
        batch_size=job.batch,
        learning_rate=problem.LEARNING_RATE,
        epochs=job.epochs,
        plateau_patience=None,
        validation_fraction=0,
        random_state=0,
    )
    # `fit` is one call: the processes start it together and compile the same program first.
    job.barrier()
    regressor.fit(images, boxes)
    seconds = [row["train_seconds"] for row in regressor.history_]
    return {
        "seconds": seconds[1 : 1 + job.repetitions],
        "losses": [row["train_loss"] for row in regressor.history_[: 1 + job.repetitions]],
        "settings": "default",
    }


def network(image_shape, **options):
    """Return the paper's network with the first weights."""
    model = boxest.networks.paper(image_shape, **options)
    model.set_weights(problem.first_weights(image_shape[0]))
    return model
