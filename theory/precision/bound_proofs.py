"""T7's claims on arithmetic: what rounding does to sums, to T1's identity, to a tracked norm and to NAS's anchor."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from functools import partial
from typing import Any

import numpy as np
import sympy

from theory.claim import Claim, Evidence, Kind
from theory.precision.bounds import (
    anchor_error,
    drift,
    factors_error,
    gamma,
    identity_error,
    identity_error_bound,
    rounding_error,
    solve_error,
    squares_error,
    stored_error,
)
from theory.precision.formats import (
    BFLOAT16,
    FLOAT16,
    FLOAT32,
    FLOAT64,
    round_exact,
    round_to,
)
from theory.precision.trials import (
    Written,
    anchored_error,
    grid,
    halving,
    norm_sq,
    sum_squares,
    tracked_stream,
    write_hard,
)
from theory.provers.prove import Proof
from theory.provers.trace_algebra import Algebra, Dim

U, SOLVE, ROUNDING, ROOT, NORM, LEFT, RIGHT = sympy.symbols("u ε γ √λmax ‖W‖ ‖l‖ ‖x‖", positive=True)
EDITS, START, STEP, LARGEST, ERROR, AFTER = sympy.symbols("t e0 b G e R'", nonnegative=True)
LOOSE = 1e2  # every worst case of T7.identity_bound is at least so far above the error
INFORMATIVE = 1e4  # a bound that is this far above the error it bounds says nothing


def check_summation(error: Callable[..., float]) -> Evidence:
    """γ_j bounds j roundings; γ_N for N squares in order, γ_(depth+1) in pairs; what is left of it for 58,720,256."""
    j, spread = sympy.symbols("j j'", positive=True)
    proof = Proof()
    proof.equal("γ_1 = max |(1+δ)^±1 − 1|, reached by 1/(1−u)", gamma(1, U), 1 / (1 - U) - 1)
    grown = [U * (j + 1) < 1, j >= 1]
    proof.follows("one rounding more: γ_j + (1 + γ_j)γ_1 ≤ γ_(j+1)", grown,
                  gamma(j, U) + (1 + gamma(j, U)) * gamma(1, U) <= gamma(j + 1, U))  # fmt: skip
    proof.follows("and downwards, (1 − γ_j)(1 − u) ≥ 1 − γ_(j+1)", grown,
                  (1 - gamma(j, U)) * (1 - U) >= 1 - gamma(j + 1, U))  # fmt: skip
    proof.equal("to first order in u it is ju", sympy.limit(gamma(j, U) / U, U, 0), j)
    proof.follows("γ_j + γ_j' + γ_j γ_j' ≤ γ_(j+j')", [(j + spread) * U < 1],
                  gamma(j, U) + gamma(spread, U) + gamma(j, U) * gamma(spread, U) <= gamma(j + spread, U))  # fmt: skip
    proof.say("a square w² passes its own product and the additions on its way; all terms are positive, so the")
    proof.say("relative error of the sum is at most γ of the longest way (Higham 2002, 3.1 and 4.2)")
    depth = [0, 0]
    for terms in range(2, 600):
        depth.append(1 + depth[(terms + 1) // 2])
    for target in (FLOAT32, BFLOAT16):
        proof.holds(f"{target.name}, N < 600: in order 1 + (N−1) roundings, in pairs 1 + the depth of halving",
                    all(error(terms, target) == rounding_error(terms, target)
                        and error(terms, target, pairwise=True) == rounding_error(depth[terms] + 1, target)
                        for terms in range(1, 600)))  # fmt: skip
    full, half = Fraction(gamma(7, BFLOAT16.unit_roundoff)), rounding_error(7, BFLOAT16)
    proof.holds("γ_7 of bfloat16 is 7/249", full == Fraction(7, 249) and half == float(full))
    proof.holds("γ_j is no bound from ju = 1 on: γ_256 of bfloat16", math.isinf(rounding_error(256, BFLOAT16)))
    squares = 4096 * 14336
    found, paired = error(squares, FLOAT32), error(squares, FLOAT32, pairwise=True)
    proof.holds(f"float32, N = {squares}: in order {found}, in pairs {paired:.3g}", found > 1e3 and paired < 2e-6)
    entries = grid(32, 32).astype(np.float32).astype(float)
    truth, fl = norm_sq(entries, np.eye(32)), partial(round_to, target=FLOAT32)
    for name, total, bound in (("in order", sum_squares(entries, fl), error(1024, FLOAT32)),
                               ("in pairs", halving(fl(np.square(entries.ravel())), fl),
                                error(1024, FLOAT32, pairwise=True))):  # fmt: skip
        off = float(abs(Fraction(float(total)) / truth - 1))
        proof.holds(f"32 × 32 in float32, {name}: exact error {off:.2e} ≤ {bound:.2e}", off <= bound)
    return proof.evidence(paired, "γ_27")


def check_identity_error(bound: Callable[..., Any]) -> Evidence:
    """T1's error for W' = W + l xᵀ + E, an inexact solve x and an inexact read-out h: exactly, then in norms."""
    shapes: dict[str, tuple[Dim, Dim]] = {
        "W": ("m", "n"),
        "E": ("m", "n"),
        "C": ("n", "n"),
        "x": ("n", 1),
        "k": ("n", 1),
        "l": ("m", 1),
    }
    a = Algebra({**shapes, "h": ("m", 1)}, ("C",))
    W, E, C, x, k, left, h = map(a, ("W", "E", "C", "x", "k", "l", "h"))
    s, write = sympy.Symbol("ŝ", real=True), left @ x.T
    proof = Proof()
    proof.say("stored W' = W + l·xᵀ + E; foretold 2l·h + ‖l‖²ŝ, T1's right side for l = ηr/s; e = Cx − k is the")
    proof.say("residual of the solve, h and ŝ what was computed for Wk and kᵀx. No error is neglected:")
    change = (W + write + E).norm_sq(C) - W.norm_sq(C)
    square = (left.T @ left).number()
    foretold = 2 * (left.T @ h).number() + square * s
    e = C @ x - k
    stored = 2 * ((W + write) @ C @ E.T).trace() + E.norm_sq(C)
    solved = 2 * (left.T @ W @ e).number() + square * (x.T @ e).number()
    rounded = 2 * (left.T @ (W @ k - h)).number() + square * ((x.T @ k).number() - s)
    proof.equal("‖W'‖²_C − ‖W‖²_C − foretold", sympy.expand(change - foretold), sympy.expand(stored + solved + rounded))
    A, B, lam = ROOT * NORM, ROOT * LEFT * RIGHT, ROOT**2
    proof.say("hypotheses (Higham 2002, Theorem 10.4; 3.5): ‖e‖ ≤ ε λmax‖x‖; ‖Wk − h‖ ≤ γ‖W‖_F‖k‖, |kᵀx − ŝ| ≤ γ‖k‖‖x‖")
    key = (1 + SOLVE) * lam * RIGHT
    proof.equal("‖k‖ = ‖Cx − e‖ ≤ λmax‖x‖ + ε λmax‖x‖", lam * RIGHT + SOLVE * lam * RIGHT, key)
    omega = factors_error(SOLVE, ROUNDING)
    solve_part = 2 * LEFT * NORM * SOLVE * lam * RIGHT + LEFT**2 * RIGHT * SOLVE * lam * RIGHT
    round_part = ROUNDING * (2 * LEFT * NORM * key + LEFT**2 * key * RIGHT)
    proof.equal("the terms of e, h and ŝ: ω(2AB + B²), A = √λmax‖W‖_F, B = √λmax‖l‖‖x‖", solve_part + round_part,
                omega * (2 * A * B + B**2))  # fmt: skip
    proof.say("rounding the right side's own sums is a factor (1 + γ_(m+2)) on terms below (1 + γ_n) times the exact")
    proof.say("ones; with T7.summation's γ_j + γ_j' + γ_jγ_j' ≤ γ_(j+j'), γ = γ_(m+n+2) covers both")
    proof.say("stored entry (w + lx(1+δ))(1+δ'), |δ|, |δ'| ≤ u: |E_ij| ≤ u|w| + (2u + u²)|lx|, ‖E‖_C ≤ √λmax‖E‖_F")
    entry = U * NORM + (U + U * (1 + U)) * LEFT * RIGHT
    proof.equal("√λmax‖E‖_F", ROOT * entry, stored_error(A, B, U))
    total = omega * (2 * A * B + B**2) + 2 * (A + B) * ROOT * entry + (ROOT * entry) ** 2
    proof.equal("with ‖W + lxᵀ‖_C ≤ A + B the whole", total, bound(A, B, omega, U))
    n, rank = sympy.symbols("γ_(n+1) tr(C)/λmax", positive=True)
    columns, substitution = rank * lam / (1 - n), sympy.Symbol("γ_(3n+1)", positive=True)
    proof.say("Cholesky (Theorems 10.3, 10.4): ‖r̂_j‖² ≤ c_jj/(1−γ_(n+1)), (C + F)x = k, |F| ≤ γ_(3n+1)|R̂ᵀ||R̂|, so")
    proof.say("‖F‖ ≤ γ_(3n+1)‖R̂‖²_F ≤ γ_(3n+1) tr C/(1−γ_(n+1)); e = −Fx")
    proof.equal("ε = ‖F‖/λmax", substitution * columns / lam, solve_error(substitution, n, rank))
    cond, least, metric = sympy.symbols("κ λmin ‖W‖²_C", positive=True)
    proof.follows("λmax = κ λmin and ‖W‖²_C ≥ λmin‖W‖²_F (T1.norm_equivalence): A² ≤ κ‖W‖²_C",
                  [sympy.Eq(ROOT**2, cond * least), metric >= least * NORM**2], cond * metric >= A**2)  # fmt: skip
    u = FLOAT16.unit_roundoff
    for rank, epsilon in ((0.0, 0), (1.5, gamma(16, u) / (1 - gamma(6, u)) * Fraction(3, 2))):
        whole = bound(2, Fraction(1, 2), epsilon + (1 + epsilon) * gamma(10, u), u)
        counted = identity_error_bound(FLOAT16, (3, 5), 2.0, 0.5, *([rank] if rank else []))
        proof.holds(f"float16, 3 × 5, tr C/λmax = {rank}: γ_16, γ_6 and γ_10 are counted, {counted:.6g}",
                    abs(counted / float(whole) - 1) < 1e-14)  # fmt: skip
    proof.holds("bfloat16 is too coarse for a solve with n = 100: no bound",
                math.isinf(identity_error_bound(BFLOAT16, (3, 100), 1.0, 0.1, 2.0)))  # fmt: skip
    return proof.evidence("ω(2AB + B²) + 2(A + B)E + E²")


def check_identity_bound(bound: Callable[[Written], float]) -> Evidence:
    """The bound against exact arithmetic, over condition numbers and sizes of the write."""
    proof = Proof()
    closest = []
    for m, n, condition, size in ((6, 12, 1e1, 1.0), (6, 12, 1e2, 0.1), (9, 16, 1e3, 1.0), (6, 12, 1e4, 0.3),
                                  (12, 7, 1e5, 0.1), (9, 16, 1e5, 1.0)):  # fmt: skip
        cases = [write_hard(m, n, condition, size, phase) for phase in (0.5, 0.6, 0.8, 1.0, 1.1, 1.3)]
        worst = max(cases, key=lambda case: case.error / bound(case))
        proof.holds(f"m = {m}, n = {n}, κ = {condition:g}, ‖r‖ ∝ {size}, 6 weights: error {worst.error:.2e}, relative "
                    f"to T1's terms {worst.error / worst.terms:.1e}; bound {bound(worst):.2e}",
                    worst.error <= bound(worst))  # fmt: skip
        closest.append(bound(worst) / worst.error)
    proof.holds(f"the bound is within {INFORMATIVE:g} of the largest error: {min(closest):.0f} to {max(closest):.0f} "
                "times", min(closest) >= LOOSE and max(closest) <= INFORMATIVE)  # fmt: skip
    return proof.evidence(f"bound/error from {min(closest):.3g} to {max(closest):.3g}", "1 to 1e4")


def check_drift(bound: Callable[..., Any]) -> Evidence:
    """One step, the closed form, a stream on which it is attained, and streams of writes in three formats."""
    proof = Proof()
    computed, rounding, foretold = sympy.symbols("R̂−R δ p̂−c", real=True)
    proof.say("R̂' = (R̂ + p̂)(1 + δ), |δ| ≤ u, and R' = R + c, so R̂' − R' = (R̂ − R + p̂ − c)(1 + δ) + δR'")
    given = [rounding <= U, -rounding <= U, computed <= ERROR, -computed <= ERROR, foretold <= STEP, -foretold <= STEP,
             AFTER <= LARGEST, U < 1]  # fmt: skip
    off, allowed = (computed + foretold) * (1 + rounding) + rounding * AFTER, (1 + U) * (ERROR + STEP) + U * LARGEST
    proof.follows("|R̂' − R'| ≤ (1+u)(e + b) + uG", given, sympy.And(off <= allowed, -off <= allowed))
    law = bound(EDITS, U, START, STEP, LARGEST)
    proof.equal("closed form at t = 0", law.subs(EDITS, 0), START)
    proof.equal("step: (1+u)(e_t + b) + uG", sympy.expand(allowed.subs(ERROR, law)),
                sympy.expand(law.subs(EDITS, EDITS + 1), power_exp=True))  # fmt: skip
    floats = bound(1000, float(FLOAT64.unit_roundoff), 0.25, 0.5, 3.0)
    exact = bound(1000, FLOAT64.unit_roundoff, Fraction(1, 4), Fraction(1, 2), 3)
    proof.agree("u of float64, 1,000 steps: in floats and in fractions", floats, float(exact), 1e-12)
    proof.equal("linear while tu is small: the limit u → 0 of its part in b", sympy.limit(
        law.subs({START: 0, LARGEST: 0}), U, 0), EDITS * STEP)  # fmt: skip
    u, edits, tracked = BFLOAT16.unit_roundoff, 40, Fraction(1)
    for _ in range(edits):
        tracked = round_exact(tracked + u, BFLOAT16)
    lost = 1 + edits * u - tracked
    reached = Fraction(bound(edits, u, Fraction(0), Fraction(0), 1 + edits * u))
    proof.holds(f"R = 1 and {edits} exact changes of u in bfloat16: R̂ is still {tracked}, off by {float(lost):.3f}; "
                f"bound {float(reached):.3f}", tracked == 1 and lost <= reached <= 2 * lost)  # fmt: skip
    for target in (FLOAT64, FLOAT32, BFLOAT16):
        errors, bounds = tracked_stream(target, 25, bound)
        worst = max(range(len(errors)), key=lambda t: errors[t] / bounds[t])
        proof.holds(f"{target.name}, 25 writes on a 3 × 5 weight: |R̂ − R| {errors[-1]:.2e} at the end, bound "
                    f"{bounds[-1]:.2e}, closest at t = {worst + 1}",
                    all(off <= most for off, most in zip(errors, bounds, strict=True))
                    and bounds[-1] <= INFORMATIVE * max(errors))  # fmt: skip
    return proof.evidence(law)


def check_anchor(bound: Callable[[Any, Any], Any]) -> Evidence:
    """‖v'‖/a for NAS in floating point, and what a norm accumulated in bfloat16 does to it."""
    proof = Proof()
    d = sympy.Symbol("δ", real=True)
    within = [d <= U, -d <= U, U < 1]
    proof.say("n̂ = ‖v‖√(1+θ)(1+δ₁), scale (a/n̂)(1+δ₂), entries scale·v_i(1+δ_i): ‖v'‖/a lies between the extremes of")
    proof.say("(1+δ₂)(1+δ_i)/((1+δ₁)√(1+θ)), |θ| ≤ γ")
    top = (1 + U) ** 2 / ((1 - U) * sympy.sqrt(1 - ROUNDING))
    proof.follows("1 − u ≤ 1 + δ ≤ 1 + u", within, sympy.And(1 + d >= 1 - U, 1 + d <= 1 + U))
    proof.equal("above 1 by at most (1+u)²/((1−u)√(1−γ)) − 1", top - 1, bound(ROUNDING, U))
    y = sympy.Symbol("√(1−γ)", positive=True)
    z = sympy.Symbol("√(1+γ)", positive=True)
    proof.follows("below 1 by no more: 1 − (1−u)²/((1+u)√(1+γ)) ≤ the same", [U < 1, z >= 1, y < 1, y**2 + z**2 <= 2],
                  1 - (1 - U) ** 2 / ((1 + U) * z) <= (1 + U) ** 2 / ((1 - U) * y) - 1)  # fmt: skip
    proof.equal("to first order 3u + γ/2", sympy.limit(bound(2 * U, U) / U, U, 0), sympy.Integer(4))
    tiny = FLOAT64.unit_roundoff
    wide = sympy.Rational(1, 2**53)
    proof.agree("u of float64, γ = 40u, in floats", bound(40 * float(tiny), float(tiny)),
                (top - 1).subs({U: wide, ROUNDING: 40 * wide}), 1e-12)  # fmt: skip
    for target, m in ((FLOAT32, 40), (FLOAT16, 40), (BFLOAT16, 40)):
        off, most = anchored_error(target, m), bound(squares_error(m, target), float(target.unit_roundoff))
        proof.holds(f"{target.name}, m = {m}: exact | ‖v'‖/a − 1 | = {off:.2e} ≤ {most:.2e}", off <= most)
    fl = partial(round_to, target=BFLOAT16)
    size = float(fl(np.sqrt(sum_squares(np.ones(4096), fl))))
    proof.holds(f"‖v‖² of 4,096 ones accumulated in bfloat16 is {size**2:g}: NAS would set ‖v'‖ = {64 / size:g}a",
                size == 16)  # fmt: skip
    return proof.evidence(top - 1)


