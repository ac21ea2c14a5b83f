"""Augmentation: each epoch changes every image and its box at random.

The random numbers are a table with one row per example, which only depends on seed and epoch. The
changes are arithmetic in `keras.ops`, so they can be part of a compiled epoch on any backend.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from boxest.system.scalars import real

FLIPS = (None, "horizontal", "vertical", "horizontal_and_vertical")
# Numbers drawn per example: two flips, whether and how far to zoom, two shifts, brightness,
# contrast, and a gain for each of up to three channels.
N_DRAWS = 11
# Separates these random numbers from those for the order of the examples.
_STREAM = 0x617567


@dataclasses.dataclass(frozen=True)
class Augmentation:
    """Options for changing images at random while a network is trained.

    First the levels of each image change, then it is mirrored, zoomed and shifted. The whole object
    always stays in the picture, because only zooms and shifts that keep it there are drawn. Outside
    of the image, the picture is 0, which is black.

    Parameters
    ----------
    flip : {"horizontal", "vertical", "horizontal_and_vertical"} or None, default="horizontal"
        Mirror half of the images, horizontally, vertically, or in both directions.
    shift : float, default=0.125
        Largest shift in each direction, as a fraction of the image's width and height, 0..1.
        Without zoom, images are shifted by whole pixels, so they stay sharp.
    zoom : float, default=0.25
        Half of the images are enlarged by a factor of up to 1 + zoom, or reduced by as much, 0..1.
    brightness : float, default=0.2
        Levels are multiplied by 1 - brightness to 1 + brightness, 0..1.
    contrast : float, default=0.2
        Differences to the image's mean are multiplied by 1 - contrast to 1 + contrast, 0..1.
    colour : float, default=0.1
        Each channel is multiplied by 1 - colour to 1 + colour, 0..1, if there are three.

    Raises
    ------
    ValueError, TypeError
        If a value is out of its range or has the wrong type.

    Examples
    --------
    >>> Augmentation(zoom=0).shift
    0.125
    """

    flip: str | None = "horizontal"
    shift: float = 0.125
    zoom: float = 0.25
    brightness: float = 0.2
    contrast: float = 0.2
    colour: float = 0.1

    def __post_init__(self):
        if self.flip not in FLIPS:
            raise ValueError(f"flip must be one of {FLIPS}; got {self.flip!r}.")
        for name in ("shift", "zoom", "brightness", "contrast", "colour"):
            object.__setattr__(self, name, real(name, getattr(self, name), 0, 1))

    def draw(self, n_examples: int, *, seed: int, epoch: int) -> np.ndarray:
        """Draw the random numbers for an epoch.

        Parameters
        ----------
        n_examples : int
        seed, epoch : int
            Seed of the run and number of the epoch, from 1.

        Returns
        -------
        ndarray of float32, shape (n_examples, 11)
            The input of `apply`, in 0..1; it only depends on the arguments.
        """
        rng = np.random.default_rng([seed, epoch, _STREAM])
        return rng.random((n_examples, N_DRAWS), dtype=np.float32)

    def apply(self, images: Any, boxes: Any, draws: Any, *, grey_levels: bool) -> tuple[Any, Any]:
        """Change images and boxes, inside or outside of a compiled program.

        Parameters
        ----------
        images : tensor of float32, shape (n, height, width, channels)
        boxes : tensor of float32, shape (n, 4)
            In units of the image.
        draws : tensor of float32, shape (n, 11)
            Rows of the result of `draw`.
        grey_levels : bool
            Whether levels are limited to 0..1; results are then clipped.

        Returns
        -------
        images, boxes : tensors of the same shapes
        """
        images = self._levels(images, draws[:, 6:], grey_levels)
        return self._geometry(images, boxes, draws[:, :6])

    def of_arrays(
        self, images: np.ndarray, boxes: np.ndarray, *, seed: int, epoch: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Change images and boxes like an epoch of a training, to show what the network sees.

        Parameters
        ----------
        images : ndarray of bool, uint8 or float, shape (n, height, width[, channels])
        boxes : ndarray of shape (n, 4)
            In units of the image.
        seed, epoch : int
            ``random_state`` of the training and number of the epoch, from 1.

        Returns
        -------
        images : ndarray of float32, shape (n, height, width, channels)
            Grey levels 0..255 as 0..1.
        boxes : ndarray of float32, shape (n, 4)
        """
        from boxest.system import backend

        backend.start()
        from keras import ops

        images = np.asarray(images)
        levels = images.dtype in (np.bool_, np.uint8)
        values = images.astype(np.float32) / (255 if images.dtype == np.uint8 else 1)
        changed = self.apply(
            ops.convert_to_tensor(values.reshape(*values.shape[:3], -1)),
            ops.convert_to_tensor(np.asarray(boxes, np.float32)),
            ops.convert_to_tensor(self.draw(len(images), seed=seed, epoch=epoch)),
            grey_levels=levels,
        )
        return tuple(map(ops.convert_to_numpy, changed))

    def _levels(self, images, draws, grey_levels: bool):
        """Change brightness, contrast and colour."""
        from keras import ops

        def factor(most, columns):
            return 1 + most * (2 * columns[:, None, None] - 1)

        if self.contrast:
            mean = ops.mean(images, axis=(1, 2, 3), keepdims=True)
            images = mean + (images - mean) * factor(self.contrast, draws[:, 1:2])
        if self.brightness:
            images = images * factor(self.brightness, draws[:, 0:1])
        if self.colour and images.shape[-1] == 3:
            images = images * factor(self.colour, draws[:, 2:5])
        return ops.clip(images, 0, 1) if grey_levels else images

    def _geometry(self, images, boxes, draws):
        """Mirror, zoom and shift."""
        from keras import ops

        zoomed = ops.cast(draws[:, 2] < 0.5, "float32") if self.zoom else 0 * draws[:, 2]
        sides = boxes[:, 2:] - boxes[:, :2]
        scale = ops.exp(zoomed * (2 * draws[:, 3] - 1) * float(np.log1p(self.zoom)))
        scale = ops.minimum(scale, 1 / ops.maximum(ops.max(sides, axis=1), 1e-6))
        scale = ops.where(zoomed > 0, scale, 1.0)
        new, matrices = [], []
        for axis, length in enumerate((images.shape[2], images.shape[1])):
            flips = self.flip in (FLIPS[1 + axis], FLIPS[3])
            flipped = draws[:, axis] < (0.5 if flips else 0.0)
            low, high = boxes[:, axis], boxes[:, axis + 2]
            low, high = ops.where(flipped, 1 - high, low), ops.where(flipped, 1 - low, high)
            low, high = (0.5 + (edge - 0.5) * scale for edge in (low, high))
            shift = self._shift(low, high, draws[:, 4 + axis], zoomed, length)
            new.append((low + shift, high + shift))
            # Position in the image of each pixel of the new one, in pixels.
            places = (ops.arange(length, dtype="float32") + 0.5) / length
            places = (places - shift[:, None] - 0.5) / scale[:, None] + 0.5
            places = ops.where(flipped[:, None], 1 - places, places) * length - 0.5
            matrices.append(_interpolation(places, length))
        return _resampled(images, *matrices), ops.stack(
            [new[0][0], new[1][0], new[0][1], new[1][1]], axis=1
        )

    def _shift(self, low, high, draws, zoomed, length: int):
        """Return shifts that keep the object inside, uniform between the two extremes."""
        from keras import ops

        least, most = ops.minimum(-low, 1 - high), ops.maximum(-low, 1 - high)

        def within(shift, least, most):
            return ops.maximum(least, ops.minimum(most, shift))

        left, right = within(-self.shift, least, most), within(self.shift, least, most)
        shift = left + draws * (right - left)
        # Neither rounding nor the single precision of an edge may move the object out of the image.
        ends = ops.ceil(least * length - 1e-3), ops.floor(most * length + 1e-3)
        whole = within(ops.round(shift * length), *ends) / length
        return ops.where(zoomed > 0, shift, whole)


