"""The figures, seen from outside: panels, curves, plotted numbers, labels, bytes."""

import itertools
import runpy
from unittest import mock

import fake_study
import matplotlib
import numpy as np
import pandas as pd
import pytest
from conftest import ROOT
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text
from PIL import Image

from boxest import analysis, figures, synthetic
from boxest.figures.style import setting
from boxest.study import history

CORNERS = ["x1", "y1", "x2", "y2"]
ONE_CELL = {"batch_sizes": [16], "learning_rates": [0.1], "seeds": 20, "epochs": 30}
ONE_RUN = {"batch_sizes": [64], "learning_rates": [0.01], "seeds": 1, "epochs": 2}
FORMS = {
    "full": fake_study.FULL,
    "tiny": fake_study.TINY,
    "one cell": ONE_CELL,
    "one run": ONE_RUN,
}

VARIANT = fake_study.VARIANT


def study(form):
    histories = fake_study.histories(**form)
    return histories, fake_study.runs(histories, form["epochs"])


@pytest.fixture(scope="module")
def full():
    return study(fake_study.FULL)


@pytest.fixture(scope="module")
def tiny():
    return study(fake_study.TINY)


@pytest.fixture(scope="module")
def predictions():
    return fake_study.predictions(200)


def all_diverged():
    """Return a study in which every run diverges in its second epoch."""
    histories, _ = study(fake_study.TINY)
    histories = histories[histories["epoch"] <= 2].copy()
    losses = [name for name in histories.columns if name.endswith("loss")]
    histories.loc[histories["epoch"] == 2, losses] = np.nan
    return histories, fake_study.runs(histories, 3)


def curves(axes, gid="run"):
    return [line for line in axes.lines if line.get_gid() == gid]


def texts(figure):
    """Return all the text of a figure, laid out and drawn."""
    figure.draw_without_rendering()
    found = figure.findobj(Text)
    return "\n".join(text.get_text() for text in found)


def draw_all(histories, runs, predictions):
    """Yield every figure of a study by name."""
    cells, times = analysis.cells(runs), analysis.time_table(runs)
    some = predictions.iloc[:7]
    true = some[[f"true_{corner}" for corner in CORNERS]].to_numpy()
    predicted = some[[f"predicted_{corner}" for corner in CORNERS]].to_numpy()
    images = fake_study.images(true)
    yield "preview", figures.dataset_preview(images, true)
    yield "layers", figures.layer_table([("dense (Dense)", "(None, 4)", 68)], 68)
    yield "curves", figures.validation_curves(histories, runs)
    yield "curves enlarged", figures.validation_curves(histories, runs, enlarged=True)
    yield "time", figures.training_time(times)
    yield "time fit", figures.time_fit(times)
    yield "predictions", figures.predictions(images, true, predicted, some)
    yield "histogram", figures.error_histogram(predictions)
    yield "scatter", figures.error_scatter(predictions)
    yield "losses", figures.final_losses(cells)
    yield "updates", figures.loss_against_updates(runs)
    yield "comparison", figures.comparison(analysis.comparison(cells))
    yield (
        "residuals",
        figures.residuals(analysis.scaling_residuals(runs, analysis.fit_scaling(runs))),
    )
    yield "cost", figures.seconds_against_loss(analysis.cost_table(runs))
    yield (
        "cost of engines",
        figures.seconds_against_loss(
            analysis.cost_table(runs, pd.concat([runs, runs.assign(engine="keras")]))
        ),
    )
    table = analysis.variant_cells(variants(runs), VARIANT)
    yield "variants", figures.variants(table, analysis.rank_variants(table, VARIANT))
    yield "found rates", figures.found_rates(fake_study.found_rates(histories))
    for method in ("range_test", "magnitudes"):
        yield method, figures.rate_search(fake_study.rate_search(method))


def variants(runs):
    """Return runs of three variants, the last of which diverged."""
    names = {"loss": "giou", "optimizer": "momentum", "plateau_patience": "never"}
    parts = [runs.assign(output_activation=name, **names) for name in ("linear", "tanh")]
    gone = runs.assign(output_activation="sigmoid", diverged=True, **names)
    return pd.concat([*parts, gone], ignore_index=True)


