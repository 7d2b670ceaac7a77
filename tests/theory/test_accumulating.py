"""T3b by second routes: drawn keys, brute-force least squares, quadrature, and attacks on the bounds."""

import itertools
import math

import mpmath
import numpy as np
import pytest
from scipy import integrate

from theory.accumulating.anchored import anchored_growth, gain_series, moments, next_moment, undirected_growth
from theory.accumulating.exact import anchored_ceiling, growth_ceiling, hard_growth, hard_step, least_norm
from theory.accumulating.mean_field import (
    accumulating_growth,
    batched_growth,
    fastest_edit,
    fresh_gain,
    growth_rate,
    saturation,
)
from theory.accumulating.spectrum import field, field_at, spectral_growth
from theory.accumulating.threshold import spectral_threshold, threshold
from theory.command import Misuse


def soft_write(W, A, k, v):
    """One accumulating write, straight from the published solve."""
    return W + np.outer(v - W @ k, np.linalg.solve(A + np.outer(k, k), k))


def stream(n, ridge, edits, value, seed, m=3, keys=None):
    rng = np.random.default_rng(seed)
    W, A = rng.normal(size=(m, n)), ridge * np.eye(n)
    start = W
    for t in range(edits):
        k = rng.normal(size=n) if keys is None else keys(W, t, rng)
        W = soft_write(W, A, k, value(W @ k, rng))
        A = A + np.outer(k, k)
    return start, W, A


@pytest.mark.claim("T3b.exact")
@pytest.mark.parametrize(("n", "t", "theta"), [(9, 3, 1.0), (9, 3, 0.6)])
def test_exact_step_by_quadrature_over_the_two_chi_squares(n, t, theta):
    """Given W, one write's mean change from the laws of ‖p‖, ‖q‖ alone, by integrals over the chi-square densities."""
    c, kappa = 0.75, (theta - 1) ** 2 + theta**2 * 0.75**2
    outside, inside = 0.7, 0.9  # ‖WQ‖², ‖W(I−Q)‖²
    density = lambda x, d: x ** (d / 2 - 1) * math.exp(-x / 2) / (2 ** (d / 2) * math.gamma(d / 2))  # noqa: E731
    inverse = integrate.quad(lambda x: density(x, n - t) / x, 0, np.inf)[0]
    mean_q = integrate.quad(lambda x: density(x, n - t) * x, 0, np.inf)[0]  # E‖q‖² = n − t
    change = 2 * (theta - 1) * outside / mean_q + kappa * (inside * inverse + outside / mean_q)
    level = inside + outside
    # hard_step expects ‖WQ‖² = (n−t)/n: rescale so that it is
    scale = (n - t) / n / outside
    assert hard_step(level * scale, n, t, c, theta) == pytest.approx((level + change) * scale, rel=1e-9)


def hard_streams(n, edits, shift, theta, seeds, m=2):
    """‖W_t‖²/‖W_0‖² of many hard streams at once: every stream's W and projector off its past keys."""
    rng = np.random.default_rng(n + edits)
    W, Q = np.tile(rng.normal(size=(m, n)), (seeds, 1, 1)), np.tile(np.eye(n), (seeds, 1, 1))
    start, keys = np.sum(W[0] ** 2), rng.normal(size=(edits + 1, seeds, n))
    for k, later in itertools.pairwise(keys):
        q, read = np.einsum("sij,sj->si", Q, k), np.einsum("sij,sj->si", W, k)
        size = np.sum(q * q, axis=1)[:, None]
        write = theta * (read + shift(read, rng, W, q, later)) - read
        W = W + write[:, :, None] * (q / size)[:, None, :]
        Q = Q - q[:, :, None] * (q / size)[:, None, :]
    return np.sum(W**2, axis=(1, 2)) / start


def orthogonal(c):
    """Shifts of c‖Wk‖ in a uniform direction."""

    def draw(read, rng, *_):
        shift = rng.normal(size=read.shape)
        return c * np.linalg.norm(read, axis=1)[:, None] * shift / np.linalg.norm(shift, axis=1)[:, None]

    return draw


