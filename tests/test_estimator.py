import random
import warnings

import keras
import numpy as np
import pytest
import yaml
from conftest import ROOT
from sklearn.exceptions import ConvergenceWarning, NotFittedError

from boxest import BoxRegressor, boxes, networks, synthetic
from boxest.estimator.image_regressor import ImageRegressor


def quick(**parameters):
    return BoxRegressor.paper(**{"epochs": 2, "random_state": 0, "xla": False} | parameters)


@pytest.fixture(scope="module")
def few():
    """60 images of 16 px with their boxes."""
    return synthetic.make(0, 60, seed=0, image_size=16)


@pytest.fixture(scope="module")
def fitted(small_data):
    return quick(epochs=8).fit(*small_data)


def test_it_learns(small_data):
    """Better than the best constant box, on images that it has not seen."""
    X, y = small_data
    regressor = BoxRegressor.paper(epochs=30, random_state=0, loss="giou", optimizer="adam")
    regressor.set_params(learning_rate=0.01).fit(X[:400], y[:400])
    assert regressor.runtime_["xla"]
    constant = np.tile(np.median(y[:400], axis=0), (100, 1))
    assert regressor.score(X[400:], y[400:]) > 0.15 + boxes.iou(y[400:], constant).mean()


def test_score_is_the_mean_geometric_iou(fitted, small_data):
    X, y = small_data
    expected = boxes.iou(y, fitted.predict(X))
    assert fitted.score(X, y) == pytest.approx(expected.mean())
    weights = np.arange(len(X))
    assert fitted.score(X, y, weights) == pytest.approx(np.average(expected, weights=weights))


def test_predict_gives_float64_boxes(fitted, small_data):
    predicted = fitted.predict(small_data[0][:7])
    assert (predicted.shape, predicted.dtype) == ((7, 4), np.float64)


def test_predictions_do_not_depend_on_the_number_of_images(fitted, small_data):
    X = small_data[0]
    np.testing.assert_allclose(fitted.predict(X)[3:4], fitted.predict(X[3:4]), atol=1e-6)


def test_same_integer_same_bits_and_none_another_network(small_data):
    X, y = small_data
    first, second = (quick().fit(X, y).predict(X) for _ in range(2))
    assert np.array_equal(first, second)
    others = [quick(random_state=state).fit(X, y).predict(X) for state in (1, None, None)]
    assert all(not np.allclose(a, b) for a, b in [(first, others[0]), others[1:]])


@pytest.mark.parametrize("draw", [random.random, np.random.rand, lambda: _keras_draw()])
def test_fit_leaves_global_random_states_alone(few, draw):
    import keras

    keras.utils.set_random_seed(3)
    expected = draw()
    keras.utils.set_random_seed(3)
    quick(network=_with_dropout).fit(*few)
    assert draw() == expected


def _keras_draw():
    import keras

    return float(keras.random.uniform(()))


def _with_dropout(image_shape, **_):
    """A network that takes seeds where Keras takes them: from global generators."""
    import keras

    layers = [keras.layers.Flatten(), keras.layers.Dropout(0.3), keras.layers.Dense(4)]
    return keras.Sequential([keras.Input(image_shape), *layers])


def test_network_function_that_ignores_its_seed_is_reproducible(few):
    first, second = (quick(network=_with_dropout).fit(*few).predict(few[0]) for _ in range(2))
    assert np.array_equal(first, second)
    assert not np.array_equal(
        first, quick(network=_with_dropout, random_state=1).fit(*few).predict(few[0])
    )


def test_fit_does_not_change_parameters(small_data):
    import keras

    optimizer = keras.optimizers.Adam(0.5)
    regressor = quick(optimizer=optimizer, learning_rate=0.01)
    before = regressor.get_params()
    regressor.fit(*small_data)
    assert regressor.get_params() == before
    assert float(optimizer.learning_rate) == 0.5
    assert not optimizer.built


def test_history_has_a_row_per_epoch_with_both_measures(small_data):
    regressor = quick(epochs=3, batch_size=45, validation_fraction=0.1).fit(*small_data)
    assert [row["epoch"] for row in regressor.history_] == [1, 2, 3]
    assert [row["updates"] for row in regressor.history_] == [10, 20, 30]
    last = regressor.history_[-1]
    for part in ("train", "validation"):
        assert last[f"{part}_loss"] == pytest.approx(last[f"{part}_inclusive_iou_loss"])
        assert 0 < last[f"{part}_inclusive_iou_loss"] < last[f"{part}_iou_loss"] <= 1
    assert regressor.n_iter_ == 3
    assert set(regressor.seconds_) == {"import", "data", "compile", "train", "evaluation"}
    # Keras is imported once per process.
    assert quick(epochs=1).fit(*small_data).seconds_["import"] == 0


