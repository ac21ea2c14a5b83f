"""Studies as a user starts them: a copy of the repository, the real Snakemake."""

import functools
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pandas as pd
import yaml
from conftest import ROOT
from filelock import FileLock

TINY = ("--configfile", "config/tiny.yaml")
# Five runs that take seconds each: time enough to disturb them.
DISTURBED = {
    "results": "results/disturbed",
    "data": {"images": 800, "image_size": 32, "shard_size": 320, "box_law": {"max_side": 32}},
    "settings": {"epochs": 150, "stop_patience": 150, "xla": False},
    "grid": {"batch_size": [16, 64], "learning_rate": [1e-3, 1e-2], "seeds": 1},
    "best": {"batch_size": 16, "learning_rate": 1e-3, "plateau_patience": 2, "seeds": 1},
}
DISTURBED_RESULTS = Path("results/disturbed")
DISTURBED_TABLES = (DISTURBED_RESULTS / "tables/fig8.csv", DISTURBED_RESULTS / "predictions.csv")


@functools.cache
def forks() -> subprocess.Popen:
    """Start the process whose forks Snakemake runs in; it ends with this one."""
    command = [sys.executable, ROOT / "tests" / "forks.py"]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def snakemake(directory, *arguments, **environment):
    """Run Snakemake in a copy of the repository; return what it printed and its exit status."""
    with tempfile.NamedTemporaryFile() as stdout, tempfile.NamedTemporaryFile() as stderr:
        start = {
            "arguments": arguments,
            "directory": str(directory),
            "environment": os.environ | environment,
            "printed": [stdout.name, stderr.name],
        }
        print(json.dumps(start), file=forks().stdin, flush=True)
        status = int(forks().stdout.readline())
        printed = (file.read().decode() for file in (stdout, stderr))
        return subprocess.CompletedProcess(["snakemake", *arguments], status, *printed)


def once(factory, name: str, make) -> Path:
    """Have one of all test processes fill a directory; the others wait for it.

    Whoever wants to change what is there takes a copy.
    """
    base = factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        base = base.parent
    directory, begun = base / name, base / f"{name}-begun"
    with FileLock(base / f"{name}.lock"):
        if not directory.exists():
            shutil.rmtree(begun, ignore_errors=True)
            make(begun)
            begun.rename(directory)
    return directory


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
    """Return a table as text, less what a clock has measured or decided."""
    content = pd.read_csv(table, dtype=str)
    if table.stem == "claims":
        content = content[~content["claim"].isin(["6", "7"])]
    return content.loc[:, ~content.columns.str.contains("seconds|pareto")].to_csv(index=False)


def untimed_tables(results: Path) -> dict[str, str]:
    """Return the tables of a study, less everything that a clock has measured or decided."""
    tables = (results / "tables").glob("*.csv")
    clocked = ("time", "time_fit", "recommendation")
    return {path.stem: untimed(path) for path in tables if path.stem not in clocked}


def begin(directory: Path, *options: str, targets=DISTURBED_TABLES) -> subprocess.Popen:
    """Start Snakemake on the study that is disturbed; return its process."""
    (directory / "disturbed.yaml").write_text(yaml.safe_dump(DISTURBED))
    command = [sys.executable, "-m", "snakemake", *options, "--configfile", "disturbed.yaml", "--"]
    with open(directory / "snakemake.log", "ab") as log:
        return subprocess.Popen(
            [*command, *targets], cwd=directory, stdout=log, stderr=log, start_new_session=True
        )


def end(process: subprocess.Popen, directory: Path) -> None:
    """Wait for Snakemake, which is to succeed."""
    assert process.wait() == 0, (directory / "snakemake.log").read_text()


def everything(directory: Path) -> dict[str, str]:
    """Return all that this study has found, less what a clock has measured."""
    predictions = (directory / DISTURBED_TABLES[1]).read_text()
    return untimed_tables(directory / DISTURBED_RESULTS) | {"predictions": predictions}
