"""What accuracy costs, the recipe of §4, residuals of the scaling, readings of Fig. 8, variants."""

import fake_study
import numpy as np
import pandas as pd
import pytest
from scipy import stats

from boxest import analysis, figures

LOSSES = ["validation_inclusive_iou_loss", "validation_iou_loss"]

VARIANT = fake_study.VARIANT


def runs_of(cells, seeds=2, epochs=10):
    """Return runs from (batch size, rate, loss, seconds per epoch) rows; NaN loss: diverged."""
    rows = []
    for size, rate, loss, seconds in cells:
        for seed in range(seeds):
            row = {"batch_size": size, "learning_rate": rate, "seed": seed, "updates": 100}
            row |= {"epochs": epochs, "planned_epochs": epochs, "stopped_early": False}
            row |= {"diverged": np.isnan(loss), "engine": "compiled"}
            row |= dict.fromkeys(["train_loss", "validation_loss", *LOSSES], loss)
            row |= {"train_inclusive_iou_loss": loss, "train_iou_loss": loss}
            rows.append(row | {"train_seconds": seconds * epochs})
    return pd.DataFrame(rows)


def histories_of(runs, losses):
    """Return histories in which the loss after each epoch is losses(size, rate, epoch)."""
    rows = [
        {"batch_size": run.batch_size, "learning_rate": run.learning_rate, "seed": run.seed}
        | {"epoch": epoch}
        | dict.fromkeys(LOSSES, losses(run.batch_size, run.learning_rate, epoch))
        for run in runs.itertuples()
        for epoch in range(1, run.epochs + 1)
    ]
    return pd.DataFrame(rows)


def test_pareto_front():
    cells = [
        (4, 0.1, 0.05, 8.0),  # the best
        (16, 0.1, 0.1, 4.0),
        (16, 0.01, 0.2, 3.9),  # as fast as the one before, within 5 %, and worse
        (64, 0.1, 0.3, 2.0),
        (256, 0.1, 0.4, 2.5),  # slower and worse
        (1024, 0.1, np.nan, 1.0),  # diverged
    ]
    table = analysis.cost_table(runs_of(cells)).set_index(["batch_size", "learning_rate"])
    front = table.index[table["pareto_validation_iou_loss"]].tolist()
    assert front == [(4, 0.1), (16, 0.1), (64, 0.1)]
    assert np.isnan(table.loc[(1024, 0.1), "seconds"])
    assert table.loc[(4, 0.1), "seconds"] == 80
    # The mean of both rates.
    assert table.loc[16, "seconds"].tolist() == pytest.approx([39.5, 39.5])
    # From 0.3 to 0.1, 20 %, for 19.5 s more; then 5 % for 40.5 s.
    costs = table["seconds_per_percent"].dropna()
    assert costs.to_dict() == pytest.approx({(16, 0.1): 0.975, (4, 0.1): 8.1})


def test_every_condition_has_its_own_front():
    """Cells of easier data, whose loss is lower at any price, beat none of the others."""
    cells = [(4, 0.1, 0.05, 8.0), (16, 0.1, 0.1, 4.0)]
    harder = [(size, rate, 4 * loss, seconds) for size, rate, loss, seconds in cells]
    both = {"clean": runs_of(cells), "noisy": runs_of(harder)}
    runs = pd.concat([runs.assign(condition=name) for name, runs in both.items()])
    table = analysis.cost_table(runs.reset_index(drop=True), others=["condition"])
    assert table["pareto_validation_iou_loss"].all()
    # From 0.4 to 0.2, 20 %, for 40 s more.
    noisy = table[table["condition"] == "noisy"].set_index("batch_size")
    assert noisy.loc[4, "seconds_per_percent"] == pytest.approx(2)
    axes = figures.seconds_against_loss(table).axes[-1]
    fronts = [line.get_ydata().tolist() for line in axes.lines if line.get_gid() == "front"]
    assert fronts == [pytest.approx([0.1, 0.05]), pytest.approx([0.4, 0.2])]


def test_a_loss_costs_the_epochs_that_its_runs_had():
    runs = runs_of([(4, 0.01, 0.1, 2.0), (4, 0.1, 0.2, 4.0), (16, 0.1, np.nan, 1.0)])
    early = (runs["learning_rate"] == 0.1) & (runs["seed"] == 0)
    runs.loc[early, ["epochs", "stopped_early"]] = [4, True]
    runs.loc[early, "train_seconds"] = 16.0
    table = analysis.cost_table(runs)
    assert table["epochs"].tolist() == pytest.approx([10, 7, np.nan], nan_ok=True)
    # 3 s an epoch at batch size 4, whatever the rate.
    assert table["seconds"].tolist() == pytest.approx([30, 21, np.nan], nan_ok=True)
    assert table["planned_seconds"].tolist() == pytest.approx([30, 30, np.nan], nan_ok=True)


