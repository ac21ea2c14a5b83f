"""What a network's programs keep from one training to the next."""

import gc
import json
import subprocess
import sys

import keras
import numpy as np
import pytest
from conftest import ROOT
from sklearn.base import clone

from boxest import BoxRegressor, synthetic
from boxest.training import shared
from boxest.training.backend import load
from boxest.training.loop import Trainer


@pytest.fixture(scope="module")
def data():
    return synthetic.make(0, 40, seed=0, image_size=16)


@pytest.fixture(scope="module")
def fitted(data):
    """Its images were cut into patches, and its programs stay."""
    settings = {"epochs": 3, "random_state": 0, "xla": True, "warm_start": True}
    return BoxRegressor.paper(**settings).fit(*data)


def test_an_evaluation_needs_no_second_program(fitted):
    trainer, _ = fitted._trainer
    assert "validation_iou_loss" in fitted.history_[0]
    assert "unfolded" in vars(trainer._programs)
    assert "program" not in vars(trainer._programs)


def test_seconds_begin_at_zero_where_the_training_before_failed(fitted, data, monkeypatch):
    trainer, _ = fitted._trainer

    def failing(self, *_):
        with self.clock("data"):
            pass
        self.clock.seconds["data"] += 1000
        raise OSError("no room")

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "_load", failing)
        with pytest.raises(OSError, match="no room"):
            fitted.fit(*data)
    before = fitted.seconds_["data"]
    fitted.fit(*data)
    assert fitted._trainer[0] is trainer
    assert fitted.seconds_["data"] - before < 500


def test_examples_are_let_go_of_when_a_training_has_ended(fitted, data):
    fitted.set_params(epochs=1).fit(*data)
    trainer, _ = fitted._trainer
    assert trainer.program.examples is None
    assert trainer._programs.unfolded.examples is None
    assert np.isfinite(fitted.predict(data[0])).all()


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="JAX has no graphs")
def test_graphs_do_not_outlive_their_training(data):
    import tensorflow as tf

    def graphs(seed):
        loss = keras.losses.MeanAbsoluteError()  # An object of the user's: programs of its own.
        BoxRegressor.paper(epochs=1, random_state=seed, xla=False, loss=loss).fit(*data)
        gc.collect()
        return sum(isinstance(value, tf.Graph) for value in gc.get_objects())

    assert graphs(0) == graphs(1)


@pytest.fixture
def compiled(monkeypatch):
    """Count the epochs that are compiled, and begin where nothing waits."""
    monkeypatch.setattr(shared, "WAITING", shared.Waiting())
    programs = []

    def counting(program, **options):
        programs.append(type(program).__name__)
        return compile_epoch(program, **options)

    backend = load()
    compile_epoch = backend.compile_epoch
    monkeypatch.setattr(backend, "compile_epoch", counting)
    return programs


def outcome(regressor, X):
    losses = [row["validation_iou_loss"] for row in regressor.history_]
    return [regressor.predict(X).tobytes(), losses]


def test_a_fit_that_fails_gives_its_programs_back(data, compiled):
    X, y = data
    regressor = BoxRegressor.paper(epochs=1, random_state=0).fit(X, y)
    damaged = np.where(np.arange(len(X)) == 3, np.nan, X.astype(float).T).T
    for _ in range(2):
        with pytest.raises(ValueError, match="NaN"):
            clone(regressor).fit(damaged, y)
    gc.collect()
    clone(regressor).fit(X, y)
    assert len(compiled) == 1


@pytest.mark.parametrize("network", ["paper", "marginal"])
def test_fits_of_one_kind_share_programs_and_nothing_else(data, compiled, network):
    settings = {"network": network, "epochs": 2, "batch_size": 8, "optimizer": {"name": "adam"}}
    first = BoxRegressor.paper(random_state=0, **settings).fit(*data)
    kept = outcome(first, data[0])
    second = clone(first).set_params(random_state=1, learning_rate=0.01).fit(*data)
    again = clone(first).fit(*data)
    assert len(compiled) == 1
    assert outcome(first, data[0]) == kept == outcome(again, data[0])
    assert outcome(second, data[0]) != kept
    alone = clone(second).set_params(optimizer=keras.optimizers.Adam(name="another")).fit(*data)
    assert len(compiled) == 2
    assert outcome(alone, data[0]) == outcome(second, data[0])


@pytest.mark.parametrize(
    "other",
    [
        {"loss": "giou"},
        {"optimizer": "rmsprop"},
        {"output_activation": "sigmoid"},
        {"augmentation": "default"},
    ],
    ids=lambda other: next(iter(other)),
)
def test_fits_of_another_kind_have_programs_of_their_own(data, compiled, other):
    regressor = BoxRegressor.paper(epochs=1, random_state=0, xla=False).fit(*data)
    clone(regressor).set_params(**other).fit(*data)
    assert len(compiled) == 2


def test_what_a_training_leaves_that_goes_on_is_not_shared(data, compiled):
    going_on = BoxRegressor.paper(epochs=1, random_state=0, xla=False, warm_start=True).fit(*data)
    clone(going_on).fit(*data)
    assert len(compiled) == 2
    assert going_on.fit(*data).n_iter_ == 2
    assert len(compiled) == 2


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["paper", "default"])
def test_memory_levels_off(kind):
    """XLA's programs would be 40 MB a fit."""
    script = ROOT / "benchmarks" / "memory.py"
    command = [sys.executable, script, "--kind", kind, "--fits", "8"]
    printed = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
    held = json.loads(printed.splitlines()[-1])
    assert len(held) == 8
    assert held[-1] - held[2] < 30
