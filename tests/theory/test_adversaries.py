"""Streams that attain the worst case of an anchored memory, and those that escape it, by writes made in numbers."""

import math

import numpy as np
import pytest
from scipy import linalg


def write(W, K, V, *, soft=False):
    """A batch written in the metric M = I: MEMIT's normal equations, EMMET's constrained least squares."""
    if soft:
        return W + (V - W @ K) @ K.T @ np.linalg.inv(np.eye(len(K)) + K @ K.T)
    return W + (V - W @ K) @ np.linalg.solve(K.T @ K, K.T)


@pytest.mark.claim("T5.attained_any")
@pytest.mark.parametrize(("m", "n"), [(5, 3), (3, 3), (1, 2), (2, 5)])
def test_every_shape_attains_the_worst_case_after_one_edit(m, n):
    rng = np.random.default_rng(14)
    W, a, norms = rng.normal(size=(m, n)), 1.5, []
    k = rng.normal(size=n)
    left = W - np.outer(W @ k, k) / (k @ k)
    v = left @ rng.normal(size=n)
    W = left + a * np.outer(v / np.linalg.norm(v), k) / (k @ k)
    for _ in range(30):
        k = linalg.null_space(W, rcond=1e-9)[:, 0] * 2
        v = W @ rng.normal(size=n)
        W = W + np.outer(a * v / np.linalg.norm(v) - W @ k, k) / (k @ k)
        norms.append(np.sum(W**2))
    np.testing.assert_allclose(np.diff(norms), a**2 / 4, rtol=1e-7)


@pytest.mark.claim("T5.sharp_attained")
@pytest.mark.parametrize("eta", [0.9, 0.5, 0.1])
def test_the_sharp_bound_is_attained_edit_after_edit(eta):
    m, n, a, s = 2, 4, 1.5, 3.0
    centre, W, gains = (1 - eta) / (2 - eta) * a, np.zeros((m, n)), []
    for _ in range(120):
        left, sigma, right = np.linalg.svd(W)
        top = sigma[0] * math.sqrt(s)
        if top < centre:
            k, v = math.sqrt(s) * right[0], a * left[:, 0]
        else:
            lean = centre / top
            k = math.sqrt(s) * (lean * right[0] + math.sqrt(1 - lean**2) * right[-1])
            v = a * (W @ k) / np.linalg.norm(W @ k)
        after = W + eta * np.outer(v - W @ k, k) / s
        gains.append(np.sum(after**2) - np.sum(W**2))
        W = after
    best = eta * a**2 / ((2 - eta) * s)
    np.testing.assert_allclose(gains[-100:], best, rtol=1e-7)
    assert max(gains) <= best * (1 + 1e-9)


@pytest.mark.claim("T5.short_keys")
def test_shrinking_keys_beat_a_fixed_share_and_not_memit():
    eta, a, W = 0.5, 1.0, np.array([[1.0, 0.0]])
    for _ in range(10):
        k = np.array([(1 - eta) * a / ((2 - eta) * W[0, 0]), 0.0])
        W = W + eta * np.outer(a - W @ k, k) / (k @ k)
    assert W[0, 0] == pytest.approx(2.0**10, rel=1e-9)
    W = np.array([[1.0, 0.0]])
    for t in range(1, 11):
        k = np.array([[a / (2 * W[0, 0])], [0.0]])
        W = write(W, k, np.array([[a]]), soft=True)
        assert np.sum(W**2) <= 1 + t / 2


@pytest.mark.claim("T5.short_keys")
@pytest.mark.parametrize(("eta", "c"), [(1.0, 0.5), (0.3, 0.2), (0.7, 0.9)])
def test_shrinking_keys_multiply_the_norm_by_any_number_hard_writes_too(eta, c):
    a, W = 1.3, np.array([[2.0, 0.0]])
    for _ in range(8):
        k = np.array([c * a / W[0, 0], 0.0])
        W = W + eta * np.outer(a - W @ k, k) / (k @ k)
    assert W[0, 0] == pytest.approx(2 * (1 + eta * (1 - c) / c) ** 8, rel=1e-9)


@pytest.mark.claim("T5.batch_drop", "T5.batch_worst_case")
@pytest.mark.parametrize(("soft", "factor", "angle"), [(False, 1 / math.sin(1.0), 1.0), (True, 1.25, math.acos(0.8))])
def test_a_dropped_request_in_the_batch_makes_the_norm_grow_exponentially(soft, factor, angle):
    a, size, edits = 1.0, 3.0, 25
    kept = alone = np.array([[0.5, 0.0]])
    for _ in range(edits):
        for stays in (True, False):
            W = kept if stays else alone
            row = W[0] / np.linalg.norm(W)
            turned = math.cos(angle) * row + math.sin(angle) * np.array([-row[1], row[0]])
            K = size * np.stack([row, turned], axis=1)
            V = np.array([[(W @ K)[0, 0], -a]])  # the first value is dropped: v = Wk
            if stays:
                kept = write(W, K, V, soft=soft)
                assert np.linalg.norm(kept) >= factor * np.linalg.norm(W) * (1 - 1e-12)
            else:
                alone = write(W, K[:, 1:], V[:, 1:], soft=soft)
    assert np.linalg.norm(kept) > 0.5 * factor**edits
    assert np.sum(alone**2) <= 0.25 + edits * (a**2 / 2 if soft else a**2 / size**2)
