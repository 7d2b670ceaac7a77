"""T5 beside simulation: anchored streams by the project's own rules, against its exact means and its bounds."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import integrate
from torch import Generator, Tensor

from sim.confront.anchored_layers import layers_claim
from sim.confront.anchored_streams import Rule, Streams, batched_rome, streams
from sim.confrontation import Setting, confront
from sim.editor import chain
from sim.memory import KeyLaw, ValueLaw, free_values, gaussian_keys, isotropic_keys, orthogonal_shift, unseen_keys
from sim.rules.memit import memit
from sim.values.anchor_norm import anchor_norm
from sim.values.drop_norm import drop_norm
from theory.anchoring.plateaus import batch_plateau, plateau, readout_bound, soft_contraction, soft_plateau
from theory.claim import Claim


def spectrum(n: int, anisotropy: float) -> NDArray[np.float64]:
    """n eigenvalues of sum n, geometric, their extremes `anisotropy` apart."""
    values = np.geomspace(1.0, anisotropy, n)
    return np.asarray(values * (n / values.sum()))


def covariance(n: int, anisotropy: float) -> Tensor:
    """The diagonal Σ of that spectrum."""
    return torch.diag(torch.as_tensor(spectrum(n, anisotropy)))


def mean_norm(found: Streams, scale: float = 1.0) -> NDArray[np.float64]:
    """Each seed's mean of ‖W_t‖²_{M⁻¹} over t = 1..T, in units of `scale`."""
    return np.asarray(found.norm_sq[:, 1:].mean(axis=1) / scale)


def mean_path(limit: float, rate: float, start: float, edits: int) -> float:
    """The mean over t = 1..T of R_t = R∞ + (1 − rate)^t (R_0 − R∞)."""
    left = (1 - rate) ** np.arange(1, edits + 1)
    return float(np.mean(limit + left * (start - limit)))


def soft_claim(seeds: int) -> Claim[Any]:
    """MEMIT with NAS from W = 0, values without a direction."""
    cases = ((6, 10, 1.0, 10.0), (3, 8, 8.0, 2.0), (7, 5, 4.0, 12.0))
    edits = 60

    def samples(m: int, n: int, spread: float, ridge: float) -> NDArray[np.float64]:
        sigma, rule = covariance(n, spread), partial(memit, weighting=ridge)
        memory = (torch.zeros(m, n, dtype=torch.float64), gaussian_keys(sigma), free_values(1.0))
        return mean_norm(streams(rule, sigma, anchor_norm(1.0), memory, edits, 2 * seeds), ridge)

    def predicted(n: int, ridge: float, contraction: float) -> float:
        limit = soft_plateau(1.0, n, ridge) * soft_contraction(n, ridge) / contraction
        return mean_path(limit, contraction / n, 0.0, edits)

    return confront(
        "S4.anchor_soft_plateau", "T5",
        "MEMIT (A = λΣ) with NAS, keys N(0, Σ), values without a direction, from W = 0: the mean over 60 edits of "
        "tr(WΣWᵀ) is that of T5.soft_plateau's recursion",
        settings=tuple(
            Setting(f"m = {m}, n = {n}, anisotropy {spread:g}, λ = {ridge:g}", partial(samples, m, n, spread, ridge))
            for m, n, spread, ridge in cases
        ),
        predicted=[predicted(n, ridge, soft_contraction(n, ridge)) for _, n, _, ridge in cases],
        twin=[predicted(n, ridge, share(n, ridge)) for _, n, _, ridge in cases],
        twin_statement="contraction by E[η]/n, T5.soft's rate for directed values",
    )  # fmt: skip


def share(n: int, ridge: float) -> float:
    """E[η] of MEMIT's share, from E[η(2−η)] and E[η²/s]: η = (η(2−η) + η²)/2 and η²/s = η(1−η)."""
    kept = soft_contraction(n, ridge)
    added = soft_plateau(1.0, n, ridge) * kept * ridge / n  # E[η²/s] = E[η] − E[η²]
    return kept - added


