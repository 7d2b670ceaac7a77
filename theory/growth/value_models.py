"""Value models and the growth they lead to: v = (1 + b)Wk + noise turns T into the map of one write, L."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import numpy as np
from scipy.sparse.linalg import LinearOperator, eigsh

from theory.command import Misuse
from theory.growth.growth_operator import EPS, TILE, Radius, outer_sum, power_iteration, quadratic, radius
from theory.growth.isotropic import check_dimension
from theory.growth.key_laws import Array, GaussianKeys, KeyLaw, SampleKeys
from theory.growth.quadratures import STEP, gaussian_moments

CLOSE = 1e-12
"""The width of a bracket of ρ(L) at which the identity matrix is taken for L's eigenmatrix."""


@dataclass(frozen=True)
class ValueModel:
    """v = (1 + b)Wk + noise with, given k and W, E noise = 0 and E‖noise‖² = ω²‖Wk‖² + τ².

    Attributes:
        pull: b, dimensionless; −1 forgets the read-out.
        relative: ω ≥ 0, dimensionless.
        absolute: τ ≥ 0, in units of v.

    Raises:
        Misuse: a number that is not finite, or a negative ω or τ.
    """

    pull: float
    relative: float
    absolute: float

    def __post_init__(self) -> None:
        if not all(map(math.isfinite, (self.pull, self.relative, self.absolute))):
            raise Misuse(f"{self} holds a number that is not finite; pass b, ω ≥ 0 and τ ≥ 0")
        if self.relative < 0 or self.absolute < 0:
            raise Misuse(f"{self} has a negative noise; ω and τ are standard deviations, at least 0")


def relative_shift(c: float) -> ValueModel:
    """v = Wk + δ, E[δ | k, W] = 0, E‖δ‖² = c²‖Wk‖²."""
    return ValueModel(0.0, c, 0.0)


def absolute_shift(tau: float) -> ValueModel:
    """v = Wk + δ, E[δ | k, W] = 0, E‖δ‖² = τ² whatever Wk is."""
    return ValueModel(0.0, 0.0, tau)


def anchored(a: float) -> ValueModel:
    """NAS without memory of the read-out: E[v | k, W] = 0, ‖v‖ = a."""
    return ValueModel(-1.0, 0.0, a)


def proportional(alpha: float, cosine: float) -> ValueModel:
    """E[v | k, W] = κ√α Wk and E‖v‖² = α‖Wk‖²: values of size √α‖Wk‖ at a cosine κ to the read-out.

        b = κ√α − 1,   ω² = α(1 − κ²)

    Args:
        alpha: E‖v‖²/‖Wk‖² ≥ 0.
        cosine: κ in [−1, 1].

    >>> proportional(4.0, 1.0)
    ValueModel(pull=1.0, relative=0.0, absolute=0.0)
    """
    if not 0 <= alpha < math.inf or not -1 <= cosine <= 1:
        raise Misuse(f"α = {alpha} and κ = {cosine} describe no values; take a finite α ≥ 0 and κ in [−1, 1]")
    return ValueModel(cosine * math.sqrt(alpha) - 1, math.sqrt(alpha * (1 - cosine**2)), 0.0)


class WriteMap(NamedTuple):
    """One write's effect on S = E[WᵀW] in the law's coordinates: S' = L(S) + F.

    Attributes:
        apply: X (n, n) -> L(X).
        floor: F (n, n).
    """

    apply: Callable[[Array], Array]
    floor: Array


def write_map(law: KeyLaw, model: ValueModel) -> WriteMap:
    """L and F of S' = L(S) + F, S = E[M^{-1/2}WᵀWM^{-1/2}], so that E‖W'‖²_{M⁻¹} = tr(L(S) + F).

        L(X) = X + b(BX + XB) + (b² + ω²) T(X),  F = τ² E[η²ŷŷᵀ/s];   B = E[ηŷŷᵀ],  T(X) = E[η²(ŷᵀXŷ)ŷŷᵀ]

    Args:
        law: of the keys, independent of W.
        model: of the values.

    Returns:
        The map; L maps positive semidefinite matrices to such, and F is one.

    Raises:
        Misuse: an absolute noise where E[η²/s] is infinite: hard writes of Gaussian keys with n ≤ 2.

    Source: T3.value_map.
    """
    b, spread = model.pull, model.pull**2 + model.relative**2
    if isinstance(law, SampleKeys):
        count = len(law.gains)
        first, floor = (outer_sum(law, w / count) for w in (law.gains, law.gains**2 / law.sizes))

        def grown(X: Array) -> Array:
            return outer_sum(law, law.gains**2 * quadratic(law, X) / count)
    else:
        moments = gaussian_moments(law)
        first, second = np.diag(moments.first), moments.second
        if model.absolute and not np.isfinite(moments.floor).all():
            raise Misuse(
                f"E[1/s] is infinite for Gaussian keys with n = {len(first)} and hard writes; take n > 2 or τ = 0"
            )
        floor = np.diag(moments.floor)

        def grown(X: Array) -> Array:  # E ŷ_iŷ_j Σ X_kl ŷ_kŷ_l of a law that no reflection changes
            return 2 * second * (X - np.diag(np.diag(X))) + np.diag(second @ np.diag(X))

    def apply(X: Array) -> Array:
        pulled = first @ X
        return X + b * (pulled + pulled.T) + spread * grown(X)

    return WriteMap(apply, model.absolute**2 * floor if model.absolute else np.zeros_like(first))


