"""The tables of a finished study, read from its directory."""

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from boxest.analysis.columns import CELL
from boxest.figures.style import setting
from boxest.study.history import read_table


@dataclass(frozen=True)
class Study:
    """What a study left behind.

    Attributes
    ----------
    root : Path
        Its directory of results.
    tables : dict of pandas.DataFrame
        Its tables by name.
    summary : dict
        ``summary.json``: ``config``, ``numbers``, ``tables`` and ``figures`` (names of those that
        the study makes), ``left_out`` and ``differences`` from the paper's; empty where it is not
        there yet.
    captions : dict of str
        ``captions/*.rst`` by name of figure or table.
    times : tuple of Study
        Studies whose times count for this one.
    studies : tuple of Study
        Other studies that its page tells about.
    """

    root: Path
    tables: dict[str, pd.DataFrame]
    summary: dict[str, Any] = field(default_factory=dict)
    captions: dict[str, str] = field(default_factory=dict)
    times: "tuple[Study, ...]" = ()
    studies: "tuple[Study, ...]" = ()

    def __getitem__(self, name: str) -> pd.DataFrame:
        try:
            return self.tables[name]
        except KeyError:
            raise ValueError(
                f"{self.root / 'tables'} has no table {name!r}, it has {sorted(self.tables)}. "
                "Run Snakemake again."
            ) from None

    def __contains__(self, name: str) -> bool:
        return name in self.tables

    @property
    def others(self) -> list[str]:
        """The axes beside batch size and learning rate."""
        columns = list(self["ranking"].columns)
        return columns[2 : columns.index("rank")]

    def in_full(self, cell: pd.Series) -> str:
        """Name a cell by all axes that its row has."""
        return ", ".join(
            setting(name, cell[name]) for name in (*CELL, *self.others) if name in cell
        )


def read(
    root: str | os.PathLike,
    times: Sequence[str | os.PathLike] = (),
    studies: Sequence[str | os.PathLike] = (),
    tables: Sequence[str] | None = None,
) -> Study:
    """Read a finished study, and those that its findings use.

    Parameters
    ----------
    root : path-like
        Directory of results.
    times, studies : sequence of path-like
        Directories of results of other studies, by what they are read for.
    tables : sequence of str, optional
        The names of its tables; by default those of its summary. Others that lie there, of an
        earlier configuration, are left alone.

    Returns
    -------
    Study

    Raises
    ------
    ValueError
        If a table or the summary is missing.
    """
    root, path = Path(root), Path(root) / "summary.json"
    summary = json.loads(path.read_text("utf-8")) if path.exists() else {}
    if tables is None:
        if not summary:
            raise ValueError(f"{root} holds no finished study: it has no summary.json.")
        tables = summary["tables"]
    found = {}
    for name in tables:
        file = root / "tables" / f"{name}.csv"
        if not file.exists():
            raise ValueError(f"{file} is missing: run the study of {root} first.")
        found[name] = read_table(file, dtype={"plateau_patience": str})
    captions = {path.stem: path.read_text("utf-8") for path in sorted(root.glob("captions/*.rst"))}
    return Study(root, found, summary, captions, tuple(map(read, times)), tuple(map(read, studies)))


def with_others(root: str | os.PathLike, beside: bool = False) -> Study:
    """Read a finished study with the others that its configuration names.

    Parameters
    ----------
    root : path-like
        Directory of results.
    beside : bool
        Whether the others lie beside it, as in a committed copy, and not where they were made.
    """
    root = Path(root)
    named = json.loads((root / "summary.json").read_text("utf-8"))["config"]["findings"]
    others = {
        kind: [root.parent / Path(path).name if beside else path for path in named[kind]]
        for kind in ("times", "studies")
    }
    return read(root, **others)
