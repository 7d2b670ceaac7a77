"""One write at one layer, and what it measured on the weight as the model stores it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from sim.editor import Edit, Editor, EditorState
from sim.lowrank import apply_delta

Row = dict[str, Any]


def write(
    rule: Editor, edit: Edit, state: EditorState, weight: Float[Tensor, "m n"], *, identity: bool = True
) -> tuple[Row, EditorState, Float[Tensor, "m n"]]:
    """Write one layer, and measure both sides of T1's identity.

    Args:
        rule: the layer's editor.
        edit: keys, read-outs and values, in float64.
        state: the editor's.
        weight: W as the model stores it.
        identity: measure T1's left-hand side, which costs as much as a dense product; else NaN.

    Returns:
        The row, the next state, and W + Δ in the weight's dtype; the weight itself where a number was not finite.
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
    predicted, scale = float(info.predicted), float(info.scale)
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
        # The two terms of T1 may cancel, so an error is relative to their size, not to their sum.
        "identity_error": abs(measured - predicted) / scale if scale > 0 else abs(measured - predicted),
        "finite": finite,
    }
    del row["predicted"], row["scale"]
    return row, state, stored if finite else weight


def mean_norm(vectors: Float[Tensor, "d u"]) -> float:
    """The mean length of columns."""
    return float(vectors.norm(dim=0).mean())


def columns(vectors: Sequence[Tensor] | Tensor) -> Float[Tensor, "d u"]:
    """Vectors as columns, in float64."""
    return torch.stack(tuple(vectors), dim=1).double()
