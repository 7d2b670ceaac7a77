"""T6's claims on what later writes leave of an answer: its mean energies, their laws, and NAS against no NAS."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import mpmath
import sympy

from theory.claim import Claim, Evidence, Kind
from theory.collapse.interference import (
    Answer,
    ValueLaw,
    crossover,
    excess_growth,
    fading,
    fixed_values,
    forgetting,
    interference,
    kept_norm,
    later,
    lifetime_gain,
    norm_growth,
    relative_shift,
    written,
)
from theory.provers.agreement import at_two_precisions
from theory.provers.moments import DIMENSION, sphere_moment
from theory.provers.prove import Proof
from theory.provers.trace_algebra import Algebra

n = DIMENSION
KEPT = sympy.Symbol("ρ", real=True)
SHIFT_SQ, ADDED, NORM, READOUT, SIGNAL = sympy.symbols("τ² α R X signal", nonnegative=True)
SHIFT, LENGTH_SQ = sympy.symbols("c a²", positive=True)
STRETCH, AGE, SCALED = sympy.symbols("r t x", positive=True)
LAW = ValueLaw(KEPT, SHIFT_SQ, ADDED)
Aging = Callable[[ValueLaw, Answer, Any], Answer]


def prove_moments(proof: Proof) -> tuple[sympy.Expr, sympy.Expr, sympy.Expr]:
    """E[k̂ᵀp p k̂], and E[‖Wk̂‖²(k̂·p)²] for a unit p, in R = ‖W‖² and X = ‖Wp‖².

    Returns:
        E k̂₁², E[pᵀWᵀWk̂ (k̂·p)] and E[‖Wk̂‖²(k̂·p)²].
    """
    second, fourth, mixed = sphere_moment(1), sphere_moment(2), sphere_moment(1, 1)
    proof.say("choose coordinates with p = e₁ and let S = WᵀW: tr S = R, S₁₁ = ‖Wp‖² = X; odd moments of k̂ vanish")
    proof.equal("E[pᵀS k̂ (k̂·p)] = Σᵢ S₁ᵢ E k̂ᵢk̂₁ = S₁₁ E k̂₁²", READOUT * second, READOUT / n)
    spread = READOUT * fourth + (NORM - READOUT) * mixed
    proof.equal("E[k̂ᵀSk̂ k̂₁²] = S₁₁E k̂₁⁴ + (tr S − S₁₁)E k̂₁²k̂₂²", spread, (NORM + 2 * READOUT) / (n * (n + 2)))
    return second, READOUT * second, spread


def check_aging(aged: Aging) -> Evidence:
    """One write's effect on R = E‖W‖², X = E‖Wp‖² and E[Wp], p = k̂_j, against the write itself."""
    a = Algebra({"W": ("m", "n"), "k": ("n", 1), "p": ("n", 1), "ξ": ("m", 1)})
    W, k, p, xi = map(a, ("W", "k", "p", "ξ"))
    s, along, read = (k.T @ k).number(), (k.T @ p).number(), (k.T @ W.T @ W @ k).number()
    asked = (KEPT - 1) * (W @ k) + xi
    after = W + asked @ k.T / s
    proof = Proof()
    proof.say("hard write, M = I, v = ρWk + ξ: W' = W + ((ρ−1)Wk + ξ)kᵀ/s; p = k̂_j, ‖p‖ = 1, is past")
    given = {(xi.T @ W @ k).number(): 0, (xi.T @ W @ p).number(): 0}
    given |= {(xi.T @ xi).number(): SHIFT_SQ * read + LENGTH_SQ}
    proof.say("given k and the past: E ξ = 0, E‖ξ‖² = τ²‖Wk‖² + a²; α = a²E[1/s], and k̂ is independent of s")
    crossed = (p.T @ W.T @ W @ k).number() * along / s
    spread_s, added_s = read * along**2 / s**2, LENGTH_SQ * along**2 / s**2
    square = sympy.expand((p.T @ after.T @ after @ p - p.T @ W.T @ W @ p).number()).subs(given, simultaneous=True)
    parts = 2 * (KEPT - 1) * crossed + ((KEPT - 1) ** 2 + SHIFT_SQ) * spread_s + added_s
    proof.equal("E[‖W'p‖² − ‖Wp‖² | k, past]", sympy.expand(square), sympy.expand(parts))
    second, mean_crossed, mean_spread = prove_moments(proof)
    readout = READOUT + 2 * (KEPT - 1) * mean_crossed + ((KEPT - 1) ** 2 + SHIFT_SQ) * mean_spread + ADDED * second
    asserted = aged(LAW, Answer(NORM, READOUT, SIGNAL), n)
    proof.equal("X' by these moments", readout, asserted.readout_sq)
    change = sympy.expand(after.norm_sq() - W.norm_sq()).subs(given, simultaneous=True)
    proof.equal("s E[‖W'‖² − ‖W‖² | k, past]", sympy.expand(change * s),
                sympy.expand((KEPT**2 + SHIFT_SQ - 1) * read + LENGTH_SQ))  # fmt: skip
    norm_sq = NORM + (KEPT**2 + SHIFT_SQ - 1) * NORM * second + ADDED
    proof.equal("R', with E[‖Wk‖²/s] = R E k̂₁²", norm_sq, asserted.norm_sq)
    proof.say("E[W'p | past] = Wp + (ρ−1)W E[k̂k̂ᵀ]p = σWp, σ = 1 + (ρ−1)E k̂₁²; by the tower rule σ^t after t writes")
    proof.equal("σ² signal", (1 + (KEPT - 1) * second) ** 2 * SIGNAL, asserted.signal_sq)
    proof.equal("σ", 1 + (KEPT - 1) * second, fading(LAW, n))
    excess = (READOUT - NORM / n) * excess_growth(LAW, n)
    proof.equal("X' − R'/n = λ₂(X − R/n)", readout - norm_sq / n, excess)
    start = written(LAW, NORM, n)
    proof.say("right after the write Wk = v: ‖Wp‖² = ‖v‖²/s, and E[ξ·Wk] = 0")
    proof.equal("E‖v‖²/s", (KEPT**2 + SHIFT_SQ) * NORM * second + ADDED, start.readout_sq)
    proof.equal("E‖ξ‖²/s", SHIFT_SQ * NORM * second + ADDED, start.signal_sq)
    proof.equal("its R", norm_sq, start.norm_sq)
    proof.say("noise: E‖W_t p − σ^t ξ/√s‖² = X_t − 2σ^t E[W_t p·ξ]/√s + σ^(2t)E‖ξ‖²/s, E[W_t p·ξ] = σ^t E[v·ξ]/√s")
    proof.equal("so it is X − signal", READOUT - 2 * SIGNAL + SIGNAL, Answer(NORM, READOUT, SIGNAL).noise_sq)
    return proof.evidence(sympy.factor(readout), asserted.readout_sq)


