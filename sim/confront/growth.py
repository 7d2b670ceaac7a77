"""T3 beside simulation: mean growth from the operator's eigenmatrix, and under a value model from a given start."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator, Tensor

from sim.confrontation import Setting, confront
from sim.editor import Solver, editor
from sim.engine import run_stream
from sim.memory import KeyLaw, LinearMemory, ValueLaw, draw_weight, gaussian_keys, isotropic_keys, orthogonal_shift
from sim.rules.memit import memit
from sim.rules.rome import rome
from theory.claim import Claim
from theory.growth.growth_operator import Perron, perron, radius
from theory.growth.key_laws import HARD, SOFT, GaussianKeys, SampleKeys, sample_keys
from theory.growth.lyapunov import exponent_bounds, typical_exponent
from theory.growth.value_fit import mean_path
from theory.growth.value_models import proportional, relative_shift

DRAWS = 100
"""Independent pairs of a weight and a stream that one seed averages."""

BURN = 20
"""Edits after which a path has forgotten its start."""

TYPICAL_ERROR = 0.05
"""What the second-order approximation of the Lyapunov exponent is allowed to miss; stated, not derived."""

Numbers = NDArray[np.float64]


def spectrum(n: int, spread: float, ridge: float = 1.0) -> Numbers:
    """μ (n,): geometric, a factor `spread` from end to end, mean 1/ridge."""
    values = np.geomspace(1.0, spread, n)
    return values / values.mean() / ridge


def covariance(n: int, spread: float) -> Tensor:
    """Σ (n, n), diagonal, of the spectrum with mean 1."""
    return torch.diag(torch.as_tensor(spectrum(n, spread)))


def weight_of(root: Tensor, m: int, generator: Generator) -> Tensor:
    """W (m, n) with E WᵀW = X, root·root = X."""
    return torch.randn(m, len(root), generator=generator, dtype=root.dtype) @ root / math.sqrt(m)


def mean_factors(
    solver: Solver, keys: KeyLaw, values: ValueLaw, start: Numbers, m: int, seeds: int, steps: int = 1
) -> Callable[[], Numbers]:
    """1 + mean(R_t − R_0)/E R_0 of each seed, over DRAWS weights with E WᵀW = X; R in the norm of the write.

    E R_t is a mean over weights and streams: a single path's ratio R_t/R_0 would not estimate it.
    """
    X = torch.as_tensor(start)
    eigenvalues, vectors = torch.linalg.eigh(X)
    root = vectors * eigenvalues.clamp_min(0).sqrt() @ vectors.mT
    rule = editor(solver)

    def change(generator: Generator) -> float:
        memory = LinearMemory(weight_of(root, m, generator), keys, values)
        rows = list(run_stream(rule, memory, steps, generator))
        return float(rows[-1]["norm_sq_after"]) - float(rows[0]["norm_sq"])

    def samples() -> Numbers:
        norm = float(solver.metric(solver.init(X)).norm_sq(root))
        means = []
        for seed in range(seeds):
            generator = Generator().manual_seed(8000 + seed)
            means.append(1 + sum(change(generator) for _ in range(DRAWS)) / DRAWS / norm)
        return np.array(means)

    return samples


def gaussian_claim(seeds: int) -> Claim[tuple[float, ...]]:
    """Hard writes with M = I and anisotropic keys."""
    cases = ((6, 10, 8.0, 1.0), (12, 5, 30.0, 0.75), (8, 16, 30.0, 2.0))
    laws = [GaussianKeys(spectrum(n, spread)) for _, n, spread, _ in cases]
    found = [perron(law) for law in laws]
    settings = [
        Setting(
            f"m = {m}, n = {n}, spread {spread:g}, c = {c}",
            mean_factors(rome(), gaussian_keys(covariance(n, spread)), orthogonal_shift(c), part.matrix, m, seeds),
        )
        for (m, n, spread, c), part in zip(cases, found, strict=True)
    ]
    return confront(
        "S4.growth_anisotropic", "T3",
        "ROME with C = I, keys N(0, Σ), δ across Wk, ‖δ‖ = c‖Wk‖: from E WᵀW = T's eigenmatrix on, E‖W‖² grows "
        "by 1 + c²ρ(T) an edit",
        settings=settings,
        predicted=[1 + c**2 * part.radius.value for (*_, c), part in zip(cases, found, strict=True)],
        twin=[1 + c**2 / n for _, n, _, c in cases],
        twin_statement="by 1 + c²/n, whatever Σ is",
    )  # fmt: skip


def soft_claim(seeds: int) -> Claim[tuple[float, ...]]:
    """Soft writes with M = I/λ and anisotropic keys."""
    cases = ((6, 10, 8.0, 1.0, 10.0), (12, 5, 30.0, 1.5, 2.0), (8, 16, 30.0, 2.0, 8.0))
    found = [perron(GaussianKeys(spectrum(n, spread, ridge), SOFT)) for _, n, spread, _, ridge in cases]
    hard = [radius(GaussianKeys(spectrum(n, spread))).value for _, n, spread, *_ in cases]
    settings = [
        Setting(
            f"m = {m}, n = {n}, spread {spread:g}, c = {c}, λ = {ridge:g}",
            mean_factors(memit(weighting=ridge), gaussian_keys(covariance(n, spread)), orthogonal_shift(c),
                         part.matrix, m, seeds),
        )
        for (m, n, spread, c, ridge), part in zip(cases, found, strict=True)
    ]  # fmt: skip
    return confront(
        "S4.growth_soft", "T3",
        "MEMIT with A = λI, keys N(0, Σ), ‖δ‖ = c‖Wk‖ across Wk: the factor is 1 + c²ρ(T), T with η = s/(1+s) inside",
        settings=settings,
        predicted=[1 + c**2 * part.radius.value for (_, _, _, c, _), part in zip(cases, found, strict=True)],
        twin=[1 + c**2 * rho for (_, _, _, c, _), rho in zip(cases, hard, strict=True)],
        twin_statement="the factor is that of hard writes",
    )  # fmt: skip


def drawn_from(keys: Numbers) -> KeyLaw:
    """One of N given keys (n, N), each with probability 1/N."""
    stored = torch.as_tensor(keys)

    def draw(weight: Tensor, batch: int, generator: Generator) -> Tensor:
        return stored[:, torch.randint(stored.shape[1], (batch,), generator=generator)]

    return draw


def finite_keys(n: int, count: int, seed: int) -> Numbers:
    """N keys (n, N) around a common direction, as a layer's keys are."""
    random = np.random.default_rng(seed)
    return random.normal(size=(n, count)) + 0.7 * random.normal(size=(n, 1))


