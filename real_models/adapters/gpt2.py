"""GPT-2: `transformer.h[i].mlp.c_proj`, a Conv1D with bias."""

from __future__ import annotations

from transformers import GPT2LMHeadModel

from real_models.adapters.adapter import Adapter


def gpt2(model: GPT2LMHeadModel) -> Adapter:
    """The adapter of a GPT-2 model."""
    blocks = tuple(model.transformer.h)
    return Adapter(model, blocks, tuple(block.mlp.c_proj for block in blocks), model.transformer.ln_f, model.lm_head)
