"""Networks beside each other, under several conditions of the data: what is trained on what.

Plain Python, for the Snakefile, as `boxest.plan`.
"""

import itertools
from collections.abc import Iterator, Mapping
from typing import Any

# What tells one combination from another: the data it is trained on, and how.
COMBINATION = ("condition", "network", "loss", "optimizer")


def merged(base: Mapping[str, Any], overrides: Mapping[str, Any]) -> dict[str, Any]:
    """Return `base` with the values of `overrides`, mappings merged key by key.

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


def data(config: Mapping[str, Any], condition: str | None = None) -> dict[str, Any]:
    """Return the section ``data`` of a study, or what a condition makes of it."""
    overrides = config["architectures"]["conditions"][condition] if condition else {}
    return merged(config["data"], overrides)


def names(section: Mapping[str, Any]) -> list[str]:
    """Return the names of the conditions; first those that change nothing.

    The others are compared with the first. The order of a configuration is no help: an overlay's
    keys may come before those that it is laid over.

    Examples
    --------
    >>> names({"conditions": {"small": {"image_size": 64}, "clean": {}}})
    ['clean', 'small']
    """
    return sorted(section["conditions"], key=lambda name: bool(section["conditions"][name]))


def combinations(section: Mapping[str, Any]) -> list[dict[str, str]]:
    """Return all combinations, each a mapping of `COMBINATION`.

    Parameters
    ----------
    section : mapping
        The section ``architectures`` of a configuration.

    Examples
    --------
    >>> section = {"conditions": {"clean": {}}, "network": ["paper"], "loss": ["iou", "giou"]}
    >>> combinations(section | {"optimizer": ["sgd"]})[1]
    {'condition': 'clean', 'network': 'paper', 'loss': 'giou', 'optimizer': 'sgd'}
    """
    values = (names(section), *(section[name] for name in COMBINATION[1:]))
    return [dict(zip(COMBINATION, one, strict=True)) for one in itertools.product(*values)]


def learning_rate(section: Mapping[str, Any], network: str, optimizer: str) -> float | None:
    """Return the first learning rate of a network with an optimizer; None where none is given.

    Examples
    --------
    >>> section = {"learning_rate": {"sgd": 0.1}, "learning_rate_of": {"roi": {"sgd": 0.03}}}
    >>> learning_rate(section, "paper", "sgd"), learning_rate(section, "roi", "sgd")
    (0.1, 0.03)
    """
    own = section["learning_rate_of"].get(network, {})
    return own.get(optimizer, section["learning_rate"].get(optimizer))


def described(overrides: Mapping[str, Any]) -> str:
    """Say in words what a condition sets.

    Examples
    --------
    >>> described({"image_size": 64, "box_law": {"max_side": 64}})
    'image_size 64, box_law.max_side 64'
    >>> described({"scene": {"object_level": [0.5, 1.0], "noise": 0.1}})
    'scene.object_level 0.5 to 1.0, scene.noise 0.1'
    >>> described({})
    ''
    """
    return ", ".join(f"{name} {text}" for name, text in _settings(overrides))


def _settings(overrides: Mapping[str, Any], section: str = "") -> Iterator[tuple[str, str]]:
    """Yield the dotted name of each key, and its value in words."""
    for name, value in overrides.items():
        if isinstance(value, Mapping):
            yield from _settings(value, f"{section}{name}.")
        else:
            several = isinstance(value, (list, tuple))
            yield f"{section}{name}", " to ".join(map(str, value)) if several else str(value)
