"""What decides a claim: a number per repetition, and the interval of its mean."""

import math
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import stats

# One minus the IoU of boxes that share nothing; diverged runs count with this loss.
WORST = 1.0
# Ends the name of a part whose statistic was not chosen before the study was run.
AFTERWARDS = "(added afterwards)"
CONFIDENCE = 0.95
# With fewer repetitions, the spread is hardly known.
LEAST_REPETITIONS = 5


class Statistic(NamedTuple):
    """A number per repetition, and where its mean lies according to a claim.

    Attributes
    ----------
    part : str
        The part of the study that it describes.
    what : str
        What it is, with its unit.
    values : pandas.Series
        One per repetition; NaN where it does not exist.
    claimed : tuple of two floats or None
        From, to; None for a part that is only there for comparison.
    main : bool
        Whether this is the verdict on the claim.
    paper : float
        The same number from the paper's own table.
    bounds : tuple of two floats
        Its possible values; no interval extends beyond them.
    out_of : pandas.Series or None
        For a share in %, the number that it refers to, for each repetition.
    exact : bool
        Whether a share gets the binomial interval, as it does if all repetitions agree.
    image_error : float
        Standard error of the mean that comes from the choice of the images, in addition to the one
        that comes from the repetitions.
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
        """Return another reading of this statistic, marked as added afterwards."""
        return self._replace(part=f"{self.part}, {how} {AFTERWARDS}", main=False, **changed)


def readings(claims: pd.DataFrame, main: pd.Series) -> pd.DataFrame:
    """Return the other readings of a main part: rows of the table of claims."""
    part = claims["part"].str
    named = part.startswith(f"{main['part']}, ") & part.endswith(AFTERWARDS)
    return claims[named & (claims["claim"] == main["claim"])]


def interval(statistic: Statistic, confidence: float = CONFIDENCE) -> tuple[float, float, float]:
    """Return the mean of a statistic and its interval; NaN where there is none.

    The interval is Student's, except for a share that is the same in every repetition, where it
    would have no width. There, it is the binomial interval of Clopper and Pearson (1934), over
    everything that was counted in all repetitions.
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
