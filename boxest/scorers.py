"""Metrics for predicted boxes, and scikit-learn scorers made from them."""

import numpy as np
import numpy.typing as npt
from sklearn.metrics import make_scorer
from sklearn.utils.validation import _check_sample_weight, check_consistent_length

from boxest import boxes


def mean_iou(
    y_true: npt.ArrayLike, y_pred: npt.ArrayLike, *, sample_weight: npt.ArrayLike | None = None
) -> float:
    """Mean geometric IoU of predicted boxes: 1 is best, 0 is worst.

    Parameters
    ----------
    y_true, y_pred : array-like of shape (n, 4)
        True and predicted boxes ``(x1, y1, x2, y2)``, divided by the image size.
    sample_weight : array-like of shape (n,), optional
        Weights of the boxes in the mean.

    Examples
    --------
    >>> mean_iou([[0, 0, 0.5, 1], [0, 0, 1, 1]], [[0, 0, 0.5, 1], [0, 0, 0.5, 1]])
    0.75
    """
    return _mean(_ious(y_true, y_pred), sample_weight)


def share_above(
    y_true: npt.ArrayLike,
    y_pred: npt.ArrayLike,
    *,
    threshold: float = 0.5,
    sample_weight: npt.ArrayLike | None = None,
) -> float:
    """Share of the boxes whose IoU reaches a threshold, which count as found.

    Parameters
    ----------
    y_true, y_pred, sample_weight
        As for `mean_iou`.
    threshold : float, default=0.5
        Smallest geometric IoU.

    Examples
    --------
    >>> share_above([[0, 0, 0.5, 1], [0, 0, 1, 1]], [[0, 0, 0.5, 1], [0, 0, 0.5, 1]], threshold=0.6)
    0.5
    """
    return _mean(_ious(y_true, y_pred) >= threshold, sample_weight)


#: For ``scoring=`` in `sklearn.model_selection`: pass one of them, or the whole dict.
SCORERS = {
    "mean_iou": make_scorer(mean_iou),
    "iou_50": make_scorer(share_above, threshold=0.5),
    "iou_75": make_scorer(share_above, threshold=0.75),
}


def _ious(y_true: npt.ArrayLike, y_pred: npt.ArrayLike) -> np.ndarray:
    """Return the geometric IoU of each pair of boxes."""
    y_true, y_pred = boxes.check_boxes(y_true), boxes.in_order(y_pred)
    check_consistent_length(y_true, y_pred)
    return boxes.iou(y_true, y_pred)


def _mean(values: np.ndarray, sample_weight: npt.ArrayLike | None) -> float:
    """Return the weighted mean.

    Raises
    ------
    ValueError
        If the numbers of weights and values differ, a weight is negative, or all are 0.
    """
    if np.ma.is_masked(sample_weight):
        raise ValueError("sample_weight has masked values; give 0 for these examples.")
    weights = _check_sample_weight(sample_weight, values, ensure_non_negative=True)
    if not weights.any():
        raise ValueError("sample_weight is 0 for all examples, so there is no mean.")
    return float(np.average(values, weights=weights))