def test_rate_is_halved_on_a_plateau(small_data):
    regressor = quick(epochs=4, plateau_patience=1, plateau_min_delta=10).fit(*small_data)
    assert [row["learning_rate_now"] for row in regressor.history_] == [0.1, 0.1, 0.05, 0.025]


def test_stops_early(small_data):
    regressor = quick(epochs=9, learning_rate=1e-30, stop_patience=1).fit(*small_data)
    assert (regressor.n_iter_, regressor.stopped_early_) == (2, True)


def test_validation_data_takes_the_place_of_a_fraction(small_data):
    X, y = small_data
    regressor = quick(batch_size=100, epochs=1)
    regressor.fit(X[:400], y[:400], validation_data=(X[400:], y[400:]))
    assert regressor.history_[-1]["updates"] == 4
    assert regressor.history_[-1]["validation_iou_loss"] == pytest.approx(
        1 - regressor.score(X[400:], y[400:]), abs=1e-5
    )


def test_without_validation_the_training_loss_decides(small_data):
    regressor = quick(validation_fraction=0, stop_patience=1, learning_rate=1e-30, epochs=9)
    regressor.fit(*small_data)
    assert "validation_loss" not in regressor.history_[0]
    assert regressor.n_iter_ < 9


def test_own_network_function(small_data):
    def flat(image_shape, **_):
        return keras.Sequential(
            [keras.Input(image_shape), keras.layers.Flatten(), keras.layers.Dense(4)]
        )

    regressor = quick(network=flat, learning_rate=1e-3).fit(*small_data)
    assert regressor.model_.count_params() == 32 * 32 * 4 + 4


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        (
            {"learning_rate": -1},
            "'learning_rate' parameter of BoxRegressor must be a float in the range",
        ),
        ({"learning_rate": "0.1"}, "'learning_rate' parameter.* Got '0.1' instead"),
        ({"batch_size": 0}, "'batch_size' parameter.* Got 0 instead"),
        ({"epochs": 1.5}, "'epochs' parameter.* Got 1.5 instead"),
        ({"plateau_factor": 1}, "'plateau_factor' parameter.* Got 1 instead"),
        ({"loss": "overlap"}, "loss must be one of .*got 'overlap'"),
        ({"loss": "dice"}, r"loss='dice' returns an array of shape \(\) for two examples"),
        ({"network": "vgg"}, "Unknown network 'vgg'"),
        ({"optimizer": "lion2"}, "Unknown optimizer 'lion2'"),
        (
            {"optimizer": {"name": "sgd", "learning_rate": 0.5}},
            "'learning_rate': 0.5.* would have no effect: the parameter learning_rate",
        ),
        ({"output_activation": "softsine"}, "Unknown output_activation 'softsine'"),
        ({"validation_fraction": 0.999}, "of 500 examples leaves none to train on"),
        ({"engine": "torch"}, "'engine' parameter.* Got 'torch' instead"),
        ({"image_shape": (16, 16)}, r"images of shape \(16, 16, 1\) .* are expected"),
    ],
)
def test_bad_parameters_are_named(small_data, parameters, message):
    with pytest.raises(ValueError, match=message):
        quick(**parameters).fit(*small_data)


@pytest.mark.parametrize(
    ("box", "message"),
    [
        ([0.5, 0.1, 0.1, 0.5], "flipped"),
        ([10, 10, 50, 50], "looks like pixels: divide by the image size"),
        ([0.1, 0.1, np.nan, 0.5], "not finite"),
        ([-0.1, 0.1, 0.5, 0.5], "outside 0..1"),
        ([0.1, 0.1, 0.5], r"shape \(n, 4\)"),
    ],
)
def test_bad_boxes_are_named(box, message):
    with pytest.raises(ValueError, match=message):
        quick().fit(np.zeros((5, 8, 8)), np.tile(box, (5, 1)))


def test_predict_before_fit():
    with pytest.raises(NotFittedError, match="not fitted yet"):
        BoxRegressor.paper().predict(np.zeros((2, 16, 16)))


