"""How the backend is started: threads, memory, messages; all to be said before its import."""

import os
import sys
import time
from functools import cache

_BACKEND_MODULES = {"tensorflow": "tensorflow", "jax": "jaxlib"}

_DEFAULTS = {
    # Information and warnings of the C++ side are for the backend's developers; errors still show.
    "TF_CPP_MIN_LOG_LEVEL": "2",
    # oneDNN changes the order of sums with the number of threads and announces itself on stderr.
    "TF_ENABLE_ONEDNN_OPTS": "0",
    # Otherwise the first process on a GPU takes all of its memory.
    "TF_FORCE_GPU_ALLOW_GROWTH": "true",
    "XLA_PYTHON_CLIENT_PREALLOCATE": "false",
}


def set_threads(threads: int) -> None:
    """Limit the backend of this process to a number of threads.

    Parameters
    ----------
    threads : int
        Number of CPU threads that one operation may use, at least 1.

    Raises
    ------
    ValueError
        If ``threads`` is below 1.
    RuntimeError
        If the backend has been imported already: it reads the number only then.
    """
    if threads < 1:
        raise ValueError(f"threads must be at least 1, got {threads!r}.")
    started = [name for name, module in _BACKEND_MODULES.items() if module in sys.modules]
    if started:
        raise RuntimeError(
            f"set_threads({threads}) comes too late: {' and '.join(started)} is imported already. "
            "Call it before the first import of keras, tensorflow or jax."
        )
    os.environ["TF_NUM_INTRAOP_THREADS"] = str(threads)
    os.environ["TF_NUM_INTEROP_THREADS"] = "1"
    os.environ["OMP_NUM_THREADS"] = str(threads)
    if threads == 1:
        flags = os.environ.get("XLA_FLAGS", "")
        os.environ["XLA_FLAGS"] = f"{flags} --xla_cpu_multi_thread_eigen=false".strip()


def quiet() -> None:
    """Set what keeps the backend quiet and modest, where the user's environment does not."""
    for name, value in _DEFAULTS.items():
        os.environ.setdefault(name, value)


@cache
def start_backend() -> float:
    """Import Keras and its backend, quietly, and return the seconds it took."""
    quiet()
    before = time.perf_counter()
    import keras  # noqa: F401

    return time.perf_counter() - before


def describe() -> dict[str, str | int]:
    """Say what this process computes with: backend, versions, device, threads.

    Returns
    -------
    dict
        ``backend``, ``backend_version``, ``keras_version``, ``python_version``, ``device``
        (``"cpu"`` or the name of the GPU) and ``threads`` (0: as many as the backend likes).
    """
    import platform

    import keras

    from boxest.training.backend import load

    backend = load()
    return {
        "backend": keras.backend.backend(),
        "backend_version": backend.version(),
        "keras_version": keras.version(),
        "python_version": platform.python_version(),
        "device": backend.device(),
        "threads": int(os.environ.get("TF_NUM_INTRAOP_THREADS", 0)),
    }
