"""Llama: `model.layers[i].mlp.down_proj`, a Linear without bias."""

from __future__ import annotations

from transformers import LlamaForCausalLM

from real_models.adapters.adapter import Adapter


def llama(model: LlamaForCausalLM) -> Adapter:
    """The adapter of a Llama model."""
    blocks = tuple(model.model.layers)
    return Adapter(model, blocks, tuple(block.mlp.down_proj for block in blocks), model.model.norm, model.lm_head)
