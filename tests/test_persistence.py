import json
import zipfile

import numpy as np
import pytest

from boxest import BoxRegressor, persistence


@pytest.fixture(scope="module")
def fitted(small_data):
    return BoxRegressor(epochs=2, random_state=0, loss="giou").fit(*small_data)


@pytest.fixture
def saved(fitted, tmp_path):
    path = tmp_path / "a.boxest"
    fitted.save(path)
    return path


def test_loaded_regressor_is_the_saved_one(fitted, saved, small_data):
    loaded = BoxRegressor.load(saved)
    assert np.array_equal(loaded.predict(small_data[0]), fitted.predict(small_data[0]))
    assert loaded.get_params() == fitted.get_params()
    assert loaded.history_ == fitted.history_
    assert loaded.image_shape_ == (32, 32, 1)


def test_loads_in_a_fresh_process(fitted, saved, small_data, python):
    code = (
        "from boxest import BoxRegressor, synthetic\n"
        "X, _ = synthetic.make(0, 2, seed=0, image_size=32)\n"
        f"print(BoxRegressor.load({str(saved)!r}).predict(X).tolist())"
    )
    assert json.loads(python(code)) == fitted.predict(small_data[0][:2]).tolist()


def test_other_version_warns(saved, monkeypatch):
    monkeypatch.setattr("boxest.__version__", "99.0")
    with pytest.warns(UserWarning, match=r"saved by boxest .*, this is 99.0"):
        BoxRegressor.load(saved)


def test_objects_cannot_be_saved(small_data, tmp_path):
    import keras

    regressor = BoxRegressor(epochs=1, optimizer=keras.optimizers.SGD()).fit(*small_data)
    with pytest.raises(ValueError, match=r"optimizer=.* cannot be saved"):
        regressor.save(tmp_path / "a.boxest")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.fault
@pytest.mark.parametrize("damage", ["empty", "cut", "flip", "text"])
def test_damaged_file_is_refused(saved, damage):
    content = bytearray(saved.read_bytes())
    if damage == "flip":
        content[len(content) // 2] ^= 1
    saved.write_bytes(
        {"empty": b"", "cut": content[: len(content) // 2], "flip": content, "text": b"x,y\n1,2\n"}[
            damage
        ]
    )
    with pytest.raises(persistence.FileError, match="is not a saved BoxRegressor, or is damaged"):
        BoxRegressor.load(saved)


def test_file_without_a_model_is_refused(saved):
    with zipfile.ZipFile(saved, "w") as archive:
        archive.writestr("regressor.json", "{}")
    with pytest.raises(persistence.FileError, match=r"no item named 'model.keras'"):
        BoxRegressor.load(saved)


def test_missing_file_stays_a_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        BoxRegressor.load(tmp_path / "nowhere.boxest")
