"""Shards of the data set: one HDF5 file each, written whole, verified whole.

A shard holds the images and boxes of consecutive indices of one split. Its layout, version 1:

- dataset ``images``: uint8 (n, image_size, image_size), 0 or 255, gzip;
- dataset ``boxes``: float64 (n, 4), gzip, columns x1, y1, x2, y2 in units of the image size;
- attributes of the file: ``format``, ``format_version``, the fields of `Meta` (the box law as
  ``law``, ``min_side``, ``max_side``), and ``sha256`` over all of these and the content.

The same content gives the same bytes: nothing in a shard tells when, or by which version of boxest,
it was made.
"""

import contextlib
import dataclasses
import hashlib
import itertools
import json
import operator
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import numpy as np

from boxest.boxes import check_boxes
from boxest.files import atomic_path
from boxest.plan import MAX_SHARD_BYTES
from boxest.synthetic import BoxLaw

FORMAT = "boxest shard"
FORMAT_VERSION = 1
# A larger claim is taken for damage before memory is allocated.
MAX_BYTES = MAX_SHARD_BYTES
_CHUNK_BYTES = 2**20
_DATASETS = {
    "images": (np.dtype(np.uint8), {"interpretation": "image"}),  # NeXus: viewers show a stack
    "boxes": (np.dtype("<f8"), {"columns": "x1, y1, x2, y2", "units": "image size"}),
}


class ShardError(ValueError):
    """A file that is no shard, is damaged, or does not fit the others."""


