"""Caps on the Frobenius norm of an update, relative to the weight's or absolute."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from sim.editor import Transform, stateless
from sim.lowrank import Delta, delta_norm, frobenius, scaled
from theory.command import Misuse


def cap_norm(*, ratio: float | None = None, limit: float | None = None) -> Transform[Delta]:
    """Shorten an update to at most a share of ‖W‖_F, or to at most a fixed norm.

        Δ ← min(1, q‖W‖_F/‖Δ‖_F) Δ          or          Δ ← min(1, τ/‖Δ‖_F) Δ

    Args:
        ratio: q, dimensionless.
        limit: τ, in units of the weight. Exactly one of the two is given.

    Returns:
        The transform; a factored update stays factored.

    Raises:
        Misuse: neither or both are given, or the one given is not positive.

    Source: P6; T4.

    >>> delta, _ = cap_norm(limit=1.0).update(torch.tensor([[3.0, 4.0]]), (), torch.ones(1, 2))
    >>> [round(x, 6) for x in delta.flatten().tolist()]
    [0.6, 0.8]
    """
    given = [value for value in (ratio, limit) if value is not None]
    if len(given) != 1 or not given[0] > 0:
        raise Misuse(f"cap_norm got ratio={ratio}, limit={limit}; give exactly one of them, positive")

    def update(delta: Delta, weight: Float[Tensor, "m n"]) -> Delta:
        size = delta_norm(delta)
        bound = torch.as_tensor(limit) if ratio is None else ratio * frobenius(weight)
        return scaled(delta, (bound / size.where(size > 0, 1)).clamp_max(1).to(weight.dtype))

    return stateless(update)
