"""T6's claims, from norm to collapse: decoding, scale, memory and specificity."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import mpmath
import sympy

from theory.claim import Claim, Evidence, Kind
from theory.collapse.retrieval import specificity, success_probability
from theory.provers.prove import Proof
from theory.provers.trace_algebra import Algebra

DIGITS = 25
Probability = Callable[..., Any]


def by_largest_rival(ratio: Any, axes: int, *, signed: bool = True) -> mpmath.mpf:
    """P by the law of the largest rival: the chance that the right word's score exceeds it.

    P = ∫ h'(u) Φ(ρ − u) du, h(u) = (2Φ(u) − 1)^(B−1) on u ≥ 0, or Φ(u)^(B−1) on all u, is that law; signed words also
    have the right word's own negative as a rival, which it beats iff its score is positive, hence u ≥ 0.
    """
    with mpmath.workdps(DIGITS):
        rho, cdf = mpmath.mpf(ratio), mpmath.ncdf
        if axes == 1:
            return cdf(rho) if signed else mpmath.mpf(1)
        low, span = (0, 2) if signed else (-mpmath.inf, 1)
        rival = lambda u: (axes - 1) * span * mpmath.npdf(u) * (span * cdf(u) - (span - 1)) ** (axes - 2)  # noqa: E731
        return mpmath.quad(lambda u: rival(u) * cdf(rho - u), [low, 1, 3, max(4, rho), max(4, rho) + 12])


def check_decoding(probability: Probability) -> Evidence:
    """P = ∫ φ(u − ρ) h(u) du by an integral over the largest rival, by closed forms, and its floor."""
    u, share, size = sympy.Symbol("u", real=True), sympy.Symbol("p", positive=True), sympy.Symbol("B", positive=True)
    proof = Proof()
    proof.say("orthonormal words: the B inner products are S + σg_y and σg_b, independent; divide by σ")
    proof.say("given the right one is u, each of B−1 others is below it with probability Φ(u), or lies in (−u, u) with")
    proof.say("2Φ(u) − 1, u > 0, where both signs are words: P is the mean of their product over u ~ N(ρ, 1)")
    proof.equal("P(0): p = Φ(u), ∫ p^(B−1) dp", sympy.integrate(share ** (size - 1), (share, 0, 1)), 1 / size)
    slope = sympy.diff(sympy.erf(u / sympy.sqrt(2)), u) / 2
    proof.equal("φ(u) du is half of d(2Φ(u) − 1), so signed P(0) = 1/(2B)", slope,
                sympy.exp(-(u**2) / 2) / sympy.sqrt(2 * sympy.pi))  # fmt: skip
    proof.say("P increases with ρ: shift u by ρ; h(u + ρ) increases with ρ for every u")
    for signed, floor in ((True, 2), (False, 1)):
        for axes in (1, 2, 7, 32):
            proof.agree(f"{axes} axes, signed {signed}: floor", float(probability(0.0, axes, signed=signed)),
                        sympy.Rational(1, floor * axes), 1e-12)  # fmt: skip
            for ratio in (0.5, 6.0):
                found = float(probability(ratio, axes, signed=signed))
                proof.agree(f"ρ = {ratio}", found, by_largest_rival(ratio, axes, signed=signed), 1e-12)
    half = [float(mpmath.ncdf(ratio / mpmath.sqrt(2))) for ratio in (0.5, 3.0)]
    for ratio, phi in zip((0.5, 3.0), half, strict=True):
        proof.agree("two words: Φ(ρ/√2)", float(probability(ratio, 2, signed=False)), phi, 1e-12)
        proof.agree("±x₁, ±x₂, turned by 45°: Φ(ρ/√2)²", float(probability(ratio, 2)), phi**2, 1e-12)
    return proof.evidence("P by two integrals", "equal to 1e-12")


def check_scale(background: sympy.Expr) -> Evidence:
    """αW_0 in place of W_0, and αa in place of a: every later weight is α times as large, every answer the same."""
    alpha, share, shift, size = sympy.symbols("α η c ν", positive=True)
    gap = sympy.Symbol("d", real=True)
    a = Algebra({"W": ("m", "n"), "k": ("n", 1), "x": ("m", 1), "M": ("n", "n")}, ("M",))
    W, k, x, M = map(a, ("W", "k", "x", "M"))
    s = (k.T @ M @ k).number()
    write = lambda value, weight: share / s * ((value - weight @ k) @ (M @ k).T)  # noqa: E731
    proof = Proof()
    proof.say("v = Wk + cνx, ν = ‖Wk‖; αW has ν → αν; M and η do not depend on W")
    value, scaled = W @ k + shift * size * x, alpha * (W @ k) + shift * (alpha * size) * x
    proof.equal("the solved value", scaled, alpha * value)
    proof.equal("Δ(αW)", write(scaled, alpha * W), alpha * write(value, W))
    anchor, length = sympy.symbols("a ‖v‖", positive=True)
    proof.equal("NAS with αa", alpha * anchor / (alpha * length) * scaled, alpha * (anchor / length * value))
    proof.say("induction over the stream: W_t → αW_t at every t, for the same keys and answers")
    proof.follows("score differences b + d keep their sign under b + αd", [], sympy.Equivalent(
        background + alpha * gap > 0, background + gap > 0))  # fmt: skip
    b, d, larger = 1, sympy.Rational(-1, 2), 3
    proof.holds("beside b = 1 a difference d = −1/2 wins at α = 1 and loses at α = 3", b + d > 0 > b + larger * d)
    return proof.evidence("argmax unchanged", f"background {background}")


def check_memory(projected: bool) -> Evidence:
    """A hard write in the metric P leaves past answers, uses up one dimension, and is the limit of an accumulated A."""
    a = Algebra({"W": ("m", "n"), "k": ("n", 1), "p": ("n", 1), "v": ("m", 1), "P": ("n", "n")}, ("P",),
                (("P P", {"P": 1}), ("P p", {})))  # fmt: skip
    W, k, p, v, P = map(a, ("W", "k", "p", "v", "P"))
    metric = P if projected else a.eye("n")
    s = (k.T @ metric @ k).number()
    after = W + (v - W @ k) @ (metric @ k).T / s
    left = P - (P @ k) @ (P @ k).T / (k.T @ P @ k).number()
    proof = Proof()
    proof.say("P projects on the complement of the past keys: Pp = 0; a new key outside their span has kᵀPk > 0")
    proof.equal("W'p", after @ p, W @ p)
    proof.equal("W'k", after @ k, v)
    proof.equal("the next projector P' = P − Pk(Pk)ᵀ/kᵀPk: P'P'", left @ left, left)
    proof.equal("P'k", left @ k, 0 * k)
    proof.equal("P'p", left @ p, 0 * p)
    proof.equal("rank: tr P'", left.trace(), P.trace() - 1)
    proof.say("from P = I on: n linearly independent keys are all kept exactly, and then P = 0: no further key can be")
    ridge, size = sympy.symbols("L2 qᵀGq", positive=True)
    b = Algebra({"q": ("n", 1), "A": ("n", "n"), "G": ("n", "n")}, ("A", "G"),
                (("A G", {"": ridge}), ("G A", {"": ridge})))  # fmt: skip
    q, A, G, eye = b("q"), b("A"), b("G"), b.eye("n")
    met = (q.T @ G @ q).number()
    proof.say("a rule that adds every key to A = L2·I + Σkkᵀ writes in the metric A⁻¹, or G = L2·A⁻¹; G = I at first:")
    proof.equal("(A + qqᵀ)(G − Gq(Gq)ᵀ/(L2 + qᵀGq))", (A + q @ q.T) @ (G - (G @ q) @ (G @ q).T / (ridge + met)),
                ridge * eye)  # fmt: skip
    proof.say("so that is the next G; where G → P as L2 → 0 and qᵀPq > 0, it tends to P': induction over the keys")
    proof.equal("lim 1/(L2 + qᵀGq)", sympy.limit(1 / (ridge + size), ridge, 0), 1 / size)
    gain = (size / ridge) / (1 + size / ridge)
    proof.equal("the share η = s/(1+s), s = qᵀA⁻¹q = qᵀGq/L2, tends to", sympy.limit(gain, ridge, 0), sympy.Integer(1))
    proof.say(
        "W_t is a continuous function of the t metrics and shares: it tends to that of hard writes in the metric P"
    )
    return proof.evidence(after @ p, W @ p)


def check_specificity(kept: Callable[..., Any]) -> Evidence:
    """E‖Wk‖² = ‖W‖² for E kkᵀ = I, spread over m directions against a background h."""
    a = Algebra({"W": ("m", "n")})
    W = a("W")
    proof = Proof()
    proof.equal("E‖Wk‖² = tr(W E[kkᵀ] Wᵀ)", W.norm_sq(a.eye("n")), W.norm_sq())
    proof.say("Wk ~ N(0, (‖W‖²/m) I) over orthonormal ±x_b: inner products h·[b = 0] + (‖W‖/√m) g_b")
    for background, norm_sq, (m, n), axes in ((1.0, 2.0, (6, 15), 6), (3.0, 5.0, (12, 4), 4)):
        ratio = background * mpmath.sqrt(m) / mpmath.sqrt(norm_sq)
        found = float(kept(background, norm_sq, (m, n), axes))
        proof.agree(f"h = {background}, ‖W‖² = {norm_sq}", found, by_largest_rival(ratio, axes), 1e-12)
    proof.agree("‖W‖² → ∞: the floor 1/(2B)", float(kept(1.0, 1e30, (6, 15), 6)), sympy.Rational(1, 12), 1e-12)
    return proof.evidence("P = success_probability(h√m/‖W‖)")


def claims() -> tuple[Claim[Any], ...]:
    """From norm to collapse, in the order in which it is read."""
    return (
        Claim(
            "T6.decoding", "T6", Kind.COMPUTED,
            "Among orthonormal codewords ±x_1 … ±x_B (or x_1 … x_B) a read-out S·x_y + σg, g ~ N(0, I), has its "
            "largest inner product with x_y with probability ∫_0^∞ φ(u − S/σ)(2Φ(u) − 1)^(B−1) du (or "
            "∫ φ(u − S/σ)Φ(u)^(B−1) du), which increases from 1/(2B) (or 1/B) at S = 0.",
            check_decoding, success_probability,
            lambda ratio, axes, *, signed=True: success_probability(ratio, axes + 1, signed=signed),
            "B words compete beside the right one",
        ),
        Claim(
            "T6.scale", "P1", Kind.PROVED,
            "In a linear memory whose solver shifts by c‖Wk‖x_y, with any rule W' = W + η(v − Wk)(Mk)ᵀ/kᵀMk whose "
            "keys, M and η do not depend on W, with or without NAS: αW_0 and αa in place of W_0 and a (α > 0) give "
            "αW_t and the same answer argmax <x, W_t k> to every prompt at every t. The norm's scale by itself cannot "
            "make edits fail there; beside a background that does not scale it can.",
            check_scale, sympy.Integer(0), sympy.Symbol("b", real=True), "the same beside a fixed background b",
        ),
        Claim(
            "T6.memory", "T3b", Kind.PROVED,
            "Hard writes in the metric P, the projector on the complement of all past keys (the limit L2 → 0 of rules "
            "that add every key to A), keep every past answer exactly while keys are linearly independent: n edits, "
            "whatever the values and however large the norm; then P = 0.",
            check_memory, True, False, "memoryless hard writes (M = I) keep them too",
        ),
        Claim(
            "T6.specificity", "P12", Kind.COMPUTED,
            "A prompt with fixed background h·x_0 and read-out Wk ~ N(0, (‖W‖²/m) I), E‖Wk‖² = ‖W‖² for E kkᵀ = I, "
            "keeps its answer among ±x_b with T6.decoding's P at S/σ = h√m/‖W‖: it falls to 1/(2B) as ‖W‖ grows.",
            check_specificity, specificity,
            lambda h, norm_sq, shape, axes: specificity(h, norm_sq, shape[::-1], axes), "n directions share the noise",
        ),
    )  # fmt: skip
