"""A user's own losses, layers and optimizers are copied, cloned, pickled; settings of Keras."""

import copy
import json
import pickle
import threading
from pathlib import Path

import numpy as np
import pytest
from sklearn.base import clone

from boxest import BoxRegressor, find_learning_rate, synthetic
from boxest.system import backend

keras = pytest.importorskip("keras")


class Scaled(keras.losses.Loss):
    """A loss that tells Keras nothing of its own argument."""

    def __init__(self, factor):
        super().__init__()
        self.factor = factor

    def call(self, y_true, y_pred):
        return self.factor * keras.ops.mean(keras.ops.abs(y_true - y_pred), axis=-1)


class Half(keras.layers.Layer):
    """A layer that is not registered."""

    def call(self, inputs):
        return inputs / 2


def halved(image_shape, output_activation="linear", seed=0):
    layers = keras.layers
    start = keras.initializers.GlorotUniform(seed)
    stack = [Half(), layers.MaxPooling2D(4), layers.Flatten()]
    dense = layers.Dense(4, output_activation, kernel_initializer=start)
    return keras.Sequential([keras.Input(image_shape), *stack, dense])


@pytest.fixture(scope="module")
def data():
    """60 images of 16 px with their boxes."""
    return synthetic.make(0, 60, seed=0, image_size=16)


def quick(**parameters):
    defaults = {"epochs": 1, "random_state": 0, "xla": False, "warm_start": True}
    return BoxRegressor.paper(**defaults | parameters)


@pytest.fixture(scope="module")
def own(data):
    return quick(network=halved, loss=Scaled(0.5), optimizer="adam").fit(*data)


@pytest.mark.parametrize("way", [copy.deepcopy, lambda one: pickle.loads(pickle.dumps(one))])
def test_own_loss_and_layer_are_copied(own, data, way):
    copied = way(own)
    assert copied.loss.factor == copied.model_.loss.factor == 0.5
    assert np.array_equal(copied.predict(data[0]), own.predict(data[0]))
    copied.fit(*data)
    assert np.array_equal(copied.predict(data[0]), way(own).fit(*data).predict(data[0]))
    assert copied.n_iter_ == 2


@pytest.mark.parametrize("loss", [Scaled(0.25), keras.losses.Huber(0.01)], ids=["own", "Huber"])
def test_clones_have_the_same_loss(loss, data):
    """Keras' own copies know what is in the configuration, and the delta of Huber is not."""
    boxes = np.array([[0.0, 0.0, 0.5, 0.5]]), np.array([[0.25, 0.0, 1.0, 0.5]])
    regressor = quick(loss=loss, optimizer=keras.optimizers.SGD(momentum=0.5))
    for copied in (clone(regressor), copy.deepcopy(regressor)):
        assert copied.loss is not loss
        assert float(copied.loss(*boxes)) == float(loss(*boxes))
        assert copied.optimizer.momentum == 0.5
    expected = regressor.fit(*data).history_[0]["train_loss"]
    assert clone(regressor).fit(*data).history_[0]["train_loss"] == expected


@pytest.mark.parametrize("used_before", [False, True])
def test_an_optimizer_that_fit_refuses_is_refused_by_its_copies(used_before, data):
    """A cross-validation trains clones."""
    optimizer = keras.optimizers.AdamW(weight_decay=0.1)
    optimizer.exclude_from_weight_decay(var_names=["bias"])
    if used_before:
        optimizer.build([keras.Variable([1.0])])
    regressor = quick(optimizer=optimizer)
    for use in (clone, copy.deepcopy, lambda one: one.fit(*data)):
        with pytest.raises(ValueError, match="was changed after it was made"):
            use(regressor)
    optimizer = keras.optimizers.AdamW(weight_decay=0.1)
    if used_before:
        optimizer.build([keras.Variable([1.0])])
    assert clone(quick(optimizer=optimizer)).optimizer.weight_decay == 0.1


def test_a_grid_may_have_losses_of_keras():
    """`clone` and pickle, for other processes, get the objects without an estimator around them."""
    boxes = np.array([[0.0, 0.0, 0.5, 0.5]]), np.array([[0.25, 0.0, 1.0, 0.5]])
    for loss in (keras.losses.Huber(0.01), keras.losses.CosineSimilarity(axis=0)):
        for copied in (clone(loss, safe=False), pickle.loads(pickle.dumps(loss))):
            assert copied is not loss
            assert float(copied(*boxes)) == float(loss(*boxes))


def test_training_on_a_schedule_of_keras_goes_on_in_a_copy(data):
    decay = keras.optimizers.schedules.CosineDecay(0.1, 10)
    regressor = quick(learning_rate=decay).fit(*data)
    copied = copy.deepcopy(regressor)
    assert np.array_equal(copied.fit(*data).predict(data[0]), regressor.fit(*data).predict(data[0]))
    assert copied.history_[-1]["learning_rate_now"] < 0.1


