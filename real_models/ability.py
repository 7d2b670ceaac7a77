"""What is left of a model's general ability: held-out text read by the edited and by the unedited model."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import NamedTuple

import torch
from jaxtyping import Int
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from real_models.adapters.adapter import Adapter
from real_models.questions import precise


class Reading(NamedTuple):
    """What a model makes of some texts.

    Attributes:
        perplexity: exp(mean NLL a token); infinity where the losses are not finite, NaN where there is no text.
        choices: the likeliest next token at every scored place, in the texts' order.
    """

    perplexity: float
    choices: Int[Tensor, " t"]

    def agreement(self, other: Reading) -> float:
        """In how many per cent of places both choose the same next token; a model that is not finite chooses none.

        >>> Reading(2.0, torch.tensor([1, 2, 3, 4])).agreement(Reading(2.0, torch.tensor([1, 2, 3, 5])))
        75.0
        """
        same = (self.choices == other.choices) & (self.choices >= 0)
        return 100 * float(same.double().mean()) if len(same) else math.nan


def read_held_out(
    adapter: Adapter, tokenizer: PreTrainedTokenizerBase, texts: Iterable[str], context: int = 128, batch_size: int = 32
) -> Reading:
    """Read texts, cut into windows of at most `context` tokens, whose first token is not scored.

    Args:
        adapter: the model.
        tokenizer: its tokenizer.
        texts: held-out documents.
        context: tokens a window.
        batch_size: windows a forward pass.
    """
    limit = min(context, getattr(adapter.model.config, "max_position_embeddings", context))
    windows = [
        torch.tensor(ids[start : start + limit])
        for ids in (tokenizer(text)["input_ids"] for text in texts)
        for start in range(0, len(ids) - 1, limit)
        if len(ids[start : start + limit]) > 1
    ]
    none = torch.empty(0, dtype=torch.long)
    if not windows:
        return Reading(math.nan, none)
    total, choices = 0.0, [none] * len(windows)
    order = sorted(range(len(windows)), key=lambda place: len(windows[place]))
    for start in range(0, len(windows), batch_size):
        places = order[start : start + batch_size]
        chunk = [windows[place] for place in places]
        ids = torch.nn.utils.rnn.pad_sequence(chunk, batch_first=True).to(adapter.device)
        lengths = torch.tensor([len(window) for window in chunk], device=ids.device)
        scored = torch.arange(ids.shape[1] - 1, device=ids.device) < (lengths - 1)[:, None]
        with torch.no_grad():
            hidden = adapter.model.base_model(input_ids=ids, use_cache=False).last_hidden_state
            log_p = precise(adapter.head(hidden[:, :-1][scored])).log_softmax(-1)
        nll = -log_p.gather(1, ids[:, 1:][scored][:, None])[:, 0]
        total += float(nll.double().sum())
        chosen = torch.where(nll.isfinite(), log_p.argmax(-1), -1).cpu()
        for place, own in zip(places, chosen.split((lengths - 1).tolist()), strict=True):
            choices[place] = own
    mean = total / sum(map(len, choices))
    return Reading(math.exp(mean) if mean < 700 else math.inf, torch.cat(choices))
