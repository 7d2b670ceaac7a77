"""A delta in factored form, so that norms and norm changes never cost a pass over the weight."""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor


class LowRank(NamedTuple):
    """The matrix Δ = left · rightᵀ.

    Attributes:
        left: (m, u), one column a write, in the units of a value.
        right: (n, u), one column a write, in the units of 1/key.

    >>> delta = LowRank(torch.ones(2, 1), torch.ones(3, 1))
    >>> delta.dense().shape, round(float(delta.norm()), 3)
    (torch.Size([2, 3]), 2.449)
    """

    left: Float[Tensor, "m u"]
    right: Float[Tensor, "n u"]

    def dense(self) -> Float[Tensor, "m n"]:
        """Δ as an (m, n) matrix."""
        return self.left @ self.right.mT

    def norm(self) -> Float[Tensor, ""]:
        """‖Δ‖_F = ‖R_l R_rᵀ‖_F of left = Q_l R_l, right = Q_r R_r, in float64; of large columns that cancel, too."""
        left, right = self.left.double(), self.right.double()
        if left.shape[1] == 1:
            return torch.linalg.vector_norm(left) * torch.linalg.vector_norm(right)
        return torch.linalg.vector_norm(torch.linalg.qr(left, mode="r").R @ torch.linalg.qr(right, mode="r").R.mT)

    def __matmul__(self, keys: Float[Tensor, "n p"]) -> Float[Tensor, "m p"]:
        return self.left @ (self.right.mT @ keys)


Delta = LowRank | Tensor


def dense(delta: Delta) -> Float[Tensor, "m n"]:
    """A delta as a matrix."""
    return delta.dense() if isinstance(delta, LowRank) else delta


def scaled(delta: Delta, factor: Float[Tensor, ""] | float) -> Delta:
    """factor · Δ, in the form that Δ has."""
    return LowRank(factor * delta.left, delta.right) if isinstance(delta, LowRank) else factor * delta


def delta_norm(delta: Delta) -> Float[Tensor, ""]:
    """‖Δ‖_F of a factored or dense delta."""
    return delta.norm() if isinstance(delta, LowRank) else frobenius(delta)


def apply_delta(weight: Float[Tensor, "m n"], delta: Delta) -> Float[Tensor, "m n"]:
    """W + Δ as a new tensor of W's dtype; the sum is formed in the wider of the two dtypes."""
    full = dense(delta)
    return (weight.to(torch.promote_types(weight.dtype, full.dtype)) + full).to(weight.dtype)


def frobenius(matrix: Float[Tensor, "m n"]) -> Float[Tensor, ""]:
    """‖X‖_F, summed in float64.

    In float32 the sum is taken in order: torch.linalg.norm of a 4096 × 14336 weight on a CPU is 0.5 % too small.

    >>> float(frobenius(torch.tensor([[3.0, 4.0]])))
    5.0
    """
    return torch.linalg.vector_norm(matrix, dtype=torch.float64)
