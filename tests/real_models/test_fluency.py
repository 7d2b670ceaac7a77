"""Entropy of n-grams counted by hand, seeded texts, and a model that repeats itself or is broken."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from real_models.adapters.adapter import adapter_for
from real_models.fluency import LENGTH, entropy, fluency, score, written


@pytest.fixture
def model(tiny):
    net = AutoModelForCausalLM.from_pretrained(tiny.model).eval()
    # The tiny models' contexts are shorter than a text as published.
    return adapter_for(net), AutoTokenizer.from_pretrained(tiny.model)


@pytest.fixture(autouse=True)
def short(monkeypatch):
    monkeypatch.setattr("real_models.fluency.LENGTH", 40)


def test_entropy_by_hand():
    text = "the cat, the cat sat"
    words = ["the", "cat", ",", "the", "cat", "sat"]
    pairs = list(pairwise(words))
    expected = -sum(pairs.count(pair) / 5 * math.log2(pairs.count(pair) / 5) for pair in set(pairs))
    assert entropy(text, 2) == pytest.approx(expected)
    assert entropy(text, 3) == pytest.approx(2)
    assert score(text) == pytest.approx((2 / 3 * expected + 4 / 3 * 2) / 2)
    assert LENGTH == 100


def test_texts_go_on_from_their_prompts_and_are_seeded(model):
    prompts = ["the home of s1 is", "a s2"]
    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    texts = written(*model, prompts, seed=3)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert texts == written(*model, prompts, seed=3)
    assert texts != written(*model, prompts, seed=4)
    assert all(text.startswith(prompt) for text, prompt in zip(texts, prompts, strict=True))
    assert all(len(text) > len(prompt) + 10 for text, prompt in zip(texts, prompts, strict=True))
    assert fluency(*model, prompts, 3) == pytest.approx(sum(map(score, texts)) / 2)


def test_repetition_and_a_broken_model_are_zero(model):
    adapter, tokenizer = model
    assert score("so so so so so so") == 0 < score("so it goes on and so it ends")
    assert fluency(adapter, tokenizer, ["the home of s1 is"], 0) > 1
    adapter.write(1, torch.full_like(adapter.weight(1), torch.nan))
    assert fluency(adapter, tokenizer, ["the home of s1 is"], 0) == 0
    assert math.isnan(fluency(adapter, tokenizer, [], 0))
