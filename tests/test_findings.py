"""The page of findings, its numbers and captions, and the copy that is committed."""

import html as html_
import importlib
import io
import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import fake_study
import jinja2
import numpy as np
import pandas as pd
import pytest
import yaml
from conftest import ROOT
from docutils.core import publish_parts
from markdown_it import MarkdownIt
from PIL import Image
from scipy import stats
from test_ranking import several
from test_ranking import write as write_ranking

from boxest import analysis
from boxest import figures as plots
from boxest.analysis import text
from boxest.analysis.columns import CELL
from boxest.report import captions, findings, html
from boxest.report.findings import summary, variants
from boxest.report.findings.figures import Figures
from boxest.study import configuration, deviations, outputs

SCHEMA = configuration.Schema(ROOT / "workflow" / "schemas" / "config.schema.yaml")
PAPER = configuration.read({}, SCHEMA)
CONFIG = configuration.read(yaml.safe_load((ROOT / "config" / "config.yaml").read_text()), SCHEMA)
VARIANT = fake_study.VARIANT


def one_pixel():
    """Return the smallest picture, as the content of a PNG file."""
    content = io.BytesIO()
    Image.new("RGB", (1, 1)).save(content, "png")
    return content.getvalue()


PNG = one_pixel()


def best_table(seeds):
    table = pd.DataFrame({"seed": range(seeds), "batch_size": 16, "learning_rate": 0.1})
    table = table.assign(diverged=False, last_learning_rate=0.05)
    for part in ("validation", "test"):
        table[f"{part}_inclusive_iou_loss"] = 0.04 + 0.001 * table["seed"]
        table[f"{part}_iou_loss"] = 0.17 + 0.001 * table["seed"]
    return table


def write(root, config=CONFIG, papers_best=True, **form):
    """Write the tables and figures of an invented study."""
    form = fake_study.FULL | form
    histories = fake_study.histories(**form)
    runs = fake_study.runs(histories, form["epochs"])
    tested = [fake_study.predictions(100, seed=seed).assign(seed=seed) for seed in range(6)]
    tables = {"histories": histories, "runs": runs, "best": best_table(form["seeds"])}
    tables["baselines"] = analysis.baselines(fake_study.boxes(50), fake_study.boxes(20))
    decide = deviations.is_the_papers(config, PAPER)
    tables |= analysis.tables(
        outputs.TABLES.keys() - {"variants", "variant_cells", "found_rates",
                                 "found_rates_by_method"},
        histories, runs, tested=pd.concat(tested) if papers_best else None, decide=decide,
    )  # fmt: skip
    for name, table in tables.items():
        (root / "tables").mkdir(parents=True, exist_ok=True)
        table.to_csv(root / "tables" / f"{name}.csv", index=False)
    for claim in analysis.CLAIMS.values():
        (root / "figures").mkdir(exist_ok=True)
        (root / "figures" / f"{claim.figure}.png").write_bytes(PNG)
    (root / "captions").mkdir()
    (root / "captions" / "fig8_final_losses.rst").write_text("A caption\nof two lines.\n")
    shown = sorted({claim.figure for claim in analysis.CLAIMS.values()})
    summary = {
        "config": config,
        "numbers": findings.numbers(findings.read(root, tables=list(tables))),
        "tables": list(tables),
        "figures": shown,
        "left_out": outputs.left_out(config),
        "differences": deviations.note(config, PAPER),
        "verdicts": decide,
    }
    (root / "summary.json").write_text(json.dumps(summary))
    return root


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    return write(tmp_path_factory.mktemp("findings") / "paper")


@pytest.fixture(scope="module")
def page(study):
    return findings.page(findings.read(study), study)


def row(page, start):
    (found,) = [line for line in page.splitlines() if line.startswith(start)]
    return [cell.strip() for cell in found.strip("|").split("|")]


def test_page_says_what_was_run(page):
    assert "24 cells with 10 seeds each, 240 runs: batch size 4, 16, 64, 256, 1024, 4096" in page
    assert "At most 30 epochs on 10,000 images of 128 px" in page
    assert "optimizer sgd, epochs 30, stop patience 5" in page
    assert "not the paper's study" not in page
    assert "nan" not in page


def test_every_claim_has_its_verdict(page, study):
    claims = pd.read_csv(study / "tables" / "claims.csv")
    for number, claim in analysis.CLAIMS.items():
        assert f"### {number}. {claim.says}" in page
        cells = row(page, f"| {number}. ")
        expected = claims[(claims["claim"] == number) & claims["main"]].iloc[0]
        assert cells[3] == f"**{expected['verdict']}**"
        assert cells[2].startswith(text.number(expected["value"]))
    counts = claims.loc[claims["main"], "verdict"].value_counts()
    assert f"holds {counts['holds']}" in page


def test_another_best_parametrization_has_no_part_in_the_claims(tmp_path):
    root = write(tmp_path / "paper", papers_best=False)
    page = findings.page(findings.read(root), root)
    assert "Claims 9 and 10 are about the paper's best parametrization" in page
    assert "### 8. " in page
    assert "### 9. " not in page
    assert "### 10. " not in page
    assert "nan" not in page


def test_time_has_one_verdict_and_losses_two(page):
    assert row(page, "| 6. ")[4:] == ["", ""]
    assert row(page, "| 3. ")[5] in ("**holds**", "**does not hold**", "**undecided**")


def test_ours_beside_the_paper(page, study):
    table = pd.read_csv(study / "tables" / "comparison.csv")
    cells = row(page, "| 16 | 0.1 | 0")
    ours = table[(table["batch_size"] == 16) & (table["learning_rate"] == 0.1)].iloc[0]
    assert cells[3] == "0.038"
    assert cells[2].startswith(f"{ours['validation_inclusive_iou_loss']:.3f} ± ")
    assert cells[6:] == ["9", "1", "0"]


def test_cells_that_the_paper_leaves_out_have_a_reason(page):
    assert "- batch size 4, rate 0.1: 0 of 10 stopped early, 10 diverged; no run reached" in page
    assert "batch size 1024, rate 0.1: 2 of 10 stopped early, 0 diverged; 8 reached" in page
    assert page.count("\n- batch size ") == 3
    assert (
        "Early stopping with our patience does not explain why these cells are missing: runs "
        "reached the last epoch where the paper has no mean, at (256, 0.1), (1024, 0.1); none "
        "reached it where the paper has one, at (16, 0.1), (64, 0.1)." in page
    )


