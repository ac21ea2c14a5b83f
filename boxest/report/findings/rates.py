"""The learning rate found by short trials: how often it is the best one of the grid."""

import numpy as np
import pandas as pd

from boxest.analysis.text import number, plural, spread, table
from boxest.figures.rates import METHODS
from boxest.report.findings.figures import Figures
from boxest.report.findings.study import Study

# Seeds that the rule of the range test was chosen by: `boxest.training.search.BELOW`.
CHOSEN_BY = 3
_CAPTION = (
    "Rates found against the batch size, a point per seed; the bar is the best rate of the grid by "
    "the mean validation loss in the end, the band half an order of magnitude around it."
)


def section(study: Study, figures: Figures) -> list[str]:
    """Return what the searches for a rate came to; nothing where none was made."""
    found = study.tables.get("found_rates")
    if found is None:
        return []
    methods = [method for method in METHODS if method in set(found["method"])]
    seeds = plural(found["seed"].nunique(), "seed")
    lines = [
        "## A learning rate from short trials",
        "",
        "§4 of the paper fixes the batch size and then looks for the rate: a few epochs with one, "
        "then with a rate an order of magnitude away, as long as that is better. "
        "`boxest.find_learning_rate` does that. Its other method is the range test (Smith 2017), "
        "in which the rate rises during one short training, and which suggests a tenth of the rate "
        f"with the smallest smoothed loss. Both were run with {seeds} on the study's own images, "
        "with no schedule. A hit is a rate within half an order of magnitude of the best one of "
        "the grid: the one with the smallest mean validation loss (the loss that was trained) at "
        "the last epoch. The loss ratio is the loss that the grid reached with its rate nearest to "
        "the one found, divided by the smallest of that batch size.",
        "",
        *_methods(study["found_rates_by_method"], methods),
        *_unseen(found),
        *_sizes(found, methods),
    ]
    return lines + figures.show(study, "found_rates", _CAPTION)


def _methods(summary: pd.DataFrame, methods: list[str]) -> list[str]:
    """Return a row per method."""
    keyed = summary.set_index("method")
    mean = "loss ratio, geometric mean"
    heads = ["method", "hits", mean, "largest", "hits by 1 − IoU"]
    heads += [mean, "largest", "epochs of a search"]
    rows, outside = [], []
    for method in methods:
        one = keyed.loc[method]
        row = [METHODS[method]]
        for end in ("", "_iou"):
            row.append(f"{one[f'hits{end}']:.0f} of {one['searches']:.0f}")
            row += [_ratio(one[f"{which}loss_ratio{end}"]) for which in ("", "largest_")]
        rows.append([*row, number(one["epochs"])])
        if one["outside"]:
            outside.append(f"{one['outside']:.0f} of the rates found ({METHODS[method]})")
    lines = table(heads, rows)
    if outside:
        lines += [
            f"{' and '.join(outside)} lie farther than half an order of magnitude from every rate "
            "of the grid, which says nothing of their loss.",
            "",
        ]
    return lines


def _unseen(found: pd.DataFrame) -> list[str]:
    """Say how the range test fares with the seeds that its rule was not chosen by."""
    tested = found[found["method"] == "range_test"]
    unseen = tested[tested["seed"] >= CHOSEN_BY]
    if unseen.empty:
        return []
    return [
        f"That the range test suggests a tenth was chosen by the seeds 0 to {CHOSEN_BY - 1} of the "
        f"paper's grid; with the others, {unseen['hit'].sum()} of {len(unseen)} are hits.",
        "",
    ]


def _sizes(found: pd.DataFrame, methods: list[str]) -> list[str]:
    """Return a row per batch size: the best rate, and what each method found."""
    heads = ["batch size", "best rate", "its loss"]
    for method in methods:
        heads += [f"found, {METHODS[method]}", "hits", "loss ratio, geometric mean", "epochs"]
    rows = []
    for size, group in found.groupby("batch_size"):
        row = [size, *(number(group[f"best_{name}"].iloc[0]) for name in ("rate", "loss"))]
        for method in methods:
            one = group[group["method"] == method]
            row += [
                _range(one["found_rate"]),
                f"{one['hit'].sum()} of {len(one)}",
                _ratio(np.exp(np.log(one["loss_ratio"]).mean())),
                number(one["epochs"].mean()),
            ]
        rows.append(row)
    return table(heads, rows)


def _ratio(value: float) -> str:
    return spread(value, np.nan, 2)


def _range(rates: pd.Series) -> str:
    """Write rates: their ends, or the one that all are."""
    low, high = number(rates.min(), 2), number(rates.max(), 2)
    return low if low == high else f"{low} to {high}"
