"""Faults in a real study: each is named, and after the repair the study completes.

One small study runs from nothing to its tables; every test breaks a copy of it.
"""

import dataclasses
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from studies import clone, snakemake

from boxest import shards, synthetic
from boxest.study import history

pytestmark = pytest.mark.slow

# Two cells, one of which diverges, for its rate has no power over a loss without gradient.
OVERLAY = """
data: {images: 60, image_size: 16, shard_size: 20, box_law: {max_side: 16}}
settings: {epochs: 2, loss: mean_squared_error, xla: false}
execution: {share_compiled_programs: false, runs_per_job: 1}
grid: {batch_size: [16], learning_rate: [1.0e-2, 1.0e+30], seeds: 1}
best: null
"""
RESULTS = "results/tiny"
TEST_SHARD = f"{RESULTS}/data/test-000.h5"
PREVIEW = f"{RESULTS}/figures/fig1_dataset.png"
HISTORIES = f"{RESULTS}/tables/histories.csv"
RUN = f"{RESULTS}/runs/batch_size~16/learning_rate~0.01/seed~0/history.csv"
COMMAND = [sys.executable, "-m", "snakemake", "--cores", "1", "--configfile", "config/tiny.yaml"]
COMMAND += ["faults.yaml"]

# Started with every Python of the study: kills the one that is about to give a file its name, of
# which only half is written, or has the time run backwards.
SABOTAGE = """
import os, signal, time
victim, replace = os.environ.get("TEST_KILL"), os.replace
def killed(source, destination, **options):
    if victim and str(destination).endswith(victim):
        os.truncate(source, os.path.getsize(source) // 2)
        os.kill(os.getpid(), signal.SIGKILL)
    return replace(source, destination, **options)
os.replace = killed
if "TEST_CLOCK" in os.environ:
    real = time.time
    time.time = lambda start=real(): 2 * start - real() - 3600
"""


