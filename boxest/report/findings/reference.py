"""The committed outcome of a study: tables, figures and how they were made."""

import json
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from boxest.report.findings.jinja import rendered
from boxest.report.findings.page import page
from boxest.report.findings.study import Study, with_others
from boxest.report.findings.summary import machine, provenance
from boxest.system import versions
from boxest.system.files import write_json, write_text

# What is kept of a study: no images, no networks, no runs. Of the main one, also the boxes of the
# images that its explorer shows.
KEPT = ("tables/*.csv", "figures/*.png", "captions/*.rst", "summary.json")
FOLLOWED = Path("followed.npz")


def publish(study: Study, target: Path, findings: Path, commands: list[str]) -> None:
    """Copy the outcome of a study, and of those that its findings use, and write its page.

    A study that is already in `target`, made earlier or on another machine, stays as it is, with
    the text on how it was made. Remarks, which are added by hand, stay as long as the versions of
    the runs stay the same.

    Parameters
    ----------
    study : Study
        Finished, with its summary.
    target : Path
        Directory of the committed results; everything there that belongs to no study is removed.
    findings : Path
        The page of findings.
    commands : list of str
        The commands that make all of it, in order, for the text.
    """
    earlier = target / "provenance.json"
    earlier = json.loads(earlier.read_text("utf-8"))["studies"] if earlier.exists() else {}
    studies = {}
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as directory:
        made = Path(directory) / target.name
        for one in _all(study):
            name = one.root.name
            if one.root.resolve().parent == target.resolve():
                shutil.copytree(one.root, made / name)
                studies[name] = earlier[name]
                continue
            _copy(one, made / name)
            made_by = {"machine": machine(), "tables": versions.commit()}
            studies[name] = provenance(one.root) | made_by
            if studies[name]["versions"] == earlier.get(name, {}).get("versions"):
                studies[name]["remarks"] = earlier[name]["remarks"]
        if not (made / study.root.name / FOLLOWED).exists():
            _copy_followed(study, made / study.root.name / FOLLOWED)
        shutil.rmtree(target, ignore_errors=True)
        shutil.move(made, target)
    made = {"studies": studies, "commands": commands}
    write_json(target / "provenance.json", made)
    write_text(target / "README.md", readme(made))
    committed = with_others(target / study.root.name, beside=True)
    write_text(findings, page(committed, findings.parent))


def readme(made: Mapping[str, Any]) -> str:
    """Say in words how the committed results were made."""
    rows = []
    for name, one in made["studies"].items():
        on = "{cores} cores, {processor}, {system}".format(**one["machine"])
        on = ", ".join([on, *one.get("gpus", [])])
        made_by = ", ".join(
            f"{what} {'/'.join(values)}".removeprefix("backend ")
            for what, values in one["versions"].items()
        )
        hours = [_hours(one[which]) for which in ("wall_seconds", "seconds")]
        row = " | ".join([name, str(one["runs"]), *hours, on, made_by, one["tables"]])
        rows.append(re.sub(r"\b([0-9a-f]{7})[0-9a-f]{33}\b", r"\1", row))
    remarks = [(name, text) for name, one in made["studies"].items() for text in one["remarks"]]
    return rendered("reference.md", commands=made["commands"], rows=rows, remarks=remarks)


def _copy(study: Study, target: Path) -> None:
    """Copy what is kept of a study, without files of an earlier configuration."""
    for pattern in KEPT:
        for source in sorted(study.root.glob(pattern)):
            kind = source.parent.name
            if kind in ("tables", "figures") and source.stem not in study.summary[kind]:
                continue
            copy = target / source.relative_to(study.root)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, copy)


def _copy_followed(study: Study, target: Path) -> None:
    """Write the boxes of all runs into one file: a row per row of the table of histories.

    Coordinates are rounded to 16 bits, less than a tenth of a pixel. Runs that were trained
    together have none.
    """
    files = [Path(run) / FOLLOWED.with_suffix(".npy") for run in study["runs"].get("run", [])]
    followed = [np.load(file) for file in files if file.exists()]
    if followed and all(map(np.size, followed)):
        np.savez_compressed(target, boxes=np.concatenate(followed).astype(np.float16))


def _hours(seconds: float | None) -> str:
    return "–" if seconds is None else f"{seconds / 3600:.2f} h"


def _all(study: Study) -> Iterator[Study]:
    yield from (study, *study.times, *study.studies)
