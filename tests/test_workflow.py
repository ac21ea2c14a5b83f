"""The workflow from outside: a copy of the repository, the real Snakemake, real jobs."""

import json
import re

import h5py
import numpy as np
import pandas as pd
import pytest
import yaml
from conftest import ROOT
from PIL import Image
from studies import TINY, clone, made, snakemake

from boxest import BoxRegressor, shards, synthetic
from boxest.study import configuration, history, outputs

SCHEMA = configuration.Schema(ROOT / "workflow" / "schemas" / "config.schema.yaml")
PAPER = configuration.read(yaml.safe_load((ROOT / "config" / "config.yaml").read_text()), SCHEMA)
FIGURES = sorted(outputs.made(outputs.FIGURES, PAPER))
TABLES = sorted(outputs.made(outputs.TABLES, PAPER))
# Of a study of 16 px: a second to train.
SMALL = {
    "data": {"images": 60, "image_size": 16, "box_law": {"max_side": 16}},
    "settings": {"epochs": 1},
    "best": None,
}


@pytest.fixture
def repository(tmp_path):
    return clone(tmp_path / "boxest")


def overlay(repository, config, *arguments, name="overlay.yaml"):
    """Start Snakemake in a copy of the repository with an overlay over the tiny study."""
    (repository / name).write_text(config if isinstance(config, str) else yaml.safe_dump(config))
    return snakemake(repository, *TINY, name, *arguments)


def counts(done):
    """Return how many jobs of each rule a dry run plans."""
    return {
        name: int(count) for name, count in re.findall(r"^(\w+) +(\d+)$", done.stdout, re.MULTILINE)
    }


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
    assert tables["claims"]["verdict"].isna().all()
    rows = {"runs": 8, "fig8": 4, "ranking": 4, "cost": 4, "best": 2, "baselines": 2}
    assert {name: len(tables[name]) for name in rows} == rows
    assert tables["fig8"]["runs"].eq(2).all()
    runs = tables["runs"]
    # 96 training images: 6 updates per epoch of batch size 16, 2 of 64, and 3 epochs.
    updates = runs.groupby("batch_size")["updates"].unique()
    assert {size: list(values) for size, values in updates.items()} == {16: [18], 64: [6]}
    # The settings stand in the table.
    settings = ["network", "optimizer", "loss", "output_activation", "stop_patience"]
    assert runs[settings].drop_duplicates().to_numpy().tolist() == [
        ["paper", "sgd", "inclusive_iou", "linear", 5]
    ]


def test_tables_agree_with_the_files_of_the_runs(study):
    results, _ = study
    runs = pd.read_csv(results / "tables" / "runs.csv")
    chosen = runs[(runs["batch_size"] == 16) & (runs["learning_rate"] == 0.01)]
    cells = pd.read_csv(results / "tables" / "fig8.csv").set_index(["batch_size", "learning_rate"])
    losses = [
        history.read(results / f"runs/batch_size~16/learning_rate~0.01/seed~{seed}")[1]
        for seed in (0, 1)
    ]
    expected = np.mean([run["validation_loss"].iloc[-1] for run in losses])
    assert cells.loc[(16, 0.01), "validation_loss"] == pytest.approx(expected)
    for row in chosen.itertuples():
        tested = pd.read_csv(results.parent.parent / row.run / "predictions.csv")
        assert row.test_iou_loss == pytest.approx(tested["iou_loss"].mean())


def test_shards_hold_the_images_that_the_config_asks_for(study):
    files = sorted((study[0] / "data").iterdir())
    assert [path.name for path in files] == ["test-000.h5", "train-000.h5", "validation-000.h5"]
    shapes = [shards.read(path).images.shape for path in files]
    assert shapes == [(12, 32, 32), (96, 32, 32), (12, 32, 32)]
    with h5py.File(files[0]) as file:
        assert file.attrs["max_side"] == 32


def test_the_model_of_the_study_is_the_one_that_was_tested(study):
    results, _ = study
    images, boxes = shards.load([results / "data" / "test-000.h5"])
    regressor = BoxRegressor.load(results / "model.boxest")
    table = pd.read_csv(results / "tables" / "best.csv").set_index("seed")
    score = regressor.score(images, boxes)
    assert table.loc[regressor.random_state, "test_iou_loss"] == pytest.approx(1 - score, abs=1e-6)
    assert (regressor.plateau_patience, regressor.stop_patience) == (2, None)
    assert pd.read_csv(results / "predictions.csv")["seed"].value_counts().to_dict() == {
        0: 12,
        1: 12,
    }
    baselines = pd.read_csv(results / "tables" / "baselines.csv")
    whole = 1 - ((boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])).mean()
    assert baselines["test_iou_loss"][0] == pytest.approx(whole)


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
    # 3 shards, 5 cells, and a job for each of the other rules.
    assert len(jobs) == 3 + 5 + 10
    log = (results / "logs/train/batch_size~16/learning_rate~0.01/seeds~0-1.log").read_text()
    assert (
        re.findall(r"^epoch +(\d+)  learning rate 0.01", log, re.MULTILINE) == ["1", "2", "3"] * 2
    )


