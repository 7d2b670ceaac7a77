"""Single streams beside theory, on fewer seeds."""

import numpy as np
import pytest

from sim.confront.paths import claims, law_of, slopes
from theory.claim import examine

FAMILY = claims(seeds=6)


@pytest.mark.claim("S4.paths", "S4.clamped_paths")
@pytest.mark.parametrize("claim", FAMILY, ids=lambda claim: claim.id)
def test_streams_keep_the_bound_and_the_slope_and_not_the_twin_s(claim):
    outcome = examine(claim)
    assert outcome.evidence.established, outcome.evidence.steps
    assert outcome.twin_rejected


@pytest.mark.claim("S4.clamped_paths")
def test_the_slope_of_isotropic_keys_is_in_closed_form():
    assert FAMILY[1].subject[0] > 0.25 / 8  # E[1/s] of anisotropic keys exceeds that of isotropic ones, 1/(n − 2)
    found = slopes((4, 10, 1.0, 1.0, 0.0), 0.5, 8)
    assert found.mean() == pytest.approx(0.25 / 8, rel=0.05)
    assert law_of(10, 1.0, 0.0).spectrum == pytest.approx(np.ones(10))
