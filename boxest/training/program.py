"""The compiled program that makes all updates of an epoch in one call."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from boxest.system.backend import device
from boxest.training import layout
from boxest.training.backend import load
from boxest.training.layout import PART, grey_levels

if TYPE_CHECKING:
    import keras

    from boxest.data.augmentation import Augmentation

Measure = Callable[[Any, Any], Any]


def augmented(augmentation: "Augmentation | None", rows, targets, draws=None):
    """Return rows as input for the network, with the drawn changes, and their targets."""
    from keras import backend

    images = grey_levels(rows)
    if augmentation is None:
        return images, targets
    in_levels = backend.standardize_dtype(rows.dtype) == "uint8"
    return augmentation.apply(images, targets, draws, grey_levels=in_levels)


def in_parts(order: np.ndarray, size: int | None) -> np.ndarray:
    """Cut each batch of an order into parts; the last part is filled up with -1.

    Parameters
    ----------
    order : ndarray of int32, shape (steps, batch_size)
    size : int or None
        Examples per part; None, or a batch that is not larger, gives one part.

    Returns
    -------
    ndarray of int32, shape (steps, parts, size)
    """
    steps, batch_size = order.shape
    if size is None or batch_size <= size:
        return order[:, np.newaxis]
    order = np.pad(order, ((0, 0), (0, -batch_size % size)), constant_values=-1)
    return order.reshape(steps, -1, size)


def by_name(loss: "keras.Loss", measures: Mapping[str, Measure]) -> dict[str, Measure]:
    """Return what is measured, in the order and with the names of the history."""
    return {"loss": loss.call, **measures}


def rest(order: np.ndarray) -> int:
    """Return the size of the last batch of an epoch, or 0 if it is as full as the others."""
    n_last = int(np.count_nonzero(order[-1] >= 0))
    return n_last if n_last < order.shape[1] else 0


class EpochProgram:
    """All updates of one epoch in one compiled call.

    The examples are on the device. An epoch takes their order, and returns sums of the loss and of
    the measures over the examples. As in Keras, each batch is measured before its update.

    Parameters
    ----------
    trunk : keras.Model
        The part of the network that learns.
    optimizer : keras.Optimizer
        Built for the variables of the trunk. Any Keras optimizer.
    loss : keras.Loss
        Its ``call`` gives a loss per example.
    measures : mapping of str to function
        ``function(y_true, y_pred)`` gives a number per example.
    xla : bool
        Compile with XLA.
    augmentation : Augmentation or None, default=None
        How each epoch changes the examples.
    """

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
        self.backend = load()
        self.trunk, self.optimizer, self.loss = trunk, optimizer, loss
        self.measures, self.measured = measures, by_name(loss, measures)
        self.augmentation = augmentation
        # A batch normalisation needs the whole batch, and nothing else; so may a user's loss.
        has_code_of_a_user = layout.has_code_of_a_user(trunk) or layout.is_of_a_user(loss)
        self.sees_the_batch = has_code_of_a_user or layout.sees_the_batch(trunk)
        # Without XLA, a program takes batches of any size. A user's code may need a known one.
        self.takes_any_size = self.sees_the_batch and not (xla or has_code_of_a_user)
        self.rest = 0
        # Pairs of a variable of the other network, which learns, and the variable here.
        self.pairs: Sequence[tuple[keras.Variable, keras.Variable]] = ()
        # A GPU also takes the whole batch at once.
        whole = device() != "cpu" or self.sees_the_batch
        self.part = None if whole else PART
        self._epoch = self.backend.compile_epoch(self, xla=xla)

    def put(
        self,
        features: np.ndarray,
        targets: np.ndarray,
        weights: np.ndarray,
        draws: np.ndarray | None = None,
    ) -> None:
        """Put the training examples on the device, with the changes from `begin`, if known."""
        self.examples = (self._put(features), *map(self.backend.put, (targets, weights)))
        if draws is not None:
            self.examples += (self.backend.put(draws),)
        else:
            self.begin(seed=0, epoch=0)

    def _put(self, features: np.ndarray) -> Any:
        return self.backend.put(features)

    def begin(self, *, seed: int, epoch: int) -> None:
        """Draw the random changes of the examples for an epoch."""
        if self.augmentation is not None:
            n = self.examples[1].shape[0]
            draws = self.augmentation.draw(n, seed=seed, epoch=epoch)
            self.examples = (*self.examples[:3], self.backend.put(draws))

    def close(self) -> None:
        """Release the training examples, which may take much memory."""
        self.examples = None

    def compile(self, order: np.ndarray, rest: int) -> None:
        """Compile for orders of this shape, with `rest` as for the epoch, without an update."""
        self.rest = rest
        self.sums(order, np.zeros(len(order)), n_steps=0)

    def __call__(self, order: np.ndarray, rates: np.ndarray) -> dict[str, float]:
        """Train for one epoch.

        Parameters
        ----------
        order : ndarray of int32, shape (steps, batch_size)
            As from `epoch_order`.
        rates : ndarray of float, shape (steps,)
            The learning rate of each update. The optimizer keeps the last one.

        Returns
        -------
        dict
            Weighted means over the examples: ``loss``, and one item per measure.
        """
        return self.means(self.sums(order, rates, n_steps=len(order)))

    def sums(
        self, order: np.ndarray, rates: np.ndarray, *, n_steps: int, done: int = 0
    ) -> np.ndarray:
        """Make ``n_steps`` updates; with 0, the same program is only compiled.

        ``done`` updates of the epoch came before; `KerasProgram` needs their number.

        Returns
        -------
        ndarray of float64
            Sums over the examples: of the weights, then of weight × loss and × each measure.
        """
        put = self.backend.put
        pieces = [
            (put(in_parts(rows, self.part)), put(some_rates), put(np.int32(n)))
            for rows, some_rates, n in self.pieces(order, rates, n_steps)
        ]
        for theirs, own in self.pairs:
            own.assign(theirs)
        sums = self.backend.get(self._epoch(self.examples, pieces)).astype(np.float64)
        for theirs, own in self.pairs:
            theirs.assign(own)
        return sums

    def pieces(
        self, order: np.ndarray, rates: np.ndarray, n_steps: int
    ) -> list[tuple[np.ndarray, np.ndarray, int]]:
        """Divide an epoch's order into the pieces over which the compiled program loops.

        A smaller last batch is filled up with examples of weight 0, so it needs no separate
        program. If the network sees the whole batch, it would see these as well. In that case, they
        are left out by a program that takes batches of any size; in another one, the last update is
        a second loop, with one step or none, over the actual examples.

        Parameters
        ----------
        order : ndarray of int32, shape (..., steps, batch_size)
            Of one run, or of several that end with batches of one size.
        rates : ndarray of float, shape (..., steps)
        n_steps : int

        Returns
        -------
        list of (ndarray of int32, (..., steps, examples), ndarray of float32, (..., steps), int)
            Orders, the rate of each of their steps, and how many of these are made.
        """
        rates = np.asarray(rates, np.float32)
        if self.takes_any_size or not (self.sees_the_batch and self.rest):
            return [(order, rates, n_steps)]
        at = max(n_steps - 1, 0)
        last = order[..., at : at + 1, :]
        partial = int(n_steps > 0 and bool((last[..., -1] < 0).all()))
        return [
            (order, rates, n_steps - partial),
            (last[..., : self.rest], rates[..., at : at + 1], partial),
        ]

    def means(self, sums: np.ndarray) -> dict[str, float]:
        """Return the means that belong to `sums`, by name."""
        with np.errstate(invalid="ignore"):
            return dict(zip(self.measured, (sums[1:] / sums[0]).tolist(), strict=True))

    # The backends' `compile_epoch` calls the following methods inside the compiled program.

    def no_sums(self):
        """Return the sums of no batch."""
        from keras import ops

        return ops.zeros((1 + len(self.measured),), "float32")

    def extent(self, batch):
        """Return the number of parts of a batch with an example, and the number of examples."""
        from keras import ops

        there = ops.cast(batch >= 0, "int32")
        return ops.sum(there[:, 0]), ops.sum(there)

    def part_of(self, examples, indices):
        """Gather a part of a batch. An entry of -1 in the order is no example, and has weight 0."""
        from keras import ops

        rows = ops.maximum(indices, 0)
        features, targets, weights, *draws = (ops.take(x, rows, axis=0) for x in examples)
        features, targets = augmented(self.augmentation, features, targets, *draws)
        return features, targets, ops.where(indices >= 0, weights, 0.0)

    def objective(self, outputs, penalties, targets, weights, extent):
        """Return the contribution of a part to the objective and to the sums.

        The objective is the sum of weight × loss over the batch, divided by the number of examples,
        as in Keras, plus the network's own penalties.
        """
        from keras import ops

        n_parts, n_examples = extent
        # A network may compute in another precision; like Keras, compute the loss in this one.
        outputs = ops.cast(outputs, "float32")
        values = [function(targets, outputs) for function in self.measured.values()]
        sums = ops.stack([ops.sum(weights), *(ops.sum(weights * value) for value in values)])
        loss = sums[1] / ops.cast(n_examples, "float32")
        return loss + sum(penalties) / ops.cast(n_parts, "float32"), sums


class UnfoldedProgram(EpochProgram):
    """The same for the trunk of `graph.unfolded`: the patches are cut only once."""

    def _put(self, features: np.ndarray) -> Any:
        from keras import ops

        from boxest.training import fused

        # Block by block, because patches take most of the memory, and must not do so three times.
        return ops.concatenate([self.backend.put(block) for block in fused.patches(features)])
