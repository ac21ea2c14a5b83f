"""Images that differ in every epoch: boxes go along, and nothing is lost."""

import importlib.util
import os
import subprocess
import sys

import keras
import numpy as np
import pytest
from keras import ops

from boxest import BoxRegressor, losses, networks, synthetic
from boxest.data.augmentation import FLIPS, Augmentation, of
from boxest.training import stream
from boxest.training.predictor import Predictor
from boxest.training.program import EpochProgram, rest

OFF = {"flip": None, "shift": 0, "zoom": 0, "brightness": 0, "contrast": 0, "colour": 0}
SIZE = (24, 32)


def only(**options):
    return Augmentation(**OFF | options)


def applied(augmentation, images, boxes, *, epoch=1, grey_levels=True):
    draws = augmentation.draw(len(images), seed=0, epoch=epoch)
    result = augmentation.apply(
        ops.array(images, "float32"), ops.array(boxes, "float32"), draws, grey_levels=grey_levels
    )
    return [np.asarray(ops.convert_to_numpy(value)) for value in result]


@pytest.fixture(scope="module")
def drawn():
    """White rectangles of whole pixels, and their boxes."""
    rng = np.random.default_rng(0)
    images, boxes = np.zeros((200, *SIZE, 1), np.float32), np.zeros((200, 4))
    for image, box in zip(images, boxes, strict=True):
        (y1, y2), (x1, x2) = (np.sort(rng.choice(n + 1, 2, replace=False)) for n in SIZE)
        image[y1:y2, x1:x2] = 1
        box[:] = x1 / SIZE[1], y1 / SIZE[0], x2 / SIZE[1], y2 / SIZE[0]
    return images, boxes


@pytest.mark.parametrize("flip", FLIPS)
def test_without_a_zoom_boxes_go_along_to_the_pixel(drawn, flip):
    images, boxes = applied(only(flip=flip, shift=0.5), *drawn)
    for image, box in zip(images[..., 0], boxes, strict=True):
        x1, y1, x2, y2 = np.rint(box * [*SIZE[::-1], *SIZE[::-1]]).astype(int)
        expected = np.zeros(SIZE)
        expected[y1:y2, x1:x2] = 1
        np.testing.assert_allclose(image, expected, atol=1e-4)
    assert np.mean(np.abs(boxes - drawn[1]).max(axis=1) > 0.03) > 0.6


def test_a_zoom_keeps_area_and_centre_together(drawn):
    images, boxes = applied(only(shift=0.3, zoom=1), *drawn)
    areas = np.prod(boxes[:, 2:] - boxes[:, :2], axis=1) * SIZE[0] * SIZE[1]
    sums = images.sum(axis=(1, 2, 3))
    inside = ((boxes > 0.05) & (boxes < 0.95)).all(axis=1) & (areas > 16)
    np.testing.assert_allclose(sums[inside], areas[inside], rtol=0.15)
    centres = (images.sum(axis=1)[..., 0] * (np.arange(SIZE[1]) + 0.5)).sum(axis=1) / sums
    middles = (boxes[:, 0] + boxes[:, 2]) / 2 * SIZE[1]
    np.testing.assert_allclose(centres[inside], middles[inside], atol=0.2)
    scales = (boxes[:, 2:] - boxes[:, :2]) / (drawn[1][:, 2:] - drawn[1][:, :2])
    np.testing.assert_allclose(scales[:, 0], scales[:, 1], rtol=1e-3)
    assert scales.min() < 0.6
    assert scales.max() > 1.5
    assert 0.3 < np.mean(scales == 1) + np.mean(np.isclose(scales, 1)) / 2 < 0.9


