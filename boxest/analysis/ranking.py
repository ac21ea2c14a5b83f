"""Rank the cells of a study by their validation loss, with their losses on the test set."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from boxest import boxes
from boxest.analysis.columns import CELL, diverged, require, rows_of

# The reference network.
BASELINE = "paper"
METRICS = ("iou_loss", "inclusive_iou_loss")
# Objects whose smaller side is below these numbers of pixels have their own columns.
SMALL = (8, 16)
_PARTS = ("", *(f"_below_{side}px" for side in SMALL))
TESTED = [f"test_{metric}{part}" for metric in METRICS for part in _PARTS]
VALIDATED = [f"validation_{metric}" for metric in METRICS]
BOXES = [f"boxes{part}" for part in _PARTS]
# Test losses that a better network should stay below, on the paper's data.
AIMS = {"test_iou_loss": 0.002, "test_iou_loss_below_8px": 0.01}
# The validation loss (one minus the geometric IoU) up to which runs are timed.
GOOD = 0.05
_AVERAGED = ["epochs", "seconds_per_epoch", "epochs_to_95", "equal_time_iou_loss"]


def tested_losses(predictions: pd.DataFrame) -> dict[str, float]:
    """Average the errors of a run on the test set, for all objects and for small ones.

    Parameters
    ----------
    predictions : pandas.DataFrame
        The ``predictions.csv`` of a run: `smallest_side` in pixels and both losses.

    Returns
    -------
    dict
        The means under the names in `TESTED`, NaN if a prediction is NaN or there are no such
        objects; the numbers of objects under those in `BOXES`.
    """
    require(predictions, ["smallest_side", *METRICS], "predictions")
    # Sides are whole pixels times 1/size in floating point: 8 px may read as 7.9999.
    side = predictions["smallest_side"].round(3)
    parts = {name: side < below for name, below in zip(_PARTS, (np.inf, *SMALL), strict=True)}
    means = {
        f"test_{metric}{name}": predictions.loc[chosen, metric].mean(skipna=False)
        for metric in METRICS
        for name, chosen in parts.items()
    }
    return means | {f"boxes{name}": int(chosen.sum()) for name, chosen in parts.items()}


def good_epoch(history: pd.DataFrame) -> float:
    """Return the first epoch with a validation geometric IoU of 0.95; NaN if there is none."""
    reached = history.loc[history["validation_iou_loss"] <= GOOD, "epoch"]
    return float(reached.min()) if len(reached) else np.nan


def rank(
    runs: pd.DataFrame, others: Sequence[str] = (), histories: pd.DataFrame | None = None
) -> pd.DataFrame:
    """Average the runs of each cell, and rank the cells by their validation loss.

    The rank is by the geometric validation loss, so the test set does not influence the choice;
    cells with a diverged run come last. Each condition of the data has its own ranking.

    Parameters
    ----------
    runs : pandas.DataFrame
        From `boxest.study.history.collect`.
    others : sequence of str
        Axes other than batch size and learning rate.
    histories : pandas.DataFrame, optional
        From the same. If the runs have several networks including the paper's, the column
        `equal_time_iou_loss` holds the validation loss of each cell at the time when the best cell
        of the paper's network finished.

    Returns
    -------
    pandas.DataFrame
        One row per cell, by condition and `rank`: `runs`, `stopped_early`, `diverged` and
        `reached_95` (counts), `n_parameters`, then over the runs that did not diverge the mean of
        each column, and of the losses and seconds its standard deviation, `_sd`, NaN for one run.
        `epochs_to_95` is the mean over the runs that got this far.
    """
    keys = [*CELL, *others]
    require(runs, [*keys, "seed", "diverged", *VALIDATED, *TESTED], "runs")
    if histories is not None and "network" in others and BASELINE in set(runs["network"]):
        runs = runs.assign(equal_time_iou_loss=_in_equal_time(runs, others, histories))
    gone = diverged(runs)
    names = [name for name in (*_AVERAGED, *VALIDATED, *TESTED) if name in runs]
    kept = runs.assign(diverged=gone, **{name: runs[name].where(~gone) for name in names})
    grouped = kept.groupby(keys, sort=False)
    counts = {
        "runs": grouped.size(),
        "stopped_early": grouped["stopped_early"].sum(),
        "diverged": grouped["diverged"].sum(),
        "reached_95": grouped["epochs_to_95"].count(),
    }
    same = grouped[["planned_epochs", "n_parameters", *BOXES]].first()
    spread = grouped[["seconds_per_epoch", *VALIDATED, *TESTED]].std(ddof=1).add_suffix("_sd")
    table = pd.concat([pd.DataFrame(counts), same, grouped[names].mean(), spread], axis=1)
    table = table.reset_index()
    condition = table.get("condition", pd.Series("", table.index))
    places = {name: i for i, name in enumerate(condition.unique())}
    order = {"place": condition.map(places), "lost": table["diverged"] > 0}
    table = table.assign(**order).sort_values(
        [*order, VALIDATED[0]], ignore_index=True, kind="stable"
    )
    table.insert(len(keys), "rank", table.groupby("place").cumcount() + 1)
    return table.drop(columns=list(order))


def _in_equal_time(runs: pd.DataFrame, others: Sequence[str], histories: pd.DataFrame) -> pd.Series:
    """Return each run's validation loss at the time when the best baseline has finished."""
    keys = [*CELL, *others]
    condition = runs.get("condition", pd.Series("", runs.index))
    seconds = runs.groupby(keys)["seconds_per_epoch"].transform("mean")
    ranked = rank(runs, others)
    ranked = ranked.assign(condition=ranked.get("condition", ""))
    best = ranked[ranked["network"] == BASELINE].groupby("condition").first()
    time = condition.map(best["epochs"] * best["seconds_per_epoch"])
    # Rounding must not take an epoch from the baseline itself.
    epochs = np.minimum(np.floor(time / seconds + 1e-6), runs["epochs"])
    wanted = runs[[*keys, "seed"]].assign(epoch=epochs)
    known = histories[[*keys, "seed", "epoch", "validation_iou_loss"]]
    return wanted.merge(known, "left")["validation_iou_loss"].set_axis(runs.index)


