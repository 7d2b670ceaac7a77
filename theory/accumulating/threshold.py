"""At which edit an accumulating editor's norm grows fastest: the interpolation threshold foretold from a key sample."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import optimize

from theory.accumulating.spectrum import field
from theory.command import Misuse

POINTS = 400
"""Values of τ at which the rate is looked at before its highest point is refined."""


class Threshold(NamedTuple):
    """A foretold threshold; a mean-field approximation with the sample's own uncertainty.

    Attributes:
        edits: t*, where d log E‖W_t k‖²/dt is highest; 0 where growth slows down from the first edit on.
        low: the smallest of t* and of its values on the two halves of the sample.
        high: the largest of them; infinite where the sample is too small to bound it.
        dimension: the effective dimension d(t*) that t* edits have used up.
        rank: the number of directions that the sample, or its projection, spans.
        keys: the sample's size N.
        resolved: whether N is at least twice t* on the whole sample and on its halves. A smaller sample spans too few
            directions: its t* is then no more than a lower bound: directions that it does not show would add to it.
    """

    edits: float
    low: float
    high: float
    dimension: float
    rank: int
    keys: int
    resolved: bool

    def sentence(self) -> str:
        """What may be said of it, in one sentence."""
        if self.edits == 0:
            return f"growth slows down from the first edit on: the ridge outweighs these {self.keys} keys"
        if not self.resolved:
            return f"the threshold lies at {self.low:.0f} edits or later; {self.keys} keys are too few to say more"
        halves = f"halves of the sample: {self.low:.0f} to {self.high:.0f}"
        return f"the norm grows fastest near edit {self.edits:.0f} ({halves})"


def spectral_threshold(spectrum: ArrayLike, ridge: float) -> tuple[float, float]:
    """The edit of fastest growth, and the effective dimension used up there, from the keys' spectrum.

        t* = argmax_t (−d log(1 + s_t)/dt)

    Args:
        spectrum: (p,) eigenvalues of Σ, or of PΣP, in key units squared.
        ridge: L2, in key units squared.

    Returns:
        (t*, d(t*)); (0, 0) where the rate falls from the first edit on. The highest of several peaks counts.

    Source: T3b.fastest, T3b.spectrum; isotropic keys give `fastest_edit`.

    >>> [round(x, 1) for x in spectral_threshold(np.ones(1000), 1.0)]
    [997.1, 967.4]
    """
    sigma = np.asarray(spectrum, dtype=np.float64)
    positive = sigma[sigma > 0]
    if not positive.size:
        raise Misuse("the keys' spectrum has no eigenvalue above 0; take it from Σ or PΣP")
    # Between these, τσ goes from far below L2 for the largest eigenvalue to far above it for the smallest.
    scale = np.log(ridge / positive.max()) - 12, np.log(ridge / positive.min()) + 12
    grid = np.linspace(*scale, POINTS)
    rates = np.log(field(sigma, ridge, np.exp(grid)).readout_rate)
    best = int(rates.argmax())
    if best == 0 or rates[best] <= np.log(float(field(sigma, ridge, 0.0).readout_rate)):
        return 0.0, 0.0
    around = (grid[best - 1], grid[min(best + 1, POINTS - 1)])
    found = optimize.minimize_scalar(
        lambda x: -np.log(float(field(sigma, ridge, np.exp(x)).readout_rate)),
        bounds=around, method="bounded", options={"xatol": 1e-9},
    )  # fmt: skip
    at = field(sigma, ridge, float(np.exp(found.x)))
    return float(at.edits), float(at.dimension)


def threshold(keys: NDArray[np.float64], ridge: float, basis: NDArray[np.float64] | None = None) -> Threshold:
    """The threshold that a sample of keys foretells.

    Args:
        keys: (N, n) one key a row, drawn as the edits' keys are, in their order of drawing; not centred.
        ridge: L2, in key units squared; 10 for AlphaEdit as published.
        basis: U (n, p) with P = UUᵀ for a projected rule; None is P = I.

    Returns:
        The threshold with its bracket over the sample's halves, and whether the sample resolves it.

    Raises:
        Misuse: fewer than four keys, shapes that do not fit, keys that are not finite, or a ridge that is not positive.

    Source: T3b.spectrum with Σ = KᵀK/N.

    >>> sample = np.random.default_rng(0).normal(size=(4000, 32))
    >>> found = threshold(sample, 0.01)
    >>> found.resolved, 31 < found.edits < 33, found.rank
    (True, True, 32)
    """
    sample = check_sample(keys, basis)
    if not ridge > 0:
        raise Misuse(f"the ridge L2 is {ridge}; it must be positive, such as 10")
    spectra = [sample_spectrum(part) for part in (sample, sample[::2], sample[1::2])]
    whole, *halves = (spectral_threshold(spectrum, ridge) for spectrum in spectra)
    edits = [whole[0], *(half[0] for half in halves)]
    resolved = len(sample) >= 2 * edits[0] and len(sample) >= 4 * max(edits[1:])
    return Threshold(
        edits=edits[0],
        low=min(edits),
        high=max(edits) if resolved else float("inf"),
        dimension=whole[1],
        rank=int(np.linalg.matrix_rank(sample)),
        keys=len(sample),
        resolved=resolved,
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
        Misuse: too few keys, shapes that do not fit, keys that are not finite, or all of them 0 in range(P).
    """
    sample = np.asarray(keys, dtype=np.float64)
    if sample.ndim != 2 or len(sample) < 4 or not np.all(np.isfinite(sample)):
        raise Misuse(f"keys of shape {sample.shape} are given; pass at least 4 finite keys, one a row")
    if basis is None:
        inside = sample
    elif basis.ndim == 2 and basis.shape[0] == sample.shape[1]:
        inside = sample @ basis
    else:
        raise Misuse(f"a basis of shape {basis.shape} does not fit keys of {sample.shape[1]} entries; pass (n, p)")
    if not np.any(inside):
        raise Misuse("every key is 0 in range(P), so nothing can be written; check the projector")
    return inside
