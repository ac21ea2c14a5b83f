"""Short trial trainings, which all start with the same weights and leave no trace."""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from boxest.training.stream import StreamedProgram

if TYPE_CHECKING:
    from boxest.training.loop import Trainer
    from boxest.training.program import EpochProgram
    from boxest.training.record import Examples


class Step(NamedTuple):
    """Some updates at one learning rate, and the mean loss of their batches before the updates."""

    learning_rate: float
    loss: float
    updates: int


class Trials:
    """The trials that a search for a learning rate can make before a training begins.

    Every trial starts with the current weights and state of the optimizer, and restores them. All
    use the program of the training, so nothing is compiled for them.

    Parameters
    ----------
    trainer : Trainer
    program : EpochProgram or StreamedProgram
        Compiled, with its examples.
    begin : callable
        ``begin(1)`` begins the first epoch, and returns its order, an ndarray of int32, shape
        (steps, batch_size).
    validation : Examples or None

    Attributes
    ----------
    updates_per_epoch : int
    updates : int
        Made so far.
    """

    def __init__(
        self,
        trainer: "Trainer",
        program: "EpochProgram | StreamedProgram",
        begin: Callable[[int], np.ndarray],
        validation: "Examples | None",
    ):
        self.trainer, self.program = trainer, program
        self.begin, self.validation = begin, validation
        self.updates_per_epoch = len(begin(1))
        self.updates = 0

    def train(self, learning_rate: float, epochs: int) -> list[dict[str, float]]:
        """Train at a fixed rate; return the row of each epoch, up to a divergence.

        Returns
        -------
        list of dict
            ``train_loss`` and, with validation examples, ``validation_loss``, among others.
        """
        rows = []
        rates = np.full(self.updates_per_epoch, learning_rate)
        with self._trial():
            for epoch in range(1, epochs + 1):
                begun = self.begin(epoch)
                rows.append(self.trainer.epoch(self.program, begun, rates, self.validation))
                self.updates += self.updates_per_epoch
                if not math.isfinite(rows[-1]["train_loss"]):
                    break
        return rows

    def sweep(self, lowest: float, highest: float, n_rates: int) -> Iterator[Step]:
        """Train while the learning rate rises exponentially, and yield the loss at each rate.

        It takes one epoch, or as many as have ``n_rates`` updates. Everything is restored after the
        last loss, or when the iterator is closed.

        Parameters
        ----------
        lowest, highest : float
            The first and the last rate.
        n_rates : int
            How many rates, about: updates cannot be divided, nor be shared by two epochs.
        """
        epochs = -(-n_rates // self.updates_per_epoch)
        size = max(1, self.updates_per_epoch // n_rates)
        total, done = epochs * self.updates_per_epoch, 0
        with self._trial():
            for epoch in range(1, epochs + 1):
                for rows in self._pieces(self.begin(epoch), size):
                    rate = lowest * (highest / lowest) ** (done / max(total - size, 1))
                    with self.trainer.clock("train"):
                        loss = self._loss(rows, rate)
                    done += len(rows)
                    self.updates += len(rows)
                    yield Step(rate, loss, len(rows))

    def _pieces(self, order: np.ndarray, size: int) -> Iterator[np.ndarray]:
        """Cut an order into pieces of at least ``size`` steps, none of which spans two buffers."""
        steps = len(order)
        if isinstance(self.program, StreamedProgram):
            steps = self.program.steps
        for start in range(0, len(order), steps):
            buffer = order[start : start + steps]
            yield from np.array_split(buffer, max(1, len(buffer) // size))

    def _loss(self, rows: np.ndarray, rate: float) -> float:
        """Make the updates of a piece at one rate; return the mean loss."""
        if isinstance(self.program, StreamedProgram):
            return self.program(rows, np.full(len(rows), rate))["loss"]
        # Filled up to the shape of an epoch, it needs no separate program.
        missing = self.updates_per_epoch - len(rows)
        filled = np.pad(rows, ((0, missing), (0, 0)), constant_values=-1)
        rates = np.full(len(filled), rate)
        return self.program.means(self.program.sums(filled, rates, n_steps=len(rows)))["loss"]

    @contextmanager
    def _trial(self) -> Iterator[None]:
        """Restore everything for the training; Keras callbacks see none of the trials."""
        before, program = self.trainer.arrays(), getattr(self.program, "program", self.program)
        callbacks, program.callbacks = getattr(program, "callbacks", None), None
        try:
            yield
        finally:
            program.callbacks = callbacks
            self.trainer.assign(before)
