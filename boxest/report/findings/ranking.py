"""Cells beside each other: networks, losses and optimizers, and how they cope with harder data."""

import numpy as np
import pandas as pd

from boxest.analysis.columns import CELL
from boxest.analysis.ranking import (
    AIMS,
    BASELINE,
    GOOD,
    SMALL,
    best_of_networks,
    first_condition,
    independent,
    networks_of,
)
from boxest.analysis.text import loss, number, plural, table
from boxest.figures.style import named, value_text
from boxest.report.findings.figures import Figures
from boxest.report.findings.jinja import rendered
from boxest.report.findings.study import Study
from boxest.study.data import described, words

# Cells of a table.
SHOWN = 10
# A network that looks where the box is should reach at most this share of the error of the paper's
# network, in the same time.
HALF = 0.5
MEASURES = {"test_iou_loss": "1 − IoU", "test_inclusive_iou_loss": "1 − inclusive IoU"}
HEADS = ["1 − IoU", *(f"< {side} px" for side in SMALL), "1 − inclusive IoU", "parameters"]
HEADS += ["time of an epoch", "epochs to IoU 0.95", "diverged"]
_FIGURES = ("test_losses", "fig6_error_by_side", "fig7_error_by_size")


def sections(study: Study, figures: Figures) -> list[str]:
    """Return the rankings of a study with further axes, and of those that its page tells about."""
    lines: list[str] = []
    of = [one for one in (study, *study.studies) if "variants" not in one and one.others]
    plain, harder = (
        [one for one in of if (one["ranking"].get("condition", pd.Series()).nunique() > 1) == many]
        for many in (False, True)
    )
    if plain:
        networks = {name for one in plain for name in one["ranking"].get("network", ())}
        lines += ["## Other architectures" if BASELINE in networks else "## Ranking", ""]
        lines += [rendered("ranking_intro.md"), ""]
        for one in plain:
            lines += _ranking(one, figures)
    if harder:
        lines += ["## Harder data", "", rendered("harder_intro.md", good=1 - GOOD), ""]
        for one in harder:
            lines += _conditions(one, figures)
    return lines


def _keys(study: Study) -> list[str]:
    """Return the axes that tell the cells of a ranking apart, as columns of its table.

    Networks are among them, because they are compared, even if their optimizers tell them apart.
    """
    ranking = study["ranking"]
    varied = [name for name in (*study.others, *CELL) if ranking[name].nunique() > 1]
    return independent(ranking, varied[::-1])[::-1]


def _ranking(study: Study, figures: Figures) -> list[str]:
    """Return the outcome of one study, under its first condition."""
    ranking, keys = first_condition(study["ranking"]), _keys(study)
    networks = best_of_networks(ranking) if "network" in keys else ranking.head(1)
    paper = networks[networks["network"] == BASELINE] if "network" in keys else networks[:0]
    shown = pd.concat([ranking.head(SHOWN), networks]).drop_duplicates("rank").sort_values("rank")
    first = ranking.iloc[0]
    drawn = study.summary["config"]["data"]["source"] == "synthetic"
    values = {
        "first": first,
        "cells": len(ranking),
        "seeds": int(ranking["runs"].max()),
        "runs": int(ranking["runs"].sum()),
        "epochs": int(ranking["planned_epochs"].max()),
        "sizes": ", ".join(map(str, ranking["batch_size"].unique())),
        "ranking": ranking,
        "axes": [(named(key), ranking[key].nunique()) for key in keys],
        "paper": len(paper),
        "few": len(shown) < len(ranking),
    }
    rows = [_row(row, keys, paper) for _, row in shown.iterrows()]
    return [
        rendered("ranking.md", **values),
        "",
        *table(["rank", *map(named, keys), *HEADS], rows, left=1 + len(keys)),
        *(_aims(first, paper, keys, drawn) if len(paper) else []),
        *_equal_time(networks, paper, keys),
        *(line for name in _FIGURES for line in figures.show(study, name)),
    ]


def _row(row: pd.Series, keys: list[str], paper: pd.DataFrame) -> tuple:
    losses = ["test_iou_loss", *(f"test_iou_loss_below_{side}px" for side in SMALL)]
    losses.append("test_inclusive_iou_loss")
    time = row["seconds_per_epoch"] / (paper["seconds_per_epoch"].iloc[0] if len(paper) else 1)
    return (
        row["rank"],
        *(value_text(row[key]) for key in keys),
        *(loss(row[name], row[f"{name}_sd"]) for name in losses),
        f"{row['n_parameters']:,}",
        number(time, 2),
        _reached(row),
        row["diverged"],
    )


def _reached(row: pd.Series) -> str:
    """Say after how many epochs the validation IoU was 0.95, and of how many seeds."""
    kept, reached = row["runs"] - row["diverged"], row["reached_95"]
    if not reached:
        return "never"
    seeds = f" ({reached} of {row['runs']})" if reached < row["runs"] else ""
    return f"{number(row['epochs_to_95'], 2)}{seeds}" if kept else "–"


