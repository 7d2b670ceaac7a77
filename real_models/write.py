"""One write at one layer, and what it measured on the weight as the model stores it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.func import grad

from sim.editor import Edit, Editor, EditorState
from sim.lowrank import LowRank, apply_delta
from sim.metric import Metric

Row = dict[str, Any]


def write(
    rule: Editor, edit: Edit, state: EditorState, weight: Float[Tensor, "m n"], *, identity: bool = True
) -> tuple[Row, EditorState, Float[Tensor, "m n"]]:
    """Write one layer, and measure both sides of T1's identity.

        ‖W'‖²_A − ‖W‖²_A = 2 tr(L (WPK)ᵀ) + tr(L H Lᵀ),   Δ = L (MK)ᵀ, A = M⁻¹, P the projector on M's range

    Args:
        rule: the layer's editor.
        edit: keys, read-outs and values, in float64.
        state: the editor's.
        weight: W as the model stores it.
        identity: measure T1's left-hand side, which costs as much as a dense product; else NaN.

    Returns:
        The row, the next state, and W + Δ in the weight's dtype; the weight itself where a number was not finite. In
        the row `identity_readout_norm` and `identity_value_norm` are the mean norms of WPK and of WPK + R, W's own
        read-outs: those that the rule was given are the forward pass's, in the model's dtype.

    Source: T1.identity, T1.batch.
    """
    exact = weight.double()
    metric = rule.metric(state)
    before = metric.norm_sq(exact) if identity else torch.tensor(math.nan)
    delta, state, info = rule.write(edit, state, exact)
    wanted = apply_delta(exact, delta) if bool(info.finite) else exact
    stored = wanted.to(weight.dtype)
    written = stored.double()
    norm = float(torch.linalg.norm(written))
    finite = bool(info.finite) and math.isfinite(norm)
    measured = float(metric.norm_sq(written) - before) if identity else math.nan
    noise = storing_noise(metric, written, weight.dtype) if identity else math.nan
    # The model's forward pass has rounded the read-outs that the rule was given; T1 holds beside W's own.
    own, given = (metric.seen(exact, edit.keys, readouts) for readouts in (exact @ edit.keys, edit.readouts))
    predicted, scale = float(info.predicted), float(info.scale)
    if rule.form is not None and isinstance(delta, LowRank):
        predicted += 2 * float((delta.left * (own - given)).sum())
    row = info.row() | {
        "key_norm": mean_norm(edit.keys),
        "residual_norm": mean_norm(edit.residuals),
        "weight_norm_after": norm,
        # What storing the weight in the model's dtype has lost of the delta.
        "rounding": float(torch.linalg.norm(written - wanted) / info.delta_norm) if info.delta_norm > 0 else 0.0,
        "metric_norm_sq": float(before),
        "identity_measured": measured,
        "identity_predicted": predicted,
        "identity_scale": scale,
        "identity_readout_norm": mean_norm(own),
        "identity_value_norm": mean_norm(own + edit.residuals),
        # The size of the difference that storing W + Δ in the model's dtype accounts for.
        "identity_noise": noise,
        # The two terms of T1 may cancel, so an error is relative to their size, not to their sum.
        "identity_error": abs(measured - predicted) / scale if scale > 0 else abs(measured - predicted),
        "finite": finite,
    }
    del row["predicted"], row["scale"]
    return row, state, stored if finite else weight


def storing_noise(metric: Metric, weight: Float[Tensor, "m n"], dtype: torch.dtype) -> float:
    """The standard deviation of T1's two sides that rounding W' to a dtype accounts for: √Σ (2(W'A)_ij)² g_ij²/12.

    Large weights in half precision also have a mean, −Σ A_jj g_ij²/12, which this leaves out.

    Args:
        metric: of the write, with ‖W‖² = tr(W A Wᵀ).
        weight: W' as stored, in float64.
        dtype: in which it is stored; g are its gaps at the entries of W'.

    Returns:
        In the units of the metric's ‖W‖².

    Source: T7.stored_change; theory.precision.storage has it for numpy.

    >>> from sim.metric import Euclidean
    >>> round(storing_noise(Euclidean(), torch.ones(1, 3).double(), torch.bfloat16) * 128, 9)
    1.0
    """
    limits = torch.finfo(dtype)
    gap = torch.ldexp(torch.full_like(weight, limits.eps), torch.frexp(weight).exponent - 1)
    # Below the normal range, and at 0, a format has one gap.
    gap = gap.masked_fill(weight == 0, 0).clamp(min=limits.eps * limits.smallest_normal)
    return float(torch.linalg.vector_norm(grad(metric.norm_sq)(weight) * gap)) / math.sqrt(12)


def mean_norm(vectors: Float[Tensor, "d u"]) -> float:
    """The mean length of columns."""
    return float(vectors.norm(dim=0).mean())


def columns(vectors: Sequence[Tensor] | Tensor) -> Float[Tensor, "d u"]:
    """Vectors as columns, in float64."""
    return torch.stack(tuple(vectors), dim=1).double()
