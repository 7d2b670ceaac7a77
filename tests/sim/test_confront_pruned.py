"""The ported PRUNE leaves collapse points and every weight before its one write as they are."""

import pytest
import torch

from sim.confront.pruned_streams import CODES, ported, prune_claim
from sim.editor import editor
from sim.retrieval import relative_code
from sim.rules.memit import memit
from theory.claim import examine

pytestmark = pytest.mark.slow


@pytest.mark.claim("S6.prune")
def test_equal_collapse_points_follow_from_the_port():
    outcome = examine(prune_claim(3))
    assert outcome.evidence.established, outcome.evidence.steps
    assert outcome.twin_rejected
    assert outcome.evidence.measured == 1.0


def test_every_weight_before_the_last_write_is_memits_to_the_bit():
    codes, grid = CODES[2], [1, 20, 39, 40]
    plain, pruned = (
        codes.stream(editor(memit(weighting=2.0), deltas=deltas), relative_code(codes.c), grid, 0).weights
        for deltas in (None, ported(40))
    )
    assert [torch.equal(plain[edits], pruned[edits]) for edits in grid] == [True, True, True, False]
