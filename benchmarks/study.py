"""Wall time of a reduced study through Snakemake, against the paper's loop over Keras `fit`.

    python benchmarks/study.py --markdown study.md --json study.json

Both make the images, start up, train every run and evaluate after each epoch; neither draws.
"""

import argparse
import csv
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import yaml
from peers_training import machine, processes

ROOT = Path(__file__).resolve().parent.parent
STEPS = ("import", "data", "compile", "train", "evaluation")  # of run.json


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """Read the options."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--batch", type=int, nargs="+", default=[4, 64, 1024], dest="batch_size")
    add("--learning-rate", type=float, nargs="+", default=[0.01, 0.1])
    add("--seeds", type=int, default=2)
    add("--epochs", type=int, default=30, help="per run, as in the paper")
    add("--images", type=int, default=10_000)
    add("--image-size", type=int, default=128)
    add("--runs-per-job", type=int, default=1, help="seeds that one job trains")
    add("--cores", type=int, default=len(os.sched_getaffinity(0)), help="for Snakemake")
    add("--quick", action="store_true", help="does it work: two runs of two epochs, few images")
    add("--json", type=Path)
    add("--markdown", type=Path)
    options = parser.parse_args(arguments)
    if options.quick:
        options.batch_size, options.learning_rate, options.seeds = [16, 64], [0.1], 1
        options.epochs, options.images, options.image_size = 2, 100, 32
    return options


def main(arguments: list[str] | None = None) -> int:
    """Run both, print and write."""
    options = parse(arguments)
    settings = {k: v for k, v in vars(options).items() if k not in ("json", "markdown", "quick")}
    with tempfile.TemporaryDirectory() as directory:
        boxest = through_snakemake(settings, Path(directory))
    paper = paper_loop(settings)
    result = {
        "machine": machine.describe(),
        "options": settings,
        "snakemake": boxest,
        "paper": paper,
        "ratio": paper["wall_seconds"] / boxest["wall_seconds"],
        "greatest_relative_difference_of_losses": _difference(boxest, paper),
    }
    text = markdown(result)
    print(text)
    if options.markdown:
        options.markdown.write_text(text + "\n", "utf-8")
    if options.json:
        options.json.write_text(json.dumps(result, indent=1) + "\n", "utf-8")
    return 0


def through_snakemake(options: dict, directory: Path) -> dict:
    """Run the study's training jobs in an empty directory."""
    overlay = directory / "overlay.yaml"
    overlay.write_text(yaml.safe_dump(configuration(options)), "utf-8")
    runs = [
        f"results/runs/batch_size~{batch}/learning_rate~{rate}/seed~{seed}"
        for batch in options["batch_size"]
        for rate in options["learning_rate"]
        for seed in range(options["seeds"])
    ]
    command = [sys.executable, "-m", "snakemake", *(f"{run}/run.json" for run in runs)]
    command += ["--cores", str(options["cores"]), "--directory", str(directory)]
    command += ["--snakefile", str(ROOT / "workflow" / "Snakefile"), "--configfile"]
    command += [str(ROOT / "config" / "config.yaml"), str(overlay)]
    _, wall = _timed(command)
    return {"wall_seconds": wall} | _collect(directory / "results", [directory / r for r in runs])


def configuration(options: dict) -> dict:
    """Return the overlay of the configuration; no run stops early."""
    small = {"box_law": {"max_side": options["image_size"]}} if options["image_size"] < 128 else {}
    names = ("batch_size", "learning_rate", "seeds")
    return {
        "results": "results",
        "data": {"images": options["images"], "image_size": options["image_size"], **small},
        "settings": {"epochs": options["epochs"], "stop_patience": options["epochs"]},
        "grid": {name: options[name] for name in names},
        "best": None,
        "execution": {"runs_per_job": options["runs_per_job"]},
    }


