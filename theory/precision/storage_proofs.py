"""T7's claim on one stored weight: the exact change of its norm, its variance and its tail."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import sympy

from theory.claim import Claim, Evidence, Kind
from theory.precision.storage import entry_variance, noise_level
from theory.provers.prove import Proof
from theory.provers.trace_algebra import Algebra

SLOPE, ERROR, DRIVE = sympy.symbols("a e λ", real=True)
GAP, SPREAD, LEVEL = sympy.symbols("g σ z", positive=True)
TERM = sympy.Symbol("k", nonnegative=True)
ALARM = sympy.Symbol("α", positive=True)


def check_stored_change(variance: Callable[[Any, Any], Any]) -> Evidence:
    """The quadratic form expanded, an entry's moments by integrals, the tail by exponential moments."""
    a = Algebra({"X": ("m", "n"), "E": ("m", "n"), "C": ("n", "n")}, ("C",))
    X, E, C = map(a, ("X", "E", "C"))
    proof = Proof()
    proof.say("W' = X + E, |E_ij| ≤ g_ij/2: the rounding to nearest of an entry stays in its cell")
    proof.equal("‖W'‖²_C − ‖X‖²_C", (X + E).norm_sq(C) - X.norm_sq(C), 2 * (X @ C @ E.T).trace() + E.norm_sq(C))
    proof.say("so the linear part is Σ a_ij e_ij with a = 2XC, and the rest is ‖E‖²_C")
    uniform = lambda moment: sympy.integrate(moment / GAP, (ERROR, -GAP / 2, GAP / 2))  # noqa: E731
    proof.equal("e uniform on ±g/2: E ae", uniform(SLOPE * ERROR), sympy.Integer(0))
    proof.equal("E (ae)²", uniform((SLOPE * ERROR) ** 2), variance(SLOPE, GAP))
    proof.equal("E ‖E‖²_C, the C_jj e² of independent e", uniform(ERROR**2), GAP**2 / 12)
    x = DRIVE * SLOPE * GAP / 2
    drive = sympy.Symbol("x", positive=True)
    proof.equal("E exp(λae) is sinh x/x with x = λag/2", uniform(sympy.exp(ERROR * 2 * drive / GAP)),
                (sympy.sinh(drive) / drive).rewrite(sympy.exp))  # fmt: skip
    proof.say(
        "sinh x/x = Σ x^2k/(2k+1)! ≤ Σ x^2k/(6^k k!) = exp(x²/6): both coefficients are 1 at k = 0, and from k to"
    )
    proof.say("k + 1 the first is divided by (2k+2)(2k+3), the second by 6(k+1)")
    proof.follows("(2k+2)(2k+3) ≥ 6(k+1)", [], (2 * TERM + 2) * (2 * TERM + 3) >= 6 * (TERM + 1))
    proof.equal("x²/6 = λ²·variance/2", x**2 / 6, DRIVE**2 * variance(SLOPE, GAP) / 2)
    exponent = DRIVE**2 * SPREAD**2 / 2 - DRIVE * LEVEL * SPREAD
    best = sympy.solve(sympy.diff(exponent, DRIVE), DRIVE)[0]
    proof.say("independent e: E exp(λΣae) ≤ exp(λ²σ²/2), σ² the sum of the variances; Markov: P(Σae ≥ zσ) ≤ exp(…)")
    proof.equal("the exponent λ²σ²/2 − λzσ at its least", exponent.subs(DRIVE, best), -(LEVEL**2) / 2)
    proof.say("−Σae has the same law: P(|Σae| ≥ zσ) ≤ 2 exp(−z²/2); N writes miss it with N times that at most")
    for writes, alarm in ((1, 0.5), (60, 0.01), (5000, 1e-4)):
        level = sympy.sqrt(2 * sympy.log(2 * writes / ALARM)).subs(ALARM, sympy.Rational(str(alarm)))
        proof.agree(f"2N exp(−z²/2) = α: z for N = {writes}, α = {alarm}", noise_level(writes, alarm), level.evalf(20))
    return proof.evidence(variance(SLOPE, GAP))


def claims() -> tuple[Claim[Any], ...]:
    """What storage does to one given weight."""
    return (
        Claim(
            "T7.stored_change", "T7", Kind.PROVED,
            "W' = fl(X), no over- or underflow, g_ij the gap of the format at X_ij: ‖W'‖²_C − ‖X‖²_C = Σ a_ij e_ij + "
            "‖E‖²_C with a = 2XC and |e_ij| ≤ g_ij/2. If the errors e_ij are independent and uniform on their cells, "
            "Σ a_ij e_ij has mean 0 and variance σ² = Σ a_ij² g_ij²/12, and |Σ a_ij e_ij| ≥ zσ has a probability of "
            "at most 2 exp(−z²/2), whatever the sizes: none of N writes reaches z = √(2 ln(2N/α)), but with "
            "probability α.",
            check_stored_change, entry_variance, lambda slope, gap: slope**2 * gap**2 / 3,
            "an error reaches a whole gap: a²g²/3",
        ),
    )  # fmt: skip
