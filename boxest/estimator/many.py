"""`fit_many`: many networks in one call, for ensembles, seeds and grids of learning rates."""

import math
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from numbers import Integral
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from boxest.estimator import examples, outcome
from boxest.estimator.image_regressor import ImageRegressor
from boxest.system import backend
from boxest.training import fingerprint, layout
from boxest.training.checkpoint import Checkpoint, opened
from boxest.training.clock import Clock
from boxest.training.many import Run, train_many
from boxest.training.stream import FeatureFile

if TYPE_CHECKING:
    import os

    import numpy.typing as npt

    from boxest.training.loop import Trainer
    from boxest.training.record import Examples
    from boxest.training.stack import Stack

Regressor = TypeVar("Regressor", bound=ImageRegressor)

# The estimators may differ in these parameters.
_OWN = (
    "learning_rate",
    "random_state",
    "epochs",
    "stop_patience",
    "restore_best_weights",
    "schedule",
    "warmup_epochs",
    "plateau_patience",
    "plateau_factor",
    "plateau_min_delta",
    "verbose",
)
# These parameters must have these values.
_DEFAULT = {
    "callbacks": None,
    "checkpoint": None,
    "engine": "compiled",
    "warm_start": False,
}


def fit_many(
    estimators: Iterable[Regressor],
    X: "npt.ArrayLike",
    y: "npt.ArrayLike | None" = None,
    sample_weight: "npt.ArrayLike | None" = None,
    *,
    validation_data: "tuple | list | None" = None,
    checkpoint: "str | os.PathLike | Checkpoint | None" = None,
    verbose: int = 0,
) -> list[Regressor]:
    """Fit estimators with the same network and batch size in one program, on JAX.

    Each gets the same network as from its own `fit`, up to rounding, because each has its own
    initial weights, order of examples, learning rate and schedule. If one stops early or diverges,
    the others are not affected.

    Parameters
    ----------
    estimators : iterable of BoxRegressor or ImageRegressor
        They are fitted in place. They may only differ in ``learning_rate``, ``random_state``,
        ``epochs``, ``stop_patience``, ``restore_best_weights`` and the schedule of the rate. Losses
        and optimizers may be objects that are alike; functions must be the same one. ``callbacks``
        and ``checkpoint`` have to be None, ``engine`` "compiled" and ``warm_start`` False;
        ``verbose`` has no effect.
    X, y, sample_weight, validation_data
        As for `BoxRegressor.fit`. Without validation data, each run holds out its own share.
    checkpoint : path-like or None, default=None
        A file for the state of all runs, like ``checkpoint`` of `BoxRegressor` for one run.
    verbose : int, default=0
        1 or more prints one line per epoch.

    Returns
    -------
    list of BoxRegressor or ImageRegressor
        The fitted estimators. Each has its share of the common time in ``seconds_`` and
        ``history_``; ``runtime_`` has the engine "stacked", and the number of runs as
        ``runs_together``.

    Raises
    ------
    RuntimeError
        If Keras does not run on JAX.
    ValueError
        If the estimators differ in other parameters, the data are invalid for `fit`, or the
        prepared images exceed ``memory_limit``.

    Notes
    -----
    Every optimizer and loss that `fit` takes works: the update of one run is mapped over the runs,
    so even an operation on all weights at once, such as clipping the gradient by its norm, only
    sees those of one run.

    The prepared images are cut into patches in advance if the network begins with a convolution and
    a pooling, and the patches, which are four times as large, stay below ``memory_limit``.
    """
    estimators = list(estimators)
    _check(estimators)
    if checkpoint is not None:
        _need_seeds(estimators)
    import_seconds = backend.import_seconds()
    _need_jax()
    with ExitStack() as stack:
        for estimator in estimators:
            stack.enter_context(examples.form_restored_on_error(estimator))
        open_checkpoint = stack.enter_context(opened(checkpoint))
        return _fit(
            estimators,
            (X, y, sample_weight),
            validation_data,
            checkpoint=open_checkpoint,
            report=_Lines(len(estimators)) if verbose else None,
            import_seconds=import_seconds / len(estimators),
        )


