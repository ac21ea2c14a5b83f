"""Save fitted estimators as single files that are safe to open.

A file is a zip archive with two uncompressed parts: ``estimator.json``, a text with parameters,
history and the shapes of arrays, and ``arrays``, the numbers of weights and optimizer. Reading
builds the network from the name in the text, as `fit` does, and copies the numbers; no code of the
file is executed.
"""

import json
import math
import os
import zipfile
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from boxest import networks
from boxest.data.augmentation import Augmentation
from boxest.data.pixels import Pixels
from boxest.estimator import building
from boxest.estimator.file_format import FITTED, FORMAT, FORMAT_VERSION, PARTS, check, is_plain
from boxest.system import backend, versions
from boxest.system.files import FileError, atomic_path, regular
from boxest.training import Schedule

if TYPE_CHECKING:
    import keras

    from boxest.estimator.base import BaseImageRegressor

# As Python objects, a text takes up to 20 times its size in memory.
MAX_TEXT_BYTES = 2**26
# Largest side of an image in pixels: even a network with few weights must not be built for any
# size.
MAX_SIDE = 2**24
# Largest number of pixels and of outputs, if it is unknown how the weights grow with them.
MAX_NUMBERS = 2**26
MAX_OUTPUTS = 2**16
_DTYPES = ("float16", "float32", "float64", "int32", "int64", "uint32", "uint64", "bool")


def save(estimator: "BaseImageRegressor", path: str | os.PathLike) -> None:
    """Write a fitted estimator to a file, with everything needed to continue training.

    Parameters
    ----------
    estimator : BoxRegressor or ImageRegressor
        Fitted. Its parameters must be numbers, strings, None or tuples of these; ``augmentation``
        is stored as its options.
    path : path-like
        The file; it is written completely or not at all.

    Raises
    ------
    ValueError
        If a parameter is an object or a function, or layers are frozen; use pickle for these. Also
        if the network or its optimizer was made with other parameters than the current ones.
    """
    # A path belongs to this machine, and must not overwrite a file of whoever loads the estimator.
    parameters = estimator.get_params() | {"checkpoint": None}
    if isinstance(parameters.get("augmentation"), Augmentation):
        parameters["augmentation"] = asdict(parameters["augmentation"])
    for name, value in parameters.items():
        if not is_plain(name, value):
            raise ValueError(
                f"{name}={value!r} cannot be saved: only numbers, strings and None can. "
                "Use a name, or pickle the estimator."
            )
    for name in building.changed(estimator):
        raise ValueError(
            f"{name}={getattr(estimator, name)!r} was set after fit, so the file would describe "
            f"another network. Set {name} back to its value at fit, or call fit."
        )
    if any(not layer.trainable for layer in backend.all_layers(estimator.model_)):
        raise ValueError(
            "Layers of model_ are frozen, which a file cannot record. Set trainable=True, or "
            "pickle the estimator."
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
        "pixels": estimator.pixels_._asdict(),
        "dtype_policy": _dtype_policy(estimator.model_),
        "fitted": {name: getattr(estimator, name) for name in FITTED},
        "schedule": asdict(estimator._schedule),
        "arrays": {
            name: [[list(a.shape), str(a.dtype)] for a in some] for name, some in arrays.items()
        },
    }
    text = json.dumps(about, indent=1, default=_plain)
    check(json.loads(text))  # No file is written that `load` would refuse.
    with atomic_path(path) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        archive.writestr("estimator.json", text)
        with archive.open("arrays", "w", force_zip64=True) as file:
            for array in (array for some in arrays.values() for array in some):
                file.write(array.astype(array.dtype.newbyteorder("<")).tobytes())


def load(cls: "type[BaseImageRegressor]", path: str | os.PathLike) -> "BaseImageRegressor":
    """Read a file that `save` wrote. Nothing in the file is executed or unpacked.

    Raises
    ------
    FileError
        If the file is not a saved estimator of this class, or is damaged.
    OSError
        If the file cannot be opened.

    Warns
    -----
    UserWarning
        If another version of boxest or Keras wrote it.
    """
    with open(path, "rb", opener=regular) as stream:
        try:
            about, numbers = _read(stream)
            if about["class"] != cls.__name__:
                raise FileError(f"it holds a {about['class']:.80}")
            estimator = _restore(cls, about, numbers)
        except MemoryError:
            raise
        # zipfile, json, scikit-learn and Keras may raise anything for a damaged file.
        except Exception as error:
            raise FileError(
                f"{path} is not a saved {cls.__name__}, or is damaged: {error}. "
                f"Save it again with {cls.__name__}.save.",
                path,
            ) from error
    versions.check(about["versions"], str(path))
    return estimator


