"""Other networks than the paper's, and how they stand harder data."""

from typing import Any

import numpy as np
import pandas as pd

from boxest.analysis.architectures import (
    AIMS,
    BASELINE,
    BOXES,
    GOOD,
    SMALL,
    best_of_networks,
    networks_of,
)
from boxest.findings.images import Figures
from boxest.findings.study import Study
from boxest.findings.text import number, plural, table

# Below this, four decimals say too little.
TINY = 0.001
# Combinations of a table.
SHOWN = 10
# What a network is asked for that looks where the box is: the error of the paper's, at most so much
# of it, in the same time.
HALF = 0.5
HEADS = ["rank", "network", "loss", "optimizer", "1 − IoU", *(f"< {side} px" for side in SMALL)]
HEADS += ["1 − inclusive IoU", "parameters", "time of an epoch", "epochs to IoU 0.95", "diverged"]
MEASURES = {"iou_loss": "1 − IoU", "inclusive_iou_loss": "1 − inclusive IoU"}


def section(study: Study, figures: Figures) -> list[str]:
    """Return what the studies of architectures came to; nothing without any."""
    if not study.architectures:
        return []
    lines = [
        "## Other architectures",
        "",
        "The paper leaves another architecture to future work (§5.2.1). Here each network is "
        "trained with each loss and optimizer: all epochs, the rate reduced on a plateau. "
        "Combinations are ranked by their geometric validation loss, those of which a run diverged "
        "last; the test set has no part in that. The losses below are of the test set, mean ± "
        "standard deviation over the seeds that did not diverge. Times of an epoch are medians "
        "on a machine that did other things as well: read them as ratios, and rough ones.",
        "",
    ]
    for one in study.architectures:
        lines += _networks(one, figures)
    return lines


def numbers(study: Study) -> dict[str, Any]:
    """Return the numbers that the captions of a study of architectures speak of."""
    ranking = study["architectures"]
    first = under_first_condition(ranking)
    best = first.iloc[0]
    named = ["network", "loss", "optimizer", "iou_loss", "inclusive_iou_loss", "iou_loss_below_8px"]
    return {
        **{name: int(ranking[name].sum()) for name in ("runs", "diverged")},
        **{name: int(best[name]) for name in BOXES},
        **{f"best_{name}": best[name] for name in named},
        "seeds": int(ranking["runs"].max()),
        "epochs": int(ranking["planned_epochs"].max()),
        "combinations": len(first),
        "conditions": ranking["condition"].nunique(),
        "condition": best["condition"],
    }


def under_first_condition(ranking: pd.DataFrame) -> pd.DataFrame:
    """Return the combinations under the condition that others are compared with."""
    return ranking[ranking["condition"] == ranking["condition"].iloc[0]]


def loss(mean: float, sd: float = np.nan) -> str:
    """Write a loss that may be a thousandth, with its standard deviation.

    Examples
    --------
    >>> loss(0.0123, 0.0004), loss(0.00123), loss(0.5, float("nan")), loss(float("nan"))
    ('0.0123 ± 0.0004', '0.0012', '0.500', '–')
    >>> loss(2.92e-6, 8.1e-7)
    '2.9e−06 ± 8.1e−07'
    """
    if not np.isfinite(mean):
        return "–"
    if 0 < mean < TINY:
        return number(mean, 2) + (f" ± {number(sd, 2)}" if np.isfinite(sd) else "")
    decimals = 3 if mean >= 0.1 else 4
    return f"{mean:.{decimals}f}" + (f" ± {sd:.{decimals}f}" if np.isfinite(sd) else "")


def _networks(study: Study, figures: Figures) -> list[str]:
    """Return what one study of architectures came to, under its first condition."""
    ranking = under_first_condition(study["architectures"])
    networks = best_of_networks(ranking)
    paper = networks[networks["network"] == BASELINE]
    shown = pd.concat([ranking.head(SHOWN), networks]).drop_duplicates("rank").sort_values("rank")
    first = ranking.iloc[0]
    runs, epochs = int(ranking["runs"].sum()), int(ranking["planned_epochs"].max())
    time = " relative to that of the best combination of `paper`" if len(paper) else ", in seconds"
    few = "The best ones, and the best of each network" if len(shown) < len(ranking) else "All"
    return [
        f"### {plural(ranking['network'].nunique(), 'network')}, "
        f"{plural(len(ranking), 'combination')}, {plural(int(ranking['runs'].max()), 'seed')}",
        "",
        f"{plural(runs, 'run')} of {plural(epochs, 'epoch')} at batch size "
        f"{_batch_size(study)}, of which {ranking['diverged'].sum()} diverged and "
        f"{ranking['stopped_early'].sum()} stopped early. The test set has {first['boxes']} "
        f"objects, {_small(first)}. The time of an epoch is{time}. *Epochs to IoU 0.95* counts "
        "until the validation set has that geometric IoU, over the seeds that came so far. "
        f"{few}:",
        "",
        *table(HEADS, [_row(row, paper) for _, row in shown.iterrows()], left=4),
        *_aims(first, paper),
        *_equal_time(networks, paper),
        *(line for name in _FIGURES for line in figures.show(study, name)),
    ]


_FIGURES = ("architectures", "architectures_by_side", "architectures_by_size")


def _batch_size(study: Study) -> str:
    return ", ".join(str(size) for size in study["architecture_runs"]["batch_size"].unique())


