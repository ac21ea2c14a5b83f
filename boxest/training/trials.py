"""Trainings for a look: each begins with the same weights, and leaves no trace."""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from boxest.training.stream import StreamedProgram, buffer_size

if TYPE_CHECKING:
    from boxest.training.loop import Trainer
    from boxest.training.program import EpochProgram
    from boxest.training.record import Examples


class Step(NamedTuple):
    """Some updates at one learning rate, and the mean loss of their batches before them."""

    learning_rate: float
    loss: float
    updates: int


class Trials:
    """What a search for a learning rate may do with a training that is about to begin.

    Every trial begins with the weights and the state of the optimizer that are there, and puts them
    back. All use the program of the training: nothing is compiled for them.

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
        """Train with a fixed rate; return the row of each epoch, up to one that diverged.

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

        It takes an epoch, or as many whole ones as have ``n_rates`` updates. All is put back when
        the last one was yielded, or the iterator is closed.

        Parameters
        ----------
        lowest, highest : float
            The rates at the begin and at the end.
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
        """Cut an order into pieces of ``size`` steps or a few more, none of two buffers."""
        steps = len(order)
        if isinstance(self.program, StreamedProgram):
            steps = buffer_size(order.shape[1]) // order.shape[1]
        for start in range(0, len(order), steps):
            buffer = order[start : start + steps]
            yield from np.array_split(buffer, max(1, len(buffer) // size))

    def _loss(self, rows: np.ndarray, rate: float) -> float:
        """Make the updates of a piece at one rate; return the mean loss."""
        if isinstance(self.program, StreamedProgram):
            return self.program(rows, np.full(len(rows), rate))["loss"]
        # Filled up to the form of an epoch, it needs no program of its own.
        missing = self.updates_per_epoch - len(rows)
        filled = np.pad(rows, ((0, missing), (0, 0)), constant_values=-1)
        rates = np.full(len(filled), rate)
        return self.program.means(self.program.sums(filled, rates, n_steps=len(rows)))["loss"]

    @contextmanager
    def _trial(self) -> Iterator[None]:
        """Have the training find everything as it was; Keras callbacks see none of this."""
        before, program = self.trainer.arrays(), getattr(self.program, "program", self.program)
        callbacks, program.callbacks = getattr(program, "callbacks", None), None
        try:
            yield
        finally:
            program.callbacks = callbacks
            self.trainer.assign(before)
