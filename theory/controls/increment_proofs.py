"""T4's claims on controls of the increment: clamps and caps, what each bounds and what each leaves of the exponent."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import sympy

from theory.claim import Claim, Evidence, Kind, Verdict
from theory.controls import increments as controls
from theory.growth.isotropic_proofs import R0, SHIFTED, c, n, prove_isotropy, prove_power_law, t
from theory.provers.prove import Proof
from theory.provers.trace_algebra import Algebra, inverses
from theory.writes.identities import ETA, S, rank_one
from theory.writes.norms import SHIFT_READ, SHIFT_SQ

TAU, KAPPA, Q = sympy.symbols("τ κ q", positive=True)
NORM, SIZE, SHIFT, READ = sympy.symbols("‖W‖ ‖Δ‖ ‖δ‖ ‖Wk‖", nonnegative=True)
AFTER, ROOT, LOW, HIGH = sympy.symbols("‖W'‖ √s μ ν", positive=True)
CHANGE = (ETA**2 * SHIFT_SQ + 2 * ETA * SHIFT_READ) / S
PAIR = inverses("M", "M⁻¹")
TRIANGLE = AFTER <= NORM + SIZE


def prove_size(proof: Proof) -> tuple[sympy.Rel, sympy.Rel]:
    """‖Δ‖² = η²‖δ‖²/s and ‖Wk‖² ≤ s‖W‖² in the norm of M⁻¹; the two facts for z3, with s = (√s)²."""
    a = rank_one(("M", "M⁻¹"), PAIR)
    W, k, shift, M, inverse = map(a, ("W", "k", "r", "M", "M⁻¹"))
    s, read = (k.T @ M @ k).number(), W @ k
    delta = ETA / s * (shift @ (M @ k).T)
    proof.say("norms of W and Δ are those of M⁻¹, M positive definite; s = kᵀMk > 0; r = δ; Δ = η δ(Mk)ᵀ/s")
    proof.equal("‖Δ‖²", delta.norm_sq(inverse), ETA**2 * (shift.T @ shift).number() / s)
    rest = (W - read @ (M @ k).T / s).norm_sq(inverse)
    proof.equal("0 ≤ ‖W − Wk(Mk)ᵀ/s‖²", rest, W.norm_sq(inverse) - (read.T @ read).number() / s)
    return sympy.Eq(SIZE**2 * ROOT**2, ETA**2 * SHIFT**2), READ**2 <= ROOT**2 * NORM**2


def prove_aligned(proof: Proof, shift: sympy.Expr, grown: sympy.Expr) -> None:
    """W = b(Mk)ᵀ with δ = shift·b becomes grown·W."""
    a = Algebra({"b": ("m", 1), "k": ("n", 1), "M": ("n", "n"), "M⁻¹": ("n", "n")}, ("M", "M⁻¹"), PAIR)
    b, k, M, inverse = map(a, ("b", "k", "M", "M⁻¹"))
    s, length = (k.T @ M @ k).number(), (b.T @ b).number()
    W = b @ (M @ k).T
    proof.say("attained: W = b(Mk)ᵀ, the same key at every edit, δ along b")
    proof.equal("Wk", W @ k, s * b)
    proof.equal("‖W‖²", W.norm_sq(inverse), s * length)
    proof.equal("W' = W + η δ(Mk)ᵀ/s", W + ETA / s * (shift.subs(S, s) * b @ (M @ k).T), grown.subs(S, s) * W)


def check_relative_worst(factor: sympy.Expr) -> Evidence:
    """‖W'‖ ≤ factor·‖W‖ for ‖δ‖ ≤ c‖Wk‖ in any direction, attained at every edit."""
    proof = Proof()
    size, read = prove_size(proof)
    proof.follows("‖Δ‖² ≤ η²c²‖W‖²", [size, read, c * READ >= SHIFT], ETA**2 * c**2 * NORM**2 >= SIZE**2)
    proof.follows("so ‖W'‖ ≤ ‖W‖ + ‖Δ‖", [ETA**2 * c**2 * NORM**2 >= SIZE**2, TRIANGLE], factor * NORM >= AFTER)
    prove_aligned(proof, c * S, factor)
    proof.say("W' is again a multiple of W, so the next edit with the same key multiplies it again")
    etas, W, k = [sympy.Rational(1, 2), sympy.Integer(1)], sympy.Matrix([[2, 4], [1, 2]]), sympy.Matrix([1, 2])
    bound = controls.relative_worst(1.0, 3.0, [float(eta) for eta in etas])
    for index, eta in enumerate(etas):
        W, before = W + eta * 3 * W * k * k.T / k.dot(k), W
        proof.equal(f"2 × 2, M = I, c = 3, η = {eta}: W' − (1 + ηc)W", (W - (1 + 3 * eta) * before).norm(), sympy.S(0))
        proof.agree("and relative_worst says so", bound[index + 1] / bound[index], 1 + 3 * eta)
    proof.agree("relative_worst starts from ‖W_0‖", controls.relative_worst(7.0, 3.0, [1.0])[0], 7)
    return proof.evidence(1 + ETA * c, factor)


