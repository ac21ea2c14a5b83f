"""Compiled programs on the disk, for the next process: checked before they are used.

An entry is native code, and the backend runs what it finds. So it is never pointed at the shared
directory itself. A process gets a directory of its own, in which lie the entries that pass the
check; what it adds there is copied to the shared directory behind a keyed digest. The key is the
user's own: an entry that another user made, or somebody's results folder holds, does not pass.
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
# Shared entries end so. What lies in the directory beside them is not ours.
_ENDING = ".checked"
# What a process uses is named by it and eight hexadecimal digits, below one of these.
_NAME = re.compile(r"boxest-compiled-([0-9]+)-[0-9a-f]{8}")
_PLACES = (tempfile.gettempdir(), "/dev/shm")


class CompiledPrograms:
    """The entries that this process may use, and the directory that it shares with others.

    Nothing that goes wrong here is an error: a program that cannot be read or kept is compiled.

    Parameters
    ----------
    shared : path-like
        Made where it is missing. Any entry in it, and all of it, can be deleted at any time.
    machine : str
        A name for all that run the same native code.

    Attributes
    ----------
    own : pathlib.Path
        What the backend is pointed at. Gone when the process ends.
    """

    def __init__(self, shared: str | os.PathLike, machine: str):
        self._key = user_key()
        self._shared = Path(shared).resolve() / f"{machine}-{_user()}"
        _sweep()
        # A link: where the disk is full, it leads to another place.
        self.own = Path(_PLACES[0], _new_name())
        self._places: list[Path] = []
        self._known: set[str] = set()
        with contextlib.suppress(OSError):
            self._move_to(_PLACES[0])
            self._take_over()
        atexit.register(self._remove)

    def _move_to(self, place: str) -> None:
        """Have ``own`` lead to a new, empty directory."""
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
        """Share what was compiled since the last time."""
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
        """Go on with an empty directory, where there is most room.

        For when the backend could not use the one there is: what came from it may be at fault.
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
    """Return the key of this user, made where it is missing; None where it cannot be kept."""
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
    except (OSError, RuntimeError):  # Where nobody is at home.
        return None
    return key if own and len(key) == KEY_BYTES else None


def _user() -> str:
    return str(os.getuid()) if hasattr(os, "getuid") else getpass.getuser()


def _new_name() -> str:
    return f"boxest-compiled-{os.getpid()}-{secrets.token_hex(4)}"


def _sweep() -> None:
    """Delete what processes of this user have left that were killed."""
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
    """Whether there is a process of this number."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True
