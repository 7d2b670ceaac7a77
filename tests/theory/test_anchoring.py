"""T5's formulas by second routes: exhaustive key laws, quadrature, and writes made in numbers."""

import math

import numpy as np
import pytest
from scipy import integrate, stats

from theory.anchoring.plateaus import original_norm_sq, plateau, relaxation, worst_case
from theory.command import Misuse


def write(W, k, v, M, eta=1.0):
    return W + eta * np.outer(v - W @ k, M @ k) / (k @ M @ k)


def norm_sq(W, M):
    return float(np.trace(W @ np.linalg.inv(M) @ W.T))


def scene(seed, m=3, n=4):
    rng = np.random.default_rng(seed)
    root = rng.normal(size=(n, n))
    return rng, rng.normal(size=(m, n)), root @ root.T + np.eye(n)


@pytest.mark.claim("T5.contraction")
def test_contraction_over_a_tight_frame():
    rng, W, _ = scene(0)
    n, a, sizes = 4, 1.7, rng.uniform(0.5, 2, 4)
    after, inverse_s = [], np.mean(1 / sizes**2)
    for size, k in zip(sizes, np.linalg.qr(rng.normal(size=(n, n)))[0], strict=True):
        v = rng.normal(size=3)
        after.append(np.sum(write(W, size * k, a * v / np.linalg.norm(v), np.eye(n)) ** 2))
    assert np.mean(after) == pytest.approx((1 - 1 / n) * np.sum(W**2) + a**2 * inverse_s, rel=1e-12)


@pytest.mark.claim("T5.contraction", "T5.soft", "T5.bounded")
@pytest.mark.parametrize("eta", [1.0, 0.6, 0.1])
def test_excited_keys_contract_in_any_metric_and_for_any_share(eta):
    rng, W, M = scene(1)
    keys, a = rng.normal(size=(9, 4)), 0.8
    half = np.linalg.cholesky(M).T  # |half k|² = kᵀMk
    units = [half @ k / np.linalg.norm(half @ k) for k in keys]
    mu = eta * np.linalg.eigvalsh(np.mean([np.outer(x, x) for x in units], axis=0))[0]
    assert 0 < mu <= eta / 4
    for aligned in (True, False):
        after = []
        for k in keys:
            v = W @ k if aligned else rng.normal(size=3)
            after.append(norm_sq(write(W, k, a * v / np.linalg.norm(v), M, eta), M))
        bound = (1 - mu) * norm_sq(W, M) + a**2 * eta * np.mean([1 / (k @ M @ k) for k in keys])
        assert np.mean(after) <= bound


@pytest.mark.claim("T5.soft")
def test_the_faster_contraction_needs_values_without_a_direction():
    rng, W, _ = scene(2)
    k, a, eta = rng.normal(size=4), 1.0, 0.5
    s, read = k @ k, W @ k
    fast = np.sum(W**2) + (eta**2 * a**2 - eta * (2 - eta) * read @ read) / s
    v = a * read / np.linalg.norm(read)
    both = [np.sum(write(W, k, sign * v, np.eye(4), eta) ** 2) for sign in (1, -1)]
    assert np.mean(both) == pytest.approx(fast, rel=1e-12)
    assert both[0] > fast


@pytest.mark.claim("T5.fixed_point", "T5.readout_constant")
@pytest.mark.parametrize("n", [4, 9, 64])
def test_plateau_is_where_the_quadrature_recursion_settles(n):
    a, norm = 1.3, 50.0
    mean_inverse = integrate.quad(lambda x: stats.chi2(n).pdf(x) / x, 0, 60 + 4 * n, points=[n / 2, n], limit=200)[0]
    path = [norm]
    for _ in range(40 * n):
        path.append(path[-1] - path[-1] / n + a**2 * mean_inverse)
    assert path[-1] == pytest.approx(plateau(a, n), rel=1e-6)
    tau = round(relaxation(n))
    distance = (path[tau] - plateau(a, n)) / (path[0] - plateau(a, n))
    assert distance == pytest.approx((1 - 1 / n) ** (tau - relaxation(n)) / math.e, rel=1e-6)
    assert plateau(a, n) > a**2  # a²/β with β = E‖Wk‖²/‖W‖² = 1 lies below


@pytest.mark.claim("T5.worst_case", "T5.sharp")
@pytest.mark.parametrize("eta", [1.0, 0.7, 0.2])
def test_no_stream_exceeds_the_worst_case(eta):
    rng, W, M = scene(3)
    a, start, sizes, norms = 2.0, norm_sq(W, M), [], []
    for step in range(200):
        k = rng.normal(size=4) if step % 2 else np.linalg.svd(W)[2][-1]
        v = rng.normal(size=3)
        sizes.append(k @ M @ k)
        W = write(W, k, a * v / np.linalg.norm(v), M, eta)
        norms.append(norm_sq(W, M))
    bound = worst_case(start, a, eta, sizes)
    assert bound.shape == (201,)
    assert bound[0] == start
    assert np.all(norms <= bound[1:] * (1 + 1e-12))
    assert np.all(bound <= start + np.concatenate(([0], np.cumsum(eta * a**2 / np.array(sizes)))) + 1e-9)


