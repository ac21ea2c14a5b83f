"""The tests of training, once more on the JAX backend: Keras chooses its backend once a process."""

import importlib.util
import os
import re
import subprocess
import sys

import pytest
from conftest import ROOT


def on_jax(test):
    """Mark a test that needs JAX."""
    missing = importlib.util.find_spec("jax") is None
    skipped = pytest.mark.skipif(missing, reason="needs JAX: pip install 'boxest[jax]'")
    return pytest.mark.slow(pytest.mark.jax(skipped(test)))


# A search for a rate with a known answer, and one that precedes a training.
SEARCHES = [
    "rates.py::test_range_test_finds_where_gradient_descent_diverges",
    "rates.py::test_auto_is_the_rate_that_is_found",
]


@on_jax
@pytest.mark.parametrize(
    ("names", "least", "options"),
    [
        # What is the same on both backends was tried with all of its parameters on TensorFlow.
        (["training.py", "stream.py", "losses.py", *SEARCHES], 57, ["--one-case"]),
        (["many.py"], 55, []),
    ],
    ids=["one case of each test", "many"],
)
def test_training_passes_its_tests_on_jax(names, least, options):
    files = [f"tests/test_{name}" for name in names]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-n", "0", *options, *files],
        cwd=ROOT,
        env=os.environ | {"KERAS_BACKEND": "jax"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert int(re.search(r"(\d+) passed", done.stdout).group(1)) > least
    assert "skipped" not in done.stdout


@on_jax
def test_first_fit_on_jax_prints_nothing_names_its_backend_and_is_saved(python, tmp_path):
    code = (
        "import os; os.dup2(1, 2)\n"
        "from boxest import BoxRegressor, synthetic\n"
        "X, y = synthetic.make(0, 40, seed=0, image_size=16)\n"
        "new = lambda: BoxRegressor.paper(epochs=1, random_state=0)\n"
        "first, second = (new().fit(X, y) for _ in range(2))\n"
        "print(first.runtime_['backend'], (first.predict(X) == second.predict(X)).all())\n"
        f"first.save({str(tmp_path / 'a.boxest')!r})\n"
        f"loaded = BoxRegressor.load({str(tmp_path / 'a.boxest')!r})\n"
        "print((loaded.partial_fit(X, y).predict(X) == second.partial_fit(X, y).predict(X)).all())"
    )
    assert python(code, KERAS_BACKEND="jax") == "jax True\nTrue\n"


@on_jax
def test_a_checkpoint_on_jax_imports_no_tensorflow(python, tmp_path):
    code = (
        "import sys, keras\n"
        "from boxest import BoxRegressor, synthetic\n"
        "def network(image_shape, **_):\n"
        "    layers = keras.layers\n"
        "    penalty = keras.regularizers.L2(0.01)\n"
        "    return keras.Sequential([keras.Input(image_shape), layers.Flatten(),\n"
        "        layers.Dropout(0.1), layers.Dense(4, kernel_regularizer=penalty)])\n"
        "X, y = synthetic.make(0, 40, seed=0, image_size=16)\n"
        f"settings = dict(checkpoint={str(tmp_path / 'state.npz')!r}, random_state=0, epochs=1)\n"
        "BoxRegressor.paper(network=network, loss=keras.losses.Huber(), **settings).fit(X, y)\n"
        "print('tensorflow' in sys.modules)"
    )
    assert python(code, KERAS_BACKEND="jax") == "False\n"


def test_many_runs_on_tensorflow_are_told_what_they_need():
    from boxest import BoxRegressor, fit_many, synthetic

    regressor = BoxRegressor.paper(random_state=0)
    with pytest.raises(RuntimeError, match=r"needs JAX, .*'tensorflow' here.*KERAS_BACKEND=jax"):
        fit_many([regressor], *synthetic.make(0, 20, seed=0, image_size=16))
    assert not hasattr(regressor, "model_")


@on_jax
def test_snippet_about_many_runs(python):
    page = (ROOT / "docs" / "many.md").read_text(encoding="utf-8")
    (snippet,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    n_networks, best, ensemble = python(snippet).split()
    assert n_networks == "40"
    assert 0.5 < float(best) < float(ensemble) < 1
