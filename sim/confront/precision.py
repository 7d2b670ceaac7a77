"""T7 on the project's own rules: how much of a write a stored weight takes, and what rounding does to T1."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator, Tensor
from torch.func import grad

from sim.confrontation import Setting, confront
from sim.editor import Solver, editor
from sim.engine import run_stream
from sim.lowrank import apply_delta
from sim.memory import KeyLaw, LinearMemory, draw_weight, gaussian_keys, isotropic_keys, orthogonal_shift
from sim.rules.memit import memit
from sim.rules.rome import rome
from theory.claim import Claim
from theory.precision.bounds import identity_error_bound
from theory.precision.formats import (
    BFLOAT16,
    FLOAT16,
    FLOAT32,
    Format,
    changed_share,
    normal_tail,
    product_tail,
    storage_noise,
)
from theory.precision.storage import gaps, stored_noise

APPROXIMATION = 0.03
"""The rule's entries are only nearly independent and normal; their share of changed entries misses by less (stated)."""

DRAWS = 30
"""Writes that one seed of `S4.storage_noise` averages."""

NOISE_ERROR = 0.26
"""What 16 seeds of 30 squared errors leave of sampling error at 4 standard errors (stated)."""

WRITES = 15
"""Writes of one stream of `S4.identity_error`."""


def claims(seeds: int) -> tuple[Claim, ...]:
    """What storage and arithmetic in a format do to the rules' writes."""
    return changed_entries(seeds), *stored_writes(seeds), identity_error(seeds)


def write_once(
    solver: Solver, keys: KeyLaw, shape: tuple[int, int], shift: float, stored: torch.dtype, *, batch: int = 1,
    growth: float = 1.0,
) -> Callable[[int], float]:  # fmt: skip
    """Seed -> the share of entries that one write changes in a weight kept in `stored`, solved in float64.

    Args:
        solver: the rule.
        keys: the law of its keys.
        shape: (m, n).
        shift: ‖δ‖/‖Wk‖ before the norm grew.
        stored: dtype of the weight.
        batch: u, requests of the write.
        growth: factor of ‖W‖ at an unchanged ‖δ‖.

    Returns:
        The experiment.
    """

    def run(seed: int) -> float:
        generator = Generator().manual_seed(seed)
        weight = (growth * draw_weight(*shape, generator)).to(stored)
        memory = LinearMemory(weight.double(), keys, orthogonal_shift(shift / growth))
        rule = editor(solver)
        edit = memory.request(memory.weight, batch, generator)
        delta, _, _ = rule.write(edit, rule.init(weight), weight)
        return float((apply_delta(weight, delta) != weight).double().mean())

    return run


def over_seeds(run: Callable[[int], float], seeds: int, first: int) -> Callable[[], NDArray[np.float64]]:
    """The samples of a setting: one number a seed."""
    return lambda: np.array([run(first + seed) for seed in range(seeds)])


def changed_entries(seeds: int) -> Claim:
    """The share of entries that a write changes, for rank-one writes, anisotropic keys and a batch."""
    n, u = 144, 32
    spectrum = np.geomspace(4.0, 0.25, n)
    spread = np.sqrt(spectrum.mean() / spectrum)
    uneven = gaussian_keys(torch.diag(torch.as_tensor(spectrum)))
    wide, ridge = 512, 256.0
    runs = (
        ("bfloat16, ROME, m = 96, n = 144, c = 0.05", BFLOAT16,
         write_once(rome(), isotropic_keys(), (96, n), 0.05, torch.bfloat16), 0.05 / math.sqrt(n), product_tail),
        ("the same write after ‖W‖ has grown 8-fold", BFLOAT16,
         write_once(rome(), isotropic_keys(), (96, n), 0.05, torch.bfloat16, growth=8.0), 0.05 / 8 / math.sqrt(n),
         product_tail),
        ("float16, ROME (C = I), keys of spectrum 4 to 1/4, c = 0.01", FLOAT16,
         write_once(rome(), uneven, (96, n), 0.01, torch.float16), 0.01 / math.sqrt(n),
         lambda x: np.mean([product_tail(x * column) for column in spread], axis=0)),
        ("bfloat16, MEMIT (A = 256 I), 32 keys, m = 64, n = 512, c = 0.05", BFLOAT16,
         write_once(memit(weighting=ridge), isotropic_keys(), (64, wide), 0.05, torch.bfloat16, batch=u),
         0.05 * math.sqrt(u * wide) / (ridge + wide), normal_tail),
        ("float32, ROME, m = 60, n = 144, c = 1e-6", FLOAT32,
         write_once(rome(), isotropic_keys(), (60, n), 1e-6, torch.float32), 1e-6 / math.sqrt(n), product_tail),
    )  # fmt: skip
    return confront(
        "S4.changed_entries", "T7",
        "the share of entries that a write of ROME or MEMIT changes in a weight stored in bfloat16, float16 or float32 "
        f"is T7.changed_share at ‖Δ‖/‖W‖ = c/√n (batch: c√(un)/(λ+n)), within {100 * APPROXIMATION:.0f} %",
        settings=[Setting(name, over_seeds(run, seeds, 100 * i)) for i, (name, _, run, _, _) in enumerate(runs)],
        predicted=[changed_share(write / math.sqrt(n), 1 / math.sqrt(n), target, tail)
                   for _, target, _, write, tail in runs],
        twin=[changed_share(write / math.sqrt(n) / 2, 1 / math.sqrt(n), target, tail)
              for _, target, _, write, tail in runs],
        twin_statement="the same with 2u, the machine epsilon, for u",
        relation="~", error=APPROXIMATION,
    )  # fmt: skip


