"""Training against Keras' own, on the same order of examples."""

import keras
import numpy as np
import pytest

from boxest import BoxRegressor, losses, networks
from boxest.training import Schedule, Trainer, epoch_order, layout
from boxest.training.predictor import Predictor
from boxest.training.program import in_parts
from boxest.training.record import Examples, Settings


def examples(data, rows=slice(None), weights=None):
    images, boxes = data
    images, boxes = images[rows, ..., None], boxes[rows]
    return Examples(images, boxes, np.ones(len(images)) if weights is None else weights)


def fit(model, data, optimizer, *, validation=None, loss="inclusive_iou", **kwargs):
    optimizer.build(model.trainable_variables)
    # XLA takes seconds to compile: only where it makes a difference.
    options = {"xla": False} | {k: kwargs.pop(k) for k in ("xla", "engine") if k in kwargs}
    schedule = kwargs.pop("schedule", Schedule(float(optimizer.learning_rate)))
    trainer = Trainer(
        model,
        loss=losses.get(loss),
        optimizer=optimizer,
        measures={"iou_loss": losses.BoxLoss("iou").call},
        **options,
    )
    parts = (
        part and part._replace(images=trainer.features([part.images]))
        for part in (data, validation)
    )
    settings = Settings(**{"batch_size": 32, "epochs": 2, "seed": 5} | kwargs)
    return trainer.run(*parts, schedule=schedule, settings=settings)


def keras_fit(model, data, optimizer, *, loss="inclusive_iou", batch_size=32, epochs=2, seed=5):
    """Plain Keras, a Python loop over `train_on_batch`, in our order."""
    model.compile(optimizer, losses.get(loss), jit_compile=False)
    x = (data.images / 255).astype("float32")
    means = []
    for epoch in range(1, epochs + 1):
        total = 0.0
        for rows in epoch_order(len(x), batch_size, seed=seed, epoch=epoch):
            rows = rows[rows >= 0]
            model.reset_metrics()
            total += len(rows) * model.train_on_batch(x[rows], data.targets[rows].astype("float32"))
        means.append(total / len(x))
    return means


# --- the order of examples -------------------------------------------------------------------


def test_order_has_every_example_once_and_fills_up_with_minus_one():
    order = epoch_order(10, 4, seed=1, epoch=1)
    assert order.shape == (3, 4)
    assert sorted(order.ravel()) == [-1, -1, *range(10)]
    assert (order[:2] >= 0).all()


def test_order_is_a_function_of_seed_and_epoch():
    order = epoch_order(100, 10, seed=1, epoch=2)
    assert np.array_equal(order, epoch_order(100, 10, seed=1, epoch=2))
    assert not np.array_equal(order, epoch_order(100, 10, seed=2, epoch=2))
    assert not np.array_equal(order, epoch_order(100, 10, seed=1, epoch=3))


def test_batches_of_all_sizes_are_cut_from_one_order():
    small, large = (epoch_order(96, size, seed=1, epoch=1) for size in (4, 32))
    assert np.array_equal(small.ravel(), large.ravel())


def test_a_batch_of_more_examples_than_there_are_takes_no_more_memory(small_data):
    assert np.array_equal(
        epoch_order(10, 10**12, seed=1, epoch=1), epoch_order(10, 10, seed=1, epoch=1)
    )
    data = examples(small_data, slice(20))
    losses = [
        fit(
            networks.paper((32, 32, 1), seed=1), data, keras.optimizers.SGD(0.1), batch_size=size
        ).history
        for size in (20, 10**12)
    ]
    assert losses[0][-1]["train_loss"] == losses[1][-1]["train_loss"]


# --- early stopping and plateaus -------------------------------------------------------------


def keras_schedule(values, stop, plateau, factor, delta, rate=0.1):
    """Return rates and number of epochs as Keras' callbacks have them."""
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(rate))
    callbacks = [keras.callbacks.EarlyStopping("val_loss", patience=stop)] if stop else []
    if plateau:
        callbacks.append(
            keras.callbacks.ReduceLROnPlateau(
                "val_loss", factor=factor, patience=plateau, min_delta=delta
            )
        )
    rates = []
    for callback in callbacks:
        callback.set_model(model)
        callback.on_train_begin()
    for epoch, value in enumerate(values):
        rates.append(float(model.optimizer.learning_rate))
        for callback in callbacks:
            callback.on_epoch_end(epoch, {"val_loss": value})
        if model.stop_training:
            break
    return rates


