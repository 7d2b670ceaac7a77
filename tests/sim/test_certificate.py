"""Regimes on processes whose regime is known, and certificates of known editors."""

from __future__ import annotations

import inspect
import json
import math
import re
from collections.abc import Callable

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from sim.card import as_card, as_values
from sim.certificate import Finding, certify
from sim.compose import compose
from sim.editor import Edit, Editor, editor, stateless
from sim.foretold import foretold_rate
from sim.regime import Verdict, decide, sequential_test
from sim.rules.memit import memit
from sim.rules.rome import rome
from sim.settings import BASE, SETTINGS, Setting
from theory.anchoring.plateaus import plateau
from theory.command import Misuse
from theory.growth.lyapunov import typical_exponent

Process = Callable[[int, np.random.Generator, int], NDArray[np.float64]]


def verdict_on(process: Process, seed: int) -> Verdict:
    random = np.random.default_rng(seed)
    return sequential_test(lambda edits: process(edits, random, 16), 64, 8)


def noise(random: np.random.Generator, streams: int) -> NDArray[np.float64]:
    return random.normal(0, 0.02, size=streams)


PROCESSES: dict[str, tuple[Process, set[str]]] = {
    "exponential": (lambda t, r, n: 0.02 * t + noise(r, n), {"exponential"}),
    "slow exponential": (lambda t, r, n: 0.002 * t + noise(r, n), {"exponential"}),
    "slower exponential": (lambda t, r, n: 0.0005 * t + noise(r, n), {"exponential", "undecided"}),
    "linear": (lambda t, r, n: np.log(t) + noise(r, n), {"polynomial"}),
    "linear from afar": (lambda t, r, n: np.log(5000 + t) + noise(r, n), {"polynomial", "undecided", "bounded"}),
    "root": (lambda t, r, n: 0.5 * np.log(t) + noise(r, n), {"polynomial"}),
    "cubic from afar": (lambda t, r, n: 2.5 * np.log(500 + t) + noise(r, n), {"polynomial", "undecided"}),
    "bounded": (lambda t, r, n: 1 + noise(r, n), {"bounded"}),
    "relaxing": (lambda t, r, n: 1 - np.exp(-t / 200) + noise(r, n), {"bounded"}),
    "saturating": (lambda t, r, n: 1 - 40 / t + noise(r, n), {"bounded"}),
    "shrinking": (lambda t, r, n: -0.01 * t + noise(r, n), {"shrinking"}),
    "shrinking like a power": (lambda t, r, n: -np.log(t) + noise(r, n), {"shrinking"}),
    "loud": (lambda t, r, n: r.normal(0, 3.0, size=n), {"undecided"}),
}


@pytest.mark.parametrize("name", PROCESSES)
def test_no_process_is_put_into_a_regime_that_it_is_not_in(name: str) -> None:
    process, allowed = PROCESSES[name]
    regimes = {verdict_on(process, seed).regime for seed in range(20)}
    assert regimes <= allowed
    if "undecided" not in allowed:
        assert len(regimes) == 1


def test_a_straight_line_fitted_to_the_log_would_call_growth_from_afar_exponential() -> None:
    """The planted twin: log(5000 + t) is a straight line in t early on, and no exponential."""
    times = np.array([64.0, 128, 256])
    line = np.corrcoef(times, np.log(5000 + times))[0, 1]
    assert line > 0.999
    early = np.log((5000 + 2 * times) / (5000 + times))
    assert decide(
        np.full(16, early[0]) + 1e-9 * np.arange(16), np.full(16, early[1]) + 1e-9 * np.arange(16), 0.001
    ) in (
        "undecided",
        "bounded",
    )


def test_streams_that_overflow_leave_the_test_to_the_others() -> None:
    def extend(edits: int) -> NDArray[np.float64]:
        growth = 0.05 * edits + 0.01 * np.arange(16)
        return np.where((edits > 500) & (np.arange(16) < 13), np.nan, growth)

    verdict = sequential_test(extend, 64, 8)
    assert verdict.regime == "exponential"
    assert sequential_test(lambda edits: np.full(16, np.nan), 64, 4).regime == "undecided"


