"""T4's increment controls by second routes: exact averages over frames of keys, brute force, direct solves."""

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
import sympy

from theory.command import Misuse
from theory.controls import filters, increment_proofs
from theory.controls import increments as controls
from theory.growth.isotropic import mean_growth


def norm(W, inverse):
    return math.sqrt(np.trace(W @ inverse @ W.T))


def metric(rng, n):
    root = rng.normal(size=(n, n))
    M = root @ root.T + 0.3 * np.eye(n)
    return M, np.linalg.inv(M)


def write(W, k, shift, M, eta):
    return W + eta * np.outer(shift, M @ k) / (k @ M @ k)


def frame(M):
    """Keys whose x = M^(1/2)k are the orthonormal basis: their mean of x̂x̂ᵀ is exactly I/n."""
    values, vectors = np.linalg.eigh(M)
    return list((vectors / np.sqrt(values)) @ vectors.T)


@pytest.mark.claim("T4.relative_worst", "T4.stream_worst", "T4.absolute_clamp", "T4.caps")
@pytest.mark.parametrize("seed", range(4))
def test_no_random_stream_passes_the_bounds(seed):
    rng = np.random.default_rng(seed)
    m, n, c, tau, kappa = 3, 5, 1.5, 0.7, 2.0
    M, inverse = metric(rng, n)
    start = rng.normal(size=(m, n))
    relative = absolute = stretched = start
    ceiling = norm(start, inverse)
    etas, sizes = rng.uniform(0.1, 1, 30), []
    for eta in etas:
        k, e = rng.normal(size=n), rng.normal(size=m)
        if seed % 2:  # along the read-out, where the bounds are tightest
            e = relative @ k
        s, e = k @ M @ k, e / np.linalg.norm(e)
        sizes.append(s)
        relative = write(relative, k, c * np.linalg.norm(relative @ k) * e, M, eta)
        absolute = write(absolute, k, tau * e, M, eta)
        p = kappa * rng.permutation(np.eye(m))[0]
        stretched = write(stretched, k, c * np.linalg.norm(p + stretched @ k) * e, M, eta)
        ceiling = (1 + eta * c) * ceiling + eta * c * kappa / math.sqrt(s)
    first = norm(start, inverse)
    assert norm(relative, inverse) <= controls.relative_worst(first, c, etas)[-1] * (1 + 1e-12)
    assert norm(absolute, inverse) <= controls.absolute_worst(first, tau, etas, sizes)[-1] * (1 + 1e-12)
    assert norm(stretched, inverse) <= ceiling * (1 + 1e-12)


@pytest.mark.claim("T4.relative_worst", "T4.increment_controls")
def test_one_key_asked_again_attains_the_relative_and_the_absolute_bound():
    rng = np.random.default_rng(7)
    n, c, tau, eta, steps = 4, 0.5, 0.3, 0.6, 25
    M, inverse = metric(rng, n)
    k, b = rng.normal(size=n), rng.normal(size=3)
    relative = absolute = np.outer(b, M @ k)
    for _ in range(steps):
        relative = write(relative, k, c * relative @ k, M, eta)
        absolute = write(absolute, k, tau * b / np.linalg.norm(b), M, eta)
    first = norm(np.outer(b, M @ k), inverse)
    assert norm(relative, inverse) == pytest.approx(controls.relative_worst(first, c, [eta] * steps)[-1], rel=1e-12)
    assert norm(relative, inverse) == pytest.approx(first * 1.3**steps, rel=1e-12)
    bound = controls.absolute_worst(first, tau, eta, [k @ M @ k] * steps)
    assert norm(absolute, inverse) == pytest.approx(bound[-1], rel=1e-12)


@pytest.mark.claim("T4.relative_clamp", "T4.absolute_clamp")
@pytest.mark.parametrize(("c", "eta"), [(0.75, 1.0), (2.0, 0.4)])
def test_means_over_a_frame_of_keys_and_both_signs_of_the_shift(c, eta):
    rng = np.random.default_rng(3)
    n, tau = 4, 1.3
    M, inverse = metric(rng, n)
    W = rng.normal(size=(2, n))
    relative, absolute = [], []
    for k, sign in itertools.product(frame(M), (1, -1)):
        read = W @ k
        across = sign * np.array([-read[1], read[0]])
        relative.append(norm(write(W, k, c * across, M, eta), inverse) ** 2)
        absolute.append(norm(write(W, k, tau * across / np.linalg.norm(read), M, eta), inverse) ** 2)
    before = norm(W, inverse) ** 2
    assert np.mean(relative) / before == pytest.approx(mean_growth(n, c, eta**2), rel=1e-12)
    assert np.mean(absolute) == pytest.approx(controls.absolute_mean(before, tau, eta, [1.0])[-1], rel=1e-12)


