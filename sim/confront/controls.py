"""T4's predictions beside Monte Carlo: decay, masks, filters, clamps, ridges and values solved on W_0."""

from __future__ import annotations

import functools
from collections.abc import Callable

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Generator, Tensor

from sim.confront.replicas import Requests, Rule, asked, growth, read
from sim.confrontation import Setting, confront
from sim.editor import Edit, Transform, stateless
from sim.lowrank import Delta, apply_delta
from sim.memory import ValueLaw, draw_weight, gaussian_keys, isotropic_keys, isotropic_shift, orthogonal_shift
from sim.rules.memit import memit
from sim.rules.rome import rome
from sim.values.clip_norm import clip_norm
from theory.claim import Claim
from theory.controls import filters
from theory.controls import increments as controls
from theory.controls import states as state_controls
from theory.growth.isotropic import mean_growth, soft_gain_moments
from theory.provers.moments import DIMENSION, chi_square_moment

WRITES = 4000  # of one write a seed, all at one weight: a factor's sample is their mean
PATHS = 600  # of a stream a seed


def stretched(n: int, ratio: float) -> Float[Tensor, "n n"]:
    """A diagonal covariance whose eigenvalues run geometrically over a ratio."""
    return torch.diag(torch.logspace(0, 1, n, base=ratio, dtype=torch.float64))


def uneven_weight(m: int, n: int, seed: int = 0) -> Float[Tensor, "m n"]:
    """A weight whose columns differ in size fivefold, so that no direction is like another."""
    return draw_weight(m, n, Generator().manual_seed(seed)) * torch.linspace(0.4, 2.0, n, dtype=torch.float64)


def one_write(rule: Rule, weight: Tensor, requests: Requests, seeds: int) -> NDArray[np.float64]:
    """Each seed's mean of R'/R over `WRITES` writes, every one from the same weight, in the rule's own metric."""
    return growth(rule, weight, requests, steps=1, seeds=seeds, replicas=WRITES)


def stream(rule: Rule, weight: Tensor, requests: Requests, steps: int, seeds: int) -> NDArray[np.float64]:
    """Each seed's mean of ‖W_T‖²_F/‖W_0‖²_F over `PATHS` streams of T = `steps` edits, M = I."""
    return growth(rule, weight, requests, steps=steps, seeds=seeds, replicas=PATHS)


def decay(share: float) -> Transform[Delta]:
    """W ← (1 − w)(W + Δ) as a delta transform: Δ ← (1 − w)Δ − wW."""
    return stateless(lambda delta, weight: (1 - share) * apply_delta(torch.zeros_like(weight), delta) - share * weight)


def drop_directions(alpha: float, basis: Callable[[Tensor], Tensor]) -> Transform[Delta]:
    """Δ ← Δ(I − αUUᵀ), U = basis(W)."""

    def update(delta: Delta, weight: Tensor) -> Delta:
        U, dense = basis(weight), apply_delta(torch.zeros_like(weight), delta)
        return dense - alpha * (dense @ U) @ U.mT

    return stateless(update)


def confine(left: Float[Tensor, "m m"], right: Float[Tensor, "n n"]) -> Transform[Delta]:
    """Δ ← LΔP."""
    return stateless(lambda delta, weight: left @ apply_delta(torch.zeros_like(weight), delta) @ right)


def leading_directions(rank: int) -> Callable[[Tensor], Tensor]:
    """SPHERE's U(W): the leading right singular vectors of W with rows of unit length."""
    return lambda weight: torch.linalg.svd(weight / weight.norm(dim=1, keepdim=True)).Vh[:rank].mT


def masked(law: ValueLaw, kept: int) -> ValueLaw:
    """A value law of which a uniformly random set of `kept` coordinates of δ survives."""

    def draw(readouts: Tensor, generator: Generator) -> Tensor:
        order = torch.rand(readouts.shape, generator=generator, dtype=readouts.dtype).argsort(dim=0)
        return readouts + (order < kept) * (law(readouts, generator) - readouts)

    return draw


