"""T5's claims: under excitation an anchored norm is bounded, without it it grows, but never exponentially."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import sympy

from theory.claim import Claim, Evidence, Kind, Verdict
from theory.growth.isotropic_proofs import prove_isotropy
from theory.provers.moments import DIMENSION, chi_square_moment
from theory.provers.prove import Proof
from theory.provers.trace_algebra import Algebra, inverses
from theory.writes.identities import ETA, HARD, MASTER, READ_SQ, RESIDUAL_SQ, VALUE_SQ, S, rank_one

n = DIMENSION
ANCHOR, INVERSE_S, SHARE_S, EXCITATION = sympy.symbols("a E[1/s] E[η/s] μ", positive=True)
NORM, BEFORE, BOUND = sympy.symbols("R R0 bound", nonnegative=True)
VALUE_READ = sympy.Symbol("v·Wk", real=True)
LENGTH, ANCHORED = ANCHOR**2, {VALUE_SQ: ANCHOR**2}
# ‖r‖² of an anchored value, and what Cauchy and Schwarz allow v·Wk to be.
RESIDUAL = LENGTH - 2 * VALUE_READ + READ_SQ
GRAM = (READ_SQ >= 0, VALUE_READ**2 <= LENGTH * READ_SQ, ETA <= 1)
CHANGE = MASTER.subs({VALUE_SQ: LENGTH, RESIDUAL_SQ: RESIDUAL}, simultaneous=True)


@dataclass(frozen=True)
class Contraction:
    """What hard anchored writes are said to make of R = E‖W‖².

    Attributes:
        isotropic: E R' for isotropic keys and M = I.
        excited: a bound on E R' for keys with E x̂x̂ᵀ ≥ μI.
        ceiling: a bound on μ.
    """

    isotropic: sympy.Expr
    excited: sympy.Expr
    ceiling: sympy.Expr


@dataclass(frozen=True)
class Soft:
    """What soft anchored writes are said to do.

    Attributes:
        decay: the factor d of the bound [η a² − d‖Wk‖²]/s on one change, for every direction of v.
        undirected: the factor d of the mean change [η²a² − d‖Wk‖²]/s when E[v | k, W] = 0.
        excited: a bound on E R' for keys with E[η x̂x̂ᵀ] ≥ μI.
        ceiling: a bound on μ.
        plateau: a bound on lim sup E R_t.
    """

    decay: sympy.Expr
    undirected: sympy.Expr
    excited: sympy.Expr
    ceiling: sympy.Expr
    plateau: sympy.Expr


def prove_excitation(proof: Proof, added: sympy.Expr, excited: sympy.Expr, ceiling: sympy.Expr) -> None:
    """Q ≥ μI, Q = E[η x̂x̂ᵀ] with tr Q = E[η] ≤ 1, bounds E R' and μ.

    Args:
        proof: where the steps go.
        added: what the write adds to R beside −tr(Y Q Yᵀ).
        excited: the asserted bound on E R'.
        ceiling: the asserted bound on μ.
    """
    a = rank_one(("L",))
    W, L, eye = a("W"), a("L"), a.eye("n")
    proof.say("Q − μI is positive semidefinite, so Q = μI + L·L")
    spread = W.norm_sq(EXCITATION * eye + L @ L)
    proof.equal("tr(Y Q Yᵀ), Y written W", spread, EXCITATION * W.norm_sq() + (W @ L).norm_sq())
    rest = sympy.Symbol("‖YL‖²", nonnegative=True)
    proof.follows(f"E R' ≤ {excited}", [], NORM + added - (EXCITATION * NORM + rest) <= excited)
    share = sympy.Symbol("tr(L·L)", nonnegative=True)
    trace = (EXCITATION * eye).trace() + share
    proof.follows("tr Q ≤ 1 bounds μ", [trace <= 1], ceiling >= EXCITATION)


def check_contraction(asserted: Contraction) -> Evidence:
    """E‖W'‖² given W for anchored hard writes: the isotropic case exactly, the excited case as a bound."""
    a = rank_one()
    W = a("W")
    proof = Proof()
    proof.equal("T1 with η = 1, ‖v‖ = a", HARD.subs(ANCHORED), LENGTH / S - READ_SQ / S)
    proof.say("isotropic keys, M = I: E[‖Wk‖²/s] = tr(W E[k̂k̂ᵀ] Wᵀ)")
    q = prove_isotropy(proof)
    proof.equal("E[‖Wk‖²/s]", W.norm_sq(q * a.eye("n")), W.norm_sq() / n)
    mean = NORM + LENGTH * INVERSE_S - NORM * q
    proof.equal("E‖W'‖² = R + a²E[1/s] − E[‖Wk‖²/s]", mean, asserted.isotropic)
    proof.say("any M, key law: with Y = W M^(−1/2), x = M^(1/2)k, ‖Wk‖²/s = tr(Y x̂x̂ᵀ Yᵀ), R = ‖Y‖²_F")
    proof.say("excitation: E x̂x̂ᵀ = Q ≥ μI, tr Q = E‖x̂‖² = 1")
    prove_excitation(proof, LENGTH * INVERSE_S, asserted.excited, asserted.ceiling)
    return proof.evidence(sympy.expand(mean), asserted)


