"""MEMIT: ridge least squares against a fixed covariance."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor

from sim.editor import Edit, Gain, MetricForm, Solver
from sim.lowrank import LowRank
from sim.metric import Euclidean, Metric, ridged_metric
from sim.rules.metric_write import metric_write, soft
from theory.command import Misuse


def memit(covariance: Float[Tensor, "n n"] | None = None, *, weighting: float = 15000.0) -> Solver:
    """MEMIT, one key or a batch.

        Δ = R Kᵀ(λC + KKᵀ)⁻¹ = R (I + KᵀA⁻¹K)⁻¹ (A⁻¹K)ᵀ,   A = λC          (one key: M = A⁻¹, η = s/(1+s))

    Args:
        covariance: C = E[k kᵀ] (n, n) in key units squared; None is C = I.
        weighting: λ, dimensionless; 15000 for GPT-J and Llama-3-8B, 20000 for GPT-2 XL as published.

    Returns:
        The solver; its metric never changes, so its growth is that of a memoryless rule.

    Raises:
        Misuse: λ is not positive and finite, or C is singular or not finite.

    Source: kmeng01/memit, `memit/memit_main.py`.

    >>> import torch
    >>> solver = memit(weighting=1.0)
    >>> edit = Edit(torch.tensor([[1.0], [0.0]]), torch.tensor([[0.0]]), torch.tensor([[1.0]]))
    >>> solver.solve(edit, solver.init(torch.zeros(1, 2)), torch.zeros(1, 2))[0].dense().tolist()
    [[0.5, 0.0]]
    """
    if not 0 < weighting < float("inf"):
        raise Misuse(f"memit's weighting λ is {weighting}; it must be positive and finite, such as 15000")
    metric: Metric = (
        Euclidean(weighting) if covariance is None else ridged_metric(covariance, weighting, 0.0, "covariance λC")
    )

    def solve(edit: Edit, state: Metric, weight: Tensor) -> tuple[LowRank, Gain, Metric]:
        delta, gain = metric_write(edit, state, soft, weight)
        return delta, gain, state

    return Solver(lambda weight: metric, solve, lambda keys, state: state, lambda state: state, MetricForm(soft))
