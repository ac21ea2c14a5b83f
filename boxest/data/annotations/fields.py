"""Parts that the readers of all formats share: boxes as written, and numbers from texts."""

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

SIDES = ["width", "height"]
# How to read the four numbers of a box; "auto" means as the format says.
COORDINATES = ("auto", "edges", "pixels-from-1", "pixels-from-0", "fractions")
MEANING = {
    "edges": "x1, y1, x2, y2: edges in pixels, from 0",
    "pixels-from-1": "first and last pixel, counted from 1, as in Pascal VOC",
    "pixels-from-0": "first and last pixel, counted from 0",
    "fractions": "x1, y1, x2, y2: fractions of width and height",
}
# Why a box that was drawn at an angle is skipped: its corners are those before it was turned.
TURNED = "turned boxes"


class AnnotationError(ValueError):
    """An unusable table of boxes; the message names file, image, value and remedy."""


@dataclass
class Notes:
    """The report of a reader: how it read the numbers, and what may be meant otherwise.

    ``fractions`` is set if corners are given as fractions of the image.
    """

    read_as: str = ""
    fractions: bool = False
    remarks: list[str] = field(default_factory=list)


class Box(NamedTuple):
    """A box as written in a file, and its place there.

    ``size`` is the size of the image, and ``split`` its part of the data set, if the file states
    them. An object that is skipped has a ``reason`` and no corners.
    """

    where: str
    image: str
    corners: tuple[float, float, float, float] | None
    size: tuple[int | None, int | None]
    label: str | None
    file: Path
    split: str | None = None
    reason: str | None = None

    @classmethod
    def skipped(cls, where: str, image: str, file: Path, reason: str) -> "Box":
        """Return an object that is left out, without its corners."""
        return cls(where, image, None, (None, None), None, file, reason=reason)


def say(coordinates: str) -> str:
    """Return how to set coordinates in Python and on the command line."""
    return f"coordinates={coordinates!r} (--coordinates {coordinates})"


def edges(
    where: str, image: str, values: dict[str, Any], coordinates: str
) -> tuple[float, float, float, float]:
    """Return the corners of a box as edges from 0, or as fractions if they are fractions."""
    numbers = [number(where, image, name, value) for name, value in values.items()]
    told = f"{', '.join(values)} of {image} are {', '.join(f'{n:.4g}' for n in numbers)}"
    if coordinates == "fractions":
        if not are_fractions(numbers):
            raise AnnotationError(
                f"{where}: {told}, but fractions of width and height lie within 0..1. If they are "
                f"pixels, pass {say('edges')}."
            )
        return tuple(numbers)
    if are_fractions(numbers) and not all(value == int(value) for value in numbers):
        raise AnnotationError(
            f"{where}: {told}: all within 0..1, but pixels are needed. If they are fractions of "
            f"width and height, pass {say('fractions')}."
        )
    if coordinates == "edges":
        return tuple(numbers)
    first = int(coordinates[-1])
    for name, value in zip(values, numbers, strict=True):
        if value < first:
            raise AnnotationError(
                f"{where}: {name} of {image} is {value:g}, but Pascal VOC counts pixels from 1. If "
                f"they are counted from 0, pass {say('edges')} if x2 and y2 are the first pixel "
                "outside of the box, or 'pixels-from-0' if they are the last pixel inside."
            )
        if value != int(value):
            raise AnnotationError(
                f"{where}: {name} of {image} is {value:g}, but first and last pixel are whole "
                "numbers, also in Pascal VOC. If the corners are edges in pixels, from 0, pass "
                f"{say('edges')}."
            )
    return numbers[0] - first, numbers[1] - first, numbers[2] - first + 1, numbers[3] - first + 1


def are_fractions(numbers: Iterable[float]) -> bool:
    """Whether numbers lie within 0..1, as fractions of an image do, up to rounding."""
    return all(-0.01 <= value <= 1.01 for value in numbers)


def number(where: str, image: str, name: str, value: Any) -> float:
    """Return a finite number, or raise an error."""
    try:
        if isinstance(value, bool):
            raise TypeError
        found = float(value)
    except (TypeError, ValueError, OverflowError):
        found = math.nan
    if not math.isfinite(found):
        raise AnnotationError(f"{where}: {name} of {image} must be a number; got {value!r}.")
    return found


def side(where: Any, image: str, name: str, value: Any) -> int | None:
    """Return the width or height of an image; None if it is missing or 0."""
    if value is None or value == "":
        return None
    try:
        found = float(value)
    except (TypeError, ValueError, OverflowError):
        found = -1.0
    if not 0 <= found < 2**31 or found != int(found):
        raise AnnotationError(
            f"{where}: the {name} of {image} must be a whole number of pixels; got {value!r}."
        )
    return int(found) or None


def is_turned(angle: Any) -> bool:
    """Whether this is an angle, in degrees, at which a box is not upright."""
    try:
        return math.isfinite(found := float(angle)) and found % 360 != 0
    except (TypeError, ValueError, OverflowError):
        return False


def text(value: Any) -> str | None:
    """Return a label without spaces around it; None if it is empty."""
    return None if value is None else str(value).strip() or None


def some(names: list[str], most: int = 3) -> str:
    """Return names in one line, shortened if there are many; file names may contain any bytes."""
    line = ", ".join(names[:most]) + (", …" if len(names) > most else "")
    return line.encode(errors="backslashreplace").decode()
