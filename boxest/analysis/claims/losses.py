"""The statistics of claims 1 to 5 and 8: learning curves and final losses of the grid."""

from collections.abc import Callable

import numpy as np
import pandas as pd

from boxest.analysis.cells import paper_cells
from boxest.analysis.claims.pairs import (
    MOST,
    SHARE,
    compared,
    last_losses,
    ordered,
    shares,
    to_common_epochs,
    wins,
)
from boxest.analysis.claims.statistic import AFTERWARDS, WORST, Statistic
from boxest.analysis.columns import CELL, RUN, diverged, flag

# A rise of the loss by more than this factor from one epoch to the next can be seen.
VISIBLE = 1.01
# Curves within this factor of each other, by the root mean square over the epochs, count as alike.
ALIKE = 1.25


def statistics(histories: pd.DataFrame, runs: pd.DataFrame, metric: str) -> dict:
    """Return the statistics of claims 1 to 5 and 8 by number; see `boxest.analysis.claims`."""
    found = _statistics(histories, runs, metric)
    if not flag(runs, "stopped_early").any():
        return found
    restored = _statistics(*_stopped_at_best(histories, runs, metric), metric)
    # The smallest loss so far never rises, so claim 2 has no such reading.
    for number in found.keys() - {2}:
        how = "stopped runs at their best epoch"
        found[number] += [
            one.read(how, values=other.values, out_of=other.out_of)
            for one, other in zip(found[number], restored[number], strict=True)
            if one.main
        ]
    return found


def _statistics(histories: pd.DataFrame, runs: pd.DataFrame, metric: str) -> dict:
    curves, gone = _curves(histories, runs, f"validation_{metric}")
    lost = gone.iloc[:, -1]
    # The paper's table is of the inclusive loss.
    paper = _paper_losses() if metric == "inclusive_iou_loss" else None
    return {
        1: falls_faster(curves, gone),
        2: oscillates(curves, gone),
        3: ends_lower(curves, lost, paper),
        4: keeps_the_curve(curves, lost),
        5: is_less_sensitive(curves, paper),
        8: agrees(runs, metric),
    }


def falls_faster(curves: pd.DataFrame, gone: pd.DataFrame) -> list[Statistic]:
    """Claim 1: the share of pairs in which the larger of two neighbouring rates falls faster.

    A run falls faster than another one of the same batch size and seed if the mean logarithm of its
    validation loss over the first third of the epochs is lower, and it did not diverge within them.
    """
    epochs = max(1, round(curves.shape[1] / 3))
    lost = gone.iloc[:, epochs - 1]

    def speed(table: pd.DataFrame) -> pd.Series:
        means = np.exp(np.log(table.iloc[:, :epochs]).mean(axis=1))
        return means.where(~lost.loc[table.index], np.inf)

    what = "pairs in which the larger rate has the lower loss in the first third of the epochs (%)"
    return ordered(*compared(speed, curves, "learning_rate", larger_is_lower=True), "rate", what)


def oscillates(curves: pd.DataFrame, gone: pd.DataFrame) -> list[Statistic]:
    """Claim 2: the share of epochs, from the third on, whose loss is visibly above the one before.

    The claim is that at the largest rate this happens in at least every fourth epoch. An epoch in
    which a run diverges counts as such a rise.
    """
    before, now = curves.iloc[:, 1:-1].to_numpy(), curves.iloc[:, 2:]
    ratio = (now / before).where(~gone.to_numpy()[:, 1:-1])
    rises = (ratio > VISIBLE) | (ratio.notna() & gone.iloc[:, 2:])
    up, seen = rises.sum(axis=1), ratio.notna().sum(axis=1)
    # A run that diverged before the third epoch has only its divergence to count.
    up, seen = up.where(seen > 0, 1), seen.where(seen > 0, gone.any(axis=1))
    counts = seen.where(seen > 0).astype(float)
    share = 100 * up / counts
    largest = share.index.get_level_values("learning_rate").max()
    what = f"epochs with a loss more than {VISIBLE - 1:.0%} above the epoch before (%)"
    result = []
    for rate, rows in share.groupby("learning_rate"):
        table, of = (
            one.loc[rows.index].droplevel("learning_rate").unstack("batch_size")
            for one in (share, counts)
        )
        main = rate == largest
        claimed = (25.0, np.inf) if main else None
        whole, counted = table.mean(axis=1), of.sum(axis=1)
        result.append(
            Statistic(
                f"rate {rate:g}", what, whole, claimed, main, bounds=SHARE, out_of=counted,
            )
        )  # fmt: skip
        if main:
            result += [
                Statistic(
                    f"rate {rate:g}, batch size {size}", what, table[size], claimed, bounds=SHARE,
                    out_of=of[size],
                )
                for size in table
            ]  # fmt: skip
    return sorted(result, key=lambda one: not one.main)


