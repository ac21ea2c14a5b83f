"""Tables of the study: pure functions from data frames to data frames.

A *run* is one training (batch size, learning rate, seed), a *cell* all runs of one batch size and
learning rate. A run diverged when it says so or when one of its final losses is not finite; such
runs are counted in every table and averaged in none.
"""

from boxest.analysis.architectures import (
    architecture_runs,
    best_of_networks,
    condition_table,
    rank_architectures,
    shown_runs,
    tested_losses,
)
from boxest.analysis.cells import cells, comparison, distance, distances, paper_cells, paper_loss
from boxest.analysis.checks import diverged, require
from boxest.analysis.claims import CLAIMS, claims
from boxest.analysis.cost import cost_table, knee, knee_interval, recommend
from boxest.analysis.errors import (
    ERROR_LEVELS,
    best_table,
    error_level,
    errors_by_side,
    predictions,
)
from boxest.analysis.patience import patience_table
from boxest.analysis.rates import found_rates, rates_by_method
from boxest.analysis.scaling import fit_scaling, scaling_curve, scaling_residuals
from boxest.analysis.study import claim_tables, grid_tables
from boxest.analysis.timing import ENGINES, fit_time, students_t, time_table
from boxest.analysis.variants import rank_variants, variant_cells

__all__ = [
    "CLAIMS",
    "ENGINES",
    "ERROR_LEVELS",
    "architecture_runs",
    "best_of_networks",
    "best_table",
    "cells",
    "claim_tables",
    "claims",
    "comparison",
    "condition_table",
    "cost_table",
    "distance",
    "distances",
    "diverged",
    "error_level",
    "errors_by_side",
    "fit_scaling",
    "fit_time",
    "found_rates",
    "grid_tables",
    "knee",
    "knee_interval",
    "paper_cells",
    "paper_loss",
    "patience_table",
    "predictions",
    "rank_architectures",
    "rank_variants",
    "rates_by_method",
    "recommend",
    "require",
    "scaling_curve",
    "scaling_residuals",
    "shown_runs",
    "students_t",
    "tested_losses",
    "time_table",
    "variant_cells",
]
