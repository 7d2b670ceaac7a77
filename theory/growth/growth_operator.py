"""T3's growth operator T(X) = E[η²(ŷᵀXŷ)ŷŷᵀ]: its spectral radius for a law of keys, between proved bounds."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from theory.command import Misuse
from theory.growth.key_laws import Array, GaussianKeys, KeyLaw, SampleKeys
from theory.growth.quadratures import STEP, gaussian_moments

EPS = float(np.finfo(np.float64).eps)
TILE = 2048
"""Keys a tile: two tiles and their product take 3 · 2048² numbers or fewer, 100 MB."""

WIDE_LIMIT, GRAM_LIMIT = 5_000, 25_000
"""N up to which the N × N matrix is stored in float64 (200 MB), and in float32 (2.5 GB)."""

FLOOR = 1e-8
"""Entries of c below this share of the largest are lifted to it, which keeps rounding small against them."""

Route = Literal["auto", "gram", "matrix"]


class Radius(NamedTuple):
    """A spectral radius between bounds.

    Attributes:
        value: ρ, dimensionless; the Rayleigh quotient of the last iterate, itself a lower bound but for rounding.
        low: a lower bound.
        high: an upper bound.
        iterations: how many times the map was applied.
    """

    value: float
    low: float
    high: float
    iterations: int


class Perron(NamedTuple):
    """A radius with the positive semidefinite matrix at which the Rayleigh quotient (nearly) attains it.

    Attributes:
        radius: ρ and its bounds.
        matrix: X (n, n), of trace 1, in the coordinates of the law (a Gaussian law: MΣ's eigenbasis). Where several
            eigenmatrices share ρ, as for keys that fall into blocks alike, one of them.
    """

    radius: Radius
    matrix: Array


def radius(law: KeyLaw, rtol: float = 1e-6) -> Radius:
    """ρ(T), by which E‖W‖²_{M⁻¹} grows: 1 + c²ρ an edit in the long run for ‖δ‖ = c‖Wk‖, E[δ·Wk] = 0 given k, W.

        T(X) = E[η²(ŷᵀXŷ)ŷŷᵀ],   y = M^{1/2}k,   ρ = max_X E[η²(ŷᵀXŷ)²]/‖X‖²_F

    Args:
        law: of the keys, in the metric of the write.
        rtol: the relative width of the bracket at which the iteration stops.

    Returns:
        ρ with its bounds: rigorous for a sample, computed from two quadratures for a Gaussian law.

    Source: T3.variational, T3.sample, T3.gaussian.

    >>> round(radius(GaussianKeys(np.ones(5))).value, 12)
    0.2
    """
    return perron(law, rtol).radius


def perron(law: KeyLaw, rtol: float = 1e-6) -> Perron:
    """ρ(T) and its eigenmatrix; see `radius`."""
    return gaussian_perron(law) if isinstance(law, GaussianKeys) else sample_perron(law, rtol)


def anisotropic_radius(eigenvalues: Array) -> float:
    """ρ(T) for hard writes with M = I and keys N(0, Σ), at least 1/n and equal to it for an isotropic Σ only.

    Args:
        eigenvalues: σ (n,), Σ's spectrum, in key units squared.

    Returns:
        ρ, dimensionless.

    >>> round(anisotropic_radius(np.ones(5)), 9)
    0.2
    """
    return radius(GaussianKeys(eigenvalues)).value


def gaussian_perron(law: GaussianKeys) -> Perron:
    """ρ(T) of a Gaussian law: T's top eigenvalue on diagonal matrices, where the sign symmetry puts its eigenmatrix.

    The bounds are Collatz and Wielandt's, moved apart by the difference between two steps of the quadrature.
    """
    coarse, fine = (gaussian_moments(law, step).second for step in (STEP, STEP / 2))
    count = len(law.spectrum)
    start = np.ones(count)
    rough, _ = power_iteration(lambda x: coarse @ x, start, 1e-13)
    found, x = power_iteration(lambda x: fine @ x, start, 1e-13)
    error = abs(found.value - rough.value) + 4 * (count + 100) * EPS * found.value
    return Perron(found._replace(low=found.low - error, high=found.high + error), np.diag(x / x.sum()))


def sample_perron(law: SampleKeys, rtol: float = 1e-6, route: Route = "auto", limit: int = 1000) -> Perron:
    """ρ(T_N) of a sample: the top eigenvalue of the nonnegative matrix that the keys' cosines make.

        G_ij = η_iη_j cos²(ŷ_i, ŷ_j)/N,   c > 0:  ‖c‖⁻² cᵀGc ≤ ρ ≤ max_i (Gc)_i/c_i

    Args:
        law: N keys in n dimensions.
        rtol: the bracket's relative width at which to stop; below 2e-7 it is met only where G fits in float64.
        route: "gram" stores G, "matrix" applies it through X = Σ η_j c_j ŷ_jŷ_jᵀ/N; "auto" takes the cheaper one.
        limit: how many applications to make at most; the bracket then shows what is missing.

    Returns:
        ρ(T_N) with bounds that hold, rounding included, for the keys' directions as they are stored in `law`.

    Raises:
        Misuse: a tolerance that is not positive.

    Source: T3.sample, T3.bracket.

    >>> law = SampleKeys(np.eye(2), np.ones(2), np.ones(2))
    >>> sample_perron(law, route="gram").radius.value
    0.5
    """
    if not rtol > 0:
        raise Misuse(f"the tolerance is {rtol}; it must be positive, such as 1e-6")
    n, count = law.shape
    if route == "auto":
        fits = count <= GRAM_LIMIT and count * (n + 20) <= 60 * n * n
        route = "gram" if fits else "matrix"
    if route == "gram":
        rough, wide, stored = gram_maps(law)
    else:
        rough = wide = lambda c: law.gains * quadratic(law, outer_sum(law, law.gains * c / count))
        stored = 0.0
    start = law.gains * 1.0
    early = 0
    if stored:  # single precision first: it reads half as much
        found, start = power_iteration(rough, start, max(rtol, 1e-5), limit, FLOOR)
        early = found.iterations
    found, c = power_iteration(wide, start, rtol, limit, FLOOR)
    weight = law.gains * c
    bounds = with_rounding(law, c, wide(c), stored)
    value = min(max(found.value, bounds[0]), bounds[1])
    return Perron(Radius(value, *bounds, early + found.iterations), outer_sum(law, weight / weight.sum()))


def power_iteration(
    apply: Callable[[Array], Array], start: Array, rtol: float, limit: int = 1000, floor: float = 0.0
) -> tuple[Radius, Array]:
    """The top eigenvalue of a symmetric entrywise nonnegative matrix, from a positive vector on.

    Args:
        apply: c -> Gc.
        start: c > 0.
        rtol: the relative width of the bracket at which to stop.
        limit: the largest number of applications.
        floor: what every entry is kept above, relative to the largest; the bounds hold for any positive c.

    Returns:
        The Rayleigh quotient with Collatz and Wielandt's bound, and the vector at which they were taken.
    """
    c = start / start.max()
    for done in range(1, limit + 1):
        image = apply(c)
        low, high = float(c @ image / (c @ c)), float((image / c).max())
        if high - low <= rtol * low or done == limit:
            return Radius(low, low, high, done), c
        c = np.maximum(image / image.max(), floor)
    raise Misuse(f"the power iteration may take {limit} steps; allow at least 1")


def with_rounding(law: SampleKeys, c: Array, image: Array, stored: float) -> tuple[float, float]:
    """The bracket at c, widened by what rounding may have done to G and to Gc.

    A cosine of n terms is off by at most 2(n + 6) units, a sum over N keys in tiles by TILE + N/TILE, relative to the
    sum of the terms' bounds η_iη_jc_j/N; the two dot products of the quotient by N. `stored` is G's storage error,
    relative to an entry.
    """
    n, count = law.shape
    terms = 2 * n + 12 + TILE + count / TILE
    absolute = 2 * terms * EPS * float(law.gains.max() * (law.gains @ c)) / count
    relative = stored + 4 * EPS
    high = float(((image * (1 + relative) + absolute) / c).max())
    low = float(c @ image / (c @ c)) * (1 - relative - 2 * count * EPS) - absolute * float(c.sum() / (c @ c))
    return max(low, 0.0), high


def gram_maps(law: SampleKeys) -> tuple[Callable[[Array], Array], Callable[[Array], Array], float]:
    """c -> Gc in G's own precision and in float64, and the relative error with which G's entries are stored."""
    count = law.shape[1]
    narrow = count > WIDE_LIMIT
    gram = squared_gram(law, np.float32 if narrow else np.float64)
    blocks = [slice(i, i + TILE) for i in range(0, count, TILE)]

    def wide(c: Array) -> Array:
        image = np.zeros(count)
        for rows, columns in itertools.product(blocks, blocks):  # in tiles, as `with_rounding` assumes
            image[rows] += gram[rows, columns].astype(np.float64, copy=False) @ c[columns]
        return image

    def own(c: Array) -> Array:
        return (gram @ c.astype(gram.dtype)).astype(np.float64)

    return own, wide, 2.0**-24 if narrow else 0.0


def squared_gram(law: SampleKeys, dtype: type[np.floating]) -> NDArray[np.floating]:
    """G_ij = η_iη_j cos²_ij/N (N, N), by float64 tiles of its upper half."""
    count = law.shape[1]
    gram = np.empty((count, count), dtype=dtype)
    blocks = [slice(i, min(i + TILE, count)) for i in range(0, count, TILE)]
    for at, rows in enumerate(blocks):
        left = law.directions[:, rows]
        for columns in blocks[at:]:
            tile = left.T @ law.directions[:, columns]
            np.square(tile, out=tile)
            tile *= law.gains[rows, None] / count
            tile *= law.gains[columns]
            gram[rows, columns] = tile
            gram[columns, rows] = tile.T
    return gram


def outer_sum(law: SampleKeys, weights: Array) -> Array:
    """Σ w_i ŷ_iŷ_iᵀ (n, n), tile by tile."""
    n, count = law.shape
    total = np.zeros((n, n))
    for start in range(0, count, TILE):
        tile = law.directions[:, start : start + TILE]
        total += (tile * weights[start : start + TILE]) @ tile.T
    return total


def quadratic(law: SampleKeys, matrix: Array) -> Array:
    """ŷ_iᵀXŷ_i (N,), tile by tile."""
    parts = (law.directions[:, start : start + TILE] for start in range(0, law.shape[1], TILE))
    return np.concatenate([np.einsum("ij,ij->j", tile, matrix @ tile) for tile in parts])
