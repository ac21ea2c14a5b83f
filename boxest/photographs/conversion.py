"""Photographs or arrays into shards: what goes where, and each shard by itself."""

import contextlib
import dataclasses
import hashlib
import operator
import os
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from tqdm import tqdm

from boxest import annotations, pictures, shards
from boxest.annotations import CORNERS, AnnotationError
from boxest.annotations.folder import Folder
from boxest.annotations.parsing import some
from boxest.files import atomic_folder, check_folder, write_text
from boxest.meta import MODES, PhotoMeta
from boxest.photographs.splitting import PARTS, Split, cut, divide
from boxest.photographs.table import (
    COLUMNS,
    OFFSETS,
    PLACE,
    SCALES,
    TABLE,
    place,
    windows,
)

# Reads one picture: its name, its size in the image as (width, height).
Reader = Callable[[str, tuple[int, int]], np.ndarray]


class Conversion(NamedTuple):
    """What `convert` has written, and what it has not.

    ``train``, ``validation`` and ``test`` are paths of shards; ``without_box`` are the photographs
    in the folder of which the table of boxes says nothing; ``passed_over`` the images of objects
    that were left out, by reason; ``turned`` the photographs that their EXIF orientation turns or
    mirrors; ``read_as`` what the numbers of the table were taken for.
    """

    train: list[Path]
    validation: list[Path]
    test: list[Path]
    without_box: list[str]
    passed_over: dict[str, list[str]]
    turned: list[str]
    read_as: str


@dataclasses.dataclass(frozen=True)
class Form:
    """What the images in shards are like.

    Parameters
    ----------
    height, width : int
        In pixels.
    channels : {1, 3}
        Grey levels, or red, green and blue.
    mode : {"stretch", "pad"}
        How pictures of another aspect are fitted.
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
        if self.channels not in pictures.MODES:
            raise ValueError(f"channels must be 1 (grey) or 3 (colour); got {self.channels!r}.")

    @classmethod
    def of(cls, image_size: int | Sequence[int], channels: int, mode: str) -> "Form":
        """Take one size, or height and width."""
        pair = image_size if isinstance(image_size, (tuple, list)) else (image_size, image_size)
        return cls(*map(operator.index, pair), channels, mode)


@dataclasses.dataclass(frozen=True)
class Plan:
    """Which picture goes into which shard.

    Parameters
    ----------
    table : DataFrame
        That of the originals, in the order of the shards.
    form : Form
        Of the images.
    seed : int
        Of the order.
    checksum : str
        SHA-256 of the table as it is written.
    """

    table: pd.DataFrame
    form: Form
    seed: int
    checksum: str

    def shards(self) -> dict[str, PhotoMeta]:
        """Return what each shard says about itself, by its name: "train-000"."""
        found, start = {}, 0
        for (split, shard), rows in self.table.groupby(["split", "shard"], sort=False):
            stop = start + len(rows)
            form = dataclasses.astuple(self.form)
            found[Path(shard).stem] = PhotoMeta(split, start, stop, self.seed, *form, self.checksum)
            start = stop
        return found

    def write_shard(self, name: str, path: str | os.PathLike, read: Reader) -> None:
        """Write one shard, whatever became of the others.

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
        images = np.zeros(meta.shapes()["images"], np.uint8)
        corners, sizes = windows(rows, (meta.width, meta.height))
        for number, image in enumerate(rows["image"]):
            (left, top), (width, height) = corners[number], sizes[number]
            pixels = read(image, (int(width), int(height)))
            images[number, top : top + height, left : left + width] = pixels
        scale, offset = rows[SCALES * 2].to_numpy(), rows[OFFSETS * 2].to_numpy()
        boxes = rows[CORNERS].to_numpy() * scale + offset
        shards.write(path, images, boxes.clip(0, 1), meta)  # Rounding, at the edges.


