"""Call the callbacks of Keras and of scikit-learn during a training."""

import copy
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Self

from boxest.training.record import Watcher

try:
    from sklearn.callback import CallbackSupportMixin, with_callbacks
except ImportError:  # scikit-learn before 1.9

    class CallbackSupportMixin:
        """Replaces the mixin that this version of scikit-learn lacks."""

    def with_callbacks(method: Callable) -> Callable:
        """Return the method unchanged."""
        return method


if TYPE_CHECKING:
    import keras
    from sklearn.callback import CallbackContext

__all__ = ["CallbackSupportMixin", "KerasCallbacks", "SklearnCallbacks", "with_callbacks"]

_PER_BATCH = ("on_batch_begin", "on_batch_end", "on_train_batch_begin", "on_train_batch_end")
_PER_EVALUATED_BATCH = ("on_test_batch_begin", "on_test_batch_end")


class KerasCallbacks(Watcher):
    """Copies of a user's Keras callbacks, called as `keras.Model.fit` calls them.

    A context manager around the training, which calls the hooks for its beginning and end.

    Parameters
    ----------
    callbacks : sequence of keras.callbacks.Callback
        They are copied and do not change.
    model : keras.Model
        Compiled with the optimizer of the training. Its ``stop_training`` ends the training.
    engine : str
        "compiled" does not call hooks per batch.
    varies : bool
        Whether the schedule sets the learning rate of every update.
    epochs, epochs_before : int
        The number of epochs of this training, and of those before it.
    steps : int
        The number of updates of an epoch.

    Raises
    ------
    ValueError
        If a callback has hooks per batch, and the engine does not call these, or hooks per batch of
        an evaluation; or if it sets the learning rate, and so does the schedule.
    """

    def __init__(
        self,
        callbacks: "Sequence[keras.callbacks.Callback]",
        model: "keras.Model",
        *,
        engine: str,
        varies: bool = False,
        epochs: int,
        epochs_before: int = 0,
        steps: int,
    ):
        import keras

        for callback in callbacks:
            _check_callback(callback, engine, varies)
        self.copies = list(map(_copy, callbacks))
        self.model, self.logs = model, {}
        self.list = keras.callbacks.CallbackList(
            self.copies, model=model, epochs=epochs_before + epochs, steps=steps, verbose=0
        )

    def __enter__(self) -> Self:
        self.model.stop_training = False
        self.list.on_train_begin()
        return self

    def __exit__(self, error_type, *_) -> None:
        if error_type is None:
            self.list.on_train_end(self.logs)

    def begin(self, epoch: int) -> None:
        """Begin an epoch; Keras counts from 0."""
        self.list.on_epoch_begin(epoch - 1)

    def begin_evaluation(self) -> None:
        """Begin an evaluation; `SwapEMAWeights`, for example, switches to the averages."""
        self.list.on_test_begin()

    def end_evaluation(self) -> None:
        """End an evaluation; its results are in the logs of the epoch."""
        self.list.on_test_end()

    def end(self, row: dict[str, float]) -> bool:
        """End an epoch, with the logs named as Keras names them: loss, val_loss, ..."""
        self.logs = {
            name.replace("train_", "", 1)
            if name.startswith("train_")
            else f"val_{name[11:]}": value
            for name, value in row.items()
            if name.startswith(("train_", "validation_")) and not name.endswith("_seconds")
        }
        self.list.on_epoch_end(row["epoch"] - 1, self.logs)
        return bool(self.model.stop_training)


