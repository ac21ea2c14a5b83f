"""What `fit` and `predict` of the estimators are made of."""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from numbers import Integral
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from sklearn.utils import check_array, check_random_state
from sklearn.utils.validation import validate_data

from boxest import networks
from boxest.data import inputs
from boxest.data.augmentation import Augmentation
from boxest.estimator import building, examples, rates
from boxest.estimator.storable import Storable
from boxest.system import runtime
from boxest.training import Schedule, fingerprint
from boxest.training.callbacks import KerasCallbacks
from boxest.training.checkpoint import Checkpoint, opened
from boxest.training.clock import Clock
from boxest.training.loop import Trainer
from boxest.training.program import Predictor
from boxest.training.progress import reporter
from boxest.training.record import Examples, Followed, Settings, Watcher
from boxest.training.schedule import RateFunction

if TYPE_CHECKING:
    import keras

    from boxest.training import Training
    from boxest.training.trials import Trials

# Stands for a learning rate that is still to be found.
UNKNOWN = 1.0
# What an estimator keeps of the form of the data.
FORM = (
    "image_shape_",
    "image_mode_",
    "n_features_in_",
    "feature_names_in_",
    "pixels_",
    "n_outputs_",
    "_flat_targets",
)
# Parameters that leave the result as it is, or, as callbacks, have effects that cannot be told.
_WITHOUT_EFFECT = ("callbacks", "checkpoint", "memory_limit", "verbose", "warm_start")


