"""The benchmarks: that they run, say what is missing, and calculate what they say."""

import json
import os
import subprocess
import sys

import pytest
from conftest import ROOT


def run(name, *arguments):
    command = [sys.executable, str(ROOT / "benchmarks" / name), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def benchmark_modules(monkeypatch):
    """Return the modules `training` and `peers_training.processes`."""
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    import training
    from peers_training import processes

    yield training, processes
    for name in [
        name for name in sys.modules if name.split(".")[0] in ("training", "peers_training")
    ]:
        del sys.modules[name]


@pytest.mark.slow
def test_training_measures_all_contenders_or_says_what_is_missing(tmp_path):
    contenders = ["keras-default", "pytorch", "boxest-tensorflow"]
    where = ["--json", tmp_path / "out.json", "--markdown", tmp_path / "out.md"]
    text = run("training.py", "--quick", "--modes", "machine", "--contenders", *contenders, *where)
    assert (tmp_path / "out.md").read_text() == text
    result = json.loads((tmp_path / "out.json").read_text())
    assert [row["contender"] for row in result["rows"]] == contenders
    for row in result["rows"]:
        assert row["status"] == ("ok" if row["library"] else "not installed")
        if row["status"] == "ok":
            assert row["plausible"]
            median, low, high = row["images_per_second"]
            assert 0 < low <= median <= high
    assert "(e) boxest on TensorFlow | " in text


@pytest.mark.slow
def test_study_measures_both_ways(tmp_path):
    run("study.py", "--quick", "--json", tmp_path / "out.json")
    result = json.loads((tmp_path / "out.json").read_text())
    for way in ("snakemake", "paper"):
        assert 0 < result[way]["seconds"]["train"] < result[way]["wall_seconds"]
        losses = result[way]["validation_loss"]
        assert list(losses) == ["16, 0.1", "64, 0.1"]
        assert all(0 < loss < 1 for cell in losses.values() for loss in cell)
    assert result["ratio"] > 0


@pytest.mark.slow
@pytest.mark.jax
def test_many_runs_are_measured_beside_runs_in_turn(tmp_path):
    pytest.importorskip("jax")
    text = run("many.py", "--quick", "--json", tmp_path / "out.json")
    result = json.loads((tmp_path / "out.json").read_text())
    assert [row["batch"] for row in result["rows"]] == [4, 16]
    for row in result["rows"]:
        assert row["plausible"]
        assert list(row["boxest-stacked"]) == ["1", "3"]
        rates = [*row["boxest-stacked"].values(), row["boxest-jax"], row["keras-default"]]
        assert all(rate > 0 for rate in rates)
    rate = result["rows"][0]["boxest-stacked"]["3"]
    assert f"| {rate:,.0f} ({rate / result['rows'][0]['boxest-jax']:.2f}, " in text
    table = run("many.py", "--quick", "--study")
    assert "4 runs of 2 epochs on cpu: " in table


def test_a_contender_without_its_library_is_reported(benchmark_modules, monkeypatch):
    training, _ = benchmark_modules
    missing = training.CONTENDERS["pytorch"]._replace(needs=("no_such_library",))
    monkeypatch.setitem(training.CONTENDERS, "pytorch", missing)
    row = training.measure("pytorch", "one", 4, training.parse([]))
    assert row["status"] == "not installed"


def test_a_process_that_fails_is_reported_with_its_last_words(benchmark_modules):
    _, processes = benchmark_modules
    with pytest.raises(RuntimeError, match=r"exit status 1: TypeError: .*missing"):
        processes.run("keras-default", {"threads": 1}, 2)


def test_rates_of_processes_are_added_epoch_by_epoch(benchmark_modules):
    training, _ = benchmark_modules
    process = {"seconds": [1.0, 2.0, 4.0], "first_epoch_loss": 0.5, "settings": ""}
    row = training.summary([process, process], batch=40, n_images=100)
    assert row["images_per_second"] == [100.0, 50.0, 200.0]
    assert row["microseconds_per_step"] == [pytest.approx(s * 1e6 / 3) for s in (2, 1, 4)]


def test_a_loss_unlike_the_others_is_not_plausible(benchmark_modules):
    training, _ = benchmark_modules
    losses = [0.5, 0.51, 0.6]
    rows = [{"batch": 4, "status": "ok", "first_epoch_loss": loss} for loss in losses]
    training._judge(rows)
    assert [row["plausible"] for row in rows] == [True, True, False]


@pytest.mark.slow
def test_streaming_compares_both_and_measures_memory():
    text = run("streaming.py", "--images", 1500, "--epochs", 2)
    rows = [line.split("|") for line in text.splitlines() if line.startswith("| ") and "," in line]
    assert [row[1].strip() for row in rows] == ["resident", "streamed"]
    assert all(0.2 < float(row[4]) < 4 for row in rows)
    assert text.splitlines()[-1].startswith("streamed / resident: ")
