"""Tables of boxes: one object per image, from CSV, COCO JSON or a folder of Pascal VOC XML.

Whatever the format, a box becomes ``x1, y1, x2, y2`` in pixels of the image as it is shown, from 0
at its upper left edge, half open: a box around the whole image is ``0, 0, width, height``.

- CSV: columns ``image`` (or ``filename``) and either ``x1, y1, x2, y2``, taken as above, or
  ``xmin, ymin, xmax, ymax``, taken as in VOC, where tables of that kind come from; optional
  ``width, height`` of the image and ``label`` (or ``class``). Others are passed over.
- COCO: ``bbox`` is x, y, width, height, measured from 0 (cocodataset.org, "Data format").
  Annotations of crowds (``iscrowd``) are not of one object, and are passed over.
- VOC: an XML file per image. Pixels are counted from 1 and xmax, ymax belong to the box (VOC2012
  development kit, "Annotations": the upper left pixel is (1, 1)), so that x1 = xmin - 1, x2 = xmax.

A box may pass the edge of its image by less than half a pixel, and is cut off there. Nothing in
such a file is trusted: XML with a document type, where entities are, is refused.
"""

import math
import os
from pathlib import Path

import pandas as pd

from boxest.annotation_formats import CORNERS, SIDES, AnnotationError, Box, reader

COLUMNS = ["image", *CORNERS, *SIDES, "label"]
# Further outside of the image is no rounding of a tool that wrote the box.
ROUNDING = 0.5


def read(
    path: str | os.PathLike, *, label: str | None = None, several: str = "error"
) -> pd.DataFrame:
    """Read a table of boxes.

    Parameters
    ----------
    path : path-like
        A CSV file (.csv), a COCO file (.json), or a folder of VOC files (.xml).
    label : str, optional
        Take the boxes of objects of this name alone: ``label`` of CSV, the category's name of COCO,
        ``name`` of VOC.
    several : {"error", "largest"}, default="error"
        What to do where an image has several boxes: the network finds one.

    Returns
    -------
    pandas.DataFrame
        One row per image, in the order of the file: ``image`` (the path within the folder of
        images), ``x1, y1, x2, y2`` (float, pixels), ``width, height`` of the image (missing where
        the file does not say) and ``label`` (missing likewise).

    Raises
    ------
    AnnotationError
        Naming file, image and value: if the format is not known or the file is damaged, there is no
        box, a number is none, a box is empty or outside of its image, or an image has several.
    OSError
        If the file cannot be opened.
    """
    if several not in ("error", "largest"):
        raise ValueError(f"several must be 'error' or 'largest'; got {several!r}.")
    boxes: dict[str, Box] = {}
    seen = set()
    for box in reader(Path(path))(Path(path)):
        seen.add(box.label)
        if label is not None and box.label != label:
            continue
        box = _checked(box)
        other = boxes.setdefault(box.image, box)
        if other is not box:
            if several == "error":
                raise AnnotationError(
                    f"{box.where}: {box.image} has a second box (the first: {other.where}), and "
                    "the network finds one per image. Remove it, or take the largest box "
                    "(several='largest', --several largest)."
                )
            boxes[box.image] = max(other, box, key=_area)
    if not boxes:
        found = ", ".join(sorted(str(name) for name in seen if name is not None)) or "none"
        of = "" if label is None else f" of the label {label!r} (labels in the file: {found})"
        raise AnnotationError(f"{path} holds no box{of}: there is nothing to learn from.")
    rows = [(box.image, *box.corners, *box.size, box.label) for box in boxes.values()]
    table = pd.DataFrame(rows, columns=COLUMNS)
    kinds = {"image": "str", "width": "Int64", "height": "Int64", "label": "string"}
    return table.astype(kinds | dict.fromkeys(CORNERS, "float64"))


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


def _checked(box: Box) -> Box:
    """Return a box, cut off at the image; refuse one that is none, or names no image."""
    parts = Path(box.image.replace("\\", "/")).parts
    if not parts or "\0" in box.image or ".." in parts or Path(box.image).is_absolute():
        raise AnnotationError(
            f"{box.where}: the image must be named by its path within the folder of images; got "
            f"{box.image!r}."
        )
    return box._replace(corners=inside(box.where, box.image, box.corners, box.size))


def _area(box: Box) -> float:
    x1, y1, x2, y2 = box.corners
    return (x2 - x1) * (y2 - y1)
