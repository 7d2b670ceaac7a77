"""EAC's selection inside the value solve: after some steps only the dimensions that matter are moved on."""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from sim.counts import at_least

FLOOR = 1e-6


class Selection(NamedTuple):
    """The dimensions that a solve goes on with.

    Attributes:
        kept: which (d,).
        score: |mean gradient · δ| at the choice (d,).
    """

    kept: Bool[Tensor, " d"]
    score: Float[Tensor, " d"]

    def penalty(self, shift: Float[Tensor, " d"]) -> Float[Tensor, ""]:
        """The scored elastic net, Σ |δ_j|/(score_j + 1e-6)."""
        return (shift.abs() / (self.score + FLOOR)).sum()


def select(gradient: Float[Tensor, " d"], shift: Float[Tensor, " d"], share: float) -> Selection:
    """Choose the dimensions of largest score.

        score_j = |g_j δ_j|,   kept: the ⌈share·d⌉ largest

    Args:
        gradient: g (d,), mean over the steps so far of the loss's gradient.
        shift: δ (d,).
        share: of the dimensions.

    Returns:
        The selection.

    Source: famoustourist/EAC, `models/memit/compute_z.py`; its ROME file computes the penalty and leaves it out.

    >>> select(torch.tensor([1.0, 1.0, 0.1]), torch.tensor([0.2, -0.5, 1.0]), 0.5).kept.tolist()
    [True, True, False]
    """
    score = (gradient * shift).abs()
    kept = torch.zeros_like(score, dtype=torch.bool)
    kept[score.topk(at_least(share, len(score))).indices] = True
    return Selection(kept, score)
