"""T1's instances by a second route: every published solve in numpy, against the metric and the gain of the table.

The solves follow the rules' equations; they are compared with `theory.writes.rules` and the claims' norm change.
"""

import numpy as np
import pytest
from scipy import integrate

from theory.writes import instances
from theory.writes.rules import METRIC_FORMS, metric_form

SHAPES = pytest.mark.parametrize(("m", "n"), [(1, 3), (3, 5), (6, 4), (4, 4)])
LAMBDA, RHO, ALPHA, L2 = 15.0, 2.5, 0.7, 10.0


class World:
    """Random statistics of a layer, from a seed: C, past keys, a projector and a choice of neurons."""

    def __init__(self, m, n, u=1):
        self.rng, self.m, self.n, self.u = np.random.default_rng(1000 * m + 10 * n + u), m, n, u
        self.W, self.K, self.V = (self.rng.normal(size=size) for size in ((m, n), (n, u), (m, u)))
        self.R = self.V - self.W @ self.K
        root = self.rng.normal(size=(n, n))
        self.C = root @ root.T + np.eye(n)
        self.past = self.rng.normal(size=(n, 7))
        self.cache = self.past @ self.past.T
        basis = np.linalg.qr(self.rng.normal(size=(n, n - 1)))[0]
        self.P, self.E = basis @ basis.T, np.eye(n)[:, : n - 1]


def inv(matrix):
    return np.linalg.inv(matrix)


def soft_solve(prior):
    """R Kᵀ(prior + KKᵀ)⁻¹, as every MEMIT-like code solves it, and the metric prior⁻¹."""
    return (
        lambda x: np.linalg.solve(prior(x) + x.K @ x.K.T, x.K @ x.R.T).T,
        lambda x: inv(prior(x)),
    )


def solve_rome(x):
    left = np.linalg.solve(x.C, x.K[:, 0])
    left /= np.linalg.norm(left)
    return np.outer(x.R[:, 0] / (x.K[:, 0] @ left), left)


def solve_emmet(x):
    inverse = inv(LAMBDA * x.C + RHO * np.eye(x.n))
    return x.R @ inv(x.K.T @ inverse @ x.K) @ x.K.T @ inverse


def solve_alphaedit(x):
    return np.linalg.solve(x.P @ (x.K @ x.K.T + x.cache) + L2 * np.eye(x.n), x.P @ x.K @ x.R.T).T


def metric_alphaedit(x):
    return x.P @ inv(x.P @ x.cache @ x.P + L2 * np.eye(x.n)) @ x.P


def chosen(x):
    return (LAMBDA * x.C + x.cache)[: x.n - 1, : x.n - 1]


def solve_nse(x):
    inside, written = x.K[: x.n - 1], np.zeros((x.m, x.n))
    written[:, : x.n - 1] += x.R @ np.linalg.solve(chosen(x) + inside @ inside.T, inside).T
    return written


def solve_rlsedit(x):
    state = inv(RHO * np.eye(x.n) + LAMBDA * x.C)
    for batch in (x.past[:, :3], x.past[:, 3:], x.K):  # the published recursion, batch by batch
        raised = state @ batch
        state = state - raised @ np.linalg.solve(np.eye(batch.shape[1]) + batch.T @ raised, raised.T)
    return (state @ x.K @ (x.V.T - x.K.T @ x.W.T)).T


def solve_ultraedit(ridge):
    return lambda x: np.linalg.solve(x.K @ x.K.T + ridge * np.eye(x.n), x.K @ x.R.T).T


