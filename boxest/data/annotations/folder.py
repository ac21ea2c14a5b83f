"""The folder of photographs, and which of its files a table of boxes means."""

import os
import posixpath
import unicodedata
from pathlib import Path
from urllib.parse import unquote

from boxest.data import image_files


class Folder:
    """The files in a folder and the folders below, by name.

    Parameters
    ----------
    path : path-like
        The folder. Links to folders are not followed.
    """

    def __init__(self, path: str | os.PathLike):
        self.path = Path(path)
        self.files = set()
        for parent, _, names in os.walk(self.path):
            inside = Path(parent).relative_to(self.path)
            self.files.update((inside / name).as_posix() for name in names)
        # Those by the last part of their name alone have a slash behind it, as no stem has.
        self._by_stem: dict[str, list[str]] = {}
        for name in self.pictures():
            stem = posixpath.splitext(name)[0]
            for key in (stem, posixpath.basename(stem) + "/"):
                self._by_stem.setdefault(key, []).append(name)
        self._by_form: dict[str, list[str]] = {}
        for name in sorted(self.files):
            self._by_form.setdefault(_form(name), []).append(name)

    def pictures(self) -> list[str]:
        """Return the names of all files that end as pictures do, sorted."""
        # Names that begin with "._" are what macOS leaves beside files on foreign disks.
        return sorted(
            name
            for name in self.files
            if name.lower().endswith(image_files.SUFFIXES)
            and not posixpath.basename(name).startswith("._")
        )

    def find(self, name: str, below: str = "") -> str:
        """Return the name of the file that a table means, as it is in the folder.

        One photograph may be written in several ways: ``./a.jpg``, with backslashes as on Windows,
        encoded as in an address of the web (``%20``), in another form of Unicode, or, where the
        file system does not tell, in other cases.

        Parameters
        ----------
        name : str
            As it is written.
        below : str
            The folder, within the one of annotations, of a file that speaks of it: looked into
            first.

        Returns
        -------
        str
            Where there is no such file, the name as it is written.
        """
        for written in (posixpath.join(below, name), name) if below else (name,):
            plain = normal(written)
            if plain in self.files:
                return plain
            if (self.path / plain).exists():
                return self._spelled(plain)
            slashes = written.replace("\\", "/")
            for other in map(normal, (plain, slashes, unquote(written), unquote(slashes))):
                forms = self._by_form.get(_form(other), [])
                alike = [file for file in forms if _composed(file) == _composed(other)]
                if len(alike) == 1:
                    return alike[0]
        return normal(name)

    def of_stem(self, stem: str, anywhere: bool = True) -> str | None:
        """Return the picture of a name without suffix, or the only one in another folder."""
        alike = self._by_stem.get(stem, [])
        if anywhere and not alike:
            alike = self._by_stem.get(posixpath.basename(stem) + "/", [])
        return alike[0] if len(alike) == 1 else None

    def suggestion(self, name: str) -> str:
        """Return a sentence with the file that may be meant by a name; empty where none is."""
        wanted = _form(posixpath.basename(unquote(name).replace("\\", "/")))
        for alike in (str, lambda form: posixpath.splitext(form)[0]):
            for form, names in sorted(self._by_form.items()):
                if alike(posixpath.basename(form)) in (wanted, alike(wanted)):
                    return f" There is {names[0]!r}: did you mean it?"
        return ""

    def _spelled(self, name: str) -> str:
        """Return how the folder spells the name of a file that is there."""
        for other in self._by_form.get(_form(name), []):
            if (self.path / other).samefile(self.path / name):
                return other
        return name


def normal(name: str) -> str:
    """Return a path without dots and doubled slashes."""
    return posixpath.normpath(name.strip()) if name.strip() else ""


def _form(name: str) -> str:
    """Return what is the same for all forms of Unicode and all cases."""
    return _composed(_composed(name).casefold())


def _composed(name: str) -> str:
    return unicodedata.normalize("NFC", name)
