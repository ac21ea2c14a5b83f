"""Keras losses and metrics around the measures of `boxest.boxes`.

Importing this module registers both classes: `keras.saving.load_model` needs that to find them in
a ``.keras`` file.
"""

import contextlib
import copyreg
from typing import Any

import keras
import numpy as np
from keras import ops

from boxest.boxes import MEASURES
from boxest.system.scalars import real

# Inclusive IoU corrects a flipped box by itself. The geometric IoU stays as in the textbooks,
# including its well-known regions without a gradient.
_WITH_FLIP_PENALTY = ("giou", "diou", "ciou")
# Two names for the same: the sum of weight × loss divided by the number of examples.
_MEANS = ("sum_over_batch_size", "mean")


def _check_measure(measure: str) -> str:
    if measure not in MEASURES:
        raise ValueError(f"measure must be one of {', '.join(MEASURES)}; got {measure!r}.")
    return measure


@keras.saving.register_keras_serializable(package="boxest")
class BoxLoss(keras.losses.Loss):
    """One minus a measure of the agreement of two boxes, optionally plus their distance.

    Parameters
    ----------
    measure : {"inclusive_iou", "iou", "giou", "diou", "ciou"}
        A key of `boxest.boxes.MEASURES`. The default is the paper's (§2.2.2, as inferred).
    absolute_error : float, default=0
        Weight of the sum of the absolute errors of the four edges, which is added to the loss.
    reduction, name, dtype
        As for every `keras.losses.Loss`.

    Notes
    -----
    With giou, diou and ciou the loss also has ``max(0, x1 - x2) + max(0, y1 - y2)`` of the
    prediction. This term is zero for a proper box, so the loss there is that of the literature. A
    flipped box has no area, and moving it inside the target changes neither its union with the
    target nor the box around both. Without this term, giou would have no gradient there.

    "giou_l1" as the ``loss`` of an estimator means giou plus absolute errors with weight 1. Far
    from the target, the absolute error has the larger gradient; near it, giou has, which does not
    depend on the size of the box. N. Carion and others, "End-to-end object detection with
    transformers", ECCV 2020, §3.1, use the same sum with other weights.

    Examples
    --------
    >>> import numpy as np
    >>> true, predicted = np.array([[0.0, 0.0, 0.5, 0.5]]), np.array([[0.0, 0.25, 0.5, 0.75]])
    >>> round(float(BoxLoss("iou")(true, predicted)), 4)
    0.6667
    """

    def __init__(
        self,
        measure: str = "inclusive_iou",
        *,
        absolute_error: float = 0.0,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = None,
        dtype: Any = None,
    ):
        self.measure = _check_measure(measure)
        self.absolute_error = real("absolute_error", absolute_error, 0, 1e9)
        super().__init__(name=name or f"{measure}_loss", reduction=reduction, dtype=dtype)

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Return the loss of each box, a tensor of shape (n,), for tensors of shape (n, 4)."""
        loss = 1.0 - MEASURES[self.measure](y_true, y_pred, xp=ops)
        if self.measure in _WITH_FLIP_PENALTY:
            sides = y_pred[..., 2:] - y_pred[..., :2]
            # Unlike with relu, the gradient is not 0 at 0. Otherwise, a point inside the target
            # would stay a point.
            loss = loss + ops.sum(ops.where(sides > 0, ops.zeros_like(sides), -sides), axis=-1)
        if self.absolute_error:
            loss = loss + self.absolute_error * ops.sum(ops.abs(y_true - y_pred), axis=-1)
        return loss

    def get_config(self) -> dict:
        """Arguments of the constructor, for saving."""
        own = {"measure": self.measure, "absolute_error": self.absolute_error}
        return {**own, **super().get_config()}


@keras.saving.register_keras_serializable(package="boxest")
class BoxMetric(keras.metrics.Mean):
    """Mean of a measure of the agreement of boxes, weighted by `sample_weight` if given.

    Parameters
    ----------
    measure : {"iou", "inclusive_iou", "giou", "diou", "ciou"}
        A key of `boxest.boxes.MEASURES`. The default is the geometric IoU, by which networks should
        be judged.
    name, dtype
        As for every `keras.metrics.Metric`.

    Examples
    --------
    >>> metric = BoxMetric("iou")
    >>> metric.update_state([[0.0, 0.0, 0.5, 0.5]], [[0.0, 0.25, 0.5, 0.75]])
    >>> round(float(metric.result()), 4)
    0.3333
    """

    def __init__(self, measure: str = "iou", *, name: str | None = None, dtype: Any = None):
        self.measure = _check_measure(measure)
        super().__init__(name=name or measure, dtype=dtype)

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Add boxes of shape (n, 4), and weights of shape (n,), to the mean."""
        y_true = ops.convert_to_tensor(y_true, self.dtype)
        y_pred = ops.convert_to_tensor(y_pred, self.dtype)
        super().update_state(MEASURES[self.measure](y_true, y_pred, xp=ops), sample_weight)

    def get_config(self) -> dict:
        """Arguments of the constructor, for saving."""
        return {"measure": self.measure, **super().get_config()}


