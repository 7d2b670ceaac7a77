"""The typical path by second routes: exact averages over the circle, tight frames, the Beta law's density."""

import math

import numpy as np
import pytest
from scipy import integrate, stats

from theory.command import Misuse
from theory.growth.lyapunov import exponent_bounds, mean_log, second_moment_growth, second_moments, typical_exponent


@pytest.mark.claim("T3.typical")
@pytest.mark.parametrize(("a", "b", "g"), [(0.5, 0.5, 3.0), (0.5, 10.0, 2.0), (4.0, 3.5, 0.1), (1.0, 200.0, 50.0)])
def test_mean_log_against_the_beta_density(a, b, g):
    law = stats.beta(a, b)
    expected, _ = integrate.quad(lambda p: math.log1p(g * law.ppf(p)), 0, 1, epsabs=1e-11, limit=400)
    assert mean_log(a, b, g) == pytest.approx(expected, rel=1e-7)
    assert mean_log(a, 0.0, g) == pytest.approx(math.log1p(g), rel=1e-13)


@pytest.mark.claim("T3.typical")
@pytest.mark.parametrize("g", [1e-300, 1e-12, 1e3, 1e10, 1e18, 1e100, 1e300])
def test_mean_log_over_the_circle_at_any_gain(g):
    # E log(1 + g cos²θ) = 2 log((1 + √(1 + g))/2)
    half = g / (1 + math.sqrt(1 + g))  # √(1 + g) − 1
    assert mean_log(0.5, 0.5, g) == pytest.approx(2 * math.log1p(half / 2), rel=2e-13)


@pytest.mark.claim("T3.typical")
@pytest.mark.parametrize("rank", [1, 2])
def test_every_weight_of_two_columns_lies_between_the_bounds(rank):
    c, angles = 1.7, 2 * np.pi * np.arange(4000) / 4000
    keys = np.stack([np.cos(angles), np.sin(angles)])
    bounds = exponent_bounds(3, 2, c)
    for seed in range(20):
        rng = np.random.default_rng(seed)
        W = rng.normal(size=(3, rank)) @ rng.normal(size=(rank, 2))
        logs = []
        for k in keys.T[::40]:
            read = W @ k
            across = np.cross(read, rng.normal(size=3))
            after = W + c * np.linalg.norm(read) / np.linalg.norm(across) * np.outer(across, k)
            logs.append(math.log(np.sum(after**2) / np.sum(W**2)))
        share = ((W @ keys) ** 2).sum(axis=0) / np.sum(W**2)
        exact = float(np.log1p(c**2 * share).mean())  # over the whole circle; the writes above at every 40th key
        assert np.log1p(c**2 * share[::40]).mean() == pytest.approx(np.mean(logs), rel=1e-9)
        assert bounds.low - 1e-12 <= exact <= bounds.high + 1e-12
    assert bounds.high == pytest.approx(bounds.mean)  # r = n = 2: the bound is Jensen's


@pytest.mark.claim("T3.typical")
def test_bounds_close_in_high_dimension_and_narrow_with_the_rank():
    wide, narrow = exponent_bounds(4096, 14336, 1.0), exponent_bounds(2, 14336, 1.0)
    assert narrow.low < narrow.high < wide.high < wide.mean
    assert (wide.mean - wide.low) / wide.mean < 1e-4  # at a transformer's size the typical path is the mean's
    assert exponent_bounds(5, 4, 3.0, 0.5) == pytest.approx(exponent_bounds(5, 4, 1.5))
    for m, n, c in ((3, 4, 2.0), (8, 5, 1.0), (2, 9, 3.0)):
        bounds = exponent_bounds(m, n, c)
        assert bounds.low < typical_exponent(m, n, c) < bounds.mean
    far = exponent_bounds(2, 9, 100.0)  # the parabola alone would lie above what is proved
    assert far.low <= typical_exponent(2, 9, 100.0) <= far.high


@pytest.mark.claim("T3.second_moments")
def test_second_moments_over_a_spherical_design():
    # The icosahedron's 6 axes average quartic polynomials as the sphere does; ±e across Wk, all directions of a plane.
    golden = (1 + math.sqrt(5)) / 2
    corners = np.array([np.roll([0, a, b * golden], i) for a in (1, -1) for b in (1, -1) for i in range(3)])
    keys = corners / np.linalg.norm(corners, axis=1, keepdims=True)
    W, c = np.random.default_rng(0).normal(size=(3, 3)), 1.3
    squares, traces = [], []
    for k in keys:
        read = W @ k
        first, second = np.linalg.svd(read[None])[2][1:]
        for turn in np.arange(6) * np.pi / 3:
            e = math.cos(turn) * first + math.sin(turn) * second
            after = W + c * np.linalg.norm(read) * np.outer(e, k)
            squares.append(np.sum(after**2) ** 2)
            traces.append(np.sum((after.T @ after) ** 2))
    start = np.array([np.sum(W**2) ** 2, np.sum((W.T @ W) ** 2)])
    np.testing.assert_allclose([np.mean(squares), np.mean(traces)], second_moments(3, 3, c) @ start, rtol=1e-12)
    assert second_moment_growth(3, 3, c) > (1 + c**2 / 3) ** 2


def test_bad_input():
    with pytest.raises(Misuse, match="no direction across Wk"):
        exponent_bounds(1, 4, 1.0)
    with pytest.raises(Misuse, match="gain η is 2"):
        exponent_bounds(2, 4, 1.0, 2.0)
    for call in (second_moments, second_moment_growth, typical_exponent):
        with pytest.raises(Misuse, match="memory 1 x 4"):
            call(1, 4, 1.0)
        for c in (math.nan, math.inf, -1.0):
            with pytest.raises(Misuse, match=f"c = {c}"):
                call(3, 4, c)
    with pytest.raises(Misuse, match="c = nan"):
        exponent_bounds(3, 4, math.nan)
    with pytest.raises(Misuse, match=r"g = -2\.0"):
        mean_log(0.5, 0.5, -2.0)
