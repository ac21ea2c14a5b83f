"""The paper's way to run a study: one process, a loop over runs, plain Keras `fit` for each.

`-m peers_training.paper_study OPTIONS`, a JSON; prints the seconds and the losses as a JSON.
"""

import itertools
import json
import sys
import time

import keras
import numpy as np

from boxest import synthetic
from peers_training.keras_fit import inclusive_iou_loss, network


class Timer(keras.callbacks.Callback):
    """Adds up the seconds of evaluation."""

    seconds = 0.0

    def on_test_begin(self, logs=None):
        self.begin = time.perf_counter()

    def on_test_end(self, logs=None):
        self.seconds += time.perf_counter() - self.begin


def main(options: dict) -> dict:
    """Run all runs, one behind the other."""
    n, size = options["images"], options["image_size"]
    n_train, n_validation = int(0.8 * n), int(0.1 * n)
    images, boxes = synthetic.make(0, n_train + n_validation, seed=0, image_size=size)
    images = images[..., np.newaxis].astype(np.float32) / 255
    boxes = boxes.astype(np.float32)
    train, validation = zip(
        *(np.split(values, [n_train]) for values in (images, boxes)), strict=True
    )
    seconds = {"train": 0.0, "evaluation": 0.0}
    losses = {}
    for batch, rate, seed in itertools.product(
        options["batch_size"], options["learning_rate"], range(options["seeds"])
    ):
        keras.utils.set_random_seed(seed)
        model = network(images.shape[1:], size)
        model.compile(keras.optimizers.SGD(rate), inclusive_iou_loss)
        timer, begin = Timer(), time.perf_counter()
        history = model.fit(
            *train,
            batch_size=batch,
            epochs=options["epochs"],
            validation_data=validation,
            callbacks=[timer],
            verbose=0,
        ).history
        seconds["train"] += time.perf_counter() - begin - timer.seconds
        seconds["evaluation"] += timer.seconds
        losses.setdefault(f"{batch}, {rate:g}", []).append(history["val_loss"][-1])
    return {"seconds": seconds, "validation_loss": losses}


if __name__ == "__main__":
    print(json.dumps(main(json.loads(sys.argv[1]))))