@pytest.mark.parametrize("case", range(30))
def test_schedule_equals_the_keras_callbacks(case):
    rng = np.random.default_rng(case)
    values = np.abs(np.cumsum(rng.normal(-0.02, 0.1, 40)) + 1) + 0.1
    stop, plateau = rng.choice([0, 2, 5]), rng.choice([0, 1, 3])
    delta = rng.choice([0.0, 1e-4, 0.05])
    schedule = Schedule(0.1, stop or None, plateau or None, 0.5, delta)
    rates = []
    for value in values:
        rates.append(schedule.learning_rate)
        schedule.update(value)
        if schedule.stopped:
            break
    assert rates == pytest.approx(keras_schedule(values, stop, plateau, 0.5, delta), rel=1e-5)


def test_paper_goes_from_a_tenth_to_0_0016():
    """§5.1: 0.1 halved six times is 0.0016."""
    schedule = Schedule(0.1, plateau_patience=2)
    for _ in range(13):
        schedule.update(1.0)
    assert schedule.learning_rate == pytest.approx(0.0016, rel=0.03)


# --- the same numbers as Keras ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("batch_size", "loss"),
    [(4, "inclusive_iou"), (32, "mean_absolute_error"), (4096, "inclusive_iou")],
)
def test_same_weights_as_plain_keras(small_data, batch_size, loss):
    data = examples(small_data, slice(300))
    # The IoU has kinks: at high rates, rounding grows into another path, as in any implementation.
    rate = min(0.05, batch_size / 1000)
    ours, theirs = (networks.paper((32, 32, 1), seed=1) for _ in range(2))
    options = {"batch_size": batch_size, "loss": loss}
    training = fit(ours, data, keras.optimizers.SGD(rate), xla=True, **options)
    means = keras_fit(theirs, data, keras.optimizers.SGD(rate), **options)
    for a, b in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)
    assert [row["train_loss"] for row in training.history] == pytest.approx(means, rel=1e-4)


@pytest.mark.parametrize("name", ["Adam", "RMSprop", "SGD"])
def test_any_keras_optimizer(small_data, name):
    data = examples(small_data, slice(100))
    make = getattr(keras.optimizers, name)
    options = {"momentum": 0.9} if name == "SGD" else {}
    ours, theirs = (networks.paper((32, 32, 1), seed=1) for _ in range(2))
    training = fit(ours, data, make(0.001, **options))
    means = keras_fit(theirs, data, make(0.001, **options))
    assert [row["train_loss"] for row in training.history] == pytest.approx(means, rel=1e-4)


def other_network():
    """A network that the layout does not know: normalisation, dropout, regularisation, strides."""
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((32, 32, 1)),
            layers.Conv2D(3, 5, strides=2, activation="tanh", kernel_regularizer="l2"),
            layers.BatchNormalization(),
            layers.AveragePooling2D(2),
            layers.Dropout(0.1, seed=1),
            layers.Flatten(),
            layers.Dense(4),
        ]
    )


def test_networks_with_state_are_trained(small_data):
    data = examples(small_data, slice(200))
    keras.utils.set_random_seed(0)
    model = other_network()
    before = {v.path: np.array(v) for v in model.non_trainable_variables}
    training = fit(model, data, keras.optimizers.Adam(0.01), loss="mean_squared_error", epochs=10)
    moved = [not np.array_equal(before[v.path], v) for v in model.non_trainable_variables]
    assert moved == [True] * len(moved)
    assert training.history[-1]["train_loss"] < 0.5 * training.history[0]["train_loss"]


@pytest.mark.parametrize(("batch_size", "epochs"), [(8, 2), (64, 3)])
def test_penalties_count_once_per_update(small_data, batch_size, epochs):
    """Also where gradients are added up from parts, for fused layers, and for patches."""

    def regularised():
        model = networks.paper((32, 32, 1), seed=1)
        config = model.get_config()
        config["layers"][2]["config"]["kernel_regularizer"] = keras.regularizers.L2(0.5)
        clone = keras.Sequential.from_config(config)
        clone.set_weights(model.get_weights())
        return clone

    data = examples(small_data, slice(128))
    ours, theirs = regularised(), regularised()
    options = {"batch_size": batch_size, "epochs": epochs}
    fit(ours, data, keras.optimizers.SGD(0.01), xla=True, **options)
    keras_fit(theirs, data, keras.optimizers.SGD(0.01), **options)
    for a, b in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)


