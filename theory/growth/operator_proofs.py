"""T3's operator for any law of keys: what it is, its spectral radius, and bounds of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import sympy

from theory.claim import Claim, Evidence, Kind
from theory.growth.growth_operator import power_iteration, radius, sample_perron
from theory.growth.isotropic import soft_gain_moments
from theory.growth.key_laws import SOFT, GaussianKeys, SampleKeys, gaussian_keys
from theory.growth.radius_bounds import radius_certificate
from theory.provers.moments import DIMENSION, sphere_moment
from theory.provers.prove import Proof
from theory.provers.trace_algebra import Algebra, inverses
from theory.writes.identities import ETA

n = DIMENSION
c, x = sympy.symbols("c x", nonnegative=True)
COSINE = sympy.Symbol("cos", real=True)
ETA_I, ETA_J, KEYS, MEAN_SQ = sympy.symbols("ηi ηj N E[η²]", positive=True)
TOP, TOTAL, SQUARE = sympy.symbols("λmax trB ‖B‖²", positive=True)
Q = sympy.Symbol("q", positive=True)

# A law in exact numbers: three unit directions of the plane, with their gains.
DIRECTIONS = (sympy.Matrix([1, 0]), sympy.Matrix([3, 4]) / 5, sympy.Matrix([5, 12]) / 13)
GAINS = (sympy.Integer(1), sympy.Rational(1, 2), sympy.Rational(3, 4))


def float_law(copies: tuple[int, ...] = (0, 1, 2)) -> SampleKeys:
    """The exact law, or a sample of it, as the code takes it."""
    columns = np.array([[float(entry) for entry in DIRECTIONS[i]] for i in copies]).T
    return SampleKeys(columns, np.ones(len(copies)), np.array([float(GAINS[i]) for i in copies]))


def exact_operator(copies: tuple[int, ...] = (0, 1, 2)) -> sympy.Matrix:
    """T on symmetric 2 × 2 matrices, in the orthonormal basis E₁₁, E₂₂, (E₁₂ + E₂₁)/√2."""
    rows = [sympy.Matrix([y[0] ** 2, y[1] ** 2, sympy.sqrt(2) * y[0] * y[1]]) for y in (DIRECTIONS[i] for i in copies)]
    gains = (GAINS[i] for i in copies)
    return sum((g**2 * row * row.T for g, row in zip(gains, rows, strict=True)), sympy.zeros(3)) / len(copies)


def top_eigenvalue(matrix: sympy.Matrix, digits: int = 30) -> sympy.Expr:
    """The largest root of a small exact symmetric matrix's characteristic polynomial, to 30 digits."""
    return max(sympy.Poly(matrix.charpoly().as_expr()).nroots(n=digits, maxsteps=200), key=sympy.re)


