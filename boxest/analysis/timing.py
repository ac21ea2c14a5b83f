"""Training time: Fig. 4, and the fit of a + b / batch size."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy import stats

from boxest.analysis.columns import CELL, check_runs, diverged, require

# Number of fits of the times, first weighted with the measured times, then with the fitted ones.
_REWEIGHTINGS = 6
# This engine trains many runs at once, so single runs have no measured time.
SHARED = "stacked"
# Names of the engines in words.
ENGINES = {
    "compiled": "one compiled call per epoch",
    "keras": "a step at a time (plain Keras)",
    SHARED: "many runs at once (no times)",
}
CONFIDENCE = 0.95
# Times are comparable if these are equal.
SETTINGS = ("backend", "device", "xla", "threads", "engine")


def by_engine(runs: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    """Group runs by engine, because times of one engine do not apply to another."""
    require(runs, ["engine"], "runs")
    return list(runs.groupby("engine"))


def time_table(runs: pd.DataFrame, others: Sequence[str] = ()) -> pd.DataFrame:
    """Average the training time of the runs of each cell (Fig. 4 of the paper).

    Parameters
    ----------
    runs : pandas.DataFrame
        One row per run, with `epochs`, `planned_epochs` and `train_seconds` (the sum over its
        epochs). `backend`, `device`, `xla`, `threads` and `engine` are used if present.
    others : sequence of str
        Axes other than batch size and learning rate.

    Returns
    -------
    pandas.DataFrame
        One row per cell: `runs`, `diverged`, `shared` (counts; the means leave out diverged runs,
        because arithmetic on NaN may be slower or faster, and runs that were trained together with
        others, which only have a share of the time), `settings` (the number of different machines
        or settings behind the times, which should not be compared with each other),
        `planned_epochs`, then for `seconds_per_epoch` and for `seconds` (scaled to the planned
        epochs, so that runs that stopped early count): mean, `_sd`, `_min`, `_max`, all in seconds.

    Raises
    ------
    TypeError, ValueError
        If `runs` is not a data frame, lacks columns, is empty, holds a run twice, or has different
        numbers of planned epochs.
    """
    check_runs(runs, ["epochs", "planned_epochs", "train_seconds"], others)
    planned = runs["planned_epochs"].unique()
    if len(planned) > 1:
        raise ValueError(f"all runs must have the same planned_epochs, got {sorted(planned)}")
    gone = diverged(runs)
    shared = runs.get("engine", pd.Series("", runs.index)) == SHARED
    groups = [runs[name] for name in (*CELL, *others)]
    where = [name for name in SETTINGS if name in runs.columns]
    setting = runs[where].astype(str).agg(" ".join, axis=1) if where else pd.Series("", runs.index)
    result = pd.DataFrame(
        {
            "runs": gone.groupby(groups).size(),
            "diverged": gone.groupby(groups).sum(),
            "shared": (shared & ~gone).groupby(groups).sum(),
            "settings": setting.groupby(groups).nunique(),
            "planned_epochs": runs["planned_epochs"].groupby(groups).first(),
        }
    )
    per_epoch = (runs["train_seconds"] / runs["epochs"]).where(
        ~gone & ~shared & (runs["epochs"] > 0)
    )
    for name, factor in {"seconds_per_epoch": 1, "seconds": int(planned[0])}.items():
        grouped = (factor * per_epoch).groupby(groups)
        result[name] = grouped.mean()
        result[f"{name}_sd"] = grouped.std(ddof=1)
        result[f"{name}_min"], result[f"{name}_max"] = grouped.min(), grouped.max()
    return result.reset_index()


def fit_time(times: pd.DataFrame, value: str = "seconds") -> pd.DataFrame:
    """Fit time = a + b / batch size over the cells, in relative error (§3.2.2 of the paper).

    `a` is the cost of each image, however it is batched; `b` / batch size is the cost of the
    updates. The times span decades and their errors are proportional to them, so each cell is
    weighted with 1 / fitted time². Without weights, the smallest batch size alone would determine
    the fit, and `a` would be noise. With the measured times as weights, times that are low by
    chance would count more.

    Parameters
    ----------
    times : pandas.DataFrame
        From `time_table`; cells without a finite time are left out.
    value : {"seconds", "seconds_per_epoch"}
        Which time.

    Returns
    -------
    pandas.DataFrame
        One row: `value`, `cells` (number used), `a`, `b` (s), `a_se`, `b_se`, `ab_cov` (standard
        errors and covariance, with cells - 2 degrees of freedom; NaN for fewer than three cells),
        `r2` (weighted as the fit is), `relative_residual` (root mean square of measured / fitted -
        1). All NaN for fewer than two batch sizes, which determine no line.
    """
    require(times, ["batch_size", value], "times")
    used = times[np.isfinite(times[value].astype(float))]
    x, y = 1 / used["batch_size"].to_numpy(float), used[value].to_numpy(float)
    if (y <= 0).any():
        raise ValueError(f"times must be positive, got {value} = {y.min()}")
    result = {"value": value, "cells": len(y)}
    names = ["a", "b", "a_se", "b_se", "ab_cov", "r2", "relative_residual"]
    if len(np.unique(x)) < 2:
        return pd.DataFrame([result | dict.fromkeys(names, np.nan)])
    scale = y
    for _ in range(_REWEIGHTINGS):
        (b, a), unscaled = np.polyfit(x, y, 1, w=1 / scale, cov="unscaled")
        fitted, used_scale = a + b * x, scale
        scale = np.where(fitted > 0, fitted, y)
    residual = (y - fitted) / used_scale
    variance = residual @ residual / (len(y) - 2) if len(y) > 2 else np.nan
    covariance = variance * unscaled
    b_se, a_se = np.sqrt(np.diag(covariance))
    mean = np.average(y, weights=1 / used_scale**2)
    total = np.sum((y - mean) ** 2 / used_scale**2)
    r2 = 1 - residual @ residual / total if total > 0 else np.nan
    values = [a, b, a_se, b_se, covariance[0, 1], r2, np.sqrt(np.mean(residual**2))]
    return pd.DataFrame([result | dict(zip(names, values, strict=True))])


def students_t(fit: pd.DataFrame) -> float:
    """Return the number of standard errors of `fit_time` in half a 95 % interval."""
    return float(stats.t.ppf((1 + CONFIDENCE) / 2, fit["cells"].iloc[0] - 2))
