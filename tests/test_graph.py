"""Networks that are graphs: what is cut off, what is replaced, and that it changes nothing."""

import keras
import numpy as np
import pytest
from keras import layers

from boxest import BoxRegressor, synthetic
from boxest.training import fused, layout
from boxest.training.graph import plain, unfolded
from boxest.training.predictor import Predictor


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).integers(0, 256, (60, 16, 16, 1), dtype=np.uint8)


def names(model):
    return [type(layer).__name__ for layer in model.layers]


def assert_exact(model, images):
    """The parts in turn give what the model gives, to the rounding of floats."""
    predictor = Predictor(model)
    expected = model.predict((images / 255).astype("float32"), verbose=0)
    np.testing.assert_allclose(predictor(predictor.features(images)), expected, atol=2e-6)


def branches():
    """Two branches without weights, and one layer that both go through."""
    image = keras.Input((16, 16, 1))
    largest = layers.MaxPooling2D(2)(image)
    smoothed = layers.AveragePooling2D(4, strides=2, padding="same")(image)
    shared = layers.Conv2D(2, 3, activation="relu")
    both = layers.Concatenate()([shared(largest), shared(smoothed)])
    return keras.Model(image, layers.Dense(4)(layers.Flatten()(both)))


def test_all_that_does_not_learn_is_computed_once(images):
    model = branches()
    head, trunk = layout.split(model)
    assert not head.variables
    assert head.output_shape == (None, 2 * 8 * 8)
    assert trunk.count_params() == model.count_params()
    assert not {"MaxPooling2D", "AveragePooling2D"} & set(names(trunk))
    features = Predictor(model).features(images)
    largest = images.reshape(60, 8, 2, 8, 2, 1).max((2, 4)) / 255
    np.testing.assert_allclose(features[:, :64], largest.reshape(60, -1), rtol=1e-6)
    assert_exact(model, images)


def test_grey_levels_stay_whole_numbers_where_all_is_selected(images):
    image = keras.Input((16, 16, 1))
    left = layers.Cropping2D(((0, 0), (0, 8)))(image)
    smaller = layers.MaxPooling2D(4)(image)
    both = [layers.Dense(3)(layers.Flatten()(part)) for part in (left, smaller)]
    model = keras.Model(image, layers.Dense(4)(layers.Concatenate()(both)))
    features = Predictor(model).features(images)
    assert features.dtype == np.uint8
    assert np.array_equal(features[:, :128], images[:, :, :8].reshape(60, -1))
    assert_exact(model, images)


class MaxPooling2D(layers.MaxPooling2D):
    """One of a user's, which does not select grey levels, whatever its name is."""

    def call(self, inputs):
        return super().call(inputs) / 3


def test_a_subclass_does_not_pass_for_the_layer_of_its_name(images):
    parts = [MaxPooling2D(2), layers.Flatten(), layers.Dense(4)]
    model = keras.Sequential([keras.Input((16, 16, 1)), *parts])
    assert Predictor(model).features(images).dtype == np.float32
    assert_exact(model, images)


def test_arithmetic_before_the_layers_is_not_cut_to_grey_levels(images):
    """As `preprocess_input` of `keras.applications` does it."""
    image = keras.Input((16, 16, 1))
    pooled = layers.MaxPooling2D(2)(image * 2.0 - 1.0)
    model = keras.Model(image, layers.Dense(4)(layers.Flatten()(pooled)))
    assert Predictor(model).features(images).dtype == np.float32
    assert_exact(model, images)


def test_an_image_that_is_needed_behind_the_cut_stays_whole(images):
    image = keras.Input((16, 16, 1))
    pooled = layers.MaxPooling2D(2)(image)
    convolved = layers.Conv2D(1, 3, strides=2, padding="same")(image)
    both = layers.Flatten()(layers.Add()([convolved, pooled]))
    model = keras.Model(image, layers.Dense(4)(both))
    head, trunk = layout.split(model)
    assert head is None
    assert "MaxPooling2D" in names(trunk)
    assert_exact(model, images)


def test_a_convolution_is_fused_in_a_graph_too(images):
    """And is kept beside it where something else reads it, too."""
    image = keras.Input((16, 16, 1))
    convolved = layers.Conv2D(2, 3, padding="same", activation="relu", name="first")(image)
    pooled = layers.MaxPooling2D(2)(convolved)
    alone = layers.Dense(4)(layers.Flatten()(pooled))
    model = keras.Model(image, alone)
    trunk = layout.split(model).trunk
    assert "ConvolutionPooling" in names(trunk)
    assert "Conv2D" not in names(trunk)
    assert names(plain(trunk)) == names(model)
    assert_exact(model, images)
    given, in_patches = images[:5] / np.float32(255), unfolded(trunk)
    np.testing.assert_allclose(in_patches(*fused.patches(given)), model(given), atol=2e-6)
    mean = layers.Dense(4)(layers.GlobalAveragePooling2D()(convolved))
    model = keras.Model(image, layers.Add()([alone, mean]))
    trunk = layout.split(model).trunk
    assert {"ConvolutionPooling", "Conv2D"} <= set(names(trunk))
    assert unfolded(trunk) is None
    assert_exact(model, images)


def test_a_convolution_for_two_sizes_is_not_fused(images):
    image = keras.Input((16, 16, 1))
    convolution = layers.Conv2D(2, 3, padding="same")
    pooling = layers.MaxPooling2D(2)
    sizes = [image, layers.MaxPooling2D(2)(image), layers.Cropping2D(1)(image)]
    rows = [layers.Flatten()(pooling(convolution(size))) for size in sizes]
    model = keras.Model(image, layers.Dense(4)(layers.Concatenate()(rows)))
    assert "ConvolutionPooling" not in names(layout.split(model).trunk)
    assert_exact(model, images)


