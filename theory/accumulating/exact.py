"""T3b where it is exact: the limit L2 → 0 of an accumulating rule, whose writes leave past keys' read-outs alone."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from theory.command import Misuse


def hard_step(level: Any, n: Any, t: Any, c: Any, theta: Any = 1) -> Any:
    """One hard write's effect on x = E‖W_t‖²/‖W_0‖², in whatever numbers it is given.

        x + 2(θ−1)/n + κ[(x − (n−t)/n)/(n−t−2) + 1/n],   κ = (θ−1)² + θ²c²

    Args:
        level: x.
        n: the key dimension.
        t: how many keys were written before, t < n − 2.
        c: ‖δ‖/‖Wk‖.
        theta: θ of v = θ(Wk + δ); 1 is no anchor.

    Returns:
        The next x.

    Source: T3b.exact.

    >>> hard_step(1.0, 4, 0, 1.0)
    1.25
    """
    weight = (theta - 1) ** 2 + theta**2 * c**2
    return level + 2 * (theta - 1) / n + weight * ((level - (n - t) / n) / (n - t - 2) + 1 / n)


def hard_growth(n: int, t: int, c: float, theta: float = 1.0) -> float:
    """E‖W_t‖²/‖W_0‖² of hard accumulating writes, exactly, for Gaussian keys.

        v = θ(Wk + δ):   2/n + α(n−2−t) + (1 − 2/n − α(n−2)) Π_{i<t} (1 + κ/(n−2−i)),
                         κ = (θ−1)² + θ²c²,   α = 2(1−θ)/(n(1+κ)),   Π = Γ(n−1+κ)Γ(n−1−t)/(Γ(n−1)Γ(n−1−t+κ))

    θ = 1 is L&E without an anchor: 2/n + (1 − 2/n)Π. As n → ∞ at fixed t/n it tends to the mean field (n/(n−t))^(c²).

    Args:
        n: the key dimension, at least 3; rank(P) for a projected rule.
        t: the number of edits, at most n: beyond it no key leaves all past ones alone.
        c: ‖δ‖/‖Wk‖.
        theta: θ > 0, a constant.

    Returns:
        The ratio; infinite for t = n − 1 and n, the interpolation threshold (κ = 0, θ = 1 without a shift, gives 1),
        and where it overflows.

    Raises:
        Misuse: n < 3, t no whole number in 0..n, c negative, or θ ≤ 0.

    Source: T3b.exact, T3b.threshold.

    >>> round(hard_growth(4, 1, 1.0), 12), hard_growth(4, 3, 1.0)
    (1.25, inf)
    """
    if n < 3 or t not in range(n + 1):
        raise Misuse(f"n = {n} and t = {t} are given; the exact law needs n >= 3 key dimensions and 0 <= t <= n edits")
    if not 0 <= c < math.inf:
        raise Misuse(f"the shift c is {c}; it must be a number of at least 0, such as 0.75")
    if not 0 < theta < math.inf:
        raise Misuse(f"theta is {theta}; the exact law needs a positive factor of the values, 1 for no anchor")
    weight = (theta - 1) ** 2 + theta**2 * c**2
    if t > n - 2:
        return math.inf if weight else 1.0
    slope = 2 * (1 - theta) / (n * (1 + weight))
    # A sum of logarithms: the Gammas' own are so large that their differences would lose digits.
    product = exponential(float(np.sum(np.log1p(weight / (n - 2.0 - np.arange(t))))))
    return 2 / n + slope * (n - 2 - t) + (1 - 2 / n - slope * (n - 2)) * product


def exponential(x: float) -> float:
    """eˣ, infinite where it overflows.

    >>> exponential(0.0), exponential(1000.0)
    (1.0, inf)
    """
    return math.exp(x) if x < math.log(1e308) else math.inf


def least_norm(n: int, t: int, start: float, length_sq: float) -> float:
    """E‖W_t‖² of hard accumulating writes of undirected values of one length, exactly, before and after t = n.

        t ≤ n − 2:  R_0(n−t)/n + a² t/(n−t−1);      t ≥ n + 2:  a² n/(t−n−1);      between them: ∞

    W_t is the limit L2 → 0 of the accumulating rule's, the interpolator nearest to W_0 up to t = n.
    It is the double descent of the interpolator of least norm: an anchor bounds the values, not the threshold.

    Args:
        n: the key dimension, at least 2.
        t: the number of edits.
        start: R_0 = ‖W_0‖²_F.
        length_sq: a², in value units squared per E kkᵀ = I.

    Returns:
        The mean of ‖W_t‖²_F.

    Raises:
        Misuse: n < 2, t no whole number of at least 0, R_0 negative, or a² not positive.

    Source: T3b.double_descent.

    >>> least_norm(10, 4, 1.0, 1.0), least_norm(10, 10, 1.0, 1.0)
    (1.4, inf)
    """
    if n < 2 or t < 0 or t % 1:
        raise Misuse(f"n = {n} and t = {t} are given; the law needs n >= 2 key dimensions and a whole t >= 0 of edits")
    if not (0 <= start < math.inf and 0 < length_sq < math.inf):
        raise Misuse(f"R_0 = {start} and a² = {length_sq} are given; give R_0 >= 0 and a² > 0")
    if t <= n - 2:
        return start * (n - t) / n + length_sq * t / (n - t - 1)
    return length_sq * n / (t - n - 1) if t >= n + 2 else math.inf


def growth_ceiling(n: int, ridge: float, c: float, key_sq_sum: float, *, orthogonal: bool = False) -> float:
    """What ‖W_t‖²/‖W_0‖² of an accumulating rule cannot exceed, for any keys and any relative shifts.

        (1 + Σ‖k_i‖²/(n L2))^(n p),   p = (1 + c)²;   in the mean, for shifts orthogonal to Wk on average, p = 1 + c²

    Args:
        n: the key dimension.
        ridge: L2, in key units squared.
        c: the largest ‖δ‖/‖Wk‖.
        key_sq_sum: Σ‖k_i‖² over the t edits, in key units squared.
        orthogonal: read it as a bound on the mean, for shifts that are orthogonal on average.

    Returns:
        The ceiling: a polynomial of t where keys are bounded, never an exponential; infinite where it overflows.

    Raises:
        Misuse: n < 1, the ridge is not positive, or c or Σ‖k_i‖² is negative.

    Source: T3b.polynomial.

    >>> growth_ceiling(1, 1.0, 0.0, 3.0)
    4.0
    """
    if not 0 < ridge < math.inf:
        raise Misuse(f"the ridge L2 is {ridge}; it must be positive, such as 10")
    if n < 1 or not (0 <= c < math.inf and 0 <= key_sq_sum < math.inf):
        raise Misuse(f"n = {n}, c = {c} and Σ‖k‖² = {key_sq_sum} are given; give n >= 1, c >= 0 and Σ‖k‖² >= 0")
    power = 1 + c * c if orthogonal else (1 + c) ** 2
    return exponential(n * power * math.log1p(key_sq_sum / (n * ridge)))


def anchored_ceiling(start: float, anchor: float, ridge: float, t: int, excitation: float = 0.0) -> float:
    """What ‖W_t‖_F of an accumulating rule with anchored values cannot exceed, for any keys and directions.

        ‖W_0‖ L2/(L2 + μt) + a√t·g,   g = 1/(2√L2) where μt ≤ L2, else √(μt)/(L2 + μt) ≤ 1/√(μt)

    Args:
        start: ‖W_0‖_F.
        anchor: a ≥ ‖v‖, in value units.
        ridge: L2, in key units squared.
        t: the number of edits.
        excitation: μ with λ_min(Σ kkᵀ) ≥ μt, in key units squared; 0 for none.

    Returns:
        The ceiling; it tends to a/√μ under excitation, and grows like √t without.

    Raises:
        Misuse: the ridge is not positive, or μ, t, a or ‖W_0‖ is negative.

    Source: T3b.anchored.

    >>> anchored_ceiling(1.0, 2.0, 4.0, 9)
    2.5
    """
    if not (0 < ridge < math.inf and 0 <= excitation < math.inf):
        raise Misuse(f"the ridge is {ridge} and the excitation {excitation}; give a positive L2 and μ >= 0")
    if not (0 <= start < math.inf and 0 <= anchor < math.inf and 0 <= t < math.inf):
        raise Misuse(f"‖W_0‖ = {start}, a = {anchor} and t = {t} are given; none of them can be negative or infinite")
    least = excitation * t
    gain = 1 / (2 * math.sqrt(ridge)) if least <= ridge else math.sqrt(least) / (ridge + least)
    return start * ridge / (ridge + least) + anchor * math.sqrt(t) * gain
