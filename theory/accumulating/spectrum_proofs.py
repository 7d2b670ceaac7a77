"""T3b's mean field for keys of any covariance and for batches, and the mpmath root that its checks compare with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import mpmath
import numpy as np
import sympy

from theory.accumulating.mean_field import accumulating_growth, batched_growth
from theory.accumulating.spectrum import field, field_at, spectral_growth
from theory.accumulating.threshold import spectral_threshold, threshold
from theory.claim import Claim, Evidence, Kind
from theory.provers.prove import Proof
from theory.provers.trace_algebra import Algebra, inverses

ridge, s = sympy.symbols("L2 s", positive=True)
MEAN_FIELD = "In the mean field (an approximation: kᵀA_t⁻¹k of a fresh key is replaced by s_t)"


def root_of(size: int, level: Any, edits: Any) -> Any:
    """s by mpmath, as the crossing of the fixed point s·(L2 + t/(1 + s)) = n and not by the quadratic's formula."""
    with mpmath.workdps(50):
        start = (mpmath.mpf(0), mpmath.mpf(size) / level * 2)
        return mpmath.findroot(
            lambda x: x * (level + edits / (1 + x)) - size, start, solver="illinois", tol=1e-70, maxsteps=200
        )


def rate_of(size: int, level: float, edits: Any) -> Any:
    """q_t by mpmath: −(ds/dL2)/(1 + s)², a central difference of the root."""
    with mpmath.workdps(50):
        step = mpmath.mpf(10) ** -14
        slope = (root_of(size, level + step, edits) - root_of(size, level - step, edits)) / (2 * step)
        return -slope / (1 + root_of(size, level, edits)) ** 2


@dataclass(frozen=True)
class Rates:
    """The rates of a field with any spectrum, in s, S1 = Σσ/(L2+τσ)², S2 = Σσ²/(L2+τσ)² and L2.

    Attributes:
        readout: d log E‖Wk‖²/dt over c².
        norm: d‖W‖²/dt over c²E‖Wk‖².
    """

    readout: sympy.Expr
    norm: sympy.Expr


S1, S2, TAU = sympy.symbols("S1 S2 τ", positive=True)


