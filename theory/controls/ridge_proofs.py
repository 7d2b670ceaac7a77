"""T4's claims on the ridge: a matched one lowers the exponent and never to zero, a mismatched one may raise it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import sympy

from theory.claim import Claim, Evidence, Kind, Verdict
from theory.controls import increments as controls
from theory.growth.isotropic_proofs import c, n
from theory.provers.prove import Proof
from theory.writes.identities import S

LAMBDA, MORE = sympy.symbols("λ λ'", positive=True)


def check_ridge(share: Callable[..., sympy.Expr]) -> Evidence:
    """The written share η(λ) of A = λC, and the exponent's excess η²c²/n, as functions of λ."""
    proof = Proof()
    raised = S / LAMBDA
    proof.say("A = λC: kᵀA⁻¹k = s/λ with s = kᵀC⁻¹k; T1.memit's η is x/(1+x) at x = s/λ")
    eta = share(S, LAMBDA)
    proof.equal("η", raised / (1 + raised), eta)
    proof.follows("0 < η < 1 for every λ", [], sympy.And(eta > 0, eta < 1))
    proof.follows("it falls as λ grows", [MORE > LAMBDA], share(S, MORE) < eta)
    excess = eta**2 * c**2 / n
    proof.follows("so does the excess η²c²/n, and it is never 0", [MORE > LAMBDA, c > 0],
                  sympy.And(excess.subs(LAMBDA, MORE) < excess, excess.subs(LAMBDA, MORE) > 0))  # fmt: skip
    tail = sympy.limit(LAMBDA**2 * excess, LAMBDA, sympy.oo)
    proof.equal("λ² times it for λ → ∞", tail, S**2 * c**2 / n)
    proof.equal("its limit for λ → 0, a hard write's", sympy.limit(excess, LAMBDA, 0), c**2 / n)
    proof.say("η ≤ 1: E[η²] → 1 for λ → 0 by dominated convergence, and η < η' pointwise gives E[η²] < E[η'²]")
    proof.follows("λ²η² ≤ s²: so does λ²E[η²] → E s² for λ → ∞, where E s² is finite", [],
                  LAMBDA**2 * eta**2 <= S**2)  # fmt: skip
    proof.say("isotropic x = C^(−1/2)k: η depends on ‖x‖² = s alone, which is independent of x's direction,")
    proof.say("so T4.relative_clamp's step holds given s, and E R' = (1 + E[η²]c²/n) R")
    return proof.evidence(eta, S / (LAMBDA + S))


@dataclass(frozen=True)
class TwoKeys:
    """Two equally likely keys, a weighting λ of their own covariance C = E[kkᵀ], and a ridge ϱ added to it.

    Attributes:
        keys: (2, 2), one key a row.
        weighting: λ.
        ridge: ϱ.
        radii: ρ as asserted, without ϱ and with it, to three digits.
    """

    keys: tuple[tuple[int, int], tuple[int, int]]
    weighting: sympy.Rational
    ridge: sympy.Rational
    radii: tuple[float, float]


def largest_root(matrix: sympy.Matrix) -> sympy.Expr:
    """The spectral radius of a 2 × 2 matrix of nonnegative entries, exactly."""
    half = matrix.trace() / 2
    return half + sympy.sqrt(half**2 - matrix.det())


def check_ridge_mismatch(example: TwoKeys) -> Evidence:
    """With ϱI added to λC the shares η fall and the mean exponent rises: exact numbers."""
    keys = [sympy.Matrix(key) for key in example.keys]
    C = sum((k * k.T for k in keys), sympy.zeros(2, 2)) / 2
    proof, found = Proof(), []
    proof.say(
        "E[δ | k, W] = 0 and E‖δ‖² = c²‖Wk‖²: S = E WᵀW obeys S' = S + c² E[(kᵀSk) uuᵀ], u = (A + kkᵀ)⁻¹k = ηMk/s"
    )
    proof.say("so x_i = k_iᵀSk_i obeys x' = (I + c²G)x, G_ij = (k_iᵀu_j)²/2 ≥ 0: x grows by 1 + c²ρ(G) in the end, and")
    proof.say("so does tr S, since trS' − trS is a positive combination of x")
    for ridge in (sympy.Integer(0), example.ridge):
        A = example.weighting * C + ridge * sympy.eye(2)
        solved = [(A + k * k.T).LUsolve(k) for k in keys]
        G = sympy.Matrix(2, 2, lambda i, j, solved=solved: keys[i].dot(solved[j]) ** 2 / 2)
        shares = [k.dot(u) for k, u in zip(keys, solved, strict=True)]
        found.append((largest_root(G), shares))
        proof.say(f"ϱ = {ridge}: η = {shares}, G = {G.tolist()}, ρ(G) = {sympy.N(found[-1][0], 6)}")
        for value in G.eigenvals():
            proof.holds(f"ρ(G) is at least the eigenvalue {sympy.N(value, 6)}", found[-1][0] >= value)
    for (radius, _), asserted in zip(found, example.radii, strict=True):
        proof.agree("ρ(G) as asserted", radius, asserted, rtol=2e-3)
    (before, first), (after, second) = found
    lower = all(x > y for x, y in zip(first, second, strict=True))
    proof.holds(f"every share falls: {first} to {second}", lower)
    proof.holds(f"and the exponent rises: {sympy.N(before, 6)} < {sympy.N(after, 6)}", before < after)
    return proof.evidence(sympy.N(after, 6), f"at most {sympy.N(before, 6)} if a ridge always lowered it")


def claims() -> tuple[Claim[Any], ...]:
    """The ridge of the solve."""
    hundredth, tenth = sympy.Rational(1, 100), sympy.Rational(1, 10)
    return (
        Claim(
            "T4.ridge", "P6", Kind.PROVED,
            "A larger ridge lowers the mean's exponent and never to zero: memoryless A = λC, C^(−1/2)k isotropic (of "
            "a law that no rotation changes) and independent of the past, P(k = 0) = 0, E[δ·Wk | k, W] = 0, E[‖δ‖² | "
            "k, W] = c²‖Wk‖², c > 0: E R' = (1 + E[η²]c²/n)R in the norm of C, η = s/(λ + s), s = kᵀC⁻¹k; the excess "
            "falls strictly in λ, from c²/n, like E[s²]c²/(nλ²) where E s² is finite.",
            check_ridge, controls.ridge_share, lambda s, ridge: s / (1 + ridge * s), "η = s/(1 + λs)",
        ),
        Claim(
            "T4.ridge_mismatch", "P6", Kind.PROVED,
            "Adding a ridge ϱI to λC (ENCORE) lowers the mean exponent, since it lowers every η. False: keys (1, 0) "
            "and (2, 1), equally likely, C their own covariance, λ = 1/100, ϱ = 1/10, E‖W_t‖² growing by 1 + c²ρ in "
            "the end: both η fall and ρ rises from 0.495 to 0.765; the ridge makes the metric see the keys as alike.",
            check_ridge_mismatch, TwoKeys(((1, 0), (2, 1)), hundredth, tenth, (0.495, 0.765)),
            TwoKeys(((1, 0), (0, 1)), hundredth, tenth, (0.495, 0.765)), "orthogonal keys are a counterexample too",
            Verdict.FALSE,
        ),
    )  # fmt: skip
