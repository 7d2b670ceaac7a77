"""T6's unequal noise: the law of an axis by its moments, success and specificity beside it by sampling."""

import math

import numpy as np
import pytest

from theory.collapse.crowding import axis_energy, axis_law, crowded_success
from theory.collapse.retrieval import specificity
from theory.collapse.success import memoryless_specificity, memoryless_success, without_anchor
from theory.command import Misuse


@pytest.mark.claim("T6.crowding", "T6.success")
def test_the_law_of_an_axis_has_the_moments_of_its_answers():
    shares = 1.05 ** np.arange(60)
    mean, variance = axis_energy(2.0, shares.sum() * 59 / 60, np.sum(shares**2) * 59 / 60, 20, 10)
    found = axis_law(2.0, shares, 20, 10)
    assert found.mean() == pytest.approx(mean, rel=1e-9)
    assert found.var() == pytest.approx(variance, rel=0.05)  # within the slices nothing varies
    assert axis_law(1.0, shares, 3, 1) == pytest.approx(3 - 2 / (1 + shares.sum() * 59 / 60))  # one axis has it all
    assert np.all(axis_law(0.0, np.ones(2), 50, 50) >= 0)


@pytest.mark.claim("T6.crowded_specificity")
def test_specificity_beside_crowded_axes_by_sampling_a_memory():
    """Rows of the mean energies that the answers give them, without the Gamma law and its independent axes."""
    random, draws, (m, n), edits, height, c = np.random.default_rng(12), 40_000, (16, 20), 40, 12.0, 1.5
    growth = 1 + c**2 / n
    shares = 4.0 * (growth - 1) * growth ** np.arange(edits)
    assert 4.0 + shares.sum() == pytest.approx(4.0 * growth**edits)
    answers = random.integers(m, size=(draws, edits))
    energy = 4.0 / m + sum(share * (answers[:, [i]] == np.arange(m)) for i, share in enumerate(shares))
    scores = np.sqrt(energy) * random.standard_normal((draws, m))
    scores[:, 0] += height
    found = np.mean(scores[:, 0] > np.abs(scores[:, 1:]).max(axis=1))
    predicted = memoryless_specificity(without_anchor(c), [edits], (m, n), m, 4.0, height)[0]
    assert predicted == pytest.approx(found, abs=0.025)
    assert specificity(height, 4.0 * growth**edits, (m, n), m) > found + 0.07


@pytest.mark.claim("T6.crowding", "T6.crowded_specificity")
@pytest.mark.parametrize("shift", [1e-12, 1e-9, 1e-3])
def test_small_shifts_leave_the_axes_even(shift):
    rates = memoryless_success(without_anchor(shift), [5], (6, 8), 6, 4.0)
    assert rates[0] == pytest.approx(1 / 12, abs=2 * shift + 1e-6)  # 2B words, none of them told apart
    kept = memoryless_specificity(without_anchor(shift), [5], (6, 8), 6, 4.0, 2.0)[0]
    assert kept == pytest.approx(float(specificity(2.0, 4.0, (6, 8), 6)), abs=shift + 1e-5)


@pytest.mark.parametrize("height", [0.0, -1.0, math.nan, math.inf])
def test_a_background_that_cannot_be_is_named(height):
    with pytest.raises(Misuse, match=f"background is {height}"):
        memoryless_specificity(without_anchor(0.5), [5], (6, 8), 6, 4.0, height)


@pytest.mark.claim("T6.success")
@pytest.mark.parametrize("ratio", [0.0, 1.1, 3.0])
def test_success_beside_axes_of_unequal_noise_by_sampling(ratio):
    random, draws, energies = np.random.default_rng(11), 200_000, np.array([0.05, 0.5, 2.5])
    scores = np.sqrt(random.choice(energies, size=(draws, 5))) * random.standard_normal((draws, 5))
    scores[:, 0] += ratio
    found = np.mean(scores[:, 0] > np.abs(scores[:, 1:]).max(axis=1))
    assert crowded_success(np.array([ratio]), energies, 5)[0] == pytest.approx(found, abs=4 * 0.5 / math.sqrt(draws))
