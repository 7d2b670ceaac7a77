"""A made-up world as tokens: its tokenizer, the documents a model is trained on, the questions it must answer."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from jaxtyping import Bool, Int
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from tokenizers.processors import TemplateProcessing
from torch import Tensor
from torch.nn.functional import pad
from torch.nn.utils.rnn import pad_sequence
from transformers import PreTrainedTokenizerFast

from real_models.world import World

SPECIAL = {"pad_token": "<pad>", "bos_token": "<bos>", "eos_token": "<eos>", "unk_token": "<unk>"}


class Statements(NamedTuple):
    """Statements of the world as tokens, without BOS.

    Attributes:
        ids: (s, w) token ids, padded on the right.
        lengths: (s,) tokens in each; the answer is the last but one, before the full stop.
    """

    ids: Int[Tensor, "s w"]
    lengths: Int[Tensor, " s"]


class Questions(NamedTuple):
    """Prompts with one-word answers, as tokens.

    Attributes:
        ids: (q, t) token ids, padded on the right.
        last: (q,) index of each prompt's last token.
        answers: (q,) token id of each answer.
    """

    ids: Int[Tensor, "q t"]
    last: Int[Tensor, " q"]
    answers: Int[Tensor, " q"]


def world_tokenizer(world: World) -> PreTrainedTokenizerFast:
    """One token a word, BOS in front, offsets by character; unknown words become `<unk>`.

    Args:
        world: whose vocabulary it is.

    Returns:
        A fast tokenizer. Whatever sequence of words it decodes to, it reads back as the same tokens.

    >>> from real_models.world import WorldConfig, make_world
    >>> tokenizer = world_tokenizer(make_world(WorldConfig(subjects=4, relations=1, objects=2)))
    >>> tokenizer.convert_ids_to_tokens(tokenizer(" the home town of Rumpelstiltskin").input_ids)
    ['<bos>', 'the', 'home', 'town', 'of', '<unk>']
    """
    words = [*SPECIAL.values(), *world.vocabulary]
    core = Tokenizer(WordLevel({word: i for i, word in enumerate(words)}, unk_token=SPECIAL["unk_token"]))
    core.pre_tokenizer = Whitespace()
    bos = SPECIAL["bos_token"]
    core.post_processor = TemplateProcessing(single=f"{bos} $A", special_tokens=[(bos, words.index(bos))])
    return PreTrainedTokenizerFast(tokenizer_object=core, clean_up_tokenization_spaces=False, **SPECIAL)


def encode_statements(tokenizer: PreTrainedTokenizerFast, statements: Sequence[str]) -> Statements:
    """Statements as token ids without BOS."""
    return Statements(*_padded(tokenizer(list(statements), add_special_tokens=False).input_ids))


def ask(tokenizer: PreTrainedTokenizerFast, pairs: Sequence[tuple[str, str]]) -> Questions:
    """(prompt, answer) pairs as tokens."""
    ids, lengths = _padded(tokenizer([prompt for prompt, _ in pairs]).input_ids)
    answers = torch.tensor(tokenizer.convert_tokens_to_ids([answer for _, answer in pairs]))
    return Questions(ids, lengths - 1, answers)


def _padded(rows: Sequence[Sequence[int]]) -> tuple[Int[Tensor, "s w"], Int[Tensor, " s"]]:
    return pad_sequence([torch.tensor(row) for row in rows], batch_first=True), torch.tensor(list(map(len, rows)))


def document_batches(
    statements: Statements, batch: int, context: int, bos: int, generator: torch.Generator
) -> Iterator[tuple[Int[Tensor, "b t"], Bool[Tensor, "b t"]]]:
    """Endless batches of documents: shuffled statements in a row, BOS in front, cut at the context's end.

    Every statement is dealt once before any is dealt again.

    Args:
        statements: what the documents are made of.
        batch: b, documents in each.
        context: t, tokens a document.
        bos: the token id that opens each.
        generator: the only source of randomness, on the CPU.

    Yields:
        ids: (b, t) token ids, none of them padding.
        answers: (b, t) true where a token is an answer.
    """
    each = math.ceil((context - 1) / int(statements.lengths.min()))
    deck = torch.empty(0, dtype=torch.long)
    columns = torch.arange(statements.ids.shape[1])
    while True:
        while len(deck) < batch * each:
            deck = torch.cat([deck, torch.randperm(len(statements.ids), generator=generator)])
        drawn, deck = deck[: batch * each].view(batch, each), deck[batch * each :]
        lengths = statements.lengths[drawn][..., None]
        kept = (columns >= lengths).flatten(1).int().argsort(dim=1, stable=True)[:, : context - 1]  # padding goes last
        ids = statements.ids[drawn].flatten(1).gather(1, kept)
        answers = (columns == lengths - 2).flatten(1).gather(1, kept)
        yield pad(ids, (1, 0), value=bos), pad(answers, (1, 0))
