"""The final loss against learning rate × number of updates."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from boxest.analysis import diverged, fit_scaling, require, scaling_curve
from boxest.figures.style import (
    MARKERS,
    graded,
    label,
    log_ticks,
    new_figure,
    plural,
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
        With the curve of `boxest.analysis.fit_scaling`: if all runs lie on it, the product of
        rate and updates alone decides the loss. Diverged runs are marked at the upper edge, those
        beyond the range of the others in its corners.
    """
    fit = fit_scaling(runs, loss)
    gone = diverged(runs) | ~np.isfinite(runs[loss])
    figure = new_figure(6.8, 4.4)
    axes = figure.subplots()
    axes.set(xscale="log", yscale="log")
    colours = graded(runs["batch_size"])
    rates = sorted(runs["learning_rate"].unique())
    markers = {rate: MARKERS[i % len(MARKERS)] for i, rate in enumerate(rates)}
    product = runs["learning_rate"] * runs["updates"]
    for (size, rate), rows in runs[~gone].groupby(["batch_size", "learning_rate"]):
        axes.plot(
            product[rows.index], rows[loss], linestyle="", marker=markers[rate], markersize=5,
            color=colours[size], markeredgecolor="white", markeredgewidth=0.4, gid="cell",
        )  # fmt: skip
    drawn = ~gone & (product > 0)
    if fit["degree"].iloc[0] > 0:
        x = np.geomspace(product[drawn].min(), product[drawn].max(), 200)
        axes.plot(x, scaling_curve(fit, x), color="0.35", zorder=1, gid="fit")
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
    axes.set(xlabel="learning rate × number of updates", ylabel=f"{label(loss)}, last epoch")
    log_ticks(axes.yaxis, runs.loc[~gone, loss])
    axes.set_title(_scaling_title(fit.iloc[0]), pad=16)
    _scaling_legend(figure, colours, markers, gids={line.get_gid() for line in axes.lines})
    return figure


def _scaling_title(fit: pd.Series) -> str:
    title = plural(fit["runs"], "run")
    title += f", {fit['diverged']} more diverged" if fit["diverged"] else ""
    if np.isfinite(fit["residual"]):
        title += f"\nspread {100 * fit['residual']:.0f} % about the curve"
    if np.isfinite(fit["within_cells"]):
        title += f", {100 * fit['within_cells']:.0f} % between the seeds of a cell"
    return title


def _scaling_legend(figure: Figure, colours: dict, markers: dict, gids: set) -> None:
    def point(marker: str, color, text: str) -> Line2D:
        return Line2D([], [], linestyle="", marker=marker, color=color, label=text)

    def heading(text: str) -> Line2D:
        return Line2D([], [], linestyle="", label=text)

    handles = [heading("batch size")]
    handles += [point("s", colour, str(size)) for size, colour in colours.items()]
    handles += [heading(""), heading("learning rate")]
    handles += [point(marker, "0.45", f"{rate:g}") for rate, marker in markers.items()]
    handles.append(heading(""))
    if "fit" in gids:
        handles.append(Line2D([], [], color="0.35", label="fitted curve"))
    if "diverged" in gids:
        handles.append(point("X", "0.45", "diverged"))
    legend = figure.legend(handles=handles, loc="outside right upper")
    for text in legend.get_texts():
        if text.get_text() in ("batch size", "learning rate"):
            text.set_weight("bold")


@styled
def residuals(table: pd.DataFrame) -> Figure:
    """Draw how far each cell lies from the curve of loss over learning rate × updates.

    Parameters
    ----------
    table : pandas.DataFrame
        From `boxest.analysis.scaling_residuals`.

    Returns
    -------
    matplotlib.figure.Figure
        A panel per learning rate, all on one scale: mean and standard deviation over the runs of a
        cell. Where the product of rate and updates decides the loss, they lie on the line.
    """
    columns = ["batch_size", "learning_rate", "product", "residual", "residual_sd", "diverged"]
    require(table, columns, "residuals")
    rates = sorted(table["learning_rate"].unique())
    colours = graded(table["batch_size"])
    figure = new_figure(max(1.75 * len(rates) + 1.1, 4.4), 3.1)
    panels = figure.subplots(1, len(rates), sharex=True, sharey=True, squeeze=False)[0]
    for axes, rate in zip(panels, rates, strict=True):
        axes.axhspan(-10, 10, color="0.92", zorder=0, label="within 10 %")
        axes.axhline(0, color="0.35", linewidth=0.9, zorder=1)
        rows = table[table["learning_rate"] == rate]
        for row in rows[np.isfinite(rows["residual"])].itertuples():
            spread = row.residual_sd if np.isfinite(row.residual_sd) else 0
            middle = 100 * np.expm1(row.residual)
            ends = 100 * np.expm1([row.residual - spread, row.residual + spread])
            axes.errorbar(
                row.product, middle, [[middle - ends[0]], [ends[1] - middle]], marker="o",
                markersize=5, capsize=2, color=colours[row.batch_size], gid="cell",
            )  # fmt: skip
        gone = [str(row.batch_size) for row in rows.itertuples() if not np.isfinite(row.residual)]
        note = f"\nall diverged at {', '.join(gone)}" if gone else ""
        axes.set_title(f"learning rate {rate:g}{note}", fontsize=8)
        axes.set_xscale("log")
    panels[0].set_ylabel("loss above the fitted curve (%)")
    figure.supxlabel("learning rate × number of updates", fontsize=9)
    handles = [
        Line2D([], [], linestyle="", marker="o", color=colour, label=str(size))
        for size, colour in colours.items()
    ]
    figure.legend(handles=handles, loc="outside right center", title="batch size")
    figure.suptitle("How far learning rate × updates carries")
    return figure
