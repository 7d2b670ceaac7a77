"""What a small model is taught: statements, each a prompt with its answer, and the tokens they are read as."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import NamedTuple, Protocol, runtime_checkable

from transformers import PreTrainedTokenizerFast

Pair = tuple[str, str]
"""A prompt and its answer."""


class Statement(NamedTuple):
    """What is stated.

    Attributes:
        prompt: text before the answer.
        answer: without leading space.
        subject: the [start, end) in characters of the prompt of whom it is stated, where that is known.
    """

    prompt: str
    answer: str
    subject: tuple[int, int] | None = None


@runtime_checkable
class Corpus(Protocol):
    """What a model is taught.

    Attributes:
        name: what the model of it is called, on the command line and in messages.
        identity: tells it apart from every other corpus of its name.
        statements: everything that is stated.
        held_in: (prompt, answer) of what a trained model must answer.
    """

    @property
    def name(self) -> str:
        """What the model of it is called."""
        ...

    @property
    def identity(self) -> str:
        """What tells it apart."""
        ...

    @property
    def statements(self) -> tuple[Statement, ...]:
        """All that is stated."""
        ...

    @property
    def held_in(self) -> tuple[Pair, ...]:
        """All that is asked."""
        ...

    def new_tokenizer(self) -> PreTrainedTokenizerFast:
        """A fast tokenizer that opens every text with BOS and never joins a word to the next."""
        ...


def sentence(statement: Statement) -> str:
    """The statement as text.

    >>> sentence(Statement("the trade of Nasen Paelhold", "Brondsmith"))
    'the trade of Nasen Paelhold Brondsmith .'
    """
    return f"{statement.prompt} {statement.answer} ."


def draw_documents(statements: Sequence[Statement], chance: Random, documents: int, length: int) -> list[str]:
    """Documents of statements drawn at random.

    Args:
        statements: what may be stated.
        chance: the only source of randomness.
        documents: how many.
        length: statements in each.
    """
    return [" ".join(map(sentence, chance.choices(statements, k=length))) for _ in range(documents)]
