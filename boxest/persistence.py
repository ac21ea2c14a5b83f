"""Fitted estimators as single files that are safe to open.

A file is a zip archive of two parts: ``estimator.json``, a text with parameters, history and the
shapes of arrays, and ``arrays``, their numbers: weights and state of the optimizer. Reading builds
the network from the name in the text, as `fit` does, and copies numbers: nothing is executed.
"""

import json
import math
import os
import zipfile
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np

from boxest import networks, runtime, versions
from boxest.files import atomic_path
from boxest.training import Schedule

if TYPE_CHECKING:
    import keras

    from boxest.base import ImageRegressor

FORMAT = "boxest estimator"
FORMAT_VERSION = 2
# No part of a file may claim to unpack to more.
MAX_BYTES = {"estimator.json": 2**26, "arrays": 2**31}
_DTYPES = ("float16", "float32", "float64", "int32", "int64", "uint32", "uint64", "bool")
_PLAIN = (int, float, str, type(None))
_ATTRIBUTES = (
    "history_",
    "n_iter_",
    "diverged_",
    "stopped_early_",
    "seconds_",
    "runtime_",
    "seed_",
    "n_features_in_",
    "n_outputs_",
    "_flat_targets",
    "_first_rate",
)


class FileError(ValueError):
    """A file that is no saved estimator, or is damaged."""


def save(estimator: "ImageRegressor", path: str | os.PathLike) -> None:
    """Write a fitted estimator to a file, with all that it takes to go on training.

    Parameters
    ----------
    estimator : BoxRegressor or ImageRegressor
        Fitted. Its parameters must be numbers, strings, None or tuples of these, which a text can
        hold.
    path : path-like
        The file; written whole or not at all.

    Raises
    ------
    ValueError
        If a parameter is an object or a function; pickle can hold these.
    """
    parameters = estimator.get_params()
    for name, value in parameters.items():
        parts = value if isinstance(value, (tuple, list)) else [value]
        if not all(isinstance(part, _PLAIN) for part in parts):
            raise ValueError(
                f"{name}={value!r} cannot be saved: only numbers, strings and None can. "
                "Use a name, or pickle the estimator."
            )
    arrays = {name: _values(variables) for name, variables in _variables(estimator.model_).items()}
    about = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "versions": versions.current(),
        "class": type(estimator).__name__,
        "parameters": parameters,
        "image_shape": estimator.image_shape_,
        "feature_names": _names(estimator),
        "fitted": {name: getattr(estimator, name) for name in _ATTRIBUTES},
        "schedule": asdict(estimator._schedule),
        "arrays": {
            name: [[list(a.shape), str(a.dtype)] for a in some] for name, some in arrays.items()
        },
    }
    with atomic_path(path) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        archive.writestr("estimator.json", json.dumps(about, indent=1, default=_plain))
        with archive.open("arrays", "w", force_zip64=True) as file:
            for array in (array for some in arrays.values() for array in some):
                file.write(array.astype(array.dtype.newbyteorder("<")).tobytes())


def load(cls: "type[ImageRegressor]", path: str | os.PathLike) -> "ImageRegressor":
    """Read what `save` wrote. Nothing in the file is executed; no part may be larger than 2 GiB.

    Raises
    ------
    FileError
        If the file is not a saved estimator of this class, or is damaged.

    Warns
    -----
    UserWarning
        If another version of boxest or Keras wrote it.
    """
    try:
        about, numbers = _read(path)
        if about["class"] != cls.__name__:
            raise FileError(f"it holds a {about['class']}")
        estimator = _restore(cls, about, numbers)
    except FileNotFoundError:
        raise
    except (
        zipfile.BadZipFile,
        NotImplementedError,
        ArithmeticError,
        AttributeError,
        EOFError,
        LookupError,
        RecursionError,
        RuntimeError,
        TypeError,
        ValueError,
        OSError,
    ) as error:
        raise FileError(
            f"{path} is not a saved {cls.__name__}, or is damaged: {error}. "
            f"Save it again with {cls.__name__}.save."
        ) from error
    versions.check(about["versions"], str(path))
    return estimator


