"""Learning rates found by short trials: known answers, and what a search leaves alone."""

import keras
import numpy as np
import pandas as pd
import pytest
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from boxest import BoxRegressor, analysis, find_learning_rate, fit_many, shards, synthetic
from boxest.estimator.image_regressor import ImageRegressor
from boxest.training import search

# Curvatures of the quadratic: half of the second derivatives of the mean squared error.
CURVATURES = 4.0, 0.04
# Gradient descent on it is gone above this rate, 2 by the largest second derivative.
THRESHOLD = 1 / CURVATURES[0]


def linear(image_shape, *, output_activation, seed):
    """A network that is one product, with weights of 0."""
    layers = keras.layers
    product = layers.Dense(1, use_bias=False, kernel_initializer="zeros")
    return keras.Sequential([keras.Input(image_shape), layers.Flatten(), product])


def quadratic(curvatures=CURVATURES):
    """Examples whose mean squared error at the weights w is the sum of curvature * (w - 1)**2."""
    axes = np.diag(np.sqrt(np.multiply(curvatures, len(curvatures))))
    X = np.concatenate([axes, -axes])
    return X[:, np.newaxis].astype(np.float32), X.sum(axis=1)


def descent(**parameters):
    """Gradient descent: one batch holds all examples, and each epoch has one update."""
    fixed = {"network": linear, "optimizer": "sgd", "validation_fraction": 0, "random_state": 0}
    return ImageRegressor(**fixed, plateau_patience=None, **parameters)


def boxes_data(n=120):
    return synthetic.make(0, n, seed=0, image_size=16)


def small(image_shape, *, output_activation, seed):
    layers = keras.layers
    pooling, product = layers.MaxPooling2D(4), layers.Dense(4)
    return keras.Sequential([keras.Input(image_shape), pooling, layers.Flatten(), product])


def tiny(**parameters):
    """A box regressor that is compiled and trained in no time."""
    settings = {"network": small, "random_state": 3, "epochs": 3} | parameters
    return BoxRegressor.paper(**settings)


# --- the range test --------------------------------------------------------------------------


def test_range_test_finds_where_gradient_descent_diverges():
    found = find_learning_rate(descent(), *quadratic(), lowest=1e-4)
    table = found.table
    assert found.method == "range_test"
    # A step above the threshold makes the error grow; a few of them, and it is gone.
    gone = table.loc[table["diverged"], "learning_rate"]
    assert THRESHOLD < gone.min() < 8 * THRESHOLD
    assert table["diverged"].iloc[-1]
    assert len(table) < 60
    # The suggestion is stable, and by no more than an order of magnitude and a half too careful.
    assert THRESHOLD / 30 < found.learning_rate < THRESHOLD / 2
    least = table["learning_rate"][table["smoothed_loss"].idxmin()]
    assert found.learning_rate == pytest.approx(least / 10)
    assert found.updates == found.epochs == len(table)
    assert found.seconds > 0


def test_range_test_scales_with_the_curvature():
    """Of images twice as large, the curvatures are four times as large, and so is nothing else."""
    X, y = quadratic()
    plain = find_learning_rate(descent(), X, y, lowest=1e-4, highest=8)
    scaled = find_learning_rate(descent(), 2 * X, y, lowest=1e-4 / 4, highest=2)
    assert scaled.learning_rate == plain.learning_rate / 4
    assert scaled.table["loss"].tolist() == plain.table["loss"].tolist()


def test_first_losses_of_the_range_test_are_those_of_the_mathematics():
    table = find_learning_rate(descent(), *quadratic(), lowest=1e-3, n_rates=40).table
    rates_ = table["learning_rate"]
    assert rates_.tolist() == pytest.approx(np.geomspace(1e-3, 10, 40)[: len(table)])
    off, expected = np.ones(2), []
    for rate in rates_:
        expected.append(np.sum(CURVATURES * off**2))
        off *= 1 - 2 * np.array(CURVATURES) * rate
    assert table["loss"][:10].tolist() == pytest.approx(expected[:10], rel=1e-4)


