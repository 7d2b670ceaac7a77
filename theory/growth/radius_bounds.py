"""What can be said of ρ(T) cheaply, and of the law's ρ from a sample: certificates and intervals."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from theory.command import Misuse
from theory.growth.growth_operator import outer_sum, quadratic, sample_perron
from theory.growth.key_laws import Array, KeyLaw, SampleKeys
from theory.growth.quadratures import gaussian_moments


class Certificate(NamedTuple):
    """Two bounds of ρ(T).

    Attributes:
        low: ρ ≥ low.
        high: ρ ≤ high.
    """

    low: float
    high: float


class RadiusInterval(NamedTuple):
    """What a sample of N independent keys says of the radius ρ of the law they were drawn from.

    Attributes:
        low: ρ ≥ low with probability `confidence`, for every law (Maurer and Pontil's empirical Bernstein bound).
        high: ρ ≤ high with probability `confidence`, for every law (Chernoff's bound at the law's own eigenmatrix); at
            most 1, which no radius exceeds.
        cross_fit: the mean that `low` bounds; its expectation is at most ρ.
        full_sample: ρ(T_N), whose expectation is at least ρ; it exceeds E[η²]/N at every sample.
        confidence: of each side.
    """

    low: float
    high: float
    cross_fit: float
    full_sample: float
    confidence: float


def share_matrix(law: KeyLaw) -> Array:
    """B = E[η²ŷŷᵀ] = T(I) (n, n), in the coordinates of the law; its trace is E[η²]."""
    if isinstance(law, SampleKeys):
        return outer_sum(law, law.gains**2 / len(law.gains))
    return np.diag(gaussian_moments(law).second.sum(axis=1))


def radius_certificate(law: KeyLaw) -> Certificate:
    """Bounds of ρ(T) from B = E[η²ŷŷᵀ] alone, at the cost of one covariance.

        ‖B‖²_F/tr B ≤ ρ ≤ λ_max(B)

    Args:
        law: of the keys.

    Returns:
        Both bounds; they are E[η²]/n when B is a multiple of I, and E[η²] when every key has one direction.

    Source: T3.certificate, T3.at_least.

    >>> radius_certificate(SampleKeys(np.eye(2), np.ones(2), np.ones(2)))
    Certificate(low=0.5, high=0.5)
    """
    eigenvalues = np.linalg.eigvalsh(share_matrix(law))
    return Certificate(float((eigenvalues**2).sum() / eigenvalues.sum()), float(eigenvalues[-1]))


def radius_interval(law: SampleKeys, confidence: float = 0.95, rtol: float = 1e-6) -> RadiusInterval:
    """An interval for the law's ρ from N keys drawn independently from it.

        X from the even keys;  f_i = η_i²(ŷ_iᵀXŷ_i)²/‖X‖²_F over the odd ones:  E[f̄ | X] ≤ ρ ≤ E ρ(T_N)
        low = f̄ − √(2V ln(2/δ)/N') − 7b ln(2/δ)/(3(N'−1)),   b = λ_max(X)²/‖X‖²_F ≥ f_i,  N' odd keys, V their variance
        high = min(1, (√(d/2) + √(d/2 + ρ(T_N)))²),   d = ln(1/δ)/N

    Args:
        law: N ≥ 4 keys, independent and of one law; neighbours in a text are neither.
        confidence: 1 − δ of each side, so that both hold with probability at least 1 − 2δ.
        rtol: of the two radii.

    Returns:
        The interval; it holds for every N, and is narrow only where N·ρ is large.

    Raises:
        Misuse: fewer than four keys, or a confidence outside (0, 1).

    Source: T3.sampling.
    """
    _, count = law.shape
    if count < 4:
        raise Misuse(f"{count} keys give no interval of the radius; pass at least 4")
    if not 0 < confidence < 1:
        raise Misuse(f"the confidence is {confidence}; it must lie between 0 and 1, such as 0.95")
    matrix = sample_perron(law.part(0, 2), rtol).matrix
    other = law.part(1, 2)
    norm_sq, largest = float((matrix**2).sum()), float(np.linalg.eigvalsh(matrix)[-1])
    shares = (other.gains * quadratic(other, matrix)) ** 2 / norm_sq
    full = sample_perron(law, rtol).radius.high
    return RadiusInterval(
        max(bernstein_low(shares, largest**2 / norm_sq, confidence), 0.0),
        min(chernoff_high(full, count, confidence), 1.0),
        float(shares.mean()),
        full,
        confidence,
    )


def bernstein_low(samples: Array, largest: float, confidence: float) -> float:
    """A lower confidence limit for the mean of independent numbers in [0, largest] (Maurer and Pontil 2009, theorem 4).

        x̄ − √(2V ln(2/δ)/N) − 7·largest·ln(2/δ)/(3(N − 1)),   δ = 1 − confidence,   N ≥ 2

    >>> bernstein_low(np.ones(11), 0.0, 0.9)
    1.0
    """
    if len(samples) < 2:
        raise Misuse(f"{len(samples)} numbers have no variance, which the limit needs; pass at least 2")
    count, risk = len(samples), math.log(2 / (1 - confidence))
    width = math.sqrt(2 * float(samples.var(ddof=1)) * risk / count) + 7 * largest * risk / (3 * (count - 1))
    return float(samples.mean()) - width


def chernoff_high(mean: float, count: int, confidence: float) -> float:
    """An upper confidence limit for the expectation of N independent numbers in [0, 1] whose mean is at most `mean`.

        P(x̄ ≤ μ − ε) ≤ exp(−Nε²/(2μ)):   μ ≤ (√(d/2) + √(d/2 + x̄))²,   d = ln(1/δ)/N

    >>> round(chernoff_high(0.0, 10, 1 - math.exp(-5)), 12)
    1.0
    """
    half = -math.log(1 - confidence) / count / 2
    return (math.sqrt(half) + math.sqrt(half + mean)) ** 2
