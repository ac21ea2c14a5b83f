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

from peers_training import EVERY, judging, machine, processes

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
        options.batch, options.runs, options.images, options.image_size = [16], [1, 3], 60, 32
        options.repetitions = 1
    return options


def main(arguments: list[str] | None = None) -> int:
    """Measure, print and write; return the exit status."""
    options = parse(arguments)
    if EVERY[STACKED].library() is None:
        sys.exit("This benchmark needs JAX: pip install 'boxest[jax]'.")
    result, to_markdown = (study, study_markdown) if options.study else (compare, markdown)
    result = result(options)
    text = to_markdown(result)
    print(text)
    if options.markdown:
        options.markdown.write_text(text + "\n", "utf-8")
    if options.json:
        options.json.write_text(json.dumps(result, indent=1) + "\n", "utf-8")
    return int(bool(result["wrong"]))


def compare(options: argparse.Namespace) -> dict:
    """Measure all ways, batch size by batch size."""
    rows = []
    for batch in options.batch:
        rows.append(measure(batch, options))
        print(rows[-1], file=sys.stderr, flush=True)
    devices = [device for row in rows for device in row["devices"]]
    wrong = [
        f"Batch size {row['batch']}: not all have trained alike, losses {row['losses']}."
        for row in rows
        if not row["plausible"]
    ]
    wrong = list(filter(None, [judging.mixed(devices), *wrong]))
    return _about(options, devices) | {"rows": rows, "wrong": wrong}


def _about(options: argparse.Namespace, devices: list[str]) -> dict:
    settings = {k: v for k, v in vars(options).items() if k not in ("json", "markdown")}
    return {"machine": machine.describe() | {"devices": sorted(set(devices))}, "options": settings}


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
    losses = {name: done[name]["losses"] for name in (IN_TURN, KERAS)}
    losses |= {f"{n} at once": epochs for n, epochs in done[STACKED]["losses"].items()}
    return {
        "batch": batch,
        "images": job["images"],
        STACKED: {int(n): _rates(int(n) * job["images"], s) for n, s in stacked.items()},
        IN_TURN: _rates(job["images"], done[IN_TURN]["seconds"]),
        KERAS: _rates(job["images"], done[KERAS]["seconds"]),
        "compile_seconds": done[STACKED]["compile_seconds"],
        "devices": [found["device"] for found in done.values()],
        "losses": losses,
        "plausible": all(judging.plausible(list(losses.values()))),
    }


def _runs(name: str, options: argparse.Namespace) -> list[int]:
    """A run in turn takes what one run takes, however many there are."""
    return options.runs if name == STACKED else []


def _rates(images: int, seconds: list[float]) -> list[float]:
    """Return images/s: median, least and greatest."""
    rates = [images / one for one in seconds]
    return [statistics.median(rates), min(rates), max(rates)]


def markdown(result: dict) -> str:
    """Return a table of images/s, and how many times those of the others that is."""
    options = result["options"]
    lines = [
        "# Many runs in one program",
        "",
        machine.text(result["machine"]),
        "",
        f"{options['image_size']} px, the paper's network, inclusive IoU, SGD, "
        f"{options['threads'] or 'all'} thread(s). Images per second of all runs together: median "
        f"of {options['repetitions']} epochs after one of warm-up, least and greatest; then the "
        "median as a multiple of run after run on JAX, and of Keras. Compilation is not in it.",
        "",
        "| batch size | "
        + " | ".join(f"{n} runs at once" for n in options["runs"])
        + f" | {WAYS[IN_TURN]} | {WAYS[KERAS]} |",
        "| ---: |" + " ---: |" * (len(options["runs"]) + 2),
    ]
    for row in result["rows"]:
        in_turn, keras = row[IN_TURN], row[KERAS]
        cells = [
            f"{_cell(rates)}: {rates[0] / in_turn[0]:.2f}, {rates[0] / keras[0]:.1f}"
            for rates in row[STACKED].values()
        ]
        cells += [_cell(in_turn), _cell(keras)]
        lines.append(f"| {row['batch']} | " + " | ".join(cells) + " |")
    return "\n".join([*lines, *(f"\n**{sentence}**" for sentence in result["wrong"])])


def _cell(rates: list[float]) -> str:
    median, least, greatest = (f"{rate:,.0f}" for rate in rates)
    return f"{median} ({least}–{greatest})"


def study(options: argparse.Namespace) -> dict:
    """Train the paper's runs (§3) to their last epoch, a batch size at once."""
    os.environ["KERAS_BACKEND"] = "jax"
    import boxest

    if options.threads:
        boxest.set_threads(options.threads)
    sizes, rates, seeds, epochs = (4, 16, 64, 256, 1024, 4096), (1e-4, 1e-3, 1e-2, 1e-1), 10, 30
    n_train, n_validation = 8000, 1000
    if options.quick:
        sizes, rates, seeds, epochs, n_train, n_validation = (16, 64), (1e-2,), 2, 2, 100, 20
    data = boxest.synthetic.make(0, n_train + n_validation, seed=0, image_size=options.image_size)
    train, validation = [part[:n_train] for part in data], [part[n_train:] for part in data]
    rows = []
    for size in sizes:
        settings = {"batch_size": size, "epochs": epochs, "plateau_patience": None}
        regressors = [
            boxest.BoxRegressor.paper(learning_rate=rate, random_state=seed, **settings)
            for rate in rates
            for seed in range(seeds)
        ]
        before = time.perf_counter()
        boxest.fit_many(regressors, *train, validation_data=validation)
        seconds = time.perf_counter() - before
        parts = {
            f"{name}_seconds": sum(one.seconds_[name] for one in regressors)
            for name in ("compile", "train", "evaluation")
        }
        rows.append({"batch": size, "seconds": seconds, **parts})
        print(rows[-1], file=sys.stderr, flush=True)
    about = _about(options, [regressors[0].runtime_["device"]])
    about |= {"runs": len(sizes) * len(rates) * seeds, "epochs": epochs}
    return about | {"rows": rows, "wrong": []}


def study_markdown(result: dict) -> str:
    """Return a table of seconds."""
    names = ("seconds", "compile_seconds", "train_seconds", "evaluation_seconds")
    total = {name: sum(row[name] for row in result["rows"]) for name in names}
    rows = [*result["rows"], {"batch": "all", **total}]
    lines = [
        "# The paper's study in one program per batch size",
        "",
        machine.text(result["machine"]),
        "",
        "| batch size | seconds | of which compiling | training | evaluating |",
        "| ---: | ---: | ---: | ---: | ---: |",
        *(
            f"| {row['batch']} | " + " | ".join(f"{row[name]:.1f}" for name in names) + " |"
            for row in rows
        ),
        "",
        f"{result['runs']} runs of {result['epochs']} epochs: "
        f"{total['seconds'] - total['compile_seconds']:.1f} s without compilation.",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
