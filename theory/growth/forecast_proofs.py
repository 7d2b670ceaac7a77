"""T3's claim about the forecast that a user reads: it is the operator of the very keys, in every rule's own metric."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from theory.accumulating.spectrum import spectral_growth
from theory.accumulating.threshold import sample_spectrum
from theory.claim import Claim, Evidence, Kind
from theory.forecast import Accumulating, Memoryless, Rule, forecast
from theory.growth.key_laws import Array
from theory.growth.value_models import relative_shift
from theory.provers.prove import Proof

KEYS = np.array([[2, 1, 0], [0, 3, 1], [1, -1, 2], [4, 0, 1], [1, 1, 1], [-2, 1, 5], [0, 1, -1]]) / 3.0
STATISTIC = np.array([[2.0, 0.5, 0.0], [0.5, 1.0, -0.2], [0.0, -0.2, 3.0]])
CLAMP, WEIGHTING, LAYERS = 0.8, 1.7, 2
Share = Callable[[Array], Array]
"""s = kᵀMk of the keys -> the square of the written share, η²."""


def dense_radius(raised: Array, sizes: Array, shares_sq: Array) -> float:
    """The top eigenvalue of vec X -> E[η²(kᵀXk)uuᵀ], u = Mk/s, as an n² × n² matrix, one key at a time."""
    matrix = sum(
        weight * np.kron(np.outer(u, k), np.outer(u, k))
        for k, u, weight in zip(KEYS, raised / sizes[:, None], shares_sq, strict=True)
    )
    return float(np.linalg.eigvals(np.asarray(matrix) / len(KEYS)).real.max())


def check_forecast(share_sq: Share) -> Evidence:
    """MEMIT's forecast for seven keys, with C = I and with another C, the residual spread over two layers."""
    proof = Proof()
    proof.say(f"seven keys of dimension 3, c = {CLAMP}, λ = {WEIGHTING}, layer L − 2 of L: share 1/{LAYERS}")
    for name, covariance in (("C = I", None), ("another C", STATISTIC)):
        statistic = WEIGHTING * (np.eye(3) if covariance is None else covariance)
        raised = np.asarray(np.linalg.solve(statistic, KEYS.T).T, dtype=np.float64)
        sizes: Array = np.einsum("ij,ij->i", KEYS, raised)
        eta = sizes / (1 + sizes) / LAYERS
        found = forecast(KEYS, Rule("memit", WEIGHTING, layers_left=LAYERS), relative_shift(CLAMP), covariance)
        assert isinstance(found, Memoryless)
        dense = 1 + CLAMP**2 * dense_radius(raised, sizes, share_sq(eta))
        proof.agree(f"{name}: the growth factor, by the dense operator", found.factor.value, dense, 1e-9)
        proof.holds(f"{name}: its bracket holds it", found.factor.low <= dense * (1 + 1e-12)
                    and dense * (1 - 1e-12) <= found.factor.high)  # fmt: skip
        proof.agree(f"{name}: doubling time", found.doubling, np.log(2) / np.log(dense), 1e-6)
        proof.agree(f"{name}: E[η]", found.mean_gain, eta.mean(), 1e-12)
        whitened = np.linalg.solve(np.linalg.cholesky(statistic), KEYS.T)
        directions = whitened / np.sqrt(sizes)
        mu = np.linalg.eigvalsh((eta * directions) @ directions.T / len(KEYS))[0]
        proof.agree(f"{name}: μ", found.excitation.mu, mu, 1e-9)
        bound = (eta / sizes).mean() / WEIGHTING / found.excitation.high
        proof.agree(f"{name}: a²E[η/s]/μ at μ's upper end, s = kᵀC⁻¹k", found.plateau[0], bound, 1e-9)
    prove_rest(proof)
    return proof.evidence("the operator of the keys", "the operator of the keys")


def prove_rest(proof: Proof) -> None:
    """The hard rule as the limit without λ, the smallest sample, and a rule that remembers its keys."""
    sizes = np.einsum("ij,ij->i", KEYS, KEYS)
    for layers in (1, 3):
        hard = forecast(KEYS, Rule("rome", WEIGHTING, layers_left=layers), relative_shift(CLAMP))
        assert isinstance(hard, Memoryless)
        dense = 1 + CLAMP**2 * dense_radius(KEYS, sizes, np.full(len(KEYS), 1.0 / layers**2))
        proof.agree(f"ROME at share 1/{layers}", hard.factor.value, dense, 1e-9)
    default = forecast(KEYS, Rule("rome"), relative_shift(CLAMP))
    assert isinstance(default, Memoryless)
    proof.agree("a rule is spread over no other layer unless it is said", default.mean_gain, 1.0, 1e-12)
    few = [forecast(KEYS[:count], Rule("rome"), relative_shift(CLAMP)) for count in (3, 4)]
    proof.holds("an interval of ρ from four keys on", [one.interval is not None for one in few] == [False, True])  # type: ignore[union-attr]
    kept = forecast(KEYS, Rule("alphaedit", ridge=0.7), relative_shift(CLAMP))
    assert isinstance(kept, Accumulating)
    law = spectral_growth(sample_spectrum(KEYS), 0.7, CLAMP, int(kept.at[-1]))[0]
    for edit, factor in zip(kept.at[1::3], kept.readout[1::3], strict=True):
        proof.agree(f"AlphaEdit, P = I: E‖Wk‖² after {edit} edits", factor, law[edit], 1e-6)


def claims() -> tuple[Claim[Any], ...]:
    """What `python -m theory predict` prints."""
    return (
        Claim(
            "T3.forecast", "T3, T5", Kind.COMPUTED,
            "The forecast for a sample of keys is 1 + c²ρ, ρ the top eigenvalue of X -> E[η²(kᵀXk)uuᵀ] as a dense "
            "n² × n² matrix over those keys, in the metric C⁻¹ or (λC)⁻¹ and with the share of a spread residual; its "
            "bracket holds it; μ, E[η], the doubling time and a²E[η/s]/μ are those of the keys; AlphaEdit's is that of "
            "T3b.spectrum.",
            check_forecast, lambda eta: eta**2, lambda eta: eta, "ρ has η in place of η²",
        ),
    )  # fmt: skip
