"""T3b beside AlphaEdit's own solver: every confrontation on fewer seeds, and its numbers by a second route."""

from __future__ import annotations

import pytest

from sim.confront.accumulating import claims
from theory.claim import examine

FAMILY = {claim.id: claim for claim in claims(8)}


@pytest.mark.claim("S3b.exact", "S3b.field", "S3b.spectrum", "S3b.batch", "S3b.anchored", "S3b.ceiling")
@pytest.mark.parametrize("name", ["exact", "field", "spectrum", "batch", "anchored", "ceiling"])
def test_simulation_agrees_with_the_law_and_not_with_the_twin(name):
    outcome = examine(FAMILY[f"S3b.{name}"])
    assert outcome.evidence.established, outcome.evidence.steps
    assert outcome.twin_rejected


def test_no_number_is_accepted_that_lies_a_third_higher():
    """Bounds aside: a ceiling holds for every higher number as well."""
    for name in ("exact", "field", "spectrum", "batch", "anchored"):
        claim = FAMILY[f"S3b.{name}"]
        assert not claim.check(tuple(4 / 3 * number for number in claim.subject)).established