def decay_claim(seeds: int) -> Claim:
    """Weight decay's factor, for hard and soft writes and in a matched metric."""
    skew = stretched(10, 8.0)
    cases = (("ROME, C = I", rome(), isotropic_keys(), 6, 10, 2.0, 0.05, 1.0),
             ("ROME, C = Σ of anisotropy 8", rome(skew), gaussian_keys(skew), 4, 10, 1.5, 0.1, 1.0),
             ("MEMIT, λ = 12", memit(weighting=12.0), isotropic_keys(), 8, 12, 2.0, 0.02,
              soft_gain_moments(12, 12.0)))  # fmt: skip
    settings = tuple(
        Setting(f"{name}, m = {m}, n = {n}, c = {c}, w = {w}", functools.partial(
            one_write, Rule(solver, deltas=decay(w)), uneven_weight(m, n), asked(keys, orthogonal_shift(c)), seeds))
        for name, solver, keys, m, n, c, w, _ in cases
    )  # fmt: skip
    growths = [(w, mean_growth(n, c, gain)) for *_, n, c, w, gain in cases]
    return confront(
        "S4.weight_decay", "P6, T4",
        "W ← (1 − w)(W + Δ): R'/R is (1 − w)²(1 + E[η²]c²/n) in the mean, in the metric of the write",
        settings=settings,
        predicted=[controls.decayed_factor(w, growth) for w, growth in growths],
        twin=[(1 - w) * growth for w, growth in growths],
        twin_statement="the factor is (1 − w)(1 + E[η²]c²/n)",
    )  # fmt: skip


def mask_claim(seeds: int) -> Claim:
    """A random mask on δ's coordinates scales the excess by the kept share."""
    cases = ((rome(), 5, 8, 1, 2.0, 1.0), (rome(), 10, 6, 4, 1.5, 1.0),
             (memit(weighting=8.0), 10, 8, 2, 3.0, soft_gain_moments(8, 8.0)))  # fmt: skip
    settings = tuple(
        Setting(f"m = {m}, n = {n}, {kept} of {m} coordinates, c = {c}", functools.partial(
            one_write, Rule(solver), uneven_weight(m, n), asked(isotropic_keys(), masked(orthogonal_shift(c), kept)),
            seeds))
        for solver, m, n, kept, c, _ in cases
    )  # fmt: skip
    return confront(
        "S4.mask", "P6, T4", "a random mask that keeps a share p of δ's coordinates (EAC without scores), ROME and "
        "MEMIT, isotropic keys: R'/R is 1 + pE[η²]c²/n in the mean",
        settings=settings,
        predicted=[filters.masked_factor(n, c, kept / m, gain) for _, m, n, kept, c, gain in cases],
        twin=[filters.masked_factor(n, c, (kept / m) ** 2, gain) for _, m, n, kept, c, gain in cases],
        twin_statement="the excess scales with p²",
    )  # fmt: skip


def sphere_claim(seeds: int) -> Claim:
    """SPHERE's filter with a fixed U and with its own U(W), at a weight that is far from even."""
    weights = [uneven_weight(6, 8), uneven_weight(8, 5, 1), uneven_weight(4, 10, 2)]
    fixed = torch.eye(8, dtype=torch.float64)[:, -3:]
    bases = [lambda weight: fixed, leading_directions(2), leading_directions(3)]
    cases = [(0.8, 3, 3.0), (0.5, 2, 3.0), (1.0, 3, 4.0)]
    held = [float((W @ U(W)).square().sum() / W.square().sum()) for W, U in zip(weights, bases, strict=True)]
    settings = tuple(
        Setting(f"{'fixed U' if basis is bases[0] else 'U(W)'}, m = {len(W)}, n = {W.shape[1]}, r = {r}, α = {alpha}",
                functools.partial(one_write, Rule(rome(), deltas=drop_directions(alpha, basis)), W,
                                  asked(isotropic_keys(), isotropic_shift(c)), seeds))
        for W, basis, (alpha, r, c) in zip(weights, bases, cases, strict=True)
    )  # fmt: skip
    rows = [(W.shape[1], r, alpha, f, c) for W, f, (alpha, r, c) in zip(weights, held, cases, strict=True)]
    return confront(
        "S4.sphere", "P6, T4", "SPHERE on ROME, C = I, isotropic keys, U fixed or of W: R'/R is "
        "1 + (c²/n)[1 − (2α − α²)(r + 2f)/(n + 2)] in the mean, f = ‖WU‖²/‖W‖²",
        settings=settings,
        predicted=[filters.filtered_step(*row) for row in rows],
        twin=[filters.filtered_step(n, r, alpha, 0.0, c) for n, r, alpha, _, c in rows],
        twin_statement="f = 0: what W holds in U does not matter",
    )  # fmt: skip


