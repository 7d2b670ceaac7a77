"""Bounds of T3's radius by second routes: frames, brute force over samples, exact binomial coverage."""

import itertools

import numpy as np
import pytest
import sympy
from scipy import stats

from theory.command import Misuse
from theory.growth import operator_proofs
from theory.growth.growth_operator import radius
from theory.growth.key_laws import SampleKeys, sample_keys
from theory.growth.radius_bounds import bernstein_low, chernoff_high, radius_certificate, radius_interval


def drawn(n, count, seed=0, spread=5.0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, count)) * np.geomspace(1, spread, n)[:, None]


@pytest.mark.claim("T3.at_least", "T3.certificate")
@pytest.mark.parametrize("seed", range(6))
def test_certificates_hold_and_are_tight_for_isotropic_directions(seed):
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 6))
    law = sample_keys(rng.normal(size=(n, 7)) * rng.uniform(0.1, 3, size=(n, 1)), gain=rng.uniform(0.1, 1, 7))
    found, bounds = radius(law, 1e-10), radius_certificate(law)
    assert bounds.low <= found.value * (1 + 1e-12)
    assert found.value <= bounds.high * (1 + 1e-12)
    assert found.value >= (law.gains**2).mean() / n - 1e-12
    tight = sample_keys(np.linalg.qr(rng.normal(size=(n, n)))[0] * rng.uniform(0.5, 2, n))
    assert radius(tight).value == pytest.approx(1 / n)
    assert radius_certificate(tight) == pytest.approx((1 / n, 1 / n))


@pytest.mark.claim("T3.at_least", "T3.certificate")
def test_the_lower_certificate_is_the_frame_s_ratio_and_is_attained():
    for seed in range(40):
        rng = np.random.default_rng(seed)
        keys = rng.normal(size=(4, 6)) * rng.uniform(0.01, 3, size=(4, 1))
        eta = rng.uniform(0.05, 1, 6)
        unit = keys / np.linalg.norm(keys, axis=0)
        B = (eta**2 * unit) @ unit.T / 6
        ratio, exact = np.sum(B**2) / np.trace(B), np.linalg.eigvalsh(eta[:, None] * eta * (unit.T @ unit) ** 2 / 6)[-1]
        found = radius_certificate(sample_keys(keys, gain=eta))
        assert found.low == pytest.approx(ratio, rel=1e-12)
        assert max(np.linalg.eigvalsh(B)[-1] ** 2 / np.trace(B), np.linalg.norm(B) / 2) <= found.low * (1 + 1e-12)
        assert found.low <= exact * (1 + 1e-12)
    along = sample_keys(np.outer([3.0, 4.0], [1.0, -2.0, 0.5]), gain=np.array([0.5, 1.0, 0.25]))
    assert radius_certificate(along) == pytest.approx((1.3125 / 3, 1.3125 / 3))  # x = n − 1: both bounds are E[η²]


@pytest.mark.claim("T3.at_least", "T3.certificate")
def test_a_bound_that_a_law_breaks_or_that_says_less_is_rejected():
    x, q = operator_proofs.x, operator_proofs.Q
    for wrong in (q * (1 + sympy.Rational(101, 100) * x), q * (1 + x) ** 2, q, q * (1 + x / (1 + x))):
        assert not operator_proofs.check_at_least(wrong).established
    top, total, square = operator_proofs.TOP, operator_proofs.TOTAL, operator_proofs.SQUARE
    for low, high in ((top**2 / total, top), (square / total, total), (square / total, top / 2), (square / top, top)):
        assert not operator_proofs.check_certificate(operator_proofs.Sides(low, high)).established


@pytest.mark.claim("T3.sampling")
def test_over_all_samples_of_a_finite_law_the_bias_has_its_sign_and_the_limits_their_coverage():
    base = sample_keys(drawn(2, 3, 7))
    exact = radius(base, 1e-12).value
    pick = lambda where: SampleKeys(base.directions[:, where], base.sizes[list(where)], base.gains[list(where)])  # noqa: E731
    full, crossed, misses = [], [], 0
    for where in itertools.product(range(3), repeat=4):
        found = radius_interval(pick(where), 0.9)
        full.append(found.full_sample)
        crossed.append(found.cross_fit)
        misses += not found.low <= exact <= found.high
        assert found.high <= 1  # no radius exceeds 1
    assert np.mean(crossed) < exact < np.mean(full)
    assert misses / len(full) <= 0.2


@pytest.mark.claim("T3.sampling")
def test_the_interval_closes_and_holds_on_a_known_law():
    rng = np.random.default_rng(1)
    found = radius_interval(sample_keys(rng.normal(size=(3, 20_000))))
    assert found.low <= 1 / 3 <= found.high
    assert found.high - found.low < 0.03
    assert found.cross_fit <= found.full_sample
    with pytest.raises(Misuse, match="3 keys give no interval"):
        radius_interval(sample_keys(rng.normal(size=(3, 3))))
    with pytest.raises(Misuse, match="confidence is 1"):
        radius_interval(sample_keys(rng.normal(size=(3, 9))), 1.0)


@pytest.mark.claim("T3.sampling")
def test_the_confidence_limits_cover_binomial_samples():
    # Exact coverage over the binomial law: P(limit on the wrong side of p) ≤ 0.1.
    count, p = 60, 0.2
    chances = stats.binom.pmf(np.arange(count + 1), count, p)
    samples = [np.repeat([1.0, 0.0], [hits, count - hits]) for hits in range(count + 1)]
    above = sum(q for q, x in zip(chances, samples, strict=True) if bernstein_low(x, 1.0, 0.9) > p)
    below = sum(q for q, x in zip(chances, samples, strict=True) if chernoff_high(x.mean(), count, 0.9) < p)
    assert above <= 0.1
    assert 0 < below <= 0.1
