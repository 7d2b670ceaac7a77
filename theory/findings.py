"""What one write, or a stream of recorded norms, was found to do, beside what T1 and T5 say of it.

A write is Δ = η (v − Wk)(Mk)ᵀ/s with s = kᵀMk, and A = M⁻¹ is the matrix of the norm ‖W‖²_A = tr(W A Wᵀ) it obeys: I
for the paper's special case, C for ROME, λC for MEMIT. The argument `covariance` is that A.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from theory.anchoring.plateaus import worst_case
from theory.command import Misuse

Array = NDArray[np.float64]
Gain = float | Callable[[float], float]

ROUNDING = 1e-9
"""What float64 editors may miss a law by, relative to the norms that a law compares; for float32 use 1e-4."""


class Stream(NamedTuple):
    """A weight and the edits that are asked of it, one after the other.

    Attributes:
        start: W_0 (m, n).
        pairs: keys k (n,) with their values v (m,).
    """

    start: Array
    pairs: Sequence[tuple[Array, Array]]


class Batch(NamedTuple):
    """A weight and edits that are asked of it at once.

    Attributes:
        start: W (m, n).
        keys: K (n, u), a key a column.
        values: V (m, u).
    """

    start: Array
    keys: Array
    values: Array


@dataclass(frozen=True)
class Finding:
    """What an edit did, beside what a law says of it.

    Attributes:
        law: what is compared, in words.
        edit: the edit's place in its stream, from 0.
        found: the number that the editor arrived at.
        expected: the number that the law gives.
        tolerance: what rounding may add, in the same unit.
        bound: the law is found ≤ expected, not found = expected.

    >>> Finding("‖W'‖²", 3, 2.0, 1.0, 0.5, bound=False).holds, Finding("‖W'‖²", 3, 0.0, 1.0, 0.5, bound=True).holds
    (False, True)
    """

    law: str
    edit: int
    found: float
    expected: float
    tolerance: float
    bound: bool

    @property
    def holds(self) -> bool:
        """Whether the law holds up to the tolerance; a number that is not finite breaks every law."""
        excess = self.found - self.expected
        return bool((excess if self.bound else abs(excess)) <= self.tolerance < np.inf)

    def __str__(self) -> str:
        relation = "at most" if self.bound else "exactly"
        told = f"is {self.found:.9g}; the law allows {relation} {self.expected:.9g} (tolerance {self.tolerance:.2g})"
        return f"edit {self.edit}: {self.law} {told}"


def soft(s: float) -> float:
    """η = s/(1 + s), the share that MEMIT's solve writes of one key.

    Raises:
        Misuse: an s that is not positive or not finite.

    >>> soft(1.0)
    0.5
    """
    if not 0 < s < np.inf:
        raise Misuse(f"s = kᵀA⁻¹k is {s}; it is positive and finite")
    return s / (1 + s)


def norm_sq(weight: Array, covariance: Array | None = None) -> float:
    """‖W‖²_A = tr(W A Wᵀ); ‖W‖²_F without a matrix A.

    >>> norm_sq(np.array([[1.0, 2.0]]), np.diag([1.0, 3.0]))
    13.0
    """
    with np.errstate(over="ignore", invalid="ignore"):
        seen = weight if covariance is None else weight @ covariance
        return float(np.sum(seen * weight))


def fitting(weight: Array, key: Array, value: Array) -> None:
    """Raise for a key (n,) or a value (m,), or columns of them (n, u) and (m, u), that do not fit a weight (m, n).

    Raises:
        Misuse: shapes that do not fit.
    """
    if weight.ndim != 2 or (len(value), len(key)) != weight.shape or value.shape[1:] != key.shape[1:]:
        raise Misuse(f"a key {key.shape} and a value {value.shape} do not fit a weight {weight.shape}; "
                     "give (n,) and (m,) for a weight (m, n), columns for a batch")  # fmt: skip


def solved(key: Array, covariance: Array | None = None) -> Array:
    """A⁻¹k, of a key or of columns of keys.

    Raises:
        Misuse: a matrix of another size, one that is not symmetric, or one that is not positive definite.
    """
    if covariance is None:
        return key
    if covariance.shape != (len(key), len(key)):
        raise Misuse(f"a covariance {covariance.shape} is given for keys {key.shape}; pass a matrix (n, n)")
    skew = np.abs(covariance - covariance.T).max()
    if not skew <= 1e-6 * np.abs(covariance).max():
        raise Misuse(f"the covariance differs from its transpose by {skew:.3g}; pass a finite symmetric one")
    try:
        np.linalg.cholesky(covariance)
    except np.linalg.LinAlgError as error:
        low = np.linalg.eigvalsh(covariance)[0]
        raise Misuse(f"the covariance's least eigenvalue is {low:.3g}; pass a positive definite one") from error
    return np.asarray(np.linalg.solve(covariance, key), dtype=np.float64)


def size(key: Array, covariance: Array | None = None) -> float:
    """s = kᵀA⁻¹k.

    Raises:
        Misuse: a key of zero or one that is not finite, or a matrix that is not positive definite.

    >>> size(np.array([2.0, 0.0]), np.diag([4.0, 1.0]))
    1.0
    """
    s = float(key @ solved(key, covariance))
    if not 0 < s < np.inf:
        raise Misuse(
            f"s = kᵀA⁻¹k is {s} for a key of length {np.linalg.norm(key):.3g}; drop keys of 0 and scale others"
        )
    return s


def share(eta: Gain, s: float) -> float:
    """η of a write, given as a number or as a function of s.

    Raises:
        Misuse: η outside (0, 1].
    """
    value = float(eta(s) if callable(eta) else eta)
    if not 0 < value <= 1:
        raise Misuse(f"the written share η is {value} at s = {s}; it lies in (0, 1]")
    return value


def check_identity(
    before: Array, after: Array, key: Array, value: Array, *, covariance: Array | None = None, eta: Gain = 1.0,
    edit: int = 0, rtol: float = ROUNDING,
) -> Finding:  # fmt: skip
    """T1's identity at one write.

        ‖W'‖²_A − ‖W‖²_A = [η(‖v‖² − ‖Wk‖²) − η(1−η)‖v − Wk‖²]/s,   s = kᵀA⁻¹k

    Args:
        before: W (m, n).
        after: W' (m, n).
        key: k (n,), not zero.
        value: v (m,), as the write was given it: anchored, where the editor anchors.
        covariance: A (n, n), positive definite; None is I.
        eta: the written share in (0, 1], or its function of s, such as `soft`.
        edit: the place that the finding names.
        rtol: the tolerance, relative to ‖W‖²_A + ‖W'‖²_A + (‖v‖² + ‖Wk‖²)/s.

    Returns:
        The finding; its `holds` is the verdict.

    Raises:
        Misuse: a zero key, a share outside (0, 1], a matrix that is not positive definite, shapes that do not fit.

    Source: T1.identity.

    >>> W, k, v = np.array([[1.0, 0.0]]), np.array([2.0, 0.0]), np.array([6.0])
    >>> check_identity(W, np.array([[3.0, 0.0]]), k, v).holds
    True
    """
    fitting(before, key, value)
    s = size(key, covariance)
    part, read = share(eta, s), before @ key
    asked, was, residual = value @ value, read @ read, (value - read) @ (value - read)
    expected = float(part * (asked - was) - part * (1 - part) * residual) / s
    one, other = norm_sq(before, covariance), norm_sq(after, covariance)
    tolerance = rtol * (one + other + float(asked + was) / s)
    return Finding("‖W'‖²_A − ‖W‖²_A", edit, other - one, expected, tolerance, bound=False)


def within_worst_case(
    norms_sq: ArrayLike, anchor: float, etas: ArrayLike, s: ArrayLike, *, rtol: float = ROUNDING
) -> tuple[Finding, ...]:
    """T5's bound along a stream whose squared norms were recorded.

        ‖W_t‖²_A ≤ ‖W_0‖²_A + Σ_{i<t} η_i a²/((2 − η_i) s_i)

    Args:
        norms_sq: (t + 1,) ‖W‖²_A before the first edit and after each.
        anchor: a, in value units.
        etas: (t,) written shares in (0, 1], or one for all.
        s: (t,) kᵀA⁻¹k > 0.
        rtol: the tolerance, relative to the bound and the norm.

    Returns:
        One finding an edit.

    Raises:
        Misuse: a share outside (0, 1], an s that is not positive, or a number of norms that does not fit.

    Source: T5.sharp.

    >>> [finding.holds for finding in within_worst_case([1.0, 2.0, 4.5], 2.0, 1.0, [4.0, 2.0])]
    [True, False]
    """
    norms = np.asarray(norms_sq, dtype=np.float64)
    if norms.ndim != 1 or not norms.size:
        raise Misuse(f"norms of shape {norms.shape} are given; record one before the first edit and one after each")
    limits = worst_case(float(norms[0]), anchor, etas, s)
    if norms.shape != limits.shape:
        raise Misuse(f"{norms.size} norms are given for {limits.size - 1} edits; record one before the first edit")
    pairs = zip(norms[1:].tolist(), limits[1:].tolist(), strict=True)
    return tuple(
        Finding("‖W_t‖²_A since W_0", edit, norm, limit, rtol * (norm + limit), bound=True)
        for edit, (norm, limit) in enumerate(pairs)
    )
