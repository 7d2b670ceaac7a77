"""Llama and those built like it (Mistral, Qwen2, Qwen3, Phi-3): `model.layers[i].mlp.down_proj`, without bias."""

from __future__ import annotations

from transformers import LlamaForCausalLM, MistralForCausalLM, Phi3ForCausalLM, Qwen2ForCausalLM, Qwen3ForCausalLM

from real_models.adapters.adapter import Adapter


def llama(
    model: LlamaForCausalLM | MistralForCausalLM | Qwen2ForCausalLM | Qwen3ForCausalLM | Phi3ForCausalLM,
) -> Adapter:
    """The adapter of a model built like Llama."""
    blocks = tuple(model.model.layers)
    return Adapter(model, blocks, tuple(block.mlp.down_proj for block in blocks), model.model.norm, model.lm_head)
