"""Complete the configuration of a study from the schema, and check it as a whole."""

import ast
import csv
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from boxest.networks import FROM_PLACES
from boxest.study import data, outputs, run_table
from boxest.study.schema import ConfigurationError, Schema, nearest
from boxest.system.files import LONGEST_FOLDER, LONGEST_NAME

__all__ = ["ConfigurationError", "Schema", "read"]

# With more runs than this, Snakemake plans for hours.
MAX_RUNS = 100_000


def read(given: Mapping[str, Any], schema: Schema, folders: Iterable[str] = ()) -> dict[str, Any]:
    """Complete and check a configuration.

    Parameters
    ----------
    given : mapping
        What Snakemake has read from files and from its command line.
    schema : Schema
        Of the configuration.
    folders : iterable of str
        Folders to search for files named in the configuration, before the working directory.

    Returns
    -------
    dict
        All keys, with values of the types in the schema.

    Raises
    ------
    ConfigurationError
        The message names the key, the value, and what to do.
    """
    schema.check({name: None for name in given if name not in schema.root["properties"]})
    source = given.get("data") or {}
    if isinstance(source, Mapping):
        schema = schema.of_source(source.get("source", "synthetic"))
    config = schema.completed(given)
    schema.check(config)
    config["grid"] = _grid(config["grid"], schema, config)
    config["runs"] = _listed(config["runs"], schema, config, folders)
    if config["best"] is not None:
        config["best"] = _row(config["best"], schema, config, "best")
    _check_cells(config)
    data.check(config["data"], "data")
    rule = schema.resolved(schema.root["properties"]["data"])
    # A study renders photographs once, for all conditions.
    rendered = {"render", "folder", "boxes"} if config["data"].get("render") else {"render"}
    for name, overrides in config["data"]["conditions"].items():
        if same := sorted(rendered & overrides.keys()):
            raise ConfigurationError(
                f"config: data.conditions.{name}: all conditions have the same {same[0]}. Leave it "
                "out, or make a study for it."
            )
        changed = schema.completed(data.of(config, name), rule)
        schema.check(changed, f"data.conditions.{name}", rule)
        data.check(changed, f"data.conditions.{name}")
        config["data"]["conditions"][name] = _picked(changed, overrides)
    _check_runs(config)
    _check_figures(config)
    return config


