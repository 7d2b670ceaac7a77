"""T1: one identity for every rank-one write, for symbolic dimensions m and n, and the published rules as its cases.

v is the target of Wk itself: where a layer adds a bias b to Wk, it is the layer's wanted output less b. For symmetric A
‖X‖²_A stands for tr(X A Xᵀ), a squared norm where A is positive definite.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import sympy

from theory.claim import Claim, Evidence, Kind
from theory.provers.prove import Proof
from theory.provers.trace_algebra import Algebra, Dim, Expression, Rule, commuting, inverses, projector

# The symbols in which T1's right-hand sides are asserted; a proof replaces them by what they stand for.
ETA, S = sympy.symbols("η s", positive=True)
VALUE_SQ, READ_SQ, RESIDUAL_SQ, CROSS = sympy.symbols("‖v‖² ‖Wk‖² ‖r‖² r·Wk", real=True)
BATCH_CROSS, BATCH_SQUARE = sympy.symbols("tr(RT(WK)ᵀ) tr(RTHTᵀRᵀ)", real=True)

MASTER = (ETA * (VALUE_SQ - READ_SQ) - ETA * (1 - ETA) * RESIDUAL_SQ) / S
HARD = (VALUE_SQ - READ_SQ) / S
SHAPES: dict[str, tuple[Dim, Dim]] = {"W": ("m", "n"), "k": ("n", 1), "r": ("m", 1), "x": ("n", 1)}


@dataclass(frozen=True)
class Change:
    """An asserted change of ‖W‖² at a write.

    Attributes:
        formula: the right-hand side, in the symbols above.
        norm: the letter A of the norm ‖W‖²_A = tr(W A Wᵀ) that is said to change so; "" is the Frobenius norm.
    """

    formula: sympy.Expr
    norm: str = ""


def rank_one(metrics: tuple[str, ...] = (), rules: tuple[Rule, ...] = ()) -> Algebra:
    """W (m, n), k (n), r (m), x (n) and symmetric n × n letters."""
    return Algebra({**SHAPES, **dict.fromkeys(metrics, ("n", "n"))}, metrics, rules)


def put_in(formula: sympy.Expr, read: Expression, r: Expression, s: Any, eta: Any = ETA) -> sympy.Expr:
    """Replace ‖v‖², ‖Wk‖², ‖r‖², r·Wk, s and η by the algebra's expressions, with v = r + Wk."""
    value = r + read
    terms = {VALUE_SQ: value.T @ value, READ_SQ: read.T @ read, RESIDUAL_SQ: r.T @ r, CROSS: r.T @ read}
    return formula.subs({name: term.number() for name, term in terms.items()} | {S: s, ETA: eta}, simultaneous=True)


def check_identity(formula: sympy.Expr) -> Evidence:
    """‖W+Δ‖² − ‖W‖² in the metric M⁻¹ for Δ = η r (Mk)ᵀ/s."""
    a = rank_one(("M", "M⁻¹"), inverses("M", "M⁻¹"))
    W, k, r, M, inverse = map(a, ("W", "k", "r", "M", "M⁻¹"))
    s = (k.T @ M @ k).number()
    delta = ETA / s * (r @ (M @ k).T)
    proof = Proof()
    proof.say(f"letters: W m×n, k n×1, r m×1, M = Mᵀ n×n with M·M⁻¹ = I; v = r + Wk; s = {s}; Δ = {delta}")
    change = sympy.expand((W + delta).norm_sq(inverse) - W.norm_sq(inverse))
    proof.equal("tr((W+Δ)M⁻¹(W+Δ)ᵀ) − tr(W M⁻¹ Wᵀ)", change, put_in(formula, W @ k, r, s))
    return proof.evidence(change, formula)


