"""T1 and T2 entry by entry: every number of every matrix a symbol, at small shapes; a route without trace algebra."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import reduce
from operator import add
from typing import Any, NamedTuple

import sympy
from sympy.polys.rings import ring

from theory.claim import Claim, Evidence, Kind
from theory.provers.prove import Proof
from theory.writes.batches import READ_TERM, RESIDUAL_TERM, TARGET_TERM
from theory.writes.identities import BATCH_CROSS, BATCH_SQUARE, ETA, MASTER, READ_SQ, RESIDUAL_SQ, VALUE_SQ, S

SHAPES = ((1, 1, 1), (2, 3, 1), (3, 2, 1), (2, 3, 2), (3, 4, 2))
Polynomial = Any
Matrix = tuple[tuple[Polynomial, ...], ...]


@dataclass(frozen=True)
class Formulas:
    """The right-hand sides that are asserted, in the symbols of `identities` and `batches`.

    Attributes:
        single: the change at a partial write.
        soft: the change at a batch with any gain.
        hard: the change at EMMET's batch.
    """

    single: sympy.Expr
    soft: sympy.Expr
    hard: sympy.Expr


class Letters(NamedTuple):
    """Matrices of independent symbols.

    Attributes:
        W: (m, n).
        A: symmetric (n, n), the metric M = A⁻¹.
        X: (n, u), the keys being K = AX, so that MK = X.
        Y: (m, u), a residual up to an invertible factor.
        eta: η.
    """

    W: Matrix
    A: Matrix
    X: Matrix
    Y: Matrix
    eta: Polynomial


def letters(m: int, n: int, u: int) -> Letters:
    """W, A, X, Y and η over the ring of polynomials with integer coefficients."""
    sizes = {"w": (m, n), "a": (n, n), "x": (n, u), "y": (m, u)}
    names = {
        letter: [[f"{letter}{min(i, j)}_{max(i, j)}" if letter == "a" else f"{letter}{i}_{j}" for j in range(columns)]
                 for i in range(rows)]
        for letter, (rows, columns) in sizes.items()
    }  # fmt: skip
    distinct = sorted({name for matrix in names.values() for row in matrix for name in row})
    _, eta, *generators = ring(["eta", *distinct], sympy.ZZ)
    of = dict(zip(distinct, generators, strict=True))
    W, A, X, Y = (tuple(tuple(of[name] for name in row) for row in names[letter]) for letter in sizes)
    return Letters(W, A, X, Y, eta)


def turned(a: Matrix) -> Matrix:
    """The transpose."""
    return tuple(zip(*a, strict=True))


def times(*factors: Matrix) -> Matrix:
    """The product of matrices."""
    return reduce(
        lambda a, b: tuple(
            tuple(reduce(add, (x * y for x, y in zip(r, c, strict=True))) for c in turned(b)) for r in a
        ),
        factors,
    )


def plus(a: Matrix, b: Matrix, factor: Polynomial = 1) -> Matrix:
    """a + factor·b."""
    return tuple(tuple(x + factor * y for x, y in zip(r, s, strict=True)) for r, s in zip(a, b, strict=True))


def trace(a: Matrix) -> Polynomial:
    """The sum of the diagonal."""
    return reduce(add, (a[i][i] for i in range(len(a))))


def scaled(a: Matrix, factor: Polynomial) -> Matrix:
    """factor·a."""
    return tuple(tuple(factor * x for x in row) for row in a)


def adjugate(a: Matrix) -> tuple[Matrix, Polynomial]:
    """adj(a) and det(a), a·adj(a) = det(a)·I, for 1 × 1 and 2 × 2."""
    if len(a) == 1:
        return ((a[0][0] ** 0,),), a[0][0]
    ((p, q), (r, s)) = a
    return ((s, -q), (-r, p)), p * s - q * r


def asserted(formula: sympy.Expr, values: dict[sympy.Symbol, Polynomial]) -> Polynomial:
    """A polynomial formula at polynomials."""
    return sympy.lambdify(list(values), sympy.expand(formula), "math")(*values.values())


def growth(x: Letters, write: Matrix, scale: Polynomial) -> Polynomial:
    """scale²·(‖W + write/scale‖²_A − ‖W‖²_A)."""
    start = scaled(x.W, scale)
    after = plus(start, write)
    return trace(times(after, x.A, turned(after))) - trace(times(start, x.A, turned(start)))


def single_write(x: Letters, formula: sympy.Expr) -> bool:
    """T1: Δ = η r xᵀ/s, s = kᵀx, k = Ax, times s²."""
    k, r = times(x.A, x.X), x.Y
    read, s = times(x.W, k), trace(times(turned(k), x.X))
    value = plus(read, r)
    squares = {symbol: trace(times(turned(column), column)) for symbol, column in
               ((VALUE_SQ, value), (READ_SQ, read), (RESIDUAL_SQ, r))}  # fmt: skip
    right = asserted(formula * S, squares | {ETA: x.eta, S: s})
    return growth(x, scaled(times(r, turned(x.X)), x.eta), s) == s * right


def soft_batch(x: Letters, formula: sympy.Expr) -> bool:
    """MEMIT: R = Y(I + H), so Y = RT; the published system, and T2's identity."""
    K = times(x.A, x.X)
    H = times(turned(x.X), K)
    one = x.eta**0
    eye = tuple(tuple(one if i == j else 0 * one for j in range(len(H))) for i in range(len(H)))
    residual, delta = times(x.Y, plus(eye, H)), times(x.Y, turned(x.X))
    solved = times(delta, plus(x.A, times(K, turned(K)))) == times(residual, turned(K))
    cross, square = trace(times(x.Y, turned(times(x.W, K)))), trace(times(x.Y, H, turned(x.Y)))
    return solved and growth(x, delta, one) == asserted(formula, {BATCH_CROSS: cross, BATCH_SQUARE: square})