def check_interference(closed: Callable[[Any, Any, Any], Any]) -> Evidence:
    """The closed form of E‖W_{j+a}p − v_j/√s_j‖²/R without NAS."""
    law = relative_shift(SHIFT)
    first, second = norm_growth(law, n), excess_growth(law, n)
    powers = sympy.symbols("λ₁ᵗ λ₂ᵗ", positive=True)
    excess = sympy.Symbol("D", real=True)
    proof = Proof()
    proof.equal("σ = 1: the mean answer does not fade", fading(law, n), sympy.Integer(1))
    proof.say("so E‖W_t p − v/√s‖² = E‖W_t p‖² − E‖v‖²/s = X_t − X_0")
    now = Answer(powers[0] * NORM, powers[0] * NORM / n + powers[1] * excess, SIGNAL)
    after = later(law, now, n)
    proof.say("induction on t: R_t = λ₁ᵗR_0 and X_t = R_t/n + λ₂ᵗD, D = X_0 − R_0/n (base: t = 0)")
    proof.equal("step: R", after.norm_sq, first * powers[0] * NORM)
    proof.equal("step: X", after.readout_sq, first * powers[0] * NORM / n + second * powers[1] * excess)
    start = written(law, NORM, n)
    begin = start.readout_sq - start.norm_sq / n
    growth = (first**AGE - 1) * start.norm_sq / n + (second**AGE - 1) * begin
    proof.equal("(X_t − X_0)/R, R before the write", sympy.expand(growth / NORM), sympy.expand(closed(n, SHIFT, AGE)))
    return proof.evidence(sympy.factor(growth / NORM), closed(n, SHIFT, AGE))