def get(loss: str | keras.losses.Loss, n_outputs: int = 4) -> keras.losses.Loss:
    """Return the loss with this name.

    Parameters
    ----------
    loss : str or keras.losses.Loss
        A measure of `boxest.boxes.MEASURES`, "giou_l1", or the name of a Keras loss
        ("mean_absolute_error", "mse", "Huber"). A loss object is returned unchanged.
    n_outputs : int, default=4
        Number of targets for which the loss is tried.

    Returns
    -------
    keras.losses.Loss
        Always an object: its `call` returns the losses of the samples, calling the object their
        mean.

    Raises
    ------
    ValueError
        If there is no loss with this name, if it does not take so many targets, or does not return
        a loss for each sample, or if its reduction is not the mean over a batch.
    """
    found = _find(loss)
    if found.reduction not in _MEANS:
        raise ValueError(
            f"loss={loss!r} has reduction={found.reduction!r}; expected one of {_MEANS}, because "
            "an update follows the mean over its batch. For larger or smaller steps, set "
            "learning_rate."
        )
    boxes = [[0.0, 0.0, 0.5, 0.5], [0.25, 0.25, 1.0, 1.0]]
    targets = ops.convert_to_tensor(np.resize(np.float32(boxes), (2, n_outputs)))
    try:
        shape = tuple(found.call(targets, targets).shape)
    # A backend, or a user's loss, may raise anything.
    except Exception as error:
        raise ValueError(
            f"loss={loss!r} cannot be computed for targets of {n_outputs} numbers: {error}"
        ) from error
    if shape != (2,):
        raise ValueError(
            f"loss={loss!r} returns an array of shape {shape} for two examples; expected one loss "
            "per example, shape (2,). Choose another loss, or a keras.losses.Loss whose call "
            "returns a loss per sample."
        )
    return found


def _find(loss: str | keras.losses.Loss) -> keras.losses.Loss:
    """Return the loss with this name as an object."""
    if isinstance(loss, keras.losses.Loss):
        return loss
    if isinstance(loss, str):
        if loss in MEASURES:
            return BoxLoss(loss)
        if loss == "giou_l1":
            return BoxLoss("giou", absolute_error=1.0, name="giou_l1_loss")
        with contextlib.suppress(ValueError):
            found = keras.losses.get(loss)
            if not isinstance(found, keras.losses.Loss):
                # A lower-case name gives a function; its class has the same name in capitals.
                found = keras.losses.get(found.__name__.title().replace("_", ""))
            return found
    raise ValueError(
        f"loss must be one of {', '.join(MEASURES)}, giou_l1, or a Keras loss such as "
        f"'mean_absolute_error' or 'mse', or a keras.losses.Loss; got {loss!r}."
    )


def _by_attributes(loss: keras.losses.Loss) -> tuple:
    """Describe a loss for pickle and copy as Python does by default: its class and attributes."""
    return copyreg.__newobj__, (type(loss),), vars(loss)


# Keras copies its objects by their configuration, which lacks the arguments of these two. So a grid
# search over them, which copies them before an estimator sees them, would compare equal ones.
for _kind in (keras.losses.CosineSimilarity, keras.losses.Huber):
    copyreg.pickle(_kind, _by_attributes)
