"""T4's claims on controls of the state: decay, pulls towards W_0, orthogonal writes, values solved on W_0, caps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import sympy

from theory.anchoring.norm_proofs import BEFORE
from theory.claim import Claim, Evidence, Kind
from theory.controls import increments as controls
from theory.controls import states as state_controls
from theory.growth.isotropic_proofs import SHIFTED, c, n, prove_isotropy, prove_power_law, t
from theory.provers.prove import Proof
from theory.provers.trace_algebra import Algebra, inverses
from theory.writes.identities import ETA, HARD, MASTER, READ_SQ, RESIDUAL_SQ, VALUE_SQ, S, rank_one

DECAY, RIDGE, GROWTH, CAP = sympy.symbols("w ϱ growth cap", positive=True)
NORM = sympy.Symbol("R", nonnegative=True)


@dataclass(frozen=True)
class Decay:
    """What W ← (1 − w)(W + Δ) is said to do.

    Attributes:
        factor: E R'/R as a function of w and the factor without decay.
        worst: a w from which on no aligned stream grows under ‖δ‖ ≤ c‖Wk‖.
        threshold: the least w without growth in the mean, as a number of the factor without decay.
    """

    factor: Callable[..., sympy.Expr]
    worst: sympy.Expr
    threshold: Callable[[float], float]


def check_decay(asserted: Decay) -> Evidence:
    """Weight decay after each write: the mean factor, its threshold, the worst case and its threshold."""
    a = Algebra({"W": ("m", "n"), "D": ("m", "n")})
    W, D = a("W"), a("D")
    proof = Proof()
    factor = asserted.factor(DECAY, GROWTH)
    proof.equal("‖(1−w)(W+Δ)‖²", ((1 - DECAY) * (W + D)).norm_sq(), sympy.expand((1 - DECAY) ** 2 * (W + D).norm_sq()))
    proof.equal("so E R'/R at E‖W+Δ‖² = growth·R", (1 - DECAY) ** 2 * GROWTH, factor)
    prove_power_law(proof, factor)
    root = sympy.Symbol("√growth", positive=True)
    grows = sympy.Equivalent(factor.subs(GROWTH, root**2) <= 1, 1 - 1 / root <= DECAY)
    proof.follows("no growth iff w ≥ 1 − 1/√growth", [DECAY <= 1, root >= 1], grows)
    for growth in ("5/4", "4", "1025/1024"):
        exact = sympy.Rational(growth)
        proof.agree(f"decay_threshold at growth {growth}", asserted.threshold(float(exact)), 1 - 1 / sympy.sqrt(exact))
    small = sympy.series(1 - 1 / sympy.sqrt(1 + NORM), NORM, 0, 2).removeO()
    proof.equal("for a small excess x = η²c²/n the threshold is x/2 + O(x²)", small, NORM / 2)
    worst = (1 - DECAY) * (1 + ETA * c)
    proof.follows("any direction, ‖W'‖ ≤ (1−w)(1+ηc)‖W‖ (T4.relative_worst): no growth iff w ≥ worst", [DECAY <= 1],
                  sympy.Equivalent(worst <= 1, asserted.worst <= DECAY))  # fmt: skip
    other = (1 - DECAY) ** 2 + (GROWTH - 1)
    proof.equal("decay before the write, read-out from before it: (1−w)² + growth − 1, more by",
                sympy.expand(other - factor), sympy.expand((GROWTH - 1) * (1 - (1 - DECAY) ** 2)))  # fmt: skip
    return proof.evidence((1 - DECAY) ** 2 * SHIFTED, asserted.factor(DECAY, SHIFTED))


def check_pull(bound: Callable[..., sympy.Expr]) -> Evidence:
    """‖W_n − W_0‖² for the ridge solution pulled towards W_0: by the residuals on W_0, attained, and excited."""
    a = Algebra({"D": ("m", "n"), "K": ("n", "t"), "E": ("m", "t")}, rules=(("E Kᵀ", {"D": RIDGE}),))
    D, K, E = map(a, ("D", "K", "E"))
    R = E + D @ K
    proof = Proof()
    proof.say("D = W_n − W_0 solves D(ϱI + KKᵀ) = RKᵀ, R = V − W_0K; E = R − DK is what stays unfitted: EKᵀ = ϱD")
    square = (E - D @ K).norm_sq()
    proof.equal("‖R‖² − 4ϱ‖D‖² = ‖E − DK‖² ≥ 0", R.norm_sq() - 4 * RIDGE * D.norm_sq(), square)
    size, residual, rest = sympy.symbols("‖D‖² ‖R‖² ‖E−DK‖²", nonnegative=True)
    proof.follows("the bound", [sympy.Eq(residual - 4 * RIDGE * size, rest)], bound(residual, RIDGE) >= size)
    proof.say("attained for every even t, keys (1/√t, ±1) with alternating sign, ϱ = 1, one residual r = (1, 2):")
    proof.say("KKᵀ = diag(1, t), RKᵀ = (√t r, 0), so D = (√t r/2, 0)")
    proof.equal("‖D‖²", 5 * sympy.sqrt(t) ** 2 / 4, bound(5 * t, sympy.Integer(1)))
    for edits in (2, 4):
        keys = sympy.Matrix([[1 / sympy.sqrt(edits)] * edits, [(-1) ** i for i in range(edits)]])
        wanted = sympy.Matrix([1, 2]) * sympy.ones(1, edits)
        solved = wanted * keys.T * (sympy.eye(2) + keys * keys.T).inv()
        proof.equal(
            f"t = {edits}: ‖D‖²", (solved * solved.T).trace(), bound(sympy.Integer(5 * edits), sympy.Integer(1))
        )
    fitted, unfitted, excited = sympy.symbols("‖DK‖² ‖E‖² μt", nonnegative=True)
    proof.equal("‖R‖² = ‖E‖² + ‖DK‖² + 2ϱ‖D‖²", R.norm_sq(), E.norm_sq() + (D @ K).norm_sq() + 2 * RIDGE * D.norm_sq())
    given = [sympy.Eq(residual, unfitted + fitted + 2 * RIDGE * size), fitted >= excited * size]
    proof.follows("KKᵀ ≥ μtI: (μt + 2ϱ)‖D‖² ≤ ‖R‖²", given, (excited + 2 * RIDGE) * size <= residual)
    proof.say("so residuals ‖r_i‖ ≤ ϵ on W_0 give ‖D‖ ≤ ϵ√t/(2√ϱ) always and ‖D‖ ≤ ϵ/√μ under excitation")
    return proof.evidence("‖R‖²/(4ϱ)", bound(residual, RIDGE))


def check_pull_is_memory(gain: Callable[[sympy.Expr], sympy.Expr]) -> Evidence:
    """The ridge solution pulled towards W_0, one key later, is a partial write with the accumulated metric."""
    a = Algebra({"N": ("m", "n"), "k": ("n", 1), "v": ("m", 1), "A": ("n", "n"), "A⁻¹": ("n", "n")}, ("A", "A⁻¹"),
                inverses("A", "A⁻¹"))  # fmt: skip
    N, k, v, A, inverse = map(a, ("N", "k", "v", "A", "A⁻¹"))
    s = (k.T @ inverse @ k).number()
    proof = Proof()
    proof.say("argmin Σ‖Wk_i − v_i‖² + ‖W − W_0‖²_{A_0} is W = N A⁻¹, N = W_0A_0 + VKᵀ, A = A_0 + KKᵀ, A_0 > 0")
    later = inverse - inverse @ k @ k.T @ inverse / (1 + s)
    proof.equal("one key later: G = (A + kkᵀ)⁻¹, (A + kkᵀ)·G", (A + k @ k.T) @ later, a.eye("n"))
    W = N @ inverse
    eta = gain(s)
    proof.equal("(N + vkᵀ)G = W + η(v − Wk)(A⁻¹k)ᵀ/s", (N + v @ k.T) @ later,
                W + eta / s * ((v - W @ k) @ (inverse @ k).T))  # fmt: skip
    proof.say("A_0 = λC: MEMIT_seq's write. A_0 = L2·I: AlphaEdit's with P = I (T1.alphaedit). Pulling is remembering.")
    b = Algebra({"W": ("m", "n"), "W0": ("m", "n"), "K": ("n", "u"), "R": ("m", "u"), "H": ("m", "n"), "C": ("n", "n"),
                 "G": ("n", "n")}, ("C", "G"))  # fmt: skip
    W, W0, K, R, H, C, G = map(b, ("W", "W0", "K", "R", "H", "C", "G"))
    z = sympy.Symbol("aZλ", positive=True)
    system = K @ K.T + z * C + G
    proof.say("LyapLock: Δ·(KKᵀ + aZλC + G) = RKᵀ + aZλ(W_0C − WC) + H − WG, H = Σ y kᵀ of past read-outs y, G = Σ kkᵀ")
    step = R @ K.T + z * (W0 @ C - W @ C) + H - W @ G
    proof.equal("W'·(KKᵀ + aZλC + G): W enters by the values v = Wk + r alone", W @ system + step,
                (W @ K + R) @ K.T + z * (W0 @ C) + H)  # fmt: skip
    proof.say("the normal equations of Σ‖W'k − v‖² + Σ‖W'k_j − y_j‖² + aZλ‖W' − W_0‖²_C: a pull as well")
    return proof.evidence(s / (1 + s), eta)


def check_orthogonal(side: str) -> Evidence:
    """W' = QW keeps ‖W‖_A for every A, all singular values, and ‖Wx‖ of every x."""
    a = Algebra({"W": ("m", "n"), "Q": ("m", "m"), "P": ("n", "n"), "A": ("n", "n"), "x": ("n", 1)}, ("A",),
                (("Qᵀ Q", {"": 1}), ("Q Qᵀ", {"": 1}), ("Pᵀ P", {"": 1}), ("P Pᵀ", {"": 1})))  # fmt: skip
    W, Q, P, A, x = map(a, ("W", "Q", "P", "A", "x"))
    after = Q @ W if side == "left" else W @ P
    proof = Proof()
    proof.say(f"QᵀQ = I, multiplied from the {side}")
    proof.equal("‖W'‖²_A", after.norm_sq(A), W.norm_sq(A))
    proof.equal("W'ᵀW', so every singular value stays", after.T @ after, W.T @ W)
    proof.equal("‖W'x‖² for every x", (x.T @ after.T @ after @ x).number(), (x.T @ W.T @ W @ x).number())
    value, read = sympy.symbols("‖v‖ ‖Wk‖", nonnegative=True)
    proof.follows("so W'k = v only for ‖v‖ = ‖Wk‖", [sympy.Eq(value**2, read**2)], sympy.Eq(value, read))
    return proof.evidence("W'ᵀW' = WᵀW", side)


