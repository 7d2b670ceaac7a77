"""T3 and T4 along one stream: exponential under relative shifts, a line under an absolute clamp, under any key law."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import sympy

from theory.claim import Claim, Evidence, Kind
from theory.controls.increments import absolute_mean
from theory.growth.key_laws import KeyLaw
from theory.growth.operator_proofs import DIRECTIONS, GAINS, float_law
from theory.growth.paths import PathBounds, path_bounds
from theory.provers.prove import Proof
from theory.provers.trace_algebra import Algebra, inverses
from theory.writes.identities import ETA

c, y, g, LIMIT = sympy.symbols("c y g τ", positive=True)
Slope = Callable[[sympy.Expr, sympy.Expr], sympy.Expr]


def prove_across(proof: Proof) -> None:
    """δ ⟂ Wk: the write adds η²‖δ‖²/s to ‖W‖²_{M⁻¹}, whatever η is."""
    square = ("n", "n")
    a = Algebra({"W": ("m", "n"), "k": ("n", 1), "δ": ("m", 1), "A": square, "M": square}, ("A", "M"),
                inverses("A", "M"))  # fmt: skip
    W, k, shift, A, M = map(a, ("W", "k", "δ", "A", "M"))
    s = (k.T @ M @ k).number()
    delta = (ETA / s) * (shift @ (M @ k).T)
    change = ((W + delta) @ A @ (W + delta).T).trace() - (W @ A @ W.T).trace()
    across = sympy.cancel(change.subs((k.T @ W.T @ shift).number(), 0))
    proof.equal("δ·Wk = 0: R' − R, R = ‖W‖²_{M⁻¹}", across, ETA**2 * (shift.T @ shift).number() / s)


def exact_extremes() -> tuple[sympy.Expr, sympy.Expr]:
    """λ_min and λ_max of B = E[η²ŷŷᵀ] for the three keys in exact numbers."""
    outer = (eta**2 * direction * direction.T for eta, direction in zip(GAINS, DIRECTIONS, strict=True))
    matrix = sum(outer, sympy.zeros(2, 2)) / len(GAINS)
    half = matrix.trace() / 2
    root = sympy.sqrt(half**2 - matrix.det())
    return half - root, half + root


def check_paths(bounds: Callable[[KeyLaw, float], PathBounds]) -> Evidence:
    """The chord below and Jensen above, and the code's bounds on three keys in exact numbers."""
    proof = Proof()
    prove_across(proof)
    proof.say("‖δ‖ = c‖Wk‖, y = M^(1/2)k, X = M^(−1/2)WᵀWM^(−1/2) = R Σ p_i x_ix_iᵀ, p ≥ 0, Σp_i = 1: R'/R is")
    proof.say("1 + η²c² Σ p_i (x_i·ŷ)² ≥ 1: R never falls")
    f = sympy.log(1 + g * y)
    proof.equal("f(y) = log(1 + gy), g = η²c²: f''", sympy.diff(f, y, 2), -(g**2) / (1 + g * y) ** 2)
    proof.equal("f(0)", f.subs(y, 0), sympy.S(0))
    proof.say("f is concave with f(0) = 0, so f(y) ≥ y f(1) on [0, 1], where Σ p_i(x_i·ŷ)² lies:")
    proof.say("E[log(R'/R) | W] ≥ Σ p_i x_iᵀ E[log(1 + η²c²) ŷŷᵀ] x_i ≥ λ_min(E[log(1 + η²c²) ŷŷᵀ]) =: γ")
    proof.say(
        "γ > 0 if E[η²ŷŷᵀ] is positive definite: log(1 + η²c²) = 0 only where η = 0, so its form vanishes on no x"
    )
    share = sympy.Symbol("η²", positive=True)
    chord = sympy.log(1 + share * c**2)
    proof.equal("the same chord in η² ≤ 1: d²/d(η²)² log(1 + η²c²)", sympy.diff(chord, share, 2),
                -(c**4) / (1 + share * c**2) ** 2)  # fmt: skip
    proof.say("so for η in (0, 1] γ ≥ log(1 + c²) λ_min(B), B = E[η²ŷŷᵀ]; above, Jensen: log(1 + c² tr(XB)/R)")
    proof.say("log R_t − log R_0 minus the sum of its conditional means is a martingale, its steps have second moments")
    size = sympy.Symbol("√x", positive=True)
    slope = sympy.together(sympy.diff(size - sympy.log(1 + size**2), size))
    proof.equal("d(√x − log(1 + x))/d√x", slope, (1 - size) ** 2 / (1 + size**2))
    proof.say("which is ≥ 0, so log²(1 + x) ≤ x: at most E[log²(1 + η²c²)] ≤ c²E η². By the martingales' law of large")
    proof.say("numbers (Chow) it is o(t), and (1/t) log R_t has its limits between γ and log(1 + c²λ_max(B))")
    least, most = exact_extremes()
    found = bounds(float_law((0, 1, 2)), 1.5)
    square = sympy.Rational(9, 4)
    proof.agree("three keys, c = 1.5: the lower bound", found.low, sympy.N(least * sympy.log(1 + square), 25))
    proof.agree("and the upper", found.high, sympy.N(sympy.log(1 + square * most), 25))
    for angle in np.arange(0, math.pi, math.pi / 8):
        x = np.array([math.cos(angle), math.sin(angle)])
        logs = [math.log1p((1.5 * float(eta) * float(x @ np.array(v, dtype=float).ravel())) ** 2)
                for eta, v in zip(GAINS, DIRECTIONS, strict=True)]  # fmt: skip
        mean = sum(logs) / 3
        proof.holds(f"a weight of one row at the angle {angle:.2f}: {found.low:.4f} ≤ {mean:.4f} ≤ {found.high:.4f}",
                    found.low <= mean <= found.high)  # fmt: skip
    return proof.evidence("λ_min(B) log(1 + c²) ≤ γ", "the bounds in numbers")


