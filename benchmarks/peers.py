"""What BoxRegressor and its peers do on the same tasks: every cell of the table is tried.

    pip install boxest scikeras skorch torch
    python benchmarks/peers.py [docs/peers.md]

Each cell is a process of its own, which imports one library, trains a small network on 60 images of
16 px, and checks one claim. Without an argument the table is printed alone.
"""

import os
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

import boxest

LIBRARIES = {
    "boxest": """
import boxest
from boxest import BoxRegressor
def make(epochs=2, seed=0):
    return BoxRegressor.paper(epochs=epochs, xla=False, random_state=seed)
def epochs_run(estimator):
    return estimator.n_iter_
GRID = {"learning_rate": [0.1, 0.01]}
""",
    "scikeras": """
import keras
from scikeras.wrappers import KerasRegressor
def build():
    layers = [keras.Input((16, 16)), keras.layers.Flatten(), keras.layers.Dense(4)]
    return keras.Sequential(layers)
def make(epochs=2, seed=0):
    return KerasRegressor(build, loss="mse", optimizer="sgd", optimizer__learning_rate=0.01,
                          epochs=epochs, verbose=0, random_state=seed)
def epochs_run(estimator):
    return len(estimator.history_["loss"])
GRID = {"optimizer__learning_rate": [0.1, 0.01]}
""",
    "skorch": """
import torch
from skorch import NeuralNetRegressor
class Module(torch.nn.Sequential):
    def __init__(self):
        super().__init__(torch.nn.Flatten(), torch.nn.Linear(256, 4))
def make(epochs=2, seed=0):
    # There is no parameter for a seed.
    return NeuralNetRegressor(Module, max_epochs=epochs, lr=0.01, verbose=0)
def epochs_run(estimator):
    return len(estimator.history)
GRID = {"lr": [0.1, 0.01]}
""",
    "keras.wrappers": """
import keras
from keras.wrappers import SKLearnRegressor
def build(X, y, learning_rate=0.01):
    n_targets = 1 if y.ndim == 1 else y.shape[1]
    layers = [keras.Input(X.shape[1:]), keras.layers.Flatten(), keras.layers.Dense(n_targets)]
    model = keras.Sequential(layers)
    model.compile(keras.optimizers.SGD(learning_rate), "mse")
    return model
def make(epochs=2, seed=0):
    # There is no parameter for a seed.
    return SKLearnRegressor(build, fit_kwargs={"epochs": epochs, "verbose": 0})
def epochs_run(estimator):
    return len(estimator.history_.epoch)
GRID = {"model_kwargs": [{"learning_rate": 0.1}, {"learning_rate": 0.01}]}
""",
}

# A library that refuses images, or four targets, is tried on flat rows, or one target, after that.
TASKS = {
    "takes images (n, h, w)": """
targets = y[:, 0] if "SKLearnRegressor" in globals() else y
assert len(make().fit(X, targets).predict(X)) == 60, "wrong shape"
""",
    "takes four targets": """
assert make().fit(X, y).predict(X).shape == (60, 4), "wrong shape"
""",
    "fit changes no parameter": """
estimator = make()
before = estimator.get_params(deep=False)
estimator.fit(X, y)
after = estimator.get_params(deep=False)
changed = [name for name in before if repr(after.get(name)) != repr(before[name])]
assert not changed, f"fit has changed {changed}"
""",
    "clone keeps all settings": """
epochs = epochs_run(clone(make(epochs=3)).fit(X, y))
assert epochs == 3, f"asked for 3 epochs, the clone ran {epochs}"
""",
    "GridSearchCV, n_jobs=2": """
search = GridSearchCV(make(), GRID, cv=2, n_jobs=2, error_score="raise").fit(X, y)
assert np.isfinite(search.cv_results_["mean_test_score"]).all(), "scores are not finite"
""",
    "pickle, same predictions in a fresh process": """
estimator = make().fit(X, y)
with open("estimator.pickle", "wb") as file:
    pickle.dump((estimator, X, estimator.predict(X)), file)
code = "import pickle; e, X, p = pickle.load(open('estimator.pickle', 'rb')); "
code += "assert (e.predict(X) == p).all(), 'other predictions'"
done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
assert done.returncode == 0, done.stderr.strip().splitlines()[-1]
""",
    "an integer seed gives the same bits": """
np.random.seed(1)
first, second = (make(seed=0).fit(X, y).predict(X) for _ in range(2))
assert np.array_equal(first, second), "two fits differ"
""",
    "sample_weight 0 is the absence of the row": """
weights = np.ones(60)
weights[30:] = 0
other = np.concatenate([y[:30], y[:29:-1]])
both = [make().fit(X, targets, sample_weight=weights).predict(X) for targets in (y, other)]
assert np.array_equal(*both), "rows of weight 0 change the network (or seeds are not kept)"
""",
    "an error for images of another shape": """
estimator = make().fit(X, y)
try:
    estimator.predict(X[:, :8])
except ValueError as error:
    assert "shape" in str(error) or "features" in str(error), f"unclear: {error}"
else:
    raise AssertionError("no error")
""",
}

