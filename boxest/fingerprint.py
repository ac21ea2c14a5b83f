"""What determines the result of a training, in a form that can be compared."""

import hashlib
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

import boxest
from boxest import runtime

if TYPE_CHECKING:
    import keras

    from boxest.training.loop import Examples

# Rows of a file of features that are read at once.
_BLOCK = 4096
_PLAIN = (bool, int, float, str, type(None))


def of_data(train: "Examples", held_out: "Examples | None") -> dict[str, Any]:
    """Return digests of the examples that are trained on and of those that are held out."""
    return {
        "training examples": of_examples(train),
        "validation examples": of_examples(held_out),
    }


def of_examples(examples: "Examples | None") -> str | None:
    """Return a digest of images, targets and weights."""
    if examples is None:
        return None
    images = examples.images
    about = type(images).__name__, str(images.dtype), *map(np.shape, examples)
    blocks = (images[start : start + _BLOCK] for start in range(0, len(images), _BLOCK))
    return _digest(about, blocks, examples[1:])


def of_network(model: "keras.Model", optimizer: "keras.Optimizer") -> str:
    """Return a digest of the layers, and of the numbers that training begins with.

    Layers are told by their class, shape and activation: Keras' own description of them would
    import TensorFlow on every backend.
    """
    from keras import ops

    layers = [
        (type(layer).__qualname__, layer.output.shape, describe(getattr(layer, "activation", None)))
        for layer in model.layers
    ]
    variables = [*model.variables, *optimizer.variables]
    return _digest(layers, map(ops.convert_to_numpy, variables))


def of_runtime() -> dict[str, Any]:
    """Return versions, device and number of threads."""
    found = runtime.describe()
    del found["python_version"]
    return found | {"boxest_version": boxest.__version__}


def describe(value: Any) -> Any:
    """Return a parameter of an estimator as JSON knows it: objects by class and configuration."""
    if isinstance(value, _PLAIN):
        return value
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, dict):
        return {str(key): describe(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [describe(item) for item in value]
    named = value if hasattr(value, "__qualname__") else type(value)
    name = f"{named.__module__}.{named.__qualname__}"
    return [name, describe(value.get_config())] if hasattr(value, "get_config") else name


def _digest(about: Any, *arrays: Iterable[np.ndarray]) -> str:
    """Return the SHA-256 of a description and of arrays."""
    digest = hashlib.sha256(repr(about).encode())
    for array in (array for some in arrays for array in some):
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()
