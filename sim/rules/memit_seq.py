"""MEMIT-seq: MEMIT that adds every written key to its covariance."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor

from sim.editor import Solver
from sim.metric import inverse_metric
from sim.rules.second_moment import second_moment
from theory.command import Misuse


def memit_seq(covariance: Float[Tensor, "n n"], *, weighting: float = 15000.0) -> Solver:
    """MEMIT-seq, one key or a batch.

        Δ = R Kᵀ(λC + Σ_past kkᵀ + KKᵀ)⁻¹          (A_0 = λC)

    Args:
        covariance: C = E[k kᵀ] (n, n) in key units squared.
        weighting: λ, dimensionless; 15000 for GPT-J and Llama-3-8B, 20000 for GPT-2 XL as published.

    Returns:
        The solver; its metric shrinks with every absorbed key.

    Raises:
        Misuse: λ is not positive, or C is singular or not finite.

    Source: AlphaEdit, `memit/memit_seq_main.py`, with one key of the bare prompt throughout.

    >>> import torch
    >>> solver = memit_seq(torch.eye(2), weighting=4.0)
    >>> solver.metric(solver.init(torch.zeros(1, 2))).times(torch.ones(2, 1)).flatten().tolist()
    [0.25, 0.25]
    """
    if not weighting > 0:
        raise Misuse(f"memit_seq's weighting λ is {weighting}; it must be positive, such as 15000")
    return second_moment(inverse_metric(weighting * covariance, "covariance λC"), "λC with its past keys")
