"""Trials of T7: writes, sums and anchors with every operation rounded to a format, beside exact arithmetic."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from typing import Any

import numpy as np
import sympy
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve

from theory.precision.bounds import identity_error_bound, rounding_error
from theory.precision.formats import Format, round_to

Array = NDArray[np.float64]
Rounding = Callable[[Any], Any]


def exact(array: Any) -> NDArray[Any]:
    """The same numbers as fractions."""
    return np.vectorize(lambda x: Fraction(float(x)), otypes=[object])(array)


def norm_sq(weight: Any, matrix: Any) -> Fraction:
    """‖W‖²_A in exact arithmetic."""
    wide = exact(weight)
    return Fraction(((wide @ exact(matrix)) * wide).sum())


def sum_squares(array: Array, fl: Rounding) -> float:
    """Σ w², one after the other, every operation rounded."""
    total = 0.0
    for square in fl(np.square(array.ravel())):
        total = fl(total + square)
    return float(total)


def multiply(left: Array, right: Array, fl: Rounding) -> Array:
    """Left · right, one product after the other, every operation rounded."""
    total = np.zeros((left.shape[0], right.shape[1]))
    for column, row in zip(left.T, right, strict=True):
        total = fl(total + fl(np.outer(column, row)))
    return total


def grid(*shape: int, phase: float = 1.0) -> Array:
    """Numbers without pattern: cos of a quadratic sequence, of size about 1."""
    index = np.arange(math.prod(shape), dtype=float)
    return np.cos(phase * (1 + index) ** 2 + index).reshape(shape)


def halving(terms: Array, fl: Rounding) -> float:
    """A sum in pairs."""
    while len(terms) > 1:
        padded = np.append(terms, np.zeros(len(terms) % 2))
        terms = fl(padded[::2] + padded[1::2])
    return float(terms[0])


@dataclass(frozen=True)
class Written:
    """One hard write in a format, and its error against exact arithmetic.

    Attributes:
        shape: (m, n).
        weight: A = √λmax·‖W‖_F.
        write: B = √λmax·‖Δ‖_F.
        rank: tr C/λmax; 0 where nothing was solved.
        terms: |2l·h| + ‖l‖²ŝ, the size of T1's two terms.
        error: |change of the stored ‖W‖²_C − T1's right side as computed|, exactly.
    """

    shape: tuple[int, int]
    weight: float
    write: float
    rank: float
    terms: float
    error: float


def write_hard(m: int, n: int, condition: float, size: float, phase: float) -> Written:
    """A ROME write in numpy's float32 with a dense C of a given condition number, by LAPACK's Cholesky."""
    rotation, _ = np.linalg.qr(grid(n, n, phase=0.7))
    spectrum = np.geomspace(1, 1 / condition, n)
    C = ((rotation * spectrum) @ rotation.T).astype(np.float32)
    C = np.float32(0.5) * (C + C.T)
    W, k = grid(m, n, phase=phase).astype(np.float32), (rotation @ np.sqrt(spectrum)).astype(np.float32)[:, None]
    x = cho_solve(cho_factor(C, lower=True), k).astype(np.float32)
    h, s = W @ k, float((k.T @ x)[0, 0])
    left = (np.float32(size) * grid(m, 1, phase=0.3 * phase).astype(np.float32) / np.float32(s)).astype(np.float32)
    after = W + left @ x.T
    cross, square = 2 * float((left.T @ h)[0, 0]), float((left.T @ left)[0, 0] * np.float32(s))
    foretold = float(np.float32(cross) + np.float32(square))
    off = abs(norm_sq(after, C) - norm_sq(W, C) - Fraction(foretold))
    top = float(np.linalg.eigvalsh(C.astype(float))[-1])
    root = math.sqrt(top) * (1 + 1e-12)  # above the true root: eigvalsh and norms are rounded themselves
    lengths = float(np.linalg.norm(left.astype(float)) * np.linalg.norm(x.astype(float)))
    return Written((m, n), root * float(np.linalg.norm(W.astype(float))), root * lengths,
                   float(np.trace(C.astype(float))) / top, abs(cross) + square, float(off))  # fmt: skip


def tracked_stream(target: Format, edits: int, bound: Callable[..., float]) -> tuple[list[float], list[float]]:
    """|R̂_t − R_t| and its bound over a stream of hard writes (C = I), the truth from the stored weights, exactly."""
    fl, m, n = partial(round_to, target=target), 3, 5
    weight, keys, shifts = fl(grid(m, n)), fl(grid(edits, n, 1, phase=0.4)), fl(grid(edits, m, 1, phase=0.9))
    tracked, truth = sum_squares(weight, fl), norm_sq(weight, np.eye(n))
    start, largest, step = rounding_error(m * n, target) * float(truth), float(truth), 0.0
    errors, bounds = [], []
    for key, shift in zip(keys, shifts, strict=True):
        read, s = multiply(weight, key, fl), sum_squares(key, fl)
        left = fl(fl(shift * 0.25) / s)
        square = fl(sum_squares(left, fl) * s)
        predicted = fl(2 * multiply(left.T, read, fl)[0, 0] + square)
        size, written = math.sqrt(truth), float(np.linalg.norm(left) * np.linalg.norm(key))
        step = max(step, identity_error_bound(target, (m, n), size, written) * (1 + 1e-9))
        weight = fl(weight + fl(left @ key.T))
        tracked, truth = float(fl(tracked + predicted)), norm_sq(weight, np.eye(n))
        largest = max(largest, float(truth))
        errors.append(float(abs(Fraction(tracked) - truth)))
        bounds.append(bound(len(errors), float(target.unit_roundoff), start, step, largest))
    return errors, bounds


def anchored_error(target: Format, m: int) -> float:
    """| ‖v'‖/a − 1 | of NAS with every operation rounded, from the exact ‖v'‖²."""
    fl = partial(round_to, target=target)
    value, anchor = fl(grid(m, phase=0.8)), Fraction(3)
    scale = fl(float(anchor) / fl(np.sqrt(sum_squares(value, fl))))
    anchored = exact(fl(scale * value))
    ratio = Fraction((anchored * anchored).sum()) / anchor**2
    return abs(float(sympy.sqrt(sympy.Rational(ratio.numerator, ratio.denominator)).evalf(30) - 1))
