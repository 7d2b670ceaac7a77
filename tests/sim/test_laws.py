"""One table of laws, run over every rule with and without NAS; planted wrong rules must not pass it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
from torch import Tensor

from sim.editor import Edit, Editor, Solver, Transform, chain, editor, identity, stateless, step
from sim.lowrank import LowRank
from sim.rules.alphaedit import alphaedit, null_space
from sim.rules.memit import memit
from sim.rules.rome import rome
from sim.state import flatten_state
from sim.values.anchor_norm import anchor_norm

M, N, ANCHOR = 5, 7, 3.0
CLOSE = {"rtol": 1e-10, "atol": 1e-12}


def make_generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=make_generator(seed), dtype=torch.float64)


def covariance(n: int) -> Tensor:
    """A positive definite C of condition number below 1000 that is far from diagonal."""
    root = normal(n, 3 * n, seed=5) * torch.linspace(0.3, 2.0, n, dtype=torch.float64)[:, None]
    return root @ root.mT / (3 * n)


def rotation(n: int, seed: int = 11) -> Tensor:
    return torch.linalg.qr(normal(n, n, seed=seed))[0]


def projector(cov: Tensor) -> Tensor:
    eigenvalues = torch.linalg.eigvalsh(cov)
    middle = float(eigenvalues[len(eigenvalues) // 2] + eigenvalues[len(eigenvalues) // 2 - 1]) / 2
    return null_space(cov, threshold=middle)


@dataclass(frozen=True)
class Case:
    """A rule made for a key dimension and a rotation of key space, and its textbook solve in numpy."""

    name: str
    build: Callable[[int, Tensor], Solver]
    textbook: Callable[[np.ndarray, np.ndarray], np.ndarray]
    batches: bool = True
    anchored: bool = False

    def editor(self, n: int, turn: Tensor | None = None) -> Editor:
        turn = torch.eye(n, dtype=torch.float64) if turn is None else turn
        values = anchor_norm(ANCHOR) if self.anchored else None
        return editor(self.build(n, turn), values=values)

    @property
    def sizes(self) -> tuple[int, ...]:
        return (1, 3) if self.batches else (1,)


def textbook_rome(cov: np.ndarray, keys: np.ndarray, residuals: np.ndarray) -> np.ndarray:
    direction = np.linalg.solve(cov, keys[:, 0])
    return np.outer(residuals[:, 0], direction) / (keys[:, 0] @ direction)


def textbook_memit(cov: np.ndarray, keys: np.ndarray, residuals: np.ndarray) -> np.ndarray:
    shape = np.linalg.solve(2.0 * cov + keys @ keys.T, keys)
    return residuals @ shape.T


def textbook_alphaedit(project: np.ndarray, keys: np.ndarray, residuals: np.ndarray) -> np.ndarray:
    system = project @ (keys @ keys.T) + 1.5 * np.eye(len(project))
    return np.linalg.solve(system, project @ keys @ residuals.T).T


def numpy_covariance(n: int) -> np.ndarray:
    return covariance(n).numpy()


def numpy_projector(n: int) -> np.ndarray:
    small = np.linalg.eigh(numpy_covariance(n))[1][:, : n // 2]
    return small @ small.T


RULES = (
    Case("rome C=I", lambda n, o: rome(), lambda k, r: textbook_rome(np.eye(len(k)), k, r), batches=False),
    Case(
        "rome C",
        lambda n, o: rome(o @ covariance(n) @ o.mT),
        lambda k, r: textbook_rome(numpy_covariance(len(k)), k, r),
        batches=False,
    ),
    Case("memit C=I", lambda n, o: memit(weighting=2.0), lambda k, r: textbook_memit(np.eye(len(k)), k, r)),
    Case(
        "memit C",
        lambda n, o: memit(o @ covariance(n) @ o.mT, weighting=2.0),
        lambda k, r: textbook_memit(numpy_covariance(len(k)), k, r),
    ),
    Case(
        "alphaedit P=I",
        lambda n, o: alphaedit(torch.eye(n, dtype=torch.float64), ridge=1.5),
        lambda k, r: textbook_alphaedit(np.eye(len(k)), k, r),
    ),
    Case(
        "alphaedit P",
        lambda n, o: alphaedit(o @ projector(covariance(n)), ridge=1.5),
        lambda k, r: textbook_alphaedit(numpy_projector(len(k)), k, r),
    ),
)
CASES = RULES + tuple(replace(case, name=f"{case.name} + NAS", anchored=True) for case in RULES)


def make_edit(m: int, n: int, u: int) -> tuple[Tensor, Edit]:
    weight, keys = normal(m, n, seed=1), normal(n, u, seed=2)
    readouts = weight @ keys
    return weight, Edit(keys, readouts, readouts + normal(m, u, seed=3))


def purity(case: Case) -> None:
    for u in case.sizes:
        weight, edit = make_edit(M, N, u)
        rule = case.editor(N)
        state = rule.absorb(normal(N, 2, seed=9), rule.init(weight))
        inputs = (weight, edit, state)
        before = {name: tensor.clone() for name, tensor in flatten_state(inputs).items()}
        first = step(rule, edit, state, weight)
        second = step(rule, edit, state, weight)
        for name, tensor in flatten_state(inputs).items():
            assert torch.equal(tensor, before[name]), f"{name} was modified in place"
        again = flatten_state(second)
        for name, tensor in flatten_state(first).items():
            assert torch.equal(tensor, again[name]), f"{name} differs between two calls"


def zero_residual(case: Case) -> None:
    for u in case.sizes:
        weight, edit = make_edit(M, N, u)
        rule = case.editor(N)
        delta, _, info = step(rule, edit._replace(values=edit.readouts), rule.init(weight), weight)
        assert isinstance(delta, LowRank)
        assert not delta.dense().any()
        assert int(info.skipped) == u


def one_key(case: Case) -> None:
    """A batch of one is T1's write in the metric that the rule names: Δ = η r (Mk)ᵀ/s."""
    weight, edit = make_edit(M, N, 1)
    rule = case.editor(N)
    state = rule.init(weight)
    dense = rule.metric(state).times(torch.eye(N, dtype=torch.float64)).numpy()
    aimed, _ = rule.target(edit, state, weight)
    delta, _, info = rule.write(aimed, state, weight)
    key, residual = edit.keys[:, 0].numpy(), aimed.residuals[:, 0].numpy()
    s = key @ dense @ key
    eta = 1.0 if case.name.startswith("rome") else s / (1 + s)
    np.testing.assert_allclose(delta.dense().numpy(), eta / s * np.outer(residual, dense @ key), **CLOSE)
    np.testing.assert_allclose([float(info.s), float(info.eta)], [s, eta], **CLOSE)


