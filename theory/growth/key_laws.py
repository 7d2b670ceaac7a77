"""The laws that keys follow, seen through a write's metric: a Gaussian, or a sample of keys."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import linalg

from theory.command import Misuse

Array = NDArray[np.float64]
ASYMMETRY = 1e-10
"""Relative asymmetry that a float64 covariance may have from the order of its sums."""

WIDEST = 1e100
"""Between its inverse and itself eigenvalues of MΣ keep the quadratures inside float64."""


@dataclass(frozen=True)
class Gain:
    """The share of the residual that a write takes, as the key's s = kᵀMk decides it.

        η(s) = share · s/(ridge + s)

    Attributes:
        ridge: 0 for a hard write (ROME), 1 for a soft one (MEMIT, M = A⁻¹); λ where M = C⁻¹ and A = λC.
        share: a fixed factor in (0, 1], such as 1/(L − i) of a residual spread over layers.

    Raises:
        Misuse: the ridge is negative or not finite, or the share is outside (0, 1].

    >>> float(Gain(1.0).of(np.array([3.0]))[0])
    0.75
    """

    ridge: float = 0.0
    share: float = 1.0

    def __post_init__(self) -> None:
        if not 0 <= self.ridge < np.inf:
            raise Misuse(f"the gain's ridge is {self.ridge}; it must be finite and at least 0 (0 is a hard write)")
        if not 0 < self.share <= 1:
            raise Misuse(f"the gain η has the factor {self.share}; it must lie in (0, 1]")

    def of(self, s: Array) -> Array:
        """η of keys whose kᵀMk is s (N,), dimensionless."""
        return self.share * s / (self.ridge + s)


HARD, SOFT = Gain(0.0), Gain(1.0)


@dataclass(frozen=True)
class GaussianKeys:
    """k ~ N(0, Σ) under a metric M: only MΣ's spectrum matters, since y = M^{1/2}k ~ N(0, M^{1/2}ΣM^{1/2}).

    Attributes:
        spectrum: μ (n,), MΣ's eigenvalues, positive; the unit of s = kᵀMk.
        gain: η as a function of s.
    """

    spectrum: Array
    gain: Gain = HARD

    def __post_init__(self) -> None:
        values = np.asarray(self.spectrum, dtype=np.float64)
        if values.ndim != 1 or not len(values):
            raise Misuse(f"the spectrum of MΣ has shape {values.shape}; pass its n eigenvalues as a vector")
        if not np.isfinite(values).all() or values.min() <= 0:
            raise Misuse(f"the spectrum of MΣ runs from {values.min()} to {values.max()}; it must be positive, finite")
        if values.min() < 1 / WIDEST or values.max() > WIDEST:
            raise Misuse(f"the spectrum of MΣ runs from {values.min()} to {values.max()}; rescale it, or add a ridge")
        object.__setattr__(self, "spectrum", values)


@dataclass(frozen=True)
class SampleKeys:
    """N keys, each with probability 1/N, in the metric's coordinates y = M^{1/2}k (up to a rotation).

    Attributes:
        directions: ŷ (n, N), unit columns.
        sizes: s = kᵀMk (N,), positive.
        gains: η (N,), in (0, 1].
    """

    directions: Array
    sizes: Array
    gains: Array

    @property
    def shape(self) -> tuple[int, int]:
        """n and N."""
        n, count = self.directions.shape
        return n, count

    def part(self, start: int, step: int) -> SampleKeys:
        """Every `step`-th key, from `start`."""
        pick = slice(start, None, step)
        return SampleKeys(self.directions[:, pick], self.sizes[pick], self.gains[pick])


KeyLaw = GaussianKeys | SampleKeys


def gaussian_keys(covariance: Array, statistic: Array | None = None, gain: Gain = HARD) -> GaussianKeys:
    """The law N(0, Σ) under the metric M = A⁻¹.

        μ = eigenvalues of A⁻¹Σ,   Σx = μAx

    Args:
        covariance: Σ (n, n), symmetric positive definite, key units squared.
        statistic: A (n, n), such as C for ROME and λC for MEMIT; None is A = I.
        gain: η(s).

    Returns:
        The law.

    Raises:
        Misuse: a matrix that is not square, finite, symmetric, positive definite and well conditioned in float64.

    >>> gaussian_keys(np.diag([1.0, 6.0]), np.diag([1.0, 2.0])).spectrum.round(12).tolist()
    [1.0, 3.0]
    """
    check_covariance(covariance, "the keys' covariance Σ")
    if statistic is None:
        return GaussianKeys(np.asarray(np.linalg.eigvalsh(covariance), dtype=np.float64), gain)
    check_covariance(statistic, "the metric's A")
    if statistic.shape != covariance.shape:
        raise Misuse(f"the metric's A {statistic.shape} does not fit Σ {covariance.shape}; pass both of one n")
    return GaussianKeys(linalg.eigh(covariance, statistic, eigvals_only=True), gain)


def sample_keys(keys: Array, statistic: Array | None = None, gain: Gain | Array = HARD) -> SampleKeys:
    """The law that draws each of N given keys with probability 1/N, under the metric M = A⁻¹.

        A = LLᵀ,  y = L⁻¹k,  s = ‖y‖² = kᵀMk,  ŷ = y/√s

    Args:
        keys: (n, N), one column a key, in key units.
        statistic: A (n, n); None is A = I.
        gain: η(s), or η (N,) as measured.

    Returns:
        The law.

    Raises:
        Misuse: keys that are no finite matrix or hold a zero column, an A that `check_covariance` refuses or that does
            not fit, or an η outside (0, 1].

    >>> sample_keys(np.array([[3.0], [4.0]])).directions.ravel().tolist()
    [0.6, 0.8]
    """
    columns = np.asarray(keys, dtype=np.float64)
    check_keys(columns)
    if statistic is not None:
        check_covariance(statistic, "the metric's A")
        if len(statistic) != len(columns):
            raise Misuse(f"the metric's A {statistic.shape} does not fit keys {columns.shape}; keys are columns (n, N)")
        columns = linalg.solve_triangular(np.linalg.cholesky(statistic), columns, lower=True, check_finite=False)
    scale = np.abs(columns).max(axis=0)  # so that no square over- or underflows
    directions = columns / scale
    lengths = np.sqrt(np.einsum("ij,ij->j", directions, directions))
    directions /= lengths
    with np.errstate(over="ignore", under="ignore"):
        sizes = (scale * lengths) ** 2
    if not (np.isfinite(sizes) & (sizes > 0)).all():
        raise Misuse(f"keys from {scale.min():.3g} to {scale.max():.3g} have squares outside float64; rescale the keys")
    gains = gain.of(sizes) if isinstance(gain, Gain) else np.asarray(gain, dtype=np.float64)
    check_gains(gains, len(sizes))
    return SampleKeys(directions, sizes, gains)


def check_keys(keys: Array) -> None:
    """Raise Misuse unless keys are a finite matrix without zero columns."""
    if keys.ndim != 2 or 0 in keys.shape:
        raise Misuse(f"keys have shape {keys.shape}; pass a matrix (n, N), one column a key")
    if not np.isfinite(keys).all():
        raise Misuse("a key holds NaN or infinity; drop it, or look for the edit that broke the model")
    zero = np.flatnonzero(~keys.any(axis=0))
    if len(zero):
        raise Misuse(f"key {zero[0]} is zero, so no write can reach its value; drop it ({len(zero)} such keys)")


def check_gains(gains: Array, count: int) -> None:
    """Raise Misuse unless η (N,) lies in (0, 1]."""
    if gains.shape != (count,):
        raise Misuse(f"the gains η have shape {gains.shape}; pass one number for each of the {count} keys")
    if not ((gains > 0) & (gains <= 1)).all():
        wrong = gains[~((gains > 0) & (gains <= 1))][0]
        raise Misuse(f"a gain η is {wrong}; it must lie in (0, 1]")


def check_covariance(matrix: Array, name: str) -> None:
    """Raise Misuse unless a matrix is square, finite, symmetric, positive definite and no worse than float64 can take.

    Args:
        matrix: (n, n).
        name: what it is called in the error.
    """
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or not len(matrix):
        raise Misuse(f"{name} has shape {matrix.shape}; pass a square matrix (n, n)")
    if not np.isfinite(matrix).all():
        raise Misuse(f"{name} holds NaN or infinity; recompute it from finite keys")
    if np.abs(matrix - matrix.T).max() > ASYMMETRY * np.abs(matrix).max():
        raise Misuse(f"{name} is not symmetric; pass E[k kᵀ], not a cross moment")
    values = np.linalg.eigvalsh(matrix)
    # Eigenvalues are known to about n·eps·max, so a smaller one may have any sign: it is noise.
    noise = len(matrix) * np.finfo(np.float64).eps * values[-1]
    if values[0] < -noise or values[-1] <= 0:
        raise Misuse(f"{name} is not positive definite (smallest eigenvalue {values[0]:.3g}); pass a covariance")
    if values[0] <= noise:
        condition = values[-1] / values[0] if values[0] > 0 else np.inf
        raise Misuse(f"{name} has condition number {condition:.3g}, beyond float64 at n = {len(matrix)}; add a ridge")