def check_operator(factor: sympy.Expr) -> Evidence:
    """E[W'ᵀW' | k, W] = S + factor·(kᵀSk)uuᵀ for v = Wk + δ; T is self-adjoint and its radius a maximum on the cone."""
    a = Algebra({"W": ("m", "n"), "k": ("n", 1), "δ": ("m", 1), "M": ("n", "n")}, ("M",))
    W, k, shift, M = map(a, ("W", "k", "δ", "M"))
    s = (k.T @ M @ k).number()
    after, mirrored = (W + sign * ETA / s * (shift @ (M @ k).T) for sign in (1, -1))
    even = (after.T @ after + mirrored.T @ mirrored) / 2 - W.T @ W
    square, read_sq = (shift.T @ shift).number(), (k.T @ W.T @ W @ k).number()
    u = M @ k / s
    proof = Proof()
    proof.say("W' = W + ηδuᵀ, u = Mk/s. E[δ | k, W] = 0 removes what is linear in δ: the part even in δ stays")
    proof.equal("the even part of W'ᵀW' − WᵀW", even, ETA**2 * square * (u @ u.T))
    proof.say("E‖δ‖² = c²‖Wk‖² = c² kᵀSk given k, W, and W independent of the new key: S' = S + c²T(S)")
    proof.equal("the coefficient of (kᵀSk)uuᵀ", (ETA**2 * square).subs(square, c**2 * read_sq) / read_sq, factor)
    check_coordinates(proof)
    b = Algebra({"y": ("n", 1), "z": ("n", 1), "X": ("n", "n"), "Y": ("n", "n")}, ("X", "Y"))
    y, z, X, Y = map(b, ("y", "z", "X", "Y"))
    on_x, on_y = ((y.T @ part @ y).number() * (y @ y.T) for part in (X, Y))
    proof.equal("self-adjoint, key by key: tr(Y·T(X))", (Y @ on_x).trace(), (X @ on_y).trace())
    proof.equal("positive: zᵀ((yᵀXy)yyᵀ)z", (z.T @ on_x @ z).number(),
                (y.T @ X @ y).number() * (y.T @ z).number() ** 2)  # fmt: skip
    proof.equal("tr(X·T(X)), key by key, is a square", (X @ on_x).trace(), (y.T @ X @ y).number() ** 2)
    proof.say("so T is self-adjoint with eigenvalues ≥ 0: ρ(T) is the largest, the maximum of E[η²(ŷᵀXŷ)²]/‖X‖²_F")
    p, q = sympy.symbols("p q", nonnegative=True)
    proof.say("X = X₊ − X₋, |X| = X₊ + X₋, ‖|X|‖ = ‖X‖; p = ŷᵀX₊ŷ, q = ŷᵀX₋ŷ are at least 0")
    proof.follows("|X| has no smaller Rayleigh quotient: (p − q)² ≤ (p + q)²", [], (p - q) ** 2 <= (p + q) ** 2)
    proof.say("so the maximum is attained at some X* ≥ 0, X* ≠ 0, tr X* > 0")
    proof.say("tr(X*S_t) = (1 + c²ρ)^t tr(X*S_0), as T is self-adjoint; S_t ≥ 0 and ‖S_t‖_F ≤ (1 + c²ρ)^t ‖S_0‖_F, so")
    proof.say(
        "(1 + c²ρ)^t tr(X*S_0)/λ_max(X*) ≤ tr S_t = E‖W_t‖²_{M⁻¹} ≤ (1 + c²ρ)^t √n ‖S_0‖_F: the rate is log(1 + c²ρ)"
    )
    return proof.evidence(f"{ETA**2 * c**2}·(kᵀSk)uuᵀ", factor)


def check_coordinates(proof: Proof) -> None:
    """S in the coordinates y = Rk, R = M^{1/2}, is R⁻¹SR⁻¹; its trace is ‖W‖²_{M⁻¹}."""
    a = Algebra({"k": ("n", 1), "S": ("n", "n"), "R": ("n", "n"), "R⁻¹": ("n", "n")}, ("S", "R", "R⁻¹"),
                inverses("R", "R⁻¹"))  # fmt: skip
    k, S, R, inverse = map(a, ("k", "S", "R", "R⁻¹"))
    y, u, turned = R @ k, R @ R @ k, inverse @ S @ inverse
    grown = (k.T @ S @ k).number() * (u @ u.T)
    proof.equal("M = R², y = Rk: s = kᵀMk", (k.T @ u).number(), (y.T @ y).number())
    proof.equal("R⁻¹((kᵀSk) Mk(Mk)ᵀ)R⁻¹ is (yᵀS_y y) yyᵀ, S_y = R⁻¹SR⁻¹", inverse @ grown @ inverse,
                (y.T @ turned @ y).number() * (y @ y.T))  # fmt: skip
    proof.equal("tr(S M⁻¹) = E‖W‖²_{M⁻¹}", (S @ inverse @ inverse).trace(), turned.trace())


