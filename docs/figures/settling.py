"""Draw docs/figures/settling.gif: what four cells of the quick study predict after every epoch.

make run, or another study with these cells; then
python docs/figures/settling.py [results/quick] [--out docs/figures/settling.gif]
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image, ImageDraw, ImageFont

from boxest import boxes, shards

# What happens in a cell, its batch size and its learning rate.
CELLS = {
    "too slow": (256, 0.001),
    "slow": (256, 0.1),
    "about right": (16, 0.1),
    "too large a step": (16, 1.0),
}
PICTURES = 6  # of the twelve that each run keeps its boxes for, in two columns
SIDE, GAP, HEAD = 96, 8, 66  # pixels
INK, PAPER, GROUND, FOUND = "#1b1b1b", "#ffffff", "#26292e", "#e8710a"
# Milliseconds of an epoch, and of the last one before it begins again.
EPOCH, LAST = 600, 2500


def run_of(runs: pd.DataFrame, cell: tuple[int, float]) -> pd.Series:
    """Return the row of the run of a cell with seed 0."""
    same = (runs["batch_size"] == cell[0]) & np.isclose(runs["learning_rate"], cell[1])
    found = runs[same & (runs["seed"] == 0)]
    if found.empty:
        raise SystemExit(
            f"The study has no run of batch size {cell[0]} and learning rate {cell[1]}."
        )
    return found.iloc[0]


def frame(images: np.ndarray, true: np.ndarray, epoch: int, followed: dict) -> Image.Image:
    """Draw what each cell predicts after an epoch, numbered from 0."""
    width = 2 * (SIDE + GAP) + 2 * GAP
    rows = PICTURES // 2
    picture = Image.new("RGB", (width * len(CELLS), HEAD + rows * (SIDE + GAP) + GAP), PAPER)
    draw = ImageDraw.Draw(picture)
    for column, (name, cell) in enumerate(CELLS.items()):
        left = column * width + GAP
        found = followed[name][min(epoch, len(followed[name]) - 1)]
        iou = boxes.iou(true, found).mean()
        draw.text((left, 6), name, INK, ImageFont.load_default(17))
        draw.text((left, 27), f"batch {cell[0]}, rate {cell[1]:g}", INK, ImageFont.load_default(13))
        draw.text((left, 45), f"epoch {epoch + 1}, IoU {iou:.2f}", INK, ImageFont.load_default(13))
        for i in range(PICTURES):
            x, y = left + i % 2 * (SIDE + GAP), HEAD + i // 2 * (SIDE + GAP)
            picture.paste(shown(images[i], found[i]), (x, y))
    return picture


def shown(image: np.ndarray, box: np.ndarray) -> Image.Image:
    """Draw an image, grey where it is white, with a predicted box cut off at its edges."""
    mask = Image.fromarray(image).resize((SIDE, SIDE), Image.Resampling.BILINEAR)
    tile = Image.composite(
        Image.new("RGB", mask.size, "#d9dce1"), Image.new("RGB", mask.size, GROUND), mask
    )
    x1, y1, x2, y2 = np.clip(np.rint(box * SIDE), -4, SIDE + 4)
    corners = [min(x1, x2), min(y1, y2), max(x1, x2), max(y1, y2)]
    ImageDraw.Draw(tile).rectangle(corners, outline=FOUND, width=3)
    return tile


def frames(study: Path) -> list[Image.Image]:
    """Return a frame per epoch of a study."""
    runs = pd.read_csv(study / "tables" / "runs.csv")
    images, true = shards.load(sorted((study / "data").glob("validation-*.h5")))
    followed = {}
    for name, cell in CELLS.items():
        # The path in the table is relative to where the study was started.
        folder = run_of(runs, cell)["run"].partition("/runs/")[2]
        followed[name] = np.load(study / "runs" / folder / "followed.npy")
    n = max(map(len, followed.values()))
    chosen = followed_pictures(true)
    followed = {name: array[:, chosen] for name, array in followed.items()}
    return [frame(images[chosen], true[chosen], epoch, followed) for epoch in range(n)]


def followed_pictures(true: np.ndarray) -> np.ndarray:
    """Choose among the first twelve images: the largest object, the smallest, and between."""
    order = np.argsort(boxes.sides(true[:12]).prod(axis=1))
    return order[np.linspace(0, 11, PICTURES).round().astype(int)]


def main() -> None:
    """Write the animation that the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("study", nargs="?", type=Path, default=Path("results/quick"))
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".gif"))
    options = parser.parse_args()
    first, *others = frames(options.study)
    durations = [EPOCH] * len(others) + [LAST]
    first.save(
        options.out, save_all=True, append_images=others, duration=durations, loop=0, optimize=True
    )


if __name__ == "__main__":
    main()