def sample_claim(seeds: int) -> Claim[tuple[float, ...]]:
    """Keys drawn from a finite sample; hard with M = I, hard with M = C⁻¹ of another covariance, soft."""
    cases = ((6, 8, 20, 1.0), (12, 5, 40, 1.5), (8, 12, 9, 2.0))
    stored = [finite_keys(n, count, index) for index, (_, n, count, _) in enumerate(cases)]
    solvers = (rome(), rome(covariance(5, 6.0)), memit(weighting=4.0))
    metrics = (None, np.diag(spectrum(5, 6.0)), 4.0 * np.eye(12))
    laws: list[SampleKeys] = [
        sample_keys(keys, A, SOFT) if index == 2 else sample_keys(keys, A)
        for index, (keys, A) in enumerate(zip(stored, metrics, strict=True))
    ]
    found = [perron(law, 1e-9) for law in laws]
    starts = [unwhitened(part, A) for part, A in zip(found, metrics, strict=True)]
    settings = [
        Setting(f"m = {m}, n = {n}, N = {count}, c = {c}, {name}",
                mean_factors(solver, drawn_from(keys), orthogonal_shift(c), start, m, seeds))
        for (m, n, count, c), name, solver, keys, start in zip(
            cases, ("M = I", "M = C⁻¹", "soft, λ = 4"), solvers, stored, starts, strict=True)
    ]  # fmt: skip
    return confront(
        "S4.growth_sample", "T3",
        "Keys drawn from N given ones, ROME with C = I or not and MEMIT: the factor is 1 + c²λ_max(η_iη_j cos²_ij/N)",
        settings=settings,
        predicted=[1 + c**2 * part.radius.value for (*_, c), part in zip(cases, found, strict=True)],
        twin=[1 + c**2 * float((law.gains**2).mean()) / n for (_, n, _, c), law in zip(cases, laws, strict=True)],
        twin_statement="it is 1 + E[η²]c²/n",
    )  # fmt: skip


def unwhitened(part: Perron, statistic: Numbers | None) -> Numbers:
    """E WᵀW = L⁻ᵀX*L⁻¹ from the eigenmatrix in y = L⁻¹k, A = LLᵀ, where the weight is WL."""
    if statistic is None:
        return part.matrix
    inverse = np.linalg.inv(np.linalg.cholesky(statistic))
    return np.asarray(inverse.T @ part.matrix @ inverse)


