"""Fluency: how little a model's own text repeats itself, as the entropy of its n-grams."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from statistics import fmean

import torch
from transformers import PreTrainedTokenizerBase

from real_models.adapters.adapter import Adapter
from real_models.prompts import encode

WORD = re.compile(r"\w+|[^\w\s]")
LENGTH, LIKELIEST = 100, 5
"""Tokens a text, prompt included, and the tokens among which each is drawn, as published."""


def entropy(text: str, n: int) -> float:
    """The entropy in bits of a text's n-grams of words and marks; 0 for a text shorter than n.

        H_n = −Σ p_g log₂ p_g,   p_g the frequency of the n-gram g

    >>> entropy("a b a b a", 2), entropy("a b c d e", 2)
    (1.0, 2.0)
    """
    words = WORD.findall(text)
    grams = list(zip(*(words[i:] for i in range(n)), strict=False))
    shares = [count / len(grams) for count in Counter(grams).values()]
    return -sum(share * math.log2(share) for share in shares) + 0.0


def fluency(adapter: Adapter, tokenizer: PreTrainedTokenizerBase, prompts: Sequence[str], seed: int) -> float:
    """The mean of (2/3 H_2 + 4/3 H_3)/2 over texts that the model writes on from prompts.

    Args:
        adapter: the model.
        tokenizer: its tokenizer.
        prompts: where the texts begin.
        seed: of the sampling, which leaves torch's global generator as it was.

    Returns:
        Bits; NaN without a prompt, 0 for a model whose next token is not finite.

    Source: kmeng01/rome, `experiments/py/eval_utils_counterfact.py` (test_generation), which reports 100 times as much;
    words are split here by a pattern, there by nltk.
    """
    return fmean(map(score, written(adapter, tokenizer, prompts, seed))) if prompts else math.nan


def score(text: str) -> float:
    """(2/3 H_2 + 4/3 H_3)/2 of one text.

    >>> round(score("one two three four"), 3)
    1.195
    """
    return (2 / 3 * entropy(text, 2) + 4 / 3 * entropy(text, 3)) / 2


def written(adapter: Adapter, tokenizer: PreTrainedTokenizerBase, prompts: Sequence[str], seed: int) -> list[str]:
    """Texts of `LENGTH` tokens that begin with the prompts; "" where a next token was not finite."""
    texts = []
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(seed)
        for prompt in prompts:
            ids = torch.tensor([encode(tokenizer, prompt).ids], device=adapter.device)
            if not bool(adapter.model(input_ids=ids, use_cache=False).logits[0, -1].isfinite().all()):
                texts.append("")
                continue
            out = adapter.model.generate(
                ids,
                attention_mask=torch.ones_like(ids),
                do_sample=True,
                top_k=LIKELIEST,
                max_length=max(LENGTH, ids.shape[1] + 1),
                min_length=LENGTH,
                pad_token_id=tokenizer.eos_token_id or 0,
                remove_invalid_values=True,
            )
            texts.append(tokenizer.decode(out[0], skip_special_tokens=True))
    return texts
