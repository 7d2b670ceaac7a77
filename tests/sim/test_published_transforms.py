"""Every transform of values and deltas against its published formula, and the defects of released code."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

from sim.deltas.cap_norm import cap_norm
from sim.deltas.cap_spectrum import cap_spectrum
from sim.deltas.decay_weight import decay_weight
from sim.deltas.prune import prune, pruned
from sim.deltas.rect import rect
from sim.deltas.revive import revive
from sim.deltas.sphere import sphere
from sim.editor import Edit, editor, step
from sim.lowrank import LowRank, apply_delta
from sim.rules.rome import rome
from sim.values.keep_dimensions import keep_dimensions
from sim.values.leave_noise import leave_noise
from sim.values.normalised_shift import normalised_shift
from theory.command import Misuse

Array = NDArray[np.float64]
M, N = 5, 9


def tensor(array: Array) -> torch.Tensor:
    return torch.tensor(array, dtype=torch.float64)


START = np.random.default_rng(1).normal(size=(M, N))


def request(batch: int, seed: int = 0) -> tuple[Array, Array]:
    random = np.random.default_rng(seed)
    return random.normal(size=(N, batch)), random.normal(size=(M, batch))


def delta_of(transform, delta: Array, weight: Array = START) -> Array:
    found, _ = transform.update(tensor(delta), transform.init(tensor(weight)), tensor(weight))
    return found.numpy()


DELTA = np.random.default_rng(7).normal(size=(M, 2)) @ np.random.default_rng(8).normal(size=(2, N))
FACTORS = LowRank(
    tensor(np.random.default_rng(7).normal(size=(M, 2))), tensor(np.random.default_rng(8).normal(size=(2, N)).T)
)


@pytest.mark.parametrize("share", [0.2, 0.4])
def test_rect_keeps_the_largest_relative_entries(share: float) -> None:
    score = np.abs(DELTA / START)
    limit = np.sort(score.ravel())[-math.ceil(share * M * N)]
    np.testing.assert_array_equal(delta_of(rect(share), DELTA), np.where(score >= limit, DELTA, 0))
    assert np.count_nonzero(delta_of(rect(share), DELTA)) == math.ceil(share * M * N)


def test_rects_branch_is_executed() -> None:
    """The released file computes plain ROME: its branch stands in a string and its helper returns nothing."""
    (key, value), w = request(1), tensor(START)
    edit = Edit(tensor(key), w @ tensor(key), tensor(value))
    writes = []
    for deltas in (None, rect(0.2)):
        rule = editor(rome(), deltas=deltas)
        writes.append(apply_delta(torch.zeros_like(w), step(rule, edit, rule.init(w), w)[0]))
    plain, filtered = writes
    assert int((plain != 0).sum()) == M * N
    assert int((filtered != 0).sum()) == math.ceil(0.2 * M * N)


def test_prune_compresses_the_spectrum_of_the_difference_and_is_added_once() -> None:
    after = START + 5 * DELTA
    left, sizes, right = np.linalg.svd(after - START, full_matrices=False)
    top = np.linalg.norm(START, 2)
    assert (sizes > top).any()
    new = np.array([s if s < top else top + np.log(s / top) / np.log(1.5) for s in sizes])
    expected = START + (left * new) @ right
    found = pruned(tensor(after), tensor(START), base=1.5).numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(np.linalg.svd(found - START, compute_uv=False), new, atol=1e-9)
    ported = pruned(tensor(after), tensor(START), base=1.5, doubled=True).numpy()
    np.testing.assert_allclose(ported, after + expected - START, rtol=1e-9, atol=1e-9)
    at_once = apply_delta(tensor(START), tensor(delta_of(prune(base=1.5), 5 * DELTA))).numpy()
    np.testing.assert_allclose(at_once, expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("doubled", [False, True])
def test_prune_at_one_write_leaves_all_others_alone(doubled: bool) -> None:
    transform, weight = prune(base=1.5, at=3, doubled=doubled), tensor(START)
    state = transform.init(weight)
    for number in range(1, 5):
        before = weight
        delta, state = transform.update(tensor(5 * DELTA), state, weight)
        weight = apply_delta(weight, delta)
        plain = before + tensor(5 * DELTA)
        expected = pruned(plain, tensor(START), base=1.5, doubled=doubled) if number == 3 else plain
        torch.testing.assert_close(weight, expected, rtol=1e-12, atol=1e-12)


def test_sphere_removes_alpha_of_the_current_weights_principal_directions() -> None:
    rows = START / np.linalg.norm(START, axis=1, keepdims=True)
    sizes, axes = np.linalg.eigh(rows.T @ rows / M)
    order = np.argsort(-sizes)
    count = int(np.argmax(np.cumsum(sizes[order]) >= 0.5 * sizes.sum())) + 1
    kept = axes[:, order[:count]]
    expected = DELTA @ (np.eye(N) - 0.8 * kept @ kept.T)
    np.testing.assert_allclose(delta_of(sphere(0.5, 0.8), DELTA), expected, atol=1e-12)


def test_revive_touches_no_dominant_direction_on_either_side() -> None:
    left, sizes, right = np.linalg.svd(START)
    k = int(np.argmax(np.cumsum(sizes) >= 0.5 * sizes.sum())) + 1
    safe_left, safe_right = left[:, k:], right[k:].T
    expected = safe_left @ safe_left.T @ DELTA @ safe_right @ safe_right.T
    found = delta_of(revive(0.5), DELTA)
    np.testing.assert_allclose(found, expected, atol=1e-12)
    np.testing.assert_allclose(left[:, :k].T @ found, 0, atol=1e-12)
    with pytest.raises(Misuse, match="protects all"):
        revive(0.999).init(tensor(START))


def test_caps_bound_what_they_name_and_leave_the_rest() -> None:
    size, top = np.linalg.norm(DELTA), np.linalg.norm(DELTA, 2)
    np.testing.assert_allclose(delta_of(cap_norm(limit=0.1), DELTA), 0.1 * DELTA / size)
    np.testing.assert_allclose(np.linalg.norm(delta_of(cap_norm(ratio=0.01), DELTA)), 0.01 * np.linalg.norm(START))
    np.testing.assert_array_equal(delta_of(cap_norm(limit=2 * size), DELTA), DELTA)
    cut = np.linalg.svd(delta_of(cap_spectrum(limit=0.5 * top), DELTA), compute_uv=False)
    np.testing.assert_allclose(cut, np.minimum(np.linalg.svd(DELTA, compute_uv=False), 0.5 * top), atol=1e-12)
    relative = delta_of(cap_spectrum(ratio=0.01), DELTA)
    np.testing.assert_allclose(np.linalg.norm(relative, 2), 0.01 * np.linalg.norm(START, 2))


def test_decay_shrinks_what_was_there() -> None:
    np.testing.assert_allclose(START + delta_of(decay_weight(0.1), DELTA), 0.9 * START + DELTA)


@pytest.mark.parametrize(
    "transform",
    [cap_norm(limit=0.1), cap_norm(ratio=0.01), cap_spectrum(limit=0.3), sphere(0.5, 0.8), revive(0.5)],
    ids=["norm", "relative norm", "spectrum", "sphere", "revive"],
)
def test_a_factored_update_stays_factored_and_is_the_dense_one(transform) -> None:
    state = transform.init(tensor(START))
    found, _ = transform.update(FACTORS, state, tensor(START))
    assert isinstance(found, LowRank)
    dense, _ = transform.update(FACTORS.dense(), state, tensor(START))
    torch.testing.assert_close(found.dense(), dense)


@pytest.mark.parametrize("elastic", [0.0, 0.05])
def test_eac_keeps_the_dimensions_of_largest_score_and_its_net_shortens_them(elastic: float) -> None:
    """The released ROME file computes the net and leaves it out; here each coordinate is minimised by search."""
    (key, value), w = request(2), tensor(START)
    edit = Edit(tensor(key), w @ tensor(key), tensor(value))
    kept = keep_dimensions(0.4, elastic=elastic).update(edit, (), w)[0].residuals.numpy()
    shift = value - START @ key
    for column in range(2):
        largest = np.argsort(-np.abs(shift[:, column]))[:2]
        assert np.count_nonzero(kept[:, column]) == 2
        for j in largest:
            d = float(shift[j, column])

            def loss(x: float, d: float = d) -> float:
                return (x - d) ** 2 / 2 + elastic * abs(x) / (d * d + 1e-6)

            ends = (min(0.0, 2 * d), max(0.0, 2 * d))
            found = minimize_scalar(loss, bounds=ends, method="bounded", options={"xatol": 1e-10})
            np.testing.assert_allclose(kept[j, column], found.x, atol=1e-6)
            assert (abs(kept[j, column]) < abs(d) - 1e-6) == (elastic > 0)


def test_eacs_net_of_the_published_weight_removes_what_is_tiny() -> None:
    zero = torch.zeros(3, 1, dtype=torch.float64)
    edit = Edit(torch.ones(1, 1, dtype=torch.float64), zero, torch.tensor([[1.0], [1e-2], [1e-3]]).double())
    kept = keep_dimensions(1.0).update(edit, (), zero)[0].values.flatten().tolist()
    np.testing.assert_allclose(kept, [1 - 5e-7, 1e-2 - 5e-7 / (1e-4 + 1e-6), 0.0], rtol=1e-5)


def test_one_row_gives_no_nan_and_asks_for_nothing() -> None:
    """UltraEdit's released running variance divides by N − 1 = 0 on a first batch of one row."""
    (key, value), w = request(1), tensor(START)
    transform = normalised_shift(0.05)
    edit, _ = transform.update(Edit(tensor(key), w @ tensor(key), tensor(value)), transform.init(w), w)
    torch.testing.assert_close(edit.values, edit.readouts)


