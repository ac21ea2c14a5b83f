import json

import numpy as np
import pandas as pd
import pytest
from sklearn.exceptions import ConvergenceWarning

from boxest import BoxRegressor
from boxest.study import history


@pytest.fixture(scope="module")
def fitted(small_data):
    X, y = small_data
    regressor = BoxRegressor.paper(epochs=2, random_state=3, plateau_patience=None)
    return regressor.fit(X[:400], y[:400], validation_data=(X[400:], y[400:]))


def settings(regressor, **others):
    """Return the settings of a run, as a configuration has them."""
    names = ("network", "loss", "optimizer", "batch_size", "learning_rate", "plateau_patience")
    parameters = regressor.get_params()
    return {name: parameters[name] for name in names} | {"condition": None} | others


@pytest.fixture
def run(fitted, small_data, tmp_path):
    tested = tuple(part[:20] for part in small_data)
    history.write(tmp_path / "run", fitted, settings(fitted), tested)
    return tmp_path / "run"


def test_numbers_are_read_back_to_the_last_bit(run, fitted):
    _, table = history.read(run)
    assert tuple(table.columns) == history.EPOCH_COLUMNS
    for row, (_, read) in zip(fitted.history_, table.iterrows(), strict=True):
        assert all(read[name] == row[name] for name in history.EPOCH_COLUMNS)


def test_run_says_what_it_was_and_took(run):
    about, _ = history.read(run)
    assert (about["batch_size"], about["learning_rate"], about["seed"]) == (16, 0.1, 3)
    assert (about["epochs"], about["planned_epochs"], about["updates"]) == (2, 2, 50)
    assert (about["diverged"], about["stopped_early"]) == (False, False)
    assert about["settings"]["loss"] == "inclusive_iou"
    assert set(about["seconds"]) == {"import", "data", "compile", "train", "evaluation"}
    assert about["runtime"]["device"] == "cpu"


def test_collect_makes_two_tidy_tables(run, fitted, small_data, tmp_path):
    other, tested = tmp_path / "other", tuple(part[:20] for part in small_data)
    history.write(other, fitted, settings(fitted, batch_size=4, loss="iou"), tested)
    histories, runs = history.collect([run, other], ["batch_size", "loss"])
    assert list(histories["batch_size"]) == [4, 4, 16, 16]
    assert list(histories["epoch"]) == [1, 2, 1, 2]
    assert list(runs["batch_size"]) == [4, 16]
    assert list(runs["loss"]) == list(histories["loss"][::2]) == ["iou", "inclusive_iou"]
    assert runs["train_loss"][0] == fitted.history_[-1]["train_loss"]
    assert runs["train_seconds"][0] == pytest.approx(histories["train_seconds"][:2].sum())
    assert (runs["network"][0], runs["plateau_patience"][0]) == ("paper", "never")
    assert list(runs["run"]) == [str(other), str(run)]
    with pytest.raises(history.RunError, match="does not record its nothing"):
        history.collect([run], ["nothing"])


def test_a_run_that_was_trained_with_others_has_no_time_of_an_epoch(run):
    _, runs = history.collect([run])
    assert runs["seconds_per_epoch"][0] > 0
    about = json.loads((run / "run.json").read_text())
    about["runtime"]["engine"] = "stacked"
    (run / "run.json").write_text(json.dumps(about))
    _, runs = history.collect([run])
    assert runs["seconds_per_epoch"].isna().all()


def test_a_run_whose_best_weights_were_restored_has_the_losses_of_that_epoch(tmp_path, small_data):
    """Its validation losses were those of the last epoch, and its test losses were not."""
    X, y = small_data
    for epochs in range(4, 12):  # Until the last one is not the best one.
        regressor = BoxRegressor.paper(
            epochs=epochs, restore_best_weights=True, learning_rate=0.5, random_state=0
        )
        regressor.fit(X[:100], y[:100], validation_data=(X[400:], y[400:]))
        if regressor.best_epoch_ < epochs:
            break
    best = regressor.history_[regressor.best_epoch_ - 1]
    tested = X[400:], y[400:]
    for restored, row in ((True, best), (False, regressor.history_[-1])):
        directory = tmp_path / str(restored)
        named = settings(regressor, restore_best_weights=restored)
        history.write(directory, regressor, named, tested)
        _, runs = history.collect([directory])
        losses = [name for name in history.LOSSES if name in row]
        assert list(runs.loc[0, losses]) == [row[name] for name in losses]
        if restored:  # The same boxes, here tested on the validation set.
            validated = row["validation_iou_loss"]
            assert runs.loc[0, "test_iou_loss"] == pytest.approx(validated, rel=1e-5)