def not_transposed(case: Case) -> None:
    """On a square asymmetric weight the step, read-out included, equals explicit loops around a textbook solve."""
    for n, u in ((6, size) for size in case.sizes):
        weight, edit = make_edit(n, n, u)
        rule = case.editor(n)
        readouts, values = np.zeros((n, u)), edit.values.numpy().copy()
        for column in range(u):
            for row in range(n):
                readouts[row, column] = sum(float(weight[row, j]) * float(edit.keys[j, column]) for j in range(n))
            if case.anchored:
                values[:, column] *= ANCHOR / np.sqrt(sum(x * x for x in values[:, column]))
        expected = case.textbook(edit.keys.numpy(), values - readouts)
        delta, _, info = step(rule, edit, rule.init(weight), weight)
        np.testing.assert_allclose(delta.dense().numpy(), expected, **CLOSE)
        np.testing.assert_allclose(float(info.weight_norm_after), np.linalg.norm(weight.numpy() + expected), **CLOSE)


def equivariance(case: Case) -> None:
    """Rotating values rotates the delta's rows; rotating keys, with the rule's covariance, its columns."""
    for u in case.sizes:
        weight, edit = make_edit(M, N, u)
        rule = case.editor(N)
        plain = step(rule, edit, rule.init(weight), weight)[0].dense()
        q, o = rotation(M), rotation(N, seed=12)
        turned = Edit(edit.keys, q @ edit.readouts, q @ edit.values)
        rows = step(rule, turned, rule.init(q @ weight), q @ weight)[0].dense()
        torch.testing.assert_close(rows, q @ plain, **CLOSE)
        other = case.editor(N, o)
        moved = Edit(o @ edit.keys, edit.readouts, edit.values)
        columns = step(other, moved, other.init(weight @ o.mT), weight @ o.mT)[0].dense()
        torch.testing.assert_close(columns, plain @ o.mT, **CLOSE)


