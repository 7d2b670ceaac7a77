"""T4's state controls by second routes: least squares by lstsq, sequential against one-time edits, exact paths, SVD."""

import itertools
import math

import numpy as np
import pytest

from theory.command import Misuse
from theory.controls import increments as controls
from theory.controls import states as state_controls


def prune(D, largest, base=math.e):
    U, values, Vh = np.linalg.svd(D, full_matrices=False)
    return U @ np.diag([state_controls.pruned(x, largest, base) for x in values]) @ Vh


@pytest.mark.claim("T4.prune_scale")
def test_prune_enlarges_just_above_a_small_largest_singular_value():
    grid = np.linspace(0.1, 8.0, 80)
    for largest, base, ever in ((1.0, math.e, False), (0.1, math.e, True), (5.0, 1.2, True), (5.5, 1.2, False)):
        values = [state_controls.pruned(largest * x, largest, base) - largest * x for x in grid]
        assert any(change > 1e-12 for change in values) is ever


@pytest.mark.claim("T4.prune_final", "T4.prune_port")
def test_prune_at_the_end_and_as_ported():
    rng = np.random.default_rng(0)
    W0, D = rng.normal(size=(4, 6)), rng.normal(size=(4, 6))
    largest = np.linalg.norm(W0, 2)
    huge = [np.linalg.norm(prune(scale * D, largest), 2) for scale in (1e30, 1e40)]
    assert huge[1] - huge[0] == pytest.approx(10 * math.log(10), rel=1e-9)
    for scale in (0.3, 50.0):
        ported = scale * D + prune(scale * D, largest)
        assert np.all(np.linalg.svd(ported)[1] > np.linalg.svd(scale * D)[1])
    small = 0.5 * largest / np.linalg.norm(D, 2) * D
    np.testing.assert_allclose(small + prune(small, largest), 2 * small, rtol=1e-12)


@pytest.mark.claim("T4.prune_every_step")
@pytest.mark.parametrize(("ratio", "limit", "base"), [(0.75, 0.0, math.e), (20.0, 1.0, 1.5), (0.0, 3.0, 1.2)])
def test_prune_at_every_step_stays_below_the_ceiling(ratio, limit, base):
    rng = np.random.default_rng(1)
    W0 = rng.normal(size=(3, 5))
    largest = np.linalg.norm(W0, 2)
    ceiling = state_controls.pruned_ceiling(largest, ratio, limit, base)
    D, worst = np.zeros_like(W0), 0.0
    for step in range(60):
        free = rng.normal(size=W0.shape)
        aligned = W0 + D if step % 2 else D + 1e-9 * free  # the directions in which writes add up
        delta = (ratio * np.linalg.norm(W0 + D, 2) + limit) * aligned / np.linalg.norm(aligned, 2)
        D = prune(D + delta, largest, base)
        worst = max(worst, np.linalg.norm(D, 2))
    assert 0.3 * ceiling < worst <= ceiling


@pytest.mark.claim("T4.weight_decay")
def test_decay_over_a_frame_of_keys():
    rng = np.random.default_rng(2)
    n, c, w = 5, 2.0, 0.1
    W = rng.normal(size=(2, n))
    turn = np.array([[0.0, -1.0], [1.0, 0.0]])
    pairs = itertools.product(np.eye(n), (1, -1))
    after = [(1 - w) * (W + sign * c * np.outer(turn @ W @ k, k)) for k, sign in pairs]
    growth = 1 + c**2 / n
    ratio = np.mean([np.sum(x**2) for x in after]) / np.sum(W**2)
    assert ratio == pytest.approx(controls.decayed_factor(w, growth), rel=1e-12)
    assert controls.decayed_factor(controls.decay_threshold(growth), growth) == pytest.approx(1.0, rel=1e-12)
    # At GPT-J's 16,384 key dimensions and c = 0.75 a decay of 1.7e-5 per edit is enough.
    assert controls.decay_threshold(1 + 0.75**2 / 16384) == pytest.approx(0.75**2 / 2 / 16384, rel=1e-4)


