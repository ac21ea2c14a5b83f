"""The same seed gives the same bits, whatever else the machine does; another seed does not."""

import json
import subprocess
import sys

import pytest
from conftest import ROOT

CODE = """
import hashlib, json, sys
from boxest.system import runtime
runtime.set_threads(int(sys.argv[2]))
from boxest import BoxRegressor, synthetic
X, y = synthetic.make(0, 300, seed=0, image_size=16)
regressor = BoxRegressor.paper(epochs=2, random_state=int(sys.argv[1])).fit(X, y)
weights = b"".join(weight.tobytes() for weight in regressor.model_.get_weights())
rows = [[v for k, v in row.items() if "seconds" not in k] for row in regressor.history_]
print(json.dumps([hashlib.sha256(weights).hexdigest(), rows]))
"""


def start(seed, threads):
    command = [sys.executable, "-c", CODE, str(seed), str(threads)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)


def result(process):
    printed, _ = process.communicate()
    assert process.returncode == 0
    return json.loads(printed)


@pytest.mark.slow
def test_same_seed_gives_the_same_bits_alone_and_beside_another_job():
    """With two threads, whose order may change; test_resume.py compares processes of one."""
    alone = result(start(0, threads=2))
    # Two at once, on a machine of few cores.
    again, other = map(result, [start(seed, threads=2) for seed in (0, 1)])
    assert again == alone
    assert other[0] != alone[0]
    assert other[1] != alone[1]
