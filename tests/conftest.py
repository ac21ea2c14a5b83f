"""What the tests share."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from boxest import runtime

ROOT = Path(__file__).parent.parent

# One thread, before anything imports the backend: the same bits on every machine with this CPU.
runtime.set_threads(1)
runtime.quiet()


@pytest.fixture(scope="session")
def small_data():
    """500 images of 32 px with their boxes."""
    from boxest import synthetic

    return synthetic.make(0, 500, seed=0, image_size=32)


@pytest.fixture(scope="session")
def study(tmp_path_factory):
    """Run the tiny study from nothing; return its results, and what Snakemake printed."""
    from studies import TINY, clone, snakemake

    directory = clone(tmp_path_factory.mktemp("study") / "boxest")
    done = snakemake(directory, "--cores", "2", *TINY)
    assert done.returncode == 0, done.stderr
    return directory / "results" / "tiny", done.stderr


@pytest.fixture
def python():
    """Run Python code in a process of its own and return what it printed."""

    def run(code: str, **environment: str) -> str:
        completed = subprocess.run(
            [sys.executable, "-c", code],
            env=os.environ | environment,
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        assert completed.returncode == 0, completed.stderr
        return completed.stdout

    return run