def test_times_may_come_from_another_study_with_fewer_epochs():
    cells = [(4, 0.1, 0.05, 99.0), (16, 0.1, 0.1, 99.0)]
    measured = [(4, 0.1, 0.5, 2.0), (16, 0.1, 0.6, 1.0)]
    step_by_step = runs_of([(4, 0.1, 0.5, 5.0), (16, 0.1, 0.6, 3.0)], epochs=1)
    times = pd.concat([runs_of(measured, epochs=3), step_by_step.assign(engine="keras")])
    table = analysis.cost_table(runs_of(cells), times)
    assert table["engine"].tolist() == ["compiled", "compiled", "keras", "keras"]
    assert table["seconds"].tolist() == [20, 10, 50, 30]
    assert table["validation_iou_loss"].tolist() == [0.05, 0.1] * 2


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        (1, 64, 64),
        (2, 1, 0.5),
        (1, -3, 0),
        (0, 5, np.inf),
        # Nothing but updates costs time: no batch size is large enough.
        (-0.1, 5, np.inf),
        (np.nan, np.nan, np.nan),
    ],
)
def test_knee(a, b, expected):
    np.testing.assert_equal(analysis.knee(pd.DataFrame({"a": [a], "b": [b]})), expected)


def fitted(a, b, a_se, b_se, ab_cov, cells=24):
    row = {"a": a, "b": b, "a_se": a_se, "b_se": b_se, "ab_cov": ab_cov, "cells": cells}
    return pd.DataFrame([row])


def test_interval_of_the_knee():
    # Only b has an error: that of the ratio is b's. Student's t of 22 degrees of freedom is 2.0739.
    low, high = analysis.knee_interval(fitted(2, 10, 0, 1, 0))
    assert [low, high] == pytest.approx([5 - 2.0739 / 2, 5 + 2.0739 / 2], rel=1e-4)
    # With a small error of a, it is nearly that of the linear approximation, covariance included.
    low, high = analysis.knee_interval(fitted(100, 500, 1, 10, -8))
    linear = 2.0739 * np.sqrt(10**2 - 2 * 5 * -8 + 5**2 * 1) / 100
    assert (high - low) / 2 == pytest.approx(linear, rel=0.01)
    # An a that may be 0 leaves no upper end.
    low, high = analysis.knee_interval(fitted(1, 50, 1, 1, 0))
    assert 10 < low < 50
    assert high == np.inf
    assert analysis.knee_interval(fitted(1, 1, 1, 1, 0)) == (0, np.inf)
    assert analysis.knee_interval(fitted(-5, 50, 1, 1, 0)) == (np.inf, np.inf)
    assert np.isnan(analysis.knee_interval(fitted(1, 1, np.nan, np.nan, np.nan))).all()


def test_interval_of_the_knee_covers_it():
    sizes = np.repeat([4, 16, 64, 256, 1024, 4096], 4)
    rng = np.random.default_rng(0)
    inside = []
    for _ in range(400):
        seconds = (10 + 50 / sizes) * (1 + 0.2 * rng.standard_normal(len(sizes)).clip(-3, 3))
        fit = analysis.fit_time(pd.DataFrame({"batch_size": sizes, "seconds": seconds}))
        low, high = analysis.knee_interval(fit)
        inside.append(low <= 5 <= high)
    assert np.mean(inside) == pytest.approx(0.95, abs=0.03)


def curved(size, rate, epoch):
    """Return a loss that is smallest at the rate 0.01, whatever the batch size."""
    return 0.1 + 0.01 * np.log2(size) + abs(np.log10(rate) + 2) / (1 + epoch)


def recipe(update_cost, losses=curved):
    grid = [(size, rate) for size in (4, 16, 64, 256) for rate in (0.001, 0.01, 0.1)]
    cells = [(size, rate, losses(size, rate, 10), 1 + update_cost / size) for size, rate in grid]
    runs = runs_of(cells)
    return analysis.recommend(histories_of(runs, losses), runs).iloc[0]


