"""Policies of the value solve: MPES, EAC's selection, values on the original weights, an anchor at every layer."""

from __future__ import annotations

import math
from dataclasses import replace

import pandas as pd
import pytest
import torch

from real_models.ability import Reading
from real_models.bench import measure_anchors, set_up
from real_models.config import EditConfig, SolveConfig
from real_models.editors import make_editors
from real_models.prompts import encode, fill, pad
from real_models.requests import Request
from real_models.run import restore, run_edits
from real_models.selection import select
from real_models.sequence import Layered, edit_once
from real_models.trace import trace
from real_models.values import solve_value
from sim.editor import editor
from sim.rules.rome import rome
from sim.values.anchor_norm import anchor_norm

CONFIG = SolveConfig(
    steps=15, prefixes=2, prefix_tokens=3, learning_rate=0.1, clamp=3.0, decay=0.2, kl=0.0, stop_loss=0.0
)
EAGER = replace(CONFIG, steps=60, learning_rate=0.5, clamp=30.0)
REQUEST = Request(7, "the home of {}", "s1 s2", "o1 o2", "o3")
OTHER = Request(8, "the home of {}", "s3", "o3", "o1")


def prompts_of(editable, request):
    for prefix in ("", *editable.prefixes):
        prompt, span = fill(request.template, request.subject, prefix)
        yield encode(editable.tokenizer, prompt, subject=span, answer=request.target_new)


def right_tokens(editable, request, layer, shift):
    """Per prompt, by a whole forward pass with a hook: for each token of the answer, whether it is the likeliest."""
    found = []
    for one in prompts_of(editable, request):

        def add(module, args, output, where=one.subject_last):
            hidden = (output[0] if isinstance(output, tuple) else output).clone()
            hidden[0, where] += shift
            return (hidden, *output[1:]) if isinstance(output, tuple) else hidden

        handle = editable.adapter.blocks[layer].register_forward_hook(add)
        said = editable.adapter.model(torch.tensor([one.ids])).logits[0].argmax(-1)
        handle.remove()
        found.append([int(said[i - 1]) == one.ids[i] for i in range(one.answer_start, len(one.ids))])
    return found


def half_said(editable):
    """A request for two tokens of which the model says the second already, once the first is there."""
    tokenizer, nothing = editable.tokenizer, torch.zeros(editable.adapter.weight(1).shape[0], dtype=torch.float64)
    for first in ("o1", "o2", "o3", "s1", "s3", "s5", "home", "of"):
        (one, *_) = prompts_of(editable, replace(REQUEST, target_new=first))
        likeliest = editable.adapter.model(torch.tensor([one.ids])).logits[0, -1].argmax()
        request = replace(REQUEST, target_new=f"{first} {tokenizer.decode(likeliest).strip()}")
        if right_tokens(editable, request, 1, nothing) == [[False, True]]:
            return request
    raise AssertionError("no such request")


def test_mpes_counts_answers_and_not_tokens(editable):
    """The released code ends when as many tokens are right as there are prompts: here, before its first step."""
    editable = replace(editable, prefixes=())
    request = half_said(editable)
    course = [solve_value(editable, request, 1, replace(EAGER, steps=n)) for n in range(1, 30)]
    right = [right_tokens(editable, request, 1, solved.shift.double()) for solved in course]
    said = [all(map(all, prompts)) for prompts in right]
    assert sum(sum(prompt) for prompt in right[0]) == len(right[0])
    assert said.index(True) > 0
    for patience in (0, 2):
        solved = solve_value(editable, request, 1, replace(EAGER, most_probable=patience))
        since = [i >= patience and all(said[i - patience : i + 1]) for i in range(len(said))]
        assert solved.steps == since.index(True)
        torch.testing.assert_close(solved.shift, course[solved.steps].shift)
    assert solve_value(editable, request, 1, EAGER).steps == EAGER.steps - 1


