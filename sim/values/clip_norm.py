"""Clamps on a solved shift δ = v − Wk: relative to the read-out, as ROME clamps, or absolute."""

from __future__ import annotations

import torch
from torch import Tensor

from sim.editor import Edit, Transform, stateless
from theory.command import Misuse


def clip_norm(*, ratio: float | None = None, limit: float | None = None) -> Transform[Edit]:
    """Shorten each shift δ = v − Wk to at most a share of ‖Wk‖, or to at most a fixed norm.

        δ ← min(1, c‖Wk‖/‖δ‖) δ          or          δ ← min(1, τ/‖δ‖) δ

    ROME's released code clamps relative to the module's output Wk (`target_init`), with c = 4. The MEMIT family
    clamps ‖δ‖ to c‖h‖ with c = 0.75, where h is the layer's output (the residual stream, of which Wk is one part):
    its c is not the ratio here, and a bound c‖h‖ that does not follow ‖Wk‖ acts like an absolute one.

    Args:
        ratio: c = ‖δ‖/‖Wk‖ at most, dimensionless.
        limit: τ, in value units. Exactly one of the two is given.

    Returns:
        The transform.

    Raises:
        Misuse: neither or both are given, or the one given is not positive.

    Source: P6; T4 (a relative clamp fixes the exponent and cannot remove it, an absolute one leaves linear growth).

    >>> edit = Edit(torch.ones(1, 1), torch.tensor([[1.0], [0.0]]), torch.tensor([[1.0], [4.0]]))
    >>> clip_norm(ratio=0.5).update(edit, (), torch.zeros(2, 1))[0].values.flatten().tolist()
    [1.0, 0.5]
    """
    given = [value for value in (ratio, limit) if value is not None]
    if len(given) != 1 or not given[0] > 0:
        raise Misuse(f"clip_norm got ratio={ratio}, limit={limit}; give exactly one of them, positive")

    def update(edit: Edit, weight: Tensor) -> Edit:
        shift = edit.residuals
        norms = shift.norm(dim=0)
        bound = limit if ratio is None else ratio * edit.readouts.norm(dim=0)
        bound = torch.as_tensor(bound, dtype=norms.dtype, device=norms.device)
        short = shift * (bound / norms.where(norms > 0, 1))
        return edit._replace(values=torch.where(norms > bound, edit.readouts + short, edit.values))

    return stateless(update, by_request=True)