@pytest.mark.parametrize(
    ("reached", "said"),
    [
        ({}, "Early stopping with our patience would leave out exactly these cells"),
        (
            {(16, 0.1): 0, (256, 0.1): 2},
            "at (256, 0.1); none reached it where the paper has one, at (16, 0.1).",
        ),
        ({(16, 0.1): 0}, "missing: none reached it where the paper has one, at (16, 0.1)."),
    ],
)
def test_patience_is_refuted_by_cells_on_either_side(study, reached, said):
    copy = findings.read(study)
    cells = copy["fig8"].set_index(["batch_size", "learning_rate"])
    missing = [(4, 0.1), (256, 0.1), (1024, 0.1)]
    cells["reached_last_epoch"] = 10
    cells.loc[missing, "reached_last_epoch"] = 0
    for cell, count in reached.items():
        cells.loc[cell, "reached_last_epoch"] = count
    copy.tables["fig8"] = cells.reset_index()
    assert said in findings.page(copy, study)


@pytest.mark.parametrize(
    ("absent", "said"),
    [
        (
            [(4, 0.1), (256, 0.1), (1024, 0.1)],
            "patience 2, exactly the cells of Fig. 8 have a mean.",
        ),
        ([(4, 0.1), (16, 0.1)], "no patience explains"),
    ],
)
def test_a_patience_that_leaves_out_just_the_cells_of_the_paper(study, absent, said):
    copy = findings.read(study)
    table = copy["patience"].assign(reached=10)
    table = table[table["patience"] <= 2]
    cells = pd.MultiIndex.from_frame(table[["batch_size", "learning_rate"]])
    table.loc[(table["patience"] == 2) & cells.isin(absent), "reached"] = 0
    copy.tables["patience"] = table
    assert said in findings.page(copy, study)


def test_the_paper_did_not_leave_out_what_it_never_tried(tmp_path):
    """A batch size of 8 and a rate of 1 are no part of its grid: it has no reason to give there."""
    root = write(tmp_path, batch_sizes=[8, 64], learning_rates=[0.01, 0.1, 1.0], seeds=1, epochs=3)
    copy = findings.read(root)
    page = findings.page(copy, root)
    assert "(8, 0.01)" not in page.partition("## How far")[0].partition("## Ours beside")[2]
    assert "The paper leaves out these cells" not in page
    assert "The paper does not state its patience" not in page
    assert row(page, "| 8 | 1 | ")[3] == "–"

    cells = analysis.variant_cells(copy["runs"].assign(loss="iou"), ["loss"])
    copy.tables.update(variants=analysis.rank_variants(cells, ["loss"]), variant_cells=cells)
    assert "Fig. 8 leaves out some of these cells" not in findings.page(copy, root)


def test_shares_without_spread_are_counted(page):
    assert row(page, "| rate 0.001 → 0.01 |")[2] == "100 [94, 100] (6 of 6, in every seed)"
    # A mean over all seeds has no interval.
    assert row(page, "| means over the seeds (added afterwards) |")[2] == "100 (23 of 23)"


def test_what_the_verdicts_rest_on_is_said(page, study):
    assert "A test of equivalence" in page
    # By the geometric loss, claim 10 has a value and no verdict.
    assert row(page, "| 10. ")[4] != ""
    assert row(page, "| 10. ")[5] == ""
    claims = pd.read_csv(study / "tables" / "claims.csv")
    of_five = claims[claims["claim"] == 5].set_index("part")["verdict"]
    same = of_five["all rates"] == of_five["all rates, the loss itself (added afterwards)"]
    assert ("The verdict depends on the scale" in page) != same


def test_verdicts_are_read_otherwise(page, study):
    """The table counts what the rows of the claims say."""
    claims = pd.read_csv(study / "tables" / "claims.csv")
    ends = claims["part"].str.endswith("at equal epochs (added afterwards)")
    mains = claims[claims["main"]]
    numbers = claims.loc[ends, "claim"]
    once = mains.set_index("claim").loc[numbers, "verdict"].to_numpy()
    same = (once == claims.loc[ends, "verdict"]).sum()
    assert row(page, "| *at equal epochs*: ")[1].startswith(f"{same} of {len(numbers)}")
    stay = mains["verdict"] == mains["corrected"]
    assert row(page, "| *corrected*: ")[1].startswith(f"{stay.sum()} of {len(mains)}")
    for number in mains.loc[~stay, "claim"]:
        assert str(number) in row(page, "| *corrected*: ")[1].partition(";")[2]
    assert row(page, "| *other images*: ")[1].split(";")[0].endswith("of 3")
    both = [
        pd.read_csv(study / "tables" / f"{name}.csv") for name in ("claims", "claims_geometric")
    ]
    assert f"The tables below have {pd.concat(both)['low'].count()} intervals of 95 %." in page
    stopped = claims["part"].str.endswith("stopped runs at their best epoch (added afterwards)")
    changed = claims[(ends | stopped)].merge(mains, on="claim", suffixes=("", "_main"))
    changed = changed.loc[changed["verdict"] != changed["verdict_main"], "claim"].unique()
    said = ", ".join(map(str, changed)) or "none"
    assert f"runs that stopped early are counted: by the inclusive IoU, {said};" in page


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        (
            {"mean_log_ratio": np.log(1.1), "above": 17, "apart": 10, "p_value": 0.0001},
            "Rates below 0.1: ours lie above the paper's in 17 of 18 cells, by 10 % on average, "
            "and 10 differ by more than 2 standard errors: a systematic difference (t test over "
            "seeds, p = 0.0001).",
        ),
        (
            {"mean_log_ratio": np.log(0.95), "above": 8, "apart": 1, "p_value": 0.8},
            "Rates below 0.1: ours lie below the paper's in 10 of 18 cells, by 5 % on average, and "
            "1 differs by more than 2 standard errors: no systematic difference (t test over "
            "seeds, p = 0.8",
        ),
        (
            {"mean_log_ratio": np.log(1.1), "above": 17, "apart": 0, "p_value": np.nan},
            "17 of 18 cells, by 10 % on average; whether that is more than scatter, runs of one "
            "seed do not say.",
        ),
        (
            {"mean_log_ratio": np.log(0.5), "above": 0, "apart": 18, "p_value": 0.0001},
            "ours lie below the paper's in 18 of 18 cells, by 50 % on average",
        ),
        ({"cells": 0}, "Rates below 0.1: there is no cell of which both have a loss."),
    ],
)
def test_a_difference_is_called_systematic_by_a_test(study, changed, said):
    copy = findings.read(study)
    distances = copy["distances"]
    distances.loc[2, list(changed)] = list(changed.values())
    assert said in findings.page(copy, study)


