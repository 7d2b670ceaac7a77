"""Single streams by second routes: bounds over a circle of weights and keys, and a squeezed line on drawn keys."""

import math

import numpy as np
import pytest

from theory.command import Misuse
from theory.growth.key_laws import SOFT, GaussianKeys, SampleKeys, sample_keys
from theory.growth.lyapunov import exponent_bounds
from theory.growth.paths import path_bounds


@pytest.mark.claim("T3.paths")
def test_every_weight_lies_between_the_bounds_in_a_metric_that_does_not_match():
    rng = np.random.default_rng(0)
    keys, A = rng.normal(size=(3, 12)) * np.array([[3.0], [1.0], [0.3]]), np.diag([1.0, 2.0, 5.0])
    law, c = sample_keys(keys, A, SOFT), 1.4
    low, high = path_bounds(law, c)
    logs = []
    for _ in range(200):
        rank = rng.integers(1, 4)
        W = rng.normal(size=(4, rank)) @ (rng.normal(size=(rank, 3)) * rng.exponential(size=3) ** 2)
        steps = []
        for k in keys.T:
            read, x = W @ k, np.linalg.solve(A, k)
            across = np.linalg.qr(np.column_stack([read, rng.normal(size=4)]))[0][:, 1]
            after = W + c * np.linalg.norm(read) * np.outer(across, x) / (1 + k @ x)
            steps.append(math.log(np.trace(after @ A @ after.T) / np.trace(W @ A @ W.T)))
        logs.append(np.mean(steps))
        assert min(steps) >= -1e-12
    assert low <= min(logs)
    assert max(logs) <= high
    assert low > 0


@pytest.mark.claim("T3.paths")
def test_isotropic_keys_have_the_closer_bounds_of_their_own():
    close, wide = exponent_bounds(5, 8, 1.5), path_bounds(GaussianKeys(np.ones(8)), 1.5)
    assert wide.low == pytest.approx(math.log1p(1.5**2) / 8)
    assert wide.low < close.low < close.high <= wide.high == pytest.approx(close.mean)


@pytest.mark.claim("T3.paths")
def test_a_direction_that_no_key_excites_has_no_growth():
    law = sample_keys(np.array([[1.0, 2.0], [0.0, 0.0]]))
    assert path_bounds(law, 2.0) == pytest.approx((0.0, math.log(5.0)))


@pytest.mark.claim("T4.clamped_paths")
def test_a_clamped_path_of_drawn_keys_has_the_slope_from_any_start():
    rng, slopes = np.random.default_rng(1), []
    for scale in (0.1, 10.0):
        W, limit, edits = scale * rng.normal(size=(3, 8)), 0.7, 6000
        start, terms = np.sum(W**2), 0.0
        for _ in range(edits):
            k = rng.normal(size=8)
            read = W @ k
            across = np.cross(read, rng.normal(size=3))
            size = min(2.0 * float(np.linalg.norm(read)), limit)
            W = W + size * np.outer(across / np.linalg.norm(across), k) / (k @ k)
            terms += limit**2 / (k @ k)
        assert np.sum(W**2) - start <= terms * (1 + 1e-9)
        slopes.append((np.sum(W**2) - start) / edits)
    assert slopes == pytest.approx([0.7**2 / 6] * 2, rel=0.04)


@pytest.mark.claim("T4.decayed_paths")
def test_one_key_decays_and_grows_exactly_and_drawn_paths_stay_between_the_bounds():
    one = sample_keys(np.array([[2.0]]))
    assert path_bounds(one, 0.6, 0.3) == pytest.approx((math.log(0.7**2 + 0.6**2),) * 2)
    rng, keys = np.random.default_rng(3), np.random.default_rng(2).normal(size=(4, 30))
    low, high = path_bounds(sample_keys(keys), 0.9, 0.2)
    W, edits = rng.normal(size=(3, 4)), 4000
    start = math.log(np.sum(W**2))
    for _ in range(edits):
        k = keys[:, rng.integers(30)]
        read = W @ k
        across = np.cross(read, rng.normal(size=3))
        W = 0.8 * W + 0.9 * np.linalg.norm(read) * np.outer(across / np.linalg.norm(across), k) / (k @ k)
    assert low < (math.log(np.sum(W**2)) - start) / edits < high < 0


def test_bad_input():
    with pytest.raises(Misuse, match="a gain η is 2"):
        path_bounds(SampleKeys(np.eye(2), np.ones(2), np.array([1.0, 2.0])), 1.0)
    with pytest.raises(Misuse, match="the decay w is 1"):
        path_bounds(GaussianKeys(np.ones(2)), 1.0, 1.0)
    for c in (math.nan, math.inf, -1.0):
        with pytest.raises(Misuse, match=f"the ratio c is {c}"):
            path_bounds(GaussianKeys(np.ones(2)), c)
