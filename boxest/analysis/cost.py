"""What accuracy costs: seconds against loss, and how to choose batch size and rate (§4)."""

import numpy as np
import pandas as pd

from boxest.analysis.cells import cells
from boxest.analysis.checks import CELL, require
from boxest.analysis.timing import by_engine, fit_time, time_table

# "A few epochs" of §4.
FEW_EPOCHS = 5
# Times that differ by less are the same, as in the claim that time does not depend on the rate.
SAME_TIME = 0.05
LOSSES = ("validation_inclusive_iou_loss", "validation_iou_loss")


def cost_table(runs: pd.DataFrame, times: pd.DataFrame | None = None) -> pd.DataFrame:
    """Put the training time of each cell beside its final loss, with the Pareto front.

    Parameters
    ----------
    runs : pandas.DataFrame
        As for `cells`; their losses, and how many epochs they had.
    times : pandas.DataFrame, optional
        Runs whose times count, of any number of epochs and of several engines; `runs` by default.

    Returns
    -------
    pandas.DataFrame
        One row per engine and cell that was timed: `seconds` (mean over the runs, of as many epochs
        as `runs` planned), both validation losses, `pareto_…` of both: whether no other cell of
        that engine beats it in time (by 5 %) or loss without being worse in the other; and
        `seconds_per_percent`: along the front of the geometric loss, what a percent of IoU costs
        more than at the cell before.
    """
    losses = cells(runs)[[*CELL, "runs", "diverged", *LOSSES]]
    planned = int(runs["planned_epochs"].max())
    parts = []
    for engine, rows in by_engine(runs if times is None else times):
        timed = time_table(rows)[[*CELL, "seconds_per_epoch"]]
        table = losses.merge(timed, on=CELL).rename(columns={"seconds_per_epoch": "seconds"})
        table["seconds"] *= planned
        for loss in LOSSES:
            table[f"pareto_{loss}"] = _pareto(table["seconds"], table[loss])
        table["seconds_per_percent"] = _seconds_per_percent(table)
        parts.append(table.assign(engine=engine))
    return pd.concat(parts, ignore_index=True)


def knee(fit: pd.DataFrame) -> float:
    """Return the batch size at the knee of Fig. 4, from the fit a + b / batch size.

    Beyond b / a, the updates cost less than the images do, and a larger batch saves little.

    Parameters
    ----------
    fit : pandas.DataFrame
        From `fit_time`.

    Returns
    -------
    float
        In images; 0 if the time does not fall with the batch size, NaN without a fit.
    """
    a, b = fit["a"].iloc[0], fit["b"].iloc[0]
    return np.nan if np.isnan([a, b]).any() else max(b, 0) / a


def recommend(
    histories: pd.DataFrame,
    runs: pd.DataFrame,
    times: pd.DataFrame | None = None,
    *,
    epochs: int = FEW_EPOCHS,
    loss: str = "validation_inclusive_iou_loss",
) -> pd.DataFrame:
    """Choose batch size and learning rate as §4 of the paper does, from what was measured.

    First the batch size: the smallest one of the grid beyond the knee of Fig. 4. Then the rate:
    from the smallest one, larger by a step as long as the loss after a few epochs falls.

    Parameters
    ----------
    histories, runs : pandas.DataFrame
        From `boxest.history.collect`.
    times : pandas.DataFrame, optional
        As for `cost_table`.
    epochs : int
        How many are a few.
    loss : str
        Which loss of the histories and the runs.

    Returns
    -------
    pandas.DataFrame
        One row per engine: `engine`, `knee` (images), `batch_size`, `learning_rate`, what that
        cell came to in the end: both losses and `seconds`; and the same, with the prefix `best_`,
        of the cell with the smallest loss of all. NaN where a time is not known.
    """
    require(histories, [*CELL, "seed", "epoch", loss], "histories")
    costs = cost_table(runs, times)
    rows = []
    for engine, timed in by_engine(runs if times is None else times):
        fit = fit_time(time_table(timed), "seconds_per_epoch")
        sizes = sorted(runs["batch_size"].unique())
        beyond = [size for size in sizes if size >= knee(fit)]
        size = beyond[0] if beyond else sizes[-1]
        rate = _climb(histories[histories["batch_size"] == size], epochs, loss)
        table = costs[costs["engine"] == engine].set_index(CELL)
        known = table[loss].dropna()
        best = known.idxmin() if len(known) else (np.nan, np.nan)
        chosen = _outcome(table, (size, rate), "") | _outcome(table, best, "best_")
        rows.append({"engine": engine, "knee": knee(fit)} | chosen)
    return pd.DataFrame(rows)


def _climb(histories: pd.DataFrame, epochs: int, loss: str) -> float:
    """Raise the rate by a step while the mean loss after a few epochs falls."""
    last = min(epochs, int(histories["epoch"].max()))
    at = histories[histories["epoch"] == last]
    finite = at[np.isfinite(at[loss])]
    # A rate at which a run is gone by then is none to go on to.
    runs = histories.groupby("learning_rate")["seed"].nunique()
    whole = finite.groupby("learning_rate")["seed"].nunique().reindex(runs.index) == runs
    means = finite.groupby("learning_rate")[loss].mean().reindex(runs.index).where(whole)
    chosen = means.index[0]
    for rate in means.index[1:]:
        if not means[rate] < means[chosen]:
            break
        chosen = rate
    return float(chosen)


def _outcome(table: pd.DataFrame, cell: tuple, prefix: str) -> dict:
    """Return a cell and what came of it, NaN where that is not known."""
    names = [*LOSSES, "seconds"]
    found = (
        table.loc[cell, names].to_dict() if cell in table.index else dict.fromkeys(names, np.nan)
    )
    outcome = dict(zip(CELL, cell, strict=True)) | found
    return {f"{prefix}{name}": value for name, value in outcome.items()}


def _pareto(seconds: pd.Series, loss: pd.Series) -> np.ndarray:
    """Tell which cells no other beats in one thing without being worse in the other."""
    s, v = seconds.to_numpy(float), loss.to_numpy(float)
    as_fast = s[:, None] <= s * (1 + SAME_TIME)
    faster = s[:, None] * (1 + SAME_TIME) < s
    beaten = (as_fast & (v[:, None] < v)) | (faster & (v[:, None] <= v))
    return ~beaten.any(axis=0) & np.isfinite(s) & np.isfinite(v)


def _seconds_per_percent(table: pd.DataFrame) -> pd.Series:
    """Return what a percent of IoU costs on the way along the front to each of its cells."""
    front = table[table["pareto_validation_iou_loss"]].sort_values("seconds")
    percent = -100 * front["validation_iou_loss"].diff()
    # Where time does not separate two cells, one of them is on the front by chance.
    return (front["seconds"].diff() / percent.where(percent > 0)).reindex(table.index)
