"""Ball arithmetic: what it certifies holds at random points, what is false, if only in a corner, it rejects."""

import random
from fractions import Fraction

import flint
import pytest
import sympy

from theory.provers.balls import enclosure, exact, hull, positive_on
from theory.provers.prove import Proof, Undecided

x, y = sympy.symbols("x y", real=True)
HALF, TENTH = sympy.Rational(1, 2), sympy.Rational(1, 10)


@pytest.mark.parametrize(
    ("expression", "box"),
    [
        (x**2 - x + 1, {x: (-3, 3)}),
        (x - sympy.log(x) - sympy.Rational(9, 10), {x: (TENTH, 5)}),
        (sympy.exp(x) - 1 - x + TENTH, {x: (-2, 2)}),
        ((x**2 + y**2) / 2 - x * y + sympy.Rational(1, 50), {x: (0, 1), y: (0, 1)}),
        (sympy.sqrt(1 + x) - 1, {x: (TENTH, 1)}),
        (x ** sympy.Rational(3, 2) + 1 - x, {x: (TENTH, 2)}),
    ],
)
def test_what_holds_is_certified_and_holds_at_random_points(expression, box):
    assert positive_on(expression, box)[0]
    rng = random.Random(0)
    for _ in range(50):
        point = {s: float(low) + rng.random() * float(high - low) for s, (low, high) in box.items()}
        assert float(expression.subs(point)) > 0


@pytest.mark.parametrize(
    ("expression", "box", "witness"),
    [
        (x - 1, {x: (0, 3)}, "x = 0"),
        (1 - x * y, {x: (0, 1), y: (0, 1)}, "0 at x = 1, y = 1"),  # false in one corner only
        (x**2 - x + sympy.Rational(1, 4), {x: (0, 1)}, "0 at x = 1/2"),  # false at one inner point only
        (1 / x, {x: (0, 1)}, "x = 0"),
        (-sympy.exp(x), {x: (0, 1)}, "-1 at x = 0"),
    ],
)
def test_what_is_false_is_rejected_with_a_witness(expression, box, witness):
    sure, found = positive_on(expression, box)
    assert not sure
    assert witness in found


@pytest.mark.parametrize(
    ("expression", "box"),
    [
        (-sympy.log(x), {x: (0, 0)}),  # +∞ is no positive number
        (1 / x**2, {x: (0, 0)}),
        (1 / x**2, {x: (-1, 1)}),
        (sympy.exp(1 / x), {x: (-1, 1)}),
        (1 + sympy.sqrt(x), {x: (-1, 1)}),
        (sympy.exp(sympy.sqrt(x - 1)), {x: (0, 2)}),
        (2 + x ** sympy.Rational(1, 3), {x: (-1, 1)}),  # sympy's root of −1 is not real
        (1 + sympy.log(x) ** 2, {x: (-2, -1)}),
    ],
)
def test_what_is_undefined_somewhere_is_not_positive_there(expression, box):
    assert not positive_on(expression, box)[0]


@pytest.mark.parametrize(
    "expression",
    [
        1 / (3 * x - 1) ** 2,
        1 + sympy.exp(-1 / (3 * x - 1) ** 2),
        sympy.log((3 * x - 1) ** 2) ** 2 + 1,
        sympy.Pow(sympy.log((3 * x - 1) ** 2), 0, evaluate=False),
    ],
)
def test_what_is_undefined_between_the_points_that_are_tried_is_undecided(expression):
    """At x = 1/3, which no halving reaches; the balls around it hold no number."""
    with pytest.raises(Undecided, match="balls cannot tell"):
        positive_on(expression, {x: (0, 1)}, depth=10)


def drawn(rng, depth):
    """A random expression of the functions that have balls, and of x and y."""
    if depth == 0:
        return rng.choice([x, y, sympy.Rational(rng.randrange(-5, 6), rng.randrange(1, 4))])
    part = drawn(rng, depth - 1)
    unary = [lambda e: 1 / (e + 1), lambda e: e**2, lambda e: e**-2, sympy.exp, abs, sympy.log, sympy.sqrt,
             lambda e: e ** sympy.Rational(-3, 2), lambda e: e ** sympy.Rational(1, 3), lambda e: e**3]  # fmt: skip
    other = drawn(rng, depth - 1)
    return rng.choice([lambda: part + other, lambda: part * other, lambda: rng.choice(unary)(part)])()


def test_balls_hold_the_values_of_random_expressions_or_hold_nothing():
    """Over thin and wide boxes and the edges of domains: a ball is nan, or every value in it is real and is held."""
    rng, held = random.Random(3), 0
    for _ in range(400):
        expression = drawn(rng, rng.randrange(1, 4))
        if expression.has(sympy.I, sympy.zoo, sympy.nan, sympy.oo, -sympy.oo):
            continue
        low = {s: Fraction(rng.randrange(-8, 9), 4) for s in (x, y)}
        width = Fraction(rng.choice([0, 1, 64]), 64)
        ball = enclosure(expression, {s: hull(at, at + width) for s, at in low.items()})
        if not ball.is_finite():
            continue
        for part in (0, Fraction(1, 3), 1):
            point = {s: sympy.Rational(str(at + part * width)) for s, at in low.items()}
            value = sympy.N(expression.subs(point, simultaneous=True), 40)
            assert value.is_real, (expression, point)
            middle = flint.arb(str(sympy.N(value, 40)), abs(float(value)) * 1e-30 + 1e-30)
            assert ball.overlaps(middle), (expression, point)
            held += 1
    assert held > 300


def test_what_touches_zero_at_no_point_that_is_tried_is_undecided():
    with pytest.raises(Undecided, match="balls cannot tell"):
        positive_on((3 * x - 1) ** 2, {x: (0, 1)}, depth=12)


def test_an_enclosure_holds_the_values_between():
    rng = random.Random(1)
    expression = sympy.exp(x * y) - sympy.log(1 + x**2) / (2 + y) + sympy.pi * abs(x)
    for _ in range(20):
        low, high = sorted(Fraction(rng.randrange(-100, 100), 50) for _ in range(2))
        between = low + (high - low) * Fraction(rng.randrange(101), 100)
        ball = enclosure(expression, {x: hull(low, high), y: exact(Fraction(1, 3))})
        inside = enclosure(expression, {x: exact(between), y: exact(Fraction(1, 3))})
        assert ball.overlaps(inside)
        assert ball.rad() >= inside.rad()


def test_misuse_is_named():
    with pytest.raises(ValueError, match="y of x \\+ y has no edge"):
        positive_on(x + y, {x: (0, 1)})
    with pytest.raises(ValueError, match="runs from 1 to 0"):
        positive_on(x, {x: (1, 0)})
    with pytest.raises(ValueError, match="gamma has no balls"):
        enclosure(sympy.gamma(x), {x: flint.arb(1)})


def test_a_certified_step_enters_the_proof():
    proof = Proof()
    assert proof.certified("the parabola", 1 + x**2, {x: (-1, 1)})
    assert proof.accepted
    assert not proof.certified("a line", x, {x: (-1, 1)})
    assert not proof.evidence().established
    assert "certified on" in proof.lines[1]
    assert proof.lines[-1].endswith("rejected")
