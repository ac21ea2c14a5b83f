"""What a claim is decided by: a number per repetition, and its interval."""

import math
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import stats

# One minus IoU of boxes that share nothing: what a diverged run counts with.
WORST = 1.0
# Ends the name of a part whose statistic was not chosen before the study was run.
AFTERWARDS = "(added afterwards)"
CONFIDENCE = 0.95
# Of fewer, the spread is hardly known.
LEAST_REPETITIONS = 5


class Statistic(NamedTuple):
    """A number per repetition, and where a claim says that its mean lies.

    Attributes
    ----------
    part : str
        Which part of the study it is of.
    what : str
        What it is, with its unit.
    values : pandas.Series
        One per repetition; NaN where it does not exist.
    claimed : tuple of two floats or None
        From, to; None for what is there to compare with.
    main : bool
        Whether the verdict on the claim is this one.
    paper : float
        The same of the paper's own table.
    bounds : tuple of two floats
        What it can be at all: an interval does not go beyond.
    out_of : pandas.Series or None
        For a share in %, of how many each repetition's is.
    exact : bool
        Whether the interval of a share is that of a binomial, as where all repetitions agree.
    image_error : float
        Standard error of the mean that comes from which images were drawn, beside the one that
        comes from the repetitions.
    """

    part: str
    what: str
    values: pd.Series
    claimed: tuple[float, float] | None = None
    main: bool = False
    paper: float = np.nan
    bounds: tuple[float, float] = (-np.inf, np.inf)
    out_of: pd.Series | None = None
    exact: bool = False
    image_error: float = 0.0

    @property
    def agree(self) -> bool:
        """Whether all repetitions have the same value."""
        values = self.values.dropna()
        return len(values) > 1 and bool(np.isclose(values.min(), values.max(), rtol=1e-9, atol=0))

    def read(self, how: str, **changed) -> "Statistic":
        """Return another reading of it, which is named after it and was added afterwards."""
        return self._replace(part=f"{self.part}, {how} {AFTERWARDS}", main=False, **changed)


def readings(claims: pd.DataFrame, main: pd.Series) -> pd.DataFrame:
    """Return the other readings of a main part: rows of the table of claims."""
    part = claims["part"].str
    named = part.startswith(f"{main['part']}, ") & part.endswith(AFTERWARDS)
    return claims[named & (claims["claim"] == main["claim"])]


def interval(statistic: Statistic, confidence: float = CONFIDENCE) -> tuple[float, float, float]:
    """Return the mean of a statistic and its interval; NaN where there is none.

    By Student's t, but for a share that is the same in every repetition: there it would have no
    width, and the interval is that of Clopper and Pearson (1934) for a binomial, of all that were
    counted in all repetitions.
    """
    values = statistic.values.dropna()
    mean = float(values.mean()) if values.size else math.nan
    if values.size < LEAST_REPETITIONS:
        return mean, math.nan, math.nan
    if statistic.out_of is not None and (statistic.exact or statistic.agree):
        counts = statistic.out_of[values.index]
        hits = round((values * counts).sum() / 100)
        test = stats.binomtest(hits, int(counts.sum()))
        low, high = test.proportion_ci(confidence, method="exact")
        return mean, 100 * float(low), 100 * float(high)
    error = np.hypot(stats.sem(values), statistic.image_error)
    half = error * stats.t.ppf((1 + confidence) / 2, values.size - 1)
    low, high = np.clip([mean - half, mean + half], *statistic.bounds)
    return mean, float(low), float(high)
