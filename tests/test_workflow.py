"""The workflow from outside: a copy of the repository, the real Snakemake, real jobs."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
import yaml
from conftest import ROOT
from PIL import Image

from boxest import BoxRegressor, history, shards

GRID = {"batch_size": [16, 64], "learning_rate": [0.01, 0.1], "seed": [0, 1]}
FIGURES = [
    "appendix_a",
    "comparison",
    "fig1_dataset",
    "fig2_network",
    "fig3_geometric",
    "fig3_validation_losses",
    "fig4_training_time",
    "fig5_predictions",
    "fig6_error_by_side",
    "fig7_error_by_size",
    "fig8_final_losses",
    "loss_against_updates",
    "time_fit",
]
TABLES = ["best", "comparison", "fig8", "histories", "runs", "scaling_fit", "time", "time_fit"]


def snakemake(directory, *arguments):
    return subprocess.run(
        [sys.executable, "-m", "snakemake", *arguments],
        cwd=directory,
        capture_output=True,
        text=True,
        check=False,
    )


def clone(target: Path) -> Path:
    """Copy the files that git knows, or would on the next `git add`."""
    listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    names = subprocess.run(listed, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, names.split("\0")):
        if (ROOT / name).exists():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target / name)
    return target


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """The tiny study, run from nothing; with what Snakemake printed."""
    directory = clone(tmp_path_factory.mktemp("study") / "boxest")
    done = snakemake(directory, "--cores", "2", "--configfile", "config/tiny.yaml")
    assert done.returncode == 0, done.stderr
    return directory / "results" / "tiny", done.stderr


@pytest.fixture
def repository(tmp_path):
    return clone(tmp_path / "boxest")


def dry_run(repository, overlay):
    path = repository / "overlay.yaml"
    path.write_text(overlay if isinstance(overlay, str) else yaml.safe_dump(overlay))
    return snakemake(repository, "-n", "--configfile", path.name)


# --- a whole study ---------------------------------------------------------------------------


def test_every_figure_is_there_as_png_and_pdf(study):
    results, _ = study
    assert sorted(path.stem for path in (results / "figures").glob("*.png")) == FIGURES
    assert sorted(path.stem for path in (results / "figures").glob("*.pdf")) == FIGURES
    for name in FIGURES:
        with Image.open(results / "figures" / f"{name}.png") as image:
            assert min(image.size) >= 400
            assert len(np.unique(np.asarray(image.convert("L")))) > 10
        assert (results / "figures" / f"{name}.pdf").read_bytes()[:5] == b"%PDF-"


def test_histories_have_a_row_per_run_and_epoch(study):
    table = pd.read_csv(study[0] / "tables" / "histories.csv")
    assert list(table.columns) == [*history.RUN, *history.EPOCH_COLUMNS]
    assert len(table) == 2 * 2 * 2 * 3
    assert table.groupby(list(history.RUN)).size().eq(3).all()
    losses = table[list(history.LOSSES)]
    assert losses.ge(0).all(axis=None)
    assert losses.le(1).all(axis=None)
    assert (table["train_inclusive_iou_loss"] <= table["train_iou_loss"]).all()
    assert table["train_seconds"].gt(0).all()


def test_tables_have_a_row_per_run_cell_and_seed(study):
    tables = {path.stem: pd.read_csv(path) for path in (study[0] / "tables").glob("*.csv")}
    assert sorted(tables) == TABLES
    assert {name: len(tables[name]) for name in TABLES} == {
        "best": 2,
        "comparison": 4,
        "fig8": 4,
        "histories": 24,
        "runs": 8,
        "scaling_fit": 2,
        "time": 4,
        "time_fit": 1,
    }
    assert tables["fig8"]["runs"].eq(2).all()
    # 96 training images: 6 updates per epoch of batch size 16, 2 of 64, and 3 epochs.
    updates = tables["runs"].groupby("batch_size")["updates"].unique()
    assert {size: list(values) for size, values in updates.items()} == {16: [18], 64: [6]}


def test_tables_agree_with_the_histories_of_the_runs(study):
    results, _ = study
    cells = pd.read_csv(results / "tables" / "fig8.csv").set_index(["batch_size", "learning_rate"])
    runs = [
        history.read(results / f"runs/batch_size~16/learning_rate~0.01/seed~{seed}")[1]
        for seed in GRID["seed"]
    ]
    expected = np.mean([run["validation_loss"].iloc[-1] for run in runs])
    assert cells.loc[(16, 0.01), "validation_loss"] == pytest.approx(expected)


def test_shards_hold_the_images_that_the_config_asks_for(study):
    files = sorted((study[0] / "data").iterdir())
    assert [path.name for path in files] == [
        "test-000.h5",
        "train-000.h5",
        "train-001.h5",
        "train-002.h5",
        "validation-000.h5",
    ]
    assert [shards.read(path).images.shape for path in files] == [
        (12, 32, 32),
        (40, 32, 32),
        (40, 32, 32),
        (16, 32, 32),
        (12, 32, 32),
    ]
    with h5py.File(files[0]) as file:
        assert file.attrs["max_side"] == 32


def test_best_parametrization_is_tried_on_the_test_set(study):
    results, _ = study
    table = pd.read_csv(results / "tables" / "best.csv")
    images, boxes = shards.load([results / "data" / "test-000.h5"])
    for row in table.itertuples():
        run = results / "best" / f"seed~{row.seed}"
        regressor = BoxRegressor.load(run / "model.boxest")
        assert regressor.random_state == row.seed
        assert row.test_iou_loss == pytest.approx(1 - regressor.score(images, boxes), abs=1e-6)
        assert len(pd.read_csv(run / "predictions.csv")) == 12
    assert (table["test_inclusive_iou_loss"] < table["test_iou_loss"]).all()


def test_every_job_has_a_log_and_a_benchmark(study):
    results, _ = study
    jobs = {
        path.relative_to(results / "logs").with_suffix("") for path in results.glob("logs/**/*.log")
    }
    timed = {
        path.relative_to(results / "benchmarks").with_suffix("")
        for path in results.glob("benchmarks/**/*.tsv")
    }
    assert jobs == timed
    # 5 shards, 8 runs, 2 best runs and their predictions, 8 jobs for tables and figures.
    assert len(jobs) == 5 + 8 + 2 + 2 + 8
    log = (results / "logs/train/batch_size~16/learning_rate~0.01/seed~0.log").read_text()
    assert re.findall(r"^epoch +(\d+)  learning rate 0.01", log, re.MULTILINE) == ["1", "2", "3"]


def test_profile_is_used(study):
    assert "Using workflow specific profile profiles/default" in study[1]


def test_output_is_calm(study):
    """No warning of a library reaches the terminal or a log."""
    results, printed = study
    logs = [path.read_text() for path in results.glob("logs/**/*.log")]
    for text in [printed, *logs]:
        assert not re.search(r"warning|deprecat|traceback|oneDNN|cuda", text, re.IGNORECASE), text


def test_second_start_has_nothing_to_do(study):
    done = snakemake(study[0].parent.parent, "--cores", "1", "--configfile", "config/tiny.yaml")
    assert "Nothing to be done" in done.stdout + done.stderr


def test_report_holds_every_figure_and_table(study):
    repository = study[0].parent.parent
    done = snakemake(
        repository, "--configfile", "config/tiny.yaml", "--report", "results/tiny/report.html"
    )
    assert done.returncode == 0, done.stderr
    report = (study[0] / "report.html").read_text()
    for name in FIGURES:
        assert f"{name}.png" in report
    for name in TABLES:
        assert f"{name}.csv" in report
    assert "{{" not in re.sub(r"<script.*?</script>", "", report, flags=re.DOTALL)


@pytest.mark.slow
def test_study_is_reproducible_to_the_last_bit(study, tmp_path):
    """By other jobs, too: here each trains two runs in turn."""
    repository = clone(tmp_path / "again")
    (repository / "several.yaml").write_text("training: {runs_per_job: 2}")
    target = "results/tiny/tables/histories.csv"
    configs = ["--configfile", "config/tiny.yaml", "several.yaml"]
    done = snakemake(repository, "--cores", "2", *configs, "--", target)
    assert done.returncode == 0, done.stderr
    assert len(list(repository.glob("results/tiny/logs/train/**/*.log"))) == 4
    first, second = (
        pd.read_csv(path).drop(columns=["train_seconds", "evaluation_seconds"])
        for path in (study[0] / "tables" / "histories.csv", repository / target)
    )
    pd.testing.assert_frame_equal(first, second, check_exact=True)
    for name in ("train-000.h5", "validation-000.h5"):
        again = repository / "results" / "tiny" / "data" / name
        assert (study[0] / "data" / name).read_bytes() == again.read_bytes()


# --- the full study, planned -----------------------------------------------------------------


def test_full_study_has_one_job_per_run(repository):
    before = time.perf_counter()
    done = snakemake(repository, "-n", "--quiet", "rules")
    assert time.perf_counter() - before < 5
    assert done.returncode == 0, done.stderr
    done = snakemake(repository, "-n")
    counts = dict(re.findall(r"^(\w+) +(\d+)$", done.stdout, re.MULTILINE))
    assert {name: int(counts[name]) for name in ("shard", "train", "train_best", "total")} == {
        "shard": 6,
        "train": 240,
        "train_best": 10,
        "total": 275,
    }


def test_snakemake_lint_is_clean(repository):
    done = snakemake(repository, "--lint")
    assert done.returncode == 0, done.stdout + done.stderr


def test_changed_setting_retrains_and_changed_docstring_does_not(study):
    repository = study[0].parent.parent
    module = repository / "boxest" / "training" / "loop.py"
    module.write_text(module.read_text() + "\n# A comment.\n")
    arguments = ["-n", "--quiet", "rules", "--configfile", "config/tiny.yaml"]
    assert "Nothing to be done" in snakemake(repository, *arguments).stdout
    overlay = yaml.safe_load((repository / "config" / "tiny.yaml").read_text())
    overlay["training"]["epochs"] = 4
    (repository / "longer.yaml").write_text(yaml.safe_dump(overlay))
    done = snakemake(repository, *arguments[:-1], "longer.yaml")
    assert re.search(r"^train +8$", done.stdout, re.MULTILINE), done.stdout


# --- bad configurations ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("overlay", "messages"),
    [
        ("grid: {learning_rate: [1e-3]}", ["'1e-3' is not of type 'number'", "write 1.0e-3"]),
        ("grid: {batch_size: [0]}", ["0 is less than the minimum of 1"]),
        ("grid: {batchsize: [4]}", ["'batchsize' was unexpected"]),
        ("images: 10", ["'images' was unexpected"]),
        ("training: {loss: dice}", ["'dice' is not one of ['inclusive_iou'"]),
        ("training: {epochs: 1.5}", ["1.5 is not of type 'integer'"]),
        ("network: {name: vgg}", ["'vgg' is not one of ['paper']"]),
        ("data: {image_size: 64}", ["max_side <= data.image_size; got 5, 128 and 64"]),
        ("data: {split: [0.5, 0.5, 0.5]}", ["sum to 1; got [0.5, 0.5, 0.5]"]),
        ("data: {image_size: 7}", ["7 is less than the minimum of 8"]),
        ("results: '/tmp/a b'", ["'/tmp/a b' does not match"]),
        ("results: /", ["'/' does not match"]),
        ("training: {optimizer: adamm}", ["'adamm' is not one of ['sgd', 'adam'"]),
        ("grid: {batch_size: [16.0]}", ["a whole number, got 16.0; write 16."]),
        ("grid: {learning_rate: [.inf]}", ["a finite number above 0, got inf"]),
        ("data: {image_size: 2000, shard_size: 2000}", ["Make shard_size smaller"]),
    ],
)
def test_bad_configuration_is_named_before_any_job(repository, overlay, messages):
    done = dry_run(repository, overlay)
    assert done.returncode == 1
    for message in messages:
        assert message in re.sub(r"'\n +'", "", done.stdout + done.stderr)
    assert "Traceback" not in done.stdout + done.stderr
    assert not (repository / "results").exists()


def test_every_key_has_a_description_and_a_place_in_the_config():
    schema = yaml.safe_load((ROOT / "workflow/schemas/config.schema.yaml").read_text())
    config = yaml.safe_load((ROOT / "config/config.yaml").read_text())

    def check(schema, config):
        assert schema["additionalProperties"] is False
        assert set(schema["properties"]) == set(schema["required"]) == set(config)
        for name, part in schema["properties"].items():
            if part.get("type") == "object":
                check(part, config[name])
            else:
                assert part["description"].endswith(".")

    check(schema, config)


# --- faults ----------------------------------------------------------------------------------


@pytest.mark.fault
@pytest.mark.slow
def test_study_killed_in_a_training_goes_on_when_it_is_started_again(repository):
    command = [
        sys.executable,
        "-m",
        "snakemake",
        "--cores",
        "1",
        "--configfile",
        "config/tiny.yaml",
    ]
    process = subprocess.Popen(
        command, cwd=repository, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        start_new_session=True,
    )  # fmt: skip
    logs = repository / "results/tiny/logs"
    while not list(logs.glob("train*/**/*.log")):
        assert process.poll() is None
        time.sleep(0.1)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert snakemake(repository, *command[3:], "--unlock").returncode == 0
    done = snakemake(repository, *command[3:], "--", "results/tiny/tables/runs.csv")
    assert done.returncode == 0, done.stderr
    assert len(pd.read_csv(repository / "results/tiny/tables/runs.csv")) == 8


@pytest.mark.fault
def test_damaged_shard_is_named_and_a_new_one_mends_it(repository):
    common = ["--cores", "1", "--configfile", "config/tiny.yaml", "--"]
    run = "results/tiny/runs/batch_size~64/learning_rate~0.1/seed~0/history.csv"
    shard = repository / "results/tiny/data/train-001.h5"
    assert snakemake(repository, *common, str(shard.relative_to(repository))).returncode == 0
    content = bytearray(shard.read_bytes())
    shard.write_bytes(content[: len(content) // 2])
    done = snakemake(repository, *common, run)
    assert done.returncode == 1
    log = repository / "results/tiny/logs/train/batch_size~64/learning_rate~0.1/seed~0.log"
    for text in (done.stderr, log.read_text()):
        assert "train-001.h5" in text
        assert "run snakemake again" in text.lower()
    assert not (repository / run).exists()
    shard.unlink()
    assert snakemake(repository, *common, run).returncode == 0
    assert (repository / run).exists()
