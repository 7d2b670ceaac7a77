"""The anchor's statistics by quantile grids, order statistics from spacings, and the pilots' own code."""

import math

import numpy as np
import pytest
import torch
from scipy import stats

from sim.anchor import standard_error, trimmed_mean
from theory.anchoring.plateaus import batch_plateau, plateau, soft_plateau
from theory.anchoring.statistics import plateau_shift, plateau_uncertainty, trimmed_lognormal, trimmed_normal
from theory.command import Misuse


@pytest.mark.claim("T5.trim")
@pytest.mark.parametrize("cv", [0.05, 0.2, 0.5])
def test_the_pilots_own_code_on_a_fine_quantile_grid(cv):
    count, mean = 400_000, 2.5
    grid = (np.arange(count) + 0.5) / count
    sigma = math.sqrt(math.log(1 + cv**2))
    normal = stats.norm(mean, cv * mean).ppf(grid)
    skewed = stats.lognorm(sigma, scale=mean * math.exp(-(sigma**2) / 2)).ppf(grid)
    for norms, law in ((normal, trimmed_normal(mean, cv)), (skewed, trimmed_lognormal(mean, cv))):
        assert float(trimmed_mean(torch.tensor(norms))) == pytest.approx(law.limit, rel=1e-5)
        assert float(standard_error(torch.tensor(norms))) * math.sqrt(count) == pytest.approx(law.spread, rel=2e-3)
        assert law.limit < norms.mean()


@pytest.mark.claim("T5.trim_uniform")
def test_order_statistics_from_spacings():
    """U_(i) is a sum of i spacings, whose joint law is Dirichlet(1, ..., 1)."""
    for count, kept in ((7, 5), (400, 380)):
        law = stats.dirichlet(np.ones(count + 1))
        weights = np.array([max(kept - i, 0) for i in range(count + 1)]) / kept  # of spacing i in the mean of the kept
        assert weights @ law.mean() == pytest.approx((kept + 1) / (2 * (count + 1)), rel=1e-12)
        variance = weights @ law.cov() @ weights
        q = kept / count
        assert count * variance == pytest.approx(q / 3 - q**2 / 4, rel=6 / count)
        if count == 400:
            assert count * variance > 1.1 * q / 12  # the variance of the kept norms over their number


@pytest.mark.claim("T5.sensitivity")
def test_the_plateau_moves_twice_as_much_as_the_anchor():
    for law in (lambda a: plateau(a, 7), lambda a: batch_plateau(a, 9, 3), lambda a: soft_plateau(a, 5, 6.0)):
        for shift in (-0.02, 0.3):
            assert law(2.0 * (1 + shift)) / law(2.0) - 1 == pytest.approx(plateau_shift(shift), rel=1e-9)
    rng = np.random.default_rng(0)
    for pilots in (100, 2000):
        anchors = 1 + 0.1 * rng.normal(size=(20_000, 1)) / math.sqrt(pilots)
        assert np.std(anchors**2) == pytest.approx(plateau_uncertainty(0.1, pilots), rel=0.03)


def test_misuse_is_named():
    with pytest.raises(Misuse, match=r"cv -0\.1"):
        trimmed_normal(1.0, -0.1)
    with pytest.raises(Misuse, match=r"share is 1\.0"):
        trimmed_lognormal(1.0, 0.1, 1.0)
    with pytest.raises(Misuse, match="0 pilots"):
        plateau_uncertainty(0.1, 0)
    with pytest.raises(Misuse, match="cv 1e-09"):
        trimmed_lognormal(1.0, 1e-9)
    with pytest.raises(Misuse, match=r"share is 0\.99"):
        trimmed_normal(1.0, 0.1, 0.99)
    with pytest.raises(Misuse, match="change of -2"):
        plateau_shift(-2.0)