@pytest.mark.claim("T3b.exact", "T3b.threshold")
@pytest.mark.parametrize(
    ("n", "edits", "c", "theta"), [(8, 4, 0.75, 1.0), (8, 4, 0.75, 0.6), (12, 6, 1.0, 1.0), (12, 6, 0.5, 1.3)]
)
def test_exact_law_on_drawn_keys(n, edits, c, theta):
    ratios = hard_streams(n, edits, orthogonal(c), theta, 20_000)
    error = np.std(ratios) / math.sqrt(len(ratios))
    assert error < 0.03
    assert abs(np.mean(ratios) - hard_growth(n, edits, c, theta)) < 4 * error
    assert abs(np.mean(ratios) - hard_growth(n, edits - 1, c, theta)) > 4 * error  # it tells one edit from the next


@pytest.mark.claim("T3b.exact")
def test_exact_law_needs_keys_that_are_independent_of_earlier_shifts():
    """Shifts that peek at the next key pass every condition given k and the past, and still break the law."""

    def peeking(read, rng, W, q, later):
        ahead = np.einsum("sij,sj->si", W, later) * np.sign(np.sum(q * later, axis=1))[:, None]
        return np.linalg.norm(read, axis=1)[:, None] * ahead / np.linalg.norm(ahead, axis=1)[:, None]

    ratios = hard_streams(8, 2, peeking, 1.0, 20_000)
    assert np.mean(ratios) - hard_growth(8, 2, 1.0) > 6 * np.std(ratios) / math.sqrt(len(ratios))


@pytest.mark.claim("T3b.threshold")
def test_mean_diverges_at_the_threshold_as_the_cut_off_goes():
    """E[1/χ²_d; χ² > ε] by quadrature: logarithmic for d = 2, convergent for d = 3."""
    cut = lambda d, e: float(mpmath.quad(  # noqa: E731
        lambda x: mpmath.mpf(x) ** (mpmath.mpf(d) / 2 - 2) * mpmath.exp(-x / 2), [e, 1e-3, 1, mpmath.inf]))  # fmt: skip
    assert cut(2, 1e-12) - cut(2, 1e-6) == pytest.approx(6 * math.log(10), rel=1e-3)
    assert cut(3, 1e-12) - cut(3, 1e-6) < 3e-3
    assert hard_growth(6, 4, 0.3) < math.inf == hard_growth(6, 5, 0.3)


@pytest.mark.claim("T3b.double_descent")
@pytest.mark.parametrize("t", [4, 25])
def test_least_norm_is_the_wishart_mean_of_the_pseudo_inverse(t):
    n, m, seeds = 12, 2, 2000
    rng = np.random.default_rng(t)
    norms = []
    for _ in range(seeds):
        K, V = rng.normal(size=(n, t)), rng.normal(size=(m, t))
        V *= 1.3 / np.linalg.norm(V, axis=0)
        W0 = rng.normal(size=(m, n))
        W0 /= np.linalg.norm(W0)
        span = K @ np.linalg.pinv(K)
        norms.append(np.sum((W0 - W0 @ span + V @ np.linalg.pinv(K)) ** 2))
    assert abs(np.mean(norms) - least_norm(n, t, 1.0, 1.3**2)) < 4 * np.std(norms) / math.sqrt(seeds)


@pytest.mark.claim("T3b.double_descent", "T3b.anchored")
def test_a_stream_of_writes_is_one_ridge_regression():
    rng = np.random.default_rng(3)
    W, A, ridge = rng.normal(size=(3, 5)), 0.7 * np.eye(5), 0.7
    start, keys, values = W, rng.normal(size=(9, 5)), rng.normal(size=(9, 3))
    for k, v in zip(keys, values, strict=True):
        W = soft_write(W, A, k, v)
        A = A + np.outer(k, k)
    stacked = np.vstack([keys, math.sqrt(ridge) * np.eye(5)])
    targets = np.vstack([values, math.sqrt(ridge) * start.T])
    np.testing.assert_allclose(W.T, np.linalg.lstsq(stacked, targets, rcond=None)[0], rtol=1e-9)


