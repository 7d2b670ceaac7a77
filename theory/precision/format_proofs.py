"""T7's claims on storage: what a format holds, which writes it loses, where sums stall, and what dithering keeps."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import numpy as np
import sympy
from numpy.typing import NDArray

from theory.claim import Claim, Evidence, Kind
from theory.command import Misuse
from theory.precision.formats import (
    BFLOAT16,
    FLOAT16,
    FLOAT32,
    FLOAT64,
    FORMATS,
    Format,
    kept_above,
    lost_below,
    lost_ratio,
    round_exact,
    round_to,
)
from theory.provers.prove import Proof

U, WEIGHT, LOW, HIGH, EXACT = sympy.symbols("u w low high x", positive=True)
STEP, SHIFT = sympy.symbols("d h", real=True)
PRECISION = sympy.Symbol("p", positive=True, integer=True)
SLIGHTLY = Fraction(1, 2**40)


@dataclass(frozen=True)
class Layout:
    """How a format lies in memory.

    Attributes:
        holder: the numpy type whose leading bits it is.
        word: the unsigned integer of the holder's width.
        dropped: how many of the holder's trailing bits are missing.
        fraction: how many bits of the fraction are stored.
    """

    holder: type
    word: type
    dropped: int
    fraction: int

    def number(self, bits: Any) -> NDArray[Any]:
        """The numbers that bit patterns stand for, in the holder's type."""
        return (np.asarray(bits, dtype=self.word) << self.word(self.dropped)).view(self.holder)

    def exact(self, bits: int) -> Fraction:
        """One of them, exactly."""
        return Fraction(float(self.number(bits)))

    def bits(self, number: float) -> int:
        """The pattern of a number that the format holds."""
        return int(np.asarray(number, dtype=self.holder).view(self.word)) >> self.dropped


LAYOUTS = {
    "float64": Layout(np.float64, np.uint64, 0, 52),
    "float32": Layout(np.float32, np.uint32, 0, 23),
    "float16": Layout(np.float16, np.uint16, 0, 10),
    "bfloat16": Layout(np.float32, np.uint32, 16, 7),
}


def check_formats(roundoffs: Mapping[str, Fraction]) -> Evidence:
    """The formats against the bit patterns of the machine, and rounding against the patterns' midpoints."""
    proof = Proof()
    for target in FORMATS:
        layout = LAYOUTS[target.name]
        one, infinite = layout.bits(1.0), layout.bits(math.inf)
        top, below = layout.exact(infinite - 1), layout.exact(infinite - 2)
        found = {
            "u": (layout.exact(one + 1) - 1) / 2,
            "largest": top,
            "overflow": top + (top - below) / 2,
            "smallest normal": layout.exact(1 << layout.fraction),
            "smallest": layout.exact(1),
        }
        kept = (target.unit_roundoff, target.largest, target.overflow, target.smallest_normal, target.smallest)
        proof.holds(f"{target.name}: by its bit patterns u = 2^{round(math.log2(found['u']))}, as asserted",
                    found["u"] == roundoffs[target.name])  # fmt: skip
        proof.holds(f"    range {float(found['smallest']):.4g} to {float(top):.6g}, and infinity from half a gap above",
                    tuple(found.values()) == kept)  # fmt: skip
        proof.holds("    rounding to nearest, ties to the even pattern", all(rounds_well(target, layout, infinite)))
    largest = Fraction("255.97") ** 2, Fraction("1.8e19") ** 2
    proof.holds("255.97² passes float16's 65,520, 255.96² does not", Fraction("255.96") ** 2 < FLOAT16.overflow
                == 65520 < largest[0])  # fmt: skip
    proof.holds("(1.8e19)² < overflow < (1.9e19)² in bfloat16 and float32", all(
        largest[1] < target.overflow < Fraction("1.9e19") ** 2 for target in (BFLOAT16, FLOAT32)))  # fmt: skip
    return proof.evidence(", ".join(f"{f.name} 2^-{f.precision}" for f in FORMATS), dict(roundoffs))


