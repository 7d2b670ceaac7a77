"""Value models by second routes: every key and both signs of the noise summed, Kronecker matrices, closed forms."""

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest

from theory.command import Misuse
from theory.growth.key_laws import HARD, SOFT, GaussianKeys, SampleKeys, sample_keys
from theory.growth.value_fit import fit_values, mean_path, plateau_norm
from theory.growth.value_models import (
    ValueModel,
    absolute_shift,
    anchored,
    doubling_time,
    growth,
    growth_threshold,
    isotropic_factor,
    proportional,
    relative_shift,
    write_map,
)

MODELS = (
    relative_shift(0.7), absolute_shift(1.2), anchored(0.9), proportional(2.0, 0.3), proportional(0.5, -0.6),
    ValueModel(-1.7, 0.3, 0.2),
)  # fmt: skip


def drawn(n, count, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, count)) * np.geomspace(1, 3, n)[:, None]


def brute_mean(W, keys, A, soft, model, steps):
    """E‖W_t‖²_A over all key sequences and signs of a noise whose two halves, ω and τ, have signs of their own."""
    M = np.linalg.inv(A)
    total = []
    for choice in itertools.product(itertools.product(range(keys.shape[1]), (1, -1), (1, -1)), repeat=steps):
        V = W
        for which, first, second in choice:
            k = keys[:, which]
            s, read = k @ M @ k, V @ k
            eta = s / (1 + s) if soft else 1.0
            noise = first * model.relative * read[::-1] * [1, -1, 1][: len(read)]  # of ‖Wk‖'s length
            noise = noise + second * model.absolute * np.array([0.6, 0.8, 0.0])[: len(read)]
            V = V + eta * np.outer(model.pull * read + noise, M @ k) / s
        total.append(np.trace(V @ A @ V.T))
    return np.mean(total)


@pytest.mark.claim("T3.value_map")
@pytest.mark.parametrize("model", MODELS, ids=str)
@pytest.mark.parametrize("soft", [False, True])
def test_the_mean_path_is_the_sum_over_all_keys_and_signs(model, soft):
    keys, A, W = drawn(3, 2), np.diag([1.0, 2.0, 0.5]), np.random.default_rng(1).normal(size=(2, 3))
    lower = np.linalg.cholesky(A)
    law = sample_keys(keys, A, SOFT if soft else HARD)
    start = (W @ lower).T @ (W @ lower)
    found = mean_path(law, model, start, 2)
    for steps in (0, 1, 2):
        assert found[steps] == pytest.approx(brute_mean(W, keys, A, soft, model, steps), rel=1e-12)


@pytest.mark.claim("T3.value_map")
@pytest.mark.parametrize("model", MODELS, ids=str)
@pytest.mark.parametrize("gain", [HARD, SOFT])
def test_the_growth_factor_is_the_kronecker_matrix_s(model, gain):
    law = sample_keys(drawn(4, 30, 2), gain=gain)
    whole = np.zeros((16, 16))
    for y, eta in zip(law.directions.T, law.gains, strict=True):
        outer = np.outer(y, y)
        keep = np.eye(4) + model.pull * eta * outer
        whole += (np.kron(keep, keep) + model.relative**2 * eta**2 * np.kron(outer, outer)) / 30
    found = growth(law, model)
    assert found.value == pytest.approx(np.abs(np.linalg.eigvals(whole)).max(), rel=1e-11)
    assert found.low <= found.value * (1 + 1e-12)
    assert found.high - found.low < 1e-6


@pytest.mark.claim("T3.value_map")
@pytest.mark.parametrize(
    "keys", [np.eye(4), np.repeat(np.eye(3), [4, 1, 1], axis=1), np.eye(4)[:, :2], np.ones((1, 2))]
)
def test_degenerate_laws_keep_their_bracket(keys):
    shares = np.bincount(np.argmax(keys, axis=0), minlength=len(keys)) / keys.shape[1]
    for b in (-1.0, -0.4, 0.5):
        found = growth(sample_keys(keys), ValueModel(b, 0.2, 0.0))
        diagonal = 1 + (2 * b + b**2 + 0.04) * shares
        assert found.low <= max(diagonal) * (1 + 1e-12)
        assert found.high >= max(diagonal) * (1 - 1e-12)
        assert found.value == pytest.approx(max(diagonal), rel=1e-10)


