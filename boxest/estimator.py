"""`BoxRegressor`: the network as a scikit-learn estimator."""

from collections.abc import Callable
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import BaseEstimator, RegressorMixin, _fit_context
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import _check_sample_weight, check_consistent_length, check_is_fitted

from boxest import boxes, runtime
from boxest.images import check_grey_levels, check_images

if TYPE_CHECKING:
    import os

    import keras
    import numpy.typing as npt

    from boxest.training import Training
    from boxest.training.loop import Examples


class BoxRegressor(RegressorMixin, BaseEstimator):
    """Find the one box in an image, with a small convolutional network.

    Trains the network of the paper, or another, by gradient descent on one minus a measure of how
    well two boxes agree. The defaults are the paper's best parametrization (§5.1).

    Parameters
    ----------
    network : str or callable, default="paper"
        The architecture: a key of `boxest.networks.NETWORKS`, or a function with the arguments of
        `boxest.networks.paper` that returns a Keras model.
    output_activation : str, default="linear"
        Activation of the four outputs, by its Keras name. The paper does not give it.
    loss : str or keras.Loss, default="inclusive_iou"
        "inclusive_iou" (the paper's), "iou", "giou", "diou", "ciou": one minus that measure of
        `boxest.boxes`; or a Keras loss, for example "mean_absolute_error".
    optimizer : str or keras.Optimizer, default="sgd"
        A Keras optimizer, by name or as an object, of which a copy is used.
    learning_rate : float, default=0.1
        Learning rate of the first epoch. It replaces that of an optimizer given as an object.
    batch_size : int, default=16
        Examples per update.
    epochs : int, default=30
        Passes over the training examples, at most.
    stop_patience : int or None, default=None
        Stop when the validation loss has had no new minimum for this many epochs. None: never.
    plateau_patience : int or None, default=2
        Multiply the learning rate by ``plateau_factor`` whenever the validation loss has not
        improved for this many epochs. None: keep the rate.
    plateau_factor : float, default=0.5
        Factor in (0, 1).
    plateau_min_delta : float, default=1e-4
        Smallest fall of the loss that counts as an improvement for the plateau.
    validation_fraction : float, default=0.1
        Share of the examples that is held out, drawn at random, where `fit` is given no
        ``validation_data``. 0: none; the training loss takes the place of the validation loss.
    xla : bool or "auto", default="auto"
        Compile with XLA. "auto" does.
    random_state : int, RandomState or None, default=None
        Seed of the initial weights, of the order of examples and of the held-out share. An int
        gives the same network each time, bit for bit on a CPU.
    verbose : int, default=0
        1: print a line per epoch.

    Attributes
    ----------
    model_ : keras.Model
        The trained network.
    history_ : list of dict
        One row per epoch, as described in `boxest.training.train`: the loss and one minus both
        IoUs, on the training and the validation examples, learning rate, updates and seconds.
    n_iter_ : int
        Number of epochs that were run.
    diverged_ : bool
        Whether training ended because the loss was NaN or infinite.
    stopped_early_ : bool
        Whether early stopping ended the training.
    seconds_ : dict of float
        What the time of `fit` went into: "import", "data", "compile", "train", "evaluation".
    runtime_ : dict
        Backend, versions, device, threads and XLA that trained the network.
    image_shape_ : tuple of int
        Height, width and channels of the images, in pixels.

    See Also
    --------
    boxest.boxes : The measures of agreement.
    boxest.synthetic : The paper's images.

    References
    ----------
    A. Chassagne, "Investigate the influence of batch size and learning rate on a simple deep
    learning model": §2.2 for network and loss, §5.1 for the defaults.

    Examples
    --------
    >>> from boxest import BoxRegressor, synthetic
    >>> X, y = synthetic.make(0, 500, seed=0, image_size=32)
    >>> regressor = BoxRegressor(epochs=5, random_state=0).fit(X, y)
    >>> regressor.predict(X[:2]).shape
    (2, 4)
    >>> 0 < regressor.score(X, y) < 1
    True
    """

    _parameter_constraints: dict = {  # noqa: RUF012 -- scikit-learn's convention
        "network": [str, callable],
        "output_activation": [str],
        "loss": [str, object],
        "optimizer": [str, object],
        "learning_rate": [Interval(Real, 0, None, closed="neither")],
        "batch_size": [Interval(Integral, 1, None, closed="left")],
        "epochs": [Interval(Integral, 1, None, closed="left")],
        "stop_patience": [Interval(Integral, 1, None, closed="left"), None],
        "plateau_patience": [Interval(Integral, 1, None, closed="left"), None],
        "plateau_factor": [Interval(Real, 0, 1, closed="neither")],
        "plateau_min_delta": [Interval(Real, 0, None, closed="left")],
        "validation_fraction": [Interval(Real, 0, 1, closed="left")],
        "xla": ["boolean", StrOptions({"auto"})],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        *,
        network: "str | Callable[..., keras.Model]" = "paper",
        output_activation: str = "linear",
        loss: "str | keras.Loss" = "inclusive_iou",
        optimizer: "str | keras.Optimizer" = "sgd",
        learning_rate: float = 0.1,
        batch_size: int = 16,
        epochs: int = 30,
        stop_patience: int | None = None,
        plateau_patience: int | None = 2,
        plateau_factor: float = 0.5,
        plateau_min_delta: float = 1e-4,
        validation_fraction: float = 0.1,
        xla: bool | str = "auto",
        random_state: "int | np.random.RandomState | None" = None,
        verbose: int = 0,
    ):
        self.network = network
        self.output_activation = output_activation
        self.loss = loss
        self.optimizer = optimizer
        self.learning_rate = learning_rate
        self.batch_size = batch_size
        self.epochs = epochs
        self.stop_patience = stop_patience
        self.plateau_patience = plateau_patience
        self.plateau_factor = plateau_factor
        self.plateau_min_delta = plateau_min_delta
        self.validation_fraction = validation_fraction
        self.xla = xla
        self.random_state = random_state
        self.verbose = verbose

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(
        self,
        X: "npt.ArrayLike",
        y: "npt.ArrayLike",
        sample_weight: "npt.ArrayLike | None" = None,
        *,
        validation_data: "tuple[npt.ArrayLike, npt.ArrayLike] | None" = None,
    ) -> "BoxRegressor":
        """Train the network.

        Parameters
        ----------
        X : array-like of shape (n, height, width) or (n, height, width, channels)
            Images: bool, uint8 (grey levels 0..255, read as 0..1) or float (taken as they are).
        y : array-like of shape (n, 4)
            Boxes ``(x1, y1, x2, y2)``: upper left and lower right corner, divided by the image
            width and height, so in 0..1.
        sample_weight : array-like of shape (n,), optional
            Weights of the examples in the loss.
        validation_data : tuple of (X, y), optional
            Examples that are not trained on, evaluated after each epoch.

        Returns
        -------
        BoxRegressor
            The estimator itself.

        Raises
        ------
        ValueError
            If images or boxes are not as described, or a parameter has no such value.
        """
        examples = self._check_examples(X, y, sample_weight)
        check_grey_levels(examples.images)
        self.image_shape_ = examples.images.shape[1:]
        seed = self._seed()
        examples, validation = self._hold_out(examples, validation_data, seed)
        import_seconds = runtime.start_backend()
        training = self._train(examples, validation, seed)
        self.history_ = training.history
        self.n_iter_ = len(training.history)
        self.diverged_ = training.diverged
        self.stopped_early_ = training.stopped_early
        self.seconds_ = {"import": import_seconds, **training.seconds}
        return self

    def predict(self, X: "npt.ArrayLike") -> np.ndarray:
        """Predict the box in each image.

        Parameters
        ----------
        X : array-like of shape (n, height, width) or (n, height, width, channels)
            Images of the shape that was fitted.

        Returns
        -------
        ndarray of float64, shape (n, 4)
            Boxes ``(x1, y1, x2, y2)``, divided by the image width and height. Nothing keeps a
            network from predicting corners outside 0..1, or a flipped box.
        """
        check_is_fitted(self)
        images = check_images(X, image_shape=self.image_shape_)
        return self._predictor()(self._predictor().features(images)).astype(np.float64)

    def score(
        self,
        X: "npt.ArrayLike",
        y: "npt.ArrayLike",
        sample_weight: "npt.ArrayLike | None" = None,
    ) -> float:
        """Return the mean geometric IoU of the predicted boxes: 1 is best, 0 is worst.

        This is the area shared by two boxes divided by the area that they cover together, and not
        the inclusive IoU that the paper trains on and reports.

        Parameters
        ----------
        X : array-like of shape (n, height, width) or (n, height, width, channels)
            Images.
        y : array-like of shape (n, 4)
            True boxes.
        sample_weight : array-like of shape (n,), optional
            Weights of the images in the mean.

        Returns
        -------
        float
        """
        y = boxes.check_boxes(y)
        predicted = self.predict(X)
        check_consistent_length(y, predicted)
        return float(np.average(boxes.iou(y, predicted), weights=sample_weight))

    def save(self, path: "str | os.PathLike") -> None:
        """Write the fitted regressor to one file; see `boxest.persistence.save`."""
        from boxest import persistence

        check_is_fitted(self)
        persistence.save(self, path)

    @classmethod
    def load(cls, path: "str | os.PathLike") -> "BoxRegressor":
        """Read what `save` wrote, from a stranger too; see `boxest.persistence.load`."""
        from boxest import persistence

        return persistence.load(cls, path)

    def _check_examples(self, X, y, sample_weight=None, image_shape=None) -> "Examples":
        from boxest.training.loop import Examples

        images = check_images(X, image_shape=image_shape)
        targets = boxes.check_boxes(y)
        check_consistent_length(images, targets)
        weights = _check_sample_weight(sample_weight, images, ensure_non_negative=True)
        return Examples(images, targets, weights)

    def _seed(self) -> int:
        """Return the seed of this run: an int is taken as it is."""
        if isinstance(self.random_state, Integral):
            return int(self.random_state)
        return int(check_random_state(self.random_state).randint(2**31 - 1))

    def _hold_out(self, examples: "Examples", validation_data, seed: int):
        """Return training and validation examples."""
        if validation_data is not None:
            return examples, self._check_examples(*validation_data, image_shape=self.image_shape_)
        n = len(examples.images)
        n_held_out = round(self.validation_fraction * n)
        if n_held_out == 0:
            return examples, None
        if n_held_out == n:
            raise ValueError(
                f"validation_fraction={self.validation_fraction} of {n} examples leaves none to "
                "train on. Give more examples or a smaller fraction."
            )
        order = np.random.default_rng([seed, 0]).permutation(n)
        rows = np.sort(order[n_held_out:]), np.sort(order[:n_held_out])
        return tuple(type(examples)(*(values[r] for values in examples)) for r in rows)

    def _train(self, examples, validation, seed: int) -> "Training":
        from boxest import losses, networks
        from boxest.training import Schedule, train

        loss = losses.get(self.loss)
        self.model_ = networks.build(
            self.network, self.image_shape_, output_activation=self.output_activation, seed=seed
        )
        optimizer = self._optimizer()
        metrics = [losses.BoxMetric(measure) for measure in ("iou", "inclusive_iou")]
        self.model_.compile(optimizer, loss, metrics=metrics, jit_compile=False)
        xla = self.xla == "auto" or self.xla
        self.runtime_ = {**runtime.describe(), "xla": bool(xla)}
        self._cached_predictor = None
        return train(
            self.model_,
            examples,
            validation,
            loss=loss,
            optimizer=optimizer,
            schedule=Schedule(
                self.learning_rate,
                self.stop_patience,
                self.plateau_patience,
                self.plateau_factor,
                self.plateau_min_delta,
            ),
            batch_size=self.batch_size,
            epochs=self.epochs,
            seed=seed,
            measures={f"{m}_loss": losses.BoxLoss(m).call for m in ("iou", "inclusive_iou")},
            xla=xla,
            report=_print_row if self.verbose else None,
        )

    def _optimizer(self) -> "keras.Optimizer":
        """Return an optimizer of this estimator's own, built for the network."""
        from keras import optimizers

        try:
            given = optimizers.get(self.optimizer)
        except ValueError:
            raise ValueError(
                f"Unknown optimizer {self.optimizer!r}. Give the name of a Keras optimizer, for "
                "example 'sgd' or 'adam', or an optimizer object."
            ) from None
        optimizer = type(given).from_config(
            given.get_config() | {"learning_rate": self.learning_rate}
        )
        optimizer.build(self.model_.trainable_variables)
        return optimizer

    def _predictor(self):
        """Return the compiled prediction; it reads the weights of ``model_`` at each call."""
        if getattr(self, "_cached_predictor", None) is None:
            from boxest.training.program import Predictor

            runtime.start_backend()
            self._cached_predictor = Predictor(self.model_, xla=self.xla == "auto" or self.xla)
        return self._cached_predictor

    def __getstate__(self) -> dict[str, Any]:
        """Leave out the compiled prediction, which is made again when it is needed."""
        state = super().__getstate__()
        return {name: value for name, value in state.items() if name != "_cached_predictor"}

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.input_tags.three_d_array = True
        tags.target_tags.single_output = False
        tags.target_tags.multi_output = True
        tags.regressor_tags.poor_score = True
        return tags


def _print_row(row: dict[str, float]) -> None:
    """Print a line about an epoch."""
    parts = [f"epoch {row['epoch']:3d}", f"learning rate {row['learning_rate_now']:.3g}"]
    parts += [
        f"{part} loss {row[f'{part}_loss']:.4f} (1 - IoU {row[f'{part}_iou_loss']:.4f})"
        for part in ("train", "validation")
        if f"{part}_loss" in row
    ]
    parts.append(f"{row['train_seconds']:.2f} s")
    print("  ".join(parts), flush=True)
