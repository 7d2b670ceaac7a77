"""The table of laws over every rule and transform of the catalogue; planted editors break each of them."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from sim.catalogue import DELTAS, RULES, VALUES
from sim.certificate import certify
from sim.compose import compose
from sim.editor import Editor, Transform, editor, stateless, step
from sim.laws import LAWS, TRAITS, make_trial, tried
from sim.lowrank import LowRank, apply_delta, dense
from sim.rules.memit import memit
from sim.rules.rome import rome
from sim.settings import BASE, MakeEditor, Setting
from theory.command import Misuse

WIDE = Setting("square, in batches", m=6, n=6, batch=3)
FLAT = Setting("float32", m=5, n=7, dtype="float32")
ONE_KEY = {"rome", "rome_c", "rome_averaged"}

EDITORS = {
    **{f"{name}{' + nas' * bool(v)}": (name, v, ()) for name in RULES for v in ((), ("nas",))},
    **{f"{rule} + {name}": (rule, (name,), ()) for name in VALUES for rule in ("rome", "memit")},
    **{f"{rule} + {name}": (rule, (), (name,)) for name in DELTAS for rule in ("rome", "memit")},
}
UNTURNED = {"ultraedit", "stableedit", "eac", "rect", "rect_ported", "sphere"}
"""They look at single coordinates of a value, or at single rows of W."""
SIZED = {"nas", "nas_one_sided", "nas_dropping", "clip_absolute", "eac", "ultraedit", "stableedit"} | {
    "cap_absolute",
    "cap_spectrum",
    "prune",
}
"""They compare something that a scale of W moves with something that it does not."""
PULLING = {"lyaplock", "prune", "decay"}
"""They look at W's own state, and act on it where nothing is asked."""


@pytest.mark.parametrize("setting", [BASE, WIDE, FLAT], ids=lambda setting: setting.name)
@pytest.mark.parametrize("words", EDITORS.values(), ids=EDITORS)
def test_every_editor_keeps_every_law(words: tuple[str, tuple[str, ...], tuple[str, ...]], setting: Setting) -> None:
    if setting.batch > 1 and words[0] in ONE_KEY:
        pytest.skip("writes one key at a time")
    assert tried(compose(*words), setting, LAWS) == dict.fromkeys(LAWS)


@pytest.mark.parametrize("words", EDITORS.values(), ids=EDITORS)
def test_traits_are_those_that_theory_gives(words: tuple[str, tuple[str, ...], tuple[str, ...]]) -> None:
    parts = {words[0], *words[1], *words[2]}
    if "mose" in parts:
        parts = {"mose"}  # it writes a value's direction and no value's norm
    broken = {name for name, seen in tried(compose(*words), BASE, TRAITS).items() if seen is not None}
    expected = {
        name for name, those in (("turning", UNTURNED), ("scaling", SIZED), ("quiet", PULLING)) if parts & those
    }
    assert broken == expected


def turned(name: str, turn: torch.Tensor) -> Editor:
    """A rule whose statistic of keys is turned with them."""
    part = RULES[name]
    options = part.lab(BASE)
    if "covariance" in options:
        spread = torch.linspace(0.3, 2.0, BASE.n, dtype=torch.float64)
        options["covariance"] = turn @ torch.diag(spread) @ turn.mT
    if "basis" in options:
        options["basis"] = turn @ options["basis"]
    return editor(part.make(**options))


@pytest.mark.parametrize("name", sorted(set(RULES) - {"ultraedit", "stableedit", "rlsedit_released"}))
def test_turning_keys_and_their_statistic_turns_the_write(name: str) -> None:
    """All but NSE's choice of neurons and ROME's averaged key, which look at single coordinates."""
    turn = torch.linalg.qr(torch.randn(BASE.n, BASE.n, generator=torch.Generator().manual_seed(4)).double()).Q
    trial = make_trial(lambda setting: turned(name, torch.eye(BASE.n, dtype=torch.float64)), BASE)
    moved = trial._replace(
        make=lambda: turned(name, turn),
        start=trial.start @ turn.mT,
        requests=tuple(request._replace(keys=turn @ request.keys) for request in trial.requests),
    )
    plain, other = (dense(one.answer(one.make())[0]) for one in (trial, moved))
    error = float((plain @ turn.mT - other).norm() / plain.norm())
    assert (error < 1e-9) == (name not in {"nse_neurons", "rome_averaged"})


@pytest.mark.parametrize("name", sorted(RULES))
def test_a_square_weight_is_written_in_its_own_orientation(name: str) -> None:
    """A row of zeros that nothing asks for stays zero, and its column is written; transposed, neither holds."""
    square = Setting("square", m=6, n=6)
    rule, trial = compose(name)(square), make_trial(compose(name), square)
    start = trial.start.clone()
    start[2] = 0
    quiet = tuple(
        request._replace(shifts=request.shifts.index_fill(0, torch.tensor(2), 0.0)) for request in trial.requests
    )
    delta = dense(trial._replace(start=start, requests=quiet).answer(rule)[0])
    assert (delta.abs().amax(1) > 0).sum() == 5
    assert not delta[2].any()
    assert delta[:, 2].any()