@pytest.mark.parametrize(
    ("p_value", "said"),
    [
        (0.01, "but does not decide it alone: the cells lie farther from the curve than the"),
        (0.3, "and the scatter of the runs explains what is left (lack-of-fit test, F("),
    ],
)
def test_the_rule_carries_as_far_as_a_test_says(study, p_value, said):
    copy = findings.read(study)
    copy["scaling_fit"]["p_value"] = p_value
    fitted = copy["scaling_residuals"].query("fitted")["residual"].abs().max()
    page = findings.page(copy, study)
    assert f"gives the loss of each cell to within {text.percent(fitted)[1:]}, {said}" in page


def test_the_validation_loss_stands_beside_that_of_the_test_set(study):
    copy = findings.read(study)
    losses = 0.039 + 0.0001 * np.arange(10)
    copy["best"]["validation_inclusive_iou_loss"] = losses
    half = stats.sem(losses) * stats.t.ppf(0.975, 9)
    ends = text.ends(losses.mean() - half, losses.mean() + half)
    said = f"the same runs have {text.number(losses.mean())} {ends}; by the same rule, the"
    assert f"{said} verdict would be *holds*." in findings.page(copy, study)


def test_scaling_says_what_was_fitted(page, study):
    assert "It is fitted to the runs with rates below 0.1." in page
    residuals = pd.read_csv(study / "tables" / "scaling_residuals.csv")
    at_largest = residuals[(residuals["learning_rate"] == 0.1) & residuals["residual"].notna()]
    cells = row(page, "| 0.1 (not fitted) |")
    assert cells[1] == f"{len(at_largest)} of 6"
    assert cells[5] == ", ".join(map(str, at_largest.loc[at_largest["extrapolated"], "batch_size"]))
    fitted = residuals.loc[residuals["fitted"], "residual"]
    ends = f"{text.percent(fitted.min())} to {text.percent(fitted.max())}"
    assert f"The losses of 18 cells are {ends} off it." in page
    assert f"The losses of {len(at_largest)} cells that were not fitted are " in page


def test_a_study_of_one_cell_has_a_page(tmp_path):
    root = write(tmp_path, batch_sizes=[16], learning_rates=[0.1], seeds=1, epochs=3)
    page = findings.page(findings.read(root), root)
    assert "nan" not in page
    assert "- 1 cell with 1 seed each, 1 run: batch size 16;" in page
    assert "It is fitted to all runs. The losses of 1 cell are 0 % to 0 % off it." in page


def test_a_study_without_times_has_a_page(tmp_path, monkeypatch):
    """Runs that are trained at once have none of their own."""
    made = fake_study.runs
    monkeypatch.setattr(fake_study, "runs", lambda *form: made(*form).assign(engine="stacked"))
    root = write(tmp_path, batch_sizes=[16, 64], learning_rates=[0.01, 0.1], seeds=1, epochs=3)
    page = findings.page(findings.read(root), root)
    assert "nan" not in page
    assert "(no times): no knee, which needs times of two batch sizes." in page


@pytest.mark.parametrize(
    ("knee", "sizes", "said"),
    [
        ((2, 1, 3), (4, 4, 4), "at 2 [1, 3] images, below the grid, so batch size 4 (at both ends"),
        ((30, 15, np.inf), (16, 64, 4096), "at 30 [15, ∞) images, so batch size 64 (16 to 4096 at"),
        ((np.inf, 9, np.inf), (16, 4096, 4096), "at ∞ [9, ∞) images, above the grid, so batch"),
        ((0, 0, 2), (4, 4, 4), "there is no knee, so batch size 4 (at both ends"),
    ],
)
def test_recommendation_says_where_the_knee_is(study, knee, sizes, said):
    copy = findings.read(study)
    names = ["knee", "knee_low", "knee_high", "batch_size_low", "batch_size", "batch_size_high"]
    copy.tables["recommendation"][names] = [float(value) for value in (*knee, *sizes)]
    assert said in findings.page(copy, study)


@pytest.mark.parametrize(
    ("which", "said"),
    [
        ([""], ", where every run diverged. The best cell of the grid, batch size "),
        (["", "best_"], ", where every run diverged. So they did in all other cells."),
    ],
)
def test_a_recommendation_may_lead_to_a_cell_that_diverged(study, which, said):
    copy = findings.read(study)
    names = ["validation_inclusive_iou_loss", "validation_iou_loss", "seconds"]
    lost = [f"{prefix}{name}" for prefix in which for name in names]
    lost += ["best_batch_size", "best_learning_rate"] if "best_" in which else []
    copy["recommendation"][lost] = np.nan
    page = findings.page(copy, study)
    assert said in page
    assert "nan" not in page


def test_figures_are_shown_once_with_their_caption(page, study):
    assert page.count("![fig8_final_losses](figures/fig8_final_losses.png)") == 1
    assert "`fig8_final_losses`: A caption of two lines." in page
    assert "The figure is above: `fig8_final_losses`." in page
    elsewhere = findings.page(findings.read(study), study.parent / "docs")
    assert "(../paper/figures/fig8_final_losses.png)" in elsewhere
    # No caption is empty: the others have none.
    assert not [line for line in page.splitlines() if line.startswith("`") and line[-2:] == "`:"]


def test_a_study_that_was_not_run_whole_is_labelled(tmp_path):
    config = CONFIG | {"grid": CONFIG["grid"] | {"seeds": 2}}
    root = write(tmp_path / "quick", config, seeds=2)
    page = findings.page(findings.read(root), root)
    assert "<strong>This is not the paper" in opening_as_html(root)[1]
    assert "**This is not the paper's study run whole** (ours: seeds 2; paper: seeds 10)." in page
    # Said once, with the numbers and their units in the place of verdicts.
    assert "No verdicts: 2 seeds decide nothing, and 5 are needed." in page
    assert "undecided" not in page
    cells = row(page, "| 1. ")
    assert cells[2].endswith("(%)")
    assert (cells[3], cells[4].split()[0]) == ("at least 90", "94.4")