RLS = (solve_rlsedit, lambda x: inv(RHO * np.eye(x.n) + LAMBDA * x.C + x.cache))
PUBLISHED = {
    "rome": (solve_rome, lambda x: inv(x.C)),
    "r-rome": (solve_rome, lambda x: inv(x.C)),
    "memit": soft_solve(lambda x: LAMBDA * x.C),
    "memit-seq": soft_solve(lambda x: LAMBDA * x.C + x.cache),
    "emmet": (solve_emmet, lambda x: inv(LAMBDA * x.C + RHO * np.eye(x.n))),
    "alphaedit": (solve_alphaedit, metric_alphaedit),
    "deltaedit": (solve_alphaedit, metric_alphaedit),
    "encore": soft_solve(lambda x: LAMBDA * x.C + RHO * np.eye(x.n) + x.cache),
    "nse": (solve_nse, lambda x: x.E @ inv(chosen(x)) @ x.E.T),
    "rlsedit": RLS,
    "ote-se": soft_solve(lambda x: LAMBDA * x.C + x.cache),
    "ultraedit": (solve_ultraedit(1.0), lambda x: np.eye(x.n)),
    "rledit": (solve_ultraedit(np.exp(0.3)), lambda x: np.eye(x.n) / np.exp(0.3)),
    "stableedit": (solve_ultraedit(ALPHA), lambda x: np.eye(x.n) / ALPHA),
}
ONE_KEY = {"rome", "r-rome"}


def gain(kind, H):
    return inv(H) if kind == "hard" else inv(np.eye(len(H)) + H)


def test_every_form_has_a_published_solve_here():
    assert set(PUBLISHED) | {"rlsedit-released"} == {form.name for form in METRIC_FORMS}


@SHAPES
@pytest.mark.parametrize(
    ("name", "u"), [(name, u) for name in PUBLISHED for u in (1, 2) if u == 1 or name not in ONE_KEY]
)
@pytest.mark.claim(
    "T1.r_rome", "T1.emmet", "T1.memit_seq", "T1.encore", "T1.nse", "T1.rlsedit", "T1.ridge_shift", "T2.emmet",
)  # fmt: skip
def test_published_solves_are_metric_writes_and_change_their_norm_as_foretold(name, m, n, u):
    x, form = World(m, n, u), metric_form(name)
    solve, metric = PUBLISHED[name]
    delta, M = solve(x), metric(x)
    H = x.K.T @ M @ x.K
    T = gain(form.gain, H)
    assert delta == pytest.approx(x.R @ T @ (M @ x.K).T, rel=1e-8, abs=1e-10)
    norm = np.linalg.pinv(M, rcond=1e-9)  # tr(W M⁺ Wᵀ): the norm of T1, on M's range
    change = np.trace((x.W + delta) @ norm @ (x.W + delta).T) - np.trace(x.W @ norm @ x.W.T)
    seen = x.W @ M @ norm @ x.K
    foretold = 2 * np.trace(x.R @ T @ seen.T) + np.trace(x.R @ T @ H @ T @ x.R.T)
    assert change == pytest.approx(foretold, rel=1e-7)
    if u == 1:
        s, r = H[0, 0], x.R[:, 0]
        eta = 1.0 if form.gain == "hard" else s / (1 + s)
        assert change == pytest.approx((2 * eta * r @ seen[:, 0] + eta**2 * r @ r) / s, rel=1e-7)
    x.cache = x.cache + x.K @ x.K.T
    assert np.allclose(metric(x), M, rtol=1e-6, atol=0) != form.accumulates


@SHAPES
@pytest.mark.claim("T1.r_rome")
def test_r_rome_with_averaged_keys_takes_the_averaged_readout(m, n):
    x = World(m, n, 4)
    mean, v = x.K.mean(axis=1), x.V[:, 0]
    readout = np.mean([x.W @ x.K[:, i] for i in range(4)], axis=0)
    left = np.linalg.solve(x.C, mean)
    left /= np.linalg.norm(left)
    after = x.W + np.outer((v - readout) / (mean @ left), left)
    s = mean @ np.linalg.solve(x.C, mean)
    assert after @ mean == pytest.approx(v)
    change = np.trace(after @ x.C @ after.T) - np.trace(x.W @ x.C @ x.W.T)
    assert change == pytest.approx((v @ v - readout @ readout) / s)