@pytest.mark.filterwarnings("ignore:X has dtype")
def test_a_range_that_holds_no_answer_is_told_of():
    with pytest.warns(UserWarning, match=r"smallest loss at 0\.001, at an end of the tried"):
        found = find_learning_rate(descent(), *quadratic(), lowest=1e-4, highest=1e-3)
    assert found.learning_rate == pytest.approx(1e-4)
    with pytest.raises(ValueError, match=r"The loss is (inf|nan) from the first update on"):
        find_learning_rate(descent(), *quadratic((4e38,)))


def test_smoothing_keeps_a_constant_and_takes_noise_away():
    at = np.geomspace(1e-5, 10, 100)
    assert search.smooth(at, np.full(100, 0.3)) == pytest.approx(0.3)
    noise = np.random.default_rng(0).normal(size=100)
    assert search.smooth(at, noise).std() < 0.5
    assert search.smooth(at, noise, width=1e-9) == pytest.approx(noise)


def test_a_sweep_at_one_rate_is_plain_training():
    X, y = boxes_data(64)
    seen = {}

    def look(trials):
        before = trials.trainer.arrays()
        seen["steps"] = list(trials.sweep(0.05, 0.05, 3))
        seen["rows"] = trials.train(0.05, 2)
        seen["updates"] = trials.updates
        after = trials.trainer.arrays()
        assert all(map(np.array_equal, before, after))
        return 0.05

    regressor = tiny(batch_size=8, validation_fraction=0)
    regressor._search_learning_rate((X, y, None), None, look)
    trained = tiny(batch_size=8, validation_fraction=0, learning_rate=0.05, epochs=2).fit(X, y)
    losses = [row["train_loss"] for row in trained.history_]
    assert [row["train_loss"] for row in seen["rows"]] == losses
    assert [step.updates for step in seen["steps"]] == [2, 2, 2, 2]
    assert np.mean([step.loss for step in seen["steps"]]) == pytest.approx(losses[0], rel=1e-6)
    assert seen["updates"] == 8 + 2 * 8


def test_an_epoch_of_few_updates_is_made_several_times():
    X, y = boxes_data(64)
    steps, rows = [], []

    def look(trials):
        steps.extend(trials.sweep(0.01, 0.1, 10))
        # Of 24, 24 and 16 examples, which the network sees as they are.
        losses = [step.loss for step in trials.sweep(0.05, 0.05, 3)]
        rows.extend([np.average(losses, weights=[24, 24, 16]), trials.train(0.05, 1)[0]])
        return 0.05

    def normalised(image_shape, *, output_activation, seed):
        network = small(image_shape, output_activation=output_activation, seed=seed)
        network.add(keras.layers.BatchNormalization())
        return network

    regressor = tiny(network=normalised, batch_size=24, validation_fraction=0)
    regressor._search_learning_rate((X, y, None), None, look)
    # 3 updates per epoch, the last one of fewer examples; 4 epochs have the 10 that are asked for.
    assert [step.updates for step in steps] == [1] * 12
    rates_ = [step.learning_rate for step in steps]
    assert rates_ == pytest.approx(np.geomspace(0.01, 0.1, 12))
    assert rows[0] == pytest.approx(rows[1]["train_loss"], rel=1e-5)


# --- by orders of magnitude ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("start", "tried"),
    [(1e-3, [1e-3, 0.01, 0.1, 1]), (0.1, [0.1, 1, 0.01]), (10, [10, 100, 1, 0.1, 0.01])],
)
def test_magnitudes_find_the_best_of_a_ladder(start, tried):
    """The error shrinks by |1 - 8 rate| per update: of the powers of ten, most at 0.1."""
    data = quadratic((4.0,))
    found = find_learning_rate(descent(), *data, method="magnitudes", start=start)
    assert found.learning_rate == pytest.approx(0.1)
    assert found.table["learning_rate"].tolist() == pytest.approx(tried)
    # The loss of the third epoch is that before its update.
    expected = [4 * (1 - 8 * rate) ** 4 for rate in tried]
    assert found.table["loss"].tolist() == pytest.approx(expected, rel=1e-3)
    assert found.epochs == found.updates == 3 * len(tried)


