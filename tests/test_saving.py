import copy
import json
import os
import pickle
import zipfile

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn.exceptions import NotFittedError

from boxest import BoxRegressor, synthetic
from boxest.estimator import saving
from boxest.estimator.image_regressor import ImageRegressor


@pytest.fixture(scope="module")
def data():
    """60 images of 16 px with their boxes."""
    return synthetic.make(0, 60, seed=0, image_size=16)


def quick(**parameters):
    return BoxRegressor.paper(
        **{"epochs": 2, "random_state": 0, "loss": "giou", "optimizer": "adam", "xla": False}
        | {"learning_rate": 0.01}
        | parameters
    )


@pytest.fixture(scope="module")
def fitted(data):
    return quick().fit(*data)


@pytest.fixture
def saved(fitted, tmp_path):
    path = tmp_path / "a.boxest"
    fitted.save(path)
    return path


# JAX has double precision only for those who ask it.
POLICIES = ["mixed_bfloat16"] + ["float64"] * (os.environ.get("KERAS_BACKEND") != "jax")


def by_file(regressor, directory):
    regressor.save(directory / "a.boxest")
    return type(regressor).load(directory / "a.boxest")


def by_joblib(regressor, directory):
    joblib.dump(regressor, directory / "a.joblib")
    return joblib.load(directory / "a.joblib")


WAYS = {
    "pickle": lambda regressor, _: pickle.loads(pickle.dumps(regressor)),
    "joblib": by_joblib,
    "deepcopy": lambda regressor, _: copy.deepcopy(regressor),
    "file": by_file,
}


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_copies_are_the_same(fitted, data, tmp_path, way):
    copied = way(fitted, tmp_path)
    assert np.array_equal(copied.predict(data[0]), fitted.predict(data[0]))
    assert copied.get_params() == fitted.get_params()
    for name in ("history_", "n_iter_", "image_shape_", "n_features_in_", "seed_", "runtime_"):
        assert getattr(copied, name) == getattr(fitted, name)


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_copies_go_on_training_as_the_original_would(data, tmp_path, way):
    """With the state of the optimizer and the learning rate that a plateau has lowered."""
    parameters = {"plateau_min_delta": 10, "plateau_patience": 1, "warm_start": True}
    original = quick(**parameters).fit(*data)
    copied = way(original, tmp_path)
    assert np.array_equal(copied.fit(*data).predict(data[0]), original.fit(*data).predict(data[0]))
    assert copied.history_[-1]["learning_rate_now"] < 0.01
    assert copied.history_[-1]["updates"] == original.history_[-1]["updates"]
    alone = quick(**parameters | {"epochs": 4, "warm_start": False}).fit(*data)
    assert np.array_equal(copied.predict(data[0]), alone.predict(data[0]))


@pytest.fixture
def policy():
    """Sets Keras' policy; afterwards it is what it was."""
    import keras

    before = keras.config.dtype_policy()
    yield keras.config.set_dtype_policy
    keras.config.set_dtype_policy(before)


@pytest.mark.parametrize("way", [WAYS["pickle"], by_file], ids=["pickle", "file"])
@pytest.mark.parametrize("name", POLICIES)
def test_copies_keep_the_types_of_their_numbers(data, tmp_path, policy, way, name):
    policy(name)
    original = quick(network="profile", epochs=1).fit(*data)
    policy("float32")
    copied = way(original, tmp_path)
    assert np.array_equal(copied.predict(data[0]), original.predict(data[0]))
    original.partial_fit(*data)
    assert np.array_equal(copied.partial_fit(*data).predict(data[0]), original.predict(data[0]))
    copied.save(tmp_path / "b.boxest")
    again = BoxRegressor.load(tmp_path / "b.boxest")
    assert np.array_equal(again.predict(data[0]), original.predict(data[0]))


def test_another_policy_does_not_round_what_passes_between_parts_of_a_network(tmp_path, policy):
    """Those of "profile" are several tensors; in 8 bits, levels between black and white change."""
    X = np.random.default_rng(0).integers(0, 256, (40, 16, 16), np.uint8)
    y = np.tile([0.25, 0.25, 0.5, 0.75], (40, 1))
    original = quick(network="profile", epochs=1).fit(X, y)
    original.save(tmp_path / "a.boxest")
    policy("mixed_bfloat16")
    loaded = BoxRegressor.load(tmp_path / "a.boxest")
    assert np.array_equal(loaded.predict(X), original.predict(X))


@pytest.mark.slow
@pytest.mark.parametrize("way", ["pickle", "joblib", "file"])
def test_fresh_process(fitted, data, tmp_path, python, way):
    """It predicts the same, and goes on training to the same network."""
    path = tmp_path / "a"
    if way == "file":
        fitted.save(path)
    else:
        joblib.dump(fitted, path) if way == "joblib" else path.write_bytes(pickle.dumps(fitted))
    load = {
        "pickle": f"import pickle; r = pickle.load(open({str(path)!r}, 'rb'))",
        "joblib": f"import joblib; r = joblib.load({str(path)!r})",
        "file": f"from boxest import BoxRegressor; r = BoxRegressor.load({str(path)!r})",
    }[way]
    code = (
        f"{load}\nimport json\nfrom boxest import synthetic\nfrom boxest.system import runtime\n"
        "X, y = synthetic.make(0, 60, seed=0, image_size=16)\n"
        "print(json.dumps([r.predict(X).tolist(), r.partial_fit(X, y).predict(X).tolist()]))"
    )
    before, after = json.loads(python(code))
    assert before == fitted.predict(data[0]).tolist()
    expected = copy.deepcopy(fitted).partial_fit(*data).predict(data[0])
    assert after == expected.tolist()


