"""A forward pass that is taken up again behind a layer, from one column on: nothing else is computed twice.

A change of the stream at one token of one layer reaches later layers, and there that token and those to its right. So
the later layers' attention keys and values of all tokens before it are kept from one pass, and only what comes from it
on is run again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from inspect import signature
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from transformers import DynamicCache

from real_models.adapters.adapter import Adapter
from real_models.prompts import Aligned
from real_models.trace import hooks, kept, stream


class Before(DynamicCache):
    """The attention keys and values of the columns before `start` in every later block.

    The first pass fills it; what a later one adds is shown to it and not stored.
    """

    def __init__(self, start: int, held: dict[int, tuple[Tensor, Tensor]]) -> None:
        super().__init__()
        self.start, self.held = start, held

    def update(
        self, key_states: Tensor, value_states: Tensor, layer_idx: int, *args: Any, **kwargs: Any
    ) -> tuple[Tensor, Tensor]:
        """The whole rows' keys and values of a layer."""
        if layer_idx not in self.held:
            self.held[layer_idx] = key_states[..., : self.start, :], value_states[..., : self.start, :]
            return key_states, value_states
        keys, values = self.held[layer_idx]
        return torch.cat([keys, key_states], dim=-2), torch.cat([values, value_states], dim=-2)


@dataclass(frozen=True)
class Onward:
    """Where a pass can be taken up again; every tensor from column `start` on.

    Attributes:
        adapter: the model.
        layer: whose output may be changed.
        keys: (b, n) inputs of the layer's projection at column `start`.
        outputs: (b, m) its outputs Wk + b there.
        hidden: (b, t, d) the layer's output.
        before: what the later blocks keep of the columns before.
        calls: how each later block was called, the residual stream left out.
    """

    adapter: Adapter
    layer: int
    keys: Float[Tensor, "b n"]
    outputs: Float[Tensor, "b m"]
    hidden: Float[Tensor, "b t d"]
    before: Before
    calls: tuple[tuple[tuple[Any, ...], dict[str, Any]], ...]

    def base(self) -> Float[Tensor, "b d"]:
        """What δ is added to at column `start`: the stream, or a projection's output that is normed once more."""
        return self.outputs if self.adapter.after else self.hidden[:, 0]

    def shifted(self, shift: Float[Tensor, "b d"]) -> Float[Tensor, "b t d"]:
        """The layer's output with δ added, a row each."""
        changed = self.hidden[:, 0]
        if self.adapter.after:
            after = self.adapter.after[self.layer]
            changed = changed - after(self.outputs) + after(self.outputs + shift.to(self.outputs.dtype))
        else:
            changed = changed + shift.to(changed.dtype)
        return torch.cat([changed[:, None], self.hidden[:, 1:]], dim=1)

    def run(self, hidden: Float[Tensor, "b t d"]) -> Float[Tensor, "b t d"]:
        """The last norm's output where the layer's is `hidden`; ready for `adapter.head`."""
        for block, (args, kwargs) in zip(self.adapter.blocks[self.layer + 1 :], self.calls, strict=True):
            hidden = stream(block(hidden, *args, **kwargs))
        return self.adapter.norm(hidden)

    def rows(self, chosen: Bool[Tensor, " b"]) -> Onward:
        """Some of the rows alone."""
        held = {layer: (keys[chosen], values[chosen]) for layer, (keys, values) in self.before.held.items()}
        before, number = Before(self.before.start, held), len(chosen)

        def of(value: Any) -> Any:
            if value is self.before:
                return before
            batched = isinstance(value, Tensor) and value.dim() > 1 and len(value) == number
            return value[chosen] if batched else value

        calls = tuple((_each(args, of), _each(kwargs, of)) for args, kwargs in self.calls)
        keys, outputs, hidden = (part[chosen] for part in (self.keys, self.outputs, self.hidden))
        return replace(self, before=before, calls=calls, keys=keys, outputs=outputs, hidden=hidden)


def take_up(adapter: Adapter, batch: Aligned, layer: int) -> Onward:
    """Run the model once on prompts whose subjects end in one column, to go on behind a layer from there.

    Args:
        adapter: the model.
        batch: the prompts.
        layer: the layer.

    Returns:
        The pass; nothing in it carries gradients.
    """
    before, width = Before(batch.start, {}), batch.ids.shape[1]
    mask = causal_mask(batch.ids, batch.left, adapter.weight(layer).dtype)
    calls: list[tuple[tuple[Any, ...], dict[str, Any]]] = []

    def onward(value: Any) -> Any:
        """A later block's argument from column `start` on: masks by query, positions by column."""
        if not isinstance(value, Tensor):
            return value
        if value.dim() == 4 and value.shape[-2:] == (width, width):
            return value[..., batch.start :, :]
        if value.dim() == 1:
            return value[batch.start :] if len(value) == width else value
        return value[:, batch.start :] if value.shape[1] == width else value

    def keep_call(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        rest = {name: value for name, value in kwargs.items() if name != "hidden_states"}
        calls.append((_each(args[1:], onward), _each(rest, onward)))

    later = adapter.blocks[layer + 1 :]
    with (
        kept(adapter, (layer,)) as vectors,
        hooks(*(lambda b=b: b.register_forward_pre_hook(keep_call, with_kwargs=True) for b in later)),
        torch.no_grad(),
    ):
        positions = (torch.arange(width, device=batch.ids.device) - batch.left[:, None]).clamp_min(0)
        body = adapter.model.base_model
        named = "cache" if "cache" in signature(body.forward).parameters else "past_key_values"
        own = {named: before, "use_cache": True}
        body(input_ids=batch.ids, attention_mask=mask, position_ids=positions, **own)
    keys, outputs, hidden = (vectors[layer, name] for name in ("keys", "outputs", "hidden"))
    start = batch.start
    return Onward(adapter, layer, keys[:, start], outputs[:, start], hidden[:, start:], before, tuple(calls))


def causal_mask(ids: Int[Tensor, "b t"], left: Int[Tensor, " b"], dtype: torch.dtype) -> Float[Tensor, "b 1 t t"]:
    """What is added to attention scores: 0 where a token may look, the dtype's lowest number where it may not.

    Padding looks at itself, since a row of scores that are all lowest may come out as NaN.
    """
    column = torch.arange(ids.shape[1], device=ids.device)
    own = column[None, :] == column[:, None]
    seen = (column[None, :] < column[:, None]) & (column >= left[:, None, None]) | own
    lowest = torch.full((), torch.finfo(dtype).min, dtype=dtype, device=ids.device)
    return torch.zeros_like(lowest).where(seen, lowest)[:, None]


def _each(values: Any, function: Callable[[Any], Any]) -> Any:
    """Apply a function to every item of nested tuples and dicts."""
    if isinstance(values, tuple):
        return tuple(_each(value, function) for value in values)
    if isinstance(values, dict):
        return {name: _each(value, function) for name, value in values.items()}
    return function(values)
