"""Build what a training needs: network, optimizer, programs, schedule."""

import math
import random
import threading
import warnings
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from boxest import networks
from boxest.estimator import optimizers
from boxest.networks import parts
from boxest.system.backend import all_layers
from boxest.training import fingerprint
from boxest.training.callbacks import KerasCallbacks
from boxest.training.clock import Clock
from boxest.training.loop import Trainer
from boxest.training.progress import reporter
from boxest.training.record import Examples, Settings, Watcher
from boxest.training.schedule import RateFunction, Schedule

if TYPE_CHECKING:
    import keras

    from boxest.estimator.base import BaseImageRegressor


# A network with its programs, its schedule and its seed.
Begun = tuple[Trainer, Schedule, int]
# Placeholder for a learning rate that is still to be found.
UNKNOWN = 1.0
# A user's function may fit another estimator.
_building = threading.RLock()
# The layers with weights to train that users' functions have returned.
_used_layers: "weakref.WeakSet[keras.Layer]" = weakref.WeakSet()
# Parameters whose first values a network keeps, whatever is set afterwards.
_KEPT = ("network", "output_activation", "optimizer")


def new_model(
    estimator: "BaseImageRegressor",
    seed: int,
    learning_rate: float = UNKNOWN,
    *,
    dtype_policy: str | None = None,
) -> "keras.Model":
    """Build the network and the optimizer that the parameters of an estimator describe.

    The types of its numbers are those of ``dtype_policy``, by default Keras' present setting.
    The seed determines the initial weights. A user's function may draw them from Python's and
    numpy's global generators, so these are seeded for it and restored afterwards.

    Raises
    ------
    ValueError
        If the architecture or the optimizer does not exist, the number of outputs is wrong, or a
        function returns layers that an earlier call has returned.
    """
    with _own_randomness(seed), parts.dtype_policy(dtype_policy):
        model = networks.build(
            estimator.network,
            estimator.image_shape_,
            n_outputs=estimator.n_outputs_,
            output_activation=estimator.output_activation,
            seed=seed,
        )
        if not isinstance(estimator.network, str):
            _refuse_used_layers(model)
    model.optimizer = optimizers.get(estimator.optimizer, model, learning_rate)
    return model


def _refuse_used_layers(model: "keras.Model") -> None:
    """Refuse layers that may have been trained already, or that another network also trains."""
    for layer in all_layers(model):
        if not layer.trainable_variables:
            continue
        if layer in _used_layers:
            raise ValueError(
                f"The function passed as network returned {layer.name!r} before: a fit would go on "
                "with the weights of another one. Let the function make new layers at each call, "
                "for example with keras.models.clone_model, or freeze them (trainable=False)."
            )
        _used_layers.add(layer)


def new_trainer(
    estimator: "BaseImageRegressor", model: "keras.Model", kind: tuple | None = None
) -> Trainer:
    """Compile a network and its programs; the optimizer is that of the model.

    Trainings of the same ``kind`` share programs; see `kind` and `Trainer`.
    """
    from boxest import losses  # It imports Keras.

    def new() -> "tuple[keras.Model, keras.Optimizer]":
        another = new_model(estimator, seed=0)
        return another, another.optimizer

    loss = losses.get(estimator.loss, estimator.n_outputs_)
    compile_for_keras(estimator, model, loss)
    return Trainer(
        model,
        loss=loss,
        optimizer=model.optimizer,
        measures=estimator._measures(),
        xla=estimator.xla,
        engine=estimator.engine,
        memory_limit=estimator.memory_limit,
        augmentation=estimator._augmentation(),
        kind=kind,
        new=new,
    )


