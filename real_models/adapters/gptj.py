"""GPT-J: `transformer.h[i].mlp.fc_out`, a Linear with bias, beside the attention and not behind it."""

from __future__ import annotations

from transformers import GPTJForCausalLM

from real_models.adapters.adapter import Adapter


def gptj(model: GPTJForCausalLM) -> Adapter:
    """The adapter of a GPT-J model."""
    blocks = tuple(model.transformer.h)
    return Adapter(model, blocks, tuple(block.mlp.fc_out for block in blocks), model.transformer.ln_f, model.lm_head)
