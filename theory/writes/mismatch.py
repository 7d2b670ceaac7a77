"""T1 where it fails: writes whose key, value or pull differ from the partial write that their rule is named for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import sympy

from theory.claim import Claim, Evidence, Kind
from theory.provers.prove import Proof
from theory.provers.trace_algebra import Algebra, Expression, inverses
from theory.writes.identities import ETA, MASTER, READ_SQ, RESIDUAL_SQ, VALUE_SQ, S, put_in, rank_one

MIXED = sympy.Symbol("kᵀC⁻¹k̄", real=True)  # p: of either sign, and not 0 where there is a write
OWN, MEAN = sympy.symbols("kᵀC⁻¹k k̄ᵀC⁻¹k̄", positive=True)  # q and q̄
MEAN_CROSS = sympy.Symbol("r·Wk̄", real=True)
SQUARE = RESIDUAL_SQ * MEAN / MIXED**2


@dataclass(frozen=True)
class Mismatch:
    """What original ROME's write is asserted to do.

    Attributes:
        moved: (W' − W)k̄ as a multiple of r.
        change: ‖W'‖²_C − ‖W‖²_C.
    """

    moved: sympy.Expr
    change: sympy.Expr


def released_rome() -> tuple[dict[str, Expression], dict[sympy.Symbol, sympy.Expr]]:
    """The letters W, k, k̄, r, C, C⁻¹ and Δ = r(C⁻¹k̄)ᵀ/kᵀC⁻¹k̄, and what the symbols above stand for."""
    shapes: Any = {"W": ("m", "n"), "k": ("n", 1), "k̄": ("n", 1), "r": ("m", 1), "C": ("n", "n"), "C⁻¹": ("n", "n")}
    a = Algebra(shapes, ("C", "C⁻¹"), inverses("C", "C⁻¹"))
    of = {letter: a(letter) for letter in shapes}
    W, k, mean, r, inverse = (of[letter] for letter in ("W", "k", "k̄", "r", "C⁻¹"))
    mixed = (k.T @ inverse @ mean).number()
    of["Δ"] = r @ (inverse @ mean).T / mixed
    stands = {
        MIXED: mixed,
        OWN: (k.T @ inverse @ k).number(),
        MEAN: (mean.T @ inverse @ mean).number(),
        MEAN_CROSS: (r.T @ W @ mean).number(),
        RESIDUAL_SQ: (r.T @ r).number(),
    }
    return of, stands


def check_mismatch(asserted: Mismatch) -> Evidence:
    """Original ROME: u from the averaged key k̄, residual and denominator from the bare key k."""
    of, stands = released_rome()
    W, k, mean, r, C, delta = (of[letter] for letter in ("W", "k", "k̄", "r", "C", "Δ"))
    proof = Proof()
    proof.say(f"u = C⁻¹k̄ up to a factor that cancels, r = v − Wk, p = kᵀC⁻¹k̄ ≠ 0: Δ = {delta}")
    proof.equal("at the bare key the target is met, W'k", (W + delta) @ k, W @ k + r)
    moved = asserted.moved.subs(stands, simultaneous=True)
    proof.equal("at the averaged key, W'k̄ − Wk̄", delta @ mean, moved * r)
    off = W @ (mean - k) + (moved - 1) * r
    proof.equal("so it misses v there by W(k̄ − k) + (q̄/p − 1)r: W'k̄ − v", (W + delta) @ mean - (W @ k + r), off)
    change = sympy.expand((W + delta).norm_sq(C) - W.norm_sq(C))
    proof.equal("‖W'‖²_C − ‖W‖²_C", change, asserted.change.subs(stands, simultaneous=True))
    return proof.evidence(change, asserted.change)


def check_amplified(least: sympy.Expr) -> Evidence:
    """The quadratic term of the mismatched write against `least`, that of a write that also maps k to Wk + r."""
    of, stands = released_rome()
    k, mean, inverse, r, C = (of[letter] for letter in ("k", "k̄", "C⁻¹", "r", "C"))
    proof = Proof()
    proof.equal("‖Δ‖²_C", of["Δ"].norm_sq(C), SQUARE.subs(stands, simultaneous=True))
    matched = r @ (inverse @ k).T / stands[OWN]
    proof.equal("‖Δ‖²_C of the matched write at k", matched.norm_sq(C), (RESIDUAL_SQ / OWN).subs(stands))
    apart = mean - (stands[MIXED] / stands[OWN]) * k
    gap = OWN * MEAN - MIXED**2
    asserted = (gap / OWN).subs(stands, simultaneous=True)
    proof.equal("y = k̄ − (p/q)k: yᵀC⁻¹y", (apart.T @ inverse @ apart).number(), asserted)
    proof.say("C⁻¹ is positive definite, so yᵀC⁻¹y ≥ 0, and it is 0 only for y = 0, that is for k̄ on the line of k")
    proof.follows("‖Δ‖²_C ≥ least", [MIXED**2 > 0, gap >= 0, RESIDUAL_SQ >= 0], least <= SQUARE)
    cosine = MIXED**2 / (OWN * MEAN)
    proof.equal("‖Δ‖²_C is least/cos², cos² = p²/(q q̄)", SQUARE, least / cosine)
    return proof.evidence(RESIDUAL_SQ / OWN, least)


def check_infinite_mean(power: sympy.Expr) -> Evidence:
    """The mean of ‖Δ‖²_C ∝ |p|^(−power) for a law of p with a density that is positive around 0."""
    p, end, density = sympy.symbols("p ε d", positive=True)
    proof = Proof()
    term = SQUARE.subs(MIXED, p)
    proof.equal("the growth of an unbiased shift, times |p|^power, is free of p", term * p**power, RESIDUAL_SQ * MEAN)
    mass = 2 * density * sympy.integrate(p ** (-power), (p, 0, end))
    proof.say("E[r | k] = 0 leaves E[‖W'‖² | k] = ‖W‖² + q̄ E[‖r‖² | k]/p², and a mean over p, all terms ≥ 0")
    proof.say("p's density is at least d > 0 on (−ε, ε), so E|p|^(−power) ≥ 2d ∫_0^ε p^(−power) dp")
    proof.holds(f"2d ∫_0^ε p^(−{power}) dp = {mass} is infinite", mass == sympy.oo)
    return proof.evidence(mass, f"power {power}")


def check_rlsedit_released(reached: sympy.Expr) -> Evidence:
    """RLSEdit's released code: z − h stands where the value stood, so that W'k = `reached`·Wk + η(z − h)."""
    a = rank_one(("A", "M"), inverses("A", "M"))
    W, k, q, A, M = map(a, ("W", "k", "r", "A", "M"))
    s = (k.T @ M @ k).number()
    eta = s / (1 + s)
    updated = M - M @ k @ k.T @ M / (1 + s)
    delta = (q - W @ k) @ k.T @ updated
    proof = Proof()
    proof.say("q = z − h is written r in the words below; M = C_{t−1}, A = M⁻¹; Δ = (q − Wk)kᵀC_t")
    proof.equal("W'k", (W + delta) @ k, reached.subs(ETA, eta) * (W @ k) + eta * q)
    proof.equal("it is Δ = η(q − Wk)(Mk)ᵀ/s", delta, eta / s * ((q - W @ k) @ (M @ k).T))
    change = (W + delta).norm_sq(A) - W.norm_sq(A)
    proof.equal("so T1 with v = q: ‖W'‖²_A − ‖W‖²_A", change, put_in(MASTER, W @ k, q - W @ k, s, eta))
    given = [RESIDUAL_SQ >= 0, VALUE_SQ <= READ_SQ, ETA <= 1]
    proof.follows("no growth while ‖q‖ ≤ ‖Wk‖", given, MASTER <= 0)
    t, first = sympy.symbols("t s_0", positive=True)
    now, left = first / (1 + t * first), 1 / (1 + t * first)
    absorbed = (k.T @ updated @ k).number().subs((k.T @ M @ k).number(), now)
    proof.equal("the absorbed key: s of the next write, for s = s_0/(1 + t·s_0)", absorbed, now.subs(t, t + 1))
    kept = reached.subs(ETA, now / (1 + now))
    proof.equal("what the write after t others leaves of Wk − q", left * kept, left.subs(t, t + 1))
    c = sympy.Symbol("c", nonnegative=True)
    apart = MASTER.subs({VALUE_SQ: c**2 * READ_SQ, RESIDUAL_SQ: (1 + c**2) * READ_SQ}, simultaneous=True)
    proof.equal("q ⟂ Wk, ‖q‖ = c‖Wk‖: the change", apart, ETA * (ETA * c**2 - (2 - ETA)) * READ_SQ / S)
    return proof.evidence(f"{1 - ETA}", reached)


def check_lyaplock(pull: sympy.Expr) -> Evidence:
    """LyapLock's step: the partial write plus `pull`·(B − WA)(A + kkᵀ)⁻¹, and what it solves."""
    shapes: Any = {"W": ("m", "n"), "k": ("n", 1), "r": ("m", 1), "B": ("m", "n"), "A": ("n", "n"), "M": ("n", "n")}
    a = Algebra(shapes, ("A", "M"), inverses("A", "M"))
    W, k, r, B, A, M = map(a, ("W", "k", "r", "B", "A", "M"))
    s = (k.T @ M @ k).number()
    eta = s / (1 + s)
    solve = M - M @ k @ k.T @ M / (1 + s)
    proof = Proof()
    proof.say("divided by V: A = (aZλ/V)C + G_kk, positive definite, B = (aZλ/V)V0K0ᵀ + G_vk, M = A⁻¹")
    proof.equal("G = (A + kkᵀ)⁻¹: (A + kkᵀ)·G", (A + k @ k.T) @ solve, a.eye("n"))
    published = (r @ k.T + B - W @ A) @ solve
    asserted = eta / s * (r @ (M @ k).T) + pull * ((B - W @ A) @ solve)
    proof.equal("the published [rkᵀ + B − WA]·G is η r(Mk)ᵀ/s and a pull", published, asserted)
    proof.equal("W' solves W'(A + kkᵀ) = B + vkᵀ, free of W but for v", (W + published) @ (A + k @ k.T),
                B + (W @ k + r) @ k.T)  # fmt: skip
    proof.say("G is invertible, so the pull vanishes iff WA = B, that is iff W is the least-squares fit of the past")
    return proof.evidence(1, pull)


def claims() -> tuple[Claim[Any], ...]:
    """What released code writes where it departs from the published rule, and the rule with a pull."""
    change = 2 * MEAN_CROSS / MIXED + SQUARE
    return (
        Claim(
            "T1.mismatch", "T1", Kind.PROVED,
            "Original ROME's code, C positive definite, u = C⁻¹k̄, r = v − Wk, p = kᵀC⁻¹k̄ ≠ 0 of either sign, q̄ = "
            "k̄ᵀC⁻¹k̄: W'k = v, but W'k̄ = Wk̄ + (q̄/p)r, which is v iff W(k̄ − k) = (1 − q̄/p)r, and ‖W'‖²_C − ‖W‖²_C "
            "= 2 r·(Wk̄)/p + ‖r‖²q̄/p². At p = 0 there is no write.",
            check_mismatch, Mismatch(MEAN / MIXED, change), Mismatch(MEAN / MIXED, change.subs(MEAN, MIXED)),
            "the quadratic term is ‖r‖²/p, as with one key",
        ),
        Claim(
            "T1.mismatch_amplified", "T1", Kind.PROVED,
            "In original ROME (C positive definite, p ≠ 0) the quadratic term of the change, ‖Δ‖²_C = ‖r‖²q̄/p², is "
            "exactly 1/cos² ≥ 1 times the ‖r‖²/q of the matched write at the bare key, q = kᵀC⁻¹k, cos² = p²/(q q̄) of "
            "the angle between k and k̄ in C⁻¹; equal for r ≠ 0 iff k̄ lies on k's line. (The cross terms differ too: "
            "2r·Wk̄/p against 2r·Wk/q.)",
            check_amplified, RESIDUAL_SQ / OWN, RESIDUAL_SQ / MEAN,
            "the same against ‖r‖²/q̄, the matched write at the averaged key",
        ),
        Claim(
            "T1.mismatch_mean", "T1", Kind.PROVED,
            "One edit of original ROME, C positive definite, has E‖W'‖²_C = ∞, given W and k̄ ≠ 0, when p = kᵀC⁻¹k̄ "
            "has a density that is bounded below by a positive number around 0 (as for k Gaussian given k̄, of any "
            "positive definite covariance and any mean), and, given W and k̄, E[r | k] = 0 and E[‖r‖² | p] is bounded "
            "below by a positive number for such p.",
            check_infinite_mean, sympy.Integer(2), sympy.Rational(1, 2), "the growth is of order |p|^(−1/2)",
        ),
        Claim(
            "T1.rlsedit_released", "T1", Kind.PROVED,
            "RLSEdit's released code (no spread), M = C_{t−1} positive definite, A = M⁻¹, k ≠ 0, η = s/(1+s), puts q = "
            "z − h in the value's place: W'k = (1−η)Wk + ηq, and N writes in a row of one k with one q leave 1/(1 + N "
            "s_0) of Wk − q, s_0 the first s: they draw Wk to z − h and not to Wk + (z − h). It is the partial write "
            "with v = q, so ‖W‖²_A does not grow at a write with ‖q‖ ≤ ‖Wk‖, and for q orthogonal to Wk, ‖q‖ = c‖Wk‖ > "
            "0, it grows iff c² > (2−η)/η.",
            check_rlsedit_released, 1 - ETA, sympy.Integer(1), "W'k = Wk + η(z − h), as published",
        ),
        Claim(
            "T1.lyaplock", "T1, T4", Kind.PROVED,
            "LyapLock's step for one key, A = (aZλ/V)C + G_kk positive definite and B = (aZλ/V)V0K0ᵀ + G_vk, is the "
            "partial write M = A⁻¹, η = s/(1+s), plus the pull (B − WA)(A + kkᵀ)⁻¹: W' = (B + vkᵀ)(A + kkᵀ)⁻¹; it is "
            "that partial write iff WA = B.",
            check_lyaplock, sympy.Integer(1), sympy.Integer(0), "it is the partial write alone, for every W",
        ),
    )  # fmt: skip
