"""What every architecture family must tell: where its blocks, projections and read-out head lie."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module

import torch
from jaxtyping import Float
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.pytorch_utils import Conv1D

from theory.command import Misuse


@dataclass(frozen=True)
class Adapter:
    """A decoder as the editing code sees it.

    Attributes:
        model: the whole language model.
        blocks: the decoder blocks; a block's output is the residual stream.
        projections: the MLPs' output projections, one a block; the edited weights.
        norm: the norm before the head.
        head: hidden states (..., d) -> logits (..., vocabulary).
        after: what each projection's output goes through before the residual stream takes it; empty where it is added
            as it is. Where there is such a norm, δ is added to the projection's output, else to the stream.
    """

    model: PreTrainedModel
    blocks: tuple[nn.Module, ...]
    projections: tuple[nn.Module, ...]
    norm: nn.Module
    head: Callable[[Tensor], Tensor]
    after: tuple[nn.Module, ...] = ()

    def weight(self, layer: int) -> Float[Tensor, "m n"]:
        """W of a layer as a (d_out, d_in) view of the module's storage, turned by the module's class."""
        return oriented(self.projections[layer])

    def bias(self, layer: int) -> Float[Tensor, " m"] | None:
        """The bias b of a layer's projection, whose output is Wk + b; None where it has none."""
        bias = self.projections[layer].bias
        return bias.detach() if isinstance(bias, Tensor) else None

    def write(self, layer: int, weight: Float[Tensor, "m n"]) -> None:
        """Put W into the module's own storage, in its own dtype."""
        with torch.no_grad():
            self.weight(layer).copy_(weight)

    def check_layer(self, layer: int) -> int:
        """Return the layer's index, or raise Misuse naming the range."""
        if not 0 <= layer < len(self.blocks):
            raise Misuse(f"layer {layer} is out of range; this model has layers 0 to {len(self.blocks) - 1}")
        return layer

    @property
    def device(self) -> torch.device:
        """The device that the model's inputs go to."""
        return self.model.device


def oriented(module: nn.Module) -> Float[Tensor, "m n"]:
    """The projection's W (d_out, d_in): Linear stores W, Conv1D stores Wᵀ; the class decides, never the shape."""
    if isinstance(module, Conv1D):
        return module.weight.detach().mT
    if isinstance(module, nn.Linear):
        return module.weight.detach()
    raise Misuse(f"a projection of class {type(module).__name__} has no known orientation; write an adapter for it")


FAMILIES = {
    "GPT2LMHeadModel": "gpt2.gpt2",
    "GPTJForCausalLM": "gptj.gptj",
    "GPTNeoXForCausalLM": "gpt_neox.gpt_neox",
    "LlamaForCausalLM": "llama.llama",
    "MistralForCausalLM": "llama.llama",
    "Qwen2ForCausalLM": "llama.llama",
    "Qwen3ForCausalLM": "llama.llama",
    "Phi3ForCausalLM": "llama.llama",
    "Gemma2ForCausalLM": "gemma.gemma",
    "Gemma3ForCausalLM": "gemma.gemma",
}
"""A model's class -> the adapter's file and function in this room."""


def adapter_for(model: PreTrainedModel) -> Adapter:
    """The adapter of a model's family, chosen by the model's class.

    Raises:
        Misuse: no adapter knows this class.
    """
    name = FAMILIES.get(type(model).__name__)
    if name is None:
        raise Misuse(
            f"no adapter for {type(model).__name__}; the families are {', '.join(FAMILIES)}. For another, make an "
            "Adapter of the model, its blocks, their MLPs' output projections, the last norm and the head"
        )
    file, function = name.split(".")
    return getattr(import_module(f"real_models.adapters.{file}"), function)(model)
