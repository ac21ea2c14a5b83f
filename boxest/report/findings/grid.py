"""The grid: ours beside the paper's, and how far learning rate × updates determines the loss."""

from typing import Any

import numpy as np
import pandas as pd

from boxest.analysis.cells import APART, PAPER_RUNS, in_the_papers_grid, root_mean_square
from boxest.analysis.claims import CONFIDENCE
from boxest.analysis.columns import CELL
from boxest.analysis.text import names, number, percent, plural, spread
from boxest.report.findings.figures import Figures
from boxest.report.findings.jinja import rendered
from boxest.report.findings.study import Study

LOSS = "validation_inclusive_iou_loss"
# A cell farther from the curve breaks the rule.
FAR = 1.25


def comparison(study: Study, figures: Figures) -> list[str]:
    """Return our Fig. 8 beside the paper's, and the cells that the paper leaves out."""
    both = study["comparison"].merge(study["fig8"][[*CELL, "reached_last_epoch"]], on=CELL)
    distances = study["distances"]
    far = both.loc[both[f"{LOSS}_log_ratio"].abs().idxmax()] if distances["cells"].iloc[0] else None
    # The paper cannot leave out what it never tried, such as a rate of 1.
    missing = both[both[f"paper_{LOSS}"].isna() & in_the_papers_grid(both)]
    values = {
        "apart": APART,
        "paper_runs": PAPER_RUNS,
        "distances": [
            (
                row.reading,
                row.cells,
                number(row.train),
                number(row.validation),
                number(np.exp(row.mean_log_ratio)),
                row.above,
                row.apart,
            )
            for row in distances.itertuples()
        ],
        "systematic": systematic(study),
        "far": far,
        "cells": [
            (
                row["batch_size"],
                f"{row['learning_rate']:g}",
                spread(row[LOSS], row[f"{LOSS}_sd"]),
                spread(row[f"paper_{LOSS}"], np.nan),
                number(row[f"{LOSS}_difference_in_se"], 2),
                spread(row["validation_iou_loss"], np.nan),
                *(row[name] for name in ("stopped_early", "diverged", "reached_last_epoch")),
            )
            for row in both.to_dict("records")
        ],
        "figure": figures.show(study, "comparison"),
        "missing": missing.to_dict("records"),
        "against": _against(missing, both[both[f"paper_{LOSS}"].notna()]),
        "patience": _patience(study),
    }
    return [rendered("comparison.md", **values).rstrip(), ""]


def systematic(study: Study) -> str:
    """Say whether ours differ from the paper's by more than scatter, without the largest rate."""
    row = study["distances"].iloc[-1]
    rates = row["reading"].rpartition(", ")[2].capitalize()
    if not row["cells"]:
        return f"{rates}: there is no cell of which both have a loss."
    larger = row["mean_log_ratio"] > 0
    count = row["above"] if larger else row["cells"] - row["above"]
    side = "above" if larger else "below"
    by = percent(row["mean_log_ratio"]).lstrip("+−")
    text = (
        f"{rates}: ours lie {side} the paper's in {count} of {plural(row['cells'], 'cell')}, by "
        f"{by} on average"
    )
    if np.isnan(row["p_value"]):
        return f"{text}; whether that is more than scatter, runs of one seed do not say."
    kind = "a" if row["p_value"] < 1 - CONFIDENCE else "no"
    return (
        f"{text}, and {row['apart']} {'differs' if row['apart'] == 1 else 'differ'} by more than "
        f"{APART} standard errors: {kind} systematic difference (t test over seeds, p = "
        f"{number(row['p_value'], 2)})."
    )


def _against(missing: pd.DataFrame, present: pd.DataFrame) -> list[str]:
    """Say what speaks against early stopping as the reason why the paper leaves out cells.

    A mean at the last epoch needs a run that reaches it.
    """
    against = {
        "runs reached the last epoch where the paper has no mean": missing[
            missing["reached_last_epoch"] > 0
        ],
        "none reached it where the paper has one": present[present["reached_last_epoch"] == 0],
    }
    return [f"{what}, at {names(cells)}" for what, cells in against.items() if len(cells)]