def test_penalties_of_the_network_are_minimised_but_not_reported(small_data):
    data = examples(small_data, slice(64))
    strong = keras.regularizers.L2(10.0)
    model = keras.Sequential(
        [
            keras.Input((32, 32, 1)),
            keras.layers.Flatten(),
            keras.layers.Dense(4, kernel_regularizer=strong),
        ]
    )
    training = fit(model, data, keras.optimizers.SGD(0.01), epochs=10)
    assert np.abs(model.get_weights()[0]).max() < 0.02
    assert training.history[0]["train_loss"] < 1.5


# --- layout ----------------------------------------------------------------------------------


def test_first_pooling_is_hoisted_and_exact(small_data):
    images = small_data[0][..., None]
    model = networks.paper((32, 32, 1))
    head, trunk = layout.split(model)
    assert [layer.name for layer in head.layers[1:]] == ["max_pooling2d"]
    assert trunk.count_params() == model.count_params()
    features = Predictor(model).features(images)
    assert features.dtype == np.uint8
    assert np.array_equal(features, images.reshape(-1, 16, 2, 16, 2, 1).max((2, 4)))


@pytest.mark.parametrize("dtype", ["bool", "uint8", "float32"])
def test_hoisting_does_not_change_predictions(small_data, dtype):
    images = small_data[0][..., None]
    images = (images > 0).astype(dtype) if dtype != "uint8" else images
    model = networks.paper((32, 32, 1))
    predictor = Predictor(model)
    expected = model.predict((small_data[0][..., None] / 255).astype("float32"), verbose=0)
    np.testing.assert_allclose(predictor(predictor.features(images)), expected, atol=1e-6)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("activation", ["relu", "linear", "tanh"])
def test_convolution_and_pooling_in_one_are_the_two_layers(channels, activation):
    """Values, and gradients for inputs and weights, on grey levels full of ties."""
    from keras import layers, ops

    from boxest.training.fused import ConvolutionPooling, fuses

    keras.utils.set_random_seed(0)
    convolution = layers.Conv2D(5, 3, padding="same", activation=activation)
    pooling = layers.MaxPooling2D(2)
    plain = keras.Sequential([keras.Input((12, 10, channels)), convolution, pooling])
    convolution.bias.assign(np.linspace(-1, 1, 5))
    assert fuses(convolution, pooling)
    fused = ConvolutionPooling(convolution, pooling)
    rng = np.random.default_rng(0)
    x = rng.integers(0, 3, (4, 12, 10, channels)).astype("float32")
    towards = rng.normal(size=(4, 6, 5, 5)).astype("float32")
    results = []
    for layer in (plain, fused):
        tensor = ops.convert_to_tensor(x)
        results.append([layer(tensor), *gradients(layer, tensor, towards, convolution.variables)])
    for one, two in zip(*results, strict=True):
        np.testing.assert_allclose(ops.convert_to_numpy(one), ops.convert_to_numpy(two), atol=2e-5)
    assert fused.compute_output_shape((4, 12, 10, channels)) == (4, 6, 5, 5)


def gradients(layer, x, towards, variables):
    """Return the gradients of sum(layer(x) * towards) for x and the variables."""
    from keras import ops

    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        with tf.GradientTape() as tape:
            tape.watch(x)
            value = ops.sum(layer(x) * towards)
        return tape.gradient(value, [x, *(v.value for v in variables)])
    import jax

    def value(x, weights):
        return ops.sum(layer.stateless_call(weights, [], x)[0] * towards)

    by_x, by_weights = jax.grad(value, (0, 1))(x, [v.value for v in variables])
    return [by_x, *by_weights]


def chain(*layers, shape=(32, 32, 1)):
    return keras.Sequential([keras.Input(shape), *layers])


def convolution(filters, size=3):
    return keras.layers.Conv2D(filters, size, padding="same")