def test_every_figure_can_be_drawn_when_all_runs_diverged(predictions):
    drawn = dict(draw_all(*all_diverged(), predictions.iloc[:1].reindex([0] * 7)))
    assert "all 1 diverged" in texts(drawn["curves"])
    assert "all 1 diverged" in texts(drawn["losses"])
    assert "4 diverged and left out" in texts(drawn["time"])
    assert texts(drawn["time"]).count("all runs diverged") == 2
    assert "all runs diverged" in texts(drawn["time fit"])
    assert len(drawn["time fit"].axes[0].get_yticks()) == 0
    assert "4 more diverged" in texts(drawn["updates"])
    assert "all 1 of ours diverged" in texts(drawn["comparison"])
    assert "all diverged at 16, 256" in texts(drawn["residuals"])
    assert texts(drawn["cost"]).count("all runs diverged") == 2
    assert "diverged" in texts(drawn["variants"])
    assert curves(drawn["found rates"].axes[0], "best") == []


def drawn_texts(figure):
    """Return the texts that are really drawn (not ticks beyond the limits), with their boxes."""
    canvas, drawn, draw = FigureCanvasAgg(figure), [], Text.draw

    def record(text, renderer, *args, **kwargs):
        if text.get_text().strip() and text.get_visible():
            drawn.append(text)
        return draw(text, renderer, *args, **kwargs)

    with mock.patch.object(Text, "draw", record):
        canvas.draw()
    return [(text, text.get_window_extent(canvas.get_renderer())) for text in drawn]


def overlaps(drawn):
    """Return the pairs of texts that lie over each other."""
    pairs = []
    for (one, a), (other, b) in itertools.combinations(drawn, 2):
        width, height = min(a.x1, b.x1) - max(a.x0, b.x0), min(a.y1, b.y1) - max(a.y0, b.y0)
        if width > 1 and height > 1:
            pairs.append((one.get_text(), other.get_text()))
    return pairs


def test_the_overlap_check_sees_an_overlap():
    figure = Figure()
    figure.text(0.5, 0.5, "one")
    figure.text(0.51, 0.5, "two")
    figure.text(0.1, 0.1, "far away")
    assert overlaps(drawn_texts(figure)) == [("one", "two")]


@pytest.mark.parametrize("form", FORMS)
def test_figures_fit_any_size_of_study(form, predictions):
    """No text lies over another or leaves the page."""
    for name, figure in draw_all(*study(FORMS[form]), predictions):
        drawn, page = drawn_texts(figure), figure.bbox
        assert overlaps(drawn) == [], name
        for text, box in drawn:
            inside = page.contains(box.x0 + 1, box.y0 + 1) and page.contains(box.x1 - 1, box.y1 - 1)
            assert inside, (name, text.get_text())


@pytest.mark.parametrize("name", ["curves", "histogram", "predictions"])
def test_saving_twice_gives_the_same_bytes(name, tiny, predictions, tmp_path):
    one, two = (
        next(figure for drawn, figure in draw_all(*tiny, predictions) if drawn == name)
        for _ in range(2)
    )
    first = figures.save(one, tmp_path / "one" / "fig3.small.png")
    second = figures.save(two, tmp_path / "two" / "other.png")
    assert [path.name for path in first] == ["fig3.small.png", "fig3.small.pdf"]
    assert first[0].read_bytes()[:4] == b"\x89PNG"
    assert first[1].read_bytes()[:5] == b"%PDF-"
    for one, two in zip(first, second, strict=True):
        assert one.read_bytes() == two.read_bytes()
    assert {path.name for path in (tmp_path / "one").iterdir()} == {path.name for path in first}


def test_a_failed_save_leaves_the_old_file(tiny, tmp_path, monkeypatch):
    figure = figures.validation_curves(*tiny)
    png, _ = figures.save(figure, tmp_path / "a.png")
    before = png.read_bytes()

    def fail(path, **_):
        path.write_bytes(b"half")
        raise OSError("disk full")

    monkeypatch.setattr(figure, "savefig", fail)
    with pytest.raises(OSError, match="disk full"):
        figures.save(figure, tmp_path / "a.png")
    assert png.read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.pdf", "a.png"]


def test_the_users_style_neither_matters_nor_changes(tiny, tmp_path):
    plain, _ = figures.save(figures.validation_curves(*tiny), tmp_path / "plain.png")
    with matplotlib.rc_context({"font.size": 30, "axes.facecolor": "red", "savefig.dpi": 50}):
        before = dict(matplotlib.rcParams)
        styled, _ = figures.save(figures.validation_curves(*tiny), tmp_path / "styled.png")
        assert dict(matplotlib.rcParams) == before
    assert plain.read_bytes() == styled.read_bytes()


