"""Draw tables as figures: the layers (Fig. 2) and the final losses (Fig. 8)."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.image import AxesImage

from boxest.analysis.columns import ordered, require
from boxest.analysis.text import TINY, loss, plural, spread
from boxest.figures.style import (
    counts_text,
    label,
    log_ticks,
    named,
    new_figure,
    styled,
    text_on,
    value_text,
)


@styled
def layer_table(rows: Sequence[tuple], totals: Mapping[str, int] | int) -> Figure:
    """Typeset the layers of a network (Fig. 2).

    Parameters
    ----------
    rows : sequence of (str, object, int)
        Layer as "name (Class)", output shape, number of parameters.
    totals : int or mapping of str to int
        Total number of parameters, or several by name, the total first:
        ``{"total": 16656, "trainable": 16656, "not trainable": 0}``.

    Returns
    -------
    matplotlib.figure.Figure
    """
    if not rows or any(len(row) != 3 for row in rows):
        raise ValueError(f"rows must be (layer, output shape, parameters) triples, got {rows!r}")
    totals = dict(totals) if isinstance(totals, Mapping) else {"total": int(totals)}
    height = 0.27 * (len(rows) + 1 + len(totals)) + 0.6
    figure = new_figure(6.4, height)
    axes = figure.subplots()
    lines = len(rows) + 1 + len(totals)
    axes.set(xlim=(0, 1), ylim=(lines, 0))
    axes.set_axis_off()
    columns = ((0.01, "left"), (0.50, "left"), (0.99, "right"))
    header = ("Layer", "Output shape", "Parameters")
    body = [(str(name), str(shape), f"{count:,}") for name, shape, count in rows]
    foot = [(f"{name} parameters".capitalize(), "", f"{n:,}") for name, n in totals.items()]
    for i, line in enumerate([header, *body, *foot]):
        weight = "bold" if i in (0, len(rows) + 1) else "normal"
        for (x, align), text in zip(columns, line, strict=True):
            axes.text(x, i + 0.5, text, ha=align, va="center", weight=weight)
    for y, width in ((0, 1.4), (1, 0.8), (len(rows) + 1, 0.8), (lines, 1.4)):
        axes.axhline(y, color="black", linewidth=width, clip_on=False)
    axes.set_title(f"{next(iter(totals.values())):,} parameters", fontsize=11, pad=8)
    return figure


@styled
def final_losses(
    cells: pd.DataFrame, rows: str = "batch_size", columns: str = "learning_rate"
) -> Figure:
    """Typeset the final losses and the similitude of every cell, coloured by value (Fig. 8).

    Parameters
    ----------
    cells : pandas.DataFrame
        From `boxest.analysis.cells`.
    rows, columns : str
        The axes of the rows and the columns of each table.

    Returns
    -------
    matplotlib.figure.Figure
        Four tables, each with its scale of colours: training loss, validation loss, their
        similitude, and the geometric validation loss.
    """
    losses = ["train_loss", "validation_loss"]
    keys = [rows, columns, "runs", "stopped_early", "diverged"]
    others = [*(f"{name}_sd" for name in losses), "similitude", "validation_iou_loss"]
    require(cells, [*keys, *losses, *others], "cells")
    across, down = cells[columns].nunique(), cells[rows].nunique()
    figure = new_figure(2 * max(0.86 * across + 1.7, 4.2), 2 * max(0.62 * down + 0.7, 2.1) + 0.5)
    panels = figure.subplots(2, 2).ravel()
    loss_norm = _loss_norm(cells[[*losses, "validation_iou_loss"]].to_numpy(float))
    # At least 5 %, so that a difference of a per mille does not look large.
    away = np.nanmax([5, *(cells["similitude"] - 100).abs()])
    similitude_norm = Normalize(100 - away, 100 + away)
    names = [*losses, "similitude", "validation_iou_loss"]
    titles = [label(name, cells) for name in losses]
    titles.append("similitude, 100 × training / validation")
    for axes, name, title in zip(panels, names, [*titles, label(names[3])], strict=True):
        ratio = name == "similitude"
        palette = "PuOr" if ratio else "cividis_r"
        norm = similitude_norm if ratio else loss_norm
        drawn = _value_table(axes, cells, (rows, columns), name, palette, norm)
        bar = figure.colorbar(drawn, ax=axes, aspect=25, pad=0.02)
        bar.ax.tick_params(labelsize=7)
        if not ratio:
            log_ticks(bar.ax.yaxis, [norm.vmin, norm.vmax])
        axes.set_title(title, fontsize=10)
    runs = int(cells["runs"].max())
    notes = ["mean ± standard deviation"] if runs > 1 else []
    notes += ["diverged runs left out"] if cells["diverged"].any() else []
    figure.suptitle("; ".join([f"Last epoch of {plural(runs, 'run')} per cell", *notes]))
    return figure


def _loss_norm(losses: np.ndarray) -> LogNorm:
    """Return one scale for all losses, logarithmic because they span more than a decade."""
    losses = losses[np.isfinite(losses) & (losses > 0)]
    return LogNorm(losses.min() / 1.05, losses.max() * 1.05) if losses.size else LogNorm(0.1, 1)


def _value_table(
    axes: Axes, cells: pd.DataFrame, keys: tuple[str, str], name: str, palette: str, norm
) -> AxesImage:
    """Draw one coloured table of the column `name`, and return its colour mapping."""
    down, across = (ordered(cells[key]) for key in keys)
    axes.grid(False)
    axes.set(xlim=(-0.5, len(across) - 0.5), ylim=(len(down) - 0.5, -0.5))
    values = cells.pivot(index=keys[0], columns=keys[1], values=name).loc[down, across]
    drawn = axes.imshow(
        np.ma.masked_invalid(values.to_numpy(float)), cmap=palette, norm=norm, aspect="auto"
    )
    axes.set_facecolor("0.93")
    for row in cells.itertuples():
        value = getattr(row, name)
        lines = [_value_text(row, name)]
        note = counts_text(row.runs, row.diverged, row.stopped_early, "\n")
        if name != "similitude" and note:
            lines.append(note)
        colour = colormaps[palette](norm(value)) if np.isfinite(value) else (1, 1, 1)
        axes.text(
            across.index(getattr(row, keys[1])),
            down.index(getattr(row, keys[0])),
            "\n".join(line for line in lines if line),
            ha="center",
            va="center",
            fontsize=7,
            linespacing=1.25,
            color=text_on(colour),
        )
    axes.set_xticks(range(len(across)), [value_text(value) for value in across])
    axes.set_yticks(range(len(down)), [value_text(value) for value in down])
    axes.set(xlabel=named(keys[1]), ylabel=named(keys[0]))
    axes.tick_params(length=0)
    axes.hlines(np.arange(len(down) - 1) + 0.5, -0.5, len(across) - 0.5, color="white", linewidth=1)
    axes.vlines(np.arange(len(across) - 1) + 0.5, -0.5, len(down) - 0.5, color="white", linewidth=1)
    axes.spines[:].set_visible(False)
    return drawn


def _value_text(row, name: str) -> str:
    value, sd = getattr(row, name), getattr(row, f"{name}_sd", np.nan)
    if not np.isfinite(value):
        return "–" if name == "similitude" else ""
    if name == "similitude":
        return f"{value:.1f}"
    text = loss(value, sd) if 0 < value < TINY else spread(value, sd)
    return text.replace(" ±", "\n±")
