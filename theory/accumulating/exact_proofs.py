"""T3b's exact claims: the law of hard accumulating writes, its threshold and its double descent."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import sympy

from theory.accumulating.exact import hard_growth, hard_step, least_norm
from theory.claim import Claim, Evidence, Kind
from theory.provers.moments import DIMENSION, chi_square_moment, sphere_moment
from theory.provers.prove import Proof
from theory.provers.trace_algebra import Algebra, inverses, projector

n, t = DIMENSION, sympy.Symbol("t", nonnegative=True)
c, theta = sympy.Symbol("c", nonnegative=True), sympy.Symbol("θ", positive=True)
LENGTH, START = sympy.symbols("a² R0", positive=True)
LEVEL = sympy.Symbol("x", real=True)
KAPPA = (theta - 1) ** 2 + theta**2 * c**2
# A Gaussian key is k = p + q, q = Qk in the n − t directions that no past key spans.
FREE = n - t
MEAN_INVERSE = chi_square_moment(-1).subs(n, FREE)  # E[1/‖q‖²]
MEAN_SHARE = sphere_moment(1).subs(n, FREE)  # E[‖Wq‖²/‖q‖²]/‖WQ‖²


PRODUCT, WEIGHT = sympy.symbols("Π κ", positive=True)
SLOPE = 2 * (1 - theta) / (n * (1 + WEIGHT))


@dataclass(frozen=True)
class Solved:
    """E‖W_t‖²/‖W_0‖² as it is asserted, in κ.

    Attributes:
        law: in Π and t.
        product: Π in t.
    """

    law: sympy.Expr
    product: sympy.Expr


def gamma_product(top: sympy.Expr) -> sympy.Expr:
    """Π_{i<t} (1 + κ/(top − 1 − i)) by Gamma functions."""
    gamma = sympy.gamma
    return gamma(top + WEIGHT) * gamma(top - t) / (gamma(top) * gamma(top - t + WEIGHT))


def prove_hard_write(proof: Proof) -> None:
    """The limit rule: what Δ = r(Qk)ᵀ/s does, Q = I − (projector on past keys)."""
    a = Algebra({"W": ("m", "n"), "k": ("n", 1), "r": ("m", 1), "x": ("n", 1), "Q": ("n", "n")}, ("Q",), projector("Q"))
    W, k, r, x, Q = map(a, ("W", "k", "r", "x", "Q"))
    s = (k.T @ Q @ k).number()
    delta = r @ (Q @ k).T / s
    proof.say("L2 → 0 with t < n independent past keys, Q the projector off their span: A⁻¹ = Q/L2 + O(1), so")
    proof.say("A⁻¹k/(1+s) = (Qk/L2 + O(1))/(kᵀQk/L2 + O(1)) → Qk/kᵀQk")
    proof.equal("the write meets its target: (W+Δ)k", (W + delta) @ k, W @ k + r)
    proof.equal("it leaves past keys y = x − Qx alone: Δy", delta @ (x - Q @ x), 0 * (delta @ x))
    change = 2 * (r.T @ W @ Q @ k).number() / s + (r.T @ r).number() / s
    proof.equal("‖W+Δ‖² − ‖W‖² = [2 r·WQk + ‖r‖²]/s", sympy.expand((W + delta).norm_sq() - W.norm_sq()), change)


def prove_means(proof: Proof) -> tuple[sympy.Expr, sympy.Expr]:
    """E‖W_tQ_t‖² and E‖W_t(I − Q_t)‖² over R_0, for x = E‖W_t‖²/R_0."""
    proof.say("k = p + q, q = Qk: Gaussian, so p and q are independent of each other and of the past, with mean 0")
    proof.say("so E of what is linear in p is 0, E[‖Wp‖²/‖q‖²] = ‖W(I−Q)‖² E[1/χ²_{n−t}], and ‖q‖, q̂ are independent")
    proof.equal("E[1/χ²_{n−t}], n − t > 2", MEAN_INVERSE, 1 / (n - t - 2))
    proof.equal("E[‖Wq‖²/‖q‖²]/‖WQ‖², q̂ uniform in n − t dimensions", MEAN_SHARE, 1 / (n - t))
    proof.say("every earlier Δ has its rows in the span of past keys, so W_tQ_t = W_0Q_t; Q_t does not depend on W_0,")
    proof.say("its law is that of any rotation of it, so E Q_t = q·I, and tr Q_t = n − t gives q = (n−t)/n")
    outside = (n - t) / n
    proof.equal("tr E Q_t", n * outside, n - t)
    return outside, LEVEL - outside


def check_exact(asserted: Solved) -> Evidence:
    """E‖W_t‖²/‖W_0‖² for v = θ(Wk + δ), from the moments of one write, and its solution."""
    proof = Proof()
    prove_hard_write(proof)
    outside, inside = prove_means(proof)
    proof.say("r = (θ−1)Wk + θδ with E[δ·Wk] = E[δ·WQk] = 0 and E‖δ‖² = c²‖Wk‖² given k and the past:")
    read, shift = sympy.symbols("‖Wk‖² ‖δ‖²", nonnegative=True)
    proof.equal("E‖r‖²/‖Wk‖²", ((theta - 1) ** 2 * read + theta**2 * shift).subs(shift, c**2 * read) / read, KAPPA)
    proof.say("‖Wk‖² = ‖Wp‖² + ‖Wq‖² + 2Wp·Wq and Wk·WQk = ‖Wq‖² + Wp·Wq, so, over R_0,")
    mean = LEVEL + 2 * (theta - 1) * outside * MEAN_SHARE + KAPPA * (inside * MEAN_INVERSE + outside * MEAN_SHARE)
    step = hard_step(LEVEL, n, t, c, theta)
    proof.equal("E‖W_{t+1}‖²/R_0 is `hard_step`", mean, step)
    proof.equal("Π at t = 0", asserted.product.subs(t, 0), sympy.Integer(1))
    ratio = sympy.gammasimp(asserted.product.subs(t, t + 1) / asserted.product)
    proof.equal("Π grows by the factor 1 + κ/(n−2−t)", ratio, 1 + WEIGHT / (n - 2 - t))
    law = asserted.law
    proof.equal("the law at t = 0", law.subs({t: 0, PRODUCT: 1}), sympy.Integer(1))
    later = law.subs({t: t + 1, PRODUCT: PRODUCT * ratio}, simultaneous=True).subs(WEIGHT, KAPPA)
    proof.equal("the law at t + 1 is one step from the law at t", later, step.subs(LEVEL, law.subs(WEIGHT, KAPPA)))
    for size, edits, shift_size, factor in ((7, 5, "3/4", "1"), (12, 7, "1/2", "3/5"), (30, 20, "1", "5/4")):
        numbers = sympy.Rational(shift_size), sympy.Rational(factor)
        exact = sympy.Integer(1)
        for edit in range(edits):
            exact = hard_step(exact, sympy.Integer(size), edit, *numbers)
        proof.agree(f"`hard_growth` at n = {size}, t = {edits}, c = {shift_size}, θ = {factor}, and exact steps",
                    hard_growth(size, edits, *map(float, numbers)), exact, 1e-11)  # fmt: skip
    return proof.evidence(step, asserted)


def check_threshold(margin: sympy.Expr) -> Evidence:
    """The last t with a finite mean is n − margin."""
    x, low = sympy.symbols("x ε", positive=True)
    degrees = sympy.Symbol("d", positive=True)
    proof = Proof()
    proof.say("given the past and q, averaged over δ and the sign of p, the write after t edits adds to ‖W_t‖²")
    proof.say("[2(θ−1) + κ]‖Wq̂‖² + κ‖Wp‖²/‖q‖²: all is finite but the last, κ‖W_t(I−Q_t)‖² E[1/χ²_d], d = n − t")
    proof.say("E[1/χ²_d] = ∫ x^(d/2−2) e^(−x/2) dx/(2^(d/2) Γ(d/2)); at infinity it always converges")
    proof.follows("for d ≤ 2 and 0 < x ≤ 1 the exponent d/2 − 2 is at most −1", [degrees <= 2], degrees / 2 - 2 <= -1)
    proof.say("so x^(d/2−2) e^(−x/2) ≥ e^(−1/2)/x on (0, 1], and the integral exceeds a multiple of ∫_ε^1 dx/x")
    proof.holds("∫_ε^1 dx/x → ∞", sympy.limit(sympy.integrate(1 / x, (x, low, 1)), low, 0) == sympy.oo)
    proof.follows("for d > 2 the exponent exceeds −1", [degrees > 2], degrees / 2 - 2 > -1)
    near = sympy.integrate(x ** (sympy.Rational(3, 2) - 2), (x, 0, 1))
    proof.equal("and at d = 3, the last integer, ∫_0^1 x^(−1/2) dx is finite", near, sympy.Integer(2))
    proof.say(
        "‖W_t(I−Q_t)‖ > 0 for t ≥ 1: W_t maps the last key to its value v, and E‖v‖² = θ²(1+c²)E‖Wk‖² > 0 (W_0 ≠ 0)"
    )
    last = n - margin
    integer_t = sympy.Symbol("t_last", real=True)
    given = [sympy.Eq(integer_t, last), n >= 3]
    proof.follows("t edits have a finite mean iff the last write had d = n − (t−1) ≥ 3; the last such t",
                  given, sympy.And(n - (integer_t - 1) >= 3, n - integer_t < 3))  # fmt: skip
    for size in (3, 8):
        border = size - int(margin)
        finite = [hard_growth(size, edits, 0.5) < math.inf for edits in (border, border + 1)]
        proof.holds(
            f"`hard_growth` at n = {size} is finite at t = {border}, infinite at {border + 1}", finite == [True, False]
        )
    proof.holds("without a shift or a factor nothing diverges", hard_growth(8, 8, 0.0) == 1.0)
    prove_finite(proof)
    return proof.evidence("n − 2", last)


def prove_finite(proof: Proof) -> None:
    """Every L2 > 0 keeps the mean finite: the growth of ‖W‖²_A in one write, in the mean."""
    a = Algebra({"W": ("m", "n"), "k": ("n", 1), "r": ("m", 1), "A": ("n", "n"), "M": ("n", "n")}, ("A", "M"),
                inverses("A", "M"))  # fmt: skip
    W, k, r, A, M = map(a, ("W", "k", "r", "A", "M"))
    gain, value = (k.T @ M @ k).number(), r + W @ k
    after = W + r @ (M @ k).T / (1 + gain)
    proof.say("L2 > 0, N = ‖W‖²_A, A' = A + kkᵀ, v = Wk + r, s = kᵀA⁻¹k:")
    change = (value.T @ value).number() - (r.T @ r).number() / (1 + gain)
    proof.equal("N' − N = ‖v‖² − ‖r‖²/(1+s)", sympy.expand(after.norm_sq(A + k @ k.T) - W.norm_sq(A)),
                sympy.expand(change))  # fmt: skip
    proof.say("E‖v‖² = θ²(1+c²)‖Wk‖² and ‖Wk‖² ≤ sN ≤ N‖k‖²/L2 (Cauchy and Schwarz; A ≥ L2·I), k independent of N, so")
    proof.say("E N' ≤ E N·(1 + θ²(1+c²)n/L2) < ∞, and L2‖W‖² ≤ N")


def check_double_descent(law: sympy.Expr) -> Evidence:
    """E‖W_t‖² for undirected values of length a: before the threshold, after it, and for every ridge."""
    proof = Proof()
    prove_hard_write(proof)
    outside, inside = prove_means(proof)
    proof.say("r = v − Wk with E[v] = 0 given k and the past: E r·WQk = −‖Wq‖², E‖r‖² = a² + ‖Wk‖², E‖W_t‖² = x·R_0")
    mean = (
        START * (LEVEL - 2 * outside * MEAN_SHARE + inside * MEAN_INVERSE + outside * MEAN_SHARE)
        + LENGTH * MEAN_INVERSE
    )
    proof.equal("the law at t = 0", law.subs(t, 0), START)
    proof.equal("the law at t + 1 is one step from the law at t", law.subs(t, t + 1), mean.subs(LEVEL, law / START))
    ridge = sympy.Symbol("L2", positive=True)
    a = Algebra({"V": ("m", "t"), "K": ("n", "t"), "A": ("n", "n"), "M": ("n", "n")}, ("A", "M"),
                (*inverses("A", "M"), ("Vᵀ V", {"": LENGTH}), ("K Kᵀ", {"A": 1, "": -ridge})))  # fmt: skip
    V, K, M = map(a, ("V", "K", "M"))
    proof.say("any ridge, any keys: W_tA_t = L2·W_0 + VKᵀ (T3b.anchored), E V = 0 and E VᵀV = a²·I given the keys, so")
    written = (V @ K.T @ M).norm_sq()
    proof.equal("E‖VKᵀA⁻¹‖², with KKᵀ = A − L2·I", written, LENGTH * (M - ridge * M @ M).trace())
    proof.say("E‖W_t‖² = L2²‖W_0‖²E tr A⁻²/n + a²E tr(A⁻¹ − L2·A⁻²) for isotropic keys, since E A⁻² is a multiple of I")
    after = n * chi_square_moment(-1).subs(n, t - n + 1)
    proof.say("L2 → 0: W_t → W_0(I − KK⁺) + VK⁺, and E‖VK⁺‖² = a²E tr(KKᵀ)⁺, whose trace is tr(KKᵀ)⁻¹ if t ≥ n, else")
    proof.say("tr(KᵀK)⁻¹; 1/((KKᵀ)⁻¹)_ii is χ² with t−n+1 degrees of freedom, 1/((KᵀK)⁻¹)_jj with n−t+1 (Wishart)")
    proof.equal("n·E[1/χ²_{t−n+1}], t ≥ n + 2", after, n / (t - n - 1))
    before = t * chi_square_moment(-1).subs(n, n - t + 1)
    proof.equal(
        "t·E[1/χ²_{n−t+1}], t ≤ n − 2: the law's second term again", before, (law - law.subs(LENGTH, 0)) / LENGTH
    )
    proof.say("for t = n − 1, n, n + 1 there are 2, 1, 2 degrees of freedom, and E[1/χ²_d] = ∞ (T3b.threshold)")
    for size, edits in ((9, 4), (9, 7), (9, 11), (9, 40)):
        formula = law if edits < size else LENGTH * after
        exact = formula.subs({n: size, t: edits, START: sympy.Rational(3, 2), LENGTH: sympy.Rational(4, 5)})
        proof.agree(f"`least_norm` at n = {size}, t = {edits}", least_norm(size, edits, 1.5, 0.8), exact)
    proof.holds(
        "`least_norm` is infinite at n − 1, n, n + 1", {least_norm(9, e, 1.0, 1.0) for e in (8, 9, 10)} == {math.inf}
    )
    return proof.evidence(sympy.factor(mean), law)


def claims() -> tuple[Claim[Any], ...]:
    """T3b: what is exact, then what is a mean field."""
    given = (
        "keys N(0, I_n), each independent of all before it (W_0 ≠ 0 and earlier keys and values), L2 → 0 (up to t = n "
        "the rule Δ = r(Qk)ᵀ/kᵀQk, Q the projector off past keys)"
    )
    descent = START * (n - t) / n + LENGTH * t / (n - t - 1)
    law = 2 / n + SLOPE * (n - 2 - t) + (1 - 2 / n - SLOPE * (n - 2)) * PRODUCT
    return (
        Claim(
            "T3b.exact", "T3b", Kind.PROVED,
            f"Accumulating hard writes, {given}, v = θ(Wk + δ), θ > 0 constant, E[δ·Wk] = E[δ·WQk] = 0 and "
            "E‖δ‖² = c²‖Wk‖² given k and the past: for n ≥ 3, t ≤ n − 2, E‖W_t‖²/‖W_0‖² = "
            "2/n + (1 − 2/n) Π_{i<t}(1 + c²/(n−2−i)) if θ = 1, and in general, with "
            "κ = (θ−1)² + θ²c², α = 2(1−θ)/(n(1+κ)): 2/n + α(n−2−t) + (1 − 2/n − α(n−2)) Π_{i<t}(1 + κ/(n−2−i)).",
            check_exact, Solved(law, gamma_product(n - 1)), Solved(law, gamma_product(n)),
            "the product runs over 1 + κ/(n−1−i): E[1/χ²_d] = 1/(d−1)",
        ),
        Claim(
            "T3b.threshold", "T3b", Kind.PROVED,
            "Under T3b.exact with κ = (θ−1)² + θ²c² > 0, n ≥ 3: E‖W_t‖² is finite for t ≤ n − 2 and infinite at "
            "t = n − 1 and n, an interpolation threshold (of the limit rule; every L2 > 0 keeps it "
            "finite for all t).",
            check_threshold, sympy.Integer(2), sympy.Integer(1), "it is finite up to t = n − 1",
        ),
        Claim(
            "T3b.double_descent", "T3b, P7", Kind.PROVED,
            f"Accumulating hard writes, {given}, W_0 fixed, n ≥ 2, values of mean 0 and length a > 0, independent of "
            "each other and of all keys, later ones too: E‖W_t‖² = ‖W_0‖²(n−t)/n + a²t/(n−t−1) for t ≤ n − 2 and "
            "a²n/(t−n−1) for t ≥ n + 2, infinite between. An anchor on the values does not remove the threshold. For "
            "every L2 > 0, the same keys: E‖W_t‖² = L2²‖W_0‖²E tr A_t⁻²/n + a²E tr(A_t⁻¹ − L2·A_t⁻²).",
            check_double_descent, descent, descent.subs(n - t - 1, n - t), "a²t/(n−t) for a²t/(n−t−1)",
        ),
    )  # fmt: skip