def growth(law: KeyLaw, model: ValueModel) -> Radius:
    """ρ(L), the factor of E‖W‖²_{M⁻¹} per edit in the long run.

        α X ≤ L(X) ≤ β X with X positive definite:  α ≤ ρ(L) ≤ β

    Args:
        law: of the keys.
        model: of the values.

    Returns:
        ρ(L) with bounds, which for a sample hold rounding included, for the directions as stored; above 1 the mean norm
        grows exponentially, below 1 it settles at `plateau_norm`.

    Source: T3.value_map, T3.bracket.
    """
    if model.pull == 0:  # L = id + ω²T
        part, gain = radius(law), model.relative**2
        outward = 4 * EPS * (1 + gain)  # of the sum and product
        return Radius(1 + gain * part.value, max(1 + gain * part.low - outward, 1.0), 1 + gain * part.high + outward,
                      part.iterations)  # fmt: skip
    return sample_growth(law, model) if isinstance(law, SampleKeys) else gaussian_growth(law, model)


def sample_growth(law: SampleKeys, model: ValueModel) -> Radius:
    """ρ(L) of a sample by Lanczos's method on X from I, then the cone's bounds at |X|."""
    n = law.shape[0]
    apply = write_map(law, model).apply
    error = map_rounding(law, model)
    at_identity = cone_bracket(apply, np.eye(n), error, 1)
    if n == 1 or at_identity.high - at_identity.low <= CLOSE:
        return at_identity
    done = 0

    def flat(x: Array) -> Array:
        nonlocal done
        done += 1
        X = x.reshape(n, n)
        return apply((X + X.T) / 2).ravel()

    _, found = eigsh(LinearOperator((n * n, n * n), flat, dtype=np.float64), 1, which="LA", v0=np.eye(n).ravel())
    X = found[:, 0].reshape(n, n)
    values, vectors = np.linalg.eigh((X + X.T) / 2)
    # Of several eigenmatrices Lanczos may return one with both signs; then |X| is one as well (T3.operator).
    positive = (vectors * np.abs(values)) @ vectors.T
    return cone_bracket(apply, positive / np.trace(positive), error, done)


def map_rounding(law: SampleKeys, model: ValueModel) -> float:
    """How far L(X) in float64 may lie from L(X), in units of ‖X‖_F.

    Its terms X, b(BX + XB) and (b² + ω²)T(X) may cancel, so that their own sizes count: 1 + 2|b| + b² + ω², as ‖B‖ and
    ‖T‖ are at most 1. A sum over N keys in tiles is off by TILE + N/TILE units, the products of n terms by some n.
    """
    n, count = law.shape
    terms = 8 * n + min(count, TILE) + count / TILE
    return 2 * terms * EPS * (1 + 2 * abs(model.pull) + model.pull**2 + model.relative**2)


def cone_bracket(apply: Callable[[Array], Array], X: Array, error: float, done: int) -> Radius:
    """The bounds at X, lifted off the cone's boundary by the share of I that gives the least upper bound.

    Args:
        apply: L.
        X: positive semidefinite, X ≠ 0.
        error: ‖L(X) in float64 − L(X)‖_F is at most error·‖X‖_F.
        done: how many applications were made.
    """
    best = Radius(0.0, 0.0, math.inf, done)
    n = len(X)
    for lift in (0.0, 1e-12, 1e-9, 1e-6, 1e-3, 1.0):
        inner = X + lift / n * np.eye(n)
        values, vectors = np.linalg.eigh(inner)
        if values[0] <= 4 * n * EPS * values[-1]:
            continue
        root = vectors / np.sqrt(values)
        image = apply(inner)
        noise = error * float(np.linalg.norm(inner)) / values[0]  # of L and of the congruence
        ratios = np.linalg.eigvalsh(root.T @ image @ root)
        rayleigh = float((inner * image).sum() / (inner**2).sum())
        low = max(best.low, rayleigh - error, float(ratios[0] - noise))
        best = Radius(max(best.value, rayleigh), low, min(best.high, float(ratios[-1] + noise)), done)
    return best._replace(value=min(best.value, best.high))