def check_forgetting(left: Callable[[Any, Any], tuple[Any, Any]]) -> Evidence:
    """Signal and interference at NAS's plateau for values of fixed norm without direction."""
    law = fixed_values(ADDED)
    plateau = ADDED * n
    start = written(law, plateau, n)
    after = later(law, replace(start, signal_sq=SIGNAL), n)
    proof = Proof()
    proof.equal("written at R = αn, R stays", start.norm_sq, plateau)
    proof.equal("X is α right after the write", start.readout_sq, ADDED)
    proof.equal("all of it names the answer (v = ξ)", start.signal_sq, ADDED)
    proof.equal("one write later R is αn", after.norm_sq, plateau)
    proof.equal("X is α", after.readout_sq, ADDED)
    proof.equal("and the signal has shrunk by (1 − 1/n)²", after.signal_sq, (1 - 1 / n) ** 2 * SIGNAL)
    proof.say("induction: after t writes X = α and the signal's energy is (1 − 1/n)^(2t)α; the rest is interference")
    signal, rest = left(n, AGE)
    proof.equal("signal", (1 - 1 / n) ** (2 * AGE), signal)
    proof.equal("interference", 1 - (1 - 1 / n) ** (2 * AGE), rest)
    off = sympy.Symbol("R − αn", real=True)
    relaxed = later(law, Answer(plateau + off, READOUT, SIGNAL), n).norm_sq - plateau
    proof.equal("from any other norm the distance to the plateau shrinks by 1 − 1/n", relaxed, (1 - 1 / n) * off)
    return proof.evidence((1 - 1 / n) ** (2 * AGE), signal)


def check_lifetime(gain: Callable[[Any], Any]) -> Evidence:
    """Rates at which signal over noise decays, without NAS and for norm-keeping writes."""
    proof = Proof()
    square = STRETCH**2 - 1
    law = ValueLaw(1, square, 0)
    proof.equal("without NAS, c² = r² − 1: σ", fading(law, n), sympy.Integer(1))
    first, second = norm_growth(law, n), excess_growth(law, n)
    proof.follows("λ₁ > λ₂ ≥ 1", [STRETCH > 1, n >= 2], sympy.And(first > second, second >= 1))
    proof.say("signal constant, noise X_t − signal = λ₁ᵗR_0/n + λ₂ᵗD − signal: signal/noise decays at the rate log λ₁")
    kept = kept_norm(STRETCH)
    start = written(kept, NORM, n)
    after = later(kept, Answer(NORM, NORM / n, SIGNAL), n)
    proof.equal("norm-keeping writes: R after", start.norm_sq, NORM)
    proof.equal("X right after the write", start.readout_sq, NORM / n)
    proof.equal("X one write later", after.readout_sq, NORM / n)
    proof.equal("R one write later", after.norm_sq, NORM)
    sigma = 1 - (1 - 1 / STRETCH) / n
    proof.equal("its signal", after.signal_sq, sigma**2 * SIGNAL)
    proof.say("signal + noise = R/n for ever, signal = σ^(2t)·signal_0: signal/noise decays at the rate −2 log σ")
    proof.follows("−2 log σ < log λ₁, as σ²λ₁ > 1", [STRETCH > 1, n >= 2], sigma**2 * first > 1)
    ratio = sympy.limit(n * sympy.log(first), n, sympy.oo) / sympy.limit(-2 * n * sympy.log(sigma), n, sympy.oo)
    proof.equal("lim log λ₁/(−2 log σ)", sympy.simplify(ratio), gain(STRETCH))
    proof.follows("it is above 1", [STRETCH > 1], STRETCH * (STRETCH + 1) / 2 > 1)
    return proof.evidence(sympy.factor(ratio), gain(STRETCH))


