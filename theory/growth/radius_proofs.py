"""T3's radius for Gaussian keys, by two routes, and what a sample says of it."""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable
from typing import Any

import mpmath
import numpy as np
import sympy
from scipy import integrate

from theory.claim import Claim, Evidence, Kind
from theory.growth.growth_operator import anisotropic_radius, radius
from theory.growth.key_laws import HARD, SOFT, Gain, GaussianKeys
from theory.growth.operator_proofs import DIRECTIONS, GAINS, exact_operator, float_law, top_eigenvalue
from theory.growth.quadratures import Moments, gaussian_moments
from theory.growth.radius_bounds import bernstein_low, chernoff_high, radius_interval
from theory.provers.prove import Proof

DIGITS = 50
PLANE = (1.0, 4.0)
SPACE = (1, 2, 3, 5, 8)
PLANE_GAINS = (HARD, SOFT, Gain(2.0, 0.5))


@functools.cache
def over_plane(gain: Gain, power: int, first: int, second: int) -> float:
    """E[(η/s)^p y₁^(2a)y₂^(2b)] for n = 2 from the density of y itself: y = √(2v)(√μ₁ cos θ, √μ₂ sin θ), v ~ Exp(1)."""
    angles = 2 * np.pi * np.arange(200) / 200
    along, across = PLANE[0] * np.cos(angles) ** 2, PLANE[1] * np.sin(angles) ** 2
    quadratic = along + across

    def mean_over_angles(v: float) -> float:
        kept = (gain.share / (gain.ridge + 2 * v * quadratic)) ** power
        return float(np.mean(kept * (2 * v * along) ** first * (2 * v * across) ** second) * math.exp(-v))

    pieces = ((0.0, 1.0), (1.0, 60.0))
    return sum(integrate.quad(mean_over_angles, a, b, epsabs=0, epsrel=1e-11, limit=200)[0] for a, b in pieces)


@functools.cache
def by_laplace(gain: Gain, power: int, *which: int) -> Any:
    """E[(η/s)^p Π y_i²] for the spectrum SPACE by mpmath, to 50 digits."""
    ridge, share = mpmath.mpf(gain.ridge), mpmath.mpf(gain.share)
    repeated = 3 if len(which) == 2 and which[0] == which[1] else 1

    def integrand(t: Any) -> Any:
        spread = [1 + 2 * t * mu for mu in SPACE]
        moment = mpmath.fprod(SPACE[i] / spread[i] for i in which)
        return t ** (power - 1) * mpmath.exp(-ridge * t) * moment / mpmath.sqrt(mpmath.fprod(spread))

    return repeated * share**power * mpmath.quad(integrand, [0, "0.02", "0.1", 1, 20, mpmath.inf])


def check_gaussian(moments: Callable[[GaussianKeys], Moments]) -> Evidence:
    """E[ηŷ_i²], E[η²ŷ_i²ŷ_j²], E[η²ŷ_i²/s] and ρ by `moments` against the density of y, and against 50 digits."""
    proof = Proof()
    proof.say("sign changes y → Dy leave the law alone: T(DXD) = D·T(X)·D, so averaging X* over all D leaves diag(X*),")
    proof.say("an eigenmatrix ≥ 0 of the same eigenvalue and trace: ρ is T's top eigenvalue on diagonal matrices")
    for gain in PLANE_GAINS:
        law = GaussianKeys(np.array(PLANE), gain)
        found = moments(law)
        on_plane = {(a, b): over_plane(gain, 2, a, b) for a, b in ((2, 0), (1, 1), (0, 2))}
        proof.agree(f"{gain}, μ = (1, 4): E[ηŷ₁²]", found.first[0], over_plane(gain, 1, 1, 0), 1e-9)
        for (i, j), key in (((0, 0), (2, 0)), ((0, 1), (1, 1)), ((1, 1), (0, 2))):
            proof.agree(f"E[η²ŷ²ŷ²]_{i + 1}{j + 1}", found.second[i, j], on_plane[key], 1e-9)
        if gain.ridge:
            proof.agree("E[η²ŷ₁²/s]", found.floor[0], over_plane(gain, 2, 1, 0), 1e-9)
        mixed = on_plane[1, 1]  # on E₁₁, E₂₂, (E₁₂ + E₂₁)/√2 by the density: the odd moments vanish
        whole = np.array([[on_plane[2, 0], mixed, 0], [mixed, on_plane[0, 2], 0], [0, 0, 2 * mixed]])
        proof.agree("ρ on all symmetric 2 × 2 matrices", radius(law).value, np.linalg.eigvalsh(whole)[-1], 1e-9)
    with mpmath.workdps(DIGITS):
        for gain in (HARD, Gain(1.0, 0.5)):
            check_in_space(proof, gain, moments)
    return proof.evidence("two routes", "the moments of Gaussian directions")