def test_magnitudes_look_at_the_validation_loss():
    data = quadratic((4.0,))
    options = {"method": "magnitudes", "start": 0.1, "factor": 2, "epochs": 1}
    found = find_learning_rate(descent(), *data, validation_data=data, **options)
    assert found.table["learning_rate"].tolist() == pytest.approx([0.1, 0.2, 0.05])
    assert found.table["loss"].tolist() == pytest.approx([4 * 0.2**2, 4 * 0.6**2, 4 * 0.6**2])


@pytest.mark.filterwarnings("ignore:X has dtype")
def test_a_trial_that_diverges_is_a_result():
    data, options = quadratic((4.0,)), {"method": "magnitudes", "factor": 1e4}
    found = find_learning_rate(descent(), *data, start=1e9, **options)
    assert found.learning_rate == pytest.approx(1e-3)
    assert found.table["diverged"].tolist() == [True, False, False, False, False]
    with pytest.raises(ValueError, match="none leads to a finite loss"):
        find_learning_rate(descent(), *quadratic((4e30,)), start=1e9, method="magnitudes")


def test_magnitudes_begin_with_the_rate_of_the_estimator():
    tried = [
        find_learning_rate(
            descent(learning_rate=given), *quadratic((4.0,)), method="magnitudes", epochs=2
        ).table["learning_rate"][0]
        for given in (0.3, "auto")
    ]
    assert tried == [0.3, 0.01]


# --- what a search leaves alone, and what it is given ----------------------------------------


@pytest.mark.parametrize("method", ["range_test", "magnitudes"])
def test_a_search_is_repeatable_and_leaves_the_estimator_alone(method):
    X, y = boxes_data()
    regressor = tiny(warm_start=True).fit(X, y)
    before, weights = dict(vars(regressor)), regressor.model_.get_weights()
    first, second = (find_learning_rate(regressor, X, y, method=method) for _ in range(2))
    assert vars(regressor) == before
    assert all(map(np.array_equal, weights, regressor.model_.get_weights()))
    assert first.learning_rate == second.learning_rate
    pd.testing.assert_frame_equal(first.table, second.table, check_exact=True)


@pytest.mark.parametrize(
    "parameters",
    [{"engine": "keras"}, {"memory_limit": 0}, {"optimizer": "adam", "loss": "giou"}],
    ids=["keras", "streamed", "another loss and optimizer"],
)
def test_every_engine_and_optimizer_is_searched(parameters):
    X, y = boxes_data(64)
    found = find_learning_rate(tiny(batch_size=8, **parameters), X, y, n_rates=20)
    assert 1e-6 <= found.learning_rate <= 1
    if "engine" in parameters:
        plain = find_learning_rate(tiny(batch_size=8), X, y, n_rates=20).table["loss"]
        np.testing.assert_allclose(found.table["loss"][:12], plain[:12], rtol=1e-3)


def test_shards_and_weights_are_taken(tmp_path):
    X, y = boxes_data(64)
    meta = shards.Meta("train", 0, 64, 0, 16, synthetic.BoxLaw())
    shards.write(tmp_path / "shard.h5", X, y, meta)
    plain = find_learning_rate(tiny(), X, y)
    from_shards = find_learning_rate(tiny(), [tmp_path / "shard.h5"])
    assert from_shards.table["loss"].tolist() == plain.table["loss"].tolist()
    weights = np.repeat([1.0, 0.0], 32)
    weighted = find_learning_rate(tiny(validation_fraction=0), X, y, weights)
    half = find_learning_rate(tiny(validation_fraction=0), X[:32], y[:32])
    assert weighted.table["loss"].tolist() == half.table["loss"].tolist()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method": "grid"}, r"'method' parameter .* a str among .*Got 'grid'"),
        ({"lowest": 0}, r"'lowest' parameter .* in the range \(0\.0, inf\)\. Got 0"),
        ({"lowest": 1, "highest": 0.1}, r"lowest must be smaller than highest, got 1 and 0\.1\."),
        ({"n_rates": 1}, r"'n_rates' parameter .* Got 1"),
        ({"factor": 1}, r"'factor' parameter .* Got 1"),
        ({"epochs": 0}, r"'epochs' parameter .* Got 0"),
        ({"start": 0}, r"'start' parameter .* Got 0"),
    ],
)
def test_parameters_without_meaning_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        find_learning_rate(tiny(), *boxes_data(20), **options)


