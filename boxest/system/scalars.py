"""Check single numbers from a user, in plain Python."""

import numbers
import operator


def integer(name: str, value: int, low: int, high: int = 2**63 - 1) -> int:
    """Return `value` as an int, or raise an error if it is not an integer in low..high.

    Examples
    --------
    >>> integer("discs", 3, 0, 100)
    3
    """
    try:
        if isinstance(value, bool):
            raise TypeError
        value = operator.index(value)
    except TypeError:
        raise TypeError(f"{name} must be an integer; got {value!r}.") from None
    if not low <= value <= high:
        raise ValueError(f"{name} must be an integer in {low}..{high}; got {value}.")
    return value


def real(name: str, value: float, low: float, high: float) -> float:
    """Return `value` as a float, or raise an error if it is not a number in low..high.

    Examples
    --------
    >>> real("noise", 1, 0, 1)
    1.0
    """
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise TypeError(f"{name} must be a number; got {value!r}.")
    if not low <= value <= high:  # NaN is refused here, too.
        raise ValueError(f"{name} must be a number in {low:g}..{high:g}; got {value}.")
    return float(value) + 0.0  # -0.0 becomes 0.0.
