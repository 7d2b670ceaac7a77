"""T5 without excitation, and with excitation that is measured: read-outs, relaxation by direction, intervals of μ."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import mpmath
import numpy as np
import sympy

from theory.anchoring.excitation import (
    Excitation,
    bernoulli_divergence,
    chernoff_high,
    chernoff_low,
    excitation,
    frame_norm,
    plateau_interval,
)
from theory.anchoring.norm_proofs import CHANGE, GRAM, LENGTH
from theory.claim import Claim, Evidence, Kind
from theory.provers.prove import Proof
from theory.provers.trace_algebra import Algebra
from theory.writes.identities import ETA, HARD, READ_SQ, VALUE_SQ, S

SUM_WEIGHTS, SUM_READS, FIRST, LAST = sympy.symbols("Σw Σw‖Wk‖² R_0 R_t", nonnegative=True)


@dataclass(frozen=True)
class Readout:
    """What the read-outs at the edited keys are said to obey; w = η/s.

    Attributes:
        decay: the factor d of the bound [η a² − d‖Wk‖²]/s on one change.
        bound: on Σ w‖Wk‖² after t edits.
    """

    decay: sympy.Expr
    bound: sympy.Expr


def check_average_readout(asserted: Readout) -> Evidence:
    """T1's changes summed: what the norm took in, it gave back or still holds."""
    proof = Proof()
    proof.follows("one edit, any direction of v", GRAM, (ETA * LENGTH - asserted.decay * READ_SQ) / S >= CHANGE)
    proof.say("w = η/s; summed over edits 0..t−1: R_t − R_0 ≤ a² Σ w − Σ w‖Wk‖², whatever the keys are")
    given = [LAST - FIRST <= LENGTH * SUM_WEIGHTS - SUM_READS]
    proof.follows("R_t ≥ 0, so Σ w‖Wk‖²", given, asserted.bound >= SUM_READS)
    total = sympy.Symbol("Σw", positive=True)
    proof.equal("the weighted mean is at most", asserted.bound.subs(SUM_WEIGHTS, total) / total, LENGTH + FIRST / total)
    proof.equal("as Σw → ∞", sympy.limit(LENGTH + FIRST / total, total, sympy.oo), LENGTH)
    proof.equal("hard writes: T1 is an equality", HARD.subs(VALUE_SQ, LENGTH), (LENGTH - READ_SQ) / S)
    proof.say("so there Σ w‖Wk‖² = a²Σw + R_0 − R_t: the mean tends to a² if and only if R_t/Σw → 0")
    return proof.evidence("a² + R_0/Σw", asserted)


def check_spectrum(power: int) -> Evidence:
    """The mean weight in every direction, and the mean norm of keys on n axes, under hard undirected writes."""
    a = Algebra({"Y": ("m", "n"), "x": ("n", 1), "v": ("m", 1)})
    Y, x, v = a("Y"), a("x"), a("v")
    size = (x.T @ x).number()
    after = Y + (v - Y @ x) @ x.T / size
    proof = Proof()
    proof.say("Y = W M^(−1/2), x = M^(1/2)k, x̂ = x/‖x‖, E x̂x̂ᵀ = Q = Σ μ_i q_i q_iᵀ")
    proof.equal("Y'", after, Y @ (a.eye("n") - x @ x.T / size) + v @ x.T / size)
    proof.say(
        "E[v | k, W] = 0 and keys independent of the past: E Y' = E Y (I − Q), so E Y_t q_i = (1 − μ_i)^t Y_0 q_i"
    )
    rate, ceiling, first, t = sympy.symbols("μ c S_0 t", positive=True)
    law = ceiling + (1 - rate) ** t * (first - ceiling)
    proof.say("keys on axes, x̂ = ±q_i with probability μ_i: only column i of Y changes, and it becomes v/‖x‖:")
    e = Algebra({"Y": ("m", "n"), "x": ("n", 1), "z": ("n", 1), "v": ("m", 1)}, rules=())
    Y, x, z, v = map(e, ("Y", "x", "z", "v"))
    size = (x.T @ x).number()
    after = Y + (v - Y @ x) @ x.T / size
    proof.equal("‖Y'x̂‖² on the key's axis", sympy.cancel(((after @ x).T @ (after @ x)).number() / size),
                (v.T @ v).number() / size)  # fmt: skip
    other = z - x @ (x.T @ z) / size
    proof.equal("Y' on what is orthogonal to it", after @ other, Y @ other)
    mean = rate * ceiling + (1 - rate) ** power * law
    proof.equal("so S_i = E‖Yq_i‖², c_i = a²E_i[1/s], any directions of v: (1−μ)S + μc", mean, law.subs(t, t + 1))
    proof.equal("base", law.subs(t, 0), first)
    proof.equal(
        "the limit c_i does not depend on μ_i > 0: law at x = (1−μ)^t → 0", law.subs((1 - rate) ** t, 0), ceiling
    )
    rates, ends = (0.5, 0.3, 0.15, 0.05), (2.0, 1.0, 4.0, 0.5)
    path = [sympy.Rational(1), sympy.Rational(2), sympy.Rational(0), sympy.Rational(7)]
    for step in range(13):
        found = float(frame_norm(rates, ends, (1.0, 2.0, 0.0, 7.0), 12)[step])
        proof.agree(f"frame_norm after {step} edits, against the recursion", found, sum(path))
        path = [(1 - sympy.Rational(str(m))) ** power * x + sympy.Rational(str(m)) * sympy.Rational(str(c))
                for m, c, x in zip(rates, ends, path, strict=True)]  # fmt: skip
    return proof.evidence("each direction in 1/μ_i edits", f"(1 − μ)^{power}")


