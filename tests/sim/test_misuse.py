"""What a user may get wrong: each is one line that names the value and the remedy, before anything is computed."""

from __future__ import annotations

import inspect
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from sim.editor import Edit, Transform, editor, step
from sim.lowrank import LowRank
from sim.metric import in_float64, inverse_metric
from sim.rules.alphaedit import alphaedit, null_space
from sim.rules.memit import memit
from sim.rules.rome import rome
from theory.command import Misuse

M, N = 3, 4


def make(u: int = 1, dtype: torch.dtype = torch.float64) -> tuple[Tensor, Edit]:
    generator = torch.Generator().manual_seed(0)
    weight = torch.randn(M, N, generator=generator, dtype=torch.float64)
    keys = torch.randn(N, u, generator=generator, dtype=torch.float64)
    return weight.to(dtype), Edit(keys.to(dtype), (weight @ keys).to(dtype), (weight @ keys + 1).to(dtype))


def run(weight: Tensor, edit: Edit, solver=None) -> None:
    rule = editor(solver or rome())
    step(rule, edit, rule.init(weight), weight)


def one_line(error: pytest.ExceptionInfo) -> None:
    assert isinstance(error.value, ValueError)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_broken_weight_or_key(bad: float) -> None:
    weight, edit = make()
    broken = weight.clone()
    broken[1, 2] = bad
    with pytest.raises(Misuse, match="weight holds NaN or infinity; reload") as error:
        run(broken, edit)
    one_line(error)
    keys = edit.keys.clone()
    keys[0, 0] = bad
    with pytest.raises(Misuse, match="key holds NaN or infinity") as error:
        run(weight, edit._replace(keys=keys))
    one_line(error)


def test_a_zero_key_also_inside_a_batch() -> None:
    weight, edit = make(3)
    keys = edit.keys.clone()
    keys[:, 1] = 0
    with pytest.raises(Misuse, match=r"key is zero.*drop this request"):
        run(weight, edit._replace(keys=keys), memit(weighting=1.0))


@pytest.mark.parametrize(
    ("covariance", "message"),
    [
        (torch.diag(torch.tensor([1.0, 1.0, 1.0, 0.0], dtype=torch.float64)), "singular.*add a ridge"),
        (torch.diag(torch.tensor([1.0, 1.0, 1.0, -1.0], dtype=torch.float64)), "singular.*add a ridge"),
        (torch.ones(4, 4, dtype=torch.float64), "singular.*add a ridge"),
        (torch.diag(torch.tensor([1.0, 1.0, 1.0, 1e-16], dtype=torch.float64)), "singular.*add a ridge"),
        (torch.full((4, 4), float("nan"), dtype=torch.float64), "NaN or infinity"),
        (torch.ones(4, 4, dtype=torch.float64).triu() + torch.eye(4, dtype=torch.float64), "not symmetric"),
    ],
)
def test_an_unusable_covariance(covariance: Tensor, message: str) -> None:
    for make_rule in (rome, memit):
        with pytest.raises(Misuse, match=message) as error:
            make_rule(covariance)
        one_line(error)


def test_a_covariance_that_float64_still_resolves_is_taken() -> None:
    rome(torch.diag(torch.tensor([1.0, 1.0, 1.0, 1e-12], dtype=torch.float64)))


def test_rome_refuses_a_batch() -> None:
    with pytest.raises(Misuse, match="one key at a time, not 2; use memit"):
        run(*make(2))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_a_dtype_the_rules_cannot_solve_in(dtype: torch.dtype) -> None:
    weight, edit = make(dtype=dtype)
    with pytest.raises(Misuse, match=f"not {dtype}; cast keys and values first"):
        run(weight, edit)
    with pytest.raises(Misuse, match="solves in float32 or float64"):
        run(weight.double(), edit)


def test_a_low_precision_weight_is_edited_by_a_full_precision_solve() -> None:
    weight, edit = make()
    rule = editor(rome())
    delta, _, info = step(rule, edit, rule.init(weight.bfloat16()), weight.bfloat16())
    assert delta.left.dtype == torch.float64
    assert float(info.weight_norm) == pytest.approx(float(weight.bfloat16().double().norm()))