@pytest.mark.claim("T3b.polynomial")
@pytest.mark.parametrize("c", [0.3, 1.0, 2.5])
def test_no_keys_and_shifts_pass_the_polynomial_ceiling(c):
    """An adversary turns every key towards W's largest read-out and shifts along it."""
    for seed in range(6):

        def greedy(W, t, rng):
            top = np.linalg.svd(W)[2][0]
            return top + 0.1 * rng.normal(size=4) * (t % 3)

        for direction in (1.0, -1.0):
            start, W, A = stream(4, 0.5, 60, lambda y, rng, s=direction: (1 + s * c) * y, seed, keys=greedy)
            sign, volume = np.linalg.slogdet(A / 0.5)
            in_metric = np.trace(W @ A @ W.T) / (0.5 * np.sum(start**2))
            assert sign > 0
            assert math.log(in_metric) <= (1 + c) ** 2 * volume + 1e-9
            total = np.trace(A) - 4 * 0.5
            assert np.sum(W**2) / np.sum(start**2) <= growth_ceiling(4, 0.5, c, total) * (1 + 1e-9)


@pytest.mark.claim("T3b.polynomial")
def test_a_memoryless_rule_passes_the_ceiling_that_an_accumulating_one_keeps():
    n, ridge, c, edits = 1, 4.0, 0.75, 400
    W = 1.0
    for _ in range(edits):  # A stays L2 + k²: the write is the same at every step
        W += c * W / (ridge + 1)
    assert W**2 > growth_ceiling(n, ridge, c, edits) > 1
    assert growth_ceiling(1, 1.0, 0.0, 3.0) == pytest.approx(4.0)
    assert growth_ceiling(2, 1.0, 2.0, 6.0, orthogonal=True) == pytest.approx(4.0**10)
    assert growth_ceiling(5000, 1.0, 5.0, 1e9) == math.inf


@pytest.mark.claim("T3b.anchored")
@pytest.mark.parametrize("seed", range(4))
def test_anchored_streams_keep_their_ceilings(seed):
    def aligned(y, rng):
        return 1.5 * y / np.linalg.norm(y)

    for keys in (None, lambda W, t, rng: 0.05 * rng.normal(size=4)):
        start, W, A = stream(4, 0.3, 50, aligned, seed, keys=keys)
        excitation = (np.linalg.eigvalsh(A)[0] - 0.3) / 50
        size = np.linalg.norm(W)
        assert size <= anchored_ceiling(float(np.linalg.norm(start)), 1.5, 0.3, 50) * (1 + 1e-9)
        assert size <= anchored_ceiling(float(np.linalg.norm(start)), 1.5, 0.3, 50, excitation) * (1 + 1e-9)


@pytest.mark.claim("T3b.anchored")
def test_the_square_root_of_t_is_reached():
    """One key direction with σ = √L2 at time t, values all alike: gain 1/(2√L2) exactly."""
    ridge, t = 0.64, 16
    key = math.sqrt(ridge / t)
    W, A = np.zeros((1, 1)), ridge * np.eye(1)
    for _ in range(t):
        W = soft_write(W, A, np.array([key]), np.array([2.0]))
        A = A + key**2
    assert W[0, 0] == pytest.approx(anchored_ceiling(0.0, 2.0, ridge, t), rel=1e-12)


