"""Each metric against a slow count by hand, one prompt at a time."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from real_models.ability import read_held_out
from real_models.adapters.adapter import adapter_for
from real_models.evaluate import Scored, evaluate_edits, score_answers
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
        assert (score.tokens == 1) == exact


def test_metrics_are_macro_averages_and_missing_probes_stay_missing(model):
    """Requests with unequal numbers of probes, whose true answers differ from the probes' own."""
    net, tokenizer = model
    requests = [
        Request(0, "the home of {}", "s1", "o1", "o2", ("home of s1", "s1 is", "s1"), (Probe("the home of s3", "o9"),)),
        Request(1, "the home of {}", "s4", "o5", "o6", ("s4",), (Probe("s5 is", "o7"), Probe("home s6", "o8"))),
        Request(2, "home of {}", "s7", "o3", "o4", ("s7 is",), (Probe("a s8", "o1"), Probe("s9", "o2"))),
    ]
    result = evaluate_edits(adapter_for(net), tokenizer, requests)

    def score(prompt, right, wrong):
        nll, exact = slow_nll(net, tokenizer, prompt, right)
        return nll < slow_nll(net, tokenizer, prompt, wrong)[0], exact

    asked = {
        "efficacy": [[(r.prompt, r.target_new, r.target_true)] for r in requests],
        "generalisation": [[(p, r.target_new, r.target_true) for p in r.paraphrases] for r in requests],
        "specificity": [[(p.prompt, p.answer, r.target_new) for p in r.neighborhood] for r in requests],
    }
    means = {}
    for metric, groups in asked.items():
        hits = [[score(*words) for words in group] for group in groups]
        won = np.array([100 * np.mean([hit for hit, _ in group]) for group in hits])
        means[metric] = won.mean()
        assert result[metric] == pytest.approx(won.mean()), metric
        assert result[f"{metric}_se"] == pytest.approx(won.std(ddof=1) / 3**0.5), metric
        exact = np.mean([100 * np.mean([hit for _, hit in group]) for group in hits])
        assert result[f"{metric}_exact"] == pytest.approx(exact), metric
    harmonic = 0.0 if min(means.values()) == 0 else 3 / sum(1 / value for value in means.values())
    assert result["score"] == pytest.approx(harmonic)
    bare = evaluate_edits(adapter_for(net), tokenizer, [Request(3, "the home of {}", "s4", "o5", "o6")])
    assert math.isnan(bare["generalisation"])
    assert bare["score"] == 0 or math.isnan(bare["score"])


def test_exact_match_and_ties_are_strict(model):
    """The arg-max answer is exact for what is wanted, never for its rival; equal answers are no success."""
    net, tokenizer = model
    adapter = adapter_for(net)
    with torch.no_grad():
        logits = net(torch.tensor([tokenizer("the home of s1")["input_ids"]])).logits[0, -1]
    top, second = tokenizer.convert_ids_to_tokens(logits.topk(2).indices.tolist())
    wins = evaluate_edits(adapter, tokenizer, [Request(0, "the home of {}", "s1", top, second)])
    loses = evaluate_edits(adapter, tokenizer, [Request(0, "the home of {}", "s1", second, top)])
    tie = evaluate_edits(adapter, tokenizer, [Request(0, "the home of {}", "s1", top, top)])
    assert (wins["efficacy"], wins["efficacy_exact"]) == (100, 100)
    assert (loses["efficacy"], loses["efficacy_exact"]) == (0, 0)
    assert tie["efficacy"] == 0


def test_the_score_is_the_harmonic_mean(model, monkeypatch):
    net, tokenizer = model
    probes = (Probe("s3", "o1"), Probe("s4", "o2"))
    request = Request(0, "the home of {}", "s1", "o3", "o4", ("s1", "home of s1"), probes)
    rights = [1.0, 1.0, 3.0, 1.0, 3.0]
    wrongs = [2.0] * 5
    monkeypatch.setattr(
        "real_models.evaluate.score_answers", lambda *given: [Scored(nll, 1.0) for nll in (*rights, *wrongs)]
    )
    result = evaluate_edits(adapter_for(net), tokenizer, [request])
    assert (result["efficacy"], result["generalisation"], result["specificity"]) == (100, 50, 50)
    assert result["score"] == pytest.approx(60)


def test_a_broken_model_scores_zero_not_chance(model):
    net, tokenizer = model
    adapter = adapter_for(net)
    adapter.write(2, torch.full_like(adapter.weight(2), torch.nan))
    request = Request(0, "the home of {}", "s1", "o1", "o2", ("home of s1",), (Probe("the home of s3", "o2"),))
    result = evaluate_edits(adapter, tokenizer, [request])
    assert (result["efficacy"], result["generalisation"], result["specificity"], result["score"]) == (0, 0, 0, 0)
    broken = read_held_out(adapter, tokenizer, ["the home of s1 is o1"])
    assert broken.perplexity == math.inf
    assert broken.agreement(broken) == 0


def test_perplexity_is_the_slow_product(model):
    net, tokenizer = model
    texts = ["the home of s1 is o1 .", "a s2 ."]
    total, count, choices = 0.0, 0, []
    for text in texts:
        ids = tokenizer(text)["input_ids"]
        for i in range(1, len(ids)):
            with torch.no_grad():
                log_p = net(torch.tensor([ids[:i]])).logits[0, -1].log_softmax(-1)
            total -= float(log_p[ids[i]])
            choices.append(int(log_p.argmax()))
            count += 1
    for batch_size in (1, 32):
        reading = read_held_out(adapter_for(net), tokenizer, texts, batch_size=batch_size)
        assert reading.perplexity == pytest.approx(math.exp(total / count))
        assert reading.choices.tolist() == choices
        assert reading.agreement(reading) == 100
    assert math.isnan(read_held_out(adapter_for(net), tokenizer, []).perplexity)


def test_what_the_data_lacks_is_missing_and_shares_of_tokens_are_counted(model):
    """A record without a true answer has no comparison; portability has none at all."""
    net, tokenizer = model
    probes = (Probe("s3 is", "o9 o1"),)
    request = Request(0, "the home of {}", "s1", "o1 o2", None, ("home of s1",), probes, (Probe("s1 a", "o4 o5 o6"),))
    result = evaluate_edits(adapter_for(net), tokenizer, [request])
    asked = {"efficacy": ("the home of s1", "o1 o2"), "generalisation": ("home of s1", "o1 o2")}
    asked |= {"specificity": ("s3 is", "o9 o1"), "portability": ("s1 a", "o4 o5 o6")}
    for metric, (prompt, answer) in asked.items():
        ids, wanted = tokenizer(prompt)["input_ids"], tokenizer(answer)["input_ids"]
        with torch.no_grad():
            logits = net(torch.tensor([[*ids, *wanted]])).logits[0, len(ids) - 1 : -1]
        share = float((logits.argmax(-1) == torch.tensor(wanted)).double().mean())
        assert result[f"{metric}_tokens"] == pytest.approx(100 * share), metric
        assert result[f"{metric}_exact"] == (100 if share == 1 else 0), metric
    assert all(math.isnan(result[name]) for name in ("efficacy", "generalisation", "specificity", "score"))
    assert "portability" not in result
