"""E‖W_t‖² under a value model, its plateau, and the value model that measured pairs (Wk, v) obey."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.optimize import nnls
from scipy.sparse.linalg import LinearOperator, cg

from theory.command import Misuse
from theory.growth.key_laws import Array, KeyLaw
from theory.growth.value_models import ValueModel, growth, write_map


def mean_path(law: KeyLaw, model: ValueModel, start: Array, steps: int) -> Array:
    """E‖W_t‖²_{M⁻¹} for t = 0..steps, exactly, from S_0.

        S_{t+1} = L(S_t) + F,   E‖W_t‖²_{M⁻¹} = tr S_t

    Args:
        law: of the keys, drawn anew for every edit.
        model: of the values.
        start: S_0 = E[M^{-1/2}W_0ᵀW_0M^{-1/2}] (n, n) in the law's coordinates (see `key_laws`).
        steps: how many edits, at least 0.

    Returns:
        (steps + 1,) the means.

    Raises:
        Misuse: an S_0 of another shape or not finite, or a negative number of steps.

    Source: T3.value_map.
    """
    step = write_map(law, model)
    if start.shape != step.floor.shape or not np.isfinite(start).all():
        raise Misuse(f"S_0 has shape {start.shape}; pass a finite {step.floor.shape} matrix, as the keys ask for")
    if steps < 0:
        raise Misuse(f"{steps} edits are asked for; pass at least 0")
    norms, state = [float(np.trace(start))], start
    for _ in range(steps):
        state = step.apply(state) + step.floor
        norms.append(float(np.trace(state)))
    return np.array(norms)


def plateau_norm(law: KeyLaw, model: ValueModel) -> float:
    """lim E‖W_t‖²_{M⁻¹} where ρ(L) < 1: the trace of the fixed point.

        S = L(S) + F

    Args:
        law: of the keys.
        model: of the values.

    Returns:
        tr S, in units of ‖v‖²/s.

    Raises:
        Misuse: ρ(L) is not certainly below 1, so there is no plateau, or E[η²/s] is infinite.

    Source: T3.value_map.
    """
    factor = growth(law, model)
    if not factor.high < 1:
        raise Misuse(f"the growth factor is {factor.value:.6g} (at most {factor.high:.6g}), so no plateau is certain")
    step = write_map(law, model)
    n = len(step.floor)

    def rest(x: Array) -> Array:
        X = x.reshape(n, n)
        X = (X + X.T) / 2
        return (X - step.apply(X)).ravel()

    solution, failed = cg(LinearOperator((n * n, n * n), rest, dtype=np.float64), step.floor.ravel(), rtol=1e-12)
    if failed:
        raise Misuse(
            f"the fixed point was not reached in {failed} steps; the growth factor {factor.value} is close to 1"
        )
    return float(np.trace(solution.reshape(n, n)))


class ValueFit(NamedTuple):
    """A value model fitted to measured pairs, and how well it describes them.

    Attributes:
        model: b, ω, τ.
        length_misfit: the largest relative miss of E‖v‖² in a quarter of the pairs, by ‖Wk‖.
        pull_misfit: the largest miss of E[v·Wk] in a quarter, relative to E[‖v‖‖Wk‖] there.
    """

    model: ValueModel
    length_misfit: float
    pull_misfit: float


def fit_values(readouts: Array, values: Array) -> ValueFit:
    """The value model of measured pairs (Wk, v), by least squares in two steps.

        1 + b = Σ v·Wk / Σ‖Wk‖²;    ‖v − (1+b)Wk‖² ≈ ω²‖Wk‖² + τ²  with ω², τ² ≥ 0

    Args:
        readouts: Wk (m, N), N ≥ 8.
        values: v (m, N), before or after the value transforms, as the question asks.

    Returns:
        The model, with the two misfits that the quarters of ‖Wk‖ show.

    Raises:
        Misuse: shapes that differ, too few or non-finite pairs, or read-outs of one length, which cannot tell ω from τ.

    Source: T3.value_fit.
    """
    if readouts.ndim != 2 or readouts.shape != values.shape or readouts.shape[1] < 8:
        raise Misuse(f"read-outs {readouts.shape} and values {values.shape}: pass two (m, N) matrices with N ≥ 8")
    if not np.isfinite(readouts).all() or not np.isfinite(values).all():
        raise Misuse("a read-out or a value holds NaN or infinity; drop that pair")
    read_sq = (readouts**2).sum(axis=0)
    if read_sq.std() <= 1e-6 * read_sq.mean():
        raise Misuse(f"every read-out has ‖Wk‖² near {read_sq.mean():.4g}, which cannot tell ω from τ; vary the keys")
    kept = float((values * readouts).sum() / read_sq.sum())
    noise_sq = ((values - kept * readouts) ** 2).sum(axis=0)
    unit = read_sq.mean()
    (relative_sq, absolute_sq), _ = nnls(np.stack([read_sq / unit, np.ones_like(read_sq)], axis=1), noise_sq)
    model = ValueModel(kept - 1, float(np.sqrt(relative_sq / unit)), float(np.sqrt(absolute_sq)))
    return ValueFit(model, *misfits(model, readouts, values))


def misfits(model: ValueModel, readouts: Array, values: Array) -> tuple[float, float]:
    """The largest misses of E‖v‖² and of E[v·Wk] over the quarters of ‖Wk‖."""
    read_sq, value_sq = (readouts**2).sum(axis=0), (values**2).sum(axis=0)
    along, kept = (values * readouts).sum(axis=0), 1 + model.pull
    quarters = np.array_split(np.argsort(read_sq, kind="stable"), 4)
    lengths, pulls = [], []
    for quarter in quarters:
        r, v = read_sq[quarter].mean(), value_sq[quarter].mean()
        lengths.append(abs((kept**2 + model.relative**2) * r + model.absolute**2 - v) / v if v else 0.0)
        scale = np.sqrt(read_sq[quarter] * value_sq[quarter]).mean()
        pulls.append(abs(kept * r - along[quarter].mean()) / scale if scale else 0.0)
    return float(max(lengths)), float(max(pulls))
