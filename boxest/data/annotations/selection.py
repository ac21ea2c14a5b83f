"""Select one object per image, in pixels and inside the image; count the others by reason."""

import math
from pathlib import Path

import pandas as pd

from boxest.boxes import CORNERS
from boxest.data import image_files
from boxest.data.annotations.fields import SIDES, AnnotationError, Box, Notes, are_fractions, say
from boxest.data.annotations.folder import Folder, normal

COLUMNS = ["image", *CORNERS, *SIDES, "label"]
# A box that extends further beyond the image is not the result of rounding.
ROUNDING = 0.5


def inside(
    where: str,
    image: str,
    corners: tuple[float, float, float, float],
    size: tuple[int | None, int | None],
) -> tuple[float, float, float, float]:
    """Check that a box has an area inside its image, if the size of the image is known.

    Returns
    -------
    tuple of float
        The box, clipped to the image, beyond which it may extend by less than half a pixel.

    Raises
    ------
    AnnotationError
        The message names place, image, box and size.
    """
    width, height = (math.inf if side is None else side for side in size)
    x1, y1, x2, y2 = corners
    shown = "(" + ", ".join(f"{value:g}" for value in corners) + ")"
    if x1 <= -ROUNDING or y1 <= -ROUNDING or x2 >= width + ROUNDING or y2 >= height + ROUNDING:
        known = "" if None in size else f" of {width}×{height} pixels"
        raise AnnotationError(
            f"{where}: the box of {image}, {shown}, is not inside the image{known}: clip it."
        )
    cut = max(x1, 0.0), max(y1, 0.0), min(x2, float(width)), min(y2, float(height))
    if not (cut[0] < cut[2] and cut[1] < cut[3]):
        raise AnnotationError(
            f"{where}: the box of {image}, {shown}, is empty or flipped; it needs x1 < x2 and y1 < "
            "y2, in pixels."
        )
    return cut


class Boxes:
    """The one box of each image, and the skipped objects."""

    def __init__(
        self, path: Path, folder: Folder | None, label: str | None, several: str, notes: Notes
    ):
        self.path, self.folder, self.label = path, folder, label
        self.several, self.notes = several, notes
        self.boxes: dict[str, Box] = {}
        self.passed_over: dict[str, list[str]] = {}
        self._files: dict[str, Path] = {}
        self._labels: set[str | None] = set()

    def add(self, box: Box) -> None:
        """Take an object, or count the reason why it is skipped."""
        box = box._replace(image=self._name(box))
        if self._files.setdefault(box.image, box.file) != box.file:
            raise AnnotationError(
                f"{box.file} and {self._files[box.image]} refer to the same photograph, "
                f"{box.image}: correct the name in one of them."
            )
        if box.reason is None:
            self._labels.add(box.label)
            if self.label is not None and box.label != self.label.strip():
                known = "without a label" if box.label is None else f"of the label {box.label!r}"
                box = box._replace(reason=f"objects {known}")
        if box.reason is not None:
            self._pass_over(box.image, box.reason)
            return
        box = box._replace(corners=self._pixels(box))
        other = self.boxes.setdefault(box.image, box)
        if other is not box:
            if self.several == "error":
                raise AnnotationError(
                    f"{box.where}: {box.image} has a second box (the first: {other.where}), and "
                    "the network finds one per image. Remove it, or take the largest box "
                    "(several='largest', --several largest)."
                )
            self.boxes[box.image] = max(other, box, key=_area)
            self._pass_over(box.image, "smaller than another one of their photograph")

    def _pass_over(self, image: str, reason: str) -> None:
        self.passed_over.setdefault(reason, []).append(image)

    def _name(self, box: Box) -> str:
        """Return the path of an image within the folder; refuse paths that lead out of it."""
        name = normal(box.image)
        parts = Path(name.replace("\\", "/")).parts
        rooted = Path(name).is_absolute() or name.replace("\\", "/")[:1] == "/" or name[1:2] == ":"
        if not parts or "\0" in name or ".." in parts or rooted:
            more = self.folder.suggestion(name) if self.folder and parts else ""
            raise AnnotationError(
                f"{box.where}: the image must be named by its path within the folder of images; "
                f"got {box.image!r}.{more}"
            )
        below = "" if not self.path.is_dir() else box.file.parent.relative_to(self.path).as_posix()
        if self.folder is None:
            return name
        found = self.folder.find(box.image, "" if below == "." else below)
        if found in self.folder.files:
            return found
        # Some tools omit the suffix.
        stems = (normal(f"{below}/{found}"), found)
        pictures = (self.folder.of_stem(stem, anywhere=False) for stem in stems)
        return next(filter(None, pictures), found)

    def _pixels(self, box: Box) -> tuple[float, float, float, float]:
        """Return the corners in pixels, clipped to the image."""
        if self.notes.fractions:
            size = box.size
            if None in size:
                if self.folder is None:
                    raise AnnotationError(
                        f"{box.where}: the size of {box.image} is unknown, so fractions cannot be "
                        "converted to pixels: pass the folder of photographs (images=...)."
                    )
                size = image_files.size(self.folder.path / box.image)[:2]
            corners = tuple(c * s for c, s in zip(box.corners, size * 2, strict=True))
            return inside(box.where, box.image, corners, size)
        return inside(box.where, box.image, box.corners, box.size)

    def table(self, with_split: bool) -> pd.DataFrame:
        """Return the boxes; there must be some, in pixels."""
        if not self.boxes:
            found = ", ".join(sorted(str(name) for name in self._labels if name)) or "none"
            of = "" if self.label is None else f" of the label {self.label!r} (labels: {found})"
            counts = [f"{reason}: {len(images)}" for reason, images in self.passed_over.items()]
            passed = f" Skipped: {'; '.join(counts)}." if counts else ""
            raise AnnotationError(
                f"{self.path} holds no box{of}, so there is nothing to learn from.{passed}"
            )
        corners = [box.corners for box in self.boxes.values()]
        if not self.notes.fractions and all(map(are_fractions, corners)):
            raise AnnotationError(
                f"{self.path}: the corners of all boxes lie within 0..1, but pixels are needed. If "
                f"they are fractions of width and height, pass {say('fractions')}."
            )
        rows = [
            (box.image, *box.corners, *box.size, box.label, box.split)
            for box in self.boxes.values()
        ]
        table = pd.DataFrame(rows, columns=[*COLUMNS, "split"])
        kinds = {"image": "str", "width": "Int64", "height": "Int64", "label": "string"}
        table = table.astype(kinds | dict.fromkeys(CORNERS, "float64"))
        return table if with_split else table.drop(columns="split")


def _area(box: Box) -> float:
    x1, y1, x2, y2 = box.corners
    return (x2 - x1) * (y2 - y1)
