"""T3b's mean field: what follows once kᵀA_t⁻¹k of a fresh key is replaced by its deterministic equivalent."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import mpmath
import sympy

from theory.accumulating.exact import hard_growth
from theory.accumulating.mean_field import accumulating_growth, fastest_edit, fresh_gain, growth_rate, saturation
from theory.accumulating.spectrum_proofs import MEAN_FIELD, rate_of, root_of
from theory.accumulating.threshold import spectral_threshold
from theory.claim import Claim, Evidence, Kind
from theory.provers.prove import Proof

n, ridge, t, s = sympy.symbols("n L2 t s", positive=True)
# What s solves: s = n/(L2 + t/(1+s)).
EQUATION = ridge * s**2 + (ridge + t - n) * s - n
RATE = s**2 / ((1 + s) * (n + ridge * s**2))
EDITS = (1 + s) * (n / s - ridge)  # t as a function of s


def slope_in(symbol: sympy.Symbol) -> sympy.Expr:
    """ds/d(symbol) of the s that solves EQUATION, by implicit differentiation."""
    return -sympy.diff(EQUATION, symbol) / sympy.diff(EQUATION, s)


def check_mean_field(rate: sympy.Expr) -> Evidence:
    """q_t from s_t, and the norm's law as its integral."""
    proof = Proof()
    proof.say(
        "mean field: kᵀA⁻¹k ~ tr A⁻¹ = s, ‖A⁻¹k‖² ~ tr A⁻² = −ds/dL2, E‖Wk‖² = ‖W‖²; δ ⟂ WA⁻¹k on average, so that"
    )
    proof.say("E‖W_{t+1}‖² − ‖W_t‖² = E‖δ‖²‖A⁻¹k‖²/(1+s)² ~ c²‖W‖² q,  q = tr A⁻²/(1+s)²")
    proof.equal("s = n/(L2 + t/(1+s)), cleared of fractions", s * (ridge * (1 + s) + t) - n * (1 + s), EQUATION)
    known = {t: EDITS}
    proof.equal("solved for t", EQUATION.subs(known), sympy.Integer(0))
    q = (-slope_in(ridge) / (1 + s) ** 2).subs(known)
    proof.equal("q by implicit differentiation", q, rate)
    proof.equal("q is −d log(1+s)/dt", (-slope_in(t) / (1 + s)).subs(known), rate)
    g = s / n
    proof.equal(
        "q as n g²/((1+ng)² − t n g²), g = s/n", (n * g**2 / ((1 + n * g) ** 2 - t * n * g**2)).subs(known), rate
    )
    proof.equal("s at t = 0", EQUATION.subs({t: 0, s: n / ridge}), sympy.Integer(0))
    proof.say("so d log R/dt = c²q integrates to R_t/R_0 = ((1 + s_0)/(1 + s_t))^(c²), s_0 = n/L2")
    for size, level, edits in ((12, 0.5, 9), (12, 3.0, 30)):
        exact = root_of(size, level, edits)
        proof.agree(
            f"`fresh_gain` at n = {size}, L2 = {level}, t = {edits}",
            float(fresh_gain(size, level, edits)),
            exact,
            1e-13,
        )
        asserted = rate.subs({n: size, ridge: level, s: float(exact)})
        proof.agree("the asserted rate is the slope in L2", asserted, rate_of(size, level, edits), 1e-12)
        proof.agree(
            "and so is `growth_rate`", float(growth_rate(size, level, edits)), rate_of(size, level, edits), 1e-12
        )
    with mpmath.workdps(15):
        total = mpmath.quad(lambda e: rate_of(12, 3.0, e), [0, 15, 30], maxdegree=4)
    law = float(accumulating_growth(12, 3.0, 1.5, 30)[-1])
    proof.agree("`accumulating_growth`, exp(c² ∫ q dt) by quadrature", law, mpmath.exp(1.5**2 * total), 1e-9)
    return proof.evidence(sympy.factor(q), rate)


@dataclass(frozen=True)
class Limits:
    """What is asserted of small ridges, in d = |n − t| > 0.

    Attributes:
        before: q for t = n − d.
        after: q for t = n + d.
        peak: the power of n/L2 that R_n/R_0 follows, over c².
        final: the same of R_∞/R_0.
    """

    before: sympy.Expr
    after: sympy.Expr
    peak: sympy.Expr
    final: sympy.Expr


