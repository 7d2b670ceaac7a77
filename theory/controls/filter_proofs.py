"""T4's claims on filters of the increment: masks of coordinates (EAC) and filters of directions (SPHERE, REVIVE)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import sympy

from theory.claim import Claim, Evidence, Kind, Verdict
from theory.controls import filters
from theory.growth.isotropic_proofs import c, n
from theory.provers.moments import sphere_moment
from theory.provers.prove import Proof
from theory.provers.trace_algebra import Algebra, Expression, inverses, projector
from theory.writes.identities import ETA

m, rank, ALPHA, HELD, SHARE = sympy.symbols("m r α f p", positive=True)


def check_mask(factor: Callable[..., sympy.Expr]) -> Evidence:
    """The mean factor when a random mask B on δ's coordinates ignores δ, with P(kept) = p for each."""
    a = Algebra({"W": ("m", "n"), "k": ("n", 1), "δ": ("m", 1), "B": ("m", "m"), "M": ("n", "n"), "M⁻¹": ("n", "n")},
                ("B", "M", "M⁻¹"), (*inverses("M", "M⁻¹"), *projector("B")))  # fmt: skip
    W, k, shift, B, M, inverse = map(a, ("W", "k", "δ", "B", "M", "M⁻¹"))
    s, read, eye = (k.T @ M @ k).number(), W @ k, a.eye("m")
    change = (W + ETA / s * (B @ shift @ (M @ k).T)).norm_sq(inverse) - W.norm_sq(inverse)

    def linear(mask: Expression) -> sympy.Expr:
        return (ETA**2 * (shift.T @ mask @ shift).number() + 2 * ETA * (shift.T @ mask @ read).number()) / s

    proof = Proof()
    proof.say("B diagonal of zeros and ones, so B·B = B; Δ' = η Bδ(Mk)ᵀ/s")
    proof.equal("‖W+Δ'‖² − ‖W‖² in M⁻¹, linear in B", sympy.expand(change), sympy.expand(linear(B)))
    proof.say("E[B | k, δ, W] = p I, whatever the coordinates have to do with each other")
    values = {(shift.T @ read).number(): 0, (shift.T @ shift).number(): c**2 * (read.T @ read).number()}
    mean = linear(SHARE * eye).subs(values, simultaneous=True)
    proof.equal("E[change | k, W] for E[δ·Wk] = 0, E‖δ‖² = c²‖Wk‖²", mean,
                SHARE * ETA**2 * c**2 * (read.T @ read).number() / s)  # fmt: skip
    proof.say("isotropic x = M^(1/2)k: E[‖Wk‖²/s] = R/n (T4.relative_clamp)")
    proof.equal("E R'/R", 1 + SHARE * ETA**2 * c**2 / n, factor(n, c, SHARE, ETA**2))
    gap = (shift.T @ shift).number() - (shift.T @ B @ shift).number()
    proof.equal("any mask: ‖δ‖² − ‖Bδ‖² = ‖(I−B)δ‖² ≥ 0", ((eye - B) @ shift).norm_sq(), gap)
    y, d, one = sympy.Matrix([1, 1]), sympy.Matrix([1, -1]), sympy.Matrix([1, 0])
    proof.holds("a mask that looks at Wk: Wk = (1, 1), δ = (1, −1) ⟂ Wk adds 2, its first coordinate alone 3 (over s)",
                (y + d).norm() ** 2 - 2 == 2 and (y + one).norm() ** 2 - 2 == 3)  # fmt: skip
    return proof.evidence(1 + SHARE * ETA**2 * c**2 / n, factor(n, c, SHARE, ETA**2))


def prove_fourth_moment(proof: Proof) -> sympy.Expr:
    """T(X) = E[(k̂ᵀXk̂) k̂k̂ᵀ] = (tr X·I + 2X)/(n(n + 2)) for symmetric X; the denominator's inverse."""
    mixed = sphere_moment(1, 1)
    trace, diagonal, off = sympy.symbols("trX X11 X12", real=True)
    proof.equal("E k̂₁⁴ = 3 E k̂₁²k̂₂²", sphere_moment(2), 3 * mixed)
    first = diagonal * sphere_moment(2) + (trace - diagonal) * mixed
    proof.equal("T(X)₁₁, odd moments vanish", first, (trace + 2 * diagonal) / (n * (n + 2)))
    proof.equal("T(X)₁₂", 2 * off * mixed, 2 * off / (n * (n + 2)))
    proof.say("so E[(k̂ᵀXk̂)(k̂ᵀZk̂)] = tr(T(X)Z) = (tr X tr Z + 2 tr XZ)/(n(n+2))")
    return mixed


