"""At which edit an accumulating editor's read-outs grow fastest: the threshold foretold from a key sample."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import optimize

from theory.accumulating.spectrum import field, field_at
from theory.command import Misuse

ROUNDING = 1e-9
"""A rate counts as rising where it exceeds an earlier one by this share; less may be rounding."""
POINTS = 400
"""Values of τ at which the rate is looked at before its highest point is refined."""
MOST = 0.5
"""The share of E‖k‖² in one direction above which the mean field is no longer good to a few percent (T3b.spectrum)."""


class Threshold(NamedTuple):
    """A foretold threshold; a mean-field approximation with the sample's own uncertainty.

    Attributes:
        edits: t*, where d log E‖W_t k‖²/dt is highest; 0 where the first edit makes it grow most.
        low: the smallest of t* and of its values on the two halves of the sample.
        high: the largest of them; infinite where the sample is too small to bound it.
        dimension: the effective dimension d(t*) that t* edits have used up.
        rank: the number of directions that the sample, or its projection, spans.
        keys: the sample's size N.
        resolved: whether N is at least twice t* on the whole sample and on its halves. A smaller sample spans too few
            directions: its t* is then no more than a lower bound: directions that it does not show would add to it.
        later: the highest of the rate's lower peaks after t*, 0 for none. Keys with a large common mean have one: the
            first edit writes the mean's direction, and the others reach their own threshold later.
        share: of E‖k‖² in the one direction that has most of it.
    """

    edits: float
    low: float
    high: float
    dimension: float
    rank: int
    keys: int
    resolved: bool
    later: float
    share: float

    def sentence(self) -> str:
        """What may be said of it, in one sentence."""
        if self.edits and not self.resolved:
            told = f"the threshold lies at {self.low:.0f} edits or later; {self.keys} keys are too few to say more"
        elif self.edits:
            halves = f"halves of the sample: {self.low:.0f} to {self.high:.0f}"
            told = f"E‖Wk‖² grows fastest near edit {self.edits:.0f} ({halves})"
        elif self.later:
            told = "E‖Wk‖² grows fastest at the first edit"
        else:
            told = f"E‖Wk‖² grows ever more slowly from the first edit on: these {self.keys} keys foretell no threshold"
        if self.later and (self.resolved or not self.edits):
            place = "near" if self.keys >= 2 * self.later else "no earlier than"
            told += f", and has a lower peak of growth {place} edit {self.later:.0f}"
        if self.share > MOST:
            told += f"; one direction holds {100 * self.share:.0f} % of E‖k‖²: the mean field overstates growth"
        return told


class Peak(NamedTuple):
    """A local maximum of d log E‖W_t k‖²/dt over t.

    Attributes:
        edits: where it lies.
        dimension: the effective dimension d used up there.
        rate: −d log(1 + s)/dt there.
    """

    edits: float
    dimension: float
    rate: float


def peaks(spectrum: ArrayLike, ridge: float) -> list[Peak]:
    """The edits at which the read-outs' growth is faster than just before and just after, the first edit included.

        the first edit: log((1 + s_0)/(1 + s_1));      later ones: the local maxima of −d log(1 + s_t)/dt at t > 1

    Args:
        spectrum: (p,) eigenvalues of Σ, or of PΣP, in key units squared.
        ridge: L2, in key units squared.

    Returns:
        The first edit, as a peak at t = 0, then the others in order.

    Raises:
        Misuse: no eigenvalue above 0, one that is negative or not finite, or a ridge that is not positive.

    Source: T3b.spectrum.

    >>> mean_beside_fifty = [1000.0] + [1.0] * 50  # the keys' common mean, and 50 directions
    >>> [round(peak.edits) for peak in peaks(mean_beside_fifty, 0.01)], len(peaks([1.0] * 50, 25.0))
    ([0, 51], 1)
    """
    sigma = np.asarray(spectrum, dtype=np.float64)
    start, after = field_at(sigma, ridge, [0.0, 1.0]).gain
    found = [Peak(0.0, 0.0, float(np.log1p(start) - np.log1p(after)))]
    positive = sigma[sigma > 0]
    # Between these, τσ goes from far below L2 for the largest eigenvalue to far above it for the smallest.
    scale = np.log(ridge) - np.log(positive.max()) - 12, np.log(ridge) - np.log(positive.min()) + 12
    grid = np.linspace(*scale, POINTS)
    rates = field(sigma, ridge, np.exp(grid)).readout_rate
    rises = rates[1:-1] > np.minimum.accumulate(rates)[:-2] * (1 + ROUNDING)
    tops = 1 + np.flatnonzero(rises & (rates[1:-1] >= rates[:-2]) & (rates[1:-1] >= rates[2:]))
    refined = (refined_peak(sigma, ridge, grid[top - 1], grid[top + 1]) for top in tops)
    return found + [peak for peak in refined if peak.edits > 1]


def refined_peak(sigma: NDArray[np.float64], ridge: float, low: float, high: float) -> Peak:
    """The peak of the rate between two values of log τ."""
    found = optimize.minimize_scalar(
        lambda x: -np.log(float(field(sigma, ridge, np.exp(x)).readout_rate)),
        bounds=(low, high), method="bounded", options={"xatol": 1e-9},
    )  # fmt: skip
    at = field(sigma, ridge, float(np.exp(found.x)))
    return Peak(float(at.edits), float(at.dimension), float(at.readout_rate))


def spectral_threshold(spectrum: ArrayLike, ridge: float) -> tuple[float, float]:
    """The edit of fastest growth, and the effective dimension used up there, from the keys' spectrum.

        t* = argmax_t (−d log(1 + s_t)/dt)

    Args:
        spectrum: (p,) eigenvalues of Σ, or of PΣP, in key units squared.
        ridge: L2, in key units squared.

    Returns:
        (t*, d(t*)), of the highest of `peaks`; (0, 0) where that is the first edit.

    Raises:
        Misuse: as `peaks`.

    Source: T3b.fastest, T3b.spectrum; isotropic keys give `fastest_edit`.

    >>> [round(x, 1) for x in spectral_threshold(np.ones(1000), 1.0)]
    [997.1, 967.4]
    """
    highest = max(peaks(spectrum, ridge), key=lambda peak: peak.rate)
    return highest.edits, highest.dimension


def threshold(keys: NDArray[np.float64], ridge: float, basis: NDArray[np.float64] | None = None) -> Threshold:
    """The threshold that a sample of keys foretells.

    Args:
        keys: (N, n) one key a row, drawn as the edits' keys are, in their order of drawing; not centred.
        ridge: L2, in key units squared; 10 for AlphaEdit as published.
        basis: U (n, p) with P = UUᵀ for a projected rule; None is P = I.

    Returns:
        The threshold with its bracket over the sample's halves, and whether the sample resolves it.

    Raises:
        Misuse: fewer than four keys, shapes that do not fit, keys that are not finite, a basis whose columns are not
            orthonormal, or a ridge that is not positive.

    Source: T3b.spectrum with Σ = KᵀK/N.

    >>> sample = np.random.default_rng(0).normal(size=(4000, 32))
    >>> found = threshold(sample, 0.01)
    >>> found.resolved, 31 < found.edits < 33, found.rank
    (True, True, 32)
    """
    sample = check_sample(keys, basis)
    spectrum = sample_spectrum(sample)
    found = peaks(spectrum, ridge)
    highest = max(found, key=lambda peak: peak.rate)
    halves = [spectral_threshold(sample_spectrum(part), ridge)[0] for part in (sample[::2], sample[1::2])]
    edits = [highest.edits, *halves]
    later = sorted((peak for peak in found if peak.edits > highest.edits), key=lambda peak: -peak.rate)
    resolved = len(sample) >= 2 * edits[0] and len(sample) >= 4 * max(halves)
    return Threshold(
        edits=highest.edits,
        low=min(edits),
        high=max(edits) if resolved else float("inf"),
        dimension=highest.dimension,
        rank=int(np.linalg.matrix_rank(sample)),
        keys=len(sample),
        resolved=resolved,
        later=later[0].edits if later else 0.0,
        share=float(spectrum[0] / spectrum.sum()),
    )


def sample_spectrum(keys: NDArray[np.float64]) -> NDArray[np.float64]:
    """The eigenvalues of KᵀK/N above rounding, largest first.

    >>> sample_spectrum(np.array([[1.0, 0.0], [1.0, 0.0]])).round(12).tolist()
    [1.0]
    """
    values = np.linalg.svd(keys, compute_uv=False) ** 2 / len(keys)
    return np.asarray(values[values > values[0] * np.finfo(np.float64).eps * max(keys.shape)])


def check_sample(keys: NDArray[np.float64], basis: NDArray[np.float64] | None) -> NDArray[np.float64]:
    """The sample in the coordinates of range(P).

    Raises:
        Misuse: too few keys, shapes that do not fit, keys that are not finite, a basis that is not orthonormal, or
            all keys 0 in range(P).
    """
    sample = np.asarray(keys, dtype=np.float64)
    if sample.ndim != 2 or len(sample) < 4 or not np.all(np.isfinite(sample)):
        raise Misuse(f"keys of shape {sample.shape} are given; pass at least 4 finite keys, one a row")
    if basis is not None and (basis.ndim != 2 or basis.shape[0] != sample.shape[1]):
        raise Misuse(f"a basis of shape {basis.shape} does not fit keys of {sample.shape[1]} entries; pass (n, p)")
    if basis is not None and not np.allclose(basis.T @ basis, np.eye(basis.shape[1]), atol=1e-4):
        off = np.abs(basis.T @ basis - np.eye(basis.shape[1])).max()
        raise Misuse(
            f"the basis' columns are not orthonormal (UᵀU is {off:.3g} off I); pass U of P = UUᵀ, not P itself"
        )
    inside = sample if basis is None else sample @ basis
    if not np.any(inside):
        raise Misuse("every key is 0 in range(P), so nothing can be written; check the projector")
    return inside
