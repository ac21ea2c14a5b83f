"""Photographs without boxes: found in pixels of the files, whatever their size."""

import os

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from sklearn.exceptions import NotFittedError

from boxest import BoxRegressor, figures, photographs, synthetic
from boxest.data.annotations import CORNERS

SIZES = {"wide.png": (60, 30), "sub/tall.png": (20, 50), "square.jpg": (40, 40), "tiny.png": (3, 2)}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Photographs of several sizes, of which one lies on its side, and a table of their boxes."""
    folder = tmp_path_factory.mktemp("photographs")
    rng = np.random.default_rng(0)
    lines = ["image,x1,y1,x2,y2"]
    for name, (width, height) in SIZES.items():
        path = folder / "images" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        exif = Image.Exif()
        exif[0x0112] = 6 if name == "wide.png" else 1
        shape = (width, height, 3) if name == "wide.png" else (height, width, 3)
        image = Image.fromarray(rng.integers(0, 256, shape).astype(np.uint8))
        image.save(path, exif=exif)
        lines.append(f"{name},0,0,{width},{height}")
    (folder / "images" / "notes.txt").write_text("no photograph")
    (folder / "boxes.csv").write_text("\n".join(lines))
    return folder


@pytest.fixture(scope="module", params=[("pad", 3), ("stretch", 1)])
def fitted(request, folder):
    """A regressor that was fitted on shards of the photographs, and these shards."""
    mode, channels = request.param
    done = photographs.convert(
        folder / "images", folder / "boxes.csv", folder / mode, image_size=(16, 24),
        channels=channels, mode=mode, split=(1, 0, 0),
    )  # fmt: skip
    regressor = BoxRegressor.paper(epochs=1, batch_size=2, random_state=0, xla=False)
    return regressor.fit(done.train), done.train


def test_boxes_are_those_of_the_shards_in_pixels_and_clipped(folder, fitted):
    regressor, paths = fitted
    rows = photographs.originals(paths).set_index("image")
    expected = photographs.to_pixels(regressor.predict(paths), rows)
    rows[CORNERS] = expected.clip(0, rows[["width", "height"] * 2].to_numpy())
    found = photographs.predict(regressor, folder / "images")
    names = [os.path.relpath(path, folder / "images") for path in found["image"]]
    assert names == sorted(SIZES)
    assert found.columns.tolist() == ["image", "width", "height", *CORNERS]
    sizes = found[["width", "height"]].to_numpy().tolist()
    assert sizes == [list(SIZES[name]) for name in names]
    np.testing.assert_allclose(found[CORNERS], rows.loc[names, CORNERS], atol=1e-5)


def test_a_saved_regressor_knows_how_photographs_were_fitted(folder, fitted, tmp_path):
    regressor, _ = fitted
    regressor.save(tmp_path / "a.boxest")
    loaded = BoxRegressor.load(tmp_path / "a.boxest")
    path = folder / "images" / "wide.png"
    assert loaded.image_mode_ == regressor.image_mode_
    expected = photographs.predict(regressor, path)
    pd.testing.assert_frame_equal(photographs.predict(loaded, [str(path)]), expected)


def test_blocks_make_no_difference(folder, fitted, monkeypatch):
    regressor, _ = fitted
    whole = photographs.predict(regressor, folder / "images")
    monkeypatch.setattr(photographs.prediction, "_BLOCK", 1)
    blocks = photographs.predict(regressor, folder / "images")
    np.testing.assert_allclose(blocks[CORNERS], whole[CORNERS], rtol=1e-5)


def test_predictions_are_clipped_to_each_photograph(folder, fitted, monkeypatch):
    regressor, _ = fitted
    monkeypatch.setattr(regressor, "predict", lambda X: np.tile([-1.0, -1, 2, 2], (len(X), 1)))
    found = photographs.predict(regressor, folder / "images")
    assert (found[["x1", "y1"]] == 0).all(axis=None)
    assert (found[["x2", "y2"]].to_numpy() == found[["width", "height"]].to_numpy()).all()


def test_what_cannot_be_predicted_on(folder, fitted, tmp_path):
    regressor, _ = fitted
    (tmp_path / "damaged.png").write_bytes((folder / "images" / "tiny.png").read_bytes()[:-20])
    with pytest.raises(ValueError, match=r"damaged\.png cannot be read"):
        photographs.predict(regressor, tmp_path)
    (tmp_path / "other.jpg").write_bytes((tmp_path / "damaged.png").read_bytes())
    both = r"2 photographs cannot be read: .*damaged\.png, .*other\.jpg\. The first: .*damaged\.png"
    with pytest.raises(ValueError, match=both):
        photographs.predict(regressor, [tmp_path, folder / "images"])
    with pytest.raises(FileNotFoundError, match=r"absent\.png"):
        photographs.predict(regressor, [tmp_path / "absent.png"])
    with pytest.raises(NotFittedError):
        photographs.predict(BoxRegressor(), folder / "images")
    with pytest.raises(ValueError, match="the list of paths is empty"):
        photographs.predict(regressor, [])
    (tmp_path / "empty").mkdir()
    with pytest.raises(
        ValueError, match=r"empty holds no photographs, because no file ends in \.bmp"
    ):
        photographs.predict(regressor, [folder / "images", tmp_path / "empty"])


def test_the_mode_must_be_known(folder):
    X, y = synthetic.make(0, 20, seed=0, image_size=16)
    regressor = BoxRegressor.paper(epochs=1, random_state=0, xla=False).fit(X, y)
    assert regressor.image_mode_ is None
    path = folder / "images" / "wide.png"
    with pytest.raises(
        ValueError, match="not fitted on shards of photographs: pass mode='stretch'"
    ):
        photographs.predict(regressor, path)
    found = photographs.predict(regressor, path, mode="pad")
    assert found[["width", "height"]].to_numpy().tolist() == [[60, 30]]


def test_boxes_are_drawn_over_the_photographs(folder, fitted):
    regressor, paths = fitted
    found = photographs.predict(regressor, folder / "images")
    figure = figures.photographs(found)
    assert len(figure.axes) == len(SIZES)
    for axes, row in zip(figure.axes, found.itertuples(), strict=True):
        (line,) = axes.lines
        height, width = axes.images[0].get_array().shape[:2]
        assert (width, height) == SIZES[os.path.relpath(row.image, folder / "images")]
        np.testing.assert_allclose(
            [line.get_xdata().min(), line.get_xdata().max()], sorted([row.x1, row.x2]), atol=1e-6
        )
    rows = photographs.originals(paths)
    figure = figures.photographs(rows, folder / "images", rows)
    assert [axes.get_title().split("\n")[1] for axes in figure.axes] == ["IoU 1.000"] * len(SIZES)
    with pytest.raises(ValueError, match="must have the same images in the same order"):
        figures.photographs(rows, folder / "images", rows[::-1])


def test_shards_of_another_mode_are_said(folder, fitted):
    regressor, paths = fitted
    other = {"pad": "stretch", "stretch": "pad"}[regressor.image_mode_]
    done = photographs.convert(
        folder / "images", folder / "boxes.csv", folder / f"not {regressor.image_mode_}",
        image_size=(16, 24), channels=regressor.image_shape_[2], mode=other, split=(1, 0, 0),
    )  # fmt: skip
    with pytest.warns(UserWarning, match=f"mode='{other}', but the network was fitted on mode="):
        regressor.score(done.train)
    regressor.score(paths)
