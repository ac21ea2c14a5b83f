"""The committed outcome of a study: tables, figures and how they were made."""

import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from boxest.report.findings.page import page
from boxest.report.findings.study import Study, with_others
from boxest.report.findings.summary import machine, provenance
from boxest.system import versions
from boxest.system.files import write_json, write_text

# What is kept of a study: no images, no networks, no runs.
KEPT = ("tables/*.csv", "figures/*.png", "captions/*.rst", "summary.json")


def publish(study: Study, target: Path, findings: Path, commands: list[str]) -> None:
    """Copy the outcome of a study, and of those that its findings take from, and write its page.

    Parameters
    ----------
    study : Study
        Finished, with its summary.
    target : Path
        Directory of the committed results; what is there is replaced.
    findings : Path
        The page of findings.
    commands : list of str
        What makes all of it, in order, for the text.
    """
    commit = versions.commit()
    if target.exists():
        shutil.rmtree(target)
    studies = {}
    for one in _all(study):
        studies[one.root.name] = provenance(one.root)
        for pattern in KEPT:
            for source in sorted(one.root.glob(pattern)):
                kind = source.parent.name
                if kind in ("tables", "figures") and source.stem not in one.summary[kind]:
                    continue  # Of an earlier configuration.
                copy = target / one.root.name / source.relative_to(one.root)
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(source, copy)
    made = {"studies": studies, "machine": machine(), "commit": commit, "commands": commands}
    write_json(target / "provenance.json", made)
    write_text(target / "README.md", readme(made))
    committed = with_others(target / study.root.name, beside=True)
    write_text(findings, page(committed, findings.parent))


def readme(made: Mapping[str, Any]) -> str:
    """Say in words how the committed results were made."""
    machine_ = made["machine"]
    lines = [
        "# Reference results",
        "",
        "The outcome of the paper's study, as this repository computed it: `tables/`, `figures/` "
        "and the captions of the report, by study. [docs/findings.md](../../docs/findings.md) says "
        "what it means. Made by",
        "",
        "```sh",
        *made["commands"],
        "```",
        "",
        f"on {machine_['cores']} cores of a machine with the processor {machine_['processor']} "
        f"({machine_['system']}). Tables and figures were made by commit {made['commit']}, the "
        "runs by the commits in the table. The times of the studies named timing were measured "
        "while the machine did nothing else; those of the others were not, and are no measure of "
        "anything.",
        "",
        "| study | runs | first training to last | all jobs, one behind the other | made by |",
        "| --- | ---: | ---: | ---: | --- |",
    ]
    for name, one in made["studies"].items():
        made_by = ", ".join(
            "/".join(values) if what == "backend" else f"{what} {'/'.join(values)}"
            for what, values in one["versions"].items()
        )
        hours = " | ".join(_hours(one[which]) for which in ("wall_seconds", "seconds"))
        lines.append(f"| {name} | {one['runs']} | {hours} | {made_by} |")
    remarks = [(name, text) for name, one in made["studies"].items() for text in one["remarks"]]
    if remarks:
        lines += ["", *(f"- {name}: {text}" for name, text in remarks)]
    return "\n".join(lines) + "\n"


def _hours(seconds: float | None) -> str:
    return "–" if seconds is None else f"{seconds / 3600:.2f} h"


def _all(study: Study) -> Iterator[Study]:
    yield from (study, *study.times, *study.studies)
