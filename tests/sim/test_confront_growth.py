"""T3 beside simulation: each family's numbers by a second route, and each claim decided on fewer seeds."""

import math

import numpy as np
import pytest
import torch

from sim.confront.growth import at_a_cosine, claims, finite_keys, spectrum, weight_of
from theory.claim import examine
from theory.growth.growth_operator import anisotropic_radius

pytestmark = pytest.mark.slow

FAMILY = {claim.id: claim for claim in claims(seeds=6)}


@pytest.mark.claim("S4.growth_anisotropic", "S4.growth_soft", "S4.growth_sample", "S4.growth_cosine")
@pytest.mark.parametrize("name", ["growth_anisotropic", "growth_soft", "growth_sample", "growth_cosine"])
def test_the_mean_factors_cover_theory_and_not_the_twin(name):
    outcome = examine(FAMILY[f"S4.{name}"])
    assert outcome.evidence.established, outcome.evidence.steps
    assert outcome.twin_rejected


@pytest.mark.claim("S4.typical")
def test_the_typical_exponent_of_a_few_paths_is_below_that_of_the_mean():
    claim = FAMILY["S4.typical"]
    assert all(near < mean for near, mean in zip(claim.subject, claim.twin, strict=True))
    evidence = claim.check(tuple(2 * number for number in claim.subject))
    assert not evidence.established
    assert evidence.measured == pytest.approx(evidence.expected / 2, rel=0.15)


def test_the_predictions_are_the_operator_s():
    subject = FAMILY["S4.growth_anisotropic"].subject
    assert subject[0] == pytest.approx(1 + anisotropic_radius(spectrum(10, 8.0)))
    keys = finite_keys(8, 20, 0)  # the sample's first setting: M = I, hard, c = 1
    unit = keys / np.linalg.norm(keys, axis=0)
    outer = np.einsum("ik,jk->kij", unit, unit).reshape(20, 64)
    top = np.linalg.eigvalsh(outer.T @ outer / 20)[-1]
    assert FAMILY["S4.growth_sample"].subject[0] == pytest.approx(1 + top)


def test_values_keep_their_size_and_cosine():
    reads = torch.randn(5, 40, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    values = at_a_cosine(3.0, -0.4)(reads, torch.Generator().manual_seed(1))
    np.testing.assert_allclose(values.norm(dim=0) / reads.norm(dim=0), math.sqrt(3.0))
    np.testing.assert_allclose((values * reads).sum(dim=0) / values.norm(dim=0) / reads.norm(dim=0), -0.4)


def test_weights_have_the_second_moment_asked_for():
    root = torch.tensor([[2.0, 0.5], [0.5, 1.0]], dtype=torch.float64)
    weight = weight_of(root, 200_000, torch.Generator().manual_seed(2))
    np.testing.assert_allclose(weight.mT @ weight, root @ root, atol=0.05)
