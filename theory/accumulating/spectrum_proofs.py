"""T3b's mean field for keys of any covariance and for batches, and the mpmath root that its checks compare with."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import mpmath
import numpy as np
import sympy
from numpy.typing import NDArray
from scipy import integrate, optimize

from theory.accumulating.mean_field import accumulating_growth, batched_growth
from theory.accumulating.spectrum import field, field_at, spectral_growth
from theory.accumulating.threshold import spectral_threshold, threshold
from theory.claim import Claim, Evidence, Kind
from theory.provers.prove import Proof
from theory.provers.trace_algebra import Algebra, inverses

ridge, s = sympy.symbols("L2 s", positive=True)
MEAN_FIELD = (
    "In the mean field (an approximation: A_t⁻¹ is replaced by its deterministic equivalent, independent of W_t, and "
    "the sum over edits by an integral)"
)


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
    proof.equal("dR/dF is the ratio of the rates", asserted.norm / asserted.readout, S1 / S2)
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


def excess_by_tau(spectrum: NDArray[np.float64], level: float, c: float, edits: float) -> float:
    """∫ c²F·S1/D dt = ∫ c²F·S1/(1+s) dτ, since dt = (1 + L2·S1) dτ; by quadrature over log τ from where t is ~0."""

    def gain(tau: float) -> float:
        return float(np.sum(spectrum / (level + tau * spectrum)))

    def slope(log_tau: float) -> float:
        tau = math.exp(log_tau)
        first = float(np.sum(spectrum / (level + tau * spectrum) ** 2))
        readout = ((1 + gain(0.0)) / (1 + gain(tau))) ** (c * c)
        return c * c * readout * first / (1 + gain(tau)) * tau

    end = math.log(optimize.brentq(lambda tau: tau * (1 + gain(tau)) - edits, 0.0, edits, xtol=1e-300, rtol=1e-14))
    return float(integrate.quad(slope, math.log(1e-9 * level), end, limit=200, epsabs=0, epsrel=1e-8)[0])


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
    for size in (1e-3, 0.5):  # a ridge whose threshold is narrower than an edit, and one whose is not
        _, excess = spectral_growth(wide, size, c, 61)
        proof.agree(f"`spectral_growth`: R's excess at L2 = {size}, by an integral over τ", excess[-1],
                    excess_by_tau(wide, size, c, 61.0), 2e-3)  # fmt: skip
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


def check_batch(held: sympy.Expr) -> Evidence:
    """‖Δ‖² of a batch: c²u‖W‖² times q of the number of keys that the subject says, t + u."""
    gains = (("T Kᵀ M K", {"": 1, "T": -1}), ("Kᵀ M K T", {"": 1, "T": -1}))
    shapes: dict[str, Any] = {"K": ("n", "u"), "T": ("u", "u"), "A": ("n", "n"), "M": ("n", "n")}
    a = Algebra(shapes, ("A", "M", "T"), (*inverses("A", "M"), *gains))
    K, T, A, M = map(a, ("K", "T", "A", "M"))
    proof = Proof()
    proof.equal("A'·(A⁻¹K T) = K, A' = A + KKᵀ: A⁻¹K T = A'⁻¹K", (A + K @ K.T) @ M @ K @ T, K)
    proof.say("so E‖Δ‖² = Σ_j E‖δ_j‖²‖A'⁻¹k_j‖² ~ c²‖W‖² E Σ_j‖A'⁻¹k_j‖², the δ_j orthogonal to each other on average")
    rules = (*inverses("A", "M"), ("K Kᵀ", {"A": 1, "": -ridge}))
    b = Algebra({"K": ("n", "t"), "A": ("n", "n"), "M": ("n", "n")}, ("A", "M"), rules)
    K, M = map(b, ("K", "M"))
    proof.equal("over all t + u keys of A' = L2·I + KKᵀ: Σ_i‖A'⁻¹k_i‖²", (M @ K).norm_sq(), (M - ridge * M @ M).trace())
    proof.say("the keys are exchangeable in A', so a batch has the share u/(t+u) of it, in the mean exactly")
    n, past, batch = sympy.symbols("n t u", positive=True)
    fixed = s * (ridge + held / (1 + s)) - n
    known = sympy.solve(fixed, n)[0]
    slope = -sympy.diff(fixed, ridge) / sympy.diff(fixed, s)  # −tr A'⁻²
    share = (s + ridge * slope) / (past + batch)
    proof.say("mean field: tr A'⁻¹ = s, tr A'⁻² = −ds/dL2, s(L2 + N/(1+s)) = n, N the keys in A'; q = −(ds/dL2)/(1+s)²")
    proof.equal("[tr A'⁻¹ − L2 tr A'⁻²]/(t+u) is q at N", share.subs(n, known), (-slope / (1 + s) ** 2).subs(n, known))
    size, level, c, u, steps = 24, 0.7, 0.75, 6, 5
    found = batched_growth(size, level, c, u, steps)[-1]
    exact = mpmath.mpf(1)
    for j in range(steps):
        exact *= 1 + c * c * u * rate_of(size, level, int(held.subs({past: j * u, batch: u})))
    proof.agree("`batched_growth` and the product of 1 + c² u q", found, exact, 1e-9)
    return proof.evidence("q of t + u keys", f"q of {held} keys")


def claims() -> tuple[Claim[Any], ...]:
    """Any covariance, and batches."""
    rates = Rates(S2 / ((1 + s) * (1 + ridge * S1)), S1 / ((1 + s) * (1 + ridge * S1)))
    past, batch = sympy.symbols("t u", positive=True)
    return (
        Claim(
            "T3b.spectrum", "T3b", Kind.PROVED,
            f"{MEAN_FIELD} of keys of any second moment Σ = E kkᵀ with eigenvalues σ: s = Σσ/(L2+τσ), t = τ(1+s); "
            "F = E‖Wk‖² obeys F_t/F_0 = ((1+s_0)/(1+s_t))^(c²) whatever Σ is, at the rate c²S2/D, and d‖W‖²/dt = "
            "c²F·S1/D, S1 = Σσ/(L2+τσ)², S2 = Σσ²/(L2+τσ)², D = (1+s)(1+L2·S1). t edits use up the dimension "
            "d = t·s/(1+s) ≤ n. Off by a few percent where many directions share E‖k‖² (S3b.spectrum), by a factor "
            "where one holds nearly all of it (S3b.spike).",
            check_spectrum, rates, Rates(rates.norm, rates.readout), "the two rates exchanged",
        ),
        Claim(
            "T3b.batch", "T3b, T2", Kind.PROVED,
            f"{MEAN_FIELD} of isotropic keys, batches of u keys, E‖δ‖² = c²‖Wk‖², shifts orthogonal to each other and "
            "to WA'⁻¹k on average: R_{t+u} = R_t(1 + c²u q_{t+u}), the rate after the batch: its own keys soften a "
            "batch. Off by a few percent (S3b.batch).",
            check_batch, past + batch, past, "the rate before the batch, q_t",
        ),
    )  # fmt: skip
