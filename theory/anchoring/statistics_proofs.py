"""T5 and P13: the trimmed mean of pilots as an anchor, its bias and error, and what they do to the plateau."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import mpmath
import sympy

from theory.anchoring.norm_proofs import ANCHOR, LENGTH
from theory.anchoring.plateaus import batch_plateau, plateau, worst_case
from theory.anchoring.statistics import (
    TrimmedMean,
    plateau_shift,
    plateau_uncertainty,
    trimmed_lognormal,
    trimmed_normal,
)
from theory.claim import Claim, Evidence, Kind
from theory.provers.prove import Proof
from theory.provers.trace_algebra import Algebra
from theory.writes.identities import ETA

TRIM, PILOTS, KEPT, SCALE = sympy.symbols("τ N K c", positive=True)
Law = Callable[[float, float, float], TrimmedMean]


@dataclass(frozen=True)
class Trimmed:
    """The closed forms of trimmed means."""

    normal: Law
    lognormal: Law


def trimmed_by_quadrature(density: Callable[[Any], Any], quantile: Any, start: Any, trim: Any) -> tuple[Any, Any]:
    """E[X | X ≤ q] and sd(min(X, q))/(1 − τ), each integral by itself."""
    moments = [mpmath.quad(lambda x, i=i: x**i * density(x), [start, quantile - 2, quantile]) for i in (0, 1, 2)]
    mass = moments[0]
    first, second = moments[1] + quantile * trim, moments[2] + quantile**2 * trim
    return moments[1] / mass, mpmath.sqrt(second - first**2) / (1 - trim)


def check_trim(asserted: Trimmed) -> Evidence:
    """The closed forms against integrals at 30 digits, for two laws, means, spreads and shares."""
    proof = Proof()
    for mean, cv, trim in ((1.0, 0.1, 0.05), (4.0, 0.3, 0.05), (2.0, 0.6, 0.2)):
        with mpmath.workdps(30):
            m, c, tau = (mpmath.mpf(str(part)) for part in (mean, cv, trim))
            z = mpmath.sqrt(2) * mpmath.erfinv(1 - 2 * tau)
            limit, spread = trimmed_by_quadrature(mpmath.npdf, z, -12, tau)
            found = asserted.normal(mean, cv, trim)
            proof.agree(f"normal, mean {mean}, cv {cv}, τ = {trim}: limit", found.limit, m + c * m * limit, 1e-11)
            proof.agree("spread", found.spread, c * m * spread, 1e-11)
            sigma = mpmath.sqrt(mpmath.log(1 + c * c))
            centre = mpmath.log(m) - sigma**2 / 2
            reach = [centre - 12 * sigma, centre, centre + z * sigma]
            moments = [
                mpmath.quad(lambda y, i=i, at=centre, sd=sigma: mpmath.exp(i * y) * mpmath.npdf(y, at, sd), reach)
                for i in (1, 2)
            ]
            quantile = mpmath.exp(reach[-1])
            first, second = moments[0] + quantile * tau, moments[1] + quantile**2 * tau
            exact = moments[0] / (1 - tau), mpmath.sqrt(second - first**2) / (1 - tau)
            skewed = asserted.lognormal(mean, cv, trim)
            proof.agree("log-normal: limit", skewed.limit, exact[0], 1e-11)
            proof.agree("spread", skewed.spread, exact[1], 1e-11)
            proof.holds("both limits lie below the mean", found.limit < mean and skewed.limit < mean)
    shift = asserted.normal(1.0, 0.1, 0.05).limit - 1
    proof.holds(f"normal, cv 0.1, τ = 0.05: the bias {shift} is −0.109 cv", round(shift / 0.1, 3) == -0.109)
    proof.say("E[X | X ≤ q] ≤ E X for every law: what is left out is at least q, what is kept at most q")
    return proof.evidence("closed forms", "quadrature")


def check_trim_uniform(asserted: tuple[sympy.Expr, sympy.Expr]) -> Evidence:
    """The exact mean and the limit of N·variance for uniform norms, from the moments of order statistics.

    Args:
        asserted: the mean of the K smallest of N, and lim N·Var with K = (1 − τ)N.
    """
    i, j = sympy.symbols("i j", positive=True, integer=True)
    count, kept = sympy.symbols("N K", positive=True, integer=True)
    proof = Proof()
    proof.say("norms uniform on [0, 1]: E U_(i) = i/(N+1), Cov(U_(i), U_(j)) = i(N+1−j)/((N+1)²(N+2)) for i ≤ j")
    mean = sympy.summation(i / (count + 1), (i, 1, kept)) / kept
    formula, limit = (part.subs({PILOTS: count, KEPT: kept}) for part in asserted)
    proof.equal("mean of the K smallest of N", sympy.factor(mean), formula)
    over = sympy.summation(sympy.summation(i * (count + 1 - j), (i, 1, j - 1)), (j, 1, kept))
    diagonal = sympy.summation(i * (count + 1 - i), (i, 1, kept))
    variance = (2 * over + diagonal) / ((count + 1) ** 2 * (count + 2) * kept**2)
    share = 1 - TRIM
    found = sympy.limit(sympy.simplify(count * variance.subs(kept, share * count)), count, sympy.oo)
    proof.equal("lim N·Var of that mean, K = (1 − τ)N", sympy.expand(found), sympy.expand(limit))
    x = sympy.Symbol("x")
    first = sympy.integrate(x, (x, 0, share)) + share * TRIM
    second = sympy.integrate(x**2, (x, 0, share)) + share**2 * TRIM
    winsorised = sympy.cancel((second - first**2) / share**2)
    proof.equal("the winsorised variance Var(min(U, q))/(1 − τ)², q = 1 − τ", winsorised, sympy.expand(limit))
    naive = share / 12
    gap = sympy.factor(sympy.expand(limit) - naive)
    proof.follows("it is larger than Var(U | U ≤ q)/(1 − τ), the naive one", [TRIM < 1], gap > 0)
    proof.equal("and the bias is half of the trim: lim mean against 1/2", sympy.limit(
        formula.subs(kept, share * count), count, sympy.oo), sympy.Rational(1, 2) * (1 - TRIM))  # fmt: skip
    return proof.evidence(sympy.factor(found), asserted[1])


def check_sensitivity(order: int) -> Evidence:
    """d log R∞/d log a, and the float functions of it by finite changes of `plateau`."""
    proof = Proof()
    W, v, k, x = map(Algebra({"W": ("m", "n"), "v": ("m", 1), "k": ("n", 1), "x": ("n", 1)}), ("W", "v", "k", "x"))
    kappa = sympy.Symbol("κ", positive=True)
    fixed = kappa * LENGTH
    proof.equal(
        "(W, v) → (cW, cv) makes a stream of a stream, with the same keys and shares, c times as large: cW'",
        SCALE * (W + ETA * ((v - W @ k) @ x.T)),
        SCALE * W + ETA * ((SCALE * v - SCALE * W @ k) @ x.T),
    )
    proof.say("so a limit of ‖W‖² that W_0 does not set is c² as large at the anchor ca: a² times a number")
    proof.equal("d log R∞/d log a", sympy.cancel(ANCHOR * sympy.diff(fixed, ANCHOR) / fixed), sympy.Integer(order))
    for shift in (-0.011, 0.02, 0.5):
        direct = plateau(1 + shift, 9) / plateau(1.0, 9) - 1
        proof.agree(f"plateau_shift({shift}) and the plateau at a moved anchor", plateau_shift(shift), direct, 1e-11)
        for law in (lambda a: batch_plateau(a, 9, 4), lambda a: worst_case(0.0, a, 0.5, [3.0])[1]):
            proof.agree(
                f"alike a batch's, and what a write adds, at {shift}", law(1 + shift) / law(1.0) - 1, direct, 1e-11
            )
    for pilots in (100, 300, 500, 1000, 2000):
        error = mpmath.mpf("0.1") / mpmath.sqrt(pilots)
        proof.agree(
            f"plateau_uncertainty(0.1, {pilots}): {order} cv/√N", plateau_uncertainty(0.1, pilots), order * error
        )
        exact = mpmath.sqrt(4 * error**2 + 2 * error**4)  # of (1 + εZ)² − 1, Z standard normal
        proof.agree("with the second order of a normal error", plateau_uncertainty(0.1, pilots), exact, 1e-4)
    return proof.evidence("2", order)


def claims() -> tuple[Claim[Any], ...]:
    """What the pilots' statistics do to the anchor and to the plateau."""
    trimmed = Trimmed(trimmed_normal, trimmed_lognormal)

    def naive(mean: float, cv: float, trim: float) -> TrimmedMean:
        exact = trimmed_normal(mean, cv, trim)
        return exact._replace(spread=exact.spread * (1 - trim))

    mean, variance = (KEPT + 1) / (2 * (PILOTS + 1)), (1 - TRIM) / 3 - (1 - TRIM) ** 2 / 4
    return (
        Claim(
            "T5.trim", "P7, P13", Kind.COMPUTED,
            "NAS's anchor, the mean of N independent norms X without the 5 % largest, tends to E[X | X ≤ q] < E X as N "
            "→ ∞, and √N times its error to a normal law of spread sd(min(X, q))/(1 − τ) (asymptotic: Stigler 1973, "
            "for E X² finite and one quantile q; at finite N see T5.trim_uniform); trimmed_normal and "
            "trimmed_lognormal are these numbers, by quadrature at 30 digits: for normal norms the bias is −0.109 cv "
            "of the mean.",
            check_trim, trimmed, replace(trimmed, normal=naive), "the spread without division by 1 − τ",
        ),
        Claim(
            "T5.trim_uniform", "P7, P13", Kind.PROVED,
            "For N uniform norms the mean of the K smallest is exactly (K+1)/(2(N+1)) in the mean, and N times its "
            "variance tends to Var(min(U, q))/(1−τ)² = (1−τ)/3 − (1−τ)²/4, K = (1−τ)N: the winsorised standard error, "
            "not that of the kept norms, which is too small.",
            check_trim_uniform, (mean, variance), (mean, (1 - TRIM) / 12),
            "the variance of the kept norms over their number",
        ),
        Claim(
            "T5.sensitivity", "P13", Kind.COMPUTED,
            "Every plateau of T5, and what its bounds add to ‖W_0‖², is proportional to a², as a stream scales with "
            "its values, so a relative error ε of the anchor makes one of (1+ε)² − 1 ≈ 2ε of the plateau: to first "
            "order 2cv/√N for N pilots, cv the anchor's spread over its limit, at cv = 0.1 from 2.0 % (N = 100) to "
            "0.45 % (N = 2000). P13's insensitivity to N is what any statistic of so many pilots shows.",
            check_sensitivity, 2, 1, "it is proportional to a",
        ),
    )  # fmt: skip