def at_a_cosine(alpha: float, cosine: float) -> ValueLaw:
    """v = √α‖Wk‖(κŵ + √(1 − κ²)e), e uniform across Wk: κ√α Wk and a shift of the rest."""
    across = orthogonal_shift(math.sqrt(alpha * (1 - cosine**2)))
    pull = cosine * math.sqrt(alpha) - 1

    def draw(readouts: Tensor, generator: Generator) -> Tensor:
        return pull * readouts + across(readouts, generator)

    return draw


def cosine_claim(seeds: int) -> Claim[tuple[float, ...]]:
    """Values of a fixed length ratio and cosine, after several edits."""
    cases = ((6, 10, 8.0, 3.0, 0.5, 0.0), (8, 6, 12.0, 4.0, 0.3, 3.0), (5, 8, 5.0, 0.25, 0.9, 0.0))
    steps = 2
    settings, predicted, twin = [], [], []
    for m, n, spread, alpha, cosine, ridge in cases:
        solver = memit(weighting=ridge) if ridge else rome()
        law = GaussianKeys(spectrum(n, spread, ridge or 1.0), SOFT if ridge else HARD)
        path = mean_path(law, proportional(alpha, cosine), np.eye(n) / n, steps)
        kind = f"λ = {ridge:g}" if ridge else "hard"
        settings.append(
            Setting(f"m = {m}, n = {n}, spread {spread:g}, α = {alpha}, κ = {cosine}, {kind}",
                    mean_factors(solver, gaussian_keys(covariance(n, spread)), at_a_cosine(alpha, cosine),
                                 np.eye(n) / n, m, seeds, steps))
        )  # fmt: skip
        predicted.append(path[-1])
        # The same with the noise alone, as if E[v | k, W] were Wk: b forgotten.
        noise = relative_shift(proportional(alpha, cosine).relative)
        twin.append(mean_path(law, noise, np.eye(n) / n, steps)[-1])
    return confront(
        "S4.growth_cosine", "T3",
        f"Values of size √α‖Wk‖ at a cosine κ to Wk, keys N(0, Σ), ROME and MEMIT: E‖W_t‖²/E‖W_0‖² after {steps} edits "
        "is tr L^t(I)/n, L(X) = X + b(BX + XB) + (b² + ω²)T(X)",
        settings=settings, predicted=predicted, twin=twin,
        twin_statement="the same with b = 0: only the part of v across Wk counts",
    )  # fmt: skip


def typical_claim(seeds: int) -> Claim[tuple[float, ...]]:
    """The approximation of the typical exponent from second moments, and its error."""
    cases, steps = ((3, 4, 2.0), (8, 5, 2.0), (4, 6, 2.0)), 160

    def samples(m: int, n: int, c: float) -> Callable[[], Numbers]:
        def run() -> Numbers:
            found = []
            for seed in range(seeds):
                generator = Generator().manual_seed(8500 + seed)
                memory = LinearMemory(draw_weight(m, n, generator), isotropic_keys(), orthogonal_shift(c))
                norms = [float(row["norm_sq_after"]) for row in run_stream(editor(rome()), memory, steps, generator)]
                found.append(math.log(norms[-1] / norms[BURN - 1]) / (steps - BURN))
            return np.array(found)

        return run

    return confront(
        "S4.typical", "T3",
        "ROME with C = I, isotropic keys, ‖δ‖ = c‖Wk‖ across Wk: the Lyapunov exponent of ‖W‖² is near "
        f"2 log E₁ − ½ log E₂ (an approximation, within {100 * TYPICAL_ERROR:.0f} % here)",
        settings=[Setting(f"m = {m}, n = {n}, c = {c}", samples(m, n, c)) for m, n, c in cases],
        predicted=[typical_exponent(*case) for case in cases],
        twin=[exponent_bounds(*case).mean for case in cases],
        twin_statement="it is that of the mean, log(1 + c²/n)",
        relation="~", error=TYPICAL_ERROR,
    )  # fmt: skip


def claims(seeds: int) -> tuple[Claim[tuple[float, ...]], ...]:
    """The mean's factor in four families, and the typical path."""
    return (
        gaussian_claim(seeds), soft_claim(seeds), sample_claim(seeds), cosine_claim(seeds), typical_claim(seeds)
    )  # fmt: skip
