"""Real arithmetic by z3: the translation of sympy relations, and a query that answers or says that it cannot."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import sympy
import z3

PATIENCE = 20_000  # milliseconds for one z3 query; those of this package take under a second


class Undecided(RuntimeError):
    """A prover found neither a proof nor a counterexample: the step says nothing of the claim, nor of its twin."""


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


def denominators(*parts: Any) -> list[sympy.Expr]:
    """What some expressions divide by, without what sympy knows to be other than 0; z3 lets x/0 be any number.

    >>> x, p = sympy.Symbol("x"), sympy.Symbol("p", positive=True)
    >>> denominators(1 / (1 + x) + 1 / p > 0)
    [x + 1]
    """
    powers = set().union(*(part.atoms(sympy.Pow) for part in parts))
    return sorted({power.base for power in powers if power.exp.is_negative and not power.base.is_nonzero}, key=str)


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