@pytest.mark.parametrize("changed", [{"optimizer": "adam"}, {"stop_patience": 10}])
def test_only_the_papers_settings_get_verdicts(tmp_path, changed):
    config = CONFIG | {"settings": CONFIG["settings"] | changed}
    root = write(tmp_path / "other", config, seeds=6)
    page = findings.page(findings.read(root), root)
    ((name, value),) = changed.items()
    assert f"No verdicts: they need the paper's settings (ours: {name} {value}; paper" in page
    assert "**holds**" not in page
    assert pd.read_csv(root / "tables" / "claims.csv")["verdict"].isna().all()


def test_a_table_of_an_earlier_configuration_adds_nothing(study, page, tmp_path):
    copy = tmp_path / "study"
    shutil.copytree(study, copy)
    variants = write_variants(tmp_path / "forensics", {"linear": 1.1})
    shutil.copy(variants / "tables" / "variants.csv", copy / "tables")
    assert findings.page(findings.read(copy), copy) == page


def test_no_figure_is_missing_from_the_page_without_a_word(study, tmp_path):
    copy = tmp_path / "study"
    shutil.copytree(study, copy)
    summary = json.loads((copy / "summary.json").read_text())
    summary["figures"].append("my_figure")
    (copy / "summary.json").write_text(json.dumps(summary))
    (copy / "figures" / "my_figure.png").write_bytes(PNG)
    assert "## Further figures\n\n![my_figure]" in findings.page(findings.read(copy), copy)


def write_variants(root, distances, loss="iou"):
    """Write a study of variants at one cell, whose losses are so many times the paper's.

    Each seed has a factor, or all have the same one.
    """
    runs = []
    seeds = max(np.size(factor) for factor in distances.values())
    histories = fake_study.histories([64], [0.01], seeds, 3)
    for activation, factor in distances.items():
        table = fake_study.runs(histories, 3)
        names = [name for name in table.columns if name.endswith("_loss")]
        table[names] = np.full((len(names), seeds), factor).T * 0.105992
        settings = {"loss": loss, "optimizer": "sgd", "plateau_patience": "never"}
        runs.append(table.assign(output_activation=activation, **settings))
    runs = pd.concat(runs, ignore_index=True)
    cells = analysis.variant_cells(runs, VARIANT)
    (root / "tables").mkdir(parents=True)
    cells.to_csv(root / "tables" / "variant_cells.csv", index=False)
    ranking = analysis.rank_variants(cells, VARIANT)
    if seeds > 1:
        ranking = analysis.variant_errors(runs, ranking, VARIANT)
    ranking.to_csv(root / "tables" / "variants.csv", index=False)
    summary = {"tables": ["variant_cells", "variants"], "figures": [], "numbers": {}}
    config = {"findings": {"times": [], "studies": []}}
    (root / "summary.json").write_text(json.dumps(summary | {"config": config}))
    return root


def test_found_rates_are_told_of_where_they_were_searched(study, page):
    assert "short trials" not in page
    copy = findings.read(study)
    found = fake_study.found_rates(copy["histories"])
    copy.tables["found_rates"] = found
    copy.tables["found_rates_by_method"] = analysis.rates_by_method(found)
    told = findings.page(copy, study)
    told = told[told.index("## A learning rate from short trials") :]
    best = found.groupby("batch_size")["best_rate"].first()
    by_size = row(told, "| 256 |")
    assert by_size[1] == f"{best[256]:g}"
    assert (by_size[3], by_size[7]) == ("0.02 to 0.04", "0.1")
    hits = found[found["method"] == "range_test"]["hit"].sum()
    assert row(told, "| range test |")[1] == f"{hits} of 12"
    assert "so the grid does not tell their loss" not in told
    assert "suited the seeds" not in told
    copy.tables["found_rates"] = found.assign(seed=found["seed"] + 2, hit=found["seed"] == 1)
    assert "with the other seeds, 6 of 6 are hits." in findings.page(copy, study)
    copy.tables["found_rates"] = found.assign(best_rate=np.nan, best_loss=np.nan)
    assert "nan" not in findings.page(copy, study)
    copy.tables["found_rates_by_method"]["outside"] = [0, 3]
    assert "3 of the rates found (range test) lie farther than" in findings.page(copy, study)


@pytest.mark.parametrize(
    ("distances", "conclusion"),
    [
        (
            {"linear": 1.1, "tanh": 2},
            "Of the 1 cell of Fig. 8 tried with 1 seed, the nearest variant meets each within a "
            "factor of 1.25. Over the seeds of the grid, the distance of these cells has a "
            "standard deviation of",
        ),
        (
            {"linear": 3, "tanh": 2},
            "Of the 1 cell of Fig. 8 tried with 1 seed, no variant meets each within a factor of "
            "1.25: the nearest is off at (64, 0.01): × 2.",
        ),
        ({"linear": 1.1, "tanh": 1.101}, "are noise, and the order of the first 2 tells nothing."),
    ],
)
def test_variants_are_told_of(study, tmp_path, distances, conclusion):
    root = write_variants(tmp_path / "forensics", distances)
    page = findings.page(findings.read(study, studies=[root]), study)
    assert conclusion in page
    first = min(distances, key=distances.get)
    assert row(page, f"| 1 | {first} |")[:5] == ["1", first, "IoU", "SGD", "fixed"]
    assert "penalty for swapped corners" not in page


def test_noise_of_the_ranking_is_that_of_the_seeds(study, tmp_path):
    root = write_variants(tmp_path / "forensics", {"linear": 1.1, "tanh": 2, "sigmoid": np.nan})
    page = findings.page(findings.read(study, studies=[root]), study)
    runs = pd.read_csv(study / "tables" / "runs.csv")
    cell = runs[(runs["batch_size"] == 64) & (runs["learning_rate"] == 0.01)]
    # Of one cell, the distance is the size of its log ratio.
    spread = np.log(cell["validation_inclusive_iou_loss"] / 0.105992).abs().std(ddof=1)
    assert f"a standard deviation of {text.number(spread, 2)}, and the difference" in page
    assert f"one of {text.number(np.sqrt(2) * spread, 2)}: smaller" in page
    assert "1 of 3 variants lost a cell." in page


