"""T3 along one stream: what excitation by the keys makes of log ‖W‖² on almost every path, under any law and metric."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from theory.command import Misuse
from theory.growth.key_laws import KeyLaw, SampleKeys, check_gains
from theory.growth.radius_bounds import share_matrix


class PathBounds(NamedTuple):
    """Bounds of E[log(R'/R) | W], R = ‖W‖²_{M⁻¹}, for every W ≠ 0; so of the rate of log R on almost every path.

    Attributes:
        low: nats an edit, of a weight along the direction that keys excite least.
        high: nats an edit, of the mean norm in the direction excited most.
    """

    low: float
    high: float


def path_bounds(law: KeyLaw, ratio: float, decay: float = 0.0) -> PathBounds:
    """How fast a path grows at least and at most where always δ·Wk = 0 and ‖δ‖ = c‖Wk‖.

        λ_min(B) log(1 + c²) ≤ E[log(R'/R) | W] ≤ log(1 + c²λ_max(B)),   B = E[η²ŷŷᵀ]

    For hard writes λ_min(B) is the excitation μ by which an anchor contracts (T5.contraction): what lets NAS hold the
    norm is what makes it grow without. A decay before each write, W' = (1 − w)W + Δ, is the same write at c/(1 − w) and
    2 log(1 − w) on both sides.

    Args:
        law: of the keys in the metric of the write, with the share η in (0, 1].
        ratio: c, dimensionless.
        decay: w in [0, 1), dimensionless.

    Returns:
        The bounds, in nats an edit.

    Raises:
        Misuse: a ratio that is negative or not finite, a decay outside [0, 1), or a share η outside (0, 1].

    Source: T3.paths, T4.decayed_paths.

    >>> from theory.growth.key_laws import SampleKeys
    >>> path_bounds(SampleKeys(np.eye(2), np.ones(2), np.ones(2)), 1.0).low == math.log(2) / 2
    True
    """
    if not 0 <= ratio < math.inf:
        raise Misuse(f"the ratio c is {ratio}; it must be finite and at least 0")
    if not 0 <= decay < 1:
        raise Misuse(f"the decay w is {decay}; it must lie in [0, 1), such as 0.001")
    if isinstance(law, SampleKeys):
        check_gains(law.gains, len(law.sizes))
    eigenvalues = np.linalg.eigvalsh(share_matrix(law))
    least, most = max(float(eigenvalues[0]), 0.0), float(eigenvalues[-1])
    grown, left = (ratio / (1 - decay)) ** 2, 2 * math.log1p(-decay)
    return PathBounds(left + least * math.log1p(grown), left + math.log1p(grown * most))
