"""A fault planted in any formula is noticed by a claim, or is listed with the reason why none can notice it."""

import ast
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from theory.command import Misuse
from theory.mutating.impact import dependents, distances, graph, imported, origin
from theory.mutating.mutants import mutants, scopes
from theory.mutating.mutation import KILLED, SURVIVED, VOID, Outcome, rooms, sample, sources, targets, unsound
from theory.mutating.sample import Sample
from theory.mutating.survivors import SURVIVORS

MODULE = '''
"""Doc with 1 + 1."""
from theory.writes.identities import ETA
RATE = ETA**2 * 3


def f(n: "1", c=1):
    """2 + 2."""
    if n < 1:
        raise Misuse(f"{n + 1}")
    return -n + c.T @ a("M⁻¹", "M")


def refuse(x) -> None:
    if x + 1 > 2:
        told = x + 1
        raise Misuse(told)
    demand(x + 1, 2)


def check(x):
    check_sizes(x, 2)
    proof.say(f"{x + 1}")
    proof.equal("1 + 1", x * 2, 1)
    return proof.evidence(x + 1, 2)


def claims():
    return (Claim("T1.x", "T1", Kind.PROVED, "1 + 1", check, x + 1, x + 2, "the twin"),)
'''


def changes(source, **kwargs):
    return [mutant.change for mutant in mutants("theory.x", source, **kwargs)]


def test_every_kind_of_fault_is_planted_and_nothing_that_carries_no_mathematics_is_touched():
    made = changes(MODULE)
    assert made == [
        "RATE = ETA ** 2 * 3 → RATE = ETA ** 2 / 3",
        "ETA ** 2 → ETA ** 3",
        "ETA ** 2 → ETA ** 1",
        "ETA ** 2 * 3 → ETA ** 2 * 4",
        "n: '1', c=1 → n: '1', c=2",
        "return -n + c.T @ a('M⁻¹', 'M') → return -n - c.T @ a('M⁻¹', 'M')",
        "-n + c.T @ a('M⁻¹', 'M') → n + c.T @ a('M⁻¹', 'M')",
        "c.T @ a('M⁻¹', 'M') → c @ a('M⁻¹', 'M')",
        "c.T @ a('M⁻¹', 'M') → c.T @ a('M', 'M⁻¹')",
        "a('M⁻¹', 'M') → a('M', 'M')",
        "a('M⁻¹', 'M') → a('M⁻¹', 'M⁻¹')",
        "proof.equal('1 + 1', x * 2, 1) → proof.equal('1 + 1', x / 2, 1)",
        "x * 2 → x * 3",
        "x * 2 → x * 1",
        "proof.equal('1 + 1', x * 2, 1) → proof.equal('1 + 1', x * 2, 2)",
        "x + 1 → x - 1 in Claim('T1.x', 'T1', Kind.PROVED, '1 + 1', check, x + 1, x +…",
        "x + 1 → x + 2",
    ]


@pytest.mark.parametrize(
    ("code", "made"),
    [
        ("x = a < b", ["x = a < b → x = a > b"]),
        ("x = a >= b", ["x = a >= b → x = a <= b"]),
        ("x = a == b", ["x = a == b → x = a != b"]),
        ("x = 0 < a < b", ["x = 0 < a < b → x = 0 > a > b", "0 < a < b → 1 < a < b"]),
        ("x = ETA", ["x = ETA → x = ETA ** 2"]),
        ("x = f(a, b)", ["x = f(a, b) → x = f(b, a)"]),
        ("x = max(a, b)", []),
        ("x = a - 0.5", ["x = a - 0.5 → x = a + 0.5", "a - 0.5 → a - 1.0"]),
        ("x = g(a, rtol=2)", []),
        ("x = a + b, a + b", ["a + b → a - b in (a + b, a + b)", "a + b → a - b in (a + b, a + b) (2)"]),
    ],
)
def test_one_fault_at_a_time(code, made):
    found = [change.replace("(a + b, a + b) → (a - b, a + b)", "a + b → a - b in (a + b, a + b)")
                   .replace("(a + b, a + b) → (a + b, a - b)", "a + b → a - b in (a + b, a + b) (2)")
             for change in changes(code)]  # fmt: skip
    assert found == made


def test_a_mutant_is_the_module_with_one_place_changed():
    before = ast.dump(ast.parse(MODULE))
    for mutant in mutants("theory.x", MODULE):
        assert ast.dump(ast.parse(mutant.source)) != before
    texts = [mutant.source for mutant in mutants("theory.x", MODULE)]
    assert len(set(texts)) == len(texts)
    names = [mutant.name for mutant in mutants("theory.x", MODULE)]
    assert len(set(names)) == len(names)


def test_scopes_and_named_faults_only():
    assert scopes(MODULE) == ("", "RATE", "f", "refuse", "check", "claims")
    assert {mutant.scope for mutant in mutants("theory.x", MODULE)} == {"RATE", "f", "check", "claims"}
    planted = mutants("theory.x", MODULE, {"theory.x:RATE: ETA ** 2 → ETA ** 3"}, "RATE")
    assert [bool(mutant.source) for mutant in planted] == [False, True, False, False]


