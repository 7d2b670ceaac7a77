"""Each rule against a dense solve of its published formula, over random shapes and after past keys."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.editor import Edit, Solver, editor, step
from sim.lowrank import frobenius
from sim.rules.alphaedit import alphaedit, energy_threshold, null_space
from sim.rules.memit import memit
from sim.rules.rome import rome

CLOSE = {"rtol": 1e-9, "atol": 1e-11}


def draw(m: int, n: int, u: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    root = random.normal(size=(n, 2 * n + 2))
    covariance = root @ root.T / (2 * n + 2) + 0.05 * np.eye(n)
    return random.normal(size=(m, n)), random.normal(size=(n, u)), random.normal(size=(m, u)), covariance


def written(solver: Solver, weight: np.ndarray, keys: np.ndarray, values: np.ndarray, past: list[np.ndarray]):
    rule = editor(solver)
    state = rule.init(torch.tensor(weight))
    for old in past:
        state = rule.absorb(torch.tensor(old), state)
    edit = Edit(torch.tensor(keys), torch.tensor(weight @ keys), torch.tensor(values))
    return step(rule, edit, state, torch.tensor(weight))[0].dense().numpy()


shapes = st.tuples(st.integers(1, 6), st.integers(2, 7), st.integers(1, 4), st.integers(0, 10_000))


@settings(max_examples=25, deadline=None)
@given(shapes)
def test_rome_is_the_constrained_least_squares_write(shape) -> None:
    """min ‖Δ C^{1/2}‖ subject to (W + Δ)k = v, by numpy's pseudo-inverse of the whitened constraint."""
    m, n, _, seed = shape
    weight, keys, values, covariance = draw(m, n, 1, seed)
    root = np.linalg.cholesky(covariance)
    whitened = np.linalg.solve(root, keys)
    expected = (values - weight @ keys) @ np.linalg.pinv(whitened) @ np.linalg.inv(root)
    found = written(rome(torch.tensor(covariance)), weight, keys, values, [np.ones((n, 1))])
    np.testing.assert_allclose(found, expected, **CLOSE)
    np.testing.assert_allclose((weight + found) @ keys, values, rtol=1e-7, atol=1e-9)


@settings(max_examples=25, deadline=None)
@given(shapes)
def test_memit_is_the_stacked_least_squares_write(shape) -> None:
    """min ‖ΔK − R‖² + λ‖Δ C^{1/2}‖², as one ordinary least-squares problem of stacked rows."""
    m, n, u, seed = shape
    weight, keys, values, covariance = draw(m, n, u, seed)
    rows = np.vstack([keys.T, np.sqrt(3.0) * np.linalg.cholesky(covariance).T])
    aims = np.vstack([(values - weight @ keys).T, np.zeros((n, m))])
    expected = np.linalg.lstsq(rows, aims, rcond=None)[0].T
    found = written(memit(torch.tensor(covariance), weighting=3.0), weight, keys, values, [np.ones((n, 2))])
    np.testing.assert_allclose(found, expected, **CLOSE)


