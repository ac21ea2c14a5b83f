"""`ImageRegressor`: any numbers from an image; the base of `boxest.BoxRegressor`."""

import os
from collections.abc import Callable, Sequence
from numbers import Integral, Real
from typing import TYPE_CHECKING

from sklearn.utils._param_validation import Interval, StrOptions

from boxest.estimator.base import BaseImageRegressor
from boxest.training.checkpoint import Checkpoint
from boxest.training.loop import ENGINES

if TYPE_CHECKING:
    import keras
    import numpy as np


class ImageRegressor(BaseImageRegressor):
    """Predict numbers from images, with a small convolutional network.

    It is `boxest.BoxRegressor` without the boxes: the targets may be any numbers. Everything in its
    documentation about training, images, seeds and saving holds here too.

    Parameters
    ----------
    network : "auto" or callable, default="auto"
        "auto" is the paper's network with one output per target; for tables and images below 8 px,
        only its dense layers. Or a function, as for `BoxRegressor`.
    output_activation : str, default="linear"
        Keras name of the activation of the outputs.
    loss : str or keras.Loss, default="mean_squared_error"
        A Keras loss. Targets are not scaled; see `sklearn.compose.TransformedTargetRegressor`.
    optimizer : str, dict or keras.Optimizer, default="adam"
    learning_rate : float, "auto" or keras LearningRateSchedule, default=0.01
    batch_size : int, default=16
    epochs : int, default=30
    restore_best_weights : bool, default=False
    schedule : {"plateau", "cosine", "constant"}, default="plateau"
    image_shape, stop_patience, warmup_epochs, plateau_patience, plateau_factor, \
plateau_min_delta, validation_fraction, callbacks, checkpoint, warm_start, memory_limit, engine, \
xla, random_state, verbose
        These, and those above without a description, are as for `BoxRegressor`.

    Attributes
    ----------
    n_outputs_ : int
        Number of targets. All other attributes are those of `BoxRegressor`.

    Examples
    --------
    >>> from boxest import ImageRegressor, synthetic
    >>> X, y = synthetic.make(0, 300, seed=0, image_size=16)
    >>> area = (y[:, 2] - y[:, 0]) * (y[:, 3] - y[:, 1])
    >>> regressor = ImageRegressor(epochs=10, random_state=0).fit(X, area)
    >>> regressor.predict(X[:2]).shape
    (2,)
    >>> regressor.score(X, area) > 0.5
    True
    """

    _parameter_constraints: dict = {  # noqa: RUF012 -- scikit-learn's convention
        "network": [str, callable],
        "output_activation": [str],
        "loss": [str, object],
        "optimizer": [str, object],
        "learning_rate": [
            Interval(Real, 0, None, closed="neither"),
            StrOptions({"auto"}),
            callable,
        ],
        "image_shape": [tuple, list, None],
        "batch_size": [Interval(Integral, 1, None, closed="left")],
        "epochs": [Interval(Integral, 1, None, closed="left")],
        "stop_patience": [Interval(Integral, 1, None, closed="left"), None],
        "restore_best_weights": ["boolean"],
        "schedule": [StrOptions({"plateau", "cosine", "constant"})],
        "warmup_epochs": [Interval(Real, 0, None, closed="left")],
        "plateau_patience": [Interval(Integral, 1, None, closed="left"), None],
        "plateau_factor": [Interval(Real, 0, 1, closed="neither")],
        "plateau_min_delta": [Interval(Real, 0, None, closed="left")],
        "validation_fraction": [Interval(Real, 0, 1, closed="left")],
        "callbacks": [list, tuple, None],
        "checkpoint": [str, os.PathLike, Checkpoint, None],
        "warm_start": ["boolean"],
        "memory_limit": [Interval(Real, 0, None, closed="left")],
        "engine": [StrOptions(set(ENGINES))],
        "xla": ["boolean", StrOptions({"auto"})],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        *,
        network: "str | Callable[..., keras.Model]" = "auto",
        output_activation: str = "linear",
        loss: "str | keras.Loss" = "mean_squared_error",
        optimizer: "str | keras.Optimizer" = "adam",
        learning_rate: "float | str | keras.optimizers.schedules.LearningRateSchedule" = 0.01,
        image_shape: tuple[int, ...] | None = None,
        batch_size: int = 16,
        epochs: int = 30,
        stop_patience: int | None = None,
        restore_best_weights: bool = False,
        schedule: str = "plateau",
        warmup_epochs: float = 0,
        plateau_patience: int | None = 2,
        plateau_factor: float = 0.5,
        plateau_min_delta: float = 1e-4,
        validation_fraction: float = 0.1,
        callbacks: "Sequence[keras.callbacks.Callback] | None" = None,
        checkpoint: "str | os.PathLike | Checkpoint | None" = None,
        warm_start: bool = False,
        memory_limit: float = 2**29,
        engine: str = "compiled",
        xla: bool | str = "auto",
        random_state: "int | np.random.RandomState | None" = None,
        verbose: int = 0,
    ):
        self.network = network
        self.output_activation = output_activation
        self.loss = loss
        self.optimizer = optimizer
        self.learning_rate = learning_rate
        self.image_shape = image_shape
        self.batch_size = batch_size
        self.epochs = epochs
        self.stop_patience = stop_patience
        self.restore_best_weights = restore_best_weights
        self.schedule = schedule
        self.warmup_epochs = warmup_epochs
        self.plateau_patience = plateau_patience
        self.plateau_factor = plateau_factor
        self.plateau_min_delta = plateau_min_delta
        self.validation_fraction = validation_fraction
        self.callbacks = callbacks
        self.checkpoint = checkpoint
        self.warm_start = warm_start
        self.memory_limit = memory_limit
        self.engine = engine
        self.xla = xla
        self.random_state = random_state
        self.verbose = verbose
