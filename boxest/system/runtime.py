"""Set what a backend reads at its import: threads, memory, GPU, messages, compiled programs."""

import contextlib
import hashlib
import importlib.util
import os
import platform
import sys
import tempfile
import types
import warnings
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

from boxest.system.compilation_cache import CompiledPrograms

try:
    import fcntl
except ImportError:  # Windows has no such locks.
    fcntl = None

# Where the NVIDIA driver lists its GPUs, on Linux.
_DRIVER = Path("/proc/driver/nvidia")
_BACKEND_MODULES = {"tensorflow": "tensorflow", "jax": "jaxlib"}

# Beginnings of the lines of /proc/cpuinfo that list what a processor can do: on x86, and on ARM.
_PROCESSOR = ("model name", "flags", "CPU ", "Features")

# The flag of XLA for a single thread.
_ONE_THREAD = "--xla_cpu_multi_thread_eigen=false"
_DEFAULTS = {
    # Information and warnings from C++ are for the backend's developers; errors are still shown.
    "TF_CPP_MIN_LOG_LEVEL": "2",
    # Otherwise the first process on a GPU takes all of its memory.
    "TF_FORCE_GPU_ALLOW_GROWTH": "true",
    "XLA_PYTHON_CLIENT_PREALLOCATE": "false",
}

# Packages that scikit-learn, Keras and TensorFlow import where they are installed, for what no
# training uses: tables, figures of images, and the conversion of JAX functions. Without JAX, an
# import takes a third less.
_UNUSED = ("pandas", "matplotlib", "jax")
# What scikit-learn cannot do without, but no training calls: half of its own import.
_SELDOM_USED = ("scipy.stats",)

# The compiled programs for the next process, if they are kept.
_programs: CompiledPrograms | None = None
# Whether `prepare` was called, so that this process only trains.
_only_trains = False


def use_jax() -> None:
    """Run Keras on JAX in this process, whatever the environment says.

    Raises
    ------
    ValueError
        If JAX is not installed.
    RuntimeError
        If a backend is already imported.
    """
    _refuse_if_started("use_jax()")
    if importlib.util.find_spec("jax") is None:
        raise ValueError(
            "JAX is not installed, but runs that train together need it: pip install "
            "'boxest[jax]', or set execution.fan_out: run in the configuration."
        )
    os.environ["KERAS_BACKEND"] = "jax"


def prepare(threads: int, *, gpus: int = 0, compiled: str | os.PathLike | None = None) -> None:
    """Apply all settings of a training job for the backend, before it is imported.

    The process is only to train: Keras and TensorFlow are imported without what they do not need
    for that, such as Matplotlib.

    Parameters
    ----------
    threads : int
        For `set_threads`.
    gpus : int, default=0
        Above 0, the job has requested a GPU: `take_gpu`.
    compiled : path-like, optional
        For `share_compiled_programs`, if programs are shared.
    """
    global _only_trains
    set_threads(threads)
    if gpus:
        take_gpu()
    if compiled:
        share_compiled_programs(compiled)
    _only_trains = True


@contextlib.contextmanager
def without_unused_packages() -> Iterator[None]:
    """In a process that only trains, let imports of packages that it does not use fail.

    Those that must not fail, but whose content is seldom used, are imported at its first use.
    """
    for name in _SELDOM_USED:
        if _only_trains and name not in sys.modules:
            sys.modules[name] = _stand_in(name)
    hidden = [name for name in _UNUSED if _only_trains and name not in sys.modules]
    if "jax" in hidden and _may_run_on_jax():
        hidden.remove("jax")
    sys.modules.update(dict.fromkeys(hidden))
    try:
        yield
    finally:
        for name in hidden:
            del sys.modules[name]


def _stand_in(name: str) -> types.ModuleType:
    """Return a module that imports the one of this name when something in it is asked for."""
    module = types.ModuleType(name)

    def get(attribute: str) -> Any:
        # Of its special attributes, Python needs these; it may ask any module for the others.
        if attribute.startswith("__") and attribute not in ("__path__", "__all__"):
            raise AttributeError(f"module {name!r} has no attribute {attribute!r}")
        if sys.modules.get(name) is module:
            del sys.modules[name]
        return getattr(importlib.import_module(name), attribute)

    module.__getattr__ = get
    return module


def _may_run_on_jax() -> bool:
    """Whether the environment, or any file that Keras might read, names JAX as the backend."""
    if name := os.environ.get("KERAS_BACKEND"):
        return name == "jax"
    for home in (os.environ.get("KERAS_HOME", ""), "~/.keras", "/tmp/.keras"):
        with contextlib.suppress(OSError, ValueError):
            if '"jax"' in Path(home, "keras.json").expanduser().read_text("utf-8"):
                return True
    return False


def set_threads(threads: int) -> None:
    """Limit the backend of this process to a number of threads.

    Parameters
    ----------
    threads : int
        Number of CPU threads for an operation, and of operations at once, at least 1.

    Raises
    ------
    TypeError, ValueError
        If ``threads`` is not a whole number of at least 1.
    RuntimeError
        If the backend is already imported, because it reads the number at its import.
    """
    from boxest.system.scalars import integer

    threads = integer("threads", threads, 1, 2**31 - 1)
    _refuse_if_started(f"set_threads({threads})")
    os.environ["TF_NUM_INTRAOP_THREADS"] = str(threads)
    # Operations that need not wait for each other also run at once: with two threads, an epoch of
    # the default network is a quarter to a third faster.
    os.environ["TF_NUM_INTEROP_THREADS"] = str(threads)
    os.environ["OMP_NUM_THREADS"] = str(threads)
    # For JAX, this is the size of the thread pools of XLA's programs. The flag below alone does not
    # limit it.
    os.environ["PJRT_NPROC"] = str(threads)
    # An earlier call may have set it.
    flags = [flag for flag in os.environ.get("XLA_FLAGS", "").split() if flag != _ONE_THREAD]
    os.environ["XLA_FLAGS"] = " ".join([*flags, _ONE_THREAD] if threads == 1 else flags)