@pytest.mark.claim("T5.sharp")
@pytest.mark.parametrize("eta", [1.0, 0.7, 0.2])
def test_the_sharp_bound_is_met_at_the_centre_and_nowhere_else(eta):
    rng, W, M = scene(4)
    k, a = rng.normal(size=4), 2.0
    v = rng.normal(size=3)
    v *= a / np.linalg.norm(v)
    target = (1 - eta) / (2 - eta) * v
    W = W + np.outer(target - W @ k, k) / (k @ k)  # now Wk is the centre
    start, s = norm_sq(W, M), k @ M @ k
    assert norm_sq(write(W, k, v, M, eta), M) == pytest.approx(worst_case(start, a, eta, [s])[1], rel=1e-11)
    other = W + 0.1 * np.outer(rng.normal(size=3), k)
    start = norm_sq(other, M)
    assert norm_sq(write(other, k, v, M, eta), M) < worst_case(start, a, eta, [s])[1] - 1e-6


@pytest.mark.claim("T5.attained", "T5.bounded")
def test_keys_orthogonal_to_the_rows_make_the_norm_climb_at_every_edit():
    rng, W, _ = scene(5, m=2, n=3)
    a, norms = 1.5, []
    for _ in range(50):
        k = np.linalg.svd(W)[2][-1]
        v = rng.normal(size=2)
        W = write(W, k, a * v / np.linalg.norm(v), np.eye(3))
        norms.append(np.sum(W**2))
    np.testing.assert_allclose(np.diff(norms), a**2, rtol=1e-9)


@pytest.mark.claim("T5.bounded")
def test_keys_of_one_law_keep_the_mean_bounded_even_where_they_span_too_little():
    """All streams of two keys in a plane of R³: the mean of what they reach contracts, the rest stays."""
    rng, W, _ = scene(8)
    keys = np.array([[1.0, 0.0, 0.0, 0.0], [0.6, 0.8, 0.0, 0.0]])
    mu = np.linalg.eigvalsh(sum(np.outer(k, k) for k in keys)[:2, :2] / 2)[0]
    start, states = np.sum(W**2), [W]
    for _ in range(8):
        v = rng.normal(size=3)
        states = [write(state, k, v / np.linalg.norm(v), np.eye(4)) for state in states for k in keys]
        mean = np.mean([np.sum(state**2) for state in states])
        assert mean <= np.sum(W[:, 2:] ** 2) + max(start - np.sum(W[:, 2:] ** 2), 1 / mu)
    assert all(np.array_equal(state[:, 2:], W[:, 2:]) for state in states)


@pytest.mark.claim("T5.single_edit")
def test_a_hard_anchored_write_keeps_the_direction_and_a_soft_one_does_not():
    rng, W, M = scene(6)
    k, v, a = rng.normal(size=4), rng.normal(size=3), 0.4
    target = a * v / np.linalg.norm(v)
    for eta, kept in ((1.0, True), (0.5, False)):
        out = write(W, k, target, M, eta) @ k
        cosine = out @ v / np.linalg.norm(out) / np.linalg.norm(v)
        assert (abs(cosine - 1) < 1e-12) == kept


def test_misuse_is_named():
    with pytest.raises(Misuse, match="anchor is -1"):
        plateau(-1.0, 5)
    with pytest.raises(Misuse, match="anchor is nan"):
        worst_case(1.0, math.nan, 1.0, 1.0)
    with pytest.raises(Misuse, match="of -1"):
        worst_case(-1.0, 1.0, 1.0, 1.0)
    with pytest.raises(Misuse, match=r"shares \(2,\) and sizes \(3,\)"):
        worst_case(1.0, 1.0, [1.0, 1.0], [1.0, 1.0, 1.0])
    with pytest.raises(Misuse, match="key dimension is 2"):
        plateau(1.0, 2)
    with pytest.raises(Misuse, match="key dimension is 1"):
        relaxation(1)
    with pytest.raises(Misuse, match=r"from 0\.5 to 1\.5"):
        worst_case(1.0, 1.0, [0.5, 1.5], 1.0)
    with pytest.raises(Misuse, match=r"kᵀMk of 0\.0"):
        worst_case(1.0, 1.0, 1.0, [1.0, 0.0])


@pytest.mark.claim("T5.original")
def test_values_on_the_original_weight_over_a_tight_frame():
    """Every write of an orthonormal frame and both signs of a shift across W_0k, averaged without chance."""
    rng, W0, _ = scene(6)
    n, c = 4, 0.8
    W, expected = rng.normal(size=W0.shape), 0.0
    frame = np.linalg.qr(rng.normal(size=(n, n)))[0]
    for k in frame.T:
        first = W0 @ k
        across = np.cross(first, rng.normal(size=3))
        shift = c * np.linalg.norm(first) * across / np.linalg.norm(across)
        for sign in (1, -1):
            expected += norm_sq(write(W, k, first + sign * shift, np.eye(n)), np.eye(n)) / (2 * n)
    before, start = norm_sq(W, np.eye(n)), norm_sq(W0, np.eye(n))
    assert expected == pytest.approx((1 - 1 / n) * before + (1 + c**2) * start / n)
    course = original_norm_sq(start, c, n, range(4))
    assert course[0] == start
    np.testing.assert_allclose(course[1:], (1 - 1 / n) * course[:-1] + (1 + c**2) * start / n)
    assert original_norm_sq(start, c, n, [10**4])[0] == pytest.approx((1 + c**2) * start)
    with pytest.raises(Misuse, match="key dimension is 1"):
        original_norm_sq(1.0, c, 1, [1])