def rounds_well(target: Format, layout: Layout, infinite: int) -> Iterator[bool]:
    """`round_to` and `round_exact` at, just above and just below the midpoints of neighbouring patterns."""
    lower = np.arange(0, infinite - 1, 1 + infinite // 40_000)
    for first in lower[:: 1 + len(lower) // 200].tolist():
        a, b = layout.exact(first), layout.exact(first + 1)
        middle, even = (a + b) / 2, layout.exact(first + first % 2)
        yield round_exact(middle, target) == even and round_exact(-middle, target) == -even
        yield round_exact((2 * a + b) / 3, target) == a and round_exact((a + 2 * b) / 3, target) == b
        yield round_exact(middle - (b - a) * SLIGHTLY, target) == a
        yield round_exact(middle + (b - a) * SLIGHTLY, target) == b
    yield overflows(target.overflow, target) and not overflows(target.overflow * (1 - SLIGHTLY), target)
    down, up, ties = (layout.number(bits).astype(np.float64) for bits in (lower, lower + 1, lower + lower % 2))
    yield np.array_equal(round_to(np.concatenate([down, -up]), target), np.concatenate([down, -up]))
    if target != FLOAT64:  # whose midpoints float64 does not hold
        middles, aside = (down + up) / 2, (up - down) * float(SLIGHTLY) * 2**12
        around = np.stack([middles, -middles, middles - aside, middles + aside])
        yield np.array_equal(round_to(around, target), np.stack([ties, -ties, down, up]))
        edge = float(target.overflow)
        yield bool(np.isposinf(round_to(edge, target)))
        yield float(round_to(-np.nextafter(edge, 0), target)) == -float(target.largest)


def overflows(number: Fraction, target: Format) -> bool:
    """Whether `round_exact` refuses a number as infinite."""
    try:
        round_exact(number, target)
    except Misuse:
        return True
    return False


@dataclass(frozen=True)
class Thresholds:
    """When an entry w of a format is said to keep its value under w ← fl(w + d), and when to change.

    Attributes:
        lost: (w, u) -> the largest |d| that is surely lost.
        kept: (w, u) -> the |d| above which the entry surely changes.
    """

    lost: Callable[[Any, Any], Any]
    kept: Callable[[Any, Any], Any]


def check_lost(asserted: Thresholds) -> Evidence:
    """Both thresholds over the reals for every u, and on every significand of bfloat16 and float16 exactly."""
    proof = Proof()
    proof.say("scale by a power of two, exactly, and mirror: w in [1, 2−2u], u ≤ 1/4; gaps 2u, but u below w = 1")
    proof.say("fl(w+d) = w when d lies strictly between the half gaps, and at a half gap when w's significand is even")
    size = sympy.Symbol("|d|", nonnegative=True)
    generic = [sympy.Rational(1, 4) >= U, WEIGHT >= 1, WEIGHT <= 2 - 2 * U]
    small = size <= asserted.lost(WEIGHT, U)
    proof.follows("w > 1: lost", [*generic, WEIGHT >= 1 + 2 * U, small], size < U)
    proof.follows("w = 1, an even significand: lost", [sympy.Rational(1, 4) >= U, small.subs(WEIGHT, 1)], size <= U / 2)
    proof.follows("subnormal w and 0, in units of the smallest normal: gaps 2u, lost",
                  [WEIGHT < 1, small], size < U)  # fmt: skip
    proof.follows("surely changed", [*generic, size > asserted.kept(WEIGHT, U)], size > U)
    u, one = Fraction(1, 256), Fraction(1)
    lost, kept = asserted.lost(one, u), asserted.kept(one, u)
    proof.holds("neither can be moved: at w = 1 a step down just beyond `lost` changes it (bfloat16)",
                round_exact(1 - lost * (1 + SLIGHTLY), BFLOAT16) != 1)  # fmt: skip
    proof.holds("and a step up of exactly `kept` does not", round_exact(1 + kept, BFLOAT16) == 1)
    for target in (BFLOAT16, FLOAT16):
        proof.holds(f"every significand of {target.name}, both signs; through float32 lost too, as rounding is "
                    "monotone also for every smaller |d|",
                    all(thresholds_hold(asserted, target)))  # fmt: skip
    proof.equal("so W' = W for ‖W‖/‖Δ‖ ≥ |w|/lost(w) = 2/u in one ratio for all entries",
                WEIGHT / asserted.lost(WEIGHT, U), lost_ratio(U))  # fmt: skip
    proof.say("512 in bfloat16, 4,096 in float16, 2^25 in float32; the ratio of norms alone decides nothing:")
    proof.holds("W = (1, 2^20), Δ = (1, 0) changes an entry at ‖W‖/‖Δ‖ > 2^20", round_exact(Fraction(2), BFLOAT16) != 1)
    return proof.evidence("lost up to u|w|/2, changed above u|w|")


def thresholds_hold(asserted: Thresholds, target: Format) -> Iterator[bool]:
    """Both thresholds at every significand of one binade."""
    u, beyond = target.unit_roundoff, 1 + SLIGHTLY
    for weight in (1 + 2 * u * j for j in range(2 ** (target.precision - 1))):
        for sign in (-1, 1):
            lost, kept = (sign * bound(weight, u) for bound in (asserted.lost, asserted.kept))
            yield round_exact(weight + lost, target) == weight
            yield round_exact(round_exact(weight + lost, FLOAT32), target) == weight
            yield round_exact(weight + kept * beyond, target) != weight


def check_stagnation(stall: sympy.Expr) -> Evidence:
    """N equal terms added one by one: exact up to `stall` of them, and no further."""
    proof = Proof()
    u, gap = 2**-PRECISION, 2 * 2**-PRECISION * stall
    proof.say("terms 1, scaled by a power of two; integers up to 2^p need at most p bits: sums up to there are exact")
    proof.equal("the gap above the asserted stall, a power of two, is two terms: 2u·stall", gap, sympy.Integer(2))
    proof.say("so stall + 1 is a tie, and a power of two has the even significand: fl(stall + 1) = stall, for ever")
    proof.equal("in units of one term the stall is 1/u", stall, 1 / u)
    for p in (*range(2, 9), FLOAT16.precision):
        target, total, terms = Format("short", p, 127), Fraction(0), 3 * 2**p
        for _ in range(terms):
            total = round_exact(total + 1, target)
        proof.holds(f"p = {p}: {terms} ones add up to {total}", total == stall.subs(PRECISION, p))
    for target in (FLOAT32, FLOAT64):
        limit = Fraction(int(stall.subs(PRECISION, target.precision)))
        proof.holds(f"{target.name}: fl({limit} − 1 + 1) = fl({limit} + 1) = {limit}",
                    round_exact(limit, target) == round_exact(limit + 1, target) == limit)  # fmt: skip
    entries = 4096 * 14336
    proof.holds(f"{entries} entries, Llama-3-8B's down_proj, are more than float32 can count",
                entries > stall.subs(PRECISION, FLOAT32.precision))  # fmt: skip
    return proof.evidence("256 in bfloat16, 2048 in float16, 2^24 in float32", stall)


def check_stochastic(up: sympy.Expr) -> Evidence:
    """Rounding x up with probability `up`: its mean and its variance, and what they do to ‖W‖²."""
    proof = Proof()
    gap = HIGH - LOW
    proof.equal("E SR(x) = low + up·(high − low) is x: no write is lost on average", LOW + up * gap, EXACT)
    variance = up * (HIGH - EXACT) ** 2 + (1 - up) * (EXACT - LOW) ** 2
    proof.equal("E(SR(x) − x)²", variance, (EXACT - LOW) * (HIGH - EXACT))
    between = [LOW <= EXACT, EXACT <= HIGH, LOW < HIGH]
    proof.follows("at most (gap/2)²", between, gap**2 / 4 >= (EXACT - LOW) * (HIGH - EXACT))
    proof.follows("gap ≤ 2u·low in the normal range: at most u²x²", [*between, gap <= 2 * U * LOW],
                  (EXACT - LOW) * (HIGH - EXACT) <= U**2 * EXACT**2)  # fmt: skip
    proof.say("summed over the entries, given X = W + Δ: E‖SR(X)‖²_F = ‖X‖²_F + Σ variances ≤ (1 + u²)‖X‖²_F")
    nearest = round_exact(1 + BFLOAT16.unit_roundoff / 2, BFLOAT16)
    proof.holds("rounding to nearest loses that write with certainty (T7.lost): fl(1 + u/2) = 1", nearest == 1)
    return proof.evidence("mean x, variance (x − low)(high − x)", up)


def claims() -> tuple[Claim[Any], ...]:
    """All of T7: storage in a format, storage of random entries, then arithmetic."""
    roundoffs = {target.name: Fraction(1, 2**target.precision) for target in FORMATS}
    thresholds = Thresholds(lost_below, kept_above)
    return (
        Claim(
            "T7.formats", "T7", Kind.COMPUTED,
            "Unit roundoffs are 2^-53 (float64), 2^-24 (float32), 2^-11 (float16) and 2^-8 (bfloat16); correctly "
            "rounded, ‖W‖²_F is infinite in float16 from 65,520 on, that is from ‖W‖_F = 255.97, in bfloat16 and "
            "float32 from a ‖W‖_F between 1.8e19 and 1.9e19 on.",
            check_formats, roundoffs, {**roundoffs, "bfloat16": Fraction(1, 2**7)},
            "bfloat16's unit roundoff is 2^-7, its machine epsilon",
        ),
        Claim(
            "T7.lost", "T7", Kind.PROVED,
            "Rounding once to nearest even, no overflow: a stored entry w keeps its value under w ← fl(w + d) if "
            "|d| ≤ u|w|/2, and a normal one changes if |d| > u|w|; neither constant can be moved. W' = W if every "
            "|d_ij| ≤ u|w_ij|/2 (in bfloat16 and float16 also when w + d is rounded to float32 first), which one ratio "
            "for all entries reaches at ‖W‖/‖Δ‖ = 2/u: 512 in bfloat16.",
            check_lost, thresholds, replace(thresholds, lost=kept_above), "a write of |d| ≤ u|w| is lost",
        ),
        Claim(
            "T7.stagnation", "T7", Kind.PROVED,
            "N equal terms, each one power of two in the normal range, added one by one without overflow, give "
            "min(N, 2^p) terms: 256 in bfloat16, 2,048 in float16, 16,777,216 in float32, fewer than the 58,720,256 "
            "entries of a Llama-3-8B down_proj.",
            check_stagnation, 2**PRECISION, 2 ** (PRECISION - 1), "the sum stalls at 2^(p−1) terms",
        ),
        Claim(
            "T7.stochastic_rounding", "T7", Kind.PROVED,
            "Rounding x up with probability (x − low)/(high − low) to its neighbours low < high has mean x: no write "
            "is lost on average; given X = W + Δ with entries 0 or in the normal range, no overflow, "
            "E‖SR(X)‖²_F ≤ (1 + u²)‖X‖²_F.",
            check_stochastic, (EXACT - LOW) / (HIGH - LOW), sympy.Rational(1, 2), "rounding up with probability 1/2",
        ),
    )  # fmt: skip
