"""(a) and (b) Plain Keras: `fit` as in the paper, and with the best settings."""

import dataclasses
import time

import keras
import numpy as np
from keras import layers, ops

from peers_training import problem
from peers_training.stopwatch import Job


def run_default(job: Job) -> dict:
    """Train the paper's way: float32 images of full size, nothing set."""
    images, boxes = problem.data(job.images, job.image_size)
    images = images[..., np.newaxis].astype(np.float32) / 255
    return _fit(job, images, boxes, {}, job.epochs) | {"settings": "default"}


def run_best(job: Job) -> dict:
    """Train on pooled images with the fastest settings, chosen by the second epoch of each."""
    images, boxes = problem.data(job.images, job.image_size)
    images = problem.pooled(images)
    several = max(1, min(32, job.images // job.batch))
    variants = {
        "no XLA": {"jit_compile": False},
        f"no XLA, steps_per_execution {several}": {
            "jit_compile": False,
            "steps_per_execution": several,
        },
    }
    if job.thorough or keras.backend.backend() == "jax":
        variants["XLA"] = {"jit_compile": True}
    alone = dataclasses.replace(job, repetitions=1, cool_down=0, barrier=lambda: None)
    tried = {
        name: _fit(alone, images, boxes, settings, 2)["seconds"][0]
        for name, settings in variants.items()
    }
    name = min(tried, key=tried.get)
    result = _fit(job, images, boxes, variants[name], job.epochs)
    return result | {"settings": name, "tried": tried}


def _fit(job: Job, images, boxes, settings: dict, epochs: int) -> dict:
    keras.utils.set_random_seed(0)  # of the order of the images
    model = network(images.shape[1:], job.image_size)
    model.set_weights(problem.first_weights(job.image_size))
    model.compile(keras.optimizers.SGD(problem.LEARNING_RATE), inclusive_iou_loss, **settings)
    timer = Timer(job)
    model.fit(images, boxes, batch_size=job.batch, epochs=epochs, verbose=0, callbacks=[timer])
    return {
        "seconds": timer.seconds[1 : 1 + job.repetitions],
        "losses": timer.losses[: 1 + job.repetitions],
    }


class Timer(keras.callbacks.Callback):
    """Times each epoch of one `fit`; behind the first one it waits for the other processes."""

    def __init__(self, job: Job):
        super().__init__()
        self.job, self.seconds, self.losses = job, [], []

    def on_epoch_begin(self, epoch, logs=None):
        self.begin = time.perf_counter()

    def on_epoch_end(self, epoch, logs=None):
        self.losses.append(float(logs["loss"]))
        self.seconds.append(time.perf_counter() - self.begin)
        if epoch == 0:
            self.job.barrier()


def network(shape: tuple, image_size: int) -> keras.Model:
    """Return the paper's network; pooled images skip the first layer."""
    first = [layers.MaxPooling2D()] if shape[0] == image_size else []
    return keras.Sequential(
        [
            layers.Input(shape),
            *first,
            *(layers.Conv2D(4, 3, padding="same", activation="relu"), layers.MaxPooling2D()),
            *(layers.Conv2D(4, 3, padding="same", activation="relu"), layers.MaxPooling2D()),
            *(layers.Flatten(), layers.Dense(16, activation="relu"), layers.Dense(4)),
        ]
    )


def inclusive_iou_loss(true, predicted):
    """Return one minus the inclusive IoU of each box."""

    def area(low, high):
        return ops.prod(ops.maximum(high - low + 1, 0), -1)

    shared = area(
        ops.maximum(true[:, :2], predicted[:, :2]), ops.minimum(true[:, 2:], predicted[:, 2:])
    )
    covered = area(true[:, :2], true[:, 2:]) + area(predicted[:, :2], predicted[:, 2:]) - shared
    return 1 - shared / covered
