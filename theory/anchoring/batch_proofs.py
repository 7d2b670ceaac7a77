"""T5 for batches: what a batch of anchored values (‖v_i‖ = a, columns of V) does to the norm, hard and soft."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import sympy

from theory.anchoring.norm_proofs import ANCHOR, EXCITATION, LENGTH, NORM
from theory.claim import Claim, Evidence, Kind, Verdict
from theory.growth.isotropic_proofs import prove_isotropy
from theory.provers.moments import DIMENSION, chi_square_moment
from theory.provers.prove import Proof
from theory.provers.trace_algebra import Algebra, inverses

n, u = DIMENSION, sympy.Symbol("u", positive=True)
HARD_VALUES, HARD_READS = sympy.symbols("tr(VH⁻¹Vᵀ) tr(WKH⁻¹(WK)ᵀ)", real=True)
SOFT_VALUES, SOFT_READS, SOFT_REST = sympy.symbols("tr(VTVᵀ) tr(WKT(WK)ᵀ) ‖(V−WK)T‖²", real=True)
COSINE = sympy.Symbol("cosφ", real=True)


@dataclass(frozen=True)
class Batch:
    """The asserted changes of ‖W‖²_{M⁻¹} at a batch.

    Attributes:
        hard: T = H⁻¹ (EMMET).
        soft: T = (I + H)⁻¹ (MEMIT).
    """

    hard: sympy.Expr
    soft: sympy.Expr


def batch_algebra(gain: str, *, soft: bool) -> Algebra:
    """W (m, n), keys K and values V of u requests, A = M⁻¹, and a gain that is H⁻¹ or (I + H)⁻¹, H = KᵀMK."""
    shapes = {"W": ("m", "n"), "K": ("n", "u"), "V": ("m", "u"), "M": ("n", "n"), "A": ("n", "n"), gain: ("u", "u")}
    right = {"": 1, gain: -1} if soft else {"": 1}
    rules = (*inverses("A", "M"), (f"{gain} Kᵀ M K", right), (f"Kᵀ M K {gain}", right))
    return Algebra(shapes, ("M", "A", gain), rules)


def check_batch(asserted: Batch) -> Evidence:
    """T2's changes sorted into what values add and what read-outs take away."""
    proof = Proof()
    for soft, formula, (values, reads, rest) in (
        (False, asserted.hard, (HARD_VALUES, HARD_READS, SOFT_REST)),
        (True, asserted.soft, (SOFT_VALUES, SOFT_READS, SOFT_REST)),
    ):
        a = batch_algebra("T", soft=soft)
        W, K, V, M, A, T = map(a, ("W", "K", "V", "M", "A", "T"))
        R = V - W @ K
        proof.say(f"T = {'(I + H)⁻¹' if soft else 'H⁻¹'}, H = KᵀMK, M·A = I, Δ = (V − WK) T (MK)ᵀ")
        after = W + R @ T @ (M @ K).T
        stands = {values: V.norm_sq(T), reads: (W @ K).norm_sq(T), rest: (R @ T).norm_sq()}
        change = sympy.expand(after.norm_sq(A) - W.norm_sq(A))
        proof.equal("‖W+Δ‖² − ‖W‖²", change, formula.subs(stands, simultaneous=True))
    return proof.evidence(f"{asserted.hard}; {asserted.soft}", asserted)


@dataclass(frozen=True)
class BatchContraction:
    """What anchored batches are said to make of R = E‖W‖².

    Attributes:
        isotropic: E R' for hard batches, isotropic keys and M = I; `added` stands for E tr(VH⁻¹Vᵀ).
        soft: a bound on E R' for MEMIT's batches whose excitation is μ.
        ceiling: a bound on μ.
    """

    isotropic: sympy.Expr
    soft: sympy.Expr
    ceiling: sympy.Expr


ADDED = sympy.Symbol("E[tr(VH⁻¹Vᵀ)]", positive=True)


