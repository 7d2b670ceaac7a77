"""T3's claims: mean growth under proportional values, its operator, and the conditions under which nothing grows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import sympy

from theory.claim import Claim, Evidence, Kind, Verdict
from theory.provers.moments import DIMENSION, sphere_moment
from theory.provers.prove import Proof
from theory.provers.trace_algebra import Algebra
from theory.writes.identities import ETA, HARD, MASTER, READ_SQ, RESIDUAL_SQ, VALUE_SQ, S, rank_one

n, c = DIMENSION, sympy.Symbol("c", nonnegative=True)
t, R0 = sympy.Symbol("t", nonnegative=True), sympy.Symbol("R0", positive=True)
SHIFTED = 1 + ETA**2 * c**2 / n


def prove_power_law(proof: Proof, factor: sympy.Expr) -> None:
    """E R_{t+1} = factor·E R_t for every t gives E R_t = factor^t R_0, by induction."""
    law = factor**t * R0
    proof.equal(f"induction, base: ({factor})^0·R0", law.subs(t, 0), R0)
    proof.equal(f"induction, step: ({factor})·R_t at R_t = ({factor})^t·R0", factor * law, law.subs(t, t + 1))


def prove_isotropy(proof: Proof) -> sympy.Expr:
    """E k̂k̂ᵀ = q·I, and q; two routes."""
    second = sphere_moment(1)
    proof.say("the law of k̂ does not change when a coordinate changes its sign, so E k̂ᵢk̂ⱼ = 0 for i ≠ j")
    proof.say("nor when coordinates change places, so E k̂ᵢ² = q for every i: E k̂k̂ᵀ = q·I")
    proof.equal("q by the Gamma integrals: E g² / E χ²_n", second, 1 / n)
    proof.equal("q by the trace: 1 = E‖k̂‖² = n·q", n * second, sympy.Integer(1))
    return second


def check_isotropic(factor: sympy.Expr) -> Evidence:
    """The mean growth factor of ‖W‖² for isotropic keys, M = I, v = Wk + δ, and its powers."""
    a = Algebra({"W": ("m", "n"), "k": ("n", 1), "δ": ("m", 1)})
    W, k, shift = map(a, ("W", "k", "δ"))
    read, s = W @ k, (k.T @ k).number()
    change = sympy.expand((W + ETA / s * (shift @ k.T)).norm_sq() - W.norm_sq())
    cross, square = (shift.T @ read).number(), (shift.T @ shift).number()
    proof = Proof()
    proof.say(f"Δ = η δ kᵀ/s, s = {s}: ‖W+Δ‖² − ‖W‖² = {change}, linear in δ·Wk and ‖δ‖²")
    given_key = change.subs({cross: 0, square: c**2 * (read.T @ read).number()}, simultaneous=True)
    proof.say("expectation given k, W: E[δ·Wk] = 0 and E‖δ‖² = c²‖Wk‖²")
    proof.equal("E[change | k, W]", given_key, ETA**2 * c**2 * (read.T @ read).number() / s)
    q = prove_isotropy(proof)
    proof.equal("E‖Wk‖²/‖k‖² = E tr(W k̂k̂ᵀ Wᵀ) = tr(W qI Wᵀ)", W.norm_sq(q * a.eye("n")), W.norm_sq() / n)
    mean = 1 + ETA**2 * c**2 * W.norm_sq(q * a.eye("n")) / W.norm_sq()
    proof.equal("E‖W'‖²/E‖W‖²", sympy.simplify(mean), factor)
    prove_power_law(proof, factor)
    return proof.evidence(sympy.simplify(mean), factor)


def check_spectral_radius(radius: sympy.Expr) -> Evidence:
    """T(X) = E[(k̂ᵀXk̂) k̂k̂ᵀ] on symmetric X, its two eigenvalues, and the larger."""
    mixed, fourth = sphere_moment(1, 1), sphere_moment(2)
    trace, diagonal, off = sympy.symbols("trX X11 X12", real=True)
    proof = Proof()
    proof.equal("E k̂₁²k̂₂²", mixed, 1 / (n * (n + 2)))
    proof.equal("E k̂₁⁴", fourth, 3 * mixed)
    proof.equal("1 = E‖k̂‖⁴ = n E k̂₁⁴ + n(n−1) E k̂₁²k̂₂²", n * fourth + n * (n - 1) * mixed, sympy.Integer(1))
    proof.say("odd moments vanish by reflection, so T(X)₁₁ = X₁₁ E k̂₁⁴ + (tr X − X₁₁) E k̂₁²k̂₂², T(X)₁₂ = 2X₁₂ E k̂₁²k̂₂²")
    first = diagonal * fourth + (trace - diagonal) * mixed
    proof.equal("T(X)₁₁ of T(X) = (tr X·I + 2X)/(n(n+2))", first, (trace + 2 * diagonal) / (n * (n + 2)))
    proof.equal("T(X)₁₂", 2 * off * mixed, 2 * off / (n * (n + 2)))
    proof.say("symmetric matrices are the multiples of I and those of trace 0; T has one eigenvalue on each")
    on_identity, traceless = first.subs({trace: n, diagonal: 1}), 2 * mixed
    proof.equal("T(I) = ρ·I: ρ", sympy.simplify(on_identity), radius)
    proof.follows("the eigenvalue on trace 0 is smaller", [n >= 2], sympy.And(traceless > 0, traceless < radius))
    return proof.evidence(sympy.simplify(on_identity), radius)


def check_no_growth(alpha: sympy.Expr) -> Evidence:
    """E‖v‖² ≤ alpha·‖Wk‖² given every key and W lets no expected norm grow."""
    proof = Proof()
    proof.say(
        "T1's change is linear in ‖v‖², ‖Wk‖², ‖r‖²: these stand for their expectations given k and W (η, s fixed by k)"
    )
    aligned = sympy.Symbol("v·Wk", real=True)
    residual = sympy.Eq(RESIDUAL_SQ, VALUE_SQ - 2 * aligned + READ_SQ)
    gram = [READ_SQ >= 0, VALUE_SQ >= 0, aligned**2 <= VALUE_SQ * READ_SQ, residual]
    given = [*gram, ETA <= 1, alpha * READ_SQ >= VALUE_SQ]
    proof.follows("E[‖W+Δ‖² − ‖W‖² | k, W] ≤ 0", given, MASTER <= 0)
    proof.say("the expectation over k and W keeps the sign, at every edit: E‖W_t‖² never increases")
    return proof.evidence("E‖W_{t+1}‖² ≤ E‖W_t‖²", f"‖v‖² ≤ {alpha}·‖Wk‖²")


@dataclass(frozen=True)
class TwoKeys:
    """Two equally likely keys of a 1 × 1 memory W = 1: their sizes and the squared values asked for."""

    keys: tuple[int, int]
    values_sq: tuple[int, int]


def check_unweighted(example: TwoKeys) -> Evidence:
    """E‖v‖² ≤ E‖Wk‖² over all keys, and yet the expected norm grows: exact numbers, M = I, η = 1."""
    rows = tuple(zip(example.keys, example.values_sq, strict=True))
    reads = [sympy.Integer(key) ** 2 for key, _ in rows]
    mean_read, mean_value = sum(reads) / sympy.Integer(2), sympy.Rational(sum(example.values_sq), 2)
    stands = ({VALUE_SQ: value, READ_SQ: key**2, S: key**2} for key, value in rows)
    changes = [HARD.subs(stand) for stand in stands]
    mean = sum(changes, sympy.Integer(0)) / 2
    proof = Proof()
    proof.say(f"W = 1, keys {example.keys} with probability 1/2 each, ‖Wk‖² = {reads}, ‖v‖² = {example.values_sq}")
    proof.holds(f"E‖v‖² = {mean_value} ≤ {mean_read} = E‖Wk‖²", mean_value <= mean_read)
    proof.holds(f"changes (‖v‖² − ‖Wk‖²)/s = {changes}: E[change] = {mean} > 0", mean > 0)
    return proof.evidence(mean, "at most 0 if the unweighted condition sufficed")


def check_jensen(bound: sympy.Expr) -> Evidence:
    """γ = lim sup (1/t) E log R_t is at most `bound`, for T3.isotropic's E R_t = (1 + c²/n)^t R_0 (η = 1)."""
    factor, y = 1 + c**2 / n, sympy.Symbol("y", positive=True)
    slope = sympy.diff(y - 1 - sympy.log(y), y)
    proof = Proof()
    proof.say("f(y) = y − 1 − log y has f(1) = 0; it falls before 1 and rises after it, so log y ≤ y − 1")
    proof.equal("f(1)", (y - 1 - sympy.log(y)).subs(y, 1), sympy.Integer(0))
    sides = sympy.And(sympy.Equivalent(slope > 0, y > 1), sympy.Equivalent(slope < 0, y < 1))
    proof.follows(f"the sign of f' = {slope}", [], sides)
    x, mean = sympy.symbols("x μ", positive=True)
    proof.say("at y = R_t/E R_t: E log R_t ≤ log E R_t + E[y] − 1 = log E R_t (expectation of the tangent)")
    proof.equal("E[y] − 1", sympy.expand((x / mean - 1).subs(x, mean)), sympy.Integer(0))
    limit = sympy.limit((sympy.log(R0) + t * sympy.log(factor)) / t, t, sympy.oo)
    proof.equal("lim (1/t) log((1 + c²/n)^t R0)", limit, bound)
    proof.say("R_t = 0 makes both sides of log y ≤ y − 1 no larger than the right one: log 0 = −∞")
    proof.say("paths: Markov gives P(R_t > e^{εt} E R_t) ≤ e^{−εt}, which is summable in t, so by Borel and Cantelli")
    proof.say("lim sup (1/t) log R_t ≤ lim (1/t) log E R_t + ε almost surely, for every ε > 0")
    return proof.evidence(limit, bound)


