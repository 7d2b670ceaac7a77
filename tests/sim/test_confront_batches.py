"""S4.batch_growth: simulated hard batches beside T2's law."""

import numpy as np
import pytest
import torch

from sim.confront.batches import BATCHES, Batch, claims, constrained, growth_factors, laws
from sim.editor import editor, step
from sim.memory import LinearMemory, draw_weight, orthogonal_shift
from theory.claim import Kind, examine


@pytest.mark.claim("S4.batch_growth", "T2.batch_growth")
def test_hard_batches_grow_as_foretold_and_not_as_keys_one_by_one():
    (claim,) = claims(4)
    outcome = examine(claim)
    assert outcome.evidence.established, outcome.evidence.steps
    assert outcome.twin_rejected
    assert claim.kind is Kind.SIMULATED
    assert all(batch.m != batch.n and 2 <= batch.u <= 6 for batch in BATCHES)
    assert max(batch.spread for batch in BATCHES) > 1


@pytest.mark.claim("S4.batch_growth", "T2.emmet")
@pytest.mark.parametrize("batch", BATCHES, ids=lambda batch: f"u={batch.u}")
def test_the_simulated_rule_is_equality_constrained(batch):
    generator = torch.Generator().manual_seed(3)
    weight = draw_weight(batch.m, batch.n, generator)
    metric, keys = laws(batch)
    rule = editor(constrained(metric))
    request = LinearMemory(weight, keys, batch.shift(batch.c)).request(weight, batch.u, generator)
    delta, _, info = step(rule, request, rule.init(weight), weight)
    assert ((weight + delta.dense()) @ request.keys).numpy() == pytest.approx(request.values.numpy())
    assert float(info.residual_after) < 1e-9
    change = metric.norm_sq(weight + delta.dense()) - metric.norm_sq(weight)
    assert float(change) == pytest.approx(float(info.predicted))


def test_seeds_are_independent_draws_and_no_shift_is_no_growth():
    still = Batch(3, 8, 2, 0.0, 4.0, orthogonal_shift)
    assert growth_factors(still, 2) == pytest.approx(np.ones(2))
    factors = growth_factors(BATCHES[0], 3)
    assert len(set(factors)) == 3