def ridge_solution(W0, keys, values, ridge):
    """argmin Σ‖Wk − v‖² + ϱ‖W − W_0‖² by lstsq on the stacked system."""
    n = W0.shape[1]
    stacked = np.vstack([keys.T, math.sqrt(ridge) * np.eye(n)])
    return np.linalg.lstsq(stacked, np.vstack([values.T, math.sqrt(ridge) * W0.T]), rcond=None)[0].T


@pytest.mark.claim("T4.pull")
@pytest.mark.parametrize("seed", range(4))
def test_pull_against_lstsq(seed):
    rng = np.random.default_rng(seed)
    m, n, t, ridge = 3, 4, 9, 0.7
    W0, keys, values = rng.normal(size=(m, n)), rng.normal(size=(n, t)), rng.normal(size=(m, t))
    apart = np.sum((ridge_solution(W0, keys, values, ridge) - W0) ** 2)
    wanted = np.sum((values - W0 @ keys) ** 2)
    assert apart <= state_controls.pulled_bound(wanted, ridge)
    assert apart <= wanted / (np.linalg.eigvalsh(keys @ keys.T)[0] + 2 * ridge)


@pytest.mark.claim("T4.pull")
def test_pull_is_not_bounded_by_bounded_residuals():
    for t in (4, 100, 400):
        keys = np.array([[1 / math.sqrt(t)] * t, [(-1.0) ** i for i in range(t)]])
        apart = np.sum(ridge_solution(np.zeros((1, 2)), keys, np.ones((1, t)), 1.0) ** 2)
        assert apart == pytest.approx(state_controls.pulled_bound(float(t), 1.0), rel=1e-9)


@pytest.mark.claim("T4.pull_is_memory")
def test_pulled_solution_is_reached_edit_by_edit_with_a_cache_of_keys():
    rng = np.random.default_rng(5)
    m, n, t, ridge = 2, 4, 7, 0.5
    W0, keys = rng.normal(size=(m, n)), rng.normal(size=(n, t))
    W, values, cache = W0, [], ridge * np.eye(n)
    for k in keys.T:
        v = W @ k + rng.normal(size=m)  # solved on the current weight
        values.append(v)
        W = W + np.outer(v - W @ k, np.linalg.solve(cache + np.outer(k, k), k))
        cache = cache + np.outer(k, k)
    np.testing.assert_allclose(W, ridge_solution(W0, keys, np.array(values).T, ridge), rtol=1e-9)


@pytest.mark.claim("T4.pull_is_memory")
def test_lyaplock_write_minimises_a_pull():
    rng = np.random.default_rng(6)
    m, n, u, weight = 3, 4, 2, 0.8
    W0, W, K, R = (rng.normal(size=shape) for shape in ((m, n), (m, n), (n, u), (m, u)))
    past, reads = rng.normal(size=(n, 5)), rng.normal(size=(m, 5))
    root = rng.normal(size=(n, n))
    C, G, H = root @ root.T, past @ past.T, reads @ past.T
    right = R @ K.T + weight * (W0 @ C - W @ C) + H - W @ G
    after = W + right @ np.linalg.inv(K @ K.T + weight * C + G)
    stacked = np.vstack([K.T, past.T, math.sqrt(weight) * root.T])
    targets = np.vstack([(W @ K + R).T, reads.T, math.sqrt(weight) * root.T @ W0.T])
    np.testing.assert_allclose(after, np.linalg.lstsq(stacked, targets, rcond=None)[0].T, rtol=1e-8)


