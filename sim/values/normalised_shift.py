"""UltraEdit's and StableEdit's value: a gradient step on features that are normalised over the whole lifetime."""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from sim.editor import Edit, Transform
from theory.command import Misuse

EIGENVALUE_FLOOR = 1e-6


class Lifetime(NamedTuple):
    """Moments of every feature seen so far.

    Attributes:
        seen: how many.
        mean: (n + m,) of keys and gradients.
        deviations: (n + m,) sums of squared deviations.
        co_deviations: (m, m) of the gradients; empty where they are not whitened.
    """

    seen: Int[Tensor, ""]
    mean: Float[Tensor, " f"]
    deviations: Float[Tensor, " f"]
    co_deviations: Float[Tensor, "m m"]


def normalised_shift(rate: float = 1e-6, *, whiten: bool = False) -> Transform[Edit]:
    """Replace each value by a step along its normalised gradient.

        x = [k; g],   g = −(v − Wk),   x̃ = (x − mean)/deviation,   v ← Wk − rate ‖k̃‖² g̃

    Mean and deviation are those of all features so far, this batch included, with 1/N: one row alone has deviation 0
    and asks for nothing (the released running variance is NaN there). With `whiten` the gradients' full covariance
    takes the place of their deviations once more than m + 1 have been seen:  g̃ = Σ^{−1/2}(g − mean).

    Args:
        rate: 1e-6 as released.
        whiten: as StableEdit does.

    Returns:
        The transform. With `memit(weighting=1.0)`, C = I, it is UltraEdit; with `whiten`, StableEdit.

    Raises:
        Misuse: the rate is not positive.

    Source: XiaojieGu/UltraEdit, `editor/ultraedit.py`, `nets.py`; MINE-USTC/StableEdit, `editor/stableedit.py`.
    """
    if not rate > 0:
        raise Misuse(f"the rate is {rate}; it must be positive, such as 1e-6")

    def init(weight: Tensor) -> Lifetime:
        m, n = weight.shape
        none = torch.zeros(n + m, dtype=torch.float64, device=weight.device)
        square = none.new_zeros((m, m) if whiten else (0, 0))
        return Lifetime(torch.zeros((), dtype=torch.int64, device=weight.device), none, none.clone(), square)

    def update(edit: Edit, state: Lifetime, weight: Tensor) -> tuple[Edit, Lifetime]:
        n = edit.keys.shape[0]
        rows = torch.cat([edit.keys, -edit.residuals]).mT.double()
        state = _with(state, rows, n)
        centered = rows - state.mean
        deviation = (state.deviations / state.seen).sqrt()
        scaled = torch.where(deviation > 0, centered / deviation, 0.0)
        gradient = scaled[:, n:]
        if whiten and int(state.seen) > weight.shape[0] + 1:
            sizes, axes = torch.linalg.eigh(state.co_deviations / state.seen)
            gradient = centered[:, n:] @ axes * sizes.clamp_min(EIGENVALUE_FLOOR).rsqrt() @ axes.mT
        step = -rate * scaled[:, :n].square().sum(1, keepdim=True) * gradient
        values = torch.where(edit.asked, edit.readouts + step.mT.to(edit.values), edit.values)
        return edit._replace(values=values), state

    return Transform(init, update, reads_weight=False)


def _with(state: Lifetime, rows: Float[Tensor, "u f"], n: int) -> Lifetime:
    """The moments with a batch added (Chan, Golub, LeVeque)."""
    count = rows.shape[0]
    total, center = state.seen + count, rows.mean(0)
    gap, inside, share = center - state.mean, rows - center, state.seen.double() * count / total
    co = state.co_deviations
    if co.numel():
        co = co + inside[:, n:].mT @ inside[:, n:] + share * torch.outer(gap[n:], gap[n:])
    deviations = state.deviations + inside.square().sum(0) + share * gap.square()
    return Lifetime(total, state.mean + gap * count / total, deviations, co)
