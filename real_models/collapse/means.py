"""Means over seeds with their intervals, and what a claim on several of them comes to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import stdtrit

from theory.claim import Evidence


class Mean(NamedTuple):
    """A mean with a 95 % Student interval.

    Attributes:
        value: the mean.
        low: lower end.
        high: upper end.
    """

    value: float
    low: float
    high: float

    def within(self, low: float, high: float) -> bool:
        """Whether the whole interval lies in [low, high]; of a single value, which has no interval, never."""
        return bool(low <= self.low and self.high <= high)

    def outside(self, low: float, high: float) -> bool:
        """Whether no point of the interval lies in [low, high]."""
        return bool(self.high < low or self.low > high)

    def __str__(self) -> str:
        return f"{self.value:.3g} [{self.low:.3g}, {self.high:.3g}]"


def mean_of(values: ArrayLike) -> Mean:
    """The mean of independent values and its Student interval; NaN for one value alone, or where one is not finite.

    >>> mean_of([1.0, 2.0, 3.0]).value
    2.0
    """
    x = np.asarray(values, dtype=float)
    if len(x) < 2 or not np.isfinite(x).all():
        return Mean(float(x.mean()), np.nan, np.nan)
    half = stdtrit(len(x) - 1, 0.975) * x.std(ddof=1) / np.sqrt(len(x))
    return Mean(float(x.mean()), float(x.mean() - half), float(x.mean() + half))


def in_every(
    found: Mapping[str, Mean], expected: str, steps: tuple[str, ...] = (), *, low: float = -np.inf, high: float = np.inf
) -> Evidence:
    """That a mean lies in [low, high] wherever it was measured: every interval must; one outside refutes.

    Args:
        found: name -> mean over seeds.
        expected: the same in words.
        steps: what else a reader should see.
        low: the statement's lower end.
        high: its upper end.

    Returns:
        The evidence; its number is the mean that is farthest from the statement.
    """
    far = {name: max(low - one.low, one.high - high) for name, one in found.items()}
    worst = max(far, key=lambda name: (far[name] != far[name], far[name]))
    return _evidence(
        found,
        worst,
        all(one.within(low, high) for one in found.values()),
        any(one.outside(low, high) for one in found.values()),
        expected,
        steps,
    )


def in_some(found: Mapping[str, Mean], expected: str, steps: tuple[str, ...] = (), *, low: float) -> Evidence:
    """That a mean is at least `low` somewhere: one interval must lie above, and only all of them below refute.

    Args:
        found: name -> mean over seeds.
        expected: the same in words.
        steps: what else a reader should see.
        low: the statement's lower end.

    Returns:
        The evidence; its number is the largest mean.
    """
    best = max(found, key=lambda name: found[name].value)
    return _evidence(
        found,
        best,
        any(one.within(low, np.inf) for one in found.values()),
        all(one.outside(low, np.inf) for one in found.values()),
        expected,
        steps,
    )


def _evidence(
    found: Mapping[str, Mean], name: str, established: bool, refuted: bool, expected: str, steps: tuple[str, ...]
) -> Evidence:
    shown = found[name]
    listed = tuple(f"{key}: {one}" for key, one in found.items())
    return Evidence(
        established,
        shown.value,
        expected,
        interval=(shown.low, shown.high),
        undecided=not established and not refuted,
        steps=(*listed, *steps),
    )
