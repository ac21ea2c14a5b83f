"""The fitted attributes that describe a training: its history, and how it ended."""

from typing import TYPE_CHECKING

import numpy as np

from boxest.estimator import building
from boxest.system import backend
from boxest.training.record import Followed

if TYPE_CHECKING:
    from boxest.estimator.base import BaseImageRegressor
    from boxest.training.record import Training

_NAMES = (
    "history_",
    "n_iter_",
    "followed_",
    "best_epoch_",
    "diverged_",
    "stopped_early_",
    "seconds_",
    "runtime_",
)


def forget(estimator: "BaseImageRegressor") -> None:
    """Remove what describes an earlier training, and its programs."""
    for name in (*_NAMES, "_trainer"):
        vars(estimator).pop(name, None)


def record(
    estimator: "BaseImageRegressor",
    training: "Training",
    history: list,
    import_seconds: float,
    follows: Followed | None = None,
) -> None:
    """Set the attributes after a training, which goes on from the rows of `history`."""
    seconds = {"import": import_seconds, **training.seconds}
    if history:
        seconds = {name: seconds[name] + estimator.seconds_[name] for name in seconds}
    estimator.history_ = history + Followed.without(training.history)
    estimator.followed_ = follows.predictions(training.history) if follows else np.empty(0)
    estimator.n_iter_ = len(estimator.history_)
    estimator.best_epoch_ = training.best_epoch
    estimator.diverged_ = training.diverged
    estimator.stopped_early_ = training.stopped_early
    estimator.seconds_ = seconds
    about = {"xla": estimator._predictor.xla, "engine": estimator.engine}
    estimator.runtime_ = backend.describe() | about
    building.warn_if_diverged(estimator)