def revive_claim(seeds: int) -> Claim:
    """REVIVE's projections: the free block's first step, which the protected triples feed."""
    settings, predicted, twin = [], [], []
    for index, (m, n, rank, c) in enumerate(((6, 8, 2, 3.0), (8, 5, 1, 3.0), (5, 9, 3, 4.0))):
        W = uneven_weight(m, n, index)
        U, values, Vh = torch.linalg.svd(W)
        left = torch.eye(m, dtype=W.dtype) - U[:, :rank] @ U[:, :rank].mT
        right = torch.eye(n, dtype=W.dtype) - Vh[:rank].mT @ Vh[:rank]
        run = functools.partial(one_write, Rule(rome(), deltas=confine(left, right)), W,
                                asked(isotropic_keys(), isotropic_shift(c)), seeds)  # fmt: skip
        settings.append(Setting(f"m = {m}, n = {n}, r = {rank}, c = {c}", run))
        kept, free = float(values[:rank].square().sum()), float(values[rank:].square().sum())
        excess = filters.confined_rate(m, n, rank, c) - 1
        predicted.append(1 + excess * (free + kept * (n - rank) / (n - rank + 2)) / (kept + free))
        twin.append(1 + excess * free / (kept + free))
    return confront(
        "S4.revive", "P6, T4", "REVIVE's projections on ROME, C = I, isotropic keys and shifts: ‖W‖² grows by "
        "g[(n−r)‖W‖² + 2b] in the mean, g = c²(m−r)/(mn(n+2)), b the squared norm outside the protected triples",
        settings=settings, predicted=predicted, twin=twin,
        twin_statement="it grows by g(n−r+2)b, as if the protected triples fed nothing",
    )  # fmt: skip


def absolute_claim(seeds: int) -> Claim:
    """An absolute clamp that is always active: the mean square grows along a line."""
    cases = ((4, 10, 1.0, 40), (8, 6, 2.0, 30), (3, 20, 3.0, 25))
    settings, predicted, twin = [], [], []
    for index, (m, n, limit, steps) in enumerate(cases):
        W = uneven_weight(m, n, index)
        rule = Rule(rome(), values=clip_norm(limit=limit))
        requests = asked(isotropic_keys(), isotropic_shift(1e6))  # far beyond the clamp, so that it is always active
        settings.append(Setting(f"m = {m}, n = {n}, τ = {limit}, {steps} edits",
                                functools.partial(stream, rule, W, requests, steps, seeds)))  # fmt: skip
        start = float(W.square().sum())
        size = 1 / float(chi_square_moment(-1).subs(DIMENSION, n))
        predicted.append(float(controls.absolute_mean(start, limit, 1.0, [size] * steps)[-1]) / start)
        twin.append(float(controls.absolute_mean(start, limit, 1.0, [n] * steps)[-1]) / start)
    return confront(
        "S4.absolute_clamp", "P6, T4", "ROME, C = I, Gaussian keys, ‖δ‖ clamped to τ at every edit, its direction "
        "uniform: E‖W_t‖² = ‖W_0‖² + tτ²E[1/s], E[1/s] = 1/(n − 2)",
        settings=settings, predicted=predicted, twin=twin, twin_statement="E[1/s] is 1/n",
    )  # fmt: skip


def ridge_claim(seeds: int) -> Claim:
    """A memoryless ridge lowers the excess to E[η²] of it."""
    skew, even = stretched(9, 6.0), isotropic_keys()
    cases = ((None, even, 6, 8, 2.0, 3.0), (None, even, 10, 6, 24.0, 4.0), (skew, gaussian_keys(skew), 4, 9, 9.0, 3.0))
    settings = tuple(
        Setting(f"λ = {lam:g}, {'C = I' if covariance is None else 'C = Σ of anisotropy 6'}, m = {m}, n = {n}, c = {c}",
                functools.partial(one_write, Rule(memit(covariance, weighting=lam)), uneven_weight(m, n),
                                  asked(keys, orthogonal_shift(c)), seeds))
        for covariance, keys, m, n, lam, c in cases
    )  # fmt: skip
    return confront(
        "S4.ridge", "P6, T4", "MEMIT with A = λC, C the keys' covariance: R'/R is 1 + E[η²]c²/n in the mean, in the "
        "norm of C, η = s/(λ + s)",
        settings=settings,
        predicted=[mean_growth(n, c, soft_gain_moments(n, lam)) for *_, n, lam, c in cases],
        twin=[mean_growth(n, c, soft_gain_moments(n, lam) ** 0.5) for *_, n, lam, c in cases],
        twin_statement="the excess scales with √E[η²]",
    )  # fmt: skip


