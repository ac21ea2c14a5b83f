"""What a network's programs keep from one training to the next."""

import gc

import keras
import numpy as np
import pytest

from boxest import BoxRegressor, synthetic
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
    assert "unfolded_program" in vars(trainer)
    assert "program" not in vars(trainer)


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
    assert trainer.unfolded_program.examples is None
    assert np.isfinite(fitted.predict(data[0])).all()


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="JAX has no graphs")
def test_graphs_do_not_outlive_their_training(data):
    import tensorflow as tf

    def graphs(seed):
        BoxRegressor.paper(epochs=1, random_state=seed, xla=False).fit(*data)
        gc.collect()
        return sum(isinstance(value, tf.Graph) for value in gc.get_objects())

    assert graphs(0) == graphs(1)
