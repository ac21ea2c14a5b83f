"""Read the progress of a study from its files, while it runs, here or on a cluster."""

import csv
import json
import math
import os
import re
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from boxest.study import run_table
from boxest.system.files import FileError

# The list of runs, which the study writes before anything else.
LISTING = "study.json"
STATES = ("failed", "interrupted", "silent", "running", "waiting", "done")
# A job that prints nothing for this many of its epochs, and this many seconds, may be dead.
_SILENT_EPOCHS, _SILENT_SECONDS = 20, 300
_EPOCH = re.compile(
    r"epoch +(?P<epoch>\d+)  (?:(?P<runs>\d+) of \d+ runs  )?.*\b(?:train|validation) loss "
    r"(?P<loss>\S+).*  (?P<seconds>[\d.]+) s"
)
_RESUMED = re.compile(r"Resumed after epoch (?P<epoch>\d+)\.")


class RunStatus(NamedTuple):
    """The progress of a run.

    ``state`` is one of `STATES`; ``loss`` is the last validation loss, if there is one (NaN if it
    diverged); ``seconds`` are those of an epoch, if known, or the run's share of them where a job
    trains several at once; ``note`` is the line of the log that says why a run failed, or the last
    one; ``job`` is the name of the log.
    """

    cell: str
    seed: int
    state: str
    epoch: int
    epochs: int
    loss: float | None = None
    seconds: float | None = None
    note: str = ""
    job: str = ""


class Status(NamedTuple):
    """The progress of a study: its results, and a `RunStatus` for each of its runs."""

    results: Path
    runs: list[RunStatus]

    @property
    def counts(self) -> dict[str, int]:
        """The number of runs in each of `STATES`."""
        found = Counter(run.state for run in self.runs)
        return {state: found[state] for state in STATES}

    @property
    def seconds_left(self) -> float | None:
        """Estimated time left, with as many jobs at once as now; None if unknown so far."""
        left = [run for run in self.runs if run.state in ("running", "waiting")]
        known = any(run.seconds is not None for run in self.runs)
        at_once = len({run.job for run in left if run.state == "running"})
        if not left:
            return 0.0
        if not known or not at_once:
            return None
        an_epoch = _seconds_by_cell(self.runs)
        return sum((run.epochs - run.epoch) * an_epoch[run.cell] for run in left) / at_once


