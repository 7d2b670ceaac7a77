"""T3b for keys of any covariance Σ, in the mean field: an effective dimension takes the place of n.

One parameter τ carries everything, A_t⁻¹ ~ (L2·I + τΣ)⁻¹:   s = Σ_i σ_i/(L2 + τσ_i),   t = τ(1 + s).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import optimize

from theory.accumulating.mean_field import check_ridge, check_stream
from theory.command import Misuse


class Field(NamedTuple):
    """The mean field at some values of τ; every array has their shape.

    Attributes:
        edits: t = τ(1 + s), how many keys are in A_t.
        gain: s = tr(Σ(L2·I + τΣ)⁻¹), what kᵀA_t⁻¹k is for a fresh key.
        dimension: d = tr(τΣ(L2·I + τΣ)⁻¹) = t·s/(1 + s), the effective dimension that t edits have used up.
        readout_rate: −d log(1 + s)/dt; c² times it is d log E‖W_t k‖²/dt.
        norm_rate: tr(ΣA⁻²)/(1 + s)²; c² E‖W_t k‖² times it is d‖W_t‖²/dt.
    """

    edits: NDArray[np.float64]
    gain: NDArray[np.float64]
    dimension: NDArray[np.float64]
    readout_rate: NDArray[np.float64]
    norm_rate: NDArray[np.float64]


def field(spectrum: ArrayLike, ridge: float, tau: ArrayLike) -> Field:
    """The mean field of keys whose covariance has this spectrum.

        readout_rate = Σ σ²/(L2+τσ)² / D,   norm_rate = Σ σ/(L2+τσ)² / D,   D = (1 + s)(1 + L2 Σ σ/(L2+τσ)²)

    Args:
        spectrum: (p,) Σ's eigenvalues σ_i ≥ 0, in key units squared; those of PΣP for AlphaEdit.
        ridge: L2, in key units squared.
        tau: τ ≥ 0, any shape.

    Returns:
        The field; isotropic keys (σ_i = 1) have both rates equal to `growth_rate`.

    Raises:
        Misuse: a negative eigenvalue, a ridge that is not positive, or τ < 0.

    Source: T3b.spectrum.

    >>> field([1.0] * 8, 2.0, 2.0).gain.tolist(), field([1.0] * 8, 2.0, 2.0).edits.tolist()
    (2.0, 6.0)
    """
    sigma = np.asarray(spectrum, dtype=np.float64)
    if sigma.ndim != 1 or not np.all((sigma >= 0) & (sigma < np.inf)) or not np.any(sigma > 0):
        ends = f"{sigma.min(initial=np.inf):g} to {sigma.max(initial=-np.inf):g}"
        raise Misuse(f"the keys' spectrum runs from {ends}; pass finite eigenvalues >= 0 of Σ or PΣP, one above 0")
    check_ridge(len(sigma), ridge)
    t = np.asarray(tau, dtype=np.float64)
    if not np.all((t >= 0) & (t < np.inf)):
        raise Misuse(f"τ = {tau!r} is given; it must be at least 0 and finite")
    level = ridge + t[..., None] * sigma
    gain, first, second = (np.sum(part, axis=-1) for part in (sigma / level, sigma / level**2, (sigma / level) ** 2))
    slowed = (1 + gain) * (1 + ridge * first)
    return Field(t * (1 + gain), gain, t * gain, second / slowed, first / slowed)


def field_at(spectrum: ArrayLike, ridge: float, edits: ArrayLike) -> Field:
    """The mean field after given numbers of edits, by root finding in τ.

    Args:
        spectrum: Σ's eigenvalues.
        ridge: L2.
        edits: (N,) t ≥ 0.

    Returns:
        The field, `edits` as given up to rounding.

    >>> field_at([1.0] * 8, 2.0, [0.0, 6.0]).gain.round(9).tolist()
    [4.0, 2.0]
    """
    sigma = np.asarray(spectrum, dtype=np.float64)

    def root(t: float) -> float:
        if not 0 <= t < np.inf:
            raise Misuse(f"t = {t} edits are asked for; it must be at least 0 and finite")
        # τ ≤ t, because s ≥ 0.
        found = optimize.brentq(lambda tau: float(field(sigma, ridge, tau).edits) - t, 0.0, t, xtol=1e-300, rtol=1e-14)
        return float(found)

    return field(sigma, ridge, np.array([root(float(t)) if t else 0.0 for t in np.atleast_1d(np.asarray(edits))]))


def spectral_growth(spectrum: ArrayLike, ridge: float, c: float, steps: int) -> tuple[NDArray[np.float64], ...]:
    """What t edits make of E‖Wk‖² and of ‖W‖²_F for keys of any covariance: a mean-field approximation.

        F_t/F_0 = ((1 + s_0)/(1 + s_t))^(c²),  F = E‖Wk‖²;      R_t = R_0 + ∫ (norm_rate/readout_rate) dF_t

    Args:
        spectrum: (p,) Σ's eigenvalues, in key units squared.
        ridge: L2, in key units squared.
        c: ‖δ‖/‖Wk‖.
        steps: the number of edits.

    Returns:
        F_t/F_0 and (R_t − R_0)/F_0, each (steps + 1,). R's excess is in units of F_0, because R_0/F_0 =
        ‖W_0‖²/tr(W_0ΣW_0ᵀ) is the memory's own; it is n/tr Σ where W_0 is isotropic.

    Raises:
        Misuse: as `field`, or c or the steps negative.

    Source: T3b.spectrum.

    >>> [part.round(6).tolist() for part in spectral_growth([1.0] * 8, 2.0, 0.0, 2)]
    [[1.0, 1.0, 1.0], [0.0, 0.0, 0.0]]
    """
    check_stream(c, steps)
    found = field_at(spectrum, ridge, np.arange(steps + 1))
    readout = ((1 + found.gain[0]) / (1 + found.gain)) ** (c * c)
    # In F and not in t: a small ridge makes both rates a spike narrower than one edit, but never their ratio.
    ratio = found.norm_rate / found.readout_rate
    excess = np.concatenate(([0.0], np.cumsum((ratio[1:] + ratio[:-1]) / 2 * np.diff(readout))))
    return readout, excess
