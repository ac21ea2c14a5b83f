"""Convert a folder of photographs and a table of boxes into shards."""

import operator
import os
import warnings
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from tqdm import tqdm

from boxest.boxes import CORNERS, sides
from boxest.data import image_files
from boxest.data.photographs.assignment import Split
from boxest.data.photographs.image_table import SCALES, TABLE, originals
from boxest.data.photographs.matching import (
    boxes_of,
    digests,
    facts,
    gathered,
    measure,
    open_folder,
    report,
    shared,
)
from boxest.data.photographs.packing import Form, Plan, lay_out
from boxest.data.shards import arrange
from boxest.data.splits import PARTS
from boxest.system.files import atomic_folder, check_folder, write_text


class Conversion(NamedTuple):
    """What `convert` has written, and what it has left out.

    ``train``, ``validation`` and ``test`` are paths of shards; ``without_box`` are the photographs
    in the folder that are missing in the table of boxes; ``passed_over`` the images of objects that
    were left out, by reason; ``turned`` the photographs that their EXIF orientation rotates or
    mirrors; ``read_as`` how the numbers of the table were read.
    """

    train: list[Path]
    validation: list[Path]
    test: list[Path]
    without_box: list[str]
    passed_over: dict[str, list[str]]
    turned: list[str]
    read_as: str

    def summary(self) -> str:
        """Return a summary of what was converted, how it was read, and what was left out."""
        parts = {part: getattr(self, part) for part in PARTS}
        tables = {part: originals(paths) for part, paths in parts.items() if paths}
        rows = pd.concat(tables.values())
        counts = ", ".join(f"{len(tables.get(part, ()))} {part}" for part in PARTS)
        shape = arrange(self.train)[0][1].image_shape
        shown = sides(rows[CORNERS]) * rows[SCALES].to_numpy() * [shape[1], shape[0]]
        told = {name: getattr(self, name) for name in self._fields if name not in PARTS}
        return "\n".join(
            [
                f"{len(rows)} photographs in {self.train[0].parent}: {counts}.",
                *report(rows, **told),
                f"Shortest side of a box in the shards: {np.min(shown):.1f} px.",
            ]
        )


def convert(
    images: str | os.PathLike,
    boxes: str | os.PathLike | pd.DataFrame,
    out: str | os.PathLike,
    *,
    image_size: int | tuple[int, int] = 128,
    channels: int = 1,
    mode: str = "stretch",
    shard_size: int = 1000,
    split: Split = (0.8, 0.1, 0.1),
    seed: int = 0,
    verbose: int = 0,
    **reading: Any,
) -> Conversion:
    """Convert a folder of photographs and a table of boxes into shards.

    Parameters
    ----------
    images : path-like
        Folder of the photographs (`boxest.data.image_files.FORMATS`).
    boxes : path-like or DataFrame
        What `boxest.annotations.read` takes or returns: one box per photograph, in pixels of the
        photograph as it is displayed, with its EXIF orientation applied.
    out : path-like
        Output folder; it must not exist, or must be empty.
    image_size : int or (height, width), default=128
        Of the images in the shards, in pixels.
    channels : {1, 3}, default=1
        Grey levels or colours.
    mode : {"stretch", "pad"}, default="stretch"
        "stretch" changes the aspect ratio of photographs to that of ``image_size``; "pad" keeps it,
        and centres the photograph on black.
    shard_size : int, default=1000
        Largest number of photographs per shard, which are held in memory.
    split : three floats, str, or three lists, default=(0.8, 0.1, 0.1)
        Shares of training, validation and test set, some of which may be 0; or the name of a column
        of the table of boxes that says "train", "validation" or "test"; or three lists of images
        (or text files with one per line); those for validation and test may be empty.
    seed : int, default=0
        Seed for shuffling the photographs, which are first sorted by name.
    verbose : int, default=0
        1 shows a progress bar in a terminal.
    **reading
        If ``boxes`` is a file or folder: ``label``, ``several``, ``coordinates`` and ``columns`` of
        `boxest.annotations.read`.

    Returns
    -------
    Conversion
        Paths of the shards, and what was left out.

    Raises
    ------
    AnnotationError
        See `boxest.annotations.read`; also if a photograph is missing, has another size than the
        annotations say, or does not contain its box. A damaged photograph raises a `ValueError`.
    OSError
        If a file cannot be opened, ``out`` exists, or the disk is full.

    Warns
    -----
    UserWarning
        If the numbers may have another meaning, if one picture has two names in different parts, or
        if grey levels of 16 bits seem to have only 12.
    """
    form = Form.of(image_size, channels, mode)
    if operator.index(shard_size) < 1:
        raise ValueError(f"shard_size must be at least 1 photograph; got {shard_size}.")
    folder = open_folder(images)
    check_folder(out)
    table = boxes_of(boxes, folder, split=split if isinstance(split, str) else None, **reading)
    table = measure(table, folder, verbose)
    plan, text = lay_out(table, form, split=split, seed=seed, shard_size=shard_size)
    names = table["image"]
    copies = shared(plan.table, names, digests(names, folder.path))
    for remark in [*table.attrs.get("remarks", ()), *copies]:
        warnings.warn(remark, stacklevel=2)
    plan.shards()  # Sizes are checked before anything is written.
    with gathered():
        _write(plan, text, folder.path, out, verbose)
    paths = {part: [] for part in PARTS}
    for name, meta in plan.shards().items():
        paths[meta.split].append(Path(out) / f"{name}.h5")
    return Conversion(**paths, **facts(table, folder))


def _write(plan: Plan, text: str, folder: Path, out: str | os.PathLike, verbose: int) -> None:
    """Write shards and table into a folder."""
    quiet = None if verbose else True
    with (
        atomic_folder(out) as made,
        tqdm(total=len(plan.table), desc="converting", disable=quiet) as bar,
    ):

        def read(image: str, channels: int, size: tuple[int, int]) -> np.ndarray:
            bar.update()
            return image_files.read(folder / image, channels, size)

        for name in plan.shards():
            plan.write_shard(name, made / f"{name}.h5", read)
        write_text(made / TABLE, text)
