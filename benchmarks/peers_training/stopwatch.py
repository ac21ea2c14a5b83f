"""How a contender is timed: the first epoch thrown away, then all start together."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from peers_training import problem


@dataclass
class Job:
    """One measurement in one process."""

    batch: int
    images: int
    image_size: int
    repetitions: int
    threads: int  # 0: as many as the library likes
    cool_down: int = 0  # epochs behind the timed ones, while other processes are still timed
    thorough: bool = False  # try also what has lost everywhere so far
    runs: tuple[int, ...] = ()  # how many to train at once, for those who can
    barrier: Callable[[], None] = field(default=lambda: None)

    @property
    def epochs(self) -> int:
        """Epochs in all: one of warm-up, the timed ones, those behind."""
        return 1 + self.repetitions + self.cool_down


Epoch = Callable[[int], float]  # number of the epoch -> mean loss, once it is computed


def measure(job: Job, variants: dict[str, Callable[[], Epoch]]) -> dict:
    """Time the fastest of several ways to write a loop, each begun from the first weights.

    The first epoch of each is thrown away but for its loss; the second one decides.
    """
    tried = {name: Timed(make()) for name, make in variants.items()}
    for timed in tried.values():
        for _ in range(min(2, len(variants))):
            timed.run()
    name = min(tried, key=lambda name: tried[name].seconds[-1])
    warm_up = {name: timed.seconds[-1] for name, timed in tried.items()}
    timed = tried[name]
    job.barrier()
    for _ in range(job.epochs - 1):
        timed.run()
    return {
        "seconds": timed.seconds[-(job.epochs - 1) :][: job.repetitions],
        "losses": timed.losses[: 1 + job.repetitions],
        "settings": name,
        "tried": warm_up,
    }


class Timed:
    """Epochs one after the other, with their seconds and losses."""

    def __init__(self, epoch: Epoch):
        self.epoch, self.seconds, self.losses = epoch, [], []

    def run(self) -> None:
        """Train for the next epoch."""
        before = time.perf_counter()
        self.losses.append(self.epoch(1 + len(self.losses)))
        self.seconds.append(time.perf_counter() - before)


def batches(job: Job, epoch: int):
    """Return the indices of each batch of an epoch; the last one may be smaller."""
    order = problem.order(job.images, epoch)
    return [order[start : start + job.batch] for start in range(0, job.images, job.batch)]
