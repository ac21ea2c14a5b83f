"""When to stop, and when to lower the learning rate."""

import math
from dataclasses import dataclass


@dataclass
class Schedule:
    """Early stopping and reduction of the learning rate on a plateau, fed with a loss per epoch.

    Both follow the rules of the Keras callbacks `EarlyStopping` and `ReduceLROnPlateau`. They are
    plain numbers here, so that the state of a run can be stored and several runs can share one
    model.

    Parameters
    ----------
    learning_rate : float
        Rate of the first epoch; afterwards, of the next one.
    stop_patience : int or None
        Stop after this many epochs without a new smallest loss. None: never.
    plateau_patience : int or None
        Multiply the rate by ``plateau_factor`` after this many epochs in which the loss did not
        fall by more than ``plateau_min_delta``. None: never.
    plateau_factor : float, default=0.5
        Factor in (0, 1).
    plateau_min_delta : float, default=1e-4
        Smallest fall of the loss that counts as progress.

    Attributes
    ----------
    stopped : bool
        Whether training should stop.
    """

    learning_rate: float
    stop_patience: int | None = None
    plateau_patience: int | None = None
    plateau_factor: float = 0.5
    plateau_min_delta: float = 1e-4
    stopped: bool = False
    best: float = math.inf
    wait: int = 0
    plateau_best: float = math.inf
    plateau_wait: int = 0

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