def _read(path: str | os.PathLike) -> tuple[dict[str, Any], bytes]:
    """Read and verify both parts of a file."""
    with zipfile.ZipFile(path) as archive:
        parts = {part.filename: part.file_size for part in archive.infolist()}
        if set(parts) != set(MAX_BYTES) or len(archive.infolist()) != len(parts):
            raise FileError(f"it holds {sorted(parts)} and not {sorted(MAX_BYTES)}")
        for name, size in parts.items():
            if size > MAX_BYTES[name]:
                raise FileError(f"{name} is {size} bytes and may be {MAX_BYTES[name]}")
        about = json.loads(archive.read("estimator.json"))
        if (about["format"], about["format_version"]) != (FORMAT, FORMAT_VERSION):
            raise FileError(f"it has the format {about['format']!r} {about['format_version']!r}")
        return about, archive.read("arrays")


def _restore(cls: type, about: dict[str, Any], numbers: bytes) -> "ImageRegressor":
    """Build the estimator that a file describes."""
    parameters = about["parameters"]
    if isinstance(parameters["image_shape"], list):
        parameters["image_shape"] = tuple(parameters["image_shape"])
    estimator = cls(**parameters)
    estimator._validate_params()
    shape = estimator.image_shape_ = tuple(map(int, about["image_shape"]))
    # Before anything is built: a network cannot need more numbers than the file has.
    if len(shape) != 3 or min(shape) < 1 or networks.least_parameters(shape) * 4 > len(numbers):
        raise FileError(f"its image shape is {shape}, and it holds {len(numbers)} bytes of arrays")
    for name in _ATTRIBUTES:
        setattr(estimator, name, about["fitted"][name])
    if estimator.n_outputs_ * 4 > len(numbers):
        raise FileError(f"it has {estimator.n_outputs_} outputs")
    if about["feature_names"] is not None:
        estimator.feature_names_in_ = np.array(about["feature_names"], dtype=object)
    estimator._schedule = Schedule(**about["schedule"])
    runtime.start_backend()
    model = estimator._new_model(estimator.seed_)
    _assign(_variables(model), about["arrays"], numbers)
    estimator._new_trainer(model)
    estimator.model_ = model
    return estimator


def _assign(variables: dict[str, list], shapes: dict[str, list], numbers: bytes) -> None:
    """Copy numbers into variables, each of which must have the shape that the file tells."""
    start = 0
    for name, some in variables.items():
        expected = [[list(v.shape), str(v.dtype)] for v in some]
        if shapes[name] != expected:
            raise FileError(f"its arrays of the {name} are {shapes[name]}, expected {expected}")
        for variable in some:
            dtype = np.dtype(variable.dtype).newbyteorder("<")
            n = math.prod(variable.shape)
            array = np.frombuffer(numbers, dtype, count=n, offset=start)
            variable.assign(array.reshape(variable.shape))
            start += array.nbytes
    if start != len(numbers):
        raise FileError(f"it has {len(numbers)} bytes of arrays, expected {start}")


def _variables(model: "keras.Model") -> dict[str, list]:
    """Return all that training changes."""
    return {"model": list(model.variables), "optimizer": list(model.optimizer.variables)}


def _values(variables: list) -> list[np.ndarray]:
    from keras import ops

    values = [np.asarray(ops.convert_to_numpy(variable)) for variable in variables]
    if unknown := {str(v.dtype) for v in values} - set(_DTYPES):
        raise ValueError(f"Variables of dtype {sorted(unknown)} cannot be saved; pickle can.")
    return values


def _names(estimator: "ImageRegressor") -> list[str] | None:
    names = getattr(estimator, "feature_names_in_", None)
    return None if names is None else list(names)


def _plain(value: Any) -> Any:
    """Return a number of numpy's as one of Python's."""
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"{value!r} cannot be saved.")
