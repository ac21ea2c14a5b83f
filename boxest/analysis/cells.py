"""Final losses: Fig. 8, and the comparison of ours with the paper's."""

from collections.abc import Sequence
from importlib import resources

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import stats

from boxest.analysis.columns import CELL, check_runs, diverged, flag, require

LOSSES = [
    "train_loss",
    "validation_loss",
    "train_iou_loss",
    "validation_iou_loss",
    "train_inclusive_iou_loss",
    "validation_inclusive_iou_loss",
]
# The number of runs per cell whose means Fig. 8 gives.
PAPER_RUNS = 10
# Two means that are more standard errors apart than this differ by more than they scatter.
APART = 2


def cells(runs: pd.DataFrame, others: Sequence[str] = ()) -> pd.DataFrame:
    """Average the final losses of the runs of each cell (Fig. 8 of the paper).

    Parameters
    ----------
    runs : pandas.DataFrame
        One row per run: `batch_size`, `learning_rate`, `seed`, `epochs`, `planned_epochs`,
        `stopped_early`, `diverged` and the six final losses.
    others : sequence of str
        Axes other than batch size and learning rate.

    Returns
    -------
    pandas.DataFrame
        One row per cell, ordered: `runs`, `stopped_early`, `diverged` and `reached_last_epoch` are
        counts; the losses are means over the runs that did not diverge (NaN if all did), where a
        run that stopped early counts with its last epoch; each has its sample standard deviation
        `_sd` (NaN for one run); `similitude` is 100 * mean training / mean validation loss.

    Raises
    ------
    TypeError, ValueError
        If `runs` is not a data frame, lacks columns, is empty, or holds a run twice.
    """
    check_runs(runs, ["epochs", "planned_epochs", "stopped_early", *LOSSES], others)
    gone, keys = diverged(runs), [*CELL, *others]
    table = runs[keys].assign(
        runs=1,
        stopped_early=(flag(runs, "stopped_early") & ~gone).astype(int),
        diverged=gone.astype(int),
        reached_last_epoch=(~gone & (runs["epochs"] >= runs["planned_epochs"])).astype(int),
    )
    counts = table.groupby(keys, sort=not others).sum()
    kept = runs[LOSSES].where(~gone, axis=0).groupby([runs[name] for name in keys])
    means, sds = kept.mean(), kept.std(ddof=1)
    for name in LOSSES:
        counts[name], counts[f"{name}_sd"] = means[name], sds[name]
        if name == "validation_loss":
            counts["similitude"] = 100 * means["train_loss"] / means["validation_loss"]
    return counts.reset_index()


def paper_cells() -> pd.DataFrame:
    """Return the paper's Fig. 8 as published: 21 of the 24 cells.

    Returns
    -------
    pandas.DataFrame
        `batch_size`, `learning_rate`, `train_loss`, `validation_loss` (means of ten runs at epoch
        30) and `similitude` (100 * training / validation).

    Examples
    --------
    >>> from boxest.analysis import paper_cells
    >>> len(paper_cells())
    21
    """
    with (resources.files("boxest.analysis") / "fig8.csv").open("rb") as file:
        return pd.read_csv(file).rename(columns={"valid_loss": "validation_loss"})


def comparison(cells: pd.DataFrame, paper: pd.DataFrame | None = None) -> pd.DataFrame:
    """Compare the losses of our cells with those of the paper, which are 1 - inclusive IoU.

    Ours are also the inclusive losses, whichever loss was trained.

    Parameters
    ----------
    cells : pandas.DataFrame
        Our cells, from `cells`.
    paper : pandas.DataFrame, optional
        Theirs, with `train_loss` and `validation_loss`; `paper_cells()` by default.

    Returns
    -------
    pandas.DataFrame
        One row per cell of ours. For `train_inclusive_iou_loss` and
        `validation_inclusive_iou_loss`: our mean, its `_sd` over the runs, `paper_` the published
        mean (NaN if the paper does not have the cell), `_log_ratio` = ln(ours / paper),
        `_difference_in_se` = (ours - paper) / standard error of that difference, if the paper's ten
        runs scatter as ours do. Then our geometric `train_iou_loss` and `validation_iou_loss`,
        which the paper does not give.

    Raises
    ------
    TypeError, ValueError
        If a table is not a data frame, lacks columns, or is empty.
    """
    ours = [*CELL, "runs", "stopped_early", "diverged"]
    names = {
        "train_inclusive_iou_loss": "train_loss",
        "validation_inclusive_iou_loss": "validation_loss",
    }
    geometric = ["train_iou_loss", "validation_iou_loss"]
    paper = paper_cells() if paper is None else paper
    require(cells, [*ours, *names, *(f"{name}_sd" for name in names), *geometric], "cells")
    require(paper, [*CELL, *names.values()], "the paper's cells")
    result = cells[ours].reset_index(drop=True)
    kept = (result["runs"] - result["diverged"]).to_numpy(float)
    for name, published in names.items():
        mean, sd = cells[name].to_numpy(float), cells[f"{name}_sd"].to_numpy(float)
        theirs = paper_loss(cells, published, paper)
        result[name], result[f"{name}_sd"], result[f"paper_{name}"] = mean, sd, theirs
        with np.errstate(divide="ignore", invalid="ignore"):
            result[f"{name}_log_ratio"] = np.log(mean / theirs)
            error = sd * np.sqrt(1 / kept + 1 / PAPER_RUNS)
            result[f"{name}_difference_in_se"] = np.where(
                error > 0, (mean - theirs) / error, np.nan
            )
    result[geometric] = cells[geometric].to_numpy(float)
    return result


