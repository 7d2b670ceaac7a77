"""T1's consequences: when a write grows the norm, and what becomes of the identity in another norm than its own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import sympy

from theory.claim import Claim, Evidence, Kind, Verdict
from theory.provers.prove import Proof
from theory.provers.trace_algebra import Algebra
from theory.writes.identities import ETA, HARD, MASTER, READ_SQ, RESIDUAL_SQ, VALUE_SQ, S, put_in, rank_one

FROBENIUS_CROSS, RAISED_SQ, SHIFT_SQ, SHIFT_READ = sympy.symbols("r·WMk ‖Mk‖² ‖δ‖² δ·Wk", real=True)
SMALL, LARGE = sympy.symbols("λmin λmax", positive=True)


def check_frobenius(formula: sympy.Expr) -> Evidence:
    """‖W+Δ‖²_F − ‖W‖²_F for Δ = η r (Mk)ᵀ/s and any symmetric M."""
    a = rank_one(("M",))
    W, k, r, M = map(a, ("W", "k", "r", "M"))
    s = (k.T @ M @ k).number()
    delta = ETA / s * (r @ (M @ k).T)
    proof = Proof()
    proof.say(f"Δ = {delta}, s = {s}; no inverse of M is used")
    change = sympy.expand((W + delta).norm_sq() - W.norm_sq())
    stands = {FROBENIUS_CROSS: (r.T @ W @ M @ k).number(), RAISED_SQ: (k.T @ M @ M @ k).number()}
    asserted = put_in(formula.subs(stands, simultaneous=True), W @ k, r, s)
    proof.equal("tr((W+Δ)(W+Δ)ᵀ) − tr(W Wᵀ)", change, asserted)
    return proof.evidence(change, formula)


@dataclass(frozen=True)
class Instance:
    """A hard write in exact numbers.

    Attributes:
        weights: several W (m, n), each edited alone.
        key: k (n,).
        flip: v = flip·Wk.
        covariance: C (n, n).
    """

    weights: tuple[tuple[tuple[int, ...], ...], ...]
    key: tuple[int, ...]
    flip: int
    covariance: tuple[tuple[int, ...], ...]


def check_frobenius_counterexample(instance: Instance) -> Evidence:
    """P4 read in the Frobenius norm fails on every weight of the instance, growing and shrinking, in exact numbers."""
    k, C = sympy.Matrix(instance.key), sympy.Matrix(instance.covariance)
    raised = C.LUsolve(k)
    s = (k.T * raised)[0]
    proof, changes = Proof(), []
    proof.say(f"C = {C.tolist()}, k = {tuple(k)}, C⁻¹k = {tuple(raised)}, s = kᵀC⁻¹k = {s}")
    for weight in map(sympy.Matrix, instance.weights):
        value = instance.flip * weight * k
        after = weight + (value - weight * k) * raised.T / s
        proof.equal("the write meets its target, W'k − v", (after * k - value).norm(), sympy.Integer(0))
        change = (after * after.T - weight * weight.T).trace()
        formula = (value.dot(value) - (weight * k).dot(weight * k)) / s
        in_metric = (after * C * after.T - weight * C * weight.T).trace()
        proof.equal("in the norm of C the change is (‖v‖² − ‖Wk‖²)/s", in_metric, formula)
        proof.say(f"W = {weight.tolist()}, v = {tuple(value)}, W' = {after.tolist()}")
        proof.holds(f"‖W'‖²_F − ‖W‖²_F = {change} is not (‖v‖² − ‖Wk‖²)/s = {formula}", change != formula)
        changes.append(change)
    proof.holds(f"one change is positive and one negative: {changes}", min(changes) < 0 < max(changes))
    return proof.evidence(", ".join(map(str, changes)), "0 by P4's formula")


def check_growth_condition(condition: sympy.Expr) -> Evidence:
    """The sign of the change at a write is the sign of `condition`."""
    a = rank_one(("M", "M⁻¹"))
    read, shift = a("W") @ a("k"), a("r")
    proof = Proof()
    stands = {SHIFT_SQ: (shift.T @ shift).number(), SHIFT_READ: (shift.T @ read).number()}
    excess = VALUE_SQ - READ_SQ - (1 - ETA) * RESIDUAL_SQ
    form = ETA * SHIFT_SQ + 2 * SHIFT_READ
    proof.say("with v = Wk + δ the residual r is δ; T1.identity's bracket is η times the excess below")
    proof.equal("T1's change", MASTER, ETA * excess / S)
    proof.equal(
        "‖v‖² − ‖Wk‖² − (1−η)‖r‖² is η‖δ‖² + 2δ·Wk",
        put_in(excess, read, shift, S),
        form.subs(stands, simultaneous=True),
    )
    change = ETA * form / S
    in_shift = {VALUE_SQ: READ_SQ + 2 * SHIFT_READ + SHIFT_SQ, RESIDUAL_SQ: SHIFT_SQ}
    gram = [READ_SQ >= 0, SHIFT_SQ >= 0, SHIFT_READ**2 <= READ_SQ * SHIFT_SQ]
    asserted = sympy.expand(condition.subs(in_shift, simultaneous=True))
    given = [*gram, ETA <= 1]
    proof.follows("growth iff the condition", given, sympy.Equivalent(change > 0, asserted > 0))
    return proof.evidence(f"{form} > 0", f"{condition} > 0")


def check_norm_equivalence(bounds: tuple[sympy.Expr, sympy.Expr]) -> Evidence:
    """Lower·‖W‖²_F ≤ ‖W‖²_C ≤ upper·‖W‖²_F, and one exponential rate in both norms."""
    a = Algebra({"W": ("m", "n"), "L": ("n", "n"), "Q": ("n", "n")})
    W, L, Q, eye = a("W"), a("L"), a("Q"), a.eye("n")
    plain, above, below, general = W.norm_sq(), (W @ L).norm_sq(), (W @ Q).norm_sq(), sympy.Symbol("‖W‖²_C", real=True)
    proof = Proof()
    proof.say("C − λmin·I and λmax·I − C are positive semidefinite, so they are L·Lᵀ and Q·Qᵀ")
    proof.equal("‖W‖²_C for C = λmin·I + L·Lᵀ", W.norm_sq(SMALL * eye + L @ L.T), SMALL * plain + above)
    proof.equal("‖W‖²_C for C = λmax·I − Q·Qᵀ", W.norm_sq(LARGE * eye - Q @ Q.T), LARGE * plain - below)
    R, up, down = sympy.symbols("‖W‖²_F ‖WL‖² ‖WQ‖²", nonnegative=True)
    given = [SMALL <= LARGE, sympy.Eq(general, SMALL * R + up), sympy.Eq(general, LARGE * R - down)]
    lower, upper = bounds
    proof.follows("the sandwich", given, sympy.And(lower * R <= general, general <= upper * R))
    t = sympy.Symbol("t", positive=True)
    proof.say("so for R > 0, (1/t) log‖W_t‖²_C − (1/t) log‖W_t‖²_F lies between log(λmin)/t and log(λmax)/t")
    for bound in (SMALL, LARGE):
        proof.equal(f"lim log({bound})/t for t → ∞", sympy.limit(sympy.log(bound) / t, t, sympy.oo), sympy.Integer(0))
    return proof.evidence(f"{SMALL}, {LARGE}", ", ".join(map(str, bounds)))


COUNTEREXAMPLE = Instance((((1, 0),), ((0, 1),)), (1, 1), -1, ((1, 0), (0, 4)))


def claims() -> tuple[Claim[Any], ...]:
    """What T1 says of growth and of other norms."""
    cross, square = 2 * ETA * FROBENIUS_CROSS / S, ETA**2 * RESIDUAL_SQ * RAISED_SQ / S**2
    return (
        Claim(
            "T1.frobenius", "T1", Kind.PROVED,
            "‖W+Δ‖²_F − ‖W‖²_F = 2η r·WMk/s + η²‖r‖²‖Mk‖²/s² for Δ = η r(Mk)ᵀ/s, any W, k, r, η and symmetric M, "
            "invertible or not, s = kᵀMk ≠ 0.",
            check_frobenius, cross + square, MASTER, "it is T1's right-hand side for every M (I for M)",
        ),
        Claim(
            "T1.frobenius_counterexample", "P4", Kind.PROVED,
            "P4 for C ≠ I: a ROME write changes ‖W‖²_F by (‖v‖² − ‖Wk‖²)/s. False: with ‖v‖ = ‖Wk‖ and C = diag(1, 4) "
            "one weight's norm grows and another's shrinks.",
            check_frobenius_counterexample, COUNTEREXAMPLE,
            Instance(COUNTEREXAMPLE.weights, (1, 1), -1, ((1, 0), (0, 1))),
            "the same write with C = I is a counterexample too", Verdict.FALSE,
        ),
        Claim(
            "T1.growth_condition", "T1", Kind.PROVED,
            "‖W‖²_{M⁻¹} grows at a partial write Δ = η r(Mk)ᵀ/s, r = v − Wk, M symmetric invertible, s = kᵀMk > 0, "
            "0 < η ≤ 1, iff ‖v‖² − ‖Wk‖² > (1−η)‖r‖², that is iff η‖δ‖² + 2δ·Wk > 0 for v = Wk + δ.",
            check_growth_condition, VALUE_SQ - READ_SQ - (1 - ETA) * RESIDUAL_SQ, S * HARD,
            "it grows iff ‖v‖ > ‖Wk‖, whatever η",
        ),
        Claim(
            "T1.norm_equivalence", "T1", Kind.PROVED,
            "λmin‖W‖²_F ≤ ‖W‖²_C ≤ λmax‖W‖²_F for positive definite C of extreme eigenvalues λmin and λmax. So along "
            "any sequence W_t ≠ 0, for one C fixed throughout, (1/t) log‖W_t‖²_C − (1/t) log‖W_t‖²_F → 0: both have "
            "one exponential rate, if any. (Nothing is said of a metric A_t that changes with t.)",
            check_norm_equivalence, (SMALL, LARGE), (LARGE, SMALL), "the two eigenvalues exchanged",
        ),
    )  # fmt: skip
