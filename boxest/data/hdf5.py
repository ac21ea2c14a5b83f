"""Write and read the HDF5 part of a shard, arrays compressed with gzip, with h5py.

A shard may come from a stranger. So the properties of its data sets are checked before anything is
read: they must be stored in this file, and be packed like `pack` does.
"""

import io
import math
from collections.abc import Mapping
from typing import BinaryIO

import h5py
import numpy as np

from boxest.data.metadata import ShardError

Attributes = Mapping[str, str | int]

# Number of bytes to pack and unpack at a time.
CHUNK_BYTES = 2**20
# gzip cannot pack more than this into a byte.
GREATEST_RATIO = 1032


def pack(
    datasets: Mapping[str, tuple[np.ndarray, Attributes]], attributes: Attributes, offset: int
) -> memoryview:
    """Return the bytes of a file; the same content gives the same bytes.

    The file is built in memory. So a full disk raises a plain `OSError`, and the library locks no
    file, which network file systems do not always allow.

    Parameters
    ----------
    datasets : mapping of str to (ndarray, attributes)
        Arrays with at least one row.
    attributes : mapping of str to str or int
        Of the file.
    offset : int
        Bytes to leave free at the beginning, HDF5's user block: a power of 2, 512 or more.
    """
    file_bytes = io.BytesIO()
    with h5py.File(file_bytes, "w", userblock_size=offset) as file:
        file.attrs.update(attributes)
        for name, (array, described) in datasets.items():
            dataset = file.create_dataset(
                name,
                data=array,
                chunks=_chunk(array),
                compression="gzip",
                track_times=False,
            )
            dataset.attrs.update(described)
    return file_bytes.getbuffer()


def read_into(stream: BinaryIO, arrays: Mapping[str, np.ndarray]) -> None:
    """Read the data sets of a file into arrays, which give their shapes and types.

    Parameters
    ----------
    stream : binary file
        A regular file, open for reading. It is read through this object, so it is not locked.
    arrays : mapping of str to ndarray
        Arrays by the names of the data sets; the file may not contain others.

    Raises
    ------
    ShardError
        If the file does not have the layout of `pack`.
    OSError
        If the disk cannot read it.
    """
    try:
        with h5py.File(stream, "r") as file:
            if set(file) != set(arrays):
                raise ShardError(f"it should hold {sorted(arrays)} and nothing else")
            for name, array in arrays.items():
                _check(file, name, array)
                file[name].read_direct(array)
    except (OSError, RuntimeError, KeyError, TypeError) as error:
        # An error of the disk; the file may be intact.
        if getattr(error, "errno", None) is not None:
            raise
        raise ShardError(f"h5py cannot read it ({error})") from error


def _chunk(array: np.ndarray) -> tuple[int, ...]:
    """Return the shape of the chunks of a data set."""
    rows = CHUNK_BYTES // (math.prod(array.shape[1:]) * array.itemsize)
    return min(len(array), max(1, rows)), *array.shape[1:]


def _check(file: h5py.File, name: str, array: np.ndarray) -> None:
    """Check that this file itself stores a data set with the shape and type of an array."""
    if not isinstance(file.get(name, getlink=True), h5py.HardLink):
        raise ShardError(f"{name} is a link to another place")
    if file.get(name, getclass=True) is not h5py.Dataset:
        raise ShardError(f"{name} is not a data set")
    # The low-level interface only compares the type with ours; a type can be so deep that
    # describing it takes minutes.
    dataset = h5py.h5d.open(file.id, name.encode())
    properties = dataset.get_create_plist()
    # Data outside this file are never chunked: external data are in one piece, virtual data
    # nowhere.
    if properties.get_layout() != h5py.h5d.CHUNKED or properties.get_chunk() != _chunk(array):
        raise ShardError(f"{name} is not stored in chunks of {_chunk(array)}")
    filters = [properties.get_filter(i)[0] for i in range(properties.get_nfilters())]
    if filters != [h5py.h5z.FILTER_DEFLATE]:
        raise ShardError(f"{name} should be packed only with gzip; its filters are {filters}")
    is_type = dataset.get_type().equal(h5py.h5t.py_create(array.dtype))
    if not is_type or dataset.shape != array.shape:
        raise ShardError(f"{name} should be {array.dtype} of shape {array.shape}, but is not")
    _check_chunks(dataset, name, array, file.id.get_filesize())


def _check_chunks(dataset: h5py.h5d.DatasetID, name: str, array: np.ndarray, most: int) -> None:
    """Check that all chunks exist and have plausible sizes."""
    stored = {}
    dataset.chunk_iter(lambda chunk: stored.update({chunk.chunk_offset: chunk.size}))
    rows, *rest = _chunk(array)
    starts = {(start, *[0] * len(rest)) for start in range(0, len(array), rows)}
    # Chunks could overlap, so that one serves for many.
    if stored.keys() != starts or sum(stored.values()) > most:
        raise ShardError(f"{name} is not stored in the file")
    # gzip enlarges noise, but by no more than this.
    greatest = 1.001 * rows * array[0].nbytes + 13
    if max(stored.values()) > greatest:
        raise ShardError(f"{name} has chunks of more than {greatest:.0f} bytes")