def _collect(results: Path, runs: list[Path]) -> dict:
    """Read what the time of the jobs went into, and the last losses."""
    jobs = 0.0
    for path in (results / "benchmarks").rglob("*.tsv"):
        with path.open() as file:
            jobs += sum(float(row["s"]) for row in csv.DictReader(file, delimiter="\t"))
    seconds, losses = dict.fromkeys(STEPS, 0.0), {}
    for directory in runs:
        run = json.loads((directory / "run.json").read_text("utf-8"))
        for name in STEPS:
            seconds[name] += run["seconds"][name]
        with (directory / "history.csv").open() as file:
            last = list(csv.DictReader(file))[-1]
        cell = f"{run['batch_size']}, {run['learning_rate']:g}"
        losses.setdefault(cell, []).append(float(last["validation_loss"]))
    return {"job_seconds": jobs, "seconds": seconds, "validation_loss": losses}


def paper_loop(options: dict) -> dict:
    """Run the same runs in one process, one behind the other."""
    command = [sys.executable, "-m", "peers_training.paper_study", json.dumps(options)]
    output, wall = _timed(command)
    return {"wall_seconds": wall} | json.loads(output.splitlines()[-1])


def _timed(command: list[str]) -> tuple[str, float]:
    """Run a command to its end; return what it printed and its wall time."""
    surroundings = processes.environment("tensorflow", threads=0)
    before = time.perf_counter()
    done = subprocess.run(command, env=surroundings, capture_output=True, text=True, check=False)
    wall = time.perf_counter() - before
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stderr[-5000:]}")
    return done.stdout, wall


def _difference(boxest: dict, paper: dict) -> float:
    """Compare the mean last validation losses of each cell: first weights and order differ."""

    def mean(values):
        return sum(values) / len(values)

    pairs = [
        (mean(boxest["validation_loss"][cell]), mean(paper["validation_loss"][cell]))
        for cell in paper["validation_loss"]
    ]
    return max(abs(one - other) / other for one, other in pairs)


def markdown(result: dict) -> str:
    """Return the comparison as text and a table."""
    options, boxest, paper = result["options"], result["snakemake"], result["paper"]
    n_runs = len(options["batch_size"]) * len(options["learning_rate"]) * options["seeds"]
    jobs, within = boxest["job_seconds"], boxest["seconds"]
    rows = [
        ("wall time", boxest["wall_seconds"], paper["wall_seconds"]),
        ("sum over all jobs", jobs, paper["wall_seconds"]),
        *((name, within[name], paper["seconds"].get(name)) for name in STEPS),
        *_rest(jobs, within, paper),
    ]
    shares = [1 - within["train"] / jobs, 1 - paper["seconds"]["train"] / paper["wall_seconds"]]
    return "\n".join(
        [
            "# A reduced study",
            "",
            f"{machine.text(result['machine'])}\n",
            f"{n_runs} runs (batch size {options['batch_size']}, learning rate "
            f"{options['learning_rate']}, {options['seeds']} seeds) of {options['epochs']} epochs, "
            f"{options['images']:,} images of {options['image_size']} px; Snakemake on "
            f"{options['cores']} cores, {options['runs_per_job']} runs per job; the loop on all "
            "cores.",
            "",
            "| seconds | Snakemake | the paper's loop |",
            "| --- | ---: | ---: |",
            *(f"| {name} | {_number(one)} | {_number(other)} |" for name, one, other in rows),
            f"| share that is not training | {shares[0]:.0%} | {shares[1]:.0%} |",
            "",
            f"Through Snakemake {result['ratio']:.1f} times as fast. Last validation losses differ "
            f"by at most {result['greatest_relative_difference_of_losses']:.1%} per cell.",
            "",
        ]
    )


def _rest(jobs: float, within: dict, paper: dict) -> list[tuple]:
    rest = paper["wall_seconds"] - sum(paper["seconds"].values())
    return [("the rest: images, Python, starting the job", jobs - sum(within.values()), rest)]


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:,.1f}"


if __name__ == "__main__":
    sys.exit(main())
