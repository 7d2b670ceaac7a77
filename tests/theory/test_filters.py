"""T4's filters by second routes: a spherical design whose moments are the sphere's, all masks, random inequalities."""

import itertools
import math

import numpy as np
import pytest

from theory.controls import filters, rect_proofs

GOLDEN = (1 + math.sqrt(5)) / 2
CORNERS = np.array([np.roll([0, a, b * GOLDEN], i) for a, b in itertools.product((1, -1), repeat=2) for i in range(3)])
KEYS = CORNERS / math.sqrt(1 + GOLDEN**2)  # the icosahedron: a spherical 5-design, so fourth moments are exact


def rect(W, delta, keep):
    threshold = np.sort(np.abs(delta / W), axis=None)[-keep]
    return np.where(np.abs(delta / W) >= threshold, delta, 0.0)


def mean_square(W, c, eta, filtered):
    """E‖W'‖² over the design's keys and over δ = ±c‖Wk‖ e_i, whose mean δδᵀ is c²‖Wk‖² I/m."""
    squares = []
    for k, e, sign in itertools.product(KEYS, np.eye(len(W)), (1, -1)):
        shift = sign * c * np.linalg.norm(W @ k) * e
        squares.append(np.sum((W + eta * filtered(np.outer(shift, k))) ** 2))
    return np.mean(squares)


@pytest.mark.claim("T4.rect")
@pytest.mark.parametrize("seed", range(5))
def test_rect_keeps_at_least_the_share_of_w_and_grows_less_than_the_plain_write_in_the_mean(seed):
    rng = np.random.default_rng(seed)
    W, k, shift = rng.normal(size=(5, 4)), rng.normal(size=4), rng.normal(size=5)
    delta = np.outer(shift, k) / (k @ k)
    kept = rect(W, delta, 8)
    share = np.sum(W[kept != 0] ** 2) / np.sum(W**2)
    assert share * np.sum(delta**2) <= np.sum(kept**2) <= np.sum(delta**2)
    mean = np.mean([np.sum((W + rect(W, sign * delta, 8)) ** 2) for sign in (1, -1)])
    assert mean == pytest.approx(np.sum(W**2) + np.sum(kept**2), rel=1e-12)
    assert mean < np.mean([np.sum((W + sign * delta) ** 2) for sign in (1, -1)])


@pytest.mark.claim("T4.rect")
def test_a_floor_below_the_share_of_w_is_not_the_claim():
    (claim,) = (claim for claim in rect_proofs.claims() if claim.id == "T4.rect")
    for weaker in (claim.subject / 2, claim.subject**2):
        assert not claim.check(weaker).established


@pytest.mark.claim("T4.rect_witness")
def test_the_witnesses_in_floats():
    cases = ((rect_proofs.ORTHOGONAL, (13.0, 16.0, 14.0)), (rect_proofs.SHRINKING, (-0.625, 4.125, 4.625)))
    for example, expected in cases:  # plain, 20 % and 40 % of the entries
        W, k, shift = (np.array(part, dtype=float) for part in (example.weight, example.key, example.shift))
        delta = np.outer(shift, k) / (k @ k)
        changes = [np.sum((W + D) ** 2) - np.sum(W**2) for D in (delta, rect(W, delta, 2), rect(W, delta, 4))]
        assert changes == pytest.approx(expected, rel=1e-12)


@pytest.mark.claim("T4.mask")
@pytest.mark.parametrize("kept", [1, 3])
def test_mask_over_every_subset_of_coordinates(kept):
    rng = np.random.default_rng(kept)
    m, n, c, eta = 4, 3, 1.4, 0.7
    W = rng.normal(size=(m, n))
    squares = []
    for k, subset in itertools.product(np.eye(n), itertools.combinations(range(m), kept)):
        mask = np.isin(np.arange(m), subset)
        read = W @ k
        across = rng.normal(size=m)
        across -= read * (across @ read) / (read @ read)
        for sign in (1, -1):
            shift = sign * c * np.linalg.norm(read) * across / np.linalg.norm(across)
            squares.append([mask, sign, k, shift])
    # The masks must ignore δ, so every δ meets every mask.
    total = [
        np.sum((W + eta * np.outer(mask * shift, k)) ** 2)
        for (mask, _, k, _), (_, _, other, shift) in itertools.product(squares, repeat=2)
        if np.array_equal(k, other)
    ]
    assert np.mean(total) / np.sum(W**2) == pytest.approx(filters.masked_factor(n, c, kept / m, eta**2), rel=1e-12)


