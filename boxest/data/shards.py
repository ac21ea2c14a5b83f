"""Shards of a data set: HDF5 files that are written atomically and verified completely.

A shard holds the images and boxes of consecutive indices of one split. It begins with a header of
`HEADER_BYTES`, which HDF5 skips (its user block): two lines of text, filled up with zeros.

- JSON: ``format``, ``format_version``, ``kind``, the fields of `Meta` (the box law as ``law``,
  ``min_side``, ``max_side``; ``scene`` as JSON with the differences from the paper's white box on
  black) or of `PhotoMeta`, and ``sha256``, the digest of everything after the header.
- The SHA-256 of that line.

So any flipped bit, and any lost byte, is noticed before the HDF5 library sees the file. The header
is followed by HDF5 (see `boxest.data.hdf5`):

- data set ``images``: uint8; for drawn boxes (n, image_size, image_size), 0 or 255 in the paper's
  scene; for photographs (n, height, width) in grey or (n, height, width, 3) in colour;
- data set ``boxes``: float64 (n, 4), columns x1, y1, x2, y2 in units of the image size;
- attributes of the file: the content of the header, for other programs.

The same content gives the same bytes: a shard does not record when, or by which version of boxest,
it was made.
"""

import contextlib
import hashlib
import itertools
import json
import math
import mimetypes
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np

from boxest.boxes import check_boxes
from boxest.data import hdf5
from boxest.data.metadata import Meta, Part, PhotoMeta, ShardError, check_expected, check_neighbours
from boxest.system.files import atomic_path, regular

FORMAT = "boxest shard"
FORMAT_VERSION = 3
KINDS: dict[str, type[Meta] | type[PhotoMeta]] = {"drawn boxes": Meta, "photographs": PhotoMeta}
HEADER_BYTES = 4096
_BEGIN = json.dumps({"format": FORMAT}).encode()[:-1]
_TYPES = {"images": np.dtype(np.uint8), "boxes": np.dtype("<f8")}


class Shard(NamedTuple):
    """The content of a shard: images uint8, boxes float64 (n, 4), and its `Meta` or `PhotoMeta`."""

    images: np.ndarray
    boxes: np.ndarray
    meta: Part


def write(path: str | os.PathLike, images: np.ndarray, boxes: np.ndarray, meta: Part) -> None:
    """Write a shard, completely or not at all.

    Parameters
    ----------
    path : path-like
        The file; an existing one is replaced.
    images : ndarray of uint8, shape (n, height, width) or (n, height, width, 3)
        Images.
    boxes : array-like, shape (n, 4)
        Boxes (x1, y1, x2, y2) in units of the image size.
    meta : Meta or PhotoMeta
        The description of the shard; n = stop - start.

    Raises
    ------
    ValueError
        If images or boxes do not have the type and shape that `meta` describes, or a box is
        invalid.
    """
    boxes = check_boxes(boxes)
    content = {"images": np.ascontiguousarray(images), "boxes": np.ascontiguousarray(boxes)}
    for name, shape in meta.shapes().items():
        if content[name].shape != shape or content[name].dtype != _TYPES[name]:
            raise ValueError(
                f"{name} must be {_TYPES[name]} of shape {shape} for indices {meta.start}.."
                f"{meta.stop - 1}; got {content[name].dtype} of shape {content[name].shape}."
            )
    # Viewers recognise images by the NeXus standard.
    interpretation = "image" if meta.image_shape[2] == 1 else "rgb-image"
    datasets = {
        "images": (content["images"], {"interpretation": interpretation}),
        "boxes": (content["boxes"], {"columns": "x1, y1, x2, y2", "units": "image size"}),
    }
    packed = hdf5.pack(datasets, _fields(meta), HEADER_BYTES)
    packed[:HEADER_BYTES] = _header(meta, hashlib.sha256(packed[HEADER_BYTES:]).hexdigest())
    with atomic_path(path) as temporary:
        temporary.write_bytes(packed)