@pytest.mark.parametrize(
    ("update_cost", "size"), [(0, 4), (10, 16), (15, 16), (17, 64), (100, 256)]
)
def test_recipe_takes_the_batch_size_beyond_the_knee_then_climbs_to_the_best_rate(
    update_cost, size
):
    row = recipe(update_cost)
    assert row["knee"] == pytest.approx(update_cost, abs=1e-6)
    assert (row["batch_size"], row["learning_rate"]) == (size, 0.01)
    assert (row["batch_size_low"], row["batch_size_high"]) == (size, size)
    assert row["validation_iou_loss"] == pytest.approx(curved(size, 0.01, 10))
    assert (row["best_batch_size"], row["best_learning_rate"]) == (4, 0.01)
    assert row["best_seconds"] == pytest.approx(10 * (1 + update_cost / 4))


def test_recipe_has_a_batch_size_for_both_ends_of_the_interval():
    grid = [(size, rate) for size in (4, 16, 64) for rate in (0.001, 0.01)]
    # 20 % slower at one rate than at the other, so that the knee is anywhere about 15.
    cells = [(n, rate, 0.5, (1 + 15 / n) * (1 + 20 * rate)) for n, rate in grid]
    runs = runs_of(cells)
    row = analysis.recommend(histories_of(runs, curved), runs).iloc[0]
    assert row["knee"] == pytest.approx(15)
    assert 4 < row["knee_low"] < 15 < 16 < row["knee_high"] < 64
    sizes = ("batch_size_low", "batch_size", "batch_size_high")
    assert [row[name] for name in sizes] == [16, 16, 64]


def test_recipe_does_not_go_on_to_a_rate_at_which_runs_diverge():
    def losses(size, rate, epoch):
        return np.nan if rate > 0.05 and epoch > 2 else 0.5 - rate

    assert recipe(0, losses)["learning_rate"] == 0.01


def test_residuals_of_the_scaling_are_zero_on_the_curve():
    histories = fake_study.histories(**fake_study.FULL)
    runs = fake_study.runs(histories, 30)
    fit = analysis.fit_scaling(runs)
    off = (runs["batch_size"] == 64) & (runs["learning_rate"] == 0.001)
    curve = analysis.scaling_curve(fit, runs["learning_rate"] * runs["updates"])
    runs["validation_loss"] = np.where(off, 1.5, 1) * curve
    table = analysis.scaling_residuals(runs, fit).set_index(["batch_size", "learning_rate"])
    assert len(table) == 24
    assert table.loc[(64, 0.001), "residual"] == pytest.approx(np.log(1.5))
    assert table["residual"].drop((64, 0.001)).dropna().abs().max() < 1e-9
    assert table.loc[(4, 0.1), ["runs", "diverged"]].tolist() == [10, 10]
    assert np.isnan(table.loc[(4, 0.1), "residual"])
    assert table["loss"].eq("validation_loss").all()


def test_the_rate_that_breaks_the_rule_does_not_bend_the_curve():
    sizes, rates = (4, 16, 64, 256), (0.001, 0.01, 0.1)
    cells = [(size, rate, 0.0, 1.0) for size in sizes for rate in rates]
    runs = runs_of(cells, seeds=3)
    runs["updates"] = 80_000 // runs["batch_size"]
    product = runs["learning_rate"] * runs["updates"]
    loss = 0.5 * product**-0.3 * np.where(runs["learning_rate"] > 0.05, 3, 1)
    runs = runs.assign(train_loss=loss, validation_loss=loss)
    fit = analysis.fit_scaling(runs)
    assert fit[["below", "runs", "product_to"]].iloc[0].tolist() == [0.1, 24, 200]
    assert fit["residual"].item() == pytest.approx(0, abs=1e-9)
    table = analysis.scaling_residuals(runs, fit).set_index(["batch_size", "learning_rate"])
    largest = table.index.get_level_values("learning_rate") == 0.1
    np.testing.assert_allclose(np.exp(table["residual"]), np.where(largest, 3, 1))
    assert table["fitted"].tolist() == (~largest).tolist()
    # 0.1 × 20,000 and 0.1 × 5,000 updates are beyond 200, the product of (4, 0.01).
    assert table.index[table["extrapolated"]].tolist() == [(4, 0.1), (16, 0.1)]
    whole = analysis.fit_scaling(runs, below=np.inf)
    assert whole["runs"].item() == 36
    assert whole["residual"].item() > 0.2


def paper_runs():
    """Return ten runs per cell of Fig. 8 that ended as the paper's mean."""
    paper = analysis.paper_cells()
    cells = [
        (row.batch_size, row.learning_rate, row.validation_loss, 1.0) for row in paper.itertuples()
    ]
    runs = runs_of(cells, seeds=10)
    train = paper.set_index(["batch_size", "learning_rate"])["train_loss"]
    keys = pd.MultiIndex.from_frame(runs[["batch_size", "learning_rate"]])
    return runs.assign(train_inclusive_iou_loss=train.loc[keys].to_numpy())


