"""A forward pass as far as a layer, with its inner vectors kept: keys, read-outs and the residual stream."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from real_models.adapters.adapter import Adapter


class Trace(NamedTuple):
    """The inner vectors of one forward pass at one layer.

    Attributes:
        keys: (b, t, n) inputs k of the layer's projection.
        outputs: (b, t, m) its outputs Wk + b.
        hidden: (b, t, d) the layer's output, the residual stream.
    """

    keys: Float[Tensor, "b t n"]
    outputs: Float[Tensor, "b t m"]
    hidden: Float[Tensor, "b t d"]


class Reached(Exception):
    """The last layer that was asked for has run: the rest of the model need not."""


def trace(adapter: Adapter, ids: Int[Tensor, "b t"], layer: int) -> Trace:
    """Run the model on token ids as far as a layer and keep what happens there.

    Args:
        adapter: the model.
        ids: (b, t) token ids, padded on the right.
        layer: which layer's projection and output to keep.

    Returns:
        The trace; nothing in it carries gradients.
    """
    (traced,) = traces(adapter, ids, (layer,))
    return traced


def traces(adapter: Adapter, ids: Int[Tensor, "b t"], layers: Sequence[int]) -> list[Trace]:
    """The traces of several layers from one forward pass, which ends with the last of them."""

    def enough(module: nn.Module, args: tuple[Any, ...], output: Any) -> None:
        raise Reached

    last = adapter.blocks[max(layers)]
    ending = hooks(lambda: last.register_forward_hook(enough))
    with kept(adapter, layers) as vectors, ending, torch.no_grad(), suppress(Reached):
        adapter.model.base_model(input_ids=ids, use_cache=False)
    return [Trace(*(vectors[layer, name] for name in Trace._fields)) for layer in layers]


@contextmanager
def kept(adapter: Adapter, layers: Sequence[int]) -> Iterator[dict[tuple[int, str], Tensor]]:
    """What passes through these layers while the context lasts, by layer and the names of `Trace`."""
    vectors: dict[tuple[int, str], Tensor] = {}

    def at_projection(layer: int) -> Callable[..., None]:
        def keep(module: nn.Module, args: tuple[Any, ...], output: Tensor) -> None:
            vectors[layer, "keys"], vectors[layer, "outputs"] = args[0].detach(), output.detach()

        return keep

    def at_block(layer: int) -> Callable[..., None]:
        def keep(module: nn.Module, args: tuple[Any, ...], output: Any) -> None:
            vectors[layer, "hidden"] = stream(output).detach()

        return keep

    with hooks(
        *(lambda i=i: adapter.projections[i].register_forward_hook(at_projection(i)) for i in layers),
        *(lambda i=i: adapter.blocks[i].register_forward_hook(at_block(i)) for i in layers),
    ):
        yield vectors


def stream(output: Any) -> Tensor:
    """The residual stream in a block's output, which some versions wrap in a tuple."""
    return output[0] if isinstance(output, tuple) else output


@contextmanager
def hooks(*register: Callable[[], Any]) -> Iterator[None]:
    """Hold hooks for the length of a block, and remove them whatever happens."""
    handles: list[Any] = []
    try:
        handles.extend(make() for make in register)
        yield
    finally:
        for handle in handles:
            handle.remove()
