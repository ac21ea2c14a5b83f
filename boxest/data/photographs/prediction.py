"""Find boxes in photographs without known boxes."""

import functools
import os
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from sklearn.utils.validation import check_is_fitted

from boxest.boxes import CORNERS
from boxest.data import image_files
from boxest.data.annotations.fields import some
from boxest.data.annotations.folder import Folder
from boxest.data.photographs.image_table import clipped, place, to_pixels
from boxest.data.photographs.matching import failing_together, gathered
from boxest.data.photographs.packing import Form

if TYPE_CHECKING:
    from sklearn.base import RegressorMixin

# Bytes of images in one call of the network.
_BLOCK = 2**25


def predict(
    regressor: "RegressorMixin",
    paths: str | os.PathLike | Iterable[str | os.PathLike],
    *,
    mode: str | None = None,
) -> pd.DataFrame:
    """Find the box in each photograph, of any size.

    The photographs are read, turned upright and resized as in `convert`, in colour if the network
    was fitted on colours.

    Parameters
    ----------
    regressor : BoxRegressor
        Fitted, or saved and loaded.
    paths : path-like, or iterable of path-like
        Photographs; a folder means all photographs in it and its subfolders, sorted by name.
    mode : {"stretch", "pad"}, optional
        How to fit photographs into the images of the network. By default, as in the shards on which
        it was fitted.

    Returns
    -------
    DataFrame
        One row per photograph: ``image``, its path; ``width, height`` in pixels; and the box ``x1,
        y1, x2, y2`` in pixels from 0, half-open, clipped to the photograph. A network may predict a
        flipped or empty box. `boxest.figures.photographs` draws them.

    Raises
    ------
    ValueError
        If files are damaged or not photographs, there are no photographs, or the mode is unknown.
    OSError
        If a file cannot be opened.

    Warns
    -----
    UserWarning
        If grey levels of 16 bits seem to have only 12, or a folder also holds photographs in
        formats that are not read, such as HEIC.
    """
    check_is_fitted(regressor)
    height, width, channels = regressor.image_shape_
    mode = mode or getattr(regressor, "image_mode_", None)
    if mode is None:
        raise ValueError(
            "It is unknown how to fit photographs into the images, because the regressor was not "
            "fitted on shards of photographs: pass mode='stretch' or mode='pad'."
        )
    form = Form(height, width, channels, mode)
    files = [str(path) for path in _files(paths)]
    with failing_together() as tried:
        sizes = [tried(image_files.size, path) for path in files]
    table = pd.DataFrame({"image": files})
    table[["width", "height"]] = [(size.width, size.height) for size in sizes]
    placed = place(table, (width, height), mode)
    rows = max(1, _BLOCK // (height * width * channels))
    with gathered(), failing_together() as tried:
        read = functools.partial(tried, image_files.read)
        found = [
            regressor.predict(form.images(placed[start : start + rows], read))
            for start in range(0, len(placed), rows)
        ]
    boxes = clipped(to_pixels(np.concatenate(found), placed), table)
    return table.assign(**dict(zip(CORNERS, boxes.T, strict=True)))


def _files(paths: str | os.PathLike | Iterable[str | os.PathLike]) -> list[str | os.PathLike]:
    """Return the photographs for the given paths."""
    files = []
    for path in [paths] if isinstance(paths, (str, os.PathLike)) else paths:
        if Path(path).is_dir():
            folder = Folder(path)
            inside, others = folder.pictures(), folder.unreadable()
            if others:
                warnings.warn(
                    f"{path} holds photographs in formats that boxest does not read, which are "
                    f"left out: {len(others)} ({some(others)}). Save them as JPEG or PNG.",
                    stacklevel=3,
                )
            if not inside:
                raise ValueError(
                    f"{path} holds no photographs, because no file ends in "
                    f"{', '.join(image_files.SUFFIXES)}."
                )
            files += [Path(path) / name for name in inside]
        else:
            files.append(path)
    if not files:
        raise ValueError("There are no photographs, because the list of paths is empty.")
    return files
