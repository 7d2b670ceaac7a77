"""T3b's mean field by second routes: implicit equations, drawn keys, a differential equation, thresholds of samples."""

import math

import numpy as np
import pytest
from scipy import integrate, optimize

from theory.accumulating.exact import hard_growth
from theory.accumulating.mean_field import (
    accumulating_growth,
    batched_growth,
    fastest_edit,
    fresh_gain,
    growth_rate,
    saturation,
)
from theory.accumulating.spectrum import field_at, spectral_growth
from theory.accumulating.threshold import peaks, sample_spectrum, spectral_threshold, threshold


@pytest.mark.claim("T3b.mean_field")
@pytest.mark.parametrize(("n", "ridge"), [(16, 0.5), (64, 10.0), (32, 1e-6)])
def test_accumulating_law_against_its_implicit_equations(n, ridge):
    c, steps = 0.75, 3 * n

    def trace(t, level):
        """g, the mean eigenvalue of A_t⁻¹, from the equation that it solves."""
        return optimize.brentq(lambda g: g * (level + t / (1 + n * g)) - 1, 0.0, 2 / level, xtol=1e-300, rtol=1e-14)

    law = accumulating_growth(n, ridge, c, steps)
    for t in (0, n // 2, n, steps):
        step = 1e-4 * ridge
        g = trace(t, ridge)
        square = -(trace(t, ridge + step) - trace(t, ridge - step)) / (2 * step)  # the mean eigenvalue of A_t⁻²
        assert float(growth_rate(n, ridge, t)) == pytest.approx(n * square / (1 + n * g) ** 2, rel=1e-4)
        assert law[t] == pytest.approx(((1 + n / ridge) / (1 + n * g)) ** (c * c), rel=1e-10)


@pytest.mark.claim("T3b.mean_field")
def test_mean_field_is_what_a_large_sample_of_keys_gives():
    n, t, ridge, rng = 600, 500, 3.0, np.random.default_rng(1)
    K = rng.normal(size=(n, t))
    inverse = np.linalg.inv(ridge * np.eye(n) + K @ K.T)
    assert np.trace(inverse) == pytest.approx(float(fresh_gain(n, ridge, t)), rel=0.02)
    q = np.trace(inverse @ inverse) / (1 + np.trace(inverse)) ** 2
    assert q == pytest.approx(float(growth_rate(n, ridge, t)), rel=0.03)


@pytest.mark.claim("T3b.limits")
def test_accumulating_law_has_its_power_law_before_the_threshold_and_saturates_after():
    n, c = 4096, 0.75
    law = accumulating_growth(n, 1e-6, c, 40 * n)
    assert law[n // 2] == pytest.approx(2 ** (c**2), rel=1e-3)
    assert law[40 * n] / law[4 * n] == pytest.approx((4 / 3 * 39 / 40) ** (c**2), rel=1e-3)
    assert np.all(np.diff(law) >= 0)
    peak, final = saturation(n, 1e-6, c)
    assert peak == pytest.approx((n / 1e-6) ** (c * c / 2), rel=1e-3)
    assert final == pytest.approx((n / 1e-6) ** (c * c), rel=1e-6)
    assert hard_growth(n, n // 2, c) == pytest.approx(law[n // 2], rel=2e-3)


@pytest.mark.claim("T3b.fastest")
@pytest.mark.parametrize(("n", "ridge"), [(50, 5.0), (50, 24.0), (200, 0.01)])
def test_fastest_edit_is_the_argmax_of_the_rate(n, ridge):
    t = np.linspace(0, 1.5 * n, 300_001)
    assert fastest_edit(n, ridge) == pytest.approx(t[np.argmax(growth_rate(n, ridge, t))], abs=2e-3 * n)


def test_fastest_edit_is_zero_for_heavy_ridges():
    assert fastest_edit(50, 25.0) == 0.0
    assert np.all(np.diff(growth_rate(50, 25.0, np.arange(100))) < 0)


@pytest.mark.claim("T3b.spectrum")
def test_spectral_field_is_what_a_large_sample_of_anisotropic_keys_gives():
    n, ridge, rng = 500, 2.0, np.random.default_rng(2)
    sigma = np.geomspace(0.1, 5.0, n)
    found = field_at(sigma, ridge, [300.0])
    K = rng.normal(size=(n, 300)) * np.sqrt(sigma)[:, None]
    inverse = np.linalg.inv(ridge * np.eye(n) + K @ K.T)
    gain = np.sum(sigma * np.diag(inverse))
    assert found.gain[0] == pytest.approx(gain, rel=0.03)
    assert found.dimension[0] == pytest.approx(300 * gain / (1 + gain), rel=0.01)
    weighted = inverse * sigma
    assert found.readout_rate[0] == pytest.approx(np.sum(weighted * weighted.T) / (1 + gain) ** 2, rel=0.04)
    assert found.norm_rate[0] == pytest.approx(np.sum(weighted * inverse.T) / (1 + gain) ** 2, rel=0.04)


@pytest.mark.claim("T3b.spectrum")
def test_spectral_growth_of_two_levels_by_an_ode_in_tau():
    sigma, ridge, c, steps = np.repeat([0.5, 3.0], 50), 4.0, 0.75, 60
    readout, excess = spectral_growth(sigma, ridge, c, steps)
    sharp = [part[-1] for part in spectral_growth([1.0] * 64, 1e-9, c, 128)]
    assert sharp[0] == pytest.approx(1 + sharp[1])  # isotropic, where the rate's spike is far narrower than an edit

    def slope(t, y):
        at = field_at(sigma, ridge, [t])
        return [c * c * y[0] * at.readout_rate[0], c * c * y[0] * at.norm_rate[0]]

    path = integrate.solve_ivp(slope, (0, steps), [1.0, 0.0], rtol=1e-9, atol=1e-11)
    assert readout[-1] == pytest.approx(path.y[0, -1], rel=1e-7)
    assert excess[-1] == pytest.approx(path.y[1, -1], rel=1e-3)


@pytest.mark.claim("T3b.batch")
def test_batches_of_many_keys_against_drawn_ones():
    n, ridge, c, u, seeds, m = 80, 2.0, 0.75, 40, 60, 8
    ratios = []
    for seed in range(seeds):
        rng = np.random.default_rng(seed)
        W, A = rng.normal(size=(m, n)), ridge * np.eye(n)
        start = np.sum(W**2)
        for _ in range(2):
            K = rng.normal(size=(n, u))
            read, shift = W @ K, rng.normal(size=(m, u))
            shift *= c * np.linalg.norm(read, axis=0) / np.linalg.norm(shift, axis=0)
            A = A + K @ K.T
            W = W + shift @ np.linalg.solve(A, K).T
        ratios.append(np.sum(W**2) / start)
    law = batched_growth(n, ridge, c, u, 2)[-1]
    assert np.mean(ratios) == pytest.approx(law, rel=0.05)
    assert abs(accumulating_growth(n, ridge, c, 2 * u)[-1] / law - 1) > 0.05


def test_thresholds_of_samples():
    rng = np.random.default_rng(5)
    keys = rng.normal(size=(3000, 40)) * np.sqrt(np.repeat([4.0, 1e-7], 20))
    found = threshold(keys, 1e-2)
    assert found.resolved
    assert found.low <= found.edits <= found.high
    assert found.edits == pytest.approx(20, abs=1)  # the small directions do not count
    assert found.dimension < 20.5
    assert "E‖Wk‖² grows fastest near edit 20" in found.sentence()
    assert (found.later, "lower peak" in found.sentence()) == (0.0, False)
    basis = np.eye(40)[:, :12]
    assert threshold(keys, 1e-2, basis).edits == pytest.approx(12, abs=0.6)
    few = threshold(keys[:16], 1e-2)
    assert (few.rank, few.resolved, few.high) == (16, False, math.inf)
    assert "or later; 16 keys are too few" in few.sentence()
    heavy = threshold(keys, 1e3)
    assert heavy.edits == 0.0
    assert "ever more slowly from the first edit on" in heavy.sentence()
    np.testing.assert_allclose(sample_spectrum(keys), np.linalg.eigvalsh(keys.T @ keys / 3000)[::-1], rtol=1e-6)
    assert spectral_threshold(np.ones(30), 15.1) == (0.0, 0.0)


def test_keys_with_a_common_mean_have_a_later_threshold():
    """The mean's direction makes the first edit the fastest; the other 49 directions' threshold comes apart from it."""
    keys = np.random.default_rng(6).normal(size=(600, 50)) + math.sqrt(8.0)
    found = threshold(keys, 0.1)
    assert found.edits == found.dimension == 0.0
    assert found.later == pytest.approx(50, abs=2)
    assert found.share == pytest.approx(400 / 449, rel=0.02)
    said = found.sentence()
    assert "fastest at the first edit, and has a lower peak of growth near edit 50" in said
    assert "ridge" not in said
    assert "89 % of E‖k‖²: the mean field overstates growth" in said
    assert "no earlier than edit" in threshold(keys[:60], 0.1).sentence()
    three = peaks([1e4] * 9 + [1.0] * 20, 0.01)
    assert [round(peak.edits) for peak in three] == [0, 9, 29]
    by_edits = field_at([1e4] * 9 + [1.0] * 20, 0.01, np.linspace(5, 35, 301))
    rates = by_edits.readout_rate
    tops = 1 + np.flatnonzero((rates[1:-1] > rates[:-2]) & (rates[1:-1] > rates[2:]))
    np.testing.assert_allclose(by_edits.edits[tops], [peak.edits for peak in three[1:]], atol=0.1)