def check_crossover(root: Callable[[float], float]) -> Evidence:
    """Norm-keeping writes have the smaller signal/noise up to one age, and the larger one after it; that age."""
    square, rate = STRETCH**2 - 1, 2 * (1 - 1 / STRETCH)
    law, kept = ValueLaw(1, square, 0), kept_norm(STRETCH)
    limit = lambda base: sympy.exp(SCALED * sympy.limit(n * sympy.log(base), n, sympy.oo))  # noqa: E731
    proof = Proof()
    proof.say("age t = xn, n → ∞; base^(xn) → exp(x lim n log base)")
    proof.equal("λ₁ᵗ", limit(norm_growth(law, n)), sympy.exp(square * SCALED))
    proof.equal("λ₂ᵗ", limit(excess_growth(law, n)), sympy.Integer(1))
    proof.equal("σ^(−2t)", 1 / limit(fading(kept, n)) ** 2, sympy.exp(rate * SCALED))
    start = written(law, NORM, n)
    excess = sympy.limit((n * start.readout_sq - start.norm_sq) / NORM, n, sympy.oo)
    proof.equal("noise/signal without NAS: (λ₁ᵗ + nD/R − c²)/c², with nD/R → c²", excess, square)
    plain = sympy.exp(square * SCALED) / square
    energy = written(kept, NORM, n).signal_sq * n / NORM
    anchored = 1 / (energy * sympy.exp(-rate * SCALED)) - 1
    proof.equal("noise/signal of norm-keeping writes", anchored, STRETCH**2 * sympy.exp(rate * SCALED) / square - 1)
    curve = sympy.exp((square - rate) * SCALED) + square * sympy.exp(-rate * SCALED) - STRETCH**2
    proof.equal("f = c²e^(−κx)(without − norm-keeping)", square * sympy.exp(-rate * SCALED) * (plain - anchored), curve)
    proof.equal("f(0)", curve.subs(SCALED, 0), sympy.Integer(0))
    proof.equal("f'(0)", sympy.diff(curve, SCALED).subs(SCALED, 0), -((STRETCH - 1) ** 2))
    bend = sympy.diff(curve, SCALED, 2)
    convex = (square - rate) ** 2 * sympy.exp((square - rate) * SCALED)
    proof.equal("f''", bend, convex + square * rate**2 * sympy.exp(-rate * SCALED))
    proof.follows("its first term and c²κ² are positive, and so is c² − κ", [STRETCH > 1],
                  sympy.And(square - rate > 0, square * rate**2 > 0))  # fmt: skip
    proof.say("f is strictly convex, 0 and falling at 0, and grows beyond every bound: one positive root, − before it")
    for stretch in (1.03, 1.25, 2.0, 4.125):
        exact = at_two_precisions(functools.partial(positive_root, stretch))
        proof.agree(f"the root at r = {stretch}", root(stretch), exact)
    return proof.evidence(f"{root(1.25):.4f} n at c = 0.75")


def positive_root(stretch: float) -> mpmath.mpf:
    """The positive root of e^(c²x) + c² = r²e^(κx), by bisection at the precision that is set."""
    r = mpmath.mpf(stretch)
    square, rate = r**2 - 1, 2 * (1 - 1 / r)
    curve = lambda x: mpmath.exp(square * x) + square - r**2 * mpmath.exp(rate * x)  # noqa: E731
    low, high = mpmath.mpf(1) / (100 * square), mpmath.mpf(100) / square
    return mpmath.findroot(
        curve, (low, high), solver="bisect", tol=mpmath.mpf(10) ** (-2 * mpmath.mp.dps), maxsteps=999
    )


