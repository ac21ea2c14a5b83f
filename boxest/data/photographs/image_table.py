"""The table of the originals, ``images.csv``: place and scale of each photograph in the shards.

It has one row per photograph in the order of the shards: ``image``, ``split``, ``shard``, ``row``
in the shard, ``width`` and ``height`` in pixels, the box ``x1, y1, x2, y2`` in pixels, ``scale_x,
scale_y, offset_x, offset_y``, and ``label``, if there is one. A coordinate in the shard, 0..1, is
the coordinate in pixels times the scale plus the offset.
"""

import hashlib
import os
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from boxest.boxes import CORNERS
from boxest.data import shards
from boxest.data.metadata import PhotoMeta, ShardError

TABLE = "images.csv"
SCALES, OFFSETS = ["scale_x", "scale_y"], ["offset_x", "offset_y"]
PLACE = ["split", "shard", "row"]
COLUMNS = ["image", *PLACE, "width", "height", *CORNERS, *SCALES, *OFFSETS, "label"]
_KINDS = dict.fromkeys(["row", "width", "height"], int) | dict.fromkeys(
    [*CORNERS, *SCALES, *OFFSETS], float
)


def read_table(path: str | os.PathLike) -> tuple[pd.DataFrame, str]:
    """Read a table of originals; return it and the checksum that its shards record."""
    content = Path(path).read_bytes()
    # Read as text first, because some versions of pandas lose the last digit of numbers.
    rows = pd.read_csv(path, dtype=str, keep_default_na=False).astype(_KINDS)
    return rows, hashlib.sha256(content).hexdigest()


def originals(paths: str | os.PathLike | Iterable[str | os.PathLike]) -> pd.DataFrame:
    """Return the rows of the table of originals that belong to shards of one split.

    Parameters
    ----------
    paths : path-like, or iterable of path-like
        Shards that `convert` wrote, in any order; ``images.csv`` must be in the same folder.

    Returns
    -------
    DataFrame
        One row per image, in the order in which `BoxRegressor.predict` reads these shards.

    Raises
    ------
    ShardError
        If a file is not a shard of photographs, or the table is not the one written with them.
    OSError
        If a file cannot be opened.
    """
    found = shards.arrange(paths)
    (path, first), (_, last) = found[0], found[-1]
    if not isinstance(first, PhotoMeta):
        raise ShardError(f"{path} holds drawn boxes, which have no originals.")
    table = Path(path).parent / TABLE
    rows, checksum = read_table(table)
    if checksum != first.originals:
        raise ShardError(f"{table} is not the table that {path} was written with, or was changed.")
    return rows.iloc[first.start : last.stop].reset_index(drop=True)


def lost(folder: str | os.PathLike) -> list[str]:
    """Return the shards in the table of a folder that are missing beside others of their part."""
    try:
        rows, _ = read_table(Path(folder) / TABLE)
    except (OSError, KeyError, ValueError):  # There is none, or it is a table of something else.
        return []
    found = {
        (row.split, row.shard): (Path(folder) / row.shard).is_file() for row in rows.itertuples()
    }
    parts = {split for (split, _), there in found.items() if there}
    return [shard for (split, shard), there in found.items() if split in parts and not there]


def to_pixels(boxes: npt.ArrayLike, table: pd.DataFrame) -> np.ndarray:
    """Convert boxes of the images in shards to pixels of the photographs.

    Parameters
    ----------
    boxes : array-like of shape (n, 4)
        Boxes (x1, y1, x2, y2) in units of the image size, such as predictions. They may extend
        beyond the image.
    table : DataFrame, n rows
        What `originals` returns for these images.

    Returns
    -------
    ndarray of float64, shape (n, 4)

    Raises
    ------
    ValueError
        If the numbers of boxes and rows differ.

    Examples
    --------
    >>> table = pd.DataFrame({"scale_x": [1 / 640], "scale_y": [1 / 640],
    ...                       "offset_x": [0.0], "offset_y": [0.125]})  # 640×480, padded
    >>> to_pixels([[0.25, 0.125, 0.5, 0.875]], table)
    array([[160.,   0., 320., 480.]])
    """
    boxes = np.asarray(boxes, dtype=np.float64)
    if boxes.shape != (len(table), 4):
        raise ValueError(
            f"boxes must have the shape ({len(table)}, 4), one for each row of the table; got "
            f"{boxes.shape}."
        )
    return (boxes - table[OFFSETS * 2].to_numpy()) / table[SCALES * 2].to_numpy()


def clipped(boxes: np.ndarray, table: pd.DataFrame) -> np.ndarray:
    """Return boxes in pixels, clipped to their photographs."""
    return np.clip(boxes, 0, table[["width", "height"] * 2].to_numpy())


def place(table: pd.DataFrame, size: tuple[int, int], mode: str) -> pd.DataFrame:
    """Add scale and offset of each photograph in its image of (width, height)."""
    old = table[["width", "height"]].to_numpy(float)
    scale = np.asarray(size) / old
    if mode == "pad":
        scale = scale.min(axis=1, keepdims=True)
    # The size is in whole pixels, which determine the scale.
    new = np.maximum(1, np.rint(old * scale)).astype(int)
    offset = (np.asarray(size) - new) // 2
    placed = np.hstack([new / old / size, offset / size])
    return table.assign(**dict(zip([*SCALES, *OFFSETS], placed.T, strict=True)))


def windows(table: pd.DataFrame, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Return corner (left, top) and size (width, height) of photographs in their images."""
    corner = np.rint(table[OFFSETS].to_numpy() * size).astype(int)
    new = table[["width", "height"]].to_numpy() * table[SCALES].to_numpy() * size
    return corner, np.rint(new).astype(int)
