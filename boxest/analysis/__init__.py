"""Compute the tables of a study: pure functions from data frames to data frames.

A *run* is one training (batch size, learning rate, seed), a *cell* all runs of one batch size and
learning rate. A run counts as diverged if it is marked so, or if one of its final losses is not
finite. Every table counts such runs, and no mean includes them.
"""

from boxest.analysis.cells import cells, comparison, distance, distances, paper_cells, paper_loss
from boxest.analysis.claims import CLAIMS, claims
from boxest.analysis.columns import diverged, of_others, require, rows_of
from boxest.analysis.cost import cost_table, knee, knee_interval, recommend
from boxest.analysis.errors import (
    ERROR_LEVELS,
    best_table,
    boxes_of,
    error_level,
    errors_by_side,
    in_pixels,
)
from boxest.analysis.patience import patience_table
from boxest.analysis.ranking import (
    baselines,
    best_of_networks,
    best_runs,
    good_epoch,
    rank,
    tested_losses,
)
from boxest.analysis.rates import found_rates, rates_by_method
from boxest.analysis.scaling import fit_scaling, scaling_curve, scaling_residuals
from boxest.analysis.study import tables
from boxest.analysis.timing import ENGINES, SHARED, fit_time, students_t, time_table
from boxest.analysis.variants import rank_variants, variant_cells, variant_errors

__all__ = [
    "CLAIMS",
    "ENGINES",
    "ERROR_LEVELS",
    "SHARED",
    "baselines",
    "best_of_networks",
    "best_runs",
    "best_table",
    "boxes_of",
    "cells",
    "claims",
    "comparison",
    "cost_table",
    "distance",
    "distances",
    "diverged",
    "error_level",
    "errors_by_side",
    "fit_scaling",
    "fit_time",
    "found_rates",
    "good_epoch",
    "in_pixels",
    "knee",
    "knee_interval",
    "of_others",
    "paper_cells",
    "paper_loss",
    "patience_table",
    "rank",
    "rank_variants",
    "rates_by_method",
    "recommend",
    "require",
    "rows_of",
    "scaling_curve",
    "scaling_residuals",
    "students_t",
    "tables",
    "tested_losses",
    "time_table",
    "variant_cells",
    "variant_errors",
]