@dataclass(frozen=True)
class Relative:
    """What an active relative clamp is said to leave.

    Attributes:
        factor: E R'/R for isotropic x = M^(1/2)k.
        general: its bounds for keys with μI ≤ E[x̂x̂ᵀ] ≤ νI, in μ or ν.
    """

    factor: sympy.Expr
    general: Callable[[sympy.Expr], sympy.Expr]


def check_relative(asserted: Relative) -> Evidence:
    """E R' under ‖δ‖ = c‖Wk‖, E[δ·Wk | k, W] = 0: exactly for isotropic keys, between two factors for all."""
    a = rank_one(("M", "M⁻¹", "L", "N"), PAIR)
    W, k, shift, M, inverse, L, N = map(a, ("W", "k", "r", "M", "M⁻¹", "L", "N"))
    s, read = (k.T @ M @ k).number(), W @ k
    change = (W + ETA / s * (shift @ (M @ k).T)).norm_sq(inverse) - W.norm_sq(inverse)
    stands = {SHIFT_SQ: (shift.T @ shift).number(), SHIFT_READ: (shift.T @ read).number(), S: s}
    proof = Proof()
    proof.equal("‖W+Δ‖² − ‖W‖²", sympy.expand(change), sympy.expand(CHANGE.subs(stands, simultaneous=True)))
    proof.say("given k and W: E[δ·Wk] = 0, E‖δ‖² = c²‖Wk‖², so E[change] = η²c²‖Wk‖²/s")
    proof.say("Y = W M^(−1/2), x = M^(1/2)k: ‖Wk‖²/s = tr(Y x̂x̂ᵀ Yᵀ), R = ‖Y‖²_F; below W stands for Y")
    q = prove_isotropy(proof)
    seen = ETA**2 * c**2 * W.norm_sq(q * a.eye("n"))
    proof.equal("isotropic x: E R'/R", sympy.simplify(1 + seen / W.norm_sq()), asserted.factor)
    prove_power_law(proof, asserted.factor)
    proof.follows("for every c > 0 it is above 1", [c > 0, n >= 1], asserted.factor > 1)
    proof.say("any key law: E[x̂x̂ᵀ] = μI + L·Lᵀ = νI − N·Nᵀ")
    proof.equal("tr(Y(μI + L·L)Yᵀ)", W.norm_sq(LOW * a.eye("n") + L @ L), LOW * W.norm_sq() + (W @ L).norm_sq())
    proof.equal("tr(Y(νI − N·N)Yᵀ)", W.norm_sq(HIGH * a.eye("n") - N @ N), HIGH * W.norm_sq() - (W @ N).norm_sq())
    R, up, down, mean = sympy.symbols("R ‖YL‖² ‖YN‖² E[‖Wk‖²/s]", nonnegative=True)
    given = [sympy.Eq(mean, LOW * R + up), sympy.Eq(mean, HIGH * R - down)]
    after = R + ETA**2 * c**2 * mean
    within = sympy.And(after >= asserted.general(LOW) * R, after <= asserted.general(HIGH) * R)
    proof.follows("E R' lies between the two factors", given, within)
    x = sympy.Symbol("ηc", positive=True)
    proof.say("a path may shrink where the mean grows: m = n = 1, δ = ±cWk alike likely, W' = (1 ± ηc)W")
    proof.equal("E R'/R", ((1 + x) ** 2 + (1 - x) ** 2) / 2, 1 + x**2)
    proof.say("(1/t) log(R_t/R_0) → E log(1 ± ηc)² = log((1 + ηc)(1 − ηc)), by the law of large numbers")
    proof.follows("whose argument lies in (0, 1) for ηc < 1", [x < 1],
                  sympy.And((1 + x) * (1 - x) > 0, (1 + x) * (1 - x) < 1))  # fmt: skip
    proof.say("the clamp alone forces nothing:")
    shrunk = CHANGE.subs({SHIFT_SQ: c**2 * READ**2, SHIFT_READ: -c * READ**2}, simultaneous=True)
    proof.follows("δ = −cWk, c ≤ 1, lowers the norm", [c > 0, c <= 1, ETA <= 1, READ > 0], shrunk < 0)
    return proof.evidence(SHIFTED, asserted.factor)


