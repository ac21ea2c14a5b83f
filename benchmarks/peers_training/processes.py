"""Starts workers, together where there are several, and collects what they measured."""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from peers_training import EVERY

BENCHMARKS = Path(__file__).resolve().parents[1]
# What somebody may have set for another purpose, and what decides about speed.
UNSET = ("TF_ENABLE_ONEDNN_OPTS", "XLA_FLAGS", "TF_XLA_FLAGS", "OMP_NUM_THREADS", "PJRT_NPROC")


def environment(library: str, threads: int) -> dict[str, str]:
    """Return the environment of a worker; 0 threads: as many as the library likes."""
    values = {name: value for name, value in os.environ.items() if name not in UNSET}
    values = {k: v for k, v in values.items() if not k.endswith("OP_THREADS")}
    values |= {"TF_CPP_MIN_LOG_LEVEL": "2", "TF_FORCE_GPU_ALLOW_GROWTH": "true"}
    values["XLA_PYTHON_CLIENT_PREALLOCATE"] = "false"
    paths = [str(BENCHMARKS), str(BENCHMARKS.parent), os.environ.get("PYTHONPATH", "")]
    values["PYTHONPATH"] = os.pathsep.join(filter(None, paths))
    if library in ("tensorflow", "jax"):
        values["KERAS_BACKEND"] = library
    if threads:
        values |= {"TF_NUM_INTRAOP_THREADS": str(threads), "TF_NUM_INTEROP_THREADS": "1"}
        values |= {"OMP_NUM_THREADS": str(threads), "PJRT_NPROC": str(threads)}
    if threads == 1:
        values["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false"
    return values


class Worker:
    """A process that measures one contender."""

    def __init__(self, name: str, job: dict, environment: dict[str, str]):
        self.errors = tempfile.TemporaryFile("w+")  # noqa: SIM115 -- read when the process ends
        self.process = subprocess.Popen(
            [sys.executable, "-m", "peers_training.worker", name, json.dumps(job)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.errors,
            env=environment,
            text=True,
        )

    def line(self) -> str:
        """Return the next line that the process prints, or raise what it died of."""
        line = self.process.stdout.readline()
        if line:
            return line.strip()
        self.process.wait()
        self.errors.seek(0)
        said = self.errors.read().strip().splitlines() or ["it said nothing"]
        raise RuntimeError(f"exit status {self.process.returncode}: {said[-1]}")

    def go(self) -> None:
        """Let a process that is ready go on."""
        self.process.stdin.write("go\n")
        self.process.stdin.flush()

    def close(self) -> None:
        """End the process, and forget it."""
        self.process.kill()
        self.process.communicate()
        self.errors.close()


def run(name: str, job: dict, processes: int) -> list[dict]:
    """Measure a contender in processes that run at once; raise RuntimeError where one fails."""
    surroundings = environment(EVERY[name].library(), job["threads"])
    workers = []
    try:
        for _ in range(processes):
            workers.append(Worker(name, job, surroundings))
        for worker in workers:
            while worker.line() != "ready":
                pass
        for worker in workers:
            worker.go()
        return [json.loads(_last(worker)) for worker in workers]
    finally:
        for worker in workers:
            worker.close()


def _last(worker: Worker) -> str:
    while not (line := worker.line()).startswith("{"):
        pass
    return line
