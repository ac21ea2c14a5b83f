"""Find the files in a folder of photographs to which a table of boxes refers."""

import os
import posixpath
import unicodedata
from pathlib import Path
from urllib.parse import unquote

from boxest.data import image_files
from boxest.system.files import walk

# Folders that tools make for files of a kind.
_OF_KIND = ("images", "labels", "masks", "annotations", "obj_train_data", "JPEGImages")


class Folder:
    """The files in a folder and its subfolders, by name.

    Parameters
    ----------
    path : path-like
        The folder. Links to folders are followed.
    """

    def __init__(self, path: str | os.PathLike):
        self.path = Path(path)
        self.files = {file.relative_to(self.path).as_posix() for file in walk(self.path)}
        # Keys that are only the last part of a name end in a slash, unlike any stem.
        self._by_stem: dict[str, list[str]] = {}
        for name in self.pictures():
            stem = composed(posixpath.splitext(name)[0])
            for key in (stem, posixpath.basename(stem) + "/"):
                self._by_stem.setdefault(key, []).append(name)
        for key, names in list(self._by_stem.items()):
            self._by_stem.setdefault(key.strip(), names)
        self._by_form: dict[str, list[str]] = {}
        for name in sorted(self.files):
            self._by_form.setdefault(_form(name.strip()), []).append(name)

    def pictures(self) -> list[str]:
        """Return the names of all files with the suffix of a picture, sorted."""
        return self._ending(image_files.SUFFIXES)

    def unreadable(self) -> list[str]:
        """Return the names of photographs in formats that are not read, such as HEIC, sorted."""
        return self._ending(image_files.OTHER_SUFFIXES)

    def find(self, name: str, below: str = "") -> str:
        """Return the name in the folder of the file to which a table refers.

        The name of a photograph may be written in several ways: as ``./a.jpg``, with backslashes as
        on Windows, encoded as in a URL (``%20``), in another form of Unicode, without blanks at its
        ends, or, if the file system ignores case, in other cases.

        Parameters
        ----------
        name : str
            As it is written.
        below : str
            The subfolder of the annotation that refers to it, which is searched first.

        Returns
        -------
        str
            The name unchanged if there is no such file.
        """
        for written in (posixpath.join(below, name), name) if below else (name,):
            plain = normal(written)
            for exact in (written, plain):
                if exact in self.files:
                    return exact
            if (self.path / plain).exists():
                return self._spelled(plain)
            slashes = written.replace("\\", "/")
            for other in map(normal, (plain, slashes, unquote(written), unquote(slashes))):
                forms = self._by_form.get(_form(other), [])
                alike = [file for file in forms if composed(file.strip()) == composed(other)]
                if len(alike) == 1:
                    return alike[0]
        return normal(name)

    def of_stem(self, stem: str, anywhere: bool = True) -> str | None:
        """Return the picture for a name without suffix, or the only match in another folder.

        Such a match may have fewer or more folders than the name, but no others: ``train/1.jpg``
        does not belong to ``val/1``.
        """
        alike = self._of_stem(stem, anywhere)
        return alike[0] if len(alike) == 1 else None

    def why_none(self, stem: str) -> str:
        """Return why there is not one picture for a name without suffix, in words."""
        if alike := self._of_stem(stem, anywhere=True):
            return f"several are called so: {', '.join(alike)}"
        if others := self._elsewhere(stem):
            return f"{others[0]} is in another folder"
        others = [name for name in self.unreadable() if posixpath.splitext(name)[0] == stem]
        return f"{others[0]} must be saved as JPEG or PNG" if others else "there is none"

    def _ending(self, suffixes: tuple[str, ...]) -> list[str]:
        return sorted(
            name
            for name in self.files
            if name.lower().endswith(suffixes) and not _of_macos(posixpath.basename(name))
        )

    def _of_stem(self, stem: str, anywhere: bool) -> list[str]:
        if (found := self._by_stem.get(composed(stem), [])) or not anywhere:
            return found
        own = _parts(stem)
        return [name for name in self._elsewhere(stem) if _is_end(own, _parts(name))]

    def _elsewhere(self, stem: str) -> list[str]:
        """Return the pictures of this name in any folder."""
        return self._by_stem.get(composed(posixpath.basename(stem)) + "/", [])

    def suggestion(self, name: str) -> str:
        """Return a sentence with the file that may be meant by a name; empty if there is none."""
        wanted = _form(posixpath.basename(unquote(name).replace("\\", "/")))
        for alike in (str, lambda form: posixpath.splitext(form)[0]):
            for form, names in sorted(self._by_form.items()):
                if alike(posixpath.basename(form)) in (wanted, alike(wanted)):
                    return f" There is {names[0]!r}: did you mean it?"
        return ""

    def _spelled(self, name: str) -> str:
        """Return the spelling in the folder of the name of an existing file."""
        for other in self._by_form.get(_form(name), []):
            if (self.path / other).samefile(self.path / name):
                return other
        return name


def end_of(path: str, below: str, folder: Folder | None) -> str:
    """Return the longest end of the path of a photograph that is in the folder, or its last part.

    Labelling tools write where a photograph was, perhaps on another machine. The last part is
    enough for an annotation in a subfolder, ``below``, that holds such a photograph, too.
    """
    *_, last = ends = ends_of(path)
    if folder is None or (below != "." and posixpath.join(below, last) in folder.files):
        return last
    return next((end for end in ends if end in folder.files), last)


def ends_of(path: str) -> list[str]:
    """Return a path, and what is left of it without its first folder, its first two, and so on."""
    parts = path.replace("\\", "/").split("/")
    return ["/".join(parts[start:]) for start in range(len(parts))]


def with_suffix(path: Path, suffix: str) -> list[Path]:
    """Return the files with this suffix in a folder and its subfolders, sorted."""
    return sorted(
        file for file in walk(path) if file.suffix.lower() == suffix and not _of_macos(file.name)
    )


def _of_macos(name: str) -> bool:
    """Whether macOS has left the file on a foreign disk, beside the one that is meant."""
    return name.startswith("._")


def normal(name: str) -> str:
    """Return a path without dots and doubled slashes."""
    return posixpath.normpath(name.strip()) if name.strip() else ""


def _form(name: str) -> str:
    """Return a key that is equal for all forms of Unicode and all cases."""
    return composed(composed(name).casefold())


def composed(name: str) -> str:
    """Return the form of Unicode that macOS does not write, with one character for an umlaut."""
    return unicodedata.normalize("NFC", name)


def _parts(name: str) -> list[str]:
    """Return the folders in a name, without those that only say what is in them."""
    return [part for part in posixpath.dirname(name).split("/") if part and part not in _OF_KIND]


def _is_end(one: list[str], other: list[str]) -> bool:
    """Whether one of two lists is the end of the other."""
    n = min(len(one), len(other))
    return one[len(one) - n :] == other[len(other) - n :]
