"""Inputs and results of a training: examples, settings, history and watchers."""

import math
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np

from boxest.training.schedule import Schedule
from boxest.training.stream import FeatureFile

if TYPE_CHECKING:
    import numpy.typing as npt


class Examples(NamedTuple):
    """Images, shape (n, height, width, channels), with targets (n, k) and weights (n,)."""

    images: np.ndarray | FeatureFile
    targets: np.ndarray
    weights: np.ndarray


@dataclass(frozen=True)
class Settings:
    """The plan of a training, and the work done before it.

    Parameters
    ----------
    batch_size, epochs, seed : int
        Examples per update, epochs at most, and seed of the order of examples.
    epochs_before, updates_before : int, default=0
        Numbers from earlier trainings, from which counting and the order of examples continue.
    restore_best : bool, default=False
        Restore the state after the epoch with the smallest validation loss. Without validation
        examples, the last state stays.
    """

    batch_size: int
    epochs: int
    seed: int
    epochs_before: int = 0
    updates_before: int = 0
    restore_best: bool = False


@dataclass
class Training:
    """The results of a training other than the weights.

    Attributes
    ----------
    history : list of dict
        One row per epoch; see `Trainer.run`.
    seconds : dict
        ``data`` (preparing the examples), ``compile``, ``train`` and ``evaluation``; the search for
        a rate counts as training.
    learning_rate : float
        The rate that the schedule began with, given or found.
    diverged : bool
        Whether the loss became NaN or infinite, as in the last row, or a weight in the last update.
    stopped_early : bool
        Whether early stopping, or a watcher, ended the training.
    best_epoch : int or None
        The epoch with the smallest validation loss, whose network was kept.
    best_loss : float
        Its validation loss.
    """

    history: list[dict[str, float]] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)
    learning_rate: float = math.nan
    diverged: bool = False
    stopped_early: bool = False
    best_epoch: int | None = None
    best_loss: float = math.inf

    @property
    def ended(self) -> bool:
        """Whether the training ends now, however many epochs are planned."""
        return self.diverged or self.stopped_early

    def improved(self) -> bool:
        """Return whether the last epoch has the smallest validation loss, and store it if so."""
        row = self.history[-1]
        better = row.get("validation_loss", math.nan) < self.best_loss
        # If the training loss is NaN, the weights are, too.
        if better := better and math.isfinite(row["train_loss"]):
            self.best_epoch, self.best_loss = row["epoch"], row["validation_loss"]
        return better

    def check_end(self, schedule: Schedule, *, stop: bool, last: bool) -> None:
        """Pass the last row to the schedule, and store whether the training ends with it."""
        row = self.history[-1]
        watched = row.get("validation_loss", row["train_loss"])
        self.diverged = not (math.isfinite(watched) and math.isfinite(row["train_loss"]))
        if not self.diverged:
            schedule.update(watched)
            self.stopped_early = (schedule.stopped or stop) and not last

    def check_weights(self, weights: "Iterable[npt.ArrayLike]") -> None:
        """Store whether the last update, which no loss may have seen, has made a weight useless."""
        if not all(np.isfinite(weight).all() for weight in weights):
            self.diverged, self.stopped_early = True, False

    def state(self, schedule: Schedule) -> dict[str, Any]:
        """Return the results so far, and the state of the schedule.

        The rows of the history do not change, and are not copied.
        """
        copies = {"history": list(self.history), "seconds": dict(self.seconds)}
        return vars(self) | copies | {"schedule": asdict(schedule)}

    def restore(self, state: dict[str, Any], schedule: Schedule) -> None:
        """Restore a `state`. The seconds of this start are added to the previous ones."""
        vars(schedule).update(state["schedule"])
        for name in ("diverged", "stopped_early", "learning_rate", "best_epoch", "best_loss"):
            setattr(self, name, state[name])
        self.history[:] = state["history"]
        for name, seconds in state["seconds"].items():
            self.seconds[name] += seconds


class Watcher:
    """Base class for watchers of a training, called when an epoch begins and ends.

    This one does nothing. The methods, and entering it, may set the learning rate of the optimizer;
    the schedule continues from that rate.
    """

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_) -> None:
        """Do nothing at the end of a training."""

    def resume(self, history: list[dict[str, float]]) -> None:
        """Take the rows of the epochs before an interruption."""

    def begin(self, epoch: int) -> None:
        """Take note that epoch ``epoch``, counted from 1, begins."""

    def begin_evaluation(self) -> None:
        """Prepare for the evaluation of the validation examples."""

    def end_evaluation(self) -> None:
        """Undo the preparation after the evaluation."""

    def end(self, row: dict[str, float]) -> bool:
        """Take the row of the epoch that has just ended; return whether training should stop."""
        return False


class Followed(Watcher):
    """Keeps the network's predictions for some images after every epoch.

    During a training, the predictions are stored in the rows of the history, so that a resumed
    training also has those from before the interruption.

    Parameters
    ----------
    predict : callable
        ``predict()`` returns the predictions for the images, shape (k, n_outputs) or (k,).
    images : str
        A digest of the images: a resumed training may follow others.
    """

    KEY = "followed"

    def __init__(self, predict: Callable[[], np.ndarray], images: str):
        self.predict, self.images = predict, images

    def end(self, row: dict[str, Any]) -> bool:
        """Predict; never stop."""
        row[self.KEY] = {self.images: self.predict().tolist()}
        return False

    def predictions(self, rows: list[dict[str, Any]]) -> np.ndarray:
        """Return the predictions, with one more axis for the epochs; NaN where there are none."""
        kept = [row.get(self.KEY, {}).get(self.images) for row in rows]
        missing = next((np.full_like(part, np.nan) for part in kept if part is not None), [])
        return np.array([missing if part is None else part for part in kept], np.float64)

    @classmethod
    def without(cls, rows: list[dict[str, Any]]) -> list[dict[str, float]]:
        """Return the rows without predictions."""
        return [{name: row[name] for name in row if name != cls.KEY} for row in rows]


def weighted_means(values: dict[str, np.ndarray], weights: np.ndarray) -> dict[str, float]:
    """Return the weighted means over examples of values by name, in double precision."""
    return {
        name: float(np.average(each.astype(np.float64), weights=weights))
        for name, each in values.items()
    }


def prefixed(prefix: str, values: dict[str, float]) -> dict[str, float]:
    """Add a prefix to the names of values."""
    return {f"{prefix}_{name}": value for name, value in values.items()}
