"""What a claim is decided by."""

from typing import NamedTuple

import numpy as np
import pandas as pd

# One minus IoU of boxes that share nothing: what a diverged run counts with.
WORST = 1.0
# Ends the name of a part whose statistic was not chosen before the study was run.
AFTERWARDS = "(added afterwards)"


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
    out_of : float
        For a share in %, of how many: the same for every repetition; NaN where that differs.
    """

    part: str
    what: str
    values: pd.Series
    claimed: tuple[float, float] | None = None
    main: bool = False
    paper: float = np.nan
    bounds: tuple[float, float] = (-np.inf, np.inf)
    out_of: float = np.nan
