"""Many weights in one model: every stream's rows pass through that stream's own projections."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager

import torch
from jaxtyping import Float
from torch import Tensor, nn

from real_models.adapters.adapter import Adapter


@contextmanager
def own_weights(adapter: Adapter, weights: Sequence[Mapping[int, Tensor]]) -> Iterator[None]:
    """Let each stream's rows of a batch pass through its own weights, for as long as the context lasts.

        output = W_s k + b   for every row of stream s

    Args:
        adapter: the model, whose own weights at these layers are neither read nor changed.
        weights: for each stream, layer -> W (m, n) in the model's dtype; all name the same layers. A batch holds the
            streams' rows in equal shares, one stream after another.
    """
    with ExitStack() as standing:
        for layer in weights[0]:
            own = [one[layer] for one in weights]
            stack = torch.stack(own) if len(own) > 1 else own[0][None]
            standing.enter_context(_forward(adapter.projections[layer], _through(stack, adapter.bias(layer))))
        yield


def _through(stack: Float[Tensor, "s m n"], bias: Float[Tensor, " m"] | None) -> Callable[[Tensor], Tensor]:
    def forward(inputs: Tensor) -> Tensor:
        shares = inputs.reshape(len(stack), -1, inputs.shape[-1])
        outputs = shares @ stack.mT if bias is None else torch.baddbmm(bias.expand(len(stack), 1, -1), shares, stack.mT)
        return outputs.reshape(*inputs.shape[:-1], -1)

    return forward


@contextmanager
def _forward(module: nn.Module, forward: Callable[[Tensor], Tensor]) -> Iterator[None]:
    """A module that computes something else; its hooks still see what comes in and goes out."""
    object.__setattr__(module, "forward", forward)
    try:
        yield
    finally:
        object.__delattr__(module, "forward")
