"""The tables: known answers, limits, and what happens to diverged runs."""

import subprocess
import sys

import fake_study
import numpy as np
import pandas as pd
import pytest
from scipy import stats

from boxest import analysis, figures

LOSSES = [
    "train_loss",
    "train_iou_loss",
    "train_inclusive_iou_loss",
    "validation_loss",
    "validation_iou_loss",
    "validation_inclusive_iou_loss",
]


def make_runs(rows):
    """Return a runs table from (batch size, rate, seed, epochs, loss) rows; NaN loss: diverged."""
    table = pd.DataFrame(rows, columns=["batch_size", "learning_rate", "seed", "epochs", "loss"])
    table = table.assign(planned_epochs=10, diverged=table["loss"].isna(), updates=100)
    table["stopped_early"] = (table["epochs"] < 10) & ~table["diverged"]
    for name in LOSSES:
        table[name] = table["loss"] * (0.5 if name.startswith("train") else 1)
    return table.drop(columns="loss").assign(train_seconds=2.0 * table["epochs"])


@pytest.fixture(scope="module")
def full():
    histories = fake_study.histories(**fake_study.FULL)
    return fake_study.runs(histories, fake_study.FULL["epochs"])


def test_cells_counts_and_means():
    runs = make_runs(
        [
            (16, 0.1, 0, 10, 0.2),
            (16, 0.1, 1, 4, 0.4),
            (16, 0.1, 2, 3, np.nan),
            (4, 0.1, 0, 2, np.nan),
            (4, 0.1, 1, 2, np.nan),
        ]
    )
    four, sixteen = analysis.cells(runs).to_dict("records")
    assert (four["batch_size"], four["runs"], four["diverged"]) == (4, 2, 2)
    assert np.isnan([four["train_loss"], four["validation_loss_sd"], four["similitude"]]).all()
    counts = ["runs", "stopped_early", "diverged", "reached_last_epoch"]
    assert [sixteen[name] for name in counts] == [3, 1, 1, 1]
    assert sixteen["validation_loss"] == pytest.approx(0.3)
    assert sixteen["validation_loss_sd"] == pytest.approx(0.2 / np.sqrt(2))
    assert sixteen["train_iou_loss"] == pytest.approx(0.15)
    assert sixteen["train_iou_loss_sd"] == pytest.approx(0.1 / np.sqrt(2))
    assert all(f"{name}_sd" in sixteen for name in LOSSES)
    assert sixteen["similitude"] == pytest.approx(50)


def test_a_flagged_run_is_left_out_even_if_its_loss_is_finite():
    runs = make_runs([(16, 0.1, 0, 10, 0.2), (16, 0.1, 1, 10, 0.9)])
    runs.loc[1, "diverged"] = True
    assert analysis.cells(runs)["validation_loss"].item() == pytest.approx(0.2)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_loss_that_is_not_finite_counts_as_diverged_without_a_flag(value):
    runs = make_runs([(16, 0.1, 0, 10, 0.2), (16, 0.1, 1, 10, 0.9)])
    runs.loc[1, "train_loss"] = value
    cell = analysis.cells(runs)
    assert cell["diverged"].item() == 1
    assert cell["train_loss"].item() == pytest.approx(0.1)


def test_one_run_has_no_standard_deviation():
    cell = analysis.cells(make_runs([(16, 0.1, 0, 10, 0.2)]))
    assert np.isnan(cell["train_loss_sd"].item())


def test_cells_of_the_full_study_survive_csv(full, tmp_path):
    full.to_csv(tmp_path / "runs.csv", index=False)
    cells = analysis.cells(pd.read_csv(tmp_path / "runs.csv"))
    assert len(cells) == 24
    assert cells["runs"].eq(10).all()
    total = cells[["stopped_early", "diverged", "reached_last_epoch"]].sum(axis=1)
    assert total.eq(cells["runs"]).all()
    pd.testing.assert_frame_equal(cells, analysis.cells(full))


