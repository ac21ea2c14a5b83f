"""The IoU family, in numpy and in keras.ops, and checks of boxes.

A box is ``(x1, y1, x2, y2)``, its upper left and lower right corner divided by the image size, so
in 0..1. Pixels are half-open: a box covers the columns ``x1 * size`` to ``x2 * size - 1``, and its
width in pixels is ``(x2 - x1) * size``.

Each measure works element by element on arrays of shape (..., 4), is symmetric, is 1 for equal
boxes with an area, and takes the array library as `xp`: `numpy` or `keras.ops`. A flipped box
(``x2 < x1`` or ``y2 < y1``), which an untrained network predicts as often as a proper one, has
area 0. Every division is guarded: values and gradients are finite for all boxes, degenerate and
flipped ones included, as long as the squares of areas do not overflow.
"""

import math
import re
import warnings
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt

# Smallest denominator. Gradients of a quotient divide by its square, 1e-24, which is still a normal
# float32.
_TINY = 1e-12
# Smallest side in an aspect ratio (a hundredth of a pixel in 128): it bounds the gradient of
# arctan(w/h), which is w/(w² + h²), and leaves the ratio of every larger box exact.
_LEAST_SIDE = 1e-4
# Larger corners cannot be fractions, not even of a box that extends beyond the image.
_LARGEST = 2
# Columns of a box in a table.
CORNERS = ["x1", "y1", "x2", "y2"]
# Names of corners in other tables, in the same order, in lower case and without punctuation.
_CORNERS = (
    tuple(CORNERS),
    ("xmin", "ymin", "xmax", "ymax"),
    ("minx", "miny", "maxx", "maxy"),
    ("x0", "y0", "x1", "y1"),
    ("left", "top", "right", "bottom"),
    ("xleft", "ytop", "xright", "ybottom"),
    ("xtl", "ytl", "xbr", "ybr"),
)
_SIZES = {"w", "h", "width", "height"}


def corners_of(which: str) -> list[str]:
    """Return the columns of a box in a table with several boxes per row.

    Examples
    --------
    >>> corners_of("true")
    ['true_x1', 'true_y1', 'true_x2', 'true_y2']
    """
    return [f"{which}_{corner}" for corner in CORNERS]


def iou(a: Any, b: Any, xp: ModuleType = np) -> Any:
    """Geometric intersection over union: the area shared, divided by the area covered.

    Parameters
    ----------
    a, b : array or tensor of shape (..., 4)
        Boxes; the leading axes broadcast.
    xp : module
        `numpy` (the default) or `keras.ops`.

    Returns
    -------
    array or tensor of shape (...)
        In 0..1; 0 if the boxes do not overlap, or one is degenerate or flipped. The gradient is
        also 0 there.

    Examples
    --------
    >>> float(iou([0.0, 0.0, 0.5, 0.5], [0.0, 0.25, 0.5, 0.75]))
    0.3333333333333333
    """
    intersection, union = _areas(_corners(a, xp), _corners(b, xp), xp)
    return intersection / xp.maximum(union, _TINY)


def inclusive_iou(a: Any, b: Any, xp: ModuleType = np) -> Any:
    """Intersection over union with every side taken as ``x2 - x1 + 1``.

    This is the formula of the paper's references [3] (Tripathi 2017) and [5] (Rosebrock 2020),
    which use it for pixel indices, where both ends belong to the box. On coordinates divided by the
    image size, the 1 is a whole image: all boxes overlap, there is a gradient everywhere, and the
    size of the box hardly matters. A value of 0.96 corresponds to a geometric IoU of about 0.83.

    Parameters
    ----------
    a, b, xp
        As for `iou`.

    Returns
    -------
    array or tensor of shape (...)
        In 0..1. Sides are clipped at 0, which only affects boxes flipped by more than the image
        size.

    Examples
    --------
    >>> float(inclusive_iou([0.0, 0.0, 0.5, 0.5], [0.0, 0.25, 0.5, 0.75]))
    0.7142857142857143
    """
    intersection, union = _areas(_corners(a, xp), _corners(b, xp), xp, extra=1.0)
    return intersection / xp.maximum(union, _TINY)


def giou(a: Any, b: Any, xp: ModuleType = np) -> Any:
    """Generalised IoU: `iou` minus the share of the enclosing box that neither box covers.

    Rezatofighi et al., "Generalized intersection over union", CVPR 2019. The enclosing box spans
    all four corners in either order, so the position of a flipped box counts.

    Parameters
    ----------
    a, b, xp
        As for `iou`.

    Returns
    -------
    array or tensor of shape (...)
        In -1..1, never above `iou`.

    Examples
    --------
    >>> float(giou([0.0, 0.0, 0.25, 0.5], [0.75, 0.0, 1.0, 0.5]))
    -0.5
    """
    a, b = _corners(a, xp), _corners(b, xp)
    intersection, union = _areas(a, b, xp)
    width, height = _enclosing_sides(a, b, xp)
    enclosing = width * height
    return intersection / xp.maximum(union, _TINY) - (enclosing - union) / xp.maximum(
        enclosing, _TINY
    )


