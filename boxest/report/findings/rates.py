"""The learning rate found by short trials: how often it is the best one of the grid."""

import numpy as np
import pandas as pd

from boxest.analysis.text import number, spread
from boxest.figures.rates import METHODS
from boxest.report.findings.figures import Figures
from boxest.report.findings.jinja import rendered
from boxest.report.findings.study import Study

# Seeds with which the rule of the range test was chosen: `boxest.training.search.BELOW`.
CHOSEN_BY = 3
_CAPTION = (
    "Rates found against the batch size, a point per seed; the bar is the best rate of the grid by "
    "the mean validation loss in the end, the band half an order of magnitude around it."
)


def section(study: Study, figures: Figures) -> list[str]:
    """Return the outcome of the searches for a rate; nothing if there were none."""
    found = study.tables.get("found_rates")
    if found is None:
        return []
    methods = [method for method in METHODS if method in set(found["method"])]
    summary = study["found_rates_by_method"].set_index("method")
    tested = found[found["method"] == "range_test"]
    values = {
        "found": found,
        "methods": [_method(method, summary.loc[method]) for method in methods],
        "outside": [
            f"{summary.loc[method, 'outside']:.0f} of the rates found ({METHODS[method]})"
            for method in methods
            if summary.loc[method, "outside"]
        ],
        # The seeds with which the rule of the range test was not chosen.
        "unseen": tested[tested["seed"] >= CHOSEN_BY],
        "chosen_by": CHOSEN_BY,
        "heads": ["batch size", "best rate", "its loss"],
        "sizes": _sizes(found, methods),
    }
    for method in methods:
        about = (f"found, {METHODS[method]}", "hits", "loss ratio, geometric mean", "epochs")
        values["heads"] += about
    return [rendered("rates.md", **values), *figures.show(study, "found_rates", _CAPTION)]


def _method(method: str, one: pd.Series) -> list[str]:
    """Return the row of a method."""
    row = [METHODS[method]]
    for end in ("", "_iou"):
        row.append(f"{one[f'hits{end}']:.0f} of {one['searches']:.0f}")
        row += [_ratio(one[f"{which}loss_ratio{end}"]) for which in ("", "largest_")]
    return [*row, number(one["epochs"])]


def _sizes(found: pd.DataFrame, methods: list[str]) -> list[list]:
    """Return a row per batch size: the best rate, and what each method found."""
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
    return rows


def _ratio(value: float) -> str:
    return spread(value, np.nan, 2)


def _range(rates: pd.Series) -> str:
    """Write rates as a range, or as one number if all are equal."""
    low, high = number(rates.min(), 2), number(rates.max(), 2)
    return low if low == high else f"{low} to {high}"
