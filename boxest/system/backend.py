"""Start Keras and its backend quietly, and describe the device that they compute on."""

import contextlib
import os
import platform
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING

from boxest.system.garbage import no_collections
from boxest.system.runtime import quiet, without_unused_packages

if TYPE_CHECKING:
    import keras
    import numpy as np
    import numpy.typing as npt

SUPPORTED = ("tensorflow", "jax")

_starting = threading.Lock()
# Whether `import_seconds` has returned the time.
_counted = False
# The process in which a network has trained or predicted.
_computing: int | None = None


def start() -> None:
    """Import Keras and its backend, quietly."""
    # Of two threads at once, one would restore the temporary stderr of the other.
    with _starting:
        _started()


def import_seconds() -> float:
    """Do the same, and return the seconds it took, once: from the second call on, 0."""
    global _counted
    start()
    with _starting:
        seconds, _counted = 0.0 if _counted else _started(), True
    return seconds


@cache
def _started() -> float:
    quiet()
    before = time.perf_counter()
    with _greetings_withheld(), no_collections(), without_unused_packages():
        import keras

        if keras.backend.backend() in SUPPORTED:
            _device()
    return time.perf_counter() - before


@contextlib.contextmanager
def _greetings_withheld() -> Iterator[None]:
    """Withhold the output of C++ libraries to stderr, and print it only if the block fails.

    TensorFlow prints its options at the start, and without a GPU also the libraries that it missed;
    no setting switches that off.
    """
    sys.stderr.flush()
    with tempfile.TemporaryFile() as withheld:
        stderr = os.dup(2)
        os.dup2(withheld.fileno(), 2)
        try:
            yield
        except BaseException:
            withheld.seek(0)
            os.write(stderr, withheld.read())
            raise
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)


def refuse_fork() -> None:
    """Refuse to compute in a process that was forked after its parent has computed.

    The threads of the backend do not exist in the fork, which would wait for them forever.

    Raises
    ------
    RuntimeError
    """
    global _computing
    _computing = _computing or os.getpid()
    if _computing != os.getpid():
        raise RuntimeError(
            "This process was forked from one in which a network has trained or predicted, and "
            "the backend does not work after that. Start processes with "
            "multiprocessing.get_context('spawn'), or with joblib."
        )


def device() -> str:
    """Start the backend, and return "cpu" or the name of the GPU that it computes on."""
    start()
    return _device()


def describe() -> dict[str, str | int]:
    """Describe what this process computes with: backend, versions, device, threads.

    Returns
    -------
    dict
        ``backend``, ``backend_version``, ``keras_version``, ``python_version``, ``device``
        (``"cpu"`` or the name of the GPU) and ``threads`` (0 if the backend chooses).
    """
    import keras

    name = supported()
    return {
        "backend": name,
        "backend_version": import_module(name).__version__,
        "keras_version": keras.version(),
        "python_version": platform.python_version(),
        "device": _device(),
        "threads": int(os.environ.get("TF_NUM_INTRAOP_THREADS", 0)),
    }


def supported() -> str:
    """Return the name of the backend that Keras runs on.

    Raises
    ------
    RuntimeError
        If boxest does not support it.
    """
    import keras

    name = keras.backend.backend()
    if name not in SUPPORTED:
        raise RuntimeError(
            f"Keras runs on {name!r} here, but boxest needs one of {SUPPORTED}. "
            "Set the environment variable KERAS_BACKEND before Python starts."
        )
    return name


def _device() -> str:
    if supported() == "tensorflow":
        import tensorflow as tf

        gpus = tf.config.list_physical_devices("GPU")
        if not gpus:
            return "cpu"
        return tf.config.experimental.get_device_details(gpus[0]).get("device_name", gpus[0].name)
    import jax

    first = jax.devices()[0]
    return "cpu" if first.platform == "cpu" else first.device_kind


def all_layers(model: "keras.Model") -> "Iterator[keras.Layer]":
    """Yield a network and all layers in it."""
    yield model
    for layer in getattr(model, "layers", ()):
        yield from all_layers(layer)


def values_of(variables: "Iterable[keras.Variable]") -> "list[np.ndarray]":
    """Return copies of the values of variables."""
    import numpy as np
    from keras import ops

    return [np.array(ops.convert_to_numpy(variable)) for variable in variables]


def assign(variables: "Iterable[keras.Variable]", values: "Iterable[npt.ArrayLike]") -> None:
    """Set each of the variables to its value, in the same order."""
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)