def test_predicting_first_does_not_hinder_pickling(fitted, data):
    fitted.predict(data[0])
    assert not {"_predictor", "_trainer", "callbacks_"} & set(fitted.__getstate__())


def test_a_loaded_estimator_has_no_followed_predictions(fitted, tmp_path):
    assert by_file(fitted, tmp_path).followed_.size == 0


def test_image_regressor_is_saved_too(data, tmp_path):
    X, y = data
    regressor = ImageRegressor(epochs=1, xla=False, image_shape=(16, 16)).fit(X, y[:, 0])
    loaded = by_file(regressor, tmp_path)
    assert np.array_equal(loaded.predict(X), regressor.predict(X))
    assert loaded.get_params() == regressor.get_params()
    with pytest.raises(saving.FileError, match="it holds a ImageRegressor"):
        BoxRegressor.load(tmp_path / "a.boxest")


def test_file_of_another_version_warns(saved, monkeypatch):
    monkeypatch.setattr("boxest.__version__", "99.0")
    with pytest.warns(
        UserWarning, match=r"a.boxest was stored by boxest .*, but this is 99.0: check"
    ):
        BoxRegressor.load(saved)


def test_pickle_of_another_version_warns(fitted, monkeypatch):
    stored = pickle.dumps(fitted)
    monkeypatch.setattr("boxest.system.versions.version", lambda name: "2.9")
    with pytest.warns(
        UserWarning, match=r"This BoxRegressor was stored by keras .*, but this is 2.9"
    ):
        pickle.loads(stored)


def test_objects_cannot_be_saved(data, tmp_path):
    import keras

    regressor = quick(epochs=1, optimizer=keras.optimizers.SGD()).fit(*data)
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
    with pytest.raises(saving.FileError, match="is not a saved BoxRegressor, or is damaged"):
        BoxRegressor.load(saved)


def change(path, *, arrays=None, more=None, compression=zipfile.ZIP_STORED, **changes):
    """Write a file again with another text, other arrays, or another part."""
    with zipfile.ZipFile(path) as archive:
        about = json.loads(archive.read("estimator.json"))
        numbers = archive.read("arrays") if arrays is None else arrays
    for name, value in changes.items():
        if isinstance(value, dict):
            about[name] |= value
        else:
            about[name] = value
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.writestr("estimator.json", json.dumps(about))
        archive.writestr("arrays", numbers)
        if more:
            archive.writestr(more, b"")


@pytest.mark.fault
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": "pickle"}, "it has the format 'pickle' 4"),
        ({"format_version": 1}, "it has the format 'boxest estimator' 1"),
        ({"more": "model.keras"}, "should hold arrays and estimator.json, and nothing else"),
        ({"image_shape": [2**14, 2**14, 1]}, r"its image shape is \(16384, 16384, 1\)"),
        ({"image_shape": [16, 16]}, r"its image shape is \(16, 16\)"),
        ({"image_shape": [24, 24, 1]}, r"its images of shape \(24, 24, 1\) have 256 features"),
        ({"image_shape": [16, 8, 2]}, "its arrays of the model are"),
        ({"image_shape": ["16", "16", "1"]}, r"its image shape is \('16', '16', '1'\)"),
        ({"fitted": {"n_outputs_": 10**12}}, "it has 1000000000000 outputs"),
        ({"fitted": {"n_outputs_": 3}}, "its arrays of the model are"),
        ({"arrays": b"12"}, "it holds 2 bytes of arrays"),
        ({"parameters": {"network": "os.system"}}, "Unknown network 'os.system'"),
        ({"parameters": {"optimizer": "os.system"}}, "Unknown optimizer 'os.system'"),
        ({"parameters": {"loss": {"class_name": "Lambda"}}}, "its parameter loss is {'class_name'"),
        (
            {"parameters": {"optimizer": {"module": "subprocess", "class_name": "Popen"}}},
            "its parameter optimizer is {'module'",
        ),
        ({"parameters": {"epochs": -1}}, "The 'epochs' parameter"),
        ({"parameters": {"shell": "rm"}}, "unexpected keyword argument 'shell'"),
        ({"schedule": {"shell": "rm"}}, "its schedule should be a table of learning_rate"),
        ({"schedule": {"wait": "0"}}, "its wait is '0'"),
        ({"schedule": {"learning_rate": float("nan")}}, "it has the learning rate nan"),
        ({"fitted": {"_first_rate": float("inf")}}, "it has the learning rate inf"),
        ({"fitted": {"n_iter_": 3}}, "its history has 2 epochs instead of 3"),
        ({"fitted": {"n_iter_": True}}, "its n_iter_ is True"),
        ({"fitted": {"history_": [{"updates": 4}, {"updates": "8"}]}}, "its updates is '8'"),
        ({"fitted": {"seconds_": {}}}, "its seconds_ should be a table of import, data"),
        ({"versions": "1"}, "its versions is '1'"),
        ({"feature_names": "x"}, "its feature_names is 'x'"),
        ({"feature_names": ["a", "b"]}, r"its feature_names are \['a', 'b'\], 2 of them"),
        ({"feature_names": [1] * 256}, r"its feature_names are \[1, 1"),
        ({"parameters": {"callbacks": ["x"]}}, r"its parameter callbacks is \['x'\]"),
        ({"fitted": {"seed_": 2**100}}, r"it has the seed 1\.27e\+30"),
        ({"fitted": {"seed_": -1}}, "it has the seed -1"),
        ({"pixels": {"white": 256}}, "its pixels are {'dtype': 'uint8', 'white': 256"),
        ({"pixels": {"dtype": "os.system"}}, "its pixels are {'dtype': 'os.system'"),
        ({"pixels": {"low": float("nan")}}, "its pixels are .*'low': nan"),
        ({"pixels": {"low": 300.0}}, "its pixels are .*'low': 300.0"),
        ({"pixels": {"high": "255"}}, "its high is '255'"),
        ({"dtype_policy": "int8_from_float32"}, "its dtype_policy is 'int8_from_float32'"),
        ({"pixels": {"black": 0}}, "its pixels should be a table of dtype, white"),
    ],
)
def test_files_with_other_claims_are_refused(saved, changes, message):
    change(saved, **changes)
    with pytest.raises(saving.FileError, match=message):
        BoxRegressor.load(saved)


