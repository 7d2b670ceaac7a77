"""T6's claims on what is predicted and reported: the curves, the collapse point's bracket, its median over seeds."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import mpmath
import numpy as np
from scipy import integrate, stats

from theory.claim import Claim, Evidence, Kind
from theory.collapse.crowding import SLICES, crowded_success
from theory.collapse.points import Bracket, collapse_over_seeds, collapse_point, covered, median_rank
from theory.collapse.retrieval import specificity, success_probability
from theory.collapse.success import (
    accumulating_success,
    crowds,
    memoryless_specificity,
    memoryless_success,
    predicted_collapse,
    undirected_anchor,
    with_anchor,
    without_anchor,
)
from theory.provers.prove import Proof

DIGITS = 25


@dataclass(frozen=True)
class Curves:
    """The predicted success of memoryless and of accumulating rules."""

    memoryless: Callable[..., Any]
    accumulating: Callable[..., Any]


@dataclass(frozen=True)
class Means:
    """Means of every edit by closed forms: its signal, its noise, its share of W, and W_0's."""

    signal: Sequence[Any]
    noise: Sequence[Any]
    shares: Sequence[Any]
    background: Any


def by_loudest_rival(means: Means, m: int, axes: int, *, edited: bool = True) -> float:
    """The mean over prompts of ∫ h'(u) P(S + noise > u) du, h the law of the loudest rival beside crowded axes."""
    shares, background = np.array(means.shares, dtype=float), float(means.background)
    others = 1 - 1 / len(shares) if edited else 1
    total, squares = others * shares.sum(), others * np.sum(shares**2)
    whole = background + total
    spread = (m / whole) ** 2 * squares / axes * (1 - 1 / axes)
    law = stats.gamma((m * total / axes / whole) ** 2 / spread, scale=spread / (m * total / axes / whole))
    edges = [law.ppf(part / SLICES) for part in range(SLICES + 1)]
    parts = [law.expect(lb=low, ub=high) * SLICES for low, high in itertools.pairwise(edges)]
    size = np.sqrt(background / whole + np.array(parts))

    def chance(ratio: float) -> float:
        def integrand(u: float) -> float:
            below = np.mean(2 * stats.norm.cdf(u / size) - 1)
            density = np.mean(2 * stats.norm.pdf(u / size) / size)
            return float((axes - 1) * below ** (axes - 2) * density * np.mean(stats.norm.cdf((ratio - u) / size)))

        edges = (0.0, 0.1, 0.5, 1.5, 4.0, 9.0, 9.0 + 2 * ratio + 12 * float(size.max()))
        return sum(integrate.quad(integrand, *ends, epsabs=1e-10)[0] for ends in itertools.pairwise(edges))

    pairs = zip(means.signal, means.noise, strict=True)
    return float(np.mean([chance(math.sqrt(m * s / z)) if z else 1.0 for s, z in pairs]))


def plain_means(c: float, norm_sq: float, n: int, edits: int) -> Means:
    """Without NAS: 1 + n·T6.interference by age in units of c² a share, and shares c²λ₁ⁱ."""
    ages = [mpmath.mpf(age) for age in range(edits)]
    first, second = 1 + c**2 / mpmath.mpf(n), 1 + 2 * c**2 / mpmath.mpf(n * (n + 2))
    noise = [first * (first**age - 1) + c**2 * (1 - 1 / mpmath.mpf(n)) * (second**age - 1) + 1 for age in ages]
    return Means([c**2] * edits, noise, [norm_sq * c**2 / n * first**age for age in ages], norm_sq)