def claims() -> tuple[Claim[Any], ...]:
    """What later writes leave of an answer."""
    keys = "isotropic keys, independent of the past, P(k = 0) = 0, M = I, hard writes, 0 < E‖W_0‖² < ∞"
    return (
        Claim(
            "T6.aging", "T6", Kind.PROVED,
            f"{keys[0].upper()}{keys[1:]}, v = ρWk + ξ with E[ξ | k, past] = 0, E[‖ξ‖² | k, past] = τ²‖Wk‖² + a², α = "
            "a²E[1/‖k‖²] finite (isotropic: a law without direction): for an earlier key's direction p, with R = "
            "E‖W‖²_F, X = E‖Wp‖², κ = (ρ−1)² + τ²: R' = R + (ρ²+τ²−1)R/n + α, X' = X + 2(ρ−1)X/n + κ(R+2X)/(n(n+2)) "
            "+ α/n, X' − R'/n = λ₂(X − R/n), E[W'p | past] = (1 + (ρ−1)/n)Wp.",
            check_aging, later, without_double, "X' has R + X in place of R + 2X",
        ),
        Claim(
            "T6.interference", "P1", Kind.PROVED,
            f"Without NAS ({keys}; v = Wk + δ, E[δ | k, past] = 0, E[‖δ‖² | k, past] = c²‖Wk‖²) the mean answer does "
            "not fade, and E‖W_{j+a}k_j − v_j‖²/‖k_j‖² is E‖W‖² before write j times "
            "(1 + c²/n)(λ₁^a − 1)/n + c²(n−1)(λ₂^a − 1)/n², λ₁ = 1 + c²/n, λ₂ = 1 + 2c²/(n(n+2)): it depends on the "
            "edit's age alone.",
            check_interference, interference,
            lambda n, c, age: interference(n, c, age) + c * c * (excess_growth(relative_shift(c), n)**age - 1) / n**2,
            "the second term is c²(λ₂^a − 1)/n",
        ),
        Claim(
            "T6.forgetting", "P7", Kind.PROVED,
            f"Values of fixed norm a without direction ({keys}; E[v | k, past] = 0, ‖v‖ = a, s = ‖k‖², E[1/s] < ∞), "
            "from E‖W‖² = a²n E[1/s]: the mean answer fades by the factor 1 − 1/n a write, while E‖W_t k̂_j‖², k̂ = "
            "k/‖k‖, stays a²E[1/s]; t writes later (1 − 1/n)^(2t) of it is signal and the rest interference.",
            check_forgetting, forgetting, lambda n, age: forgetting(n, age / 2), "the signal's energy is (1 − 1/n)^t",
        ),
        Claim(
            "T6.lifetime", "P8", Kind.PROVED,
            f"Norm-keeping writes v = (Wk + δ)/r ({keys}; δ as in T6.interference, r = √(1 + c²) > 1, n ≥ 2, "
            "signal: δ's part): mean signal over mean noise energy decays at the rate −2 log(1 − (1 − 1/r)/n) an edit, "
            "strictly more slowly than without NAS, log(1 + c²/n); for n → ∞ r(r+1)/2 times more slowly.",
            check_lifetime, lifetime_gain, lambda r: (r * r + 1) / 2, "(r² + 1)/2 times more slowly",
        ),
        Claim(
            "T6.crossover", "P8", Kind.COMPUTED,
            "In the setting of T6.lifetime, for n → ∞ and age xn: norm-keeping writes have the smaller ratio of "
            "signal to noise at every positive age below the one positive root of e^(c²x) + c² = r²e^(κx), κ = 2(1 − "
            "1/r), and the larger one beyond it: by this ratio they help old answers, not young ones.",
            check_crossover, crossover,
            lambda r: 2 * float(mpmath.log(r)) / (r * r - 1 - 2 * (1 - 1 / r)), "c² is left out of the equation",
        ),
    )  # fmt: skip


def without_double(law: ValueLaw, answer: Answer, n: Any) -> Answer:
    """The twin of `later`: κ(R + X) in place of κ(R + 2X)."""
    true = later(law, answer, n)
    extra = ((law.kept - 1) ** 2 + law.shift_sq) * answer.readout_sq / (n * (n + 2))
    return replace(true, readout_sq=true.readout_sq - extra)