@pytest.mark.claim("T3.value_map", "T3.bracket")
def test_the_bracket_holds_where_the_terms_of_the_map_cancel():
    # n = 1, b = −1, ω = 0: L(X) = (1 − η)²X in the mean, 0 for hard writes, while its terms are of size 1.
    for law in (sample_keys(np.ones((1, 6))), sample_keys(np.full((1, 6), 0.3)), GaussianKeys(np.ones(1))):
        found = growth(law, anchored(1.0))
        assert found.low <= 0 <= found.high < 1e-12
        assert found.low <= found.value <= found.high
        assert doubling_time(found.value) == math.inf
    for seed in range(10):
        rng = np.random.default_rng(seed)
        n, count, b = int(rng.integers(1, 4)), int(rng.integers(4, 300)), float(rng.uniform(-2, 1))
        axes, eta = rng.integers(0, n, count), rng.uniform(1e-3, 1, count)
        parts = [[(1 + Fraction(b) * Fraction(float(g))) ** 2 for g in eta[axes == i]] for i in range(n)]
        exact = max((sum(part) + count - len(part)) / count for part in parts)
        off = [1 + Fraction(b) * sum(Fraction(float(g)) for g, at in zip(eta, axes, strict=True) if at in pair) / count
               for pair in itertools.combinations(range(n), 2)]  # fmt: skip
        assert all(abs(part) <= exact for part in off)  # Perron: the top eigenmatrix is on the cone
        found = growth(SampleKeys(np.eye(n)[:, axes], np.ones(count), eta), ValueModel(b, 0.0, 0.0))
        assert Fraction(found.low) <= exact <= Fraction(found.high)


@pytest.mark.claim("T3.threshold")
@pytest.mark.parametrize(("alpha", "sign"), [(0.9, -1), (1.0, 0), (1.1, 1)])
def test_every_edit_has_the_threshold_s_sign_from_any_weight(alpha, sign):
    law = sample_keys(drawn(3, 9, 5), gain=np.full(9, 0.5))
    at = alpha * growth_threshold(0.5, 0.3)
    for seed in range(5):
        row = np.random.default_rng(seed).normal(size=3)
        steps = np.diff(mean_path(law, proportional(at, 0.3), np.outer(row, row), 6))
        assert np.all(np.sign(np.where(np.abs(steps) < 1e-12, 0, steps)) == sign)


@pytest.mark.claim("T3.value_map")
def test_gaussian_laws_agree_with_isotropic_closed_forms_and_a_large_sample():
    isotropic = GaussianKeys(np.ones(7))
    for model in MODELS:
        assert growth(isotropic, model).value == pytest.approx(isotropic_factor(7, model), rel=1e-11)
    assert plateau_norm(isotropic, anchored(2.0)) == pytest.approx(4 * 7 / 5, rel=1e-9)
    spectrum = np.array([1.0, 2.0, 6.0])
    rng = np.random.default_rng(3)
    sample = sample_keys(rng.normal(size=(3, 200_000)) * np.sqrt(spectrum)[:, None], gain=SOFT)
    law = GaussianKeys(spectrum, SOFT)
    X = np.array([[1.0, 0.4, -0.3], [0.4, 2.0, 0.1], [-0.3, 0.1, 0.5]])
    for model in MODELS:
        exact, drawn_map = write_map(law, model), write_map(sample, model)
        np.testing.assert_allclose(drawn_map.apply(X), exact.apply(X), atol=0.01)
        np.testing.assert_allclose(drawn_map.floor, exact.floor, atol=0.01)


@pytest.mark.claim("T3.value_map")
def test_absolute_shifts_grow_linearly_and_anchored_values_settle():
    law = sample_keys(drawn(3, 12, 4))
    path = mean_path(law, absolute_shift(1.5), np.eye(3), 50)
    np.testing.assert_allclose(np.diff(path), 2.25 * np.mean(1 / law.sizes), rtol=1e-12)
    settled = mean_path(law, anchored(1.5), 4 * np.eye(3), 600)[-1]
    assert plateau_norm(law, anchored(1.5)) == pytest.approx(settled, rel=1e-9)
    with pytest.raises(Misuse, match="so no plateau is certain"):
        plateau_norm(law, relative_shift(0.1))
    with pytest.raises(Misuse, match="no plateau"):
        plateau_norm(sample_keys(np.eye(3)[:, :2]), anchored(1.0))


