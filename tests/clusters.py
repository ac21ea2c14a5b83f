"""A real SLURM for the tests: the one that answers on this machine, or one of our own."""

import contextlib
import os
import re
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import psutil
import pytest
from conftest import ROOT

LAB = ROOT / "tests" / "lab" / "slurm-local.sh"
STATE = Path("/var/lib/slurm-local")
# More than the machine has: what is tested is scheduling, and most processes wait.
SIZE = {"SLURM_LOCAL_CPUS": "16", "SLURM_LOCAL_MEM_MB": "64000", "SLURM_LOCAL_GPUS": "2"}
# The profile's waiting times are those of a real site.
IMPATIENT = ("--slurm-init-seconds-before-status-checks", "1", "--latency-wait", "5")
PROFILE = ("--workflow-profile", "profiles/slurm", *IMPATIENT)


class Cluster(NamedTuple):
    """A SLURM that answers.

    It is ours if the tests started it and may stop its daemons, and nearby if its nodes are this
    machine.
    """

    ours: bool
    nearby: bool

    def stop_node(self) -> None:
        """End the daemon of the node; its jobs live on."""
        slurmd = int((STATE / "run" / "slurmd.n1.pid").read_text())
        os.kill(slurmd, 15)

    def start_node(self) -> None:
        lab("up")


def lab(*arguments: str) -> None:
    done = subprocess.run(
        [LAB, *arguments], env=os.environ | SIZE, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        pytest.fail(
            "The tests with the mark slurm need a SLURM that answers to sinfo, or must be able to "
            "start one: as root on a Debian or Ubuntu that may install packages. They can be left "
            f'out by -m "not slurm".\n{done.stdout}{done.stderr}'
        )


def slurm(*command: str) -> str:
    """Run a command of SLURM; return what it printed."""
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def state(job: str) -> str:
    return slurm("squeue", "--states=all", "--noheader", "--format=%T", f"--jobs={job}").strip()


def start() -> Iterator[Cluster]:
    """Give a cluster for the time of the tests."""
    if answers() and not STATE.exists():
        hosts = set(slurm("sinfo", "--noheader", "--format=%n").split())
        yield Cluster(ours=False, nearby=hosts == {socket.gethostname().split(".")[0]})
        return
    lab("up")
    yield Cluster(ours=True, nearby=True)
    lab("down", "--purge")


def answers() -> bool:
    if shutil.which("sinfo") is None:
        return False
    try:
        return (
            subprocess.run(["sinfo"], capture_output=True, timeout=120, check=False).returncode == 0
        )
    except subprocess.TimeoutExpired:
        return False


class Training(NamedTuple):
    """A process on this machine that trains a run."""

    process: psutil.Process
    job: str
    log: Path

    def has_state(self) -> bool:
        """Whether there is something to resume from."""
        results, _, run = str(self.log).partition("/logs/")
        run = run.removeprefix("train/").removesuffix(".log")
        return Path(results, "state", run.replace("/", ",") + ".npz").exists()

    def epochs(self) -> int:
        """Return how many epochs its log has."""
        return len(re.findall(r"^epoch ", self.log.read_text(), re.MULTILINE))


def trainings(repository: Path) -> list[Training]:
    """Find the processes that train a run of a copy of the repository."""
    found = []
    for process in psutil.process_iter(["cmdline", "cwd"]):
        script = any(part.endswith(".train.py") for part in process.info["cmdline"] or [])
        if script and process.info["cwd"] == str(repository):
            with contextlib.suppress(psutil.NoSuchProcess, FileNotFoundError):
                log = Path(f"/proc/{process.pid}/fd/1").readlink()
                # Another process is the shell around it.
                if log.suffix == ".log":
                    found.append(Training(process, process.environ()["SLURM_JOB_ID"], log))
    return found
