"""T3's operator by second routes: Kronecker matrices, exact sums, known densities, brute force over samples."""

import itertools
import math
from fractions import Fraction

import mpmath
import numpy as np
import pytest
from scipy import integrate

from theory.command import Misuse
from theory.growth.growth_operator import anisotropic_radius, perron, power_iteration, radius, sample_perron
from theory.growth.isotropic import soft_gain_moments
from theory.growth.key_laws import HARD, SOFT, Gain, GaussianKeys, SampleKeys, gaussian_keys, sample_keys
from theory.growth.quadratures import gaussian_moments
from theory.growth.radius_bounds import bernstein_low


def drawn(n, count, seed=0, spread=5.0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, count)) * np.geomspace(1, spread, n)[:, None]


def kronecker(keys, statistic, gain):
    """E[η²(kᵀXk)uuᵀ] as an n² × n² matrix from the definition, u = Mk/s, in the keys' own coordinates."""
    M = np.eye(len(keys)) if statistic is None else np.linalg.inv(statistic)
    total = np.zeros((len(keys) ** 2,) * 2)
    for k in keys.T:
        s = k @ M @ k
        u = M @ k / s
        total += gain(s) ** 2 * np.outer(np.kron(u, u), np.kron(k, k)) / keys.shape[1]
    return total


@pytest.mark.claim("T3.operator", "T3.sample")
@pytest.mark.parametrize("route", ["gram", "matrix"])
@pytest.mark.parametrize(("n", "count"), [(1, 3), (3, 2), (4, 9), (5, 60)])
def test_the_sample_radius_is_the_kronecker_matrix_s(route, n, count):
    keys = drawn(n, count, n)
    statistic = np.cov(drawn(n, 50, 1)).reshape(n, n) + np.eye(n)
    for A, gain, eta in ((None, HARD, lambda s: 1.0), (statistic, SOFT, lambda s: s / (1 + s)),
                         (statistic, Gain(3.0, 0.5), lambda s: 0.5 * s / (3 + s))):  # fmt: skip
        expected = np.abs(np.linalg.eigvals(kronecker(keys, A, eta))).max()
        found = sample_perron(sample_keys(keys, A, gain), 1e-10, route).radius
        assert found.value == pytest.approx(expected, rel=1e-9)
        assert found.low * (1 - 1e-13) <= expected <= found.high * (1 + 1e-13)
        assert found.high - found.low <= 1e-8 * found.value


@pytest.mark.claim("T3.operator")
def test_the_mean_norm_of_all_key_sequences_grows_at_the_operator_s_rate():
    keys, c, m = drawn(3, 3, 2), 0.8, 4
    law = sample_keys(keys)
    found = perron(law, 1e-12)
    values, vectors = np.linalg.eigh(found.matrix)
    start = np.vstack([vectors * np.sqrt(np.maximum(values, 0)) @ vectors.T, np.zeros((1, 3))])
    norms = []
    for sequence in itertools.product(range(3), repeat=2):
        for signs in itertools.product((1, -1), repeat=2 * (m - 1)):
            W, weight = start, 1.0
            for at, (which, sign) in enumerate(zip(sequence, (signs[0], signs[m - 1]), strict=True)):
                k = keys[:, which]
                read = W @ k
                across = np.linalg.svd(read[None])[2][1 + at]  # any direction across Wk, with both signs
                W = W + sign * c * np.linalg.norm(read) * np.outer(across, k) / (k @ k)
            norms.append(weight * np.sum(W**2))
    assert np.mean(norms) == pytest.approx((1 + c**2 * found.radius.value) ** 2, rel=1e-9)


@pytest.mark.claim("T3.sample")
def test_the_eigenmatrix_and_single_precision_storage(monkeypatch):
    law = sample_keys(drawn(6, 40), gain=SOFT)
    X = perron(law, 1e-12).matrix
    image = np.einsum("i,ai,bi->ab", law.gains**2 * np.einsum("ai,ab,bi->i", law.directions, X, law.directions) / 40,
                      law.directions, law.directions)  # fmt: skip
    value = perron(law, 1e-12).radius.value
    np.testing.assert_allclose(image, value * X, rtol=0, atol=1e-9 * value)
    assert np.trace(X) == pytest.approx(1)
    assert np.linalg.eigvalsh(X)[0] > 0
    monkeypatch.setattr("theory.growth.growth_operator.WIDE_LIMIT", 10)
    monkeypatch.setattr("theory.growth.growth_operator.TILE", 7)  # tiles that do not divide N
    narrow = sample_perron(law, 1e-6, "gram").radius
    assert narrow.low <= value <= narrow.high
    assert narrow.high - narrow.low <= 3e-6 * value
    wide = sample_perron(law, 1e-10, "matrix").radius
    assert wide.value == pytest.approx(value, rel=1e-12)


