"""T6: noise that falls on few answers: what edits with one answer share, and success beside axes of unequal noise.

A write adds its shift along its own codeword, so that W_t's energy is the energy of its writes, sorted by their
answers. An axis that was asked for often and late is louder than the others, and the loudest rival wins.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import erf, gammainc, gammaincinv

from theory.collapse.interference import Number, ValueLaw, norm_growth

SLICES = 16  # equally probable parts of the law of an axis's energy
REACH = 7.0  # standard deviations of the quadrature
LARGEST = 60.0  # a ratio beyond it is decoded rightly with probability 1
QUIET = 1e-12  # an axis without noise, in units of the mean
NODES, WEIGHTS = np.polynomial.legendre.leggauss(48)


def share_decay(law: ValueLaw, n: Number) -> Number:
    """What a later write leaves of an earlier write's mean square share of W: 1 + (ρ² − 1)/n.

    >>> from theory.collapse.interference import fixed_values
    >>> share_decay(fixed_values(1.0), 4)
    0.75
    """
    return norm_growth(replace(law, shift_sq=0), n)


def axis_energy(background: Number, total: Number, squares: Number, m: Number, axes: Number) -> tuple[Number, Number]:
    """Mean and variance, over random answers, of the energy that W has on one axis, in units of R/m, R = s₀ + Σe.

        mean = (s₀ + (m/B) Σe)/R,   variance = (m/R)² (1/B)(1 − 1/B) Σe²

    Args:
        background: s₀, the share of W_0, spread over m directions.
        total: Σe, the mean square shares of the writes, each on the axis of its answer.
        squares: Σe².
        m: the value dimension.
        axes: B ≤ m axes, equally likely answers.

    Returns:
        Mean (1 where B = m) and variance.

    Source: T6.crowding.

    >>> axis_energy(1.0, 1.0, 0.5, 2, 2)
    (1.0, 0.125)
    """
    whole = background + total
    return (background + m * total / axes) / whole, (m / whole) ** 2 * squares * (axes - 1) / axes**2


def axis_law(
    background: float, shares: NDArray[np.float64], m: int, axes: int, *, edited: bool = True
) -> NDArray[np.float64]:
    """Equally likely noise energies of an axis, in units of their mean over m directions, for a prompt's read-out.

    The part above W_0's share is taken for Gamma distributed with `axis_energy`'s mean and variance; every slice of
    that law is replaced by its mean. A random edit's own share is not noise: (t − 1)/t of the shares are.

    Args:
        background: s₀ > 0 or, where nothing is left of W_0, 0.
        shares: (t,) e_i.
        m: the value dimension.
        axes: B.
        edited: whether the prompt is one of the edits' rather than another.

    Returns:
        (SLICES,) energies.

    >>> axis_law(1.0, np.array([1.0]), 4, 4)[[0, -1]].tolist()
    [1.0, 1.0]
    """
    others = 1 - 1 / len(shares) if edited else 1.0
    total, squares = others * float(shares.sum()), others * float(np.square(shares).sum())
    if not total:
        return np.ones(SLICES)
    mean, variance = axis_energy(background, total, squares, m, axes)
    if not variance:
        return np.full(SLICES, mean)
    still, rise = background / (background + total), m / axes * total / (background + total)
    shape = rise**2 / variance
    edges = gammaincinv(shape, np.linspace(0, 1, SLICES + 1))
    return np.asarray(still + rise * SLICES * np.diff(gammainc(shape + 1, edges)))


def crowded_success(ratio: NDArray[np.float64], energies: NDArray[np.float64], axes: int) -> NDArray[np.float64]:
    """`success_probability` beside axes of unequal noise: the B axes' energies V are independent draws.

        P = E_V ∫_0^∞ φ((u − ρ)/√V)/√V · (E_V' [2Φ(u/√V') − 1])^(B−1) du

    Args:
        ratio: (t,) ρ ≥ 0, signal over the noise's standard deviation at V = 1; infinite where there is no noise.
        energies: equally likely V.
        axes: B signed orthonormal codewords.

    Returns:
        (t,) probabilities.

    Source: T6.success.

    >>> crowded_success(np.array([0.0, np.inf]), np.ones(2), 4).round(6).tolist()
    [0.125, 1.0]
    """
    size = np.sqrt(np.maximum(energies, QUIET))
    score = np.append(0.0, np.geomspace(1e-5, 1, 3000) * (LARGEST + REACH * size.max()))
    beaten = erf(score[:, None] / (size * math.sqrt(2))).mean(axis=1) ** (axes - 1)
    centre = np.minimum(ratio, LARGEST)[:, None, None]
    low, high = np.maximum(centre - REACH * size[:, None], 0.0), centre + REACH * size[:, None]
    u = (low + high) / 2 + (high - low) / 2 * NODES
    density = np.exp(-(((u - centre) / size[:, None]) ** 2) / 2) / (size[:, None] * math.sqrt(2 * math.pi))
    inside: Any = (density * np.interp(u, score, beaten) * (high - low) / 2) @ WEIGHTS
    return np.where(np.isinf(ratio), 1.0, inside.mean(axis=1))
