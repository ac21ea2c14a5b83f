"""Why are the losses of cells with few updates above those of the paper's Fig. 8?

    python benchmarks/first_updates.py --markdown first_updates.md

The paper's settings, and one change at a time, in four cells that are far from trained after 30
epochs: the validation loss (1 - inclusive IoU) of the last epoch, mean over seeds, beside Fig. 8.
"""

import argparse
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

CELLS = [(64, 1e-4), (64, 1e-3), (256, 1e-3), (4096, 1e-3)]
VALIDATION = 1000

# The first weights are drawn uniformly in ± this bound; the biases are zero but in PyTorch's way.
BOUNDS: dict[str, Callable[[int], float]] = {
    "He's initial weights": lambda fan_in: math.sqrt(6 / fan_in),
    "PyTorch's initial weights": lambda fan_in: 1 / math.sqrt(fan_in),
}
# What a variant changes: the boxes, the number of training images, the corners.
CHANGES: dict[str, dict[str, Any]] = {
    "as it is: sides from 5 px, 8,000 images, Glorot's initial weights": {},
    "sides from 10 px": {"min_side": 10},
    "10,000 images": {"images": 10_000},
    "the last pixel as the corner, not the first one outside": {"last_pixel": True},
    **{name: {"initial": name} for name in BOUNDS},
}


def network(name: str):
    """Return a function that builds the paper's network with other initial weights."""

    def build(image_shape, *, seed=0, **options):
        from boxest.networks import dense

        model = dense.paper(image_shape, seed=seed, **options)
        rng = np.random.default_rng(seed)
        for layer in model.layers:
            if layer.get_weights():
                kernel, bias = layer.get_weights()
                bound = BOUNDS[name](math.prod(kernel.shape[:-1]))
                biased = bound if name.startswith("PyTorch") else 0.0
                layer.set_weights(
                    [rng.uniform(-b, b, w.shape) for w, b in ((kernel, bound), (bias, biased))]
                )
        return model

    return build


def loss(cell: tuple[int, float], seed: int, epochs: int, *, images: int, **change: Any) -> float:
    """Train a run, and return its validation loss."""
    from boxest import BoxRegressor, synthetic

    law = synthetic.BoxLaw(min_side=change.get("min_side", 5))
    parts = [(0, images), (images, images + VALIDATION)]
    data = [synthetic.make(*part, seed=0, law=law) for part in parts]
    if change.get("last_pixel"):
        for pixels, boxes in data:
            boxes[:, 2:] -= 1 / pixels.shape[1]
    given = {"network": network(change["initial"])} if "initial" in change else {}
    regressor = BoxRegressor.paper(
        batch_size=cell[0], learning_rate=cell[1], epochs=epochs, random_state=seed,
        plateau_patience=None, stop_patience=None, **given,
    ).fit(*data[0], validation_data=data[1])  # fmt: skip
    return regressor.history_[-1]["validation_inclusive_iou_loss"]


def rows(seeds: int, epochs: int, images: int, changes: dict, cells: list) -> Iterator[str]:
    """Train, and yield the rows of the table."""
    from boxest.analysis import paper_cells
    from boxest.analysis.text import plural

    paper = paper_cells().set_index(["batch_size", "learning_rate"])["validation_loss"]
    heads = [f"mean of {plural(seeds, 'seed')}", *(f"({size}, {rate:g})" for size, rate in cells)]
    yield f"| {' | '.join(heads)} |"
    yield "| --- |" + " ---: |" * len(cells)
    for name, change in changes.items():
        means = (
            np.mean(
                [loss(cell, seed, epochs, **{"images": images} | change) for seed in range(seeds)]
            )
            for cell in cells
        )
        yield f"| {name} | {' | '.join(f'{mean:.3f}' for mean in means)} |"
    yield f"| Fig. 8 | {' | '.join(f'{paper[cell]:.3f}' for cell in cells)} |"


def main(arguments: list[str] | None = None) -> int:
    """Train and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument(
        "--quick", action="store_true", help="does it work: a few of them, one epoch"
    )
    parser.add_argument("--markdown", type=Path)
    options = parser.parse_args(arguments)
    from boxest import set_threads

    set_threads(1)
    size = (options.seeds, 30, 8000, CHANGES, CELLS)
    if options.quick:
        few = {name: CHANGES[name] for name in list(CHANGES)[-3:-1]}
        size = (1, 1, 100, few, CELLS[::3])
    lines = []
    for line in rows(*size):
        print(line, flush=True)
        lines.append(line)
    if options.markdown:
        options.markdown.write_text("\n".join(lines) + "\n", "utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
