"""The page of findings: Markdown from tables, every number computed."""

import os
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from boxest.analysis import text
from boxest.analysis.claims import LEAST_REPETITIONS
from boxest.analysis.columns import CELL
from boxest.analysis.errors import PAPER_TEST_LOSS
from boxest.analysis.ranking import VALIDATED, first_condition
from boxest.figures.style import setting
from boxest.report.findings import grid, ranking, rates, timing, variants, verdicts
from boxest.report.findings.figures import Figures
from boxest.report.findings.jinja import rendered
from boxest.report.findings.study import Study
from boxest.study import outputs, run_table
from boxest.study.data import words


def page(study: Study, directory: str | os.PathLike) -> str:
    """Return the findings of a study as Markdown.

    Parameters
    ----------
    study : Study
        With its summary.
    directory : path-like
        Where the page will lie; its figures are linked from there.

    Returns
    -------
    str
        The same text for the same tables.
    """
    figures = Figures(directory)
    lines = [rendered("study.md", **_summary(study))]
    if "claims" in study:
        lines += verdicts.section(study, figures)
    if "comparison" in study:
        lines += grid.comparison(study, figures)
    lines += variants.section(study, figures)
    if "scaling_fit" in study and not study.others:
        lines += grid.scaling(study, figures)
    if "time_fit" in study and not study.others:
        lines += timing.time(study, figures)
    lines += timing.cost(study, figures)
    lines += rates.section(study, figures)
    lines += [rendered("best.md", **_best(study))]
    lines += ranking.sections(study, figures)
    lines += _rest(study, figures)
    return "\n".join(lines).rstrip() + "\n"


def opening(study: Study) -> str:
    """Return the lines that a busy reader can stop after, in Markdown and in rst alike."""
    return rendered("opening.md", **_summary(study)) + "\n"


def _summary(study: Study) -> dict[str, Any]:
    """Return what the first lines of the page say."""
    config, cells = study.summary["config"], first_condition(study["ranking"])
    best, loss = cells.iloc[0], VALIDATED[0]
    spread = best[f"{loss}_sd"]
    near = cells[1:][cells[loss][1:] <= best[loss] + 2 * spread] if np.isfinite(spread) else []
    cost = first_condition(study["cost"])
    front = cost[cost[f"pareto_{loss}"] & (cost["engine"] == study["runs"]["engine"].iloc[0])]
    return {
        "config": config,
        "n": study.summary["numbers"],
        "axes": {
            name: ", ".join(str(value) for value in study["runs"][name].unique())
            for name in (*CELL, *study.others)
        },
        "settings": outputs.shared_settings(config),
        "differences": study.summary["differences"],
        "left_out": study.summary["left_out"],
        "under": " under the first condition" if len(cells) < len(study["ranking"]) else "",
        "best": best,
        "best_words": named(best, study),
        "near": [named(row, study) for _, row in near.iterrows()] if len(near) else [],
        "front": [
            (named(row, study), row["seconds"], row[loss])
            for _, row in front.sort_values("seconds").iterrows()
        ],
        "baselines": study["baselines"].to_dict("records"),
        "lowest": study["baselines"]["test_iou_loss"].min(),
        "data": words(outputs.common(config)[0]),
        "drawn": config["data"]["source"] == "synthetic",
        "few": LEAST_REPETITIONS,
        "loss": loss,
    }


def named(cell: pd.Series, study: Study) -> str:
    """Name a cell by what differs between the cells of its study."""
    names = [*CELL, *study.others]
    varied = [name for name in names if study["ranking"][name].nunique() > 1]
    return ", ".join(setting(name, cell[name]) for name in varied or CELL)


def _best(study: Study) -> dict[str, Any]:
    """Return the losses of the best parametrization, by both measures."""
    best = study["best"]
    kept = best[~best["diverged"]]
    # A rate that is found, "auto", is no number.
    rates = pd.to_numeric(kept["learning_rate"], errors="coerce")
    rows = [
        (
            name,
            *(
                text.loss(kept[f"{part}_{loss}"].mean(), kept[f"{part}_{loss}"].std(ddof=1))
                for loss in ("inclusive_iou_loss", "iou_loss")
            ),
        )
        for name, part in (("validation set", "validation"), ("test set", "test"))
    ]
    return {
        "words": ", ".join([study.in_full(best.iloc[0]), *_own_settings(study.summary["config"])]),
        "papers": not study.summary["differences"] or "claims" in study,
        "paper_test_loss": PAPER_TEST_LOSS,
        "best": best,
        "kept": kept,
        "rows": rows,
        "baselines": [
            (row.prediction, *(text.number(row[name]) for name in _LOSSES))
            for _, row in study["baselines"].iterrows()
        ],
        "inclusive": kept["test_inclusive_iou_loss"].mean(),
        "geometric": kept["test_iou_loss"].mean(),
        "lowered": kept["last_learning_rate"].lt(rates).any(),
    }


def _own_settings(config: Mapping[str, Any]) -> list[str]:
    """Return the settings of the best parametrization that all runs of the grid share otherwise."""
    shared = outputs.shared_settings(config)
    return [
        f"{name} {value}"
        for cell in run_table.best_cells(config)
        for name, value in outputs.in_words(cell).items()
        if name in shared and shared[name] != value
    ]


_LOSSES = ("test_inclusive_iou_loss", "test_iou_loss")


def _rest(study: Study, figures: Figures) -> list[str]:
    """Show the figures that no section has shown."""
    lines = [
        line
        for name in study.summary.get("figures", ())
        if study.root / "figures" / f"{name}.png" not in figures.shown
        for line in figures.show(study, name)
    ]
    return ["## Further figures", "", *lines] if lines else []
