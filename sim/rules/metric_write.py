"""The one write that every rule here is: Δ = R T (MK)ᵀ with H = KᵀMK and T = gain(H) (T1, T2)."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from sim.editor import Edit, Gain, GainRule
from sim.lowrank import LowRank
from sim.metric import Metric
from theory.command import Misuse


def hard(gram: Float[Tensor, "*r u u"]) -> Float[Tensor, "*r u u"]:
    """T = H⁻¹: the write meets its targets exactly (one key: η = 1)."""
    return torch.linalg.inv_ex(gram).inverse


def soft(gram: Float[Tensor, "*r u u"]) -> Float[Tensor, "*r u u"]:
    """T = (I + H)⁻¹: least squares with the metric as ridge (one key: η = s/(1+s))."""
    return torch.linalg.inv_ex(gram + torch.eye(gram.shape[-1], dtype=gram.dtype, device=gram.device)).inverse


def check_one_key(edit: Edit, rule: str) -> None:
    """Raise Misuse where a rule that writes one key at a time is given several."""
    if edit.keys.shape[-1] != 1:
        raise Misuse(f"{rule} writes one key at a time, not {edit.keys.shape[-1]}; use memit for a batch")


def metric_write(edit: Edit, metric: Metric, gain: GainRule, weight: Float[Tensor, "m n"]) -> tuple[LowRank, Gain]:
    """Write R T (MK)ᵀ and foretell the change of ‖W‖²_{M⁻¹}.

        ‖W+Δ‖²_{M⁻¹} − ‖W‖²_{M⁻¹} = 2 tr(R T (WPK)ᵀ) + tr(R T H Tᵀ Rᵀ),    P the projector on range(M)

    For one key this is T1's [η(‖v‖² − ‖Wk‖²) − η(1−η)‖r‖²]/s.

    Args:
        edit: keys (n, u), read-outs and values (m, u).
        metric: M.
        gain: H -> T, `hard` or `soft`.
        weight: W (m, n), read only where M is singular.

    Returns:
        The delta as factors, and what T1 says of it.
    """
    raised = metric.times(edit.keys)
    gram = edit.keys.mT @ raised
    gains = gain(gram)
    left = edit.residuals @ gains
    seen = metric.seen(weight.to(edit.keys.dtype), edit.keys, edit.readouts).double()
    wide = left.double()  # a square may leave the range of its float32 root
    cross, square = 2 * (wide * seen).sum(), ((wide @ gram.double()) * wide).sum()
    return LowRank(left, raised), Gain(
        s=gram.diagonal().mean(),
        eta=(gains @ gram).diagonal().mean(),
        predicted=cross + square,
        scale=cross.abs() + square.abs(),
    )
