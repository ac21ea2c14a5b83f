"""What a study costs a scheduler and the login node, before anything is computed.

    python benchmarks/scheduling.py plan      # snakemake -n of studies of up to 30,000 runs
    python benchmarks/scheduling.py submit    # the paper's study with instant jobs; needs SLURM

`submit` works in a copy of the repository whose scripts only touch their outputs, through
profiles/slurm, and counts the calls of SLURM's commands by programs of the same names before them
on PATH.
"""

import argparse
import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
CELLS = 24
INSTANT = """
from pathlib import Path
for path in snakemake.output:
    Path(path).touch()
"""
COUNTED = ("sbatch", "squeue", "scancel", "scontrol", "sacct", "sacctmgr", "sshare", "sinfo")
# sbatch is given the name of the rule as a comment.
COUNTER = """#!/bin/sh
rule=
for word in "$@"; do case $word in rule_*) rule=$word; break;; esac; done
echo "$(date +%s.%N) {name} $rule" >>"{log}"
exec "{real}" "$@"
"""


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """Read the options."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    plan = commands.add_parser("plan", help="time and memory of dry-runs")
    plan.add_argument("--runs", type=int, nargs="+", default=[240, 3_000, 30_000])
    submit = commands.add_parser("submit", help="calls of the scheduler, and overhead of a run")
    submit.add_argument("--seeds", type=int, default=10, help="repetitions of each of 24 cells")
    submit.add_argument("--per-submission", type=int, nargs="+", default=[1, 10])
    submit.add_argument("--snakemake", nargs="*", default=[], help="more options, without the --")
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    """Measure and print."""
    options = parse(arguments)
    rows = plan_rows(options.runs) if options.command == "plan" else submission_rows(options)
    for row in rows:
        print(f"| {' | '.join(row)} |", flush=True)
    return 0


# --- planning --------------------------------------------------------------------------------


def plan_rows(runs: list[int]) -> Iterator[tuple[str, ...]]:
    """Dry-run studies of several sizes, in every way of sharing jobs."""
    yield "runs", "trained by", "jobs", "CPU seconds", "MB"
    yield "---:", "---", "---:", "---:", "---:"
    with tempfile.TemporaryDirectory() as directory:
        for n_runs in runs:
            seeds = -(-n_runs // CELLS)
            for how, overlay, profile in ways(seeds):
                path = Path(directory, "overlay.yaml")
                path.write_text(f"results: results/plan\ngrid: {{seeds: {seeds}}}\n{overlay}\n")
                jobs, seconds, megabytes = dry_run(path, profile)
                yield f"{n_runs:,}", how, f"{jobs:,}", f"{seconds:.0f}", f"{megabytes:.0f}"


def ways(seeds: int) -> list[tuple[str, str, list[str]]]:
    """Return how runs are trained: in words, as configuration, and as options."""
    several = min(seeds, 50)
    return [
        ("a job each", "", []),
        ("a job each, in groups of 10", "", ["--workflow-profile", "profiles/slurm"]),
        (f"a job for {several}", f"execution: {{runs_per_job: {several}}}", []),
    ]


def dry_run(configuration: Path, options: list[str]) -> tuple[int, float, float]:
    """Return number of jobs, seconds of one core and peak of memory in MB of a dry-run."""
    command = [sys.executable, "-m", "snakemake", "--dry-run", "--quiet", "rules", *options]
    command += ["--configfile", str(ROOT / "config" / "config.yaml"), str(configuration)]
    with tempfile.TemporaryFile("w+") as printed:
        process = subprocess.Popen(command, cwd=ROOT, stdout=printed, stderr=subprocess.STDOUT)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        printed.seek(0)
        text = printed.read()
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{text[-5000:]}")
    jobs = next(line.split()[1] for line in text.splitlines() if line.startswith("total "))
    return int(jobs), usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


# --- submitting ------------------------------------------------------------------------------


class Submission(NamedTuple):
    """What a study asked of the scheduler."""

    calls: Counter
    submitting: float  # seconds from the first to the last submission of runs
    wall: float  # seconds of Snakemake
    allocated: float  # seconds of all jobs together


def submission_rows(options: argparse.Namespace) -> Iterator[tuple[str, ...]]:
    """Submit the study in several ways."""
    missing = [name for name in ("sbatch", "squeue", "scontrol") if shutil.which(name) is None]
    if missing:
        raise SystemExit(f"{', '.join(missing)}: not found. This needs a machine with SLURM.")
    runs = CELLS * options.seeds
    more = [f"--{option}" for option in options.snakemake]
    yield (
        "runs per submission",
        "`sbatch`",
        "`squeue`",
        "other calls",
        "all submitted after",
        "all ended after",
        "per run",
    )
    yield "---", *["---:"] * 6
    for size in options.per_submission:
        for how, overlay, components in (
            (f"{size}, as a group", "", size),
            (f"{size}, as one job", f"execution: {{runs_per_job: {size}}}", 1),
        )[: 1 if size == 1 else 2]:
            done = submit(f"grid: {{seeds: {options.seeds}}}\n{overlay}\n", components, more)
            calls = done.calls["sbatch"], done.calls["squeue"]
            seconds = (
                f"{done.submitting:.0f} s",
                f"{done.wall:.0f} s",
                f"{done.allocated / runs:.1f} s",
            )
            yield how, *map(str, calls), str(done.calls.total() - sum(calls)), *seconds


def submit(configuration: str, components: int, options: list[str]) -> Submission:
    """Run a study of instant jobs through the profile."""
    # Not in /tmp, which the nodes of a cluster do not share.
    with tempfile.TemporaryDirectory(dir=Path.cwd(), prefix="scheduling-") as directory:
        repository, log = Path(directory, "boxest"), Path(directory, "calls")
        for name in ("boxest", "config", "profiles", "workflow"):
            copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
            repository.mkdir(exist_ok=True)
            copy(ROOT / name, repository / name)
        for script in repository.glob("workflow/scripts/*.py"):
            script.write_text(INSTANT)
        (repository / "overlay.yaml").write_text(configuration)
        path = count_calls(Path(directory, "bin"), log)
        command = [sys.executable, "-m", "snakemake", "--workflow-profile", "profiles/slurm"]
        command += ["--group-components", "shards=10", f"runs={components}"]
        command += ["best=10", "predictions=10", *options]
        command += ["--slurm-jobname-prefix", Path(directory).name]
        command += ["--configfile", "config/config.yaml", "overlay.yaml"]
        before = time.time()
        with open(repository / "printed", "w") as printed:
            process = subprocess.Popen(
                command, cwd=repository, env=os.environ | {"PATH": path}, stdout=printed,
                stderr=subprocess.STDOUT,
            )  # fmt: skip
            allocated = watch(process, Path(directory).name)
        wall = time.time() - before
        if process.returncode:
            text = (repository / "printed").read_text()
            raise SystemExit(f"{' '.join(command)} failed:\n{text[-5000:]}")
        calls, submitting = summary(log.read_text())
    return Submission(calls, submitting, wall, allocated)


def summary(log: str) -> tuple[Counter, float]:
    """Return how often each command was called, and the seconds that submitting the runs took."""
    calls = [line.split() for line in log.splitlines()]
    runs = "rule_runs_", "rule_train_seeds_"
    submitted = [float(when) for when, _, *rule in calls if rule and rule[0].startswith(runs)]
    return Counter(name for _, name, *_ in calls), max(submitted) - min(submitted)


def watch(process: subprocess.Popen, prefix: str) -> float:
    """Wait for Snakemake; return how many seconds its jobs had, all together, by their names.

    SLURM soon forgets jobs that have ended, and so is asked every minute.
    """
    seconds: dict[str, int] = {}
    command = ["squeue", "--me", "--states=all", "--noheader", "--format=%j %i %M"]
    while process.poll() is None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(60)
        shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        for name, job, elapsed in map(str.split, shown.splitlines()):
            if name.startswith(prefix):
                seconds[job] = in_seconds(elapsed)
    return sum(seconds.values())


def in_seconds(elapsed: str) -> int:
    """Return a time of SLURM's, [[days-]hours:]minutes:seconds, in seconds."""
    days, _, rest = elapsed.rpartition("-")
    total = 0
    for part in rest.split(":"):
        total = 60 * total + int(part)
    return int(days or 0) * 86400 + total


def count_calls(directory: Path, log: Path) -> str:
    """Put a program that counts before each command of SLURM; return the PATH that finds them."""
    directory.mkdir()
    for name in COUNTED:
        if real := shutil.which(name):
            program = directory / name
            program.write_text(COUNTER.format(name=name, log=log, real=real))
            program.chmod(0o755)
    return f"{directory}{os.pathsep}{os.environ['PATH']}"


if __name__ == "__main__":
    sys.exit(main())
