"""Python's garbage collection, which takes a third of the time to start and end a short process.

Keras and its backend make half a million objects at their import, and none of them is garbage.
Python looks through them many times while it makes them, and once more before it ends.
"""

import atexit
import contextlib
import gc
from collections.abc import Iterator

# New objects until a collection, and collections until one that looks at older objects, too.
RARELY = (50_000, 20, 10)


@contextlib.contextmanager
def rare_collections() -> Iterator[None]:
    """Collect garbage less often in the block, for an import that leaves none."""
    before = gc.get_threshold()
    gc.set_threshold(*RARELY)
    try:
        yield
    finally:
        gc.set_threshold(*before)


def spare_this_process() -> None:
    """Collect garbage less often until the process ends, and not at its end.

    For a process that does one job: objects in reference cycles that are still there at its end are
    not finalized.
    """
    gc.set_threshold(*RARELY)
    atexit.register(gc.freeze)
