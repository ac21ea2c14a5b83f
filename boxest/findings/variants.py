"""What the paper leaves open, tried out."""

import numpy as np
import pandas as pd

from boxest.findings.images import Figures
from boxest.findings.study import Study
from boxest.findings.text import number, table
from boxest.plan import VARIANT

# A variant meets a cell within this factor.
MEETS = 1.25
SHOWN = 8


def section(study: Study, figures: Figures) -> list[str]:
    """Return what the studies of variants came to; nothing without any."""
    if not study.forensics:
        return []
    lines = [
        "## What the paper leaves open",
        "",
        "The paper does not give output activation, loss, optimizer and schedule. Variants of them "
        "were trained and ranked by the root mean square of ln(ours / Fig. 8) over the cells that "
        "were tried, where ours is the validation loss that was trained: what the paper would have "
        "printed, had it trained so. A cell in which all runs diverged counts with a loss of 1.",
        "",
    ]
    for one in study.forensics:
        lines += _stage(one, figures)
    return lines


def _stage(study: Study, figures: Figures) -> list[str]:
    ranking, cells = study["variants"], study["variant_cells"]
    seeds = int(cells["runs"].max())
    tried = sorted(set(zip(cells["batch_size"], cells["learning_rate"], strict=True)))
    names = ", ".join(f"({size}, {rate:g})" for size, rate in tried)
    nearest = ranking.iloc[0]
    lines = [
        f"### {len(ranking)} variants, {len(tried)} cells, {seeds} seed{'s' if seeds > 1 else ''}",
        "",
        f"Cells (batch size, rate): {names}. The nearest:",
        "",
        *table(
            ["rank", *(name.replace("_", " ") for name in VARIANT), "distance", "farthest cell"],
            [_row(row) for _, row in ranking.head(SHOWN).iterrows()],
            left=5,
        ),
        _conclusion(nearest, cells),
        "",
        "The smallest and the median distance of the variants with each setting:",
        "",
        *table(["setting", "", "nearest", "median"], _settings(ranking), left=2),
    ]
    return lines + figures.show(study, "variants")


def _row(row: pd.Series) -> tuple:
    settings = (row[name] for name in VARIANT)
    return (row["rank"], *settings, number(row["distance"]), _factor(row["largest"]))


def _factor(log_ratio: float) -> str:
    return f"× {number(np.exp(log_ratio))}"


def _conclusion(nearest: pd.Series, cells: pd.DataFrame) -> str:
    """Say whether one variant meets all cells that were tried."""
    mine = cells[np.logical_and.reduce([cells[name] == nearest[name] for name in VARIANT])]
    off = mine[mine["log_ratio"].abs() > np.log(MEETS)]
    if off.empty:
        return f"The nearest variant meets every one of these cells within a factor of {MEETS}."
    which = ", ".join(
        f"({row.batch_size}, {row.learning_rate:g}): {_factor(row.log_ratio)}"
        for row in off.itertuples()
    )
    return (
        f"No variant meets every cell within a factor of {MEETS}: the nearest is off at {which}."
        if not _meets_all(cells)
        else f"The nearest variant is off at {which}; another one meets every cell within "
        f"a factor of {MEETS}."
    )


def _meets_all(cells: pd.DataFrame) -> bool:
    shared = cells.dropna(subset="paper_validation_loss")
    return bool((shared.groupby(list(VARIANT))["log_ratio"].agg(_farthest) <= np.log(MEETS)).any())


def _farthest(log_ratios: pd.Series) -> float:
    return log_ratios.abs().max()


def _settings(ranking: pd.DataFrame) -> list[tuple]:
    rows = []
    for name in VARIANT:
        heading = name.replace("_", " ")
        for value, group in ranking.groupby(name, sort=False):
            distance = group["distance"]
            rows.append((heading, value, number(distance.min()), number(distance.median())))
            heading = ""
    return rows