def test_a_ranking_says_which_differences_are_those_of_its_seeds(study, tmp_path):
    factors = {"linear": [1.05, 1.1, 1.15], "tanh": [1.2, 1.02, 1.16], "sigmoid": [2, 2.1, 2.2]}
    root = write_variants(tmp_path / "figure8", factors)
    page = findings.page(findings.read(study, studies=[root]), study)
    assert "Of the 1 cell of Fig. 8 tried with 3 seeds, the nearest" in page
    assert "By a t test, rank 2 may be as near as the nearest." in page
    # Without one of the seeds, the mean is 1.125, 1.1 or 1.075.
    assert row(page, "| 1 | linear |")[5:] == ["0.095 ± 0.026", "× 1.1", "–"]
    assert row(page, "| 3 | sigmoid |")[7] == "0.647 ± 0.001"
    assert "Over the seeds of the grid" not in page
    assert "The distance by learning rate" not in page


def test_a_ranking_of_whole_grids_is_told_by_rate(study):
    copy = findings.read(study)
    runs = copy["runs"].assign(condition="clean")
    losses = [name for name in runs.columns if name.endswith("_loss")]
    other = runs.assign(condition="few")
    other[losses] *= np.where(other["learning_rate"] == 0.01, 2, 1)[:, None]
    cells = analysis.variant_cells(pd.concat([runs, other]), ["condition"])
    ranking = analysis.rank_variants(cells, ["condition"])
    data = {"clean": {}, "few": {"images": 1000}}
    copy.summary["config"]["data"]["conditions"] = data
    copy.tables.update(variants=ranking, variant_cells=cells)
    page = findings.page(copy, study)
    assert "Data, clean: as in the paper; few: images 1000. The nearest:" in page
    # Of the three others there is nothing to meet.
    assert "Of the 21 cells of Fig. 8 tried with 10 seeds, no variant" in page
    told = page[page.index("The distance by learning rate") :].split("\n\n")[1]
    of = {name: told[told.index(f"| {name} |") :].split("\n")[0].split("|")[2:-1] for name in data}
    off = {
        name: [float(cell.split("(")[1].strip(") ").replace("−", "-")) for cell in cells_]
        for name, cells_ in of.items()
    }
    differences = np.subtract(off["few"], off["clean"])
    assert differences == pytest.approx([0, 0, np.log(2), 0], abs=0.011)

    told = page[page.index("Fig. 8 leaves out some of these cells") :].split("\n\n")[1]
    heads, _, first, _ = (line.strip("| ").split(" | ") for line in told.splitlines())
    assert heads[2:] == ["(4, 0.1)", "(256, 0.1)", "(1024, 0.1)"]
    missing = cells[(cells["learning_rate"] == 0.1) & (cells["condition"] == "clean")]
    missing = missing.set_index("batch_size").loc[[4, 256, 1024]]
    whole = 10 - missing["stopped_early"] - missing["diverged"]
    assert first[2:] == [f"{count} of 10" for count in whole]


def test_a_variant_need_not_have_every_cell(tmp_path):
    """As where cells are listed: its numbers stay below the heads of their cells."""
    histories = fake_study.histories([64, 1024, 4096], [0.0001, 0.01], 1, 3)
    whole = fake_study.runs(histories, 3).assign(optimizer="sgd")
    few = whole[(whole["batch_size"] == 4096) | (whole["learning_rate"] == 0.01)]
    few = few[few["batch_size"] != 1024].assign(optimizer="adam")
    cells = analysis.variant_cells(pd.concat([whole, few], ignore_index=True), ["optimizer"])
    # Fig. 8 lacks two of them.
    lacking = (cells["batch_size"] > 64) & (cells["learning_rate"] == 0.0001)
    cells.loc[lacking, ["paper_validation_loss", "log_ratio", "inclusive_log_ratio"]] = np.nan
    cells.loc[~lacking, "log_ratio"] = cells.loc[~lacking, "log_ratio"].fillna(0.1)
    ranking = analysis.rank_variants(cells, ["optimizer"])
    figure = plots.variants(cells, ranking)
    assert len(figure.axes[0].texts) - 1 == cells["paper_validation_loss"].notna().sum()
    tables = {"variant_cells": cells, "variants": ranking, "runs": whole}
    section = variants.section(findings.Study(tmp_path, tables), Figures(tmp_path))
    rows = [line for line in "\n".join(section).splitlines() if line.startswith("|")]
    heads = [i for i, line in enumerate(rows) if line.startswith("| ---")]
    for start, end in zip(heads, [*(i - 1 for i in heads[1:]), len(rows)], strict=True):
        assert {line.count("|") for line in rows[start - 1 : end]} == {rows[start].count("|")}
    (row_,) = [row for row in rows if "Adam" in row and " of 1" in row]
    assert row_.endswith("| – | 1 of 1 |")


def test_variants_of_giou_are_told_to_be_inexact(study, tmp_path):
    root = write_variants(tmp_path / "forensics", {"linear": 1.1}, loss="giou")
    page = findings.page(findings.read(study, studies=[root]), study)
    assert "Our GIoU loss adds a penalty for swapped corners" in page


def test_times_of_another_study_are_told_of(study, tmp_path):
    other = write(tmp_path / "timing", seeds=2, epochs=2)
    page = findings.page(findings.read(study, times=[other]), study)
    fit = pd.read_csv(other / "tables" / "time_fit.csv")
    section = page[page.index("## Training time") :]
    cells = row(section, "| one compiled call per epoch | ")
    assert cells[1] == "2 epochs × 2 seeds"
    ratio, ends = text.number(analysis.knee(fit)), text.ends(*analysis.knee_interval(fit))
    assert cells[2] == f"{ratio} {ends}"
    assert "extrapolated from 2 epochs × 2 seeds (one compiled call per epoch)." in page


def test_times_of_several_studies_have_a_figure_each(study, tmp_path):
    """The study's own figure is drawn from the first of them."""
    others = [write(tmp_path / name, seeds=2, epochs=2) for name in ("timing", "timing_keras")]
    shutil.rmtree(others[1] / "captions")
    page = findings.page(findings.read(study, times=others), study)
    links = [line for line in page.splitlines() if line.startswith("![fig4_training_time]")]
    assert len(links) == 2
    assert "timing_keras/figures/fig4_training_time.png" in links[1]
    assert (
        "`fig4_training_time`: Training time against batch size, trained by one compiled call per "
        "epoch: 2 epochs × 2 seeds of each cell" in page
    )


def test_page_as_html_has_its_figures_inside(page, study):
    written = html.document(page, study)
    assert "<title>Findings</title>" in written
    assert written.count("data:image/png;base64,") == page.count("![")
    assert written.count("<table>") == page.count("\n| ---")
    with pytest.raises(OSError, match=r"fig3_validation_losses\.png"):
        html.document(page, study / "tables")


