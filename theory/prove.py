"""Deciding steps of a proof: zero tests, real arithmetic by z3, exact numbers; each step leaves a line to read."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import sympy
import z3

from theory.claim import Evidence
from theory.trace_algebra import Expression

PATIENCE = 20_000  # milliseconds for one z3 query; those of this package take under a second


class Undecided(RuntimeError):
    """z3 found neither a proof nor a countermodel: the step says nothing of the claim, nor of its twin."""


@dataclass
class Proof:
    """A derivation as it is made: its lines, and whether every step so far was accepted.

    >>> x, y = sympy.symbols("x y", real=True)
    >>> proof = Proof()
    >>> proof.equal("the square", (x + y) ** 2, x**2 + 2 * x * y + y**2)
    True
    >>> proof.follows("the means", [x > 0, y > 0], x * y <= (x + y) ** 2 / 4)
    True
    >>> proof.evidence().established
    True
    """

    lines: list[str] = field(default_factory=list)
    accepted: bool = True

    def say(self, line: str) -> None:
        """Add a line that defines or concludes and needs no decision."""
        self.lines.append(line)

    def equal(self, name: str, left: Any, right: Any) -> bool:
        """Accept left = right when their difference has normal form 0.

        Args:
            name: what the left side is.
            left: an `Expression`, or a sympy expression.
            right: of the same form.

        Returns:
            Whether the difference vanishes.
        """
        difference = left - right
        if isinstance(left, Expression):
            same, shown = difference.is_zero(), str(difference)
            sides = (str(left), str(right))
        else:
            rest = vanishing(difference)
            same, shown, sides = rest == 0, str(sympy.factor(rest)), (str(left), str(right))
        self.say(f"{name}: {sides[0]}")
        self.say(f"    = {sides[1]}" if same else f"    differs from {sides[1]} by {shown}: rejected")
        self.accepted &= same
        return same

    def follows(self, name: str, hypotheses: Iterable[Any], conclusion: Any) -> bool:
        """Accept an implication between inequalities over the reals when z3 finds its negation unsatisfiable.

        Symbols that sympy knows to be positive or nonnegative carry that as a hypothesis. Hypotheses that no numbers
        satisfy are rejected: they would imply anything.

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
        given = [sympy.sympify(hypothesis) for hypothesis in hypotheses]
        symbols = named_apart(*given, conclusion)
        given += [sympy.Gt(x, 0, evaluate=False) for x in symbols if x.is_positive]
        given += [sympy.Ge(x, 0, evaluate=False) for x in symbols if x.is_nonnegative and not x.is_positive]
        assumed = [to_z3(part) for part in given]
        example, _ = solve(assumed)
        counter, countermodel = solve([*assumed, z3.Not(to_z3(conclusion))])
        self.say(f"{name}: z3 is asked for {', '.join(map(str, given))} and not ({conclusion})")
        holds = counter == "unsat" and example == "sat"
        if holds:
            self.say("    unsatisfiable: it follows for all reals")
        elif counter == "unsat":
            self.say(f"    the hypotheses alone are {example}: rejected as empty")
        else:
            self.say(f"    {counter} {countermodel}: rejected")
        self.accepted &= holds
        return holds

    def holds(self, name: str, fact: Any) -> bool:
        """Accept a relation between exact numbers, or any decided truth value."""
        true = bool(fact)
        self.say(f"{name}: {'true' if true else 'false: rejected'}")
        self.accepted &= true
        return true

    def evidence(self, measured: Any = "", expected: Any = "") -> Evidence:
        """What the derivation found."""
        return Evidence(self.accepted, str(measured), str(expected), steps=tuple(self.lines))


def vanishing(expression: Any) -> sympy.Expr:
    """0 for an expression that vanishes identically: `cancel` decides rational functions, `simplify` helps with others.

    >>> n = sympy.Symbol("n", positive=True)
    >>> vanishing(sympy.gamma(n + 1) - n * sympy.gamma(n))
    0
    """
    reduced = sympy.cancel(sympy.sympify(expression))
    return reduced if reduced == 0 else sympy.cancel(sympy.simplify(sympy.gammasimp(reduced)))


def solve(relations: Sequence[z3.BoolRef]) -> tuple[str, str]:
    """z3's answer ("sat", "unsat") and its model as text.

    Raises:
        Undecided: z3 answered "unknown", after `PATIENCE` or for want of a method.
    """
    solver = z3.Solver()
    solver.set("timeout", PATIENCE)
    solver.add(*relations)
    answer = solver.check()
    if answer == z3.unknown:
        raise Undecided(f"z3 gave up on {', '.join(map(str, relations))}: {solver.reason_unknown()}")
    if answer != z3.sat:
        return str(answer), ""
    model = solver.model()
    return str(answer), ", ".join(sorted(f"{name} = {model[name]}" for name in model.decls() if name.arity() == 0))


def named_apart(*parts: Any) -> list[sympy.Symbol]:
    """The symbols of some expressions, sorted; z3 knows a symbol by its name alone.

    Raises:
        ValueError: two symbols of one name, whose assumptions differ: z3 would take them for one number.
    """
    symbols = sorted(set().union(*(part.free_symbols for part in parts)), key=str)
    for one, other in pairwise(symbols):
        if one.name == other.name:
            raise ValueError(
                f"two symbols are named {one.name}, and sympy assumes different things of them; rename one"
            )
    return symbols


def to_z3(expression: Any) -> Any:
    """The same relation or rational function in z3's language, every symbol a real.

    Raises:
        ValueError: a function that real arithmetic does not have, an equivalence of other than two relations, or one
            name for two symbols.

    >>> x = sympy.Symbol("x")
    >>> to_z3(x**2 >= sympy.Rational(1, 3))
    1/3 <= x*x
    """
    named_apart(expression)
    if expression.is_Rational:
        return z3.Q(expression.p, expression.q)
    if expression.is_Symbol:
        return z3.Real(expression.name)
    if expression in (sympy.true, sympy.false):
        return z3.BoolVal(expression == sympy.true)
    parts = [] if expression.is_Pow else [to_z3(part) for part in expression.args]
    match expression:
        case sympy.Add():
            return z3.Sum(parts)
        case sympy.Mul():
            return z3.Product(parts)
        case sympy.Pow(base=base, exp=sympy.Integer() as power):
            product = z3.Product([to_z3(base)] * abs(int(power)))
            return product if power > 0 else 1 / product
        case sympy.GreaterThan():
            return parts[0] >= parts[1]
        case sympy.StrictGreaterThan():
            return parts[0] > parts[1]
        case sympy.LessThan():
            return parts[0] <= parts[1]
        case sympy.StrictLessThan():
            return parts[0] < parts[1]
        case sympy.Equivalent() if len(parts) != 2:
            raise ValueError(f"{expression} relates {len(parts)} parts; write it as equivalences of two")
        case sympy.Equality() | sympy.Equivalent():
            return parts[0] == parts[1]
        case sympy.Unequality():
            return parts[0] != parts[1]
        case sympy.And():
            return z3.And(parts)
        case sympy.Or():
            return z3.Or(parts)
        case sympy.Not():
            return z3.Not(parts[0])
    raise ValueError(f"{expression} is not real arithmetic; z3 decides sums, products, quotients and comparisons")
