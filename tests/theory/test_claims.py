"""Every claim is decided as the account says, and its check rejects its twin."""

import json
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from figures.report_text import derivation, shown
from theory.__main__ import Check, Show, check, show
from theory.catalogue import claims, select
from theory.claim import Kind, Verdict
from theory.command import Misuse
from theory.latex import document, step
from theory.provers.step import Prover

FALSE = {
    "T1.frobenius_counterexample", "T3.no_growth_unweighted", "T4.rect_witness", "T4.ridge_mismatch",
    "T5.batch_additive", "T5.batch_drop", "T5.drop_selective", "T5.layers_counterexample", "T5.short_keys",
}  # fmt: skip
CONDITIONAL = {
    "T3.conditional", "T3b.anchored", "T4.increment_controls", "T4.mask", "T4.prune_scale", "T4.rect",
    "T4.relative_clamp", "T4.stream_clamp", "T5.bounded",
}  # fmt: skip


COMPUTED = {
    "T2.batch_growth_computed", "T3.forecast", "T3.gaussian", "T3.numbers", "T3.soft_gain", "T3.value_fit",
    "T3b.closure", "T5.excitation_numbers", "T5.numbers", "T5.sensitivity", "T5.soft_numbers", "T5.spectrum", "T5.trim",
    "T6.collapse_point", "T6.crossover", "T6.crowded_specificity", "T6.decoding", "T6.seeds", "T6.specificity",
    "T6.success", "T7.changed_share", "T7.formats", "T7.identity_bound", "T7.storage_noise",
}  # fmt: skip
APPROXIMATE = {"T3b.mean_field", "T3b.limits", "T3b.fastest", "T3b.spectrum", "T3b.batch", "T3b.closure"}
FAMILIES = ("T1", "T2", "T3", "T3b", "T4", "T5", "T6", "T7")


@cache
def decided(name):
    """A claim's evidence and its twin's: deciding all of them takes minutes, and two tests look at each."""
    (claim,) = select([name])
    return claim, claim.check(claim.subject), claim.check(claim.twin)


@pytest.mark.parametrize("name", [claim.id for claim in claims()])
def test_every_claim_is_decided_as_the_account_says(name):
    claim, evidence, twin = decided(name)
    assert evidence.established, evidence.steps
    assert not twin.established
    expected = Verdict.FALSE if name in FALSE else Verdict.CONDITIONAL if name in CONDITIONAL else Verdict.HOLDS
    assert claim.verdict is expected
    assert claim.kind is (Kind.COMPUTED if name in COMPUTED else Kind.PROVED)
    assert ("approximation" in claim.statement) is (name in APPROXIMATE)
    assert claim.command == f"python -m theory show {name}"
    assert len(evidence.steps) >= 3
    assert any(step.prover is not Prover.WORDS for step in evidence.proof)
    assert not any("rejected" in line for line in evidence.steps)


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_is_typeset_from_its_own_steps(family, check_latex):
    parts = [decided(claim.id) for claim in select([family])]
    source = document(parts)
    check_latex(source)
    assert source.count(r"\item ") == sum(len(evidence.proof) for _, evidence, _ in parts)
    for prover in set(Prover) - {Prover.WORDS}:
        used = sum(one.prover is prover for _, evidence, _ in parts for one in evidence.proof)
        assert source.count(rf"\prover{{{prover}}}") == used
    assert r"\textbf{(rejected)}" not in source


@pytest.mark.parametrize("family", FAMILIES)
def test_every_derivation_of_a_family_is_mathml(family):
    """Nothing is shown as TeX: what has no MathML raises."""
    for claim, evidence, _ in (decided(claim.id) for claim in select([family])):
        steps = derivation([step(one) for one in evidence.proof])
        assert [one.prover for one in steps] == [str(one.prover) for one in evidence.proof]
        lines = [claim.statement, claim.twin_statement, *map(str, (evidence.measured, evidence.expected))]
        page = "".join([one.says + one.answer for one in steps] + [shown(line) for line in lines])
        assert "\\" not in page
        assert "$" not in page


def test_only_the_listed_claims_ask_z3(queries):
    """Their hypotheses are pinned in z3_hypotheses.json."""
    listed = json.loads((Path(__file__).parent / "z3_hypotheses.json").read_text(encoding="utf-8"))
    assert {claim.id for claim in claims() if queries(decided(claim.id)[1])} == set(listed)


def test_ids_are_unique_and_every_family_is_tested_above():
    ids = [claim.id for claim in claims()]
    assert len(ids) == len(set(ids))
    assert {name.split(".")[0] for name in ids} == set(FAMILIES)


def test_select_knows_ids_and_families_and_names_the_known_when_asked_for_another():
    assert [claim.id for claim in select(["T1.rome"])] == ["T1.rome"]
    assert [claim.id for claim in select([])] == [claim.id for claim in select(FAMILIES)]
    with pytest.raises(Misuse, match=r"no claim 'T1\.ro'; known are T1\.identity, "):
        select(["T1.ro"])


def test_check_prints_a_row_a_claim(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    assert check(Check(only=("T1.identity_metric", "T3.no_growth_unweighted"))) == 0
    printed = capsys.readouterr().out
    assert "T1.identity_metric" in printed
    assert "false as stated" in printed
    assert "2 claims checked, 2 twins rejected" in printed


def test_show_prints_the_derivation_and_where_the_twin_fails(capsys):
    assert show(Show("T1.identity_metric")) == 0
    printed = capsys.readouterr().out
    assert "Δ = (1/(kᵀ·k)) r·kᵀ" in printed
    assert "= (2*(kᵀ·Wᵀ·r) + (rᵀ·r))/(kᵀ·k)" in printed
    assert "differs from" in printed.split("Twin:")[1]


def test_an_unknown_claim_is_one_line_and_status_two():
    done = subprocess.run([sys.executable, "-m", "theory", "show", "T9"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("python -m theory: there is no claim 'T9'")
    assert done.stderr.count("\n") == 1


def test_help_does_not_load_the_provers():
    code = "import sys, theory.__main__; sys.exit(any(name in sys.modules for name in ('sympy', 'z3', 'scipy')))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
