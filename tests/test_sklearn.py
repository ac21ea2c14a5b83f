"""The estimators among scikit-learn's own: its checks, its meta-estimators, its conventions."""

import collections

import numpy as np
import pandas as pd
import pytest
import sklearn
from sklearn.base import clone
from sklearn.compose import TransformedTargetRegressor
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.inspection import permutation_importance
from sklearn.model_selection import (
    GridSearchCV,
    HalvingRandomSearchCV,
    KFold,
    cross_val_predict,
    cross_val_score,
    cross_validate,
    learning_curve,
)
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, MaxAbsScaler
from sklearn.utils.estimator_checks import check_estimator

from boxest import BoxRegressor, boxes, scorers, synthetic
from boxest.estimator.image_regressor import ImageRegressor

XFAILS = {
    "check_sample_weight_equivalence_on_dense_data": (
        "As for SGDRegressor: another number of rows is another sequence of minibatches. Where one "
        "batch holds all examples it is the same, to the 6 digits of single precision, and not the "
        "7 of the check: test_estimator.py::test_weight_2_is_the_row_twice."
    )
}
# Skipped for every estimator unless the environment variable SCIPY_ARRAY_API is set.
SKIPS = {"check_array_api_input"}


class AnyTargets(BoxRegressor):
    """`BoxRegressor` that does not insist on boxes, of which the checks have none."""

    _check_targets = ImageRegressor._check_targets
    _measures = ImageRegressor._measures
    _metrics = ImageRegressor._metrics
    score = ImageRegressor.score


@pytest.fixture(scope="module")
def data():
    """60 images of 16 px with their boxes."""
    return synthetic.make(0, 60, seed=0, image_size=16)


def quick(**parameters):
    return BoxRegressor.paper(**{"epochs": 2, "random_state": 0, "xla": False} | parameters)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "estimator",
    [
        ImageRegressor(epochs=5, xla=False),
        AnyTargets(
            network="auto",
            loss="mean_squared_error",
            optimizer="adam",
            learning_rate=0.01,
            augmentation=None,  # It moves boxes.
            epochs=5,
            xla=False,
        ),
    ],
    ids=["ImageRegressor", "BoxRegressor"],
)
def test_all_checks_of_scikit_learn_pass(estimator):
    results = check_estimator(estimator, on_skip=None, on_fail=None, expected_failed_checks=XFAILS)
    by_status = collections.defaultdict(list)
    for result in results:
        by_status[result["status"]].append(result["check_name"])
    print({status: len(names) for status, names in by_status.items()})
    assert len(results) >= 50
    assert by_status.pop("failed", []) == []
    assert set(by_status.pop("xfail")) == set(XFAILS)
    assert set(by_status.pop("skipped", [])) <= SKIPS
    assert len(by_status["passed"]) >= len(results) - len(XFAILS) - len(SKIPS)


@pytest.mark.filterwarnings("ignore")
def test_as_it_is_nothing_but_the_targets_of_the_checks_is_refused():
    """The checks' targets are no boxes; whatever needs none passes."""
    results = check_estimator(BoxRegressor(), on_skip=None, on_fail=None)
    passed = [result for result in results if result["status"] == "passed"]
    refused = [result for result in results if result["status"] == "failed"]
    print(len(results), len(passed), len(refused))
    assert len(results) >= 50
    assert len(passed) >= 20
    for result in refused:
        assert "boxes must have the shape (n, 4)" in _whole_story(result["exception"]), result


def _whole_story(error):
    texts = []
    while error is not None:
        texts.append(str(error))
        error = error.__cause__ or error.__context__
    return "\n".join(texts)


def test_clone_and_parameters(data):
    regressor = quick(learning_rate=0.05).fit(*data)
    copied = clone(regressor)
    assert copied.get_params() == regressor.get_params()
    assert not hasattr(copied, "model_")
    assert np.array_equal(copied.fit(*data).predict(data[0]), regressor.predict(data[0]))
    assert copied.set_params(batch_size=7).batch_size == 7
    with pytest.raises(ValueError, match="Invalid parameter 'momentum'"):
        copied.set_params(momentum=0.9)