def check_batch_contraction(asserted: BatchContraction) -> Evidence:
    """What a batch takes away is the share of ‖W‖² that its keys span."""
    proof = Proof()
    proof.say("Y = W M^(−1/2), X = M^(1/2)K: H = XᵀX, WK = YX, ‖W‖²_{M⁻¹} = ‖Y‖²_F")
    a = Algebra({"Y": ("m", "n"), "X": ("n", "u"), "G": ("u", "u")}, ("G",),
                (("G Xᵀ X", {"": 1}), ("Xᵀ X G", {"": 1})))  # fmt: skip
    Y, X, G = a("Y"), a("X"), a("G")
    span = X @ G @ X.T
    proof.say("hard batch, G = H⁻¹: what is taken away is tr(YΠYᵀ), Π = X G Xᵀ, the projector on the keys' span")
    proof.equal("tr(WK H⁻¹ (WK)ᵀ)", (Y @ X).norm_sq(G), Y.norm_sq(span))
    proof.equal("Π·Π", span @ span, span)
    proof.equal("Π·X", span @ X, X)
    proof.equal("tr Π", span.trace(), u)
    proof.say("vᵀΠv = ‖Πv‖² ≥ (x̂·Πv)² = (x̂·v)² for each key: a batch excites no less than any one of its keys")
    proof.say("(MEMIT's too: X(I + H)⁻¹Xᵀ = I − (I + XXᵀ)⁻¹ falls in no direction when a key joins, as XXᵀ does not)")
    proof.say("OK and K of one law for every rotation O, M = I: OᵀE[Π]O = E Π: it is q·I as E k̂k̂ᵀ is, n q = tr Π = u")
    share = prove_isotropy(proof) * u
    norm = Y.norm_sq(share * a.eye("n")) / Y.norm_sq() * NORM
    proof.equal("E R' = R − E tr(YΠYᵀ) + E tr(VH⁻¹Vᵀ)", NORM - norm + ADDED, asserted.isotropic)
    rest = sympy.Symbol("‖YL‖²", nonnegative=True)
    values, below = sympy.symbols("tr(VTVᵀ) ‖RT‖²", nonnegative=True)
    proof.say("MEMIT: T = (I + H)⁻¹ ≤ I, so tr(VTVᵀ) ≤ tr(VVᵀ) = u a²; E[X T Xᵀ] = Q = μI + LLᵀ")
    proof.follows(
        "E R' ≤ …", [values <= u * LENGTH], NORM + values - below - (EXCITATION * NORM + rest) <= asserted.soft
    )
    proof.say("tr(X T Xᵀ) = tr(TH) = Σ h_j/(1 + h_j) < u for H's eigenvalues h_j")
    trace = sympy.Symbol("tr(LLᵀ)", nonnegative=True)
    proof.follows("μ's ceiling", [n * EXCITATION + trace <= u], asserted.ceiling >= EXCITATION)
    return proof.evidence("1 − u/n", asserted)