def test_diverged_run_has_a_history_and_no_final_loss(small_data, tmp_path):
    regressor = BoxRegressor.paper(loss="mse", learning_rate=1e30, epochs=5, random_state=0)
    with pytest.warns(ConvergenceWarning, match="The network is useless"):
        regressor.fit(*small_data)
    assert regressor.diverged_
    tested = tuple(part[:5] for part in small_data)
    history.write(tmp_path, regressor, settings(regressor), tested)
    tested = history.read_table(tmp_path / "predictions.csv")
    assert list(tested["image"]) == [0, 1, 2, 3, 4]
    for name in ("predicted_x1", "iou_loss", "inclusive_iou_loss"):
        assert tested[name].isna().all()
    about, table = history.read(tmp_path)
    assert about["diverged"] is True
    assert len(table) == regressor.n_iter_ < 5
    _, runs = history.collect([tmp_path])
    assert runs[list(history.LOSSES)].isna().all(axis=None)


def test_a_run_leaves_its_predictions_and_its_network(run, fitted, small_data):
    X, y = small_data
    table = pd.read_csv(run / "predictions.csv")
    corners = [f"predicted_{corner}" for corner in ("x1", "y1", "x2", "y2")]
    np.testing.assert_allclose(table[corners], fitted.predict(X[:20]), rtol=1e-12)
    score = fitted.score(X[:20], y[:20])
    assert 1 - table["iou_loss"].mean() == pytest.approx(score)
    history.save(run / "model.boxest", fitted)
    again = BoxRegressor.load(run / "model.boxest")
    np.testing.assert_array_equal(again.predict(X[:20]), fitted.predict(X[:20]))
    _, runs = history.collect([run])
    assert runs["test_iou_loss"][0] == pytest.approx(1 - score)
    assert (runs["n_parameters"][0], runs["boxes"][0]) == (1296, 20)


def test_without_validation_its_columns_are_empty(small_data, tmp_path):
    regressor = BoxRegressor.paper(epochs=1, random_state=0, validation_fraction=0)
    history.write(tmp_path, regressor.fit(*small_data), settings(regressor), small_data)
    _, table = history.read(tmp_path)
    assert np.isnan(table["validation_loss"][0])


def change(directory, **values):
    about = json.loads((directory / "run.json").read_text()) | values
    (directory / "run.json").write_text(json.dumps(about))


def replace(directory, old, new):
    text = (directory / "history.csv").read_text()
    assert old in text
    (directory / "history.csv").write_text(text.replace(old, new))


def read_loss(directory):
    return pd.read_csv(directory / "history.csv", dtype=str)["train_iou_loss"][1]


@pytest.mark.fault
@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda d: (d / "run.json").unlink(), "No such file"),
        (lambda d: (d / "run.json").write_text("{"), "does not hold a finished run"),
        (lambda d: (d / "run.json").write_text(json.dumps([1])), "does not hold a finished run"),
        (lambda d: (d / "history.csv").write_text(""), "No columns to parse"),
        (
            lambda d: (d / "history.csv").write_text("epoch\n1\n2\n"),
            r"2 rows and the columns \['epoch'\]",
        ),
        (
            lambda d: pd.read_csv(d / "history.csv")[:1].to_csv(d / "history.csv", index=False),
            "has 1 rows .*expected 2 rows",
        ),
        (lambda d: change(d, seed=None), "run.json should hold batch_size, learning_rate, seed"),
        (lambda d: change(d, runtime={}), "runtime in run.json should hold backend"),
        (lambda d: change(d, seconds={"train": "1"}), "seconds in run.json should be numbers"),
        (lambda d: change(d, updates=51), "should end with 51 updates"),
        (lambda d: change(d, epochs=0), "expected 0 rows"),
        (
            lambda d: replace(d, "\n2,", "\n3,"),
            "should have the epochs 1, 2, 3, ..., but has others",
        ),
        (lambda d: replace(d, "\n2,", "\nx,"), "could not convert string to float: 'x'"),
        (lambda d: replace(d, ",25,", ",,"), "does not hold a finished run"),
        (
            lambda d: replace(d, read_loss(d), "nan"),
            "losses that are not finite, but the run did not diverge",
        ),
    ],
)
def test_damaged_run_is_named(run, spoil, message):
    spoil(run)
    with pytest.raises(history.RunError, match=message) as error:
        history.read(run)
    assert str(run) in str(error.value)
    assert error.value.path == run


def test_a_name_among_numbers_makes_a_long_column_text_and_no_name_is_a_missing_value(tmp_path):
    """Pandas alone reads the first 16,384 of these rows as the number 5, the others as text."""
    n = 20_000
    written = pd.DataFrame({f"loss_{i}": np.zeros(2 * n, int) for i in range(48)})
    written["stop_patience"] = ["5"] * n + ["never"] * n
    written["condition"] = ["null"] * n + ["NA"] * n
    written["best"] = [None] * n + [1.5] * n
    written.to_csv(tmp_path / "table.csv", index=False)
    table = history.read_table(tmp_path / "table.csv")
    for name in ("stop_patience", "condition"):
        assert table[name].tolist() == written[name].tolist()
    assert table["best"].isna().sum() == n
