"""One step of a stream on a model: solve, target once, spread over the layers, write, absorb, and what it measured."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from statistics import fmean
from types import MappingProxyType
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from real_models.adapters.adapter import Adapter
from real_models.config import SolveConfig
from real_models.prompts import encode, fill, pad
from real_models.requests import Request
from real_models.trace import traces
from real_models.values import Editable, Solved, solve_values
from sim.editor import Edit, Editor, EditorState
from sim.lowrank import apply_delta

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
    """What the bare prompts' subject tokens show at one edited layer, in float64, a column a request.

    Attributes:
        keys: k (n, u).
        readouts: Wk (m, u), without the module's bias.
        streams: h (d, u), what the *last* edited layer's δ is added to.
    """

    keys: Float[Tensor, "n u"]
    readouts: Float[Tensor, "m u"]
    streams: Float[Tensor, "d u"]


def edit_once(
    editable: Editable, requests: Sequence[Request], layered: Layered, config: SolveConfig, *, identity: bool = True
) -> tuple[list[Row], Layered, bool]:
    """Write a batch of requests into the model, over its edited layers in order.

    Values are solved and transformed once, at the last edited layer; layer i of L writes (z − h)/(L − i) of what is
    then still missing, and past keys are absorbed when all layers are written. With `layered.every` the solved values
    stay as they are, and each layer's own Wk + (z − h)/(L − i) is transformed by that layer's editor.

    One key a request serves throughout, the bare prompt's, so that T1 and T5 speak of the very vector that NAS anchors;
    the released MEMIT family instead writes at the mean of the bare prompt's key and of the prefixed prompts' mean key.
    A layer's key is read when the layers before it are written, so that it is its key after the whole edit, too.

    Args:
        editable: the model, which is changed in place.
        requests: what to write.
        layered: editors and states.
        config: the value solve.
        identity: measure T1's left-hand side on the weights, which costs as much as a dense product; else NaN.

    Returns:
        One row a layer, the next states, and whether every number stayed finite. On a non-finite number the
        weights are left as they were before that layer's write.
    """
    adapter, layers = editable.adapter, tuple(layered.editors)
    states = dict(layered.states)
    last = layers[-1]
    with restored(adapter, layered.originals):
        solved = solve_values(editable, requests, last, config)
    asked = {"case_id": requests[0].case_id, "requests": len(requests)}
    if not all(math.isfinite(one.loss) and bool(torch.isfinite(part).all()) for one in solved for part in one[:3]):
        worst = max((one.loss for one in solved), key=lambda loss: (not math.isfinite(loss), loss))
        return [{"layer": last, **asked, "loss": worst, "finite": False}], layered, False
    shift = columns([one.shift for one in solved])
    if not layered.every:
        shift, states[last] = target(adapter, solved, layered, last)
    here = look(editable, requests, layers[0], last)
    # A dropped edit asks for nothing, not for the way back.
    start = columns([one.stream for one in solved]) if layered.originals else here.streams
    goal = shift + torch.where(shift.any(dim=0), start, here.streams)
    rows: list[Row] = []
    keys: dict[int, Tensor] = {}
    for position, layer in enumerate(layers):
        here = look(editable, requests, layer, last) if position else here
        residual = (goal - here.streams) / (len(layers) - position)
        edit, keys[layer] = Edit(here.keys, here.readouts, here.readouts + residual), here.keys
        if layered.every:
            edit, states[layer] = layered.editors[layer].target(edit, states[layer], adapter.weight(layer).double())
        row, states[layer] = _write(adapter, layered.editors[layer], edit, states[layer], layer, identity)
        rows.append({"layer": layer, **asked, **_facts(solved, adapter.bias(last)), **row})
        if not row["finite"]:
            return rows, layered._replace(states=states), False
    for layer in layers:
        states[layer] = layered.editors[layer].absorb(keys[layer], states[layer])
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


def target(
    adapter: Adapter, solved: Sequence[Solved], layered: Layered, last: int
) -> tuple[Float[Tensor, "d u"], EditorState]:
    """The shifts that are left of δ once the value transforms have acted."""
    readouts = columns([one.output for one in solved]) - _offset(adapter, last)
    edit = Edit(columns([one.key for one in solved]), readouts, readouts + columns([one.shift for one in solved]))
    weight = adapter.weight(last).double()
    edit, state = layered.editors[last].target(edit, layered.states[last], weight)
    return edit.residuals, state


def look(editable: Editable, requests: Sequence[Request], layer: int, last: int) -> Here:
    """Read keys and read-outs at a layer, and the stream behind the last edited one, on the bare prompts.

    No token behind a subject is run, and no layer behind the last edited one.
    """
    adapter = editable.adapter
    prompts = [fill(one.template, one.subject) for one in requests]
    encoded = [encode(editable.tokenizer, prompt, subject=span) for prompt, span in prompts]
    batch = pad([one.cut() for one in encoded], adapter.device)
    here, there = traces(adapter, batch.ids, (layer, last))
    place = torch.arange(len(requests), device=batch.ids.device), batch.subject_last
    added = there.outputs if adapter.after else there.hidden
    readouts = columns(here.outputs[place]) - _offset(adapter, layer)
    return Here(columns(here.keys[place]), readouts, columns(added[place]))


def _write(
    adapter: Adapter, rule: Editor, edit: Edit, state: EditorState, layer: int, identity: bool
) -> tuple[Row, EditorState]:
    """Write one layer, and measure both sides of T1's identity on the weight as the model stores it."""
    weight = adapter.weight(layer).double()
    metric = rule.metric(state)
    before = metric.norm_sq(weight) if identity else torch.tensor(math.nan)
    delta, state, info = rule.write(edit, state, weight)
    wanted = apply_delta(weight, delta) if bool(info.finite) else weight
    written = _store(adapter, layer, wanted)
    finite = bool(info.finite) and bool(torch.isfinite(written).all())
    if not finite:
        adapter.write(layer, weight)
    measured = float(metric.norm_sq(written) - before) if identity else math.nan
    predicted, scale = float(info.predicted), float(info.scale)
    row = info.row() | {
        "key_norm": _mean_norm(edit.keys),
        "residual_norm": _mean_norm(edit.residuals),
        "weight_norm_after": float(torch.linalg.norm(written)),
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
    return row, state


def _store(adapter: Adapter, layer: int, weight: Tensor) -> Tensor:
    """Put a weight into the model and read back, in float64, what its dtype kept."""
    adapter.write(layer, weight)
    return adapter.weight(layer).double()


def _facts(solved: Sequence[Solved], bias: Tensor | None) -> Row:
    """Means over the batch; norms are those of the projection's output, bias included, as published."""
    outputs, shifts = columns([one.output for one in solved]), columns([one.shift for one in solved])
    return {
        "v0_norm": _mean_norm(outputs),
        "solved_norm": _mean_norm(outputs + shifts),
        "shift_norm": _mean_norm(shifts),
        "bias_norm": 0.0 if bias is None else float(bias.double().norm()),
        "hidden_norm": fmean(one.hidden_norm for one in solved),
        "loss": fmean(one.loss for one in solved),
        "solve_steps": fmean(one.steps for one in solved),
    }


def _mean_norm(vectors: Float[Tensor, "d u"]) -> float:
    return float(vectors.norm(dim=0).mean())


def _offset(adapter: Adapter, layer: int) -> Float[Tensor, "m 1"]:
    """The projection's bias as a column; 0 where it has none."""
    bias = adapter.bias(layer)
    return (
        torch.zeros(1, 1, dtype=torch.float64, device=adapter.weight(layer).device) if bias is None else columns([bias])
    )


def columns(vectors: Sequence[Tensor] | Tensor) -> Float[Tensor, "d u"]:
    """Vectors as columns, in float64."""
    return torch.stack(tuple(vectors), dim=1).double()
