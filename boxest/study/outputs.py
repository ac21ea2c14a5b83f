"""The tables and figures of a study, each made if the study has what it needs."""

import csv
import functools
import itertools
from collections.abc import Mapping
from importlib import resources
from typing import Any, NamedTuple

from boxest.data.scene import CLEAN
from boxest.study import data as images
from boxest.study import run_table
from boxest.system.files import short_name

# The report's sections, in the order of the paper.
SECTIONS = {
    "findings": "1 Findings",
    "problem": "2 Problem (§2)",
    "accuracy": "3 Accuracy (§3.1)",
    "time": "4 Learning time (§3.2)",
    "best": "5 Towards improvement (§5)",
    "tables": "6 Tables",
}


def section(name: str, config: Mapping[str, Any]) -> str:
    """Return the title of a section of the report, those of the paper's only for drawn images."""
    title = SECTIONS[name]
    return title if config["data"]["source"] == "synthetic" else title.partition(" (")[0]


# Nobody reads more pages of one figure than this.
MAX_PAGES = 12
# Bytes of what tells its pages apart, which leaves some for the name of the figure.
LONGEST_ENDING = 180


class Output(NamedTuple):
    """A table or a figure.

    Attributes
    ----------
    shows : str
        A short description.
    needs : tuple of str
        Requirements of the study; see `has`.
    section : str
        A key of `SECTIONS`, for figures.
    number : str
        Number of the figure in the paper that it repeats.
    """

    shows: str
    needs: tuple[str, ...] = ()
    section: str = "tables"
    number: str = ""


# Requirements of outputs, in the words of the sentence that says why one was left out.
NEEDS = {
    "batch_size": "batch sizes as an axis",
    "learning_rate": "learning rates as an axis",
    "cells": "several cells",
    "others": "an axis beside batch size and learning rate",
    "paper": "the paper's network and data, with batch size and learning rate, in numbers, as axes",
    "open": "the paper's network, data and some of its cells, with what it leaves open as an axis",
    "rates": "the key rates",
    # Figures with these have a page for each combination of the values of all axes but those of
    # their panels, or but batch size and rate.
    "pages": f"at most {MAX_PAGES} combinations of the values of further axes",
    "cell_pages": f"at most {MAX_PAGES} combinations of the values of further axes",
}
BOTH = ("batch_size", "learning_rate")

TABLES = {
    "histories": Output("a row per run and epoch"),
    "runs": Output("a row per run"),
    "ranking": Output("cells, by their validation loss"),
    "fig8": Output("final losses of each cell", number="Fig. 8"),
    "best": Output("test loss of the best parametrization"),
    "baselines": Output("what predictions reach that do not look at the images"),
    "comparison": Output("ours beside the paper's", ("paper",)),
    "distances": Output("how far our Fig. 8 is from the paper's", ("paper",)),
    "patience": Output("runs that reach the last epoch, by patience", ("paper",)),
    "claims": Output("the paper's claims, by the inclusive IoU", ("paper",)),
    "claims_geometric": Output("the same, by the geometric IoU", ("paper",)),
    "variants": Output("distance to the paper's Fig. 8, by what it leaves open", ("open",)),
    "variant_cells": Output("the same, cell by cell", ("open",)),
    "time": Output("training time", ("batch_size",), number="Fig. 4"),
    "time_fit": Output("training time as a + b / batch size", ("batch_size",)),
    "cost": Output("seconds and loss of each cell"),
    "recommendation": Output("where the recipe of §4 leads", BOTH),
    "scaling_fit": Output("loss as a function of rate × updates", BOTH),
    "scaling_residuals": Output("how far the cells lie from it", BOTH),
    "found_rates": Output("rates found by short trials", ("rates",)),
    "found_rates_by_method": Output("the same, by method", ("rates",)),
}

