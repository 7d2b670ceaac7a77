"""OTE-SE: sequential least squares that keeps every past constraint, so that it ends where one joint edit ends."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from sim.editor import Solver
from sim.metric import inverse_metric
from sim.rules.second_moment import second_moment
from theory.command import Misuse


def ote_se(size: int, *, ridge: float = 1.0, like: Float[Tensor, "..."] | None = None) -> Solver:
    """Least squares on all requests so far, tied to the original weight alone, one key or a batch.

        W_t = argmin Σ_{i ≤ t} ‖W K_i − V_i‖² + ridge·‖W − W_0‖²_F          (Δ = R Kᵀ(ridge·I + Σ_past kkᵀ + KKᵀ)⁻¹)

    Editing one by one ends exactly at the joint solution of all requests, in any order.

    Args:
        size: n, the key dimension.
        ridge: in key units squared.
        like: a tensor whose dtype and device the solver takes; None is float64 on the CPU.

    Returns:
        The solver.

    Raises:
        Misuse: the ridge is not positive.

    Source: arXiv 2605.26670.

    >>> solver = ote_se(2, ridge=4.0)
    >>> metric = solver.metric(solver.init(torch.zeros(1, 2)))
    >>> metric.times(torch.ones(2, 1, dtype=torch.float64)).flatten().tolist()
    [0.25, 0.25]
    """
    if size < 1:
        raise Misuse(f"ote_se's size is {size}; it is the key dimension, such as 3072")
    if not ridge > 0:
        raise Misuse(f"ote_se's ridge is {ridge}; it must be positive, such as 1")
    eye = (
        torch.eye(size, dtype=torch.float64) if like is None else torch.eye(size, dtype=like.dtype, device=like.device)
    )
    return second_moment(inverse_metric(ridge * eye, "ridge·I"), "OTE-SE's A_t")
