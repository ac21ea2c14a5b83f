"""Draw the training time against the batch size (Fig. 4)."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from boxest.analysis import fit_time, require, students_t
from boxest.analysis.columns import CELL
from boxest.analysis.text import plural
from boxest.figures.style import (
    LINES,
    label,
    log_ticks,
    new_figure,
    numbered,
    say,
    setting,
    styled,
    value_text,
)

TOGETHER = "not measured: the runs\nwere trained together,\nnone has a time of its own"


@styled
def training_time(times: pd.DataFrame) -> Figure:
    """Draw the training time of the planned epochs against the batch size (Fig. 4).

    Parameters
    ----------
    times : pandas.DataFrame
        From `boxest.analysis.time_table`.

    Returns
    -------
    matplotlib.figure.Figure
        Left: a curve per learning rate, mean and range (min to max) of the repetitions. Right: the
        same times divided by the mean of their batch size, which is 1 everywhere if the rate does
        not matter.
    """
    spread = ["seconds_min", "seconds_max"]
    require(times, [*CELL, "runs", "planned_epochs", "seconds", *spread], "times")
    figure = new_figure(7.4, 3.6)
    left, right = figure.subplots(1, 2, width_ratios=[1, 1.15])
    sizes = sorted(times["batch_size"].unique())
    rates = sorted(times["learning_rate"].unique())
    mean = times.groupby("batch_size")["seconds"].mean()
    for i, rate in enumerate(rates):
        table = times[(times["learning_rate"] == rate) & np.isfinite(times["seconds"])]
        table = table.sort_values("batch_size")
        y = table["seconds"].to_numpy()
        error = np.abs(table[spread].to_numpy().T - y)
        style = _style(i, markerfacecolor="white", capsize=2, elinewidth=0.9)
        line = LINES[i % len(LINES)]
        left.errorbar(
            table["batch_size"], y, error, label=value_text(rate), linestyle=line, **style
        )
        base = mean[table["batch_size"]].to_numpy()
        # Side by side, because the ranges overlap.
        x = [
            sizes.index(size) + (i - (len(rates) - 1) / 2) * 0.6 / len(rates)
            for size in table["batch_size"]
        ]
        right.errorbar(x, y / base, error / base, linestyle="", **style)
    _batch_axis(left, sizes)
    _time_axis(left, times, ["seconds", *spread])
    left.set_ylabel(_time_label(times, "seconds"))
    right.set_xticks(range(len(sizes)), [str(size) for size in sizes])
    right.set(xlim=(-0.5, len(sizes) - 0.5), xlabel="batch size (images)")
    right.set_ylabel("time / mean time of the batch size")
    if np.isfinite(mean).any():
        right.axhline(1, color="0.4", linewidth=0.8, zorder=0)
        _show_around_1(right)
    else:
        _nothing(right, _why_none(times))
    figure.suptitle(_title(times))
    title = "learning rate"
    if times["runs"].max() > 1:
        title += "; bars: min to max of the runs"
    figure.legend(
        *left.get_legend_handles_labels(),
        loc="outside lower center",
        ncols=8,
        title=title,
    )
    return figure


@styled
def time_fit(times: pd.DataFrame, fit: pd.DataFrame | None = None) -> Figure:
    """Draw the training time against the batch size with the curve a + b / batch size (§3.2.2).

    Parameters
    ----------
    times : pandas.DataFrame
        From `boxest.analysis.time_table`.
    fit : pandas.DataFrame, optional
        From `boxest.analysis.fit_time`; made from `times` by default.

    Returns
    -------
    matplotlib.figure.Figure
        Above: the cells and the curve. Below: measured / fitted time.
    """
    fit = fit_time(times) if fit is None else fit
    columns = ["value", "cells", "a", "b", "a_se", "b_se", "r2", "relative_residual"]
    require(fit, columns, "fit")
    a, b, value = (fit[name].iloc[0] for name in ("a", "b", "value"))
    require(times, [*CELL, value], "times")
    figure = new_figure(5.0, 5.8)
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1.2])
    for i, (rate, table) in enumerate(times.groupby("learning_rate")):
        style = _style(i, markerfacecolor="none", linestyle="")
        above.plot(table["batch_size"], table[value], label=setting("learning_rate", rate), **style)
        below.plot(table["batch_size"], table[value] / (a + b / table["batch_size"]), **style)
    sizes = sorted(times["batch_size"].unique())
    _batch_axis(below, sizes)
    if np.isfinite(a):
        x = np.geomspace(sizes[0], sizes[-1], 200)
        above.plot(x, a + b / x, color="black", label=_fit_text(fit), zorder=1)
        below.axhline(1, color="black", zorder=1)
        _show_around_1(below)
    else:
        _nothing(below, "too few times for a fit")
    _time_axis(above, times, [value])
    above.set_ylabel(_time_label(times, value))
    below.set_ylabel("measured / fitted")
    figure.legend(*above.get_legend_handles_labels(), loc="outside lower center", ncols=2)
    above.set_title(_title(times))
    return figure


def _style(i: int, **settings: Any) -> dict[str, Any]:
    """Return the colour and the marker of the i-th rate."""
    return {**numbered(i), "markersize": 4.5, **settings}


def _batch_axis(axes: Axes, sizes: list) -> None:
    axes.set_xscale("log", base=2)
    axes.set_xticks(sizes, [str(size) for size in sizes])
    axes.minorticks_off()
    axes.set_xlim(sizes[0] / 1.6, sizes[-1] * 1.6)
    axes.set_xlabel("batch size (images)")


def _time_axis(axes: Axes, table: pd.DataFrame, columns: list[str]) -> None:
    """Scale by decades if the times span any, else from 0, or noise would look like a trend."""
    times = table[columns].to_numpy(float)
    times = times[np.isfinite(times)]
    if not times.size:
        _nothing(axes, _why_none(table))
    elif times.max() > 4 * times.min():
        axes.set_yscale("log")
        log_ticks(axes.yaxis, times)
    else:
        axes.set_ylim(0, 1.15 * times.max())


def _why_none(times: pd.DataFrame) -> str:
    """Return why there are no times."""
    if "shared" in times and times["shared"].any():
        return TOGETHER
    return "all runs diverged"


def _nothing(axes: Axes, why: str) -> None:
    axes.set_yticks([])
    say(axes, why)


def _time_label(times: pd.DataFrame, value: str) -> str:
    """Return the name of the time, with its number of epochs."""
    if value != "seconds" or "planned_epochs" not in times:
        return label(value)
    return f"training time of {plural(int(times['planned_epochs'].iloc[0]), 'epoch')} (s)"


def _show_around_1(axes: Axes) -> None:
    """Show at least 1 ± 5 %, so that noise of a per mille does not fill the panel."""
    low, high = axes.get_ylim()
    axes.set_ylim(min(low, 0.95), max(high, 1.05))


def _title(times: pd.DataFrame) -> str:
    runs = int(times["runs"].max()) if "runs" in times else 1
    title = f"Training time, {plural(runs, 'run')} per cell"
    gone = int(times["diverged"].sum()) if "diverged" in times else 0
    if gone:
        title += f" ({gone} diverged and left out)"
    shared = int(times["shared"].sum()) if "shared" in times else 0
    if shared:
        title += f"\n{shared} trained together with others and left out: no time of their own"
    if "settings" in times and times["settings"].max() > 1:
        title += "\nCaution: times from different machines or settings"
    return title


def _fit_text(fit: pd.DataFrame) -> str:
    """Return the fitted curve with its parameters and their 95 % intervals, for the legend."""
    row, t = fit.iloc[0], students_t(fit)

    def term(name: str) -> str:
        value, half = row[name], t * row[f"{name}_se"]
        if not np.isfinite(half):
            return f"{name} = {value:.3g} s"
        # The error has two digits, and the value has the same number of decimals.
        decimals = int(np.clip(1 - np.floor(np.log10(max(half, 1e-6))), 0, 6))
        return f"{name} = ({value:.{decimals}f} ± {half:.{decimals}f}) s"

    ends = "\n±: half of the 95 % interval" if np.isfinite(t * row["a_se"]) else ""
    return (
        f"a + b / batch size\n{term('a')}\n{term('b')}{ends}\n"
        f"R² = {row['r2']:.4f}, typically {100 * row['relative_residual']:.1f} % off"
    )