def check_soft(asserted: Soft) -> Evidence:
    """A soft anchored write's change, whatever the direction of v and without one; its contraction and plateau."""
    proof = Proof()
    proof.equal("‖v‖² = a², ‖r‖² = a² − 2v·Wk + ‖Wk‖²: s times the change", sympy.expand(CHANGE * S),
                ETA**2 * LENGTH + 2 * ETA * (1 - ETA) * VALUE_READ - ETA * (2 - ETA) * READ_SQ)  # fmt: skip
    proof.follows("the bound", GRAM, (ETA * LENGTH - asserted.decay * READ_SQ) / S >= CHANGE)
    mean_zero = (ETA**2 * LENGTH - asserted.undirected * READ_SQ) / S
    proof.equal("if moreover E[v | k, W] = 0", CHANGE.subs(VALUE_READ, 0), mean_zero)
    proof.say("the bound's mean, with Y and x̂ of T5.contraction: E R' ≤ R + a²E[η/s] − tr(Y Q Yᵀ), Q = E[η x̂x̂ᵀ] ≥ μI")
    prove_excitation(proof, LENGTH * SHARE_S, asserted.excited, asserted.ceiling)
    after = sympy.Symbol("R'", nonnegative=True)
    away = after - asserted.plateau <= (1 - EXCITATION) * (NORM - asserted.plateau)
    proof.follows("R' − plateau ≤ (1−μ)(R − plateau)", [after <= asserted.excited], away)
    proof.say("μ ≤ 1/n, so 0 ≤ 1−μ < 1 and R_t − plateau is at most (1−μ)^t (R_0 − plateau), which tends to 0")
    return proof.evidence("[η a² − η‖Wk‖²]/s", asserted)


def check_fixed_point(limit: sympy.Expr) -> Evidence:
    """R_{t+1} = (1 − 1/n)R_t + a²E[1/s] tends to `limit` for Gaussian keys, geometrically."""
    t, fixed = sympy.symbols("t R∞", positive=True)
    mean_inverse = chi_square_moment(-1)
    proof = Proof()
    proof.equal("E[1/s] = E[1/χ²_n] = Γ(n/2 − 1)/(2Γ(n/2)), n > 2", mean_inverse, 1 / (n - 2))
    solved = sympy.solve(sympy.Eq(fixed, (1 - 1 / n) * fixed + LENGTH * mean_inverse), fixed)[0]
    proof.equal("the fixed point of R = (1 − 1/n)R + a²E[1/s]", sympy.factor(solved), limit)
    law = limit + (1 - 1 / n) ** t * (BEFORE - limit)
    proof.equal("closed form R_t = R∞ + (1−1/n)^t (R0 − R∞), base t = 0", law.subs(t, 0), BEFORE)
    proof.equal("step: (1 − 1/n)R_t + a²E[1/s]", (1 - 1 / n) * law + LENGTH * mean_inverse, law.subs(t, t + 1))
    proof.follows("0 ≤ 1 − 1/n < 1, so R_t → R∞", [n > 2], sympy.And(1 - 1 / n >= 0, 1 - 1 / n < 1))
    return proof.evidence(sympy.factor(solved), limit)


