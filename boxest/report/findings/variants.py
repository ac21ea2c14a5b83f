"""What the paper leaves open, tried out."""

from typing import Any

import numpy as np
import pandas as pd

from boxest.analysis.cells import in_the_papers_grid, paper_loss, root_mean_square
from boxest.analysis.claims import CONFIDENCE
from boxest.analysis.columns import CELL, rows_of
from boxest.analysis.text import names, number, plural, spread, table
from boxest.analysis.variants import settings_of
from boxest.figures.style import named, value_text
from boxest.report.findings.figures import Figures
from boxest.report.findings.jinja import rendered
from boxest.report.findings.study import Study
from boxest.study.data import described

# A variant meets a cell within this factor.
MEETS = 1.25
SHOWN = 8


def _head(name: str) -> str:
    return "rate" if name == "plateau_patience" else named(name)


def section(study: Study, figures: Figures) -> list[str]:
    """Return the outcome of the studies of variants; nothing if there are none."""
    told = [one for one in (study, *study.studies) if "variants" in one]
    if not told:
        return []
    stages = [_stage(one, study, figures) for one in told]
    return [rendered("variants.md", stages=stages).rstrip(), ""]


def _stage(study: Study, whole: Study, figures: Figures) -> dict[str, Any]:
    """Return the outcome of one study of variants."""
    ranking, cells = study["variants"], study["variant_cells"]
    tried = cells[CELL].drop_duplicates().sort_values(CELL)
    seeds = int(cells["runs"].max())
    form = ", ".join(
        plural(n, of)
        for n, of in ((len(ranking), "variant"), (len(tried), "cell"), (seeds, "seed"))
    )
    names_ = settings_of(ranking)
    heads = ["rank", *(_head(name) for name in names_), "distance", "farthest cell"]
    if repeated := "behind_se" in ranking and ranking["behind_se"].notna().all():
        heads.append("behind the nearest")
    nearest = [_row(row, names_, repeated) for _, row in ranking.head(SHOWN).iterrows()]
    caption = f"Losses of each variant beside those of Fig. 8, the nearest on top: {form}."
    return {
        "form": form,
        "which": f"{_which(tried)}{_conditions(study, names_)}",
        "nearest": table(heads, nearest, left=1 + len(names_)),
        "conclusion": _conclusion(ranking.iloc[0], cells, names_),
        "noise": _apart(ranking, seeds) if repeated else _noise(ranking, whole, tried),
        "variants": len(ranking),
        "lost": (ranking["lost"] > 0).sum(),
        "by_rate": _by_rate(ranking, cells, names_),
        "left_out": _left_out(ranking, cells, names_),
        "settings": _settings(ranking, names_),
        "giou": "giou" in set(ranking.get("loss", ())),
        "figure": figures.show(study, "variants", caption),
    }


def _which(tried: pd.DataFrame) -> str:
    """Name the cells, or their batch sizes and rates where these are all combined."""
    sizes, rates = (sorted(tried[name].unique()) for name in CELL)
    if len(tried) > 1 and len(sizes) * len(rates) == len(tried):
        named = ("batch size", sizes), ("rate", rates)
        return "All cells of {} and {}.".format(*(_listed(*each) for each in named))
    return f"Cells (batch size, rate): {names(tried)}."


def _listed(noun: str, values: list[float]) -> str:
    return f"the {noun}{'s' if len(values) > 1 else ''} {', '.join(f'{v:g}' for v in values)}"


def _conditions(study: Study, names_: list[str]) -> str:
    """Say what differs between the data."""
    if "condition" not in names_:
        return ""
    conditions = study.summary["config"]["data"]["conditions"]
    said = (
        f"{value_text(name)}: {described(overrides) if overrides else 'as in the paper'}"
        for name, overrides in conditions.items()
    )
    return f" Data, {'; '.join(said)}."


def _row(row: pd.Series, names_: list[str], repeated: bool) -> tuple:
    settings = (_setting(name, row[name]) for name in names_)
    if not repeated:
        return (row["rank"], *settings, number(row["distance"], 2), _factor(row["largest"]))
    distance, behind = (spread(row[name], row[f"{name}_se"]) for name in ("distance", "behind"))
    behind = "–" if row["rank"] == 1 else behind
    return (row["rank"], *settings, distance, _factor(row["largest"]), behind)


def _setting(name: str, value: str) -> str:
    if name != "plateau_patience":
        return value_text(value)
    return "fixed" if value == "never" else f"reduced after {plural(int(value), 'epoch')}"


def _factor(log_ratio: float) -> str:
    return f"× {number(np.exp(log_ratio), 2)}"


def _conclusion(nearest: pd.Series, cells: pd.DataFrame, names_: list[str]) -> str:
    """Say whether one variant meets all cells that were tried."""
    mine = rows_of(cells, dict(nearest[names_])).dropna(subset="paper_validation_loss")
    off = mine[mine["log_ratio"].abs() > np.log(MEETS)]
    tried = f"{plural(len(mine), 'cell')} of Fig. 8 tried"
    tried += f" with {plural(int(mine['runs'].max()), 'seed')}"
    if off.empty:
        return f"Of the {tried}, the nearest variant meets each within a factor of {MEETS}."
    which = ", ".join(
        f"({row.batch_size}, {row.learning_rate:g}): {_factor(row.log_ratio)}"
        for row in off.itertuples()
    )
    if _meets_all(cells, names_):
        return (
            f"Of the {tried}, the nearest variant is off at {which}; another one meets each within "
            f"a factor of {MEETS}."
        )
    return (
        f"Of the {tried}, no variant meets each within a factor of {MEETS}: the nearest is off at "
        f"{which}."
    )