def trainer_to_go_on(estimator: "BaseImageRegressor") -> Trainer:
    """Return the programs of the previous training, or new ones if these are gone or differ.

    If layers were frozen or unfrozen since, the optimizer is replaced, because the old one keeps
    state for other variables.
    """
    trainer, settings = getattr(estimator, "_trainer", None) or (None, None)
    if settings == compiled_with(estimator):
        trainer.clock = Clock()  # The old clock belongs to a training that may have failed.
        return trainer
    if not estimator.model_.trainable_variables:
        raise ValueError("All layers of model_ are frozen: set trainable=True for some of them.")
    if estimator._optimized not in (None, trainable(estimator.model_)):
        estimator.model_.optimizer = optimizers.get(
            estimator.optimizer, estimator.model_, estimator._first_rate
        )
        estimator._kept = {**estimator._kept, "optimizer": kept(estimator)["optimizer"]}
    return new_trainer(estimator, estimator.model_)


def kept(estimator: "BaseImageRegressor") -> dict:
    """Describe the parameters that a network keeps from its first `fit`, by their values now."""
    return fingerprint.of_parameters({name: getattr(estimator, name) for name in _KEPT})


def changed(estimator: "BaseImageRegressor") -> list[str]:
    """Return the names of those that have other values now than the network."""
    now = kept(estimator)
    return [name for name, before in estimator._kept.items() if now[name] != before]


def warn_if_changed(estimator: "BaseImageRegressor") -> None:
    """Warn if parameters were set that have no effect on a network that already exists."""
    for name in changed(estimator):
        warnings.warn(
            f"{name}={getattr(estimator, name)!r} has no effect here: the training goes on with "
            f"the {name} of the first fit. Call fit with warm_start=False for a new network.",
            UserWarning,
            stacklevel=4,
        )


def compiled_with(estimator: "BaseImageRegressor") -> tuple:
    """Return what the programs of an estimator depend on, except the form of the data."""
    # An object may have been changed since.
    loss = estimator.loss, fingerprint.describe(estimator.loss)
    settings = *loss, estimator.xla, estimator.engine, estimator.memory_limit
    return *settings, estimator._augmentation(), trainable(estimator.model_)


def trainable(model: "keras.Model") -> list[bool]:
    """Return, for each variable of a network, whether an optimizer keeps state for it."""
    trainable = set(map(id, model.trainable_variables))
    return [id(variable) in trainable for variable in model.variables]


def kind(estimator: "BaseImageRegressor") -> tuple | None:
    """Return a key that is equal for trainings that compile the same programs.

    None if the user passes a function or an object, because it may change until next time.
    """
    from keras import config

    settings = optimizers.named_settings(estimator.optimizer)
    named = isinstance(estimator.network, str) and isinstance(estimator.loss, str) and settings
    if not named or estimator.engine != "compiled":
        return None
    network = networks.NETWORKS[estimator.network], estimator.output_activation
    form = estimator.image_shape_, estimator.n_outputs_, config.dtype_policy().name, config.floatx()
    augmentation = estimator._augmentation()
    changes = type(augmentation), repr(augmentation)
    return type(estimator), *network, *form, settings, estimator.loss, estimator.xla, *changes


def compile_for_keras(
    estimator: "BaseImageRegressor", model: "keras.Model", loss: "keras.Loss"
) -> None:
    """Compile a network with its own optimizer, for users who evaluate it with Keras."""
    model.compile(
        model.optimizer,
        loss,
        metrics=estimator._metrics(),
        jit_compile=False,
        auto_scale_loss=False,
    )


def new_schedule(estimator: "BaseImageRegressor", found: float, piece: bool) -> Schedule:
    """Return the schedule that the parameters describe.

    Parameters
    ----------
    estimator
    found : float
        The learning rate to use if the parameter is "auto".
    piece : bool
        Whether the training is less than an epoch, so that the rate stays the same.
    """
    function = optimizers.rate_function(estimator.learning_rate, estimator.optimizer)
    own = function is None and not piece
    schedule = Schedule(
        first_rate(estimator, found, function),
        None if piece else _whole(estimator.stop_patience),
        _whole(estimator.plateau_patience) if own and estimator.schedule == "plateau" else None,
        float(estimator.plateau_factor),
        float(estimator.plateau_min_delta),
        cosine=own and estimator.schedule == "cosine",
        warmup_epochs=float(estimator.warmup_epochs) if own else 0.0,
    )
    schedule.function = function
    return schedule