def _interpolation(places, length: int):
    """Return the weight of each pixel of a line at each place: (n, places, length).

    It is linear between two pixels, and 0 half a pixel and more outside of the image.
    """
    from keras import ops

    distance = places[:, :, None] - ops.arange(length, dtype="float32")
    return ops.relu(1 - ops.abs(distance))


def _resampled(images, columns, rows):
    """Interpolate (n, height, width, channels) along both axes, by one matrix product for each."""
    from keras import ops

    planes = ops.transpose(images, (0, 3, 1, 2))
    planes = ops.matmul(planes, ops.transpose(columns, (0, 2, 1))[:, None])
    return ops.transpose(ops.matmul(rows[:, None], planes), (0, 2, 3, 1))


def of(augmentation: "str | Mapping | Augmentation | None") -> Augmentation | None:
    """Return the augmentation for the parameter ``augmentation`` of an estimator.

    Raises
    ------
    ValueError
        If it is invalid, or an option is unknown.
    """
    if augmentation is None or isinstance(augmentation, Augmentation):
        return augmentation
    if augmentation == "default":
        return Augmentation()
    if not isinstance(augmentation, Mapping):
        raise ValueError(
            "augmentation must be 'default', an Augmentation, a dict of its options or None; got "
            f"{augmentation!r}."
        )
    options = [field.name for field in dataclasses.fields(Augmentation)]
    if unknown := sorted(set(augmentation) - set(options), key=str):
        raise ValueError(
            f"augmentation has no option {unknown[0]!r}; choose from {', '.join(options)}."
        )
    return Augmentation(**augmentation)