def _aims(first: pd.Series, paper: pd.DataFrame, keys: list[str], drawn: bool) -> list[str]:
    """Say what the best cell reaches of what a better network should.

    What its loss should be is only known for images with drawn boxes.
    """
    where = {"test_iou_loss": "on the test set"}
    where["test_iou_loss_below_8px"] = "where the smallest side is below 8 px"
    aims = [
        (f"1 − IoU of at most {AIMS[name]:g} {part}", first[name], AIMS[name], "")
        for name, part in where.items()
        if drawn
    ]
    if first["network"] != BASELINE:
        than = paper.iloc[0]
        fewer = first["n_parameters"], than["n_parameters"] - 1
        aims.append(("fewer parameters than `paper`", *fewer, f" of {than['n_parameters']:,}"))
        time = first["seconds_per_epoch"] / than["seconds_per_epoch"]
        aims.append(("no more time per epoch than `paper`", time, 1, " times that"))
    best = f"The best is {_name(first, keys)}."
    if not aims:
        return [best, ""]
    lines = [f"{best} What a better network should reach, and what this one reaches:", ""]
    for aim, value, limit, of in aims:
        said = f"{value:,}" if isinstance(value, (int, np.integer)) else number(value, 2)
        verdict = "met" if value <= limit else "not met" if np.isfinite(value) else "unknown"
        lines.append(f"- {aim}: {said}{of}, **{verdict}**.")
    return [*lines, ""]


def _name(row: pd.Series, keys: list[str]) -> str:
    first, *others = (value_text(row[key]) for key in keys)
    return f"`{first}`" + (f" with {' and '.join(others)}" if others else "")


def _equal_time(networks: pd.DataFrame, paper: pd.DataFrame, keys: list[str]) -> list[str]:
    """Compare each network's best with the paper's, at the time that this one takes."""
    others = networks[networks["network"] != BASELINE] if len(paper) else networks[:0]
    if others.empty or "equal_time_iou_loss" not in networks:
        return []
    than = paper.iloc[0]
    if not np.isfinite(than["seconds_per_epoch"]):  # Trained together, in one program.
        return []
    lines = [
        f"At equal training time: when the best cell of `paper`, {_name(than, keys)}, has ended "
        f"its epochs, it has a geometric validation loss of {loss(than['equal_time_iou_loss'])}. "
        "The best cells of the other networks, at that time:",
        "",
    ]
    for _, row in others.iterrows():
        ratio = row["equal_time_iou_loss"] / than["equal_time_iou_loss"]
        halved = "at least halved" if ratio <= HALF else "not halved"
        verdict = (
            f"{number(ratio, 2)} times that, **{halved}**" if np.isfinite(ratio) else "no epoch"
        )
        lines.append(f"- {_name(row, keys)}: {loss(row['equal_time_iou_loss'])}, {verdict}.")
    return [*lines, ""]


def _conditions(study: Study, figures: Figures) -> list[str]:
    """Return how the networks of a study cope with its conditions."""
    ranking = study["ranking"]
    ranking = ranking if "network" in ranking else ranking.assign(network="the network")
    best = best_of_networks(ranking)
    networks, conditions = networks_of(best), list(best["condition"].unique())
    keyed = best.set_index(["condition", "network"])
    data, epochs = study.summary["config"]["data"], int(best["planned_epochs"].max())
    lines = [
        f"### {plural(len(networks), 'network')}, {plural(len(conditions), 'condition')}, "
        f"{plural(int(best['runs'].max()), 'seed')}",
        "",
        f"At most {plural(epochs, 'epoch')} on {words(data)}, unless the condition says otherwise.",
        "",
    ]
    for metric, measure in MEASURES.items():
        heads = ["condition", "data", *(f"{network}, {measure}" for network in networks)]
        rows = [
            (
                condition.replace("_", " "),
                described(data["conditions"][condition]),
                *(
                    loss(*keyed.loc[(condition, network), [metric, f"{metric}_sd"]])
                    if (condition, network) in keyed.index
                    else "–"
                    for network in networks
                ),
            )
            for condition in conditions
        ]
        lines += table(heads, rows, left=2)
    lines += [_stands(best[best["network"] == network], conditions[0]) for network in networks]
    return [*lines, "", *figures.show(study, "test_losses")]


def _stands(mine: pd.DataFrame, first: str) -> str:
    """Say which conditions a network copes with, and which one costs it most."""
    mine, metric = mine.set_index("condition"), "test_iou_loss"
    stood = mine[(mine[metric] <= GOOD) & (mine["diverged"] == 0)]
    text = f"- `{mine['network'].iloc[0]}` copes with {len(stood)} of "
    text += plural(len(mine), "condition")
    if len(stood):
        text += f": {_names(stood.index)}"
    if len(lost := mine.index[mine["diverged"] == mine["runs"]]):
        text += f"; every run diverged under {_names(lost)}"
    if first not in mine.index:
        return f"{text}. It was not trained under {first.replace('_', ' ')}."
    factors = (mine[metric] / mine.loc[first, metric]).drop(first).dropna()
    if factors.empty:
        return f"{text}."
    worst = factors.idxmax()
    of = " of the others" if len(lost) else ""
    return (
        f"{text}. The hardest{of} is {worst.replace('_', ' ')}, with "
        f"{number(factors[worst], 2)} times its 1 − IoU under {first.replace('_', ' ')}."
    )


def _names(conditions: pd.Index) -> str:
    return ", ".join(name.replace("_", " ") for name in conditions)
