"""Every rule against a dense textbook of its published formula, and what its paper shows."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from sim.editor import Edit, Editor, editor, stateless, step
from sim.lowrank import apply_delta, dense
from sim.rules.alphaedit import energy_threshold, null_space
from sim.rules.emmet import emmet
from sim.rules.encore import encore
from sim.rules.ft import ft
from sim.rules.lyaplock import lyaplock
from sim.rules.memit import memit
from sim.rules.memit_seq import memit_seq
from sim.rules.mose import mose
from sim.rules.nse import nse
from sim.rules.ote_se import ote_se
from sim.rules.rlsedit import rlsedit, rlsedit_released
from sim.rules.rome_averaged import rome_averaged
from sim.state import flatten_state, restore_state
from sim.values.normalised_shift import normalised_shift
from sim.values.residual_target import residual_target
from theory.command import Misuse

Array = NDArray[np.float64]
Write = Callable[[Array, Array, Array], Array]
"""(W, K, V) -> W after the write; a closure may remember."""

M, N, STEPS = 5, 9, 12
SHIFT = np.linspace(-0.5, 0.5, N)[:, None]


def covariance() -> Array:
    random = np.random.default_rng(3)
    root = random.normal(size=(N, 3 * N)) * np.linspace(0.4, 2.0, N)[:, None]
    return root @ root.T / (3 * N)


def tensor(array: Array) -> torch.Tensor:
    return torch.tensor(array, dtype=torch.float64)


C = covariance()
assert np.linalg.cond(C) < 1000


def book_ft(w: Array, k: Array, v: Array) -> Array:
    for _ in range(3):
        w = w - 0.02 * (w @ k - v) @ k.T
    return w


def book_emmet(w: Array, k: Array, v: Array) -> Array:
    inverse = np.linalg.inv(2.0 * C + 0.3 * np.eye(N))
    return w + (v - w @ k) @ np.linalg.inv(k.T @ inverse @ k) @ k.T @ inverse


def book_averaged(w: Array, k: Array, v: Array) -> Array:
    u = np.linalg.inv(C) @ (k + SHIFT)
    u = u / np.linalg.norm(u)
    return w + np.outer(v - w @ k, u) / (k.T @ u)


def summing(start: Array) -> Write:
    """R Kᵀ(A_0 + all keys so far)⁻¹, with a dense inverse."""
    total = start.copy()

    def write(w: Array, k: Array, v: Array) -> Array:
        total[:] = total + k @ k.T
        return w + (v - w @ k) @ k.T @ np.linalg.inv(total)

    return write


def book_nse() -> Write:
    total = 2.0 * C

    def write(w: Array, k: Array, v: Array) -> Array:
        nonlocal total
        sizes = np.abs(k).sum(1)
        kept: list[int] = []
        for j in np.argsort(-sizes):
            kept.append(int(j))
            if sizes[kept].sum() >= 0.7 * sizes.sum():
                break
        part = np.ix_(kept, kept)
        delta = np.zeros_like(w)
        delta[:, kept] = (v - w @ k) @ np.linalg.solve(total[part] + (k @ k.T)[part], k[kept]).T
        total = total + k @ k.T
        return w + delta

    return write


def book_lyaplock(alpha: float, share: float = 1.0) -> Write:
    lam, past, goals = 1.5, np.zeros((N, N)), np.zeros((M, N))
    memory: dict[str, float | Array] = {}

    def write(w: Array, k: Array, v: Array) -> Array:
        nonlocal past, goals
        if "start" not in memory:
            memory["start"], strength = w.copy(), 1.0
        else:
            drift = w - memory["start"]
            loss = float(np.trace(drift @ C @ drift.T))
            if "bound" not in memory:
                memory["bound"] = alpha * loss
                memory["queue"] = math.sqrt(alpha * loss)
            else:
                root = math.sqrt(memory["bound"])
                memory["queue"] = max(memory["queue"] + (loss - memory["bound"]) / root, root)
            strength = memory["queue"] / math.sqrt(memory["bound"])
        right = (v - w @ k) @ k.T + strength * lam * (memory["start"] - w) @ C + goals - w @ past
        new = w + share * right @ np.linalg.inv(k @ k.T + strength * lam * C + past)
        past, goals = past + k @ k.T, goals + new @ k @ k.T
        return new

    return write


def book_mose(w: Array, k: Array, v: Array) -> Array:
    """For one key: Wk's direction a goes to v's direction b, the rest of their plane where it changes least."""
    a = (w @ k)[:, 0] / np.linalg.norm(w @ k)
    b = v[:, 0] / np.linalg.norm(v)
    e, f = b - (a @ b) * a, a - (a @ b) * b
    e, f = e / np.linalg.norm(e), -f / np.linalg.norm(f)
    ways = [np.eye(M) - np.outer(a, a) - np.outer(e, e) + np.outer(b, a) + sign * np.outer(f, e) for sign in (1, -1)]
    return min(ways, key=lambda q: np.linalg.norm(q - np.eye(M))) @ w


def book_ultra(whiten: bool) -> Write:
    rows: list[Array] = []

    def write(w: Array, k: Array, v: Array) -> Array:
        for j in range(k.shape[1]):
            rows.append(np.concatenate([k[:, j], (w @ k - v)[:, j]]))
        seen = np.array(rows)
        mean, deviation = seen.mean(0), seen.std(0)
        scaled = np.where(deviation > 0, (seen - mean) / np.where(deviation > 0, deviation, 1), 0)[-k.shape[1] :]
        gradient = scaled[:, N:]
        if whiten and len(rows) > M + 1:
            sizes, axes = np.linalg.eigh(np.cov(seen[:, N:].T, bias=True))
            gradient = (seen - mean)[-k.shape[1] :, N:] @ axes @ np.diag(np.maximum(sizes, 1e-6) ** -0.5) @ axes.T
        target = -0.05 * (scaled[:, :N] ** 2).sum(1)[:, None] * gradient
        return w + (np.linalg.inv(k @ k.T + np.eye(N)) @ k @ target).T

    return write


@dataclass(frozen=True)
class Case:
    name: str
    build: Callable[[], Editor]
    book: Callable[[], Write]
    batches: bool = True


CASES = (
    Case("ft", lambda: editor(ft(rate=0.02, steps=3)), lambda: book_ft),
    Case("emmet", lambda: editor(emmet(tensor(C), weighting=2.0, ridge=0.3)), lambda: book_emmet),
    Case(
        "rome_averaged",
        lambda: editor(rome_averaged(lambda key: key + tensor(SHIFT), tensor(C))),
        lambda: book_averaged,
        batches=False,
    ),
    Case("memit_seq", lambda: editor(memit_seq(tensor(C), weighting=2.0)), lambda: summing(2.0 * C)),
    Case(
        "encore",
        lambda: editor(encore(tensor(C), weighting=2.0, penalty=0.7)),
        lambda: summing(2.0 * C + 0.7 * np.eye(N)),
    ),
    Case(
        "rlsedit",
        lambda: editor(rlsedit(tensor(C), ridge=0.5, weighting=2.0)),
        lambda: summing(2.0 * C + 0.5 * np.eye(N)),
    ),
    Case("ote_se", lambda: editor(ote_se(N, ridge=0.4)), lambda: summing(0.4 * np.eye(N))),
    Case("nse", lambda: editor(nse(tensor(C), weighting=2.0, share=0.7)), book_nse),
    Case("nse, all neurons", lambda: editor(nse(tensor(C), weighting=2.0)), lambda: summing(2.0 * C)),
    Case("lyaplock", lambda: editor(lyaplock(tensor(C), weighting=1.5, alpha=60.0)), lambda: book_lyaplock(60.0)),
    Case("lyaplock, locked", lambda: editor(lyaplock(tensor(C), weighting=1.5, alpha=0.5)), lambda: book_lyaplock(0.5)),
    Case("mose", lambda: editor(mose()), lambda: book_mose, batches=False),
    Case("ultraedit", lambda: editor(memit(weighting=1.0), values=normalised_shift(0.05)), lambda: book_ultra(False)),
    Case(
        "stableedit",
        lambda: editor(memit(weighting=1.0), values=normalised_shift(0.05, whiten=True)),
        lambda: book_ultra(True),
    ),
)


def requests(batch: int, seed: int = 0) -> list[tuple[Array, Array]]:
    random = np.random.default_rng(seed)
    return [(random.normal(size=(N, batch)), random.normal(size=(M, batch))) for _ in range(STEPS)]


def stream(rule: Editor, weight: Array, asked: list[tuple[Array, Array]]) -> list[Array]:
    """The weight after every write of an editor."""
    w = tensor(weight)
    state, seen = rule.init(w), []
    for key, value in asked:
        edit = Edit(tensor(key), w @ tensor(key), tensor(value))
        delta, state, info = step(rule, edit, state, w)
        after = apply_delta(w, delta)
        torch.testing.assert_close(info.weight_norm_after, torch.linalg.norm(after), rtol=1e-9, atol=1e-9)
        w = after
        seen.append(w.numpy())
    return seen


START = np.random.default_rng(1).normal(size=(M, N))


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_stream_is_that_of_the_textbook(case: Case, batch: int) -> None:
    if batch > 1 and not case.batches:
        pytest.skip(f"{case.name} writes one key at a time")
    write, w = case.book(), START
    for found, (key, value) in zip(stream(case.build(), START, requests(batch)), requests(batch), strict=True):
        w = write(w, key, value)
        assert np.linalg.norm(found - w) < 1e-8 * np.linalg.norm(w)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_wrong_textbook_is_told_apart(case: Case) -> None:
    """A textbook whose writes are a millionth too long does not pass the comparison at any rule."""
    asked, write, w = requests(1), case.book(), START
    for key, value in asked:
        w = w + (1 + 1e-6) * (write(w, key, value) - w)
    found = stream(case.build(), START, asked)[-1]
    assert np.linalg.norm(found - w) > 1e-8 * np.linalg.norm(w)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_two_editors_share_nothing_and_a_saved_state_goes_on(case: Case) -> None:
    asked = requests(1)
    one, two = case.build(), case.build()
    first, second = stream(one, START, asked), stream(two, START, asked)
    assert all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))
    w, state = tensor(START), one.init(tensor(START))
    for index, (key, value) in enumerate(asked):
        if index == 5:
            state = restore_state(one.init(tensor(START)), flatten_state(state))
        edit = Edit(tensor(key), w @ tensor(key), tensor(value))
        before = {name: part.clone() for name, part in flatten_state((w, edit, state)).items()}
        delta, later, _ = step(one, edit, state, w)
        assert all(torch.equal(part, before[name]) for name, part in flatten_state((w, edit, state)).items())
        w, state = apply_delta(w, delta), later
    np.testing.assert_allclose(w.numpy(), first[-1], rtol=1e-12)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_request_that_asks_for_nothing_and_a_weight_without_history_stay(case: Case) -> None:
    key = requests(1)[0][0]
    rule, w = case.build(), tensor(START)
    delta, _, info = step(rule, Edit(tensor(key), w @ tensor(key), w @ tensor(key)), rule.init(w), w)
    assert not apply_delta(torch.zeros_like(w), delta).any()
    assert int(info.skipped) == 1


def test_emmet_meets_every_target_and_jitter_alone_does_not() -> None:
    (key, value), w = requests(3)[0], tensor(START)
    for jitter, met in ((0.0, True), (0.1, False)):
        rule = editor(emmet(tensor(C), weighting=2.0, jitter=jitter))
        delta, _, _ = step(rule, Edit(tensor(key), w @ tensor(key), tensor(value)), rule.init(w), w)
        assert np.allclose((apply_delta(w, delta) @ tensor(key)).numpy(), value, atol=1e-10) == met


def test_the_averaged_direction_misses_the_averaged_key() -> None:
    """The r-ROME defect: W'k = v, but not W'k̄; one key throughout has neither problem."""
    (key, value), w = requests(1)[0], tensor(START)
    rule = editor(rome_averaged(lambda one: one + tensor(SHIFT)))
    delta, _, _ = step(rule, Edit(tensor(key), w @ tensor(key), tensor(value)), rule.init(w), w)
    after = apply_delta(w, delta).numpy()
    np.testing.assert_allclose(after @ key, value, atol=1e-12)
    assert np.linalg.norm(after @ (key + SHIFT) - value) > 0.1


def test_lyaplock_remembers_the_outputs_of_what_a_delta_transform_left_of_a_write() -> None:
    """The dense textbook with every write halved: it remembers the outputs of the weight that was really written."""
    halved = stateless(lambda delta, weight: dense(delta) / 2)
    rule, asked = editor(lyaplock(tensor(C), weighting=1.5, alpha=0.5), deltas=halved), requests(1)
    write, w = book_lyaplock(0.5, share=0.5), START
    for found, (key, value) in zip(stream(rule, START, asked), asked, strict=True):
        w = write(w, key, value)
        assert np.linalg.norm(found - w) < 1e-8 * np.linalg.norm(w)


@pytest.mark.parametrize("scale", [1.0, 0.3])
def test_emmet_gives_no_finite_write_for_dependent_keys(scale: float) -> None:
    (key, value), w = requests(3)[0], tensor(START)
    key = np.concatenate([key[:, :2], scale * key[:, :1]], axis=1)
    for jitter, finite in ((0.0, False), (0.1, True)):
        rule = editor(emmet(tensor(C), weighting=2.0, jitter=jitter))
        _, _, info = step(rule, Edit(tensor(key), w @ tensor(key), tensor(value)), rule.init(w), w)
        assert bool(info.finite) == finite


@pytest.mark.parametrize("batch", [1, 2])
def test_mose_preserves_every_singular_value(batch: int) -> None:
    sizes = np.linalg.svd(START, compute_uv=False)
    for after in stream(editor(mose()), START, requests(batch)):
        np.testing.assert_allclose(np.linalg.svd(after, compute_uv=False), sizes, rtol=1e-10)


def test_sequential_editing_of_ote_se_is_one_joint_edit() -> None:
    asked = requests(2)
    keys, values = (np.concatenate(parts, axis=1) for parts in zip(*asked, strict=True))
    joint = START + (values - START @ keys) @ keys.T @ np.linalg.inv(0.4 * np.eye(N) + keys @ keys.T)
    np.testing.assert_allclose(stream(editor(ote_se(N, ridge=0.4)), START, asked)[-1], joint, rtol=1e-9)
    backwards = stream(editor(ote_se(N, ridge=0.4)), START, asked[::-1])[-1]
    np.testing.assert_allclose(backwards, joint, rtol=1e-9)


def test_rlsedit_stays_within_its_deviation_bound() -> None:
    """W_t minimises a sum whose value at W_0 bounds λ²‖W_t − W_0‖² (published; the released λ = 0 voids it)."""
    ridge, asked = 0.5, requests(2)
    paid = 0.0
    for after, (key, value) in zip(
        stream(editor(rlsedit(tensor(C), ridge=ridge, weighting=2.0)), START, asked), asked, strict=True
    ):
        paid += np.linalg.norm(START @ key - value) ** 2
        assert ridge * np.linalg.norm(after - START) ** 2 <= paid


def test_rlsedits_released_target_drives_the_readout_to_the_shift() -> None:
    (key, value), w = requests(1)[0], tensor(START)
    rule = editor(rlsedit(1e-9 * torch.eye(N, dtype=torch.float64), ridge=1e-9), values=residual_target())
    delta, _, _ = step(rule, Edit(tensor(key), w @ tensor(key), tensor(value)), rule.init(w), w)
    np.testing.assert_allclose(apply_delta(w, delta).numpy() @ key, value - START @ key, rtol=1e-4)


def test_lyaplocks_pull_keeps_the_preserved_outputs_nearer() -> None:
    def drift(rule: Editor) -> float:
        after = stream(rule, START, requests(1))[-1] - START
        return float(np.trace(after @ C @ after.T))

    locked = drift(editor(lyaplock(tensor(C), weighting=1.5, alpha=0.5)))
    assert locked < drift(editor(lyaplock(tensor(C), weighting=1.5, alpha=60.0)))


@pytest.mark.parametrize(
    "make",
    [
        lambda: ft(rate=0.0),
        lambda: ft(steps=0),
        lambda: inspect.unwrap(ft)(steps=2.5),
        lambda: ft(rate=math.inf),
        lambda: memit(weighting=math.inf),
        lambda: memit(tensor(C), weighting=math.inf),
        lambda: rlsedit(tensor(C), ridge=0.0),
        lambda: rlsedit_released(tensor(C), weighting=0.0),
        lambda: rlsedit(tensor(C), ridge=math.inf),
        lambda: emmet(tensor(C), weighting=-1.0),
        lambda: emmet(tensor(C), jitter=-1.0),
        lambda: encore(tensor(C), penalty=0.0),
        lambda: ote_se(3, ridge=0.0),
        lambda: nse(tensor(C), share=0.0),
        lambda: lyaplock(tensor(C), alpha=0.0),
    ],
)
def test_impossible_hyper_parameters_are_refused(make: Callable[[], object]) -> None:
    with pytest.raises(Misuse, match=r"such as|positive|\(0, 1|not negative"):
        make()


@pytest.mark.parametrize("make", [encore, rlsedit, emmet, memit])
def test_a_vector_is_no_covariance(make: Callable[..., object]) -> None:
    """λC + ρI would be a matrix all the same, by broadcasting."""
    with pytest.raises(Misuse, match=r"covariance C has shape \(9,\)"):
        inspect.unwrap(make)(torch.ones(N, dtype=torch.float64))


def test_one_key_rules_refuse_a_batch() -> None:
    (key, value), w = requests(2)[0], tensor(START)
    rule = editor(rome_averaged(lambda one: one))
    with pytest.raises(Misuse, match="one key at a time"):
        step(rule, Edit(tensor(key), w @ tensor(key), tensor(value)), rule.init(w), w)


@pytest.mark.parametrize("scale", [1e-4, 1.0, 1e4])
def test_only_the_absolute_null_space_hangs_on_the_units_of_the_keys(scale: float) -> None:
    """The released threshold of 2e-2 gives P = 0 or P = I, without a word, on a model whose keys are larger or smaller.

    Relative to the spectrum, or by energy, the same directions are free whatever the units; where the published
    threshold finds none, or all, our rule refuses.
    """
    spectrum = np.array([1e-3, 5e-3, 1e-2, 0.1, 0.5, 1.0, 2.0, 3.0, 5.0])
    turn = np.linalg.qr(np.random.default_rng(5).normal(size=(N, N)))[0]
    c = tensor(scale * turn @ np.diag(spectrum) @ turn.T)
    expected = turn[:, :3] @ turn[:, :3].T
    for basis in (
        null_space(c, threshold=0.01, relative=True),
        null_space(c, threshold=energy_threshold(c, 0.002)),
    ):
        assert basis.shape == (N, 3)
        np.testing.assert_allclose((basis @ basis.mT).numpy(), expected, atol=1e-6)
    if scale == 1.0:
        assert null_space(c).shape == (N, 3)
    else:
        with pytest.raises(Misuse, match=r"P is (0|I) and nothing .* or a relative one"):
            null_space(c)