PRELUDE = """
import os, pickle, subprocess, sys, warnings
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
warnings.simplefilter("ignore")
import numpy as np
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from library import *
corners = np.random.default_rng(0).integers(0, 8, (60, 2))
sizes = np.random.default_rng(1).integers(2, 8, (60, 2))
X = np.zeros((60, 16, 16), "float32")
for image, (left, top), (width, height) in zip(X, corners, sizes):
    image[top : top + height, left : left + width] = 1
y = (np.hstack([corners, corners + sizes]) / 16).astype("float32")
"""
SIMPLER = {
    "takes images (n, h, w)": "X = X.reshape(60, -1)\n",
    "takes four targets": "y = y[:, 0]\n",
}


def attempt(library: str, task: str, refused: list[str]) -> str:
    """Run one cell; return "yes", or what went wrong."""
    model = LIBRARIES[library]
    with tempfile.TemporaryDirectory() as directory:
        Path(directory, "library.py").write_text(model)
        code = PRELUDE + "".join(SIMPLER[name] for name in refused) + TASKS[task]
        Path(directory, "task.py").write_text(code)
        try:
            done = subprocess.run(
                [sys.executable, "task.py"],
                cwd=directory,
                env=os.environ | {"PYTHONPATH": os.pathsep.join([directory, *sys.path])},
                capture_output=True,
                text=True,
                timeout=600,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return "no: not done after 10 minutes"
    if done.returncode == 0:
        return "yes"
    errors = [line for line in done.stderr.splitlines() if _is_error(line)]
    text = (errors or done.stderr.strip().splitlines() or ["no message"])[-1]
    return f"no: {text.removeprefix('AssertionError: ')[:160]}"


def _is_error(line: str) -> bool:
    name = line.split(":")[0]
    return name.endswith(("Error", "Exception")) and " " not in name


def table() -> str:
    """Try all cells and write them down as Markdown."""
    notes, rows = [], []
    refused = {library: [] for library in LIBRARIES}
    for task in TASKS:
        cells = []
        for library in LIBRARIES:
            outcome = attempt(library, task, refused[library])
            print(f"{library}: {task}: {outcome}", file=sys.stderr, flush=True)
            if outcome != "yes":
                if task in SIMPLER:
                    refused[library].append(task)
                notes.append(f"{library}, {task}: {outcome.removeprefix('no: ')}")
                outcome = f"no [{len(notes)}]"
            cells.append(outcome)
        rows.append(f"| {task} | {' | '.join(cells)} |")
    return "\n".join([*_header(), *rows, "", *_notes(notes, refused)])


def _header() -> list[str]:
    versions = {"boxest": boxest.__version__, "keras.wrappers": version("keras")}
    names = [f"{name} {versions.get(name) or version(name)}" for name in LIBRARIES]
    also = ", ".join(f"{name} {version(name)}" for name in ("scikit-learn", "keras", "torch"))
    return [
        "# boxest and its peers",
        "",
        "For readers who compare boxest with other scikit-learn wrappers of neural networks.",
        "`benchmarks/peers.py` generates this page and tries each cell in its own process:",
        "`BoxRegressor`, and, with one dense layer each, scikeras' `KerasRegressor`, skorch's",
        f"`NeuralNetRegressor` and Keras' `SKLearnRegressor`. Other versions: {also}.",
        "",
        f"| | {' | '.join(names)} |",
        f"|---|{'---|' * len(names)}",
    ]


def _notes(notes: list[str], refused: dict[str, list[str]]) -> list[str]:
    lines = [f"{i}. {note}" for i, note in enumerate(notes, start=1)]
    for library, names in refused.items():
        if names:
            simpler = {"takes images (n, h, w)": "flat rows", "takes four targets": "one target"}
            with_what = " and ".join(simpler[name] for name in names)
            lines += ["", f"After that, {library} was tried with {with_what}."]
    return lines


if __name__ == "__main__":
    text = table() + "\n"
    print(text)
    if len(sys.argv) > 1:
        Path(sys.argv[1]).write_text(text)
