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
    tried = {}
    for name, make in variants.items():
        epoch = make()
        first_loss = epoch(1)
        tried[name] = (_seconds(epoch, 2) if len(variants) > 1 else 0.0), first_loss, epoch
    name = min(tried, key=lambda name: tried[name][0])
    _, first_loss, epoch = tried[name]
    job.barrier()
    seconds = [_seconds(epoch, 3 + i) for i in range(job.epochs - 1)]
    return {
        "seconds": seconds[: job.repetitions],
        "first_epoch_loss": first_loss,
        "settings": name,
        "tried": {name: seconds for name, (seconds, *_) in tried.items()},
    }


def _seconds(epoch: Epoch, number: int) -> float:
    before = time.perf_counter()
    epoch(number)
    return time.perf_counter() - before


def batches(job: Job, epoch: int):
    """Return the indices of each batch of an epoch; the last one may be smaller."""
    order = problem.order(job.images, epoch)
    return [order[start : start + job.batch] for start in range(0, job.images, job.batch)]
