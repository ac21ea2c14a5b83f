"""Draw validation curves: one panel per cell (Fig. 3 and Appendix A)."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from boxest.analysis.columns import ordered, require, rows_of
from boxest.analysis.text import plural
from boxest.figures.style import (
    COLOURS,
    LINES,
    counts_text,
    label,
    log_ticks,
    new_figure,
    say,
    setting,
    styled,
)

STOPPED = {"marker": "o", "markersize": 4, "linestyle": "", "markerfacecolor": "white"}
DIVERGED = {"marker": "X", "markersize": 7, "linestyle": "", "markeredgecolor": "white"}
# If there are more seeds than this, they look the same, and the legend does not name them.
NAMED_SEEDS = 14


@styled
def validation_curves(
    histories: pd.DataFrame | list[dict],
    runs: pd.DataFrame | None = None,
    *,
    enlarged: bool = False,
    metric: str = "validation_loss",
    first_epoch: int = 3,
    rows: str = "batch_size",
    columns: str = "learning_rate",
    only: Mapping[str, Sequence] | None = None,
) -> Figure:
    """Draw the loss of every run over the epochs, one panel per cell (Fig. 3 and Appendix A).

    Parameters
    ----------
    histories : pandas.DataFrame or list of dict
        `seed`, `epoch`, the columns that `rows` and `columns` name, and `metric`. Or ``history_``
        of one estimator: then `metric` is drawn for validation and training examples, and the other
        parameters are ignored.
    runs : pandas.DataFrame, optional
        One row per run with `stopped_early` and `diverged`. Without it, a run counts as diverged if
        its last loss is not finite and as stopped early if it is shorter than the longest run.
    enlarged : bool
        False: small panels on one logarithmic scale, to compare the cells. True (Appendix A):
        large panels, each on its own linear scale, with the mean of the runs, to see each cell.
    metric : str
        The column to draw.
    first_epoch : int
        The first epoch drawn; 3 as in the paper. Histories of which fewer than two epochs would be
        left are drawn from the beginning.
    rows, columns : str
        The axes of the rows and the columns of panels.
    only : mapping of str to sequence, optional
        Which values of either to draw; all by default.

    Returns
    -------
    matplotlib.figure.Figure
    """
    if not isinstance(histories, pd.DataFrame):
        return _one_fit(pd.DataFrame(histories), metric)
    require(histories, [rows, columns, "seed", "epoch", metric], "histories")
    outcomes = _outcomes(histories, runs, metric, [rows, columns, "seed"])
    down, across = (_chosen(histories, name, (only or {}).get(name)) for name in (rows, columns))
    shown = histories[histories[rows].isin(down) & histories[columns].isin(across)]
    if shown["epoch"].max() <= first_epoch:
        first_epoch = 1
    shown = shown[shown["epoch"] >= first_epoch]
    width, height = (3.0, 2.3) if enlarged else (1.75, 1.35)
    figure = new_figure(max(width * len(across) + 0.6, 4.2), max(height * len(down) + 1.2, 3.4))
    panels = figure.subplots(
        len(down), len(across), squeeze=False, sharex=True, sharey=not enlarged
    )
    styles = _seed_styles(histories["seed"])
    for line, value in zip(panels, down, strict=True):
        for axes, other in zip(line, across, strict=True):
            cell = {rows: value, columns: other}
            _panel(axes, rows_of(shown, cell), rows_of(outcomes, cell), metric, styles, enlarged)
    text = label(metric, histories)
    _label(panels, {rows: down}, {columns: across})
    figure.supylabel(text, fontsize=9)
    _scale(panels, shown, metric, enlarged)
    figure.suptitle(_title(text, first_epoch, enlarged))
    _legend(figure, panels, styles)
    return figure


def _one_fit(history: pd.DataFrame, metric: str) -> Figure:
    """Draw the losses of one fit over its epochs."""
    require(history, ["epoch", metric], "history_")
    figure = new_figure(4.2, 2.8)
    axes = figure.subplots()
    columns = dict.fromkeys([metric, metric.replace("validation", "train", 1)])
    for number, column in enumerate(name for name in columns if name in history):
        # A line through one point has no length.
        style = {"color": COLOURS[number], "linestyle": LINES[number], "gid": "run"}
        marker = "o" if len(history) == 1 else None
        axes.plot(
            history["epoch"], history[column], marker=marker, label=label(column, history), **style
        )
    axes.set(xlabel="epoch", ylabel="loss")
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True, min_n_ticks=1))
    axes.legend(fontsize=7)
    return figure


def _chosen(histories: pd.DataFrame, column: str, wanted: Sequence | None) -> list:
    present = ordered(histories[column])
    if wanted is None:
        return present
    absent = [value for value in wanted if value not in present]
    if absent or not len(wanted):
        raise ValueError(f"{column}: choose from {present}, got {list(wanted)}")
    return list(wanted)


def _outcomes(
    histories: pd.DataFrame, runs: pd.DataFrame | None, metric: str, run: list[str]
) -> pd.DataFrame:
    """Return how each run ended, in one row per run."""
    if runs is not None:
        require(runs, [*run, "stopped_early", "diverged"], "runs")
        outcomes = runs[[*run, "stopped_early", "diverged"]].astype({"diverged": bool})
    else:
        # GroupBy.last would skip NaN, which is exactly what is needed.
        last = histories.sort_values("epoch").groupby(run).tail(1)
        outcomes = last[run].assign(
            stopped_early=last["epoch"] < histories["epoch"].max(),
            diverged=~np.isfinite(last[metric]),
        )
    return outcomes.assign(stopped_early=outcomes["stopped_early"] & ~outcomes["diverged"])


def _seed_styles(seeds: pd.Series) -> dict:
    seeds = sorted(seeds.unique())
    if len(seeds) > NAMED_SEEDS:
        return {seed: {"color": COLOURS[0], "linestyle": "-", "alpha": 0.5} for seed in seeds}
    n = len(COLOURS)
    return {
        seed: {"color": COLOURS[i % n], "linestyle": LINES[i // n]} for i, seed in enumerate(seeds)
    }


def _panel(axes: Axes, table, outcomes, metric: str, styles: dict, enlarged: bool) -> None:
    """Draw the curves of one cell, mark their ends, and count."""
    for seed, curve in table.groupby("seed"):
        curve = curve[np.isfinite(curve[metric])].sort_values("epoch")
        if curve.empty:
            continue
        x, y = curve["epoch"].to_numpy(), curve[metric].to_numpy()
        # A line through one point has no length.
        marker = "o" if len(x) == 1 else None
        axes.plot(x, y, linewidth=0.9, marker=marker, markersize=4, **styles[seed], gid="run")
        outcome = outcomes[outcomes["seed"] == seed]
        for flag, marker in (("stopped_early", STOPPED), ("diverged", DIVERGED)):
            if outcome[flag].any():
                axes.plot(x[-1], y[-1], color=styles[seed]["color"], **marker, gid=flag, zorder=3)
    if enlarged:
        _mean_curve(axes, table, outcomes, metric)
    counts = len(outcomes), int(outcomes["diverged"].sum()), int(outcomes["stopped_early"].sum())
    text = counts_text(*counts) if len(outcomes) else ""
    axes.annotate(
        text, (0, 1), (0, 2), xycoords="axes fraction", textcoords="offset points",
        fontsize=7 if enlarged else 6, ha="left", va="bottom", color="0.25",
    )  # fmt: skip
    if not len(axes.lines):
        if enlarged:
            axes.set_yticks([])
        message = "none got to the\nepochs drawn" if len(outcomes) else "no runs"
        say(axes, message)


def _mean_curve(axes: Axes, table: pd.DataFrame, outcomes: pd.DataFrame, metric: str) -> None:
    """Draw the mean of the runs that did not diverge, up to the first one that stops."""
    kept = table[table["seed"].isin(outcomes.loc[~outcomes["diverged"], "seed"])]
    seeds = kept["seed"].nunique()
    if seeds < 2:
        return
    grouped = kept.groupby("epoch")[metric]
    # Beyond that, a mean over fewer and fewer runs would jump whenever one of them stops.
    mean = grouped.mean()[grouped.count() == seeds]
    axes.plot(mean.index, mean, color="black", linewidth=2.2, alpha=0.55, gid="mean", zorder=4)


def _label(panels: np.ndarray, rows: dict[str, list], columns: dict[str, list]) -> None:
    (row, down), (column, across) = *rows.items(), *columns.items()
    for axes, value in zip(panels[0], across, strict=True):
        axes.set_title(setting(column, value), weight="bold", fontsize=8, pad=13)
    for axes, value in zip(panels[:, 0], down, strict=True):
        axes.set_ylabel(setting(row, value), weight="bold", fontsize=8)
    for axes in panels[-1]:
        axes.set_xlabel("epoch")


def _scale(panels: np.ndarray, shown: pd.DataFrame, metric: str, enlarged: bool) -> None:
    first, last = shown["epoch"].min(), shown["epoch"].max()
    pad = max(0.03 * (last - first), 0.1)
    panels[0, 0].set_xlim(first - pad, last + pad)
    panels[0, 0].xaxis.set_major_locator(MaxNLocator(6, integer=True, min_n_ticks=1))
    values = shown.loc[np.isfinite(shown[metric]), metric]
    if enlarged or values.empty or values.min() <= 0:
        return
    axes = panels[0, 0]
    axes.set_yscale("log")
    axes.set_ylim(values.min() / 1.1, values.max() * 1.1)
    log_ticks(axes.yaxis, values)


def _title(loss: str, first_epoch: int, enlarged: bool) -> str:
    lines = [f"{loss[0].upper()}{loss[1:]} of every run"]
    if first_epoch == 2:
        lines.append("without epoch 1")
    elif first_epoch > 2:
        lines.append(f"without epochs 1 {'and' if first_epoch == 3 else 'to'} {first_epoch - 1}")
    return "\n".join([*lines, "(each panel has its own vertical scale)"] if enlarged else lines)


def _legend(figure: Figure, panels: np.ndarray, styles: dict) -> None:
    drawn = {line.get_gid() for axes in panels.ravel() for line in axes.lines}
    if len(styles) <= NAMED_SEEDS:
        handles = [Line2D([], [], **style, label=f"seed {seed}") for seed, style in styles.items()]
    else:
        handles = [Line2D([], [], color=COLOURS[0], label=f"one of {plural(len(styles), 'seed')}")]
    if "mean" in drawn:
        handles.append(Line2D([], [], color="black", alpha=0.55, linewidth=2.2, label="mean"))
    if "stopped_early" in drawn:
        handles.append(Line2D([], [], color="0.3", **STOPPED, label="stopped early"))
    if "diverged" in drawn:
        handles.append(Line2D([], [], color="0.3", **DIVERGED, label="diverged"))
    columns = max(2, int(figure.get_size_inches()[0] // 1.15))
    figure.legend(
        handles=handles, loc="outside lower center", ncols=min(columns, len(handles)), fontsize=7
    )