def gaussian_growth(law: GaussianKeys, model: ValueModel) -> Radius:
    """ρ(L) of a Gaussian law: L's top eigenvalue on diagonal matrices, at two steps of the quadrature."""
    found = []
    for step in (STEP, STEP / 2):
        moments = gaussian_moments(law, step)
        spread = model.pull**2 + model.relative**2
        matrix = np.diag(1 + 2 * model.pull * moments.first) + spread * moments.second
        start = np.abs(np.linalg.eigh(matrix)[1][:, -1]) + EPS
        found.append(power_iteration(partial(np.matmul, matrix), start, 1e-12, 3)[0])
    # The terms of L may cancel, so that rounding counts against their own sizes.
    size = 1 + 2 * abs(model.pull) + model.pull**2 + model.relative**2
    error = abs(found[1].value - found[0].value) + 4 * (len(law.spectrum) + 100) * EPS * size
    value, low = max(found[1].value, 0.0), max(found[1].low - error, 0.0)
    return found[1]._replace(value=value, low=low, high=found[1].high + error)


def isotropic_factor(n: int, model: ValueModel, eta: float = 1.0, eta_squared: float = 1.0) -> float:
    """ρ(L) where the keys' directions are isotropic in the metric and independent of s (matched M, elliptical keys).

        ρ(L) = 1 + (2b E[η] + (b² + ω²) E[η²])/n

    Args:
        n: the key dimension.
        model: of the values.
        eta: E[η].
        eta_squared: E[η²], between E[η]² and E[η].

    Returns:
        The factor; 1 + (α − 1)/n for hard writes of E‖v‖² = α‖Wk‖², whatever the cosine.

    Raises:
        Misuse: n is not a positive number of dimensions, or no η in [0, 1] has these moments.

    Source: T3.value_map.

    >>> isotropic_factor(4, proportional(2.0, 0.3))
    1.25
    """
    check_dimension(n)
    if not (0 <= eta <= 1 and eta**2 <= eta_squared * (1 + 1e-9) and eta_squared <= eta * (1 + 1e-9)):
        raise Misuse(f"no gain in [0, 1] has E[η] = {eta} and E[η²] = {eta_squared}; E[η]² ≤ E[η²] ≤ E[η]")
    return 1 + (2 * model.pull * eta + (model.pull**2 + model.relative**2) * eta_squared) / n


def growth_threshold(eta: float, cosine: float) -> float:
    """The α = E‖v‖²/‖Wk‖² above which the mean norm grows, for a fixed gain η, values at a cosine κ, and any key law.

        α* = x²,   η x² + 2κ(1 − η)x − (2 − η) = 0,  x > 0;     α* = 1 for η = 1 or κ = 1

    Args:
        eta: η in (0, 1].
        cosine: κ in [−1, 1].

    Returns:
        α* ≥ 1: soft writes bear longer values without growth, the more so the less these follow the read-out.

    Source: T3.threshold.

    >>> growth_threshold(1.0, 0.3), round(growth_threshold(0.5, 0.0), 12)
    (1.0, 3.0)
    """
    if not 0 < eta <= 1 or not -1 <= cosine <= 1:
        raise Misuse(f"η = {eta}, κ = {cosine}: take η in (0, 1] and κ in [−1, 1]")
    half = cosine * (1 - eta)
    root = math.sqrt(half**2 + eta * (2 - eta))
    size = (2 - eta) / (root + half) if half > 0 else (root - half) / eta
    return size * size


def doubling_time(factor: float) -> float:
    """Edits until E‖W‖² has doubled, log 2/log ρ; infinite for a factor of at most 1, 0 included.

    >>> doubling_time(2.0), doubling_time(0.5)
    (1.0, inf)
    """
    if not 0 <= factor < math.inf:
        raise Misuse(f"the growth factor is {factor}; a doubling time needs one that is finite and at least 0")
    return math.log(2) / math.log(factor) if factor > 1 else math.inf
