"""PRUNE: the singular values of W_n − W_0 are compressed to the size of W_0's largest."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from sim.editor import Transform
from sim.lowrank import Delta, apply_delta, dense
from theory.command import Misuse


class Start(NamedTuple):
    """What PRUNE compares with.

    Attributes:
        weight: W_0.
        writes: how many there have been.
    """

    weight: Float[Tensor, "m n"]
    writes: Int[Tensor, ""]


def pruned(
    weight: Float[Tensor, "m n"], start: Float[Tensor, "m n"], *, base: float = math.e, doubled: bool = False
) -> Float[Tensor, "m n"]:
    """A weight after PRUNE, which is applied once, when all edits are done.

        W_n − W_0 = UΣVᵀ,   W ← W_0 + U F(Σ) Vᵀ,   F(σ) = σ for σ < s, else s + log_b(σ/s),   s = ‖W_0‖₂

    Args:
        weight: W_n.
        start: W_0.
        base: b > 1; e, 2, 1.5 or 1.2 as released.
        doubled: as ported into AlphaEdit's and NAS's code, W_n + U F(Σ) Vᵀ, which adds the update a second time.

    Returns:
        The pruned weight.

    Raises:
        Misuse: the base is not above 1.

    Source: mjy1111/PRUNE, `easyeditor/editors/bi_editor_loadw.py`; the port is AlphaEdit's `experiments/evaluate.py`.

    >>> pruned(torch.diag(torch.tensor([5.0, 1.0])), torch.eye(2), base=2.0).diagonal().tolist()
    [4.0, 1.0]
    """
    if not base > 1:
        raise Misuse(f"PRUNE's base is {base}; it must be above 1, such as e or 1.2")
    largest = torch.linalg.matrix_norm(start, 2)
    left, sizes, right = torch.linalg.svd(weight - start, full_matrices=False)
    over = largest + (sizes / largest).clamp_min(1).log() / math.log(base)
    return (weight if doubled else start) + left * torch.where(sizes < largest, sizes, over) @ right


def prune(*, base: float = math.e, at: int | None = None, doubled: bool = False) -> Transform[Delta]:
    """PRUNE along a stream: after every write, or at one of them.

        Δ ← W_0 + F(W + Δ − W_0) − W          (doubled: Δ ← Δ + F(W + Δ − W_0))

    Args:
        base: b > 1.
        at: the number of the only write at which it acts, such as the stream's last, as published; None is every one.
        doubled: with `at`, as ported into AlphaEdit's and NAS's code; every earlier weight is that of no PRUNE at all.

    Returns:
        The transform; its updates are dense where it acts, its state is W_0 and a count.

    Raises:
        Misuse: the base is not above 1, `at` is no number from 1 on, `doubled` without `at`, or W_0 = 0.

    Source: as `pruned`; T4.prune_every_step, S6.prune.
    """
    if not base > 1:
        raise Misuse(f"PRUNE's base is {base}; it must be above 1, such as e or 1.2")
    if at is not None and (at < 1 or at != int(at)):
        raise Misuse(f"PRUNE acts at write {at}; writes are numbered from 1, so give the stream's last, such as 500")
    if doubled and at is None:
        raise Misuse("the ported PRUNE acts once: give the number of that write as at, such as the stream's last")

    def init(weight: Tensor) -> Start:
        if not weight.any():
            raise Misuse(
                "PRUNE compares with the largest singular value of W_0, which is 0; start from a weight above 0"
            )
        return Start(weight.clone(), torch.zeros((), dtype=torch.int64, device=weight.device))

    def update(delta: Delta, state: Start, weight: Tensor) -> tuple[Delta, Start]:
        state = state._replace(writes=state.writes + 1)
        if at is not None and int(state.writes) != at:
            return delta, state
        full = dense(delta)
        wide, start = weight.to(full.dtype), state.weight.to(full.dtype)
        return pruned(apply_delta(wide, full), start, base=base, doubled=doubled) - wide, state

    return Transform(init, update)
