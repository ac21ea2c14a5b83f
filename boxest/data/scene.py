"""Options that make an image harder than the paper's white box on black, in plain Python.

The Snakefile checks them, and the environment that runs Snakemake need not have numpy;
`boxest.data.drawing` draws the images.
"""

import dataclasses
import json
from collections.abc import Mapping
from typing import Any

from boxest.system.scalars import integer, real

# Largest values of the options that are numbers from 0.
_GREATEST = {
    "noise": 1.0,
    "contrast": 1.0,
    "blur": 32.0,
    "texture": 1.0,
    "rotation": 44.0,
    "hidden": 0.7,
}
_MOST_SHAPES = 100
# A scene with all options is half as long.
_LONGEST_TEXT = 1000


@dataclasses.dataclass(frozen=True)
class Scene:
    """How images differ from the paper's; by default, one white box on black, as in the paper.

    The boxes of a data set do not depend on the scene, so the same boxes can be compared in several
    scenes. Grey levels are fractions of the full range: 0 is black, 1 is white.

    Parameters
    ----------
    noise : float
        Standard deviation of the Gaussian noise that is added to each pixel, 0..1. The sum is
        clipped, so half of the noise is lost at 0 and at 1.
    object_level, background_level : (float, float)
        Lowest and highest grey level of the box and of the background; each image draws its own
        uniformly. If the ranges allow it, boxes may also be darker than their background.
    contrast : float
        Smallest difference of the two levels, 0..1; it is always at least 1/255.
    blur : float
        Standard deviation of the Gaussian that blurs the edges, in pixels, 0..32.
    texture : float
        Standard deviation of a smooth random texture in the background, 0..1, before clipping.
    texture_scale : float
        Its grain size: the standard deviation of the Gaussian that smooths white noise, in pixels,
        0.5..image size / 8.
    discs : int
        Number of discs with the level of the box, which touch neither the box nor the edge of the
        image. A disc that finds no such place in 16 trials is left out.
    lines : int
        Number of lines with the level of the box, 1 to 2 pixels thick, anywhere, also across the
        box.
    rotation : float
        Largest angle in degrees, 0..44, by which the object is rotated in either direction. The
        drawn rectangle has the box as its bounding box. Its shorter side is at least a quarter of
        the box's, so long boxes are rotated less.
    hidden : float
        Fraction of the area of the box, 0..0.7, that is hidden behind a rectangle of background, of
        any shape and place that leaves an eighth of each side visible. The true box does not
        change.

    Raises
    ------
    ValueError, TypeError
        If a value is out of its range or has the wrong type, or some background level leaves no
        object level with this contrast.

    Examples
    --------
    >>> Scene(noise=0.1, discs=2).text()
    '{"discs": 2, "noise": 0.1}'
    >>> Scene().text()
    '{}'
    """

    noise: float = 0.0
    object_level: tuple[float, float] = (1.0, 1.0)
    background_level: tuple[float, float] = (0.0, 0.0)
    contrast: float = 0.2
    blur: float = 0.0
    texture: float = 0.0
    texture_scale: float = 4.0
    discs: int = 0
    lines: int = 0
    rotation: float = 0.0
    hidden: float = 0.0

    def __post_init__(self):
        checked: dict[str, Any] = {
            name: real(name, getattr(self, name), 0, most) for name, most in _GREATEST.items()
        }
        checked["texture_scale"] = real("texture_scale", self.texture_scale, 0.5, 2**12)
        for name in ("discs", "lines"):
            checked[name] = integer(name, getattr(self, name), 0, _MOST_SHAPES)
        for name in ("object_level", "background_level"):
            checked[name] = _level_range(name, getattr(self, name))
        for name, value in checked.items():
            object.__setattr__(self, name, value)
        for background in _of_255(self.background_level):
            if not self.object_levels(background):
                raise ValueError(
                    f"A background level of {background / 255:.3g} leaves no object_level in "
                    f"{list(self.object_level)} at a contrast of {self.contrast:g}: lower the "
                    "contrast, or widen the ranges of the levels."
                )

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> "Scene":
        """Return the scene for options, such as the section ``data.scene`` of a configuration.

        Raises
        ------
        ValueError, TypeError
            As for a scene, or if there is an unknown option.
        """
        names = [field.name for field in dataclasses.fields(cls)]
        unknown = [name for name in options if name not in names]
        if unknown:
            raise ValueError(f"A scene has no {unknown[0]!r}; its options are {', '.join(names)}.")
        return cls(**options)

    @classmethod
    def parse(cls, text: str) -> "Scene":
        """Return the scene in a text, which may come from a stranger; errors are those of `of`."""
        if not isinstance(text, str) or len(text) > _LONGEST_TEXT:
            raise ValueError("A scene must be a JSON text of at most some hundred characters.")
        try:
            options = json.loads(text)
        except RecursionError as error:
            raise ValueError("A scene must not be deeply nested JSON.") from error
        if not isinstance(options, dict):
            raise TypeError(f"A scene must be a table; got {text!r}.")
        return cls.of(options)

    def options(self) -> dict[str, Any]:
        """Return the options that differ from the paper's image, as plain values sorted by name.

        Missing options will always mean the paper's: shards only record these.
        """
        fields = sorted(dataclasses.fields(self), key=lambda field: field.name)
        values = {field.name: (getattr(self, field.name), field.default) for field in fields}
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name, (value, default) in values.items()
            if value != default
        }

    def text(self) -> str:
        """Return the scene as JSON, equal texts for equal scenes, and ``{}`` for the paper's."""
        return json.dumps(self.options())

    def __str__(self) -> str:
        return ", ".join(f"{name} {value}" for name, value in self.options().items()) or "clean"

    def for_size(self, image_size: int) -> "Scene":
        """Return the scene, checked against the image size in pixels."""
        if self.texture and self.texture_scale > image_size / 8:
            raise ValueError(
                f"texture_scale ({self.texture_scale:g} px) is greater than an eighth of the image "
                f"size ({image_size}), so there would be no texture. Make it smaller."
            )
        return self

    def background_levels(self) -> range:
        """Return the grey levels of the background, in 0..255."""
        return _of_255(self.background_level)

    def object_levels(self, background: int) -> list[int]:
        """Return the grey levels of the object that a background level leaves, in 0..255."""
        least = max(1, round(255 * self.contrast))
        return [n for n in _of_255(self.object_level) if abs(n - background) >= least]


def _level_range(name: str, value: Any) -> tuple[float, float]:
    """Return a range of grey levels, or raise an error."""
    if not isinstance(value, (list, tuple)) or len(value) != 2:
        raise TypeError(
            f"{name} must be two numbers, the lowest and the highest level; got {value!r}."
        )
    low, high = (real(name, number, 0, 1) for number in value)
    if low > high:
        raise ValueError(f"{name} must be the lowest and the highest level; got {list(value)}.")
    return low, high


def _of_255(levels: tuple[float, float]) -> range:
    """Return a range of grey levels as bytes."""
    return range(round(255 * levels[0]), round(255 * levels[1]) + 1)


# The paper's scene: one white box on black, and nothing else.
CLEAN = Scene()