def _patience(study: Study) -> dict[str, Any]:
    """Return which patience of early stopping leaves out the cells that the paper leaves out."""
    patience = study["patience"]
    patience = patience[in_the_papers_grid(patience)]
    if patience["in_paper"].all():
        return {}
    rows, alike = [], []
    for epochs, cells in patience.groupby("patience"):
        mean = cells["reached"] > 0
        there, absent = cells["in_paper"], ~cells["in_paper"]
        alike += [f"{epochs}"] if (mean == there).all() else []
        rows.append(
            (
                epochs,
                f"{(mean & there).sum()} of {there.sum()}",
                f"{(~mean & absent).sum()} of {absent.sum()}",
                names(cells[mean != there]),
            )
        )
    return {"rows": rows, "alike": alike}


def scaling(study: Study, figures: Figures) -> list[str]:
    """Return how far each cell lies from the curve of loss over rate × updates."""
    residuals = study["scaling_residuals"]
    rows = []
    for rate, cells in residuals.groupby("learning_rate"):
        known = cells.dropna(subset="residual")
        far = known.loc[known["residual"].abs().idxmax()] if len(known) else None
        rows.append(
            (
                f"{rate:g}" + ("" if cells["fitted"].all() else " (not fitted)"),
                f"{len(known)} of {len(cells)}",
                percent(known["residual"].mean()) if len(known) else "–",
                percent(root_mean_square(known["residual"])).lstrip("+") if len(known) else "–",
                "–"
                if far is None
                else f"{percent(far['residual'])} at batch size {far['batch_size']:.0f}",
                ", ".join(str(size) for size in known.loc[known["extrapolated"], "batch_size"]),
            )
        )
    conclusion = f"{_broken(residuals)} {carries(study)}".rstrip()
    return [
        rendered("scaling.md", **_curve(study), rows=rows, conclusion=conclusion),
        "",
        *figures.show(study, "loss_against_updates"),
        *figures.show(study, "scaling_residuals"),
    ]


def _curve(study: Study) -> dict[str, Any]:
    """Return what the curve was fitted to, and how well."""
    fit = study["scaling_fit"].set_index("loss").loc[LOSS]
    known = study["scaling_residuals"].dropna(subset="residual")
    spreads = [fit["residual"], fit["within_cells"]]
    return {
        "below": fit["below"] if np.isfinite(fit["below"]) else None,
        "spreads": [number(100 * one, 2) for one in spreads] if np.isfinite(spreads).all() else [],
        "off": [
            (plural(len(cells), "cell"), which, percent(cells.min()), percent(cells.max()))
            for which, cells in (
                ("", known.loc[known["fitted"], "residual"]),
                (" that were not fitted", known.loc[~known["fitted"], "residual"]),
            )
            if len(cells)
        ],
    }


def _broken(residuals: pd.DataFrame) -> str:
    """Name the cells that are far from the curve."""
    broken = residuals[residuals["residual"].abs() > np.log(FAR)]
    if residuals["residual"].isna().all():
        return ""
    if broken.empty:
        return f"No cell is off by more than a factor of {FAR}."
    text = f"Off by more than a factor of {FAR}: {names(broken)}."
    return text if broken["fitted"].any() else f"{text} All have a rate that was not fitted."


def carries(study: Study) -> str:
    """Say how well the rule holds where it was fitted, and whether the curve explains all."""
    fit = study["scaling_fit"].set_index("loss").loc[LOSS]
    fitted = study["scaling_residuals"].query("fitted")["residual"].dropna()
    if np.isnan(fit["p_value"]):
        return ""
    where = f"Below a rate of {fit['below']:g}, the" if np.isfinite(fit["below"]) else "The"
    test = (
        f"(lack-of-fit test, F({fit['lack_of_fit_freedom']:.0f}, {fit['within_freedom']:.0f}) = "
        f"{number(fit['lack_of_fit'], 2)}, p = {number(fit['p_value'], 2)})"
    )
    text = f"{where} product of rate and updates gives the loss of each cell to within "
    text += percent(np.log1p(np.expm1(fitted).abs().max())).lstrip("+")
    if fit["p_value"] < 0.05:
        return (
            f"{text}, but does not decide it alone: the cells lie farther from the curve than the "
            f"scatter of their runs explains {test}."
        )
    return f"{text}, and the scatter of the runs explains what is left {test}."
