"""T5's worst case: which streams attain it, for every shape of W and every share, what short keys and drops add."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import sympy

from theory.anchoring.norm_proofs import ANCHOR, CHANGE, LENGTH
from theory.claim import Claim, Evidence, Kind, Verdict
from theory.provers.prove import Proof
from theory.provers.trace_algebra import Algebra, inverses
from theory.writes.identities import ETA, READ_SQ, S

READ = sympy.Symbol("‖Wk‖", nonnegative=True)


def check_attained(gain: sympy.Expr) -> Evidence:
    """A hard anchored write at a key with Wk = 0 adds exactly `gain`; with m < n there is such a key at every step."""
    a = Algebra({"W": ("m", "n"), "k": ("n", 1), "v": ("m", 1), "M": ("n", "n"), "M⁻¹": ("n", "n")},
                ("M", "M⁻¹"), (*inverses("M", "M⁻¹"), ("W k", {})))  # fmt: skip
    W, k, v, M, inverse = map(a, ("W", "k", "v", "M", "M⁻¹"))
    s, length = (k.T @ M @ k).number(), (v.T @ v).number()
    after = W + (v - W @ k) @ (M @ k).T / s
    proof = Proof()
    proof.say(
        "m < n: W has rank at most m, so it maps a nonzero k to 0; W' is m × n again, so this holds at every step"
    )
    proof.equal("W'k", after @ k, v)
    proof.equal(
        "‖W'‖² − ‖W‖² at Wk = 0", after.norm_sq(inverse) - W.norm_sq(inverse), gain.subs({LENGTH: length, S: s})
    )
    proof.say("such a key may be scaled to any s, so with equal s: ‖W_t‖² = ‖W_0‖² + t·a²/s")
    anchor, steps = 2, 3
    weight = sympy.Matrix([[1, 2, 0], [0, 1, 1]])
    norms = [weight.norm() ** 2]
    for step in range(steps):
        key = weight.nullspace()[0]
        value = anchor * sympy.Matrix([sympy.Rational(3, 5), (-1) ** step * sympy.Rational(4, 5)])
        weight += value * key.T / key.dot(key)
        norms.append(weight.norm() ** 2)
        added = norms[-1] - norms[-2]
        asserted = gain.subs({ANCHOR: anchor, S: key.dot(key)})
        proof.equal(f"2 × 3, C = I, edit {step + 1} at k = {tuple(key)}: ‖W‖² grows by", added, asserted)
    return proof.evidence("a²/s at every edit", gain)


def check_attained_any(gain: sympy.Expr) -> Evidence:
    """Hard anchored writes on a 3 × 2 weight of full column rank: one preparing write, then the worst case for ever."""
    proof = Proof()
    proof.say("Y = W M^(−1/2), n ≥ 2. If Y has a null vector, take k there and v in the range of Y (any v if Y = 0):")
    proof.say(
        "the write adds a²/s (T5.attained); its rank-one term maps into the range of Y, so the rank, unless Y = 0,"
    )
    proof.say("stays: there is a null vector again. If Y has none (m ≥ n), write any unit x̂ once, v in the range of")
    proof.say(
        "Y(I − x̂x̂ᵀ), which has dimension n − 1 ≥ 1: Y' = Y(I − x̂x̂ᵀ) + v x̂ᵀ/√s maps into it, so its rank is below n"
    )
    weight, anchor = sympy.Matrix([[1, 0], [0, 3], [1, 4]]), sympy.Integer(5)
    proof.equal("3 × 2, M = I, a = 5: rank of W", sympy.Integer(weight.rank()), sympy.Integer(2))
    value, key = sympy.Matrix([0, 3, 4]), sympy.Matrix([1, 0])
    proof.equal("‖v‖²", value.dot(value), anchor**2)
    weight += (value - weight * key) * key.T
    proof.equal(
        "after the write at (1, 0) with v ∥ W(0, 1)ᵀ: rank of W", sympy.Integer(weight.rank()), sympy.Integer(1)
    )
    for scale in (1, 3, 2):
        key = scale * weight.nullspace()[0]
        after = weight + value * key.T / key.dot(key)
        added = (after * after.T).trace() - (weight * weight.T).trace()
        proof.equal(f"k = {tuple(key)}: it adds", added, gain.subs({ANCHOR: anchor, S: key.dot(key)}))
        weight = after
        proof.equal("rank of W", sympy.Integer(weight.rank()), sympy.Integer(1))
    return proof.evidence("a²/s at every edit but the first", gain)


def check_sharp_attained(centre: sympy.Expr) -> Evidence:
    """Soft writes of fixed share and s: the read-out `centre`·a attains T5.sharp and leaves one that is long enough."""
    proof = Proof()
    aligned = CHANGE.subs({READ_SQ: READ**2, sympy.Symbol("v·Wk", real=True): ANCHOR * READ})
    best = ETA * LENGTH / ((2 - ETA) * S)
    proof.equal(
        "v = aWk/‖Wk‖ at ‖Wk‖ = centre·a: the change", sympy.simplify(aligned.subs(READ, centre * ANCHOR)), best
    )
    proof.follows("no other ‖Wk‖ does better", [ETA <= 1], aligned <= best)
    proof.say("‖x‖² = s, Wk = Yx: ‖Yx‖ takes every value from σ_n√s to σ_1√s on this sphere, which is connected for")
    proof.say("n ≥ 2; σ_n = 0 where rank Y < n. So such a key exists iff σ_1√s ≥ centre·a")
    after = (1 - ETA) * centre * ANCHOR + ETA * ANCHOR
    proof.equal("after the write ‖W'k‖", sympy.factor(after), ANCHOR / (2 - ETA))
    proof.follows("so σ_1(Y')√s ≥ ‖W'k‖ ≥ centre·a: again", [ETA <= 1], centre * ANCHOR <= ANCHOR / (2 - ETA))
    proof.say("and v ∥ Wk lies in the range of Y, so the rank stays below n: the bound is attained at every later edit")
    j = sympy.Symbol("j", nonnegative=True)
    proof.equal("from W = 0, repeating one request: ‖Wk‖ = (1 − (1−η)^j)a, step", sympy.simplify(
        (1 - ETA) * (1 - (1 - ETA) ** j) + ETA - (1 - (1 - ETA) ** (j + 1))), sympy.Integer(0))  # fmt: skip
    proof.follows("which tends to a > centre·a", [ETA <= 1], centre < 1)
    return proof.evidence("(1−η)/(2−η)", centre)


def check_short_keys(factor: Callable[[sympy.Expr], sympy.Expr]) -> Evidence:
    """Anchored writes at keys of length c·a/σ multiply a rank-one weight by factor(c) at every edit."""
    sigma, c = sympy.symbols("σ c", positive=True)
    length = c * ANCHOR / sigma
    proof = Proof()
    proof.say("M = I, W = σ e e₁ᵀ, k = ℓ e₁ with ℓ = ca/σ, v = a e; s = ℓ² shrinks as σ grows")
    after = sympy.cancel(sigma + ETA * (ANCHOR - sigma * length) * length / length**2)
    proof.equal("W' = σ'e e₁ᵀ, σ'", after, factor(c) * sigma)
    proof.follows("η in (0, 1], c in (0, 1): it grows", [ETA <= 1, c < 1], factor(c) > 1)
    proof.holds("by any number: c → 0", sympy.limit(factor(c), c, 0, "+") == sympy.oo)
    centre = (1 - ETA) / (2 - ETA)
    best = ETA * LENGTH / ((2 - ETA) * length**2)
    proof.equal(
        "c = (1−η)/(2−η): R' − R is T5.sharp's bound at s = ℓ²",
        sympy.cancel((after**2 - sigma**2 - best).subs(c, centre)),
        sympy.Integer(0),
    )
    s = sympy.Symbol("s", positive=True)
    memit = (ETA / ((2 - ETA) * s)).subs(ETA, s / (1 + s))
    proof.follows(
        "MEMIT's η = s/(1+s) falls with s: η/((2−η)s) < 1/2 (T5.batch_worst_case)", [], 2 * sympy.cancel(memit) < 1
    )
    return proof.evidence(f"σ' = {factor(c)} σ", "no exponential growth")


def check_batch_drop(factor: Callable[[sympy.Expr], sympy.Expr]) -> Evidence:
    """A batch of two keys, one dropped and one anchored, multiplies a rank-one weight by at least factor(sinφ)."""
    sigma, cosine, sine = sympy.symbols("σ cosφ sinφ", positive=True)
    proof = Proof()
    proof.say("M = I, W = σ e dᵀ, all values along e; keys ℓd and ℓ(cosφ d + sinφ d'), φ < π/2, d' ⟂ d; H = KᵀK")
    proof.say("the first request's value is longer than 2a: dropped, v_1 = Wk_1, R_1 = 0; the second's is −a e")
    weight, keys = sympy.Matrix([[sigma, 0]]), sympy.Matrix([[1, cosine], [0, sine]])
    residual = sympy.Matrix([[0, -ANCHOR - sigma * cosine]])
    gain = sympy.Matrix([[1, -cosine], [-cosine, 1]]) / sine**2
    unit = {cosine: sympy.sqrt(1 - sine**2)}
    proof.equal("ℓ = 1: H G, G = H⁻¹", sympy.simplify((keys.T * keys * gain)[0, 0].subs(unit)), sympy.Integer(1))
    moved = residual * gain * keys.T
    after = sigma**2 + (ANCHOR + sigma * cosine) ** 2 / sine**2
    squared = ((weight + moved) * (weight + moved).T)[0]
    proof.equal("hard: ‖W'‖²", sympy.simplify((squared - after).subs(unit)), sympy.Integer(0))
    circle = [sympy.Eq(cosine**2 + sine**2, 1)]
    proof.follows("‖W'‖ ≥ factor·‖W‖", circle, after >= (factor(sine) * sigma) ** 2)
    proof.follows("which grows", circle, factor(sine) > 1)
    keys = 3 * keys.subs({cosine: sympy.Rational(4, 5), sine: sympy.Rational(3, 5)})
    proof.equal("both of length 3: their squares", sum(key**2 for key in keys[:, 1]), keys[0, 0] ** 2)
    gain = (sympy.eye(2) + keys.T * keys).inv()
    after = weight + sympy.Matrix([[0, -ANCHOR - (weight * keys)[1]]]) * gain * keys.T
    proof.follows("MEMIT, ℓ = 3, cosφ = 4/5: ‖W'‖ ≥ 5/4 ‖W‖", [], sympy.expand(after.dot(after)) >= sigma**2 * 25 / 16)
    proof.say(
        "W' = σ'e d''ᵀ is of the same form: turn the keys with d'' and repeat. Where the dropped key leaves the batch,"
    )
    proof.say("T5.batch_worst_case holds: the change is then that of the anchored requests alone")
    return proof.evidence("at least by 1/sinφ an edit", factor(sine))


def claims() -> tuple[Claim[Any], ...]:
    """Adversaries of an anchored stream."""
    centre = (1 - ETA) / (2 - ETA)
    return (
        Claim(
            "T5.attained", "P7", Kind.PROVED,
            "For m < n and η = 1 the worst case is attained at every edit: a key with Wk = 0 exists, and a write of "
            "any v of length a there adds exactly a²/s to ‖W‖²_{M⁻¹}, for any s and positive definite M.",
            check_attained, LENGTH / S, LENGTH / (2 * S), "it adds a²/(2s)",
        ),
        Claim(
            "T5.attained_any", "P7", Kind.PROVED,
            "T5.attained needs no m < n: for every m and n ≥ 2, any positive definite M, hard anchored writes attain "
            "a²/s at every edit but at most the first, with any s; so ‖W_t‖ can grow like √t in every shape but n = 1.",
            check_attained_any, LENGTH / S, LENGTH / (2 * S), "they add a²/(2s)",
        ),
        Claim(
            "T5.sharp_attained", "P7", Kind.PROVED,
            "For a fixed share η < 1 and fixed s, n ≥ 2, rank W_0 < n (as for m < n), T5.sharp's η a²/((2−η)s) is "
            "attained at every edit once σ_1(W M^(−1/2))√s ≥ (1−η)/(2−η) a, by v ∥ Wk at a key with ‖Wk‖ = "
            "(1−η)/(2−η) a; a few repeats of one request lead there from W = 0.",
            check_sharp_attained, centre, (1 - ETA) / 2, "by a key with ‖Wk‖ = (1−η)/2 a",
        ),
        Claim(
            "T5.short_keys", "P7", Kind.PROVED,
            "Under NAS the norm never grows exponentially, whatever the keys. False for writes of a fixed share η in "
            "(0, 1], hard writes too: keys of length ca/σ, 0 < c < 1, that shorten as W = σ e e₁ᵀ grows (M = I) "
            "multiply it by 1 + η(1−c)/c at every edit, any number; T5.worst_case needs s ≥ s_min. True for MEMIT "
            "with a fixed A, whose η = s/(1+s).",
            check_short_keys, lambda c: 1 + ETA * (1 - c) / c, lambda c: 1 + ETA / c, "they multiply it by 1 + η/c",
            Verdict.FALSE,
        ),
        Claim(
            "T5.batch_drop", "P7, T2", Kind.PROVED,
            "NAS with its drop rule at 2a never lets the norm grow exponentially. False for batches in which a dropped "
            "request stays with residual zero (v = Wk), as in the released code: of two keys of one length at an angle "
            "φ < π/2, the first along the row of a rank-one W (M = I) and dropped, a hard batch multiplies ‖W‖ by at "
            "least 1/sinφ at every edit; MEMIT's (A = I, ‖k‖ = 3, cosφ = 4/5) by at least 5/4.",
            check_batch_drop, lambda sine: 1 / sine, lambda sine: 1 / sine**2, "by at least 1/sin²φ", Verdict.FALSE,
        ),
    )  # fmt: skip
