"""Numbers and tables in Markdown."""

from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd


def number(value: float, digits: int = 3) -> str:
    """Write a number with so many significant digits, and "–" for one that does not exist.

    Examples
    --------
    >>> number(0.123456), number(1234.6), number(-0.5), number(float("nan")), number(100.0)
    ('0.123', '1235', '−0.5', '–', '100')
    """
    if value is None or not np.isfinite(value):
        return "–"
    text = f"{value:.0f}" if abs(value) >= 10**digits else f"{value:.{digits}g}"
    return text.replace("-", "−")


def spread(mean: float, sd: float, decimals: int = 3) -> str:
    """Write a mean with its standard deviation.

    Examples
    --------
    >>> spread(0.1234, 0.0056), spread(0.1, float("nan")), spread(float("nan"), 1.0)
    ('0.123 ± 0.006', '0.100', '–')
    """
    if not np.isfinite(mean):
        return "–"
    return f"{mean:.{decimals}f}" + (f" ± {sd:.{decimals}f}" if np.isfinite(sd) else "")


def interval(row: pd.Series) -> str:
    """Write a value with its interval."""
    if not np.isfinite(row["value"]):
        return "–"
    if not np.isfinite(row["low"]):
        return number(row["value"])
    return f"{number(row['value'])} [{number(row['low'])}, {number(row['high'])}]"


def table(heads: Sequence[str], rows: Iterable[Sequence], left: int = 1) -> list[str]:
    """Return the lines of a table, the first `left` columns aligned to the left."""
    rule = [" --- " if i < left else " ---: " for i in range(len(heads))]
    lines = [[f" {head} " for head in heads], rule]
    lines += [[f" {cell} " for cell in row] for row in rows]
    return ["|" + "|".join(cells) + "|" for cells in lines] + [""]


def claimed(low: float, high: float) -> str:
    """Say where a claim has its statistic.

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