class StoredCase(NamedTuple):
    """A rule whose writes are stored in a format.

    Attributes:
        name: what sets it apart.
        solver: the rule.
        matrix: A (n, n), whose inverse is its metric.
        m: rows of W.
        stored: dtype of the weight.
        target: its format.
        batch: u, requests of a write.
        shift: ‖δ‖/‖Wk‖, large enough for most entries to move by more than a gap.
    """

    name: str
    solver: Solver
    matrix: Tensor
    m: int
    stored: torch.dtype
    target: Format
    batch: int = 1
    shift: float = 0.5

    def squares(self, seed: int) -> NDArray[np.float64]:
        """The means over `DRAWS` writes of d² and of d²/σ², d the change of the stored ‖W‖²_A less T1's right side.

        Args:
            seed: of the writes, which are solved in float64.

        Returns:
            (2,) the means; σ is T7.stored_change's.
        """
        n, generator = self.matrix.shape[0], Generator().manual_seed(seed)
        rule, keys = editor(self.solver), gaussian_keys(torch.eye(n, dtype=torch.float64))
        squares = []
        for _ in range(DRAWS):
            weight = draw_weight(self.m, n, generator).to(self.stored)
            state, wide = rule.init(weight), weight.double()
            edit = LinearMemory(wide, keys, orthogonal_shift(self.shift)).request(wide, self.batch, generator)
            delta, _, info = rule.write(edit, state, weight)
            metric, after = rule.metric(state), apply_delta(weight, delta).double()
            error = float(metric.norm_sq(after) - metric.norm_sq(wide) - info.predicted)
            noise = stored_noise(grad(metric.norm_sq)(after).numpy(), gaps(after.numpy(), self.target))
            squares.append((error**2, (error / noise) ** 2))
        return np.mean(squares, axis=0)


