"""Random numbers as a function of seed, use and index, so in any order.

Philox [1]_ encrypts a counter with a key. Here the key consists of the seed and the number of a use
of random numbers. NumPy promises never to change the words of its bit generators.

References
----------
.. [1] J. Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011.
"""

import numpy as np
from numpy.random import Philox

# Numbers of the uses. Changing them would change every data set.
BOXES, LEVELS, ROTATION, HIDDEN, DISCS, LINES, TEXTURE, NOISE = range(1, 9)


def blocks(seed: int, use: int, start: int, stop: int) -> np.ndarray:
    """Return four words of 64 bits for each of the indices, uint64 of shape (stop - start, 4)."""
    return _philox(seed, use, start).random_raw(4 * (stop - start)).reshape(-1, 4)


def words(seed: int, use: int, index: int, n: int) -> np.ndarray:
    """Return n words of 64 bits for one index, uint64 of shape (n,); any n fits."""
    return _philox(seed, use, index << 64).random_raw(n)


def below(words: np.ndarray, n: int | np.ndarray) -> np.ndarray:
    """Return uniform integers in 0..n-1 from the upper halves of 64-bit words, bias < n / 2**32."""
    scaled = (words >> np.uint64(32)) * np.asarray(n, dtype=np.uint64)
    return (scaled >> np.uint64(32)).astype(np.int64)


def _philox(seed: int, use: int, counter: int) -> Philox:
    return Philox(key=np.array([seed, use], dtype=np.uint64), counter=counter)
