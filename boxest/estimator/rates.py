"""`find_learning_rate`: find a learning rate by short trainings before the long one."""

import time
from dataclasses import replace
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any

from sklearn.utils._param_validation import Interval, StrOptions, validate_params

from boxest.estimator.base import BaseImageRegressor
from boxest.estimator.pickling import copied
from boxest.system import backend
from boxest.training.search import (
    EPOCHS,
    FACTOR,
    HIGHEST,
    LOWEST,
    N_RATES,
    SEARCHES,
    START,
    RateSearch,
)

if TYPE_CHECKING:
    import numpy.typing as npt

    from boxest.training.trials import Trials

# Parameters that are switched off in a search.
_OFF = {"callbacks": None, "checkpoint": None, "warm_start": False, "verbose": 0}
_POSITIVE = Interval(Real, 0, None, closed="neither")


@validate_params(
    {
        "method": [StrOptions(set(SEARCHES))],
        "lowest": [_POSITIVE],
        "highest": [_POSITIVE],
        "n_rates": [Interval(Integral, 2, None, closed="left")],
        "start": [_POSITIVE, None],
        "factor": [Interval(Real, 1, None, closed="neither")],
        "epochs": [Interval(Integral, 1, None, closed="left")],
    },
    prefer_skip_nested_validation=False,
)
def find_learning_rate(
    estimator: BaseImageRegressor,
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
    """Find a learning rate for a training by short trials.

    The trials start with the same network, order of examples and held-out share as ``fit`` of the
    estimator would. The estimator itself does not change.

    Parameters
    ----------
    estimator : BoxRegressor or ImageRegressor
        Its ``learning_rate`` is only used if ``start`` is None; its schedule, callbacks and
        checkpoint are ignored.
    X, y, sample_weight, validation_data
        As for `BoxRegressor.fit`.
    method : {"range_test", "magnitudes"}, default="range_test"
        "range_test" (Smith 2017): one training in which the rate rises exponentially from
        ``lowest`` to ``highest``. The loss falls once the rate is large enough, and rises again
        once it is too large. It is smoothed over the logarithm of the rate, and a tenth of the rate
        with the smallest smoothed loss is suggested. "magnitudes" (§4 of the paper): trials at one
        rate each, upwards from ``start`` by ``factor`` as long as the loss after ``epochs`` epochs
        falls; if the first step up does not help, downwards in the same way.
    lowest, highest : float, default=1e-5 and 10
        Range of the range test.
    n_rates : int, default=60
        Approximate number of rates in it. It takes one epoch, or, if an epoch has fewer updates, as
        many as needed: 30 epochs with two updates each.
    start : float or None, default=None
        First rate of "magnitudes"; None means the ``learning_rate`` of the estimator, or 0.01 if
        that is not a number.
    factor : float, default=10
        Step of "magnitudes"; a smaller step is finer.
    epochs : int, default=3
        Epochs of each trial of "magnitudes".

    Returns
    -------
    RateSearch
        The same result for the same int as ``random_state``, on a CPU to the last bit.

    Raises
    ------
    TypeError
        If the estimator has another type.
    ValueError
        If a parameter is invalid, or the network does not train at any of the tried rates.

    Warns
    -----
    UserWarning
        If the best rate is at an end of the tried range.

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
    if not lowest < highest:
        raise ValueError(f"lowest must be smaller than highest, got {lowest!r} and {highest!r}.")
    if method == "range_test":
        options: dict[str, Any] = {"lowest": lowest, "highest": highest, "n_rates": n_rates}
    else:
        given = own.learning_rate if isinstance(own.learning_rate, Real) else START
        options = {"start": given if start is None else start, "factor": factor, "epochs": epochs}
    before = time.perf_counter()
    backend.start()
    found = []

    def find(trials: "Trials") -> float:
        found.append(SEARCHES[method](trials, **options))
        return found[0].learning_rate

    own._search_learning_rate((X, y, sample_weight), validation_data, find)
    return replace(found[0], seconds=time.perf_counter() - before)


def _copy(estimator: Any) -> BaseImageRegressor:
    """Return a separate estimator, without callbacks and other side effects."""
    if not isinstance(estimator, BaseImageRegressor):
        raise TypeError(
            "find_learning_rate takes a BoxRegressor or ImageRegressor; got "
            f"{type(estimator).__name__}. For a pipeline or a search, pass the regressor inside."
        )
    parameters = estimator.get_params(deep=False) | _OFF
    own = type(estimator)(**{name: copied(value) for name, value in parameters.items()})
    own._validate_params()
    return own
