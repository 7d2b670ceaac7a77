"""EMMET: the equality-constrained write of a batch."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from sim.editor import Edit, Gain, MetricForm, Solver
from sim.lowrank import LowRank
from sim.metric import Inverse, ridged_metric
from sim.rules.metric_write import metric_write
from theory.command import Misuse


def emmet(
    covariance: Float[Tensor, "n n"], *, weighting: float = 10_000.0, ridge: float = 0.0, jitter: float = 0.0
) -> Solver:
    """EMMET, one key or a batch: the least ‖Δ‖ in the metric that meets every target.

        Δ = R (KᵀA⁻¹K + jitter·I)⁻¹ (A⁻¹K)ᵀ,   A = λC + ridge·I          (M = A⁻¹; jitter 0: one key has η = 1)

    Args:
        covariance: C = E[k kᵀ] (n, n) in key units squared.
        weighting: λ, dimensionless; 10000 as published (100000 in some settings).
        ridge: in key units squared.
        jitter: added to every kᵀA⁻¹k of a batch of more than one key; 0.1 as released, 0 as published.

    Returns:
        The solver. Dependent keys with jitter 0 give a delta that is not finite, which is data.

    Raises:
        Misuse: λ is not positive, a ridge or jitter is negative, or A is singular.

    Source: scalable-model-editing/unified-model-editing, `emmet/emmet_main.py`, without its silent pseudo-inverse.

    >>> solver = emmet(torch.eye(2), weighting=1.0)
    >>> edit = Edit(torch.tensor([[2.0], [0.0]]), torch.tensor([[0.0]]), torch.tensor([[1.0]]))
    >>> solver.solve(edit, solver.init(torch.zeros(1, 2)), torch.zeros(1, 2))[0].dense().tolist()
    [[0.5, 0.0]]
    """
    if not weighting > 0 or not ridge >= 0 or not jitter >= 0:
        raise Misuse(
            f"emmet got weighting={weighting}, ridge={ridge}, jitter={jitter}; λ is positive, the others not negative"
        )
    metric = ridged_metric(covariance, weighting, ridge, "EMMET's A")

    def constrained(gram: Float[Tensor, "*r u u"]) -> Float[Tensor, "*r u u"]:
        own = torch.eye(gram.shape[-1], dtype=gram.dtype, device=gram.device)
        system = gram + (jitter if gram.shape[-1] > 1 else 0.0) * own
        return torch.linalg.inv_ex(system).inverse.masked_fill(dependent(system)[..., None, None], torch.nan)

    def solve(edit: Edit, state: Inverse, weight: Tensor) -> tuple[LowRank, Gain, Inverse]:
        delta, gain = metric_write(edit, state, constrained, weight)
        return delta, gain, state

    form = MetricForm(constrained)
    return Solver(lambda weight: metric, solve, lambda keys, state: state, lambda state: state, form)


def dependent(system: Float[Tensor, "*r u u"]) -> Bool[Tensor, " *r"]:
    """Whether keys are dependent to rounding: a pivot of their correlations is noise.

    >>> dependent(torch.stack([torch.tensor([[1.0, 3.0], [3.0, 9.0]]), torch.diag(torch.tensor([1.0, 1e-9]))])).tolist()
    [True, False]
    """
    sizes = system.diagonal(dim1=-2, dim2=-1).sqrt()
    factor, failed = torch.linalg.cholesky_ex(system / (sizes[..., None] * sizes[..., None, :]))
    least = factor.diagonal(dim1=-2, dim2=-1).square().amin(-1)
    return (failed > 0) | ~(least > 100 * torch.finfo(system.dtype).eps * system.shape[-1])
