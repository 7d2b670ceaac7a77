"""T3.paths and T4.clamped_paths beside simulation: what single streams do under anisotropic keys."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator

from sim.blocked import BlockedStream
from sim.confront.growth import covariance, spectrum
from sim.confrontation import Setting, confront
from sim.editor import Solver, editor
from sim.engine import run_stream
from sim.memory import LinearMemory, draw_weight, gaussian_keys, orthogonal_shift
from sim.rules.memit import memit
from sim.rules.rome import rome
from sim.values.clip_norm import clip_norm
from theory.claim import Claim
from theory.growth.key_laws import HARD, SOFT, GaussianKeys
from theory.growth.paths import path_bounds
from theory.growth.quadratures import gaussian_moments
from theory.growth.radius_bounds import share_matrix

EDITS, LONG = 8, 800
LINE_ERROR = 0.03
"""What the slope over the second half of a stream may miss its limit by; stated, not derived."""

Case = tuple[int, int, float, float, float]
"""m, n, the spread of the keys' spectrum, c, and λ; 0 is a hard write."""


def solver_of(ridge: float) -> Solver:
    """MEMIT with A = λI, or ROME with C = I."""
    return memit(weighting=ridge) if ridge else rome()


def law_of(n: int, spread: float, ridge: float) -> GaussianKeys:
    """The keys' law in the metric of that write."""
    return GaussianKeys(spectrum(n, spread, ridge or 1.0), SOFT if ridge else HARD)


def slowest_starts(case: Case, seeds: int) -> NDArray[np.float64]:
    """−(1/t) log(R_t/R_0) of each seed, from a weight of one row along the direction that keys excite least."""
    m, n, spread, c, ridge = case
    least = torch.zeros(m, n, dtype=torch.float64)
    least[0, int(np.argmin(np.diag(share_matrix(law_of(n, spread, ridge)))))] = 1.0
    keys, rule = gaussian_keys(covariance(n, spread)), editor(solver_of(ridge))
    found = []
    for seed in range(seeds):
        memory = LinearMemory(least, keys, orthogonal_shift(c))
        rows = list(run_stream(rule, memory, EDITS, Generator().manual_seed(43_000 + seed)))
        found.append(-math.log(float(rows[-1]["norm_sq_after"]) / float(rows[0]["norm_sq"])) / EDITS)
    return np.asarray(found)


def path_claim(seeds: int) -> Claim[Any]:
    """The lower bound of the typical path, where it is tight: at the least excited weight."""
    cases: tuple[Case, ...] = ((6, 8, 30.0, 0.5, 0.0), (4, 12, 12.0, 0.75, 0.0), (8, 6, 20.0, 1.0, 2.0))
    lows, means = [], []
    for _, n, spread, c, ridge in cases:
        law = law_of(n, spread, ridge)
        lows.append(path_bounds(law, c).low)
        means.append(float(np.trace(share_matrix(law))) / n * math.log1p(c**2))
    return confront(
        "S4.paths", "T3.paths",
        "Keys N(0, Σ), ‖δ‖ = c‖Wk‖ across Wk, ROME with C = I and MEMIT with A = λI, from the weight that keys excite "
        f"least: −(1/t) log(‖W_t‖²/‖W_0‖²), t = {EDITS}, is on average at most −λ_min(B) log(1 + c²), B = E[η²ŷŷᵀ]",
        settings=[Setting(f"m = {m}, n = {n}, spread {spread:g}, c = {c}, λ = {ridge:g}",
                          partial(slowest_starts, (m, n, spread, c, ridge), 3 * seeds))
                  for m, n, spread, c, ridge in cases],
        predicted=[-low for low in lows],
        twin=[-mean for mean in means],
        twin_statement="it is at most −(tr B/n) log(1 + c²), as if keys excited every direction alike",
        relation="<=",
    )  # fmt: skip


def slopes(case: Case, limit: float, seeds: int) -> NDArray[np.float64]:
    """(R_t − R_{t/2})/(t/2) of each seed, R in the norm of the write, measured on the weights, which share a tensor."""
    m, n, spread, c, ridge = case
    generators = [Generator().manual_seed(44_000 + seed) for seed in range(seeds)]
    weights = torch.stack([4 * draw_weight(m, n, generator) for generator in generators])
    memory = LinearMemory(weights[0], gaussian_keys(covariance(n, spread)), orthogonal_shift(c))
    rule = editor(solver_of(ridge), values=clip_norm(limit=limit))
    stream = BlockedStream(rule, memory, generators, block=LONG // 2, weights=weights)
    stream.advance(LONG // 2)
    half = stream.metric.norm_sq(stream.weight)
    stream.advance(LONG // 2)
    return np.asarray((stream.metric.norm_sq(stream.weight) - half) / (LONG // 2))


def clamped_claim(seeds: int) -> Claim[Any]:
    """The slope under an absolute clamp that only at first is sometimes idle."""
    cases: tuple[Case, ...] = ((6, 10, 12.0, 1.0, 0.0), (4, 12, 30.0, 3.0, 0.0), (8, 8, 8.0, 1.5, 8.0))
    limit = 0.5
    predicted, twin = [], []
    for _, n, spread, _, ridge in cases:
        law = law_of(n, spread, ridge)
        predicted.append(limit**2 * float(gaussian_moments(law).floor.sum()))
        size = float(law.spectrum.sum())
        twin.append(limit**2 * float(law.gain.of(np.array([size]))[0]) ** 2 / size)
    return confront(
        "S4.clamped_paths", "T4.clamped_paths",
        "Keys N(0, Σ), ‖δ‖ = min(c‖Wk‖, τ) across Wk, ROME with C = I and MEMIT with A = λI: over the second half of "
        f"{LONG} edits ‖W‖²_{{M⁻¹}} grows by τ²E[η²/s] an edit (a limit, within {100 * LINE_ERROR:.0f} % here)",
        settings=[Setting(f"m = {m}, n = {n}, spread {spread:g}, c = {c}, λ = {ridge:g}",
                          partial(slopes, (m, n, spread, c, ridge), limit, 2 * seeds))
                  for m, n, spread, c, ridge in cases],
        predicted=predicted, twin=twin,
        twin_statement="by η²τ²/s at the mean s = E kᵀMk",
        relation="~", error=LINE_ERROR,
    )  # fmt: skip


def claims(seeds: int) -> tuple[Claim[Any], ...]:
    """The family's claims."""
    return path_claim(seeds), clamped_claim(seeds)
