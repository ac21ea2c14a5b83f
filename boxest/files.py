"""Writing files so that a final name never stands for a half-written file."""

import contextlib
import json
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any


@contextlib.contextmanager
def atomic_path(path: str | os.PathLike) -> Iterator[Path]:
    """Give a temporary path that becomes `path` when the block ends without an exception.

    The temporary file lies in the same directory (a rename across file systems is a copy), is
    hidden, and its name ends with the whole final name, so writers that go by the suffix (``.csv``,
    ``.weights.h5``) accept it. Missing parent directories are made.

    Parameters
    ----------
    path : path-like
        The final name. A file that has it already is replaced in one step; readers see the old file
        or the new.

    Yields
    ------
    pathlib.Path
        Where the block has to write its file. Nothing is there yet.

    Raises
    ------
    FileNotFoundError
        If the block wrote nothing there.

    Notes
    -----
    An exception, Ctrl-C included, removes the temporary file and leaves `path` as it was. A process
    that is killed outright leaves the hidden file behind; it can be deleted. Data and directory
    entry are flushed to the disk, so that after a power cut, too, the name stands for a whole file.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{os.getpid()}-{secrets.token_hex(4)}-{path.name}")
    try:
        yield temporary
        _flush(temporary)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    # Some file systems refuse to flush a directory (and Windows to open one); the rename itself is
    # done.
    with contextlib.suppress(OSError):
        _flush(path.parent, os.O_RDONLY)


def write_text(path: str | os.PathLike, text: str) -> None:
    """Write `text` as UTF-8 with the line ends it has, whole or not at all (see `atomic_path`)."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(text.encode("utf-8"))


def write_json(path: str | os.PathLike, value: Any) -> None:
    """Write `value` as indented JSON, whole or not at all (see `atomic_path`).

    Raises
    ------
    ValueError
        If `value` holds NaN or infinity, which JSON does not know; write ``None`` instead.
    """
    write_text(path, json.dumps(value, indent=2, allow_nan=False) + "\n")


def _flush(path: Path, mode: int = os.O_RDWR) -> None:
    """Have the operating system put on the disk what it still holds of `path`."""
    descriptor = os.open(path, mode)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
