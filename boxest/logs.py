"""What a job of the workflow prints, and how it fails."""

import os
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def to_file(path: str | os.PathLike) -> Iterator[None]:
    """Send all output of this process to a log file, libraries' messages in C++ included.

    Parameters
    ----------
    path : path-like
        The log file; it is begun anew.

    Raises
    ------
    SystemExit
        With exit status 1 where the block raised an exception. An error that is addressed to the
        user (`ValueError`, `TypeError`, `OSError`) is logged as one line, a fault of the program
        with its traceback. The line is printed to the terminal, too.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    terminal = os.dup(2)
    with open(path, "wb") as log:
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
    try:
        yield
    except Exception as error:
        message = f"Error: {error}"
        if not isinstance(error, (ValueError, TypeError, OSError)):
            traceback.print_exc()
            message = f"Error: {type(error).__name__}: {error}"
        print(message, file=sys.stderr, flush=True)
        os.write(terminal, f"{message}\nThe log is {path}\n".encode())
        raise SystemExit(1) from None
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os.dup2(terminal, 2)
        os.close(terminal)
