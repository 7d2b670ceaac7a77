"""T1's instances: the published solve of each rule is a partial write η r(Mk)ᵀ/s, and obeys the identity."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import sympy

from theory.claim import Claim, Evidence, Kind
from theory.provers.prove import Proof
from theory.provers.trace_algebra import Algebra, inverses
from theory.writes.identities import (
    BATCH_CROSS,
    BATCH_SQUARE,
    CROSS,
    ETA,
    HARD,
    MASTER,
    RESIDUAL_SQ,
    S,
    put_in,
    rank_one,
)

WEIGHTING, RIDGE, SCALE = sympy.symbols("λ ρ ν", positive=True)
LAYERS, LAYER = sympy.symbols("L i", real=True)
SOFT = S / (1 + S)
SEEN = (2 * ETA * CROSS + ETA**2 * RESIDUAL_SQ) / S  # MASTER with v = r + (what the metric sees of the read-out)


def soft_share(s: sympy.Expr) -> sympy.Expr:
    """η = s/(1+s), the share that a ridge solve writes."""
    return SOFT.subs(S, s)


@dataclass(frozen=True)
class Share:
    """An asserted partial write.

    Attributes:
        eta: η as a function of s.
        change: the change of ‖W‖²_{M⁻¹}, in T1's symbols.
    """

    eta: sympy.Expr
    change: sympy.Expr


@dataclass(frozen=True)
class Norm:
    """The norm ‖W‖² of covariance·C + ridge·I + cache·Σkkᵀ in which T1 is asserted."""

    covariance: sympy.Expr
    ridge: sympy.Expr
    cache: sympy.Expr


def check_r_rome(variants: tuple[tuple[str, str], ...]) -> Evidence:
    """r-ROME: compute_u and compute_v with one key, for pairs (key, read-out that the residual is taken from)."""
    shapes: Any = {"W": ("m", "n"), "K": ("n", "N"), "e": ("N", 1), "x": ("n", 1), "v": ("m", 1)}
    a = Algebra({**shapes, "C": ("n", "n"), "C⁻¹": ("n", "n")}, ("C", "C⁻¹"), inverses("C", "C⁻¹"))
    W, K, mean, v, C, inverse = map(a, ("W", "K", "e", "v", "C", "C⁻¹"))
    proof = Proof()
    proof.say("keys of N prefixed prompts are K's columns, e = (1/N, …), k̄ = Ke; x is the bare key; ν = 1/‖C⁻¹k‖")
    proof.equal("the averaged read-out (WK)e", (W @ K) @ mean, W @ (K @ mean))
    for key, readout in variants:
        k = a(key)
        left = SCALE * (inverse @ k)
        delta = (v - a(readout)) @ left.T / (k.T @ left).number()
        s, r = (k.T @ inverse @ k).number(), v - W @ k
        proof.equal(f"key {key}: the published write is r(C⁻¹k)ᵀ/s, s = {s}", delta, r @ (inverse @ k).T / s)
        proof.equal("it meets its target, W'k", (W + delta) @ k, v)
        change = (W + delta).norm_sq(C) - W.norm_sq(C)
        proof.equal("‖W'‖²_C − ‖W‖²_C", change, put_in(HARD, W @ k, r, s, eta=1))
    return proof.evidence("one key", ", ".join(readout for _, readout in variants))


def check_emmet(asserted: Share) -> Evidence:
    """EMMET for one key, R D⁻¹ kᵀA⁻¹ with D = kᵀA⁻¹k, and ROME as its case A = λC."""
    a = rank_one(("A", "A⁻¹", "C⁻¹"), inverses("A", "A⁻¹"))
    W, k, r, A, inverse, covariance = map(a, ("W", "k", "r", "A", "A⁻¹", "C⁻¹"))
    proof = Proof()
    s = (k.T @ inverse @ k).number()
    published = (r / s) @ (k.T @ inverse)
    eta = asserted.eta.subs(S, s)
    proof.say(f"A = λC + ρI + cache is positive definite; D = s = {s}")
    proof.equal("R D⁻¹ kᵀA⁻¹ is η r(Mk)ᵀ/s with M = A⁻¹", published, eta / s * (r @ (inverse @ k).T))
    proof.equal("W'k is v = Wk + r", (W + published) @ k, W @ k + r)
    change = (W + published).norm_sq(A) - W.norm_sq(A)
    proof.equal("‖W'‖²_A − ‖W‖²_A", change, put_in(asserted.change, W @ k, r, s, eta))
    light = covariance / WEIGHTING
    with_covariance = r @ k.T @ light / (k.T @ light @ k).number()
    rome = r @ (covariance @ k).T / (k.T @ covariance @ k).number()
    proof.equal("A = λC: λ cancels and it is ROME's write", with_covariance, rome)
    return proof.evidence(sympy.factor(change), asserted.change)


def check_cached(ridge: sympy.Expr, norm: Norm) -> Evidence:
    """The solve r kᵀ(λC + ridge·I + cache + kkᵀ)⁻¹ of MEMIT-seq and ENCORE, and the norm in which T1 holds."""
    a = rank_one(("A", "A⁻¹", "cache"), inverses("A", "A⁻¹"))
    W, k, r, A, inverse, cache = map(a, ("W", "k", "r", "A", "A⁻¹", "cache"))
    C = (A - ridge * a.eye("n") - cache) / WEIGHTING
    s = (k.T @ inverse @ k).number()
    eta = soft_share(s)
    delta = eta / s * (r @ (inverse @ k).T)
    proof = Proof()
    proof.say(f"cache = Σkkᵀ of past keys; A = λC + ({ridge})·I + cache is positive definite; C is written as {C}")
    system = WEIGHTING * C + ridge * a.eye("n") + cache + k @ k.T
    proof.equal("Δ = η r(A⁻¹k)ᵀ/s, η = s/(1+s), solves Δ·(λC + ridge·I + cache + kkᵀ)", delta @ system, r @ k.T)
    proof.say("the system is positive definite, so this is its one solution; the next A is A + kkᵀ of the absorbed key")
    asserted = norm.covariance * C + norm.ridge * a.eye("n") + norm.cache * cache
    change = (W + delta).norm_sq(asserted) - W.norm_sq(asserted)
    proof.equal(
        f"the change of ({norm.covariance})‖W‖²_C + ({norm.ridge})‖W‖²_F + ({norm.cache})‖W‖²_cache",
        change,
        put_in(MASTER, W @ k, r, s, eta),
    )
    return proof.evidence("A = λC + ridge·I + cache", f"{norm.covariance}, {norm.ridge}, {norm.cache}")


def check_nse(readout: str) -> Evidence:
    """NSE writes the columns S of W alone: E (n, p) selects them, A = λC_SS + cache_SS.

    Args:
        readout: the word asserted to stand for Wk in T1's right-hand side.
    """
    shapes: Any = {"W": ("m", "n"), "k": ("n", 1), "r": ("m", 1), "E": ("n", "p"), "A": ("p", "p"), "A⁻¹": ("p", "p")}
    a = Algebra(shapes, ("A", "A⁻¹"), (*inverses("A", "A⁻¹"), ("Eᵀ E", {"": 1})))
    W, k, r, E, A, inverse = map(a, ("W", "k", "r", "E", "A", "A⁻¹"))
    inside = E.T @ k
    M = E @ inverse @ E.T
    s = (k.T @ M @ k).number()
    eta = soft_share(s)
    proof = Proof()
    proof.say("EᵀE = I; k_S = Eᵀk ≠ 0; A = λC_SS + cache_SS is positive definite; M = E·A⁻¹·Eᵀ is singular for p < n")
    solved = inverse @ inside / (1 + s)
    proof.equal("X_S solves (A + k_S k_Sᵀ)X_S", (A + inside @ inside.T) @ solved, inside)
    delta = r @ solved.T @ E.T
    proof.equal("W[:, S] += r X_Sᵀ is η r(Mk)ᵀ/s with η = s/(1+s)", delta, eta / s * (r @ (M @ k).T))
    proof.equal("the other columns stay: Δ(I − EEᵀ)", delta @ (a.eye("n") - E @ E.T), 0 * delta)
    proof.equal("W'k", (W + delta) @ k, W @ k + eta * r)
    change = ((W + delta) @ E).norm_sq(A) - (W @ E).norm_sq(A)
    proof.equal("‖W'_S‖²_A − ‖W_S‖²_A", change, put_in(SEEN, a(readout), r, s, eta))
    return proof.evidence(sympy.factor(change), readout)


def check_rlsedit(gain: str) -> Evidence:
    """RLSEdit as published: C_t = C − F(I + KᵀF)⁻¹Fᵀ, F = CK, and W + (V − WK)KᵀC_t, for one key and a batch."""
    shapes: Any = {"W": ("m", "n"), "K": ("n", "u"), "R": ("m", "u"), "T": ("u", "u"), "k": ("n", 1), "r": ("m", 1)}
    shapes |= {"A": ("n", "n"), "M": ("n", "n")}
    a = Algebra(shapes, ("A", "M", "T"), (*inverses("A", "M"), ("T Kᵀ M K", {"": 1, "T": -1})))
    W, K, R, T, k, r, A, M = map(a, ("W", "K", "R", "T", "k", "r", "A", "M"))
    proof = Proof()
    proof.say("M is the code's C before the batch, A = M⁻¹ = lam²I + mu²wC + Σkkᵀ; T = (I + KᵀF)⁻¹, F = MK")
    updated = M - M @ K @ T @ (M @ K).T
    proof.equal("Woodbury: (A + KKᵀ)·C_t", (A + K @ K.T) @ updated, a.eye("n"))
    delta = R @ K.T @ updated
    proof.equal("R·Kᵀ·C_t is R·gain·(MK)ᵀ", delta, R @ (a(gain) if gain else a.eye("u")) @ (M @ K).T)
    change = (W + delta).norm_sq(A) - W.norm_sq(A)
    cross, square = (R @ T @ (W @ K).T).trace(), (R @ T @ K.T @ M @ K @ T @ R.T).trace()
    batch = (2 * BATCH_CROSS + BATCH_SQUARE).subs({BATCH_CROSS: cross, BATCH_SQUARE: square}, simultaneous=True)
    proof.equal("so T2's identity, ‖W'‖²_A − ‖W‖²_A", change, batch)
    s = (k.T @ M @ k).number()
    eta = soft_share(s)
    single = r @ k.T @ (M - M @ k @ k.T @ M / (1 + s))
    proof.equal("one key: r·kᵀ·C_t is η r(Mk)ᵀ/s, η = s/(1+s)", single, eta / s * (r @ (M @ k).T))
    proof.equal("T1's identity", (W + single).norm_sq(A) - W.norm_sq(A), put_in(MASTER, W @ k, r, s, eta))
    return proof.evidence("T", gain)


def check_ridge_shift(metric: sympy.Expr) -> Evidence:
    """UltraEdit, RLEdit, StableEdit: Δᵀ = (FᵀF + αI)⁻¹FᵀV with keys as F's rows, a soft write in M = `metric`·I."""
    shapes: Any = {"W": ("m", "n"), "K": ("n", "u"), "R": ("m", "u"), "T": ("u", "u")}
    alpha = sympy.Symbol("α", positive=True)
    a = Algebra(shapes, ("T",), (("T Kᵀ K", {"": alpha, "T": -alpha}),))
    W, K, R, T = map(a, ("W", "K", "R", "T"))
    proof = Proof()
    proof.say("K = Fᵀ, R = Vᵀ the shifts that the rule makes of gradients; T = (I + KᵀK/α)⁻¹, so T·KᵀK = α(I − T)")
    delta = R @ T @ (metric * K).T
    proof.equal("Δ = R·T·(MK)ᵀ solves Δ(KKᵀ + αI)", delta @ (K @ K.T + alpha * a.eye("n")), R @ K.T)
    proof.say("KKᵀ + αI is positive definite, so this is its one solution")
    change = alpha * ((W + delta).norm_sq() - W.norm_sq())
    cross, square = (R @ T @ (W @ K).T).trace(), (R @ T @ K.T @ K @ T @ R.T).trace() / alpha
    proof.equal("T2's identity in α‖W‖²_F: α(‖W'‖²_F − ‖W‖²_F)", change, 2 * cross + square)
    return proof.evidence(1 / alpha, metric)


