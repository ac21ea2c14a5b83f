"""Measure where the time of a training goes."""

import time
from collections.abc import Iterator
from contextlib import contextmanager


class Clock:
    """Adds up seconds by purpose.

    Attributes
    ----------
    seconds, last : dict of float
        Sums since the start, and the last time of each.
    """

    def __init__(self):
        self.seconds = dict.fromkeys(("data", "compile", "train", "evaluation"), 0.0)
        self.last: dict[str, float] = {}

    @contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        """Measure the time of a block."""
        before = time.perf_counter()
        yield
        self.last[name] = time.perf_counter() - before
        self.seconds[name] += self.last[name]
