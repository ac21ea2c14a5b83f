"""What a run leaves behind: a row per epoch, and what it was and took.

A run is one combination of batch size and learning rate with one seed. Its directory holds
``history.csv``, a row per epoch, and ``run.json``, everything else.
"""

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import boxest
from boxest.files import write_json, write_text

if TYPE_CHECKING:
    import pandas as pd

    from boxest.estimator import BoxRegressor

# What tells one run of a study from another.
RUN = ("batch_size", "learning_rate", "seed")

LOSSES = (
    "train_loss",
    "train_iou_loss",
    "train_inclusive_iou_loss",
    "validation_loss",
    "validation_iou_loss",
    "validation_inclusive_iou_loss",
)

EPOCH_COLUMNS = (
    "epoch",
    "learning_rate_now",
    "updates",
    *LOSSES,
    "train_seconds",
    "evaluation_seconds",
)


class RunError(ValueError):
    """Files of a run that are missing, damaged or do not fit each other."""


def write(directory: str | os.PathLike, regressor: "BoxRegressor", **extra: Any) -> None:
    """Write the files of a run.

    Parameters
    ----------
    directory : path-like
        Made where it is missing. Each file is written whole or not at all.
    regressor : BoxRegressor
        Fitted, with an int as its ``random_state``.
    **extra
        More about the run, for ``run.json``.
    """
    rows = regressor.history_
    lines = [",".join(EPOCH_COLUMNS)]
    lines += [",".join(_text(row.get(column)) for column in EPOCH_COLUMNS) for row in rows]
    write_text(Path(directory) / "history.csv", "\n".join(lines) + "\n")
    write_json(
        Path(directory) / "run.json",
        {
            "batch_size": regressor.batch_size,
            "learning_rate": regressor.learning_rate,
            "seed": regressor.random_state,
            "epochs": regressor.n_iter_,
            "planned_epochs": regressor.epochs,
            "stopped_early": regressor.stopped_early_,
            "diverged": regressor.diverged_,
            "updates": rows[-1]["updates"],
            "seconds": regressor.seconds_,
            "runtime": regressor.runtime_ | {"boxest_version": boxest.__version__},
            "parameters": {
                name: value if isinstance(value, (int, float, str, type(None))) else repr(value)
                for name, value in regressor.get_params().items()
            },
            **extra,
        },
    )


def read(directory: str | os.PathLike) -> "tuple[dict[str, Any], pd.DataFrame]":
    """Read the files of a run.

    Returns
    -------
    run : dict
        What ``run.json`` holds.
    history : DataFrame
        A row per epoch, with the columns `EPOCH_COLUMNS`.

    Raises
    ------
    RunError
        If a file is missing or not as `write` makes it.
    """
    import pandas as pd

    directory = Path(directory)
    try:
        run = json.loads((directory / "run.json").read_text("utf-8"))
        # Through text: Python reads numbers back to the last bit, pandas < 3 does not.
        history = pd.read_csv(directory / "history.csv", dtype=str).astype(float)
        expected, found = run["epochs"], len(history)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RunError(
            f"{directory} does not hold a finished run: {error}. "
            "Delete the directory and run Snakemake again."
        ) from error
    if tuple(history.columns) != EPOCH_COLUMNS or found != expected:
        raise RunError(
            f"{directory / 'history.csv'} has {found} rows and the columns "
            f"{list(history.columns)}; "
            f"expected {expected} rows and {list(EPOCH_COLUMNS)}. "
            "Delete the directory and run Snakemake again."
        )
    return run, history.astype({"epoch": int, "updates": int})


def collect(directories: Iterable[str | os.PathLike]) -> "tuple[pd.DataFrame, pd.DataFrame]":
    """Put the runs of a study into two tidy tables.

    Returns
    -------
    histories : DataFrame
        A row per run and epoch: `RUN`, then `EPOCH_COLUMNS`.
    runs : DataFrame
        A row per run: `RUN`, numbers of epochs and updates, whether it stopped early or diverged,
        the `LOSSES` of its last epoch (NaN where it diverged), seconds by what they were spent on,
        and what it was computed with.
    """
    import pandas as pd

    histories, runs = [], []
    for directory in directories:
        run, history = read(directory)
        identity = {name: run[name] for name in RUN}
        histories.append(history.assign(**identity)[[*RUN, *EPOCH_COLUMNS]])
        runs.append(identity | _summary(run, history))
    by_run = {"by": list(RUN), "ignore_index": True}
    return (
        pd.concat(histories).sort_values([*RUN, "epoch"], ignore_index=True),
        pd.DataFrame(runs).sort_values(**by_run),
    )


def _summary(run: dict[str, Any], history: "pd.DataFrame") -> dict[str, Any]:
    """Return a run as one row of a table."""
    last = history.iloc[-1]
    names = ("epochs", "planned_epochs", "stopped_early", "diverged", "updates")
    return (
        {name: run[name] for name in names}
        | {name: np.nan if run["diverged"] else last[name] for name in LOSSES}
        | {f"{name}_seconds": seconds for name, seconds in run["seconds"].items()}
        | {name: run["runtime"][name] for name in ("backend", "device", "xla", "threads")}
    )


def _text(value: float | int | None) -> str:
    """Return a number as it is read back, to the last bit; nothing for a missing one."""
    if value is None:
        return ""
    return repr(int(value)) if isinstance(value, (int, np.integer)) else repr(float(value))
