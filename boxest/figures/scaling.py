"""The final loss against learning rate × number of updates, and our Fig. 8 beside the paper's."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from boxest.analysis import distance as log_distance
from boxest.analysis import diverged, fit_scaling, require, scaling_curve
from boxest.figures.style import (
    COLOURS,
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
def comparison(table: pd.DataFrame, note: str | None = None) -> Figure:
    """Draw our losses beside the paper's, cell by cell (Fig. 8).

    Parameters
    ----------
    table : pandas.DataFrame
        From `boxest.analysis.comparison`.
    note : str, optional
        A line below the title, for what the reader must know of the two studies.

    Returns
    -------
    matplotlib.figure.Figure
        A row per cell, 1 - inclusive IoU, training left and validation right; ours with the
        standard deviation over the runs. A cell without ours or theirs says so.
    """
    losses = ("train_inclusive_iou_loss", "validation_inclusive_iou_loss")
    columns = [name for loss in losses for name in (loss, f"{loss}_sd", f"paper_{loss}")]
    columns += [f"{loss}_log_ratio" for loss in losses]
    require(table, ["batch_size", "learning_rate", "runs", "diverged", *columns], "comparison")
    table = table.sort_values(["batch_size", "learning_rate"]).reset_index(drop=True)
    figure = new_figure(7.4, max(0.2 * len(table) + 1.7, 2.9))
    panels = figure.subplots(1, 2, sharex=True, sharey=True)
    for axes, loss in zip(panels, losses, strict=True):
        _pairs(axes, table, loss)
        apart = log_distance(table, loss)
        common = plural(int(np.isfinite(table[f"{loss}_log_ratio"]).sum()), "cell")
        text = f"root mean square log ratio {apart:.3f} ({common})"
        text = "no cell in common" if np.isnan(apart) else text
        axes.set_title(f"{label(loss)}\n{text}")
        axes.set_xlabel(label(loss))
    values = table[[f"{prefix}{loss}" for loss in losses for prefix in ("", "paper_")]]
    panels[0].set_xscale("log")
    log_ticks(panels[0].xaxis, values)
    names = [f"{row.batch_size},  {row.learning_rate:g}" for row in table.itertuples()]
    panels[0].set_yticks(range(len(table)), names)
    panels[0].set(ylim=(len(table) - 0.5, -0.5), ylabel="batch size,  learning rate")
    handles, texts = panels[0].get_legend_handles_labels()
    figure.legend(handles, texts, loc="outside lower center", ncols=2)
    if note:
        figure.suptitle(note, fontsize=9)
    return figure


def _pairs(axes: Axes, table: pd.DataFrame, loss: str) -> None:
    y = np.arange(len(table))
    ours, theirs = table[loss], table[f"paper_{loss}"]
    axes.hlines(y, ours, theirs, color="0.6", linewidth=2.2, zorder=1)
    runs = int(table["runs"].max())
    mine = "ours, 1 run" if runs == 1 else f"ours, mean ± sd of {runs} runs"
    axes.errorbar(
        ours, y, xerr=table[f"{loss}_sd"].fillna(0), linestyle="", marker="o", markersize=4.5,
        capsize=2, color=COLOURS[0], label=mine,
    )  # fmt: skip
    axes.plot(
        theirs, y, linestyle="", marker="D", markersize=5, color=COLOURS[1],
        markerfacecolor="none", markeredgewidth=1.3, label="paper, mean of 10 runs",
    )  # fmt: skip
    size = table["batch_size"].to_numpy()
    for edge in np.flatnonzero(size[1:] != size[:-1]):
        axes.axhline(edge + 0.5, color="0.75", linewidth=0.6, zorder=0)
    axes.grid(axis="y", visible=False)
    cells = zip(table["runs"], ours, theirs, strict=True)
    for i, (count, mean, published) in enumerate(cells):
        missing = [] if np.isfinite(mean) else [f"all {count} of ours diverged"]
        missing += [] if np.isfinite(published) else ["not in the paper"]
        if missing:
            axes.text(
                0.99, i, ", ".join(missing), transform=axes.get_yaxis_transform(),
                ha="right", va="center", fontsize=6.5, color="0.35", style="italic",
            )  # fmt: skip
