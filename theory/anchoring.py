"""T5: what anchored values (NAS, ‖v‖ = a) make of the norm; the proofs are in anchoring_proofs."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from theory.command import Misuse


def plateau(anchor: float, n: int) -> float:
    """The limit of E‖W_t‖²_F under NAS with hard writes, exactly, for keys N(0, I_n) and C = I.

        R_∞ = a² n E[1/‖k‖²] = a² n/(n − 2)

    Args:
        anchor: a, in value units.
        n: the key dimension, at least 3: below it E[1/‖k‖²] is infinite.

    Returns:
        R_∞, in value units squared per key unit squared.

    Raises:
        Misuse: n < 3.

    Source: T5.fixed_point.

    >>> plateau(2.0, 4)
    8.0
    """
    if n < 3:
        raise Misuse(f"the key dimension is {n}; Gaussian keys have a plateau from n = 3 on")
    return anchor * anchor * n / (n - 2)


def relaxation(n: int) -> float:
    """The number of edits after which the distance of E‖W‖² to the plateau has fallen e-fold.

        (1 − 1/n)^τ = 1/e

    Args:
        n: the key dimension, at least 2.

    Returns:
        τ, close to n.

    Raises:
        Misuse: n < 2.

    Source: T5.fixed_point.

    >>> round(relaxation(1000), 1)
    999.5
    """
    if n < 2:
        raise Misuse(f"the key dimension is {n}; a relaxation time needs at least 2")
    return float(-1 / np.log1p(-1 / n))


def worst_case(norm_sq_0: float, anchor: float, etas: ArrayLike, s: ArrayLike) -> NDArray[np.float64]:
    """What ‖W_t‖²_{M⁻¹} cannot exceed under NAS, whatever the keys and the directions of the values.

        ‖W_t‖² ≤ ‖W_0‖² + Σ_{i<t} η_i a²/((2 − η_i) s_i)          (hard writes: a²/s_i)

    Args:
        norm_sq_0: ‖W_0‖²_{M⁻¹}.
        anchor: a, in value units; also covers values shorter than a.
        etas: (t,) written shares in (0, 1], or one for all.
        s: (t,) kᵀMk > 0.

    Returns:
        (t + 1,) the bound before the first edit and after each.

    Raises:
        Misuse: a share outside (0, 1] or an s that is not positive.

    Source: T5.sharp; η/(2 − η) ≤ η makes it at least as tight as T5.worst_case's Σ η_i a²/s_i.

    >>> worst_case(1.0, 2.0, 1.0, [4.0, 2.0]).tolist()
    [1.0, 2.0, 4.0]
    """
    share, size = np.broadcast_arrays(np.asarray(etas, dtype=np.float64), np.asarray(s, dtype=np.float64))
    if not (np.all(share > 0) and np.all(share <= 1)):
        raise Misuse(f"written shares η from {share.min()} to {share.max()} are given; they lie in (0, 1]")
    if not np.all(size > 0):
        raise Misuse(f"an s = kᵀMk of {size.min()} is given; it must be positive, so drop zero keys")
    return norm_sq_0 + np.concatenate(([0.0], np.cumsum(anchor**2 * share / ((2 - share) * size))))
