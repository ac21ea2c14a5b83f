"""The claims: statistics with known answers, intervals, verdicts, diverged runs."""

import fake_study
import numpy as np
import pandas as pd
import pytest
from scipy import stats

from boxest import analysis
from boxest.analysis.claims import verdict
from boxest.analysis.claims.statistic import Statistic, interval

SIZES, RATES, SEEDS, EPOCHS = [4, 16, 64, 256, 1024, 4096], [1e-4, 1e-3, 1e-2, 1e-1], 6, 30
METRICS = ["inclusive_iou_loss", "iou_loss"]


def study(curve, sizes=SIZES, rates=RATES, seeds=SEEDS, epochs=EPOCHS):
    """Return histories and runs whose losses are curve(size, rate, seed, epochs 1, 2, ...)."""
    rows = []
    for size in sizes:
        for rate in rates:
            for seed in range(seeds):
                losses = np.asarray(curve(size, rate, seed, np.arange(1, epochs + 1)), float)
                # A diverged run ends with the epoch in which it did.
                gone = np.flatnonzero(np.isnan(losses))
                losses = losses[: gone[0] + 1] if gone.size else losses
                for epoch, loss in enumerate(losses, 1):
                    row = {"batch_size": size, "learning_rate": rate, "seed": seed, "epoch": epoch}
                    row |= {
                        f"{part}{kind}": loss
                        for part in ("train_", "validation_")
                        for kind in ("loss", *METRICS)
                    }
                    rows.append(row | {"updates": epoch * 8000 // size, "train_seconds": 1.0})
    histories = pd.DataFrame(rows)
    histories["evaluation_seconds"] = 0.1
    return histories, fake_study.runs(histories, epochs)


def scaled(size, rate, seed, epoch):
    """A loss that is a power of rate * updates, a few per cent higher or lower by seed."""
    return 0.3 * (1 + 0.01 * seed) * (rate * epoch * 8000 / size) ** -0.05


def verdicts(table):
    """Return the main verdicts by claim."""
    main = table[table["main"]]
    return main.groupby("claim")["verdict"].agg(list).to_dict()


def part(table, claim, name):
    (row,) = table[(table["claim"] == claim) & (table["part"] == name)].to_dict("records")
    return row


def sorted_predictions(error):
    """Return predictions of six seeds with error(width, height), in shares of the image."""
    sides = np.random.default_rng(0).uniform(0.04, 1, (400, 2))
    tables = []
    for seed in range(SEEDS):
        table = pd.DataFrame({"image": range(400), "true_x1": 0.0, "true_y1": 0.0})
        table["true_x2"], table["true_y2"] = sides.T
        table["inclusive_iou_loss"] = table["iou_loss"] = error(*sides.T) * (1 + 0.01 * seed)
        tables.append(table.assign(seed=seed))
    return pd.concat(tables, ignore_index=True)


# --- rule and interval -------------------------------------------------------------------------


def test_interval_is_students_t():
    values = pd.Series([1.0, 2, 3, 4, 5, np.nan])
    mean, low, high = interval(Statistic("all", "", values))
    assert mean == 3
    expected = stats.ttest_1samp(values.dropna(), 0).confidence_interval(0.95)
    np.testing.assert_allclose([low, high], expected)


def test_intervals_stay_where_the_statistic_can_be():
    shares = pd.Series([100.0] * 9 + [80])
    _, low, high = interval(Statistic("all", "", shares, bounds=(0, 100)))
    assert low < 98
    assert high == 100


@pytest.mark.parametrize(("hits", "exact"), [(6, False), (0, False), (5, True)])
def test_a_share_without_spread_has_an_exact_interval(hits, exact):
    """Of 6 in each of 10 seeds; for all or none, Clopper and Pearson have a closed form."""
    shares, of = pd.Series([100 * hits / 6] * 10), pd.Series([6] * 10)
    mean, low, high = interval(Statistic("all", "", shares, out_of=of, exact=exact), 0.9)
    assert mean == pytest.approx(100 * hits / 6)
    ends = {6: (0.05 ** (1 / 60), 1), 0: (0, 1 - 0.05 ** (1 / 60))}
    beta = stats.beta.ppf(0.05, 50, 11), stats.beta.ppf(0.95, 51, 10)
    np.testing.assert_allclose([low, high], 100 * np.array(ends.get(hits, beta)))


def test_an_exact_interval_can_be_asked_for():
    statistic = Statistic("all", "", pd.Series([100.0] * 9 + [0]), out_of=pd.Series([2] * 10))
    exact = interval(statistic.read("exact binomial", exact=True))[1:]
    test = stats.binomtest(18, 20).proportion_ci(0.95)
    np.testing.assert_allclose(exact, [100 * test.low, 100 * test.high])
    assert interval(statistic)[1:] != exact


def test_few_repetitions_decide_nothing():
    four = Statistic("all", "", pd.Series([1.0] * 4))
    assert interval(four)[0] == 1
    assert np.isnan(interval(four)[1:]).all()
    assert verdict(np.nan, np.nan, (0, 2)) == "undecided"
    assert np.isnan(interval(Statistic("all", "", pd.Series(dtype=float)))).all()


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0.1, 0.2, "holds"),
        (0, 1, "holds"),
        (1.1, 2, "does not hold"),
        (-2, -0.1, "does not hold"),
        (0.9, 1.1, "undecided"),
        (-1, 2, "undecided"),
    ],
)
def test_verdict(low, high, expected):
    assert verdict(low, high, (0, 1)) == expected


