"""Make the estimator of a run from its settings."""

import importlib.util
import inspect
import json
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

from boxest import BoxRegressor
from boxest.data import augmentation
from boxest.study.run_table import OWN, own_file
from boxest.study.schema import ConfigurationError


def make(settings: Mapping[str, Any], seed: int, files: Mapping[str, str] = {}) -> BoxRegressor:
    """Return the estimator of a run, not fitted.

    Parameters
    ----------
    settings : mapping
        Parameters of `BoxRegressor` in the form of a configuration, and ``condition``, which is
        ignored here. A network, a loss or an optimizer may be "file.py:function".
    seed : int
        Its ``random_state``.
    files : mapping of str
        Paths of the files of such functions, by the names in the settings.
    """
    parameters = {name: value for name, value in settings.items() if name != "condition"}
    for name in OWN:
        if file := own_file(parameters.get(name)):
            value = _function(files[file], parameters[name].partition(":")[2])
            # Networks, optimizers and losses are created for each run.
            makes = name == "optimizer" or inspect.isclass(value)
            value = value() if makes else value
            if name == "loss" and inspect.isfunction(value):
                value = _loss(value)
            parameters[name] = value
    return BoxRegressor(**parameters, random_state=seed)


def check(
    cells: Sequence[Mapping[str, Any]], files: Mapping[str, str], image_shape: tuple[int, ...]
) -> None:
    """Check settings like `BoxRegressor`, and the outputs of networks, before any job starts.

    Parameters
    ----------
    cells : sequence of mapping
        The settings of all cells.
    files : mapping of str
        As for `make`.
    image_shape : (height, width, channels)
        Shape for building the user's networks.

    Raises
    ------
    ConfigurationError
        With the message of `BoxRegressor`, or of the function.
    """
    if any(own_file(cell[name]) for cell in cells for name in OWN):
        _check_apart(cells, files, image_shape)
    else:
        _check(cells, files, image_shape)


def _check_apart(cells: Sequence[Mapping], files: Mapping[str, str], shape: tuple) -> None:
    """Check in a separate process, because the user's functions may import the backend."""
    done = subprocess.run(
        [sys.executable, "-m", "boxest.study.estimators"],
        input=json.dumps([cells, files, shape]),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise ConfigurationError((done.stderr.strip().splitlines() or ["config: killed"])[-1])


def _check(cells: Sequence[Mapping], files: Mapping[str, str], image_shape: tuple) -> None:
    for cell in cells:
        try:
            regressor = make(cell, 0, files)
            regressor._validate_params()
            augmentation.of(regressor.augmentation)
            if own_file(cell["network"]):
                _build(regressor, image_shape)
        except Exception as error:
            raise ConfigurationError(f"config: {type(error).__name__}: {error}") from error


def _build(regressor: BoxRegressor, image_shape: tuple[int, ...]) -> None:
    from boxest import networks
    from boxest.system import backend

    backend.start()
    networks.build(regressor.network, image_shape)


def _loss(function: Callable[[Any, Any], Any]) -> Any:
    """Turn a function of true and predicted boxes into a Keras loss."""
    import keras

    class FunctionLoss(keras.losses.Loss):
        def call(self, y_true: Any, y_pred: Any) -> Any:
            return function(y_true, y_pred)

    # It is the user's, and may see the whole batch; see `boxest.training.layout.is_of_a_user`.
    FunctionLoss.__module__ = function.__module__
    return FunctionLoss(name=function.__name__)


@cache
def _function(path: str, name: str) -> Any:
    """Return the object with a name in a user's file."""
    spec = importlib.util.spec_from_file_location(f"boxest_study_{abs(hash(path))}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return getattr(module, name)


if __name__ == "__main__":
    try:
        _check(*json.load(sys.stdin))
    except ConfigurationError as error:
        # The caller reads the last line: a warning may stand above it.
        sys.exit(" ".join(str(error).split()))