def test_survivors_of_streams_that_left_name_nothing_but_an_exponential() -> None:
    def extend(edits: int) -> NDArray[np.float64]:
        return np.where((edits > 300) & (np.arange(16) < 4), np.nan, 1.0 + 0.001 * np.arange(16))

    assert sequential_test(extend, 64, 8).regime == "undecided"
    assert sequential_test(lambda edits: 1.0 + 0.001 * np.arange(16), 64, 8).regime == "bounded"


def test_a_quiet_slow_exponential_is_not_called_bounded() -> None:
    """At rate 1e-5 nothing has grown by a tenth at first, but what has doubles with every doubling of the time."""

    def regimes(rate: float) -> set[str]:
        return {verdict_on(lambda t, r, n: rate * t + r.normal(0, 1e-4, size=n), seed).regime for seed in range(20)}

    assert regimes(1e-5) == {"undecided"}
    assert regimes(0.0) == {"bounded"}


KNOWN = {
    "rome": "exponential",
    "memit": "exponential",
    "rome + nas": "bounded",
    "memit_seq": "bounded",
    "rome + clip_absolute": "polynomial",
}


def headline(words: str, **options: int) -> Finding:
    rule, *values = words.split(" + ")
    (finding,) = certify(compose(rule, values), (BASE,), **options)
    return finding


@pytest.mark.parametrize("words", KNOWN)
def test_known_editors_get_their_regime(words: str) -> None:
    assert headline(words).verdict.regime == KNOWN[words]


def test_the_numbers_are_those_of_theory() -> None:
    finding = headline("rome")
    assert finding.rate is not None
    expected = typical_exponent(BASE.m, BASE.n, BASE.clamp)
    assert finding.foretold == expected
    assert abs(finding.rate.mean / expected - 1) < 0.03
    assert not finding.rate.covers(math.log(1 + 2 * BASE.clamp**2 / BASE.n))
    anchored = headline("rome + nas")
    assert anchored.plateau is not None
    level = plateau(BASE.value_norm(), BASE.n)
    assert anchored.plateau.covers(level)
    assert not anchored.plateau.covers(0.9 * level)


@pytest.mark.parametrize("words", ["memit", "ft", "ft:rate=0.1,steps=1"])
def test_the_means_rate_bounds_what_is_measured_and_is_not_far(words: str) -> None:
    """Also where a gradient step overshoots, η = rate·s > 1; half the bound, or η cut at 1, is rejected."""
    finding = headline(words)
    assert finding.relation == "≤"
    assert finding.rate is not None
    assert finding.foretold is not None
    assert finding.rate.low <= finding.foretold
    assert finding.foretold < 1.6 * finding.rate.mean


@pytest.mark.parametrize("words", ["rome + nas_one_sided:anchor=1000", "rome + clip_absolute:limit=100"])
def test_nothing_is_foretold_where_a_value_transform_may_act_later(words: str) -> None:
    rule, value = words.split(" + ")
    assert foretold_rate(compose(rule, [value])(BASE), BASE) is None
    assert foretold_rate(compose(rule)(BASE), BASE) is not None


def test_growth_too_slow_to_be_seen_is_not_called_bounded_where_theory_proves_it() -> None:
    for seed in (0, 100):
        finding = headline("memit:weighting=15000", seeds=8, seed=seed, looks=3)
        assert finding.foretold is not None
        assert finding.verdict.regime == "undecided"
    values = as_values("memit", [finding._replace(contradicted="bounded")], (), {}, 0, 8)
    assert "looks bounded, but in theory the mean grows exponentially (≤ 4.5" in as_card(values, "", {})


def late(setting: Setting) -> Editor:
    """Works until the weight has grown."""

    def careful(edit: Edit, weight: torch.Tensor) -> Edit:
        if float(weight.norm()) > 20:
            raise RuntimeError("too large")
        return edit

    return editor(rome(), values=stateless(careful))


