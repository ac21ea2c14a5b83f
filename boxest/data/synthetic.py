"""The data set of the paper (§2.1): one white box on black, as a function of (seed, index).

An image only depends on the seed and its own index, so any part of the data set can be made
anywhere, in any order, in any number of shards, with the same result. A box uses the four 64-bit
words of its index, for width, height, x and y. A `Scene` makes harder images of the same boxes.
"""

import dataclasses

import numpy as np
import numpy.typing as npt

from boxest.boxes import check_boxes
from boxest.data.philox import BOXES, below, blocks
from boxest.data.scene import CLEAN, Scene
from boxest.system.scalars import integer

__all__ = ["CLEAN", "LAWS", "BoxLaw", "Scene", "make", "make_boxes", "render"]

LAWS = ("sides_uniform", "corners_uniform")


@dataclasses.dataclass(frozen=True)
class BoxLaw:
    """The distribution of the boxes.

    Width and height are drawn independently from min_side..max_side pixels, then the position,
    uniformly among those that fit.

    Parameters
    ----------
    name : {"sides_uniform", "corners_uniform"}
        ``sides_uniform``: every side is equally likely. ``corners_uniform``: the probability of a
        side is proportional to its number of positions. This is the law of two corners that are
        drawn uniformly and sorted, and drawn again if the box is empty or a side is out of range.
    min_side, max_side : int
        Smallest and largest side in pixels; `max_side` None means the image size.

    Notes
    -----
    The paper does not state its law. The default is inferred: of all laws tried it comes closest to
    Fig. 8, except that cells with few updates come closer with sides from 10 px (docs/study.md).
    """

    name: str = "sides_uniform"
    min_side: int = 5
    max_side: int | None = None

    def __post_init__(self):
        if self.name not in LAWS:
            raise ValueError(f"The box law must be one of {', '.join(LAWS)}; got {self.name!r}.")
        object.__setattr__(self, "min_side", integer("min_side", self.min_side, 1))
        if self.max_side is not None:
            object.__setattr__(self, "max_side", integer("max_side", self.max_side, 1))
            if self.max_side < self.min_side:
                raise ValueError(
                    f"max_side ({self.max_side}) is less than min_side ({self.min_side})."
                )

    def for_size(self, image_size: int) -> "BoxLaw":
        """Return the law with `max_side` filled in, checked against the image size."""
        image_size = integer("image_size", image_size, 1, 2**15)
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
    start: int,
    stop: int,
    *,
    seed: int,
    image_size: int = 128,
    law: BoxLaw = BoxLaw(),
    scene: Scene = CLEAN,
) -> tuple[np.ndarray, np.ndarray]:
    """Make the images and boxes with the indices start..stop-1.

    Parameters
    ----------
    start, stop : int
        Range of indices, as in `range`.
    seed : int
        0..2**64-1; another seed gives another data set.
    image_size : int
        Side of the images in pixels.
    law : BoxLaw
        Distribution of the boxes.
    scene : Scene
        What the images show in addition to the box; by default nothing, as in the paper.

    Returns
    -------
    images : ndarray of uint8, shape (stop - start, image_size, image_size)
        Grey levels; 0 or 255 in the paper's scene.
    boxes : ndarray of float64, shape (stop - start, 4)
        (x1, y1, x2, y2) in units of the image size.

    Raises
    ------
    ValueError, TypeError
        If a number is out of its range or has the wrong type.

    Examples
    --------
    >>> images, boxes = make(0, 100, seed=0)
    >>> images.shape, boxes.shape
    ((100, 128, 128), (100, 4))
    >>> bool((make(60, 70, seed=0)[1] == boxes[60:70]).all())
    True
    >>> noisy, same_boxes = make(0, 100, seed=0, scene=Scene(noise=0.1))
    >>> bool((same_boxes == boxes).all()), bool((noisy == images).all())
    (True, False)
    """
    boxes = make_boxes(start, stop, seed=seed, image_size=image_size, law=law)
    return render(boxes, image_size, scene=scene, seed=seed, start=start), boxes


