"""GPT-NeoX and Pythia: `gpt_neox.layers[i].mlp.dense_4h_to_h`, a Linear with bias."""

from __future__ import annotations

from transformers import GPTNeoXForCausalLM

from real_models.adapters.adapter import Adapter


def gpt_neox(model: GPTNeoXForCausalLM) -> Adapter:
    """The adapter of a GPT-NeoX or Pythia model."""
    blocks = tuple(model.gpt_neox.layers)
    projections = tuple(block.mlp.dense_4h_to_h for block in blocks)
    return Adapter(model, blocks, projections, model.gpt_neox.final_layer_norm, model.get_output_embeddings())
