"""Style, colours, names with units, and saving, shared by all figures."""

import functools
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib
import matplotlib.style
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

from boxest.analysis.columns import ordered
from boxest.system.files import atomic_path

# Sizes in points at the printed width, because figures are made at the size at which they are read.
STYLE = {
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "axes.titlesize": 9,
    "axes.labelsize": 9,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "legend.fontsize": 8,
    "legend.frameon": False,
    "figure.titlesize": 11,
    "figure.dpi": 100,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "0.88",
    "grid.linewidth": 0.6,
    "lines.linewidth": 1.3,
    "hatch.linewidth": 0.5,
    "pdf.fonttype": 42,
}

# The colours of Okabe and Ito, without yellow, which is hard to see on white.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
LINES = ("-", "--", "-.", ":")

# The trained loss first.
LABELS = {
    "train_loss": "training loss",
    "validation_loss": "validation loss",
    "train_iou_loss": "training 1 − IoU",
    "validation_iou_loss": "validation 1 − IoU",
    "train_inclusive_iou_loss": "training 1 − inclusive IoU",
    "validation_inclusive_iou_loss": "validation 1 − inclusive IoU",
    "iou_loss": "1 − IoU",
    "inclusive_iou_loss": "1 − inclusive IoU",
    "seconds": "training time (s)",
    "seconds_per_epoch": "training time per epoch (s)",
}


def numbered(i: int) -> dict[str, str]:
    """Return the colour and the marker of the i-th of several series."""
    return {"color": COLOURS[i % len(COLOURS)], "marker": MARKERS[i % len(MARKERS)]}


def text_on(colour: Sequence[float]) -> str:
    """Return the colour of a text that is to be read on another colour."""
    return "white" if np.dot(colour[:3], [0.299, 0.587, 0.114]) < 0.5 else "black"


def styled(function: Callable) -> Callable:
    """Run a figure function in the style of this package, independently of the user's style."""

    @functools.wraps(function)
    def wrapper(*args, **kwargs):
        with matplotlib.style.context(["default", STYLE]):
            return function(*args, **kwargs)

    return wrapper


def new_figure(width: float, height: float, layout: str = "constrained") -> Figure:
    """Return an empty figure (inches) that needs no global state and no display.

    The layout "compressed" is for axes with a fixed aspect ratio, such as images.
    """
    return Figure(figsize=(width, height), layout=layout)


def label(name: str, table: pd.DataFrame | None = None) -> str:
    """Return the name with unit of a column, or the column's own name.

    For a trained loss, it includes the measure behind it, if the table has that as well.
    """
    text = LABELS.get(name, name)
    part = name.removesuffix("_loss")
    if table is None or part not in ("train", "validation") or not table[name].notna().any():
        return text
    for measure in ("inclusive_iou_loss", "iou_loss"):
        same = table.get(f"{part}_{measure}")
        if same is not None and np.allclose(same, table[name], equal_nan=True):
            return f"{text} ({LABELS[measure]})"
    return text


# Names of axes and settings for readers.
NAMES = {"batch_size": "batch size (images)", "output_activation": "output"}
VALUES = {
    "inclusive_iou": "inclusive IoU",
    "iou": "IoU",
    "giou": "GIoU",
    "diou": "DIoU",
    "ciou": "CIoU",
    "mean_absolute_error": "mean absolute error",
    "mean_squared_error": "mean squared error",
    "sgd": "SGD",
    "momentum": "SGD, momentum",
    "adam": "Adam",
}


def named(axis: str) -> str:
    """Return the name of an axis, with its unit."""
    return NAMES.get(axis, axis.replace("_", " "))


def value_text(value: Any) -> str:
    """Write a value of an axis."""
    if isinstance(value, str):
        is_of_a_user = ".py:" in value  # The name of a file and a function.
        return value if is_of_a_user else VALUES.get(value, value).replace("_", " ")
    return str(value) if isinstance(value, (int, np.integer, np.bool_)) else f"{value:g}"


