"""Images and boxes in one file of arrays, ``.npz`` or ``.h5``, with any names."""

import contextlib
import functools
import hashlib
import os
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from boxest.boxes import CORNERS
from boxest.data import annotations
from boxest.data.annotations.fields import COORDINATES, MEANING, are_fractions, edges
from boxest.data.inputs import Images
from boxest.data.pixels import Reader
from boxest.system.files import regular

_WHITES = {"bool": 1, "uint8": 255}
# Number of images to check at a time.
_BLOCK = 256


class Arrays:
    """A file of images and boxes.

    Parameters
    ----------
    file : path-like
        ``.npz`` (of plain arrays, not pickled objects) or HDF5.
    images, boxes : str, optional
        Names of the two arrays; by default the only ones of their shapes: (n, height, width) or (n,
        height, width, channels), with 1 or 3 channels, and (n, 4).
    coordinates : {"auto", "edges", "pixels-from-1", "pixels-from-0", "fractions"}, default="auto"
        Meaning of the boxes; see `boxest.annotations.read`. "auto" means fractions of width and
        height, as for `BoxRegressor`, if all lie within 0..1; otherwise edges in pixels.
    split : str, optional
        Name of an array of n texts: "train", "validation" or "test".

    Raises
    ------
    ValueError
        The message names file, array, shape, and what was expected.
    OSError
        If the file cannot be opened.
    """

    def __init__(
        self,
        file: str | os.PathLike,
        images: str | None = None,
        boxes: str | None = None,
        *,
        coordinates: str = "auto",
        split: str | None = None,
    ):
        if coordinates not in COORDINATES:
            raise ValueError(
                f"coordinates must be one of {', '.join(COORDINATES)}; got {coordinates!r}."
            )
        self.file, self.coordinates = Path(file), coordinates
        self._arrays = _open(self.file)
        self._images = self._arrays[self._named("images", images, (3, 4))]
        self._boxes = np.asarray(self._arrays[self._named("boxes", boxes, (2,))])
        self._check_shapes()
        self._parts = None if split is None else self._part_names(split)

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Height, width and channels of an image."""
        return (*self._images.shape[1:], 1)[:3]

    def table(self) -> pd.DataFrame:
        """Return the boxes in pixels: one row per image, whose name is its index.

        Raises
        ------
        ValueError
            If a box is empty, flipped or outside of its image, or the images hold invalid levels.
        """
        _ = self._white  # This also checks the levels.
        height, width, _ = self.image_shape
        boxes = self._boxes.astype(np.float64)
        kind = self.coordinates
        if kind == "auto":
            kind = "fractions" if are_fractions((boxes.min(), boxes.max())) else "edges"
        scale = (width, height) * 2 if kind == "fractions" else (1, 1, 1, 1)
        rows = []
        for number, box in enumerate(boxes.tolist()):
            place = str(self.file), f"image {number}"
            corners = edges(*place, dict(zip(CORNERS, box, strict=True)), kind)
            corners = tuple(c * s for c, s in zip(corners, scale, strict=True))
            rows.append(annotations.inside(*place, corners, (width, height)))
        table = pd.DataFrame(rows, columns=CORNERS)
        table.attrs["read_as"] = MEANING[kind]
        names = pd.Series(range(len(rows))).astype(str)
        extra = {} if self._parts is None else {"split": self._parts}
        return table.assign(image=names, width=width, height=height, label=pd.NA, **extra)

    def read(self, name: str, channels: int, size: tuple[int, int]) -> np.ndarray:
        """Return an image with this (width, height) as grey levels or colours, uint8."""
        levels = np.asarray(self._images[int(name)])
        # If the type alone says which level is white, the other images need not be read.
        white = _WHITES.get(levels.dtype.name) or self._white
        if white != 255:
            levels = np.rint(levels.astype(np.float64) * (255 / white)).clip(0, 255)
        levels = levels.astype(np.uint8)
        image = Image.fromarray(levels[..., 0] if levels.shape[2:] == (1,) else levels)
        image = image.convert("L" if channels == 1 else "RGB")
        if image.size != size:
            image = image.resize(size, Image.Resampling.BILINEAR)
        return np.asarray(image)

    def digests(self) -> list[bytes]:
        """Return a digest of each image."""
        return [hashlib.sha256(np.ascontiguousarray(i)).digest() for b in self._blocks() for i in b]

    def _named(self, what: str, name: str | None, axes: tuple[int, ...]) -> str:
        """Return the name of the array that holds the images or boxes."""
        shapes = {key: tuple(array.shape) for key, array in self._arrays.items()}
        told = ", ".join(f"{key} {shape}" for key, shape in shapes.items()) or "nothing"
        if name is not None:
            if name not in shapes:
                raise ValueError(f"{self.file} has no array {name!r} ({what}); it has {told}.")
            return name
        found = [
            key
            for key, shape in shapes.items()
            if len(shape) in axes and (what == "images" or shape[1] == 4)
        ]
        if len(found) != 1:
            shape = "(n, height, width) or (n, height, width, channels)"
            raise ValueError(
                f"{self.file} must have exactly one array of {what}, of shape "
                f"{shape if what == 'images' else '(n, 4)'}, or you must name it ({what}:); it has "
                f"{told}."
            )
        return found[0]

    def _check_shapes(self) -> None:
        """Refuse images and boxes that do not belong together, or have wrong shapes."""
        shape, boxes = tuple(self._images.shape), self._boxes.shape
        if len(shape) not in (3, 4) or 0 in shape or (len(shape) == 4 and shape[3] not in (1, 3)):
            first = len(shape) == 4 and shape[1] in (1, 3)
            raise ValueError(
                f"{self.file}: the images must have the shape (n, height, width) or (n, height, "
                f"width, channels) with 1 or 3 channels; got {shape}."
                + (" Channels come last: np.moveaxis(images, 1, -1)." if first else "")
            )
        if len(boxes) != 2 or boxes[1] != 4 or self._boxes.dtype.kind not in "iuf":
            raise ValueError(
                f"{self.file}: the boxes must be numbers of shape (n, 4), x1, y1, x2, y2; got "
                f"{self._boxes.dtype} of shape {boxes}."
            )
        if len(self._boxes) != shape[0]:
            raise ValueError(
                f"{self.file}: {shape[0]} images and {len(self._boxes)} boxes do not fit; each "
                "image needs one box."
            )
        if not np.isfinite(self._boxes).all():
            row = int(np.argmin(np.isfinite(self._boxes).all(axis=1)))
            raise ValueError(f"{self.file}: the box of image {row} is {self._boxes[row]}.")

    def _part_names(self, split: str) -> list[str]:
        """Return the texts that name the part of each image."""
        if split not in self._arrays:
            raise ValueError(f"{self.file} has no array {split!r} with the parts.")
        parts = np.asarray(self._arrays[split])
        if parts.shape != (len(self._boxes),):
            raise ValueError(
                f"{self.file}: {split} must have a text for each of {len(self._boxes)} images; got "
                f"the shape {parts.shape}."
            )
        return [part.decode() if isinstance(part, bytes) else str(part) for part in parts.tolist()]

    @functools.cached_property
    def _white(self) -> int:
        """The white level, by the rule of `boxest.data.pixels` for all levels that occur."""
        reader = Reader(Images(self._images))
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                for _ in reader.blocks():
                    pass
            except (TypeError, ValueError) as error:
                raise ValueError(f"{self.file}, the images as X: {error}") from None
        if reader.pixels.white is None:
            raise ValueError(
                f"{self.file}: the images have {reader.pixels}, in which no number is white. "
                "Shards hold levels of 8 bits: save fractions 0..1, or levels of 8, 12 or 16 bits."
            )
        for warning in caught:
            warnings.warn(f"{self.file}, the images as X: {warning.message}", stacklevel=3)
        return reader.pixels.white

    def _blocks(self) -> Iterator[np.ndarray]:
        for start in range(0, len(self._images), _BLOCK):
            yield np.asarray(self._images[start : start + _BLOCK])


def _open(file: Path) -> dict[str, Any]:
    """Return the arrays in a file by name; HDF5 arrays are read when they are sliced."""
    with open(file, "rb", opener=regular) as stream, _named_damage(file):
        begin = stream.read(8)
        if begin == b"\x89HDF\r\n\x1a\n":
            import h5py

            found = {}
            h5py.File(file, "r", locking=False).visititems(
                lambda name, item: (
                    found.update({name: item}) if isinstance(item, h5py.Dataset) else None
                )
            )
            return found
        if begin[:2] == b"PK":
            stream.seek(0)
            with np.load(stream, allow_pickle=False) as arrays:
                return {name: arrays[name] for name in arrays.files}
    raise ValueError(f"{file} is neither an .npz nor an HDF5 file: save it as one of them.")


@contextlib.contextmanager
def _named_damage(file: Path) -> Iterator[None]:
    """Make any error of a library that reads a damaged file name the file."""
    try:
        yield
    except MemoryError:
        raise
    except Exception as error:  # zipfile and zlib have errors of their own.
        raise ValueError(
            f"{file} cannot be read ({error}): it is damaged, or does not hold plain arrays. Save "
            "it again with numpy.savez or h5py."
        ) from error
