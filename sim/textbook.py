"""Every blocked rule once more, step by step as its formula stands: what the benchmark measures against."""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

Write = Callable[[Tensor, Tensor, Tensor], Tensor]
"""(W, k, r) -> Δ, all dense; a closure may keep what its rule remembers."""


def rome_write(covariance: Float[Tensor, "n n"] | None) -> Write:
    """Δ = r (C⁻¹k)ᵀ / kᵀC⁻¹k, with C's Cholesky factor taken once."""
    factor = None if covariance is None else torch.linalg.cholesky(covariance)

    def write(weight: Tensor, key: Tensor, residual: Tensor) -> Tensor:
        direction = key if factor is None else torch.cholesky_solve(key, factor)
        return residual @ (direction / (key.mT @ direction)).mT

    return write


def memit_write(covariance: Float[Tensor, "n n"] | None, weighting: float) -> Write:
    """Δ = r kᵀ(λC + kkᵀ)⁻¹ by Sherman and Morrison, with C's Cholesky factor taken once."""
    factor = None if covariance is None else torch.linalg.cholesky(weighting * covariance)

    def write(weight: Tensor, key: Tensor, residual: Tensor) -> Tensor:
        direction = key / weighting if factor is None else torch.cholesky_solve(key, factor)
        return residual @ (direction / (1 + key.mT @ direction)).mT

    return write


def growing_write(start: Float[Tensor, "n n"]) -> Write:
    """Δ = r kᵀ(A + kkᵀ)⁻¹, A ← A + kkᵀ: one dense solve an edit, as the accumulating rules are released."""
    matrix = start.clone()

    def write(weight: Tensor, key: Tensor, residual: Tensor) -> Tensor:
        matrix.addmm_(key, key.mT)
        return residual @ torch.cholesky_solve(key, torch.linalg.cholesky(matrix)).mT

    return write


def projected_write(basis: Float[Tensor, "n p"], ridge: float) -> Write:
    """AlphaEdit's Δ in the coordinates of range(P)."""
    inner = growing_write(ridge * torch.eye(basis.shape[1], dtype=basis.dtype, device=basis.device))
    return lambda weight, key, residual: inner(weight, basis.mT @ key, residual) @ basis.mT


def run_textbook(
    weight: Float[Tensor, "m n"], keys: Float[Tensor, "n t"], toward: Float[Tensor, "m t"], ratio: float, write: Write
) -> list[float]:
    """Edit a copy of W key by key towards v = Wk + c‖Wk‖e.

    Args:
        weight: W (m, n).
        keys: (n, t), one column an edit.
        toward: (m, t) unit vectors e.
        ratio: c.
        write: the rule.

    Returns:
        ‖W‖_F after every edit.

    >>> run_textbook(torch.eye(2), torch.tensor([[1.0], [0.0]]), torch.tensor([[0.0], [1.0]]), 1.0, rome_write(None))
    [1.7320507764816284]
    """
    weight, norms = weight.clone(), []
    for key, direction in zip(keys.split(1, dim=1), toward.split(1, dim=1), strict=True):
        readout = weight @ key
        value = readout + ratio * torch.linalg.vector_norm(readout) * direction
        weight += write(weight, key, value - readout)
        norms.append(torch.linalg.vector_norm(weight))
    return [float(norm) for norm in norms]
