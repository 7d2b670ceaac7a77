"""T6's claim on whose energy the noise is: the shares of the writes, sorted by their answers."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import sympy

from theory.claim import Claim, Evidence, Kind
from theory.collapse.crowding import axis_energy, share_decay
from theory.collapse.interference import ValueLaw, norm_growth, written
from theory.provers.moments import DIMENSION, sphere_moment
from theory.provers.prove import Proof
from theory.provers.trace_algebra import Algebra

n = DIMENSION
KEPT = sympy.Symbol("ρ", real=True)
SHIFT_SQ, ADDED, NORM, SHARE = sympy.symbols("τ² α R e", nonnegative=True)
LAW = ValueLaw(KEPT, SHIFT_SQ, ADDED)
Energy = Callable[[Any, Any, Any, Any, Any], tuple[Any, Any]]


def check_crowding(energy: Energy) -> Evidence:
    """A write's share and its decay by moments; the energy of an axis by summing over all answers."""
    a = Algebra({"g": ("n", 1), "k": ("n", 1)})
    g, k = a("g"), a("k")
    s, met = (k.T @ k).number(), (k.T @ g).number()
    after = g + (KEPT - 1) / s * (k @ k.T @ g)
    proof = Proof()
    proof.say("v = ρWk + ξ: W' = W(I − (1−ρ)kkᵀ/s) + ξkᵀ/s, so W_t = W_0Π + Σ x_i g_iᵀ, ξ_i along its codeword x_i;")
    proof.say("g_i is ‖ξ_i‖k_i/s at first, and every later write multiplies it by I − (1−ρ)kkᵀ/s")
    proof.equal("‖g'‖² − ‖g‖²", sympy.expand(after.norm_sq() - g.norm_sq()), sympy.expand((KEPT**2 - 1) * met**2 / s))
    proof.equal("with E(g·k̂)² = ‖g‖² E k̂₁²: e'", SHARE * (1 + (KEPT**2 - 1) * sphere_moment(1)),
                SHARE * share_decay(LAW, n))  # fmt: skip
    proof.say("E[ξ | k, past, all answers] = 0, as signs are fair coins: cross terms vanish in every row of W, and so")
    proof.say(
        "does what the answers could tell of sizes: R_t = s₀ + Σ e_i given the answers, too, one write at a time,"
    )
    grown = NORM * share_decay(LAW, n) + written(LAW, NORM, n).signal_sq
    proof.equal("which is T6.aging's R'", grown, norm_growth(LAW, n) * NORM + ADDED)
    proof.say(
        "row b of W is W_0's and the writes' with y_i = b: its energy is s₀/m + Σ e_i [y_i = b], given the answers"
    )
    for axes, m, background, shares in ((2, 2, Fraction(1, 3), (1, 2, 5)), (3, 5, Fraction(2), (4, 1, 1, 3)),
                                        (4, 4, Fraction(0), (1, 6)), (1, 3, Fraction(1), (2, 7))):  # fmt: skip
        whole = background + sum(shares)
        found = [
            (background / m + sum(e for e, y in zip(shares, answers, strict=True) if y == 0)) * m / whole
            for answers in itertools.product(range(axes), repeat=len(shares))
        ]
        mean = sum(found, Fraction(0)) / len(found)
        spread = sum(((x - mean) ** 2 for x in found), Fraction(0)) / len(found)
        asserted = energy(background, Fraction(sum(shares)), Fraction(sum(e * e for e in shares)), m, axes)
        proof.holds(f"B = {axes}, m = {m}, {len(found)} lists of answers: mean {mean}, variance {spread}",
                    asserted == (mean, spread))  # fmt: skip
    size, many = sympy.symbols("m B", positive=True)
    start, total, squares = sympy.symbols("s₀ Σe Σe²", positive=True)
    proof.say("in general: the [y_i = b] are independent, of mean 1/B and variance (1/B)(1 − 1/B)")
    mean, spread = energy(start, total, squares, size, many)
    unit = size / (start + total)
    proof.equal("mean", unit * (start / size + total / many), mean)
    proof.equal("variance", unit**2 * squares / many * (1 - 1 / many), spread)
    return proof.evidence(spread)


def claims() -> tuple[Claim[Energy], ...]:
    """What crowds the axes of a codebook."""
    return (
        Claim(
            "T6.crowding", "P8", Kind.PROVED,
            "In T6.aging's setting with ξ along ±x_y, y uniform on B orthonormal axes and the sign a fair coin, both "
            "independent of keys, sizes and past, and E‖x_bᵀW_0‖² = E‖W_0‖²/m: R_t = E‖W_t‖² is W_0's share s₀ plus "
            "one share e_i a write, which every later write multiplies by 1 + (ρ²−1)/n; given the answers y, axis b "
            "has the mean energy s₀/m + Σ_i e_i[y_i = b]; over the answers, in units of R_t/m, that has the mean (s₀ + "
            "(m/B)Σe)/R_t and the variance (m/R_t)²(1/B)(1 − 1/B)Σe².",
            check_crowding, axis_energy,
            lambda s0, total, squares, m, axes: (
                axis_energy(s0, total, squares, m, axes)[0], (m / (s0 + total)) ** 2 * squares / axes),
            "the variance has 1/B in place of (1/B)(1 − 1/B), as for Poisson counts",
        ),
    )  # fmt: skip
