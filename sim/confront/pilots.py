"""T5's statistics of the anchor beside simulation: the trimmed mean of pilots, its bias and its standard error."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator, Tensor

from sim.anchor import trimmed_mean
from sim.confrontation import Setting, confront
from theory.anchoring.statistics import TrimmedMean, trimmed_lognormal, trimmed_normal
from theory.claim import Claim

Numbers = NDArray[np.float64]
Norms = Callable[[int, Generator], Tensor]
REPEATS = 60
"""Pilots' anchors that one seed averages."""

ASYMPTOTIC = 0.06
"""The trimmed mean's law is one of many pilots: at some hundreds its spread may miss by this; stated, not derived."""


def normal(mean: float, cv: float) -> Norms:
    """‖v‖ ~ N(mean, (cv·mean)²)."""
    return lambda count, generator: mean * (1 + cv * torch.randn(count, generator=generator, dtype=torch.float64))


def lognormal(mean: float, cv: float) -> Norms:
    """log ‖v‖ normal, of this mean and sd/mean."""
    sigma = math.sqrt(math.log1p(cv * cv))
    return lambda count, generator: (
        mean * torch.exp(sigma * torch.randn(count, generator=generator, dtype=torch.float64) - sigma**2 / 2)
    )


CASES = (
    ("normal norms, cv 0.1", normal(3.0, 0.1), trimmed_normal(3.0, 0.1), 3.0, 400),
    ("log-normal norms, cv 0.3", lognormal(2.0, 0.3), trimmed_lognormal(2.0, 0.3), 2.0, 600),
    ("log-normal norms, cv 0.6", lognormal(1.0, 0.6), trimmed_lognormal(1.0, 0.6), 1.0, 1000),
)
"""Each: a name, the law of norms, its trimmed mean, E‖v‖, the number of pilots."""


def anchors(norms: Norms, pilots: int, seed: int) -> Numbers:
    """The anchors of `REPEATS` sets of pilots."""
    generator = Generator().manual_seed(9500 + seed)
    return np.array([float(trimmed_mean(norms(pilots, generator))) for _ in range(REPEATS)])


def bias(norms: Norms, pilots: int, seeds: int) -> Callable[[], Numbers]:
    """Each seed's mean anchor."""
    return lambda: np.array([anchors(norms, pilots, seed).mean() for seed in range(seeds)])


def spread(norms: Norms, law: TrimmedMean, pilots: int, seeds: int) -> Callable[[], Numbers]:
    """Each seed's mean of N(a − limit)², whose expectation tends to the spread's square."""
    return lambda: np.array(
        [pilots * ((anchors(norms, pilots, 100 + seed) - law.limit) ** 2).mean() for seed in range(seeds)]
    )


def trim_claim(seeds: int) -> Claim[tuple[float, ...]]:
    """The anchor lies below the mean norm, by as much as the trimming says."""
    return confront(
        "S4.anchor_trim", "P7, T5",
        "The mean of N pilots' norms without the largest 5 % tends to E[X | X ≤ q], q the 95 % quantile (within 0.3 %)",
        settings=[Setting(f"{name}, N = {count}", bias(norms, count, seeds)) for name, norms, _, _, count in CASES],
        predicted=[law.limit for _, _, law, _, _ in CASES],
        twin=[mean for *_, mean, _ in CASES],
        twin_statement="it tends to E‖v‖: trimming has no bias",
        relation="~", error=0.003,
    )  # fmt: skip


def error_claim(seeds: int) -> Claim[tuple[float, ...]]:
    """Its standard error is the winsorised one."""
    return confront(
        "S4.anchor_error", "P13, T5",
        "N times the variance of that anchor is sd(min(X, q))²/0.95², an approximation for many pilots, within "
        f"{100 * ASYMPTOTIC:.0f} % here",
        settings=[
            Setting(f"{name}, N = {count}", spread(norms, law, count, 4 * seeds))
            for name, norms, law, _, count in CASES
        ],
        predicted=[law.spread**2 for _, _, law, _, _ in CASES],
        twin=[(0.95 * law.spread) ** 2 for _, _, law, _, _ in CASES],
        twin_statement="it is sd(min(X, q))², without the division by 0.95",
        relation="~", error=ASYMPTOTIC,
    )  # fmt: skip


def claims(seeds: int) -> tuple[Claim[tuple[float, ...]], ...]:
    """The family's claims.

    Args:
        seeds: independent repetitions of a setting.
    """
    return trim_claim(seeds), error_claim(seeds)