def test_readings_of_fig_8():
    runs = paper_runs()
    table = analysis.distances(runs)
    assert table["cells"].tolist() == [21, 21, 18]
    np.testing.assert_allclose(table[["train", "validation"]], 0, atol=1e-12)
    # Half of the runs of one cell stop early, at twice the loss.
    half = (runs["batch_size"] == 16) & (runs["learning_rate"] == 0.1) & (runs["seed"] < 5)
    runs.loc[half, "epochs"] = 5
    runs.loc[half, LOSSES[0]] *= 2
    every, whole, below = analysis.distances(runs)["validation"]
    assert every == pytest.approx(np.log(1.5) / np.sqrt(21))
    assert (whole, below) == pytest.approx((0, 0), abs=1e-12)


def test_the_difference_from_the_paper_is_tested_by_its_scatter_between_seeds():
    runs = paper_runs()
    rates = runs["learning_rate"]
    # A tenth above at the smaller rates, and as far below at the largest; each seed all over alike.
    of_seed = np.linspace(-0.2, 0.2, 10) ** 3
    runs[LOSSES[0]] *= np.exp(np.where(rates < rates.max(), 0.1, -0.1) + of_seed[runs["seed"]])
    every, _, below = analysis.distances(runs).to_dict("records")
    assert every["above"] == 18
    assert every["mean_log_ratio"] == pytest.approx(0.1 * 15 / 21, abs=1e-4)
    assert below["mean_log_ratio"] == pytest.approx(0.1, abs=1e-4)
    scatter = of_seed.std(ddof=1) * np.sqrt(1 / 10 + 1 / 10)
    assert below["p_value"] == pytest.approx(2 * stats.t.sf(0.1 / scatter, 9))
    # A seed that lacks a cell, here the lowest one, changes the mean of that cell alone.
    lacking = runs[(runs["seed"] > 0) | (runs["batch_size"] > 4)]
    assert analysis.distances(lacking)["p_value"].iloc[-1] < 0.001
    (alone,) = set(analysis.distances(runs[runs["seed"] == 0])["p_value"].isna())
    assert alone


def variant_runs():
    """Return two variants: one that is Fig. 8, and one that is twice that and diverges once."""
    runs = paper_runs()
    names = dict(zip(VARIANT, ("linear", "inclusive_iou", "sgd", "2"), strict=True))
    other = runs.assign(**names | {"optimizer": "adam", "plateau_patience": "never"})
    other[["validation_loss", *LOSSES]] *= 2
    return pd.concat([other, runs.assign(**names)], ignore_index=True)


def test_variants_are_ranked_by_their_distance():
    table = analysis.variant_cells(variant_runs(), VARIANT)
    assert len(table) == 42
    ranking = analysis.rank_variants(table, VARIANT)
    assert ranking["rank"].tolist() == [1, 2]
    assert ranking["optimizer"].tolist() == ["sgd", "adam"]
    assert ranking["plateau_patience"].tolist() == ["2", "never"]
    assert ranking["distance"].tolist() == pytest.approx([0, np.log(2)], abs=1e-12)
    assert ranking["largest"].tolist() == pytest.approx([0, np.log(2)], abs=1e-12)
    assert ranking["cells"].tolist() == [21, 21]


def test_a_seed_is_left_out_of_all_variants_at_once():
    runs = variant_runs()
    # One log ratio each in all cells, so that a distance is that of the mean of the seeds.
    factors = np.exp([0.02, 0.05, 0.11])
    runs = runs[runs["seed"] < len(factors)].copy()
    runs["validation_loss"] *= factors[runs["seed"]]
    ranking = analysis.rank_variants(analysis.variant_cells(runs, VARIANT), VARIANT)
    near, far = analysis.variant_errors(runs, ranking, VARIANT).to_dict("records")
    left_out = np.log([factors[[1, 2]].mean(), factors[[0, 2]].mean(), factors[[0, 1]].mean()])
    error = np.sqrt(2 / 3 * ((left_out - left_out.mean()) ** 2).sum())
    assert near["distance_se"] == pytest.approx(error)
    assert far["distance_se"] == pytest.approx(error)
    assert (near["behind"], near["behind_se"]) == (0, 0)
    # All of their scatter is common to both.
    assert far["behind"] == pytest.approx(np.log(2))
    assert far["behind_se"] == pytest.approx(0, abs=1e-12)

    alone = analysis.variant_errors(runs[runs["seed"] == 0], ranking, VARIANT)
    assert alone[["distance_se", "behind_se"]].isna().all(axis=None)


