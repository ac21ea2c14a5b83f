"""`find_learning_rate`: a learning rate from short trainings, before the long one."""

import math
import time
import warnings
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import clone

from boxest import runtime

if TYPE_CHECKING:
    import numpy.typing as npt
    import pandas as pd

    from boxest.base import ImageRegressor
    from boxest.training.trials import Trials

# Of the range test: the range, and rates in it.
LOWEST, HIGHEST, N_RATES = 1e-5, 10.0, 60
# The rate that is suggested is so many times smaller than the one with the smallest loss. In three
# tests at each batch size of the paper, it was the best rate of its grid in 17 of 18, the steepest
# fall of the smoothed loss in 6, a quarter of the smallest loss's rate in 13.
BELOW = 10
# Decades of the rate, the standard deviation of the normal weights that smooth the loss.
WIDTH = 0.15
# Losses in a row whose median tells whether the training is gone.
IN_A_ROW = 5
# Of the search by orders of magnitude: its begin, its step, epochs of a trial, trials at most.
START, FACTOR, EPOCHS, MOST = 0.01, 10.0, 3, 12
# What is not wanted in a search.
_OFF = {"callbacks": None, "checkpoint": None, "warm_start": False, "verbose": 0}


@dataclass(frozen=True, eq=False)
class RateSearch:
    """A learning rate that was found, how, and what it cost.

    Attributes
    ----------
    learning_rate : float
    method : str
        "range_test" or "magnitudes".
    table : pandas.DataFrame
        A row per rate that was tried, in the order of the trials: ``learning_rate``, ``loss``,
        ``smoothed_loss`` (by orders of magnitude, the loss itself) and ``diverged``. The loss of
        the range test is that of the training examples, before each update; by orders of magnitude,
        it is the validation loss after the last epoch, or the training loss of that epoch where
        there are no validation examples.
    updates : int
        Made in all trials together.
    epochs : float
        The same in epochs.
    seconds : float
        Spent on the search, with preparing the examples and compiling.
    """

    learning_rate: float
    method: str
    table: "pd.DataFrame"
    updates: int
    epochs: float
    seconds: float = math.nan


def find_learning_rate(
    estimator: "ImageRegressor",
    X: "npt.ArrayLike",
    y: "npt.ArrayLike | None" = None,
    sample_weight: "npt.ArrayLike | None" = None,
    *,
    validation_data: "tuple | list | None" = None,
    method: str = "range_test",
    lowest: float = LOWEST,
    highest: float = HIGHEST,
    n_rates: int = N_RATES,
    start: float | None = None,
    factor: float = FACTOR,
    epochs: int = EPOCHS,
) -> RateSearch:
    """Find a learning rate for a training by short trials of it.

    The trials begin with the network, the order of examples and the held-out share that
    ``fit`` of the estimator would begin with. The estimator itself is left as it is.

    Parameters
    ----------
    estimator : BoxRegressor or ImageRegressor
        Its ``learning_rate`` counts only where ``start`` is None; its schedule, callbacks and
        checkpoint do not count.
    X, y, sample_weight, validation_data
        As for `BoxRegressor.fit`.
    method : {"range_test", "magnitudes"}, default="range_test"
        "range_test" (Smith 2017): one training in which the rate rises exponentially from
        ``lowest`` to ``highest``. The loss falls, once the rate is large enough, and rises again,
        once it is too large. It is smoothed over the logarithm of the rate, and a tenth of the rate
        with the smallest smoothed loss is suggested. "magnitudes" (§4 of the paper): trials with
        one rate each, from ``start`` up by ``factor`` as long as the loss after ``epochs`` epochs
        falls; if the first step up brings nothing, down in the same way.
    lowest, highest : float, default=1e-5 and 10
        Range of the range test.
    n_rates : int, default=60
        Rates in it, about. It takes one epoch, and where an epoch has fewer updates than this, as
        many as have them: 30 epochs with two updates each.
    start : float or None, default=None
        First rate of "magnitudes". None: the ``learning_rate`` of the estimator; for "auto", 0.01.
    factor : float, default=10
        Step of "magnitudes". A smaller one refines.
    epochs : int, default=3
        Epochs of each trial of "magnitudes".

    Returns
    -------
    RateSearch
        The same one for the same int as ``random_state``, on a CPU to the last bit.

    Raises
    ------
    TypeError
        If the estimator is another one.
    ValueError
        If a parameter has no such value, or no rate that was tried trains the network.

    Warns
    -----
    UserWarning
        If the best rate lies at an end of what was tried.

    References
    ----------
    L. N. Smith, "Cyclical Learning Rates for Training Neural Networks", WACV 2017, §3.3.

    Examples
    --------
    >>> from boxest import BoxRegressor, find_learning_rate, synthetic
    >>> X, y = synthetic.make(0, 500, seed=0, image_size=32)
    >>> search = find_learning_rate(BoxRegressor(random_state=0), X, y)
    >>> 0.001 < search.learning_rate < 1
    True
    """
    own = _copy(estimator)
    _check(method, lowest, highest, n_rates, factor, epochs)
    if method == "range_test":
        options: dict[str, Any] = {"lowest": lowest, "highest": highest, "n_rates": n_rates}
    else:
        given = START if own.learning_rate == "auto" else own.learning_rate
        options = {"start": given if start is None else start, "factor": factor, "epochs": epochs}
        _need(options["start"] > 0, f"start must be a number above 0, got {start!r}.")
    before = time.perf_counter()
    runtime.start_backend()
    found = []

    def find(trials: "Trials") -> float:
        found.append(_SEARCHES[method](trials, **options))
        return found[0].learning_rate

    own._rehearse((X, y, sample_weight), validation_data, find)
    return replace(found[0], seconds=time.perf_counter() - before)


