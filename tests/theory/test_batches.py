"""T2 by a second route: batches, sequences and growth in numpy, from the definitions."""

import itertools
import random
import re

import mpmath
import numpy as np
import pytest
import sympy

from theory.command import Misuse
from theory.growth.isotropic import mean_growth
from theory.writes import batches, entries, identities
from theory.writes.batches import batch_growth

SHAPES = pytest.mark.parametrize(("m", "n", "u"), [(2, 5, 1), (3, 6, 2), (7, 4, 3), (1, 5, 4)])


class Memory:
    """Random W (m, n), A (n, n) and several batches K (n, u), V (m, u)."""

    def __init__(self, m, n, u, count=3):
        rng = np.random.default_rng(100 * m + 10 * n + u)
        root = rng.normal(size=(n, n))
        self.W, self.A = rng.normal(size=(m, n)), root @ root.T + np.eye(n)
        self.batches = [(rng.normal(size=(n, u)), rng.normal(size=(m, u))) for _ in range(count)]


def energy(W, A):
    return np.trace(W @ A @ W.T)


def least_squares(W, A, K, V):
    """The write as its own minimisation: ‖(W' − W)A^(1/2)‖² + ‖W'K − V‖²."""
    return (W @ A + V @ K.T) @ np.linalg.inv(A + K @ K.T)


@SHAPES
@pytest.mark.claim("T2.emmet", "T2.emmet_released")
def test_emmet_batches_as_published_and_as_released(m, n, u):
    x = Memory(m, n, u)
    K, V = x.batches[0]
    read, inverse = x.W @ K, np.linalg.inv(x.A)
    H = K.T @ inverse @ K
    after = x.W + (V - read) @ np.linalg.inv(H) @ K.T @ inverse
    assert after @ K == pytest.approx(V)
    foretold = np.trace(V @ np.linalg.inv(H) @ V.T) - np.trace(read @ np.linalg.inv(H) @ read.T)
    assert energy(after, x.A) - energy(x.W, x.A) == pytest.approx(foretold)
    kappa = 0.1
    T = np.linalg.inv(H + kappa * np.eye(u))
    released = x.W + (V - read) @ T @ K.T @ inverse
    assert released == pytest.approx(least_squares(x.W, kappa * x.A, K, V))  # MEMIT with λ/10
    assert released @ K == pytest.approx(V - kappa * (V - read) @ T)
    assert not np.allclose(released @ K, V)


@SHAPES
@pytest.mark.claim("T2.sequential", "T2.running")
def test_accumulating_writes_in_any_order_are_one_batch_and_keep_the_running_energy(m, n, u):
    x = Memory(m, n, u)
    together = least_squares(x.W, x.A, *(np.hstack(parts) for parts in zip(*x.batches, strict=True)))
    for order in itertools.permutations(x.batches):
        W, A = x.W, x.A
        for K, V in order:
            T = np.linalg.inv(np.eye(u) + K.T @ np.linalg.inv(A) @ K)
            R = V - W @ K
            after = W + R @ T @ np.linalg.solve(A, K).T
            gained = energy(after, A + K @ K.T) - energy(W, A)
            assert gained == pytest.approx(np.sum(V**2) - np.trace(R @ T @ R.T))
            W, A = after, A + K @ K.T
        assert pytest.approx(together) == W
        shifted = [(K, V + x.W @ K) for K, V in order]  # targets that follow the weight are another matter
    W, A = x.W, x.A
    for (K, _), (_, shift) in zip(x.batches, x.batches, strict=True):
        W, A = least_squares(W, A, K, W @ K + shift), A + K @ K.T
    fixed = least_squares(x.W, x.A, *(np.hstack(parts) for parts in zip(*shifted, strict=True)))
    assert not np.allclose(W, fixed)