def test_an_editor_that_fails_late_or_elsewhere_does_not_end_the_certificate() -> None:
    small = Setting("small", m=4, n=8)
    first, second = certify(late, (small, Setting("fixed", m=4, n=8, values="fixed", clamp=0.1)), seeds=8, looks=2)
    assert first.refused is not None
    assert re.match(r"the editor failed: test_certificate.py, line \d+: RuntimeError: too large", first.refused)
    assert second.refused is None

    def four_wide(setting: Setting) -> Editor:
        return editor(memit(torch.eye(4, dtype=torch.float64), weighting=1.0))

    narrow, wider = certify(four_wide, (Setting("four", m=4, n=4), Setting("five", m=4, n=5)), seeds=8, looks=2)
    assert narrow.refused is None
    assert wider.refused is not None


def test_a_card_is_written_also_where_streams_left_their_range() -> None:
    findings = list(certify(compose("ft:rate=1.0"), (BASE,), seeds=8, looks=2))
    page = as_card(as_values("ft", findings, ("pure",), {}, 0, 8), "python -m sim certify ft", {"commit": "abc1234"})
    assert "8 of 8 streams left their dtype's range" in page
    assert "- relative shift: m = 8, n = 16, keys N(0, I), v = Wk + δ with ‖δ‖ = 0.75‖Wk‖" in page
    assert "Over all settings:\nundecided 1." in page


@pytest.mark.slow
def test_the_worst_case_of_nas_is_a_root_of_time() -> None:
    """T5: ‖W‖² may grow like t under keys that W answers with zero."""
    adversary = next(setting for setting in SETTINGS if setting.keys == "unseen")
    (finding,) = certify(compose("rome", ["nas"]), (adversary,), seeds=8, looks=4)
    assert finding.power is not None
    assert abs(finding.power.mean - 1) < 0.1
    assert finding.step_by_step == "the law of keys looks at the weight"


@pytest.mark.slow
def test_an_editor_that_cannot_be_blocked_is_certified_step_by_step() -> None:
    (finding,) = certify(compose("rome", (), ["decay"]), (BASE,), seeds=8, looks=3)
    assert finding.verdict.regime == "shrinking"
    assert finding.rate is not None
    # E log R' / R is below the mean's log((1 − d)² + c²/n), and above what no write at all would leave
    assert 2 * math.log(0.9) - 0.02 < finding.rate.mean < math.log(0.9**2 + BASE.clamp**2 / BASE.n)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: certify("memitt"), "there is no rule and no module|there is no rule 'memitt'; did you mean memit"),
        (
            lambda: certify(lambda m, n: editor(rome())),
            r"making the editor of a Setting raised .*TypeError.*give `lambda",
        ),
        (lambda: certify(lambda setting: rome()), "what was made of a Setting is Solver.*it has to be a Editor"),
    ],
)
def test_what_makes_no_editor_is_told(make: Callable[[], object], message: str) -> None:
    with pytest.raises(Misuse, match=message):
        next(inspect.unwrap(make)())


def test_a_rule_may_be_given_by_its_name_and_a_covariance_of_another_layer_is_told() -> None:
    narrow = next(certify(lambda setting: editor(memit(torch.eye(5).double())), SETTINGS[:1]))
    assert narrow.refused == "the covariance is 5 x 5 and keys have dimension 16; pass that of this layer"
    assert next(certify("rome", (Setting("small", m=4, n=8),), seeds=8, looks=2)).refused is None


def test_a_rule_of_one_key_says_so_where_there_are_four() -> None:
    (finding,) = certify(compose("rome"), (Setting("four", batch=4),))
    assert finding.verdict.regime == "undecided"
    assert finding.refused == "rome writes one key at a time, not 4; use memit for a batch"


def test_the_values_of_a_certificate_are_those_of_its_findings() -> None:
    finding = headline("memit")
    values = as_values("memit", [finding], (), {}, 0, 16)
    assert finding.rate is not None
    assert finding.foretold is not None
    assert values["rate"] == finding.rate.mean
    assert values["rate_interval"] == [finding.rate.low, finding.rate.high]
    assert values["gap"] == finding.rate.mean - finding.foretold
    assert values["seeds"] == list(range(16))
    json.dumps(values)