def check_identity_metric(formula: sympy.Expr) -> Evidence:
    """The paper's P4: C = I, η = 1, the Frobenius norm, s = ‖k‖²."""
    a = rank_one()
    W, k, r = map(a, ("W", "k", "r"))
    s = (k.T @ k).number()
    delta = r @ k.T / s
    proof = Proof()
    proof.say(f"Δ = {delta}, s = ‖k‖² = {s}")
    proof.equal("the write meets its target, (W+Δ)k", (W + delta) @ k, r + W @ k)
    change = sympy.expand((W + delta).norm_sq() - W.norm_sq())
    proof.equal("‖W+Δ‖²_F − ‖W‖²_F", change, put_in(formula, W @ k, r, s, eta=1))
    return proof.evidence(change, formula)


def check_rome(asserted: Change) -> Evidence:
    """ROME with any C: M = C⁻¹, η = 1."""
    a = rank_one(("C", "C⁻¹"), inverses("C", "C⁻¹"))
    W, k, r, inverse = map(a, ("W", "k", "r", "C⁻¹"))
    s = (k.T @ inverse @ k).number()
    delta = r @ (inverse @ k).T / s
    proof = Proof()
    proof.say(f"M = C⁻¹, η = 1: s = {s}, Δ = {delta}")
    proof.equal("the write meets its target, (W+Δ)k", (W + delta) @ k, r + W @ k)
    norm = a(asserted.norm) if asserted.norm else a.eye("n")
    change = sympy.expand((W + delta).norm_sq(norm) - W.norm_sq(norm))
    proof.equal(f"the change of tr(W {asserted.norm or 'I'} Wᵀ)", change, put_in(asserted.formula, W @ k, r, s, eta=1))
    return proof.evidence(change, asserted.formula)


def check_memit(formula: sympy.Expr) -> Evidence:
    """MEMIT for one key: the published solve r kᵀ(A + kkᵀ)⁻¹, A = λC, is the partial write M = A⁻¹, η = s/(1+s)."""
    a = rank_one(("A", "A⁻¹"), inverses("A", "A⁻¹"))
    W, k, r, A, inverse = map(a, ("W", "k", "r", "A", "A⁻¹"))
    s = (k.T @ inverse @ k).number()
    solve = inverse - inverse @ k @ k.T @ inverse / (1 + s)
    proof = Proof()
    proof.say(f"A = λC is positive definite, s = {s}; Sherman and Morrison's inverse of A + kkᵀ is G = {solve}")
    proof.equal("(A + kkᵀ)·G", (A + k @ k.T) @ solve, a.eye("n"))
    eta = s / (1 + s)
    delta = eta / s * (r @ (inverse @ k).T)
    proof.equal("the published r·kᵀ·G is η r(Mk)ᵀ/s with M = A⁻¹, η = s/(1+s): r·kᵀ·G", r @ k.T @ solve, delta)
    change = (W + delta).norm_sq(A) - W.norm_sq(A)
    proof.equal("tr((W+Δ)A(W+Δ)ᵀ) − tr(W A Wᵀ)", change, put_in(formula, W @ k, r, s, eta))
    return proof.evidence(sympy.factor(change), formula)