def left_over(share: sympy.Expr, depth: sympy.Expr) -> sympy.Expr:
    """Π_{j=1}^{depth} (1 − share/j) = Γ(depth + 1 − share)/(Γ(1 − share) Γ(depth + 1)), for share < 1."""
    return sympy.gamma(depth + 1 - share) / (sympy.gamma(1 - share) * sympy.gamma(depth + 1))


def check_spread(share: sympy.Expr) -> Evidence:
    """Layer i writes (z − h)/(L − i): T1 with `share` for η and z − h for r, and what is left of z − h in the end."""
    a = rank_one(("M", "M⁻¹"), inverses("M", "M⁻¹"))
    W, k, r, M, inverse = map(a, ("W", "k", "r", "M", "M⁻¹"))
    s = (k.T @ M @ k).number()
    published = ETA / s * ((r / (LAYERS - LAYER)) @ (M @ k).T)
    proof = Proof()
    proof.say("r = z − h, W, k, M those of layer i; η is the rule's own share, v = Wk + r")
    proof.equal("η (r/(L−i)) (Mk)ᵀ/s is share·r(Mk)ᵀ/s", published, share / s * (r @ (M @ k).T))
    change = (W + published).norm_sq(inverse) - W.norm_sq(inverse)
    proof.equal("T1 with that share: ‖W'‖² − ‖W‖²", change, put_in(MASTER, W @ k, r, s, eta=share))
    j = sympy.Symbol("j", positive=True)
    proof.say("a linear stream of L layers with one η each: layer i leaves 1 − η/j of z − h, j = L − i from L to 1")
    proof.equal("Π (1 − η/j), no layer", left_over(ETA, sympy.Integer(0)), sympy.Integer(1))
    proof.equal("one more layer", left_over(ETA, j), left_over(ETA, j - 1) * (1 - share.subs(LAYERS, j + LAYER)))
    proof.equal("η = 1: the layer j = 1 leaves", 1 - share.subs({LAYERS: 1 + LAYER, ETA: 1}), sympy.Integer(0))
    return proof.evidence(ETA / (LAYERS - LAYER), share)