def test_an_object_is_never_lost():
    """Boxes at the rim, of the whole image and of a part of a pixel stay in the picture."""
    rng = np.random.default_rng(1)
    low, high = np.sort(rng.random((2, 300, 2)), axis=0)
    boxes = np.concatenate([low, high], axis=1)
    boxes[:30, :2] = 0
    boxes[20:60, 2:] = 1
    boxes[60:90, 2:] = boxes[60:90, :2] + 1e-3 * (1 - boxes[60:90, :2])
    most = Augmentation(flip="horizontal_and_vertical", shift=1, zoom=1)
    for epoch in (1, 2, 3):
        _, new = applied(most, np.zeros((300, *SIZE, 1)), boxes, epoch=epoch)
        assert new.min() > -1e-6
        assert new.max() < 1 + 1e-6
        assert (new[:, 2:] > new[:, :2]).all()


def test_levels_change_within_their_ranges():
    grey = np.full((300, 4, 4, 3), 0.5)
    grey[:, :2] = 0.3
    boxes = np.tile([0.0, 0, 1, 1], (300, 1))
    means = applied(only(brightness=0.2), grey, boxes)[0].mean(axis=(1, 2, 3))
    assert (means.min(), means.max()) == pytest.approx((0.32, 0.48), abs=0.01)
    images = applied(only(contrast=0.5), grey, boxes)[0]
    np.testing.assert_allclose(images.mean(axis=(1, 2, 3)), 0.4, atol=1e-5)
    differences = np.ptp(images, axis=(1, 2, 3))
    assert (differences.min(), differences.max()) == pytest.approx((0.1, 0.3), abs=0.01)
    ratios = applied(only(colour=0.1), grey, boxes)[0].mean(axis=(1, 2)) / 0.4
    assert (ratios.min(), ratios.max()) == pytest.approx((0.9, 1.1), abs=0.01)
    assert np.ptp(ratios, axis=1).max() > 0.1
    np.testing.assert_array_equal(
        applied(only(colour=0.1), grey[..., :1], boxes)[0], grey[..., :1].astype("float32")
    )


def test_only_grey_levels_are_kept_in_their_range():
    white, boxes = np.ones((50, 4, 4, 1)), np.tile([0.0, 0, 1, 1], (50, 1))
    assert applied(only(brightness=0.5), white, boxes)[0].max() == 1
    assert applied(only(brightness=0.5), white, boxes, grey_levels=False)[0].max() > 1.3


def test_what_is_drawn_is_a_function_of_seed_and_epoch():
    draw = Augmentation().draw
    first = draw(10, seed=1, epoch=2)
    assert np.array_equal(first, draw(10, seed=1, epoch=2))
    assert not np.isin(first, draw(10, seed=1, epoch=3)).any()
    assert not np.isin(first, draw(10, seed=2, epoch=2)).any()


def test_what_the_parameter_stands_for():
    assert of(None) is None
    assert of("default") == Augmentation()
    assert of({"zoom": 0.5, "flip": None}) == Augmentation(zoom=0.5, flip=None)
    with pytest.raises(ValueError, match="has no option 'rotate'; choose from flip, shift, zoom"):
        of({"rotate": 10})
    with pytest.raises(ValueError, match=r"shift must be a number in 0..1; got 16"):
        of({"shift": 16})
    with pytest.raises(ValueError, match=r"flip must be one of .*; got 'up'"):
        Augmentation(flip="up")


def test_the_figure_shows_what_the_network_sees():
    from boxest import figures

    X, y = synthetic.make(0, 3, seed=0, image_size=16)
    figure = figures.augmented(X, y, {"zoom": 0}, epochs=2, seed=5)
    assert [axes.get_title() for axes in figure.axes[:3]] == ["as it is", "epoch 1", "epoch 2"]
    images, boxes = Augmentation(zoom=0).of_arrays(X, y, seed=5, epoch=2)
    shown = figure.axes[5]  # The second image in the second epoch.
    np.testing.assert_allclose(shown.images[0].get_array(), images[1, ..., 0], atol=1e-6)
    x, y1 = shown.lines[0].get_data()
    np.testing.assert_allclose([x[0], y1[0], x[2], y1[2]], boxes[1] * 16, atol=1e-6)
    with pytest.raises(ValueError, match="augmentation is None: nothing changes"):
        figures.augmented(X, y, None)


