"""RLSEdit: recursive least squares on all requests so far, tied to the original weight and its outputs."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor

from sim.editor import Solver
from sim.metric import ridged_metric
from sim.rules.second_moment import second_moment
from theory.command import Misuse


def rlsedit(covariance: Float[Tensor, "n n"], *, ridge: float = 1.0, weighting: float = 15000.0) -> Solver:
    """RLSEdit as published, one key or a batch: the values themselves are its targets.

        W_t = argmin Σ_past ‖WK − V‖² + λ²‖W − W_0‖² + μ²‖(W − W_0)K_0‖²
        Δ = R Kᵀ(A_t + KKᵀ)⁻¹,   A_0 = λ²I + μ²C          (A_t = A_0 + Σ_past kkᵀ)

    Args:
        covariance: C = E[k kᵀ] (n, n) in key units squared.
        ridge: λ² in key units squared; the released code sets 0, which leaves W free where C is small.
        weighting: μ², the weight of C; 15000 for GPT-J and Llama-3-8B, 20000 for GPT-2 XL as released.

    Returns:
        The solver.

    Raises:
        Misuse: the ridge is not positive, the weighting is negative, or C is not finite or not symmetric.

    Source: Euphoria040201/RLSEdit, `RLSEdit_main.py`, whose residual in place of the value is not followed.

    >>> import torch
    >>> solver = rlsedit(torch.eye(2), ridge=1.0, weighting=3.0)
    >>> solver.metric(solver.init(torch.zeros(1, 2))).times(torch.ones(2, 1)).flatten().tolist()
    [0.25, 0.25]
    """
    if not ridge > 0:
        raise Misuse(f"rlsedit's ridge λ² is {ridge}; it must be positive, such as 1")
    if not weighting >= 0:
        raise Misuse(f"rlsedit's weighting μ² is {weighting}; it must not be negative")
    return second_moment(ridged_metric(covariance, weighting, ridge, "λ²I + μ²C"), "RLSEdit's A_t")


def rlsedit_released(covariance: Float[Tensor, "n n"], *, weighting: float = 15000.0) -> Solver:
    """RLSEdit's solve as released, without the ridge; its target, the residual, is `sim.values.residual_target`.

        Δ = R Kᵀ(A_t + KKᵀ)⁻¹,   A_0 = μ²C          (A_t = A_0 + Σ_past kkᵀ)

    Args:
        covariance: C = E[k kᵀ] (n, n) in key units squared.
        weighting: μ², the weight of C.

    Returns:
        The solver.

    Raises:
        Misuse: the weighting is not positive, or C is singular, not finite or not symmetric.

    Source: Euphoria040201/RLSEdit, `RLSEdit_main.py`.

    >>> import torch
    >>> solver = rlsedit_released(torch.eye(2), weighting=4.0)
    >>> solver.metric(solver.init(torch.zeros(1, 2))).times(torch.ones(2, 1)).flatten().tolist()
    [0.25, 0.25]
    """
    if not weighting > 0:
        raise Misuse(f"rlsedit_released's weighting μ² is {weighting}; it must be positive, such as 15000")
    return second_moment(ridged_metric(covariance, weighting, 0.0, "μ²C"), "RLSEdit's A_t")
