"""A folder of masks: the bounding box of all pixels that are not black."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from boxest.data import image_files
from boxest.data.annotations.fields import AnnotationError, Box, Notes
from boxest.data.annotations.folder import Folder

# A picture with more grey levels is a photograph, or a mask that was saved as JPEG or reduced.
_MOST_OBJECTS = 20
# The level that Pascal VOC draws around objects.
_VOID = 255


def read(path: Path, folder: Folder | None, notes: Notes) -> Iterator[Box]:
    """Yield the objects of the masks, which have the names of their photographs.

    The suffixes may differ. A single level above black is an object. With several levels, each is
    an object with the level as its label, and 255 is ignored.
    """
    notes.read_as = "bounds of what is not black in masks"
    for name in Folder(path).pictures():
        file = path / name
        stem = Path(name).with_suffix("").as_posix()
        image = (folder.of_stem(stem) if folder else None) or name
        levels = image_files.levels(file)
        size = levels.shape[::-1]
        found = [level for level in np.unique(levels).tolist() if level != 0]
        if len(found) > _MOST_OBJECTS:
            raise AnnotationError(
                f"{file} is not a mask: it has {len(found)} levels above black. A mask has one "
                f"level per object, at most {_MOST_OBJECTS}, and is not compressed as JPEG."
            )
        if not found:
            reason = "photographs whose mask is black"
            yield Box.skipped(str(file), image, file, reason)
        if len(found) > 1 and _VOID in found:
            reason = f"level {_VOID} beside others, the border in masks of Pascal VOC"
            yield Box.skipped(str(file), image, file, reason)
        for level in found if len(found) == 1 else [one for one in found if one != _VOID]:
            rows, columns = np.nonzero(levels == level)
            corners = columns.min(), rows.min(), columns.max() + 1, rows.max() + 1
            yield Box(
                f"{file}, level {level}", image, tuple(map(float, corners)), size, str(level), file
            )
