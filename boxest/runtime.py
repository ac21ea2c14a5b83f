"""How the backend is started: threads, memory, messages; all to be said before its import."""

import contextlib
import hashlib
import os
import platform
import re
import sys
import time
from functools import cache
from importlib import metadata
from pathlib import Path

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
    _refuse_if_started(f"set_threads({threads})")
    os.environ["TF_NUM_INTRAOP_THREADS"] = str(threads)
    os.environ["TF_NUM_INTEROP_THREADS"] = "1"
    os.environ["OMP_NUM_THREADS"] = str(threads)
    if threads == 1:
        flags = os.environ.get("XLA_FLAGS", "")
        os.environ["XLA_FLAGS"] = f"{flags} --xla_cpu_multi_thread_eigen=false".strip()


def share_compiled_programs(directory: str | os.PathLike) -> None:
    """Keep compiled programs in a directory, so that the next process need not compile them again.

    Several processes may share it at once. Programs of another processor, backend or version do not
    get in each other's way: each has a subdirectory of its own.

    Parameters
    ----------
    directory : path-like
        Made where it is missing. It can be deleted at any time.

    Raises
    ------
    RuntimeError
        If the backend has been imported already.
    """
    _refuse_if_started("share_compiled_programs()")
    path = Path(directory).resolve() / _machine()
    path.mkdir(parents=True, exist_ok=True)
    flags = os.environ.get("TF_XLA_FLAGS", "")
    cache = f"--tf_xla_persistent_cache_directory={path}"
    os.environ["TF_XLA_FLAGS"] = f"{flags} {cache}".strip()
    # TensorFlow reads its own entries with warnings, in the guise of errors, about options of the
    # compiler that no processor has.
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    os.environ["JAX_COMPILATION_CACHE_DIR"] = str(path)
    os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"


def forget_compiled_programs() -> None:
    """Delete what `share_compiled_programs` has kept for this machine: it is damaged."""
    found = re.search(r"--tf_xla_persistent_cache_directory=(\S+)", os.environ["TF_XLA_FLAGS"])
    for entry in Path(found.group(1)).iterdir():
        entry.unlink(missing_ok=True)


def _refuse_if_started(what: str) -> None:
    started = [name for name, module in _BACKEND_MODULES.items() if module in sys.modules]
    if started:
        raise RuntimeError(
            f"{what} comes too late: {' and '.join(started)} is imported already. "
            "Call it before the first import of keras, tensorflow or jax."
        )


def _machine() -> str:
    """Return a name for all processors that run the same compiled programs, and their versions."""
    names = [platform.machine(), platform.processor()]
    with contextlib.suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        names += sorted({line for line in lines if line.startswith(("model name", "flags"))})
    for package in ("keras", "tensorflow", "tensorflow-cpu", "jaxlib"):
        with contextlib.suppress(metadata.PackageNotFoundError):
            names.append(metadata.version(package))
    return hashlib.sha256("\n".join(names).encode()).hexdigest()[:16]


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
