"""T7 on one given weight: gaps against numpy's, its noise by sampling and against the mean over weights, its tail."""

import math

import numpy as np
import pytest

from theory.command import Misuse
from theory.precision.formats import BFLOAT16, FLOAT16, FLOAT32, FLOAT64, round_to, storage_noise
from theory.precision.storage import gaps, noise_level, stored_noise


@pytest.mark.claim("T7.stored_change")
@pytest.mark.parametrize(("kind", "target"), [(np.float16, FLOAT16), (np.float32, FLOAT32), (np.float64, FLOAT64)])
def test_gaps_are_numpys(kind, target):
    tiny = np.finfo(kind).tiny
    values = np.array([1.0, 1.5, 2.0, -3.0, 0.1, 0.0, tiny, tiny / 4, 700.0], dtype=kind)
    np.testing.assert_array_equal(gaps(values, target), np.abs(np.spacing(values)).astype(float))


@pytest.mark.claim("T7.stored_change")
@pytest.mark.parametrize("target", [FLOAT32, FLOAT16, BFLOAT16], ids=lambda target: target.name)
def test_errors_of_weights_that_round_to_one_another_have_the_noise_of_their_gaps(target):
    random, draws = np.random.default_rng(7), 4000
    factor = random.standard_normal((5, 5))
    C = factor @ factor.T
    stored = round_to(random.standard_normal((3, 5)), target)
    gap = gaps(stored, target)
    exact = stored + random.uniform(-0.5, 0.5, (draws, 3, 5)) * gap * (np.abs(np.log2(np.abs(stored))) % 1 > 1e-9)
    np.testing.assert_array_equal(round_to(exact, target), np.broadcast_to(stored, exact.shape))
    error = stored - exact
    change = np.einsum("dij,jk,dik->d", 2 * stored - error, C, error)
    noise = stored_noise(2 * stored @ C, gap)
    assert np.mean(change**2) == pytest.approx(noise**2, rel=4 * math.sqrt(2 / draws))
    # A tail as T7.stored_change bounds it, and not far below: for a normal Z, P(|Z| > 2) is 0.046.
    assert 0.01 < np.mean(np.abs(change) > 2 * noise) < 2 * math.exp(-2)


@pytest.mark.claim("T7.stored_change", "T7.storage_noise")
@pytest.mark.parametrize("target", [FLOAT32, BFLOAT16], ids=lambda target: target.name)
def test_the_mean_over_random_weights_is_storage_noise(target):
    random, draws, (m, n), sigma = np.random.default_rng(8), 20000, (2, 3), 0.7
    factor = random.standard_normal((n, n))
    C = factor @ factor.T
    exact = sigma * random.standard_normal((draws, m, n))
    squares = np.sum((2 * exact @ C * gaps(exact, target)) ** 2 / 12, axis=(1, 2))
    predicted = storage_noise(m, (C**2).sum(), (C.diagonal() ** 2).sum(), sigma, target) ** 2
    assert squares.mean() == pytest.approx(predicted, abs=4 * squares.std() / math.sqrt(draws))
    one = stored_noise(2 * exact[0] @ C, gaps(exact[0], target))
    assert one**2 == pytest.approx(squares[0], rel=1e-12)


@pytest.mark.claim("T7.stored_change")
def test_a_level_is_exceeded_as_rarely_as_it_promises():
    random, writes, runs = np.random.default_rng(9), 50, 2000
    errors = random.uniform(-0.5, 0.5, (runs, writes, 12)).sum(axis=2)  # σ² = 12/12
    assert np.mean(np.abs(errors).max(axis=1) >= noise_level(writes, 0.05)) <= 0.05
    assert noise_level(writes, 0.05) > 3.0
    for count, alarm in ((0, 0.1), (1, 0.0), (1, math.nan)):
        with pytest.raises(Misuse, match=f"{count} writes and a false alarm of {alarm}"):
            noise_level(count, alarm)
