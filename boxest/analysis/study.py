"""Make the tables of a study from its runs."""

from collections.abc import Callable, Collection, Sequence

import pandas as pd

from boxest.analysis.cells import cells, comparison, distances
from boxest.analysis.claims import claims
from boxest.analysis.columns import CELL, of_others
from boxest.analysis.cost import cost_table, recommend
from boxest.analysis.patience import patience_table
from boxest.analysis.ranking import rank
from boxest.analysis.rates import found_rates, rates_by_method
from boxest.analysis.scaling import fit_scaling, scaling_residuals
from boxest.analysis.timing import fit_time, time_table
from boxest.analysis.variants import rank_variants, variant_cells, variant_errors


def tables(
    names: Collection[str],
    histories: pd.DataFrame,
    runs: pd.DataFrame,
    axes: Sequence[str] = CELL,
    *,
    times: Sequence[pd.DataFrame] = (),
    tested: pd.DataFrame | None = None,
    searches: Sequence[pd.DataFrame] = (),
    decide: bool = True,
) -> dict[str, pd.DataFrame]:
    """Make tables of a study.

    Parameters
    ----------
    names : collection of str
        The tables to make: names in `boxest.study.outputs.TABLES`.
    histories, runs : pandas.DataFrame
        From `boxest.study.history.collect`.
    axes : sequence of str
        What differs between the cells.
    times : sequence of pandas.DataFrame
        Runs of other studies whose times count; if empty, those of `runs`.
    tested : pandas.DataFrame, optional
        Predictions of the best parametrization, as for `claims`.
    searches : sequence of pandas.DataFrame
        Searches for a rate, as for `found_rates`.
    decide : bool
        Whether the claims get a verdict, because the study has the paper's settings.

    Returns
    -------
    dict of pandas.DataFrame
        By name.

    Raises
    ------
    ValueError
        If a study whose times count lacks values of an axis, or a table is invalid.
    """
    others = [name for name in axes if name not in CELL]
    # A figure shows the times of one engine, but the cost of accuracy includes those of all
    # engines.
    timed = times[0] if times else runs
    timed_others = [name for name in others if name in timed]
    _check_times(runs, timed, ["batch_size", *timed_others])
    all_times = pd.concat(times, ignore_index=True) if times else runs
    made: dict[str, pd.DataFrame] = {}
    makers: dict[str, Callable[[], pd.DataFrame]] = {
        "ranking": lambda: rank(runs, others, histories),
        "fig8": lambda: cells(runs, others),
        "comparison": lambda: comparison(made["fig8"]),
        "distances": lambda: distances(runs),
        "patience": lambda: patience_table(histories, runs),
        "claims": lambda: claims(histories, runs, tested=tested, times=all_times),
        "claims_geometric": lambda: claims(histories, runs, tested=tested, metric="iou_loss"),
        "variant_cells": lambda: variant_cells(runs, others),
        "variants": lambda: variant_errors(
            runs, rank_variants(made["variant_cells"], others), others
        ),
        "time": lambda: time_table(timed, timed_others),
        "time_fit": lambda: of_others(fit_time, timed_others, made["time"]),
        "cost": lambda: cost_table(runs, all_times, others),
        "recommendation": lambda: of_others(recommend, others, histories, runs, all_times),
        "scaling_fit": lambda: of_others(_fits, others, runs),
        "scaling_residuals": lambda: of_others(
            lambda rows: scaling_residuals(rows, _fits(rows)), others, runs
        ),
        "found_rates": lambda: found_rates(pd.concat(searches, ignore_index=True), histories),
        "found_rates_by_method": lambda: rates_by_method(made["found_rates"]),
    }
    for name, make in makers.items():
        if name in names:
            made[name] = make()
        if name.startswith("claims") and name in made and not decide:
            made[name][["verdict", "corrected"]] = ""
    return made


def _check_times(runs: pd.DataFrame, timed: pd.DataFrame, axes: Sequence[str]) -> None:
    for name in axes:
        if missing := sorted(set(map(str, runs[name])) - set(map(str, timed[name]))):
            raise ValueError(
                f"The first study in findings.times has no times of {name} {', '.join(missing)}. "
                "Time these, too, or leave findings.times out."
            )


def _fits(runs: pd.DataFrame) -> pd.DataFrame:
    """Fit the curve to the inclusive loss, then to the geometric one."""
    losses = ("validation_inclusive_iou_loss", "validation_iou_loss")
    return pd.concat([fit_scaling(runs, loss) for loss in losses], ignore_index=True)
