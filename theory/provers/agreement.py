"""Agreement of two computations: of one number by two routes, and of one route at two precisions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import mpmath
import sympy

from theory.provers.real_arithmetic import Undecided

DIGITS = 50  # of the reference route; float64 has 16


def number(value: Any) -> mpmath.mpf:
    """A float, an exact number or an mpmath number as an mpmath number of `DIGITS` digits.

    Raises:
        TypeError: a truth value, a text or another thing that is no real number.

    >>> float(number(sympy.Rational(1, 4)))
    0.25
    """
    if isinstance(value, bool | str) or getattr(value, "is_number", True) is False:
        raise TypeError(f"{value!r} is no number; give a float, an exact number or an mpmath number")
    with mpmath.workdps(DIGITS):
        return mpmath.mpf(str(sympy.N(value, DIGITS)) if isinstance(value, sympy.Basic) else value)


def gap(left: Any, right: Any) -> mpmath.mpf:
    """|left − right| relative to the larger of the two; 0 for two zeros, infinite where one is not a number.

    >>> float(gap(1.0, sympy.Rational(1, 2)))
    0.5
    """
    with mpmath.workdps(DIGITS):
        one, other = number(left), number(right)
        if not (mpmath.isfinite(one) and mpmath.isfinite(other)):
            return mpmath.inf
        larger = max(abs(one), abs(other))
        return abs(one - other) / larger if larger else mpmath.mpf(0)


def at_two_precisions(route: Callable[[], Any], digits: int = DIGITS, agree: int = 30) -> mpmath.mpf:
    """A number that does not depend on the precision it is computed with.

    Args:
        route: computes the number by mpmath, at whatever precision is set.
        digits: the lower of the two precisions; the higher is half as much again.
        agree: how many digits the two must share.

    Returns:
        The number at the higher precision.

    Raises:
        Undecided: the two differ earlier: rounding, not mathematics, sets the digits.

    >>> with mpmath.workdps(20):
    ...     print(mpmath.nstr(at_two_precisions(lambda: mpmath.sqrt(2)), 15))
    1.4142135623731
    """
    with mpmath.workdps(digits):
        low = route()
    with mpmath.workdps(digits + digits // 2):
        high = route()
        if not abs(low - high) <= abs(high) * mpmath.mpf(10) ** -agree:
            raise Undecided(f"{low} at {digits} digits is {high} at {digits + digits // 2}")
        return high