def frozen_claim(seeds: int) -> Claim:
    """Values solved on W_0 do not feed back."""
    cases = ((4, 8, 1.5, 4), (6, 5, 1.0, 15), (3, 10, 2.0, 30))
    settings = []
    for index, (m, n, c, steps) in enumerate(cases):
        W = uneven_weight(m, n, index)

        def requests(weights: Tensor, generator: Generator, start: Tensor = W, c: float = c) -> Edit:
            keys = isotropic_keys()(start, len(weights), generator)
            return Edit(keys, read(weights, keys), orthogonal_shift(c)(start @ keys, generator))

        settings.append(Setting(f"m = {m}, n = {n}, c = {c}, {steps} edits",
                                functools.partial(stream, Rule(rome()), W, requests, steps, seeds)))  # fmt: skip
    return confront(
        "S4.frozen_values", "P6, T4", "ROME, C = I, isotropic keys, values solved on W_0 with ‖v‖² = (1 + c²)‖W_0k‖² "
        "(NSE): E R_t/R_0 = 1 + c²(1 − (1 − 1/n)^t)",
        settings=settings,
        predicted=[state_controls.frozen_values_law(1.0, n, c, steps) for _, n, c, steps in cases],
        twin=[1 + c**2 * steps / n for _, n, c, steps in cases],
        twin_statement="E R_t/R_0 = 1 + c²t/n, the first step's slope for ever",
    )  # fmt: skip


def stream_clamp_claim(seeds: int) -> Claim:
    """A clamp on the residual stream: a line at first, the exponential of the read-out's clamp in the end."""
    cases = ((4, 10, 1.0, 5.0, 10), (6, 8, 0.8, 2.0, 20), (3, 12, 1.2, 1.5, 12))
    settings, predicted, twin = [], [], []
    for index, (m, n, c, size, steps) in enumerate(cases):
        W = uneven_weight(m, n, index)

        def requests(weights: Tensor, generator: Generator, c: float = c, size: float = size) -> Edit:
            keys = isotropic_keys()(weights[0], len(weights), generator)
            readouts = read(weights, keys)
            drawn = torch.randn(readouts.shape, generator=generator, dtype=readouts.dtype)
            hidden = size * drawn / drawn.norm(dim=0) + readouts
            shift = isotropic_shift(c)(hidden, generator) - hidden
            return Edit(keys, readouts, readouts + shift)

        settings.append(Setting(f"m = {m}, n = {n}, c = {c}, ‖p‖ = {size}, {steps} edits",
                                functools.partial(stream, Rule(rome()), W, requests, steps, seeds)))  # fmt: skip
        start, rate = float(W.square().sum()), mean_growth(n, c) - 1
        level = n * size**2 * float(chi_square_moment(-1).subs(DIMENSION, n))
        predicted.append(float(controls.stream_clamp_law(start, rate, level, steps)) / start)
        twin.append(float(controls.stream_clamp_law(start, rate, size**2, steps)) / start)
    return confront(
        "S4.stream_clamp", "P6, T4", "ROME, C = I, Gaussian keys, ‖δ‖ = c‖p + Wk‖, p and δ of uniform direction: "
        "E R_t = (R_0 + L)(1 + c²/n)^t − L, L = n‖p‖²/(n − 2)",
        settings=settings, predicted=predicted, twin=twin,
        twin_statement="L = ‖p‖², as if E[1/s] were 1/n",
    )  # fmt: skip


def claims(seeds: int = 16) -> tuple[Claim, ...]:
    """T4's confrontations; nothing is simulated before a check runs."""
    makers = (mask_claim, sphere_claim, revive_claim, decay_claim, absolute_claim, stream_clamp_claim, ridge_claim)
    return (*(make(seeds) for make in makers), frozen_claim(seeds))
