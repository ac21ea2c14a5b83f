"""Studies as a user starts them: a copy of the repository, the real Snakemake."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
from conftest import ROOT

TINY = ("--configfile", "config/tiny.yaml")


def snakemake(directory, *arguments, **environment):
    """Run Snakemake in a copy of the repository; return what it printed and its exit status."""
    return subprocess.run(
        [sys.executable, "-m", "snakemake", *arguments],
        cwd=directory,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
    )


def clone(target: Path) -> Path:
    """Copy the files that git knows, or would on the next `git add`."""
    listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    names = subprocess.run(listed, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, names.split("\0")):
        if (ROOT / name).exists():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target / name)
    return target


def made(directory: Path) -> set[str]:
    """Return what studies have left in a copy of the repository, beside the committed results."""
    return {path.name for path in directory.glob("results/*")} - {"reference"}


def untimed(table: Path) -> str:
    """Return a table as text, less the columns that a clock has measured."""
    content = pd.read_csv(table, dtype=str)
    return content.loc[:, ~content.columns.str.contains("seconds")].to_csv(index=False)


def untimed_tables(results: Path) -> dict[str, str]:
    """Return the tables of a study, less everything that a clock has measured."""
    tables = (results / "tables").glob("*.csv")
    return {path.stem: untimed(path) for path in tables if not path.stem.startswith("time")}