def check_sample(entry: sympy.Expr) -> Evidence:
    """T_N's nonzero spectrum is that of G with the asserted entries; both in general and in exact numbers."""
    a = Algebra({"x": ("n", 1), "z": ("n", 1)})
    first, second = a("x"), a("z")
    proof = Proof()
    proof.say("a_i = η_i ŷ_iŷ_iᵀ/√N; A c = Σ c_i a_i, (AᵀX)_i = tr(a_iX): AAᵀX = Σ η_i²(ŷ_iᵀXŷ_i)ŷ_iŷ_iᵀ/N = T_N(X)")
    inner = ETA_I * ETA_J * (first @ first.T @ second @ second.T).trace() / KEYS
    cosine = (first.T @ second).number()
    proof.equal("(AᵀA)_ij = tr(a_ia_j)", inner, entry.subs(COSINE, cosine))
    proof.say("AᵀAc = λc, λ ≠ 0, gives AAᵀ(Ac) = λ(Ac) and Ac ≠ 0, and likewise back: the nonzero eigenvalues agree")
    proof.say("G = AᵀA is positive semidefinite and entrywise nonnegative; ρ(T_N) is its largest eigenvalue")
    gram = sympy.Matrix(3, 3, lambda i, j: entry.subs(
        {ETA_I: GAINS[i], ETA_J: GAINS[j], KEYS: 3, COSINE: DIRECTIONS[i].dot(DIRECTIONS[j])}))  # fmt: skip
    root = sympy.Symbol("λ")
    same = sympy.expand(gram.charpoly(root).as_expr() - exact_operator().charpoly(root).as_expr())
    proof.equal("three keys of the plane: det(λ − G) − det(λ − T)", same, sympy.Integer(0))
    exact = top_eigenvalue(exact_operator())
    for route in ("gram", "matrix"):
        found = sample_perron(float_law(), 1e-12, "gram" if route == "gram" else "matrix").radius
        proof.agree(f"ρ by the code's route {route!r}", found.value, exact)
        proof.holds(f"its bracket [{found.low}, {found.high}] holds ρ", found.low <= exact <= found.high)
    return proof.evidence(f"{ETA_I * ETA_J * COSINE**2 / KEYS}", entry)


@dataclass(frozen=True)
class Bracket:
    """Which of α, β in αX ≤ T(X) ≤ βX is said to lie below ρ, and which above."""

    below: sympy.Symbol
    above: sympy.Symbol


ALPHA, BETA = sympy.symbols("α β", real=True)


def check_bracket(asserted: Bracket) -> Evidence:
    """αX ≤ T(X) ≤ βX bounds ρ(T); the same for vectors; the code's ratios in exact numbers."""
    rho, overlap, image = sympy.symbols("ρ tr(PX) tr(PT(X))", real=True)
    proof = Proof()
    proof.say("P ≥ 0, P ≠ 0 with T(P) = ρP (T3.operator); X positive definite, so tr(PX) > 0")
    proof.say("T is self-adjoint: tr(P·T(X)) = tr(T(P)·X) = ρ tr(PX); P ≥ 0 keeps αX ≤ T(X) ≤ βX in the trace")
    given = [overlap > 0, sympy.Eq(image, rho * overlap), ALPHA * overlap <= image, image <= BETA * overlap]
    proof.follows("the bracket", given, sympy.And(asserted.below <= rho, rho <= asserted.above))
    proof.say("for a symmetric G ≥ 0 entrywise and c > 0 the same with Perron's vector p ≥ 0: min (Gc)_i/c_i ≤ ρ ≤ max")
    matrix = np.array([[2.0, 1.0], [1.0, 0.0]])
    one, _ = power_iteration(lambda v: matrix @ v, np.array([1.0, 1.0]), 1e-15, 1)
    proof.agree("the code's lower bound at c = (1, 1) for G = ((2, 1), (1, 0)): cᵀGc/cᵀc", one.low, 2)
    proof.agree("its upper bound: max (Gc)_i/c_i", one.high, 3)
    proof.holds("both hold ρ = 1 + √2", 2 <= 1 + sympy.sqrt(2) <= 3)
    last, _ = power_iteration(lambda v: matrix @ v, np.array([1.0, 1.0]), 1e-12)
    proof.agree("the code's ρ", last.value, 1 + sympy.sqrt(2))
    return proof.evidence("α ≤ ρ ≤ β", f"{asserted.below} ≤ ρ ≤ {asserted.above}")


