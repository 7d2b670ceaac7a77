"""Laws that every editor is held to before its norm is certified, and traits that say what kind it is."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Generator, Tensor

from sim.editor import Edit, Editor, EditorState, Info, step
from sim.lowrank import Delta, apply_delta, dense
from sim.settings import MakeEditor, Setting, make_world
from sim.state import flatten_state, restore_state

SIZES = (12.0, 1.0, 1.0, 0.5)
"""‖v − Wk‖ of the trial's requests over that of a read-out, about: a large one first, so that an editor has something
to remember and a compressing one to compress. Laws are tried at the last."""


class Request(NamedTuple):
    """What is asked of a memory whatever its weight is: v = Wk + shift.

    Attributes:
        keys: (n, u).
        shifts: (m, u).
    """

    keys: Float[Tensor, "n u"]
    shifts: Float[Tensor, "m u"]


class Trial(NamedTuple):
    """One small world in which laws are tried.

    Attributes:
        make: () -> the editor, built anew.
        start: W_0 (m, n).
        requests: asked one after the other; the last is the one that a law looks at.
        close: the relative error that rounding may leave.
    """

    make: Callable[[], Editor]
    start: Float[Tensor, "m n"]
    requests: tuple[Request, ...]
    close: float

    def moment(self, rule: Editor) -> tuple[Edit, EditorState, Tensor]:
        """The last request as the editor meets it, after all the others."""
        weight, state = self.start, rule.init(self.start)
        for request in self.requests[:-1]:
            delta, state, _ = step(rule, asked(request, weight), state, weight)
            weight = apply_delta(weight, delta)
        return asked(self.requests[-1], weight), state, weight

    def answer(self, rule: Editor) -> tuple[Delta, EditorState, Info]:
        """What the editor does then."""
        return step(rule, *self.moment(rule))


Check = Callable[[Trial], str | None]
"""A trial -> what breaks the law, or None."""


def asked(request: Request, weight: Tensor) -> Edit:
    """The request at a weight."""
    readouts = weight @ request.keys
    return Edit(request.keys, readouts, readouts + request.shifts)


def make_trial(make: MakeEditor, setting: Setting) -> Trial:
    """The trial of an editor in a setting, the same for every editor."""
    generator = Generator().manual_seed(0)
    world = make_world(setting, generator)
    requests = []
    for size in SIZES:
        keys = world.keys(world.weight, setting.batch, generator)
        shifts = torch.randn(setting.m, setting.batch, generator=generator, dtype=world.weight.dtype)
        requests.append(Request(keys, size * shifts))
    return Trial(lambda: make(setting), world.weight, tuple(requests), 1e4 * torch.finfo(world.weight.dtype).eps)


def finite(trial: Trial) -> str | None:
    """A finite request at a finite weight gets a finite write."""
    rule = trial.make()
    edit, state, weight = trial.moment(rule)
    aimed, _ = rule.target(edit, state, weight)
    for name, part in (("the weight", weight), ("the value", aimed.values), ("Δ", dense(trial.answer(rule)[0]))):
        if not torch.isfinite(part).all():
            return f"{name} holds NaN or infinity after {len(trial.requests) - 1} writes"
    return None


def pure(trial: Trial) -> str | None:
    """The same arguments give the same answer twice, and come out as they went in."""
    rule = trial.make()
    moment = trial.moment(rule)
    before = {name: tensor.clone() for name, tensor in flatten_state(moment).items()}
    first, second = flatten_state(step(rule, *moment)), flatten_state(step(rule, *moment))
    for name, tensor in flatten_state(moment).items():
        if not torch.equal(tensor, before[name]):
            return f"{_named(name, ('edit', 'state', 'weight'))} was modified in place"
    return _difference(first, second, ("delta", "state", "info"), "differs between two calls of the same arguments")


def fresh(trial: Trial) -> str | None:
    """`init` forgets everything: a second stream of the same editor, and one of its twin, are the first again."""
    rule = trial.make()
    first = flatten_state(trial.answer(rule))
    for other in (rule, trial.make()):
        again = _difference(first, flatten_state(trial.answer(other)), ("delta", "state", "info"), "is another")
        if again:
            return f"{again} in a second stream, so the editor remembers outside its state"
    return None


def restored(trial: Trial) -> str | None:
    """A state put through its tensors' names goes on as if it had never been saved."""
    rule = trial.make()
    edit, state, weight = trial.moment(rule)
    saved = {name: tensor.clone() for name, tensor in flatten_state(state).items()}
    onward, again = (
        flatten_state(step(rule, edit, kept, weight)) for kept in (state, restore_state(rule.init(trial.start), saved))
    )
    return _difference(onward, again, ("delta", "state", "info"), "is another after saving; keep state in tensors")


def measured(trial: Trial) -> str | None:
    """The norms that a write reports are those of the weight itself, before and after."""
    rule = trial.make()
    edit, state, weight = trial.moment(rule)
    aimed, _ = rule.target(edit, state, weight)
    delta, _, info = step(rule, edit, state, weight)
    after = apply_delta(weight.double(), dense(delta).double())
    truth = {
        "weight_norm": weight.double().norm(),
        "weight_norm_after": after.norm(),
        "delta_norm": dense(delta).double().norm(),
        "residual_after": (aimed.values - after.to(aimed.values) @ aimed.keys).norm(),
        "value_norm": aimed.values.norm(dim=0).mean(),
    }
    for name, value in truth.items():
        found = getattr(info, name)
        if (found - value).abs() > trial.close * after.norm():
            return f"{name} is reported as {float(found):.6g} and is {float(value):.6g}"
    return None