def check_bias(sign: int) -> Evidence:
    """E λ_min(sample) ≤ μ: concavity, and an exact sample law."""
    proof = Proof()
    proof.say("q the bottom eigenvector of E A: λ_min(Ā) ≤ qᵀĀq for every sample, and E qᵀĀq = qᵀ(E A)q = μ")
    proof.say("1/x is convex: E[1/λ_min(Ā)] ≥ 1/E λ_min(Ā) ≥ 1/μ (Jensen)")
    proof.say("keys on two axes with probabilities p, 1 − p, N draws: λ_min(Ā) = min(j, N − j)/N, j ~ Bin(N, p)")
    for p, count in ((sympy.Rational(1, 2), 4), (sympy.Rational(1, 3), 5), (sympy.Rational(1, 10), 12)):
        mean = sum(sympy.binomial(count, j) * p**j * (1 - p) ** (count - j) * sympy.Rational(min(j, count - j), count)
                   for j in range(count + 1))  # fmt: skip
        proof.holds(f"p = {p}, N = {count}: E λ_min = {mean} against μ = {p}", sign * (p - mean) > 0)
    short = np.array([[1.0, 0.5], [2.0, 1.5], [0.5, -1.0]])
    proof.holds("N = 2 < n = 3: the sample has μ = 0 and low = 0", excitation(short)[:2] == (0.0, 0.0))
    return proof.evidence("E λ_min ≤ μ", "E λ_min < μ" if sign > 0 else "E λ_min > μ")


def check_chernoff(exponent: Callable[[Any, Any], Any]) -> Evidence:
    """The exponent of P(mean ≥ x) for numbers in [0, 1] of mean μ, by the exponential moment and its best θ."""
    p, q, r, w = sympy.symbols("p q r w", positive=True)
    x, mu = p / (p + q), r / (r + w)
    proof = Proof()
    proof.say("e^(θX) ≤ 1 − X + X e^θ on [0, 1]: a convex function lies below its chord; so E e^(θX) ≤ 1 − μ + μe^θ")
    proof.say("Markov: P(mean of N ≥ x) ≤ exp(−N[θx − log(1 − μ + μe^θ)]) for θ ≥ 0; x = p/(p+q), μ = r/(r+w)")
    tilt = x * (1 - mu) / (mu * (1 - x))
    proof.follows("θ = log(x(1−μ)/(μ(1−x))) ≥ 0 for x ≥ μ", [x >= mu], sympy.cancel(tilt) >= 1)
    proof.equal("1 − μ + μe^θ there", sympy.cancel(1 - mu + mu * tilt), sympy.cancel((1 - mu) / (1 - x)))
    logs = sympy.expand_log(x * sympy.log(sympy.factor(sympy.cancel(tilt)))
                            - sympy.log(sympy.factor(sympy.cancel((1 - mu) / (1 - x)))), force=True)  # fmt: skip
    asserted = sympy.expand_log(exponent(x, mu), force=True)
    proof.equal("the exponent", sympy.simplify(logs), sympy.simplify(asserted))
    proof.say(
        "λ_min(Ā) ≤ qᵀĀq, a mean of N independent numbers η(x̂·q)² in [0, 1] with expectation μ: no dimension enters,"
    )
    proof.say("and P(low > μ) ≤ P(N KL(qᵀĀq‖μ) > log(1/risk), qᵀĀq > μ) ≤ risk, KL(·‖μ) rising above μ")
    proof.say(
        "high: given the first half, b is fixed; bᵀ(E A)b ≥ μ, and the second half's mean bounds it from below alike;"
    )
    proof.say("n μ ≤ tr E A = E η ≤ 1 (T5.soft), so 1/n bounds μ too")
    return proof.evidence("KL(x‖μ)", asserted)


