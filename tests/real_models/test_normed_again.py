"""Gemma: the projection's output is normed once more, so δ is added before that norm and one layer is edited."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from real_models.adapters.adapter import adapter_for
from real_models.bench import set_up
from real_models.config import EditConfig, SolveConfig
from real_models.editors import make_editors
from real_models.prefixes import sample_prefixes
from real_models.prompts import encode, fill
from real_models.requests import Request
from real_models.sequence import Layered, edit_once
from real_models.trace import hooks, trace
from real_models.values import Editable, solve_value
from sim.editor import editor
from sim.rules.rome import rome
from theory.command import Misuse

CONFIG = SolveConfig(steps=12, prefixes=2, prefix_tokens=3, learning_rate=0.1, clamp=3.0, decay=0.2, kl=0.0)
REQUEST = Request(7, "the home of {}", "s1 s2", "o1 o2", "o3")


@pytest.fixture(params=["gemma2", "gemma3_text"])
def gemma(request, tiny_of):
    folder = tiny_of(request.param)
    model = AutoModelForCausalLM.from_pretrained(folder.model).eval().requires_grad_(False)
    adapter, tokenizer = adapter_for(model), AutoTokenizer.from_pretrained(folder.model)
    prefixes = sample_prefixes(adapter, tokenizer, CONFIG, torch.Generator().manual_seed(0))
    return Editable(adapter, tokenizer, prefixes, "{} is a")


def slow_loss(editable, shift, base):
    """The loss by whole forward passes, one prompt at a time, with δ added to the projection's output."""
    losses = []
    for prefix in ("", *editable.prefixes):
        prompt, span = fill(REQUEST.template, REQUEST.subject, prefix)
        one = encode(editable.tokenizer, prompt, subject=span, answer=REQUEST.target_new)

        def add(module, args, output, where=one.subject_last):
            return output.index_add(1, torch.tensor([where]), shift[None, None])

        with hooks(lambda add=add: editable.adapter.projections[1].register_forward_hook(add)):
            log_p = editable.adapter.model(torch.tensor([one.ids])).logits[0].log_softmax(-1)
        losses.append(-log_p[torch.arange(one.answer_start - 1, len(one.ids) - 1), one.ids[one.answer_start :]].mean())
    return torch.stack(losses).mean() + CONFIG.decay * shift.norm() / base.norm() ** 2


def test_the_shift_is_solved_before_the_second_norm(gemma):
    solved = solve_value(gemma, REQUEST, 1, CONFIG)
    assert torch.equal(solved.stream, solved.output)
    assert solved.loss == pytest.approx(float(slow_loss(gemma, solved.shift, solved.output)), rel=1e-4)
    assert solved.loss < float(slow_loss(gemma, 1e-9 * solved.shift, solved.output)) - 0.05
    short = solve_value(gemma, REQUEST, 1, replace(CONFIG, clamp=0.1))
    assert float(short.shift.norm()) == pytest.approx(0.1 * float(solved.output.norm()), rel=1e-4)


def test_after_rome_the_projection_puts_out_the_value(gemma):
    solved = solve_value(gemma, REQUEST, 1, CONFIG)
    rule = editor(rome())
    rows, _, finite = edit_once(gemma, (REQUEST,), Layered({1: rule}, {1: rule.init(gemma.adapter.weight(1))}), CONFIG)
    prompt, span = fill(REQUEST.template, REQUEST.subject)
    one = encode(gemma.tokenizer, prompt, subject=span)
    after = trace(gemma.adapter, torch.tensor([one.ids]), 1).outputs[0, one.subject_last]
    torch.testing.assert_close(after, solved.output + solved.shift, rtol=1e-3, atol=1e-4)
    assert finite
    assert rows[0]["identity_error"] < 1e-5


def test_several_layers_are_refused(tiny_of):
    folder = tiny_of("gemma2")
    bench = set_up(EditConfig(model=str(folder.model), data=str(folder.data), edits=2))
    with pytest.raises(Misuse, match=r"layers 1 and 2 .* edit one layer"):
        make_editors(bench, (1, 2), {})
