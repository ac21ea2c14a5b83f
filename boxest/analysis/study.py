"""All tables of a study from its runs, as the workflow writes them."""

import pandas as pd

from boxest.analysis.cells import cells, comparison, distances
from boxest.analysis.claims import claims
from boxest.analysis.cost import cost_table, recommend
from boxest.analysis.patience import patience_table
from boxest.analysis.scaling import fit_scaling, scaling_residuals
from boxest.analysis.timing import fit_time, time_table


def grid_tables(runs: pd.DataFrame, times: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Return the tables of the grid by name: final losses, ours beside the paper's, time.

    Parameters
    ----------
    runs : pandas.DataFrame
        From `boxest.history.collect`.
    times : pandas.DataFrame
        Runs of one engine whose times count; `runs`, or those of another study.
    """
    losses = ("validation_inclusive_iou_loss", "validation_iou_loss")
    fits = [fit_scaling(runs, loss) for loss in losses]
    table, timed = cells(runs), time_table(times)
    return {
        "fig8": table,
        "comparison": comparison(table),
        "distances": distances(runs),
        "time": timed,
        "time_fit": fit_time(timed),
        "scaling_fit": pd.concat(fits, ignore_index=True),
        "scaling_residuals": scaling_residuals(runs, fits[0]),
    }


def claim_tables(
    histories: pd.DataFrame,
    runs: pd.DataFrame,
    times: pd.DataFrame,
    tested: pd.DataFrame | None = None,
) -> dict[str, pd.DataFrame]:
    """Return the tables of the claims and of what accuracy costs, by name.

    Parameters
    ----------
    histories, runs : pandas.DataFrame
        From `boxest.history.collect`.
    times : pandas.DataFrame
        Runs of any engines whose times count.
    tested : pandas.DataFrame, optional
        Predictions of the best parametrization, as for `claims`.
    """
    return {
        "claims": claims(histories, runs, tested=tested, times=times),
        "claims_geometric": claims(histories, runs, tested=tested, metric="iou_loss"),
        "cost": cost_table(runs, times),
        "recommendation": recommend(histories, runs, times),
        "patience": patience_table(histories, runs),
    }
