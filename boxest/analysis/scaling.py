"""Fit the final loss as a function of learning rate × number of updates."""

import numpy as np
import pandas as pd
from scipy import stats

from boxest.analysis.columns import CELL, check_runs, diverged, require


def fit_scaling(
    runs: pd.DataFrame,
    loss: str = "validation_loss",
    degree: int = 3,
    below: float | None = None,
) -> pd.DataFrame:
    """Fit one curve, final loss over learning rate * number of updates, to the smaller rates.

    log10(loss) is a polynomial of log10(rate * updates), by least squares over the runs that did
    not diverge. If only the product determines the loss, the runs scatter around this curve no more
    than the repetitions of a cell scatter around their mean: compare `residual` with
    `within_cells`. The largest rate is left out, because if it breaks the rule, it would bend the
    curve away from the cells that follow it.

    Parameters
    ----------
    runs : pandas.DataFrame
        One row per run, with `updates` and the column `loss`.
    loss : str
        Which final loss: the trained one, or `validation_iou_loss` for the geometric one.
    degree : int
        Degree of the polynomial, lowered to what the number of different products determines.
    below : float, optional
        Only rates below it are fitted. By default it is the largest rate of the runs, or, if they
        have only one, infinity, which fits all.

    Returns
    -------
    pandas.DataFrame
        One row: `loss`, `below`, `runs` (used), `diverged` (of those rates), `degree`, the
        coefficients `c0`, `c1`, … of the powers, `product_from` and `product_to` (the range that
        was fitted), `residual` and `within_cells`: root mean square of ln(loss) about the curve and
        about the mean of the cell, corrected for the degrees of freedom, NaN if none are left;
        `lack_of_fit`, `p_value` and `lack_of_fit_freedom`, `within_freedom`: the F test of whether
        the cells lie farther from the curve than the scatter of the runs of a cell explains.
    """
    check_runs(runs, ["updates", loss])
    gone = diverged(runs)
    rates = runs["learning_rate"]
    if below is None:
        below = rates.max() if rates.nunique() > 1 else np.inf
    kept = runs[~gone & (rates < below) & (runs["updates"] > 0) & (runs[loss] > 0)]
    product = kept["learning_rate"] * kept["updates"]
    x, y = np.log10(product), np.log10(kept[loss].astype(float))
    distinct = x.round(9).nunique()
    # At most half the number of products, because a curve through every point would show nothing.
    used = min(degree, distinct // 2)
    powers = np.full(degree + 1, np.nan)
    if distinct:
        powers[: used + 1] = np.polyfit(x, y, used)[::-1]
    about_curve = y - np.polyval(powers[: used + 1][::-1], x)
    groups = y.groupby([kept[name] for name in CELL])
    about_mean = y - groups.transform("mean")
    result = {"loss": loss, "below": below, "runs": len(kept)}
    result |= {"diverged": int((gone & (rates < below)).sum()), "degree": used}
    result |= {f"c{power}": value for power, value in enumerate(powers)}
    result |= {"product_from": product.min(), "product_to": product.max()}
    result["residual"] = _log_spread(about_curve, len(kept) - used - 1)
    result["within_cells"] = _log_spread(about_mean, len(kept) - groups.ngroups)
    result |= _lack_of_fit(about_curve, about_mean, groups.ngroups, used + 1)
    return pd.DataFrame([result])


def scaling_curve(fit: pd.DataFrame, product) -> np.ndarray:
    """Evaluate the curve of `fit_scaling`.

    Parameters
    ----------
    fit : pandas.DataFrame
        From `fit_scaling`.
    product : array-like
        Learning rate * number of updates.

    Returns
    -------
    numpy.ndarray
        The loss at each product; NaN if there was nothing to fit. Beyond `product_from` and
        `product_to` it is extrapolated.
    """
    require(fit, ["degree"], "fit")
    names = [f"c{power}" for power in range(int(fit["degree"].iloc[0]), -1, -1)]
    return 10 ** np.polyval(fit[names].iloc[0].to_numpy(float), np.log10(product))


def scaling_residuals(runs: pd.DataFrame, fit: pd.DataFrame) -> pd.DataFrame:
    """Measure the distance of each cell from the curve of loss over learning rate * updates.

    Parameters
    ----------
    runs : pandas.DataFrame
        As for `fit_scaling`.
    fit : pandas.DataFrame
        From `fit_scaling`; says which loss.

    Returns
    -------
    pandas.DataFrame
        One row per cell: `loss`, `runs`, `diverged`, `fitted` (whether the curve was fitted to its
        rate), `product` (mean of rate * updates), `extrapolated` (whether that is beyond the range
        that was fitted), `residual`: mean of ln(loss / curve) over the runs that did not diverge,
        and its `residual_sd`; NaN if all diverged. 0.1 means 10 % above the curve.
    """
    require(fit, ["loss", "below", "product_from", "product_to"], "fit")
    loss, below, low, high = fit[["loss", "below", "product_from", "product_to"]].iloc[0]
    check_runs(runs, ["updates", loss])
    gone = diverged(runs)
    product = runs["learning_rate"] * runs["updates"]
    kept = ~gone & (product > 0) & (runs[loss] > 0)
    residual = np.log(runs[loss].where(kept) / scaling_curve(fit, product.where(kept)))
    groups = [runs[name] for name in CELL]
    result = runs[CELL].assign(runs=1, diverged=gone.astype(int)).groupby(CELL).sum()
    result.insert(0, "loss", loss)
    result["fitted"] = result.index.get_level_values("learning_rate") < below
    result["product"] = product.groupby(groups).mean()
    # Means and products of decimal fractions differ in the last digit.
    margin = 1e-9
    inside = result["product"].between(low * (1 - margin), high * (1 + margin))
    result["extrapolated"] = ~inside
    result["residual"] = residual.groupby(groups).mean()
    result["residual_sd"] = residual.groupby(groups).std(ddof=1)
    return result.reset_index()


def _lack_of_fit(
    about_curve: pd.Series, about_mean: pd.Series, cells: int, parameters: int
) -> dict[str, float]:
    """Return the F test for lack of fit of a curve to repeated measurements.

    F compares the part of the scatter that the means of the cells explain but the curve does not
    with the scatter about these means. Runs of one cell that stopped at different epochs have
    different products; if the curve explains these differences, that does not count against it.
    """
    missed, free = cells - parameters, len(about_mean) - cells
    within = (about_mean**2).sum()
    result = {"lack_of_fit": np.nan, "p_value": np.nan}
    if missed > 0 and free > 0 and within > 0:
        lack = max((about_curve**2).sum() - within, 0.0)
        result["lack_of_fit"] = (lack / missed) / (within / free)
        result["p_value"] = float(stats.f.sf(result["lack_of_fit"], missed, free))
    return result | {"lack_of_fit_freedom": missed, "within_freedom": free}


def _log_spread(residual: pd.Series, freedom: int) -> float:
    """Convert residuals of log10 to one standard deviation of the natural logarithm."""
    return float(np.log(10) * np.sqrt((residual**2).sum() / freedom)) if freedom > 0 else np.nan
