"""Which versions stored an estimator, and whether these are others."""

import warnings
from importlib.metadata import version

import boxest


def current() -> dict[str, str]:
    """Return the versions that what is stored depends on: of boxest and of Keras."""
    return {"boxest": boxest.__version__, "keras": version("keras")}


def check(stored: dict[str, str], what: str) -> None:
    """Warn where other versions stored something.

    Parameters
    ----------
    stored : dict
        From `current`, at the time. A name that is missing counts as another version.
    what : str
        What was stored, for the message.

    Warns
    -----
    UserWarning
        If a version is not the one of now; of Keras, if major or minor version are not.
    """
    for name, now in current().items():
        then = str(stored.get(name, "an unknown version"))
        significant = 3 if name == "boxest" else 2
        if then.split(".")[:significant] != now.split(".")[:significant]:
            warnings.warn(
                f"{what} was stored by {name} {then}, this is {now}: check its predictions before "
                "you rely on them.",
                stacklevel=4,
            )