@pytest.mark.claim("T4.relative_clamp")
def test_uneven_keys_grow_between_the_two_factors():
    rng = np.random.default_rng(5)
    n, c, weights = 3, 1.5, np.array([0.6, 0.3, 0.1])
    W = rng.normal(size=(2, n))
    after = 0.0
    for p, k in zip(weights, np.eye(n), strict=True):
        read = W @ k
        after += p * np.sum(write(W, k, c * np.array([-read[1], read[0]]), np.eye(n), 1.0) ** 2)
    ratio = after / np.sum(W**2)
    assert 1 + c**2 * weights.min() < ratio < 1 + c**2 * weights.max()


@pytest.mark.claim("T4.stream_clamp")
@pytest.mark.parametrize("steps", [1, 3])
def test_stream_clamp_over_every_path_of_keys_streams_and_signs(steps):
    n, c, size = 2, 0.8, 1.7
    W0 = np.array([[1.0, 0.3], [-0.2, 0.8]])
    squares = []
    for path in itertools.product(np.eye(n), (1, -1), (1, -1), repeat=steps):
        W = W0
        for k, side, sign in zip(path[0::3], path[1::3], path[2::3], strict=True):
            h = W @ k + side * np.array([size, 0.0])
            read = W @ k
            across = np.array([-read[1], read[0]]) / np.linalg.norm(read)
            W = W + np.outer(sign * c * np.linalg.norm(h) * across, k)
        squares.append(np.sum(W**2))
    law = controls.stream_clamp_law(np.sum(W0**2), c**2 / n, n * size**2, steps)
    assert np.mean(squares) == pytest.approx(law, rel=1e-12)


@pytest.mark.claim("T4.stream_clamp")
def test_a_stream_that_cancels_the_readout_leaves_nothing_to_clamp_to():
    W, k = np.array([[1.0, 2.0]]), np.array([1.0, 1.0])
    p = -(W @ k)
    assert np.linalg.norm(p + W @ k) == 0.0
    law = [controls.stream_clamp_law(1.0, 0.01, 1000.0, t) for t in (0, 1, 2, 2000, 2001)]
    assert (law[2] - law[1]) / (law[1] - law[0]) == pytest.approx(1.01, rel=1e-9)  # nearly a line
    assert law[4] / law[3] == pytest.approx(1.01, rel=1e-6)  # an exponential in the end


@pytest.mark.claim("T4.caps")
def test_active_relative_cap_in_the_mean():
    rng = np.random.default_rng(9)
    W, D = rng.normal(size=(2, 3, 4))
    q = 0.6
    delta = q * D * np.linalg.norm(W) / np.linalg.norm(D)
    mean = np.mean([np.linalg.norm(W + sign * delta) ** 2 for sign in (1, -1)])
    assert mean == pytest.approx((1 + q**2) * np.linalg.norm(W) ** 2, rel=1e-12)


@pytest.mark.claim("T4.caps")
def test_a_looser_cap_is_not_the_claim():
    (claim,) = (claim for claim in increment_proofs.claims() if claim.id == "T4.caps")
    for looser in (increment_proofs.NORM + 2 * increment_proofs.KAPPA, 2 * increment_proofs.NORM):
        assert not claim.check(replace(claim.subject, absolute=looser)).established


@pytest.mark.claim("T4.relative_clamp")
def test_a_typical_path_may_shrink_while_the_mean_grows():
    signs = np.random.default_rng(1).choice([1.0, -1.0], size=4000)
    typical = np.mean(np.log((1 + 0.5 * signs) ** 2))  # m = n = 1, c = 1/2
    assert mean_growth(1, 0.5) > 1
    assert typical == pytest.approx(math.log(0.75), abs=0.1)


@pytest.mark.claim("T4.relative_worst", "T4.absolute_clamp")
def test_the_bounds_need_one_metric_throughout():
    k, e = np.array([1.0, 0.0]), np.array([1.0])
    W, M = np.array([[0.0, 1.0]]), np.diag([1.0, 100.0])
    after = write(W, k, 1e-9 * e, M, 1.0)
    small = controls.absolute_worst(norm(W, np.linalg.inv(M)), 1e-9, 1.0, [1.0])[-1]
    assert norm(after, np.linalg.inv(M)) <= small
    assert norm(after, np.eye(2)) > 9 * small  # another metric afterwards


def test_extreme_values_keep_their_digits():
    assert controls.stream_clamp_law(1.0, 0.1, 1e17, 0) == 1.0
    assert controls.decay_threshold(1 + 2**-40) == pytest.approx(2**-41, rel=1e-11)


@pytest.mark.claim("T4.ridge")
@pytest.mark.parametrize("lam", [0.01, 1.0, 300.0])
def test_ridge_share_is_what_the_solve_writes(lam):
    rng = np.random.default_rng(2)
    C, inverse = metric(rng, 5)
    k = rng.normal(size=5)
    written = k @ np.linalg.solve(lam * C + np.outer(k, k), k)  # W'k − Wk = written · r
    assert controls.ridge_share(k @ inverse @ k, lam) == pytest.approx(written, rel=1e-10)