@pytest.mark.parametrize(
    ("model", "xla"),
    [
        (networks.paper((32, 32, 1)), True),
        (networks.profile((32, 32, 1)), True),
        (networks.roi((32, 32, 1)), True),
        (chain(keras.layers.Flatten(), keras.layers.Dense(4)), True),
        (chain(keras.layers.Conv1D(8, 5), keras.layers.Flatten(), shape=(32, 1)), True),
        (chain(keras.layers.Conv1D(64, 5), keras.layers.Flatten(), shape=(32, 64)), False),
        # No pooling behind it; an odd kernel; too many kernels; a convolution within a model.
        (chain(convolution(4), keras.layers.Flatten()), False),
        (chain(convolution(4, 5), keras.layers.MaxPooling2D()), False),
        (chain(convolution(256), keras.layers.MaxPooling2D()), False),
        (chain(chain(convolution(4), keras.layers.MaxPooling2D())), False),
        (chain(keras.layers.DepthwiseConv2D(3), keras.layers.Flatten()), False),
    ],
)
def test_xla_compiles_what_it_is_fast_at(model, xla):
    from boxest.training.backend import load

    always = load().ALWAYS_XLA
    assert Predictor(model, xla="auto").xla == (xla or always)
    assert [Predictor(model, xla=asked).xla for asked in (True, False)] == [True, always]


def unpooled(image_shape, **_):
    layers = keras.layers
    return chain(
        layers.MaxPooling2D(2),
        *(convolution(4), convolution(4), layers.MaxPooling2D(2)),
        *(layers.Flatten(), layers.Dense(4)),
        shape=image_shape,
    )


@pytest.mark.parametrize(("network", "batch_size"), [("paper", 150), (unpooled, 16)])
def test_without_xla_the_numbers_are_the_same(small_data, network, batch_size):
    settings = {"epochs": 3, "batch_size": batch_size, "learning_rate": 0.002, "random_state": 0}
    histories = {}
    for xla in (True, False, "auto"):
        regressor = BoxRegressor.paper(network=network, xla=xla, **settings).fit(*small_data)
        histories[xla] = [row["validation_loss"] for row in regressor.history_]
    by_xla = "paper" if keras.backend.backend() == "tensorflow" else unpooled
    assert regressor.runtime_["xla"] == (network in ("paper", by_xla))
    assert histories[False] == pytest.approx(histories[True], rel=1e-4)
    assert histories["auto"] == histories[regressor.runtime_["xla"]]


def test_a_network_may_compute_in_another_precision(small_data):
    def halved(image_shape, **options):
        keras.config.set_dtype_policy("mixed_bfloat16")
        try:
            return networks.paper(image_shape, **options)
        finally:
            keras.config.set_dtype_policy("float32")

    settings = {"epochs": 3, "batch_size": 100, "learning_rate": 0.005, "random_state": 0}
    losses = []
    for network in ("paper", halved):
        regressor = BoxRegressor.paper(network=network, **settings).fit(*small_data)
        losses.append([row["validation_loss"] for row in regressor.history_])
        assert regressor.predict(small_data[0]).dtype == np.float64
    assert regressor.model_.layers[1].compute_dtype == "bfloat16"
    assert losses[1] == pytest.approx(losses[0], rel=0.05)
    assert losses[1] != losses[0]


# JAX has no double precision unless a user asks for it.
DOUBLE = ["float64"] if keras.backend.backend() == "tensorflow" else []


@pytest.mark.parametrize("dtype", [*DOUBLE, "mixed_bfloat16"])
def test_a_layer_may_compute_in_another_precision(small_data, dtype):
    """Also one that is replaced, and in parts of a batch."""
    model = networks.paper((32, 32, 1), seed=1)
    config = model.get_config()
    for layer in config["layers"][1:]:
        layer["config"]["dtype"] = dtype
    model = keras.Sequential.from_config(config)
    fused = layout.split(model).trunk.layers[1]
    assert (type(fused).__name__, fused.dtype_policy.name) == ("ConvolutionPooling", dtype)
    training = fit(model, examples(small_data), keras.optimizers.SGD(0.1), xla=True)
    assert training.history[1]["train_loss"] < training.history[0]["train_loss"]


@pytest.mark.parametrize("shape", [(64, 6, 10, 3), (65, 8, 4, 1), (1, 2, 2, 1), (0, 4, 4, 1)])
@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_patches_cut_beforehand_are_those_cut_in_every_step(shape, dtype):
    from keras import ops

    from boxest.training import fused

    images = np.random.default_rng(0).integers(0, 255, shape).astype(dtype)
    patches = np.concatenate(list(fused.patches(images)))
    assert patches.dtype == images.dtype
    assert np.array_equal(patches, ops.convert_to_numpy(fused.unfold(images.astype("float32"))))