def anchored_means(c: Any, anchor: Any, norm_sq: Any, n: int, edits: int) -> Means:
    """Under NAS: T5.fixed_point's norm, products of σ, the excess over R/n, and products of 1 − (1 − θ²)/n."""
    r, limit = mpmath.sqrt(1 + c * c), anchor**2 * mpmath.mpf(n) / (n - 2)
    norms = [limit + (1 - mpmath.mpf(1) / n) ** t * (norm_sq - limit) for t in range(edits + 1)]
    thetas = [mpmath.sqrt(limit / norms[t]) / r for t in range(edits)]
    signal, noise, shares = [], [], []
    decays = [1 - (1 - theta**2) / n for theta in thetas]
    for j in range(edits):
        start = c**2 * thetas[j] ** 2 * norms[j] / n
        excess = (1 + c**2) * thetas[j] ** 2 * norms[j] / n - norms[j + 1] / n
        for theta in thetas[j + 1 :]:
            start *= (1 - (1 - theta) / n) ** 2
            excess *= 1 - 2 * (1 - theta) / n + 2 * ((1 - theta) ** 2 + c**2 * theta**2) / (n * (n + 2))
        signal.append(start)
        noise.append(norms[edits] / n + excess - start)
        shares.append(c**2 * thetas[j] ** 2 * norms[j] / n * mpmath.fprod(decays[j + 1 :]))
    return Means(signal, noise, shares, norm_sq * mpmath.fprod(decays))


def fixed_means(anchor: float, n: int, edits: int) -> Means:
    """Fixed values at the plateau: T6.forgetting, and shares that shrink by 1 − 1/n."""
    added, left = mpmath.mpf(anchor) ** 2 / (n - 2), 1 - mpmath.mpf(1) / n
    signal = [left ** (2 * age) for age in range(edits)]
    shares = [added * left**age for age in range(edits)]
    return Means(signal, [1 - share for share in signal], shares, added * n * left**edits)


def accumulated_means(c: Any, n: int, ridge: Any, edits: int) -> Means:
    """Under an accumulating rule, g and q from their implicit equation."""

    def trace(t: int, level: Any) -> Any:
        equation = lambda g: g * (level + t / (1 + n * g)) - 1  # noqa: E731
        return mpmath.findroot(equation, (mpmath.mpf(1) / (level + t), 1 / mpmath.mpf(level)), solver="anderson")

    norm, signal, noise, shares = mpmath.mpf(1), list[Any](), list[Any](), list[Any]()
    for t in range(edits):
        gain = n * trace(t, ridge)
        spread = -n * mpmath.diff(lambda level, t=t: trace(t, level), ridge) / (1 + gain) ** 2
        noise = [z + c**2 * norm * spread / (1 + gain) ** 2 for z in noise] + [norm]
        signal.append(c**2 * (gain / (1 + gain)) ** 2 * norm)
        shares.append(c**2 * norm * spread)
        norm *= 1 + c**2 * spread
    return Means(signal, noise, shares, 1)


def check_success(curves: Curves) -> Evidence:
    """The predicted curves against closed forms and implicit equations, decoded by the loudest rival."""
    (m, n), edits, c, proof = (6, 8), 10, 0.75, Proof()
    wide = mpmath.mpf(c)
    with mpmath.workdps(DIGITS):
        runs = (
            ("without NAS: c² against 1 + n·T6.interference, by age", plain_means(c, 5.0, n, edits),
             lambda axes: curves.memoryless(without_anchor(c), [3, edits], (m, n), axes, 5.0)),
            ("NAS from below its plateau", anchored_means(wide, mpmath.mpf(3), mpmath.mpf(5), n, edits),
             lambda axes: curves.memoryless(with_anchor(c, 3.0, n), [3, edits], (m, n), axes, 5.0)),
            ("fixed values at the plateau: T6.forgetting", fixed_means(3.0, n, edits),
             lambda axes: curves.memoryless(undirected_anchor(3.0, n), [edits], (m, n), axes, 9.0 * n / (n - 2))),
            *((f"A = {ridge}·I + Σkkᵀ, past its threshold", accumulated_means(wide, n, ridge, edits),
               lambda axes, ridge=ridge: curves.accumulating(c, [3, edits], (m, n), axes, ridge))
              for ridge in (0.5, 4.0)),
        )  # fmt: skip
    for name, means, found in runs:
        for axes in (2, 5):
            proof.agree(f"{name}, {axes} axes", float(found(axes)[-1]), by_loudest_rival(means, m, axes), 1e-5)
    for ratio, axes in ((0.8, 1), (2.5, 9)):
        even = float(crowded_success(np.array([ratio]), np.ones(3), axes)[0])
        proof.agree(
            f"axes of equal noise, B = {axes}: T6.decoding", even, float(success_probability(ratio, axes)), 1e-5
        )
    falling = predicted_collapse([4, 8, 12], np.array([0.9, 0.6, 0.59]), 60)
    proof.holds("a predicted curve's bracket is collapse_point's", falling == Bracket(8, 12))
    return proof.evidence("curves by two routes")


