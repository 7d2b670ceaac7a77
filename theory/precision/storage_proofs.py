"""T7's claim on one stored weight: the exact change of its norm, its variance and its tail."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import sympy

from theory.claim import Claim, Evidence, Kind
from theory.precision.formats import FORMATS, Format, round_exact
from theory.precision.storage import entry_variance, gaps, noise_level, stored_noise
from theory.provers.prove import Proof
from theory.provers.trace_algebra import Algebra

SLOPE, ERROR, OTHER, DRIVE = sympy.symbols("a e f λ", real=True)
GAP, NEXT, SPREAD, LEVEL, WRITES, ALARM = sympy.symbols("g h σ z N α", positive=True)
TERM = sympy.Symbol("k", nonnegative=True)


def check_stored_change(variance: Callable[[Any, Any], Any]) -> Evidence:
    """Cells by exact rounding, the quadratic form expanded, moments by integrals, the tail by exponential moments."""
    a = Algebra({"W'": ("m", "n"), "E": ("m", "n"), "C": ("n", "n")}, ("C",))
    W, E, C = map(a, ("W'", "E", "C"))
    proof = Proof()
    for target in FORMATS:
        proof.holds(f"{target.name}: |fl(x) − x| ≤ g/2 with g at fl(x), from subnormals up, at 0 and at powers of two",
                    all(in_cell(x, target) for x in near(target)))  # fmt: skip
    proof.equal("X = W' − E: ‖W'‖²_C − ‖X‖²_C", W.norm_sq(C) - (W - E).norm_sq(C),
                2 * (W @ C @ E.T).trace() - E.norm_sq(C))  # fmt: skip
    proof.say("so it is Σ a_ij e_ij − ‖E‖²_C with a = 2W'C; W' is given from here on")
    mean = lambda moment: sympy.integrate(moment / GAP, (ERROR, -GAP / 2, GAP / 2))  # noqa: E731
    proof.equal("e uniform on ±g/2: E ae", mean(SLOPE * ERROR), sympy.Integer(0))
    proof.equal("E (ae)²", mean((SLOPE * ERROR) ** 2), variance(SLOPE, GAP))
    own, across, last = sympy.symbols("C11 C12 C22", real=True)
    square = own * ERROR**2 + 2 * across * ERROR * OTHER + last * OTHER**2
    proof.equal("E eCeᵀ of independent e, f", mean(sympy.integrate(square / NEXT, (OTHER, -NEXT / 2, NEXT / 2))),
                own * GAP**2 / 12 + last * NEXT**2 / 12)  # fmt: skip
    x = sympy.Symbol("x", positive=True)
    proof.say("E exp(λae) with x = λag/2, in which it is even:")
    proof.equal("E exp(2xe/g)", mean(sympy.exp(2 * x * ERROR / GAP)), (sympy.sinh(x) / x).rewrite(sympy.exp))
    proof.say(
        "sinh x/x = Σ x^2k/(2k+1)! ≤ Σ x^2k/(6^k k!) = exp(x²/6): both coefficients are 1 at k = 0, and from k to"
    )
    proof.say("k + 1 the first is divided by (2k+2)(2k+3), the second by 6(k+1)")
    proof.follows("(2k+2)(2k+3) ≥ 6(k+1)", [], (2 * TERM + 2) * (2 * TERM + 3) >= 6 * (TERM + 1))
    proof.equal("x²/6 = λ²·variance/2", (DRIVE * SLOPE * GAP / 2) ** 2 / 6, DRIVE**2 * variance(SLOPE, GAP) / 2)
    exponent = DRIVE**2 * SPREAD**2 / 2 - DRIVE * LEVEL * SPREAD
    best = LEVEL / SPREAD
    proof.say("independent e: E exp(λΣae) ≤ exp(λ²σ²/2), σ² the sum of the variances; Markov, λ > 0:")
    proof.say("P(Σae ≥ zσ) ≤ exp(λ²σ²/2 − λzσ)")
    proof.equal("its slope at λ = z/σ > 0", sympy.diff(exponent, DRIVE).subs(DRIVE, best), sympy.Integer(0))
    proof.equal("and itself", exponent.subs(DRIVE, best), -(LEVEL**2) / 2)
    proof.say("−Σae has the same law: P(|Σae| ≥ zσ) ≤ 2 exp(−z²/2); that any of N does has N times that at most")
    level = sympy.sqrt(2 * sympy.log(2 * WRITES / ALARM))
    proof.equal("2N exp(−z²/2)", 2 * WRITES * sympy.exp(-(level**2) / 2), ALARM)
    for writes, alarm in ((1, "0.5"), (60, "0.01"), (5000, "0.0001")):
        exact = level.subs({WRITES: writes, ALARM: sympy.Rational(alarm)}).evalf(20)
        proof.agree(f"z for N = {writes}, α = {alarm}", noise_level(writes, float(alarm)), exact)
    slopes, gap = [3.0, -1.0, 0.5], [0.5, 0.25, 2.0]
    total = sum(variance(sympy.Rational(s), sympy.Rational(g)) for s, g in zip(slopes, gap, strict=True))
    proof.agree("σ of three entries", stored_noise(slopes, gap), sympy.sqrt(total).evalf(20))
    return proof.evidence(variance(SLOPE, GAP))


def near(target: Format) -> list[Fraction]:
    """Rationals around 0, the subnormals, the first normal number, powers of two and numbers between them."""
    smallest, u = target.smallest, target.unit_roundoff
    small = [Fraction(0), smallest, 3 * smallest, target.smallest_normal]
    centres = [*small, Fraction(1), Fraction(3, 2), Fraction(2), Fraction(-4)]
    steps = [Fraction(step, 8) for step in range(-12, 13)]
    return [c + step * max(2 * u * abs(c), smallest) for c in centres for step in steps]


def in_cell(x: Fraction, target: Format) -> bool:
    """Whether rounding moves x by half a gap at most, of those at the number it comes to."""
    rounded = round_exact(x, target)
    return 2 * abs(rounded - x) <= Fraction(float(gaps(float(rounded), target)))


def claims() -> tuple[Claim[Any], ...]:
    """What storage does to one given weight."""
    return (
        Claim(
            "T7.stored_change", "T7", Kind.PROVED,
            "W' = fl(X) to nearest, without overflow, E = W' − X, g_ij the gap of the format at W'_ij: |E_ij| ≤ g_ij/2 "
            "and ‖W'‖²_C − ‖X‖²_C = Σ a_ij E_ij − ‖E‖²_C with a = 2W'C. If, given W', the E_ij are independent and "
            "uniform on ±g_ij/2 (the cell of a power of two is narrower on one side), Σ a_ij E_ij has mean 0 and "
            "variance σ² = Σ a_ij² g_ij²/12; where σ > 0 its size reaches zσ with a probability of at most "
            "2 exp(−z²/2), and one of N such sums z = √(2 ln(2N/α)) of its σ with at most α, dependent or not. "
            "E ‖E‖²_C = Σ C_jj g_ij²/12.",
            check_stored_change, entry_variance, lambda slope, gap: slope**2 * gap**2 / 3,
            "an error reaches a whole gap: a²g²/3",
        ),
    )  # fmt: skip