def test_validation_curves_leave_out_the_first_two_epochs(full):
    figure = figures.validation_curves(*full)
    assert len(figure.axes) == 24
    assert "without epochs 1 and 2" in texts(figure)
    first = figure.axes[0]
    assert len(curves(first)) == 10
    histories = full[0]
    cell = histories[(histories["batch_size"] == 4) & (histories["learning_rate"] == 0.0001)]
    for seed, line in enumerate(curves(first)):
        assert line.get_xdata()[0] == 3
        expected = cell.loc[(cell["seed"] == seed) & (cell["epoch"] >= 3), "validation_loss"]
        np.testing.assert_array_equal(line.get_ydata(), expected)
    assert first.get_ylim() == figure.axes[-1].get_ylim()
    assert first.get_title() == "learning rate 0.0001"
    assert first.get_ylabel() == "batch size 4"
    assert figure.axes[-1].get_xlabel() == "epoch"


def test_validation_curves_mark_how_runs_end(full):
    histories, runs = full
    panels = figures.validation_curves(histories, runs).axes
    # Batch size 4, rate 0.1: no run reaches epoch 3 with a finite loss.
    assert curves(panels[3]) == []
    assert "all 10 diverged" in [text.get_text() for text in panels[3].texts]
    cell = runs[(runs["batch_size"] == 16) & (runs["learning_rate"] == 0.1)]
    assert cell["diverged"].any()
    assert len(curves(panels[7], "diverged")) == cell["diverged"].sum()
    stopped = curves(panels[7], "stopped_early")
    assert [line.get_xdata()[0] for line in stopped] == cell.loc[
        cell["stopped_early"], "epochs"
    ].tolist()


def test_validation_curves_work_out_the_outcomes_without_the_runs_table(full):
    histories, runs = full
    shuffled = histories.sample(frac=1, random_state=0)
    for one, two in zip(
        figures.validation_curves(histories, runs).axes,
        figures.validation_curves(shuffled).axes,
        strict=True,
    ):
        assert [text.get_text() for text in one.texts] == [text.get_text() for text in two.texts]
        assert len(one.lines) == len(two.lines)


def test_validation_curves_draw_short_histories_whole(tiny):
    figure = figures.validation_curves(*tiny)
    assert curves(figure.axes[0])[0].get_xdata().tolist() == [1, 2, 3]
    assert "without" not in texts(figure)
    one = figures.validation_curves(tiny[0], first_epoch=2)
    assert curves(one.axes[0])[0].get_xdata().tolist() == [2, 3]
    assert "without epoch 1" in texts(one)


def test_validation_curves_can_be_chosen(full):
    figure = figures.validation_curves(
        *full,
        only={"batch_size": [16, 1024], "learning_rate": [0.01]},
        metric="validation_iou_loss",
    )
    assert len(figure.axes) == 2
    assert "validation 1 − IoU" in texts(figure)
    with pytest.raises(ValueError, match=r"batch_size: choose from .* got \[5\]"):
        figures.validation_curves(*full, only={"batch_size": [5]})
    with pytest.raises(ValueError, match="lacks the columns"):
        figures.validation_curves(full[0], metric="nonsense")


def test_enlarged_curves_show_the_mean_of_the_runs_that_did_not_diverge(full):
    histories, runs = full
    figure = figures.validation_curves(histories, runs, enlarged=True)
    assert "own vertical scale" in texts(figure)
    panel = figure.axes[7]
    (mean,) = curves(panel, "mean")
    keep = runs[(runs["batch_size"] == 16) & (runs["learning_rate"] == 0.1) & ~runs["diverged"]]
    assert mean.get_xdata()[-1] == keep["epochs"].min()
    cell = histories.merge(keep[["batch_size", "learning_rate", "seed"]])
    expected = cell.loc[cell["epoch"] == 3, "validation_loss"].mean()
    assert mean.get_ydata()[0] == pytest.approx(expected)


def test_training_time(full):
    times = analysis.time_table(full[1])
    figure = figures.training_time(times)
    left, right = figure.axes
    assert left.get_ylabel() == "training time of 30 epochs (s)"
    assert left.get_xlabel() == "batch size (images)"
    assert len(left.containers) == 4
    line = left.containers[0].lines[0]
    assert line.get_xdata().tolist() == [4, 16, 64, 256, 1024, 4096]
    expected = times.loc[times["learning_rate"] == 0.0001, "seconds"]
    np.testing.assert_allclose(line.get_ydata(), expected)
    # All runs diverged at batch size 4, rate 0.1: five points only.
    assert len(left.containers[3].lines[0].get_xdata()) == 5
    assert len(right.containers) == 4
    assert left.get_xscale() == left.get_yscale() == "log"


