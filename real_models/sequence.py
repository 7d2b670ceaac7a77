"""One step of streams on a model: solve, target once, spread over the layers, write, absorb, and what it measured."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import fmean
from types import MappingProxyType
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from real_models.adapters.adapter import Adapter
from real_models.ascent import Ascent
from real_models.config import SolveConfig
from real_models.own_weights import own_weights
from real_models.requests import Request
from real_models.values import Editable, Solved, solve_values
from real_models.write import Row, columns, mean_norm, write
from sim.editor import Edit, Editor, EditorState


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


class Stream(NamedTuple):
    """A stream at one step: what it writes next, with which editor, on which weights.

    Attributes:
        requests: what to write.
        layered: editors and states.
        weights: edited layer -> its weight, in the model's dtype.
        prefixes: texts put before its prompts in turn; None for the model's own.
    """

    requests: Sequence[Request]
    layered: Layered
    weights: Mapping[int, Tensor]
    prefixes: Sequence[str] | None = None


class Outcome(NamedTuple):
    """What a step did to a stream.

    Attributes:
        rows: one a layer.
        layered: the editors with their next states; those before the step where it was not finite.
        weights: layer -> weight. A layer whose write was not finite, and those after it, are as they were.
        finite: whether every number stayed finite.
    """

    rows: list[Row]
    layered: Layered
    weights: dict[int, Tensor]
    finite: bool


def edit_once(
    editable: Editable, requests: Sequence[Request], layered: Layered, config: SolveConfig, *, identity: bool = True
) -> tuple[list[Row], Layered, bool]:
    """Write a batch of requests into the model in place; see `edit_streams`.

    Returns:
        One row a layer, the next states, and whether every number stayed finite. On a non-finite number the
        weights are left as they were before that layer's write.
    """
    adapter = editable.adapter
    weights = {layer: adapter.weight(layer) for layer in layered.editors}
    (one,) = edit_streams(editable, [Stream(requests, layered, weights)], config, identity=identity)
    for layer, weight in one.weights.items():
        adapter.write(layer, weight)
    return one.rows, one.layered, one.finite


def edit_streams(
    editable: Editable, streams: Sequence[Stream], config: SolveConfig, *, identity: bool = True
) -> list[Outcome]:
    """Take one step of several streams on one model, each on weights of its own; no stream's numbers enter another's.

    Values are solved and transformed once, at the last edited layer; layer i of L writes (z − h)/(L − i) of what is
    then still missing, and past keys are absorbed when all layers are written. With `layered.every` the solved values
    stay as they are, and each layer's own Wk + (z − h)/(L − i) is transformed by that layer's editor.

    One key a request serves throughout, the bare prompt's, so that T1 and T5 speak of the very vector that NAS anchors;
    the released MEMIT family instead writes at the mean of the bare prompt's key and of the prefixed prompts' mean key.
    A layer's key is read when the layers before it are written, so that it is its key after the whole edit, too.

    Args:
        editable: the model; its own weights at the edited layers are neither read nor changed.
        streams: what each writes; all edit the same layers and write equally many requests.
        config: the value solve.
        identity: measure T1's left-hand side on the weights, which costs as much as a dense product; else NaN.

    Returns:
        One outcome a stream.
    """
    adapter, layers = editable.adapter, tuple(streams[0].weights)
    last, each = layers[-1], len(streams[0].requests)
    requests = [request for stream in streams for request in stream.requests]
    prefixes = [stream.prefixes for stream in streams for _ in stream.requests]
    with own_weights(adapter, [stream.layered.originals or stream.weights for stream in streams]):
        solved = solve_values(editable, requests, last, config, prefixes)
    steps = [_Step(adapter, stream, part) for stream, part in zip(streams, _shares(solved, each), strict=True)]
    if len(layers) == 1 and not any(stream.layered.originals for stream in streams):
        for step in steps:
            step.write(last, 0, _seen(adapter, step.solved, last), identity)
        return [step.outcome() for step in steps]
    with own_weights(adapter, [step.weights for step in steps]):
        ascent = Ascent(editable, requests, layers)
    for position, layer in enumerate(layers):
        here = seen(adapter, ascent, layer)
        for step, parts in zip(steps, zip(*(part.split(each, dim=1) for part in here), strict=True), strict=True):
            step.write(layer, position, Here(*parts), identity)
        if layer != last:
            pairs = zip(steps, streams, strict=True)
            changes = [step.weights[layer].double() - stream.weights[layer].double() for step, stream in pairs]
            with own_weights(adapter, [step.weights for step in steps]):
                ascent.rise(layer, torch.stack(changes))
    return [step.outcome() for step in steps]


def _shares(solved: Sequence[Solved], each: int) -> list[Sequence[Solved]]:
    return [solved[start : start + each] for start in range(0, len(solved), each)]


class _Step:
    """One stream's step under way."""

    def __init__(self, adapter: Adapter, stream: Stream, solved: Sequence[Solved]) -> None:
        self.adapter, self.stream, self.solved = adapter, stream, solved
        self.layered, self.states = stream.layered, dict(stream.layered.states)
        self.weights, self.rows = dict(stream.weights), list[Row]()
        self.keys: dict[int, Tensor] = {}
        self.goal: Tensor | None = None
        self.last = tuple(stream.weights)[-1]
        self.asked = {"case_id": stream.requests[0].case_id, "requests": len(stream.requests)}
        self.shift = columns([one.shift for one in solved])
        numbers = (math.isfinite(one.loss) and all(bool(part.isfinite().all()) for part in one[:3]) for one in solved)
        self.finite = all(numbers)
        if not self.finite:
            worst = max((one.loss for one in solved), key=lambda loss: (not math.isfinite(loss), loss))
            self.rows.append({"layer": self.last, **self.asked, "loss": worst, "finite": False})
        elif not self.layered.every:
            weight = self.weights[self.last].double()
            self.shift, self.states[self.last] = target(adapter, solved, self.layered, self.last, weight)

    def write(self, layer: int, position: int, here: Here, identity: bool) -> None:
        """Write a layer's share of what is still missing; nothing once a number was not finite."""
        if not self.finite:
            return
        if self.goal is None:
            # A dropped edit asks for nothing, not for the way back.
            start = columns([one.stream for one in self.solved]) if self.layered.originals else here.streams
            self.goal = self.shift + torch.where(self.shift.any(dim=0), start, here.streams)
        residual = (self.goal - here.streams) / (len(self.weights) - position)
        edit, self.keys[layer] = Edit(here.keys, here.readouts, here.readouts + residual), here.keys
        rule, state = self.layered.editors[layer], self.states[layer]
        if self.layered.every:
            edit, state = rule.target(edit, state, self.weights[layer].double())
        row, self.states[layer], self.weights[layer] = write(rule, edit, state, self.weights[layer], identity=identity)
        self.finite = bool(row["finite"])
        self.rows.append({"layer": layer, **self.asked, **_facts(self.solved, self.adapter.bias(self.last)), **row})

    def outcome(self) -> Outcome:
        """The step's end: keys are absorbed where all layers are written."""
        if not self.finite:
            return Outcome(self.rows, self.layered, self.weights, False)
        for layer, keys in self.keys.items():
            self.states[layer] = self.layered.editors[layer].absorb(keys, self.states[layer])
        return Outcome(self.rows, self.layered._replace(states=self.states), self.weights, True)