def test_output_is_calm(study):
    """The profile is used, and no warning of a library reaches the terminal or a log."""
    results, printed = study
    assert "Using workflow specific profile profiles/default" in printed
    logs = [path.read_text() for path in results.glob("logs/**/*.log")]
    for text in [printed, *logs]:
        assert not re.search(r"warning|deprecat|traceback|oneDNN|cuda", text, re.IGNORECASE), text


def test_findings_begin_with_what_was_run_and_what_came_out(study):
    results, _ = study
    page = (results / "findings.md").read_text()
    assert page.startswith("# Findings\n")
    start, _, _ = page.partition("\nEvery loss is")
    assert "epochs 3, images 120, px 32, box_law.max_side 32" in start
    assert "optimizer sgd" in start
    assert "**The best cell** by its validation loss is batch size " in start
    assert "the mean box of the training set reaches" in start
    # Two seeds decide nothing, which is said once.
    assert "undecided" not in page
    assert page.count("So few seeds decide nothing") == 1
    summary = json.loads((results / "summary.json").read_text())
    assert summary["numbers"]["runs"] == 8
    assert summary["config"]["data"]["images"] == 120


def test_a_study_that_is_there_is_reported_grown_and_not_trained_again(study_copy):
    """Growing trains what is missing; words and figures train nothing."""
    done = snakemake(study_copy, "--cores", "1", *TINY)
    assert "Nothing to be done" in done.stdout + done.stderr

    done = snakemake(study_copy, *TINY, "--report", "report.html")
    assert done.returncode == 0, done.stderr
    report = (study_copy / "report.html").read_text()
    assert all(f"{name}.png" in report for name in FIGURES)
    assert all(f"{name}.html" in report for name in TABLES)
    assert "Of 8 runs, 0 stopped early and 0 diverged" in " ".join(report.split())
    assert "optimizer sgd" in report
    assert "{{" not in re.sub(r"<script.*?</script>", "", report, flags=re.DOTALL)

    module = study_copy / "boxest" / "training" / "loop.py"
    module.write_text(module.read_text() + "\n# A comment.\n")
    script = study_copy / "workflow" / "scripts" / "figures.py"
    script.write_text(script.read_text() + "\n# A comment.\n")
    planned = counts(overlay(study_copy, {}, "-n", "--quiet", "rules"))
    assert planned.pop("figures") == 1
    assert not [name for name in planned if name.startswith("train")]

    grown = [
        ({"grid": {"seeds": 4}}, {"train_seeds_2_to_3": 4}),
        ({"grid": {"batch_size": [16, 64, 256]}}, {"train_seeds_0_to_1": 2}),
        ({"grid": {"optimizer": ["sgd", "adam"]}}, {"train_seeds_0_to_1": 4}),
        ({"settings": {"epochs": 4}}, {"train_seeds_0_to_1": 5}),
    ]
    for config, expected in grown:
        planned = counts(overlay(study_copy, config, "-n", "--quiet", "rules"))
        trained = {name: n for name, n in planned.items() if name.startswith("train")}
        # Seeds 2 and 3 are a block of their own, beside the one that is there.
        assert trained == expected, (config, planned)


# --- other studies ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def axes(tmp_path_factory):
    """Run a study of network × optimizer × condition, with settings from the command line."""
    repository = clone(tmp_path_factory.mktemp("axes") / "boxest")
    config = SMALL | {
        "results": "results/with space",
        "data": SMALL["data"] | {"conditions": {"clean": {}, "noisy": {"scene": {"noise": 0.3}}}},
        "grid": {
            "batch_size": None,
            "learning_rate": None,
            "network": ["paper", "roi"],
            "optimizer": ["sgd", {"name": "sgd", "momentum": 0.5}],
            "condition": ["clean", "noisy"],
            "seeds": 1,
        },
        "execution": {"runs_per_job": 1},
    }
    nested = ("--config", "settings={epochs: 2}")
    done = overlay(repository, config, *nested, "--cores", "2")
    assert done.returncode == 0, done.stderr
    return repository / "results" / "with space"