def mean_pair(X: Expression, Z: Expression, mixed: sympy.Expr) -> sympy.Expr:
    """E[(k̂ᵀXk̂)(k̂ᵀZk̂)] for symmetric X and Z."""
    return mixed * (X.trace() * Z.trace() + 2 * (X @ Z).trace())


def directions() -> Algebra:
    """W (m, n), k, δ and U (n, r) with UᵀU = I."""
    return Algebra({"W": ("m", "n"), "k": ("n", 1), "δ": ("m", 1), "U": ("n", "r")}, rules=(("Uᵀ U", {"": 1}),))


def check_sphere(factor: Callable[..., sympy.Expr]) -> Evidence:
    """E‖W + Δ(I − αUUᵀ)‖² given W, for U that the key does not know, and its range over all U of rank r."""
    a = directions()
    W, k, shift, U = map(a, ("W", "k", "δ", "U"))
    eye, X = a.eye("n"), W.T @ W
    filtered = eye - ALPHA * (U @ U.T)
    proof = Proof()
    s = (k.T @ k).number()
    missed = ALPHA * (k.T @ U @ U.T @ k).number() / s
    proof.equal("W'k − Wk: the write no longer meets its target", ETA / s * (shift @ k.T) @ filtered @ k,
                ETA * (1 - missed) * shift)  # fmt: skip
    mixed = prove_fourth_moment(proof)
    proof.say("E[δ | k, W] = 0: no cross term; E‖Δ'‖² = η²c² E[‖Wk‖²‖(I − αUUᵀ)k‖²/s²] = η²c² E[(k̂ᵀXk̂)(k̂ᵀZk̂)]")
    energy, held = W.norm_sq(), (W @ U).norm_sq()
    mean = mean_pair(X, filtered @ filtered, mixed).subs(held, HELD * energy)
    one = factor(n, rank, ALPHA, HELD, c, ETA**2)
    proof.equal("E R'/R, X = WᵀW, Z = (I − αUUᵀ)², f = ‖WU‖²/‖W‖²", 1 + ETA**2 * c**2 * mean / energy, one)
    beta, gain = sympy.symbols("β η²c²", nonnegative=True)
    general = 1 + gain / n * (1 - beta * (rank + 2 * HELD) / (n + 2))
    proof.equal("with β = 2α − α²", one, general.subs({beta: 2 * ALPHA - ALPHA**2, gain: ETA**2 * c**2}))
    unit = [HELD <= 1, beta <= 1, n >= 1, rank <= n - 1]
    low, high = (general.subs(HELD, end) for end in (1, 0))
    proof.follows("0 ≤ f ≤ 1 keeps it between two constants", unit, sympy.And(low <= general, general <= high))
    proof.follows("the lower is above 1 for r < n", [*unit, gain > 0], low > 1)
    return proof.evidence(sympy.factor(mean), one)


@dataclass(frozen=True)
class Filtered:
    """What SPHERE's filter with a fixed U is said to do to b = E‖WU‖² and d = E‖W‖² − b.

    Attributes:
        matrix: G of (b, d)' = (I + gG)(b, d), g = η²c²/(n(n + 2)).
        rate: the factor of E‖W‖² in the end, as a function of (n, r, α, c, η²).
    """

    matrix: sympy.Matrix
    rate: Callable[..., float]