def check_alphaedit(readout: str) -> Evidence:
    """AlphaEdit for one key: its non-symmetric system, its solution, and the change of ‖WP‖²_B, B = P·cache·P + L2·I.

    Args:
        readout: the word that is asserted to stand in [2η r·(readout) + η²‖r‖²]/s.
    """
    ridge = sympy.Symbol("L2", positive=True)
    free = rank_one(("P", "cache"), projector("P"))
    P, cache = free("P"), free("cache")
    written_out = P @ cache @ P + ridge * free.eye("n")
    proof = Proof()
    proof.say("P = Pᵀ = P·P; cache = Σ kkᵀ of past keys; B = P·cache·P + L2·I, positive definite for L2 > 0")
    proof.equal("B commutes with P, and so does B⁻¹: B·P", written_out @ P, P @ written_out)

    known = (*inverses("B", "B⁻¹"), *projector("P"), *commuting("P", "B"), *commuting("P", "B⁻¹"))
    inside = (("P cache P", {"P B": 1, "P": -ridge}),)  # B·P = P·cache·P + L2·P
    a = rank_one(("P", "B", "B⁻¹", "cache"), (*known, *inside))
    W, k, r, x, P, B, inverse, cache = map(a, ("W", "k", "r", "x", "P", "B", "B⁻¹", "cache"))
    M = P @ inverse @ P
    s = (k.T @ M @ k).number()
    proof.say(f"M = P·B⁻¹·P = {M}, s = kᵀMk = {s}")
    system = P @ (k @ k.T + cache) + ridge * a.eye("n")
    solution = M @ k / (1 + s)
    proof.equal("the published system at X = Mk/(1+s), (P(kkᵀ + cache) + L2·I)X", system @ solution, P @ k)
    proof.say("it is the only one: L2·X = P(k − (kkᵀ + cache)X), so X = PX for every solution; then")
    X = P @ x
    proof.equal("P·cache·X, not symmetrised, is P·cache·P·X for X = Px: P·cache·P·x", P @ cache @ X, P @ cache @ P @ X)
    solve = inverse - inverse @ P @ k @ k.T @ P @ inverse / (1 + s)
    proof.equal("G = (B + Pk(Pk)ᵀ)⁻¹: G(B + Pk(Pk)ᵀ)", solve @ (B + P @ k @ k.T @ P), a.eye("n"))
    proof.equal("G·(system·X − Pk) = X − Mk/(1+s): the left side", solve @ (system @ X - P @ k), X - solution)
    eta = s / (1 + s)
    delta = eta / s * (r @ (M @ k).T)
    proof.equal("the update r·Xᵀ is the partial write η r(Mk)ᵀ/s with η = s/(1+s)", r @ solution.T, delta)
    change = ((W + delta) @ P).norm_sq(B) - (W @ P).norm_sq(B)
    cross, square = (r.T @ a(readout)).number(), (r.T @ r).number()
    proof.equal("‖(W+Δ)P‖²_B − ‖WP‖²_B", change, (2 * eta * cross + eta**2 * square) / s)
    return proof.evidence(sympy.factor(change), f"[2η r·({readout.replace(' ', '')}) + η²‖r‖²]/s")


def check_batch(formula: sympy.Expr) -> Evidence:
    """A batch Δ = R T (MK)ᵀ of u keys with any gain T, and MEMIT's batch as the case T = (I + H)⁻¹."""
    shapes = {"W": ("m", "n"), "K": ("n", "u"), "R": ("m", "u"), "T": ("u", "u")}
    shapes |= {"A": ("n", "n"), "M": ("n", "n")}
    a = Algebra(shapes, ("A", "M"), inverses("A", "M"))
    W, K, R, T, A, M = map(a, ("W", "K", "R", "T", "A", "M"))
    H = K.T @ M @ K
    delta = R @ T @ (M @ K).T
    proof = Proof()
    proof.say(f"M = A⁻¹, H = KᵀMK, Δ = {delta}, T any u×u matrix")
    change = (W + delta).norm_sq(A) - W.norm_sq(A)
    stands = {
        BATCH_CROSS: (R @ T @ (W @ K).T).trace(),
        BATCH_SQUARE: (R @ T @ H @ T.T @ R.T).trace(),
    }
    proof.equal("tr((W+Δ)A(W+Δ)ᵀ) − tr(W A Wᵀ)", change, formula.subs(stands, simultaneous=True))
    gain = ("T Kᵀ M K", {"": 1, "T": -1})  # T(I + H) = I, and so (I + H)T = I
    b = Algebra(shapes, ("A", "M", "T"), (*inverses("A", "M"), gain))
    K, R, T, A, M = map(b, ("K", "R", "T", "A", "M"))
    proof.say("MEMIT: T = Tᵀ = (I + H)⁻¹, that is T·KᵀMK = I − T")
    proof.equal("Δ solves Δ(A + KKᵀ) = RKᵀ: R·T·(MK)ᵀ(A + KKᵀ)", R @ T @ (M @ K).T @ (A + K @ K.T), R @ K.T)
    proof.say("A = λC is positive definite, so T exists, A + KKᵀ is invertible and this is the one solution")
    return proof.evidence(change, formula)


