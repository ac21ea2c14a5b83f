"""Which compiler is the faster one for which network: what `xla="auto"` goes by on a CPU.

    python benchmarks/compilers.py --markdown compilers.md

Networks like the paper's, with two convolutions of several sizes, with and without a pooling after
the first one. Median images/s of the epochs after the first, one thread, TensorFlow.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path

from peers_training import machine

# Filters of the two convolutions; whether a pooling follows the first one.
NETWORKS = [((4, 4), True), ((8, 8), True), ((8, 16), True), ((16, 16), True), ((32, 32), True)]
NETWORKS += [((4, 4), False), ((8, 8), False)]


def network(filters: tuple[int, int], pooled: bool):
    """Return a function that builds one of them."""

    def build(image_shape, **_):
        from keras import Input, Sequential, layers

        built = [Input(image_shape), layers.MaxPooling2D(2)]
        for number, channels in enumerate(filters):
            built.append(layers.Conv2D(channels, 3, padding="same", activation="relu"))
            if pooled or number > 0:
                built.append(layers.MaxPooling2D(2))
        return Sequential([*built, layers.Flatten(), layers.Dense(16, "relu"), layers.Dense(4)])

    return build


def work(filters: list[int], pooled: bool, xla: bool, batch: int, images: int) -> None:
    """Train in this process; print seconds per epoch, and whether "auto" takes XLA."""
    from boxest.system import backend, runtime

    runtime.set_threads(1)
    backend.start()
    from boxest import BoxRegressor, synthetic
    from boxest.training.predictor import Predictor

    regressor = BoxRegressor.paper(
        network=network(tuple(filters), pooled), xla=xla, batch_size=batch, epochs=4,
        learning_rate=0.001, plateau_patience=None, validation_fraction=0, random_state=0,
    ).fit(*synthetic.make(0, images, seed=0))  # fmt: skip
    seconds = [row["train_seconds"] for row in regressor.history_[1:]]
    print(json.dumps([seconds, Predictor(regressor.model_, xla="auto").xla]))


def measure(filters: tuple, pooled: bool, xla: bool, batch: int, images: int):
    """Return images/s in a process of its own, and whether "auto" takes XLA."""
    code = f"import compilers; compilers.work({list(filters)}, {pooled}, {xla}, {batch}, {images})"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=Path(__file__).parent, capture_output=True, text=True,
        env=os.environ | {"KERAS_BACKEND": "tensorflow"}, check=False,
    )  # fmt: skip
    if done.returncode:
        raise SystemExit(f"{code} failed:\n{done.stderr[-5000:]}")
    seconds, chosen = json.loads(done.stdout.splitlines()[-1])
    return images / statistics.median(seconds), chosen


def rows(batches: list[int], images: int, networks: list):
    """Measure and yield the rows of the table."""
    yield "| filters | pooling after the first | batch size | XLA | without | `auto` takes |"
    yield "| --- | --- | ---: | ---: | ---: | --- |"
    for filters, pooled in networks:
        for batch in batches:
            with_xla, chosen = measure(filters, pooled, True, batch, images)
            without, _ = measure(filters, pooled, False, batch, images)
            yield (
                f"| {', '.join(map(str, filters))} | {'yes' if pooled else 'no'} | {batch} "
                f"| {with_xla:,.0f} | {without:,.0f} | {'XLA' if chosen else 'without'} |"
            )


def main(arguments: list[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batch", type=int, nargs="+", default=[4, 64])
    parser.add_argument("--images", type=int, default=2000)
    parser.add_argument("--quick", action="store_true", help="does it work: one network")
    parser.add_argument("--markdown", type=Path)
    options = parser.parse_args(arguments)
    if options.quick:
        options.batch, options.images = [16], 60
    lines = [machine.text(machine.describe()), ""]
    for row in rows(options.batch, options.images, NETWORKS[-1:] if options.quick else NETWORKS):
        print(row, flush=True)
        lines.append(row)
    if options.markdown:
        options.markdown.write_text("\n".join(lines) + "\n", "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
