"""T3b's bounds: what no accumulating write can exceed, whatever the keys, and what no mean gain can undercut."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import sympy

from theory.accumulating.exact import anchored_ceiling, growth_ceiling
from theory.claim import Claim, Evidence, Kind, Verdict
from theory.provers.prove import Proof
from theory.provers.trace_algebra import Algebra, inverses

n, c = sympy.Symbol("n", positive=True), sympy.Symbol("c", nonnegative=True)
BATCH = {"W": ("m", "n"), "K": ("n", "u"), "D": ("m", "u"), "T": ("u", "u"), "A": ("n", "n"), "M": ("n", "n")}


@dataclass(frozen=True)
class Powers:
    """The exponents p of the ceiling (det A_t/det A_0)^p.

    Attributes:
        always: for any shifts with ‖D‖ ≤ c‖WK‖.
        mean: for the mean, when moreover E tr(D(WK)ᵀ) = 0 given W and K.
    """

    always: sympy.Expr
    mean: sympy.Expr


def check_polynomial(powers: Powers) -> Evidence:
    """‖W_t‖²_{A_t} ≤ ‖W_0‖²_{A_0}(det A_t/det A_0)^p for batches, and what becomes of it for bounded keys."""
    gain = (("T Kᵀ M K", {"": 1, "T": -1}), ("Kᵀ M K T", {"": 1, "T": -1}))
    a = Algebra(BATCH, ("A", "M", "T"), (*inverses("A", "M"), *gain))
    W, K, D, T, A, M = map(a, ("W", "K", "D", "T", "A", "M"))
    after = W + D @ T @ (M @ K).T
    proof = Proof()
    proof.say("Δ = D T KᵀA⁻¹, T = (I + H)⁻¹, H = KᵀA⁻¹K, M = A⁻¹; A' = A + KKᵀ; N = ‖W‖²_A, N' = ‖W+Δ‖²_A'")
    change = after.norm_sq(A + K @ K.T) - W.norm_sq(A)
    asked = (W @ K).norm_sq() + 2 * (D @ (W @ K).T).trace() + (D @ D.T - D @ T @ D.T).trace()
    proof.equal("N' − N = ‖WK‖² + 2tr(D(WK)ᵀ) + tr(D(I−T)Dᵀ)", sympy.expand(change), sympy.expand(asked))
    proof.say("0 ≤ I − T ≤ I, so the last term is at most ‖D‖²; Cauchy and Schwarz: tr(D(WK)ᵀ) ≤ ‖D‖‖WK‖")
    proof.say("WK = (WA^(1/2))(A^(−1/2)K), so ‖WK‖² ≤ h·N with h = λmax(H)")
    read, size, h, norm, gained = sympy.symbols("‖WK‖ ‖D‖ h N N'", nonnegative=True)
    product = sympy.Symbol("tr(D(WK)ᵀ)", real=True)
    given = [size <= c * read, read**2 <= h * norm, gained <= norm + read**2 + 2 * product + size**2]
    bound = norm * (1 + h * powers.always)
    proof.follows("N' ≤ N(1 + h p)", [*given, product <= size * read], gained <= bound)
    proof.follows("in the mean given W and K, if E tr(D(WK)ᵀ) = 0",
                  [*given, sympy.Eq(product, 0)], gained <= norm * (1 + h * powers.mean))  # fmt: skip
    p, y = sympy.Symbol("p", positive=True), sympy.Symbol("y", nonnegative=True)
    slope = sympy.diff((1 + y) ** (p + 1) - 1 - (p + 1) * y, y)
    proof.equal("Bernoulli, exponent p + 1: d/dh[(1+h)^(p+1) − 1 − (p+1)h]", slope, (p + 1) * ((1 + y) ** p - 1))
    proof.say("that is ≥ 0 for h ≥ 0, so 1 + hp ≤ (1+h)^p for every p ≥ 1")
    proof.follows("both exponents are at least 1", [], sympy.And(powers.always >= 1, powers.mean >= 1))
    proof.say("1 + h ≤ Π(1 + λ_i(H)) = det(I + H) = det A'/det A (Sylvester), so N_t ≤ N_0 (det A_t/det A_0)^p")
    proof.say("means of λ_i(A_0^(−1/2)A_tA_0^(−1/2)), geometric ≤ arithmetic: det A_t/det A_0 ≤ (1 + Σ kᵀA_0⁻¹k/n)^n")
    proof.say("λmin(A_0)‖W_t‖²_F ≤ N_t and N_0 ≤ λmax(A_0)‖W_0‖²_F; A_0 = L2·I: ‖W_t‖²/‖W_0‖² ≤ (1 + Σ‖k‖²/(nL2))^(np)")
    ridge, most, edits = sympy.symbols("L2 k_max² T", positive=True)
    ceiling = n * p * sympy.log(1 + edits * most / (n * ridge))
    proof.equal("bounded keys: lim (1/T) log of it", sympy.limit(ceiling / edits, edits, sympy.oo), sympy.Integer(0))
    proof.equal("its power in T, lim log/log T", sympy.limit(ceiling / sympy.log(edits), edits, sympy.oo), n * p)
    prove_ceiling(proof, powers)
    return proof.evidence("(1+c)², 1+c²", f"{powers.always}, {powers.mean}")


def prove_ceiling(proof: Proof, powers: Powers) -> None:
    """`growth_ceiling` is the determinant of a tight frame, t·k_max²/n in every direction."""
    size, ridge, shift = 5, sympy.Rational(2, 3), sympy.Rational(1, 2)
    total = sympy.Rational(21, 4)
    frame = (ridge + total / size) * sympy.eye(size)
    ratio = frame.det() / (ridge * sympy.eye(size)).det()
    for power, orthogonal in ((powers.always, False), (powers.mean, True)):
        found = growth_ceiling(size, float(ridge), float(shift), float(total), orthogonal=orthogonal)
        proof.agree(f"`growth_ceiling`, p = {power}, and the determinant", found, ratio ** power.subs(c, shift))


def check_anchored(gain: sympy.Expr) -> Evidence:
    """W_tA_t = W_0A_0 + Σ VKᵀ, and what it bounds when every ‖v‖ ≤ a; `gain` bounds σ/(L2+σ²), in l = √L2."""
    gains = (("T Kᵀ M K", {"": 1, "T": -1}), ("Kᵀ M K T", {"": 1, "T": -1}))
    a = Algebra(BATCH, ("A", "M", "T"), (*inverses("A", "M"), *gains))
    W, K, D, T, A, M = map(a, ("W", "K", "D", "T", "A", "M"))
    proof = Proof()
    after = W + D @ T @ (M @ K).T
    proof.say("D = V − WK, so that V = D + WK")
    proof.equal("W'A' = W(A + KKᵀ) + D T KᵀA⁻¹(A + KKᵀ)", after @ (A + K @ K.T), W @ A + (D + W @ K) @ K.T)
    proof.say("so, by induction, W_t = (L2·W_0 + VKᵀ)A_t⁻¹ with all keys and values as columns, A_t = L2·I + KKᵀ")
    proof.say("‖L2·W_0A_t⁻¹‖ ≤ ‖W_0‖L2/(L2+λ), λ = λmin(KKᵀ); ‖VKᵀA_t⁻¹‖ ≤ ‖V‖_F max σ/(L2+σ²), σ singular values of K")
    root, sigma = sympy.symbols("l σ", positive=True)
    proof.follows("σ/(L2+σ²) with L2 = l²", [], sigma / (root**2 + sigma**2) <= gain.subs(sympy.Symbol("l"), root))
    least = sympy.Symbol("λ", positive=True)
    proof.follows("it falls once σ² ≥ L2: for σ² ≥ λ = y² ≥ L2", [sigma >= least, least >= root],
                  sigma / (root**2 + sigma**2) <= least / (root**2 + least**2))  # fmt: skip
    proof.follows("and for σ² ≥ λ = y² of any size it is at most 1/y", [sigma >= least],
                  sigma / (root**2 + sigma**2) <= 1 / least)  # fmt: skip
    proof.say("‖V‖_F ≤ a√t: ‖W_t‖ ≤ ‖W_0‖ + a√t·gain for any keys, and ≤ ‖W_0‖ + a/√μ where λmin(KKᵀ) ≥ μt")
    third = sympy.Rational(1, 4), 9, 3
    for mu in (0, sympy.Rational(1, 3)):
        ridge, edits, anchor = third
        floor = mu * edits
        factor = (
            gain.subs(sympy.Symbol("l"), sympy.sqrt(ridge)) if floor <= ridge else sympy.sqrt(floor) / (ridge + floor)
        )
        exact = 2 * ridge / (ridge + floor) + anchor * sympy.sqrt(edits) * factor
        found = anchored_ceiling(2.0, float(anchor), float(ridge), edits, float(mu))
        proof.agree(f"`anchored_ceiling` at μ = {mu}", found, exact)
    return proof.evidence("1/(2l)", gain)


def check_gain_bound(lag: sympy.Expr) -> Evidence:
    """E s_{t−lag} is at least the mean field's s_t, for isotropic keys of any law."""
    a = Algebra({"k": ("n", 1), "A": ("n", "n"), "M": ("n", "n")}, ("A", "M"), inverses("A", "M"))
    k, M = a("k"), a("M")
    s_path = (k.T @ M @ k).number()
    updated = M - M @ k @ k.T @ M / (1 + s_path)
    proof = Proof()
    proof.say("n = tr(A_tA_t⁻¹) = L2 tr A_t⁻¹ + Σ_i k_iᵀA_t⁻¹k_i, and the keys are exchangeable in A_t")
    proof.equal(
        "for the last of them k_tᵀA_t⁻¹k_t = s/(1+s), s = k_tᵀA_{t−1}⁻¹k_t",
        (k.T @ updated @ k).number(),
        s_path / (1 + s_path),
    )
    s, mean, ridge, count, size = sympy.symbols("s E[s] L2 t n", positive=True)
    tangent = mean / (1 + mean) + (s - mean) / (1 + mean) ** 2
    proof.follows(
        "s/(1+s) lies below its tangent at E[s], so its mean is at most E[s]/(1+E[s])", [], s / (1 + s) <= tangent
    )
    proof.say("E s = E tr A_{t−1}⁻¹ ≥ E tr A_t⁻¹ (E k_tk_tᵀ = I, k_t independent of A_{t−1}), so")
    proof.say("n ≤ L2 x + t x/(1+x) at x = E s_{t−1}")
    x, root = sympy.symbols("x root", positive=True)
    at_root, at_x = (ridge * y + count * y / (1 + y) for y in (root, x))
    proof.follows("the right side increases, and equals n at the mean field's s_t, so x ≥ s_t",
                  [size <= at_x, sympy.Eq(size, at_root)], x >= root)  # fmt: skip
    proof.say("the lag cannot be less: keys ±1 in n = 1 have s_j = 1/(L2 + j) for certain")
    example = 1 / (ridge + count - lag)
    proof.follows(
        "there 1 ≤ L2 x + t x/(1+x) at x = s_{t−lag}",
        [count >= 1],
        ridge * example + count * example / (1 + example) >= 1,
    )
    return proof.evidence("E s_{t−1} ≥ s(t)", f"lag {lag}")