def claims() -> tuple[Claim[Any], ...]:
    """T1's identity, the published rules as its cases, and its batch form (T2)."""
    partial = "‖W+Δ‖²_{M⁻¹} − ‖W‖²_{M⁻¹} = [η(‖v‖² − ‖Wk‖²) − η(1−η)‖r‖²]/s"
    return (
        Claim(
            "T1.identity", "T1", Kind.PROVED,
            f"For every W (m, n), k, v, r = v − Wk, η, symmetric invertible M with s = kᵀMk ≠ 0, and Δ = η r(Mk)ᵀ/s: "
            f"{partial}, ‖X‖²_A = tr(X A Xᵀ).",
            check_identity, MASTER, HARD, "the same without the term −η(1−η)‖r‖²/s",
        ),
        Claim(
            "T1.identity_metric", "P4", Kind.PROVED,
            "The hard write with C = I, W' = W + (v − Wk)kᵀ/‖k‖² for k ≠ 0, meets W'k = v and changes ‖W‖²_F by "
            "exactly (‖v‖² − ‖Wk‖²)/‖k‖².",
            check_identity_metric, HARD, RESIDUAL_SQ / S, "the change is ‖v − Wk‖²/‖k‖²",
        ),
        Claim(
            "T1.rome", "T1", Kind.PROVED,
            "ROME's equation W' = W + (v − Wk)(C⁻¹k)ᵀ/s, s = kᵀC⁻¹k, with any positive definite C and k ≠ 0, meets "
            "W'k = v and changes ‖W‖²_C by (‖v‖² − ‖Wk‖²)/s.",
            check_rome, Change(HARD, "C"), Change(HARD), "‖W‖²_F changes by that amount (I for C)",
        ),
        Claim(
            "T1.memit", "T1", Kind.PROVED,
            "MEMIT's r kᵀ(λC + kkᵀ)⁻¹, A = λC positive definite, is the partial write M = A⁻¹, η = s/(1+s), for k ≠ 0, "
            "and obeys the identity in the norm of A.",
            check_memit, MASTER, HARD, "‖W‖²_A changes by (‖v‖² − ‖Wk‖²)/s, as if MEMIT were a hard write",
        ),
        Claim(
            "T1.alphaedit", "T1", Kind.PROVED,
            "For an orthogonal projector P, cache = Σkkᵀ of past keys and L2 > 0, AlphaEdit's system (P(kkᵀ + cache) + "
            "L2·I)X = Pk has the one solution X = Mk/(1+s), M = PB⁻¹P, B = P·cache·P + L2·I, s = kᵀMk. For Pk ≠ 0 W' = "
            "W + rXᵀ is the partial write in M with η = s/(1+s), and ‖W'P‖²_B − ‖WP‖²_B = [2η r·(WPk) + η²‖r‖²]/s.",
            check_alphaedit, "W P k", "W k", "the same with Wk for WPk",
        ),
        Claim(
            "T1.batch", "T2", Kind.PROVED,
            "For a batch Δ = R T(MK)ᵀ, H = KᵀMK, any R, T (u, u) and symmetric invertible M: ‖W+Δ‖²_{M⁻¹} − ‖W‖²_{M⁻¹} "
            "= 2 tr(R T(WK)ᵀ) + tr(R T H TᵀRᵀ); MEMIT's batch RKᵀ(A + KKᵀ)⁻¹, A = λC positive definite, is M = A⁻¹, "
            "T = (I + H)⁻¹.",
            check_batch, 2 * BATCH_CROSS + BATCH_SQUARE, BATCH_CROSS + BATCH_SQUARE, "the cross term counted once",
        ),
    )  # fmt: skip
