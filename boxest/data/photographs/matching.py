"""Check that a folder of photographs and a table of boxes belong together."""

import contextlib
import hashlib
import os
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from tqdm import tqdm

from boxest.boxes import CORNERS, sides
from boxest.data import annotations, image_files
from boxest.data.annotations import AnnotationError
from boxest.data.annotations.fields import MEANING, SIDES, are_fractions, number, side, some
from boxest.data.annotations.folder import Folder


def open_folder(images: str | os.PathLike) -> Folder:
    """Return the folder of photographs, if it is a folder."""
    if not Path(images).is_dir():
        raise ValueError(f"{images} is not a folder; expected the folder of photographs.")
    return Folder(images)


def boxes_of(
    boxes: str | os.PathLike | pd.DataFrame, folder: Folder, *, split: str | None, **options: Any
) -> pd.DataFrame:
    """Return a table of boxes, sorted by image, so that the order is the same for every format."""
    if isinstance(boxes, pd.DataFrame):
        if options:
            raise ValueError(f"{', '.join(options)}: only for files of boxes, but this is a table.")
        table = boxes
    else:
        table = annotations.read(boxes, images=folder.path, split=split, **options)
        split = split and "split"
    needed = ["image", *CORNERS, *([split] if split else [])]
    lacking = [name for name in needed if name not in table]
    if lacking or not len(table):
        raise AnnotationError(
            "A table of boxes needs at least one row, and the columns image, x1, y1, x2, y2; it "
            f"has {len(table)} rows, lacking: {', '.join(lacking) or 'none'}."
        )
    if table is boxes:
        table = _checked(table, folder)
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


def _checked(table: pd.DataFrame, folder: Folder) -> pd.DataFrame:
    """Return a table of the user's with numbers, and with names within the folder."""
    names = []
    for name in map(str, table["image"]):
        if os.path.isabs(name):
            name = os.path.relpath(name, folder.path.absolute())
        if name.split(os.sep)[0] == os.pardir:
            raise AnnotationError(
                f"The table of boxes: each image must be in {folder.path}; got {name!r}."
            )
        names.append(name)
    corners = {
        corner: [
            number("The table of boxes", name, corner, value)
            for name, value in zip(names, table[corner], strict=True)
        ]
        for corner in CORNERS
    }
    rows = list(zip(*corners.values(), strict=True))
    alike = [are_fractions(row) for row in rows]
    # A single box may be the pixel in the corner.
    wrong = [
        name
        for name, row, is_alike in zip(names, rows, alike, strict=True)
        if is_alike and (all(alike) or any(value % 1 for value in row))
    ]
    if wrong:
        raise AnnotationError(
            f"The table of boxes: the corners of {len(wrong)} boxes ({some(wrong)}) lie within "
            "0..1, but pixels are needed: multiply them by width and height of their images."
        )
    sizes = {
        key: pd.array(
            [
                side("The table of boxes", name, key, None if pd.isna(value) else value)
                for name, value in zip(names, table[key], strict=True)
            ],
            "Int64",
        )
        for key in SIDES
        if key in table
    }
    return table.assign(image=names, **corners, **sizes)


def true_boxes(
    images: str | os.PathLike, boxes: str | os.PathLike | pd.DataFrame, **reading: Any
) -> pd.DataFrame:
    """Read the boxes of a folder of photographs, and compare them with it, as `convert` does.

    Parameters
    ----------
    images : path-like
        Folder of the photographs.
    boxes : path-like or DataFrame
        What `boxest.annotations.read` takes or returns.
    **reading
        Options of `boxest.annotations.read`.

    Returns
    -------
    DataFrame
        One row per photograph with a box: ``image``, its path within the folder; ``width, height``,
        and the box ``x1, y1, x2, y2`` in pixels; and ``label``. Its ``attrs["report"]`` holds the
        sentences of `report`.
    """
    folder = open_folder(images)
    table = measure(boxes_of(boxes, folder, split=None, **reading), folder)
    for remark in table.attrs.get("remarks", ()):
        warnings.warn(remark, stacklevel=2)
    table.attrs["report"] = report(table, **facts(table, folder))
    return table


def facts(table: pd.DataFrame, folder: Folder | None) -> dict[str, Any]:
    """Return how a table of boxes was read, and what was left out, as arguments of `report`."""
    passed_over = table.attrs.get("passed_over", {})
    known = set(table["image"]).union(*passed_over.values())
    pictures = [] if folder is None else folder.pictures()
    return {
        "read_as": table.attrs.get("read_as", MEANING["edges"]),
        "passed_over": passed_over,
        "without_box": [name for name in pictures if name not in known],
        "turned": table.attrs.get("turned", []),
    }