def claims() -> tuple[Claim[Any], ...]:
    """Never exponential, bounded under an anchor and excitation, and Jensen's side of the mean field."""
    powers, root = Powers((1 + c) ** 2, 1 + c**2), sympy.Symbol("l")
    return (
        Claim(
            "T3b.polynomial", "T3b, P3", Kind.PROVED,
            "Accumulating editors never grow exponentially on keys of bounded length: for A_0 positive definite, any "
            "batches of any keys, A_t = A_0 + Σ KKᵀ, Δ = D(I + KᵀA⁻¹K)⁻¹KᵀA⁻¹ and any shifts with ‖D‖_F ≤ c‖WK‖_F, "
            "‖W_t‖²_{A_t} ≤ ‖W_0‖²_{A_0}(det A_t/det A_0)^p with p = (1+c)², so for A_0 = L2·I ‖W_t‖²/‖W_0‖² ≤ "
            "(1 + Σ‖k‖²/(nL2))^(np): a power of the number of keys. For keys fixed in advance and E tr(D(WK)ᵀ) = 0, "
            "E‖D‖² ≤ c²‖WK‖² given the past, the mean obeys it with p = 1+c². On range(P) the same of WP and PK, where "
            "‖D‖ ≤ c‖WPK‖.",
            check_polynomial, powers, replace(powers, always=powers.mean),
            "p = 1+c² for all shifts, orthogonal or not",
        ),
        Claim(
            "T3b.anchored", "T3b, P7", Kind.PROVED,
            "Accumulating writes of values ‖v‖ ≤ a, any keys and batches, A_0 = L2·I: W_tA_t = L2·W_0 + Σ vkᵀ, so "
            "‖W_t‖_F ≤ ‖W_0‖_F + a√t/(2√L2); and if λmin(Σ kkᵀ) ≥ μt > 0, ‖W_t‖_F ≤ ‖W_0‖_F + a/√μ, whatever the "
            "values' directions: bounded under excitation, at most √t without.",
            check_anchored, 1 / (2 * root), 1 / (2 * root**2), "the bound's gain is 1/(2·L2)", Verdict.CONDITIONAL,
        ),
        Claim(
            "T3b.gain_bound", "T3b", Kind.PROVED,
            "Independent keys of one law with E kkᵀ = I, any law, L2 > 0: the mean gain of a fresh key "
            "E s_{t−1} = E tr A_{t−1}⁻¹ is at least the mean field's s_t, the positive root of "
            "L2 s² + (L2+t−n)s − n = 0, for t ≥ 1.",
            check_gain_bound, sympy.Integer(1), sympy.Integer(0), "already E s_t is at least the mean field's s_t",
        ),
    )  # fmt: skip