def check_at_least(bound: sympy.Expr) -> Evidence:
    """ρ(T) against `bound` in q = E[η²]/n and x = n‖B‖²/(tr B)² − 1, and when ρ = q."""
    rho, w = sympy.Symbol("ρ", real=True), sympy.Symbol("tr(B·T(B))", nonnegative=True)
    a = Algebra({"H": ("n", "n")}, ("H",))
    H, traceless = a("H"), {sympy.Symbol("tr(H)", real=True): 0}
    proof = Proof()
    proof.say("B = T(I) = E[η²ŷŷᵀ], tr B = E[η²] = nq since ‖ŷ‖ = 1; B = qI + H with tr H = 0; x = ‖H‖²/(nq²)")
    square = (H @ H).trace()
    proof.equal("tr(I·T(I)) = tr B", (Q * a.eye("n") + H).trace().subs(traceless), n * Q)
    B_sq = ((Q * a.eye("n") + H) @ (Q * a.eye("n") + H)).trace().subs(traceless)
    proof.equal("tr(I·T(B)) = tr(T(I)·B) = ‖B‖²", B_sq, n * Q**2 + square)
    total, norm_sq = n * Q, n * Q**2 * (1 + x)
    proof.say(
        "T is self-adjoint and ≥ 0 (T3.operator): Cauchy and Schwarz give tr(I·T(B))² ≤ tr(I·T(I)) tr(B·T(B)), and"
    )
    proof.say("tr(B·T(B)) ≤ ρ‖B‖²: ‖B‖⁴ ≤ tr B · ρ‖B‖²")
    cauchy = [norm_sq**2 <= total * w, w <= rho * norm_sq, n >= 1]
    proof.follows("ρ ≥ the bound", cauchy, rho >= bound)
    proof.follows("the bound exceeds q = E[η²]/n unless x = 0", [x > 0], bound > Q)
    proof.say("one direction e of every key: B = nq·eeᵀ, x = n − 1, T(eeᵀ) = nq·eeᵀ, ρ = nq, which the bound attains")
    proof.follows("it attains it", [sympy.Eq(x, n - 1), n >= 1], sympy.Eq(bound, n * Q))
    proof.say("x = 0 is H = 0, B = qI: then qI ≤ T(I) ≤ qI and T3.bracket at X = I gives ρ = q")
    proof.say("so ρ = E[η²]/n iff E[η²ŷŷᵀ] = (E[η²]/n)I; hard writes: ρ ≥ 1/n, equal iff E ŷŷᵀ = I/n")
    proof.agree("the code, four equal directions of the frame: ρ",
                radius(SampleKeys(np.eye(4), np.ones(4), np.ones(4))).value, sympy.Rational(1, 4))  # fmt: skip
    return proof.evidence(Q * (1 + x), bound)


def check_matched(asserted: sympy.Expr) -> Evidence:
    """ρ(T) for M = Σ⁻¹ and elliptical keys."""
    a = Algebra({"z": ("n", 1), "L": ("n", "n"), "L⁻¹": ("n", "n")}, rules=inverses("L", "L⁻¹"))
    z, L, inverse = map(a, ("z", "L", "L⁻¹"))
    proof = Proof()
    proof.say("k = Lz, Σ = LLᵀ, M = Σ⁻¹ = L⁻ᵀL⁻¹; z = r·e with e uniform on the sphere and independent of r > 0")
    proof.equal("s = kᵀMk", ((L @ z).T @ inverse.T @ inverse @ L @ z).number(), (z.T @ z).number())
    proof.say("so y = M^{1/2}k is z up to a rotation, ŷ is uniform, and η, a function of s = r², is independent of ŷ")
    proof.equal("T(I) = E[η²] E[ŷŷᵀ] = q·I: q", MEAN_SQ * sphere_moment(1), asserted)
    proof.say("αI ≤ T(I) ≤ βI with α = β = q: T3.bracket gives ρ = q")
    skewed = np.array([[2.0, 0.5], [0.5, 1.0]])
    proof.agree("the code, hard, M = Σ⁻¹", radius(gaussian_keys(skewed, skewed)).value, sympy.Rational(1, 2))
    soft = radius(GaussianKeys(np.full(6, 1 / 3.0), SOFT)).value
    proof.agree("the code, soft, A = 3Σ, n = 6", soft, soft_gain_moments(6, 3.0) / 6, 1e-9)
    return proof.evidence(MEAN_SQ / n, asserted)


