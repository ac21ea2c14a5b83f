"""Photographs with a box each, converted once into shards that `BoxRegressor` is fitted on.

`convert` (and the command ``python -m boxest.convert``) writes into a folder

- ``train-000.h5``, …, ``validation-000.h5``, …, ``test-000.h5``, …: shards (`boxest.shards`);
- ``images.csv``, the table of the originals, a row per photograph in the order of the shards:
  ``image``, ``split``, ``shard``, ``row`` in the shard, ``width`` and ``height`` in pixels, the box
  ``x1, y1, x2, y2`` in pixels, and ``scale_x, scale_y, offset_x, offset_y``: a coordinate in the
  shard, 0..1, is the one in pixels times the scale plus the offset.

The folder appears when all is written. The same photographs, boxes and settings give the same
bytes.
"""

import hashlib
import operator
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
from tqdm import tqdm

from boxest import annotations, pictures, plan, shards
from boxest.annotations import CORNERS, AnnotationError
from boxest.files import atomic_folder, check_folder, write_text
from boxest.meta import PhotoMeta, ShardError

TABLE = "images.csv"
SCALES, OFFSETS = ["scale_x", "scale_y"], ["offset_x", "offset_y"]
_KINDS = dict.fromkeys(["row", "width", "height"], int) | dict.fromkeys(
    [*CORNERS, *SCALES, *OFFSETS], float
)


class Conversion(NamedTuple):
    """What `convert` has written: paths of shards by split, and photographs without a box."""

    train: list[Path]
    validation: list[Path]
    test: list[Path]
    without_box: list[str]


def convert(
    images: str | os.PathLike,
    boxes: str | os.PathLike | pd.DataFrame,
    out: str | os.PathLike,
    *,
    image_size: int | tuple[int, int] = 128,
    channels: int = 1,
    mode: str = "stretch",
    shard_size: int = 1000,
    split: Sequence[float] = (0.8, 0.1, 0.1),
    seed: int = 0,
    verbose: int = 0,
) -> Conversion:
    """Convert a folder of photographs and a table of boxes into shards.

    Parameters
    ----------
    images : path-like
        Folder of the photographs (`boxest.pictures.FORMATS`).
    boxes : path-like or DataFrame
        What `boxest.annotations.read` takes or returns: one box per photograph, in pixels of the
        photograph as it is shown, its EXIF orientation applied.
    out : path-like
        Folder to make; it must not be there, or be empty.
    image_size : int or (height, width), default=128
        Of the images in the shards, in pixels.
    channels : {1, 3}, default=1
        Grey levels or colours.
    mode : {"stretch", "pad"}, default="stretch"
        "stretch" changes the aspect of photographs of another one than ``image_size``; "pad" keeps
        it, and centres the photograph on black.
    shard_size : int, default=1000
        Photographs per shard, at most; so many are held in memory.
    split : three floats, default=(0.8, 0.1, 0.1)
        Shares of training, validation and test set.
    seed : int, default=0
        Of the order in which the photographs, sorted by name, are dealt out.
    verbose : int, default=0
        1: show a progress bar, in a terminal.

    Returns
    -------
    Conversion
        Paths of the shards, and the images in the folder that have no box.

    Raises
    ------
    AnnotationError
        See `boxest.annotations.read`; and if a photograph is missing, has another size than the
        annotations say, or has its box outside. A photograph that is damaged is a `ValueError`.
    OSError
        If a file cannot be opened, ``out`` is there, or the disk is full.
    """
    height, width = _size(image_size)
    if mode not in ("stretch", "pad"):
        raise ValueError(f"mode must be 'stretch' or 'pad'; got {mode!r}.")
    if channels not in pictures.MODES:
        raise ValueError(f"channels must be 1 (grey) or 3 (colour); got {channels!r}.")
    if operator.index(shard_size) < 1:
        raise ValueError(f"shard_size must be 1 or more photographs; got {shard_size}.")
    folder = Path(images)
    if not folder.is_dir():
        raise ValueError(f"{folder} is no folder: it should hold the photographs.")
    check_folder(out)
    table = _measure(_table(boxes), folder, verbose)
    table = table.iloc[np.random.default_rng(seed).permutation(len(table))]
    settings = {"images": len(table), "split": split, "shard_size": shard_size}
    ranges = plan.shard_ranges(settings)
    table = _dealt(_placed(table, (width, height), mode), ranges)
    text = table.to_csv(index=False, lineterminator="\n")
    originals = hashlib.sha256(text.encode()).hexdigest()
    with (
        atomic_folder(out) as made,
        tqdm(total=len(table), desc="converting", disable=None if verbose else True) as bar,
    ):
        for name, part in ranges.items():
            meta = PhotoMeta(*part, seed, height, width, channels, originals)
            content = _content(folder, table.iloc[part.start : part.stop], meta, bar)
            shards.write(made / f"{name}.h5", *content, meta)
        write_text(made / TABLE, text)
    paths = {part: [] for part in ("train", "validation", "test")}
    for name, part in ranges.items():
        paths[part.split].append(Path(out) / f"{name}.h5")
    return Conversion(**paths, without_box=_without_box(folder, table["image"]))