def test_process_of_a_first_fit_prints_nothing_but_its_own(python):
    """The backends' greetings on stderr are switched off."""
    code = (
        "import sys, os; os.dup2(1, 2)\n"
        "from boxest import BoxRegressor, synthetic\n"
        "X, y = synthetic.make(0, 40, seed=0, image_size=16)\n"
        "print(BoxRegressor.paper(epochs=1).fit(X, y).n_iter_)"
    )
    assert python(code) == "1\n"


def test_weight_0_is_absence(few):
    X, y = few
    weights = np.arange(60) % 3 != 0
    weighted = quick().fit(X, y, weights)
    alone = quick().fit(X[weights], y[weights])
    assert np.array_equal(weighted.predict(X), alone.predict(X))
    assert weighted.history_[-1]["validation_loss"] == alone.history_[-1]["validation_loss"]


def test_weight_2_is_the_row_twice(few):
    """In a batch of all examples; smaller batches would be cut another way."""
    X, y = few
    weights = 1 + np.arange(60) % 2
    whole = {"batch_size": 100, "validation_fraction": 0, "epochs": 5}
    weighted = quick(**whole).fit(X, y, weights, validation_data=(X, y, weights))
    rows = np.repeat(np.arange(60), weights)
    twice = quick(**whole).fit(X[rows], y[rows], validation_data=(X[rows], y[rows]))
    np.testing.assert_allclose(weighted.predict(X), twice.predict(X), atol=1e-5)
    for name in ("train_loss", "validation_loss"):
        assert weighted.history_[-1][name] == pytest.approx(twice.history_[-1][name], abs=1e-5)
    plain = quick(**whole).fit(X, y)
    assert not np.allclose(weighted.predict(X), plain.predict(X), atol=1e-5)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (np.zeros(60), "is 0 for all examples|at least one non-zero number"),
        (-np.ones(60), "Negative values in data passed to `sample_weight`"),
        (np.ones(59), r"sample_weight.shape == \(59,\), expected \(60,\)"),
        (np.ma.masked_less(np.arange(60.0), 5), "sample_weight has masked values; give 0"),
    ],
)
def test_bad_weights_are_named(few, weights, message):
    with pytest.raises(ValueError, match=message):
        quick().fit(*few, weights)


def test_warm_start_goes_on_exactly(few):
    """Optimizer, learning rate, number of epochs and order of examples."""
    X, y = few
    parameters = {"optimizer": "adam", "learning_rate": 0.01, "plateau_min_delta": 10}
    straight = quick(epochs=5, **parameters).fit(X, y)
    parts = quick(epochs=2, warm_start=True, **parameters).fit(X, y)
    model = parts.model_
    parts.set_params(epochs=3).fit(X, y)
    assert parts.model_ is model
    assert np.array_equal(parts.predict(X), straight.predict(X))
    names = ("epoch", "updates", "learning_rate_now", "validation_loss")
    for mine, theirs in zip(parts.history_, straight.history_, strict=True):
        assert [mine[name] for name in names] == [theirs[name] for name in names]
    assert straight.history_[-1]["learning_rate_now"] < 0.01
    assert (parts.n_iter_, parts.seed_) == (5, 0)


def test_warm_start_takes_parameters_of_now(few):
    regressor = quick(warm_start=True, stop_patience=1, learning_rate=1e-30).fit(*few)
    regressor.set_params(learning_rate=0.05, batch_size=60, loss="giou", epochs=1).fit(*few)
    assert regressor.history_[-1]["learning_rate_now"] == 0.05
    assert np.diff([row["updates"] for row in regressor.history_])[-1] == 1
    assert regressor.history_[-1]["train_loss"] > regressor.history_[-1]["train_iou_loss"]


def test_a_warm_start_that_fails_while_it_reads_changes_nothing(few):
    """The next one took the loss of the one that failed for its own, with another's smallest."""
    X, y = few
    regressor, expected = (
        quick(warm_start=True, stop_patience=1, loss="mean_squared_error").fit(X, y) for _ in "ab"
    )
    loss, weights = regressor.model_.loss, regressor.model_.get_weights()
    damaged = X.astype(float)
    damaged[3, 5, 5] = np.nan
    with pytest.raises(ValueError, match="NaN"):
        regressor.set_params(loss="giou", epochs=4).fit(damaged, y)
    assert type(regressor.model_.loss) is type(loss)
    assert all(map(np.array_equal, weights, regressor.model_.get_weights()))
    expected.set_params(loss="giou", epochs=4).fit(X, y)
    assert len(regressor.fit(X, y).history_) == len(expected.history_)
    assert np.array_equal(regressor.predict(X), expected.predict(X))


