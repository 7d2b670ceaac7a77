"""Moments of isotropic keys for symbolic n: the norm ‖k‖² of a Gaussian key, and its direction k̂ on the sphere."""

from __future__ import annotations

import sympy

DIMENSION = sympy.Symbol("n", positive=True)


def normal_moment(order: int) -> sympy.Expr:
    """E[g^(2p)] of a standard normal g, by integration.

    >>> normal_moment(2)
    3
    """
    x = sympy.Symbol("x", real=True)
    density = sympy.exp(-(x**2) / 2) / sympy.sqrt(2 * sympy.pi)
    return sympy.integrate(x ** (2 * order) * density, (x, -sympy.oo, sympy.oo))


def chi_square_moment(order: int) -> sympy.Expr:
    """E[‖k‖^(2p)] of k ~ N(0, I_n), by integration of the chi-square density; needs n > −2p.

        E[X^p] = ∫ x^(n/2 + p − 1) e^(−x/2) dx / (2^(n/2) Γ(n/2)) = 2^p Γ(n/2 + p)/Γ(n/2)

    >>> chi_square_moment(-1), chi_square_moment(1)
    (1/(n - 2), n)
    """
    x, power = sympy.Symbol("x", positive=True), sympy.Symbol("power", positive=True)
    integral = sympy.integrate(x ** (power - 1) * sympy.exp(-x / 2), (x, 0, sympy.oo))
    half = DIMENSION / 2
    ratio = integral.subs(power, half + order) / integral.subs(power, half)
    return sympy.factor(sympy.simplify(sympy.gammasimp(ratio)))


def sphere_moment(*orders: int) -> sympy.Expr:
    """E[k̂₁^(2p₁) k̂₂^(2p₂) …] of a uniform direction k̂ in n dimensions.

    A Gaussian key's norm and direction are independent, so Π E[g^(2pᵢ)] = E[‖k‖^(2Σp)] E[Π k̂ᵢ^(2pᵢ)].

    >>> sphere_moment(1), sphere_moment(1, 1)
    (1/n, 1/(n*(n + 2)))
    """
    return sympy.factor(sympy.Mul(*map(normal_moment, orders)) / chi_square_moment(sum(orders)))
