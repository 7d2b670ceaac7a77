"""The list of the catalogue, `certify` on the command line, the walk-through, and what a user may get wrong there."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import get_args

import pytest
import torch

from figures.__main__ import main as draw
from sim.__main__ import main
from sim.catalogue import DELTAS, POLICIES, RULES, VALUES
from sim.certificate import certify
from sim.certified import certify_all, entries, recorded
from sim.compose import compose
from sim.editor import Edit
from sim.regime import Regime
from sim.settings import SETTINGS, Setting


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
