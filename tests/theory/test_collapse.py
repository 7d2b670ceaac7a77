"""T6 by second routes: finite key laws summed exactly, multivariate normal orthants, direct recursions, brute force."""

import itertools
import math

import numpy as np
import pytest
from scipy import stats

from theory.collapse.crowding import share_decay
from theory.collapse.interference import (
    Answer,
    ValueLaw,
    crossover,
    fading,
    fixed_values,
    forgetting,
    interference,
    kept_norm,
    later,
    lifetime_gain,
    relative_shift,
    written,
)
from theory.collapse.points import Bracket, collapse_over_seeds, collapse_point, covered, median_rank
from theory.collapse.retrieval import specificity, success_probability
from theory.collapse.success import (
    accumulating_success,
    memoryless_success,
    undirected_anchor,
    with_anchor,
    without_anchor,
)
from theory.command import Misuse

GOLDEN = (1 + math.sqrt(5)) / 2
AXES = np.array([np.roll([0, 1, s * GOLDEN], i) for s in (1, -1) for i in range(3)]) / math.sqrt(1 + GOLDEN**2)
"""The icosahedron's six axes: moments up to the fifth are those of the sphere in 3 dimensions."""


def write(W, k, v):
    return W + np.outer(v - W @ k, k) / (k @ k)


def turned(x):
    return np.array([-x[1], x[0]])


@pytest.mark.claim("T6.decoding")
@pytest.mark.parametrize("ratio", [0.0, 0.7, 2.5])
def test_decoding_against_orthants_of_correlated_normals(ratio):
    # S + g_y − g_b, b = 1, 2: correlated ½; with both signs also S + g_y + g_b.
    unsigned = stats.multivariate_normal(mean=[0, 0], cov=np.eye(2) + 1).cdf([ratio, ratio])
    assert success_probability(ratio, 3, signed=False) == pytest.approx(unsigned, abs=1e-6)
    # Two axes with both signs: (S + g_y − g_b)/√2 and (S + g_y + g_b)/√2 are independent.
    assert success_probability(ratio, 2) == pytest.approx(stats.norm.cdf(ratio / math.sqrt(2)) ** 2, rel=1e-12)


@pytest.mark.claim("T6.decoding")
def test_decoding_rises_from_its_floor_to_one_and_keeps_shapes():
    ratios = np.linspace(0, 12, 60).reshape(3, 20)
    for signed in (True, False):
        found = success_probability(ratios, 9, signed=signed)
        assert found.shape == (3, 20)
        assert np.all(np.diff(found[found < 1 - 1e-12].ravel()) > 0)
    assert success_probability(math.inf, 1000) == pytest.approx(1.0, abs=1e-12)
    assert success_probability(1e9, 1000) == pytest.approx(1.0, abs=1e-12)


@pytest.mark.claim("T6.decoding")
@pytest.mark.parametrize("signed", [True, False])
def test_decoding_among_as_many_words_as_a_large_models_values_have_dimensions(signed):
    floor = float(success_probability(0.0, 14336, signed=signed))
    assert floor * 14336 * (2 if signed else 1) == pytest.approx(1, rel=1e-11)


@pytest.mark.claim("T6.crowding")
@pytest.mark.parametrize("answers", [(0, 1), (0, 0)])
def test_energy_of_an_axis_over_all_keys_and_signs(answers):
    kept, shift, W0 = 0.7, 0.9, np.array([[0.9, -0.2, 0.4], [0.1, 1.0, 0.0]])
    W0[1] *= np.linalg.norm(W0[0]) / np.linalg.norm(W0[1])  # its energy is the same on both axes
    rows = []
    for moves in itertools.product(itertools.product(AXES, (1, -1)), repeat=2):
        W = W0
        for (k, sign), answer in zip(moves, answers, strict=True):
            W = write(W, k, kept * W @ k + sign * shift * np.linalg.norm(W @ k) * np.eye(2)[answer])
        rows.append(np.sum(W**2, axis=1))
    law, norm_sq = ValueLaw(kept, shift**2, 0.0), np.sum(W0**2)
    first, decay = written(law, norm_sq, 3), share_decay(law, 3)
    shares = [first.signal_sq * decay, written(law, first.norm_sq, 3).signal_sq]
    expected = np.full(2, norm_sq * decay**2 / 2)
    for share, answer in zip(shares, answers, strict=True):
        expected[answer] += share
    np.testing.assert_allclose(np.mean(rows, axis=0), expected, rtol=1e-12)


