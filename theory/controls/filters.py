"""T4: what masks and filters of an update leave of the growth; the proofs are in filter_proofs and rect_proofs."""

from __future__ import annotations

import math
from typing import Any

from theory.controls.increments import demand, demand_law, demand_share


def masked_factor(n: Any, ratio: Any, share: Any, eta_squared: Any = 1) -> Any:
    """The mean growth factor when a mask that ignores δ keeps a share of its coordinates (random EAC).

        E‖W'‖²/‖W‖² = 1 + p E[η²] c²/n

    Args:
        n: the key dimension; keys are isotropic.
        ratio: c = ‖δ‖/‖Wk‖ before the mask.
        share: p, the probability with which each coordinate is kept.
        eta_squared: E[η²].

    Returns:
        The factor of the squared norm.

    Raises:
        Misuse: n < 1, a negative c, or a share or E[η²] outside [0, 1].

    Source: T4.mask.

    >>> masked_factor(4, 2.0, 0.25)
    1.25
    """
    demand_law(n, ratio, eta_squared)
    demand_share("the kept share", share)
    return 1 + share * eta_squared * ratio**2 / n


def filtered_step(n: Any, rank: Any, alpha: Any, held: Any, ratio: Any, eta_squared: Any = 1) -> Any:
    """The mean growth factor of one write Δ(I − αUUᵀ), U any r orthonormal directions that the key does not know.

        E‖W'‖²/‖W‖² = 1 + (E[η²] c²/n) [1 − (2α − α²)(r + 2f)/(n + 2)],   f = ‖WU‖²/‖W‖²

    Args:
        n: the key dimension; keys are isotropic, M = I.
        rank: r, the columns of U (may depend on W, as in SPHERE).
        alpha: α in [0, 1]: how much of those directions is removed.
        held: f in [0, 1], the share of ‖W‖² in those directions.
        ratio: c.
        eta_squared: E[η²].

    Returns:
        The factor of the squared norm at this W.

    Raises:
        Misuse: n < 1, a negative c, a rank outside [0, n], or α, f or E[η²] outside [0, 1].

    Source: T4.sphere.

    >>> round(filtered_step(4, 2, 1.0, 0.5, 1.0), 6)
    1.125
    """
    demand(rank >= 0, f"{rank} directions are removed; they number 0 to n")
    demand(rank <= n, f"{rank} directions are removed of {n}; they number 0 to n")
    demand_law(n, ratio, eta_squared)
    demand_share("α", alpha)
    demand_share("f", held)
    return 1 + eta_squared * ratio**2 / n * (1 - (2 * alpha - alpha**2) * (rank + 2 * held) / (n + 2))


def filtered_rate(n: int, rank: int, alpha: float, ratio: float, eta_squared: float = 1.0) -> float:
    """The factor by which E‖W‖² grows per edit in the end when U is fixed: γ's share left by SPHERE's filter.

        1 + g λ,   g = E[η²] c²/(n(n + 2)),   λ² − [(1−α)²(r + 2) + n − r + 2] λ + 2(1−α)²(n + 2) = 0, the larger root

    Args:
        n: the key dimension; keys are isotropic, M = I.
        rank: r, 0 ≤ r < n.
        alpha: α in [0, 1].
        ratio: c.
        eta_squared: E[η²].

    Returns:
        The factor; above 1 for every c > 0.

    Raises:
        Misuse: n < 1, a negative c, a rank outside [0, n), or α or E[η²] outside [0, 1].

    Source: T4.sphere_fixed.

    >>> round(filtered_rate(4, 2, 0.0, 1.0), 6), round(filtered_rate(4, 2, 1.0, 1.0), 6)
    (1.25, 1.166667)
    """
    demand(0 <= rank < n, f"{rank} directions are removed of {n}; they number 0 to n − 1")
    demand_law(n, ratio, eta_squared)
    demand_share("α", alpha)
    kept = (1 - alpha) ** 2
    half_trace = (kept * (rank + 2) + n - rank + 2) / 2
    root = half_trace + math.sqrt(half_trace**2 - 2 * kept * (n + 2))
    return 1 + eta_squared * ratio**2 / (n * (n + 2)) * root


def confined_rate(m: Any, n: Any, rank: Any, ratio: Any, eta_squared: Any = 1) -> Any:
    """The factor by which the free block grows per edit when updates avoid r left and r right directions (REVIVE).

        1 + g (n − r + 2),   g = E[η²] c² (m − r)/(m n (n + 2))

    Args:
        m: the value dimension.
        n: the key dimension; keys and shifts are isotropic, M = I.
        rank: r, the protected singular vectors of W_0.
        ratio: c.
        eta_squared: E[η²].

    Returns:
        The factor.

    Raises:
        Misuse: m or n < 1, a negative c, a rank outside [0, min(m, n)], or E[η²] outside [0, 1].

    Source: T4.revive.

    >>> confined_rate(2, 4, 1, 1.0, 1.0) == 1 + 5 / 48
    True
    """
    demand_law(n, ratio, eta_squared)
    demand(m >= 1, f"the value dimension is {m}; it must be at least 1")
    demand(rank >= 0, f"{rank} directions are protected in {m} × {n}; they number 0 to the smaller of the two")
    demand(rank <= m, f"{rank} directions are protected in {m} × {n}; they number 0 to the smaller of the two")
    demand(rank <= n, f"{rank} directions are protected in {m} × {n}; they number 0 to the smaller of the two")
    return 1 + eta_squared * ratio**2 * (m - rank) * (n - rank + 2) / (m * n * (n + 2))
