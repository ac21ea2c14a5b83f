"""All that `fit` takes for images."""

import h5py
import numpy as np
import pandas as pd
import pytest
from PIL import Image
from sklearn.base import clone

from boxest import BoxRegressor, shards, synthetic
from boxest.data import inputs
from boxest.training.predictor import Predictor

LAW = synthetic.BoxLaw()


@pytest.fixture(scope="module")
def data():
    """60 images of 16 px with their boxes."""
    return synthetic.make(0, 60, seed=0, image_size=16)


@pytest.fixture(scope="module")
def fitted(data):
    return BoxRegressor.paper(epochs=2, random_state=0, xla=False).fit(*data)


@pytest.fixture(scope="module")
def paths(tmp_path_factory, data):
    """The same images in three shards."""
    directory = tmp_path_factory.mktemp("shards")
    result = []
    for start in (0, 20, 40):
        part = slice(start, start + 20)
        meta = shards.Meta("train", start, start + 20, 0, 16, LAW)
        result.append(str(directory / f"{start}.h5"))
        shards.write(result[-1], data[0][part], data[1][part], meta)
    return result


@pytest.mark.parametrize(
    "form",
    [
        lambda X: X,
        lambda X: X > 0,
        lambda X: X / 255,
        lambda X: (X / 255).astype("float32"),
        lambda X: (X // 255).astype("int64"),
        lambda X: (X / 255).tolist(),
        lambda X: list(X),
        lambda X: pd.Series(list(X), index=range(100, 160)),
        lambda X: pd.Series(X.tolist()),
        lambda X: [Image.fromarray(one) for one in X],
        lambda X: X[..., np.newaxis],
        lambda X: X.reshape(len(X), -1),
        lambda X: np.asfortranarray(X),
        lambda X: np.repeat(np.repeat(X, 2, 1), 2, 2)[:, ::2, ::2],
    ],
    ids=[
        "uint8",
        "bool",
        "float64",
        "float32",
        "int64",
        "list",
        "list of arrays",
        "column of a table",
        "column of lists",
        "pictures",
        "channels",
        "flat",
        "fortran",
        "strided",
    ],
)
def test_equal_images_in_any_form_give_equal_networks(data, fitted, form):
    X, y = data
    regressor = clone(fitted).fit(form(X), y)
    np.testing.assert_allclose(regressor.predict(X), fitted.predict(X), atol=1e-5)
    np.testing.assert_allclose(fitted.predict(form(X)), fitted.predict(X), atol=1e-6)


def test_read_only_arrays_are_taken(data, fitted):
    X, y = (values.copy() for values in data)
    X.setflags(write=False)
    y.setflags(write=False)
    assert np.array_equal(clone(fitted).fit(X, y).predict(X), fitted.predict(X))


def test_flat_rows_are_square_images_or_have_the_shape_that_is_told(data):
    X, y = data
    wide = X[:, :8].reshape(60, 128)
    with pytest.raises(ValueError, match="needs at least 8×8 px, got 1×128 px"):
        BoxRegressor.paper().fit(wide, y)
    regressor = BoxRegressor.paper(image_shape=(8, 16), epochs=1, random_state=0, xla=False)
    assert regressor.fit(wide, y).image_shape_ == (8, 16, 1)
    expected = clone(regressor).set_params(image_shape=None).fit(X[:, :8], y).predict(X[:, :8])
    assert np.array_equal(regressor.predict(wide), expected)
    with pytest.raises(ValueError, match=r"rows of 128 pixels, but .*\(8, 8, 1\).*rows of 64"):
        clone(regressor).set_params(image_shape=(8, 8)).fit(wide, y)


class Stack:
    """Something that is sliced like an array, and tells how much was asked for at a time."""

    def __init__(self, array):
        self.array, self.shape, self.dtype, self.most = array, array.shape, array.dtype, 0

    def __getitem__(self, rows):
        self.most = max(self.most, len(self.array[rows]))
        return self.array[rows]


def test_data_on_disk_are_read_in_blocks(data, fitted, monkeypatch):
    X, y = data
    monkeypatch.setattr(inputs, "BLOCK_BYTES", 7 * 256 * 8)
    stack, predicted = Stack(X), []
    regressor = clone(fitted).fit(stack, y)
    call = Predictor.__call__

    def counted(self, features):
        predicted.append(len(features))
        return call(self, features)

    expected = fitted.predict(X)
    monkeypatch.setattr(Predictor, "__call__", counted)
    assert np.array_equal(regressor.predict(stack), expected)
    assert (stack.most, predicted) == (7, [50, 10])


def test_data_sets_of_h5py(data, fitted, tmp_path):
    X, y = data
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["images"], file["flat"] = X, X.reshape(60, 256)
        regressor = clone(fitted).fit(file["images"], y)
        assert np.array_equal(regressor.predict(file["images"]), fitted.predict(X))
        assert np.array_equal(regressor.predict(file["flat"]), fitted.predict(X))


def test_shards_are_images_and_boxes(data, fitted, paths):
    regressor = clone(fitted).fit(paths[::-1])
    assert np.array_equal(regressor.predict(data[0]), fitted.predict(data[0]))
    assert np.array_equal(regressor.predict(paths), fitted.predict(data[0]))
    assert np.array_equal(regressor.predict(paths[1]), fitted.predict(data[0][20:40]))


def test_shards_for_validation(data, fitted, paths):
    X, y = data
    by_shards = clone(fitted).fit(paths[:2], validation_data=paths[2])
    by_arrays = clone(fitted).fit(X[:40], y[:40], validation_data=(X[40:], y[40:]))
    assert np.array_equal(by_shards.predict(X), by_arrays.predict(X))
    assert by_shards.history_[0]["validation_loss"] == by_arrays.history_[0]["validation_loss"]


def test_shards_that_do_not_fit_are_refused(fitted, paths, data, tmp_path):
    with pytest.raises(
        shards.ShardError, match=r"indices 0\.\.19 and .*40\.h5 40\.\.59: there is a gap"
    ):
        clone(fitted).fit([paths[0], paths[2]])
    other = tmp_path / "other.h5"
    shards.write(other, *(v[20:40] for v in data), shards.Meta("train", 20, 40, 1, 16, LAW))
    with pytest.raises(shards.ShardError, match="seed is 0 in one and 1 in the other"):
        clone(fitted).fit([paths[0], other])
    with pytest.raises(ValueError, match="The boxes are in the shards: do not pass y"):
        clone(fitted).fit(paths, data[1])
    with pytest.raises(ValueError, match=r"images of shape \(16, 16, 1\), .*\(8, 8, 1\).*expected"):
        clone(fitted).set_params(image_shape=(8, 8)).fit(paths)


@pytest.mark.parametrize(
    ("X", "error", "message"),
    [
        (np.zeros(5), ValueError, r"got the shape \(5,\). Reshape your data"),
        (np.zeros((5, 2, 2, 2, 2)), ValueError, r"got the shape \(5, 2, 2, 2, 2\)"),
        (np.zeros((0, 8, 8)), ValueError, r"0 sample\(s\) \(shape=\(0, 8, 8\)\)"),
        (np.zeros((5, 0, 8)), ValueError, r"at least one image of at least one pixel.*\(5, 0, 8\)"),
        (
            np.full((5, 8, 8), np.nan),
            ValueError,
            "NaN or infinity: in 5 of 5 images, first in image 0",
        ),
        (np.full((5, 8, 8), np.inf), ValueError, "NaN or infinity: in 5 of 5 images"),
        (np.full((5, 8, 8), 1e300), ValueError, "NaN or infinity: in 5 of 5 images"),
        (np.full((5, 8, 8), "a"), ValueError, "not compatible with arrays of bytes/strings"),
        (np.full((5, 8, 8), 1j), ValueError, "Complex data not supported"),
        (Stack(np.full((5, 8, 8), 1j)), TypeError, "real numbers, got dtype complex128"),
        (np.ones((5, 8, 8), np.uint8), ValueError, r"uint8.*largest value is 1.*astype\(bool\)"),
        (np.zeros((4, 8, 8)), ValueError, r"inconsistent numbers of samples: \[4, 5\]"),
        (np.zeros((5, 4, 8)), ValueError, "at least 8×8 px, got 4×8 px"),
        (
            np.zeros((5, 3, 16, 16)),
            ValueError,
            r"3×16 px with 16 channels.*np\.moveaxis\(X, 1, -1\)",
        ),
        (
            np.zeros((5, 1, 16, 12)),
            ValueError,
            r"1×16 px with 12 channels.*image_shape=\(1, 16, 12\)",
        ),
        (np.zeros((5, 6, 16, 16)), UserWarning, "6×16 px with 16 channels. If channels come first"),
        (
            [np.zeros((8, 8)), np.zeros((9, 8))],
            ValueError,
            r"X\[0\] has \(8, 8\).* X\[1\] \(9, 8\)",
        ),
        ([np.zeros((8, 8)), np.zeros((8, 8), "u1")], ValueError, r"float64, X\[1\].* uint8. Conv"),
        ([Image.new("P", (8, 8))] * 5, ValueError, r"X\[0\] has the mode 'P': .*convert\('RGB'\)"),
        ([[[1, 2]], [[1, 2], [3, 4]]], ValueError, "images of one shape, in an array or a list"),
        (
            pd.DataFrame({"a": [*np.ones((5, 8, 8))]}),
            ValueError,
            r"pass the column, for example table\['image",
        ),
        ({"image": np.ones((5, 8, 8))}, TypeError, r"or a list of them; got dict\. Collect"),
        (iter(np.ones((5, 8, 8))), TypeError, "or a list of them; got .*iterator. Collect"),
        (np.ma.masked_less(np.ones((5, 8, 8)), 2), ValueError, r"masked values.*X\.filled"),
        ([*np.ma.masked_less(np.ones((5, 8, 8)), 2)], ValueError, r"masked values.*X\.filled"),
    ],
)
def test_bad_images_are_named(X, error, message):
    y = np.tile([0.1, 0.1, 0.5, 0.5], (5, 1))
    with pytest.raises(error, match=message):
        BoxRegressor.paper(validation_fraction=0, xla=False).fit(X, y)


def test_predict_checks_the_shape_of_images(fitted):
    with pytest.raises(ValueError, match=r"\(8, 8, 1\), but images of shape \(16, 16, 1\)"):
        fitted.predict(np.zeros((2, 8, 8)))
    with pytest.raises(ValueError, match=r"one image: pass X\[np\.newaxis\]\. Expected: .* 16×16"):
        fitted.predict(np.zeros((16, 16)))


@pytest.mark.parametrize(
    ("change", "advice"),
    [
        (lambda X: X[0], r"This is one image: pass X\[np\.newaxis\]"),
        (
            lambda X: np.moveaxis(X, -1, 1),
            r"The channels come first: pass np\.moveaxis\(X, 1, -1\)",
        ),
        (lambda X: np.swapaxes(X, 1, 2), r"exchanged: pass np\.swapaxes\(X, 1, 2\)"),
    ],
    ids=["one", "channels first", "transposed"],
)
def test_the_right_image_in_another_form_is_recognised(change, advice):
    X = np.zeros((3, 16, 24, 3))
    with pytest.raises(ValueError, match=advice):
        inputs.Images(change(X), image_shape=(16, 24, 3))


def test_many_channels_of_small_images_are_taken_where_they_are_said():
    X = np.zeros((3, 4, 16, 8))
    assert inputs.Images(X, image_shape=(4, 16, 8)).shape == (3, 4, 16, 8)