@pytest.mark.claim("T6.aging")
@pytest.mark.parametrize(
    ("kept", "tau_sq", "size"), [(1.0, 0.5, 0.0), (0.0, 0.0, 1.3), (0.6, 0.9, 0.7), (1.4, 0.2, 0.4)]
)
def test_one_write_over_the_icosahedron(kept, tau_sq, size):
    rng = np.random.default_rng(3)
    W, p = rng.normal(size=(2, 3)), AXES[0] @ np.linalg.qr(rng.normal(size=(3, 3)))[0]
    means = []
    for axis, length, sign in itertools.product(AXES, (0.5, 2.0), (1, -1)):
        k = length * axis
        way = np.array([0.6, 0.8])
        v = kept * W @ k + sign * math.sqrt(tau_sq * np.sum((W @ k) ** 2) + size**2) * way
        after = write(W, k, v)
        means.append([np.sum(after**2), np.sum((after @ p) ** 2), *(after @ p)])
    norm_sq, readout_sq, *answer = np.mean(means, axis=0)
    law = ValueLaw(kept, tau_sq, size**2 * (1 / 0.25 + 1 / 4) / 2)
    found = later(law, Answer(np.sum(W**2), np.sum((W @ p) ** 2), 1.0), 3)
    assert found.norm_sq == pytest.approx(norm_sq, rel=1e-13)
    assert found.readout_sq == pytest.approx(readout_sq, rel=1e-13)
    np.testing.assert_allclose(answer, fading(law, 3) * (W @ p), rtol=1e-12)
    assert found.signal_sq == pytest.approx(fading(law, 3) ** 2)


@pytest.mark.claim("T6.interference")
def test_interference_after_two_writes_summed_over_all_streams():
    c, W0 = 0.8, np.array([[1.0, 0.3, -0.5], [-0.2, 0.8, 0.1]])
    found = []
    moves = list(itertools.product(AXES, (1, -1)))
    for first in AXES:
        after = write(W0, first, W0 @ first + c * turned(W0 @ first))
        value = after @ first
        for one, two in itertools.product(moves, moves):
            W = after
            for k, sign in (one, two):
                W = write(W, k, W @ k + sign * c * turned(W @ k))
            found.append(np.sum((W @ first - value) ** 2))
    assert np.mean(found) / np.sum(W0**2) == pytest.approx(interference(3, c, 2), rel=1e-12)


@pytest.mark.claim("T6.forgetting")
def test_forgetting_after_two_writes_summed_over_all_streams():
    size, limit = 1.5, 1.5**2 * 3  # unit keys in 3 dimensions: a²n is the plateau
    W0, value = np.eye(2, 3) * math.sqrt(limit / 2), size * np.array([0.6, 0.8])
    moves = list(itertools.product(AXES, (1, -1)))
    answers, energies = [], []
    for first in AXES:
        after = write(W0, first, value)
        for one, two in itertools.product(moves, moves):
            W = after
            for k, sign in (one, two):
                W = write(W, k, sign * size * np.array([0.8, -0.6]))
            answers.append(W @ first)
            energies.append(np.sum((W @ first - (2 / 3) ** 2 * value) ** 2))
    signal, rest = forgetting(3, 2)
    assert np.sum(np.mean(answers, axis=0) ** 2) / size**2 == pytest.approx(signal, rel=1e-12)
    assert np.mean(energies) / size**2 == pytest.approx(rest, rel=1e-12)


def ratio_after(law, norm_sq, n, ages):
    """Signal over noise energy of one edit at some ages, by the recursion itself."""
    answer, found = written(law, norm_sq, n), []
    for age in range(max(ages) + 1):
        if age in ages:
            found.append(answer.signal_sq / answer.noise_sq)
        answer = later(law, answer, n)
    return np.array(found)


@pytest.mark.claim("T6.lifetime")
@pytest.mark.parametrize("r", [1.25, 2.0, 4.0])
def test_lifetimes_against_the_recursion(r):
    n, late = 400, (6000, 6001)
    plain = ratio_after(relative_shift(math.sqrt(r * r - 1)), 1.0, n, late)
    kept = ratio_after(kept_norm(r), 1.0, n, late)
    rates = [math.log(ratio[0] / ratio[1]) for ratio in (plain, kept)]
    assert rates[0] / rates[1] == pytest.approx(lifetime_gain(r), rel=0.02)  # n is finite
    assert rates[1] == pytest.approx(-2 * math.log1p(-(1 - 1 / r) / n), rel=1e-3)


