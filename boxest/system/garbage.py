"""Python's garbage collection, which takes a third of the time to start and end a short process.

Keras and its backend make half a million objects at their import, and none of them is garbage.
Python looks through them many times while it makes them, again and again while a network is
compiled, and once more before it ends.
"""

import atexit
import contextlib
import gc
from collections.abc import Iterator

# New objects until a collection, and collections until one that looks at older objects, too.
_RARELY = (50_000, 20, 10)

_spared = False


@contextlib.contextmanager
def no_collections() -> Iterator[None]:
    """Collect no garbage in the block, for an import that leaves none.

    In a process that is spared, what exists at the end of the block is never looked at again.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if _spared:
            gc.freeze()
        if was_on:
            gc.enable()


def spare_this_process() -> None:
    """Collect garbage less often until the process ends, and not at its end.

    For a process that does one job: objects in reference cycles that are still there at its end are
    not finalized.
    """
    global _spared
    _spared = True
    gc.set_threshold(*_RARELY)
    atexit.register(gc.freeze)