def test_a_weight_that_is_no_float_matrix() -> None:
    for weight in (torch.ones(M, N, dtype=torch.int64), torch.ones(N)):
        with pytest.raises(Misuse, match=r"pass a floating-point matrix \(d_out, d_in\)"):
            editor(rome()).init(weight)


@pytest.mark.parametrize("field", ["keys", "readouts", "values"])
def test_shapes_that_do_not_fit(field: str) -> None:
    weight, edit = make()
    wrong = edit._replace(**{field: torch.ones(7, 1, dtype=torch.float64)})
    with pytest.raises(Misuse, match=r"do not fit a weight \(3, 4\); columns are requests"):
        run(weight, wrong)


def test_thresholds_outside_the_spectrum() -> None:
    covariance = torch.diag(torch.tensor([1.0, 2.0, 3.0]))
    with pytest.raises(Misuse, match=r"no eigenvalue.*0\.02.*spectrum 1 to 3.*inside the spectrum"):
        null_space(covariance)
    with pytest.raises(Misuse, match=r"every eigenvalue.*nothing is protected"):
        null_space(covariance, threshold=10.0)


def test_rule_options() -> None:
    with pytest.raises(Misuse, match=r"weighting λ is 0\.0; it must be positive"):
        memit(weighting=0.0)
    with pytest.raises(Misuse, match=r"ridge L2 is -1\.0; it must be positive"):
        alphaedit(torch.eye(2), ridge=-1.0)
    with pytest.raises(Misuse, match="not orthonormal; take it from null_space"):
        alphaedit(2 * torch.eye(2))


def test_a_metric_is_widened_as_a_whole_and_nothing_else_is() -> None:
    wide = in_float64(inverse_metric(torch.eye(2)))
    assert wide.matrix.dtype == wide.factor.dtype == torch.float64
    solver = alphaedit(torch.eye(2))
    nested = in_float64(solver.metric(solver.init(torch.zeros(1, 2))))
    assert nested.basis.dtype == nested.inner.matrix.dtype == torch.float64


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        (
            {"solver": rome},
            r"solver is <function rome.* of type function; it has to be a Solver",
        ),
        (
            {"solver": rome(), "values": "nas"},
            r"values is 'nas' of type str; it has to be a Transform",
        ),
        ({"solver": rome(), "deltas": rome()}, r"deltas is Solver.*it has to be a Transform, such as cap_norm"),
    ],
)
def test_an_editor_of_the_wrong_parts(parts: dict[str, object], message: str) -> None:
    with pytest.raises(Misuse, match=message):
        inspect.unwrap(editor)(**parts)


def twice(edit: Edit) -> LowRank:
    return LowRank(edit.residuals, edit.keys)


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (lambda edit, state, weight: (twice(edit), state), r"solve returned 2 values; return \(delta, gain, state\)"),
        (lambda edit, state, weight: twice(edit), r"solve returned a LowRank; return"),
        (lambda edit, state, weight: twice(edit).dense(), r"solve returned a Tensor; return \(delta, gain, state\)"),
        (
            lambda edit, state, weight: (twice(edit), None, state),
            r"gain is None of type NoneType; it has to be a Gain",
        ),
        (lambda edit, state, weight: (None, None, state), r"solver returned a NoneType; return Δ"),
    ],
)
def test_a_solver_that_returns_something_else(answer: Callable[..., object], message: str) -> None:
    weight, edit = make()
    with pytest.raises(Misuse, match=message):
        run(weight, edit, rome()._replace(solve=answer))


@pytest.mark.parametrize(
    ("kind", "update", "message"),
    [
        ("values", lambda edit, state, weight: edit, r"transform's update returned a Edit; return \(edit, state\)"),
        ("values", lambda edit, state, weight: (edit.values, state), r"returned is tensor.*it has to be a Edit"),
        ("deltas", lambda delta, state, weight: delta, r"returned a LowRank; return \(delta, state\)"),
        ("deltas", lambda delta, state, weight: (delta.left, state), r"returned a Δ of shape \(3, 1\) for a weight"),
    ],
)
def test_transforms_that_return_something_else(kind: str, update: Callable[..., object], message: str) -> None:
    weight, edit = make()
    rule = editor(rome(), **{kind: Transform(lambda weight: (), update)})
    with pytest.raises(Misuse, match=message):
        step(rule, edit, rule.init(weight), weight)