def _whole(number: int | None) -> int | None:
    """Return a number of Python: a state cannot hold those of numpy, which a search may set."""
    return None if number is None else int(number)


def first_rate(
    estimator: "BaseImageRegressor", found: float, function: RateFunction | None
) -> float:
    """Return the initial rate, given or found before."""
    if function is not None:
        return float(function(0, 1)[0])
    return found if estimator.learning_rate == "auto" else float(estimator.learning_rate)


def watchers(
    estimator: "BaseImageRegressor",
    trainer: Trainer,
    schedule: Schedule,
    settings: Settings,
    n_examples: int,
) -> list[Watcher]:
    """Return the watchers that report the training, and the user's Keras callbacks."""
    report = reporter(estimator.verbose, settings.epochs)
    callbacks = None
    if estimator.callbacks:
        callbacks = KerasCallbacks(
            estimator.callbacks,
            trainer.model,
            engine=estimator.engine,
            varies=schedule.varies,
            epochs=settings.epochs,
            epochs_before=settings.epochs_before,
            steps=math.ceil(n_examples / settings.batch_size),
        )
    if estimator.engine == "keras":  # The program may have those of an earlier training.
        trainer.program.callbacks = callbacks and callbacks.list
    estimator.callbacks_ = callbacks.copies if callbacks else []
    return [report, callbacks] if callbacks else [report]


def warn_if_diverged(estimator: "BaseImageRegressor") -> None:
    """Warn if the training of an estimator has diverged."""
    if estimator.diverged_:
        kept = estimator.best_epoch_
        warnings.warn(
            f"The training diverged in epoch {estimator.n_iter_}: its loss, or a "
            "weight, is not a finite number. "
            + (
                f"The network is that of epoch {kept}. "
                if kept
                else "The network is useless, and the next training begins with a new one. "
            )
            + f"Use a smaller learning_rate than {estimator.learning_rate_:g}.",
            ConvergenceWarning,
            stacklevel=3,
        )


def can_go_on(estimator: "BaseImageRegressor") -> bool:
    """Whether there is a training to continue, whose network did not diverge."""
    trained = estimator._has_been_trained()
    return trained and not (estimator.diverged_ and estimator.best_epoch_ is None)


def go_on(estimator: "BaseImageRegressor", new: Schedule) -> None:
    """Let a new schedule continue from the end of the previous training of an estimator.

    If another ``learning_rate`` was set since, it is used; otherwise the rate continues from its
    last value. If another loss was set, its values do not compare with the previous smallest one.
    """
    from boxest import losses

    last = estimator._schedule
    if new.learning_rate == estimator._first_rate:
        new.learning_rate = last.learning_rate
    loss = losses.get(estimator.loss, estimator.n_outputs_)
    if not fingerprint.same(loss, estimator.model_.loss):
        return
    for name in ("best", "plateau_best", "plateau_wait"):
        setattr(new, name, getattr(last, name))
    # Patience that ran out starts again; otherwise no further epoch could run.
    new.wait = 0 if last.stopped else last.wait


def forget_other_losses(schedule: Schedule, history: list, held_out: "Examples | None") -> None:
    """Let a schedule go on without its smallest loss, if that is of training and not of validation.

    Or the other way round: it follows the validation loss, if there is one.
    """
    if history and ("validation_loss" in history[-1]) != (held_out is not None):
        schedule.best = schedule.plateau_best = math.inf
        schedule.wait = schedule.plateau_wait = 0


@contextmanager
def _own_randomness(seed: int) -> Iterator[None]:
    """Seed Python's and numpy's global generators, which Keras uses, and restore them.

    Threads take turns, because they share these generators, and the image data format of Keras.
    """
    with _building:
        before = random.getstate(), np.random.get_state()
        random.seed(seed)
        np.random.seed(seed % 2**32)
        try:
            yield
        finally:
            random.setstate(before[0])
            np.random.set_state(before[1])