def test_time_fit_shows_the_parameters(full):
    times = analysis.time_table(full[1])
    exact = times.assign(seconds=60 + 800 / times["batch_size"])
    figure = figures.time_fit(exact)
    assert "a = (60.0" in texts(figure)
    assert "b = (800.0" in texts(figure)
    (curve,) = [line for line in figure.axes[0].lines if len(line.get_xdata()) == 200]
    np.testing.assert_allclose(curve.get_ydata(), 60 + 800 / curve.get_xdata())
    for line in figure.axes[1].lines[:4]:
        np.testing.assert_allclose(line.get_ydata(), 1)
    one = times[times["batch_size"] == 16]
    assert "too few times" in texts(figures.time_fit(one))


def test_times_of_several_machines_are_announced(tiny):
    times = analysis.time_table(tiny[1]).assign(settings=2)
    assert "different machines" in texts(figures.training_time(times))


def test_shares_of_time_are_never_drawn_as_times(tiny):
    alone = tiny[1].assign(engine="compiled")
    together = alone.assign(engine="stacked", train_seconds=1e-6)
    for draw in (figures.training_time, figures.time_fit):
        figure = draw(analysis.time_table(together))
        assert "none has a time of its own" in texts(figure)
        assert "4 trained together with others and left out" in texts(figure)
        mixed = pd.concat([alone[alone["batch_size"] == 16], together[alone["batch_size"] == 256]])
        figure = draw(analysis.time_table(mixed))
        assert "2 trained together with others and left out" in texts(figure)
        drawn = np.concatenate([np.ravel(line.get_ydata()) for line in figure.axes[0].lines])
        assert drawn[np.isfinite(drawn)].min() > 1e-3


def test_preview_names_the_sizes():
    boxes = np.array([[0, 0, 0.5, 0.25], [0.5, 0.5, 1, 1]])
    figure = figures.dataset_preview(fake_study.images(boxes), boxes)
    assert [axes.get_title() for axes in figure.axes] == ["64 × 32 px", "64 × 64 px"]
    outline = figure.axes[0].lines[0]
    assert outline.get_xdata().tolist() == [0, 64, 64, 0, 0]
    assert outline.get_ydata().tolist() == [0, 0, 32, 32, 0]


def test_scenes_have_a_row_each():
    rows = {
        name: synthetic.make(0, 3, seed=0, image_size=32, scene=synthetic.Scene(noise=noise))
        for name, noise in (("clean", 0), ("noise\n0.5", 0.5))
    }
    figure = figures.scenes(rows)
    assert len(figure.axes) == 6
    assert [axes.get_ylabel() for axes in figure.axes[::3]] == list(rows)
    for axes, box in zip(figure.axes, np.tile(rows["clean"][1], (2, 1)), strict=True):
        assert axes.lines[0].get_xdata().tolist() == [32 * box[i] for i in (0, 2, 2, 0, 0)]
    assert figure.axes[3].images[0].get_array().std() > 50
    drawn = drawn_texts(figure)
    assert overlaps(drawn) == []
    assert all(figure.bbox.contains(box.x0 + 1, box.y0 + 1) for _, box in drawn)
    with pytest.raises(ValueError, match=r"same number of images, got \[2, 3\]"):
        figures.scenes(rows | {"less": (rows["clean"][0][:2], rows["clean"][1][:2])})
    with pytest.raises(ValueError, match=r"boxes must have shape \(3, 4\)"):
        figures.scenes({"other": (rows["clean"][0], rows["clean"][1][:2])})


def test_scenes_of_the_guide_are_what_is_drawn_now(tmp_path):
    draw = runpy.run_path(str(ROOT / "docs" / "figures" / "scenes.py"))["draw"]
    png, _ = figures.save(draw(), tmp_path / "scenes.png")
    with Image.open(png) as again, Image.open(ROOT / "docs" / "figures" / "scenes.png") as there:
        assert again.size == there.size
        # The same picture, but for what another version of matplotlib or of a font does.
        assert np.abs(np.asarray(again.convert("L"), float) - there.convert("L")).mean() < 3


def test_predictions_show_both_boxes_and_both_ious():
    true = np.array([[0, 0, 0.5, 0.5]] * 2)
    predicted = np.array([[0, 0, 0.5, 0.25], [0.5, 0, 0, 0.5]])
    losses = pd.DataFrame({"iou_loss": [0.5, 1.0], "inclusive_iou_loss": [0.1, 0.3]})
    figure = figures.predictions(fake_study.images(true), true, predicted, losses)
    assert figure.axes[0].get_title() == "IoU 0.500\ninclusive 0.900"
    assert "(swapped)" in figure.axes[1].get_title()
    one, two = figure.axes[0].lines
    assert one.get_linestyle() != two.get_linestyle()
    assert (max(one.get_ydata()), max(two.get_ydata())) == (64, 32)


