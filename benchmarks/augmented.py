"""`BoxRegressor()` beside plain Keras: the same network, loss, optimizer and schedule.

python benchmarks/augmented.py [--images 600] [--epochs 4] [--batch 32]

Images of 128×128×3. Plain Keras is `fit` on a `tf.data` pipeline with Keras' own augmentation
layers, which know boxes. Median images/s of the epochs after the first, of one process with all
cores, and of as many processes with one thread as cores at once, added up.
"""

import argparse
import itertools
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

from peers_training import machine

WAYS = ("keras", "boxest")


def data(n_images: int):
    import numpy as np

    from boxest import synthetic
    from boxest.data.scene import Scene

    images, boxes = synthetic.make(0, n_images, seed=0, scene=Scene(texture=0.1, discs=2))
    return np.repeat(images[..., None], 3, axis=3), boxes.astype("float32")


def train_keras(images, boxes, epochs: int, batch: int) -> list[float]:
    """Train with plain Keras; return the seconds of each epoch."""
    import keras
    import tensorflow as tf

    from boxest import losses, networks

    form = {"bounding_box_format": "rel_xyxy"}
    changes = [
        keras.layers.Rescaling(1 / 255),
        keras.layers.RandomBrightness(0.2, value_range=(0, 1), **form),
        keras.layers.RandomContrast(0.2, value_range=(0, 1), **form),
        keras.layers.RandomFlip("horizontal", **form),
        keras.layers.RandomZoom((-0.2, 0.25), fill_mode="constant", **form),
        keras.layers.RandomTranslation(0.125, 0.125, fill_mode="constant", **form),
    ]

    def change(image, box):
        labels = tf.zeros(tf.shape(box)[:1])[:, None]
        given = {"images": image, "bounding_boxes": {"boxes": box[:, None], "labels": labels}}
        given["images"] = changes[0](image)
        for layer in changes[1:]:
            given = layer(given, training=True)
        return given["images"], given["bounding_boxes"]["boxes"][:, 0]

    examples = tf.data.Dataset.from_tensor_slices((images, boxes)).shuffle(len(images))
    examples = examples.batch(batch).map(change, num_parallel_calls=tf.data.AUTOTUNE)
    model = networks.build("marginal", images.shape[1:])
    rate = keras.optimizers.schedules.CosineDecay(0.003, epochs * -(-len(images) // batch))
    model.compile(keras.optimizers.Adam(rate), losses.get("giou_l1"), jit_compile=False)
    return timed(
        lambda watch: model.fit(
            examples.prefetch(1), epochs=epochs, callbacks=[watch], shuffle=False, verbose=0
        )
    )


def train_boxest(images, boxes, epochs: int, batch: int) -> list[float]:
    """Train with boxest; return the seconds of each epoch."""
    from boxest import BoxRegressor

    regressor = BoxRegressor(
        batch_size=batch, epochs=epochs, restore_best_weights=False, validation_fraction=0,
        random_state=0,
    )  # fmt: skip
    return timed(lambda watch: regressor.set_params(callbacks=[watch]).fit(images, boxes))


def timed(fit) -> list[float]:
    """Return the seconds of each epoch after the first, which compiles."""
    import keras

    ends = []

    class Watch(keras.callbacks.Callback):
        def __deepcopy__(self, memo):
            return self

        def on_epoch_end(self, epoch, logs=None):
            ends.append(time.perf_counter())

    fit(Watch())
    return [b - a for a, b in itertools.pairwise(ends)]


def work(way: str, threads: int, options: list[int]) -> None:
    """Train in this process; print its images/s."""
    from boxest.system import backend, runtime

    runtime.set_threads(threads)
    backend.start()
    n_images, epochs, batch = options
    train = {"keras": train_keras, "boxest": train_boxest}[way]
    seconds = train(*data(n_images), epochs, batch)
    print(json.dumps(n_images / statistics.median(seconds)))


def measure(way: str, processes: int, threads: int, options: list[int]) -> float:
    """Return the images/s of processes that run at once, added up."""
    code = f"import augmented; augmented.work({way!r}, {threads}, {options})"
    started = [
        subprocess.Popen(
            [sys.executable, "-c", code], cwd=Path(__file__).parent, stdout=subprocess.PIPE,
            env=os.environ | {"KERAS_BACKEND": "tensorflow"}, text=True,
        )
        for _ in range(processes)
    ]  # fmt: skip
    outputs = [process.communicate()[0] for process in started]
    if any(process.returncode for process in started):
        raise SystemExit(f"{code} failed.")
    return sum(json.loads(output.splitlines()[-1]) for output in outputs)


def main(arguments: list[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=600)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--quick", action="store_true", help="does it work: few images, one way")
    options = parser.parse_args(arguments)
    numbers = [48, 2, 16] if options.quick else [options.images, options.epochs, options.batch]
    cores = os.cpu_count()
    ways = [("one process, all cores", 1, cores), ("a process per core", cores, 1)]
    print(machine.text(machine.describe()), "\n")
    print("| images/s | plain Keras | boxest | times as fast |\n| --- | ---: | ---: | ---: |")
    for name, processes, threads in ways[:1] if options.quick else ways:
        keras, own = (measure(way, processes, threads, numbers) for way in WAYS)
        print(f"| {name} | {keras:,.0f} | {own:,.0f} | {own / keras:.2f} |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
