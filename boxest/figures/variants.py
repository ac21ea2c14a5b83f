"""Draw variants of what the paper leaves open next to its Fig. 8."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from boxest.analysis import require
from boxest.analysis.columns import CELL
from boxest.analysis.text import plural
from boxest.analysis.variants import settings_of
from boxest.figures.style import COLOURS, log_ticks, new_figure, setting, styled, text_on

# Beyond this factor, the colour does not change.
FACTOR = 3


@styled
def variants(cells: pd.DataFrame, ranking: pd.DataFrame) -> Figure:
    """Draw the losses of each variant next to those of Fig. 8, with the nearest variant on top.

    Parameters
    ----------
    cells, ranking : pandas.DataFrame
        From `boxest.analysis.variant_cells` and `rank_variants`.

    Returns
    -------
    matplotlib.figure.Figure
        Left: one row per variant and one column per cell, with our loss, coloured by its ratio to
        the paper's. Right: the root mean square log ratio of the trained and of the inclusive loss.
    """
    require(ranking, ["rank", "cells", "distance", "inclusive_distance"], "ranking")
    columns = cells[[*CELL, "paper_validation_loss"]].drop_duplicates().sort_values(CELL)
    columns = columns[columns["paper_validation_loss"].notna()]
    figure = new_figure(5.4 + 0.55 * len(columns), max(0.165 * len(ranking) + 2.0, 3.2))
    left, right = figure.subplots(1, 2, sharey=True, width_ratios=[0.55 * len(columns), 2.2])
    _losses(left, cells, ranking, columns)
    y = np.arange(len(ranking))
    drawn = {"distance": ("o", "trained"), "inclusive_distance": ("D", "inclusive")}
    for (name, (marker, loss)), colour in zip(drawn.items(), COLOURS, strict=False):
        right.plot(
            ranking[name], y, linestyle="", marker=marker, markersize=4, color=colour,
            markerfacecolor="none", label=f"if Fig. 8 shows the {loss} loss",
        )  # fmt: skip
    right.set_xscale("log")
    log_ticks(right.xaxis, ranking[list(drawn)])
    right.set_xlabel("root mean square log ratio\nto Fig. 8", fontsize=8)
    right.tick_params(axis="y", length=0)
    handles, _ = right.get_legend_handles_labels()
    for end, text in ((0, f"paper's / {FACTOR} or less"), (255, f"paper's × {FACTOR} or more")):
        handles.append(Patch(color=colormaps["PuOr"](end), label=text))
    figure.legend(handles=handles, loc="outside lower center", ncols=2, fontsize=7)
    runs = plural(int(cells["runs"].max()), "run")
    figure.suptitle(
        f"{plural(len(ranking), 'variant')} of the training beside the paper, {runs} per cell"
    )
    return figure


def _losses(axes: Axes, cells: pd.DataFrame, ranking: pd.DataFrame, columns: pd.DataFrame) -> None:
    """Draw the table of losses, coloured by their ratio to the paper's."""
    norm, palette = Normalize(-np.log(FACTOR), np.log(FACTOR)), colormaps["PuOr"]
    settings = settings_of(ranking)
    keyed = cells.set_index([*settings, *CELL])
    axes.grid(False)
    axes.set(xlim=(-0.5, len(columns) - 0.5), ylim=(len(ranking) - 0.5, -0.5))
    for j, cell in enumerate(columns.itertuples()):
        for i, variant in enumerate(ranking[settings].itertuples(index=False)):
            key = (*variant, cell.batch_size, cell.learning_rate)
            if key not in keyed.index:
                continue  # Where cells are listed, a variant need not have them all.
            row = keyed.loc[key]
            colour = palette(norm(row["log_ratio"]))
            axes.fill_between([j - 0.5, j + 0.5], i - 0.5, i + 0.5, color=colour, linewidth=0)
            loss = row["validation_loss"]
            text = f"{loss:.3f}" if np.isfinite(loss) else "diverged"
            axes.text(j, i, text, ha="center", va="center", fontsize=6, color=text_on(colour))
    heads = [
        f"{cell.batch_size}\n{cell.learning_rate:g}\n{cell.paper_validation_loss:.3f}"
        for cell in columns.itertuples()
    ]
    axes.xaxis.tick_top()
    axes.set_xticks(range(len(columns)), heads, fontsize=7)
    names = [
        ", ".join(map(_named, settings, row)) for row in ranking[settings].itertuples(index=False)
    ]
    axes.set_yticks(range(len(ranking)), names, fontsize=7)
    axes.tick_params(length=0)
    axes.annotate(
        "batch size\nlearning rate\nFig. 8", (0, 1), (-6, 3.5), xycoords="axes fraction",
        textcoords="offset points", ha="right", va="bottom", fontsize=7, weight="bold",
    )  # fmt: skip
    axes.set_xlabel("trained loss,\nvalidation", fontsize=8)
    axes.spines[:].set_visible(False)


def _named(name: str, value: Any) -> str:
    """Name a setting of a variant for its row."""
    if name == "plateau_patience":
        return "fixed rate" if value == "never" else "reduced on plateau"
    return str(value) if name == "output_activation" else setting(name, value)