def check_sphere_fixed(asserted: Filtered) -> Evidence:
    """The exact recursion of (‖WU‖², ‖W‖² − ‖WU‖²) under Δ(I − αUUᵀ), U fixed, and its largest root."""
    a = directions()
    W, U = a("W"), a("U")
    X, inside = W.T @ W, U @ U.T
    outside = a.eye("n") - inside
    filtered = a.eye("n") - ALPHA * inside
    proof = Proof()
    mixed = prove_fourth_moment(proof)
    proof.equal("(I − αUUᵀ)UUᵀ", filtered @ inside, (1 - ALPHA) * inside)
    b, d = sympy.symbols("b d", nonnegative=True)
    stand = {(W @ U).norm_sq(): b, W.norm_sq(): b + d}
    rows = []
    for part in (inside, outside):
        added = mean_pair(X, filtered @ part @ filtered, mixed).subs(stand, simultaneous=True) / mixed
        rows.append([sympy.expand(added).coeff(x) for x in (b, d)])
    found = sympy.Matrix(rows)
    for i, j in ((0, 0), (0, 1), (1, 0), (1, 1)):
        proof.equal(f"G[{i}, {j}]", sympy.expand(found[i, j]), asserted.matrix[i, j])
    root = sympy.Symbol("λ", real=True)
    spread = (found[0, 0] - found[1, 1]) ** 2 + 4 * found[0, 1] * found[1, 0]
    kept = (1 - ALPHA) ** 2
    proof.equal("λ² − λ tr G + det G", root**2 - root * found.trace() + found.det(),
                root**2 - (kept * (rank + 2) + n - rank + 2) * root + 2 * kept * (n + 2))  # fmt: skip
    proof.follows("both roots are real, the larger is at least tr G/2 > 0", [rank < n],
                  sympy.And(spread >= 0, found.trace() > 0))  # fmt: skip
    proof.say("α < 1: G > 0; α = 1: G[0, ·] = 0 and λ = G[1, 1] has the left eigenvector (n − r, n − r + 2) > 0:")
    proof.say("so, by Perron and Frobenius, E R_t/(1 + gλ)^t tends to a positive limit for W_0 ≠ 0")
    for size, r, alpha, ratio, eta_sq in ((4, 2, "1/2", "3/4", 1), (10, 3, "4/5", "2", "1/4"), (7, 6, "1", "1", "1/2")):
        put = {n: size, rank: r, ALPHA: sympy.Rational(alpha)}
        top = max(found.subs(put).eigenvals(), key=lambda value: sympy.N(value, 30))
        ratio, eta_sq = sympy.Rational(ratio), sympy.Rational(eta_sq)
        exact = 1 + eta_sq * ratio**2 / (size * (size + 2)) * top
        rate = asserted.rate(size, r, float(sympy.Rational(alpha)), float(ratio), float(eta_sq))
        proof.agree(f"n = {size}, r = {r}, α = {alpha}: filtered_rate and G's exact eigenvalue", rate, exact)
    return proof.evidence(found.tolist(), asserted.matrix.tolist())


def check_revive(rate: Callable[..., sympy.Expr]) -> Evidence:
    """Updates LΔP that avoid W_0's leading singular vectors: what stays, and how the free block grows."""
    rules = (*projector("L"), *projector("P"), ("L A", {}), ("A P", {}))
    a = Algebra({"A": ("m", "n"), "X": ("m", "n"), "k": ("n", 1), "δ": ("m", 1), "L": ("m", "m"), "P": ("n", "n")},
                ("L", "P"), rules)  # fmt: skip
    A, X, k, shift, L, P = map(a, ("A", "X", "k", "δ", "L", "P"))
    B, W = L @ X @ P, A + L @ X @ P
    s = (k.T @ k).number()
    delta = ETA / s * (L @ shift @ (P @ k).T)
    proof = Proof()
    proof.say("W_0 = A + B: A its r leading singular triples, L·A = 0, A·P = 0, B = LBP; tr L = m − r, tr P = n − r")
    proof.equal("W' − LW' stays A", W + delta - L @ (W + delta), A)
    proof.equal("W' − W'P stays A", W + delta - (W + delta) @ P, A)
    proof.equal("‖W'‖² = ‖A‖² + ‖LW'P‖²", (W + delta).norm_sq(), A.norm_sq() + (L @ (W + delta) @ P).norm_sq())
    mixed = prove_fourth_moment(proof)
    proof.say("E[δ | k, W] = 0, E[δδᵀ | k, W] = c²‖Wk‖²I/m: E‖Lδ‖² = c²‖Wk‖² tr(L)/m, no cross term")
    outer, free, fixed = sympy.symbols("g b a", positive=True)
    stand = {P.trace(): n - rank, A.norm_sq(): fixed, B.norm_sq(): free}
    added = (mean_pair(W.T @ W, P, mixed) / mixed).subs(stand, simultaneous=True)
    after = free + outer * added
    proof.equal("E b' = b + g[(n−r)(a + b) + 2b], g = η²c²(m−r)/(mn(n+2))", sympy.expand(after),
                sympy.expand(free + outer * ((n - rank) * (fixed + free) + 2 * free)))  # fmt: skip
    scale = {outer: ETA**2 * c**2 * (m - rank) * mixed / m}
    factor = sympy.diff(after, free).subs(scale)
    proof.equal("the factor of b", factor, rate(m, n, rank, c, ETA**2))
    level = fixed * (n - rank) / (n - rank + 2)
    proof.equal("b + L, L = a(n−r)/(n−r+2), grows by that factor", sympy.cancel((after + level).subs(scale)),
                sympy.cancel(factor * (free + level)))  # fmt: skip
    size, rows, top = n, m, rank
    proof.follows("above 1 for r < min(m, n)", [top <= size - 1, top <= rows - 1, c > 0],
                  rate(rows, size, top, c, ETA**2) > 1)  # fmt: skip
    return proof.evidence(factor, rate(m, n, rank, c, ETA**2))