@settings(max_examples=25, deadline=None)
@given(shapes)
def test_alphaedit_solves_the_published_non_symmetric_system(shape) -> None:
    """(P(KKᵀ + cache) + L2 I) X = P K Rᵀ, Δ = Xᵀ, with the cache of two earlier steps."""
    m, n, u, seed = shape
    weight, keys, values, covariance = draw(m, n, u, seed)
    past = [draw(m, n, 2, seed + 1)[1], draw(m, n, 1, seed + 2)[1]]
    eigenvalues, vectors = np.linalg.eigh(covariance)
    threshold = float(eigenvalues[n // 2 - 1] + eigenvalues[n // 2]) / 2
    project = vectors[:, eigenvalues < threshold] @ vectors[:, eigenvalues < threshold].T
    cache = sum(old @ old.T for old in past)
    system = project @ (keys @ keys.T + cache) + 0.7 * np.eye(n)
    expected = np.linalg.solve(system, project @ keys @ (values - weight @ keys).T).T
    basis = null_space(torch.tensor(covariance), threshold=threshold)
    found = written(alphaedit(basis, ridge=0.7), weight, keys, values, past)
    np.testing.assert_allclose(found, expected, **CLOSE)


@pytest.mark.claim("S3.identity")
@settings(max_examples=40, deadline=None)
@given(st.integers(2, 6), st.integers(2, 7), st.integers(0, 10_000), st.sampled_from([0.01, 1.0, 50.0]))
def test_one_key_identity_in_numpy(m: int, n: int, seed: int, ridge: float) -> None:
    """T1 written out: [η(‖v‖² − ‖Wk‖²) − η(1 − η)‖r‖²]/s against the norms of the actual weights."""
    weight, keys, values, covariance = draw(m, n, 1, seed)
    after = weight + written(memit(torch.tensor(covariance), weighting=ridge), weight, keys, values, [])
    readout, residual = weight @ keys, values - weight @ keys
    s = float(keys[:, 0] @ np.linalg.solve(ridge * covariance, keys[:, 0]))
    eta = s / (1 + s)
    expected = (eta * ((values**2).sum() - (readout**2).sum()) - eta * (1 - eta) * (residual**2).sum()) / s
    change = np.trace(after @ (ridge * covariance) @ after.T) - np.trace(weight @ (ridge * covariance) @ weight.T)
    size = np.trace(after @ (ridge * covariance) @ after.T)
    assert abs(change - expected) <= 1e-12 * (size + abs(expected))


@pytest.mark.claim("S3.identity")
@pytest.mark.parametrize("u", [1, 3])
@pytest.mark.parametrize("shrink", [0.5, 3.0])
def test_what_a_write_says_of_itself(u: int, shrink: float) -> None:
    """s and η are means over the batch; `scale` adds the sizes of T1's terms, also where they cancel."""
    weight, keys, _, covariance = draw(4, 6, u, 7)
    readouts = weight @ keys
    residuals = (shrink - 1) * readouts  # shrinking makes the cross term negative, and the square term never is
    rule = editor(memit(torch.tensor(covariance), weighting=2.0))
    edit = Edit(torch.tensor(keys), torch.tensor(readouts), torch.tensor(readouts + residuals))
    info = step(rule, edit, rule.init(torch.tensor(weight)), torch.tensor(weight))[2]
    gram = keys.T @ np.linalg.solve(2 * covariance, keys)
    gains = np.linalg.inv(np.eye(u) + gram)
    cross = 2 * np.trace(residuals @ gains @ readouts.T)
    square = np.trace(residuals @ gains @ gram @ gains.T @ residuals.T)
    assert square > 0
    assert bool(cross < 0) == (shrink < 1)
    found = [float(x) for x in (info.s, info.eta, info.predicted, info.scale)]
    eta = sum((gains @ gram)[i, i] for i in range(u)) / u
    expected = [sum(gram[i, i] for i in range(u)) / u, eta, cross + square, abs(cross) + abs(square)]
    np.testing.assert_allclose(found, expected, rtol=1e-9)


@pytest.mark.parametrize(("share", "expected"), [(0.009, 0.005), (0.02, 0.02), (0.05, 0.045), (0.11, 0.48)])
def test_the_energy_threshold_by_hand(share: float, expected: float) -> None:
    """The spectrum's partial sums are 0.01, 0.04, 0.1 and 1."""
    covariance = torch.diag(torch.tensor([0.9, 0.03, 0.01, 0.06], dtype=torch.float64))
    assert energy_threshold(covariance, share) == pytest.approx(expected)


def test_null_space_thresholds() -> None:
    covariance = torch.diag(torch.tensor([4.0, 0.04, 0.01, 0.001], dtype=torch.float64))
    assert null_space(covariance).shape == (4, 2)
    assert null_space(covariance, threshold=0.02, relative=True).shape == (4, 3)
    basis = null_space(covariance)
    np.testing.assert_allclose((basis @ basis.mT).numpy(), np.diag([0.0, 0.0, 1.0, 1.0]), atol=1e-12)


def test_the_norm_of_a_wide_float32_weight_is_summed_in_float64():
    weight = torch.randn(2048, 4096, generator=torch.Generator().manual_seed(0))
    exact = weight.double().square().sum().sqrt()
    assert abs(float(frobenius(weight) / exact) - 1) < 1e-12
    edit = Edit(torch.ones(4096, 1), weight @ torch.ones(4096, 1), torch.ones(2048, 1))
    rule = editor(rome())
    _, _, info = step(rule, edit, rule.init(weight), weight)
    assert abs(float(info.weight_norm / exact) - 1) < 1e-6
