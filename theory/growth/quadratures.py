"""Moments of Gaussian keys' directions, by one integral over Laplace's variable and the trapezoidal rule."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from theory.growth.key_laws import Array, GaussianKeys

STEP = 0.2
"""Of log t. The integrand is analytic for |Im log t| < π/2, so the rule's error is about exp(−π²/STEP) ~ 1e-21."""

MARGIN = 42.0
"""e-foldings past the integrand's scales at which it has fallen below 1e-18 of its peak."""


class Moments(NamedTuple):
    """What a write's key law contributes, in the eigenbasis of M^{1/2}ΣM^{1/2}, where every matrix here is diagonal.

    Attributes:
        first: E[η ŷ_i²] (n,), the diagonal of E[η ŷŷᵀ].
        second: E[η² ŷ_i²ŷ_j²] (n, n), T on diagonal matrices.
        floor: E[η² ŷ_i²/s] (n,), in units of 1/s; infinite for hard writes with n ≤ 2.
    """

    first: Array
    second: Array
    floor: Array


def gaussian_moments(law: GaussianKeys, step: float = STEP) -> Moments:
    """E[η ŷ_i²], E[η² ŷ_i²ŷ_j²] and E[η² ŷ_i²/s] for y ~ N(0, diag μ) and η = share·s/(ridge + s).

        1/(ridge + s)^p = ∫₀^∞ t^(p−1) e^(−ridge·t) e^(−ts) dt,  p = 1, 2;    φ(t) = E e^(−ts) = Π(1 + 2tμ_l)^(−1/2)
        E[y_i² e^(−ts)] = φ a_i,  E[y_i²y_j² e^(−ts)] = (1 + 2·1{i=j}) φ a_i a_j,  a_i = μ_i/(1 + 2tμ_i)

    Args:
        law: the spectrum μ (n,) of MΣ, and the gain.
        step: of the trapezoidal rule in log t; another step shows the error of this one.

    Returns:
        The moments, with a relative error near 1e-14.

    Source: T3.gaussian.

    >>> gaussian_moments(GaussianKeys(np.ones(4))).first.round(12).tolist()
    [0.25, 0.25, 0.25, 0.25]
    """
    mu, ridge, share = law.spectrum, law.gain.ridge, law.gain.share
    t = laplace_nodes(mu, ridge, step)
    spread = 1 + 2 * t[:, None] * mu
    measure = t * step * np.exp(-0.5 * np.log(spread).sum(axis=1) - ridge * t)  # φ e^(−ridge·t) dt, dt = t d(log t)
    shares = mu / spread
    product = (shares * (t * measure)[:, None]).T @ shares
    floor = (t * measure) @ shares if ridge or len(mu) > 2 else np.full(len(mu), np.inf)
    return Moments(share * measure @ shares, share**2 * (product + 2 * np.diag(np.diag(product))), share**2 * floor)


def laplace_nodes(mu: Array, ridge: float, step: float) -> Array:
    """t on a grid that is even in log t, from well before the integrands begin to fall to where they have vanished."""
    tail = MARGIN * max(1.0, 2 / max(len(mu) - 2, 1))  # hard integrands end like t^(−(n−2)/2), t^(−n/2) without a floor
    first = -np.log(2 * mu.sum() + ridge) - MARGIN
    last = -np.log(2 * mu.min()) + tail
    if ridge:
        last = min(last, np.log(800 / ridge))  # e^(−800) is 0 in float64
    return np.exp(step * np.arange(np.floor(first / step), np.ceil(last / step) + 1))
