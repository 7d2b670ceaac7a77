"""Value models and pilots beside simulation, on fewer seeds, and the parts that these experiments are made of."""

from __future__ import annotations

import pytest
import torch

from sim.confront import pilots, values
from sim.editor import Edit, editor, step
from sim.lowrank import apply_delta
from theory.claim import examine
from theory.growth.value_models import ValueModel

pytestmark = pytest.mark.slow

FAMILY = {claim.id: claim for claim in (*values.claims(8), *pilots.claims(8))}


@pytest.mark.claim("S4.growth_plateau", "S4.growth_threshold", "S4.anchor_trim", "S4.anchor_error")
@pytest.mark.parametrize("name", ["growth_plateau", "growth_threshold", "anchor_trim", "anchor_error"])
def test_simulation_agrees_with_the_prediction_and_not_with_the_twin(name):
    outcome = examine(FAMILY[f"S4.{name}"])
    assert outcome.evidence.established, outcome.evidence.steps
    assert outcome.twin_rejected


def test_noisy_values_have_the_moments_of_their_model():
    law, generator = values.noisy(ValueModel(-0.4, 0.5, 2.0)), torch.Generator().manual_seed(0)
    reads = torch.ones(3, 40_000, dtype=torch.float64)
    drawn = law(reads, generator)
    noise = drawn - 0.6 * reads
    assert float(noise.mean()) == pytest.approx(0.0, abs=0.02)
    assert float(noise.square().sum(dim=0).mean()) == pytest.approx(0.25 * 3 + 4.0, rel=0.02)


def test_a_shared_write_takes_its_share_of_the_residual():
    weight = torch.eye(2, 3, dtype=torch.float64)
    key, value = torch.tensor([[1.0], [2.0], [2.0]]).double(), torch.tensor([[3.0], [-1.0]]).double()
    rule = editor(values.shared(0.3))
    delta, _, info = step(rule, Edit(key, weight @ key, value), rule.init(weight), weight)
    torch.testing.assert_close(apply_delta(weight, delta) @ key, 0.7 * weight @ key + 0.3 * value)
    assert float(info.eta) == pytest.approx(0.3)
