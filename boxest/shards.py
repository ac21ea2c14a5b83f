"""Shards of the data set: one HDF5 file each, written whole, verified whole.

A shard holds the images and boxes of consecutive indices of one split. Its layout:

- dataset ``images``: uint8, gzip; in version 1, drawn boxes, (n, image_size, image_size), 0 or 255,
  but for other scenes; in version 2, photographs, (n, height, width) of grey levels or
  (n, height, width, 3) of colours;
- dataset ``boxes``: float64 (n, 4), gzip, columns x1, y1, x2, y2 in units of the image size;
- attributes of the file: ``format``, ``format_version``, the fields of `Meta` (the box law as
  ``law``, ``min_side``, ``max_side``; ``scene`` as JSON that says what differs from the paper's
  white box on black, absent where nothing does) or of `PhotoMeta`, and ``sha256`` over all of these
  and the content.

The same content gives the same bytes: nothing in a shard tells when, or by which version of boxest,
it was made. A shard may come from a stranger: see `boxest.hdf5`, which reads it.
"""

import contextlib
import hashlib
import itertools
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from boxest import hdf5
from boxest.boxes import check_boxes
from boxest.files import atomic_path, regular
from boxest.meta import Meta, Part, PhotoMeta, ShardError, check_expected, check_neighbours
from boxest.scene import CLEAN

FORMAT = "boxest shard"
FORMAT_VERSIONS: dict[Any, type[Meta] | type[PhotoMeta]] = {1: Meta, 2: PhotoMeta}
_TYPES = {"images": np.dtype(np.uint8), "boxes": np.dtype("<f8")}
_BOXES = {"columns": "x1, y1, x2, y2", "units": "image size"}


class Shard(NamedTuple):
    """Content of a shard: images uint8, boxes float64 (n, 4), and its `Meta` or `PhotoMeta`."""

    images: np.ndarray
    boxes: np.ndarray
    meta: Part


def write(path: str | os.PathLike, images: np.ndarray, boxes: np.ndarray, meta: Part) -> None:
    """Write a shard, whole or not at all.

    Parameters
    ----------
    path : path-like
        The file; one that is there is replaced.
    images : ndarray of uint8, shape (n, height, width) or (n, height, width, 3)
        Images.
    boxes : array-like, shape (n, 4)
        Boxes (x1, y1, x2, y2) in units of the image size.
    meta : Meta or PhotoMeta
        What the shard is; n = stop - start.

    Raises
    ------
    ValueError
        If images or boxes are not of the type and shape that `meta` tells, or a box is no box.
    """
    boxes = check_boxes(boxes)
    content = {"images": np.ascontiguousarray(images), "boxes": np.ascontiguousarray(boxes)}
    for name, shape in meta.shapes().items():
        if content[name].shape != shape or content[name].dtype != _TYPES[name]:
            raise ValueError(
                f"{name} must be {_TYPES[name]} of shape {shape} for indices {meta.start}.."
                f"{meta.stop - 1}; got {content[name].dtype} of shape {content[name].shape}."
            )
    header = _header(meta)
    datasets = {name: (content[name], said) for name, said in _described(meta).items()}
    with atomic_path(path) as temporary:
        hdf5.write(temporary, datasets, header | {"sha256": _checksum(header, **content)})


def read(path: str | os.PathLike) -> Shard:
    """Read a shard and verify all of it.

    Raises
    ------
    ShardError
        If the file is not a shard, is damaged, or was written in another version of the format.
    OSError
        If the file cannot be opened at all (`FileNotFoundError`, `PermissionError`).
    """
    with _open(path) as (reader, meta):
        images, boxes = _allocate(meta.n_images, meta)
        _fill(reader, meta, images, boxes)
    return Shard(images, boxes, meta)


