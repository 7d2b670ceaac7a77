"""Deciding the steps of a proof: each is closed by a prover of its own, and leaves a line to read.

| step | prover | says |
|---|---|---|
| `say` | none | a definition, or an argument in words |
| `equal` | trace algebra, or computer algebra | a difference has normal form 0 |
| `follows` | z3 | an inequality holds for all reals: its negation is unsatisfiable |
| `holds` | exact numbers | a relation between numbers is true |
| `certified` | ball arithmetic | an expression is positive on a whole box |
| `agree` | two routes | two independent computations arrive at one number |
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import sympy
import z3
from sympy.logic.boolalg import BooleanAtom

from theory.claim import Evidence
from theory.provers.agreement import gap
from theory.provers.balls import Box, positive_on
from theory.provers.real_arithmetic import Undecided, denominators, named_apart, solve, to_z3
from theory.provers.step import Prover, Step
from theory.provers.trace_algebra import Expression

COARSEST = 0.01  # two routes that share fewer digits than two do not agree
NEGLIGIBLE = sympy.Rational(1, 10**15)  # of a difference evaluated with 30 digits

__all__ = ["Proof", "Undecided", "named_apart", "solve", "to_z3", "vanishing"]


@dataclass
class Proof:
    """A derivation as it is made: its steps, and whether every one so far was accepted.

    >>> x, y = sympy.symbols("x y", real=True)
    >>> proof = Proof()
    >>> proof.equal("the square", (x + y) ** 2, x**2 + 2 * x * y + y**2)
    True
    >>> proof.follows("the means", [x > 0, y > 0], x * y <= (x + y) ** 2 / 4)
    True
    >>> proof.evidence().established
    True
    """

    steps: list[Step] = field(default_factory=list)

    @property
    def accepted(self) -> bool:
        """Whether every step so far was accepted."""
        return all(step.accepted for step in self.steps)

    @property
    def lines(self) -> list[str]:
        """The derivation as text."""
        return [line for step in self.steps for line in step.lines()]

    def add(self, step: Step) -> bool:
        """Append a step; returns whether its prover accepted it."""
        self.steps.append(step)
        return step.accepted

    def say(self, line: str) -> None:
        """Add a line that defines or concludes and needs no decision."""
        self.add(Step(line))

    def equal(self, name: str, left: Any, right: Any) -> bool:
        """Accept left = right when their difference has normal form 0.

        Args:
            name: what the left side is.
            left: an `Expression`, or a sympy expression.
            right: of the same form.

        Returns:
            Whether the difference vanishes.

        Raises:
            ValueError: a float on a side, with which no identity is exact.
            Undecided: see `vanishing`.
        """
        numbers = [part for side in (left, right) for part in getattr(side, "terms", {0: side}).values()]
        if any(sympy.sympify(number).has(sympy.Float) for number in numbers):
            raise ValueError(f"{name}: {left} = {right} holds a float; write an exact number, such as Rational(1, 2)")
        difference = left - right
        if isinstance(left, Expression):
            return self.add(Step(name, Prover.TRACES, difference.is_zero(), str(difference), left, right))
        rest = vanishing(difference)
        return self.add(Step(name, Prover.SYMBOLS, rest == 0, str(sympy.factor(rest)), left, right))

    def follows(self, name: str, hypotheses: Iterable[Any], conclusion: Any) -> bool:
        """Accept an implication between inequalities over the reals when z3 finds its negation unsatisfiable.

        Symbols that sympy knows to be positive or nonnegative carry that as a hypothesis. Hypotheses that no numbers
        satisfy are rejected, as they would imply anything, and so is a denominator that they let vanish.

        Args:
            name: what the implication says.
            hypotheses: sympy relations between rational functions whose denominators the hypotheses keep from 0.
            conclusion: a sympy relation, or a combination of relations.

        Returns:
            Whether the implication holds for all reals.

        Raises:
            Undecided: z3 gave up.
            ValueError: a function that real arithmetic does not have, or one name for two symbols.
        """
        given, conclusion = [sympy.sympify(hypothesis) for hypothesis in hypotheses], sympy.sympify(conclusion)
        symbols = named_apart(*given, conclusion)
        given += [sympy.Gt(x, 0, evaluate=False) for x in symbols if x.is_positive]
        given += [sympy.Ge(x, 0, evaluate=False) for x in symbols if x.is_nonnegative and not x.is_positive]
        assumed = [to_z3(part) for part in given]
        example, _ = solve(assumed)
        counter, countermodel = solve([*assumed, z3.Not(to_z3(conclusion))])
        known = f"{', '.join(map(str, given))} and " if given else ""
        asked = f"{name}: z3 is asked for {known}not ({conclusion})"
        if counter == "sat":
            return self.add(Step(asked, Prover.REALS, False, f"{counter} {countermodel}"))
        if example == "unsat":
            return self.add(Step(asked, Prover.REALS, False, "no numbers satisfy the hypotheses"))
        for divisor in denominators(*given, conclusion):
            vanishes, where = solve([*assumed, to_z3(divisor) == 0])
            if vanishes == "sat":
                return self.add(Step(asked, Prover.REALS, False, f"the denominator {divisor} is 0 at {where}"))
        return self.add(Step(asked, Prover.REALS, True, "unsatisfiable: it follows for all reals"))

    def holds(self, name: str, fact: Any) -> bool:
        """Accept a decided truth value: a relation between numbers, or a conjunction of such.

        Raises:
            TypeError: anything else, such as a number, a text, a pair, or a relation that is still symbolic.
        """
        if not isinstance(fact, bool | np.bool_ | BooleanAtom):
            raise TypeError(f"{name}: {fact!r} is no truth value; give a comparison of numbers")
        true = bool(fact)
        return self.add(Step(name, Prover.NUMBERS, true, "true" if true else "false"))

    def certified(self, name: str, expression: Any, box: Mapping[sympy.Symbol, Box], *, depth: int = 24) -> bool:
        """Accept expression > 0 on a whole box of parameters, by ball arithmetic with subdivision.

        Args:
            name: what is positive.
            expression: rational functions, exp, log and rational powers of the box's symbols.
            box: symbol -> (low, high), exact rationals.
            depth: how often one edge may be halved before the step is given up.

        Returns:
            Whether every piece of the box was certified; False when some point of it is a counterexample.

        Raises:
            Undecided: neither, at this depth.
        """
        sure, found = positive_on(sympy.sympify(expression), box, depth=depth)
        edges = ", ".join(f"{low} ≤ {symbol} ≤ {high}" for symbol, (low, high) in box.items())
        return self.add(Step(f"{name}: {expression} > 0 for {edges}", Prover.BALLS, sure, found))

    def agree(self, name: str, left: Any, right: Any, rtol: float = 1e-12) -> bool:
        """Accept two independent computations of one number that agree.

        Args:
            name: the number.
            left: its value by the first route: an exact number, an mpmath number or a float.
            right: by the second.
            rtol: the largest accepted difference, relative to the larger of the two; below `COARSEST`.

        Returns:
            Whether both are finite and agree.

        Raises:
            ValueError: another rtol: two numbers of one sign, or any two, would agree.
        """
        if not 0 < rtol < COARSEST:
            raise ValueError(f"{name}: rtol is {rtol}; routes that agree share two digits, give less than {COARSEST}")
        apart = gap(left, right)
        found = f"{left} and {right} lie {float(apart):.1e} apart, relative; accepted up to {rtol:.0e}"
        return self.add(Step(name, Prover.ROUTES, bool(apart <= rtol), found))

    def evidence(self, measured: Any = "", expected: Any = "") -> Evidence:
        """What the derivation found; words alone establish nothing."""
        decided = any(step.prover is not Prover.WORDS for step in self.steps)
        established = self.accepted and decided
        return Evidence(established, str(measured), str(expected), steps=tuple(self.lines), proof=tuple(self.steps))


def vanishing(expression: Any) -> sympy.Expr:
    """0 for an expression that vanishes identically: `cancel` decides rational functions, `simplify` helps with others.

    `simplify` is a heuristic, so that its zero is tried at numbers too.

    Raises:
        Undecided: `simplify` says 0, and some numbers say otherwise.

    >>> n = sympy.Symbol("n", positive=True)
    >>> vanishing(sympy.gamma(n + 1) - n * sympy.gamma(n))
    0
    """
    difference = sympy.sympify(expression)
    reduced = sympy.cancel(difference)
    if reduced == 0:
        return reduced
    simplified = sympy.cancel(sympy.simplify(sympy.gammasimp(reduced)))
    if simplified == 0:
        for point in trials(difference):
            value = sympy.N(difference.subs(point), 30)
            if value.is_finite and abs(value) > NEGLIGIBLE:
                raise Undecided(f"{difference} simplifies to 0 but is {value} at {point}")
    return simplified


def trials(expression: sympy.Expr) -> list[dict[sympy.Symbol, sympy.Rational]]:
    """Three points that an expression's symbols may take: distinct positive numbers, whole where they must be."""
    symbols = sorted(expression.free_symbols, key=str)
    points = []
    for start in (7, 23, 61):
        numbers = [start + 3 * i + sympy.Rational(0 if x.is_integer else 2 * i + 1, 17) for i, x in enumerate(symbols)]
        points.append({x: -n if x.is_negative else n for x, n in zip(symbols, numbers, strict=True)})
    return points
