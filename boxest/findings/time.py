"""Training time, and what accuracy costs."""

import numpy as np
import pandas as pd

from boxest.analysis import ENGINES
from boxest.findings.images import Figures
from boxest.findings.study import Study
from boxest.findings.text import number, spread, table


def time(study: Study, figures: Figures) -> list[str]:
    """Return the fit a + b / batch size of each measurement, relative to its own a."""
    measured = study.times or (study,)
    rows = []
    for one in measured:
        fit, times = one["time_fit"].iloc[0], one["time"]
        smallest, largest = times["batch_size"].min(), times["batch_size"].max()
        mean = times.groupby("batch_size")["seconds_per_epoch"].mean()
        rows.append(
            (
                _engine(one),
                f"{number(fit['b'] / fit['a'])} ± {number(fit['b_se'] / fit['a'])} images",
                f"{100 * fit['relative_residual']:.1f} %",
                f"{number(mean[smallest] / mean[largest])}",
            )
        )
    lines = [
        "## Training time",
        "",
        "Time = a + b / batch size: a is what the images cost however they are batched, b what an "
        "update costs. b / a is the batch size at which both are the same, the knee of Fig. 4. "
        "Times belong to the machine they were measured on; their ratios say more.",
        "",
        *table(["trained by", "b / a", "typical misfit", "smallest / largest batch size"], rows),
    ]
    for one in measured:
        lines += figures.show(one, "fig4_training_time")
    return lines


def cost(study: Study, figures: Figures) -> list[str]:
    """Return the Pareto front of seconds against loss, and the recommendation of §4."""
    lines = [
        "## What accuracy costs",
        "",
        "The cells that no other beats in time (by more than 5 %) or in geometric loss without "
        "being worse in the other. Time is relative to the fastest cell.",
        "",
    ]
    costs = study["cost"]
    for engine, cells in costs.groupby("engine"):
        front = cells[cells["pareto_validation_iou_loss"]].sort_values("seconds")
        fastest = cells["seconds"].min()
        rows = [
            (
                row.batch_size,
                f"{row.learning_rate:g}",
                number(row.seconds / fastest),
                spread(row.validation_iou_loss, np.nan),
                spread(row.validation_inclusive_iou_loss, np.nan),
                number(100 * row.seconds_per_percent / fastest, 2)
                if np.isfinite(row.seconds_per_percent)
                else "",
            )
            for row in front.itertuples()
        ]
        heads = ["batch size", "rate", "time", "1 − IoU", "1 − inclusive IoU"]
        heads.append("a further percent of IoU costs, % of the fastest time")
        lines += [f"Trained by {ENGINES.get(engine, engine)}:", "", *table(heads, rows, left=0)]
    lines += figures.show(study, "seconds_against_loss")
    lines += ["The paper's recipe (§4), followed by `boxest.analysis.recommend`:", ""]
    lines += [_recommendation(row) for _, row in study["recommendation"].iterrows()]
    return [*lines, ""]


def _recommendation(row: pd.Series) -> str:
    """Say where the recipe leads, and what it gives away."""
    if not np.isfinite(row["knee"]):
        return f"- {ENGINES.get(row['engine'], row['engine'])}: too few batch sizes for a knee."
    knee = f"the knee is at {number(row['knee'])} images" if row["knee"] else "there is no knee"
    best = (row["best_batch_size"], row["best_learning_rate"])
    text = (
        f"- {ENGINES.get(row['engine'], row['engine'])}: {knee}, so batch size "
        f"{row['batch_size']:.0f}; a few epochs each lead to the rate {row['learning_rate']:g}. "
        f"1 − inclusive IoU comes to {row['validation_inclusive_iou_loss']:.3f} (1 − IoU "
        f"{row['validation_iou_loss']:.3f})."
    )
    if best == (row["batch_size"], row["learning_rate"]):
        return f"{text} No cell of the grid is better."
    return (
        f"{text} The best cell of the grid, batch size {best[0]:.0f} at rate {best[1]:g}, has "
        f"{row['best_validation_inclusive_iou_loss']:.3f} ({row['best_validation_iou_loss']:.3f}) "
        f"in {number(row['best_seconds'] / row['seconds'])} times the time."
    )


def _engine(study: Study) -> str:
    engine = study["runs"]["engine"].iloc[0]
    return ENGINES.get(engine, engine)