@SHAPES
@pytest.mark.claim("T1.nse")
def test_nse_leaves_the_other_columns_and_needs_the_part_of_the_readout(m, n):
    x = World(m, n)
    delta, M = solve_nse(x), PUBLISHED["nse"][1](x)
    assert np.all(delta[:, n - 1] == 0)
    s = (x.K.T @ M @ x.K).item()
    eta, r = s / (1 + s), x.R[:, 0]
    assert (x.W + delta) @ x.K[:, 0] == pytest.approx(x.W @ x.K[:, 0] + eta * r)
    A = chosen(x)
    before, after = x.W[:, : n - 1], (x.W + delta)[:, : n - 1]
    change = np.trace(after @ A @ after.T) - np.trace(before @ A @ before.T)
    whole = (2 * eta * r @ (x.W @ x.K[:, 0]) + eta**2 * r @ r) / s
    assert change != pytest.approx(whole, rel=1e-6)  # the whole read-out Wk would be wrong


@SHAPES
@pytest.mark.claim("T1.memit_seq", "T1.encore")
def test_the_norm_without_cache_or_ridge_is_another(m, n):
    x = World(m, n)
    delta = PUBLISHED["encore"][0](x)
    full = LAMBDA * x.C + RHO * np.eye(n) + x.cache
    s = (x.K.T @ inv(full) @ x.K).item()
    eta, r, read = s / (1 + s), x.R[:, 0], x.W @ x.K[:, 0]
    foretold = (2 * eta * r @ read + eta**2 * r @ r) / s
    changes = [np.trace((x.W + delta) @ A @ (x.W + delta).T) - np.trace(x.W @ A @ x.W.T)
               for A in (full, full - x.cache, full - RHO * np.eye(n))]  # fmt: skip
    assert changes[0] == pytest.approx(foretold)
    assert not any(change == pytest.approx(foretold, rel=1e-6) for change in changes[1:])


@pytest.mark.parametrize(("layers", "eta"), [(1, 0.3), (5, 0.5), (6, 0.9), (5, 1.0)])
@pytest.mark.claim("T1.spread")
def test_a_spread_residual_leaves_the_product_of_the_shares(layers, eta):
    left, x = 1.0, World(3, 5)
    M = inv(x.C)
    s = (x.K.T @ M @ x.K).item()
    for i in range(layers):
        W = x.rng.normal(size=(3, 5))
        r = left * x.R[:, 0]  # z − h of the moment; each write moves h by its own ΔWk
        delta = eta / s * np.outer(r / (layers - i), M @ x.K[:, 0])
        share, v = eta / (layers - i), W @ x.K[:, 0] + r
        change = np.trace((W + delta) @ x.C @ (W + delta).T) - np.trace(W @ x.C @ W.T)
        read = W @ x.K[:, 0]
        assert change == pytest.approx((share * (v @ v - read @ read) - share * (1 - share) * r @ r) / s)
        left -= (delta @ x.K[:, 0])[0] / x.R[0, 0]
    foretold = 0.0 if eta == 1 else float(instances.left_over(eta, layers))
    assert left == pytest.approx(foretold, abs=1e-12)


def released_rome(x, mean):
    left = np.linalg.solve(x.C, mean)
    left /= np.linalg.norm(left)
    return x.W + np.outer(x.R[:, 0] / (x.K[:, 0] @ left), left)


@SHAPES
@pytest.mark.claim("T1.mismatch", "T1.mismatch_amplified")
def test_original_rome_misses_the_averaged_key_and_writes_more(m, n):
    signs = set()
    for seed in range(12):
        x = World(m, n)
        x.K = np.random.default_rng(seed).normal(size=(n, 1))
        x.R = x.V - x.W @ x.K
        k, r, mean = x.K[:, 0], x.R[:, 0], np.random.default_rng(99 - seed).normal(size=n)
        after, inverse = released_rome(x, mean), inv(x.C)
        p, q, long = k @ inverse @ mean, k @ inverse @ k, mean @ inverse @ mean
        signs.add(bool(p > 0))
        assert after @ k == pytest.approx(x.V[:, 0])
        assert after @ mean == pytest.approx(x.W @ mean + long / p * r)
        change = np.trace(after @ x.C @ after.T) - np.trace(x.W @ x.C @ x.W.T)
        assert change == pytest.approx(2 * r @ (x.W @ mean) / p + r @ r * long / p**2)
        delta, matched = after - x.W, np.outer(r, inverse @ k) / q
        ratio = np.trace(delta @ x.C @ delta.T) / np.trace(matched @ x.C @ matched.T)
        assert ratio == pytest.approx(q * long / p**2)
        assert ratio >= 1
    assert signs == {True, False}
    assert released_rome(x, -3 * x.K[:, 0]) == pytest.approx(x.W + solve_rome(x))  # on k's line: no amplification


