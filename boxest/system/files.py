"""Write files so that the final name never refers to a half-written file; find files in folders."""

import contextlib
import errno
import hashlib
import json
import os
import secrets
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_FULL = "make room and start again"
_CLOSED = "make the directory writable, or choose another one, and start again"
_ADVICE = {
    errno.ENOSPC: _FULL,
    errno.EDQUOT: _FULL,
    errno.EFBIG: _FULL,
    errno.EROFS: _CLOSED,
    errno.EACCES: _CLOSED,
    errno.EPERM: _CLOSED,
}


# The longest name that file systems take, in bytes.
LONGEST_FOLDER = 255
# `atomic_path` puts a part before the name, and a suffix may follow.
LONGEST_NAME = LONGEST_FOLDER - 35


class FileError(ValueError):
    """A file that is damaged, of another kind, or in the wrong place.

    Parameters
    ----------
    message : str
        The problem, with the name of the file.
    path : path-like, optional
        The file or directory; for advice on how to make it again (see `boxest.system.logs`).
    """

    def __init__(self, message: str, path: str | os.PathLike | None = None):
        super().__init__(message)
        self.path = path


def short_name(name: str, longest: int = LONGEST_NAME) -> str:
    """Return a name that a file can have: one of more bytes ends in a hash of all of it.

    Examples
    --------
    >>> short_name("seed~0"), len(short_name("a" * 300)), short_name("a" * 300)[-20:]
    ('seed~0', 220, 'aaa~9835fa6bf4e20a9b')
    """
    content = name.encode("utf-8")
    if len(content) <= longest:
        return name
    ending = f"~{hashlib.sha256(content).hexdigest()[:16]}"
    return content[: longest - len(ending)].decode("utf-8", "ignore") + ending


