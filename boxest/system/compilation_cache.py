"""Keep compiled programs on disk for the next process, and check them before use.

An entry is native code, and the backend runs whatever it finds. So the backend never uses the
shared directory itself. Each process gets its own directory with the entries that pass the check.
New entries are copied from there to the shared directory, with a keyed digest. Each user has a
secret key, so an entry from another user, or in a stranger's results folder, does not pass.
"""

import atexit
import contextlib
import getpass
import hmac
import os
import re
import secrets
import shutil
import tempfile
from pathlib import Path

from boxest.system.files import atomic_path

KEY_BYTES = DIGEST_BYTES = 32
# Suffix of shared entries. Other files in the directory are not ours.
_ENDING = ".checked"
# The directory of a process is named after its number and eight hexadecimal digits, in one of these
# folders.
_NAME = re.compile(r"boxest-compiled-([0-9]+)-[0-9a-f]{8}")
_PLACES = (tempfile.gettempdir(), "/dev/shm")


class CompiledPrograms:
    """The entries that this process may use, and the directory shared with others.

    No failure here is an error: a program that cannot be read or kept is compiled again.

    Parameters
    ----------
    shared : path-like
        Created if missing. Any entry in it, or all of it, can be deleted at any time.
    machine : str
        A name for all machines that run the same native code.

    Attributes
    ----------
    own : pathlib.Path
        The directory that the backend uses. It is deleted when the process ends.
    """

    def __init__(self, shared: str | os.PathLike, machine: str):
        self._key = user_key()
        self._shared = Path(shared).resolve() / f"{machine}-{_user()}"
        _sweep()
        # A link, so that it can lead to another disk when one is full.
        self.own = Path(_PLACES[0], _new_name())
        self._places: list[Path] = []
        self._known: set[str] = set()
        with contextlib.suppress(OSError):
            self._move_to(_PLACES[0])
            self._take_over()
        atexit.register(self._remove)

    def _move_to(self, place: str) -> None:
        """Let ``own`` lead to a new, empty directory."""
        directory = Path(place, _new_name())
        directory.mkdir(mode=0o700)
        self._places.append(directory)
        self.own.unlink(missing_ok=True)
        self.own.symlink_to(directory)

    def _take_over(self) -> None:
        """Copy the shared entries that pass the check; delete those that do not."""
        if self._key is None:
            return
        for path in self._shared.glob(f"*{_ENDING}"):
            name = path.name.removesuffix(_ENDING)
            content = path.read_bytes()
            digest, entry = content[:DIGEST_BYTES], content[DIGEST_BYTES:]
            if not hmac.compare_digest(digest, self._digest(name, entry)):
                path.unlink(missing_ok=True)
                continue
            (self.own / name).write_bytes(entry)
            self._known.add(name)

    def keep(self) -> None:
        """Share the programs compiled since the last call."""
        if self._key is None:
            return
        with contextlib.suppress(OSError):
            for path in sorted(self.own.iterdir()):
                if path.name in self._known or path.suffix == ".tmp" or not path.is_file():
                    continue
                self._known.add(path.name)
                entry = path.read_bytes()
                with atomic_path(self._shared / f"{path.name}{_ENDING}") as temporary:
                    temporary.write_bytes(self._digest(path.name, entry) + entry)

    def forget(self) -> None:
        """Continue with an empty directory, on the disk with the most space.

        This is for a backend that failed with its current directory, whose content may be the
        cause.
        """
        for name in self._known:
            with contextlib.suppress(OSError):
                (self._shared / f"{name}{_ENDING}").unlink(missing_ok=True)
        self._known = set()
        with contextlib.suppress(OSError):
            there = [place for place in _PLACES if os.path.isdir(place)]
            self._move_to(max(there, key=lambda place: shutil.disk_usage(place).free))

    def _digest(self, name: str, entry: bytes) -> bytes:
        said = f"{self._shared.name}/{name}".encode()
        return hmac.digest(self._key, said + b"\0" + entry, "sha256")

    def _remove(self) -> None:
        self.keep()
        with contextlib.suppress(OSError):
            self.own.unlink(missing_ok=True)
        for directory in self._places:
            shutil.rmtree(directory, ignore_errors=True)


def user_key() -> bytes | None:
    """Return the key of this user, made if it is missing; None if it cannot be kept."""
    try:
        directory = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "boxest")
        path = directory / "key"
        if not path.exists():
            with atomic_path(path) as temporary:
                temporary.touch(mode=0o600)
                temporary.write_bytes(secrets.token_bytes(KEY_BYTES))
        with open(path, "rb") as file:
            own = not hasattr(os, "getuid") or os.fstat(file.fileno()).st_uid == os.getuid()
            key = file.read(KEY_BYTES + 1)
    except (OSError, RuntimeError):  # There is no home directory.
        return None
    return key if own and len(key) == KEY_BYTES else None


def _user() -> str:
    return str(os.getuid()) if hasattr(os, "getuid") else getpass.getuser()


def _new_name() -> str:
    return f"boxest-compiled-{os.getpid()}-{secrets.token_hex(4)}"


def _sweep() -> None:
    """Delete the directories that killed processes of this user have left."""
    for place in filter(os.path.isdir, _PLACES):
        for path in Path(place).iterdir():
            name = _NAME.fullmatch(path.name)
            if name is None or _runs(int(name[1])):
                continue
            with contextlib.suppress(OSError):
                if hasattr(os, "getuid") and path.lstat().st_uid != os.getuid():
                    continue
                if path.is_symlink():
                    path.unlink()
                else:
                    shutil.rmtree(path, ignore_errors=True)


def _runs(process: int) -> bool:
    """Whether a process with this number exists."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True