def diou(a: Any, b: Any, xp: ModuleType = np) -> Any:
    """Distance IoU: `iou` minus the squared distance of the centres over the squared diagonal.

    Zheng et al., "Distance-IoU loss", AAAI 2020. The diagonal is that of the enclosing box, as in
    `giou`.

    Parameters
    ----------
    a, b, xp
        As for `iou`.

    Returns
    -------
    array or tensor of shape (...)
        In -1..1, never above `iou`.

    Examples
    --------
    >>> float(diou([0.0, 0.0, 0.5, 1.0], [0.5, 0.0, 1.0, 1.0]))
    -0.125
    """
    a, b = _corners(a, xp), _corners(b, xp)
    intersection, union = _areas(a, b, xp)
    return intersection / xp.maximum(union, _TINY) - _centre_distance(a, b, xp)


def ciou(a: Any, b: Any, xp: ModuleType = np) -> Any:
    """Complete IoU: `diou` minus a penalty for a different aspect ratio.

    Zheng et al., AAAI 2020: the penalty is ``alpha * v`` with
    ``v = 4/pi² (arctan(wa/ha) - arctan(wb/hb))²`` and the trade-off ``alpha = v / (1 - IoU + v)``,
    which counts as a constant in the gradient.

    Parameters
    ----------
    a, b, xp
        As for `iou`. If `xp` has `stop_gradient`, it is applied to alpha.

    Returns
    -------
    array or tensor of shape (...)
        In -2..1, never above `diou`.

    Examples
    --------
    >>> float(ciou([0.0, 0.0, 0.5, 1.0], [0.5, 0.0, 1.0, 1.0]))  # the same shape: diou
    -0.125
    """
    a, b = _corners(a, xp), _corners(b, xp)
    intersection, union = _areas(a, b, xp)
    overlap = intersection / xp.maximum(union, _TINY)
    v = (4 / math.pi**2) * xp.square(_angle(a, xp) - _angle(b, xp))
    alpha = v / xp.maximum(1.0 - overlap + v, _TINY)
    alpha = getattr(xp, "stop_gradient", lambda constant: constant)(alpha)
    return overlap - _centre_distance(a, b, xp) - alpha * v


MEASURES = {"iou": iou, "inclusive_iou": inclusive_iou, "giou": giou, "diou": diou, "ciou": ciou}


def sides(boxes: npt.ArrayLike, image_size: npt.ArrayLike = 1) -> np.ndarray:
    """Return width and height (..., 2) of boxes (..., 4), in pixels if the image size is given.

    The size is one number, or width and height.

    Examples
    --------
    >>> sides([0.0, 0.25, 0.5, 0.5], image_size=128)
    array([64., 32.])
    """
    boxes = np.asarray(boxes, dtype=np.float64)
    return (boxes[..., 2:] - boxes[..., :2]) * np.asarray(image_size)


def check_boxes(boxes: npt.ArrayLike) -> np.ndarray:
    """Return target boxes as float64 of shape (n, 4), or raise an error that names what is wrong.

    A box without area is refused as well: no pixel shows it, and its IoU with any prediction is 0,
    so there is nothing to learn from it.

    Parameters
    ----------
    boxes : array-like of shape (n, 4)
        Boxes (x1, y1, x2, y2) in units of the image size. If a table names its columns after
        corners, the names count and not their order: see `in_order`.

    Raises
    ------
    ValueError
        If the shape is wrong, or a box is not finite, not inside 0..1, flipped or without area. The
        message names the first such row, its values, and how many there are.
    """
    if np.ma.is_masked(boxes):
        raise ValueError("boxes has masked values; remove such rows.")
    try:
        boxes = np.asarray(in_order(boxes), dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"boxes must be an array of numbers of shape (n, 4): {error}") from error
    if boxes.ndim != 2 or boxes.shape[1] != 4:
        raise ValueError(
            f"boxes must have the shape (n, 4), rows (x1, y1, x2, y2); got {boxes.shape}."
        )
    _refuse(boxes, ~np.isfinite(boxes).all(axis=1), "is not finite; remove such rows")
    _refuse(
        boxes,
        (boxes > _LARGEST).any(axis=1),
        "lies outside 0..1 and looks like pixels: divide by the image size, x by its width and y "
        "by its height",
    )
    outside = ((boxes < 0) | (boxes > 1)).any(axis=1)
    _refuse(boxes, outside, "lies outside 0..1: clip it to the image, as np.clip(boxes, 0, 1) does")
    side = sides(boxes)
    _refuse(
        boxes,
        (side < 0).any(axis=1),
        "is flipped (x2 < x1 or y2 < y1): give two corners (x1, y1, x2, y2), the upper left first, "
        "not (x, y, width, height)",
    )
    _refuse(
        boxes,
        (side == 0).any(axis=1),
        "has no area (x1 == x2 or y1 == y2), so no image shows it; remove it",
    )
    return boxes


