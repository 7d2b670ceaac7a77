"""One edit: the value solve lowers its own loss, W'k = v after ROME, the anchor acts once, T1 holds on the weights."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from real_models.adapters.adapter import adapter_for
from real_models.config import SolveConfig
from real_models.onward import take_up
from real_models.prefixes import sample_prefixes
from real_models.prompts import align, encode, fill, pad
from real_models.requests import Request
from real_models.sequence import Layered, edit_once
from real_models.trace import trace
from real_models.values import Editable, solve_batch, solve_value
from sim.editor import chain, editor
from sim.rules.alphaedit import alphaedit
from sim.rules.memit import memit
from sim.rules.rome import rome
from sim.values.anchor_norm import anchor_norm
from sim.values.drop_norm import drop_norm

CONFIG = SolveConfig(steps=15, prefixes=2, prefix_tokens=3, learning_rate=0.1, clamp=3.0, decay=0.2, kl=0.5)
REQUEST = Request(7, "the home of {}", "s1 s2", "o1 o2", "o3")


def prepared(editable, solver, layers, *, anchor=None):
    editors = {}
    for layer in layers:
        values = None if anchor is None else anchor_norm(anchor, bias=editable.adapter.bias(layer))
        editors[layer] = editor(solver, values=values)
    return Layered(editors, {layer: e.init(editable.adapter.weight(layer)) for layer, e in editors.items()})


def bare(editable, layer):
    prompt, span = fill(REQUEST.template, REQUEST.subject)
    batch = pad([encode(editable.tokenizer, prompt, subject=span)], torch.device("cpu"))
    return trace(editable.adapter, batch.ids, layer), int(batch.subject_last[0])


def slow_loss(editable, layer, shift, config):
    """The solve's loss by whole forward passes with a hook that adds δ, one prompt at a time."""
    model, tokenizer = editable.adapter.model, editable.tokenizer

    def log_p(prompt, span, answer, shifted):
        one = encode(tokenizer, prompt, subject=span, answer=answer)

        def add(module, args, output):
            hidden = (output[0] if isinstance(output, tuple) else output).clone()
            hidden[0, one.subject_last] += shift
            return (hidden, *output[1:]) if isinstance(output, tuple) else hidden

        handle = editable.adapter.blocks[layer].register_forward_hook(add) if shifted else None
        logits = model(torch.tensor([one.ids])).logits[0].log_softmax(-1)
        if handle is not None:
            handle.remove()
        return one, logits

    nlls = []
    for prefix in ("", *editable.prefixes):
        one, logits = log_p(*fill(REQUEST.template, REQUEST.subject, prefix), REQUEST.target_new, True)
        terms = [-logits[i - 1, one.ids[i]] for i in range(one.answer_start, len(one.ids))]
        nlls.append(torch.stack(terms).mean())
    prompt, span = fill(editable.essence, REQUEST.subject)
    one, before = log_p(prompt, span, "", False)
    _, after = log_p(prompt, span, "", True)
    p, q = before[one.subject_last], after[one.subject_last]
    divergence = torch.nn.functional.kl_div(p, q, log_target=True, reduction="sum")
    hidden, where = bare(editable, layer)
    decay = config.decay * shift.norm() / hidden.hidden[0, where].norm() ** 2
    return torch.stack(nlls).mean() + config.kl * divergence + decay


def test_the_loss_is_the_published_one(editable):
    solved = solve_value(editable, REQUEST, 1, CONFIG)
    assert solved.loss == pytest.approx(float(slow_loss(editable, 1, solved.shift.double(), CONFIG)), rel=1e-4)
    start = float(slow_loss(editable, 1, torch.zeros_like(solved.shift).double() + 1e-30, CONFIG))
    assert solved.loss < start - 0.05
    assert solved.steps == CONFIG.steps - 1


def test_the_kl_term_has_the_edited_model_first(editable):
    """torch's kl_div(a, b) is KL(b ‖ a): the released call kl_div(before, after) has the edited distribution first."""
    shift = torch.full((16,), 0.3, dtype=torch.float64)
    with_kl = slow_loss(editable, 1, shift, CONFIG) - slow_loss(editable, 1, shift, replace(CONFIG, kl=0.0))
    prompt, span = fill(editable.essence, REQUEST.subject)
    one = encode(editable.tokenizer, prompt, subject=span)
    onward = take_up(editable.adapter, align([one], torch.device("cpu")), 1)
    logits = [
        editable.adapter.head(onward.run(onward.shifted(change[None])))[0, 0].log_softmax(-1)
        for change in (torch.zeros_like(shift), shift)
    ]
    before, after = logits
    expected = CONFIG.kl * float((after.exp() * (after - before)).sum())
    assert float(with_kl) == pytest.approx(expected, rel=1e-6)
    assert abs(expected - CONFIG.kl * float((before.exp() * (before - after)).sum())) > 1e-3 * expected