def check_crowded_specificity(kept: Callable[..., Any]) -> Evidence:
    """The share of unedited prompts by the closed forms of the memory's means, decoded by the loudest rival."""
    (m, n), edits, c, start, proof = (6, 8), 12, 0.75, 5.0, Proof()
    proof.say("an unedited prompt's key is independent of W: E‖Wk‖² = R_t, and none of the writes' shares is its own")
    with mpmath.workdps(DIGITS):
        runs = (
            ("without NAS", without_anchor(c), start * (1 + c**2 / mpmath.mpf(n)) ** edits,
             plain_means(c, start, n, edits)),
            ("NAS from below its plateau", with_anchor(c, 3.0, n), 12 + (1 - mpmath.mpf(1) / n) ** edits * (start - 12),
             anchored_means(mpmath.mpf(c), mpmath.mpf(3), mpmath.mpf(start), n, edits)),
        )  # fmt: skip
    for name, law, grown, means in runs:
        for height, axes in ((1.0, 5), (2.5, 2), (4.0, 6)):
            found = float(kept(law, [3, edits], (m, n), axes, start, height)[-1])
            prompt = Means([height**2], [float(grown)], means.shares, means.background)
            expected = by_loudest_rival(prompt, m, axes, edited=False)
            proof.agree(f"{name}, h = {height}, {axes} axes", found, expected, 1e-5)
    still = float(kept(without_anchor(1e-9), [4], (m, n), m, start, 2.0)[0])
    proof.agree("no shift: T6.specificity", still, float(specificity(2.0, start, (m, n), m)), 1e-5)
    return proof.evidence("shares by two routes")


def check_collapse_point(found: Callable[..., Bracket]) -> Evidence:
    """Every curve of 4 checkpoints over {NaN, just below 60, 60, 80}, against the definition by sets, at q = 60."""
    points, q, proof = (10, 20, 40, 80), 60, Proof()
    agree = True
    for curve in itertools.product((math.nan, math.nextafter(60, 0), 60.0, 80.0), repeat=4):
        measured = {point: rate for point, rate in zip(points, curve, strict=True) if rate == rate}
        if measured:
            first = min((point for point, rate in measured.items() if rate < q), default=None)
            last = max((point for point in measured if first is None or point < first), default=0)
            agree &= found(points, curve, q) == Bracket(last, first)
    proof.say("CP@q is min{t : success_t < q}; its bracket begins at the last measured checkpoint before it")
    proof.holds("255 curves, rising, falling, touching q, with gaps", agree)
    texts = [str(found(points, curve, q)) for curve in ((60.0,) * 4, (80.0, 40.0, 80.0, 80.0), (40.0,) * 4)]
    proof.holds("a curve that touches q has not fallen; a recovery does not undo a fall", texts
                == ["> 80", "10 to 20", "<= 10"])  # fmt: skip
    return proof.evidence(", ".join(texts))


def ranked(values: Sequence[float], rank: int) -> float:
    """The rank-th smallest value: the least that at least `rank` of them do not exceed."""
    return min(x for x in values if sum(value <= x for value in values) >= rank)