def make_boxes(
    start: int, stop: int, *, seed: int, image_size: int = 128, law: BoxLaw = BoxLaw()
) -> np.ndarray:
    """Make only the boxes, which are the same in each scene; everything else is as for `make`.

    Each coordinate is the float64 next to pixel / image_size.
    """
    law = law.for_size(image_size)
    start = integer("start", start, 0)
    stop = integer("stop", stop, start)
    seed = integer("seed", seed, 0, 2**64 - 1)
    words = blocks(seed, BOXES, start, stop)

    sides = np.arange(law.min_side, law.max_side + 1)
    positions = image_size - sides + 1
    weights = np.ones_like(sides) if law.name == "sides_uniform" else positions
    # A draw below the cumulative weight of a side, but not below the previous one, means this side.
    cumulated = np.cumsum(weights)
    side = sides[np.searchsorted(cumulated, below(words[:, :2], cumulated[-1]), side="right")]
    corner = below(words[:, 2:], image_size - side + 1)
    return np.concatenate([corner, corner + side], axis=1) / image_size


def render(
    boxes: npt.ArrayLike,
    image_size: int = 128,
    *,
    scene: Scene = CLEAN,
    seed: int = 0,
    start: int = 0,
) -> np.ndarray:
    """Draw each box, white on black or in another scene.

    Parameters
    ----------
    boxes : array-like of shape (n, 4)
        (x1, y1, x2, y2) in units of the image size; edges are rounded to the next pixel.
    image_size : int
        Side of the images in pixels.
    scene : Scene
        What the images show in addition to the box; by default nothing, as in the paper.
    seed, start : int
        They determine the random numbers of a scene: image i has the index start + i.

    Returns
    -------
    ndarray of uint8, shape (n, image_size, image_size)
        In the paper's scene, 255 in rows y1..y2-1 and columns x1..x2-1 (pixels), 0 elsewhere.

    Raises
    ------
    ValueError, TypeError
        If a box is invalid, or so small that it covers no pixel, or a number is out of its range.

    Examples
    --------
    >>> render([[0.25, 0.0, 1.0, 0.5]], image_size=4)[0]
    array([[  0, 255, 255, 255],
           [  0, 255, 255, 255],
           [  0,   0,   0,   0],
           [  0,   0,   0,   0]], dtype=uint8)
    >>> grey = Scene(object_level=(0.4, 0.4), background_level=(0.8, 0.8))
    >>> render([[0.25, 0.0, 1.0, 0.5]], image_size=4, scene=grey)[0]
    array([[204, 102, 102, 102],
           [204, 102, 102, 102],
           [204, 204, 204, 204],
           [204, 204, 204, 204]], dtype=uint8)
    """
    image_size = integer("image_size", image_size, 1, 2**15)
    pixels = np.rint(check_boxes(boxes) * image_size).astype(int)
    unseen = (pixels[:, 2:] == pixels[:, :2]).any(axis=1)
    if unseen.any():
        raise ValueError(
            f"box {unseen.argmax()} covers no pixel of an image of {image_size} px, because its "
            f"edges are rounded to pixels. Such boxes: {unseen.sum()} of {len(pixels)}."
        )
    if scene == CLEAN:
        return _white_on_black(pixels, image_size)
    from boxest.data.drawing import draw  # Imports scipy, which the paper's images do not need.

    scene = scene.for_size(image_size)
    seed = integer("seed", seed, 0, 2**64 - 1)
    start = integer("start", start, 0)
    images = np.empty((len(pixels), image_size, image_size), np.uint8)
    for i, box in enumerate(pixels):
        images[i] = draw(box, image_size, scene, seed=seed, index=start + i)
    return images


def _white_on_black(pixels: np.ndarray, image_size: int) -> np.ndarray:
    """Draw boxes in pixels, all at once."""
    x1, y1, x2, y2 = pixels.T[..., None]
    pixel = np.arange(image_size)
    columns = np.where((pixel >= x1) & (pixel < x2), np.uint8(255), np.uint8(0))
    rows = np.where((pixel >= y1) & (pixel < y2), np.uint8(255), np.uint8(0))
    return rows[:, :, None] & columns[:, None, :]
