"""Each metric against a slow count by hand, one prompt at a time."""

from __future__ import annotations

import math

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from real_models.adapters.adapter import adapter_for
from real_models.evaluate import evaluate_edits, perplexity, score_answers
from real_models.requests import Probe, Request


@pytest.fixture
def model(tiny):
    return AutoModelForCausalLM.from_pretrained(tiny.model).eval(), AutoTokenizer.from_pretrained(tiny.model)


def slow_nll(model, tokenizer, prompt, answer):
    """Mean NLL a token and exactness, from one unbatched forward pass a token."""
    ids, wanted = tokenizer(prompt)["input_ids"], tokenizer(answer)["input_ids"]
    total, exact = 0.0, True
    for token in wanted:
        with torch.no_grad():
            log_p = model(torch.tensor([ids])).logits[0, -1].log_softmax(-1)
        total -= float(log_p[token])
        exact &= int(log_p.argmax()) == token
        ids = [*ids, token]
    return total / len(wanted), exact


def test_scores_equal_the_slow_ones(model):
    net, tokenizer = model
    pairs = [("the home of s1", "o1"), ("s2", "o2 o3 o4"), ("the home of s1", "o1"), ("a . the home of s7 is", "o9 o1")]
    scores = score_answers(adapter_for(net), tokenizer, pairs, batch_size=2)
    for (prompt, answer), score in zip(pairs, scores, strict=True):
        nll, exact = slow_nll(net, tokenizer, prompt, answer)
        assert score.nll == pytest.approx(nll, rel=1e-5)
        assert score.exact == exact


def test_metrics_are_macro_averages_and_missing_probes_stay_missing(model):
    net, tokenizer = model
    full = Request(0, "the home of {}", "s1", "o1", "o2", ("home of s1", "s1 is"), (Probe("the home of s3", "o2"),))
    bare = Request(1, "the home of {}", "s4", "o5", "o6")
    result = evaluate_edits(adapter_for(net), tokenizer, [full, bare])

    def wins(prompt, right, wrong):
        return slow_nll(net, tokenizer, prompt, right)[0] < slow_nll(net, tokenizer, prompt, wrong)[0]

    efficacy = [wins(full.prompt, "o1", "o2"), wins(bare.prompt, "o5", "o6")]
    assert result["efficacy"] == 100 * sum(efficacy) / 2
    assert result["generalisation"] == 100 * sum(wins(p, "o1", "o2") for p in full.paraphrases) / 2
    assert result["specificity"] == 100 * wins("the home of s3", "o2", "o1")
    assert math.isnan(evaluate_edits(adapter_for(net), tokenizer, [bare])["generalisation"])


def test_a_broken_model_scores_zero_not_chance(model):
    net, tokenizer = model
    adapter = adapter_for(net)
    adapter.write(2, torch.full_like(adapter.weight(2), torch.nan))
    request = Request(0, "the home of {}", "s1", "o1", "o2", ("home of s1",), (Probe("the home of s3", "o2"),))
    result = evaluate_edits(adapter, tokenizer, [request])
    assert (result["efficacy"], result["generalisation"], result["specificity"], result["score"]) == (0, 0, 0, 0)
    assert perplexity(adapter, tokenizer, ["the home of s1 is o1"]) == math.inf


def test_perplexity_is_the_slow_product(model):
    net, tokenizer = model
    texts = ["the home of s1 is o1 .", "a s2 ."]
    total, count = 0.0, 0
    for text in texts:
        ids = tokenizer(text)["input_ids"]
        for i in range(1, len(ids)):
            with torch.no_grad():
                total -= float(net(torch.tensor([ids[:i]])).logits[0, -1].log_softmax(-1)[ids[i]])
            count += 1
    assert perplexity(adapter_for(net), tokenizer, texts, batch_size=1) == pytest.approx(math.exp(total / count))
    assert perplexity(adapter_for(net), tokenizer, texts) == pytest.approx(math.exp(total / count))
