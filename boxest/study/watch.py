"""Show the progress of a study in a terminal, as a table that is updated."""

import os
import sys
import time
from collections.abc import Callable, Iterable
from datetime import timedelta

from rich import box
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from boxest.study.status import STATES, RunStatus, Status, read

_STYLES = {"failed": "bold red", "interrupted": "red", "silent": "yellow", "running": "green"}
# Number of runs of a cell that are shown in one line.
_SHOWN = 3
_WIDE = 200


def watch(
    folder: str | os.PathLike,
    *,
    once: bool = False,
    seconds: float = 2.0,
    console: Console | None = None,
    sleep: Callable[[float], None] = time.sleep,
) -> Status:
    """Show the progress of a study until all its trainings have ended.

    Parameters
    ----------
    folder : path-like
        See `boxest.study.status.read`.
    once : bool, default=False
        Print the table once.
    seconds : float, default=2.0
        Time between two updates.
    console : rich.console.Console, optional
        Output; by default the standard output.
    sleep : callable, optional
        Waits for this number of seconds.

    Returns
    -------
    Status
        The last status.
    """
    if console is None:
        # For scripts, print one line per cell.
        console = Console(width=None if sys.stdout.isatty() else _WIDE)
    status = read(folder)
    if once or not console.is_terminal:
        console.print(shown(status))
        return status
    with Live(shown(status), console=console, auto_refresh=False) as live:
        while status.counts["running"] or status.counts["waiting"]:
            sleep(seconds)
            status = read(folder)
            live.update(shown(status), refresh=True)
    return status


def shown(status: Status) -> Group:
    """Return the display of a study: counts, one row per cell, and failures.

    Active cells come first.
    """
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("cell", overflow="fold")
    for name in ("done", "waiting"):
        table.add_column(name, justify="right")
    table.add_column("loss", justify="right")
    table.add_column("now")
    cells: dict[str, list[RunStatus]] = {}
    for run in status.runs:
        # Those of `best` may be further seeds of a cell of the grid.
        cells.setdefault(run.cell, []).append(run)
    order = {state: i for i, state in enumerate(STATES)}
    for runs in sorted(cells.values(), key=lambda runs: min(order[run.state] for run in runs)):
        states = [run.state for run in runs]
        table.add_row(
            runs[0].cell.replace("~", " ").replace("/", ", "),
            f"{states.count('done')}/{len(runs)}",
            str(states.count("waiting") or ""),
            _loss(runs),
            _now(runs),
        )
    notes = {run.note for run in status.runs if run.state == "failed"}
    failures = [Text(f"failed: {note}", style="red") for note in sorted(notes)]
    # Above the table, whose end a terminal may be too low for.
    return Group(Text(_summary(status), style="bold"), *failures, table)


def _summary(status: Status) -> str:
    """Return one line with the counts and the time left."""
    counts = ", ".join(f"{n} {state}" for state, n in reversed(status.counts.items()) if n)
    left = status.seconds_left
    if left is None:
        told = "; time left: not known yet"
    else:
        told = f"; about {timedelta(seconds=round(left))} left" if left else ""
    return f"{status.results}: {len(status.runs)} runs: {counts}{told}"


def _loss(runs: Iterable[RunStatus]) -> str:
    """Return the mean loss of the finished runs of a cell."""
    losses = [run.loss for run in runs if run.state == "done" and run.loss is not None]
    diverged = sum(loss != loss for loss in losses)
    losses = [loss for loss in losses if loss == loss]
    parts = [f"{sum(losses) / len(losses):.4f}"] if losses else []
    return ", ".join(parts + [f"{diverged} diverged"] * bool(diverged))


def _now(runs: Iterable[RunStatus]) -> Text:
    """Describe the current activity in a cell."""
    busy = [run for run in runs if run.state in _STYLES]
    text = Text()
    for run in busy[:_SHOWN]:
        loss = "" if run.loss is None else f", loss {run.loss:.4f}"
        told = f"seed {run.seed} {run.state}, epoch {run.epoch}/{run.epochs}{loss}"
        text.append(f"{'; ' if text else ''}{told}", style=_STYLES[run.state])
    return text.append(f"; {len(busy) - _SHOWN} more" if len(busy) > _SHOWN else "")
