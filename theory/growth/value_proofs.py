"""T3 under other value models: the map of one write, when the mean norm grows, and a model fitted to measurements."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import sympy

from theory.claim import Claim, Evidence, Kind
from theory.growth.key_laws import GaussianKeys, SampleKeys
from theory.growth.operator_proofs import DIRECTIONS, GAINS, float_law
from theory.growth.value_fit import ValueFit, fit_values, mean_path, plateau_norm
from theory.growth.value_models import (
    ValueModel,
    absolute_shift,
    anchored,
    doubling_time,
    growth,
    growth_threshold,
    isotropic_factor,
    proportional,
    relative_shift,
    write_map,
)
from theory.provers.moments import DIMENSION, sphere_moment
from theory.provers.prove import Proof
from theory.provers.trace_algebra import Algebra

n = DIMENSION
B, OMEGA, TAU = sympy.symbols("b ω τ", real=True)
ETA, FIRST, SECOND = sympy.symbols("η E[η] E[η²]", positive=True)
MODEL = ValueModel(-0.25, 0.5, 1.5)


def check_value_map(spread: sympy.Expr) -> Evidence:
    """L(X) = X + b(BX + XB) + spread·T(X) and F, then the code on three keys of the plane in exact numbers."""
    a = Algebra({"W": ("m", "n"), "y": ("n", 1), "ε": ("m", 1)})
    W, y, noise = map(a, ("W", "y", "ε"))
    s = (y.T @ y).number()
    after, mirrored = (W + ETA / s * ((B * (W @ y) + sign * noise) @ y.T) for sign in (1, -1))
    S, outer = W.T @ W, y @ y.T / s
    read_sq, noise_sq = (y.T @ S @ y).number(), (noise.T @ noise).number()
    proof = Proof()
    proof.say("in y = M^{1/2}k: r = v − Wk = bWk + ε, W' = W + ηr yᵀ/s; E[ε | k, W] = 0 leaves the part even in ε")
    even = (after.T @ after + mirrored.T @ mirrored) / 2
    squeezed = (a.eye("n") + ETA * B * outer) @ S @ (a.eye("n") + ETA * B * outer)
    proof.equal("E[W'ᵀW' | k, W] is a sum of X → AXAᵀ (completely positive) and a floor", even,
                squeezed + ETA**2 * noise_sq / s * outer)  # fmt: skip
    drift, growing = ETA * B * (outer @ S + S @ outer), ETA**2 * read_sq / s * outer
    given = sympy.expand((OMEGA**2 * read_sq + TAU**2) / s)
    right = S + drift + spread * growing + ETA**2 * TAU**2 / s * outer
    proof.say("E‖ε‖² = ω²‖Wk‖² + τ² given k, W")
    proof.equal("the same as S + bη(ŷŷᵀS + Sŷŷᵀ) + spread·η²(ŷᵀSŷ)ŷŷᵀ + τ²η²ŷŷᵀ/s",
                squeezed + ETA**2 * given * outer, right)  # fmt: skip
    q = sphere_moment(1)
    proof.say("every term is self-adjoint; isotropic ŷ independent of s: B = E[η]·I/n, T(I) = E[η²]·I/n, so L(I) = ρI")
    factor = 1 + (2 * B * FIRST + spread * SECOND) * q
    proof.equal("ρ(L)", factor, 1 + (2 * B * FIRST + (B**2 + OMEGA**2) * SECOND) / n)
    numbers = {B: -0.25, OMEGA: 0.5, FIRST: 0.6, SECOND: 0.4, n: 7}
    proof.agree("the code's isotropic factor", isotropic_factor(7, MODEL, 0.6, 0.4), factor.subs(numbers))
    check_map_code(proof)
    check_cases(proof)
    return proof.evidence(B**2 + OMEGA**2, spread)


def exact_step(S: sympy.Matrix, model: tuple[sympy.Expr, ...]) -> sympy.Matrix:
    """S' over three keys of the plane with s = 1, term by term as AXAᵀ plus the noise's own outer product."""
    b, omega, tau = model
    total = sympy.zeros(2)
    for direction, eta in zip(DIRECTIONS, GAINS, strict=True):
        outer = direction * direction.T
        keep = sympy.eye(2) + b * eta * outer
        total += keep * S * keep + eta**2 * (omega**2 * (direction.T * S * direction)[0] + tau**2) * outer
    return total / 3


def check_map_code(proof: Proof) -> None:
    """`mean_path`, `growth` and `plateau_norm` against exact matrices."""
    model = (sympy.Rational(-1, 4), sympy.Rational(1, 2), sympy.Rational(3, 2))
    states = [sympy.Matrix([[2, 1], [1, 3]])]
    for _ in range(3):
        states.append(exact_step(states[-1], model))
    found = mean_path(float_law(), MODEL, np.array([[2.0, 1.0], [1.0, 3.0]]), 3)
    proof.agree("the code's E‖W_3‖² over three keys of the plane", found[-1], states[-1].trace())
    units = [sympy.Matrix(2, 2, entries) for entries in ((1, 0, 0, 0), (0, 0, 0, 1), (0, 1, 1, 0))]
    images = [exact_step(unit, (*model[:2], sympy.S.Zero)) for unit in units]
    linear = sympy.Matrix([[image[at] for image in images] for at in ((0, 0), (1, 1), (0, 1))])
    top = max((sympy.re(root) for root in sympy.Poly(linear.charpoly().as_expr()).nroots(n=25)), default=0)
    radius = growth(float_law(), MODEL)
    proof.agree("its ρ(L)", radius.value, top)
    proof.holds(f"the bracket [{radius.low}, {radius.high}]", radius.low <= top <= radius.high)
    floor = exact_step(sympy.zeros(2), model)
    fixed = (sympy.eye(3) - linear).LUsolve(sympy.Matrix([floor[0, 0], floor[1, 1], floor[0, 1]]))
    proof.agree("its plateau, where ρ(L) < 1", plateau_norm(float_law(), MODEL), fixed[0] + fixed[1], 1e-9)


def check_cases(proof: Proof) -> None:
    """The named models, on isotropic Gaussian keys and on the three keys."""
    isotropic = GaussianKeys(np.ones(6))
    proof.agree("relative shift c = 1/2, n = 6: ρ(L)", growth(isotropic, relative_shift(0.5)).value, 1 + 0.25 / 6)
    proof.agree("α = 3, κ = 2/5, n = 6, hard: ρ(L) = 1 + (α − 1)/n", growth(isotropic, proportional(3.0, 0.4)).value,
                sympy.Rational(4, 3))  # fmt: skip
    proof.agree("NAS, n = 6: the plateau a²n/(n − 2)", plateau_norm(isotropic, anchored(2.0)), 6, 1e-9)
    S = np.array([[2.0, 1.0], [1.0, 3.0]])
    path = mean_path(float_law(), absolute_shift(1.5), S, 4)
    step = 2.25 * float(sum(gain**2 for gain in GAINS)) / 3
    line = growth(SampleKeys(np.ones((1, 6)), np.ones(6), np.ones(6)), ValueModel(-1.0, 0.0, 0.0))
    proof.holds(f"n = 1, b = −1, hard: L = 0 though its terms are of size 1; [{line.low}, {line.high}] holds 0 closely",
                line.low <= 0 <= line.high < 1e-12)  # fmt: skip
    proof.agree("absolute shift τ = 3/2: R grows by τ²E[η²/s] an edit, E R_4", path[-1], 5 + 4 * step)
    proof.agree("its ρ(L)", growth(float_law(), absolute_shift(1.5)).value, 1)
    mixed = np.array([[1.0, 0.5, 0.0], [0.5, 2.0, 0.25], [0.0, 0.25, 1.0]])
    moved = write_map(GaussianKeys(np.ones(3)), ValueModel(-0.5, 0.5, 0.0)).apply(mixed)
    for i, j in ((0, 1), (1, 1), (0, 2)):  # T(X) = (tr X·I + 2X)/(n(n+2)), T3.spectral_radius; b² + ω² = 1/2, B = I/3
        expected = mixed[i, j] * (1 - 1 / 3) + 0.5 * (4 * (i == j) + 2 * mixed[i, j]) / 15
        proof.agree(f"the code's L(X) for isotropic keys, entry {i + 1}{j + 1}", moved[i, j], expected)
    proof.agree("doubling time of the factor 1 + 1/n, n = 100", doubling_time(1.01), sympy.log(2) / sympy.log(1.01))


def check_threshold(balance: sympy.Expr) -> Evidence:
    """The mean norm grows iff √α exceeds the positive root x* of `balance` (in x), for any key law that excites."""
    root, small, large, rho = sympy.symbols("x* μ λ ρ", positive=True)
    alpha_root, cosine = sympy.Symbol("√α", nonnegative=True), sympy.Symbol("κ", real=True)
    x = sympy.Symbol("x", positive=True)
    b, omega_sq = cosine * alpha_root - 1, alpha_root**2 * (1 - cosine**2)
    drift = ETA * (2 * b + ETA * (b**2 + omega_sq))
    proof = Proof()
    proof.say("v of size √α‖Wk‖ at a cosine κ, x = √α: b = κx − 1, ω² = x²(1 − κ²); B = E ŷŷᵀ, μ = λ_min(B) > 0")
    proof.say("T3.value_map at X = I with a fixed η: L(I) = I + g·B, g = η(2b + η(b² + ω²))")
    proof.equal("g/η", drift / ETA, ETA * alpha_root**2 + 2 * cosine * (1 - ETA) * alpha_root - (2 - ETA))
    proof.equal("g for hard writes", drift.subs(ETA, 1), alpha_root**2 - 1)
    given = [ETA <= 1, cosine <= 1, cosine >= -1, sympy.Eq(balance.subs(x, root), 0)]
    proof.follows("g > 0 iff x > x*", given, sympy.Equivalent(drift > 0, alpha_root > root))
    g = sympy.Symbol("g", real=True)
    up = [small <= large, 1 + g * small <= rho, rho <= 1 + g * large, g >= 0]
    down = [small <= large, 1 + g * large <= rho, rho <= 1 + g * small, g < 0]
    proof.say(
        "L maps the cone X ≥ 0 into itself (T3.value_map), so by Krein and Rutman's theorem L(P) = ρ(L)P for some"
    )
    proof.say(
        "P ≥ 0, P ≠ 0, and L is self-adjoint: T3.bracket's argument holds for L, and at X = I it puts ρ(L) between"
    )
    proof.say("1 + gμ and 1 + g·λ_max(B); also E‖W'‖² = tr(S·L(I)) = tr S + g·tr(BS): every edit has the sign of g")
    proof.follows("g ≥ 0: ρ(L) > 1 iff g > 0", up, sympy.Equivalent(rho > 1, g > 0))
    proof.follows("g < 0: ρ(L) < 1", down, rho < 1)
    proof.follows("x* ≥ 1: shorter values than the read-out never grow", given, root >= 1)
    for eta, kappa in ((0.5, 0.0), (0.25, 0.6), (0.25, -0.6), (1.0, 0.3)):
        size = growth_threshold(eta, kappa) ** 0.5
        proof.agree(f"the code's √α* at η = {eta}, κ = {kappa} is the root: ηx² + 2κ(1−η)x",
                    eta * size**2 + 2 * kappa * (1 - eta) * size, 2 - eta)  # fmt: skip
    return proof.evidence("ηx² + 2κ(1−η)x − (2−η)", balance)


def pairs(model: tuple[float, float, float]) -> tuple[np.ndarray, np.ndarray]:
    """Sixteen pairs (Wk, v) that obey a model exactly: noise across Wk of both signs, ‖noise‖² = ω²‖Wk‖² + τ²."""
    b, omega, tau = model
    readouts, values = [], []
    for length in range(1, 9):
        read = length * np.array([0.6, 0.8])
        noise = np.sqrt(omega**2 * length**2 + tau**2) * np.array([-0.8, 0.6])
        for sign in (1, -1):
            readouts.append(read)
            values.append((1 + b) * read + sign * noise)
    return np.array(readouts).T, np.array(values).T


def check_value_fit(fit: Callable[[np.ndarray, np.ndarray], ValueFit]) -> Evidence:
    """The fit recovers models from pairs that obey them, and its misfits are what the other pairs miss by."""
    proof = Proof()
    proof.say("16 pairs, ‖Wk‖ = 1..8: v = (1+b)Wk ± noise across Wk, ‖noise‖² = ω²‖Wk‖² + τ²")
    for model in ((-0.25, 0.5, 1.5), (0.5, 0.75, 0.25)):
        found = fit(*pairs(model))
        for name, value, expected in zip(("b", "ω", "τ"), vars(found.model).values(), model, strict=True):
            proof.agree(f"{model}: {name}", value, expected, 1e-9)
        proof.holds(f"misfits {found.length_misfit:.1e}, {found.pull_misfit:.1e} below 1e-12",
                    max(found.length_misfit, found.pull_misfit) < 1e-12)  # fmt: skip
    readouts, _ = pairs((0.0, 0.0, 0.0))
    found = fit(readouts, 2 * readouts / np.sqrt((readouts**2).sum(axis=0)))  # v of size 2 along Wk: no such model
    proof.say("v = 2Wk/‖Wk‖ obeys no such model: 1 + b = 2E‖Wk‖/E‖Wk‖² = 6/17 in the mean")
    proof.agree("1 + b", found.model.pull + 1, sympy.Rational(6, 17), 1e-9)
    # ‖noise‖² = (2 − 6r/17)², r = 1..8, against ω²r² + τ²: least squares with ω² ≥ 0 leaves ω = 0, τ² the mean.
    mean = sum((2 - sympy.Rational(6 * r, 17)) ** 2 for r in range(1, 9)) / 8
    proof.agree("τ² is the mean of ‖noise‖², ω = 0", found.model.absolute**2 + found.model.relative, mean, 1e-9)
    first, last = (sympy.Rational(a**2 + (a + 1) ** 2, 2) for a in (1, 7))
    kept = sympy.Rational(6, 17)
    proof.agree("the misfit of E‖v‖² = 4, largest in the last quarter",
                found.length_misfit, abs(kept**2 * last + mean - 4) / 4, 1e-9)  # fmt: skip
    pulls = (abs(kept * first / 3 - 1), abs(kept * last / 15 - 1))
    proof.agree("the misfit of E[v·Wk] against E‖v‖‖Wk‖", found.pull_misfit, max(pulls), 1e-9)
    return proof.evidence("b, ω, τ", "recovered")


def without_squares(readouts: np.ndarray, values: np.ndarray) -> ValueFit:
    """The twin: 1 + b as the mean of v·Wk/‖Wk‖², and the rest as fitted."""
    found = fit_values(readouts, values)
    kept = float(((values * readouts).sum(axis=0) / (readouts**2).sum(axis=0)).mean())
    return found._replace(model=ValueModel(kept - 1, found.model.relative, found.model.absolute))


def claims() -> tuple[Claim[Any], ...]:
    """Value models and what they lead to."""
    x, cosine = sympy.Symbol("x", positive=True), sympy.Symbol("κ", real=True)
    balance = ETA * x**2 + 2 * cosine * (1 - ETA) * x - (2 - ETA)
    return (
        Claim(
            "T3.value_map", "T3", Kind.PROVED,
            "Keys independent of W, P(k = 0) = 0, M fixed and positive definite, η(k) in (0, 1], v = (1+b)Wk + ε with "
            "E[ε | k, W] = 0 and E[‖ε‖² | k, W] = ω²‖Wk‖² + τ², E[η²/s] < ∞ unless τ = 0: S' = L(S) + F in "
            "y = M^{1/2}k, S = M^{-1/2}E[WᵀW]M^{-1/2}, L(X) = X + b(BX + XB) + (b² + ω²)T(X), "
            "B = E[ηŷŷᵀ], F = τ²E[η²ŷŷᵀ/s], L completely positive and self-adjoint. Directions isotropic and "
            "independent of s: ρ(L) = 1 + (2bE[η] + (b² + ω²)E[η²])/n.",
            check_value_map, B**2 + OMEGA**2, OMEGA**2, "T(X) has the coefficient ω², without b²",
        ),
        Claim(
            "T3.threshold", "T3", Kind.PROVED,
            "v with E[v | k, W] = κ√α Wk and E[‖v‖² | k, W] = α‖Wk‖², −1 ≤ κ ≤ 1, one fixed η in (0, 1], any fixed "
            "positive definite M and any law of keys, independent of W, P(k = 0) = 0, with E ŷŷᵀ positive definite: "
            "the mean norm's factor ρ(L) exceeds 1 iff α > α*, √α* the positive root of ηx² + 2κ(1−η)x − (2−η), and "
            "from any W_0 ≠ 0 E‖W‖²_{M⁻¹} grows at every edit, stays, or shrinks as α >, =, < α*. "
            "α* ≥ 1, and α* = 1 for hard writes; there 1 + (α−1)μ ≤ ρ(L) ≤ 1 + (α−1)λ_max(E ŷŷᵀ) for α ≥ 1.",
            check_threshold, balance, x - 1, "the threshold is α = 1 for soft writes too",
        ),
        Claim(
            "T3.value_fit", "T3", Kind.COMPUTED,
            "From pairs (Wk, v): 1 + b = Σ v·Wk/Σ‖Wk‖², then ω², τ² ≥ 0 by least squares of ‖v − (1+b)Wk‖² on "
            "(‖Wk‖², 1), recover the value model of pairs that obey one; the misfits by quarters of ‖Wk‖ vanish "
            "for such pairs and are those of an exact calculation for v = 2Wk/‖Wk‖.",
            check_value_fit, fit_values, without_squares, "1 + b is the mean of v·Wk/‖Wk‖²",
        ),
    )  # fmt: skip
