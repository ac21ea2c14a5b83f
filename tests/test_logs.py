"""What a job logs and how it fails, seen from outside: in a process of its own."""

import os
import subprocess
import sys

import pytest

from boxest.system import logs
from boxest.system.files import FileError


def job(body, tmp_path, read=True):
    code = "from boxest.system import logs\nimport os, sys\n"
    code += f"with logs.to_file('job.log'):\n    {body}\n"
    path = tmp_path / "job.py"
    path.write_text(code)
    from conftest import ROOT

    completed = subprocess.run(
        [sys.executable, path],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        env={"PYTHONPATH": str(ROOT)},
    )
    return completed, (tmp_path / "job.log").read_text() if read else None


def test_output_goes_to_the_log_that_of_c_libraries_too(tmp_path):
    body = "print('one'); print('two', file=sys.stderr); os.write(2, b'three\\n')"
    completed, log = job(body, tmp_path)
    assert (completed.returncode, completed.stdout, completed.stderr) == (0, "", "")
    assert sorted(log.split()) == ["one", "three", "two"]


@pytest.mark.parametrize("kind", ["ValueError", "TypeError", "OSError"])
def test_error_for_the_user_is_one_line(tmp_path, kind):
    completed, log = job(f"raise {kind}('the shard x.h5 is damaged')", tmp_path)
    assert completed.returncode == 1
    assert log == "Error: the shard x.h5 is damaged\n"
    assert completed.stderr == "Error: the shard x.h5 is damaged\nThe log is job.log\n"


@pytest.mark.parametrize(
    ("path", "advised"), [("results/data/x.h5", True), ("mine/x.h5", False), (None, False)]
)
def test_deletion_is_advised_of_nothing_but_the_results(tmp_path, capfd, path, advised):
    log = tmp_path / "results" / "logs" / "train" / "x.log"
    log.parent.mkdir(parents=True)
    with pytest.raises(SystemExit), logs.to_file(log):
        raise FileError("x.h5 is damaged.", path and tmp_path / path)
    printed = capfd.readouterr().err
    advice = f"x.h5 is damaged. Delete {tmp_path}/results/data/x.h5 and run snakemake again"
    assert (advice in printed) == ("elete" in printed) == advised


def test_fault_of_the_program_has_a_traceback(tmp_path):
    completed, log = job("{}['key']", tmp_path)
    assert completed.returncode == 1
    assert "Traceback" in log
    assert log.endswith("Error: KeyError: 'key'\n")


def test_warnings_are_lines_of_the_log_and_the_terminal(tmp_path):
    body = "import warnings; warnings.warn('the state is damaged')"
    completed, log = job(body, tmp_path)
    assert completed.returncode == 0
    assert completed.stderr == "Warning: the state is damaged\nThe log is job.log\n"
    assert log == "Warning: the state is damaged\n"


def test_job_that_begins_the_log_of_a_living_one_leaves_no_hole_in_it(tmp_path):
    new = "from boxest.system import logs\nwith logs.to_file('job.log'):\n    print('new')\n"
    (tmp_path / "new.py").write_text(new)
    begin = "print('old' * 1000, flush=True); import subprocess"
    beside = "subprocess.run([sys.executable, 'new.py'], check=True)"
    completed, log = job(f"{begin}; {beside}; print('old goes on')", tmp_path)
    assert completed.returncode == 0
    assert log == "new\nold goes on\n"


@pytest.mark.fault
@pytest.mark.parametrize("body", ["raise ValueError('the shard x.h5 is damaged')", "print('one')"])
def test_full_disk_does_not_swallow_the_message(tmp_path, body):
    os.symlink("/dev/full", tmp_path / "job.log")
    completed, _ = job(body, tmp_path, read=False)
    assert completed.returncode != 0
    expected = "the shard x.h5 is damaged" if "shard" in body else "No space left on device"
    assert expected in completed.stderr.splitlines()[0]
    assert "The log is job.log" in completed.stderr
