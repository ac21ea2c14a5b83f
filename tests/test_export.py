"""A trained network in the runtimes of others."""

import numpy as np
import pytest

from boxest import BoxRegressor, synthetic


@pytest.fixture(scope="module")
def fitted():
    X, y = synthetic.make(0, 40, seed=0, image_size=16)
    return BoxRegressor.paper(network="marginal", epochs=1, random_state=0, xla=False).fit(X, y), X


@pytest.mark.slow
def test_onnx_gives_the_same_boxes(fitted, tmp_path):
    onnxruntime = pytest.importorskip("onnxruntime")
    pytest.importorskip("tf2onnx")
    regressor, X = fitted
    regressor.export(tmp_path / "boxes.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "boxes.onnx")
    (images,) = session.get_inputs()
    assert (images.name, images.type, images.shape[1:]) == ("images", "tensor(uint8)", [16, 16, 1])
    (boxes,) = session.run(None, {"images": X[..., None]})
    np.testing.assert_allclose(boxes, regressor.predict(X), atol=1e-4)


@pytest.mark.slow
def test_a_saved_model_gives_the_same_boxes(fitted, tmp_path, python):
    """In a process that knows TensorFlow alone."""
    _, X = fitted
    X, y = X / 255 * 4095, np.tile([0.25, 0.25, 0.5, 0.75], (len(X), 1))
    X = np.rint(X).astype(np.uint16)  # 12 bits.
    regressor = BoxRegressor.paper(network="profile", epochs=1, random_state=0).fit(X, y)
    regressor.export(tmp_path / "boxes")
    np.save(tmp_path / "images.npy", X[..., None])
    boxes = python(
        "import sys, numpy as np, tensorflow as tf\n"
        f"model = tf.saved_model.load({str(tmp_path / 'boxes')!r})\n"
        f"boxes = model.serve(np.load({str(tmp_path / 'images.npy')!r}))\n"
        "assert 'boxest' not in sys.modules\n"
        "print(boxes.numpy().tolist())"
    )
    np.testing.assert_allclose(np.array(eval(boxes)), regressor.predict(X), atol=1e-4)


def test_levels_are_exact_whatever_the_setting_of_keras_is(tmp_path):
    keras = pytest.importorskip("keras")
    tensorflow = pytest.importorskip("tensorflow")
    X = np.random.default_rng(0).integers(0, 256, (20, 16, 16), np.uint8)
    y = np.tile([0.25, 0.25, 0.5, 0.75], (len(X), 1))
    regressor = BoxRegressor.paper(epochs=1, random_state=0, xla=False).fit(X, y)
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        regressor.export(tmp_path / "boxes")
    finally:
        keras.config.set_dtype_policy("float32")
    model = tensorflow.saved_model.load(tmp_path / "boxes")
    np.testing.assert_allclose(model.serve(X[..., None]), regressor.predict(X), atol=1e-6)


def test_what_cannot_be_exported_is_said_before_anything_is_written(fitted, tmp_path, monkeypatch):
    regressor, _ = fitted
    with pytest.raises(ValueError, match="format must be one of onnx, saved_model; got 'tflite'"):
        regressor.export(tmp_path / "boxes", format="tflite")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r"pip install 'boxest\[export\]'"):
        regressor.export(tmp_path / "boxes.onnx")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.txt").touch()
    with pytest.raises(FileExistsError):
        regressor.export(tmp_path / "full")
    assert [path.name for path in tmp_path.rglob("*")] == ["full", "thesis.txt"]