@dataclass(frozen=True)
class Frozen:
    """What values solved on W_0 are said to leave.

    Attributes:
        law: E R_t for isotropic keys and hard writes, of (R_0, n, c, t).
        worst: a bound on R_t, of (R_0, c, t).
    """

    law: Callable[..., sympy.Expr]
    worst: Callable[..., sympy.Expr]


def check_frozen(asserted: Frozen) -> Evidence:
    """NSE's values, solved on W_0: the mean for isotropic keys, and the bound for any."""
    a = rank_one()
    W = a("W")
    proof = Proof()
    proof.say("given k and W: E‖v‖² = (1 + c²)‖W_0k‖²; T1 for η = 1, M = I")
    frozen = sympy.Symbol("‖W_0k‖²", nonnegative=True)
    change = HARD.subs(VALUE_SQ, (1 + c**2) * frozen)
    proof.equal("E[change | k, W]", change, ((1 + c**2) * frozen - READ_SQ) / S)
    q = prove_isotropy(proof)
    proof.equal("E[‖Wk‖²/s] = R/n, and for W_0 alike", W.norm_sq(q * a.eye("n")), W.norm_sq() / n)
    step = NORM + change.subs({frozen: BEFORE, READ_SQ: NORM}, simultaneous=True) * S * q
    law = asserted.law(BEFORE, n, c, t)
    proof.equal("E R' = (1 − 1/n)R + (1 + c²)R_0/n", sympy.expand(step),
                sympy.expand((1 - 1 / n) * NORM + (1 + c**2) * BEFORE / n))  # fmt: skip
    proof.equal("the law at t = 0", law.subs(t, 0), BEFORE)
    proof.equal("induction step", step.subs(NORM, law), asserted.law(BEFORE, n, c, t + 1))
    proof.equal("first step, T3's slope c²/n", asserted.law(BEFORE, n, c, sympy.Integer(1)), (1 + c**2 / n) * BEFORE)
    gone = sympy.Symbol("(1−1/n)^t", nonnegative=True)
    proof.follows("it never passes (1 + c²)R_0", [gone <= 1],
                  law.subs((1 - 1 / n) ** t, gone) <= (1 + c**2) * BEFORE)  # fmt: skip
    aligned, value, read0 = sympy.symbols("v·Wk ‖v‖ ‖W_0k‖", real=True)
    residual = value**2 - 2 * aligned + READ_SQ
    general = MASTER.subs({VALUE_SQ: value**2, RESIDUAL_SQ: residual}, simultaneous=True)
    gram = [READ_SQ >= 0, value >= 0, read0 >= 0, ETA <= 1, aligned**2 <= value**2 * READ_SQ]
    proof.follows("any keys, any direction, any M: the change is at most η‖v‖²/s", gram, ETA * value**2 / S >= general)
    bound = [ETA <= 1, value >= 0, read0 >= 0, value <= (1 + c) * read0, read0**2 <= S * BEFORE]
    added = asserted.worst(BEFORE, c, t + 1) - asserted.worst(BEFORE, c, t)
    proof.follows("‖v‖ ≤ (1 + c)‖W_0k‖, ‖W_0k‖² ≤ s‖W_0‖² (T4.relative_worst): at most (1 + c)²‖W_0‖²", bound,
                  ETA * value**2 / S <= sympy.expand(added))  # fmt: skip
    proof.equal("from R_0 on", asserted.worst(BEFORE, c, sympy.Integer(0)), BEFORE)
    proof.equal("the bound's step", sympy.expand(added), sympy.expand((1 + c) ** 2 * BEFORE))
    return proof.evidence("(1 + c²)R_0 at most", law)


