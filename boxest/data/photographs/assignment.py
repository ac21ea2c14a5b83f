"""Assign photographs to training, validation and test: by shares, a column, or lists."""

import itertools
import os
from collections.abc import Sequence
from numbers import Real
from pathlib import PurePosixPath

import numpy as np
import pandas as pd

from boxest.data.annotations import AnnotationError
from boxest.data.annotations.folder import normal
from boxest.system.files import regular

PARTS = ("train", "validation", "test")
# The names that tools and people use.
_NAMES = {"training": "train", "val": "validation", "valid": "validation", "dev": "validation"}
_NAMES |= {"testing": "test", "eval": "test"} | {part: part for part in PARTS}

Split = Sequence[float] | str | Sequence[str | os.PathLike | Sequence[str]]


def divide(table: pd.DataFrame, split: Split, seed: int) -> tuple[pd.DataFrame, list[str]]:
    """Shuffle a table, and group the rows by part.

    Parameters
    ----------
    table : DataFrame
        With a row per image, sorted by name, so that the order only depends on the seed.
    split : three floats, str, or three lists
        Shares of training, validation and test set, some of which may be 0; or "column", for the
        column ``split`` of the table; or three lists of images, or files with one per line, by name
        with or without suffix.
    seed : int
        Of the order.

    Returns
    -------
    table : DataFrame
        With the column ``split``, the parts one after the other.
    left_out : list of str
        Images that are not in any of three lists.

    Raises
    ------
    ValueError
        If a part would be empty unintentionally, or an image is in two parts.
    """
    table = table.iloc[np.random.default_rng(seed).permutation(len(table))]
    if isinstance(split, str):
        parts = [_part(row.image, row.split) for row in table.itertuples()]
    elif len(split) != len(PARTS):
        raise ValueError(
            "split must be three shares, or three lists of images, for training, validation and "
            f"test set; got {list(split)}."
        )
    elif all(isinstance(share, Real) for share in split):
        parts = _by_shares(len(table), split)
    else:
        parts = _by_lists(table["image"].tolist(), split)
    table = table.assign(split=pd.Categorical(parts, PARTS))
    left_out = sorted(table["image"][table["split"].isna()])
    table = table[table["split"].notna()].sort_values("split", kind="stable")
    if not (table["split"] == "train").any():
        raise ValueError("The split leaves no image for training.")
    return table.astype({"split": "str"}), left_out


def _by_shares(n: int, shares: Sequence[float]) -> list[str]:
    """Return the part of each of n images in their order."""
    shares = [float(share) for share in shares]
    # As far as single precision goes.
    if not min(shares) >= 0 or not abs(sum(shares) - 1) < 1e-6:
        raise ValueError(
            "The shares of training, validation and test set must be three numbers, 0 or more, "
            f"that sum to 1; got {shares}."
        )
    ends = [0, round(n * shares[0]), round(n * (shares[0] + shares[1])), n]
    counts = np.diff(ends).tolist()
    empty = [part for part, k, share in zip(PARTS, counts, shares, strict=True) if share and not k]
    if empty:
        raise ValueError(
            f"With {n} images and the shares {shares}, none is left for "
            f"{' and '.join(empty)}: use more images, or change the shares; use 0 for a part that "
            "you do not want."
        )
    return [part for part, k in zip(PARTS, counts, strict=True) for _ in range(k)]


def _part(image: str, value: object) -> str:
    """Return the part named in a column."""
    part = _NAMES.get(str(value).strip().lower())
    if part is None:
        raise AnnotationError(
            f"The part of {image} must be train, validation (or val) or test; got {value!r}."
        )
    return part


def _by_lists(images: list[str], lists: Sequence) -> list[str | None]:
    """Return the part of each image according to three lists."""
    found: dict[str, str] = {}
    for part, names in zip(PARTS, lists, strict=True):
        for name in _list(names):
            if found.setdefault(name, part) != part:
                raise AnnotationError(f"{name} is in the lists for {found[name]} and for {part}.")
    parts, used = [], set()
    for image in images:
        path = PurePosixPath(image)
        keys = [image, path.with_suffix("").as_posix(), path.name, path.stem]
        (key,) = [key for key in keys if key in found][:1] or [None]
        used.add(key)
        parts.append(found.get(key))
    for part, names in zip(PARTS, lists, strict=True):
        known = [name for name in _list(names) if name in used]
        if _list(names) and not known:
            raise AnnotationError(
                f"None of the images in the list for {part} has a box: the first is "
                f"{_list(names)[0]!r}, while the table of boxes has, for example, {images[0]!r}."
            )
    return parts


def _list(names: str | os.PathLike | Sequence[str]) -> list[str]:
    """Return the names in a list, or in a text file the first word of each line, as in VOC."""
    if not isinstance(names, (str, os.PathLike)):
        return [normal(str(name)) for name in names]
    with open(names, encoding="utf-8-sig", opener=regular) as file:
        lines = [line.strip() for line in file]
    # VOC's lists for one class have 1, 0 or -1 after the name.
    return [normal(_without_mark(line)) for line in lines if line]


def _without_mark(line: str) -> str:
    name, _, mark = line.rpartition(" ")
    return name.strip() if mark in ("1", "0", "-1") and name else line


def cut(n: int, *, size: int | None = None, number: int | None = None) -> list[range]:
    """Cut n images into shards of a given size, or into a number of about equal shards.

    Examples
    --------
    >>> cut(5, size=2)
    [range(0, 2), range(2, 4), range(4, 5)]
    >>> cut(5, number=2)
    [range(0, 2), range(2, 5)]
    """
    if size is not None:
        return [range(start, min(start + size, n)) for start in range(0, n, size)]
    ends = [n * i // number for i in range(number + 1)]
    return [range(a, b) for a, b in itertools.pairwise(ends)]
