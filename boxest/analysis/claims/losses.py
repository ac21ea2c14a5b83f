"""The statistics of the claims 1 to 5 and 8: learning curves and final losses of the grid."""

from itertools import pairwise

import numpy as np
import pandas as pd

from boxest.analysis.cells import paper_cells
from boxest.analysis.checks import diverged
from boxest.analysis.claims.statistic import WORST, Statistic

RUN = ["batch_size", "learning_rate", "seed"]
# The paper says "the graphs show": nine pairs of ten should.
MOST = (90.0, np.inf)
# Loss of the epoch above that of the epoch before by more than this is a rise that can be seen.
VISIBLE = 1.01
# Curves that are nowhere far apart: a factor, root mean square over the epochs.
ALIKE = 1.25
SHARE = (0.0, 100.0)
NOTHING = pd.Series(dtype=float)


def statistics(histories: pd.DataFrame, runs: pd.DataFrame, metric: str) -> dict:
    """Return the statistics of the claims 1 to 5 and 8 by number; see `boxest.analysis.claims`."""
    curves = _curves(histories, runs, f"validation_{metric}")
    filled = curves.ffill(axis=1)
    # The paper's table is of the inclusive loss.
    paper = _paper_losses() if metric == "inclusive_iou_loss" else None
    return {
        1: falls_faster(filled),
        2: oscillates(curves),
        3: ends_lower(filled.iloc[:, -1], paper),
        4: keeps_the_curve(curves),
        5: is_less_sensitive(filled.iloc[:, -1], paper),
        8: agrees(runs, metric),
    }


def falls_faster(curves: pd.DataFrame) -> list[Statistic]:
    """Claim 1: the share of pairs in which the larger of two neighbouring rates falls faster.

    A run falls faster if the mean logarithm of its validation loss over the first third of the
    epochs is lower than that of the other run, of the same batch size and seed; not if it diverged
    within them.
    """
    first = curves.iloc[:, : max(1, round(curves.shape[1] / 3))]
    speed = np.exp(np.log(first).mean(axis=1)).where(first.iloc[:, -1] < WORST, WORST)
    what = "pairs in which the larger rate has the lower loss in the first third of the epochs (%)"
    return _ordered(speed, "learning_rate", what, larger_is_lower=True)


def oscillates(curves: pd.DataFrame) -> list[Statistic]:
    """Claim 2: the share of epochs, from the third on, that end visibly above the one before.

    At the largest rate; the claim is that at least every fourth epoch does. A diverging epoch does.
    """
    before, now = curves.iloc[:, 1:-1].to_numpy(), curves.iloc[:, 2:]
    ratio = (now / before).where(before < WORST)
    up, seen = (ratio > VISIBLE).sum(axis=1), ratio.notna().sum(axis=1)
    # A run that diverged before the third epoch has nothing but its divergence.
    up, seen = up.where(seen > 0, 1), seen.where(seen > 0, (curves >= WORST).any(axis=1))
    share = 100 * up / seen.where(seen > 0)
    largest = share.index.get_level_values("learning_rate").max()
    what = f"epochs with a loss more than {VISIBLE - 1:.0%} above the epoch before (%)"
    result = []
    for rate, rows in share.groupby("learning_rate"):
        table = rows.droplevel("learning_rate").unstack("batch_size")
        ours = {"claimed": (25.0, np.inf)} if rate == largest else {}
        ours["bounds"] = SHARE
        whole = table.mean(axis=1)
        result.append(Statistic(f"rate {rate:g}", what, whole, **ours, main=rate == largest))
        if rate == largest:
            result += [
                Statistic(f"rate {rate:g}, batch size {size}", what, table[size], **ours)
                for size in table
            ]
    return sorted(result, key=lambda one: not one.main)


def ends_lower(final: pd.Series, paper: pd.Series | None) -> list[Statistic]:
    """Claim 3: the share of pairs in which the smaller of two neighbouring batch sizes ends lower.

    Pairs of runs of the same rate and seed, by their last validation loss.
    """
    what = "pairs in which the smaller batch size has the lower final loss (%)"
    theirs = None if paper is None else _wins(paper, "batch_size", larger_is_lower=False)
    return _ordered(final, "batch_size", what, larger_is_lower=False, paper=theirs)