def test_another_process_finds_classes_after_importing_boxest(own, data, tmp_path, python):
    """The default network as a .keras file, and a pickle of what a module of the user's defines."""
    default = BoxRegressor(epochs=1, random_state=0, xla=False).fit(*data)
    default.model_.save(tmp_path / "a.keras")
    (tmp_path / "own.pkl").write_bytes(pickle.dumps(own))
    code = (
        "import boxest, sys, json, pickle\n"
        "assert not {'keras', 'numpy', 'sklearn'} & set(sys.modules)\n"
        "import importlib.util; importlib.util.find_spec('keras')\n"
        f"import keras; model = keras.saving.load_model({str(tmp_path / 'a.keras')!r})\n"
        f"sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        f"own = pickle.load(open({str(tmp_path / 'own.pkl')!r}, 'rb'))\n"
        "X, y = boxest.synthetic.make(0, 60, seed=0, image_size=16)\n"
        "predicted = model.predict(X[..., None] / 255, verbose=0)\n"
        "print(json.dumps([predicted.tolist(), own.predict(X).tolist()]))"
    )
    by_keras, by_pickle = json.loads(python(code))
    np.testing.assert_allclose(by_keras, default.predict(data[0]), atol=1e-5)
    assert by_pickle == own.predict(data[0]).tolist()


def test_layers_are_frozen_and_released_between_fits(data, tmp_path):
    regressor = quick(optimizer="adam", learning_rate=0.01).fit(*data)
    kernel = regressor.model_.layers[1].kernel
    steps = [np.array(kernel)]
    for trainable in (False, True):
        regressor.model_.layers[1].trainable = trainable
        copied = copy.deepcopy(regressor).fit(*data)
        regressor.fit(*data)
        steps.append(np.array(kernel))
        assert np.array_equal(copied.predict(data[0]), regressor.predict(data[0]))
    assert np.array_equal(steps[0], steps[1])
    assert not np.array_equal(steps[1], steps[2])
    assert regressor.n_iter_ == 3
    regressor.model_.trainable = False
    with pytest.raises(ValueError, match="All layers of model_ are frozen"):
        regressor.fit(*data)
    with pytest.raises(ValueError, match="frozen, which a file cannot record"):
        regressor.save(tmp_path / "a.boxest")


def test_a_whole_number_is_a_learning_rate(data):
    whole = quick(network="profile", learning_rate=1).fit(*data)
    assert whole.learning_rate_ == 1.0
    assert np.array_equal(
        whole.predict(data[0]),
        clone(whole).set_params(learning_rate=1.0).fit(*data).predict(data[0]),
    )


@pytest.fixture
def restored():
    """Keras' own settings are what they were."""
    policy, order = keras.config.dtype_policy(), keras.config.image_data_format()
    yield
    keras.config.set_dtype_policy(policy)
    keras.config.set_image_data_format(order)


@pytest.mark.parametrize("network", ["roi", "profile", "marginal"])
def test_places_are_exact_in_bfloat16(data, restored, network):
    keras.config.set_dtype_policy("mixed_bfloat16")
    regressor = BoxRegressor(network=network, epochs=1, random_state=0, xla=False).fit(*data)
    predicted = regressor.predict(data[0])
    # Numbers of bfloat16 have 8 bits.
    assert not np.array_equal(predicted, np.asarray(keras.ops.cast(predicted, "bfloat16"), float))
    assert np.isfinite(predicted).all()


def test_float16_is_refused(data, restored):
    keras.config.set_dtype_policy("mixed_float16")
    with pytest.raises(
        ValueError, match=r"'roi' computes in float16.*Use the policy 'mixed_bfloat16'"
    ):
        BoxRegressor(network="roi", xla=False).fit(*data)


@pytest.mark.parametrize("network", ["roi", halved], ids=["roi", "own"])
def test_channels_first_is_a_setting_that_does_not_count(data, restored, network):
    parameters = {"network": network, "epochs": 1, "random_state": 0, "xla": False}
    expected = BoxRegressor(**parameters).fit(*data).predict(data[0])
    keras.config.set_image_data_format("channels_first")
    assert np.array_equal(BoxRegressor(**parameters).fit(*data).predict(data[0]), expected)
    assert keras.config.image_data_format() == "channels_first"


class Locked(keras.callbacks.Callback):
    def __init__(self):
        super().__init__()
        self.lock = threading.Lock()


def test_callback_that_cannot_be_copied_is_named(data):
    with pytest.raises(ValueError, match=r"Locked cannot be copied: .*lock.*on_train_begin"):
        quick(callbacks=[Locked()]).fit(*data)


def test_a_fork_is_refused_and_does_not_hang(own, data, monkeypatch):
    monkeypatch.setattr(backend, "_computing", -1)
    computations = (
        lambda: own.predict(data[0]),
        lambda: clone(own).fit(*data),
        lambda: find_learning_rate(own, *data),
    )
    for compute in computations:
        with pytest.raises(RuntimeError, match=r"forked.*get_context\('spawn'\)"):
            compute()
