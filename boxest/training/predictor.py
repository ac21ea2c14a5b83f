"""Apply a network to many images."""

import functools
import math
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import numpy as np

from boxest.system.backend import device
from boxest.training import layout
from boxest.training.backend import load
from boxest.training.layout import PART, grey_levels

if TYPE_CHECKING:
    import keras

# Images per call when only outputs are needed: enough to fill a GPU, few enough for a CPU's cache.
BATCH = {"cpu": 50, "gpu": 1000}
# Images per call where a program that XLA compiles for a CPU predicts such parts in a loop.
LOOP = 16 * PART
# Bytes of the images of a call, as float32: fewer images, if these are large.
CALL_BYTES = 2**28


def at_once(most: int, shape: tuple[int, ...]) -> int:
    """Return how many images or features of a shape to pass in a call, at most as many as given."""
    return max(1, min(most, CALL_BYTES // (4 * math.prod(shape))))


class Predictor:
    """Applies a network to many images.

    Parameters
    ----------
    model : keras.Model
        Its weights are read at each call.
    xla : bool or "auto", default=True
        Compile with XLA; "auto" where it is faster, see `layout.arrange`.
    whole : bool, default=False
        Keep the fixed layers in the program, because images that change in every epoch
        have to pass through them each time.
    """

    # Made on demand, because most of many networks in one program are never called.

    def __init__(self, model: "keras.Model", *, xla: bool | str = True, whole: bool = False):
        self.backend, self._model, self._asked, self._whole = load(), model, xla, whole
        self._batch = BATCH["cpu" if device() == "cpu" else "gpu"]

    @functools.cached_property
    def _arranged(self) -> tuple[layout.Split, bool]:
        return layout.arrange(self._model, self._asked, whole=self._whole)

    @functools.cached_property
    def _predict(self) -> Callable:
        return self.backend.compile(self._forward, xla=self.xla)

    @functools.cached_property
    def _apply_head(self) -> Callable:
        return self.backend.compile(self._forward_head, xla=self.xla)

    @property
    def head(self) -> "keras.Model | None":
        """The leading fixed layers; None if there are none."""
        return self._arranged[0].head

    @property
    def trunk(self) -> "keras.Model":
        """The layers after them."""
        return self._arranged[0].trunk

    @property
    def xla(self) -> bool:
        """Whether XLA compiles it."""
        return self.backend.ALWAYS_XLA or self._arranged[1]

    @property
    def _in_parts(self) -> bool:
        """Whether the program loops over parts of a batch, which takes half the time."""
        return self.xla and device() == "cpu"

    def _at_once(self, features: np.ndarray) -> int:
        """Return how many images one call predicts."""
        if not self._in_parts:
            return at_once(self._batch, features.shape[1:])
        return max(PART, at_once(LOOP, features.shape[1:]) // PART * PART)

    def features(self, images: np.ndarray) -> np.ndarray:
        """Apply the leading fixed layers to all images, once.

        Parameters
        ----------
        images : ndarray of bool, uint8 or float, shape (n, height, width, channels)

        Returns
        -------
        ndarray of uint8 or float32, shape (n, ...)
            The input of `__call__` and `EpochProgram`.
        """
        images = layout.resident(images)
        if self.head is None:
            return images
        size = at_once(self._batch, images.shape[1:])
        return self._in_batches(lambda batch, n: self._apply_head(batch), images, size)

    def __call__(self, features: np.ndarray) -> np.ndarray:
        """Return the outputs of the network, shape (n, 4), for the result of `features`."""
        values = [v.value for v in self.trunk.variables]
        predict = functools.partial(self._predict, values)
        return self._in_batches(predict, features, self._at_once(features))

    def of_blocks(self, blocks: Iterable[np.ndarray]) -> np.ndarray:
        """Return the outputs for blocks of images, which need not fit into memory together."""
        outputs, rest = [], None
        for block in blocks:
            features = self.features(block)
            rest = features if rest is None else np.concatenate([rest, features])
            # Only whole batches, so that the blocks make no difference.
            size = self._at_once(rest)
            n_whole = len(rest) // size * size
            if n_whole:
                outputs.append(self(rest[:n_whole]))
                rest = rest[n_whole:]
        if len(rest):
            outputs.append(self(rest))
        return np.concatenate(outputs)

    def use_programs_of(self, other: "Predictor") -> None:
        """Take the compiled programs of another network with the same layers; keep the weights."""
        self._predict, self._apply_head = other._predict, other._apply_head

    def _in_batches(self, program: Callable, rows: np.ndarray, size: int) -> np.ndarray:
        """Apply a compiled program to batches of rows and their number; the last is filled up."""
        put, outputs = self.backend.put, []
        for start in range(0, len(rows), size):
            batch = rows[start : start + size]
            n = len(batch)
            if n < size:
                batch = np.concatenate([batch, np.zeros((size - n, *rows.shape[1:]), rows.dtype)])
            outputs.append(self.backend.get(program(put(batch), put(np.int32(n))))[:n])
        return np.concatenate(outputs)

    def _forward(self, values, rows, n):
        """Return the outputs of a batch, of which the first ``n`` are needed."""
        from keras import KerasTensor, ops

        if not self._in_parts:
            return self._forward_part(values, rows)
        size, inner = rows.shape[0], tuple(rows.shape[1:])

        def part(start, outputs):
            some = ops.slice(rows, (start, *[0] * len(inner)), (PART, *inner))
            return start + PART, ops.slice_update(
                outputs, (start, *[0] * (len(outputs.shape) - 1)), self._forward_part(values, some)
            )

        shape = self.trunk.compute_output_spec(KerasTensor((size, *inner))).shape
        first = 0, ops.zeros(shape, "float32")
        return ops.while_loop(lambda start, _: start < n, part, first)[1]

    def _forward_part(self, values, rows):
        from keras import ops

        # Layers may be frozen in the network that gives the values, or after the compilation.
        by_variable = dict(zip(map(id, self.trunk.variables), values, strict=True))
        trainable, fixed = (
            [by_variable[id(variable)] for variable in part]
            for part in (self.trunk.trainable_variables, self.trunk.non_trainable_variables)
        )
        outputs, _ = self.trunk.stateless_call(trainable, fixed, grey_levels(rows), training=False)
        return ops.cast(outputs, "float32")

    def _forward_head(self, rows):
        from keras import ops

        if layout.keeps_grey_levels(self.head):
            return ops.cast(self.head(ops.cast(rows, "float32")), rows.dtype)
        return self.head(grey_levels(rows))
