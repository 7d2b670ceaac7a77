"""The rows of a block of writes, from its factors alone: what every write did, by T1, without a weight in sight."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy.typing import NDArray
from torch import Tensor

Columns = dict[str, NDArray]
"""A block's rows by column, each (r, t): trials by steps; the names are those of `run_stream`'s rows."""


class Written(NamedTuple):
    """A block of t writes of u requests each, on r trials; a request's vectors are rows.

    Attributes:
        own: (r, t, u, u), H = KᵀMK.
        gains: (r, t, u, u), T(H).
        lengths: (r, t, u, u), KᵀMMK.
        readouts: (r, t, u, m), WK before the write, in value units.
        residuals: (r, t, u, m), R = V − WK.
        left: (r, t, u, m), L = RT.
        solved: (r, t, u, m), the values before the value transforms; None where nothing was transformed.
        seen: (r, t, u, m), WPK; the read-outs where M has full range.
        along: (r, t, u, m), WMK; None where M = I/ridge.
        ridge: what M divides by there.
    """

    own: Tensor
    gains: Tensor
    lengths: Tensor
    readouts: Tensor
    residuals: Tensor
    left: Tensor
    solved: Tensor | None
    seen: Tensor
    along: Tensor | None
    ridge: float


class Effects(NamedTuple):
    """What every write of a block did to the norms, in float64: a square may leave the range of its float32 root.

    Attributes:
        predicted: T1's right-hand side, 2 tr(L (WPK)ᵀ) + tr(L H Lᵀ).
        scale: the size of its two terms.
        growth: the change of ‖W‖²_F.
        delta_sq: ‖Δ‖²_F.
        absorbed: what the absorbed keys add to ‖W‖²_{M⁻¹} after the write.
    """

    predicted: Float[Tensor, "r t"]
    scale: Float[Tensor, "r t"]
    growth: Float[Tensor, "r t"]
    delta_sq: Float[Tensor, "r t"]
    absorbed: Float[Tensor, "r t"]


def effects(written: Written, accumulates: bool) -> Effects:
    """What every write did to the norms.

        ‖W + Δ‖²_{M⁻¹} − ‖W‖²_{M⁻¹} = 2 tr(L (WPK)ᵀ) + tr(L H Lᵀ),   ‖W + Δ‖² − ‖W‖² = 2 tr(L (WMK)ᵀ) + ‖Δ‖²

    Args:
        written: the block.
        accumulates: the keys join M⁻¹, which adds ‖(W + Δ)PK‖² to the next metric's norm.

    Returns:
        The effects, in float64.
    """
    u, left, own, seen = written.own.shape[-1], *(p.double() for p in (written.left, written.own, written.seen))
    outer = left @ left.mT if u > 1 else torch.linalg.vecdot(left, left)[..., None]
    cross = 2 * torch.linalg.vecdot(left, seen).sum(2)
    square = (own * outer).sum((2, 3))
    if written.along is None:
        growth = cross / written.ridge
    else:
        growth = 2 * torch.linalg.vecdot(left, written.along.double()).sum(2)
    delta_sq = (written.lengths.double() * outer).sum((2, 3)).clamp_min(0)
    absorbed = torch.zeros_like(cross)
    if accumulates:
        absorbed = (seen + (own.mT @ left if u > 1 else own * left)).square().sum((2, 3))
    return Effects(cross + square, cross.abs() + square.abs(), growth + delta_sq, delta_sq, absorbed)


def write_rows(
    written: Written, done: Effects, norm_sq: Float[Tensor, " r"], frobenius_sq: Float[Tensor, " r"]
) -> Columns:
    """The fields of every write's row that need no step number.

    Args:
        written: the block.
        done: its effects.
        norm_sq: ‖W‖²_{M⁻¹} at the block's start.
        frobenius_sq: ‖W‖²_F there.

    Returns:
        Columns (r, t), on the CPU.
    """
    weight_sq = frobenius_sq[:, None] + _earlier_sum(done.growth)
    before = norm_sq[:, None] + _earlier_sum(done.predicted + done.absorbed)
    after, shares = before + done.predicted, written.gains @ written.own
    requests, values = _norms(written.residuals), _norms(written.readouts + written.residuals)
    columns = {
        "weight_norm": weight_sq.clamp_min(0).sqrt(),
        "weight_norm_after": (weight_sq + done.growth).clamp_min(0).sqrt(),
        "readout_norm": _norms(written.readouts).mean(2),
        "value_norm": values.mean(2),
        "delta_norm": done.delta_sq.sqrt(),
        "residual_after": _left(written.residuals, requests, shares),
        "s": _diagonal(written.own).mean(2),
        "eta": _diagonal(shares).mean(2),
        "predicted": done.predicted,
        "scale": done.scale,
        "skipped": _skipped(written.residuals, requests),
        "finite": torch.isfinite(done.delta_sq) & torch.isfinite(after),
        "solved_norm": (values if written.solved is None else _norms(written.solved)).mean(2),
        "residual_norm": _norms(requests),
        "norm_sq": before,
        "norm_sq_after": after,
        "change": done.predicted,
    }
    return {name: column.cpu().numpy() for name, column in columns.items()}


def joined(blocks: Iterable[Columns]) -> Columns:
    """The rows of blocks that follow each other, as one block's."""
    parts = list(blocks)
    return {name: np.concatenate([part[name] for part in parts], axis=1) for name in parts[0]}


def whole_rows(columns: Columns, trial: int) -> Columns:
    """A trial's rows of a block, each column (t,): up to the first that is not finite, and that one.

    >>> whole_rows({"finite": np.array([[True, False, False]]), "x": np.array([[1, 2, 3]])}, 0)["x"].tolist()
    [1, 2]
    """
    ended = np.flatnonzero(~columns["finite"][trial])
    stop = int(ended[0]) + 1 if len(ended) else columns["finite"].shape[1]
    return {name: values[trial, :stop] for name, values in columns.items()}


def _norms(vectors: Tensor) -> Tensor:
    return torch.linalg.vector_norm(vectors, dim=-1)


def _diagonal(matrices: Float[Tensor, "r t u u"]) -> Float[Tensor, "r t u"]:
    return matrices.diagonal(dim1=2, dim2=3)


def _left(
    residuals: Float[Tensor, "r t u m"], norms: Float[Tensor, "r t u"], shares: Float[Tensor, "r t u u"]
) -> Float[Tensor, "r t"]:
    """‖R − ΔK‖ = ‖R(I − TH)‖, what each write left of its residual."""
    if shares.shape[-1] == 1:
        return ((1 - shares[..., 0]).abs() * norms).squeeze(2)
    return _norms((residuals - shares.mT @ residuals).flatten(2))


def _skipped(residuals: Float[Tensor, "r t u m"], norms: Float[Tensor, "r t u"]) -> Int[Tensor, "r t"]:
    """How many requests of each write asked for nothing; a norm may underflow, so zeros are looked at again."""
    nothing = norms == 0
    if bool(nothing.any()):
        nothing = ~residuals.any(3)
    return nothing.sum(2)


def _earlier_sum(terms: Float[Tensor, "r t"]) -> Float[Tensor, "r t"]:
    """Column i is the sum of the columns before it."""
    return torch.nn.functional.pad(terms.cumsum(1)[:, :-1], (1, 0))