DISTANCE = sympy.Symbol("d", positive=True)


def check_limits(asserted: Limits) -> Evidence:
    """L2 → 0 on both sides of t = n, the height of the peak, saturation, and the exact law's limit n → ∞."""
    proof = Proof()
    d, e = DISTANCE, sympy.Symbol("ε", positive=True)
    proof.say("before: s = S/L2, so L2·EQUATION at t = n − d is S² + (L2 − d)S − nL2, and S → d as L2 → 0 (S > 0)")
    scaled = sympy.expand(ridge * EQUATION.subs({s: e / ridge, t: n - d}))
    proof.equal("L2·EQUATION(S/L2)", scaled, e**2 + (ridge - d) * e - n * ridge)
    proof.equal("at L2 = 0, S = d it vanishes", scaled.subs({ridge: 0, e: d}), sympy.Integer(0))
    proof.equal("lim q, s = d/L2", sympy.limit(RATE.subs(s, d / ridge), ridge, 0), asserted.before)
    after = n / d
    proof.equal(
        "after: EQUATION at L2 = 0, t = n + d has the root s = n/d",
        EQUATION.subs({ridge: 0, t: n + d, s: after}),
        sympy.Integer(0),
    )
    proof.equal("lim q", RATE.subs({ridge: 0, s: after}), asserted.after.subs(t, n + d))
    at = EQUATION.subs(t, n)
    proof.equal("at t = n: L2 s² + L2 s − n, so s(s+1) = n/L2", at, ridge * (s**2 + s) - n)
    ratio = sympy.log(1 + s * (s + 1)) - sympy.log(1 + s)
    peak = sympy.limit(ratio / sympy.log(s * (s + 1)), s, sympy.oo)
    proof.equal("log(R_n/R_0)/(c² log(n/L2)) → ", peak, asserted.peak)
    ratio = sympy.limit((1 + s * (s + 1)) / (1 + s) / sympy.sqrt(s * (s + 1)), s, sympy.oo)
    proof.equal("and R_n/R_0 ~ (n/L2)^(c²/2) with the constant", ratio, sympy.Integer(1))
    proof.say("t → ∞: s ≤ n(1+s)/t → 0 (s ≤ n/L2), so R_∞/R_0 = (1 + n/L2)^(c²)")
    y = sympy.Symbol("n/L2", positive=True)
    proof.equal("log(1 + n/L2)/log(n/L2) →", sympy.limit(sympy.log(1 + y) / sympy.log(y), y, sympy.oo), asserted.final)
    middle, last = saturation(20, 0.5, 1.25)
    exact = root_of(20, 0.5, 20)
    proof.agree("`saturation` at t = n", middle, (41 / (1 + exact)) ** (1.25**2), 1e-12)
    proof.agree(
        "`saturation` at t = ∞ and the law at t = 10⁷", last, accumulating_growth(20, 0.5, 1.25, 10**7)[-1], 1e-5
    )
    x = sympy.Symbol("t/n", positive=True)
    proof.say(
        "the exact law (T3b.exact, θ = 1): Γ(z+κ)/Γ(z) ~ z^κ (Stirling), so Π ~ ((n−1)/(n−1−xn))^κ, κ = c², x = t/n < 1"
    )
    ratio = sympy.limit((n - 1) / (n - 1 - x * n), n, sympy.oo)
    proof.equal("lim (n−1)/(n−1−xn): the mean field's n/(n−t)", ratio, 1 / (1 - x))
    proof.agree(
        "`hard_growth` at n = 10⁷, t = n/2, against 2^(c²)", hard_growth(10**7, 5 * 10**6, 0.75), 2**0.5625, 1e-6
    )
    return proof.evidence("1/(n−t), n/(t(t−n)), 1/2, 1", asserted)