def test_the_input_is_left_alone(full):
    before = full.copy()
    analysis.cells(full)
    analysis.time_table(full)
    analysis.fit_scaling(full)
    pd.testing.assert_frame_equal(full, before)


def test_clear_errors():
    runs = make_runs([(16, 0.1, 0, 10, 0.2)])
    with pytest.raises(ValueError, match=r"lacks the columns \['train_iou_loss'\]"):
        analysis.cells(runs.drop(columns="train_iou_loss"))
    with pytest.raises(ValueError, match="runs has no rows"):
        analysis.cells(runs.iloc[:0])
    with pytest.raises(TypeError, match="must be a pandas DataFrame, got list"):
        analysis.cells([1])
    with pytest.raises(ValueError, match="holds 1 runs twice"):
        analysis.cells(pd.concat([runs, runs], ignore_index=True))
    with pytest.raises(ValueError, match="must hold True or False"):
        analysis.cells(runs.assign(diverged="False"))


def test_paper_cells():
    paper = analysis.paper_cells()
    assert paper.columns.tolist() == [
        "batch_size",
        "learning_rate",
        "train_loss",
        "validation_loss",
        "similitude",
    ]
    assert len(paper) == 21
    row = paper[(paper["batch_size"] == 16) & (paper["learning_rate"] == 0.1)].iloc[0]
    assert row["validation_loss"] == 0.037583
    similitude = 100 * paper["train_loss"] / paper["validation_loss"]
    # Means of ratios or ratios of means, to the digits printed it is the latter.
    np.testing.assert_allclose(paper["similitude"], similitude, rtol=2e-5)


def test_comparison_with_itself_is_zero():
    paper = analysis.paper_cells()
    ours = paper[["batch_size", "learning_rate"]].assign(runs=10, stopped_early=0, diverged=0)
    for part in ("train", "validation"):
        ours[f"{part}_inclusive_iou_loss"] = paper[f"{part}_loss"]
        # Whatever was trained, the paper gives 1 - inclusive IoU.
        ours[f"{part}_loss"], ours[f"{part}_iou_loss"] = 0.7, 0.3
        ours[f"{part}_inclusive_iou_loss_sd"] = 0.01
    table = analysis.comparison(ours)
    assert analysis.distance(table) == 0
    assert table["validation_inclusive_iou_loss_difference_in_se"].eq(0).all()
    assert table["validation_iou_loss"].eq(0.3).all()
    name = "validation_inclusive_iou_loss"
    louder = analysis.comparison(ours.assign(**{name: 1.1 * ours[name]}))
    assert analysis.distance(louder) == pytest.approx(np.log(1.1))
    assert analysis.distance(louder, "train_inclusive_iou_loss") == 0
    # Two means of ten runs each, with a standard deviation of 0.01; four of ours diverged.
    kept = ours.assign(**{name: ours[name] + 0.01}, runs=14, diverged=4)
    off = analysis.comparison(kept)[f"{name}_difference_in_se"]
    np.testing.assert_allclose(off, np.sqrt(5))


def test_comparison_where_one_side_is_missing(full):
    table = analysis.comparison(analysis.cells(full)).set_index(["batch_size", "learning_rate"])
    assert len(table) == 24
    assert table["paper_validation_inclusive_iou_loss"].isna().sum() == 3
    assert np.isnan(table.loc[(4, 0.1), "validation_inclusive_iou_loss"])
    assert table["validation_inclusive_iou_loss_log_ratio"].notna().sum() == 21
    assert np.isfinite(analysis.distance(table.reset_index()))
    assert np.isnan(analysis.distance(table.loc[[(4, 0.1)]]))


def test_comparison_finds_cells_in_spite_of_rounding():
    ours = analysis.cells(make_runs([(16, 0.1**3, 0, 10, 0.2)]))
    assert ours["learning_rate"].item() != 0.001
    assert analysis.comparison(ours)["paper_train_inclusive_iou_loss"].item() == 0.125542


