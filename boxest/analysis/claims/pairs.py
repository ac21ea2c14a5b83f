"""Pairs of runs that are neighbours along an axis of the grid: which has the lower loss."""

from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pandas as pd

from boxest.analysis.claims.statistic import Statistic
from boxest.analysis.columns import RUN

# The paper says "the graphs show", so we expect it of nine pairs in ten.
MOST = (90.0, np.inf)
SHARE = (0.0, 100.0)


def wins(losses: pd.Series, along: str, *, larger_is_lower: bool) -> pd.DataFrame:
    """Return for all pairs of neighbours along an axis whether they are as claimed, 100 or 0 (%).

    Returns
    -------
    pandas.DataFrame
        A row per setting of the others, a column per step; NaN where a run is missing, or both
        diverged (are infinite) and there is nothing to tell.
    """
    wide = losses.unstack(along).sort_index(axis=1)
    steps = {}
    for small, large in pairwise(wide.columns):
        a, b = (wide[large], wide[small]) if larger_is_lower else (wide[small], wide[large])
        known = a.notna() & b.notna() & ~(np.isinf(a) & np.isinf(b))
        steps[f"{small:g} → {large:g}"] = (100.0 * (a < b)).where(known)
    return pd.DataFrame(steps, index=wide.index)


def compared(
    score: Callable, curves: pd.DataFrame, along: str, *, larger_is_lower: bool
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Compare neighbours along an axis by the score of their curves; each result is that of `wins`.

    In the first, the last loss of a run that stopped early stands for the epochs that it lacks; the
    second only compares the epochs that both have.
    """
    levels = curves.index.get_level_values(along)
    steps = pairwise(sorted(levels.unique()))
    both = [to_common_epochs(curves[levels.isin(step)], along) for step in steps]
    whole = wins(score(curves.ffill(axis=1)), along, larger_is_lower=larger_is_lower)
    equal = [wins(score(table), along, larger_is_lower=larger_is_lower) for table in both]
    return whole, pd.concat(equal, axis=1) if equal else whole


def ordered(
    whole: pd.DataFrame,
    equal: pd.DataFrame,
    name: str,
    what: str,
    paper: pd.DataFrame | None = None,
) -> list[Statistic]:
    """Return the share of pairs that are as claimed: of all, and of each step along an axis."""
    others = [level for level in whole.index.names if level != "seed"]
    parts = {"all pairs": whole} | {f"{name} {step}": whole[[step]] for step in whole}
    result = []
    for part, rows in parts.items():
        values, out_of = shares(rows.unstack(others))
        known = paper is not None and set(rows) <= set(paper)
        theirs = paper[list(rows)].stack().mean() if known else np.nan
        result.append(
            Statistic(
                part, what, values, MOST, main=part == "all pairs", paper=theirs, bounds=SHARE,
                out_of=out_of,
            )
        )  # fmt: skip
    values, out_of = shares(equal.unstack(others))
    return [*result, result[0].read("at equal epochs", values=values, out_of=out_of)]


def shares(table: pd.DataFrame) -> tuple[pd.Series, pd.Series]:
    """Return the mean of each row, and the number of its values."""
    return table.mean(axis=1), table.count(axis=1)


def last_losses(curves: pd.DataFrame) -> pd.Series:
    """Return the last loss of each run."""
    return curves.ffill(axis=1).iloc[:, -1]


def to_common_epochs(curves: pd.DataFrame, along: str) -> pd.DataFrame:
    """Cut the curves of runs that only differ in `along` after the last epoch that all have."""
    others = [name for name in RUN if name != along]
    return curves.where(curves.notna().groupby(others).transform("all"))