def test_a_page_shows_figures_of_folders_with_blanks(study, tmp_path):
    shutil.copytree(study, tmp_path / "größe (2) 100%")
    copy = findings.read(tmp_path / "größe (2) 100%")
    link = "../gr%C3%B6%C3%9Fe%20%282%29%20100%25/figures/fig4_training_time.png"
    lines = Figures(tmp_path / "mine").show(copy, "fig4_training_time")
    assert lines[0] == f"![fig4_training_time]({link})"
    (tmp_path / "mine").mkdir()
    written = html.document("\n".join(["# Page", "", *lines]), tmp_path / "mine")
    assert written.count("data:image/png;base64,") == 1


def as_html(rst):
    """Return a text of the report as Snakemake renders it, but strictly."""
    strict = {"report_level": 2, "halt_level": 2}
    return html_.unescape(publish_parts(rst, writer="html5", settings_overrides=strict)["body"])


def opening_as_html(root):
    opening = findings.opening(findings.read(root))
    return opening, as_html(opening)


def test_names_of_files_are_no_markup_in_the_report(study):
    """In rst, one that ends in "_" is a reference."""
    name, config = "my_/n*ets__.py:net_", json.loads(json.dumps(CONFIG))
    config["settings"]["network"] = name
    copy = findings.read(study)
    copy.summary.update(config=config, differences=f"ours: network {name}; paper: network paper")
    for table in (copy["ranking"], copy["runs"], copy["cost"]):
        table.insert(2, "network", "a|b|")
        table.loc[::2, "network"] = name
    opening = findings.opening(copy)
    for body in (as_html(opening), MarkdownIt("commonmark").render(opening)):
        assert f"(ours: network {name}; paper" in body
        assert f"; network {name}, a|b|.<" in body
        assert f"All runs: network {name}, output" in body
    caption = captions.fill_in('"{{ first.network }}".', copy.summary, f"a,network~{name}")
    shown = as_html(caption)
    assert f'"{name}".\nThis page: network {name}.\nAll runs: network {name}, output' in shown
    assert "loss inclusive_iou," in caption

    template = (ROOT / "workflow" / "report" / "workflow.rst").read_text()
    given = SimpleNamespace(config={"results": "my_/results_"})
    page = jinja2.Template(template).render(snakemake=given).partition("opening.rst")[2]
    assert " in my_/results_ (the link" in as_html(page)


def test_opening_is_a_list_of_ten_at_most_that_the_page_begins_with(study, page):
    opening, body = opening_as_html(study)
    assert page.split("workflow.\n")[1].startswith("\n" + opening.strip())
    assert 4 <= body.count("<li>") <= 10
    assert "<strong>The best cell</strong>" in body


def test_the_best_cell_is_no_cheaper_one(study):
    """It ends the list of those that no other beats in time and loss at once."""
    copy = findings.read(study)
    cost = copy["cost"]
    front = cost[cost["pareto_validation_iou_loss"]].sort_values("seconds")
    (line,) = [line for line in findings.opening(copy).splitlines() if "no other beats" in line]
    assert "heaper" not in line
    assert "the cheapest first, with seconds and 1 − IoU on the validation set: batch" in line
    last = front.iloc[-1]
    assert last["validation_iou_loss"] == copy["ranking"]["validation_iou_loss"].iloc[0]
    assert f"learning rate {last['learning_rate']:g} ({text.number(last['seconds'])} s" in line


def test_captions_are_filled_in_and_name_what_is_missing(study):
    summary = json.loads((study / "summary.json").read_text())
    template = "Of {{ numbers.runs }}, {{ numbers.distance_validation | g }} "
    template += "{{ config.results }}"
    expected = text.number(summary["numbers"]["distance_validation"])
    caption = captions.fill_in(template, summary, "a,optimizer~sgd").splitlines()
    assert caption[:2] == [f"Of 240, {expected} results/paper", "This page: optimizer sgd."]
    assert caption[2].startswith("All runs: network paper, output activation linear, loss incl")
    with pytest.raises(ValueError, match=r"'Of .*numbers\.rnus.*cannot be filled in"):
        captions.fill_in("Of {{ numbers.rnus }}", summary)


def test_every_caption_of_the_report_can_be_filled_in(study):
    summary = json.loads((study / "summary.json").read_text())
    others = {"workflow.rst", "found_rates.rst"}
    for path in sorted((ROOT / "workflow" / "report").glob("*.rst")):
        if path.name not in others:
            caption = captions.fill_in(path.read_text(), summary)
            assert "{" not in caption
            assert "–" not in caption, path.name


def test_captions_of_a_third_axis_have_no_numbers_of_its_first_value(tmp_path):
    changes = yaml.safe_load((ROOT / "config" / "config.yaml").read_text())
    changes["grid"]["plateau_patience"] = [None, 2]
    config = configuration.read(changes, SCHEMA)
    histories = fake_study.histories(**fake_study.FULL | {"seeds": 2, "epochs": 3})
    runs = fake_study.runs(histories, 3)
    both = [
        pd.concat([table.assign(plateau_patience=value) for value in ("never", "2")])
        for table in (histories, runs)
    ]
    made = outputs.made(outputs.TABLES, config)
    axes = [*CELL, "plateau_patience"]
    tables = analysis.tables(made.keys(), *both, axes) | {"runs": both[1], "best": best_table(2)}
    study = findings.Study(tmp_path, tables)
    summary = {"config": config, "numbers": findings.numbers(study), "verdicts": False}
    written = {}
    for name in (*made, *outputs.made(outputs.FIGURES, config)):
        template = ROOT / "workflow" / "report" / f"{name.partition(',')[0]}.rst"
        caption = captions.fill_in(template.read_text(), summary, name)
        written[name] = " ".join(caption.split())
    ending = ",plateau_patience~2"
    assert "This page: plateau_patience 2." in written[f"time_fit{ending}"]
    assert "knee" not in written[f"time_fit{ending}"]
    assert "times as long" not in written[f"fig4_training_time{ending}"]
    for name in ("loss_against_updates", "scaling_residuals"):
        assert (
            "fitted to the runs with rates below the one in scaling_fit.csv"
            in (written[f"{name}{ending}"])
        )
        assert "by −" not in written[f"{name}{ending}"]


