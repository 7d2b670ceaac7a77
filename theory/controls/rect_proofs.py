"""T4's claims on RECT: keeping the largest relative entries lowers the mean growth, and may raise a single write's."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import sympy

from theory.claim import Claim, Evidence, Kind, Verdict
from theory.provers.prove import Proof
from theory.provers.trace_algebra import Algebra

KEPT, DROPPED, KEPT_W, DROPPED_W, THETA = sympy.symbols("Δ₁² Δ₀² W₁² W₀² θ²", nonnegative=True)


def check_rect(floor: sympy.Expr) -> Evidence:
    """floor·‖Δ‖² ≤ ‖F(Δ)‖² ≤ ‖Δ‖² for F that keeps the largest |Δ/W|; E‖W+F(Δ)‖² when δ and −δ are alike."""
    proof = Proof()
    proof.say("W₁² and W₀² are the sums of W_ij² over kept and dropped entries, Δ₁² and Δ₀² those of Δ_ij²")
    proof.say("some θ parts the scores: Δ_ij² ≥ θ²W_ij² where kept, Δ_ij² ≤ θ²W_ij² where dropped; summed:")
    given = [KEPT >= THETA * KEPT_W, DROPPED <= THETA * DROPPED_W, KEPT_W + DROPPED_W > 0]
    total = KEPT + DROPPED
    proof.follows("the bounds", given, sympy.And(floor * total <= KEPT, total >= KEPT))
    alike = {KEPT: THETA * KEPT_W, DROPPED: THETA * DROPPED_W}
    proof.equal("the lower is attained where all scores are alike", floor * total.subs(alike), KEPT.subs(alike))
    a = Algebra({"W": ("m", "n"), "F": ("m", "n")})
    W, F = a("W"), a("F")
    cross = (W @ F.T).trace()
    both = ((W + F).norm_sq() + (W - F).norm_sq()) / 2
    proof.say("|Δ/W| is even in δ, so the mask is, and F(−Δ) = −F(Δ): the mean over ±δ is")
    proof.equal("½‖W+F‖² + ½‖W−F‖²", both, W.norm_sq() + F.norm_sq())
    proof.equal("for one sign there is a cross term: ‖W+F‖²", (W + F).norm_sq(), both + 2 * cross)
    return proof.evidence(KEPT_W / (KEPT_W + DROPPED_W), floor)


@dataclass(frozen=True)
class Masked:
    """A write in exact numbers, the numbers of its entries that RECT keeps, and what becomes of ‖W‖²; M = I, η = 1.

    Attributes:
        weight: W (m, n) without zeros.
        key: k (n,).
        shift: δ (m,).
        changes: of ‖W‖², as asserted: at the plain write, and at RECT's.
        keeps: 20 % of the entries, as published, and 40 %, as in the ports.
    """

    weight: tuple[tuple[int, ...], ...]
    key: tuple[int, ...]
    shift: tuple[int, ...]
    changes: tuple[str, str, str]
    keeps: tuple[int, int] = (2, 4)


def rect_changes(example: Masked) -> tuple[sympy.Expr, ...]:
    """The change of ‖W‖²_F at the plain write and at those that keep the largest |Δ/W|."""
    W, k, shift = map(sympy.Matrix, (example.weight, example.key, example.shift))
    delta = shift * k.T / k.dot(k)
    order = sorted(range(len(W)), key=lambda i: abs(delta[i] / W[i]), reverse=True)
    masked = (
        sympy.Matrix(*W.shape, [delta[i] if i in order[:keep] else 0 for i in range(len(W))]) for keep in example.keeps
    )
    return tuple((W + D).norm() ** 2 - W.norm() ** 2 for D in (delta, *masked))


def check_rect_witness(examples: tuple[Masked, Masked]) -> Evidence:
    """RECT raises the norm where the plain write shrinks it, and more than the plain write where δ ⟂ Wk."""
    proof, found = Proof(), []
    for example in examples:
        W, k, shift = map(sympy.Matrix, (example.weight, example.key, example.shift))
        inner = shift.dot(W * k)
        scores = sorted((abs(x * y / k.dot(k) / W[i, j]) for i, x in enumerate(shift) for j, y in enumerate(k)))
        for keep in example.keeps:
            proof.holds(f"no tie at the threshold of {keep} entries", scores[-keep] > scores[-keep - 1])
        found.append((inner, *rect_changes(example)))
        for change, asserted in zip(found[-1][1:], example.changes, strict=True):
            proof.equal("the change of ‖W‖²", change, sympy.Rational(asserted))
        proof.say(f"W = {W.tolist()}, k = {tuple(k)}, δ = {tuple(shift)}, {example.keeps} of {len(W)} entries kept: "
                  f"δ·Wk = {inner}, ‖W‖² changes by {found[-1][1]} plain, by {found[-1][2:]} with RECT")  # fmt: skip
    (across, plain, *masked), (_, shrinks, *grows) = found
    proof.holds(f"δ ⟂ Wk ({across}) and RECT grows by more: {masked} against {plain} > 0",
                across == 0 and min(masked) > plain > 0)  # fmt: skip
    proof.holds(f"the plain write shrinks, RECT grows: {shrinks} < 0 < {grows}", shrinks < 0 < min(grows))
    return proof.evidence(f"{masked} > {plain}", "at most the plain change")


ORTHOGONAL = Masked(((-1, -2), (-1, -3), (-1, -2), (2, 1), (1, 1)), (1, 1), (2, 2, -1, 1, 4), ("13", "16", "14"))
SHRINKING = Masked(((-3, 1), (1, 1), (2, 1), (2, -1), (-1, -2)), (2, 2), (2, 3, -1, 1, 2), ("-5/8", "33/8", "37/8"))


def claims() -> tuple[Claim[Any], ...]:
    """RECT."""
    return (
        Claim(
            "T4.rect", "P6", Kind.PROVED,
            "RECT, F keeping the entries of largest |Δ/W|, no entry of W 0: (‖F(W)‖²/‖W‖²)‖Δ‖² ≤ ‖F(Δ)‖² ≤ ‖Δ‖² in "
            "Frobenius norm, F(W) the entries of W at the kept places, the lower attained where all scores are alike; "
            "if δ and −δ are equally likely given k and W, E‖W + F(Δ)‖² = ‖W‖² + E‖F(Δ)‖²: growth in the mean is at "
            "most the plain write's, and at least the mean of that share of ‖Δ‖², above 0 where an entry is kept and "
            "δ ≠ 0. What share survives along a stream is left to simulation.",
            check_rect, KEPT_W / (KEPT_W + DROPPED_W), KEPT_W / (KEPT_W + DROPPED_W) * 2,
            "F keeps at least twice W's share", Verdict.CONDITIONAL,
        ),
        Claim(
            "T4.rect_witness", "P6", Kind.PROVED,
            "RECT never grows the norm by more than the plain write. False, for 20 % and for 40 % of a 5 × 2 write: "
            "with δ ⟂ Wk it grows ‖W‖² by 16 and 14 where the plain write grows it by 13, and another write, which "
            "shrinks ‖W‖² by 5/8, grows it by 33/8 and 37/8: a mask turns δ towards Wk.",
            check_rect_witness, (ORTHOGONAL, SHRINKING),
            (replace(ORTHOGONAL, shift=tuple(-x for x in ORTHOGONAL.shift)), SHRINKING),
            "the first write is a counterexample with −δ too", Verdict.FALSE,
        ),
    )  # fmt: skip
