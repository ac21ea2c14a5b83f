"""The statistics of claims 6 and 7: training time."""

import numpy as np
import pandas as pd

from boxest.analysis.claims.statistic import Statistic
from boxest.analysis.columns import RUN, diverged, require
from boxest.analysis.timing import ENGINES, SHARED, by_engine, fit_time


def statistics(runs: pd.DataFrame) -> dict:
    """Return the statistics of claims 6 and 7 by number, each for every engine."""
    require(runs, [*RUN, "epochs", "train_seconds", "engine"], "times")
    kept = runs[~diverged(runs) & (runs["engine"] != SHARED)]
    kept = kept.assign(seconds_per_epoch=kept["train_seconds"] / kept["epochs"])
    result = {6: [], 7: []}
    # There are none if all runs diverged, or were trained together.
    for name, rows in by_engine(kept) if len(kept) else ():
        part = ENGINES.get(name, name)
        result[6] += follows_the_inverse(rows, part)
        result[7] += is_independent_of_the_rate(rows, part)
    return result


def follows_the_inverse(runs: pd.DataFrame, part: str) -> list[Statistic]:
    """Claim 6: the share of the time at the smallest batch size that goes as 1 / batch size.

    For each rate and seed, a + b / batch size is fitted to the time per epoch; the share is that of
    b / batch size. The claim is that it is at least a half. For comparison, the exponent of a power
    law is given, which would be −1 for a pure 1 / x.
    """
    groups = runs.groupby(["learning_rate", "seed"])
    # A series that lacks batch sizes, because runs diverged, would give another curve.
    whole = {key: rows for key, rows in groups if len(rows) == runs["batch_size"].nunique() > 1}
    share, exponent = {}, {}
    smallest = runs["batch_size"].min()
    for key, rows in whole.items():
        fit = fit_time(rows, "seconds_per_epoch").iloc[0]
        update = fit["b"] / smallest
        share[key] = 100 * update / (fit["a"] + update)
        x, y = np.log(rows["batch_size"].to_numpy(float)), np.log(rows["seconds_per_epoch"])
        exponent[key] = np.polyfit(x, y, 1)[0]
    what = f"time at batch size {smallest} that goes as 1 / batch size (%)"
    shares, exponents = (pd.Series(values, dtype=float) for values in (share, exponent))
    return [
        Statistic(part, what, shares, (50.0, np.inf), main=True),
        Statistic(f"{part}: power law", "exponent of the batch size", exponents, (-1.1, -0.9)),
    ]


def is_independent_of_the_rate(runs: pd.DataFrame, part: str) -> list[Statistic]:
    """Claim 7: the change of the time with a tenfold learning rate, within 5 %.

    For each batch size and seed, the slope of ln(time per epoch) over log10(rate).
    """
    values = {}
    for key, rows in runs.groupby(["batch_size", "seed"]):
        if rows["learning_rate"].nunique() > 1:
            x, y = np.log10(rows["learning_rate"]), np.log(rows["seconds_per_epoch"])
            values[key] = 100 * np.expm1(np.polyfit(x, y, 1)[0])
    what = "change of the time with a tenfold rate (%)"
    return [Statistic(part, what, pd.Series(values, dtype=float), (-5.0, 5.0), main=True)]
