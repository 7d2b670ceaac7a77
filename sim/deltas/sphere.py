"""SPHERE: an update leaves the directions in which the current weight's rows lie most."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from sim.editor import Transform, stateless
from sim.lowrank import Delta, LowRank
from theory.command import Misuse


def sphere(energy: float = 0.5, alpha: float = 0.5) -> Transform[Delta]:
    """Project an update away from the principal directions of W's rows.

        Ŵ = W with rows of norm 1,   ŴᵀŴ/m = QΛQᵀ,   U its leading vectors that hold the share β of tr Λ
        Δ ← Δ(I − αUUᵀ)

    Args:
        energy: β in (0, 1); 0.5 as published.
        alpha: α in (0, 1]; 0.5 with AlphaEdit, 0.8 with MEMIT, PRUNE and RECT as published.

    Returns:
        The transform; a factored update stays factored. It looks at the *current* W.

    Raises:
        Misuse: β is not in (0, 1), or α not in (0, 1].

    Source: PlusLabNLP/SPHERE, `AlphaEdit/AlphaEdit_main.py`.

    >>> weight = torch.tensor([[3.0, 0.0], [2.0, 0.0], [0.0, 1.0]])
    >>> sphere(0.5, 1.0).update(torch.ones(3, 2), (), weight)[0][0].tolist()
    [0.0, 1.0]
    """
    if not 0 < energy < 1 or not 0 < alpha <= 1:
        raise Misuse(f"sphere got energy={energy}, alpha={alpha}; β lies in (0, 1) and α in (0, 1]")

    def update(delta: Delta, weight: Float[Tensor, "m n"]) -> Delta:
        lengths = weight.norm(dim=1, keepdim=True)
        rows = weight / lengths.where(lengths > 0, 1)
        _, sizes, axes = torch.linalg.svd(rows, full_matrices=False)
        held = sizes.square().cumsum(0) / sizes.square().sum()
        kept = axes[: int((held < energy).sum()) + 1].mT.to(weight.dtype)
        if isinstance(delta, LowRank):
            return LowRank(delta.left, delta.right - alpha * kept @ (kept.mT @ delta.right))
        return delta - alpha * (delta @ kept) @ kept.mT

    return stateless(update)
