"""What the numbers in images stand for, in `fit` and in what comes later. Nothing is trained here,
but where an estimator remembers it."""

import h5py
import numpy as np
import pytest

from boxest import BoxRegressor, synthetic
from boxest.data.inputs import Images
from boxest.data.pixels import Pixels, Reader

# 8 px of all grey levels, and their kin.
GREYS = np.arange(192, dtype=np.uint8).reshape(3, 8, 8) + 64
BINARY = (np.arange(192).reshape(3, 8, 8) % 3 == 0).astype(np.uint8) * 255
EXPECTED = GREYS.astype(np.float64) / 255


def read(X, fitted=None):
    """Return images as the network sees them, and how they were read."""
    reader = Reader(Images(np.asarray(X)), fitted)
    blocks = np.concatenate(list(reader.blocks()))
    levels = blocks / 255 if blocks.dtype == np.uint8 else blocks.astype(float)
    return levels[..., 0], reader.pixels


FORMS = {
    "uint8": GREYS,
    "float32 in 0..1": (GREYS / 255).astype(np.float32),
    "float16 in 0..1": (GREYS / 255).astype(np.float16),
    "float32 in 0..255": GREYS.astype(np.float32),
    "int64 in 0..255": GREYS.astype(np.int64),
    "uint16 in 0..255": GREYS.astype(np.uint16),
    "big-endian uint16": GREYS.astype(">u2"),
    "int32, 16 bits": GREYS.astype(np.int32) * 257,
    "uint16, 16 bits": GREYS.astype(np.uint16) * 257,
    "uint16, 12 bits": np.round(EXPECTED * 4095).astype(np.uint16),
    "interpolated": np.concatenate(
        [GREYS.astype(float), np.linspace(-9, 264, 64).reshape(1, 8, 8)]
    ),
}


@pytest.mark.parametrize("X", FORMS.values(), ids=FORMS)
def test_white_is_found_by_fit(X):
    levels, _ = read(X)
    np.testing.assert_allclose(levels[:3], EXPECTED, atol=1e-3)


@pytest.mark.parametrize(
    "fitted", ["uint8", "float32 in 0..1", "float32 in 0..255", "int64 in 0..255"]
)
@pytest.mark.parametrize(
    "later", ["uint8", "float32 in 0..1", "float32 in 0..255", "int64 in 0..255"]
)
def test_later_images_of_another_type_are_read_alike_or_refused(fitted, later):
    """Floats have one meaning for one network: in either unit, the other one is refused."""
    pixels = read(FORMS[fitted])[1]
    if fitted.startswith("float") and later.startswith("float") and fitted != later:
        if "255" in later:
            with pytest.raises(ValueError, match=r"values 64\.\.255, but .* values 0\.25.*\.\.1"):
                read(FORMS[later], pixels)
        else:
            with pytest.warns(UserWarning, match=r"0\.25.*\.\.1, but .* values 64\.\.255"):
                read(FORMS[later], pixels)
    else:
        np.testing.assert_allclose(read(FORMS[later], pixels)[0], EXPECTED, atol=1e-6)


@pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.int64, np.uint16])
def test_dark_images_are_read_as_others_of_their_type(dtype):
    """The scale does not hang on the batch."""
    pixels = read(GREYS.astype(dtype))[1]
    dark = GREYS[:1] // 8
    np.testing.assert_allclose(read(dark.astype(dtype), pixels)[0], dark / 255, atol=1e-7)
    with pytest.warns(
        UserWarning, match=r"values 0\.\.1, but .* fitted .*64\.\.255; X is read wit"
    ):
        levels = read((GREYS[:1] > 100).astype(dtype), pixels)[0]
    assert levels.max() == pytest.approx(1 / 255)
    assert read(np.zeros((1, 8, 8), dtype), pixels)[0].max() == 0