def start(directory, *targets, before=(), **environment):
    """Start Snakemake, behind other commands of a shell."""
    environment = os.environ | {"PYTHONPATH": str(directory / "sabotage")} | environment
    separator = [] if "--" in targets else ["--"]
    command = [*before, *COMMAND, *separator, *targets]
    return subprocess.Popen(
        command,
        cwd=directory,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def run(directory, *targets, before=(), **environment):
    """Run Snakemake; return its exit status and what it printed."""
    if before:
        process = start(directory, *targets, before=before, **environment)
        printed, _ = process.communicate()
        return process.returncode, printed
    environment = {"PYTHONPATH": str(directory / "sabotage")} | environment
    separator = [] if "--" in targets else ["--"]
    done = snakemake(directory, *COMMAND[3:], *separator, *targets, **environment)
    return done.returncode, done.stdout + done.stderr


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A study with all of its tables and one figure."""
    directory = clone(tmp_path_factory.mktemp("faults") / "boxest")
    (directory / "faults.yaml").write_text(OVERLAY)
    (directory / "sabotage").mkdir()
    (directory / "sabotage" / "sitecustomize.py").write_text(SABOTAGE)
    status, printed = run(directory, f"{RESULTS}/tables/fig8.csv", PREVIEW)
    assert status == 0, printed
    return directory


@pytest.fixture
def study(finished, tmp_path):
    return Path(shutil.copytree(finished, tmp_path / "boxest"))


def same(study, finished, name):
    return (study / name).read_bytes() == (finished / name).read_bytes()


def repaired(study, finished, target):
    """Run the study again; whether it completes, with what the undisturbed one has."""
    status, printed = run(study, target)
    assert status == 0, printed
    return same(study, finished, target)


# --- damaged shards -----------------------------------------------------------------------------


def spoil(shard, change):
    """Change a shard; nothing but its content shows that it is another."""
    made = shard.stat()
    change(shard)
    os.utime(shard, ns=(made.st_atime_ns, made.st_mtime_ns))


def flip(shard):
    content = bytearray(shard.read_bytes())
    content[-20] ^= 1
    shard.write_bytes(content)


def of_another_seed(shard):
    meta = dataclasses.replace(shards.read(shard).meta, seed=1)
    images, boxes = synthetic.make(meta.start, meta.stop, seed=1, image_size=16, law=meta.law)
    shards.write(shard, images, boxes, meta)


@pytest.mark.fault
def test_damaged_shard_is_named_and_made_again(study, finished):
    shard = study / TEST_SHARD
    spoil(shard, flip)
    (study / PREVIEW).unlink()
    status, printed = run(study, PREVIEW)
    assert status == 1
    log = (study / RESULTS / "logs" / "dataset_preview.log").read_text()
    for text in (printed, log):
        assert re.search(rf"Error: {TEST_SHARD}: it is damaged.* Delete {TEST_SHARD} and run", text)
    assert "Traceback" not in printed
    assert not (study / PREVIEW).exists()
    shard.unlink()
    assert repaired(study, finished, PREVIEW)
    assert same(study, finished, TEST_SHARD)


@pytest.mark.fault
def test_training_refuses_a_shard_of_another_study(study):
    spoil(study / RESULTS / "data" / "train-001.h5", of_another_seed)
    (study / RUN).unlink()
    status, printed = run(study, RUN)
    assert status == 1
    assert re.search("Error: .*train-000.h5 and .*do not belong together: seed is 0", printed)
    assert not (study / RUN).exists()


# --- killed, full, read-only --------------------------------------------------------------------


@pytest.mark.fault
@pytest.mark.parametrize("target", [TEST_SHARD, HISTORIES], ids=["shard", "table"])
def test_killed_while_it_writes_a_file(study, finished, target):
    (study / target).unlink()
    status, printed = run(study, target, TEST_KILL=Path(target).name)
    assert status == 1
    assert "Error in rule" in printed
    assert not (study / target).exists()
    (left,) = (study / target).parent.glob(f".*{Path(target).name}")
    assert 0 < left.stat().st_size < (finished / target).stat().st_size
    assert repaired(study, finished, target)


def in_namespace(mounts):
    """Return what runs a command with mounts of its own; skip where that is not allowed."""
    unshare = ["unshare", "--mount", *([] if os.getuid() == 0 else ["--map-root-user"])]
    if subprocess.run([*unshare, "true"], capture_output=True, check=False).returncode:
        pytest.skip(
            "mounts of one's own are not allowed here; test_full_disk_for_every_writer runs"
        )
    return [*unshare, "sh", "-c", f'set -e; {mounts}; exec "$@"', "sh"]


DATA = f"{RESULTS}/data"
FULL = f"mount -t tmpfs -o size=16k none {DATA}; head -c 16384 /dev/zero > {DATA}/other || true"
READ_ONLY = f"mount --bind {DATA} {DATA}; mount -o remount,ro,bind {DATA}"


NOTHING = "nothing was written: make"


@pytest.mark.fault
@pytest.mark.parametrize(
    ("mounts", "message"),
    [
        (FULL, f"No space left on device, {NOTHING} room and start again: '{TEST_SHARD}'"),
        # Snakemake comes first: it deletes what a job is to make.
        (READ_ONLY, f"Read-only file system: '{TEST_SHARD}'"),
    ],
    ids=["full", "read-only"],
)
def test_disk_full_or_read_only(study, finished, mounts, message):
    (study / TEST_SHARD).unlink()
    status, printed = run(study, TEST_SHARD, before=in_namespace(mounts))
    assert status == 1
    assert message in printed
    assert not (study / TEST_SHARD).exists()
    assert repaired(study, finished, TEST_SHARD)


@pytest.mark.fault
def test_read_only_directory_for_a_writer(study, finished):
    code = f"from boxest.system.files import write_text; write_text({TEST_SHARD!r}, 'x')"
    command = [*in_namespace(READ_ONLY), sys.executable, "-c", code]
    done = subprocess.run(command, cwd=study, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert f"Read-only file system, {NOTHING} the directory writable, or choose" in done.stderr
    assert f"'{TEST_SHARD}'" in done.stderr
    assert same(study, finished, TEST_SHARD)


@pytest.mark.fault
def test_full_disk_for_every_writer(tmp_path, python):
    """A file may have 500 bytes; whatever writes more says so and leaves the old file."""
    code = f"""
import os, resource
from boxest import BoxRegressor, figures, shards, synthetic
from boxest.system import files
from boxest.training.stream import FeatureFile
images, boxes = synthetic.make(0, 2, seed=0)
regressor = BoxRegressor.paper(epochs=1, validation_fraction=0.0).fit(images, boxes)
drawn = figures.layer_table([("max_pooling2d", (None, 64, 64, 1), 0)], 0)
os.chdir({str(tmp_path)!r})
for name in ("shard.h5", "table.csv", "model.boxest", "figure.png"):
    open(name, "w").write("old")
resource.setrlimit(resource.RLIMIT_FSIZE, (500, 500))
meta = shards.Meta("test", 0, 2, 0, 128, synthetic.BoxLaw())
for write in (
    lambda: shards.write("shard.h5", images, boxes, meta),
    lambda: files.write_text("table.csv", "x" * 501),
    lambda: regressor.save("model.boxest"),
    lambda: figures.save(drawn, "figure.png"),
    lambda: FeatureFile([images]),
):
    try:
        write()
    except OSError as error:
        print(error)
"""
    *printed, streamed = python(code).splitlines()
    advice = "[Errno 27] File too large, nothing was written: make room and start again: "
    names = ["shard.h5", "table.csv", "model.boxest", "figure.png"]
    assert printed == [f"{advice}{name!r}" for name in names]
    assert (
        "File too large: the prepared images are kept in a file there. Free some space" in streamed
    )
    assert sorted(os.listdir(tmp_path)) == sorted(names)
    assert {path.read_text() for path in tmp_path.iterdir()} == {"old"}


# --- two at once, clocks ------------------------------------------------------------------------


@pytest.mark.fault
def test_second_start_in_the_same_directory_is_refused(study, finished):
    (study / RUN).unlink()
    first = start(study, RUN)
    while not list((study / ".snakemake" / "locks").glob("*")):
        assert first.poll() is None
        time.sleep(0.05)
    status, printed = run(study, RUN)
    assert first.poll() is None
    assert status == 1
    assert "Directory cannot be locked" in printed
    assert "--unlock" in printed
    printed, _ = first.communicate()
    assert first.returncode == 0, printed
    columns = ["train_seconds", "evaluation_seconds"]
    ours, theirs = (pd.read_csv(path / RUN).drop(columns=columns) for path in (study, finished))
    pd.testing.assert_frame_equal(ours, theirs, check_exact=True)


@pytest.mark.fault
def test_clock_that_runs_backwards(study, finished):
    """Durations are positive, and the study completes."""
    (study / RUN).unlink()
    status, printed = run(study, RUN, TEST_CLOCK="1")
    assert status == 0, printed
    about, table = history.read((study / RUN).parent)
    assert min(about["seconds"].values()) >= 0
    assert table[["train_seconds", "evaluation_seconds"]].gt(0).all(axis=None)


@pytest.mark.fault
def test_clock_that_was_set_back(study, finished):
    """A shard from the future is compared by its content, or where it is large named as such."""
    later = time.time() + 3600
    os.utime(study / TEST_SHARD, (later, later))
    status, printed = run(study, PREVIEW)
    assert status == 0, printed
    assert "Nothing to be done" in printed
    status, printed = run(study, "--max-checksum-file-size", "0B", "--", PREVIEW)
    assert status == 1
    assert "could indicate a clock skew" in printed
    assert f"than input {TEST_SHARD}" in printed
    os.utime(study / TEST_SHARD)
    assert repaired(study, finished, PREVIEW)


# --- numbers ------------------------------------------------------------------------------------


def test_diverged_run_is_counted_and_averaged_by_nobody(finished):
    cells = pd.read_csv(finished / RESULTS / "tables" / "fig8.csv").set_index("learning_rate")
    assert list(cells["runs"]) == [1, 1]
    assert list(cells["diverged"]) == [0, 1]
    losses = list(history.LOSSES)
    assert np.isfinite(cells.loc[0.01, losses].astype(float)).all()
    assert cells.loc[1e30, losses].isna().all()
    about, table = history.read(
        finished / RESULTS / "runs/batch_size~16/learning_rate~1e+30/seed~0"
    )
    assert about["diverged"]
    assert not np.isfinite(table["train_loss"].iloc[-1])
    assert np.isfinite(table["train_loss"].iloc[:-1]).all()