def _fit(
    estimators: list[Regressor],
    data: tuple,
    validation_data: Any,
    *,
    checkpoint: Checkpoint | None,
    report: Callable[[list[Run]], None] | None,
    import_seconds: float,
) -> list[Regressor]:
    first, clock = estimators[0], Clock()
    with clock("data"):
        unread = examples.validate_data(first, *data, reset=True)
        validation = examples.validate_validation_data(first, validation_data)
        _share_form(estimators)
        begun = [estimator._initialize(goes_on=False, share=False) for estimator in estimators]
        trainers, schedules, seeds = zip(*begun, strict=True)
        train, held_out = examples.read_given(first, unread, validation, trainers[0])
        _share_form(estimators)
        _need_memory(train, held_out, first.memory_limit)
        runs = [
            _run(estimator, schedule, seed, train, held_out)
            for estimator, schedule, seed in zip(estimators, schedules, seeds, strict=True)
        ]
        stack = _stack(trainers, runs, train, held_out, first.memory_limit)
    with clock("compile"):
        stack.compile(runs[0].order(first.batch_size), len(runs[0].held_out))
    # From here on the estimators change; after an earlier error, they keep their networks.
    for estimator, trainer, run in zip(estimators, trainers, runs, strict=True):
        trainer.predictor.use_programs_of(trainers[0].predictor)
        estimator._set_network(trainer, run.schedule, run.seed)
    try:
        train_many(
            stack,
            runs,
            batch_size=first.batch_size,
            clock=clock,
            report=report,
            checkpoint=checkpoint,
            fingerprint=checkpoint and _fingerprint(estimators, train, held_out),
        )
    except BaseException:
        # As after an interrupted `fit`, the networks are those of the last epoch.
        for place, trainer in enumerate(trainers):
            _assign(trainer, stack.state(place))
        raise
    for place, (estimator, trainer, run) in enumerate(zip(estimators, trainers, runs, strict=True)):
        _assign(trainer, run.best or stack.state(place))
        trainer.optimizer.finalize_variable_values(trainer.model.trainable_variables)
        estimator._trainer, estimator.callbacks_ = None, []
        outcome.record(estimator, run.training, [], import_seconds)
        estimator.runtime_ |= {"engine": "stacked", "runs_together": len(runs)}
    return estimators


def _share_form(estimators: Sequence[ImageRegressor]) -> None:
    """Copy the form of the data from the first estimator to all others."""
    form = {name: value for name, value in vars(estimators[0]).items() if name in examples.FORM}
    for estimator in estimators[1:]:
        for name in examples.FORM:
            vars(estimator).pop(name, None)
        vars(estimator).update(form)


def _run(estimator, schedule, seed, train: "Examples", held_out: "Examples | None") -> Run:
    """Return the settings that belong to this estimator alone."""
    rows, own = np.arange(len(train.images)), held_out and np.arange(len(held_out.images))
    if held_out is None:
        rows, own = examples.hold_out_rows(len(rows), estimator.validation_fraction, seed)
    weights = (held_out or train).weights[own]
    best = estimator.restore_best_weights and own.size > 0
    return Run(schedule, estimator.epochs, seed, rows, own, weights, restore_best=best)


def _stack(
    trainers: "Sequence[Trainer]",
    runs: Sequence[Run],
    train: "Examples",
    held_out: "Examples | None",
    memory_limit: float,
) -> "Stack":
    """Stack the current networks, and put the examples on the device."""
    from boxest.training.stack import Stack

    states = [
        tuple([variable.value for variable in part] for part in _variables(trainer))
        for trainer in trainers
    ]
    shapes = [[[value.shape for value in part] for part in state] for state in states]
    if any(other != shapes[0] for other in shapes):
        raise ValueError(
            "The networks of the estimators have different shapes. They must be equal: call "
            "fit_many once for each shape."
        )
    images = [part.images for part in (train, held_out) if part]
    fits = layout.UNFOLDED * sum(part.nbytes for part in images) <= memory_limit
    stack = Stack(trainers[0].program, states, unfold=fits)
    # With mean 1 over the examples that the run trains on, as for a run alone.
    weights = [train.weights / np.mean(train.weights[run.rows], dtype=np.float64) for run in runs]
    stack.put(
        train.images,
        train.targets.astype(np.float32),
        np.array(weights, np.float32),
        held_out and (held_out.images, held_out.targets.astype(np.float32)),
    )
    return stack


