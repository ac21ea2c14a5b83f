"""Train step by step with plain Keras: like `EpochProgram`, but slower and easy to inspect."""

import functools
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from boxest.system.backend import assign, device, values_of
from boxest.training.backend import load
from boxest.training.program import EpochProgram, Measure, augmented, by_name

if TYPE_CHECKING:
    import keras

    from boxest.data.augmentation import Augmentation


class KerasProgram:
    """The updates of an epoch with `keras.Model.train_on_batch`, in the same order.

    Parameters
    ----------
    trunk, optimizer, loss, measures, xla, augmentation
        As for `boxest.training.program.EpochProgram`. On a CPU, a step is not compiled with XLA,
        which is slower there.

    Attributes
    ----------
    callbacks : keras.callbacks.CallbackList or None
        Told of every batch.
    """

    callbacks: "keras.callbacks.CallbackList | None" = None

    def __init__(
        self,
        trunk: "keras.Model",
        optimizer: "keras.Optimizer",
        loss: "keras.Loss",
        measures: Mapping[str, Measure],
        *,
        xla: bool,
        augmentation: "Augmentation | None" = None,
    ):
        import keras

        from boxest.training.graph import plain

        self.measured = by_name(loss, measures)
        self.network, self.optimizer = plain(trunk), optimizer
        self.network.compile(
            optimizer,
            loss,
            # Keras' own "loss" includes the network's penalties; a metric measures only the loss.
            weighted_metrics=[
                keras.metrics.MeanMetricWrapper(_in_single(function), name=f"mean_{name}")
                for name, function in self.measured.items()
            ],
            jit_compile=xla and device() != "cpu",
            auto_scale_loss=False,
        )

        augment = functools.partial(augmented, augmentation)
        self.augmentation = augmentation
        self._augmented = load().compile(augment, xla=xla) if augmentation else augment

    def put(
        self,
        features: np.ndarray,
        targets: np.ndarray,
        weights: np.ndarray,
        draws: np.ndarray | None = None,
    ) -> None:
        """Keep the training examples, with the random changes that `begin` draws, if known."""
        self.examples = features, targets, weights
        if draws is not None:
            self.examples += (draws,)
        else:
            self.begin(seed=0, epoch=0)

    def begin(self, *, seed: int, epoch: int) -> None:
        """Draw the random changes of the examples for an epoch."""
        if self.augmentation is not None:
            draws = self.augmentation.draw(len(self.examples[1]), seed=seed, epoch=epoch)
            self.examples = (*self.examples[:3], draws)

    close = EpochProgram.close

    def compile(self, order: np.ndarray, rest: int) -> None:
        """Compile the step, and undo its effect."""
        del rest  # The batches are not divided.
        variables = [*self.network.variables, *self.optimizer.variables]
        before = values_of(variables)
        self._step(order[0])
        assign(variables, before)

    __call__ = EpochProgram.__call__

    def sums(
        self, order: np.ndarray, rates: np.ndarray, *, n_steps: int, done: int = 0
    ) -> np.ndarray:
        """Make ``n_steps`` updates, of which the first has the number ``done`` in its epoch.

        Returns sums like `EpochProgram.sums`.
        """
        sums = np.zeros(1 + len(self.measured))
        for number, (batch, rate) in enumerate(zip(order[:n_steps], rates, strict=False), done):
            # A callback may set another rate, which then stays until the schedule changes it.
            if number == 0 or rate != self._rate:
                self.optimizer.learning_rate = float(rate)
            self._rate = rate
            if self.callbacks:
                self.callbacks.on_train_batch_begin(number)
            weight, values = self._step(batch)
            sums += weight * np.append(1.0, values)
            if self.callbacks:
                self.callbacks.on_train_batch_end(
                    number, dict(zip(self.measured, values, strict=True))
                )
        return sums

    means = EpochProgram.means

    def _step(self, batch: np.ndarray) -> tuple[float, np.ndarray]:
        """Make one update; return the weight of the batch and its weighted means."""
        rows = batch[batch >= 0]
        features, targets, weights, *draws = (values[rows] for values in self.examples)
        features, targets = self._augmented(features, targets, *draws)
        total = float(weights.sum(dtype=np.float64))
        self.network.reset_metrics()
        logs = self.network.train_on_batch(features, targets, weights, return_dict=True)
        return total, np.array([float(logs[f"mean_{name}"]) for name in self.measured])


def _in_single(function: Measure) -> Measure:
    """Return a measure that also takes outputs in another precision; a loss of Keras casts them."""
    from keras import ops

    def measure(y_true, y_pred):
        return function(y_true, ops.cast(y_pred, "float32"))

    return measure
