"""How a job leaves when a scheduler or Ctrl-C asks it to."""

import os
import signal
import sys
import threading
from collections.abc import Callable

SIGNALS = (signal.SIGTERM, signal.SIGINT)


def leave_promptly(before: Callable[[], None]) -> None:
    """From now on, end this process at once on SIGTERM or SIGINT, whatever it computes.

    Python handles signals between two of its own instructions, but an epoch of training is one
    call, which may take minutes. A thread waits for the signals instead. The exit status is 128
    plus the number of the signal, as shells have it.

    It is for jobs: nothing of the program's own is run any more, and there is no way back. Call it
    before libraries start threads of their own, which would catch the signals.

    Parameters
    ----------
    before : callable
        What is to be done first; it must be quick and safe beside the computation.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    threading.Thread(target=_wait, args=(before,), daemon=True).start()


def _wait(before: Callable[[], None]) -> None:
    number = signal.sigwait(SIGNALS)
    status = 128 + number
    try:
        before()
        print(f"Interrupted by {signal.Signals(number).name}.", file=sys.stderr)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
