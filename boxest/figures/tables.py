"""Figures that are tables: the layers (Fig. 2) and the final losses (Fig. 8)."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure

from boxest.analysis import require
from boxest.figures.style import counts_text, label, new_figure, styled
from boxest.findings.text import plural


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
def final_losses(cells: pd.DataFrame) -> Figure:
    """Typeset the final losses and the similitude of every cell, coloured by value (Fig. 8).

    Parameters
    ----------
    cells : pandas.DataFrame
        From `boxest.analysis.cells`.

    Returns
    -------
    matplotlib.figure.Figure
        Four tables, batch size down, learning rate across: training loss, validation loss, their
        similitude, and the geometric validation loss.
    """
    losses = ["train_loss", "validation_loss"]
    keys = ["batch_size", "learning_rate", "runs", "stopped_early", "diverged"]
    others = [*(f"{name}_sd" for name in losses), "similitude", "validation_iou_loss"]
    require(cells, [*keys, *losses, *others], "cells")
    rates, sizes = cells["learning_rate"].nunique(), cells["batch_size"].nunique()
    figure = new_figure(2 * max(0.86 * rates + 1.1, 3.7), 2 * max(0.62 * sizes + 0.7, 2.1) + 0.5)
    panels = figure.subplots(2, 2).ravel()
    loss_norm = _loss_norm(cells[[*losses, "validation_iou_loss"]].to_numpy(float))
    # 5 % at least, so that a difference of a per mille is not painted as one.
    away = np.nanmax([5, *(cells["similitude"] - 100).abs()])
    similitude_norm = Normalize(100 - away, 100 + away)
    names = [*losses, "similitude", "validation_iou_loss"]
    titles = [label(name, cells) for name in losses]
    titles.append("similitude, 100 × training / validation")
    for axes, name, title in zip(panels, names, [*titles, label(names[3])], strict=True):
        ratio = name == "similitude"
        palette = "PuOr" if ratio else "cividis_r"
        _value_table(axes, cells, name, palette, similitude_norm if ratio else loss_norm)
        axes.set_title(title, fontsize=10)
    runs = int(cells["runs"].max())
    notes = ["mean ± standard deviation"] if runs > 1 else []
    notes += ["diverged runs left out"] if cells["diverged"].any() else []
    figure.suptitle("; ".join([f"Last epoch of {plural(runs, 'run')} per cell", *notes]))
    return figure


def _loss_norm(losses: np.ndarray) -> LogNorm:
    """Return one scale for all the losses, logarithmic because they span more than a decade."""
    losses = losses[np.isfinite(losses) & (losses > 0)]
    return LogNorm(losses.min() / 1.05, losses.max() * 1.05) if losses.size else LogNorm(0.1, 1)


def _value_table(axes: Axes, cells: pd.DataFrame, name: str, palette: str, norm) -> None:
    """Draw one coloured table of the column `name`."""
    sizes = sorted(cells["batch_size"].unique())
    rates = sorted(cells["learning_rate"].unique())
    axes.grid(False)
    axes.set(xlim=(-0.5, len(rates) - 0.5), ylim=(len(sizes) - 0.5, -0.5))
    values = cells.pivot(index="batch_size", columns="learning_rate", values=name)
    axes.imshow(
        np.ma.masked_invalid(values.to_numpy(float)), cmap=palette, norm=norm, aspect="auto"
    )
    axes.set_facecolor("0.93")
    for row in cells.itertuples():
        value = getattr(row, name)
        lines = [_value_text(row, name)]
        note = counts_text(row.runs, row.diverged, row.stopped_early, "\n")
        if name != "similitude" and note:
            lines.append(note)
        red, green, blue, _ = colormaps[palette](norm(value)) if np.isfinite(value) else (1,) * 4
        dark = 0.299 * red + 0.587 * green + 0.114 * blue < 0.5
        axes.text(
            rates.index(row.learning_rate),
            sizes.index(row.batch_size),
            "\n".join(line for line in lines if line),
            ha="center",
            va="center",
            fontsize=7,
            linespacing=1.25,
            color="white" if dark else "black",
        )
    axes.set_xticks(range(len(rates)), [f"{rate:g}" for rate in rates])
    axes.set_yticks(range(len(sizes)), [str(size) for size in sizes])
    axes.set(xlabel="learning rate", ylabel="batch size (images)")
    axes.tick_params(length=0)
    axes.hlines(np.arange(len(sizes) - 1) + 0.5, -0.5, len(rates) - 0.5, color="white", linewidth=1)
    axes.vlines(np.arange(len(rates) - 1) + 0.5, -0.5, len(sizes) - 0.5, color="white", linewidth=1)
    for spine in axes.spines.values():
        spine.set_visible(False)


def _value_text(row, name: str) -> str:
    value, sd = getattr(row, name), getattr(row, f"{name}_sd", np.nan)
    if not np.isfinite(value):
        return "–" if name == "similitude" else ""
    if name == "similitude":
        return f"{value:.1f}"
    return f"{value:.3f}" + (f"\n± {sd:.3f}" if np.isfinite(sd) else "")
