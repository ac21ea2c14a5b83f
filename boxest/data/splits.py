"""The indices in each part of a data set and in each of its shards, in plain Python."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

# The parts of every data set.
PARTS = ("train", "validation", "test")
# Size of the unpacked images of one shard.
MAX_SHARD_BYTES = 2**31


class ShardRange(NamedTuple):
    """The indices start..stop-1 of the data set, all in one split."""

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
    limits = (0, first, second, n_images)
    parts = {name: range(limits[i], limits[i + 1]) for i, name in enumerate(PARTS)}
    empty = [name for name, part in parts.items() if len(part) == 0]
    if empty:
        raise ValueError(
            f"With {n_images} images and the fractions {list(fractions)}, none is left for "
            f"{' and '.join(empty)}: make more images, or change the fractions."
        )
    return parts


def shard_ranges(data: Mapping[str, Any]) -> dict[str, ShardRange]:
    """Cut each part of the data set into shards.

    Parameters
    ----------
    data : mapping
        The section ``data`` of a configuration: ``images``, ``split`` and ``shard_size`` are used.

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
