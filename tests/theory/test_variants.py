"""Batches, one-sided scaling, drops and soft plateaus, by writes made in numbers and exhaustive laws."""

import itertools
import math

import mpmath
import numpy as np
import pytest
from scipy import integrate, stats

from theory.anchoring import variants_proofs
from theory.anchoring.plateaus import batch_plateau, plateau, soft_plateau, soft_relaxation, worst_case
from theory.command import Misuse


def write(W, K, V, M, *, soft=False):
    """The published forms: MEMIT's normal equations, EMMET's constrained least squares."""
    if soft:
        A = np.linalg.inv(M)
        return W + (V - W @ K) @ K.T @ np.linalg.inv(A + K @ K.T)
    return W + (V - W @ K) @ np.linalg.solve(K.T @ M @ K, K.T @ M)


def norm_sq(W, M):
    return float(np.trace(W @ np.linalg.inv(M) @ W.T))


def scene(seed, m=3, n=6, u=4):
    rng = np.random.default_rng(seed)
    root = rng.normal(size=(n, n))
    V = rng.normal(size=(m, u))
    return (
        rng,
        rng.normal(size=(m, n)),
        rng.normal(size=(n, u)),
        V / np.linalg.norm(V, axis=0),
        root @ root.T + np.eye(n),
    )


@pytest.mark.claim("T5.batch", "T5.batch_worst_case", "T5.batch_hard")
@pytest.mark.parametrize("seed", range(5))
def test_batches_change_the_norm_as_said_and_keep_their_bounds(seed):
    _, W, K, V, M = scene(seed)
    H, start = K.T @ M @ K, norm_sq(W, M)
    R, eye = V - W @ K, np.eye(4)
    hard = norm_sq(write(W, K, V, M), M) - start
    G = np.linalg.inv(H)
    assert hard == pytest.approx(np.trace(V @ G @ V.T) - np.trace(W @ K @ G @ (W @ K).T), rel=1e-9)
    assert hard <= 4 * np.linalg.eigvalsh(G)[-1] + 1e-9
    assert hard <= np.abs(G).sum() + 1e-9
    soft = norm_sq(write(W, K, V, M, soft=True), M) - start
    T = np.linalg.inv(eye + H)
    parts = np.trace(V @ T @ V.T) - np.trace(W @ K @ T @ (W @ K).T) - np.sum((R @ T) ** 2)
    assert soft == pytest.approx(parts, rel=1e-9)
    assert soft <= np.trace(V @ np.linalg.inv(2 * eye + H) @ V.T) <= 2


@pytest.mark.claim("T5.batch_worst_case")
@pytest.mark.parametrize("scale", [1e-3, 1.0, 30.0])
def test_no_stream_of_memit_batches_adds_more_than_half_an_anchor_an_edit(scale):
    rng, W, _, _, M = scene(7)
    start, edits = norm_sq(W, M), 0
    for u in (1, 5, 2, 8, 1) * 20:
        K = scale * rng.normal(size=(6, 1)) + 1e-6 * rng.normal(size=(6, u))  # collinear on purpose
        V = W @ K + 0.1 * rng.normal(size=(3, u))
        W = write(W, K, V / np.linalg.norm(V, axis=0), M, soft=True)
        edits += u
        assert norm_sq(W, M) <= start + edits / 2
    tiny, v = 1e-4 * np.eye(6)[:, :1], np.eye(3)[:, :1]
    W = np.outer(v, np.eye(6)[0]) / 2e-4  # Wk = v/2
    assert norm_sq(write(W, tiny, v, np.eye(6), soft=True), np.eye(6)) - norm_sq(W, np.eye(6)) > 0.4999


@pytest.mark.claim("T5.batch_hard", "T5.batch_additive")
@pytest.mark.parametrize("angle", [1.2, 0.3, 0.02])
def test_two_close_keys_with_opposite_values(angle):
    K = np.array([[1.0, math.cos(angle)], [0.0, math.sin(angle)], [0.0, 0.0]])
    V = np.array([[1.0, -1.0], [0.0, 0.0]])
    added = np.sum(write(np.zeros((2, 3)), K, V, np.eye(3)) ** 2)
    assert added == pytest.approx(2 / (1 - math.cos(angle)), rel=1e-9)
    assert added == pytest.approx(np.abs(np.linalg.inv(K.T @ K)).sum(), rel=1e-9)
    assert added > 2


