"""A real study whose processes are killed again and again ends with the same tables."""

import contextlib
import math
import os
import random
import signal
import time
from pathlib import Path

import psutil
import pytest
from studies import DISTURBED_RESULTS, begin, clone, end, everything, snakemake

pytestmark = [pytest.mark.fault, pytest.mark.slow]

KILLS = 6
# After so many kills of jobs, Snakemake itself is killed with all of its jobs.
KILLS_OF_ALL = 3
# Of three jobs, two die when so many more epochs are logged, one so many seconds after its start.
EPOCHS = (50, 70)
START = (0.0, 5.0)


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


def test_a_study_survives_its_processes(tmp_path, undisturbed):
    disturbed = clone(tmp_path / "boxest")
    options = ("--cores", "2", "--retries", "40")
    rng, kills = random.Random(0), 0
    for limit in (KILLS_OF_ALL, KILLS):
        process = begin(disturbed, *options)
        kills += kill_jobs(process, disturbed, rng, limit - kills)
        if limit != KILLS:
            kill_all(process, disturbed)
            unlock = ("--unlock", "--configfile", "disturbed.yaml")
            assert snakemake(disturbed, *unlock).returncode == 0
    end(process, disturbed)
    assert kills == KILLS
    assert everything(disturbed) == everything(undisturbed)
    logs = [
        path.read_text()
        for path in (disturbed / DISTURBED_RESULTS / "logs").glob("train*/**/*.log")
    ]
    assert sum("Resumed after epoch" in log for log in logs) >= 2
    assert list((disturbed / DISTURBED_RESULTS / "state").iterdir()) == []