class Trainable(Storable):
    """Training and prediction, for estimators with the parameters of `ImageRegressor`."""

    # Which variables the optimizer was built for; None, from a file: those that the network trains.
    _optimized: list[bool] | None = None

    def _check_targets(self, y: Any) -> np.ndarray:
        """Return targets as float64 of shape (n, targets) or (n,)."""
        return check_array(y, ensure_2d=False, dtype="numeric", input_name="y").astype(np.float64)

    def _measures(self) -> dict[str, Any]:
        """Return what the history has beside the loss: functions of targets and outputs."""
        return {}

    def _augmentation(self) -> Augmentation | None:
        """Return how the examples are changed in each epoch."""
        return None

    def _metrics(self) -> "list[keras.Metric]":
        """Return the metrics that `model_` is compiled with, for those who evaluate it by Keras."""
        return []

    def _images(self, X: Any, *, reset: bool) -> inputs.Images | inputs.ShardImages:
        """Take images; ``reset`` has their shape and the names of features remembered."""
        if not (inputs.are_paths(X) or inputs.is_lazy(X)):
            array = inputs.as_array(X)
            # Columns have names and a fixed number where X is a table.
            validate_data(self, X, reset=reset, skip_check_array=True, ensure_2d=array.ndim == 2)
            X = array
        shape = self.image_shape if reset else self.image_shape_
        if shape is not None and len(shape) == 2:
            shape = (*shape, 1)
        opened = inputs.open_images(X, image_shape=shape)
        if reset:
            self.image_shape_, self.pixels_ = opened.shape[1:], None
            self.n_features_in_ = math.prod(self.image_shape_)
            self.image_mode_ = getattr(opened, "mode", None)
        return opened

    def _given(self, X: Any, y: Any, sample_weight: Any, *, reset: bool) -> examples.Given:
        """Take training examples."""
        given = examples.take(self._images(X, reset=reset), y, sample_weight, self._check_targets)
        shape = (len(given.images), 4) if given.targets is None else given.targets.shape
        n_outputs = shape[1] if len(shape) == 2 else 1
        if reset:
            self.n_outputs_, self._flat_targets = n_outputs, len(shape) == 1
        elif n_outputs != self.n_outputs_:
            raise ValueError(
                f"y has {n_outputs} columns, but {type(self).__name__} was fitted with "
                f"{self.n_outputs_}."
            )
        return given

    def _validation(self, validation_data: Any) -> examples.Given | None:
        """Take validation examples, which are like the training examples."""
        if validation_data is None:
            return None
        return self._given(*examples.split_validation_data(validation_data), reset=False)

    @contextmanager
    def _form_restored_on_error(self) -> Iterator[None]:
        """Keep what is known of the form of the data where a fit fails before it trains."""
        model = getattr(self, "model_", None)
        before = {name: vars(self)[name] for name in FORM if name in vars(self)}
        try:
            yield
        except BaseException:
            if getattr(self, "model_", None) is model:
                for name in FORM:
                    vars(self).pop(name, None)
                vars(self).update(before)
            raise

    def _train(
        self,
        given: examples.Given,
        validation: examples.Given | None,
        *,
        fraction: float,
        epochs: int,
        goes_on: bool,
        keep_trainer: bool,
        piece: bool = False,
        watchers: Sequence[Watcher] = (),
        checkpoint: Checkpoint | None = None,
    ) -> Self:
        """Train a new network, or the one that is there, and set the fitted attributes.

        A ``piece`` is not an epoch: the learning rate stays, unless it follows a Keras schedule.
        """
        runtime.refuse_fork()
        import_seconds = runtime.start_backend()
        history = self.history_ if goes_on else []
        trainer, schedule, seed = self._begin(goes_on, piece)
        train, held_out = self._examples(given, validation, trainer, fraction, seed)

        # From here on the estimator is another one; an error before leaves the network as it was.
        self._adopt(trainer, schedule, seed)
        finds = self.learning_rate == "auto" and not goes_on
        with ExitStack() as stack:
            if goes_on:
                stack.enter_context(trainer.undone_if_interrupted(schedule))
            watchers = [*watchers, *self._watchers(trainer, epochs, len(history))]
            training = trainer.run(
                train,
                held_out,
                schedule=schedule,
                settings=Settings(
                    self.batch_size,
                    epochs,
                    seed,
                    epochs_before=len(history),
                    updates_before=history[-1]["updates"] if history else 0,
                    restore_best=self.restore_best_weights and not piece,
                ),
                watchers=[stack.enter_context(watcher) for watcher in watchers],
                checkpoint=checkpoint,
                fingerprint=checkpoint and self._fingerprint(train, held_out),
                find_rate=rates.find if finds else None,
            )
        if finds:
            self._first_rate = training.learning_rate
        self._keep(training, history, import_seconds)
        # Programs and examples take memory: they stay only where more is to come.
        self._trainer = (trainer, self._compiled_with()) if keep_trainer else None
        if not keep_trainer:
            trainer.close()
        return self

    def _examples(
        self,
        given: examples.Given,
        validation: examples.Given | None,
        trainer: Trainer,
        fraction: float,
        seed: int,
    ) -> tuple[Examples, Examples | None]:
        """Read the examples to train on and those to validate with, given or held out."""
        train, held_out = self._collect(given, validation, trainer)
        return (train, held_out) if held_out else examples.hold_out(train, fraction, seed)

    def _collect(
        self, given: examples.Given, validation: examples.Given | None, trainer: Trainer
    ) -> tuple[Examples, Examples | None]:
        """Read examples for training and validation; remember what their pixels stand for."""
        train, self.pixels_ = examples.collect(given, trainer, self._check_targets, self.pixels_)
        if validation is None:
            return train, None
        return train, examples.collect(validation, trainer, self._check_targets, self.pixels_)[0]

    def _rehearse(
        self, data: tuple, validation_data: Any, find_rate: "Callable[[Trials], float]"
    ) -> None:
        """Have a rate found for the training that `fit` would begin, and do not begin it."""
        given = self._given(*data, reset=True)
        validation = self._validation(validation_data)
        trainer, schedule, seed = self._begin(goes_on=False)
        train, held_out = self._examples(given, validation, trainer, self.validation_fraction, seed)
        trainer.run(
            train,
            held_out,
            schedule=schedule,
            settings=Settings(self.batch_size, epochs=0, seed=seed),
            find_rate=find_rate,
        )
        trainer.close()

    def _begin(self, goes_on: bool, piece: bool = False) -> tuple[Trainer, Schedule, int]:
        """Return network with programs, schedule and seed: new ones, or those that go on."""
        schedule = self._new_schedule(self._first_rate if goes_on else UNKNOWN, piece)
        if goes_on:
            building.go_on(self._schedule, schedule, self._first_rate)
            trainer, seed = self._trainer_to_go_on(), self.seed_
        else:
            seed = self._new_seed()
            model = self._new_model(seed, schedule.learning_rate)
            trainer = self._new_trainer(model, kind=self._kind())
        if piece and trainer.optimizer.use_ema:
            raise ValueError(
                f"The optimizer {trainer.optimizer.name!r} has use_ema=True: what `fit` leaves is "
                "the average of the weights over the updates, taken when the last epoch has ended. "
                "partial_fit knows no last epoch. Use `fit`, or an optimizer without use_ema."
            )
        return trainer, schedule, seed

    def _adopt(self, trainer: Trainer, schedule: Schedule, seed: int) -> None:
        """Make a network, and what its training goes on from, the estimator's own."""
        if getattr(self, "model_", None) is not trainer.model:
            vars(self).pop("history_", None)  # It is of another one.
        self.model_, self._predictor = trainer.model, trainer.predictor
        self._optimized = _trainable(trainer.model)
        first_rate = self._rate(getattr(self, "_first_rate", UNKNOWN), schedule.function)
        self.seed_, self._schedule, self._first_rate = seed, schedule, first_rate

    def _checkpoint(self) -> AbstractContextManager[Checkpoint | None]:
        """Return the checkpoint of a fit, for a ``with`` block."""
        if self.checkpoint is not None and not isinstance(self.random_state, Integral):
            raise ValueError(
                f"checkpoint={self.checkpoint!r} needs an int as random_state, got "
                f"{self.random_state!r}: a training that draws another seed each time cannot go on "
                "where it was."
            )
        return opened(self.checkpoint)

    def _fingerprint(self, train: Examples, held_out: Examples | None) -> dict[str, Any]:
        """Return all that determines the result of a training that is about to begin."""
        return {
            **self._own_fingerprint(),
            **fingerprint.of_data(train, held_out),
            **fingerprint.of_runtime(),
        }

    def _own_fingerprint(self) -> dict[str, Any]:
        """Return what of it is not the data or the machine."""
        parameters = {
            name: fingerprint.describe(value)
            for name, value in self.get_params(deep=False).items()
            if name not in _WITHOUT_EFFECT
        }
        return {
            **parameters,
            "random_state": self.seed_,
            "layers and first weights": fingerprint.of_network(self.model_, self.model_.optimizer),
        }

    def _keep(self, training: "Training", history: list, import_seconds: float) -> None:
        """Set the attributes that tell about the training."""
        seconds = {"import": import_seconds, **training.seconds}
        if history:
            seconds = {name: seconds[name] + self.seconds_[name] for name in seconds}
        rows, self.followed_ = Followed.taken_out(training.history)
        self.history_ = history + rows
        self.n_iter_ = len(self.history_)
        self.best_epoch_ = training.best_epoch
        self.diverged_ = training.diverged
        self.stopped_early_ = training.stopped_early
        self.seconds_ = seconds
        self.runtime_ = {**runtime.describe(), "xla": self._predictor.xla, "engine": self.engine}

    def _watchers(self, trainer: Trainer, epochs: int, epochs_before: int) -> list[Watcher]:
        """Return what reports the training, and the user's Keras callbacks."""
        watchers = [reporter(self.verbose, epochs)]
        self.callbacks_ = []
        if self.callbacks:
            keras_callbacks = KerasCallbacks(
                self.callbacks,
                trainer.model,
                engine=self.engine,
                epochs=epochs,
                epochs_before=epochs_before,
            )
            self.callbacks_ = keras_callbacks.copies
            if self.engine == "keras":
                trainer.program.callbacks = keras_callbacks.list
            watchers.append(keras_callbacks)
        return watchers

    def _new_seed(self) -> int:
        """Return the seed of a new training: an int is taken as it is."""
        if isinstance(self.random_state, Integral):
            return int(self.random_state)
        return int(check_random_state(self.random_state).randint(2**31 - 1))

    def _rate(self, found: float, function: RateFunction | None) -> float:
        """Return the rate to begin with: the one given, or the one that was found before."""
        if function is not None:
            return float(function(0, 1)[0])
        return found if self.learning_rate == "auto" else float(self.learning_rate)

    @property
    def learning_rate_(self) -> float:
        """The learning rate that training began with, given or found."""
        if not self._has_been_trained():
            raise AttributeError(f"This {type(self).__name__} has not been fitted: it has no rate.")
        return float(self._first_rate)

    def _new_schedule(self, found: float = UNKNOWN, piece: bool = False) -> Schedule:
        """Return the schedule that the parameters ask for; ``found`` is the rate for "auto"."""
        function = building.rate_function(self.learning_rate, self.optimizer)
        own = function is None and not piece
        schedule = Schedule(
            self._rate(found, function),
            None if piece else self.stop_patience,
            self.plateau_patience if own and self.schedule == "plateau" else None,
            self.plateau_factor,
            self.plateau_min_delta,
            cosine=own and self.schedule == "cosine",
            warmup_epochs=float(self.warmup_epochs) if own else 0.0,
        )
        schedule.function = function
        return schedule

    def _new_model(self, seed: int, learning_rate: float = UNKNOWN) -> "keras.Model":
        """Build the network and its optimizer."""
        model = building.network(
            self.network,
            self.image_shape_,
            self.n_outputs_,
            output_activation=self.output_activation,
            seed=seed,
        )
        model.optimizer = building.optimizer(self.optimizer, model, learning_rate)
        return model

    def _kind(self) -> tuple | None:
        """Return what trainings share that compile the same programs.

        None where there is a function or an object of the user's: it may be another one next time.
        """
        from keras import config

        optimizer = building.named_settings(self.optimizer)
        named = isinstance(self.network, str) and isinstance(self.loss, str) and optimizer
        if not named or self.engine != "compiled":
            return None
        network = networks.NETWORKS[self.network], self.output_activation
        form = self.image_shape_, self.n_outputs_, config.dtype_policy().name, config.floatx()
        augmentation = self._augmentation()
        changes = type(augmentation), repr(augmentation)
        return type(self), *network, *form, optimizer, self.loss, self.xla, *changes

    def _new_trainer(self, model: "keras.Model", *, kind: tuple | None = None) -> Trainer:
        """Compile the network and its programs; the optimizer is that of the model.

        A ``kind`` has programs shared with other trainings, see `Trainer`.
        """
        from boxest import losses

        def new() -> "tuple[keras.Model, keras.Optimizer]":
            another = self._new_model(seed=0)
            return another, another.optimizer

        loss = losses.get(self.loss)
        self._compile(model, loss)
        return Trainer(
            model,
            loss=loss,
            optimizer=model.optimizer,
            measures=self._measures(),
            xla=self.xla,
            engine=self.engine,
            memory_limit=self.memory_limit,
            augmentation=self._augmentation(),
            kind=kind,
            new=new,
        )

    def _compile(self, model: "keras.Model", loss: "keras.Loss") -> None:
        """Compile the network for those who evaluate it by Keras; the optimizer is its own."""
        model.compile(
            model.optimizer,
            loss,
            metrics=self._metrics(),
            jit_compile=False,
            auto_scale_loss=False,
        )

    def _trainer_to_go_on(self) -> Trainer:
        """Return the programs of the training before, or new ones where they are gone or differ.

        Where layers were frozen or released since, an optimizer begins anew: the old one keeps
        state for other variables.
        """
        trainer, compiled_with = getattr(self, "_trainer", None) or (None, None)
        if compiled_with == self._compiled_with():
            trainer.clock = Clock()  # That of the training before, which may have failed.
            return trainer
        if not self.model_.trainable_variables:
            raise ValueError(
                "All layers of model_ are frozen: set trainable=True for some of them."
            )
        if self._optimized not in (None, _trainable(self.model_)):
            self.model_.optimizer = building.optimizer(
                self.optimizer, self.model_, self._first_rate
            )
        return self._new_trainer(self.model_)

    def _compiled_with(self) -> tuple:
        settings = self.loss, self.xla, self.engine, self.memory_limit, self._augmentation()
        return *settings, _trainable(self.model_)

    def _prediction(self) -> Predictor:
        """Return the compiled prediction; it reads the weights of ``model_`` at each call."""
        runtime.refuse_fork()
        if getattr(self, "_predictor", None) is None:
            runtime.start_backend()
            self._predictor = Predictor(self.model_, xla=self.xla)
        return self._predictor

    def _fitted(self) -> dict[str, Any]:
        """Return what makes a copy of the estimator able to predict, in the middle of training.

        The copy shares the network: it predicts as the network does at the time.
        """
        return {"model_": self.model_, "_predictor": self._predictor}

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "model_")

    def _has_been_trained(self) -> bool:
        """Whether there is a training to go on from: one that was interrupted is none."""
        return hasattr(self, "history_")

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.target_tags.multi_output = True
        return tags


def _trainable(model: "keras.Model") -> list[bool]:
    """Return of each variable of a network whether an optimizer keeps state for it."""
    trainable = set(map(id, model.trainable_variables))
    return [id(variable) in trainable for variable in model.variables]
