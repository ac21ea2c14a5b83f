"""Seconds of a core that a job of a study takes to start and to end, without its training.

    python benchmarks/start.py

Processes with Python's usual garbage collection, with `boxest.system.garbage`, and with that and
`boxest.system.runtime.prepare`, as jobs have both, take turns. Each number is a median.
"""

import argparse
import os
import subprocess
import sys

import pandas as pd

MODES = {
    "usual": "",
    "rare collections": "garbage.spare_this_process()",
    "also without unused packages": "garbage.spare_this_process()\nruntime.prepare(1)",
}
STEPS = ("Python, boxest and scikit-learn", "Keras and its backend", "the end")
JOB = """
import time
from boxest.system import backend, garbage, runtime
{mode}
with runtime.without_unused_packages():
    from boxest import BoxRegressor
    from boxest.study import estimators, history
print(time.process_time())
backend.start()
print(time.process_time(), flush=True)
"""


def measure(mode: str) -> list[float]:
    """Return the seconds of each step of a process."""
    command = [sys.executable, "-c", JOB.format(mode=MODES[mode])]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        imported, started = map(float, process.stdout.read().split())
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"The process ended with status {process.returncode}.")
    return [imported, started - imported, used.ru_utime + used.ru_stime - started]


def main(arguments: list[str] | None = None) -> int:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=5, metavar="N", help="processes per mode")
    repeats = parser.parse_args(arguments).repeats
    measure("usual")  # Python compiles what it imports, once.
    taken = {mode: [] for mode in MODES}
    for _ in range(repeats):
        for mode, rows in taken.items():
            rows.append(measure(mode))
    table = pd.DataFrame(
        {mode: pd.DataFrame(rows, columns=STEPS).median() for mode, rows in taken.items()}
    )
    table.loc["all"] = [pd.DataFrame(rows).sum(axis=1).median() for rows in taken.values()]
    print(f"| seconds of a core | {' | '.join(table)} |\n| --- |{' ---: |' * len(MODES)}")
    for row in table.itertuples():
        print(f"| {row[0]} | {' | '.join(f'{seconds:.2f}' for seconds in row[1:])} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
