"""T4's confrontations hold and reject their twins; the transforms they are made of do what their formulas say."""

import pytest
import torch

from sim.confront.controls import claims, confine, decay, drop_directions, leading_directions, masked
from sim.lowrank import LowRank
from sim.memory import isotropic_shift
from theory.claim import examine

W = torch.tensor([[1.0, 2.0, 0.0], [0.0, 1.0, 3.0]], dtype=torch.float64)
DELTA = LowRank(torch.tensor([[1.0], [2.0]], dtype=torch.float64), torch.tensor([[1.0], [0.0], [2.0]]).double())


@pytest.mark.claim(
    "S4.weight_decay", "S4.mask", "S4.sphere", "S4.revive", "S4.absolute_clamp", "S4.stream_clamp", "S4.ridge",
    "S4.frozen_values",
)  # fmt: skip
@pytest.mark.parametrize("claim", claims(16), ids=lambda claim: claim.id)
def test_simulation_agrees_with_theory_and_not_with_the_twin(claim):
    outcome = examine(claim)
    assert outcome.evidence.established, outcome.evidence.steps
    assert outcome.twin_rejected


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
