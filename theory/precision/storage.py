"""T7: what storing one given weight in a format does to ‖W‖²_C: its size from the gaps around its own entries."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from theory.command import Misuse
from theory.precision.formats import Format


def gaps(values: ArrayLike, target: Format) -> NDArray[np.float64]:
    """The gap of a format in the binade of every number: 2u 2^e for |w| from 2^e to 2^(e+1), subnormals apart.

    Args:
        values: w, of any shape.
        target: the format.

    Returns:
        The gaps, of the shape of `values`; what rounds to a number lies within half of its gap.

    >>> from theory.precision.formats import BFLOAT16
    >>> (gaps([1.0, 1.99, 2.0], BFLOAT16) * 128).tolist()
    [1.0, 1.0, 2.0]
    """
    numbers, smallest = np.asarray(values, dtype=np.float64), float(target.smallest)
    gap = np.ldexp(2 * float(target.unit_roundoff), np.frexp(numbers)[1] - 1)
    return np.where(numbers == 0, smallest, np.maximum(gap, smallest))


def entry_variance(slope: Any, gap: Any) -> Any:
    """The variance of a·e for an error e that is uniform on ±g/2: a²g²/12.

    Args:
        slope: a, the derivative of ‖W‖²_C by an entry, 2(W'C)_ij.
        gap: g, of the format at that entry.

    Returns:
        In the units of ‖W‖²_C, squared.

    Source: T7.stored_change.

    >>> entry_variance(2.0, 3.0)
    3.0
    """
    return slope**2 * gap**2 / 12


def stored_noise(slope: ArrayLike, gap: ArrayLike) -> float:
    """The standard deviation that ‖W'‖²_C has from the storing of W', to first order: √Σ (2(W'C)_ij)² g_ij²/12.

    Args:
        slope: 2W'C, of the shape of the stored W'.
        gap: `gaps` of W'.

    Returns:
        σ, in the units of ‖W‖²_C.

    Source: T7.stored_change.

    >>> stored_noise([6.0, 8.0], [1.2, 1.2]) == math.sqrt(12.0)
    True
    """
    return math.sqrt(float(np.sum(entry_variance(np.asarray(slope, dtype=float), np.asarray(gap, dtype=float)))))


def noise_level(writes: int, alarm: float) -> float:
    """How many σ one of N stored writes reaches with a probability of at most α: z = √(2 ln(2N/α)).

    Args:
        writes: N ≥ 1.
        alarm: α, between 0 and 1.

    Returns:
        z.

    Raises:
        Misuse: no write, or another α.

    Source: T7.stored_change.

    >>> round(noise_level(1, 0.01), 2), round(noise_level(1000, 0.01), 2)
    (3.26, 4.94)
    """
    if writes < 1 or not 0 < alarm < 1:
        raise Misuse(f"{writes} writes and a false alarm of {alarm} are given; give at least one write and a "
                     "probability between 0 and 1")  # fmt: skip
    return math.sqrt(2 * math.log(2 * writes / alarm))
