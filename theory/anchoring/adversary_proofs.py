"""T5's worst case: which streams attain it, for every shape of W and every share, and what short keys add to it."""

from __future__ import annotations

from typing import Any

import sympy

from theory.anchoring.norm_proofs import ANCHOR, CHANGE, LENGTH
from theory.claim import Claim, Evidence, Kind, Verdict
from theory.provers.prove import Proof
from theory.writes.identities import ETA, READ_SQ, S

READ, SIZE = sympy.symbols("‖Wk‖ ‖W'k‖", nonnegative=True)


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


def check_short_keys(factor: sympy.Expr) -> Evidence:
    """Anchored writes of a fixed share at ever shorter keys multiply a rank-one weight by `factor` at every edit."""
    sigma = sympy.Symbol("σ", positive=True)
    length = (1 - ETA) * ANCHOR / ((2 - ETA) * sigma)
    proof = Proof()
    proof.say("M = I, W = σ e e₁ᵀ, k = ℓ e₁ with ℓ = (1−η)a/((2−η)σ), v = a e; s = ℓ² shrinks as σ grows")
    after = sympy.cancel(sigma + ETA * (ANCHOR - sigma * length) * length / length**2)
    proof.equal("W' = σ'e e₁ᵀ, σ'", after, factor * sigma)
    proof.follows("η in (0, 1): it grows", [ETA < 1], factor > 1)
    added = ETA * LENGTH / ((2 - ETA) * length**2)
    proof.equal("it is T5.sharp's bound with s = ℓ²: R' − R", sympy.cancel(after**2 - sigma**2), sympy.cancel(added))
    s = sympy.Symbol("s", positive=True)
    memit = (ETA / ((2 - ETA) * s)).subs(ETA, s / (1 + s))
    proof.follows(
        "MEMIT's η = s/(1+s) falls with s: η/((2−η)s) < 1/2 (T5.batch_worst_case)", [], 2 * sympy.cancel(memit) < 1
    )
    return proof.evidence(f"σ' = {factor} σ", "no exponential growth")


def claims() -> tuple[Claim[Any], ...]:
    """Adversaries of an anchored stream."""
    centre = (1 - ETA) / (2 - ETA)
    return (
        Claim(
            "T5.attained_any", "P7", Kind.PROVED,
            "T5.attained needs no m < n: for every m and n ≥ 2, any M, hard anchored writes attain a²/s at every edit "
            "but at most the first, with any s; so ‖W_t‖ grows like √t in every shape but n = 1.",
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
            "(0, 1) (a spread hard write): keys that shorten as W grows multiply a rank-one W by 1/(1−η) at every "
            "edit; T5.worst_case needs s ≥ s_min. True for MEMIT, whose η = s/(1+s).",
            check_short_keys, 1 / (1 - ETA), 1 + ETA, "they multiply it by 1 + η", Verdict.FALSE,
        ),
    )  # fmt: skip