@pytest.mark.claim("T5.batch_contraction")
@pytest.mark.parametrize("u", [1, 2, 3])
def test_batches_over_all_subsets_of_an_orthogonal_frame(u):
    rng, W, _, _, _ = scene(8, n=4)
    frame = np.linalg.qr(rng.normal(size=(4, 4)))[0] * rng.uniform(0.5, 2, 4)
    after, added, half = [], [], []
    for subset in itertools.combinations(range(4), u):
        K, V = frame[:, subset], rng.normal(size=(3, u))
        V /= np.linalg.norm(V, axis=0)
        after.append(np.sum(write(W, K, V, np.eye(4)) ** 2))
        added.append(np.trace(V @ np.linalg.inv(K.T @ K) @ V.T))
        half.append(np.sum(write(W, K, V, np.eye(4), soft=True) ** 2))
    assert np.mean(after) == pytest.approx((1 - u / 4) * np.sum(W**2) + np.mean(added), rel=1e-10)
    sizes = np.sum(frame**2, axis=0)
    mu = u / 4 * np.min(sizes / (1 + sizes))  # of E[X(I + H)⁻¹Xᵀ], diagonal in the frame
    assert np.mean(half) <= (1 - mu) * np.sum(W**2) + u


@pytest.mark.claim("T5.batch_plateau", "T5.numbers")
def test_inverse_wishart_means_by_determinants():
    """(H⁻¹)_jj = det(H without j)/det(H); the chi-square factors of det leave one with n − u + 1 degrees."""
    for n, u in ((8, 3), (12, 1), (20, 17)):
        mean = integrate.quad(lambda x, df=n - u + 1: stats.chi2(df).pdf(x) / x, 0, 400, limit=400, points=[1, 5, 30])[
            0
        ]
        assert batch_plateau(2.0, n, u) == pytest.approx(4 * mean * n, rel=1e-6)
    rng = np.random.default_rng(0)
    found = np.mean([np.trace(np.linalg.inv((K := rng.normal(size=(20, 4))).T @ K)) for _ in range(4000)])
    assert found == pytest.approx(4 / 15, rel=0.02)


@pytest.mark.claim("T5.one_sided")
@pytest.mark.parametrize("eta", [1.0, 0.5])
def test_short_values_obey_the_bounds_and_only_anchored_ones_have_a_floor(eta):
    rng, W, _, _, M = scene(9)
    a = 2.0
    for length in (2.0, 1.0, 0.0):
        for _ in range(20):
            k, v = rng.normal(size=6), rng.normal(size=3)
            v *= length / np.linalg.norm(v)
            s = k @ M @ k
            after = W + eta * np.outer(v - W @ k, M @ k) / s
            assert norm_sq(after, M) <= worst_case(norm_sq(W, M), a, eta, [s])[1] + 1e-9
            if eta == 1.0:
                assert (norm_sq(after, M) >= a**2 / s - 1e-9) or length < a
    assert norm_sq(np.zeros((3, 6)), M) == 0 == norm_sq(write(np.zeros((3, 6)), k[:, None], 0 * v[:, None], M), M)


@pytest.mark.claim("T5.one_sided")
def test_one_sided_values_shorter_than_their_readouts_fade():
    _, W, _, _, _ = scene(10, n=4)
    frame, alpha = np.linalg.qr(W.T @ W + np.eye(4))[0], 0.6
    after = [np.sum(write(W, k[:, None], math.sqrt(alpha) * W @ k[:, None], np.eye(4)) ** 2) for k in frame.T]
    assert np.mean(after) == pytest.approx((1 + (alpha - 1) / 4) * np.sum(W**2), rel=1e-10)


@pytest.mark.claim("T5.drop")
def test_random_drops_keep_the_plateau():
    rng, start, n, p = np.random.default_rng(11), 9.0, 4, 0.4
    frame = np.linalg.qr(rng.normal(size=(n, n)))[0]
    W = rng.normal(size=(3, n))
    written = np.mean([np.sum(write(W, k[:, None], np.eye(3)[:, :1], np.eye(n)) ** 2) for k in frame.T])
    assert p * np.sum(W**2) + (1 - p) * written == pytest.approx((1 - (1 - p) / n) * np.sum(W**2) + (1 - p), rel=1e-10)
    norm, plain, edits = start, start, 300
    for _ in range(edits):
        norm, plain = p * norm + (1 - p) * ((1 - 1 / n) * norm + 1), (1 - 1 / n) * plain + 1
    assert norm == pytest.approx(n, rel=1e-9)
    assert plain == pytest.approx(n, rel=1e-9)


