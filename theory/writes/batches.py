"""T2: batches of u keys: EMMET's identity, when a sequence is a batch, the running energy, a batch's mean growth."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import mpmath
import sympy

from theory.claim import Claim, Evidence, Kind
from theory.command import Misuse
from theory.provers.agreement import DIGITS
from theory.provers.moments import DIMENSION, chi_square_moment, sphere_moment
from theory.provers.prove import Proof
from theory.provers.trace_algebra import Algebra, Expression, inverses
from theory.writes.identities import BATCH_CROSS, BATCH_SQUARE

TARGET_TERM, READ_TERM, RESIDUAL_TERM = sympy.symbols("tr(VH⁻¹Vᵀ) tr(WKH⁻¹(WK)ᵀ) tr(RH⁻¹Rᵀ)", real=True)
TARGET_SQ, LEFT_SQ = sympy.symbols("tr(VVᵀ) tr(RTRᵀ)", nonnegative=True)
JITTER = sympy.Symbol("κ", positive=True)  # 0.1 in EMMET's released batches
n, u, c = DIMENSION, sympy.Symbol("u", positive=True), sympy.Symbol("c", nonnegative=True)


def batch_factor(n: Any, u: Any, c: Any) -> Any:
    """1 + c² (u/n)(n−2)/(n−u−1), for numbers and for symbols."""
    return 1 + c * c * u * (n - 2) / (n * (n - u - 1))


def batch_growth(n: int, u: int, c: float) -> float:
    """The factor by which E‖W‖² grows at a hard write of u isotropic keys at once, exactly.

        E‖W'‖²_{M⁻¹} = (1 + c² (u/n)(n−2)/(n−u−1)) ‖W‖²_{M⁻¹}          (given K and W: E DᵀWK = 0,
                                                                        E DᵀD = c² diag ‖Wk_i‖², D the shifts)

    Args:
        n: the key dimension, a whole number; the images M^(1/2)k_i have independent uniform directions.
        u: keys in the batch, a whole number.
        c: ‖δ_i‖/‖Wk_i‖, dimensionless, at least 0.

    Returns:
        The factor of the squared norm; at u = n − 1 the mean is infinite: an interpolation threshold in one batch.

    Raises:
        Misuse: u < 1, n ≤ u + 1 (where the mean is infinite for n ≥ u > 1 and c > 0), a part of a key, or a c that is
            negative or so large that c²u is not finite.

    Source: T2.batch_growth.

    >>> batch_growth(8, 1, 1.0), batch_growth(8, 6, 1.0)
    (1.125, 5.5)
    """
    if not 1 <= u < n - 1:
        raise Misuse(f"a batch of u = {u} keys in n = {n} dimensions has no finite mean growth factor by this formula; "
                     "take 1 ≤ u < n − 1")  # fmt: skip
    if not (float(n).is_integer() and float(u).is_integer()):
        raise Misuse(f"a batch of u = {u} keys in n = {n} dimensions holds a part of a key; take whole numbers")
    if not (c >= 0 and math.isfinite(float(c) * float(c) * u)):
        raise Misuse(f"the relative shift c is {c}; it must be finite and at least 0, such as 0.75")
    return float(batch_factor(n, u, c))


def batch_letters(gain: tuple[tuple[str, dict[str, Any]], ...]) -> tuple[Expression, ...]:
    """W (m, n), K (n, u), V (m, u), A, M = A⁻¹ and a symmetric gain T (u, u) with a rule for T·KᵀMK."""
    shapes: Any = {"W": ("m", "n"), "K": ("n", "u"), "V": ("m", "u"), "T": ("u", "u")}
    shapes |= {"A": ("n", "n"), "M": ("n", "n")}
    a = Algebra(shapes, ("A", "M", "T"), (*inverses("A", "M"), *gain))
    return tuple(map(a, ("W", "K", "V", "A", "M", "T")))


def gain_rules(ridge: Any) -> tuple[tuple[str, dict[str, Any]], ...]:
    """T = (ridge·I + KᵀMK)⁻¹; the transposed rule, for KᵀMK·T, is added by the algebra, T and M being symmetric."""
    return (("T Kᵀ M K", {"": 1, "T": -ridge} if ridge != 0 else {"": 1}),)


def check_emmet(formula: sympy.Expr) -> Evidence:
    """EMMET's batch, R H⁻¹(MK)ᵀ with M = A⁻¹, H = KᵀMK."""
    W, K, V, A, M, T = batch_letters(gain_rules(0))
    R = V - W @ K
    delta = R @ T @ (M @ K).T
    proof = Proof()
    proof.say("T = H⁻¹: K has full column rank u ≤ n and A is positive definite, so H is")
    proof.equal("every target is met, W'K", (W + delta) @ K, V)
    change = (W + delta).norm_sq(A) - W.norm_sq(A)
    stands = {
        TARGET_TERM: (V @ T @ V.T).trace(),
        READ_TERM: (W @ K @ T @ (W @ K).T).trace(),
        RESIDUAL_TERM: (R @ T @ R.T).trace(),
    }
    proof.equal("‖W'‖²_A − ‖W‖²_A", change, formula.subs(stands, simultaneous=True))
    return proof.evidence(change, formula)


