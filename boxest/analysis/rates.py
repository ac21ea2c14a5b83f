"""Compare learning rates found by short trials with the best ones of the grid."""

import math

import numpy as np
import pandas as pd

from boxest.analysis.columns import CELL, RUN, require

# Half an order of magnitude, within which the best rate is the nearest decade of the grid.
NEAR = math.sqrt(10)
# Measures for judging the rates of the grid, and the suffixes of their columns.
_LOSSES = {"validation_loss": "", "validation_iou_loss": "_iou"}


def found_rates(searches: pd.DataFrame, histories: pd.DataFrame) -> pd.DataFrame:
    """Compare the rates that were found with the best ones of the grid.

    Parameters
    ----------
    searches : pandas.DataFrame
        A row per search: `batch_size`, `method`, `seed`, `found_rate`, `epochs`, `seconds`.
    histories : pandas.DataFrame
        From `boxest.study.history.collect`: the runs of the grid.

    Returns
    -------
    pandas.DataFrame
        The same rows with `best_rate`, the rate of the grid with the smallest mean validation loss
        at the last epoch of the runs, the one that was trained; `best_loss`; `nearest_rate`, the
        rate of the grid that is nearest to the one found, NaN where none is within half an order of
        magnitude; `loss_ratio`, its loss by the best one; `hit`, whether the rate found is within
        half an order of magnitude of the best one. The same by the geometric IoU with the ending
        `_iou`.
    """
    require(searches, ["batch_size", "method", "seed", "found_rate", "epochs"], "searches")
    require(histories, [*RUN, "epoch", *_LOSSES], "histories")
    last = histories.loc[histories.groupby(RUN)["epoch"].idxmax()]
    # A diverged run has no final loss, and a cell with only such runs cannot be the best.
    means = last.groupby(CELL)[list(_LOSSES)].mean()
    rows = [row | _beside(row, means.loc[row["batch_size"]]) for row in searches.to_dict("records")]
    return pd.DataFrame(rows).sort_values(["batch_size", "method", "seed"], ignore_index=True)


def rates_by_method(found: pd.DataFrame) -> pd.DataFrame:
    """Summarise the result of `found_rates` by method.

    Returns
    -------
    pandas.DataFrame
        One row per method: `searches`, `hits`, `hits_iou` (counts), `loss_ratio` (geometric mean),
        `largest_loss_ratio`, `loss_ratio_iou`, `largest_loss_ratio_iou`, mean `epochs` and
        `seconds` of a search, and `outside`, how many rates the grid knows nothing of: they have
        no loss ratio, and no part in the mean.
    """
    grouped = found.groupby("method")
    table = pd.DataFrame({"searches": grouped.size()})
    table["outside"] = grouped["nearest_rate"].agg(lambda rates: rates.isna().sum()).astype(int)
    for end in _LOSSES.values():
        table[f"hits{end}"] = grouped[f"hit{end}"].sum()
    for end in _LOSSES.values():
        ratio = grouped[f"loss_ratio{end}"]
        table[f"loss_ratio{end}"] = ratio.agg(lambda ratios: np.exp(np.log(ratios).mean()))
        table[f"largest_loss_ratio{end}"] = ratio.max()
    return table.assign(**grouped[["epochs", "seconds"]].mean()).reset_index()


def _beside(search: dict, means: pd.DataFrame) -> dict:
    """Compare one search with the cells of its batch size."""
    apart = pd.Series(np.abs(np.log(means.index / search["found_rate"])), means.index)
    nearest = apart.idxmin() if apart.min() <= np.log(NEAR) else np.nan
    row = {"nearest_rate": nearest}
    for loss, end in _LOSSES.items():
        known = means[loss].dropna()
        best = known.idxmin() if len(known) else np.nan
        row |= {
            f"best_rate{end}": best,
            f"best_loss{end}": known.min(),
            f"loss_ratio{end}": means[loss].get(nearest, np.nan) / known.min(),
            f"hit{end}": bool(apart.get(best, np.inf) <= np.log(NEAR)),
        }
    return row
