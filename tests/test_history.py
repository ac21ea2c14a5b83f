import json

import numpy as np
import pandas as pd
import pytest

from boxest import BoxRegressor, history


@pytest.fixture(scope="module")
def fitted(small_data):
    X, y = small_data
    regressor = BoxRegressor.paper(epochs=2, random_state=3, plateau_patience=None)
    return regressor.fit(X[:400], y[:400], validation_data=(X[400:], y[400:]))


@pytest.fixture
def run(fitted, tmp_path):
    history.write(tmp_path / "run", fitted)
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
    assert about["parameters"]["loss"] == "inclusive_iou"
    assert set(about["seconds"]) == {"import", "data", "compile", "train", "evaluation"}
    assert about["runtime"]["device"] == "cpu"


def test_collect_makes_two_tidy_tables(run, fitted, tmp_path):
    other = tmp_path / "other"
    fitted.batch_size, batch_size = 4, fitted.batch_size
    history.write(other, fitted)
    fitted.batch_size = batch_size
    histories, runs = history.collect([run, other])
    assert list(histories["batch_size"]) == [4, 4, 16, 16]
    assert list(histories["epoch"]) == [1, 2, 1, 2]
    assert list(runs["batch_size"]) == [4, 16]
    assert runs["train_loss"][0] == fitted.history_[-1]["train_loss"]
    assert runs["train_seconds"][0] == pytest.approx(histories["train_seconds"][:2].sum())


def test_diverged_run_has_a_history_and_no_final_loss(small_data, tmp_path):
    regressor = BoxRegressor.paper(loss="mse", learning_rate=1e30, epochs=5, random_state=0)
    regressor.fit(*small_data)
    assert regressor.diverged_
    history.write(tmp_path, regressor, tested=tuple(part[:5] for part in small_data))
    assert len(pd.read_csv(tmp_path / "predictions.csv")) == 5
    about, table = history.read(tmp_path)
    assert about["diverged"] is True
    assert len(table) == regressor.n_iter_ < 5
    _, runs = history.collect([tmp_path])
    assert runs[list(history.LOSSES)].isna().all(axis=None)


def test_run_that_is_tested_has_predictions(fitted, small_data, tmp_path):
    X, y = small_data
    history.write(tmp_path, fitted, tested=(X[:20], y[:20]))
    table = pd.read_csv(tmp_path / "predictions.csv")
    corners = [f"predicted_{corner}" for corner in ("x1", "y1", "x2", "y2")]
    np.testing.assert_allclose(table[corners], fitted.predict(X[:20]), rtol=1e-12)
    assert 1 - table["iou_loss"].mean() == pytest.approx(fitted.score(X[:20], y[:20]))
    _, runs = history.collect([tmp_path], parameters=["network", "n_parameters"])
    assert runs[["network", "n_parameters"]].to_numpy().tolist() == [["paper", 1296]]
    with pytest.raises(history.RunError, match="no seconds_of_nothing among its parameters"):
        history.collect([tmp_path], parameters=["network", "seconds_of_nothing"])


def test_without_validation_its_columns_are_empty(small_data, tmp_path):
    history.write(
        tmp_path,
        BoxRegressor.paper(epochs=1, random_state=0, validation_fraction=0).fit(*small_data),
    )
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
            "should have the epochs 1, 2, 3, ..., and has others",
        ),
        (lambda d: replace(d, "\n2,", "\nx,"), "could not convert string to float: 'x'"),
        (lambda d: replace(d, ",25,", ",,"), "does not hold a finished run"),
        (
            lambda d: replace(d, read_loss(d), "nan"),
            "losses that are no numbers, but the run did not diverge",
        ),
    ],
)
def test_damaged_run_is_named(run, spoil, message):
    spoil(run)
    with pytest.raises(history.RunError, match=message) as error:
        history.read(run)
    assert str(run) in str(error.value)
    assert error.value.path == run
