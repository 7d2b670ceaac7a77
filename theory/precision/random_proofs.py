"""T7's claims on random entries: which share of them a write changes, and what their rounding adds to a norm."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from scipy import integrate, special

from theory.claim import Claim, Evidence, Kind
from theory.precision.formats import (
    BFLOAT16,
    FLOAT16,
    Format,
    changed_share,
    normal_tail,
    product_tail,
    rounding_noise,
    storage_noise,
)
from theory.provers.prove import Proof

Share = Callable[[float, float, Format, Callable[[Any], Any]], float]


def check_changed_share(share: Share) -> Evidence:
    """The sum over binades against the sum over every number of the format, cell by cell."""
    proof = Proof()
    for size in (0.01, 0.7, 3.0, 11.0):
        direct = integrate.quad(lambda y, x=size: float(normal_tail(x / y)) * math.exp(-y * y / 2), 0, 40, limit=400)
        route = direct[0] * math.sqrt(2 / math.pi)
        proof.holds(f"P(|XY| > {size}) by quadrature over |Y|: {route:.9f}", abs(product_tail(size) - route) < 1e-9)
    for target, weight in ((BFLOAT16, 1.0), (BFLOAT16, 0.02), (FLOAT16, 3.0)):
        for relative in (0.1, 0.5, 2.0):
            for name, tail in (("normal", normal_tail), ("rank-one", product_tail)):
                write = relative * float(target.unit_roundoff) * weight
                cells, asserted = cell_share(write, weight, target, tail), share(write, weight, target, tail)
                proof.holds(f"{target.name}, σ = {weight}, τ = {relative}u σ, {name} Δ: {cells:.9f} of the entries "
                            f"change, {asserted:.9f} asserted", abs(asserted / cells - 1) < 1e-9)  # fmt: skip
    return proof.evidence(f"{cells:.9f}", f"{asserted:.9f}")


def cell_share(write: float, weight: float, target: Format, tail: Callable[[Any], Any]) -> float:
    """Σ over the positive numbers w of a format: P(σZ rounds to w)·P(w + d leaves w's cell)."""
    binades = 2.0 ** np.arange(math.floor(math.log2(weight)) - 60, math.floor(math.log2(weight)) + 7)
    significands = 1 + np.arange(2 ** (target.precision - 1)) / 2.0 ** (target.precision - 1)
    numbers = np.outer(binades, significands).ravel()
    edges = (numbers[1:] + numbers[:-1]) / 2
    below, at, above = edges[:-1], numbers[1:-1], edges[1:]
    mass = special.erfc(below / weight / math.sqrt(2)) - special.erfc(above / weight / math.sqrt(2))
    return float(np.sum(mass * (tail((above - at) / write) + tail((at - below) / write)) / 2))


def check_storage_noise(noise: Callable[[int, float, float, float, Format], float]) -> Evidence:
    """The standard deviation for two columns against moments over every cell of the format."""
    proof = Proof()
    proof.say("W' = fl(X), row by row: ‖W'‖²_C − ‖X‖²_C for a row x of two columns is C₁₁X₁ + C₂₂X₂ + 2C₁₂Z with")
    proof.say("X_j = fl(x_j)² − x_j², Z = fl(x₁)fl(x₂) − x₁x₂; odd moments vanish; rows are independent")
    for target, sigma in ((BFLOAT16, 1.0), (BFLOAT16, 0.03), (FLOAT16, 1.4)):
        own, mean, cross = cell_moments(target, sigma)
        for first, second, mixed in ((1.0, 1.0, 0.0), (2.0, 0.5, 0.9), (1.0, 0.1, -0.3)):
            square = (first**2 + second**2) * own + 2 * first * second * mean**2 + 4 * mixed**2 * cross
            centred = square - (first + second) ** 2 * mean**2
            diagonal = first**2 + second**2
            asserted = noise(3, diagonal + 2 * mixed**2, diagonal, sigma, target)
            proof.holds(f"{target.name}, σ = {sigma}, C = ({first}, {mixed}; {mixed}, {second}), 3 rows: "
                        f"{math.sqrt(3 * centred):.7g} by cells, {asserted:.7g} asserted",
                        abs(asserted**2 / (3 * centred) - 1) < 1e-3)  # fmt: skip
    return proof.evidence(math.sqrt(3 * centred), asserted)


def cell_moments(target: Format, sigma: float) -> tuple[float, float, float]:
    """E X², E X and E Z² for X = fl(x)² − x², Z = fl(x)fl(y) − xy and independent x, y ~ N(0, σ²).

    Every cell of the format, halved at its number, is integrated by eight Gauss and Legendre nodes.
    """
    binades = 2.0 ** np.arange(math.floor(math.log2(sigma)) - 24, math.floor(math.log2(sigma)) + 5)
    significands = 1 + np.arange(2 ** (target.precision - 1)) / 2.0 ** (target.precision - 1)
    numbers = np.outer(binades, significands).ravel()
    edges = (numbers[1:] + numbers[:-1]) / 2
    stored = np.repeat(numbers[1:-1], 2)
    low = np.stack([edges[:-1], numbers[1:-1]], axis=1).ravel()
    high = np.stack([numbers[1:-1], edges[1:]], axis=1).ravel()
    nodes, weights = np.polynomial.legendre.leggauss(8)
    half = (high - low)[:, None] / 2
    x, a = (low + high)[:, None] / 2 + half * nodes, stored[:, None]
    mass = half * weights * 2 * np.exp(-((x / sigma) ** 2) / 2) / (sigma * math.sqrt(2 * math.pi))
    error, square = a - x, a * a - x * x
    spread, tilt, plain = (float(np.sum(mass * part)) for part in (error**2, error * x, x * x))
    # Z = x e' + y e + e e', with e = fl(x) − x
    cross = 2 * plain * spread + 2 * tilt**2 + 4 * tilt * spread + spread**2
    return float(np.sum(mass * square**2)), float(np.sum(mass * square)), cross


def claims() -> tuple[Claim[Any], ...]:
    """What storage in a format does to random entries."""
    return (
        Claim(
            "T7.changed_share", "T7", Kind.COMPUTED,
            "For w ~ N(0, σ²) rounded to the format and an independent d, symmetric and without atoms, away from "
            "under- and overflow, P(fl(w + d) ≠ w) = Σ_e P(|w| in binade e)P(|d| > u2^e), corrected at powers of two, "
            "whose gap below is half as wide.",
            check_changed_share, changed_share,
            lambda write, weight, target, tail: changed_share(
                write, weight, replace(target, precision=target.precision - 1), tail
            ),
            "the same with the machine epsilon 2u for u",
        ),
        Claim(
            "T7.storage_noise", "T7", Kind.COMPUTED,
            "W' = fl(X) with X of independent N(0, σ²) entries away from underflow: ‖W'‖²_C − ‖X‖²_C has the variance "
            "4m[Σ C_jj² E x²e² + (tr C² − Σ C_jj²)σ² E e²], E e² = Σ_e P(binade e)u²4^e/3, up to O(u²), relative.",
            check_storage_noise, storage_noise,
            lambda rows, trace_sq, diagonal_sq, weight, target: math.sqrt(
                4 * rows * trace_sq * weight**2 * rounding_noise(weight, target)
            ),
            "an entry's error is independent of its size: 4m tr(C²)σ² E e²",
        ),
    )  # fmt: skip
