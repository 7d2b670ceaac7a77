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
        ridge: λ² in key units squared, positive as published; the released code sets 0, which leaves W free where C is
            small.
        weighting: μ², the weight of C; 15000 for GPT-J and Llama-3-8B, 20000 for GPT-2 XL as released.

    Returns:
        The solver.

    Raises:
        Misuse: the ridge or the weighting is negative, or C is not finite, not symmetric or, without a ridge, singular.

    Source: Euphoria040201/RLSEdit, `RLSEdit_main.py`, whose residual in place of the value is not followed.

    >>> import torch
    >>> solver = rlsedit(torch.eye(2), ridge=1.0, weighting=3.0)
    >>> solver.metric(solver.init(torch.zeros(1, 2))).times(torch.ones(2, 1)).flatten().tolist()
    [0.25, 0.25]
    """
    if not ridge >= 0 or not weighting >= 0 or not ridge + weighting > 0:
        raise Misuse(f"rlsedit got ridge={ridge}, weighting={weighting}; neither is negative, and one is positive")
    return second_moment(ridged_metric(covariance, weighting, ridge, "λ²I + μ²C"), "RLSEdit's A_t")
