"""Images per second of many runs in one program, of the same runs in turn, and of plain Keras.

    python benchmarks/many.py --markdown many.md --json many.json
    python benchmarks/many.py --study           # seconds of the paper's 240 runs of 30 epochs

On a GPU, the same commands. All three ways have one process each per batch size.
"""

import argparse
import json
import os
import statistics
import sys
import time
from pathlib import Path

from peers_training import EVERY, machine, processes

WAYS = {
    "boxest-stacked": "all runs at once (`fit_many`)",
    "boxest-jax": "run after run, boxest on JAX",
    "keras-default": "run after run, Keras `fit`",
}
STACKED, IN_TURN, KERAS = WAYS


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """Read the options."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--batch", type=int, nargs="+", default=[4, 16, 256, 4096])
    add("--runs", type=int, nargs="+", default=[1, 4, 10, 40])
    add("--images", type=int, default=8000, help="at least as many as one batch has are taken")
    add("--image-size", type=int, default=128)
    add("--epochs", type=int, default=3, dest="repetitions", help="timed ones")
    add("--threads", type=int, default=1, help="0: as many as the library likes")
    add("--study", action="store_true", help="time the paper's whole study instead")
    add("--quick", action="store_true", help="does it work: few, small images")
    add("--json", type=Path)
    add("--markdown", type=Path)
    options = parser.parse_args(arguments)
    if options.quick:
        options.batch, options.runs, options.images, options.image_size = [4, 16], [1, 3], 60, 32
        options.repetitions = 1
    return options


def main(arguments: list[str] | None = None) -> int:
    """Measure, print and write; return the exit status."""
    options = parse(arguments)
    if EVERY[STACKED].library() is None:
        sys.exit("This benchmark needs JAX: pip install 'boxest[jax]'.")
    if options.study:
        print(study(options))
        return 0
    rows = []
    for batch in options.batch:
        rows.append(measure(batch, options))
        print(rows[-1], file=sys.stderr, flush=True)
    settings = {k: v for k, v in vars(options).items() if k not in ("json", "markdown")}
    result = {"machine": machine.describe(), "options": settings, "rows": rows}
    text = markdown(result)
    print(text)
    if options.markdown:
        options.markdown.write_text(text + "\n", "utf-8")
    if options.json:
        options.json.write_text(json.dumps(result, indent=1) + "\n", "utf-8")
    return 0


def measure(batch: int, options: argparse.Namespace) -> dict:
    """Measure a batch size: images/s of each way, for the stack by number of runs."""
    job = {
        "batch": batch,
        "images": max(options.images, batch),
        "image_size": options.image_size,
        "repetitions": options.repetitions,
        "threads": options.threads,
    }
    done = {name: processes.run(name, job | {"runs": _runs(name, options)}, 1)[0] for name in WAYS}
    stacked = done[STACKED]["seconds"]
    losses = [found["first_epoch_loss"] for found in done.values()]
    return {
        "batch": batch,
        "images": job["images"],
        STACKED: {int(n): int(n) * _rate(job, seconds) for n, seconds in stacked.items()},
        IN_TURN: _rate(job, done[IN_TURN]["seconds"]),
        KERAS: _rate(job, done[KERAS]["seconds"]),
        "compile_seconds": done[STACKED]["compile_seconds"],
        # The same start, but another order in Keras: as in training.py.
        "plausible": max(losses) - min(losses) < 0.05 * max(losses),
    }


def _runs(name: str, options: argparse.Namespace) -> list[int]:
    """A run in turn takes what one run takes, however many there are."""
    return options.runs if name == STACKED else []


def _rate(job: dict, seconds: list[float]) -> float:
    return job["images"] / statistics.median(seconds)


def markdown(result: dict) -> str:
    """Return a table of images/s, and how many times those of the others that is."""
    options = result["options"]
    lines = [
        "# Many runs in one program",
        "",
        machine.text(result["machine"]),
        "",
        f"{options['image_size']} px, the paper's network, inclusive IoU, SGD, "
        f"{options['threads'] or 'all'} thread(s). Images per second of all runs together; in "
        "brackets, as a multiple of run after run on JAX, and of Keras. Median of "
        f"{options['repetitions']} epochs behind one of warm-up; compilation is not in it.",
        "",
        "| batch size | "
        + " | ".join(f"{n} runs at once" for n in options["runs"])
        + f" | {WAYS[IN_TURN]} | {WAYS[KERAS]} |",
        "| ---: |" + " ---: |" * (len(options["runs"]) + 2),
    ]
    for row in result["rows"]:
        cells = [
            f"{rate:,.0f} ({rate / row[IN_TURN]:.2f}, {rate / row[KERAS]:.1f})"
            for rate in row[STACKED].values()
        ]
        cells += [f"{row[IN_TURN]:,.0f}", f"{row[KERAS]:,.0f}"]
        lines.append(f"| {row['batch']} | " + " | ".join(cells) + " |")
    wrong = [row["batch"] for row in result["rows"] if not row["plausible"]]
    if wrong:
        lines += ["", f"First losses differ by more than 5 %: batch size {wrong}."]
    return "\n".join(lines)


def study(options: argparse.Namespace) -> str:
    """Train the paper's runs (§3) to their last epoch, a batch size at once: a table of seconds."""
    os.environ["KERAS_BACKEND"] = "jax"
    import boxest

    if options.threads:
        boxest.set_threads(options.threads)
    quick = options.quick
    sizes, rates, seeds, epochs = (4, 16, 64, 256, 1024, 4096), (1e-4, 1e-3, 1e-2, 1e-1), 10, 30
    n_train, n_validation = 8000, 1000
    if quick:
        sizes, rates, seeds, epochs, n_train, n_validation = (16, 64), (1e-2,), 2, 2, 100, 20
    data = boxest.synthetic.make(0, n_train + n_validation, seed=0, image_size=options.image_size)
    train, validation = [part[:n_train] for part in data], [part[n_train:] for part in data]
    lines = ["| batch size | seconds | of them compiling |", "| ---: | ---: | ---: |"]
    total = compiling = 0.0
    for size in sizes:
        regressors = [
            boxest.BoxRegressor(
                batch_size=size, learning_rate=rate, random_state=seed, epochs=epochs,
                plateau_patience=None,
            )
            for rate in rates
            for seed in range(seeds)
        ]  # fmt: skip
        before = time.perf_counter()
        boxest.fit_many(regressors, *train, validation_data=validation)
        seconds = time.perf_counter() - before
        compile_seconds = len(regressors) * regressors[0].seconds_["compile"]
        lines.append(f"| {size} | {seconds:.1f} | {compile_seconds:.1f} |")
        total, compiling = total + seconds, compiling + compile_seconds
    lines.append(f"| all | {total:.1f} | {compiling:.1f} |")
    n_runs = len(sizes) * len(rates) * seeds
    runtime = regressors[0].runtime_
    lines += ["", f"{n_runs} runs of {epochs} epochs on {runtime['device']}: "]
    lines[-1] += f"{total - compiling:.1f} s without compilation."
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
