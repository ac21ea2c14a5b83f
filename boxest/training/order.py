"""The order of the examples in an epoch, as a function of (seed, epoch)."""

import numpy as np


def epoch_order(n_examples: int, batch_size: int, *, seed: int, epoch: int) -> np.ndarray:
    """Draw the order of examples of one epoch, cut into batches.

    It only depends on its arguments, so an interrupted training resumes exactly, and two batch
    sizes cut their batches from the same order.

    Parameters
    ----------
    n_examples, batch_size : int
        Number of examples, and of examples per update.
    seed, epoch : int
        Seed of the run and number of the epoch, from 1.

    Returns
    -------
    ndarray of int32, shape (steps, batch_size)
        Indices of the examples. The last batch is filled up with -1, so that every batch has the
        same shape and one program serves all. A batch is never larger than the data.
    """
    batch_size = min(batch_size, max(1, n_examples))
    steps = -(-n_examples // batch_size)
    order = np.full(steps * batch_size, -1, dtype=np.int32)
    order[:n_examples] = np.random.default_rng([seed, epoch]).permutation(n_examples)
    return order.reshape(steps, batch_size)