@pytest.mark.parametrize(
    ("settings", "cuts"),
    [
        ({}, 1),
        ({"memory_limit": 4 * 400 * 16 * 16 - 1}, 0),
        ({"epochs": 2}, 0),
        ({"engine": "keras"}, 0),
        ({"network": "roi"}, 0),
    ],
)
def test_patches_are_cut_once_where_they_fit_and_pay(small_data, monkeypatch, settings, cuts):
    """400 of 500 images are trained on, each 16×16 grey levels behind the first pooling."""
    from boxest.training import fused

    seen, patches = [], fused.patches
    monkeypatch.setattr(
        fused, "patches", lambda images: seen.append(len(images)) or patches(images)
    )
    defaults = {"epochs": 3, "memory_limit": 4 * 400 * 16 * 16, "validation_fraction": 0.2}
    regressor = BoxRegressor.paper(**defaults | settings, learning_rate=0.05, random_state=0)
    rows = regressor.fit(*small_data).history_
    assert seen == [400] * cuts
    if cuts:
        regressor.set_params(memory_limit=400 * 16 * 16)
        for row, other in zip(rows, regressor.fit(*small_data).history_, strict=True):
            assert row["validation_loss"] == pytest.approx(other["validation_loss"], rel=1e-6)


@pytest.mark.parametrize(
    ("convolution", "pooling", "size"),
    [
        ({"kernel_size": 5}, {}, 8),
        ({"strides": 2}, {}, 8),
        ({"padding": "valid"}, {}, 8),
        ({"use_bias": False}, {}, 8),
        ({"activation": "gelu"}, {}, 8),
        ({"dilation_rate": 2}, {}, 8),
        ({"activity_regularizer": "l2"}, {}, 8),
        ({}, {"pool_size": 3}, 8),
        ({}, {"strides": 1}, 8),
        ({}, {"padding": "same"}, 8),
        ({}, {}, 9),
    ],
)
def test_other_layers_are_left_as_they_are(convolution, pooling, size):
    from boxest.training.fused import fuses

    layers = [
        keras.layers.Conv2D(**({"filters": 4, "kernel_size": 3, "padding": "same"} | convolution)),
        keras.layers.MaxPooling2D(**({"pool_size": 2} | pooling)),
    ]
    model = keras.Sequential([keras.Input((size, size, 1)), *layers])
    assert not fuses(*layers)
    images = np.random.default_rng(0).random((3, size, size, 1), dtype=np.float32)
    predictor = Predictor(model)
    np.testing.assert_allclose(
        predictor(predictor.features(images)), model.predict(images, verbose=0), atol=1e-6
    )


class Own(keras.Model):
    """A network that is not a graph, so that nobody knows the shape of its outputs."""

    def __init__(self):
        super().__init__()
        self.flatten, self.dense = keras.layers.Flatten(), keras.layers.Dense(3)

    def call(self, inputs, training=None):
        return self.dense(self.flatten(inputs))


@pytest.mark.parametrize("network", [lambda: networks.paper((16, 16, 1)), Own])
@pytest.mark.parametrize("n", [1, 16, 17, 255, 256, 257])
def test_any_number_of_images_is_predicted_as_by_keras(network, n):
    images = np.random.default_rng(n).random((n, 16, 16, 1), np.float32)
    keras.utils.set_random_seed(0)
    model = network()
    expected = model.predict(images, verbose=0)
    predictor = Predictor(model)
    np.testing.assert_allclose(predictor(predictor.features(images)), expected, atol=1e-5)


def test_parts_of_a_batch_are_filled_up():
    order = np.arange(40, dtype=np.int32).reshape(2, 20)
    parts = in_parts(order, 16)
    assert parts.shape == (2, 2, 16)
    assert np.array_equal(parts[1].ravel()[:20], order[1])
    assert (parts[:, 1, 4:] == -1).all()
    assert in_parts(order, None).shape == in_parts(order, 20).shape == (2, 1, 20)


def test_averaging_is_hoisted_without_rounding():
    model = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            keras.layers.AveragePooling2D(4),
            keras.layers.Flatten(),
            keras.layers.Dense(4),
        ]
    )
    images = np.random.default_rng(0).integers(0, 256, (7, 8, 8, 1), dtype=np.uint8)
    features = Predictor(model).features(images)
    expected = images.reshape(7, 2, 4, 2, 4).mean((2, 4)).reshape(7, 4) / 255
    np.testing.assert_allclose(features, expected, rtol=1e-6)


# --- weights, divergence, stopping -----------------------------------------------------------