def check_emmet_released(scale: sympy.Expr) -> Evidence:
    """EMMET's released batch, D = H + κI: MEMIT's solve with `scale`·A in the place of A."""
    W, K, V, A, M, T = batch_letters(gain_rules(JITTER))
    R = V - W @ K
    delta = R @ T @ (M @ K).T
    proof = Proof()
    proof.say("T = (H + κI)⁻¹, H = KᵀA⁻¹K; κ = 0.1 for u > 1")
    proof.equal("W'K misses V by κRT", (W + delta) @ K, V - JITTER * (R @ T))
    proof.say("T is invertible, so W'K = V only where R = 0")
    proof.equal("it is MEMIT's batch for κA: Δ(scale·A + KKᵀ)", delta @ (scale * A + K @ K.T), R @ K.T)
    soft, gram = scale * T, K.T @ M @ K / scale
    cross, square = (R @ soft @ (W @ K).T).trace(), (R @ soft @ gram @ soft @ R.T).trace()
    batch = (2 * BATCH_CROSS + BATCH_SQUARE).subs({BATCH_CROSS: cross, BATCH_SQUARE: square}, simultaneous=True)
    change = scale * ((W + delta).norm_sq(A) - W.norm_sq(A))
    proof.equal("T1.batch in the norm of scale·A: ‖W'‖² − ‖W‖²", change, batch)
    return proof.evidence(JITTER, scale)


def check_sequential(memory: sympy.Integer) -> Evidence:
    """W_{t+1}A_{t+1} = W_tA_t + VKᵀ for a soft write that absorbs `memory`·KKᵀ."""
    W, K, V, A, M, T = batch_letters(gain_rules(1))
    after = W + (V - W @ K) @ T @ (M @ K).T
    proof = Proof()
    proof.say("T = (I + H)⁻¹; V is fixed before the first write, not Wk + δ for the W of the moment")
    proof.equal("normal equations of one write: W'(A + memory·KKᵀ)", after @ (A + memory * (K @ K.T)), W @ A + V @ K.T)
    proof.say("with A_{t+1} = A_t + K_tK_tᵀ they add up: W_tA_t = W_0A_0 + Σ V_iK_iᵀ, A_t = A_0 + Σ K_iK_iᵀ")
    proof.say("one write of all keys K = [K_1 … K_t] has the same equations, for KKᵀ = Σ K_iK_iᵀ and VKᵀ = Σ V_iK_iᵀ")
    proof.say("A_t ≥ A_0 is positive definite, so the equations have one solution, whatever the order of the keys")
    return proof.evidence("memory 1", f"memory {memory}")


def check_memoryless(before: str) -> Evidence:
    """Two soft writes with one A against the batch of both: the defect of the normal equations.

    Args:
        before: the weight whose distance to W_2 is asserted to be the defect: "W1" (after the first write) or "W".
    """
    shapes: Any = {"W": ("m", "n"), "K": ("n", "u"), "V": ("m", "u"), "T": ("u", "u"), "A": ("n", "n"), "M": ("n", "n")}
    shapes |= {"L": ("n", "w"), "U": ("m", "w"), "G": ("w", "w")}
    second = ("G Lᵀ M L", {"": 1, "G": -1})
    a = Algebra(shapes, ("A", "M", "T", "G"), (*inverses("A", "M"), *gain_rules(1), second))
    W, K, V, T, A, M, L, U, G = map(a, "WKVTAMLUG")
    first = W + (V - W @ K) @ T @ (M @ K).T
    last = first + (U - first @ L) @ G @ (M @ L).T
    proof = Proof()
    proof.say("first K, V, then L, U, both with A: T = (I + KᵀMK)⁻¹, G = (I + LᵀML)⁻¹, M = A⁻¹")
    left = last @ (A + K @ K.T + L @ L.T) - (W @ A + V @ K.T + U @ L.T)
    moved = last - {"W1": first, "W": W}[before]
    proof.equal("defect of the batch's normal equations at W_2", left, moved @ K @ K.T)
    proof.equal("what the second write does to the first keys", (last - first) @ K, (U - first @ L) @ G @ L.T @ M @ K)
    proof.say("XKKᵀ = 0 iff XK = 0 (XKKᵀXᵀ = 0), so W_2 is the batch's iff the second write leaves W_1K as it is")
    return proof.evidence("(W_2 − W_1)KKᵀ", f"(W_2 − {before})KKᵀ")