@pytest.mark.claim("T1.mismatch_mean")
def test_the_mean_growth_of_original_rome_diverges_with_the_cut():
    def cut(epsilon):  # E[1/p²; |p| > ε] for p ~ N(1, 1/4), by quadrature
        law = lambda p: np.exp(-2 * (p - 1) ** 2) / np.sqrt(np.pi / 2)  # noqa: E731
        inside = integrate.quad(lambda p: (law(p) + law(-p)) / p**2, epsilon, 0.5, epsabs=0, limit=200)[0]
        return inside + integrate.quad(lambda p: (law(p) + law(-p)) / p**2, 0.5, 12, epsabs=0)[0]

    density = np.exp(-2) / np.sqrt(np.pi / 2)
    for epsilon in (1e-2, 1e-3, 1e-4):
        assert cut(epsilon) * epsilon == pytest.approx(2 * density, rel=20 * epsilon)


@SHAPES
@pytest.mark.claim("T1.rlsedit_released")
def test_released_rlsedit_draws_the_readout_to_the_shift(m, n):
    x = World(m, n)
    k, q, state = x.K[:, 0], 0.3 * x.V[:, 0], inv(LAMBDA * x.C)
    A, W = LAMBDA * x.C, x.W
    s = k @ state @ k
    for _ in range(3):  # the code's own recursion, absorbing the key each time
        raised = state @ k
        eta, read = k @ raised / (1 + k @ raised), W @ k
        state = state - np.outer(raised, raised) / (1 + k @ raised)
        after = W + np.outer(q - read, state @ k)
        assert after @ k == pytest.approx((1 - eta) * read + eta * q)
        change = np.trace(after @ A @ after.T) - np.trace(W @ A @ W.T)
        gap = q - read
        assert change == pytest.approx((eta * (q @ q - read @ read) - eta * (1 - eta) * gap @ gap) / (k @ inv(A) @ k))
        if q @ q <= read @ read:
            assert change < 0
        W, A = after, A + np.outer(k, k)
    assert W @ k - q == pytest.approx((x.W @ k - q) / (1 + 3 * s))  # Π(1 − η): towards q, not Wk + q


@SHAPES
@pytest.mark.claim("T1.lyaplock")
def test_lyaplock_solves_the_whole_past_anew(m, n):
    x = World(m, n)
    weighting, V = 3.7, x.rng.normal(size=(m, 7))
    W0, k, r = x.rng.normal(size=(m, n)), x.K, x.R
    G_kk, G_vk = x.cache, V @ x.past.T
    delta = (r @ k.T + weighting * (W0 @ x.C - x.W @ x.C) + G_vk - x.W @ G_kk) @ inv(k @ k.T + weighting * x.C + G_kk)
    A, B = weighting * x.C + G_kk, weighting * W0 @ x.C + G_vk
    assert x.W + delta == pytest.approx((B + x.V @ k.T) @ inv(A + k @ k.T))
    M = inv(A)
    s = (k.T @ M @ k).item()
    assert delta - r @ (M @ k).T / (1 + s) == pytest.approx((B - x.W @ A) @ inv(A + k @ k.T))
    fitted = B @ M  # W A = B: no pull
    r = x.V - fitted @ k
    delta = (r @ k.T + B - fitted @ A) @ inv(A + k @ k.T)
    assert delta == pytest.approx(r @ (M @ k).T / (1 + s))
