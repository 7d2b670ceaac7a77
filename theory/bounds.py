"""The laws of T1, T4 and T5 as assertions about an editor of your own: any function (W, k, v) → W' of numpy arrays.

Each runs the editor over a stream and raises `AssertionError` with the numbers of the first edit that breaks its law;
`theory.strategies` draws the streams, `theory.findings` holds the comparisons. `covariance` is the matrix A = M⁻¹ of
the norm ‖W‖²_A = tr(W A Wᵀ): I for the paper's special case, C for ROME, λC for MEMIT.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from theory.anchoring.plateaus import worst_case
from theory.command import Misuse
from theory.findings import (
    ROUNDING,
    Array,
    Batch,
    Finding,
    Gain,
    Stream,
    check_identity,
    fitting,
    norm_sq,
    share,
    size,
    soft,
    solved,
    within_worst_case,
)

__all__ = [
    "Batch",
    "Editor",
    "Finding",
    "Stream",
    "assert_anchored",
    "assert_batch_identity",
    "assert_growth_at_most",
    "assert_identity",
    "assert_target",
    "check_identity",
    "soft",
    "within_worst_case",
]

Editor = Callable[[Array, Array, Array], Any]


def edits_of(editor: Editor, stream: Stream) -> Iterator[tuple[int, Array, Array, Array, Array]]:
    """Run an editor over a stream: (edit, W, k, v, W') at every edit; the editor gets copies it may write into.

    Raises:
        AssertionError: the editor returned an array of another shape.
        Misuse: a stream without edits, which would pass every test, or a key or value that does not fit the weight.
    """
    weight = np.asarray(stream.start, dtype=np.float64)
    if not len(stream.pairs):
        raise Misuse("a stream of 0 edits is given, of which every law holds; give at least one pair (k, v)")
    for edit, pair in enumerate(stream.pairs):
        key, value = (np.asarray(part, dtype=np.float64) for part in pair)
        fitting(weight, key, value)
        after = np.asarray(editor(weight.copy(), key.copy(), value.copy()), dtype=np.float64)
        if after.shape != weight.shape:
            raise AssertionError(f"edit {edit}: the editor returned shape {after.shape} for a weight {weight.shape}")
        yield edit, weight, key, value, after
        weight = after


def assert_holds(finding: Finding) -> None:
    """Raise `AssertionError` with the numbers of a finding that breaks its law."""
    if not finding.holds:
        raise AssertionError(str(finding))


def assert_identity(
    editor: Editor, stream: Stream, *, covariance: Array | None = None, eta: Gain = 1.0, rtol: float = ROUNDING
) -> None:
    """Every edit changes ‖W‖²_A by exactly what T1's identity says; for editors that write the value they are given.

    Args:
        editor: (W, k, v) → W'.
        stream: what it is asked to do.
        covariance: A; None is I.
        eta: the written share, or its function of s.
        rtol: see `check_identity`.

    Raises:
        AssertionError: the first edit that changes it otherwise.
        Misuse: see `check_identity`.

    >>> hard = lambda W, k, v: W + np.outer(v - W @ k, k) / (k @ k)
    >>> assert_identity(hard, Stream(np.ones((1, 2)), [(np.ones(2), np.ones(1))]))
    """
    for edit, before, key, value, after in edits_of(editor, stream):
        assert_holds(check_identity(before, after, key, value, covariance=covariance, eta=eta, edit=edit, rtol=rtol))


def assert_target(editor: Editor, stream: Stream, *, eta: Gain = 1.0, covariance: Array | None = None,
                  rtol: float = ROUNDING) -> None:  # fmt: skip
    """Every edit moves the read-out by the share it is said to write: W'k = Wk + η(v − Wk).

    Args:
        editor: (W, k, v) → W'.
        stream: what it is asked to do.
        eta: the written share, or its function of s.
        covariance: A, for the s that η depends on.
        rtol: the tolerance, relative to (‖W‖ + ‖W'‖)‖k‖ + ‖v‖.

    Raises:
        AssertionError: the first edit that misses.
    """
    for edit, before, key, value, after in edits_of(editor, stream):
        read = before @ key
        target = read + share(eta, size(key, covariance)) * (value - read)
        reach = np.sqrt(norm_sq(before)) + np.sqrt(norm_sq(after))
        tolerance = rtol * float(reach * np.linalg.norm(key) + np.linalg.norm(value))
        miss = float(np.linalg.norm(after @ key - target))
        assert_holds(Finding("‖W'k − (Wk + η(v − Wk))‖", edit, miss, 0.0, tolerance, bound=True))


def assert_anchored(
    editor: Editor, stream: Stream, *, anchor: float, covariance: Array | None = None, eta: Gain = 1.0,
    rtol: float = ROUNDING,
) -> None:  # fmt: skip
    """No edit adds more to ‖W‖²_A than T5 allows an editor that writes values of norm at most `anchor`.

        ‖W'‖²_A − ‖W‖²_A ≤ η a²/((2 − η) s)          (hard writes, and any η: at most a²/s)

    Args:
        editor: (W, k, v) → W', which anchors v itself.
        stream: what it is asked to do.
        anchor: a > 0, in value units.
        covariance: A; None is I.
        eta: the written share, or its function of s; 1 is allowed for every η and is then the weaker bound.
        rtol: the tolerance, relative to ‖W‖²_A + ‖W'‖²_A + a²/s.

    Raises:
        AssertionError: the first edit that adds more.
        Misuse: an anchor that is not positive; see `check_identity`.

    Source: T5.sharp, at every edit, which is stronger than its sum in `within_worst_case`.
    """
    if not 0 < anchor < np.inf:
        raise Misuse(f"the anchor is {anchor}; it must be a positive norm, such as that of the original values")
    for edit, before, key, _, after in edits_of(editor, stream):
        s = size(key, covariance)
        one, other = norm_sq(before, covariance), norm_sq(after, covariance)
        allowed = float(worst_case(0.0, anchor, share(eta, s), [s])[1])
        tolerance = rtol * (one + other + anchor**2 / s)
        assert_holds(Finding("‖W'‖²_A − ‖W‖²_A", edit, other - one, allowed, tolerance, bound=True))


def assert_growth_at_most(
    editor: Editor, stream: Stream, *, factor: float = 1.0, clamp: float = 0.0, covariance: Array | None = None,
    rtol: float = ROUNDING,
) -> None:  # fmt: skip
    """No edit grows ‖W‖_A beyond a factor and a clamped step, whatever the keys.

        ‖W'‖_A ≤ factor·‖W‖_A + clamp/√s

    A relative clamp ‖v − Wk‖ ≤ c‖Wk‖ has factor 1 + ηc and clamp 0, as ‖Wk‖ ≤ ‖W‖_A √s; an absolute clamp
    ‖v − Wk‖ ≤ τ has factor 1 and clamp ητ (both by the triangle inequality, ‖Δ‖_A = η‖v − Wk‖/√s).

    Args:
        editor: (W, k, v) → W', which clamps its own step.
        stream: what it is asked to do.
        factor: of ‖W‖_A, at least 1 for an editor that may leave W alone.
        clamp: ητ, in value units.
        covariance: A; None is I.
        rtol: the tolerance, relative to both sides.

    Raises:
        AssertionError: the first edit that grows more.
        Misuse: a factor or a clamp that is negative or not finite.
    """
    if not (0 <= factor < np.inf and 0 <= clamp < np.inf):
        raise Misuse(f"the factor is {factor} and the clamp {clamp}; neither may be negative or infinite")
    for edit, before, key, _, after in edits_of(editor, stream):
        s = size(key, covariance)
        one, other = np.sqrt(norm_sq(before, covariance)), np.sqrt(norm_sq(after, covariance))
        allowed = float(factor * one + clamp / np.sqrt(s))
        assert_holds(Finding("‖W'‖_A", edit, float(other), allowed, rtol * (float(other) + allowed), bound=True))


def assert_batch_identity(
    editor: Editor, batch: Batch, *, covariance: Array | None = None, rtol: float = ROUNDING
) -> None:
    """A batch (W, K, V) → W' changes ‖W‖²_A by what T1.batch says of MEMIT's solve Δ(A + KKᵀ) = RKᵀ.

        ‖W'‖²_A − ‖W‖²_A = 2 tr(R T (WK)ᵀ) + tr(R T H T Rᵀ),   H = KᵀA⁻¹K, T = (I + H)⁻¹, R = V − WK

    Args:
        editor: (W, K, V) → W'.
        batch: the weight, the keys and the values.
        covariance: A; None is I.
        rtol: the tolerance, relative to ‖W‖²_A + ‖W'‖²_A + |each trace|.

    Raises:
        AssertionError: it changes otherwise.
        Misuse: shapes that do not fit, a matrix that is not positive definite.
    """
    start, keys, values = (np.asarray(part, dtype=np.float64) for part in batch)
    after = next(edits_of(editor, Stream(start, [(keys, values)])))[-1]
    read = start @ keys
    inner = keys.T @ solved(keys, covariance)
    system = np.eye(keys.shape[1]) + inner
    step = np.linalg.solve(system, (values - read).T).T
    cross, square = 2 * float(np.sum(step * read)), float(np.sum((step @ inner) * step))
    one, other = norm_sq(start, covariance), norm_sq(after, covariance)
    # Keys that nearly coincide cost the solve digits, here as in the editor.
    lost = max(rtol, 16 * np.finfo(np.float64).eps * float(np.linalg.cond(system)))
    tolerance = lost * (one + other + abs(cross) + square)
    assert_holds(Finding("‖W'‖²_A − ‖W‖²_A", 0, other - one, cross + square, tolerance, bound=False))
