"""T4's claims on a clamp relative to the residual stream, of which the read-out is one part (the MEMIT family's)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import sympy

from theory.claim import Claim, Evidence, Kind, Verdict
from theory.controls import increments as controls
from theory.controls.increment_proofs import (
    AFTER,
    KAPPA,
    NORM,
    READ,
    ROOT,
    SHIFT,
    SIZE,
    TRIANGLE,
    prove_aligned,
    prove_size,
)
from theory.growth.isotropic_proofs import R0, c, n, t
from theory.provers.prove import Proof
from theory.provers.trace_algebra import Algebra
from theory.writes.identities import ETA, S

STREAM, RATE = sympy.symbols("L γ", positive=True)


def check_stream(law: Callable[..., sympy.Expr]) -> Evidence:
    """E R_t under ‖δ‖ = c‖p + Wk‖ with a stream p that does not follow W."""
    a = Algebra({"W": ("m", "n"), "k": ("n", 1), "p": ("m", 1)})
    W, k, p = map(a, ("W", "k", "p"))
    proof = Proof()
    h, read = p + W @ k, W @ k
    parts = (p.T @ p).number() + 2 * (p.T @ read).number() + (read.T @ read).number()
    proof.equal("‖h‖², h = p + Wk", (h.T @ h).number(), parts)
    proof.say("E[δ·Wk | k, p, W] = 0, E[p·Wk | k, W] = 0: E R' = R + η²c²(E[‖p‖²/s] + E[‖Wk‖²/s])")
    proof.say("isotropic keys: E[‖Wk‖²/s] = R/n (T4.relative_clamp); γ = η²c²/n, L = n E[‖p‖²/s]")
    R, gain = sympy.symbols("R η²c²", positive=True)
    step = R + gain * (STREAM / n + R / n)
    proof.equal("E R' with η²c² = nγ", step.subs(gain, n * RATE), (1 + RATE) * R + RATE * STREAM)
    mean = law(R0, RATE, STREAM, t)
    proof.equal("the law at t = 0", mean.subs(t, 0), R0)
    proof.equal("induction step", (1 + RATE) * mean + RATE * STREAM, law(R0, RATE, STREAM, t + 1))
    power = sympy.Symbol("(1+γ)^t", positive=True)
    now = mean.subs((1 + RATE) ** t, power)
    proof.follows("with (1+γ)^t ≥ 1 it is at least (1+γ)^t R_0 and at most (1+γ)^t (R_0 + L)", [power >= 1],
                  sympy.And(now >= power * R0, now <= power * (R0 + STREAM)))  # fmt: skip
    for level in (R0, R0 + STREAM):
        limit = sympy.limit(sympy.log(level) / t, t, sympy.oo)
        proof.equal(f"so its exponent is log(1+γ): lim log({level})/t", limit, sympy.S(0))
    relative = (step.subs(gain, n * RATE) - R) / R
    proof.equal("growth per edit relative to R", relative, RATE * (1 + STREAM / R))
    proof.follows("it is more than 2γ exactly while R < L", [], sympy.Equivalent(relative > 2 * RATE, R < STREAM))
    hidden = ((h.T @ h).number()).subs({(p.T @ p).number(): READ**2, (p.T @ read).number(): -(READ**2),
                                        (read.T @ read).number(): READ**2}, simultaneous=True)  # fmt: skip
    proof.equal("without E[p·Wk] = 0 it may leave nothing: p = −Wk has ‖h‖²", hidden, sympy.S(0))
    return proof.evidence("(R_0 + L)(1+γ)^t − L", mean)


def check_stream_worst(bound: sympy.Expr) -> Evidence:
    """‖W'‖ ≤ bound for ‖δ‖ ≤ c‖p + Wk‖, ‖p‖ = κ, in any direction."""
    proof = Proof()
    size, read = prove_size(proof)
    proof.follows("‖Wk‖ ≤ √s‖W‖", [read], READ <= ROOT * NORM)
    given = [size, READ <= ROOT * NORM, c * (KAPPA + READ) >= SHIFT]
    proof.follows("√s‖Δ‖ ≤ ηc(κ + √s‖W‖)", given, ETA * c * (KAPPA + ROOT * NORM) >= SIZE * ROOT)
    last = [ETA * c * (KAPPA + ROOT * NORM) >= SIZE * ROOT, TRIANGLE]
    proof.follows("so the bound", last, bound >= AFTER)
    beta = sympy.Symbol("‖b‖", positive=True)
    grown = 1 + ETA * c * (1 + KAPPA / (S * beta))
    prove_aligned(proof, c * (S + KAPPA / beta), grown)
    proof.equal("with p = κb/‖b‖: grown·‖W‖, ‖W‖ = √s‖b‖, is the bound", grown.subs(S, ROOT**2) * ROOT * beta,
                bound.subs(NORM, ROOT * beta))  # fmt: skip
    return proof.evidence((1 + ETA * c) * NORM + ETA * c * KAPPA / ROOT, bound)


def claims() -> tuple[Claim[Any], ...]:
    """The residual stream's clamp."""
    stretched = (1 + ETA * c) * NORM + ETA * c * KAPPA / ROOT
    return (
        Claim(
            "T4.stream_clamp", "P6", Kind.PROVED,
            "A clamp on the residual stream, ‖δ‖ = c‖h‖ with h = p + Wk (MEMIT family), active, (k, p) of one law, "
            "independent of the past, E[δ·Wk | k, p, W] = 0 = E[p·Wk | k, W], isotropic keys, P(k = 0) = 0, M = I, "
            "fixed η, c > 0, W_0 ≠ 0: E R_t = (R_0 + L)(1 + γ)^t − L, γ = η²c²/n, L = n E[‖p‖²/s] finite: a line "
            "while R ≪ L, in the end the mean's exponent log(1 + γ) of c‖Wk‖. Not if p(k) = −W_0k, where nothing "
            "moves; absolute if h has no Wk.",
            check_stream, controls.stream_clamp_law,
            lambda start, rate, stream, time: (start + stream) * (1 + rate) ** time - rate * stream,
            "E R_t = (R_0 + L)(1 + γ)^t − γL", Verdict.CONDITIONAL,
        ),
        Claim(
            "T4.stream_worst", "P6", Kind.PROVED,
            "‖δ‖ ≤ c‖p + Wk‖ with ‖p‖ ≤ κ, in any direction, M positive definite, s = kᵀMk > 0: ‖W'‖ ≤ (1 + ηc)‖W‖ + "
            "ηcκ/√s in the norm of M⁻¹, attained by W = b(Mk)ᵀ with p and δ along b.",
            check_stream_worst, stretched, stretched - ETA * (1 - ETA) * c * KAPPA / ROOT,
            "the stream adds η²cκ/√s only",
        ),
    )  # fmt: skip
