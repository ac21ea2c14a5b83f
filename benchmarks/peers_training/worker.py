"""Measures one contender in this process: `-m peers_training.worker NAME JOB`.

Threads and backend are set in its environment. Prints "ready" when warm and waits for a line of
input; then trains, timed, and prints a JSON, to which the device is added.
"""

import json
import sys
from importlib import import_module

from peers_training import EVERY
from peers_training.stopwatch import Job


def barrier():
    print("ready", flush=True)
    sys.stdin.readline()


def device(library: str) -> str:
    """Return "cpu", or the name of the GPU that a library computes on in this process."""
    if library == "torch":
        import torch

        return torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu"
    from boxest.system import backend

    return backend.device()


if __name__ == "__main__":
    contender, job = EVERY[sys.argv[1]], Job(**json.loads(sys.argv[2]), barrier=barrier)
    module = import_module(f"peers_training.{contender.module}")
    result = getattr(module, contender.function)(job)
    print(json.dumps(result | {"device": device(contender.library())}), flush=True)