@pytest.mark.claim("T3b.gain_bound")
@pytest.mark.parametrize(("law", "t"), [("gaussian", 5), ("axes", 7), ("signs", 4)])
def test_mean_gain_is_above_the_mean_field_for_several_key_laws(law, t):
    n, ridge, rng = 4, 0.8, np.random.default_rng(8)
    draw = {
        "gaussian": lambda: rng.normal(size=(n, t - 1)),
        "axes": lambda: math.sqrt(n) * np.eye(n)[:, rng.integers(n, size=t - 1)],
        "signs": lambda: rng.choice([-1.0, 1.0], size=(n, t - 1)),
    }[law]
    gains = []
    for _ in range(3000):
        K = draw()
        gains.append(np.trace(np.linalg.inv(ridge * np.eye(n) + K @ K.T)))
    assert np.mean(gains) + 4 * np.std(gains) / math.sqrt(3000) > float(fresh_gain(n, ridge, t))
    assert float(fresh_gain(n, ridge, t - 1)) > float(fresh_gain(n, ridge, t))


@pytest.mark.claim("T3b.closure")
def test_closure_follows_drawn_streams_past_the_threshold():
    n, ridge, c, m, edits = 60, 0.5, 0.75, 30, (40, 60, 120)
    cosine = 1 / math.sqrt(1 + c * c)
    found = anchored_growth(n, ridge, 1.0, cosine, edits)
    measured = []
    for seed in range(6):
        rng = np.random.default_rng(seed)
        W, A, row = rng.normal(size=(m, n)) / math.sqrt(n), ridge * np.eye(n), []
        start = np.linalg.norm(W)
        for t in range(1, edits[-1] + 1):
            k = rng.normal(size=n)
            read, shift = W @ k, rng.normal(size=m)
            shift -= read * (shift @ read) / (read @ read)
            v = read + c * np.linalg.norm(read) * shift / np.linalg.norm(shift)
            W = soft_write(W, A, k, start * v / np.linalg.norm(v))
            A += np.outer(k, k)
            if t in edits:
                row.append(np.sum(W**2) / start**2)
        measured.append(row)
    np.testing.assert_allclose(found, np.mean(measured, axis=0), rtol=0.1)