@pytest.mark.claim("T4.ridge_mismatch")
def test_the_added_ridge_speeds_the_mean_recursion_up():
    keys, c, rates = np.array([[1.0, 0.0], [2.0, 1.0]]), 1.0, []
    C = keys.T @ keys / 2
    for ridge in (0.0, 0.1):
        A, S = 0.01 * C + ridge * np.eye(2), np.eye(2)
        for _ in range(200):
            added = np.zeros((2, 2))
            for k in keys:
                u = np.linalg.solve(A + np.outer(k, k), k)
                added += c**2 * (k @ S @ k) * np.outer(u, u) / 2
            rate = np.trace(S + added) / np.trace(S)
            S = (S + added) / np.trace(S + added)
        rates.append(rate)
    assert rates == pytest.approx([1.49504, 1.76497], abs=1e-5)


def test_misuse_is_named():
    for call, words in (
        (lambda: controls.relative_worst(1.0, -1.0, [1.0]), "clamp c is -1.0"),
        (lambda: controls.absolute_worst(1.0, -1.0, 1.0, [1.0]), "clamp τ is -1.0"),
        (lambda: controls.absolute_mean(1.0, 1.0, 1.0, [0.0]), "s = kᵀMk of 0.0"),
        (lambda: controls.stream_clamp_law(1.0, -0.1, 1.0, 1), "rate γ is -0.1"),
        (lambda: controls.stream_clamp_law(1.0, 0.1, -1.0, 1), "size L is -1.0"),
        (lambda: controls.ridge_share(0.0, 1.0), "s = kᵀC⁻¹k is 0.0"),
        (lambda: controls.ridge_share(1.0, 0.0), "ridge λ is 0.0"),
        (lambda: filters.masked_factor(4, 1.0, 1.5), "kept share is 1.5"),
        (lambda: filters.filtered_step(4, 5, 0.5, 0.5, 1.0), "5 directions are removed of 4"),
        (lambda: filters.filtered_step(4, 2, 1.5, 0.5, 1.0), "α is 1.5"),
        (lambda: filters.filtered_step(4, 2, 0.5, -0.5, 1.0), "f is -0.5"),
        (lambda: filters.filtered_rate(4, 4, 0.5, 1.0), "4 directions are removed of 4"),
        (lambda: filters.filtered_rate(4, 2, 2.0, 1.0), "α is 2.0"),
        (lambda: filters.confined_rate(2, 4, 3, 1.0), "3 directions are protected in 2 × 4"),
        (lambda: controls.decayed_factor(1.5, 1.0), "decay w is 1.5"),
        (lambda: controls.decay_threshold(0.5), "growth factor is 0.5"),
        (lambda: controls.decay_threshold(math.inf), "growth factor is inf"),
        (lambda: controls.decay_threshold(math.nan), "growth factor is nan"),
        (lambda: controls.decayed_factor(0.5, -1.0), "growth factor is -1.0"),
        (lambda: controls.relative_worst(-1.0, 1.0, [1.0]), "norm of W_0 is -1.0"),
        (lambda: controls.relative_worst(1.0, 1.0, [1.5]), "share η of 1.5"),
        (lambda: controls.absolute_worst(1.0, 1.0, 0.0, [1.0]), "share η of 0.0"),
        (lambda: controls.absolute_mean(-1.0, 1.0, 1.0, [1.0]), "norm of W_0 is -1.0"),
        (lambda: controls.absolute_mean(1.0, 1.0, math.nan, [1.0]), "share η of nan"),
        (lambda: controls.stream_clamp_law(1.0, 0.1, 1.0, -1), "-1 edits are asked for"),
        (lambda: controls.stream_clamp_law(-1.0, 0.1, 1.0, 1), "squared norm of W_0 is -1.0"),
        (lambda: controls.ridge_share(math.inf, 1.0), "s = kᵀC⁻¹k is inf"),
        (lambda: filters.masked_factor(0, 1.0, 0.5), "key dimension is 0"),
        (lambda: filters.masked_factor(4, -1.0, 0.5), "ratio c is -1.0"),
        (lambda: filters.masked_factor(4, 1.0, 0.5, 1.2), "E\\[η²\\] is 1.2"),
        (lambda: filters.masked_factor(4, 1.0, sympy.Rational(3, 2)), "kept share is 3/2"),
        (lambda: filters.filtered_step(4, 2, 0.5, np.array([0.5, 2.0]), 1.0), "f is "),
        (lambda: filters.confined_rate(0, 4, 0, 1.0), "value dimension is 0"),
        (lambda: filters.confined_rate(2, 4, -1, 1.0), "-1 directions are protected"),
    ):
        with pytest.raises(Misuse, match=words):
            call()
