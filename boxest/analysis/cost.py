"""The cost of accuracy: seconds against loss, and how to choose batch size and rate (§4)."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from boxest.analysis.cells import cells
from boxest.analysis.columns import CELL, RUN, by_condition, diverged, require
from boxest.analysis.timing import by_engine, fit_time, students_t, time_table

# "A few epochs" of §4.
FEW_EPOCHS = 5
# Times that differ by less count as equal, as in the claim that time does not depend on the rate.
SAME_TIME = 0.05
LOSSES = ("validation_inclusive_iou_loss", "validation_iou_loss")


def cost_table(
    runs: pd.DataFrame, times: pd.DataFrame | None = None, others: Sequence[str] = ()
) -> pd.DataFrame:
    """Combine the training time of each cell with its final loss, and find the Pareto front.

    A run that stopped early only costs the epochs that it trained. The time per epoch is the mean
    over all rates of a batch size: the rate does not change it (claim 7), so noise in the times
    does not separate cells that cost the same.

    Parameters
    ----------
    runs : pandas.DataFrame
        As for `cells`; for the losses and the numbers of epochs.
    times : pandas.DataFrame, optional
        Runs whose times count, of any number of epochs and of several engines; `runs` by default.
    others : sequence of str
        Axes other than batch size and learning rate.

    Returns
    -------
    pandas.DataFrame
        One row per engine and cell whose batch size was timed: `epochs` (mean over the runs that
        did not diverge), `seconds` (time per epoch × `epochs`), `planned_seconds` (× the epochs
        planned, as in Fig. 4), both validation losses, `pareto_…` of both: whether no other cell of
        that engine, and of the same condition of the data, beats it in `seconds` (by 5 %) or loss
        without being worse in the other; and `seconds_per_percent`: along the front of the
        geometric loss, the cost of a per cent of IoU relative to the previous cell. NaN if all runs
        diverged.
    """
    keys = [*CELL, *others]
    losses = cells(runs, others)[[*keys, "runs", "diverged", *LOSSES]]
    epochs = runs["epochs"].where(~diverged(runs)).groupby([runs[name] for name in keys]).mean()
    losses = losses.merge(epochs.reset_index(), on=keys)
    parts = []
    for engine, rows in by_engine(runs if times is None else times):
        alike = ["batch_size", *(name for name in others if name in rows)]
        table = time_table(rows, alike[1:]).groupby(alike)["seconds_per_epoch"].mean()
        table = losses.merge(table.reset_index(), on=alike)
        per_epoch = table.pop("seconds_per_epoch").where(table["epochs"].notna())
        table["seconds"] = per_epoch * table["epochs"]
        table["planned_seconds"] = per_epoch * runs["planned_epochs"].max()
        parts += [_with_front(rows).assign(engine=engine) for rows in by_condition(table)]
    return pd.concat(parts, ignore_index=True)


def _with_front(table: pd.DataFrame) -> pd.DataFrame:
    """Add which cells are on the Pareto front, and what each step along it costs."""
    fronts = {f"pareto_{loss}": _pareto(table["seconds"], table[loss]) for loss in LOSSES}
    table = table.assign(**fronts)
    return table.assign(seconds_per_percent=_seconds_per_percent(table))


def knee(fit: pd.DataFrame) -> float:
    """Return the batch size at the knee of Fig. 4, from the fit a + b / batch size.

    Beyond b / a, the updates cost less than the images, so a larger batch saves little.

    Parameters
    ----------
    fit : pandas.DataFrame
        From `fit_time`.

    Returns
    -------
    float
        In images; 0 if the time does not fall with the batch size, infinite if only the updates
        cost time, NaN without a fit.
    """
    a, b = fit["a"].iloc[0], fit["b"].iloc[0]
    if np.isnan([a, b]).any():
        return np.nan
    return 0.0 if b <= 0 else b / a if a > 0 else np.inf


def knee_interval(fit: pd.DataFrame) -> tuple[float, float]:
    """Return the 95 % interval of the knee, b / a, by Fieller's theorem.

    A ratio r belongs to the interval if b - r a is 0 within the Student's t of the fit, given the
    errors of both and their covariance.

    Parameters
    ----------
    fit : pandas.DataFrame
        From `fit_time`.

    Returns
    -------
    tuple of two floats
        Both ends, in images and not below 0; the upper one is infinite if `a` may be 0, and both
        are NaN if the fit has no errors.
    """
    row = fit.iloc[0]
    if np.isnan(row["a_se"]):
        return np.nan, np.nan
    a, b, t = row["a"], row["b"], students_t(fit)
    # The ratios at which (b - r a)² = t² variance(b - r a): square r² - 2 middle r + constant = 0.
    square = a**2 - (t * row["a_se"]) ** 2
    middle = a * b - t**2 * row["ab_cov"]
    constant = b**2 - (t * row["b_se"]) ** 2
    root = np.sqrt(max(middle**2 - square * constant, 0))
    if square > 0:
        ends = np.array([middle - root, middle + root]) / square if a > 0 else [np.inf, np.inf]
        return max(ends[0], 0.0), max(ends[1], 0.0)
    # If a may be 0, the ratios extend to infinity, from the positive solution or from 0.
    return (constant / (middle + root) if constant > 0 and b > 0 else 0.0), np.inf


def recommend(
    histories: pd.DataFrame,
    runs: pd.DataFrame,
    times: pd.DataFrame | None = None,
    *,
    epochs: int = FEW_EPOCHS,
    loss: str = "validation_inclusive_iou_loss",
) -> pd.DataFrame:
    """Choose batch size and learning rate as in §4 of the paper, from measurements.

    First the batch size: the smallest one of the grid beyond the knee of Fig. 4. Then the rate:
    from the smallest one, larger by a step as long as the loss after a few epochs falls.

    Parameters
    ----------
    histories, runs : pandas.DataFrame
        From `boxest.study.history.collect`.
    times : pandas.DataFrame, optional
        As for `cost_table`.
    epochs : int
        Number of epochs that count as a few.
    loss : str
        The loss to use, a column of the histories and the runs.

    Returns
    -------
    pandas.DataFrame
        One row per engine: `engine`, `knee` (images) and the ends of its 95 % interval, `knee_low`
        and `knee_high`, `batch_size` and the batch sizes that those ends would lead to,
        `batch_size_low` and `batch_size_high`, `learning_rate`, the final results of that cell:
        both losses and `seconds`; and the same, with the prefix `best_`, for the cell with the
        smallest loss of all. NaN if a time is unknown.
    """
    require(histories, [*RUN, "epoch", loss], "histories")
    costs = cost_table(runs, times)
    sizes = sorted(runs["batch_size"].unique())
    rows = []
    for engine, timed in by_engine(runs if times is None else times):
        fit = fit_time(time_table(timed), "seconds_per_epoch")
        low, high = knee_interval(fit)
        knees = {"knee": knee(fit), "knee_low": low, "knee_high": high}
        size = _beyond(knees["knee"], sizes)
        ends = {
            f"batch_size_{end}": np.nan if np.isnan(at) else _beyond(at, sizes)
            for end, at in (("low", low), ("high", high))
        }
        rate = _climb(histories[histories["batch_size"] == size], epochs, loss)
        table = costs[costs["engine"] == engine].set_index(CELL)
        known = table[loss].dropna()
        best = known.idxmin() if len(known) else (np.nan, np.nan)
        chosen = _outcome(table, (size, rate), "") | ends | _outcome(table, best, "best_")
        rows.append({"engine": engine} | knees | chosen)
    return pd.DataFrame(rows)


def _beyond(knee: float, sizes: list) -> int:
    """Return the smallest batch size of the grid beyond a knee, or the largest if there is none."""
    return next((size for size in sizes if size >= knee), sizes[-1])


def _climb(histories: pd.DataFrame, epochs: int, loss: str) -> float:
    """Raise the rate by a step while the mean loss after a few epochs falls."""
    last = min(epochs, int(histories["epoch"].max()))
    at = histories[histories["epoch"] == last]
    finite = at[np.isfinite(at[loss])]
    # Do not move to a rate at which a run has diverged by then.
    runs = histories.groupby("learning_rate")["seed"].nunique()
    whole = finite.groupby("learning_rate")["seed"].nunique().reindex(runs.index) == runs
    means = finite.groupby("learning_rate")[loss].mean().reindex(runs.index).where(whole)
    chosen = means.index[0]
    for rate in means.index[1:]:
        if not means[rate] < means[chosen]:
            break
        chosen = rate
    return float(chosen)


def _outcome(table: pd.DataFrame, cell: tuple, prefix: str) -> dict:
    """Return a cell and its results, with NaN for unknown ones."""
    names = [*LOSSES, "seconds"]
    found = (
        table.loc[cell, names].to_dict() if cell in table.index else dict.fromkeys(names, np.nan)
    )
    outcome = dict(zip(CELL, cell, strict=True)) | found
    return {f"{prefix}{name}": value for name, value in outcome.items()}


def _pareto(seconds: pd.Series, loss: pd.Series) -> np.ndarray:
    """Return which cells are not beaten in one measure by another that is as good in the other."""
    s, v = seconds.to_numpy(float), loss.to_numpy(float)
    as_fast = s[:, None] <= s * (1 + SAME_TIME)
    faster = s[:, None] * (1 + SAME_TIME) < s
    beaten = (as_fast & (v[:, None] < v)) | (faster & (v[:, None] <= v))
    return ~beaten.any(axis=0) & np.isfinite(s) & np.isfinite(v)


def _seconds_per_percent(table: pd.DataFrame) -> pd.Series:
    """Return the cost of a per cent of IoU at each step along the front."""
    front = table[table["pareto_validation_iou_loss"]].sort_values("seconds")
    percent = -100 * front["validation_iou_loss"].diff()
    # If time does not separate two cells, one of them is on the front by chance.
    return (front["seconds"].diff() / percent.where(percent > 0)).reindex(table.index)
