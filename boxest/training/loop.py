"""The loop over epochs."""

import functools
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np

from boxest.training import layout
from boxest.training.backend import load
from boxest.training.checkpoint import Checkpoint, State
from boxest.training.clock import Clock
from boxest.training.order import epoch_order
from boxest.training.program import EpochProgram, Measure, Predictor, UnfoldedProgram, rest
from boxest.training.record import Examples, Training, Watcher, evaluate, judge, prefixed, told
from boxest.training.schedule import Schedule
from boxest.training.stream import FeatureFile, StreamedProgram, buffered_order, keep
from boxest.training.trials import Trials

if TYPE_CHECKING:
    import keras

    from boxest.augmentation import Augmentation

ENGINES = ("compiled", "keras")
# Epochs from which on cutting images into patches beforehand takes less time than it saves.
PATCHES_PAY = 3


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
    xla : bool or "auto", default=True
        Compile with XLA; "auto" where it is faster, see `layout.arrange`.
    engine : {"compiled", "keras"}, default="compiled"
        "compiled": one compiled call per epoch. "keras": a plain Keras step per batch, with the
        same results, slower.
    memory_limit : float, default=inf
        Bytes that prepared images may take. More of them are kept in a temporary file, and trained
        on a buffer at a time.
    augmentation : Augmentation or None, default=None
        How images and boxes are changed, anew in each epoch.
    """

    def __init__(
        self,
        model: "keras.Model",
        *,
        loss: "keras.Loss",
        optimizer: "keras.Optimizer",
        measures: Mapping[str, Measure] | None = None,
        xla: bool | str = True,
        engine: str = "compiled",
        memory_limit: float = math.inf,
        augmentation: "Augmentation | None" = None,
    ):
        self.clock = Clock()
        self.model, self.loss, self.optimizer = model, loss, optimizer
        self.memory_limit = memory_limit
        self.predictor = Predictor(model, xla=xla, whole=augmentation is not None)
        self._program_class = _program(engine)
        self._settings = {
            "optimizer": optimizer,
            "loss": loss,
            "measures": measures or {},
            "augmentation": augmentation,
        }

    @functools.cached_property
    def program(self) -> EpochProgram:
        """What trains for an epoch; made when it is needed."""
        with self.clock("data"):
            return self._program_class(
                self.predictor.trunk, **self._settings, xla=self.predictor.xla
            )

    @functools.cached_property
    def unfolded_program(self) -> EpochProgram | None:
        """The same for images that are cut into patches once; None where that gains nothing."""
        with self.clock("data"):
            if self._program_class is not EpochProgram or load().device() != "cpu":
                return None
            if self._settings["augmentation"] is not None:
                return None
            trunk = layout.unfolded(self.predictor.trunk)
            return trunk and UnfoldedProgram(trunk, **self._settings, xla=self.predictor.xla)

    def features(self, blocks: Iterable[np.ndarray]) -> np.ndarray | FeatureFile:
        """Apply the layers without weights to images that come in blocks, once and for all."""
        with self.clock("data"):
            return keep(map(self.predictor.features, blocks), self.memory_limit)

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
        checkpoint: Checkpoint | None = None,
        fingerprint: dict[str, Any] | None = None,
        find_rate: Callable[[Trials], float] | None = None,
    ) -> Training:
        """Train on examples whose images are `features`; parameters are those of `train`.

        ``epochs_before`` and ``updates_before`` were made already: counting goes on from them, and
        so does the order of examples. With a checkpoint, the training goes on from the state that
        one with this fingerprint left there. ``find_rate``, where it is given, finds the rate that
        the schedule begins with; a state has it.
        """
        training = Training(seconds=self.clock.seconds)
        streams = isinstance(examples.images, FeatureFile)
        draw = buffered_order if streams else epoch_order
        order = functools.partial(draw, len(examples.images), batch_size, seed=seed)
        program = self._program_for(examples.images, epochs)

        def begin(epoch: int) -> np.ndarray:
            program.begin(seed=seed, epoch=epoch)
            return order(epoch=epoch)

        self._load(program, examples, validation, order(epoch=1))
        if checkpoint is not None and (state := checkpoint.begin(fingerprint)):
            self._restore(state, training, schedule)
            for watcher in watchers:
                watcher.resume(training.history)
        else:
            if find_rate is not None:
                schedule.learning_rate = find_rate(Trials(self, program, begin, validation))
            training.learning_rate = schedule.learning_rate
        with self._clock_reset(), written_if_interrupted(checkpoint):
            while len(training.history) < epochs and not training.ended:
                done = len(training.history)
                epoch = epochs_before + done + 1
                with self._rate_from(schedule):
                    for watcher in watchers:
                        watcher.begin(epoch)
                steps = begin(epoch)
                row = {
                    "epoch": epoch,
                    "learning_rate_now": schedule.learning_rate,
                    "updates": updates_before + (done + 1) * len(steps),
                    **self.epoch(program, steps, validation),
                }
                training.history.append(row)
                if report is not None:
                    report(row)
                with self._rate_from(schedule):
                    stops = [watcher.end(row) for watcher in watchers]
                judge(training, schedule, stop=any(stops), last=done + 1 == epochs)
                if checkpoint is not None:
                    checkpoint.offer(self._state(training, schedule))
        return training

    def _program_for(
        self, images: np.ndarray | FeatureFile, epochs: int
    ) -> EpochProgram | StreamedProgram:
        """Return the program for images in a file, in memory, or in memory as patches."""
        if isinstance(images, FeatureFile):
            return StreamedProgram(self.program)
        fits = layout.UNFOLDED * images.nbytes <= self.memory_limit
        if fits and epochs >= PATCHES_PAY:
            return self.unfolded_program or self.program
        return self.program

    @contextmanager
    def _clock_reset(self) -> Iterator[None]:
        """Have another training begin at 0 seconds, also where this one fails."""
        try:
            yield
        finally:
            self.clock = Clock()

    def _state(self, training: Training, schedule: Schedule) -> State:
        """Return all that the next epochs depend on, and what is to be told of those before."""
        return State(told(training) | {"schedule": asdict(schedule)}, self.arrays())

    @contextmanager
    def undone_if_interrupted(self, schedule: Schedule) -> Iterator[None]:
        """Put weights, optimizer and schedule back to what they were if the block fails."""
        before = asdict(schedule), self.arrays()
        try:
            yield
        except BaseException:
            vars(schedule).update(before[0])
            self.assign(before[1])
            raise

    def _restore(self, state: State, training: Training, schedule: Schedule) -> None:
        """Go back to a state. The seconds of this start are added to those before."""
        about = state.about
        training.history[:] = about["history"]
        for name in ("diverged", "stopped_early", "learning_rate"):
            setattr(training, name, about[name])
        for name, seconds in about["seconds"].items():
            training.seconds[name] += seconds
        for name, value in about["schedule"].items():
            setattr(schedule, name, value)
        self.assign(state.arrays)

    def _variables(self) -> "list[keras.Variable]":
        """Return all that training changes, seeds of random layers included."""
        return [*self.model.variables, *self.optimizer.variables]

    def arrays(self) -> list[np.ndarray]:
        """Return copies of the values of all variables."""
        from keras import ops

        return [np.array(ops.convert_to_numpy(variable)) for variable in self._variables()]

    def assign(self, arrays: list[np.ndarray]) -> None:
        """Go back to what `arrays` gave."""
        for variable, array in zip(self._variables(), arrays, strict=True):
            variable.assign(array)

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
            program.compile(order, rest(order))
            if validation:
                self.predictor(validation.images[:1])

    def epoch(
        self,
        program: EpochProgram | StreamedProgram,
        order: np.ndarray,
        validation: Examples | None,
    ) -> dict[str, float]:
        """Train for one epoch and evaluate."""
        with self.clock("train"):
            row = prefixed("train", program(order))
        with self.clock("evaluation"):
            if validation:
                outputs = self.predictor(validation.images)
                values = evaluate(outputs, validation, self.loss, self.program.measures)
                row |= prefixed("validation", values)
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
    xla: bool | str = True,
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


@contextmanager
def written_if_interrupted(checkpoint: Checkpoint | None) -> Iterator[None]:
    """Have the newest state written where a training ends before its time, by Ctrl-C for one."""
    try:
        yield
    except BaseException:
        if checkpoint is not None:
            checkpoint.flush()
        raise


def _program(engine: str) -> type:
    """Return the class of program behind an engine."""
    if engine not in ENGINES:
        raise ValueError(f"engine must be one of {', '.join(ENGINES)}; got {engine!r}.")
    if engine == "compiled":
        return EpochProgram
    from boxest.training.keras_program import KerasProgram

    return KerasProgram