def keeps_the_curve(curves: pd.DataFrame) -> list[Statistic]:
    """Claim 4: the share of pairs along the diagonals of the grid whose curves are alike.

    Pairs of cells in which batch size and rate are both larger, and by about the same factor (at
    most 2 apart); the runs of the same seed are alike if the root mean square of ln(loss / loss)
    over the epochs from the third on that both have is below ln(1.25). Beside it: pairs with the
    same batch sizes, and only these changed.
    """
    logs = np.log(curves.iloc[:, 2:] if curves.shape[1] > 3 else curves)
    cells = list(logs.index.droplevel("seed").unique())
    largest = max(rate for _, rate in cells)
    diagonal = [
        ((size, rate), (other_size, other_rate))
        for size, rate in cells
        for other_size, other_rate in cells
        if other_size > size
        and other_rate > rate
        and abs(np.log(other_size / size * rate / other_rate)) <= np.log(2)
    ]
    alone = [(one, (size, one[1])) for one, (size, _) in diagonal if (size, one[1]) in cells]
    what = f"pairs of curves within a factor of {ALIKE} (root mean square over the epochs, %)"
    below = [pair for pair in diagonal if pair[1][1] < largest]
    to_largest = [pair for pair in diagonal if pair[1][1] == largest]
    return [
        Statistic("all diagonals", what, _alike(logs, diagonal), MOST, main=True, bounds=SHARE),
        Statistic(f"below rate {largest:g}", what, _alike(logs, below), MOST, bounds=SHARE),
        Statistic(f"to rate {largest:g}", what, _alike(logs, to_largest), MOST, bounds=SHARE),
        Statistic("the same batch sizes, one rate", what, _alike(logs, alone), bounds=SHARE),
    ]


def is_less_sensitive(final: pd.Series, paper: pd.Series | None) -> list[Statistic]:
    """Claim 5: the slope of the sensitivity to the rate over the logarithm of the batch size.

    The sensitivity of a batch size is the range, over the rates, of ln(final validation loss): 0.7
    is a factor of 2. The claim is that it grows with the batch size. Beside it without the largest
    rate, which the paper's table has for three of the batch sizes only.
    """
    rates = sorted(final.index.unique("learning_rate"))
    below, ranges = rates[:-1], _ranges(final, rates)
    what = "change of the range of ln(final loss) over the rates, per doubling of the batch size"
    theirs = np.nan if paper is None else _slopes(_ranges(paper, below)).mean()
    return [
        Statistic("all rates", what, _slopes(ranges), (0.0, np.inf), main=True),
        Statistic(
            f"rates below {rates[-1]:g}", what, _slopes(_ranges(final, below)), (0.0, np.inf),
            paper=theirs,
        ),
        *(
            Statistic(f"batch size {size}", "range of ln(final loss) over the rates", ranges[size])
            for size in ranges
        ),
    ]  # fmt: skip


def agrees(runs: pd.DataFrame, metric: str) -> list[Statistic]:
    """Claim 8: the share of cells whose similitude is within 10 % of 100, for each seed.

    The similitude of a run is 100 * training / validation loss of its last epoch; runs that
    diverged have none. The paper's own is of means over ten runs.
    """
    kept = runs[~diverged(runs)]
    ratio = 100 * kept[f"train_{metric}"] / kept[f"validation_{metric}"]
    ratio.index = pd.MultiIndex.from_frame(kept[RUN])
    paper = paper_cells()["similitude"] if metric == "inclusive_iou_loss" else NOTHING
    theirs = 100 * paper.between(90, 110).mean()
    near = 100.0 * ratio.between(90, 110)
    what = "100 × training / validation loss"
    return [
        Statistic(
            "all cells", f"cells with {what} from 90 to 110 (%)", near.groupby("seed").mean(),
            MOST, main=True, paper=theirs, bounds=SHARE,
        ),
        Statistic("mean", what, ratio.groupby("seed").mean(), (95.0, 105.0), paper=paper.mean()),
    ]  # fmt: skip


