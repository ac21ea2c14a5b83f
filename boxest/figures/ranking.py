"""Draw the test losses of the cells of a study side by side."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from boxest.analysis import require
from boxest.analysis.ranking import AIMS, BASELINE, best_of_networks, independent
from boxest.analysis.text import plural
from boxest.figures.style import (
    COLOURS,
    log_ticks,
    new_figure,
    numbered,
    say,
    setting,
    styled,
)

TITLES = {"test_iou_loss": "test set", "test_iou_loss_below_8px": "smallest side < 8 px"}
# Share of the height of a row that all its series use together.
SPREAD = 0.7
# More rows than this would be too small to read, so only those of the best cells are drawn.
MAX_ROWS = 40


@styled
def test_losses(  # A figure, not a test.
    runs: pd.DataFrame,
    ranking: pd.DataFrame,
    *,
    drawn: bool = True,  # noqa: PT028
) -> Figure:
    """Draw the test loss of every run, one row per cell.

    Parameters
    ----------
    runs, ranking : pandas.DataFrame
        From `boxest.study.history.collect` and `boxest.analysis.rank`.
    drawn : bool, default=True
        Whether the images are drawn boxes: for these, lines show what a better network than the
        paper's should reach.

    Returns
    -------
    matplotlib.figure.Figure
        The geometric loss, for all objects on the left and for those with a side below 8 px on the
        right, with a dot per seed and a line at the mean. The last axis of the study has colours,
        the others make the rows. A study with several conditions of the data has one row per
        condition, with the best cell of each network.
    """
    require(runs, ["diverged", *TITLES], "runs")
    keys = list(ranking.columns[: list(ranking.columns).index("rank")])
    shown = "every run"
    if "condition" in keys and ranking["condition"].nunique() > 1:
        best = runs.merge(best_of_networks(ranking)[keys])
        if len(best) < len(runs):
            shown += f" of the best cell{' of each network' if 'network' in keys else ''}"
        runs = best
        keys, series = ["condition"], "network" if "network" in keys else None
    else:
        keys = [name for name in keys if ranking[name].nunique() > 1] or keys[:1]
        keys = independent(ranking, keys)
        series = (
            keys.pop() if len(keys) > 1 and ranking[keys[-1]].nunique() <= len(COLOURS) else None
        )
    order = runs[keys].drop_duplicates()
    if len(order) > MAX_ROWS:
        shown += f" in the best {MAX_ROWS} of {len(order)} rows"
        order = ranking[keys].drop_duplicates().head(MAX_ROWS)
    rows = list(order.itertuples(index=False, name=None))
    names = [", ".join(map(setting, keys, row)) for row in rows]
    compares = drawn and BASELINE in set(runs.get("network", ())) and series != "condition"
    rows = dict(zip(rows, names, strict=True))
    figure = _panels(runs, rows, keys, series, aims=AIMS if compares else {})
    seeds = int(ranking["runs"].max())
    figure.suptitle(f"Test loss of {shown}, {plural(seeds, 'seed')} each")
    return figure


def _panels(
    runs: pd.DataFrame,
    rows: Mapping[tuple, str],
    keys: list[str],
    series: str | None,
    aims: Mapping[str, float],
) -> Figure:
    """Draw one panel per loss, with rows of dots and several series per row."""
    values = list(runs[series].unique()) if series else [None]
    height = len(rows) * max(0.17 * len(values), 0.3) + 1.6
    figure = new_figure(7.2, max(height, 2.6))
    panels = figure.subplots(1, len(TITLES), sharey=True)
    for axes, (loss, title) in zip(panels, TITLES.items(), strict=True):
        axes.set_title(title + (f"; aim ≤ {aims[loss]:g}" if aims else ""))
        if aims:
            axes.axvline(aims[loss], color="0.4", linestyle="--", linewidth=0.9, zorder=1)
        for i, value in enumerate(values):
            offset = SPREAD * ((i + 0.5) / len(values) - 0.5)
            mine = runs[runs[series] == value] if series else runs
            _dots(axes, mine, rows, keys, loss, offset, form=numbered(i))
        axes.set_xscale("log")
        axes.set_xlabel("1 − IoU")
        axes.set_yticks(range(len(rows)), list(rows.values()))
        axes.set_ylim(len(rows) - 0.5, -0.5)
        axes.grid(axis="y", visible=False)
        axes.tick_params(axis="y", length=0)
        for y, (row, before) in enumerate(zip(list(rows)[1:], rows, strict=False), 1):
            new = row[0] != before[0] and len(keys) > 1
            axes.axhline(y - 0.5, color="0.5" if new else "0.88", linewidth=0.9 if new else 0.6)
        found = runs[loss].to_numpy(float)
        if np.isfinite(found).any():
            log_ticks(axes.xaxis, [*found, *aims.values()])
        else:
            say(axes, "no such objects" if not runs["diverged"].all() else "all runs diverged")
    _legend(figure, series, values, bool(aims))
    return figure


def _dots(
    axes: Axes, runs: pd.DataFrame, rows: Mapping[tuple, str], keys: list[str], loss: str,
    offset: float, form: dict,
) -> None:  # fmt: skip
    """Draw the runs of a series: one dot each, a line at the mean, and the number that diverged."""
    grouped = dict(list(runs.groupby(keys)))
    for y, row in enumerate(rows):
        mine = grouped.get(row)
        if mine is None:
            continue
        kept = mine.loc[~mine["diverged"].astype(bool), loss].dropna()
        axes.plot(
            kept, np.full(len(kept), y + offset), linestyle="", markersize=4, alpha=0.65,
            markeredgewidth=0, gid="runs", **form,
        )  # fmt: skip
        if len(kept):
            axes.plot(
                [kept.mean()], [y + offset], linestyle="", marker="|", markersize=9,
                markeredgewidth=1.6, color=form["color"], gid="mean",
            )  # fmt: skip
        gone = int(mine["diverged"].sum())
        if gone and axes.get_subplotspec().is_last_col():
            axes.annotate(
                f"{gone} diverged", (1, y + offset), (3, 0), xycoords=("axes fraction", "data"),
                textcoords="offset points", va="center", fontsize=7, color=form["color"],
            )  # fmt: skip


def _legend(figure: Figure, series: str | None, values: Sequence, aims: bool) -> None:
    """Name the series, the mean and the aim."""
    handles = [
        Line2D([], [], linestyle="", **numbered(i), label=setting(series, value))
        for i, value in enumerate(values)
        if series
    ]
    handles.append(
        Line2D([], [], linestyle="", marker="|", markersize=9, color="0.3", label="mean")
    )
    if aims:
        handles.append(Line2D([], [], linestyle="--", linewidth=0.9, color="0.4", label="aim"))
    figure.legend(handles=handles, loc="outside lower center", ncols=min(len(handles), 5))
