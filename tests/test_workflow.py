"""The workflow from outside: a copy of the repository, the real Snakemake, real jobs."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time

import h5py
import numpy as np
import pandas as pd
import pytest
import yaml
from conftest import ROOT
from PIL import Image
from studies import TINY, clone, made, snakemake

from boxest import BoxRegressor, history, shards, synthetic

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
    "scaling_residuals",
    "seconds_against_loss",
    "time_fit",
]
TABLES = [
    "best",
    "claims",
    "claims_geometric",
    "comparison",
    "cost",
    "distances",
    "fig8",
    "histories",
    "patience",
    "recommendation",
    "runs",
    "scaling_fit",
    "scaling_residuals",
    "time",
    "time_fit",
]


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
    assert set(tables["claims"]["claim"]) == set(range(1, 11))
    assert set(tables["claims_geometric"]["claim"]) == {1, 2, 3, 4, 5, 8, 9, 10}
    counted = [name for name in TABLES if not name.startswith("claims")]
    assert {name: len(tables[name]) for name in counted} == {
        "best": 2,
        "comparison": 4,
        "cost": 4,
        "distances": 3,
        "fig8": 4,
        "histories": 24,
        "patience": 12,
        "recommendation": 1,
        "runs": 8,
        "scaling_fit": 2,
        "scaling_residuals": 4,
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
    # 5 shards, 8 runs, 2 best runs and their predictions, 11 jobs for tables, figures and pages.
    assert len(jobs) == 5 + 8 + 2 + 2 + 11
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


def test_second_start_has_nothing_to_do(study_copy):
    done = snakemake(study_copy, "--cores", "1", *TINY)
    assert "Nothing to be done" in done.stdout + done.stderr


def test_report_holds_every_figure_and_table(study_copy):
    done = snakemake(study_copy, *TINY, "--report", "report.html")
    assert done.returncode == 0, done.stderr
    report = (study_copy / "report.html").read_text()
    for name in FIGURES:
        assert f"{name}.png" in report
    for name in TABLES:
        assert f"{name}.html" in report
    assert "findings.html" in report
    # A caption with a number of this study in it.
    assert "Of 8 runs, 0 stopped early and 0 diverged" in " ".join(report.split())
    assert "{{" not in re.sub(r"<script.*?</script>", "", report, flags=re.DOTALL)


def test_findings_say_what_kind_of_study_it_is(study):
    results, _ = study
    page = (results / "findings.md").read_text()
    assert page.startswith("# Findings\n")
    assert "not the paper's study run whole" in page
    assert "ours: epochs 3, images 120, px 32, cells 4, seeds 2" in page
    assert page.count("**undecided**") > 20
    summary = json.loads((results / "summary.json").read_text())
    assert summary["numbers"]["runs"] == 8
    assert summary["config"]["data"]["images"] == 120


NETWORKS = ["paper", "profile"]
COMBINATIONS = {
    "results": "results/architectures",
    "data": {"shard_size": 200},
    "architectures": {
        "network": NETWORKS,
        "optimizer": ["adam"],
        "batch_size": 16,
        "epochs": 2,
        "conditions": {
            "small_images": {
                "image_size": 16,
                "box_law": {"max_side": 16},
                "scene": {"noise": 0.1},
            }
        },
    },
}


def check_architectures(repository):
    """Look at what the study of architectures has left."""
    results = repository / "results" / "architectures"
    names = ["architecture_runs", "architectures", "conditions"]
    tables = {name: pd.read_csv(results / "tables" / f"{name}.csv") for name in names}
    assert len(tables["architecture_runs"]) == len(tables["architectures"]) == 2 * len(NETWORKS)
    assert tables["conditions"]["condition"].tolist() == ["clean", "small_images"]
    assert tables["conditions"]["data"].tolist()[1] == (
        "box_law.max_side 16, image_size 16, scene.noise 0.1"
    )
    for name in ("architectures", "architectures_by_side", "architectures_by_size", "conditions"):
        assert (results / "figures" / f"{name}.png").exists()
        assert "{" not in (results / "captions" / f"{name}.rst").read_text()
    for row in tables["architecture_runs"].itertuples():
        directory = results / "architectures" / f"condition~{row.condition}"
        directory /= f"network~{row.network}/loss~giou/optimizer~adam/seed~0"
        run, _ = history.read(directory)
        assert (run["parameters"]["network"], run["parameters"]["optimizer"]) == (
            row.network,
            "adam",
        )
        assert (run["planned_epochs"], run["parameters"]["plateau_patience"]) == (2, 2)
        predictions = pd.read_csv(directory / "predictions.csv")
        assert row.iou_loss == pytest.approx(predictions["iou_loss"].mean())
        assert predictions["width"].max() <= (16 if row.condition == "small_images" else 32)
        assert len(predictions) == row.boxes == 12
    for condition, size in (("clean", 32), ("small_images", 16)):
        shard = shards.read(results / "data" / condition / "test-000.h5")
        assert shard.images.shape == (12, size, size)
        assert (len(np.unique(shard.images)) > 2) == (condition == "small_images")
    report = (results / "report.html").read_text()
    assert "architectures.png" in report
    assert "conditions.html" in report


@pytest.mark.slow
def test_variants_times_rates_architectures_and_reference(study, tmp_path):
    """Variants, networks, times of another study, rates found, told of in committed results."""
    repository = tmp_path / "boxest"
    shutil.copytree(study[0].parent.parent, repository, ignore=shutil.ignore_patterns(".snakemake"))
    overlay = {
        "results": "results/variants",
        "variants": {"loss": ["inclusive_iou", "giou"], "cells": [[16, 0.1], [64, 0.01]]},
    }
    (repository / "variants.yaml").write_text(yaml.safe_dump(overlay))
    tiny = ["--configfile", "config/tiny.yaml"]
    done = snakemake(repository, "--cores", "2", *tiny, "variants.yaml", "--", "forensics")
    assert done.returncode == 0, done.stderr
    results = repository / "results" / "variants"
    ranking = pd.read_csv(results / "tables" / "variants.csv")
    assert ranking["rank"].tolist() == [1, 2, 3, 4]
    assert ranking["distance"].is_monotonic_increasing
    assert sorted(set(ranking["plateau_patience"])) == ["2", "never"]
    assert len(pd.read_csv(results / "tables" / "variant_cells.csv")) == 8
    assert len(list(results.glob("logs/train_variant/**/*.log"))) == 4
    runs = [json.loads(path.read_text()) for path in results.glob("variants/**/run.json")]
    assert {run["parameters"]["loss"] for run in runs} == {"inclusive_iou", "giou"}
    assert {run["parameters"]["plateau_patience"] for run in runs} == {None, 2}

    (repository / "architectures.yaml").write_text(yaml.safe_dump(COMBINATIONS))
    configs = [*tiny, "architectures.yaml"]
    done = snakemake(repository, "--cores", "2", *configs, "--", "architectures")
    assert done.returncode == 0, done.stderr
    report = "results/architectures/report.html"
    done = snakemake(repository, *configs, "--report", report, "--", "architectures")
    assert done.returncode == 0, done.stderr
    check_architectures(repository)

    shutil.copytree(repository / "results" / "tiny", repository / "results" / "timing")
    others = {"times": ["results/timing"], "forensics": ["results/variants"]}
    others |= {name: ["results/architectures"] for name in ("architectures", "harder")}
    rates = {"seeds": 1, "epochs": 1, "start": 0.1}
    others = {"findings": others | {"rates": True}, "rates": rates}
    (repository / "others.yaml").write_text(yaml.safe_dump(others))
    done = snakemake(repository, "--cores", "2", *tiny, "others.yaml", "--", "all", "reference")
    assert done.returncode == 0, done.stderr
    page = (repository / "docs" / "findings.md").read_text()
    headings = ("What the paper leaves open", "A learning rate from short trials")
    for heading in (*headings, "Other architectures", "Harder data"):
        assert f"## {heading}\n" in page
    found = pd.read_csv(repository / "results" / "tiny" / "tables" / "found_rates.csv")
    assert found[["batch_size", "method", "seed"]].to_numpy().tolist() == [
        [size, method, 0] for size in (16, 64) for method in ("magnitudes", "range_test")
    ]
    assert set(found["best_rate"]) <= {0.01, 0.1}
    assert found["found_rate"].between(1e-6, 1).all()
    links = re.findall(r"\]\((\.\./results/reference/[^)]+)\)", page)
    # The times of the study are those of timing, and so is its figure.
    assert {link.split("/")[3] for link in links} == {"tiny", "variants", "architectures"}
    assert all((repository / "docs" / link).exists() for link in links)
    reference = repository / "results" / "reference"
    names = {path.relative_to(reference).parts[0] for path in reference.iterdir()}
    studies = {"tiny", "timing", "variants", "architectures"}
    assert names == {"README.md", "provenance.json", *studies}
    assert {path.suffix for path in (reference / "tiny").glob("**/*.*")} == {
        ".csv",
        ".json",
        ".png",
        ".rst",
    }
    assert "| tiny | 10 |" in (reference / "README.md").read_text()


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


@pytest.mark.slow
@pytest.mark.jax
def test_a_job_per_batch_size_writes_the_same_runs(tmp_path):
    pytest.importorskip("jax")
    repository = clone(tmp_path / "stacked")
    (repository / "stacked.yaml").write_text("training: {fan_out: batch_size}")
    figure, histories = "figures/fig4_training_time.png", "tables/histories.csv"
    configs = ["--cores", "2", "--configfile", "config/tiny.yaml", "stacked.yaml", "--"]
    done = snakemake(
        repository, *configs, *(f"results/tiny/{name}" for name in (figure, histories))
    )
    assert done.returncode == 0, done.stderr
    results = repository / "results" / "tiny"
    logs = sorted(path.name for path in results.glob("logs/train/**/*.log"))
    assert logs == ["batch_size~16.log", "batch_size~64.log"]
    log = (results / "logs/train/batch_size~16.log").read_text()
    assert "4 of 4 runs" in log
    assert log.count("device: cpu\n") == 1
    for path in results.glob("runs/**/run.json"):
        run, _ = history.read(path.parent)
        values = [f"{name}~{run[name]}" for name in history.RUN]
        assert path.parent.relative_to(results / "runs").parts == tuple(values)
        assert (run["runtime"]["backend"], run["runtime"]["engine"]) == ("jax", "stacked")
        assert run["runtime"]["runs_together"] == 4
    alone = clone(tmp_path / "alone")
    target = f"results/tiny/{histories}"
    done = snakemake(alone, "--cores", "2", *TINY, "--", target, KERAS_BACKEND="jax")
    assert done.returncode == 0, done.stderr
    seconds = ["train_seconds", "evaluation_seconds"]
    first, second = (
        pd.read_csv(path / target).drop(columns=seconds) for path in (alone, repository)
    )
    pd.testing.assert_frame_equal(first, second, rtol=1e-4)
    assert pd.read_csv(results / "tables" / "time.csv")["seconds"].isna().all()
    assert not list(results.glob("state/*"))


# --- the full study, planned -----------------------------------------------------------------


def test_full_study_has_one_job_per_run(repository):
    done = snakemake(repository, "-n", "--quiet", "rules")
    assert done.returncode == 0, done.stderr
    counts = dict(re.findall(r"^(\w+) +(\d+)$", done.stdout, re.MULTILINE))
    assert {name: int(counts[name]) for name in ("shard", "train", "train_best", "total")} == {
        "shard": 6,
        "train": 240,
        "train_best": 10,
        "total": 278,
    }


def test_full_study_can_have_one_job_per_batch_size(repository):
    done = dry_run(repository, "training: {fan_out: batch_size}")
    counts = dict(re.findall(r"^(\w+) +(\d+)$", done.stdout, re.MULTILINE))
    assert (counts["train_stacked"], counts["train_best"]) == ("6", "10"), done.stdout
    assert "train" not in counts


@pytest.mark.parametrize(("name", "combinations"), [("architectures", 36), ("harder", 36)])
def test_studies_of_architectures_have_one_job_per_combination(repository, name, combinations):
    config = f"config/{name}.yaml"
    done = snakemake(repository, "-n", "--configfile", config, "--", "architectures")
    counts = dict(re.findall(r"^(\w+) +(\d+)$", done.stdout, re.MULTILINE))
    assert counts["train_combination"] == str(combinations), done.stdout


def test_snakemake_lint_is_clean(repository):
    done = snakemake(repository, "--lint")
    assert done.returncode == 0, done.stdout + done.stderr


def test_changed_setting_retrains_and_changed_docstring_does_not(study_copy):
    repository = study_copy
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
        ("network: {name: vgg}", ["'vgg' is not one of ['paper', 'profile', 'roi', 'marginal']"]),
        (
            "network: {name: profile, output_activation: tanh}",
            ["network.output_activation must be linear for the network profile; got 'tanh'"],
        ),
        ("data: {image_size: 64}", ["max_side <= data.image_size; got 5, 128 and 64"]),
        ("data: {split: [0.5, 0.5, 0.5]}", ["sum to 1; got [0.5, 0.5, 0.5]"]),
        ("data: {image_size: 7}", ["7 is less than the minimum of 8"]),
        ("results: '/tmp/a b'", ["'/tmp/a b' does not match"]),
        ("results: /", ["'/' does not match"]),
        ("training: {optimizer: adamm}", ["'adamm' is not one of ['sgd', 'momentum'"]),
        (
            "grid: {batch_size: [16.0]}",
            ["grid.batch_size takes whole numbers, got 16.0; write 16."],
        ),
        ("grid: {learning_rate: [.inf]}", ["inf is greater than the maximum of 1e+38"]),
        ("grid: {learning_rate: [.nan]}", ["grid.learning_rate takes finite numbers, got nan"]),
        ("variants: {cells: [[16]]}", ["[16] is too short"]),
        ("variants: {optimizer: [sgd, sgdm]}", ["'sgdm' is not one of ['sgd', 'momentum'"]),
        ("findings: {times: [/]}", ["'/' does not match"]),
        ("variants: {cells: [[16.0, 0.1]]}", ["variants.cells: batch_size takes whole numbers"]),
        ("data: {image_size: 2000, shard_size: 2000}", ["Make shard_size smaller"]),
        (
            "architectures: {conditions: {small: {imagesize: 64}}}",
            ["config: architectures.conditions.small: ", "'imagesize' was unexpected"],
        ),
        ("architectures: {conditions: {'a b': {}}}", ["'a b' does not match"]),
        ("architectures: {optimizer: [lion]}", ["architectures.optimizer has 'lion', and there"]),
    ],
)
def test_bad_configuration_is_named_before_any_job(repository, overlay, messages):
    done = dry_run(repository, overlay)
    assert done.returncode == 1
    for message in messages:
        assert message in re.sub(r"'\n +'", "", done.stdout + done.stderr)
    assert "Traceback" not in done.stdout + done.stderr
    assert made(repository) == set()


def test_every_key_has_a_description_and_a_place_in_the_config():
    schema = yaml.safe_load((ROOT / "workflow/schemas/config.schema.yaml").read_text())
    config = yaml.safe_load((ROOT / "config/config.yaml").read_text())

    def check(schema, config):
        assert schema["additionalProperties"] is False
        assert set(schema["properties"]) == set(schema["required"]) == set(config)
        for name, part in schema["properties"].items():
            if "properties" in part:
                check(part, config[name])
            else:
                assert part["description"].endswith(".")

    check(schema, config)


def test_a_scene_reaches_the_shards_and_another_one_makes_them_again(repository):
    shard = repository / "results/tiny/data/test-000.h5"

    def make(scene, *options):
        (repository / "scene.yaml").write_text(f"data: {{scene: {scene}}}")
        files = ["--configfile", "config/tiny.yaml", "scene.yaml"]
        return snakemake(
            repository, "--cores", "1", *files, *options, "--", str(shard.relative_to(repository))
        )

    assert make("{noise: 0.1, discs: 2}").returncode == 0
    noisy = shards.read(shard)
    assert noisy.meta.scene == synthetic.Scene(noise=0.1, discs=2)
    assert len(np.unique(noisy.images)) > 100
    assert "Params have changed" in make("{noise: 0.1}", "--dry-run").stdout
    assert "Nothing to be done" in make("{noise: 0.1, discs: 2}", "--dry-run").stdout
    assert make("{}").returncode == 0
    assert shards.read(shard).meta.scene == synthetic.CLEAN


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
