"""Weight decay: every write also shrinks the weight a little."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor

from sim.editor import Transform, stateless
from sim.lowrank import Delta, dense
from theory.command import Misuse


def decay_weight(rate: float) -> Transform[Delta]:
    """Shrink what was there before the write.

        W ← (1 − d) W + Δ,   that is   Δ ← Δ − d W

    Args:
        rate: d in (0, 1), dimensionless, a write.

    Returns:
        The transform; its updates are dense.

    Raises:
        Misuse: d is not between 0 and 1.

    Source: P6; T4.

    >>> import torch
    >>> decay_weight(0.25).update(torch.zeros(1, 1), (), torch.full((1, 1), 4.0))[0].tolist()
    [[-1.0]]
    """
    if not 0 < rate < 1:
        raise Misuse(f"the decay is {rate}; it lies between 0 and 1, such as 0.001")

    def update(delta: Delta, weight: Float[Tensor, "m n"]) -> Tensor:
        full = dense(delta)
        return full - rate * weight.to(full.dtype)

    return stateless(update)