SMALL = {
    "theory.a": "def f():\n    return 1\ndef g():\n    return 2\n",
    "theory.b": "from theory.a import f\nfrom theory import a\ndef h():\n    return f()\ndef i():\n    return a.g()\n",
    "theory.c": "from theory.b import h\ndef check(x):\n    return h()\n"
    "def claims() -> tuple:\n    return (Claim('T1.x', 'T1', K, 's', check, SUBJECT, 3, 't'),)\nSUBJECT = 4\n",
    "theory.d": "X = 1",
}


def test_a_fault_reaches_who_mentions_it_and_no_one_else():
    edges = graph(SMALL)
    assert edges["theory.b", "i"] == {("theory.a", "g")}
    near = distances(edges, frozenset({("theory.a", "f")}))
    assert near == {("theory.a", "f"): 0, ("theory.b", "h"): 1, ("theory.c", "check"): 2}
    assert distances(edges, frozenset({("theory.c", "SUBJECT")}))["theory.c", "claims"] == 1
    assert dependents(imported(SMALL), "theory.a") == {"theory.a", "theory.b", "theory.c"}
    assert rooms(SMALL) == ("theory.c",)
    assert origin(targets) == ("theory.mutating.mutation", "targets")
    assert origin(test_one_fault_at_a_time)[1] == "test_one_fault_at_a_time"


def test_the_sample_is_deterministic_takes_turns_and_keeps_its_choice_when_modules_are_added():
    texts = sources()
    few = Sample(count=6, only=("writes.identities", "writes.norms", "provers.moments"))
    chosen = sample(texts, few)
    assert [mutant.name for mutant in chosen] == [mutant.name for mutant in sample(texts, few)]
    assert {name: sum(mutant.module == f"theory.{name}" for mutant in chosen) for name in few.only} == {
        "writes.identities": 2, "writes.norms": 2, "provers.moments": 2,
    }  # fmt: skip
    assert all(mutant.source for mutant in chosen)
    more = {mutant.name for mutant in sample(texts, Sample(count=8, only=(*few.only, "growth.isotropic_proofs")))}
    assert {mutant.name for mutant in chosen} < more
    other = {mutant.name for mutant in sample(texts, Sample(count=6, only=few.only, seed=1))}
    assert other != {mutant.name for mutant in chosen}


def test_tools_are_no_targets_and_misuse_is_named():
    texts = sources()
    assert {"theory.writes.identities", "theory.growth.isotropic", "theory.anchoring.plateaus"} <= set(targets(texts))
    assert not {"theory.claim", "theory.provers.prove", "theory.mutating.mutation"} & set(targets(texts))
    with pytest.raises(Misuse, match=r"no formula module 'provers\.prove'; known are"):
        targets(texts, ("provers.prove",))
    with pytest.raises(Misuse, match="-1 mutants"):
        sample(texts, Sample(count=-1))


def test_a_claim_that_fails_without_a_mutant_is_void():
    texts = sources()
    wrong = texts | {"theory.provers.moments": texts["theory.provers.moments"], "theory.writes.norms": re.sub(
        r"cross \+ square, MASTER", "cross - square, MASTER", texts["theory.writes.norms"])}  # fmt: skip
    assert wrong["theory.writes.norms"] != texts["theory.writes.norms"]
    assert unsound({"T1.frobenius", "T1.growth_condition"}, wrong, Sample()) == {"T1.frobenius"}


@pytest.mark.slow
def test_every_survivor_of_forty_mutants_is_explained(tmp_path):
    line = [sys.executable, "-m", "theory", "mutate", "--count", "40", "--json", str(tmp_path / "mutants.json")]
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    outcomes = [Outcome(**row) for row in json.loads((tmp_path / "mutants.json").read_text())]
    assert len(outcomes) == 40
    assert {outcome.outcome for outcome in outcomes} <= {KILLED, SURVIVED, VOID}
    assert [outcome.name for outcome in outcomes if outcome.outcome == VOID] == []
    unexplained = [
        outcome.name for outcome in outcomes if outcome.outcome == SURVIVED and outcome.name not in EXPLAINED
    ]
    assert unexplained == []
    assert sum(outcome.outcome == KILLED for outcome in outcomes) >= 30


EXPLAINED = {survivor.name for survivor in SURVIVORS}


def test_what_is_explained_exists_and_is_explained_once():
    texts = sources()
    assert len(EXPLAINED) == len(SURVIVORS)
    for survivor in SURVIVORS:
        module, scope, _ = survivor.name.split(":", 2)
        names = {mutant.name for mutant in mutants(module, texts[module], (), scope)}
        assert survivor.name in names, f"{survivor.name} is no mutant any more: drop its line"
        assert len(survivor.reason) > 20


def test_the_page_lists_every_survivor():
    page = (Path(__file__).parent.parent.parent / "docs" / "mutation.md").read_text(encoding="utf-8")
    assert "theory/mutating/survivors.py" in page
