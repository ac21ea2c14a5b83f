"""CSV: a line of names, then a line per box."""

import csv
import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from boxest.annotations.parsing import (
    CORNERS,
    MEANING,
    SIDES,
    AnnotationError,
    Box,
    Notes,
    edges,
    side,
    text,
)
from boxest.annotations.voc import NAMES as VOC_NAMES
from boxest.annotations.voc import decimals_remark
from boxest.files import regular

_IMAGE, _LABEL = ("image", "filename"), ("label", "class")
_MARKS = {b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}


def read(path: Path, coordinates: str, notes: Notes, split: str | None = None) -> Iterator[Box]:
    """Yield the boxes of the lines."""
    with open(path, "rb", opener=regular) as file:
        content = file.read()
    encoding = _MARKS.get(content[:2], "utf-8-sig")
    try:
        decoded = content.decode(encoding)
        delimiter = _delimiter(decoded)
        rows = csv.DictReader(
            io.StringIO(decoded, newline=""), delimiter=delimiter, skipinitialspace=True
        )
        names = _names(path, rows, split)
        written = "pixels-from-1" if names.corners is VOC_NAMES else "edges"
        coordinates = written if coordinates == "auto" else coordinates
        notes.read_as, decimals = MEANING[coordinates], 0
        for row in rows:
            box, decimal = _box(path, rows.line_num, row, names, coordinates, delimiter)
            decimals += decimal
            yield box
    except (csv.Error, UnicodeError) as error:
        raise AnnotationError(
            f"{path} is no CSV file in UTF-8: {error}. Save it as CSV in UTF-8."
        ) from error
    if decimals and coordinates == "pixels-from-1":
        notes.remarks.append(decimals_remark(path, decimals))


class _Names:
    """Which columns hold what."""

    def __init__(self, names: list[str], split: str | None):
        self.all, self.split = names, split
        self.image = _first(names, _IMAGE)
        self.label = _first(names, _LABEL)
        self.corners = next((c for c in (CORNERS, VOC_NAMES) if set(c) <= set(names)), None)


def _delimiter(content: str) -> str:
    """Return what divides the first line: spreadsheets write others than a comma."""
    line = content.split("\n", 1)[0]
    return max((",", ";", "\t"), key=line.count)


def _names(path: Path, rows: csv.DictReader, split: str | None) -> _Names:
    """Read the line of names; names that are empty, at its end, are dropped."""
    names = [name.strip() for name in rows.fieldnames or []]
    while names and not names[-1]:
        names.pop()
    rows.fieldnames = names
    found = _Names(names, split)
    if found.image is None or found.corners is None or len(set(names)) < len(names):
        values = sum(bool(re.fullmatch(r"-?[0-9.]+", name)) for name in names)
        raise AnnotationError(
            f"{path}: the first line must name the columns image (or filename) and x1, y1, x2, y2 "
            "(pixels from 0) or xmin, ymin, xmax, ymax (as in Pascal VOC), each once; got "
            f"{', '.join(names) or 'nothing'}."
            + (" It looks like a box: write a line of names above it." if values >= 4 else "")
        )
    if split is not None and split not in names:
        raise AnnotationError(
            f"{path} has no column {split!r} that says which part an image belongs to; it has "
            f"{', '.join(names)}."
        )
    return found


def _box(
    path: Path, line: int, row: dict, names: _Names, coordinates: str, delimiter: str
) -> tuple[Box, bool]:
    """Return the box of a line, and whether its corners are written with decimals."""
    where = f"{path}, line {line}"
    if any(row.pop(None, None) or []) or None in row.values():
        raise AnnotationError(
            f"{where} has another number of values than the first line of names "
            f"({len(names.all)}: {', '.join(names.all)}); values are divided by {delimiter!r}."
        )
    image = row[names.image].strip()
    values = {name: row[name].strip() for name in names.corners}
    if delimiter != ",":  # Where the comma is the decimal point.
        values = {name: value.replace(",", ".") for name, value in values.items()}
    corners = edges(where, image, values, coordinates)
    size = tuple(side(where, image, name, row.get(name)) for name in SIDES)
    part = None if names.split is None else row[names.split].strip()
    label = text(row.get(names.label))
    return Box(where, image, corners, size, label, path, part), any(
        "." in v for v in values.values()
    )


def _first(names: Any, wanted: tuple[str, ...]) -> str | None:
    """Return the first of the wanted names that is there."""
    return next((name for name in wanted if name in names), None)
