"""T3's value models beside simulation: the plateau of a contracting one, and the length at which growth begins."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator, Tensor

from sim.confront.growth import covariance, mean_factors, spectrum
from sim.confrontation import Setting, confront
from sim.editor import Edit, Gain, Solver, editor
from sim.engine import run_stream
from sim.lowrank import LowRank
from sim.memory import LinearMemory, ValueLaw, draw_weight, gaussian_keys
from sim.metric import Euclidean
from sim.rules.memit import memit
from sim.rules.metric_write import hard, metric_write
from sim.rules.rome import rome
from theory.claim import Claim
from theory.growth.key_laws import HARD, SOFT, GaussianKeys
from theory.growth.value_fit import plateau_norm
from theory.growth.value_models import ValueModel, growth_threshold, proportional

Numbers = NDArray[np.float64]
SPARED = 60
"""Edits after which a contracting path of these sizes has forgotten its start."""


def noisy(model: ValueModel) -> ValueLaw:
    """v = (1 + b)Wk + noise of independent normal entries, E‖noise‖² = ω²‖Wk‖² + τ²."""

    def draw(readouts: Tensor, generator: Generator) -> Tensor:
        size = (model.relative**2 * readouts.square().sum(dim=0) + model.absolute**2).sqrt() / len(readouts) ** 0.5
        noise = torch.randn(readouts.shape, generator=generator, dtype=readouts.dtype)
        return (1 + model.pull) * readouts + size * noise

    return draw


def settled(solver: Solver, spread: float, m: int, n: int, model: ValueModel, seeds: int) -> Callable[[], Numbers]:
    """Each seed's time average of ‖W‖²_{M⁻¹} after `SPARED` edits."""

    def samples() -> Numbers:
        found = []
        for seed in range(seeds):
            generator = Generator().manual_seed(9000 + seed)
            memory = LinearMemory(draw_weight(m, n, generator), gaussian_keys(covariance(n, spread)), noisy(model))
            rows = run_stream(editor(solver), memory, 500, generator)
            found.append(np.mean([row["norm_sq_after"] for row in rows][SPARED:]))
        return np.array(found)

    return samples


def plateau_claim(seeds: int) -> Claim[tuple[float, ...]]:
    """Values that follow the read-out in part settle, whatever the covariance of the keys."""
    cases = (
        (6, 4, 20.0, 0.0, ValueModel(-0.6, 0.3, 1.0)),
        (3, 5, 20.0, 0.0, ValueModel(-1.0, 0.0, 2.0)),
        (8, 6, 12.0, 0.2, ValueModel(-0.8, 0.5, 1.5)),
    )
    laws = [
        GaussianKeys(spectrum(n, spread, ridge or 1.0), SOFT if ridge else HARD) for _, n, spread, ridge, _ in cases
    ]
    matched = [
        GaussianKeys(np.ones(n) / (ridge or 1.0), law.gain)
        for (_, n, _, ridge, _), law in zip(cases, laws, strict=True)
    ]
    return confront(
        "S4.growth_plateau", "T3, T5",
        "Values (1 + b)Wk + noise, E‖noise‖² = ω²‖Wk‖² + τ², keys N(0, Σ), ROME with C = I and MEMIT with A = λI: "
        "where ρ(L) < 1, ‖W‖²_{M⁻¹} settles at the trace of the fixed point S = L(S) + F",
        settings=[
            Setting(f"m = {m}, n = {n}, spread {spread:g}, b = {model.pull}, ω = {model.relative}, τ = {model.absolute}"
                    f"{f', λ = {ridge:g}' if ridge else ''}",
                    settled(memit(weighting=ridge) if ridge else rome(), spread, m, n, model, seeds))
            for m, n, spread, ridge, model in cases
        ],
        predicted=[plateau_norm(law, case[-1]) for law, case in zip(laws, cases, strict=True)],
        twin=[plateau_norm(law, case[-1]) for law, case in zip(matched, cases, strict=True)],
        twin_statement="it settles where isotropic keys of the same mean square would",
    )  # fmt: skip


def shared(eta: float) -> Solver:
    """Hard writes of a fixed share η of the residual, M = I: what spreading over layers makes of ROME at one layer."""
    metric = Euclidean()

    def gain(gram: Tensor) -> Tensor:
        return eta * hard(gram)

    def solve(edit: Edit, state: Euclidean, weight: Tensor) -> tuple[LowRank, Gain, Euclidean]:
        return (*metric_write(edit, state, gain, weight), state)

    return Solver(lambda weight: metric, solve, lambda keys, state: state, lambda state: state)


def threshold_claim(seeds: int) -> Claim[tuple[float, ...]]:
    """At α* nothing grows or shrinks in the mean, whatever the law of keys."""
    cases = ((6, 10, 8.0, 0.5, 0.0), (5, 8, 1.0, 0.3, 0.6), (12, 6, 20.0, 0.8, -0.5))
    lengths = [growth_threshold(eta, cosine) for *_, eta, cosine in cases]
    return confront(
        "S4.growth_threshold", "T3",
        "Writes of a fixed share η, E‖v‖² = α*‖Wk‖², E[v | k, W] = κ√α* Wk, keys N(0, Σ): the mean of R'/R is 1",
        settings=[
            Setting(f"m = {m}, n = {n}, spread {spread:g}, η = {eta}, κ = {cosine}, α* = {alpha:.3f}",
                    mean_factors(shared(eta), gaussian_keys(covariance(n, spread)), noisy(proportional(alpha, cosine)),
                                 np.eye(n) / n, m, seeds))
            for (m, n, spread, eta, cosine), alpha in zip(cases, lengths, strict=True)
        ],
        predicted=[1.0] * len(cases),
        twin=[1 + eta * (alpha - 1) / n for (_, n, _, eta, _), alpha in zip(cases, lengths, strict=True)],
        twin_statement="growth begins at α = 1 for every η, so that the mean of R'/R is 1 + η(α* − 1)/n",
    )  # fmt: skip


def claims(seeds: int) -> tuple[Claim[tuple[float, ...]], ...]:
    """The family's claims.

    Args:
        seeds: independent repetitions of a setting.
    """
    return plateau_claim(seeds), threshold_claim(seeds)
