"""The statistics of the claims 1 to 5 and 8: learning curves and final losses of the grid."""

from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pandas as pd

from boxest.analysis.cells import paper_cells
from boxest.analysis.claims.statistic import AFTERWARDS, WORST, Statistic
from boxest.analysis.columns import CELL, diverged

RUN = [*CELL, "seed"]
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
    curves, gone = _curves(histories, runs, f"validation_{metric}")
    filled = curves.ffill(axis=1)
    final, lost = filled.iloc[:, -1], gone.iloc[:, -1]
    # The paper's table is of the inclusive loss.
    paper = _paper_losses() if metric == "inclusive_iou_loss" else None
    return {
        1: falls_faster(filled, gone),
        2: oscillates(curves, gone),
        3: ends_lower(final.where(~lost, np.inf), paper),
        4: keeps_the_curve(curves, lost),
        5: is_less_sensitive(final, paper),
        8: agrees(runs, metric),
    }


def falls_faster(curves: pd.DataFrame, gone: pd.DataFrame) -> list[Statistic]:
    """Claim 1: the share of pairs in which the larger of two neighbouring rates falls faster.

    A run falls faster if the mean logarithm of its validation loss over the first third of the
    epochs is lower than that of the other run, of the same batch size and seed; not if it diverged
    within them.
    """
    epochs = max(1, round(curves.shape[1] / 3))
    lost = gone.iloc[:, epochs - 1]
    speed = np.exp(np.log(curves.iloc[:, :epochs]).mean(axis=1)).where(~lost, np.inf)
    what = "pairs in which the larger rate has the lower loss in the first third of the epochs (%)"
    return _ordered(speed, "learning_rate", what, larger_is_lower=True)


def oscillates(curves: pd.DataFrame, gone: pd.DataFrame) -> list[Statistic]:
    """Claim 2: the share of epochs, from the third on, that end visibly above the one before.

    At the largest rate; the claim is that at least every fourth epoch does. A diverging epoch does.
    """
    before, now = curves.iloc[:, 1:-1].to_numpy(), curves.iloc[:, 2:]
    ratio = (now / before).where(~gone.to_numpy()[:, 1:-1])
    rises = (ratio > VISIBLE) | (ratio.notna() & gone.iloc[:, 2:])
    up, seen = rises.sum(axis=1), ratio.notna().sum(axis=1)
    # A run that diverged before the third epoch has nothing but its divergence.
    up, seen = up.where(seen > 0, 1), seen.where(seen > 0, gone.any(axis=1))
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

    Pairs of runs of the same rate and seed, by their last validation loss; infinite where one
    diverged, which so loses against all that did not.
    """
    what = "pairs in which the smaller batch size has the lower final loss (%)"
    theirs = None if paper is None else _wins(paper, "batch_size", larger_is_lower=False)
    return _ordered(final, "batch_size", what, larger_is_lower=False, paper=theirs)


def keeps_the_curve(curves: pd.DataFrame, lost: pd.Series) -> list[Statistic]:
    """Claim 4: the share of pairs along the diagonals of the grid whose curves are alike.

    Pairs of cells in which batch size and rate are both larger, and by about the same factor (at
    most 2 apart); the runs of the same seed are alike if the root mean square of ln(loss / loss)
    over the epochs from the third on that both have is below ln(1.25). Beside it: pairs with the
    same batch sizes, and only these changed; and the runs of one cell with those of the next seed,
    which no pair of cells can be expected to beat.
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
    itself = [(cell, cell) for cell in cells if any(cell in pair for pair in diagonal)]
    what = f"pairs of curves within a factor of {ALIKE} (root mean square over the epochs, %)"

    def part(name: str, pairs: list, claimed=None, main=False, seeds_apart=0) -> Statistic:
        values, out_of = _shares(_alike(logs, lost, pairs, seeds_apart))
        return Statistic(name, what, values, claimed, main, bounds=SHARE, out_of=out_of)

    below = [pair for pair in diagonal if pair[1][1] < largest]
    to_largest = [pair for pair in diagonal if pair[1][1] == largest]
    return [
        part("all diagonals", diagonal, MOST, main=True),
        part(f"below rate {largest:g}", below, MOST),
        part(f"to rate {largest:g}", to_largest, MOST),
        part("the same batch sizes, one rate", alone),
        part(f"the same cell, another seed {AFTERWARDS}", itself, seeds_apart=1),
    ]


def is_less_sensitive(final: pd.Series, paper: pd.Series | None) -> list[Statistic]:
    """Claim 5: the slope of the sensitivity to the rate over the logarithm of the batch size.

    The sensitivity of a batch size is the range, over the rates, of ln(final validation loss): 0.7
    is a factor of 2. The claim is that it grows with the batch size. Beside it without the largest
    rate, which the paper's table has for three of the batch sizes only; and the same of the loss
    itself, for which the reading of "sensitive" decides.
    """
    rates = sorted(final.index.unique("learning_rate"))
    below, ranges = rates[:-1], _ranges(np.log(final), rates)
    grows = (0.0, np.inf)

    def parts(name: str, scale: Callable, suffix: str = "", main: bool = False) -> list[Statistic]:
        what = f"change of the range of {name} over the rates, per doubling of the batch size"
        theirs = np.nan if paper is None else _slopes(_ranges(scale(paper), below)).mean()
        every, fewer = (_slopes(_ranges(scale(final), chosen)) for chosen in (rates, below))
        return [
            Statistic(f"all rates{suffix}", what, every, grows, main=main),
            Statistic(f"rates below {rates[-1]:g}{suffix}", what, fewer, grows, paper=theirs),
        ]

    return [
        *parts("ln(final loss)", np.log, main=True),
        *parts("the final loss", np.positive, f", the loss itself {AFTERWARDS}"),
        *(
            Statistic(f"batch size {size}", "range of ln(final loss) over the rates", ranges[size])
            for size in ranges
        ),
    ]  # fmt: skip


