"""The oldest versions that pyproject.toml allows; the newest are those of the other tests."""

import re
import subprocess
import sys
import tomllib

import pytest
from conftest import ROOT
from studies import TINY, clone


def oldest() -> dict[str, str]:
    """Return the lower bound of every dependency."""
    dependencies = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    return dict(each.split(">=") for each in dependencies)


def test_snakefile_asks_for_the_oldest_snakemake():
    text = (ROOT / "workflow" / "Snakefile").read_text()
    assert re.search(r'^min_version\("(.+)"\)$', text, re.MULTILINE)[1] == oldest()["snakemake"]


REMEDY = (
    "This test needs a Python for which PyPI has wheels of the oldest versions that pyproject.toml "
    f"allows: 3.11 or 3.12. This is {sys.version.split()[0]}."
)


@pytest.mark.slow
def test_tiny_study_with_the_oldest_of_everything(scratch):
    versions = oldest()
    # The same without what a GPU needs: half a gigabyte less to download.
    versions["tensorflow-cpu"] = versions.pop("tensorflow")
    python = scratch / "venv" / "bin" / "python"
    repository = clone(scratch / "boxest")
    for command, remedy in (
        ([sys.executable, "-m", "venv", scratch / "venv"], ""),
        ([python, "-m", "pip", "install", "-q", *map("==".join, versions.items())], REMEDY),
        ([python, "-m", "snakemake", "--cores", "2", *TINY], ""),
    ):
        done = subprocess.run(command, cwd=repository, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{done.stdout}{done.stderr}{remedy}"
    tables = sorted(path.name for path in scratch.glob("boxest/results/tiny/tables/*.csv"))
    assert {"best.csv", "fig8.csv", "histories.csv", "runs.csv"} <= set(tables)