def test_other_estimators_are_refused():
    pipeline = make_pipeline(StandardScaler(), tiny())
    with pytest.raises(TypeError, match=r"takes a BoxRegressor or ImageRegressor; got Pipeline\."):
        find_learning_rate(pipeline, *boxes_data(20))


# --- learning_rate="auto" --------------------------------------------------------------------


def test_auto_is_the_rate_that_is_found():
    X, y = boxes_data()
    found = find_learning_rate(tiny(), X, y).learning_rate
    automatic = tiny(learning_rate="auto").fit(X, y)
    given = tiny(learning_rate=found).fit(X, y)
    assert automatic.learning_rate_ == given.learning_rate_ == found
    assert automatic.history_[0]["learning_rate_now"] == found
    assert np.array_equal(automatic.predict(X), given.predict(X))
    assert not hasattr(tiny(), "learning_rate_")
    assert [row["updates"] for row in automatic.history_] == [7, 14, 21]


def test_auto_begins_with_the_first_weights_where_the_search_diverged():
    data = quadratic()
    assert find_learning_rate(descent(), *data).table["diverged"].any()
    regressor = descent(learning_rate="auto", epochs=2).fit(*data)
    left = (1 - 2 * np.array(CURVATURES) * regressor.learning_rate_) ** 2
    expected = [sum(CURVATURES), np.sum(CURVATURES * left)]
    assert [row["train_loss"] for row in regressor.history_] == pytest.approx(expected, rel=1e-5)


def test_auto_goes_on_with_the_rate_that_was_found(monkeypatch, tmp_path):
    X, y = boxes_data()
    # What is saved needs a network by its name.
    settings = {"network": "auto", "xla": False, "plateau_patience": None}
    regressor = tiny(learning_rate="auto", **settings).fit(X, y)
    found = regressor.learning_rate_
    monkeypatch.setattr(search, "find", None)
    regressor.save(tmp_path / "saved.boxest")
    loaded = BoxRegressor.load(tmp_path / "saved.boxest")
    assert (loaded.learning_rate, loaded.learning_rate_) == ("auto", found)
    loaded.partial_fit(X, y)
    loaded.set_params(warm_start=True, epochs=1).fit(X, y)
    assert [row["learning_rate_now"] for row in loaded.history_] == [found] * 5
    loaded.set_params(learning_rate=0.5).fit(X, y)
    assert (loaded.history_[-1]["learning_rate_now"], loaded.learning_rate_) == (0.5, 0.5)


class Interrupt(keras.callbacks.Callback):
    def on_epoch_begin(self, epoch, logs=None):
        if epoch == 2:
            raise KeyboardInterrupt


def test_auto_survives_an_interruption(monkeypatch, tmp_path):
    """In the search, it begins anew; after it, the rate is in the checkpoint."""
    X, y = boxes_data()
    settings = {"learning_rate": "auto", "epochs": 4, "plateau_patience": 1}
    plain = tiny(**settings).fit(X, y)
    interrupted = tiny(**settings, checkpoint=tmp_path / "state.npz")

    def stop(trials):
        list(trials.sweep(0.1, 1, 10))
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(search, "find", stop)
        with pytest.raises(KeyboardInterrupt):
            interrupted.fit(X, y)
    with pytest.raises(KeyboardInterrupt):
        interrupted.set_params(callbacks=[Interrupt()]).fit(X, y)
    monkeypatch.setattr(search, "find", None)
    resumed = tiny(**settings, checkpoint=tmp_path / "state.npz").fit(X, y)
    assert resumed.n_iter_ == 4
    assert resumed.learning_rate_ == plain.learning_rate_
    assert np.array_equal(resumed.predict(X), plain.predict(X))


