"""Cells beside each other: tables with known answers, figures, the words made of them."""

import json

import fake_study
import numpy as np
import pandas as pd
import pytest
from test_figures import texts

from boxest import analysis, figures
from boxest.report import findings
from boxest.report.findings import ranking as words
from boxest.report.findings.figures import Figures

OTHERS = ["condition", "network", "loss", "optimizer"]
PAPER = ("clean", "paper", "giou", "sgd")


def run(cell=PAPER, seed=0, losses=(0.5, 0.2, 0.1), seconds=1.0, parameters=16656, tested=None):
    """Return a run whose geometric validation loss is `losses`, by epoch: runs and histories."""
    losses, n = np.array(losses, float), len(losses)
    names = {"batch_size": 64, "learning_rate": 0.1, **dict(zip(OTHERS, cell, strict=True))}
    history = pd.DataFrame({"epoch": range(1, n + 1), "train_seconds": seconds})
    history["validation_iou_loss"] = losses
    if tested is None:
        tested = predictions([4, 12, 40], [2 * losses[-1], losses[-1], losses[-1] / 2])
    row = names | {
        "seed": seed, "epochs": n, "planned_epochs": n, "stopped_early": False,
        "diverged": bool(np.isnan(losses[-1])), "n_parameters": parameters,
        "train_loss": losses[-1], "validation_loss": losses[-1],
        "validation_iou_loss": losses[-1], "validation_inclusive_iou_loss": losses[-1] / 4,
        "seconds_per_epoch": seconds, "epochs_to_95": analysis.good_epoch(history),
        **analysis.tested_losses(tested), "run": f"runs/{'/'.join(cell)}/seed~{seed}",
    }  # fmt: skip
    return row, history.assign(**names, seed=seed)


def tables(runs):
    rows, histories = zip(*runs, strict=True)
    return pd.DataFrame(rows), pd.concat(histories, ignore_index=True)


def predictions(sides, losses):
    table = pd.DataFrame({"smallest_side": sides, "iou_loss": losses}, dtype=float)
    return table.assign(inclusive_iou_loss=table["iou_loss"] / 4)