def check_in_space(proof: Proof, gain: Gain, moments: Callable[[GaussianKeys], Moments]) -> None:
    """The same for five dimensions against mpmath."""
    law = GaussianKeys(np.array(SPACE, dtype=float), gain)
    found, size = moments(law), len(SPACE)
    exact = mpmath.matrix(size, size)
    for i, j in itertools.combinations_with_replacement(range(size), 2):
        exact[i, j] = exact[j, i] = by_laplace(gain, 2, i, j)
    top = max(mpmath.eigsy(exact, eigvals_only=True))
    proof.agree(f"{gain}, μ = {SPACE}: E[ηŷ₂²]", found.first[1], by_laplace(gain, 1, 1))
    proof.agree("E[η²ŷ₂²/s]", found.floor[1], by_laplace(gain, 2, 1))
    proof.agree("E[η²ŷ₁²ŷ₃²]", found.second[0, 2], exact[0, 2])
    proof.agree("E[η²ŷ₄⁴]", found.second[3, 3], exact[3, 3])
    proof.agree("the top eigenvalue of `moments`", np.linalg.eigvalsh(found.second)[-1], top)
    bracket = radius(law)
    proof.agree("the code's ρ", bracket.value, top)
    proof.holds(f"its bracket [{bracket.low}, {bracket.high}]", bracket.low <= top <= bracket.high)
    if gain == HARD:
        proof.agree("`anisotropic_radius`", anisotropic_radius(law.spectrum), top)


def without_fourth_moment(law: GaussianKeys) -> Moments:
    """The twin: y_i² and y_i² taken for independent, E y_i⁴ = (E y_i²)²."""
    found = gaussian_moments(law)
    return found._replace(second=found.second - np.diag(np.diag(found.second)) * 2 / 3)


def check_sampling(bias: int) -> Evidence:
    """The sign of E ρ(T_N) − ρ(T), and the one-sided bounds that a sample gives."""
    proof = Proof()
    proof.say("f_i = η_i²(ŷ_iᵀXŷ_i)²/‖X‖²_F has expectation at most ρ at a fixed X, and ρ at X = X*; 0 ≤ f_i ≤ 1")
    proof.say("ρ(T_N) ≥ f̄ at X*, so E ρ(T_N) ≥ ρ; X from other, independent keys is fixed for these: E[f̄ | X] ≤ ρ")
    exact = sympy.N(top_eigenvalue(exact_operator()), 25)
    pairs = [sympy.N(top_eigenvalue(exact_operator(pair)), 25) for pair in itertools.product(range(3), repeat=2)]
    mean = sum(pairs) / 9
    proof.holds(f"all 9 samples of N = 2 of three keys: E ρ(T_2) = {mean:.6f} against ρ = {exact:.6f}",
                bias * (mean - exact) > 0)  # fmt: skip
    # r = √μ, a = √(d/2), b = √(d/2 + x̄): Chernoff leaves μ − √(2dμ) ≤ x̄, that is r² − 2ar ≤ b² − a².
    r, a, b = sympy.symbols("r a b", nonnegative=True)
    proof.say("Chernoff, lower tail: x̄ > μ − √(2dμ) but with probability e^(−Nd); r = √μ, a = √(d/2), b = √(d/2 + x̄)")
    proof.follows("√μ ≤ √(d/2) + √(d/2 + x̄)", [r**2 - 2 * a * r <= b**2 - a**2], r <= a + b)
    upper, rate = chernoff_high(0.3, 50, 0.9), math.log(10) / 50
    proof.agree("the code's limit μ solves μ − √(2dμ) = 0.3, d = log(10)/50", upper - math.sqrt(2 * rate * upper), 0.3)
    values = [sympy.Rational(i, 8) for i in (0, 1, 1, 2, 4)]
    centre = sum(values, sympy.S.Zero) / 5
    spread = sum(((value - centre) ** 2 for value in values), sympy.S.Zero) / 4
    risk = sympy.log(20)  # Maurer and Pontil 2009, theorem 4, for values in [0, b], here b = 1/2
    limit = sympy.N(centre - sympy.sqrt(2 * spread * risk / 5) - sympy.Rational(7, 2) * risk / (3 * 4), 25)
    proof.agree("the code's empirical Bernstein limit", bernstein_low(np.array(values, dtype=float), 0.5, 0.9), limit)
    check_interval(proof)
    return proof.evidence("E f̄ ≤ ρ ≤ E ρ(T_N)", "E ρ(T_N) ≥ ρ" if bias > 0 else "E ρ(T_N) ≤ ρ")


