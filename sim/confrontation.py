"""A prediction of theory beside Monte Carlo in several settings: one claim, one check, one planted twin."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from sim.montecarlo import Interval, student_interval
from theory.claim import Claim, Evidence, Kind, Verdict

CONFIDENCE = 0.99994
"""Two-sided level of 4 normal standard errors: a true prediction is missed with probability 6e-5."""

Relation = Literal["=", "<=", "~"]


@dataclass(frozen=True)
class Setting:
    """One experiment of a confrontation.

    Attributes:
        name: what sets it apart, such as "m = 6, n = 10, anisotropy 8".
        samples: runs it; one number for every independent seed.
    """

    name: str
    samples: Callable[[], NDArray[np.float64]] = field(repr=False)


def confront(
    id: str,
    source: str,
    statement: str,
    *,
    settings: Sequence[Setting],
    predicted: Sequence[float],
    twin: Sequence[float],
    twin_statement: str,
    relation: Relation = "=",
    error: float = 0.0,
    command: str = "",
    verdict: Verdict = Verdict.HOLDS,
) -> Claim[tuple[float, ...]]:
    """A claim that sets theory's numbers beside simulated ones.

        "=": every interval over seeds covers its number;   "<=": none lies above it;   "~": |mean/number − 1| ≤ error

    Args:
        id: of the claim.
        source: where the prediction comes from.
        statement: what is predicted, and in which settings.
        settings: the experiments, at least three; each is run once, for the claim and for its twin.
        predicted: theory's number for every setting.
        twin: false numbers of the same form, which the same check rejects.
        twin_statement: what they assert.
        relation: "=" exact in the mean, "<=" a bound, "~" an approximation.
        error: the largest relative error that an approximation is allowed; 0 for the other two.
        command: prints the confrontation.
        verdict: of the account when the check establishes the numbers.

    Returns:
        The claim; nothing is simulated before its check runs.

    Raises:
        ValueError: fewer than three settings, another number of predictions, or an error where none is allowed.
    """
    if len(settings) < 3 or len(predicted) != len(settings) or len(twin) != len(settings):
        raise ValueError(f"{id} has {len(settings)} settings, {len(predicted)} numbers and {len(twin)} of its twin; "
                         "give at least three settings and one number each")  # fmt: skip
    if (relation == "~") != (error > 0):
        raise ValueError(f"{id}: an approximation states its error, and only an approximation has one")
    runs = [functools.cache(setting.samples) for setting in settings]

    def check(numbers: tuple[float, ...]) -> Evidence:
        intervals = [student_interval(run(), CONFIDENCE) for run in runs]
        verdicts = [agrees(*pair, relation, error) for pair in zip(intervals, numbers, strict=True)]
        worst = max(range(len(numbers)), key=lambda i: deviation(intervals[i], numbers[i], relation))
        at = intervals[worst]
        lines = (
            f"{setting.name}: {interval.mean:.5g} [{interval.low:.5g}, {interval.high:.5g}] {relation} {number:.5g}"
            f" ({100 * (interval.mean / number - 1):+.2f} %)"
            for setting, interval, number in zip(settings, intervals, numbers, strict=True)
        )
        return Evidence(
            all(verdicts),
            measured=at.mean,
            expected=numbers[worst],
            tolerance=error * abs(numbers[worst]) if error else (at.high - at.low) / 2,
            interval=(at.low, at.high),
            steps=(*lines, f"Student t over seeds at level {CONFIDENCE}"),
        )

    return Claim(
        id, source, Kind.SIMULATED, statement, check, tuple(map(float, predicted)), tuple(map(float, twin)),
        twin_statement, verdict, command or f"python -m sim confront {id}",
    )  # fmt: skip


def agrees(interval: Interval, number: float, relation: Relation, error: float) -> bool:
    """Whether a measured interval agrees with a predicted number."""
    if relation == "=":
        return interval.covers(number)
    if relation == "<=":
        return interval.low <= number
    return abs(interval.mean / number - 1) <= error


def deviation(interval: Interval, number: float, relation: Relation) -> float:
    """How far a mean lies from its number: in half-widths of the interval, or relative for an approximation."""
    apart = interval.mean - number
    half = (interval.high - interval.low) / 2
    if relation == "~":
        return abs(apart / number)
    return (apart if relation == "<=" else abs(apart)) / half if half else float(np.sign(abs(apart)))