# --- claims of losses --------------------------------------------------------------------------


@pytest.fixture(scope="module")
def linear():
    """A study in which learning rate times updates decides everything."""
    return study(scaled)


def test_a_study_that_scales_is_as_the_paper_says(linear):
    table = analysis.claims(*linear)
    assert verdicts(table) == {
        1: ["holds"],
        # Nothing oscillates.
        2: ["does not hold"],
        3: ["holds"],
        4: ["holds"],
        # The same power of the rate at every batch size: no trend at all.
        5: ["undecided"],
        8: ["holds"],
    }
    assert part(table, 1, "all pairs")["value"] == 100
    assert part(table, 4, "all diagonals")["value"] == 100
    assert part(table, 2, "rate 0.1")["value"] == 0
    assert part(table, 5, "batch size 16")["value"] == pytest.approx(0.05 * np.log(1000))
    assert part(table, 8, "mean")["value"] == pytest.approx(100)


def test_the_reverse_is_refused():
    reverse = study(lambda size, rate, seed, epoch: 1 / (2 + 10 / scaled(size, rate, seed, epoch)))
    table = analysis.claims(*study(lambda *run: 0.02 / scaled(*run)))
    assert verdicts(table)[1] == verdicts(table)[3] == ["does not hold"]
    assert part(table, 1, "all pairs")["value"] == part(table, 3, "all pairs")["value"] == 0
    assert verdicts(analysis.claims(*reverse))[3] == ["holds"]


def test_oscillation_counts_visible_rises_from_the_third_epoch_on():
    def curve(size, rate, seed, epoch):
        # Up in epoch 2, which is not drawn, then down and up in turn, by 20 % or by half a percent.
        height = 1.2 if rate == 0.1 else 1.005
        return 0.1 * np.where(epoch % 2 == 0, height, 1)

    table = analysis.claims(*study(curve))
    # 14 of the 28 epochs from the third on are even.
    assert part(table, 2, "rate 0.1")["value"] == pytest.approx(50)
    assert part(table, 2, "rate 0.01")["value"] == 0
    assert part(table, 2, "rate 0.01")["verdict"] == ""
    assert verdicts(table)[2] == ["holds"]


@pytest.mark.parametrize(("gone_at", "expected"), [(1, 100), (2, 100), (5, 100 / 3)])
def test_divergence_is_a_rise_once(gone_at, expected):
    def curve(size, rate, seed, epoch):
        return np.where((rate == 0.1) & (epoch >= gone_at), np.nan, scaled(size, rate, seed, epoch))

    assert part(analysis.claims(*study(curve)), 2, "rate 0.1")["value"] == pytest.approx(expected)