def check_batch_worst_case(ridge: sympy.Expr) -> Evidence:
    """MEMIT's change completed to a square: tr(V Z Vᵀ) less a square, Z = (ridge·I + H)⁻¹, and its bound u a²/ridge."""
    rules = (("T Xᵀ X", {"": 1, "T": -1}), ("Xᵀ X T", {"": 1, "T": -1}),
             ("Z Xᵀ X", {"": 1, "Z": -ridge}), ("Xᵀ X Z", {"": 1, "Z": -ridge}))  # fmt: skip
    product = {"T": 1 / (ridge - 1), "Z": -1 / (ridge - 1)}  # (I + H)⁻¹(cI + H)⁻¹ = (T − Z)/(c − 1)
    shapes = {"Y": ("m", "n"), "X": ("n", "u"), "V": ("m", "u"), "T": ("u", "u"), "Z": ("u", "u")}
    a = Algebra(shapes, ("T", "Z"), (*rules, ("T Z", product), ("Z T", product)))
    Y, X, V, T, Z, eye = *map(a, ("Y", "X", "V", "T", "Z")), a.eye("u")
    H = X.T @ X
    proof = Proof()
    proof.say(f"Y, X as in T5.batch_contraction; T = (I + H)⁻¹, Z = ({ridge}·I + H)⁻¹, Δ = (V − YX) T Xᵀ")
    change = (Y + (V - Y @ X) @ T @ X.T).norm_sq() - Y.norm_sq()
    away = (Y @ X - V @ Z) @ T
    proof.equal("‖Y+Δ‖² − ‖Y‖²", sympy.expand(change), V.norm_sq(Z) - away.norm_sq(2 * eye + H))
    proof.say("2I + H is positive definite, so the change is at most tr(VZVᵀ)")
    proof.equal("Z = I/c − Z(H + H²/c)Z", Z, eye / ridge - Z @ (H + H @ H / ridge) @ Z)
    proof.say("so Z ≤ I/c and tr(VZVᵀ) ≤ u a²/c at every batch: N edits in batches of any sizes add at most N a²/c")
    s = sympy.Symbol("s", positive=True)
    eta = s / (1 + s)
    proof.equal("one key: T5.sharp's η/((2−η)s)", eta / ((2 - eta) * s), 1 / (ridge + s))
    proof.equal("its supremum over keys, s → 0", sympy.limit(eta / ((2 - eta) * s), s, 0), 1 / sympy.sympify(ridge))
    count = sympy.Symbol("u", positive=True)
    equal = count * LENGTH / (ridge + count * s)
    proof.say("u equal requests (k, v) at a W with Wk = v/(c + us): V Z = v 1ᵀ/(c + us) = YX, nothing is taken away")
    proof.equal("Z1 = 1/(c + us): (cI + s11ᵀ)1", ridge + s * count, ridge + count * s)
    proof.equal("so the change is u a²/(c + us); its supremum", sympy.limit(equal, s, 0), count * LENGTH / ridge)
    return proof.evidence("a²/2 an edit", f"a²/({ridge}) an edit")


def check_batch_hard(factor: int) -> Evidence:
    """For every diagonal D ≥ H⁻¹ a hard batch adds at most factor·a² tr D; a pair of keys attains it."""
    D1, D2, first, second, cross = sympy.symbols("D1 D2 G11 G22 G12", real=True)
    gap, values = sympy.symbols("tr(V(D−G)Vᵀ) tr(VGVᵀ)", real=True)
    total, reads = sympy.Symbol("tr D", positive=True), sympy.Symbol("tr(WK·G·(WK)ᵀ)", nonnegative=True)
    proof = Proof()
    proof.say("G = H⁻¹; D diagonal: tr(VDVᵀ) = Σ D_i‖v_i‖² ≤ a² tr D; D − G ≥ 0 makes tr(V(D−G)Vᵀ) ≥ 0")
    given = [values + gap <= LENGTH * total, gap >= 0]
    proof.follows("the change tr(VGVᵀ) − tr(WK·G·(WK)ᵀ)", given, values - reads <= factor * LENGTH * total)
    proof.say("D = λmax(G)·I is one such D; D_i = Σ_j |G_ij| another, as D − G is then diagonally dominant; for u = 2:")
    size = sympy.Symbol("|G12|", nonnegative=True)
    given = [sympy.Eq(size**2, cross**2), first + size <= D1, second + size <= D2]
    dominant = sympy.And((D1 - first) * (D2 - second) >= cross**2, first <= D1, second <= D2)
    proof.follows("D − G ≥ 0", given, dominant)
    G = sympy.Matrix([[1, COSINE], [COSINE, 1]]).inv()
    most = sympy.simplify((sympy.Matrix([[1, -1]]) * G * sympy.Matrix([1, -1]))[0])
    proof.say("attained: keys of s = 1 at an angle φ < π/2, WK = 0, v_2 = −v_1; λmax(G) = 1/(1 − cosφ), tr D = 2λmax")
    proof.equal("λmax: G(1, −1)ᵀ", (G * sympy.Matrix([1, -1]))[0], 1 / (1 - COSINE))
    proof.equal("the change", LENGTH * most, factor * LENGTH * 2 / (1 - COSINE))
    return proof.evidence("a² tr D", f"{factor} a² tr D")


