"""boxest.losses: the same numbers as boxest.boxes, gradients that are finite, and saving."""

import keras
import numpy as np
import pytest
from keras import ops

from boxest import losses
from boxest.boxes import MEASURES
from boxest.losses import BoxLoss, BoxMetric
from boxest.training import fingerprint

PENALISED = ("giou", "diou", "ciou")
TARGET = [0.25, 0.25, 0.75, 0.5]
HARD = {
    "equal": TARGET,
    "nested": [0.3, 0.3, 0.5, 0.4],
    "apart": [0.8, 0.6, 0.9, 0.9],
    "far": [100.0, -100.0, 101.0, -99.0],
    "touching": [0.75, 0.25, 1.0, 0.5],
    "flipped": [0.7, 0.45, 0.3, 0.3],
    "flipped far": [3.0, 3.0, -3.0, -3.0],
    "flipped by one": [1.0, 1.0, 0.0, 0.0],
    "flipped in x": [0.7, 0.3, 0.3, 0.45],
    "no width": [0.5, 0.3, 0.5, 0.4],
    "point": [0.5, 0.4, 0.5, 0.4],
    "zeros": [0.0, 0.0, 0.0, 0.0],
    "tiny": [0.5, 0.4, 0.5 + 1e-6, 0.4 + 1e-6],
    "thin": [0.5, 0.0, 0.5 + 1e-6, 1.0],
}


def gradient_of(loss):
    """Compile the gradient of the summed losses by the prediction, for the backend that runs."""
    if keras.backend.backend() == "jax":
        import jax

        function = jax.jit(jax.grad(lambda y_pred, y_true: loss.call(y_true, y_pred).sum()))
    else:
        import tensorflow as tf

        @tf.function
        def function(y_pred, y_true):
            with tf.GradientTape() as tape:
                tape.watch(y_pred)
                total = tf.reduce_sum(loss.call(y_true, y_pred))
            return tape.gradient(total, y_pred)

    def gradient(y_true, y_pred):
        y_true, y_pred = (ops.convert_to_tensor(y, "float32") for y in (y_true, y_pred))
        return ops.convert_to_numpy(function(y_pred, y_true))

    return gradient


def random_boxes(n, seed):
    """Boxes near the unit square, about three quarters of them flipped."""
    return np.random.default_rng(seed).uniform(-0.2, 1.2, (n, 4)).astype(np.float32)


@pytest.mark.parametrize("measure", MEASURES)
def test_losses_are_one_minus_the_measure(measure):
    true, predicted = random_boxes(500, 0), random_boxes(500, 1)
    values = ops.convert_to_numpy(BoxLoss(measure).call(ops.array(true), ops.array(predicted)))
    expected = 1 - MEASURES[measure](true, predicted)
    if measure in PENALISED:
        expected += np.maximum(predicted[:, :2] - predicted[:, 2:], 0).sum(axis=1)
    assert values.shape == (500,)
    np.testing.assert_allclose(values, expected, atol=2e-5)


@pytest.mark.parametrize("measure", MEASURES)
def test_mean_and_weights(measure):
    true, predicted = np.array([TARGET, TARGET]), np.array([HARD["nested"], HARD["apart"]])
    one, two = 1 - MEASURES[measure](true, predicted)
    loss = BoxLoss(measure)
    assert float(loss(true, predicted)) == pytest.approx((one + two) / 2, abs=1e-6)
    weights = np.array([0.0, 2.0])
    assert float(loss(true, predicted, sample_weight=weights)) == pytest.approx(two, abs=1e-6)
    assert BoxLoss(measure, reduction=None)(true, predicted).shape == (2,)


@pytest.mark.parametrize("measure", MEASURES)
def test_gradients_are_finite(measure):
    gradient = gradient_of(BoxLoss(measure))
    predicted = np.array([box for box in HARD.values() for _ in HARD])
    true = np.array(list(HARD.values()) * len(HARD))
    assert np.all(np.isfinite(gradient(true, predicted)))
    # With a target that has an area, and all targets must, they are not large either.
    values = gradient(np.array([TARGET] * len(HARD)), np.array(list(HARD.values())))
    assert np.abs(values).max() < 2e4