def check_conditional(threshold: sympy.Expr) -> Evidence:
    """For E[‖v‖² | k, W] = α‖Wk‖², isotropic keys and η = 1, the mean norm grows (exponentially) iff α > threshold."""
    alpha = sympy.Symbol("α", nonnegative=True)
    a = rank_one()
    W, k = a("W"), a("k")
    proof = Proof()
    read, s = (k.T @ W.T @ W @ k).number(), (k.T @ k).number()
    change = HARD.subs({VALUE_SQ: alpha * READ_SQ, S: s}).subs(READ_SQ, read)
    proof.equal("T1 with ‖v‖² = α‖Wk‖²", change, (alpha - 1) * read / s)
    q = prove_isotropy(proof)
    factor = 1 + (alpha - 1) * q
    proof.equal(
        "E‖W'‖²/‖W‖² = 1 + (α−1) E[tr(W k̂k̂ᵀ Wᵀ)]/‖W‖²",
        1 + (alpha - 1) * W.norm_sq(q * a.eye("n")) / W.norm_sq(),
        factor,
    )
    prove_power_law(proof, factor)
    proof.follows("E R_t = factor^t R_0 grows iff α exceeds the threshold", [n >= 1],
                  sympy.Equivalent(factor > 1, alpha > threshold))  # fmt: skip
    return proof.evidence(f"factor {factor}", f"growth iff α > {threshold}")


