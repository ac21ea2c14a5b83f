"""The paper's claims, each with its verdict."""

from typing import Any

import numpy as np
import pandas as pd

from boxest.analysis import CLAIMS
from boxest.analysis.claims import LEAST_REPETITIONS, verdict
from boxest.analysis.claims.statistic import AFTERWARDS, Statistic, readings
from boxest.analysis.claims.statistic import interval as mean_and_interval
from boxest.analysis.text import claimed, ends, interval, number, plural, table
from boxest.report.findings.figures import Figures
from boxest.report.findings.jinja import rendered
from boxest.report.findings.study import Study

# Other readings of a main part, by the end of their names.
READINGS = {
    "at equal epochs": "runs are compared up to the last epoch that both have",
    "stopped runs at their best epoch": "a run that stopped early counts as if the weights of its "
    "smallest validation loss had been restored (in part, that loss is small by selection)",
    "exact binomial": "an exact interval for each share, as if all pairs were independent",
    "other images": "the interval includes the choice of the test images, too (bootstrap)",
    "the loss itself": "without the logarithm",
}
CORRECTED = "corrected"
# The readings that differ in how they treat runs that stopped early.
STOPPING = ["at equal epochs", "stopped runs at their best epoch"]
NOTES = {
    4: "Two runs of one cell differ, too. So two cells cannot be expected to agree more often than "
    "two seeds of the same cell do.",
    8: "The paper computes the similitude from means over ten runs; that of a single run scatters "
    "more. So compare the paper's with the similitude of the means over our seeds.",
    10: "A test of equivalence: the claim holds if the whole interval lies within 10 % of the "
    "paper's number; this margin is ours. The geometric loss has no verdict, because the paper's "
    "number is an inclusive loss.",
}


def section(study: Study, figures: Figures) -> list[str]:
    """Return the verdicts in one table, then each claim with its parts."""
    inclusive, geometric = study["claims"], study["claims_geometric"]
    why = _undecided(study)
    values = {} if why else _robustness(study)
    if why:
        inclusive, geometric = inclusive.assign(verdict=""), geometric.assign(verdict="")
    rows, claims = [], []
    for number_, claim in CLAIMS.items():
        parts = list(_rows(inclusive, geometric, number_))
        if not parts:
            continue
        says = f"{number_}. {claim.says} ({claim.section})"
        for row in parts:
            if row["main"]:
                measured = [*row["inclusive"], *row["geometric"]]
                if why:
                    measured = [row["statistic"], row["claimed"], *measured[::2]]
                rows.append((says, row["part"], *measured))
                says = ""
        tables = {
            statistic: _parts([row for row in parts if row["statistic"] == statistic])
            for statistic in dict.fromkeys(row["statistic"] for row in parts)
        }
        note = _scale(inclusive) if number_ == 5 else NOTES.get(number_, "")
        if number_ == 10:
            note = f"{note} {_on_validation(study, inclusive)}".rstrip()
        figure = figures.show(study, claim.figure)
        claims.append((number_, claim.says, tables, [note, "", *figure] if note else figure))
    tested = 10 in set(inclusive["claim"])
    text = rendered("verdicts.md", why=why, rows=rows, tested=tested, claims=claims, **values)
    return [text.rstrip(), ""]


def _undecided(study: Study) -> str | None:
    """Say why a study decides nothing; None where it may."""
    seeds = int(study["fig8"]["runs"].max())
    if not study.summary["verdicts"]:
        return f"they need the paper's settings ({study.summary['differences']})"
    if seeds < LEAST_REPETITIONS:
        return f"{plural(seeds, 'seed')} decide nothing, and {LEAST_REPETITIONS} are needed"
    return None


def _robustness(study: Study) -> dict[str, Any]:
    """Return which verdicts stay the same under other readings, and corrected for their number."""
    tables = {"inclusive": study["claims"], "geometric": study["claims_geometric"]}
    read = {loss: _read_otherwise(claims) for loss, claims in tables.items()}
    hows = dict.fromkeys(how for one in read.values() for how in one["how"] if how != CORRECTED)
    rows = []
    for how in [*hows, CORRECTED]:
        cells = [one[one["how"] == how] for one in read.values()]
        name, means = f"*{how}*", READINGS.get(how, "")
        if how == CORRECTED:
            mains = [len(one) for one in cells]
            means = f"for {mains[0]} and {mains[1]} main verdicts at once (Bonferroni)"
        rows.append((f"{name}: {means}" if means else name, *map(_same, cells)))
    return {
        "counts": {
            loss: claims.loc[claims["main"], "verdict"].value_counts().to_dict()
            for loss, claims in tables.items()
        },
        "readings": rows,
        "depending": {loss: _depending(one) for loss, one in read.items()},
        "intervals": sum(int(claims["low"].notna().sum()) for claims in tables.values()),
    }


