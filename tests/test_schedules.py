"""What becomes of the learning rate and of the weights: as in Keras' own `fit`."""

import keras
import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning

from boxest import BoxRegressor, losses, synthetic
from boxest.training import Schedule, epoch_order

schedules = keras.optimizers.schedules


@pytest.fixture(scope="module")
def data():
    return synthetic.make(0, 60, seed=0, image_size=16)


@pytest.fixture(scope="module")
def held_out():
    return synthetic.make(60, 90, seed=0, image_size=16)


def dense(image_shape, output_activation="linear", seed=0):
    """A network that compiles fast."""
    start = keras.initializers.GlorotUniform(seed)
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input(image_shape),
            layers.MaxPooling2D(2),
            layers.Flatten(),
            layers.Dense(4, output_activation, kernel_initializer=start),
        ]
    )


def regressor(**parameters):
    settings = {"network": dense, "epochs": 3, "random_state": 0, "xla": False}
    return BoxRegressor.paper(**settings | {"learning_rate": 0.05} | parameters)


def keras_fit(data, optimizer, epochs=3):
    """Train a network by Keras alone, in our order of the examples; all of them are trained on."""
    images, boxes = data
    model = dense((16, 16, 1), seed=0)
    model.compile(optimizer, losses.get("inclusive_iou"), jit_compile=False)
    for epoch in range(1, epochs + 1):
        for rows in epoch_order(len(images), 16, seed=0, epoch=epoch):
            rows = rows[rows >= 0]
            model.train_on_batch(images[rows, ..., None] / np.float32(255), boxes[rows])
    optimizer.finalize_variable_values(model.trainable_variables)
    return model


def weights(model):
    return np.concatenate([np.ravel(values) for values in model.get_weights()])


def rates(one):
    return [row["learning_rate_now"] for row in one.history_]


# --- the rate of every update -----------------------------------------------------------------


def test_cosine_falls_to_zero_after_a_linear_warm_up():
    schedule = Schedule(0.1, cosine=True, warmup_epochs=0.5)
    epochs = [schedule.rates(epoch, epochs=3, steps=4, updates=0) for epoch in range(3)]
    assert np.concatenate(epochs)[:3] == pytest.approx([0.05, 0.1, 0.1])
    falling = 0.05 * (1 + np.cos(np.pi * np.arange(10) / 10))
    assert np.concatenate(epochs)[2:] == pytest.approx(falling)


@pytest.mark.parametrize("cosine", [False, True])
def test_a_training_that_is_all_warm_up_rises_to_its_end(cosine):
    schedule = Schedule(0.4, cosine=cosine, warmup_epochs=5)
    assert schedule.rates(1, epochs=2, steps=2, updates=0) == pytest.approx([0.12, 0.16])


@pytest.mark.parametrize("engine", ["compiled", "keras"])
def test_cosine_is_the_cosine_of_keras(data, engine):
    ours = regressor(schedule="cosine", optimizer="sgd", engine=engine, validation_fraction=0)
    theirs = keras_fit(data, keras.optimizers.SGD(schedules.CosineDecay(0.05, 12)))
    np.testing.assert_allclose(weights(ours.fit(*data).model_), weights(theirs), atol=1e-6)
    assert rates(ours) == pytest.approx([0.05, 0.0375, 0.0125])


@pytest.mark.parametrize("engine", ["compiled", "keras"])
@pytest.mark.parametrize("where", ["learning_rate", "optimizer"])
def test_a_schedule_of_keras_gives_the_rate_of_each_update(data, engine, where):
    decay = schedules.ExponentialDecay(0.1, 4, 0.5)
    given = {
        "learning_rate": {"learning_rate": decay, "optimizer": "adam"},
        "optimizer": {"optimizer": keras.optimizers.Adam(decay)},
    }[where]
    ours = regressor(**given, engine=engine, validation_fraction=0, plateau_patience=1)
    theirs = keras_fit(data, keras.optimizers.Adam(decay))
    np.testing.assert_allclose(weights(ours.fit(*data).model_), weights(theirs), atol=2e-6)
    assert rates(ours) == pytest.approx([0.1, 0.05, 0.025])
    assert ours.learning_rate_ == pytest.approx(0.1)