@pytest.mark.parametrize("measure", MEASURES)
def test_gradients_are_those_of_finite_differences(measure):
    rng = np.random.default_rng(2)
    corner, side = rng.uniform(0, 0.5, (40, 2)), rng.uniform(0.1, 0.5, (40, 2))
    predicted = np.concatenate([corner, corner + side], axis=1)
    true = np.array([TARGET] * 40)
    numeric = np.empty_like(predicted)

    def aspect(boxes):
        angles = [np.arctan2(*(box[:, 2:] - box[:, :2]).T) for box in (true, boxes)]
        return 4 / np.pi**2 * (angles[0] - angles[1]) ** 2

    def penalty(boxes):
        return MEASURES["diou"](true, boxes) - MEASURES["ciou"](true, boxes)

    for column, step in enumerate(np.eye(4) * 1e-6):
        up, down = (1 - MEASURES[measure](true, predicted + sign * step) for sign in (1, -1))
        if measure == "ciou":  # of alpha * v, alpha is a constant for the gradient
            alpha = penalty(predicted) / aspect(predicted)
            up = up - penalty(predicted + step) + alpha * aspect(predicted + step)
            down = down - penalty(predicted - step) + alpha * aspect(predicted - step)
        numeric[:, column] = up - down
    np.testing.assert_allclose(
        gradient_of(BoxLoss(measure))(true, predicted), numeric / 2e-6, rtol=2e-3, atol=2e-3
    )


@pytest.mark.parametrize("measure", ["inclusive_iou", *PENALISED])
def test_descent_finds_the_box_from_anywhere(measure):
    gradient = gradient_of(BoxLoss(measure))
    cases = ["apart", "flipped", "flipped in x", "no width", "point", "zeros"]
    predicted, velocity = np.array([HARD[case] for case in cases]), 0
    true = np.array([TARGET] * len(cases))
    for step in range(800):
        velocity = 0.8 * velocity + gradient(true, predicted)
        predicted = predicted - 0.01 * 0.994**step * velocity
    assert MEASURES["iou"](predicted, true).min() > 0.9


def test_geometric_iou_gives_no_direction_where_boxes_do_not_meet():
    for case in ("apart", "flipped"):
        assert not gradient_of(BoxLoss("iou"))([TARGET], [HARD[case]]).any()


def test_metric_is_the_weighted_mean():
    true, predicted = random_boxes(10, 3), random_boxes(10, 4)
    for measure, function in MEASURES.items():
        metric = BoxMetric(measure)
        metric.update_state(true[:4], predicted[:4])
        metric.update_state(true[4:], predicted[4:])
        values = function(true, predicted)
        assert float(metric.result()) == pytest.approx(values.mean(), abs=1e-5)
        metric.reset_state()
        metric.update_state(true, predicted, sample_weight=np.arange(10.0))
        weighted = np.average(values, weights=np.arange(10.0))
        assert float(metric.result()) == pytest.approx(weighted, abs=1e-5)


def test_names():
    assert BoxLoss().name == "inclusive_iou_loss"
    assert BoxMetric().name == "iou"
    assert BoxMetric("giou", name="g").name == "g"


@pytest.mark.parametrize("measure", MEASURES)
@pytest.mark.parametrize("kind", [BoxLoss, BoxMetric])
def test_serialization(kind, measure):
    config = keras.saving.serialize_keras_object(kind(measure, name="mine"))
    assert config["registered_name"] == f"boxest>{kind.__name__}"
    restored = keras.saving.deserialize_keras_object(config)
    assert type(restored) is kind
    assert (restored.measure, restored.name) == (measure, "mine")


