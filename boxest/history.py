"""What a run leaves behind: a row per epoch, and what it was and took.

A run is one combination of batch size and learning rate with one seed. Its directory holds
``history.csv``, a row per epoch, and ``run.json``, everything else.
"""

import json
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import boxest
from boxest import versions
from boxest.files import FileError, write_json, write_text

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

# What the tables need of run.json.
_RUN_TYPES = {
    "batch_size": int,
    "learning_rate": (int, float),
    "seed": int,
    "epochs": int,
    "planned_epochs": int,
    "stopped_early": bool,
    "diverged": bool,
    "updates": int,
    "seconds": dict,
    "runtime": dict,
    "parameters": dict,
}
_RUNTIME = ("backend", "device", "xla", "threads", "engine")


class RunError(FileError):
    """Files of a run that are missing, damaged or do not fit each other."""


def write(
    directory: str | os.PathLike,
    regressor: "BoxRegressor",
    *,
    tested: tuple[np.ndarray, np.ndarray] | None = None,
    **extra: Any,
) -> None:
    """Write the files of a run.

    Parameters
    ----------
    directory : path-like
        Made where it is missing. Each file is written whole or not at all.
    regressor : BoxRegressor
        Fitted, with an int as its ``random_state``.
    tested : tuple of ndarray, optional
        Images and boxes of a test set, whose predictions become ``predictions.csv``.
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
            "learning_rate": regressor.learning_rate_,
            "seed": regressor.random_state,
            "epochs": regressor.n_iter_,
            "planned_epochs": regressor.epochs,
            "stopped_early": regressor.stopped_early_,
            "diverged": regressor.diverged_,
            "updates": rows[-1]["updates"],
            "n_parameters": regressor.model_.count_params(),
            "seconds": regressor.seconds_,
            "runtime": regressor.runtime_
            | {"boxest_version": boxest.__version__, "boxest_commit": versions.commit()},
            "parameters": {
                name: value if isinstance(value, (int, float, str, type(None))) else repr(value)
                for name, value in regressor.get_params().items()
            },
            **extra,
        },
    )
    if tested is not None:
        write_predictions(Path(directory) / "predictions.csv", regressor, *tested)


def write_predictions(
    path: str | os.PathLike, regressor: "BoxRegressor", images: np.ndarray, boxes: np.ndarray
) -> "pd.DataFrame":
    """Write what a run predicts, with its errors, and return the table.

    Parameters
    ----------
    path : path-like
        The file.
    regressor : BoxRegressor
        Fitted.
    images : ndarray of shape (n, image_size, image_size)
        The images.
    boxes : ndarray of shape (n, 4)
        Their true boxes.
    """
    from boxest.analysis import predictions

    table = predictions(boxes, regressor.predict(images), image_size=images.shape[1])
    write_text(path, table.to_csv(index=False))
    return table


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
        _check(run, history)
        return run, history.astype({"epoch": int, "updates": int})
    except (OSError, ValueError, RecursionError) as error:
        raise RunError(f"{directory} does not hold a finished run: {error}.", directory) from error


def _check(run: Any, history: "pd.DataFrame") -> None:
    """Raise ValueError unless these are what `write` writes."""
    if not isinstance(run, dict) or any(
        not isinstance(run.get(name), kind) for name, kind in _RUN_TYPES.items()
    ):
        raise ValueError(f"run.json should hold {', '.join(_RUN_TYPES)}, and does not")
    if not run["runtime"].keys() >= set(_RUNTIME):
        raise ValueError(f"runtime in run.json should hold {', '.join(_RUNTIME)}, and does not")
    if not all(isinstance(seconds, (int, float)) for seconds in run["seconds"].values()):
        raise ValueError("seconds in run.json should be numbers, and are not")
    if tuple(history.columns) != EPOCH_COLUMNS or not 0 < len(history) == run["epochs"]:
        raise ValueError(
            f"history.csv has {len(history)} rows and the columns {list(history.columns)}; "
            f"expected {run['epochs']} rows and {list(EPOCH_COLUMNS)}"
        )
    if list(history["epoch"]) != list(range(1, len(history) + 1)):
        raise ValueError("history.csv should have the epochs 1, 2, 3, ..., and has others")
    if history["updates"].iloc[-1] != run["updates"]:
        raise ValueError(f"history.csv should end with {run['updates']} updates, and does not")
    losses = history[["train_loss", "train_iou_loss", "train_inclusive_iou_loss"]]
    if not run["diverged"] and not np.isfinite(losses).all(axis=None):
        raise ValueError("history.csv has losses that are no numbers, but the run did not diverge")


def collect(
    directories: Iterable[str | os.PathLike], parameters: Sequence[str] = ()
) -> "tuple[pd.DataFrame, pd.DataFrame]":
    """Put the runs of a study into two tidy tables.

    Parameters
    ----------
    directories : iterable of path-like
        A run each.
    parameters : sequence of str
        Parameters of the estimator, or other entries of ``run.json`` such as ``n_parameters``, that
        become columns of `runs`, too.

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
        about = run | run["parameters"]
        if missing := sorted(set(parameters) - about.keys()):
            raise RunError(
                f"{directory} does not hold a run of this version: no {', '.join(missing)} among "
                "its parameters.",
                directory,
            )
        identity = {name: run[name] for name in RUN}
        histories.append(history.assign(**identity)[[*RUN, *EPOCH_COLUMNS]])
        chosen = {name: about[name] for name in parameters}
        runs.append(identity | chosen | _summary(run, history))
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
        | {name: run["runtime"][name] for name in _RUNTIME}
    )


def _text(value: float | int | None) -> str:
    """Return a number as it is read back, to the last bit; nothing for a missing one."""
    if value is None:
        return ""
    return repr(int(value)) if isinstance(value, (int, np.integer)) else repr(float(value))