Limits = tuple[Callable[[float, int, float], float], Callable[[float, int, float], float]]


def check_excitation_numbers(limits: Limits) -> Evidence:
    """The limits solve N KL = log(1/risk); the interval's exact coverage on two axes; the interval of the plateau."""
    low, high = limits
    proof = Proof()
    for mean, count, risk in ((0.02, 400, 0.025), (0.3, 50, 0.01), (0.9, 20, 0.1)):
        for name, limit in (("low", low(mean, count, risk)), ("high", high(mean, count, risk))):
            with mpmath.workdps(30):
                x, y = mpmath.mpf(mean), mpmath.mpf(limit)
                spent = count * (x * mpmath.log(x / y) + (1 - x) * mpmath.log((1 - x) / (1 - y)))
            proof.agree(f"x = {mean}, N = {count}: N KL(x‖{name}) = log(1/{risk})", spent, -mpmath.log(risk), 1e-10)
            proof.holds(f"{name} lies on its side of the mean", (limit < mean) == (name == "low"))
    proof.agree("KL(0‖y) = −log(1 − y) at y = 3/10", bernoulli_divergence(0.0, 0.3), -mpmath.log(1 - mpmath.mpf(0.3)))
    proof.holds("a limit below every float is 0: x = 1e-6, N = 100", low(1e-6, 100, 0.05) == 0.0)
    for p, count in ((0.5, 30), (0.1, 40)):
        missed = misses(p, count)
        proof.holds(f"two axes, p = {p}, N = {count}: exact probability of a miss {missed} ≤ 0.05", 0 < missed <= 0.05)
    measured = excitation(np.array([[1.0, 0.0], [0.0, 2.0]])[:, [0, 0, 0, 1] * 100], shares=0.5, confidence=0.9)
    proof.agree("three keys in four on axis 1, η = 1/2: λ_min", measured.mu, sympy.Rational(1, 8))
    proof.agree("its low", measured.low, chernoff_low(0.125, 400, 0.05), 1e-9)
    proof.agree("its high, from the second half", measured.high, chernoff_high(0.125, 200, 0.05), 1e-9)
    turned = excitation(np.array([[2.0, 0.0], [0.0, 1.0]])[:, [0, 1] * 9], metric=[[1.0, 0.5], [0.5, 1.0]])
    proof.agree("two keys in the metric (1, ½; ½, 1), at 60°: λ_min = (1 − cos 60°)/2", turned.mu, sympy.Rational(1, 4))
    least = excitation(np.eye(2))
    proof.agree("N = n = 2, a key on each axis: λ_min", least.mu, sympy.Rational(1, 2))
    proof.agree("whose high is 1/n", least.high, sympy.Rational(1, 2))
    bounds = plateau_interval(Excitation(0.1, 0.05, 0.125, 9, 4), 3.0, 2.0)
    for found, exact in zip(bounds, (144, 360), strict=True):
        proof.agree("a plateau's limit", found, exact)
    proof.holds("without a lower limit of μ there is no upper one", math.isinf(
        plateau_interval(Excitation(0.0, 0.0, 0.1, 2, 4), 1.0, 1.0)[1]))  # fmt: skip
    return proof.evidence("the limits", "N KL = log(1/risk)")


