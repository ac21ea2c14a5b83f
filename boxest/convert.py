"""Convert photographs with one box each into shards: ``python -m boxest.convert --help``."""

import argparse
import sys
from collections.abc import Sequence

import pandas as pd

from boxest import annotations, photographs, shards


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
    add("annotations", help="boxes: a .csv file, a COCO .json file, or a folder of VOC .xml files")
    add("out", help="folder to write: shards per split, and images.csv")
    add("--size", type=int, nargs="+", default=[128], metavar="PX",
        help="side of the images in the shards, or height and width (default: 128)")  # fmt: skip
    add("--colour", action="store_true", help="keep red, green and blue (default: grey levels)")
    add("--mode", choices=("stretch", "pad"), default="stretch",
        help="change the aspect, or keep it and fill up with black (default: stretch)")  # fmt: skip
    add("--split", type=float, nargs=3, default=[0.8, 0.1, 0.1], metavar="SHARE",
        help="shares of training, validation and test set (default: 0.8 0.1 0.1)")  # fmt: skip
    add(
        "--shard-size", type=int, default=1000, metavar="N", help="images per shard (default: 1000)"
    )
    add("--seed", type=int, default=0, help="of the order of the photographs (default: 0)")
    add("--label", help="take the boxes of objects of this name alone")
    add("--several", choices=("error", "largest"), default="error",
        help="where an image has several boxes: stop, or take the largest")  # fmt: skip
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status."""
    options = _parser().parse_args(arguments)
    try:
        if len(options.size) > 2:
            raise ValueError(f"--size takes one number or two; got {len(options.size)}.")
        table = annotations.read(options.annotations, label=options.label, several=options.several)
        done = photographs.convert(
            options.images, table, options.out,
            image_size=tuple(options.size * 2)[:2], channels=3 if options.colour else 1,
            mode=options.mode, split=options.split, shard_size=options.shard_size,
            seed=options.seed, verbose=1,
        )  # fmt: skip
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(_report(done, options.out, len(table)))
    return 0


def _report(done: photographs.Conversion, out: str, n: int) -> str:
    """Say what was converted and what was left out."""
    parts = {
        part: photographs.originals(getattr(done, part)) for part in ("train", "validation", "test")
    }
    counts = ", ".join(f"{len(rows)} {part}" for part, rows in parts.items())
    rows = pd.concat(parts.values())
    lines = [f"{n} photographs in {out}: {counts}."]
    if done.without_box:
        some = ", ".join(done.without_box[:5]) + (", …" if len(done.without_box) > 5 else "")
        lines.append(f"Left out, without a box: {len(done.without_box)} ({some}).")
    shape = shards.arrange(done.train)[0][1].image_shape
    scale = rows[photographs.SCALES].to_numpy() * [shape[1], shape[0]]
    sides = (rows[["x2", "y2"]].to_numpy() - rows[["x1", "y1"]].to_numpy()) * scale
    lines.append(f"Shortest side of a box in the shards: {sides.min():.1f} px.")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
