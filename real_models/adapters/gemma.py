"""Gemma 2 and 3: `model.layers[i].mlp.down_proj`, whose output is normed once more before the stream takes it.

That norm forgets the length of Wk: two values of one direction are one to everything behind it. So δ is added before
it, to the projection's own output, and what NAS does to ‖Wk + δ‖ is seen by later edits' keys alone.
"""

from __future__ import annotations

import torch
from transformers import Gemma2ForCausalLM, Gemma3ForCausalLM

from real_models.adapters.adapter import Adapter


def gemma(model: Gemma2ForCausalLM | Gemma3ForCausalLM) -> Adapter:
    """The adapter of a Gemma 2 or 3 text model."""
    blocks, cap = tuple(model.model.layers), model.config.final_logit_softcapping

    def head(hidden: torch.Tensor) -> torch.Tensor:
        """Logits, bent below the model's cap where it has one."""
        logits = model.lm_head(hidden)
        return logits if cap is None else cap * (logits / cap).tanh()

    projections = tuple(block.mlp.down_proj for block in blocks)
    after = tuple(block.post_feedforward_layernorm for block in blocks)
    return Adapter(model, blocks, projections, model.model.norm, head, after)