# Keras turns TensorFlow's variables into arrays in a way that numpy 2 warns about.
@pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy keyword")
def test_a_compiled_model_survives_saving(tmp_path):
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(4)])
    model.compile(optimizer="sgd", loss=BoxLoss("giou"), metrics=[BoxMetric("iou")])
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(8, 3)).astype("float32"), np.array([TARGET] * 8, dtype="float32")
    model.fit(X, y, verbose=0)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)
    assert isinstance(again.loss, BoxLoss)
    assert again.loss.measure == "giou"
    before = model.evaluate(X, y, verbose=0, return_dict=True)
    assert set(before) == {"loss", "iou"}
    assert again.evaluate(X, y, verbose=0, return_dict=True) == pytest.approx(before)


def test_get():
    for measure in MEASURES:
        assert losses.get(measure).measure == measure
    mine = BoxLoss("giou")
    assert losses.get(mine) is mine
    true, predicted = np.array([TARGET]), np.array([HARD["nested"]])
    for name in ("mean_absolute_error", "mae", "MeanAbsoluteError"):
        loss = losses.get(name)
        assert isinstance(loss, keras.losses.Loss)
        expected = np.abs(true - predicted).mean()
        assert float(loss(true, predicted)) == pytest.approx(expected)
        assert loss.call(ops.array(true), ops.array(predicted)).shape == (1,)
    assert isinstance(losses.get("huber"), keras.losses.Huber)


@pytest.mark.parametrize("loss", ["IoU", "accuracy", "", None, 3, print, ["mse"]])
def test_unknown_losses(loss):
    with pytest.raises(
        ValueError, match="loss must be one of iou, inclusive_iou, giou, diou, ciou"
    ):
        losses.get(loss)


def test_a_loss_must_be_one_per_sample():
    class Total(keras.losses.Loss):
        def call(self, y_true, y_pred):
            return ops.sum(ops.abs(y_true - y_pred))

    with pytest.raises(ValueError, match=r"returns an array of shape \(\) for two examples"):
        losses.get(Total())


class PerTarget(keras.losses.Loss):
    """Absolute errors of two targets with their weights."""

    def call(self, y_true, y_pred):
        return ops.sum(ops.abs(y_true - y_pred) * ops.convert_to_tensor([1.0, 2.0]), axis=-1)


def test_a_loss_is_tried_with_as_many_targets_as_there_are():
    loss = PerTarget()
    assert losses.get(loss, n_outputs=2) is loss
    assert fingerprint.same(loss, loss)
    with pytest.raises(ValueError, match="cannot be computed for targets of 4 numbers"):
        losses.get(loss)


@pytest.mark.parametrize("reduction", ["sum", None, "none", "mean_with_sample_weight"])
def test_a_loss_must_be_the_mean_of_its_batch(reduction):
    for loss in (BoxLoss(reduction=reduction), keras.losses.Huber(reduction=reduction)):
        with pytest.raises(ValueError, match=f"has reduction={reduction!r}; expected one of"):
            losses.get(loss)
    mean = keras.losses.Huber(reduction="mean")
    assert losses.get(mean) is mean


@pytest.mark.parametrize("kind", [BoxLoss, BoxMetric])
def test_unknown_measures(kind):
    with pytest.raises(ValueError, match=r"measure must be one of iou, .*; got 'area'"):
        kind("area")


def test_giou_l1_adds_the_absolute_errors_of_the_edges():
    true, predicted = np.array([[0.0, 0.0, 0.5, 0.5]]), np.array([[0.0, 0.25, 0.5, 0.5]])
    both = losses.get("giou_l1")
    # IoU 1/2 without any empty area around, and one edge that is off by 0.25.
    assert float(both(true, predicted)) == pytest.approx(0.5 + 0.25)
    again = BoxLoss.from_config(both.get_config())
    assert (again.absolute_error, again.name) == (1.0, "giou_l1_loss")
    with pytest.raises(ValueError, match="absolute_error must be a number in 0"):
        BoxLoss("giou", absolute_error=-1)