def misses(p: float, count: int) -> float:
    """The probability that the 95 % interval of keys on two axes misses μ = min(p, 1 − p), over all samples."""
    half, mu, total = count // 2, min(p, 1 - p), 0.0
    weigh = [math.comb(half, j) * p**j * (1 - p) ** (half - j) for j in range(half + 1)]
    for first in range(half + 1):
        for second in range(half + 1):
            counts = [0] * first + [1] * (half - first) + [0] * second + [1] * (half - second)
            found = excitation(np.eye(2)[:, counts])
            total += weigh[first] * weigh[second] * (not found.low <= mu <= found.high)
    return total


def claims() -> tuple[Claim[Any], ...]:
    """Read-outs without excitation, relaxation by direction, and what a sample of keys says of μ."""
    readout = Readout(ETA, FIRST + LENGTH * SUM_WEIGHTS)
    return (
        Claim(
            "T5.average_readout", "P7", Kind.PROVED,
            "NAS, any keys (no excitation, no independence), any directions of the values, fixed positive definite M, "
            "η in (0, 1], w_i = η_i/s_i: Σ w_i‖W_i k_i‖² ≤ ‖W_0‖² + a²Σ w_i, so the weighted mean of the read-outs "
            "‖W_i k_i‖² before each edit, at its key, is at most a² + ‖W_0‖²/Σ w_i even where the norm grows like √t; "
            "for hard writes with Σ w_i → ∞ it tends to a² iff ‖W_t‖²/Σ w_i → 0.",
            check_average_readout, readout, replace(readout, bound=FIRST + LENGTH * SUM_WEIGHTS / 2),
            "at most a²/2 + ‖W_0‖²/Σ w_i",
        ),
        Claim(
            "T5.spectrum", "P7", Kind.COMPUTED,
            "NAS, hard writes, keys of one law, independent of the past, P(k = 0) = 0, E[1/s] finite, E x̂x̂ᵀ = Σ μ_i "
            "q_i q_iᵀ: with E[v | k, W] = 0 the mean weight forgets its start by 1 − μ_i an edit in direction q_i; for "
            "keys on n axes and any values E‖W_t‖²_{M⁻¹} = Σ c_i + (1−μ_i)^t(S_i − c_i), c_i = a²E_i[1/s], which "
            "frame_norm computes: every direction needs 1/μ_i edits, yet the limit, Σ c_i over excited axes and S_i "
            "over the others, does not depend on μ.",
            check_spectrum, 1, 2, "the norm's share of direction i falls by (1 − μ_i)² an edit",
        ),
        Claim(
            "T5.excitation_bias", "P7", Kind.PROVED,
            "The excitation of a sample of independent keys is biased downwards, E λ_min ≤ μ, so a bound a²E[1/s]/μ "
            "from it errs on the high side in the mean (E 1/λ_min ≥ 1/μ); N < n keys show μ = 0 whatever the law: no "
            "bound.",
            check_bias, 1, -1, "it is biased upwards",
        ),
        Claim(
            "T5.excitation_interval", "P7", Kind.PROVED,
            "For N independent keys (with their shares) of one law, P(low > μ) ≤ risk with N KL(λ_min‖low) = "
            "log(1/risk), without a factor n, and P(high < μ) ≤ risk with the same limit above the second half's mean "
            "in the first half's bottom direction; by Chernoff's bound exp(−N KL(x‖μ)) for means of numbers in [0, 1].",
            check_chernoff, lambda x, mu: x * sympy.log(x / mu) + (1 - x) * sympy.log((1 - x) / (1 - mu)),
            lambda x, mu: mu * sympy.log(mu / x) + (1 - mu) * sympy.log((1 - mu) / (1 - x)),
            "the exponent is KL(μ‖x), the arguments exchanged",
        ),
        Claim(
            "T5.excitation_numbers", "P7", Kind.COMPUTED,
            "excitation, chernoff_low, chernoff_high and plateau_interval in float64: the limits solve their equation "
            "at 30 digits, metric and shares enter as stated, and on two axes the exact miss probability of the 95 % "
            "interval, summed over all samples, is at most 5 %.",
            check_excitation_numbers, (chernoff_low, chernoff_high),
            (lambda x, count, risk: chernoff_low(x, count, 2 * risk), chernoff_high), "low at twice the risk",
        ),
    )  # fmt: skip
