"""What counts as a batch of images."""

from typing import Any

import numpy as np

Shape = tuple[int, int, int]


def check_images(X: Any, *, image_shape: Shape | None = None) -> np.ndarray:
    """Return images as an array with channels, or say what is wrong with them.

    Parameters
    ----------
    X : array-like of shape (n, height, width) or (n, height, width, channels)
        Grey levels: bool, uint8 (0..255), or any real numbers, which are taken as they are.
    image_shape : (height, width, channels), optional
        The shape that each image must have.

    Returns
    -------
    ndarray of bool, uint8 or float32, shape (n, height, width, channels)

    Raises
    ------
    ValueError
        If the number of axes or the shape is wrong, there is no image, or a value is not finite.
    TypeError
        If the values are not real numbers.
    """
    X = np.asarray(X)
    if X.ndim not in (3, 4):
        raise ValueError(
            f"X must hold images, of shape (n, height, width) or (n, height, width, channels); "
            f"got the shape {X.shape}."
        )
    if X.ndim == 3:
        X = X[..., np.newaxis]
    if 0 in X.shape:
        raise ValueError(f"X must hold at least one image of at least one pixel; got {X.shape}.")
    if image_shape is not None and X.shape[1:] != tuple(image_shape):
        raise ValueError(
            f"X has images of shape {X.shape[1:]}, but images of shape {tuple(image_shape)} "
            "(height, width, channels) were fitted."
        )
    if X.dtype in (np.bool_, np.uint8):
        return X
    if X.dtype.kind not in "iuf":
        raise TypeError(f"X must hold real numbers, got dtype {X.dtype}.")
    X = X.astype(np.float32)
    finite = np.isfinite(X).all(axis=(1, 2, 3))
    if not finite.all():
        raise ValueError(
            f"X holds NaN or infinity in {np.sum(~finite)} of {len(X)} images, "
            f"first in image {np.argmin(finite)}. Replace these values or leave the images out."
        )
    return X


def check_grey_levels(X: np.ndarray) -> None:
    """Refuse 0/1 images in the guise of uint8, which would be read as nearly black.

    Raises
    ------
    ValueError
        If the largest of the uint8 grey levels 0..255 is 1.
    """
    if X.dtype == np.uint8 and X.max() == 1:
        raise ValueError(
            "X has dtype uint8, which means grey levels 0..255, but its largest value is 1. "
            "Pass X.astype(bool) for images of 0 and 1."
        )