def test_weight_zero_is_absence_and_weight_two_is_twice(small_data):
    rows = np.arange(40)
    once = examples(small_data, rows)
    weights = np.ones(40)
    weights[:10], weights[10:20] = 0, 2
    weighted = examples(small_data, rows, weights)
    twice = examples(small_data, np.r_[rows[10:20], rows[10:]])
    results = []
    for data in (weighted, twice, once):
        model = networks.paper((32, 32, 1), seed=1)
        fit(model, data, keras.optimizers.SGD(0.1), batch_size=64)
        results.append(np.concatenate([w.ravel() for w in model.get_weights()]))
    np.testing.assert_allclose(results[0], results[1], atol=1e-6)
    assert not np.allclose(results[0], results[2], atol=1e-4)


@pytest.mark.parametrize("engine", ["compiled", "keras"])
def test_divergence_ends_the_run_with_a_valid_history(small_data, engine):
    data = examples(small_data, slice(100))
    model = networks.paper((32, 32, 1), seed=1)
    training = fit(
        model,
        data,
        keras.optimizers.SGD(1e30),
        validation=data,
        loss="mse",
        epochs=9,
        engine=engine,
    )
    assert training.diverged
    assert not training.stopped_early
    assert len(training.history) < 9
    assert not np.isfinite(training.history[-1]["train_loss"])
    assert all(np.isfinite(row["train_loss"]) for row in training.history[:-1])


@pytest.mark.parametrize("engine", ["compiled", "keras"])
def test_weights_that_the_last_update_made_useless_have_diverged(small_data, engine):
    """No loss is computed after it."""
    model, data = networks.paper((32, 32, 1), seed=1), examples(small_data, slice(32))
    optimizer = keras.optimizers.SGD(1e38)
    loss = "mean_absolute_percentage_error"  # Its gradient is large.
    training = fit(model, data, optimizer, loss=loss, epochs=1, engine=engine)
    assert np.isfinite(training.history[0]["train_loss"])
    assert training.diverged
    assert not all(np.isfinite(weights).all() for weights in model.get_weights())


def test_early_stopping_ends_the_run(small_data):
    data = examples(small_data, slice(100))
    model = networks.paper((32, 32, 1), seed=1)
    schedule = Schedule(1e-30, stop_patience=2)
    training = fit(
        model, data, keras.optimizers.SGD(1.0), validation=data, epochs=9, schedule=schedule
    )
    assert len(training.history) == 3
    assert training.stopped_early
    assert training.history[0]["learning_rate_now"] == 1e-30


def test_validation_values_are_those_of_the_weights_after_the_epoch(small_data):
    data, held_out = examples(small_data, slice(200)), examples(small_data, slice(200, 407))
    model = networks.paper((32, 32, 1), seed=1)
    training = fit(model, data, keras.optimizers.SGD(0.05), validation=held_out)
    predicted = model.predict((held_out.images / 255).astype("float32"), verbose=0)
    for measure, name in [("inclusive_iou", "loss"), ("iou", "iou_loss")]:
        expected = float(losses.BoxLoss(measure)(held_out.targets.astype("float32"), predicted))
        assert training.history[-1][f"validation_{name}"] == pytest.approx(expected, rel=1e-5)


def test_updates_and_seconds_are_counted(small_data):
    training = fit(
        networks.paper((32, 32, 1)),
        examples(small_data, slice(100)),
        keras.optimizers.SGD(0.1),
        batch_size=30,
        epochs=3,
    )
    assert [row["updates"] for row in training.history] == [4, 8, 12]
    assert set(training.seconds) == {"data", "compile", "train", "evaluation"}
    assert training.seconds["train"] == pytest.approx(
        sum(row["train_seconds"] for row in training.history)
    )
    assert training.seconds["compile"] > 0


def test_one_program_serves_the_smaller_last_batch(small_data, monkeypatch):
    """An epoch is one trace, whatever the number of examples in its last batch."""
    from boxest.training import program

    traces = []
    original = program.EpochProgram.objective

    def counted(self, *args):
        traces.append(1)
        return original(self, *args)

    monkeypatch.setattr(program.EpochProgram, "objective", counted)
    fit(networks.paper((32, 32, 1)), examples(small_data), keras.optimizers.SGD(0.1), epochs=3)
    once = len(traces)
    traces.clear()
    fit(networks.paper((32, 32, 1)), examples(small_data), keras.optimizers.SGD(0.1), epochs=1)
    assert len(traces) == once


# --- plain Keras -----------------------------------------------------------------------------


