"""What `BoxRegressor()` reaches on test data, kind of picture by kind of picture.

python benchmarks/bars.py DATA... [--images N] [--epochs 60] [--seeds 0 1 2] [--json FILE]

DATA: "rendered" (photographs), "faces", "shapes" (composed.py, needs scikit-image), or a condition
of config/harder.yaml, such as "clean" or "texture". Prints a line per training, and a table.
A training that FILE already has is not repeated. With --speed, predictions per second on one core,
of a network that has not been trained.
"""

import argparse
import itertools
import json
import os
import resource
import statistics
import tempfile
import time
from pathlib import Path

import composed
import numpy as np
import yaml

from boxest import BoxRegressor, boxes, photographs, set_threads, shards, synthetic
from boxest.data.photographs import rendered
from boxest.figures.images import predictions
from boxest.figures.style import save

HARDER = Path(__file__).parent.parent / "config" / "harder.yaml"
SMALL = 8  # px: below this side, boxes are counted for themselves, too


def of_rendered():
    """Return images and boxes of 1,200, 150 and 150 rendered photographs."""
    with tempfile.TemporaryDirectory() as folder:
        rendered.make(folder, 1500, seed=0)
        converted = photographs.convert(
            Path(folder) / "images", Path(folder) / "boxes.csv", Path(folder) / "shards",
            image_size=128, channels=3, mode="pad",
        )  # fmt: skip
        parts = converted.train, converted.validation, converted.test
        return [shards.load(part) for part in parts]


def of_condition(name):
    """Return images and boxes of a condition: 80 % to train, 10 % to validate, 10 % to test."""
    condition = yaml.safe_load(HARDER.read_text())["data"]["conditions"][name]
    n, size = condition.get("images", 10_000), condition.get("image_size", 128)
    law = synthetic.BoxLaw(**condition.get("box_law", {}))
    scene = synthetic.Scene(**condition.get("scene", {}))
    ends = [0, n * 8 // 10, n * 9 // 10, n]
    return [
        synthetic.make(*span, seed=0, image_size=size, law=law, scene=scene)
        for span in itertools.pairwise(ends)
    ]


def load(name, n_images):
    """Return (images, boxes) to train on, to validate with, and to test; None: held out by fit."""
    if name in ("faces", "shapes"):
        return (
            composed.make(name, "train", n_images or 1200),
            None,
            composed.make(name, "test", 200),
        )
    train, validation, test = of_rendered() if name == "rendered" else of_condition(name)
    return tuple(part[:n_images] for part in train), validation, test


def measure(name, n_images, epochs, seed, figures=None):
    """Train once; return what it reached, and what it cost; draw the fifteen worst, if wanted."""
    train, validation, test = load(name, n_images)
    wall, processor = time.perf_counter(), time.process_time()
    regressor = BoxRegressor(epochs=epochs, random_state=seed, verbose=1)
    regressor.fit(*train, validation_data=validation)
    wall, processor = time.perf_counter() - wall, time.process_time() - processor
    images, true = test
    predicted = regressor.predict(images)
    ious = boxes.iou(true, predicted)
    if figures is not None:
        figures.mkdir(parents=True, exist_ok=True)
        worst = np.argsort(ious)[:15]
        drawn = predictions(images[worst], true[worst], predicted[worst])
        save(drawn, figures / f"{name}-{len(train[0])}-{seed}-worst.png")
    sides = (true[:, 2:] - true[:, :2]).min(axis=1) * images.shape[1]
    small = ious[sides < SMALL]
    return {
        "data": name,
        "images": len(train[0]),
        "epochs": epochs,
        "seed": seed,
        "mean_iou": float(ious.mean()),
        "least_iou": float(ious.min()),
        "share_above_half": float((ious > 0.5).mean()),
        "mean_iou_small": float(small.mean()) if small.size else None,
        "seconds": wall,
        "processor_seconds": processor,
        "peak_gigabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9,
    }


def speed(n_images=1000):
    """Return images per second that one thread predicts, 128×128×3."""
    images = np.random.default_rng(0).integers(0, 256, (n_images, 128, 128, 3), np.uint8)
    some = np.tile([0.25, 0.25, 0.75, 0.75], (20, 1))
    regressor = BoxRegressor(epochs=1, random_state=0).fit(images[:20], some)
    regressor.predict(images[:100])
    start = time.process_time()
    regressor.predict(images)
    return n_images / (time.process_time() - start)


def rows(results):
    """Yield the rows of a table: means over the seeds."""
    columns = (
        "data",
        "images",
        "epochs",
        "seeds",
        "mean IoU",
        "least",
        "< 8 px",
        "processor s",
        "GB",
    )
    yield f"| {' | '.join(columns)} |"
    yield f"| --- {'| ---: ' * (len(columns) - 1)}|"
    cells = {(r["data"], r["images"], r["epochs"]): [] for r in results}
    for result in results:
        cells[result["data"], result["images"], result["epochs"]].append(result)
    for (name, n_images, epochs), runs in cells.items():
        seeds = ", ".join(str(run["seed"]) for run in runs)
        small = [run["mean_iou_small"] for run in runs]
        means = [
            f"{statistics.mean(run[key] for run in runs):.{digits}f}"
            for key, digits in (("processor_seconds", 0), ("peak_gigabytes", 2))
        ]
        yield (
            f"| {name} | {n_images:,} | {epochs} | {seeds} "
            f"| {statistics.mean(run['mean_iou'] for run in runs):.4f} "
            f"| {min(run['least_iou'] for run in runs):.3f} "
            f"| {'' if None in small else f'{statistics.mean(small):.4f}'} | {' | '.join(means)} |"
        )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", nargs="*")
    parser.add_argument("--images", type=int, help="how many to train on; the first ones")
    parser.add_argument("--epochs", type=int, default=BoxRegressor().epochs)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--json", type=Path, help="a line per training is added to it")
    parser.add_argument("--figures", type=Path, help="folder for pictures of the worst predictions")
    parser.add_argument("--speed", action="store_true")
    options = parser.parse_args()
    set_threads(1 if options.speed else options.threads)
    if options.speed:
        print(f"{speed():,.0f} images/s predicted on one core")
    there = options.json is not None and options.json.exists()
    results = [json.loads(line) for line in options.json.read_text().splitlines()] if there else []
    for name in options.data:
        for seed in options.seeds:
            wanted = {"data": name, "epochs": options.epochs, "seed": seed}
            wanted |= {"images": options.images} if options.images else {}
            if any(wanted.items() <= result.items() for result in results):
                continue
            results.append(measure(name, options.images, options.epochs, seed, options.figures))
            print(json.dumps(results[-1]), flush=True)
            if options.json is not None:
                with options.json.open("a") as file:
                    file.write(json.dumps(results[-1]) + "\n")
    if results:
        print("\n".join(rows(results)))


if __name__ == "__main__":
    main()