def paper_loss(
    table: pd.DataFrame, name: str = "validation_loss", paper: pd.DataFrame | None = None
) -> np.ndarray:
    """Return the paper's loss for each row of a table.

    Parameters
    ----------
    table : pandas.DataFrame
        With `batch_size` and `learning_rate`.
    name : {"validation_loss", "train_loss"}
        Which loss of the paper.
    paper : pandas.DataFrame, optional
        The paper's cells; `paper_cells()` by default.

    Returns
    -------
    numpy.ndarray of float
        NaN where the paper has no such cell.
    """
    paper = paper_cells() if paper is None else paper
    keyed = paper.set_index(_cell_keys(paper))[name]
    return keyed.reindex(_cell_keys(table)).to_numpy(float)


def in_the_papers_grid(table: pd.DataFrame) -> np.ndarray:
    """Return which rows have a batch size and a rate of the paper's, in Fig. 8 or left out of it.

    Parameters
    ----------
    table : pandas.DataFrame
        With `batch_size` and `learning_rate`.

    Returns
    -------
    numpy.ndarray of bool
    """
    paper, ours = _cell_keys(paper_cells()), _cell_keys(table)
    of_axes = [ours.get_level_values(name).isin(paper.get_level_values(name)) for name in CELL]
    return np.logical_and.reduce(of_axes)


def root_mean_square(values: npt.ArrayLike) -> float:
    """Return the root mean square of the finite values; NaN if there are none."""
    values = np.asarray(values, float)
    values = values[np.isfinite(values)]
    return float(np.sqrt(np.mean(values**2))) if values.size else float("nan")


def distance(comparison: pd.DataFrame, loss: str = "validation_inclusive_iou_loss") -> float:
    """Return the root mean square log ratio of our losses to the paper's.

    Parameters
    ----------
    comparison : pandas.DataFrame
        From the function `comparison`.
    loss : {"validation_inclusive_iou_loss", "train_inclusive_iou_loss"}
        Which loss.

    Returns
    -------
    float
        For the cells that both have: 0 if all agree, 0.1 if they typically differ by 10 %, NaN if
        there are none.
    """
    column = f"{loss}_log_ratio"
    require(comparison, [column], "comparison")
    return root_mean_square(comparison[column])


def distances(runs: pd.DataFrame) -> pd.DataFrame:
    """Measure the distance of our final losses to the paper's, for several meanings of "final".

    Parameters
    ----------
    runs : pandas.DataFrame
        As for `cells`.

    Returns
    -------
    pandas.DataFrame
        One row per reading: `reading`, `cells` (that both have), `train` and `validation`, the
        root mean square log ratios; and for the validation loss: `above` (the number of cells in
        which ours is larger), `apart` (the number that differ by more than two standard errors),
        `mean_log_ratio`, and `p_value` of that mean by a t test over seeds, if the paper's ten runs
        scatter as ours do (NaN for one seed). Cells are no independent samples, because runs of the
        same seed begin with the same weights. The first row uses the last epoch of every run; the
        second only runs that reached the last planned epoch, which may be how the paper averaged at
        epoch 30; the third is like the first, without the largest rate.
    """
    check_runs(runs, ["epochs", "planned_epochs", "learning_rate"])
    largest = runs["learning_rate"].max()
    readings = {
        "every run": runs,
        "runs that came to the last epoch": runs[runs["epochs"] >= runs["planned_epochs"]],
        f"every run, rates below {largest:g}": runs[runs["learning_rate"] < largest],
    }
    none = comparison(cells(runs))[:0]
    return pd.DataFrame(
        {"reading": reading}
        | _apart(comparison(cells(chosen)) if len(chosen) else none)
        | {"p_value": _p_value(chosen)}
        for reading, chosen in readings.items()
    )


def _apart(comparison: pd.DataFrame) -> dict[str, float]:
    """Return a row of `distances`."""
    loss = "validation_inclusive_iou_loss"
    ratios = comparison[f"{loss}_log_ratio"]
    ratios = ratios[np.isfinite(ratios)]
    return {
        "cells": len(ratios),
        "train": root_mean_square(comparison["train_inclusive_iou_loss_log_ratio"]),
        "validation": root_mean_square(ratios),
        "mean_log_ratio": ratios.mean(),
        "above": int((ratios > 0).sum()),
        "apart": int((comparison[f"{loss}_difference_in_se"].abs() > APART).sum()),
    }


def _p_value(runs: pd.DataFrame) -> float:
    """Test whether the mean log ratio of the validation losses to the paper's is zero."""
    with np.errstate(divide="ignore"):
        ratios = np.log(runs["validation_inclusive_iou_loss"] / paper_loss(runs))
    ratios = ratios.where(np.isfinite(ratios))
    # What a seed has in common in all cells; a seed that lacks a run in one of them still counts.
    within = ratios - ratios.groupby([runs[name] for name in CELL]).transform("mean")
    seeds = within.groupby(runs["seed"]).mean().dropna()
    scatter = seeds.std(ddof=1) * np.sqrt(1 / max(len(seeds), 1) + 1 / PAPER_RUNS)
    if not scatter > 0:
        return float("nan")
    mean = ratios.groupby([runs[name] for name in CELL]).mean().mean()
    return float(2 * stats.t.sf(abs(mean) / scatter, len(seeds) - 1))


def _cell_keys(table: pd.DataFrame) -> pd.MultiIndex:
    """Index by cell, with the rate as text, because 0.1 / 100 is not exactly 0.001."""
    rates = [f"{rate:.6g}" for rate in table["learning_rate"]]
    return pd.MultiIndex.from_arrays([table["batch_size"].astype(int), rates], names=CELL)
