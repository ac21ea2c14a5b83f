"""The loop over epochs."""

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from boxest.training.order import epoch_order
from boxest.training.program import EpochProgram, Measure, Predictor
from boxest.training.schedule import Schedule

if TYPE_CHECKING:
    import keras


class Examples(NamedTuple):
    """Images, shape (n, height, width, channels), with targets (n, k) and weights (n,)."""

    images: np.ndarray
    targets: np.ndarray
    weights: np.ndarray


@dataclass
class Training:
    """What a training leaves beside the weights.

    Attributes
    ----------
    history : list of dict
        One row per epoch; see `train`.
    seconds : dict
        ``data`` (preparing the examples), ``compile``, ``train`` and ``evaluation``.
    diverged : bool
        Whether the loss became NaN or infinite. The last row has it.
    stopped_early : bool
        Whether early stopping ended the training.
    """

    history: list[dict[str, float]] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)
    diverged: bool = False
    stopped_early: bool = False


def train(
    model: "keras.Model",
    examples: Examples,
    validation: Examples | None = None,
    *,
    loss: "keras.Loss",
    optimizer: "keras.Optimizer",
    schedule: Schedule,
    batch_size: int,
    epochs: int,
    seed: int,
    measures: Mapping[str, Measure] | None = None,
    xla: bool = True,
    report: Callable[[dict[str, float]], None] | None = None,
) -> Training:
    """Train a Keras model, one compiled call per epoch.

    Parameters
    ----------
    model : keras.Model
        Built; trained in place. The leading layers without weights are applied to the examples
        once.
    examples, validation : Examples
        What to train on, and what to evaluate on after each epoch.
    loss : keras.Loss
        Anything whose ``call`` gives a loss per example.
    optimizer : keras.Optimizer
        Its learning rate is set by the schedule.
    schedule : Schedule
        Fed with the validation loss, or with the training loss where there is no validation.
    batch_size, epochs : int
        Examples per update, and epochs at most.
    seed : int
        Seed of the order of examples.
    measures : mapping of str to function, optional
        ``function(y_true, y_pred)``, a number per example, for numpy arrays and Keras tensors.
    xla : bool, default=True
        Compile with XLA.
    report : callable, optional
        Called with each row of the history.

    Returns
    -------
    Training
        A row of its history has ``epoch`` (from 1), ``learning_rate_now``, ``train_loss``,
        ``train_<measure>``, ``validation_loss``, ``validation_<measure>``, ``updates`` (since the
        start), ``train_seconds`` and ``evaluation_seconds``. Training values are means over the
        epoch, each batch taken before its update, as Keras reports them.
    """
    training = Training()
    clock = _Clock(training.seconds)
    with clock("data"):
        predictor = Predictor(model, xla=xla)
        program = EpochProgram(predictor.trunk, optimizer, loss, measures or {}, xla=xla)
        program.put(
            predictor.features(examples.images),
            examples.targets.astype(np.float32),
            examples.weights.astype(np.float32),
        )
        held_out = validation and validation._replace(images=predictor.features(validation.images))
    with clock("compile"):
        program.compile(epoch_order(len(examples.images), batch_size, seed=seed, epoch=1))
        if validation:
            predictor(held_out.images[:1])

    updates = 0
    for epoch in range(1, epochs + 1):
        optimizer.learning_rate = schedule.learning_rate
        order = epoch_order(len(examples.images), batch_size, seed=seed, epoch=epoch)
        updates += len(order)
        row = {"epoch": epoch, "learning_rate_now": schedule.learning_rate, "updates": updates}
        with clock("train"):
            row |= _prefixed("train", program(order))
        with clock("evaluation"):
            if validation:
                values = evaluate(predictor(held_out.images), held_out, loss, program.measures)
                row |= _prefixed("validation", values)
        row |= {f"{name}_seconds": clock.last[name] for name in ("train", "evaluation")}
        training.history.append(row)
        if report is not None:
            report(row)

        watched = row["validation_loss"] if validation else row["train_loss"]
        training.diverged = not (math.isfinite(watched) and math.isfinite(row["train_loss"]))
        if training.diverged:
            break
        schedule.update(watched)
        training.stopped_early = schedule.stopped and epoch < epochs
        if schedule.stopped:
            break
    return training


def evaluate(
    outputs: np.ndarray,
    examples: Examples,
    loss: "keras.Loss",
    measures: Mapping[str, Measure],
) -> dict[str, float]:
    """Return the weighted means of the loss and of the measures over examples."""
    from keras import ops

    targets = ops.convert_to_tensor(examples.targets, "float32")
    outputs = ops.convert_to_tensor(outputs)
    functions = {"loss": loss.call, **measures}
    values = {name: ops.convert_to_numpy(f(targets, outputs)) for name, f in functions.items()}
    return {
        name: float(np.average(value.astype(np.float64), weights=examples.weights))
        for name, value in values.items()
    }


def _prefixed(prefix: str, values: dict[str, float]) -> dict[str, float]:
    return {f"{prefix}_{name}": value for name, value in values.items()}


class _Clock:
    """Adds up seconds by what they were spent on."""

    def __init__(self, seconds: dict[str, float]):
        self.seconds = seconds
        self.last: dict[str, float] = {}
        for name in ("data", "compile", "train", "evaluation"):
            seconds.setdefault(name, 0.0)

    def __call__(self, name: str):
        from contextlib import contextmanager

        @contextmanager
        def timed():
            before = time.perf_counter()
            yield
            self.last[name] = time.perf_counter() - before
            self.seconds[name] += self.last[name]

        return timed()
