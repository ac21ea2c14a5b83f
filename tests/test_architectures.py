"""Networks beside each other: tables with known answers, figures, the words made of them."""

import fake_study
import numpy as np
import pandas as pd
import pytest
from conftest import ROOT
from test_figures import texts

from boxest import analysis, conditions, figures, findings, pages
from boxest.findings.images import Figures

# Filled in with the numbers of a study of architectures.
CAPTIONS = ["architecture_runs", "architectures", "architectures_by_side", "architectures_by_size"]
CAPTIONS += ["conditions"]
PAPER = ("clean", "paper", "giou", "sgd")


def finished(
    combination=PAPER, seed=0, losses=(0.5, 0.2, 0.1), seconds=1.0, parameters=16656, tested=None
):
    """Return a run whose geometric validation loss is `losses`, by epoch."""
    losses, n = np.array(losses, float), len(losses)
    history = pd.DataFrame({"epoch": range(1, n + 1), "train_seconds": seconds})
    history["validation_iou_loss"] = losses
    run = {"seed": seed, "batch_size": 64, "learning_rate": 0.1, "epochs": n, "planned_epochs": n}
    run |= {"stopped_early": False, "diverged": np.isnan(losses[-1]), "n_parameters": parameters}
    for name in ("train_loss", "validation_loss", "validation_iou_loss"):
        run[name] = losses[-1]
    run["validation_inclusive_iou_loss"] = losses[-1] / 4
    if tested is None:
        tested = predictions([4, 12, 40], [2 * losses[-1], losses[-1], losses[-1] / 2])
    names = dict(zip(conditions.COMBINATION, combination, strict=True))
    return names, history, pd.DataFrame([run]), tested


def predictions(sides, losses):
    table = pd.DataFrame({"smallest_side": sides, "iou_loss": losses}, dtype=float)
    table["inclusive_iou_loss"] = table["iou_loss"] / 4
    return table.assign(width=table["smallest_side"], height=2 * table["smallest_side"])


def several(networks=("paper", "roi"), of=("clean", "dark"), seeds=3):
    """Return runs in which the second network has a tenth of the loss, and half of the weights."""
    return [
        finished(
            (condition, network, loss, "adam"),
            seed,
            losses=0.1**i * (1 + 0.1 * seed + j) * factor * np.array([0.6, 0.03]),
            seconds=1 + i,
            parameters=16656 // (i + 1),
        )
        for j, condition in enumerate(of)
        for i, network in enumerate(networks)
        for factor, loss in enumerate(("giou", "iou"), 1)
        for seed in range(seeds)
    ]


# --- tables ----------------------------------------------------------------------------------


def test_small_objects_have_losses_of_their_own():
    sides = [7, 7.9999999, 8, 15, 16, 100]
    tested = analysis.tested_losses(predictions(sides, [0.6, 0.8, 0.1, 0.1, 0.1, 0.1]))
    assert (tested["boxes"], tested["boxes_below_8px"], tested["boxes_below_16px"]) == (6, 1, 4)
    assert tested["iou_loss_below_8px"] == pytest.approx(0.6)
    assert tested["iou_loss_below_16px"] == pytest.approx(1.6 / 4)
    assert tested["iou_loss"] == pytest.approx(0.3)
    assert tested["inclusive_iou_loss_below_8px"] == pytest.approx(0.15)


def test_no_small_object_and_no_prediction_have_no_loss():
    tested = analysis.tested_losses(predictions([20, 30], [0.1, np.nan]))
    assert np.isnan(tested["iou_loss"])
    assert np.isnan(tested["iou_loss_below_8px"])
    assert tested["boxes_below_16px"] == 0


def test_runs_have_a_row_each_with_the_first_good_epoch():
    runs = analysis.architecture_runs(
        [
            finished(losses=[0.5, 0.05, 0.06, 0.04], seconds=[9.0, 1.0, 2.0, 1.5]),
            finished(losses=[0.5, 0.4, 0.3, 0.2], seed=1),
        ]
    )
    assert runs["epochs_to_95"].tolist()[0] == 2
    assert np.isnan(runs["epochs_to_95"].iloc[1])
    assert runs["seconds_per_epoch"].tolist() == [1.75, 1.0]
    assert runs["iou_loss_below_8px"].tolist() == pytest.approx([0.08, 0.4])
    assert runs["inclusive_iou_loss"].tolist() == pytest.approx([0.04 * 3.5 / 12, 0.2 * 3.5 / 12])
    assert list(runs[["condition", "network", "loss", "optimizer"]].iloc[0]) == list(PAPER)
    assert not runs["diverged"].any()


