"""How far a study is, read off files as a study leaves them."""

import io
import json
import math
import os
import time

import pytest
from click.testing import CliRunner
from rich.console import Console
from rich.live import Live

from boxest.cli import boxest
from boxest.study import run_table, status
from boxest.study.watch import shown, watch
from boxest.system.files import FileError

SETTINGS = {"epochs": 4, "network": "paper"}
CELLS = [f"batch_size~{size}/learning_rate~0.1" for size in (4, 16)]


def run(cell, seed, log=None):
    log = log or f"{cell}/seed~{seed}"
    return {"cell": cell, "seed": seed, "log": log, "settings": SETTINGS}


def finish(results, cell, seed, loss="0.25", **changes):
    """Write what a run leaves that took half a second an epoch."""
    folder = results / "runs" / cell / f"seed~{seed}"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "history.csv").write_text(f"epoch,validation_loss\n1,0.5\n2,{loss}\n")
    about = {"epochs": 4, "diverged": False, "seconds": {"train": 2.0}, "settings": SETTINGS}
    (folder / "run.json").write_text(json.dumps(about | changes))


def say(results, log, *lines, age=0):
    path = results / "logs" / "train" / f"{log}.log"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n")
    os.utime(path, (time.time() - age,) * 2)


def epoch(number, loss=0.5, seconds=1.0):
    return (
        f"epoch {number:3d}  learning rate 0.1  train loss 0.6 (1 - IoU 0.7)  "
        f"validation loss {loss:.4f} (1 - IoU 0.5000)  {seconds:.2f} s"
    )


@pytest.fixture
def results(tmp_path):
    """A study of two cells with three seeds, a job each."""
    (tmp_path / "study.json").write_text(
        json.dumps([run(cell, seed) for cell in CELLS for seed in range(3)])
    )
    os.utime(tmp_path / "study.json", (time.time() - 3600,) * 2)
    return tmp_path


def test_each_state_is_told(results):
    finish(results, CELLS[0], 0)
    say(results, f"{CELLS[0]}/seed~1", "device: CPU", epoch(1), epoch(2, 0.4))
    say(results, f"{CELLS[1]}/seed~0", epoch(1), "Error: the disk is full")
    say(results, f"{CELLS[1]}/seed~1", epoch(3, 0.3), "Interrupted by SIGTERM.")
    say(results, f"{CELLS[1]}/seed~2", epoch(1), age=400)
    found = status.read(results)
    told = [(one.seed, one.state, one.epoch, one.loss) for one in found.runs]
    assert told == [
        (0, "done", 4, 0.25),
        (1, "running", 2, 0.4),
        (2, "waiting", 0, None),
        (0, "failed", 1, None),
        (1, "interrupted", 3, None),
        (2, "silent", 1, 0.5),
    ]
    assert found.runs[3].note == "Error: the disk is full"
    assert found.counts == dict.fromkeys(status.STATES, 1)
    # Half a second or a second an epoch of this batch size: 2 epochs and 4 are left, one at a time.
    assert found.seconds_left == pytest.approx((2 + 4) * 0.75)


def test_time_left_is_not_guessed(results):
    assert status.read(results).seconds_left is None
    for cell in CELLS:
        for seed in range(3):
            finish(results, cell, seed)
    assert status.read(results).seconds_left == 0


def test_time_left_is_that_of_the_runs_most_alike(tmp_path):
    """Not of all runs with the same batch size: a network may take fifty times as long."""
    size = "batch_size~16/learning_rate~0.1"
    cells = [f"{size}{network}/condition~{condition}" for network in ("", "/network~roi")
             for condition in ("clean", "noise")]  # fmt: skip
    (tmp_path / "study.json").write_text(json.dumps([run(cell, 0) for cell in cells]))
    finish(tmp_path, cells[0], 0, seconds={"train": 0.4})
    say(tmp_path, f"{cells[2]}/seed~0", *(epoch(i, seconds=5.0) for i in range(1, 5)))
    # Both networks wait under noise: 4 epochs as long as those of the same network.
    assert status.read(tmp_path).seconds_left == pytest.approx(4 * 0.1 + 4 * 5.0)


