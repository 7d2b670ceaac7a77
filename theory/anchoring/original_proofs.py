"""T5's claim on NSE's policy: values solved on the original weight bound the norm without an anchor."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import sympy

from theory.anchoring.norm_proofs import BEFORE, NORM
from theory.claim import Claim, Evidence, Kind
from theory.growth.isotropic_proofs import prove_isotropy
from theory.provers.moments import DIMENSION
from theory.provers.prove import Proof
from theory.provers.trace_algebra import Algebra

n = DIMENSION
c = sympy.Symbol("c", positive=True)


@dataclass(frozen=True)
class Course:
    """What values v = W_0k + δ are said to make of R_t = E‖W_t‖²_F.

    Attributes:
        step: E R' given W.
        law: R_t in closed form, at a symbol t.
        limit: R_∞.
    """

    step: sympy.Expr
    law: sympy.Expr
    limit: sympy.Expr


t = sympy.Symbol("t", nonnegative=True)


def check_original(asserted: Course) -> Evidence:
    """The mean of ‖W_t‖² under hard writes of values that were solved on W_0."""
    a = Algebra({"W": ("m", "n"), "W0": ("m", "n"), "k": ("n", 1), "δ": ("m", 1)})
    W, start, k, shift = map(a, ("W", "W0", "k", "δ"))
    read, first, s = W @ k, start @ k, (k.T @ k).number()
    proof = Proof()
    residual = first + shift - read
    change = sympy.expand((W + 1 / s * (residual @ k.T)).norm_sq() - W.norm_sq())
    cross = (shift.T @ first).number()
    read_sq, first_sq, shift_sq = ((x.T @ x).number() for x in (read, first, shift))
    proof.equal("‖W + (W_0k + δ − Wk)kᵀ/s‖² − ‖W‖²", change, (first_sq + 2 * cross + shift_sq - read_sq) / s)
    given_key = ((first_sq + 2 * cross + shift_sq - read_sq) / s).subs({cross: 0, shift_sq: c**2 * first_sq})
    proof.say("expectation given k, W: E[δ·W_0k] = 0 and E‖δ‖² = c²‖W_0k‖²")
    proof.equal("E[change | k, W]", given_key, ((1 + c**2) * first_sq - read_sq) / s)
    proof.say("isotropic keys: E[‖W_0k‖²/s] = tr(W_0 E[k̂k̂ᵀ] W_0ᵀ), E[‖Wk‖²/s] likewise")
    q = prove_isotropy(proof)
    mean = NORM + q * ((1 + c**2) * BEFORE - NORM)
    proof.equal("E R' given W", mean, asserted.step)
    proof.equal("closed form, base t = 0", asserted.law.subs(t, 0), BEFORE)
    onward = asserted.step.subs(NORM, asserted.law)
    proof.equal("closed form, step", onward, asserted.law.subs(t, t + 1))
    proof.equal("its part that fades", asserted.law - asserted.limit, (BEFORE - asserted.limit) * (1 - 1 / n) ** t)
    proof.follows("0 ≤ 1 − 1/n < 1, so R_t → R_∞", [n > 2], sympy.And(1 - 1 / n >= 0, 1 - 1 / n < 1))
    left = sympy.Symbol("(1−1/n)^t", nonnegative=True)
    proof.follows("R_0 ≤ R_t ≤ R_∞", [left <= 1], sympy.And(
        asserted.limit + (BEFORE - asserted.limit) * left >= BEFORE,
        asserted.limit + (BEFORE - asserted.limit) * left <= asserted.limit))  # fmt: skip
    return proof.evidence(sympy.factor(mean), asserted)


def claims() -> tuple[Claim[Any], ...]:
    """NSE's policy beside NAS."""
    course = Course(
        (1 - 1 / n) * NORM + (1 + c**2) * BEFORE / n,
        BEFORE * (1 + c**2 * (1 - (1 - 1 / n) ** t)),
        (1 + c**2) * BEFORE,
    )
    slow = replace(course, step=(1 - 1 / n) * NORM + BEFORE / n + c**2 * NORM / n)
    return (
        Claim(
            "T5.original", "P7", Kind.PROVED,
            "NSE's policy (v = W_0k + δ, solved on the original weight, E[δ | k] ⟂ W_0k and E‖δ‖² = c²‖W_0k‖² given "
            "k), hard writes, M = I, isotropic keys independent of the past: E‖W_t‖²_F = R_0(1 + c²(1 − (1 − 1/n)^t)), "
            "bounded by (1 + c²)R_0 without any anchor.",
            check_original, course, slow, "the shift's part follows W, as on the current weight: + c²R/n",
        ),
    )  # fmt: skip
