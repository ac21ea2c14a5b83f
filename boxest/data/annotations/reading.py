"""Read a table of boxes in any format."""

import errno
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

import pandas as pd

from boxest.data.annotations import coco, csv, masks, tools, voc
from boxest.data.annotations.fields import COORDINATES, AnnotationError, Box, Notes
from boxest.data.annotations.folder import Folder
from boxest.data.annotations.selection import Boxes


def read(
    path: str | os.PathLike,
    *,
    images: str | os.PathLike | None = None,
    label: str | None = None,
    several: str = "error",
    coordinates: str = "auto",
    split: str | None = None,
    columns: Mapping[str, str] | None = None,
) -> pd.DataFrame:
    """Read a table of boxes.

    Parameters
    ----------
    path : path-like
        A CSV file (.csv), a COCO file (.json), a CVAT file (.xml), or a folder of VOC files (.xml),
        YOLO files (.txt), LabelMe files (.json) or masks.
    images : path-like, optional
        Folder of the photographs. With it, names that are written differently (backslashes,
        ``%20``, another form of Unicode) find their file, and two names for one file are noticed.
    label : str, optional
        Use only boxes with this label: ``label`` in CSV, the name of the category in COCO, ``name``
        in VOC.
    several : {"error", "largest"}, default="error"
        What to do if an image has several boxes, because the network finds one.
    coordinates : {"auto", "edges", "pixels-from-1", "pixels-from-0", "fractions"}, default="auto"
        Meaning of the four numbers of a box. "auto": as the format says. "edges": x1, y1, x2, y2 in
        pixels, from 0. "pixels-from-1", "pixels-from-0": first and last pixel. "fractions":
        fractions of width and height of the image; in COCO x, y, width and height.
    split : str, optional
        Column of a CSV file with the part of each image.
    columns : mapping of str to str, optional
        Names of columns in a CSV file: ``{"image": "path", "x1": "left", …}``; of ``image, x1, y1,
        x2, y2, xmin, ymin, xmax, ymax, width, height, label``.

    Returns
    -------
    pandas.DataFrame
        One row per image, in the order of the file: ``image`` (the path within the folder of
        images), ``x1, y1, x2, y2`` (float, pixels), ``width, height`` of the image and ``label``
        (missing if the file does not state them), and ``split``, if requested. Its ``attrs`` hold
        ``passed_over``, the images of skipped objects by reason, ``read_as``, how the numbers were
        read, and ``remarks``, sentences about doubtful points.

    Raises
    ------
    AnnotationError
        If the format is unknown, the file is damaged or has no box, a number is invalid, a box is
        empty or outside of its image, its numbers contradict their meaning, or an image has several
        boxes. The message names file, image and value.
    OSError
        If the file cannot be opened.
    """
    if several not in ("error", "largest"):
        raise ValueError(f"several must be 'error' or 'largest'; got {several!r}.")
    if coordinates not in COORDINATES:
        raise ValueError(
            f"coordinates must be one of {', '.join(COORDINATES)}; got {coordinates!r}."
        )
    notes = Notes()
    folder = None if images is None else Folder(images)
    boxes = Boxes(Path(path), folder, label, several, notes)
    for box in _objects(Path(path), folder, coordinates, split, columns, notes):
        boxes.add(box)
    table = boxes.table(with_split=split is not None)
    table.attrs = {
        "passed_over": boxes.passed_over,
        "read_as": notes.read_as,
        "remarks": notes.remarks,
    }
    return table


def _objects(
    path: Path,
    folder: Folder | None,
    coordinates: str,
    split: str | None,
    columns: Mapping[str, str] | None,
    notes: Notes,
) -> Iterator[Box]:
    """Choose the reader for a path."""
    kind = _kind(path)
    if kind == ".csv":
        return csv.read(path, coordinates, notes, split, columns or {})
    if split is not None or columns:
        lists = "; give three lists that say which part an image belongs to" if split else ""
        raise AnnotationError(f"{path}: columns can only be named for a CSV file{lists}.")
    if kind == "COCO":
        return coco.read(path, coordinates, notes)
    if kind == "Pascal VOC":
        kind = "pixels-from-1" if coordinates == "auto" else coordinates
        return voc.read(path, kind, notes, folder)
    if coordinates != "auto":
        raise AnnotationError(
            f"{path} is read as {kind}, whose coordinates have a fixed meaning; {coordinates!r} "
            "only applies to CSV, COCO and Pascal VOC."
        )
    readers = {"YOLO": tools.read_yolo, "LabelMe": tools.read_labelme, "CVAT": tools.read_cvat}
    return (readers | {"masks": masks.read})[kind](path, folder, notes)


def _kind(path: Path) -> str:
    """Return the format, from the suffix of a file or from the files in a folder."""
    if not path.exists():
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))
    of_files = {".csv": ".csv", ".json": "COCO", ".xml": "CVAT"}
    if not path.is_dir():
        if path.suffix.lower() in of_files:
            return of_files[path.suffix.lower()]
        raise AnnotationError(
            f"{path}: annotations are a .csv file, a .json file (COCO), an .xml file (CVAT), or a "
            "folder of .xml (Pascal VOC), .txt (YOLO), .json (LabelMe) or masks; not "
            f"{path.suffix or 'a file without suffix'}."
        )
    for suffix, kind in ((".xml", "Pascal VOC"), (".txt", "YOLO"), (".json", "LabelMe")):
        if tools.files(path, suffix):
            return kind
    if Folder(path).pictures():
        return "masks"
    raise AnnotationError(
        f"{path} is a folder without .xml files (Pascal VOC), .txt files (YOLO), .json files "
        "(LabelMe) or pictures (masks)."
    )
