"""Train on more examples than fit into memory, one shuffled part at a time.

The features that the network learns from (the output of the layers without weights) are written
once to a temporary file. An epoch reads them in buffers of several randomly drawn blocks, and
trains on the examples of a buffer in random order while the next buffer is read.
"""

import itertools
import math
import tempfile
import weakref
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from boxest.training.keras_program import KerasProgram
    from boxest.training.program import EpochProgram

# Number of examples in memory at a time (BUFFER), and smallest number of consecutive examples that
# are read at once (BLOCK). An epoch shuffles the examples of one buffer, whose blocks come from
# anywhere.
BUFFER = 16_384
BLOCK = 512
# Bytes of a buffer, which has fewer examples if they are large.
BUFFER_BYTES = 2**28


class FeatureFile:
    """Features of many images in a temporary file, which is deleted with this object.

    It is used like an array: slices are arrays, and an array of row numbers gives another file.

    Parameters
    ----------
    blocks : iterable of ndarray, shape (n, ...)
        Features in any number of pieces, of one dtype and shape.
    """

    def __init__(self, blocks: Iterable[np.ndarray]):
        self._file = tempfile.TemporaryFile(prefix="boxest-")  # noqa: SIM115 -- it is kept
        weakref.finalize(self, self._file.close)
        n_rows = 0
        for block in blocks:
            # As bytes, because numpy gives no view of types of its extensions, such as bfloat16.
            self._write(np.ascontiguousarray(block).view(np.uint8).data)
            self.dtype, self.shape = block.dtype, block.shape
            n_rows += len(block)
        self.shape = (n_rows, *self.shape[1:])

    def _write(self, content: memoryview) -> None:
        try:
            self._file.write(content)
            self._file.flush()
        except OSError as error:
            raise OSError(
                error.errno,
                f"{error.strerror}: the prepared images are kept in a file there. Free some "
                "space, set TMPDIR to another directory, or raise memory_limit",
                tempfile.gettempdir(),
            ) from error

    def __len__(self) -> int:
        return self.shape[0]

    @property
    def row_bytes(self) -> int:
        """The bytes of the features of an image."""
        return self.dtype.itemsize * math.prod(self.shape[1:])

    def __getitem__(self, rows: "slice | np.ndarray") -> "np.ndarray | FeatureFile":
        """Read consecutive rows, or copy rows by their increasing numbers into another file."""
        if isinstance(rows, slice):
            start, stop, _ = rows.indices(len(self))
            self._file.seek(start * self.row_bytes)
            content = self._file.read((stop - start) * self.row_bytes)
            return np.frombuffer(content, self.dtype).reshape(-1, *self.shape[1:])
        block = block_size(1, self.row_bytes)
        edges = np.arange(0, len(self), block)
        pieces = zip(edges, np.split(rows, np.searchsorted(rows, edges[1:])), strict=True)
        return FeatureFile(self[start : start + block][piece - start] for start, piece in pieces)


def keep(blocks: Iterable[np.ndarray], limit: float) -> "np.ndarray | FeatureFile":
    """Collect blocks of features in one array, or in a file if they exceed a limit.

    Parameters
    ----------
    blocks : iterable of ndarray, shape (n, ...)
    limit : float
        Bytes.
    """
    blocks, kept, size = iter(blocks), [], 0
    for block in blocks:
        kept.append(block)
        size += block.nbytes
        if size > limit:
            return FeatureFile(itertools.chain(kept, blocks))
    return np.concatenate(kept)