def test_diverged_runs_lose_against_all_others():
    def curve(size, rate, seed, epoch):
        return scaled(size, rate, seed, epoch) if rate < 0.1 else np.where(epoch > 3, np.nan, 0.01)

    table = analysis.claims(*study(curve))
    assert part(table, 1, "rate 0.001 → 0.01")["value"] == 100
    assert part(table, 1, "rate 0.01 → 0.1")["value"] == 0
    # Of two that diverged, neither is better: only the pairs of the other rates count.
    assert part(table, 3, "all pairs")["value"] == 100
    assert part(table, 4, "to rate 0.1")["value"] == 0
    assert part(table, 4, "below rate 0.1")["value"] == 100
    assert part(table, 8, "all cells")["value"] == 100


def test_early_stopping_keeps_the_last_loss():
    def curve(size, rate, seed, epoch):
        return scaled(size, rate, seed, epoch[: 4 if size == 4 else None])

    histories, runs = study(curve)
    assert runs["stopped_early"].any()
    table = analysis.claims(histories, runs)
    last = {size: scaled(size, 0.1, 0, 4 if size == 4 else 30) for size in (4, 16)}
    expected = 100 if last[4] < last[16] else 0
    assert part(table, 3, "batch size 4 → 16")["value"] == expected


def test_similitude_beyond_ten_percent_is_counted():
    histories, runs = study(scaled)
    runs.loc[runs["batch_size"] == 4, "train_inclusive_iou_loss"] *= 0.8
    table = analysis.claims(histories, runs)
    assert part(table, 8, "all cells")["value"] == pytest.approx(100 * 5 / 6)
    assert verdicts(table)[8] == ["does not hold"]
    geometric = analysis.claims(histories, runs, metric="iou_loss")
    assert verdicts(geometric)[8] == ["holds"]


def test_the_papers_own_table_has_the_statistics(linear):
    table = analysis.claims(*linear)
    assert part(table, 3, "all pairs")["paper"] == 100
    # The paper's similitude is of means: it stands beside ours of means, and no other.
    assert np.isnan(part(table, 8, "all cells")["paper"])
    assert part(table, 8, "means over the seeds (added afterwards)")["paper"] == pytest.approx(
        100 * 20 / 21
    )
    # Against the claim: without the rate 0.1, the range is smaller for the large batch sizes.
    assert part(table, 5, "rates below 0.1")["paper"] < 0
    geometric = analysis.claims(*linear, metric="iou_loss")
    assert geometric["paper"].isna().all()


def test_sensitivity_that_grows_with_the_batch_size():
    def curve(size, rate, seed, epoch):
        return 0.2 * (1 + 0.01 * seed) * rate ** (-0.01 * np.log2(size)) * np.ones(len(epoch))

    row = part(analysis.claims(*study(curve)), 5, "all rates")
    assert row["value"] == pytest.approx(0.01 * np.log(1000))
    assert row["verdict"] == "holds"


def test_the_absolute_range_may_have_another_trend_than_the_ratio():
    def curve(size, rate, seed, epoch):
        # From 0.1 to 0.4 at batch size 4, a factor of 4; from 0.3 to 0.9 at 4096, a factor of 3.
        low, high = 0.1 + 0.02 * np.log2(size / 4), 0.4 + 0.05 * np.log2(size / 4)
        share = -(np.log10(rate) + 1) / 3
        return (low + share * (high - low)) * (1 + 0.01 * seed) * np.ones(len(epoch))

    table = analysis.claims(*study(curve))
    assert verdicts(table)[5] == ["does not hold"]
    row = part(table, 5, "all rates, the loss itself (added afterwards)")
    assert row["value"] == pytest.approx(0.03 * np.mean(1 + 0.01 * np.arange(SEEDS)))
    assert row["verdict"] == "holds"
    assert not row["main"]


def test_a_loss_of_one_is_no_divergence():
    """Boxes that share nothing have a geometric loss of exactly 1, and the run goes on."""

    def curve(size, rate, seed, epoch):
        return scaled(size, rate, seed, epoch) if size > 4 else np.ones(len(epoch))

    table = analysis.claims(*study(curve), metric="iou_loss")
    # The three pairs of batch size 4 are not as claimed, but they are pairs.
    assert part(table, 1, "all pairs")["value"] == pytest.approx(100 * 15 / 18)
    assert part(table, 2, "rate 0.1, batch size 4")["value"] == 0
    assert part(table, 3, "batch size 4 → 16")["value"] == 0
    alike = part(table, 4, "the same cell, another seed (added afterwards)")
    assert alike["value"] == 100


