"""What the field asks of an edited model, with one definition a name, on the edits made so far.

Efficacy: the share of edits whose prompt gives the new answer a lower NLL than the true one.
Generalisation: the same over paraphrases, averaged an edit, then over edits that have any.
Specificity: over neighbourhood prompts, the share that keeps the true answer's NLL below the new one's.
Portability: over questions whose answer follows from the edit; it has no rival answer, so only the variants below.
"Exact" variants ask that every token of the wanted answer is the arg-max under teacher forcing, "tokens" variants count
the share of its tokens that are (ZsRE's metric). Where a data set gives no true answer the comparisons are missing.
NLL is the mean over an answer's tokens. A model that answers at random scores about 50 %; NaN counts as failure.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from transformers import PreTrainedTokenizerBase

from real_models.adapters.adapter import Adapter
from real_models.prompts import encode_answers
from real_models.questions import precise
from real_models.requests import Request

METRICS = ("efficacy", "generalisation", "specificity", "portability")
FLOOR = 50.0
"""Percent of comparisons between two answers that a model which answers at random wins."""


class Scored(NamedTuple):
    """How a model takes one answer to one prompt.

    Attributes:
        nll: mean negative log-likelihood a token, in nats.
        tokens: the share of its tokens that are the arg-max.
    """

    nll: float
    tokens: float

    @property
    def exact(self) -> bool:
        """Whether every token of the answer is the arg-max."""
        return self.tokens == 1


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
    distinct = list(dict.fromkeys(pairs))
    encoded = dict(zip(distinct, encode_answers(tokenizer, distinct) if distinct else [], strict=True))
    # An answer's last token is never read, so answers of one token share a prompt's row.
    rows: dict[tuple[int, ...], list[tuple[str, str]]] = {}
    for pair, one in encoded.items():
        rows.setdefault(one.ids[:-1], []).append(pair)
    ordered = sorted(rows, key=len)
    scores: dict[tuple[str, str], Scored] = {}
    for start in range(0, len(ordered), batch_size):
        chunk = ordered[start : start + batch_size]
        asked = [(row, pair) for row, ids in enumerate(chunk) for pair in rows[ids]]
        answers = [encoded[pair].ids[encoded[pair].answer_start :] for _, pair in asked]
        lengths = torch.tensor([len(answer) for answer in answers], device=adapter.device)
        ends = torch.tensor([len(chunk[row]) for row, _ in asked], device=adapter.device)
        owner = torch.repeat_interleave(torch.arange(len(asked), device=adapter.device), lengths)
        step = torch.arange(len(owner), device=adapter.device) - (lengths.cumsum(0) - lengths)[owner]
        column = (ends - lengths)[owner] + step
        row_of = torch.tensor([row for row, _ in asked], device=adapter.device)[owner]
        targets = torch.tensor([token for answer in answers for token in answer], device=adapter.device)
        ids = torch.nn.utils.rnn.pad_sequence([torch.tensor(one) for one in chunk], batch_first=True)
        with torch.no_grad():
            hidden = adapter.model.base_model(input_ids=ids.to(adapter.device), use_cache=False).last_hidden_state
            log_p = precise(adapter.head(hidden[row_of, column])).log_softmax(-1)
        nll = -log_p.gather(1, targets[:, None])[:, 0]
        right = (log_p.argmax(-1) == targets) & nll.isfinite()
        none = nll.new_zeros(len(asked))
        nlls, shares = (none.index_add(0, owner, part.to(nll)) / lengths for part in (nll, right))
        scores.update(
            (pair, Scored(*two)) for (_, pair), *two in zip(asked, nlls.tolist(), shares.tolist(), strict=True)
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
        For each metric its mean over edits (macro average) and `_se`, its standard error; `_exact` and `_tokens`, its
        variants; NaN where no request has the probes or the answers. `score` is the harmonic mean of efficacy,
        generalisation and specificity: 0 if one is 0, NaN if one is missing. `score_rescaled` is that of each one's
        distance from `FLOOR`, where a model that answers at random stands; `score_exact` that of the exact variants.
    """
    asked: list[tuple[int, str, str, str, str | None]] = []
    for index, request in enumerate(requests):
        new, true = request.target_new, request.target_true
        asked.append((index, "efficacy", request.prompt, new, true))
        asked += [(index, "generalisation", prompt, new, true) for prompt in request.paraphrases]
        rival = None if true is None else new
        asked += [(index, "specificity", probe.prompt, probe.answer, rival) for probe in request.neighborhood]
        asked += [(index, "portability", probe.prompt, probe.answer, None) for probe in request.hops]
    pairs = [(prompt, right) for _, _, prompt, right, _ in asked]
    pairs += [(prompt, wrong) for _, _, prompt, _, wrong in asked if wrong is not None]
    scores = iter(score_answers(adapter, tokenizer, pairs))
    rights = [next(scores) for _ in asked]
    wrongs = [None if one[-1] is None else next(scores) for one in asked]
    result: dict[str, float | int] = {"evaluated": len(requests)}
    for metric in METRICS:
        chosen = [i for i, one in enumerate(asked) if one[1] == metric]
        compared = [(i, wrong) for i in chosen if (wrong := wrongs[i]) is not None]
        owners = [asked[i][0] for i in chosen]
        if metric != "portability":
            preferred = _macro([asked[i][0] for i, _ in compared], [rights[i].nll < wrong.nll for i, wrong in compared])
            result[metric], result[f"{metric}_se"] = _mean_and_error(preferred)
        for variant in ("exact", "tokens"):
            shares = _macro(owners, [getattr(rights[i], variant) for i in chosen])
            result[f"{metric}_{variant}"], _ = _mean_and_error(shares)
    compared_three = np.array([result[metric] for metric in METRICS[:3]])
    result["score"] = harmonic(compared_three)
    result["score_rescaled"] = harmonic(100 * (compared_three - FLOOR) / (100 - FLOOR))
    result["score_exact"] = harmonic(np.array([result[f"{metric}_exact"] for metric in METRICS[:3]]))
    return result


def harmonic(parts: np.ndarray) -> float:
    """The harmonic mean; 0 if a part is 0 or below, NaN if one is missing.

    >>> harmonic(np.array([50.0, 100.0])), harmonic(np.array([-4.0, 100.0]))
    (66.66666666666667, 0.0)
    """
    return 0.0 if (parts <= 0).any() else float(len(parts) / np.sum(1 / parts))


def _macro(owners: Sequence[int], hits: Sequence[float | bool]) -> np.ndarray:
    """The mean of `hits` within each owner, in percent."""
    labels, inverse = np.unique(np.asarray(owners, dtype=int), return_inverse=True)
    sums = np.bincount(inverse, weights=np.asarray(hits, dtype=float), minlength=len(labels))
    return 100 * sums / np.bincount(inverse, minlength=len(labels))


def _mean_and_error(values: np.ndarray) -> tuple[float, float]:
    if values.size == 0:
        return float("nan"), float("nan")
    error = values.std(ddof=1) / np.sqrt(values.size) if values.size > 1 else float("nan")
    return float(values.mean()), float(error)