def test_a_schedule_of_keras_counts_the_updates_of_all_trainings(data):
    one = regressor(learning_rate=schedules.InverseTimeDecay(0.1, 4, 1.0), warm_start=True)
    one.set_params(epochs=1, validation_fraction=0).fit(*data).fit(*data).partial_fit(*data)
    assert rates(one) == pytest.approx([0.1, 0.1 / 2, 0.1 / 3])


def test_each_fit_of_a_warm_start_begins_a_new_cosine(data):
    one = regressor(schedule="cosine", warm_start=True, epochs=2).fit(*data).fit(*data)
    assert rates(one) == pytest.approx([0.05, 0.025, 0.05, 0.025])


def test_constant_means_that_no_plateau_counts(data):
    lowered = {"plateau_patience": 1, "plateau_min_delta": 10.0}
    assert rates(regressor(**lowered).fit(*data))[-1] < 0.05
    assert rates(regressor(schedule="constant", **lowered).fit(*data)) == [0.05] * 3


def test_pieces_are_no_epochs_for_the_plateau(data):
    images, boxes = data
    one = regressor(plateau_patience=1, plateau_min_delta=10.0, stop_patience=1)
    for start in range(0, 60, 10):
        one.partial_fit(images[start : start + 10], boxes[start : start + 10])
    assert rates(one) == [0.05] * 6
    assert not one.stopped_early_


def test_pieces_go_on_with_the_rate_that_a_plateau_has_left(data):
    one = regressor(plateau_patience=1, plateau_min_delta=10.0).fit(*data)
    assert rates(one.partial_fit(*data))[-1] == one._schedule.learning_rate < 0.05