def take_gpu() -> str | None:
    """Let this process use a GPU that no other process has reserved, if there are several.

    The GPU stays reserved until the process ends. If ``CUDA_VISIBLE_DEVICES`` names GPUs, it is one
    of these; otherwise, it is one that the NVIDIA driver lists on Linux.

    Returns
    -------
    str or None
        Its number or name, as in ``CUDA_VISIBLE_DEVICES``, which is set to it. None, without any
        change, if there are fewer than two GPUs, or no locks.

    Warns
    -----
    UserWarning
        If all are reserved. The process then shares the first one.

    Raises
    ------
    RuntimeError
        If the backend is already imported, because it looks for GPUs at its import.
    """
    _refuse_if_started("take_gpu()")
    gpus = _visible_gpus()
    if len(gpus) < 2 or fcntl is None:
        return None
    directory = Path(tempfile.gettempdir(), f"boxest-gpus-{os.getuid()}")
    directory.mkdir(mode=0o700, exist_ok=True)
    for gpu in gpus:
        file = os.open(directory / gpu.replace("/", "_"), os.O_RDWR | os.O_CREAT, 0o600)
        try:
            # The lock is released when the process ends in any way.
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(file)
            continue
        os.environ["CUDA_VISIBLE_DEVICES"] = gpu
        return gpu
    warnings.warn(
        f"Other processes use all {len(gpus)} GPUs, so this one shares the first. Start Snakemake "
        f"with --resources gpu={len(gpus)} to run at most one training per GPU.",
        stacklevel=2,
    )
    return None


def _visible_gpus() -> list[str]:
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    if named is not None:
        return [gpu.strip() for gpu in named.split(",") if gpu.strip()]
    return [str(i) for i, _ in enumerate(_DRIVER.glob("gpus/*"))]


def share_compiled_programs(directory: str | os.PathLike) -> None:
    """Keep compiled programs in a directory, so that the next process need not compile them again.

    Several processes may share it at once. Programs of another processor, backend, version, user or
    number of threads do not interfere, because each has its own subdirectory; so call `set_threads`
    first. A program is used only if it equals, to the last bit, what this user has stored; see
    `boxest.system.compilation_cache`.

    Parameters
    ----------
    directory : path-like
        Created if missing. It can be deleted at any time. If it cannot be read or written, programs
        are compiled again.

    Raises
    ------
    RuntimeError
        If the backend has been imported already.
    """
    global _programs
    _refuse_if_started("share_compiled_programs()")
    _programs = CompiledPrograms(directory, _native_code())
    path = _programs.own
    flags = os.environ.get("TF_XLA_FLAGS", "")
    # TensorFlow splits its flags at blanks outside of quotes.
    cache = f'--tf_xla_persistent_cache_directory="{path}"'
    os.environ["TF_XLA_FLAGS"] = f"{flags} {cache}".strip()
    # When TensorFlow reads its own entries, it warns, in the form of errors, about compiler options
    # that no processor has.
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    os.environ["JAX_COMPILATION_CACHE_DIR"] = str(path)
    os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"


def keep_compiled_programs() -> None:
    """Share the programs that this process has compiled so far, if sharing is on."""
    if _programs is not None:
        _programs.keep()


def forget_compiled_programs() -> bool:
    """Continue without the stored programs; return whether there were any."""
    if _programs is None:
        return False
    _programs.forget()
    return True


def _refuse_if_started(what: str) -> None:
    started = [name for name, module in _BACKEND_MODULES.items() if module in sys.modules]
    if started:
        raise RuntimeError(
            f"{what} comes too late, after the import of {' and '.join(started)}. Call it before "
            "the first import of keras, tensorflow or jax."
        )


def _native_code() -> str:
    """Return a name for all processes that compile a program to the same native code.

    TensorFlow finds a stored program by what it computes, whatever the threads and flags for which
    it was compiled, and these change the order of additions.
    """
    threads = os.environ.get("TF_NUM_INTRAOP_THREADS") or str(usable_processors())
    names = [machine(), threads, os.environ.get("XLA_FLAGS", "")]
    return hashlib.sha256("\n".join(names).encode()).hexdigest()[:16]


def usable_processors() -> int:
    """Return how many processors this process may use: a backend has as many threads."""
    if hasattr(os, "sched_getaffinity"):  # Linux; a scheduler may bind a job to some of them.
        return len(os.sched_getaffinity(0))
    return os.cpu_count()


def machine() -> str:
    """Return a name for all processors that run the same compiled programs, and their versions."""
    names = [platform.machine(), platform.processor()]
    with contextlib.suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        names += sorted({line for line in lines if line.startswith(_PROCESSOR)})
    for package in ("keras", "tensorflow", "tensorflow-cpu", "jaxlib"):
        with contextlib.suppress(metadata.PackageNotFoundError):
            names.append(metadata.version(package))
    return hashlib.sha256("\n".join(names).encode()).hexdigest()[:16]


def quiet() -> None:
    """Make the backend quiet and modest with memory, unless the environment says otherwise."""
    for name, value in _DEFAULTS.items():
        os.environ.setdefault(name, value)
