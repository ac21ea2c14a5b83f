"""Every architecture through the estimator: stored, resumed, and a user's own."""

import pickle

import keras
import numpy as np
import pytest
from keras import layers

from boxest import BoxRegressor, networks, synthetic
from boxest.data.scene import Scene

NAMES = sorted(networks.NETWORKS.keys() - {"auto", "paper"})


@pytest.fixture(scope="module")
def data():
    return synthetic.make(0, 80, seed=0, image_size=16)


def quick(network, **settings):
    settings = {"loss": "giou", "optimizer": "adam", "epochs": 2, "batch_size": 16} | settings
    settings = {"learning_rate": 0.01, "random_state": 0, "xla": False} | settings
    return BoxRegressor.paper(network=network, **settings)


@pytest.fixture(scope="module", params=NAMES)
def fitted(data, request):
    return quick(request.param, warm_start=True).fit(*data)


@pytest.mark.slow
def test_a_saved_file_predicts_and_goes_on(fitted, data, tmp_path):
    fitted.save(tmp_path / "saved")
    loaded = BoxRegressor.load(tmp_path / "saved")
    assert np.array_equal(loaded.predict(data[0]), fitted.predict(data[0]))
    again = pickle.loads(pickle.dumps(fitted))
    assert np.array_equal(again.predict(data[0]), fitted.predict(data[0]))
    assert np.array_equal(loaded.fit(*data).predict(data[0]), again.fit(*data).predict(data[0]))
    assert len(loaded.history_) == 4


def test_a_saved_file_with_another_shape_is_refused(fitted, tmp_path):
    """Few weights must not stand for an image of any size."""
    from test_saving import change

    fitted.save(tmp_path / "saved")
    change(tmp_path / "saved", image_shape=[2**40, 2**40, 1])
    with pytest.raises(ValueError, match="its image shape is"):
        BoxRegressor.load(tmp_path / "saved")


