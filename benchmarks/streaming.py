"""Training on more images than memory should hold: speed against resident training, and memory.

python benchmarks/streaming.py [--images 200000] [--epochs 3]

Makes shards in a temporary directory, then trains in processes of their own, with one thread: on
a tenth of the images, resident; on all of them, streamed from a temporary file. Prints images/s of
the epochs after the first, and the peak of resident memory.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

SHARD = 10_000

FIT = """
import json, resource, sys
import boxest
boxest.set_threads(1)
paths, limit, epochs = json.loads(sys.argv[1])
regressor = boxest.BoxRegressor.paper(
    batch_size=64, learning_rate=0.01, epochs=epochs, validation_fraction=0, plateau_patience=None,
    memory_limit=limit, random_state=0,
).fit(paths)
seconds = [row["train_seconds"] for row in regressor.history_[1:]]
print(json.dumps({
    "losses": [row["train_loss"] for row in regressor.history_],
    "images_per_second": 64 * regressor.history_[0]["updates"] * len(seconds) / sum(seconds),
    "peak_gigabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20,
}))
"""


def make_shards(directory: Path, n_images: int) -> list[str]:
    from boxest import shards, synthetic

    paths = []
    for start in range(0, n_images, SHARD):
        stop = min(start + SHARD, n_images)
        meta = shards.Meta("train", start, stop, 0, 128, synthetic.BoxLaw())
        paths.append(str(directory / f"train-{start}.h5"))
        shards.write(paths[-1], *synthetic.make(start, stop, seed=0), meta)
    return paths


def fit(paths: list[str], limit: float, epochs: int) -> dict:
    argument = json.dumps([paths, limit, epochs])
    command = [sys.executable, "-c", FIT, argument]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=200_000)
    parser.add_argument("--epochs", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        paths = make_shards(Path(directory), options.images)
        resident = fit(paths[: max(1, len(paths) // 10)], 2**40, options.epochs)
        streamed = fit(paths, 2**20, options.epochs)
    print("| | images | images/s | peak memory (GB) | losses |\n| --- | ---: | ---: | ---: | --- |")
    sizes = min(options.images, max(1, len(paths) // 10) * SHARD), options.images
    for name, size, one in zip(("resident", "streamed"), sizes, (resident, streamed), strict=True):
        losses = ", ".join(f"{loss:.4f}" for loss in one["losses"])
        speed, memory = one["images_per_second"], one["peak_gigabytes"]
        print(f"| {name} | {size:,} | {speed:,.0f} | {memory:.2f} | {losses} |")
    ratio = streamed["images_per_second"] / resident["images_per_second"]
    print(f"\nstreamed / resident: {ratio:.2f}")


if __name__ == "__main__":
    main()
