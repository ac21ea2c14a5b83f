"""Tables of boxes: one object per image, from CSV, COCO JSON or a folder of Pascal VOC XML.

Whatever the format, a box becomes ``x1, y1, x2, y2`` in pixels of the image as it is shown, from 0
at its upper left edge, half open: a box around the whole image is ``0, 0, width, height``.

- CSV: columns ``image`` (or ``filename``) and either ``x1, y1, x2, y2``, taken as above, or
  ``xmin, ymin, xmax, ymax``, taken as in VOC, where tables of that kind come from; optional
  ``width, height`` of the image and ``label`` (or ``class``). Others are passed over.
- COCO: ``bbox`` is x, y, width, height, measured from 0 (cocodataset.org, "Data format").
  Annotations of crowds (``iscrowd``) are not of one object, and are passed over.
- VOC: an XML file per image, in sub-folders as well. Pixels are counted from 1 and xmax, ymax
  belong to the box (VOC2012 development kit, "Annotations": the upper left pixel is (1, 1)), so
  that x1 = xmin - 1, x2 = xmax.

Where a file means something else, ``coordinates`` says so. A box may pass the edge of its image by
less than half a pixel, and is cut off there. Nothing in such a file is trusted: XML with a document
type, where entities are, is refused.
"""

import math
import os
from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from boxest import pictures
from boxest.annotations import coco, tables, voc
from boxest.annotations.folder import Folder, normal
from boxest.annotations.parsing import (
    COORDINATES,
    CORNERS,
    SIDES,
    AnnotationError,
    Box,
    Notes,
    say,
)

COLUMNS = ["image", *CORNERS, *SIDES, "label"]
# Further outside of the image is no rounding of a tool that wrote the box.
ROUNDING = 0.5


