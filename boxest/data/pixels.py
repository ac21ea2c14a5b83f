"""The meaning of the numbers in images, which `fit` determines and `predict` follows.

A network takes 0 as black and 1 as white. Which number is white follows from the type of the
numbers and, if that is not enough, from the values that `fit` sees:

=========================================  =====================================================
bool                                       1
uint8                                      255
whole numbers and floats within 0..1       1
the same with the largest in 64..255       255
whole numbers, largest in 1024..4095       4095 (12 bits)
whole numbers, largest in 16384..65535     65535 (16 bits)
uint16 with another largest value          least of 255, 4095, 65535 that holds all; a warning
with negative numbers, as standardised     none: used unchanged, with a warning beyond ±16
others                                     none: used unchanged, with a warning
=========================================  =====================================================

Floats may exceed these limits by a tenth of white, as after a cubic interpolation. The columns of a
table, whose rows are too short for an image, are measured values and are used unchanged.

Later images, for example in `predict`, are read in the same way in every call if they have the same
type. With another type, they are scaled so that white stays white: a network fitted on uint8 also
takes the same images as floats in 0..1 or in 0..255. Values that cannot match those of `fit` are
refused, and doubtful ones cause a warning. A network that was fitted on unchanged numbers also uses
later ones unchanged, and these must be similar.
"""

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from boxest.data.inputs import Images, ShardImages

WHITES = (1, 255, 4095, 65535)
# Values up to a tenth of white beyond black and white come from an interpolation; up to four times
# white, noise may have been added. Beyond that they have another meaning.
OVERSHOOT = 0.1
NOISE = 4
# Standardised images seldom have larger values.
CENTRED = 16
# For each white, the share of it below which the largest value probably has another unit: images
# that were divided twice, in 0..1, or of 8 bits.
DARK = {1: 1 / 250, 255: NOISE / 255, 4095: 1 / 16, 65535: 1 / 16}
# Numbers that are used unchanged may be this much larger or smaller than those of `fit`.
ALIKE = 16


class Pixels(NamedTuple):
    """How `fit` read the numbers in its images.

    Parameters
    ----------
    dtype : str
        Their type, as numpy names it.
    white : int or None
        The number that was read as 1; None if the numbers were used unchanged.
    low, high : float or None
        Their smallest and largest value. None for a table.
    two_levels : bool
        Whether they were black and white, without a grey between.
    """

    dtype: str
    white: int | None
    low: float | None
    high: float | None
    two_levels: bool

    def __str__(self) -> str:
        values = "" if self.high is None else f" and values {self.low:g}..{self.high:g}"
        return f"dtype {self.dtype}{values}"


@dataclass
class Reader:
    """Reads images as input for the network, and checks their values.

    Parameters
    ----------
    images : boxest.data.inputs.Images or boxest.data.inputs.ShardImages
    fitted : Pixels or None
        How `fit` read its images; None if these are the images of `fit`.

    Attributes
    ----------
    pixels : Pixels
        How the images were read, once all blocks are read; for later images, `fitted`.
    """

    images: "Images | ShardImages"
    fitted: Pixels | None = None

    def blocks(self) -> Iterator[np.ndarray]:
        """Yield bool, uint8 (0..255) or float32 (0..1, or unchanged).

        Raises
        ------
        ValueError
            If the values cannot match those of `fit`, or uint8 only holds 0 and 1.

        Warns
        -----
        UserWarning
            If the values are doubtful.
        """
        found = None if self._white_is_known() else self._range()
        white = self._white(found)
        seen = _Range()
        for block in self.images.blocks():
            if found is None:
                seen = seen.with_values(block)
            yield _scaled(block, white)
        self._finish(white, found or seen)

    def _white_is_known(self) -> bool:
        """Whether the type alone says which number is white, so that one pass is enough."""
        kind = _kind(self.images.dtype)
        if self.fitted is None:
            return kind in ("bool", "uint8") or self.images.is_table
        as_it_is = self.fitted.white is None
        return as_it_is or kind in ("bool", _kind(np.dtype(self.fitted.dtype)))

    def _range(self) -> "_Range":
        found = _Range()
        for block in self.images.blocks():
            found = found.with_values(block)
        return found

    def _white(self, found: "_Range | None") -> int | None:
        dtype = self.images.dtype
        if self.fitted is not None:
            return _white_again(dtype, found, self.fitted)
        if found is None:
            return {"bool": 1, "uint8": 255}.get(_kind(dtype))
        return _white_at_first(dtype, found)

    def _finish(self, white: int | None, seen: "_Range") -> None:
        """Check the values after all are known, and store their range."""
        dtype = self.images.dtype
        pixels = Pixels(dtype.name, white, seen.low, seen.high, seen.least == seen.high == white)
        if self.fitted is not None:
            _check_again(pixels, self.fitted)
            self.pixels = self.fitted
        elif white is None and self.images.is_table:
            self.pixels = pixels._replace(low=None, high=None)
        else:
            _check_at_first(pixels)
            self.pixels = pixels


