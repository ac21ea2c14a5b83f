"""Write and read the files of a run: its history, settings, times and predictions.

A run is a cell of the study with one seed. Its directory holds ``history.csv`` with one row per
epoch; ``run.json`` with everything else; ``predictions.csv`` with its boxes for the test set and
their errors; ``followed.npy`` with its boxes for the first `FOLLOWED` validation images after every
epoch; and the network, ``model.boxest`` or ``model.keras``.
"""

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import boxest
from boxest import boxes
from boxest.study.run_table import CELL, written
from boxest.system import versions
from boxest.system.files import FileError, atomic_path, write_json, write_text

if TYPE_CHECKING:
    import numpy.typing as npt
    import pandas as pd

    from boxest.estimator.box_regressor import BoxRegressor

# The columns that identify a run of the paper's study.
RUN = (*CELL, "seed")

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

# The fields of run.json that the tables need.
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
    "settings": dict,
}
# Number of validation images whose predictions are kept after every epoch.
FOLLOWED = 12
_RUNTIME = ("backend", "device", "xla", "threads", "engine")


class RunError(FileError):
    """Files of a run that are missing, damaged or inconsistent."""


def write(
    directory: str | os.PathLike,
    regressor: "BoxRegressor",
    settings: Mapping[str, Any],
    tested: tuple[np.ndarray, np.ndarray],
) -> None:
    """Write the files of a run.

    Parameters
    ----------
    directory : path-like
        Created if missing. Each file is written completely or not at all.
    regressor : BoxRegressor
        Fitted, with an int as its ``random_state``.
    settings : mapping
        The parameters of the run in the form of the configuration, and its ``condition``.
    tested : tuple of ndarray
        Images and boxes of the test set.
    """
    rows, directory = regressor.history_, Path(directory)
    epochs = {column: [row.get(column) for row in rows] for column in EPOCH_COLUMNS}
    write_text(directory / "history.csv", _csv(epochs))
    write_json(
        directory / "run.json",
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
            "settings": dict(settings),
        },
    )
    images, true = tested
    table = predictions(true, regressor.predict(images), image_size=images.shape[1:3])
    # `read_table` takes only an empty field for a missing number, as after a diverged training.
    known = {name: np.where(np.isnan(column), None, column) for name, column in table.items()}
    write_text(directory / "predictions.csv", _csv(known))
    with atomic_path(directory / "followed.npy") as temporary:
        np.save(temporary, regressor.followed_.astype(np.float32))


def predictions(
    true: "npt.ArrayLike", predicted: "npt.ArrayLike", *, image_size: int | tuple[int, int]
) -> dict[str, np.ndarray]:
    """Make a table of predicted and true boxes, with both errors.

    Parameters
    ----------
    true, predicted : array-like of shape (n, 4)
        Boxes (x1, y1, x2, y2), divided by the image size.
    image_size : int or (int, int)
        Height and width of the images in pixels, or one number if they are equal.

    Returns
    -------
    dict of ndarray
        The columns, with one row per image: `image`, `true_x1` … `predicted_y2`, `iou_loss` (one
        minus the geometric IoU), `inclusive_iou_loss`, and `width`, `height`, `smallest_side` of
        the true box in px.
    """
    true, predicted = np.asarray(true, float), np.asarray(predicted, float)
    columns = {"image": np.arange(len(true))}
    for name, values in {"true": true, "predicted": predicted}.items():
        columns |= dict(zip(boxes.corners_of(name), values.T, strict=True))
    columns["iou_loss"] = 1 - boxes.iou(true, predicted)
    columns["inclusive_iou_loss"] = 1 - boxes.inclusive_iou(true, predicted)
    rows, columns_ = np.broadcast_to(image_size, 2)
    width, height = boxes.sides(true, (columns_, rows)).T
    return columns | {"width": width, "height": height, "smallest_side": np.minimum(width, height)}


