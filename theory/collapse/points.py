"""T6: the collapse point CP@q, for one stream and over seeds; what theory predicts of it is in success."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from theory.command import Misuse


@dataclass(frozen=True)
class Bracket:
    """Where a collapse point lies: above `last` and at most `first` edits.

    A fall and a recovery between two checkpoints go unseen: the bracket is that of the curve on the checkpoints.

    Attributes:
        last: the last checkpoint at or above q before the fall; 0 where already the first checkpoint is below.
        first: the first checkpoint below q; None where none is: right-censored.

    >>> str(Bracket(400, 500)), str(Bracket(20877, None)), str(Bracket(0, 100))
    ('400 to 500', '> 20877', '<= 100')
    """

    last: int
    first: int | None

    @property
    def censored(self) -> bool:
        """Whether the stream ended before a fall was seen."""
        return self.first is None

    @property
    def high(self) -> float:
        """The upper end, infinite where censored."""
        return math.inf if self.first is None else float(self.first)

    def __str__(self) -> str:
        if self.first is None:
            return f"> {self.last}"
        return f"{self.last} to {self.first}" if self.last else f"<= {self.first}"


@dataclass(frozen=True)
class Seeds:
    """The collapse points of several seeds.

    Attributes:
        median: a bracket of the sample median.
        interval: lower and upper end of an interval for the law's median; the ends are 0 and infinite where the
            seeds do not bound it.
        coverage: the probability with which such an interval holds the law's median, at least.
        censored: how many seeds never fell.
    """

    median: Bracket
    interval: tuple[float, float]
    coverage: float
    censored: int

    def __str__(self) -> str:
        low, high = (f"{end:g}" for end in self.interval)
        return f"median {self.median}, {100 * self.coverage:.1f} % interval {low} to {high}, {self.censored} censored"


def collapse_point(checkpoints: Sequence[int], success: Sequence[float], q: float) -> Bracket:
    """CP@q: the first checkpoint at which the success rate over all edits so far falls below q %, as a bracket.

        first = min{t : success_t < q},   last = max{t < first : success_t measured}

    A curve that recovers has collapsed at its first fall. A NaN rate is no measurement and widens the bracket; a model
    whose outputs are NaN answers wrongly and has the rate 0, not NaN.

    Args:
        checkpoints: numbers of edits, positive and increasing.
        success: the rate at each checkpoint over all edits so far, in percent: 100·right/edits, in this order, is
            exactly q where it should be (100·(57/100) is not 57 in floats).
        q: the threshold in percent, in (0, 100].

    Returns:
        The bracket; "> N" where no measured rate lies below q, N the last measured checkpoint.

    Raises:
        Misuse: lengths that differ, checkpoints out of order, rates or q outside 0..100, or no measured rate.

    Source: T6.collapse_point.

    >>> str(collapse_point([100, 200, 300], [99.0, 71.0, 40.0], 60))
    '200 to 300'
    """
    if len(checkpoints) != len(success):
        raise Misuse(f"{len(checkpoints)} checkpoints have {len(success)} success rates; give one rate each")
    whole = all(point >= 1 and point == int(point) for point in checkpoints)
    if list(checkpoints) != sorted(set(checkpoints)) or not whole:
        raise Misuse(f"the checkpoints {list(checkpoints)} do not increase from 1 on; sort them and drop repetitions")
    if not 0 < q <= 100 or any(not 0 <= rate <= 100 for rate in success if not math.isnan(rate)):
        raise Misuse(f"success rates and q = {q} are percentages, 0 to 100, with q > 0; multiply shares by 100")
    measured = [(point, rate) for point, rate in zip(checkpoints, success, strict=True) if not math.isnan(rate)]
    if not measured:
        raise Misuse(f"none of the {len(success)} success rates is a number; evaluate at least one checkpoint")
    last = 0
    for point, rate in measured:
        if rate < q:
            return Bracket(last, int(point))
        last = int(point)
    return Bracket(last, None)


def median_rank(count: int, level: float) -> int:
    """The rank k for which the k-th smallest and the k-th largest of N samples enclose their law's median.

        k = max{k : 1 − 2 P(Bin(N, ½) < k) ≥ level}

    Args:
        count: N independent samples.
        level: the coverage asked for, in (0, 1).

    Returns:
        k, 0 where even the extremes enclose it too seldom.

    Source: T6.seeds.

    >>> median_rank(6, 0.95), median_rank(5, 0.95)
    (1, 0)
    """
    ranks = range(1, count // 2 + 1)
    return max((k for k in ranks if covered(count, k) >= level), default=0)


def covered(count: int, rank: int) -> float:
    """1 − 2 P(Bin(N, ½) < k): how often the k-th smallest and largest of N samples enclose a continuous law's median.

    >>> covered(6, 1)
    0.96875
    """
    return 1 - 2 * sum(math.comb(count, below) for below in range(rank)) / 2**count


def collapse_over_seeds(brackets: Sequence[Bracket], level: float = 0.95) -> Seeds:
    """The median collapse point of several seeds with an order-statistic interval; honest with censored seeds.

        sample median in [lows_⌈N/2⌉, highs_⌊N/2⌋+1],   law's median in [lows_k, highs_N+1−k]   (sorted, from 1)

    Each seed's collapse point lies in its bracket, so lower ends stand in for it below and upper ends above. A law
    that is not continuous is covered at least as often. The interval cuts both tails alike; it is unbounded above where
    too many seeds are censored, and trivial where there are too few seeds.

    Args:
        brackets: one for every independent seed, of one stream length and q.
        level: the coverage asked for, in (0, 1).

    Returns:
        Median, interval, and the coverage that it has.

    Raises:
        Misuse: no seed, or a level outside (0, 1).

    Source: T6.seeds.

    >>> collapse_over_seeds([Bracket(100, 200), Bracket(200, 300), Bracket(400, None)]).median
    Bracket(last=200, first=300)
    """
    count = len(brackets)
    if not count or not 0 < level < 1:
        raise Misuse(f"{count} seeds and level {level} are given; give at least one seed and a level inside (0, 1)")
    lows = sorted(bracket.last for bracket in brackets)
    highs = sorted(bracket.high for bracket in brackets)
    low, high = lows[(count - 1) // 2], highs[count // 2]
    k = median_rank(count, level)
    interval = (float(lows[k - 1]), highs[count - k]) if k else (0.0, math.inf)
    median = Bracket(low, int(high) if math.isfinite(high) else None)
    return Seeds(median, interval, covered(count, k) if k else 1.0, sum(bracket.censored for bracket in brackets))