def check_absolute(share: sympy.Expr) -> Evidence:
    """‖δ‖ ≤ τ adds at most share·τ/√s to ‖W‖, attained at every edit, and in the mean share²τ²/s to ‖W‖²."""
    proof = Proof()
    size, _ = prove_size(proof)
    proof.follows("√s‖Δ‖ ≤ ητ", [size, SHIFT <= TAU], SIZE * ROOT <= ETA * TAU)
    proof.follows("so ‖W'‖ ≤ ‖W‖ + share·τ/√s", [SIZE * ROOT <= ETA * TAU, TRIANGLE],
                  NORM + share * TAU / ROOT >= AFTER)  # fmt: skip
    beta = sympy.Symbol("‖b‖", positive=True)
    prove_aligned(proof, TAU / beta, 1 + share * TAU / (S * beta))
    proof.equal("‖W'‖ − ‖W‖ = share·τ/(s‖b‖)·‖W‖ with ‖W‖ = √s‖b‖", share * TAU / (ROOT**2 * beta) * ROOT * beta,
                share * TAU / ROOT)  # fmt: skip
    mean = CHANGE.subs(SHIFT_READ, 0)
    proof.follows("E[δ·Wk | k, W] ≤ 0: E[change] ≤ share²τ²/s", [SHIFT_SQ >= 0, SHIFT_SQ <= TAU**2, SHIFT_READ <= 0],
                  share**2 * TAU**2 / S >= CHANGE)  # fmt: skip
    proof.equal("with equality for ‖δ‖ = τ, E[δ·Wk | k, W] = 0", mean.subs(SHIFT_SQ, TAU**2), share**2 * TAU**2 / S)
    line = sympy.log(R0 + t * TAU)
    proof.equal("exponent: lim (1/t) log(‖W_0‖ + t·ητ/√s_min)", sympy.limit(line / t, t, sympy.oo), sympy.S(0))
    prove_absolute_numbers(proof)
    return proof.evidence(ETA, share)


def prove_absolute_numbers(proof: Proof) -> None:
    """Both bounds against exact streams that attain them."""
    W, k = sympy.Matrix([[3, 6], [4, 8]]), sympy.Matrix([2, 4])  # Wk ∥ (3, 4), rows of W ∥ k, M = I/5: s = 4
    etas, limit, norms = (sympy.Rational(1, 2), sympy.Integer(1)), 3, [sympy.sqrt(5) * W.norm()]  # M⁻¹ = 5I
    for eta in etas:
        W = W + eta * limit * sympy.Matrix([3, 4]) / 5 * k.T / 5 / 4
        norms.append(sympy.sqrt(5) * W.norm())
    bound = controls.absolute_worst(float(norms[0]), limit, [float(eta) for eta in etas], 4.0)
    for exact, found in zip(norms, bound, strict=True):
        proof.agree("aligned stream, M = I/5, k = (2, 4), τ = 3: absolute_worst is ‖W_t‖", found, exact)
    W = sympy.Matrix([[3, 5, 1], [4, 12, 1]])
    squares = [(W * W.T).trace()]
    for index, eta in enumerate(etas):  # keys 2e_0, 2e_1, M = I: s = 4; δ ⟂ Wk, ‖δ‖ = 3
        k = 2 * sympy.eye(3)[:, index]
        read = W * k
        W = W + eta * limit * sympy.Matrix([-read[1], read[0]]) / read.norm() * k.T / 4
        squares.append((W * W.T).trace())
    mean = controls.absolute_mean(float(squares[0]), limit, [float(eta) for eta in etas], 4.0)
    for exact, found in zip(squares, mean, strict=True):
        proof.agree("orthogonal stream, τ = 3: absolute_mean is ‖W_t‖²", found, exact)


