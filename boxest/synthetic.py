"""The data set of the paper (§2.1): one white box on black, as a pure function of (seed, index).

An image depends on the seed and its own index alone, so any part of the data set can be made
anywhere, in any order, in any number of shards, and is the same. Random numbers come from Philox,
whose state is a counter: index i uses the four 64-bit words of block i, for width, height, x and y.
"""

import dataclasses
import operator

import numpy as np
import numpy.typing as npt
from numpy.random import Philox

from boxest.boxes import check_boxes

# Second half of the Philox key: another use of random numbers with the same seed takes another
# number.
_STREAM = 1
LAWS = ("sides_uniform", "corners_uniform")


def _integer(name: str, value: int, low: int, high: int = 2**63 - 1) -> int:
    """Return `value` as an int, or say that it is none or not in low..high."""
    try:
        if isinstance(value, bool):
            raise TypeError
        value = operator.index(value)
    except TypeError:
        raise TypeError(f"{name} must be an integer; got {value!r}.") from None
    if not low <= value <= high:
        raise ValueError(f"{name} must be an integer in {low}..{high}; got {value}.")
    return value


@dataclasses.dataclass(frozen=True)
class BoxLaw:
    """How the boxes are distributed.

    Width and height are drawn independently from min_side..max_side pixels, then the position,
    uniform among those that fit.

    Parameters
    ----------
    name : {"sides_uniform", "corners_uniform"}
        ``sides_uniform``: every side is equally likely. ``corners_uniform``: a side s is as likely
        as it has positions, which is the law of two corners drawn uniformly, sorted, and drawn
        again if the box is empty or a side is out of range.
    min_side, max_side : int
        Least and greatest side in pixels; `max_side` None stands for the image size.

    Notes
    -----
    The paper does not state its law. The default is inferred: of those tried, it comes closest to
    Fig. 8.
    """

    name: str = "sides_uniform"
    min_side: int = 5
    max_side: int | None = None

    def __post_init__(self):
        if self.name not in LAWS:
            raise ValueError(f"The box law must be one of {', '.join(LAWS)}; got {self.name!r}.")
        object.__setattr__(self, "min_side", _integer("min_side", self.min_side, 1))
        if self.max_side is not None:
            object.__setattr__(self, "max_side", _integer("max_side", self.max_side, 1))
            if self.max_side < self.min_side:
                raise ValueError(
                    f"max_side ({self.max_side}) is less than min_side ({self.min_side})."
                )

    def for_size(self, image_size: int) -> "BoxLaw":
        """Return the law with `max_side` filled in, checked against the image size."""
        image_size = _integer("image_size", image_size, 1, 2**15)
        if self.min_side > image_size:
            raise ValueError(
                f"min_side ({self.min_side}) is greater than the image size ({image_size})."
            )
        if self.max_side is not None and self.max_side > image_size:
            raise ValueError(
                f"max_side ({self.max_side}) is greater than the image size ({image_size})."
            )
        return self if self.max_side else dataclasses.replace(self, max_side=image_size)


def make(
    start: int, stop: int, *, seed: int, image_size: int = 128, law: BoxLaw = BoxLaw()
) -> tuple[np.ndarray, np.ndarray]:
    """Make images and boxes of the indices start..stop-1.

    Parameters
    ----------
    start, stop : int
        Range of indices, as in `range`.
    seed : int
        0..2**64-1; another seed is another data set.
    image_size : int
        Side of the images in pixels.
    law : BoxLaw
        Distribution of the boxes.

    Returns
    -------
    images : ndarray of uint8, shape (stop - start, image_size, image_size)
        0 or 255.
    boxes : ndarray of float64, shape (stop - start, 4)
        (x1, y1, x2, y2) in units of the image size.

    Raises
    ------
    ValueError, TypeError
        If a number is out of its range, or is none.

    Examples
    --------
    >>> images, boxes = make(0, 100, seed=0)
    >>> images.shape, boxes.shape
    ((100, 128, 128), (100, 4))
    >>> bool((make(60, 70, seed=0)[1] == boxes[60:70]).all())
    True
    """
    boxes = make_boxes(start, stop, seed=seed, image_size=image_size, law=law)
    return render(boxes, image_size), boxes


def make_boxes(
    start: int, stop: int, *, seed: int, image_size: int = 128, law: BoxLaw = BoxLaw()
) -> np.ndarray:
    """Make the boxes alone; parameters, result and errors are those of `make`.

    Each coordinate is the float64 next to pixel / image_size.
    """
    law = law.for_size(image_size)
    start = _integer("start", start, 0)
    stop = _integer("stop", stop, start)
    seed = _integer("seed", seed, 0, 2**64 - 1)
    generator = Philox(key=np.array([seed, _STREAM], dtype=np.uint64), counter=start)
    words = generator.random_raw(4 * (stop - start)).reshape(-1, 4)

    sides = np.arange(law.min_side, law.max_side + 1)
    positions = image_size - sides + 1
    weights = np.ones_like(sides) if law.name == "sides_uniform" else positions
    # A draw below the cumulated weight of a side, and not below the one before, means that side.
    cumulated = np.cumsum(weights)
    side = sides[np.searchsorted(cumulated, _below(words[:, :2], cumulated[-1]), side="right")]
    corner = _below(words[:, 2:], image_size - side + 1)
    return np.concatenate([corner, corner + side], axis=1) / image_size


def render(boxes: npt.ArrayLike, image_size: int = 128) -> np.ndarray:
    """Draw each box white on black.

    Parameters
    ----------
    boxes : array-like of shape (n, 4)
        (x1, y1, x2, y2) in units of the image size; edges are rounded to the next pixel.
    image_size : int
        Side of the images in pixels.

    Returns
    -------
    ndarray of uint8, shape (n, image_size, image_size)
        255 in rows y1..y2-1 and columns x1..x2-1 (pixels), 0 elsewhere.

    Examples
    --------
    >>> render([[0.25, 0.0, 1.0, 0.5]], image_size=4)[0]
    array([[  0, 255, 255, 255],
           [  0, 255, 255, 255],
           [  0,   0,   0,   0],
           [  0,   0,   0,   0]], dtype=uint8)
    """
    image_size = _integer("image_size", image_size, 1, 2**15)
    x1, y1, x2, y2 = np.rint(check_boxes(boxes) * image_size).T[..., None]
    pixel = np.arange(image_size)
    columns = np.where((pixel >= x1) & (pixel < x2), np.uint8(255), np.uint8(0))
    rows = np.where((pixel >= y1) & (pixel < y2), np.uint8(255), np.uint8(0))
    return rows[:, :, None] & columns[:, None, :]


def _below(words: np.ndarray, n: int | np.ndarray) -> np.ndarray:
    """Integers uniform in 0..n-1 from the upper halves of 64-bit words, bias below n / 2**32."""
    scaled = (words >> np.uint64(32)) * np.asarray(n, dtype=np.uint64)
    return (scaled >> np.uint64(32)).astype(np.int64)