@pytest.mark.claim("T3.bracket")
def test_the_bracket_holds_at_every_iterate_even_unconverged():
    law = sample_keys(np.hstack([drawn(4, 12, 3), drawn(4, 12, 4)[::-1]]))
    exact = sample_perron(law, 1e-12).radius.value
    for limit in (1, 2, 3, 5):
        for route in ("gram", "matrix"):
            found = sample_perron(law, 1e-12, route, limit).radius
            assert found.low <= exact <= found.high
    with pytest.raises(Misuse, match="allow at least 1"):
        power_iteration(lambda v: v, np.ones(2), 1e-6, 0)


@pytest.mark.claim("T3.sample", "T3.bracket")
@pytest.mark.parametrize("route", ["gram", "matrix"])
def test_the_bracket_holds_rounding_included(route):
    # Keys on axes: ρ is the largest share of an axis, here as an exact fraction of the gains as stored.
    for seed in range(12):
        rng = np.random.default_rng(seed)
        n, count = int(rng.integers(1, 5)), int(rng.integers(4, 3000 if seed < 3 else 200))
        axes, eta = rng.integers(0, n, count), rng.uniform(1e-3, 1, count)
        exact = max(sum(Fraction(float(g)) ** 2 for g in eta[axes == i]) for i in range(n)) / count
        found = sample_perron(SampleKeys(np.eye(n)[:, axes], np.ones(count), eta), 1e-9, route).radius
        assert Fraction(found.low) <= exact <= Fraction(found.high)


@pytest.mark.claim("T3.bracket")
def test_a_reducible_sample_of_two_blocks():
    keys = np.zeros((4, 9))
    keys[:2, :6], keys[2:, 6:] = drawn(2, 6, 5), drawn(2, 3, 6)
    blocks = [np.abs(np.linalg.eigvals(kronecker(part, None, lambda s: 1.0))).max() * part.shape[1] / 9
              for part in (keys[:2, :6], keys[2:, 6:])]  # fmt: skip
    found = radius(sample_keys(keys))
    assert found.low <= max(blocks) <= found.high
    assert found.value == pytest.approx(max(blocks), rel=1e-6)


@pytest.mark.claim("T3.operator")
def test_the_norm_grows_at_the_rate_where_the_radius_is_shared_by_two_blocks():
    # ρ = 1/2 has two eigenmatrices; a start in one of them alone grows, at the same rate.
    law, c = sample_keys(np.eye(2)), 0.5
    state = np.diag([1.0, 0.0])
    for _ in range(60):
        outers = [np.outer(y, y) for y in law.directions.T]
        state = (
            state + c**2 * sum((y @ state @ y) * outer for y, outer in zip(law.directions.T, outers, strict=True)) / 2
        )
    assert np.trace(state) == pytest.approx((1 + c**2 * radius(law).value) ** 60, rel=1e-12)


@pytest.mark.claim("T3.matched")
def test_matched_metrics_give_one_nth_whatever_the_covariance():
    root = np.random.default_rng(0).normal(size=(6, 6))
    covariance = root @ root.T + 0.1 * np.eye(6)
    assert radius(gaussian_keys(covariance, covariance)).value == pytest.approx(1 / 6, rel=1e-12)
    assert radius(gaussian_keys(covariance)).value > 1.2 / 6
    soft = radius(gaussian_keys(covariance, 4 * covariance, SOFT)).value
    assert soft == pytest.approx(soft_gain_moments(6, 4.0) / 6, rel=1e-9)


@pytest.mark.claim("T3.gaussian")
@pytest.mark.parametrize("ratio", [1.0, 4.0, 1e4])
def test_two_dimensions_by_the_angle_s_density(ratio):
    # The angle of N(0, diag(1, r)) has the density √r/(2π(r cos² + sin²)).
    density = lambda angle: math.sqrt(ratio) / (2 * math.pi * (ratio * math.cos(angle) ** 2 + math.sin(angle) ** 2))  # noqa: E731
    moment = lambda a, b: 4 * integrate.quad(  # noqa: E731
        lambda x: density(x) * math.cos(x) ** a * math.sin(x) ** b, 0, math.pi / 2, limit=400, epsrel=1e-12,
        points=[math.atan(math.sqrt(ratio)), math.atan(10 * math.sqrt(ratio))])[0]  # fmt: skip
    matrix = [[moment(4, 0), moment(2, 2)], [moment(2, 2), moment(0, 4)]]
    found = gaussian_moments(GaussianKeys(np.array([1.0, ratio])))
    np.testing.assert_allclose(found.second, matrix, rtol=1e-7)
    np.testing.assert_allclose(found.first, [moment(2, 0), moment(0, 2)], rtol=1e-8)
    assert found.first[0] == pytest.approx(1 / (1 + math.sqrt(ratio)), rel=1e-12)