def test_equal_time_is_that_of_the_best_combination_of_the_paper():
    roi, worse = ("clean", "roi", "giou", "sgd"), ("clean", "paper", "iou", "sgd")
    runs = analysis.architecture_runs(
        [
            finished(losses=[0.4, 0.3, 0.2, 0.1], seconds=1.0),
            finished(worse, losses=[0.9, 0.9, 0.9, 0.9], seconds=50.0),
            # In 4 s: two epochs of 2 s.
            finished(roi, losses=[0.2, 0.04, 0.01, 0.001], seconds=2.0),
            finished(("clean", "slow", "giou", "sgd"), losses=[0.2, 0.1, 0.1, 0.1], seconds=5.0),
            finished(("dark", "roi", "giou", "sgd"), losses=[0.2, 0.1, 0.1, 0.1], seconds=1.0),
        ]
    )
    expected = [0.1, np.nan, 0.04, np.nan, np.nan]
    np.testing.assert_array_equal(runs["equal_time_iou_loss"], expected)


def test_combinations_have_mean_and_spread_over_the_runs_that_did_not_diverge():
    runs = [finished(losses=[0.5, 0.06]), finished(losses=[0.5, 0.04], seed=1)]
    runs += [finished(losses=[0.5, np.nan], seed=2)]
    table = analysis.rank_architectures(analysis.architecture_runs(runs))
    (row,) = table.to_dict("records")
    assert (row["runs"], row["diverged"], row["stopped_early"], row["reached_95"]) == (3, 1, 0, 1)
    assert row["validation_iou_loss"] == pytest.approx(0.05)
    assert row["validation_iou_loss_sd"] == pytest.approx(0.02 / np.sqrt(2))
    assert row["iou_loss_below_8px"] == pytest.approx(0.1)
    assert row["inclusive_iou_loss_sd"] == pytest.approx(0.02 / np.sqrt(2) * 3.5 / 12)
    assert row["epochs_to_95"] == 2
    assert row["boxes_below_16px"] == 2


def test_rank_is_by_validation_loss_and_divergence_comes_last():
    clean = [("clean", network, "giou", "sgd") for network in ("a", "b", "c")]
    tested = predictions([4], [0.9])
    runs = [
        finished(clean[0], losses=[0.5, 0.2]),
        finished(clean[1], losses=[0.5, 0.1], tested=tested),
        finished(clean[2], losses=[0.5, 0.01]),
        finished(clean[2], losses=[0.5, np.nan], seed=1),
        finished(("a_dark", "a", "giou", "sgd"), losses=[0.5, 0.001]),
    ]
    table = analysis.rank_architectures(analysis.architecture_runs(runs))
    assert table["network"].tolist() == ["b", "a", "c", "a"]
    assert table["rank"].tolist() == [1, 2, 3, 1]
    assert table["condition"].tolist() == ["clean", "clean", "clean", "a_dark"]


def test_conditions_have_a_row_each_and_columns_by_network():
    ranking = analysis.rank_architectures(analysis.architecture_runs(several()))
    table = analysis.condition_table(ranking, {"dark": "noise 0.2"}).set_index("condition")
    assert table["data"].tolist() == ["", "noise 0.2"]
    # giou, the better one: 3.5 / 3 of the last validation loss, over three seeds.
    assert table.loc["clean", "paper_iou_loss"] == pytest.approx(0.03 * 1.1 * 3.5 / 3)
    assert table.loc["dark", "paper_iou_loss"] == pytest.approx(0.03 * 2.1 * 3.5 / 3)
    assert table.loc["dark", "roi_inclusive_iou_loss"] == pytest.approx(0.003 * 2.1 * 3.5 / 12)
    assert table.loc["clean", "roi_iou_loss_sd"] == pytest.approx(0.0003 * 3.5 / 3)
    assert table["paper_runs"].tolist() == [3, 3]