@pytest.mark.parametrize(
    "given", [{"schedule": "cosine"}, {"warmup_epochs": 1}], ids=lambda given: next(iter(given))
)
def test_a_callback_cannot_set_a_rate_that_the_schedule_sets(data, given):
    class SetsRate(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            self.model.optimizer.learning_rate = 0.01

    with pytest.raises(ValueError, match=r"A callback set the learning rate to 0\.01, .* schedule"):
        regressor(callbacks=[SetsRate()], **given).fit(*data)


def test_a_callback_for_the_rate_beside_a_schedule_is_refused_before_the_training(data):
    callback = keras.callbacks.ReduceLROnPlateau(patience=100)
    with pytest.raises(ValueError, match=r"ReduceLROnPlateau sets the learning rate, but here"):
        regressor(callbacks=[callback], schedule="cosine").fit(*data)


def test_a_whole_number_is_a_learning_rate(data):
    assert rates(regressor(learning_rate=1, optimizer="sgd").fit(*data))[0] == 1.0


# --- what an optimizer does beside the steps --------------------------------------------------


@pytest.mark.parametrize("engine", ["compiled", "keras"])
@pytest.mark.parametrize("settings", [{}, {"ema_overwrite_frequency": 3}], ids=["end", "often"])
def test_fit_leaves_the_averages_that_keras_leaves(data, engine, settings):
    def adam():
        return keras.optimizers.Adam(0.05, use_ema=True, ema_momentum=0.8, **settings)

    ours = regressor(optimizer=adam(), engine=engine, validation_fraction=0, schedule="constant")
    theirs = weights(keras_fit(data, adam()))
    plain = weights(keras_fit(data, keras.optimizers.Adam(0.05)))
    np.testing.assert_allclose(weights(ours.fit(*data).model_), theirs, atol=1e-6)
    assert np.abs(theirs - plain).max() > 0.01


@pytest.mark.parametrize("engine", ["compiled", "keras"])
@pytest.mark.parametrize(
    "optimizer",
    [
        lambda: keras.optimizers.SGD(0.05, clipnorm=0.01),
        lambda: keras.optimizers.SGD(0.05, momentum=0.5, global_clipnorm=0.01),
        lambda: keras.optimizers.AdamW(0.05, weight_decay=0.3, clipvalue=0.001),
        lambda: keras.optimizers.Adam(0.05, gradient_accumulation_steps=3),
        lambda: keras.optimizers.Lion(0.05, weight_decay=0.1),
        lambda: keras.optimizers.Adafactor(0.05),
    ],
    ids=["clipnorm", "global_clipnorm", "weight decay", "accumulation", "lion", "adafactor"],
)
def test_what_an_optimizer_does_beside_the_steps(data, engine, optimizer):
    ours = regressor(
        optimizer=optimizer(), engine=engine, validation_fraction=0, schedule="constant"
    )
    theirs = keras_fit(data, optimizer())
    np.testing.assert_allclose(weights(ours.fit(*data).model_), weights(theirs), atol=5e-6)


class WithoutBias(keras.optimizers.AdamW):
    def build(self, variables):
        self.exclude_from_weight_decay(var_names=["bias"])
        super().build(variables)


def test_variables_that_a_subclass_leaves_out_do_not_decay(data):
    def fitted(kind):
        optimizer = kind(0.05, weight_decay=1.0)
        return weights(regressor(optimizer=optimizer, schedule="constant").fit(*data).model_)

    assert np.abs(fitted(WithoutBias)[-4:] - fitted(keras.optimizers.AdamW)[-4:]).max() > 0.01


def test_an_optimizer_that_was_changed_is_not_copied_without_a_word(data):
    optimizer = keras.optimizers.AdamW(weight_decay=0.1)
    optimizer.exclude_from_weight_decay(var_names=["bias"])
    with pytest.raises(ValueError, match=r"changed after it was made .*exclude_from_weight_decay"):
        regressor(optimizer=optimizer).fit(*data)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"learning_rate": lambda: 0.1}, r"a keras\.optimizers\.schedules\.LearningRateSchedule"),
        (
            {
                "learning_rate": "auto",
                "optimizer": keras.optimizers.SGD(schedules.ExponentialDecay(0.1, 4, 0.5)),
            },
            "'auto' .* has its own schedule",
        ),
        ({"optimizer": keras.optimizers.Adam}, "is a class: pass an object of it, or its name"),
        ({"schedule": "linear"}, "'schedule' parameter"),
        ({"warmup_epochs": -1}, "'warmup_epochs' parameter"),
    ],
)
def test_what_cannot_be_is_refused(data, parameters, message):
    with pytest.raises(ValueError, match=message):
        regressor(**parameters).fit(*data)


def test_an_optimizer_of_several_is_refused(data):
    if not hasattr(keras.optimizers, "MultiOptimizer"):
        pytest.skip("Keras has none in this version")
    several = keras.optimizers.OptimizerMap(keras.optimizers.SGD())
    with pytest.raises(ValueError, match="several optimizers"):
        regressor(optimizer=keras.optimizers.MultiOptimizer(several)).fit(*data)


def test_averages_and_pieces_do_not_go_together(data):
    averaging = keras.optimizers.Adam(use_ema=True)
    with pytest.raises(ValueError, match="partial_fit has no last epoch"):
        regressor(optimizer=averaging).partial_fit(*data)