@pytest.mark.claim("T3b.closure", "T3b.double_descent")
def test_closure_of_undirected_values_is_the_ridge_law_and_the_series_its_moments():
    n, ridge, times = 40, 0.3, [10.0, 40.0, 90.0]
    np.testing.assert_allclose(
        anchored_growth(n, ridge, 0.8, 0.0, times), undirected_growth(n, ridge, 0.8, times), rtol=1e-4
    )
    rng = np.random.default_rng(0)
    K = rng.normal(size=(700, 900))
    values = np.linalg.eigvalsh(5.0 * np.eye(700) + K @ K.T)
    powers = moments(700, 5.0, 900.0, 3)
    for j, moment in zip(range(-2, 4), powers, strict=True):
        assert moment == pytest.approx(np.sum(values ** -float(j)), rel=0.05)
    np.testing.assert_allclose(gain_series(700, 5.0, 900.0, 2), powers[3:] * [1, -1, 1], rtol=1e-12)
    powers = moments(9, 1.0, 6.0, 8)
    mixed = 2 * powers[1:6] + 3 * powers[3:8]  # WᵀW = 2·I + 3·A⁻²
    assert next_moment(mixed, powers) == pytest.approx(2 * powers[6] + 3 * powers[8], rel=1e-9)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: fresh_gain(4, 0.0, 1), "ridge L2 is 0"),
        (lambda: accumulating_growth(4, 0.0, 1.0, 2), "ridge L2 is 0"),
        (lambda: fastest_edit(4, math.nan), "ridge L2 is nan"),
        (lambda: batched_growth(4, 1.0, 1.0, 0, 2), "batch holds 0"),
        (lambda: hard_growth(2, 1, 1.0), "n = 2"),
        (lambda: hard_growth(8, 9, 1.0), "t = 9"),
        (lambda: hard_growth(8, 2, 1.0, 0.0), "theta is 0"),
        (lambda: growth_ceiling(4, 0.0, 1.0, 2.0), "ridge L2 is 0"),
        (lambda: anchored_ceiling(1.0, 1.0, 1.0, 3, -0.1), "excitation -0.1"),
        (lambda: field([-1.0], 1.0, 1.0), "spectrum"),
        (lambda: field([1.0], 0.0, 1.0), "ridge L2 is 0"),
        (lambda: field_at([1.0], 1.0, [-1.0]), "t = -1"),
        (lambda: anchored_growth(4, 1.0, 0.0, 0.5, [1.0]), "anchor's square 0"),
        (lambda: anchored_growth(4, 1.0, 1.0, 1.5, [1.0]), "cosine is 1.5"),
        (lambda: anchored_growth(4, 1.0, 1.0, 0.5, [2.0, 1.0]), "increasing"),
        (lambda: threshold(np.ones((3, 2)), 1.0), "at least 4"),
        (lambda: threshold(np.ones((5, 2)), 0.0), "ridge L2 is 0"),
        (lambda: threshold(np.ones((5, 2)), 1.0, np.eye(3)), "does not fit"),
        (lambda: threshold(np.zeros((5, 2)), 1.0), "every key is 0"),
        (lambda: spectral_threshold([0.0], 1.0), "from 0 to 0"),
        (lambda: field([1.0, math.inf], 1.0, 1.0), "from 1 to inf"),
        (lambda: field([1.0], 1.0, -2.0), "τ = -2"),
        (lambda: field_at([1.0], 1.0, [math.inf]), "t = inf"),
        (lambda: spectral_growth([1.0], 1.0, math.nan, 2), "c is nan"),
        (lambda: spectral_growth([1.0], 1.0, 1.0, -2), "-2 steps"),
        (lambda: fresh_gain(0, 1.0, 1), "n = 0"),
        (lambda: fresh_gain(4, math.inf, 1), "ridge L2 is inf"),
        (lambda: fresh_gain(4, 1.0, -50), "t = -50"),
        (lambda: accumulating_growth(4, 1.0, math.nan, 2), "c is nan"),
        (lambda: accumulating_growth(4, 1.0, 1.0, -2), "-2 steps"),
        (lambda: saturation(4, 1.0, -1.0), "c is -1"),
        (lambda: batched_growth(4, 1.0, 1.0, 2.5, 2), "batch holds 2.5"),
        (lambda: hard_growth(8, 2.5, 1.0), "t = 2.5"),
        (lambda: hard_growth(8, 2, math.nan), "c is nan"),
        (lambda: hard_growth(8, 2, 1.0, math.inf), "theta is inf"),
        (lambda: least_norm(1, 0, 1.0, 1.0), "n = 1"),
        (lambda: least_norm(5, 2, -1.0, 1.0), "R_0 = -1"),
        (lambda: least_norm(5, 4, 1.0, 0.0), "a² = 0"),
        (lambda: growth_ceiling(-1, 1.0, 1.0, 2.0), "n = -1"),
        (lambda: growth_ceiling(3, 1.0, math.nan, 2.0), "c = nan"),
        (lambda: anchored_ceiling(1.0, 1.0, 1.0, -3), "t = -3"),
        (lambda: anchored_ceiling(1.0, 1.0, 1.0, 3, math.nan), "excitation nan"),
        (lambda: undirected_growth(4, 1.0, -1.0, [1.0]), "anchor's square -1"),
        (lambda: undirected_growth(4, 1.0, 1.0, [-1.0]), "t = -1"),
        (lambda: anchored_growth(0, 1.0, 1.0, 0.8, [2.0]), "n = 0"),
        (lambda: threshold(np.ones((5, 2)), 1.0, 2 * np.eye(2)), "not orthonormal"),
    ],
)
def test_misuse_names_the_value(call, message):
    with pytest.raises(Misuse, match=message):
        call()


def test_extreme_values_give_numbers_or_infinity():
    assert saturation(4, 1e-300, 3.0)[1] == math.inf
    assert hard_growth(800, 700, 300.0) == math.inf
    assert float(growth_rate(4, 1e-200, 1)) == pytest.approx(1 / 3)
    exact = math.prod(1 + 1e4 / (6 - i) for i in range(2)) * 0.75 + 0.25
    assert hard_growth(8, 2, 100.0) == pytest.approx(exact, rel=1e-15)
