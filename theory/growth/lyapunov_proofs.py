"""T3's typical path: the second moments of ‖W‖², and two-sided bounds of the Lyapunov exponent."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import mpmath
import sympy

from theory.claim import Claim, Evidence, Kind
from theory.growth.lyapunov import (
    ExponentBounds,
    exponent_bounds,
    mean_log,
    second_moment_entries,
    second_moment_growth,
    second_moments,
    typical_exponent,
)
from theory.provers.moments import DIMENSION, sphere_moment
from theory.provers.prove import Proof
from theory.provers.trace_algebra import Algebra

n = DIMENSION
m, c = sympy.Symbol("m", positive=True), sympy.Symbol("c", nonnegative=True)
R, SQUARE = sympy.symbols("R trS²", positive=True)
Entries = Callable[[Any, Any, Any], list[list[Any]]]


def check_second_moments(entries: Entries) -> Evidence:
    """(E R'², E tr S'²) from (R², tr S²), by trace algebra given k and e, then by the moments of k and of e."""
    a = Algebra({"W": ("m", "n"), "k": ("n", 1), "e": ("m", 1)})
    W, k, e = map(a, ("W", "k", "e"))
    size = sympy.Symbol("√q", nonnegative=True)
    S = W.T @ W
    after = W + c * size * (e @ k.T)
    unit = {(k.T @ k).number(): 1, (e.T @ e).number(): 1, (e.T @ W @ k).number(): 0}
    norm_sq = (after.T @ after).trace().subs(unit)
    square = sympy.expand((after.T @ after @ after.T @ after).trace().subs(unit))
    q, pushed, through = ((k.T @ S @ k).number(), (e.T @ W @ W.T @ e).number(), (e.T @ W @ S @ k).number())
    proof = Proof()
    proof.say("hard write, ‖k‖ = 1, δ = c√q·e, q = ‖Wk‖², ‖e‖ = 1, e ⟂ Wk: W' = W + c√q ekᵀ, S = WᵀW")
    proof.equal("R' = tr S'", norm_sq, S.trace() + c**2 * size**2)
    expected = (S @ S).trace() + 2 * c**2 * size**2 * (q + pushed) + 2 * c * size * 2 * through + c**4 * size**4
    proof.equal("tr S'²", square, expected)
    proof.say("e and −e are alike: the term odd in e vanishes; E eeᵀ = (I − ŵŵᵀ)/(m−1), ŵ = Wk/√q, so")
    proof.say("E[‖Wᵀe‖² | k] = (R − kᵀS²k/q)/(m−1), and q·E‖Wᵀe‖² = (qR − kᵀS²k)/(m−1)")
    first, mixed, fourth = sphere_moment(1), sphere_moment(1, 1), sphere_moment(2)
    p1, p2 = sympy.symbols("p1 p2", real=True)
    proof.equal("E k₁⁴ = 3E k₁²k₂²", fourth, 3 * mixed)
    two = p1**2 * fourth + p2**2 * fourth + 2 * p1 * p2 * mixed
    proof.equal("E q² of the eigenvalues p of S = ((tr S)² + 2tr S²)/(n(n+2)), pair by pair", two,
                mixed * ((p1 + p2) ** 2 + 2 * (p1**2 + p2**2)))  # fmt: skip
    q_sq, q_push = mixed * (R**2 + 2 * SQUARE), first * (R**2 - SQUARE) / (m - 1)
    proof.say("E q = R/n, E kᵀS²k = tr S²/n")
    rows = entries(m, n, c)
    proof.equal("E R'²", R**2 + 2 * c**2 * R * R * first + c**4 * q_sq, rows[0][0] * R**2 + rows[0][1] * SQUARE)
    proof.equal("E tr S'²", SQUARE + 2 * c**2 * (q_sq + q_push) + c**4 * q_sq,
                rows[1][0] * R**2 + rows[1][1] * SQUARE)  # fmt: skip
    exact = sympy.Matrix(second_moment_entries(sympy.Integer(3), sympy.Integer(4), sympy.Integer(2)))
    for i, j in ((0, 0), (0, 1), (1, 0), (1, 1)):
        proof.agree(f"the code's G_{i + 1}{j + 1} at m = 3, n = 4, c = 2", second_moments(3, 4, 2.0)[i, j], exact[i, j])
    half, product = exact.trace() / 2, exact.det()
    top = half + sympy.sqrt(half**2 - product)
    proof.agree("its largest eigenvalue", second_moment_growth(3, 4, 2.0), top)
    at = sympy.Symbol("p")
    parabola = sympy.interpolate([(0, 0), (1, sympy.log(2)), (2, sympy.log(top))], at)
    proof.agree("the parabola's slope at 0 through log E_p, p = 0, 1, 2 (an approximation of γ)",
                typical_exponent(3, 4, 2.0), sympy.N(sympy.diff(parabola, at).subs(at, 0), 25))  # fmt: skip
    return proof.evidence("G", "G")


def angular_mean(gain: Any, rank: int, size: int) -> Any:
    """E log(1 + g x_r/r), x_r ~ Beta(r/2, (n−r)/2), from the Beta density, to 30 digits."""
    if rank == size:
        return mpmath.log1p(gain / size)
    a, b = mpmath.mpf(rank) / 2, mpmath.mpf(size - rank) / 2
    density = lambda angle: 2 * mpmath.sin(angle) ** (2 * a - 1) * mpmath.cos(angle) ** (2 * b - 1)  # noqa: E731
    mean = mpmath.quad(
        lambda angle: density(angle) * mpmath.log1p(gain * mpmath.sin(angle) ** 2 / rank),
        [0, mpmath.pi / 8, mpmath.pi / 4, mpmath.pi / 2],
    )
    return mean / mpmath.beta(a, b)


def check_typical(bounds: Callable[[int, int, float, float], ExponentBounds]) -> Evidence:
    """E log(R'/R | W) between E log(1 + g x₁) and E log(1 + g x_r/r) ≤ log(1 + g/n), for every W; then the numbers."""
    g, y = sympy.symbols("g y", positive=True)
    f = sympy.log(1 + g * y)
    proof = Proof()
    proof.say("δ ⟂ Wk, ‖δ‖ = c‖Wk‖, M = I: T1 gives R'/R = 1 + g Σ p_i k̂_i², g = η²c², p the eigenvalues of WᵀW/R,")
    proof.say("p_i ≥ 0, Σp_i = 1, at most r = min(m, n) of them not 0; f(y) = log(1 + gy)")
    proof.equal("f''", sympy.diff(f, y, 2), -(g**2) / (1 + g * y) ** 2)
    proof.say("f is concave. Below: f(Σp_ik̂_i²) ≥ Σp_i f(k̂_i²), whose mean is E f(k̂₁²) since the k̂_i are alike")
    proof.say("Above: E f(Σp_ik̂_i²) is concave in p and does not change when the r places are permuted, so it is at")
    proof.say(
        "most its value at the mean of all permutations, p_i = 1/r: E f((k̂₁² + … + k̂_r²)/r); k̂₁² + … + k̂_r² is x_r"
    )
    proof.equal("E x_r/r = E k̂₁²; by Jensen E f(x_r/r) ≤ f(1/n)", sphere_moment(1), 1 / n)
    proof.say("log R_t − log R_0 is the sum of t such terms: the bounds hold for (1/t)E log(R_t/R_0) and so for γ")
    with mpmath.workdps(30):
        for rows, size, ratio, eta in ((3, 2, 2.0, 1.0), (2, 5, 1.5, 1.0), (4, 9, 3.0, 0.5)):
            gain, rank = mpmath.mpf(eta) ** 2 * mpmath.mpf(ratio) ** 2, min(rows, size)
            found = bounds(rows, size, ratio, eta)
            name = f"m = {rows}, n = {size}, c = {ratio}, η = {eta}"
            proof.agree(f"{name}: lower", found.low, angular_mean(gain, 1, size))
            proof.agree(f"{name}: upper", found.high, angular_mean(gain, rank, size))
            proof.agree(f"{name}: Jensen", found.mean, mpmath.log1p(gain / size))
            proof.holds(f"{found.low} < {found.high} ≤ {found.mean}", found.low < found.high <= found.mean + 1e-15)
    root = math.sqrt(5.0)
    proof.agree("n = 2 in closed form: E log(1 + 4k̂₁²) = 2 log((1 + √5)/2)",
                mean_log(0.5, 0.5, 4.0), 2 * math.log((1 + root) / 2))  # fmt: skip
    return proof.evidence("E log(1 + g x₁) ≤ γ ≤ E log(1 + g x_r/r)", "the bounds in numbers")


def unsquared(rows: int, size: int, ratio: float, eta: float) -> ExponentBounds:
    """The twin: g = ηc² for η²c²; at η = 1 with c for c²."""
    return exponent_bounds(rows, size, math.sqrt(ratio), eta) if eta == 1 else exponent_bounds(rows, size, ratio, 1.0)


def claims() -> tuple[Claim[Any], ...]:
    """Second moments and the typical exponent."""
    return (
        Claim(
            "T3.second_moments", "T3", Kind.PROVED,
            "Isotropic key directions independent of the past, M = I, η = 1, δ = c‖Wk‖e with e uniform on the unit "
            "sphere across Wk, m ≥ 2: (E R², E tr S²), S = WᵀW, R = tr S, is mapped at each write by G = [[1 + 2c²/n + "
            "c⁴/(n(n+2)), 2c⁴/(n(n+2))], [A + B, 1 + 2A − B]], A = (2c² + c⁴)/(n(n+2)), B = 2c²/(n(m−1)).",
            check_second_moments, second_moment_entries, second_moments_twin,
            "B = 2c²/(nm), as if e were not confined to Wk's complement",
        ),
        Claim(
            "T3.typical", "T3", Kind.PROVED,
            "Isotropic key directions independent of the past, P(k = 0) = 0, M = I, fixed η, W_0 ≠ 0, and always "
            "δ·Wk = 0, ‖δ‖ = c‖Wk‖ (m ≥ 2): for every W, E log(1 + g x₁) ≤ E[log(R'/R) | W] ≤ E log(1 + g x_r/r) ≤ "
            "log(1 + g/n), g = η²c², r = min(m, n), x_j ~ Beta(j/2, (n−j)/2). So too (1/t)E log(R_t/R_0) at every t.",
            check_typical, exponent_bounds, unsquared, "g = ηc for η²c²",
        ),
    )  # fmt: skip


def second_moments_twin(rows: Any, columns: Any, ratio: Any) -> list[list[Any]]:
    """The twin's entries: m for m − 1."""
    return second_moment_entries(rows + 1, columns, ratio)