def test_any_parameter_and_condition_is_an_axis_by_configuration_alone(axes):
    runs = pd.read_csv(axes / "tables" / "runs.csv")
    assert len(runs) == 8
    assert set(runs["optimizer"]) == {"sgd", "name=sgd,momentum=0.5"}
    assert set(runs["planned_epochs"]) == {2}
    run, _ = history.read(axes / "runs/batch_size~16/learning_rate~0.002/condition~clean/seed~0")
    assert run["settings"]["optimizer"] == "sgd"
    ranking = pd.read_csv(axes / "tables" / "ranking.csv")
    assert ranking.groupby("condition")["rank"].apply(list).to_dict() == {
        "clean": [1, 2, 3, 4], "noisy": [1, 2, 3, 4],
    }  # fmt: skip
    clean, noisy = (
        shards.read(axes / "data" / folder / "test-000.h5").images for folder in ("", "noisy")
    )
    assert len(np.unique(clean)) == 2 < len(np.unique(noisy))


def test_what_such_a_study_cannot_have_is_left_out_with_a_sentence(axes):
    assert not (axes / "tables" / "claims.csv").exists()
    figures = {path.stem for path in (axes / "figures").glob("*.png")}
    assert {"test_losses", "fig5_predictions", "appendix_a,optimizer~sgd"} <= figures
    page = (axes / "findings.md").read_text()
    assert "need the paper's network and data" in page
    assert "## Harder data" in page
    assert "nan" not in page


MINE = """
import keras


def small(image_shape, *, n_outputs=4, output_activation="linear", seed=0):
    weights = keras.initializers.GlorotUniform(seed)
    layers = [keras.layers.Flatten(), keras.layers.Dense(n_outputs, kernel_initializer=weights)]
    return keras.Sequential([keras.Input(image_shape), *layers])


def loss(y_true, y_pred):
    return keras.ops.mean(keras.ops.abs(y_true - y_pred), axis=-1)
"""


def test_images_networks_and_losses_of_ones_own(repository):
    """In colour, higher than wide or wider than high, from arrays of any names."""
    rng = np.random.default_rng(0)
    corners = np.sort(rng.uniform(0, 1, (60, 2, 2)), axis=1).reshape(60, 4)
    corners[:, 2:] = np.minimum(corners[:, :2] + 0.1 + corners[:, 2:] / 2, 1)
    pictures = rng.integers(0, 256, (60, 16, 24, 3), np.uint8)
    np.savez(repository / "mine.npz", pictures=pictures, corners=corners)
    (repository / "nets").mkdir()
    (repository / "nets" / "mine.py").write_text(MINE)
    config = {
        "results": "results/mine",
        "data": {"source": "arrays", "file": "mine.npz", "split": [0.6, 0.2, 0.2]},
        "settings": {"epochs": 1, "loss": "nets/mine.py:loss", "stop_patience": None},
        "grid": {"batch_size": None, "learning_rate": None, "seeds": 1,
                 "network": ["paper", "nets/mine.py:small"]},
        "best": None,
    }  # fmt: skip
    (repository / "mine.yaml").write_text(yaml.safe_dump(config))
    done = snakemake(repository, "--configfile", "mine.yaml", "--cores", "2")
    assert done.returncode == 0, done.stderr
    results = repository / "results" / "mine"
    assert shards.read(results / "data" / "test-000.h5").images.shape == (12, 16, 24, 3)
    runs = pd.read_csv(results / "tables" / "runs.csv")
    assert list(runs["network"]) == ["paper", "nets/mine.py:small"]
    tested = pd.read_csv(results / "predictions.csv")
    np.testing.assert_allclose(tested["x1"], (24 * tested["predicted_x1"]).clip(0, 24), atol=1e-6)
    assert (results / "model.keras").exists()
    page = (results / "findings.md").read_text()
    assert "on arrays (mine.npz)" in page
    assert not re.search("128 px|box_law|the paper", page), page
    # A change of the file trains anew what it is part of: here both runs have its loss.
    mine = repository / "nets" / "mine.py"
    mine.write_text(mine.read_text() + "\n# A comment.\n")
    planned = counts(snakemake(repository, "--configfile", "mine.yaml", "-n", "--quiet", "rules"))
    assert planned["train"] == 2, planned


