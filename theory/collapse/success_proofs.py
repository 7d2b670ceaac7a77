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

from theory.claim import Claim, Evidence, Kind
from theory.collapse.points import Bracket, collapse_over_seeds, collapse_point, covered, median_rank
from theory.collapse.success import (
    accumulating_success,
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


def two_axes(signal: Sequence[Any], noise: Sequence[Any], m: int) -> mpmath.mpf:
    """The mean of Φ(√(m signal/(2 noise)))²: two signed axes, turned by 45°; no noise counts as 1."""
    shares = [mpmath.ncdf(mpmath.sqrt(m * s / (2 * z))) ** 2 if z else 1 for s, z in zip(signal, noise, strict=True)]
    return mpmath.fsum(shares) / len(shares)


def anchored_means(c: Any, anchor: Any, norm_sq: Any, n: int, edits: int) -> tuple[list[Any], list[Any]]:
    """Signal and noise of each edit under NAS: T5.fixed_point's norm, products of σ, and the excess over R/n."""
    r, limit = mpmath.sqrt(1 + c * c), anchor**2 * mpmath.mpf(n) / (n - 2)
    norms = [limit + (1 - mpmath.mpf(1) / n) ** t * (norm_sq - limit) for t in range(edits + 1)]
    thetas = [mpmath.sqrt(limit / norms[t]) / r for t in range(edits)]
    signal, noise = [], []
    for j in range(edits):
        start = c**2 * thetas[j] ** 2 * norms[j] / n
        excess = (1 + c**2) * thetas[j] ** 2 * norms[j] / n - norms[j + 1] / n
        for theta in thetas[j + 1 :]:
            start *= (1 - (1 - theta) / n) ** 2
            excess *= 1 - 2 * (1 - theta) / n + 2 * ((1 - theta) ** 2 + c**2 * theta**2) / (n * (n + 2))
        signal.append(start)
        noise.append(norms[edits] / n + excess - start)
    return signal, noise


def accumulated_means(c: Any, n: int, ridge: Any, edits: int) -> tuple[list[Any], list[Any]]:
    """Signal and noise of each edit under an accumulating rule, g and q from their implicit equation."""

    def trace(t: int, level: Any) -> Any:
        equation = lambda g: g * (level + t / (1 + n * g)) - 1  # noqa: E731
        return mpmath.findroot(equation, (mpmath.mpf(1) / (level + t), 1 / mpmath.mpf(level)), solver="anderson")

    norm, signal, noise = mpmath.mpf(1), list[Any](), list[Any]()
    for t in range(edits):
        gain = n * trace(t, ridge)
        spread = -n * mpmath.diff(lambda level, t=t: trace(t, level), ridge) / (1 + gain) ** 2
        noise = [z + c**2 * norm * spread / (1 + gain) ** 2 for z in noise] + [norm]
        signal.append(c**2 * (gain / (1 + gain)) ** 2 * norm)
        norm *= 1 + c**2 * spread
    return signal, noise


def check_success(curves: Curves) -> Evidence:
    """The predicted curves against closed forms and implicit equations, for two axes, in mpmath."""
    m, n, edits, c = 6, 8, 10, 0.75
    proof = Proof()
    with mpmath.workdps(DIGITS):
        ages = [mpmath.mpf(age) for age in range(edits)]
        first, second = 1 + c**2 / mpmath.mpf(n), 1 + 2 * c**2 / mpmath.mpf(n * (n + 2))
        grown = [(first * (first**t - 1) + c**2 * (1 - 1 / mpmath.mpf(n)) * (second**t - 1)) + 1 for t in ages]
        plain = two_axes([c**2] * edits, grown, m)
        found = curves.memoryless(without_anchor(c), [3, edits], (m, n), 2, 5.0)
        proof.agree("without NAS: c² against 1 + n·T6.interference, by age", float(found[1]), plain, 1e-12)
        expected = two_axes(*anchored_means(mpmath.mpf(c), mpmath.mpf(3), mpmath.mpf(5), n, edits), m)
        found = curves.memoryless(with_anchor(c, 3.0, n), [3, edits], (m, n), 2, 5.0)
        proof.agree("NAS from below its plateau", float(found[1]), expected, 1e-12)
        left = [(1 - mpmath.mpf(1) / n) ** (2 * t) for t in ages]
        found = curves.memoryless(undirected_anchor(3.0, n), [edits], (m, n), 2, 9.0 * n / (n - 2))
        proof.agree("fixed values at the plateau: T6.forgetting", float(found[0]),
                    two_axes(left, [1 - share for share in left], m), 1e-12)  # fmt: skip
        for ridge in (0.5, 4.0):
            expected = two_axes(*accumulated_means(mpmath.mpf(c), n, ridge, edits), m)
            found = curves.accumulating(c, [3, edits], (m, n), 2, ridge)
            proof.agree(f"A = {ridge}·I + Σkkᵀ, past its threshold", float(found[1]), expected, 1e-12)
    falling = predicted_collapse([4, 8, 12], np.array([0.9, 0.6, 0.59]), 60)
    proof.holds("a predicted curve's bracket is collapse_point's", falling == Bracket(8, 12))
    return proof.evidence("curves by two routes")


def check_collapse_point(found: Callable[..., Bracket]) -> Evidence:
    """Every curve of 4 checkpoints over {NaN, 40, 60, 80}, against the definition by sets, at q = 60."""
    points, q, proof = (10, 20, 40, 80), 60, Proof()
    agree = True
    for curve in itertools.product((math.nan, 40.0, 60.0, 80.0), repeat=4):
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
            "noise by a Gaussian one) evaluates T6.aging without NAS, T6.forgetting for fixed values, T5.fixed_point's "
            "norm with read-outs of one length for NAS, and T3b's g and q for accumulating rules, to 1e-12.",
            check_success, Curves(memoryless_success, accumulating_success),
            Curves(memoryless_success, lambda c, points, shape, axes, ridge:
                   accumulating_success(c, points, (shape[0], shape[1] + 1), axes, ridge)),
            "an accumulating memory of n + 1 dimensions",
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
            "Over N independent seeds the k-th lowest lower end and the k-th highest upper end of the brackets enclose "
            "the law's median with probability at least 1 − 2P(Bin(N, ½) < k), censored seeds included; k is the "
            "largest that reaches the level, and below 6 seeds no bounded 95 % interval exists.",
            check_seeds, median_rank, lambda count, level: median_rank(count, level) + 1, "rank k + 1 reaches it",
        ),
    )  # fmt: skip
