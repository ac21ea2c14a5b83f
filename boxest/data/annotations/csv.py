"""CSV: a header, then one line per box."""

import csv
import io
import re
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from boxest.boxes import CORNERS
from boxest.data.annotations.fields import (
    MEANING,
    SIDES,
    AnnotationError,
    Box,
    Notes,
    edges,
    side,
    text,
)
from boxest.data.annotations.voc import NAMES as VOC_NAMES
from boxest.data.annotations.voc import decimals_remark
from boxest.system.files import regular

_IMAGE, _LABEL = ("image", "filename", "imageid"), ("label", "class", "labelname")
# Columns that may have other names.
NAMES = ("image", *CORNERS, *VOC_NAMES, *SIDES, "label")


def read(
    path: Path, coordinates: str, notes: Notes, split: str | None, columns: Mapping[str, str]
) -> Iterator[Box]:
    """Yield the boxes of the lines; ``columns`` gives the names of some columns in the file."""
    with open(path, "rb", opener=regular) as file:
        content = file.read()
    decimals, line = 0, 1
    try:
        rows = _rows(path, content.decode(_encoding(content)), _called(columns))
        names = _names(path, rows, split, columns)
        coordinates = names.coordinates if coordinates == "auto" else coordinates
        notes.read_as, notes.fractions = MEANING[coordinates], coordinates == "fractions"
        line = rows.line_num + 1
        for row in rows:
            line = rows.line_num + 1
            # Spreadsheets leave lines of separators at the end.
            if _is_blank(row):
                continue
            box, decimal = _box(path, rows, row, names, coordinates)
            decimals += decimal
            yield box
    except csv.Error as error:
        raise AnnotationError(
            f"{path} is not a CSV file: {error}, from line {line} on. Quotation marks must come in "
            'pairs around a whole value, and be doubled within it: "5"" disk".'
        ) from error
    except UnicodeError as error:
        raise AnnotationError(
            f"{path} is not a CSV file in UTF-8: {error}. Save it as CSV in UTF-8."
        ) from error
    if decimals and coordinates == "pixels-from-1":
        notes.remarks.append(decimals_remark(path, decimals))


class _Names:
    """The columns by meaning."""

    def __init__(self, names: list[str], split: str | None, named: Collection[str]):
        self.all, self.split = names, split
        self.image = _first(names, _IMAGE)
        self.label = _first(names, _LABEL)
        # Of both, those for which the user has named columns.
        kinds = sorted((CORNERS, VOC_NAMES), key=lambda kind: not set(kind) & set(named))
        self.corners = next((kind for kind in kinds if set(kind) <= set(names)), None)

    @property
    def coordinates(self) -> str:
        """The default meaning of the corners."""
        if self.image == "imageid" and self.corners is VOC_NAMES:  # As in OpenImages.
            return "fractions"
        return "pixels-from-1" if self.corners is VOC_NAMES else "edges"


def _encoding(content: bytes) -> str:
    """Return UTF-8, or the UTF-16 of spreadsheets, recognised by a byte order mark or zeros."""
    if content[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return "utf-16"
    zeros = content[:2].find(b"\0")
    return {-1: "utf-8-sig", 0: "utf-16-be", 1: "utf-16-le"}[zeros]


def _called(columns: Mapping[str, str]) -> dict[str, str]:
    """Return our name for a column, given its name in the file."""
    unknown = [name for name in columns if name not in NAMES]
    if unknown:
        raise AnnotationError(f"columns may name {', '.join(NAMES)}; got {', '.join(unknown)}.")
    return {theirs.strip().lower(): ours for ours, theirs in columns.items()}


def _rows(path: Path, content: str, called: Mapping[str, str]) -> csv.DictReader:
    """Split lines at the separator of the first line; spreadsheets do not only write commas."""
    found, wrong = [], None
    for delimiter in (",", ";", "\t"):
        file = io.StringIO(content, newline="")
        # Otherwise, a quotation mark without its pair would swallow all lines after it.
        rows = csv.DictReader(file, delimiter=delimiter, skipinitialspace=True, strict=True)
        try:
            names = [name.strip().lower() for name in rows.fieldnames or []]
        except csv.Error as error:
            wrong = error
            continue
        while names and not names[-1]:  # Empty names at the end.
            names.pop()
        # A column whose name the user has given to another one is ignored.
        aside = {name: f"{name} of the file" for name in called.values()}
        rows.fieldnames = [called.get(name, aside.get(name, name)) for name in names]
        known = len({*_IMAGE, *CORNERS, *VOC_NAMES} & set(rows.fieldnames))
        found.append((known, rows, names))
    if not found:
        raise wrong
    _, rows, names = max(found, key=lambda each: each[0])
    if absent := [name for name in called if name not in names]:
        raise AnnotationError(
            f"{path} has no column {absent[0]!r}, which columns (--columns) name as "
            f"{called[absent[0]]}; it has {', '.join(names) or 'nothing'}."
        )
    return rows


def _names(
    path: Path, rows: csv.DictReader, split: str | None, columns: Mapping[str, str]
) -> _Names:
    """Find the columns in the header."""
    names = list(rows.fieldnames)
    found = _Names(names, split and split.strip().lower(), columns)
    if found.image is None or found.corners is None or len(set(names)) < len(names):
        values = sum(bool(re.fullmatch(r"-?[0-9.]+", name)) for name in names)
        raise AnnotationError(
            f"{path}: the first line must name the columns image (or filename) and x1, y1, x2, y2 "
            "(pixels from 0) or xmin, ymin, xmax, ymax (as in Pascal VOC), each once; got "
            f"{', '.join(names) or 'nothing'}."
            + (" It looks like a box: write a line of names above it." if values >= 4 else "")
        )
    if found.split is not None and found.split not in names:
        raise AnnotationError(
            f"{path} has no column {split!r} with the part of each image; it has "
            f"{', '.join(names)}."
        )
    return found


def _is_blank(row: Mapping[str | None, Any]) -> bool:
    """Whether a line holds nothing but separators."""
    values = [*(row.get(None) or []), *(value for name, value in row.items() if name is not None)]
    return not any(value and value.strip() for value in values)


def _box(
    path: Path, rows: csv.DictReader, row: dict, names: _Names, coordinates: str
) -> tuple[Box, bool]:
    """Return the box of a line, and whether its corners have decimals."""
    where, delimiter = f"{path}, line {rows.line_num}", rows.reader.dialect.delimiter
    if any(row.pop(None, None) or []) or None in row.values():
        raise AnnotationError(
            f"{where} has another number of values than the header ({len(names.all)}: "
            f"{', '.join(names.all)}); the separator is {delimiter!r}."
        )
    image = row[names.image]
    values = {name: row[name].strip() for name in names.corners}
    sides = {name: row[name] for name in SIDES if name in row}
    if delimiter != ",":  # In files with a decimal comma.
        values, sides = (
            {name: value.replace(",", ".") for name, value in part.items()}
            for part in (values, sides)
        )
    label = text(row.get(names.label))
    if row.get("isgroupof", "").strip() == "1":
        return Box.skipped(where, image, path, "groups (IsGroupOf)"), False
    corners = edges(where, image, values, coordinates)
    size = tuple(side(where, image, name, sides.get(name)) for name in SIDES)
    part = None if names.split is None else row[names.split].strip()
    box = Box(where, image, corners, size, label, path, part)
    return box, any("." in value for value in values.values())


def _first(names: Any, wanted: tuple[str, ...]) -> str | None:
    """Return the first of the wanted names that exists."""
    return next((name for name in wanted if name in names), None)
