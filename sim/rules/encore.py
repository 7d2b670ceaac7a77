"""ENCORE: ridge least squares with a cache of past keys and a penalty on the size of every update."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor

from sim.editor import Solver
from sim.metric import ridged_metric
from sim.rules.second_moment import second_moment
from theory.command import Misuse


def encore(covariance: Float[Tensor, "n n"], *, weighting: float = 20_000.0, penalty: float = 10.0) -> Solver:
    """ENCORE, one key or a batch; the penalty is on Δ, not on W.

        Δ = argmin ‖ΔK − R‖² + ‖ΔK_past‖² + λ tr(ΔCΔᵀ) + penalty·‖Δ‖²_F
          = R Kᵀ(λC + penalty·I + Σ_past kkᵀ + KKᵀ)⁻¹

    Args:
        covariance: C = E[k kᵀ] (n, n) in key units squared.
        weighting: λ, dimensionless.
        penalty: of ‖Δ‖²_F, in key units squared; 10 (GPT-2 XL, Llama-2) or 20 (Llama-3) as published.

    Returns:
        The solver. The released code takes a key into the cache before its own layer is written; whoever calls
        `absorb` decides that.

    Raises:
        Misuse: λ is negative, the penalty is not positive, or C is not finite or not symmetric.

    Source: scalable-model-editing/encore, `encore/encore_main.py`.

    >>> import torch
    >>> solver = encore(torch.eye(2), weighting=3.0, penalty=1.0)
    >>> solver.metric(solver.init(torch.zeros(1, 2))).times(torch.ones(2, 1)).flatten().tolist()
    [0.25, 0.25]
    """
    if not weighting >= 0 or not penalty > 0:
        raise Misuse(
            f"encore got weighting={weighting}, penalty={penalty}; λ must not be negative, the penalty positive"
        )
    return second_moment(ridged_metric(covariance, weighting, penalty, "λC + penalty·I"), "ENCORE's A_t")
