"""Draw boxes over photographs, in pixels of the files."""

import os
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from boxest.analysis import require
from boxest.boxes import CORNERS, iou
from boxest.data import image_files
from boxest.figures.images import COLUMNS, PREDICTED, TRUE, grid_of, outline, show
from boxest.figures.style import styled

# Longer side of a photograph in the figure, in pixels.
_SHOWN = 320
# Height of a photograph in the figure as a multiple of the width of its column, at most.
_TALLEST = 1.2


@styled
def photographs(
    predicted: pd.DataFrame,
    folder: str | os.PathLike = ".",
    true: pd.DataFrame | None = None,
) -> Figure:
    """Draw predicted boxes over photographs of any size, and the true ones if known.

    Parameters
    ----------
    predicted : pandas.DataFrame
        ``image``, the name of the file, and ``x1, y1, x2, y2`` in its pixels, as
        `boxest.photographs.predict` and `boxest.photographs.originals` have them. All rows are
        drawn, five side by side: pass a part of a long table, such as ``table[:15]``.
    folder : path-like, default="."
        The folder to which the names are relative.
    true : pandas.DataFrame, optional
        The same for the true boxes, row by row; the IoU is then written above.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ValueError
        If columns are missing, the rows do not fit, or a file is not a photograph.
    OSError
        If a file cannot be opened.
    """
    require(predicted, ["image", *CORNERS], "predicted")
    boxes = {"predicted box": (predicted, PREDICTED)}
    if true is not None:
        require(true, ["image", *CORNERS], "true")
        if list(true["image"]) != list(predicted["image"]):
            raise ValueError("true and predicted must have the same images in the same order.")
        boxes = {"true box": (true, TRUE)} | boxes
        measured = iou(*(table[CORNERS].to_numpy(float) for table in (true, predicted)))
    paths = [Path(folder) / name for name in predicted["image"]]
    sizes = np.array([image_files.size(path)[:2] for path in paths])
    figure, grid = grid_of(len(paths), _row_heights(sizes))
    for row, (axes, path, size) in enumerate(zip(grid, paths, sizes, strict=True)):
        shown = np.maximum(np.rint(size * min(1, _SHOWN / size.max())).astype(int), 1)
        pixels = image_files.read(path, 3, tuple(shown.tolist()))
        show(axes, pixels)
        axes.set_anchor("N")  # So that the names of a row stand in a line.
        for table, style in boxes.values():
            corners = table[CORNERS].iloc[row].to_numpy(float)
            outline(axes, corners / np.tile(size, 2), pixels.shape, style)
        above = "" if true is None else f"\nIoU {measured[row]:.3f}"
        # Text between two dollars in a name is not a formula.
        axes.set_title(f"{path.name:.24}{above}", fontsize=7, parse_math=False)
    handles = [Line2D([], [], label=text, **style) for text, (_, style) in boxes.items()]
    figure.legend(handles=handles, loc="outside lower center", ncols=2)
    return figure


def _row_heights(sizes: np.ndarray) -> list[float]:
    """Return inches for each row of photographs of these widths and heights, and their names."""
    ratios = np.minimum(sizes[:, 1] / sizes[:, 0], _TALLEST)
    starts = range(0, len(ratios), COLUMNS)
    return [1.35 * ratios[start : start + COLUMNS].max() + 0.4 for start in starts]
