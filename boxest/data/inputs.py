"""Read batches of images: arrays, flat rows, data sets on disk, shards."""

import math
import os
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
from sklearn import get_config
from sklearn.utils import check_array

Shape = tuple[int, int, int]
Paths = str | os.PathLike | list[str | os.PathLike]

# Number of bytes to read from a data set on disk at a time.
BLOCK_BYTES = 2**25
# Rows of numbers that give smaller images than this, in pixels, are the rows of a table.
LEAST_SIDE = 8
# A first axis of at most this size, and a last axis of more, are taken as channels first.
MOST_CHANNELS = 4
# Methods that convert an object to a numpy array.
_ARRAYS = ("__array__", "__array_interface__", "__array_namespace__")
# Pillow modes in which the numbers are indices into a palette.
_PALETTE = ("P", "PA")


class Images:
    """Images that are returned in blocks, each of which is checked.

    Parameters
    ----------
    X : array-like of shape (n, height, width), (n, height, width, channels) or (n, pixels)
        An array, or anything with ``shape``, ``dtype`` and slices that are arrays, such as a data
        set of h5py, which is read block by block.
    image_shape : (height, width, channels), optional
        The required shape of each image, to which rows of pixels are reshaped.

    Attributes
    ----------
    shape : tuple of int
        (n, height, width, channels).
    dtype : numpy.dtype
        The dtype of the given numbers.
    is_table : bool
        Whether the rows of numbers are too short for an image.

    Raises
    ------
    ValueError
        If the number of axes or the shape is wrong, channels come first, or there are no images.
    """

    def __init__(self, X: Any, *, image_shape: Shape | None = None):
        self._X = X
        shape = tuple(X.shape)
        if len(shape) not in (2, 3, 4):
            raise ValueError(
                "X must hold images of shape (n, height, width), (n, height, width, channels) or "
                f"flat (n, height * width); got the shape {shape}. Reshape your data."
            )
        if 0 in shape:
            raise ValueError(f"X must hold at least one image of at least one pixel; got {shape}.")
        # Tensors of PyTorch and TensorFlow have their own dtypes.
        self.dtype = X.dtype if isinstance(X, np.ndarray) else np.asarray(X[:1]).dtype
        if len(shape) == 2:
            self.shape = (shape[0], *_shape_of_rows(shape[1], image_shape))
        else:
            self.shape = shape if len(shape) == 4 else (*shape, 1)
        self.is_table = len(shape) == 2 and min(self.shape[1:3]) < LEAST_SIDE
        if image_shape is None:
            _check_axes(shape)
        elif self.shape[1:] != tuple(image_shape):
            raise ValueError(
                f"X has images of shape {self.shape[1:]}, but images of shape {tuple(image_shape)} "
                f"(height, width, channels) are expected.{_advice(shape, tuple(image_shape))}"
            )

    def __len__(self) -> int:
        return self.shape[0]

    def blocks(self) -> Iterator[np.ndarray]:
        """Yield the images as bool, uint8 or float32, shape (rows, height, width, channels).

        Raises
        ------
        ValueError
            If a value is not finite. ``sklearn.set_config(assume_finite=True)`` skips the check.
        TypeError
            If the values are not real numbers.
        """
        n, *shape = self.shape
        rows = max(1, BLOCK_BYTES // (math.prod(shape) * 8))
        for start in range(0, n, rows):
            block = np.asarray(self._X[start : start + rows])
            yield _check_values(block, start).reshape(-1, *shape)


class ShardImages:
    """The images of shards, read one shard at a time; the boxes are known after the last one.

    Parameters
    ----------
    paths : path-like, or list of path-like
        The files of one split, in any order of indices.

    Raises
    ------
    ShardError
        If a file is not a shard, is damaged, or does not fit the others.
    """

    dtype = np.dtype(np.uint8)
    is_table = False

    def __init__(self, paths: Paths, *, image_shape: Shape | None = None):
        from boxest.data import shards

        self._shards = shards.arrange(paths)
        first, last = self._shards[0][1], self._shards[-1][1]
        self.shape = (last.stop - first.start, *first.image_shape)
        # How photographs were fitted into their images; None for drawn boxes.
        self.mode = getattr(first, "mode", None)
        if image_shape is not None and self.shape[1:] != tuple(image_shape):
            raise ValueError(
                f"The shards hold images of shape {self.shape[1:]}, but images of shape "
                f"{tuple(image_shape)} (height, width, channels) are expected."
            )
        self.boxes = np.empty((len(self), 4))

    def __len__(self) -> int:
        return self.shape[0]

    def blocks(self) -> Iterator[np.ndarray]:
        """Yield the images of a shard, uint8 (rows, height, width, channels); keep its boxes."""
        from boxest.data import shards

        first = self._shards[0][1].start
        for path, meta in self._shards:
            shard = shards.read(path)
            if shard.meta != meta:
                raise shards.ShardError(f"{path} was replaced by another shard while it was read.")
            self.boxes[meta.start - first : meta.stop - first] = shard.boxes
            yield shard.images.reshape(-1, *self.shape[1:])


def are_paths(X: Any) -> bool:
    """Whether this is the path of a file, or a list of paths."""
    if isinstance(X, (str, os.PathLike)):
        return True
    return isinstance(X, (list, tuple)) and len(X) > 0 and all(map(are_paths, X))


def refuse_one_image(array: np.ndarray, expected: Shape) -> None:
    """Refuse a single grey image, whose rows would count as images."""
    if array.shape == expected[:2] and array.shape[1] != math.prod(expected):
        raise ValueError(
            f"X has the shape {array.shape}.{_advice(array.shape, expected)} Expected: (n, height, "
            f"width) of {expected[0]}×{expected[1]} px."
        )


def is_lazy(X: Any) -> bool:
    """Whether these are data on disk, which are sliced like an array but are no array or table."""
    has_slices = all(hasattr(X, name) for name in ("shape", "dtype", "__getitem__"))
    in_memory = ("__array_interface__", "__array_namespace__", "tocsr", "iloc")
    return has_slices and not any(hasattr(X, name) for name in in_memory)


def as_array(X: Any) -> np.ndarray:
    """Return an array of numbers with any number of axes, in its own dtype.

    Raises
    ------
    ValueError
        If it is a list of images with different sizes or types, or with a palette, or an array with
        masked values.
    """
    known = isinstance(X, (list, tuple)) or any(hasattr(X, name) for name in (*_ARRAYS, "shape"))
    if not known:
        raise TypeError(
            "Input X should have at least 1 dimension: an array of images, or a list of them; got "
            f"{type(X).__name__}. Collect the images in an array, for example with np.stack."
        )
    if np.ma.is_masked(X):
        raise ValueError("X has masked values. Replace them with X.filled(value).")
    try:
        return check_array(
            _stacked(X),
            allow_nd=True,
            ensure_2d=False,
            ensure_all_finite=False,
            input_name="X",
        )
    except ValueError as error:
        if "setting an array element" not in str(error):
            raise
        raise ValueError(
            "X must hold images of one shape, in an array or a list. Resize them; from a table "
            "with a column of images, pass the column, for example table['image']."
        ) from error


def _stacked(X: Any) -> Any:
    """Return a list or a column of images (arrays, Pillow images) as one array."""
    is_column = (
        getattr(getattr(X, "dtype", None), "kind", "") == "O" and getattr(X, "ndim", None) == 1
    )
    if not (is_column or isinstance(X, (list, tuple))) or len(X) == 0:
        return X
    elements = list(X)
    if not (is_column or any(hasattr(elements[0], name) for name in _ARRAYS)):
        return X
    if palettes := [i for i, one in enumerate(elements) if getattr(one, "mode", "") in _PALETTE]:
        raise ValueError(
            f"X[{palettes[0]}] has the mode {elements[palettes[0]].mode!r}: its numbers are "
            "indices into a palette. Use convert('RGB') or convert('L')."
        )
    if any(map(np.ma.is_masked, elements)):
        raise ValueError("X has masked values. Replace them with X.filled(value).")
    arrays = list(map(np.asarray, elements))
    # Once it is loaded, a TIFF file is upright.
    turned = [i for i, one in enumerate(elements) if _orientation(one) in range(2, 9)]
    if turned:
        warnings.warn(
            f"{len(turned)} of {len(elements)} pictures in X, first X[{turned[0]}], are displayed "
            "rotated or mirrored, because of their EXIF orientation, which an array does not keep. "
            "If the boxes are those of the displayed pictures, call PIL.ImageOps.exif_transpose on "
            "each picture first.",
            UserWarning,
            stacklevel=2,
        )
    for i, array in enumerate(arrays):
        if (array.shape, array.dtype) != (arrays[0].shape, arrays[0].dtype):
            raise ValueError(
                f"X must hold images of one shape and one dtype: X[0] has {arrays[0].shape} and "
                f"{arrays[0].dtype}, X[{i}] {array.shape} and {array.dtype}. Convert them first."
            )
    return np.stack(arrays)


def _orientation(element: Any) -> Any:
    """Return the EXIF orientation of a Pillow image; 1 of anything else."""
    return getattr(element, "getexif", dict)().get(0x0112, 1)


def _check_axes(shape: tuple[int, ...]) -> None:
    """Refuse images with channels first, as in PyTorch; warn of images that may be such."""
    if len(shape) < 4 or shape[3] <= MOST_CHANNELS:
        return
    message = (
        f"X has the shape {shape}. The axes are (n, height, width, channels): these would be "
        f"images of {shape[1]}×{shape[2]} px with {shape[3]} channels. If channels come first, "
        f"pass np.moveaxis(X, 1, -1)"
    )
    if shape[1] <= MOST_CHANNELS:
        raise ValueError(f"{message}; if they do not, set image_shape={shape[1:]}.")
    if shape[2] == shape[3] != shape[1]:
        warnings.warn(f"{message}.", UserWarning, stacklevel=2)


def _advice(shape: tuple[int, ...], expected: Shape) -> str:
    """Return advice for an array that holds the right images in another form."""
    if shape in (expected, expected[:2]):
        return " This is one image: pass X[np.newaxis]."
    if len(shape) == 4 and (*shape[2:], shape[1]) == expected:
        return " The channels come first: pass np.moveaxis(X, 1, -1)."
    if len(shape) >= 3 and (shape[2], shape[1], *shape[3:], 1)[:3] == expected:
        return " Height and width are exchanged: pass np.swapaxes(X, 1, 2)."
    return ""


def _shape_of_rows(n_pixels: int, image_shape: Shape | None) -> Shape:
    """Return the shape of images given as rows of pixels."""
    if image_shape is None:
        side = math.isqrt(n_pixels)
        return (side, side, 1) if side * side == n_pixels else (1, n_pixels, 1)
    if math.prod(image_shape) != n_pixels:
        raise ValueError(
            f"X has rows of {n_pixels} pixels, but images of shape {tuple(image_shape)} (height, "
            f"width, channels), so rows of {math.prod(image_shape)}, are expected."
        )
    return tuple(image_shape)


def _check_values(block: np.ndarray, start: int) -> np.ndarray:
    """Check the values of images, the first of which has the index ``start``."""
    if block.dtype in (np.bool_, np.uint8):
        return block
    if block.dtype.kind not in "iuf":
        raise TypeError(f"X must hold real numbers, got dtype {block.dtype}.")
    # Numbers too large for single precision become infinite, and are refused.
    with np.errstate(over="ignore"):
        block = block.astype(np.float32)
    if get_config()["assume_finite"]:
        return block
    finite = np.isfinite(block).reshape(len(block), -1).all(axis=1)
    if not finite.all():
        raise ValueError(
            f"Input X contains NaN or infinity: in {np.sum(~finite)} of {len(block)} images, first "
            f"in image {start + np.argmin(finite)}. Replace these values or remove the images."
        )
    return block
