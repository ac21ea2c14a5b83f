"""The loop over epochs for many runs at once."""

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from boxest.data.augmentation import N_DRAWS
from boxest.training.checkpoint import Checkpoint, State, written_if_interrupted
from boxest.training.clock import Clock
from boxest.training.order import epoch_order
from boxest.training.record import Training, prefixed, weighted_means
from boxest.training.schedule import Schedule

if TYPE_CHECKING:
    from boxest.data.augmentation import Augmentation
    from boxest.training.stack import Stack

_EACH_EPOCH = ("train", "evaluation")


@dataclass
class Run:
    """The state of one run among many.

    Parameters
    ----------
    schedule : Schedule
    epochs, seed : int
        Epochs at most, and seed of the order of examples.
    rows, held_out : ndarray of int
        Examples of the stack that it trains on, and validation examples that it is evaluated on.
    held_out_weights : ndarray
        The weights of the latter.
    restore_best : bool, default=False
        Whether the state after the epoch with the smallest validation loss is kept.

    Attributes
    ----------
    best : tuple of lists of ndarray, or None
        That state, as `Stack.state` gives it, once there is one.
    """

    schedule: Schedule
    epochs: int
    seed: int
    rows: np.ndarray
    held_out: np.ndarray
    held_out_weights: np.ndarray
    restore_best: bool = False
    training: Training = field(default_factory=Training)
    best: tuple[list, list, list] | None = None

    @property
    def goes_on(self) -> bool:
        """Whether the run has another epoch."""
        return len(self.training.history) < self.epochs and not self.training.ended

    def rates(self, steps: int) -> np.ndarray:
        """Return the learning rates of the next epoch."""
        done = len(self.training.history)
        return self.schedule.rates(done, epochs=self.epochs, steps=steps, updates=done * steps)

    def order(self, batch_size: int) -> np.ndarray:
        """Draw the order of the next epoch, the same as for the run alone."""
        epoch = len(self.training.history) + 1
        order = epoch_order(len(self.rows), batch_size, seed=self.seed, epoch=epoch)
        return np.where(order < 0, -1, self.rows[order]).astype(np.int32)

    def draws(self, augmentation: "Augmentation", n_examples: int) -> np.ndarray:
        """Draw the random changes of its examples, among all in the stack, for the next epoch."""
        epoch, draws = len(self.training.history) + 1, np.zeros((n_examples, N_DRAWS), np.float32)
        draws[self.rows] = augmentation.draw(len(self.rows), seed=self.seed, epoch=epoch)
        return draws


def train_many(
    stack: "Stack",
    runs: Sequence[Run],
    *,
    batch_size: int,
    clock: Clock,
    report: Callable[[list[Run]], None] | None = None,
    checkpoint: Checkpoint | None = None,
    fingerprint: dict[str, Any] | None = None,
) -> None:
    """Train all runs of a stack to their end, each like `Trainer.run` alone.

    Parameters
    ----------
    stack : Stack
        Compiled.
    runs : sequence of Run
        In the order of the stack. The result goes into each one's `training`. The seconds of an
        epoch are divided among the runs that it trained.
    batch_size : int
        Examples per update.
    clock : Clock
        Measures the time.
    report : callable, optional
        Called after each epoch with the runs that it trained.
    checkpoint, fingerprint : optional
        As for `boxest.training.loop.Trainer.run`; the state is that of all runs.
    """
    if checkpoint is not None and (state := checkpoint.begin(fingerprint)):
        _restore(state, stack, runs, clock)
    with written_if_interrupted(checkpoint):
        while (places := np.flatnonzero([run.goes_on for run in runs])).size:
            active = [runs[place] for place in places]
            _train_epoch(stack, places, active, batch_size, clock)
            if report is not None:
                report(active)
            if checkpoint is not None:
                checkpoint.offer(_state(stack, runs, clock))
            epochs_left = max(run.epochs - len(run.training.history) for run in active)
            n_left = sum(run.goes_on for run in active)
            seconds_left = epochs_left * clock.last["train"]
            with clock("compile"):
                stack.narrow(n_left, seconds_left)
    for place, run in enumerate(runs):
        run.training.check_weights(stack.state(place)[0])
        run.training.seconds = _seconds(run, len(runs), clock)


def _train_epoch(
    stack: "Stack", places: np.ndarray, active: list[Run], batch_size: int, clock: Clock
) -> None:
    """Train these runs of a stack for an epoch, and add a row to the history of each."""
    names = stack.program.measured
    with clock("train"):
        orders = np.stack([run.order(batch_size) for run in active])
        rates = np.stack([run.rates(orders.shape[1]) for run in active])
        draws = None
        if (augmentation := stack.program.augmentation) is not None:
            n_examples = len(stack.examples[1])
            draws = np.stack([run.draws(augmentation, n_examples) for run in active])
        sums = stack.train(places, rates, orders, draws)
    with clock("evaluation"):
        rows = np.stack([run.held_out for run in active])
        values = stack.evaluate(places, rows) if rows.size else [()] * len(active)
    shares = {f"{name}_seconds": clock.last[name] / len(active) for name in _EACH_EPOCH}
    for place, run, own_rates, own_sums, own_values in zip(
        places, active, rates, sums, values, strict=True
    ):
        epoch = len(run.training.history) + 1
        row = {
            "epoch": epoch,
            "learning_rate_now": float(own_rates[0]),
            "updates": epoch * orders.shape[1],
        }
        row |= prefixed("train", stack.program.means(own_sums))
        means = weighted_means(dict(zip(names, own_values, strict=False)), run.held_out_weights)
        row |= prefixed("validation", means)
        run.training.history.append(row | shares)
        if run.restore_best and run.training.improved():
            run.best = stack.state(place)
        run.training.check_end(run.schedule, stop=False, last=epoch == run.epochs)


def _seconds(run: Run, n_runs: int, clock: Clock) -> dict[str, float]:
    """Return a run's share of the time."""
    seconds = {name: clock.seconds[name] / n_runs for name in ("data", "compile")}
    for name in _EACH_EPOCH:
        seconds[name] = sum(row[f"{name}_seconds"] for row in run.training.history)
    return seconds


def _state(stack: "Stack", runs: Sequence[Run], clock: Clock) -> State:
    """Return everything that the next epochs depend on, and the results so far."""
    about = [run.training.state(run.schedule) for run in runs]
    best = [array for run in runs for part in run.best or () for array in part]
    return State({"runs": about, "seconds": dict(clock.seconds)}, [*stack.arrays(), *best])


def _restore(state: State, stack: "Stack", runs: Sequence[Run], clock: Clock) -> None:
    """Restore a state. The seconds of this start are added to the previous ones."""
    arrays = iter(state.arrays)
    stack.set_arrays(list(itertools.islice(arrays, len(stack.arrays()))))
    for place, (run, about) in enumerate(zip(runs, state.about["runs"], strict=True)):
        run.training.restore(about, run.schedule)
        if run.training.best_epoch is not None:
            form = stack.state(place)
            run.best = tuple([next(arrays) for _ in part] for part in form)
    for name, seconds in state.about["seconds"].items():
        clock.seconds[name] += seconds
