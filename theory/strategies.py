"""What hypothesis draws to test an editor of your own: weights, keys, covariances, streams of edits, adversaries.

Arrays are float64 numpy arrays that shrink to small whole numbers; the laws to test are in `theory.bounds`. Needs the
extra `properties`: pip install 'norm-anchor-lab[properties]'.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from theory.command import Misuse
from theory.findings import Array, Batch, Stream


class MissingExtra(Misuse, ImportError):
    """An optional dependency is not installed; the message names the extra that brings it."""


try:
    from hypothesis import strategies as st
except ModuleNotFoundError as error:
    raise MissingExtra(
        f"theory.strategies needs {error.name}, which is not installed; pip install 'norm-anchor-lab[properties]'"
    ) from error

Draw = Callable[[Any], Any]

NEAR = 2.0**-20
"""How far a near-collinear key lies from its neighbour, relative to its length."""


def scales(decades: int) -> st.SearchStrategy[float]:
    """Powers of ten from 10^−decades to 10^decades, 1 first.

    Raises:
        Misuse: decades beyond which squares overflow, or negative ones.
    """
    if not 0 <= decades <= 100:
        raise Misuse(f"lengths over ±{decades} decades are asked for; float64 squares those of 0 to 100")
    return st.integers(-decades, decades).map(lambda power: 10.0**power)


def numbers(count: int) -> st.SearchStrategy[Array]:
    """`count` numbers: whole ones of at most 3, or 256ths up to 8; 0 first.

    Sums of them and their squares are exact in float64, and none underflows. They come from one draw of bytes, not
    from one an entry, which makes drawing and shrinking a stream some ten times as fast.
    """
    whole = _entries(count).map(lambda code: _zigzag(code % 7))
    return whole | st.builds(lambda code, part: _zigzag(code % 16) + part / 256, _entries(count), _entries(count))


def _entries(count: int) -> st.SearchStrategy[Array]:
    return st.binary(min_size=count, max_size=count).map(lambda text: np.frombuffer(text, np.uint8).astype(np.float64))


def _zigzag(code: Array) -> Array:
    """0, 1, 2, 3, 4, … as 0, 1, −1, 2, −2, …, so that small codes are small numbers."""
    return np.where(code % 2 == 1, (code + 1) / 2, -code / 2) + 0.0


def weights(m: int, n: int) -> st.SearchStrategy[Array]:
    """W (m, n), zero and rank-deficient ones included.

    Args:
        m: the value dimension, at least 1.
        n: the key dimension, at least 1.

    Raises:
        Misuse: a dimension below 1.
    """
    if m < 1 or n < 1:
        raise Misuse(f"a weight of shape ({m}, {n}) is asked for; both dimensions must be at least 1")
    return numbers(m * n).map(lambda entries: entries.reshape(m, n))


def never_zero(vector: Array) -> Array:
    """The vector, or the first unit vector for zero."""
    return vector if np.any(vector) else np.eye(len(vector))[0]


def vectors(length: int, decades: int) -> st.SearchStrategy[Array]:
    """Vectors that are never zero, times a power of ten."""
    return st.builds(lambda unit, row: unit * never_zero(row[0]), scales(decades), weights(1, length))


def keys(n: int, *, decades: int = 3) -> st.SearchStrategy[Array]:
    """k (n,), never zero, of lengths over 2·decades orders of magnitude.

    >>> from hypothesis import find
    >>> find(keys(3), lambda key: True).tolist()
    [1.0, 0.0, 0.0]
    """
    return vectors(n, decades)


def values(m: int, *, decades: int = 2) -> st.SearchStrategy[Array]:
    """v (m,), never zero (a value of zero has no direction to anchor: test it by hand), of many lengths."""
    return vectors(m, decades)


@st.composite
def covariances(draw: Draw, n: int, condition: float = 100.0) -> Array:
    """Symmetric positive definite A (n, n) of a given condition number: A = scale · Q diag(λ) Qᵀ.

        λ_i = condition^e_i,   e = (0, …, 1),   Q the orthogonal factor of a drawn matrix

    Args:
        draw: given by hypothesis; leave it out.
        n: the key dimension; from 2 on, unless the condition number is 1.
        condition: λ_max/λ_min ≥ 1, met up to rounding; keep it below 1e4 for the tolerances of `theory.bounds`.

    Raises:
        Misuse: a condition number below 1, or another than 1 in one dimension.
    """
    if not 1 <= condition < np.inf:
        raise Misuse(f"the condition number is {condition}; it is λ_max/λ_min, at least 1 and finite")
    if n < 2 and condition != 1:
        raise Misuse(f"a {n} × {n} matrix cannot have condition number {condition}; ask for 1, or for n ≥ 2")
    exponents = np.concatenate(([0.0], draw(_entries(max(n - 2, 0))) / 255, [1.0]))[:n]
    basis = np.linalg.qr(draw(weights(n, n)))[0]
    matrix = draw(scales(2)) * (basis * condition**exponents) @ basis.T
    return (matrix + matrix.T) / 2


def adversarial_keys(weight: Array, *, decades: int = 3) -> st.SearchStrategy[Array]:
    """The keys that are hardest for a weight: those it maps to zero, its weakest and its strongest direction.

    Keys with Wk = 0 are T5's adversary, at which every anchored write adds all it can; a key along the top right
    singular vector reads out the most. Without a null space (m ≥ n and full rank) the weakest direction stands in.

    Args:
        weight: W (m, n).
        decades: of the keys' lengths, as in `keys`.

    Raises:
        Misuse: a weight that is no matrix, or not finite: the editor before has diverged.

    >>> from hypothesis import find
    >>> find(adversarial_keys(np.array([[3.0, 0.0]])), lambda key: True).tolist()
    [0.0, 1.0]
    """
    weight = np.asarray(weight, dtype=np.float64)
    if weight.ndim != 2 or not weight.size or not np.all(np.isfinite(weight)):
        told = "that is not finite" if weight.ndim == 2 and weight.size else "that is no matrix"
        raise Misuse(f"a weight of shape {weight.shape} {told} is given; give a finite one (m, n)")
    _, singular, right = np.linalg.svd(weight)
    rank = int(np.sum(singular > singular[0] * max(weight.shape) * np.finfo(np.float64).eps))
    hidden = right[rank:] if rank < len(right) else right[-1:]
    inside = vectors(len(hidden), 0).map(lambda mixture: mixture @ hidden)
    direction = inside | st.sampled_from([right[-1], right[0]])
    return st.builds(lambda unit, scale, sign: sign * scale * unit / np.linalg.norm(unit),
                     direction, scales(decades), st.sampled_from([1.0, -1.0]))  # fmt: skip


Kind = str
FRESH, SAME_KEY, SAME_PAIR, NEAR_KEY, ALONG = "fresh", "same key", "same pair", "near key", "along the read-out"


def streams(m: int, n: int, edits: int, *, decades: int = 2) -> st.SearchStrategy[Stream]:
    """A start W_0 and 1 to `edits` pairs (k, v): fresh ones, and those that editors stumble over.

    A pair may repeat an earlier key with another value, an earlier pair (after a hard write of it the residual is
    zero), or nearly an earlier key (`NEAR` off); a value may be −1, 0.5, 1 or 2 times the read-out W_0 k, so that the
    first edit may ask for what W_0 reads out already. Values are never zero.

    Args:
        m: the value dimension.
        n: the key dimension.
        edits: the most pairs, at least 1.
        decades: of the keys' lengths, as in `keys`.

    Raises:
        Misuse: fewer than one edit.

    >>> from hypothesis import find
    >>> start, pairs = find(streams(1, 2, 5), lambda stream: True)
    >>> start.tolist(), len(pairs)
    ([[0.0, 0.0]], 1)
    """
    if edits < 1:
        raise Misuse(f"streams of {edits} edits are asked for; a stream has at least one")
    kinds = st.sampled_from([FRESH, SAME_KEY, SAME_PAIR, NEAR_KEY, ALONG])
    moves = st.tuples(
        kinds, keys(n, decades=decades), values(m), st.integers(0, edits), st.sampled_from([1.0, 2.0, 0.5, -1.0])
    )
    return st.builds(_assembled, weights(m, n), st.lists(moves, min_size=1, max_size=edits))


def _assembled(start: Array, moves: list[tuple[Kind, Array, Array, int, float]]) -> Stream:
    pairs: list[tuple[Array, Array]] = []
    for kind, key, value, back, factor in moves:
        old_key, old_value = pairs[-1 - back % len(pairs)] if pairs else (key, value)
        if kind == ALONG:
            read = factor * (start @ key)
            pairs.append((key, read if np.any(read) else value))
        elif kind == NEAR_KEY:
            off = NEAR * np.linalg.norm(old_key) / np.linalg.norm(key)
            near = old_key + off * key
            pairs.append((near if np.any(near) else key, value))
        else:
            pairs.append({FRESH: (key, value), SAME_KEY: (old_key, value), SAME_PAIR: (old_key, old_value)}[kind])
    return Stream(start, pairs)


def batches(m: int, n: int, size: int, *, decades: int = 1) -> st.SearchStrategy[Batch]:
    """W (m, n) with 1 to `size` edits asked at once: keys K (n, u) and values V (m, u), repeated keys included.

    Raises:
        Misuse: a size below 1.
    """
    return streams(m, n, size, decades=decades).map(_stacked)


def _stacked(stream: Stream) -> Batch:
    return Batch(stream.start, *(np.stack(column, axis=1) for column in zip(*stream.pairs, strict=True)))
