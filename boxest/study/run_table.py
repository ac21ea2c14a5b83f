"""The table of runs: the parameters of each run of a study, and the paths of its files.

A *cell* is a set of parameters of `BoxRegressor` and, if the axis `condition` says so, other data;
a *run* is a cell with a seed. The path of a run names batch size and learning rate, and everything
that differs from the settings that all runs share. So existing runs keep their paths if you add an
axis whose values include the old one.
"""

import itertools
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from boxest.system.files import short_name

# The axes of the paper, in every path.
CELL = ("batch_size", "learning_rate")
# Settings that may be a user's function, "file.py:function".
OWN = ("network", "loss", "optimizer")
# Runs that only differ in these can be trained in one program.
STACKED = ("learning_rate", "epochs", "stop_patience", "plateau_patience", "plateau_factor")
STACKED += ("plateau_min_delta", "restore_best_weights", "schedule", "warmup_epochs")


@dataclass(frozen=True)
class Run:
    """A training.

    Attributes
    ----------
    cell : str
        The path of its cell.
    seed : int
        Its ``random_state``.
    parameters : mapping
        The other parameters of `BoxRegressor`.
    condition : str or None
        The condition of the data; None means the section ``data`` unchanged.
    """

    cell: str
    seed: int
    parameters: Mapping[str, Any]
    condition: str | None = None

    @property
    def path(self) -> str:
        """The path of its files, in ``runs`` of the results."""
        return f"{self.cell}/seed~{self.seed}"

    @property
    def state(self) -> str:
        """The name of its saved state, for resuming after an interruption."""
        return short_name(self.path.replace("/", ","))

    @property
    def files(self) -> list[str]:
        """The user's files that contain its functions."""
        found = (own_file(self.parameters.get(name)) for name in OWN)
        return sorted({file for file in found if file})

    @property
    def settings(self) -> dict[str, Any]:
        """Everything that distinguishes its cell from others, by axis."""
        return {**self.parameters, "condition": self.condition}


def own_file(value: Any) -> str | None:
    """Return the file of "file.py:function"; None for one of boxest's names.

    Examples
    --------
    >>> own_file("nets/mine.py:small"), own_file("paper")
    ('nets/mine.py', None)
    """
    file, colon, _ = value.partition(".py:") if isinstance(value, str) else ("", "", "")
    return f"{file}.py" if colon else None


class Job(NamedTuple):
    """The runs that one Snakemake job trains.

    Attributes
    ----------
    name : str
        Name of its rule.
    runs : list of str
        The paths of its runs, which may hold the wildcards ``cell`` and ``seed``.
    log : str
        Path of its log, with the same wildcards.
    logs : dict of str
        The path of the log of each of its runs, by the path of the run, without wildcards.
    cells : str
        Regular expression of the wildcard ``cell``.
    together : bool
        Whether all are trained at once, in one program.
    """

    name: str
    runs: list[str]
    log: str
    logs: dict[str, str]
    cells: str = ".+"
    together: bool = False