def several(networks=("paper", "roi"), of=("clean", "dark"), seeds=3):
    """Return runs in which the second network has a tenth of the loss, and half of the weights."""
    return tables(
        run(
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
    )


# --- tables ----------------------------------------------------------------------------------


def test_small_objects_have_losses_of_their_own():
    sides = [7, 7.9999999, 8, 15, 16, 100]
    tested = analysis.tested_losses(predictions(sides, [0.6, 0.8, 0.1, 0.1, 0.1, 0.1]))
    assert (tested["boxes"], tested["boxes_below_8px"], tested["boxes_below_16px"]) == (6, 1, 4)
    assert tested["test_iou_loss_below_8px"] == pytest.approx(0.6)
    assert tested["test_iou_loss_below_16px"] == pytest.approx(1.6 / 4)
    assert tested["test_inclusive_iou_loss_below_8px"] == pytest.approx(0.15)
    none = analysis.tested_losses(predictions([20, 30], [0.1, np.nan]))
    assert np.isnan([none["test_iou_loss"], none["test_iou_loss_below_8px"]]).all()


def test_the_first_good_epoch():
    history = pd.DataFrame({"epoch": [1, 2, 3, 4], "validation_iou_loss": [0.5, 0.05, 0.06, 0.04]})
    assert analysis.good_epoch(history) == 2
    assert np.isnan(analysis.good_epoch(history[:1]))


def test_cells_have_mean_and_spread_over_the_runs_that_did_not_diverge():
    runs, _ = tables(
        [run(losses=[0.5, 0.06]), run(losses=[0.5, 0.04], seed=1), run(losses=[np.nan], seed=2)]
    )
    (row,) = analysis.rank(runs, OTHERS).to_dict("records")
    assert (row["runs"], row["diverged"], row["stopped_early"], row["reached_95"]) == (3, 1, 0, 1)
    assert row["validation_iou_loss"] == pytest.approx(0.05)
    assert row["validation_iou_loss_sd"] == pytest.approx(0.02 / np.sqrt(2))
    assert row["test_iou_loss_below_8px"] == pytest.approx(0.1)
    assert (row["epochs_to_95"], row["boxes_below_16px"]) == (2, 2)


def test_rank_is_by_validation_loss_and_divergence_comes_last():
    clean = [("clean", network, "giou", "sgd") for network in ("a", "b", "c")]
    runs, _ = tables(
        [
            run(clean[0], losses=[0.5, 0.2]),
            run(clean[1], losses=[0.5, 0.1], tested=predictions([4], [0.9])),
            run(clean[2], losses=[0.5, 0.01]),
            run(clean[2], losses=[0.5, np.nan], seed=1),
            run(("a_dark", "a", "giou", "sgd"), losses=[0.5, 0.001]),
        ]
    )
    table = analysis.rank(runs, OTHERS)
    assert table["network"].tolist() == ["b", "a", "c", "a"]
    assert table["rank"].tolist() == [1, 2, 3, 1]
    # The best is under the condition that others are compared with.
    assert analysis.best_runs(runs, OTHERS) == ["runs/clean/b/giou/sgd/seed~0"]
    # Which one that is, the order of the rows, by batch size, does not say.
    of = analysis.best_runs(runs[::-1], OTHERS, "clean")
    assert of == ["runs/clean/b/giou/sgd/seed~0"]


def test_equal_time_is_that_of_the_best_cell_of_the_paper():
    roi, worse = ("clean", "roi", "giou", "sgd"), ("clean", "paper", "iou", "sgd")
    runs, histories = tables(
        [
            run(losses=[0.4, 0.3, 0.2, 0.1], seconds=1.0),
            run(worse, losses=[0.9, 0.9, 0.9, 0.9], seconds=50.0),
            # In 4 s: two epochs of 2 s.
            run(roi, losses=[0.2, 0.04, 0.01, 0.001], seconds=2.0),
            run(("clean", "slow", "giou", "sgd"), losses=[0.2, 0.1, 0.1, 0.1], seconds=5.0),
            run(("dark", "roi", "giou", "sgd"), losses=[0.2, 0.1, 0.1, 0.1], seconds=1.0),
        ]
    )
    table = analysis.rank(runs, OTHERS, histories).set_index(["condition", "network", "loss"])
    losses = table["equal_time_iou_loss"]
    assert losses["clean", "paper", "giou"] == 0.1
    assert losses["clean", "roi", "giou"] == 0.04
    assert losses.drop([("clean", "paper", "giou"), ("clean", "roi", "giou")]).isna().all()


def test_predictions_that_do_not_look_at_the_images():
    train = np.array([[0.0, 0.0, 0.5, 0.5], [0.5, 0.5, 1.0, 1.0]])
    test = np.array([[0.25, 0.25, 0.75, 0.75]])
    table = analysis.baselines(train, test).set_index("prediction")
    assert table.loc["the whole image", "test_iou_loss"] == pytest.approx(0.75)
    assert table.loc["the mean box of the training set", "test_iou_loss"] == pytest.approx(0)


# --- figures ---------------------------------------------------------------------------------


def drawn(axes, gid):
    return sorted(x for line in axes.lines if line.get_gid() == gid for x in line.get_xdata())


def test_cells_have_a_dot_per_run_and_a_line_at_the_mean():
    runs, _ = several(of=("clean",))
    figure = figures.test_losses(runs, analysis.rank(runs, OTHERS))
    names = ("test_iou_loss", "test_iou_loss_below_8px")
    for axes, name in zip(figure.axes, names, strict=True):
        assert drawn(axes, "runs") == pytest.approx(sorted(runs[name]))
        means = runs.groupby(["network", "loss"])[name].mean()
        assert drawn(axes, "mean") == pytest.approx(sorted(means))
        assert axes.get_xscale() == "log"
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == ["paper", "roi"]
    assert {"GIoU", "IoU"} <= set(texts(figure).splitlines())
    assert "3 seeds each" in texts(figure)


def test_diverged_runs_are_counted_and_not_drawn():
    runs, _ = tables([run(), run(seed=1, losses=[0.5, np.nan])])
    ranking = analysis.rank(runs, OTHERS)
    figure = figures.test_losses(runs, ranking)
    assert "1 diverged" in texts(figure)
    assert len(drawn(figure.axes[0], "runs")) == 1
    assert "all runs diverged" in texts(figures.test_losses(runs[runs["diverged"]], ranking))
    runs, _ = tables([run(tested=predictions([20, 30], [0.1, 0.2]))])
    assert "no such objects" in texts(figures.test_losses(runs, analysis.rank(runs, OTHERS)))


def test_rows_that_are_not_drawn_are_told():
    runs, _ = tables([run(("clean", f"network {i}", "giou", "sgd")) for i in range(42)])
    figure = figures.test_losses(runs, analysis.rank(runs, OTHERS))
    assert len(figure.axes[0].get_yticklabels()) == 40
    assert "every run in the best 40 of 42 rows, 1 seed each" in texts(figure)


def test_conditions_have_the_best_cell_of_each_network():
    runs, _ = several()
    figure = figures.test_losses(runs, analysis.rank(runs, OTHERS))
    best = runs[runs["loss"] == "giou"]
    assert drawn(figure.axes[0], "runs") == pytest.approx(sorted(best["test_iou_loss"]))
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == ["clean", "dark"]
    assert figure.get_suptitle() == (
        "Test loss of every run of the best cell of each network, 3 seeds each"
    )
    alone = figures.test_losses(best, analysis.rank(best, OTHERS))
    assert alone.get_suptitle() == "Test loss of every run, 3 seeds each"


def test_errors_of_several_runs_stand_side_by_side():
    tested = {name: fake_study.predictions(200, seed=i) for i, name in enumerate("ab")}
    histogram = figures.error_histogram(tested, metric="iou_loss")
    assert len(histogram.axes) == 4
    titles = [axes.get_title() for axes in histogram.axes[:2]]
    means = [f"{table['iou_loss'].mean():.3f}" for table in tested.values()]
    assert titles == [f"{n}\nerror = 1 − IoU: mean {m}" for n, m in zip("ab", means, strict=True)]
    with pytest.raises(ValueError, match="must name at least one table"):
        figures.error_scatter({})


# --- words -----------------------------------------------------------------------------------


def write(root, runs, histories, conditions=None, source="synthetic"):
    """Write a study of further axes."""
    conditions = conditions or {"clean": {}, "dark": {"scene": {"noise": 0.2}}}
    made = {"runs": runs, "ranking": analysis.rank(runs, OTHERS, histories)}
    (root / "tables").mkdir(parents=True, exist_ok=True)
    for name, content in made.items():
        content.to_csv(root / "tables" / f"{name}.csv", index=False)
    summary = {"tables": list(made), "figures": [], "numbers": {}, "verdicts": False}
    data = {"source": source, "images": 300, "image_size": 64, "conditions": conditions}
    config = {"data": data, "findings": {"times": [], "studies": []}}
    (root / "summary.json").write_text(json.dumps(summary | {"config": config}))
    return root


def told(root, runs):
    return "\n".join(words.sections(findings.read(write(root, *runs)), Figures(root)))


def test_the_best_cell_is_told_with_what_it_meets(tmp_path):
    page = told(tmp_path, several(of=("clean",)))
    assert "2 × network, 2 × loss, 4 cells, 3 seeds" in page
    assert "12 runs of at most 2 epochs at batch size 64, of which 0 diverged" in page
    assert "3 objects; the smallest side of 1 is below 8 px, of 2 below 16 px." in page
    assert "The best is `roi` with GIoU." in page
    # 3.5 / 3 of 0.0033, and twice that where the side is 4 px.
    assert "- 1 − IoU of at most 0.002 on the test set: 0.0038, **not met**." in page
    assert "where the smallest side is below 8 px: 0.0066, **met**." in page
    assert "- fewer parameters than `paper`: 8,328 of 16,656, **met**." in page
    assert "- no more time per epoch than `paper`: 2 times that, **not met**." in page
    assert "| 1 | roi | GIoU | 0.0038 ± 0.0003 | 0.0066 ± 0.0006 |" in page
    # In 2 s, `roi` has had one epoch of two: 0.06 in place of 0.03.
    assert "- `roi` with GIoU: 0.0660, 2 times that, **not halved**." in page
    assert "nan" not in page


def test_what_a_network_should_reach_on_other_images_is_unknown(tmp_path):
    runs, histories = several(of=("clean",))
    root = write(tmp_path, runs, histories, source="arrays")
    page = "\n".join(words.sections(findings.read(root), Figures(root)))
    assert "- fewer parameters than `paper`: 8,328 of 16,656, **met**." in page
    assert "1 − IoU of at most" not in page
    ranking = analysis.rank(runs, OTHERS)
    assert "aim ≤ 0.002" in texts(figures.test_losses(runs, ranking))
    assert "aim" not in texts(figures.test_losses(runs, ranking, drawn=False))


def test_networks_are_named_where_their_optimizers_tell_them_apart(tmp_path):
    trained = [("paper", "sgd"), ("roi", "momentum"), ("roi", "adam")]
    cells = [("clean", network, "iou", optimizer) for network, optimizer in trained]
    runs, histories = tables([run(cell, losses=[0.5, 0.1 + i]) for i, cell in enumerate(cells)])
    page = told(tmp_path, (runs, histories))
    assert "| 1 | paper | SGD | " in page
    assert "| 3 | roi | Adam | " in page
    figure = figures.test_losses(runs, analysis.rank(runs, OTHERS))
    shown = {label.get_text() for label in figure.axes[0].get_yticklabels()}
    assert shown == {"paper", "roi"}


def test_an_error_that_is_halved_in_equal_time_is_told(tmp_path):
    roi = ("clean", "roi", "giou", "sgd")
    page = told(tmp_path, tables([run(), run(roi, losses=[0.5, 0.2, 0.05])]))
    assert "it has a geometric validation loss of 0.100." in page
    assert "- `roi`: 0.0500, 0.5 times that, **at least halved**." in page


def test_conditions_are_told_by_network(tmp_path):
    page = told(tmp_path, several())
    assert "### 2 networks, 2 conditions, 3 seeds" in page
    data = "300 images of 64 px, unless the condition says otherwise"
    assert f"At most 2 epochs on {data}." in page
    assert "| condition | data | paper, 1 − IoU | roi, 1 − IoU |" in page
    assert "| dark | scene.noise 0.2 | 0.0735 ± 0.0035 | 0.0073 ± 0.0004 |" in page
    assert "| dark | scene.noise 0.2 | 0.0184 ± 0.0009 | 0.0018 ± 0.0001 |" in page
    assert (
        "- `paper` copes with 1 of 2 conditions: clean. The hardest is dark, with 1.9 times its "
        "1 − IoU under clean." in page
    )
    assert "- `roi` copes with 2 of 2 conditions: clean, dark." in page


def test_a_condition_under_which_every_run_diverged_is_named(tmp_path):
    """It has no loss to be the hardest with."""
    cells = {"clean": [0.5, 0.02], "dark": [0.5, 0.04], "fog": [0.5, np.nan]}
    runs = [run((name, "paper", "giou", "sgd"), losses=losses) for name, losses in cells.items()]
    root = write(tmp_path, *tables(runs), conditions={name: {} for name in cells})
    page = "\n".join(words.sections(findings.read(root), Figures(root)))
    assert "clean, dark; every run diverged under fog. The hardest of the others is dark" in page


def test_a_network_need_not_be_trained_under_each_condition(tmp_path):
    """As where cells are listed one by one."""
    runs, histories = several()
    left = [
        table[(table["network"] == "paper") | (table["condition"] == "dark")]
        for table in (runs, histories)
    ]
    page = told(tmp_path, left)
    (line,) = [
        line for line in page.splitlines() if line.startswith("| clean |") and "0.03" in line
    ]
    assert line.endswith("| – |")
    assert "- `roi` copes with 1 of 1 condition: dark. It was not trained under clean." in page