def _curves(histories: pd.DataFrame, runs: pd.DataFrame, column: str) -> pd.DataFrame:
    """Return a row per run and a column per planned epoch; WORST from divergence on.

    NaN after early stopping.
    """
    table = histories.pivot(index=RUN, columns="epoch", values=column)
    planned = int(runs["planned_epochs"].max())
    table = table.reindex(columns=range(1, planned + 1))
    table = table.where(np.isfinite(table))
    gone = diverged(runs.set_index(RUN)).reindex(table.index).to_numpy()
    return table.where(table.notna() | ~gone[:, None], WORST)


def _paper_losses() -> pd.Series:
    """Return the paper's final validation losses, as those of one seed."""
    table = paper_cells().assign(seed=0)
    # Its 0.0001 and ours are the same numbers: both were read from decimal text.
    return table.set_index(RUN)["validation_loss"]


def _wins(losses: pd.Series, along: str, *, larger_is_lower: bool) -> pd.DataFrame:
    """Tell of all pairs of neighbours along an axis whether they are as claimed, in %.

    Returns
    -------
    pandas.DataFrame
        A row per setting of the others, a column per step; NaN where a run is missing, or both
        diverged and there is nothing to tell.
    """
    wide = losses.unstack(along).sort_index(axis=1)
    steps = {}
    for small, large in pairwise(wide.columns):
        a, b = (wide[large], wide[small]) if larger_is_lower else (wide[small], wide[large])
        known = a.notna() & b.notna() & ~((a >= WORST) & (b >= WORST))
        steps[f"{small:g} → {large:g}"] = (100.0 * (a < b)).where(known)
    return pd.DataFrame(steps, index=wide.index)


def _ordered(
    losses: pd.Series,
    along: str,
    what: str,
    *,
    larger_is_lower: bool,
    paper: pd.DataFrame | None = None,
) -> list[Statistic]:
    """Return the share of pairs that are as claimed: of all, and of each step along an axis."""
    wins = _wins(losses, along, larger_is_lower=larger_is_lower)
    whole = wins.stack().groupby("seed").mean()
    theirs = np.nan if paper is None else paper.stack().mean()
    share = {"claimed": MOST, "bounds": SHARE}
    result = [Statistic("all pairs", what, whole, main=True, paper=theirs, **share)]
    name = "rate" if along == "learning_rate" else "batch size"
    for step in wins:
        theirs = np.nan if paper is None or step not in paper else paper[step].mean()
        values = wins[step].groupby("seed").mean()
        result.append(Statistic(f"{name} {step}", what, values, paper=theirs, **share))
    return result


def _alike(logs: pd.DataFrame, pairs: list) -> pd.Series:
    """Return the share of pairs of cells with curves that are alike, in %, for each seed."""
    shares = []
    for one, other in pairs:
        apart = (logs.loc[one] - logs.loc[other]) ** 2
        # ln(1) = 0 from divergence on: two such runs have nothing to compare.
        both = (logs.loc[one] >= 0).any(axis=1) & (logs.loc[other] >= 0).any(axis=1)
        mean = np.sqrt(apart.mean(axis=1))
        shares.append((100.0 * (mean < np.log(ALIKE))).where(mean.notna() & ~both))
    return pd.concat(shares, axis=1).mean(axis=1) if shares else NOTHING


def _ranges(final: pd.Series, rates: list) -> pd.DataFrame:
    """Return the range of ln(loss) over the rates: a row per seed, a column per batch size."""
    wide = np.log(final).unstack("learning_rate")
    wide = wide.reindex(columns=rates if len(rates) > 1 else []).dropna()
    return (wide.max(axis=1) - wide.min(axis=1)).unstack("batch_size")


def _slopes(ranges: pd.DataFrame) -> pd.Series:
    """Return the slope over log2(batch size) of each row."""
    x = np.log2(ranges.columns.to_numpy(float))
    known = ranges.dropna()
    if len(x) < 2 or known.empty:
        return pd.Series(np.nan, index=ranges.index, dtype=float)
    return pd.Series(np.polyfit(x, known.to_numpy().T, 1)[0], index=known.index)