def check_batch_additive(change: sympy.Expr) -> Evidence:
    """Two keys of s = 1 with WK = 0 and opposite values: what the hard batch adds, in exact numbers, against 2a²."""
    weight, anchor = sympy.zeros(2, 3), sympy.Integer(3)
    value = anchor * sympy.Matrix([sympy.Rational(3, 5), sympy.Rational(4, 5)])
    proof, added = Proof(), []
    proof.say("2 × 3, M = I, W = 0, a = 3; keys (1, 0, 0) and (cosφ, sinφ, 0), values v and −v")
    for x in (sympy.Rational(1, 2), sympy.Rational(1, 10), sympy.Rational(1, 100)):
        cosine, sine = (1 - x**2) / (1 + x**2), 2 * x / (1 + x**2)
        keys = sympy.Matrix([[1, cosine], [0, sine], [0, 0]])
        values = sympy.Matrix.hstack(value, -value)
        after = weight + (values - weight * keys) * (keys.T * keys).inv() * keys.T
        proof.holds(f"cosφ = {cosine}: the write meets its targets", after * keys == values)
        found = (after * after.T).trace() - (weight * weight.T).trace()
        proof.equal("it adds", found, change.subs({COSINE: cosine, ANCHOR: anchor}))
        proof.holds(f"{found} is more than 2a² = {2 * anchor**2}", found > 2 * anchor**2)
        added.append(found)
    limit = sympy.limit(change.subs(ANCHOR, anchor), COSINE, 1, "-")
    proof.holds(f"as φ → 0 it passes every bound: {limit}", limit == sympy.oo)
    proof.say("φ = 0 with v_2 ≠ v_1: H is singular and no write meets both targets")
    return proof.evidence(", ".join(map(str, added)), f"at most {2 * anchor**2} if batches were additive")


def check_batch_plateau(limit: sympy.Expr) -> Evidence:
    """The fixed point of hard batches for keys N(0, I_n) and undirected, uncorrelated values."""
    k = sympy.Symbol("u", positive=True)
    mean = sympy.factor(chi_square_moment(-1).subs(n, n - k + 1))
    proof = Proof()
    proof.say("(H⁻¹)_jj is 1 over the squared distance of k_j from the span of the other u − 1 keys (Schur complement)")
    proof.say(
        "that distance is the length of a Gaussian vector in the n − u + 1 dimensions left: χ²_{n−u+1}, u ≤ n − 2"
    )
    proof.equal("E(H⁻¹)_jj = E[1/χ²_{n−u+1}]", mean, 1 / (n - k - 1))
    added = LENGTH * k * mean
    proof.say("E[VᵀV | K, W] = a²I: E tr(VH⁻¹Vᵀ) = a² E tr H⁻¹ = u a² E(H⁻¹)_jj")
    fixed = sympy.Symbol("R∞", positive=True)
    solved = sympy.solve(sympy.Eq(fixed, (1 - k / n) * fixed + added), fixed)[0]
    proof.equal("fixed point of R = (1 − u/n)R + E tr(VH⁻¹Vᵀ) (T5.batch_contraction)", sympy.factor(solved), limit)
    proof.equal("one key a write: T5.fixed_point", sympy.factor(solved.subs(k, 1)), LENGTH * n / (n - 2))
    proof.follows("1 ≤ u ≤ n − 2: the factor lies in [0, 1)", [k >= 1, k <= n - 2], sympy.And(k / n < 1, k / n > 0))
    return proof.evidence(sympy.factor(solved), limit)