@pytest.mark.claim("T4.sphere")
@pytest.mark.parametrize(("alpha", "rank"), [(0.5, 1), (0.8, 2), (1.0, 1)])
def test_sphere_over_the_icosahedron(alpha, rank):
    rng = np.random.default_rng(rank)
    c, eta = 1.3, 0.6
    W = rng.normal(size=(4, 3)) * [3.0, 1.0, 0.2]
    rows = W / np.linalg.norm(W, axis=1, keepdims=True)
    U = np.linalg.svd(rows)[2][:rank].T  # SPHERE's own U(W)
    held = np.sum((W @ U) ** 2) / np.sum(W**2)
    ratio = mean_square(W, c, eta, lambda D: D - alpha * D @ U @ U.T) / np.sum(W**2)
    assert ratio == pytest.approx(filters.filtered_step(3, rank, alpha, held, c, eta**2), rel=1e-12)
    ends = [filters.filtered_step(3, rank, alpha, f, c, eta**2) for f in (1.0, 0.0)]
    assert ends[0] <= ratio <= ends[1]
    assert ends[0] > 1


@pytest.mark.claim("T4.sphere_fixed")
@pytest.mark.parametrize(("alpha", "rank"), [(0.0, 1), (0.5, 1), (0.8, 2), (1.0, 2)])
def test_fixed_filter_by_iterating_the_second_moment(alpha, rank):
    c, eta, n = 1.5, 0.8, 3
    Q = np.eye(n) - alpha * np.diag([1.0] * rank + [0.0] * (n - rank))
    S, rate = np.diag([5.0, 1.0, 0.1]), 0.0
    for _ in range(400):  # S = E WᵀW
        later = S + eta**2 * c**2 * np.mean([(k @ S @ k) * np.outer(Q @ k, Q @ k) for k in KEYS], axis=0)
        rate, S = np.trace(later) / np.trace(S), later / np.trace(later)
    assert rate == pytest.approx(filters.filtered_rate(n, rank, alpha, c, eta**2), rel=1e-9)


@pytest.mark.claim("T4.revive")
def test_revive_along_a_stream_of_random_keys():
    rng = np.random.default_rng(6)
    m, n, rank, c, eta, steps, paths = 3, 4, 1, 1.5, 0.8, 3, 40_000
    start = rng.normal(size=(m, n))
    U, values, Vh = np.linalg.svd(start)
    L, P = np.eye(m) - U[:, :rank] @ U[:, :rank].T, np.eye(n) - Vh[:rank].T @ Vh[:rank]
    W = np.broadcast_to(start, (paths, m, n))
    for _ in range(steps):
        k, e = rng.normal(size=(paths, n)), rng.normal(size=(paths, m))
        read = np.linalg.norm(np.einsum("amn,an->am", W, k), axis=1)
        shift = (c * read / np.linalg.norm(e, axis=1))[:, None] * e
        W = W + eta * np.einsum("am,an->amn", shift @ L, k @ P) / np.sum(k**2, axis=1)[:, None, None]
    fixed, free = np.sum(values[:rank] ** 2), np.sum(values[rank:] ** 2)
    level = fixed * (n - rank) / (n - rank + 2)
    law = fixed - level + (free + level) * filters.confined_rate(m, n, rank, c, eta**2) ** steps
    squares = np.sum(W**2, axis=(1, 2))
    assert abs(squares.mean() - law) < 4 * squares.std() / math.sqrt(paths)
    assert 4 * squares.std() / math.sqrt(paths) < 0.02 * law


@pytest.mark.claim("T4.sphere_fixed")
def test_fixed_filter_rate_is_the_docstrings_root():
    n, rank, alpha = 9, 4, 0.3
    kept = (1 - alpha) ** 2
    roots = np.roots([1.0, -(kept * (rank + 2) + n - rank + 2), 2 * kept * (n + 2)])
    assert filters.filtered_rate(n, rank, alpha, 1.0) == pytest.approx(1 + max(roots) / (n * (n + 2)), rel=1e-12)


@pytest.mark.claim("T4.revive")
@pytest.mark.parametrize("rank", [0, 1])
def test_revive_over_the_icosahedron(rank):
    rng = np.random.default_rng(4)
    c, eta, m, n = 1.2, 0.9, 2, 3
    W = rng.normal(size=(m, n))
    U, values, Vh = np.linalg.svd(W)
    L, P = np.eye(m) - U[:, :rank] @ U[:, :rank].T, np.eye(n) - Vh[:rank].T @ Vh[:rank]
    after = mean_square(W, c, eta, lambda D: L @ D @ P)
    fixed, free = np.sum(values[:rank] ** 2), np.sum(values[rank:] ** 2)
    level = fixed * (n - rank) / (n - rank + 2)
    rate = filters.confined_rate(m, n, rank, c, eta**2)
    assert after - fixed + level == pytest.approx(rate * (free + level), rel=1e-12)


def test_without_a_filter_every_factor_is_the_plain_one():
    plain = 1 + 0.5 * 1.5**2 / 7
    assert filters.masked_factor(7, 1.5, 1.0, 0.5) == pytest.approx(plain)
    assert filters.filtered_step(7, 3, 0.0, 0.4, 1.5, 0.5) == pytest.approx(plain)
    assert filters.filtered_rate(7, 3, 0.0, 1.5, 0.5) == pytest.approx(plain)
    assert filters.confined_rate(5, 7, 0, 1.5, 0.5) == pytest.approx(plain)