def test_a_run_with_other_settings_is_to_be_done_anew(results):
    finish(results, CELLS[0], 0, settings=SETTINGS | {"epochs": 9})
    finish(results, CELLS[0], 1, diverged=True)
    (results / "runs" / CELLS[0] / "seed~2").mkdir()
    (results / "runs" / CELLS[0] / "seed~2" / "run.json").write_text('{"half')
    first, second, third, *_ = status.read(results).runs
    assert (first.state, third.state) == ("waiting", "waiting")
    assert math.isnan(second.loss)


def test_runs_of_one_job_take_turns_and_fail_together(results):
    log = f"{CELLS[0]}/seeds~0-2"
    (results / "study.json").write_text(json.dumps([run(CELLS[0], s, log) for s in range(3)]))
    finish(results, CELLS[0], 0)
    say(results, log, "seed 0", *map(epoch, range(1, 5)), "seed 1", epoch(1, 0.7))
    states = [(one.state, one.epoch, one.loss) for one in status.read(results).runs]
    assert states == [("done", 4, 0.25), ("running", 1, 0.7), ("waiting", 0, None)]
    say(results, log, "seed 0", "seed 1", epoch(2), "Error: no")
    states = [(one.state, one.epoch) for one in status.read(results).runs]
    assert states == [("done", 4), ("failed", 2), ("failed", 0)]


def test_runs_that_are_trained_at_once(results):
    """All are at the epoch of their line, and share its time."""
    (results / "study.json").write_text(json.dumps([run(cell, 0, "together-0") for cell in CELLS]))
    line = "epoch   3  2 of 2 runs  validation loss 0.1 to 0.3  4.00 s"
    say(results, "together-0", "device: GPU", line)
    found = status.read(results)
    for one in found.runs:
        assert (one.state, one.epoch, one.loss, one.seconds) == ("running", 3, None, 2.0)
    # One epoch is left of both at once.
    assert found.seconds_left == 4


def test_an_error_may_have_several_lines(results):
    error = "Error: XlaRuntimeError: RESOURCE_EXHAUSTED: Out of memory"
    say(results, f"{CELLS[0]}/seed~0", epoch(1), error, "while allocating 3 GiB", "")
    found = status.read(results).runs[0]
    assert (found.state, found.note) == ("failed", error)


def test_a_resumed_run_is_where_it_was(results):
    say(results, f"{CELLS[0]}/seed~0", "device: CPU", "Resumed after epoch 3.")
    assert status.read(results).runs[0][2:5] == ("running", 3, 4)


def test_a_job_of_several_runs_is_silent_by_its_own_epochs(results):
    """Its epochs take as long as those of all its runs together."""
    (results / "study.json").write_text(json.dumps([run(cell, 0, "together-0") for cell in CELLS]))
    os.utime(results / "study.json", (time.time() - 3600,) * 2)
    line = "epoch   3  2 of 2 runs  validation loss 0.1 to 0.3  40.00 s"
    for age, state in ((700, "running"), (900, "silent")):
        say(results, "together-0", line, age=age)
        assert {one.state for one in status.read(results).runs} == {state}


def test_the_log_of_a_run_with_other_settings_is_not_its_progress(results):
    """The change of the settings makes the list of runs anew; the job has not started since."""
    finish(results, CELLS[0], 0, settings={"epochs": 2, "network": "paper"})
    say(results, f"{CELLS[0]}/seed~0", epoch(2), age=10)
    os.utime(results / "study.json", (time.time() - 5,) * 2)
    assert status.read(results).runs[0].state == "waiting"
    say(results, f"{CELLS[0]}/seed~0", epoch(1))
    assert status.read(results).runs[0][2:4] == ("running", 1)


