"""Where subjects end and answers begin, on a word-level and on GPT-2's own tokenizer."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch
from transformers import AutoTokenizer, GPT2TokenizerFast

from real_models.prompts import encode, fill, pad
from theory.command import Misuse


@pytest.fixture(scope="module")
def gpt2_tokenizer():
    root = os.environ.get("NORM_ANCHOR_DATA")
    if not root:
        pytest.skip("NORM_ANCHOR_DATA is unset: GPT-2's tokenizer files are not here")
    folder = Path(root) / "tokenizers" / "gpt2"
    return GPT2TokenizerFast(vocab=str(folder / "vocab.json"), merges=str(folder / "merges.txt"))


def test_subject_and_answer_are_found(tiny):
    tokenizer = AutoTokenizer.from_pretrained(tiny.model)
    prompt, span = fill("the home of {} is", "s1 s2", prefix="a . ")
    encoded = encode(tokenizer, prompt, subject=span, answer="o3 o4")
    words = tokenizer.convert_ids_to_tokens(list(encoded.ids))
    assert words[encoded.subject_last] == "s2"
    assert words[encoded.answer_start :] == ["o3", "o4"]


def test_batch_marks_the_positions_that_predict_the_answer(tiny):
    tokenizer = AutoTokenizer.from_pretrained(tiny.model)
    batch = pad([encode(tokenizer, "s1", answer="o1 o2"), encode(tokenizer, "the home of s1")], torch.device("cpu"))
    assert batch.answer.tolist() == [[True, True, False, False], [False] * 4]
    assert batch.subject_last.tolist() == [0, 3]


def test_an_empty_subject_is_refused(tiny):
    tokenizer = AutoTokenizer.from_pretrained(tiny.model)
    with pytest.raises(Misuse, match="has no token"):
        encode(tokenizer, "the home", subject=(3, 3))


@pytest.mark.parametrize("subject", ["Danielle Darrieux", "Côte d'Ivoire", "IBM", "X-42's"])
def test_gpt2_merges_do_not_hide_the_subject(gpt2_tokenizer, subject):
    prompt, span = fill("The mother tongue of {} is", subject)
    encoded = encode(gpt2_tokenizer, prompt, subject=span, answer="English")
    upto = gpt2_tokenizer.decode(list(encoded.ids[: encoded.subject_last + 1]))
    assert upto == f"The mother tongue of {subject}"
    assert gpt2_tokenizer.decode(list(encoded.ids[encoded.answer_start :])) == " English"


def test_a_subject_that_ends_the_prompt_and_one_that_stands_twice(gpt2_tokenizer):
    prompt, span = fill("Rome is not {}", "Rome")
    encoded = encode(gpt2_tokenizer, prompt, subject=span, answer="Paris")
    assert gpt2_tokenizer.decode(list(encoded.ids[: encoded.subject_last + 1])) == prompt
    assert encoded.answer_start == encoded.subject_last + 1