@dataclass(frozen=True)
class Caps:
    """What capped increments are said to do.

    Attributes:
        absolute: a bound on ‖W'‖ for ‖Δ‖ ≤ κ.
        relative: a bound on ‖W'‖ for ‖Δ‖ ≤ q‖W‖.
        mean: E‖W'‖²/‖W‖² for ‖Δ‖ = q‖W‖ with E⟨W, Δ⟩ = 0.
    """

    absolute: sympy.Expr
    relative: sympy.Expr
    mean: sympy.Expr


def check_caps(asserted: Caps) -> Evidence:
    """Norm caps on Δ, in the norm that is capped."""
    a = Algebra({"W": ("m", "n"), "D": ("m", "n")})
    W, D = a("W"), a("D")
    proof = Proof()
    proof.follows("‖Δ‖ ≤ κ", [TRIANGLE, SIZE <= KAPPA], asserted.absolute >= AFTER)
    length = sympy.Symbol("‖W‖", positive=True)
    stretched = sympy.expand((asserted.absolute.subs(NORM, length) / length) ** 2)
    proof.equal("attained by Δ = κW/‖W‖: ‖W'‖²", ((1 + KAPPA / length) * W).norm_sq(), stretched * W.norm_sq())
    proof.follows("‖Δ‖ ≤ q‖W‖", [TRIANGLE, SIZE <= Q * NORM], asserted.relative >= AFTER)
    stretched = sympy.expand((asserted.relative / NORM) ** 2)
    proof.equal("attained by Δ = qW: ‖W'‖²", (W + Q * W).norm_sq(), stretched * W.norm_sq())
    cross = (W @ D.T).trace()
    change = (W + D).norm_sq()
    proof.equal("‖W+Δ‖²", change, W.norm_sq() + 2 * cross + D.norm_sq())
    mean = (change / W.norm_sq()).subs({cross: 0, D.norm_sq(): Q**2 * W.norm_sq()}, simultaneous=True)
    proof.equal("mean under an active relative cap, E⟨W, Δ⟩ = 0", sympy.cancel(mean), asserted.mean)
    prove_power_law(proof, asserted.mean)
    proof.follows("above 1", [], asserted.mean > 1)
    return proof.evidence(sympy.cancel(mean), asserted.mean)


def check_increment_controls(left: dict[str, bool]) -> Evidence:
    """Which kinds of control leave an exponential: relative ones by a witness, absolute ones by a bound for all.

    Args:
        left: control -> whether some stream under it grows exponentially.
    """
    proof = Proof()
    relative, absolute = (1 + ETA * c) ** t, R0 + t * ETA * TAU / ROOT
    prove_aligned(proof, c * S, 1 + ETA * c)
    gain = sympy.Symbol("ηc", positive=True)
    rate = sympy.limit(sympy.expand_log(sympy.log((1 + gain) ** t)) / t, t, sympy.oo)
    proof.equal(f"relative clamp: a stream with ‖W_t‖/‖W_0‖ = {relative} (T4.relative_worst); exponent", rate,
                sympy.log(1 + gain))  # fmt: skip
    proof.follows("and in the mean, orthogonal shifts: factor above 1", [c > 0, n >= 1], SHIFTED > 1)
    size, _ = prove_size(proof)
    proof.follows("absolute clamp, every stream: √s(‖W'‖ − ‖W‖) ≤ ητ", [size, SHIFT <= TAU, TRIANGLE],
                  ROOT * (AFTER - NORM) <= ETA * TAU)  # fmt: skip
    line = sympy.limit(sympy.log(R0 + t * gain) / t, t, sympy.oo)
    proof.equal(f"so ‖W_t‖ ≤ {absolute} while s ≥ s_min > 0; exponent", line, sympy.S(0))
    for name, exponential in (("relative", rate != 0), ("absolute", line != 0)):
        proof.holds(f"{name}: leaves an exponential is {exponential}, asserted {left[name]}", exponential == left[name])
    return proof.evidence("relative: yes, absolute: no", left)


