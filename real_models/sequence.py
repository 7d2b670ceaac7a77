"""One sequential edit on a model: solve, target once, spread over the layers, write, absorb, and what it measured."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from real_models.adapters.adapter import Adapter
from real_models.config import SolveConfig
from real_models.prompts import encode, fill, pad
from real_models.requests import Request
from real_models.trace import trace
from real_models.values import Editable, Solved, solve_value
from sim.editor import Edit, Editor, EditorState
from sim.lowrank import Delta, apply_delta

Row = dict[str, Any]


class Layered(NamedTuple):
    """An editor at every edited layer, with its states.

    Attributes:
        editors: layer -> editor.
        states: layer -> state.
        every: whether each layer's value transforms act on what it writes; else the last layer's alone act, once, on
            the solved value.
        originals: layer -> the unedited weight, where values are solved on it; empty where on the current one.
    """

    editors: Mapping[int, Editor]
    states: Mapping[int, EditorState]
    every: bool = False
    originals: Mapping[int, Tensor] = MappingProxyType({})


class Here(NamedTuple):
    """What the bare prompt's subject token shows at one edited layer, in float64.

    Attributes:
        key: k (n, 1).
        readout: Wk (m, 1), without the module's bias.
        stream: h (d, 1), the output of the *last* edited layer.
    """

    key: Float[Tensor, "n 1"]
    readout: Float[Tensor, "m 1"]
    stream: Float[Tensor, "d 1"]


def edit_once(
    editable: Editable, request: Request, layered: Layered, config: SolveConfig
) -> tuple[list[Row], Layered, bool]:
    """Write one request into the model, over its edited layers in order.

    The value is solved and transformed once, at the last edited layer; layer i of L writes (z − h)/(L − i) of what
    is then still missing, and past keys are absorbed when all layers are written. With `layered.every` the solved
    value stays as it is, and each layer's own Wk + (z − h)/(L − i) is transformed by that layer's editor.

    One key serves throughout, the bare prompt's, so that T1 and T5 speak of the very vector that NAS anchors; the
    released MEMIT family instead writes at the mean of the bare prompt's key and of the prefixed prompts' mean key.

    Args:
        editable: the model, which is changed in place.
        request: what to write.
        layered: editors and states.
        config: the value solve.

    Returns:
        One row a layer, the next states, and whether every number stayed finite. On a non-finite number the
        weights are left as they were before that layer's write.
    """
    adapter, layers = editable.adapter, tuple(layered.editors)
    states = dict(layered.states)
    last = layers[-1]
    with restored(adapter, layered.originals):
        solved = solve_value(editable, request, last, config)
    finite = math.isfinite(solved.loss)
    if not finite or not all(torch.isfinite(part).all() for part in (solved.shift, solved.output, solved.key)):
        return [{"layer": last, "case_id": request.case_id, "loss": solved.loss, "finite": False}], layered, False
    shift = column(solved.shift)
    if not layered.every:
        shift, states[last] = _target(adapter, solved, layered, last)
    original = bool(layered.originals) and bool(shift.any())  # a dropped edit asks for nothing, not for the way back
    goal = shift + (column(solved.stream) if original else look(editable, request, last, last).stream)
    rows: list[Row] = []
    for position, layer in enumerate(layers):
        here = look(editable, request, layer, last)
        residual = (goal - here.stream) / (len(layers) - position)
        edit = Edit(here.key, here.readout, here.readout + residual)
        if layered.every:
            edit, states[layer] = layered.editors[layer].target(edit, states[layer], adapter.weight(layer).double())
        row, states[layer] = _write(adapter, layered.editors[layer], edit, states[layer], layer)
        rows.append({"layer": layer, "case_id": request.case_id, **_facts(solved, adapter.bias(last)), **row})
        if not row["finite"]:
            return rows, layered._replace(states=states), False
    for layer in layers:
        # With one layer the write leaves its own key as it was; with several, later keys have moved.
        key = edit.keys if len(layers) == 1 else look(editable, request, layer, last).key
        if torch.isfinite(key).all():
            states[layer] = layered.editors[layer].absorb(key, states[layer])
    return rows, layered._replace(states=states), True


@contextmanager
def restored(adapter: Adapter, originals: Mapping[int, Tensor]) -> Iterator[None]:
    """The model with these weights in place of its own, for as long as the context lasts."""
    edited = {layer: adapter.weight(layer).clone() for layer in originals}
    try:
        for layer, weight in originals.items():
            adapter.write(layer, weight)
        yield
    finally:
        for layer, weight in edited.items():
            adapter.write(layer, weight)


def _target(adapter: Adapter, solved: Solved, layered: Layered, last: int) -> tuple[Tensor, EditorState]:
    """The shift that is left of δ once the value transforms have acted, (d, 1)."""
    bias = adapter.bias(last)
    readout = column(solved.output) - (0 if bias is None else column(bias))
    edit = Edit(column(solved.key), readout, readout + column(solved.shift))
    weight = adapter.weight(last).double()
    edit, state = layered.editors[last].target(edit, layered.states[last], weight)
    return edit.residuals, state


def look(editable: Editable, request: Request, layer: int, last: int) -> Here:
    """Read key and read-out at a layer, and the stream behind the last edited one, on the bare prompt."""
    adapter = editable.adapter
    prompt, span = fill(request.template, request.subject)
    batch = pad([encode(editable.tokenizer, prompt, subject=span)], adapter.device)
    where = int(batch.subject_last[0])
    traced = trace(adapter, batch.ids, layer)
    stream = traced.hidden if layer == last else trace(adapter, batch.ids, last).hidden
    bias = adapter.bias(layer)
    readout = column(traced.outputs[0, where]) - (0 if bias is None else column(bias))
    return Here(column(traced.keys[0, where]), readout, column(stream[0, where]))


def _write(adapter: Adapter, rule: Editor, edit: Edit, state: EditorState, layer: int) -> tuple[Row, EditorState]:
    """Write one layer and measure both sides of T1's identity on the weight as the model stores it."""
    weight = adapter.weight(layer).double()
    metric = rule.metric(state)
    before = metric.norm_sq(weight)
    delta, state, info = rule.write(edit, state, weight)
    written = _store(adapter, layer, weight, delta) if bool(info.finite) else weight
    finite = bool(info.finite) and bool(torch.isfinite(written).all())
    if not finite:
        adapter.write(layer, weight)
    measured = float(metric.norm_sq(written) - before)
    predicted, scale = float(info.predicted), float(info.scale)
    row = info.row() | {
        "key_norm": float(edit.keys.norm()),
        "residual_norm": float(edit.residuals.norm()),
        "weight_norm_after": float(torch.linalg.norm(written)),
        "metric_norm_sq": float(before),
        "identity_measured": measured,
        "identity_predicted": predicted,
        "identity_scale": scale,
        # The two terms of T1 may cancel, so an error is relative to their size, not to their sum.
        "identity_error": abs(measured - predicted) / scale if scale > 0 else abs(measured - predicted),
        "finite": finite,
    }
    del row["predicted"], row["scale"]
    return row, state


def _store(adapter: Adapter, layer: int, weight: Tensor, delta: Delta) -> Tensor:
    """Apply a delta to the model's own weight and read back, in float64, what its dtype kept."""
    adapter.write(layer, apply_delta(weight, delta))
    return adapter.weight(layer).double()


def _facts(solved: Solved, bias: Tensor | None) -> Row:
    """The norms of the value solve: of the projection's output, bias included, as published."""
    return {
        "v0_norm": float(solved.output.double().norm()),
        "solved_norm": float((solved.output.double() + solved.shift.double()).norm()),
        "shift_norm": float(solved.shift.double().norm()),
        "bias_norm": 0.0 if bias is None else float(bias.double().norm()),
        "hidden_norm": solved.hidden_norm,
        "loss": solved.loss,
        "solve_steps": solved.steps,
    }


def column(vector: Float[Tensor, " d"]) -> Float[Tensor, "d 1"]:
    """A vector as a float64 column."""
    return vector.double()[:, None]
