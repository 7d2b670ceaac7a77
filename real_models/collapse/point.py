"""Where a stream collapses: CP@60 with its bracket, from a run's checkpoints."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import pandas as pd

THRESHOLD = 60.0
"""Percent; CP@60 as the field names it."""
FEWEST = 32
"""Edits below which an evaluation says too little: of eight edits a score near 60 has an error of 15 points."""


class Bracket(NamedTuple):
    """The collapse point lies in (low, high].

    Attributes:
        low: edits at the last checkpoint before it; 0 where there is none.
        high: edits at the first checkpoint below the threshold; infinity where the stream ends before.
    """

    low: float
    high: float

    @property
    def seen(self) -> bool:
        """Whether the stream collapsed."""
        return math.isfinite(self.high)

    def __str__(self) -> str:
        return f"({self.low:.0f}, {self.high:.0f}]" if self.seen else f"> {self.low:.0f}"


def collapse_point(checkpoints: pd.DataFrame, score: str = "score_rescaled", threshold: float = THRESHOLD) -> Bracket:
    """CP@60: the number of edits at which the score of all edits so far falls below the threshold, and is so next time.

    Args:
        checkpoints: one stream's, with `step` and the score; the unedited model's row is not read.
        score: "score_rescaled" (harmonic mean of efficacy, generalisation and specificity, each measured from the 50 %
            of a model that answers at random), "score_exact", "score", or any column in percent.
        threshold: in percent.

    Returns:
        The bracket that the distance of the checkpoints leaves. A score that is missing counts as none, so that a
        stream which stopped on a non-finite number collapses there. One evaluation below the threshold between others
        above it is taken for its own error, and evaluations of fewer than `FEWEST` edits are not read.

    Source: the published work gives CP@60 without a definition; this one is ours.

    >>> collapse_point(pd.DataFrame({"step": [0, 50, 100], "score": [0.0, 70.0, 55.0]}), "score")
    Bracket(low=50.0, high=100.0)
    """
    edited = checkpoints[checkpoints["step"] > 0].sort_values("step")
    edited = edited[(edited["step"] >= FEWEST) | edited[score].isna()]
    steps = edited["step"].to_numpy(float)
    below = ~(edited[score].to_numpy(float) >= threshold)
    below &= np.append(below[1:], True)
    if not below.any():
        return Bracket(float(steps[-1]) if len(steps) else 0.0, math.inf)
    first = int(below.argmax())
    return Bracket(float(steps[first - 1]) if first else 0.0, float(steps[first]))
