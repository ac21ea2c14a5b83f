"""What accuracy costs: seconds against loss."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from boxest.analysis import ENGINES, require
from boxest.figures.style import (
    MARKERS,
    cell_legend,
    graded,
    label,
    log_ticks,
    new_figure,
    say,
    styled,
)

LOSSES = ("validation_inclusive_iou_loss", "validation_iou_loss")


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
        A column of panels per engine, the inclusive loss above, the geometric one below.
    """
    columns = ["engine", "batch_size", "learning_rate", "seconds", *LOSSES]
    require(costs, [*columns, *(f"pareto_{loss}" for loss in LOSSES)], "costs")
    engines = sorted(costs["engine"].unique())
    colours = graded(costs["batch_size"])
    rates = sorted(costs["learning_rate"].unique())
    markers = {rate: MARKERS[i % len(MARKERS)] for i, rate in enumerate(rates)}
    figure = new_figure(2.9 * len(engines) + 2.1, 5.2)
    panels = figure.subplots(2, len(engines), sharex="col", sharey="row", squeeze=False)
    for row, loss in zip(panels, LOSSES, strict=True):
        for axes, engine in zip(row, engines, strict=True):
            _front(axes, costs[costs["engine"] == engine], loss, colours, markers)
        row[0].set_yscale("log")
        log_ticks(row[0].yaxis, costs[loss])
        row[0].set_ylabel(label(loss))
    for axes, engine in zip(panels[0], engines, strict=True):
        axes.set_title(ENGINES.get(engine, engine))
    for axes, engine in zip(panels[-1], engines, strict=True):
        _time_axis(axes, costs.loc[costs["engine"] == engine, "seconds"])
    figure.suptitle("What accuracy costs: every cell,\nand the Pareto front")
    front = Line2D([], [], color="0.3", label="Pareto front")
    cell_legend(figure, colours, markers, [front], "outside right center")
    return figure


def _time_axis(axes: Axes, seconds: pd.Series) -> None:
    """Scale by decades where the times differ, else from 0, or noise would look like a price."""
    axes.set_xlabel("training time of the epochs run (s)")
    seconds = seconds.dropna()
    if seconds.max() > 2 * seconds.min():
        axes.set_xscale("log")
        log_ticks(axes.xaxis, seconds)
    elif len(seconds):
        axes.set_xlim(0, 1.15 * seconds.max())


def _front(axes: Axes, costs: pd.DataFrame, loss: str, colours: dict, markers: dict) -> None:
    """Draw the cells of an engine, those on the front larger and joined."""
    costs = costs[np.isfinite(costs["seconds"]) & np.isfinite(costs[loss])]
    if costs.empty:
        say(axes, "all runs diverged")
        return
    front = costs[costs[f"pareto_{loss}"]].sort_values("seconds")
    axes.step(
        front["seconds"], front[loss], where="post", color="0.3", linewidth=1, zorder=1, gid="front"
    )
    for row in costs.itertuples():
        on_front = getattr(row, f"pareto_{loss}")
        axes.plot(
            row.seconds, getattr(row, loss), linestyle="", marker=markers[row.learning_rate],
            color=colours[row.batch_size], markersize=7 if on_front else 4.5, zorder=2 + on_front,
            markeredgecolor="black" if on_front else "white", markeredgewidth=0.9, gid="cell",
        )  # fmt: skip
