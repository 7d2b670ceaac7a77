"""Monte Carlo over seeds: rows within a seed depend on each other, so every interval comes from seeds."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from itertools import islice
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from scipy.special import stdtrit

from sim.anchor import PilotAnchor, pilot_anchor
from sim.block_rows import joined, whole_rows
from sim.blocked import BlockedStream, run_blocks, run_rows, why_not_blocked
from sim.compose import chosen_transforms
from sim.config import GrowConfig
from sim.editor import Editor, Solver, chain, editor
from sim.memory import (
    KeyLaw,
    LinearMemory,
    ValueLaw,
    draw_weight,
    free_values,
    gaussian_keys,
    isotropic_keys,
    isotropic_shift,
    orthogonal_shift,
    turned_values,
    unseen_keys,
)
from sim.prediction import spectrum
from sim.rules.alphaedit import alphaedit
from sim.rules.memit import memit
from sim.rules.memit_seq import memit_seq
from sim.rules.rlsedit import rlsedit
from sim.rules.rome import rome
from sim.settings import Setting
from sim.values.anchor_norm import anchor_norm
from theory.command import Misuse

TOGETHER = 2**22
"""How many numbers the weights, or the metrics, of repetitions in one tensor may hold."""


class Interval(NamedTuple):
    """A mean over seeds with its Student t interval.

    Attributes:
        mean: the samples' mean.
        low: the interval's lower end.
        high: its upper end.
    """

    mean: float
    low: float
    high: float

    def covers(self, value: float) -> bool:
        """Whether the interval holds a value."""
        return self.low <= value <= self.high


class Path(NamedTuple):
    """What one seed measured.

    Attributes:
        rows: one row a step, as `run_stream` yields them.
        anchor: the pilots' anchor, where the run had one.
        stepwise: why it went step by step although blocks were asked for, or None.
    """

    rows: pd.DataFrame
    anchor: PilotAnchor | None
    stepwise: str | None = None


def student_interval(samples: Sequence[float] | NDArray[np.float64], confidence: float = 0.95) -> Interval:
    """The mean of independent samples and its Student t interval.

        x̄ ± t_{N−1}((1 + confidence)/2) · sd/√N

    Args:
        samples: one number a seed, N ≥ 2.
        confidence: the level, between 0 and 1; 1 − confidence is the false-alarm probability.

    Returns:
        The interval.

    Raises:
        Misuse: fewer than two samples.

    >>> [round(x, 3) for x in student_interval([1.0, 2.0, 3.0], 0.95)]
    [2.0, -0.484, 4.484]
    """
    values = np.asarray(samples, dtype=float)
    if len(values) < 2:
        raise Misuse(f"{len(values)} finite seeds give no interval; use more seeds or fewer edits")
    mean = float(values.mean())
    half = float(stdtrit(len(values) - 1, (1 + confidence) / 2) * values.std(ddof=1) / math.sqrt(len(values)))
    return Interval(mean, mean - half, mean + half)


def make_memory(config: GrowConfig, generator: torch.Generator) -> LinearMemory:
    """The memory that an experiment describes, with a weight drawn anew."""
    dtype = getattr(torch, config.dtype)
    covariance = torch.diag(torch.as_tensor(spectrum(config), dtype=dtype, device=config.device))
    plain: KeyLaw = isotropic_keys() if config.anisotropy == 1 else gaussian_keys(covariance)
    laws: dict[str, ValueLaw] = {
        "orthogonal": orthogonal_shift(config.clamp),
        "isotropic": isotropic_shift(config.clamp),
        "turned": turned_values(),
        "free": free_values(config.clamp),
    }
    weight = draw_weight(config.m, config.n, generator, dtype=dtype, device=config.device)
    return LinearMemory(weight, unseen_keys() if config.keys == "unseen" else plain, laws[config.values])


def make_solver(config: GrowConfig) -> Solver:
    """The rule that an experiment names."""
    dtype = getattr(torch, config.dtype)
    matched = torch.diag(torch.as_tensor(spectrum(config), dtype=dtype, device=config.device))
    covariance = None if config.metric == "identity" else matched
    if config.rule == "rome":
        return rome(covariance)
    if config.rule == "memit":
        return memit(covariance, weighting=config.lam)
    eye = torch.eye(config.n, dtype=dtype, device=config.device)
    if config.rule == "memit_seq":
        return memit_seq(eye if covariance is None else covariance, weighting=config.lam)
    if config.rule == "rlsedit":
        return rlsedit(eye if covariance is None else covariance, ridge=config.ridge, weighting=config.lam)
    return alphaedit(eye, ridge=config.ridge)


def make_editor(
    config: GrowConfig, memory: LinearMemory, generator: torch.Generator
) -> tuple[Editor, PilotAnchor | None]:
    """The editor that an experiment names, with NAS anchored on pilots of the unedited memory."""
    pilot = None
    if config.anchor:
        pilot = pilot_anchor(lambda i: memory.request(memory.weight, 1, generator).values, config.pilots)
    values = [] if pilot is None else [anchor_norm(pilot.norm)]
    deltas = []
    if config.transforms:
        setting = Setting("", m=config.m, n=config.n, clamp=config.clamp, batch=config.batch, dtype=config.dtype)
        more, filters = chosen_transforms(config.transforms)
        values += [make(setting) for make in more]
        deltas = [make(setting) for make in filters]
    on_values, on_deltas = (chain(*parts) if len(parts) > 1 else (*parts, None)[0] for parts in (values, deltas))
    return editor(make_solver(config), values=on_values, deltas=on_deltas), pilot


def run_seed(config: GrowConfig, index: int) -> Path:
    """Run one repetition of an experiment.

    Args:
        config: the experiment.
        index: which repetition; it uses the seed `config.seed + index`.

    Returns:
        Its rows and its anchor.
    """
    generator = torch.Generator(config.device).manual_seed(config.seed + index)
    memory = make_memory(config, generator)
    rule, pilot = make_editor(config, memory, generator)
    steps = math.ceil(config.edits / config.batch)
    reasons: list[str] = []
    rows = run_rows(rule, memory, steps, generator, batch=config.batch, block=config.block, told=reasons.append)
    return Path(pd.DataFrame(list(rows)), pilot, *reasons)


def run_seeds(config: GrowConfig, indices: Iterable[int] | None = None) -> list[Path]:
    """Run the repetitions of an experiment: in blocks, small ones share a tensor; else in turn.

    Args:
        config: the experiment.
        indices: which repetitions, as an iterable that may show its progress; None is all of them.

    Returns:
        One path a repetition.
    """
    left = iter(range(config.seeds) if indices is None else indices)
    if not config.block or config.anchor:  # each repetition has an anchor of its own
        return [run_seed(config, index) for index in left]
    size = max(1, TOGETHER // (config.n * max(config.m, config.n)))
    return [path for some in iter(lambda: list(islice(left, size)), []) for path in run_together(config, some)]


def run_together(config: GrowConfig, indices: Sequence[int]) -> list[Path]:
    """Run repetitions in one tensor, in blocks; each draws what it draws alone."""
    generators = [torch.Generator(config.device).manual_seed(config.seed + index) for index in indices]
    memories = [make_memory(config, generator) for generator in generators]
    rule, _ = make_editor(config, memories[0], generators[0])
    if why_not_blocked(rule, memories[0], len(indices)) is not None:
        return [run_seed(config, index) for index in indices]
    weights = torch.stack([memory.weight for memory in memories])
    stream = BlockedStream(rule, memories[0], generators, batch=config.batch, block=config.block, weights=weights)
    columns = joined(run_blocks(stream, math.ceil(config.edits / config.batch)))
    return [Path(pd.DataFrame(whole_rows(columns, trial)), None) for trial in range(len(indices))]


def finite_paths(paths: Iterable[Path]) -> list[Path]:
    """The repetitions that stayed finite to the end."""
    return [path for path in paths if bool(path.rows["finite"].all())]


def mean_factors(paths: Sequence[Path]) -> NDArray[np.float64]:
    """Each seed's mean of R'/R over its writes, R = ‖W‖²_{M⁻¹}."""
    return np.array([float((path.rows["norm_sq_after"] / path.rows["norm_sq"]).mean()) for path in paths])


def exponents(paths: Sequence[Path], burn_in: int) -> NDArray[np.float64]:
    """Each seed's log(R_T/R_{T₀})/(T − T₀) per step, R = ‖W‖²_{M⁻¹} and T₀ = `burn_in`."""
    return np.array(
        [
            math.log(path.rows["norm_sq_after"].iloc[-1] / path.rows["norm_sq"].iloc[burn_in])
            / (len(path.rows) - burn_in)
            for path in paths
        ]
    )


def plateaus(paths: Sequence[Path], burn_in: int) -> NDArray[np.float64]:
    """Each seed's time average of ‖W‖²_{M⁻¹}/a² after the burn-in."""
    return np.array(
        [float(path.rows["norm_sq_after"].iloc[burn_in:].mean()) / path.anchor.norm**2 for path in paths if path.anchor]
    )


def relative_paths(paths: Sequence[Path]) -> NDArray[np.float64]:
    """R_t/R_0 in Frobenius norm, seeds by t = 0..T."""
    return np.array(
        [
            np.concatenate([[1.0], (path.rows["weight_norm_after"] / path.rows["weight_norm"].iloc[0]) ** 2])
            for path in paths
        ]
    )


def worst_error(paths: Sequence[Path]) -> float:
    """The largest relative error of T1 over every finite write of every seed."""
    return float(pd.concat([path.rows.loc[path.rows["finite"], "error"] for path in paths]).max())
