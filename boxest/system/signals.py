"""How a job leaves when a scheduler or Ctrl-C asks it to."""

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Callable

SIGNALS = (signal.SIGTERM, signal.SIGINT)


def leave_promptly(before: Callable[[], None]) -> None:
    """From now on, end this process at once on SIGTERM or SIGINT, whatever it computes.

    Python handles signals between two of its own instructions, but an epoch of training is one
    call, which may take minutes. The part of a handler that is not Python runs at once, in whatever
    thread, also in one that a library has started: it tells a thread that waits for it. The exit
    status is 128 plus the number of the signal, as shells have it.

    It is for jobs: nothing of the program's own is run any more, and there is no way back. Only the
    main thread may call it.

    Parameters
    ----------
    before : callable
        What is to be done first; it must be quick and safe beside the computation.
    """
    read, write = os.pipe()
    os.set_blocking(write, False)
    signal.set_wakeup_fd(write, warn_on_full_buffer=False)
    for number in SIGNALS:
        signal.signal(number, lambda *_: None)
    threading.Thread(target=_wait, args=(read, before), daemon=True).start()


def _wait(signals: int, before: Callable[[], None]) -> None:
    while (number := os.read(signals, 1)[0]) not in SIGNALS:
        pass  # One that somebody else handles.
    try:
        before()
        print(f"Interrupted by {signal.Signals(number).name}.", file=sys.stderr)
    finally:
        # A disk that is full must not keep the process.
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(Exception):
                stream.flush()
        os._exit(128 + number)