def solving(change: Callable[..., object]) -> MakeEditor:
    """MEMIT (C = I) with a fault in its solve."""

    def make(setting: Setting) -> Editor:
        honest = memit(weighting=2.0)

        def solve(edit, state, weight):
            return change(edit, weight, *honest.solve(edit, state, weight))

        return editor(honest._replace(solve=solve))

    return make


def leaking(edit, weight, delta, gain, state):
    edit.keys.mul_(1.5)
    return delta, gain, state


def forgetting(edit, weight, delta, gain, state):
    return LowRank(edit.residuals, delta.right), gain, state


def transposing(edit, weight, delta, gain, state):
    return (LowRank(delta.right, delta.left) if weight.shape[0] == weight.shape[1] else delta), gain, state


def remembering(setting: Setting) -> Editor:
    """A write that grows with every call, out of sight of the state."""
    calls: list[int] = []

    def louder(edit, weight):
        calls.append(1)
        return edit._replace(values=edit.values * (1 + 0.01 * len(calls)))

    return editor(memit(weighting=2.0), values=stateless(louder))


SHARED: list[int] = []


def shared(setting: Setting) -> Editor:
    """A cache in the module, which `init` does not reset; it stands still where laws look twice."""

    def init(weight):
        SHARED.append(1)
        return (torch.tensor(float(len(SHARED)), dtype=torch.float64),)

    def update(edit, state, weight):
        return edit._replace(values=edit.readouts + (edit.values - edit.readouts) / state[0]), state

    return editor(rome(), values=Transform(init, update))


def untold(setting: Setting) -> Editor:
    """A count in a plain number, which no saved tensor holds."""

    def update(edit, state, weight):
        return edit._replace(values=edit.readouts + (edit.values - edit.readouts) / (1 + state[0])), (state[0] + 1,)

    return editor(memit(weighting=2.0), values=Transform(lambda weight: (0,), update))


def boasting(setting: Setting) -> Editor:
    """Reports a smaller norm than it leaves."""
    honest = editor(memit(weighting=2.0))

    def write(edit, state, weight):
        delta, state, info = honest.write(edit, state, weight)
        return delta, state, info._replace(weight_norm_after=info.weight_norm_after / 2)

    return honest._replace(write=write)


def looking(setting: Setting) -> Editor:
    """Promises to treat each request by itself, and looks at the weight."""

    def shorter(edit, weight):
        return edit._replace(values=edit.values * (1 / weight.norm()).clamp_max(1))

    return editor(memit(weighting=2.0), values=stateless(shorter, by_request=True))


def levelling(setting: Setting) -> Editor:
    """Promises the same, and normalises over the batch."""

    def level(edit, weight):
        return edit._replace(values=edit.values / edit.values.norm())

    return editor(memit(weighting=2.0), values=stateless(level, by_request=True))


@pytest.mark.parametrize(
    ("make", "law"),
    [
        (solving(leaking), "pure"),
        (remembering, "pure"),
        (shared, "fresh"),
        (untold, "restored"),
        (boasting, "measured"),
        (solving(forgetting), "formed"),
        (looking, "by_request"),
        (levelling, "by_request"),
    ],
    ids=["leaking", "remembering", "shared", "untold", "boasting", "forgetting", "looking", "levelling"],
)
def test_an_editor_that_breaks_a_law_gets_no_certificate(make: MakeEditor, law: str) -> None:
    assert tried(make, BASE, LAWS)[law] is not None
    with pytest.raises(Misuse, match="the editor breaks the law"):
        next(certify(make, (BASE,)))
    SHARED.clear()


def test_a_write_that_is_transposed_on_square_weights_breaks_a_law() -> None:
    assert tried(solving(transposing), BASE, LAWS)["formed"] is None
    assert tried(solving(transposing), WIDE, LAWS)["formed"] is not None


@pytest.mark.parametrize("name", TRAITS)
def test_the_honest_rule_has_every_trait(name: str) -> None:
    assert tried(lambda setting: editor(memit(weighting=2.0)), BASE, TRAITS)[name] is None


def test_a_trial_asks_the_same_of_every_editor() -> None:
    """Its requests do not hang on what an editor wrote before."""
    one, two = make_trial(compose("rome"), BASE), make_trial(compose("mose"), BASE)
    assert torch.equal(one.start, two.start)
    assert all(
        torch.equal(a.keys, b.keys) and torch.equal(a.shifts, b.shifts)
        for a, b in zip(*(x.requests for x in (one, two)), strict=True)
    )
    rule = one.make()
    edit, _, weight = one.moment(rule)
    state = rule.init(one.start)
    by_hand = one.start
    for request in one.requests[:-1]:
        first = edit._replace(
            keys=request.keys, readouts=by_hand @ request.keys, values=by_hand @ request.keys + request.shifts
        )
        delta, state, _ = step(rule, first, state, by_hand)
        by_hand = apply_delta(by_hand, delta)
    torch.testing.assert_close(weight, by_hand)