def check_seeds(rank: Callable[[int, float], int]) -> Evidence:
    """The order-statistic interval: its coverage by counting, for continuous laws and for censored brackets."""
    proof = Proof()
    proof.say("an interval [X_(k), X_(N+1−k)] misses the median iff fewer than k samples lie below it, or above it")
    for count, level in itertools.product(range(1, 11), (0.5, 0.8, 0.95)):
        below = [sum(signs) for signs in itertools.product((0, 1), repeat=count)]
        held = [Fraction(sum(k <= b <= count - k for b in below), 2**count) for k in range(1, count // 2 + 1)]
        best = max((k for k, share in enumerate(held, 1) if share >= level), default=0)
        proof.holds(f"N = {count}, level {level}: k = {best}", rank(count, level) == best)
        for k, share in enumerate(held, 1):
            proof.agree(f"coverage of k = {k}", covered(count, k), float(share))
    law = {Bracket(0, 100): Fraction(3, 10), Bracket(100, 200): Fraction(2, 5), Bracket(200, None): Fraction(3, 10)}
    proof.say(f"a law with its median in 100 to 200: {', '.join(f'{b}: {share}' for b, share in law.items())}")
    for count, level in ((4, 0.8), (5, 0.9), (6, 0.95)):
        hit, promised, k, same = Fraction(0), 0.0, rank(count, level), True
        for sample in itertools.product(law, repeat=count):
            seeds = collapse_over_seeds(sample, level)
            low, high = seeds.interval
            hit += math.prod((law[bracket] for bracket in sample), start=Fraction(1)) * (low <= 100 and high >= 200)
            promised = seeds.coverage
            lows, highs = [bracket.last for bracket in sample], [bracket.high for bracket in sample]
            same &= seeds.interval == (ranked(lows, k), ranked(highs, count + 1 - k))
            same &= seeds.median.last == ranked(lows, (count + 1) // 2)
            same &= seeds.median.high == ranked(highs, count // 2 + 1)
        proof.holds(
            f"{count} seeds: covered with {float(hit):.4f} ≥ {promised:.4f} ≥ {level}", hit >= promised >= level
        )
        proof.holds("the ends are lower ends k and ⌈N/2⌉, upper ends N + 1 − k and ⌊N/2⌋ + 1, by counting", same)
    return proof.evidence("coverage by counting")


def claims() -> tuple[Claim[Any], ...]:
    """What is predicted, and how a collapse point is reported."""
    return (
        Claim(
            "T6.success", "P8", Kind.COMPUTED,
            "The predicted success of all edits so far (mean field: signal and noise replaced by their mean energies, "
            "noise on an axis by a Gaussian one whose energy is W_0's share and 16 equally likely slice means of a "
            "Gamma law, with T6.crowding's mean and variance) evaluates T6.aging without NAS, T6.forgetting for fixed "
            "values, T5.fixed_point's norm with read-outs of one length for NAS, and T3b's g and q for accumulating "
            "rules, to 1e-5.",
            check_success, Curves(memoryless_success, accumulating_success),
            Curves(memoryless_success, lambda c, points, shape, axes, ridge:
                   accumulating_success(c, points, (shape[0], shape[1] + 1), axes, ridge)),
            "an accumulating memory of n + 1 dimensions",
        ),
        Claim(
            "T6.crowded_specificity", "P12", Kind.COMPUTED,
            "The predicted share of unedited prompts with a background h·x_0 that keep their answer after t hard "
            "memoryless writes (mean field, as T6.success: ‖Wk‖² is R_t, axes are independent, the noise on each is "
            "Gaussian, its energy W_0's share and 16 equally likely slice means of a Gamma law, with T6.crowding's "
            "mean and variance) evaluates T3's and T5.fixed_point's R_t and the writes' shares, to 1e-5; as the shift "
            "goes to 0 it is T6.specificity.",
            check_crowded_specificity, memoryless_specificity,
            lambda law, points, shape, axes, norm_sq, height: specificity(
                height, [crowd.answers.norm_sq for crowd in crowds(law, points, shape[1], norm_sq)], shape, axes),
            "the noise is as loud on every axis",
        ),
        Claim(
            "T6.collapse_point", "P8", Kind.COMPUTED,
            "CP@q is the first checkpoint at which the success rate over all edits so far falls below q %, given as "
            "the bracket [last measured checkpoint before it, itself], or > N where no rate lies below q.",
            check_collapse_point, collapse_point, lambda points, curve, q: collapse_point(points, curve, q + 1e-9),
            "it has fallen where it touches q",
        ),
        Claim(
            "T6.seeds", "P8", Kind.COMPUTED,
            "Over N independent seeds of one law, each collapse point inside its bracket, the k-th lowest lower end "
            "and the k-th highest upper end of the brackets enclose the law's median with probability at least 1 − "
            "2P(Bin(N, ½) < k), censored seeds included; k is the largest that reaches the level, and below 6 seeds "
            "no such two-sided interval reaches 95 %.",
            check_seeds, median_rank, lambda count, level: median_rank(count, level) + 1, "rank k + 1 reaches it",
        ),
    )  # fmt: skip
