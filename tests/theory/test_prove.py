"""The deciding steps: they accept what is true, reject what is false or empty, and say why."""

import pytest
import sympy
import z3

from theory.claim import Claim, Kind, examine
from theory.provers.prove import Proof, Undecided, solve, to_z3, vanishing
from theory.provers.trace_algebra import Algebra

x, y = sympy.symbols("x y", real=True)
p, q = sympy.symbols("p q", positive=True)


@pytest.mark.parametrize(
    ("left", "right", "same"),
    [
        ((x + y) ** 3, x**3 + 3 * x**2 * y + 3 * x * y**2 + y**3, True),
        ((x**2 - y**2) / (x - y), x + y, True),
        (p ** (q + 1), p * p**q, True),
        (sympy.gamma(p + 2), p * (p + 1) * sympy.gamma(p), True),
        (x**2, x, False),
        (sympy.Rational(1, 3), sympy.Rational(333333, 1000000), False),
    ],
)
def test_equal_decides_by_normal_form(left, right, same):
    proof = Proof()
    assert proof.equal("sides", left, right) is same
    assert proof.evidence().established is same
    assert ("rejected" in proof.lines[-1]) is not same


def test_equal_of_expressions_names_the_difference():
    a = Algebra({"A": ("n", "n"), "B": ("n", "n")})
    proof = Proof()
    assert not proof.equal("the product", a("A B"), a("B A"))
    assert "A·B + (-1) B·A" in proof.lines[-1]


@pytest.mark.parametrize(
    ("hypotheses", "conclusion", "holds"),
    [
        ([x > 1], x**2 > x, True),
        ([x > 0], x**2 > x, False),
        ([], p + q > p, True),
        ([], sympy.Equivalent(p > q, p**2 > q**2), True),
        ([], sympy.And(p > 0, p > q), False),
        ([], sympy.Or(x > y, x <= y), True),
        ([x > 1, x < 0], x > 5, False),  # nothing satisfies the hypotheses
    ],
)
def test_follows_decides_over_the_reals(hypotheses, conclusion, holds):
    proof = Proof()
    assert proof.follows("it", hypotheses, conclusion) is holds
    assert proof.accepted is holds


def test_a_countermodel_is_reported_and_empty_hypotheses_are_named():
    proof = Proof()
    proof.follows("it", [sympy.Eq(x, 3)], x > 4)
    proof.follows("it", [x > 1, x < 0], x > 5)
    assert "x = 3" in proof.lines[1]
    assert "no numbers satisfy the hypotheses: rejected" in proof.lines[3]


def test_one_rejected_step_rejects_the_proof():
    proof = Proof()
    proof.equal("first", x, y)
    proof.equal("second", x, x)
    assert proof.holds("third", sympy.Integer(1) < 2)
    assert not proof.evidence("m", "e").established


def test_translation_keeps_value_and_refuses_what_is_not_real_arithmetic():
    value = to_z3(x**3 / 7 - y**-2 + sympy.Rational(2, 3))
    at = z3.simplify(z3.substitute(value, (z3.Real("x"), z3.RealVal(2)), (z3.Real("y"), z3.RealVal(3))))
    assert at.as_fraction() == sympy.Rational(8, 7) - sympy.Rational(1, 9) + sympy.Rational(2, 3)
    assert solve([to_z3(sympy.true)])[0] == "sat"
    assert solve([to_z3(sympy.Not(sympy.Ne(x, 1), evaluate=False)), to_z3(sympy.Eq(x, 1))])[0] == "sat"
    with pytest.raises(ValueError, match="not real arithmetic"):
        to_z3(sympy.log(p))


def test_z3_giving_up_decides_neither_a_claim_nor_its_twin(monkeypatch):
    def check(threshold):
        proof = Proof()
        proof.follows("it", [x > 1], x > threshold)
        return proof.evidence()

    claim = Claim("X.it", "arithmetic", Kind.PROVED, "x > 1 gives x > 0", check, 0, 2, "x > 1 gives x > 2")
    assert examine(claim).twin_rejected
    answers, decide = [], z3.Solver.check

    def unknown_after(decided):
        def answer(solver):
            answers.append(z3.unknown if len(answers) >= decided else decide(solver))
            return answers[-1]

        return answer

    for decided in range(4):  # the hypotheses and the negation of the claim, then those of the twin
        answers.clear()
        monkeypatch.setattr(z3.Solver, "check", unknown_after(decided))
        with pytest.raises(Undecided, match="z3 gave up on 1 < x"):
            examine(claim)
        assert len(answers) == decided + 1


def test_an_equivalence_of_three_relations_is_refused():
    three = sympy.Equivalent(x > 0, y > 0, p > q, evaluate=False)
    with pytest.raises(ValueError, match="relates 3 parts"):
        to_z3(three)
    with pytest.raises(ValueError, match="relates 3 parts"):
        Proof().follows("it", [], three)


def test_one_name_for_two_symbols_is_refused():
    other = sympy.Symbol("x", positive=True)
    with pytest.raises(ValueError, match="two symbols are named x"):
        to_z3(x < other)
    with pytest.raises(ValueError, match="two symbols are named x"):
        Proof().follows("it", [other > 1], x > 0)
    with pytest.raises(ValueError, match="two symbols are named x"):
        Proof().follows("it", [x > 1, other > 2], y**2 >= 0)


def test_vanishing_leaves_what_is_not_zero():
    assert vanishing(sympy.gamma(p + 1) - p * sympy.gamma(p)) == 0
    assert vanishing(x - y) != 0
