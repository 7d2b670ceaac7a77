"""T6: what later hard writes leave of an earlier answer, exactly in the mean; proofs are in interference_proofs.

Everything is per key: W is read at k̂ = k/‖k‖, keys are isotropic and independent of the past, and M = I.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from scipy import optimize

from theory.command import Misuse

Number = Any
"""A float, an array of floats or a sympy expression: the same formulas serve the proofs and the predictions."""


@dataclass(frozen=True)
class ValueLaw:
    """v = ρ Wk + ξ with E[ξ | k, past] = 0 and E[‖ξ‖² | k, past] = τ²‖Wk‖² + a².

    Attributes:
        kept: ρ, the share of the read-out that the value keeps.
        shift_sq: τ², dimensionless.
        added: a²E[1/‖k‖²], in units of ‖W‖².
    """

    kept: Number
    shift_sq: Number
    added: Number


@dataclass(frozen=True)
class Answer:
    """Means of one edit's answer, some writes later, per unit of ‖k_j‖².

    Attributes:
        norm_sq: E‖W‖²_F.
        readout_sq: E‖Wk̂_j‖².
        signal_sq: the energy of what is left of ξ_j, the part of the value that names the answer.
    """

    norm_sq: Number
    readout_sq: Number
    signal_sq: Number

    @property
    def noise_sq(self) -> Number:
        """E‖Wk̂_j − (what is left of ξ_j)/‖k_j‖‖²: all that does not name the answer."""
        return self.readout_sq - self.signal_sq


def relative_shift(c: Number) -> ValueLaw:
    """v = Wk + δ, ‖δ‖ = c‖Wk‖: a solver's shift in proportion to the read-out, without NAS.

    >>> relative_shift(0.5)
    ValueLaw(kept=1, shift_sq=0.25, added=0)
    """
    return ValueLaw(1, c * c, 0)


def kept_norm(stretch: Number, relative: Number = 1) -> ValueLaw:
    """v = θ(Wk + δ), θ = `relative`/r, r = √(1 + c²): NAS, with the anchor in units of the read-out's norm.

    The squared norm of a value is `relative`² times the read-out's, on average; NAS at its plateau has `relative` = 1
    where all read-outs are equally long.

    >>> kept_norm(1.25).kept
    0.8
    """
    theta = relative / stretch
    return ValueLaw(theta, (stretch**2 - 1) * theta**2, 0)


def fixed_values(added: Number) -> ValueLaw:
    """v of norm a whatever Wk is, E[v | k, past] = 0; `added` = a²E[1/‖k‖²], a²/(n − 2) for Gaussian keys."""
    return ValueLaw(0, 0, added)


def norm_growth(law: ValueLaw, n: Number) -> Number:
    """λ₁: E‖W'‖² = λ₁E‖W‖² + added, λ₁ = 1 + (ρ² + τ² − 1)/n."""
    return 1 + (law.kept**2 + law.shift_sq - 1) / n


def excess_growth(law: ValueLaw, n: Number) -> Number:
    """λ₂, the factor of E‖Wk̂_j‖² − E‖W‖²/n: 1 + 2(ρ − 1)/n + 2[(ρ − 1)² + τ²]/(n(n + 2))."""
    return 1 + 2 * (law.kept - 1) / n + 2 * ((law.kept - 1) ** 2 + law.shift_sq) / (n * (n + 2))


def fading(law: ValueLaw, n: Number) -> Number:
    """σ: the mean answer W'k̂_j is σ·Wk̂_j, σ = 1 + (ρ − 1)/n."""
    return 1 + (law.kept - 1) / n


def written(law: ValueLaw, norm_sq: Number, n: Number) -> Answer:
    """An edit's answer right after its write into a memory of mean square norm `norm_sq`.

        ‖v‖²/‖k‖² = (ρ² + τ²)R/n + added,   ‖ξ‖²/‖k‖² = τ²R/n + added,   R' = λ₁R + added

    Args:
        law: of the values.
        norm_sq: R = E‖W‖² before the write.
        n: the key dimension.

    Returns:
        The means after the write.

    Source: T6.aging.

    >>> written(relative_shift(1.0), 8.0, 4)
    Answer(norm_sq=10.0, readout_sq=4.0, signal_sq=2.0)
    """
    after = norm_growth(law, n) * norm_sq + law.added
    shift = law.shift_sq * norm_sq / n + law.added
    return Answer(after, law.kept**2 * norm_sq / n + shift, shift)