def test_shown_are_the_best_of_the_paper_and_the_best_of_all():
    runs = analysis.architecture_runs(several())
    ranking = analysis.rank_architectures(runs)
    rows = runs.loc[analysis.shown_runs(runs, ranking), ["condition", "network", "loss", "seed"]]
    assert rows.to_numpy().tolist() == [["clean", "paper", "giou", 0], ["clean", "roi", "giou", 0]]
    alone = runs[runs["network"] == "paper"]
    assert len(analysis.shown_runs(alone, analysis.rank_architectures(alone))) == 1
    gone = runs.assign(diverged=runs["seed"] == 0)
    assert gone.loc[analysis.shown_runs(gone, ranking), "seed"].tolist() == [1, 1]


def test_a_run_twice_and_no_run_are_refused():
    with pytest.raises(ValueError, match=r"a run is there twice, .*'seed': 0"):
        analysis.architecture_runs([finished(), finished()])
    with pytest.raises(ValueError, match="there are no runs to compare"):
        analysis.architecture_runs([])
    names, history, run, tested = finished()
    with pytest.raises(ValueError, match=r"runs lacks the columns \['n_parameters'\]"):
        analysis.architecture_runs([(names, history, run.drop(columns="n_parameters"), tested)])


# --- figures ---------------------------------------------------------------------------------


def drawn(axes, gid):
    return sorted(x for line in axes.lines if line.get_gid() == gid for x in line.get_xdata())


def test_architectures_have_a_dot_per_run_and_a_line_at_the_mean():
    runs = analysis.architecture_runs(several())
    figure = figures.architectures(runs)
    clean = runs[runs["condition"] == "clean"]
    for axes, name in zip(figure.axes, ("iou_loss", "iou_loss_below_8px"), strict=True):
        assert drawn(axes, "runs") == pytest.approx(sorted(clean[name]))
        means = clean.groupby(["network", "loss"])[name].mean()
        assert drawn(axes, "mean") == pytest.approx(sorted(means))
        assert axes.get_xscale() == "log"
    labels = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert labels == ["GIoU", "IoU", "GIoU", "IoU"]
    assert {"paper", "roi", "Adam"} <= set(texts(figure).splitlines())
    assert "3 seeds each" in texts(figure)


def test_diverged_runs_are_counted_and_not_drawn():
    runs = analysis.architecture_runs([finished(), finished(seed=1, losses=[0.5, np.nan])])
    figure = figures.architectures(runs)
    assert "1 diverged" in texts(figure)
    assert len(drawn(figure.axes[0], "runs")) == 1
    nothing = figures.architectures(runs[runs["diverged"]])
    assert "all runs diverged" in texts(nothing)


def test_objects_that_are_not_there_are_said_to_be_missing():
    tested = predictions([20, 30], [0.1, 0.2])
    figure = figures.architectures(analysis.architecture_runs([finished(tested=tested)]))
    assert "no such objects" in texts(figure)


def test_conditions_have_the_best_combination_of_each_network():
    runs = analysis.architecture_runs(several())
    figure = figures.conditions(runs, analysis.rank_architectures(runs))
    best = runs[runs["loss"] == "giou"]
    assert drawn(figure.axes[0], "runs") == pytest.approx(sorted(best["iou_loss"]))
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == ["clean", "dark"]


def test_errors_of_several_runs_stand_side_by_side():
    tested = {name: fake_study.predictions(200, seed=i) for i, name in enumerate("ab")}
    histogram = figures.error_histogram(tested, metric="iou_loss")
    assert len(histogram.axes) == 4
    titles = [axes.get_title() for axes in histogram.axes[:2]]
    means = [f"{table['iou_loss'].mean():.3f}" for table in tested.values()]
    assert titles == [f"{n}\nerror = 1 − IoU: mean {m}" for n, m in zip("ab", means, strict=True)]
    scatter = figures.error_scatter(tested, metric="iou_loss")
    assert [axes.get_title() for axes in scatter.axes[:2]] == titles
    with pytest.raises(ValueError, match="must name at least one table"):
        figures.error_scatter({})


# --- words -----------------------------------------------------------------------------------


def write(root, runs):
    """Write a study of architectures."""
    table = analysis.architecture_runs(runs)
    ranking = analysis.rank_architectures(table)
    by_condition = analysis.condition_table(ranking, {"dark": "scene.noise 0.2"})
    tables = {"architecture_runs": table, "architectures": ranking, "conditions": by_condition}
    for name, content in tables.items():
        (root / "tables").mkdir(parents=True, exist_ok=True)
        content.to_csv(root / "tables" / f"{name}.csv", index=False)
    return findings.read(root)