def check_spectrum(asserted: Rates) -> Evidence:
    """Both rates from the one function φ(L2, τ) = Σσ/(L2+τσ), s = φ(L2, x + t/(1+s))."""
    a = Algebra({"k": ("n", 1), "A": ("n", "n"), "M": ("n", "n"), "Σ": ("n", "n")}, ("A", "M", "Σ"), inverses("A", "M"))
    k, M, cov = map(a, ("k", "M", "Σ"))
    gain = (k.T @ M @ k).number()
    proof = Proof()
    fall = (cov @ M).trace() - (cov @ (M - M @ k @ k.T @ M / (1 + gain))).trace()
    proof.equal("on every path tr(ΣA⁻¹) falls by kᵀA⁻¹ΣA⁻¹k/(1+s)", fall, (k.T @ M @ cov @ M @ k).number() / (1 + gain))
    proof.say("E‖W'k'‖² − E‖Wk'‖² of a fresh k' = E‖δ‖² kᵀA⁻¹ΣA⁻¹k/(1+s)²: c²F times (the fall of tr(ΣA⁻¹))/(1+s)")
    sigma = sympy.symbols("σ1 σ2", positive=True)
    phi = sum(x / (ridge + TAU * x) for x in sigma)
    sums = {S1: sum(x / (ridge + TAU * x) ** 2 for x in sigma), S2: sum((x / (ridge + TAU * x)) ** 2 for x in sigma)}
    proof.equal("∂φ/∂L2", sympy.diff(phi, ridge), -sums[S1])
    proof.equal("∂φ/∂τ", sympy.diff(phi, TAU), -sums[S2])
    proof.equal("L2·S1 + τ·S2 = s", ridge * sums[S1] + TAU * sums[S2], phi)
    edits = TAU * (1 + s)
    held = 1 - S2 * edits / (1 + s) ** 2  # 1 − ∂φ/∂τ · ∂τ/∂s
    by_edits, by_level, by_shift = -S2 / (1 + s) / held, -S1 / held, -S2 / held
    tied = {TAU: (s - ridge * S1) / S2}
    proof.equal("F's rate: −d log(1+s)/dt", (-by_edits / (1 + s)).subs(tied), asserted.readout)
    proof.equal(
        "the same by tr(ΣA⁻¹ΣA⁻¹)/(1+s)², −ds/dx in A + xΣ", (-by_shift / (1 + s) ** 2).subs(tied), asserted.readout
    )
    proof.equal(
        "the norm's rate: tr(ΣA⁻²)/(1+s)² = −(ds/dL2)/(1+s)²", (-by_level / (1 + s) ** 2).subs(tied), asserted.norm
    )
    proof.say("so F_t/F_0 = ((1 + s_0)/(1 + s_t))^(c²) whatever Σ is, F = E‖Wk‖²")
    spectrum, level, tau = (0.5, 2.0, 4.0), 0.8, 1.7
    mean_gain = sum(x / (level + tau * x) for x in spectrum)
    sums_at = {
        S1: sum(x / (level + tau * x) ** 2 for x in spectrum),
        S2: sum((x / (level + tau * x)) ** 2 for x in spectrum),
    }
    found = field(spectrum, level, tau)
    proof.agree("`field`: s", float(found.gain), mean_gain)
    proof.agree("`field`: t = τ(1+s)", float(found.edits), tau * (1 + mean_gain))
    proof.agree("`field`: d = t·s/(1+s)", float(found.dimension), float(found.edits) * mean_gain / (1 + mean_gain))
    numbers = {**sums_at, s: mean_gain, ridge: level}
    proof.agree("`field`: F's rate", float(found.readout_rate), asserted.readout.subs(numbers))
    proof.agree("`field`: the norm's rate", float(found.norm_rate), asserted.norm.subs(numbers))
    prove_spectral_floats(proof, list(spectrum), level, tau, found)
    return proof.evidence("S2/D, S1/D, D = (1+s)(1+L2·S1)", asserted)


def prove_spectral_floats(proof: Proof, spectrum: list[float], level: float, tau: float, found: Any) -> None:
    """`field_at`, `spectral_growth`, `spectral_threshold` and `threshold` by other routes."""
    back = field_at(spectrum, level, [0.0, float(found.edits)])
    proof.agree("`field_at` finds τ again: s", back.gain[1], float(found.gain), 1e-11)
    proof.agree("`field_at` at t = 0: tr Σ/L2", back.gain[0], sum(spectrum) / level)
    c, steps = 0.75, 40
    readout, excess = spectral_growth([1.0] * 400, 5.0, c, steps)
    law = accumulating_growth(400, 5.0, c, steps)
    proof.agree("`spectral_growth`, equal eigenvalues: F is `accumulating_growth`", readout[-1], law[-1], 1e-10)
    proof.agree("and so is 1 + its R", 1 + excess[-1], law[-1], 1e-6)
    wide = np.repeat([0.3, 2.0], 30)
    taus = np.linspace(0.0, 30.0, 200_001)
    seen = field(wide, 0.5, taus)
    most = int(seen.readout_rate.argmax())
    place, used = spectral_threshold(wide, 0.5)
    proof.agree("`spectral_threshold` is the argmax of the rate: t*", place, seen.edits[most], 1e-3)
    proof.agree("its dimension", used, seen.dimension[most], 1e-3)
    # Keys along the axes in turn: their second moment and their halves' are the spectrum itself.
    keys = np.repeat(np.diag(np.sqrt(60 * wide)), 8, axis=0)
    sampled = threshold(keys, 0.5)
    proof.agree("`threshold` of keys with that second moment", sampled.edits, place, 1e-6)
    proof.holds("it is resolved, both halves agree, and all directions are counted",
                sampled.resolved and abs(sampled.high - sampled.low) < 1e-6 * place and sampled.rank == 60)  # fmt: skip
    few = threshold(np.repeat(keys[::16], 2, axis=0), 1e-6)
    proof.holds("30 directions seen by 60 keys do not resolve theirs", not few.resolved and few.high == float("inf"))


