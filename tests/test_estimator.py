import copy
import pickle

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from boxest import BoxRegressor, boxes


def quick(**parameters):
    return BoxRegressor(**{"epochs": 2, "random_state": 0} | parameters)


@pytest.fixture(scope="module")
def fitted(small_data):
    return quick(epochs=8).fit(*small_data)


def test_it_learns(small_data):
    """Better than the best constant box, on images that it has not seen."""
    X, y = small_data
    regressor = BoxRegressor(epochs=30, random_state=0, loss="giou", optimizer="adam")
    regressor.set_params(learning_rate=0.01).fit(X[:400], y[:400])
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


def test_fit_leaves_the_global_random_state_alone(small_data):
    np.random.seed(3)
    before = np.random.get_state()[1].copy()
    quick().fit(*small_data)
    assert np.array_equal(np.random.get_state()[1], before)


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


@pytest.mark.parametrize(
    "form",
    [
        lambda X: X,
        lambda X: X > 0,
        lambda X: X / 255,
        lambda X: (X / 255).astype("float32"),
        lambda X: X[..., np.newaxis],
        lambda X: np.asfortranarray(X),
        lambda X: np.repeat(np.repeat(X, 2, 1), 2, 2)[:, ::2, ::2],
    ],
    ids=["uint8", "bool", "float64", "float32", "channels", "fortran", "strided"],
)
def test_equal_images_in_any_form_give_equal_networks(small_data, fitted, form):
    X, y = small_data
    regressor = clone(fitted).fit(form(X), y)
    np.testing.assert_allclose(regressor.predict(X), fitted.predict(X), atol=1e-5)
    np.testing.assert_allclose(fitted.predict(form(X)), fitted.predict(X), atol=1e-6)


def test_read_only_arrays_are_taken(small_data, fitted):
    X, y = (values.copy() for values in small_data)
    X.setflags(write=False)
    y.setflags(write=False)
    assert np.array_equal(clone(fitted).fit(X, y).predict(X), fitted.predict(X))


@pytest.mark.parametrize("way", [lambda r: pickle.loads(pickle.dumps(r)), copy.deepcopy])
def test_copies_predict_the_same(fitted, small_data, way):
    assert np.array_equal(way(fitted).predict(small_data[0]), fitted.predict(small_data[0]))


def test_predicting_first_does_not_hinder_pickling(fitted, small_data):
    fitted.predict(small_data[0])
    assert "_cached_predictor" not in fitted.__getstate__()


def test_own_network_function(small_data):
    import keras

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
        ({"loss": "dice"}, r"loss='dice' gives an array of shape \(\) for two boxes"),
        ({"network": "vgg"}, "Unknown network 'vgg'"),
        ({"optimizer": "lion2"}, "Unknown optimizer 'lion2'"),
        ({"output_activation": "softsine"}, "Unknown output_activation 'softsine'"),
        ({"validation_fraction": 0.999}, "of 500 examples leaves none to train on"),
    ],
)
def test_bad_parameters_are_named(small_data, parameters, message):
    with pytest.raises(ValueError, match=message):
        quick(**parameters).fit(*small_data)


@pytest.mark.parametrize(
    ("images", "error", "message"),
    [
        (np.zeros((5, 8)), ValueError, r"got the shape \(5, 8\)"),
        (np.zeros((0, 8, 8)), ValueError, r"at least one image.*\(0, 8, 8, 1\)"),
        (
            np.full((5, 8, 8), np.nan),
            ValueError,
            "NaN or infinity in 5 of 5 images, first in image 0",
        ),
        (np.full((5, 8, 8), "a"), TypeError, "real numbers, got dtype <U1"),
        (np.ones((5, 8, 8), np.uint8), ValueError, r"uint8.*largest value is 1.*astype\(bool\)"),
        (np.zeros((4, 8, 8)), ValueError, r"inconsistent numbers of samples: \[4, 5\]"),
        (np.zeros((5, 4, 8)), ValueError, "at least 8×8 px, got 4×8 px"),
    ],
)
def test_bad_images_are_named(images, error, message):
    y = np.tile([0.1, 0.1, 0.5, 0.5], (5, 1))
    with pytest.raises(error, match=message):
        quick(validation_fraction=0).fit(images, y)


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


def test_predict_checks_the_shape_of_images(fitted):
    with pytest.raises(ValueError, match=r"shape \(16, 16, 1\), but images of shape \(32, 32, 1\)"):
        fitted.predict(np.zeros((2, 16, 16)))


def test_predict_before_fit():
    with pytest.raises(NotFittedError, match="not fitted yet"):
        BoxRegressor().predict(np.zeros((2, 16, 16)))


def test_verbose_prints_a_line_per_epoch(small_data, capfd):
    quick(verbose=1).fit(*small_data)
    out, err = capfd.readouterr()
    assert [line.split()[:2] for line in out.splitlines()] == [["epoch", "1"], ["epoch", "2"]]
    assert err == ""


def test_silent_without_verbose(small_data, capfd):
    quick().fit(*small_data)
    assert capfd.readouterr() == ("", "")


def test_process_of_a_first_fit_prints_nothing_but_its_own(python):
    """The backends' greetings on stderr are switched off."""
    code = (
        "import sys, os; os.dup2(1, 2)\n"
        "from boxest import BoxRegressor, synthetic\n"
        "X, y = synthetic.make(0, 40, seed=0, image_size=16)\n"
        "print(BoxRegressor(epochs=1).fit(X, y).n_iter_)"
    )
    assert python(code) == "1\n"