def setting(axis: str, value: Any) -> str:
    """Write an axis with one of its values; if the value is a name, the name is enough.

    Examples
    --------
    >>> setting("batch_size", 16), setting("optimizer", "adam"), setting("stop_patience", "never")
    ('batch size 16', 'Adam', 'stop patience never')
    >>> setting("network", "my_net.py:small")
    'my_net.py:small'
    """
    if isinstance(value, str) and axis in ("network", "loss", "optimizer", "condition"):
        return value_text(value)
    return f"{named(axis).partition(' (')[0]} {value_text(value)}"


def graded(values: Iterable) -> dict:
    """Assign each value, in order, a colour of viridis, without its faint end."""
    values = ordered(pd.Series(list(values)))
    colours = matplotlib.colormaps["viridis"]
    return {value: colours(0.85 * i / max(len(values) - 1, 1)) for i, value in enumerate(values)}


def say(axes: Axes, message: str) -> None:
    """Write in the middle of a panel why it is empty."""
    axes.text(
        0.5, 0.5, message, transform=axes.transAxes, fontsize=8, ha="center", va="center",
        color="0.4",
    )  # fmt: skip


def counts_text(runs: int, diverged: int, stopped_early: int, separator: str = ", ") -> str:
    """Return how many runs diverged and stopped early; empty if none did."""
    parts = []
    if diverged:
        parts.append(f"all {runs} diverged" if diverged == runs else f"{diverged} diverged")
    if stopped_early:
        parts.append(f"{stopped_early} stopped early")
    return separator.join(parts)


def cell_legend(
    figure: Figure, cells: Mapping[str, dict], others: Sequence[Line2D], loc: str
) -> None:
    """Add a legend: the values of one axis by colour, those of another by marker, then others."""

    def entry(text: str, **style: Any) -> Line2D:
        return Line2D([], [], linestyle="", label=text, **style)

    (_, colours), (_, markers) = cells.items()
    first, second = (named(axis).partition(" (")[0] for axis in cells)
    handles = [entry(first)]
    handles += [entry(value_text(value), marker="s", color=one) for value, one in colours.items()]
    handles += [entry(""), entry(second)]
    handles += [
        entry(value_text(value), marker=one, color="0.45") for value, one in markers.items()
    ]
    legend = figure.legend(handles=[*handles, entry(""), *others], loc=loc)
    for text in legend.get_texts():
        if text.get_text() in (first, second):
            text.set_weight("bold")


def save(figure: Figure, png: str | os.PathLike) -> tuple[Path, Path]:
    """Write a figure as PNG (200 dpi) and PDF; equal figures give equal bytes.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
        The figure.
    png : path-like
        The path of the PNG, ending in ".png". The PDF is written next to it.

    Returns
    -------
    tuple of pathlib.Path
        The PNG and the PDF. Each is written completely or not at all.
    """
    # Dates and the version of matplotlib would make every file different.
    metadata = {
        "png": {"Software": None},
        "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
    }
    if Path(png).suffix != ".png":
        raise ValueError(f"the name of a figure must end in .png, got {str(png)!r}")
    paths = tuple(Path(png).with_suffix(f".{kind}") for kind in metadata)
    layout = figure.get_layout_engine()
    try:
        with matplotlib.style.context(["default", STYLE]):
            for path, (kind, entries) in zip(paths, metadata.items(), strict=True):
                with atomic_path(path) as temporary:
                    figure.savefig(temporary, format=kind, dpi=200, metadata=entries)
                # The second file has the layout of the first, which takes a third of the time.
                figure.set_layout_engine("none")
    finally:
        figure.set_layout_engine(layout)
    return paths


def log_ticks(axis, values) -> None:
    """Label a logarithmic axis as densely as the span of `values` allows, without minor ticks."""
    values = np.asarray(values, dtype=float).ravel()
    values = values[np.isfinite(values) & (values > 0)]
    span = values.max() / values.min() if values.size else 1
    if span < 4:
        axis.set_major_locator(MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]))
    elif span < 12:
        axis.set_major_locator(LogLocator(subs=(1, 1.5, 2, 3, 5, 7)))
    elif span < 200:
        axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    else:
        axis.set_major_locator(LogLocator())
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_locator(NullLocator())
