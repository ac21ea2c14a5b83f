"""Draw the final loss against learning rate × number of updates."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import NullLocator

from boxest.analysis import diverged, fit_scaling, require, scaling_curve
from boxest.analysis.columns import CELL
from boxest.analysis.text import plural
from boxest.figures.style import (
    cell_legend,
    graded,
    label,
    log_ticks,
    new_figure,
    numbered,
    styled,
)


@styled
def loss_against_updates(runs: pd.DataFrame, loss: str = "validation_loss") -> Figure:
    """Draw every run's final loss against learning rate × number of updates.

    Parameters
    ----------
    runs : pandas.DataFrame
        One row per run: `batch_size`, `learning_rate`, `seed`, `updates`, `diverged`, `train_loss`,
        `validation_loss` and the column `loss`.
    loss : str
        Which final loss.

    Returns
    -------
    matplotlib.figure.Figure
        With the curve of `boxest.analysis.fit_scaling`, which is fitted to the rates below the
        largest and dashed where it is extrapolated: if all runs lie on it, only the product of rate
        and updates determines the loss. Diverged runs are marked at the upper edge, or in its
        corners if they are beyond the range of the others.
    """
    fit = fit_scaling(runs, loss)
    gone = diverged(runs) | ~np.isfinite(runs[loss])
    figure = new_figure(6.8, 4.4)
    axes = figure.subplots()
    axes.set(xscale="log", yscale="log")
    colours = graded(runs["batch_size"])
    rates = sorted(runs["learning_rate"].unique())
    markers = {rate: numbered(i)["marker"] for i, rate in enumerate(rates)}
    product = runs["learning_rate"] * runs["updates"]
    for (size, rate), rows in runs[~gone].groupby(CELL):
        axes.plot(
            product[rows.index], rows[loss], linestyle="", marker=markers[rate], markersize=5,
            color=colours[size], markeredgecolor="white", markeredgewidth=0.4, gid="cell",
        )  # fmt: skip
    drawn = ~gone & (product > 0)
    if fit["degree"].iloc[0] > 0:
        _curve(axes, fit, product[drawn])
    marked = product[gone & (product > 0)]
    if drawn.any():
        low, high = product[drawn].min(), product[drawn].max()
        margin = max((high / low) ** 0.04, 1.1)
        low, high = low / margin, high * margin
        axes.set_xlim(low, high)
        marked = marked.clip(low, high)
    for size, x in marked.groupby(runs["batch_size"]):
        axes.plot(
            x, np.full(len(x), 1.03), transform=axes.get_xaxis_transform(), linestyle="",
            marker="X", markersize=6, color=colours[size], clip_on=False, gid="diverged",
        )  # fmt: skip
    axes.set(xlabel="learning rate × number of updates", ylabel=f"{label(loss, runs)}, at the end")
    log_ticks(axes.yaxis, runs.loc[~gone, loss])
    axes.set_title(_scaling_title(fit.iloc[0], len(runs), int(gone.sum())), pad=16)
    others = _other_handles({line.get_gid() for line in axes.lines})
    cells = {"batch_size": colours, "learning_rate": markers}
    cell_legend(figure, cells, others, "outside right upper")
    return figure


def _curve(axes: Axes, fit: pd.DataFrame, product: pd.Series) -> None:
    """Draw the fitted curve, dashed where it is extrapolated."""
    low, high = fit["product_from"].iloc[0], fit["product_to"].iloc[0]
    pieces = {
        "fit": (low, high),
        "extrapolated below": (product.min(), low),
        "extrapolated above": (high, product.max()),
    }
    for name, (start, end) in pieces.items():
        if start < end:
            x = np.geomspace(start, end, 200)
            line = "-" if name == "fit" else "--"
            axes.plot(x, scaling_curve(fit, x), line, color="0.35", zorder=1, gid=name.split()[0])


def _scaling_title(fit: pd.Series, runs: int, gone: int) -> str:
    title = plural(runs - gone, "run")
    title += f", {gone} more diverged" if gone else ""
    if not np.isfinite(fit["residual"]):
        return title
    if np.isfinite(fit["below"]):
        title += f"; curve fitted to {fit['runs']} of rates below {fit['below']:g}"
    title += f"\nspread {100 * fit['residual']:.0f} % about the curve"
    if np.isfinite(fit["within_cells"]):
        title += f", {100 * fit['within_cells']:.0f} % between the seeds of a cell"
    return title


def _other_handles(gids: set) -> list[Line2D]:
    """Return the entries of the legend other than the cells."""
    handles = []
    if "fit" in gids:
        handles.append(Line2D([], [], color="0.35", label="fitted curve"))
    if "extrapolated" in gids:
        handles.append(Line2D([], [], color="0.35", linestyle="--", label="extrapolated"))
    if "diverged" in gids:
        cross = {"linestyle": "", "marker": "X", "color": "0.45"}
        handles.append(Line2D([], [], label="diverged", **cross))
    return handles


@styled
def residuals(table: pd.DataFrame) -> Figure:
    """Draw the distance of each cell from the curve of loss over learning rate × updates.

    Parameters
    ----------
    table : pandas.DataFrame
        From `boxest.analysis.scaling_residuals`.

    Returns
    -------
    matplotlib.figure.Figure
        One panel per learning rate, all on one scale: loss / curve, mean and standard deviation
        over the runs of a cell; hollow where the curve is extrapolated. If the product of rate and
        updates determines the loss, they lie on the line; the grey band is within 10 %.
    """
    columns = [*CELL, "product", "residual", "residual_sd", "diverged"]
    require(table, [*columns, "loss", "fitted", "extrapolated"], "residuals")
    rates = sorted(table["learning_rate"].unique())
    colours = graded(table["batch_size"])
    figure = new_figure(max(1.75 * len(rates) + 1.4, 4.8), 3.3)
    panels = figure.subplots(1, len(rates), sharex=True, sharey=True, squeeze=False)[0]
    panels[0].set_yscale("log")
    for axes, rate in zip(panels, rates, strict=True):
        axes.axhspan(1 / 1.1, 1.1, color="0.92", zorder=0)
        axes.axhline(1, color="0.35", linewidth=0.9, zorder=1)
        rows = table[table["learning_rate"] == rate]
        for row in rows[np.isfinite(rows["residual"])].itertuples():
            spread = row.residual_sd if np.isfinite(row.residual_sd) else 0
            middle, low, high = np.exp(row.residual + np.array([0, -spread, spread]))
            colour = colours[row.batch_size]
            axes.errorbar(
                row.product, middle, [[middle - low], [high - middle]], marker="o", markersize=5,
                capsize=2, color=colour, markerfacecolor="white" if row.extrapolated else colour,
                gid="cell",
            )  # fmt: skip
        gone = [str(row.batch_size) for row in rows.itertuples() if not np.isfinite(row.residual)]
        notes = [] if rows["fitted"].all() else ["not fitted"]
        notes += [f"all diverged at {', '.join(gone)}"] if gone else []
        axes.set_title("\n".join([f"learning rate {rate:g}", *notes]), fontsize=8)
        axes.set_xscale("log")
    # It contains a power of ten for any products.
    panels[0].set_xlim(table["product"].min() / 4, table["product"].max() * 4)
    panels[0].xaxis.set_minor_locator(NullLocator())
    log_ticks(panels[0].yaxis, np.exp(table["residual"]))
    # Where the loss is an axis of the study, the column `loss` says which one was trained.
    loss = label(table.get("result_loss", table["loss"]).iloc[0])
    panels[0].set_ylabel(f"{loss}\n/ fitted curve")
    figure.supxlabel("learning rate × number of updates", fontsize=9)
    handles = [
        Line2D([], [], linestyle="", marker="o", color=colour, label=str(size))
        for size, colour in colours.items()
    ]
    if table["extrapolated"].any():
        hollow = {"marker": "o", "color": "0.4", "markerfacecolor": "white"}
        handles.append(Line2D([], [], linestyle="", label="curve\nextrapolated", **hollow))
    figure.legend(handles=handles, loc="outside right center", title="batch size")
    figure.suptitle("How far learning rate × updates carries")
    return figure
