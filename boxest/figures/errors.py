"""Draw how the error of a prediction depends on the size of the object (Fig. 6 and 7)."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from boxest.analysis import ERROR_LEVELS, errors_by_side, require
from boxest.analysis.text import number, plural
from boxest.figures.style import label, log_ticks, new_figure, say, styled

# The paper's metric first, then the geometric one.
METRICS = ("inclusive_iou_loss", "iou_loss")
HATCHES = ("", "///", "xxx", "")
# From light to dark, so that the order is visible without colour.
LEVEL_COLOURS = ("#e3e7ea", "#fdcc8a", "#e8743b", "#7a0b0b")
LEVEL_TEXT = ("negligible (≤ 0.1)", "low (≤ 0.2)", "medium (≤ 0.3)", "big (> 0.3)")


@styled
def error_histogram(
    predictions: pd.DataFrame | Mapping[str, pd.DataFrame],
    metric: str | Sequence[str] = METRICS,
    width: int = 8,
) -> Figure:
    """Draw a histogram of the smaller side of the objects, stacked by error level (Fig. 6).

    Parameters
    ----------
    predictions : pandas.DataFrame or mapping of pandas.DataFrame
        One row per image, `smallest_side` in pixels and the columns `metric`. Of several, by
        name: panels for each, side by side.
    metric : str or sequence of str
        A column of panels each: counts above, shares of the bin below.
    width : int
        Width of the bins in pixels.

    Returns
    -------
    matplotlib.figure.Figure
    """
    shown = _panels(predictions, metric)
    figure = new_figure(max(3.7 * len(shown), 4.4), 5.2)
    panels = figure.subplots(
        2, len(shown), squeeze=False, sharex=True, sharey="row", height_ratios=[1.5, 1]
    )
    for column, (title, name, tested) in zip(panels.T, shown, strict=True):
        table = errors_by_side(tested, name, width)
        counts = table[list(ERROR_LEVELS)].to_numpy(float)
        total = counts.sum(axis=1, keepdims=True)
        shares = 100 * np.divide(counts, total, out=np.zeros_like(counts), where=total > 0)
        for axes, values in zip(column, (counts, shares), strict=True):
            bottoms = np.cumsum(values, axis=1) - values
            for i, text in enumerate(LEVEL_TEXT):
                axes.bar(
                    table["side_from"], values[:, i], width, bottoms[:, i], align="edge",
                    color=LEVEL_COLOURS[i], hatch=HATCHES[i], edgecolor="0.4", linewidth=0.4,
                    label=text,
                )  # fmt: skip
            axes.grid(axis="x", visible=False)
            if not counts.any():
                say(axes, "the run diverged")
        column[0].set_title(title)
        column[1].set_xlabel("smallest side of the object (px)")
    panels[0, 0].set_ylabel(f"images per {width} px")
    panels[0, 0].yaxis.set_major_locator(MaxNLocator(6, integer=True))
    panels[0, 0].set_ylim(0, max(panels[0, 0].get_ylim()[1], 1))
    panels[1, 0].set_ylabel("share (%)")
    panels[1, 0].set_ylim(0, 100)
    figure.suptitle(
        f"Errors by the smallest side of the object, {plural(len(shown[0][2]), 'image')}"
    )
    figure.legend(*panels[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=4)
    return figure


def _panels(
    predictions: pd.DataFrame | Mapping[str, pd.DataFrame], metric: str | Sequence[str]
) -> list[tuple[str, str, pd.DataFrame]]:
    """Return title, column of the loss and predictions of each panel."""
    several = predictions if isinstance(predictions, Mapping) else {"": predictions}
    if not several:
        raise ValueError("predictions must name at least one table, got none")
    metrics = [metric] if isinstance(metric, str) else list(metric)
    if not metrics:
        raise ValueError("metric must name at least one column of the predictions, got none")
    shown = []
    for name, tested in several.items():
        for loss in metrics:
            require(tested, [loss], "predictions")
            title = f"error = {label(loss)}: {_mean_text(tested[loss])}"
            shown.append((f"{name}\n{title}" if name else title, loss, tested))
    return shown


def _mean_text(loss: pd.Series) -> str:
    """Return the mean error, and the number of predictions without one."""
    missing = int(loss.isna().sum())
    mean = loss.mean()
    # Three decimals, unless that leaves only one digit.
    parts = [f"mean {mean:.3f}" if mean >= 0.01 else f"mean {number(mean, 2)}"]
    parts = parts if missing < len(loss) else []
    return ", ".join([*parts, f"{missing} undefined"] if missing else parts)


@styled
def error_scatter(
    predictions: pd.DataFrame | Mapping[str, pd.DataFrame], metric: str | Sequence[str] = METRICS
) -> Figure:
    """Draw the error over the width and height of the object (Fig. 7).

    Parameters
    ----------
    predictions : pandas.DataFrame or mapping of pandas.DataFrame
        One row per image, `width` and `height` in pixels and the columns `metric`. Of several, by
        name: panels for each, side by side.
    metric : str or sequence of str
        A panel each, all on one colour scale.

    Returns
    -------
    matplotlib.figure.Figure
    """
    shown = _panels(predictions, metric)
    for _, name, tested in shown:
        require(tested, ["width", "height", name], "predictions")
    figure = new_figure(3.3 * len(shown) + 1.0, 3.7, "compressed")
    panels = figure.subplots(1, len(shown), squeeze=False, sharex=True, sharey=True)[0]
    # Logarithmic, because the errors of the two metrics differ by a factor of four.
    losses = np.concatenate([tested[name].to_numpy(float) for _, name, tested in shown])
    norm = LogNorm(_lower_end(losses), 1, clip=True)
    for axes, (title, name, tested) in zip(panels, shown, strict=True):
        # The largest errors are drawn last, so that they are not hidden.
        table = tested[np.isfinite(tested[name])].sort_values(name)
        points = axes.scatter(
            table["width"], table["height"], c=table[name].clip(norm.vmin, 1), norm=norm,
            cmap="viridis_r", s=np.clip(4000 / max(len(table), 1), 9, 40), linewidths=0.2,
            edgecolors="0.3",
        )  # fmt: skip
        axes.set_title(title)
        axes.set_xlabel("width of the object (px)")
        axes.set_aspect("equal")
        if table.empty:
            say(axes, "the run diverged")
    side = 1.04 * max(tested[["width", "height"]].max().max() for _, _, tested in shown)
    panels[0].set(xlim=(0, side), ylim=(0, side), ylabel="height of the object (px)")
    bar = figure.colorbar(points, ax=panels, extend="min", aspect=25, label="error")
    log_ticks(bar.ax.yaxis, [norm.vmin, 1])
    return figure


def _lower_end(losses: np.ndarray) -> float:
    """Return the power of ten, 0.0001 to 0.01, that is below most of the losses."""
    losses = losses[np.isfinite(losses)]
    low = np.percentile(losses, 5) if losses.size else 0.01
    return float(10.0 ** np.clip(np.floor(np.log10(max(low, 1e-9))), -4, -2))
