"""A corpus as tokens: the documents a model is trained on, the questions it must answer."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from jaxtyping import Bool, Int
from torch import Tensor
from torch.nn.functional import pad
from torch.nn.utils.rnn import pad_sequence
from transformers import PreTrainedTokenizerFast

from real_models.corpus import Pair, Statement, sentence
from real_models.prompts import Batch, encode
from real_models.prompts import pad as pad_prompts

TOGETHER = 512
"""Questions a batch."""


class Statements(NamedTuple):
    """Statements as tokens, without BOS.

    Attributes:
        ids: (s, w) token ids, padded on the right.
        lengths: (s,) tokens in each.
        answers: (s, w) true where a token is of the answer.
        subjects: (s, w) true where a token is of the subject, where that is known.
    """

    ids: Int[Tensor, "s w"]
    lengths: Int[Tensor, " s"]
    answers: Bool[Tensor, "s w"]
    subjects: Bool[Tensor, "s w"]


class Documents(NamedTuple):
    """A batch of documents.

    Attributes:
        ids: (b, t) token ids, none of them padding.
        answers: (b, t) true where a token is of an answer.
        subjects: (b, t) which of the document's statements a token is a subject of, from 1; 0 for other tokens.
    """

    ids: Int[Tensor, "b t"]
    answers: Bool[Tensor, "b t"]
    subjects: Int[Tensor, "b t"]


def encode_statements(tokenizer: PreTrainedTokenizerFast, statements: Sequence[Statement]) -> Statements:
    """Statements as sentences in token ids without BOS."""
    encoded = tokenizer(list(map(sentence, statements)), add_special_tokens=False, return_offsets_mapping=True)
    answers, subjects = [list[Tensor]() for _ in range(2)]
    for one, spans in zip(statements, encoded.offset_mapping, strict=True):
        begun, ended = torch.tensor(spans).T
        start, end = one.subject or (0, 0)
        answers.append((ended > len(one.prompt)) & (ended <= len(f"{one.prompt} {one.answer}")))
        subjects.append((begun < end) & (ended > start))
    rows = [torch.tensor(row) for row in encoded.input_ids]
    ids, answered, named = (pad_sequence(part, batch_first=True) for part in (rows, answers, subjects))
    return Statements(ids, torch.tensor(list(map(len, rows))), answered, named)


def ask(tokenizer: PreTrainedTokenizerFast, pairs: Sequence[Pair]) -> list[Batch]:
    """(prompt, answer) pairs as tokens, in batches of similar length."""
    encoded = sorted(
        (encode(tokenizer, prompt, answer=answer) for prompt, answer in pairs), key=lambda one: len(one.ids)
    )
    return [
        pad_prompts(encoded[start : start + TOGETHER], torch.device("cpu"))
        for start in range(0, len(encoded), TOGETHER)
    ]


def document_batches(
    statements: Statements, batch: int, context: int, bos: int, alone: float, generator: torch.Generator
) -> Iterator[Documents]:
    """Endless batches of documents: shuffled statements in a row, BOS in front, cut at the context's end.

    Every statement is dealt once before any is dealt again. With `alone` above 0 a statement that no room was left for
    goes back on the deck; with 0 it has been dealt.

    Args:
        statements: what the documents are made of.
        batch: b, documents in each.
        context: t, tokens a document.
        bos: the token id that opens each.
        alone: the share of statements that BOS parts from those before them.
        generator: the only source of randomness, on the CPU.

    Yields:
        The next batch.
    """
    opened = _behind(statements, bos)
    room = context - 1 if alone == 0 else context
    each = math.ceil(room / int(statements.lengths.min()))
    deck = torch.empty(0, dtype=torch.long)
    columns, width = torch.arange(opened.ids.shape[1]), opened.ids.shape[1]
    while True:
        while len(deck) < batch * each:
            deck = torch.cat([deck, torch.randperm(len(opened.ids), generator=generator)])
        drawn, deck = deck[: batch * each].view(batch, each), deck[batch * each :]
        there = columns < opened.lengths[drawn][..., None]
        if alone:
            there[:, 1:, 0] &= torch.rand(batch, each - 1, generator=generator) < alone
        else:
            there[:, 1:, 0] = False
        kept = (~there).flatten(1).int().argsort(dim=1, stable=True)[:, :context]  # padding goes last
        if alone:
            deck = torch.cat([drawn[torch.arange(each) > kept.max(dim=1, keepdim=True).values // width], deck])
        numbers = opened.subjects[drawn] * torch.arange(1, each + 1)[:, None]
        parts = (opened.ids[drawn], opened.answers[drawn], numbers)
        yield Documents(*(part.flatten(1).gather(1, kept) for part in parts))


def _behind(statements: Statements, bos: int) -> Statements:
    """The statements with BOS in front."""
    front = [(statements.ids, bos), (statements.answers, False), (statements.subjects, False)]
    ids, answers, subjects = (pad(part, (1, 0), value=value) for part, value in front)
    return Statements(ids, statements.lengths + 1, answers, subjects)