def save(path: str | os.PathLike, regressor: "BoxRegressor") -> None:
    """Save the network of a run; with the suffix of Keras, which can also save users' networks."""
    regressor.set_params(checkpoint=None, verbose=0)
    if Path(path).suffix == ".keras":
        regressor.model_.save(path)
    else:
        regressor.save(path)


def read(directory: str | os.PathLike) -> "tuple[dict[str, Any], pd.DataFrame]":
    """Read the files of a run.

    Returns
    -------
    run : dict
        The content of ``run.json``.
    history : DataFrame
        One row per epoch, with the columns `EPOCH_COLUMNS`.

    Raises
    ------
    RunError
        If a file is missing, or does not have the form that `write` writes.
    """
    import pandas as pd

    directory = Path(directory)
    try:
        run = json.loads((directory / "run.json").read_text("utf-8"))
        # Read as text, because Python restores numbers to the last bit, and pandas < 3 does not.
        history = pd.read_csv(directory / "history.csv", dtype=str).astype(float)
        _check(run, history)
        return run, history.astype({"epoch": int, "updates": int})
    except (OSError, ValueError, RecursionError) as error:
        raise RunError(f"{directory} does not hold a finished run: {error}.", directory) from error


def _check(run: Any, history: "pd.DataFrame") -> None:
    """Raise ValueError unless these have the form that `write` writes."""
    if not isinstance(run, dict) or any(
        not isinstance(run.get(name), kind) for name, kind in _RUN_TYPES.items()
    ):
        raise ValueError(f"run.json should hold {', '.join(_RUN_TYPES)}, but does not")
    if any(isinstance(value, list) for value in run["settings"].values()):
        raise ValueError("settings in run.json should be single values, but are not")
    if not run["runtime"].keys() >= set(_RUNTIME):
        raise ValueError(f"runtime in run.json should hold {', '.join(_RUNTIME)}, but does not")
    if not all(isinstance(seconds, (int, float)) for seconds in run["seconds"].values()):
        raise ValueError("seconds in run.json should be numbers, but are not")
    if tuple(history.columns) != EPOCH_COLUMNS or not 0 < len(history) == run["epochs"]:
        raise ValueError(
            f"history.csv has {len(history)} rows and the columns {list(history.columns)}; "
            f"expected {run['epochs']} rows and {list(EPOCH_COLUMNS)}"
        )
    if list(history["epoch"]) != list(range(1, len(history) + 1)):
        raise ValueError("history.csv should have the epochs 1, 2, 3, ..., but has others")
    if history["updates"].iloc[-1] != run["updates"]:
        raise ValueError(f"history.csv should end with {run['updates']} updates, but does not")
    losses = history[["train_loss", "train_iou_loss", "train_inclusive_iou_loss"]]
    if not run["diverged"] and not np.isfinite(losses).all(axis=None):
        raise ValueError("history.csv has losses that are not finite, but the run did not diverge")