def agrees(runs: pd.DataFrame, metric: str) -> list[Statistic]:
    """Claim 8: the share of cells whose similitude is within 10 % of 100, for each seed.

    The similitude of a run is 100 * training / validation loss of its last epoch; runs that
    diverged have none. The paper's own is of means over ten runs: beside it stands the one share
    that the means over our seeds give, which has no interval.
    """
    kept = runs[~diverged(runs)]
    names = [f"train_{metric}", f"validation_{metric}"]
    ratio = 100 * kept[names[0]] / kept[names[1]]
    ratio.index = pd.MultiIndex.from_frame(kept[RUN])
    means = kept.groupby(CELL)[names].mean()
    of_means = (100 * means[names[0]] / means[names[1]]).between(90, 110)
    inclusive = metric == "inclusive_iou_loss"
    theirs = 100 * paper_cells()["similitude"].between(90, 110).mean() if inclusive else np.nan
    near, out_of = _shares((100.0 * ratio.between(90, 110)).unstack(CELL))
    what = "100 × training / validation loss"
    return [
        Statistic(
            "all cells", f"cells with {what} from 90 to 110 (%)", near, MOST, main=True,
            bounds=SHARE, out_of=out_of,
        ),
        Statistic("mean", what, ratio.groupby("seed").mean(), (95.0, 105.0)),
        Statistic(
            f"means over the seeds {AFTERWARDS}", f"cells with {what} from 90 to 110 (%)",
            pd.Series([100.0 * of_means.mean()]), paper=theirs, bounds=SHARE, out_of=len(of_means),
        ),
    ]  # fmt: skip


def _curves(
    histories: pd.DataFrame, runs: pd.DataFrame, column: str
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the losses, a row per run and a column per planned epoch, and where it is diverged.

    From divergence on the loss is WORST, but a loss may be so large in a run that goes on. NaN
    after early stopping.
    """
    table = histories.pivot(index=RUN, columns="epoch", values=column)
    planned = int(runs["planned_epochs"].max())
    table = table.reindex(columns=range(1, planned + 1))
    table = table.where(np.isfinite(table))
    lost = diverged(runs.set_index(RUN)).reindex(table.index).to_numpy()
    gone = table.isna() & lost[:, None]
    return table.mask(gone, WORST), gone


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
        diverged (are infinite) and there is nothing to tell.
    """
    wide = losses.unstack(along).sort_index(axis=1)
    steps = {}
    for small, large in pairwise(wide.columns):
        a, b = (wide[large], wide[small]) if larger_is_lower else (wide[small], wide[large])
        known = a.notna() & b.notna() & ~(np.isinf(a) & np.isinf(b))
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
    others = [name for name in wins.index.names if name != "seed"]
    name = "rate" if along == "learning_rate" else "batch size"
    parts = {"all pairs": wins} | {f"{name} {step}": wins[[step]] for step in wins}
    result = []
    for part, rows in parts.items():
        values, out_of = _shares(rows.unstack(others))
        known = paper is not None and set(rows) <= set(paper)
        theirs = paper[list(rows)].stack().mean() if known else np.nan
        result.append(
            Statistic(
                part, what, values, MOST, main=part == "all pairs", paper=theirs, bounds=SHARE,
                out_of=out_of,
            )
        )  # fmt: skip
    return result


def _shares(table: pd.DataFrame) -> tuple[pd.Series, float]:
    """Return the mean of each row, and of how many it is where that is the same for all."""
    counts = table.count(axis=1)
    return table.mean(axis=1), counts.iloc[0] if counts.nunique() == 1 and any(counts) else np.nan


def _alike(logs: pd.DataFrame, lost: pd.Series, pairs: list, seeds_apart: int) -> pd.DataFrame:
    """Tell of pairs of cells, in columns, whether their curves are alike: 100 or 0 by seed."""
    shares = []
    for one, other in pairs:
        seeds = logs.loc[other].index
        if seeds_apart and len(seeds) == 1:
            continue
        turned = np.roll(seeds, -seeds_apart)
        curves, gone = (table.loc[other].loc[turned].set_axis(seeds) for table in (logs, lost))
        mean = np.sqrt(((logs.loc[one] - curves) ** 2).mean(axis=1))
        # ln(1) = 0 from divergence on: two such runs have nothing to compare.
        known = mean.notna() & ~(lost.loc[one] & gone)
        shares.append((100.0 * (mean < np.log(ALIKE))).where(known))
    return pd.concat(shares, axis=1) if shares else pd.DataFrame(index=logs.index.unique("seed"))


def _ranges(losses: pd.Series, rates: list) -> pd.DataFrame:
    """Return the range over the rates: a row per seed, a column per batch size."""
    wide = losses.unstack("learning_rate")
    wide = wide.reindex(columns=rates if len(rates) > 1 else []).dropna()
    return (wide.max(axis=1) - wide.min(axis=1)).unstack("batch_size")


def _slopes(ranges: pd.DataFrame) -> pd.Series:
    """Return the slope over log2(batch size) of each row."""
    x = np.log2(ranges.columns.to_numpy(float))
    known = ranges.dropna()
    if len(x) < 2 or known.empty:
        return pd.Series(np.nan, index=ranges.index, dtype=float)
    return pd.Series(np.polyfit(x, known.to_numpy().T, 1)[0], index=known.index)
