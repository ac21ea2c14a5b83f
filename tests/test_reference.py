"""The committed results: whole, made by this code, and what a new training gives."""

import json

import numpy as np
import pandas as pd
import pytest
import yaml
from conftest import ROOT
from PIL import Image
from test_workflow import FIGURES, TABLES

from boxest import BoxRegressor, analysis, figures, findings, history, plan, synthetic

REFERENCE = ROOT / "results" / "reference"
OTHERS = yaml.safe_load((ROOT / "config" / "reference.yaml").read_text())["findings"]
PAPER = REFERENCE / "paper"
FINDINGS = ROOT / "docs" / "findings.md"
# Of the searches for a rate, which are no part of the study.
RATES = {"found_rates", "found_rates_by_method"}
# A retrained epoch may differ from the committed one by this share: on another processor, sums are
# taken in another order, and the training amplifies the last bits.
TOLERANCE = 0.01


def committed(name, study="paper"):
    return pd.read_csv(REFERENCE / study / "tables" / f"{name}.csv")


@pytest.fixture(scope="module")
def study():
    others = {
        kind: [there for path in paths if (there := REFERENCE / path.split("/")[-1]).exists()]
        for kind, paths in OTHERS.items()
        if kind != "rates"
    }
    return findings.read(PAPER, **others)


def test_results_are_small_and_hold_nothing_else():
    files = [path for path in REFERENCE.rglob("*") if path.is_file()]
    assert {path.suffix for path in files} == {".csv", ".png", ".rst", ".json", ".md"}
    assert sum(path.stat().st_size for path in files) < 10e6


def test_the_study_is_the_papers_run_whole(study):
    config = study.summary["config"]
    assert plan.differences(config) is None
    defaults = yaml.safe_load((ROOT / "config" / "config.yaml").read_text())
    # A study from before there were scenes has the paper's.
    config = config | {"data": {"scene": defaults["data"]["scene"]} | config["data"]}
    assert plan.scene(config["data"]) == synthetic.CLEAN
    changed = {name for name in defaults if config.get(name) != defaults[name]}
    # How many runs share a job does not change them, and what is told of is no part of the study.
    defaults["training"]["runs_per_job"] = config["training"]["runs_per_job"]
    assert changed <= {"training", "architectures", "findings", "rates"}
    assert config["training"] == defaults["training"]


def test_tables_have_every_cell_and_run(study):
    assert sorted(study.tables.keys() - RATES) == TABLES
    runs = study["runs"]
    assert len(runs) == 240
    assert runs.groupby(["batch_size", "learning_rate"]).size().eq(10).all()
    assert len(study["fig8"]) == len(study["comparison"]) == 24
    assert study["fig8"]["runs"].eq(10).all()
    assert list(study["histories"].columns) == [*history.RUN, *history.EPOCH_COLUMNS]
    assert len(study["histories"]) == runs["epochs"].sum()
    assert len(study["best"]) == 10
    assert set(study["claims"]["claim"]) == set(range(1, 11))


def times(study, how):
    return pd.concat([one["runs"] for one in study.times[:how] or [study]], ignore_index=True)


def test_tables_come_from_this_code(study):
    made = analysis.grid_tables(study["runs"], times(study, 1))
    made |= analysis.claim_tables(study["histories"], study["runs"], times(study, None))
    for name, table in made.items():
        expected = study[name]
        if name.startswith("claims"):
            # These are of predictions, which are too many to be committed.
            expected = expected[~expected["claim"].isin([9, 10])].reset_index(drop=True)
            table["verdict"] = table["verdict"].replace("", np.nan)
        pd.testing.assert_frame_equal(table, expected, rtol=1e-6, check_dtype=False)


@pytest.mark.skipif(not (REFERENCE / "forensics").exists(), reason="no variants are committed yet")
def test_variants_come_from_this_code(study):
    for one in study.forensics:
        ranking = analysis.rank_variants(one["variant_cells"])
        pd.testing.assert_frame_equal(ranking, one["variants"], rtol=1e-6, check_dtype=False)
    every = study.forensics[0]["variants"]
    assert len(every) == 3 * 3 * 3 * 2
    assert every["cells"].eq(3).all()


@pytest.mark.skipif(
    not (REFERENCE / "architectures").exists(), reason="no architectures are committed yet"
)
def test_architectures_come_from_this_code(study):
    for one in (*study.architectures, *study.harder):
        ranking = analysis.rank_architectures(one["architecture_runs"])
        pd.testing.assert_frame_equal(ranking, one["architectures"], rtol=1e-6, check_dtype=False)
        if "conditions" in one.tables:
            told = one["conditions"].set_index("condition")["data"].dropna()
            table = analysis.condition_table(ranking, told.to_dict())
            expected = one["conditions"].fillna({"data": ""})
            pd.testing.assert_frame_equal(table, expected, rtol=1e-6, check_dtype=False)