def read(path: str | os.PathLike) -> Shard:
    """Read a shard and verify all of it.

    Raises
    ------
    ShardError
        If the file is not a shard, is damaged, was changed by another program, or was written in
        another version of the format.
    OSError
        If the file cannot be opened at all (`FileNotFoundError`, `PermissionError`).
    """
    with _open(path) as (stream, meta, digest):
        images, boxes = _allocate(meta.n_images, meta)
        _fill(stream, digest, images, boxes)
    return Shard(images, boxes, meta)


def load(
    paths: str | os.PathLike | Iterable[str | os.PathLike],
    expected: Mapping[str, str | int] | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Read the shards of one split, in the order of their indices.

    Parameters
    ----------
    paths : path-like, or iterable of path-like
        The files, in any order.
    expected : mapping, optional
        Required values, by the names in `Meta.attributes`, such as ``split`` and ``seed``;
        ``start`` and ``stop`` are those of all shards together, and the default ``scene`` is the
        paper's. Without it, shards only have to fit each other.

    Returns
    -------
    images : ndarray of uint8, shape (n, height, width) or (n, height, width, 3)
    boxes : ndarray of float64, shape (n, 4)

    Raises
    ------
    ShardError
        If a shard is damaged or not as expected, or two of them have different splits, seeds, image
        sizes, box laws or scenes, overlap, or leave a gap.
    OSError
        If a file cannot be opened.
    """
    shards = arrange(paths, expected)
    first, last = shards[0][1], shards[-1][1]
    images, boxes = _allocate(last.stop - first.start, first)
    for path, expected in shards:
        part = slice(expected.start - first.start, expected.stop - first.start)
        with _open(path) as (stream, meta, digest):
            if meta != expected:
                raise ShardError("it was replaced by another shard while it was read")
            _fill(stream, digest, images[part], boxes[part])
    return images, boxes


def first_images(paths: str | os.PathLike | Iterable[str | os.PathLike], n: int) -> np.ndarray:
    """Read the first n images of a split, or all if there are fewer; errors are those of `load`."""
    images: list[np.ndarray] = []
    for path, _ in arrange(paths):
        if len(images) < n:
            images.extend(read(path).images[: n - len(images)])
    return np.array(images)


def arrange(
    paths: str | os.PathLike | Iterable[str | os.PathLike],
    expected: Mapping[str, str | int] | None = None,
) -> list[tuple[str | os.PathLike, Part]]:
    """Sort the shards of one split by their indices, and return the description of each.

    Only the headers are read and verified. Parameters and errors are those of `load`.
    """
    shards = []
    for path in [paths] if isinstance(paths, (str, os.PathLike)) else paths:
        with _open(path) as (_, meta, _):
            shards.append((path, meta))
    if not shards:
        raise ValueError("There are no shards to load, because the list of files is empty.")
    shards.sort(key=lambda shard: shard[1].start)
    for before, after in itertools.pairwise(shards):
        check_neighbours(*before, *after)
    check_expected(shards, expected or {})
    return shards


def summary(path: str | os.PathLike) -> dict[str, str | int]:
    """Return the fields of a verified shard, with its name, its size in bytes and its digest.

    Errors are those of `read`.
    """
    with _open(path) as (stream, meta, digest):
        _fill(stream, digest, *_allocate(meta.n_images, meta))
        size = os.fstat(stream.fileno()).st_size
    return {"file": Path(path).name, **meta.attributes(), "bytes": size, "sha256": digest}


@contextlib.contextmanager
def _open(path: str | os.PathLike) -> Iterator[tuple[BinaryIO, Part, str]]:
    """Open a shard after its header; give the stream, the description and the digest.

    Any problem with the file is a ShardError about `path`.
    """
    with open(path, "rb", opener=regular) as stream:
        try:
            yield stream, *_parsed(stream.read(HEADER_BYTES), stream, path)
        except ShardError as error:
            raise ShardError(f"{path}: {error}.", path) from error


def _parsed(header: bytes, stream: BinaryIO, path: str | os.PathLike) -> tuple[Part, str]:
    """Return the description in a header, and the digest of everything after it."""
    if not header.startswith(_BEGIN):
        raise ShardError(_no_shard(header, path))
    line = header.partition(b"\n")[0]
    if header != _block(line):
        raise ShardError("it is damaged: its header does not match its checksum")
    try:
        table = json.loads(line)
        if not all(type(value) in (int, str) for value in table.values()):
            raise TypeError("values must be integers or texts")
        version, digest = table["format_version"], table["sha256"]
        meta = KINDS[table["kind"]].of(table) if version == FORMAT_VERSION else None
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise ShardError(f"its header is invalid: {error}") from error
    if meta is None:
        raise ShardError(
            f"it has the format version {version}, but this version of boxest reads "
            f"{FORMAT_VERSION}: make it again"
        )
    if header != _header(meta, digest):
        raise ShardError(f"its header has other fields than a shard: {sorted(table)}")
    if _n_bytes(meta) > hdf5.GREATEST_RATIO * os.fstat(stream.fileno()).st_size:
        raise ShardError(f"the file is too small for {meta.n_images} images")
    return meta, digest


def _no_shard(begin: bytes, path: str | os.PathLike) -> str:
    """Return what a file that does not begin like a shard is, and what to do with it."""
    if not begin:
        return "this is not a shard of boxest: it is empty"
    if begin.startswith(b"\x89HDF\r\n\x1a\n"):
        return (
            "this is not a shard of boxest, or another program has rewritten it: open it with h5py "
            "and pass its data sets"
        )
    if begin.startswith(b"\x93NUMPY"):
        return "this is not a shard of boxest but an array of numpy: pass numpy.load of it"
    if (mimetypes.guess_type(path)[0] or "").startswith("image/"):
        return (
            "this is not a shard of boxest but a picture: to train on photographs, convert them "
            "and their boxes (boxest convert); to find the box in one, call "
            "boxest.photographs.predict"
        )
    return "this is not a shard of boxest, or its beginning is damaged"


def _fields(meta: Part) -> dict[str, str | int]:
    """Return the description of a shard."""
    (kind,) = (name for name, described in KINDS.items() if type(meta) is described)
    return {"format": FORMAT, "format_version": FORMAT_VERSION, "kind": kind, **meta.attributes()}


def _header(meta: Part, digest: str) -> bytes:
    """Return the header of a shard, given the digest of what follows it."""
    return _block(json.dumps(_fields(meta) | {"sha256": digest}).encode())


def _block(line: bytes) -> bytes:
    """Return a line with its checksum, filled up with zeros."""
    checksum = hashlib.sha256(line).hexdigest().encode()
    return b"\n".join([line, checksum, b""]).ljust(HEADER_BYTES, b"\0")


def _n_bytes(meta: Part) -> int:
    """Return the number of bytes of the content of a shard in memory."""
    return sum(math.prod(shape) * _TYPES[name].itemsize for name, shape in meta.shapes().items())


def _allocate(n_images: int, meta: Part) -> tuple[np.ndarray, np.ndarray]:
    """Return arrays for the content of shards."""
    shapes = meta.shapes()
    return tuple(np.empty((n_images, *shapes[name][1:]), dtype) for name, dtype in _TYPES.items())


def _fill(stream: BinaryIO, digest: str, images: np.ndarray, boxes: np.ndarray) -> None:
    """Verify a shard that is open after its header, and read its content into arrays."""
    if hashlib.file_digest(stream, "sha256").hexdigest() != digest:
        raise ShardError(
            "it is damaged, or another program has changed it: its content does not match the "
            "checksum in its header"
        )
    hdf5.read_into(stream, {"images": images, "boxes": boxes})
    try:
        check_boxes(boxes)
    except ValueError as error:
        raise ShardError(f"its checksum is right, but its boxes are wrong: {error}") from error