def test_time_is_scaled_to_the_planned_epochs():
    runs = make_runs(
        [
            (16, 0.1, 0, 10, 0.2),
            (16, 0.1, 1, 5, 0.4),
            (16, 0.1, 2, 1, np.nan),
            (4, 0.1, 0, 1, np.nan),
        ]
    )
    runs.loc[1, "train_seconds"] = 15.0
    runs.loc[2, "train_seconds"] = 999.0
    four, sixteen = analysis.time_table(runs).to_dict("records")
    assert (sixteen["runs"], sixteen["diverged"]) == (3, 1)
    names = ["seconds_per_epoch", "seconds_per_epoch_min", "seconds_per_epoch_max"]
    assert [sixteen[name] for name in names] == pytest.approx([2.5, 2, 3])
    assert sixteen["seconds"] == pytest.approx(25)
    assert sixteen["seconds_sd"] == pytest.approx(10 / np.sqrt(2))
    assert np.isnan(four["seconds"])
    assert four["diverged"] == 1


def test_time_of_several_machines_is_told():
    runs = make_runs([(16, 0.1, 0, 10, 0.2), (16, 0.1, 1, 10, 0.2)])
    assert analysis.time_table(runs)["settings"].item() == 1
    assert analysis.time_table(runs.assign(device=["a", "b"]))["settings"].item() == 2


def test_runs_that_were_trained_together_have_no_time():
    runs = make_runs([(16, 0.1, 0, 10, 0.2), (16, 0.1, 1, 10, 0.2), (4, 0.1, 0, 10, 0.2)])
    runs = runs.assign(engine=["compiled", "stacked", "stacked"], train_seconds=[20.0, 1.0, 2.0])
    four, sixteen = analysis.time_table(runs).to_dict("records")
    assert (sixteen["runs"], sixteen["shared"], sixteen["seconds"]) == (2, 1, 20.0)
    assert four["shared"] == 1
    assert np.isnan(four["seconds"])
    assert analysis.time_table(runs.drop(columns="engine"))["shared"].sum() == 0


def test_time_needs_one_number_of_planned_epochs():
    runs = make_runs([(16, 0.1, 0, 10, 0.2), (16, 0.1, 1, 10, 0.2)])
    with pytest.raises(ValueError, match="same planned_epochs"):
        analysis.time_table(runs.assign(planned_epochs=[10, 20]))


def test_fit_time_recovers_the_line():
    sizes = np.array([4, 16, 64, 256, 1024, 4096])
    fit = analysis.fit_time(pd.DataFrame({"batch_size": sizes, "seconds": 60 + 800 / sizes}))
    row = fit.iloc[0]
    assert [row["a"], row["b"], row["r2"]] == pytest.approx([60, 800, 1])
    names = ["a_se", "b_se", "ab_cov", "relative_residual"]
    assert row[names].tolist() == pytest.approx([0] * 4, abs=1e-9)
    assert row["cells"] == 6


def test_fit_time_has_honest_standard_errors():
    sizes = np.repeat([4, 16, 64, 256, 1024, 4096], 4)
    rng = np.random.default_rng(0)
    pulls = []
    for _ in range(300):
        seconds = (60 + 800 / sizes) * (1 + 0.02 * rng.standard_normal(len(sizes)))
        row = analysis.fit_time(pd.DataFrame({"batch_size": sizes, "seconds": seconds})).iloc[0]
        total = np.sqrt(row["a_se"] ** 2 + row["b_se"] ** 2 + 2 * row["ab_cov"])
        off = {"a": row["a"] - 60, "b": row["b"] - 800}
        pulls.append([off["a"] / row["a_se"], off["b"] / row["b_se"], sum(off.values()) / total])
    # Pulls of honest errors have a standard deviation near 1 (t with 22 degrees of freedom: 1.05).
    np.testing.assert_allclose(np.std(pulls, axis=0), 1.05, atol=0.15)
    assert row["ab_cov"] < 0


