"""The images of a study, described by the section ``data`` of its configuration."""

from collections.abc import Mapping
from typing import Any

from boxest.data import sources
from boxest.data.scene import CLEAN, Scene
from boxest.data.splits import MAX_SHARD_BYTES, PARTS, shard_ranges, splits
from boxest.study.schema import ConfigurationError

__all__ = ["PARTS", "check", "described", "expected", "merged", "of", "scene", "shard_names"]

# With more shards than this, Snakemake plans for hours.
MAX_SHARDS = 10_000
# Separators of the parts of a value in words; those of other lists are slashes.
_BETWEEN = {"object_level": " to ", "background_level": " to ", "image_size": " × "}


def merged(base: Mapping[str, Any], overrides: Mapping[str, Any]) -> dict[str, Any]:
    """Return `base` with the values of `overrides`; mappings are merged key by key.

    Examples
    --------
    >>> merged({"a": 1, "b": {"c": 2, "d": 3}}, {"b": {"d": 4}, "e": 5})
    {'a': 1, 'b': {'c': 2, 'd': 4}, 'e': 5}
    """
    result = dict(base)
    for name, value in overrides.items():
        if isinstance(value, Mapping) and isinstance(result.get(name), Mapping):
            value = merged(result[name], value)
        result[name] = value
    return result


def of(config: Mapping[str, Any], condition: str | None = None) -> dict[str, Any]:
    """Return the section ``data`` of a study, with the changes of a condition."""
    overrides = config["data"]["conditions"][condition] if condition else {}
    changed = merged(config["data"], overrides) | {"conditions": {}}
    if changed.get("render"):
        folder = rendered(config["results"])
        changed |= {"folder": f"{folder}/images", "boxes": f"{folder}/boxes.csv"}
    return changed


def rendered(results: str) -> str:
    """Return the folder of the photographs that a study renders."""
    return f"{results.rstrip('/')}/rendered"


def shard_names(data: Mapping[str, Any], split: str) -> list[str]:
    """Return the names of the shards of a part of the data set, without suffix."""
    if data["source"] == "synthetic":
        ranges = shard_ranges(data)
        return [name for name in ranges if ranges[name].split == split]
    return sources.shard_names(data)[split]


def words(data: Mapping[str, Any]) -> str:
    """Say which images the section ``data`` of a configuration describes."""
    if data["source"] == "synthetic":
        return f"{data['images']:,} images of {data['image_size']} px"
    if data["source"] == "shards":
        return "images of given shards"
    what = data.get("file") or data.get("folder") or "rendered photographs"
    size = data.get("image_size")
    size = " × ".join(map(str, size)) if isinstance(size, list) else size
    return f"{data['source']} ({what})" + (f", read as {size} px" if size else "")


def scene(data: Mapping[str, Any]) -> Scene:
    """Return the scene of the images in the section ``data`` of a configuration."""
    return Scene.of(data.get("scene") or {})


def expected(data: Mapping[str, Any], split: str) -> dict[str, str | int] | None:
    """Return the expected description of the shards of a part of the data set.

    Returns
    -------
    dict
        For `boxest.shards.load`, by the names of attributes of a shard; None for images that are
        not drawn. The paper's scene is left out, so that settings of finished jobs stay as they
        were before other scenes existed.
    """
    if data["source"] != "synthetic":
        return None  # Their own table records their source.
    part, law = splits(data["images"], data["split"])[split], data["box_law"]
    return {
        "split": split,
        "start": part.start,
        "stop": part.stop,
        "seed": data["seed"],
        "image_size": data["image_size"],
        "law": law["name"],
        "min_side": law["min_side"],
        "max_side": law["max_side"],
        **({"scene": scene(data).text()} if scene(data) != CLEAN else {}),
    }


def check(data: Mapping[str, Any], name: str) -> None:
    """Refuse a data set that cannot be made.

    Raises
    ------
    ConfigurationError
        The message names the key `name`, and what to do.
    """
    if data["source"] == "synthetic":
        _check_drawn(data, name)
    elif not data.get("render"):
        try:
            sources.check(data)
        except ValueError as error:
            raise ConfigurationError(str(error)) from None


def _check_drawn(data: Mapping[str, Any], name: str) -> None:
    law, size = data["box_law"], data["image_size"]
    if not law["min_side"] <= law["max_side"] <= size:
        raise ConfigurationError(
            f"config: {name}.box_law needs min_side <= max_side <= image_size; got "
            f"{law['min_side']}, {law['max_side']} and {size}. Smaller images need smaller boxes."
        )
    if data["shard_size"] * size**2 > MAX_SHARD_BYTES:
        raise ConfigurationError(
            f"config: {name}.shard_size={data['shard_size']} images of {size}×{size} px take more "
            f"than {MAX_SHARD_BYTES} bytes in one file. Make shard_size smaller."
        )
    try:
        scene(data).for_size(size)
    except (TypeError, ValueError) as error:
        raise ConfigurationError(f"config: {name}.scene: {error}") from None
    n_shards = data["images"] // data["shard_size"]
    if n_shards > MAX_SHARDS:
        raise ConfigurationError(
            f"config: {name}.images={data['images']} at shard_size={data['shard_size']} need "
            f"{n_shards} files, but at most {MAX_SHARDS} are allowed. Make shard_size larger."
        )
    try:
        shard_ranges(data)
    except ValueError as error:
        raise ConfigurationError(f"config: {name}.images and {name}.split: {error}") from None


def described(overrides: Mapping[str, Any], section: str = "") -> str:
    """Describe in words what a condition sets.

    Examples
    --------
    >>> described({"image_size": 64, "box_law": {"max_side": 64}})
    'image_size 64, box_law.max_side 64'
    >>> described({"scene": {"object_level": [0.5, 1.0], "noise": 0.1}})
    'scene.object_level 0.5 to 1.0, scene.noise 0.1'
    >>> described({"image_size": [64, 96], "split": [0.5, 0.25, 0.25]})
    'image_size 64 × 96, split 0.5/0.25/0.25'
    """
    parts = []
    for name, value in overrides.items():
        if isinstance(value, Mapping):
            parts.append(described(value, f"{section}{name}."))
        else:
            several = value if isinstance(value, (list, tuple)) else [value]
            parts.append(f"{section}{name} {_BETWEEN.get(name, '/').join(map(str, several))}")
    return ", ".join(parts)
