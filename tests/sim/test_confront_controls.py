"""T4's confrontations hold and reject their twins; the transforms they are made of do what their formulas say."""

import pytest
import torch

from sim.confront.controls import claims, confine, decay, drop_directions, leading_directions, masked
from sim.confront.replicas import Rule, asked, growth, squares, written
from sim.editor import Edit, editor, step
from sim.lowrank import LowRank, apply_delta
from sim.memory import draw_weight, isotropic_keys, isotropic_shift, orthogonal_shift
from sim.rules.memit import memit
from sim.rules.rome import rome
from sim.values.clip_norm import clip_norm
from theory.claim import examine

W = torch.tensor([[1.0, 2.0, 0.0], [0.0, 1.0, 3.0]], dtype=torch.float64)
DELTA = LowRank(torch.tensor([[1.0], [2.0]], dtype=torch.float64), torch.tensor([[1.0], [0.0], [2.0]]).double())


@pytest.mark.claim(
    "S4.weight_decay", "S4.mask", "S4.sphere", "S4.revive", "S4.absolute_clamp", "S4.stream_clamp", "S4.ridge",
    "S4.frozen_values",
)  # fmt: skip
@pytest.mark.parametrize("claim", claims(16), ids=lambda claim: claim.id)
def test_simulation_agrees_with_theory_and_tells_it_from_the_twin_in_every_setting(claim):
    outcome = examine(claim)
    assert outcome.evidence.established, outcome.evidence.steps
    assert outcome.twin_rejected
    low, high = outcome.evidence.interval
    assert high - low < 0.1 * low
    for index, false in enumerate(claim.twin):
        mixed = [*claim.subject]
        mixed[index] = false
        assert not claim.check(tuple(mixed)).established, f"setting {index} accepts {claim.twin_statement}"


def test_decay_shrinks_the_weight_after_the_write():
    delta, _ = decay(0.25).update(DELTA, (), W)
    torch.testing.assert_close(W + delta, 0.75 * (W + DELTA.dense()))


def test_filters_remove_what_they_name():
    basis = torch.eye(3, dtype=torch.float64)[:, :1]
    kept, _ = drop_directions(1.0, lambda weight: basis).update(DELTA, (), W)
    torch.testing.assert_close(kept, torch.tensor([[0.0, 0.0, 2.0], [0.0, 0.0, 4.0]], dtype=torch.float64))
    half, _ = drop_directions(0.5, lambda weight: basis).update(DELTA, (), W)
    torch.testing.assert_close(half[:, 0], torch.tensor([0.5, 1.0], dtype=torch.float64))
    left, right = torch.diag(torch.tensor([0.0, 1.0])).double(), torch.diag(torch.tensor([1.0, 1.0, 0.0])).double()
    confined, _ = confine(left, right).update(DELTA, (), W)
    torch.testing.assert_close(confined, torch.tensor([[0.0, 0.0, 0.0], [2.0, 0.0, 0.0]], dtype=torch.float64))


def test_leading_directions_are_those_of_unit_rows():
    U = leading_directions(1)(torch.tensor([[100.0, 0.0], [1.0, 1.0], [2.0, 2.0]], dtype=torch.float64))
    rows = torch.tensor([[1.0, 0.0], [0.5**0.5, 0.5**0.5], [0.5**0.5, 0.5**0.5]], dtype=torch.float64)
    assert float((rows @ U).square().sum()) == pytest.approx(float(torch.linalg.eigvalsh(rows.mT @ rows)[-1]))


def test_a_mask_keeps_the_given_number_of_coordinates():
    generator, readouts = torch.Generator().manual_seed(0), torch.randn(6, 50, dtype=torch.float64)
    shift = masked(isotropic_shift(1.0), 2)(readouts, generator) - readouts
    assert set((shift.abs() > 1e-12).sum(dim=0).tolist()) == {2}


SKEW = torch.diag(torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64))


@pytest.mark.parametrize(
    "rule",
    [Rule(rome(SKEW)), Rule(memit(SKEW, weighting=2.0), deltas=decay(0.3)), Rule(rome(), values=clip_norm(limit=0.1)),
     Rule(rome(), deltas=drop_directions(0.5, leading_directions(1)))],
    ids=["ROME", "MEMIT with decay", "ROME with a clamp", "ROME with a filter of W"],
)  # fmt: skip
def test_replicas_are_written_as_an_editor_writes_each(rule):
    generator = torch.Generator().manual_seed(3)
    weights = torch.stack([draw_weight(2, 3, generator) for _ in range(4)])
    edit = asked(isotropic_keys(), orthogonal_shift(1.0))(weights, generator)
    after = written(rule, weights, edit)
    single = editor(rule.solver, values=rule.values, deltas=rule.deltas)
    for i, weight in enumerate(weights):
        own = Edit(*(column[:, i : i + 1] for column in edit))
        delta, _, _ = step(single, own, single.init(weight), weight)
        torch.testing.assert_close(after[i], apply_delta(weight, delta))
    norms = [single.metric(single.init(weight)).norm_sq(weight) for weight in weights]
    torch.testing.assert_close(squares(rule, weights), torch.stack(norms))


def test_groups_of_replicas_draw_apart():
    means = growth(Rule(rome()), W, asked(isotropic_keys(), isotropic_shift(1.0)), steps=2, seeds=5, replicas=3)
    assert means.shape == (5,)
    assert len(set(means.tolist())) == 5
