"""Assign photographs to training, validation and test: by shares, a column, or lists."""

import itertools
import operator
import os
import warnings
from collections.abc import Container, Sequence
from numbers import Real
from pathlib import PurePosixPath

import numpy as np
import pandas as pd

from boxest.data.annotations import AnnotationError
from boxest.data.annotations.fields import some
from boxest.data.annotations.folder import composed, ends_of, normal
from boxest.data.splits import PARTS
from boxest.system.files import regular

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
        If a part would be empty unintentionally, an image is in two parts, or a name in a list may
        mean several images.

    Warns
    -----
    UserWarning
        If images in a list are not in the table.
    """
    if operator.index(seed) < 0:
        raise ValueError(f"seed must be a whole number of at least 0; got {seed}.")
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
    called, whole = _names_of(images), _whole_names_of(images)
    parts: dict[str, str] = {}
    for part, given in zip(PARTS, lists, strict=True):
        names = _list(given, called, whole)
        for name in names:
            fits = called.get(name, [])
            if len(fits) > 1:
                raise AnnotationError(
                    f"{name} in the list for {part} fits several images ({some(fits)}): name the "
                    "folder and the suffix, too."
                )
            for image in fits:
                if parts.setdefault(image, part) != part:
                    raise AnnotationError(
                        f"{name} is in the lists for {parts[image]} and for {part}."
                    )
        absent = [name for name in dict.fromkeys(names) if name not in called]
        if names and len(absent) == len(set(names)):
            raise AnnotationError(
                f"None of the images in the list for {part} has a box: the first is {names[0]!r}, "
                f"while the table of boxes has, for example, {images[0]!r}."
            )
        if absent:
            warnings.warn(
                f"{len(absent)} images in the list for {part} have no box, and are left out "
                f"({some(absent)}).",
                stacklevel=5,
            )
    return [parts.get(image) for image in images]


def _names_of(images: list[str]) -> dict[str, list[str]]:
    """Return which images a name in a list may mean: a whole path counts before its last part."""
    found: dict[str, list[str]] = {}
    for shorten in (
        lambda path: path.as_posix(),
        lambda path: path.with_suffix("").as_posix(),
        lambda path: path.name,
        lambda path: path.stem,
    ):
        level: dict[str, list[str]] = {}
        for image in images:
            level.setdefault(_key(shorten(PurePosixPath(image))), []).append(image)
        found = level | found
    return found


def _whole_names_of(images: list[str]) -> set[str]:
    """Return the whole paths of images, with and without suffix."""
    paths = map(PurePosixPath, images)
    return {_key(str(form)) for path in paths for form in (path, path.with_suffix(""))}


def _key(name: str) -> str:
    return composed(normal(name))


def _list(
    names: str | os.PathLike | Sequence[str], known: Container[str], whole: Container[str]
) -> list[str]:
    """Return the names in a list or a text file, whose lines may end in a mark, as in VOC.

    Tools write where a photograph was, with more folders than the table of boxes has.
    """
    if not isinstance(names, (str, os.PathLike)):
        return [_as_known(_key(str(name)), known, whole) for name in names]
    with open(names, encoding="utf-8-sig", opener=regular) as file:
        lines = [_as_known(_key(line), known, whole) for line in file if line.strip()]
    # VOC's lists for one class have 1, 0 or -1 after the name; "photo 1" may be a name itself.
    return [
        line if line in known else _as_known(_without_mark(line), known, whole) for line in lines
    ]


def _as_known(name: str, known: Container[str], whole: Container[str]) -> str:
    """Return the name, or its longest end that is the whole path of an image."""
    return name if name in known else next((end for end in ends_of(name) if end in whole), name)


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
