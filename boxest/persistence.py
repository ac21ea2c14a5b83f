"""Fitted regressors as single files that are safe to open."""

import io
import json
import os
import tempfile
import warnings
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import boxest
from boxest import runtime
from boxest.files import atomic_path

if TYPE_CHECKING:
    from boxest.estimator import BoxRegressor

FORMAT = "boxest regressor"
FORMAT_VERSION = 1
# No part of a file may claim to unpack to more.
MAX_BYTES = 2**31
_ATTRIBUTES = ("history_", "n_iter_", "diverged_", "stopped_early_", "seconds_", "runtime_")


class FileError(ValueError):
    """A file that is no saved regressor, or is damaged."""


def save(regressor: "BoxRegressor", path: str | os.PathLike) -> None:
    """Write a fitted regressor to a file: a zip archive of the Keras model and a JSON text.

    Parameters
    ----------
    regressor : BoxRegressor
        Fitted. Its parameters must be numbers, strings or None, which a text can hold.
    path : path-like
        The file; written whole or not at all.

    Raises
    ------
    ValueError
        If a parameter is an object or a function; pickle can hold these.
    """
    parameters = regressor.get_params()
    for name, value in parameters.items():
        if not isinstance(value, (int, float, str, type(None))):
            raise ValueError(
                f"{name}={value!r} cannot be saved: only numbers, strings and None can. "
                "Use a name, or pickle the regressor."
            )
    about = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "boxest_version": boxest.__version__,
        "parameters": parameters,
        "image_shape": regressor.image_shape_,
        "fitted": {name: getattr(regressor, name) for name in _ATTRIBUTES},
    }
    with tempfile.TemporaryDirectory() as directory, atomic_path(path) as temporary:
        model = Path(directory) / "model.keras"
        regressor.model_.save(model)
        with zipfile.ZipFile(temporary, "w") as archive:
            archive.writestr("regressor.json", json.dumps(about, indent=1))
            archive.write(model, "model.keras")


def load(cls: "type[BoxRegressor]", path: str | os.PathLike) -> "BoxRegressor":
    """Read what `save` wrote. Nothing in the file is executed.

    Raises
    ------
    FileError
        If the file is not a saved regressor, or is damaged.

    Warns
    -----
    UserWarning
        If another version of boxest wrote it.
    """
    runtime.start_backend()
    import keras

    from boxest import losses  # noqa: F401 -- registers the losses that the model may name

    try:
        with zipfile.ZipFile(path) as archive:
            large = [i.filename for i in archive.infolist() if i.file_size > MAX_BYTES]
            if large or archive.testzip():
                raise FileError(f"{large or archive.testzip()} is too large or damaged")
            about = json.loads(archive.read("regressor.json"))
            model = io.BytesIO(archive.read("model.keras"))
        if (about["format"], about["format_version"]) != (FORMAT, FORMAT_VERSION):
            raise FileError(f"it has the format {about['format']!r} {about['format_version']!r}")
        with tempfile.TemporaryDirectory() as directory:
            unpacked = Path(directory) / "model.keras"
            unpacked.write_bytes(model.getbuffer())
            model = keras.saving.load_model(unpacked, safe_mode=True)
        regressor = cls(**about["parameters"])
        regressor.image_shape_ = tuple(about["image_shape"])
        for name in _ATTRIBUTES:
            setattr(regressor, name, about["fitted"][name])
    except FileNotFoundError:
        raise
    except (zipfile.BadZipFile, KeyError, TypeError, ValueError, OSError) as error:
        raise FileError(
            f"{path} is not a saved BoxRegressor, or is damaged: {error}. "
            "Save it again with BoxRegressor.save."
        ) from error
    regressor.model_ = model
    if about["boxest_version"] != boxest.__version__:
        warnings.warn(
            f"{path} was saved by boxest {about['boxest_version']}, this is "
            f"{boxest.__version__}: check its predictions before you rely on them.",
            stacklevel=3,
        )
    return regressor
