"""T5 for the variants of NAS: one-sided and two-sided scaling, the drop rule, and the exact plateau of soft writes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import mpmath
import sympy

from theory.anchoring.norm_proofs import ANCHOR, CHANGE, EXCITATION, INVERSE_S, LENGTH, NORM, VALUE_READ
from theory.anchoring.plateaus import (
    batch_plateau,
    early_layer_rate,
    original_norm_sq,
    plateau,
    readout_bound,
    relaxation,
    soft_plateau,
    soft_relaxation,
    worst_case,
)
from theory.claim import Claim, Evidence, Kind, Verdict
from theory.growth.isotropic_proofs import prove_isotropy
from theory.provers.agreement import at_two_precisions
from theory.provers.moments import DIMENSION
from theory.provers.prove import Proof
from theory.provers.trace_algebra import inverses
from theory.writes.identities import ETA, MASTER, READ_SQ, RESIDUAL_SQ, VALUE_SQ, S, rank_one

n = DIMENSION
SHORT = sympy.Symbol("‖v‖", nonnegative=True)  # a value no longer than a
DROPPED = sympy.Symbol("p", nonnegative=True)


@dataclass(frozen=True)
class OneSided:
    """What v ← min(1, a/‖v‖)v is said to keep of T5.

    Attributes:
        share: the bound share·a²/s on one change.
        floor: the least ‖W'‖²_{M⁻¹} after a hard write of two-sided NAS.
        fading: E R'/R of one-sided NAS for isotropic keys, M = I, E[‖v‖² | k, W] = α‖Wk‖², while no value exceeds a.
    """

    share: sympy.Expr
    floor: sympy.Expr
    fading: sympy.Expr


ALPHA = sympy.Symbol("α", nonnegative=True)


def check_one_sided(asserted: OneSided) -> Evidence:
    """Every upper bound of T5 holds for ‖v‖ ≤ a; the floor needs ‖v‖ = a."""
    proof = Proof()
    residual = SHORT**2 - 2 * VALUE_READ + READ_SQ
    change = MASTER.subs({VALUE_SQ: SHORT**2, RESIDUAL_SQ: residual}, simultaneous=True)
    gram = [READ_SQ >= 0, VALUE_READ**2 <= SHORT**2 * READ_SQ, ETA <= 1, SHORT <= ANCHOR]
    proof.follows("one-sided, ‖v‖ ≤ a: the change", gram, change <= asserted.share * LENGTH / S)
    proof.follows("and the contraction of T5.soft", gram, change <= (ETA * LENGTH - ETA * READ_SQ) / S)
    after, size = sympy.symbols("‖W'‖² ‖W'k‖²", nonnegative=True)
    proof.say("two-sided and hard: W'k = v has ‖v‖ = a, and ‖W'k‖² = ‖Y'x‖² ≤ ‖Y'‖²_F ‖x‖² = ‖W'‖²_{M⁻¹} s")
    given = [sympy.Eq(size, LENGTH), size <= after * S]
    proof.follows("so ‖W'‖² has a floor", given, after >= asserted.floor)
    a = rank_one(("M", "M⁻¹"), inverses("M", "M⁻¹"))
    v, k, M, inverse = map(a, ("r", "k", "M", "M⁻¹"))
    s, length = (k.T @ M @ k).number(), (v.T @ v).number()
    from_zero = (v @ (M @ k).T / s).norm_sq(inverse)
    proof.equal("met at W = 0: ‖v(Mk)ᵀ/s‖²", from_zero, asserted.floor.subs({ANCHOR: sympy.sqrt(length), S: s}))
    q = prove_isotropy(proof)
    share = a("W").norm_sq(q * a.eye("n")) / a("W").norm_sq()
    proof.equal("one-sided, no value longer than a: E R'/R", 1 + (ALPHA - 1) * share, asserted.fading)
    proof.follows("α < 1: it falls to 0", [n >= 1, ALPHA < 1], sympy.And(asserted.fading < 1, asserted.fading >= 0))
    return proof.evidence("η a²/((2−η)s); a²/s", asserted)


@dataclass(frozen=True)
class Dropping:
    """What dropping a share p of the edits at random is said to do.

    Attributes:
        contraction: the factor of R in E R'.
        plateau: the fixed point.
    """

    contraction: sympy.Expr
    plateau: sympy.Expr


def check_drop(asserted: Dropping) -> Evidence:
    """An edit that is dropped leaves W; with a probability that k and W do not change, both sides slow down alike."""
    a = rank_one(("M",))
    W, k, M = a("W"), a("k"), a("M")
    read = W @ k
    s = (k.T @ M @ k).number()
    proof = Proof()
    proof.equal("a dropped edit has v = Wk: W + η(v − Wk)(Mk)ᵀ/s", W + ETA / s * ((read - read) @ (M @ k).T), W)
    added = sympy.Symbol("added", positive=True)
    proof.say("a written one has E[R' | W] = (1 − μ)R + added, μ the contraction (isotropic keys: E[η(2−η)]/n)")
    mean = sympy.expand(DROPPED * NORM + (1 - DROPPED) * ((1 - EXCITATION) * NORM + added))
    proof.equal("E R' = p R + (1 − p)[(1 − μ)R + added]", mean, asserted.contraction * NORM + (1 - DROPPED) * added)
    fixed = sympy.Symbol("R∞", positive=True)
    solved = sympy.solve(sympy.Eq(fixed, mean.subs(NORM, fixed)), fixed)[0]
    asserted_plateau = asserted.plateau.subs(LENGTH * INVERSE_S, added)
    proof.equal("the fixed point, for p < 1", sympy.cancel(solved), asserted_plateau)
    proof.equal("all dropped, p = 1: E R'", mean.subs(DROPPED, 1), NORM)
    rate = sympy.Symbol("x", positive=True)
    ratio = sympy.limit(sympy.log(1 - rate) / sympy.log(1 - (1 - DROPPED) * rate), rate, 0)
    proof.equal("edits until e-fold, relative to p = 0, for small μ", ratio, 1 / (1 - DROPPED))
    return proof.evidence(mean, asserted)


def check_drop_selective(least: sympy.Expr) -> Evidence:
    """With values at least `least` times the read-out, the drop rule at 2a writes no edit that lowers the norm."""
    ratio, length = sympy.symbols("γ ‖Wk‖", positive=True)
    proof = Proof()
    proof.say("hard writes; an edit is written iff ‖v‖ = γ‖Wk‖ ≤ 2a, and then changes R by (a² − ‖Wk‖²)/s")
    proof.follows("every written edit", [ratio >= least, ratio * length <= 2 * ANCHOR], LENGTH - length**2 >= 0)
    proof.say("so R_t never falls. The edits that would lower it, ‖Wk‖ > a, are the ones that are dropped")
    weight = 5 * sympy.eye(2)
    for key in (sympy.Matrix([1, 0]), sympy.Matrix([0, 1])):
        size = 2 * (weight * key).norm()
        proof.holds(f"2 × 2, a = 1, γ = 2, k = {tuple(key)}: ‖v‖ = {size} > 2a, dropped", size > 2)
    proof.say("two equally likely such keys excite both axes (μ = 1/2), yet R_t = 50 for ever, a²E[1/s]/μ = 2")
    proof.holds("‖W_0‖² = 50 lies above T5.bounded's limit a²E[1/s]/μ", (weight * weight.T).trace() > 2)
    bound, near, norm = sympy.symbols("B d ‖W‖", positive=True)
    proof.say("keys uniform on ‖k‖² = s, m < n, W_0 ≠ 0 (so W_t ≠ 0, and Wk ≠ 0 almost surely): suppose R_t ≤ B for")
    proof.say(
        "all t; W_t k_0 = 0 for a k_0 on the sphere, ‖k − k_0‖ ≤ a/(γ√B) =: d has one probability q(B) > 0 for all"
    )
    read = sympy.Symbol("read", nonnegative=True)
    close = [read <= near * norm, norm**2 <= bound, ratio**2 * bound * near**2 <= LENGTH]
    proof.follows("there ‖Wk‖ ≤ ‖W‖d, γ‖Wk‖ ≤ a: the edit is written", close, ratio * read <= ANCHOR)
    proof.follows("and adds, times s", [ratio * read <= ANCHOR, ratio >= 2], LENGTH - read**2 >= 3 * LENGTH / 4)
    proof.say("by the conditional Borel–Cantelli lemma (Lévy) such edits recur: R_t passes B, for every B. So R_t → ∞")
    proof.say("almost surely, where without the drop rule E R_t → a²n/s (T5.contraction)")
    return proof.evidence("no written edit lowers the norm", f"γ ≥ {least}")


@dataclass(frozen=True)
class SoftPlateau:
    """Soft anchored writes of undirected values at isotropic whitened keys.

    Attributes:
        contraction: the factor of R in E R'.
        limit: of E R_t.
    """

    contraction: sympy.Expr
    limit: sympy.Expr


KEPT, ADDED = sympy.symbols("E[η(2−η)] E[η²/s]", positive=True)


def check_soft_plateau(asserted: SoftPlateau) -> Evidence:
    """The exact mean recursion of soft writes, its limit and its shape for MEMIT."""
    proof = Proof()
    mean_zero = CHANGE.subs(VALUE_READ, 0)
    proof.equal("E[v | k, W] = 0: the mean change", sympy.expand(mean_zero * S),
                ETA**2 * LENGTH - ETA * (2 - ETA) * READ_SQ)  # fmt: skip
    proof.say("x = M^(1/2)k has a rotation-invariant law, Y = W M^(−1/2): ‖Wk‖²/s = tr(Y x̂x̂ᵀ Yᵀ), x̂ independent of ‖x‖")
    a = rank_one()
    q = prove_isotropy(proof)
    share = a("W").norm_sq(q * a.eye("n")) / a("W").norm_sq()
    mean = NORM + LENGTH * ADDED - KEPT * share * NORM
    proof.say("η is a function of s = ‖x‖² alone, so E[η(2−η)‖Wk‖²/s] = E[η(2−η)] R/n")
    proof.equal("E R'", sympy.expand(mean), sympy.expand(asserted.contraction * NORM + LENGTH * ADDED))
    fixed = sympy.Symbol("R∞", positive=True)
    proof.equal("its fixed point", sympy.solve(sympy.Eq(fixed, mean.subs(NORM, fixed)), fixed)[0], asserted.limit)
    proof.follows("0 < η ≤ 1", [ETA <= 1], sympy.And(ETA * (2 - ETA) > 0, ETA * (2 - ETA) <= 1))
    proof.say("so the factor lies in [0, 1) for n ≥ 2 and E R_t tends to the fixed point")
    x, ridge = sympy.symbols("x ρ", positive=True)
    eta, s = x / (x + ridge), x / ridge
    proof.say("MEMIT: A = ρΣ, keys N(0, Σ): s = x/ρ with x ~ χ²_n, η = s/(1+s); R/ρ = tr(WΣWᵀ)")
    proof.equal("η²/s/ρ", eta**2 / s / ridge, x / (x + ridge) ** 2)
    proof.equal("η(2−η)", eta * (2 - eta), x * (x + 2 * ridge) / (x + ridge) ** 2)
    ratio = ridge * (x / (x + ridge) ** 2) / (x * (x + 2 * ridge) / (x + ridge) ** 2)
    weak = sympy.limit(ratio, ridge, sympy.oo)
    proof.equal("weak writes, ρ → ∞: the ratio of both, times ρ", weak, sympy.Rational(1, 2))
    return proof.evidence(sympy.expand(mean), asserted)


def chi_square_route(power: int, dimension: int, ridge: float) -> mpmath.mpf:
    """E[x^p/(x + ρ)²] of χ²_n by Tricomi's U: ρ^(n/2+p−2) Γ(n/2+p) U(n/2+p, n/2+p−1, ρ/2) / (2^(n/2) Γ(n/2))."""
    half, rho = mpmath.mpf(dimension) / 2, mpmath.mpf(ridge)
    a = half + power
    weight = mpmath.gamma(a) / mpmath.gamma(half) / 2**half
    return rho ** (a - 2) * weight * mpmath.hyperu(a, a - 1, rho / 2)


