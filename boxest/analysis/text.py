"""Format numbers and tables as text, for figures and Markdown pages."""

import re
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd

# Below this, four decimals are too few.
TINY = 0.001


def number(value: float, digits: int = 3) -> str:
    """Format a number with this many significant digits; a missing one becomes "–".

    Examples
    --------
    >>> number(0.123456), number(1234.6), number(-0.5), number(float("nan")), number(100.0)
    ('0.123', '1235', '−0.5', '–', '100')
    >>> number(999.7)
    '1000'
    """
    if value is None or not np.isfinite(value):
        return "–"
    text = f"{value:.0f}" if abs(value) >= 10**digits - 0.5 else f"{value:.{digits}g}"
    return text.replace("-", "−")


def spread(mean: float, sd: float, decimals: int = 3) -> str:
    """Format a mean with its standard deviation.

    Examples
    --------
    >>> spread(0.1234, 0.0056), spread(0.1, float("nan")), spread(float("nan"), 1.0)
    ('0.123 ± 0.006', '0.100', '–')
    """
    if not np.isfinite(mean):
        return "–"
    return f"{mean:.{decimals}f}" + (f" ± {sd:.{decimals}f}" if np.isfinite(sd) else "")


def loss(mean: float, sd: float = np.nan) -> str:
    """Format a loss, which may be tiny, with its standard deviation.

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
    return spread(mean, sd, 3 if mean >= 0.1 else 4)


def interval(row: pd.Series) -> str:
    """Format a value with its interval; if all repetitions agree, also their number.

    Examples
    --------
    >>> one = {"value": 50.0, "low": 40.0, "high": 60.0, "repetitions": 10, "out_of": 18}
    >>> interval(one | {"agree": False}), interval(one | {"agree": True})
    ('50 [40, 60]', '50 [40, 60] (9 of 18, in every seed)')
    """
    value, low, high = row["value"], row["low"], row["high"]
    if not np.isfinite(value):
        return "–"
    text = f"{number(value)} {ends(low, high)}" if low < high else number(value)
    said = []
    if np.isfinite(row["out_of"]) and (row["agree"] or row["repetitions"] == 1):
        said.append(f"{value * row['out_of'] / 100:.0f} of {row['out_of']:.0f}")
    if row["agree"]:
        said.append("in every seed")
    return f"{text} ({', '.join(said)})" if said else text


def ends(low: float, high: float) -> str:
    """Format an interval.

    Examples
    --------
    >>> ends(1, 2.5), ends(1, float("inf"))
    ('[1, 2.5]', '[1, ∞)')
    """
    return f"[{number(low)}, ∞)" if np.isinf(high) else f"[{number(low)}, {number(high)}]"


def plural(count: int, noun: str) -> str:
    """Return "1 run", "2 runs".

    Examples
    --------
    >>> plural(1, "run"), plural(2, "run")
    ('1 run', '2 runs')
    """
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def of_each(counts: Iterable[int], noun: str) -> str:
    """Say how many there are of each, by their numbers.

    Examples
    --------
    >>> of_each([2, 2], "seed"), of_each([1, 3], "seed")
    ('2 seeds', 'at most 3 seeds')
    """
    counts = list(counts)
    text = plural(int(max(counts)), noun)
    return text if min(counts) == max(counts) else f"at most {text}"


def plain(value: Any) -> str:
    r"""Write a user's text so that neither Markdown nor rst takes a part of it for markup.

    In rst, a name that ends in "_" is a reference.

    Examples
    --------
    >>> plain("nets_/small.py:my_net_"), plain("inclusive_iou"), plain(0.1)
    ('nets\\_/small.py:my_net\\_', 'inclusive_iou', '0.1')
    """
    return re.sub(r"[\\*`|]|_(?=_*(?:\W|$))", r"\\\g<0>", str(value))


def percent(log_ratio: float) -> str:
    """Format ln(ours / theirs) as a difference in %, with its sign.

    Examples
    --------
    >>> percent(0.0953), percent(-0.105), percent(0.0)
    ('+10 %', '−10 %', '0 %')
    """
    rounded = round(100 * np.expm1(log_ratio))
    return f"{rounded:+d} %".replace("-", "−") if rounded else "0 %"


def names(cells: pd.DataFrame) -> str:
    """Name the cells of a table: batch size, rate."""
    return ", ".join(f"({row.batch_size}, {row.learning_rate:g})" for row in cells.itertuples())


def table(heads: Sequence[str], rows: Iterable[Sequence], left: int = 1) -> list[str]:
    """Return the lines of a table, the first `left` columns aligned to the left."""
    rule = [" --- " if i < left else " ---: " for i in range(len(heads))]
    lines = [[f" {head} " for head in heads], rule]
    lines += [[f" {cell} " for cell in row] for row in rows]
    return ["|" + "|".join(cells) + "|" for cells in lines] + [""]


def claimed(low: float, high: float) -> str:
    """Describe the range in which a claim expects its statistic.

    Examples
    --------
    >>> claimed(90, np.inf), claimed(-5, 5), claimed(-np.inf, 0), claimed(np.nan, np.nan)
    ('at least 90', 'from −5 to 5', 'at most 0', '')
    """
    if np.isnan(low):
        return ""
    if np.isinf(high):
        return f"at least {number(low)}"
    return f"at most {number(high)}" if np.isinf(low) else f"from {number(low)} to {number(high)}"
