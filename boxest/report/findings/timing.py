"""Training time, and what accuracy costs."""

import numpy as np
import pandas as pd

from boxest.analysis import ENGINES, knee, knee_interval
from boxest.analysis.columns import CELL, by_condition
from boxest.analysis.text import ends, loss, number, of_each, plural
from boxest.figures.style import named, value_text
from boxest.report.findings.figures import Figures
from boxest.report.findings.jinja import rendered
from boxest.report.findings.study import Study


def time(study: Study, figures: Figures) -> list[str]:
    """Return the fit a + b / batch size of each measurement, relative to its own a."""
    measured = study.times or (study,)
    rows = []
    for one in measured:
        fit, times = one["time_fit"], one["time"]
        smallest, largest = times["batch_size"].min(), times["batch_size"].max()
        mean = times.groupby("batch_size")["seconds_per_epoch"].mean()
        rows.append(
            (
                _engine(one),
                _measured(one),
                _knee(knee(fit), *knee_interval(fit)),
                f"{number(100 * fit['relative_residual'].iloc[0], 2)} %",
                f"{number(mean[smallest] / mean[largest])}",
            )
        )
    lines = [rendered("time.md", rows=rows)]
    # The study's own figure is drawn from the first of the others.
    for one in (study, *study.times[1:]):
        caption = (
            f"Training time against batch size, trained by {_engine(one)}: {_measured(one)} of "
            "each cell, with the range over the seeds."
        )
        lines += figures.show(one, "fig4_training_time", caption)
    return lines


def cost(study: Study, figures: Figures) -> list[str]:
    """Return the Pareto front of seconds against loss, and the recommendation of §4."""
    costs, axes = study["cost"], [*CELL, *study.others]
    planned = study["runs"]["planned_epochs"].max()
    fronts = {}
    for engine, cells in costs.groupby("engine"):
        front = cells[cells["pareto_validation_iou_loss"]]
        fastest = cells["seconds"].min()
        fronts[ENGINES.get(engine, engine)] = [
            (
                *(value_text(getattr(row, name)) for name in axes),
                number(row.epochs),
                number(row.seconds / fastest),
                number(row.planned_seconds / fastest),
                loss(row.validation_iou_loss),
                loss(row.validation_inclusive_iou_loss),
                number(100 * row.seconds_per_percent / fastest, 2)
                if np.isfinite(row.seconds_per_percent)
                else "",
            )
            for same in by_condition(front)
            for row in same.sort_values("seconds").itertuples()
        ]
    heads = [
        *(named(name).partition(" (")[0] for name in axes),
        *("epochs", "time", f"all {planned}", "1 − IoU", "1 − inclusive IoU"),
        "a further percent of IoU costs, % of the fastest time",
    ]
    values = {"planned": planned, "extrapolated": bool(study.times), "sources": sources(study)}
    lines = [rendered("cost.md", **values, axes=axes, heads=heads, fronts=fronts).rstrip(), ""]
    lines += figures.show(study, "seconds_against_loss")
    if "recommendation" not in study or study.others:
        return lines
    lines += ["The paper's recipe (§4), followed by `boxest.analysis.recommend`:", ""]
    sizes = study["fig8"]["batch_size"]
    lines += [_recommendation(row, sizes) for _, row in study["recommendation"].iterrows()]
    return [*lines, ""]


def _recommendation(row: pd.Series, sizes: pd.Series) -> str:
    """Say where the recipe leads, and how much better the best cell is."""
    trained = f"- {ENGINES.get(row['engine'], row['engine'])}:"
    if np.isnan(row["knee"]):
        return f"{trained} no knee, which needs times of two batch sizes."
    best = (row["best_batch_size"], row["best_learning_rate"])
    text = (
        f"{trained} {_grid(row, sizes)}, so batch size {row['batch_size']:.0f}{_at_the_ends(row)}; "
        f"a few epochs at each rate lead to {row['learning_rate']:g}"
    )
    if gone := np.isnan(row["validation_inclusive_iou_loss"]):
        text += ", where every run diverged."
    else:
        text += (
            f". There, 1 − inclusive IoU is {row['validation_inclusive_iou_loss']:.3f} "
            f"(1 − IoU {row['validation_iou_loss']:.3f})."
        )
    if np.isnan(best[0]):
        return f"{text} So they did in all other cells."
    if best == (row["batch_size"], row["learning_rate"]):
        return f"{text} No cell of the grid is better."
    text = (
        f"{text} The best cell of the grid, batch size {best[0]:.0f} at rate {best[1]:g}, has "
        f"{row['best_validation_inclusive_iou_loss']:.3f} ({row['best_validation_iou_loss']:.3f})"
    )
    times = number(row["best_seconds"] / row["seconds"])
    return f"{text}." if gone else f"{text} in {times} times the time."


def _grid(row: pd.Series, sizes: pd.Series) -> str:
    """Say where the knee is, and where the grid does not reach it."""
    if row["knee"] == 0:
        return "there is no knee"
    text = f"the knee is at {_knee(row['knee'], row['knee_low'], row['knee_high'])} images"
    if row["knee"] < sizes.min():
        return f"{text}, below the grid"
    return f"{text}, above the grid" if row["knee"] > sizes.max() else text


def _at_the_ends(row: pd.Series) -> str:
    """Say which batch sizes the ends of the interval of the knee lead to."""
    low, high = row["batch_size_low"], row["batch_size_high"]
    if np.isnan(low):
        return ""
    if low == high == row["batch_size"]:
        return " (at both ends of the interval)"
    return f" ({low:.0f} to {high:.0f} at the ends of the interval)"


def _knee(value: float, low: float, high: float) -> str:
    text = "∞" if np.isinf(value) else number(value)
    return text if np.isnan(low) else f"{text} {ends(low, high)}"


def _measured(study: Study) -> str:
    """Say how many epochs and runs were timed in a study."""
    epochs = int(study["runs"]["planned_epochs"].max())
    return f"{plural(epochs, 'epoch')} × {of_each(study['fig8']['runs'], 'seed')}"


def sources(study: Study) -> str:
    """Say how many epochs and runs of each engine were timed."""
    measured = study.times or (study,)
    return " and ".join(f"{_measured(one)} ({_engine(one)})" for one in measured)


def _engine(study: Study) -> str:
    engine = study["runs"]["engine"].iloc[0]
    return ENGINES.get(engine, engine)