def claims() -> tuple[Claim[Any], ...]:
    """When the norm grows, how fast, and when it does not."""
    return (
        Claim(
            "T3.isotropic", "P2", Kind.PROVED,
            "Isotropic keys independent of the past, P(k = 0) = 0, M = I, v = Wk + δ with, given k and W, E[δ·Wk] = 0 "
            "and E‖δ‖² = c²‖Wk‖², fixed η: E‖W_t‖² = (1 + η²c²/n)^t ‖W_0‖², so 1 + c²/n per edit for a hard write, "
            "from the first step.",
            check_isotropic, SHIFTED, SHIFTED.subs(n, n - 1), "the factor is 1 + η²c²/(n−1)",
        ),
        Claim(
            "T3.spectral_radius", "T3", Kind.PROVED,
            "For isotropic keys, P(k = 0) = 0, and M = I, T(X) = E[(kᵀXk)uuᵀ], u = k/‖k‖², is (tr X·I + 2X)/(n(n+2)) "
            "and ρ(T) = 1/n.",
            check_spectral_radius, 1 / n, 3 / (n * (n + 2)), "ρ(T) = E k̂₁⁴ = 3/(n(n+2))",
        ),
        Claim(
            "T3.no_growth", "P2", Kind.PROVED,
            "If E[‖v‖² | k, W] ≤ ‖Wk‖² for every key and W (α ≤ β key by key), E‖W‖²_{M⁻¹} does not grow, for any "
            "fixed positive definite M, any key law with P(k = 0) = 0 and any η in (0, 1] that k determines.",
            check_no_growth, sympy.Integer(1), sympy.Integer(2), "E[‖v‖² | k, W] ≤ 2‖Wk‖² suffices",
        ),
        Claim(
            "T3.no_growth_unweighted", "P2", Kind.PROVED,
            "E‖v‖² ≤ E‖Wk‖², averaged over all keys, suffices for the expected norm not to grow. False: the identity "
            "weighs each key by η/s, so short keys count more.",
            check_unweighted, TwoKeys((1, 2), (4, 0)), TwoKeys((2, 2), (4, 0)),
            "two keys of equal length are a counterexample too", Verdict.FALSE,
        ),
        Claim(
            "T3.jensen", "T3", Kind.PROVED,
            "Under T3.isotropic's law (isotropic keys, proportional values) with η = 1 and a fixed W_0 ≠ 0, the "
            "Lyapunov exponent γ = lim sup (1/t) E log R_t of R = ‖W‖² (log 0 = −∞) is at most log(1 + c²/n), and so, "
            "almost surely, is lim sup (1/t) log R_t of the path: typical paths grow no faster than the mean.",
            check_jensen, sympy.log(1 + c**2 / n), sympy.log(1 + c**2 / n) / 2, "it is at most half of that",
        ),
        Claim(
            "T3.conditional", "P2", Kind.PROVED,
            "L&E rules can induce exponential norm growth: with E[‖v‖² | k, W] = α‖Wk‖², isotropic keys independent of "
            "the past, P(k = 0) = 0, M = I, W_0 ≠ 0 and hard writes, E‖W_t‖² = (1 + (α−1)/n)^t ‖W_0‖² grows iff α > 1.",
            check_conditional, sympy.Integer(1), sympy.Integer(0), "it grows whenever α > 0", Verdict.CONDITIONAL,
        ),
    )  # fmt: skip
