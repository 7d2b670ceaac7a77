"""T4's claims on PRUNE: what it does at the end, what its ports do, and what it would do at every step."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import mpmath
import sympy

from theory.claim import Claim, Evidence, Kind, Verdict
from theory.controls.states import pruned, pruned_ceiling
from theory.provers.prove import Proof
from theory.provers.trace_algebra import Algebra, commuting

SIGMA, TOP, SLOPE, RATE, START = sympy.symbols("σ s κ γ K", positive=True)  # κ = 1/log b
Q, TAU, LOGA = sympy.symbols("q τ ℓ", real=True)  # ℓ = log a
MAP = TOP + SLOPE * sympy.log(SIGMA / TOP)  # F(σ) for σ ≥ s


def prove_map(proof: Proof) -> None:
    """`pruned` is F: exact values on both branches, in two bases."""
    for value, top, base in (("1/2", "1", "2"), ("8", "1", "2"), ("9", "2", "6/5"), ("3", "3", "3/2")):
        sigma, s, b = map(sympy.Rational, (value, top, base))
        exact = sigma if sigma < s else MAP.subs({SIGMA: sigma, TOP: s, SLOPE: 1 / sympy.log(b)})
        proof.agree(f"F({value}) at s = {top}, b = {base}", pruned(float(sigma), float(s), float(b)), exact)


def check_scale(threshold: sympy.Expr) -> Evidence:
    """F(σ) ≤ σ for every σ iff s ≥ threshold; below it F enlarges singular values."""
    proof = Proof()
    prove_map(proof)
    slope = sympy.diff(SIGMA - MAP, SIGMA)
    proof.equal("σ − F(σ) at σ = s", (SIGMA - MAP).subs(SIGMA, TOP), sympy.S(0))
    proof.equal("its slope", slope, 1 - SLOPE / SIGMA)
    proof.follows(
        "s ≥ threshold: the slope is ≥ 0 from s on, so F(σ) ≤ σ", [threshold <= TOP, SIGMA >= TOP], slope >= 0
    )
    proof.follows("s < threshold: it is < 0 from s to κ, so F(σ) > σ there, and s < κ",
                  [threshold > TOP, SIGMA >= TOP, SIGMA < SLOPE], slope < 0)  # fmt: skip
    proof.follows("and there is such a σ", [threshold > TOP], TOP < SLOPE)
    enlarged = MAP.subs({SIGMA: sympy.Rational(1, 5), TOP: sympy.Rational(1, 10), SLOPE: 1})
    proof.equal("example b = e, s = 1/10, σ = 1/5: F", enlarged, sympy.log(2) + sympy.Rational(1, 10))
    proof.holds(f"{sympy.N(enlarged, 4)} is more than 1/5", enlarged > sympy.Rational(1, 5))
    return proof.evidence(SLOPE, threshold)


def check_final(rate: sympy.Expr) -> Evidence:
    """PRUNE once at the end: the norm that is left of an exponential update grows by `rate` per edit."""
    edits = sympy.Symbol("n_edits", positive=True)
    proof = Proof()
    prove_map(proof)
    proof.follows("F rises (slope 1, then κ/σ), so ‖U F(S) Vᵀ‖ = F(‖D‖) in operator norm, D = W_n − W_0", [],
                  sympy.diff(MAP, SIGMA) > 0)  # fmt: skip
    left = sympy.expand_log(MAP.subs(SIGMA, START * sympy.exp(RATE * edits)), force=True)
    proof.equal("‖D‖ = K e^(γ n): (1/n)F(‖D‖) for n → ∞", sympy.limit(left / edits, edits, sympy.oo), rate)
    line = sympy.log(START + rate * edits) / edits
    proof.equal("a line: its exponent", sympy.limit(line, edits, sympy.oo), sympy.S(0))
    proof.say("‖F(D)‖_F ≤ √rank(D) F(‖D‖), since each of rank(D) singular values is at most F(‖D‖)")
    proof.say("before that step no rule has been applied: every checkpoint before the last is plain MEMIT's")
    return proof.evidence(SLOPE * RATE, rate)


def check_port(share: sympy.Expr) -> Evidence:
    """The ports' W_n + F(W_n − W_0): its distance from W_0, with share·F(S) added to S."""
    a = Algebra({"U": ("m", "r"), "V": ("n", "r"), "S": ("r", "r"), "F": ("r", "r")}, ("S", "F"),
                (("Uᵀ U", {"": 1}), ("Vᵀ V", {"": 1}), *commuting("S", "F")))  # fmt: skip
    U, V, S, F = map(a, ("U", "V", "S", "F"))
    update, compressed = U @ S @ V.T, U @ F @ V.T
    proof = Proof()
    proof.say("W_n − W_0 = D = U S Vᵀ, F(D) = U F Vᵀ, S and F diagonal and nonnegative, F = F(S)")
    proof.equal("the ports' W − W_0 = D + F(D)", update + compressed, U @ (S + F) @ V.T)
    proof.equal("‖D + F(D)‖²_F", (update + compressed).norm_sq(), ((S + F) @ (S + F)).trace())
    value, left = sympy.symbols("σ F(σ)", positive=True)
    proof.follows("F(σ) > 0 for σ > 0: every singular value exceeds MEMIT's", [], value + left > value)
    proof.equal("where σ < s, F(σ) = σ: σ + F(σ)", value + left.subs(left, value), (1 + share) * value)
    D = sympy.Matrix([[1, 2, 0], [0, 1, 1]])
    largest = max((D * D.T).eigenvals(), key=lambda root: sympy.N(root, 30))
    after = D + D.applyfunc(lambda entry: entry * share)  # F(D) = D, as s = 3 exceeds every singular value of D
    proof.holds(f"‖D‖² = {largest} < 9 = s²: F changes nothing and the ports end at W_0 + 2D",
                largest < 9 and after == 2 * D)  # fmt: skip
    return proof.evidence("S + F(S)", f"S + ({share})F(S)")