@dataclasses.dataclass(frozen=True)
class Meta:
    """What a shard says about itself.

    Parameters
    ----------
    split : str
        Part of the data set: "train", "validation" or "test".
    start, stop : int
        Its indices are start..stop-1.
    seed : int
        Seed of the data set.
    image_size : int
        Side of the images in pixels.
    law : BoxLaw
        Distribution of the boxes.

    Raises
    ------
    ValueError
        If there is no index, or a shard of that many images would be larger than `MAX_BYTES`.
    """

    split: str
    start: int
    stop: int
    seed: int
    image_size: int
    law: BoxLaw

    def __post_init__(self):
        for name in ("start", "stop", "seed", "image_size"):
            object.__setattr__(self, name, operator.index(getattr(self, name)))
        if not isinstance(self.split, str):
            raise TypeError(f"split must be a str such as 'train'; got {self.split!r}.")
        object.__setattr__(self, "law", self.law.for_size(self.image_size))
        if not 0 <= self.start < self.stop:
            raise ValueError(f"A shard needs 0 <= start < stop; got {self.start} and {self.stop}.")
        if self.n_images * self.image_size**2 > MAX_BYTES:
            raise ValueError(
                f"{self.n_images} images of {self.image_size} pixels squared are more than "
                f"{MAX_BYTES} bytes: make more and smaller shards."
            )

    @property
    def n_images(self) -> int:
        """Number of images."""
        return self.stop - self.start

    def attributes(self) -> dict[str, str | int]:
        """Return the fields as they stand in the file."""
        fields = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        law = fields.pop("law")
        return fields | {"law": law.name, "min_side": law.min_side, "max_side": law.max_side}

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Return the shapes of the datasets."""
        size = self.image_size
        return {"images": (self.n_images, size, size), "boxes": (self.n_images, 4)}


class Shard(NamedTuple):
    """Content of a shard: images uint8 (n, size, size), boxes float64 (n, 4), and its `Meta`."""

    images: np.ndarray
    boxes: np.ndarray
    meta: Meta


def write(path: str | os.PathLike, images: np.ndarray, boxes: np.ndarray, meta: Meta) -> None:
    """Write a shard, whole or not at all.

    Parameters
    ----------
    path : path-like
        The file; one that is there is replaced.
    images : ndarray of uint8, shape (n, image_size, image_size)
        Images.
    boxes : array-like, shape (n, 4)
        Boxes (x1, y1, x2, y2) in units of the image size.
    meta : Meta
        What the shard is; n = stop - start.

    Raises
    ------
    ValueError
        If images or boxes are not of the type and shape that `meta` tells, or a box is no box.
    """
    boxes = check_boxes(boxes)
    content = {"images": np.ascontiguousarray(images), "boxes": np.ascontiguousarray(boxes)}
    for name, shape in meta.shapes().items():
        if content[name].shape != shape or content[name].dtype != _DATASETS[name][0]:
            raise ValueError(
                f"{name} must be {_DATASETS[name][0]} of shape {shape} for indices {meta.start}.."
                f"{meta.stop - 1}; got {content[name].dtype} of shape {content[name].shape}."
            )
    header = _header(meta)
    with atomic_path(path) as temporary, _create(temporary) as file:
        for name, (_, attributes) in _DATASETS.items():
            array = content[name]
            rows = max(1, _CHUNK_BYTES // array[0].nbytes)
            dataset = file.create_dataset(
                name,
                data=array,
                chunks=(min(rows, len(array)), *array.shape[1:]),
                compression="gzip",
                track_times=False,
            )
            _set_attributes(dataset, attributes)
        _set_attributes(file, header | {"sha256": _checksum(header, **content)})


def read(path: str | os.PathLike) -> Shard:
    """Read a shard and verify all of it.

    Raises
    ------
    ShardError
        If the file is not a shard, is damaged, or was written in another version of the format.
    OSError
        If the file cannot be opened at all (`FileNotFoundError`, `PermissionError`).
    """
    with _open(path) as (file, meta):
        images, boxes = _allocate(meta.n_images, meta.image_size)
        _fill(file, meta, images, boxes)
    return Shard(images, boxes, meta)


def load(paths: Iterable[str | os.PathLike]) -> tuple[np.ndarray, np.ndarray]:
    """Read the shards of one split, in the order of their indices.

    Parameters
    ----------
    paths : iterable of path-like
        The files, in any order.

    Returns
    -------
    images : ndarray of uint8, shape (n, image_size, image_size)
    boxes : ndarray of float64, shape (n, 4)

    Raises
    ------
    ShardError
        If a shard is damaged, or two of them are of different splits, seeds, image sizes or box
        laws, overlap, or leave a gap.
    OSError
        If a file cannot be opened.
    """
    shards = arrange(paths)
    first, last = shards[0][1], shards[-1][1]
    images, boxes = _allocate(last.stop - first.start, first.image_size)
    for path, expected in shards:
        part = slice(expected.start - first.start, expected.stop - first.start)
        with _open(path) as (file, meta):
            if meta != expected:
                raise ShardError("it was replaced by another shard while it was read")
            _fill(file, meta, images[part], boxes[part])
    return images, boxes


def arrange(paths: Iterable[str | os.PathLike]) -> list[tuple[str | os.PathLike, Meta]]:
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
        _check_neighbours(*before, *after)
    return shards


def summary(path: str | os.PathLike) -> dict[str, str | int]:
    """Return the attributes of a verified shard, with its name, checksum and size in bytes.

    Errors are those of `read`.
    """
    with _open(path) as (file, meta):
        _fill(file, meta, *_allocate(meta.n_images, meta.image_size))
        checksum = _attributes(file)["sha256"]
    size = os.path.getsize(path)
    return {"file": Path(path).name, **meta.attributes(), "bytes": size, "sha256": checksum}


def _create(path: Path) -> h5py.File:
    """Make an HDF5 file in the layout of HDF5 1.10, without time stamps and without a lock.

    In that layout the library has a checksum for whatever it follows; an older one let it loop for
    ever on a damaged file. Locks fail on NFS, and nobody else knows the temporary file.
    """
    creation = h5py.h5p.create(h5py.h5p.FILE_CREATE)
    creation.set_obj_track_times(False)
    access = h5py.h5p.create(h5py.h5p.FILE_ACCESS)
    access.set_libver_bounds(h5py.h5f.LIBVER_V110, h5py.h5f.LIBVER_V110)
    access.set_file_locking(False, True)
    return h5py.File(h5py.h5f.create(os.fsencode(path), h5py.h5f.ACC_EXCL, creation, access))


@contextlib.contextmanager
def _open(path: str | os.PathLike) -> Iterator[tuple[h5py.File, Meta]]:
    """Open a shard for reading; whatever goes wrong from here on is a ShardError about `path`."""
    with open(path, "rb"):
        pass  # A file that is absent or not ours to read is no damaged one: the plain OSError.
    try:
        if not h5py.is_hdf5(path):
            raise ShardError("not an HDF5 file, or damaged in its beginning")
        with h5py.File(path, "r", locking=False) as file:
            yield file, _verify(file)
    except MemoryError:
        raise
    # On a damaged file the HDF5 library fails with nearly every type of exception.
    except Exception as error:
        reason = str(error)
        if not isinstance(error, ShardError):
            reason = f"cannot be read as a shard, it seems damaged ({error!r})"
        raise ShardError(f"{path}: {reason}. Delete the file and run snakemake again.") from error


def _verify(file: h5py.File) -> Meta:
    """Check attributes and layout of a shard."""
    attributes = _attributes(file)
    if attributes.get("format") != FORMAT:
        raise ShardError("an HDF5 file, but no boxest shard")
    if attributes.get("format_version") != FORMAT_VERSION:
        raise ShardError(
            f"it has the format version {attributes.get('format_version')}, and this version of "
            f"boxest reads {FORMAT_VERSION}"
        )
    meta = _meta(attributes)
    if set(file) != set(_DATASETS):
        raise ShardError(f"it should hold {sorted(_DATASETS)} and nothing else, not {sorted(file)}")
    for name, (dtype, described) in _DATASETS.items():
        if not isinstance(file.get(name, getlink=True), h5py.HardLink):
            raise ShardError(f"{name} is a link to somewhere else")
        dataset = file[name]
        if not isinstance(dataset, h5py.Dataset) or dataset.is_virtual or dataset.external:
            raise ShardError(f"{name} is not a dataset that is stored in the file")
        if dataset.dtype != dtype or dataset.shape != meta.shapes()[name]:
            raise ShardError(
                f"{name} should be {dtype} of shape {meta.shapes()[name]} by the attributes of the "
                f"file, and is {dataset.dtype} of shape {dataset.shape}"
            )
        if _attributes(dataset) != described:
            raise ShardError(f"{name} has other attributes than {described}")
    return meta


def _meta(attributes: dict[str, Any]) -> Meta:
    """Build the Meta that the attributes of a file tell, and check that it tells the same."""
    try:
        law = BoxLaw(*(attributes[name] for name in ("law", "min_side", "max_side")))
        names = ("split", "start", "stop", "seed", "image_size")
        meta = Meta(*(attributes[name] for name in names), law=law)
    except (KeyError, TypeError, ValueError) as error:
        raise ShardError(f"its attributes make no sense: {error}") from error
    if attributes != _header(meta) | {"sha256": attributes.get("sha256")}:
        raise ShardError(f"it has other attributes than a shard: {sorted(attributes)}")
    return meta


def _set_attributes(item: h5py.File | h5py.Dataset, values: dict[str, str | int]) -> None:
    """Write attributes, texts with a fixed length: the others are kept where no checksum is."""
    for name, value in values.items():
        item.attrs[name] = np.bytes_(value.encode()) if isinstance(value, str) else value


def _attributes(item: h5py.File | h5py.Dataset) -> dict[str, Any]:
    """Read attributes as str and int; others stay what h5py makes of them."""
    values = {}
    for name, value in item.attrs.items():
        if isinstance(value, bytes):
            values[name] = value.decode()
        else:
            values[name] = int(value) if isinstance(value, np.integer) else value
    return values


def _header(meta: Meta) -> dict[str, str | int]:
    """Attributes of the file that the checksum covers."""
    return {"format": FORMAT, "format_version": FORMAT_VERSION, **meta.attributes()}


def _allocate(n_images: int, image_size: int) -> tuple[np.ndarray, np.ndarray]:
    """Arrays for the content of shards."""
    images = np.empty((n_images, image_size, image_size), _DATASETS["images"][0])
    return images, np.empty((n_images, 4), _DATASETS["boxes"][0])


def _fill(file: h5py.File, meta: Meta, images: np.ndarray, boxes: np.ndarray) -> None:
    """Read the content of an open shard into arrays, and verify it."""
    file["images"].read_direct(images)
    file["boxes"].read_direct(boxes)
    if _checksum(_header(meta), images, boxes) != _attributes(file)["sha256"]:
        raise ShardError("damaged: images, boxes or attributes do not match the checksum")


def _checksum(header: dict[str, str | int], images: np.ndarray, boxes: np.ndarray) -> str:
    """SHA-256 over the header as JSON with sorted keys, the images and the boxes."""
    digest = hashlib.sha256(json.dumps(header, sort_keys=True).encode())
    digest.update(images)
    digest.update(boxes)
    return digest.hexdigest()


def _check_neighbours(path: Any, meta: Meta, next_path: Any, next_meta: Meta) -> None:
    """Check that the second of two shards goes on where the first ends, in the same data set."""
    for name, value in meta.attributes().items():
        other = next_meta.attributes()[name]
        if name not in ("start", "stop") and value != other:
            raise ShardError(
                f"{path} and {next_path} do not belong together: {name} is {value} in the one and "
                f"{other} in the other."
            )
    if meta.stop != next_meta.start:
        raise ShardError(
            f"{path} holds the indices {meta.start}..{meta.stop - 1} and {next_path} "
            f"{next_meta.start}..{next_meta.stop - 1}: "
            + ("there is a gap between them." if meta.stop < next_meta.start else "they overlap.")
        )
