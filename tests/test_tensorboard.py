"""A study as TensorBoard reads it, by TensorBoard's own reader."""

import sys

import numpy as np
import pandas as pd
import pytest

from boxest import BoxRegressor, synthetic
from boxest.cli import boxest
from boxest.report import tensorboard


def write_study(root, axes):
    """Write the tables of a study of two cells with two seeds and three epochs."""
    rows = [
        cell | {"seed": seed, "epoch": epoch, "validation_iou_loss": 1 / (epoch + 2 * seed + i)}
        for i, cell in enumerate(axes)
        for seed in (0, 1)
        for epoch in (1, 2, 3)
    ]
    histories = pd.DataFrame(rows)
    (root / "tables").mkdir(parents=True)
    histories.to_csv(root / "tables" / "histories.csv", index=False)
    runs = histories[histories["epoch"] == 3].drop(columns="epoch")
    runs.to_csv(root / "tables" / "runs.csv", index=False)
    return histories


def read(folder):
    """Return what TensorBoard's HParams page shows, a row per run, and the curves."""
    from tensorboard.backend.event_processing import plugin_event_multiplexer
    from tensorboard.plugins.hparams import metadata

    runs = plugin_event_multiplexer.EventMultiplexer().AddRunsFromDirectory(str(folder)).Reload()
    hparams = {}
    for run, tags in runs.PluginRunToTagToContent(metadata.PLUGIN_NAME).items():
        for tag, content in tags.items():
            if tag == metadata.SESSION_START_INFO_TAG:
                parsed = metadata.parse_session_start_info_plugin_data(content)
                hparams[run] = {
                    name: getattr(value, value.WhichOneof("kind"))
                    for name, value in parsed.hparams.items()
                }
            if tag == metadata.EXPERIMENT_TAG:
                experiment = metadata.parse_experiment_plugin_data(content)
    return runs, hparams, experiment


def curve(events):
    """Return what a curve has: the epochs and their losses."""
    from tensorboard.util import tensor_util

    return [(one.step, float(tensor_util.make_ndarray(one.tensor_proto))) for one in events]


def test_study_is_read_by_tensorboard(tmp_path, capsys):
    pytest.importorskip("tensorboard")
    cells = [
        {"network": "paper", "learning_rate": 0.1},
        {"network": "a/b.py:c", "learning_rate": np.nan},
    ]
    histories = write_study(tmp_path / "study", cells)
    with pytest.raises(SystemExit, match="0"):
        boxest(["tensorboard", str(tmp_path / "study")])
    folder = tmp_path / "study" / "tensorboard"
    assert f"tensorboard --logdir {folder}" in capsys.readouterr().out

    runs, hparams, experiment = read(folder)
    assert sorted(hparams) == [
        f"network={name},learning_rate={rate},seed={seed}"
        for name, rate in (("a_b.py:c", "none"), ("paper", 0.1))
        for seed in (0, 1)
    ]
    run = "network=paper,learning_rate=0.1,seed=1"
    # Text, since the other cell has no rate; TensorBoard has one kind for all.
    assert hparams[run] == {"network": "paper", "learning_rate": "0.1", "seed": 1.0}
    assert [one.name for one in experiment.hparam_infos] == ["network", "learning_rate", "seed"]
    assert [one.name.tag for one in experiment.metric_infos] == ["validation_iou_loss"]
    same = histories[(histories["network"] == "paper") & (histories["seed"] == 1)]
    expected = list(zip(same["epoch"], same["validation_iou_loss"], strict=True))
    np.testing.assert_allclose(curve(runs.Tensors(run, "validation_iou_loss")), expected, rtol=1e-6)

    with pytest.raises(FileExistsError, match="tensorboard"):
        tensorboard.write(tmp_path / "study")


def test_a_run_has_a_name_that_a_folder_can_have(tmp_path):
    pytest.importorskip("tensorboard")
    axes = {f"a_setting_with_a_long_name_{i}": 0.5 for i in range(9)}
    write_study(tmp_path, [{"learning_rate": rate} | axes for rate in (0.01, 0.1)])
    _, hparams, _ = read(tensorboard.write(tmp_path))
    found = {(values["learning_rate"], values["seed"]) for values in hparams.values()}
    assert found == {(rate, seed) for rate in (0.01, 0.1) for seed in (0, 1)}


def test_callback_of_keras_writes_the_losses_of_every_epoch(tmp_path):
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    import keras

    X, y = synthetic.make(0, 40, seed=0, image_size=16)
    board = keras.callbacks.TensorBoard(tmp_path, write_graph=False)
    regressor = BoxRegressor.paper(epochs=2, callbacks=[board], random_state=0, xla=False)
    regressor.fit(X, y)
    events = accumulator.EventAccumulator(str(tmp_path / "validation")).Reload()
    expected = list(enumerate(row["validation_loss"] for row in regressor.history_))
    np.testing.assert_allclose(curve(events.Tensors("epoch_loss")), expected, rtol=1e-6)


def test_what_is_no_study_is_said_before_anything_is_written(tmp_path, monkeypatch):
    with pytest.raises(ValueError, match=r"not hold a finished study: .*histories\.csv is missing"):
        tensorboard.write(tmp_path)
    write_study(tmp_path, [{"batch_size": 4}])
    monkeypatch.setitem(sys.modules, "tensorboard.plugins.hparams", None)
    with pytest.raises(ImportError, match=r"pip install 'boxest\[tensorboard\]'"):
        tensorboard.write(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["tables"]