def _small(row: pd.Series) -> str:
    """Say how many objects are small."""
    counts = [f"{row[f'boxes_below_{side}px']} of them below {side} px" for side in SMALL]
    return f"{' and '.join(counts)} by their smallest side"


def _row(row: pd.Series, paper: pd.DataFrame) -> tuple:
    losses = ["iou_loss", *(f"iou_loss_below_{side}px" for side in SMALL), "inclusive_iou_loss"]
    time = row["seconds_per_epoch"] / (paper["seconds_per_epoch"].iloc[0] if len(paper) else 1)
    return (
        *(row[name] for name in ("rank", "network", "loss", "optimizer")),
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


def _aims(first: pd.Series, paper: pd.DataFrame) -> list[str]:
    """Say what the best combination reaches of what a better network should."""
    lines = [
        f"The best is {_name(first)}. What a better network should reach, and what it does:",
        "",
    ]
    aims = []
    for name, where in (("iou_loss", "on the test set"), ("iou_loss_below_8px", _BELOW)):
        aims.append((f"1 − IoU of at most {AIMS[name]:g} {where}", first[name], AIMS[name], ""))
    if len(paper) and first["network"] != BASELINE:
        than = paper.iloc[0]
        fewer = first["n_parameters"], than["n_parameters"] - 1
        aims.append(("fewer parameters than `paper`", *fewer, f" of {than['n_parameters']:,}"))
        time = first["seconds_per_epoch"] / than["seconds_per_epoch"]
        aims.append(("no more time per epoch than `paper`", time, 1, " times that"))
    for text, value, limit, of in aims:
        said = f"{value:,}" if isinstance(value, (int, np.integer)) else number(value, 2)
        verdict = "met" if value <= limit else "not met" if np.isfinite(value) else "unknown"
        lines.append(f"- {text}: {said}{of}, **{verdict}**.")
    return [*lines, ""]


_BELOW = "where the smallest side is below 8 px"


def _name(row: pd.Series) -> str:
    return f"`{row['network']}` with {row['loss']} and {row['optimizer']}"


def _equal_time(networks: pd.DataFrame, paper: pd.DataFrame) -> list[str]:
    """Compare each network's best with the paper's, at the time that this one takes."""
    others = networks[networks["network"] != BASELINE]
    if paper.empty or others.empty:
        return []
    than = paper.iloc[0]
    lines = [
        f"At equal training time: when the best combination of `paper`, {_name(than)}, has ended "
        f"its epochs, it has a geometric validation loss of {loss(than['equal_time_iou_loss'])}. "
        "The best of the others, at that time:",
        "",
    ]
    for _, row in others.iterrows():
        ratio = row["equal_time_iou_loss"] / than["equal_time_iou_loss"]
        halved = "at least halved" if ratio <= HALF else "not halved"
        verdict = (
            f"{number(ratio, 2)} times that, **{halved}**" if np.isfinite(ratio) else "no epoch"
        )
        lines.append(f"- {_name(row)}: {loss(row['equal_time_iou_loss'])}, {verdict}.")
    return [*lines, ""]


def harder(study: Study, figures: Figures) -> list[str]:
    """Return how the networks stand harder data; nothing without such a study."""
    if not study.harder:
        return []
    lines = [
        "## Harder data",
        "",
        "Each network is trained and tested anew on the data of each condition. It stands a "
        f"condition if its geometric IoU on the test set is at least {1 - GOOD:g} on average, and "
        "no run diverged. Mean ± standard deviation over the seeds that did not diverge.",
        "",
    ]
    for one in study.harder:
        lines += _conditions(one, figures)
    return lines


def _conditions(study: Study, figures: Figures) -> list[str]:
    """Return what one study of harder data came to."""
    conditions, best = study["conditions"], best_of_networks(study["architectures"])
    networks = networks_of(best)
    lines = [
        f"### {plural(len(networks), 'network')}, {plural(len(conditions), 'condition')}, "
        f"{plural(int(best['runs'].max()), 'seed')}",
        "",
    ]
    for metric, measure in MEASURES.items():
        heads = ["condition", "data", *(f"{network}, {measure}" for network in networks)]
        rows = [
            (
                row["condition"].replace("_", " "),
                row["data"] if isinstance(row["data"], str) else "",
                *(
                    loss(row[f"{network}_{metric}"], row[f"{network}_{metric}_sd"])
                    for network in networks
                ),
            )
            for _, row in conditions.iterrows()
        ]
        lines += table(heads, rows, left=2)
    lines += [_stands(best[best["network"] == network], conditions) for network in networks]
    return [*lines, "", *figures.show(study, "conditions")]


def _stands(mine: pd.DataFrame, conditions: pd.DataFrame) -> str:
    """Say which conditions a network stands, and which one costs it most."""
    first = conditions["condition"].iloc[0]
    mine = mine.set_index("condition")
    stood = mine[(mine["iou_loss"] <= GOOD) & (mine["diverged"] == 0)]
    text = f"- `{mine['network'].iloc[0]}` stands {len(stood)} of {plural(len(mine), 'condition')}"
    if len(stood):
        text += f": {', '.join(name.replace('_', ' ') for name in stood.index)}"
    factors = (mine["iou_loss"] / mine.loc[first, "iou_loss"]).drop(first).dropna()
    if factors.empty:
        return f"{text}."
    worst = factors.idxmax()
    return (
        f"{text}. The hardest is {worst.replace('_', ' ')}, with "
        f"{number(factors[worst], 2)} times its 1 − IoU under {first.replace('_', ' ')}."
    )