def identity_on_weight(case: Case) -> None:
    """T1 and T2: the metric norm of the actual weight changes by what the write foretold, also after past keys."""
    for u in case.sizes:
        weight, edit = make_edit(M, N, u)
        rule = case.editor(N)
        state = rule.absorb(normal(N, 4, seed=8), rule.init(weight))
        metric = rule.metric(state)
        delta, _, info = step(rule, edit, state, weight)
        change = metric.norm_sq(weight + delta.dense()) - metric.norm_sq(weight)
        torch.testing.assert_close(change, info.predicted, rtol=1e-10, atol=1e-10 * float(info.scale))


def separate_states(case: Case) -> None:
    weight, edit = make_edit(M, N, 1)
    one, two = case.editor(N), case.editor(N)
    fresh = flatten_state(two.init(weight))
    pointers = {tensor.data_ptr() for tensor in flatten_state(one.init(weight)).values() if tensor.numel()}
    assert not pointers & {tensor.data_ptr() for tensor in fresh.values() if tensor.numel()}
    _, state, _ = step(one, edit, one.init(weight), weight)
    step(one, edit, state, weight)
    for name, tensor in flatten_state(two.init(weight)).items():
        assert torch.equal(tensor, fresh[name])


def anchored_norm(case: Case) -> None:
    """NAS gives each asked value the anchor's norm, keeps its direction, and does nothing the second time."""
    weight, edit = make_edit(M, N, case.sizes[-1])
    rule = case.editor(N)
    state = rule.init(weight)
    once, state = rule.target(edit, state, weight)
    twice, _ = rule.target(once, state, weight)
    expected = edit.values.numpy()
    if case.anchored:
        expected = ANCHOR * expected / np.linalg.norm(expected, axis=0)
    np.testing.assert_allclose(once.values.numpy(), expected, **CLOSE)
    torch.testing.assert_close(twice.values, once.values, **CLOSE)


LAWS = (
    purity,
    zero_residual,
    one_key,
    not_transposed,
    equivariance,
    identity_on_weight,
    separate_states,
    anchored_norm,
)


@pytest.mark.claim("S3.identity")
@pytest.mark.parametrize("law", LAWS, ids=lambda law: law.__name__)
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_every_rule_keeps_every_law(case: Case, law: Callable[[Case], None]) -> None:
    law(case)


def rejections(case: Case) -> set[str]:
    """The laws that a case breaks."""
    broken = set()
    for law in LAWS:
        try:
            law(case)
        except (AssertionError, RuntimeError):  # a wrong shape ends in torch's RuntimeError
            broken.add(law.__name__)
    return broken


def planted(name: str, change: Callable[[Solver], Solver]) -> Case:
    honest = next(case for case in CASES if case.name == name)
    return replace(honest, build=lambda n, o: change(honest.build(n, o)))


def transposing(solver: Solver) -> Solver:
    def solve(edit, state, weight):
        delta, gain, state = solver.solve(edit, state, weight)
        square = weight.shape[0] == weight.shape[1]
        return (LowRank(delta.right, delta.left) if square else delta), gain, state

    return solver._replace(solve=solve)


def forgetting_gain(solver: Solver) -> Solver:
    """Leaves out 1/(1 + s), as if the ridge solve were a plain outer product."""

    def solve(edit, state, weight):
        delta, gain, state = solver.solve(edit, state, weight)
        return LowRank(edit.residuals, delta.right), gain, state

    return solver._replace(solve=solve)


def leaking(solver: Solver) -> Solver:
    """Writes into the key that it was given."""

    def solve(edit, state, weight):
        answer = solver.solve(edit, state, weight)
        edit.keys.mul_(1.5)
        return answer

    return solver._replace(solve=solve)


def uncorrelated(solver: Solver) -> Solver:
    """Uses no metric in the write while naming one."""

    def solve(edit, state, weight):
        _, gain, state = solver.solve(edit, state, weight)
        return LowRank(edit.residuals, edit.keys / edit.keys.square().sum()), gain, state

    return solver._replace(solve=solve)


