"""Every claim is decided as the account says, and its check rejects its twin."""

import subprocess
import sys

import pytest

from theory.__main__ import Check, Show, check, show
from theory.catalogue import claims, select
from theory.claim import Kind, Verdict, examine
from theory.command import Misuse
from theory.provers.step import Prover

FALSE = {
    "T1.frobenius_counterexample", "T3.no_growth_unweighted", "T4.rect_witness", "T4.ridge_mismatch",
    "T5.batch_additive", "T5.batch_drop", "T5.drop_selective", "T5.layers_counterexample", "T5.short_keys",
}  # fmt: skip
CONDITIONAL = {
    "T3.conditional", "T3b.anchored", "T4.increment_controls", "T4.mask", "T4.prune_scale", "T4.rect",
    "T4.relative_clamp", "T4.stream_clamp", "T5.bounded",
}  # fmt: skip


def decided(claim):
    """Examine a claim; what must hold of each."""
    outcome = examine(claim)
    assert outcome.evidence.established, outcome.evidence.steps
    assert outcome.twin_rejected
    expected = Verdict.FALSE if claim.id in FALSE else Verdict.CONDITIONAL if claim.id in CONDITIONAL else Verdict.HOLDS
    assert outcome.verdict is expected
    assert claim.kind in (Kind.PROVED, Kind.CERTIFIED, Kind.COMPUTED)
    assert claim.command == f"python -m theory show {claim.id}"
    assert len(outcome.evidence.steps) >= 3
    assert any(step.prover is not Prover.WORDS for step in outcome.evidence.proof)
    assert not any("rejected" in line for line in outcome.evidence.steps)


@pytest.mark.parametrize("claim", claims(), ids=lambda claim: claim.id)
def test_every_claim_is_decided_as_the_account_says(claim):
    decided(claim)


def test_ids_are_unique_and_every_family_is_tested_above():
    ids = [claim.id for claim in claims()]
    assert len(ids) == len(set(ids))
    assert {name.split(".")[0] for name in ids} == {"T1", "T2", "T3", "T3b", "T4", "T5", "T6", "T7"}


def test_select_knows_ids_and_families_and_names_the_known_when_asked_for_another():
    assert [claim.id for claim in select(["T1.rome"])] == ["T1.rome"]
    families = ["T1", "T2", "T3", "T3b", "T4", "T5", "T6", "T7"]
    assert [claim.id for claim in select([])] == [claim.id for claim in select(families)]
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
