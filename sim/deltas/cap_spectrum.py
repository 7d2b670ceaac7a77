"""A cap on every singular value of an update."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from sim.editor import Transform, stateless
from sim.lowrank import Delta, LowRank
from theory.command import Misuse


def cap_spectrum(*, ratio: float | None = None, limit: float | None = None) -> Transform[Delta]:
    """Bring every singular value of an update down to a share of ‖W‖₂, or to a fixed bound.

        Δ = UΣVᵀ ← U min(Σ, q‖W‖₂) Vᵀ          or          U min(Σ, τ) Vᵀ

    Args:
        ratio: q, dimensionless.
        limit: τ, in units of the weight. Exactly one of the two is given.

    Returns:
        The transform; a factored update stays factored, through thin factorisations of its two sides.

    Raises:
        Misuse: neither or both are given, or the one given is not positive.

    Source: P6.

    >>> delta = torch.diag(torch.tensor([3.0, 0.5]))
    >>> [round(x, 6) for x in cap_spectrum(limit=1.0).update(delta, (), torch.eye(2))[0].diagonal().tolist()]
    [1.0, 0.5]
    """
    given = [value for value in (ratio, limit) if value is not None]
    if len(given) != 1 or not given[0] > 0:
        raise Misuse(f"cap_spectrum got ratio={ratio}, limit={limit}; give exactly one of them, positive")

    def update(delta: Delta, weight: Float[Tensor, "m n"]) -> Delta:
        bound = limit if ratio is None else ratio * torch.linalg.matrix_norm(weight, 2)
        if isinstance(delta, LowRank):
            out, into = torch.linalg.qr(delta.left), torch.linalg.qr(delta.right)
            left, sizes, right = torch.linalg.svd(out.R @ into.R.mT, full_matrices=False)
            return LowRank(out.Q @ left * sizes.clamp_max(bound), into.Q @ right.mT)
        left, sizes, right = torch.linalg.svd(delta, full_matrices=False)
        return left * sizes.clamp_max(bound) @ right

    return stateless(update)