def lay_out(
    table: pd.DataFrame,
    form: Form,
    *,
    split: Split,
    seed: int,
    shard_size: int | None = None,
    n_shards: int | None = None,
) -> tuple[Plan, str]:
    """Deal pictures out to shards.

    Parameters
    ----------
    table : DataFrame
        ``image``, ``width``, ``height``, ``x1, y1, x2, y2`` and ``label``, sorted by image.
    form : Form
        Of the images.
    split, seed
        See `boxest.photographs.splitting.divide`.
    shard_size : int, optional
        Pictures per shard, at most; or
    n_shards : int, optional
        Shards of each part.

    Returns
    -------
    plan : Plan
    text : str
        The table of originals as it is to be written.
    """
    table, left_out = divide(table, split, seed)
    if left_out:
        warnings.warn(
            f"{len(left_out)} images with a box are in no list of the split, and left out "
            f"({some(left_out)}).",
            stacklevel=3,
        )
    places = []
    for part, rows in table.groupby("split", sort=False):
        for number, piece in enumerate(cut(len(rows), size=shard_size, number=n_shards)):
            if not piece:
                raise ValueError(
                    f"{len(rows)} images for {part} are too few for {n_shards} shards: take fewer."
                )
            places += [(part, f"{part}-{number:03d}.h5", row) for row in range(len(piece))]
    table[PLACE] = pd.DataFrame(places, columns=PLACE, index=table.index)
    table = place(table, (form.width, form.height), form.mode)[COLUMNS]
    text = table.to_csv(index=False, lineterminator="\n")
    return Plan(table, form, seed, hashlib.sha256(text.encode()).hexdigest()), text


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
    split : three floats, str, or three lists, default=(0.8, 0.1, 0.1)
        Shares of training, validation and test set, of which some may be 0; or the name of a column
        of the table of boxes that says "train", "validation" or "test"; or three lists of images
        (or text files with one in each line), of which those of validation and test may be empty.
    seed : int, default=0
        Of the order in which the photographs, sorted by name, are dealt out.
    verbose : int, default=0
        1: show a progress bar, in a terminal.

    Returns
    -------
    Conversion
        Paths of the shards, and what was left out.

    Raises
    ------
    AnnotationError
        See `boxest.annotations.read`; and if a photograph is missing, has another size than the
        annotations say, or has its box outside. A photograph that is damaged is a `ValueError`.
    OSError
        If a file cannot be opened, ``out`` is there, or the disk is full.

    Warns
    -----
    UserWarning
        If what was read may be meant otherwise, if one picture is there under two names, in
        different parts, or if grey levels of 16 bits seem to be of 12.
    """
    form = Form.of(image_size, channels, mode)
    if operator.index(shard_size) < 1:
        raise ValueError(f"shard_size must be 1 or more photographs; got {shard_size}.")
    folder = open_folder(images)
    check_folder(out)
    table = boxes_of(boxes, folder, split=split if isinstance(split, str) else None)
    measured, turned = measure(table, folder, verbose)
    plan, text = lay_out(measured, form, split=split, seed=seed, shard_size=shard_size)
    names = measured["image"]
    copies = shared(plan.table, names, digests(names, folder.path))
    for remark in [*table.attrs.get("remarks", ()), *copies]:
        warnings.warn(remark, stacklevel=2)
    plan.shards()  # Sizes are checked before anything is written.
    with (
        gathered(),
        atomic_folder(out) as made,
        tqdm(total=len(plan.table), desc="converting", disable=None if verbose else True) as bar,
    ):

        def read(image: str, size: tuple[int, int]) -> np.ndarray:
            bar.update()
            return pictures.read(folder.path / image, channels, size)

        for name in plan.shards():
            plan.write_shard(name, made / f"{name}.h5", read)
        write_text(made / TABLE, text)
    paths: dict[str, list[Path]] = {part: [] for part in PARTS}
    for name, meta in plan.shards().items():
        paths[meta.split].append(Path(out) / f"{name}.h5")
    passed_over = table.attrs.get("passed_over", {})
    known = set(plan.table["image"]).union(*passed_over.values())
    without = [name for name in folder.pictures() if name not in known]
    return Conversion(
        **paths,
        without_box=without,
        passed_over=passed_over,
        turned=turned,
        read_as=table.attrs.get("read_as", ""),
    )


def open_folder(images: str | os.PathLike) -> Folder:
    """Return the folder of photographs, if it is one."""
    if not Path(images).is_dir():
        raise ValueError(f"{images} is no folder: it should hold the photographs.")
    return Folder(images)


def boxes_of(
    boxes: str | os.PathLike | pd.DataFrame, folder: Folder, *, split: str | None, **options: str
) -> pd.DataFrame:
    """Return a table of boxes, sorted by image: whatever the format, the order is the same."""
    if isinstance(boxes, pd.DataFrame):
        table = boxes
    else:
        table = annotations.read(boxes, images=folder.path, split=split, **options)
        split = split and "split"
    needed = ["image", *CORNERS, *([split] if split else [])]
    lacking = [name for name in needed if name not in table]
    if lacking or not len(table):
        raise AnnotationError(
            "A table of boxes has a row or more, and the columns image, x1, y1, x2, y2; "
            f"{len(table)} rows, lacking: {', '.join(lacking) or 'none'}."
        )
    if table[CORNERS].max(axis=None) <= 1:
        raise AnnotationError(
            "The corners of all boxes lie within 0..1, where pixels are needed: multiply them by "
            "the width and height of their images."
        )
    found = [folder.find(str(name)) for name in table["image"]]
    names = dict(zip(found, table["image"], strict=True))
    if len(names) < len(table):
        twice = next(name for name, count in Counter(found).items() if count > 1)
        written = dict.fromkeys(w for f, w in zip(found, table["image"], strict=True) if f == twice)
        also = f", as {' and '.join(map(repr, written))}" if len(written) > 1 else ""
        raise AnnotationError(f"{twice} is in the table of boxes twice{also}.")
    optional = {name: table.get(name, pd.NA) for name in ("width", "height", "label")}
    kept = {"split": table[split]} if split else {}
    return table.assign(image=found, **optional, **kept).sort_values("image")


def measure(
    table: pd.DataFrame, folder: Folder, verbose: int = 0
) -> tuple[pd.DataFrame, list[str]]:
    """Fill in the size of each photograph, and check that its box lies inside.

    Returns
    -------
    table : DataFrame
    turned : list of str
        The photographs that are shown otherwise than they are stored.
    """
    missing = [name for name in table["image"] if not (folder.path / name).is_file()]
    if missing:
        raise AnnotationError(
            f"{folder.path / missing[0]} is missing, of which there is a box. Images missing: "
            f"{len(missing)} of {len(table)}.{folder.suggestion(missing[0])}"
        )
    rows, turned = [], []
    for row in tqdm(table.itertuples(), "measuring", len(table), disable=None if verbose else True):
        size = pictures.size(folder.path / row.image)
        if size.orientation != 1:
            turned.append(row.image)
        for told, side in ((row.width, size.width), (row.height, size.height)):
            if not pd.isna(told) and told != side:
                raise AnnotationError(_other_size(folder.path, row, size))
        corners = (row.x1, row.y1, row.x2, row.y2)
        cut_off = annotations.inside(str(folder.path), row.image, corners, size[:2])
        rows.append((*cut_off, *size[:2]))
    measured = table.reset_index(drop=True)
    measured[[*CORNERS, "width", "height"]] = rows
    return measured.astype({"width": int, "height": int}), turned


def digests(names: Iterable[str], folder: Path) -> list[str | bytes]:
    """Return what is the same for files of the same bytes; only those of one size are read."""
    paths = [folder / name for name in names]
    sizes = [path.stat().st_size for path in paths]
    often = {size for size, count in Counter(sizes).items() if count > 1}
    return [
        hashlib.sha256(path.read_bytes()).digest() if size in often else str(path)
        for path, size in zip(paths, sizes, strict=True)
    ]


def shared(table: pd.DataFrame, names: Iterable[str], keys: Iterable[str | bytes]) -> list[str]:
    """Return a sentence where parts of the data set share a picture, under two names.

    Parameters
    ----------
    table : DataFrame
        Of the originals.
    names, keys : iterables
        Of the same pictures, and what is the same for the same picture.
    """
    key_of = dict(zip(names, keys, strict=True))
    across = []
    for _, same in table.groupby(table["image"].map(key_of), sort=False):
        if same["split"].nunique() > 1:
            across += [f"{row.image} in {row.split}" for row in same.itertuples()]
    if not across:
        return []
    return [
        f"{len(across)} pictures are copies of others, byte for byte, in another part of the data "
        f"set ({some(across)}): what is seen in training should not be tested. Take copies out."
    ]


@contextlib.contextmanager
def gathered() -> Iterator[None]:
    """Say once, with a number, what is said of many pictures."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", pictures.PictureWarning)
        yield
    paths: dict[str, list[str]] = {}
    for warning in caught:
        message = warning.message
        if isinstance(message, pictures.PictureWarning):
            paths.setdefault(message.text, []).append(str(message.path))
        else:
            warnings.warn_explicit(message, None, warning.filename, warning.lineno)
    for text, names in paths.items():
        few = f"{len(names)} pictures ({some(names)})" if len(names) > 1 else names[0]
        warnings.warn(f"{few}: {text}", stacklevel=4)


def _other_size(folder: Path, row: tuple, size: pictures.Size) -> str:
    text = (
        f"{folder / row.image} has {size.width}×{size.height} pixels, and the annotations say "
        f"{row.width}×{row.height}"
    )
    if size.lying and (row.height, row.width) == size[:2]:
        return (
            f"{text}: they were made on the image as it lies in the file, and its EXIF orientation "
            "turns it. Save it upright, or without that tag."
        )
    return f"{text}: they belong to another image, or one that was resized since."