def claims() -> tuple[Claim[Any], ...]:
    """Masks and filters."""
    kept = (1 - ALPHA) ** 2
    matrix = sympy.Matrix([[kept * (rank + 2), kept * rank], [n - rank, n - rank + 2]])
    drawn = (
        "isotropic keys (no rotation changes their law) independent of the past, P(k = 0) = 0, M = I, fixed η, c > 0, "
        "W_0 ≠ 0, E[‖δ‖² | k, W] = c²‖Wk‖²"
    )
    return (
        Claim(
            "T4.mask", "P6", Kind.PROVED,
            "A mask on δ's coordinates never lengthens δ. If it keeps each with probability p given k, δ and W (EAC "
            "with random coordinates, dependent or not), E[δ·Wk | k, W] = 0, E[‖δ‖² | k, W] = c²‖Wk‖², isotropic x = "
            "M^(1/2)k independent of the past, M positive definite, P(k = 0) = 0, fixed η: E R'/R = 1 + pη²c²/n in "
            "M⁻¹. A mask that looks at Wk may grow more than no mask; that of EAC's gradient scores is left to "
            "simulation.",
            check_mask, filters.masked_factor, lambda n, c, p, e: filters.masked_factor(n, c, p**2, e),
            "the exponent's excess scales with p²", Verdict.CONDITIONAL,
        ),
        Claim(
            "T4.sphere", "P6", Kind.PROVED,
            f"SPHERE, Δ(I − αUUᵀ), 0 ≤ α ≤ 1, with r orthonormal columns U, fixed or any function of W; {drawn}, E[δ "
            "| k, W] = 0: E R'/R = 1 + (η²c²/n)[1 − (2α − α²)(r + 2f)/(n + 2)] given W, f = ‖WU‖²/‖W‖². So each "
            "factor lies between those of f = 1 and f = 0, and above 1 for r < n. W' misses its target by the share "
            "α‖Uᵀk‖²/s. Where f and r go for U(W) is left to simulation.",
            check_sphere, filters.filtered_step,
            lambda n, r, alpha, held, c, e: 1 + e * c**2 / n * (1 - (2 * alpha - alpha**2) * r / n),
            "the factor is 1 + (η²c²/n)[1 − (2α − α²)r/n], whatever f",
        ),
        Claim(
            "T4.sphere_fixed", "P6", Kind.PROVED,
            f"With U fixed, 0 < r < n, 0 ≤ α ≤ 1, {drawn}, E[δ | k, W] = 0: (b, d) = (E‖WU‖², E‖W‖² − b) obeys (b, "
            "d)' = (I + gG)(b, d), g = η²c²/(n(n + 2)), G = [[q(r + 2), qr], [n − r, n − r + 2]], q = (1 − α)²; "
            "E‖W‖² grows by 1 + gλ > 1 per edit in the end, λ G's larger eigenvalue.",
            check_sphere_fixed, Filtered(matrix, filters.filtered_rate),
            Filtered(matrix, lambda n, r, alpha, c, e: filters.filtered_step(n, r, alpha, r / n, c, e)),
            "it grows by the first step's factor for an even W",
        ),
        Claim(
            "T4.revive", "P6", Kind.PROVED,
            f"REVIVE, updates LΔP that avoid W_0's r leading singular vectors on both sides: their triples, a = Σ "
            f"σ_i², never change. {drawn}, E[δ | k, W] = 0, E[δδᵀ | k, W] a multiple of I: b = E‖W‖² − a obeys b' = b "
            "+ g[(n−r)(a + b) + 2b], g = η²c²(m−r)/(mn(n+2)): b's exponent is log(1 + g(n−r+2)) > 0 for r < min(m, n).",
            check_revive, filters.confined_rate,
            lambda m, n, r, c, e: 1 + e * c**2 * (m - r) * (n - r) / (m * n * n),
            "the factor is 1 + η²c²(m−r)(n−r)/(mn²), the product of the kept shares",
        ),
    )  # fmt: skip
