"""The grid: ours beside the paper's, and how far learning rate × updates carries."""

import numpy as np
import pandas as pd

from boxest.findings.images import Figures
from boxest.findings.study import Study
from boxest.findings.text import number, spread, table

CELL = ["batch_size", "learning_rate"]
LOSS = "validation_inclusive_iou_loss"


def comparison(study: Study, figures: Figures) -> list[str]:
    """Return our Fig. 8 beside the paper's, and the cells that the paper leaves out."""
    both = study["comparison"].merge(study["fig8"][[*CELL, "reached_last_epoch"]], on=CELL)
    distances = study["distances"]
    far = both.loc[both[f"{LOSS}_log_ratio"].abs().idxmax()] if distances["cells"].iloc[0] else None
    lines = [
        "## Ours beside the paper's Fig. 8",
        "",
        "The root mean square of ln(ours / paper's) over the cells that both have: 0.1 is "
        "typically 10 % apart. A mean at the last epoch can be taken over all runs, those that "
        "stopped early with their own last one, or over those that came so far; elsewhere on this "
        "page it is the first:",
        "",
        *table(
            ["mean over", "cells", "training", "validation"],
            [
                (row.reading, row.cells, number(row.train), number(row.validation))
                for row in distances.itertuples()
            ],
        ),
    ]
    if far is not None:
        lines += [
            f"The cell farthest off is batch size {far['batch_size']:.0f} at rate "
            f"{far['learning_rate']:g}: {far[LOSS]:.3f}, in the paper {far[f'paper_{LOSS}']:.3f}.",
            "",
        ]
    lines += _cells(both)
    lines += figures.show(study, "comparison")
    return lines + _left_out(both) + _patience(study)


def _cells(both: pd.DataFrame) -> list[str]:
    heads = ["batch size", "rate", "1 − inclusive IoU, ours", "paper", "apart (sd)"]
    heads += ["1 − IoU, ours", "stopped early", "diverged", "reached the last epoch"]
    rows = [
        (
            row["batch_size"],
            f"{row['learning_rate']:g}",
            spread(row[LOSS], row[f"{LOSS}_sd"]),
            spread(row[f"paper_{LOSS}"], np.nan),
            number(row[f"{LOSS}_difference_in_sd"], 2),
            spread(row["validation_iou_loss"], np.nan),
            *(row[name] for name in ("stopped_early", "diverged", "reached_last_epoch")),
        )
        for row in both.to_dict("records")
    ]
    return ["Validation losses of the last epoch:", "", *table(heads, rows, left=0)]


def _left_out(both: pd.DataFrame) -> list[str]:
    """Say of the cells that the paper leaves out what our runs did there."""
    missing = both[both[f"paper_{LOSS}"].isna()]
    if missing.empty:
        return []
    lines = ["The paper leaves out these cells. Our runs there:", ""]
    for row in missing.to_dict("records"):
        runs, reached = row["runs"], row["reached_last_epoch"]
        fate = f"{row['stopped_early']} of {runs} stopped early, {row['diverged']} diverged"
        reason = (
            "no run came to the last epoch, so that there is no mean to print there"
            if reached == 0
            else f"{reached} came to the last epoch, so that early stopping with our patience does "
            "not explain why the cell is missing"
        )
        lines.append(
            f"- batch size {row['batch_size']}, rate {row['learning_rate']:g}: {fate}; {reason}."
        )
    present = both[both[f"paper_{LOSS}"].notna() & (both["reached_last_epoch"] == 0)]
    names = [f"({row.batch_size}, {row.learning_rate:g})" for row in present.itertuples()]
    also = f"Of the cells that the paper has, none of our runs came so far at {', '.join(names)}."
    return [*lines, "", *([also, ""] if names else [])]


def _patience(study: Study) -> list[str]:
    """Say which patience of early stopping leaves out the cells that the paper leaves out."""
    patience = study["patience"]
    if patience["in_paper"].all():
        return []
    rows = []
    for epochs, cells in patience.groupby("patience"):
        mean = cells["reached"] > 0
        there, absent = cells["in_paper"], ~cells["in_paper"]
        rows.append(
            (
                epochs,
                f"{(mean & there).sum()} of {there.sum()}",
                f"{(~mean & absent).sum()} of {absent.sum()}",
                ", ".join(
                    f"({row.batch_size}, {row.learning_rate:g})"
                    for row in cells[mean != there].itertuples()
                ),
            )
        )
    return [
        "The paper gives no patience. From the histories follows which runs a smaller one would "
        "have stopped, and so which cells would have a mean at the last epoch:",
        "",
        *table(
            ["patience", "cells of the paper with one", "cells left out without one", "not so"],
            rows,
        ),
    ]


def scaling(study: Study, figures: Figures) -> list[str]:
    """Return how far each cell lies from the curve of loss over rate × updates."""
    residuals = study["scaling_residuals"]
    fit = study["scaling_fit"].set_index("loss").loc[LOSS]
    rows = []
    for rate, cells in residuals.groupby("learning_rate"):
        known = cells.dropna(subset="residual")
        percent = 100 * np.expm1(known["residual"])
        far = known.loc[known["residual"].abs().idxmax()] if len(known) else None
        rows.append(
            (
                f"{rate:g}",
                f"{len(known)} of {len(cells)}",
                number(percent.mean(), 2),
                number(np.sqrt((percent**2).mean()), 2),
                "–"
                if far is None
                else f"{number(100 * np.expm1(far['residual']), 2)} at batch "
                f"size {far['batch_size']:.0f}",
            )
        )
    broken = residuals[residuals["residual"].abs() > np.log(1.25)]
    cells = ", ".join(f"({row.batch_size}, {row.learning_rate:g})" for row in broken.itertuples())
    return [
        "## How far learning rate × updates carries",
        "",
        "If the product of rate and number of updates alone decided the loss, as the linear "
        "scaling rule has it, all runs would lie on one curve. Fitted to all runs (a polynomial "
        f"between the logarithms), they spread {100 * fit['residual']:.0f} % about the curve, and "
        f"{100 * fit['within_cells']:.0f} % about the mean of their cell. By rate, how far the "
        "cells lie above the curve on average, their root mean square, and the one that is "
        "farthest off, in %:",
        "",
        *table(["rate", "cells", "mean", "root mean square", "farthest"], rows),
        f"More than a quarter off: {cells}." if cells else "No cell is more than a quarter off.",
        "",
        *figures.show(study, "loss_against_updates"),
        *figures.show(study, "scaling_residuals"),
    ]
