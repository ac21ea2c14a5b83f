"""End a job when a scheduler or Ctrl-C asks for it."""

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Callable

SIGNALS = (signal.SIGTERM, signal.SIGINT)


def leave_promptly(before: Callable[[], None]) -> None:
    """Make this process end at once on SIGTERM or SIGINT, whatever it computes.

    Python handles signals between two of its own instructions, but an epoch of training is one
    call, which may take minutes. The C part of the handler runs at once, in any thread, even in one
    that a library has started, and wakes up a waiting thread. The exit status is 128 plus the
    number of the signal, as in shells.

    This is for jobs: after a signal, no other code of the program runs. It cannot be undone, and
    only the main thread may call it.

    Parameters
    ----------
    before : callable
        Called first; it must be quick, and safe during the computation.
    """
    read, write = os.pipe()
    os.set_blocking(write, False)
    signal.set_wakeup_fd(write, warn_on_full_buffer=False)
    for number in SIGNALS:
        signal.signal(number, lambda *_: None)
    threading.Thread(target=_wait, args=(read, before), daemon=True).start()


def _wait(signals: int, before: Callable[[], None]) -> None:
    while (number := os.read(signals, 1)[0]) not in SIGNALS:
        pass  # A signal that other code handles.
    try:
        before()
        print(f"Interrupted by {signal.Signals(number).name}.", file=sys.stderr)
    finally:
        # A full disk must not stop the process from ending.
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(Exception):
                stream.flush()
        os._exit(128 + number)