Soft = tuple[Callable[[float, int, float], float], Callable[[int, float], float]]


def check_soft_numbers(functions: Soft) -> Evidence:
    """`soft_plateau` and `soft_relaxation` against Tricomi's function at 50 digits."""
    limit, time = functions
    proof = Proof()
    for dimension, ridge in ((2, 1), (5, 40), (16, 16), (64, 7)):

        def exact(dimension: int = dimension, ridge: int = ridge) -> tuple[Any, Any]:
            first = at_two_precisions(lambda: chi_square_route(1, dimension, ridge))
            second = at_two_precisions(lambda: chi_square_route(2, dimension, ridge))
            return first, second + 2 * ridge * first

        added, kept = exact()
        with mpmath.workdps(50):
            expected = 9 * dimension * added / kept
            edits = -1 / mpmath.log(1 - kept / dimension)
        proof.agree(f"n = {dimension}, ρ = {ridge}, a = 3: R∞", limit(3.0, dimension, float(ridge)), expected, 1e-9)
        proof.agree("its relaxation time", time(dimension, float(ridge)), edits, 1e-9)
    return proof.evidence("quadrature", "Tricomi's U")


def check_numbers(exponent: int) -> Evidence:
    """T5's float formulas at points where exact arithmetic gives their values; all scale with a^exponent."""
    proof = Proof()
    scale = 3**exponent
    proof.agree("plateau(3, 7)", plateau(3.0, 7), scale * sympy.Rational(7, 5))
    proof.agree("batch_plateau(3, 12, 5)", batch_plateau(3.0, 12, 5), scale * 2)
    proof.agree("batch_plateau(3, 9, 1), that of single keys", batch_plateau(3.0, 9, 1), plateau(3.0, 9))
    with mpmath.workdps(50):
        proof.agree("(1 − 1/n)^τ = 1/e at n = 7", mpmath.mpf(6) / 7, mpmath.exp(-1 / mpmath.mpf(relaxation(7))))
    eta, s = sympy.Rational(3, 5), sympy.Rational(7, 2)
    best = max_change(eta, s, scale)
    proof.agree("worst_case: the largest change over all Wk ∥ v", worst_case(2.0, 3.0, 0.6, [3.5])[1], 2 + best)
    proof.agree("and after two edits", worst_case(2.0, 3.0, 0.6, [3.5, 3.5])[2], 2 + 2 * best)
    weights = [sympy.Rational(1, 2) / 4, sympy.Rational(1, 2) / 3]
    bound = readout_bound(5.0, 3.0, 0.5, [4.0, 3.0])
    proof.agree("readout_bound after two edits", bound[1], scale + 5 / sum(weights))
    held = start = sympy.Rational(7, 3)  # E R' = (1 − 1/n)R + (1 + c²)R_0/n, from T5.original
    for t in (1, 2, 3):
        held = held * sympy.Rational(4, 5) + (1 + 3**2) * start / 5
        proof.agree(f"original_norm_sq, {t} edits, n = 5, c = 3", original_norm_sq(float(start), 3.0, 5, [t])[0], held)
    for layers in (2, 3, 7):
        share = sympy.Rational(1, layers)
        seen = scale * share**2 / (share * (2 - share))  # of the last layer, from T5.soft_plateau at η = 1/p, s = n
        rate = (scale + seen) * share**2 / 5
        proof.agree(f"early_layer_rate, {layers} layers, s = 5", early_layer_rate(3.0, layers, 5.0), rate)
    return proof.evidence("T5's functions", f"a^{exponent}")