@pytest.mark.claim("T6.crossover")
@pytest.mark.parametrize("r", [1.25, 1.8, 3.2])
def test_norm_keeping_writes_are_worse_before_the_crossover_and_better_after(r):
    n = 2000
    at = crossover(r) * n
    ages = [0, int(0.5 * at), int(0.9 * at), int(1.1 * at), int(2 * at)]
    plain = ratio_after(relative_shift(math.sqrt(r * r - 1)), 1.0, n, ages)
    kept = ratio_after(kept_norm(r), 1.0, n, ages)
    assert kept[0] == pytest.approx(plain[0], rel=1e-12)
    assert np.all(kept[1:3] < plain[1:3])
    assert np.all(kept[3:] > plain[3:])


@pytest.mark.claim("T6.memory")
def test_projected_writes_keep_n_answers_and_memoryless_ones_do_not():
    rng = np.random.default_rng(0)
    W, P, n = rng.normal(size=(3, 5)), np.eye(5), 5
    plain, keys, values = W.copy(), rng.normal(size=(5, n)), 1e3 ** rng.uniform(size=n) * rng.normal(size=(3, n))
    for k, v in zip(keys.T, values.T, strict=True):
        W = W + np.outer(v - W @ k, P @ k) / (k @ P @ k)
        P = P - np.outer(P @ k, P @ k) / (k @ P @ k)
        plain = write(plain, k, v)
    np.testing.assert_allclose(W @ keys, values, rtol=1e-8, atol=1e-8)
    assert np.abs(plain @ keys - values)[:, :-1].max() > 1
    assert np.abs(P).max() < 1e-10


@pytest.mark.claim("T6.specificity")
def test_specificity_of_one_axis_is_a_sign_test_and_norm_growth_destroys_it():
    assert specificity(2.0, 5.0, (7, 3), 1) == pytest.approx(stats.norm.cdf(2 * math.sqrt(7 / 5)), rel=1e-12)
    falling = specificity(3.0, [1.0, 10.0, 1e3, 1e8], (8, 20), 8)
    assert np.all(np.diff(falling) < 0)
    assert falling[-1] == pytest.approx(1 / 16, abs=1e-3)


@pytest.mark.claim("T6.success", "T6.scale")
def test_curves_at_their_ends_and_under_scaling():
    shape, c, points = (12, 20), 0.9, [1, 7, 20, 60]
    fresh = float(success_probability(c * math.sqrt(12), 12))
    plain = memoryless_success(without_anchor(c), points, shape, 12, 3.0)
    assert plain[0] == pytest.approx(fresh, rel=1e-5)  # a table's
    assert np.all(np.diff(plain) < 0)
    np.testing.assert_allclose(plain, memoryless_success(without_anchor(c), points, shape, 12, 3e6), rtol=1e-12)
    nas = memoryless_success(with_anchor(c, 2.0, 20), points, shape, 12, 3.0)
    np.testing.assert_allclose(nas, memoryless_success(with_anchor(c, 2e3, 20), points, shape, 12, 3e6), rtol=1e-10)
    assert memoryless_success(undirected_anchor(2.0, 20), [1], shape, 12, 3.0)[0] == pytest.approx(1.0, abs=1e-12)
    kept = accumulating_success(c, [1, 19, 200], shape, 12, 1e-9)
    assert kept[0] == pytest.approx(fresh, rel=1e-5)
    assert kept[1] == pytest.approx(fresh, rel=0.1)  # nothing is lost before t = n; answers share axes by then
    assert kept[2] < 0.5 * fresh


@pytest.mark.claim("T6.success", "T6.crossover")
def test_nas_at_its_plateau_keeps_old_edits_longer_and_young_ones_nearly_as_well():
    shape, c, points = (64, 128), 0.75, [64, 640]
    anchor = math.sqrt((1 + c * c) * 64)
    start = anchor**2 * 128 / 126  # on the plateau from the first edit
    plain = memoryless_success(without_anchor(c), points, shape, 64, start)
    nas = memoryless_success(with_anchor(c, anchor, 128), points, shape, 64, start)
    assert nas[0] == pytest.approx(plain[0], abs=0.01)  # a worse ratio of energies, on less crowded axes
    assert nas[1] > plain[1]


@pytest.mark.claim("T6.collapse_point")
@pytest.mark.parametrize(
    ("success", "expected"),
    [
        ([90, 80, 70, 61], "> 400"),
        ([59, 58, 99, 99], "<= 100"),
        ([90, 59.9, 99, 20], "100 to 200"),
        ([60, 60, 60, 59], "300 to 400"),
        ([90, math.nan, 50, 40], "100 to 300"),
        ([90, 80, 70, math.nan], "> 300"),
        ([math.nan, 10, 10, 10], "<= 200"),
    ],
)
def test_brackets(success, expected):
    found = collapse_point([100, 200, 300, 400], success, 60)
    assert str(found) == expected
    assert found.censored == expected.startswith(">")


