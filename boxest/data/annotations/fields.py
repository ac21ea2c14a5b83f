"""What the readers of all formats share: a box as it is written, and numbers read from texts."""

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

SIDES = ["width", "height"]
# How four numbers of a box are read: "auto" is what the format says.
COORDINATES = ("auto", "edges", "pixels-from-1", "pixels-from-0", "fractions")
MEANING = {
    "edges": "x1, y1, x2, y2: edges in pixels, from 0",
    "pixels-from-1": "first and last pixel, counted from 1, as in Pascal VOC",
    "pixels-from-0": "first and last pixel, counted from 0",
    "fractions": "x1, y1, x2, y2: fractions of width and height",
}


class AnnotationError(ValueError):
    """A table of boxes that cannot be used: names the file, the image, the value, what to do."""


@dataclass
class Notes:
    """What a reader has to say: how it took the numbers, and what may be meant otherwise.

    ``fractions`` is set where corners are given as fractions of the image.
    """

    read_as: str = ""
    fractions: bool = False
    remarks: list[str] = field(default_factory=list)


class Box(NamedTuple):
    """A box as it is written, and where.

    ``size`` is that of the image, where it is told; ``split`` the part of the data set, likewise.
    An object that is passed over has a ``reason``, and no corners.
    """

    where: str
    image: str
    corners: tuple[float, float, float, float] | None
    size: tuple[int | None, int | None]
    label: str | None
    file: Path
    split: str | None = None
    reason: str | None = None


def say(coordinates: str) -> str:
    """Return how to ask for coordinates, in Python and on the command line."""
    return f"coordinates={coordinates!r} (--coordinates {coordinates})"


def edges(
    where: str, image: str, values: dict[str, Any], coordinates: str
) -> tuple[float, float, float, float]:
    """Return the corners of a box as edges from 0, or as fractions, whichever they are."""
    numbers = [number(where, image, name, value) for name, value in values.items()]
    whole = all(value == int(value) for value in numbers)
    if coordinates == "fractions":
        return tuple(numbers)
    if not whole and min(numbers) >= -0.01 and max(numbers) <= 1.01:
        raise AnnotationError(
            f"{where}: {', '.join(values)} of {image} are {', '.join(f'{n:.4g}' for n in numbers)}:"
            " all within 0..1, where pixels are needed. If they are fractions of width and height, "
            f"pass {say('fractions')}."
        )
    if coordinates == "edges":
        return tuple(numbers)
    first = int(coordinates[-1])
    for name, value in zip(values, numbers, strict=True):
        if value < first:
            raise AnnotationError(
                f"{where}: {name} of {image} is {value:g}, but Pascal VOC counts pixels from 1. If "
                f"they are counted from 0, pass {say('edges')} where x2 and y2 are the first pixel "
                "outside of the box, or 'pixels-from-0' where they are the last pixel inside."
            )
        if value != int(value):
            raise AnnotationError(
                f"{where}: {name} of {image} is {value:g}, and first and last pixel are whole "
                "numbers, in Pascal VOC too. If the corners are edges in pixels, from 0, pass "
                f"{say('edges')}."
            )
    return numbers[0] - first, numbers[1] - first, numbers[2] - first + 1, numbers[3] - first + 1


def number(where: str, image: str, name: str, value: Any) -> float:
    """Return a finite number, or say that it is none."""
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
    """Return the width or height of an image; None where it is not told, or 0, as tools write."""
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


def text(value: Any) -> str | None:
    """Return a label without spaces around it; None where there is none."""
    return None if value is None else str(value).strip() or None


def some(names: list[str], most: int = 3) -> str:
    """Return names in a line, not all where they are many; names of files may be any bytes."""
    line = ", ".join(names[:most]) + (", …" if len(names) > most else "")
    return line.encode(errors="backslashreplace").decode()
