"""How the settings of a study deviate from the paper's."""

import math
from collections.abc import Mapping
from typing import Any

from boxest.study import data as images
from boxest.study import run_table
from boxest.study.outputs import WITHOUT_EFFECT, common


def differences(config: Mapping[str, Any], paper: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Compare the values of a study with those of the paper, stated or inferred.

    Parameters
    ----------
    config, paper : mapping
        The study's configuration, and the one of the schema's defaults.

    Returns
    -------
    dict of (ours, theirs)
        By name of the key.
    """
    ours, theirs = _compared(config), _compared(paper)
    names = dict.fromkeys([*ours, *theirs])
    return {
        name: (ours.get(name), theirs.get(name))
        for name in names
        if ours.get(name) != theirs.get(name)
    }


def is_the_papers(config: Mapping[str, Any], paper: Mapping[str, Any]) -> bool:
    """Return whether a study has the paper's settings, so that it can test the paper's claims."""
    return not set(differences(config, paper)) - {"seeds"}


# The best parametrization of §5.1, about which the claims 9 and 10 speak.
PAPERS_BEST = {
    "batch_size": 16,
    "learning_rate": 0.1,
    "plateau_patience": 2,
    "plateau_factor": 0.5,
    "stop_patience": None,
}


def has_the_papers_best(config: Mapping[str, Any], paper: Mapping[str, Any]) -> bool:
    """Return whether a study trains the best parametrization with the paper's settings."""
    wanted = paper["settings"] | PAPERS_BEST
    return any(
        all(best[name] == wanted[name] for name in wanted.keys() - WITHOUT_EFFECT)
        for best in run_table.best_cells(config)
    )


def _compared(config: Mapping[str, Any]) -> dict[str, Any]:
    data, settings = common(config)
    varied = run_table.axes(config)
    settings |= {name: config["settings"][name] for name in varied if name in settings}
    # What varies without being an axis follows from one, such as the optimizer of a network.
    settings = {
        name: tuple(map(str, value)) if isinstance(value, tuple) else value
        for name, value in settings.items()
        if name not in (*WITHOUT_EFFECT, *run_table.CELL)
    }
    axes = {f"axis {name}": tuple(map(str, values)) for name, values in varied.items()}
    # Cells that are listed need not be all combinations of the values.
    count, full = len(list(run_table.cells(config))), math.prod(map(len, varied.values()))
    shown = {"source": data["source"]}
    if data["source"] == "synthetic":
        shown |= {"images": data["images"], "px": data["image_size"], "split": data["split"]}
        shown |= {f"box_law.{name}": value for name, value in data["box_law"].items()}
    return {
        **settings,
        **shown,
        "scene": str(images.scene(data)),
        **axes,
        "cells": "all" if count == full else f"{count} of {full}",
        "seeds": config["grid"]["seeds"],
    }


def told(differing: Mapping[str, tuple[Any, Any]]) -> str:
    """Describe differences in words.

    Examples
    --------
    >>> told({"epochs": (8, 30), "axis loss": (("iou", "giou"), None)})
    'ours: epochs 8, axis loss iou to giou; paper: epochs 30'
    >>> told({"axis batch_size": (("4", "64"), ("4", "16", "64"))})
    'ours: axis batch_size (4, 64); paper: axis batch_size (4, 16, 64)'
    """

    def words(value: Any, other: Any) -> str:
        if not isinstance(value, tuple):
            return "none" if value is None else str(value)
        ends = value[0], value[-1]
        if isinstance(other, tuple) and ends == other[:1] + other[-1:]:
            return f"({', '.join(value)})"
        return " to ".join(dict.fromkeys(ends))

    ours = ", ".join(f"{name} {words(a, b)}" for name, (a, b) in differing.items() if a != ())
    theirs = ", ".join(
        f"{name} {words(b, a)}"
        for name, (a, b) in differing.items()
        if b is not None or not name.startswith("axis")
    )
    return f"ours: {ours}; paper: {theirs}"


def note(config: Mapping[str, Any], paper: Mapping[str, Any]) -> str | None:
    """Describe how a study differs from the paper's; None if it does not."""
    differing = differences(config, paper)
    return told(differing) if differing else None