@SHAPES
@pytest.mark.claim("T2.memoryless")
def test_memoryless_writes_are_the_batch_only_for_keys_that_do_not_meet(m, n, u):
    x = Memory(m, n, u)
    (K, V), (L, U), _ = x.batches
    first = least_squares(x.W, x.A, K, V)
    last = least_squares(first, x.A, L, U)
    both, targets = np.hstack((K, L)), np.hstack((V, U))
    defect = last @ (x.A + both @ both.T) - (x.W @ x.A + targets @ both.T)
    assert defect == pytest.approx((last - first) @ K @ K.T)
    assert not np.allclose(last, least_squares(x.W, x.A, both, targets))
    k, inverse = K[:, :1], np.linalg.inv(x.A)
    apart = L[:, :1] - k * (k.T @ inverse @ L[:, :1]) / (k.T @ inverse @ k)  # k_1ᵀA⁻¹k_2 = 0
    first = least_squares(x.W, x.A, k, V[:, :1])
    last = least_squares(first, x.A, apart, U[:, :1])
    both, targets = np.hstack((k, apart)), np.hstack((V[:, :1], U[:, :1]))
    assert last == pytest.approx(least_squares(x.W, x.A, both, targets))


@pytest.mark.parametrize("keys", ["unseen", "random", "one direction"])
@pytest.mark.claim("T2.running")
def test_anchored_accumulating_streams_stay_below_the_bound(keys):
    rng, a, (m, n) = np.random.default_rng(5), 2.0, (3, 6)
    W, A = rng.normal(size=(m, n)), 0.3 * np.eye(n)
    start = energy(W, A)
    for count in range(1, 121):
        k = rng.normal(size=(n, 1)) if keys != "one direction" else 3.0 * np.eye(n)[:, :1]
        if keys == "unseen":
            k = np.linalg.svd(W)[2][m:].T @ rng.normal(size=(n - m, 1))
        v = rng.normal(size=(m, 1))
        W, A = least_squares(W, A, k, a * v / np.linalg.norm(v)), A + k @ k.T
        assert energy(W, A) <= start + count * a**2
        assert np.sum(W**2) <= (start + count * a**2) / np.linalg.eigvalsh(A)[0]


def drawn_growth(n, u, c, draws, rng, lengths, spread):
    """‖W'‖²/‖W‖² of hard batches in the metric Σ⁻¹, one a draw, with unbiased shifts."""
    m = 4
    root = np.diag(np.geomspace(1, spread, n) ** 0.5)  # Σ = root²
    C, W = root @ root, rng.normal(size=(m, n))
    for _ in range(draws):
        K = root @ rng.normal(size=(n, u)) * lengths(rng, u)
        read = W @ K
        away = rng.normal(size=(m, u))
        D = c * np.linalg.norm(read, axis=0) * away / np.linalg.norm(away, axis=0)
        raised = np.linalg.solve(C, K)
        after = W + D @ np.linalg.solve(K.T @ raised, raised.T)
        yield energy(after, C) / energy(W, C)


@pytest.mark.parametrize(
    ("n", "u", "c", "spread"), [(9, 1, 1.0, 1.0), (12, 4, 1.0, 1.0), (14, 6, 0.7, 20.0), (11, 2, 1.5, 5.0)]
)
@pytest.mark.parametrize("lengths", [lambda rng, u: 1.0, lambda rng, u: rng.choice([0.01, 1, 30], size=u)])
@pytest.mark.claim("T2.batch_growth", "T2.batch_growth_computed")
def test_the_mean_growth_of_hard_batches(n, u, c, spread, lengths):
    drawn = np.fromiter(drawn_growth(n, u, c, 4000, np.random.default_rng(7), lengths, spread), float)
    error = drawn.std() / np.sqrt(len(drawn))
    assert abs(drawn.mean() - batch_growth(n, u, c)) < 4 * error
    if u > 2:
        assert abs(drawn.mean() - (1 + c**2 * u / n)) > 4 * error  # not that of u keys one by one


@pytest.mark.claim("T2.batch_growth", "T2.batch_growth_computed")
def test_batch_growth_against_the_beta_integral_and_its_ends():
    for n, u, c in ((6, 2, 1.0), (9, 7, 0.5), (30, 11, 2.0)):
        p, q = mpmath.mpf(n - u + 1) / 2, mpmath.mpf(u - 1) / 2
        assert batch_growth(n, u, c) == pytest.approx(
            float(1 + c**2 * u / n * mpmath.beta(p - 1, q) / mpmath.beta(p, q))
        )
    assert batch_growth(7, 1, 0.6) == pytest.approx(mean_growth(7, 0.6))
    assert batch_growth(100, 98, 1.0) == pytest.approx(1 + 98 * 98 / 100)
    assert batch_growth(5, 3, 0.0) == 1


