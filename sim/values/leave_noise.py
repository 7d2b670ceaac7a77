"""DeltaEdit: a shift is kept out of the directions in which earlier updates already disturb the read-out."""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from sim.editor import Edit, Transform
from theory.command import Misuse

MEMORY = 0.9
FLOOR = 0.1


class Noise(NamedTuple):
    """What the transform has seen: W_0, and running moments of ‖(W − W_0)k‖.

    Attributes:
        start: W_0.
        mean: moving mean, in value units.
        variance: moving variance.
        seen: requests so far.
    """

    start: Float[Tensor, "m n"]
    mean: Float[Tensor, ""]
    variance: Float[Tensor, ""]
    seen: Int[Tensor, ""]


def leave_noise(*, factor: float = 3.0, space: float = 0.25, warm_up: int = 20) -> Transform[Edit]:
    """Project a shift off the noise space where the accumulated noise at its key is unusual.

        S = W − W_0,   |‖Sk‖ − mean| > factor · deviation:   δ ← (I − UUᵀ)δ

    U holds the leading left singular directions of [Sk, S]: at most a share `space` of the m dimensions, of singular
    value above 0.1. Mean and deviation are moving ones (0.9) over all requests so far, those of the warm-up, which
    pass, too.

    Args:
        factor: 3 (GPT-2 XL) or 1.5 (Llama-3-8B) as released.
        space: at most this share of value space is left.
        warm_up: requests before the test begins.

    Returns:
        The transform; its state is explicit and starts anew with `init`.

    Raises:
        Misuse: a factor or space that is not positive, a space above 1, or a negative warm-up.

    Source: CaoD-USTC/DeltaEdit, `compute_z.py` and `delta_main.py`.
    """
    if not factor > 0 or not 0 < space <= 1 or warm_up < 0:
        raise Misuse(f"leave_noise got factor={factor}, space={space}, warm_up={warm_up}; such as 3, 0.25, 20")

    def init(weight: Tensor) -> Noise:
        zero = torch.zeros((), dtype=torch.float64, device=weight.device)
        return Noise(weight.clone(), zero, zero.clone(), torch.zeros((), dtype=torch.int64, device=weight.device))

    def update(edit: Edit, state: Noise, weight: Tensor) -> tuple[Edit, Noise]:
        drift = (weight - state.start).to(edit.values.dtype)
        columns = []
        for key, readout, value in zip(edit.keys.mT, edit.readouts.mT, edit.values.mT, strict=True):
            noise = drift @ key
            size = torch.linalg.vector_norm(noise).double()
            unusual = (size - state.mean).abs() > factor * state.variance.sqrt()
            if int(state.seen) >= warm_up and bool(unusual):
                basis = _noise_space(torch.cat([noise[:, None], drift], dim=1), space)
                shift = value - readout
                value = readout + (shift - basis @ (basis.mT @ shift))
            columns.append(value)
            state = _seen(state, size)
        return edit._replace(values=torch.stack(columns, dim=1)), state

    return Transform(init, update)


def _seen(state: Noise, size: Float[Tensor, ""]) -> Noise:
    """The running moments with one more request."""
    first = state.seen == 0
    mean = torch.where(first, size, MEMORY * state.mean + (1 - MEMORY) * size)
    variance = torch.where(first, 0.0, MEMORY * state.variance + (1 - MEMORY) * (size - mean).square())
    return state._replace(mean=mean, variance=variance, seen=state.seen + 1)


def _noise_space(columns: Float[Tensor, "m c"], space: float) -> Float[Tensor, "m p"]:
    """Leading left singular directions, as many as are above the floor and fit the share."""
    left, sizes, _ = torch.linalg.svd(columns, full_matrices=False)
    return left[:, : min(int((sizes > FLOOR).sum()), int(space * columns.shape[0]))]