def test_a_network_that_diverged_is_begun_anew(few):
    """It went on from NaN, whatever the rate, and advised a smaller one each time."""
    regressor = quick(warm_start=True, loss="mean_squared_error", learning_rate=1e30)
    with pytest.warns(ConvergenceWarning, match="the next training begins with a new one"):
        regressor.fit(*few)
    regressor.set_params(learning_rate=0.01).fit(*few)
    assert not regressor.diverged_
    expected = quick(loss="mean_squared_error", learning_rate=0.01).fit(*few)
    assert np.array_equal(regressor.predict(few[0]), expected.predict(few[0]))
    with pytest.warns(ConvergenceWarning):
        regressor = quick(loss="mean_squared_error", learning_rate=1e30).fit(*few)
    regressor.set_params(learning_rate=0.01).partial_fit(*few)
    assert not regressor.diverged_


def test_values_of_another_loss_count_for_no_patience(few):
    """They would all be larger than the smallest squared error, so the rate would be halved."""
    regressor = quick(warm_start=True, plateau_patience=1, loss="mean_squared_error").fit(*few)
    regressor.set_params(loss="giou").fit(*few)
    third, fourth = (row["learning_rate_now"] for row in regressor.history_[-2:])
    assert third == fourth


def test_training_losses_count_for_no_patience_with_validation_losses(few):
    """Nor the other way round. No loss reaches that of the one box that all had before."""
    X, y = few
    same = np.tile([0.25, 0.25, 0.75, 0.75], (len(X), 1))
    rates = {"learning_rate": 0.1, "schedule": "constant", "epochs": 6}
    for first, second in ((0, 0.2), (0.2, 0)):
        regressor = quick(warm_start=True, stop_patience=1, validation_fraction=first, **rates)
        n_before = regressor.fit(X, same).n_iter_
        watched = "validation_loss" if second else "train_loss"
        regressor.set_params(validation_fraction=second, learning_rate=1e-3, epochs=3).fit(X, y)
        losses = [row[watched] for row in regressor.history_[n_before:]]
        assert len(losses) == 3
        assert losses == sorted(losses, reverse=True)


def test_a_loss_that_was_changed_counts_for_the_next_piece(few):
    class Scaled(keras.losses.Loss):
        scale = 1.0

        def call(self, y_true, y_pred):
            return self.scale * keras.ops.mean((y_true - y_pred) ** 2, axis=-1)

    regressor = quick(loss=Scaled()).partial_fit(*few)
    regressor.loss.scale = 0.0
    regressor.partial_fit(*few)
    assert [row["train_loss"] > 0 for row in regressor.history_] == [True, False]


def test_freezing_layers_does_not_change_predictions(few):
    """In a program that other networks share, and for layers of the same shape in turn."""

    def alike(image_shape, **_):
        layers = [keras.layers.Dense(4) for _ in range(3)]
        return keras.Sequential([keras.Input(image_shape), keras.layers.Flatten(), *layers])

    for network in ("paper", alike):
        regressor = quick(network=network, epochs=1).fit(*few)
        expected = regressor.predict(few[0])
        first, second = regressor.model_.layers[-2:]
        for layer in (first, second):
            first.trainable = second.trainable = True
            layer.trainable = False
            assert np.array_equal(regressor.predict(few[0]), expected)


def test_partial_fit_is_an_epoch(few):
    X, y = few
    parts = quick(validation_fraction=0)
    for _ in range(3):
        parts.partial_fit(X, y)
    straight = quick(epochs=3, validation_fraction=0).fit(X, y)
    assert np.array_equal(parts.predict(X), straight.predict(X))
    assert [row["epoch"] for row in parts.history_] == [1, 2, 3]
    parts.partial_fit(X[:30], y[:30], validation_data=(X[30:], y[30:]))
    assert parts.history_[-1]["validation_iou_loss"] == pytest.approx(
        1 - parts.score(X[30:], y[30:]), abs=1e-5
    )


def test_without_warm_start_fit_begins_anew(few):
    X, y = few
    regressor = quick().fit(X[:30], y[:30])
    assert np.array_equal(regressor.fit(X, y).predict(X), quick().fit(X, y).predict(X))