def network_that_sees_the_batch():
    """What it makes of an example depends on the others, and so does its penalty."""
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((32, 32, 1)),
            layers.Conv2D(3, 5, strides=4, activation="relu", activity_regularizer="l2"),
            layers.BatchNormalization(),
            layers.Flatten(),
            layers.Dense(4),
        ]
    )
    model.set_weights([np.random.default_rng(0).normal(0.2, 0.1, w.shape) for w in model.weights])
    return model


def test_a_network_that_sees_the_batch_is_known():
    model = networks.paper((32, 32, 1))
    assert not layout.sees_the_batch(model)
    assert layout.sees_the_batch(network_that_sees_the_batch())
    penalised = keras.layers.Dense(4, activity_regularizer="l2")
    nested = keras.Sequential([keras.Input((4,)), keras.Sequential([penalised])])
    assert layout.sees_the_batch(nested)


class Centred(keras.layers.Layer):
    """A layer of a user's that sees the batch, and penalises it, without variables."""

    def call(self, inputs):
        mean = keras.ops.mean(inputs, axis=0)
        self.add_loss(keras.ops.sum(mean**2))
        return inputs - mean


def centred(by_a_layer=True):
    """The same network with a layer of a user's, or with arithmetic."""
    image = keras.Input((32, 32, 1))
    glorot = keras.initializers.GlorotUniform(seed=1)
    rows = keras.layers.Dense(4, kernel_initializer=glorot)(keras.layers.Flatten()(image))
    outputs = Centred()(rows) if by_a_layer else rows - keras.ops.mean(rows, axis=0)
    return keras.Model(image, outputs)


def test_layers_and_arithmetic_of_a_user_may_see_the_batch():
    assert layout.sees_the_batch(centred())
    assert layout.sees_the_batch(centred(by_a_layer=False))
    for name in ("paper", "profile", "roi"):
        assert not layout.sees_the_batch(layout.split(networks.build(name, (32, 32, 1))).trunk)


@pytest.mark.parametrize(
    ("network", "batch_size"),
    [("paper", 8), ("paper", 128), ("sees the batch", 50), ("centred", 50)],
)
def test_engines_agree(small_data, batch_size, network):
    """Three epochs in the same order, with weights and a smaller last batch."""
    weights = np.random.default_rng(0).integers(0, 3, 120).astype(float)
    data = examples(small_data, slice(120), weights)
    results = []
    for engine in ("compiled", "keras"):
        if network == "paper":
            model = networks.paper((32, 32, 1), seed=1)
        else:
            model = centred() if network == "centred" else network_that_sees_the_batch()
        optimizer = keras.optimizers.SGD(0.01, momentum=0.5)
        training = fit(
            model, data, optimizer, batch_size=batch_size, epochs=3, engine=engine, validation=data,
            xla=network == "paper",
        )  # fmt: skip
        names = ("train_loss", "train_iou_loss", "validation_loss", "validation_iou_loss")
        results.append([[row[name] for name in names] for row in training.history])
    np.testing.assert_allclose(*results, rtol=1e-4)


class Compared(keras.layers.Layer):
    """A layer of a user's that compares the images of a batch."""

    def call(self, inputs):
        return inputs - keras.ops.mean(inputs, axis=0)


def comparing(where):
    """A network that compares the images of a batch at its beginning, or in its activation."""
    image = keras.Input((32, 32, 1))
    glorot = keras.initializers.GlorotUniform(seed=1)
    values = keras.layers.MaxPooling2D(2)(image)
    if where == "layer":
        values = Compared()(values)
    elif where == "arithmetic":
        values = values / keras.ops.max(values, axis=0)
    activation = Compared().call if where == "activation" else None
    rows = keras.layers.Flatten()(values)
    outputs = keras.layers.Dense(4, activation=activation, kernel_initializer=glorot)(rows)
    return keras.Model(image, outputs)


@pytest.mark.parametrize("engine", ["compiled", "keras"])
@pytest.mark.parametrize("where", ["layer", "arithmetic", "activation"])
def test_a_network_compares_the_images_of_a_batch_wherever_it_does_so(small_data, where, engine):
    """Levels are not 0, by which the arithmetic divides. Of 120 examples, the last batch has 20."""
    data = examples((np.maximum(small_data[0], 50), small_data[1]), slice(120))
    options = {"loss": "mse", "batch_size": 50}
    training = fit(comparing(where), data, keras.optimizers.SGD(0.01), engine=engine, **options)
    expected = keras_fit(comparing(where), data, keras.optimizers.SGD(0.01), **options)
    assert [row["train_loss"] for row in training.history] == pytest.approx(expected, rel=1e-4)


