"""The loop over epochs."""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from boxest.training.clock import Clock
from boxest.training.order import epoch_order
from boxest.training.program import EpochProgram, Measure, Predictor
from boxest.training.schedule import Schedule
from boxest.training.stream import FeatureFile, StreamedProgram, buffered_order, keep

if TYPE_CHECKING:
    import keras

ENGINES = ("compiled", "keras")


class Examples(NamedTuple):
    """Images, shape (n, height, width, channels), with targets (n, k) and weights (n,)."""

    images: np.ndarray | FeatureFile
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
        Whether early stopping, or a watcher, ended the training.
    """

    history: list[dict[str, float]] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)
    diverged: bool = False
    stopped_early: bool = False


class Watcher:
    """What looks on at a training: told when an epoch begins and ends. This one does nothing.

    Both methods may set the learning rate of the optimizer; the schedule goes on from that rate.
    """

    def begin(self, epoch: int) -> None:
        """Epoch ``epoch``, from 1, is about to begin."""

    def end(self, row: dict[str, float]) -> bool:
        """Take the row of the epoch that has just ended; return whether training should stop."""
        return False


class Trainer:
    """A network with its compiled programs, for one training or for several that go on.

    Parameters
    ----------
    model : keras.Model
        Built; trained in place.
    loss : keras.Loss
        Anything whose ``call`` gives a loss per example.
    optimizer : keras.Optimizer
        Built for the model. Its learning rate is set by the schedule.
    measures : mapping of str to function, optional
        ``function(y_true, y_pred)``, a number per example, for numpy arrays and Keras tensors.
    xla : bool, default=True
        Compile with XLA.
    engine : {"compiled", "keras"}, default="compiled"
        "compiled": one compiled call per epoch. "keras": a plain Keras step per batch, with the
        same results, slower.
    """

    def __init__(
        self,
        model: "keras.Model",
        *,
        loss: "keras.Loss",
        optimizer: "keras.Optimizer",
        measures: Mapping[str, Measure] | None = None,
        xla: bool = True,
        engine: str = "compiled",
    ):
        self.clock = Clock()
        self.model, self.loss, self.optimizer = model, loss, optimizer
        with self.clock("data"):
            self.predictor = Predictor(model, xla=xla)
            self.program = _program(engine)(
                self.predictor.trunk, optimizer, loss, measures or {}, xla=xla
            )

    def features(
        self, blocks: Iterable[np.ndarray], memory_limit: float = math.inf
    ) -> np.ndarray | FeatureFile:
        """Apply the layers without weights to images that come in blocks, once and for all.

        What exceeds ``memory_limit`` bytes is kept in a temporary file, and trained on a buffer at
        a time.
        """
        with self.clock("data"):
            return keep(map(self.predictor.features, blocks), memory_limit)

    def run(
        self,
        examples: Examples,
        validation: Examples | None = None,
        *,
        schedule: Schedule,
        batch_size: int,
        epochs: int,
        seed: int,
        epochs_before: int = 0,
        updates_before: int = 0,
        watchers: Sequence[Watcher] = (),
        report: Callable[[dict[str, float]], None] | None = None,
    ) -> Training:
        """Train on examples whose images are `features`; parameters are those of `train`.

        ``epochs_before`` and ``updates_before`` were made already: counting goes on from them, and
        so does the order of examples.
        """
        training = Training(seconds=self.clock.seconds)
        streams = isinstance(examples.images, FeatureFile)
        draw = buffered_order if streams else epoch_order
        orders = (
            draw(len(examples.images), batch_size, seed=seed, epoch=epoch)
            for epoch in range(epochs_before + 1, epochs_before + epochs + 1)
        )
        program = StreamedProgram(self.program) if streams else self.program
        self._load(
            program, examples, validation, draw(len(examples.images), batch_size, seed=0, epoch=1)
        )
        for i, order in enumerate(orders, start=1):
            row = {"epoch": epochs_before + i}
            with self._rate_from(schedule):
                for watcher in watchers:
                    watcher.begin(row["epoch"])
            updates_before += len(order)
            row |= {"learning_rate_now": schedule.learning_rate, "updates": updates_before}
            row |= self._epoch(program, order, validation)
            training.history.append(row)
            if report is not None:
                report(row)
            with self._rate_from(schedule):
                stops = [watcher.end(row) for watcher in watchers]
            watched = row["validation_loss"] if validation else row["train_loss"]
            training.diverged = not (math.isfinite(watched) and math.isfinite(row["train_loss"]))
            if training.diverged:
                break
            schedule.update(watched)
            if schedule.stopped or any(stops):
                training.stopped_early = i < epochs
                break
        self.clock = Clock()  # Another training begins at 0 seconds.
        return training

    def _load(
        self,
        program: EpochProgram | StreamedProgram,
        examples: Examples,
        validation: Examples | None,
        order: np.ndarray,
    ) -> None:
        """Lay the examples on the device and compile, without an update."""
        with self.clock("data"):
            # Of mean 1: as many examples of weight 1 take steps of the same length.
            weights = examples.weights / np.mean(examples.weights, dtype=np.float64)
            program.put(
                examples.images, examples.targets.astype(np.float32), weights.astype(np.float32)
            )
        with self.clock("compile"):
            program.compile(order)
            if validation:
                self.predictor(validation.images[:1])

    def _epoch(
        self,
        program: EpochProgram | StreamedProgram,
        order: np.ndarray,
        validation: Examples | None,
    ) -> dict[str, float]:
        """Train for one epoch and evaluate."""
        with self.clock("train"):
            row = _prefixed("train", program(order))
        with self.clock("evaluation"):
            if validation:
                outputs = self.predictor(validation.images)
                values = evaluate(outputs, validation, self.loss, self.program.measures)
                row |= _prefixed("validation", values)
        return row | {f"{name}_seconds": self.clock.last[name] for name in ("train", "evaluation")}

    @contextmanager
    def _rate_from(self, schedule: Schedule) -> Iterator[None]:
        """Set the learning rate, and have the schedule take over another that the block sets."""
        self.optimizer.learning_rate = schedule.learning_rate
        before = float(self.optimizer.learning_rate)
        yield
        # A single-precision variable holds it: an unchanged rate must not pick up its rounding.
        if float(self.optimizer.learning_rate) != before:
            schedule.learning_rate = float(self.optimizer.learning_rate)


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
    engine: str = "compiled",
    report: Callable[[dict[str, float]], None] | None = None,
) -> Training:
    """Train a Keras model, one compiled call per epoch.

    Parameters
    ----------
    model, loss, optimizer, measures, xla, engine
        As for `Trainer`. The leading layers without weights are applied to the examples once.
    examples, validation : Examples
        What to train on, and what to evaluate on after each epoch.
    schedule : Schedule
        Fed with the validation loss, or with the training loss where there is no validation.
    batch_size, epochs, seed : int
        Examples per update, epochs at most, and seed of the order of examples.
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
    trainer = Trainer(
        model, loss=loss, optimizer=optimizer, measures=measures, xla=xla, engine=engine
    )
    parts = (
        part and part._replace(images=trainer.features([part.images]))
        for part in (examples, validation)
    )
    return trainer.run(
        *parts,
        schedule=schedule,
        batch_size=batch_size,
        epochs=epochs,
        seed=seed,
        report=report,
    )


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


def _program(engine: str) -> type:
    """Return the class of program behind an engine."""
    if engine not in ENGINES:
        raise ValueError(f"engine must be one of {', '.join(ENGINES)}; got {engine!r}.")
    if engine == "compiled":
        return EpochProgram
    from boxest.training.keras_program import KerasProgram

    return KerasProgram


def _prefixed(prefix: str, values: dict[str, float]) -> dict[str, float]:
    return {f"{prefix}_{name}": value for name, value in values.items()}