def test_callbacks_see_nothing_of_the_search():
    class Counter(keras.callbacks.Callback):
        batches = 0

        def on_train_batch_end(self, batch, logs=None):
            self.batches += 1

    X, y = boxes_data(64)
    settings = {"engine": "keras", "epochs": 1, "batch_size": 8, "validation_fraction": 0}
    regressor = tiny(learning_rate="auto", callbacks=[Counter()], **settings).fit(X, y)
    assert regressor.callbacks_[0].batches == 8


def test_auto_alone_is_a_name():
    with pytest.raises(ValueError, match=r"'learning_rate' parameter .* a str among {'auto'}"):
        tiny(learning_rate="best").fit(*boxes_data(20))
    with pytest.raises(ValueError, match="fit_many needs a number as learning_rate, got 'auto'"):
        fit_many([tiny(learning_rate="auto")], *boxes_data(20))


# --- beside the grid -------------------------------------------------------------------------


def grid():
    """The last epochs of runs: at batch size 8 the best rate is 0.1, or 0.01 by the IoU."""
    rows = []
    losses = {0.001: (0.4, 0.8), 0.01: (0.2, 0.4), 0.1: (0.1, 0.5), 1.0: (np.nan, np.nan)}
    for rate, (loss, iou_loss) in losses.items():
        for seed in range(2):
            row = {"batch_size": 8, "learning_rate": rate, "seed": seed}
            rows.append(row | {"epoch": 1, "validation_loss": 0.01, "validation_iou_loss": 0.01})
            last = {"validation_loss": loss, "validation_iou_loss": iou_loss}
            rows.append(row | {"epoch": 2 + seed} | last)
    return pd.DataFrame(rows)


def test_found_rates_are_compared_with_the_best_of_the_grid():
    searches = pd.DataFrame(
        {
            "batch_size": 8,
            "method": ["range_test", "range_test", "magnitudes", "magnitudes"],
            "seed": [0, 1, 0, 1],
            "found_rate": [0.02, 0.05, 0.01, 5.0],
            "epochs": [1.0, 1.0, 9.0, 9.0],
            "seconds": [2.0, 4.0, 6.0, 6.0],
        }
    )
    found = analysis.found_rates(searches, grid()).set_index(["method", "seed"])
    assert found["best_rate"].eq(0.1).all()
    assert found["best_rate_iou"].eq(0.01).all()
    assert found["nearest_rate"].tolist() == pytest.approx([0.01, np.nan, 0.01, 0.1], nan_ok=True)
    assert found["hit"].tolist() == [False, False, False, True]
    assert found["hit_iou"].tolist() == [True, False, True, False]
    assert found["loss_ratio"].tolist() == pytest.approx([2, np.nan, 2, 1], nan_ok=True)
    assert found["loss_ratio_iou"].tolist() == pytest.approx([1, np.nan, 1, 1.25], nan_ok=True)
    summary = analysis.rates_by_method(found.reset_index()).set_index("method")
    assert summary["outside"].to_dict() == {"range_test": 0, "magnitudes": 1}
    test = summary.loc["range_test"]
    assert (test["searches"], test["hits"], test["hits_iou"]) == (2, 1, 1)
    assert test["loss_ratio"] == pytest.approx(np.sqrt(2))
    assert (test["largest_loss_ratio"], test["epochs"], test["seconds"]) == (2, 1, 3)
    assert summary.loc["magnitudes", "loss_ratio"] == pytest.approx(2)