def collect(
    directories: Iterable[str | os.PathLike], axes: Sequence[str] = CELL
) -> "tuple[pd.DataFrame, pd.DataFrame]":
    """Collect the runs of a study in two tidy tables.

    Parameters
    ----------
    directories : iterable of path-like
        A run each.
    axes : sequence of str
        What differs between the cells, in the order of the rows.

    Returns
    -------
    histories : DataFrame
        One row per run and epoch: batch size, learning rate, other axes and seed, then
        `EPOCH_COLUMNS`.
    runs : DataFrame
        One row per run: the same, the other settings, numbers of epochs and updates, whether it
        stopped early or diverged, the `LOSSES` of its last epoch, or of the one whose weights were
        restored (NaN if it diverged), those of the test set (``test_...``), seconds by purpose, the
        runtime; and ``run``, its directory.
    """
    import pandas as pd

    from boxest.analysis.columns import ordered

    names = [*dict.fromkeys([*CELL, *axes]), "seed"]
    histories, runs = [], []
    for directory in directories:
        run, history = read(directory)
        settings = run["settings"]
        settings = {
            name: written(name, value)
            for name, value in settings.items()
            if name != "condition" or value is not None
        }
        identity = settings | {"seed": run["seed"]}
        if missing := sorted(set(names) - identity.keys()):
            raise RunError(f"{directory} does not record its {', '.join(missing)}.", directory)
        identity = {name: identity[name] for name in names}
        histories.append(history.assign(**identity)[[*names, *EPOCH_COLUMNS]])
        others = {name: value for name, value in settings.items() if name not in (*names, *_SAID)}
        tested = read_table(Path(directory) / "predictions.csv")
        # An axis such as xla keeps what the configuration calls its values.
        summary = _summary(run, history, tested) | identity
        runs.append(identity | others | summary | {"run": str(directory)})
    table = pd.DataFrame(runs)
    order = {name: {v: i for i, v in enumerate(ordered(table[name]))} for name in names}
    return (
        pd.concat(histories).sort_values([*names, "epoch"], key=_keyed(order), ignore_index=True),
        table.sort_values(names, key=_keyed(order), ignore_index=True),
    )


def read_table(path: str | os.PathLike, **options: Any) -> "pd.DataFrame":
    """Read a table of a study as it was written; `options` are those of `pandas.read_csv`.

    Only empty fields are missing values, because a condition may have the name "null". A column
    with a name among its numbers, such as "never", is read as text throughout; by default, pandas
    reads long tables in pieces, of which some may hold numbers alone.
    """
    import pandas as pd

    return pd.read_csv(path, low_memory=False, keep_default_na=False, na_values=[""], **options)


# Settings that other columns already contain.
_SAID = ("epochs", "engine", "xla", "memory_limit", *RUN)


def _keyed(order: Mapping[str, Mapping[Any, int]]) -> Any:
    return lambda column: column.map(order[column.name]) if column.name in order else column


def _summary(
    run: dict[str, Any], history: "pd.DataFrame", tested: "pd.DataFrame"
) -> dict[str, Any]:
    """Return a run as one row of a table."""
    from boxest.analysis import SHARED, good_epoch, tested_losses

    end = _end(run, history)
    # A run that was trained together with others has no time of its own.
    shares = run["runtime"]["engine"] == SHARED
    names = ("epochs", "planned_epochs", "stopped_early", "diverged", "updates")
    return (
        {name: run[name] for name in names}
        | {name: np.nan if run["diverged"] else end[name] for name in LOSSES}
        | {f"{name}_seconds": seconds for name, seconds in run["seconds"].items()}
        | {name: run["runtime"][name] for name in _RUNTIME}
        | {
            "n_parameters": run["n_parameters"],
            "found_rate": run["learning_rate"],
            "seconds_per_epoch": np.nan if shares else history["train_seconds"].median(),
            "epochs_to_95": good_epoch(history),
        }
        | tested_losses(tested)
    )


def _end(run: dict[str, Any], history: "pd.DataFrame") -> "pd.Series":
    """Return the row of the epoch whose network a run has kept."""
    finite = np.isfinite(history[["train_loss", "validation_loss"]]).all(axis=1)
    if run["settings"].get("restore_best_weights") and finite.any():
        return history.loc[history["validation_loss"].where(finite).idxmin()]
    return history.iloc[-1]


def _csv(columns: Mapping[str, Iterable]) -> str:
    """Return columns as CSV; pandas, which could do it, takes a second to import."""
    rows = zip(*columns.values(), strict=True)
    return "\n".join([",".join(columns), *(",".join(map(_text, row)) for row in rows), ""])


def _text(value: float | int | None) -> str:
    """Return a number as text that restores it to the last bit; empty if it is missing."""
    if value is None:
        return ""
    return repr(int(value)) if isinstance(value, (int, np.integer)) else repr(float(value))