def test_the_newest_study_of_a_folder_and_what_is_none(tmp_path):
    (tmp_path / "results" / "empty").mkdir(parents=True)
    for name, age in (("old", 100), ("new", 0)):
        (folder := tmp_path / "results" / name).mkdir(parents=True)
        (folder / "study.json").write_text(json.dumps([run(CELLS[0], 0)]))
        os.utime(folder / "study.json", (time.time() - age,) * 2)
    assert status.read(tmp_path).results == tmp_path / "results" / "new"
    assert status.read(tmp_path / "results" / "old").results.name == "old"
    with pytest.raises(FileError, match=r"there is no study\.json\. Name the folder that"):
        status.read(tmp_path / "results" / "empty")
    (tmp_path / "results" / "new" / "study.json").write_text("[1]")
    with pytest.raises(FileError, match="is not a list of runs"):
        status.read(tmp_path)
    with pytest.raises(FileError, match="nowhere is not a folder"):
        status.read(tmp_path / "nowhere")


@pytest.mark.parametrize("execution", [{"runs_per_job": 1}, {"runs_per_job": 2}])
def test_every_run_has_the_log_of_its_job(execution):
    config = {
        "settings": {"batch_size": 16, "learning_rate": 0.1, "epochs": 3},
        "grid": {"batch_size": [4, 16], "seeds": 3},
        "runs": [], "best": None, "execution": {"fan_out": "run"} | execution,
    }  # fmt: skip
    listed = status.listing(config)
    logs = {(one["cell"].split("/")[0], one["seed"]): one["log"] for one in listed}
    per_job = execution["runs_per_job"]
    name = "seed~2" if per_job == 1 else "seeds~2-2"
    assert logs["batch_size~16", 2] == f"batch_size~16/learning_rate~0.1/{name}"
    assert len(set(logs.values())) == len(listed) // per_job + (per_job - 1)
    assert len(run_table.logs(config)) == 6


# --- in a terminal ---------------------------------------------------------------------------


def test_the_command_prints_the_table_once(results):
    finish(results, CELLS[1], 0)
    say(results, f"{CELLS[0]}/seed~1", epoch(2, 0.4))
    say(results, f"{CELLS[1]}/seed~1", "Error: the disk is full")
    done = CliRunner().invoke(boxest, ["status", str(results), "--once"])
    assert done.exit_code == 0, done.output
    text = " ".join(done.stdout.split())
    assert "6 runs: 1 done, 3 waiting, 1 running, 1 failed; about 0:00:" in text
    assert "seed 1 running, epoch 2/4, loss 0.4000" in text
    assert "failed: Error: the disk is full" in text
    # The cell in which something failed comes first.
    assert text.index("batch_size 16") < text.index("batch_size 4")
    done = CliRunner().invoke(boxest, ["status", str(results / "logs")])
    assert (done.exit_code, done.stderr.count("\n")) == (1, 1)


def test_failures_are_seen_in_a_low_terminal(results):
    say(results, f"{CELLS[1]}/seed~1", "Error: the disk is full")
    console = Console(force_terminal=True, file=io.StringIO(), width=100, height=6)
    with Live(shown(status.read(results)), console=console, auto_refresh=False) as live:
        live.refresh()
        assert "failed: Error: the disk is full" in console.file.getvalue()


def test_a_cell_with_further_seeds_in_best_has_one_row(results):
    listed = [run(CELLS[0], 0), run(CELLS[1], 0), run(CELLS[0], 1)]
    (results / "study.json").write_text(json.dumps(listed))
    done = CliRunner().invoke(boxest, ["status", str(results), "--once"])
    rows = [line.split() for line in done.stdout.splitlines() if "learning_rate" in line]
    assert [row[4] for row in rows] == ["0/2", "0/1"]


def test_it_is_shown_until_all_have_ended(results):
    waited = []

    def sleep(seconds):
        waited.append(seconds)
        for cell in CELLS:
            finish(results, cell, len(waited) - 1)

    with open(os.devnull, "w") as nowhere:
        console = Console(force_terminal=True, file=nowhere)
        last = watch(results, seconds=0.5, console=console, sleep=sleep)
    assert waited == [0.5] * 3
    assert last.counts["done"] == 6
