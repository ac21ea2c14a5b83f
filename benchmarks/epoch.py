"""Where an epoch of the default network spends its time, on TensorFlow and one core.

python benchmarks/epoch.py [--images 320] [--channels 3] [--batch 32] [--repeats 9]

Trains `BoxRegressor()` with and without augmentation, and times the forward and the backward pass
of the network up to each of its parts: what a part adds is its time. Multiplications are those of
its convolutions, three times: forward, and for both gradients. Times are the least of some, in
processor time.
"""

import argparse
import time

import numpy as np

from boxest import BoxRegressor, networks, set_threads

SIZE = 128
# The last layer of each part of the network, from its input to its output.
PARTS = {
    "two convolutions with a stride": "quarter_relu",
    "three dilated convolutions": "features_4",
    "maxima, means and what follows along the axes": "box",
}


def epoch(images, boxes, batch: int, augmentation):
    """Return a function that trains for one epoch, and returns its milliseconds per image."""
    from keras.callbacks import LambdaCallback

    marks = []
    mark = lambda *_: marks.append(time.process_time())  # noqa: E731
    regressor = BoxRegressor(
        epochs=1,
        batch_size=batch,
        augmentation=augmentation,
        validation_fraction=0,
        callbacks=[LambdaCallback(on_epoch_begin=mark, on_epoch_end=mark)],
        warm_start=True,
        random_state=0,
    )

    def train() -> float:
        regressor.fit(images, boxes)
        return 1000 * (marks[-1] - marks[-2]) / len(images)

    return train


def multiplications(model, layer) -> int:
    """Return the multiplications of the convolutions that this layer needs, for one image."""
    import keras

    needed = keras.Model(model.input, model.get_layer(layer).output)
    return sum(
        int(np.prod(one.kernel.shape)) * int(np.prod(one.output.shape[1:-1]))
        for one in needed.layers
        if hasattr(one, "kernel")
    )


def passes(model, layer, values):
    """Return a function that goes forward and backward up to this layer, timed like `epoch`."""
    import keras
    import tensorflow as tf

    part = keras.Model(model.input, model.get_layer(layer).output)
    weights = [weight.value for weight in part.trainable_weights]

    @tf.function
    def step(batch):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(part(batch, training=True) ** 2)
        return sum(tf.reduce_sum(gradient) for gradient in tape.gradient(loss, weights))

    def go() -> float:
        start = time.process_time()
        step(values).numpy()
        return 1000 * (time.process_time() - start) / len(values)

    return go


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=320)
    parser.add_argument("--channels", type=int, default=3, choices=(1, 3))
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--repeats", type=int, default=9)
    options = parser.parse_args()
    set_threads(1)
    rng = np.random.default_rng(0)
    shape = (SIZE, SIZE, options.channels)
    images = rng.integers(0, 256, (options.images, *shape), np.uint8)
    boxes = np.tile([0.25, 0.25, 0.75, 0.75], (options.images, 1))
    model = networks.marginal(shape)
    values = rng.random((options.batch, *shape), np.float32)
    measured = {
        "whole": epoch(images, boxes, options.batch, "default"),
        "plain": epoch(images, boxes, options.batch, None),
        **{name: passes(model, layer, values) for name, layer in PARTS.items()},
    }
    # One after the other, again and again, because the speed of a machine changes; the first time,
    # each compiles.
    times = [{name: go() for name, go in measured.items()} for _ in range(options.repeats + 1)]
    least = {name: min(time[name] for time in times[1:]) for name in measured}
    whole, plain = least["whole"], least["plain"]
    rows, before, known = [], 0.0, 0
    for name, layer in PARTS.items():
        all_so_far = multiplications(model, layer)
        rows.append((name, least[name] - before, 3 * (all_so_far - known)))
        before, known = least[name], all_so_far
    rows += [
        ("augmentation", whole - plain, 0),
        ("the rest: optimizer, gather, loss and measures", plain - before, 0),
    ]
    print("| part | ms per image | share | million multiplications | billion per second |")
    print("| --- | ---: | ---: | ---: | ---: |")
    for name, spent, count in rows:
        speed = f"{count / spent / 1e6:.0f}" if count else ""
        print(f"| {name} | {spent:.2f} | {spent / whole:.0%} | {count / 1e6:.1f} | {speed} |")
    print(f"| an epoch | {whole:.2f} | 100% | {3 * known / 1e6:.1f} | |")


if __name__ == "__main__":
    main()
