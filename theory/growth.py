"""T3: the law of the norm under values in fixed proportion to the read-out; its proofs are in growth_proofs."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy import integrate, stats

from theory.command import Misuse


def mean_growth(n: int, c: float, eta_squared: float = 1.0) -> float:
    """The factor by which E‖W‖² grows per edit, exactly, for isotropic keys.

        E‖W + Δ‖² = (1 + E[η²] c²/n) E‖W‖²          (v = Wk + δ, E[δ|k] ⟂ Wk, ‖δ‖ = c‖Wk‖)

    Args:
        n: the key dimension.
        c: ‖δ‖/‖Wk‖, dimensionless.
        eta_squared: E[η²] of the rule; 1 for hard writes, `soft_gain_moments` for MEMIT.

    Returns:
        The factor of the squared norm. It is above 1 only because this value model has ‖v‖ > ‖Wk‖ on average.

    Raises:
        Misuse: n is not a positive number of dimensions.

    Source: T3.isotropic.

    >>> mean_growth(4, 1.0)
    1.25
    """
    if n < 1:
        raise Misuse(f"the key dimension is {n}; it must be at least 1")
    return 1 + eta_squared * c * c / n


def rate_from_factor(factor: float) -> float:
    """The slope of log‖W‖² per edit, in nats, that a growth factor of ‖W‖² means; that of log‖W‖ is half of it.

    >>> rate_from_factor(1.0)
    0.0
    """
    if not factor > 0:
        raise Misuse(f"the growth factor is {factor}; only a positive factor has a rate")
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
        Misuse: the ridge is not positive.

    Source: T3; η is independent of the key's direction, so it enters the mean growth as this factor alone.

    >>> round(soft_gain_moments(256, 256.0), 3)
    0.25
    """
    if not 0 < ridge < math.inf:
        raise Misuse(f"the ridge is {ridge}; it must be positive and finite, such as 15000")
    law = stats.chi2(n)
    low, middle, high = float(law.ppf(1e-18)), float(law.median()), float(law.isf(1e-18))
    parts = (
        integrate.quad(lambda x: (x / (x + ridge)) ** 2 * law.pdf(x), a, b, epsabs=0.0, epsrel=1e-11, limit=200)[0]
        for a, b in ((low, middle), (middle, high))
    )
    return float(sum(parts))


def accumulating_growth(n: int, ridge: float, c: float, steps: int) -> NDArray[np.float64]:
    """R_t/R_0 for a rule that adds every key to A_t = ridge·I + Σ kkᵀ: a mean-field approximation, not a theorem.

        ridge·n g² + (ridge + t − n) g − 1 = 0,  g > 0;   q_t = n g²/((1 + n g)² − t n g²);   R_{t+1} = R_t (1 + c² q_t)

    Args:
        n: the key dimension (rank(P) for AlphaEdit); keys are isotropic with E kkᵀ = I.
        ridge: L2, in key units squared.
        c: ‖δ‖/‖Wk‖, dimensionless; W is taken to stay isotropic with respect to A_t.
        steps: the number of edits.

    Returns:
        (steps + 1,) the ratios, from 1: a power law up to t = n, then saturation.

    Raises:
        Misuse: the ridge is not positive.

    Source: T3b.

    >>> accumulating_growth(8, 1.0, 0.0, 2).tolist()
    [1.0, 1.0, 1.0]
    """
    if not ridge > 0:
        raise Misuse(f"the ridge L2 is {ridge}; it must be positive, such as 10")
    t = np.arange(steps, dtype=np.float64)
    linear = ridge + t - n
    root = np.sqrt(linear**2 + 4 * ridge * n)
    # Of the two forms of the positive root the one without cancellation, for either sign of the linear term.
    g = np.where(linear > 0, 2 / (root + np.abs(linear)), (root + np.abs(linear)) / (2 * ridge * n))
    q = n * g**2 / ((1 + n * g) ** 2 - t * n * g**2)
    return np.concatenate(([1.0], np.cumprod(1 + c * c * q)))
