"""T5 beside simulation: every confrontation covers theory's numbers and rejects its twin's."""

import numpy as np
import pytest
import torch
from torch import Generator

from sim.confront.anchored_streams import batched_rome, streams
from sim.confront.anchoring import claims, covariance, gaussian_excitation, mean_path, share, used_shares
from sim.confront.original_values import original_claim
from sim.editor import editor
from sim.engine import run_stream
from sim.memory import LinearMemory, free_values, gaussian_keys, unseen_keys
from sim.rules.memit import memit
from sim.rules.rome import rome
from sim.values.anchor_norm import anchor_norm
from theory.anchoring.plateaus import chi_square_mean, plateau
from theory.claim import examine

pytestmark = pytest.mark.slow


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


@pytest.mark.parametrize(
    ("rule", "single"),
    [(batched_rome, lambda matrix: rome()), (lambda m: memit(m, weighting=3.0), lambda m: memit(m, weighting=3.0))],
    ids=["rome", "memit"],
)
@pytest.mark.parametrize("keys", [gaussian_keys(covariance(6, 5.0)), unseen_keys()], ids=["gaussian", "unseen"])
def test_streams_side_by_side_are_those_that_the_engine_runs_one_by_one(rule, single, keys):
    weight, eye = torch.eye(3, 6, dtype=torch.float64), covariance(6, 1.0)
    found = streams(rule, eye, anchor_norm(1.5), (weight, keys, free_values(1.0)), 12, 11)
    for seed in (0, 5, 10):  # the last stands in a second, smaller memory
        memory = LinearMemory(weight, keys, free_values(1.0))
        alone = editor(single(eye), values=anchor_norm(1.5))
        rows = list(run_stream(alone, memory, 12, Generator().manual_seed(9000 + seed)))
        np.testing.assert_allclose(found.norm_sq[seed, 1:], [row["norm_sq_after"] for row in rows], rtol=1e-9)
        np.testing.assert_allclose(found.s[seed], [row["s"] for row in rows], rtol=1e-9)
        np.testing.assert_allclose(found.share[seed], [row["eta"] for row in rows], rtol=1e-9)
        reads = [row["readout_norm"] ** 2 for row in rows]
        np.testing.assert_allclose(found.readout_sq[seed], reads, rtol=1e-9, atol=1e-20)


@pytest.mark.claim("S4.anchor_readout", "T5.average_readout")
def test_no_single_stream_passes_the_bound_on_readouts_at_any_edit():
    weight, sigma = 3 * torch.eye(3, 6, dtype=torch.float64), covariance(6, 20.0)
    memory = (weight, gaussian_keys(sigma), free_values(1.0))
    assert used_shares(streams(batched_rome, covariance(6, 1.0), anchor_norm(1.0), memory, 40, 16)).max() <= 1 + 1e-9


@pytest.mark.claim("S5.original", "T5.original")
def test_values_on_the_original_weight_follow_theory_without_an_anchor():
    outcome = examine(original_claim(5))
    assert outcome.evidence.established, outcome.evidence.steps
    assert outcome.twin_rejected
