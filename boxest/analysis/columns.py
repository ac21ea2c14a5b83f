"""Check the columns and values of the tables of a study."""

from collections.abc import Callable, Iterable, Sequence

import numpy as np
import pandas as pd

CELL = ["batch_size", "learning_rate"]
RUN = [*CELL, "seed"]


def require(table: pd.DataFrame, columns: Iterable[str], name: str) -> None:
    """Raise an error unless `table` is a data frame with rows and with these columns.

    Parameters
    ----------
    table : pandas.DataFrame
        What to check.
    columns : iterable of str
        The columns that the caller reads.
    name : str
        The name of the table in the message.

    Raises
    ------
    TypeError
        If `table` is not a data frame.
    ValueError
        If a column is missing, or there are no rows.
    """
    if not isinstance(table, pd.DataFrame):
        raise TypeError(f"{name} must be a pandas DataFrame, got {type(table).__name__}")
    missing = [column for column in columns if column not in table.columns]
    if missing:
        raise ValueError(
            f"{name} lacks the columns {missing}; it has {list(table.columns)}. "
            "Write the table again with this version of boxest."
        )
    if table.empty:
        raise ValueError(f"{name} has no rows: train at least one run first")


def diverged(runs: pd.DataFrame) -> pd.Series:
    """Return which runs diverged: marked so, or with a final loss that is not finite.

    Parameters
    ----------
    runs : pandas.DataFrame
        One row per run, with `diverged`, `train_loss` and `validation_loss`.

    Returns
    -------
    pandas.Series of bool
        On the index of `runs`.
    """
    finite = np.isfinite(runs["train_loss"]) & np.isfinite(runs["validation_loss"])
    return flag(runs, "diverged") | ~finite


def check_runs(runs: pd.DataFrame, columns: Iterable[str], others: Sequence[str] = ()) -> None:
    """Raise an error unless `runs` has these and the identifying columns, without duplicates.

    Batch size, learning rate, seed and `others` identify a run.

    A run that did not diverge must have finite numbers everywhere, because a mean would silently
    skip others.
    """
    identity = [*CELL, *others, "seed"]
    require(runs, [*identity, "diverged", "train_loss", "validation_loss", *columns], "runs")
    twice = runs.loc[runs.duplicated(identity), identity]
    if len(twice):
        raise ValueError(
            f"runs holds {len(twice)} runs twice, the first is {twice.iloc[0].to_dict()}; "
            f"one row per {', '.join(identity)} is expected"
        )
    finite = np.isfinite(runs.loc[~diverged(runs), list(columns)].select_dtypes("number"))
    for name in finite.columns[~finite.all()]:
        run = runs.loc[finite.index[~finite[name]][0], identity].to_dict()
        raise ValueError(
            f"runs has no finite {name} for {run}, which did not diverge: the table was changed "
            "after it was written. Make it again."
        )


def flag(table: pd.DataFrame, column: str) -> pd.Series:
    """Return a boolean column; text is refused, because bool("False") is True."""
    values = table[column]
    if not pd.api.types.is_bool_dtype(values):
        raise ValueError(
            f"column {column!r} must hold True or False, got dtype {values.dtype} "
            f"with values such as {values.iloc[0]!r}"
        )
    return values.astype(bool)


def of_others(
    function: Callable[..., pd.DataFrame], others: Sequence[str], *tables: pd.DataFrame
) -> pd.DataFrame:
    """Apply a function to the rows of each combination of the values of further axes.

    Parameters
    ----------
    function : callable
        From tables to a table.
    others : sequence of str
        The axes other than batch size and learning rate.
    *tables : pandas.DataFrame
        Its arguments; tables without these columns are passed as a whole.

    Returns
    -------
    pandas.DataFrame
        The results, one below the other, with the columns `others` in front. A column of a result
        that has the name of an axis, such as `loss`, is named `result_loss`.
    """
    if not others:
        return function(*tables)
    parts = []
    for values in tables[0][list(others)].drop_duplicates().itertuples(index=False, name=None):
        of = dict(zip(others, values, strict=True))
        part = function(*(rows_of(table, of) for table in tables))
        part = part.rename(columns={name: f"result_{name}" for name in others})
        for place, (name, value) in enumerate(of.items()):
            part.insert(place, name, value)
        parts.append(part)
    return pd.concat(parts, ignore_index=True)


def by_condition(table: pd.DataFrame) -> list[pd.DataFrame]:
    """Split a table by the condition of the data: losses on other data are not to be compared."""
    if "condition" not in table or table.empty:
        return [table]
    return [rows for _, rows in table.groupby("condition", sort=False)]


def ordered(values: pd.Series) -> list:
    """Return the distinct values of a column: numbers by size, names in order of appearance."""
    found = list(values.unique())
    numbers = all(isinstance(value, (int, float, np.number)) for value in found)
    return sorted(found) if numbers else found


def rows_of(table: pd.DataFrame, values: dict) -> pd.DataFrame:
    """Return the rows that have these values, in columns that the table has.

    A column with a name among its values, such as "never", holds its numbers as text.
    """
    same = [
        table[name] == (str(value) if pd.api.types.is_string_dtype(table[name]) else value)
        for name, value in values.items()
        if name in table
    ]
    return table[np.logical_and.reduce(same)] if same else table
