"""A prediction of theory beside Monte Carlo in several settings: one claim, one check, one planted twin."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sim.montecarlo import student_interval
from theory.claim import Claim, Compared, Evidence, Kind, Verdict

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

        "=": every interval over seeds covers its number;   "<=": none lies above it;
        "~": |mean − number| ≤ error·|number|, and the mean's standard error is at most error·|number|

    A claim and its twin are decided on the same samples, so that the twin is rejected for its number, not by chance.

    Args:
        id: of the claim.
        source: where the prediction comes from.
        statement: what is predicted, and in which settings.
        settings: the experiments, at least three; each is run once, for the claim and for its twin.
        predicted: theory's number for every setting, finite.
        twin: false numbers of the same form, which the same check rejects; finite, and at least one another.
        twin_statement: what they assert.
        relation: "=" exact in the mean, "<=" a bound, "~" an approximation.
        error: the largest relative error that an approximation is allowed; 0 for the other two.
        command: prints the confrontation.
        verdict: of the account when the check establishes the numbers.

    Returns:
        The claim; nothing is simulated before its check runs.

    Raises:
        ValueError: see `refuse_misuse` and, once a setting has run, `interval_of`.
    """
    refuse_misuse(id, len(settings), predicted, twin, relation, error)
    runs = [functools.cache(functools.partial(interval_of, setting)) for setting in settings]

    def check(numbers: tuple[float, ...]) -> Evidence:
        intervals = [run() for run in runs]
        verdicts = [agrees(*pair, relation, error) for pair in zip(intervals, numbers, strict=True)]
        worst = max(range(len(numbers)), key=lambda i: deviation(intervals[i], numbers[i], relation))
        at = intervals[worst]
        lines = (
            f"{setting.name}: {interval.mean:.5g} [{interval.low:.5g}, {interval.high:.5g}] {relation} {number:.5g}"
            f"{apart(interval, number)}"
            for setting, interval, number in zip(settings, intervals, numbers, strict=True)
        )
        return Evidence(
            all(verdicts),
            measured=at.mean,
            expected=numbers[worst],
            tolerance=error * abs(numbers[worst]) if error else (at.high - at.low) / 2,
            interval=(at.low, at.high),
            steps=(*lines, f"Student t over seeds at level {CONFIDENCE}"),
            compared=tuple(
                Compared(setting.name, interval.mean, interval.low, interval.high, number, relation)
                for setting, interval, number in zip(settings, intervals, numbers, strict=True)
            ),
        )

    return Claim(
        id, source, Kind.SIMULATED, statement, check, tuple(map(float, predicted)), tuple(map(float, twin)),
        twin_statement, verdict, command or f"python -m sim confront {id}",
    )  # fmt: skip


def refuse_misuse(
    id: str, settings: int, predicted: Sequence[float], twin: Sequence[float], relation: Relation, error: float
) -> None:
    """Raise for a confrontation that could not decide anything.

    Raises:
        ValueError: fewer than three settings, another number of predictions, a prediction that is not finite, a twin
            that predicts the same, an error that does not fit the relation, or a 0 to approximate.
    """
    if settings < 3 or len(predicted) != settings or len(twin) != settings:
        raise ValueError(f"{id} has {settings} settings, {len(predicted)} numbers and {len(twin)} of its twin; "
                         "give at least three settings and one number each")  # fmt: skip
    if not (0 < error < 1 if relation == "~" else error == 0):
        raise ValueError(f"{id} has the error {error}; an approximation states one between 0 and 1, the others none")
    if not np.all(np.isfinite([*predicted, *twin])) or tuple(predicted) == tuple(twin):
        raise ValueError(f"{id} predicts {predicted} and its twin {twin}; give finite numbers, and others to the twin")
    if relation == "~" and 0 in (*predicted, *twin):
        raise ValueError(f"{id} approximates 0, of which no error is a share; shift the quantity")


class Measured(NamedTuple):
    """What the seeds of one setting gave.

    Attributes:
        mean: of the samples.
        low: the lower end of its Student interval.
        high: the upper end.
        error: its standard error.
    """

    mean: float
    low: float
    high: float
    error: float


def interval_of(setting: Setting) -> Measured:
    """The mean over a setting's seeds, its interval and its standard error.

    Raises:
        ValueError: samples that are not one number a seed, of three seeds at least.
    """
    samples = np.asarray(setting.samples(), dtype=float)
    if samples.ndim != 1 or len(samples) < 3:
        raise ValueError(f"{setting.name} gave samples of shape {samples.shape}; give one number a seed, three or more")
    return Measured(*student_interval(samples, CONFIDENCE), float(samples.std(ddof=1) / np.sqrt(len(samples))))


def apart(found: Measured, number: float) -> str:
    """How far a mean lies from its number, relative, with its standard error; nothing to say of 0."""
    if not number:
        return ""
    return f" ({100 * (found.mean / number - 1):+.2f} %, standard error {100 * found.error / abs(number):.2f} %)"


def agrees(found: Measured, number: float, relation: Relation, error: float) -> bool:
    """Whether what was measured agrees with a predicted number."""
    if relation == "=":
        return found.low <= number <= found.high
    if relation == "<=":
        return found.low <= number
    allowed = error * abs(number)
    return abs(found.mean - number) <= allowed and found.error <= allowed


def deviation(found: Measured, number: float, relation: Relation) -> float:
    """How far a mean lies from its number: in half-widths of the interval, or relative for an approximation."""
    off = found.mean - number if relation == "<=" else abs(found.mean - number)
    if relation == "~":
        return off / abs(number)
    half = (found.high - found.low) / 2
    return off / half if half else float(np.sign(off))
