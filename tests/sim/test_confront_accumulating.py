"""T3b beside AlphaEdit's own solver: every confrontation on fewer seeds, and its numbers by a second route."""

from __future__ import annotations

import pytest

from sim.confront.accumulating import Stream, claims, measured_power
from theory.accumulating.spectrum import spectral_growth
from theory.claim import examine

pytestmark = pytest.mark.slow

FAMILY = {claim.id: claim for claim in claims(8)}


@pytest.mark.claim("S3b.exact", "S3b.field", "S3b.spectrum", "S3b.spike", "S3b.batch", "S3b.anchored", "S3b.ceiling")
@pytest.mark.parametrize("name", ["exact", "field", "spectrum", "spike", "batch", "anchored", "ceiling"])
def test_simulation_agrees_with_the_law_and_not_with_the_twin(name):
    outcome = examine(FAMILY[f"S3b.{name}"])
    assert outcome.evidence.established, outcome.evidence.steps
    assert outcome.twin_rejected


def test_no_number_is_accepted_that_lies_a_third_higher():
    """Bounds aside: a ceiling holds for every higher number as well."""
    for name in ("exact", "field", "spectrum", "batch", "anchored"):
        claim = FAMILY[f"S3b.{name}"]
        assert not claim.check(tuple(4 / 3 * number for number in claim.subject)).established


@pytest.mark.claim("S3b.ceiling")
def test_no_single_stream_passes_the_ceiling():
    """The claim's check speaks of the mean; the ceiling holds on every path."""
    assert max(measured_power(n, 4.0, 1.0, 20, seed) for n in (1, 2) for seed in range(6)) <= 4.0


@pytest.mark.claim("S3b.spike")
def test_the_spiked_claim_would_fail_were_the_mean_field_right():
    """Were the measured numbers the law's own, its bounds would lie far below them."""
    claim = FAMILY["S3b.spike"]
    x = Stream(32, 0.1, 32, share=0.9)
    law = spectral_growth(x.spectrum, x.ridge, x.c, x.edits)[0][-1]
    assert claim.subject[0] == pytest.approx(law / 1.4)
    assert x.spectrum[0] / x.spectrum.sum() == pytest.approx(0.9)