@pytest.mark.slow
def test_a_keras_file_is_read_by_a_new_process(fitted, data, tmp_path, python):
    path = tmp_path / "model.keras"
    fitted.model_.save(path)
    code = (
        "import keras, numpy as np\n"
        "from boxest import losses, synthetic\n"
        "from boxest.networks import layers\n"
        f"model = keras.saving.load_model({str(path)!r})\n"
        "X, _ = synthetic.make(0, 5, seed=0, image_size=16)\n"
        "print(model.predict(X[..., None] / np.float32(255), verbose=0).tolist())"
    )
    expected = fitted.predict(data[0][:5])
    np.testing.assert_allclose(np.array(eval(python(code))), expected, atol=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_layers_say_how_they_are_made_again(name):
    model = networks.build(name, (16, 24, 2))
    own = [layer for layer in model.layers if type(layer).__module__ == "boxest.networks.layers"]
    assert own
    for layer in own:
        again = type(layer).from_config(layer.get_config())
        assert again.get_config() == layer.get_config()
        assert layer.compute_output_shape(*shapes_of(layer)) == layer.output.shape


def shapes_of(layer):
    inputs = layer.input if isinstance(layer.input, list) else [layer.input]
    return [tensor.shape for tensor in inputs]


def test_profile_finds_boxes_in_images_that_are_not_square():
    X, y = synthetic.make(0, 400, seed=0, image_size=32)
    wide = np.concatenate([X, np.zeros_like(X)], axis=2)
    boxes = y * (0.5, 1, 0.5, 1)
    regressor = quick("profile", epochs=8).fit(wide[:300], boxes[:300])
    assert regressor.score(wide[300:], boxes[300:]) > 0.95


def test_profile_survives_noise():
    """Maxima alone do not: of 32 noisy pixels one is always bright."""
    X, y = synthetic.make(0, 500, seed=0, image_size=32)
    noise = np.random.default_rng(0).normal(0, 0.25, X.shape)
    noisy = np.clip(0.3 + 0.4 * (X / 255) + noise, 0, 1).astype(np.float32)
    regressor = quick("profile", epochs=12).fit(noisy[:400], y[:400])
    assert regressor.score(noisy[400:], y[400:]) > 0.7


# --- a user's own ----------------------------------------------------------------------------


class Own(keras.Model):
    """A class with a ``call`` of its own, whose layers wait for their first images."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.flatten, self.box = layers.Flatten(), layers.Dense(4)

    def call(self, inputs, training=None):
        return self.box(self.flatten(inputs))


class Deaf(Own):
    """One that is not told whether it is trained."""

    def call(self, inputs):
        return self.box(self.flatten(inputs))


def of_grey_levels(image_shape):
    image = keras.Input(image_shape, dtype="uint8")
    return keras.Model(image, layers.Dense(4)(layers.Flatten()(layers.Rescaling(1 / 255)(image))))


class Stepping(Own):
    """One with a loss of its own for `keras.Model.fit`."""

    def compute_loss(self, **_):
        return 0.0


def own_class(image_shape, output_activation="linear", seed=0):
    return Own()


def own_graph(image_shape, output_activation="linear", seed=0):
    image = keras.Input(image_shape)
    pooled = [layers.Flatten()(layers.MaxPooling2D(size)(image)) for size in (2, 4)]
    return keras.Model(image, layers.Dense(4)(layers.Concatenate()(pooled)))


@pytest.mark.parametrize("network", [own_class, own_graph])
def test_own_models_are_trained_alike_by_both_engines(data, network, tmp_path):
    settings = {"loss": "mean_absolute_error", "checkpoint": tmp_path / "state.npz"}
    one, other = (
        quick(network, engine=engine, **settings).fit(*data) for engine in ("compiled", "keras")
    )
    assert one.history_[1]["train_loss"] < one.history_[0]["train_loss"]
    np.testing.assert_allclose(one.predict(data[0]), other.predict(data[0]), atol=1e-4)
    images = (data[0][..., None] / 255).astype("float32")
    expected = one.model_.predict(images, verbose=0)
    np.testing.assert_allclose(one.predict(data[0]), expected, atol=1e-5)


def test_a_function_must_make_new_layers_at_each_call(data):
    """Otherwise, each part of a cross-validation would go on with the network of the previous."""
    model = own_graph((16, 16, 1))
    regressor = quick(lambda *_, **__: model, epochs=1)
    regressor.fit(*data)
    with pytest.raises(ValueError, match="a fit would go on with the weights of another one"):
        regressor.fit(*data)
    with pytest.raises(TypeError, match="pass a function that returns a new model at each call"):
        quick(model).fit(*data)
    model.trainable = False
    image = keras.Input((16, 16, 1))
    new = keras.Model(image, layers.Dense(4)(model(image)))
    quick(lambda *_, **__: new, epochs=1).fit(*data)


def test_the_layers_of_a_class_of_its_own_are_listed_without_shapes():
    model = networks.build(own_class, (16, 16, 1))
    assert [row[1:] for row in networks.layer_table(model)] == [(None, 0), (None, 4 * 257)]


@pytest.mark.parametrize(
    ("returned", "error", "message"),
    [
        (lambda image: "paper", TypeError, "must be a keras.Model; .* returned 'paper'"),
        (
            lambda image: Deaf(),
            ValueError,
            "The method call of Deaf must take the argument training",
        ),
        (
            lambda _: of_grey_levels((16, 16, 1)),
            ValueError,
            "takes uint8, but images are floats in 0..1",
        ),
        (
            lambda image: Stepping(),
            ValueError,
            "Stepping has its own compute_loss, which boxest would not call",
        ),
        (
            lambda image: keras.Model(image, [layers.Flatten()(image)] * 2),
            ValueError,
            r"4 numbers per image.*\[\(None, 256\), \(None, 256\)\]",
        ),
        (
            lambda image: keras.Model(image, layers.Dense(4)(image)),
            ValueError,
            r"4 numbers per image.*\(None, 16, 16, 4\)",
        ),
    ],
)
def test_own_functions_that_return_something_else_are_told(returned, error, message):
    def network(image_shape, **_):
        return returned(keras.Input(image_shape))

    with pytest.raises(error, match=message):
        networks.build(network, (16, 16, 1))


def test_marginal_finds_textured_boxes_on_texture():
    scene = Scene(texture=0.2, texture_scale=2.0, object_level=(0.7, 0.7))
    X, y = synthetic.make(0, 300, seed=0, image_size=24, scene=scene)
    settings = {"loss": "giou_l1", "epochs": 12, "batch_size": 16, "plateau_patience": None}
    regressor = quick("marginal", **settings).fit(X[:240], y[:240])
    assert regressor.score(X[240:], y[240:]) > 0.6