def test_eac_keeps_a_share_of_the_dimensions_and_its_penalty_is_in_the_loss(editable):
    """EAC's released ROME file computes the elastic net and leaves it out of the loss."""
    share = 0.25
    width = editable.adapter.weight(1).shape[0]
    solves = {
        elastic: solve_value(editable, REQUEST, 1, replace(CONFIG, keep=share, elastic=elastic))
        for elastic in (0.0, 5e-7, 1e-2)
    }
    for solved in solves.values():
        assert int((solved.shift != 0).sum()) <= math.ceil(share * width)
        assert solved.steps == CONFIG.steps - 1
    sizes = {elastic: float(solved.shift.abs().sum()) for elastic, solved in solves.items()}
    assert sizes[1e-2] < 0.9 * sizes[0.0]
    half = solve_value(editable, REQUEST, 1, replace(CONFIG, steps=CONFIG.steps // 2 + 1)).shift
    kept = solves[5e-7].shift != 0
    assert float(half[kept].abs().min()) > 0
    assert int((solve_value(editable, REQUEST, 1, CONFIG).shift != 0).sum()) == width


def test_the_selection_takes_the_largest_scores():
    generator = torch.Generator().manual_seed(3)
    gradient, shift = (torch.randn(40, generator=generator) for _ in range(2))
    found = select(gradient, shift, 0.2)
    order = sorted(range(40), key=lambda j: -abs(float(gradient[j] * shift[j])))
    assert found.kept.nonzero().flatten().tolist() == sorted(order[:8])
    by_hand = sum(abs(float(shift[j])) / (abs(float(gradient[j] * shift[j])) + 1e-6) for j in range(40))
    assert float(found.penalty(shift)) == pytest.approx(by_hand, rel=1e-5)


def prepared(editable, layers, anchors, **more):
    editors = {
        layer: editor(
            rome(), values=anchor_norm(anchors[layer], bias=editable.adapter.bias(layer)) if anchors else None
        )
        for layer in layers
    }
    states = {layer: one.init(editable.adapter.weight(layer)) for layer, one in editors.items()}
    return Layered(editors, states, **more)


def bare(editable, layer):
    prompt, span = fill(REQUEST.template, REQUEST.subject)
    batch = pad([encode(editable.tokenizer, prompt, subject=span)], torch.device("cpu"))
    return trace(editable.adapter, batch.ids, layer), int(batch.subject_last[0])


@pytest.mark.parametrize("policy", ["original", "current"])
def test_a_value_solved_on_the_original_weights_is_that_of_the_unedited_model(editable, policy):
    fresh = solve_value(editable, REQUEST, 1, CONFIG)
    start = editable.adapter.weight(1).clone()
    layered = prepared(editable, (1,), {}, originals={1: start} if policy == "original" else {})
    for scale in (5.0, -3.0):  # a model that has moved far
        editable.adapter.write(1, editable.adapter.weight(1) * (1 + 0.1 * scale))
    _, layered, _ = edit_once(editable, (OTHER,), layered, CONFIG)
    (row,), _, _ = edit_once(editable, (REQUEST,), layered, CONFIG)
    goal = fresh.stream + fresh.shift.double()
    reached, where = bare(editable, 1)
    assert torch.allclose(reached.hidden[0, where], goal, atol=1e-9) == (policy == "original")
    expected = float((fresh.output + fresh.shift.double()).norm())
    assert (abs(row["solved_norm"] - expected) < 1e-9) == (policy == "original")
    assert not torch.equal(editable.adapter.weight(1), start)


def test_an_anchor_at_every_layer_sets_the_norm_that_each_layer_writes(editable):
    """As published, the anchor of several layers is on the solved value, which none of them writes."""
    anchors = {1: 2.5, 2: 1.25}
    for every in (True, False):
        rows, _, _ = edit_once(editable, (REQUEST,), prepared(editable, (1, 2), anchors, every=every), CONFIG)
        reached = {layer: bare(editable, layer) for layer in anchors}
        norms = {layer: float(traced.outputs[0, where].norm()) for layer, (traced, where) in reached.items()}
        assert all((abs(norms[layer] / anchor - 1) < 1e-9) == every for layer, anchor in anchors.items())
        assert [row["layer"] for row in rows] == [1, 2]


CASE = {
    "rule": "rome",
    "anchor": True,
    "pilots": 4,
    "edits": 6,
    "layers": (1, 2),
    "save_every": 2,
    "checkpoint_every": 6,
}
UNREAD = Reading(math.nan, torch.empty(0, dtype=torch.long))
SOLVE = SolveConfig(prefixes=2, prefix_tokens=3, steps=3)


def silent(iterable, title):
    return iterable


def stopping_at(number):
    """A track under which the power fails at an edit."""

    def track(iterable, title):
        for index, item in enumerate(iterable):
            if title.startswith("edits") and index == number:
                raise RuntimeError("the power fails")
            yield item

    return track


@pytest.mark.parametrize("at", ["last", "every"])
def test_the_anchor_is_measured_on_the_unedited_model_also_when_a_run_is_taken_up_again(tiny_gpt2, tmp_path, at):
    """The released code measures it inside the first edit it meets, which after a restart is on the edited model."""
    config = EditConfig(model=str(tiny_gpt2.model), data=str(tiny_gpt2.data), anchor_at=at, solve=SOLVE, **CASE)
    unedited = {layer: one.norm for layer, one in measure_anchors(set_up(config), (1, 2), silent).items()}
    assert set(unedited) == ({2} if at == "last" else {1, 2})

    with pytest.raises(RuntimeError, match="power"):
        run_edits(config, tmp_path / "run", stopping_at(4))
    bench = set_up(config)
    taken_up = restore(bench, tmp_path / "run", silent, UNREAD)
    assert taken_up.step == 4
    assert {int(layer): norm for layer, norm in taken_up.facts["anchors"].items()} == unedited
    lazily = {layer: one.norm for layer, one in measure_anchors(bench, (1, 2), silent).items()}
    assert all(abs(lazily[layer] / unedited[layer] - 1) > 1e-3 for layer in unedited)
    assert run_edits(config, tmp_path / "run", silent)["anchor"] == unedited[2]


def test_values_on_the_original_weights_are_the_same_after_a_restart(tiny_gpt2, tmp_path):
    config = EditConfig(
        model=str(tiny_gpt2.model), data=str(tiny_gpt2.data), values_from="original", solve=SOLVE, **CASE
    )
    whole = run_edits(config, tmp_path / "whole", silent)
    bench = set_up(config)
    assert set(make_editors(bench, (1, 2), {}).originals) == {1, 2}

    with pytest.raises(RuntimeError, match="power"):
        run_edits(config, tmp_path / "parts", stopping_at(3))
    parts = run_edits(config, tmp_path / "parts", silent)
    assert {name: whole[name] for name in whole if name != "seconds"} == {n: parts[n] for n in parts if n != "seconds"}
    rows = [pd.read_parquet(tmp_path / name / "rows.parquet") for name in ("whole", "parts")]
    pd.testing.assert_frame_equal(*rows, check_exact=True)
