"""T3's formulas by second routes: finite key laws summed exactly, special functions, root finding."""

import itertools
import math

import mpmath
import numpy as np
import pytest

from theory.command import Misuse
from theory.growth.isotropic import mean_growth, rate_from_factor, soft_gain_moments
from theory.provers.moments import DIMENSION, chi_square_moment, sphere_moment

GOLDEN = (1 + math.sqrt(5)) / 2


def write(W, k, v, eta=1.0):
    return W + eta * np.outer(v - W @ k, k) / (k @ k)


def turned(readout):
    """A vector orthogonal to a read-out of two entries and as long."""
    return np.array([-readout[1], readout[0]])


@pytest.mark.claim("T3.isotropic", "T3.conditional")
@pytest.mark.parametrize(("n", "c", "eta"), [(3, 0.75, 1.0), (4, 2.0, 0.5)])
def test_mean_growth_over_a_tight_frame_of_keys(n, c, eta):
    rng = np.random.default_rng(n)
    W, frame = rng.normal(size=(2, n)), np.linalg.qr(rng.normal(size=(n, n)))[0].T
    sizes = rng.uniform(0.5, 2.0, size=n)  # lengths do not matter, directions do
    after = [write(W, t * k, W @ (t * k) + c * turned(W @ (t * k)), eta) for t, k in zip(sizes, frame, strict=True)]
    ratio = np.mean([np.sum(x**2) for x in after]) / np.sum(W**2)
    assert ratio == pytest.approx(mean_growth(n, c, eta**2), rel=1e-13)


@pytest.mark.claim("T3.conditional")
@pytest.mark.parametrize("alpha", [0.25, 1.0, 4.0])
def test_norm_grows_only_for_values_longer_than_readouts(alpha):
    n, rng = 3, np.random.default_rng(1)
    W = rng.normal(size=(2, n))
    after = [write(W, k, math.sqrt(alpha) * turned(W @ k)) for k in np.eye(n)]
    ratio = np.mean([np.sum(x**2) for x in after]) / np.sum(W**2)
    assert ratio == pytest.approx(1 + (alpha - 1) / n, rel=1e-13)


@pytest.mark.claim("T3.jensen")
def test_mean_log_growth_of_all_paths_lies_below_the_bound():
    n, c, steps = 2, 1.5, 4
    W0 = np.array([[1.0, 0.3], [-0.2, 0.8]])
    logs, ratios = [], []
    for path in itertools.product(itertools.product(np.eye(n), (1, -1)), repeat=steps):
        W = W0
        for k, sign in path:
            W = write(W, k, W @ k + sign * c * turned(W @ k))
        ratios.append(np.sum(W**2) / np.sum(W0**2))
        logs.append(math.log(ratios[-1]) / steps)
    assert np.mean(ratios) == pytest.approx((1 + c**2 / n) ** steps, rel=1e-12)
    assert np.mean(logs) < rate_from_factor(1 + c**2 / n)


@pytest.mark.claim("T3.no_growth", "T3.no_growth_unweighted")
def test_short_keys_count_more():
    # W = 1: key 1 asks for 2, key 2 asks for 0; the mean square asked for is 2, that read out 5/2.
    after = [write(np.ones((1, 1)), np.array([k]), np.array([v])).item() for k, v in ((1.0, 2.0), (2.0, 0.0))]
    assert np.mean(np.square(after)) == pytest.approx(2.0)  # from 1: it doubled
    rng = np.random.default_rng(0)
    for eta in (0.3, 1.0):
        W, k, u = rng.normal(size=(3, 4)), rng.normal(size=4), rng.normal(size=3)
        v = u / np.linalg.norm(u) * np.linalg.norm(W @ k)
        assert np.sum(write(W, k, v, eta) ** 2) <= np.sum(W**2) * (1 + 1e-12)