class Whole:
    """A study that tells of others."""

    def __init__(self, architectures=(), harder=()):
        self.architectures, self.harder = architectures, harder


def told(kind, study, root):
    form = {"section": "architectures", "harder": "harder"}[kind]
    page = getattr(findings.architectures, kind)(Whole(**{form: [study]}), Figures(root))
    return "\n".join(page)


def test_nothing_is_said_without_a_study(tmp_path):
    assert findings.architectures.section(Whole(), Figures(tmp_path)) == []
    assert findings.architectures.harder(Whole(), Figures(tmp_path)) == []


def test_the_best_combination_is_told_with_what_it_meets(tmp_path):
    page = told("section", write(tmp_path, several()), tmp_path)
    assert "### 2 networks, 4 combinations, 3 seeds" in page
    assert "12 runs of 2 epochs at batch size 64, of which 0 diverged" in page
    assert "The test set has 3 objects, 1 of them below 8 px and 2 of them below 16 px" in page
    assert "The best is `roi` with giou and adam." in page
    # 3.5 / 3 of 0.0033, and twice that where the side is 4 px.
    assert "- 1 − IoU of at most 0.002 on the test set: 0.0038, **not met**." in page
    assert "where the smallest side is below 8 px: 0.0066, **met**." in page
    assert "- fewer parameters than `paper`: 8,328 of 16,656, **met**." in page
    assert "- no more time per epoch than `paper`: 2 times that, **not met**." in page
    assert "| 1 | roi | giou | adam | 0.0038 ± 0.0003 | 0.0066 ± 0.0006 |" in page
    assert "| 8,328 | 2 | 2 | 0 |" in page
    # In 2 s, `roi` has had one epoch of two: 0.06 in place of 0.03.
    assert "- `roi` with giou and adam: 0.0660, 2 times that, **not halved**." in page
    assert "nan" not in page


def test_an_error_that_is_halved_in_equal_time_is_told(tmp_path):
    roi = ("clean", "roi", "giou", "sgd")
    runs = [finished(), finished(roi, losses=[0.5, 0.2, 0.05])]
    page = told("section", write(tmp_path, runs), tmp_path)
    assert "it has a geometric validation loss of 0.100." in page
    assert "- `roi` with giou and sgd: 0.0500, 0.5 times that, **at least halved**." in page
    assert "| 16,656 | 1 | 3 | 0 |" in page


def test_a_study_of_the_paper_alone_and_one_without_it_have_a_page(tmp_path):
    runs = [finished(), finished(seed=1, losses=[0.5, np.nan])]
    page = told("section", write(tmp_path / "paper", runs), tmp_path)
    assert "The best is `paper` with giou and sgd." in page
    assert "fewer parameters" not in page
    assert "| never | 1 |" in page
    other = [finished(("clean", "roi", "giou", "sgd"), losses=[0.5, np.nan])]
    page = told("section", write(tmp_path / "roi", other), tmp_path)
    assert "on the test set: –, **unknown**." in page
    assert "At equal training time" not in page


def test_conditions_are_told_by_network(tmp_path):
    page = told("harder", write(tmp_path, several()), tmp_path)
    assert "### 2 networks, 2 conditions, 3 seeds" in page
    assert "| condition | data | paper, 1 − IoU | roi, 1 − IoU |" in page
    assert "| dark | scene.noise 0.2 | 0.0735 ± 0.0035 | 0.0073 ± 0.0004 |" in page
    assert "| dark | scene.noise 0.2 | 0.0184 ± 0.0009 | 0.0018 ± 0.0001 |" in page
    assert (
        "- `paper` stands 1 of 2 conditions: clean. The hardest is dark, with 1.9 times its "
        "1 − IoU under clean." in page
    )
    assert "- `roi` stands 2 of 2 conditions: clean, dark." in page


def test_captions_are_filled_in_with_the_numbers_of_the_study(tmp_path):
    study = write(tmp_path, several())
    summary = {"config": {}, "numbers": findings.architecture_numbers(study)}
    for name in CAPTIONS:
        caption = pages.caption((ROOT / f"workflow/report/{name}.rst").read_text(), summary)
        assert "{" not in caption
        assert "nan" not in caption
    caption = pages.caption((ROOT / "workflow/report/architectures.rst").read_text(), summary)
    assert "roi with giou and adam: 0.00385 by" in " ".join(caption.split())
