"""The same seed gives the same bits, whatever else the machine does; another seed does not."""

import json
import subprocess
import sys

import pytest
from conftest import ROOT

CODE = """
import hashlib, json, sys
from boxest import runtime
runtime.set_threads(1)
from boxest import BoxRegressor, synthetic
X, y = synthetic.make(0, 300, seed=0, image_size=16)
regressor = BoxRegressor(epochs=2, random_state=int(sys.argv[1]), xla=False).fit(X, y)
weights = b"".join(weight.tobytes() for weight in regressor.model_.get_weights())
rows = [[v for k, v in row.items() if "seconds" not in k] for row in regressor.history_]
print(json.dumps([hashlib.sha256(weights).hexdigest(), rows]))
"""


def start(seed):
    return subprocess.Popen(
        [sys.executable, "-c", CODE, str(seed)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )


def result(process):
    printed, _ = process.communicate()
    assert process.returncode == 0
    return json.loads(printed)


@pytest.mark.slow
def test_same_seed_gives_the_same_bits_alone_and_beside_other_jobs():
    alone = result(start(0))
    busy = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        first, second, other = map(result, [start(0), start(0), start(1)])
    finally:
        busy.kill()
        busy.wait()
    assert first == second == alone
    assert other[0] != alone[0]
    assert other[1] != alone[1]
