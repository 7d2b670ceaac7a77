"""What theory foretells of a run, where it does."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sim.config import GrowConfig
from theory.growth.growth_operator import anisotropic_radius
from theory.growth.isotropic import mean_growth, soft_gain_moments
from theory.growth.lyapunov import typical_exponent


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


def isotropic(config: GrowConfig) -> bool:
    """Whether the keys are isotropic Gaussian in the write's metric: isotropic keys, or a matched covariance."""
    return config.keys == "gaussian" and (config.anisotropy == 1 or config.metric == "covariance")


def accumulates(config: GrowConfig) -> bool:
    """Whether the rule adds every key to its metric."""
    return config.rule in ("alphaedit", "memit_seq", "rlsedit")


def starting_ridge(config: GrowConfig) -> float:
    """The multiple of I that an accumulating rule starts from, where C is the identity."""
    return {"alphaedit": config.ridge, "memit_seq": config.lam, "rlsedit": config.ridge + config.lam}[config.rule]


def shifted(config: GrowConfig) -> bool:
    """Whether v = Wk + δ with ‖δ‖ = c‖Wk‖ and δ orthogonal to Wk, exactly or on average, one key a write."""
    return config.values in ("orthogonal", "isotropic") and config.batch == 1


def growth_factor(config: GrowConfig) -> Foretold | None:
    """The mean of R'/R per edit, R = ‖W‖²_{M⁻¹}, for the memoryless rules without NAS; None where theory is silent."""
    if config.anchor or config.transforms or accumulates(config) or config.keys != "gaussian":
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
    if not fits or not shifted(config) or config.anchor or config.transforms:
        return None
    return Foretold(typical_exponent(config.m, config.n, config.clamp), "≈")