def test_a_failed_fit_leaves_the_network_as_it_was(few, tmp_path):
    X, y = few
    regressor = quick().fit(X, y)
    before = regressor.predict(X)
    with pytest.raises(ValueError, match="leaves none to train on"):
        regressor.set_params(validation_fraction=0.999).fit(X, y)
    regressor.set_params(validation_fraction=0.1)
    with pytest.raises(ValueError, match="must hold Keras callbacks; got 'no callback'"):
        regressor.set_params(callbacks=["no callback"]).fit(X, y)
    with pytest.raises(ValueError, match=r"images of shape \(8, 16, 1\)"):
        regressor.set_params(callbacks=None).fit(X, y, followed=X[:2, :8])
    (tmp_path / "notes.txt").write_text("no state")
    with pytest.raises(ValueError, match="is a file of another kind"):
        regressor.set_params(callbacks=None, checkpoint=tmp_path / "notes.txt").fit(X, y)
    assert regressor.callbacks_ == []
    assert regressor.n_iter_ == len(regressor.history_) == 2
    assert np.array_equal(regressor.predict(X), before)


def test_a_warning_that_is_an_error_leaves_no_programs_of_another_network(few):
    """It ends `fit` when everything else is done."""
    regressor = quick(warm_start=True, epochs=1).fit(*few)
    regressor.set_params(warm_start=False, learning_rate=1e30, loss="mse")
    with warnings.catch_warnings():
        warnings.simplefilter("error", ConvergenceWarning)
        with pytest.raises(ConvergenceWarning):
            regressor.fit(*few)
    network = regressor.model_
    # The programs of the first network were compiled with these.
    regressor.set_params(warm_start=True, learning_rate=0.1, loss="inclusive_iou").fit(*few)
    assert regressor.model_ is not network  # Nothing goes on from a network that diverged.
    expected = quick(epochs=1, learning_rate=0.1).fit(*few)
    assert np.array_equal(regressor.predict(few[0]), expected.predict(few[0]))


def test_other_number_of_targets_cannot_go_on(few):
    X, y = few
    regressor = ImageRegressor(epochs=1, xla=False).partial_fit(X, y[:, :2])
    assert regressor.predict(X).shape == (60, 2)
    with pytest.raises(ValueError, match=r"y has 3 columns, but ImageRegressor .* with 2"):
        regressor.partial_fit(X, y[:, :3])


def test_masked_targets_are_refused(few):
    X, y = few
    with pytest.raises(ValueError, match="y has masked values; remove such rows"):
        ImageRegressor(epochs=1, xla=False).fit(X, np.ma.masked_less(y[:, 0], 0.3))


def test_engine_keras_does_the_same(few):
    X, y = few
    compiled, plain = (quick(engine=engine).fit(X, y) for engine in ("compiled", "keras"))
    np.testing.assert_allclose(plain.predict(X), compiled.predict(X), atol=1e-5)
    assert plain.runtime_["engine"] == "keras"


def test_bad_validation_data_is_named(few):
    with pytest.raises(ValueError, match=r"validation_data must be \(X, y\).*got ndarray"):
        quick().fit(*few, validation_data=few[0])


def test_image_regressor_knows_the_size_of_any_target(few):
    X, y = few
    regressor = ImageRegressor(epochs=1, xla=False, random_state=0)
    assert regressor.fit(X, y[:, 0]).predict(X).shape == (60,)
    assert regressor.model_.name == "paper"
    assert regressor.model_.layers[1].name == "conv2d"
    assert regressor.fit(X[:, :4, :4], y).model_.layers[0].name.startswith("flatten")

    def box_network(image_shape, **options):
        return networks.paper(image_shape, **options)

    with pytest.raises(ValueError, match="must return 1 numbers per image, one per target"):
        regressor.set_params(network=box_network).fit(X, y[:, 0])


def test_the_papers_settings_have_a_name_and_can_be_changed():
    paper = BoxRegressor.paper(epochs=5).get_params()
    named = ("network", "loss", "optimizer", "learning_rate", "batch_size", "epochs")
    assert [paper[name] for name in named] == ["paper", "inclusive_iou", "sgd", 0.1, 16, 5]
    best = yaml.safe_load((ROOT / "config" / "config.yaml").read_text())["best"]
    del best["seeds"]
    assert {name: paper[name] for name in best} == best
    with pytest.raises(TypeError, match="patience"):
        BoxRegressor.paper(patience=3)


@pytest.mark.slow
def test_the_default_finds_boxes_better_than_the_papers_settings():
    X, y = synthetic.make(0, 1500, seed=0, image_size=32)
    default, paper = (
        new(epochs=12, random_state=0).fit(X[:1200], y[:1200]).score(X[1200:], y[1200:])
        for new in (BoxRegressor, BoxRegressor.paper)
    )
    assert default > 0.8 > 0.75 > paper > 0.5
