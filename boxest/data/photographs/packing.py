"""Assign pictures to shards, and write each shard independently."""

import dataclasses
import functools
import hashlib
import operator
import os
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from boxest.boxes import CORNERS
from boxest.data import image_files, shards
from boxest.data.annotations.fields import some
from boxest.data.metadata import MODES, PhotoMeta
from boxest.data.photographs.assignment import Split, cut, divide
from boxest.data.photographs.image_table import COLUMNS, OFFSETS, PLACE, SCALES, place, windows
from boxest.data.photographs.matching import failing_together

# Reads one picture, given its name, its channels and its size in the image as (width, height).
Reader = Callable[[str, int, tuple[int, int]], np.ndarray]


@dataclasses.dataclass(frozen=True)
class Form:
    """The form of the images in shards.

    Parameters
    ----------
    height, width : int
        In pixels.
    channels : {1, 3}
        Grey levels, or red, green and blue.
    mode : {"stretch", "pad"}
        How pictures with another aspect ratio are fitted.
    """

    height: int
    width: int
    channels: int = 1
    mode: str = "stretch"

    def __post_init__(self):
        if min(operator.index(self.height), operator.index(self.width)) < 1:
            raise ValueError(f"image_size must be positive; got {self.height}×{self.width}.")
        if self.mode not in MODES:
            raise ValueError(f"mode must be 'stretch' or 'pad'; got {self.mode!r}.")
        if self.channels not in image_files.MODES:
            raise ValueError(f"channels must be 1 (grey) or 3 (colour); got {self.channels!r}.")

    @classmethod
    def of(cls, image_size: int | Sequence[int], channels: int, mode: str) -> "Form":
        """Accept one size, or height and width."""
        pair = image_size if isinstance(image_size, (tuple, list)) else (image_size, image_size)
        return cls(*map(operator.index, pair), channels, mode)

    def images(self, table: pd.DataFrame, read: Reader) -> np.ndarray:
        """Read the pictures of a table, which are placed, as (n, height, width, channels).

        An image stays black where ``read`` returns None.
        """
        images = np.zeros((len(table), self.height, self.width, self.channels), np.uint8)
        placed = windows(table, (self.width, self.height))
        for image, name, (left, top), (width, height) in zip(
            images, table["image"], *placed, strict=True
        ):
            pixels = read(name, self.channels, (int(width), int(height)))
            if pixels is not None:
                image[top : top + height, left : left + width] = pixels.reshape(height, width, -1)
        return images


@dataclasses.dataclass(frozen=True)
class Plan:
    """The assignment of pictures to shards.

    Parameters
    ----------
    table : DataFrame
        That of the originals, in the order of the shards.
    form : Form
        Of the images.
    seed : int
        Of the order.
    checksum : str
        SHA-256 of the written table.
    """

    table: pd.DataFrame
    form: Form
    seed: int
    checksum: str

    def shards(self) -> dict[str, PhotoMeta]:
        """Return the description of each shard, by its name ("train-000")."""
        found, start = {}, 0
        for (split, shard), rows in self.table.groupby(["split", "shard"], sort=False):
            stop = start + len(rows)
            form = dataclasses.astuple(self.form)
            found[Path(shard).stem] = PhotoMeta(split, start, stop, self.seed, *form, self.checksum)
            start = stop
        return found

    def write_shard(self, name: str, path: str | os.PathLike, read: Reader) -> None:
        """Write one shard, independently of the others.

        Parameters
        ----------
        name : str
            Of the shard: "train-000".
        path : path-like
            The file.
        read : callable
            Reads a picture; see `Reader`.
        """
        meta = self.shards()[name]
        rows = self.table.iloc[meta.start : meta.stop]
        with failing_together() as tried:
            images = self.form.images(rows, functools.partial(tried, read))
        images = images.reshape(meta.shapes()["images"])
        scale, offset = rows[SCALES * 2].to_numpy(), rows[OFFSETS * 2].to_numpy()
        boxes = rows[CORNERS].to_numpy() * scale + offset
        shards.write(path, images, boxes.clip(0, 1), meta)  # Corrects rounding at the edges.


def lay_out(
    table: pd.DataFrame,
    form: Form,
    *,
    split: Split,
    seed: int,
    shard_size: int | None = None,
    n_shards: int | None = None,
) -> tuple[Plan, str]:
    """Distribute pictures among shards.

    Parameters
    ----------
    table : DataFrame
        ``image``, ``width``, ``height``, ``x1, y1, x2, y2`` and ``label``, sorted by image.
    form : Form
        Of the images.
    split, seed
        See `boxest.data.photographs.assignment.divide`.
    shard_size : int, optional
        Largest number of pictures per shard; or
    n_shards : int, optional
        Number of shards of each part.

    Returns
    -------
    plan : Plan
    text : str
        The table of originals as text.
    """
    table, left_out = divide(table, split, seed)
    if left_out:
        warnings.warn(
            f"{len(left_out)} images with a box are not in any list of the split, and are left "
            f"out ({some(left_out)}).",
            stacklevel=3,
        )
    places = []
    for part, rows in table.groupby("split", sort=False):
        for number, piece in enumerate(cut(len(rows), size=shard_size, number=n_shards)):
            if not piece:
                raise ValueError(
                    f"{len(rows)} images for {part} are too few for {n_shards} shards: make fewer "
                    "shards."
                )
            places += [(part, f"{part}-{number:03d}.h5", row) for row in range(len(piece))]
    table[PLACE] = pd.DataFrame(places, columns=PLACE, index=table.index)
    table = place(table, (form.width, form.height), form.mode)[COLUMNS]
    text = table.to_csv(index=False, lineterminator="\n")
    return Plan(table, form, seed, hashlib.sha256(text.encode()).hexdigest()), text