def test_a_solve_stops_at_its_loss_and_leaves_short_shifts_alone(editable):
    one = solve_value(editable, REQUEST, 1, replace(CONFIG, steps=2))
    assert float(one.shift.norm()) == pytest.approx(CONFIG.learning_rate * 16**0.5, rel=1e-3)
    assert float(one.shift.norm()) < 0.5 * CONFIG.clamp * one.hidden_norm
    done = solve_value(editable, REQUEST, 1, replace(CONFIG, stop_loss=1e9))
    assert (done.steps, float(done.shift.norm())) == (0, 0.0)


def test_the_clamp_is_relative_to_the_layer_output(editable):
    solved = solve_value(editable, REQUEST, 1, replace(CONFIG, clamp=0.1))
    hidden, where = bare(editable, 1)
    norm = float(hidden.hidden[0, where].norm())
    assert solved.hidden_norm == pytest.approx(norm, rel=1e-5)
    assert float(solved.shift.norm()) == pytest.approx(0.1 * norm, rel=1e-4)


def test_prefixes_are_seeded_and_the_batch_ends_with_the_essence_prompt(editable):
    again = sample_prefixes(editable.adapter, editable.tokenizer, CONFIG, torch.Generator().manual_seed(0))
    other = sample_prefixes(editable.adapter, editable.tokenizer, CONFIG, torch.Generator().manual_seed(1))
    assert again == editable.prefixes != other
    batch = solve_batch(editable, (REQUEST,))
    assert batch.ids.shape[0] == CONFIG.prefixes + 2
    assert batch.answer.any(dim=1).tolist() == [True] * 3 + [False]


@pytest.mark.claim("M1.identity")
def test_after_rome_the_readout_is_the_value_and_t1_holds(editable):
    solved = solve_value(editable, REQUEST, 1, CONFIG)
    before = editable.adapter.weight(1).clone()
    rows, _, finite = edit_once(editable, (REQUEST,), prepared(editable, rome(), (1,)), CONFIG)
    after, where = bare(editable, 1)
    torch.testing.assert_close(after.outputs[0, where], (solved.output + solved.shift).double())
    key, value = (
        solved.key,
        after.outputs[0, where] - (0 if editable.adapter.bias(1) is None else editable.adapter.bias(1)),
    )
    change = editable.adapter.weight(1).norm() ** 2 - before.norm() ** 2
    paper = (value.norm() ** 2 - (before @ key).norm() ** 2) / key.norm() ** 2
    assert finite
    assert float(change) == pytest.approx(float(paper), rel=1e-8)
    assert rows[0]["identity_measured"] == pytest.approx(float(paper), rel=1e-8)
    assert rows[0]["identity_predicted"] == pytest.approx(float(paper), rel=1e-8)
    assert rows[0]["solved_norm"] == pytest.approx(float(after.outputs[0, where].norm()), rel=1e-6)


def test_the_anchor_sets_the_norm_of_the_published_vector(editable):
    """NAS anchors the projection's output, bias included: after ROME that output has norm a, in v*'s direction."""
    solved = solve_value(editable, REQUEST, 1, CONFIG)
    edit_once(editable, (REQUEST,), prepared(editable, rome(), (1,), anchor=2.5), CONFIG)
    after, where = bare(editable, 1)
    output, wanted = after.outputs[0, where], (solved.output + solved.shift).double()
    assert float(output.norm()) == pytest.approx(2.5, rel=1e-6)
    assert float(torch.cosine_similarity(output, wanted, dim=0)) == pytest.approx(1, abs=1e-9)


def test_two_layers_spread_the_residual_and_anchor_only_the_last(editable):
    """Layer 1 writes half of z − h, layer 2 what is then missing; anchoring at each layer writes something else."""
    solved = solve_value(editable, REQUEST, 2, CONFIG)
    hidden, where = bare(editable, 2)
    output = solved.output.double()
    wanted = output + solved.shift.double()
    goal = hidden.hidden[0, where] + 2.5 * wanted / wanted.norm() - output
    weights = {layer: editable.adapter.weight(layer).clone() for layer in (1, 2)}
    first, place = bare(editable, 1)
    rows, _, _ = edit_once(editable, (REQUEST,), prepared(editable, rome(), (1, 2), anchor=2.5), CONFIG)
    written = bare(editable, 1)[0].outputs[0, place] - first.outputs[0, place]
    torch.testing.assert_close(written, (goal - hidden.hidden[0, where]) / 2)
    torch.testing.assert_close(bare(editable, 2)[0].hidden[0, where], goal)
    assert [row["layer"] for row in rows] == [1, 2]
    anchored_at_first = 2.5 * (first.outputs[0, place] + written) / (first.outputs[0, place] + written).norm()
    assert not torch.allclose(first.outputs[0, place] + written, anchored_at_first, rtol=1e-2)
    for layer in (1, 2):
        assert not torch.equal(editable.adapter.weight(layer), weights[layer])