def target(
    adapter: Adapter, solved: Sequence[Solved], layered: Layered, last: int, weight: Float[Tensor, "m n"]
) -> tuple[Float[Tensor, "d u"], EditorState]:
    """The shifts that are left of δ once the value transforms have acted, on W in float64."""
    here, shift = _seen(adapter, solved, last), columns([one.shift for one in solved])
    edit = Edit(here.keys, here.readouts, here.readouts + shift)
    edit, state = layered.editors[last].target(edit, layered.states[last], weight)
    return edit.residuals, state


def look(editable: Editable, requests: Sequence[Request], layer: int) -> Here:
    """Read keys, read-outs and the stream at a layer, on the bare prompts."""
    return seen(editable.adapter, Ascent(editable, requests, (layer,)), layer)


def seen(adapter: Adapter, ascent: Ascent, layer: int) -> Here:
    """What the pass over the bare prompts shows at a layer, and of the stream behind the last one."""
    keys, outputs, _ = ascent.at(layer)
    _, added, streams = ascent.at(ascent.layers[-1])
    readouts = columns(outputs) - _offset(adapter, layer)
    return Here(columns(keys), readouts, columns(added if adapter.after else streams))


def _seen(adapter: Adapter, solved: Sequence[Solved], last: int) -> Here:
    """What the value solve has seen of the bare prompts at the last edited layer."""
    keys, streams = columns([one.key for one in solved]), columns([one.stream for one in solved])
    return Here(keys, columns([one.output for one in solved]) - _offset(adapter, last), streams)


def _facts(solved: Sequence[Solved], bias: Tensor | None) -> Row:
    """Means over the batch; norms are those of the projection's output, bias included, as published."""
    outputs, shifts = columns([one.output for one in solved]), columns([one.shift for one in solved])
    return {
        "v0_norm": mean_norm(outputs),
        "solved_norm": mean_norm(outputs + shifts),
        "shift_norm": mean_norm(shifts),
        "bias_norm": 0.0 if bias is None else float(bias.double().norm()),
        "hidden_norm": fmean(one.hidden_norm for one in solved),
        "loss": fmean(one.loss for one in solved),
        "solve_steps": fmean(one.steps for one in solved),
    }


def _offset(adapter: Adapter, layer: int) -> Float[Tensor, "m 1"]:
    """The projection's bias as a column; 0 where it has none."""
    bias = adapter.bias(layer)
    return (
        torch.zeros(1, 1, dtype=torch.float64, device=adapter.weight(layer).device) if bias is None else columns([bias])
    )
