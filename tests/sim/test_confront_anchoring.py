"""T5 beside simulation: every confrontation covers theory's numbers and rejects its twin's."""

import numpy as np
import pytest

from sim.confront.anchoring import claims, gaussian_excitation, mean_path, share
from theory.anchoring.plateaus import chi_square_mean, plateau
from theory.claim import examine


@pytest.mark.claim(
    "S4.anchor_soft_plateau", "S4.anchor_readout", "S4.anchor_excitation", "S4.anchor_drop", "S4.anchor_batch",
    "S4.anchor_layers",
)  # fmt: skip
@pytest.mark.parametrize("claim", claims(16), ids=lambda claim: claim.id)
def test_theory_meets_simulation(claim):
    outcome = examine(claim)
    assert outcome.evidence.established, outcome.evidence.steps
    assert outcome.twin_rejected


def test_predictions_by_second_routes():
    mu, inverse_s = gaussian_excitation(np.ones(8))
    assert mu == pytest.approx(1 / 8, rel=1e-9)
    assert inverse_s == pytest.approx(plateau(1.0, 8) / 8, rel=1e-9)
    assert share(6, 9.0) == pytest.approx(chi_square_mean(lambda x: x / (x + 9), 6), rel=1e-8)
    norm, path = 5.0, []
    for _ in range(7):
        norm = 0.9 * norm + 0.1 * 2.0
        path.append(norm)
    assert mean_path(2.0, 0.1, 5.0, 7) == pytest.approx(np.mean(path), rel=1e-12)
