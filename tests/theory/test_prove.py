"""The deciding steps: they accept what is true, reject what is false or empty, and say why."""

import numpy as np
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


def test_hypotheses_that_only_hold_where_a_denominator_vanishes_are_refused():
    """z3 lets x/0 be any number: x = 0 and 1/x > 0 has a model there, and no number satisfies it."""
    proof = Proof()
    assert not proof.follows("it", [sympy.Eq(x, 0), 1 / x > 0], x >= 0)
    assert "the denominator x is 0" in proof.lines[-1]
    assert not proof.follows("it", [1 / x < y], 1 / x <= y)
    assert not proof.follows("it", [x >= 0], sympy.Eq(sympy.Mul(x, 1 / x, evaluate=False), 1))
    assert proof.follows("it", [sympy.Ne(x, 0), 1 / x < y], 1 / x <= y)
    assert proof.follows("it", [x >= 0], 1 / (1 + x) <= 1)
    assert proof.follows("it", [1 / p < y], 1 / p <= y)  # sympy knows that p is positive


def test_a_conclusion_that_sympy_decides_and_truth_values_of_python_are_followed():
    proof = Proof()
    assert proof.follows("it", [True, x > 0], True)
    assert not proof.follows("it", [x > 0], False)
    assert not proof.follows("it", [x > 0, False], x > 0)
    assert "z3 is asked for not (True)" in (proof.follows("it", [], p + q > p) and proof.lines[-2])


@pytest.mark.parametrize("fact", ["false", (False, "why"), float("nan"), 1, None, [0], x, x > 0, lambda: False])
def test_only_truth_values_hold(fact):
    proof = Proof()
    with pytest.raises(TypeError, match="is no truth value"):
        proof.holds("it", fact)
    assert not proof.steps


def test_truth_values_of_sympy_and_numpy_hold():
    proof = Proof()
    assert proof.holds("it", sympy.sqrt(2) < sympy.Rational(3, 2))
    assert proof.holds("it", np.float64(1.0) < 2.0)
    assert not proof.holds("it", sympy.false)


@pytest.mark.parametrize(("left", "right"), [(0.1 * x, x / 10), (sympy.Float(0.5), sympy.Rational(1, 2)), (0.5, 0.5)])
def test_floats_are_not_equal_in_a_proof(left, right):
    with pytest.raises(ValueError, match="holds a float"):
        Proof().equal("it", left, right)


def test_a_float_in_a_matrix_expression_is_refused():
    a = Algebra({"A": ("n", "n")})
    with pytest.raises(ValueError, match="holds a float"):
        Proof().equal("it", 0.5 * a("A"), a("A") / 2)


@pytest.mark.parametrize(
    ("left", "right"),
    [
        (sympy.sqrt(sympy.Symbol("c") ** 2), sympy.Symbol("c")),
        (sympy.sqrt(x**2), x),
        (sympy.sqrt(x * y), sympy.sqrt(x) * sympy.sqrt(y)),
        (sympy.log(x * y), sympy.log(x) + sympy.log(y)),
        (sympy.log(sympy.exp(sympy.Symbol("c"))), sympy.Symbol("c")),
        (sympy.asin(sympy.sin(x)), x),
        (sympy.floor(x) + sympy.floor(-x), 0),
        (sympy.oo, sympy.oo),
        (sympy.nan, sympy.nan),
    ],
)
def test_what_holds_on_one_branch_only_is_not_equal(left, right):
    assert not Proof().equal("it", left, right)


def test_a_zero_that_simplify_makes_up_is_undecided(monkeypatch):
    monkeypatch.setattr(sympy, "simplify", lambda expression: sympy.S.Zero)
    assert vanishing(sympy.log(2 * p) - sympy.log(p) - sympy.log(2)) == 0
    with pytest.raises(Undecided, match="simplifies to 0 but is"):
        vanishing(sympy.gamma(p + 1) - (p + sympy.Rational(1, 10**12)) * sympy.gamma(p))
    whole = sympy.Symbol("N", integer=True, negative=True)
    with pytest.raises(Undecided, match="N: -7"):
        vanishing(sympy.exp(whole) - 1)


def test_words_alone_and_no_step_at_all_establish_nothing():
    proof = Proof()
    assert not proof.evidence().established
    proof.say("clearly")
    assert not proof.evidence().established
    proof.holds("it", True)
    assert proof.evidence().established


@pytest.mark.parametrize("rtol", [0, -1e-9, 0.01, 1.0, 2.0, float("nan")])
def test_routes_that_may_differ_by_a_percent_or_do_not_differ_are_no_routes(rtol):
    with pytest.raises(ValueError, match="it: rtol is"):
        Proof().agree("it", 1.0, 1.0, rtol)