def load(
    paths: Iterable[str | os.PathLike], expected: Mapping[str, str | int] | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Read the shards of one split, in the order of their indices.

    Parameters
    ----------
    paths : iterable of path-like
        The files, in any order.
    expected : mapping, optional
        What they must say about themselves, by the names of `Meta.attributes`, such as ``split``
        and ``seed``; ``start`` and ``stop`` are those of all shards together, and a ``scene`` that
        is not named is the paper's. Without it, shards need only fit each other.

    Returns
    -------
    images : ndarray of uint8, shape (n, height, width) or (n, height, width, 3)
    boxes : ndarray of float64, shape (n, 4)

    Raises
    ------
    ShardError
        If a shard is damaged, or not as expected, or two of them are of different splits, seeds,
        image sizes, box laws or scenes, overlap, or leave a gap.
    OSError
        If a file cannot be opened.
    """
    shards = arrange(paths)
    check_expected(shards, expected or {})
    first, last = shards[0][1], shards[-1][1]
    images, boxes = _allocate(last.stop - first.start, first)
    for path, expected in shards:
        part = slice(expected.start - first.start, expected.stop - first.start)
        with _open(path) as (reader, meta):
            if meta != expected:
                raise ShardError("it was replaced by another shard while it was read")
            _fill(reader, meta, images[part], boxes[part])
    return images, boxes


def arrange(paths: Iterable[str | os.PathLike]) -> list[tuple[str | os.PathLike, Part]]:
    """Put the shards of one split in the order of their indices, with what each says about itself.

    Nothing but that is read and verified here. Parameters and errors are those of `load`.
    """
    shards = []
    for path in paths:
        with _open(path) as (_, meta):
            shards.append((path, meta))
    if not shards:
        raise ValueError("There are no shards to load: the list of files is empty.")
    shards.sort(key=lambda shard: shard[1].start)
    for before, after in itertools.pairwise(shards):
        check_neighbours(*before, *after)
    return shards


def summary(path: str | os.PathLike) -> dict[str, str | int]:
    """Return the attributes of a verified shard, with its name, checksum and size in bytes.

    Errors are those of `read`.
    """
    with _open(path) as (reader, meta):
        _fill(reader, meta, *_allocate(meta.n_images, meta))
        checksum = reader.attributes["sha256"]
    size = os.path.getsize(path)
    return {"file": Path(path).name, **meta.attributes(), "bytes": size, "sha256": checksum}


@contextlib.contextmanager
def _open(path: str | os.PathLike) -> Iterator[tuple[hdf5.Reader, Part]]:
    """Open a shard for reading; whatever is wrong with it is a ShardError about `path`."""
    with open(path, "rb", opener=regular) as stream:
        try:
            reader = hdf5.Reader(stream)
            yield reader, _verify(reader)
        except (hdf5.FormatError, ShardError) as error:
            raise ShardError(
                f"{path}: {error}. Delete the file and run snakemake again; photographs are "
                "converted again, all of them."
            ) from error


def _verify(reader: hdf5.Reader) -> Part:
    """Check attributes and layout of a shard."""
    attributes = reader.attributes
    if attributes.get("format") != FORMAT:
        raise ShardError("it is an HDF5 file, but no boxest shard")
    version = attributes.get("format_version")
    if version not in FORMAT_VERSIONS:
        raise ShardError(
            f"it has the format version {version}, and this version of boxest reads "
            + " and ".join(map(str, FORMAT_VERSIONS))
        )
    meta = _meta(FORMAT_VERSIONS[version], attributes)
    if reader.names != set(_TYPES):
        raise ShardError(
            f"it should hold {sorted(_TYPES)} and nothing else, not {sorted(reader.names)}"
        )
    for name, described in _described(meta).items():
        reader.chunks(name, meta.shapes()[name], _TYPES[name])
        if reader.attributes_of(name) != described:
            raise ShardError(f"{name} has other attributes than {described}")
    return meta


def _meta(kind: type[Meta] | type[PhotoMeta], attributes: dict[str, Any]) -> Part:
    """Build what the attributes of a file tell, and check that it tells the same."""
    try:
        meta = kind.of(attributes)
    except (KeyError, TypeError, ValueError) as error:
        raise ShardError(f"its attributes make no sense: {error}") from error
    if attributes != _header(meta) | {"sha256": attributes.get("sha256")}:
        raise ShardError(f"it has other attributes than a shard: {sorted(attributes)}")
    return meta


def _described(meta: Part) -> dict[str, dict[str, str]]:
    """Return the attributes of the datasets; viewers show images as the NeXus standard says."""
    images = "image" if meta.image_shape[2] == 1 else "rgb-image"
    return {"images": {"interpretation": images}, "boxes": _BOXES}


def _header(meta: Part) -> dict[str, str | int]:
    """Attributes of the file that the checksum covers."""
    (version,) = (number for number, kind in FORMAT_VERSIONS.items() if type(meta) is kind)
    header = {"format": FORMAT, "format_version": version, **meta.attributes()}
    if header.get("scene") == CLEAN.text():
        # As it was before there were scenes: those shards stay what they are.
        del header["scene"]
    return header


def _allocate(n_images: int, meta: Part) -> tuple[np.ndarray, np.ndarray]:
    """Arrays for the content of shards."""
    shapes = meta.shapes()
    return tuple(np.empty((n_images, *shapes[name][1:]), dtype) for name, dtype in _TYPES.items())


def _fill(reader: hdf5.Reader, meta: Part, images: np.ndarray, boxes: np.ndarray) -> None:
    """Read the content of an open shard into arrays, and verify it."""
    reader.read_into("images", images)
    reader.read_into("boxes", boxes)
    if _checksum(_header(meta), images, boxes) != reader.attributes["sha256"]:
        raise ShardError("it is damaged: images, boxes or attributes do not match the checksum")
    try:
        check_boxes(boxes)
    except ValueError as error:
        raise ShardError(f"its checksum is right, and its boxes are wrong: {error}") from error


def _checksum(header: dict[str, str | int], images: np.ndarray, boxes: np.ndarray) -> str:
    """SHA-256 over the header as JSON with sorted keys, the images and the boxes."""
    digest = hashlib.sha256(json.dumps(header, sort_keys=True).encode())
    digest.update(images)
    digest.update(boxes)
    return digest.hexdigest()