@pytest.mark.claim("T3.spectral_radius")
def test_spectrum_over_the_icosahedron_whose_moments_are_the_spheres():
    signs = itertools.product((1, -1), repeat=2)
    corners = np.array([np.roll([0, a, b * GOLDEN], i) for a, b in signs for i in range(3)])
    keys = corners / np.linalg.norm(corners, axis=1, keepdims=True)  # a spherical 5-design in 3 dimensions
    outer = np.einsum("pi,pj->pij", keys, keys)
    operator = np.einsum("pij,pkl->ijkl", outer, outer).reshape(9, 9) / len(keys)
    eigenvalues = np.sort(np.linalg.eigvalsh(operator))
    np.testing.assert_allclose(eigenvalues, [0, 0, 0, *[2 / 15] * 5, 1 / 3], atol=1e-14)


@pytest.mark.claim("T3.isotropic", "T5.fixed_point")
@pytest.mark.parametrize("n", [3, 5, 16])
def test_symbolic_moments_against_quadrature(n):
    with mpmath.workdps(30):
        half = mpmath.mpf(n) / 2
        density = lambda x: x ** (half - 1) * mpmath.exp(-x / 2) / (2**half * mpmath.gamma(half))  # noqa: E731
        for order in (-1, 1, 2):
            integral = mpmath.quad(lambda x, p=order: x**p * density(x), [0, 1, n, 4 * n, mpmath.inf])
            assert float(chi_square_moment(order).subs(DIMENSION, n)) == pytest.approx(float(integral), rel=1e-9)
        # The share of the sphere at height h is proportional to (1 − h²)^((n−3)/2).
        weight = lambda h, p: h ** (2 * p) * (1 - h * h) ** (half - mpmath.mpf(3) / 2)  # noqa: E731
        for order in (1, 2, 3):
            ratio = mpmath.quad(lambda h, p=order: weight(h, p), [0, 1]) / mpmath.quad(lambda h: weight(h, 0), [0, 1])
            assert float(sphere_moment(order).subs(DIMENSION, n)) == pytest.approx(float(ratio), rel=1e-12)


@pytest.mark.parametrize(("n", "ridge"), [(1, 2.0), (4, 0.01), (24, 24.0), (256, 15000.0), (1024, 300.0)])
def test_soft_gains_against_the_confluent_hypergeometric_function(n, ridge):
    with mpmath.workdps(60):
        half, rho = mpmath.mpf(n) / 2, mpmath.mpf(ridge)
        # E[(χ² + ρ)^(−p)] = ρ^(n/2 − p) 2^(−n/2) U(n/2, n/2 + 1 − p, ρ/2)
        first, second = (
            rho ** (half - p) * mpmath.mpf(2) ** (-half) * mpmath.hyperu(half, half + 1 - p, rho / 2) for p in (1, 2)
        )
        expected = float(1 - 2 * rho * first + rho**2 * second)
    assert soft_gain_moments(n, ridge) == pytest.approx(expected, rel=1e-9)


def test_rates_and_misuse():
    assert rate_from_factor(math.e) == pytest.approx(1.0)
    with pytest.raises(Misuse, match="key dimension is 0"):
        mean_growth(0, 1.0)
    with pytest.raises(Misuse, match="growth factor is 0"):
        rate_from_factor(0.0)
    for n, c, eta_squared in ((4, math.nan, 1.0), (4, -1.0, 1.0), (4, math.inf, 1.0), (4, 1.0, 1.5), (4, 1.0, -0.5)):
        with pytest.raises(Misuse, match="take a finite c ≥ 0"):
            mean_growth(n, c, eta_squared)
    for call in (
        lambda: mean_growth(math.nan, 1.0),
        lambda: soft_gain_moments(0, 1.0),
        lambda: soft_gain_moments(-3, 1),
    ):
        with pytest.raises(Misuse, match="must be at least 1"):
            call()
    with pytest.raises(Misuse, match="ridge is nan"):
        soft_gain_moments(4, math.nan)
