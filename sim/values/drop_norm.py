"""NAS's drop rule, on its own and counted: a request whose value is too large is not written."""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from sim.editor import Edit, Transform
from theory.command import Misuse


class Dropped(NamedTuple):
    """How many requests the rule has dropped so far."""

    total: Int[Tensor, ""]


def drop_norm(limit: float, *, bias: Float[Tensor, " m"] | None = None) -> Transform[Edit]:
    """Drop each request whose value is longer than a limit.

        ‖v + b‖ > limit:  v ← Wk

    The key stays in the batch, with residual zero, as in the released code. As published the limit is 2a
    (5a in the ROME variant), and it acts before the anchor: `chain(drop_norm(2 * a), anchor_norm(a))`.

    Args:
        limit: in value units, positive.
        bias: b (m,), the module's bias, where its output is Wk + b.

    Returns:
        The transform; its state counts what was dropped.

    Raises:
        Misuse: the limit is not positive.

    Source: SasyaTitech/NAS, `NAS/compute_z.py`.

    >>> rule = drop_norm(1.0)
    >>> edit = Edit(torch.ones(1, 1), torch.zeros(2, 1), torch.tensor([[3.0], [4.0]]))
    >>> kept, state = rule.update(edit, rule.init(torch.zeros(2, 1)), torch.zeros(2, 1))
    >>> kept.values.flatten().tolist(), int(state.total)
    ([0.0, 0.0], 1)
    """
    if not limit > 0:
        raise Misuse(f"the drop limit is {limit}; it must be positive, such as twice the anchor")

    def update(edit: Edit, state: Dropped, weight: Tensor) -> tuple[Edit, Dropped]:
        outputs = edit.values if bias is None else edit.values + bias[:, None].to(edit.values)
        drop = (outputs.norm(dim=0) > limit) & edit.asked
        values = torch.where(drop, edit.readouts, edit.values)
        return edit._replace(values=values), Dropped(state.total + drop.sum())

    def init(weight: Tensor) -> Dropped:
        return Dropped(torch.zeros((), dtype=torch.int64, device=weight.device))

    return Transform(init, update, by_request=True)
