"""The package from outside: names, import time, examples."""

import doctest
import importlib
import pkgutil

import pytest

import boxest


def test_import_is_instant_and_loads_no_backend(python):
    code = (
        "import sys, time\n"
        "before = time.perf_counter(); import boxest; took = time.perf_counter() - before\n"
        "heavy = {'tensorflow', 'keras', 'jax', 'sklearn', 'numpy', 'pandas', 'matplotlib'}\n"
        "print(took < 0.3, sorted(heavy & set(sys.modules)))"
    )
    assert python(code) == "True []\n"


def test_estimator_is_made_without_a_backend(python):
    code = (
        "import sys\nfrom boxest import BoxRegressor\nrepr(BoxRegressor(epochs=1))\n"
        "print(sorted({'tensorflow', 'keras', 'jax'} & set(sys.modules)))"
    )
    assert python(code) == "[]\n"


@pytest.mark.parametrize(
    "module", ["synthetic", "shards", "history", "analysis", "figures", "plan"]
)
def test_modules_beside_training_need_no_keras(python, module):
    code = f"import sys, boxest.{module}\nprint({{'keras', 'tensorflow'}} & set(sys.modules))"
    assert python(code) == "set()\n"


def test_plan_is_plain_python(python):
    """The Snakefile imports it, and the environment that runs Snakemake need not hold numpy."""
    code = "import sys, boxest.plan\nprint('numpy' in sys.modules)"
    assert python(code) == "False\n"


def test_public_names_are_there():
    assert all(getattr(boxest, name) is not None for name in boxest.__all__)
    assert "BoxRegressor" in dir(boxest)
    with pytest.raises(AttributeError, match="no attribute 'BoxClassifier'"):
        boxest.BoxClassifier  # noqa: B018


def modules():
    import keras

    other = "jax" if keras.backend.backend() == "tensorflow" else "tensorflow"
    return sorted(
        module.name
        for module in pkgutil.walk_packages(boxest.__path__, "boxest.")
        if not module.name.endswith(f"backend.{other}")
    )


@pytest.mark.parametrize("name", modules())
def test_examples_in_docstrings_run(name):
    assert doctest.testmod(importlib.import_module(name)).failed == 0


def test_threads_must_be_set_before_the_backend(python):
    code = "import boxest, keras\nboxest.set_threads(2)"
    with pytest.raises(AssertionError, match=r"set_threads\(2\) comes too late: tensorflow"):
        python(code)


def test_threads_must_be_positive():
    with pytest.raises(ValueError, match="at least 1, got 0"):
        boxest.set_threads(0)


def test_backend_obeys_the_number_of_threads(python):
    code = (
        "import boxest\nboxest.set_threads(1)\nimport tensorflow as tf\n"
        "print(tf.config.threading.get_intra_op_parallelism_threads(),"
        " boxest.runtime.describe()['threads'])"
    )
    environment = {"TF_NUM_INTRAOP_THREADS": "", "TF_CPP_MIN_LOG_LEVEL": "3"}
    assert python(code, **environment).split()[-1] == "1"
