"""Two ways to find a learning rate by trials."""

import math
import warnings
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

    from boxest.training.trials import Trials

# Range test: the range, and the number of rates in it.
LOWEST, HIGHEST, N_RATES = 1e-5, 10.0, 60
# The suggested rate is this many times smaller than the rate with the smallest loss. In three tests
# at each batch size of the paper, this gave the best rate of the paper's grid in 17 of 18 cases.
# The steepest fall of the smoothed loss gave it in 6 cases, a quarter of the rate with the smallest
# loss in 13.
BELOW = 10
# Standard deviation of the normal weights that smooth the loss, in decades of the rate.
WIDTH = 0.15
# Number of consecutive losses whose median shows whether the training has diverged.
IN_A_ROW = 5
# Search by orders of magnitude: first rate, step, epochs of a trial, largest number of trials.
START, FACTOR, EPOCHS, MOST = 0.01, 10.0, 3, 12


@dataclass(frozen=True, eq=False)
class RateSearch:
    """A learning rate found by a search, with the method and the cost.

    Attributes
    ----------
    learning_rate : float
    method : str
        "range_test" or "magnitudes".
    table : pandas.DataFrame
        One row per tried rate, in the order of the trials: ``learning_rate``, ``loss``,
        ``smoothed_loss`` (by orders of magnitude, the loss itself) and ``diverged``. The loss of
        the range test is that of the training examples, before each update; by orders of magnitude,
        it is the validation loss after the last epoch, or the training loss of that epoch without
        validation examples.
    updates : int
        Number of updates in all trials together.
    epochs : float
        The same in epochs.
    seconds : float
        Time of the search, including preparing the examples and compiling.
    """

    learning_rate: float
    method: str
    table: "pd.DataFrame"
    updates: int
    epochs: float
    seconds: float = math.nan


def range_test(
    trials: "Trials", lowest: float = LOWEST, highest: float = HIGHEST, n_rates: int = N_RATES
) -> RateSearch:
    """Raise the rate in one training until it diverges; see `boxest.find_learning_rate`."""
    steps = []
    with closing(trials.sweep(lowest, highest, n_rates)) as sweep:
        for step in sweep:
            steps.append(step)
            losses = np.array([step.loss for step in steps])
            if not math.isfinite(step.loss) or np.median(losses[-IN_A_ROW:]) > _limit(losses):
                break
    rates = np.array([step.learning_rate for step in steps])
    limit = _limit(losses)
    if not math.isfinite(limit):
        raise ValueError(
            f"The loss is {losses[0]} from the first update on, at the learning rate {rates[0]:g}: "
            "check the targets and the loss, or lower the range."
        )
    # Outliers are cut off, because squares of diverged losses would drown all earlier ones.
    above = ~(losses <= limit)
    smoothed = smooth(rates, np.where(above, limit, losses))
    diverged = np.logical_and.accumulate(above[::-1])[::-1]
    least = int(np.argmin(smoothed))
    if least in (0, len(rates) - 1):
        _warn(rates[least], rates)
    return _found("range_test", rates[least] / BELOW, trials, rates, losses, smoothed, diverged)


def magnitudes(
    trials: "Trials", start: float = START, factor: float = FACTOR, epochs: int = EPOCHS
) -> RateSearch:
    """Go from rate to rate as long as the loss falls; see `boxest.find_learning_rate`."""
    losses: dict[int, float] = {}

    def loss(power: int) -> float:
        """Return the loss after a few epochs, or infinity if the training has diverged."""
        if power not in losses:
            row = trials.train(start * factor**power, epochs)[-1]
            gone = not math.isfinite(row["train_loss"])
            value = math.nan if gone else row.get("validation_loss", row["train_loss"])
            losses[power] = value
        return losses[power] if math.isfinite(losses[power]) else math.inf

    def go(step: int) -> int:
        """Raise the rate as long as the loss falls; lower it if the training diverges."""
        power = 0
        while len(losses) < MOST:
            gone = step < 0 and math.isinf(loss(power))
            if not (loss(power + step) < loss(power) or gone):
                break
            power += step
        return power

    power = go(1) if math.isfinite(loss(0)) else 0
    power = power or go(-1)
    powers = np.array(list(losses))
    rates, values = start * factor ** powers.astype(float), np.array(list(losses.values()))
    if math.isinf(loss(power)):
        raise ValueError(
            f"Of the learning rates {rates.min():g} to {rates.max():g}, none leads to a finite "
            "loss: check the targets and the loss, or set a smaller start."
        )
    if power == powers[-1] and len(losses) >= MOST:
        _warn(start * factor**power, rates)
    return _found(
        "magnitudes", start * factor**power, trials, rates, values, values, ~np.isfinite(values)
    )


def find(trials: "Trials") -> float:
    """Return the rate for ``learning_rate="auto"``: that of the range test."""
    return range_test(trials).learning_rate


def smooth(rates: np.ndarray, losses: np.ndarray, width: float = WIDTH) -> np.ndarray:
    """Return means of the losses with normal weights over the decimal logarithm of the rate.

    Parameters
    ----------
    rates, losses : ndarray, shape (n,)
    width : float
        Standard deviation of the weights in decades.

    Examples
    --------
    >>> smooth(np.array([0.1, 1.0, 10.0]), np.array([1.0, 2.0, 3.0])).round(3).tolist()
    [1.0, 2.0, 3.0]
    """
    decades = np.log10(rates)
    weights = np.exp(-0.5 * ((decades[:, np.newaxis] - decades) / width) ** 2)
    return weights @ losses / weights.sum(axis=1)


def _limit(losses: np.ndarray) -> float:
    """Return the loss above which a training counts as diverged, far above its first loss."""
    finite = losses[np.isfinite(losses)]
    if not len(finite):
        return math.nan
    first = float(np.median(finite[:IN_A_ROW]))
    return first + max(abs(first), first - float(finite.min()))


def _found(
    method: str,
    rate: float,
    trials: "Trials",
    rates: np.ndarray,
    losses: np.ndarray,
    smoothed: np.ndarray,
    diverged: np.ndarray,
) -> RateSearch:
    import pandas as pd

    columns = {"learning_rate": rates, "loss": losses, "smoothed_loss": smoothed}
    table = pd.DataFrame(columns | {"diverged": diverged})
    made = trials.updates
    return RateSearch(float(rate), method, table, made, made / trials.updates_per_epoch)


def _warn(rate: float, rates: np.ndarray) -> None:
    warnings.warn(
        f"The search for a learning rate has its smallest loss at {rate:g}, at an end of the "
        f"tried rates, {rates.min():g} to {rates.max():g}: the suggested rate is unreliable. Call "
        "find_learning_rate with another range or start.",
        stacklevel=3,
    )


SEARCHES = {"range_test": range_test, "magnitudes": magnitudes}
