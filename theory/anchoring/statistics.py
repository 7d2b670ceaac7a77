"""T5, P13: the anchor as a statistic of pilots: what trimming makes of it, its error, and the plateau's."""

from __future__ import annotations

import math
from typing import NamedTuple

from scipy import stats

from theory.command import Misuse

TRIM = 0.05  # SasyaTitech/NAS, util/vstar_stats.py: the share of the largest norms that is dropped


class TrimmedMean(NamedTuple):
    """What the mean without the largest norms tends to for many pilots: both numbers are asymptotic, N → ∞.

    Attributes:
        limit: E[X | X ≤ q], q the (1 − trim) quantile, in value units.
        spread: the limit of √N times its standard error, in value units: sd(min(X, q))/(1 − trim).
    """

    limit: float
    spread: float


def trimmed_normal(mean: float, cv: float, trim: float = TRIM) -> TrimmedMean:
    """The one-sided trimmed mean of normal norms.

        limit = m − σ φ(z)/(1 − τ),   (1 − τ)² spread² = σ²[(1 − τ) − zφ + z²τ − (zτ − φ)²],   Φ(z) = 1 − τ

    Args:
        mean: m = E‖v‖, in value units.
        cv: σ/m, dimensionless.
        trim: τ in [1e-6, 0.9], the share of the largest norms that is dropped.

    Returns:
        Limit and spread.

    Raises:
        Misuse: a mean, a cv or a share outside what the closed forms resolve: 1e-3 ≤ cv ≤ 1e3.

    Source: T5.trim.

    >>> round(trimmed_normal(1.0, 0.1).limit, 4)
    0.9891
    """
    check_law(mean, cv, trim)
    z, sd = float(stats.norm.isf(trim)), cv * mean
    density = float(stats.norm.pdf(z))
    winsorised = (1 - trim) - z * density + z * z * trim - (z * trim - density) ** 2
    return TrimmedMean(mean - sd * density / (1 - trim), sd * math.sqrt(winsorised) / (1 - trim))


def trimmed_lognormal(mean: float, cv: float, trim: float = TRIM) -> TrimmedMean:
    """The one-sided trimmed mean of log-normal norms.

        limit = m Φ(z − σ)/(1 − τ),   σ² = log(1 + cv²)
        (1 − τ)² spread² = m²(1 + cv²)Φ(z − 2σ) + q²τ − (mΦ(z − σ) + qτ)²,   q = m exp(σz − σ²/2)

    Args:
        mean: m = E‖v‖, in value units.
        cv: sd/mean, dimensionless.
        trim: τ in [1e-6, 0.9].

    Returns:
        Limit and spread.

    Raises:
        Misuse: as `trimmed_normal`.

    Source: T5.trim.

    >>> round(trimmed_lognormal(1.0, 0.5).limit, 4)
    0.9258
    """
    check_law(mean, cv, trim)
    z, sigma = float(stats.norm.isf(trim)), math.sqrt(math.log1p(cv * cv))
    quantile = mean * math.exp(sigma * z - sigma * sigma / 2)
    first = mean * float(stats.norm.cdf(z - sigma))
    second = mean * mean * (1 + cv * cv) * float(stats.norm.cdf(z - 2 * sigma))
    winsorised = second + quantile * quantile * trim - (first + quantile * trim) ** 2
    return TrimmedMean(first / (1 - trim), math.sqrt(winsorised) / (1 - trim))


def plateau_shift(relative: float) -> float:
    """The relative change of the plateau when the anchor changes by a relative amount.

        R_∞ ∝ a²:   (1 + ε)² − 1

    Args:
        relative: ε ≥ −1, dimensionless.

    Raises:
        Misuse: an anchor that would become negative or is no number.

    Source: T5.sensitivity.

    >>> plateau_shift(-0.5)
    -0.75
    """
    if not -1 <= relative < math.inf:
        raise Misuse(f"a relative change of {relative} is given; an anchor may fall by 1 at most, and stays finite")
    return relative * (2 + relative)


def plateau_uncertainty(cv: float, pilots: int) -> float:
    """The relative standard error of the plateau that N pilots leave, to first order.

        2 cv/√N

    Args:
        cv: the trimmed mean's spread over its limit (about sd/mean of the norms), dimensionless.
        pilots: N ≥ 1.

    Returns:
        The relative standard error of R_∞, twice that of the anchor.

    Raises:
        Misuse: a negative cv or no pilot.

    Source: T5.sensitivity; P13's N from 100 to 2000.

    >>> [round(plateau_uncertainty(0.1, pilots), 4) for pilots in (100, 300, 500, 1000, 2000)]
    [0.02, 0.0115, 0.0089, 0.0063, 0.0045]
    """
    if not (0 <= cv < math.inf and 1 <= pilots < math.inf):
        raise Misuse(f"a cv of {cv} and {pilots} pilots are given; use a cv of at least 0 and at least one pilot")
    return 2 * cv / math.sqrt(pilots)


def check_law(mean: float, cv: float, trim: float) -> None:
    """Raise Misuse unless norms of this mean and spread can be trimmed by this share without loss of digits."""
    if not (0 < mean < math.inf and 1e-3 <= cv <= 1e3):
        raise Misuse(f"norms of mean {mean} and cv {cv} are given; use a positive mean and a cv from 0.001 to 1000")
    if not 1e-6 <= trim <= 0.9:
        raise Misuse(f"the trimmed share is {trim}; choose one from 1e-6 to 0.9, such as 0.05")
