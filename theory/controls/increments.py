"""T4: what clamps, ridges and decay leave of the growth; proofs in increment_proofs, ridge_proofs and state_proofs.

Rational formulas take sympy symbols as well as floats, so that a proof and a prediction read the same line.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sympy.logic.boolalg import BooleanAtom

from theory.command import Misuse


def demand(fact: Any, message: str) -> None:
    """Raise Misuse where a fact about numbers is false; a relation between symbols is left to whoever proves it.

    >>> import sympy
    >>> demand(sympy.Symbol("x") > 1, "nothing is known of x")
    """
    decided = bool(fact) if isinstance(fact, BooleanAtom) else fact
    if isinstance(decided, bool | np.bool_ | np.ndarray) and not np.all(decided):
        raise Misuse(message)


def demand_share(name: str, share: Any) -> None:
    """Raise Misuse unless a number lies in [0, 1]."""
    demand(share >= 0, f"{name} is {share}; it lies in [0, 1]")
    demand(share <= 1, f"{name} is {share}; it lies in [0, 1]")


def demand_law(n: Any, ratio: Any, eta_squared: Any) -> None:
    """Raise Misuse unless n, c and E[η²] are those of some write."""
    demand(n >= 1, f"the key dimension is {n}; it must be at least 1")
    demand(ratio >= 0, f"the ratio c is {ratio}; it must be at least 0")
    demand_share("E[η²]", eta_squared)


def relative_worst(norm_0: float, ratio: float, etas: ArrayLike) -> NDArray[np.float64]:
    """What ‖W_t‖_{M⁻¹} cannot exceed when every shift is clamped to ‖δ‖ ≤ c‖Wk‖, whatever its direction.

        ‖W_t‖ ≤ ‖W_0‖ Π_{i<t} (1 + η_i c)

    Args:
        norm_0: ‖W_0‖_{M⁻¹}.
        ratio: c, dimensionless.
        etas: (t,) written shares in (0, 1].

    Returns:
        (t + 1,) the bound before the first edit and after each.

    Raises:
        Misuse: a negative norm or c, or an η outside (0, 1].

    Source: T4.relative_worst.

    >>> relative_worst(2.0, 1.0, [1.0, 0.5]).tolist()
    [2.0, 4.0, 6.0]
    """
    demand(norm_0 >= 0, f"the norm of W_0 is {norm_0}; it must be at least 0")
    demand(ratio >= 0, f"the clamp c is {ratio}; it must be at least 0")
    return norm_0 * np.concatenate(([1.0], np.cumprod(1 + ratio * _shares(etas))))


def absolute_worst(norm_0: float, limit: float, etas: ArrayLike, s: ArrayLike) -> NDArray[np.float64]:
    """What ‖W_t‖_{M⁻¹} cannot exceed when every shift is clamped to ‖δ‖ ≤ τ, whatever its direction.

        ‖W_t‖ ≤ ‖W_0‖ + Σ_{i<t} η_i τ/√s_i

    Args:
        norm_0: ‖W_0‖_{M⁻¹}.
        limit: τ, in value units.
        etas: (t,) written shares in (0, 1], or one for all.
        s: (t,) kᵀMk > 0.

    Returns:
        (t + 1,) the bound before the first edit and after each.

    Raises:
        Misuse: a negative norm or τ, an s that is not positive, or an η outside (0, 1].

    Source: T4.absolute_clamp.

    >>> absolute_worst(1.0, 2.0, 1.0, [4.0, 4.0]).tolist()
    [1.0, 2.0, 3.0]
    """
    share, size = _increments(norm_0, limit, etas, s)
    return norm_0 + np.concatenate(([0.0], np.cumsum(share * limit / np.sqrt(size))))


def absolute_mean(norm_sq_0: float, limit: float, etas: ArrayLike, s: ArrayLike) -> NDArray[np.float64]:
    """What E‖W_t‖²_{M⁻¹} is when every shift has ‖δ‖ = τ and is orthogonal to Wk on average; a bound for ‖δ‖ ≤ τ.

        E‖W_t‖² = ‖W_0‖² + Σ_{i<t} η_i² τ²/s_i

    Args:
        norm_sq_0: ‖W_0‖²_{M⁻¹}.
        limit: τ, in value units.
        etas: (t,) written shares in (0, 1], or one for all.
        s: (t,) kᵀMk > 0.

    Returns:
        (t + 1,) the means before the first edit and after each.

    Raises:
        Misuse: a negative norm or τ, an s that is not positive, or an η outside (0, 1].

    Source: T4.absolute_clamp.

    >>> absolute_mean(1.0, 2.0, 1.0, [4.0, 2.0]).tolist()
    [1.0, 2.0, 4.0]
    """
    share, size = _increments(norm_sq_0, limit, etas, s)
    return norm_sq_0 + np.concatenate(([0.0], np.cumsum((share * limit) ** 2 / size)))


def _shares(etas: ArrayLike) -> NDArray[np.float64]:
    shares = np.asarray(etas, dtype=np.float64)
    demand(np.all(shares > 0), f"a written share η of {shares.min(initial=1.0)} is given; it lies in (0, 1]")
    demand(np.all(shares <= 1), f"a written share η of {shares.max(initial=0.0)} is given; it lies in (0, 1]")
    return shares


def _increments(
    start: float, limit: float, etas: ArrayLike, s: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    share, size = np.broadcast_arrays(_shares(etas), np.asarray(s, dtype=np.float64))
    demand(start >= 0, f"the norm of W_0 is {start}; it must be at least 0")
    demand(limit >= 0, f"the clamp τ is {limit}; it must be at least 0")
    demand(np.all(size > 0), f"an s = kᵀMk of {size.min(initial=np.inf)} is given; it must be positive, "
           "so drop zero keys")  # fmt: skip
    return share, size


def stream_clamp_law(norm_sq_0: Any, rate: Any, stream: Any, t: Any) -> Any:
    """E‖W_t‖² under an active clamp ‖δ‖ = c‖h‖, h = p + Wk with a stream p that does not follow W.

        E R_t = (R_0 + L)(1 + γ)^t − L,   γ = η²c²/n,   L = n E[‖p‖²/s]

    Args:
        norm_sq_0: R_0.
        rate: γ > 0, dimensionless.
        stream: L ≥ 0, in the units of R: the size of R at which the stream and the read-out count alike.
        t: the number of edits.

    Returns:
        E R_t: a line while R ≪ L, an exponential with the exponent of c‖Wk‖ in the end.

    Raises:
        Misuse: a negative norm, rate, stream or t.

    Source: T4.stream_clamp.

    >>> stream_clamp_law(1.0, 0.5, 3.0, 2)
    6.0
    """
    demand(norm_sq_0 >= 0, f"the squared norm of W_0 is {norm_sq_0}; it must be at least 0")
    demand(rate >= 0, f"the rate γ is {rate}; it must be at least 0")
    demand(stream >= 0, f"the stream's size L is {stream}; it must be at least 0")
    demand(t >= 0, f"{t} edits are asked for; their number must be at least 0")
    return norm_sq_0 * (1 + rate) ** t + stream * ((1 + rate) ** t - 1)  # a large L must not swallow R_0


def ridge_share(s: Any, ridge: Any) -> Any:
    """The share η of a residual that a ridge solve with A = λC writes.

        η = s/(λ + s),   s = kᵀC⁻¹k

    Args:
        s: kᵀC⁻¹k > 0, dimensionless when C is in key units squared.
        ridge: λ > 0.

    Returns:
        η in (0, 1).

    Raises:
        Misuse: s or λ is not positive and finite.

    Source: T4.ridge.

    >>> ridge_share(1.0, 3.0)
    0.25
    """
    for name, size in (("s = kᵀC⁻¹k", s), ("the ridge λ", ridge)):
        demand(size > 0, f"{name} is {size}; it must be positive")
        demand(size < math.inf, f"{name} is {size}; it must be finite")
    return s / (ridge + s)


def decayed_factor(decay: Any, growth: Any) -> Any:
    """The mean growth factor of W ← (1 − w)(W + Δ).

        E R' = (1 − w)² · growth · R

    Args:
        decay: w in [0, 1], per edit.
        growth: the factor of R without decay, such as 1 + η²c²/n.

    Returns:
        The factor of the squared norm.

    Raises:
        Misuse: w outside [0, 1], or a negative factor.

    Source: T4.weight_decay.

    >>> decayed_factor(0.5, 4.0)
    1.0
    """
    demand_share("the decay w", decay)
    demand(growth >= 0, f"the growth factor is {growth}; it must be at least 0")
    return (1 - decay) ** 2 * growth


def decay_threshold(growth: float) -> float:
    """The smallest decay per edit at which E‖W‖² does not grow, about η²c²/(2n).

        w* = 1 − 1/√growth = (growth − 1)/(growth + √growth)

    Args:
        growth: the factor of R without decay, at least 1.

    Returns:
        w* in [0, 1).

    Raises:
        Misuse: a factor below 1, which needs no decay, or one that is not finite.

    Source: T4.weight_decay.

    >>> decay_threshold(4.0)
    0.5
    """
    demand(growth >= 1, f"the growth factor is {growth}; below 1 no decay is needed")
    demand(growth < math.inf, f"the growth factor is {growth}; it must be finite")
    return (growth - 1) / (growth + math.sqrt(growth))  # 1 − 1/√growth would cancel near 1