def stored_writes(seeds: int) -> tuple[Claim, Claim]:
    """T1's two sides differ on a stored weight by the rounding of W': on average, and write by write."""
    dense = dense_covariance(10, 30.0).double()
    eye = torch.eye(12, dtype=torch.float64)
    cases = (
        StoredCase("bfloat16, ROME (C = I), m = 20, n = 12", rome(), eye, 20, torch.bfloat16, BFLOAT16),
        StoredCase("float16, ROME, dense C, κ = 30, m = 16, n = 10", rome(dense), dense, 16, torch.float16, FLOAT16),
        StoredCase("float32, ROME, dense C, κ = 30, m = 6, n = 10", rome(dense), dense, 6, torch.float32, FLOAT32),
        StoredCase("bfloat16, MEMIT (λ = 40), 3 keys, m = 20, n = 12", memit(weighting=40.0), 40.0 * eye, 20,
                   torch.bfloat16, BFLOAT16, 3),
    )  # fmt: skip
    predicted = []
    for case in cases:
        n = case.matrix.shape[0]
        ridge = float(case.matrix[0, 0]) if case.batch > 1 else 0.0
        grown = 1 + case.batch * case.shift**2 * n / (ridge + n) ** 2  # of the entries' variance, δ across Wk
        trace_sq, diagonal = float(case.matrix.square().sum()), float(case.matrix.diagonal().square().sum())
        predicted.append(storage_noise(case.m, trace_sq, diagonal, math.sqrt(grown / n), case.target) ** 2)
    runs = [functools.cache(case.squares) for case in cases]

    def mean_of(run: Callable[[int], NDArray[np.float64]], part: int) -> Callable[[int], float]:
        return lambda seed: float(run(seed)[part])

    def settings(part: int) -> list[Setting]:
        return [
            Setting(case.name, over_seeds(mean_of(run, part), seeds, 500 * i))
            for i, (case, run) in enumerate(zip(cases, runs, strict=True))
        ]

    return confront(
        "S4.storage_noise", "T7",
        "T1 on a stored weight (bfloat16, float16, float32; ROME with C = I and dense C, MEMIT with 3 keys; solved in "
        "float64): the mean square of change − foretold is T7.storage_noise's variance, within "
        f"{100 * NOISE_ERROR:.0f} %",
        settings=settings(0), predicted=predicted, twin=[4 * number for number in predicted],
        twin_statement="the same with 2u, the machine epsilon, for u", relation="~", error=NOISE_ERROR,
    ), confront(
        "S4.stored_change", "T7",
        "the same writes, each in units of the σ that T7.stored_change has for its own weight: the mean square of "
        f"(change − foretold)/σ is 1, within {100 * NOISE_ERROR:.0f} %",
        settings=settings(1), predicted=[1.0] * len(cases), twin=[4.0] * len(cases),
        twin_statement="an error reaches a whole gap", relation="~", error=NOISE_ERROR,
    )  # fmt: skip


def dense_covariance(n: int, condition: float) -> Tensor:
    """A float32 C (n, n) with eigenvalues from 1 down to 1/κ along random directions."""
    rotation, _ = torch.linalg.qr(torch.randn(n, n, generator=Generator().manual_seed(n), dtype=torch.float64))
    dense = (rotation * torch.logspace(0, -math.log10(condition), n, dtype=torch.float64)) @ rotation.mT
    return ((dense + dense.mT) / 2).float()


def error_over_bound(m: int, n: int, condition: float, shift: float) -> Callable[[int], float]:
    """Seed -> the mean over a float32 stream of ROME of |change − foretold| over T7.identity_error's bound."""
    covariance = dense_covariance(n, condition)
    top = float(torch.linalg.eigvalsh(covariance.double())[-1])
    rank, root = float(covariance.double().trace()) / top, math.sqrt(top) * (1 + 1e-5)  # norms in a row are float32

    def run(seed: int) -> float:
        generator = Generator().manual_seed(seed)
        memory = LinearMemory(
            draw_weight(m, n, generator, dtype=torch.float32), gaussian_keys(covariance), orthogonal_shift(shift)
        )
        rows = run_stream(editor(rome(covariance)), memory, WRITES, generator)
        ratios = [
            abs(row["change"] - row["predicted"])
            / identity_error_bound(FLOAT32, (m, n), root * row["weight_norm"], root * row["delta_norm"], rank)
            for row in rows
        ]
        return float(np.mean(ratios))

    return run


def identity_error(seeds: int) -> Claim:
    """T1 in float32 stays within its bound, and leaves the bound that ignores C's condition."""
    cases = ((6, 10, 1e1, 0.5), (8, 24, 1e3, 0.5), (12, 7, 1e4, 0.1), (8, 16, 1e5, 1.0))
    return confront(
        "S4.identity_error", "T7",
        "ROME in float32 with a dense C, κ from 10 to 1e5: |change − T1's right side| over T7.identity_error's bound, "
        "the mean of 15 writes, is at most 1: a worst case, some 1e3 to 1e4 times the error, that the condition of C "
        "enters (for κ up to 1e3 S4.storage_noise has the usual size)",
        settings=[Setting(f"m = {m}, n = {n}, κ = {condition:g}, c = {shift}",
                          over_seeds(error_over_bound(m, n, condition, shift), seeds, 1000 * i))
                  for i, (m, n, condition, shift) in enumerate(cases)],
        predicted=[1.0] * len(cases),
        twin=[1 / condition for _, _, condition, _ in cases],
        twin_statement="the bound with λmin(C) in place of λmax(C)", relation="<=",
    )  # fmt: skip
