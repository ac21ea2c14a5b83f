"""The learning rate of every update, and when to stop."""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

if TYPE_CHECKING:
    import keras


@dataclass
class Schedule:
    """The learning rate of each update, and early stopping, based on one loss per epoch.

    Early stopping and the reduction on a plateau follow the rules of the Keras callbacks
    `EarlyStopping` and `ReduceLROnPlateau`. All fields are plain numbers, so that the state of a
    run can be stored, and several runs can share one model.

    Parameters
    ----------
    learning_rate : float
        The initial rate; with a cosine, the largest one. A plateau lowers it.
    stop_patience : int or None
        Stop after this many epochs without a new smallest loss; None means never.
    plateau_patience : int or None
        Multiply the rate by ``plateau_factor`` after this many epochs in which the loss did not
        fall by more than ``plateau_min_delta``; None means never.
    plateau_factor : float, default=0.5
        Factor in (0, 1).
    plateau_min_delta : float, default=1e-4
        Smallest decrease of the loss that counts as progress.
    cosine : bool, default=False
        Lower the rate at each update along half a cosine, to 0 at the end of the training.
    warmup_epochs : float, default=0
        First raise the rate linearly during the updates of this many epochs.

    Attributes
    ----------
    function : RateFunction or None
        Returns the rate of an update from the number of all previous updates, and replaces plateau,
        cosine and warm-up. Not a field, because it is not a number.
    stopped : bool
        Whether training should stop.
    """

    learning_rate: float
    stop_patience: int | None = None
    plateau_patience: int | None = None
    plateau_factor: float = 0.5
    plateau_min_delta: float = 1e-4
    cosine: bool = False
    warmup_epochs: float = 0.0
    stopped: bool = False
    best: float = math.inf
    wait: int = 0
    plateau_best: float = math.inf
    plateau_wait: int = 0

    function: "ClassVar[RateFunction | None]" = None

    def __getstate__(self) -> dict:
        """Leave out the function: a Keras schedule cannot be copied, and `fit` sets it again."""
        return {name: value for name, value in vars(self).items() if name != "function"}

    @property
    def varies(self) -> bool:
        """Whether the rate changes from update to update."""
        return self.function is not None or self.cosine or self.warmup_epochs > 0

    def rates(self, epoch: int, *, epochs: int, steps: int, updates: int) -> np.ndarray:
        """Return the rate of each update of an epoch.

        They only depend on the arguments and the fields, so an interrupted training resumes
        exactly.

        Parameters
        ----------
        epoch : int
            Number of the epoch in this training, from 0.
        epochs, steps : int
            Largest number of epochs of the training, and number of updates per epoch.
        updates : int
            Number of updates before the epoch, in all trainings of the network.

        Returns
        -------
        ndarray of float64, shape (steps,)

        References
        ----------
        I. Loshchilov and F. Hutter, "SGDR: Stochastic Gradient Descent with Warm Restarts", ICLR
        2017, for the cosine. P. Goyal et al., "Accurate, Large Minibatch SGD", 2017, §2.2, for the
        warm-up.
        """
        if self.function is not None:
            return self.function(updates, steps)
        rates = np.full(steps, self.learning_rate)
        update = epoch * steps + np.arange(steps)
        warmup = self.warmup_epochs * steps
        if self.cosine:
            rest = max(epochs * steps - warmup, 1)
            rates *= 0.5 * (1 + np.cos(math.pi * np.clip((update - warmup) / rest, 0, 1)))
        if warmup:
            rates *= np.minimum((update + 1) / warmup, 1)
        return rates

    def update(self, loss: float) -> None:
        """Take the loss of the epoch that has just ended."""
        if self.stop_patience is not None:
            self._watch_for_stop(loss)
        if self.plateau_patience is not None:
            self._watch_for_plateau(loss)

    def _watch_for_stop(self, loss: float) -> None:
        if loss < self.best:
            self.best, self.wait = loss, 0
            return
        self.wait += 1
        self.stopped = self.wait >= self.stop_patience

    def _watch_for_plateau(self, loss: float) -> None:
        if loss < self.plateau_best - self.plateau_min_delta:
            self.plateau_best, self.plateau_wait = loss, 0
            return
        self.plateau_wait += 1
        if self.plateau_wait >= self.plateau_patience:
            self.learning_rate *= self.plateau_factor
            self.plateau_wait = 0


class RateFunction:
    """A `keras.optimizers.schedules.LearningRateSchedule`, compiled for the updates of an epoch.

    Parameters
    ----------
    given : keras.optimizers.schedules.LearningRateSchedule
    """

    def __init__(self, given: "keras.optimizers.schedules.LearningRateSchedule"):
        from boxest.training.backend import load

        self.given, self._backend = given, load()
        self._compiled = self._backend.compile(self._map, xla=False)

    def __call__(self, updates: int, steps: int) -> np.ndarray:
        """Return the rates of consecutive updates, of which the first comes after ``updates``."""
        numbers = np.arange(updates, updates + steps, dtype=np.int32)
        return self._backend.get(self._compiled(self._backend.put(numbers))).astype(np.float64)

    def _map(self, numbers):
        from keras import ops

        return ops.map(lambda n: ops.convert_to_tensor(self.given(n), "float32"), numbers)