def report(
    table: pd.DataFrame,
    *,
    read_as: str,
    passed_over: Mapping[str, Sequence[str]],
    without_box: Sequence[str],
    turned: Sequence[str],
) -> list[str]:
    """Return sentences that say how boxes were read, what was left out, and what to check.

    Parameters
    ----------
    table : DataFrame
        The boxes in pixels, as used.
    read_as, passed_over, without_box, turned
        See `boxest.photographs.Conversion`.
    """
    px = sides(table[CORNERS])
    lines = [f"Boxes were read as {read_as}; sides of {px.min():g} to {px.max():g} px."]
    for reason, images in passed_over.items():
        names = list(dict.fromkeys(images))
        lines.append(f"Objects that were skipped, {reason}: {len(images)} ({some(names, 5)}).")
    taken = set(table["image"])
    passed = dict.fromkeys(name for images in passed_over.values() for name in images)
    for left, which in (
        ([name for name in passed if name not in taken], "without other objects"),
        (without_box, "without a box"),
    ):
        if left:
            lines.append(f"Photographs left out, {which}: {len(left)} ({some(left, 5)}).")
    if turned:
        lines.append(
            f"Turned or mirrored by their EXIF orientation: {len(turned)} ({some(turned, 5)}); "
            "their boxes must be those of the picture as it is shown."
        )
    return lines


def measure(table: pd.DataFrame, folder: Folder, verbose: int = 0) -> pd.DataFrame:
    """Fill in the size of each photograph, and check that its box lies inside.

    The photographs that are displayed in another orientation than they are stored are in
    ``attrs["turned"]``.
    """
    missing = [name for name in table["image"] if not (folder.path / name).is_file()]
    if missing:
        raise AnnotationError(
            f"{folder.path / missing[0]} has a box, but the file is missing. Images missing: "
            f"{len(missing)} of {len(table)}.{folder.suggestion(missing[0])}"
        )
    rows, turned = [], []
    with failing_together() as tried:
        paths = [folder.path / name for name in table["image"]]
        bar = tqdm(paths, "measuring", disable=None if verbose else True)
        sizes = [tried(image_files.size, path) for path in bar]
    for row, size in zip(table.itertuples(), sizes, strict=True):
        if size.orientation != 1:
            turned.append(row.image)
        for told, real in ((row.width, size.width), (row.height, size.height)):
            if not pd.isna(told) and told != real:
                raise AnnotationError(_other_size(folder.path, row, size))
        corners = (row.x1, row.y1, row.x2, row.y2)
        cut_off = annotations.inside(str(folder.path), row.image, corners, size[:2])
        rows.append((*cut_off, *size[:2]))
    measured = table.reset_index(drop=True)
    measured[[*CORNERS, "width", "height"]] = rows
    measured.attrs["turned"] = turned
    return measured.astype({"width": int, "height": int})


def digests(names: Iterable[str], folder: Path) -> list[str | bytes]:
    """Return keys that are equal for identical files; only files of equal size are read."""
    paths = [folder / name for name in names]
    sizes = [path.stat().st_size for path in paths]
    often = {size for size, count in Counter(sizes).items() if count > 1}
    return [
        hashlib.sha256(path.read_bytes()).digest() if size in often else str(path)
        for path, size in zip(paths, sizes, strict=True)
    ]


def shared(table: pd.DataFrame, names: Iterable[str], keys: Iterable[str | bytes]) -> list[str]:
    """Return a warning if parts of the data set share a picture under two names.

    Parameters
    ----------
    table : DataFrame
        Of the originals.
    names, keys : iterables
        Names of the pictures, and keys that are equal for identical pictures.
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
    """Combine equal warnings about many pictures into one with a number."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", image_files.PictureWarning)
        yield
    paths: dict[str, list[str]] = {}
    for warning in caught:
        message = warning.message
        if isinstance(message, image_files.PictureWarning):
            paths.setdefault(message.text, []).append(str(message.path))
        else:
            warnings.warn_explicit(message, None, warning.filename, warning.lineno)
    for text, names in paths.items():
        few = f"{len(names)} pictures ({some(names)})" if len(names) > 1 else names[0]
        warnings.warn(f"{few}: {text}", stacklevel=4)


@contextlib.contextmanager
def failing_together() -> Iterator[Callable]:
    """Let the reading of many files go on after an error; in the end, name all that failed.

    Yields
    ------
    callable
        ``tried(function, path, *arguments)`` returns ``function(path, *arguments)``, or None if
        that raises a ValueError.

    Raises
    ------
    ValueError
        At the end of the block, if a call failed.
    """
    failed = {}

    def tried(read, path, *arguments):
        try:
            return read(path, *arguments)
        except ValueError as error:
            failed[str(path)] = error

    yield tried
    errors = list(failed.values())
    if len(errors) > 1:
        names = some(list(failed), most=20)
        raise ValueError(
            f"{len(errors)} photographs cannot be read: {names}. The first: {errors[0]}"
        )
    if errors:
        raise errors[0]


def _other_size(folder: Path, row: tuple, size: image_files.Size) -> str:
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