def _variables(trainer: "Trainer") -> tuple:
    from boxest.training.backend.jax import variables

    return variables(trainer.model, trainer.optimizer)


def _assign(trainer: "Trainer", state: tuple) -> None:
    """Store the trained values in the network and its optimizer."""
    for part, values in zip(_variables(trainer), state, strict=True):
        backend.assign(part, values)


def _check(estimators: Sequence[ImageRegressor]) -> None:
    """Refuse estimators that cannot be trained together."""
    if not estimators or not all(isinstance(one, ImageRegressor) for one in estimators):
        raise ValueError(
            "fit_many takes at least one BoxRegressor or ImageRegressor; got "
            f"{[type(one).__name__ for one in estimators]}."
        )
    if len(set(map(id, estimators))) < len(estimators):
        raise ValueError("fit_many got the same estimator twice; pass a clone.")
    first = estimators[0]
    for estimator in estimators:
        if type(estimator) is not type(first):
            raise ValueError(
                "fit_many takes estimators of one class, got "
                f"{type(first).__name__} and {type(estimator).__name__}."
            )
        estimator._validate_params()
        if estimator.learning_rate == "auto":
            raise ValueError(
                "fit_many needs a number as learning_rate, got 'auto'. Find one with "
                "boxest.find_learning_rate first, or call fit on this estimator alone."
            )
        for name, value in estimator.get_params(deep=False).items():
            if name in _DEFAULT and value != _DEFAULT[name]:
                raise ValueError(
                    f"fit_many needs {name}={_DEFAULT[name]!r}, got {value!r}. Call fit on this "
                    "estimator alone."
                )
            if name not in _OWN and not fingerprint.same(value, getattr(first, name)):
                raise ValueError(
                    f"fit_many trains one network with one batch size: {name} must be the same in "
                    f"all estimators, got {getattr(first, name)!r} and {value!r}. Call it once for "
                    "each."
                )


def _need_jax() -> None:
    import keras

    name = keras.backend.backend()
    if name != "jax":
        raise RuntimeError(
            f"fit_many needs JAX, and Keras runs on {name!r} here. Install it with "
            "pip install 'boxest[jax]', and set the environment variable KERAS_BACKEND=jax before "
            "Python starts."
        )


def _need_seeds(estimators: Sequence[ImageRegressor]) -> None:
    for estimator in estimators:
        if not isinstance(estimator.random_state, Integral):
            raise ValueError(
                "A checkpoint needs an int as random_state of each estimator, got "
                f"{estimator.random_state!r}: trainings that draw other seeds each time cannot be "
                "resumed."
            )


def _need_memory(train: "Examples", held_out: "Examples | None", limit: float) -> None:
    for part in (train, held_out):
        if part is not None and isinstance(part.images, FeatureFile):
            raise ValueError(
                f"The prepared images exceed memory_limit={limit:g} bytes, and fit_many keeps all "
                "of them on the device. Raise memory_limit, or call fit on each estimator."
            )


def _fingerprint(
    estimators: Sequence[ImageRegressor], train: "Examples", held_out: "Examples | None"
) -> dict[str, Any]:
    """Return everything that determines the result of the trainings that are about to begin."""
    runs = {f"run {i}": estimator._own_fingerprint() for i, estimator in enumerate(estimators)}
    return runs | fingerprint.of_data(train, held_out) | fingerprint.of_runtime()


class _Lines:
    """Prints one line per epoch about all runs."""

    def __init__(self, n_runs: int):
        self.n_runs, self.epoch = n_runs, 0

    def __call__(self, active: list[Run]) -> None:
        rows = [run.training.history[-1] for run in active]
        before, self.epoch = self.epoch, rows[0]["epoch"]
        if self.epoch > before + 1:
            print(f"Resumed after epoch {self.epoch - 1}.")
        name = "validation_loss" if "validation_loss" in rows[0] else "train_loss"
        losses = [row[name] for row in rows if math.isfinite(row[name])] or [math.nan]
        print(
            f"epoch {self.epoch:3d}  {len(active)} of {self.n_runs} runs  "
            f"{name.replace('_', ' ')} {min(losses):.4f} to {max(losses):.4f}  "
            f"{sum(row['train_seconds'] for row in rows):.2f} s",
            flush=True,
        )
