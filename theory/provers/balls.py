"""Rigorous ball arithmetic (Arb): whether an expression is positive on a whole box of parameters."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from fractions import Fraction
from typing import Any

import flint
import sympy

from theory.provers.real_arithmetic import Undecided

Box = tuple[Any, Any]
"""The two ends of a parameter, as exact rationals."""

PIECES = 200_000  # subboxes before a step is given up; those of this package need at most some thousands


def positive_on(expression: sympy.Expr, box: Mapping[sympy.Symbol, Box], *, depth: int = 24) -> tuple[bool, str]:
    """Whether an expression is positive at every point of a box.

    Every subbox is enclosed by balls; one whose ball lies above 0 is done, any other is halved along the edge that was
    halved least. The corners and centres are tried as counterexamples on the way.

    Args:
        expression: rational functions, exp, log and rational powers of the box's symbols.
        box: symbol -> (low, high), exact rationals.
        depth: how often one edge may be halved.

    Returns:
        True and the number of subboxes, or False and a point where the expression is not positive.

    Raises:
        Undecided: a subbox of the last depth is neither.
        ValueError: a symbol without an edge, an edge whose ends are exchanged, or a function that has no balls here.

    >>> x = sympy.Symbol("x")
    >>> positive_on(x * (1 - x) + sympy.Rational(1, 100), {x: (0, 1)})[0]
    True
    >>> positive_on(x - x**2, {x: (0, 1)})
    (False, '0 at x = 0')
    """
    edges = {symbol: (Fraction(str(low)), Fraction(str(high))) for symbol, (low, high) in box.items()}
    missing = expression.free_symbols - edges.keys()
    if missing:
        raise ValueError(f"{', '.join(map(str, missing))} of {expression} has no edge in the box")
    for symbol, (low, high) in edges.items():
        if low > high:
            raise ValueError(f"the edge of {symbol} runs from {low} to {high}; exchange its ends")
    pending, done = [(edges, (0,) * len(edges))], 0
    for corner in corners(edges):
        if not positive_at(expression, corner):
            return False, found_at(expression, corner)
    while pending:
        piece, halved = pending.pop()
        if enclosure(expression, {s: hull(low, high) for s, (low, high) in piece.items()}) > 0:
            done += 1
            continue
        centre = {symbol: (low + high) / 2 for symbol, (low, high) in piece.items()}
        if not positive_at(expression, centre):
            return False, found_at(expression, centre)
        if min(halved, default=depth) >= depth or done + len(pending) > PIECES:
            shown = ", ".join(f"{low} ≤ {symbol} ≤ {high}" for symbol, (low, high) in piece.items())
            raise Undecided(f"balls cannot tell whether {expression} is positive for {shown}")
        pending += [(half, count) for half, count in halves(piece, halved)]
    return True, f"certified on {done} subboxes"


def corners(edges: Mapping[sympy.Symbol, tuple[Fraction, Fraction]]) -> Iterator[dict[sympy.Symbol, Fraction]]:
    """The corners of a box."""
    for ends in itertools.product(*edges.values()):
        yield dict(zip(edges, ends, strict=True))


def halves(
    piece: Mapping[sympy.Symbol, tuple[Fraction, Fraction]], halved: tuple[int, ...]
) -> Iterator[tuple[dict[sympy.Symbol, tuple[Fraction, Fraction]], tuple[int, ...]]]:
    """The two halves of a box along the edge that was halved least."""
    at = halved.index(min(halved))
    symbol = list(piece)[at]
    low, high = piece[symbol]
    count = tuple(times + (i == at) for i, times in enumerate(halved))
    for half in ((low, (low + high) / 2), ((low + high) / 2, high)):
        yield {**piece, symbol: half}, count


def hull(low: Fraction, high: Fraction) -> flint.arb:
    """The smallest ball that holds an interval."""
    return exact(low).union(exact(high))


def exact(value: Fraction) -> flint.arb:
    """A ball that holds a rational."""
    return flint.arb(flint.fmpq(value.numerator, value.denominator))


def positive_at(expression: sympy.Expr, point: Mapping[sympy.Symbol, Fraction]) -> bool:
    """Whether an expression may be positive at a point: False only when it is certainly 0, negative or undefined."""
    value = enclosure(expression, {symbol: exact(x) for symbol, x in point.items()})
    if value > 0:
        return True
    at = at_point(expression, point)
    return not (at.is_nonpositive or at is sympy.nan or at.is_real is False)


def at_point(expression: sympy.Expr, point: Mapping[sympy.Symbol, Fraction]) -> sympy.Expr:
    """The exact value at a rational point."""
    return expression.subs({symbol: sympy.Rational(x.numerator, x.denominator) for symbol, x in point.items()})


def found_at(expression: sympy.Expr, point: Mapping[sympy.Symbol, Fraction]) -> str:
    """A counterexample in words."""
    return f"{at_point(expression, point)} at {', '.join(f'{symbol} = {x}' for symbol, x in point.items())}"


def enclosure(expression: sympy.Expr, balls: Mapping[sympy.Symbol, flint.arb]) -> flint.arb:
    """A ball that holds every value of an expression over balls for its symbols; nan where one may be undefined.

    Raises:
        ValueError: a function that has no balls here.
    """
    if expression.is_Rational:
        return exact(Fraction(int(expression.p), int(expression.q)))
    if expression.is_Symbol:
        return balls[expression]
    if expression in (sympy.pi, sympy.E):
        return flint.arb.pi() if expression == sympy.pi else flint.arb.const_e()
    parts = [enclosure(part, balls) for part in expression.args]
    if not all(part.is_finite() for part in parts):
        return flint.arb("nan")  # Arb's nan⁰ is 1, for one
    match expression:
        case sympy.Add():
            return sum(parts, flint.arb(0))
        case sympy.Mul():
            product = flint.arb(1)
            for part in parts:
                product *= part
            return product
        case sympy.Pow(exp=sympy.Integer() as power):
            return parts[0] ** int(power)
        case sympy.exp():
            return parts[0].exp()
        case sympy.Pow():
            return parts[0].sqrt() if expression.exp == sympy.Rational(1, 2) else parts[0] ** parts[1]
        case sympy.log():
            return parts[0].log()
        case sympy.Abs():
            return abs(parts[0])
    raise ValueError(f"{expression.func.__name__} has no balls here; use rational functions, exp, log and powers")
