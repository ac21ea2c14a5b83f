"""What the tests share."""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import psutil
import pytest

from boxest.system import garbage, runtime

ROOT = Path(__file__).parent.parent
# Why a file is left out on TensorFlow.
ON_JAX = "on TensorFlow; test_jax.py runs it on JAX"
# How a test is skipped for want of a package or a program.
MISSING = re.compile("could not import|not installed|needs ")

# In environments that tests make, Python compiles what it imports, not all that is installed. (A
# false value is how pip has it.) It must be allowed to keep that: each import of TensorFlow takes
# ten seconds longer without.
os.environ["PIP_NO_COMPILE"] = "0"
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

# What the shell had, before the tests add to it.
ENVIRONMENT = dict(os.environ)

# A tenth of the time of the tests went into the collection of garbage.
garbage.spare_this_process()
# One thread, before anything imports the backend: the same bits on every machine with this CPU.
runtime.set_threads(1)
runtime.quiet()
if os.environ.get("KERAS_BACKEND") == "jax":
    # Programs that several tests need are compiled by the first of them. (TensorFlow's cache would
    # not find them: the name of a program counts the ones before.)
    COMPILED = tempfile.TemporaryDirectory()
    os.environ["JAX_COMPILATION_CACHE_DIR"] = COMPILED.name
    os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"
    os.environ["JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES"] = "-1"


# The files that take longest: begun first, so that at the end no process waits for another.
LONGEST = ["jax", "slurm", "readme", "workflow", "conda", "benchmarks", "faults", "build", "guide"]
LONGEST += ["kills", "sklearn", "versions", "resume", "figures", "estimator", "training"]


def pytest_addoption(parser):
    parser.addoption(
        "--nothing-missing",
        action="store_true",
        help="fail where a test was skipped for want of a package or a program",
    )
    parser.addoption(
        "--one-case",
        action="store_true",
        help="run each test with the first of its parameters only",
    )


def pytest_report_header(config):
    if config.option.markexpr == "not slow":
        return "the fast suite: -m slow runs the others, -m '' all (README, The tests)"
    return None


def pytest_collection_modifyitems(config, items):
    def place(item):
        name = item.path.stem.removeprefix("test_")
        return LONGEST.index(name) if name in LONGEST else len(LONGEST)

    items.sort(key=place)
    if config.option.one_case:
        first = {(item.path, item.originalname): item for item in reversed(items)}
        others = [item for item in items if first[item.path, item.originalname] is not item]
        config.hook.pytest_deselected(items=others)
        items[:] = [item for item in items if item not in others]


def pytest_sessionfinish(session):
    """Let nothing that could be installed go untested without a word."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter and session.config.option.nothing_missing:
        skipped = (report.longrepr[2] for report in reporter.stats.get("skipped", ()))
        if missing := {reason for reason in skipped if MISSING.search(reason)}:
            reporter.write_line(f"\nWhat can be installed is missing: {sorted(missing)}", red=True)
            session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.fixture(scope="session")
def small_data():
    """500 images of 32 px with their boxes."""
    from boxest import synthetic

    return synthetic.make(0, 500, seed=0, image_size=32)


@pytest.fixture(scope="session")
def study(tmp_path_factory):
    """Return the results of the tiny study, run from nothing, and what Snakemake printed.

    All test processes share it. A test that changes it, or starts Snakemake in it, takes
    `study_copy`.
    """
    from studies import TINY, clone, once, snakemake

    def make(directory):
        done = snakemake(clone(directory / "boxest"), "--cores", "2", *TINY)
        assert done.returncode == 0, done.stderr
        (directory / "printed").write_text(done.stderr)

    directory = once(tmp_path_factory, "study", make)
    return directory / "boxest" / "results" / "tiny", (directory / "printed").read_text()


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory):
    """Return a repository in which the study that others disturb has run on one machine."""
    from studies import begin, clone, end, once

    def make(directory):
        repository = clone(directory / "boxest")
        end(begin(repository, "--cores", "2"), repository)

    return once(tmp_path_factory, "undisturbed", make) / "boxest"


@pytest.fixture
def study_copy(study, tmp_path):
    """Return a repository of one's own in which the tiny study is done."""
    return Path(shutil.copytree(study[0].parent.parent, tmp_path / "study" / "boxest"))


@pytest.fixture(scope="module")
def scratch():
    """Return a folder for whole environments, in memory where that has plenty of room.

    Some disks take minutes to remove the 40,000 files of an environment.
    """
    memory, room = Path("/dev/shm"), 14 * 2**30
    available = psutil.virtual_memory().available if memory.is_dir() else 0
    roomy = available > room and shutil.disk_usage(memory).free > room
    with tempfile.TemporaryDirectory(dir=memory if roomy else None) as directory:
        yield Path(directory)


@pytest.fixture(scope="session")
def python():
    """Run Python code in a process of its own and return what it printed."""

    def run(code: str, **environment: str) -> str:
        completed = subprocess.run(
            [sys.executable, "-c", code],
            env=os.environ | environment,
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        assert completed.returncode == 0, completed.stderr
        return completed.stdout

    return run
