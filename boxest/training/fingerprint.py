"""Describe everything that determines the result of a training, in a comparable form."""

import contextlib
import functools
import hashlib
import inspect
import math
from collections.abc import Callable, Iterable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import boxest
from boxest.system import backend, runtime

if TYPE_CHECKING:
    import keras

    from boxest.training.record import Examples, Settings
    from boxest.training.schedule import Schedule

# Bytes of a file of features to read at once.
_BLOCK_BYTES = 2**26
# Parameters without an effect on the result, or, like callbacks, with unknown effects.
_WITHOUT_EFFECT = ("callbacks", "checkpoint", "memory_limit", "verbose", "warm_start")
_PLAIN = (bool, int, float, str, type(None))
# Targets and outputs that distinguish losses: near, less near, flipped, far.
_BOXES = (
    [[0.25, 0.25, 0.75, 0.5]] * 5,
    [
        [0.26, 0.25, 0.75, 0.49],
        [0.3, 0.1, 0.9, 0.6],
        [0.7, 0.5, 0.2, 0.3],
        [0.9, 1.3, 2.1, 1.7],
        [40.0, -30.0, 70.0, 50.0],
    ],
)


def of_data(train: "Examples", held_out: "Examples | None") -> dict[str, Any]:
    """Return digests of the training examples and of the held-out examples."""
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
    n = max(1, _BLOCK_BYTES // max(1, images.dtype.itemsize * math.prod(images.shape[1:])))
    blocks = (images[start : start + n] for start in range(0, len(images), n))
    return _digest(about, blocks, examples[1:])


def of_network(model: "keras.Model", optimizer: "keras.Optimizer") -> str:
    """Return a digest of the layers, and of the numbers at the start of training."""
    # The layers of a model with its own `call` have no output attribute.
    outputs = [getattr(layer, "output", None) for layer in model.layers]
    shapes = [getattr(output, "shape", None) for output in outputs]
    layers = [*zip(shapes, map(_of_layer, model.layers), strict=True)]
    variables = [*model.variables, *optimizer.variables]
    return _digest(layers, backend.values_of(variables))


def _of_layer(layer: "keras.Layer") -> list:
    """Describe a layer by its class and its public attributes, except the name.

    Keras' own description would import TensorFlow on every backend.
    """
    from keras import Layer, constraints, regularizers

    told = regularizers.Regularizer, constraints.Constraint, functools.partial, np.ndarray
    about = [type(layer).__qualname__, layer.dtype_policy.name, layer.trainable]
    for name, value in sorted(vars(layer).items()):
        if name.startswith("_") or name == "name":
            continue
        if isinstance(value, Layer):
            about.append((name, _of_layer(value)))
        elif isinstance(value, told) or inspect.isroutine(value) or _is_plain(value):
            about.append((name, describe(value)))
    return [*about, *map(_of_layer, getattr(layer, "layers", ()))]


def _is_plain(value: Any) -> bool:
    """Whether a value is a number or a text, or consists of these."""
    if isinstance(value, dict):
        value = [*value, *value.values()]
    if isinstance(value, (list, tuple)):
        return all(map(_is_plain, value))
    return isinstance(value, (*_PLAIN, np.generic))


def of_parameters(parameters: dict[str, Any]) -> dict[str, Any]:
    """Return comparable forms of the parameters of an estimator that affect the result."""
    return {
        name: describe(value) for name, value in parameters.items() if name not in _WITHOUT_EFFECT
    }


def of_plan(settings: "Settings", schedule: "Schedule") -> dict[str, Any]:
    """Describe where a training continues.

    The weights do not tell: earlier trainings of different lengths may leave the same best ones.
    """
    return {
        "earlier epochs": settings.epochs_before,
        "earlier updates": settings.updates_before,
        "schedule so far": asdict(schedule),
    }


def of_runtime() -> dict[str, Any]:
    """Return versions, code, processor, device and number of threads."""
    found = backend.describe()
    del found["python_version"]
    return found | {
        "boxest_version": boxest.__version__,
        "boxest_code": _of_code(),
        "numpy_version": np.__version__,
        "machine": runtime.machine(),
        "threads": found["threads"] or runtime.usable_processors(),
    }


@functools.cache
def _of_code() -> str:
    """Return a digest of this package's sources, which change more often than its version."""
    sources = sorted(Path(boxest.__file__).parent.rglob("*.py"))
    return hashlib.sha256(b"".join(source.read_bytes() for source in sources)).hexdigest()


def same(a: Any, b: Any) -> bool:
    """Whether two parameters have the same effect, as far as this is known.

    Functions, and objects that are not Keras', only count as the same if they are identical.
    """

    def itself(value: Any) -> tuple[int, Any]:
        # The object is kept, so that no other object can get its id in the meantime.
        return id(value), value

    return describe(a, itself) == describe(b, itself)


def _name(value: Any) -> Any:
    """Return the name of a function or class; for an object, its class and attributes."""
    if hasattr(value, "__qualname__"):
        return f"{value.__module__}.{value.__qualname__}"
    has = {name: item for name, item in getattr(value, "__dict__", {}).items() if _is_plain(item)}
    return [_name(type(value)), describe(has)]


def describe(value: Any, of_object: Callable[[Any], Any] = _name) -> Any:
    """Return a parameter of an estimator as a JSON value.

    Parameters
    ----------
    value
        Numbers, texts and None as they are, arrays by a digest, objects of Keras by class and
        configuration, losses also by some values.
    of_object : callable, optional
        Describes functions, classes and other objects; by default by name and plain attributes.
    """
    inner = functools.partial(describe, of_object=of_object)
    if isinstance(value, _PLAIN):
        return value
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        return ["array", _digest((value.shape, str(value.dtype)), [value])]
    if isinstance(value, dict):
        return {str(key): inner(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [inner(item) for item in value]
    if isinstance(value, functools.partial):
        return ["partial", *map(inner, (value.func, value.args, value.keywords))]
    if inspect.ismethod(value):
        return ["method", inner(value.__func__), inner(value.__self__)]
    if hasattr(value, "get_config") and not inspect.isclass(value):
        return [of_object(type(value)), inner(_configuration(value))]
    return of_object(value)


def _configuration(value: Any) -> dict[str, Any]:
    """Return the effective configuration of a Keras object, and values of a loss.

    Names may be numbered, and the estimator replaces a learning rate that is a number. The
    configuration of a loss may be incomplete: Huber's lacks its delta.
    """
    from keras import losses, ops

    config = {key: item for key, item in value.get_config().items() if key != "name"}
    if not isinstance(config.get("learning_rate"), dict):
        config.pop("learning_rate", None)
    if isinstance(value, losses.Loss):
        boxes = (ops.convert_to_tensor(some, "float32") for some in _BOXES)
        with contextlib.suppress(Exception):  # A user's loss may be for other targets only.
            values = ops.convert_to_numpy(value.call(*boxes))
            config["values"] = [f"{number:.4g}" for number in values.ravel()]
    return config


def _digest(about: Any, *arrays: Iterable[np.ndarray]) -> str:
    """Return the SHA-256 of a description and of arrays."""
    digest = hashlib.sha256(repr(about).encode())
    for array in (array for some in arrays for array in some):
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()