def check_readout_constant(ratio: sympy.Expr) -> Evidence:
    """R∞·β/a² for Gaussian keys, β = E‖Wk‖²/‖W‖², and that it is at least 1 for every law of s."""
    a = rank_one()
    W = a("W")
    proof = Proof()
    beta = W.norm_sq(a.eye("n")) / W.norm_sq()
    proof.equal("E kkᵀ = I: β = tr(W I Wᵀ)/‖W‖²", beta, sympy.Integer(1))
    found = n * chi_square_moment(-1) * beta
    proof.equal("R∞·β/a² = n E[1/s] β", found, ratio)
    s, mean = sympy.symbols("s E[s]", positive=True)
    proof.follows("any isotropic law: 1/s lies above its tangent at E[s]", [], 1 / s >= 2 / mean - s / mean**2)
    proof.equal("so E[1/s] ≥ 2/E[s] − E[s]/E[s]²", 2 / mean - mean / mean**2, 1 / mean)
    proof.say("isotropic keys have β = E[s]/n, so R∞ = a²n E[1/s] = (a²/β) E[s]E[1/s] ≥ a²/β, equal iff s is constant")
    return proof.evidence(found, ratio)


def check_worst_case(share: sympy.Expr) -> Evidence:
    """Each anchored write adds at most share·a²/s, so ‖W_t‖² ≤ ‖W_0‖² + Σ share·a²/s_i."""
    proof = Proof()
    proof.say("no assumption on the key or on v's direction but Cauchy and Schwarz's (v·Wk)² ≤ a²‖Wk‖²")
    proof.follows("‖W'‖² − ‖W‖² ≤ share·a²/s", GRAM, share * LENGTH / S >= CHANGE)
    t, least = sympy.symbols("t s_min", positive=True)
    bound = BEFORE + t * LENGTH / least
    proof.say(f"summed over t writes with η ≤ 1, s ≥ s_min: ‖W_t‖² ≤ {bound}")
    proof.equal("so ‖W_t‖/√t stays below", sympy.limit(sympy.sqrt(bound / t), t, sympy.oo), ANCHOR / sympy.sqrt(least))
    rate = sympy.limit(sympy.log(1 + t * LENGTH / least) / t, t, sympy.oo)
    proof.equal("and its exponential rate is at most lim (1/t) log(1 + t a²/s_min)", rate, sympy.Integer(0))
    return proof.evidence("η a²/s", f"({share}) a²/s")


def check_sharp(share: sympy.Expr) -> Evidence:
    """The change completed to a square: share·‖v‖² minus η(2−η)‖Wk − (1−η)/(2−η) v‖², over s."""
    a = Algebra({"W": ("m", "n"), "k": ("n", 1), "v": ("m", 1), "M": ("n", "n"), "M⁻¹": ("n", "n")},
                ("M", "M⁻¹"), inverses("M", "M⁻¹"))  # fmt: skip
    W, k, v, M, inverse = map(a, ("W", "k", "v", "M", "M⁻¹"))
    s, read = (k.T @ M @ k).number(), W @ k
    delta = ETA / s * ((v - read) @ (M @ k).T)
    centre = (1 - ETA) / (2 - ETA)
    away = read - centre * v
    proof = Proof()
    change = (W + delta).norm_sq(inverse) - W.norm_sq(inverse)
    square = (share * (v.T @ v).number() - ETA * (2 - ETA) * (away.T @ away).number()) / s
    proof.equal("‖W+Δ‖² − ‖W‖² = [share·‖v‖² − η(2−η)‖Wk − (1−η)/(2−η) v‖²]/s", sympy.factor(change), square)
    proof.follows("0 < share ≤ η", [ETA <= 1], sympy.And(share > 0, share <= ETA))
    proof.say("so share·a²/s bounds the change, and is met exactly when Wk = (1−η)/(2−η) v")
    return proof.evidence(sympy.factor(change), share)


