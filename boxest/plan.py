"""What a study consists of: its parts of the data set and its shards.

Plain Python, for the Snakefile: the environment that runs Snakemake need not hold numpy.
"""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from boxest import conditions
from boxest.scene import CLEAN, Scene

# The settings that tell one variant from another.
VARIANT = ("output_activation", "loss", "optimizer", "plateau_patience")
# Images of one shard when unpacked.
MAX_SHARD_BYTES = 2**31
# More jobs than this, and Snakemake plans for hours.
MAX_RUNS = 100_000
MAX_SHARDS = 10_000


class ShardRange(NamedTuple):
    """Indices start..stop-1 of the data set, all of one split."""

    split: str
    start: int
    stop: int


def splits(n_images: int, fractions: Sequence[float] = (0.8, 0.1, 0.1)) -> dict[str, range]:
    """Divide the indices 0..n_images-1 into training, validation and test set.

    Parameters
    ----------
    n_images : int
        Size of the data set.
    fractions : three floats
        Share of each part; the default is the paper's (§2.1).

    Returns
    -------
    dict of range
        Under "train", "validation" and "test", consecutive.

    Raises
    ------
    ValueError
        If the fractions do not sum to 1, or a part would be empty.

    Examples
    --------
    >>> splits(10_000)
    {'train': range(0, 8000), 'validation': range(8000, 9000), 'test': range(9000, 10000)}
    """
    if len(fractions) != 3 or not min(fractions) > 0 or not abs(sum(fractions) - 1) < 1e-9:
        raise ValueError(
            "The fractions of training, validation and test set must be three numbers above 0 "
            f"that sum to 1; got {list(fractions)}."
        )
    first, second = round(n_images * fractions[0]), round(n_images * (fractions[0] + fractions[1]))
    parts = {
        "train": range(first),
        "validation": range(first, second),
        "test": range(second, n_images),
    }
    empty = [name for name, part in parts.items() if len(part) == 0]
    if empty:
        raise ValueError(
            f"{n_images} images leave none for {' and '.join(empty)} with the fractions "
            f"{list(fractions)}: make more images, or change the fractions."
        )
    return parts


def shard_ranges(data: Mapping[str, Any]) -> dict[str, ShardRange]:
    """Cut each part of the data set into shards.

    Parameters
    ----------
    data : mapping
        The section ``data`` of a configuration: ``images``, ``split`` and ``shard_size`` count.

    Returns
    -------
    dict of ShardRange
        By name, which is the split and a number: "train-000".

    Examples
    --------
    >>> ranges = shard_ranges({"images": 100, "split": [0.8, 0.1, 0.1], "shard_size": 50})
    >>> list(ranges)
    ['train-000', 'train-001', 'validation-000', 'test-000']
    >>> ranges["train-001"]
    ShardRange(split='train', start=50, stop=80)
    """
    size = data["shard_size"]
    return {
        f"{split}-{number:03d}": ShardRange(split, start, min(start + size, part.stop))
        for split, part in splits(data["images"], data["split"]).items()
        for number, start in enumerate(range(part.start, part.stop, size))
    }


def seed_blocks(n_seeds: int, per_job: int) -> list[range]:
    """Divide the seeds of a cell among jobs that train several runs in turn.

    Examples
    --------
    >>> seed_blocks(5, 2)
    [range(0, 2), range(2, 4), range(4, 5)]
    """
    return [range(i, min(i + per_job, n_seeds)) for i in range(0, n_seeds, per_job)]


def differences(config: Mapping[str, Any]) -> str | None:
    """Say where a study is not the paper's, as far as the paper says; None where it is.

    Examples
    --------
    >>> paper = {
    ...     "data": {"images": 10_000, "image_size": 128},
    ...     "network": {"name": "paper"},
    ...     "training": {"epochs": 30, "loss": "inclusive_iou"},
    ...     "grid": {"batch_size": [4, 16, 64, 256, 1024, 4096], "seeds": 10},
    ... }
    >>> paper["grid"]["learning_rate"] = [0.0001, 0.001, 0.01, 0.1]
    >>> differences(paper)
    >>> differences(paper | {"training": {"epochs": 8, "loss": "inclusive_iou"}})
    'ours: epochs 8; paper: epochs 30'
    """
    data, training, grid = config["data"], config["training"], config["grid"]
    ours = {
        "network": config["network"]["name"],
        "epochs": training["epochs"],
        "images": data["images"],
        "px": data["image_size"],
        "trained on": training["loss"],
        "cells": len(grid["batch_size"]) * len(grid["learning_rate"]),
        "seeds": grid["seeds"],
        "scene": str(scene(data)),
    }
    theirs = {"network": "paper", "epochs": 30, "images": 10_000, "px": 128}
    theirs |= {"trained on": "inclusive_iou", "cells": 24, "seeds": 10, "scene": str(CLEAN)}
    differing = [name for name in ours if ours[name] != theirs[name]]

    def text(study: Mapping[str, Any]) -> str:
        return ", ".join(f"{name} {study[name]}" for name in differing)

    return f"ours: {text(ours)}; paper: {text(theirs)}" if differing else None


def scene(data: Mapping[str, Any]) -> Scene:
    """Return what the images of the section ``data`` of a configuration show beside the box."""
    return Scene.of(data.get("scene", {}))


def has_a_job_per_run(training: Mapping[str, Any]) -> bool:
    """Say of the section ``training`` of a configuration whether each run is a job of its own."""
    return training["fan_out"] == "run" and training["runs_per_job"] == 1