def read(
    path: str | os.PathLike,
    *,
    images: str | os.PathLike | None = None,
    label: str | None = None,
    several: str = "error",
    coordinates: str = "auto",
    split: str | None = None,
) -> pd.DataFrame:
    """Read a table of boxes.

    Parameters
    ----------
    path : path-like
        A CSV file (.csv), a COCO file (.json), or a folder of VOC files (.xml).
    images : path-like, optional
        Folder of the photographs. With it, names that are written in another way (backslashes,
        ``%20``, another form of Unicode) find their file, and two names of one file are noticed.
    label : str, optional
        Take the boxes of objects of this name alone: ``label`` of CSV, the category's name of COCO,
        ``name`` of VOC.
    several : {"error", "largest"}, default="error"
        What to do where an image has several boxes: the network finds one.
    coordinates : {"auto", "edges", "pixels-from-1", "pixels-from-0", "fractions"}, default="auto"
        What the four numbers of a box are. "auto": what the format says. "edges": x1, y1, x2, y2 in
        pixels, from 0. "pixels-from-1", "pixels-from-0": the first and the last pixel. "fractions":
        of width and height of the image; in COCO x, y, width and height.
    split : str, optional
        Column of a CSV file that says which part an image belongs to.

    Returns
    -------
    pandas.DataFrame
        One row per image, in the order of the file: ``image`` (the path within the folder of
        images), ``x1, y1, x2, y2`` (float, pixels), ``width, height`` of the image (missing where
        the file does not say) and ``label`` (missing likewise), and ``split``, where it was asked
        for. Its ``attrs`` have ``passed_over``, the images of objects that were left out by reason,
        ``read_as``, what the numbers were taken for, and ``remarks``, sentences on what may be
        meant otherwise.

    Raises
    ------
    AnnotationError
        Naming file, image and value: if the format is not known or the file is damaged, there is no
        box, a number is none, a box is empty or outside of its image, its numbers contradict what
        they are taken for, or an image has several boxes.
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
    boxes = _Boxes(
        Path(path), None if images is None else Folder(images), label, several, coordinates
    )
    for box in _reader(Path(path), coordinates, split, notes):
        boxes.add(box)
    table = boxes.table(with_split=split is not None)
    table.attrs = {"passed_over": boxes.passed_over, **vars(notes)}
    return table


def inside(
    where: str,
    image: str,
    corners: tuple[float, float, float, float],
    size: tuple[int | None, int | None],
) -> tuple[float, float, float, float]:
    """Check that a box has an area in an image of this width and height, where they are known.

    Returns
    -------
    tuple of float
        The box, cut off at the edges of the image, which it may pass by less than half a pixel.

    Raises
    ------
    AnnotationError
        Naming place, image, box and size.
    """
    width, height = (math.inf if side is None else side for side in size)
    x1, y1, x2, y2 = corners
    shown = "(" + ", ".join(f"{value:g}" for value in corners) + ")"
    if x1 <= -ROUNDING or y1 <= -ROUNDING or x2 >= width + ROUNDING or y2 >= height + ROUNDING:
        known = "" if None in size else f" of {width}×{height} pixels"
        raise AnnotationError(
            f"{where}: the box of {image}, {shown}, is not inside the image{known}: clip it."
        )
    cut = max(x1, 0.0), max(y1, 0.0), min(x2, float(width)), min(y2, float(height))
    if not (cut[0] < cut[2] and cut[1] < cut[3]):
        raise AnnotationError(
            f"{where}: the box of {image}, {shown}, is empty or flipped: x1 < x2 and y1 < y2 are "
            "needed, in pixels."
        )
    return cut


def _reader(path: Path, coordinates: str, split: str | None, notes: Notes) -> Iterator[Box]:
    """Choose the reader by what the path is."""
    kind = "folder" if path.is_dir() else path.suffix.lower()
    if split is not None and kind != ".csv":
        raise AnnotationError(
            f"{path}: a column that says which part an image belongs to ({split!r}) can be in a "
            "CSV file only; give three lists of images instead."
        )
    if kind == ".csv":
        return tables.read(path, coordinates, notes, split)
    if kind == ".json":
        return coco.read(path, coordinates, notes)
    if kind == "folder":
        return voc.read(path, "pixels-from-1" if coordinates == "auto" else coordinates, notes)
    raise AnnotationError(
        f"{path}: annotations are a .csv file, a .json file (COCO) or a folder of .xml files "
        f"(Pascal VOC), not {path.suffix or 'a file without suffix'}."
    )


class _Boxes:
    """The one box of each image, and what was passed over."""

    def __init__(self, path: Path, folder: Folder | None, label, several, coordinates: str):
        self.path, self.folder, self.label = path, folder, label
        self.several, self.coordinates = several, coordinates
        self.boxes: dict[str, Box] = {}
        self.passed_over: dict[str, list[str]] = {}
        self._files: dict[str, Path] = {}
        self._labels: set[str | None] = set()

    def add(self, box: Box) -> None:
        """Take an object, or count why it is not taken."""
        box = box._replace(image=self._name(box))
        if self._files.setdefault(box.image, box.file) != box.file:
            raise AnnotationError(
                f"{box.file} and {self._files[box.image]} speak of one photograph, {box.image}: "
                "correct <filename> in one of them."
            )
        if box.reason is None:
            self._labels.add(box.label)
            if self.label is not None and box.label != self.label.strip():
                known = "without a label" if box.label is None else f"of the label {box.label!r}"
                box = box._replace(reason=f"objects {known}")
        if box.reason is not None:
            self.passed_over.setdefault(box.reason, []).append(box.image)
            return
        box = box._replace(corners=self._pixels(box))
        other = self.boxes.setdefault(box.image, box)
        if other is not box:
            if self.several == "error":
                raise AnnotationError(
                    f"{box.where}: {box.image} has a second box (the first: {other.where}), and "
                    "the network finds one per image. Remove it, or take the largest box "
                    "(several='largest', --several largest)."
                )
            self.boxes[box.image] = max(other, box, key=_area)

    def _name(self, box: Box) -> str:
        """Return the path of an image within the folder of images; refuse what leads out of it."""
        name = normal(box.image)
        parts = Path(name.replace("\\", "/")).parts
        rooted = Path(name).is_absolute() or name.replace("\\", "/")[:1] == "/" or name[1:2] == ":"
        if not parts or "\0" in name or ".." in parts or rooted:
            more = self.folder.suggestion(name) if self.folder and parts else ""
            raise AnnotationError(
                f"{box.where}: the image must be named by its path within the folder of images; "
                f"got {box.image!r}.{more}"
            )
        below = "" if not self.path.is_dir() else box.file.parent.relative_to(self.path).as_posix()
        return self.folder.find(name, "" if below == "." else below) if self.folder else name

    def _pixels(self, box: Box) -> tuple[float, float, float, float]:
        """Return the corners in pixels, cut off at the image."""
        if self.coordinates == "fractions":
            size = box.size
            if None in size:
                if self.folder is None:
                    raise AnnotationError(
                        f"{box.where}: the size of {box.image} is not told, without which fractions"
                        " are no pixels: pass the folder of photographs (images=...)."
                    )
                size = pictures.size(self.folder.path / box.image)[:2]
            corners = tuple(c * s for c, s in zip(box.corners, size * 2, strict=True))
            return inside(box.where, box.image, corners, size)
        return inside(box.where, box.image, box.corners, box.size)

    def table(self, with_split: bool) -> pd.DataFrame:
        """Return the boxes, if there are any and they are in pixels."""
        if not self.boxes:
            found = ", ".join(sorted(str(name) for name in self._labels if name)) or "none"
            of = "" if self.label is None else f" of the label {self.label!r} (labels: {found})"
            counts = [f"{reason}: {len(images)}" for reason, images in self.passed_over.items()]
            passed = f" Passed over: {'; '.join(counts)}." if counts else ""
            raise AnnotationError(
                f"{self.path} holds no box{of}: there is nothing to learn from.{passed}"
            )
        corners = [box.corners for box in self.boxes.values()]
        if self.coordinates != "fractions" and max(map(max, corners)) <= 1:
            raise AnnotationError(
                f"{self.path}: the corners of all boxes lie within 0..1, where pixels are needed. "
                f"If they are fractions of width and height, pass {say('fractions')}."
            )
        rows = [
            (box.image, *box.corners, *box.size, box.label, box.split)
            for box in self.boxes.values()
        ]
        table = pd.DataFrame(rows, columns=[*COLUMNS, "split"])
        kinds = {"image": "str", "width": "Int64", "height": "Int64", "label": "string"}
        table = table.astype(kinds | dict.fromkeys(CORNERS, "float64"))
        return table if with_split else table.drop(columns="split")


def _area(box: Box) -> float:
    x1, y1, x2, y2 = box.corners
    return (x2 - x1) * (y2 - y1)
