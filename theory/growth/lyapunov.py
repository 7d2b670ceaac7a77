"""T3: how fast a typical path grows, as against the mean: proved bounds, and an approximation from second moments."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from theory.command import Misuse
from theory.growth.isotropic import mean_growth
from theory.growth.key_laws import Array

STEP = 0.1
"""Of log t; the integrand of `mean_log` is analytic for |Im log t| < π, so the rule's error is far below rounding."""


class ExponentBounds(NamedTuple):
    """Bounds of the Lyapunov exponent of R = ‖W‖², in nats an edit.

    Attributes:
        low: E log(R'/R | W) ≥ low for every W.
        high: E log(R'/R | W) ≤ high for every W.
        mean: log of the mean growth factor, Jensen's bound; `mean − high` and `mean − low` bound the Jensen gap.
    """

    low: float
    high: float
    mean: float


def mean_log(shape: float, rest: float, gain: float) -> float:
    """E log(1 + g x) for x ~ Beta(a, b).

        x = P/(P + Q),  P ~ Γ(a),  Q ~ Γ(b),  log z = ∫₀^∞ (e^(−t) − e^(−tz)) dt/t:
        E log(1 + gx) = ∫₀^∞ (1 + t)^(−a−b) [1 − (1 + gt/(1 + t))^(−a)] dt/t

    Args:
        shape: a > 0.
        rest: b ≥ 0; 0 is x = 1.
        gain: g ≥ 0.

    Returns:
        The mean, with a relative error near 1e-14.

    Raises:
        Misuse: numbers that no Beta law and no write has.

    Source: T3.typical.

    >>> round(mean_log(0.5, 0.5, 8.0), 12) == round(2 * math.log(2), 12)
    True
    """
    if not (0 < shape < math.inf and 0 <= rest < math.inf and 0 <= gain < math.inf):
        raise Misuse(f"a = {shape}, b = {rest}, g = {gain}: take a > 0, b ≥ 0 and g ≥ 0, all finite")
    total = shape + rest
    # The integrand falls like (1 + ag)t before 1/(a + b) and before 1/g, and like t^(−a−b) after.
    first, last = -42.0 - math.log1p(total) - math.log1p(gain), 42.0 * max(1.0, 1 / total)
    t = np.exp(STEP * np.arange(math.floor(first / STEP), math.ceil(last / STEP)))
    return float(STEP * np.sum(-np.exp(-total * np.log1p(t)) * np.expm1(-shape * np.log1p(gain * (t / (1 + t))))))


def exponent_bounds(m: int, n: int, c: float, eta: float = 1.0) -> ExponentBounds:
    """Bounds of γ = lim (1/t) E log R_t for isotropic keys, M = I, δ orthogonal to Wk and ‖δ‖ = c‖Wk‖, always.

        E log(1 + g x₁) ≤ E[log(R'/R) | W] ≤ E log(1 + g x_r/r) ≤ log(1 + g/n),   g = η²c²,  r = min(m, n)
        x_j ~ Beta(j/2, (n−j)/2), the square length of a random direction's first j coordinates

    Args:
        m: the value dimension, at least 2, so that δ has room.
        n: the key dimension.
        c: ‖δ‖/‖Wk‖ ≥ 0, dimensionless.
        eta: the fixed gain η in (0, 1].

    Returns:
        The bounds; they hold at every edit, so for (1/t) E log(R_t/R_0) at every t as well.

    Raises:
        Misuse: m < 2, n < 1, a negative or infinite c, or η outside (0, 1].

    Source: T3.typical; E log(1 + g Σp_i k̂_i²) is concave and symmetric in the eigenvalues p of WᵀW/R.

    >>> exponent_bounds(8, 8, 0.0)
    ExponentBounds(low=0.0, high=0.0, mean=0.0)
    """
    check_memory(m, n, c)
    if not 0 < eta <= 1:
        raise Misuse(f"the gain η is {eta}; it must lie in (0, 1]")
    gain, rank = (eta * c) ** 2, min(m, n)
    return ExponentBounds(
        mean_log(1 / 2, (n - 1) / 2, gain), mean_log(rank / 2, (n - rank) / 2, gain / rank), math.log1p(gain / n)
    )