def claims() -> tuple[Claim[Any], ...]:
    """What anchored batches add, at most and in the mean."""
    batch = Batch(HARD_VALUES - HARD_READS, SOFT_VALUES - SOFT_READS - SOFT_REST)
    soft = (1 - EXCITATION) * NORM + u * LENGTH
    contraction = BatchContraction((1 - u / n) * NORM + ADDED, soft, u / n)
    pair = 2 * LENGTH / (1 - COSINE)
    plateau = LENGTH * n / (n - u - 1)
    return (
        Claim(
            "T5.batch", "P7, T2", Kind.PROVED,
            "A batch of u values V (any) at keys K, H = KᵀMK, M positive definite, changes ‖W‖²_{M⁻¹} by tr(VH⁻¹Vᵀ) − "
            "tr(WK H⁻¹(WK)ᵀ) if it is hard (K of full column rank), and by tr(VTVᵀ) − tr(WKT(WK)ᵀ) − ‖(V−WK)T‖²_F, "
            "T = (I+H)⁻¹, if it is MEMIT's (any K).",
            check_batch, batch, replace(batch, soft=SOFT_VALUES - SOFT_READS),
            "MEMIT's batch without −‖(V−WK)T‖²_F, as if it were hard",
        ),
        Claim(
            "T5.batch_contraction", "P7, T2", Kind.PROVED,
            "Batches with every value anchored (none dropped), keys of each independent of the past, M positive "
            "definite: hard batches (K of full column rank almost surely) of jointly rotation-invariant keys (as "
            "independent isotropic ones), M = I, have E R' = (1 − u/n)R + E tr(VH⁻¹Vᵀ), and any batch excites no less "
            "than one of its keys; MEMIT's with E[X(I+H)⁻¹Xᵀ] ≥ μI, X = M^(1/2)K, have E R' ≤ (1−μ)R + u a², μ ≤ u/n, "
            "for every direction of the values.",
            check_batch_contraction, contraction, replace(contraction, soft=(1 - EXCITATION) * NORM + LENGTH * u / 2),
            "MEMIT's batches add at most u a²/2 and keep the factor 1 − μ",
        ),
        Claim(
            "T5.batch_worst_case", "P7, T2", Kind.PROVED,
            "MEMIT with NAS in batches of anchored values only (dropped requests leave the batch: T5.batch_drop), "
            "A = λC fixed, any keys (short, collinear, repeated), any directions of the values: a batch changes ‖W‖²_A "
            "by at most tr(V(2I+H)⁻¹Vᵀ) ≤ u a²/2, so after N edits ‖W‖²_A ≤ ‖W_0‖²_A + N a²/2; no s_min is needed, and "
            "u a²/2 is the supremum over W and keys, approached by u equal requests at short keys.",
            check_batch_worst_case, sympy.Integer(2), sympy.Integer(3), "tr(V(3I+H)⁻¹Vᵀ), a third of a² an edit",
        ),
        Claim(
            "T5.batch_hard", "P7, T2", Kind.PROVED,
            "A hard batch of values no longer than a, K of full column rank, changes ‖W‖²_{M⁻¹} by at most a² tr D for "
            "every diagonal D ≥ H⁻¹, such as u a² λmax(H⁻¹) or a² Σ_ij |(H⁻¹)_ij|; both attained by two keys of one s "
            "at an acute angle (kᵀMk' > 0) with WK = 0 and opposite values of length a.",
            check_batch_hard, 1, 2, "it adds twice that in the attained case",
        ),
        Claim(
            "T5.batch_additive", "P7, T2", Kind.PROVED,
            "A hard batch of anchored values adds at most what its keys may add one by one, Σ a²/s_i. False: two keys "
            "of s = 1 at an angle φ with opposite values and WK = 0 add 2a²/(1 − cosφ), beyond every bound as φ → 0.",
            check_batch_additive, pair, 2 * LENGTH / (1 - COSINE**2), "they add a² tr H⁻¹ = 2a²/(1 − cos²φ)",
            Verdict.FALSE,
        ),
        Claim(
            "T5.batch_plateau", "P7, T2", Kind.PROVED,
            "NAS (no request dropped), hard batches of u ≤ n − 2 keys N(0, I_n) independent of the past and of each "
            "other, M = I, values with E[VᵀV | K, W] = a²I: E R_t tends to R∞ = a²n/(n − u − 1), which grows with the "
            "batch and has a pole at u = n − 1.",
            check_batch_plateau, plateau, LENGTH * n / (n - u), "R∞ = a²n/(n − u)",
        ),
    )  # fmt: skip