def check_running(formula: sympy.Expr) -> Evidence:
    """The energy ‖W_t‖²_{A_t} of an accumulating soft write, in its own growing metric."""
    W, K, V, A, M, T = batch_letters(gain_rules(1))
    R = V - W @ K
    after = W + R @ T @ (M @ K).T
    proof = Proof()
    change = after.norm_sq(A + K @ K.T) - W.norm_sq(A)
    stands = {TARGET_SQ: (V @ V.T).trace(), LEFT_SQ: (R @ T @ R.T).trace()}
    proof.equal("‖W'‖² in A + KKᵀ − ‖W‖² in A", change, formula.subs(stands, simultaneous=True))
    proof.say("T is positive definite, so tr(RTRᵀ) ≥ 0 and N keys with ‖v‖ ≤ a add at most N a²")
    start, energy, count, anchor = sympy.symbols("E0 E N a", nonnegative=True)
    least, norm = sympy.symbols("λmin(A_t) ‖W_t‖²_F", positive=True)
    given = [energy <= start + count * anchor**2, least * norm <= energy]
    proof.follows("‖W_t‖²_F ≤ (E0 + N a²)/λmin(A_t)", given, norm <= (start + count * anchor**2) / least)
    floor, rate, many = sympy.symbols("λ0 μ N", positive=True)
    bound = (start + many * anchor**2) / (floor + rate * many)
    proof.equal("λmin(A_t) ≥ λ0 + μN: the bound for N → ∞", sympy.limit(bound, many, sympy.oo), anchor**2 / rate)
    return proof.evidence(change, formula)


def prove_schur(proof: Proof) -> None:
    """(H⁻¹)₁₁ = 1/kᵀ(I − Q)k, with Q the projector on the other keys' span."""
    shapes: Any = {"k": ("n", 1), "L": ("n", "w"), "N": ("w", "w")}
    a = Algebra(shapes, ("N",), (("N Lᵀ L", {"": 1}),))
    k, L, N = a("k"), a("L"), a("N")
    Q = L @ N @ L.T
    rest = (k.T @ k - k.T @ Q @ k).number()
    proof.say("k is the first key, L the w = u − 1 others, N = (LᵀL)⁻¹, Q = LNLᵀ; x = [1; −NLᵀk]/kᵀ(I − Q)k")
    lower = -1 * (N @ L.T @ k) / rest
    proof.equal("first row of H·x", (1 / rest) * (k.T @ k) + k.T @ L @ lower, a.eye(1))
    proof.equal("other rows of H·x", (1 / rest) * (L.T @ k) + L.T @ L @ lower, 0 * lower)
    proof.equal("so x is H⁻¹'s first column and (H⁻¹)₁₁ = 1/kᵀ(I − Q)k; Q·Q", Q @ Q, Q)
    proof.equal("tr Q", Q.trace(), sympy.Symbol("w", positive=True))


