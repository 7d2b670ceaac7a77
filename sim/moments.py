"""Means and variances of a stream's columns while it runs, in memory that does not grow with it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Moments(NamedTuple):
    """Number, mean and sum of squared deviations of the finite numbers seen so far (Welford; Chan, Golub, LeVeque).

    Attributes:
        number: N.
        mean: x̄.
        deviations: Σ(x − x̄)².
    """

    number: int = 0
    mean: float = 0.0
    deviations: float = 0.0

    def merged(self, values: NDArray[np.float64]) -> Moments:
        """These moments with a chunk of numbers added.

            δ = x̄_b − x̄_a,   x̄ = x̄_a + δ N_b/N,   D = D_a + D_b + δ² N_a N_b/N

        >>> Moments().merged(np.array([1.0, 2.0])).merged(np.array([6.0])).mean
        3.0
        """
        chunk = values[np.isfinite(values)]
        if not len(chunk):
            return self
        with np.errstate(over="ignore", invalid="ignore"):
            total, center = self.number + len(chunk), chunk.mean()
            gap, spread = center - self.mean, ((chunk - center) ** 2).sum()
            between = gap**2 * self.number * len(chunk) / total
            mean = self.mean + gap * len(chunk) / total
        return Moments(total, float(mean), float(self.deviations + spread + between))

    @property
    def deviation(self) -> float:
        """The standard deviation √(D/(N − 1)); NaN below two numbers; numbers too large to square give infinity."""
        return math.sqrt(self.deviations / (self.number - 1)) if self.number > 1 else math.nan


def merge_columns(moments: Mapping[str, Moments], columns: Mapping[str, NDArray]) -> dict[str, Moments]:
    """Every column's moments with a chunk of rows added."""
    return {
        name: moments.get(name, Moments()).merged(values.astype(float).ravel())
        for name, values in columns.items()
        if name not in ("step", "edits", "finite")
    }
