"""The tables of a finished study, read from its directory."""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

# What a study may take from others: keys of the section ``findings`` of a configuration.
KINDS = ("times", "forensics", "architectures", "harder")


@dataclass(frozen=True)
class Study:
    """What a study left behind.

    Attributes
    ----------
    root : Path
        Its directory of results.
    tables : dict of pandas.DataFrame
        ``tables/*.csv`` by name.
    summary : dict
        ``summary.json``: ``config`` and ``numbers``; empty where it is not there yet.
    captions : dict of str
        ``captions/*.rst`` by name of figure or table.
    times : tuple of Study
        Studies whose times count for this one.
    forensics : tuple of Study
        Studies of what the paper leaves open.
    architectures : tuple of Study
        Studies of networks beside the paper's.
    harder : tuple of Study
        The same under several conditions of the data.
    """

    root: Path
    tables: dict[str, pd.DataFrame]
    summary: dict[str, Any] = field(default_factory=dict)
    captions: dict[str, str] = field(default_factory=dict)
    times: "tuple[Study, ...]" = ()
    forensics: "tuple[Study, ...]" = ()
    architectures: "tuple[Study, ...]" = ()
    harder: "tuple[Study, ...]" = ()

    def __getitem__(self, name: str) -> pd.DataFrame:
        try:
            return self.tables[name]
        except KeyError:
            raise ValueError(
                f"{self.root / 'tables'} has no table {name!r}, it has {sorted(self.tables)}. "
                "Run Snakemake again."
            ) from None


def read(
    root: str | os.PathLike,
    times: Sequence[str | os.PathLike] = (),
    forensics: Sequence[str | os.PathLike] = (),
    architectures: Sequence[str | os.PathLike] = (),
    harder: Sequence[str | os.PathLike] = (),
) -> Study:
    """Read a finished study, and those that its findings take from.

    Parameters
    ----------
    root : path-like
        Directory of results.
    times, forensics, architectures, harder : sequence of path-like
        Directories of results of other studies, by what they are read for.

    Returns
    -------
    Study

    Raises
    ------
    ValueError
        If a directory holds no tables.
    """
    root = Path(root)
    # "never" and numbers in one column, and nothing that stands for a missing value.
    text = {"dtype": {"plateau_patience": str}}
    tables = {path.stem: pd.read_csv(path, **text) for path in sorted(root.glob("tables/*.csv"))}
    if not tables:
        raise ValueError(f"{root} holds no tables (tables/*.csv): run its study first")
    path = root / "summary.json"
    summary = json.loads(path.read_text("utf-8")) if path.exists() else {}
    captions = {path.stem: path.read_text("utf-8") for path in sorted(root.glob("captions/*.rst"))}
    others = dict(zip(KINDS, (times, forensics, architectures, harder), strict=True))
    studies = {kind: tuple(read(other) for other in paths) for kind, paths in others.items()}
    return Study(root, tables, summary, captions, **studies)


def others(config: Mapping[str, Any]) -> dict[str, list[str]]:
    """Return the directories that a configuration names, by what they are read for."""
    return {kind: config["findings"][kind] for kind in KINDS}
