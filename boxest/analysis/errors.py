"""Errors of single predictions: Fig. 6 and 7, and the test loss of §5.1."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from boxest import boxes
from boxest.analysis.columns import CELL, RUN, require

ERROR_LEVELS = ("negligible", "low", "medium", "big")
# Footnote 3 of the paper: negligible <= 0.1 < low <= 0.2 < medium <= 0.3 < big.
ERROR_THRESHOLDS = (0.1, 0.2, 0.3)
# §5.1.1 of the paper, the loss on the test set.
PAPER_TEST_LOSS = 0.038


def error_level(loss) -> pd.Categorical:
    """Name the level of each error: negligible ≤ 0.1 < low ≤ 0.2 < medium ≤ 0.3 < big (footnote 3).

    Parameters
    ----------
    loss : array-like, shape (n,)
        Losses, 1 - IoU of either kind. NaN has no level.

    Returns
    -------
    pandas.Categorical, shape (n,)
        Ordered, with all four levels as categories.

    Examples
    --------
    >>> from boxest.analysis import error_level
    >>> list(error_level([0.1, 0.11, 0.3, 0.9]))
    ['negligible', 'low', 'medium', 'big']
    """
    loss = np.asarray(loss, dtype=float)
    if loss.ndim != 1:
        raise ValueError(f"loss must have one dimension, got shape {loss.shape}")
    return pd.cut(loss, [-np.inf, *ERROR_THRESHOLDS, np.inf], labels=list(ERROR_LEVELS))


def errors_by_side(
    predictions: pd.DataFrame, metric: str = "inclusive_iou_loss", width: int = 8
) -> pd.DataFrame:
    """Count the error levels by the smaller side of the object (Fig. 6 of the paper).

    Parameters
    ----------
    predictions : pandas.DataFrame
        One row per image, with `smallest_side` in pixels and the column `metric`.
    metric : str
        "inclusive_iou_loss" (the paper's) or "iou_loss" (geometric).
    width : int
        Width of the bins in pixels.

    Returns
    -------
    pandas.DataFrame
        One row per bin: `side_from` (included), `side_to` (excluded) in pixels, then a count per
        error level.
    """
    require(predictions, ["smallest_side", metric], "predictions")
    if width < 1:
        raise ValueError(f"width must be at least 1 px, got {width}")
    # Sides are whole pixels times 1/size in floating point: 8 px may read as 7.9999.
    side = np.round(predictions["smallest_side"].to_numpy(float), 3)
    if not np.isfinite(side).all():
        raise ValueError("smallest_side must be finite, got NaN: write the predictions again")
    bins = np.arange(0, side.max() // width + 1, dtype=int)
    table = pd.crosstab(side // width, np.asarray(error_level(predictions[metric])))
    table = table.reindex(index=bins, columns=list(ERROR_LEVELS), fill_value=0)
    table.insert(0, "side_from", bins * width)
    table.insert(1, "side_to", (bins + 1) * width)
    table.columns.name = None
    return table.reset_index(drop=True)


def boxes_of(predictions: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Return the true and the predicted boxes of ``predictions.csv``, each (n, 4)."""
    both = (boxes.corners_of("true"), boxes.corners_of("predicted"))
    return tuple(predictions[corners].to_numpy() for corners in both)


def in_pixels(predictions: pd.DataFrame, originals: pd.DataFrame | None) -> pd.DataFrame:
    """Add the predicted boxes in pixels of the pictures that the images were made from.

    Parameters
    ----------
    predictions : pandas.DataFrame
        As in ``predictions.csv``.
    originals : pandas.DataFrame or None
        From `boxest.photographs.originals`, row by row; None adds nothing.

    Returns
    -------
    pandas.DataFrame
        With the name of the file as `image` instead of a number, and `x1`, `y1`, `x2`, `y2`,
        clipped to the picture.
    """
    if originals is None:
        return predictions
    from boxest.data.photographs.image_table import clipped, to_pixels

    _, predicted = boxes_of(predictions)
    inside = clipped(to_pixels(predicted, originals), originals)
    pixels = pd.DataFrame(inside, columns=boxes.CORNERS)
    return pd.concat([predictions.assign(image=originals["image"].to_numpy()), pixels], axis=1)


def best_table(
    histories: pd.DataFrame, runs: pd.DataFrame, axes: Sequence[str] = CELL
) -> pd.DataFrame:
    """Summarise the runs of the best parametrization on the test set (§5.1).

    Parameters
    ----------
    histories, runs : pandas.DataFrame
        From `boxest.study.history.collect`.
    axes : sequence of str
        What differs between the cells of the study.

    Returns
    -------
    pandas.DataFrame
        One row per run: batch size, first and last learning rate, seed, epochs, validation and test
        loss by both measures (NaN where a prediction is NaN).
    """
    require(runs, [*RUN, "epochs", "test_iou_loss"], "runs")
    last = histories.groupby("seed")["learning_rate_now"].last()
    others = [name for name in axes if name not in CELL]
    table = runs[[*CELL, "seed", *others, "epochs", "diverged"]].copy()
    table.insert(2, "last_learning_rate", last.loc[runs["seed"]].to_numpy())
    for name in ("inclusive_iou_loss", "iou_loss"):
        table[f"validation_{name}"] = runs[f"validation_{name}"]
        table[f"test_{name}"] = runs[f"test_{name}"]
    return table
