"""T3's numbers: what the float functions of `growth` return is what T3.isotropic says, by a second route."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import mpmath
import sympy

from theory.claim import Claim, Evidence, Kind
from theory.growth.isotropic import mean_growth, rate_from_factor, soft_gain_moments
from theory.growth.isotropic_proofs import SHIFTED, c, n
from theory.provers.agreement import at_two_precisions
from theory.provers.prove import Proof
from theory.writes.identities import ETA


@dataclass(frozen=True)
class Growth:
    """The functions that are said to compute T3's law.

    Attributes:
        factor: (n, c, E[η²]) -> the growth factor of E‖W‖².
        hard: (n, c) -> that of hard writes, by the function's own default.
        rate: a factor -> nats per edit.
    """

    factor: Callable[[int, float, float], float]
    hard: Callable[[int, float], float]
    rate: Callable[[float], float]


def check_growth_numbers(asserted: Growth) -> Evidence:
    """The functions at exact settings against T3.isotropic's law, and the rate against the law's powers."""
    proof = Proof()
    proof.say(f"T3.isotropic: E‖W_t‖² = ({SHIFTED})^t ‖W_0‖²; settings whose numbers float64 holds exactly")
    for dimension, shift, share in ((4, "3/2", "1/2"), (6, "1/4", "3/4"), (64, "2", "1")):
        law = SHIFTED.subs({n: dimension, c: sympy.Rational(shift), ETA: sympy.Rational(share)})
        computed = asserted.factor(dimension, float(sympy.Rational(shift)), float(sympy.Rational(share) ** 2))
        proof.agree(f"n = {dimension}, c = {shift}, η = {share}", computed, law, 1e-15)
        after = asserted.hard(dimension, float(sympy.Rational(shift)))
        proof.agree("hard writes", after, SHIFTED.subs({n: dimension, c: sympy.Rational(shift), ETA: 1}), 1e-15)
    proof.say("the rate ρ is the slope of log(factor^t) in t: exp(ρt) = factor^t, here by mpmath's powers")
    with mpmath.workdps(50):
        for factor, steps in ((1.25, 8), (0.5, 3), (3.0, 1)):
            power = mpmath.exp(mpmath.mpf(asserted.rate(factor)) * steps)
            proof.agree(f"factor {factor}, {steps} edits", power, mpmath.mpf(factor) ** steps, 1e-14)
    return proof.evidence("the functions", "T3.isotropic's law")


def inverse_moments(dimension: int, ridge: Any) -> tuple[Any, Any]:
    """E[1/(x + ρ)] and E[1/(x + ρ)²] of x ~ χ²_n, by Laplace transform.

        E[1/(x + ρ)] = ∫_0^∞ e^(−ρt) (1 + 2t)^(−n/2) dt = ½ e^(ρ/2) E_{n/2}(ρ/2) = J(ρ),   E[1/(x + ρ)²] = −J'(ρ)

    Args:
        dimension: n.
        ridge: ρ > 0, an mpmath number.

    Returns:
        Both at mpmath's working precision; E_p is the generalised exponential integral, and E_p' = −E_{p−1}.
    """
    half = mpmath.mpf(dimension) / 2
    scale = mpmath.exp(ridge / 2) / 2
    first = scale * mpmath.expint(half, ridge / 2)
    return first, scale * mpmath.expint(half - 1, ridge / 2) / 2 - first / 2


def check_soft_gain_numbers(gain: Callable[[int, float], float]) -> Evidence:
    """E[η²] by quadrature in float64 against its closed form at 50 digits."""
    proof = Proof()
    proof.say("η = x/(x + ρ) = 1 − ρ/(x + ρ), so E[η²] = 1 − 2ρ E[1/(x+ρ)] + ρ² E[1/(x+ρ)²], x ~ χ²_n")
    proof.say("E[e^(−tx)] = (1 + 2t)^(−n/2) gives E[1/(x+ρ)] = ½ e^(ρ/2) E_{n/2}(ρ/2) = J(ρ), E[1/(x+ρ)²] = −J'(ρ)")
    for dimension, ridge in ((1, 2.0), (4, 0.5), (9, 20.0), (64, 64.0)):

        def exact(dimension: int = dimension, ridge: float = ridge) -> Any:
            rho = mpmath.mpf(ridge)
            first, second = inverse_moments(dimension, rho)
            return 1 - 2 * rho * first + rho**2 * second

        proof.agree(f"n = {dimension}, ρ = {ridge}", gain(dimension, ridge), at_two_precisions(exact), 1e-9)
    return proof.evidence("the quadrature", "the closed form")


def claims() -> tuple[Claim[Any], ...]:
    """The numbers that T3's law is predicted with."""
    growth = Growth(mean_growth, mean_growth, rate_from_factor)
    return (
        Claim(
            "T3.numbers", "T3", Kind.COMPUTED,
            "mean_growth(n, c, E[η²]) is T3.isotropic's factor 1 + E[η²]c²/n (hard writes without a third argument), "
            "and rate_from_factor its logarithm, both to the last digits of float64.",
            check_growth_numbers, growth, replace(growth, factor=lambda n, c, gain: 1 + gain**2 * c * c / n),
            "E[η²] enters squared",
        ),
        Claim(
            "T3.soft_gain", "T3", Kind.COMPUTED,
            "soft_gain_moments(n, ρ), a quadrature in float64, is E[η²] of MEMIT's share η = x/(x + ρ), x ~ χ²_n, to 9 "
            "digits: 1 − 2ρJ(ρ) − ρ²J'(ρ) with J(ρ) = ½ e^(ρ/2) E_{n/2}(ρ/2).",
            check_soft_gain_numbers, soft_gain_moments, lambda n, ridge: soft_gain_moments(n, 1.001 * ridge),
            "that of a ridge 0.1 % larger",
        ),
    )  # fmt: skip
