"""Rates and lines: coverage of their intervals on series whose law is known, and wandering series unmasked."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from theory.fits import COINTEGRATED, dickey_fuller, fit_line, mean_rate

SEEDS = 200


def test_the_rate_is_the_mean_increment_and_its_interval_students():
    chance = np.random.default_rng(0)
    series = np.cumsum(chance.normal(0.2, 1.0, 101))
    rate = mean_rate(series, segments=4, confidence=0.9)
    parts = np.array(
        [series[25] - series[0], series[50] - series[25], series[75] - series[50], series[100] - series[75]]
    )
    half = stats.t.ppf(0.95, 3) * stats.sem(parts / 25)
    assert rate.mean == pytest.approx((series[-1] - series[0]) / 100)
    assert (rate.low, rate.high) == pytest.approx((rate.mean - half, rate.mean + half))


def test_the_rates_interval_covers_the_drift_of_a_random_walk():
    """95 % nominal over 200 seeds: fewer than 180 hits would have probability below 1e-3."""
    hits = 0
    for seed in range(SEEDS):
        rate = mean_rate(np.cumsum(np.random.default_rng(seed).normal(0.1, 1.0, 301)))
        hits += rate.low <= 0.1 <= rate.high
    assert 180 <= hits <= 199


def test_a_line_is_least_squares():
    chance = np.random.default_rng(1)
    x = np.linspace(0, 1, 80)
    y = 3 - 2 * x + chance.normal(0, 0.1, 80)
    line, oracle = fit_line(x, y), stats.linregress(x, y)
    assert (line.slope, line.intercept) == pytest.approx((oracle.slope, oracle.intercept))
    assert line.r_squared == pytest.approx(oracle.rvalue**2)
    assert line.low < -2 < line.high
    assert line.high - line.low == pytest.approx(4 * oracle.stderr, rel=0.35)


def test_the_lines_interval_covers_under_noise_that_forgets():
    hits = 0
    for seed in range(SEEDS):
        chance = np.random.default_rng(seed)
        x = np.cumsum(chance.uniform(0, 0.1, 200))
        line = fit_line(x, 1.5 * x + chance.normal(0, 1, 200), resamples=300)
        hits += line.low <= 1.5 <= line.high
    assert 170 <= hits <= 199


def test_two_wandering_series_are_not_taken_for_a_law():
    """The bootstrap alone accepts many; with the unit-root statistic hardly more than its nominal share is left."""
    alone = together = 0
    for seed in range(SEEDS):
        chance = np.random.default_rng(seed)
        x, y = np.cumsum(chance.normal(0.05, 0.05, 300)), np.cumsum(chance.normal(0, 1, 300))
        line = fit_line(x, y, resamples=100)
        alone += line.low > 0
        together += line.low > 0 and line.unit_root < COINTEGRATED
    assert alone > 50
    assert together < 15


def test_dickey_fullers_statistic_is_that_of_its_regression():
    e = np.random.default_rng(2).normal(size=60)
    past, change = e[:-1], np.diff(e)
    rho = (past @ change) / (past @ past)
    noise = change - rho * past
    error = np.sqrt((noise @ noise) / 58 / (past @ past))
    assert dickey_fuller(e) == pytest.approx(rho / error)
    assert dickey_fuller(np.cumsum(e)) > COINTEGRATED
    assert dickey_fuller(np.zeros(10)) == -np.inf


def test_a_constant_abscissa_has_no_line():
    assert np.isnan(fit_line(np.ones(30), np.arange(30.0)).slope)
