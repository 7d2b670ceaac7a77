"""T7: floating-point formats, and what rounding leaves of a write to a weight that is kept in one of them."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from theory.command import Misuse


@dataclass(frozen=True)
class Format:
    """A binary floating-point format, rounding to nearest, ties to even.

    Attributes:
        name: as numpy and torch call it.
        precision: p, the bits of a significand with its leading one.
        exponent: the largest e with 2^e finite.

    >>> BFLOAT16.unit_roundoff, float(FLOAT16.largest)
    (Fraction(1, 256), 65504.0)
    """

    name: str
    precision: int
    exponent: int

    @property
    def unit_roundoff(self) -> Fraction:
        """u = 2^−p: rounding changes a number x of the normal range by at most u|x|."""
        return Fraction(1, 2**self.precision)

    @property
    def largest(self) -> Fraction:
        """(2 − 2u)·2^e, the largest finite number."""
        return (2 - 2 * self.unit_roundoff) * Fraction(2) ** self.exponent

    @property
    def overflow(self) -> Fraction:
        """(2 − u)·2^e: this number and every larger one rounds to infinity."""
        return (2 - self.unit_roundoff) * Fraction(2) ** self.exponent

    @property
    def smallest_normal(self) -> Fraction:
        """2^(1−e), where the normal range begins."""
        return Fraction(2) ** (1 - self.exponent)

    @property
    def smallest(self) -> Fraction:
        """2u·2^(1−e), the smallest positive number and the gap between subnormal ones."""
        return 2 * self.unit_roundoff * self.smallest_normal


FLOAT64 = Format("float64", 53, 1023)
FLOAT32 = Format("float32", 24, 127)
FLOAT16 = Format("float16", 11, 15)
BFLOAT16 = Format("bfloat16", 8, 127)
FORMATS = (FLOAT64, FLOAT32, FLOAT16, BFLOAT16)


def round_exact(number: Fraction, target: Format) -> Fraction:
    """The number of a format nearest to a rational, ties to the even significand.

    Args:
        number: any rational below the format's overflow threshold.
        target: the format.

    Returns:
        The rounded number, exactly.

    Raises:
        Misuse: the number would round to infinity.

    >>> round_exact(Fraction(257), BFLOAT16), round_exact(Fraction(259), BFLOAT16)
    (Fraction(256, 1), Fraction(260, 1))
    """
    binade = abs(number.numerator).bit_length() - number.denominator.bit_length()
    if abs(number) >= target.overflow:
        raise Misuse(f"a number near 2^{binade} overflows {target.name}; scale it below 2^{target.exponent + 1}")
    exponent = binade if abs(number) >= Fraction(2) ** binade else binade - 1
    gap = max(2 * target.unit_roundoff * Fraction(2) ** exponent, target.smallest)
    return round(number / gap) * gap


def round_to(values: ArrayLike, target: Format) -> NDArray[np.float64]:
    """Float64 numbers rounded to a format, as float64; infinite beyond its range.

    One operation +, −, ×, ÷ or √ on numbers of a format with p ≤ 24, done in float64 and then rounded so, is that
    operation rounded once: 53 ≥ 2p + 2 bits make the first rounding harmless (Figueroa 1995).

    Args:
        values: of any shape.
        target: the format.

    Returns:
        The rounded values.

    >>> round_to([257.0, 259.0, 1e39], BFLOAT16).tolist()
    [256.0, 260.0, inf]
    """
    array = np.asarray(values, dtype=np.float64)
    exponent = np.maximum(np.frexp(array)[1], 2 - target.exponent) - target.precision
    with np.errstate(over="ignore"):
        rounded = np.ldexp(np.rint(np.ldexp(array, -exponent)), exponent)
    return np.where(np.abs(rounded) > float(target.largest), np.copysign(np.inf, array), rounded)


def lost_below(weight: Any, u: Any) -> Any:
    """An entry w of a format keeps its value under every |d| up to this: fl(w + d) = w.

        u|w|/2          (met with equality by the step down from a power of two)

    Args:
        weight: w, in weight units.
        u: the format's unit roundoff.

    Returns:
        The bound on |d|, in weight units.

    Source: T7.lost.

    >>> float(lost_below(1.0, BFLOAT16.unit_roundoff))
    0.001953125
    """
    return u * abs(weight) / 2


def kept_above(weight: Any, u: Any) -> Any:
    """A normal entry w of a format changes under every |d| above this: u|w|.

    Source: T7.lost.

    >>> float(kept_above(1.0, BFLOAT16.unit_roundoff))
    0.00390625
    """
    return u * abs(weight)


def lost_ratio(u: Any) -> Any:
    """‖W‖/‖Δ‖ from which on a write in one ratio |d_ij|/|w_ij| to every entry changes nothing: 2/u.

    >>> [int(lost_ratio(target.unit_roundoff)) for target in (BFLOAT16, FLOAT16, FLOAT32)]
    [512, 4096, 33554432]
    """
    return 2 / u


def normal_tail(size: Any) -> Any:
    """P(|Z| > x) for a standard normal Z."""
    return special.erfc(size / math.sqrt(2))


def product_tail(size: Any) -> Any:
    """P(|XY| > x) for independent standard normal X, Y: the entries of a rank-one write r kᵀ.

        1 − (2/π) ∫₀ˣ K₀

    Args:
        size: x ≥ 0.

    Returns:
        The probability, to an absolute error of about 1e-15.

    Raises:
        Misuse: x is negative or not a number.
    """
    if not np.all(np.asarray(size) >= 0):
        raise Misuse(f"the probability of |XY| > {size} is asked for; give sizes of at least 0")
    return np.maximum(1 - 2 / math.pi * special.iti0k0(size)[1], 0.0)


def changed_share(write: float, weight: float, target: Format, tail: Callable[[Any], Any] = normal_tail) -> float:
    """The share of entries that a write changes, P(fl(w + d) ≠ w), exactly for independent random entries.

        Σ_e P(|w| in binade e) P(|d| > u 2^e),   and P(d < −u 2^e/2) for a step down from w = 2^e

    Args:
        write: τ, the entries of Δ in root mean square; d/τ has a symmetric law.
        weight: σ, those of W; w is N(0, σ²) rounded to the format.
        target: the format that W is kept in, with no underflow at σ.
        tail: x -> P(|d| > xτ); `product_tail` for a rank-one write.

    Returns:
        A probability.

    Raises:
        Misuse: τ or σ is not a positive finite number, or the format does not hold entries of size σ.

    Source: T7.changed_share.

    >>> round(changed_share(1 / 512, 1.0, BFLOAT16), 3)
    0.394
    """
    if not (0 < write < math.inf and 0 < weight < math.inf):
        raise Misuse(f"entries of size {write} and {weight} are written; give positive root mean squares")
    powers = binades(weight, target)
    u = float(target.unit_roundoff)
    start, after, end = (normal_tail(powers * edge / weight) for edge in (1 - u / 2, 1 + u, 2 - u))
    step = powers * u / write
    inside, at_power = (after - end) * tail(step), (start - after) * (tail(step) + tail(step / 2)) / 2
    return float(np.sum(inside + at_power))


def binades(weight: float, target: Format) -> NDArray[np.float64]:
    """2^e for the binades that hold all but 1e-19 of the law of N(0, σ²).

    Raises:
        Misuse: the format does not hold entries of size σ in its normal range.

    >>> float(binades(1.5, BFLOAT16)[64])
    1.0
    """
    if not target.smallest_normal <= weight <= target.largest / 16:
        raise Misuse(f"entries of size {weight} do not fit into {target.name}; give a root mean square from "
                     f"{float(target.smallest_normal):.1e} to {float(target.largest / 16):.1e}")  # fmt: skip
    return np.asarray(2.0 ** (math.floor(math.log2(weight)) + np.arange(-64, 8)))


def rounding_noise(weight: float, target: Format, *, weighted: bool = False) -> float:
    """The mean square of an entry's rounding error, E (fl(w) − w)², up to a relative O(u²).

        Σ_e P(|w| in binade e) u²4^e/3          (a uniform error in a gap of 2u 2^e)

    Args:
        weight: σ; w is N(0, σ²).
        target: the format that the entry is rounded to.
        weighted: E w²(fl(w) − w)² instead.

    Returns:
        In weight units squared (to the fourth power, weighted).

    Raises:
        Misuse: the format does not hold entries of size σ.

    Source: T7.storage_noise.

    >>> round(math.sqrt(rounding_noise(1.0, BFLOAT16)) * 256, 3)
    0.425
    """
    powers = binades(weight, target)
    edges = np.append(powers, 2 * powers[-1]) / weight
    above = normal_tail(edges)
    if weighted:  # E[Z²; |Z| > x] = P(|Z| > x) + 2x φ(x)
        above = weight**2 * (above + edges * math.sqrt(2 / math.pi) * np.exp(-(edges**2) / 2))
    return float(np.sum((above[:-1] - above[1:]) * powers**2)) * float(target.unit_roundoff) ** 2 / 3


def storage_noise(rows: int, trace_sq: float, diagonal_sq: float, weight: float, target: Format) -> float:
    """The standard deviation that storing W' adds to ‖W'‖²_C: what T1's two sides differ by when all else is exact.

        4m [Σ_j C_jj² E w²e² + (tr C² − Σ_j C_jj²) σ² E e²],   e = fl(w) − w          (the variance, up to O(u²))

    Args:
        rows: m.
        trace_sq: tr C².
        diagonal_sq: Σ_j C_jj².
        weight: σ; the entries of W' before rounding are independent N(0, σ²), above any effect of underflow.
        target: the format of the stored weight.

    Returns:
        In the units of ‖W‖²_C.

    Raises:
        Misuse: no row, 0 ≤ Σ C_jj² ≤ tr C² does not hold, or the format does not hold entries of size σ.

    Source: T7.storage_noise.

    >>> storage_noise(4, 3.0, 3.0, 1.0, BFLOAT16) == 2 * storage_noise(1, 3.0, 3.0, 1.0, BFLOAT16)
    True
    """
    if rows < 1 or not 0 <= diagonal_sq <= trace_sq * (1 + 1e-6):  # the two may have been rounded apart
        raise Misuse(f"{rows} rows, Σ C_jj² = {diagonal_sq} and tr C² = {trace_sq} are given; give at least one row "
                     "and 0 ≤ Σ C_jj² ≤ tr C²")  # fmt: skip
    own = diagonal_sq * rounding_noise(weight, target, weighted=True)
    across = (trace_sq - diagonal_sq) * weight**2 * rounding_noise(weight, target)
    return math.sqrt(4 * rows * (own + across))
