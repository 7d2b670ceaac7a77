"""Rates and lines from one serially correlated series, with intervals that do not pretend its points independent."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import stdtrit

COINTEGRATED = -3.37
"""Engle and Granger's 5 % value of the residuals' unit-root statistic for two series with a constant."""


class Rate(NamedTuple):
    """A mean increment a step.

    Attributes:
        mean: (last − first)/steps.
        low: lower end of the interval.
        high: upper end.
    """

    mean: float
    low: float
    high: float


class Line(NamedTuple):
    """A least-squares line y = intercept + slope · x.

    Attributes:
        slope: in units of y a unit of x.
        intercept: in units of y.
        r_squared: share of y's variance on the line.
        low: lower end of the slope's interval.
        high: upper end.
        unit_root: Dickey and Fuller's t of the residuals; the interval means something only below `COINTEGRATED`.
    """

    slope: float
    intercept: float
    r_squared: float
    low: float
    high: float
    unit_root: float


def mean_rate(series: ArrayLike, segments: int = 10, confidence: float = 0.95) -> Rate:
    """The mean increment of a series, with a Student interval from disjoint segments.

        rate = (y_T − y_0)/T,   interval from the `segments` rates of equal stretches of the series

    Args:
        series: y_0 ... y_T, at least two points a segment.
        segments: how many stretches; their rates count as independent.
        confidence: of the interval.

    Returns:
        The rate in units of y a step.

    >>> mean_rate(range(101)).mean
    1.0
    """
    y = np.asarray(series, dtype=float)
    edges = np.linspace(0, len(y) - 1, segments + 1).round().astype(int)
    rates = np.diff(y[edges]) / np.diff(edges)
    half = stdtrit(segments - 1, (1 + confidence) / 2) * rates.std(ddof=1) / np.sqrt(segments)
    mean = (y[-1] - y[0]) / (len(y) - 1)
    return Rate(float(mean), float(mean - half), float(mean + half))


def fit_line(
    x: ArrayLike, y: ArrayLike, *, block: int = 20, resamples: int = 1000, seed: int = 0, confidence: float = 0.95
) -> Line:
    """Least squares with a percentile interval of the slope from a moving-block bootstrap.

        slope = cov(x, y)/var(x);   unit root: t of ρ in e_t − e_{t−1} = ρ e_{t−1} + noise, e the residuals

    Two series that wander, each on its own, show slopes that no bootstrap recognises as chance (a spurious
    regression): read the slope as a law only where `unit_root` is below `COINTEGRATED`.

    Args:
        x: abscissae, in the order in which they were measured.
        y: ordinates.
        block: consecutive points that are resampled together, so that their correlation is kept.
        resamples: bootstrap samples.
        seed: of the bootstrap.
        confidence: of the interval.

    Returns:
        The line with R² and the slope's interval.

    >>> fit_line(range(50), [3 + 2 * x for x in range(50)]).slope
    2.0
    """
    xs, ys = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    slope, intercept, r_squared = _line(xs, ys)
    chance = np.random.default_rng(seed)
    width = min(block, len(xs))
    starts = chance.integers(0, len(xs) - width + 1, size=(resamples, -(-len(xs) // width)))
    picks = (starts[..., None] + np.arange(width)).reshape(resamples, -1)[:, : len(xs)]
    slopes = np.array([_line(xs[pick], ys[pick])[0] for pick in picks])
    low, high = np.quantile(slopes, [(1 - confidence) / 2, (1 + confidence) / 2])
    residuals = ys - intercept - slope * xs
    return Line(slope, intercept, r_squared, float(low), float(high), dickey_fuller(residuals))


def dickey_fuller(residuals: ArrayLike) -> float:
    """Dickey and Fuller's t statistic, without lags: how surely a series returns to zero.

        t = ρ̂/se(ρ̂) in e_t − e_{t−1} = ρ e_{t−1} + noise

    Args:
        residuals: e_0 ... e_T.

    Returns:
        t; strongly negative for a series that forgets, near zero for a random walk, minus infinity for none left.

    >>> dickey_fuller([1.0, -1.0] * 20) < COINTEGRATED
    True
    """
    e = np.asarray(residuals, dtype=float)
    past, change = e[:-1], np.diff(e)
    power = float(past @ past)
    scale = float(np.abs(e).max(initial=0.0))
    if power == 0 or scale < 1e-12:
        return float("-inf")
    rho = float(past @ change) / power
    noise = change - rho * past
    error = np.sqrt(float(noise @ noise) / (len(past) - 1) / power)
    return rho / float(error) if error > 0 else float("-inf")


def _line(x: NDArray[np.float64], y: NDArray[np.float64]) -> tuple[float, float, float]:
    dx, dy = x - x.mean(), y - y.mean()
    spread = float(dx @ dx)
    if spread == 0:
        return float("nan"), float("nan"), float("nan")
    slope = float(dx @ dy) / spread
    r_squared = float(dx @ dy) ** 2 / (spread * float(dy @ dy)) if float(dy @ dy) > 0 else float("nan")
    return slope, float(y.mean() - slope * x.mean()), r_squared
