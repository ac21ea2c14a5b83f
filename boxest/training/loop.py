"""The loop over epochs."""

import functools
import math
import weakref
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np

from boxest.system import runtime
from boxest.system.backend import assign, values_of
from boxest.training import layout, shared
from boxest.training.checkpoint import Checkpoint, State, written_if_interrupted
from boxest.training.clock import Clock
from boxest.training.order import epoch_order
from boxest.training.predictor import Predictor
from boxest.training.program import EpochProgram, Measure, rest
from boxest.training.record import (
    Examples,
    Settings,
    Training,
    Watcher,
    prefixed,
    weighted_means,
)
from boxest.training.schedule import Schedule
from boxest.training.shared import Programs
from boxest.training.stream import FeatureFile, StreamedProgram, buffered_order, keep
from boxest.training.trials import Trials

if TYPE_CHECKING:
    import keras

    from boxest.data.augmentation import Augmentation

ENGINES = ("compiled", "keras")
# From this number of epochs on, cutting images into patches in advance saves time.
PATCHES_PAY = 3


class Trainer:
    """A network with its compiled programs, for one training or several successive ones.

    Parameters
    ----------
    model : keras.Model
        Built; trained in place.
    loss : keras.Loss
        Any loss whose ``call`` returns a loss per example.
    optimizer : keras.Optimizer
        Built for the model, with a number as its learning rate, which the schedule sets.
    measures : mapping of str to function, optional
        ``function(y_true, y_pred)``, a number per example, for numpy arrays and Keras tensors.
    xla : bool or "auto", default=True
        Compile with XLA; "auto" where it is faster, see `layout.arrange`.
    engine : {"compiled", "keras"}, default="compiled"
        "compiled" makes one compiled call per epoch, "keras" one plain Keras step per batch, with
        the same results, but more slowly.
    memory_limit : float, default=inf
        Largest number of bytes of prepared images. Larger data are kept in a temporary file, and
        read one buffer at a time.
    augmentation : Augmentation or None, default=None
        How each epoch changes images and boxes.
    kind : hashable, optional
        Identifies the layers of the model and all settings above. Successive trainings of the same
        kind share compiled programs; None means separate programs.
    new : callable, optional
        With a kind: ``new()`` returns a model and its optimizer, built like the given ones.
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
        kind: Hashable | None = None,
        new: "Callable[[], tuple[keras.Model, keras.Optimizer]] | None" = None,
    ):
        self.clock = Clock()
        self.model, self.optimizer = model, optimizer
        self.memory_limit = memory_limit
        # All variables after the best epoch, once there is one.
        self._best: list[np.ndarray] = []
        self._kind, self._new = kind, new
        self._settings = {
            "program_class": _program(engine),
            "xla": xla,
            "loss": loss,
            "measures": dict(measures or {}),
            "augmentation": augmentation,
        }
        self.predictor = Predictor(model, xla=xla, whole=augmentation is not None)
        if kind is not None:
            self.predictor.use_programs_of(self._programs.predictor)

    @functools.cached_property
    def _programs(self) -> Programs:
        """The compiled programs, from now on used by this training."""
        if self._kind is None:
            return Programs(self.model, self.optimizer, **self._settings)
        programs = shared.WAITING.take(self._kind, lambda: Programs(*self._new(), **self._settings))
        programs.serve(self.model, self.optimizer)
        # Also if this training fails: what is compiled stays in memory as long as the process.
        self._release = weakref.finalize(self, shared.WAITING.give_back, self._kind, programs)
        self._release.atexit = False
        return programs

    def close(self) -> None:
        """Release the compiled programs to the next training of the same kind."""
        if self._kind is not None and "_programs" in vars(self):
            self._release()
            del self._programs

    @property
    def program(self) -> EpochProgram:
        """The program that trains for an epoch, made on demand."""
        with self.clock("data"):
            return self._programs.program

    def features(self, blocks: Iterable[np.ndarray]) -> np.ndarray | FeatureFile:
        """Apply the layers without weights to blocks of images, once."""
        with self.clock("data"):
            return keep(map(self.predictor.features, blocks), self.memory_limit)

    def run(
        self,
        examples: Examples,
        validation: Examples | None = None,
        *,
        schedule: Schedule,
        settings: Settings,
        watchers: Sequence[Watcher] = (),
        checkpoint: Checkpoint | None = None,
        fingerprint: dict[str, Any] | None = None,
        find_rate: Callable[[Trials], float] | None = None,
    ) -> Training:
        """Train on examples whose images are `features`.

        With a checkpoint, the training resumes from the state with the same fingerprint, if there
        is one. If given, ``find_rate`` finds the initial rate of the schedule; a state includes it.
        The schedule follows the validation loss, or the training loss if there is no validation.

        A row of the history has ``epoch`` (from 1), ``learning_rate_now`` (of its first update),
        ``train_loss``, ``train_<measure>``, ``validation_loss``, ``validation_<measure>``,
        ``updates`` (since the start), ``train_seconds`` and ``evaluation_seconds``. Training values
        are means over the epoch, with each batch evaluated before its update, as in Keras.
        """
        training = Training(seconds=self.clock.seconds)
        draw = epoch_order
        if isinstance(examples.images, FeatureFile):
            draw = functools.partial(buffered_order, row_bytes=examples.images.row_bytes)
        draw = functools.partial(draw, len(examples.images), settings.batch_size)
        order = functools.partial(draw, seed=settings.seed)
        program = self._program_for(examples.images, settings.epochs)
        self._best = []

        def begin(epoch: int) -> np.ndarray:
            program.begin(seed=settings.seed, epoch=epoch)
            return order(epoch=epoch)

        with closing(program), written_if_interrupted(checkpoint):
            self._load(program, examples, validation, order(epoch=1))
            if checkpoint is not None and (state := checkpoint.begin(fingerprint)):
                self._restore(state, training, schedule)
                for watcher in watchers:
                    watcher.resume(training.history)
            else:
                if find_rate is not None:
                    schedule.learning_rate = find_rate(Trials(self, program, begin, validation))
                training.learning_rate = schedule.learning_rate
            while len(training.history) < settings.epochs and not training.ended:
                self._next_epoch(program, begin, validation, training, schedule, settings, watchers)
                if checkpoint is not None:
                    checkpoint.offer(self._state(training, schedule))
            if settings.epochs:
                training.check_weights(values_of(self.model.trainable_variables))
                self._finish()
        return training

    def _next_epoch(
        self,
        program: EpochProgram | StreamedProgram,
        begin: Callable[[int], np.ndarray],
        validation: Examples | None,
        training: Training,
        schedule: Schedule,
        settings: Settings,
        watchers: Sequence[Watcher],
    ) -> None:
        """Run the next epoch, with everything before and after it."""
        done = len(training.history)
        epoch = settings.epochs_before + done + 1
        batches = begin(epoch)
        steps = len(batches)
        updates = settings.updates_before + done * steps
        rates = functools.partial(
            schedule.rates, done, epochs=settings.epochs, steps=steps, updates=updates
        )
        with self.rate_from(schedule, rates()[0]):
            for watcher in watchers:
                watcher.begin(epoch)
        about = {"epoch": epoch, "learning_rate_now": float(rates()[0]), "updates": updates + steps}
        with self.rate_from(schedule, rates()[-1]):
            row = about | self.epoch(program, batches, rates(), validation, watchers)
            training.history.append(row)
            if settings.restore_best and training.improved():
                self._best = self.arrays()
            stops = [watcher.end(row) for watcher in watchers]
        training.check_end(schedule, stop=any(stops), last=done + 1 == settings.epochs)

    def _finish(self) -> None:
        """Restore the best epoch if wanted, and end with the averages that Keras would leave."""
        if self._best:
            self.assign(self._best)
            self._best = []
        self.optimizer.finalize_variable_values(self.model.trainable_variables)

    def _program_for(
        self, images: np.ndarray | FeatureFile, epochs: int
    ) -> EpochProgram | StreamedProgram:
        """Return the program for images in a file, in memory, or in memory as patches."""
        if isinstance(images, FeatureFile):
            return StreamedProgram(self.program)
        fits = layout.UNFOLDED * images.nbytes <= self.memory_limit
        if fits and epochs >= PATCHES_PAY:
            with self.clock("data"):
                unfolded = self._programs.unfolded
            return unfolded or self.program
        return self.program

    def _state(self, training: Training, schedule: Schedule) -> State:
        """Return everything that the next epochs depend on, and the results so far."""
        return State(training.state(schedule), [*self.arrays(), *self._best])

    @contextmanager
    def undone_if_interrupted(self, schedule: Schedule) -> Iterator[None]:
        """Restore weights, optimizer and schedule if the block fails."""
        before = asdict(schedule), self.arrays()
        try:
            yield
        except BaseException:
            vars(schedule).update(before[0])
            self.assign(before[1])
            raise

    def _restore(self, state: State, training: Training, schedule: Schedule) -> None:
        training.restore(state.about, schedule)
        n_variables = len(self._variables())
        self.assign(state.arrays[:n_variables])
        self._best = state.arrays[n_variables:]

    def _variables(self) -> "list[keras.Variable]":
        """Return all variables that training changes, including seeds of random layers."""
        return [*self.model.variables, *self.optimizer.variables]

    def arrays(self) -> list[np.ndarray]:
        """Return copies of the values of all variables."""
        return values_of(self._variables())

    def assign(self, arrays: list[np.ndarray]) -> None:
        """Restore the result of `arrays`."""
        assign(self._variables(), arrays)

    def _load(
        self,
        program: EpochProgram | StreamedProgram,
        examples: Examples,
        validation: Examples | None,
        order: np.ndarray,
    ) -> None:
        """Put the examples on the device and compile, without an update."""
        with self.clock("data"):
            # With mean 1, so that the steps are as long as with examples of weight 1.
            weights = examples.weights / np.mean(examples.weights, dtype=np.float64)
            program.put(
                examples.images, examples.targets.astype(np.float32), weights.astype(np.float32)
            )
        with self.clock("compile"):
            program.compile(order, rest(order))
            if validation:
                self.predictor(validation.images[:1])
                targets = validation.targets
                self._programs.measure(targets, targets.astype(np.float32))
            runtime.keep_compiled_programs()

    def epoch(
        self,
        program: EpochProgram | StreamedProgram,
        order: np.ndarray,
        rates: np.ndarray,
        validation: Examples | None,
        watchers: Sequence[Watcher] = (),
    ) -> dict[str, float]:
        """Train for one epoch and evaluate."""
        with self.clock("train"):
            row = prefixed("train", program(order, rates))
        with self.clock("evaluation"):
            if validation:
                for watcher in watchers:
                    watcher.begin_evaluation()
                outputs = self.predictor(validation.images)
                values = self._programs.measure(validation.targets, outputs)
                means = weighted_means(values, validation.weights)
                for watcher in watchers:
                    watcher.end_evaluation()
                row |= prefixed("validation", means)
        return row | {f"{name}_seconds": self.clock.last[name] for name in ("train", "evaluation")}

    @contextmanager
    def rate_from(self, schedule: Schedule, rate: float) -> Iterator[None]:
        """Set the learning rate; if the block sets another one, the schedule takes it over."""
        self.optimizer.learning_rate = float(rate)
        before = float(self.optimizer.learning_rate)
        yield
        # Programs take rates in single precision, and the optimizer keeps them in the type of
        # `floatx`; an unchanged rate must not take over their rounding.
        after = float(self.optimizer.learning_rate)
        if np.float32(after) == np.float32(before):
            return
        if schedule.varies:
            raise ValueError(
                f"A callback set the learning rate to {after:g}, but here the schedule changes it "
                "at every update. Use either the schedule without this callback, or "
                "schedule='constant' without warmup_epochs and without a Keras schedule."
            )
        schedule.learning_rate = after


def _program(engine: str) -> type:
    """Return the class of program for an engine."""
    if engine not in ENGINES:
        raise ValueError(f"engine must be one of {', '.join(ENGINES)}; got {engine!r}.")
    if engine == "compiled":
        return EpochProgram
    from boxest.training.keras_program import KerasProgram

    return KerasProgram
