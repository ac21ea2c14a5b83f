"""Draw the figures of a study, by the names in `boxest.study.outputs.FIGURES`."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from boxest.analysis import rows_of
from boxest.figures.comparison import comparison
from boxest.figures.cost import seconds_against_loss
from boxest.figures.curves import validation_curves
from boxest.figures.ranking import test_losses
from boxest.figures.rates import found_rates
from boxest.figures.scaling import loss_against_updates, residuals
from boxest.figures.tables import final_losses
from boxest.figures.timing import time_fit, training_time
from boxest.figures.variants import variants
from boxest.study.run_table import written


def of_study(
    name: str,
    tables: Mapping[str, pd.DataFrame],
    page: Mapping[str, Any],
    rows_and_columns: Sequence[str],
    note: str | None = None,
    drawn: bool = True,
) -> Figure:
    """Draw a figure of a study.

    Parameters
    ----------
    name : str
        Its name.
    tables : mapping of pandas.DataFrame
        The tables of the study, by name.
    page : mapping
        The values of the axes beyond rows and columns that it shows; empty without such axes.
    rows_and_columns : (str, str)
        The axes for the layout of panels.
    note : str, optional
        What readers must know to compare the study with the paper.
    drawn : bool, default=True
        Whether its images are drawn boxes, as the paper's are.
    """
    named = {axis: written(axis, value) for axis, value in page.items()}
    shown = {name: rows_of(table, named) for name, table in tables.items()}

    def curves(**form: Any) -> Figure:
        rows, columns = rows_and_columns
        return validation_curves(
            shown["histories"], shown["runs"], rows=rows, columns=columns, **form
        )

    makers: dict[str, Callable[[], Figure]] = {
        "fig3_validation_losses": curves,
        "fig3_geometric": lambda: curves(metric="validation_iou_loss"),
        "appendix_a": lambda: curves(enlarged=True),
        "fig4_training_time": lambda: training_time(shown["time"]),
        "time_fit": lambda: time_fit(shown["time"], shown["time_fit"]),
        "fig8_final_losses": lambda: final_losses(shown["fig8"], *rows_and_columns),
        "comparison": lambda: comparison(tables["comparison"], note=note),
        "loss_against_updates": lambda: loss_against_updates(shown["runs"]),
        "scaling_residuals": lambda: residuals(shown["scaling_residuals"]),
        "seconds_against_loss": lambda: seconds_against_loss(tables["cost"]),
        "test_losses": lambda: test_losses(tables["runs"], tables["ranking"], drawn=drawn),
        "variants": lambda: variants(tables["variant_cells"], tables["variants"]),
        "found_rates": lambda: found_rates(tables["found_rates"]),
    }
    return makers[name]()
