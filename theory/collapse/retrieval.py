"""T6: the chance that a noisy read-out still decodes to its own codeword; the proofs are in point_proofs."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import erf, ndtr

from theory.command import Misuse

REACH = 9.0  # standard deviations of the quadrature; a normal variable lies beyond with probability 2e-19
LARGEST = 60.0  # a ratio beyond it is decoded rightly with probability 1 to the last digit
NODES, WEIGHTS = np.polynomial.legendre.leggauss(320)


def success_probability(ratio: ArrayLike, axes: int, *, signed: bool = True) -> NDArray[np.float64]:
    """The probability that the largest inner product names the right codeword.

        signed, words ±x_1 … ±x_B:   P = ∫_0^∞ φ(u − ρ) (2Φ(u) − 1)^(B−1) du
        unsigned, words x_1 … x_B:   P = ∫_−∞^∞ φ(u − ρ) Φ(u)^(B−1) du

    Exact for orthonormal x_b and a read-out S·x_y + σg with g ~ N(0, I), ρ = S/σ; an approximation for the read-outs
    of an edited memory, whose noise is a mixture of Gaussians at best.

    Args:
        ratio: ρ = S/σ ≥ 0, of any shape; infinite where there is no noise.
        axes: B ≥ 1 orthonormal codewords, at most m.
        signed: whether −x_b are codewords too (2B words), so that a codeword drawn at random has mean zero.

    Returns:
        P, of the shape of `ratio`: from 1/(2B), or 1/B unsigned, at ρ = 0, up to 1.

    Raises:
        Misuse: no codeword, or a ratio that is negative or not a number.

    Source: T6.decoding.

    >>> success_probability([0.0, math.inf], 4).round(6).tolist()
    [0.125, 1.0]
    """
    given = np.asarray(ratio, dtype=np.float64)
    if not 1 <= axes < math.inf or axes != int(axes):
        raise Misuse(f"the codebook has {axes} axes; it needs a whole number of at least 1")
    if not np.all(given >= 0):
        raise Misuse(f"a signal-to-noise ratio of {given[~(given >= 0)][0]} is given; it must be at least 0")
    shift = np.minimum(given, LARGEST)[..., None]
    low, high = shift - REACH, shift + REACH
    low = np.maximum(low, 0.0) if signed else low
    u = (low + high) / 2 + (high - low) / 2 * NODES
    others = erf(u / math.sqrt(2)) if signed else ndtr(u)
    density = np.exp(-((u - shift) ** 2) / 2) / math.sqrt(2 * math.pi)
    return np.asarray((density * others ** (axes - 1) * (high - low) / 2) @ WEIGHTS)


def specificity(background: float, norm_sq: ArrayLike, shape: tuple[int, int], axes: int) -> NDArray[np.float64]:
    """The chance that an unedited prompt keeps its answer, when the memory only adds to a fixed background.

        argmax_x <x, h x_0 + Wk> = x_0 :   P = success_probability(h/σ),  σ² = ‖Wk‖²/m,  E‖Wk‖² = ‖W‖² for E kkᵀ = I

    A toy of the residual stream: h does not grow with W, so the norm itself matters here.

    Args:
        background: h > 0, in value units.
        norm_sq: ‖W‖²_F, of any shape.
        shape: (m, n) of W; n does not enter, because E kkᵀ = I.
        axes: B signed orthonormal codewords.

    Returns:
        P, of the shape of `norm_sq`; Wk is taken for Gaussian and isotropic, and ‖Wk‖² for its mean.

    Raises:
        Misuse: the background or a norm is not positive, or there are more axes than rows.

    Source: T6.specificity.

    >>> specificity(1.0, [1e-6, 1e12], (8, 16), 8).round(4).tolist()
    [1.0, 0.0625]
    """
    norms = np.asarray(norm_sq, dtype=np.float64)
    if not background > 0 or not np.all(norms > 0) or shape[0] < axes:
        raise Misuse(f"the background is {background}, the least ‖W‖² {norms.min(initial=math.inf)} and W has "
                     f"{shape[0]} rows for {axes} axes; give positive numbers and a row for every axis")  # fmt: skip
    return success_probability(background / np.sqrt(norms / shape[0]), axes)
