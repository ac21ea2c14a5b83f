"""The figures of a study: each function takes tables or arrays and returns a matplotlib Figure.

No function computes what belongs in `boxest.analysis`, needs a display, or changes global state.
"""

from boxest.figures.augmentation import augmented
from boxest.figures.comparison import comparison
from boxest.figures.cost import seconds_against_loss
from boxest.figures.curves import validation_curves
from boxest.figures.errors import error_histogram, error_scatter
from boxest.figures.images import dataset_preview, predictions, scenes
from boxest.figures.photographs import photographs
from boxest.figures.ranking import test_losses
from boxest.figures.rates import found_rates, rate_search
from boxest.figures.scaling import loss_against_updates, residuals
from boxest.figures.study import of_study
from boxest.figures.style import save
from boxest.figures.tables import final_losses, layer_table
from boxest.figures.timing import time_fit, training_time
from boxest.figures.variants import variants

__all__ = [
    "augmented",
    "comparison",
    "dataset_preview",
    "error_histogram",
    "error_scatter",
    "final_losses",
    "found_rates",
    "layer_table",
    "loss_against_updates",
    "of_study",
    "photographs",
    "predictions",
    "rate_search",
    "residuals",
    "save",
    "scenes",
    "seconds_against_loss",
    "test_losses",
    "time_fit",
    "training_time",
    "validation_curves",
    "variants",
]
