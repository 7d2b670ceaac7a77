"""Text to tokens: where the subject ends, where the answer begins, by character offsets of a fast tokenizer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Bool, Int
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from theory.command import Misuse


class Encoded(NamedTuple):
    """A prompt, perhaps with its answer, as tokens.

    Attributes:
        ids: token ids of the whole text.
        subject_last: index of the subject's last token; the last token where no subject was named.
        answer_start: index of the answer's first token; len(ids) without an answer.
    """

    ids: tuple[int, ...]
    subject_last: int
    answer_start: int

    def cut(self) -> Encoded:
        """The tokens up to the subject's last one, which none behind it can change."""
        return Encoded(self.ids[: self.subject_last + 1], self.subject_last, self.subject_last + 1)


class Batch(NamedTuple):
    """Encoded prompts, padded on the right.

    In a causal decoder no token sees what stands to its right, so padding needs no attention mask.

    Attributes:
        ids: (b, t) token ids.
        subject_last: (b,) index of each subject's last token.
        answer: (b, t) true where the *next* token belongs to the answer.
    """

    ids: Int[Tensor, "b t"]
    subject_last: Int[Tensor, " b"]
    answer: Bool[Tensor, "b t"]


class Aligned(NamedTuple):
    """Encoded prompts, padded on both sides so that all subjects end in one column.

    Attributes:
        ids: (b, t) token ids.
        left: (b,) how many columns on the left are padding.
        start: the column of the subjects' last tokens.
        answer: (b, t) true where the *next* token belongs to the answer.
        following: (b, t) the next token.
    """

    ids: Int[Tensor, "b t"]
    left: Int[Tensor, " b"]
    start: int
    answer: Bool[Tensor, "b t"]
    following: Int[Tensor, "b t"]

    def needed(self) -> Aligned:
        """Without the columns on the right that no next token is asked of: an answer's last token is never read."""
        asked = torch.nonzero(self.answer.any(dim=0))
        width = max([self.start, *asked[-1:, 0].tolist()]) + 1
        ids, answer, following = (part[:, :width] for part in (self.ids, self.answer, self.following))
        return Aligned(ids, self.left, self.start, answer, following)


def encode(
    tokenizer: PreTrainedTokenizerBase, prompt: str, *, subject: tuple[int, int] | None = None, answer: str = ""
) -> Encoded:
    """Tokenise a prompt together with its answer, so that neither's tokens depend on a guess about spaces.

    Args:
        tokenizer: a fast tokenizer.
        prompt: the text before the answer, without trailing space.
        subject: the subject's [start, end) in characters of the prompt.
        answer: the answer without leading space; it is written after one space.

    Returns:
        The tokens, the subject's last one and the answer's first.

    Raises:
        Misuse: the subject or the answer is left without a token.
    """
    encoding = tokenizer(f"{prompt} {answer}" if answer else prompt, return_offsets_mapping=True)
    return _placed(encoding["input_ids"], encoding["offset_mapping"], prompt, subject, answer)


def encode_answers(tokenizer: PreTrainedTokenizerBase, pairs: Sequence[tuple[str, str]]) -> list[Encoded]:
    """`encode` for (prompt, answer) pairs without a subject, all at once."""
    encoding = tokenizer([f"{prompt} {answer}" for prompt, answer in pairs], return_offsets_mapping=True)
    made = zip(encoding["input_ids"], encoding["offset_mapping"], pairs, strict=True)
    return [_placed(ids, spans, prompt, None, answer) for ids, spans, (prompt, answer) in made]


def _placed(
    ids: Sequence[int], spans: Sequence[tuple[int, int]], prompt: str, subject: tuple[int, int] | None, answer: str
) -> Encoded:
    """Where subject and answer lie among the tokens, by the characters that each of them spans."""
    answer_start = next((i for i, (start, end) in enumerate(spans) if end > len(prompt) and end > start), len(ids))
    if answer and answer_start == len(ids):
        raise Misuse(f"the answer {answer!r} after {prompt!r} has no token in this tokenizer; check the data set")
    if subject is None:
        return Encoded(tuple(ids), answer_start - 1, answer_start)
    inside = [i for i, (start, end) in enumerate(spans) if start < subject[1] and end > subject[0] and end > start]
    if not inside:
        raise Misuse(f"the subject {prompt[slice(*subject)]!r} in {prompt!r} has no token; check the data set")
    return Encoded(tuple(ids), inside[-1], answer_start)


def fill(template: str, subject: str, prefix: str = "") -> tuple[str, tuple[int, int]]:
    """Put the subject into a template behind a prefix; return the text and the subject's span.

    >>> fill("the home of {}", "Ada", prefix="So. ")
    ('So. the home of Ada', (16, 19))
    """
    start = len(prefix) + template.index("{}")
    return prefix + template.replace("{}", subject, 1), (start, start + len(subject))


def pad(encoded: Sequence[Encoded], device: torch.device) -> Batch:
    """Stack encoded prompts, padded on the right with token 0."""
    length = max(len(one.ids) for one in encoded)
    ids = torch.zeros(len(encoded), length, dtype=torch.long)
    answer = torch.zeros(len(encoded), length, dtype=torch.bool)
    for row, one in enumerate(encoded):
        ids[row, : len(one.ids)] = torch.tensor(one.ids)
        answer[row, one.answer_start - 1 : len(one.ids) - 1] = True
    last = torch.tensor([one.subject_last for one in encoded])
    return Batch(ids.to(device), last.to(device), answer.to(device))


def align(encoded: Sequence[Encoded], device: torch.device) -> Aligned:
    """Stack encoded prompts with their subjects' last tokens in one column, padded with token 0."""
    start = max(one.subject_last for one in encoded)
    left = torch.tensor([start - one.subject_last for one in encoded])
    width = max(start - one.subject_last + len(one.ids) for one in encoded)
    ids = torch.zeros(len(encoded), width, dtype=torch.long)
    answer = torch.zeros(len(encoded), width, dtype=torch.bool)
    for row, one in enumerate(encoded):
        shift = start - one.subject_last
        ids[row, shift : shift + len(one.ids)] = torch.tensor(one.ids)
        answer[row, shift + one.answer_start - 1 : shift + len(one.ids) - 1] = True
    ids, left, answer = ids.to(device), left.to(device), answer.to(device)
    return Aligned(ids, left, start, answer, ids.roll(-1, dims=1))