def test_a_callback_of_keras_has_the_averages_evaluated(data):
    averaging = keras.optimizers.Adam(use_ema=True, ema_momentum=0.9)
    settings = {"optimizer": averaging, "epochs": 1}
    plain = regressor(**settings).fit(*data, validation_data=data)
    swapped = regressor(**settings, callbacks=[keras.callbacks.SwapEMAWeights()])
    swapped.fit(*data, validation_data=data)
    loss = 1 - swapped.score(*data)  # Of the averages, which fit has left.
    assert swapped.history_[-1]["validation_iou_loss"] == pytest.approx(loss, abs=1e-6)
    assert plain.history_[-1]["validation_iou_loss"] != pytest.approx(loss, abs=1e-3)
    np.testing.assert_allclose(weights(swapped.model_), weights(plain.model_), atol=1e-6)


# --- the best weights -------------------------------------------------------------------------


@pytest.mark.parametrize("engine", ["compiled", "keras"])
def test_fit_leaves_the_weights_of_the_smallest_validation_loss(data, held_out, engine):
    settings = {"learning_rate": 0.5, "optimizer": "sgd", "loss": "mean_squared_error"}
    settings |= {"epochs": 6, "schedule": "constant", "engine": engine}
    best = regressor(restore_best_weights=True, **settings).fit(*data, validation_data=held_out)
    losses_seen = [row["validation_loss"] for row in best.history_]
    assert best.best_epoch_ == int(np.argmin(losses_seen)) + 1 < 6
    error = np.mean((best.predict(held_out[0]) - held_out[1]) ** 2)
    assert error == pytest.approx(min(losses_seen), rel=1e-5)
    shorter = regressor(**settings | {"epochs": best.best_epoch_})
    shorter.fit(*data, validation_data=held_out)
    assert np.array_equal(weights(best.model_), weights(shorter.model_))
    assert shorter.best_epoch_ is None


def test_the_best_weights_outlive_a_divergence(data, held_out):
    one = regressor(
        learning_rate=20.0,
        optimizer="sgd",
        loss="mean_squared_error",
        epochs=40,
        schedule="constant",
        restore_best_weights=True,
    )
    kept = r"diverged in epoch (\d+): .* that of epoch \d+\. Use a smaller learning_rate than 20\."
    with pytest.warns(ConvergenceWarning, match=kept):
        one.fit(*data, validation_data=held_out)
    assert one.diverged_
    assert np.isfinite(one.predict(held_out[0])).all()


def test_without_validation_the_last_weights_stay(data):
    kept, last = (
        regressor(validation_fraction=0, restore_best_weights=best).fit(*data)
        for best in (True, False)
    )
    assert kept.best_epoch_ is None
    assert np.array_equal(weights(kept.model_), weights(last.model_))


def test_the_best_weights_are_those_of_each_fit(data, held_out):
    one = regressor(restore_best_weights=True, warm_start=True, epochs=2)
    one.fit(*data, validation_data=held_out).fit(*data, validation_data=held_out)
    second = [row["validation_loss"] for row in one.history_[2:]]
    assert one.best_epoch_ == 3 + int(np.argmin(second))


def test_pieces_after_a_fit_with_validation_can_be_saved(data, tmp_path):
    settings = {"network": "paper", "epochs": 1, "restore_best_weights": True}
    one = regressor(**settings).fit(*data).partial_fit(*data)
    one.save(tmp_path / "saved.boxest")
    loaded = BoxRegressor.load(tmp_path / "saved.boxest")
    assert loaded.history_ == one.history_
    assert "validation_loss" not in loaded.history_[1]


@pytest.mark.parametrize("engine", ["compiled", "keras"])
def test_optimizers_may_keep_the_rate_in_double_precision(data, engine):
    settings = {"schedule": "cosine", "learning_rate": 0.03, "engine": engine}
    expected = regressor(**settings).fit(*data).history_
    # The policy of the layers, which would follow, stays what it is.
    keras.config.set_dtype_policy(keras.config.dtype_policy())
    keras.config.set_floatx("float64")
    try:
        found = regressor(**settings).fit(*data).history_
    finally:
        keras.config.set_floatx("float32")
    for name in ("learning_rate_now", "train_loss"):
        assert [row[name] for row in found] == pytest.approx([row[name] for row in expected])