def readout_claim(seeds: int) -> Claim[Any]:
    """The weighted mean of the read-out energy over its bound, in streams with and without excitation."""
    sigma, eye = covariance(8, 30.0), covariance(8, 1.0)
    directed, free = orthogonal_shift(0.75), free_values(1.0)
    matched: Rule = partial(memit, weighting=4.0)
    cases: tuple[tuple[str, tuple[Rule, Tensor, KeyLaw, ValueLaw, int]], ...] = (
        ("ROME, C = I, m = 6, n = 8, isotropic", (batched_rome, eye, isotropic_keys(), free, 6)),
        (
            "ROME, C = I, m = 6, n = 8, anisotropy 30, proportional values",
            (batched_rome, eye, gaussian_keys(sigma), directed, 6),
        ),
        ("MEMIT, C = Σ, λ = 4, m = 6, n = 8, anisotropy 30", (matched, sigma, gaussian_keys(sigma), directed, 6)),
        ("ROME, C = I, m = 3, n = 8, keys from W's null space", (batched_rome, eye, unseen_keys(), free, 3)),
    )

    def samples(rule: Rule, matrix: Tensor, keys: KeyLaw, values: ValueLaw, m: int) -> NDArray[np.float64]:
        memory = (torch.eye(m, 8, dtype=torch.float64), keys, values)
        return used_shares(streams(rule, matrix, anchor_norm(1.0), memory, 100, seeds)).max(axis=1)

    return confront(
        "S4.anchor_readout", "T5",
        "NAS, 100 edits, with and without excitation: the largest value over the edits of Σ w‖Wk‖²/Σ w, w = η/s, over "
        "T5.average_readout's bound is at most 1",
        settings=tuple(Setting(name, partial(samples, *case)) for name, case in cases),
        predicted=[1.0] * len(cases), twin=[0.8] * len(cases), twin_statement="it is at most 0.8", relation="<=",
    )  # fmt: skip


def used_shares(found: Streams) -> NDArray[np.float64]:
    """(seeds, edits) the weighted mean of ‖Wk‖² so far over T5.average_readout's bound."""
    shares = np.minimum(found.share, 1.0)  # a hard write's is 1 but for rounding
    weights = shares / found.s
    means = np.cumsum(weights * found.readout_sq, axis=1) / np.cumsum(weights, axis=1)
    bounds = [
        readout_bound(start, 1.0, *pair) for start, *pair in zip(found.norm_sq[:, 0], shares, found.s, strict=True)
    ]
    return np.asarray(means / np.array(bounds))


def gaussian_excitation(eigenvalues: NDArray[np.float64]) -> tuple[float, float]:
    """μ = min_i E[k_i²/‖k‖²] and E[1/‖k‖²] of k ~ N(0, diag λ): ∫ λ_i/(1 + 2λ_i u) Π(1 + 2λ_j u)^(−1/2) du, and ∫ Π."""

    def density(u: float) -> float:
        return float(np.prod((1 + 2 * eigenvalues * u) ** -0.5))

    least = eigenvalues.min()
    mu = integrate.quad(lambda u: least / (1 + 2 * least * u) * density(u), 0, np.inf)[0]
    return float(mu), float(integrate.quad(density, 0, np.inf)[0])


def excitation_claim(seeds: int) -> Claim[Any]:
    """ROME with C = I and NAS under keys of known excitation, against the finite-time bound."""
    cases = ((6, 8, 1.0), (6, 8, 6.0), (3, 10, 20.0))
    edits = 60

    def samples(m: int, n: int, spread: float) -> NDArray[np.float64]:
        memory = (torch.zeros(m, n, dtype=torch.float64), gaussian_keys(covariance(n, spread)), free_values(1.0))
        return mean_norm(streams(batched_rome, covariance(n, 1.0), anchor_norm(1.0), memory, edits, 2 * seeds))

    def bound(n: int, spread: float, factor: float) -> float:
        mu, inverse_s = gaussian_excitation(spectrum(n, spread))
        return mean_path(inverse_s / (factor * mu), factor * mu, 0.0, edits)

    return confront(
        "S4.anchor_excitation", "T5",
        "ROME, C = I, NAS, anisotropic keys, from W = 0: the mean over 60 edits of ‖W‖²_F is at most that of "
        "T5.contraction's (1−μ)R + a²E[1/s], μ and E[1/s] by quadrature",
        settings=tuple(
            Setting(f"m = {m}, n = {n}, anisotropy {spread:g}", partial(samples, m, n, spread))
            for m, n, spread in cases
        ),
        predicted=[bound(n, spread, 1.0) for _, n, spread in cases],
        twin=[bound(n, spread, 2.0) for _, n, spread in cases],
        twin_statement="the bound with 2μ", relation="<=",
    )  # fmt: skip