def ends_lower(curves: pd.DataFrame, lost: pd.Series, paper: pd.Series | None) -> list[Statistic]:
    """Claim 3: the share of pairs in which the smaller of two neighbouring batch sizes ends lower.

    Runs of the same rate and seed are compared by their last validation loss, which is infinite for
    a run that diverged, so that it loses against all that did not. If one of a pair stopped early,
    their last epochs differ. So two other readings are given: the pairs at the last epoch that both
    have, and the pairs without the largest rate, at which runs stop.
    """

    def final(table: pd.DataFrame) -> pd.Series:
        return last_losses(table).where(~lost.loc[table.index], np.inf)

    what = "pairs in which the smaller batch size has the lower final loss (%)"
    theirs = None if paper is None else wins(paper, "batch_size", larger_is_lower=False)
    whole, equal = compared(final, curves, "batch_size", larger_is_lower=False)
    result = ordered(whole, equal, "batch size", what, theirs)
    rates = whole.index.get_level_values("learning_rate")
    if rates.nunique() > 1:
        how = f"rates below {rates.max():g}"
        values, out_of = shares(whole[rates < rates.max()].unstack("learning_rate"))
        result.append(result[0].read(how, values=values, out_of=out_of))
    return result


def keeps_the_curve(curves: pd.DataFrame, lost: pd.Series) -> list[Statistic]:
    """Claim 4: the share of pairs along the diagonals of the grid whose curves are alike.

    A pair is two cells of which one has a larger batch size and a larger rate, by about the same
    factor (within a factor of 2). Two runs of the same seed are alike if the root mean square of
    the logarithm of the ratio of their losses, over the epochs from the third on that both have, is
    below ln(1.25). For comparison: pairs in which only the batch size changes; and runs of one cell
    paired with those of the next seed, which no pair of cells can be expected to beat.
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

    def part(name: str, alike: pd.DataFrame, claimed=None, main=False) -> Statistic:
        values, out_of = shares(alike)
        return Statistic(name, what, values, claimed, main, bounds=SHARE, out_of=out_of)

    every = _alike(logs, lost, diagonal)
    reaches = np.array([rate == largest for _, (_, rate) in diagonal], bool)
    return [
        part("all diagonals", every, MOST, main=True),
        part(f"below rate {largest:g}", every.loc[:, ~reaches], MOST),
        part(f"to rate {largest:g}", every.loc[:, reaches], MOST),
        part("the same batch sizes, one rate", _alike(logs, lost, alone)),
        part(
            f"the same cell, another seed {AFTERWARDS}", _alike(logs, lost, itself, seeds_apart=1)
        ),
    ]


def is_less_sensitive(curves: pd.DataFrame, paper: pd.Series | None) -> list[Statistic]:
    """Claim 5: the slope of the sensitivity to the rate over the logarithm of the batch size.

    The sensitivity of a batch size is the range, over the rates, of ln(final validation loss): 0.7
    is a factor of 2. The claim is that it grows with the batch size. Other readings: without the
    largest rate, which the paper's table has for only three of the batch sizes; with the loss
    itself instead of its logarithm, as "sensitive" may mean either; and at the last epoch that the
    runs of all rates have.
    """
    final, equal = last_losses(curves), last_losses(to_common_epochs(curves, "learning_rate"))
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

    main, fewer = parts("ln(final loss)", np.log, main=True)
    return [
        main,
        fewer,
        main.read("at equal epochs", values=_slopes(_ranges(np.log(equal), rates))),
        *parts("the final loss", np.positive, f", the loss itself {AFTERWARDS}"),
        *(
            Statistic(f"batch size {size}", "range of ln(final loss) over the rates", ranges[size])
            for size in ranges
        ),
    ]  # fmt: skip


def agrees(runs: pd.DataFrame, metric: str) -> list[Statistic]:
    """Claim 8: the share of cells whose similitude is within 10 % of 100, for each seed.

    The similitude of a run is 100 * training / validation loss of its last epoch; runs that
    diverged have none. The paper computes its own from means over ten runs. The share of cells by
    the means over our seeds is given beside it; as a single number, it has no interval.
    """
    kept = runs[~diverged(runs)]
    names = [f"train_{metric}", f"validation_{metric}"]
    ratio = 100 * kept[names[0]] / kept[names[1]]
    ratio.index = pd.MultiIndex.from_frame(kept[RUN])
    means = kept.groupby(CELL)[names].mean()
    of_means = (100 * means[names[0]] / means[names[1]]).between(90, 110)
    inclusive = metric == "inclusive_iou_loss"
    theirs = 100 * paper_cells()["similitude"].between(90, 110).mean() if inclusive else np.nan
    near, out_of = shares((100.0 * ratio.between(90, 110)).unstack(CELL))
    what = "100 × training / validation loss"
    return [
        Statistic(
            "all cells", f"cells with {what} from 90 to 110 (%)", near, MOST, main=True,
            bounds=SHARE, out_of=out_of,
        ),
        Statistic("mean", what, ratio.groupby("seed").mean(), (95.0, 105.0)),
        Statistic(
            f"means over the seeds {AFTERWARDS}", f"cells with {what} from 90 to 110 (%)",
            pd.Series([100.0 * of_means.mean()]), paper=theirs, bounds=SHARE,
            out_of=pd.Series([len(of_means)]),
        ),
    ]  # fmt: skip


def _curves(
    histories: pd.DataFrame, runs: pd.DataFrame, column: str
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the losses, a row per run and a column per planned epoch, and where runs are diverged.

    From divergence on, the loss is WORST, which a run that goes on may also have. After early
    stopping it is NaN.
    """
    table = histories.pivot(index=RUN, columns="epoch", values=column)
    planned = int(runs["planned_epochs"].max())
    table = table.reindex(columns=range(1, planned + 1))
    table = table.where(np.isfinite(table))
    lost = diverged(runs.set_index(RUN)).reindex(table.index).to_numpy()
    gone = table.isna() & lost[:, None]
    return table.mask(gone, WORST), gone


