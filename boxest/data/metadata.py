"""The description in the header of a shard, and checks that shards belong together."""

import dataclasses
import math
import operator
import os
import re
from collections.abc import Mapping, Sequence
from typing import Self

from boxest.data.scene import CLEAN, Scene
from boxest.data.splits import MAX_SHARD_BYTES
from boxest.data.synthetic import BoxLaw
from boxest.system.files import FileError

Path = str | os.PathLike

# It must fit into the header of a shard, which has a fixed size.
_LONGEST_NAME = 100


class ShardError(FileError):
    """A file that is not a shard, is damaged, or does not fit the others."""


# How pictures with another aspect ratio are fitted into their images.
MODES = ("stretch", "pad")


@dataclasses.dataclass(frozen=True)
class Part:
    """The description of every shard: which examples of which data set it holds.

    Parameters
    ----------
    split : str
        Part of the data set: "train", "validation" or "test".
    start, stop : int
        Its indices are start..stop-1.
    seed : int
        Seed of the data set.
    """

    split: str
    start: int
    stop: int
    seed: int

    def __post_init__(self):
        for field in dataclasses.fields(self):
            if field.type is int:
                object.__setattr__(self, field.name, operator.index(getattr(self, field.name)))
        if not isinstance(self.split, str) or not self.split.isprintable():
            raise TypeError(f"split must be a str such as 'train'; got {self.split!r}.")
        if len(self.split) > _LONGEST_NAME:
            raise ValueError(f"split may have at most {_LONGEST_NAME} letters; got {self.split!r}.")
        if not 0 <= self.start < self.stop:
            raise ValueError(f"A shard needs 0 <= start < stop; got {self.start} and {self.stop}.")
        if not 0 <= self.seed < 2**64:
            raise ValueError(f"A seed must be in 0..2**64-1; got {self.seed}.")
        shape = self.shapes()["images"]
        if self.n_images * max(math.prod(shape[1:]), 32) > MAX_SHARD_BYTES:
            raise ValueError(
                f"{self.n_images} images of {'×'.join(map(str, shape[1:]))} pixels take more than "
                f"{MAX_SHARD_BYTES} bytes: make more and smaller shards."
            )

    @property
    def n_images(self) -> int:
        """Number of images."""
        return self.stop - self.start

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Height, width and channels of an image."""
        return (*self.shapes()["images"][1:], 1)[:3]

    def attributes(self) -> dict[str, str | int]:
        """Return the fields as they stand in the file."""
        return {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Return the shapes of the datasets."""
        raise NotImplementedError