class SklearnCallbacks(Watcher):
    """The callbacks of an estimator in scikit-learn's own protocol, from version 1.9 on.

    Parameters
    ----------
    estimator : estimator
        With scikit-learn's `CallbackSupportMixin`.
    context : sklearn.callback.CallbackContext
        The task of the whole fit.
    data : dict
        ``X``, ``y`` and ``metadata`` for the callbacks.
    fitted : callable
        Returns the attributes that make a copy of the estimator ready to predict.
    """

    def __init__(
        self,
        estimator: Any,
        context: "CallbackContext",
        data: dict[str, Any],
        fitted: Callable[[], dict[str, Any]],
    ):
        self.context, self.fitted = context, fitted
        self.data = {"estimator": estimator, **data}

    def __enter__(self) -> Self:
        self.context.call_on_fit_task_begin(**self.data)
        return self

    def __exit__(self, error_type, *_) -> None:
        if error_type is None:
            self.context.call_on_fit_task_end(**self.data, reconstruction_attributes=self.fitted)

    def begin(self, epoch: int) -> None:
        """Begin the task of an epoch."""
        self.epoch = self.context.subcontext(task_name="epoch")
        self.epoch.call_on_fit_task_begin(**self.data)

    def end(self, row: dict[str, float]) -> bool:
        """End the task of an epoch; return whether a callback wants to stop."""
        return self.epoch.call_on_fit_task_end(**self.data, reconstruction_attributes=self.fitted)


def _copy(callback: "keras.callbacks.Callback") -> "keras.callbacks.Callback":
    """Copy a callback."""
    try:
        return copy.deepcopy(callback)
    except TypeError as error:
        raise ValueError(
            f"{type(callback).__name__} cannot be copied: {error}. Only copies of callbacks are "
            "called, so that those of the estimator do not change: create locks and files in "
            "on_train_begin, or define __deepcopy__."
        ) from error


def _check_callback(callback: Any, engine: str, varies: bool) -> None:
    """Refuse what is no callback, a second checkpoint or schedule, and hooks without batches."""
    import keras

    if not isinstance(callback, keras.callbacks.Callback):
        raise ValueError(f"callbacks must hold Keras callbacks; got {callback!r}.")
    if isinstance(callback, keras.callbacks.BackupAndRestore):
        raise ValueError(
            "BackupAndRestore would restore weights, but not how many epochs they were trained: "
            "use the parameter checkpoint, which resumes exactly."
        )
    if engine == "compiled" and _wants_batches(callback):
        raise ValueError(
            f"{type(callback).__name__} has hooks for each batch, but engine='compiled' runs all "
            "batches of an epoch in one call. Use engine='keras', or hooks per epoch."
        )
    if _has_hook(callback, _PER_EVALUATED_BATCH):
        raise ValueError(
            f"{type(callback).__name__} has hooks for each batch of an evaluation, but the "
            "validation examples are not evaluated in batches of Keras. Use on_test_begin and "
            "on_test_end, or on_epoch_end, whose logs have the validation loss."
        )
    sets_rate = keras.callbacks.LearningRateScheduler, keras.callbacks.ReduceLROnPlateau
    if varies and isinstance(callback, sets_rate):
        # Other callbacks that set the rate are only noticed when they do.
        raise ValueError(
            f"{type(callback).__name__} sets the learning rate, but here the schedule changes it "
            "at every update. Use either the schedule without this callback, or "
            "schedule='constant' without warmup_epochs and without a Keras schedule."
        )


def _wants_batches(callback: "keras.callbacks.Callback") -> bool:
    """Whether a callback has a hook per batch that does something.

    Callbacks of Keras that have such a hook, as `ModelCheckpoint` does, use it only if asked to
    save or write more often than once per epoch. `TerminateOnNaN` ends a training that has
    diverged, which ends anyway, unless it is to raise an error.
    """
    import keras

    if type(callback) is keras.callbacks.TerminateOnNaN:
        return getattr(callback, "raise_error", False)  # Older versions of Keras have no choice.
    frequency = getattr(callback, "save_freq", getattr(callback, "update_freq", "epoch"))
    return frequency != "epoch" or _has_hook(callback, _PER_BATCH)


def _has_hook(callback: "keras.callbacks.Callback", names: Sequence[str]) -> bool:
    """Whether a callback has one of these hooks, other than those of Keras."""
    return any(
        name in vars(callback) or not getattr(type(callback), name).__module__.startswith("keras.")
        for name in names
    )
