"""Export trained networks as ONNX and SavedModel, including the preprocessing."""

import contextlib
import importlib.util
import io
import logging
import os
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from sklearn.utils.validation import check_is_fitted

from boxest.data.pixels import Pixels
from boxest.system import backend
from boxest.system.files import atomic_folder, atomic_path

if TYPE_CHECKING:
    import keras

    from boxest.estimator.base import BaseImageRegressor

FORMATS = ("onnx", "saved_model")


def export(
    estimator: "BaseImageRegressor",
    path: str | os.PathLike,
    *,
    format: str | None = None,
) -> None:
    """Write the network of a fitted estimator for programs without boxest and Keras.

    The input has the name ``images`` and takes a batch of images of the fitted shape, (n, height,
    width, channels), with numbers of the type that `fit` was given; for floats of any precision, in
    float32. They are read as in `fit`, for example uint8 as grey levels 0..255 (see
    `boxest.data.pixels`). The output equals that of `predict` in single precision: for
    `BoxRegressor`, boxes (x1, y1, x2, y2) divided by image width and height.

    Parameters
    ----------
    estimator : BoxRegressor or ImageRegressor
        Fitted.
    path : path-like
        The ONNX file, or the folder of a SavedModel, which must not exist yet or must be empty. It
        is written completely or not at all.
    format : {"onnx", "saved_model"} or None, default=None
        None means "onnx" if the path ends in ``.onnx``, otherwise "saved_model".

    Raises
    ------
    ValueError
        If the format is unknown.
    ImportError
        If tf2onnx, which ONNX needs, is not installed.
    RuntimeError
        If Keras does not run on TensorFlow, which ONNX needs.
    OSError
        If the file cannot be written.
    """
    check_is_fitted(estimator)
    path = Path(path)
    if format is None:
        format = "onnx" if path.suffix == ".onnx" else "saved_model"
    if format not in FORMATS:
        raise ValueError(f"format must be one of {', '.join(FORMATS)}; got {format!r}.")
    backend.start()
    if format == "onnx":
        _check_onnx()
    network = _with_preprocessing(estimator.model_, estimator.image_shape_, estimator.pixels_)
    with (atomic_path if format == "onnx" else atomic_folder)(path) as temporary, _quiet():
        kind = "onnx" if format == "onnx" else "tf_saved_model"
        network.export(temporary, format=kind, verbose=False)


def _with_preprocessing(
    model: "keras.Model", image_shape: tuple[int, int, int], pixels: Pixels
) -> "keras.Model":
    """Return a network with the same weights that takes images like `predict`."""
    import keras

    dtype = "float32" if np.dtype(pixels.dtype).kind == "f" else pixels.dtype
    images = keras.Input(image_shape, dtype=dtype, name="images")
    # In the type that `predict` has, whatever Keras' setting is now.
    levels = keras.layers.Rescaling(1 / (pixels.white or 1), name="levels", dtype="float32")(images)
    outputs = keras.layers.Activation("linear", dtype="float32", name="outputs")(model(levels))
    network = keras.Model(images, outputs, name="boxest")
    network(np.zeros((1, *image_shape), dtype))  # Keras only exports models that have been called.
    return network


def _check_onnx() -> None:
    """Raise an error if a requirement of the conversion to ONNX is missing."""
    import keras

    if keras.backend.backend() != "tensorflow":
        raise RuntimeError(
            f"Keras runs on {keras.backend.backend()!r} here, and ONNX is written with TensorFlow. "
            "Save the estimator, load it in a process with KERAS_BACKEND=tensorflow, and export it "
            "there."
        )
    if importlib.util.find_spec("tf2onnx") is None:
        raise ImportError(
            "ONNX needs the package tf2onnx: install it with pip install 'boxest[export]'."
        )


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Suppress the output of the converters: warnings about numpy's future, and their steps."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
