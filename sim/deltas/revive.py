"""REVIVE: an update may not touch the original weight's dominant singular directions."""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from sim.editor import Transform
from sim.lowrank import Delta, LowRank
from theory.command import Misuse


class Dominant(NamedTuple):
    """The leading singular directions of W_0.

    Attributes:
        left: (m, k).
        right: (n, k).
    """

    left: Float[Tensor, "m k"]
    right: Float[Tensor, "n k"]


def revive(share: float = 0.5) -> Transform[Delta]:
    """Drop every component of an update along W_0's dominant directions, on either side.

        k = min{k: Σ_{i ≤ k} σ_i ≥ τ Σ σ_i} of W_0 = UΣVᵀ,   Δ ← (I − U_kU_kᵀ) Δ (I − V_kV_kᵀ)

    Args:
        share: τ in (0, 1), of the sum of W_0's singular values.

    Returns:
        The transform; a factored update stays factored, its state is U_k and V_k.

    Raises:
        Misuse: τ is not in (0, 1), or k leaves no direction to write in.

    Source: arXiv 2601.11042, which has no public code.

    >>> filter_ = revive(0.5)
    >>> weight = torch.diag(torch.tensor([3.0, 1.0]))
    >>> filter_.update(torch.ones(2, 2), filter_.init(weight), weight)[0].round(decimals=5).abs().tolist()
    [[0.0, 0.0], [0.0, 1.0]]
    """
    if not 0 < share < 1:
        raise Misuse(f"REVIVE's share is {share}; it lies between 0 and 1, such as 0.5")

    def init(weight: Tensor) -> Dominant:
        left, sizes, right = torch.linalg.svd(weight, full_matrices=False)
        k = int((sizes.cumsum(0) < share * sizes.sum()).sum()) + 1
        if k >= min(weight.shape):
            raise Misuse(f"REVIVE's share {share} protects all {k} directions of W; lower it")
        return Dominant(left[:, :k], right[:k].mT)

    def update(delta: Delta, state: Dominant, weight: Tensor) -> tuple[Delta, Dominant]:
        left, right = state
        if isinstance(delta, LowRank):
            return LowRank(_without(left, delta.left), _without(right, delta.right)), state
        return _without(right, _without(left, delta).mT).mT, state

    return Transform(init, update)


def _without(basis: Float[Tensor, "m k"], columns: Float[Tensor, "m c"]) -> Float[Tensor, "m c"]:
    basis = basis.to(columns.dtype)
    return columns - basis @ (basis.mT @ columns)
