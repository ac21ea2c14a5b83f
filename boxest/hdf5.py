"""HDF5 files of one simple layout, read without the HDF5 library.

h5py writes them, and any HDF5 tool reads them. But the library goes wherever a file sends it: into
other files, through links; to shared libraries, for filters; and where it was spoiled on purpose,
into crashes and endless loops. So files that may come from a stranger are read here, in Python:
whole numbers, texts, and arrays in gzip, laid out as `write` does, and nothing else.
"""

import io
import math
import os
import struct
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from boxest import hdf5_headers as headers
from boxest.hdf5_headers import Blocks, Cursor, FormatError

Attributes = Mapping[str, str | int]

# What is unpacked at a time. A longer index of chunks would have pages.
CHUNK_BYTES = 2**20
MAX_CHUNKS = 2**10
# No more can be packed into a byte by gzip.
_GREATEST_RATIO = 1032
# Filters, version 2: one, of number 1.
_GZIP = bytes([2, 1, 1, 0])


class Chunk(NamedTuple):
    """Where some rows of a dataset are in the file; ``plain`` is not 0 where gzip was of no use."""

    address: int
    size: int
    plain: int


def write(
    path: str | os.PathLike,
    datasets: Mapping[str, tuple[np.ndarray, Attributes]],
    attributes: Attributes,
) -> None:
    """Write a file; the same content gives the same bytes.

    It is put together in memory. So a full disk is a plain `OSError`, and the library locks no
    file, which network file systems do not always allow.

    Parameters
    ----------
    path : path-like
        The file.
    datasets : mapping of str to (ndarray, attributes)
        Arrays of uint8 or float64 with at least one row.
    attributes : mapping of str to str or int
        Of the file. Numbers are 0..2**64-1.
    """
    import h5py

    creation = h5py.h5p.create(h5py.h5p.FILE_CREATE)
    creation.set_obj_track_times(False)
    creation.set_attr_phase_change(2**10, 0)  # In the header, however many.
    access = h5py.h5p.create(h5py.h5p.FILE_ACCESS)
    access.set_libver_bounds(h5py.h5f.LIBVER_V110, h5py.h5f.LIBVER_V110)
    image = io.BytesIO()
    access.set_fileobj_driver(h5py.h5fd.fileobj_driver, image)
    made = h5py.h5f.create(b"in memory", h5py.h5f.ACC_TRUNC, creation, access)
    with h5py.File(made) as file:
        _set_attributes(file, attributes)
        for name, (array, described) in datasets.items():
            dataset = file.create_dataset(
                name,
                data=array,
                chunks=(_rows(array.shape, array.itemsize), *array.shape[1:]),
                compression="gzip",
                track_times=False,
            )
            _set_attributes(dataset, described)
    Path(path).write_bytes(image.getbuffer())