def _apart(ranking: pd.DataFrame, seeds: int) -> str:
    """Say how much of the ranking is due to its seeds, by the errors of its own runs."""
    near = ranking.loc[ranking["p_value"] > 1 - CONFIDENCE, "rank"]
    ranks = f"{'rank' if len(near) == 1 else 'ranks'} {', '.join(map(str, near))}"
    told = f"{ranks} may be as near as the nearest" if len(near) else "no other is as near"
    return (
        f"After ± are standard errors, from leaving out one of the {seeds} seeds at a time, in "
        f"all cells and variants at once. By a t test, {told}."
    )


def _noise(ranking: pd.DataFrame, whole: Study, tried: pd.DataFrame) -> str:
    """Say how much of a distance is due to the seed, by the seeds of the grid at the same cells."""
    runs = whole["runs"].merge(tried.assign(paper=paper_loss(tried)))
    apart = np.log(runs["validation_inclusive_iou_loss"] / runs["paper"])
    spread = np.sqrt((apart**2).groupby(runs["seed"]).mean()).std(ddof=1)
    if not np.isfinite(spread):
        return ""
    distance, noise = ranking["distance"], np.sqrt(2) * spread
    near = int((distance[ranking["lost"] == 0] <= distance.iloc[0] + noise).sum())
    text = (
        "Over the seeds of the grid, the distance of these cells has a standard deviation of "
        f"{number(spread, 2)}, and the difference of two distances one of {number(noise, 2)}: "
        "smaller differences in the ranking are noise"
    )
    order = f", and the order of the first {near} tells nothing" if near > 1 else ""
    return f"{text}{order}."


def _meets_all(cells: pd.DataFrame, names_: list[str]) -> bool:
    shared = cells.dropna(subset="paper_validation_loss")
    farthest = shared.assign(off=shared["log_ratio"].abs()).groupby(names_)["off"].max()
    return bool((farthest <= np.log(MEETS)).any())


def _by_rate(ranking: pd.DataFrame, cells: pd.DataFrame, names_: list[str]) -> list[str]:
    """Return the distances by learning rate, where several cells of each were tried."""
    shared = cells.dropna(subset="paper_validation_loss")
    if shared.groupby("learning_rate")["batch_size"].nunique().min() < 2:
        return []
    rows, rates = [], sorted(shared["learning_rate"].unique())
    for _, row in ranking.head(SHOWN).iterrows():
        mine = rows_of(shared, dict(row[names_]))
        ratios = [mine.loc[mine["learning_rate"] == rate, "log_ratio"] for rate in rates]
        distances = (
            f"{number(root_mean_square(one), 2)} ({one.mean():+.2f})".replace("-", "−")
            if len(one)
            else "–"
            for one in ratios
        )
        rows.append((row["rank"], *(_setting(name, row[name]) for name in names_), *distances))
    heads = ["rank", *(_head(name) for name in names_), *(f"rate {rate:g}" for rate in rates)]
    return table(heads, rows, left=1 + len(names_))


def _left_out(ranking: pd.DataFrame, cells: pd.DataFrame, names_: list[str]) -> list[str]:
    """Return how many runs reached the last epoch in the cells that the paper leaves out."""
    missing = cells[cells["paper_validation_loss"].isna() & in_the_papers_grid(cells)]
    if missing.empty:
        return []
    whole = missing["runs"] - missing["stopped_early"] - missing["diverged"]
    missing = missing.assign(whole=whole).sort_values(["learning_rate", "batch_size"])
    which = missing[CELL].drop_duplicates()
    rows = [
        (
            row["rank"],
            *(_setting(name, row[name]) for name in names_),
            *_whole(rows_of(missing, dict(row[names_])), which),
        )
        for _, row in ranking.head(SHOWN).iterrows()
    ]
    heads = [f"({size}, {rate:g})" for size, rate in which.itertuples(index=False)]
    return table(["rank", *map(_head, names_), *heads], rows, left=1 + len(names_))


def _whole(mine: pd.DataFrame, which: pd.DataFrame) -> list[str]:
    """Return how many runs of a variant reached the last epoch, by cell; it may lack some."""
    cells = which.merge(mine, "left").itertuples()
    return [
        "–" if np.isnan(cell.runs) else f"{cell.whole:.0f} of {cell.runs:.0f}" for cell in cells
    ]


def _settings(ranking: pd.DataFrame, names_: list[str]) -> list[tuple]:
    rows = []
    for name in names_:
        heading = _head(name)
        for value, group in ranking.groupby(name, sort=False):
            distance = group["distance"]
            rows.append(
                (
                    heading,
                    _setting(name, value),
                    number(distance.min(), 2),
                    number(distance.median(), 2),
                )
            )
            heading = ""
    return rows
