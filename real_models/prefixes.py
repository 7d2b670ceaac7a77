"""The texts that stand before an edit's prompt, sampled from the unedited model itself."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from transformers import PreTrainedTokenizerBase

from real_models.adapters.adapter import Adapter
from real_models.config import SolveConfig
from theory.command import Misuse


def sample_prefixes(
    adapter: Adapter, tokenizer: PreTrainedTokenizerBase, config: SolveConfig, generator: torch.Generator
) -> tuple[str, ...]:
    """Texts sampled from the model itself (top 5, a fixed number of tokens), each closed by ". ".

    Args:
        adapter: the unedited model.
        tokenizer: its tokenizer.
        config: how many prefixes, and of how many tokens.
        generator: the only source of randomness, on the CPU.

    Returns:
        The prefixes; the same generator state gives the same texts.

    Source: kmeng01/memit `memit/memit_main.py` (get_context_templates), with an explicit seed.
    """
    if config.prefixes == 0:
        return ()
    start = tokenizer.bos_token_id if tokenizer.bos_token_id is not None else tokenizer.eos_token_id
    if start is None:
        raise Misuse("this tokenizer has neither a BOS nor an EOS token to start prefixes from; pass --prefixes 0")
    ids = torch.full((config.prefixes, 1), start, dtype=torch.long)
    special = torch.tensor(sorted(tokenizer.all_special_ids))
    for _ in range(config.prefix_tokens):
        with torch.no_grad():
            logits = adapter.model(input_ids=ids.to(adapter.device), use_cache=False).logits[:, -1].float().cpu()
        logits[:, special] = -torch.inf
        top = logits.topk(min(5, logits.shape[-1]), dim=-1)
        choice = torch.multinomial(top.values.softmax(-1), 1, generator=generator)
        ids = torch.cat([ids, top.indices.gather(1, choice)], dim=1)
    texts: Sequence[str] = tokenizer.batch_decode(ids[:, 1:], skip_special_tokens=True)
    return tuple(f"{text.strip()}. " for text in texts)
