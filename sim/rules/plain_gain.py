"""What a write that is no metric write did, in Frobenius norm."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor

from sim.editor import Edit, Gain
from sim.lowrank import Delta, LowRank, delta_norm


def plain_gain(edit: Edit, delta: Delta, weight: Float[Tensor, "m n"]) -> Gain:
    """The terms of ‖W + Δ‖² − ‖W‖² = 2⟨W, Δ⟩ + ‖Δ‖², and the written share of the residuals.

        s = mean ‖k‖²,   η = mean ⟨Δk, r⟩/‖r‖²          (0 where r = 0)

    Args:
        edit: keys (n, u), read-outs and values (m, u).
        delta: Δ.
        weight: W (m, n).

    Returns:
        The gain; its metric is M = I.

    >>> import torch
    >>> edit = Edit(torch.ones(1, 1), torch.zeros(1, 1), torch.ones(1, 1))
    >>> [float(x) for x in plain_gain(edit, LowRank(torch.ones(1, 1), torch.ones(1, 1) / 2), torch.ones(1, 1))]
    [1.0, 0.5, 1.25, 1.25]
    """
    wide = weight.to(edit.values.dtype)
    along = (delta.left * (wide @ delta.right)).sum() if isinstance(delta, LowRank) else (delta * wide).sum()
    cross, square = 2 * along, delta_norm(delta).square()
    size = edit.residuals.square().sum(0)
    shares = ((delta @ edit.keys) * edit.residuals).sum(0) / size.where(size > 0, 1)
    return Gain(
        s=edit.keys.square().sum(0).mean(), eta=shares.mean(), predicted=cross + square, scale=cross.abs() + square
    )
