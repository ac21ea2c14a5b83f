"""Networks, losses and optimizers beside each other, and networks under harder conditions."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from boxest.analysis import require
from boxest.analysis.architectures import AIMS, COMBINATION, best_of_networks
from boxest.figures.style import COLOURS, MARKERS, log_ticks, new_figure, say, styled
from boxest.figures.variants import NAMES as SETTINGS
from boxest.findings.text import plural

NAMES = SETTINGS | {"diou": "DIoU", "ciou": "CIoU", "mean_absolute_error": "mean absolute error"}
NAMES |= {"mean_squared_error": "mean squared error"}
TITLES = {"iou_loss": "test set", "iou_loss_below_8px": "smallest side < 8 px"}
# Of the height of a row, what all its series take together.
SPREAD = 0.7


@styled
def architectures(runs: pd.DataFrame) -> Figure:
    """Draw the test loss of every run, a row per network and loss.

    Parameters
    ----------
    runs : pandas.DataFrame
        From `boxest.analysis.architecture_runs`; those of the first condition are drawn.

    Returns
    -------
    matplotlib.figure.Figure
        Left of all objects, right of those whose smallest side is below 8 px: the geometric loss, a
        dot per seed and a line at their mean, coloured by optimizer.
    """
    require(runs, [*COMBINATION, "diverged", *TITLES], "runs")
    runs = runs[runs["condition"] == runs["condition"].iloc[0]]
    rows = list(runs[["network", "loss"]].drop_duplicates().itertuples(index=False, name=None))
    names = [named(loss) for _, loss in rows]
    figure, panels = _panels(runs, ["network", "loss"], rows, "optimizer", names)
    networks = [network for network, _ in rows]
    # Left of the names of the losses, which take some 4.6 points a letter.
    left = -4.6 * max(map(len, names)) - 14
    for network in dict.fromkeys(networks):
        panels[0].annotate(
            network, (0, networks.index(network)), (left, 0), xycoords=("axes fraction", "data"),
            textcoords="offset points", ha="right", va="center", weight="bold", fontsize=8,
        )  # fmt: skip
    figure.suptitle(f"Test loss of every run, {seeds(runs)}")
    return figure


@styled
def conditions(runs: pd.DataFrame, ranking: pd.DataFrame) -> Figure:
    """Draw the test loss of each network's best combination under every condition.

    Parameters
    ----------
    runs, ranking : pandas.DataFrame
        From `boxest.analysis.architecture_runs` and `rank_architectures`.

    Returns
    -------
    matplotlib.figure.Figure
        As `architectures`, with a row per condition, coloured by network.
    """
    require(runs, [*COMBINATION, "diverged", *TITLES], "runs")
    runs = runs.merge(best_of_networks(ranking)[COMBINATION])
    rows = [(name,) for name in runs["condition"].unique()]
    names = [name.replace("_", " ") for (name,) in rows]
    figure, _ = _panels(runs, ["condition"], rows, "network", names)
    figure.suptitle(f"Test loss under each condition, {seeds(runs)}")
    return figure


def named(setting: str) -> str:
    """Return the name of a loss, an optimizer or a network as a reader knows it."""
    return NAMES.get(setting, setting)


def combination(row: pd.Series) -> str:
    """Name a combination: network, loss, optimizer."""
    return ", ".join(named(row[name]) for name in ("network", "loss", "optimizer"))


def seeds(runs: pd.DataFrame) -> str:
    """Say how many seeds the combinations of some runs have."""
    return f"{plural(int(runs.groupby(COMBINATION).size().max()), 'seed')} each"


def _panels(
    runs: pd.DataFrame, keys: list[str], rows: Sequence[tuple], series: str, names: Sequence[str]
) -> tuple[Figure, Sequence[Axes]]:
    """Draw a panel for each loss: rows of dots, some series to a row, with what they are aimed at.

    `rows` are values of the columns `keys`, `names` what to call them; the column `series` decides
    on colour and marker.
    """
    values = list(runs[series].unique())
    height = len(rows) * max(0.17 * len(values), 0.3) + 1.6
    figure = new_figure(7.2, max(height, 2.6))
    panels = figure.subplots(1, len(TITLES), sharey=True)
    for axes, (loss, title) in zip(panels, TITLES.items(), strict=True):
        axes.set_title(f"{title}; aim ≤ {AIMS[loss]:g}")
        axes.axvline(AIMS[loss], color="0.4", linestyle="--", linewidth=0.9, zorder=1)
        for i, value in enumerate(values):
            offset = SPREAD * ((i + 0.5) / len(values) - 0.5)
            mine = runs[runs[series] == value]
            form = {"color": COLOURS[i % len(COLOURS)], "marker": MARKERS[i % len(MARKERS)]}
            _dots(axes, mine.set_index(keys), rows, loss, offset, form)
        axes.set_xscale("log")
        axes.set_xlabel("1 − IoU")
        axes.set_yticks(range(len(rows)), names)
        axes.set_ylim(len(rows) - 0.5, -0.5)
        axes.grid(axis="y", visible=False)
        axes.tick_params(axis="y", length=0)
        for y in range(1, len(rows)):
            new = rows[y][0] != rows[y - 1][0] and len(keys) > 1
            axes.axhline(y - 0.5, color="0.5" if new else "0.88", linewidth=0.9 if new else 0.6)
        found = runs[loss].to_numpy(float)
        if np.isfinite(found).any():
            log_ticks(axes.xaxis, [*found, AIMS[loss]])
        else:
            say(axes, "no such objects" if not runs["diverged"].all() else "all runs diverged")
    _legend(figure, values)
    return figure, panels


def _dots(
    axes: Axes, runs: pd.DataFrame, rows: Sequence[tuple], loss: str, offset: float, form: dict
) -> None:
    """Draw the runs of a series: a dot each, a line at the mean, and how many diverged."""
    for y, row in enumerate(rows):
        key = row if len(row) > 1 else row[0]
        if key not in runs.index:
            continue
        mine = runs.loc[[key]]
        kept = mine.loc[~mine["diverged"].astype(bool), loss].dropna()
        axes.plot(
            kept, np.full(len(kept), y + offset), linestyle="", markersize=4, alpha=0.65,
            markeredgewidth=0, gid="runs", **form,
        )  # fmt: skip
        if len(kept):
            axes.plot(
                [kept.mean()], [y + offset], linestyle="", marker="|", markersize=9,
                markeredgewidth=1.6, color=form["color"], gid="mean",
            )  # fmt: skip
        gone = int(mine["diverged"].sum())
        if gone and axes.get_subplotspec().is_last_col():
            axes.annotate(
                f"{gone} diverged", (1, y + offset), (3, 0), xycoords=("axes fraction", "data"),
                textcoords="offset points", va="center", fontsize=7, color=form["color"],
            )  # fmt: skip


def _legend(figure: Figure, values: Sequence[str]) -> None:
    """Name the series, the mean and the aim."""
    handles = [
        Line2D(
            [], [], linestyle="", marker=MARKERS[i % len(MARKERS)],
            color=COLOURS[i % len(COLOURS)], label=named(value),
        )
        for i, value in enumerate(values)
    ]  # fmt: skip
    handles += [
        Line2D([], [], linestyle="", marker="|", markersize=9, color="0.3", label="mean"),
        Line2D([], [], linestyle="--", linewidth=0.9, color="0.4", label="aim"),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles))