def test_fit_time_is_not_biased_by_scatter():
    sizes = np.repeat([4, 16, 64, 256, 1024, 4096], 200)
    noise = 1 + 0.2 * np.random.default_rng(0).standard_normal(len(sizes)).clip(-3, 3)
    row = analysis.fit_time(
        pd.DataFrame({"batch_size": sizes, "seconds": (60 + 800 / sizes) * noise})
    ).iloc[0]
    # Weighted with the measured times, it would come out 10 % low.
    assert [row["a"], row["b"]] == pytest.approx([60, 800], rel=0.03)
    assert row["relative_residual"] == pytest.approx(0.2, rel=0.05)


def test_fit_time_limits():
    two = pd.DataFrame({"batch_size": [4, 16, 64], "seconds": [20.0, 11.0, np.nan]})
    row = analysis.fit_time(two).iloc[0]
    assert [row["a"], row["b"], row["cells"]] == pytest.approx([8, 48, 2])
    assert np.isnan(row[["a_se", "ab_cov"]].tolist()).all()
    assert analysis.fit_time(two.iloc[:1])[["a", "b", "r2"]].isna().all(axis=None)
    assert analysis.fit_time(two.assign(seconds=np.nan))["cells"].item() == 0
    with pytest.raises(ValueError, match="must be positive"):
        analysis.fit_time(two.assign(seconds=0.0))


def test_error_levels_at_the_thresholds():
    levels = analysis.error_level([0, 0.1, 0.1001, 0.2, 0.2001, 0.3, 0.3001, 1.5, np.nan])
    assert list(levels[:-1]) == [
        *["negligible"] * 2,
        *["low"] * 2,
        *["medium"] * 2,
        *["big"] * 2,
    ]
    assert levels.isna()[-1]
    assert levels.ordered
    with pytest.raises(ValueError, match="one dimension"):
        analysis.error_level([[0.1]])


def test_errors_by_side():
    predictions = pd.DataFrame(
        {"smallest_side": [5.0, 7.9999999, 8, 30], "iou_loss": [0.9, 0.25, 0.05, np.nan]}
    )
    table = analysis.errors_by_side(predictions, "iou_loss", width=8)
    assert table["side_from"].tolist() == [0, 8, 16, 24]
    assert table["side_to"].tolist() == [8, 16, 24, 32]
    assert table["big"].tolist() == [1, 0, 0, 0]
    assert table["negligible"].tolist() == [0, 1, 0, 0]
    # 7.9999999 is 8 px with the rounding error of the division by the image size.
    assert table["medium"].tolist() == [0, 1, 0, 0]
    with pytest.raises(ValueError, match="at least 1 px"):
        analysis.errors_by_side(predictions, "iou_loss", width=0)
    with pytest.raises(ValueError, match="smallest_side must be finite"):
        analysis.errors_by_side(predictions.assign(smallest_side=np.nan), "iou_loss")


def test_every_prediction_is_counted_once():
    predictions = fake_study.predictions(500)
    for metric in ("iou_loss", "inclusive_iou_loss"):
        table = analysis.errors_by_side(predictions, metric)
        assert table[list(analysis.ERROR_LEVELS)].to_numpy().sum() == 500


def scaled_runs(seeds=3, spread=0.0, shift=0.0):
    """Return runs whose loss is 0.5 * (rate * updates)^-0.3 times noise, and a shift per rate."""
    rng = np.random.default_rng(0)
    rows = [
        (size, rate, seed, 10, np.nan)
        for size in (4, 16, 64, 256)
        for rate in (0.001, 0.01, 0.1)
        for seed in range(seeds)
    ]
    runs = make_runs(rows).assign(diverged=False)
    runs["updates"] = 10 * 8000 // runs["batch_size"]
    noise = np.exp(
        spread * rng.standard_normal(len(runs)) + shift * np.log10(runs["learning_rate"])
    )
    loss = 0.5 * (runs["learning_rate"] * runs["updates"]) ** -0.3 * noise
    return runs.assign(train_loss=loss, validation_loss=loss)


def test_fit_scaling_recovers_a_power_law():
    fit = analysis.fit_scaling(scaled_runs(), degree=1).iloc[0]
    assert [fit["c0"], fit["c1"]] == pytest.approx([np.log10(0.5), -0.3])
    assert fit["residual"] == pytest.approx(0, abs=1e-9)
    curve = analysis.scaling_curve(analysis.fit_scaling(scaled_runs()), [1.0, 100.0])
    np.testing.assert_allclose(curve, [0.5, 0.5 * 100**-0.3])


