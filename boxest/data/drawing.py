"""Draw the images of a `Scene`, each a function of its box, the seed and its index.

The bits are the same on every machine. Random numbers are integers, and masks and smoothing are
computed without rounding (weights are multiples of 2**-20). The rest are single additions and
multiplications of IEEE 754. Functions whose last bit depends on a library, such as a cosine, are
rounded to fewer bits.
"""

import functools
import math

import numpy as np
from scipy.ndimage import correlate1d
from scipy.special import ndtri

from boxest.data import philox
from boxest.data.scene import Scene

# Rotation angles are multiples of rotation / 256.
_ANGLES = 256
_TRIALS = 16
# Gap between a disc and the box, in pixels.
_GAP = 2
# Largest distance from the middle of a line to the centre of a pixel that belongs to it.
_HALF_LINE = 0.75
_WEIGHT_BITS = 20


def draw(box: np.ndarray, image_size: int, scene: Scene, *, seed: int, index: int) -> np.ndarray:
    """Draw one image.

    Parameters
    ----------
    box : ndarray of int, shape (4,)
        (x1, y1, x2, y2) in pixels, in the image, with an area.
    image_size : int
        Side of the image in pixels.
    scene : Scene
        What is drawn.
    seed, index : int
        They determine its random numbers.

    Returns
    -------
    ndarray of uint8, shape (image_size, image_size)
    """
    words = functools.partial(philox.words, seed)
    level, background = _levels(scene, words(philox.LEVELS, index, 2))
    shown = np.zeros((image_size, image_size), bool)
    x1, y1, x2, y2 = box.tolist()
    inside = shown[y1:y2, x1:x2]
    inside[...] = _rectangle(x2 - x1, y2 - y1, scene.rotation, words(philox.ROTATION, index, 1)[0])
    if scene.hidden:
        inside[_hidden(x2 - x1, y2 - y1, scene.hidden, words(philox.HIDDEN, index, 3))] = False
    for numbers in words(philox.DISCS, index, scene.discs * 33).reshape(-1, 33):
        _add_disc(shown, (x1, y1, x2, y2), numbers)
    for numbers in words(philox.LINES, index, scene.lines * 4).reshape(-1, 4):
        _add_line(shown, *philox.below(numbers, image_size).tolist())
    share = shown.astype(float)
    if scene.blur:
        share = _smooth(share, scene.blur, "nearest")
    if scene.texture:
        white = words(philox.TEXTURE, index, -(-(image_size**2) // 8))
        background = background + _texture(white, image_size, scene)
    image = background + (level - background) * share
    if scene.noise:
        white = words(philox.NOISE, index, -(-(image_size**2) // 4))
        image += 255 * scene.noise * _normal(white, image_size)
    return np.rint(np.clip(image, 0, 255)).astype(np.uint8)


def _levels(scene: Scene, numbers: np.ndarray) -> tuple[int, int]:
    """Draw grey levels in 0..255 for object and background, as the scene allows."""
    levels = scene.background_levels()
    background = levels[philox.below(numbers[0], len(levels))]
    levels = scene.object_levels(background)
    return levels[philox.below(numbers[1], len(levels))], background


@functools.lru_cache
def _angles(rotation: float) -> tuple[np.ndarray, np.ndarray]:
    """Return cosine and sine of 0..rotation degrees, in multiples of 2**-30."""
    angles = [math.radians(rotation) * i / _ANGLES for i in range(_ANGLES + 1)]
    cosines, sines = ([f(angle) for angle in angles] for f in (math.cos, math.sin))
    return np.rint(np.array(cosines) * 2**30) / 2**30, np.rint(np.array(sines) * 2**30) / 2**30


def _rectangle(width: int, height: int, rotation: float, number: np.uint64) -> np.ndarray:
    """Return the pixels of a rotated rectangle within its bounding box, bool (height, width).

    A rectangle with sides a and b, rotated by t, has a bounding box of a·cos t + b·sin t by a·sin
    t + b·cos t. Solved for a and b, both are positive up to some angle. The rotation is limited to
    the angle at which the shorter one is a quarter of the shorter side of the box.
    """
    if not rotation:
        return np.ones((height, width), bool)
    cosine, sine = _angles(rotation)
    short, long = sorted((width, height))
    thin = (short * cosine - long * sine) / (cosine**2 - sine**2)
    possible = np.append(thin >= max(short / 4, 1), False).argmin()
    step = int(philox.below(number, 2 * possible - 1)) - (possible - 1)
    c, s = cosine[abs(step)], sine[abs(step)]
    stretch = c * c - s * s
    a, b = (width * c - height * s) / stretch, (height * c - width * s) / stretch
    x = np.arange(width) + (0.5 - width / 2)
    y = np.arange(height)[:, None] + (0.5 - height / 2)
    s = math.copysign(s, step)
    return (2 * abs(c * x + s * y) <= a) & (2 * abs(c * y - s * x) <= b)


def _hidden(width: int, height: int, share: float, numbers: np.ndarray) -> tuple[slice, slice]:
    """Return a part of a box with this share of its area, up to whole pixels."""
    widest, highest = width - max(1, width // 8), height - max(1, height // 8)
    if not widest or not highest:
        return slice(0), slice(0)
    area = share * width * height
    narrowest = min(max(1, math.ceil(area / highest)), widest)
    columns = narrowest + int(philox.below(numbers[0], widest - narrowest + 1))
    rows = min(max(1, round(area / columns)), highest)
    x = int(philox.below(numbers[1], width - columns + 1))
    y = int(philox.below(numbers[2], height - rows + 1))
    return slice(y, y + rows), slice(x, x + columns)


def _add_disc(shown: np.ndarray, box: tuple[int, int, int, int], numbers: np.ndarray) -> None:
    """Add a disc where it fits, with a radius of 1/32 to 1/8 of the image, at least 3 pixels."""
    size, (x1, y1, x2, y2) = len(shown), box
    least = max(3, size // 32)
    radius = least + int(philox.below(numbers[0], max(least, size // 8) - least + 1))
    if 2 * radius > size:
        return
    trials = radius + philox.below(numbers[1:].reshape(_TRIALS, 2), size - 2 * radius + 1)
    for x, y in trials.tolist():
        beside = max(x1 - x, x - x2, 0), max(y1 - y, y - y2, 0)
        if beside[0] ** 2 + beside[1] ** 2 >= (radius + _GAP) ** 2:
            square = np.arange(0.5 - radius, radius) ** 2
            window = shown[y - radius : y + radius, x - radius : x + radius]
            window |= square[:, None] + square <= radius**2
            return


def _add_line(shown: np.ndarray, x1: int, y1: int, x2: int, y2: int) -> None:
    """Add a line between the centres of two pixels."""
    left, top = max(0, min(x1, x2) - 1), max(0, min(y1, y2) - 1)
    window = shown[top : max(y1, y2) + 2, left : max(x1, x2) + 2]
    x = np.arange(window.shape[1]) + (left - x1)
    y = np.arange(window.shape[0])[:, None] + (top - y1)
    dx, dy = x2 - x1, y2 - y1
    along = np.clip((x * dx + y * dy) / max(1, dx**2 + dy**2), 0, 1)
    window |= (x - along * dx) ** 2 + (y - along * dy) ** 2 <= _HALF_LINE**2


@functools.lru_cache
def _gaussian(sigma: float) -> np.ndarray:
    """Return the weights of a Gaussian, multiples of 2**-20 that sum to 1."""
    radius = math.ceil(4 * sigma)
    weights = [math.exp(-((i / sigma) ** 2) / 2) for i in range(-radius, radius + 1)]
    weights = np.rint(np.array(weights) / math.fsum(weights) * 2**_WEIGHT_BITS) / 2**_WEIGHT_BITS
    weights[radius] += 1 - weights.sum()
    return weights


def _smooth(image: np.ndarray, sigma: float, mode: str) -> np.ndarray:
    """Smooth an image of small integers with a Gaussian, without rounding."""
    weights = _gaussian(sigma)
    return correlate1d(correlate1d(image, weights, axis=0, mode=mode), weights, axis=1, mode=mode)


def _texture(white: np.ndarray, image_size: int, scene: Scene) -> np.ndarray:
    """Return a texture of mean 0, in grey levels: white noise, smoothed on a torus."""
    noise = white.astype("<u8").view("u1")[: image_size**2].reshape(image_size, image_size)
    smooth = _smooth(2.0 * noise - 255, scene.texture_scale, "wrap")
    # The standard deviation of the odd numbers -255..255, times that of a weighted sum of
    # independent ones.
    deviation = math.sqrt((256**2 - 1) / 3) * math.fsum(_gaussian(scene.texture_scale) ** 2)
    return smooth * (255 * scene.texture / deviation)


@functools.cache
def _quantiles() -> np.ndarray:
    """Return 2**16 quantiles of the normal distribution, in multiples of 2**-12."""
    return np.rint(ndtri((np.arange(2**16) + 0.5) / 2**16) * 2**12) / 2**12


def _normal(white: np.ndarray, image_size: int) -> np.ndarray:
    """Return normal numbers, at most 4.3 in size, from four times 16 bits of each word."""
    chosen = white.astype("<u8").view("<u2")[: image_size**2]
    return _quantiles()[chosen].reshape(image_size, image_size)
