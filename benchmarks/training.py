"""Images per second and µs per step of boxest and of other ways to train the same network.

    python benchmarks/training.py --markdown training.md --json training.json

Every measurement is a process of its own, because threads are set before a library is imported.
"""

import argparse
import json
import math
import os
import statistics
import sys
from pathlib import Path

from peers_training import CONTENDERS, judging, machine, processes, tables


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """Read the options."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--batch", type=int, nargs="+", default=[4, 16, 64, 256, 1024, 4096])
    add("--images", type=int, default=8000)
    add("--image-size", type=int, default=128)
    add("--epochs", type=int, default=3, dest="repetitions", help="timed ones")
    add("--contenders", nargs="+", choices=CONTENDERS, default=list(CONTENDERS), metavar="NAME")
    add("--modes", nargs="+", choices=tables.MODES, default=list(tables.MODES))
    add("--thorough", action="store_true", help="try also the settings that lost everywhere so far")
    add("--quick", action="store_true", help="does it work: few, small images, one batch size")
    add("--json", type=Path)
    add("--markdown", type=Path)
    options = parser.parse_args(arguments)
    if options.quick:
        options.batch, options.images, options.image_size = [16], 100, 32
        options.repetitions = 1
    return options


def main(arguments: list[str] | None = None) -> int:
    """Measure, print and write; return the exit status."""
    options = parse(arguments)
    rows = []
    for batch in options.batch:
        for mode in options.modes:
            for name in options.contenders:
                rows.append(measure(name, mode, batch, options))
                print(_line(rows[-1]), file=sys.stderr, flush=True)
    _judge(rows)
    settings = {k: v for k, v in vars(options).items() if k not in ("json", "markdown")}
    devices = sorted({row["device"] for row in rows if row["status"] == "ok"})
    result = {
        "machine": machine.describe() | {"devices": devices},
        "options": settings,
        "rows": rows,
        "wrong": _wrong(rows, devices),
    }
    text = tables.markdown(result)
    print(text)
    if options.markdown:
        options.markdown.write_text(text + "\n", "utf-8")
    if options.json:
        options.json.write_text(json.dumps(result, indent=1) + "\n", "utf-8")
    return int(bool(result["wrong"]) or any(row["status"] == "failed" for row in rows))


def measure(name: str, mode: str, batch: int, options: argparse.Namespace) -> dict:
    """Measure a contender in one mode and batch size: a row of the result."""
    row = {"contender": name, "mode": mode, "batch": batch, "library": CONTENDERS[name].library()}
    if row["library"] is None:
        return row | {"status": "not installed"}
    cores = len(os.sched_getaffinity(0))
    n_processes = cores if mode == "machine" else 1
    job = {
        "batch": batch,
        "images": options.images,
        "image_size": options.image_size,
        "repetitions": options.repetitions,
        "threads": 0 if mode == "cores" else 1,
        "cool_down": int(n_processes > 1),
        "thorough": options.thorough,
    }
    try:
        measured = processes.run(name, job, n_processes)
    except RuntimeError as error:
        return row | {"status": "failed", "error": str(error)}
    return row | {"status": "ok"} | summary(measured, batch, options.images)


def summary(measured: list[dict], batch: int, n_images: int) -> dict:
    """Put what processes measured at once into one row: median, least and greatest."""
    steps = math.ceil(n_images / batch)
    epochs = list(zip(*(process["seconds"] for process in measured), strict=True))
    rates = [sum(n_images / seconds for seconds in epoch) for epoch in epochs]
    step_times = [1e6 * statistics.mean(epoch) / steps for epoch in epochs]
    return {
        "processes": len(measured),
        "images_per_second": _median_and_range(rates),
        "microseconds_per_step": _median_and_range(step_times),
        "seconds_per_epoch": [process["seconds"] for process in measured],
        "losses": measured[0]["losses"],
        "device": measured[0]["device"],
        "settings": measured[0]["settings"],
        "tried": measured[0].get("tried", {}),
    }


def _median_and_range(values: list[float]) -> list[float]:
    return [statistics.median(values), min(values), max(values)]


def _judge(rows: list[dict]) -> None:
    """Say of each row whether it is `judging.plausible` beside those of its batch size."""
    for batch in {row["batch"] for row in rows}:
        done = [row for row in rows if row["batch"] == batch and row["status"] == "ok"]
        verdicts = judging.plausible([row["losses"] for row in done])
        for row, verdict in zip(done, verdicts, strict=True):
            row["plausible"] = verdict


def _wrong(rows: list[dict], devices: list[str]) -> list[str]:
    """Return what keeps the numbers from being compared."""
    found = [
        f"{row['contender']} ({row['mode']}, batch {row['batch']}) has not trained like the "
        f"others: losses {row['losses']}."
        for row in rows
        if not row.get("plausible", True)
    ]
    return list(filter(None, [judging.mixed(devices), *found]))


def _line(row: dict) -> str:
    text = f"{row['contender']:18} {row['mode']:8} batch {row['batch']:5}  "
    if row["status"] != "ok":
        return f"{text}{row['status']} {row.get('error', '')}"
    return f"{text}{row['images_per_second'][0]:9,.0f} images/s  ({row['settings']})"


if __name__ == "__main__":
    sys.exit(main())