FIGURES = {
    "fig1_dataset": Output("preview of the data set", (), "problem", number="Fig. 1"),
    "fig2_network": Output("layers of the network", (), "problem", number="Fig. 2"),
    "fig3_validation_losses": Output("validation losses", ("pages",), "accuracy", number="Fig. 3"),
    "fig3_geometric": Output(
        "validation losses by geometric IoU", ("pages",), "accuracy", number="Fig. 3"
    ),
    "appendix_a": Output(
        "validation losses, enlarged", ("pages",), "accuracy", number="Appendix A"
    ),
    "fig8_final_losses": Output(
        "final losses and similitude", ("pages",), "accuracy", number="Fig. 8"
    ),
    "comparison": Output("ours beside the paper's", ("paper",), "accuracy"),
    "variants": Output("variants beside Fig. 8", ("open",), "accuracy"),
    "loss_against_updates": Output(
        "loss against rate × updates", (*BOTH, "cell_pages"), "accuracy"
    ),
    "scaling_residuals": Output(
        "how far rate × updates carries", (*BOTH, "cell_pages"), "accuracy"
    ),
    "found_rates": Output("rates found by short trials", ("rates",), "accuracy"),
    "fig4_training_time": Output(
        "training time", ("batch_size", "cell_pages"), "time", number="Fig. 4"
    ),
    "time_fit": Output("training time as a + b / batch size", ("batch_size", "cell_pages"), "time"),
    "seconds_against_loss": Output("what accuracy costs", ("cells",), "time"),
    "test_losses": Output("test losses of the cells", ("others",), "best"),
    "fig5_predictions": Output("predictions", (), "best", number="Fig. 5"),
    "fig6_error_by_side": Output("errors by smallest side", (), "best", number="Fig. 6"),
    "fig7_error_by_size": Output("errors by width and height", (), "best", number="Fig. 7"),
}


def has(config: Mapping[str, Any]) -> set[str]:
    """Return the keys of `NEEDS` that a study has."""
    axes = run_table.axes(config)
    others = [name for name in axes if name not in run_table.CELL]
    data, settings = common(config)
    # Rates that are found are not those of the paper's cells.
    cells = list(run_table.cells(config))
    found = any(cell["learning_rate"] == "auto" for cell in cells)
    drawn = data["source"] == "synthetic" and images.scene(data) == CLEAN and not found
    facts = {
        "batch_size": "batch_size" in axes,
        "learning_rate": "learning_rate" in axes and "auto" not in axes["learning_rate"],
        "cells": bool(axes),
        "others": bool(others),
        "paper": drawn and not others and settings["network"] == "paper",
        "open": drawn
        and settings["network"] == "paper"
        and bool(others)
        and any(map(_is_in_fig8, cells))
        and set(others) <= set(OPEN)
        and _open(config["data"]["conditions"]),
        "rates": config["rates"] is not None,
    }
    facts |= {need: len(found) <= MAX_PAGES for need, found in _pages(config).items()}
    return {name for name, true in facts.items() if true}


# What shows the best parametrization, if the study names one, and not the runs of the grid.
OF_THE_BEST = ("fig5_predictions", "fig6_error_by_side", "fig7_error_by_size")
SHOWS_THE_BEST = ("best", "fig2_network", *OF_THE_BEST)

# What the paper leaves open: settings, and keys of the data, for which an axis has conditions.
OPEN = ("output_activation", "loss", "optimizer", "plateau_patience", "plateau_factor")
OPEN += ("stop_patience", "condition")
OPEN_DATA = {"box_law", "images", "split", "seed"}


def _open(conditions: Mapping[str, Mapping[str, Any]]) -> bool:
    return all(overrides.keys() <= OPEN_DATA for overrides in conditions.values())


