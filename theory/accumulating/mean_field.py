"""T3b: editors that add every key to their metric, A_t = L2·I + Σ kkᵀ (MEMIT-seq, AlphaEdit, ENCORE, RLSEdit).

Everything here is a mean field: kᵀA_t⁻¹k and ‖A_t⁻¹k‖² of a fresh key are replaced by their deterministic equivalents,
and the sum over edits by an integral. What is exact stands in `exact`, the proofs in `mean_field_proofs`.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from theory.accumulating.exact import exponential
from theory.command import Misuse


def fresh_gain(n: int, ridge: float, t: ArrayLike) -> NDArray[np.float64]:
    """s_t = kᵀA_t⁻¹k of a key that is still to come, in the mean field of isotropic keys, E kkᵀ = I.

        s = n/(L2 + t/(1 + s)),   that is   L2 s² + (L2 + t − n) s − n = 0,   s > 0

    Args:
        n: the key dimension; rank(P) for AlphaEdit.
        ridge: L2, in key units squared (units in which E kkᵀ = I).
        t: how many keys are in A_t; any shape, and any real number at least 0.

    Returns:
        s_t, dimensionless; the next write's share is η = s/(1 + s). Exact at t = 0, where it is n/L2.

    Raises:
        Misuse: n < 1, a ridge that is not positive, or t < 0.

    Source: T3b.mean_field; E s_{t−1} is never below it, T3b.gain_bound.

    >>> fresh_gain(8, 2.0, [0, 6]).tolist()
    [4.0, 2.0]
    """
    check_ridge(n, ridge)
    edits = np.asarray(t, dtype=np.float64)
    if not np.all((edits >= 0) & (edits < np.inf)):
        raise Misuse(f"t = {t!r} edits are asked for; it must be at least 0 and finite")
    linear = ridge + edits - n
    root = np.sqrt(linear**2 + 4 * ridge * n)
    # Of the two forms of the positive root the one without cancellation, for either sign of the linear term.
    return np.asarray(np.where(linear > 0, 2 * n / (root + np.abs(linear)), (root + np.abs(linear)) / (2 * ridge)))


def growth_rate(n: int, ridge: float, t: ArrayLike) -> NDArray[np.float64]:
    """q_t: d log‖W‖²/dt = c² q_t in the mean field of isotropic keys.

        q = tr A⁻²/(1 + s)² = −d log(1 + s)/dt = s²/((1 + s)(n + L2 s²))

        L2 → 0:   q = 1/(n − t) for t < n,   n/(t(t − n)) for t > n

    Args:
        n: the key dimension.
        ridge: L2, in key units squared.
        t: the number of past keys.

    Returns:
        q_t, per edit.

    Source: T3b.mean_field, T3b.limits.

    >>> round(float(growth_rate(100, 1e-9, 60)), 6)
    0.025
    """
    s = fresh_gain(n, ridge, t)
    return np.asarray(s / (1 + s) / (n / s + ridge * s))  # s² overflows for the smallest ridges


def accumulating_growth(n: int, ridge: float, c: float, steps: int) -> NDArray[np.float64]:
    """R_t/R_0 for a rule that adds every key to A_t: a mean-field approximation, not a theorem.

        R_t/R_0 = ((1 + s_0)/(1 + s_t))^(c²),   s_0 = n/L2

    A power law up to t = n, then saturation at (1 + n/L2)^(c²). It needs no isotropy of W with respect to A_t.

    Args:
        n: the key dimension (rank(P) for AlphaEdit); keys are isotropic with E kkᵀ = I.
        ridge: L2, in key units squared.
        c: ‖δ‖/‖Wk‖, dimensionless; δ is orthogonal to WA⁻¹k on average.
        steps: the number of edits.

    Returns:
        (steps + 1,) the ratios, from 1.

    Raises:
        Misuse: n < 1, a ridge that is not positive, or c or the steps negative.

    Source: T3b.mean_field: the integral of c² q_t.

    >>> accumulating_growth(8, 1.0, 0.0, 2).tolist()
    [1.0, 1.0, 1.0]
    >>> accumulating_growth(8, 2.0, 1.0, 6)[[0, 6]].round(12).tolist()
    [1.0, 1.666666666667]
    """
    check_stream(c, steps)
    s = fresh_gain(n, ridge, np.arange(steps + 1))
    return np.asarray(((1 + s[0]) / (1 + s)) ** (c * c))


def saturation(n: int, ridge: float, c: float) -> tuple[float, float]:
    """R_t/R_0 at the interpolation threshold t = n, and for t → ∞, in the mean field.

        R_n/R_0 = ((1 + n/L2)/(1 + s_n))^(c²) ~ (n/L2)^(c²/2),      R_∞/R_0 = (1 + n/L2)^(c²)

    Args:
        n: the key dimension.
        ridge: L2, in key units squared.
        c: ‖δ‖/‖Wk‖.

    Returns:
        The two ratios; infinite where they overflow.

    Raises:
        Misuse: n < 1, a ridge that is not positive, or c negative.

    Source: T3b.limits.

    >>> [round(x, 6) for x in saturation(6, 3.0, 1.0)]
    [1.5, 3.0]
    """
    check_ridge(n, ridge)
    check_stream(c, 0)
    final = math.log1p(n / ridge)
    at_threshold = math.log1p(float(fresh_gain(n, ridge, n)))
    return exponential(c * c * (final - at_threshold)), exponential(c * c * final)


def fastest_edit(n: int, ridge: float) -> float:
    """The edit at which the norm grows fastest, in the mean field of isotropic keys: the interpolation threshold.

        L2 s³ = n(s + 2),   t* = (1 + s)(n/s − L2)          (n − 3·L2 for small L2)

    Args:
        n: the key dimension; rank(P) for AlphaEdit.
        ridge: L2, in key units squared.

    Returns:
        t* ≥ 0. It is 0, growth slows down from the first edit on, exactly when L2 ≥ n/2.

    Raises:
        Misuse: n < 1, or a ridge that is not positive.

    Source: T3b.fastest.

    >>> round(fastest_edit(1000, 1.0), 1), fastest_edit(10, 5.0)
    (997.1, 0.0)
    """
    check_ridge(n, ridge)
    if 2 * ridge >= n:
        return 0.0
    # One root is positive (one change of sign), and the real parts of the others are negative (the three sum to 0).
    s = float(np.roots([ridge, 0.0, -n, -2.0 * n]).real.max())
    return (1 + s) * (n / s - ridge)


def batched_growth(n: int, ridge: float, c: float, batch: int, steps: int) -> NDArray[np.float64]:
    """R/R_0 after each of some batches of u keys, in the mean field: a batch is softened by its own keys.

        R_{t+u} = R_t (1 + c² u q_{t+u})

    Args:
        n: the key dimension.
        ridge: L2, in key units squared.
        c: ‖δ‖/‖Wk‖ of every request of a batch, δ undirected and independent between requests.
        batch: u.
        steps: the number of batches.

    Returns:
        (steps + 1,) the ratios; one key at a time (u = 1) is `accumulating_growth` up to O(1/n).

    Raises:
        Misuse: n < 1, a ridge that is not positive, c or the steps negative, or u no whole number of at least 1.

    Source: T3b.batch; A_{t+u}⁻¹K = A_t⁻¹K(I + KᵀA_t⁻¹K)⁻¹, and each key's share of it is a single key's.

    >>> batched_growth(8, 1.0, 0.0, 4, 2).tolist()
    [1.0, 1.0, 1.0]
    """
    check_stream(c, steps)
    if not batch >= 1 or batch % 1:
        raise Misuse(f"the batch holds {batch} keys; it must hold a whole number of them, at least 1")
    rates = growth_rate(n, ridge, batch * np.arange(1, steps + 1))
    return np.concatenate(([1.0], np.cumprod(1 + c * c * batch * rates)))


def check_ridge(n: int, ridge: float) -> None:
    """Raise Misuse unless n key dimensions and a ridge can make a metric."""
    if not 0 < ridge < math.inf:
        raise Misuse(f"the ridge L2 is {ridge}; it must be positive, such as 10")
    if not 1 <= n < math.inf:
        raise Misuse(f"n = {n} key dimensions are given; there must be at least 1")


def check_stream(c: float, steps: int) -> None:
    """Raise Misuse unless c and a number of writes speak of a stream."""
    if not 0 <= c < math.inf:
        raise Misuse(f"the shift c is {c}; it must be a number of at least 0, such as 0.75")
    if not steps >= 0 or steps % 1:
        raise Misuse(f"{steps} steps are asked for; give a whole number of at least 0")
