"""Measures one contender in this process: `-m peers_training.worker NAME JOB`.

Threads and backend are set in its environment. Prints "ready" when warm and waits for a line of
input; then trains, timed, and prints a JSON.
"""

import json
import sys
from importlib import import_module

from peers_training import EVERY
from peers_training.stopwatch import Job


def barrier():
    print("ready", flush=True)
    sys.stdin.readline()


if __name__ == "__main__":
    contender, job = EVERY[sys.argv[1]], Job(**json.loads(sys.argv[2]), barrier=barrier)
    module = import_module(f"peers_training.{contender.module}")
    result = getattr(module, contender.function)(job)
    print(json.dumps(result), flush=True)