def test_a_variant_that_diverges_counts_with_the_worst_loss():
    runs = variant_runs()
    gone = (runs["batch_size"] == 16) & (runs["learning_rate"] == 0.1)
    gone &= runs["optimizer"] == "sgd"
    runs.loc[gone, ["train_loss", "validation_loss", *LOSSES]] = np.nan
    runs.loc[gone, "diverged"] = True
    ranking = analysis.rank_variants(analysis.variant_cells(runs, VARIANT), VARIANT).set_index(
        "optimizer"
    )
    expected = np.log(1 / 0.037583)
    assert ranking.loc["sgd", "largest"] == pytest.approx(expected)
    assert ranking.loc["sgd", "distance"] == pytest.approx(expected / np.sqrt(21))
    assert ranking.loc["sgd", "diverged"] == 10


def test_a_variant_that_lost_a_cell_comes_last():
    """A loss of 1 may be nearer to Fig. 8 than the GIoU loss of a run that trains."""
    runs = variant_runs()
    adam = runs["optimizer"] == "adam"
    runs.loc[adam, "validation_loss"] *= 50
    gone = ~adam & (runs["batch_size"] == 16) & (runs["learning_rate"] == 0.1)
    runs.loc[gone, ["train_loss", "validation_loss", *LOSSES]] = np.nan
    runs.loc[gone, "diverged"] = True
    ranking = analysis.rank_variants(analysis.variant_cells(runs, VARIANT), VARIANT)
    assert ranking["optimizer"].tolist() == ["adam", "sgd"]
    assert ranking["lost"].tolist() == [0, 1]
    assert ranking["distance"][0] > ranking["distance"][1]


def test_patience_that_a_run_would_have_survived():
    curves = {
        # The longest wait without a new smallest loss: 0, 1, 3 epochs; and one that diverges.
        0: [5, 4, 3, 2, 1],
        1: [5, 6, 4, 5, 3],
        2: [5, 6, 6, 5, 4],
        3: [5, 4, np.nan],
    }
    runs = runs_of([(16, 0.1, 0.1, 1.0)], seeds=4, epochs=5)
    runs.loc[3, ["diverged", "epochs"]] = [True, 3]
    rows = [
        {"batch_size": 16, "learning_rate": 0.1, "seed": seed, "epoch": i, "validation_loss": loss}
        for seed, losses in curves.items()
        for i, loss in enumerate(losses, 1)
    ]
    table = analysis.patience_table(pd.DataFrame(rows), runs)
    assert dict(zip(table["patience"], table["reached"], strict=True)) == {
        1: 1,
        2: 2,
        3: 2,
        4: 3,
        5: 3,
    }
    assert table["runs"].eq(4).all()
    assert table["in_paper"].all()
    # A run that was stopped says nothing of a larger patience than its own.
    runs.loc[2, "stopped_early"], runs.loc[2, "epochs"] = True, 4
    assert analysis.patience_table(pd.DataFrame(rows), runs)["patience"].max() == 3


def test_a_wait_that_ends_with_the_last_epoch_stops_nothing():
    runs = runs_of([(16, 0.1, 0.1, 1.0)], seeds=1, epochs=5)
    losses = [5, 4, 6, 6, 6]
    rows = [
        {"batch_size": 16, "learning_rate": 0.1, "seed": 0, "epoch": i, "validation_loss": loss}
        for i, loss in enumerate(losses, 1)
    ]
    table = analysis.patience_table(pd.DataFrame(rows), runs)
    # Two epochs without a new smallest loss when the last one begins.
    assert table["reached"].tolist() == [0, 0, 1, 1, 1]


def test_the_studys_own_patience_leaves_the_runs_that_fig_8_counts():
    form = {"batch_sizes": [16, 64], "learning_rates": [0.01, 0.1], "seeds": 10, "epochs": 8}
    histories = fake_study.histories(**form)
    runs = fake_study.runs(histories, 8)
    last = runs[(runs["epochs"] == 8) & ~runs["diverged"]]
    assert 0 < runs["stopped_early"].sum() < len(runs)
    table = analysis.patience_table(histories, runs)
    own = table[table["patience"] == table["patience"].max()]
    assert own["patience"].iloc[0] == 5
    assert own["reached"].tolist() == analysis.cells(runs)["reached_last_epoch"].tolist()
    # Some of them have waited for 5 epochs when the last one ends.
    waits = histories.merge(last[["batch_size", "learning_rate", "seed"]])
    best = waits.groupby(["batch_size", "learning_rate", "seed"])["validation_loss"].agg(
        lambda losses: len(losses) - 1 - losses.argmin()
    )
    assert best.max() >= 5
