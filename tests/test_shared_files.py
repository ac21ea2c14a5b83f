"""Results on a file system that shows other machines' files late."""

import pytest
from conftest import ROOT
from studies import TINY, clone, snakemake

LATE = {"PYTHONPATH": str(ROOT / "tests" / "lab" / "late_files"), "FILES_LATE_BY": "3"}
SHARD = "results/tiny/data/test-000.h5"


@pytest.fixture
def repository(tmp_path):
    return clone(tmp_path / "boxest")


def test_a_file_that_is_seen_late_is_waited_for(repository):
    def shard(patience):
        options = ["-c1", *TINY, "--latency-wait", patience, "--", SHARD]
        return snakemake(repository, *options, **LATE)

    done = shard("0")
    assert done.returncode == 1
    assert "MissingOutputException" in done.stderr
    (repository / SHARD).unlink()
    done = shard("30")
    assert done.returncode == 0, done.stderr
    assert (repository / SHARD).exists()