def first_condition(table: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of the reference condition."""
    if "condition" not in table:
        return table
    return table[table["condition"] == table["condition"].iloc[0]]


def independent(ranking: pd.DataFrame, keys: Sequence[str]) -> list[str]:
    """Leave out axes that follow from others, as a rate from its optimizer, but no networks."""
    kept = list(keys)
    for name in keys:
        others = [key for key in kept if key != name]
        if name != "network" and others and len(ranking[others].drop_duplicates()) == len(ranking):
            kept = others
    return kept


def best_of_networks(ranking: pd.DataFrame) -> pd.DataFrame:
    """Return the best cell of each network under each condition, in order of rank."""
    keys = [name for name in ("condition", "network") if name in ranking]
    return ranking.drop_duplicates(keys, ignore_index=True)


def networks_of(ranking: pd.DataFrame) -> list[str]:
    """Return the names of the networks, that of the paper first."""
    return sorted(ranking["network"].unique(), key=lambda name: (name != BASELINE, name))


def baselines(train: np.ndarray, test: np.ndarray) -> pd.DataFrame:
    """Compute the losses of predictions that ignore the images.

    Parameters
    ----------
    train, test : ndarray of shape (n, 4)
        True boxes.

    Returns
    -------
    pandas.DataFrame
        Two rows: `prediction`, in words, and both losses on the test set, the means of one minus
        the measure. A network that is not better than these has learned nothing.
    """
    constant = {
        "the whole image": np.array([0.0, 0.0, 1.0, 1.0]),
        "the mean box of the training set": np.mean(train, axis=0),
    }
    return pd.DataFrame(
        {
            "prediction": name,
            "test_iou_loss": float(np.mean(1 - boxes.iou(test, box[None]))),
            "test_inclusive_iou_loss": float(np.mean(1 - boxes.inclusive_iou(test, box[None]))),
        }
        for name, box in constant.items()
    )


def best_runs(runs: pd.DataFrame, axes: Sequence[str], condition: str | None = None) -> list[str]:
    """Return the directories of the runs of the best cell, under one condition.

    Parameters
    ----------
    runs : pandas.DataFrame
        From `boxest.study.history.collect`.
    axes : sequence of str
        What differs between the cells.
    condition : str, optional
        The condition; by default the first one in the table.
    """
    if condition is not None and "condition" in axes:
        runs = runs[runs["condition"] == condition]
    others = [name for name in axes if name not in CELL]
    best = rank(runs, others).iloc[0]
    return list(rows_of(runs, best[[*CELL, *others]].to_dict())["run"])