@contextlib.contextmanager
def atomic_path(path: str | os.PathLike) -> Iterator[Path]:
    """Give a temporary path, which becomes `path` when the block ends without an exception.

    The temporary file lies in the same directory (a rename across file systems is a copy), is
    hidden, and its name ends with the whole final name, so that writers which check the suffix
    (``.csv``, ``.weights.h5``) accept it. Missing parent directories are created.

    Parameters
    ----------
    path : path-like
        The final name. An existing file is replaced in one step; readers see the old or the new
        file.

    Yields
    ------
    pathlib.Path
        The path for the block to write to. Nothing exists there yet.

    Raises
    ------
    FileNotFoundError
        If the block did not write the file.
    FileExistsError
        If `path` is a folder, a device or similar, which no file may replace.
    OSError
        If the disk is full, or the directory cannot be written to. The message names `path` and
        says what to do.

    Notes
    -----
    An exception, including Ctrl-C, removes the temporary file and leaves `path` unchanged. A killed
    process leaves the hidden file behind, which can be deleted. Data and directory entry are
    flushed to the disk, so that the name refers to a complete file even after a power cut.
    """
    path = Path(path)
    _check_kind(path)
    temporary = path.with_name(f".{os.getpid()}-{secrets.token_hex(4)}-{path.name}")
    try:
        with _advice(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            yield temporary
            _flush(temporary)
            os.replace(temporary, path)
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
    _flush_folder(path.parent)


@contextlib.contextmanager
def atomic_folder(path: str | os.PathLike) -> Iterator[Path]:
    """Give a temporary folder, which becomes `path` when the block ends without an exception.

    This is `atomic_path` for folders; the block itself must flush its files. An existing folder,
    such as a mount, cannot be replaced, so the temporary folder is then created inside it, and the
    files are moved at the end.

    Parameters
    ----------
    path : path-like
        The final name, of nothing, of an empty folder, or of a link to one. Missing parents are
        created.

    Yields
    ------
    pathlib.Path
        An empty hidden folder, next to `path` or in it.

    Raises
    ------
    FileExistsError
        If `path` is there, and no empty folder.
    OSError
        As `atomic_path`.
    """
    check_folder(path)
    final = Path(os.path.realpath(path))
    there = final.is_dir()
    name = f".{os.getpid()}-{secrets.token_hex(4)}-{final.name}"
    temporary = (final if there else final.parent) / name
    try:
        with _advice(Path(path)):
            temporary.mkdir(parents=True)
            yield temporary
            if there:
                for file in sorted(temporary.iterdir()):
                    os.replace(file, final / file.name)
            else:
                os.replace(temporary, final)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    _flush_folder(final if there else final.parent)


def check_folder(path: str | os.PathLike) -> None:
    """Check that `atomic_folder` could make this folder, before a long computation.

    Raises
    ------
    FileExistsError
        If it is there, and no empty folder.
    OSError
        If it cannot be written to.
    """
    path = Path(path)
    if path.is_dir():
        # A separate file system has the latter.
        first = min({file.name for file in path.iterdir()} - {"lost+found"}, default=None)
        if first is not None:
            raise FileExistsError(
                errno.EEXIST,
                f"It already exists and is not empty (it holds {first!r}): choose another",
                str(path),
            )
    elif path.exists():  # Also at the end of a link.
        raise FileExistsError(
            errno.EEXIST,
            "It already exists and is a file, not an empty folder: choose another",
            str(path),
        )
    _check_above(Path(os.path.realpath(path)), path)


def check_file(path: str | os.PathLike, *, overwrite: bool = True) -> None:
    """Check that a file could be made or replaced here, before a long computation.

    Raises
    ------
    FileExistsError
        If it exists, and must not be replaced; or is a folder, a device or similar.
    OSError
        If its folder is not a folder, or cannot be written to.
    """
    _check_kind(path)
    if os.path.lexists(path) and not overwrite:
        raise FileExistsError(
            f"{path} already exists: use another name, or pass overwrite=True (--overwrite)."
        )
    # `atomic_path` replaces a link itself, in the folder of the link.
    _check_above(Path(os.path.realpath(Path(path).parent)), Path(path))


def _check_kind(path: str | os.PathLike) -> None:
    """Check that there is no folder, device or similar under the name of a file to write."""
    if os.path.exists(path) and not os.path.isfile(path):
        what = "a folder" if os.path.isdir(path) else "a device, a pipe or similar"
        raise FileExistsError(
            errno.EEXIST, f"It is {what}, not a file: choose another name", str(path)
        )


def _check_above(above: Path, path: Path) -> None:
    """Check that the first existing folder among these can be written to."""
    while not above.exists():
        above = above.parent
    if not above.is_dir():
        raise NotADirectoryError(
            errno.ENOTDIR, f"{above} is not a folder: choose another", str(path)
        )
    if not os.access(above, os.W_OK | os.X_OK):
        raise PermissionError(errno.EACCES, f"{above} cannot be written to: {_CLOSED}", str(path))


@contextlib.contextmanager
def _advice(path: Path) -> Iterator[None]:
    """Make an error of the disk name `path` and say what to do."""
    try:
        yield
    except OSError as error:
        if error.errno not in _ADVICE:
            raise
        advice = f"{os.strerror(error.errno)}, nothing was written: {_ADVICE[error.errno]}"
        raise OSError(error.errno, advice, str(path)) from error


def regular(path: str | os.PathLike, flags: int) -> int:
    """Open a regular file, as the ``opener`` of `open`.

    Raises
    ------
    OSError
        If it is not a regular file: a pipe or a device could keep a reader waiting or busy forever.
    """
    descriptor = os.open(path, flags | getattr(os, "O_NONBLOCK", 0))
    mode = os.fstat(descriptor).st_mode
    if stat.S_ISREG(mode) or stat.S_ISDIR(mode):  # `open` itself refuses a directory.
        return descriptor
    os.close(descriptor)
    raise OSError(
        errno.EINVAL, "It is not a regular file, but a pipe, a device or similar", str(path)
    )


def walk(path: str | os.PathLike) -> Iterator[Path]:
    """Yield the files in a folder and its subfolders, each folder once, also if links lead to it.

    Raises
    ------
    OSError
        If a folder cannot be read: without its files, the others would pass as all there are.
    """

    def refuse(error: OSError) -> None:
        raise error

    seen, waiting = set(), [os.fspath(path)]
    while waiting:  # Links come last, so that a folder has its own name.
        for parent, folders, names in os.walk(waiting.pop(0), onerror=refuse):
            if (real := os.path.realpath(parent)) in seen:
                folders.clear()
                continue
            seen.add(real)
            inside = (os.path.join(parent, folder) for folder in sorted(folders))
            waiting += filter(os.path.islink, inside)
            yield from (Path(parent, name) for name in names)


def write_text(path: str | os.PathLike, text: str) -> None:
    """Write `text` as UTF-8 with its line ends, completely or not at all (see `atomic_path`).

    Raises
    ------
    FileError
        If it cannot be UTF-8, as the name of a file whose bytes are not.
    """
    try:
        content = text.encode("utf-8")
    except UnicodeEncodeError as error:
        start = max(text.rfind(mark, 0, error.start) for mark in '\n,"') + 1
        raise FileError(
            f"{path} is written as UTF-8, but {text[start : error.end + 20]!r} is not UTF-8. If it "
            "is the name of a file, rename that file.",
            path,
        ) from None
    with atomic_path(path) as temporary:
        temporary.write_bytes(content)


def write_json(path: str | os.PathLike, value: Any) -> None:
    """Write `value` as indented JSON, completely or not at all (see `atomic_path`).

    Raises
    ------
    ValueError
        If `value` holds NaN or infinity, which JSON does not allow; write ``None`` instead.
    """
    write_text(path, json.dumps(value, indent=2, allow_nan=False) + "\n")


def _flush_folder(path: Path) -> None:
    """Flush a directory; some file systems refuse to (and Windows to open one)."""
    with contextlib.suppress(OSError):
        _flush(path, os.O_RDONLY)


def _flush(path: Path, mode: int = os.O_RDWR) -> None:
    """Flush everything that the operating system still holds of `path` to the disk."""
    descriptor = os.open(path, mode)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