def check_bounded(excited: bool) -> Evidence:
    """Whether E‖W‖² ≤ bound is kept by every anchored write, with the excitation as a hypothesis or without it."""
    seen = sympy.Symbol("E[‖Wk‖²/s]", nonnegative=True)
    after = NORM + LENGTH * INVERSE_S - seen
    excitation = [seen >= EXCITATION * NORM] if excited else []
    proof = Proof()
    proof.say("bound: any number at least R_0 and a²E[1/s]/μ; hard writes, R = E‖W‖²")
    given = [EXCITATION <= 1, NORM <= BOUND, EXCITATION * BOUND >= LENGTH * INVERSE_S, seen <= NORM, *excitation]
    proof.follows("E‖W'‖² ≤ bound", given, after <= BOUND)
    t = sympy.Symbol("t", positive=True)
    idle = after.subs(seen, 0) - NORM
    proof.equal("without excitation (keys with Wk = 0, see T5.attained) the change of R", idle, LENGTH * INVERSE_S)
    proof.holds(f"R_t − R_0 = {t * idle} passes every bound", sympy.limit(t * idle, t, sympy.oo) == sympy.oo)
    proof.say("one law, independent of the past, Q = E x̂x̂ᵀ, P the projector on its range: E‖(I−P)x̂‖² = tr Q(I−P) = 0")
    proof.say(
        "so no write changes Y(I − P), and the same bound, with the least positive eigenvalue of Q as μ, holds for"
    )
    proof.say("E‖YP‖². In the mean only: paths may pass every bound (T5.drop_selective's argument)")
    return proof.evidence("bounded under excitation, unbounded without")


def check_single_edit(eta: sympy.Expr) -> Evidence:
    """W'k after one anchored write of share `eta` is a positive multiple of the solved value v."""
    theta = sympy.Symbol("θ", positive=True)  # a/‖v‖
    a = Algebra({"W": ("m", "n"), "k": ("n", 1), "v": ("m", 1), "M": ("n", "n")}, ("M",))
    W, k, v, M = map(a, ("W", "k", "v", "M"))
    s = (k.T @ M @ k).number()
    after = (W + eta / s * ((theta * v - W @ k) @ (M @ k).T)) @ k
    proof = Proof()
    proof.say("θ = a/‖v‖ > 0, target θv, share η: W'k = (1−η)Wk + ηθv")
    proof.equal("W'k", after, (1 - eta) * (W @ k) + eta * theta * v)
    inner, length, size = (v.T @ after).number(), (v.T @ v).number(), (after.T @ after).number()
    proof.equal(
        "‖W'k‖²‖v‖² − (W'k·v)², 0 iff the two are parallel", sympy.expand(size * length - inner**2), sympy.Integer(0)
    )
    proof.equal("W'k·v, positive: cosine 1", inner, theta * length)
    proof.equal("‖W'k‖²/θ²‖v‖², so ‖W'k‖ = a", sympy.cancel(size / (theta**2 * length)), sympy.Integer(1))
    return proof.evidence(after, "θ v")