def test_a_diverging_epoch_is_a_rise_even_from_a_loss_near_one():
    def curve(size, rate, seed, epoch):
        return np.where(epoch < 5, 0.999, np.nan)

    # The epochs 3 and 4 do not rise, the fifth diverges.
    assert part(analysis.claims(*study(curve)), 2, "rate 0.1")["value"] == pytest.approx(100 / 3)


def test_a_diverged_run_loses_against_a_loss_of_one():
    def curve(size, rate, seed, epoch):
        return np.where((size == 16) & (epoch > 3), np.nan, 1.0)

    table = analysis.claims(*study(curve, sizes=[4, 16]))
    assert part(table, 3, "batch size 4 → 16")["value"] == 100


def test_another_seed_is_the_ceiling_of_likeness():
    def curve(size, rate, seed, epoch):
        # Every second seed is a factor of 2 higher.
        return scaled(size, rate, 0, epoch) * (1 + seed % 2)

    row = part(analysis.claims(*study(curve)), 4, "the same cell, another seed (added afterwards)")
    assert (row["value"], row["verdict"]) == (0, "")
    same = analysis.claims(*study(lambda size, rate, seed, epoch: scaled(size, rate, 0, epoch)))
    assert part(same, 4, "the same cell, another seed (added afterwards)")["value"] == 100


def test_similitude_of_means_is_one_share():
    histories, runs = study(scaled)
    # In every cell, one seed of six is off by 30 %, and the mean by 5 %.
    runs.loc[runs["seed"] == 0, "train_inclusive_iou_loss"] *= 0.7
    table = analysis.claims(histories, runs)
    assert part(table, 8, "all cells")["value"] == pytest.approx(100 * 5 / 6)
    row = part(table, 8, "means over the seeds (added afterwards)")
    assert (row["value"], row["out_of"], row["repetitions"]) == (100, 24, 1)
    assert np.isnan(row["low"])
    assert row["verdict"] == ""


def test_shares_say_of_how_many(linear):
    table = analysis.claims(*linear)
    assert part(table, 1, "all pairs")["out_of"] == 18
    assert part(table, 1, "rate 0.01 → 0.1")["out_of"] == 6
    assert part(table, 3, "all pairs")["out_of"] == 20
    assert part(table, 8, "all cells")["out_of"] == 24
    assert part(table, 2, "rate 0.1")["out_of"] == 6 * 28


def test_what_was_added_afterwards_is_no_main_verdict(linear):
    table = analysis.claims(*linear)
    added = table[table["part"].str.endswith("(added afterwards)")]
    assert set(added["claim"]) == {1, 3, 4, 5, 8}
    assert not added["main"].any()


# --- claims of time and of predictions ---------------------------------------------------------


def timed(seconds):
    """Return runs with seconds(size, rate, seed) per epoch."""
    _, runs = study(scaled, epochs=2)
    runs["train_seconds"] = [
        2 * seconds(row.batch_size, row.learning_rate, row.seed) for row in runs.itertuples()
    ]
    return runs


@pytest.mark.parametrize(
    ("seconds", "share", "exponent", "expected"),
    [
        (lambda size, rate, seed: 8 / size, 100, -1, "holds"),
        (lambda size, rate, seed: 1 + 16 / size, 80, None, "holds"),
        (lambda size, rate, seed: 1.0, 0, 0, "does not hold"),
    ],
)
def test_inverse_time(linear, seconds, share, exponent, expected):
    table = analysis.claims(*linear, times=timed(seconds))
    row = part(table, 6, "one compiled call per epoch")
    assert row["value"] == pytest.approx(share, abs=1e-6)
    assert row["repetitions"] == len(RATES) * SEEDS
    assert row["verdict"] == expected
    if exponent is not None:
        power = part(table, 6, "one compiled call per epoch: power law")
        assert power["value"] == pytest.approx(exponent)


