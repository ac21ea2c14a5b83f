"""A real study whose processes are killed again and again ends with the same tables."""

import contextlib
import math
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
import yaml
from studies import clone, snakemake, untimed_tables

pytestmark = [pytest.mark.fault, pytest.mark.slow]

KILLS = 6
# After so many kills of jobs, Snakemake itself is killed with all of its jobs.
KILLS_OF_ALL = 3
# Of three jobs, two die when so many more epochs are logged, one so many seconds after its start.
EPOCHS = (50, 70)
START = (0.0, 5.0)

CONFIG = {
    "results": "results/kills",
    "data": {"images": 800, "image_size": 32, "shard_size": 320, "box_law": {"max_side": 32}},
    "settings": {"epochs": 120, "stop_patience": 120, "xla": False},
    "grid": {"batch_size": [16, 64], "learning_rate": [1e-3], "seeds": 2},
    "best": {"batch_size": 16, "learning_rate": 0.01, "seeds": 1},
}
TARGETS = ["results/kills/tables/fig8.csv", "results/kills/predictions.csv"]
COMMAND = ["--cores", "2", "--configfile", "kills.yaml", "--retries", "40", *TARGETS]


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    """Copies of the project, undisturbed and disturbed, with the study's configuration."""

    def make(name):
        directory = clone(tmp_path_factory.mktemp(name) / "boxest")
        (directory / "kills.yaml").write_text(yaml.safe_dump(CONFIG))
        return directory

    return make


def start(directory):
    with open(directory / "snakemake.log", "ab") as log:
        command = [sys.executable, "-m", "snakemake", *COMMAND]
        return subprocess.Popen(
            command, cwd=directory, stdout=log, stderr=log, start_new_session=True
        )


def training_jobs(directory):
    """Return the processes that train for the study in a directory."""
    found = []
    for process in psutil.process_iter(["name", "cmdline", "cwd"]):
        # Not the shell around it.
        python = process.info["name"].startswith("python")
        arguments = process.info["cmdline"] if python else []
        script = any(argument.endswith("train.py") for argument in arguments or [])
        if script and process.info["cwd"] == str(directory):
            found.append(process)
    return found


class Victim:
    """A job that dies at a random moment, in its training or before."""

    def __init__(self, job, rng, *, trains):
        self.job = job
        self.epochs = self.logged() + rng.randint(*EPOCHS) if trains else math.inf
        self.death = math.inf if trains else time.monotonic() + rng.uniform(*START)

    def kill(self):
        """Kill the job if it is time; return whether it was."""
        due = time.monotonic() >= self.death or self.logged() >= self.epochs
        if not due or not self.job.is_running():
            return False
        self.job.kill()
        self.job.wait()
        return True

    def logged(self):
        with contextlib.suppress(OSError):
            return Path(f"/proc/{self.job.pid}/fd/1").read_text().count("epoch ")
        return 0


def kill_jobs(snakemake_process, directory, rng, limit):
    """Kill each job at a random moment until there were so many; return how many there were."""
    victims, kills = {}, 0
    while snakemake_process.poll() is None and kills < limit:
        for job in training_jobs(directory):
            if job not in victims:
                victims[job] = Victim(job, rng, trains=len(victims) % 3 < 2)
            if kills < limit:
                kills += victims[job].kill()
        time.sleep(0.05)
    return kills


def kill_all(snakemake_process, directory):
    os.killpg(snakemake_process.pid, signal.SIGKILL)
    snakemake_process.wait()
    for job in training_jobs(directory):
        job.kill()


def tables(directory):
    """Return all that the study found, times aside."""
    results = directory / "results" / "kills"
    predictions = (results / "predictions.csv").read_text()
    return untimed_tables(results) | {"predictions": predictions}


@pytest.fixture(scope="module")
def expected(repository):
    """What the study finds when nothing happens."""
    undisturbed = repository("undisturbed")
    assert start(undisturbed).wait() == 0, (undisturbed / "snakemake.log").read_text()
    return tables(undisturbed)


def test_a_study_survives_its_processes(repository, expected):
    disturbed = repository("disturbed")
    rng, kills = random.Random(0), 0
    for limit in (KILLS_OF_ALL, KILLS):
        process = start(disturbed)
        kills += kill_jobs(process, disturbed, rng, limit - kills)
        if limit != KILLS:
            kill_all(process, disturbed)
            assert snakemake(disturbed, "--unlock", *COMMAND).returncode == 0
    assert process.wait() == 0, (disturbed / "snakemake.log").read_text()
    assert kills == KILLS
    assert tables(disturbed) == expected
    logs = [path.read_text() for path in (disturbed / "results/kills/logs").glob("train*/**/*.log")]
    assert sum("Resumed after epoch" in log for log in logs) >= 2
    assert list((disturbed / "results/kills/state").iterdir()) == []
