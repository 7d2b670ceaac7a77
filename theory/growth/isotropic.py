"""T3: the law of the norm under values in fixed proportion to the read-out; its proofs are in growth_proofs."""

from __future__ import annotations

import math

from scipy import integrate, stats

from theory.command import Misuse


def mean_growth(n: int, c: float, eta_squared: float = 1.0) -> float:
    """The factor by which E‖W‖² grows per edit, exactly, for isotropic keys.

        E‖W + Δ‖² = (1 + E[η²] c²/n) E‖W‖²          (v = Wk + δ, E[δ|k] ⟂ Wk, ‖δ‖ = c‖Wk‖)

    Args:
        n: the key dimension.
        c: ‖δ‖/‖Wk‖ ≥ 0, dimensionless.
        eta_squared: E[η²] of the rule, in [0, 1]; 1 for hard writes, `soft_gain_moments` for MEMIT.

    Returns:
        The factor of the squared norm. It is above 1 only because this value model has ‖v‖ > ‖Wk‖ on average.

    Raises:
        Misuse: n is not a positive number of dimensions, c is negative or not finite, or E[η²] is outside [0, 1].

    Source: T3.isotropic.

    >>> mean_growth(4, 1.0)
    1.25
    """
    check_dimension(n)
    if not 0 <= c < math.inf or not 0 <= eta_squared <= 1:
        raise Misuse(f"c = {c}, E[η²] = {eta_squared}: take a finite c ≥ 0 and E[η²] in [0, 1]")
    return 1 + eta_squared * c * c / n


def check_dimension(n: float) -> None:
    """Raise Misuse unless n is a number of dimensions, at least 1."""
    if not 1 <= n < math.inf:
        raise Misuse(f"the key dimension is {n}; it must be at least 1")


def rate_from_factor(factor: float) -> float:
    """The slope of log‖W‖² per edit, in nats, that a growth factor of ‖W‖² means; that of log‖W‖ is half of it.

    >>> rate_from_factor(1.0)
    0.0
    """
    if not 0 < factor < math.inf:
        raise Misuse(f"the growth factor is {factor}; only a positive, finite factor has a rate")
    return math.log(factor)


def soft_gain_moments(n: int, ridge: float) -> float:
    """E[η²] of memoryless MEMIT with A = ridge·I over Gaussian isotropic keys, by quadrature.

        η = s/(1 + s),  s = ‖k‖²/ridge,  ‖k‖² ~ χ²_n          E[η²] = E[(χ²_n/(χ²_n + ridge))²]

    Args:
        n: the key dimension.
        ridge: A's eigenvalue, in key units squared; MEMIT's λ when C = I.

    Returns:
        E[η²] in (0, 1), with a relative error near 1e-10.

    Raises:
        Misuse: n is not a positive number of dimensions, or the ridge is not positive.

    Source: T3.soft_gain; η is independent of the key's direction, so it enters the mean growth as this factor alone.

    >>> round(soft_gain_moments(256, 256.0), 3)
    0.25
    """
    check_dimension(n)
    if not 0 < ridge < math.inf:
        raise Misuse(f"the ridge is {ridge}; it must be positive and finite, such as 15000")
    law = stats.chi2(n)
    low, middle, high = float(law.ppf(1e-18)), float(law.median()), float(law.isf(1e-18))
    parts = (
        integrate.quad(lambda x: (x / (x + ridge)) ** 2 * law.pdf(x), a, b, epsabs=0.0, epsrel=1e-11, limit=200)[0]
        for a, b in ((low, middle), (middle, high))
    )
    return float(sum(parts))