@pytest.mark.claim("T3.threshold")
@pytest.mark.parametrize(("eta", "cosine"), [(1.0, 0.4), (0.5, 0.0), (0.3, 0.7), (0.3, -0.7), (0.1, 1.0)])
def test_growth_changes_sign_at_the_threshold_for_any_keys(eta, cosine):
    law = sample_keys(drawn(3, 9, 5), gain=np.full(9, eta))
    alpha = growth_threshold(eta, cosine)
    assert growth(law, proportional(alpha, cosine)).value == pytest.approx(1, abs=1e-9)
    assert growth(law, proportional(1.05 * alpha, cosine)).low > 1
    assert growth(law, proportional(0.95 * alpha, cosine)).high < 1


def test_doubling_time():
    assert doubling_time(1 + 1 / 100) == pytest.approx(math.log(2) * 100, rel=0.01)
    assert 1.02 ** doubling_time(1.02) == pytest.approx(2)
    assert doubling_time(1.0) == math.inf


@pytest.mark.claim("T3.value_fit")
def test_a_fit_of_noisy_pairs_and_its_misfit():
    rng = np.random.default_rng(6)
    reads = rng.normal(size=(5, 40_000)) * rng.uniform(0.5, 3, 40_000)
    noise = rng.normal(size=reads.shape) / math.sqrt(5)
    scale = np.sqrt(0.6**2 * (reads**2).sum(axis=0) + 2.0**2)
    found = fit_values(reads, 0.8 * reads + noise * scale)
    assert found.model.pull == pytest.approx(-0.2, abs=0.02)
    assert found.model.relative == pytest.approx(0.6, abs=0.03)
    assert found.model.absolute == pytest.approx(2.0, abs=0.1)
    assert max(found[1:]) < 0.03
    assert fit_values(reads, 2 * reads / np.linalg.norm(reads, axis=0)).length_misfit > 0.1


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: ValueModel(0.0, -1.0, 0.0), "negative noise"),
        (lambda: ValueModel(math.nan, 1.0, 0.0), "not finite"),
        (lambda: proportional(-1.0, 0.0), "α = -1.0"),
        (lambda: isotropic_factor(0, relative_shift(1.0)), "key dimension is 0"),
        (lambda: growth_threshold(0.0, 0.0), "η = 0.0"),
        (lambda: doubling_time(-0.5), "growth factor is -0.5"),
        (lambda: proportional(math.inf, 0.0), "α = inf"),
        (lambda: isotropic_factor(4, relative_shift(1.0), math.nan), "no gain in"),
        (lambda: isotropic_factor(4, relative_shift(1.0), 0.5, 0.9), "no gain in"),
        (lambda: isotropic_factor(4, relative_shift(1.0), 0.5, 0.2), "no gain in"),
        (lambda: plateau_norm(GaussianKeys(np.ones(2)), anchored(1.0)), "infinite for Gaussian keys with n = 2"),
        (lambda: mean_path(GaussianKeys(np.ones(1)), anchored(1.0), np.eye(1), 2), "infinite for Gaussian keys"),
        (lambda: mean_path(GaussianKeys(np.ones(3)), anchored(1.0), np.eye(2), 2), r"S_0 has shape \(2, 2\)"),
        (lambda: mean_path(GaussianKeys(np.ones(3)), anchored(1.0), np.eye(3), -1), "-1 edits"),
        (lambda: fit_values(np.ones((2, 9)), np.ones((2, 8))), r"\(2, 9\) and values \(2, 8\)"),
        (lambda: fit_values(np.ones((2, 9)), np.ones((2, 9))), "cannot tell ω from τ"),
        (lambda: fit_values(np.full((2, 9), np.nan), np.ones((2, 9))), "NaN or infinity"),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(Misuse, match=message):
        call()
