"""Draw searches for a learning rate: a single one, and many compared with the grid."""

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Rectangle

from boxest.analysis import require
from boxest.analysis.rates import NEAR
from boxest.figures.style import COLOURS, log_ticks, new_figure, numbered, styled

if TYPE_CHECKING:
    from boxest.training.search import RateSearch

METHODS = {"range_test": "range test", "magnitudes": "by orders of magnitude"}


@styled
def rate_search(search: "RateSearch") -> Figure:
    """Draw the loss against the learning rate of a search, with the rate that it suggests.

    Parameters
    ----------
    search : RateSearch
        From `boxest.find_learning_rate`.

    Returns
    -------
    matplotlib.figure.Figure
    """
    table = search.table.sort_values("learning_rate")
    kept = table[~table["diverged"]]
    figure = new_figure(4.8, 3.2)
    axes = figure.subplots()
    by_steps = search.method == "range_test"
    axes.plot(
        kept["learning_rate"], kept["loss"], linestyle="", marker="o", color=COLOURS[0],
        markersize=3 if by_steps else 6, alpha=0.6 if by_steps else 1,
        label="before the updates at a rate" if by_steps else "after the epochs of a trial",
    )  # fmt: skip
    if by_steps:
        axes.plot(kept["learning_rate"], kept["smoothed_loss"], color=COLOURS[0], label="smoothed")
    axes.axvline(
        search.learning_rate, color=COLOURS[1], linestyle="--",
        label=f"suggested: {search.learning_rate:.2g}",
    )  # fmt: skip
    if table["diverged"].any():
        first = table.loc[table["diverged"], "learning_rate"].min()
        axes.axvspan(first, table["learning_rate"].max() * 1.2, color="0.9", label="diverged")
    axes.set_xscale("log")
    log_ticks(axes.xaxis, table["learning_rate"])
    axes.set_xlabel("learning rate")
    axes.set_ylabel("training loss" if by_steps else "loss")
    figure.suptitle(f"Search for a learning rate, {METHODS[search.method]}")
    figure.legend(loc="outside lower center", ncols=2)
    return figure


@styled
def found_rates(found: pd.DataFrame) -> Figure:
    """Draw the rates found against the batch size, with the best ones of the grid.

    Parameters
    ----------
    found : pandas.DataFrame
        From `boxest.analysis.found_rates`.

    Returns
    -------
    matplotlib.figure.Figure
    """
    columns = ["batch_size", "method", "seed", "found_rate", "best_rate"]
    require(found, columns, "found")
    sizes = sorted(found["batch_size"].unique())
    methods = [method for method in METHODS if method in set(found["method"])]
    figure = new_figure(5.4, 3.9)
    axes = figure.subplots()
    best = found.groupby("batch_size")["best_rate"].first()
    for place, size in enumerate(sizes):
        _best(axes, place, best[size])
    handles = [
        Line2D([], [], color="black", linewidth=1.6, label="best rate of the grid"),
        Patch(color="0.88", label="half an order of magnitude around it"),
    ]
    for i, method in enumerate(methods):
        style = {"linestyle": "", **numbered(i), "markerfacecolor": "none"}
        for place, size in enumerate(sizes):
            rows = found[(found["batch_size"] == size) & (found["method"] == method)]
            # Side by side, because equal rates would be on top of each other.
            middle = place + 0.4 * (i + 0.5 - len(methods) / 2)
            at = middle + np.linspace(-0.16, 0.16, len(rows)) if len(rows) > 1 else [middle]
            axes.plot(at, rows.sort_values("seed")["found_rate"], markersize=4, **style)
        handles.append(Line2D([], [], **style, markersize=5, label=METHODS[method]))
    axes.set_yscale("log")
    log_ticks(axes.yaxis, found[["found_rate", "best_rate"]])
    axes.set_xticks(range(len(sizes)), [str(size) for size in sizes])
    axes.grid(False, axis="x")
    axes.set(xlabel="batch size", ylabel="learning rate", xlim=(-0.6, len(sizes) - 0.4))
    figure.suptitle("Rates found by short trials, a point per seed,\nbeside the best of the grid")
    figure.legend(handles=handles, loc="outside lower center", ncols=2)
    return figure


def _best(axes: Axes, place: int, rate: float) -> None:
    """Mark the best rate of the grid, and the range around it."""
    if not np.isfinite(rate):
        return
    corner, height = (place - 0.4, rate / NEAR), rate * NEAR - rate / NEAR
    axes.add_patch(Rectangle(corner, 0.8, height, color="0.88", linewidth=0, zorder=0))
    axes.plot([place - 0.4, place + 0.4], [rate, rate], color="black", linewidth=1.6, gid="best")
