"""EAC's compression of an edit: only the most important dimensions of a shift are written."""

from __future__ import annotations

import torch
from torch import Tensor

from sim.counts import at_least
from sim.editor import Edit, Transform, stateless
from theory.command import Misuse

FLOOR = 1e-6


def keep_dimensions(share: float = 0.2, *, elastic: float = 5e-7) -> Transform[Edit]:
    """Keep the largest coordinates of each shift δ = v − Wk, and shorten them by the scored elastic net.

        δ_j ← δ_j where score_j = |g_j δ_j| is among the ⌈share·m⌉ largest, else 0
        minimise ½‖δ' − δ‖² + elastic Σ |δ'_j|/(score_j + 10⁻⁶):   δ_j ← sign(δ_j) (|δ_j| − elastic/(score_j + 10⁻⁶))₊

    g is the mean gradient along the value solve. On a linear memory the loss is ½‖Wk + δ' − v‖², its gradient along
    the path to v is proportional to δ, and the score is δ_j².

    Args:
        share: of the m dimensions; 0.2 (ROME) or 0.05 (MEMIT) as published.
        elastic: weight of the net, in value units to the fourth power; 5e-7 as published. The released ROME file
            computes the term and leaves it out of the loss, which is 0 here.

    Returns:
        The transform.

    Raises:
        Misuse: the share is not in (0, 1], or the weight is negative.

    Source: P6; famoustourist/EAC, `models/rome/compute_v.py` and `models/memit/compute_z.py`.

    >>> edit = Edit(torch.ones(1, 1), torch.zeros(4, 1), torch.tensor([[1.0], [-3.0], [0.5], [2.0]]))
    >>> keep_dimensions(0.5, elastic=0.0).update(edit, (), torch.zeros(4, 1))[0].values.flatten().tolist()
    [0.0, -3.0, 0.0, 2.0]
    """
    if not 0 < share <= 1:
        raise Misuse(f"the kept share of dimensions is {share}; choose one above 0 and at most 1, such as 0.2")
    if not elastic >= 0:
        raise Misuse(f"the elastic net's weight is {elastic}; it must not be negative, such as 5e-7")

    def update(edit: Edit, weight: Tensor) -> Edit:
        shift = edit.residuals
        score = shift.square()
        kept = score.topk(at_least(share, shift.shape[0]), dim=0).indices
        mask = torch.zeros_like(shift, dtype=torch.bool).scatter(0, kept, True)
        less = (elastic / (score + FLOOR)).minimum(shift.abs()) * shift.sign()
        return edit._replace(values=torch.where(mask, edit.values - less, edit.readouts))

    return stateless(update, by_request=True)