def test_pipeline_of_images_and_of_flat_rows(data):
    X, y = data
    plain = quick().fit(X / 255, y).predict(X / 255)
    images = make_pipeline(FunctionTransformer(lambda X: X / 255), quick()).fit(X, y)
    assert np.array_equal(images.predict(X), plain)
    flat = X.reshape(len(X), -1)
    rows = make_pipeline(MaxAbsScaler(), quick()).fit(flat, y)
    np.testing.assert_allclose(rows.predict(flat), plain, atol=1e-5)
    assert rows.score(flat, y) == pytest.approx(boxes.iou(y, plain).mean(), abs=1e-5)


@pytest.mark.slow
def test_grid_search_in_two_processes(data):
    X, y = data
    grid = {"learning_rate": [1e-9, 0.1], "loss": ["giou"]}
    search = GridSearchCV(
        quick(epochs=8), grid, cv=2, n_jobs=2, scoring=scorers.SCORERS, refit="mean_iou"
    )
    search.fit(X, y)
    assert search.best_params_["learning_rate"] == 0.1
    assert search.best_estimator_.predict(X).shape == (60, 4)
    results = search.cv_results_
    assert (results["mean_test_iou_75"] <= results["mean_test_iou_50"]).all()


@pytest.mark.slow
def test_halving_random_search_in_two_processes(data):
    X, y = data
    search = HalvingRandomSearchCV(
        quick(),
        {"learning_rate": [0.01, 0.1], "batch_size": [8, 16]},
        resource="epochs",
        min_resources=1,
        max_resources=2,
        factor=2,
        n_candidates=2,
        cv=2,
        n_jobs=2,
        random_state=0,
    )
    search.fit(X, y)
    assert list(search.cv_results_["n_resources"]) == [1, 1, 2]
    assert search.best_estimator_.n_iter_ == 2


def test_cross_validation(data):
    X, y = data
    cv = KFold(2)
    scores = cross_val_score(quick(), X, y, cv=cv)
    predicted = cross_val_predict(quick(), X, y, cv=cv)
    expected = boxes.iou(y, predicted).reshape(2, 30).mean(axis=1)
    np.testing.assert_allclose(scores, expected, atol=1e-6)


def test_learning_curve(data):
    sizes, train, test = learning_curve(quick(), *data, train_sizes=[10, 30], cv=2)
    assert list(sizes) == [10, 30]
    assert train.shape == test.shape == (2, 2)
    assert np.isfinite([train, test]).all()


def test_pixels_by_transformed_targets(data):
    """Targets in pixels, as most annotations are: divided for the network, multiplied back."""
    X, y = data
    regressor = TransformedTargetRegressor(
        quick(), func=lambda y: y / 16, inverse_func=lambda y: y * 16
    )
    predicted = regressor.fit(X, y * 16).predict(X)
    np.testing.assert_allclose(predicted, 16 * quick().fit(X, y).predict(X))


def test_permutation_importance_of_pixels():
    X, y = synthetic.make(0, 40, seed=0, image_size=8)
    X = X.reshape(40, 64)
    regressor = quick(epochs=5).fit(X, y)
    importance = permutation_importance(regressor, X, y, n_repeats=1, random_state=0)
    assert importance.importances_mean.shape == (64,)
    assert np.abs(importance.importances_mean).max() > 0


@pytest.mark.parametrize("name", ["mean_iou", "iou_50", "iou_75"])
def test_scorers(data, name):
    X, y = data
    regressor = quick().fit(X, y)
    iou = boxes.iou(y, regressor.predict(X))
    expected = {"mean_iou": iou, "iou_50": iou >= 0.5, "iou_75": iou >= 0.75}[name]
    scorer = scorers.SCORERS[name]
    assert scorer(regressor, X, y) == pytest.approx(expected.mean())
    weights = np.arange(60)
    weighted = scorer(regressor, X, y, sample_weight=weights)
    assert weighted == pytest.approx(np.average(expected, weights=weights))


