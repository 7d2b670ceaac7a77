"""The facts of a data set's file: what its true statements say, as the corpus of a model that knows them.

Its requests' own paraphrases and neighbourhood prompts then probe knowledge that the model really has.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random

from transformers import PreTrainedTokenizerFast

from real_models.corpus import Pair, Statement, draw_documents, sentence
from real_models.corpus_tokenizers import byte_pair_tokenizer
from real_models.requests import Request
from theory.command import Misuse

VOCABULARY = 4096
"""Tokens of the tokenizer at most: 500 CounterFact records fill it, and nearly every answer is one token of it."""


@dataclass(frozen=True)
class Facts:
    """The facts of a file, made by `known_facts`.

    Attributes:
        identity: the SHA-256 of the file.
        statements: no prompt twice; whose subject is known of the records' own prompts and of prompts alike to them.
        contradicted: statements that were left out because an earlier one answers their prompt otherwise.
        unanswered: records that were left out because they do not tell the true answer.
    """

    identity: str
    statements: tuple[Statement, ...]
    contradicted: int
    unanswered: int

    name = "facts"

    @property
    def held_in(self) -> tuple[Pair, ...]:
        """(prompt, answer) of every statement: a trained model must answer them all."""
        return tuple((one.prompt, one.answer) for one in self.statements)

    def new_tokenizer(self) -> PreTrainedTokenizerFast:
        """Pieces of words, learnt from the statements."""
        return byte_pair_tokenizer(list(map(sentence, self.statements)), VOCABULARY)

    def text(self, seed: int, documents: int, length: int = 3) -> list[str]:
        """Documents of statements drawn at random, for covariances.

        Args:
            seed: equal seeds give equal documents.
            documents: how many.
            length: statements in each.
        """
        return draw_documents(self.statements, Random(f"text {seed}"), documents, length)

    def held_out_text(self, seed: int, documents: int, length: int = 3) -> list[str]:
        """Documents for perplexity: every statement was trained on, no document was (they are drawn afresh).

        Args:
            seed: equal seeds give equal documents.
            documents: how many.
            length: statements in each.
        """
        return draw_documents(self.statements, Random(f"held out {seed}"), documents, length)


def known_facts(requests: Sequence[Request], identity: str) -> Facts:
    """The facts that a file's records state.

    A record that tells its true answer states it of its prompt and of each paraphrase, and each neighbourhood prompt
    states its own answer. Some prompts are asked more than once: the first answer counts, and the requests' own
    prompts come before any neighbourhood prompt, for they are what is edited. A prompt asked again with another answer
    stays a probe that the model answers by its first one.

    Args:
        requests: of the file.
        identity: the SHA-256 of the file.

    Returns:
        The facts, in the file's order.

    Raises:
        Misuse: no record tells its true answer.

    >>> facts = known_facts([Request(0, "{} is in", "Lyon", "Peru", "France", ("Where? Lyon is in",))], "")
    >>> facts.held_in
    (('Lyon is in', 'France'), ('Where? Lyon is in', 'France'))
    """
    told = [request for request in requests if request.target_true is not None]
    if not told:
        raise Misuse(f"none of the {len(requests)} records tells its true answer, so there is nothing to learn")
    first: dict[str, Statement] = {}
    contradicted = 0
    for one in (*_own(told), *_neighbouring(told)):
        contradicted += first.setdefault(one.prompt, one).answer != one.answer
    return Facts(identity, tuple(first.values()), contradicted, len(requests) - len(told))


def _own(requests: Sequence[Request]) -> Iterator[Statement]:
    for request in requests:
        if request.target_true is not None:
            for prompt in (request.prompt, *request.paraphrases):
                yield Statement(prompt, request.target_true, _stands(request.subject, prompt))


def _stands(subject: str, prompt: str) -> tuple[int, int] | None:
    """Where the subject last stands in a prompt; None for a paraphrase that does not spell it so."""
    start = prompt.rfind(subject)
    return None if start < 0 else (start, start + len(subject))


def _neighbouring(requests: Sequence[Request]) -> Iterator[Statement]:
    frames = _frames(requests)
    for request in requests:
        for probe in request.neighborhood:
            yield Statement(probe.prompt, probe.answer, _framed(probe.prompt, frames))


def _frames(requests: Sequence[Request]) -> list[Pair]:
    """What stands before and behind a subject in the file's own prompts, from its sentence's beginning; longest first.

    >>> _frames([Request(0, "{} is in", "Lyon", "Peru", "France", ("Go on. The town Lyon lies in",))])
    [('The town ', ' lies in'), ('', ' is in')]
    """
    frames: set[Pair] = set()
    for request in requests:
        for prompt in (request.prompt, *request.paraphrases):
            if (span := _stands(request.subject, prompt)) is not None:
                frames.add((re.split(r"[.?!]\s+|\n", prompt[: span[0]])[-1], prompt[span[1] :]))
    return sorted((frame for frame in frames if any(frame)), key=lambda frame: (-len("".join(frame)), frame))


def _framed(prompt: str, frames: Sequence[Pair]) -> tuple[int, int] | None:
    """Where the subject stands in a prompt of which only other prompts tell the form; None for an unknown form."""
    for before, behind in frames:
        if prompt.startswith(before) and prompt.endswith(behind) and len(prompt) > len(before) + len(behind):
            return len(before), len(prompt) - len(behind)
    return None