def claims() -> tuple[Claim[Any], ...]:
    """Clamps and caps."""
    relative = Relative(SHIFTED, lambda eigenvalue: 1 + ETA**2 * c**2 * eigenvalue)
    caps = Caps(NORM + KAPPA, (1 + Q) * NORM, 1 + Q**2)
    return (
        Claim(
            "T4.relative_clamp", "P6", Kind.PROVED,
            "An active relative clamp, ‖δ‖ = c‖Wk‖, fixes the exponent of the mean norm, for no c > 0 removing it, "
            "provided E[δ·Wk | k, W] = 0, keys independent of the past, P(k = 0) = 0, M positive definite, M and η "
            "fixed, W_0 ≠ 0: for isotropic x = M^(1/2)k, E R_t = (1 + η²c²/n)^t R_0, R = ‖W‖²_{M⁻¹}; for μI ≤ E "
            "x̂x̂ᵀ ≤ νI each factor lies between 1 + η²c²μ and 1 + η²c²ν. A path may shrink (m = n = 1, δ = ±cWk, ηc "
            "< 1: to 0), and without the condition the mean, too: δ = −cWk.",
            check_relative, relative, replace(relative, general=lambda eigenvalue: 1 + ETA * c**2 * eigenvalue),
            "the factors are 1 + ηc²μ and 1 + ηc²ν", Verdict.CONDITIONAL,
        ),
        Claim(
            "T4.relative_worst", "P6", Kind.PROVED,
            "‖δ‖ ≤ c‖Wk‖ in any direction, M positive definite and fixed, kᵀMk > 0: ‖W_t‖ ≤ Π(1 + η_i c)‖W_0‖ in the "
            "norm of M⁻¹, and W_0 = b(Mk)ᵀ with δ = cWk at one repeated key attains it at every edit.",
            check_relative_worst, 1 + ETA * c, 1 + ETA**2 * c, "the factor is 1 + η²c",
        ),
        Claim(
            "T4.absolute_clamp", "P6", Kind.PROVED,
            "‖δ‖ ≤ τ, any keys with s = kᵀMk > 0, any direction, M positive definite and fixed: ‖W_t‖ ≤ ‖W_0‖ + "
            "Σ η_i τ/√s_i in the norm of M⁻¹, attained by W_0 = b(Mk)ᵀ with δ along Wk: no exponential while s ≥ s_min "
            "> 0. If E[δ·Wk | k, W] ≤ 0 and k fixes η: E R_t ≤ R_0 + τ² Σ E[η_i²/s_i], at most a line where E[η²/s] "
            "stays finite and bounded (E[1/s] = ∞ for Gaussian keys, n ≤ 2).",
            check_absolute, ETA, ETA**2, "an increment is at most η²τ/√s",
        ),
        Claim(
            "T4.caps", "P6", Kind.PROVED,
            "A cap ‖Δ‖ ≤ κ gives ‖W_t‖ ≤ ‖W_0‖ + tκ; a relative cap ‖Δ‖ ≤ q‖W‖ gives ‖W_t‖ ≤ (1 + q)^t ‖W_0‖, both "
            "attained by Δ along W ≠ 0; an active relative cap with E[⟨W, Δ⟩ | W] = 0 leaves E‖W_t‖² = (1 + q²)^t "
            "‖W_0‖². One norm throughout, with its inner product.",
            check_caps, caps, replace(caps, mean=1 + Q), "the mean factor of an active relative cap is 1 + q",
        ),
        Claim(
            "T4.increment_controls", "P6", Kind.PROVED,
            "P6, controls of the increment can leave the growth loop unresolved: true of relative clamps ‖δ‖ ≤ c‖Wk‖, "
            "every c > 0, M and η fixed (a stream grows at rate log(1 + ηc), R under T4.relative_clamp in the mean at "
            "log(1 + η²c²/n)); false of absolute ones ‖δ‖ ≤ τ, s ≥ s_min > 0 (no stream has a positive exponent).",
            check_increment_controls, {"relative": True, "absolute": False}, {"relative": True, "absolute": True},
            "absolute clamps leave an exponential too", Verdict.CONDITIONAL,
        ),
    )  # fmt: skip
