"""Fits in several threads, as with joblib's backend "threading"."""

import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import numpy as np

from boxest.estimator import building
from boxest.system import backend


def test_stderr_survives_two_threads_that_start_keras_at_once(monkeypatch):
    both, order = threading.Barrier(2), iter((0, 0.2))

    def meet():
        with suppress(threading.BrokenBarrierError):
            both.wait(0.2)
        time.sleep(next(order))

    monkeypatch.setattr(backend, "_device", meet)
    backend._started.cache_clear()
    before = os.fstat(2)
    with ThreadPoolExecutor(2) as pool:
        for started in [pool.submit(backend.start) for _ in range(2)]:
            started.result()
    assert os.path.samestat(before, os.fstat(2))


def test_threads_draw_first_weights_as_if_alone():
    def draw(seed):
        with building._own_randomness(seed):
            first = np.random.random()
            time.sleep(0.05)
            return first, np.random.random()

    alone, state = [draw(0), draw(1)], np.random.get_state()[1].tolist()
    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(draw, (0, 1))) == alone
    assert np.random.get_state()[1].tolist() == state