@pytest.mark.slow
@pytest.mark.jax
def test_a_job_per_batch_size_writes_the_same_runs(tmp_path):
    pytest.importorskip("jax")
    grid = {"batch_size": [16], "learning_rate": [0.01, 0.1], "seeds": 2}
    tables, target = [], "results/tiny/tables/histories.csv"
    for name, execution in (("alone", {"runs_per_job": 2}), ("stacked", {"fan_out": "batch_size"})):
        repository = clone(tmp_path / name)
        config = SMALL | {"grid": grid, "execution": {"runs_per_job": 1} | execution}
        done = overlay(repository, config, "--cores", "2", "--", target)
        assert done.returncode == 0, done.stderr
        tables.append(pd.read_csv(repository / target))
    results = repository / "results" / "tiny"
    log = (results / "logs/train/together,batch_size~16.log").read_text()
    assert "4 of 4 runs" in log
    for path in results.glob("runs/**/run.json"):
        run, _ = history.read(path.parent)
        assert (run["runtime"]["backend"], run["runtime"]["engine"]) == ("jax", "stacked")
        assert run["runtime"]["runs_together"] == 4
    assert not list(results.glob("state/*"))
    assert tables[0][list(history.RUN)].equals(tables[1][list(history.RUN)])
    # Neither an earlier batch size nor what does not change the results repeats these runs.
    execution |= {"runs_per_job": 1, "share_compiled_programs": False}
    config = SMALL | {"grid": grid | {"batch_size": [4, 16]}, "execution": execution}
    planned = counts(overlay(repository, config, "-n", "--quiet", "rules", "--", target))
    assert [name for name in planned if name.startswith("train")] == ["train_together_0"]


# --- plans -----------------------------------------------------------------------------------


def test_full_study_has_one_job_per_run(repository):
    done = snakemake(repository, "-n", "--quiet", "rules")
    assert done.returncode == 0, done.stderr
    planned = counts(done)
    assert (planned["shard"], planned["train"], planned["total"]) == (6, 250, 267)
    # Nested values of the command line.
    done = snakemake(
        repository, "-n", "--quiet", "rules", "--config", "grid={seeds: 2}", "best=null"
    )
    assert counts(done)["train"] == 48


@pytest.mark.parametrize(
    ("name", "jobs"),
    [("forensics", 162), ("figure8", 96), ("architectures", 36), ("harder", 48), ("timing", 24)],
)
def test_the_other_studies_have_their_jobs(repository, name, jobs):
    done = snakemake(repository, "-n", "--quiet", "rules", "--configfile", f"config/{name}.yaml",
                     "--until", "collect", "best")  # fmt: skip
    trained = sum(n for rule, n in counts(done).items() if rule.startswith("train"))
    assert trained == jobs, done.stdout + done.stderr


def test_from_another_folder_the_schema_has_the_defaults(repository, tmp_path):
    """By `--directory`, and as a module with a part of a configuration."""
    elsewhere = tmp_path / "my study"
    elsewhere.mkdir()
    (elsewhere / "my.yaml").write_text(yaml.safe_dump({"grid": {"seeds": 1}, "results": "out"}))
    snakefile = str(repository / "workflow" / "Snakefile")
    arguments = ["-n", "--quiet", "rules", "--snakefile", snakefile]
    done = snakemake(elsewhere, *arguments, "--configfile", "my.yaml")
    assert counts(done)["train"] == 24, done.stdout + done.stderr

    (elsewhere / "Snakefile").write_text(
        f"module boxes:\n    snakefile: {snakefile!r}\n"
        "    config: {'grid': {'seeds': 2}, 'results': 'out'}\n"
        "use rule * from boxes as boxes_*\n"
    )
    done = snakemake(elsewhere, "boxes_all", "-n", "--quiet", "rules", PYTHONPATH=str(ROOT))
    assert counts(done)["boxes_train"] == 48, done.stdout + done.stderr


def test_snakemake_lint_is_clean(repository):
    done = snakemake(repository, "--lint")
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ("grid: {batchsize: [4]}", "'batchsize' is not a parameter of BoxRegressor"),
        ("image: 10", "config: unknown key 'image'"),
    ],
)
def test_bad_configuration_is_named_in_a_few_lines_before_any_job(repository, config, message):
    done = overlay(repository, config, "-n")
    printed = done.stdout + done.stderr
    assert done.returncode == 1
    assert message in printed
    assert "Traceback" not in printed
    assert len(printed.splitlines()) <= 8, printed
    assert made(repository) == set()


def test_a_scene_reaches_the_shards_and_another_one_makes_them_again(repository):
    shard = repository / "results/tiny/data/test-000.h5"

    def make(scene, *options):
        config = f"data: {{scene: {scene}}}"
        target = str(shard.relative_to(repository))
        return overlay(repository, config, "--cores", "1", *options, "--", target)

    assert make("{noise: 0.1, discs: 2}").returncode == 0
    noisy = shards.read(shard)
    assert noisy.meta.scene == synthetic.Scene(noise=0.1, discs=2)
    assert "Params have changed" in make("{noise: 0.1}", "--dry-run").stdout
    assert "Nothing to be done" in make("{noise: 0.1, discs: 2}", "--dry-run").stdout