def find(trials: "Trials") -> float:
    """Return the rate for ``learning_rate="auto"``: that of the range test."""
    return range_test(trials).learning_rate


def range_test(
    trials: "Trials", lowest: float = LOWEST, highest: float = HIGHEST, n_rates: int = N_RATES
) -> RateSearch:
    """Raise the rate in one training until the loss is gone; see `find_learning_rate`."""
    steps = []
    for step in trials.sweep(lowest, highest, n_rates):
        steps.append(step)
        losses = np.array([step.loss for step in steps])
        if not math.isfinite(step.loss) or np.median(losses[-IN_A_ROW:]) > _limit(losses):
            break
    rates = np.array([step.learning_rate for step in steps])
    limit = _limit(losses)
    if not math.isfinite(limit):
        raise ValueError(
            f"The loss is {losses[0]} from the first update on, at the learning rate {rates[0]:g}: "
            "look at the targets and the loss, or lower the range."
        )
    diverged = ~(losses <= limit)
    smoothed = smooth(rates, np.where(diverged, limit, losses))
    least = int(np.argmin(smoothed))
    if least in (0, len(rates) - 1):
        _warn(rates[least], rates)
    return _found("range_test", rates[least] / BELOW, trials, rates, losses, smoothed, diverged)


def magnitudes(
    trials: "Trials", start: float = START, factor: float = FACTOR, epochs: int = EPOCHS
) -> RateSearch:
    """Go from rate to rate by a factor as long as the loss falls; see `find_learning_rate`."""
    losses: dict[int, float] = {}

    def loss(power: int) -> float:
        """Return the loss after a few epochs, infinite where the training is gone."""
        if power not in losses:
            row = trials.train(start * factor**power, epochs)[-1]
            gone = not math.isfinite(row["train_loss"])
            value = math.nan if gone else row.get("validation_loss", row["train_loss"])
            losses[power] = value
        return losses[power] if math.isfinite(losses[power]) else math.inf

    def go(step: int) -> int:
        """Go on as long as the loss falls, and down from a training that is gone."""
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
            f"Of the learning rates {rates.min():g} to {rates.max():g}, none leaves a loss that is "
            "a finite number: look at the targets and the loss, or give a smaller start."
        )
    if power == powers[-1] and len(losses) >= MOST:
        _warn(start * factor**power, rates)
    return _found(
        "magnitudes", start * factor**power, trials, rates, values, values, ~np.isfinite(values)
    )


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
    """Return the loss above which a training is gone: far above its beginning."""
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
        f"The smallest loss of the search for a learning rate is at {rate:g}, at an end of what "
        f"was tried, {rates.min():g} to {rates.max():g}: what it suggests is not to be relied on. "
        "Give find_learning_rate another range or start.",
        stacklevel=3,
    )


def _copy(estimator: Any) -> "ImageRegressor":
    """Return an estimator of its own, with nothing that a search would set off."""
    from boxest.base import ImageRegressor

    if not isinstance(estimator, ImageRegressor):
        raise TypeError(
            "find_learning_rate takes a BoxRegressor or ImageRegressor; got "
            f"{type(estimator).__name__}. Of a pipeline or a search, give the regressor inside."
        )
    parameters = estimator.get_params(deep=False) | _OFF
    own = type(estimator)(**{name: clone(value, safe=False) for name, value in parameters.items()})
    own._validate_params()
    return own


def _check(
    method: str, lowest: float, highest: float, n_rates: int, factor: float, epochs: int
) -> None:
    if method not in _SEARCHES:
        raise ValueError(f"method must be one of {', '.join(_SEARCHES)}; got {method!r}.")
    _need(
        0 < lowest < highest < math.inf,
        f"lowest and highest must be numbers with 0 < lowest < highest, got {lowest!r}, "
        f"{highest!r}.",
    )
    _need(n_rates >= 2, f"n_rates must be 2 or more, got {n_rates!r}.")
    _need(1 < factor < math.inf, f"factor must be a number above 1, got {factor!r}.")
    _need(epochs >= 1, f"epochs must be 1 or more, got {epochs!r}.")


def _need(fulfilled: bool, message: str) -> None:
    if not fulfilled:
        raise ValueError(message)


_SEARCHES = {"range_test": range_test, "magnitudes": magnitudes}