def _read_otherwise(claims: pd.DataFrame) -> pd.DataFrame:
    """Return a row per main verdict and other reading of it."""
    claims = claims.fillna({"verdict": "", "corrected": ""})
    mains = claims[claims["main"] & (claims["verdict"] != "")]
    rows = []
    for _, main in mains.iterrows():
        name = f"{main['claim']}"
        if (mains["claim"] == main["claim"]).sum() > 1:
            name += f" ({main['part']})"
        others = readings(claims, main)
        hows = others["part"].str.removeprefix(f"{main['part']}, ")
        found = dict(zip(hows.str.removesuffix(f" {AFTERWARDS}"), others["verdict"], strict=True))
        for how, verdict_ in (found | {CORRECTED: main["corrected"]}).items():
            rows.append({"how": how, "name": name, "main": main["verdict"], "verdict": verdict_})
    return pd.DataFrame(rows, columns=["how", "name", "main", "verdict"])


def _depending(read: pd.DataFrame) -> str:
    """Name the claims whose verdicts depend on early stopping."""
    other = read[read["how"].isin(STOPPING) & (read["verdict"] != read["main"])]
    return ", ".join(dict.fromkeys(other["name"]))


def _same(rows: pd.DataFrame) -> str:
    """Say how many verdicts equal the main ones, and which differ."""
    if rows.empty:
        return ""
    other = rows[rows["verdict"] != rows["main"]]
    said = [
        f"claim{'s' if len(group) > 1 else ''} {', '.join(group['name'])} *{verdict_}*"
        for verdict_, group in other.groupby("verdict")
    ]
    return "; ".join([f"{len(rows) - len(other)} of {len(rows)}", *said])


def _on_validation(study: Study, claims: pd.DataFrame) -> str:
    """Return the loss of claim 10 on the validation set, which is not part of the claim."""
    best, main = study["best"], claims[(claims["claim"] == 10) & claims["main"]].iloc[0]
    losses = best.loc[~best["diverged"], "validation_inclusive_iou_loss"]
    value, low, high = mean_and_interval(Statistic("validation set", "mean loss", losses))
    if np.isnan(low):
        return ""
    text = f"On the validation set, the same runs have {number(value)} {ends(low, high)}"
    if not main["verdict"]:
        return f"{text}."
    decided = verdict(low, high, (main["claimed_from"], main["claimed_to"]))
    return f"{text}; by the same rule, the verdict would be *{decided}*."


def _scale(claims: pd.DataFrame) -> str:
    """Say whether the verdict on claim 5 is the same without the logarithm."""
    rows = claims[claims["claim"] == 5].set_index("part")["verdict"]
    if not rows["all rates"]:
        return ""
    (itself,) = rows[rows.index.str.startswith("all rates, the loss itself")]
    if itself == rows["all rates"]:
        return f"Of the loss itself, without the logarithm, it is the same: {itself}."
    return (
        f"The verdict depends on the scale: *{rows['all rates']}* by the logarithm of the loss (by "
        f"what factor the rate changes it), *{itself}* by the loss itself (by how much)."
    )


def _rows(inclusive: pd.DataFrame, geometric: pd.DataFrame, claim: int):
    """Yield the parts of a claim with value and verdict by both losses."""
    for _, row in inclusive[inclusive["claim"] == claim].iterrows():
        same = geometric[(geometric["claim"] == claim) & (geometric["part"] == row["part"])]
        yield {
            "part": row["part"],
            "main": row["main"],
            "statistic": row["statistic"],
            "claimed": claimed(row["claimed_from"], row["claimed_to"]),
            "paper": row["paper"],
            "inclusive": _decision(row),
            "geometric": _decision(same.iloc[0]) if len(same) else ("", ""),
        }


def _decision(row: pd.Series) -> tuple[str, str]:
    verdict = row["verdict"] if isinstance(row["verdict"], str) else ""
    return interval(row), f"**{verdict}**" if verdict else ""


def _parts(rows: list[dict]) -> list[str]:
    """Return the table of the parts of a claim, without columns that say nothing."""
    columns = {
        "part": [row["part"] for row in rows],
        "claimed": [row["claimed"] for row in rows],
        "inclusive IoU": [row["inclusive"][0] for row in rows],
        "verdict": [row["inclusive"][1] for row in rows],
        "geometric IoU": [row["geometric"][0] for row in rows],
        "verdict ": [row["geometric"][1] for row in rows],
        "the paper's": [number(row["paper"]) if pd.notna(row["paper"]) else "" for row in rows],
    }
    if not any(columns["geometric IoU"]):
        columns["measured"] = columns.pop("inclusive IoU")
        columns["verdict"] = columns.pop("verdict")
    said = {name: values for name, values in columns.items() if any(values)}
    return table(list(said), zip(*said.values(), strict=True), left=len(said))
