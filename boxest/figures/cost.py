"""Draw the cost of accuracy: seconds against loss."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from boxest.analysis import ENGINES, require
from boxest.analysis.columns import CELL, by_condition, ordered
from boxest.analysis.cost import LOSSES
from boxest.figures.style import (
    cell_legend,
    graded,
    label,
    log_ticks,
    named,
    new_figure,
    numbered,
    say,
    styled,
    value_text,
)
from boxest.figures.timing import TOGETHER

# Times that differ by less than this factor do not separate cells.
SAME = 1.25


@styled
def seconds_against_loss(costs: pd.DataFrame) -> Figure:
    """Draw the final loss of every cell against its training time, with the Pareto front.

    Parameters
    ----------
    costs : pandas.DataFrame
        From `boxest.analysis.cost_table`.

    Returns
    -------
    matplotlib.figure.Figure
        A column of panels per engine, the inclusive loss above, the geometric one below. Each
        condition of the data has its own front.
    """
    columns = ["engine", *CELL, "seconds", *LOSSES]
    require(costs, [*columns, *(f"pareto_{loss}" for loss in LOSSES)], "costs")
    engines = sorted(costs["engine"].unique())
    legend = _legend(costs)
    first, _ = legend
    figure = new_figure(2.9 * len(engines) + 2.1, 5.2)
    panels = figure.subplots(2, len(engines), sharex="col", sharey="row", squeeze=False)
    for row, loss in zip(panels, LOSSES, strict=True):
        for axes, engine in zip(row, engines, strict=True):
            _front(axes, costs[costs["engine"] == engine], loss, legend)
        row[0].set_yscale("log")
        log_ticks(row[0].yaxis, costs[loss])
        row[0].set_ylabel(label(loss))
    for axes, engine in zip(panels[0], engines, strict=True):
        axes.set_title(ENGINES.get(engine, engine))
    for axes, engine in zip(panels[-1], engines, strict=True):
        _time_axis(axes, costs[costs["engine"] == engine], first)
    figure.suptitle("What accuracy costs: every cell,\nand the Pareto front")
    front = Line2D([], [], color="0.3", label="Pareto front")
    cell_legend(figure, legend, [front], "outside right center")
    return figure


def _legend(costs: pd.DataFrame) -> dict[str, dict]:
    """Return the axes for colours and for markers: the first two in which the cells differ."""
    names = costs.columns[: list(costs.columns).index("runs")]
    names = [name for name in names if costs[name].nunique() > 1]
    first, second = [*names, *(name for name in CELL if name not in names)][:2]
    markers = {value: numbered(i)["marker"] for i, value in enumerate(ordered(costs[second]))}
    return {first: graded(costs[first]), second: markers}


def _alike(seconds: pd.Series) -> bool:
    """Return whether all cells cost the same, so that time does not order them."""
    return bool(seconds.max() < SAME * seconds.min())


def _time_axis(axes: Axes, costs: pd.DataFrame, first: str) -> None:
    """Scale by decades if the times differ, otherwise from 0, or noise would look like a cost."""
    axes.set_xlabel("training time of the epochs run (s)")
    seconds = costs["seconds"].dropna()
    if _alike(seconds):
        values = ordered(costs[first])
        axes.set_xticks(range(len(values)), [value_text(value) for value in values])
        axes.set_xlim(-0.6, len(values) - 0.4)
        low, high = f"{seconds.min():.3g}", f"{seconds.max():.3g}"
        axes.set_xlabel(f"{named(first)}\nall cells take the same time, {low} to {high} s")
    elif seconds.max() > 2 * seconds.min():
        axes.set_xscale("log")
        log_ticks(axes.xaxis, seconds)
    elif len(seconds):
        axes.set_xlim(0, 1.15 * seconds.max())


def _front(axes: Axes, costs: pd.DataFrame, loss: str, legend: dict[str, dict]) -> None:
    """Draw the cells of an engine; those on the front are larger and joined.

    If all take the same time, they would be on top of each other. Then they are drawn side by side
    along the first axis, and are not joined.
    """
    (first, colours), (second, markers) = legend.items()
    finite = costs[np.isfinite(costs[loss])]
    costs = finite[np.isfinite(finite["seconds"])]
    if costs.empty:
        say(axes, "all runs diverged" if finite.empty else TOGETHER)
        return
    alike, places = _alike(costs["seconds"]), list(colours)
    for rows in [] if alike else by_condition(costs):
        front = rows[rows[f"pareto_{loss}"]].sort_values("seconds")
        axes.step(
            front["seconds"], front[loss], where="post", color="0.3", linewidth=1, zorder=1,
            gid="front",
        )  # fmt: skip
    for row in costs.itertuples():
        on_front, value = getattr(row, f"pareto_{loss}"), getattr(row, first)
        axes.plot(
            places.index(value) if alike else row.seconds, getattr(row, loss), linestyle="",
            marker=markers[getattr(row, second)], color=colours[value],
            markersize=7 if on_front else 4.5, zorder=2 + on_front,
            markeredgecolor="black" if on_front else "white", markeredgewidth=0.9, gid="cell",
        )  # fmt: skip