class AgainstTheBatch(keras.losses.Loss):
    """A loss of a user's that compares each example with the others of its batch."""

    def call(self, y_true, y_pred):
        errors = keras.ops.mean(keras.ops.abs(y_true - y_pred), axis=-1)
        return errors * errors / keras.ops.mean(errors)


def test_a_loss_of_a_user_sees_the_batch_as_it_is(small_data):
    """Of 120 examples, the last batch has 20."""
    data = examples(small_data, slice(120))
    losses = []
    for engine in ("compiled", "keras"):
        model, optimizer = networks.paper((32, 32, 1), seed=1), keras.optimizers.SGD(0.01)
        settings = {"batch_size": 50, "engine": engine, "loss": AgainstTheBatch()}
        losses.append(
            [row["train_loss"] for row in fit(model, data, optimizer, **settings).history]
        )
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)


def test_a_loss_of_a_user_measures_every_epoch_in_python(small_data):
    class Growing(keras.losses.Loss):
        factor = 0.0

        def call(self, y_true, y_pred):
            self.factor += 1.0
            return self.factor * keras.ops.ones_like(y_pred[:, 0])

    data, optimizer = examples(small_data, slice(20)), keras.optimizers.SGD(0.01)
    model = networks.paper((32, 32, 1), seed=1)
    training = fit(model, data, optimizer, validation=data, loss=Growing(), epochs=3)
    measured = [row["validation_loss"] for row in training.history]
    assert np.diff(measured).tolist() == [1.0, 1.0]


class OfKnownNumber(keras.layers.Layer):
    """A layer of a user's that only works for a known number of images."""

    def call(self, inputs):
        if (n := inputs.shape[0]) is None:
            return inputs
        return inputs - keras.ops.sum(inputs, axis=0, keepdims=True) / n


class OfKnownSize(keras.losses.Loss):
    """A loss of a user's that only works for a known number of examples."""

    def call(self, y_true, y_pred):
        errors = keras.ops.mean(keras.ops.abs(y_true - y_pred), axis=-1)
        return errors + keras.ops.sum(errors) / y_pred.shape[0]


@pytest.mark.parametrize("part", ["layer", "loss"])
def test_code_of_a_user_knows_how_many_examples_there_are(small_data, part):
    """With and without XLA, also beside a normalisation; of 50 examples, the last batch has 18."""
    data, losses = examples(small_data, slice(50)), []
    for xla in (False, True):
        model, loss = network_that_sees_the_batch(), OfKnownSize() if part == "loss" else "iou"
        if part == "layer":
            model = keras.Sequential([model.layers[0], OfKnownNumber(), *model.layers[1:]])
            model.build((None, 32, 32, 1))
        training = fit(model, data, keras.optimizers.SGD(0.001), loss=loss, xla=xla)
        losses.append([row["train_loss"] for row in training.history])
    assert losses[0] == pytest.approx(losses[1], rel=1e-3)


@pytest.mark.parametrize("dtype", [*DOUBLE, "mixed_bfloat16"])
def test_engines_agree_on_outputs_in_another_precision(small_data, dtype):
    losses = []
    for engine in ("compiled", "keras"):
        start = keras.initializers.GlorotUniform(seed=1)
        layers = (
            keras.layers.Flatten(),
            keras.layers.Dense(4, kernel_initializer=start, dtype=dtype),
        )
        model = keras.Sequential([keras.Input((32, 32, 1)), *layers])
        data, optimizer = examples(small_data, slice(64)), keras.optimizers.SGD(0.01)
        settings = {"engine": engine, "loss": "giou_l1"}
        losses.append(
            [row["train_loss"] for row in fit(model, data, optimizer, **settings).history]
        )
    assert losses[0] == pytest.approx(losses[1], rel=1e-2)


def test_plain_keras_trains_the_model_itself(small_data):
    model = networks.paper((32, 32, 1), seed=1)
    before = [np.array(w) for w in model.get_weights()]
    training = fit(
        model, examples(small_data, slice(64)), keras.optimizers.SGD(0.1), engine="keras"
    )
    assert all(not np.allclose(a, b) for a, b in zip(before, model.get_weights(), strict=True))
    assert training.history[0]["updates"] == 2
    with pytest.raises(ValueError, match="engine must be one of compiled, keras; got 'torch'"):
        fit(model, examples(small_data), keras.optimizers.SGD(0.1), engine="torch")