def test_missing_file_stays_a_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        BoxRegressor.load(tmp_path / "nowhere.boxest")


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_copies_read_pixels_as_the_original(data, tmp_path, way):
    X, y = data
    copied = way(quick(epochs=1).fit(X.astype(np.float32), y), tmp_path)
    assert copied.pixels_ == ("float32", 255, 0.0, 255.0, True)
    with pytest.warns(UserWarning, match=r"float64 and values 0\.\.1, but .* fitted on .*float32"):
        copied.predict(X / 255)


def test_numbers_of_numpy_are_saved_as_numbers(data, tmp_path):
    given = {"batch_size": np.int64(16), "learning_rate": np.float32(0.5)}
    regressor = quick(epochs=1, restore_best_weights=np.bool_(True), **given).fit(*data)
    loaded = by_file(regressor, tmp_path).get_params()
    assert {name: loaded[name] for name in given} == {"batch_size": 16, "learning_rate": 0.5}
    assert loaded["restore_best_weights"] is True


def test_a_training_that_was_interrupted_is_not_saved(data, tmp_path):
    import keras

    def stop(epoch, logs):
        raise KeyboardInterrupt

    stops = keras.callbacks.LambdaCallback(on_epoch_end=stop)
    regressor = quick(callbacks=[stops])
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            regressor.fit(*data)
        # Nor is it described by what an earlier training has left.
        assert not {"n_iter_", "best_epoch_", "diverged_", "seconds_"} & set(vars(regressor))
        regressor.n_iter_, regressor.best_epoch_ = 2, 1
    with pytest.raises(NotFittedError, match=r"BoxRegressor was interrupted.*call fit again"):
        regressor.set_params(callbacks=None).save(tmp_path / "a.boxest")
    assert list(tmp_path.iterdir()) == []


def test_names_of_columns_end_with_data_that_have_none(data, tmp_path):
    h5py = pytest.importorskip("h5py")
    X, y = data
    table = pd.DataFrame(X.reshape(len(X), -1)).add_prefix("p")
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["X"] = X
        regressor = quick(epochs=1).fit(table, y).fit(file["X"], y)
    assert not hasattr(by_file(regressor, tmp_path), "feature_names_in_")


@pytest.mark.parametrize("later", [{"output_activation": "sigmoid"}, {"optimizer": "sgd"}])
def test_parameters_that_the_network_does_not_have_are_not_saved(fitted, data, tmp_path, later):
    regressor = copy.deepcopy(fitted).set_params(**later)
    with pytest.raises(ValueError, match="was set after fit, so the file would describe another"):
        regressor.save(tmp_path / "a.boxest")
    assert list(tmp_path.iterdir()) == []
    with pytest.warns(UserWarning, match="has no effect here: the training goes on with the"):
        regressor.partial_fit(*data)
    by_file(regressor.set_params(**fitted.get_params()), tmp_path)


def test_a_rate_that_a_callback_has_lowered_to_0_is_saved(data, tmp_path):
    import keras

    falling = keras.callbacks.LearningRateScheduler(lambda epoch, rate: 0.01 * (1 - epoch))
    regressor = quick(callbacks=[falling], schedule="constant").fit(*data)
    loaded = by_file(regressor.set_params(callbacks=None), tmp_path)
    assert loaded.partial_fit(*data).history_[-1]["learning_rate_now"] == 0