def check_cap(bound: sympy.Expr) -> Evidence:
    """All singular values at most cap: ‖W‖²_F ≤ min(m, n)·cap², attained."""
    m = sympy.Symbol("m", positive=True)
    a = Algebra({"W": ("m", "n"), "Z": ("m", "m")}, ("Z",), (("W Wᵀ", {"": CAP**2, "Z": -1}),))
    W, Z = a("W"), a("Z")
    proof = Proof()
    proof.say("m ≤ n (else transpose): Z = cap²I − WWᵀ is positive semidefinite, so tr Z ≥ 0")
    proof.equal("‖W‖²_F = tr WWᵀ", W.norm_sq(), m * CAP**2 - Z.trace())
    rest, size = sympy.symbols("trZ ‖W‖²", nonnegative=True)
    proof.follows("the bound", [sympy.Eq(size, m * CAP**2 - rest)], size <= bound)
    free = Algebra({"V": ("n", "m")}, rules=(("Vᵀ V", {"": 1}),))
    W = CAP * free("V").T
    proof.equal("attained by cap times orthonormal rows: ‖W‖²", W.norm_sq(), bound)
    return proof.evidence(m * CAP**2, bound)


def claims() -> tuple[Claim[Any], ...]:
    """Controls of the state."""
    decay = Decay(controls.decayed_factor, ETA * c / (1 + ETA * c), controls.decay_threshold)
    frozen = Frozen(state_controls.frozen_values_law, state_controls.frozen_values_worst)
    m = sympy.Symbol("m", positive=True)
    return (
        Claim(
            "T4.weight_decay", "P6", Kind.PROVED,
            "W ← (1 − w)(W + Δ), 0 ≤ w ≤ 1, where without decay E R' = growth·R for every W, growth ≥ 1 (1 + η²c²/n "
            "under T4.relative_clamp): "
            "E R_t = ((1 − w)² growth)^t R_0, without growth iff w ≥ 1 − 1/√growth, about η²c²/(2n); for every "
            "direction of ‖δ‖ ≤ c‖Wk‖ iff w ≥ ηc/(1 + ηc).",
            check_decay, decay, replace(decay, factor=lambda w, growth: (1 - w) * growth),
            "the factor is (1 − w) growth",
        ),
        Claim(
            "T4.pull", "P6", Kind.PROVED,
            "A ridge pull towards W_0 (RLSEdit's published objective, ϱ = λ² > 0, without its deviation term), "
            "W_t = argmin Σ_{i≤t} ‖Wk_i − v_i‖² + ϱ‖W − W_0‖²_F: ‖W_t − W_0‖²_F ≤ Σ‖v_i − W_0k_i‖²/(4ϱ), attained at "
            "every even t by keys chosen for t: like √t, not bounded, even where residuals on W_0 are. Residuals at "
            "most ϵ and excited keys, Σ k_ik_iᵀ ≥ μtI, μ > 0, give ‖W_t − W_0‖_F ≤ ϵ/√μ. Not for values solved on the "
            "current weight, whose residuals on W_0 nothing bounds.",
            check_pull, state_controls.pulled_bound, lambda residuals, ridge: residuals / (8 * ridge),
            "the constant is 1/8",
        ),
        Claim(
            "T4.pull_is_memory", "P6", Kind.PROVED,
            "A pull towards W_0 is a memory of keys: argmin Σ‖Wk_i − v_i‖² + ‖W − W_0‖²_{A_0}, A_0 positive definite, "
            "moves by η(v − Wk)(A⁻¹k)ᵀ/s, A = A_0 + Σkkᵀ of past keys, s = kᵀA⁻¹k, η = s/(1 + s): MEMIT_seq (A_0 = "
            "λC), AlphaEdit with P = I (A_0 = L2·I). LyapLock's write, too, depends on W through v alone and minimises "
            "such an objective, with the read-outs after past writes for their values.",
            check_pull_is_memory, lambda s: s / (1 + s), lambda s: sympy.Integer(1), "η = 1, as if writes were hard",
        ),
        Claim(
            "T4.orthogonal_write", "P6", Kind.PROVED,
            "A write W' = QW with QᵀQ = I (MOSE) keeps ‖W‖_A for every A, every singular value and ‖Wx‖ of every x: no "
            "growth, without condition; and it meets W'k = v only where ‖v‖ = ‖Wk‖.",
            check_orthogonal, "left", "right", "a write W' = WQ does so",
        ),
        Claim(
            "T4.frozen_values", "P6", Kind.PROVED,
            "Values solved on W_0 (NSE) do not feed back. Isotropic keys independent of the past, P(k = 0) = 0, M = I, "
            "hard writes, E[‖v‖² | k, W] = (1 + c²)‖W_0k‖²: E R_t = R_0[1 + c²(1 − (1 − 1/n)^t)] ≤ (1 + c²)R_0. Any "
            "keys with s > 0, any fixed positive definite M, any η in (0, 1], ‖v − W_0k‖ ≤ c‖W_0k‖: "
            "‖W_t‖² ≤ [1 + (1 + c)²t]‖W_0‖² in M⁻¹: √t at most, never exponential.",
            check_frozen, frozen,
            replace(frozen, law=lambda start, n, c, t: start * (1 + c**2 * (1 - (1 - 1 / n) ** t) / n)),
            "it stops at (1 + c²/n)R_0",
        ),
        Claim(
            "T4.spectral_cap", "P6", Kind.PROVED,
            "Singular values clipped at a cap after every write: ‖W‖²_F ≤ min(m, n)·cap², whatever the writes, and not "
            "less for some W.",
            check_cap, m * CAP**2, CAP**2, "‖W‖_F ≤ cap",
        ),
    )  # fmt: skip
