"""Keep the state of a training in a file, to resume it exactly after an interruption."""

import contextlib
import io
import json
import os
import re
import socket
import threading
import time
import warnings
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np

from boxest.system.files import atomic_path, short_name

if TYPE_CHECKING:
    from filelock import FileLock

# Writing may take at most this fraction (1 / n) of the time of training.
SHARE = 100
# Seconds of training before the state is first written.
FIRST = 1.0
# Number of bytes at either end of a state that contain the names of its parts.
_NAMES = 2**16


class State(NamedTuple):
    """The state of a training between two epochs: JSON values and arrays."""

    about: dict[str, Any]
    arrays: list[np.ndarray]


class Checkpoint:
    """The file with the state of one training; a context manager that locks the file.

    The file is written completely or not at all, and so rarely that training takes at most 1 %
    longer. It begins with a fingerprint of everything that determines the result. A damaged state,
    or one with another fingerprint, is renamed, to ``<path>.other``, with a warning.

    Parameters
    ----------
    path : path-like
        The file; it and its directory are created if missing. Next to it, ``<path>.lock`` shows
        other processes that this training is running, and they wait until it ends.

    Warns
    -----
    UserWarning
        If another process holds the lock and this one waits; if a state cannot be used, and the
        training starts from the beginning; if the lock cannot be created or the state cannot be
        written, and the training continues without it.
    """

    def __init__(self, path: str | os.PathLike):
        self.path = Path(path)
        self._lock: FileLock | None = None
        self._writing = threading.Lock()
        self._newest = self._written = None
        self._due = 0.0

    def __repr__(self) -> str:
        return f"Checkpoint({os.fspath(self.path)!r})"

    def __enter__(self) -> Self:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._lock = _locked(self.path.with_name(self.path.name + ".lock"))
        except OSError as error:
            self._warn(f"cannot be locked ({error}). The training continues without it")
        if self._lock is not None:
            self._sweep()
        return self

    def __exit__(self, *_) -> None:
        if self._lock is not None:
            with contextlib.suppress(OSError):
                os.unlink(self._lock.lock_file)
            self._lock.release()
            self._lock = None

    def _sweep(self) -> None:
        """Delete temporary files of processes that were killed while they wrote the state."""
        own = re.compile(rf"\.[0-9]+-[0-9a-f]{{8}}-{re.escape(self.path.name)}")
        for left in self.path.parent.iterdir():
            if own.fullmatch(left.name):
                left.unlink(missing_ok=True)

    def begin(self, fingerprint: dict[str, Any]) -> State | None:
        """Begin a training; return the saved state with the same fingerprint, if there is one.

        Parameters
        ----------
        fingerprint : dict
            Everything that determines the result, with names that users understand.

        Raises
        ------
        ValueError
            If the file exists and is not a state: it would be overwritten and deleted.
        """
        _refuse_other_files(self.path)
        self.fingerprint = json.loads(json.dumps(fingerprint))
        self._newest = self._written = None
        self._due = time.monotonic() + FIRST
        try:
            found, state = _read(self.path)
        except (FileNotFoundError, NotADirectoryError):
            return None
        # zipfile, numpy and json may raise anything for a damaged file.
        except Exception as error:
            self._set_aside(f"cannot be read ({error}). The training starts from the beginning")
            return None
        if found == self.fingerprint:
            self._newest = self._written = state
            return state
        differing = "; ".join(_differences(found, self.fingerprint))
        said = f"belongs to another training ({differing}). This one starts from the beginning"
        self._set_aside(said)
        return None

    def offer(self, state: State) -> None:
        """Take the state after an epoch, and write it if the last written one is old enough."""
        self._newest = state
        if time.monotonic() >= self._due:
            self.flush()

    def flush(self) -> None:
        """Write the newest state, unless it is already written. Any thread may call this."""
        with self._writing:
            state = self._newest
            if state is self._written:
                return
            before = time.monotonic()
            try:
                _write(self.path, self.fingerprint, state)
            except OSError as error:
                self._warn(f"cannot be written ({error}). The training continues without it")
            self._written = state
            now = time.monotonic()
            self._due = now + SHARE * (now - before)

    def remove(self) -> None:
        """Delete the file after the training has ended and its result is stored."""
        with self._writing:
            self._newest = self._written = None
            try:
                self.path.unlink(missing_ok=True)
            except NotADirectoryError:
                pass
            except OSError as error:
                self._warn(f"is no longer needed, but cannot be deleted ({error})")

    def _set_aside(self, why: str) -> None:
        """Rename the file, so that no state of this training replaces it."""
        aside = self.path.with_name(short_name(f"{self.path.name}.other"))
        if self.path.is_file():
            try:
                os.replace(self.path, aside)
                why += f", and the file is now {aside}"
            except OSError as error:
                why += f", and will replace the file, which cannot be renamed ({error})"
        self._warn(why)

    def _warn(self, what: str) -> None:
        warnings.warn(f"The state of a training in {self.path} {what}.", stacklevel=3)


