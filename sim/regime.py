"""Which regime a norm shows over the time looked at: a sequential test over doubling times, on independent streams.

Every statement is on growth from t/4 to t. An exponential too slow to be seen by then looks bounded, a long relaxation
looks like a power: only theory, or more edits, can tell.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from sim.montecarlo import Interval, student_interval

Regime = Literal["exponential", "polynomial", "bounded", "shrinking", "undecided"]

RESOLUTION = 0.1
"""A power of ‖W‖², over two doublings, whose absolute value is below this is called bounded."""

HIGHEST = 3.0
"""Growth below that of this power, over a doubled time, is not called exponential, however it bends."""

STEADY = (0.75, 1.5)
"""Growth over a doubled time, relative to the doubling before it: 1 for a power of time, 2 for an exponential. (At the
first look 0.82 and 1.75, as the first level averages t/2 to t and later ones ¾t to t.)"""


class Look(NamedTuple):
    """What one look saw, over the time from `edits`/2 to `edits`.

    Attributes:
        edits: t.
        growth: mean of log R_t − log R_{t/2}, R = ‖W‖²_F, with its interval over streams.
        ratio: its mean over that of the look before.
        regime: what this look says.
    """

    edits: int
    growth: Interval
    ratio: float
    regime: Regime


class Level(NamedTuple):
    """Where the streams stood.

    Attributes:
        edits: t.
        log_norm_sq: mean of log R_t with its interval over the streams that are still in range.
    """

    edits: int
    log_norm_sq: Interval


class Verdict(NamedTuple):
    """A regime with its evidence.

    Attributes:
        regime: what two looks in a row agreed on, or "undecided".
        looks: all of them.
        levels: log R from the first time on, for a picture; no test rests on them.
        error_rate: of the t tests of all looks together, under normal log R: what they say of the growth over the time
            looked at is wrong with this probability at most. It is no statement on what comes after.
        overflowed: how many streams left their dtype's range before the last look.
    """

    regime: Regime
    looks: tuple[Look, ...]
    levels: tuple[Level, ...]
    error_rate: float
    overflowed: int


def decide(earlier: NDArray[np.float64], later: NDArray[np.float64], level: float) -> Regime:
    """What two successive doublings say, every inequality by a one-sided t test at `level`.

        bounded       |earlier + later| < 2δ and |later| < 2δ, unless they are a slow exponential's
        shrinking     later < −δ  and  later < ¾ earlier                       δ = RESOLUTION · log 2
        polynomial    later > δ   and  ¾ earlier < later < 1½ earlier
        exponential   later > HIGHEST · log 2  and  later > 1½ earlier

    Args:
        earlier: (N,) growth of log R over the doubling before, one a stream.
        later: (N,) over this one.
        level: of each test.

    Returns:
        The regime, or "undecided".

    >>> x = np.linspace(0.99, 1.01, 8)
    >>> [decide(a * x, b * x, 0.01) for a, b in ((3, 6), (0.7, 0.7), (0.0, 0.0), (-1, -2), (0.7, 1.4))]
    ['exponential', 'polynomial', 'bounded', 'shrinking', 'undecided']
    """

    def below(samples: NDArray[np.float64], bound: float) -> bool:
        return _upper(samples, level) < bound

    def above(samples: NDArray[np.float64], bound: float) -> bool:
        return below(-samples, -bound)

    small, (slow, fast) = RESOLUTION * math.log(2), STEADY
    if all(above(samples, -2 * small) and below(samples, 2 * small) for samples in (earlier + later, later)):
        return "undecided" if _doubling(earlier, later, level) else "bounded"
    if below(later, -small) and below(later - slow * earlier, 0.0):
        return "shrinking"
    if above(later, HIGHEST * math.log(2)) and above(later - fast * earlier, 0.0):
        return "exponential"
    if above(later, small) and below(later - fast * earlier, 0.0) and above(later - slow * earlier, 0.0):
        return "polynomial"
    return "undecided"


def _doubling(earlier: NDArray[np.float64], later: NDArray[np.float64], level: float) -> bool:
    """Whether growth, small as it is, is above 0 and above 1½ times the growth before, as an exponential's is."""
    return _upper(-later, level) < 0 and _upper(STEADY[1] * earlier - later, level) < 0


def _upper(samples: NDArray[np.float64], level: float) -> float:
    """A one-sided upper confidence bound of the mean."""
    error = float(samples.std(ddof=1)) / math.sqrt(len(samples))
    return float(samples.mean()) + float(stdtrit(len(samples) - 1, 1 - level)) * error


def sequential_test(
    extend: Callable[[int], NDArray[np.float64]], first: int, looks: int, *, error_rate: float = 0.01
) -> Verdict:
    """Look after doubling times until two looks in a row agree.

    Args:
        extend: t -> log R after t edits, (N,) one a stream, NaN for streams that have overflowed; t only grows.
        first: t of the start of the first doubling; transients should be over by then.
        looks: how many doublings at most, 2 at least.
        error_rate: shared over all looks and the tests of each (Bonferroni).

    Returns:
        The verdict. Streams that leave their dtype's range are left out of later looks; from then on the rest are
        survivors, and only "exponential" may be named. Once fewer than four are left the test ends, and one look for an
        exponential is enough where most have gone.
    """
    level = error_rate / (3 * looks)
    times = [first * 2**j for j in range(looks + 1)]
    before, start = None, extend(times[0])
    now, seen, levels = start, list[Look](), _levels(times[0], start)
    for edits in times[1:]:
        now = extend(edits)
        levels += _levels(edits, now)
        kept = np.isfinite(now) & np.isfinite(start)
        if kept.sum() < 4:
            break
        growth = now - start
        if before is not None:
            ratio = float(growth[kept].mean() / before[kept].mean()) if before[kept].mean() else math.nan
            seen.append(
                Look(edits, student_interval(growth[kept], 0.95), ratio, decide(before[kept], growth[kept], level))
            )
        if len(seen) > 1 and seen[-1].regime == seen[-2].regime != "undecided":
            break
        before, start = growth, now
    gone = ~np.isfinite(now)
    regime = _agreed(seen, bool(gone.mean() > 0.5))
    regime = "undecided" if gone.any() and regime != "exponential" else regime
    return Verdict(regime, tuple(seen), tuple(levels), error_rate, int(gone.sum()))


def _levels(edits: int, logs: NDArray[np.float64]) -> list[Level]:
    """The level of the streams that are in range; none of fewer than four."""
    kept = logs[np.isfinite(logs)]
    return [Level(edits, student_interval(kept))] if len(kept) >= 4 else []


def _agreed(looks: Sequence[Look], gone: bool) -> Regime:
    """What the last two looks agree on; or "exponential" on one, where most streams have since left their range."""
    if len(looks) > 1 and looks[-1].regime == looks[-2].regime:
        return looks[-1].regime
    return "exponential" if gone and looks and looks[-1].regime == "exponential" else "undecided"