def test_black_and_white_are_the_same_in_every_type():
    for first in (BINARY > 0, BINARY, BINARY / 255, BINARY.astype(int)):
        pixels = read(first)[1]
        assert pixels.two_levels
        for later in (BINARY > 0, BINARY, BINARY // 255, BINARY / 255, BINARY.astype(np.int64)):
            if first.dtype == later.dtype and first.max() != later.max():
                continue  # Another unit in the same type is warned of.
            assert np.array_equal(read(later, pixels)[0], BINARY / 255)


def test_zeros_and_ones_are_doubtful_where_fit_saw_greys():
    pixels = read(GREYS)[1]
    with pytest.warns(
        UserWarning, match=r"float64 and only the values 0 and 1.*fitted on dtype uint8"
    ):
        assert read(BINARY / 255, pixels)[0].max() == 1


def test_uint8_of_zeros_and_ones_is_refused_by_fit():
    with pytest.raises(ValueError, match=r"largest value is 1. Pass X.astype\(bool\)"):
        read(BINARY // 255)


def test_standardised_images_stay_as_they_are_and_want_their_like():
    centred = (GREYS - GREYS.mean()) / GREYS.std()
    levels, pixels = read(centred)
    np.testing.assert_allclose(levels, centred, rtol=1e-6)
    assert pixels.white is None
    np.testing.assert_allclose(read(centred.astype(np.float32), pixels)[0], centred, rtol=1e-6)
    with pytest.raises(ValueError, match=r"uint8 and values 64\.\.255, but .*-1\.7.*as they are"):
        read(GREYS, pixels)
    with pytest.warns(UserWarning, match=r"0\.25.*\.\.1, but the network was fitted on .*-1\.7"):
        read(GREYS / 255, pixels)


@pytest.mark.parametrize(
    ("X", "message"),
    [
        (GREYS - 127.5, r"values -63.5\.\.127.5: these are not grey levels"),
        (GREYS / 16, r"values 4\.\.15.9.*: these are not grey levels .* used unchanged"),
        (GREYS * 1e6, "values 6.4e.*used unchanged"),
        (
            GREYS.astype(np.uint16) * 40,
            r"uint16 and values 2560\.\.10200, which are read .* 0\.\.65535",
        ),
        (
            EXPECTED / 255,
            r"values 0.0009.*\.\.0.0039.*nearly black, because white is 1. Was it divided twice",
        ),
    ],
)
def test_fit_says_what_it_cannot_know(X, message):
    with pytest.warns(UserWarning, match=message):
        read(X)


@pytest.mark.parametrize(
    ("X", "error", "message"),
    [
        (
            GREYS.astype(np.uint16) * 257,
            ValueError,
            r"uint16 and values 16448\.\.65535, but .*uint8",
        ),
        (EXPECTED - 0.5, UserWarning, r"values -0.249.*\.\.0.5, but .* uint8 and values 64\.\.255"),
        (EXPECTED + np.eye(8), UserWarning, r"\.\.2, but .* read with 1 as white"),
        (EXPECTED / 255, UserWarning, r"values 0.0009.*\.\.0.0039"),
    ],
)
def test_what_cannot_be_the_fitted_images_is_named(X, error, message):
    pixels = read(GREYS)[1]
    with pytest.raises(error, match=message):  # Warnings are errors in tests.
        read(X, pixels)


def test_the_columns_of_a_table_are_taken_as_they_are():
    table = np.random.default_rng(0).uniform(0, 200, (5, 10))
    levels, pixels = read(table)
    np.testing.assert_allclose(levels.reshape(5, 10), table, rtol=1e-6)
    assert pixels == Pixels("float64", None, None, None, False)
    read(table * 1000, pixels)


@pytest.fixture(scope="module")
def fitted():
    X, y = synthetic.make(0, 40, seed=0, image_size=16)
    return BoxRegressor.paper(epochs=1, random_state=0, xla=False).fit(X, y), X, y


def test_an_estimator_keeps_to_what_it_was_fitted_on(fitted, tmp_path):
    regressor, X, y = fitted
    assert regressor.pixels_ == ("uint8", 255, 0, 255, True)
    assert regressor.score(X.astype(np.float32), y) == pytest.approx(regressor.score(X, y))
    with pytest.raises(ValueError, match=r"values 0\.\.65535, but the network was fitted on"):
        regressor.score(X.astype(np.uint16) * 257, y)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["X"] = X.astype(np.float32)
        assert np.array_equal(regressor.predict(file["X"]), regressor.predict(X.astype(np.float32)))


def test_validation_images_are_read_as_those_of_training(fitted):
    _, X, y = fitted
    regressor = BoxRegressor.paper(epochs=1, random_state=0, xla=False)
    losses = [
        regressor.fit(X > 0, y, validation_data=(V, y)).history_[0]["validation_loss"]
        for V in (X > 0, X // 255, X.astype(np.float32), (X // 255).tolist())
    ]
    np.testing.assert_allclose(losses, losses[0], rtol=1e-6)
    with pytest.raises(ValueError, match=r"values 0\.\.65535, but the network was fitted on"):
        regressor.fit(X, y, validation_data=(X.astype(np.uint16) * 257, y))


def test_partial_fit_keeps_to_the_first_images(fitted):
    _, X, y = fitted
    regressor = BoxRegressor.paper(random_state=0, xla=False).partial_fit(X / 255, y)
    with pytest.raises(ValueError, match=r"float64 and values 0\.\.255, but .* values 0\.\.1"):
        regressor.partial_fit(X.astype(float), y)
    assert regressor.partial_fit(X, y).pixels_.dtype == "float64"
    assert regressor.n_iter_ == 2


def test_a_fit_that_fails_leaves_what_was_fitted(fitted):
    """Images of another shape, type and number of targets, with names; the old ones still work."""
    regressor, X, y = fitted
    before, form = regressor.predict(X), dict(vars(regressor))
    other = np.full((40, 24, 24), 0.5)
    with pytest.raises(ValueError, match=r"box 0, .* looks like pixels"):
        regressor.fit(other, y * 24)
    with pytest.raises(ValueError, match="needs at least 8×8 px"):
        regressor.fit(other[:, :4], y)
    with pytest.raises(ValueError, match="contains NaN or infinity"):
        regressor.fit(np.where(other > 0, np.nan, 0), y)
    for name in ("image_shape_", "n_features_in_", "n_outputs_", "pixels_"):
        assert getattr(regressor, name) == form[name]
    assert np.array_equal(regressor.predict(X), before)
    new = BoxRegressor()
    with pytest.raises(ValueError, match="looks like pixels"):
        new.fit(other, y * 24)
    assert not hasattr(new, "image_shape_")


def test_the_order_of_bytes_makes_no_difference():
    levels = []
    for dtype in ("<u2", ">u2"):
        with pytest.warns(
            UserWarning, match=r"values 1280\.\.5100, which are read as .*0\.\.65535"
        ):
            levels.append(read((GREYS * 20.0).astype(dtype))[0])
    assert (levels[0] == levels[1]).all()
    assert levels[0].max() == np.float32(5100 / 65535)