@dataclass(frozen=True)
class Ceiling:
    """What PRUNE at every step is said to keep.

    Attributes:
        bound: B, in s, q, τ, κ and ℓ = log(2κ(1 + q)/s).
        number: the same as a float of (s, q, τ, b).
    """

    bound: sympy.Expr
    number: Callable[..., float]


def check_every_step(asserted: Ceiling) -> Evidence:
    """σ' = F(y), y ≤ (1 + q)σ + qs + τ, keeps σ ≤ B: writes ‖Δ‖ ≤ q‖W‖ + τ, ‖W‖ ≤ s + σ."""
    x, B, L = sympy.Symbol("x", positive=True), asserted.bound, sympy.Symbol("log(y/s)", real=True)
    y, after = sympy.symbols("y σ'", nonnegative=True)
    proof = Proof()
    proof.say("σ = ‖W_t − W_0‖, s = ‖W_0‖, operator norms: ‖W_t − W_0 + Δ‖ ≤ y = σ + q(s + σ) + τ; F rises")
    slope = sympy.diff(x - 1 - sympy.log(x), x)
    proof.equal("log x ≤ x − 1: equal at 1", (x - 1 - sympy.log(x)).subs(x, 1), sympy.S(0))
    signs = sympy.And(sympy.Equivalent(slope > 0, x > 1), sympy.Equivalent(slope < 0, x < 1))
    proof.follows("and the difference falls before 1, rises after it", [], signs)
    a = 2 * SLOPE * (1 + Q) / TOP
    sizes = [Q >= 0, TAU >= 0]
    push = sympy.Eq(y, (1 + Q) * SIGMA + Q * TOP + TAU)
    tangent = y / (a * TOP) + LOGA - 1
    proof.equal("at x = y/(as), a = 2κ(1+q)/s, ℓ = log a: log(y/s) ≤ y/(as) + ℓ − 1, times κ", SLOPE * tangent,
                y / (2 * (1 + Q)) + SLOPE * (LOGA - 1))  # fmt: skip
    halved = [*sizes, push, tangent >= L, sympy.Eq(after, TOP + SLOPE * L)]
    proof.follows("y ≥ s: σ' = s + κ log(y/s) ≤ (σ + B)/2", halved, after <= (SIGMA + B) / 2)
    proof.follows("so σ ≤ B is kept", [*sizes, SIGMA <= B, after <= (SIGMA + B) / 2], after <= B)
    proof.follows("y < s: σ' = y < s ≤ B, with log a ≥ 1 − 1/a", [*sizes, 1 - 1 / a <= LOGA], TOP <= B)
    proof.say("σ_0 = 0 ≤ B, so σ_t ≤ B for ever, whatever q")
    for s, q, tau, base in ((2.0, 0.75, 0.0, 2.0), (5.0, 3.0, 1.5, 1.2), (0.5, 0.0, 2.0, 1.5)):
        with mpmath.workdps(40):
            touch = 2 * (1 + mpmath.mpf(q)) / mpmath.log(base)  # where F's slope is 1/(2(1 + q))
            height = s + mpmath.log(touch / s) / mpmath.log(base)
            at_zero = height + (q * s + tau - touch) / (2 + 2 * mpmath.mpf(q))  # the tangent at y = qs + τ, σ = 0
            fixed = 2 * at_zero  # of σ = σ/2 + at_zero
        proof.agree(f"B at s = {s}, q = {q}, τ = {tau}, b = {base}: fixed point of F's tangent of slope 1/(2(1+q))",
                    asserted.number(s, q, tau, base), fixed)  # fmt: skip
        slope_at = 1 / sympy.log(sympy.Rational(str(base)))
        put = {TOP: sympy.Rational(str(s)), Q: sympy.Rational(str(q)), TAU: sympy.Rational(str(tau)), SLOPE: slope_at}
        exact = B.subs(LOGA, sympy.log(a)).subs(put)
        proof.agree("and B as asserted", asserted.number(s, q, tau, base), exact)
    return proof.evidence("σ' ≤ (σ + B)/2", B)