def claims() -> tuple[Claim[Any], ...]:
    """Every rule that is a partial write in a metric, from its published solve."""
    one_key = (("K e", "W K e"), ("x", "W x"))
    cached = "with Σ = Σkkᵀ of the absorbed keys and the matrix A of that moment, positive definite, k ≠ 0"
    return (
        Claim(
            "T1.r_rome", "T1", Kind.PROVED,
            "r-ROME, C positive definite, with the averaged key k̄ ≠ 0 (residual from the averaged read-out) or the "
            "bare key k ≠ 0 throughout, is the hard write M = C⁻¹, η = 1: W' maps that key to v, and ‖W‖²_C changes by "
            "(‖v‖² − ‖Wk‖²)/s at that key; the norm that compute_u divides by cancels.",
            check_r_rome, one_key, (("K e", "W x"), ("x", "W x")),
            "the same with the residual from the bare key and u from the averaged one (original ROME)",
        ),
        Claim(
            "T1.emmet", "T1", Kind.PROVED,
            "EMMET with one key k ≠ 0 and A = λC + ρI + cache positive definite is the hard write M = A⁻¹, η = 1: W'k "
            "= v and ‖W'‖²_A − ‖W‖²_A = (‖v‖² − ‖Wk‖²)/s; for ρ = 0 and no cache it is ROME's write, whatever λ > 0.",
            check_emmet, Share(sympy.Integer(1), HARD), Share(SOFT, MASTER), "it is MEMIT's soft write, η = s/(1+s)",
        ),
        Claim(
            "T1.memit_seq", "T1", Kind.PROVED,
            f"MEMIT-seq's r kᵀ(λC + Σ + kkᵀ)⁻¹, {cached}, is the partial write M = A⁻¹, A = λC + Σ, η = s/(1+s), and "
            "obeys T1 in the norm of A, which changes at every absorbed key that is not 0.",
            partial(check_cached, sympy.Integer(0)), Norm(WEIGHTING, sympy.Integer(0), sympy.Integer(1)),
            Norm(WEIGHTING, sympy.Integer(0), sympy.Integer(0)), "T1 holds in the norm of λC, without the past keys",
        ),
        Claim(
            "T1.encore", "T1", Kind.PROVED,
            f"ENCORE's r kᵀ(λC + ρI + Σ + kkᵀ)⁻¹, {cached}, is the partial write M = A⁻¹, A = λC + ρI + Σ, "
            "η = s/(1+s), and obeys T1 in the norm of A: the ridge ρ changes metric and share, not the identity.",
            partial(check_cached, RIDGE), Norm(WEIGHTING, RIDGE, sympy.Integer(1)),
            Norm(WEIGHTING, sympy.Integer(0), sympy.Integer(1)), "T1 holds in the norm of λC + Σ, without the ridge",
        ),
        Claim(
            "T1.nse", "T1", Kind.PROVED,
            "NSE on neurons S, E (n, p) their selection, A = λC_SS + Σ_SS positive definite, Eᵀk ≠ 0, is the partial "
            "write M = EA⁻¹Eᵀ, η = s/(1+s): the columns outside S stay, W'k = Wk + ηr, and ‖W'E‖²_A − ‖WE‖²_A = [2η "
            "r·(WEEᵀk) + η²‖r‖²]/s.",
            check_nse, "W E Eᵀ k", "W k", "the same with the whole read-out Wk for the part WEEᵀk of the neurons S",
        ),
        Claim(
            "T1.rlsedit", "T1, T2", Kind.PROVED,
            "RLSEdit as published, C_0 positive definite, no spread, W + (V − WK)KᵀC_t with its recursive C_t, is R "
            "T(MK)ᵀ with M = C_{t−1}, T = (I + KᵀMK)⁻¹, and obeys T2 in the norm of M⁻¹; for one key k ≠ 0 it is the "
            "partial write η = s/(1+s).",
            check_rlsedit, "T", "", "it is R(MK)ᵀ, as if C_{t−1} stood for C_t",
        ),
        Claim(
            "T1.ridge_shift", "T2", Kind.PROVED,
            "UltraEdit, RLEdit and StableEdit, Δᵀ = (FᵀF + αI)⁻¹FᵀV with keys as F's rows and α > 0, are soft writes "
            "with M = I/α, K = Fᵀ and R = Vᵀ for the residual, whatever made V: with H = KᵀK/α, T = (I + H)⁻¹, "
            "α(‖W'‖²_F − ‖W‖²_F) = 2 tr(R T(WK)ᵀ) + tr(R T H T Rᵀ).",
            check_ridge_shift, 1 / sympy.Symbol("α", positive=True), sympy.Symbol("α", positive=True),
            "M = α·I in place of I/α",
        ),
        Claim(
            "T1.spread", "T1", Kind.PROVED,
            "Layer i = 0, …, L−1 of a spread residual writes the share η/(L−i) of z − h, so for positive definite M "
            "and k ≠ 0 T1 holds at its weight with that share for η, r = z − h and v = Wk + z − h. If, besides, each "
            "write moves h by ΔWk alone and all layers have one η in (0, 1), Γ(L+1−η)/(Γ(1−η)Γ(L+1)) of z − h is left "
            "after the last; at η = 1 nothing is.",
            check_spread, ETA / (LAYERS - LAYER), ETA / LAYERS, "every layer writes the share η/L",
        ),
    )  # fmt: skip