def in_order(boxes: Any) -> Any:
    """Return a table of boxes as an array of x1, y1, x2, y2, ordered by the names of its columns.

    Parameters
    ----------
    boxes : array-like
        A table (a DataFrame, or a numpy array with named fields), or anything else, which is
        returned unchanged.

    Raises
    ------
    ValueError
        If the columns are a corner and a size, or there are more columns than the corners.

    Warns
    -----
    UserWarning
        If the names of the columns have no known meaning.

    Examples
    --------
    >>> corners = [("ymin", float), ("xmin", float), ("ymax", float), ("xmax", float)]
    >>> in_order(np.array([(0.1, 0.2, 0.3, 0.4)], dtype=corners))
    array([[0.2, 0.1, 0.4, 0.3]])
    """
    fields = getattr(getattr(boxes, "dtype", None), "names", None)
    names = list(fields if fields is not None else getattr(boxes, "columns", ()))
    if not all(isinstance(name, str) for name in names):
        return boxes
    plain = [re.sub("[^a-z0-9]", "", name.lower()) for name in names]
    plain = [re.sub("^b?box(?=.)", "", name) for name in plain]
    for corners in _CORNERS:
        if set(corners) <= set(plain):
            if len(names) != 4:
                raise ValueError(f"boxes have the columns {names}: give only the four corners.")
            order = [names[plain.index(corner)] for corner in corners]
            return np.stack([np.asarray(boxes[name]) for name in order], axis=1)
    if set(plain) & _SIZES:
        raise ValueError(
            f"boxes have the columns {names}, a position and a size. Give two corners: for an "
            "upper left corner x, y, these are (x, y, x + width, y + height); for a centre, (x - "
            "width / 2, y - height / 2, x + width / 2, y + height / 2)."
        )
    if len(names) == 4 and not all(map(str.isdigit, plain)):
        warnings.warn(
            f"boxes have the columns {names}, which are taken as x1, y1, x2, y2 in this order. "
            "Give them these names, or pass an array.",
            UserWarning,
            stacklevel=2,
        )
    return boxes if fields is None else np.stack([boxes[name] for name in names], axis=1)


def _refuse(boxes: np.ndarray, wrong: np.ndarray, what: str) -> None:
    """Raise a ValueError about the first row of `boxes` that is `wrong`, if one is."""
    rows = np.flatnonzero(wrong)
    if len(rows):
        # Digits enough for what rounding in single precision adds to 1.
        first = ", ".join(f"{value:.8g}" for value in boxes[rows[0]])
        raise ValueError(
            f"box {rows[0]}, ({first}), {what}. Such boxes: {len(rows)} of {len(boxes)}."
        )


def _corners(box: Any, xp: ModuleType) -> tuple:
    """Split boxes (..., 4) into x1, y1, x2, y2; numpy input becomes float64."""
    if xp is np:  # as float, because differences of unsigned integers wrap around
        box = np.asarray(box, dtype=np.float64)
    if len(box.shape) == 0 or box.shape[-1] not in (4, None):  # None: unknown so far, in a graph
        raise ValueError(f"boxes must have the shape (..., 4); got {tuple(box.shape)}.")
    return box[..., 0], box[..., 1], box[..., 2], box[..., 3]


def _areas(a: tuple, b: tuple, xp: ModuleType, extra: float = 0.0) -> tuple:
    """Return the areas of intersection and union, with `extra` added to each side, clipped at 0."""

    def area(x1, y1, x2, y2):
        return xp.maximum(x2 - x1 + extra, 0.0) * xp.maximum(y2 - y1 + extra, 0.0)

    upper_left = xp.maximum(a[0], b[0]), xp.maximum(a[1], b[1])
    lower_right = xp.minimum(a[2], b[2]), xp.minimum(a[3], b[3])
    intersection = area(*upper_left, *lower_right)
    return intersection, area(*a) + area(*b) - intersection


def _enclosing_sides(a: tuple, b: tuple, xp: ModuleType) -> tuple:
    """Return width and height of the box around all corners of both boxes."""

    def extent(*values):
        low = xp.minimum(xp.minimum(values[0], values[1]), xp.minimum(values[2], values[3]))
        high = xp.maximum(xp.maximum(values[0], values[1]), xp.maximum(values[2], values[3]))
        return high - low

    return extent(a[0], a[2], b[0], b[2]), extent(a[1], a[3], b[1], b[3])


def _centre_distance(a: tuple, b: tuple, xp: ModuleType) -> Any:
    """Return the squared distance of the centres over the squared diagonal of the enclosing box."""
    width, height = _enclosing_sides(a, b, xp)
    diagonal = xp.square(width) + xp.square(height)
    distance = xp.square((a[0] + a[2] - b[0] - b[2]) / 2) + xp.square(
        (a[1] + a[3] - b[1] - b[3]) / 2
    )
    return distance / xp.maximum(diagonal, _TINY)


def _angle(box: tuple, xp: ModuleType) -> Any:
    """Return the angle between diagonal and vertical, arctan(width / height), in 0..pi/2."""
    x1, y1, x2, y2 = box
    return xp.arctan(xp.maximum(x2 - x1, _LEAST_SIDE) / xp.maximum(y2 - y1, _LEAST_SIDE))