@pytest.mark.skipif(
    not (PAPER / "tables" / "found_rates.csv").exists(), reason="no rates are committed yet"
)
def test_found_rates_come_from_this_code(study):
    found = study["found_rates"]
    searches = found[["batch_size", "method", "seed", "found_rate", "epochs", "seconds"]]
    again = analysis.found_rates(searches, study["histories"])
    columns = list(searches) + [name for name in again.columns if name not in searches]
    pd.testing.assert_frame_equal(again[columns], found[columns], rtol=1e-6)
    by_method = analysis.rates_by_method(found)
    pd.testing.assert_frame_equal(by_method, study["found_rates_by_method"], rtol=1e-6)
    assert sorted(found["batch_size"].unique()) == [4, 16, 64, 256, 1024, 4096]


@pytest.mark.skipif(not FINDINGS.exists(), reason="no page of findings is committed yet")
def test_page_and_readme_come_from_the_tables(study):
    docs = ROOT / "docs"
    assert findings.page(study, docs) == (docs / "findings.md").read_text()
    made = json.loads((REFERENCE / "provenance.json").read_text())
    assert findings.readme(made) == (REFERENCE / "README.md").read_text()
    assert made["studies"]["paper"]["runs"] == 250
    assert set(made["studies"]) == {path.name for path in REFERENCE.iterdir() if path.is_dir()}


def test_every_figure_is_there():
    assert sorted({path.stem for path in PAPER.glob("figures/*.png")} - RATES) == FIGURES


@pytest.mark.parametrize("name", ["comparison", "fig8_final_losses", "scaling_residuals"])
def test_figures_are_those_of_the_tables(name, tmp_path):
    drawn = {
        "comparison": lambda: figures.comparison(committed("comparison")),
        "fig8_final_losses": lambda: figures.final_losses(committed("fig8")),
        "scaling_residuals": lambda: figures.residuals(committed("scaling_residuals")),
    }
    png, _ = figures.save(drawn[name](), tmp_path / "again.png")
    with Image.open(png) as again, Image.open(PAPER / "figures" / f"{name}.png") as there:
        assert again.size == there.size
        # The same picture, but for what another version of matplotlib or of a font does.
        apart = np.abs(np.asarray(again.convert("L"), float) - np.asarray(there.convert("L")))
        assert apart.mean() < 3


@pytest.fixture(scope="module")
def data(study):
    config = study.summary["config"]["data"]
    parts = plan.splits(config["images"], config["split"])
    law = synthetic.BoxLaw(**config["box_law"])
    options = {"seed": config["seed"], "image_size": config["image_size"], "law": law}
    return [
        synthetic.make(parts[name].start, parts[name].stop, **options)
        for name in ("train", "validation")
    ]


def retrain(study, data, cell, seed, epochs=2):
    config = study.summary["config"]
    names = ("loss", "optimizer", "engine", "xla", "stop_patience")
    regressor = BoxRegressor.paper(
        network=config["network"]["name"],
        output_activation=config["network"]["output_activation"],
        batch_size=cell[0],
        learning_rate=cell[1],
        random_state=seed,
        epochs=epochs,
        plateau_patience=None,
        **{name: config["training"][name] for name in names},
    )
    return pd.DataFrame(regressor.fit(*data[0], validation_data=data[1]).history_)


@pytest.mark.slow
@pytest.mark.parametrize("cell", [(16, 0.01), (256, 0.1), (1024, 0.001)])
def test_runs_can_be_trained_again(study, data, cell):
    """The first epochs of a run are those of a run of fewer epochs, and a new seed is like others.

    The order of the images and the first weights are functions of the seed.
    """
    histories = study["histories"]
    runs = histories[(histories["batch_size"] == cell[0]) & (histories["learning_rate"] == cell[1])]
    again = retrain(study, data, cell, seed=0)
    then = runs[runs["seed"] == 0].head(2)
    assert again["updates"].tolist() == then["updates"].tolist()
    for loss in history.LOSSES:
        np.testing.assert_allclose(again[loss], then[loss], rtol=TOLERANCE)

    new = retrain(study, data, cell, seed=10).iloc[-1]
    spread = runs[runs["epoch"] == 2].groupby("epoch")
    for loss in history.LOSSES:
        mean, sd = spread[loss].mean().item(), spread[loss].std().item()
        assert abs(new[loss] - mean) < 4 * sd, loss
