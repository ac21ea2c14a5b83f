"""The numbers in captions and pages, and what a study was computed with."""

import contextlib
import json
import platform
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from boxest.analysis import knee, knee_interval
from boxest.analysis.ranking import BOXES, first_condition
from boxest.analysis.text import of_each
from boxest.report.findings.study import Study
from boxest.report.findings.timing import sources
from boxest.study.status import LISTING, folder_of
from boxest.system import runtime

VERSIONS = {
    "commit": "{boxest_commit}",
    "boxest": "{boxest_version}",
    "python": "{python_version}",
    "keras": "{keras_version}",
    "backend": "{backend} {backend_version}",
}


def numbers(study: Study) -> dict[str, float | int | str | None]:
    """Return single numbers of a study by name; None for what does not exist."""
    cells, best = study["fig8"], study["best"]
    kept = best[~best["diverged"]] if not best["diverged"].all() else best
    values = {
        "runs": cells["runs"].sum(),
        "cells": len(cells),
        "conditions": cells["condition"].nunique() if "condition" in cells else 1,
        "seeds": cells["runs"].max(),
        "seeds_of_cells": of_each(cells["runs"], "seed"),
        "stopped_early": cells["stopped_early"].sum(),
        "diverged": cells["diverged"].sum(),
        "similitude_smallest": cells["similitude"].min(),
        "similitude_largest": cells["similitude"].max(),
        # Fig. 5 to 7 show the first run that did not diverge.
        "shown_seed": kept["seed"].iloc[0],
        "shown": study.in_full(kept.iloc[0]),
        "best_seeds": _of_seeds(best["diverged"]),
        "longest": study["runs"]["epochs"].max(),
    }
    for name in ("test_inclusive_iou_loss", "test_iou_loss"):
        values |= {name: kept[name].mean(), f"{name}_sd": kept[name].std(ddof=1)}
    parts = {
        "ranking": _ranking, "distances": _distances, "scaling_fit": _scaling,
        "claims": _verdicts, "time": _times, "cost": _costs,
    }  # fmt: skip
    for table, part in parts.items():
        if table in study:
            values |= part(study)
    return {name: _plain(value) for name, value in values.items()}


def _of_seeds(diverged: pd.Series) -> str:
    """Say which seeds a mean includes: it leaves out those that diverged."""
    count, kept = len(diverged), int((~diverged).sum())
    if kept in (0, count):
        return f"all seeds ({count})"
    return f"the seeds that did not diverge ({kept} of {count})"


def _ranking(study: Study) -> dict[str, Any]:
    """Return what the best cell reached, and the number of cells."""
    ranking = first_condition(study["ranking"])
    best = ranking.iloc[0]
    named = ["test_iou_loss", "test_inclusive_iou_loss", "test_iou_loss_below_8px"]
    return {
        **{name: int(best[name]) for name in BOXES},
        **{f"best_{name}": best[name] for name in named},
        "best": study.in_full(best),
        "epochs": ranking["planned_epochs"].max(),
    }


def _distances(study: Study) -> dict[str, float]:
    """Return how far our cells are from the paper's."""
    whole = study["distances"].iloc[0]
    return {
        "compared": whole["cells"],
        "distance_train": whole["train"],
        "distance_validation": whole["validation"],
    }


def _scaling(study: Study) -> dict[str, float]:
    """Return how far the cells lie from the curve over rate × updates, in %."""
    if study.others:
        return {}  # There is a curve for each combination of their values.
    fit = study["scaling_fit"].set_index("loss").loc["validation_inclusive_iou_loss"]
    residuals = study["scaling_residuals"]
    off, fitted = 100 * np.expm1(residuals["residual"]).round(6), residuals["fitted"]
    return {
        "scaling_below": fit["below"],
        "scaling_residual": 100 * fit["residual"],
        "scaling_within_cells": 100 * fit["within_cells"],
        "scaling_lowest": off[fitted].min(),
        "scaling_highest": off[fitted].max(),
        "scaling_beyond_lowest": off[~fitted].min(),
        "scaling_beyond_highest": off[~fitted].max(),
    }