def without_excitation(law: KeyLaw, ratio: float) -> PathBounds:
    """The twin: the lower bound of isotropic keys, tr B/n for λ_min(B)."""
    found = path_bounds(law, ratio)
    mean = float(np.mean([float(eta) ** 2 for eta in GAINS])) / 2
    return found._replace(low=mean * math.log1p(ratio**2))


def check_decayed(bounds: Callable[[KeyLaw, float, float], PathBounds]) -> Evidence:
    """W' = (1 − w)W + Δ: T3.paths at c/(1 − w), and the code's bounds on three keys."""
    proof = Proof()
    prove_across(proof)
    w = sympy.Symbol("w", positive=True)
    left, added = (1 - w) ** 2, ETA**2 * c**2 * y
    proof.say("δ is solved at W, before it decays: R'/R = (1 − w)² + η²c² Σ p_i (x_i·ŷ)², as ⟨(1 − w)W, Δ⟩ = 0 too")
    proof.equal("which is (1 − w)² times the factor of T3.paths at c/(1 − w)", left + added,
                sympy.simplify(left * (1 + added.subs(c, c / (1 - w)))))  # fmt: skip
    proof.say("log R'/R is at least 2 log(1 − w) and has second moments: the rest is T3.paths'")
    law, decay = float_law((0, 1, 2)), sympy.Rational(1, 5)
    found = bounds(law, 1.5, float(decay))
    square = (sympy.Rational(3, 2) / (1 - decay)) ** 2
    (least, most), base = exact_extremes(), 2 * sympy.log(1 - decay)
    proof.agree("three keys, c = 1.5, w = 1/5: the lower bound", found.low,
                sympy.N(base + least * sympy.log(1 + square), 25))  # fmt: skip
    proof.agree("and the upper", found.high, sympy.N(base + sympy.log(1 + square * most), 25))
    proof.agree("the upper is log((1 − w)² + c²λ_max(B))", found.high,
                sympy.N(sympy.log((1 - decay) ** 2 + sympy.Rational(9, 4) * most), 25))  # fmt: skip
    return proof.evidence("2 log(1 − w) + the bounds at c/(1 − w)", "the bounds in numbers")


def decayed_after(law: KeyLaw, ratio: float, decay: float) -> PathBounds:
    """The twin: the decay of (1 − w)(W + Δ), which shrinks the write as well."""
    found, left = path_bounds(law, ratio), 2 * math.log1p(-decay)
    return PathBounds(left + found.low, left + found.high)