class Reader:
    """A file that `write` made, open for reading.

    Parameters
    ----------
    stream : binary file
        A regular file, at its beginning.

    Attributes
    ----------
    attributes : dict of str to str or int
        Attributes of the file.
    names : set of str
        Names of its datasets.

    Raises
    ------
    FormatError
        If the file is damaged, or not laid out as `write` does.
    """

    def __init__(self, stream: BinaryIO):
        self._file = Blocks(stream)
        root = self._file.header("its root", self._file.root, headers.OF_GROUPS)
        self.attributes = headers.attributes(root)
        self._addresses = headers.links(root)
        self.names = set(self._addresses)

    def attributes_of(self, name: str) -> dict[str, str | int]:
        """Return the attributes of a dataset."""
        return headers.attributes(self._header(name))

    def chunks(self, name: str, shape: tuple[int, ...], dtype: np.dtype) -> list[Chunk]:
        """Find the chunks of a dataset, which must have this shape and type.

        Raises
        ------
        FormatError
            If it is another dataset, or the file could not hold that many numbers.
        """
        header, rank = self._header(name), len(shape)
        space = struct.pack(f"<4B{2 * rank}Q", 2, rank, 1, 1, *shape, *shape)
        kind = headers.unversioned(headers.only(header, headers.TYPE))
        if headers.only(header, headers.SPACE) != space or kind != headers.TYPES[dtype]:
            raise FormatError(f"{name} should be {dtype} of shape {shape}, and is not")
        if headers.only(header, headers.FILTERS)[:4] != _GZIP:
            raise FormatError(f"{name} should be packed with gzip, and is not")
        rows = _rows(shape, dtype.itemsize)
        sizes = [rows, *shape[1:], dtype.itemsize]
        layout = Cursor(headers.only(header, headers.LAYOUT))
        chunks = self._index(layout, sizes, math.ceil(shape[0] / rows))
        stored = sum(chunk.size for chunk in chunks)
        if not math.prod(shape) * dtype.itemsize / _GREATEST_RATIO <= stored <= self._file.size:
            raise FormatError(f"{name} is not stored in the file, in chunks of {sizes}")
        return chunks

    def read_into(self, name: str, array: np.ndarray) -> None:
        """Read a dataset into an array, which has its shape and type; errors are of `chunks`."""
        chunks = self.chunks(name, array.shape, array.dtype)
        rows = _rows(array.shape, array.itemsize)
        for start, chunk in zip(range(0, len(array), rows), chunks, strict=True):
            content = np.frombuffer(self._unpack(chunk, rows * array[0].nbytes), array.dtype)
            part = array[start : start + rows]
            part[...] = content.reshape(rows, *array.shape[1:])[: len(part)]

    def _header(self, name: str) -> headers.Messages:
        return self._file.header(name, self._addresses[name], headers.OF_DATASETS)

    def _index(self, layout: Cursor, sizes: list[int], n_chunks: int) -> list[Chunk]:
        """Return the chunks of a layout, version 4 (IV.A.2.i); none of any other."""
        if layout.left < 5 or layout.take(2) != bytes([4, 2]):
            return []
        flags, rank, width = (layout.integer(1) for _ in range(3))
        if [layout.integer(width) for _ in range(rank)] != sizes:
            return []
        match layout.integer(1), flags:
            case 1, 2 if n_chunks == 1:
                size, plain, address = layout.integer(8), layout.integer(4), layout.integer(8)
                return [Chunk(address, size, plain)]
            case 3, 0 if layout.integer(1) >= 10:
                return self._fixed_array(layout.integer(8), n_chunks)
        return []

    def _fixed_array(self, address: int, n_chunks: int) -> list[Chunk]:
        """Return the chunks of an index of one page (VII.C); none of any other."""
        header = Cursor(self._file.read(address, 24))
        signature, entry_size, _ = header.take(6), header.integer(1), header.integer(1)
        if signature != b"FAHD\x00\x01" or header.integer(8) != n_chunks or entry_size < 13:
            return []
        index = Cursor(self._file.read(header.integer(8), 14 + n_chunks * entry_size))
        if index.take(14)[:6] != b"FADB\x00\x01":
            return []
        widths = (8, entry_size - 12, 4)
        return [Chunk(*(index.integer(width) for width in widths)) for _ in range(n_chunks)]

    def _unpack(self, chunk: Chunk, size: int) -> bytes:
        """Return the content of a chunk, ``size`` bytes; no more is unpacked."""
        content, complete = self._file.read(chunk.address, chunk.size), True
        if not chunk.plain:
            gzip = zlib.decompressobj()
            try:
                content, complete = gzip.decompress(content, size + 1), gzip.eof
            except zlib.error as error:
                raise FormatError(f"it is damaged: a chunk cannot be unpacked ({error})") from error
        if len(content) != size or not complete:
            raise FormatError(f"it is damaged: a chunk should have {size} bytes, and has not")
        return content


def _rows(shape: tuple[int, ...], itemsize: int) -> int:
    """Return the number of rows of a chunk."""
    rows = CHUNK_BYTES // (math.prod(shape[1:]) * itemsize)
    return min(shape[0], max(1, rows, math.ceil(shape[0] / MAX_CHUNKS)))


def _set_attributes(item: Any, values: Attributes) -> None:
    for name, value in values.items():
        is_text = isinstance(value, str)
        item.attrs[name] = np.bytes_(value.encode()) if is_text else np.uint64(value)
