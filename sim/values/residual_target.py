"""RLSEdit's released target: the residual itself where the value is expected."""

from __future__ import annotations

from torch import Tensor

from sim.editor import Edit, Transform, stateless


def residual_target() -> Transform[Edit]:
    """Write the shift δ = v − Wk as if it were the value: Wk is driven towards δ, not towards v.

        v ← v − Wk

    Returns:
        The transform; `editor(rlsedit(...), values=residual_target())` is RLSEdit as released.

    Source: Euphoria040201/RLSEdit, `RLSEdit_main.py`.

    >>> import torch
    >>> edit = Edit(torch.ones(1, 1), torch.tensor([[1.0]]), torch.tensor([[3.0]]))
    >>> residual_target().update(edit, (), torch.zeros(1, 1))[0].values.tolist()
    [[2.0]]
    """

    def update(edit: Edit, weight: Tensor) -> Edit:
        return edit._replace(values=edit.residuals.where(edit.asked, edit.values))

    return stateless(update, by_request=True)