@pytest.mark.claim("T4.orthogonal_write", "T4.spectral_cap")
def test_orthogonal_writes_and_spectral_caps():
    rng = np.random.default_rng(8)
    W, Q = rng.normal(size=(3, 5)), np.linalg.qr(rng.normal(size=(3, 3)))[0]
    C = np.diag([1.0, 2.0, 3.0, 4.0, 5.0])
    np.testing.assert_allclose(np.linalg.svd(Q @ W)[1], np.linalg.svd(W)[1], rtol=1e-12)
    assert np.trace(Q @ W @ C @ (Q @ W).T) == pytest.approx(np.trace(W @ C @ W.T), rel=1e-12)
    U, values, Vh = np.linalg.svd(W, full_matrices=False)
    assert np.sum((U @ np.diag(np.minimum(values, 0.9)) @ Vh) ** 2) <= 3 * 0.9**2 * (1 + 1e-12)


@pytest.mark.claim("T4.frozen_values")
def test_frozen_values_over_every_path():
    n, c, steps = 2, 1.3, 4
    W0 = np.array([[1.0, 0.3], [-0.2, 0.8]])
    squares = []
    for path in itertools.product(itertools.product(np.eye(n), (1, -1)), repeat=steps):
        W = W0
        for k, sign in path:
            read = W0 @ k
            W = W + np.outer(read + sign * c * np.array([-read[1], read[0]]) - W @ k, k)
        squares.append(np.sum(W**2))
    assert np.mean(squares) == pytest.approx(state_controls.frozen_values_law(np.sum(W0**2), n, c, steps), rel=1e-12)
    assert max(squares) <= state_controls.frozen_values_worst(np.sum(W0**2), c, steps)


@pytest.mark.claim("T4.frozen_values")
def test_one_key_dimension_reaches_the_level_at_once():
    assert state_controls.frozen_values_law(2.0, 1, 3.0, 1) == 2.0 * (1 + 3.0**2)


@pytest.mark.claim("T4.weight_decay")
def test_a_decay_beyond_one_would_grow():
    growth = 1.1
    assert (1 - 3.0) ** 2 * growth > 1  # so the claim's "iff" needs w ≤ 1
    with pytest.raises(Misuse, match=r"decay w is 3.0"):
        controls.decayed_factor(3.0, growth)


def test_prune_of_the_largest_numbers():
    assert state_controls.pruned(1e300, 1e-300) == pytest.approx(600 * math.log(10), rel=1e-12)


def test_misuse_is_named():
    for call, words in (
        (lambda: state_controls.pruned(-1.0, 1.0), "singular value is -1.0"),
        (lambda: state_controls.pruned(1.0, 0.0), "largest singular value of W_0 is 0.0"),
        (lambda: state_controls.pruned(1.0, 1.0, 1.0), "base is 1.0"),
        (lambda: state_controls.pruned_ceiling(0.0, 1.0, 1.0), "largest singular value of W_0 is 0.0"),
        (lambda: state_controls.pruned_ceiling(1.0, -1.0, 1.0), "relative size q is -1.0"),
        (lambda: state_controls.pruned_ceiling(1.0, 1.0, -1.0), "size τ is -1.0"),
        (lambda: state_controls.pruned_ceiling(1.0, 1.0, 1.0, 0.5), "base is 0.5"),
        (lambda: state_controls.pulled_bound(1.0, 0.0), "pull ϱ is 0.0"),
        (lambda: state_controls.frozen_values_law(1.0, 0, 1.0, 1), "key dimension is 0"),
        (lambda: state_controls.frozen_values_worst(1.0, 1.0, -1), "-1 edits are asked for"),
        (lambda: state_controls.frozen_values_worst(-1.0, 1.0, 1), "squared norm of W_0 is -1.0"),
        (lambda: state_controls.frozen_values_law(1.0, 4, -1.0, 1), "ratio c is -1.0"),
        (lambda: state_controls.frozen_values_law(1.0, 4, 1.0, -1), "-1 edits are asked for"),
        (lambda: state_controls.pulled_bound(-1.0, 1.0), "sum of squared residuals is -1.0"),
        (lambda: state_controls.pruned(math.inf, 1.0), "they must be finite"),
        (lambda: state_controls.pruned_ceiling(1.0, math.inf, 1.0), "they must be finite"),
    ):
        with pytest.raises(Misuse, match=words):
            call()
