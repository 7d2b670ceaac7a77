"""Two routes: agreement is relative, infinities never agree, and a number that rounding makes is undecided."""

import math

import mpmath
import pytest
import sympy

from theory.provers.agreement import at_two_precisions, gap, number
from theory.provers.prove import Proof, Undecided


@pytest.mark.parametrize(
    ("left", "right", "apart"),
    [
        (1.0, sympy.Rational(1, 2), 0.5),
        (0.0, 0, 0.0),
        (-1.0, 1.0, 2.0),
        (math.inf, math.inf, math.inf),
        (math.nan, 1.0, math.inf),
        (sympy.sqrt(2), math.sqrt(2), 6.8e-17),
    ],
)
def test_the_gap_is_relative_to_the_larger(left, right, apart):
    assert float(gap(left, right)) == pytest.approx(apart, rel=0.1)


def test_numbers_keep_their_digits():
    with mpmath.workdps(50):
        assert abs(number(sympy.pi) - mpmath.pi) < mpmath.mpf(10) ** -48
        assert number(0.1) == mpmath.mpf(0.1)


def test_a_cancelled_number_is_undecided_and_a_stable_one_is_not():
    assert float(at_two_precisions(lambda: mpmath.zeta(3))) == pytest.approx(1.2020569031595942)
    with pytest.raises(Undecided, match="digits is"):
        at_two_precisions(lambda: (1 + mpmath.mpf(10) ** -45 * mpmath.sqrt(2)) - 1)


def test_agreeing_routes_enter_the_proof():
    proof = Proof()
    assert proof.agree("√2", mpmath.sqrt(2), math.sqrt(2), rtol=1e-14)
    assert proof.accepted
    assert not proof.agree("√2, wrongly", 1.41421, math.sqrt(2))
    assert not proof.accepted


@pytest.mark.parametrize(
    "value", [True, "1.0", 1j, mpmath.mpc(1, 1), sympy.Symbol("x"), sympy.I, sympy.zoo, None, mpmath.iv.mpf([0, 1])]
)
def test_what_is_no_real_number_never_agrees_with_itself(value):
    with pytest.raises((TypeError, ValueError)):
        gap(value, value)


def test_underflow_agrees_with_zero_in_no_tolerance():
    assert not Proof().agree("it", 5e-324, 0.0, rtol=1e-3)
    assert not Proof().agree("it", 1e-320, 2e-320, rtol=1e-3)