def test_images_are_checked():
    boxes = fake_study.boxes(2)
    images = fake_study.images(boxes)
    losses = pd.DataFrame({"iou_loss": [0.5], "inclusive_iou_loss": [0.1]})
    with pytest.raises(ValueError, match=r"images must have shape \(n, height, width\)"):
        figures.dataset_preview(images[..., None], boxes)
    with pytest.raises(ValueError, match=r"boxes must have shape \(2, 4\)"):
        figures.dataset_preview(images, boxes[:1])
    with pytest.raises(ValueError, match="losses must have 2 rows"):
        figures.predictions(images, boxes, boxes, losses)


def test_layer_table():
    rows = [("flatten (Flatten)", "(None, 1024)", 0), ("dense (Dense)", "(None, 16)", 16400)]
    figure = figures.layer_table(rows, {"total": 16400, "trainable": 16400})
    assert figure.axes[0].get_title() == "16,400 parameters"
    for text in ("flatten (Flatten)", "(None, 16)", "16,400", "Trainable parameters"):
        assert text in texts(figure)
    with pytest.raises(ValueError, match="triples"):
        figures.layer_table([("dense", 3)], 3)


def test_histogram_stacks_to_all_images(predictions):
    figure = figures.error_histogram(predictions)
    assert len(figure.axes) == 4
    for axes in figure.axes[:2]:
        assert sum(bar.get_height() for bar in axes.patches) == len(predictions)
    shares = [bar.get_height() for bar in figure.axes[2].patches]
    assert sum(shares) == pytest.approx(100 * (predictions["smallest_side"] // 8).nunique())
    assert "1 − inclusive IoU" in figure.axes[0].get_title()
    assert figure.axes[3].get_xlabel() == "smallest side of the object (px)"
    assert len(figures.error_histogram(predictions, "iou_loss").axes) == 2


def test_scatter_puts_both_metrics_on_one_scale(predictions):
    figure = figures.error_scatter(predictions)
    left, right = (axes.collections[0] for axes in figure.axes[:2])
    assert left.norm is right.norm
    assert len(right.get_offsets()) == len(predictions)
    assert right.get_array()[-1] == pytest.approx(predictions["iou_loss"].max())
    assert figure.axes[0].get_xlabel() == "width of the object (px)"
    lost = predictions.assign(iou_loss=np.nan)
    assert "200 undefined" in texts(figures.error_scatter(lost))


def test_final_losses_show_means_spread_and_counts(full):
    cells = analysis.cells(full[1])
    figure = figures.final_losses(cells)
    # Each of the four has a bar of its colours.
    assert len(figure.axes) == 2 * 4
    written = [text.get_text() for text in figure.axes[1].texts]
    assert len(written) == 24
    first = cells.iloc[0]
    assert written[0] == f"{first['validation_loss']:.3f}\n± {first['validation_loss_sd']:.3f}"
    assert "all 10 diverged" in written
    assert any("stopped early" in text for text in written)


def test_final_losses_may_be_tiny(full):
    cells = analysis.cells(full[1].assign(validation_loss=2.9e-6))
    written = [text.get_text() for text in figures.final_losses(cells).axes[1].texts]
    assert written[0].startswith("2.9e−06\n± ")


def test_loss_against_updates_draws_every_run(full):
    runs = full[1]
    figure = figures.loss_against_updates(runs)
    axes = figure.axes[0]
    assert sum(len(line.get_xdata()) for line in curves(axes, "cell")) == (~runs["diverged"]).sum()
    assert sum(len(line.get_xdata()) for line in curves(axes, "diverged")) == runs["diverged"].sum()
    first = curves(axes, "cell")[0]
    cell = runs[(runs["batch_size"] == 4) & (runs["learning_rate"] == 0.0001)]
    np.testing.assert_allclose(first.get_xdata(), 0.0001 * cell["updates"])
    assert axes.get_xlabel() == "learning rate × number of updates"
    assert len(curves(axes, "fit")) == 1


def test_comparison_draws_both_and_says_what_is_missing(full):
    table = analysis.comparison(analysis.cells(full[1]))
    figure = figures.comparison(table)
    left, right, _ = figure.axes
    assert len(left.get_yticks()) == 24
    apart = analysis.distance(table)
    assert f"root mean square log ratio {apart:.3f} (21 cells)" in right.get_title()
    notes = [text.get_text() for text in right.texts]
    assert sorted(notes) == ["all 10 of ours diverged, not in the paper", *["not in the paper"] * 2]
    ours = right.containers[0].lines[0].get_xdata().astype(float)
    np.testing.assert_array_equal(ours, table["validation_inclusive_iou_loss"])
    assert left.get_xlabel() == "training 1 − inclusive IoU"


def test_times_that_hardly_differ_are_drawn_from_zero(full):
    times = analysis.time_table(full[1])
    flat = times.assign(seconds=2.0, seconds_min=1.9, seconds_max=2.1)
    for figure in (figures.training_time(flat), figures.time_fit(flat)):
        assert figure.axes[0].get_yscale() == "linear"
        assert figure.axes[0].get_ylim()[0] == 0
    assert figures.training_time(times).axes[0].get_yscale() == "log"


def test_comparison_says_where_the_studies_differ(full):
    table = analysis.comparison(analysis.cells(full[1]))
    assert "ours: 8 epochs" in texts(figures.comparison(table, note="ours: 8 epochs"))


def test_time_says_its_epochs_and_what_the_bars_are(full):
    times = analysis.time_table(full[1])
    assert "bars: min to max of the runs" in texts(figures.training_time(times))
    assert figures.time_fit(times).axes[0].get_ylabel() == "training time of 30 epochs (s)"
    once = times.assign(planned_epochs=1)
    assert figures.training_time(once).axes[0].get_ylabel() == "training time of 1 epoch (s)"
    unknown = figures.time_fit(times.drop(columns="planned_epochs"))
    assert unknown.axes[0].get_ylabel() == "training time (s)"


def test_a_run_of_one_epoch_can_be_seen():
    figure = figures.validation_curves(*study({**ONE_RUN, "epochs": 1}))
    (line,) = curves(figure.axes[0])
    assert line.get_marker() == "o"
    (longer,) = curves(figures.validation_curves(*study(ONE_RUN)).axes[0])
    assert longer.get_marker() == "None"


def test_final_losses_mention_diverged_runs_only_where_there_are_any(full):
    cells = analysis.cells(full[1])
    assert "diverged runs left out" in texts(figures.final_losses(cells))
    without = cells[cells["learning_rate"] < 0.1]
    assert "diverged" not in texts(figures.final_losses(without))


def test_diverged_runs_do_not_stretch_the_axis(full):
    runs = full[1].copy()
    kept = figures.loss_against_updates(runs[~runs["diverged"]]).axes[0].get_xlim()
    runs.loc[runs["diverged"], "updates"] = 10**12
    axes = figures.loss_against_updates(runs).axes[0]
    assert axes.get_xlim() == kept
    drawn = np.concatenate([line.get_xdata() for line in curves(axes, "diverged")])
    assert drawn.max() <= kept[1]


def test_predictions_of_a_diverged_run_say_so(predictions):
    true = predictions[[f"true_{corner}" for corner in CORNERS]].to_numpy()[:3]
    lost = pd.DataFrame(history.predictions(true, np.full((3, 4), np.nan), image_size=128))
    shown = figures.predictions(fake_study.images(true), true, np.full((3, 4), np.nan), lost)
    for figure, panels in (
        (shown, 3),
        (figures.error_histogram(lost), 4),
        (figures.error_scatter(lost), 2),
    ):
        written = texts(figure)
        assert written.count("the run diverged") == panels
        assert "nan" not in written


def test_residuals_are_drawn_as_ratios():
    table = pd.DataFrame(
        {
            "loss": "validation_inclusive_iou_loss",
            "batch_size": [16, 64, 64],
            "learning_rate": [0.01, 0.1, 1.0],
            "product": [1.0, 10.0, 100.0],
            "fitted": [True, True, False],
            "extrapolated": [False, False, True],
            "residual": [np.log(1.5), np.nan, np.log(3)],
            "residual_sd": [0.1, np.nan, np.nan],
            "diverged": [0, 5, 0],
        }
    )
    figure = figures.residuals(table)
    left, middle, right = figure.axes
    (point,) = [container for container in left.containers if container.has_yerr]
    assert point.lines[0].get_ydata() == pytest.approx([1.5])
    assert middle.get_title() == "learning rate 0.1\nall diverged at 64"
    assert right.get_title() == "learning rate 1\nnot fitted"
    assert left.get_ylabel() == "validation 1 − inclusive IoU\n/ fitted curve"
    hollow = [axes.containers[0].lines[0].get_markerfacecolor() for axes in (left, right)]
    assert (hollow[0] != "white", hollow[1]) == (True, "white")
    assert "curve\nextrapolated" in texts(figure)


def test_the_curve_is_dashed_where_it_is_extrapolated(full):
    runs = full[1]
    figure = figures.loss_against_updates(runs)
    axes = figure.axes[0]
    product = (runs["learning_rate"] * runs["updates"])[~runs["diverged"]]
    (fit,) = curves(axes, "fit")
    (beyond,) = curves(axes, "extrapolated")
    assert (fit.get_linestyle(), beyond.get_linestyle()) == ("-", "--")
    largest = product[runs["learning_rate"] < 0.1].max()
    np.testing.assert_allclose([fit.get_xdata()[-1], beyond.get_xdata()[0]], largest)
    np.testing.assert_allclose(beyond.get_xdata()[-1], product.max())
    assert "curve fitted to 180 of rates below 0.1" in axes.get_title()


def test_trained_losses_are_named_where_the_table_tells(full, tiny):
    histories, runs = full
    inclusive = "validation loss (1 − inclusive IoU)"
    assert inclusive in texts(figures.final_losses(analysis.cells(runs)))
    assert "Validation loss (1 − inclusive IoU) of every run" in texts(
        figures.validation_curves(histories, runs)
    )
    axes = figures.loss_against_updates(runs).axes[0]
    assert axes.get_ylabel() == f"{inclusive}, at the end"
    geometric = tiny[0].assign(validation_loss=tiny[0]["validation_iou_loss"])
    assert "validation loss (1 − IoU)" in texts(figures.validation_curves(geometric))
    other = tiny[0].assign(validation_loss=2.0)
    assert "validation loss (" not in texts(figures.validation_curves(other))


def test_spreads_say_what_they_are(full, tiny):
    assert "mean ± standard deviation" in texts(figures.final_losses(analysis.cells(full[1])))
    assert "±" not in texts(figures.final_losses(analysis.cells(tiny[1])))
    assert "±: half of the 95 % interval" in texts(figures.time_fit(analysis.time_table(full[1])))


def test_comparison_has_a_column_of_counts_where_it_counts_anything(full):
    table = analysis.comparison(analysis.cells(full[1]))
    heads = [text.get_text() for text in figures.comparison(table).axes[2].texts]
    assert heads[:5] == ["ours ± sd", "paper", "apart\n(SE)", "stopped\nearly", "diverged"]
    whole = figures.comparison(table.assign(diverged=0)).axes[2].texts
    assert "diverged" not in [text.get_text() for text in whole]


def test_cost_marks_the_pareto_front(full):
    costs = analysis.cost_table(full[1])
    axes = figures.seconds_against_loss(costs).axes[0]
    (front,) = curves(axes, "front")
    on_front = costs[costs["pareto_validation_inclusive_iou_loss"]].sort_values("seconds")
    assert front.get_xdata().tolist() == on_front["seconds"].tolist()
    assert len(curves(axes, "cell")) == 23
    large = [line for line in curves(axes, "cell") if line.get_markersize() > 5]
    assert len(large) == len(on_front)


def test_costs_that_hardly_differ_are_drawn_from_zero(full):
    costs = analysis.cost_table(full[1])
    costs["seconds"] = np.linspace(100, 160, len(costs))
    axes = figures.seconds_against_loss(costs).axes[-1]
    assert axes.get_xscale() == "linear"
    assert axes.get_xlim()[0] == 0


def test_cells_without_a_time_did_not_diverge(full):
    costs = analysis.cost_table(full[1].assign(engine="stacked"))
    assert texts(figures.seconds_against_loss(costs)).count("trained together") == 2


def test_cells_that_cost_the_same_stand_side_by_side(full):
    """By their time, they would be one stack in an empty panel."""
    costs = analysis.cost_table(full[1]).assign(seconds=100.0)
    axes = figures.seconds_against_loss(costs).axes[-1]
    places = {float(line.get_xdata()[0]) for line in curves(axes, "cell")}
    assert places == set(range(6))
    assert "all cells take the same time, 100 to 100 s" in axes.get_xlabel()


def test_panels_may_be_laid_out_by_any_two_axes(full):
    histories, runs = (
        table[table["batch_size"].isin([16, 64])]
        .replace({"batch_size": {16: "adam", 64: "sgd"}})
        .rename(columns={"batch_size": "optimizer", "learning_rate": "plateau_factor"})
        for table in full
    )
    form = {"rows": "optimizer", "columns": "plateau_factor"}
    figure = figures.validation_curves(histories, runs, **form)
    assert len(figure.axes) == 2 * 4
    assert {"Adam", "SGD", "plateau factor 0.001"} <= set(texts(figure).splitlines())
    cells = runs.groupby(list(form.values()), as_index=False).agg(
        runs=("seed", "size"), **{name: (name, "mean") for name in runs if name.endswith("_loss")}
    )
    cells = cells.assign(stopped_early=0, diverged=0, similitude=100.0)
    cells = cells.assign(train_loss_sd=0.1, validation_loss_sd=0.1)
    assert "Adam" in texts(figures.final_losses(cells, *form.values()))


def test_comparison_has_the_numbers(full):
    table = analysis.comparison(analysis.cells(full[1]))
    text = texts(figures.comparison(table))
    row = table[(table["batch_size"] == 16) & (table["learning_rate"] == 0.1)].iloc[0]
    loss = "validation_inclusive_iou_loss"
    assert f"{row[loss]:.3f} ± {row[f'{loss}_sd']:.3f}" in text
    assert f"{row['stopped_early']:.0f} of 10" in text
    assert "10 of 10" in text


def test_variants_beside_fig_8(full):
    table = analysis.variant_cells(variants(full[1]), VARIANT)
    figure = figures.variants(table, analysis.rank_variants(table, VARIANT))
    left, right = figure.axes
    names = [label.get_text() for label in left.get_yticklabels()]
    assert names[-1] == "sigmoid, GIoU, SGD, momentum, fixed rate"
    assert len(left.get_xticks()) == 21
    assert right.lines[0].get_xdata()[-1] > right.lines[0].get_xdata()[0]


def test_found_rates_lie_beside_the_best_ones(full):
    found = fake_study.found_rates(full[0])
    axes = figures.found_rates(found).axes[0]
    bars = [line.get_ydata()[0] for line in curves(axes, "best")]
    assert bars == found.groupby("batch_size")["best_rate"].first().tolist()
    points = np.concatenate(
        [line.get_ydata() for line in axes.lines if line.get_marker() != "None"]
    )
    assert sorted(points) == sorted(found["found_rate"])


def test_search_marks_its_suggestion():
    search = fake_study.rate_search("range_test")
    figure = figures.rate_search(search)
    assert "suggested: 0.1" in texts(figure)
    losses, smoothed, suggestion = figure.axes[0].lines
    kept = search.table[~search.table["diverged"]]
    assert losses.get_ydata().tolist() == kept["loss"].tolist()
    assert smoothed.get_ydata().tolist() == kept["smoothed_loss"].tolist()
    assert suggestion.get_xdata() == [0.1, 0.1]


def test_predictions_in_colour_and_without_a_table_of_losses():
    images = np.zeros((2, 8, 12, 3), np.uint8)
    images[..., 0] = 200
    true = np.array([[0, 0, 0.5, 1], [0, 0, 1, 1]])
    predicted = np.array([[0, 0, 1, 1], [0, 0, 1, 1]])
    figure = figures.predictions(images, true, predicted)
    assert [axes.get_title() for axes in figure.axes] == [
        f"IoU {iou:.3f}\ninclusive {inclusive:.3f}" for iou, inclusive in ((0.5, 0.75), (1, 1))
    ]
    assert figure.axes[0].images[0].get_array().shape == (8, 12, 3)
    assert figures.dataset_preview(images, true).axes[1].get_title() == "12 × 8 px"
    with pytest.raises(ValueError, match=r"\(n, height, width, 3\), got \(2, 8, 12, 4\)"):
        figures.predictions(np.zeros((2, 8, 12, 4)), true, predicted)


def test_names_of_photographs_are_no_formulas(tmp_path):
    Image.new("RGB", (8, 8)).save(tmp_path / "cup $_$ 2.png")
    boxes = pd.DataFrame({"image": ["cup $_$ 2.png"], "x1": 1, "y1": 1, "x2": 5, "y2": 5})
    assert "cup $_$ 2.png" in texts(figures.photographs(boxes, tmp_path))


def test_an_axis_of_true_and_false_is_named_so():
    """Also where it was read from a table."""
    names = [setting("restore_best_weights", value) for value in pd.Series([True, False])]
    read = [setting("restore_best_weights", value) for value in pd.Series([True, False]).unique()]
    assert names == read == ["restore best weights True", "restore best weights False"]


def test_validation_curves_of_one_fit():
    history = [
        {"epoch": n, "validation_loss": 1 / n, "train_loss": 0.5 / n, "learning_rate_now": 0.1}
        for n in (1, 2, 3)
    ]
    (axes,) = figures.validation_curves(history).axes
    assert [line.get_ydata().tolist() for line in axes.lines] == [
        [row[name] for row in history] for name in ("validation_loss", "train_loss")
    ]
    assert axes.lines[0].get_xdata().tolist() == [1, 2, 3]
    with pytest.raises(ValueError, match=r"history_.*nonsense"):
        figures.validation_curves(history, metric="nonsense")


def test_times_of_rates_that_are_found(tiny):
    _, runs = tiny
    times = analysis.time_table(runs[runs["learning_rate"] == 0.01].assign(learning_rate="auto"))
    assert "auto" in texts(figures.training_time(times))
    assert "learning rate auto" in texts(figures.time_fit(times))