def claims() -> tuple[Claim[Any], ...]:
    """PRUNE."""
    bound = 2 * TOP + (Q * TOP + TAU) / (1 + Q) + 2 * SLOPE * (LOGA - 1)
    ceiling = Ceiling(bound, pruned_ceiling)
    return (
        Claim(
            "T4.prune_scale", "P6", Kind.PROVED,
            "PRUNE's F(σ) = s + log_b(σ/s) for σ ≥ s, s = s_max(W_0), never enlarges a singular value iff s ≥ 1/log b; "
            "below that it does, for every σ in (s, 1/log b]: the rule depends on the unit of W (1/log b is 1 for e, "
            "5.5 for b = 1.2).",
            check_scale, SLOPE, 1 / SLOPE, "iff s ≥ log b", Verdict.CONDITIONAL,
        ),
        Claim(
            "T4.prune_final", "P6", Kind.PROVED,
            "PRUNE as published, W_0 + F(W_n − W_0) once after all edits: where ‖W_n − W_0‖ = K e^{γn} (operator "
            "norm), what is left grows by γ/log b per edit for n → ∞, a line, and in Frobenius norm at most √rank "
            "times that; every checkpoint before the last is MEMIT's.",
            check_final, SLOPE * RATE, RATE / SLOPE, "it grows by γ log b per edit",
        ),
        Claim(
            "T4.prune_port", "P6", Kind.PROVED,
            "PRUNE as ported, W_n + F(W_n − W_0), ends further from W_0 than MEMIT in every singular value σ > 0, with "
            "σ + F(σ); where all of them are below s_max(W_0), at W_0 + 2(W_n − W_0) exactly.",
            check_port, sympy.Integer(1), sympy.Integer(0), "it leaves W_n as it is",
        ),
        Claim(
            "T4.prune_every_step", "P6", Kind.PROVED,
            "PRUNE after every write bounds the state, even for relative writes: ‖Δ‖ ≤ q‖W‖ + τ (operator norms), "
            "s = s_max(W_0) > 0, b > 1: ‖W_t − W_0‖ ≤ B = 2s + (qs + τ)/(1 + q) + 2κ(log(2κ(1 + q)/s) − 1), "
            "κ = 1/log b, at every t and for every q; B need not be the least.",
            check_every_step, ceiling, replace(ceiling, bound=bound - (Q * TOP + TAU) / (1 + Q)),
            "the same without (qs + τ)/(1 + q)",
        ),
    )  # fmt: skip