@contextlib.contextmanager
def opened(checkpoint: "str | os.PathLike | Checkpoint | None") -> Iterator[Checkpoint | None]:
    """Open the checkpoint of one training.

    The file at a path is removed once the training has ended. A checkpoint that is already open
    belongs to the caller, who removes it.
    """
    if checkpoint is None or isinstance(checkpoint, Checkpoint):
        yield checkpoint
        return
    _refuse_other_files(Path(checkpoint))
    with Checkpoint(checkpoint) as own:
        yield own
        own.remove()


@contextlib.contextmanager
def written_if_interrupted(checkpoint: Checkpoint | None) -> Iterator[None]:
    """Write the newest state if a training ends early, for example by Ctrl-C."""
    try:
        yield
    except BaseException:
        if checkpoint is not None:
            checkpoint.flush()
        raise


def _write(path: Path, fingerprint: dict[str, Any], state: State) -> None:
    """Write fingerprint and state as numpy's zip archive, whose parts have checksums."""
    # numpy's files do not name types of its extensions, such as bfloat16.
    types = [array.dtype.name for array in state.arrays]
    about = {"fingerprint": fingerprint, "about": state.about, "types": types}
    text = json.dumps(about)
    arrays = {f"array_{i}": array for i, array in enumerate(state.arrays)}
    with atomic_path(path) as temporary, open(temporary, "wb") as file:
        np.savez(file, text=np.frombuffer(text.encode(), np.uint8), **arrays)


def _read(path: Path) -> tuple[dict[str, Any], State]:
    """Return fingerprint and state."""
    with open(path, "rb") as file, zipfile.ZipFile(file) as archive:

        def part(name: str) -> np.ndarray:
            # Read to the end; otherwise its checksum would not be checked.
            return np.load(io.BytesIO(archive.read(f"{name}.npy")), allow_pickle=False)

        text = json.loads(part("text").tobytes())
        arrays = [part(f"array_{i}").view(name) for i, name in enumerate(text["types"])]
    return text["fingerprint"], State(text["about"], arrays)


def _refuse_other_files(path: Path) -> None:
    """Raise ValueError if a file is not a state, not even a damaged one."""
    try:
        with open(path, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            begin = file.read(_NAMES)
            file.seek(max(0, size - _NAMES))
            end = file.read()
    except OSError:
        return
    # The name of the first part occurs at both ends of the archive.
    if size > 0 and b"text.npy" not in begin + end:
        raise ValueError(
            f"{path} is a file of another kind, which a checkpoint would overwrite. Choose a name "
            "that does not exist yet."
        )


def _differences(found: dict[str, Any], expected: dict[str, Any]) -> Iterator[str]:
    """Name the differences, with their values if these are short."""
    for name in expected | found:
        values = [json.dumps(which.get(name)) for which in (found, expected)]
        if values[0] != values[1]:
            short = max(map(len, values)) <= 40
            yield f"{name}: {values[0]}, now {values[1]}" if short else f"another {name}"


def _locked(path: Path) -> "FileLock":
    """Take the lock on a file; wait for it if another process has it.

    The lock is free when it is released, and when its process ends in any way. So there is no
    fallback to a lock that is the mere existence of a file, which would remain after a kill.

    Raises
    ------
    OSError
        If the file cannot be created, or the file system has no locks.
    """
    from filelock import FileLock, Timeout  # Most trainings have no checkpoint.

    lock = FileLock(path, thread_local=False, fallback_to_soft=False, on_acquired=_sign)
    try:
        lock.acquire(blocking=False)
    except Timeout:
        owner = "Another process"
        with contextlib.suppress(OSError):
            owner = path.read_text(errors="replace")[:200] or owner
        warnings.warn(f"{owner} has locked {path}; this one waits for it.", stacklevel=4)
        lock.acquire(poll_interval=0.2)
    return lock


def _sign(file: int) -> None:
    """Write the owner of a lock into its file."""
    with contextlib.suppress(OSError):  # On a full disk, the owner stays unknown.
        os.truncate(file, 0)
        os.write(file, f"Process {os.getpid()} on {socket.gethostname()}".encode())