@pytest.mark.claim("T3.gaussian")
@pytest.mark.parametrize("gain", [HARD, SOFT, Gain(20.0, 0.3)])
@pytest.mark.parametrize("mu", [np.ones(1), np.array([1.0, 1e-9]), np.geomspace(1, 1e6, 7), np.geomspace(1, 50, 300)])
def test_gaussian_moments_sum_to_the_gain_s(gain, mu):
    found, twice = (gaussian_moments(GaussianKeys(mu, gain), step) for step in (0.2, 0.13))
    np.testing.assert_allclose(found.second, twice.second, rtol=1e-11, atol=1e-300)
    np.testing.assert_allclose(found.first, twice.first, rtol=1e-11)
    assert found.second.sum(axis=1).max() <= 1
    if gain.ridge == 0:
        assert found.first.sum() == pytest.approx(1, rel=1e-12)
        np.testing.assert_allclose(found.second.sum(axis=1), found.first, rtol=1e-11)
        assert np.isfinite(found.floor).all() == (len(mu) > 2)
    bracket = radius(GaussianKeys(mu, gain))
    assert bracket.low <= bracket.value <= bracket.high
    assert bracket.high - bracket.low <= 1e-10 * bracket.value


@pytest.mark.claim("T3.gaussian")
def test_isotropic_gaussian_moments_and_scaling():
    mu = np.full(9, 0.5)
    with mpmath.workdps(20):
        density = lambda s: mpmath.exp(-s) * s ** mpmath.mpf(3.5) / mpmath.gamma(4.5)  # noqa: E731  (s = χ²_9/2)
        gain, square, floor = (mpmath.quad(lambda s, p=p, q=q: density(s) * s**q / (1 + s) ** p, [0, 2, 8, mpmath.inf])
                               for p, q in ((1, 1), (2, 2), (2, 1)))  # fmt: skip
    found = gaussian_moments(GaussianKeys(mu, SOFT))
    assert found.first.sum() == pytest.approx(float(gain), rel=1e-11)
    assert found.second.sum() == pytest.approx(float(square), rel=1e-11)
    assert found.floor.sum() == pytest.approx(float(floor), rel=1e-11)
    assert radius(GaussianKeys(mu, SOFT)).value == pytest.approx(float(square) / 9, rel=1e-11)
    shape = np.geomspace(1, 30, 24)
    assert anisotropic_radius(shape) == pytest.approx(anisotropic_radius(1e5 * shape), rel=1e-12)
    assert anisotropic_radius(shape) == pytest.approx(0.0750, abs=5e-5)
    assert anisotropic_radius(np.linspace(1, 30, 24)) == pytest.approx(0.0540, abs=5e-5)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: sample_keys(np.ones(3)), r"keys have shape \(3,\)"),
        (lambda: sample_keys(np.array([[1.0, np.nan]])), "NaN or infinity"),
        (lambda: sample_keys(np.array([[1.0, 0.0], [2.0, 0.0]])), "key 1 is zero"),
        (lambda: sample_keys(np.ones((2, 3)), np.eye(3)), r"A \(3, 3\) does not fit keys \(2, 3\)"),
        (lambda: sample_keys(np.ones((2, 3)), gain=np.array([1.0, 0.5])), "one number for each of the 3 keys"),
        (lambda: sample_keys(np.ones((2, 2)), gain=np.array([1.0, 1.5])), r"η is 1.5; it must lie in \(0, 1\]"),
        (lambda: sample_keys(np.ones((2, 1)), gain=np.array([np.nan])), "η is nan"),
        (lambda: gaussian_keys(np.array([[1.0, 0.5], [0.0, 1.0]])), "Σ is not symmetric"),
        (lambda: gaussian_keys(np.diag([1.0, -1.0])), "not positive definite"),
        (
            lambda: gaussian_keys(np.diag([1.0, 1e-17])),
            r"condition number 1e\+17, beyond float64 at n = 2; add a ridge",
        ),
        (lambda: gaussian_keys(np.ones((2, 2))), "beyond float64"),
        (lambda: gaussian_keys(np.ones((2, 3))), "pass a square matrix"),
        (lambda: gaussian_keys(np.full((2, 2), np.inf)), "NaN or infinity"),
        (lambda: gaussian_keys(np.eye(2), np.eye(3)), "does not fit"),
        (lambda: GaussianKeys(np.array([1.0, 0.0])), "must be positive"),
        (lambda: GaussianKeys(np.eye(2)), "as a vector"),
        (lambda: GaussianKeys(np.array([1e-300, 1e300])), "1e-300 to 1e[+]300; rescale it"),
        (lambda: bernstein_low(np.ones(1), 1.0, 0.9), "1 numbers have no variance"),
        (lambda: Gain(-1.0), "ridge is -1"),
        (lambda: Gain(0.0, 1.5), "must lie in"),
        (lambda: sample_perron(sample_keys(np.eye(2)), 0.0), "tolerance is 0"),
    ],
)
def test_bad_input_is_one_line_with_a_remedy(call, message):
    with pytest.raises(Misuse, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)


def test_keys_of_extreme_size_keep_their_direction():
    with pytest.raises(Misuse, match="squares outside float64"):
        sample_keys(np.array([[3e-300, 3e200], [4e-300, 4e200]]))
    keys = np.array([[3e-150, 3e150], [4e-150, 4e150]])
    np.testing.assert_allclose(sample_keys(keys, gain=np.ones(2)).directions, [[0.6, 0.6], [0.8, 0.8]], rtol=1e-15)
