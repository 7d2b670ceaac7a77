"""Norm-Anchor Scaling (NAS): every solved value takes the norm it had on the original model."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from sim.editor import Edit, Transform, stateless
from theory.command import Misuse


def anchor_norm(anchor: float, *, two_sided: bool = True, bias: Float[Tensor, " m"] | None = None) -> Transform[Edit]:
    """Rescale each value to the anchor norm.

        v + b  ←  a (v + b)/‖v + b‖          (one-sided: ← min(1, a/‖v + b‖)(v + b))

    A deviation: a request whose residual is zero (v = Wk) stays as it is, so that a dropped edit stays dropped. The
    released code rescales v* also where the solve took no step (δ = 0) and the request was not dropped.

    Args:
        anchor: a > 0, in value units, measured once on the original model.
        two_sided: scale up as well as down, as published.
        bias: b (m,), the module's bias, where its output is Wk + b and the published rule anchors that output.

    Returns:
        The transform. Values of norm zero and requests with v = Wk are left alone.

    Raises:
        Misuse: the anchor is not positive and finite.

    Source: P7; SasyaTitech/NAS, `NAS/compute_z.py`.

    >>> edit = Edit(torch.ones(1, 1), torch.zeros(2, 1), torch.tensor([[3.0], [4.0]]))
    >>> anchor_norm(10.0).update(edit, (), torch.zeros(2, 1))[0].values.flatten().tolist()
    [6.0, 8.0]
    """
    if not 0 < anchor < float("inf"):
        raise Misuse(f"the anchor is {anchor}; it must be a positive norm, measured on the original model")

    def update(edit: Edit, weight: Tensor) -> Edit:
        shift = torch.zeros_like(edit.values[:, :1]) if bias is None else bias[:, None].to(edit.values)
        outputs = edit.values + shift
        norms = torch.linalg.vector_norm(outputs, dim=0, dtype=torch.float64)  # squares of float32 overflow at 1.8e19
        scale = (anchor / norms.where(norms > 0, anchor)).to(outputs.dtype)
        scale = scale if two_sided else scale.clamp_max(1)
        return edit._replace(values=torch.where(edit.asked, scale * outputs - shift, edit.values))

    return stateless(update, by_request=True)