class _Range(NamedTuple):
    """Smallest value, smallest one above 0, and largest value."""

    low: float = np.inf
    least: float = np.inf
    high: float = -np.inf

    def with_values(self, block: np.ndarray) -> "_Range":
        """Extend the range by these values; NaN, if it is allowed, does not count."""
        if block.dtype == bool:
            low, least, high = float(block.all()), 1.0, float(block.any())
        elif block.dtype == np.uint8:
            # Zero wraps around to 255: much faster than selecting what is above it.
            low, least, high = block.min(), int((block - np.uint8(1)).min()) + 1, block.max()
        else:
            low, high = np.fmin.reduce(block, axis=None), np.fmax.reduce(block, axis=None)
            least = np.min(block, where=block > 0, initial=np.inf)
        return _Range(
            float(min(self.low, low)), float(min(self.least, least)), float(max(self.high, high))
        )


def _kind(dtype: np.dtype) -> str:
    if dtype.kind == "b" or dtype == np.uint8:
        return dtype.name
    return "float" if dtype.kind == "f" else "integer"


def _white_at_first(dtype: np.dtype, found: _Range) -> int | None:
    """Return which number is white in the images of `fit`; None if this is uncertain."""
    low, high, whole = found.low, found.high, _kind(dtype) == "integer"
    beyond = 0 if whole else OVERSHOOT
    for white in WHITES if whole else WHITES[:2]:
        inside = -beyond * white <= low and high <= (1 + beyond) * white
        if inside and (white == 1 or high >= white / 4):
            return white
    if dtype.name == "uint16":  # In either byte order.
        return next(white for white in WHITES[1:] if high <= white)
    return None


def _white_again(dtype: np.dtype, found: _Range | None, fitted: Pixels) -> int | None:
    """Return which number is white in later images for a fitted network."""
    if fitted.white is None:
        return None
    if found is None:
        return 1 if dtype.kind == "b" else fitted.white
    kind = _kind(dtype)
    black_and_white = found.low >= 0 and found.least == found.high == 1
    if black_and_white and (fitted.two_levels or kind != "uint8"):
        if not fitted.two_levels:
            _warn(
                f"X has dtype {dtype.name} and only the values 0 and 1, but the network was fitted "
                f"on {fitted}. They are read as black and white; pass X.astype({fitted.dtype!r}) "
                "if they are levels as in fit."
            )
        return 1
    if kind == "uint8":
        return 255
    whites = sorted({1, 255, fitted.white})
    reach = 1 if kind == "integer" else NOISE
    return next((white for white in whites if found.high <= reach * white), whites[-1])


def _check_at_first(pixels: Pixels) -> None:
    """Check the values that `fit` has seen."""
    white, low, high = pixels.white, pixels.low, pixels.high
    if pixels.dtype == "uint8" and high == 1:
        raise ValueError(
            "X has dtype uint8, which means grey levels 0..255, but its largest value is 1. "
            "Pass X.astype(bool) for images of 0 and 1."
        )
    if white is None and low < 0 and max(-low, high) <= CENTRED:
        return
    if white is None:
        _warn(
            f"X has {pixels}: these are not grey levels in 0..1, 0..255, 12 or 16 bits, and are "
            "used unchanged. Networks learn best from numbers around 1: divide X by the number "
            "that is white."
        )
    elif pixels.dtype == "uint16" and high < white / 4:
        _warn(
            f"X has {pixels}, which are read as grey levels 0..{white}. If another number is "
            "white, divide X by it."
        )
    elif pixels.dtype != "uint8" and 0 < high <= DARK[white] * white:
        _warn(
            f"X has {pixels}, which are read as nearly black, because white is {white}. Was it "
            "divided twice?"
        )


def _check_again(pixels: Pixels, fitted: Pixels) -> None:
    """Check that later images are similar to those of `fit`."""
    if fitted.high is None:
        return
    if fitted.white is None:
        largest, before = (max(abs(p.low), abs(p.high)) for p in (pixels, fitted))
        impossible = largest > ALIKE * before
        doubtful = largest > 2 * before or 0 < largest <= before / ALIKE
        doubtful |= fitted.low < -OVERSHOOT * before and 0 <= pixels.low < pixels.high
        read = "both are taken as they are"
    else:
        low, high = pixels.low / pixels.white, pixels.high / pixels.white
        impossible = high > NOISE or low < -NOISE
        dark = 1 / 255 if pixels.dtype == "uint8" else DARK[pixels.white]
        doubtful = high > 1 + OVERSHOOT or low < -OVERSHOOT or 0 < high <= dark
        read = f"X is read with {pixels.white} as white"
    if not (impossible or doubtful):
        return
    message = (
        f"X has {pixels}, but the network was fitted on {fitted}; {read}. Prepare images as for fit"
    ) + ("." if fitted.white is None else ", or pass uint8 in 0..255.")
    if impossible:
        raise ValueError(message)
    _warn(message)


def _scaled(block: np.ndarray, white: int | None) -> np.ndarray:
    """Return a block scaled as input for the network."""
    if block.dtype == np.uint8 and white == 1:
        return block.astype(bool)
    if (block.dtype == bool and white == 1) or (block.dtype == np.uint8 and white == 255):
        return block
    block = block.astype(np.float32, copy=False)
    return block if white in (None, 1) else block / np.float32(white)


def _warn(message: str) -> None:
    warnings.warn(message, UserWarning, stacklevel=2)
