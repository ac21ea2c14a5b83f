"""The base of the estimators: from `fit` to the training loop, in the order in which it runs.

`BaseImageRegressor.fit` checks images and targets (in `examples.py`), builds the network, its
compiled programs and the schedule of the learning rate (in `building.py`), reads the examples, and
passes everything to `boxest.training.loop.Trainer.run`.
"""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from numbers import Integral
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from sklearn.base import BaseEstimator, RegressorMixin, _fit_context
from sklearn.exceptions import NotFittedError
from sklearn.utils import check_array, check_random_state
from sklearn.utils.validation import check_is_fitted

from boxest.data.augmentation import Augmentation
from boxest.data.pixels import Reader
from boxest.estimator import building, examples, outcome
from boxest.estimator.pickling import PicklingMixin
from boxest.system import backend
from boxest.training import fingerprint, search
from boxest.training.callbacks import (
    CallbackSupportMixin,
    SklearnCallbacks,
    with_callbacks,
)
from boxest.training.checkpoint import Checkpoint, opened
from boxest.training.loop import Trainer
from boxest.training.predictor import Predictor
from boxest.training.record import Examples, Followed, Settings, Watcher
from boxest.training.schedule import Schedule

if TYPE_CHECKING:
    import keras
    import numpy.typing as npt

    from boxest.training.trials import Trials


