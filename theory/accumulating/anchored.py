"""T3b with an anchor (NAS): the norm of an accumulating editor whose values have one length a, in the mean field.

An anchored value pulls Wk back, so the change of ‖W‖² has the cross term r·WA⁻¹k, which feels how W stands to A_t. The
state is therefore W's moments f_j = tr(W A^(−j) Wᵀ), j = −1..3 (f_0 is the norm). As a power series in z, with
B = (A + zI)⁻¹, b(z) = tr B, s = b(0) and f(z) = tr(W B Wᵀ) = f_1 − f_2 z + f_3 z² − …, one write makes of it

    df(z) = f'(z)/(1+b) + 2(θ−1)[f(0)/(1+s) − f(z)/(1+b)]/z + ρ/(1+s)² [(−b'(0) − (s−b)/z)/z − ((s−b)/z)²/(1+b)]
    df_0 = 2(θ−1) f_1/(1+s) − ρ b'(0)/(1+s)²,        df_(−1) = a² − ρ/(1+s),        ρ = E‖v − Wk‖²

which T3b.closure proves up to the mean field. The series needs one moment more than it has, f_4: it is taken from the
one W ᵀW in the span of A, I, A⁻¹, A⁻², A⁻³ that has the five known moments. That span holds W at the start (I) and for
ever if values are undirected (A⁻¹ and A⁻²), so these cases are exact within the mean field; else it is one more
approximation. Drawn streams (n = 64, a² = ‖W_0‖², c = 0.75) lie above it by 8 % at t = n for L2 = 0.1, by 18 % for 0.01
and by 67 % for 0.001, and below it by 1, 7 and 17 % at t = 2n.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import integrate

from theory.accumulating.mean_field import check_ridge, fresh_gain
from theory.command import Misuse

Array = NDArray[np.float64]
LOWEST, ORDER = -1, 4
"""The moments f_j that are followed are those from j = LOWEST to ORDER − 1."""


def gain_series(n: int, ridge: float, t: float, order: int) -> Array:
    """b(z) = s_t at the ridge L2 + z, as a power series in z: coefficients of z⁰..z^order.

        (L2 + z) b² + (L2 + z + t − n) b − n = 0

    Args:
        n: the key dimension.
        ridge: L2.
        t: the number of past keys.
        order: the last power.

    Returns:
        (order + 1,) b_j; (−1)^j b_j is the mean field of tr A^(−1−j).

    Source: T3b.mean_field; coefficient by coefficient.

    >>> gain_series(8, 2.0, 0.0, 2).tolist()
    [4.0, -2.0, 1.0]
    """
    b = [float(fresh_gain(n, ridge, t))]
    slope = 2 * ridge * b[0] + ridge + t - n
    for j in range(1, order + 1):
        square = sum(b[i] * b[j - i] for i in range(1, j))
        before = sum(b[i] * b[j - 1 - i] for i in range(j))
        b.append(-(ridge * square + before + b[j - 1]) / slope)
    return np.array(b)


def moments(n: int, ridge: float, t: float, count: int) -> Array:
    """The mean field of tr A^(−j) for j = −2..count.

        tr A² = n((L2 + t)² + tn),  tr A = n(L2 + t),  tr I = n,  tr A^(−1−j) = (−1)^j b_j

    >>> moments(8, 2.0, 0.0, 1).tolist()
    [32.0, 16.0, 8.0, 4.0]
    """
    level = ridge + t
    inverse = gain_series(n, ridge, t, count - 1) * (-1.0) ** np.arange(count)
    return np.concatenate(([n * (level**2 + t * n), n * level, n], inverse))


def next_moment(known: Array, powers: Array) -> float:
    """f_4 from f_(−1)..f_3, for WᵀW = Σ x_i A^(−i), i = −1..3, where they determine it (x by least squares at t = 0).

    Args:
        known: (5,) f_(−1)..f_3.
        powers: tr A^(−j) for j = −2..7.

    Returns:
        f_4 = Σ x_i tr A^(−i−4).

    >>> powers = moments(8, 2.0, 5.0, 8)
    >>> round(float(next_moment(3 * powers[1:6], powers) / powers[6]), 9)  # WᵀW = 3·I; f_4 = 3 tr A⁻⁴
    3.0
    """
    size = len(known)
    hankel = powers[np.add.outer(np.arange(size), np.arange(size))]
    # Moments span many orders of magnitude: rows and columns are brought to size 1 before they are solved.
    row = 1 / np.abs(hankel).max(axis=1)
    column = 1 / np.abs(hankel * row[:, None]).max(axis=0)
    weights = column * np.linalg.lstsq(hankel * np.outer(row, column), known * row, rcond=1e-15)[0]
    return float(weights @ powers[size : 2 * size])


def series_product(left: Array, right: Array) -> Array:
    """The product of two power series, cut to the shorter one's length.

    >>> series_product(np.array([1.0, 2.0]), np.array([1.0, 3.0, 5.0])).tolist()
    [1.0, 5.0]
    """
    return np.convolve(left, right)[: min(len(left), len(right))]


def series_inverse(series: Array) -> Array:
    """1/series as a power series of its length.

    >>> series_inverse(np.array([1.0, -1.0, 0.0])).tolist()
    [1.0, 1.0, 1.0]
    """
    found = np.zeros_like(series)
    found[0] = 1 / series[0]
    for j in range(1, len(series)):
        found[j] = -(series[1 : j + 1] @ found[j - 1 :: -1][:j]) / series[0]
    return found


def drift(state: Array, b: Array, fourth: float, pull: float, residual_sq: float, length_sq: float) -> Array:
    """What one write makes of f_(−1)..f_3, in the mean: the equations at the head of this file.

    Args:
        state: (5,) f_(−1)..f_3.
        b: the series of b(z), at least 6 coefficients.
        fourth: f_4.
        pull: θ − 1.
        residual_sq: ρ = E‖v − Wk‖².
        length_sq: E‖v‖².

    Returns:
        (5,) the changes.
    """
    signs = (-1.0) ** np.arange(ORDER)
    f = np.append(state[2:], fourth) * signs
    share = series_inverse(np.concatenate(([1 + b[0]], b[1 : ORDER + 1])))  # 1/(1 + b(z))
    fall = -b[1:]  # (s − b(z))/z
    spread = -fall[1 : ORDER + 1] - series_product(series_product(fall, fall), share)[:ORDER]
    pulled = -series_product(f, share)[1:]  # [f(0)/(1+s) − f(z)/(1+b)]/z
    moved = series_product(f[1:] * np.arange(1, ORDER), share[: ORDER - 1])
    hard = 1 + b[0]
    inner = moved + 2 * pull * pulled + residual_sq / hard**2 * spread[: ORDER - 1]
    norm = 2 * pull * f[0] / hard - residual_sq * b[1] / hard**2
    return np.concatenate(([length_sq - residual_sq / hard, norm], inner * signs[: ORDER - 1]))


def anchored_growth(n: int, ridge: float, anchor_sq: float, cosine: float, edits: ArrayLike) -> Array:
    """‖W_t‖²/‖W_0‖² of an accumulating editor with NAS: a mean-field approximation, not a theorem.

        ‖v‖ = a,  cos(v, Wk) = 1/√(1+c²):   θ − 1 = a·cos/√R − 1,   ρ = R + a² − 2a·cos·√R

    Args:
        n: the key dimension; keys are isotropic with E kkᵀ = I.
        ridge: L2, in key units squared.
        anchor_sq: a²/‖W_0‖²_F; 1 + c² for an anchor taken as the mean square of the first values.
        cosine: of a value with the read-out that it replaces; 1/√(1+c²) for v = Wk + δ, 0 for undirected values.
        edits: (N,) increasing numbers of edits t > 0.

    Returns:
        (N,) the ratios.

    Raises:
        Misuse: n < 1, the ridge or the anchor is not positive, the cosine lies outside 0..1, edits do not rise from
            > 0, or the ridge is so small that the closure cannot be integrated past the threshold.

    Source: T3b.closure.

    >>> anchored_growth(64, 10.0, 1.0, 0.8, [64.0]).round(2).tolist()
    [1.03]
    """
    times = np.asarray(edits, dtype=np.float64)
    check_ridge(n, ridge)
    check(anchor_sq, cosine, times)

    def slope(t: float, logs: Array) -> Array:
        state = np.exp(logs)
        b = gain_series(n, ridge, t, 2 * ORDER)
        fourth = next_moment(state, moments(n, ridge, t, 2 * ORDER - 1))
        aligned = math.sqrt(anchor_sq / state[1]) * cosine
        residual_sq = state[1] * (1 - 2 * aligned) + anchor_sq
        return drift(state, b, max(fourth, 0.0), aligned - 1, residual_sq, anchor_sq) / state

    start = -math.log(ridge) * np.arange(LOWEST, ORDER)
    # Directions of A that have outgrown L2 relax at once: the system is stiff, so an implicit method is needed.
    path = integrate.solve_ivp(slope, (1e-5 * n, times[-1]), start, "Radau", times, rtol=1e-6, atol=1e-8)
    if not path.success:
        raise Misuse(f"the ridge {ridge} is too small to follow the mean field to t = {times[-1]}; take a larger one")
    return np.asarray(np.exp(path.y[1]))


def undirected_growth(n: int, ridge: float, anchor_sq: float, edits: ArrayLike) -> Array:
    """The same for undirected values, in closed form.

        R_t/R_0 = L2² h + (a²/R_0) n (g − L2 h),   n·g = b_0,  n·h = −b_1

    Args:
        n: the key dimension.
        ridge: L2.
        anchor_sq: a²/‖W_0‖²_F.
        edits: (N,) numbers of edits.

    Returns:
        (N,) the ratios; the double descent of ridge regression.

    Raises:
        Misuse: n < 1, the ridge or the anchor is not positive, or an edit below 0.

    Source: T3b.double_descent: E‖W_t‖² = L2²‖W_0‖² E tr A_t⁻²/n + a² E[tr A_t⁻¹ − L2 tr A_t⁻²], exactly.

    >>> undirected_growth(64, 1.0, 1.0, [0.0]).tolist()
    [1.0]
    """
    check(anchor_sq, 0.0, np.ones(1))
    series = np.array([gain_series(n, ridge, float(t), 1) for t in np.atleast_1d(np.asarray(edits))])
    first, second = series[:, 0], -series[:, 1]
    return np.asarray(ridge**2 * second / n + anchor_sq * (first - ridge * second))


def check(anchor_sq: float, cosine: float, times: Array) -> None:
    """Raise Misuse unless the closure speaks of these."""
    if not 0 < anchor_sq < math.inf:
        raise Misuse(f"the anchor's square {anchor_sq} is no positive number; give a²/‖W_0‖², such as 1")
    if not 0 <= cosine <= 1:
        raise Misuse(f"the cosine is {cosine}; it lies in 0..1, 1/√(1+c²) for shifts of size c")
    if times.ndim != 1 or not times.size or not np.all(np.diff(times, prepend=0.0) > 0) or times[-1] == math.inf:
        raise Misuse("edits must be increasing numbers above 0, such as [64, 128]")