def listing(config: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return what `read` needs to know about each run: its log, settings and epochs."""
    logs = run_table.logs(config)
    return [
        {"cell": run.cell, "seed": run.seed, "log": logs[path], "settings": run.settings}
        for path, run in run_table.every(config).items()
    ]


def folder_of(results: Path, run: Mapping[str, Any]) -> Path:
    """Return the folder of a run of the `listing`."""
    return results / "runs" / run["cell"] / f"seed~{run['seed']}"


def read(folder: str | os.PathLike) -> Status:
    """Read the progress of a study.

    Parameters
    ----------
    folder : path-like
        Its results; or a folder with results of several studies, of which the newest is used.

    Returns
    -------
    Status

    Raises
    ------
    FileError
        If the folder does not contain a study.
    """
    results = _results(Path(folder))
    path = results / LISTING
    try:
        listed = json.loads(path.read_text("utf-8"))
        by_log: dict[str, list[dict]] = {}
        for run in listed:
            by_log.setdefault(run["log"], []).append(run)
        found = {
            (run.cell, run.seed): run
            for log, runs in by_log.items()
            for run in _of_job(results, log, runs, path.stat().st_mtime)
        }
        return Status(results, [found[run["cell"], run["seed"]] for run in listed])
    except (ValueError, KeyError, TypeError) as error:
        raise FileError(f"{path} is not a list of runs ({error!r}).", path) from error


def _results(folder: Path) -> Path:
    """Return the folder of results for a folder that a user names."""
    if not folder.is_dir():
        raise FileError(f"{folder} is not a folder: name the results of a study.")
    places = [folder, *folder.glob("*/"), *folder.glob("results/*/")]
    found = [place for place in places if (place / LISTING).is_file()]
    if not found:
        raise FileError(
            f"{folder} does not hold the results of a study, or the study has not started: there "
            f"is no {LISTING}. Name the folder that the configuration names as `results`."
        )
    if found[0] == folder:
        return folder
    return max(found, key=lambda place: (place / LISTING).stat().st_mtime)


def _of_job(results: Path, log: str, runs: list[dict], begun: float) -> Iterator[RunStatus]:
    """Yield the progress of the runs of a job.

    `begun` is the time of the list of runs. An older log is of other settings of the study, whose
    change made the list anew.
    """
    said = _said(results / "logs" / "train" / f"{log}.log", begun)
    for run in runs:
        cell, seed, epochs = run["cell"], run["seed"], run["settings"]["epochs"]
        if done := _finished(folder_of(results, run), run["settings"]):
            yield RunStatus(cell, seed, "done", done["epochs"], done["epochs"], *done["loss"])
        elif said is None:
            yield RunStatus(cell, seed, "waiting", 0, epochs)
        elif said.state in ("failed", "interrupted"):
            epoch = said.epoch if said.about(seed) else 0
            yield RunStatus(cell, seed, said.state, epoch, epochs, note=said.last)
        elif said.about(seed):
            about = (said.state, said.epoch, epochs, said.loss, said.seconds)
            yield RunStatus(cell, seed, *about, job=log)
        else:
            yield RunStatus(cell, seed, "waiting", 0, epochs)


class _Said(NamedTuple):
    """The content of the log of a job."""

    state: str
    seed: int | None
    epoch: int
    loss: float | None
    seconds: float | None
    last: str

    def about(self, seed: int) -> bool:
        """Whether the last epoch belongs to the run with this seed; without a seed, always."""
        return self.seed in (None, seed)


def _said(path: Path, begun: float) -> _Said | None:
    """Read the log of a job; None if it has not started since then."""
    try:
        lines = path.read_text("utf-8", errors="replace").splitlines()
        written = path.stat().st_mtime
    except OSError:
        return None
    if written < begun:
        return None
    age = time.time() - written
    last = next((line for line in reversed(lines) if line.strip()), "")
    start = max((i for i, line in enumerate(lines) if re.fullmatch(r"seed \d+", line)), default=0)
    seed = int(lines[start][5:]) if lines and lines[start].startswith("seed ") else None
    epoch, loss, seconds, share, failure = 0, None, None, None, ""
    for line in reversed(lines[start:]):
        if line.startswith("Error: "):
            failure = line  # Its message may have further lines.
        if match := _EPOCH.fullmatch(line):
            epoch, seconds = int(match["epoch"]), float(match["seconds"])
            loss = None if match["runs"] else _number(match["loss"])
            share = seconds / int(match["runs"] or 1)
            break
        if match := _RESUMED.fullmatch(line):
            epoch = int(match["epoch"])
            break
    if failure:
        state = "failed"
    elif last.startswith("Interrupted by "):
        state = "interrupted"
    elif age > max(_SILENT_SECONDS, _SILENT_EPOCHS * (seconds or 0)):
        state = "silent"
    else:
        state = "running"
    return _Said(state, seed, epoch, loss, share, failure or last)


def _finished(directory: Path, settings: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return epochs, loss and seconds of a finished run with these settings."""
    try:
        found = _of_files(directory, (directory / "run.json").stat().st_mtime_ns)
    except (OSError, ValueError, KeyError, TypeError):
        return None  # The file is missing, or just being written.
    return found if found["settings"] == settings else None


@lru_cache(100_000)
def _of_files(directory: Path, _changed: int) -> dict[str, Any]:
    run = json.loads((directory / "run.json").read_text("utf-8"))
    with open(directory / "history.csv", newline="", encoding="utf-8") as file:
        *_, last = csv.DictReader(file)
    loss = math.nan if run["diverged"] else _number(last["validation_loss"])
    seconds = sum(run["seconds"].values()) / run["epochs"]
    return {"settings": run["settings"], "epochs": run["epochs"], "loss": (loss, seconds)}


def _number(text: str) -> float | None:
    """Return a loss; None if there is none."""
    try:
        return float(text)
    except ValueError:
        return None


def _seconds_by_cell(runs: list[RunStatus]) -> dict[str, float]:
    """Return the seconds of an epoch for each cell: the mean of those known that are most alike.

    Cells are alike that differ in few settings. The learning rate does not count.
    """
    known: dict[str, list[float]] = {run.cell: [] for run in runs}
    for run in runs:
        if run.seconds is not None:
            known[run.cell].append(run.seconds)
    settings = {cell: dict(part.partition("~")[::2] for part in cell.split("/")) for cell in known}

    def differing(one: str, other: str) -> int:
        keys = (settings[one].keys() | settings[other].keys()) - {"learning_rate"}
        return sum(settings[one].get(key) != settings[other].get(key) for key in keys)

    found = {}
    for cell in known:
        by_distance = {}
        for other, seconds in known.items():
            if seconds:
                by_distance.setdefault(differing(cell, other), []).extend(seconds)
        nearest = by_distance[min(by_distance)]
        found[cell] = sum(nearest) / len(nearest)
    return found