def drop_claim(seeds: int) -> Claim[Any]:
    """ROME with NAS and its drop rule, which drops a known share of the edits at random."""
    cases = ((6, 10, 0.25), (6, 10, 0.5), (4, 12, 0.75))
    edits = 30

    def sometimes_long(dropped: float) -> ValueLaw:
        def draw(readouts: Tensor, generator: Generator) -> Tensor:
            drawn = torch.randn(readouts.shape, generator=generator, dtype=readouts.dtype)
            long = torch.rand(readouts.shape[1], generator=generator, dtype=readouts.dtype) < dropped
            return drawn / drawn.norm(dim=0) * torch.where(long, 3.0, 0.7)

        return draw

    def samples(m: int, n: int, dropped: float) -> NDArray[np.float64]:
        anchored = chain(drop_norm(2.0), anchor_norm(1.0))
        memory = (3 * torch.eye(m, n, dtype=torch.float64), isotropic_keys(), sometimes_long(dropped))
        return mean_norm(streams(batched_rome, covariance(n, 1.0), anchored, memory, edits, 2 * seeds))

    def predicted(m: int, n: int, dropped: float) -> float:
        return mean_path(plateau(1.0, n), (1 - dropped) / n, 9.0 * m, edits)

    return confront(
        "S4.anchor_drop", "T5",
        "ROME, C = I, NAS, isotropic keys, a share p of values longer than 2a and dropped: the mean over 30 edits of "
        "‖W‖²_F follows the old plateau at the rate (1−p)/n",
        settings=tuple(
            Setting(f"m = {m}, n = {n}, p = {dropped}", partial(samples, m, n, dropped))
            for m, n, dropped in cases
        ),
        predicted=[predicted(*case) for case in cases],
        twin=[predicted(m, n, 0.0) for m, n, _ in cases],
        twin_statement="at the rate 1/n, as if nothing were dropped",
    )  # fmt: skip


def batch_claim(seeds: int) -> Claim[Any]:
    """Hard batches with NAS from W = 0, isotropic and matched keys."""
    cases = ((6, 12, 3, 1.0), (4, 16, 6, 1.0), (5, 12, 4, 8.0))
    edits = 20

    def samples(m: int, n: int, batch: int, spread: float) -> NDArray[np.float64]:
        sigma = covariance(n, spread)
        memory = (torch.zeros(m, n, dtype=torch.float64), gaussian_keys(sigma), free_values(1.0))
        return mean_norm(streams(batched_rome, sigma, anchor_norm(1.0), memory, edits, 4 * seeds, batch=batch))

    def predicted(n: int, batch: int, limit: float) -> float:
        return mean_path(limit, batch / n, 0.0, edits)

    return confront(
        "S4.anchor_batch", "T5",
        "hard batches (C = Σ) with NAS, keys N(0, Σ), values without a direction, from W = 0: the mean over 20 writes "
        "of tr(WΣWᵀ) is that of (1 − u/n)R + a²u/(n − u − 1)",
        settings=tuple(
            Setting(f"m = {m}, n = {n}, u = {batch}, anisotropy {spread:g}", partial(samples, m, n, batch, spread))
            for m, n, batch, spread in cases
        ),
        predicted=[predicted(n, batch, batch_plateau(1.0, n, batch)) for _, n, batch, _ in cases],
        twin=[predicted(n, batch, plateau(1.0, n)) for _, n, batch, _ in cases],
        twin_statement="the plateau is a²n/(n − 2) for every batch",
    )  # fmt: skip


CLAIMS: tuple[Callable[[int], Claim[Any]], ...] = (
    soft_claim, readout_claim, excitation_claim, drop_claim, batch_claim, layers_claim,
)  # fmt: skip


def claims(seeds: int) -> tuple[Claim[Any], ...]:
    """The confrontations of T5.

    Args:
        seeds: independent streams a setting, 16 at level quick; those with heavy tails take up to six times as many.

    Returns:
        Six claims; nothing is simulated before a check runs.
    """
    return tuple(claim(seeds) for claim in CLAIMS)