def check_batch_growth(factor: sympy.Expr) -> Evidence:
    """E‖W'‖²/‖W‖² of a hard batch write with proportional unbiased shifts, by two routes."""
    W, K, D, A, M, T = batch_letters(gain_rules(0))
    proof = Proof()
    change = (W + D @ T @ (M @ K).T).norm_sq(A) - W.norm_sq(A)
    parts = 2 * (W @ K @ T @ D.T).trace() + (D @ T @ D.T).trace()
    proof.equal("shifts D (written V), T = H⁻¹: ‖W'‖² − ‖W‖² = 2 tr(T·DᵀWK) + tr(T·DᵀD)", change, parts)
    proof.say("given K, W: E DᵀWK = 0, E DᵀD = c² diag ‖Wk_i‖², so the mean is c² Σ (H⁻¹)_ii ‖Wk_i‖², u equal means")
    proof.say("k_i → ρk_i, δ_i → ρδ_i changes nothing, and M = I for M^(1/2)k, WM^(−1/2): so take M = I, k ~ N(0, I)")
    prove_schur(proof)
    proof.say("given Q, a = Qk and b = (I − Q)k are independent normal vectors of u − 1 and n − u + 1 dimensions")
    proof.say("E Q commutes with every rotation, so E Q = ((u−1)/n) I; ‖Wk‖²/‖b‖² splits into a, b and a cross term 0")
    off = n - u + 1
    inverse, share = chi_square_moment(-1).subs(n, off), sphere_moment(1).subs(n, off)
    along, across = (u - 1) / n * inverse, off / n * share
    proof.equal("E‖Wa‖² E[1/‖b‖²] + E‖Wb̂‖², over ‖W‖²", along + across, (n - 2) / (n * (n - u - 1)))
    proof.equal("the factor 1 + c²·u·(their sum)", 1 + c**2 * u * (along + across), factor)
    proof.say("second route, given k: ‖(I − Q)k‖²/‖k‖² ~ Beta(p, q), p = (n−u+1)/2, q = (u−1)/2, free of k")
    p, q = sympy.symbols("p q", positive=True)
    mean = (p + q - 1) / (p - 1)
    ratio = sympy.gamma(p - 1) * sympy.gamma(p + q) / (sympy.gamma(p) * sympy.gamma(p + q - 1))
    proof.equal("E[1/Beta(p, q)] = B(p−1, q)/B(p, q)", ratio, mean)
    proof.equal("1 + c²(u/n)E[1/Beta]", 1 + c**2 * u / n * mean.subs({p: off / 2, q: (u - 1) / 2}), factor)
    proof.equal("one key", factor.subs(u, 1), 1 + c**2 / n)
    x, end = sympy.symbols("x ε", positive=True)
    proof.say("for q > 0 Beta's density lies between two multiples of x^(p−1) near 0, and p = (n−u+1)/2")
    mass = [sympy.integrate(x ** (sympy.Rational(gap + 1, 2) - 2), (x, 0, end)) for gap in range(3)]
    proof.holds(f"∫_0^ε x^(p−2) dx for n − u = 0, 1, 2 is {mass}: infinite for the first two alone",
                [value == sympy.oo for value in mass] == [True, True, False])  # fmt: skip
    return proof.evidence(sympy.factor(1 + c**2 * u * (along + across)), factor)


def check_growth_numbers(growth: Callable[[int, int, float], float]) -> Evidence:
    """The float formula against E[sin⁻²φ] of the angle φ between a key and the others' span, by quadrature."""
    proof = Proof()
    proof.say("φ between k and a uniform plane of u − 1 dimensions has density ∝ sin^(n−u)φ cos^(u−2)φ on (0, π/2)")
    for dim, size, shift in ((5, 2, 0.5), (8, 3, 1.0), (12, 7, 0.75), (9, 7, 2.0), (64, 20, 0.1)):
        with mpmath.workdps(DIGITS):

            def moment(power: int, dim: int = dim, size: int = size) -> mpmath.mpf:
                def density(x: mpmath.mpf) -> mpmath.mpf:
                    return mpmath.sin(x) ** (dim - size + power) * mpmath.cos(x) ** (size - 2)

                return mpmath.quad(density, [0, mpmath.pi / 4, mpmath.pi / 2])

            exact = 1 + mpmath.mpf(shift) ** 2 * size / dim * moment(-2) / moment(0)
        proof.agree(f"n = {dim}, u = {size}, c = {shift}", growth(dim, size, shift), exact)
    return proof.evidence("quadrature", "the formula")