def test_fit_scaling_tells_one_curve_from_several():
    one = analysis.fit_scaling(scaled_runs(seeds=20, spread=0.1)).iloc[0]
    assert [one["residual"], one["within_cells"]] == pytest.approx([0.1, 0.1], abs=0.015)
    several = analysis.fit_scaling(scaled_runs(seeds=20, spread=0.1, shift=0.5)).iloc[0]
    assert several["within_cells"] == pytest.approx(0.1, abs=0.015)
    assert several["residual"] > 2 * several["within_cells"]


def test_lack_of_fit_has_the_textbook_value():
    """Two runs each at 1, 10, 100, 1000: off a line by +d, −d, −d, +d, and by ±e from there."""
    d, e = 0.03, 0.02
    rows = [
        (10**k, 0.01, seed, 10, 10 ** (-1 - 0.2 * k + sign * d + (-1) ** seed * e))
        for k, sign in enumerate((1, -1, -1, 1))
        for seed in range(2)
    ]
    runs = make_runs(rows).assign(updates=[100 * 10**k for k in range(4) for _ in range(2)])
    fit = analysis.fit_scaling(runs, degree=1).iloc[0]
    assert [fit["lack_of_fit_freedom"], fit["within_freedom"]] == [2, 4]
    assert fit["lack_of_fit"] == pytest.approx((8 * d**2 / 2) / (8 * e**2 / 4))
    assert fit["p_value"] == pytest.approx(stats.f.sf(fit["lack_of_fit"], 2, 4))
    # As many parameters as cells, or one run of each: nothing is left to test.
    for few in (runs[runs["batch_size"] <= 10], runs[runs["seed"] == 0]):
        assert np.isnan(analysis.fit_scaling(few, degree=1)["p_value"].item())


def test_fit_scaling_takes_the_geometric_loss_too():
    runs = scaled_runs()
    runs["validation_iou_loss"] = 2 * runs["validation_loss"]
    fit = analysis.fit_scaling(runs, "validation_iou_loss", degree=1).iloc[0]
    assert fit["loss"] == "validation_iou_loss"
    assert [fit["c0"], fit["c1"]] == pytest.approx([0, -0.3])


def test_fit_scaling_survives_csv_and_few_runs(tmp_path):
    runs = scaled_runs(seeds=1)
    analysis.fit_scaling(runs).to_csv(tmp_path / "fit.csv", index=False)
    fit = pd.read_csv(tmp_path / "fit.csv")
    np.testing.assert_allclose(analysis.scaling_curve(fit, 1.0), 0.5)
    single = analysis.fit_scaling(runs.iloc[:1])
    assert single["degree"].item() == 0
    assert np.isnan(single["residual"].item())
    none = analysis.fit_scaling(runs.assign(diverged=True))
    # 0.1, the largest rate, is not fitted.
    assert (none["runs"].item(), none["diverged"].item()) == (0, 8)
    assert np.isnan(analysis.scaling_curve(none, 1.0))


def test_neither_keras_nor_scikit_learn_is_imported():
    code = (
        "import sys, boxest.analysis, boxest.figures;"
        "print([m for m in ('keras', 'tensorflow', 'jax', 'sklearn', 'matplotlib.pyplot')"
        " if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("column", "table"),
    [
        ("validation_iou_loss", analysis.cells),
        ("train_seconds", analysis.time_table),
        ("updates", analysis.fit_scaling),
    ],
)
def test_nothing_is_averaged_over_a_hole(column, table):
    """A run that says that it did not diverge has all of its numbers."""
    runs = make_runs([(4, 0.1, seed, 10, 0.5) for seed in range(3)]).astype({"updates": float})
    runs.loc[1, column] = np.nan
    with pytest.raises(ValueError, match=rf"no finite {column} for .*'seed': 1.*did not diverge"):
        table(runs)
    table(runs.assign(diverged=[False, True, False]))


