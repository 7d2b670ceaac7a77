"""The collapse point foretold from a stream's first evaluations, with an interval, or none in sight."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from real_models.collapse.point import THRESHOLD, Bracket, collapse_point

LEVEL = 0.8
"""Probability that the interval is to hold."""
EXPECTED = 0.6
"""Probability of a collapse before the stream's end from which on it counts as in sight."""
POWERS = np.linspace(0.25, 2.5, 19)
"""Exponents b of the loss that are considered."""
TYPICAL, SPREAD = 1.0, 0.4
"""Median and spread (of log b) of what is believed of b beforehand."""
STARTS = np.array([0.0, 1.0, 2.0, 4.0, 8.0, 12.0, 16.0, 24.0, 32.0])
"""Losses L₀ of the very first edits that are considered, in points; larger ones are believed less, as exp(−L₀/8)."""
MISFIT = 3.0
"""Standard deviation, in points, of a score around the law, beside the error of its evaluation."""
FURTHEST = 25.0
"""Collapse points up to so many times the edits that were evaluated are considered, equally on a logarithmic scale."""


class Foretold(NamedTuple):
    """What is to be expected of a stream.

    Attributes:
        low, high: the collapse point lies between with probability `LEVEL`, in edits.
        median: as likely before as after.
        horizon: how many edits the stream will have.
        known: edits at the last evaluation that the forecast has read.
        chance: probability that the stream collapses before its end.
    """

    low: float
    high: float
    median: float
    horizon: int
    known: int
    chance: float

    @property
    def in_sight(self) -> bool:
        """Whether the stream is expected to collapse before its end: with probability `EXPECTED` or more."""
        return self.chance >= EXPECTED

    def brackets(self, point: Bracket) -> bool:
        """Whether the interval meets the bracket that was measured."""
        return self.low <= point.high and point.low <= self.high

    def __str__(self) -> str:
        """In one line."""
        begin, chance = f"after {self.known} edits: ", f"(chance {self.chance:.0%})"
        if not self.in_sight:
            return f"{begin}none in sight within {self.horizon} edits {chance}, earliest {self.low:.0f}"
        return f"{begin}collapse at {self.median:.0f} edits [{self.low:.0f}, {self.high:.0f}] {chance}"


def foretell(
    checkpoints: pd.DataFrame, horizon: int, score: str = "score_rescaled", threshold: float = THRESHOLD
) -> Foretold | None:
    """Foretell when a score falls below a threshold T, by a power law of its loss.

        100 − S(t) = L₀ + (100 − T − L₀) (t/t*)^b

    The collapse point t*, b and L₀ are weighed on a grid by the evaluations so far, each with its own error and
    `MISFIT`, and by what is believed of b and L₀ beforehand (the constants of this file).

    Args:
        checkpoints: one stream's evaluations so far, with `step`, the score, and for scores of comparisons the standard
            errors of their parts.
        horizon: how many edits the stream will have.
        score: a score in percent.
        threshold: T, in percent.

    Returns:
        The forecast; None where no edit was evaluated yet.

    Source: this project; the constants were chosen on streams that are none of the collapse experiment's.

    >>> curve = pd.DataFrame({"step": [20, 40, 60], "score_exact": [96.0, 92.0, 88.0]})
    >>> made = foretell(curve, 400, "score_exact")
    >>> 120 < made.median < 320, made.in_sight
    (True, True)
    """
    edited = checkpoints[checkpoints["step"] > 0].sort_values("step").dropna(subset=[score])
    if edited.empty:
        return None
    steps, scores = edited["step"].to_numpy(float), edited[score].to_numpy(float)
    errors = np.hypot(score_error(edited, score), MISFIT)
    points = np.geomspace(steps[0] / 4, FURTHEST * steps[-1], 240)
    starts = STARTS[100 - threshold > STARTS]
    t, b, start = np.meshgrid(points, POWERS, starts, indexing="ij")
    weight = -0.5 * (np.log(b / TYPICAL) / SPREAD) ** 2 - start / 8
    for step, seen, error in zip(steps, scores, errors, strict=True):
        loss = start + (100 - threshold - start) * (step / t) ** b
        weight -= 0.5 * ((100 - np.minimum(loss, 100) - seen) / error) ** 2
    chance = np.exp(weight - weight.max()).sum(axis=(1, 2))
    below = chance.cumsum() / chance.sum()
    low, median, high = (
        float(points[min(int(np.searchsorted(below, share)), len(points) - 1)])
        for share in ((1 - LEVEL) / 2, 0.5, (1 + LEVEL) / 2)
    )
    within = float(np.interp(math.log(max(horizon, 1)), np.log(points), below, left=0.0))
    return Foretold(low, high, median, horizon, int(steps[-1]), within)


def score_error(checkpoints: pd.DataFrame, score: str) -> NDArray[np.float64]:
    """The standard error of a harmonic mean from those of its parts, by the delta method; 0 where they are unknown.

    S = 3/Σ(1/xᵢ)   ⇒   SE(S) = (S²/3) √Σ(SE(xᵢ)/xᵢ²)²
    """
    parts = ("efficacy", "generalisation", "specificity")
    if score not in ("score", "score_rescaled") or not {"evaluated", *(f"{part}_se" for part in parts)} <= set(
        checkpoints
    ):
        return np.zeros(len(checkpoints))
    x, se = (checkpoints[[f"{part}{end}" for part in parts]].to_numpy(float) for end in ("", "_se"))
    count = checkpoints[["evaluated"]].to_numpy(float)
    # Eight of eight is no certainty: Jeffreys' share in place of 0 and 100 %.
    share = (x / 100 * count + 0.5) / (count + 1)
    se = np.fmax(se, 100 * np.sqrt(share * (1 - share) / count))
    if score == "score_rescaled":
        x, se = 2 * (x - 50), 2 * se
    x = np.maximum(x, 1.0)
    mean = 3 / (1 / x).sum(axis=1)
    return mean**2 / 3 * np.sqrt(((se / x**2) ** 2).sum(axis=1))


def judged(
    checkpoints: pd.DataFrame,
    horizon: int,
    share: float = 0.2,
    score: str = "score_rescaled",
    seen: pd.DataFrame | None = None,
) -> dict[str, Any]:
    """The forecast that a share of the edits to collapse, or of a stream that does not collapse, would have given.

    Args:
        checkpoints: one whole stream's evaluations.
        horizon: how many edits it has.
        share: of the edits to collapse that the forecast may read.
        score: a score in percent.
        seen: what the forecast reads in place of the stream's own evaluations.

    Returns:
        The measured bracket, the forecast's numbers, and `right`: in sight and the bracket met, or none in sight.
        `right` is None where nothing was evaluated so early.
    """
    point = collapse_point(checkpoints, score)
    until = share * (point.high if point.seen else horizon)
    own = checkpoints if seen is None else seen
    made = foretell(own[own["step"] <= until], horizon, score)
    row = {"collapsed": point.seen, "point_low": point.low, "point_high": point.high, "until": until}
    if made is None:
        none = dict.fromkeys(("low", "median", "high", "chance"), math.nan)
        return row | none | {"known": 0, "right": None}
    right = made.in_sight and made.brackets(point) if point.seen else not made.in_sight
    return (
        row
        | {"low": made.low, "median": made.median, "high": made.high, "chance": made.chance}
        | {
            "known": made.known,
            "right": right,
        }
    )