def test_whole_numbers_are_not_handed_over_as_grey_levels(images):
    image = keras.Input((16, 16, 1))
    place = keras.ops.argmax(layers.Flatten()(image), axis=1, keepdims=True)
    one_of = layers.Flatten()(layers.Embedding(256, 4)(place))
    model = keras.Model(image, layers.Dense(4)(one_of))
    assert layout.split(model).head is None
    assert_exact(model, images)


def test_random_layers_and_nested_models_are_not_computed_once(images):
    image = keras.Input((16, 16, 1))
    inner = keras.Sequential([keras.Input((16, 16, 1)), layers.Flatten(), layers.Dense(3)])
    noisy = layers.Flatten()(layers.GaussianNoise(0.1, seed=0)(image))
    model = keras.Model(image, layers.Dense(4)(layers.Concatenate()([noisy, inner(image)])))
    assert layout.split(model).head is None
    assert_exact(model, images)


class Dimmed(layers.Layer):
    """A layer without variables that does something else in training."""

    def call(self, inputs, training=None):
        return inputs / 2 if training else inputs


@pytest.mark.parametrize("nested", [False, True])
def test_layers_that_ask_for_training_are_not_computed_once(nested):
    parts = [keras.Input((16, 16, 1)), layers.MaxPooling2D(2), Dimmed(), layers.Flatten()]
    image = keras.Input((16, 16, 1))
    models = [
        keras.Sequential([*parts, layers.Dense(4)]),
        keras.Model(image, layers.Dense(4)(keras.Sequential(parts)(image))),
    ]
    head, trunk = layout.split(models[nested])
    assert head is None if nested else names(head)[1:] == ["MaxPooling2D"]
    assert "Sequential" in names(trunk) if nested else "Dimmed" in names(trunk)


def test_a_mask_is_not_lost_at_the_cut(images):
    """Rows without light are masked."""
    model = keras.Sequential(
        [
            keras.Input((16, 16, 1)),
            layers.Reshape((16, 16)),
            layers.Masking(),
            layers.LSTM(3),
            layers.Dense(4),
        ]
    )
    dark = images.copy()
    dark[:, 5:] = 0
    assert_exact(model, dark)


def test_a_layer_may_have_any_name(images):
    convolution = layers.Conv2D(2, 3, padding="same", activation="relu", name="c")
    parts = [convolution, layers.MaxPooling2D(2), layers.Flatten(name="c_pooling"), layers.Dense(4)]
    model = keras.Sequential([keras.Input((16, 16, 1)), *parts])
    assert "ConvolutionPooling" in names(layout.split(model).trunk)


class Subclassed(keras.Model):
    """A model that is a class with a ``call`` of its own."""

    def __init__(self):
        super().__init__()
        self.flatten, self.dense = layers.Flatten(), layers.Dense(4)

    def call(self, inputs):
        return self.dense(self.flatten(inputs))


def test_a_model_of_a_class_of_its_own_is_left_as_it_is():
    model = Subclassed()
    model(np.zeros((1, 16, 16, 1), "float32"))
    assert layout.split(model) == (None, model)
    image = keras.Input((16, 16, 1))

    class Doubled(keras.Model):
        def call(self, inputs):
            return 2 * super().call(inputs)

    doubled = Doubled(image, layers.Dense(4)(layers.Flatten()(image)))
    assert layout.split(doubled) == (None, doubled)


def test_a_model_without_weights_is_left_as_it_is():
    image = keras.Input((4, 1, 1))
    model = keras.Model(image, layers.Flatten()(image))
    assert layout.split(model) == (None, model)


# --- through the estimator -------------------------------------------------------------------


@pytest.fixture(scope="module")
def data():
    return synthetic.make(0, 120, seed=0, image_size=16)


def functional(image_shape, output_activation="linear", seed=0):
    return branches()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("network", "optimizer"), [("profile", "sgd"), ("roi", "adam"), (functional, "adam")]
)
def test_both_engines_train_the_same_network(data, network, optimizer):
    def fit(engine):
        regressor = BoxRegressor.paper(
            network=network,
            engine=engine,
            loss="giou",
            optimizer=optimizer,
            learning_rate=0.01,
            batch_size=32,
            epochs=3,
            random_state=0,
        )
        return regressor.fit(*data)

    ours, theirs = fit("compiled"), fit("keras")
    assert ours.history_[-1]["train_loss"] < ours.history_[0]["train_loss"]
    for one, other in zip(ours.history_, theirs.history_, strict=True):
        for name in ("train_loss", "train_iou_loss", "validation_loss"):
            assert one[name] == pytest.approx(other[name], abs=1e-4)
    np.testing.assert_allclose(ours.predict(data[0]), theirs.predict(data[0]), atol=1e-4)


@pytest.mark.slow
def test_the_compiled_program_trains_as_plain_keras_does_without_a_split(data, monkeypatch):
    """Adam keeps a state per variable: it must find its own behind the cut."""

    def fit():
        regressor = BoxRegressor.paper(
            network="roi", optimizer="adam", learning_rate=0.01, epochs=3, random_state=0
        )
        return regressor.fit(*data).predict(data[0])

    split = fit()
    monkeypatch.setattr(layout, "split", lambda model, **_: layout.Split(None, model))
    np.testing.assert_allclose(split, fit(), atol=1e-4)
