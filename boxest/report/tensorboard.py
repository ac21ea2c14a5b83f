"""Write a study in the format of TensorBoard, whose page HParams compares the runs."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from boxest.study.history import read_table
from boxest.system.files import atomic_folder, short_name

if TYPE_CHECKING:
    import pandas as pd

# Losses in a table of histories: drawn as curves, with their last values as measures on the page
# HParams.
LOSSES = ("validation_iou_loss", "validation_loss", "train_iou_loss", "train_loss")
TABLES = ("histories", "runs")


def write(results: str | os.PathLike, out: str | os.PathLike | None = None) -> Path:
    """Write the runs of a study for TensorBoard, completely or not at all.

    Parameters
    ----------
    results : path-like
        Results of a study, such as ``results/quick``; its tables are read.
    out : path-like, optional
        Folder for TensorBoard, which must not exist yet or must be empty; by default
        ``tensorboard`` in the results.

    Returns
    -------
    Path
        The folder, with a subfolder for each run: the axes of the study and the seed as
        hyperparameters, a curve per loss over the epochs.

    Raises
    ------
    ValueError
        If there are no tables of a study.
    FileExistsError
        If the folder exists and is not empty.
    ImportError
        If TensorBoard is not installed.
    """
    histories, runs = _read(Path(results))
    out = Path(results) / "tensorboard" if out is None else Path(out)
    try:
        from tensorboard.plugins.hparams import api as hp
    except ImportError:
        raise ImportError(
            "TensorBoard is not installed: pip install 'boxest[tensorboard]'."
        ) from None
    # Columns that distinguish the runs come before all others.
    axes = list(runs.columns[: runs.columns.get_loc("seed") + 1])
    losses = [name for name in LOSSES if name in histories]
    known = histories[axes].apply(_one_kind)
    with atomic_folder(out) as folder:
        _write_experiment(hp, folder, known, losses)
        for rows in known.groupby(axes, sort=False).indices.values():
            _write_run(hp, folder, known.iloc[rows[0]].to_dict(), histories.iloc[rows], losses)
    return out


def _read(results: Path) -> "list[pd.DataFrame]":
    paths = [results / "tables" / f"{name}.csv" for name in TABLES]
    missing = [str(path) for path in paths if not path.is_file()]
    if missing:
        raise ValueError(
            f"{results} does not hold a finished study: {missing[0]} is missing. Name the results "
            "of one, such as results/quick, which `make run` writes."
        )
    return [read_table(path) for path in paths]


def _write_experiment(hp: Any, folder: Path, axes: "pd.DataFrame", losses: list[str]) -> None:
    """Describe the values of the hyperparameters, and the measures."""
    import tensorflow as tf

    known = [hp.HParam(name, hp.Discrete(sorted(set(axes[name].tolist())))) for name in axes]
    metrics = [hp.Metric(name, display_name=name.replace("_", " ")) for name in losses]
    with tf.summary.create_file_writer(str(folder)).as_default():
        hp.hparams_config(hparams=known, metrics=metrics)


def _write_run(
    hp: Any, folder: Path, values: dict[str, Any], history: "pd.DataFrame", losses: list[str]
) -> None:
    """Write the hyperparameters of a run and its losses over the epochs."""
    import tensorflow as tf

    name = ",".join(f"{name}={value}" for name, value in values.items()).replace("/", "_")
    with tf.summary.create_file_writer(str(folder / short_name(name))).as_default():
        hp.hparams(values, trial_id=name)
        for row in history.to_dict("records"):
            for loss in losses:
                tf.summary.scalar(loss, row[loss], step=int(row["epoch"]))


def _one_kind(column: "pd.Series") -> "pd.Series":
    """Return an axis for TensorBoard: all numbers, or all text if one is missing."""
    column = column.astype(object)
    return column.where(column.notna(), "none").map(str) if column.hasnans else column