def test_the_row_reports_the_norms_of_the_published_vectors(editable):
    """v0 and v* are outputs of the projection, bias included; h is the block's output."""
    before, where = bare(editable, 1)
    solved = solve_value(editable, REQUEST, 1, CONFIG)
    bias = editable.adapter.bias(1)
    (row,), _, _ = edit_once(editable, (REQUEST,), prepared(editable, memit(weighting=2.0), (1,)), CONFIG)
    output = before.outputs[0, where]
    wanted = {
        "v0_norm": output.norm(),
        "solved_norm": (output + solved.shift.double()).norm(),
        "readout_norm": (output - (0 if bias is None else bias)).norm(),
        "bias_norm": torch.tensor(0.0) if bias is None else bias.norm(),
        "hidden_norm": before.hidden[0, where].norm(),
        "key_norm": before.keys[0, where].norm(),
        "residual_norm": solved.shift.norm(),
        "s": before.keys[0, where].norm() ** 2 / 2,
    }
    for name, value in wanted.items():
        assert row[name] == pytest.approx(float(value), rel=1e-5, abs=1e-12), name
    assert row["eta"] == pytest.approx(row["s"] / (1 + row["s"]))


def test_a_rule_that_foretells_the_wrong_change_is_found_out(editable):
    """Both sides of T1 are measured apart: a solver whose gain lies shows in identity_error."""
    honest = rome()

    def solve(edit, state, weight):
        delta, gain, state = honest.solve(edit, state, weight)
        return delta, gain._replace(predicted=gain.predicted + 0.01 * gain.scale), state

    (row,), _, _ = edit_once(editable, (REQUEST,), prepared(editable, honest._replace(solve=solve), (1,)), CONFIG)
    assert row["identity_error"] == pytest.approx(0.01, rel=1e-4)


def test_past_keys_are_absorbed_after_all_layers_are_written(editable):
    """Layer 2's cache holds the key that the written layer 1 gives, not the one before it."""
    before, where = bare(editable, 2)
    rule = alphaedit(torch.eye(24, dtype=torch.float64), ridge=1.0)
    _, layered, _ = edit_once(editable, (REQUEST,), prepared(editable, rule, (1, 2)), CONFIG)
    after = bare(editable, 2)[0].keys[0, where]
    cache = layered.states[2].solver.inner.total() - torch.eye(24)
    torch.testing.assert_close(cache, torch.outer(after, after))
    assert not torch.allclose(cache, torch.outer(before.keys[0, where], before.keys[0, where]), rtol=1e-3)


def test_dropped_edits_are_counted_and_written_nowhere(editable):
    rule = editor(rome(), values=chain(drop_norm(1e-3), anchor_norm(1.0)))
    layered = Layered({1: rule}, {1: rule.init(editable.adapter.weight(1))})
    before = editable.adapter.weight(1).clone()
    (row,), layered, finite = edit_once(editable, (REQUEST,), layered, CONFIG)
    _, layered, _ = edit_once(editable, (REQUEST,), layered, CONFIG)
    assert (finite, row["skipped"]) == (True, 1)
    assert int(layered.states[1].values[0].total) == 2
    assert torch.equal(editable.adapter.weight(1), before)


def test_a_write_that_overflows_the_weights_dtype_is_undone(tiny):
    model = AutoModelForCausalLM.from_pretrained(tiny.model, dtype=torch.float16).eval().requires_grad_(False)
    half = Editable(adapter_for(model), AutoTokenizer.from_pretrained(tiny.model), (), "{} is a")
    before = half.adapter.weight(1).clone()
    layered = prepared(half, rome(), (1,), anchor=1e7)
    (row,), _, finite = edit_once(half, (REQUEST,), layered, CONFIG)
    assert (finite, row["finite"]) == (False, False)
    assert torch.equal(half.adapter.weight(1), before)


def test_a_non_finite_write_leaves_the_weight_as_it_was(editable):
    before = editable.adapter.weight(1).clone()
    editable.adapter.model.get_output_embeddings().weight.data.fill_(torch.nan)
    rows, _, finite = edit_once(editable, (REQUEST,), prepared(editable, memit(weighting=1.0), (1,)), CONFIG)
    assert not finite
    assert rows[-1]["finite"] is False
    assert torch.equal(editable.adapter.weight(1), before)
