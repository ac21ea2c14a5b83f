"""What a study consists of: its parts of the data set and its shards.

Plain Python, for the Snakefile: the environment that runs Snakemake need not hold numpy.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

# Images of one shard when unpacked.
MAX_SHARD_BYTES = 2**31


class ShardRange(NamedTuple):
    """Indices start..stop-1 of the data set, all of one split."""

    split: str
    start: int
    stop: int


def splits(n_images: int, fractions: Sequence[float] = (0.8, 0.1, 0.1)) -> dict[str, range]:
    """Divide the indices 0..n_images-1 into training, validation and test set.

    Parameters
    ----------
    n_images : int
        Size of the data set.
    fractions : three floats
        Share of each part; the default is the paper's (§2.1).

    Returns
    -------
    dict of range
        Under "train", "validation" and "test", consecutive.

    Raises
    ------
    ValueError
        If the fractions do not sum to 1, or a part would be empty.

    Examples
    --------
    >>> splits(10_000)
    {'train': range(0, 8000), 'validation': range(8000, 9000), 'test': range(9000, 10000)}
    """
    if len(fractions) != 3 or not min(fractions) > 0 or not abs(sum(fractions) - 1) < 1e-9:
        raise ValueError(
            "The fractions of training, validation and test set must be three numbers above 0 "
            f"that sum to 1; got {list(fractions)}."
        )
    first, second = round(n_images * fractions[0]), round(n_images * (fractions[0] + fractions[1]))
    parts = {
        "train": range(first),
        "validation": range(first, second),
        "test": range(second, n_images),
    }
    empty = [name for name, part in parts.items() if len(part) == 0]
    if empty:
        raise ValueError(
            f"{n_images} images leave none for {' and '.join(empty)} with the fractions "
            f"{list(fractions)}: make more images, or change the fractions."
        )
    return parts


def shard_ranges(data: Mapping[str, Any]) -> dict[str, ShardRange]:
    """Cut each part of the data set into shards.

    Parameters
    ----------
    data : mapping
        The section ``data`` of a configuration: ``images``, ``split`` and ``shard_size`` count.

    Returns
    -------
    dict of ShardRange
        By name, which is the split and a number: "train-000".

    Examples
    --------
    >>> ranges = shard_ranges({"images": 100, "split": [0.8, 0.1, 0.1], "shard_size": 50})
    >>> list(ranges)
    ['train-000', 'train-001', 'validation-000', 'test-000']
    >>> ranges["train-001"]
    ShardRange(split='train', start=50, stop=80)
    """
    size = data["shard_size"]
    return {
        f"{split}-{number:03d}": ShardRange(split, start, min(start + size, part.stop))
        for split, part in splits(data["images"], data["split"]).items()
        for number, start in enumerate(range(part.start, part.stop, size))
    }


def seed_blocks(n_seeds: int, per_job: int) -> list[range]:
    """Divide the seeds of a cell among jobs that train several runs in turn.

    Examples
    --------
    >>> seed_blocks(5, 2)
    [range(0, 2), range(2, 4), range(4, 5)]
    """
    return [range(i, min(i + per_job, n_seeds)) for i in range(0, n_seeds, per_job)]


def check(config: Mapping[str, Any]) -> None:
    """Refuse what a schema cannot: values that do not fit each other.

    Raises
    ------
    ValueError
        Naming the keys, the values, and what to do.
    """
    _check_numbers(config["grid"], config["best"])
    data = config["data"]
    law, size = data["box_law"], data["image_size"]
    if not law["min_side"] <= law["max_side"] <= size:
        raise ValueError(
            "config: data.box_law needs min_side <= max_side <= data.image_size; got "
            f"{law['min_side']}, {law['max_side']} and {size}. A smaller image needs smaller boxes."
        )
    if data["shard_size"] * size**2 > MAX_SHARD_BYTES:
        raise ValueError(
            f"config: data.shard_size={data['shard_size']} images of {size}×{size} px are more "
            f"than {MAX_SHARD_BYTES} bytes in one file. Make shard_size smaller."
        )
    try:
        splits(data["images"], data["split"])
    except ValueError as error:
        raise ValueError(f"config: data.images and data.split: {error}") from None


def _check_numbers(grid: Mapping[str, Any], best: Mapping[str, Any]) -> None:
    """Refuse numbers that a schema takes for others: 16.0 is no batch size, .nan no rate."""
    for size in [*grid["batch_size"], best["batch_size"]]:
        if not isinstance(size, int):
            raise ValueError(
                f"config: a batch size is a whole number, got {size!r}; write {size:.0f}."
            )
    for rate in [*grid["learning_rate"], best["learning_rate"]]:
        if not math.isfinite(rate):
            raise ValueError(f"config: a learning rate is a finite number above 0, got {rate!r}.")
