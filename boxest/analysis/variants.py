"""Rank variants of what the paper leaves open by their distance to its Fig. 8."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy import stats

from boxest.analysis.cells import cells, paper_loss, root_mean_square
from boxest.analysis.claims.statistic import WORST
from boxest.analysis.columns import CELL, require

_LOSSES = ["validation_loss", "validation_inclusive_iou_loss", "validation_iou_loss"]


def variant_cells(runs: pd.DataFrame, others: Sequence[str]) -> pd.DataFrame:
    """Compare the final losses of each variant and cell with those of Fig. 8.

    Parameters
    ----------
    runs : pandas.DataFrame
        As for `cells`.
    others : sequence of str
        The settings in which variants differ.

    Returns
    -------
    pandas.DataFrame
        One row per variant and cell: `runs`, `stopped_early`, `diverged` (counts), the mean
        validation losses: `validation_loss` is the trained loss, which the paper would have printed
        with this variant (except for our GIoU's penalty for swapped corners);
        `paper_validation_loss`; `log_ratio` and `inclusive_log_ratio`, ln(ours / paper's) of the
        trained and of the inclusive loss. A cell in which all runs diverged has no loss, and the
        ratio for a loss of 1.
    """
    columns = [*others, *CELL, "runs", "stopped_early", "diverged", *_LOSSES]
    table = cells(runs, others)[columns]
    table["paper_validation_loss"] = paper_loss(table)
    for name, loss in (("log_ratio", _LOSSES[0]), ("inclusive_log_ratio", _LOSSES[1])):
        ours = table[loss].fillna(WORST)
        table[name] = np.log(ours / table["paper_validation_loss"])
    return table


def rank_variants(cells: pd.DataFrame, others: Sequence[str]) -> pd.DataFrame:
    """Rank the variants by their distance to Fig. 8, the nearest first.

    Variants with a cell in which all runs diverged come last, whatever their distance, because the
    loss of 1 for such a cell is nearer to Fig. 8 than a GIoU loss, which may reach 2.

    Parameters
    ----------
    cells : pandas.DataFrame
        From `variant_cells`.
    others : sequence of str
        As for it.

    Returns
    -------
    pandas.DataFrame
        One row per variant: `rank`, `cells` (those that Fig. 8 has), `runs`, `stopped_early` and
        `diverged` (counts), `lost` (cells in which all runs diverged), `distance` (root mean square
        log ratio of the trained loss), `largest` (the log ratio of the cell that is farthest off),
        `inclusive_distance` (the same if Fig. 8 showed the inclusive loss whatever was trained),
        `iou_loss` (mean geometric loss, for which the paper has no number).
    """
    losses = ["validation_loss", "log_ratio", "inclusive_log_ratio"]
    require(cells, [*others, *losses], "cells")
    shared = cells[cells["paper_validation_loss"].notna()]
    grouped = shared.groupby(list(others), sort=False)
    table = grouped[["runs", "stopped_early", "diverged"]].sum()
    table.insert(0, "cells", grouped.size())
    table["lost"] = grouped["validation_loss"].agg(lambda losses: losses.isna().sum()).astype(int)
    table["distance"] = grouped["log_ratio"].agg(root_mean_square)
    table["largest"] = grouped["log_ratio"].agg(lambda ratios: max(ratios, key=abs))
    table["inclusive_distance"] = grouped["inclusive_log_ratio"].agg(root_mean_square)
    table["iou_loss"] = grouped["validation_iou_loss"].mean()
    order = ["lost", "distance"]
    table = table.reset_index().sort_values(order, ignore_index=True, kind="stable")
    table.insert(0, "rank", np.arange(1, len(table) + 1))
    return table


def variant_errors(
    runs: pd.DataFrame, ranking: pd.DataFrame, others: Sequence[str]
) -> pd.DataFrame:
    """Measure by a jackknife over seeds how far a ranking of variants is that of the seeds.

    Runs of the same seed begin with the same weights and see the same order of examples, in all
    cells and variants. So a seed is left out of all of them at once, and the difference of two
    variants has a smaller error than each of them.

    Parameters
    ----------
    runs : pandas.DataFrame
        As for `variant_cells`.
    ranking : pandas.DataFrame
        From `rank_variants`, of the same runs.
    others : sequence of str
        The settings in which variants differ.

    Returns
    -------
    pandas.DataFrame
        The ranking with four more columns, NaN for a single seed: `distance_se`, the standard
        error of the distance; `behind`, the distance minus that of the nearest variant;
        `behind_se`, the standard error of this difference; `p_value`, that of a t test of it.
    """
    keys = list(others)
    seeds = runs["seed"].unique()
    left_out = [
        rank_variants(variant_cells(runs[runs["seed"] != seed], others), others).set_index(keys)
        for seed in seeds
        if len(seeds) > 1
    ]
    order = pd.MultiIndex.from_frame(ranking[keys])
    distances = np.array([each["distance"].reindex(order) for each in left_out])
    n = len(seeds)

    def error(values: np.ndarray) -> np.ndarray | float:
        return (n - 1) / np.sqrt(n) * values.std(axis=0, ddof=1) if n > 1 else np.nan

    result = ranking.assign(
        distance_se=error(distances),
        behind=ranking["distance"] - ranking["distance"].iloc[0],
        behind_se=error(distances - distances[..., :1]),
    )
    with np.errstate(invalid="ignore", divide="ignore"):
        result["p_value"] = 2 * stats.t.sf(np.abs(result["behind"]) / result["behind_se"], n - 1)
    return result


def settings_of(ranking: pd.DataFrame) -> list[str]:
    """Return the names of the settings in which variants differ, from their ranking."""
    columns = list(ranking.columns)
    return columns[columns.index("rank") + 1 : columns.index("cells")]
