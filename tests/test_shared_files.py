"""Results on a file system that shows other machines' files late."""

import os
import subprocess
import sys

import pytest
from conftest import ROOT
from studies import TINY, clone

LATE = {"PYTHONPATH": str(ROOT / "tests" / "lab" / "late_files"), "FILES_LATE_BY": "3"}
SHARD = "results/tiny/data/test-000.h5"


@pytest.fixture
def repository(tmp_path):
    return clone(tmp_path / "boxest")


def test_a_file_that_is_seen_late_is_waited_for(repository):
    def shard(patience):
        command = [sys.executable, "-m", "snakemake", "-c1", *TINY, "--latency-wait", patience]
        # A process of its own: the one that Snakemake is forked from sees files at once.
        return subprocess.run(
            [*command, "--", SHARD], cwd=repository, env=os.environ | LATE,
            capture_output=True, text=True, check=False,
        )  # fmt: skip

    done = shard("0")
    assert done.returncode == 1
    assert "MissingOutputException" in done.stderr
    (repository / SHARD).unlink()
    done = shard("30")
    assert done.returncode == 0, done.stderr
    assert (repository / SHARD).exists()
