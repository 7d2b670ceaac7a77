"""T2 beside Monte Carlo: how much a hard batch write grows the norm."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator, Tensor

from sim.confrontation import Setting, confront
from sim.editor import Edit, Gain, Solver, editor, step
from sim.lowrank import LowRank, apply_delta
from sim.memory import (
    KeyLaw,
    LinearMemory,
    ValueLaw,
    draw_weight,
    gaussian_keys,
    isotropic_keys,
    isotropic_shift,
    orthogonal_shift,
)
from sim.metric import Euclidean, Metric, inverse_metric
from sim.rules.metric_write import hard, metric_write
from theory.claim import Claim
from theory.writes.batches import batch_growth

DRAWS = 40
"""Batches a seed; their mean is one independent number."""


@dataclass(frozen=True)
class Batch:
    """One setting of a hard batch write.

    Attributes:
        m: value dimension.
        n: key dimension.
        u: keys in the batch.
        c: ‖δ‖/‖Wk‖.
        spread: largest over smallest eigenvalue of the keys' covariance Σ; the metric is Σ⁻¹.
        shift: c -> the law of values.
    """

    m: int
    n: int
    u: int
    c: float
    spread: float
    shift: Callable[[float], ValueLaw]

    @property
    def name(self) -> str:
        """What sets it apart."""
        law = "orthogonal" if self.shift is orthogonal_shift else "isotropic"
        return f"m = {self.m}, n = {self.n}, u = {self.u}, c = {self.c}, anisotropy {self.spread}, {law} shifts"


BATCHES = (
    Batch(6, 10, 2, 1.0, 1.0, orthogonal_shift),
    Batch(4, 14, 5, 0.75, 1.0, isotropic_shift),
    Batch(12, 9, 3, 1.0, 8.0, orthogonal_shift),
    Batch(5, 16, 6, 1.5, 30.0, isotropic_shift),
)


def constrained(metric: Metric) -> Solver:
    """The equality-constrained batch write R H⁻¹(MK)ᵀ in a fixed metric: EMMET as published."""

    def solve(edit: Edit, state: Metric, weight: Tensor) -> tuple[LowRank, Gain, Metric]:
        delta, gain = metric_write(edit, state, hard, weight)
        return delta, gain, state

    return Solver(lambda weight: metric, solve, lambda keys, state: state, lambda state: state)


def laws(batch: Batch) -> tuple[Metric, KeyLaw]:
    """Keys of covariance Σ, eigenvalues from 1 to `spread`, and the matched metric Σ⁻¹."""
    if batch.spread == 1:
        return Euclidean(), isotropic_keys()
    sigma = torch.diag(torch.logspace(0, np.log10(batch.spread), batch.n, dtype=torch.float64))
    return inverse_metric(sigma), gaussian_keys(sigma)


def growth_factors(batch: Batch, seeds: int) -> NDArray[np.float64]:
    """‖W'‖²/‖W‖² in the metric's norm: the mean over `DRAWS` batches at one W, for every seed."""
    metric, keys = laws(batch)
    rule = editor(constrained(metric))
    means = []
    for seed in range(seeds):
        generator = Generator().manual_seed(9000 + seed)
        weight = draw_weight(batch.m, batch.n, generator)
        memory = LinearMemory(weight, keys, batch.shift(batch.c))
        state, start, factors = rule.init(weight), metric.norm_sq(weight), []
        for _ in range(DRAWS):
            delta, _, _ = step(rule, memory.request(weight, batch.u, generator), state, weight)
            factors.append(float(metric.norm_sq(apply_delta(weight, delta)) / start))
        means.append(np.mean(factors))
    return np.array(means)


def growth_claim(seeds: int) -> Claim[tuple[float, ...]]:
    """The mean growth of a hard batch against T2.batch_growth."""
    return confront(
        "S4.batch_growth",
        "T2",
        "a hard batch write of u keys (EMMET), k ~ N(0, Σ) in the matched metric M = Σ⁻¹, shifts unbiased given the "
        "keys, multiplies the mean of ‖W‖²_{M⁻¹} by 1 + c²(u/n)(n−2)/(n−u−1): "
        f"{'; '.join(batch.name for batch in BATCHES)}",
        settings=tuple(Setting(batch.name, partial(growth_factors, batch, 2 * seeds)) for batch in BATCHES),
        predicted=tuple(batch_growth(batch.n, batch.u, batch.c) for batch in BATCHES),
        twin=tuple(1 + batch.c**2 * batch.u / batch.n for batch in BATCHES),
        twin_statement="it grows by 1 + c²u/n, as for u keys one by one",
    )


def claims(seeds: int) -> tuple[Claim[tuple[float, ...]], ...]:
    """T2's predictions beside Monte Carlo; `seeds` is 16 at level quick."""
    return (growth_claim(seeds),)