def test_sample_weight_is_routed(data):
    """Through a pipeline and a search, to fit and to score."""
    X, y = data
    weights = np.tile([0.0, 1.0], 30)
    with sklearn.config_context(enable_metadata_routing=True):
        asking = quick().set_fit_request(sample_weight=True).set_score_request(sample_weight=True)
        pipeline = Pipeline([("boxes", asking)]).fit(X, y, sample_weight=weights)
        scores = cross_validate(asking, X, y, cv=2, params={"sample_weight": weights})
    alone = quick().fit(X[1::2], y[1::2])
    assert np.array_equal(pipeline.predict(X), alone.predict(X))
    first = quick().fit(X[31::2], y[31::2])
    assert scores["test_score"][0] == pytest.approx(first.score(X[1:30:2], y[1:30:2]))


def test_names_and_number_of_features():
    X, y = synthetic.make(0, 20, seed=0, image_size=8)
    table = pd.DataFrame(X.reshape(20, 64) / 255).add_prefix("pixel")
    regressor = quick().fit(table, pd.DataFrame(y, columns=["x1", "y1", "x2", "y2"]))
    assert (regressor.n_features_in_, regressor.image_shape_) == (64, (8, 8, 1))
    assert list(regressor.feature_names_in_[:2]) == ["pixel0", "pixel1"]
    with pytest.raises(ValueError, match="feature names should match"):
        regressor.predict(table.rename(columns={"pixel0": "other"}))
    regressor.fit(X, y)
    assert regressor.n_features_in_ == 64
    assert not hasattr(regressor, "feature_names_in_")
    with pytest.raises(ValueError, match="has 63 features, but BoxRegressor is expecting 64"):
        regressor.predict(table.to_numpy()[:, 1:])
    assert np.array_equal(regressor.predict(X.reshape(20, 64)), regressor.predict(X))


def test_html_and_text_representation(data):
    regressor = BoxRegressor(epochs=2, loss="giou", random_state=0, xla=False)
    assert repr(regressor) == "BoxRegressor(epochs=2, loss='giou', random_state=0, xla=False)"
    assert "BoxRegressor" in regressor._repr_html_()
    assert "giou" in regressor.fit(*data)._repr_html_()


def test_config_context(data):
    X, y = data
    X = X / 255
    X[0, 0, 0] = np.nan
    with pytest.raises(ValueError, match=r"contains NaN or infinity: in 1 of 60 .*image 0"):
        quick().fit(X, y)
    with sklearn.config_context(assume_finite=True):
        assert quick().fit(X, y).n_iter_ == 2


class Recorder:
    """A callback of scikit-learn's protocol."""

    def __init__(self, stop_at=None):
        self.stop_at = stop_at
        self.seen = []

    def setup(self, estimator, context):
        self.seen.append("setup")

    def teardown(self, estimator, context):
        self.seen.append("teardown")

    def on_fit_task_begin(self, estimator, context, *, X=None, y=None):
        self.seen.append(("begin", context.task_name, context.task_id, len(X)))

    def on_fit_task_end(self, estimator, context, *, X=None, y=None, fitted_estimator=None):
        self.seen.append(("end", context.task_name, round(fitted_estimator.score(X, y), 6)))
        return context.task_name == "epoch" and context.task_id == self.stop_at


def test_callbacks_of_scikit_learn(data):
    pytest.importorskip("sklearn.callback")
    recorder = Recorder(stop_at=1)
    regressor = quick(epochs=9).set_callbacks(recorder).fit(*data)
    last = round(regressor.score(*data), 6)
    assert recorder.seen[:3] == ["setup", ("begin", "fit", 0, 60), ("begin", "epoch", 0, 60)]
    assert recorder.seen[-3:] == [("end", "epoch", last), ("end", "fit", last), "teardown"]
    assert (regressor.n_iter_, regressor.stopped_early_) == (2, True)


def test_progress_bar_of_scikit_learn(data, capsys):
    pytest.importorskip("rich")
    callback = pytest.importorskip("sklearn.callback")
    quick().set_callbacks(callback.ProgressBar()).fit(*data)
    assert "BoxRegressor - fit" in capsys.readouterr().out
