"""What the field asks of an edited model, with one definition a name, on the edits made so far.

Efficacy: the share of edits whose prompt gives the new answer a lower NLL than the true one.
Generalisation: the same over paraphrases, averaged an edit, then over edits that have any.
Specificity: over neighbourhood prompts, the share that keeps the true answer's NLL below the new one's.
"Exact" variants ask that every token of the wanted answer is the arg-max under teacher forcing.
NLL is the mean over an answer's tokens. A model that answers at random scores about 50 %; NaN counts as failure.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from transformers import PreTrainedTokenizerBase

from real_models.adapters.adapter import Adapter
from real_models.prompts import encode, pad
from real_models.requests import Request


class Scored(NamedTuple):
    """How a model takes one answer to one prompt.

    Attributes:
        nll: mean negative log-likelihood a token, in nats.
        exact: every token of the answer is the arg-max.
    """

    nll: float
    exact: bool


def score_answers(
    adapter: Adapter, tokenizer: PreTrainedTokenizerBase, pairs: Sequence[tuple[str, str]], batch_size: int = 256
) -> list[Scored]:
    """Score (prompt, answer) pairs, each distinct pair once, in batches of similar length.

    Args:
        adapter: the model.
        tokenizer: its tokenizer.
        pairs: prompts with answers.
        batch_size: prompts a forward pass.

    Returns:
        One score a pair, in order.
    """
    encoded = {pair: encode(tokenizer, pair[0], answer=pair[1]) for pair in dict.fromkeys(pairs)}
    ordered = sorted(encoded, key=lambda pair: len(encoded[pair].ids))
    scores: dict[tuple[str, str], Scored] = {}
    for start in range(0, len(ordered), batch_size):
        chunk = ordered[start : start + batch_size]
        batch = pad([encoded[pair] for pair in chunk], adapter.device)
        with torch.no_grad():
            logits = adapter.model(input_ids=batch.ids, use_cache=False).logits.float()
        targets = batch.ids.roll(-1, dims=1)
        nll = -logits.log_softmax(-1).gather(2, targets[..., None])[..., 0]
        counts = batch.answer.sum(dim=1)
        mean = nll.where(batch.answer, 0).sum(dim=1) / counts
        exact = ((logits.argmax(-1) == targets) | ~batch.answer).all(dim=1) & mean.isfinite()
        scores.update(
            (pair, Scored(*values)) for pair, *values in zip(chunk, mean.tolist(), exact.tolist(), strict=True)
        )
    return [scores[pair] for pair in pairs]


def evaluate_edits(
    adapter: Adapter, tokenizer: PreTrainedTokenizerBase, requests: Sequence[Request]
) -> dict[str, float | int]:
    """Efficacy, generalisation and specificity of edits already made, as percentages with standard errors.

    Args:
        adapter: the edited model.
        tokenizer: its tokenizer.
        requests: the edits to evaluate.

    Returns:
        For each metric its mean over edits (macro average), `_exact` its exact-match variant and `_se` the standard
        error; NaN where no request has the probes. `score` is the harmonic mean of the three: 0 if one is 0, NaN if one
        is missing.
    """
    wanted: list[tuple[str, str]] = []
    other: list[tuple[str, str]] = []
    groups: list[tuple[int, str]] = []
    for index, request in enumerate(requests):
        new, true = request.target_new, request.target_true
        asks = [("efficacy", request.prompt, new, true)]
        asks += [("generalisation", prompt, new, true) for prompt in request.paraphrases]
        asks += [("specificity", probe.prompt, probe.answer, new) for probe in request.neighborhood]
        for metric, prompt, right, wrong in asks:
            groups.append((index, metric))
            wanted.append((prompt, right))
            other.append((prompt, wrong))
    scores = score_answers(adapter, tokenizer, wanted + other)
    rights, wrongs = scores[: len(wanted)], scores[len(wanted) :]
    result: dict[str, float | int] = {"evaluated": len(requests)}
    for metric in ("efficacy", "generalisation", "specificity"):
        chosen = [i for i, (_, name) in enumerate(groups) if name == metric]
        owners = [groups[i][0] for i in chosen]
        preferred = _macro(owners, [rights[i].nll < wrongs[i].nll for i in chosen])
        result[metric], result[f"{metric}_se"] = _mean_and_error(preferred)
        result[f"{metric}_exact"], _ = _mean_and_error(_macro(owners, [rights[i].exact for i in chosen]))
    three = np.array([result["efficacy"], result["generalisation"], result["specificity"]])
    result["score"] = 0.0 if (three == 0).any() else float(3 / np.sum(1 / three))
    return result


def _macro(owners: Sequence[int], hits: Sequence[bool]) -> np.ndarray:
    """The mean of `hits` within each owner, in percent."""
    labels, inverse = np.unique(np.asarray(owners, dtype=int), return_inverse=True)
    sums = np.bincount(inverse, weights=np.asarray(hits, dtype=float), minlength=len(labels))
    return 100 * sums / np.bincount(inverse, minlength=len(labels))


def _mean_and_error(values: np.ndarray) -> tuple[float, float]:
    if values.size == 0:
        return float("nan"), float("nan")
    error = values.std(ddof=1) / np.sqrt(values.size) if values.size > 1 else float("nan")
    return float(values.mean()), float(error)


def perplexity(
    adapter: Adapter, tokenizer: PreTrainedTokenizerBase, texts: Iterable[str], context: int = 128, batch_size: int = 32
) -> float:
    """exp(mean NLL a token) over texts, cut into windows of at most `context` tokens.

    Args:
        adapter: the model.
        tokenizer: its tokenizer.
        texts: held-out documents.
        context: tokens a window; the first token of a window is not scored.
        batch_size: windows a forward pass.

    Returns:
        The perplexity; infinity where the model's losses are not finite.
    """
    limit = min(context, getattr(adapter.model.config, "max_position_embeddings", context))
    windows = [
        torch.tensor(ids[start : start + limit])
        for ids in (tokenizer(text)["input_ids"] for text in texts)
        for start in range(0, len(ids) - 1, limit)
        if len(ids[start : start + limit]) > 1
    ]
    windows.sort(key=len)
    total, count = 0.0, 0
    for start in range(0, len(windows), batch_size):
        chunk = windows[start : start + batch_size]
        ids = torch.nn.utils.rnn.pad_sequence(chunk, batch_first=True).to(adapter.device)
        lengths = torch.tensor([len(window) for window in chunk], device=ids.device)
        with torch.no_grad():
            log_p = adapter.model(input_ids=ids, use_cache=False).logits[:, :-1].float().log_softmax(-1)
        nll = -log_p.gather(2, ids[:, 1:, None])[..., 0]
        scored = torch.arange(nll.shape[1], device=ids.device) < (lengths - 1)[:, None]
        total += nll.where(scored, 0).double().sum().item()
        count += int(scored.sum())
    mean = total / count if count else float("nan")
    return float(np.exp(mean)) if np.isfinite(mean) and mean < 700 else float("inf")