def cells(config: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the cells of ``grid`` and ``runs``, with all settings.

    Raises
    ------
    ValueError
        If two axes set the same parameter.
    """
    axes = {name: values for name, values in config["grid"].items() if name != "seeds"}
    if axes or not config["runs"]:
        for values in itertools.product(*axes.values()):
            row: dict[str, Any] = {}
            for axis, value in zip(axes, values, strict=True):
                several = isinstance(value, Mapping) and axis not in config["settings"]
                part = value if several else {axis: value}
                if twice := sorted(row.keys() & part.keys()):
                    raise ValueError(
                        f"config: grid.{axis} sets {twice[0]}, and so does another axis. Leave "
                        f"that one out: {twice[0]}: null."
                    )
                row |= part
            yield config["settings"] | row
    for row in config["runs"]:
        yield config["settings"] | row


def path_of(cell: Mapping[str, Any], config: Mapping[str, Any]) -> str:
    """Return the path of a cell: batch size, rate, and what differs from the settings."""
    settings = config["settings"]
    names = [*CELL, *(name for name in settings if name not in CELL), "condition"]
    shown = [name for name in names if name in CELL or cell.get(name) != settings.get(name)]
    return "/".join(f"{name}~{text(cell[name])}" for name in shown)


def text(value: Any) -> str:
    """Format a value as part of a path.

    Examples
    --------
    >>> text(0.1), text(None), text({"name": "sgd", "momentum": 0.5}), text("nets/my.py:small")
    ('0.1', 'None', 'name=sgd,momentum=0.5', 'nets_my.py_small')
    """
    if isinstance(value, Mapping):
        value = ",".join(f"{name}={one}" for name, one in value.items())
    return re.sub(r"[^A-Za-z0-9._+=,-]+", "_", str(value))


def written(name: str, value: Any) -> Any:
    """Return a setting in the form of tables; a patience of null never ends.

    Examples
    --------
    >>> written("stop_patience", None), written("augmentation", None)
    ('never', 'none')
    >>> written("optimizer", {"name": "sgd", "momentum": 0.5}), written("learning_rate", 0.1)
    ('name=sgd,momentum=0.5', 0.1)
    """
    if value is None:
        return "none" if name == "augmentation" else "never"
    return text(value) if isinstance(value, Mapping) else value


def runs(config: Mapping[str, Any]) -> list[Run]:
    """Return the runs of ``grid`` and ``runs``: every cell with its seeds."""
    return [run for cell in cells(config) for run in _runs(cell, config)]


def best_cells(config: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the cell of ``best``, with all settings; none if the study does not name it."""
    return [config["settings"] | config["best"]] if config["best"] else []


def best(config: Mapping[str, Any]) -> list[Run]:
    """Return the runs of ``best``."""
    return [run for cell in best_cells(config) for run in _runs(cell, config)]


def shown(config: Mapping[str, Any]) -> Run:
    """Return the run whose data and network Fig. 1 and 2 show, the first of the best or of all."""
    return (best(config) or _runs(next(cells(config)), config))[0]


def every(config: Mapping[str, Any]) -> dict[str, Run]:
    """Return all runs of a study by path, including those of the best parametrization."""
    return {run.path: run for run in [*runs(config), *best(config)]}


def _runs(cell: Mapping[str, Any], config: Mapping[str, Any]) -> list[Run]:
    path = path_of(cell, config)
    parameters = {name: value for name, value in cell.items() if name not in ("seeds", "condition")}
    seeds = cell.get("seeds", config["grid"]["seeds"])
    return [Run(path, seed, parameters, cell.get("condition")) for seed in range(seeds)]


def axes(config: Mapping[str, Any]) -> dict[str, list]:
    """Return the settings that differ between the cells of ``grid`` and ``runs``, with values.

    The order is that of the grid. A setting that follows from earlier axes is not an axis; a
    condition is, because losses on other data are not to be ranked together. Condition, batch size
    and rate come last unless they are axes of the grid: a rate that belongs to a network follows
    from it, in whatever order the two are written.
    """
    named = [
        name for axis, values in config["grid"].items() for name in _names(axis, values, config)
    ]
    names = dict.fromkeys([*named, *config["settings"], "condition"])
    behind = {*CELL, "condition"} - config["grid"].keys()
    names = dict.fromkeys(sorted(names, key=behind.__contains__))
    every_cell = list(cells(config))
    found: dict[str, list] = {}
    kinds = 1
    for name in names:
        values = list({text(cell.get(name)): cell.get(name) for cell in every_cell}.values())
        if name == "seeds" or len(values) == 1:
            continue
        told_apart = {tuple(text(cell.get(one)) for one in (*found, name)) for cell in every_cell}
        if len(told_apart) > kinds or name == "condition":
            found[name], kinds = values, len(told_apart)
    return found


def _names(axis: str, values: Any, config: Mapping[str, Any]) -> list[str]:
    """Return the parameters that an axis sets."""
    several = values if isinstance(values, list) and axis not in config["settings"] else []
    compound = [one for one in several if isinstance(one, Mapping)]
    return list(dict.fromkeys(name for one in compound for name in one)) or [axis]


def jobs(config: Mapping[str, Any]) -> list[Job]:
    """Divide the runs of a study, including the best parametrization, among jobs."""
    execution, found = config["execution"], every(config)
    if execution["fan_out"] == "batch_size":
        return _stacks(found.values())
    if execution["runs_per_job"] == 1:
        pattern = "{cell}/seed~{seed}"
        return [Job("train", [pattern], pattern, {path: path for path in found})]
    blocks: dict[tuple[int, ...], list[str]] = {}
    for cell, same in itertools.groupby(found.values(), key=lambda run: run.cell):
        seeds = [run.seed for run in same]
        for start in range(0, len(seeds), execution["runs_per_job"]):
            block = tuple(seeds[start : start + execution["runs_per_job"]])
            blocks.setdefault(block, []).append(cell)
    divided = []
    for seeds, chosen in blocks.items():
        first, last = seeds[0], seeds[-1]
        log = f"{{cell}}/seeds~{first}-{last}"
        logs = {f"{cell}/seed~{seed}": log.format(cell=cell) for cell in chosen for seed in seeds}
        patterns = [f"{{cell}}/seed~{seed}" for seed in seeds]
        cells = "|".join(map(re.escape, chosen))
        divided.append(Job(f"train_seeds_{first}_to_{last}", patterns, log, logs, cells))
    return divided


def logs(config: Mapping[str, Any]) -> dict[str, str]:
    """Return the name of the log of each run, by path."""
    return {path: log for job in jobs(config) for path, log in job.logs.items()}


def _stacks(found: Iterable[Run]) -> list[Job]:
    """Group the runs that one program can train together into a job."""
    stacks: dict[str, list[Run]] = {}
    for run in found:
        alike = {name: value for name, value in run.settings.items() if name not in STACKED}
        stacks.setdefault(repr(alike), []).append(run)
    divided = []
    for i, runs in enumerate(stacks.values()):
        # Named like a cell, not by its number, which may change if you extend the study.
        parts = [part for part in runs[0].cell.split("/") if part.partition("~")[0] not in STACKED]
        log, paths = short_name(f"together,{','.join(parts)}"), [run.path for run in runs]
        divided.append(
            Job(f"train_together_{i}", paths, log, dict.fromkeys(paths, log), together=True)
        )
    return divided