def test_time_and_rate(linear):
    table = analysis.claims(*linear, times=timed(lambda size, rate, seed: 1 + 0.001 * seed))
    assert verdicts(table)[7] == ["holds"]
    slower = analysis.claims(*linear, times=timed(lambda size, rate, seed: rate**0.1))
    row = part(slower, 7, "one compiled call per epoch")
    assert row["value"] == pytest.approx(100 * (10**0.1 - 1))
    assert row["verdict"] == "does not hold"


def test_engines_are_judged_apart(linear):
    one = timed(lambda size, rate, seed: 1.0)
    other = timed(lambda size, rate, seed: 8 / size).assign(engine="keras")
    both = pd.concat([one, other], ignore_index=True)
    assert verdicts(analysis.claims(*linear, times=both))[6] == ["does not hold", "holds"]


def test_small_objects(linear):
    def small_is_hard(width, height):
        return 0.01 / np.minimum(width, height)

    table = analysis.claims(*linear, tested=sorted_predictions(small_is_hard))
    assert part(table, 9, "smallest side")["value"] == pytest.approx(-1)
    assert part(table, 9, "one small side")["value"] > 5
    assert verdicts(table)[9] == ["holds", "holds"]
    large_is_hard = sorted_predictions(lambda width, height: np.minimum(width, height))
    assert verdicts(analysis.claims(*linear, tested=large_is_hard))[9] == ["does not hold"] * 2


@pytest.mark.parametrize(("loss", "expected"), [(0.038, "holds"), (0.17, "does not hold")])
def test_test_loss(linear, loss, expected):
    tested = sorted_predictions(lambda width, height: np.full(len(width), loss / 1.025))
    table = analysis.claims(*linear, tested=tested)
    assert part(table, 10, "test set")["value"] == pytest.approx(loss)
    assert verdicts(table)[10] == [expected]
    # The paper's number is an inclusive loss: it says nothing of the geometric one.
    row = part(analysis.claims(*linear, tested=tested, metric="iou_loss"), 10, "test set")
    assert (row["value"], row["verdict"]) == (pytest.approx(loss), "")
    assert np.isnan([row["claimed_from"], row["paper"]]).all()


# --- other readings ------------------------------------------------------------------------------


def reading(table, claim, main, how):
    return part(table, claim, f"{main}, {how} (added afterwards)")


def test_runs_that_stopped_are_compared_at_equal_epochs_and_at_their_best():
    """At the largest rate, batch size 4 is best in every epoch, but its last is its worst."""

    def curve(size, rate, seed, epoch):
        if (size, rate) == (4, 0.1):
            return np.array([0.2, 0.02, 0.03, 0.5])
        return 0.1 * size / epoch

    histories, runs = study(curve, sizes=[4, 16], rates=[0.01, 0.1])
    table = analysis.claims(histories, runs)
    assert part(table, 3, "all pairs")["value"] == 50
    # In epoch 4, batch size 16 has 0.4: 0.5 is above it.
    assert reading(table, 3, "all pairs", "at equal epochs")["value"] == 50
    best = reading(table, 3, "all pairs", "stopped runs at their best epoch")
    assert best["value"] == 100
    assert reading(table, 3, "all pairs", "rates below 0.1")["value"] == 100
    # Up to epoch 4, the rates of batch size 4 come to 0.1 and 0.5, those of 16 to 0.4 both.
    slope = reading(table, 5, "all rates", "at equal epochs")["value"]
    assert slope == pytest.approx(-np.log(0.5 / 0.1) / 2)


def test_pairs_at_equal_epochs_differ_from_those_at_the_end():
    """Batch size 16 stops at epoch 4, ahead of 4 by then, which goes on and overtakes it."""

    def curve(size, rate, seed, epoch):
        return np.array([0.1] + [0.2] * 3) if size == 16 else 1 / epoch

    table = analysis.claims(*study(curve, sizes=[4, 16], rates=[0.1]))
    assert part(table, 3, "all pairs")["value"] == 100
    assert reading(table, 3, "all pairs", "at equal epochs")["value"] == 0


