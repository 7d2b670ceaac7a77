"""The memory with a codebook: decoding by brute force, exact laws of single streams, and the confrontations."""

import itertools
import math

import numpy as np
import pytest
import torch

from sim.confront.collapse import claims
from sim.editor import editor
from sim.memory import gaussian_keys
from sim.retrieval import (
    Stream,
    answer_energies,
    fixed_code,
    kept_prompts,
    relative_code,
    right_answers,
    run_codewords,
    scaled_weight,
    stream_collapse,
    success_rates,
)
from sim.rules.alphaedit import alphaedit
from sim.rules.rome import rome
from sim.values.anchor_norm import anchor_norm
from theory.claim import examine
from theory.collapse.retrieval import specificity
from theory.command import Misuse

pytestmark = pytest.mark.slow


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def stream(rule, code, points, *, m=4, n=6, seed=0, scale=1.0, **options):
    generator = seeded(seed)
    return run_codewords(rule, scaled_weight(m, n, scale**2 * m, generator), code, points, generator, **options)


@pytest.mark.claim("S6.interference", "S6.forgetting", "S6.success", "S6.memory", "S6.collapse", "S6.specificity")
@pytest.mark.parametrize("claim", claims(8), ids=lambda claim: claim.id)
def test_predictions_meet_the_simulation_and_twins_do_not(claim):
    outcome = examine(claim)
    assert outcome.evidence.established, outcome.evidence.steps
    assert outcome.twin_rejected


@pytest.mark.parametrize("axes", [None, 3])
def test_right_answers_against_a_search_through_the_codebook(axes):
    run = stream(editor(rome()), relative_code(1.0), [3, 20], axes=axes)
    size = axes or 4
    book = np.array([sign * row for row, sign in itertools.product(np.eye(4)[:size], (1, -1))])
    for edits in (3, 20):
        scores = book @ (run.weights[edits] @ run.keys[:, :edits]).numpy()
        asked = 2 * run.answers[:edits].numpy() + (run.signs[:edits].numpy() < 0)
        np.testing.assert_array_equal(right_answers(run, edits, axes), scores.argmax(axis=0) == asked)
    assert int(run.answers.max()) < size
    assert success_rates(run, axes)[1] == right_answers(run, 20, axes).mean()


def test_the_last_hard_write_is_exact_and_the_values_are_those_asked_for():
    run = stream(editor(rome()), relative_code(2.0), [1, 2, 3], seed=4)
    for edits in (1, 2, 3):
        left, noise = answer_energies(run, edits - 1, edits)
        assert left == pytest.approx(1.0)
        assert noise == pytest.approx(0.0, abs=1e-24)
        assert right_answers(run, edits)[-1]  # at c = 2 in 4 dimensions, for this seed
    before = run.weights[1] @ run.keys[:, 1]
    word = torch.zeros(4, dtype=torch.float64)
    word[run.answers[1]] = run.signs[1]
    torch.testing.assert_close(run.values[:, 1], before + 2 * before.norm() * word)
    assert float(run.norms_before[0]) == pytest.approx(4.0)


@pytest.mark.claim("T6.scale")
@pytest.mark.parametrize("name", ["rome", "matched", "alphaedit", "nas"])
def test_a_scaled_memory_answers_the_same(name):
    covariance = torch.diag(torch.linspace(0.5, 2.0, 6, dtype=torch.float64))
    solver = {"matched": rome(covariance), "alphaedit": alphaedit(torch.eye(6, dtype=torch.float64), ridge=0.3)}
    runs = []
    for scale in (1.0, 1e3):
        values = anchor_norm(2.0 * scale) if name == "nas" else None
        rule = editor(solver.get(name, rome()), values=values)
        runs.append(stream(rule, relative_code(0.75), [40], scale=scale, keys=gaussian_keys(covariance)))
    torch.testing.assert_close(runs[1].weights[40], 1e3 * runs[0].weights[40])
    np.testing.assert_array_equal(right_answers(runs[0], 40), right_answers(runs[1], 40))


@pytest.mark.claim("T6.memory")
def test_an_accumulating_rule_keeps_all_answers_until_its_dimensions_are_used_up():
    rule = editor(alphaedit(torch.eye(24, dtype=torch.float64), ridge=1e-9))
    run = stream(rule, relative_code(2.0), [20, 72], m=12, n=24, seed=1)
    for edit in range(20):
        assert answer_energies(run, edit, 20) == (pytest.approx(1.0, abs=1e-4), pytest.approx(0.0, abs=1e-7))
    plain = stream(editor(rome()), relative_code(2.0), [20, 72], m=12, n=24, seed=1)
    assert success_rates(run)[0] > success_rates(plain)[0]
    assert success_rates(run)[1] < 0.7


@pytest.mark.claim("S6.specificity")
def test_kept_prompts_of_a_gaussian_memory():
    # W kk: rows of one length and orthogonal, so that Wk is exactly Gaussian and isotropic.
    weight = 0.5 * torch.eye(6, 9, dtype=torch.float64)
    share = kept_prompts(weight, 0.9, 40_000, seeded())
    expected = float(specificity(0.9, float(weight.square().sum()), (6, 9), 6))
    assert share == pytest.approx(expected, abs=4 * math.sqrt(expected * (1 - expected) / 40_000))
    assert kept_prompts(weight, 0.9, 500, seeded(), axes=2) > share


def test_collapse_of_a_stream_and_misuse():
    run = stream(editor(rome()), fixed_code(1.0), [2, 30, 90], seed=2)
    rates = 100 * success_rates(run)
    assert rates[-1] < 60
    assert stream_collapse(run, 60.0).high in (30, 90)
    assert stream_collapse(run, 0.1).censored
    with pytest.raises(Misuse, match=r"\[3, 2\] do not increase"):
        stream(editor(rome()), fixed_code(1.0), [3, 2])
    with pytest.raises(Misuse, match="5 orthonormal codewords"):
        stream(editor(rome()), fixed_code(1.0), [3], axes=5)


def test_a_success_rate_of_exactly_q_has_not_fallen():
    signs = torch.tensor([1.0] * 57 + [-1.0] * 43, dtype=torch.float64)  # 57 right of 100; 100 * 0.57 < 57 in floats
    answered = Stream(torch.ones(1, 100, dtype=torch.float64), torch.zeros(2, 100, dtype=torch.float64),
                      torch.zeros(100, dtype=torch.int64), signs, torch.ones(100, dtype=torch.float64),
                      {100: torch.tensor([[1.0], [0.0]], dtype=torch.float64)})  # fmt: skip
    assert stream_collapse(answered, 57.0).censored
    assert not stream_collapse(answered, 57.1).censored


def test_equal_seeds_give_equal_streams_and_the_weight_is_left_alone():
    generator = seeded(3)
    weight = scaled_weight(4, 6, 4.0, generator)
    kept, state = weight.clone(), generator.get_state()
    first = run_codewords(editor(rome()), weight, relative_code(1.0), [5], generator)
    second = run_codewords(editor(rome()), weight, relative_code(1.0), [5], generator.set_state(state))
    torch.testing.assert_close(weight, kept, rtol=0, atol=0)
    torch.testing.assert_close(first.weights[5], second.weights[5], rtol=0, atol=0)