# --- in a training -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def data():
    return synthetic.make(0, 60, seed=0, image_size=16)


def paper(**settings):
    settings = {"epochs": 3, "batch_size": 20, "learning_rate": 0.02, "xla": False} | settings
    return BoxRegressor.paper(augmentation="default", random_state=0, **settings)


@pytest.fixture(scope="module")
def fitted(data):
    return paper().fit(*data)


def test_both_engines_see_the_same(data, fitted):
    other = paper(engine="keras").fit(*data)
    np.testing.assert_allclose(other.predict(data[0]), fitted.predict(data[0]), atol=1e-4)
    plain = paper().set_params(augmentation=None).fit(*data)
    assert np.abs(plain.predict(data[0]) - fitted.predict(data[0])).max() > 1e-3


def test_an_interrupted_training_goes_on_to_the_same_bits(data, fitted, tmp_path):
    class Interrupt(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 2:
                raise KeyboardInterrupt

    path = tmp_path / "state.npz"
    with pytest.raises(KeyboardInterrupt):
        paper(checkpoint=path, callbacks=[Interrupt()]).fit(*data)
    assert path.exists()
    resumed = paper(checkpoint=path).fit(*data)
    assert np.array_equal(resumed.predict(data[0]), fitted.predict(data[0]))


def test_images_in_a_file_are_changed_as_those_in_memory(data, monkeypatch):
    monkeypatch.setattr(stream, "BLOCK", 8)
    monkeypatch.setattr(stream, "BUFFER", 24)
    images, boxes = data[0][..., None], data[1].astype("float32")
    results = []
    for streamed in (False, True):
        model = networks.paper((16, 16, 1), seed=1)
        optimizer = keras.optimizers.SGD(0.05)
        optimizer.build(model.trainable_variables)
        predictor, loss = Predictor(model, xla=False, whole=True), losses.BoxLoss()
        program = EpochProgram(
            predictor.trunk, optimizer, loss, {}, xla=False, augmentation=Augmentation()
        )
        features = predictor.features(images)
        assert np.array_equal(features, images)
        if streamed:
            program, features = stream.StreamedProgram(program), stream.FeatureFile([features])
        program.put(features, boxes, np.ones(60, "float32"))
        orders = [stream.buffered_order(60, 8, seed=1, epoch=epoch) for epoch in (1, 2)]
        program.compile(orders[0], rest(orders[0]))
        for epoch, order in enumerate(orders):
            program.begin(seed=3, epoch=epoch)
            program(order, np.full(len(order), 0.05))
        results.append(np.concatenate([w.ravel() for w in model.get_weights()]))
    np.testing.assert_allclose(*results, atol=1e-6)


def test_a_saved_file_has_the_options(data, fitted, tmp_path):
    for augmentation, read in [
        ("default", "default"),
        (Augmentation(**OFF), OFF),
        ({"zoom": 0.5}, {"zoom": 0.5}),
    ]:
        fitted.set_params(augmentation=augmentation).save(tmp_path / "saved")
        loaded = BoxRegressor.load(tmp_path / "saved")
        assert loaded.augmentation == read
        assert np.array_equal(loaded.predict(data[0]), fitted.predict(data[0]))


@pytest.mark.jax
@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("jax") is None, reason="JAX is not installed")
@pytest.mark.skipif(keras.backend.backend() == "jax", reason="this is that run")
def test_with_jax():
    options = ["-q", "-n", "0", "--one-case", "-k", "pixel or lost or engines"]
    run = subprocess.run(
        [sys.executable, "-m", "pytest", *options, __file__],
        env={**os.environ, "KERAS_BACKEND": "jax"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
