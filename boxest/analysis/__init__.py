"""Tables of the study: pure functions from data frames to data frames.

A *run* is one training (batch size, learning rate, seed), a *cell* all runs of one batch size and
learning rate. A run diverged when it says so or when one of its final losses is not finite; such
runs are counted in every table and averaged in none.
"""

from boxest.analysis.cells import cells, comparison, distance, paper_cells
from boxest.analysis.checks import diverged, require
from boxest.analysis.errors import (
    ERROR_LEVELS,
    best_table,
    error_level,
    errors_by_side,
    predictions,
)
from boxest.analysis.scaling import fit_scaling, scaling_curve
from boxest.analysis.timing import fit_time, time_table

__all__ = [
    "ERROR_LEVELS",
    "best_table",
    "cells",
    "comparison",
    "distance",
    "diverged",
    "error_level",
    "errors_by_side",
    "fit_scaling",
    "fit_time",
    "paper_cells",
    "predictions",
    "require",
    "scaling_curve",
    "time_table",
]
