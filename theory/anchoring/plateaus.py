"""T5: what anchored values (NAS, ‖v‖ = a) make of the norm; the proofs are in the files *_proofs of T5."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import integrate, stats

from theory.command import Misuse


def plateau(anchor: float, n: int) -> float:
    """The limit of E‖W_t‖²_F under NAS with hard writes, exactly, for keys N(0, I_n) and C = I.

        R_∞ = a² n E[1/‖k‖²] = a² n/(n − 2)

    Args:
        anchor: a, in value units.
        n: the key dimension, at least 3: below it E[1/‖k‖²] is infinite.

    Returns:
        R_∞, in value units squared per key unit squared.

    Raises:
        Misuse: n < 3, or an anchor that is not positive.

    Source: T5.fixed_point.

    >>> plateau(2.0, 4)
    8.0
    """
    check_anchor(anchor)
    if not n >= 3:
        raise Misuse(f"the key dimension is {n}; Gaussian keys have a plateau from n = 3 on")
    return anchor * anchor * n / (n - 2)


def relaxation(n: int) -> float:
    """The number of edits after which the distance of E‖W‖² to the plateau has fallen e-fold.

        (1 − 1/n)^τ = 1/e

    Args:
        n: the key dimension, at least 2.

    Returns:
        τ, close to n.

    Raises:
        Misuse: n < 2.

    Source: T5.fixed_point.

    >>> round(relaxation(1000), 1)
    999.5
    """
    if not n >= 2:
        raise Misuse(f"the key dimension is {n}; a relaxation time needs at least 2")
    return float(-1 / np.log1p(-1 / n))


def original_norm_sq(norm_sq_0: float, clamp: float, n: int, edits: ArrayLike) -> NDArray[np.float64]:
    """E‖W_t‖²_F where values are solved on the original weight (NSE's policy), hard writes, isotropic keys and C = I.

        R_t = R_0 (1 + c² (1 − (1 − 1/n)^t)),   at most (1 + c²) R_0

    Args:
        norm_sq_0: R_0 = ‖W_0‖²_F.
        clamp: c = ‖δ‖/‖W_0k‖, dimensionless.
        n: the key dimension, at least 2.
        edits: t, numbers of edits.

    Returns:
        R_t for every t.

    Raises:
        Misuse: n < 2.

    Source: T5.original.

    >>> original_norm_sq(8.0, 1.0, 2, [0, 1, 100]).tolist()
    [8.0, 12.0, 16.0]
    """
    if not n >= 2:
        raise Misuse(f"the key dimension is {n}; the norm relaxes from n = 2 on")
    left = (1 - 1 / n) ** np.asarray(edits, dtype=float)
    return np.asarray(norm_sq_0 * (1 + clamp**2 * (1 - left)))


def worst_case(norm_sq_0: float, anchor: float, etas: ArrayLike, s: ArrayLike) -> NDArray[np.float64]:
    """What ‖W_t‖²_{M⁻¹} cannot exceed under NAS, whatever the keys and the directions of the values.

        ‖W_t‖² ≤ ‖W_0‖² + Σ_{i<t} η_i a²/((2 − η_i) s_i)          (hard writes: a²/s_i)

    Args:
        norm_sq_0: ‖W_0‖²_{M⁻¹}.
        anchor: a, in value units; also covers values shorter than a.
        etas: (t,) written shares in (0, 1], or one for all.
        s: (t,) kᵀMk > 0.

    Returns:
        (t + 1,) the bound before the first edit and after each.

    Raises:
        Misuse: a share outside (0, 1], an s that is not positive, no anchor or a negative norm.

    Source: T5.sharp; η/(2 − η) ≤ η makes it at least as tight as T5.worst_case's Σ η_i a²/s_i.

    >>> worst_case(1.0, 2.0, 1.0, [4.0, 2.0]).tolist()
    [1.0, 2.0, 4.0]
    """
    check_anchor(anchor, norm_sq_0)
    share, size = checked_writes(etas, s)
    return norm_sq_0 + np.concatenate(([0.0], np.cumsum(anchor**2 * share / ((2 - share) * size))))


def checked_writes(etas: ArrayLike, s: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The written shares and sizes s of a stream, each as (t,).

    Raises:
        Misuse: shapes that do not fit, a share outside (0, 1] or an s that is not positive.
    """
    share, size = np.asarray(etas, dtype=np.float64), np.asarray(s, dtype=np.float64)
    if share.ndim > 1 or size.ndim > 1 or (share.ndim and size.ndim and share.shape != size.shape):
        raise Misuse(
            f"shares {share.shape} and sizes {size.shape} are given; pass one of each per edit, or one for all"
        )
    share, size = np.broadcast_arrays(share, size)
    if not (np.all(share > 0) and np.all(share <= 1)):
        raise Misuse(f"written shares η from {share.min()} to {share.max()} are given; they lie in (0, 1]")
    if not np.all(size > 0):
        raise Misuse(f"an s = kᵀMk of {size.min()} is given; it must be positive, so drop zero keys")
    return share, size


def soft_plateau(anchor: float, n: int, ridge: float) -> float:
    """The limit of E tr(W_t Σ W_tᵀ) under NAS with MEMIT's soft writes, exactly, for values without a direction.

        R_∞ = a² n E[x/(x + ρ)²] / E[x(x + 2ρ)/(x + ρ)²],   x ~ χ²_n

    Args:
        anchor: a, in value units.
        n: the key dimension.
        ridge: ρ > 0 in A = ρΣ, for keys N(0, Σ): MEMIT's λ with C = Σ.

    Returns:
        R_∞, in value units squared: ‖W‖²_F for Σ = I, and E‖Wk‖² for every Σ. It is (1/ρ)‖W‖²_A.

    Raises:
        Misuse: an anchor that is not positive, a dimension below 1, or a ridge outside 1e-100 to 1e100.

    Source: T5.soft_plateau; its value T5.soft_numbers.

    >>> round(soft_plateau(1.0, 16, 16.0), 3)
    0.333
    """
    check_anchor(anchor)
    check_soft_law(n, ridge)
    added = chi_square_mean(lambda x: x / (x + ridge) ** 2, n, ridge)
    return anchor * anchor * n * added / soft_contraction(n, ridge)


def soft_relaxation(n: int, ridge: float) -> float:
    """The number of soft anchored edits after which the distance of E‖W‖² to its plateau has fallen e-fold.

        (1 − E[η(2 − η)]/n)^τ = 1/e,   η = x/(x + ρ),  x ~ χ²_n

    Args:
        n: the key dimension, at least 2.
        ridge: ρ, as for `soft_plateau`.

    Returns:
        τ in edits; near ρ/2 for a large ridge, near n for a small one.

    Raises:
        Misuse: a dimension below 2, or a ridge outside 1e-100 to 1e100.

    Source: T5.soft_plateau; its value T5.soft_numbers.

    >>> round(soft_relaxation(16, 16.0), 1)
    21.5
    """
    if not n >= 2:
        raise Misuse(f"the key dimension is {n}; a relaxation time needs at least 2")
    check_soft_law(n, ridge)
    return float(-1 / np.log1p(-soft_contraction(n, ridge) / n))


def soft_contraction(n: int, ridge: float) -> float:
    """E[η(2 − η)] of MEMIT's share η = x/(x + ρ) over x ~ χ²_n; n times the contraction per edit.

    >>> round(soft_contraction(16, 16.0), 3)
    0.727
    """
    return chi_square_mean(lambda x: x * (x + 2 * ridge) / (x + ridge) ** 2, n, ridge)


def chi_square_mean(function: Callable[[float], float], n: int, scale: float = 1.0) -> float:
    """E[f(x)] of x ~ χ²_n by quadrature over log x, for f that is at most linear and smooth but for one scale.

    >>> round(chi_square_mean(lambda x: x, 5), 9)
    5.0
    """
    law = stats.chi2(n)
    top = float(law.isf(1e-30))
    marks = (float(law.ppf(1e-6)), float(law.median()), float(law.isf(1e-6)), top, min(scale, top))
    inner = sorted({math.log(mark) for mark in marks})
    edges = [inner[0] - 160, inner[0] - 40, inner[0] - 10, *inner]  # x^(n/2) leaves nothing below
    constant = math.lgamma(n / 2) + n / 2 * math.log(2)

    def weighted(y: float) -> float:
        """f times the density of y = log x."""
        return function(math.exp(y)) * math.exp(n / 2 * y - math.exp(y) / 2 - constant)

    parts = (
        integrate.quad(weighted, low, high, epsabs=1e-300, epsrel=1e-11, limit=200)[0]
        for low, high in itertools.pairwise(edges)
    )
    return float(sum(parts))


def check_soft_law(n: int, ridge: float) -> None:
    """Raise Misuse unless a soft write's plateau is defined."""
    if not n >= 1:
        raise Misuse(f"the key dimension is {n}; it must be at least 1")
    if not 1e-100 < ridge < 1e100:
        raise Misuse(f"the ridge is {ridge}; it must lie between 1e-100 and 1e100, such as 15000")


def check_anchor(anchor: float, norm_sq_0: float = 0.0) -> None:
    """Raise Misuse unless a is the length, and ‖W_0‖² the square, of something."""
    if not 0 < anchor < math.inf:
        raise Misuse(f"the anchor is {anchor}; it must be a positive norm, in value units")
    if not 0 <= norm_sq_0 < math.inf:
        raise Misuse(f"a squared norm ‖W_0‖² of {norm_sq_0} is given; it must be finite and not negative")


def batch_plateau(anchor: float, n: int, batch: int) -> float:
    """The limit of E‖W_t‖²_F under NAS with hard batches (EMMET), exactly, for keys N(0, I_n) and undirected values.

        R_∞ = a² n/(n − u − 1)

    Args:
        anchor: a, in value units.
        n: the key dimension.
        batch: u ≥ 1 keys a write, at most n − 2: beyond it E[H⁻¹] is infinite.

    Returns:
        R_∞; one key a write gives `plateau`.

    Raises:
        Misuse: a batch below 1 or above n − 2, or an anchor that is not positive.

    Source: T5.batch_plateau.

    >>> batch_plateau(1.0, 12, 5)
    2.0
    """
    check_anchor(anchor)
    if not 1 <= batch <= n - 2:
        raise Misuse(f"a batch of {batch} keys in dimension {n} has no plateau; choose 1 to n - 2 keys")
    return anchor * anchor * n / (n - batch - 1)


def readout_bound(norm_sq_0: float, anchor: float, etas: ArrayLike, s: ArrayLike) -> NDArray[np.float64]:
    """What the weighted mean of the read-out energy at the edited keys cannot exceed, with no excitation at all.

        Σ_{i<t} w_i ‖W_i k_i‖² / Σ_{i<t} w_i  ≤  a² + ‖W_0‖²/Σ_{i<t} w_i,    w_i = η_i/s_i

    Args:
        norm_sq_0: ‖W_0‖²_{M⁻¹}.
        anchor: a, in value units; also covers values shorter than a.
        etas: (t,) written shares in (0, 1], or one for all.
        s: (t,) kᵀMk > 0.

    Returns:
        (t,) the bound after each edit, in value units squared; it falls to a² as the weights add up.

    Raises:
        Misuse: a share outside (0, 1], an s that is not positive, no anchor or a negative norm.

    Source: T5.average_readout.

    >>> readout_bound(1.0, 2.0, 1.0, [4.0, 2.0]).round(3).tolist()
    [8.0, 5.333]
    """
    check_anchor(anchor, norm_sq_0)
    share, size = checked_writes(etas, s)
    return anchor**2 + norm_sq_0 / np.cumsum(share / size)


def early_layer_rate(anchor: float, layers: int, s: float) -> float:
    """By how much E‖W_i‖² of every edited layer but the last grows per edit under NAS, once the last one has settled.

        2a²/(p(2p − 1)s)          (hard spread writes, keys of fixed length, isotropic, independent between layers)

    Args:
        anchor: a of the last edited layer, in value units.
        layers: p ≥ 2 edited layers.
        s: kᵀMk of the layer in question and of the last one.

    Returns:
        The growth per edit, which never ends.

    Raises:
        Misuse: fewer than two layers, or an s or an anchor that is not positive.

    Source: T5.layers_counterexample.

    >>> early_layer_rate(3.0, 2, 1.0)
    3.0
    """
    check_anchor(anchor)
    if not layers >= 2 or not s > 0:
        raise Misuse(f"{layers} layers with s = {s} are given; a spread needs two layers and a positive s")
    return 2 * anchor**2 / (layers * (2 * layers - 1) * s)