def check_memory(m: float, n: float, c: float) -> None:
    """Raise Misuse unless δ with ‖δ‖ = c‖Wk‖ has a direction across Wk."""
    if not (2 <= m < math.inf and 1 <= n < math.inf):
        raise Misuse(f"a memory {m} x {n} leaves δ no direction across Wk; take m ≥ 2 and n ≥ 1")
    if not 0 <= c * c < math.inf or c < 0:
        raise Misuse(f"‖δ‖/‖Wk‖ is c = {c}; it must be finite and at least 0, such as 0.75")


def second_moment_entries(m: Any, n: Any, c: Any) -> list[list[Any]]:
    """The entries of `second_moments` for numbers or symbols.

    >>> second_moment_entries(3, 2, 0)
    [[1.0, 0.0], [0.0, 1.0]]
    """
    fourth, square = n * (n + 2), c * c
    a, b = (2 * square + square**2) / fourth, 2 * square / (n * (m - 1))
    return [[1 + 2 * square / n + square**2 / fourth, 2 * square**2 / fourth], [a + b, 1 + 2 * a - b]]


def second_moments(m: int, n: int, c: float) -> Array:
    """G, one write's effect on the second moments, for η = 1, isotropic keys, M = I and δ uniform across Wk.

        (E R², E tr S²) ← G (E R², E tr S²),  S = WᵀW,  with A = (2c² + c⁴)/(n(n+2)), B = 2c²/(n(m−1)):
        G = [[1 + 2c²/n + c⁴/(n(n+2)),  2c⁴/(n(n+2))],  [A + B,  1 + 2A − B]]

    Args:
        m: the value dimension, at least 2.
        n: the key dimension.
        c: ‖δ‖/‖Wk‖.

    Returns:
        G (2, 2), dimensionless; the pair is closed under the write, so this is exact.

    Raises:
        Misuse: m < 2, n < 1, or a negative or infinite c.

    Source: T3.second_moments.

    >>> second_moments(4, 8, 0.0).tolist()
    [[1.0, 0.0], [0.0, 1.0]]
    """
    check_memory(m, n, c)
    return np.array(second_moment_entries(m, n, c), dtype=np.float64)


def second_moment_growth(m: int, n: int, c: float) -> float:
    """The growth factor of E[R²] per edit in the long run: the largest eigenvalue of `second_moments`.

        E R²_t ~ ρ(G)ᵗ

    Args:
        m: the value dimension, at least 2.
        n: the key dimension.
        c: ‖δ‖/‖Wk‖.

    Returns:
        ρ(G), dimensionless.

    Source: T3.second_moments.

    >>> second_moment_growth(4, 8, 0.0)
    1.0
    """
    return float(np.linalg.eigvals(second_moments(m, n, c)).real.max())


def typical_exponent(m: int, n: int, c: float) -> float:
    """An *approximation* of the Lyapunov exponent, below Jensen's bound log(1 + c²/n); `exponent_bounds` are theorems.

        γ ≈ 2 log E₁ − ½ log E₂,   E_p the growth factor of E[R^p] per edit, kept between the bounds that are proved

    The exponents L(p) = log E_p form a convex curve through L(0) = 0 whose slope at 0 is γ; this is the slope of the
    parabola through its exact points at p = 0, 1, 2, so its error is of the order of the third cumulant of the growth.

    Args:
        m: the value dimension, at least 2.
        n: the key dimension.
        c: ‖δ‖/‖Wk‖, with δ uniform across Wk and η = 1.

    Returns:
        γ, in nats an edit, of R = ‖W‖².

    >>> typical_exponent(4, 8, 1.0) < math.log(1 + 1 / 8)
    True
    """
    slope = 2 * math.log(mean_growth(n, c)) - math.log(second_moment_growth(m, n, c)) / 2
    bounds = exponent_bounds(m, n, c)
    return min(max(slope, bounds.low), bounds.high)