@pytest.mark.parametrize(
    ("name", "change", "caught_by"),
    [
        ("rome C=I", transposing, {"not_transposed"}),
        ("memit C", transposing, {"not_transposed"}),
        ("memit C=I", forgetting_gain, {"one_key", "not_transposed", "identity_on_weight"}),
        ("alphaedit P + NAS", forgetting_gain, {"one_key", "not_transposed", "identity_on_weight"}),
        ("rome C", leaking, {"purity"}),
        ("rome C", uncorrelated, {"one_key", "not_transposed", "identity_on_weight"}),
    ],
)
def test_the_table_rejects_planted_wrong_rules(name: str, change: Callable, caught_by: set[str]) -> None:
    broken = rejections(planted(name, change))
    assert caught_by <= broken
    assert not rejections(planted(name, lambda solver: solver))


def test_the_table_rejects_an_anchor_that_misses_its_norm() -> None:
    wrong = stateless(lambda edit, weight: edit._replace(values=edit.values * ANCHOR))

    class Planted(Case):
        def editor(self, n: int, turn: Tensor | None = None) -> Editor:
            return editor(rome(), values=wrong)

    case = Planted("rome C=I", RULES[0].build, RULES[0].textbook, batches=False, anchored=True)
    assert {"anchored_norm", "zero_residual", "not_transposed"} <= rejections(case)


def test_chain_is_associative_and_identity_is_its_unit() -> None:
    weight, edit = make_edit(M, N, 2)
    double: Transform[Edit] = stateless(lambda edit, weight: edit._replace(values=2 * edit.values))
    shift: Transform[Edit] = stateless(lambda edit, weight: edit._replace(values=edit.values + 1))
    fix = anchor_norm(ANCHOR)
    ways = (
        chain(chain(double, shift), fix),
        chain(double, chain(shift, fix)),
        chain(double, identity(), shift, fix),
        chain(identity(), double, shift, fix, identity()),
    )
    results = [way.update(edit, way.init(weight), weight)[0].values for way in ways]
    by_hand = 2 * edit.values + 1
    expected = ANCHOR * by_hand / by_hand.norm(dim=0)
    for result in results:
        torch.testing.assert_close(result, expected, **CLOSE)
    swapped = chain(shift, double, fix)
    other = swapped.update(edit, swapped.init(weight), weight)[0].values
    assert not torch.allclose(other, expected)


@pytest.mark.parametrize("u", [1, 3])
def test_alphaedit_with_the_identity_is_ridge_on_its_first_step_only(u: int) -> None:
    weight, edit = make_edit(M, N, u)
    alpha, ridge = editor(alphaedit(torch.eye(N, dtype=torch.float64), ridge=1.5)), editor(memit(weighting=1.5))
    first, state, _ = step(alpha, edit, alpha.init(weight), weight)
    plain, ridge_state, _ = step(ridge, edit, ridge.init(weight), weight)
    torch.testing.assert_close(first.dense(), plain.dense(), **CLOSE)
    second = step(alpha, edit, state, weight)[0].dense()
    again = step(ridge, edit, ridge_state, weight)[0].dense()
    torch.testing.assert_close(again, plain.dense(), **CLOSE)
    assert not torch.allclose(second, again)


def test_alphaedit_leaves_the_protected_keys_alone() -> None:
    weight, edit = make_edit(M, N, 3)
    basis = projector(covariance(N))
    rule = editor(alphaedit(basis, ridge=1.5))
    delta, _, _ = step(rule, edit, rule.init(weight), weight)
    protected = normal(N, 4, seed=20)
    protected = protected - basis @ (basis.mT @ protected)
    torch.testing.assert_close(delta @ protected, torch.zeros(M, 4, dtype=torch.float64), **CLOSE)


def test_delta_transforms_act_after_the_solver_and_the_norm_is_measured() -> None:
    weight, edit = make_edit(M, N, 1)
    halve = stateless(lambda delta, weight: delta.dense() / 2)
    rule = editor(rome(), deltas=halve)
    full = step(editor(rome()), edit, editor(rome()).init(weight), weight)[0].dense()
    delta, _, info = step(rule, edit, rule.init(weight), weight)
    torch.testing.assert_close(delta, full / 2, **CLOSE)
    torch.testing.assert_close(info.weight_norm_after, torch.linalg.norm(weight + full / 2), **CLOSE)