def expected(data: Mapping[str, Any], split: str) -> dict[str, str | int]:
    """Return what the shards of a part of the data set must say about themselves.

    Parameters
    ----------
    data : mapping
        The section ``data`` of a configuration.
    split : str
        The part.

    Returns
    -------
    dict
        By the names of `boxest.meta.Meta.attributes`; for `boxest.shards.load`. The scene of the
        paper is left out: settings of finished jobs stay what they were before there were others.
    """
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


def check(config: Mapping[str, Any]) -> None:
    """Refuse what a schema cannot: numbers that are none, values that do not fit each other.

    Raises
    ------
    ValueError
        Naming the keys, the values, and what to do.
    """
    _check_numbers(config)
    for size, rate in config["variants"]["cells"]:
        _check_numbers({"batch_size": size, "learning_rate": rate}, "variants.cells: ")
    _check_fan_out(config["training"])
    activation = config["network"]["output_activation"]
    for name in (config["network"]["name"], *config["architectures"]["network"]):
        _check_network(name, activation)
    _check_data(config["data"], "data")
    for name in config["architectures"]["conditions"]:
        _check_data(conditions.data(config, name), f"architectures.conditions.{name}")
    _check_rates(config["architectures"])
    _check_runs(config)


def _check_data(data: Mapping[str, Any], name: str) -> None:
    """Refuse a data set that cannot be made."""
    law, size = data["box_law"], data["image_size"]
    if not law["min_side"] <= law["max_side"] <= size:
        raise ValueError(
            f"config: {name}.box_law needs min_side <= max_side <= data.image_size; got "
            f"{law['min_side']}, {law['max_side']} and {size}. A smaller image needs smaller boxes."
        )
    if data["shard_size"] * size**2 > MAX_SHARD_BYTES:
        raise ValueError(
            f"config: {name}.shard_size={data['shard_size']} images of {size}×{size} px are more "
            f"than {MAX_SHARD_BYTES} bytes in one file. Make shard_size smaller."
        )
    try:
        scene(data).for_size(size)
    except (TypeError, ValueError) as error:
        raise ValueError(f"config: {name}.scene: {error}") from None
    try:
        splits(data["images"], data["split"])
    except ValueError as error:
        raise ValueError(f"config: {name}.images and {name}.split: {error}") from None
    n_shards = data["images"] // data["shard_size"]
    if n_shards > MAX_SHARDS:
        raise ValueError(
            f"config: {name}.images={data['images']} at data.shard_size={data['shard_size']} are "
            f"{n_shards} files, and more than {MAX_SHARDS} are not planned. Make shard_size larger."
        )


def _check_rates(section: Mapping[str, Any]) -> None:
    """Refuse an optimizer without a learning rate."""
    for one in conditions.combinations(section):
        network, optimizer = one["network"], one["optimizer"]
        if conditions.learning_rate(section, network, optimizer) is None:
            raise ValueError(
                f"config: architectures.optimizer has {optimizer!r}, and there is no rate for it: "
                f"write architectures.learning_rate: {{{optimizer}: 0.01}}, or one for the network "
                f"alone, architectures.learning_rate_of: {{{network}: {{{optimizer}: 0.01}}}}."
            )


def _check_runs(config: Mapping[str, Any]) -> None:
    """Refuse studies that could not even be planned."""
    grid, section = config["grid"], config["architectures"]
    n_runs = len(grid["batch_size"]) * len(grid["learning_rate"]) * grid["seeds"]
    n_combined = len(conditions.combinations(section)) * section["seeds"]
    counts = {"grid and best": n_runs + config["best"]["seeds"], "architectures": n_combined}
    for name, count in counts.items():
        if count > MAX_RUNS:
            raise ValueError(
                f"config: {name} are {count} runs, and more than {MAX_RUNS} are not planned. "
                "Make seeds smaller."
            )


# Everything else that is a number is a whole one.
_REALS = ("split", "learning_rate", "learning_rate_of", "plateau_factor", "start")
_REALS += tuple(field.name for field in dataclasses.fields(Scene) if field.type is not int)


def _check_numbers(config: Mapping[str, Any], name: str = "", real: bool = False) -> None:
    """Refuse numbers that a schema takes for others: 16.0 is no batch size, .nan no rate.

    Below a key that takes numbers which need not be whole, all are `real`.
    """
    for key, value in config.items():
        if isinstance(value, Mapping):
            _check_numbers(value, f"{name}{key}.", real or key in _REALS)
        for number in value if isinstance(value, (list, tuple)) else [value]:
            if not isinstance(number, float):
                continue
            if not math.isfinite(number):
                raise ValueError(f"config: {name}{key} takes finite numbers, got {number!r}.")
            if not real and key not in _REALS:
                raise ValueError(
                    f"config: {name}{key} takes whole numbers, got {number!r}; write {number:.0f}."
                )


def _check_fan_out(training: Mapping[str, Any]) -> None:
    """Refuse settings that have no meaning where one job trains all runs of a batch size."""
    fixed = {"runs_per_job": 1, "engine": "compiled"}
    for name, value in fixed.items():
        if training["fan_out"] == "batch_size" and training[name] != value:
            raise ValueError(
                f"config: training.fan_out: batch_size trains all runs of a batch size at once; it "
                f"needs training.{name}: {value}, got {training[name]!r}."
            )


# The others read their outputs off places in the image.
_WITH_ACTIVATION = ("auto", "paper")


def _check_network(name: str, activation: str) -> None:
    """Refuse an activation that the outputs of a network do not have."""
    if name not in _WITH_ACTIVATION and activation != "linear":
        raise ValueError(
            f"config: network.output_activation must be linear for the network {name}; got "
            f"{activation!r}."
        )
