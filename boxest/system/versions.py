"""Record the versions of stored estimators and runs, and compare them with the current ones."""

import subprocess
import warnings
from functools import cache
from importlib.metadata import version
from pathlib import Path

import boxest


def current() -> dict[str, str]:
    """Return the versions that stored objects depend on: those of boxest and Keras."""
    return {"boxest": boxest.__version__, "keras": version("keras")}


@cache
def commit() -> str:
    """Return the commit of this code, or "unknown" if git does not know it.

    Returns
    -------
    str
        The full hash, followed by " with changes" if the package, the workflow or the configuration
        differ from it.
    """
    package = Path(__file__).parent.parent

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(package), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    try:
        # Not the commit of a repository that merely contains the installed package.
        git("ls-files", "--error-unmatch", __file__)
        parts = (".", ":/workflow", ":/config")
        changed = git("status", "--porcelain", "--untracked-files=no", "--", *parts)
        return git("rev-parse", "HEAD") + (" with changes" if changed else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def check(stored: dict[str, str], what: str) -> None:
    """Warn if other versions stored an object.

    Parameters
    ----------
    stored : dict
        From `current`, at that time. A missing name counts as another version.
    what : str
        What was stored, for the message.

    Warns
    -----
    UserWarning
        If a version differs from the current one; for Keras, if the major or minor version differs.
    """
    for name, now in current().items():
        then = str(stored.get(name, "an unknown version"))
        significant = 3 if name == "boxest" else 2
        if then.split(".")[:significant] != now.split(".")[:significant]:
            warnings.warn(
                f"{what} was stored by {name} {then}, but this is {now}: check its predictions "
                "before you rely on them.",
                stacklevel=4,
            )