@pytest.mark.claim("T6.seeds")
def test_the_median_over_seeds_brackets_that_of_any_points_inside_and_knows_its_limits():
    choices = (Bracket(0, 10), Bracket(10, 20), Bracket(20, 30), Bracket(30, None))
    for sample in itertools.product(choices, repeat=4):
        ends = [(b.last + 1e-9, min(b.high, 1e6)) for b in sample]
        median = collapse_over_seeds(sample).median
        for points in itertools.product(*ends):
            assert median.last < np.median(points) <= median.high
    few = collapse_over_seeds([Bracket(10, 20)] * 5)
    assert few.interval == (0.0, math.inf)
    six = collapse_over_seeds([Bracket(10 * i, 10 * i + 10) for i in range(6)])
    assert six.interval == (0.0, 60.0)
    assert six.coverage == pytest.approx(1 - 2 / 64)
    assert str(six) == "median 20 to 40, 96.9 % interval 0 to 60, 0 censored"
    none_fell = collapse_over_seeds([Bracket(500, None)] * 8)
    assert str(none_fell.median) == "> 500"
    assert none_fell.censored == 8
    assert none_fell.interval == (500.0, math.inf)
    assert [median_rank(count, 0.95) for count in (8, 9, 20)] == [1, 2, 6]  # published tables of the sign test


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: success_probability(-1.0, 4), "ratio of -1.0"),
        (lambda: success_probability(math.nan, 4), "ratio of nan"),
        (lambda: success_probability(1.0, 0), "0 axes"),
        (lambda: success_probability(1.0, math.nan), "nan axes"),
        (lambda: success_probability(1.0, 2.5), "2.5 axes"),
        (lambda: specificity(1.0, 1.0, (2, 3), 3), "2 rows for 3 axes"),
        (lambda: specificity(1.0, math.nan, (2, 3), 2), "least ‖W‖² nan"),
        (lambda: crossover(1 + 1e-12), "above 1"),
        (lambda: crossover(1e200), "1e\\+200 times as long"),
        (lambda: with_anchor(1.0, 1.0, 2), "2 dimensions"),
        (lambda: undirected_anchor(1.0, 1), "1 dimensions"),
        (lambda: memoryless_success(without_anchor(1.0), [], (2, 3), 2, 1.0), "do not increase"),
        (lambda: memoryless_success(without_anchor(1.0), [2, 1], (2, 3), 2, 1.0), "do not increase"),
        (lambda: memoryless_success(without_anchor(1.0), [1], (2, 3), 3, 1.0), "3 orthonormal codewords"),
        (lambda: memoryless_success(without_anchor(1.0), [1], (2, 3), 2, 0.0), "is 0.0; it must be positive"),
        (lambda: memoryless_success(without_anchor(3.0), [4000], (2, 3), 2, 1.0), "leaves the range"),
        (lambda: accumulating_success(1.0, [0], (2, 3), 2, 1.0), "do not increase"),
        (lambda: accumulating_success(1.0, [1], (2, 3), 2, math.inf), "L2 is inf"),
        (lambda: collapse_point([1.5, 2], [50.0, 50.0], 60), "do not increase"),
        (lambda: specificity(0.0, 1.0, (2, 3), 2), "background is 0"),
        (lambda: crossover(1.0), "1.0 times as long"),
        (lambda: accumulating_success(1.0, [1], (2, 3), 2, 0.0), "L2 is 0"),
        (lambda: collapse_point([1, 2], [50.0], 60), "2 checkpoints have 1"),
        (lambda: collapse_point([2, 1], [50.0, 50.0], 60), "do not increase"),
        (lambda: collapse_point([0, 1], [50.0, 50.0], 60), "do not increase"),
        (lambda: collapse_point([1], [101.0], 60), "percentages"),
        (lambda: collapse_point([1], [0.5], 0), "percentages"),
        (lambda: collapse_point([1], [math.nan], 60), "none of the 1"),
        (lambda: collapse_over_seeds([]), "0 seeds"),
        (lambda: collapse_over_seeds([Bracket(1, 2)], 1.0), "level 1.0"),
    ],
)
def test_misuse_names_the_value(call, message):
    with pytest.raises(Misuse, match=message):
        call()


@pytest.mark.claim("T6.seeds")
def test_the_coverage_of_many_seeds_is_exact():
    for count, rank in ((60, 22), (200, 86), (2000, 957)):
        missed = sum(math.comb(count, below) for below in range(rank))
        assert covered(count, rank) == 1 - 2 * (missed / 2**count)


def test_fixed_values_have_no_noise_right_after_the_write():
    assert written(fixed_values(0.3), 5.0, 4).noise_sq == 0