@pytest.mark.claim("T5.drop_selective")
@pytest.mark.parametrize("gamma", [2.0, 3.5, 1.2])
def test_a_drop_rule_against_long_values_drops_what_would_contract(gamma):
    rng = np.random.default_rng(12)
    m, n, a = 2, 4, 1.0
    W, norms = 0.1 * np.eye(m, n), []
    for _ in range(3000):
        k = rng.normal(size=n)
        k *= 2 / np.linalg.norm(k)
        if gamma * np.linalg.norm(W @ k) <= 2 * a:
            v = rng.normal(size=m)
            W = write(W, k[:, None], (a * v / np.linalg.norm(v))[:, None], np.eye(n))
        norms.append(np.sum(W**2))
    falls = np.diff(norms) < -1e-12
    if gamma >= 2:
        assert not falls.any()
        assert norms[-1] > 5 * a**2 * n / 4  # far beyond the plateau a²n/s of undropped edits
    else:
        assert falls.any()


@pytest.mark.claim("T5.soft_plateau", "T5.soft_numbers")
@pytest.mark.parametrize(("n", "ridge"), [(3, 2.0), (8, 8.0), (16, 100.0)])
def test_the_soft_recursion_settles_at_the_plateau(n, ridge):
    """Gauss nodes for s, an orthogonal frame for the direction: the mean of actual writes."""
    rng, a = np.random.default_rng(13), 1.4
    nodes, weights = np.polynomial.legendre.leggauss(400)
    sizes = (nodes + 1) / 2
    chi, weights = stats.chi2(n).ppf(sizes), weights / 2
    W = rng.normal(size=(3, n))
    frame = np.linalg.qr(rng.normal(size=(n, n)))[0]
    mean = 0.0
    for x, weight in zip(chi, weights, strict=True):
        for e, sign in itertools.product(frame.T, (1, -1)):
            k, v = math.sqrt(x) * e[:, None], sign * a * np.eye(3)[:, :1]
            mean += weight * np.sum(write(W, k, v, np.eye(n) / ridge, soft=True) ** 2) / (2 * n)
    rate = 1 - math.exp(-1 / soft_relaxation(n, ridge))
    start = np.sum(W**2)
    assert mean == pytest.approx(start - rate * (start - soft_plateau(a, n, ridge)), rel=2e-5)


@pytest.mark.claim("T5.soft_numbers", "T5.numbers")
def test_limits_of_the_soft_plateau():
    assert soft_plateau(2.0, 9, 1e-7) == pytest.approx(plateau(2.0, 9), rel=1e-6)
    assert soft_plateau(2.0, 9, 1e7) == pytest.approx(4 * 9 / 2e7, rel=1e-5)
    assert soft_relaxation(9, 1e6) == pytest.approx(5e5, rel=1e-3)
    with pytest.raises(Misuse, match="ridge is 0"):
        soft_plateau(1.0, 4, 0)
    with pytest.raises(Misuse, match="dimension is 0"):
        soft_plateau(1.0, 0, 1.0)
    with pytest.raises(Misuse, match="dimension is 1"):
        soft_relaxation(1, 1.0)
    with pytest.raises(Misuse, match="batch of 7 keys in dimension 8"):
        batch_plateau(1.0, 8, 7)


@pytest.mark.claim("T5.batch_worst_case")
def test_equal_requests_at_short_keys_come_as_close_to_the_bound_as_one_likes():
    u, short, a = 4, 1e-3, 1.5
    K, V = np.zeros((3, u)), np.zeros((2, u))
    K[0], V[0] = short, a
    W = np.zeros((2, 3))
    W[0, 0] = a / (2 + u * short**2) / short
    gained = np.sum(write(W, K, V, np.eye(3), soft=True) ** 2) - np.sum(W**2)
    assert u * a**2 / 2 * (1 - 1e-5) < gained <= u * a**2 / 2


@pytest.mark.claim("T5.drop_selective")
def test_dropped_edits_hold_a_norm_above_the_bound_for_ever():
    W = 5 * np.eye(2)
    for k in np.eye(2):
        assert 2 * np.linalg.norm(W @ k) > 2.0  # a = 1, γ = 2: dropped
    assert np.sum(W**2) > 1.0 / 0.5  # a²E[1/s]/μ


@pytest.mark.claim("T5.soft_numbers")
@pytest.mark.parametrize(("n", "ridge"), [(1, 1e-6), (2, 1e-12), (3, 1e-12), (2, 1e9)])
def test_the_soft_plateau_keeps_its_digits_in_few_dimensions_and_at_extreme_ridges(n, ridge):
    first, second = (variants_proofs.chi_square_route(power, n, ridge) for power in (1, 2))
    exact = n * first / (second + 2 * mpmath.mpf(ridge) * first)
    assert soft_plateau(1.0, n, ridge) == pytest.approx(float(exact), rel=1e-9)