@dataclasses.dataclass(frozen=True)
class Meta(Part):
    """The description of a shard of drawn boxes.

    Parameters
    ----------
    split, start, stop, seed
        See `Part`.
    image_size : int
        Side of the images in pixels.
    law : BoxLaw
        Distribution of the boxes.
    scene : Scene
        What the images show in addition to the box.

    Raises
    ------
    ValueError
        If the range of indices is empty, or the shard would be larger than `MAX_SHARD_BYTES`.
    """

    image_size: int
    law: BoxLaw
    scene: Scene = CLEAN

    def __post_init__(self):
        object.__setattr__(self, "law", self.law.for_size(operator.index(self.image_size)))
        self.scene.for_size(operator.index(self.image_size))
        super().__post_init__()

    def attributes(self) -> dict[str, str | int]:
        """Return the fields as stored in the file, which omits the scene of the paper."""
        fields = super().attributes()
        law = fields.pop("law")
        fields |= {"law": law.name, "min_side": law.min_side, "max_side": law.max_side}
        return fields | {"scene": self.scene.text()}

    @classmethod
    def of(cls, attributes: Mapping[str, str | int]) -> Self:
        """Return the description in these attributes; others are ignored."""
        law = BoxLaw(*(attributes[name] for name in ("law", "min_side", "max_side")))
        names = ("split", "start", "stop", "seed", "image_size")
        scene = Scene.parse(attributes.get("scene", CLEAN.text()))
        return cls(*(attributes[name] for name in names), law=law, scene=scene)

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Return the shapes of the datasets."""
        size = self.image_size
        return {"images": (self.n_images, size, size), "boxes": (self.n_images, 4)}


@dataclasses.dataclass(frozen=True)
class PhotoMeta(Part):
    """The description of a shard of photographs.

    The law of their boxes is unknown.

    Parameters
    ----------
    split, start, stop, seed
        See `Part`; the seed shuffled the photographs.
    height, width : int
        Of each image, in pixels.
    channels : {1, 3}
        1: grey levels; 3: red, green and blue.
    mode : {"stretch", "pad"}
        How pictures with another aspect ratio were fitted: stretched, or centred on black.
    originals : str
        SHA-256 of the table of the originals (see `boxest.photographs`), so that shards of two
        conversions can be distinguished.

    Raises
    ------
    ValueError
        If the range of indices is empty, a side is not positive, channels is invalid, or the shard
        would be larger than `MAX_SHARD_BYTES`.
    """

    height: int
    width: int
    channels: int
    mode: str
    originals: str

    def __post_init__(self):
        if self.mode not in MODES:
            raise ValueError(f"mode must be one of {', '.join(MODES)}; got {self.mode!r}.")
        if self.channels not in (1, 3):
            raise ValueError(f"channels must be 1 (grey) or 3 (colour); got {self.channels!r}.")
        if operator.index(self.height) < 1 or operator.index(self.width) < 1:
            raise ValueError(f"An image needs at least one pixel; got {self.height}×{self.width}.")
        if not isinstance(self.originals, str) or not re.fullmatch("[0-9a-f]{64}", self.originals):
            raise ValueError(f"originals must be a SHA-256 in hexadecimal; got {self.originals!r}.")
        super().__post_init__()

    @classmethod
    def of(cls, attributes: Mapping[str, str | int]) -> Self:
        """Return the description in these attributes; others are ignored."""
        return cls(*(attributes[field.name] for field in dataclasses.fields(cls)))

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Return the shapes of the data sets; grey images have no axis for channels."""
        shape = (self.height, self.width) if self.channels == 1 else (self.height, self.width, 3)
        return {"images": (self.n_images, *shape), "boxes": (self.n_images, 4)}


def check_neighbours(path: Path, meta: Part, next_path: Path, next_meta: Part) -> None:
    """Check that the second shard continues where the first ends, in the same data set."""
    if type(meta) is not type(next_meta):
        raise ShardError(
            f"{path} and {next_path} do not belong together: one holds photographs, the other "
            "drawn boxes."
        )
    for name, value in meta.attributes().items():
        other = next_meta.attributes()[name]
        if name not in ("start", "stop") and value != other:
            raise ShardError(
                f"{path} and {next_path} do not belong together: {name} is {value} in one and "
                f"{other} in the other."
            )
    if meta.stop != next_meta.start:
        raise ShardError(
            f"{path} holds the indices {meta.start}..{meta.stop - 1} and {next_path} "
            f"{next_meta.start}..{next_meta.stop - 1}: "
            + ("there is a gap between them." if meta.stop < next_meta.start else "they overlap.")
        )


def check_expected(shards: Sequence[tuple[Path, Part]], expected: Mapping[str, str | int]) -> None:
    """Check that ordered shards are those of a study.

    Parameters
    ----------
    shards : sequence of (path, Part)
        Consecutive shards of one data set, so one description holds for all.
    expected : mapping
        See `boxest.shards.load`.

    Raises
    ------
    ShardError
        The message names the file, its value and the expected one.
    """
    (first_path, first), (last_path, last) = shards[0], shards[-1]
    if expected:
        expected = dict(expected) | {"scene": expected.get("scene", CLEAN.text())}
    for name, value in expected.items():
        path, meta = (last_path, last) if name == "stop" else (first_path, first)
        found = meta.attributes().get(name, "not told (a shard of photographs does not)")
        if found != value:
            raise ShardError(
                f"{path} is a shard of another study: its {name} is {found}, expected {value}.",
                path,
            )