def max_change(eta: sympy.Expr, s: sympy.Expr, length: int) -> sympy.Expr:
    """The maximum over r of T1's change at Wk = r v/‖v‖, by its derivative."""
    r = sympy.Symbol("r", real=True)
    a = sympy.sqrt(length)
    change = (eta * (length - r**2) - eta * (1 - eta) * (a - r) ** 2) / s
    return sympy.simplify(change.subs(r, sympy.solve(sympy.diff(change, r), r)[0]))


def claims() -> tuple[Claim[Any], ...]:
    """What scaling down only, dropping and soft writing change."""
    one = OneSided(ETA / (2 - ETA), LENGTH / S, 1 + (ALPHA - 1) / n)
    dropping = Dropping(1 - (1 - DROPPED) * EXCITATION, LENGTH * INVERSE_S / EXCITATION)
    soft = SoftPlateau(1 - KEPT / n, n * LENGTH * ADDED / KEPT)
    return (
        Claim(
            "T5.one_sided", "P7", Kind.PROVED,
            "One-sided NAS, v ← min(1, a/‖v‖)v, obeys T5's upper bounds on a write (η a²/((2−η)s), [ηa² − η‖Wk‖²]/s), "
            "for any key k ≠ 0 and fixed positive definite M. Two-sided hard writes moreover leave ‖W'‖²_{M⁻¹} ≥ "
            "a²/s; one-sided hard ones have no floor: isotropic keys independent of the past, P(k = 0) = 0, M = I, "
            "E[‖v‖² | k, W] = α‖Wk‖² with no value longer than a: E R' = (1 + (α−1)/n)R, which falls to 0 for α < 1.",
            check_one_sided, one, replace(one, share=ETA**2), "the bound η²a²/s per write",
        ),
        Claim(
            "T5.drop", "P7", Kind.PROVED,
            "If each edit, one at a time, is dropped with probability p < 1, independently of its key, its value and "
            "W, and written edits have E R' = (1−μ)R + b (bounds alike), then E R' = (1 − (1−p)μ)R + (1−p)b: the "
            "plateau b/μ is that without drops, reached 1/(1−p) times later for small μ; p = 1 freezes W, which looks "
            "stable.",
            check_drop, dropping, replace(dropping, plateau=dropping.plateau * (1 - DROPPED)),
            "the plateau falls by the factor 1 − p",
        ),
        Claim(
            "T5.drop_selective", "P7", Kind.PROVED,
            "NAS's drop rule at 2a keeps T5's bound lim sup E R_t ≤ a²E[1/s]/μ. False, for hard writes one at a time: "
            "if solved values have ‖v‖ = γ‖Wk‖ with γ ≥ 2, every edit that is written has ‖Wk‖ ≤ a, so the norm never "
            "falls; it may stay for ever above the bound, and for keys uniform on a sphere, independent of the past, "
            "M = I, m < n, a constant γ ≥ 2 and W_0 ≠ 0 it grows beyond every bound almost surely.",
            check_drop_selective, sympy.Integer(2), sympy.Rational(3, 2), "the same for γ ≥ 3/2", Verdict.FALSE,
        ),
        Claim(
            "T5.soft_plateau", "P7", Kind.PROVED,
            "NAS, soft writes, E[v | k, W] = 0, keys independent of the past, P(k = 0) = 0, n ≥ 2, M^(1/2)k of a "
            "rotation-invariant law, η in (0, 1] a function of s: E R_{t+1} = (1 − E[η(2−η)]/n)E R_t + a²E[η²/s], so "
            "R∞ = n a²E[η²/s]/E[η(2−η)], R = ‖W‖²_{M⁻¹}.",
            check_soft_plateau, soft, SoftPlateau(1 - KEPT / n, n * LENGTH * ADDED / (KEPT * 2)), "half of that",
        ),
        Claim(
            "T5.soft_numbers", "P7", Kind.COMPUTED,
            "soft_plateau and soft_relaxation (quadrature in float64) are T5.soft_plateau's values for MEMIT with "
            "A = ρΣ and keys N(0, Σ), by Tricomi's U at 50 digits, to 1e-9.",
            check_soft_numbers, (soft_plateau, soft_relaxation),
            (lambda a, n, ridge: soft_plateau(a, n, 1.001 * ridge), soft_relaxation), "those of a ridge 0.1 % larger",
        ),
        Claim(
            "T5.numbers", "P7", Kind.COMPUTED,
            "plateau, relaxation, batch_plateau, worst_case, readout_bound and early_layer_rate in float64 have the "
            "values that exact arithmetic gives T5's formulas, and those that depend on the anchor scale with a².",
            check_numbers, 2, 1, "they scale with a",
        ),
    )  # fmt: skip