def _read(stream: BinaryIO) -> tuple[dict[str, Any], bytes]:
    """Read both parts of a file and verify the text."""
    file_size = os.fstat(stream.fileno()).st_size
    with zipfile.ZipFile(stream) as archive:
        parts = sorted(archive.infolist(), key=lambda part: part.filename)
        if [part.filename for part in parts] != sorted(PARTS):
            raise FileError(f"it should hold {' and '.join(PARTS)}, and nothing else")
        for part in parts:
            stored = part.compress_type == zipfile.ZIP_STORED
            if not stored or not part.file_size == part.compress_size <= file_size:
                raise FileError(f"{part.filename} is compressed, or larger than the file")
        if parts[1].file_size > MAX_TEXT_BYTES:
            raise FileError(f"{PARTS[1]} has more than the allowed {MAX_TEXT_BYTES} bytes")
        about = json.loads(archive.read(PARTS[1]))
        check(about)
        return about, archive.read(PARTS[0])


def _restore(cls: type, about: dict[str, Any], numbers: bytes) -> "BaseImageRegressor":
    """Build the estimator that a file describes."""
    parameters = about["parameters"]
    if isinstance(parameters["image_shape"], list):
        parameters["image_shape"] = tuple(parameters["image_shape"])
    estimator = cls(**parameters)
    estimator._validate_params()
    for name in FITTED:
        setattr(estimator, name, about["fitted"][name])
    estimator.image_shape_ = tuple(about["image_shape"])
    estimator.pixels_ = Pixels(**about["pixels"])
    _check_shapes(estimator, len(numbers))
    if (names := about["feature_names"]) is not None:
        if len(names) != estimator.n_features_in_ or not all(isinstance(n, str) for n in names):
            raise FileError(f"its feature_names are {names!r:.80}, {len(names)} of them")
        estimator.feature_names_in_ = np.array(names, dtype=object)
    estimator._schedule = Schedule(**about["schedule"])
    estimator.followed_ = np.empty(0)  # A file does not hold them.
    backend.start()
    policy = about["dtype_policy"]
    model = building.new_model(estimator, estimator.seed_, dtype_policy=policy)
    _assign(_variables(model), about["arrays"], numbers)
    building.new_trainer(estimator, model)
    estimator.model_, estimator._kept = model, building.kept(estimator)
    return estimator


def _check_shapes(estimator: "BaseImageRegressor", n_bytes: int) -> None:
    """Check, before anything is built, that the network needs no more numbers than the file has."""
    shape, n_outputs = estimator.image_shape_, estimator.n_outputs_
    whole = len(shape) == 3 and all(type(side) is int and 0 < side <= MAX_SIDE for side in shape)
    if not whole or not _could_hold(estimator.network, shape, 1, n_bytes):
        raise FileError(f"its image shape is {shape!r:.80}, and it holds {n_bytes} bytes of arrays")
    if estimator.n_features_in_ != math.prod(shape):
        raise FileError(f"its images of shape {shape} have {estimator.n_features_in_} features")
    if n_outputs < 1 or not _could_hold(estimator.network, shape, n_outputs, n_bytes):
        raise FileError(f"it has {n_outputs} outputs")


def _could_hold(network: str, shape: tuple, n_outputs: int, n_bytes: int) -> bool:
    """Whether the weights of a network could fit into this many bytes, as far as that is known."""
    least = networks.least_parameters(network, shape, n_outputs)
    if least is None:
        return math.prod(shape) <= MAX_NUMBERS and n_outputs <= MAX_OUTPUTS
    return least * 4 <= n_bytes


def _assign(variables: dict[str, list], shapes: dict[str, list], numbers: bytes) -> None:
    """Copy numbers into variables, which must have the shapes that the file states."""
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
    """Return all variables that training changes."""
    return {"model": list(model.variables), "optimizer": list(model.optimizer.variables)}


def _dtype_policy(model: "keras.Model") -> str:
    """Return the policy under which a network was built.

    Under a mixed one, some layers have the exact one; see `boxest.networks.parts.exact`.
    """
    names = {layer.dtype_policy.name for layer in model.layers if layer.weights}
    return max(names, key=lambda name: name.startswith("mixed"))


def _values(variables: list) -> list[np.ndarray]:
    values = backend.values_of(variables)
    if unknown := {str(v.dtype) for v in values} - set(_DTYPES):
        raise ValueError(f"Variables of dtype {sorted(unknown)} cannot be saved; pickle can.")
    return values


def _names(estimator: "BaseImageRegressor") -> list[str] | None:
    names = getattr(estimator, "feature_names_in_", None)
    return None if names is None else list(names)


def _plain(value: Any) -> Any:
    """Convert a numpy number to a Python number."""
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"{value!r} cannot be saved.")