def _verdicts(study: Study) -> dict[str, float]:
    """Count the verdicts of each kind, and say how much harder thin objects are than large ones."""
    values = {}
    for name, suffix in (("claims", ""), ("claims_geometric", "_geometric")):
        claims = study[name]
        main = claims.loc[claims["main"], "verdict"]
        for verdict in ("holds", "does not hold", "undecided"):
            values[f"{verdict.replace(' ', '_')}{suffix}"] = (main == verdict).sum()
        thin = claims[(claims["claim"] == 9) & (claims["part"] == "one small side")]
        if len(thin):  # Without the paper's best parametrization there is no claim 9.
            values[f"thin_over_large{suffix}"] = thin["value"].mean()
    return values


def _times(study: Study) -> dict[str, float | str]:
    """Return what was timed, where the knee is, and how many cells no other beats."""
    time, fit = study["time"], study["time_fit"]
    values = {
        "time_epochs": time["planned_epochs"].iloc[0],
        "time_seeds": of_each(time["runs"], "seed"),
    }
    if study.others:
        return values  # There is a fit for each combination of their values.
    mean = time.groupby("batch_size")["seconds_per_epoch"].mean()
    low, high = knee_interval(fit)
    return values | {
        "time_smallest_over_largest": mean.iloc[0] / mean.iloc[-1],
        "time_misfit": 100 * fit["relative_residual"].iloc[0],
        "knee": knee(fit),
        "knee_low": low,
        "knee_high": high,
    }


def _costs(study: Study) -> dict[str, float | str]:
    """Return how many cells no other beats."""
    cost = study["cost"]
    return {
        "times": sources(study),
        "engines": cost["engine"].nunique(),
        "on_front": cost["pareto_validation_inclusive_iou_loss"].sum(),
        "on_front_geometric": cost["pareto_validation_iou_loss"].sum(),
    }


def provenance(root: Path) -> dict[str, Any]:
    """Say how many runs a study has, what they were computed with, and how long its jobs took.

    Parameters
    ----------
    root : Path
        Directory of results, with the runs and Snakemake's measurements.

    Returns
    -------
    dict
        ``runs``; ``seconds`` of all jobs, one behind the other, and ``wall_seconds`` from the start
        of the first training to the end of the last; ``versions``, each with all values that occur
        in the runs; ``gpus`` that they were trained on; ``remarks``, sentences that somebody may
        add by hand, none at first.
    """
    runs = [json.loads(path.read_text("utf-8")) for path in _of_runs(root)]
    jobs = {path: _seconds(path) for path in sorted(root.glob("benchmarks/**/*.tsv"))}
    # A measurement is written when its job ends.
    trainings = {path: path.stat().st_mtime for path in root.glob("benchmarks/train*/**/*.tsv")}
    ends = trainings.values()
    starts = [end - jobs[path] for path, end in trainings.items()]
    return {
        "runs": len(runs),
        "seconds": round(sum(jobs.values())),
        "wall_seconds": round(max(ends) - min(starts)) if trainings else None,
        "remarks": [],
        "versions": {
            name: sorted({form.format(**run["runtime"]) for run in runs})
            for name, form in VERSIONS.items()
        },
        "gpus": sorted({run["runtime"]["device"] for run in runs} - {"cpu"}),
    }


def _of_runs(root: Path) -> list[Path]:
    """Return the files of the runs that a study lists; others are of an earlier configuration."""
    listing = root / LISTING
    if not listing.exists():
        return sorted((root / "runs").glob("**/run.json"))
    listed = json.loads(listing.read_text("utf-8"))
    return [folder_of(root, run) / "run.json" for run in listed]


def machine() -> dict[str, str | int]:
    """Describe this machine in plain words: cores, model of the processor, system."""
    model = platform.processor() or platform.machine()
    with contextlib.suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
        models = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
        model = models[0] if models else model
    cores = runtime.usable_processors()
    return {"cores": cores, "processor": model, "system": platform.system()}


def _seconds(measured: Path) -> float:
    """Return the seconds of a job by Snakemake's measurement."""
    return float(pd.read_csv(measured, sep="\t")["s"].sum())


def _plain(value: Any) -> float | int | str | None:
    """Return a number that JSON knows, or text."""
    if isinstance(value, str):
        return value
    if isinstance(value, (int, np.integer)):
        return int(value)
    return float(value) if np.isfinite(value) else None