def check_batch(shift: int) -> Evidence:
    """‖Δ‖² of a batch: each key's share is that of a single key at t + u·shift, shift = 1."""
    gains = (("T Kᵀ M K", {"": 1, "T": -1}), ("Kᵀ M K T", {"": 1, "T": -1}))
    shapes: dict[str, Any] = {"K": ("n", "u"), "T": ("u", "u"), "A": ("n", "n"), "M": ("n", "n")}
    a = Algebra(shapes, ("A", "M", "T"), (*inverses("A", "M"), *gains))
    K, T, A, M = map(a, ("K", "T", "A", "M"))
    proof = Proof()
    proof.equal("A'·(A⁻¹K T) = K, A' = A + KKᵀ: A⁻¹K T = A'⁻¹K", (A + K @ K.T) @ M @ K @ T, K)
    b = Algebra({"k": ("n", 1), "A": ("n", "n"), "M": ("n", "n")}, ("A", "M"), inverses("A", "M"))
    k, rest, M = map(b, ("k", "A", "M"))
    gain = (k.T @ M @ k).number()
    proof.equal(
        "A' = A_− + kkᵀ, one key k of the batch apart: A'·A_−⁻¹k/(1+s_−) = k", (rest + k @ k.T) @ M @ k / (1 + gain), k
    )
    proof.say("so E‖Δ‖² = Σ_j E‖δ_j‖²‖A_−⁻¹k_j‖²/(1+s_−)², the δ_j orthogonal to each other and to WA'⁻¹k_j on average")
    proof.say("A_− holds t + u − 1 keys, t + u up to O(1/n): each term is c²‖W‖² q_{t+u}")
    size, level, c, u, steps = 24, 0.7, 0.75, 6, 5
    found = batched_growth(size, level, c, u, steps)[-1]
    exact = mpmath.mpf(1)
    for j in range(1, steps + 1):
        at = mpmath.mpf(u) * (j - 1 + shift)
        exact *= 1 + c * c * u * rate_of(size, level, at)
    proof.agree("`batched_growth` and the product of 1 + c² u q_{t+u}", found, exact, 1e-9)
    return proof.evidence("q_{t+u}", f"q_{{t+{shift}u}}")


def claims() -> tuple[Claim[Any], ...]:
    """Any covariance, and batches."""
    rates = Rates(S2 / ((1 + s) * (1 + ridge * S1)), S1 / ((1 + s) * (1 + ridge * S1)))
    return (
        Claim(
            "T3b.spectrum", "T3b", Kind.PROVED,
            f"{MEAN_FIELD} of keys of any covariance Σ with eigenvalues σ: s = Σσ/(L2+τσ), t = τ(1+s); F = E‖Wk‖² "
            "obeys F_t/F_0 = ((1+s_0)/(1+s_t))^(c²) whatever Σ is, at the rate c²S2/D, and d‖W‖²/dt = c²F·S1/D, "
            "S1 = Σσ/(L2+τσ)², S2 = Σσ²/(L2+τσ)², D = (1+s)(1+L2·S1). t edits use up the dimension d = t·s/(1+s) ≤ n.",
            check_spectrum, rates, Rates(rates.norm, rates.readout), "the two rates exchanged",
        ),
        Claim(
            "T3b.batch", "T3b, T2", Kind.PROVED,
            f"{MEAN_FIELD} of isotropic keys, batches of u keys with shifts orthogonal to each other and to WA'⁻¹k on "
            "average: R_{t+u} = R_t(1 + c²u q_{t+u}), the rate after the batch: a batch is softened by its own keys.",
            check_batch, 1, 0, "the rate before the batch, q_t",
        ),
    )  # fmt: skip