def check_fastest(cubic: sympy.Expr) -> Evidence:
    """Where q is largest: the sign of dq/ds is that of −cubic, and s falls as t rises."""
    proof = Proof()
    slope = sympy.diff(RATE, s)
    positive = s / ((1 + s) ** 2 * (n + ridge * s**2) ** 2)
    proof.equal("dq/ds is a positive factor times n(s+2) − L2 s³", slope, positive * (n * (s + 2) - ridge * s**3))
    proof.follows("ds/dt < 0", [], sympy.diff(EDITS, s) < 0)
    proof.follows("dq/ds > 0 iff cubic < 0", [], sympy.Equivalent(slope > 0, cubic < 0))
    proof.follows("(s+2)/s³ falls, so the cubic has one positive root; it lies below s_0 = n/L2 iff L2 < n/2",
                  [], sympy.Equivalent(cubic.subs(s, n / ridge) > 0, 2 * ridge < n))  # fmt: skip
    proof.say("so q rises up to t* = t(s*) and falls after it if L2 < n/2, and falls from t = 0 on if L2 ≥ n/2")
    level = n * (s + 2) / s**3
    shift = sympy.limit(((n - EDITS) / ridge).subs(ridge, level), s, sympy.oo)
    proof.equal("small L2 (s* → ∞): (n − t*)/L2 →", sympy.simplify(shift), sympy.Integer(3))
    for size, value in ((40, 0.3), (40, 12.0)):
        exact = mpmath.findroot(lambda x: value * x**3 - size * (x + 2), (size / value) ** 0.5 + 1)  # noqa: B023
        found = (1 + exact) * (size / exact - value)
        proof.agree(f"`fastest_edit` at n = {size}, L2 = {value}", fastest_edit(size, value), found, 1e-12)
        proof.agree(
            "`spectral_threshold` of n equal eigenvalues", spectral_threshold([1.0] * size, value)[0], found, 1e-6
        )
    proof.holds("`fastest_edit` is 0 from L2 = n/2 on", fastest_edit(40, 20.0) == 0 < fastest_edit(40, 19.9))
    return proof.evidence("L2 s³ = n(s+2)", cubic)


def claims() -> tuple[Claim[Any], ...]:
    """The mean-field laws; every statement says that it is one."""
    half, one = sympy.Rational(1, 2), sympy.Integer(1)
    limits = Limits(1 / DISTANCE, n / (t * (t - n)), half, one)
    return (
        Claim(
            "T3b.mean_field", "T3b", Kind.PROVED,
            f"{MEAN_FIELD} of isotropic keys, E kkᵀ = I, δ ⟂ WA⁻¹k on average, E‖δ‖² = c²‖Wk‖²: with "
            "s = n/(L2 + t/(1+s)), d log‖W‖²/dt = c²q, q = tr A⁻²/(1+s)² = s²/((1+s)(n+L2s²)) = −d log(1+s)/dt, hence "
            "‖W_t‖²/‖W_0‖² = ((1+s_0)/(1+s_t))^(c²), s_0 = n/L2. Off by a few percent at n = 32 to 64 (S3b.field).",
            check_mean_field, RATE, s**2 / ((1 + s) * (n + ridge * s)), "q = s²/((1+s)(n+L2s))",
        ),
        Claim(
            "T3b.limits", "T3b", Kind.PROVED,
            f"{MEAN_FIELD} of isotropic keys: "
            "L2 → 0 gives q = 1/(n−t) before t = n and n/(t(t−n)) after; R_n/R_0 ~ (n/L2)^(c²/2) at the "
            "threshold and R_∞/R_0 = (1+n/L2)^(c²): the norm saturates. The exact law T3b.exact with θ = 1 tends to "
            "(n/(n−t))^(c²) as n → ∞ at fixed t/n < 1.",
            check_limits, limits, replace(limits, peak=one), "R_n/R_0 ~ (n/L2)^(c²) already at t = n",
        ),
        Claim(
            "T3b.fastest", "T3b", Kind.PROVED,
            f"{MEAN_FIELD} of isotropic keys, c > 0: "
            "log‖W‖² grows fastest at t* = (1+s)(n/s−L2), s the positive root of L2s³ = n(s+2), if "
            "L2 < n/2 (t* = n − 3·L2 + o(L2)); if L2 ≥ n/2 growth slows down from the first edit "
            "on and there is no threshold.",
            check_fastest, ridge * s**3 - n * (s + 2), ridge * s**3 - n * (s + 1), "L2s³ = n(s+1)",
        ),
    )  # fmt: skip
