"""Convert photographs with one box each into shards: ``python -m boxest.convert --help``."""

import argparse
import sys
import warnings
from collections.abc import Sequence

import numpy as np
import pandas as pd

from boxest import annotations, photographs, shards
from boxest.annotations.parsing import some
from boxest.photographs.splitting import PARTS


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m boxest.convert",
        description="Convert photographs with one box each into shards for BoxRegressor.",
        epilog="CSV: columns image, x1, y1, x2, y2, in pixels from 0, right and lower edge "
        "exclusive; or filename, xmin, ymin, xmax, ymax as in Pascal VOC. More: "
        "docs/photographs.md.",
    )
    add = parser.add_argument
    add("images", help="folder of the photographs")
    add(
        "annotations",
        help="boxes: a .csv, COCO .json or CVAT .xml file, or a folder of VOC .xml, YOLO .txt, "
        "LabelMe .json files or masks",
    )
    add("out", help="folder to write: shards per split, and images.csv")
    add("--size", type=int, nargs="+", default=[128], metavar="PX",
        help="side of the images in the shards, or height and width (default: 128)")  # fmt: skip
    add("--colour", action="store_true", help="keep red, green and blue (default: grey levels)")
    add("--mode", choices=("stretch", "pad"), default="stretch",
        help="change the aspect, or keep it and fill up with black (default: stretch)")  # fmt: skip
    add("--split", nargs="+", default=[0.8, 0.1, 0.1], metavar="PART",
        help="shares of training, validation and test set (default: 0.8 0.1 0.1); or a column of "
        "the CSV file that says train, validation or test; or three lists, as files")  # fmt: skip
    add(
        "--shard-size", type=int, default=1000, metavar="N", help="images per shard (default: 1000)"
    )
    add("--seed", type=int, default=0, help="of the order of the photographs (default: 0)")
    add("--label", help="take the boxes of objects of this name alone")
    add("--several", choices=("error", "largest"), default="error",
        help="where an image has several boxes: stop, or take the largest")  # fmt: skip
    add("--coordinates", choices=annotations.COORDINATES, default="auto",
        help="what the numbers of a box are (default: auto, what the format says)")  # fmt: skip
    add("--columns", nargs="+", default=[], metavar="NAME=COLUMN",
        help="how columns of the CSV file are called: image=path x1=left ...")  # fmt: skip
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status."""
    options = _parser().parse_args(arguments)
    try:
        if len(options.size) > 2:
            raise ValueError(f"--size takes one number or two; got {len(options.size)}.")
        split = _split(options.split)
        column = split if isinstance(split, str) else None
        table = annotations.read(
            options.annotations, images=options.images, label=options.label,
            several=options.several, coordinates=options.coordinates, split=column,
            columns=_columns(options.columns),
        )  # fmt: skip
        with warnings.catch_warnings():
            warnings.showwarning = _show
            done = photographs.convert(
                options.images, table, options.out,
                image_size=tuple(options.size * 2)[:2], channels=3 if options.colour else 1,
                mode=options.mode, split="split" if column else split,
                shard_size=options.shard_size, seed=options.seed, verbose=1,
            )  # fmt: skip
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(_report(done, options.out))
    return 0


def _split(words: list) -> "photographs.Split":
    """Return shares, a column or files, whichever the words are."""
    try:
        return [float(word) for word in words]
    except ValueError:
        return words[0] if len(words) == 1 else words


def _columns(words: list[str]) -> dict[str, str]:
    """Return names of columns."""
    wrong = [word for word in words if "=" not in word]
    if wrong:
        raise ValueError(f"--columns takes NAME=COLUMN, such as image=path; got {wrong[0]!r}.")
    return dict(word.split("=", 1) for word in words)


def _show(message: Warning, category: type, *_: object) -> None:
    """Show a warning as a line."""
    print(f"warning: {message}", file=sys.stderr)


def _report(done: photographs.Conversion, out: str) -> str:
    """Say what was converted, how it was read, and what was left out."""
    parts = {part: getattr(done, part) for part in PARTS}
    tables = {part: photographs.originals(paths) for part, paths in parts.items() if paths}
    rows = pd.concat(tables.values())
    counts = ", ".join(f"{len(tables.get(part, ()))} {part}" for part in PARTS)
    lines = [f"{len(rows)} photographs in {out}: {counts}."]
    corners = rows[annotations.CORNERS].to_numpy()
    sides = corners[:, 2:] - corners[:, :2]
    lines.append(
        f"Boxes were read as {done.read_as}; sides of {sides.min():g} to {sides.max():g} px."
    )
    for reason, images in done.passed_over.items():
        n = len(images)
        lines.append(f"Passed over, {reason}: {n} ({some(list(dict.fromkeys(images)), 5)}).")
    taken = set(rows["image"])
    passed = [name for images in done.passed_over.values() for name in images]
    left = [name for name in dict.fromkeys(passed) if name not in taken]
    if left:
        lines.append(f"Left out, with such objects alone: {len(left)} ({some(left, 5)}).")
    if done.without_box:
        lines.append(
            f"Left out, without a box: {len(done.without_box)} ({some(done.without_box, 5)})."
        )
    if done.turned:
        lines.append(
            f"Turned or mirrored by their EXIF orientation: {len(done.turned)} "
            f"({some(done.turned, 5)}); their boxes must be those of the picture as it is shown."
        )
    shape = shards.arrange(done.train)[0][1].image_shape
    shown = sides * rows[photographs.SCALES].to_numpy() * [shape[1], shape[0]]
    lines.append(f"Shortest side of a box in the shards: {np.min(shown):.1f} px.")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
