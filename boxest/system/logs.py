"""The log of a job of the workflow, and its error messages."""

import contextlib
import os
import sys
import traceback
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from boxest.system.files import FileError
from boxest.system.garbage import spare_this_process


@contextlib.contextmanager
def to_file(path: str | os.PathLike) -> Iterator[None]:
    """Send all output of this process, including that of C++ libraries, to a log file.

    Each warning becomes one line, without the place in the code, which is also printed to the
    terminal. The process is taken to end after the job (see `boxest.system.garbage`).

    Parameters
    ----------
    path : path-like
        The log file, in the folder ``logs`` of the study's results; it is emptied first. Another
        process that is still writing to it continues at its end.

    Raises
    ------
    SystemExit
        With exit status 1 if the block raised an exception. An error that is addressed to the user
        (`ValueError`, `TypeError`, `OSError`) is logged as one line, a bug with its traceback. The
        line is also printed to the terminal. For a bad file in the results, it says how the study
        makes it again.
    """
    spare_this_process()
    sys.stdout.flush()
    sys.stderr.flush()
    terminal = os.dup(2)
    log = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o666)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.close(log)
    show_warning = warnings.showwarning

    def show_in_both(message: Warning, *_: Any, **__: Any) -> None:
        os.write(terminal, f"Warning: {message}\nThe log is {path}\n".encode())
        print(f"Warning: {message}", file=sys.stderr, flush=True)

    warnings.showwarning = show_in_both
    try:
        yield
        sys.stdout.flush()
    except Exception as error:
        message = f"Error: {error}{_how_to_repair(error, path)}"
        for_user = isinstance(error, (ValueError, TypeError, OSError))
        if not for_user:
            message = f"Error: {type(error).__name__}: {error}"
        os.write(terminal, f"{message}\nThe log is {path}\n".encode())
        # The disk may be full, which may be the very error.
        with contextlib.suppress(OSError):
            if not for_user:
                traceback.print_exc()
            print(message, file=sys.stderr, flush=True)
        raise SystemExit(1) from None
    finally:
        warnings.showwarning = show_warning
        with contextlib.suppress(OSError):
            sys.stdout.flush()
            sys.stderr.flush()
        os.dup2(terminal, 2)
        os.close(terminal)


def _how_to_repair(error: Exception, log: str | os.PathLike) -> str:
    """Advise deletion only for a file of the study itself; any other may be the only copy."""
    if not isinstance(error, FileError) or error.path is None:
        return ""
    folders = Path(os.path.abspath(log)).parents
    results = next((folder.parent for folder in folders if folder.name == "logs"), None)
    if results not in Path(os.path.abspath(error.path)).parents:
        return ""
    return f" Delete {error.path} and run snakemake again: the study makes it again."
