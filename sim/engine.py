"""The engine: a stream of edits through an editor on a linear memory, one row a step."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Generator, Tensor

from sim.editor import Editor
from sim.lowrank import Delta, LowRank
from sim.memory import LinearMemory
from sim.metric import in_float64

Row = dict[str, float | int | bool]


def write_in_place(weight: Tensor, delta: Delta) -> None:
    """W ← W + Δ on the given tensor: the one place in this room where a weight is written."""
    if isinstance(delta, LowRank):
        weight.addmm_(delta.left.to(weight.dtype), delta.right.mT.to(weight.dtype))
    else:
        weight.add_(delta.to(weight.dtype))


def run_stream(
    rule: Editor, memory: LinearMemory, steps: int, generator: Generator, *, batch: int = 1
) -> Iterator[Row]:
    """Run a stream of edits and yield what each step measured.

    Both sides of T1 are taken at every write: the left on the actual weight before and after, in float64 and in the
    metric that the write used; the right as the rule foretold it.

    Args:
        rule: the editor; its state starts from the memory's weight.
        memory: W (m, n) and the laws of its requests; W itself stays as it is.
        steps: how many writes at most.
        generator: draws keys and values, on the memory's device.
        batch: u, requests a write.

    Yields:
        One row a step: `step` and `edits` (from 1), the fields of `Info`, and
        `solved_norm`: mean ‖v‖ before the value transforms;
        `residual_norm`: ‖V − WK‖_F after the value transforms and before the write;
        `norm_sq`, `norm_sq_after`: ‖W‖²_{M⁻¹} before and after, on the actual weight;
        `change`: their difference, T1's left side (`predicted` is its right side);
        `error`: |change − predicted| relative to `scale`;
        `finite`: false on the last row of a stream that overflowed; no row follows it.
    """
    weight = memory.weight.clone()
    state = rule.init(weight)
    for step in range(1, steps + 1):
        request = memory.request(weight, batch, generator)
        metric = in_float64(rule.metric(state))
        before = metric.norm_sq(weight.double())
        edit, state = rule.target(request, state, weight)
        delta, state, info = rule.write(edit, state, weight)
        write_in_place(weight, delta)
        state = rule.absorb(edit.keys, state)
        after = metric.norm_sq(weight.double())
        row = info.row()
        change, predicted, scale = float(after - before), row["predicted"], row["scale"]
        yield {
            "step": step,
            "edits": step * batch,
            **row,
            "solved_norm": float(request.values.norm(dim=0).mean()),
            "residual_norm": float(torch.linalg.norm(edit.residuals)),
            "norm_sq": float(before),
            "norm_sq_after": float(after),
            "change": change,
            "error": abs(change - predicted) / scale if scale else abs(change),
            "finite": row["finite"] and bool(torch.isfinite(after)),
        }
        if not (row["finite"] and torch.isfinite(after)):
            return