def claims() -> tuple[Claim[Any], ...]:
    """What arithmetic in a format does to norms, to T1's identity and to the anchor."""
    return (
        Claim(
            "T7.summation", "T7", Kind.PROVED,
            "‖W‖²_F of N entries, no over- or underflow, has a relative error of at most γ_N summed in order and of "
            "γ_(⌈log₂N⌉+1) in pairs, γ_j = ju/(1−ju), ju < 1: for 4096 × 14336 entries in float32 γ gives no bound in "
            "order, and 1.6e-6 in pairs.",
            check_summation, squares_error,
            lambda terms, target, pairwise=False: rounding_error(
                (terms - 1).bit_length() if pairwise else terms, target
            ),
            "the product of each square is not counted in pairs: γ_⌈log₂N⌉",
        ),
        Claim(
            "T7.identity_error", "T7", Kind.PROVED,
            "C symmetric positive definite, x solved with ‖Cx − k‖ ≤ ε λmax‖x‖, W' = fl(W + l xᵀ), T1's right side "
            "computed as 2l·Wk + ‖l‖²s, no over- or underflow, (m+n+2)u < 1: it differs from the stored weights' "
            "exact change of ‖W‖²_C by at most ω(2AB + B²) + 2(A+B)E + E², A = √λmax‖W‖_F, B = √λmax‖l‖‖x‖, ω = ε + "
            "(1+ε)γ_(m+n+2), E = uA + (2u+u²)B; for a Cholesky factorisation that runs to completion, (3n+1)u < 1, ε "
            "= γ_(3n+1)/(1−γ_(n+1)) tr C/λmax. A² ≤ κ(C)‖W‖²_C: the price of ill conditioning. A worst case: "
            "for κ(C) up to 1e3 T7.storage_noise gives the usual size.",
            check_identity_error, identity_error,
            lambda weight, write, factors, u: factors * (2 * weight * write + write**2),
            "the cancellation of the two stored norms costs nothing: ω(2AB + B²)",
        ),
        Claim(
            "T7.identity_bound", "T7", Kind.COMPUTED,
            "For 36 ROME writes in float32 with dense C, κ from 10 to 1e5, that worst case holds against exact "
            "arithmetic and is loose: 100 to 10,000 times the largest error of a size.",
            check_identity_bound,
            lambda case: identity_error_bound(FLOAT32, case.shape, case.weight, case.write, case.rank),
            lambda case: rounding_error(sum(case.shape) + 2, FLOAT32) * case.terms,
            "the error is at most γ_(m+n+2) times T1's two terms, whatever C and ‖W‖/‖Δ‖",
        ),
        Claim(
            "T7.drift", "T7", Kind.PROVED,
            "A norm tracked by R̂ ← fl(R̂ + p̂) without overflow, each p̂ off by at most b and 0 ≤ R ≤ G: |R̂_t − "
            "R_t| ≤ (1+u)^t e₀ + [((1+u)^t − 1)/u]((1+u)b + uG), linear in t while tu is small; a stream attains it "
            "within a factor 2.",
            check_drift, drift,
            lambda edits, u, start, step, largest: (1 + u) ** edits * start + (1 + u) * step + u * largest,
            "the error of one addition, however long the stream",
        ),
        Claim(
            "T7.anchor", "P7, T7", Kind.PROVED,
            "NAS computed as v' = (a/‖v‖)v, ‖v‖² of relative error at most γ < 1, no overflow or underflow: "
            "|‖v'‖ − a|/a ≤ (1+u)²/((1−u)√(1−γ)) − 1, about 3u + γ/2.",
            check_anchor, anchor_error,
            lambda norm, u: (1 + u) / sympy.sqrt(1 - norm) - 1,
            "only the last product is rounded: (1+u)/√(1−γ) − 1",
        ),
    )  # fmt: skip
