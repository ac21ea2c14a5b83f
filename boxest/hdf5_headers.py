"""Headers of HDF5 files: what `boxest.hdf5` reads before any number of a dataset.

Names and numbers are those of the HDF5 File Format Specification, version 3.0.
"""

import os
from typing import BinaryIO

import numpy as np

Messages = dict[int, list[bytes]]

SPACE, LINK_INFO, TYPE, FILL, LINK, LAYOUT, GROUP_INFO = 0x1, 0x2, 0x3, 0x5, 0x6, 0x8, 0xA
NIL, FILTERS, ATTRIBUTE, CONTINUATION, ATTRIBUTE_INFO = 0x0, 0xB, 0xC, 0x10, 0x15
OF_GROUPS = {NIL, LINK_INFO, LINK, GROUP_INFO, ATTRIBUTE, ATTRIBUTE_INFO}
OF_DATASETS = {NIL, SPACE, TYPE, FILL, LAYOUT, FILTERS, ATTRIBUTE, ATTRIBUTE_INFO}

# Types without the version, which is the upper half of the first byte.
TYPES = {
    np.dtype(np.uint8): bytes.fromhex("00000000 01000000 00000800"),
    np.dtype("<u8"): bytes.fromhex("00000000 08000000 00004000"),
    np.dtype("<f8"): bytes.fromhex("01203f00 08000000 00004000 340b0034 ff030000"),
}
_TEXT = bytes([3, 1, 0, 0])
_SCALAR = bytes([2, 0, 0, 0])
_SIGNATURE = b"\x89HDF\r\n\x1a\n"
# Version 3, addresses and lengths of 8 bytes, closed properly, no user block, no extension.
_SUPERBLOCK = bytes([3, 8, 8, 0]) + bytes(8) + b"\xff" * 8
# No header is longer.
_HEADER_BYTES = 2**16
_HEADER_BLOCKS = 8


class FormatError(ValueError):
    """A file that is damaged, or not laid out as `boxest.hdf5.write` does."""


class Cursor:
    """Takes bytes and numbers out of a block, one after the other, and none from behind its end."""

    def __init__(self, block: bytes):
        self._block, self._at = block, 0

    @property
    def left(self) -> int:
        """Number of bytes that are not taken yet."""
        return len(self._block) - self._at

    def take(self, size: int) -> bytes:
        """Take bytes."""
        if size > self.left:
            raise FormatError("it is damaged: a part of it ends too early")
        self._at += size
        return self._block[self._at - size : self._at]

    def integer(self, size: int) -> int:
        """Take a number of some bytes."""
        return int.from_bytes(self.take(size), "little")

    def text(self, size: int) -> str:
        """Take a text that is filled up with zeros."""
        try:
            return self.take(size).rstrip(b"\0").decode()
        except UnicodeDecodeError as error:
            raise FormatError(f"it is damaged: a text is not UTF-8 ({error})") from error


class Blocks:
    """An open file, of which blocks of bytes and object headers are read.

    Parameters
    ----------
    stream : binary file
        A regular file, at its beginning.

    Attributes
    ----------
    size : int
        Number of bytes.
    root : int
        Address of the root group.

    Raises
    ------
    FormatError
        If the superblock (II.B) is not that of a whole file.
    """

    def __init__(self, stream: BinaryIO):
        self._stream = stream
        self.size = os.fstat(stream.fileno()).st_size
        start = Cursor(stream.read(48))
        if start.left < 48 or start.take(8) != _SIGNATURE:
            raise FormatError("it is not an HDF5 file, or damaged in its beginning")
        if start.take(20) != _SUPERBLOCK:
            raise FormatError("it is an HDF5 file that boxest has not written, or damaged")
        end, self.root = start.integer(8), start.integer(8)
        if end != self.size:
            raise FormatError(f"it is damaged: it has {self.size} bytes and should have {end}")

    def read(self, address: int, size: int) -> bytes:
        """Return some bytes of the file."""
        if address + size > self.size:
            raise FormatError("it is damaged: it points behind its own end")
        self._stream.seek(address)
        return self._stream.read(size)

    def header(self, name: str, address: int, allowed: set[int]) -> Messages:
        """Return the messages of an object header, version 2, by type (IV.A.1.b)."""
        start = Cursor(self.read(address, min(_HEADER_BYTES, max(0, self.size - address))))
        version, flags = start.take(5), start.integer(1)
        if version != b"OHDR\x02" or flags & ~0b10011:
            raise FormatError(f"{name} is of a kind that boxest does not write, or damaged")
        start.take(4 if flags & 0b10000 else 0)
        blocks = [Cursor(start.take(start.integer(1 << (flags & 3))))]
        messages: Messages = {}
        for block in blocks:
            while block.left >= 4:
                kind, size, shared = block.integer(1), block.integer(2), block.integer(1) & 2
                message = block.take(size)
                if kind == CONTINUATION and len(blocks) < _HEADER_BLOCKS:
                    blocks.append(self._continuation(Cursor(message)))
                elif kind not in allowed or shared:
                    raise FormatError(f"{name} is not stored as boxest does (message {kind:#x})")
                else:
                    messages.setdefault(kind, []).append(message)
        return messages

    def _continuation(self, message: Cursor) -> Cursor:
        """Return the messages of an object header that lie somewhere else."""
        address, size = message.integer(8), message.integer(8)
        block = Cursor(self.read(address, min(size, _HEADER_BYTES)))
        if block.take(4) != b"OCHK" or block.left < 4:
            raise FormatError("it is damaged: an object header does not go on where it says")
        return Cursor(block.take(block.left - 4))  # Without the checksum.


def only(messages: Messages, kind: int) -> bytes:
    """Return the one message of a type; nothing if there is none, or several."""
    found = messages.get(kind, [])
    return found[0] if len(found) == 1 else b""


def unversioned(datatype: bytes) -> bytes:
    """Return a datatype as it is in `TYPES`."""
    return bytes([datatype[0] & 15]) + datatype[1:] if datatype else b""


def attributes(messages: Messages) -> dict[str, str | int]:
    """Return the attributes of an object: whole numbers and texts."""
    return dict(map(_attribute, messages.get(ATTRIBUTE, [])))


def links(messages: Messages) -> dict[str, int]:
    """Return the addresses that the links of a group lead to."""
    return dict(map(_hard_link, messages.get(LINK, [])))


def _attribute(message: bytes) -> tuple[str, str | int]:
    """Return name and value of an attribute, version 3 (IV.A.2.m)."""
    cursor = Cursor(message)
    version, *sizes, _ = (cursor.integer(size) for size in (2, 2, 2, 2, 1))
    name, (kind, space) = cursor.text(sizes[0]), map(cursor.take, sizes[1:])
    kind = unversioned(kind)
    if version == 3 and space == _SCALAR and kind == TYPES[np.dtype("<u8")]:
        return name, cursor.integer(8)
    if version == 3 and space == _SCALAR and kind[:4] == _TEXT:
        return name, cursor.text(cursor.left)
    raise FormatError(
        f"its attribute {name!r} is neither a whole number of 8 bytes nor a text of fixed length"
    )


def _hard_link(message: bytes) -> tuple[str, int]:
    """Return name and address of a link of version 1 without options (IV.A.2.g)."""
    cursor = Cursor(message)
    if cursor.take(2) != bytes([1, 0]):
        raise FormatError("it has a link to somewhere else, or of another kind")
    return cursor.text(cursor.integer(1)), cursor.integer(8)
