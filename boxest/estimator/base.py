"""`ImageRegressor`: any numbers from an image; what `boxest.BoxRegressor` is built on."""

import os
from collections.abc import Callable, Sequence
from numbers import Integral, Real
from typing import TYPE_CHECKING, Self

import numpy as np
from sklearn.base import BaseEstimator, RegressorMixin, _fit_context
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted

from boxest.data.pixels import Reader
from boxest.estimator.trainable import Trainable
from boxest.training.callbacks import CallbackSupportMixin, SklearnCallbacks, with_callbacks
from boxest.training.checkpoint import Checkpoint
from boxest.training.loop import ENGINES
from boxest.training.record import Followed

if TYPE_CHECKING:
    import keras
    import numpy.typing as npt


class ImageRegressor(Trainable, CallbackSupportMixin, RegressorMixin, BaseEstimator):
    """Predict numbers from images, with a small convolutional network.

    It is `boxest.BoxRegressor` without the boxes: the targets may be any numbers. All that is said
    there about training, images, seeds and persistence holds here.

    Parameters
    ----------
    network : "auto" or callable, default="auto"
        "auto" is the network of the paper with as many outputs as there are targets, and for
        images below 8 px and tables its dense layers alone. Or a function as for `BoxRegressor`.
    output_activation : str, default="linear"
        Activation of the outputs, by its Keras name.
    loss : str or keras.Loss, default="mean_squared_error"
        A Keras loss. Targets are not scaled; see `sklearn.compose.TransformedTargetRegressor`.
    optimizer : str or keras.Optimizer, default="adam"
    learning_rate : float or "auto", default=0.01
    image_shape, batch_size, epochs, stop_patience, restore_best_weights, schedule, \
warmup_epochs, plateau_patience, plateau_factor, plateau_min_delta, validation_fraction, \
callbacks, checkpoint, warm_start, memory_limit, engine, xla, random_state, verbose
        As for `BoxRegressor`.

    Attributes
    ----------
    n_outputs_ : int
        Number of targets. All other attributes are those of `BoxRegressor`.

    Examples
    --------
    >>> from boxest import synthetic
    >>> from boxest.estimator.base import ImageRegressor
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

    @with_callbacks
    @_fit_context(prefer_skip_nested_validation=True)
    def fit(
        self,
        X: "npt.ArrayLike",
        y: "npt.ArrayLike | None" = None,
        sample_weight: "npt.ArrayLike | None" = None,
        *,
        validation_data: "tuple | list | None" = None,
        followed: "npt.ArrayLike | None" = None,
    ) -> Self:
        """Train the network.

        Parameters
        ----------
        X : array-like of shape (n, height, width), (n, height, width, channels) or (n, pixels)
            Images: bool, uint8 (grey levels 0..255), floats in 0..1, or other numbers whose white
            is found by the rule of `boxest.data.pixels` and kept as ``pixels_``; numbers with
            negative ones among them, such as standardised images, are taken as they are. Flat rows
            become images of ``image_shape``; where that is None, square ones if the number of
            pixels is a square, otherwise images of one row. A data set of h5py is read block by
            block, and twice where its type does not say which number is white; paths of shards
            (`boxest.shards`) stand for images and boxes, and are read one by one.
        y : array-like of shape (n, targets) or (n,)
            Targets. `BoxRegressor` takes boxes: corners ``(x1, y1, x2, y2)``, upper left and lower
            right, divided by the image width and height, so in 0..1; of a table whose columns have
            such names (also xmin, left, ...), in any order. None where X is shards.
        sample_weight : array-like of shape (n,), optional
            Weights of the examples in the losses: 2 counts as the example twice, 0 as its absence.
        validation_data : (X, y), (X, y, sample_weight) or paths of shards, optional
            Examples that are not trained on, evaluated after each epoch.
        followed : array-like of some images, optional
            What the network predicts for them after each epoch is kept as ``followed_``.

        Returns
        -------
        self : object
            The estimator itself.

        Raises
        ------
        ValueError
            If images or targets are not as described, or a parameter has no such value. What was
            fitted before stays.

        Warns
        -----
        UserWarning
            If it is doubtful what the numbers in the images, or the columns of the boxes, mean.
        """
        goes_on = self.warm_start and self._has_been_trained()
        watchers = []
        if hasattr(self, "_init_callback_context"):
            context = self._init_callback_context(max_subtasks=self.epochs)
            data = {"X": X, "y": y, "metadata": {"sample_weight": sample_weight}}
            watchers.append(SklearnCallbacks(self, context, data, self._fitted))
        if followed is not None:
            watchers.append(Followed(self.predict, followed))
        with self._form_restored_on_error(), self._checkpoint() as checkpoint:
            return self._train(
                self._given(X, y, sample_weight, reset=not goes_on),
                self._validation(validation_data),
                fraction=self.validation_fraction,
                epochs=self.epochs,
                goes_on=goes_on,
                keep_trainer=self.warm_start,
                watchers=watchers,
                checkpoint=checkpoint,
            )

    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(
        self,
        X: "npt.ArrayLike",
        y: "npt.ArrayLike | None" = None,
        sample_weight: "npt.ArrayLike | None" = None,
        *,
        validation_data: "tuple | list | None" = None,
    ) -> Self:
        """Train once on each of these examples, going on from where the estimator is.

        Optimizer, learning rate, number of epochs and order of examples go on. Nothing is held
        out: ``validation_fraction`` and ``epochs`` do not count here. Nor do ``schedule``,
        ``warmup_epochs``, ``stop_patience`` and ``restore_best_weights``, for these examples may be
        a piece of all: the rate stays as it is, unless a Keras schedule gives the rate of each
        update. Another one can be set with ``set_params(learning_rate=...)``.

        Parameters
        ----------
        X, y, sample_weight, validation_data
            As for `fit`.

        Returns
        -------
        self : object
            The estimator itself.

        Raises
        ------
        ValueError
            As for `fit`; and if the optimizer has ``use_ema``, whose averages are taken at the end
            of a `fit`.
        """
        goes_on = self._has_been_trained()
        with self._form_restored_on_error():
            return self._train(
                self._given(X, y, sample_weight, reset=not goes_on),
                self._validation(validation_data),
                fraction=0,
                epochs=1,
                goes_on=goes_on,
                keep_trainer=True,
                piece=True,
            )

    def predict(self, X: "npt.ArrayLike") -> np.ndarray:
        """Predict the targets of each image.

        Parameters
        ----------
        X : array-like of shape (n, height, width), (n, height, width, channels) or (n, pixels)
            Images of the shape that was fitted, in any form that `fit` takes. Numbers of the type
            that was fitted are read as in `fit`, others so that white is white.

        Returns
        -------
        ndarray of float64, shape (n, targets), or (n,) as the targets of `fit`
            Of `BoxRegressor`: boxes ``(x1, y1, x2, y2)``, divided by image width and height.
            Nothing keeps a network from predicting corners outside 0..1, or a flipped box.

        Raises
        ------
        ValueError
            If the images have another shape, or values that cannot be what was fitted.

        Warns
        -----
        UserWarning
            If the values are unlike those that were fitted.
        """
        check_is_fitted(self)
        blocks = Reader(self._images(X, reset=False), self.pixels_).blocks()
        predictor = self._prediction()
        features = np.concatenate([predictor.features(block) for block in blocks])
        predicted = predictor(features).astype(np.float64)
        return predicted[:, 0] if self._flat_targets else predicted
