"""The tests of training, once more on the JAX backend: Keras chooses its backend once a process."""

import importlib.util
import os
import re
import subprocess
import sys

import pytest
from conftest import ROOT

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("jax") is None, reason="needs JAX: pip install 'boxest[jax]'"
)


@pytest.mark.jax
@pytest.mark.slow
def test_training_passes_its_tests_on_jax():
    tests = ["tests/test_training.py", "tests/test_stream.py", "tests/test_persistence.py"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", *tests],
        cwd=ROOT,
        env=os.environ | {"KERAS_BACKEND": "jax"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert int(re.search(r"(\d+) passed", done.stdout).group(1)) > 120
    assert "skipped" not in done.stdout


@pytest.mark.jax
@pytest.mark.slow
def test_first_fit_on_jax_prints_nothing_and_names_its_backend(python):
    code = (
        "import os; os.dup2(1, 2)\n"
        "from boxest import BoxRegressor, synthetic\n"
        "X, y = synthetic.make(0, 40, seed=0, image_size=16)\n"
        "first, second = (BoxRegressor(epochs=1, random_state=0).fit(X, y) for _ in range(2))\n"
        "print(first.runtime_['backend'], (first.predict(X) == second.predict(X)).all())"
    )
    assert python(code, KERAS_BACKEND="jax") == "jax True\n"
