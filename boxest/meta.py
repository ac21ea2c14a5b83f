"""What a shard says about itself, and whether that fits what others say."""

import dataclasses
import operator
import os
from collections.abc import Mapping, Sequence

from boxest.plan import MAX_SHARD_BYTES
from boxest.scene import CLEAN, Scene
from boxest.synthetic import BoxLaw

Path = str | os.PathLike

# A larger claim is taken for damage before memory is allocated.
MAX_BYTES = MAX_SHARD_BYTES


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
    scene : Scene
        What the images show beside the box.

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
    scene: Scene = CLEAN

    def __post_init__(self):
        for name in ("start", "stop", "seed", "image_size"):
            object.__setattr__(self, name, operator.index(getattr(self, name)))
        if not isinstance(self.split, str) or not self.split.isprintable():
            raise TypeError(f"split must be a str such as 'train'; got {self.split!r}.")
        object.__setattr__(self, "law", self.law.for_size(self.image_size))
        self.scene.for_size(self.image_size)
        if not 0 <= self.start < self.stop:
            raise ValueError(f"A shard needs 0 <= start < stop; got {self.start} and {self.stop}.")
        if not 0 <= self.seed < 2**64:
            raise ValueError(f"A seed is in 0..2**64-1; got {self.seed}.")
        if self.n_images * max(self.image_size**2, 32) > MAX_BYTES:
            raise ValueError(
                f"{self.n_images} images of {self.image_size} pixels squared are more than "
                f"{MAX_BYTES} bytes: make more and smaller shards."
            )

    @property
    def n_images(self) -> int:
        """Number of images."""
        return self.stop - self.start

    def attributes(self) -> dict[str, str | int]:
        """Return the fields as they stand in the file, which leaves out the scene of the paper."""
        fields = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        law = fields["law"]
        fields |= {"law": law.name, "min_side": law.min_side, "max_side": law.max_side}
        return fields | {"scene": self.scene.text()}

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Return the shapes of the datasets."""
        size = self.image_size
        return {"images": (self.n_images, size, size), "boxes": (self.n_images, 4)}


def check_neighbours(path: Path, meta: Meta, next_path: Path, next_meta: Meta) -> None:
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


def check_expected(shards: Sequence[tuple[Path, Meta]], expected: Mapping[str, str | int]) -> None:
    """Check that shards, in order, are those of a study.

    Parameters
    ----------
    shards : sequence of (path, Meta)
        Neighbours, so that what one of them says holds for all.
    expected : mapping
        See `boxest.shards.load`.

    Raises
    ------
    ShardError
        Naming the file, what it says, and what is expected.
    """
    (first_path, first), (last_path, last) = shards[0], shards[-1]
    if expected:
        expected = {"scene": CLEAN.text()} | dict(expected)
    for name, value in expected.items():
        path, meta = (last_path, last) if name == "stop" else (first_path, first)
        if meta.attributes()[name] != value:
            raise ShardError(
                f"{path}: this is a shard of another study: its {name} is "
                f"{meta.attributes()[name]}, expected {value}. Delete the file and run snakemake "
                "again."
            )
