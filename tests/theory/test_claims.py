"""Every claim is decided as the account says, and its check rejects its twin."""

import subprocess
import sys

import pytest

from theory.__main__ import Check, Show, check, show
from theory.catalogue import claims, select
from theory.claim import Kind, Verdict, examine
from theory.command import Misuse

FALSE = {"T1.frobenius_counterexample", "T3.no_growth_unweighted"}
CONDITIONAL = {"T3.conditional", "T5.bounded"}


def decided(claim):
    """Examine a claim; what must hold of each."""
    outcome = examine(claim)
    assert outcome.evidence.established, outcome.evidence.steps
    assert outcome.twin_rejected
    expected = Verdict.FALSE if claim.id in FALSE else Verdict.CONDITIONAL if claim.id in CONDITIONAL else Verdict.HOLDS
    assert outcome.verdict is expected
    assert claim.kind in (Kind.PROVED, Kind.CERTIFIED)
    assert claim.command == f"python -m theory show {claim.id}"
    assert len(outcome.evidence.steps) >= 3
    assert outcome.evidence.tolerance == 0
    assert not any("rejected" in line for line in outcome.evidence.steps)


def named(family):
    return pytest.mark.parametrize("claim", select([family]), ids=lambda claim: claim.id)


@pytest.mark.claim(
    "T1.identity", "T1.identity_metric", "T1.rome", "T1.memit", "T1.alphaedit", "T1.batch", "T1.frobenius",
    "T1.frobenius_counterexample", "T1.growth_condition", "T1.norm_equivalence",
)  # fmt: skip
@named("T1")
def test_identities_are_proved(claim):
    decided(claim)


@pytest.mark.claim(
    "T3.isotropic", "T3.spectral_radius", "T3.no_growth", "T3.no_growth_unweighted", "T3.jensen", "T3.conditional",
)  # fmt: skip
@named("T3")
def test_growth_is_proved(claim):
    decided(claim)


@pytest.mark.claim(
    "T5.contraction", "T5.soft", "T5.fixed_point", "T5.readout_constant", "T5.worst_case", "T5.sharp", "T5.attained",
    "T5.bounded", "T5.single_edit",
)  # fmt: skip
@named("T5")
def test_anchoring_is_proved(claim):
    decided(claim)


def test_ids_are_unique_and_every_family_is_tested_above():
    ids = [claim.id for claim in claims()]
    assert len(ids) == len(set(ids))
    assert {name.split(".")[0] for name in ids} == {"T1", "T3", "T5"}


def test_select_knows_ids_and_families_and_names_the_known_when_asked_for_another():
    assert [claim.id for claim in select(["T1.rome"])] == ["T1.rome"]
    assert select([]) == select(["T1", "T3", "T5"])
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
