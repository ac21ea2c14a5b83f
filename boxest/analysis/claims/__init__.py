"""The paper's ten claims, each with a statistic that was chosen before the study was run.

One rule for all verdicts: a statistic is computed for each repetition separately, and the mean over
the repetitions has a 95 % interval by Student's t. A repetition is a seed of the whole grid, so
that everything is paired by seed; for time, it is a series of runs. The claim says where the
statistic should lie. It *holds* if the interval lies inside, *does not hold* if the interval lies
outside, and is *undecided* otherwise, or if there are fewer than five repetitions. A share that is
the same in every repetition gets the exact binomial interval, because Student's t would give it no
width.

A run that diverges is a result, too: from then on it counts with a loss of 1, the largest one minus
IoU, and it loses against every run that did not diverge. Parts that are labelled as added
afterwards were not chosen beforehand; none of them is the verdict on a claim. Those that are named
after a main part are other readings of it: runs that stopped early, compared at equal epochs or at
their best epoch; exact intervals of shares; other test images.
"""

from typing import NamedTuple

import numpy as np
import pandas as pd

from boxest.analysis.claims import losses, predictions, time
from boxest.analysis.claims.statistic import CONFIDENCE, LEAST_REPETITIONS, Statistic, interval
from boxest.analysis.columns import RUN, check_runs, require

__all__ = ["CLAIMS", "CONFIDENCE", "LEAST_REPETITIONS", "claims", "verdict"]


class Claim(NamedTuple):
    """What the paper says, where, and which of our figures shows it."""

    says: str
    section: str
    figure: str


CLAIMS = {
    1: Claim("A larger learning rate makes the validation loss fall faster.", "§3.1.2",
             "fig3_validation_losses"),
    2: Claim("At a learning rate of 0.1 the validation loss oscillates.", "§3.1.2", "appendix_a"),
    3: Claim("With rate and epochs fixed, a smaller batch size ends at a smaller loss.", "§3.1.2",
             "fig8_final_losses"),
    4: Claim("Batch size and learning rate raised together keep the learning curve.", "§3.1.2",
             "fig3_validation_losses"),
    5: Claim("A small batch size is less sensitive to the learning rate.", "§3.1.2",
             "fig8_final_losses"),
    6: Claim("The time of a fixed number of epochs follows 1 / batch size.", "§3.2.2",
             "fig4_training_time"),
    7: Claim("The training time does not depend on the learning rate.", "§3.2.2",
             "fig4_training_time"),
    8: Claim("Training and validation loss agree: no overfitting.", "Appendix B",
             "fig8_final_losses"),
    9: Claim("Small objects have larger errors; one small side is enough.", "§5.1.2",
             "fig7_error_by_size"),
    10: Claim("Batch size 16 and rate 0.1, halved on a plateau, give a test loss of 0.038.",
              "§5.1.1", "fig5_predictions"),
}  # fmt: skip


def verdict(low: float, high: float, claimed: tuple[float, float]) -> str:
    """Compare an interval with the one that a claim asks for; NaN decides nothing.

    Examples
    --------
    >>> verdict(0.92, 0.97, (0.9, 1)), verdict(0.5, 0.7, (0.9, 1)), verdict(0.8, 0.95, (0.9, 1))
    ('holds', 'does not hold', 'undecided')
    """
    if claimed[0] <= low and high <= claimed[1]:
        return "holds"
    return "does not hold" if high < claimed[0] or low > claimed[1] else "undecided"


def claims(
    histories: pd.DataFrame,
    runs: pd.DataFrame,
    *,
    tested: pd.DataFrame | None = None,
    times: pd.DataFrame | None = None,
    metric: str = "inclusive_iou_loss",
) -> pd.DataFrame:
    """Give each of the paper's claims a verdict, by one measure of the loss.

    Parameters
    ----------
    histories, runs : pandas.DataFrame
        From `boxest.study.history.collect`.
    tested : pandas.DataFrame, optional
        Predictions of the best parametrization on the test set, a column `seed` among them.
        Without them there are no claims 9 and 10.
    times : pandas.DataFrame, optional
        Runs whose times count, best of a machine that did nothing else. Without them there are no
        claims 6 and 7.
    metric : {"inclusive_iou_loss", "iou_loss"}
        The paper's measure, or the geometric one.

    Returns
    -------
    pandas.DataFrame
        One row per claim and part: `claim`, `part`, `main` (whether this is the verdict on the
        claim; the others say where it holds), `statistic` in words with its unit, `value`,
        `low`, `high` (mean and interval over the `repetitions`), `agree` (whether all repetitions
        have the same value), `claimed_from`, `claimed_to`, `paper` (the statistic of the paper's
        own Fig. 8, where it can be computed), `out_of` (the number that
        each repetition's share refers to, if it is the same for all), `verdict` (empty for a part
        that is only there for comparison), `corrected` (for a main part, the verdict by the wider
        interval of Bonferroni's correction for all main parts) and the name of the `figure`.

    Raises
    ------
    TypeError, ValueError
        If a table is no data frame, lacks columns or is empty, or there is no such metric.
    """
    if metric not in ("inclusive_iou_loss", "iou_loss"):
        raise ValueError(f"metric must be inclusive_iou_loss or iou_loss, got {metric!r}")
    names = [f"{part}_{metric}" for part in ("train", "validation")]
    check_runs(runs, ["epochs", "planned_epochs", "stopped_early", *names])
    require(histories, [*RUN, "epoch", names[1]], "histories")
    found = losses.statistics(histories, runs, metric)
    if times is not None:
        found |= time.statistics(times)
    if tested is not None:
        found |= predictions.statistics(tested, metric)
    for statistics in found.values():
        shares = [one for one in statistics if one.main and one.out_of is not None]
        statistics += [one.read("exact binomial", exact=True) for one in shares if not one.agree]
    rows = [(number, one) for number in sorted(found) for one in found[number]]
    tests = sum(one.main and one.claimed is not None for _, one in rows)
    return pd.DataFrame([_row(number, one, tests) for number, one in rows])


def _row(number: int, statistic: Statistic, tests: int) -> dict:
    """Return a row of the table, corrected for this number of tests."""
    value, low, high = interval(statistic)
    claimed, counts = statistic.claimed, statistic.out_of
    decided, corrected = "", ""
    if claimed is not None:
        decided = verdict(low, high, claimed)
        wider = interval(statistic, 1 - (1 - CONFIDENCE) / tests)[1:] if statistic.main else None
        corrected = verdict(*wider, claimed) if wider else ""
    claimed = claimed or (np.nan, np.nan)
    same = counts is not None and counts.nunique() == 1 and counts.iloc[0] > 0
    return {
        "claim": number,
        "part": statistic.part,
        "main": statistic.main,
        "statistic": statistic.what,
        "value": value,
        "low": low,
        "high": high,
        "repetitions": int(statistic.values.notna().sum()),
        "agree": statistic.agree,
        "claimed_from": claimed[0],
        "claimed_to": claimed[1],
        "paper": statistic.paper,
        "out_of": counts.iloc[0] if same else np.nan,
        "verdict": decided,
        "corrected": corrected,
        "figure": CLAIMS[number].figure,
    }
