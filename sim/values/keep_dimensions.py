"""EAC's compression of an edit: only the most important dimensions of a shift are written."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from sim.editor import Edit, Transform, stateless
from theory.command import Misuse


def keep_dimensions(share: float = 0.2) -> Transform[Edit]:
    """Keep the largest coordinates of each shift δ = v − Wk.

        δ_j ← δ_j where score_j = |g_j δ_j| is among the ⌈share·m⌉ largest, else 0

    g is the mean gradient along the value solve. On a linear memory the loss is ½‖Wk + δ − v‖², its gradient along
    the path to v is proportional to δ, and the score is δ_j².

    Args:
        share: of the m dimensions; 0.2 (ROME) or 0.05 (MEMIT) as published.

    Returns:
        The transform.

    Raises:
        Misuse: the share is not in (0, 1].

    Source: P6; famoustourist/EAC, `models/rome/compute_v.py` and `models/memit/compute_z.py`.

    >>> edit = Edit(torch.ones(1, 1), torch.zeros(4, 1), torch.tensor([[1.0], [-3.0], [0.5], [2.0]]))
    >>> keep_dimensions(0.5).update(edit, (), torch.zeros(4, 1))[0].values.flatten().tolist()
    [0.0, -3.0, 0.0, 2.0]
    """
    if not 0 < share <= 1:
        raise Misuse(f"the kept share of dimensions is {share}; choose one above 0 and at most 1, such as 0.2")

    def update(edit: Edit, weight: Tensor) -> Edit:
        shift = edit.residuals
        kept = shift.square().topk(math.ceil(share * shift.shape[0]), dim=0).indices
        mask = torch.zeros_like(shift, dtype=torch.bool).scatter(0, kept, True)
        return edit._replace(values=torch.where(mask, edit.values, edit.readouts))

    return stateless(update, by_request=True)
