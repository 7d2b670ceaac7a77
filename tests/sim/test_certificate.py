"""Regimes on processes whose regime is known, certificates of known editors, and the commands."""

from __future__ import annotations

import inspect
import json
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from figures.__main__ import main as draw
from sim.__main__ import main
from sim.card import as_card, as_values
from sim.catalogue import DELTAS, POLICIES, RULES, VALUES
from sim.certificate import Finding, certify
from sim.certified import certify_all, entries, recorded
from sim.compose import compose
from sim.editor import Edit, Editor, editor, stateless
from sim.foretold import foretold_rate
from sim.regime import Regime, Verdict, decide, sequential_test
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


def test_the_list_names_every_part_with_its_source_and_regimes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["rules", "--json", str(tmp_path / "rules.json")]) == 0
    rows = {row["name"]: row for row in json.loads((tmp_path / "rules.json").read_text())["rows"]}
    assert rows.keys() == {*RULES, *VALUES, *DELTAS, *POLICIES}
    printed = capsys.readouterr().out
    for name, row in rows.items():
        assert row["source"]
        assert name in printed
        assert (row["nas"] is None) == (name in POLICIES and POLICIES[name].setting is None)
        assert (row["plain"] is None) == (row["nas"] is None or name.startswith("nas"))
        for certificate in (row["plain"], row["nas"]):
            assert certificate is None or certificate["regime"] in get_args(Regime)
    assert rows["rome"]["plain"]["regime"] == "exponential"
    assert rows["memit"]["form"] == "M = (λC)⁻¹, η = s/(1+s)"


@pytest.mark.parametrize("name", ["memit"])
def test_what_is_on_record_is_found_again(name: str) -> None:
    """The same streams: the same regime, and the same numbers to what rounding on another machine may do."""
    kept = next(row for row in recorded()["rows"] if row["name"] == name)
    (again,) = certify_all([entry for entry in entries() if entry.name == name])
    for way in ("plain", "nas"):
        assert again[way]["regime"] == kept[way]["regime"]
        for number in ("rate", "power", "plateau"):
            assert again[way][number] == (kept[way][number] and pytest.approx(kept[way][number], rel=1e-3))


