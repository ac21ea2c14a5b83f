"""What each step towards the speed of training is worth: boxest as it is, and with one step undone.

    python benchmarks/variants.py --markdown variants.md

Every measurement is a process of its own; the variants of a batch size come one after the other.
Median images/s of the epochs after the first, in one thread unless the name says otherwise.
"""

import argparse
import json
import statistics
import subprocess
import sys
from pathlib import Path

from peers_training import machine


def as_it_is():
    return {}


def pooling_in_every_step():
    from boxest.training import layout

    split = layout.split

    def whole(model, **options):
        return split(model, **options | {"whole": True})

    layout.split = whole
    return {}


def convolutions_as_they_are():
    from boxest.training import graph

    graph._fused = list
    return {}


def patches_in_every_step():
    from boxest.training import loop

    loop.PATCHES_PAY = 2**31 - 1
    return {}


def whole_batches():
    from boxest.training import program

    program.PART = 2**31 - 1
    return {}


def images_as_float32():
    return {"dtype": "float32"}


def without_xla():
    return {"xla": False}


def step_by_step():
    return {"engine": "keras"}


def bfloat16():
    import keras

    keras.config.set_dtype_policy("mixed_bfloat16")
    return {}


def two_threads():
    return {"threads": 2}


def larger_network():
    return {"network": larger}


def larger_network_two_threads():
    return {"network": larger, "threads": 2}


VARIANTS = {
    function.__name__.replace("_", " "): function
    for function in (
        as_it_is,
        pooling_in_every_step,
        convolutions_as_they_are,
        patches_in_every_step,
        whole_batches,
        images_as_float32,
        without_xla,
        step_by_step,
        bfloat16,
        two_threads,
        larger_network,
        larger_network_two_threads,
    )
}
# They are compared with another variant than the first.
AGAINST = {"larger network two threads": "larger network"}


def larger(image_shape, **_):
    """Return the paper's kind of network with 8 and 16 times the channels and one block more.

    For images of 128 px it has 186,980 parameters, 11 times as many as the paper's.
    """
    from keras import Input, Sequential, layers

    def block(channels):
        yield layers.Conv2D(channels, 3, padding="same", activation="relu")
        yield layers.MaxPooling2D(2)

    blocks = [layer for channels in (32, 64, 64) for layer in block(channels)]
    head = [layers.Flatten(), layers.Dense(32, activation="relu"), layers.Dense(4)]
    return Sequential([Input(image_shape), layers.MaxPooling2D(2), *blocks, *head])


def work(variant: str, batch: int, images: int, epochs: int) -> None:
    """Train in this process and print seconds per epoch."""
    from boxest.system import backend, runtime

    threads = 2 if "two threads" in variant else 1
    runtime.set_threads(threads)
    backend.start()
    from boxest import BoxRegressor, synthetic

    settings = VARIANTS[variant]()
    settings.pop("threads", None)
    X, y = synthetic.make(0, images, seed=0)
    if settings.pop("dtype", None):
        X = (X / 255).astype("float32")
    options = {"batch_size": batch, "learning_rate": 0.001, "plateau_patience": None}
    regressor = BoxRegressor.paper(
        **options, **settings, epochs=epochs + 1, validation_fraction=0, random_state=0
    ).fit(X, y)
    seconds = [row["train_seconds"] for row in regressor.history_[1:]]
    print(json.dumps({"seconds": seconds, "device": regressor.runtime_["device"]}))


def measure(variant: str, batch: int, images: int, epochs: int) -> dict:
    """Return the median of images/s and the device, from a process of its own, or how it failed."""
    code = f"import variants; variants.work({variant!r}, {batch}, {images}, {epochs})"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=Path(__file__).parent,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        return {"failed": f"exit status {done.returncode}: {last}"}
    found = json.loads(done.stdout.splitlines()[-1])
    return {"rate": images / statistics.median(found["seconds"]), "device": found["device"]}


def markdown(found: dict[str, dict[int, dict]], batches: list[int]) -> str:
    """Return machine and table: images/s, and times those of what a variant is compared with."""
    lines = [
        machine.text(machine.describe() | {"devices": _devices(found)}),
        "",
        "| variant | " + " | ".join(f"batch {batch}" for batch in batches) + " |",
        "| --- |" + " ---: |" * len(batches),
    ]
    for variant, cells in found.items():
        base = found.get(AGAINST.get(variant, next(iter(found))), {})
        texts = (_cell(cells[batch], base.get(batch, {})) for batch in batches)
        lines.append(f"| {variant} | {' | '.join(texts)} |")
    return "\n".join(lines)


def _devices(found: dict[str, dict[int, dict]]) -> list[str]:
    cells = (cell for cells in found.values() for cell in cells.values())
    return sorted({cell["device"] for cell in cells if "device" in cell})


def _cell(cell: dict, base: dict) -> str:
    if "failed" in cell:
        return "failed"
    times = f" ({cell['rate'] / base['rate']:.2f})" if "rate" in base else ""
    return f"{cell['rate']:,.0f}{times}"


def main(arguments: list[str] | None = None) -> int:
    """Measure and print; return the exit status, 1 where a variant failed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batch", type=int, nargs="+", default=[4, 64, 1024])
    parser.add_argument("--images", type=int, default=8000)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--variants", nargs="+", choices=VARIANTS, default=list(VARIANTS))
    parser.add_argument("--quick", action="store_true", help="does it work: few images, one size")
    parser.add_argument("--markdown", type=Path)
    options = parser.parse_args(arguments)
    if options.quick:
        options.batch, options.images, options.epochs = [16], 60, 1
    found = {}
    for variant in options.variants:
        # Much slower, and slower by the same factor on fewer images.
        images = options.images // 4 if "larger" in variant else options.images
        found[variant] = {b: measure(variant, b, images, options.epochs) for b in options.batch}
        print(variant, found[variant], file=sys.stderr, flush=True)
    text = markdown(found, options.batch)
    print(text)
    if options.markdown:
        options.markdown.write_text(text + "\n", "utf-8")
    return int(any("failed" in cell for cells in found.values() for cell in cells.values()))


if __name__ == "__main__":
    sys.exit(main())