class BaseImageRegressor(PicklingMixin, CallbackSupportMixin, RegressorMixin, BaseEstimator):
    """Fit, predict and save; subclasses define the constructor."""

    # For which variables the optimizer was built; None, after loading: for all trainable ones.
    _optimized: list[bool] | None = None
    # Parameters that the network keeps; empty for an estimator that an older version has pickled.
    _kept: Mapping[str, Any] = MappingProxyType({})

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
            is found by the rule of `boxest.data.pixels` and kept as ``pixels_``. Arrays with
            negative numbers, such as standardised images, are used unchanged. Flat rows become
            images of ``image_shape``; if that is None, they become square images if the number of
            pixels is a square, otherwise images of one row. A data set of h5py is read block by
            block, and twice if its type does not say which number is white. Paths of shards
            (`boxest.shards`) give images and boxes, and are read one by one.
        y : array-like of shape (n, targets) or (n,)
            Targets. `BoxRegressor` takes boxes: corners ``(x1, y1, x2, y2)``, upper left and lower
            right, divided by the image width and height, so in 0..1. In a table whose columns have
            such names (also xmin, left, ...), the order does not matter. None if X is shards.
        sample_weight : array-like of shape (n,), optional
            Weights of the examples in the losses: 2 counts like having the example twice, 0 like
            leaving it out.
        validation_data : (X, y), (X, y, sample_weight) or paths of shards, optional
            Examples to evaluate after each epoch, which are not used for training.
        followed : array-like of some images, optional
            The predictions of the network for these images after each epoch are kept as
            ``followed_``.

        Returns
        -------
        self : object
            The estimator itself.

        Raises
        ------
        ValueError
            If images, targets or a parameter are invalid. A previous fit stays intact.

        Warns
        -----
        UserWarning
            If the meaning of the numbers in the images, or of the columns of the boxes, is
            doubtful.
        sklearn.exceptions.ConvergenceWarning
            If the training diverged.
        """
        goes_on = self.warm_start and building.can_go_on(self)
        watchers = []
        if hasattr(self, "_init_callback_context"):
            context = self._init_callback_context(max_subtasks=self.epochs)
            data = {"X": X, "y": y, "metadata": {"sample_weight": sample_weight}}
            watchers.append(SklearnCallbacks(self, context, data, self._fitted))
        with examples.form_restored_on_error(self), self._checkpoint() as checkpoint:
            return self._fit(
                examples.validate_data(self, X, y, sample_weight, reset=not goes_on),
                examples.validate_validation_data(self, validation_data),
                goes_on=goes_on,
                watchers=watchers,
                checkpoint=checkpoint,
                followed=followed,
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
        """Train for one epoch on these examples, starting from the current state of the estimator.

        Optimizer, learning rate, number of epochs and order of examples continue. Nothing is held
        out: ``validation_fraction`` and ``epochs`` have no effect here, nor has ``checkpoint``.
        Neither have ``schedule``, ``warmup_epochs``, ``stop_patience`` and
        ``restore_best_weights``, because these examples may be only a part of all. The rate is
        ``learning_rate``, or what a plateau or a callback of earlier trainings has made of it; a
        Keras schedule gives the rate of each update.

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
            As for `fit`; also if the optimizer has ``use_ema``, because its averages are taken at
            the end of a `fit`.
        """
        goes_on = building.can_go_on(self)
        with examples.form_restored_on_error(self):
            return self._fit(
                examples.validate_data(self, X, y, sample_weight, reset=not goes_on),
                examples.validate_validation_data(self, validation_data),
                goes_on=goes_on,
                piece=True,
            )

    def _check_targets(self, y: Any) -> np.ndarray:
        """Return targets as float64 of shape (n, targets) or (n,)."""
        return check_array(y, ensure_2d=False, dtype="numeric", input_name="y").astype(np.float64)

    def _fit(
        self,
        data: examples.Unread,
        validation: examples.Unread | None,
        *,
        goes_on: bool,
        piece: bool = False,
        watchers: Sequence[Watcher] = (),
        checkpoint: Checkpoint | None = None,
        followed: Any = None,
    ) -> Self:
        """Train a new or the existing network, and set the fitted attributes.

        A ``piece`` is a part of the examples, not an epoch: nothing is held out, and the learning
        rate stays the same, unless it follows a Keras schedule.
        """
        import_seconds = backend.import_seconds()
        history = self.history_ if goes_on else []
        trainer, schedule, seed = self._initialize(goes_on, piece)
        fraction = 0 if piece else self.validation_fraction
        train, held_out = examples.read_examples(self, data, validation, trainer, fraction, seed)
        building.forget_other_losses(schedule, history, held_out)
        settings = Settings(
            self.batch_size,
            1 if piece else self.epochs,
            seed,
            epochs_before=len(history),
            updates_before=history[-1]["updates"] if history else 0,
            restore_best=self.restore_best_weights and not piece,
        )
        follows = None if followed is None else self._following(followed, trainer.predictor)
        watchers = [*watchers, *([follows] if follows else [])]
        watchers += building.watchers(self, trainer, schedule, settings, len(train.targets))

        # From here on the estimator changes; after an earlier error, it keeps the previous network.
        self._set_network(trainer, schedule, seed)
        finds = self.learning_rate == "auto" and not goes_on
        with ExitStack() as stack:
            if goes_on:
                stack.enter_context(trainer.undone_if_interrupted(schedule))
            with trainer.rate_from(schedule, schedule.learning_rate):
                watchers = [stack.enter_context(watcher) for watcher in watchers]
            training = trainer.run(
                train,
                held_out,
                schedule=schedule,
                settings=settings,
                watchers=watchers,
                checkpoint=checkpoint,
                fingerprint=checkpoint and self._fingerprint(train, held_out, settings, schedule),
                find_rate=search.find if finds else None,
            )
        if finds:
            self._first_rate = training.learning_rate
        outcome.record(self, training, history, import_seconds, follows)
        # Programs and examples take memory, so they are kept only if training may continue.
        keep_trainer = piece or self.warm_start
        self._trainer = (trainer, building.compiled_with(self)) if keep_trainer else None
        if not keep_trainer:
            trainer.close()
        return self

    def _initialize(self, goes_on: bool, piece: bool = False, share: bool = True) -> building.Begun:
        """Return a network with its programs, schedule and seed, either new or to continue.

        A new one may ``share`` programs with other trainings of its kind.
        """
        backend.refuse_fork()
        found = self._first_rate if goes_on else building.UNKNOWN
        schedule = building.new_schedule(self, found, piece)
        if goes_on:
            building.go_on(self, schedule)
            trainer, seed = building.trainer_to_go_on(self), self.seed_
            building.warn_if_changed(self)
        else:
            seed = self._new_seed()
            model = building.new_model(self, seed, schedule.learning_rate)
            trainer = building.new_trainer(self, model, building.kind(self) if share else None)
        if piece and trainer.optimizer.use_ema:
            raise ValueError(
                f"The optimizer {trainer.optimizer.name!r} has use_ema=True: `fit` ends with the "
                "average of the weights over the updates, taken after the last epoch, but "
                "partial_fit has no last epoch. Use `fit`, or an optimizer without use_ema."
            )
        return trainer, schedule, seed

    def _new_seed(self) -> int:
        """Return the seed of a new training; an int is used unchanged."""
        if isinstance(self.random_state, Integral):
            return int(self.random_state)
        return int(check_random_state(self.random_state).randint(2**31 - 1))

    def _set_network(self, trainer: Trainer, schedule: Schedule, seed: int) -> None:
        """Store a network, and everything needed to continue its training, in the estimator."""
        if getattr(self, "model_", None) is not trainer.model:
            outcome.forget(self)  # It is that of another network.
            self._kept = building.kept(self)
        self.model_, self._predictor = trainer.model, trainer.predictor
        self._optimized = building.trainable(trainer.model)
        first_rate = building.first_rate(
            self, getattr(self, "_first_rate", building.UNKNOWN), schedule.function
        )
        self.seed_, self._schedule, self._first_rate = seed, schedule, first_rate

    def _checkpoint(self) -> AbstractContextManager[Checkpoint | None]:
        """Return the checkpoint of a fit, for use in a ``with`` block."""
        if self.checkpoint is not None and not isinstance(self.random_state, Integral):
            raise ValueError(
                f"checkpoint={self.checkpoint!r} needs an int as random_state, got "
                f"{self.random_state!r}: a training that draws another seed each time cannot be "
                "resumed."
            )
        return opened(self.checkpoint)

    def _fingerprint(
        self, train: Examples, held_out: Examples | None, settings: Settings, schedule: Schedule
    ) -> dict[str, Any]:
        """Return everything that determines the result of the training that is about to begin."""
        about = fingerprint.of_plan(settings, schedule) | fingerprint.of_data(train, held_out)
        return self._own_fingerprint() | about | fingerprint.of_runtime()

    def _own_fingerprint(self) -> dict[str, Any]:
        """Return the part of the fingerprint that depends on neither data nor machine."""
        parameters = self.get_params(deep=False) | {"random_state": self.seed_}
        return fingerprint.of_parameters(parameters) | {
            "layers and first weights": fingerprint.of_network(self.model_, self.model_.optimizer)
        }

    def _search_learning_rate(
        self, data: tuple, validation_data: Any, find_rate: "Callable[[Trials], float]"
    ) -> None:
        """Find a rate for the training that `fit` would start, without starting it."""
        unread = examples.validate_data(self, *data, reset=True)
        validation = examples.validate_validation_data(self, validation_data)
        trainer, schedule, seed = self._initialize(goes_on=False)
        fraction = self.validation_fraction
        train, held_out = examples.read_examples(self, unread, validation, trainer, fraction, seed)
        trainer.run(
            train,
            held_out,
            schedule=schedule,
            settings=Settings(self.batch_size, epochs=0, seed=seed),
            find_rate=find_rate,
        )
        trainer.close()

    def predict(self, X: "npt.ArrayLike") -> np.ndarray:
        """Predict the targets of each image.

        Parameters
        ----------
        X : array-like of shape (n, height, width), (n, height, width, channels) or (n, pixels)
            Images of the fitted shape, in any form that `fit` takes. Numbers of the fitted type are
            read as in `fit`; other types are scaled so that white stays white.

        Returns
        -------
        ndarray of float64, shape (n, targets), or (n,) as the targets of `fit`
            For `BoxRegressor`, boxes ``(x1, y1, x2, y2)``, divided by image width and height. A
            network may predict corners outside 0..1, or a flipped box.

        Raises
        ------
        ValueError
            If the images have another shape, or values that cannot match those of `fit`.

        Warns
        -----
        UserWarning
            If the values look unlike those of `fit`.
        """
        check_is_fitted(self)
        return self._as_targets(self._prediction().of_blocks(self._blocks(X)))

    def _blocks(self, X: Any) -> Iterator[np.ndarray]:
        """Check images, and read them block by block, in the form of the training."""
        return Reader(examples.validate_images(self, X, reset=False), self.pixels_).blocks()

    def _as_targets(self, outputs: np.ndarray) -> np.ndarray:
        """Return outputs of the network in the form of the targets."""
        predicted = outputs.astype(np.float64)
        return predicted[:, 0] if self._flat_targets else predicted

    def _following(self, images: Any, predictor: Predictor) -> Followed:
        """Check and read the images to follow, before the training begins."""
        features = np.concatenate(list(map(predictor.features, self._blocks(images))))
        digest = fingerprint.of_examples(Examples(features, np.empty(0), np.empty(0)))
        return Followed(lambda: self._as_targets(predictor(features)), digest)

    def _prediction(self) -> Predictor:
        """Return the compiled prediction, which reads the weights of ``model_`` at each call."""
        backend.refuse_fork()
        if getattr(self, "_predictor", None) is None:
            backend.start()
            self._predictor = Predictor(self.model_, xla=self.xla)
        return self._predictor

    def save(self, path: str | os.PathLike) -> None:
        """Write the fitted estimator to one file; see `boxest.estimator.saving.save`."""
        from boxest.estimator import saving

        check_is_fitted(self)
        if not self._has_been_trained():
            raise NotFittedError(
                f"The last fit of this {type(self).__name__} was interrupted, so there is no "
                "finished training to save: call fit again, or pickle it to keep its weights."
            )
        saving.save(self, path)

    @classmethod
    def load(cls, path: str | os.PathLike) -> Self:
        """Load a file that `save` wrote, even a stranger's; see `boxest.estimator.saving.load`."""
        from boxest.estimator import saving

        return saving.load(cls, path)

    def export(self, path: str | os.PathLike, *, format: str | None = None) -> None:
        """Write the network for other programs: ONNX or SavedModel; see `estimator.export`."""
        from boxest.estimator.export import export

        export(self, path, format=format)

    @property
    def learning_rate_(self) -> float:
        """The learning rate at the start of the training, given or found."""
        if not self._has_been_trained():
            raise AttributeError(
                f"This {type(self).__name__} is not fitted, so it has no learning rate."
            )
        return float(self._first_rate)

    def _measures(self) -> dict[str, Any]:
        """Return further measures for the history: functions of targets and outputs."""
        return {}

    def _augmentation(self) -> Augmentation | None:
        """Return how the examples are changed in each epoch."""
        return None

    def _metrics(self) -> "list[keras.Metric]":
        """Return the metrics of the compiled `model_`, for users who evaluate it with Keras."""
        return []

    def _fitted(self) -> dict[str, Any]:
        """Return the attributes that a copy of the estimator needs to predict during training.

        The copy shares the network, so its predictions follow the training.
        """
        return {"model_": self.model_, "_predictor": self._predictor}

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "model_")

    def _has_been_trained(self) -> bool:
        """Whether there is a finished training."""
        return hasattr(self, "history_")

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.target_tags.multi_output = True
        return tags
