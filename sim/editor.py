"""The algebra of editors: pure transforms and solvers that compose into one editor for every room."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, NamedTuple, TypeVar

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from sim.checks import answered, check_delta, check_edit, check_part, check_weight
from sim.lowrank import Delta, LowRank, apply_delta, delta_norm, frobenius
from sim.metric import Metric

X = TypeVar("X")
State = Any


class Edit(NamedTuple):
    """One batch of u requests at one weight W (m, n).

    A request whose residual is exactly zero asks for nothing, and every transform leaves it so.

    Attributes:
        keys: (n, u) columns k.
        readouts: (m, u) columns Wk.
        values: (m, u) columns v, the targets of Wk.
    """

    keys: Float[Tensor, "n u"]
    readouts: Float[Tensor, "m u"]
    values: Float[Tensor, "m u"]

    @property
    def residuals(self) -> Float[Tensor, "m u"]:
        """R = V − WK."""
        return self.values - self.readouts

    @property
    def asked(self) -> Bool[Tensor, " u"]:
        """Which requests ask for a change at all."""
        return (self.values != self.readouts).any(dim=0)


@dataclass(frozen=True)
class Transform(Generic[X]):
    """A pure map of an Edit (value transform) or of a delta (delta transform), with its state.

    Attributes:
        init: weight -> state.
        update: (x, state, weight) -> (x, state).
        by_request: a value transform that treats each request by itself and reads neither state nor weight to do so.
        reads_weight: whether a value transform that is not `by_request` looks at the weight, which a block of writes
            does not carry along.
    """

    init: Callable[[Tensor], State]
    update: Callable[[X, State, Tensor], tuple[X, State]]
    by_request: bool = False
    reads_weight: bool = True

    @property
    def blind(self) -> bool:
        """Whether the transform does the same whatever the weight is."""
        return self.by_request or not self.reads_weight


class Gain(NamedTuple):
    """What a metric write did in T1's terms, for a batch of u requests.

    Attributes:
        s: mean of kᵀMk over the batch.
        eta: mean over the batch of the written share η = diag(T H).
        predicted: T1's right-hand side, the change of ‖W‖²_{M⁻¹} that the factors foretell.
        scale: sum of the absolute values of T1's two terms, against which an error is relative.
    """

    s: Float[Tensor, ""]
    eta: Float[Tensor, ""]
    predicted: Float[Tensor, ""]
    scale: Float[Tensor, ""]


GainRule = Callable[[Tensor], Tensor]
"""H = KᵀMK (..., u, u) -> T (..., u, u)."""


class MetricForm(NamedTuple):
    """That a solver is the metric write Δ = R T(H) (MK)ᵀ, and how M moves: all that the blocked engine needs.

    Attributes:
        gain: H -> T.
        accumulates: absorbed keys join the metric, M⁻¹ ← M⁻¹ + KKᵀ on M's range; otherwise M never changes.
        batches: whether one write may hold several keys.
    """

    gain: GainRule
    accumulates: bool = False
    batches: bool = True


class Solver(NamedTuple):
    """Turns an edit into a delta.

    Attributes:
        init: weight -> state (factorisations, projectors, caches of past keys).
        solve: (edit, state, weight) -> (delta, gain, state).
        absorb: (keys, state) -> state, once all layers of a step are written.
        metric: state -> the metric M of T1, so that growth can be predicted without running the rule.
        form: the solver as a metric write, or None where it is not one.
    """

    init: Callable[[Tensor], State]
    solve: Callable[[Edit, State, Tensor], tuple[Delta, Gain, State]]
    absorb: Callable[[Tensor, State], State]
    metric: Callable[[State], Metric]
    form: MetricForm | None = None


class Info(NamedTuple):
    """What one write measured; every field is a zero-dimensional tensor.

    Attributes:
        weight_norm: ‖W‖_F before the write.
        weight_norm_after: ‖W + Δ‖_F, from the factors where the delta has them.
        readout_norm: mean ‖Wk‖ over the batch.
        value_norm: mean ‖v‖ over the batch, after the value transforms.
        delta_norm: ‖Δ‖_F.
        residual_after: ‖V − (W + Δ)K‖_F.
        s: mean kᵀMk.
        eta: mean written share η.
        predicted: T1's right-hand side for the solver's delta (before delta transforms).
        scale: the size of T1's two terms.
        skipped: how many requests of the batch asked for nothing.
        finite: whether the delta is finite.
    """

    weight_norm: Float[Tensor, ""]
    weight_norm_after: Float[Tensor, ""]
    readout_norm: Float[Tensor, ""]
    value_norm: Float[Tensor, ""]
    delta_norm: Float[Tensor, ""]
    residual_after: Float[Tensor, ""]
    s: Float[Tensor, ""]
    eta: Float[Tensor, ""]
    predicted: Float[Tensor, ""]
    scale: Float[Tensor, ""]
    skipped: Int[Tensor, ""]
    finite: Bool[Tensor, ""]

    def row(self) -> dict[str, float | int | bool]:
        """The fields as plain numbers, for a table."""
        return {name: value.item() for name, value in self._asdict().items()}


class EditorState(NamedTuple):
    """The state of an editor at one weight: one part a slot."""

    values: State
    solver: State
    deltas: State


class Editor(NamedTuple):
    """A composition of value transforms, one solver and delta transforms.

    Attributes:
        init: weight -> state.
        target: (edit, state, weight) -> (edit, state): the value transforms, once a request, at the last edited layer.
        write: (edit, state, weight) -> (delta, state, info): the solver, then the delta transforms, once a layer.
        absorb: (keys, state) -> state, once all layers are written.
        metric: state -> the metric of T1.
        values: the value transforms themselves, which `target` checks and applies.
        form: the solver's metric form; None where it has none or a delta transform needs each delta.
    """

    init: Callable[[Tensor], EditorState]
    target: Callable[[Edit, EditorState, Tensor], tuple[Edit, EditorState]]
    write: Callable[[Edit, EditorState, Tensor], tuple[Delta, EditorState, Info]]
    absorb: Callable[[Tensor, EditorState], EditorState]
    metric: Callable[[EditorState], Metric]
    values: Transform[Edit]
    form: MetricForm | None = None


def identity() -> Transform[Any]:
    """The unit of `chain`: returns its argument; always the same object, so that an editor without transforms shows.

    >>> identity().update("x", (), torch.zeros(1, 1))
    ('x', ())
    """
    return _IDENTITY


_IDENTITY: Transform[Any] = Transform(lambda weight: (), lambda x, state, weight: (x, state), by_request=True)


def stateless(function: Callable[[X, Tensor], X], *, by_request: bool = False) -> Transform[X]:
    """A transform from a function of (x, weight) that keeps no state.

    >>> stateless(lambda x, weight: x + 1).update(1, (), torch.zeros(1, 1))
    (2, ())
    """
    return Transform(lambda weight: (), lambda x, state, weight: (function(x, weight), state), by_request)


def chain(*transforms: Transform[X]) -> Transform[X]:
    """Apply transforms from left to right; the state is the tuple of theirs.

    >>> double = stateless(lambda x, weight: 2 * x)
    >>> chain(double, stateless(lambda x, weight: x + 1)).update(3, ((), ()), torch.zeros(1, 1))
    (7, ((), ()))
    """

    def init(weight: Tensor) -> tuple[State, ...]:
        return tuple(transform.init(weight) for transform in transforms)

    def update(x: X, state: tuple[State, ...], weight: Tensor) -> tuple[X, tuple[State, ...]]:
        states = []
        for transform, own in zip(transforms, state, strict=True):
            x, own = transform.update(x, own, weight)
            states.append(own)
        return x, tuple(states)

    by_request, blind = (all(getattr(transform, name) for transform in transforms) for name in ("by_request", "blind"))
    return Transform(init, update, by_request, not blind)


def editor(
    solver: Solver,
    *,
    values: Transform[Edit] | None = None,
    deltas: Transform[Delta] | None = None,
) -> Editor:
    """Compose an editor: value transforms, then the solver, then delta transforms.

    Args:
        solver: the update rule.
        values: transforms of the Edit; NAS is `values=anchor_norm(a)`. None is `identity()`.
        deltas: transforms of the delta. None is `identity()`.

    Returns:
        The editor, which never writes a weight: whoever calls it applies the delta.

    Raises:
        Misuse: a part of another kind; later, where a part returns something else than it has to.
    """
    on_values, on_deltas = identity() if values is None else values, identity() if deltas is None else deltas
    check_part(solver, Solver, "the editor's solver", "rome()")
    check_part(on_values, Transform, "the editor's values", "anchor_norm(a) or stateless(f)")
    check_part(on_deltas, Transform, "the editor's deltas", "cap_norm(limit=1.0) or stateless(f)")

    def init(weight: Tensor) -> EditorState:
        check_weight(weight)
        return EditorState(on_values.init(weight), solver.init(weight), on_deltas.init(weight))

    def target(edit: Edit, state: EditorState, weight: Tensor) -> tuple[Edit, EditorState]:
        check_edit(*edit, weight)
        edit, own = answered(
            on_values.update(edit, state.values, weight), ("edit", "state"), "the value transform's update"
        )
        check_part(edit, Edit, "what the value transform returned", "edit._replace(values=...)")
        return edit, state._replace(values=own)

    def write(edit: Edit, state: EditorState, weight: Tensor) -> tuple[Delta, EditorState, Info]:
        check_edit(*edit, weight)
        solved, gain, of_solver = answered(
            solver.solve(edit, state.solver, weight), ("delta", "gain", "state"), "the solver's solve"
        )
        check_delta(solved, weight, "solver")
        check_part(gain, Gain, "the solver's gain", "plain_gain(edit, delta, weight) of sim.rules.plain_gain")
        delta, of_deltas = answered(
            on_deltas.update(solved, state.deltas, weight), ("delta", "state"), "the delta transform's update"
        )
        check_delta(delta, weight, "delta transform")
        info = measure(edit, delta, gain, weight)
        return delta, state._replace(solver=of_solver, deltas=of_deltas), info

    def absorb(keys: Tensor, state: EditorState) -> EditorState:
        return state._replace(solver=solver.absorb(keys, state.solver))

    form = solver.form if deltas is None else None
    return Editor(init, target, write, absorb, lambda state: solver.metric(state.solver), on_values, form)


def step(rule: Editor, edit: Edit, state: EditorState, weight: Tensor) -> tuple[Delta, EditorState, Info]:
    """One step at one layer: target, write, absorb.

    Args:
        rule: the editor.
        edit: keys, read-outs and solved values of u requests.
        state: the editor's state at this weight.
        weight: W (m, n), which is left as it is.

    Returns:
        The delta to apply, the next state, and what the write measured.
    """
    edit, state = rule.target(edit, state, weight)
    delta, state, info = rule.write(edit, state, weight)
    return delta, rule.absorb(edit.keys, state), info


def measure(edit: Edit, delta: Delta, gain: Gain, weight: Float[Tensor, "m n"]) -> Info:
    """Collect a write's Info, in the wider of the weight's and the edit's dtypes."""
    wide = weight.to(edit.values.dtype)
    norm = frobenius(wide)
    size = delta_norm(delta)
    if isinstance(delta, LowRank):
        cross = (delta.left * (wide @ delta.right)).sum()
        after = (norm.square() + 2 * cross + size.square()).clamp_min(0).sqrt()
    else:
        after = frobenius(apply_delta(wide, delta))
    return Info(
        weight_norm=norm,
        weight_norm_after=after,
        readout_norm=edit.readouts.norm(dim=0).mean(),
        value_norm=edit.values.norm(dim=0).mean(),
        delta_norm=size,
        residual_after=torch.linalg.norm(edit.residuals - delta @ edit.keys),
        s=gain.s,
        eta=gain.eta,
        predicted=gain.predicted,
        scale=gain.scale,
        skipped=(~edit.asked).sum(),
        finite=torch.isfinite(size),
    )
