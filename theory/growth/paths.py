"""T3 along one stream: what excitation by the keys makes of log ‖W‖² on almost every path, under any law and metric."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from theory.command import Misuse
from theory.growth.key_laws import KeyLaw
from theory.growth.radius_bounds import share_matrix


class PathBounds(NamedTuple):
    """Bounds of E[log(R'/R) | W], R = ‖W‖²_{M⁻¹}, for every W ≠ 0; so of the rate of log R on almost every path.

    Attributes:
        low: 0 exactly where keys leave a direction unexcited.
        high: that of the mean norm in the direction excited most.
    """

    low: float
    high: float


def path_bounds(law: KeyLaw, ratio: float) -> PathBounds:
    """How fast a path grows at least and at most where always δ·Wk = 0 and ‖δ‖ = c‖Wk‖.

        λ_min(B) log(1 + c²) ≤ E[log(R'/R) | W] ≤ log(1 + c²λ_max(B)),   B = E[η²ŷŷᵀ]

    For hard writes λ_min(B) is the excitation μ by which an anchor contracts (T5.contraction): what lets NAS hold the
    norm is what makes it grow without.

    Args:
        law: of the keys in the metric of the write, with the share η in (0, 1].
        ratio: c, dimensionless.

    Returns:
        The bounds, in nats an edit.

    Raises:
        Misuse: a ratio that is negative or not finite.

    Source: T3.paths.

    >>> from theory.growth.key_laws import SampleKeys
    >>> path_bounds(SampleKeys(np.eye(2), np.ones(2), np.ones(2)), 1.0).low == math.log(2) / 2
    True
    """
    if not 0 <= ratio < math.inf:
        raise Misuse(f"the ratio c is {ratio}; it must be finite and at least 0")
    eigenvalues = np.linalg.eigvalsh(share_matrix(law))
    least, most = max(float(eigenvalues[0]), 0.0), float(eigenvalues[-1])
    return PathBounds(least * math.log1p(ratio**2), math.log1p(ratio**2 * most))
