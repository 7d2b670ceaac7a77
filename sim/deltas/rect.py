"""RECT: only the entries that change their weight most, relative to it, are written."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor

from sim.counts import at_least
from sim.editor import Transform, stateless
from sim.lowrank import Delta, dense
from theory.command import Misuse


def rect(share: float = 0.2, *, offset: float = 0.0) -> Transform[Delta]:
    """Keep the entries of largest relative change.

        Δ_ij ← Δ_ij where |Δ_ij/(W_ij + offset)| is among the ⌈share·mn⌉ largest, else 0

    Args:
        share: of all entries; 0.2 as published, 0.4 as everyone's port has it.
        offset: added to W_ij; 1e-8 in the port, where an entry of about −1e-8 would count as changed most of all.

    Returns:
        The transform; its updates are dense. An entry that is written where W_ij is 0 counts as changed most.

    Raises:
        Misuse: the share is not in (0, 1], or the offset is not finite.

    Source: JasonForJoy/Model-Editing-Hurt, `models/rome/rome_main.py` (where the branch is not executed); the port is
    AlphaEdit's `memit/memit_rect_main.py`.

    >>> delta = torch.tensor([[1.0, 1.0, 0.0]])
    >>> rect(0.3).update(delta, (), torch.tensor([[10.0, 0.1, 1.0]]))[0].tolist()
    [[0.0, 1.0, 0.0]]
    """
    if not 0 < share <= 1:
        raise Misuse(f"RECT's kept share is {share}; choose one above 0 and at most 1, such as 0.2")
    if not math.isfinite(offset):
        raise Misuse(f"RECT's offset is {offset}; it must be finite, such as 0 or the port's 1e-8")

    def update(delta: Delta, weight: Float[Tensor, "m n"]) -> Tensor:
        full = dense(delta)
        score = torch.where(full == 0, 0.0, (full / (weight.to(full.dtype) + offset)).abs())
        kept = score.flatten().topk(at_least(share, full.numel())).indices
        mask = torch.zeros(full.numel(), dtype=torch.bool, device=full.device)
        mask[kept] = True
        return full.where(mask.view_as(full), 0)

    return stateless(update)
