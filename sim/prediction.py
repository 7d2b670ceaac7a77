"""What theory foretells of a run, where it does, and the second moments behind the typical growth rate."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sim.config import GrowConfig
from theory.growth import mean_growth, soft_gain_moments


class Foretold(NamedTuple):
    """A prediction and how it is meant.

    Attributes:
        value: the number.
        relation: "=" exact in the mean, "≤" a bound, "≈" an approximation.
    """

    value: float
    relation: str = "="


def spectrum(config: GrowConfig) -> NDArray[np.float64]:
    """Σ's eigenvalues (n,): geometric, their extremes `anisotropy` apart, their sum n."""
    values = np.geomspace(1.0, config.anisotropy, config.n)
    return values * (config.n / values.sum())


def second_moments(m: int, n: int, c: float) -> NDArray[np.float64]:
    """G, one write's effect on the second moments, for η = 1, isotropic Gaussian keys and δ uniform across Wk.

        (E R², E tr S²) ← G (E R², E tr S²),  S = WᵀW,  with A = (2c² + c⁴)/(n(n+2)), B = 2c²/(n(m−1)):
        G = [[1 + 2c²/n + c⁴/(n(n+2)),  2c⁴/(n(n+2))],  [A + B,  1 + 2A − B]]

    Args:
        m: the value dimension, at least 2.
        n: the key dimension.
        c: ‖δ‖/‖Wk‖.

    Returns:
        G (2, 2), dimensionless; the pair is closed under the write, so this is exact.

    Source: T3; E k̂ᵢk̂ⱼk̂ₖk̂ₗ of a uniform direction, and E eeᵀ = (I − ŵŵᵀ)/(m − 1) of δ's direction.

    >>> second_moments(4, 8, 0.0).tolist()
    [[1.0, 0.0], [0.0, 1.0]]
    """
    fourth, square = n * (n + 2), c * c
    a, b = (2 * square + square**2) / fourth, 2 * square / (n * (m - 1))
    top = [1 + 2 * square / n + square**2 / fourth, 2 * square**2 / fourth]
    return np.array([top, [a + b, 1 + 2 * a - b]])


def second_moment_growth(m: int, n: int, c: float) -> float:
    """The growth factor of E[R²] per edit in the long run: the largest eigenvalue of `second_moments`.

        E R²_t ~ ρ(G)ᵗ

    Args:
        m: the value dimension, at least 2.
        n: the key dimension.
        c: ‖δ‖/‖Wk‖.

    Returns:
        ρ(G), dimensionless.

    Source: T3.

    >>> second_moment_growth(4, 8, 0.0)
    1.0
    """
    return float(np.linalg.eigvals(second_moments(m, n, c)).real.max())


def typical_exponent(m: int, n: int, c: float) -> float:
    """An approximation of the Lyapunov exponent, below Jensen's bound log(1 + c²/n).

        γ ≈ 2 log E₁ − ½ log E₂,   E_p the growth factor of E[R^p] per edit

    The exponents L(p) = log E_p form a convex curve through L(0) = 0 whose slope at 0 is γ; this is the slope of the
    parabola through its exact points at p = 0, 1, 2, so its error is the third cumulant of the growth.

    Args:
        m: the value dimension, at least 2.
        n: the key dimension.
        c: ‖δ‖/‖Wk‖, with δ uniform across Wk and η = 1.

    Returns:
        γ, in nats an edit, of R = ‖W‖².

    >>> typical_exponent(4, 8, 1.0) < math.log(1 + 1 / 8)
    True
    """
    return 2 * math.log(mean_growth(n, c)) - math.log(second_moment_growth(m, n, c)) / 2


def anisotropic_radius(eigenvalues: NDArray[np.float64]) -> float:
    """ρ(T), the spectral radius of X -> E[(k̂ᵀXk̂) k̂k̂ᵀ] for M = I and keys N(0, Σ).

        E[k_i²k_j²/‖k‖⁴] = ∫₀^∞ t φ(t) (1 + 2·1{i=j}) a_i(t) a_j(t) dt,  a_i = σ_i/(1 + 2tσ_i),  φ = Π(1 + 2tσ_l)^(−1/2)

    Args:
        eigenvalues: σ (n,), Σ's spectrum, in key units squared.

    Returns:
        ρ ≥ 1/n, with equality for an isotropic Σ.

    Source: T3, third row; the matrix above is T on diagonal X, which hold its Perron eigenvector.

    >>> round(anisotropic_radius(np.ones(5)), 9)
    0.2
    """
    nodes, weights = np.polynomial.legendre.leggauss(400)
    x, dx = (nodes + 1) / 2, weights / 2
    root = x / (1 - x)  # t = root²/n turns every half-integer power of t into a whole one of x
    scaled = eigenvalues / eigenvalues.mean()
    t = root**2 / len(scaled)
    spread = 1 + 2 * t[:, None] * scaled
    shares = scaled / spread
    density = np.exp(-0.5 * np.log(spread).sum(axis=1))
    measure = t * density * 2 * root / len(scaled) / (1 - x) ** 2 * dx
    matrix = (shares * measure[:, None]).T @ shares
    return float(np.linalg.eigvalsh(matrix + 2 * np.diag(np.diag(matrix)))[-1])


def isotropic(config: GrowConfig) -> bool:
    """Whether the keys are isotropic Gaussian in the write's metric: isotropic keys, or a matched covariance."""
    return config.keys == "gaussian" and (config.anisotropy == 1 or config.metric == "covariance")


def shifted(config: GrowConfig) -> bool:
    """Whether v = Wk + δ with ‖δ‖ = c‖Wk‖ and δ orthogonal to Wk, exactly or on average, one key a write."""
    return config.values in ("orthogonal", "isotropic") and config.batch == 1


def growth_factor(config: GrowConfig) -> Foretold | None:
    """The mean of R'/R per edit, R = ‖W‖²_{M⁻¹}, for the memoryless rules without NAS; None where theory is silent."""
    if config.anchor or config.rule == "alphaedit" or config.keys != "gaussian":
        return None
    if config.values == "turned" and config.rule == "rome" and isotropic(config):
        return Foretold(1.0)
    if not shifted(config):
        return None
    if isotropic(config):
        eta_squared = 1.0 if config.rule == "rome" else soft_gain_moments(config.n, config.lam)
        return Foretold(mean_growth(config.n, config.clamp, eta_squared))
    if config.rule == "rome":
        return Foretold(1 + config.clamp**2 * anisotropic_radius(spectrum(config)), "≈")
    return None


def exponent_bound(config: GrowConfig) -> Foretold | None:
    """Jensen's bound on the Lyapunov exponent, where the mean growth is known."""
    factor = growth_factor(config)
    return None if factor is None else Foretold(math.log(factor.value), "≤")


def exponent_estimate(config: GrowConfig) -> Foretold | None:
    """The second-order approximation of the Lyapunov exponent, for hard isotropic writes with δ across Wk."""
    fits = config.rule == "rome" and config.values == "orthogonal" and isotropic(config)
    if not fits or not shifted(config) or config.anchor:
        return None
    return Foretold(typical_exponent(config.m, config.n, config.clamp), "≈")
