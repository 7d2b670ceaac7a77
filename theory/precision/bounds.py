"""T7: bounds on what rounding does to computed norms, to T1's identity, to a tracked norm and to NAS's anchor.

The formulas without a `Format` work on numbers and on sympy expressions alike; bound_proofs derives them.
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

from theory.command import Misuse
from theory.precision.formats import Format


def gamma(terms: Any, u: Any) -> Any:
    """γ_j = ju/(1 − ju), which bounds |Π(1 + δ_i)^±1 − 1| for j roundings |δ_i| ≤ u while ju < 1.

    Source: Higham, Accuracy and Stability of Numerical Algorithms (2002), Lemma 3.1.
    """
    return terms * u / (1 - terms * u)


def rounding_error(terms: int, target: Format) -> float:
    """γ_j of a format; infinite from ju = 1 on, where it bounds nothing.

    >>> from theory.precision.formats import FLOAT32
    >>> rounding_error(1, FLOAT32) < 6e-8, rounding_error(2**24, FLOAT32)
    (True, inf)
    """
    return math.inf if terms * target.unit_roundoff >= 1 else float(gamma(terms, target.unit_roundoff))


def squares_error(terms: int, target: Format, *, pairwise: bool = False) -> float:
    """A bound on the relative error of ‖W‖²_F = Σ w² with N terms.

        γ_N one after the other,   γ_(⌈log₂N⌉+1) in pairs

    Args:
        terms: N ≥ 1.
        target: the format of every partial sum.
        pairwise: whether the sum halves its terms, again and again.

    Returns:
        The bound, infinite where γ gives none.

    Raises:
        Misuse: no term.

    Source: T7.summation; Higham (2002), (3.5) and (4.6).

    >>> from theory.precision.formats import FLOAT32
    >>> squares_error(4096 * 14336, FLOAT32), squares_error(4096 * 14336, FLOAT32, pairwise=True) < 2e-6
    (inf, True)
    """
    if terms < 1:
        raise Misuse(f"a sum of {terms} squares is asked for; it needs at least 1 term")
    return rounding_error((terms - 1).bit_length() + 1 if pairwise else terms, target)


def stored_error(weight: Any, write: Any, u: Any) -> Any:
    """A bound on the rounding of fl(W + fl(l xᵀ)), in the units of its arguments: u·A + (2u + u²)B.

    >>> stored_error(1, 0, 0.5)
    0.5
    """
    return u * weight + (2 * u + u**2) * write


def identity_error(weight: Any, write: Any, factors: Any, u: Any) -> Any:
    """A bound on |‖W'‖²_C − ‖W‖²_C − T1's right side| for W' = fl(W + l xᵀ) and T1's side 2l·Wk + ‖l‖²s computed.

        ω(2AB + B²) + 2(A + B)E + E²,   E = uA + (2u + u²)B

    Args:
        weight: A = √λmax(C)·‖W‖_F, in root change units.
        write: B = √λmax(C)·‖l‖‖x‖, the same for Δ.
        factors: ω of `factors_error`, relative.
        u: the unit roundoff.

    Returns:
        The bound, in the units of the change.

    Source: T7.identity_error.
    """
    stored = stored_error(weight, write, u)
    return factors * (2 * weight * write + write**2) + 2 * (weight + write) * stored + stored**2


def factors_error(solve: Any, rounding: Any) -> Any:
    """ω = ε + (1 + ε)γ: what the solve's backward error ε and the rounding γ of T1's right side amount to.

    >>> factors_error(0.5, 0.25)
    0.875
    """
    return solve + (1 + solve) * rounding


def solve_error(substitution: Any, factorisation: Any, effective_rank: Any) -> Any:
    """ε with ‖Cx − k‖ ≤ ε‖C‖₂‖x‖ for x from a Cholesky solve: γ_(3n+1)/(1 − γ_(n+1)) · tr C/‖C‖₂.

    Args:
        substitution: γ_(3n+1).
        factorisation: γ_(n+1).
        effective_rank: tr C/‖C‖₂, between 1 and n.

    Source: T7.identity_error; Higham (2002), Theorems 10.3 and 10.4.

    >>> solve_error(0.25, 0.5, 3)
    1.5
    """
    return substitution / (1 - factorisation) * effective_rank


def identity_error_bound(
    target: Format, shape: tuple[int, int], weight: float, write: float, effective_rank: float = 0.0
) -> float:
    """`identity_error` with every rounding counted, for a weight (m, n) and a Cholesky solve in the same format.

    Args:
        target: the format of W, of the solve and of T1's right side.
        shape: (m, n).
        weight: A = √λmax(C)·‖W‖_F.
        write: B = √λmax(C)·‖Δ‖_F.
        effective_rank: tr C/λmax(C); 0 without a solve, C = I.

    Returns:
        The bound, in the units of the change; infinite where the format is too coarse for the shape.

    Raises:
        Misuse: an empty shape, or a size or rank that is negative or not a number.

    Source: T7.identity_error, T7.identity_bound.
    """
    m, n = shape
    if min(m, n) < 1 or not (weight >= 0 and write >= 0 and effective_rank >= 0):
        raise Misuse(f"shape {shape}, sizes {weight} and {write} and rank {effective_rank} are given; use positive "
                     "dimensions and nonnegative numbers")  # fmt: skip
    substitution, factorisation = rounding_error(3 * n + 1, target), rounding_error(n + 1, target)
    if effective_rank and math.isinf(substitution):  # finite, it keeps γ_(n+1) below 1
        return math.inf
    solve = solve_error(substitution, factorisation, effective_rank) if effective_rank else 0.0
    omega = factors_error(solve, rounding_error(m + n + 2, target))
    return float(identity_error(weight, write, omega, float(target.unit_roundoff)))


def drift(edits: Any, u: Any, start: Any, step: Any, largest: Any) -> Any:
    """A bound on |R̂_t − R_t| when R̂ ← fl(R̂ + predicted change): linear in t while tu is small.

        (1+u)^t e₀ + [((1+u)^t − 1)/u] ((1+u)b + u·max R)

    Args:
        edits: t.
        u: the unit roundoff of R̂.
        start: e₀, the error of R̂_0.
        step: b, the largest error of a predicted change, such as `identity_error_bound`.
        largest: the largest true R so far.

    Returns:
        The bound, in the units of R.

    Source: T7.drift.

    >>> drift(2, 0.5, 1.0, 0.0, 0.0)
    2.25
    """
    # 1 + 2^−53 is 1 in float64, and every bound 0
    grown = math.expm1(edits * math.log1p(u)) if isinstance(u, float) else (1 + u) ** edits - 1
    return (1 + grown) * start + grown / u * ((1 + u) * step + u * largest)


def anchor_error(norm: Any, u: Any) -> Any:
    """A bound on |‖v'‖ − a|/a for NAS computed as v' = (a/‖v‖)v.

        (1+u)²/((1−u)√(1−γ)) − 1 = [3u + u² + (1−u)γ/(1+√(1−γ))] / [(1−u)√(1−γ)]

    Args:
        norm: γ, the relative error of the computed ‖v‖² (`squares_error`, in the format that accumulates it).
        u: the unit roundoff of root, quotient and products.

    Returns:
        The relative error; R∞ is proportional to a², so its own is about twice as large.

    Source: T7.anchor.

    >>> anchor_error(0.0, 0.0)
    0.0
    """
    root = (1 - norm) ** Fraction(1, 2)
    return (3 * u + u * u + (1 - u) * norm / (1 + root)) / ((1 - u) * root)  # no difference from 1 is taken
