"""What tells one training from another, and parameters that are the same."""

import functools
import os

import keras
import numpy as np
import pytest

from boxest.estimator import optimizers
from boxest.training import fingerprint


def of(loss_or_optimizer):
    return fingerprint.describe(loss_or_optimizer)


def digest(*layers, learning_rate=0.1):
    """The digest of a small network, of which weights and shapes are always the same."""
    model = keras.Sequential([keras.Input((4,)), *layers])
    for variable in model.variables:
        variable.assign(np.zeros(variable.shape, variable.dtype))
    return fingerprint.of_network(model, optimizers.get("sgd", model, learning_rate))


def dense(**settings):
    return keras.layers.Dense(4, **settings)


class Loss(keras.losses.Loss):
    """A loss that keeps its weight to itself."""

    def __init__(self, weight):
        super().__init__()
        self.weight = weight

    def call(self, y_true, y_pred):
        return self.weight * keras.ops.mean(abs(y_true - y_pred), axis=-1)


class Network:
    """A callable with numbers of its own."""

    def __init__(self, units, values=()):
        self.units, self.values = units, np.array(values)

    def __call__(self, *args):
        """Would build a network."""

    def build(self, *args):
        """Would, too."""


DIFFERENT = {
    "huber": (keras.losses.Huber(1.0), keras.losses.Huber(0.1)),
    "own loss": (Loss(1.0), Loss(1.5)),
    "class of loss": (keras.losses.MeanSquaredError(), keras.losses.MeanAbsoluteError()),
    "momentum": (keras.optimizers.SGD(momentum=0.9), keras.optimizers.SGD(momentum=0.8)),
    "partial, by name": (functools.partial(print, end=""), functools.partial(print, end=" ")),
    "partial, by place": (functools.partial(print, 1), functools.partial(print, 2)),
    "partial, function": (functools.partial(print, 1), functools.partial(repr, 1)),
    "callable": (Network(3), Network(4)),
    "method": (Network(3).build, Network(4).build),
    "array": (np.array([1.0, 2.0]), np.array([1.0, 3.0])),
    "type of array": (np.array([1.0]), np.array([1.0], "float32")),
    "nested": ({"a": [1, keras.losses.Huber(1.0)]}, {"a": [1, keras.losses.Huber(0.1)]}),
    "function": (print, repr),
}
EQUAL = {
    "huber": lambda: keras.losses.Huber(0.3),
    "rate": lambda: keras.optimizers.Adam(np.random.default_rng().random()),
    "name": lambda: keras.optimizers.Adam(name=f"mine_{np.random.default_rng().integers(1e9)}"),
    "partial": lambda: functools.partial(print, 1, end=""),
    "array": lambda: np.array([1.0, np.nan]),
    "tuple": lambda: (1, np.float64(0.5), "a"),
}


@pytest.mark.parametrize(("a", "b"), DIFFERENT.values(), ids=DIFFERENT.keys())
def test_what_has_another_effect_is_told_apart(a, b):
    assert fingerprint.describe(a) != fingerprint.describe(b)
    assert not fingerprint.same(a, b)
    assert fingerprint.same(a, a)


@pytest.mark.parametrize("make", EQUAL.values(), ids=EQUAL.keys())
def test_what_has_the_same_effect_is_the_same(make):
    assert fingerprint.describe(make()) == fingerprint.describe(make())
    assert fingerprint.same(make(), make())


def test_functions_and_other_objects_are_the_same_as_themselves_alone():
    """They may hold what cannot be seen; a state in a file can tell them by name alone."""
    network = Network(3, [1.0])
    assert fingerprint.same(network.build, network.build)
    for make in (lambda: Network(3), lambda: Network(3).build, lambda: lambda: None):
        assert not fingerprint.same(make(), make())
        assert fingerprint.describe(make()) == fingerprint.describe(make())
    assert not fingerprint.same(*(functools.partial(lambda: None) for _ in range(2)))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ([keras.layers.Dropout(0.1, seed=1)], [keras.layers.Dropout(0.5, seed=1)]),
        ([dense(kernel_regularizer=keras.regularizers.L2(0.1))],
         [dense(kernel_regularizer=keras.regularizers.L2(0.2))]),
        ([dense(kernel_constraint=keras.constraints.MaxNorm(1))],
         [dense(kernel_constraint=keras.constraints.MaxNorm(2))]),
        ([keras.layers.BatchNormalization(momentum=0.9)],
         [keras.layers.BatchNormalization(momentum=0.8)]),
        ([dense(activation="relu")], [dense(activation="tanh")]),
        ([dense(trainable=True)], [dense(trainable=False)]),
        ([keras.Sequential([keras.layers.Dropout(0.1, seed=1)])],
         [keras.Sequential([keras.layers.Dropout(0.5, seed=1)])]),
        ([dense(dtype="float32")], [dense(dtype="mixed_bfloat16")]),
    ],
    ids=["dropout", "penalty", "constraint", "momentum", "activation", "trainable", "inner",
         "precision"],
)  # fmt: skip
def test_layers_that_are_set_otherwise_are_another_network(one, other):
    def again(layers):
        config = [(type(layer), layer.get_config()) for layer in layers]
        return [kind.from_config(settings | {"name": "again"}) for kind, settings in config]

    first = digest(*one)
    assert first != digest(*other)
    assert first == digest(*again(one))


def test_threads_are_those_of_the_processors_that_a_process_may_use(monkeypatch):
    monkeypatch.delenv("TF_NUM_INTRAOP_THREADS", raising=False)
    found = []
    for processors in ({0}, {0, 1}):
        monkeypatch.setattr(os, "sched_getaffinity", lambda _, p=processors: p, raising=False)
        found.append(fingerprint.of_runtime()["threads"])
    assert found == [1, 2]