@dataclass(frozen=True)
class Sides:
    """A lower and an upper bound of ρ in λmax = λ_max(B), ‖B‖²_F and tr B, B = E[η²ŷŷᵀ]."""

    low: sympy.Expr
    high: sympy.Expr


def check_certificate(sides: Sides) -> Evidence:
    """‖B‖²_F/tr B ≤ ρ ≤ λ_max(B), and three weaker lower bounds."""
    a = Algebra({"y": ("n", 1), "X": ("n", "n")}, ("X",))
    y, X = a("y"), a("X")
    s, read, raised = ((y.T @ y).number(), (y.T @ X @ y).number(), (y.T @ X @ X @ y).number())
    apart = s * (X @ y) - read * y
    rho, quotient = sympy.symbols("ρ R", nonnegative=True)
    proof = Proof()
    proof.equal("‖y‖²‖Xy‖² − (yᵀXy)² = ‖ ‖y‖²Xy − (yᵀXy)y ‖²/‖y‖² ≥ 0", s * raised - read**2,
                (apart.T @ apart).number() / s)  # fmt: skip
    proof.say(
        "so (ŷᵀXŷ)² ≤ ŷᵀX²ŷ and tr(X·T(X)) = E[η²(ŷᵀXŷ)²] ≤ tr(X²B) ≤ λ_max(B)‖X‖²: every Rayleigh quotient obeys"
    )
    proof.follows("ρ is one: the upper bound", [quotient <= TOP, sympy.Eq(rho, quotient)], rho <= sides.high)
    proof.say("T3.at_least: ρ tr B ≥ ‖B‖², as ‖B‖² = (1 + x)(tr B)²/n; and ‖B‖² ≥ λmax², n‖B‖² ≥ (tr B)²")
    known = [rho * TOTAL >= SQUARE, SQUARE >= TOP**2, n * SQUARE >= TOTAL**2]
    proof.follows("the lower bound", known, rho >= sides.low)
    for name, weaker in (("λmax²/tr B", TOP**2 / TOTAL), ("tr B/n", TOTAL / n)):
        proof.follows(f"it is at least {name}", known, sides.low >= weaker)
    proof.follows("and at least ‖B‖_F/√n, squared", known, sides.low**2 >= SQUARE / n)
    B = sum((g**2 * v * v.T for g, v in zip(GAINS, DIRECTIONS, strict=True)), sympy.zeros(2)) / 3
    exact, at = top_eigenvalue(exact_operator()), {TOP: top_eigenvalue(B), TOTAL: B.trace(), SQUARE: (B * B).trace()}
    low, high = (sympy.N(side.subs(at), 25) for side in (sides.low, sides.high))
    proof.holds(f"three keys of the plane: {float(low)} ≤ ρ = {float(exact)} ≤ {float(high)}", low <= exact <= high)
    found = radius_certificate(float_law())
    proof.agree("the code's lower bound", found.low, low)
    proof.agree("its upper bound", found.high, high)
    return proof.evidence("‖B‖²/trB ≤ ρ ≤ λmax", f"{sides.low} ≤ ρ ≤ {sides.high}")