def block_size(batch_size: int, row_bytes: int = 1) -> int:
    """Return the number of examples to read at once: whole batches, about `BLOCK` or fewer."""
    at_most = BUFFER_BYTES // (BUFFER // BLOCK) // row_bytes
    return batch_size * -(-max(1, min(BLOCK, at_most)) // batch_size)


def buffer_size(batch_size: int, row_bytes: int = 1) -> int:
    """Return the number of examples in memory: whole blocks, about `BUFFER` or fewer."""
    block = block_size(batch_size, row_bytes)
    return block * max(1, min(BUFFER, BUFFER_BYTES // row_bytes) // block)


def buffered_order(
    n_examples: int, batch_size: int, *, seed: int, epoch: int, row_bytes: int = 1
) -> np.ndarray:
    """Draw an order of the examples of an epoch that needs only one buffer at a time.

    Parameters and result are those of `boxest.training.order.epoch_order`, and the bytes of an
    example. It shuffles the blocks of consecutive examples, and the examples in each buffer of
    blocks; only the last buffer, which contains the last block, may be smaller.
    """
    rng = np.random.default_rng([seed, epoch])
    batch_size = min(batch_size, n_examples)  # As in `epoch_order`.
    block, buffer = block_size(batch_size, row_bytes), buffer_size(batch_size, row_bytes)
    n_blocks = -(-n_examples // block)
    blocks = np.append(rng.permutation(n_blocks - 1), n_blocks - 1)
    order = (blocks[:, np.newaxis] * block + np.arange(block)).ravel()
    order = order[order < n_examples]
    steps = -(-n_examples // batch_size)
    filled = np.full(steps * batch_size, -1, dtype=np.int32)
    for start in range(0, n_examples, buffer):
        part = order[start : start + buffer]
        filled[start : start + len(part)] = rng.permutation(part)
    return filled.reshape(steps, batch_size)


class StreamedProgram:
    """A program that receives its examples one buffer at a time.

    Parameters
    ----------
    program : EpochProgram or KerasProgram
        It is compiled once: all buffers have one shape.

    Attributes
    ----------
    steps : int
        Number of updates with a buffer, once compiled.
    """

    def __init__(self, program: "EpochProgram | KerasProgram"):
        self.program = program

    def put(self, features: FeatureFile, targets: np.ndarray, weights: np.ndarray) -> None:
        """Keep the training examples."""
        self.features, self.others = features, (targets, weights)

    def begin(self, *, seed: int, epoch: int) -> None:
        """Draw the random changes of the examples for an epoch, the same as in memory."""
        if (augmentation := self.program.augmentation) is not None:
            draws = augmentation.draw(len(self.features), seed=seed, epoch=epoch)
            self.others = (*self.others[:2], draws)

    def close(self) -> None:
        """Release the training examples."""
        self.features = self.others = None
        self.program.close()

    def compile(self, order: np.ndarray, rest: int) -> None:
        """Compile for orders of this shape, without an update."""
        batch_size = order.shape[1]
        in_buffer = buffer_size(batch_size, self.features.row_bytes) // batch_size
        self.steps = min(in_buffer, len(order))
        _, rows, buffer = next(self._buffers(order))
        self.program.put(*buffer)
        self.program.compile(rows, rest)

    def __call__(self, order: np.ndarray, rates: np.ndarray) -> dict[str, float]:
        """Train for one epoch in a `buffered_order`, while the next buffer is read."""
        total, done = 0.0, 0
        buffers = self._buffers(order)
        with ThreadPoolExecutor(1) as reader:
            ahead = reader.submit(next, buffers, None)
            while (piece := ahead.result()) is not None:
                ahead = reader.submit(next, buffers, None)
                n_steps, rows, buffer = piece
                self.program.put(*buffer)
                # Filled up like the order of the last buffer, which is smaller.
                some = np.resize(rates[done : done + n_steps], len(rows))
                total = total + self.program.sums(rows, some, n_steps=n_steps, done=done)
                done += n_steps
        return self.program.means(total)

    def _buffers(self, order: np.ndarray) -> Iterator[tuple[int, np.ndarray, tuple]]:
        """Cut an order into buffers: updates, their order within the buffer, and its examples."""
        block = block_size(order.shape[1], self.features.row_bytes)
        for start in range(0, len(order), self.steps):
            rows = order[start : start + self.steps]
            missing = self.steps - len(rows)
            filled = np.pad(rows, ((0, missing), (0, 0)), constant_values=-1)
            yield len(rows), *self._gather(filled, block)

    def _gather(self, rows: np.ndarray, block: int) -> tuple[np.ndarray, tuple]:
        """Read the blocks of a buffer, and number its examples within it."""
        there = rows >= 0
        blocks, which = np.unique(rows[there] // block, return_inverse=True)
        features = np.zeros((rows.size, *self.features.shape[1:]), self.features.dtype)
        others = [np.zeros((rows.size, *x.shape[1:]), np.float32) for x in self.others]
        for i, start in enumerate(blocks * block):
            stop = min(start + block, len(self.features))
            place = slice(i * block, i * block + stop - start)
            features[place] = self.features[start:stop]
            for gathered, values in zip(others, self.others, strict=True):
                gathered[place] = values[start:stop]
        numbered = np.full_like(rows, -1)
        numbered[there] = which * block + rows[there] % block
        return numbered, (features, *others)