def claims() -> tuple[Claim[Any], ...]:
    """Batch identities and what a batch does to the norm."""
    return (
        Claim(
            "T2.emmet", "T2", Kind.PROVED,
            "EMMET's batch R H⁻¹(A⁻¹K)ᵀ, H = KᵀA⁻¹K, A positive definite, K of full column rank (u ≤ n): W'K = V and "
            "‖W'‖²_A − ‖W‖²_A = tr(V H⁻¹Vᵀ) − tr(WK H⁻¹(WK)ᵀ).",
            check_emmet, TARGET_TERM - READ_TERM, RESIDUAL_TERM, "the change is tr(R H⁻¹Rᵀ), without the cross term",
        ),
        Claim(
            "T2.emmet_released", "T2", Kind.PROVED,
            "EMMET's released batch, D = H + κI with κ = 0.1 for u > 1, A positive definite, is not equality "
            "constrained: W'K = V − κRT, T = (H + κI)⁻¹, which is V only for R = 0; it is exactly MEMIT's batch with "
            "κA for A (for A = λC: λ/10 for λ), and obeys T1.batch in the norm of κA.",
            check_emmet_released, JITTER, 1 / JITTER, "it is MEMIT's batch with A/κ",
        ),
        Claim(
            "T2.sequential", "T2", Kind.PROVED,
            "Soft writes that absorb the keys they write, A_{t+1} = A_t + K_tK_tᵀ (MEMIT-seq, RLSEdit, accumulated "
            "least squares), A_0 positive definite, no spread, targets V_i fixed in advance: after any number of "
            "batches, in any order, W is the one write of all keys at once, W_tA_t = W_0A_0 + Σ V_iK_iᵀ.",
            check_sequential, sympy.Integer(1), sympy.Integer(0), "so do writes without memory (MEMIT)",
        ),
        Claim(
            "T2.memoryless", "T2", Kind.PROVED,
            "Two soft writes with one positive definite A (MEMIT), targets fixed in advance: W_2(A + K_1K_1ᵀ + "
            "K_2K_2ᵀ) − (W_0A + V_1K_1ᵀ + V_2K_2ᵀ) = (W_2 − W_1)K_1K_1ᵀ, so they end at the batch of both iff (W_2 − "
            "W_1)K_1 = 0: the second leaves what the first keys read out (one key each, r_2 = v_2 − W_1k_2 ≠ 0: iff "
            "k_1ᵀA⁻¹k_2 = 0).",
            check_memoryless, "W1", "W", "the defect is (W_2 − W_0)K_1K_1ᵀ",
        ),
        Claim(
            "T2.running", "T2, T5", Kind.PROVED,
            "A soft write that absorbs the keys it writes, A_{t+1} = A_t + KKᵀ, A_0 positive definite, no spread, has "
            "‖W_{t+1}‖²_{A_{t+1}} − ‖W_t‖²_{A_t} = tr(VVᵀ) − tr(R T Rᵀ). So N keys with ‖v‖ ≤ a (NAS) give, whatever "
            "the keys, ‖W_t‖²_F ≤ (‖W_0‖²_{A_0} + N a²)/λmin(A_t): at most linear in N, and with limit superior at "
            "most a²/μ if λmin(A_t) ≥ λ0 + μN with constants λ0, μ > 0.",
            check_running, TARGET_SQ - LEFT_SQ, TARGET_SQ + LEFT_SQ, "the change is tr(VVᵀ) + tr(R T Rᵀ)",
        ),
        Claim(
            "T2.batch_growth", "T2, T3", Kind.PROVED,
            "Hard batch write, M positive definite, u ≤ n keys whose images M^(1/2)k_i have uniform directions, "
            "independent of one another and of W ≠ 0, and lengths > 0 of any law; shifts with, given K and W, E "
            "δ_i·Wk_j = 0 for all i, j, E δ_i·δ_j = 0 for i ≠ j and E‖δ_i‖² = c²‖Wk_i‖²: for n > u + 1 the mean of "
            "‖W'‖²_{M⁻¹} given W is 1 + c²(u/n)(n−2)/(n−u−1) times ‖W‖²_{M⁻¹}; for c > 0 and u > 1 it is infinite at u "
            "= n − 1 and u = n.",
            check_batch_growth, batch_factor(n, u, c), 1 + c**2 * u / n, "it is 1 + c²u/n, as for u keys one by one",
        ),
        Claim(
            "T2.batch_growth_computed", "T2, T3", Kind.COMPUTED,
            "`batch_growth` is 1 + c²(u/n)E[sin⁻²φ], φ the angle between a key and the span of the u − 1 others, by "
            "50-digit quadrature, for five n > u + 1, u > 1.",
            check_growth_numbers, batch_growth, lambda n, u, c: batch_growth(n + 1, u, c), "n + 1 for n",
        ),
    )  # fmt: skip