def claims() -> tuple[Claim[Any], ...]:
    """The operator, and bounds of its radius for any law of keys."""
    law = "for any law of keys with P(k = 0) = 0, any positive definite M and any η(k) in (0, 1]"
    return (
        Claim(
            "T3.operator", "T3", Kind.PROVED,
            "Keys drawn independently of W from one law, P(k = 0) = 0, M fixed and positive definite, η in (0, 1] "
            "fixed by k, v = Wk + δ with E[δ | k, W] = 0 and E[‖δ‖² | k, W] = c²‖Wk‖²: S = E[WᵀW] becomes S + c²T(S), "
            "T(X) = E[η²(kᵀXk)uuᵀ], u = Mk/s. In y = M^{1/2}k T is self-adjoint and positive, ρ(T) is the maximum of "
            "E[η²(ŷᵀXŷ)²]/‖X‖²_F, attained at some X* ≥ 0; where tr(X*S_0) > 0 in these coordinates "
            "(S_0 = M^{-1/2}E[W_0ᵀW_0]M^{-1/2}), E‖W_t‖²_{M⁻¹} grows at the rate log(1 + c²ρ) an edit.",
            check_operator, ETA**2 * c**2, ETA * c**2, "S grows by η (not η²) c²(kᵀSk)uuᵀ",
        ),
        Claim(
            "T3.sample", "T3", Kind.PROVED,
            "N keys, each with probability 1/N: ρ(T_N) is the largest eigenvalue of the N × N matrix "
            "G_ij = η_iη_j cos²_ij/N, cosines in the metric M, which is nonnegative and positive semidefinite.",
            check_sample, ETA_I * ETA_J * COSINE**2 / KEYS, ETA_I * ETA_J * COSINE / KEYS,
            "the cosines stand unsquared",
        ),
        Claim(
            "T3.bracket", "T3", Kind.PROVED,
            f"αX ≤ T(X) ≤ βX for one positive definite X gives α ≤ ρ(T) ≤ β, {law}; for G and any c > 0: "
            "min_i (Gc)_i/c_i ≤ ρ ≤ max_i (Gc)_i/c_i.",
            check_bracket, Bracket(ALPHA, BETA), Bracket(BETA, ALPHA), "the two ends exchanged",
        ),
        Claim(
            "T3.at_least", "T3", Kind.PROVED,
            f"ρ(T) ≥ (1 + x) E[η²]/n = ‖B‖²_F/tr B, x = n‖B‖²_F/(tr B)² − 1 ≥ 0, B = E[η²ŷŷᵀ], {law}; equal where "
            "every key has one direction. So ρ ≥ E[η²]/n (1/n for hard writes), with equality iff the directions are "
            "isotropic, E[η²ŷŷᵀ] = (E[η²]/n) I.",
            check_at_least, Q * (1 + x), Q * (1 + 2 * x), "ρ ≥ (1 + 2x) E[η²]/n",
        ),
        Claim(
            "T3.matched", "T3", Kind.PROVED,
            "Elliptical keys k = rLe (e uniform on the sphere, r > 0 independent of e, L invertible, Σ = LLᵀ; Gaussian "
            "ones are such) and M = Σ⁻¹ up to a factor: ρ(T) = E[η²]/n whatever Σ is, for η that s = kᵀMk determines; "
            "1/n for hard writes.",
            check_matched, MEAN_SQ / n, 3 * MEAN_SQ / (n * (n + 2)), "ρ(T) = 3E[η²]/(n(n+2))",
        ),
        Claim(
            "T3.certificate", "T3", Kind.PROVED,
            f"‖B‖²_F/tr B ≤ ρ(T) ≤ λ_max(B), B = E[η²ŷŷᵀ], {law}; so ρ ≤ sup η² · λ_max(E ŷŷᵀ). The lower bound is "
            "never below λ_max(B)²/tr B, ‖B‖_F/√n or tr B/n.",
            check_certificate, Sides(SQUARE / TOTAL, TOP), Sides(TOP, TOP), "ρ(T) = λ_max(B)",
        ),
    )  # fmt: skip
