"""Draw our Fig. 8 next to the paper's."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from boxest.analysis import distance as log_distance
from boxest.analysis import require
from boxest.analysis.columns import CELL
from boxest.analysis.text import plural, spread
from boxest.figures.style import COLOURS, label, log_ticks, new_figure, styled


@styled
def comparison(table: pd.DataFrame, note: str | None = None) -> Figure:
    """Draw our losses next to the paper's, cell by cell (Fig. 8).

    Parameters
    ----------
    table : pandas.DataFrame
        From `boxest.analysis.comparison`.
    note : str, optional
        A line below the title, with what readers must know about the two studies.

    Returns
    -------
    matplotlib.figure.Figure
        One row per cell with 1 - inclusive IoU: training on the left and validation in the middle,
        ours with the standard deviation over the runs. On the right, the numbers of the validation
        loss, their difference in standard errors, and how many of our runs stopped early and
        diverged. Missing cells are marked.
    """
    losses = ("train_inclusive_iou_loss", "validation_inclusive_iou_loss")
    columns = [name for loss in losses for name in (loss, f"{loss}_sd", f"paper_{loss}")]
    columns += [f"{loss}_{name}" for loss in losses for name in ("log_ratio", "difference_in_se")]
    counts = ["runs", "stopped_early", "diverged"]
    require(table, [*CELL, *counts, *columns], "comparison")
    table = table.sort_values(CELL, ignore_index=True)
    figure = new_figure(9.6, max(0.2 * len(table) + 1.7, 2.9))
    *panels, numbers = figure.subplots(1, 3, sharey=True, width_ratios=[1, 1, 1.05])
    panels[1].sharex(panels[0])
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
    _numbers(numbers, table, losses[1])
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
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


def _numbers(axes: Axes, table: pd.DataFrame, loss: str) -> None:
    """Typeset the numbers of one loss, with one row per cell."""
    axes.set_axis_off()
    heads = {"ours ± sd": 0.33, "paper": 0.48, "apart\n(SE)": 0.63}
    # A column of counts is shown only if it counts anything.
    counts = {"stopped\nearly": ("stopped_early", 0.81), "diverged": ("diverged", 1.0)}
    counts = {text: where for text, where in counts.items() if table[where[0]].any()}
    heads |= {text: x for text, (_, x) in counts.items()}
    axes.set_xlim(0, max(heads.values()))
    for text, x in heads.items():
        axes.annotate(
            text, (x, 1), (0, 4), xycoords=("data", "axes fraction"), textcoords="offset points",
            ha="right", va="bottom", fontsize=7, weight="bold",
        )  # fmt: skip
    for i, row in enumerate(table.to_dict("records")):
        ours, sd, theirs = row[loss], row[f"{loss}_sd"], row[f"paper_{loss}"]
        apart = row[f"{loss}_difference_in_se"]
        texts = [
            spread(ours, sd),
            spread(theirs, np.nan),
            f"{apart:+.1f}".replace("-", "−") if np.isfinite(apart) else "–",
            *(f"{row[name]} of {row['runs']}" if row[name] else "" for name, _ in counts.values()),
        ]
        for x, text in zip(heads.values(), texts, strict=True):
            axes.text(x, i, text, ha="right", va="center", fontsize=7)
