"""T4: what controls on the state make of the norm; the proofs are in state_proofs and prune_proofs."""

from __future__ import annotations

import math
from typing import Any

from theory.controls.increments import demand


def pruned(value: float, largest: float, base: float = math.e) -> float:
    """PRUNE's map of a singular value of W_n − W_0.

        F(σ) = σ for σ < s_max,   s_max + log_b(σ/s_max) from there on

    Args:
        value: σ ≥ 0.
        largest: s_max > 0, the largest singular value of W_0, in the same units.
        base: b > 1; e, 2, 1.5 or 1.2 as released.

    Returns:
        F(σ).

    Raises:
        Misuse: σ < 0, s_max ≤ 0, b ≤ 1, or one that is not finite.

    Source: mjy1111/PRUNE; T4.prune_scale.

    >>> pruned(0.5, 1.0), pruned(4.0, 1.0, 2.0)
    (0.5, 3.0)
    """
    demand(value >= 0, f"the singular value is {value}; it must be at least 0")
    demand(largest > 0, f"the largest singular value of W_0 is {largest}; it must be positive")
    demand(base > 1, f"the logarithm's base is {base}; it must be above 1")
    demand(value + largest + base < math.inf, f"σ, s_max, b are {value}, {largest}, {base}; they must be finite")
    return value if value < largest else largest + (math.log(value) - math.log(largest)) / math.log(base)


def pruned_ceiling(largest: float, ratio: float, limit: float, base: float = math.e) -> float:
    """What ‖W_t − W_0‖ (operator norm) cannot exceed when PRUNE acts after every write.

        B = 2s + (q s + τ)/(1 + q) + 2κ (log(2κ(1 + q)/s) − 1),   κ = 1/log b,   writes ‖Δ‖ ≤ q‖W‖ + τ

    Args:
        largest: s = s_max(W_0) > 0.
        ratio: q ≥ 0, a write's operator norm relative to W's.
        limit: τ ≥ 0, the part that does not follow W.
        base: b > 1.

    Returns:
        B: finite for every q, growing with log q.

    Raises:
        Misuse: s ≤ 0, b ≤ 1, a negative q or τ, or one that is not finite.

    Source: T4.prune_every_step.

    >>> round(pruned_ceiling(2.0, 0.0, 1.0), 6)
    3.0
    """
    demand(largest > 0, f"the largest singular value of W_0 is {largest}; it must be positive")
    demand(ratio >= 0, f"the relative size q is {ratio}; it must be at least 0")
    demand(limit >= 0, f"the size τ is {limit}; it must be at least 0")
    demand(base > 1, f"the logarithm's base is {base}; it must be above 1")
    demand(largest + ratio + limit + base < math.inf,
           f"s, q, τ, b are {largest}, {ratio}, {limit}, {base}; they must be finite")  # fmt: skip
    slope = 1 / math.log(base)
    tangent = math.log(2 * slope * (1 + ratio) / largest) - 1
    return 2 * largest + (ratio * largest + limit) / (1 + ratio) + 2 * slope * tangent


def pulled_bound(residuals_sq: Any, ridge: Any) -> Any:
    """What ‖W_n − W_0‖²_F cannot exceed for W_n = argmin Σ‖W k_i − v_i‖² + ϱ‖W − W_0‖²_F.

        ‖W_n − W_0‖² ≤ Σ‖v_i − W_0 k_i‖²/(4ϱ)

    Args:
        residuals_sq: Σ‖v_i − W_0 k_i‖², in value units squared; it grows with the number of edits.
        ridge: ϱ > 0, in key units squared.

    Returns:
        The bound on the squared distance.

    Raises:
        Misuse: ϱ ≤ 0, or a negative sum of squares.

    Source: T4.pull.

    >>> pulled_bound(8.0, 0.5)
    4.0
    """
    demand(residuals_sq >= 0, f"the sum of squared residuals is {residuals_sq}; it must be at least 0")
    demand(ridge > 0, f"the pull ϱ is {ridge}; it must be positive: with 0 nothing pulls")
    return residuals_sq / (4 * ridge)


def frozen_values_law(norm_sq_0: Any, n: Any, ratio: Any, t: Any) -> Any:
    """E‖W_t‖²_F for hard writes of values solved on W_0 (NSE): E[v | k, W] of square (1 + c²)‖W_0 k‖².

        E R_t = R_0 [1 + c² (1 − (1 − 1/n)^t)]

    Args:
        norm_sq_0: R_0 = ‖W_0‖²_F.
        n: the key dimension; keys are isotropic, M = I, η = 1.
        ratio: c, dimensionless, relative to ‖W_0 k‖.
        t: the number of edits.

    Returns:
        The mean: it starts with T3's slope c²/n and stops at (1 + c²)R_0.

    Raises:
        Misuse: n < 1, or a negative norm, c or t.

    Source: T4.frozen_values.

    >>> frozen_values_law(1.0, 2, 2.0, 1)
    3.0
    """
    demand(n >= 1, f"the key dimension is {n}; it must be at least 1")
    _demand_stream(norm_sq_0, ratio, t)
    return norm_sq_0 * (1 + ratio**2 * (1 - (1 - 1 / n) ** t))


def frozen_values_worst(norm_sq_0: Any, ratio: Any, t: Any) -> Any:
    """What ‖W_t‖²_{M⁻¹} cannot exceed when every value is solved on W_0 with ‖v − W_0 k‖ ≤ c‖W_0 k‖.

        ‖W_t‖² ≤ ‖W_0‖² [1 + (1 + c)² t]

    Args:
        norm_sq_0: ‖W_0‖²_{M⁻¹}.
        ratio: c, relative to ‖W_0 k‖.
        t: the number of edits, any keys, any η in (0, 1].

    Returns:
        The bound.

    Raises:
        Misuse: a negative norm, c or t.

    Source: T4.frozen_values.

    >>> frozen_values_worst(1.0, 1.0, 2)
    9.0
    """
    _demand_stream(norm_sq_0, ratio, t)
    return norm_sq_0 * (1 + (1 + ratio) ** 2 * t)


def _demand_stream(norm_sq_0: Any, ratio: Any, t: Any) -> None:
    demand(norm_sq_0 >= 0, f"the squared norm of W_0 is {norm_sq_0}; it must be at least 0")
    demand(ratio >= 0, f"the ratio c is {ratio}; it must be at least 0")
    demand(t >= 0, f"{t} edits are asked for; their number must be at least 0")
