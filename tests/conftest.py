"""What the tests share."""

import os
import shutil
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
    """Return the results of the tiny study, run from nothing, and what Snakemake printed.

    All test processes share it. A test that changes it, or starts Snakemake in it, takes
    `study_copy`.
    """
    from studies import TINY, clone, once, snakemake

    def make(directory):
        done = snakemake(clone(directory / "boxest"), "--cores", "2", *TINY)
        assert done.returncode == 0, done.stderr
        (directory / "printed").write_text(done.stderr)

    directory = once(tmp_path_factory, "study", make)
    return directory / "boxest" / "results" / "tiny", (directory / "printed").read_text()


@pytest.fixture
def study_copy(study, tmp_path):
    """Return a repository of one's own in which the tiny study is done."""
    return Path(shutil.copytree(study[0].parent.parent, tmp_path / "study" / "boxest"))


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
