"""The benchmarks: that they run, say what is missing, and calculate what they say."""

import json
import os
import re
import subprocess
import sys

import numpy as np
import pytest
from conftest import ROOT
from PIL import Image


def run(name, *arguments):
    command = [sys.executable, str(ROOT / "benchmarks" / name), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture
def benchmark_modules(monkeypatch):
    """Return the modules `training` and `peers_training.processes`."""
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    import training
    from peers_training import processes

    yield training, processes
    for name in [
        name for name in sys.modules if name.split(".")[0] in ("training", "peers_training")
    ]:
        del sys.modules[name]


@pytest.mark.slow
def test_training_measures_contenders_or_says_what_is_missing(tmp_path):
    """All but those that many.py runs, below."""
    contenders = ["keras-best", "pytorch", "tensorflow", "boxest-tensorflow"]
    where = ["--json", tmp_path / "out.json", "--markdown", tmp_path / "out.md"]
    text = run("training.py", "--quick", "--modes", "one", "--contenders", *contenders, *where)
    assert (tmp_path / "out.md").read_text() == text
    result = json.loads((tmp_path / "out.json").read_text())
    assert [row["contender"] for row in result["rows"]] == contenders
    for row in result["rows"]:
        assert row["status"] == ("ok" if row["library"] else "not installed")
        if row["status"] == "ok":
            assert row["plausible"]
            median, low, high = row["images_per_second"]
            assert 0 < low <= median <= high
            assert row["device"] == "cpu"
    assert "Trained on: cpu." in text
    assert "(e) boxest on TensorFlow | " in text


@pytest.mark.slow
def test_study_measures_both_ways(tmp_path):
    run("study.py", "--quick", "--json", tmp_path / "out.json")
    result = json.loads((tmp_path / "out.json").read_text())
    for way in ("snakemake", "paper"):
        assert 0 < result[way]["seconds"]["train"] < result[way]["wall_seconds"]
        losses = result[way]["validation_loss"]
        assert list(losses) == ["16, 0.1", "64, 0.1"]
        assert all(0 < loss < 1 for cell in losses.values() for loss in cell)
    assert result["ratio"] > 0


@pytest.mark.slow
@pytest.mark.jax
def test_many_runs_are_measured_beside_runs_in_turn(tmp_path):
    pytest.importorskip("jax")
    text = run("many.py", "--quick", "--json", tmp_path / "out.json")
    result = json.loads((tmp_path / "out.json").read_text())
    assert [row["batch"] for row in result["rows"]] == [16]
    for row in result["rows"]:
        assert row["plausible"]
        assert list(row["boxest-stacked"]) == ["1", "3"]
        rates = [*row["boxest-stacked"].values(), row["boxest-jax"], row["keras-default"]]
        assert all(0 < low <= median <= high for median, low, high in rates)
    (rate, low, high), in_turn = (
        result["rows"][0]["boxest-stacked"]["3"],
        result["rows"][0]["boxest-jax"][0],
    )
    assert f"| {rate:,.0f} ({low:,.0f}–{high:,.0f}): {rate / in_turn:.2f}, " in text
    assert "Trained on: cpu." in text


@pytest.mark.slow
@pytest.mark.jax
def test_the_whole_study_in_one_program_per_batch_size_is_timed(tmp_path):
    pytest.importorskip("jax")
    where = ["--json", tmp_path / "out.json", "--markdown", tmp_path / "out.md"]
    text = run("many.py", "--quick", "--study", *where)
    assert (tmp_path / "out.md").read_text() == text
    result = json.loads((tmp_path / "out.json").read_text())
    assert "4 runs of 2 epochs: " in text
    assert result["machine"]["devices"] == ["cpu"]
    assert result["machine"]["versions"]["jax"]
    assert all(0 < row["compile_seconds"] < row["seconds"] for row in result["rows"])


def test_a_contender_without_its_library_is_reported(benchmark_modules, monkeypatch):
    training, _ = benchmark_modules
    missing = training.CONTENDERS["pytorch"]._replace(needs=("no_such_library",))
    monkeypatch.setitem(training.CONTENDERS, "pytorch", missing)
    row = training.measure("pytorch", "one", 4, training.parse([]))
    assert row["status"] == "not installed"


def test_a_process_that_fails_is_reported_with_its_last_words(benchmark_modules):
    _, processes = benchmark_modules
    with pytest.raises(RuntimeError, match=r"exit status 1: TypeError: .*missing"):
        processes.run("keras-default", {"threads": 1}, 2)


def test_rates_of_processes_are_added_epoch_by_epoch(benchmark_modules):
    training, _ = benchmark_modules
    process = {"seconds": [1.0, 2.0, 4.0], "losses": [0.5, 0.4], "settings": "", "device": "cpu"}
    row = training.summary([process, process], batch=40, n_images=100)
    assert row["images_per_second"] == [100.0, 50.0, 200.0]
    assert row["microseconds_per_step"] == [pytest.approx(s * 1e6 / 3) for s in (2, 1, 4)]


@pytest.mark.parametrize(
    "others",
    [
        [0.5, 0.46],  # another last loss
        [0.61, 0.6001],  # has not learned: as in few updates, that is within 10 %
        [0.61, float("nan")],
    ],
    ids=str,
)
def test_a_loss_unlike_the_others_is_not_plausible(benchmark_modules, others):
    training, _ = benchmark_modules
    losses = [[0.61, 0.59], [0.612, 0.588], others]
    rows = [
        {"batch": 4096, "mode": "one", "contender": f"c{i}", "status": "ok", "losses": epochs}
        for i, epochs in enumerate(losses)
    ]
    training._judge(rows)
    assert [row["plausible"] for row in rows] == [True, True, False]
    (wrong,) = training._wrong(rows, ["cpu"])
    assert "c2 (one, batch 4096) has not trained like the others" in wrong


def test_what_ran_on_different_devices_is_not_comparable(benchmark_modules):
    training, _ = benchmark_modules
    assert training._wrong([], ["cpu"]) == training._wrong([], ["H100", "NVIDIA H100"]) == []
    (wrong,) = training._wrong([], ["NVIDIA H100", "cpu"])
    assert wrong.startswith("Not comparable: some have trained on NVIDIA H100 and some on cpu.")


def test_what_is_wrong_is_in_the_table_and_the_exit_status(
    benchmark_modules, monkeypatch, capsys, tmp_path
):
    training, _ = benchmark_modules
    measured = {"seconds": [1.0], "losses": [0.5, 0.4], "settings": "", "device": "cpu"}
    of = {"keras-default": measured, "tensorflow": measured | {"device": "A GPU"}}
    of["boxest-tensorflow"] = measured | {"losses": [0.5, 0.5]}
    monkeypatch.setattr(training.processes, "run", lambda name, *_: [of[name]])
    options = ["--batch", "4096", "--modes", "one", "--json", str(tmp_path / "out.json")]
    assert training.main([*options, "--contenders", *of]) == 1
    text = capsys.readouterr().out
    assert "Trained on: A GPU, cpu." in text
    assert "**Not comparable: some have trained on A GPU and some on cpu." in text
    assert "| (e) boxest on TensorFlow | 8,000 (8,000–8,000) **not plausible** |" in text
    assert len(json.loads((tmp_path / "out.json").read_text())["wrong"]) == 2
    assert training.main([*options, "--contenders", "keras-default"]) == 0


@pytest.mark.slow
def test_variants_are_measured_and_one_that_fails_is_named(tmp_path):
    names = ["as it is", "without xla"]
    text = run("variants.py", "--quick", "--variants", *names)
    assert "Trained on: cpu." in text
    for name in names:
        assert re.search(rf"^\| {name} \| [\d,]+ \(\d\.\d\d\) \|$", text, re.MULTILINE)
    done = subprocess.run(
        [sys.executable, "variants.py", "--quick", "--variants", "two threads"],
        cwd=ROOT / "benchmarks",
        env=os.environ | {"KERAS_BACKEND": "no_such_backend"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert [line for line in done.stdout.splitlines() if "failed" in line] == [
        "| two threads | failed |"
    ]


@pytest.mark.slow
def test_compilers_are_compared(tmp_path):
    run("compilers.py", "--quick", "--markdown", tmp_path / "compilers.md")
    text = (tmp_path / "compilers.md").read_text()
    assert re.search(r"^\| 8, 8 \| no \| 16 \| [\d,]+ \| [\d,]+ \| without \|$", text, re.MULTILINE)


@pytest.mark.slow
def test_streaming_compares_both_and_measures_memory():
    text = run("streaming.py", "--images", 1500, "--epochs", 2)
    rows = [line.split("|") for line in text.splitlines() if line.startswith("| ") and "," in line]
    assert [row[1].strip() for row in rows] == ["resident", "streamed"]
    assert all(0.2 < float(row[4]) < 4 for row in rows)
    assert text.splitlines()[-1].startswith("streamed / resident: ")


@pytest.fixture
def scheduling(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    import scheduling

    yield scheduling
    del sys.modules["scheduling"]


def test_planning_counts_the_jobs_of_each_way():
    rows = run("scheduling.py", "plan", "--runs", 24).splitlines()
    cells = [[cell.strip() for cell in row.split("|")[1:-1]] for row in rows[2:]]
    # One seed: 267 jobs of the paper's study, less 216 of its runs.
    assert [(*row[:2], int(row[2])) for row in cells] == [
        ("24", "a job each", 51),
        ("24", "a job each, in groups of 10", 51),
        ("24", "a job for 1", 51),
    ]
    assert all(0 < float(row[3]) < 60 and 50 < float(row[4]) < 1000 for row in cells)


@pytest.mark.parametrize(
    ("elapsed", "seconds"),
    [("0:07", 7), ("12:34", 754), ("1:00:01", 3601), ("2-03:04:05", 183845)],
)
def test_times_of_slurm_are_read(scheduling, elapsed, seconds):
    assert scheduling.in_seconds(elapsed) == seconds


def test_time_to_submit_is_that_of_the_runs(scheduling):
    log = """1.5 scontrol
2.0 sbatch rule_shards_shard
10.0 sbatch rule_runs_train
10.5 squeue
13.5 sbatch rule_runs_train
90.0 sbatch rule_tables_claims_collect_final_losses_findings_table_pages_...
"""
    calls, seconds = scheduling.summary(log)
    assert calls == {"scontrol": 1, "sbatch": 4, "squeue": 1}
    assert seconds == 3.5


@pytest.mark.slow
def test_photographs_from_files_to_boxes_in_pixels(tmp_path):
    out = tmp_path / "out"
    printed = run("photographs.py", out, "--images", 20, "--epochs", 1, "--size", 16, "--grey")
    result = json.loads(printed[printed.index("{\n") :])
    assert (result["photographs"], result["epochs"], result["channels"]) == (20, 1, 1)
    # The IoU does not depend on the scales of x and y.
    assert result["test_iou"] == pytest.approx(result["test_iou_in_pixels"], abs=1e-9)
    assert 0 <= result["test_least_iou"] <= result["test_iou"]
    for name in ("predictions.png", "worst.png"):
        assert (out / name).stat().st_size > 10_000


@pytest.mark.slow
def test_augmentation_is_measured_beside_that_of_keras():
    row = run("augmented.py", "--quick").splitlines()[-1].strip("| ").split(" | ")
    assert row[0] == "one process, all cores"
    keras, own, ratio = (float(cell.replace(",", "")) for cell in row[1:])
    assert ratio == pytest.approx(own / keras, rel=0.1)


@pytest.fixture
def bars(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    import bars

    yield bars
    for name in ("bars", "composed", "rendered"):
        sys.modules.pop(name, None)


def test_composed_boxes_lie_around_what_was_pasted(bars, monkeypatch, tmp_path):
    np.save(tmp_path / "lfw_subset.npy", np.ones((100, 25, 25)))
    Image.new("RGB", (40, 30)).save(tmp_path / "black.png")
    composed = sys.modules["composed"]
    monkeypatch.setattr(composed, "packaged", lambda name: tmp_path / name.rpartition("/")[2])
    monkeypatch.setattr(composed, "PICTURES", {"test": ["some/black.png"]})
    images, boxes = composed.make("faces", "test", 10)
    assert images.shape == (10, 128, 128, 3)
    for image, box in zip(images.max(axis=3) > 100, boxes * 128, strict=True):
        rows, columns = np.flatnonzero(image.any(axis=1)), np.flatnonzero(image.any(axis=0))
        seen = [columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]
        np.testing.assert_allclose(seen, box, atol=1)
    again = composed.make("faces", "test", 3)
    assert np.array_equal(again[0], images[:3])


def test_bars_are_measured_on_each_condition_of_its_own_size(bars):
    train, validation, test = bars.load("small_images", 5)
    assert (train[0].shape, len(validation[0]), len(test[0])) == ((5, 64, 64), 1000, 1000)
    assert not np.array_equal(train[0], test[0][:5])
    assert len(bars.load("few_images", None)[0][0]) == 1000


def test_bars_are_means_over_the_seeds(bars):
    common = {"data": "clean", "images": 10, "epochs": 2, "processor_seconds": 3.0}
    common |= {"peak_gigabytes": 1.0, "mean_iou_small": 0.5, "share_above_half": 1.0}
    runs = [common | {"seed": s, "mean_iou": s / 2, "least_iou": s / 4} for s in (0, 1)]
    assert list(bars.rows(runs))[2:] == [
        "| clean | 10 | 2 | 0, 1 | 0.2500 | 0.000 | 0.5000 | 3 | 1.00 |"
    ]


@pytest.mark.slow
def test_bars_go_on_where_they_were(tmp_path):
    file = tmp_path / "bars.jsonl"
    there = {"data": "few_images", "images": 16, "epochs": 1, "seed": 0, "mean_iou": 0.25}
    there |= {"least_iou": 0.0, "mean_iou_small": 0.5, "processor_seconds": 1, "peak_gigabytes": 1}
    file.write_text(json.dumps(there) + "\n")
    options = ["--images", 16, "--epochs", 1, "--seeds", 0, 1, "--figures", tmp_path / "figures"]
    text = run("bars.py", "few_images", "--json", file, *options)
    first, second = map(json.loads, file.read_text().splitlines())
    assert (first, second["seed"]) == (there, 1)
    assert f"| few_images | 16 | 1 | 0, 1 | {(0.25 + second['mean_iou']) / 2:.4f} | " in text
    assert (tmp_path / "figures" / "few_images-16-1-worst.png").stat().st_size > 10_000


@pytest.mark.slow
def test_changes_of_the_first_updates_are_trained_beside_fig_8(tmp_path):
    text = run("first_updates.py", "--quick", "--markdown", tmp_path / "out.md")
    assert (tmp_path / "out.md").read_text() == text
    head, _, corner, he, paper = text.splitlines()
    assert head == "| mean of 1 seed | (64, 0.0001) | (4096, 0.001) |"
    assert corner.startswith("| the last pixel as the corner")
    assert he.startswith("| He's initial weights | ")
    losses = [[float(cell) for cell in row.strip("| ").split(" | ")[1:]] for row in (corner, he)]
    # Hardly trained: both cells have the loss of the first weights, which differ.
    assert np.ptp(losses[0]) < 0.01
    assert abs(losses[0][0] - losses[1][0]) > 0.01
    assert paper == "| Fig. 8 | 0.349 | 0.577 |"


def test_parts_of_an_epoch_are_those_of_the_network(monkeypatch):
    """Multiplications of a convolution: places × weights; fewer than the weights are biases."""
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    import epoch

    from boxest import networks

    model = networks.marginal((128, 128, 3))
    counts = [epoch.multiplications(model, layers) for layers in epoch.PARTS.values()]
    strides = 64**2 * 4 * 4 * 3 * 16 + 32**2 * 3 * 3 * 16 * 24
    around = strides + 32**2 * 3 * 3 * 3 * 24 * 24
    along = 2 * 64 * 2 * 5 * 48 * 48 + 2 * 65 * 4 * 48 * 2
    assert counts == [strides, around, around + along]


@pytest.mark.slow
def test_the_memory_of_a_training_is_measured_step_by_step():
    rows = run("memory.py", "--job", "--images", 500).splitlines()[2:]
    steps = [row.strip("| ").split(" | ") for row in rows]
    names = ["boxest and scikit-learn", "Keras and its backend", "training"]
    assert [step for step, *_ in steps] == names
    held = [float(memory.replace(",", "")) for _, memory, *_ in steps]
    assert held[1] > held[0] + 100  # MB
    assert held[2] > held[1] + 30  # Patches of 500 images in float32 are 33 MB.


@pytest.mark.slow
def test_start_and_end_of_a_job_are_measured():
    rows = run("start.py", "--repeats", 1).splitlines()[2:]
    seconds = {row.split("|")[1].strip(): list(map(float, row.split("|")[2:5])) for row in rows}
    assert seconds.keys() >= {"Keras and its backend", "the end", "all"}
    assert seconds["all"] == pytest.approx(np.sum([*seconds.values()][:3], axis=0), abs=0.02)