def hard_batch(x: Letters, formula: sympy.Expr) -> bool:
    """EMMET: R = YH, so Y = RH⁻¹; W'K = V, and T2's identity times det H (the formula is linear in its traces)."""
    K = times(x.A, x.X)
    H, read = times(turned(x.X), K), times(x.W, K)
    adj, det = adjugate(H)
    residual, delta = times(x.Y, H), times(x.Y, turned(x.X))
    value = plus(read, residual)
    met = times(plus(x.W, delta), K) == value
    terms = {symbol: trace(times(matrix, adj, turned(matrix))) for symbol, matrix in
             ((TARGET_TERM, value), (READ_TERM, read), (RESIDUAL_TERM, residual))}  # fmt: skip
    return met and det * growth(x, delta, x.eta**0) == asserted(formula, terms)


def check_entries(formulas: Formulas) -> Evidence:
    """The three identities at every shape, as equalities of polynomials with integer coefficients."""
    proof = Proof()
    proof.say("A symmetric, M = A⁻¹; any keys are K = AX, so MK = X; any residuals are R = Y(I + H), or YH for EMMET")
    for shape in SHAPES:
        x, size = letters(*shape), "m = {}, n = {}, u = {}".format(*shape)
        if shape[2] == 1:
            proof.holds(f"{size}: T1's identity, times s²", single_write(x, formulas.single))
        proof.holds(f"{size}: MEMIT's system and T2's identity", soft_batch(x, formulas.soft))
        proof.holds(f"{size}: EMMET's targets and identity, times det H", hard_batch(x, formulas.hard))
    return proof.evidence(f"{len(SHAPES)} shapes", ", ".join(map(str, SHAPES)))


def claims() -> tuple[Claim[Any], ...]:
    """The second route to T1.identity, T1.batch and T2.emmet."""
    formulas = Formulas(MASTER, 2 * BATCH_CROSS + BATCH_SQUARE, TARGET_TERM - READ_TERM)
    return (
        Claim(
            "T2.entries", "T1, T2", Kind.PROVED,
            "At (m, n, u) = (1,1,1), (2,3,1), (3,2,1), (2,3,2), (3,4,2) T1.identity (for u = 1), T1.batch with MEMIT's "
            "gain and T2.emmet are identities of polynomials in all entries of W, A = M⁻¹, X = MK and Y, where R is "
            "Y, Y(I + H) and YH: they hold wherever A and s, I + H or H are invertible.",
            check_entries, formulas, replace(formulas, soft=BATCH_CROSS + BATCH_SQUARE),
            "MEMIT's cross term counted once",
        ),
    )  # fmt: skip