def test_captions_have_the_numbers_of_the_study(study):
    summary = json.loads((study / "summary.json").read_text())

    def caption(name):
        template = (ROOT / "workflow" / "report" / f"{name}.rst").read_text()
        return " ".join(captions.fill_in(template, summary).split())

    assert "30 epochs × 10 seeds of each cell" in caption("fig4_training_time")
    assert "30 epochs × 10 seeds (one compiled call per epoch)" in caption("seconds_against_loss")
    for name in ("fig5_predictions", "fig6_error_by_side", "fig7_error_by_size"):
        assert "seed 0" in caption(name)
    assert "the runs with rates below 0.1" in caption("scaling_residuals")
    assert "(Fig. 1): one white box on black, 128 × 128 px. Sides" in caption("fig1_dataset")
    summary["config"]["data"]["scene"] = {"noise": 0.1, "discs": 2, "lines": 0}
    assert "harder images of the same boxes (discs 2, noise 0.1), 128" in caption("fig1_dataset")
    claims = pd.read_csv(study / "tables" / "claims.csv")
    held = (claims.loc[claims["main"], "verdict"] == "holds").sum()
    assert f"{held} hold," in caption("claims")


@pytest.mark.parametrize(
    ("rate", "said"),
    [
        # By a plateau, or by the cosine of the schedule.
        (
            0.1,
            "learning rate 0.1, stop patience never, plateau patience 2, the rate lowered during",
        ),
        (0.05, "batch size 16, learning rate 0.05, stop patience never, plateau patience 2; 10 of"),
        (
            "auto",
            "batch size 16, learning rate auto, stop patience never, plateau patience 2; 10 of",
        ),
    ],
)
def test_the_best_rate_may_fall_or_be_found(study, rate, said):
    copy = findings.read(study)
    copy.tables["best"] = copy["best"].assign(learning_rate=rate)
    assert said in findings.page(copy, study)


def test_the_best_parametrization_is_named_with_further_axes(study):
    copy = findings.read(study)
    copy.tables["best"] = copy["best"].assign(network="roi")
    copy["ranking"].insert(2, "network", "roi")
    pages = importlib.import_module("boxest.report.findings.page")
    said = "batch size 16, learning rate 0.1, roi, stop patience never, plateau patience 2"
    assert pages._best(copy)["words"] == said


def test_cells_may_have_different_numbers_of_seeds(study):
    copy = findings.read(study)
    copy.summary["numbers"] |= {"cells": 2, "seeds": 3, "runs": 5, "stopped_early": 1}
    opening = findings.opening(copy)
    assert "- 2 cells with at most 3 seeds each, 5 runs: " in opening
    assert "; 1 run stopped early, " in opening
    for name in ("fig8", "time"):
        copy[name].loc[0, "runs"] = 3
    summary = copy.summary | {"numbers": findings.numbers(copy)}
    said = {
        "fig8": "over at most 10 seeds, and",
        "fig8_final_losses": "deviation over at most 10 seeds, with",
        "variants": "(at most 10 seeds)",
        "fig4_training_time": "30 epochs × at most 10 seeds of each cell",
        "time": "(at most 10 seeds each)",
        "time_fit": "(30 epochs × at most 10 seeds each)",
        "seconds_against_loss": "from 30 epochs × at most 10 seeds (one compiled call per epoch)",
    }
    for name, words in said.items():
        template = (ROOT / "workflow" / "report" / f"{name}.rst").read_text()
        assert words in " ".join(captions.fill_in(template, summary).split()), name


def test_the_best_cell_is_that_of_the_first_condition(study):
    """Under an easier one, others have smaller losses."""
    copy = findings.read(study)
    for name in ("fig8", "ranking", "cost", "runs"):
        place = 2 if name in ("fig8", "ranking") else len(copy[name].columns)
        halves = [copy[name].copy() for _ in range(2)]
        halves[1][[column for column in halves[1] if "_iou_loss" in column]] *= 0.5
        for half, condition in zip(halves, ("clean", "easy"), strict=True):
            half.insert(place, "condition", condition)
        copy.tables[name] = pd.concat(halves, ignore_index=True)
    copy.tables["best"] = copy["best"].assign(condition="clean")
    opening = findings.opening(copy)
    assert "- **The best cell** by its validation loss under the first condition is" in opening
    assert "on 10,000 images of 128 px, but for what the conditions change; " in opening
    with_others = {"config": copy.summary["config"] | {"grid": {"seeds": 1}}}
    del copy.tables["scaling_fit"]
    summary = copy.summary | with_others | {"numbers": findings.numbers(copy)}
    template = (ROOT / "workflow" / "report" / "test_losses.rst").read_text()
    caption = " ".join(captions.fill_in(template, summary).split())
    assert caption.startswith("Geometric loss of every run of the best cell of each network and")
    assert "Under the first condition, the best cell by its validation loss is" in caption


def test_where_every_run_diverged_there_is_no_best_cell(study):
    copy = findings.read(study)
    for name, ending in {"ranking": "_iou_loss", "scaling_residuals": "residual"}.items():
        copy[name].loc[:, copy[name].columns.str.contains(ending)] = np.nan
    copy["scaling_fit"]["p_value"] = np.nan
    page = findings.page(copy, study)
    assert "- **Every run diverged**: there is no best cell." in page
    assert "**The best cell**" not in page
    assert "No cell is off" not in page


def test_the_farthest_cell_is_not_farther_where_it_lies_below_the_curve(study):
    """0.8 times the curve is 20 % off it: the curve is 25 % off that cell."""
    copy = findings.read(study)
    fitted = copy["scaling_residuals"]["fitted"]
    copy["scaling_residuals"].loc[fitted, "residual"] = np.log([1.1, 0.8] * 9)
    page = findings.page(copy, study)
    assert "The losses of 18 cells are −20 % to +10 % off it." in page
    assert "gives the loss of each cell to within 20 %" in page


def test_tiny_losses_keep_their_digits(study):
    copy = findings.read(study)
    copy["ranking"][["validation_iou_loss", "validation_iou_loss_sd"]] *= 1e-5
    copy["best"]["validation_iou_loss"] *= 1e-5
    (best,) = [line for line in findings.opening(copy).splitlines() if "The best cell" in line]
    assert "1 − IoU is 0.000" not in best
    assert "e−06 ± " in best
    assert row(findings.page(copy, study), "| validation set |")[2] == "1.7e−06 ± 3e−08"


def test_the_run_that_is_shown_did_not_diverge(study):
    copy = findings.read(study)
    copy["best"]["diverged"] = copy["best"]["seed"] < 2
    assert findings.numbers(copy)["shown_seed"] == 2
    copy["best"]["diverged"] = True
    assert findings.numbers(copy)["shown_seed"] == 0