@pytest.mark.parametrize("form", sorted({part.form for part in RULES.values() if part.form != "none"}))
def test_a_stated_metric_form_is_the_solvers_own(form: str) -> None:
    """M from the text, by hand, at a state that has absorbed two keys; η from the text on one key."""
    for name in (name for name, part in RULES.items() if part.form == form):
        setting = Setting("skew", m=4, n=6, keys="anisotropic")
        solver = RULES[name].make(**RULES[name].lab(setting))
        weight = torch.zeros(4, 6, dtype=torch.float64)
        past, key = torch.randn(2, 6, 2, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
        state, eye = solver.absorb(past, solver.init(weight)), torch.eye(6, dtype=torch.float64)
        c, moment = setting.covariance(), past @ past.mT
        axes = torch.diag((torch.arange(6) < round(0.75 * 6)).double())
        inverse = {
            "M = I": eye,
            "M = C⁻¹": c,
            "M = (λC + ρI)⁻¹": c,
            "M = (λC)⁻¹": 6 * c,
            "M = (λC + Σkkᵀ)⁻¹": 6 * c + moment,
            "M = P(P Σkkᵀ P + L2·I)⁻¹P": axes @ moment @ axes + 10 * eye,
            "M = (Σkkᵀ + L2·I)⁻¹": moment + 10 * eye,
            "M = (λC + ρI + Σkkᵀ)⁻¹": 6 * c + eye + moment,
            "M = (λ²I + μ²C + Σkkᵀ)⁻¹": 6 * c + eye + moment,
            "M = (μ²C + Σkkᵀ)⁻¹": 6 * c + moment,
            "M = (ρI + Σkkᵀ)⁻¹": 6 * eye + moment,
        }[form.partition(", ")[0]]
        expected = torch.linalg.inv(inverse)
        if "P(P" in form:
            expected = axes @ expected @ axes
        torch.testing.assert_close(solver.metric(state).times(eye), expected)
        s = float((key[:, :1].mT @ expected @ key[:, :1]).squeeze())
        eta = {"η = 1": 1.0, "η = s/(1+s)": s / (1 + s), "η = 1 − (1 − rate·s)ᵗ": 0.5 * s / 6}[form.partition(", ")[2]]
        edit = Edit(key[:, :1], weight @ key[:, :1], torch.ones(4, 1, dtype=torch.float64))
        assert float(solver.solve(edit, state, weight)[1].eta) == pytest.approx(eta)


@pytest.mark.slow
def test_the_walk_through_runs_as_it_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    page = (Path(__file__).parents[2] / "docs" / "certify.md").read_text()
    code, own, python = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    commands = "\n".join(re.findall(r"```\n(python -m .*?)\n```", page, re.DOTALL)).splitlines()
    assert len(commands) == 4
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(code)
    (tmp_path / "handmade.py").write_text(own)
    assert {finding.refused for finding in certify(compose("handmade:own"), SETTINGS[-2:], seeds=8, looks=2)} == {None}
    names = {"SETTINGS": SETTINGS[:1]}
    exec(compile(python.replace("seeds=8", "SETTINGS, seeds=8, looks=3"), "certify.md", "exec"), names)
    assert re.search("relative shift (bounded Interval|undecided None)", capsys.readouterr().out)
    assert names["first"].refused is None
    for command in commands:
        room, *words = command.removeprefix("python -m ").split()
        assert {"sim": main, "figures": draw}[room](words) == 0
    assert (tmp_path / "results" / "figures" / "certificate.pdf").exists()
    found = json.loads((tmp_path / "mine.json").read_text())
    keys = {"regime", "rate", "rate_interval", "power", "plateau", "plateau_interval", "predicted", "evidence"}
    assert keys | {"settings", "seeds"} <= found.keys()
    assert found["regime"] == "exponential"
    assert "Growth certificate: mine:cautious" in (tmp_path / "mine.md").read_text()
    assert "relative shift: exponential" in capsys.readouterr().out


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


MINE = """
from sim.editor import editor, stateless
from sim.rules.rome import rome


def boom(m, n):
    return 1 / 0


def failing(m, n):
    def halved(edit, weight):
        return edit.values / "2"
    return editor(rome(), values=stateless(halved))


def blank(m, n):
    return editor(rome(), values=stateless(lambda edit, weight: edit._replace(values=edit.values * float("nan"))))


def turned(m, n):
    honest = rome()
    def solve(edit, state, weight):
        delta, gain, state = honest.solve(edit, state, weight)
        return delta.dense().mT, gain, state
    return editor(honest._replace(solve=solve))


def worded(m, n):
    return editor(rome(), deltas=stateless(lambda delta, weight: "delta"))
"""


@pytest.mark.parametrize(
    ("source", "words", "message"),
    [
        ("import nowhere_to_be_found", "boom", "cannot be imported: {}, line 1: ModuleNotFoundError: No module named"),
        ("def boom(m, n:", "boom", "cannot be imported: {}, line 1: SyntaxError"),
        (MINE, "boom", "{}, line 7: ZeroDivisionError: division by zero; it takes (m, n) and returns an Editor"),
        (MINE, "failing", "failed at its first writes: {}, line 12: TypeError"),
        (MINE, "blank", "breaks the law 'finite'"),
        (MINE, "lacking", "has no function 'lacking'"),
        (MINE, "turned", "the solver returned a Δ of shape (16, 8) for a weight (8, 16); they must agree"),
        (MINE, "worded", "the delta transform returned a str; return Δ as a tensor (m, n) or a LowRank"),
    ],
)
def test_errors_of_a_users_own_editor_are_told_in_one_line(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    source: str,
    words: str,
    message: str,
) -> None:
    module = f"mine_{abs(hash((source, words)))}"
    (tmp_path / f"{module}.py").write_text(source)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    assert main(["certify", f"{module}:{words}", "--out", str(tmp_path / "out")]) == 2
    error = capsys.readouterr().err
    assert message.format(f"{module}.py") in error
    assert "Traceback" not in error
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["xyz"], "there is no rule 'xyz'; choose among ft, rome"),
        (["romme"], "there is no rule 'romme'; did you mean rome?; choose among ft, rome"),
        (["nas"], "there is no rule 'nas': it is a value transform, given as RULE --values nas"),
        (["rome", "--values", "rect"], "'rect': it is a delta transform, given as RULE --deltas rect"),
        (["rome", "--values", "memit"], "'memit': it is a rule, and comes first"),
        (["rome", "--values", "nass"], "there is no value transform 'nass'"),
        (["rome", "--deltas", "prunes"], "there is no delta transform 'prunes'"),
        (["memit:weight=3"], "memit has no option 'weight'; it has weighting"),
        (["memit:weighting=x"], "memit's weighting is 'x'"),
        (["memit:weighting"], "memit's weighting is ''"),
        (["memit:weighting=-1"], "memit's weighting λ is -1"),
        (["nowhere:make"], "no module 'nowhere'"),
        (["math:nothing"], "math has no function 'nothing'"),
        (["math:atan2"], "math:atan2 returned a float, not an Editor"),
        (["memit:covariance=3"], "memit has no option 'covariance'; it has weighting"),
        (["math:atan2", "--values", "nas"], "makes a whole editor"),
        (["rome", "--seeds", "4"], "--seeds is 4"),
        (["rome", "--looks", "1"], "--looks is 1"),
        (["rome", "--error-rate", "0"], "--error-rate is 0"),
    ],
)
def test_mistakes_are_named_in_one_line(capsys: pytest.CaptureFixture[str], words: list[str], message: str) -> None:
    assert main(["certify", *words]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert "Traceback" not in error