def check_interval(proof: Proof) -> None:
    """`radius_interval` on 600 of the three keys, against the steps it is made of."""
    even, odd = (0, 1, 0, 2, 1, 0), (0, 1, 2, 0, 2, 0)  # as often as they stand here, 50 times over
    copies = tuple(itertools.chain.from_iterable(zip(even, odd, strict=True))) * 50
    found = radius_interval(float_law(copies), 0.9)
    first, second, mixed = np.linalg.eigh(np.array(exact_operator(even).evalf(25), dtype=float))[1][:, -1]
    X = np.array([[first, mixed / math.sqrt(2)], [mixed / math.sqrt(2), second]])  # of Frobenius norm 1
    keys = [np.array(DIRECTIONS[i], dtype=float).ravel() for i in odd]
    shares = [float(GAINS[i]) ** 2 * (key @ X @ key) ** 2 for i, key in zip(odd, keys, strict=True)]
    proof.agree("the code's cross-fitted mean", found.cross_fit, sum(shares) / 6, 1e-6)
    top = float(np.linalg.eigvalsh(X * np.sign(first))[-1])
    low = bernstein_low(np.array(shares * 50), top**2, 0.9)
    proof.agree("its lower end", found.low, low, 1e-6)
    proof.holds(f"which is above 0: {low}", low > 0)
    full = top_eigenvalue(exact_operator(copies[:12]))
    proof.agree("its ρ(T_N), an upper bound", found.full_sample, full, 1e-6)
    proof.agree("its upper end", found.high, chernoff_high(float(full), 600, 0.9), 1e-6)
    spread = bernstein_low(np.full(1000, 0.25), 0.5, 0.9)
    proof.holds(f"a lower end above 0 at N = 1000: {spread}", 0.24 < spread < 0.25)


def claims() -> tuple[Claim[Any], ...]:
    """Gaussian laws, and samples as evidence of a law."""
    return (
        Claim(
            "T3.gaussian", "T3", Kind.COMPUTED,
            "k ~ N(0, Σ), M fixed, η = share·s/(ridge + s): ρ(T) is the top eigenvalue of the n × n matrix "
            "E[η²ŷ_i²ŷ_j²] = share² ∫ t e^(−ridge·t) φ(t) (1 + 2·1{i=j}) a_ia_j dt, a_i = μ_i/(1 + 2tμ_i), "
            "φ = Π(1 + 2tμ_l)^(−1/2), μ the eigenvalues of MΣ; ridge 0 is a hard write, 1 MEMIT's. The quadrature "
            "agrees with the density of y for n = 2 to 1e-9 and with 50 digits for n = 5 to 1e-12.",
            check_gaussian, gaussian_moments, without_fourth_moment, "the same without the factor 1 + 2·1{i=j}",
        ),
        Claim(
            "T3.sampling", "T3", Kind.PROVED,
            "N keys drawn independently from one law: E ρ(T_N) ≥ ρ(T), and with X from one half of them the mean of "
            "η²(ŷᵀXŷ)²/‖X‖²_F over the other half has expectation at most ρ(T). With probability at least 1 − δ each, "
            "ρ exceeds the empirical Bernstein limit of that mean (Maurer and Pontil's theorem 4) and "
            "ρ ≤ (√(d/2) + √(d/2 + ρ(T_N)))², d = log(1/δ)/N (Chernoff's bound); ρ ≤ 1 always.",
            check_sampling, 1, -1, "E ρ(T_N) ≤ ρ(T): a sample understates the radius",
        ),
    )  # fmt: skip