def check_clamped(slope: Slope) -> Evidence:
    """R_t/t under ‖δ‖ = min(c‖Wk‖, τ): squeezed between two laws of large numbers."""
    proof = Proof()
    prove_across(proof)
    s, square = sympy.symbols("s ‖Wk‖²", positive=True)
    bound = slope(ETA**2, s)
    proof.follows("‖δ‖ ≤ τ: a write adds at most the slope's term, whatever W is",
                  [square * c**2 <= LIMIT**2], bound >= ETA**2 * c**2 * square / s)  # fmt: skip
    proof.equal("and exactly that where c‖Wk‖ ≥ τ", ETA**2 * LIMIT**2 / s, bound)
    proof.say("above: R_t ≤ R_0 + Σ τ²η²/s, independent terms of one law: lim sup R_t/t ≤ τ²E[η²/s]")
    proof.say(
        "R never falls. On paths where it stayed bounded the writes' terms would have a finite sum, and, cut at 1,"
    )
    proof.say("their conditional means too (Lévy): but each is at least the minimum over X ≥ 0, tr X = R_0, of")
    proof.say("E min(1, η²τ²/s, η²c²ŷᵀXŷ), > 0 by compactness, as ŷ lies in no hyperplane almost surely: R_t → ∞")
    proof.say(
        "below: X has an eigenvalue ≥ R/r, r = min(m, n), with unit x: ‖Wk‖² ≥ (R/r)(x·y)², so a write falls short"
    )
    proof.say(
        "of ξ = τ²η²/s only where |x·y| < ε, ε² = rτ²/(c²R) → 0, and by no more than K·1{|x·y| < ε} + ξ·1{ξ > K}:"
    )
    proof.say(
        "in the mean over time at most K sup_x P(|x·y| < ε) + E[ξ; ξ > K] (bounded martingale; independent terms);"
    )
    proof.say("sup_x P(|x·y| < ε) → 0 as ε → 0, as no hyperplane has mass (Dini on the sphere); then K → ∞")
    etas, sizes = [sympy.Rational(1, 2), sympy.S(1)], [sympy.S(2), sympy.S(4)]
    exact = sum((slope(eta**2, size).subs(LIMIT, 3) for eta, size in zip(etas, sizes, strict=True)), sympy.S(0))
    course = absolute_mean(0.0, 3.0, [float(eta) for eta in etas], [float(size) for size in sizes])
    proof.agree("the code's line after two edits, τ = 3, (η, s) = (1/2, 2), (1, 4)", float(course[-1]), exact)
    return proof.evidence("R_t/t → τ²E[η²/s]", bound)


def claims() -> tuple[Claim[Any], ...]:
    """Three regimes that hold on almost every path."""
    return (
        Claim(
            "T3.paths", "P2, T3", Kind.PROVED,
            "Keys of one law, independent of the past, P(k = 0) = 0, M fixed and positive definite, η ≠ 0 fixed by k, "
            "E η² finite, always δ·Wk = 0 and ‖δ‖ = c‖Wk‖, c > 0, W_0 ≠ 0: R = ‖W‖²_{M⁻¹} never falls, and almost "
            "surely λ_min(E[log(1 + η²c²) ŷŷᵀ]) ≤ lim inf (1/t) log R_t ≤ lim sup (1/t) log R_t ≤ log(1 + c²λ_max(B)), "
            "ŷ = M^(1/2)k/√s, B = E[η²ŷŷᵀ]; for η in (0, 1] the lower end is at least λ_min(B) log(1 + c²). So growth "
            "is exponential on almost every path, under every law and metric with B positive definite: the excitation "
            "that lets an anchor contract (T5.contraction).",
            check_paths, path_bounds, without_excitation,
            "the lower bound is tr B/n · log(1 + c²), as if keys were isotropic",
        ),
        Claim(
            "T4.clamped_paths", "P6, T4", Kind.PROVED,
            "Keys of one law without mass on any hyperplane through 0, independent of the past, M fixed and positive "
            "definite, η > 0 fixed by k, E[η²/s] finite, always δ·Wk = 0 and ‖δ‖ = min(c‖Wk‖, τ), c, τ > 0, W_0 ≠ 0: "
            "R_t/t → τ²E[η²/s] almost surely, R = ‖W‖²_{M⁻¹}: exactly the power 1, with a slope that neither c nor W_0 "
            "enters.",
            check_clamped, lambda square, size: square * LIMIT**2 / size,
            lambda square, size: sympy.sqrt(square) * LIMIT**2 / size, "the slope is τ²E[η/s]",
        ),
        Claim(
            "T4.decayed_paths", "P6, T4", Kind.PROVED,
            "Decay before each write, W' = (1 − w)W + Δ, 0 ≤ w < 1, under T3.paths with η in (0, 1]: almost surely "
            "2 log(1 − w) + λ_min(B) log(1 + c²/(1 − w)²) ≤ lim inf (1/t) log R_t ≤ lim sup (1/t) log R_t ≤ "
            "log((1 − w)² + c²λ_max(B)): the norm shrinks exponentially on almost every path if that is below 0.",
            check_decayed, path_bounds, decayed_after,
            "2 log(1 − w) plus the bounds at c, as if the write decayed too",
        ),
    )  # fmt: skip