def originals(paths: Iterable[str | os.PathLike]) -> pd.DataFrame:
    """Return the rows of the table of originals that belong to shards of one split.

    Parameters
    ----------
    paths : iterable of path-like
        Shards that `convert` wrote, with ``images.csv`` beside them, in any order.

    Returns
    -------
    DataFrame
        A row per image, in the order in which `BoxRegressor.predict` takes them from these shards.

    Raises
    ------
    ShardError
        If a file is no shard of photographs, or the table is not the one they were written with.
    OSError
        If a file cannot be opened.
    """
    found = shards.arrange(paths)
    (path, first), (_, last) = found[0], found[-1]
    if not isinstance(first, PhotoMeta):
        raise ShardError(f"{path} holds drawn boxes: there are no originals.")
    table = Path(path).parent / TABLE
    if hashlib.sha256(table.read_bytes()).hexdigest() != first.originals:
        raise ShardError(f"{table} is not the table that {path} was written with, or was changed.")
    # As text first: in some versions pandas reads numbers to the last digit but one.
    rows = pd.read_csv(table, dtype=str, keep_default_na=False).astype(_KINDS)
    return rows.iloc[first.start : last.stop].reset_index(drop=True)


def to_pixels(boxes: npt.ArrayLike, table: pd.DataFrame) -> np.ndarray:
    """Return boxes of the images in shards in pixels of the photographs.

    Parameters
    ----------
    boxes : array-like of shape (n, 4)
        Boxes (x1, y1, x2, y2) in units of the image size, such as predictions. They need not lie
        inside.
    table : DataFrame, n rows
        What `originals` returns for these images.

    Returns
    -------
    ndarray of float64, shape (n, 4)

    Raises
    ------
    ValueError
        If there are not as many boxes as rows.

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


def _size(image_size: int | tuple[int, int]) -> tuple[int, int]:
    """Return height and width."""
    pair = image_size if isinstance(image_size, (tuple, list)) else (image_size, image_size)
    height, width = map(operator.index, pair)
    if min(height, width) < 1:
        raise ValueError(f"image_size must be positive; got {image_size}.")
    return height, width


def _table(boxes: str | os.PathLike | pd.DataFrame) -> pd.DataFrame:
    """Return the table of boxes, sorted by image: whatever the format, the order is the same."""
    table = boxes if isinstance(boxes, pd.DataFrame) else annotations.read(boxes)
    lacking = [name for name in annotations.COLUMNS[:-1] if name not in table]
    if lacking or not len(table):
        raise AnnotationError(
            "A table of boxes has a row or more, and the columns of annotations.read; "
            f"{len(table)} rows, lacking: {', '.join(lacking) or 'none'}."
        )
    if table["image"].duplicated().any():
        twice = table["image"][table["image"].duplicated()].iloc[0]
        raise AnnotationError(f"{twice} is in the table of boxes twice.")
    return table.sort_values("image")


def _measure(table: pd.DataFrame, folder: Path, verbose: int) -> pd.DataFrame:
    """Fill in the size of each photograph, and check that its box lies inside."""
    missing = [name for name in table["image"] if not (folder / name).is_file()]
    if missing:
        raise AnnotationError(
            f"{folder / missing[0]} is missing, of which there is a box. Images missing: "
            f"{len(missing)} of {len(table)}."
        )
    rows = []
    for row in tqdm(table.itertuples(), "measuring", len(table), disable=None if verbose else True):
        width, height, turned = pictures.size(folder / row.image)
        for told, side in ((row.width, width), (row.height, height)):
            if not pd.isna(told) and told != side:
                raise AnnotationError(_other_size(folder, row, (width, height), turned))
        corners = (row.x1, row.y1, row.x2, row.y2)
        rows.append(
            (*annotations.inside(str(folder), row.image, corners, (width, height)), width, height)
        )
    measured = pd.DataFrame(rows, columns=[*CORNERS, "width", "height"])
    return measured.assign(image=table["image"].to_numpy())


def _other_size(folder: Path, row: tuple, size: tuple[int, int], turned: bool) -> str:
    text = (
        f"{folder / row.image} has {size[0]}×{size[1]} pixels, and the annotations say "
        f"{row.width}×{row.height}"
    )
    if turned and (row.height, row.width) == size:
        return (
            f"{text}: they were made on the image as it lies in the file, and its EXIF orientation "
            "turns it. Save it upright, or without that tag."
        )
    return f"{text}: they belong to another image, or one that was resized since."


def _placed(table: pd.DataFrame, size: tuple[int, int], mode: str) -> pd.DataFrame:
    """Add where each photograph lies in its image: scale and offset of x and y."""
    old = table[["width", "height"]].to_numpy(float)
    scale = np.asarray(size) / old
    if mode == "pad":
        scale = scale.min(axis=1, keepdims=True)
    new = np.maximum(1, np.rint(old * scale)).astype(int)  # Whole pixels: the scale follows.
    offset = (np.asarray(size) - new) // 2
    placed = np.hstack([new / old / size, offset / size])
    return table.assign(**dict(zip([*SCALES, *OFFSETS], placed.T, strict=True)))


def _dealt(table: pd.DataFrame, ranges: dict[str, plan.ShardRange]) -> pd.DataFrame:
    """Return the table of originals: which photograph goes where."""
    places = [
        (part.split, f"{name}.h5", row)
        for name, part in ranges.items()
        for row in range(part.stop - part.start)
    ]
    where = ["split", "shard", "row"]
    table[where] = pd.DataFrame(places, columns=where, index=table.index)
    return table[["image", *where, "width", "height", *CORNERS, *SCALES, *OFFSETS]]


def _content(
    folder: Path, table: pd.DataFrame, meta: PhotoMeta, bar: tqdm
) -> tuple[np.ndarray, np.ndarray]:
    """Read the photographs of a shard; return images and boxes."""
    images = np.zeros(meta.shapes()["images"], np.uint8)
    size = np.asarray([meta.width, meta.height])
    scale, offset = table[SCALES].to_numpy(), table[OFFSETS].to_numpy()
    new = np.rint(table[["width", "height"]].to_numpy() * scale * size).astype(int)
    corner = np.rint(offset * size).astype(int)
    for number, name in enumerate(table["image"]):
        (width, height), (left, top) = new[number], corner[number]
        image = pictures.read(folder / name, meta.channels, (width, height))
        images[number, top : top + height, left : left + width] = image
        bar.update()
    boxes = table[CORNERS].to_numpy() * np.tile(scale, 2) + np.tile(offset, 2)
    return images, boxes.clip(0, 1)  # Rounding, at the edges.


def _without_box(folder: Path, with_box: Iterable[str]) -> list[str]:
    """Return the images in a folder that are not in the table."""
    known = {Path(name) for name in with_box}
    found = (path for path in folder.rglob("*") if path.suffix.lower() in pictures.SUFFIXES)
    return sorted(str(p.relative_to(folder)) for p in found if p.relative_to(folder) not in known)