def _stopped_at_best(
    histories: pd.DataFrame, runs: pd.DataFrame, metric: str
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Give each epoch of a run that stopped early the losses of its best epoch so far.

    This is as if the weights of that epoch had been restored.
    """
    names = [f"{part}_{metric}" for part in ("train", "validation")]
    stopped = runs.loc[flag(runs, "stopped_early"), RUN]
    table = histories.sort_values([*RUN, "epoch"]).set_index(RUN)
    rows = table.index.isin(pd.MultiIndex.from_frame(stopped))
    watched = table.loc[rows, names[1]]
    best = table.loc[rows, names].where(watched <= watched.groupby(RUN).cummin())
    table.loc[rows, names] = best.groupby(RUN).ffill()
    last = table.groupby(RUN)[names].tail(1).loc[pd.MultiIndex.from_frame(runs[RUN])]
    return table.reset_index(), runs.assign(**dict(zip(names, last.to_numpy().T, strict=True)))


def _paper_losses() -> pd.Series:
    """Return the paper's final validation losses, as those of one seed."""
    table = paper_cells().assign(seed=0)
    # Its 0.0001 and ours are the same numbers: both were read from decimal text.
    return table.set_index(RUN)["validation_loss"]


def _alike(logs: pd.DataFrame, lost: pd.Series, pairs: list, seeds_apart: int = 0) -> pd.DataFrame:
    """Return for each seed and pair of cells (column) whether the curves are alike: 100 or 0."""
    wide, gone = logs.unstack("seed"), lost.unstack("seed", fill_value=False)
    seeds = gone.columns
    if seeds_apart and len(seeds) == 1:
        return pd.DataFrame(index=seeds)
    # By cell, epoch and seed.
    curves = wide.to_numpy().reshape(len(wide), -1, len(seeds))
    one, other = (wide.index.get_indexer([pair[i] for pair in pairs]) for i in range(2))
    apart = (curves[one] - np.roll(curves[other], -seeds_apart, axis=2)) ** 2
    both = np.isfinite(apart).sum(axis=1)
    with np.errstate(invalid="ignore"):
        alike = np.sqrt(np.nansum(apart, axis=1) / both) < np.log(ALIKE)
    # ln(1) = 0 from divergence on: two such runs have nothing to compare.
    gone = gone.to_numpy()
    known = (both > 0) & ~(gone[one] & np.roll(gone[other], -seeds_apart, axis=1))
    return pd.DataFrame(np.where(known, 100.0 * alike, np.nan).T, seeds)


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
