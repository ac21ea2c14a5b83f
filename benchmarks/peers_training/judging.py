"""Whether what was measured may be compared."""

import math
import statistics
from collections.abc import Sequence

# Distances from the median of all, relative to it: of the last loss, and of its fall until then.
# The order of the images alone changes the last loss by 8 %.
LOSS, FALL = 0.1, 0.5


def plausible(losses: Sequence[Sequence[float]]) -> list[bool]:
    """Say of each contender whether it has trained as the others have.

    All start with the same weights, and some take the images in another order. The last loss alone
    would not tell: few updates, as with large batches, change it by less than that tolerance.

    Parameters
    ----------
    losses : sequence of sequences
        Of each contender, the mean loss of each epoch up to the last timed one.
    """
    last = [epochs[-1] for epochs in losses]
    falls = [epochs[0] - epochs[-1] for epochs in losses]
    return [
        near_last and near_fall
        for near_last, near_fall in zip(_near(last, LOSS), _near(falls, FALL), strict=True)
    ]


def _near(values: list[float], tolerance: float) -> list[bool]:
    """Say of each value whether it is near the median of all; NaN is not."""
    finite = [value for value in values if math.isfinite(value)]
    middle = statistics.median(finite or [math.nan])
    return [abs(value - middle) <= tolerance * abs(middle) for value in values]


def mixed(devices: Sequence[str]) -> str:
    """Return what is wrong where some have trained on a CPU and others on a GPU, else ""."""
    if len({device == "cpu" for device in devices}) < 2:
        return ""
    return (
        f"Not comparable: some have trained on {' and some on '.join(sorted(set(devices)))}. "
        "Install every library for the GPU (benchmarks/README.md), or hide it from all: "
        "CUDA_VISIBLE_DEVICES= ."
    )