def claims() -> tuple[Claim[Any], ...]:
    """What anchoring keeps, under which condition, and what it never allows."""
    plateau = LENGTH * n / (n - 2)
    excited = (1 - EXCITATION) * NORM + LENGTH * INVERSE_S
    contraction = Contraction((1 - 1 / n) * NORM + LENGTH * INVERSE_S, excited, 1 / n)
    soft = Soft(ETA, ETA * (2 - ETA), excited.subs(INVERSE_S, SHARE_S), 1 / n, LENGTH * SHARE_S / EXCITATION)
    return (
        Claim(
            "T5.contraction", "P7", Kind.PROVED,
            "NAS (every written value has ‖v‖ = a), hard writes, keys independent of the past, P(k = 0) = 0: for "
            "isotropic keys (a rotation-invariant law) and M = I, given W, E R' = (1 − 1/n)R + a²E[1/s], R = ‖W‖²_F; "
            "for any positive definite M and E x̂x̂ᵀ ≥ μI, x = M^(1/2)k, R = ‖W‖²_{M⁻¹}: E R' ≤ (1−μ)R + a²E[1/s], "
            "and μ ≤ 1/n.",
            check_contraction, contraction,
            replace(contraction, isotropic=contraction.isotropic.subs(n, n - 1)), "the contraction is 1 − 1/(n−1)",
        ),
        Claim(
            "T5.soft", "P7", Kind.PROVED,
            "NAS, soft writes, M positive definite, P(k = 0) = 0: the change is at most [η a² − η‖Wk‖²]/s for every "
            "direction of v, so for keys of one law, independent of the past, η in (0, 1] that k determines and "
            "E[η x̂x̂ᵀ] ≥ μI, μ > 0: E R' ≤ (1−μ)R + a²E[η/s] given W, and lim sup E R_t ≤ a²E[η/s]/μ; in the mean "
            "change the factor of −‖Wk‖²/s is η(2−η), and a²'s is η², when E[v | k, W] = 0.",
            check_soft, soft, replace(soft, decay=ETA * (2 - ETA)),
            "the constant η(2−η) holds for every direction of v",
        ),
        Claim(
            "T5.fixed_point", "P7", Kind.PROVED,
            "NAS, hard writes, M = I, keys N(0, I_n) independent of the past, n > 2, R = ‖W‖²_F: "
            "E R_t = R∞ + (1 − 1/n)^t (R_0 − R∞), R∞ = a²n/(n−2).",
            check_fixed_point, plateau, plateau.subs(n, n - 1), "R∞ = a²(n−1)/(n−3)",
        ),
        Claim(
            "T5.readout_constant", "P7", Kind.PROVED,
            "T5.fixed_point's R∞ for any isotropic law of keys with finite E[s] and E[1/s] (hard writes, M = I) is "
            "a²/β, β = E‖Wk‖²/‖W‖²_F, only if all keys have one length: in general R∞ = a²n E[1/s] = "
            "(a²/β)E[s]E[1/s] ≥ a²/β, and n/(n−2) times a²/β for keys N(0, I_n).",
            check_readout_constant, n / (n - 2), sympy.Integer(1), "R∞ = a²/β for Gaussian keys",
        ),
        Claim(
            "T5.worst_case", "P7", Kind.PROVED,
            "NAS, one key k ≠ 0 a write, chosen in any way, any fixed positive definite M, any η in (0, 1]: "
            "‖W_t‖²_{M⁻¹} ≤ ‖W_0‖²_{M⁻¹} + Σ η_i a²/s_i, so ‖W_t‖ grows at most like √t, and never exponentially, "
            "while s ≥ s_min > 0.",
            check_worst_case, ETA, ETA**2, "η² a²/s bounds each change",
        ),
        Claim(
            "T5.sharp", "P7", Kind.PROVED,
            "A write of any v changes ‖W‖²_{M⁻¹} by [η/(2−η)·‖v‖² − η(2−η)‖Wk − (1−η)/(2−η) v‖²]/s, for 0 < η ≤ 1 "
            "and positive definite M, so the sharp bound per write of ‖v‖ = a is η a²/((2−η)s).",
            check_sharp, ETA / (2 - ETA), ETA, "the same square with η‖v‖² in front",
        ),
        Claim(
            "T5.bounded", "P7", Kind.PROVED,
            "With NAS the edited weight's norm stays bounded, for η = 1, a fixed positive definite M, P(k = 0) = 0: "
            "true in the mean under persistent excitation, E[x̂x̂ᵀ | past] ≥ μI and E[1/s | past] ≤ ι at every edit "
            "(by the larger of R_0 and a²ι/μ); false without it, by keys chosen for the weight. Keys of one law, "
            "independent of the past, E[1/s] finite, are always excited enough: what they never reach stays as it was.",
            check_bounded, True, False, "bounded without excitation", Verdict.CONDITIONAL,
        ),
        Claim(
            "T5.single_edit", "P11", Kind.PROVED,
            "In a linear memory a hard write with NAS gives W'k = a v/‖v‖: the solved direction is kept (cosine 1), so "
            "every choice by largest inner product with W'k is that of v; not in a transformer, where h = h_pre + v "
            "and rescaling v also changes its weight against h_pre.",
            check_single_edit, sympy.Integer(1), sympy.Rational(1, 2), "a write of share 1/2 keeps the direction",
        ),
    )  # fmt: skip