def _picked(values: Mapping[str, Any], keys: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values for some keys, and of sections for the keys in these."""
    return {
        name: _picked(values[name], inner) if isinstance(inner, Mapping) else values[name]
        for name, inner in keys.items()
    }


def _grid(grid: Mapping[str, Any], schema: Schema, config: Mapping) -> dict[str, Any]:
    """Return the axes with their values in the form of the schema; null removes an axis."""
    axes: dict[str, Any] = {}
    for name, values in grid.items():
        where = f"grid.{name}"
        if name == "seeds":
            axes[name] = values
            continue
        if isinstance(values, str):
            values = schema.completed(values, {"type": "array"})
        values = values if isinstance(values, list) else [] if values is None else [values]
        several = [isinstance(one, Mapping) and name not in schema.parameters for one in values]
        if any(several) and all(several):
            axes[name] = [_cell(one, schema, config, where) for one in values]
        elif values:
            axes[name] = [_cell({name: one}, schema, config, "grid")[name] for one in values]
        elif grid[name] is not None:
            raise ConfigurationError(f"config: {where} has no value: set at least one, or null.")
    return axes


def _row(row: Mapping[str, Any], schema: Schema, config: Mapping, where: str) -> dict[str, Any]:
    """Return a listed cell, with its seeds."""
    rule = schema.root["$defs"]["seeds"]
    seeds = schema.completed(row.get("seeds", config["grid"]["seeds"]), rule)
    schema.check(seeds, f"{where}.seeds", rule)
    cell = {name: value for name, value in row.items() if name != "seeds"}
    return _cell(cell, schema, config, where) | {"seeds": seeds}


def _cell(row: Mapping[str, Any], schema: Schema, config: Mapping, where: str) -> dict[str, Any]:
    """Return parameters in the form of the schema."""
    result = {}
    for name, value in row.items():
        if name == "condition":
            known = config["data"]["conditions"]
            if value not in known:
                hint = nearest(str(value), known) if known else ", which is empty"
                raise ConfigurationError(
                    f"config: {where}: there is no condition {value!r} in data.conditions{hint}."
                )
            result[name] = value
        elif name in schema.parameters:
            rule = schema.parameters[name]
            result[name] = schema.completed(value, rule)
            schema.check(result[name], f"{where}.{name}", rule)
        else:
            hint = nearest(name, [*schema.parameters, "condition"])
            raise ConfigurationError(
                f"config: {where}: {name!r} is not a parameter of BoxRegressor that a study can "
                f"set{hint}."
            )
    return result


def _listed(
    rows: list | str, schema: Schema, config: Mapping, folders: Iterable[str]
) -> list[dict[str, Any]]:
    """Return the listed cells, from a list or a CSV file, whose empty fields are unset."""
    rows = _fields(rows, found(rows, folders, "runs")) if isinstance(rows, str) else rows
    return [_row(row, schema, config, f"runs.{i}") for i, row in enumerate(rows)]


def _fields(name: str, path: Path) -> list[dict[str, str]]:
    """Return the rows of a CSV file that have a value, without their empty fields."""
    with path.open(newline="", encoding="utf-8-sig") as file:
        reader = csv.reader(file, skipinitialspace=True)
        columns, *rows = [*reader] or [[]]
    if twice := sorted({column for column in columns if column and columns.count(column) > 1}):
        raise ConfigurationError(f"config: runs: {name} has several columns {twice[0]!r}.")
    columns += [""] * max(len(row) - len(columns) for row in [columns, *rows])
    named = [{c: text for c, text in zip(columns, row, strict=False) if text} for row in rows]
    for row, texts in zip(named, rows, strict=True):
        if "" in row:
            raise ConfigurationError(
                f"config: runs: in {name}, the row {', '.join(texts)} has more values than the "
                "first row, which names the columns."
            )
    return [row for row in named if row]


def found(name: str, folders: Iterable[str], where: str) -> Path:
    """Return the path of a file named in a configuration, in the same folder."""
    for folder in (*folders, "."):
        if (path := Path(folder, name)).is_file():
            return path
    raise ConfigurationError(
        f"config: {where}: there is no file {name!r} in the folder of the configuration."
    )


def own_files(config: Mapping[str, Any], folders: Iterable[str]) -> dict[str, str]:
    """Return the paths of the user's files with functions that the cells name, by file name.

    Raises
    ------
    ConfigurationError
        If a file, or a function in it, does not exist.
    """
    cells = [*run_table.cells(config), *run_table.best_cells(config)]
    named = {
        cell[name] for cell in cells for name in run_table.OWN if run_table.own_file(cell.get(name))
    }
    files = {}
    for value in sorted(named):
        file, function = run_table.own_file(value), value.rpartition(":")[2]
        path = found(file, folders, value)
        files[file] = str(path)
        try:
            body = ast.parse(path.read_text("utf-8")).body
        except SyntaxError as error:
            raise ConfigurationError(f"config: {path} is not valid Python: {error}.") from None
        known = [name for node in body for name in _defined(node)]
        if function not in known:
            raise ConfigurationError(
                f"config: {value}: {path} has no {function!r}{nearest(function, known)}."
            )
    return files


def _defined(node: ast.stmt) -> list[str]:
    """Return the names defined by a statement at the top level of a file."""
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        return [node.name]
    if isinstance(node, ast.Assign):
        return [target.id for target in node.targets if isinstance(target, ast.Name)]
    if isinstance(node, ast.Import | ast.ImportFrom):
        return [alias.asname or alias.name for alias in node.names]
    return []


def _check_cells(config: Mapping[str, Any]) -> None:
    """Refuse duplicate or invalid cells, and too many runs."""
    seen: dict[str, Mapping] = {}
    count = 0
    for cell in run_table.cells(config):
        path = run_table.path_of(cell, config)
        if path in seen:
            same = seen[path] | {"seeds": None} == cell | {"seeds": None}
            what = "is there twice" if same else f"has the same name as {seen[path]}"
            raise ConfigurationError(
                f"config: the cell {path} {what}. Each cell of `grid` and `runs` is trained only "
                "once: remove one."
            )
        seen[path] = cell
        _check_folders(path)
        count += cell.get("seeds", config["grid"]["seeds"])
        if count > MAX_RUNS:
            raise ConfigurationError(
                f"config: `grid` and `runs` have more than {MAX_RUNS} runs, which is too many to "
                "plan. Make seeds smaller."
            )
    best = run_table.best_cells(config)
    for cell in best:
        _check_folders(run_table.path_of(cell, config))
    for cell in [*seen.values(), *best]:
        name, activation = cell["network"], cell["output_activation"]
        if name in FROM_PLACES and activation != "linear":
            raise ConfigurationError(
                f"config: output_activation must be linear for the network {name}; got "
                f"{activation!r}."
            )


def _check_folders(path: str) -> None:
    """Refuse a cell of which a folder would have a name that no file system takes."""
    for folder in path.split("/"):
        if len(folder) > LONGEST_FOLDER:
            raise ConfigurationError(
                f"config: {folder.partition('~')[0]} has a value so long that its folder in the "
                f"results would have a name of {len(folder)} characters, {folder[:60]}...; at most "
                f"{LONGEST_FOLDER} are possible. Write fewer options, or a shorter name of a file."
            )


def _check_figures(config: Mapping[str, Any]) -> None:
    """Refuse axes of which a figure would have a name that no file system takes."""
    name = max(outputs.made(outputs.FIGURES, config), key=len)
    if len(name) > LONGEST_NAME:
        raise ConfigurationError(
            f"config: a figure of each combination of axes would have a name of {len(name)} "
            f"characters, {name[:60]}...; at most {LONGEST_NAME} are possible. Vary fewer settings "
            "in one study, or write shorter values."
        )


def _check_runs(config: Mapping[str, Any]) -> None:
    """Refuse cells that the tables cannot compare, and settings of execution that do not fit."""
    cells, axes = list(run_table.cells(config)), run_table.axes(config)
    every = [*cells, *run_table.best_cells(config)]
    epochs = sorted({cell["epochs"] for cell in cells})
    if len(epochs) > 1:
        raise ConfigurationError(
            "config: all cells need the same number of epochs, because the tables compare them "
            f"after the last one; got {', '.join(map(str, epochs))}. Make a study for each number."
        )
    if "condition" in axes and any(cell.get("condition") is None for cell in every):
        raise ConfigurationError(
            "config: some cells (or `best`) name a condition of the data, and some do not. Name "
            "one in each; a condition without changes, `unchanged: {}`, is the data as they are."
        )
    differ = [
        name
        for name in (*config["settings"], "condition")
        if name not in run_table.CELL and len({repr(cell.get(name)) for cell in cells}) > 1
    ]
    if config["rates"] and (differ or "auto" in [cell["learning_rate"] for cell in cells]):
        raise ConfigurationError(
            "config: rates: the searches are compared with the best rates of the grid, so these "
            "must be numbers, and the cells must differ in batch size and rate alone; here also "
            f"in {', '.join(differ) or 'nothing else'}. Set rates: null, or make a study for it."
        )
    if config["execution"]["fan_out"] == "batch_size":
        _check_together(every, config)


def _check_together(cells: Iterable[Mapping], config: Mapping[str, Any]) -> None:
    """Refuse runs that cannot be trained at once."""
    fixed = [("execution.runs_per_job", config["execution"]["runs_per_job"], 1)]
    fixed += [("settings.engine", cell["engine"], "compiled") for cell in cells]
    if any(cell["learning_rate"] == "auto" for cell in cells):
        raise ConfigurationError(
            "config: execution.fan_out: batch_size needs a number as learning_rate, got "
            "'auto': use runs_per_job instead."
        )
    for name, value, wanted in fixed:
        if value != wanted:
            raise ConfigurationError(
                "config: execution.fan_out: batch_size trains all runs of a batch size at "
                f"once, so it needs {name}: {wanted}; got {value!r}."
            )
