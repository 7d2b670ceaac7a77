"""One forward pass with its inner vectors kept: keys, read-outs, the residual stream, and the way on from there."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
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
        calls: how each later block was called, to run them again from another hidden state.
    """

    keys: Float[Tensor, "b t n"]
    outputs: Float[Tensor, "b t m"]
    hidden: Float[Tensor, "b t d"]
    calls: tuple[tuple[tuple[Any, ...], dict[str, Any]], ...]


def trace(adapter: Adapter, ids: Int[Tensor, "b t"], layer: int) -> Trace:
    """Run the model on token ids and keep what happens at a layer.

    Args:
        adapter: the model.
        ids: (b, t) token ids, padded on the right.
        layer: which layer's projection and output to keep.

    Returns:
        The trace; nothing in it carries gradients.
    """
    kept: dict[str, Tensor] = {}
    calls: list[tuple[tuple[Any, ...], dict[str, Any]]] = []

    def at_projection(module: nn.Module, args: tuple[Any, ...], output: Tensor) -> None:
        kept["keys"], kept["outputs"] = args[0].detach(), output.detach()

    def at_block(module: nn.Module, args: tuple[Any, ...], output: Any) -> None:
        kept["hidden"] = stream(output).detach()

    def before_later(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        calls.append((args, kwargs))

    with (
        hooks(
            lambda: adapter.projections[layer].register_forward_hook(at_projection),
            lambda: adapter.blocks[layer].register_forward_hook(at_block),
            *(
                lambda block=block: block.register_forward_pre_hook(before_later, with_kwargs=True)
                for block in adapter.blocks[layer + 1 :]
            ),
        ),
        torch.no_grad(),
    ):
        adapter.model(input_ids=ids, use_cache=False)
    return Trace(kept["keys"], kept["outputs"], kept["hidden"], tuple(calls))


def resume_from(adapter: Adapter, traced: Trace, hidden: Float[Tensor, "b t d"], layer: int) -> Float[Tensor, "b t d"]:
    """Run the blocks after a layer from a given hidden state, and the last norm.

    Args:
        adapter: the model.
        traced: a trace of the same tokens at the same layer.
        hidden: (b, t, d) what the layer shall have put out.
        layer: the layer.

    Returns:
        (b, t, d) normed hidden states, ready for `adapter.head`.
    """
    for block, (args, kwargs) in zip(adapter.blocks[layer + 1 :], traced.calls, strict=True):
        if args:
            hidden = stream(block(hidden, *args[1:], **kwargs))
        else:
            hidden = stream(block(**{**kwargs, "hidden_states": hidden}))
    return adapter.norm(hidden)


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
