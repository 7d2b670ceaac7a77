"""A pass over the bare prompts that rises through the edited layers, each read when those below it are written."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from real_models.prompts import encode, fill, pad
from real_models.requests import Request
from real_models.trace import Trace, hooks, kept, stream, traces
from real_models.values import Editable


class Ascent:
    """Keys, read-outs and streams at the edited layers, on the bare prompts as far as the subjects' last tokens.

    A write W → W + Δ at a layer adds Δk to its output at every token, so only the blocks above it are run again.

    Args:
        editable: the model, whose blocks add a projection's output to the stream as it is where several layers are
            edited.
        requests: whose prompts.
        layers: the edited layers, in order; no block behind the last is run.
    """

    def __init__(self, editable: Editable, requests: Sequence[Request], layers: Sequence[int]) -> None:
        self.adapter, self.layers = editable.adapter, tuple(layers)
        prompts = [fill(one.template, one.subject) for one in requests]
        encoded = [encode(editable.tokenizer, prompt, subject=span).cut() for prompt, span in prompts]
        batch = pad(encoded, self.adapter.device)
        self.place = torch.arange(len(requests), device=batch.ids.device), batch.subject_last
        self.calls: dict[int, tuple[tuple[Any, ...], dict[str, Any]]] = {}
        above = range(layers[0] + 1, layers[-1] + 1)
        blocks = [(self.adapter.blocks[i], self._keep(i)) for i in above]
        with hooks(*(lambda b=b, k=k: b.register_forward_pre_hook(k, with_kwargs=True) for b, k in blocks)):
            self.traces = dict(zip(layers, traces(self.adapter, batch.ids, layers), strict=True))

    def _keep(self, layer: int) -> Callable[..., None]:
        def keep(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            rest = {name: value for name, value in kwargs.items() if name != "hidden_states"}
            self.calls[layer] = args[1:], rest

        return keep

    def at(self, layer: int) -> Trace:
        """Keys (b, n), the projection's outputs (b, m) and the streams (b, d) at the subjects' last tokens."""
        return Trace(*(part[self.place] for part in self.traces[layer]))

    def rise(self, layer: int, changes: Float[Tensor, "s m n"]) -> None:
        """Take in what was written at a layer, up to the last one.

        Args:
            layer: the layer.
            changes: Δ for each of s streams, which have the prompts in equal shares.
        """
        keys, _, hidden = self.traces[layer]
        added = keys.reshape(len(changes), -1, keys.shape[-1]) @ changes.to(keys).mT
        hidden = hidden + added.reshape(hidden.shape)
        left = self.layers[self.layers.index(layer) + 1 :]
        with kept(self.adapter, left) as vectors, torch.no_grad():
            for block in range(layer + 1, self.layers[-1] + 1):
                args, kwargs = self.calls[block]
                hidden = stream(self.adapter.blocks[block](hidden, *args, **kwargs))
        self.traces |= {one: Trace(*(vectors[one, name] for name in Trace._fields)) for one in left}