def formed(trial: Trial) -> str | None:
    """A write of a stated metric form is that write, Δ = R T(H)(MK)ᵀ, and moves ‖W‖²_{M⁻¹} by what T1 says."""
    rule = trial.make()
    if rule.form is None:
        return None
    edit, state, weight = trial.moment(rule)
    metric = rule.metric(state)
    aimed, aiming = rule.target(edit, state, weight)
    delta, _, info = rule.write(aimed, aiming, weight)
    raised = metric.times(aimed.keys)
    expected = aimed.residuals @ rule.form.gain(aimed.keys.mT @ raised) @ raised.mT
    if (dense(delta) - expected).norm() > trial.close * expected.norm():
        return f"Δ is off R T(H)(MK)ᵀ by {float((dense(delta) - expected).norm()):.3g} of {float(expected.norm()):.3g}"
    change = metric.norm_sq(weight + dense(delta)) - metric.norm_sq(weight)
    if (change - info.predicted).abs() > trial.close * (info.scale + metric.norm_sq(weight)):
        return f"‖W‖²_M⁻¹ changes by {float(change):.6g}, foretold was {float(info.predicted):.6g}"
    return None


def by_request(trial: Trial) -> str | None:
    """Values promised to be treated request by request are: other requests and another weight change nothing."""
    rule = trial.make()
    if not rule.values.by_request:
        return None
    columns = torch.cat([request.keys for request in trial.requests], dim=1)
    shifts = torch.cat([request.shifts for request in trial.requests], dim=1)
    edit = asked(Request(columns, shifts), trial.start)
    whole = _values(rule, edit, trial.start)
    for j in range(columns.shape[1]):
        alone = Edit(*(part[:, j : j + 1] for part in edit))
        for name, weight in (("beside others", trial.start), ("at another weight", 3 * trial.start + 1)):
            error = (_values(rule, alone, weight) - whole[:, j : j + 1]).norm()
            if error > trial.close * whole[:, j].norm():
                return f"value {j} is another {name}; leave by_request out"
    return None


def _values(rule: Editor, edit: Edit, weight: Float[Tensor, "m n"]) -> Float[Tensor, "m u"]:
    """The values after a fresh editor's value transforms."""
    return rule.values.update(edit, rule.values.init(weight), weight)[0].values


LAWS: dict[str, Check] = {
    "finite": finite,
    "pure": pure,
    "fresh": fresh,
    "restored": restored,
    "measured": measured,
    "formed": formed,
    "by_request": by_request,
}
"""What every editor must keep: an editor that breaks one has no certificate."""


def quiet(trial: Trial) -> str | None:
    """Nothing is written where nothing is asked (v = Wk), whatever was written before."""
    rule = trial.make()
    edit, state, weight = trial.moment(rule)
    delta, _, _ = step(rule, edit._replace(values=edit.readouts), state, weight)
    size, whole = float(dense(delta).norm()), float(weight.norm())
    return f"‖Δ‖ = {size:.3g} where v = Wk, beside ‖W‖ = {whole:.3g}" if size > trial.close * whole else None


def turning(trial: Trial) -> str | None:
    """Value space has no preferred axes: with Q orthogonal, QW and Qv give QΔ."""
    turn = torch.linalg.qr(torch.randn(2 * trial.start.shape[:1], generator=Generator().manual_seed(9)).double()).Q
    turn = turn.to(trial.start)
    turned = tuple(request._replace(shifts=turn @ request.shifts) for request in trial.requests)
    other = trial._replace(start=turn @ trial.start, requests=turned)
    return _ratio(turn @ dense(trial.answer(trial.make())[0]), dense(other.answer(trial.make())[0]), 10 * trial.close)


def scaling(trial: Trial) -> str | None:
    """The editor knows no size: 3W and 3v give 3Δ. log ‖W‖ then has one law whatever ‖W‖ has become."""
    tripled = tuple(request._replace(shifts=3 * request.shifts) for request in trial.requests)
    other = trial._replace(start=3 * trial.start, requests=tripled)
    return _ratio(3 * dense(trial.answer(trial.make())[0]), dense(other.answer(trial.make())[0]), 10 * trial.close)


TRAITS: dict[str, Check] = {"quiet": quiet, "turning": turning, "scaling": scaling}
"""What an editor may do or not: reported, not asked for."""


def tried(make: MakeEditor, setting: Setting, checks: dict[str, Check]) -> dict[str, str | None]:
    """What each check found against an editor, None where it holds.

    Args:
        make: setting -> the editor, built anew at each call.
        setting: the world.
        checks: `LAWS` or `TRAITS`.

    Returns:
        Name -> what was seen.

    Raises:
        Misuse: the editor does not write in this setting.

    >>> from sim.compose import compose
    >>> from sim.settings import BASE
    >>> tried(compose("rome"), BASE, TRAITS)
    {'quiet': None, 'turning': None, 'scaling': None}
    """
    trial = make_trial(make, setting)
    return {name: check(trial) for name, check in checks.items()}


def _named(name: str, parts: tuple[str, ...]) -> str:
    """A flattened path, "state.1.keys" of a triple, in words: "state.keys"."""
    _, index, *rest = name.split(".")
    return ".".join((parts[int(index)], *rest))


def _difference(one: dict[str, Tensor], two: dict[str, Tensor], parts: tuple[str, ...], what: str) -> str | None:
    if one.keys() != two.keys():
        return f"{_named(min(one.keys() ^ two.keys()), parts)} {what}"
    for name, tensor in one.items():
        if not torch.equal(tensor.nan_to_num(), two[name].nan_to_num()):
            return f"{_named(name, parts)} {what}"
    return None


def _ratio(one: Tensor, two: Tensor, close: float) -> str | None:
    error = float((one - two).norm() / one.norm())
    return f"‖difference‖/‖Δ‖ = {error:.3g}" if not error <= close else None