def test_other_images_widen_an_interval(linear):
    rng = np.random.default_rng(1)
    tested = sorted_predictions(lambda width, height: np.zeros(len(width)))
    error = 0.038 + 0.01 * rng.standard_normal(400)
    tested["inclusive_iou_loss"] = np.tile(error, SEEDS) + 0.001 * tested["seed"]
    table = analysis.claims(*linear, tested=tested)
    main, other = part(table, 10, "test set"), reading(table, 10, "test set", "other images")
    over_seeds = stats.sem(0.001 * np.arange(SEEDS))
    both = np.hypot(over_seeds, stats.sem(error))
    quantile = stats.t.ppf(0.975, SEEDS - 1)
    assert main["high"] - main["value"] == pytest.approx(over_seeds * quantile)
    # A standard error from 500 samples.
    assert other["high"] - other["value"] == pytest.approx(both * quantile, rel=0.1)
    assert (other["value"], other["main"]) == (main["value"], False)


def test_seeds_are_tested_on_the_same_images(linear):
    tested = sorted_predictions(lambda width, height: width)
    moved = tested.assign(true_x2=tested["true_x2"] + 0.01 * tested["seed"])
    for wrong in (moved, tested.iloc[1:]):
        with pytest.raises(ValueError, match="must be of the same images for each seed"):
            analysis.claims(*linear, tested=wrong)


def test_main_verdicts_are_corrected_for_their_number(linear):
    rng = np.random.default_rng(0)
    tested = sorted_predictions(lambda width, height: np.zeros(len(width)))
    # An interval of 95 % just inside the claimed one, from 0.0342 to 0.0418.
    losses = rng.standard_normal(SEEDS)
    losses -= losses.mean()
    half = stats.sem(losses) * stats.t.ppf(0.975, SEEDS - 1)
    losses = 0.038 + 0.0037 * losses / half
    tested["inclusive_iou_loss"] = losses[tested["seed"]]
    row = part(analysis.claims(*linear, tested=tested), 10, "test set")
    assert (row["verdict"], row["corrected"]) == ("holds", "undecided")
    table = analysis.claims(*linear)
    assert set(table.loc[table["main"], "corrected"]) <= {"holds", "does not hold", "undecided"}
    assert table.loc[~table["main"], "corrected"].eq("").all()


# --- tables ------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", [{"sizes": [16]}, {"rates": [0.1]}, {"seeds": 1}, {"epochs": 2}])
def test_small_studies_have_a_table(form):
    table = analysis.claims(*study(scaled, **form))
    assert set(table["claim"]) == {1, 2, 3, 4, 5, 8}
    assert table.loc[table["main"], "verdict"].isin(["holds", "does not hold", "undecided"]).all()


@pytest.mark.parametrize("changed", [{"engine": "stacked"}, {"diverged": True}])
def test_without_a_single_time_there_are_the_claims_about_losses(changed):
    histories, runs = study(scaled, sizes=[4, 16], seeds=1, epochs=3)
    table = analysis.claims(histories, runs, times=runs.assign(**changed))
    assert set(table["claim"]) == {1, 2, 3, 4, 5, 8}


def test_claims_survive_csv(linear, tmp_path):
    table = analysis.claims(*linear, times=linear[1])
    for name, frame in zip(("histories", "runs"), linear, strict=True):
        frame.to_csv(tmp_path / f"{name}.csv", index=False)
    again = [pd.read_csv(tmp_path / f"{name}.csv") for name in ("histories", "runs")]
    pd.testing.assert_frame_equal(analysis.claims(*again, times=again[1]), table)
    assert set(table["figure"]) <= {claim.figure for claim in analysis.CLAIMS.values()}
    assert list(analysis.CLAIMS) == list(range(1, 11))


def test_clear_errors(linear):
    with pytest.raises(ValueError, match="metric must be inclusive_iou_loss or iou_loss, got 'x'"):
        analysis.claims(*linear, metric="x")
    with pytest.raises(ValueError, match=r"histories lacks the columns \['epoch'\]"):
        analysis.claims(linear[0].drop(columns="epoch"), linear[1])
    with pytest.raises(ValueError, match=r"predictions lacks the columns \['image', 'true_x1'"):
        analysis.claims(*linear, tested=pd.DataFrame({"iou_loss": [0.1]}))