def test_a_mean_without_the_seeds_that_diverged_is_not_one_of_all_seeds(study):
    copy = findings.read(study)
    names = ("best", "fig5_predictions", "fig6_error_by_side", "fig7_error_by_size")

    def captioned():
        summary = copy.summary | {"numbers": findings.numbers(copy)}
        for name in names:
            template = (ROOT / "workflow" / "report" / f"{name}.rst").read_text()
            yield " ".join(captions.fill_in(template, summary).split())

    assert all("ver all seeds (10)" in caption for caption in captioned())
    copy["best"]["diverged"] = copy["best"]["seed"] < 2
    for caption in captioned():
        assert "ver the seeds that did not diverge (8 of 10)" in caption


def test_published_results_are_whole_and_give_the_same_page(study, tmp_path):
    times = write(tmp_path / "timing", seeds=2, epochs=2)
    variants = write_variants(tmp_path / "forensics", {"linear": 1})
    of = {"architectures": ("clean",), "harder": ("clean", "dark")}
    networks = [
        str(write_ranking(tmp_path / name, *several(of=conditions)))
        for name, conditions in of.items()
    ]
    config = json.loads((study / "summary.json").read_text())
    config["config"]["findings"] = {"times": [str(times)], "studies": [str(variants), *networks]}
    shutil.copytree(study, tmp_path / "paper")
    study = tmp_path / "paper"
    (study / "summary.json").write_text(json.dumps(config))
    runs = pd.read_csv(study / "tables" / "runs.csv")
    runs["run"] = [str(tmp_path / "runs" / str(i)) for i in runs.index]
    runs.to_csv(study / "tables" / "runs.csv", index=False)
    for i, run in runs.iterrows():
        Path(run["run"]).mkdir(parents=True)
        np.save(Path(run["run"]) / "followed.npy", np.full((run["epochs"], 12, 4), i / 1024))
    whole = findings.with_others(study)
    (tmp_path / "reference" / "stale").mkdir(parents=True)
    target, page = tmp_path / "reference", tmp_path / "docs" / "findings.md"
    findings.publish(whole, target, page, ["snakemake --cores all"])
    names = {path.name for path in target.iterdir()}
    assert names == {"README.md", "provenance.json", "paper", "timing", "forensics", *of}
    for path in study.glob("tables/*.csv"):
        assert (target / "paper" / "tables" / path.name).read_bytes() == path.read_bytes()
    copy = findings.with_others(target / "paper", beside=True)
    followed = np.load(target / "paper" / "followed.npz")["boxes"]
    assert followed.shape == (len(copy["histories"]), 12, 4)
    assert (followed[:, 0, 0] * 1024).tolist() == np.repeat(runs.index, runs["epochs"]).tolist()
    for heading in ("## What the paper leaves open", "## Other architectures", "## Harder data"):
        assert page.read_text().count(heading) == 1
    assert findings.page(copy, page.parent) == page.read_text()
    assert "(../reference/paper/figures/" in page.read_text()
    made = json.loads((target / "provenance.json").read_text())
    assert made["studies"]["timing"]["machine"]["cores"] >= 1
    readme = (target / "README.md").read_text()
    assert "snakemake --cores all" in readme
    assert findings.readme(made) == readme
    made["studies"]["timing"]["remarks"] = ["on a Sunday."]
    made["studies"]["timing"]["machine"]["processor"] = "Z80"
    assert findings.readme(made).endswith("\n- timing: on a Sunday.\n")
    (target / "provenance.json").write_text(json.dumps(made))

    # One study anew: those that are named by their committed folder stay, and so do remarks.
    config["config"]["findings"]["times"] = [str(target / "timing")]
    (study / "summary.json").write_text(json.dumps(config))
    shutil.rmtree(times)
    kept = {path: path.read_bytes() for path in target.rglob("*.csv")}
    findings.publish(findings.with_others(study), target, page, ["snakemake --cores 1"])
    assert {path: path.read_bytes() for path in target.rglob("*.csv")} == kept
    again = json.loads((target / "provenance.json").read_text())
    assert again["studies"]["timing"] == made["studies"]["timing"]
    assert again["studies"]["harder"]["machine"] == made["studies"]["harder"]["machine"]
    assert "Z80" in (target / "README.md").read_text()


def test_provenance_is_that_of_the_runs_of_the_study(tmp_path):
    """Folders of an earlier configuration stay in the results, and are no part of it."""
    about = {"boxest_commit": "c", "boxest_version": "1", "python_version": "3", "backend": "jax"}
    about |= {"keras_version": "3", "backend_version": "0.9"}
    devices = {"batch_size~4": "NVIDIA H200", "batch_size~16": "cpu", "batch_size~8": "Old GPU"}
    for cell, device in devices.items():
        path = tmp_path / "runs" / cell / "seed~0" / "run.json"
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps({"runtime": about | {"device": device}}))
    listed = [{"cell": cell, "seed": 0} for cell in list(devices)[:2]]
    (tmp_path / "study.json").write_text(json.dumps(listed))
    made = summary.provenance(tmp_path)
    assert (made["runs"], made["gpus"]) == (2, ["NVIDIA H200"])
    made |= {"machine": {"cores": 2, "processor": "Z80", "system": "CP/M"}, "tables": "d"}
    readme = findings.readme({"studies": {"paper": made}, "commands": []})
    assert "| paper | 2 | – | 0.00 h | 2 cores, Z80, CP/M, NVIDIA H200 |" in readme


def test_a_directory_without_tables_is_named(tmp_path, study):
    with pytest.raises(ValueError, match=r"holds no finished study: it has no summary\.json"):
        findings.read(tmp_path)
    copy = tmp_path / "study"
    shutil.copytree(study, copy, ignore=shutil.ignore_patterns("best*"))
    with pytest.raises(ValueError, match=r"best\.csv is missing: run the study of"):
        findings.read(copy)
    with pytest.raises(ValueError, match="has no table 'best'"):
        findings.numbers(findings.read(copy, tables=["fig8"]))


def test_numbers_that_do_not_exist_are_written_as_such():
    assert text.number(np.nan) == "–"
    assert [text.number(n) for n in (999.4, 999.7, -999.7)] == ["999", "1000", "−1000"]
    assert text.table(["a", "b"], [(1, 2)]) == ["| a | b |", "| --- | ---: |", "| 1 | 2 |", ""]
