"""The table of rules: what it refuses, and that it points at claims that exist."""

import subprocess
import sys

import pytest

from theory.command import Misuse
from theory.writes import batches, entries, identities, instances, mismatch
from theory.writes.rules import METRIC_FORMS, OTHER_RULES, RULES, metric_form


def test_the_table_names_claims_that_exist():
    every = {claim.id for room in (identities, instances, mismatch, batches, entries) for claim in room.claims()}
    named = {word.strip(",;:.") for form in RULES.values() for word in f"{form.source} {form.note}".split()
             if word.startswith(("T1.", "T2."))}  # fmt: skip
    assert named <= every
    assert len(named) >= 12
    assert len(RULES) == len(METRIC_FORMS) + len(OTHER_RULES)


@pytest.mark.parametrize("form", OTHER_RULES, ids=lambda form: form.name)
def test_rules_without_a_metric_form_say_why_and_which_have_one(form):
    with pytest.raises(Misuse, match=f"{form.name} has no metric form") as caught:
        metric_form(form.name)
    assert form.note in str(caught.value)
    assert "memit-seq" in str(caught.value)
    assert form.metric_text == ""


def test_an_unknown_rule_is_misuse_on_one_line():
    with pytest.raises(Misuse, match="there is no rule 'memmit'") as caught:
        metric_form("memmit")
    assert "\n" not in str(caught.value)


def test_the_table_loads_no_prover():
    heavy = ("sympy", "z3", "scipy", "numpy")
    code = f"import sys, theory.writes.rules; sys.exit(any(name in sys.modules for name in {heavy}))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