@pytest.mark.parametrize(("n", "u"), [(5, 0), (5, 4), (5, 5), (2, 1)])
def test_batch_growth_refuses_where_its_formula_does_not_hold(n, u):
    with pytest.raises(Misuse, match=f"u = {u} keys in n = {n} dimensions"):
        batch_growth(n, u, 1.0)


@pytest.mark.parametrize(("n", "u"), [(8.5, 2), (8, 2.5), (np.inf, 2), (np.nan, 2)])
def test_batch_growth_refuses_parts_of_a_key(n, u):
    with pytest.raises(Misuse, match=f"u = {u} keys in n = {n} dimensions"):
        batch_growth(n, u, 1.0)


@pytest.mark.parametrize("c", [-1.0, np.nan, np.inf, 1e200])
def test_batch_growth_refuses_a_shift_that_is_none(c):
    with pytest.raises(Misuse, match=f"relative shift c is {re.escape(str(c))}") as caught:
        batch_growth(8, 3, c)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("n", "u", "order"), [(3, 2, "log"), (6, 5, "log"), (2, 2, "1/ε"), (5, 5, "1/ε")])
@pytest.mark.claim("T2.batch_growth")
def test_the_mean_growth_is_infinite_at_the_threshold(n, u, order):
    def cut(epsilon):  # E[sin⁻²φ; φ > ε], φ between a key and the span of the u − 1 others
        def density(x):
            return mpmath.sin(x) ** (n - u) * mpmath.cos(x) ** (u - 2)

        inside = mpmath.quad(lambda x: density(x) / mpmath.sin(x) ** 2, mpmath.linspace(epsilon, mpmath.pi / 2, 9))
        return inside / mpmath.quad(density, [0, mpmath.pi / 4, mpmath.pi / 2])

    far, near, nearer = (cut(mpmath.mpf(10) ** -power) for power in (1, 2, 3))
    if order == "log":  # the same again for every decade
        assert nearer - near == pytest.approx(near - far, rel=0.1)
    else:
        assert nearer / near == pytest.approx(10, rel=0.1)
    with pytest.raises(Misuse, match="no finite mean growth"):
        batch_growth(n, u, 1.0)


@pytest.mark.claim("T2.entries")
def test_polynomial_matrices_agree_with_exact_numbers():
    x, rng = entries.letters(2, 3, 2), random.Random(3)
    point = {str(name): sympy.Integer(rng.randint(-9, 9)) for name in x.eta.ring.symbols}
    values = [point[str(name)] for name in x.eta.ring.symbols]

    def at(a):
        return sympy.Matrix(
            [[entry.evaluate(list(zip(entry.ring.gens, values, strict=True))) for entry in row] for row in a]
        )

    W, A, X, Y = map(at, x[:4])
    assert A == A.T
    assert len(x.eta.ring.symbols) == 6 + 6 + 6 + 4 + 1
    assert at(entries.times(x.A, x.X)) == A * X
    adj, det = entries.adjugate(entries.times(entries.turned(x.X), x.A, x.X))
    H = X.T * A * X
    assert at(adj) == H.adjugate()
    assert at(((det,),))[0] == H.det()
    after = W + Y * X.T / 3
    grown = ((after * A * after.T) - (W * A * W.T)).trace()
    three = 3 * x.eta**0
    assert at(((entries.growth(x, entries.times(x.Y, entries.turned(x.X)), three),),))[0] == 9 * grown


@pytest.mark.parametrize("wrong", ["single", "soft", "hard"])
@pytest.mark.claim("T2.entries")
def test_each_of_the_three_formulas_is_decided_entry_by_entry(wrong):
    (right,) = (claim.subject for claim in entries.claims() if claim.id == "T2.entries")
    near = {"single": identities.HARD, "soft": identities.BATCH_CROSS * 2, "hard": batches.RESIDUAL_TERM}
    x = entries.letters(2, 3, 1)
    checks = {"single": entries.single_write, "soft": entries.soft_batch, "hard": entries.hard_batch}
    assert checks[wrong](x, getattr(right, wrong))
    assert not checks[wrong](x, near[wrong])