def later(law: ValueLaw, answer: Answer, n: Number) -> Answer:
    """The answer after one more write.

        X' = X + 2(ρ−1)X/n + [(ρ−1)² + τ²](R + 2X)/(n(n+2)) + added/n,   X = E‖Wk̂_j‖²
        R' = λ₁R + added,   signal' = σ² signal

    Args:
        law: of the later write's value.
        answer: before it.
        n: the key dimension.

    Returns:
        The means after it.

    Source: T6.aging.

    >>> later(fixed_values(1.0), Answer(4.0, 1.0, 1.0), 4)
    Answer(norm_sq=4.0, readout_sq=1.0, signal_sq=0.5625)
    """
    norm_sq, readout_sq = answer.norm_sq, answer.readout_sq
    spread = ((law.kept - 1) ** 2 + law.shift_sq) * (norm_sq + 2 * readout_sq) / (n * (n + 2))
    return Answer(
        norm_growth(law, n) * norm_sq + law.added,
        readout_sq + 2 * (law.kept - 1) * readout_sq / n + spread + law.added / n,
        fading(law, n) ** 2 * answer.signal_sq,
    )


def interference(n: Number, c: Number, age: Number) -> Number:
    """Mean interference on an edit without NAS, over the norm before its write.

        E‖W_{j+a}k̂_j − v_j/‖k_j‖‖²/E‖W‖² = (1 + c²/n)(λ₁^a − 1)/n + c²(n − 1)(λ₂^a − 1)/n²

    Args:
        n: the key dimension.
        c: ‖δ‖/‖Wk‖.
        age: a, later writes.

    Returns:
        The ratio; E‖W‖² is taken before write j, a counts the writes after it.

    Source: T6.interference.

    >>> interference(4, 1.0, 0)
    0.0
    """
    law = relative_shift(c)
    first, second = norm_growth(law, n), excess_growth(law, n)
    return first * (first**age - 1) / n + c * c * (n - 1) * (second**age - 1) / n**2


def forgetting(n: Number, age: Number) -> tuple[Number, Number]:
    """What is left of an answer of fixed norm at NAS's plateau, and the interference on it, in units of a²/‖k‖².

        signal energy (1 − 1/n)^(2a),   interference 1 − (1 − 1/n)^(2a)

    Args:
        n: the key dimension.
        age: a, later writes.

    Returns:
        The pair; its sum is 1, because the read-out keeps its mean energy.

    Source: T6.forgetting.

    >>> forgetting(2, 1)
    (0.25, 0.75)
    """
    left = fading(fixed_values(1), n) ** (2 * age)
    return left, 1 - left


def lifetime_gain(stretch: Number) -> Number:
    """How much longer norm-keeping writes let an old answer live, for large n: r(r + 1)/2, r = √(1 + c²).

        [(r² − 1)/n] / [2(1 − 1/r)/n]          (rates at which the ratio of signal to noise energy decays, per edit)

    Args:
        stretch: r = ‖v‖/‖Wk‖ of a solved value, root mean square, at least 1.

    Returns:
        The ratio of the rates, 1 at r = 1.

    Source: T6.lifetime.

    >>> lifetime_gain(1.25)
    1.40625
    """
    return stretch * (stretch + 1) / 2


def crossover(stretch: float) -> float:
    """The age, in units of n and for large n, up to which norm-keeping writes forget more, and from which on less.

        e^(c²x) + c² = r² e^(κx),   κ = 2(1 − 1/r),   c² = r² − 1,   x > 0

    Args:
        stretch: r = √(1 + c²) > 1.

    Returns:
        x; the equation has this one positive root.

    Raises:
        Misuse: r is not above 1 + 1e-6, or above 1e100.

    Source: T6.crossover.

    >>> round(crossover(1.25), 3)
    1.185
    """
    if not 1 + 1e-6 <= stretch <= 1e100:  # closer to 1 the terms of the equation cancel
        raise Misuse(f"the solved value is {stretch} times as long as the read-out; it must be above 1 + 1e-6, "
                     "such as 1.25")  # fmt: skip
    square, rate = stretch**2 - 1, 2 * (1 - 1 / stretch)

    def difference(x: float) -> float:
        """The equation over e^(κx)."""
        return math.exp((square - rate) * x) + square * math.exp(-rate * x) - stretch**2

    least = math.log(square * rate / (square - rate)) / square  # where the derivative vanishes
    high = 2 * least
    while difference(high) <= 0:
        high *= 2
    return float(optimize.brentq(difference, least, high, xtol=1e-15 * high, rtol=1e-14))