def test_deltaedit_projects_only_unusual_noise_and_only_after_its_warm_up() -> None:
    w0, random = tensor(START), np.random.default_rng(2)
    key = tensor(random.normal(size=(N, 1)))
    value = tensor(random.normal(size=(M, 1)))
    drifted = w0 + tensor(DELTA)
    for warm_up, projects in ((0, True), (5, False)):
        transform = leave_noise(factor=1.0, space=0.5, warm_up=warm_up)
        state = transform.init(w0)
        calm, state = transform.update(Edit(key, w0 @ key, value), state, w0)
        torch.testing.assert_close(calm.values, value)
        edit = Edit(key, drifted @ key, value)
        after, state = transform.update(edit, state, drifted)
        noise = DELTA @ key.numpy()
        left = np.linalg.svd(np.concatenate([noise, DELTA], axis=1))[0][:, :2]
        expected = (np.eye(M) - left @ left.T) @ edit.residuals.numpy() if projects else edit.residuals.numpy()
        np.testing.assert_allclose(after.residuals.numpy(), expected, atol=1e-10)
        assert int(state.seen) == 2


@pytest.mark.parametrize(
    "make",
    [
        lambda: rect(0.0),
        lambda: rect(offset=math.nan),
        lambda: inspect.unwrap(prune)(at=2.5),
        lambda: prune().init(torch.zeros(2, 3)),
        lambda: prune(base=1.0),
        lambda: prune(at=0),
        lambda: prune(doubled=True),
        lambda: pruned(tensor(START), tensor(START), base=0.5),
        lambda: sphere(1.0),
        lambda: revive(0.0),
        lambda: cap_norm(),
        lambda: cap_norm(ratio=1.0, limit=1.0),
        lambda: cap_spectrum(limit=-1.0),
        lambda: decay_weight(1.0),
        lambda: keep_dimensions(0.0),
        lambda: keep_dimensions(elastic=-1.0),
        lambda: leave_noise(factor=0.0),
        lambda: normalised_shift(0.0),
    ],
)
def test_impossible_hyper_parameters_are_refused(make: Callable[[], object]) -> None:
    with pytest.raises(Misuse, match=r"such as|positive|exactly one|\(0, 1|between 0 and 1|not negative|above"):
        make()
