"""Memory of a process that fits again and again, as in a search over settings.

    python benchmarks/memory.py                  # 30 fits of each kind, a table and memory.png
    KERAS_BACKEND=jax python benchmarks/memory.py
    python benchmarks/memory.py --job            # of one training on shards, step by step
    python benchmarks/memory.py --job --arrays   # the same, with all images in arrays

Each kind has a process of its own: fits of clones with other seeds and rates, by the paper's
network and by the default one, searches by `GridSearchCV` (a fit counts as one) and by
`find_learning_rate`. What is shown is the memory that the process holds after each fit.
"""

import argparse
import gc
import json
import subprocess
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

# Images in a shard, as in the paper's study.
SHARD = 2000
KINDS = ("paper", "default", "GridSearchCV", "find_learning_rate")


def measure(kind: str, fits: int) -> list[float]:
    """Return MiB held after each fit."""
    import psutil
    from sklearn.base import clone
    from sklearn.model_selection import GridSearchCV

    from boxest import BoxRegressor, find_learning_rate, synthetic

    X, y = synthetic.make(0, 60, seed=0, image_size=16)
    settings = {"epochs": 2, "random_state": 0, "batch_size": 8}
    if kind == "default":
        regressor = BoxRegressor(**settings)
    else:
        regressor = BoxRegressor.paper(xla=True, **settings)
    held: list[float] = []

    def note(score: float = 0.0) -> float:
        gc.collect()
        held.append(psutil.Process().memory_info().rss / 2**20)
        return score

    if kind == "GridSearchCV":
        rates = {"learning_rate": [0.01 + i / 1e4 for i in range(fits // 2)]}
        scoring = lambda fitted, X, y: note(fitted.score(X, y))  # noqa: E731
        GridSearchCV(regressor, rates, cv=2, refit=False, scoring=scoring).fit(X, y)
        return held
    for i in range(fits):
        if kind == "find_learning_rate":
            find_learning_rate(clone(regressor), X, y)
        else:
            clone(regressor).set_params(random_state=i, learning_rate=0.01 + i / 1e4).fit(X, y)
        note()
    return held


def write_shards(folder: str, n_images: int) -> list[str]:
    """Write the paper's images to shards, and return their paths."""
    from boxest import shards, synthetic

    paths = []
    for start in range(0, n_images, SHARD):
        stop = min(start + SHARD, n_images)
        meta = shards.Meta("train", start, stop, seed=0, image_size=128, law=synthetic.BoxLaw())
        paths.append(f"{folder}/{start}.h5")
        shards.write(paths[-1], *synthetic.make(start, stop, seed=0), meta)
    return paths


def job(n_images: int, *, arrays: bool) -> None:
    """Print what a training on shards of the paper's images holds after each step.

    The pages of libraries count in every process that uses them, but several processes share them;
    its own memory is what each further process needs.
    """
    import resource

    import psutil

    print("| after | memory, MB | its own, MB | at most, MB |\n| --- | ---: | ---: | ---: |")

    def note(step: str) -> None:
        memory, most = psutil.Process().memory_full_info(), resource.getrusage(resource.RUSAGE_SELF)
        held = memory.rss / 1e6, memory.uss / 1e6, most.ru_maxrss * 1024 / 1e6
        print(f"| {step} | {' | '.join(f'{value:,.0f}' for value in held)} |", flush=True)

    from boxest.system import backend, runtime

    runtime.prepare(1)
    with runtime.without_unused_packages():
        from boxest import BoxRegressor, shards
    with tempfile.TemporaryDirectory() as folder:
        # By another process, as in a study, so that this one has no memory of it.
        with ProcessPoolExecutor(1, get_context("spawn")) as other:
            paths = other.submit(write_shards, folder, n_images).result()
        note("boxest and scikit-learn")
        backend.start()
        note("Keras and its backend")
        regressor = BoxRegressor.paper(epochs=2, random_state=0)
        if arrays:
            regressor.fit(*shards.load(paths))
        else:
            regressor.fit(paths)
        note("training")


def draw(held: dict[str, list[float]], path: str) -> None:
    """Draw memory over fits."""
    from boxest.figures import style  # Not at the top: a job must not import it.

    @style.styled
    def figure_of_fits():
        figure = style.new_figure(5, 3)
        axes = figure.subplots()
        for kind, values in held.items():
            axes.plot(range(1, len(values) + 1), values, marker=".", label=kind)
        top = 1.15 * max(map(max, held.values()))
        axes.set(xlabel="Fits in one process", ylabel="Memory held (MiB)", ylim=(0, top))
        axes.legend()
        return figure

    figure_of_fits().savefig(path, dpi=150)


def main() -> None:
    """Measure each kind in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--fits", type=int, default=30)
    parser.add_argument("--figure", default="memory.png")
    parser.add_argument("--kind", choices=KINDS, help=argparse.SUPPRESS)
    parser.add_argument("--job", action="store_true", help="a training on the paper's images")
    parser.add_argument("--images", type=int, default=8000, help="for --job")
    parser.add_argument("--arrays", action="store_true", help="for --job")
    options = parser.parse_args()
    if options.job:
        job(options.images, arrays=options.arrays)
        return
    if options.kind:
        print(json.dumps(measure(options.kind, options.fits)))
        return
    held = {}
    print("| fits of | after 2 | after all | most |\n| --- | ---: | ---: | ---: |")
    for kind in KINDS:
        command = [sys.executable, __file__, "--kind", kind, "--fits", str(options.fits)]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        held[kind] = values = json.loads(done.stdout.splitlines()[-1])
        print(f"| {kind} | {values[1]:.0f} | {values[-1]:.0f} | {max(values):.0f} |", flush=True)
    draw(held, options.figure)


if __name__ == "__main__":
    main()
