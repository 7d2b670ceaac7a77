"""Streams in step on one model: each is what it would be alone, and none sees another's weights."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from real_models.adapters.adapter import adapter_for
from real_models.ascent import Ascent
from real_models.config import SolveConfig
from real_models.own_weights import own_weights
from real_models.requests import Request
from real_models.sequence import Layered, Stream, edit_once, edit_streams
from real_models.trace import trace
from real_models.values import Editable
from sim.editor import editor
from sim.rules.memit import memit
from sim.rules.memit_seq import memit_seq
from sim.rules.rome import rome
from sim.values.anchor_norm import anchor_norm

CONFIG = SolveConfig(steps=6, learning_rate=0.1, clamp=3.0)
REQUESTS = [Request(i, "the home of {}" if i % 2 else "home of {} is", f"s{i}", f"o{i} o1", "o3") for i in range(6)]
PREFIXES = (("the home . ", "s1 is a . "), ("o3 . ", "is the home of s9 . "))


def family_editable(tiny_of, family):
    model = AutoModelForCausalLM.from_pretrained(tiny_of(family).model, dtype=torch.float64).eval()
    tokenizer = AutoTokenizer.from_pretrained(tiny_of(family).model)
    return Editable(adapter_for(model.requires_grad_(False)), tokenizer, PREFIXES[0], "{} is a")


def fresh(adapter, rule, layers, *, anchor=None, originals=False):
    values = {i: None if anchor is None else anchor_norm(anchor, bias=adapter.bias(i)) for i in layers}
    editors = {i: editor(rule, values=values[i]) for i in layers}
    weights = {i: adapter.weight(i).clone() for i in layers}
    layered = Layered(editors, {i: one.init(weights[i]) for i, one in editors.items()})
    return layered._replace(originals=weights) if originals else layered


def alone(editable, layered, requests, prefixes):
    """The stream by itself, one `edit_once` a request, on the model's own weights, which are put back."""
    adapter, own = editable.adapter, replace(editable, prefixes=prefixes)
    before = {i: adapter.weight(i).clone() for i in layered.editors}
    rows = []
    for request in requests:
        made, layered, finite = edit_once(own, (request,), layered, CONFIG)
        assert finite
        rows += made
    after = {i: adapter.weight(i).clone() for i in layered.editors}
    for i, weight in before.items():
        adapter.write(i, weight)
    return rows, after


@pytest.mark.parametrize("layers", [(1,), (0, 1)])
@pytest.mark.parametrize("family", ["gpt2", "gptj", "gpt_neox", "llama"])
def test_streams_in_step_are_what_they_are_alone(tiny_of, family, layers):
    editable = family_editable(tiny_of, family)
    adapter = editable.adapter
    identity = torch.eye(adapter.weight(0).shape[1], dtype=torch.float64)
    starts = [
        (fresh(adapter, rome(), layers), REQUESTS[:3], PREFIXES[0]),
        (fresh(adapter, memit_seq(identity, weighting=2.0), layers, anchor=2.0), REQUESTS[3:], PREFIXES[1]),
        (fresh(adapter, memit(weighting=3.0), layers, originals=True), REQUESTS[1:4], PREFIXES[1]),
    ]
    unedited = {i: adapter.weight(i).clone() for i in layers}
    states = [(layered, dict(unedited)) for layered, _, _ in starts]
    rows: list[list[dict]] = [[] for _ in starts]
    for step in range(3):
        streams = [
            Stream(requests[step : step + 1], layered, weights, prefixes)
            for (layered, weights), (_, requests, prefixes) in zip(states, starts, strict=True)
        ]
        outcomes = edit_streams(editable, streams, CONFIG)
        states = [(one.layered, one.weights) for one in outcomes]
        for place, one in enumerate(outcomes):
            assert one.finite
            rows[place] += one.rows
    assert all(torch.equal(adapter.weight(i), unedited[i]) for i in layers)
    for place, (layered, requests, prefixes) in enumerate(starts):
        wanted, after = alone(editable, layered, requests, prefixes)
        for i in layers:
            torch.testing.assert_close(states[place][1][i], after[i], rtol=1e-8, atol=1e-10)
            assert not torch.allclose(after[i], unedited[i], rtol=1e-3)
        for one, other in zip(rows[place], wanted, strict=True):
            assert one.keys() == other.keys()
            # identity_error is rounding itself.
            assert all(one[k] == pytest.approx(other[k], rel=1e-7, abs=1e-9) for k in one)
    assert not torch.allclose(states[0][1][layers[-1]], states[1][1][layers[-1]], rtol=1e-3)


def test_a_stream_that_breaks_leaves_the_others_alone(tiny_of):
    editable = family_editable(tiny_of, "gpt2")
    adapter = editable.adapter
    sound, broken = fresh(adapter, rome(), (1,)), fresh(adapter, rome(), (1,))
    bad = {1: torch.full_like(adapter.weight(1), torch.nan)}
    good = {1: adapter.weight(1).clone()}
    first, second = edit_streams(
        editable, [Stream(REQUESTS[:1], broken, bad), Stream(REQUESTS[1:2], sound, good)], CONFIG
    )
    assert (first.finite, second.finite) == (False, True)
    assert first.rows[0]["finite"] is False
    assert first.weights[1] is bad[1]
    _, after = alone(editable, sound, REQUESTS[1:2], PREFIXES[0])
    torch.testing.assert_close(second.weights[1], after[1], rtol=1e-8, atol=1e-10)


def test_rows_of_another_stream_would_be_noticed(tiny_of):
    """The planted fault: the streams' weights in the wrong order give other read-outs."""
    adapter = family_editable(tiny_of, "llama").adapter
    weights = [{1: adapter.weight(1) * factor} for factor in (1.0, 2.0)]
    ids = torch.tensor([[1, 5, 9], [1, 5, 9]])
    plain = trace(adapter, ids, 1).outputs
    with own_weights(adapter, weights):
        right = trace(adapter, ids, 1).outputs
    with own_weights(adapter, weights[::-1]):
        wrong = trace(adapter, ids, 1).outputs
    torch.testing.assert_close(right, torch.stack([plain[0], 2 * plain[1]]))
    assert not torch.allclose(right, wrong, rtol=0.1)
    torch.testing.assert_close(trace(adapter, ids, 1).outputs, plain)


@pytest.mark.parametrize("family", ["gpt2", "gptj", "gpt_neox", "llama", "phi3", "qwen3"])
def test_a_pass_that_rises_from_a_write_is_a_fresh_pass(tiny_of, family):
    editable = family_editable(tiny_of, family)
    adapter, layers = editable.adapter, (0, 1, 2)
    ascent = Ascent(editable, REQUESTS, layers)
    stale = [ascent.at(layer) for layer in layers]
    generator = torch.Generator().manual_seed(0)
    for layer in layers[:-1]:
        change = torch.randn(adapter.weight(layer).shape, generator=generator, dtype=torch.float64)
        adapter.write(layer, adapter.weight(layer) + change)
        ascent.rise(layer, change[None])
        fresh = Ascent(editable, REQUESTS, layers)
        for above in layers[layer + 1 :]:
            for mine, theirs, old in zip(ascent.at(above), fresh.at(above), stale[above], strict=True):
                torch.testing.assert_close(mine, theirs, rtol=1e-9, atol=1e-9)
                assert not torch.allclose(mine, old, rtol=1e-3)