def test_best_table_does_not_hide_predictions_that_are_no_numbers():
    runs = make_runs([(16, 0.1, seed, 10, 0.5) for seed in range(2)])
    histories = pd.DataFrame({"seed": [0, 1], "learning_rate_now": 0.1})
    whole = pd.DataFrame({"iou_loss": [0.25, 0.75], "inclusive_iou_loss": [0.1, 0.3]})
    whole["smallest_side"] = 20.0
    tested = [whole, whole.assign(iou_loss=[0.25, np.nan])]
    runs = pd.concat([runs, pd.DataFrame(map(analysis.tested_losses, tested))], axis=1)
    table = analysis.best_table(histories, runs)
    assert table["test_iou_loss"].isna().tolist() == [False, True]
    assert table["test_iou_loss"][0] == 0.5
    assert table["test_inclusive_iou_loss"].tolist() == [0.2, 0.2]
    # A number of the paper's would stand beside losses on any images.
    assert not [name for name in table if "paper" in name]


@pytest.mark.parametrize(("value", "row"), [("never", 0), (2, 1)])
def test_a_number_is_found_in_a_column_with_a_name(tmp_path, value, row):
    """As for the page of a figure: the patience 2 beside one that never ends."""
    table = pd.DataFrame({"plateau_patience": ["never", 2], "rate": [0.1, 0.1]})
    table.to_csv(tmp_path / "runs.csv", index=False)
    for one in (table, pd.read_csv(tmp_path / "runs.csv")):
        found = analysis.rows_of(one, {"plateau_patience": value, "rate": 0.1, "other": 1})
        assert found.index.tolist() == [row]


@pytest.mark.parametrize(
    ("axis", "values"), [("loss", ["giou", "iou"]), ("engine", ["compiled", "keras"])]
)
def test_an_axis_may_have_the_name_of_a_column(axis, values):
    """A study of losses, at several batch sizes and rates, could not make its tables."""
    histories = fake_study.histories(**fake_study.TINY)
    tables = histories, fake_study.runs(histories, fake_study.TINY["epochs"])
    both = [
        pd.concat([table.assign(**{axis: value}) for value in values], ignore_index=True)
        for table in tables
    ]
    names = ["scaling_fit", "scaling_residuals", "recommendation", "cost", "ranking", "time"]
    made = analysis.tables(names, *both, ["batch_size", "learning_rate", axis])
    assert all(list(table[axis].unique()) == values for table in made.values())
    alone = analysis.tables(names, *tables)["scaling_residuals"]
    residuals = made["scaling_residuals"][lambda table: table[axis] == values[1]]
    assert list(residuals["residual"]) == list(alone["residual"])
    label = figures.residuals(residuals).axes[0].get_ylabel()
    assert label.startswith("validation 1 − inclusive IoU")


def test_times_of_other_networks_are_refused():
    histories = fake_study.histories(**fake_study.TINY)
    runs = fake_study.runs(histories, fake_study.TINY["epochs"])
    both = [
        pd.concat([table.assign(network=name) for name in ("paper", "roi")], ignore_index=True)
        for table in (histories, runs)
    ]
    axes = ["batch_size", "learning_rate", "network"]
    made = analysis.tables(["time", "recommendation"], *both, axes, times=[both[1]])
    assert list(made["recommendation"]["network"]) == ["paper", "roi"]
    with pytest.raises(ValueError, match=r"findings.times has no times of network roi\."):
        analysis.tables(["time"], *both, axes, times=[runs.assign(network="paper")])


def test_times_of_other_batch_sizes_are_refused():
    """Cells whose batch size was not timed vanished from the costs, as if they had diverged."""
    histories = fake_study.histories(**fake_study.TINY)
    runs = fake_study.runs(histories, fake_study.TINY["epochs"])
    timed = runs[runs["batch_size"] == 16]
    with pytest.raises(ValueError, match=r"findings.times has no times of batch_size 256\."):
        analysis.tables(["cost"], histories, runs, times=[timed])