@functools.cache
def _fig8() -> set[tuple[str, str]]:
    """Return the batch sizes and rates of the paper's Fig. 8, without pandas."""
    with (resources.files("boxest") / "analysis" / "fig8.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return {(row["batch_size"], f"{float(row['learning_rate']):.6g}") for row in rows}


def _is_in_fig8(cell: Mapping[str, Any]) -> bool:
    return (str(cell["batch_size"]), f"{cell['learning_rate']:.6g}") in _fig8()


def rows_and_columns(config: Mapping[str, Any]) -> tuple[str, str]:
    """Return the axes for the layout of panels: batch size and rate if they are axes.

    Examples
    --------
    Of a study of networks and losses at one batch size and rate: ``("network", "loss")``.
    """
    axes = sorted(run_table.axes(config), key=lambda name: name not in run_table.CELL)
    return tuple(dict.fromkeys([*axes[:2], *run_table.CELL]))[:2]


def pages(config: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the content of each page of any figure: the values of the axes that it shows apart.

    Returns
    -------
    dict of dict
        By the suffix in the name of the figure's file; for a study of batch sizes and rates,
        ``{"": {}}``.
    """
    return {suffix: page for found in _pages(config).values() for suffix, page in found.items()}


def _pages(config: Mapping[str, Any]) -> dict[str, dict[str, dict[str, Any]]]:
    """Return the same by the need of `NEEDS` that figures with such pages have."""
    together = {"pages": rows_and_columns(config), "cell_pages": run_table.CELL}
    found: dict[str, dict[str, dict[str, Any]]] = {need: {} for need in together}
    for need, shown in together.items():
        others = [name for name in run_table.axes(config) if name not in shown]
        for cell in run_table.cells(config):
            page = {name: cell.get(name) for name in others}
            ending = ",".join(f"{name}~{run_table.text(value)}" for name, value in page.items())
            if need == "cell_pages":  # An axis of panels may have values of any length.
                ending = short_name(ending, LONGEST_ENDING)
            found[need][f",{ending}" if ending else ""] = page
    return found


def made(kind: Mapping[str, Output], config: Mapping[str, Any]) -> dict[str, Output]:
    """Return the tables or figures that a study makes, figures by page."""
    facts, paged = has(config), _pages(config)
    return {
        f"{name}{ending}": output
        for name, output in kind.items()
        if facts.issuperset(output.needs)
        for ending in next((paged[need] for need in output.needs if need in paged), [""])
    }


def left_out(config: Mapping[str, Any]) -> list[str]:
    """Return what the tables and figures that a study does not make would need."""
    facts = has(config)
    grouped: dict[str, list[str]] = {}
    for name, output in itertools.chain(TABLES.items(), FIGURES.items()):
        missing = [NEEDS[need] for need in output.needs if need not in facts]
        # A study need not mention keys that belong to other studies, or the paper for other images.
        foreign = {"rates", "open", "others"}
        if config["data"]["source"] != "synthetic":
            foreign.add("paper")
        if missing and not foreign & set(output.needs):
            grouped.setdefault(" and ".join(missing), []).append(f"`{name}`")
    return [
        f"{', '.join(dict.fromkeys(names))}: {'needs' if len(names) == 1 else 'need'} {why}."
        for why, names in grouped.items()
    ]


def common(config: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the data and the settings of all cells of a study, whichever key says so.

    ``grid: {optimizer: adam}`` changes a setting of all cells, as does a condition that all have. A
    setting in which cells differ is a tuple of its values.
    """
    cells = list(run_table.cells(config))
    settings = {}
    for name in config["settings"]:
        values = list({run_table.text(cell[name]): cell[name] for cell in cells}.values())
        settings[name] = values[0] if len(values) == 1 else tuple(values)
    conditions = {cell.get("condition") for cell in cells}
    condition = conditions.pop() if len(conditions) == 1 else None
    return images.of(config, condition) if condition else config["data"], settings


def shared_settings(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings that all runs of a study share, with their names in words."""
    _, settings = common(config)
    return in_words(
        {
            name: value
            for name, value in settings.items()
            if not isinstance(value, tuple) and name not in run_table.CELL
        }
    )


def in_words(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings that change what is learned, with their names in words."""
    return {
        name.replace("_", " "): run_table.written(name, value) if value is None else value
        for name, value in settings.items()
        if name not in WITHOUT_EFFECT
    }


# Keys that do not change what is learned.
WITHOUT_EFFECT = frozenset({"engine", "xla", "memory_limit"})
