"""T3's numbers by a third route: sums over simulated-free grids, and what the checks make of wrong functions."""

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy import special

from theory.growth.isotropic import mean_growth, rate_from_factor, soft_gain_moments
from theory.growth.numeric_proofs import Growth, check_growth_numbers, check_soft_gain_numbers, inverse_moments


@pytest.mark.claim("T3.numbers")
@pytest.mark.parametrize(
    "fault",
    [
        {"factor": lambda n, c, gain: 1 - gain * c * c / n},
        {"factor": lambda n, c, gain: 1 + gain * c / n},
        {"factor": lambda n, c, gain: 1 + gain * c * c / (n + 1e-9)},
        {"hard": lambda n, c: mean_growth(n, c, 0.5)},
        {"rate": math.log2},
        {"rate": lambda factor: math.log(factor) / 2},
        {"rate": lambda factor: factor - 1},
    ],
)
def test_a_wrong_function_of_growth_is_rejected(fault):
    right = Growth(mean_growth, mean_growth, rate_from_factor)
    assert check_growth_numbers(right).established
    assert not check_growth_numbers(replace(right, **fault)).established


@pytest.mark.claim("T3.soft_gain")
@pytest.mark.parametrize(
    "wrong",
    [
        lambda n, ridge: math.sqrt(soft_gain_moments(n, ridge)),
        lambda n, ridge: soft_gain_moments(n + 1, ridge),
        lambda n, ridge: (n / (n + ridge)) ** 2,  # E[η]² to first order
        lambda n, ridge: soft_gain_moments(n, ridge) * (1 + 1e-8),
    ],
)
def test_a_wrong_soft_gain_is_rejected(wrong):
    assert not check_soft_gain_numbers(wrong).established


@pytest.mark.claim("T3.soft_gain")
@pytest.mark.parametrize(("n", "ridge"), [(3, 1.0), (8, 5.0)])
def test_inverse_moments_are_those_of_a_laguerre_sum(n, ridge):
    nodes, weights = special.roots_genlaguerre(80, n / 2 - 1)  # x = 2·node has the law χ²_n
    weights = weights / weights.sum()
    first, second = inverse_moments(n, ridge)
    assert float(first) == pytest.approx(np.sum(weights / (2 * nodes + ridge)), rel=1e-6)
    assert float(second) == pytest.approx(np.sum(weights / (2 * nodes + ridge) ** 2), rel=1e-6)
