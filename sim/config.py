"""What a user may choose in this room; nothing here imports torch, so that `--help` is instant."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Annotated, Literal

import tyro

from theory.command import Misuse


@dataclass(frozen=True)
class Experiment:
    """A rule on a linear memory under laws of keys and values."""

    rule: Literal["rome", "memit", "alphaedit", "memit_seq", "rlsedit"] = "rome"
    """The update rule."""
    metric: Literal["identity", "covariance"] = "identity"
    """The rule's C (all but alphaedit): the identity, or the covariance of the keys (the matched metric)."""
    anchor: bool = False
    """Norm-Anchor Scaling: rescale each solved value to the pilots' mean norm."""
    transforms: str = ""
    """Value and delta transforms of `python -m sim rules`, after the anchor, such as clip_relative+rect:share=0.2."""
    m: int = 16
    """Value dimension (rows of W)."""
    n: int = 32
    """Key dimension (columns of W)."""
    edits: int = 1000
    """Edits a seed."""
    clamp: float = 0.75
    """c = ‖δ‖/‖Wk‖, the relative shift that a solve asks for."""
    values: Literal["orthogonal", "isotropic", "turned", "free"] = "orthogonal"
    """Law of v: Wk + δ with δ across Wk; with δ in any direction; a turned Wk of the same mean square norm;
    or normal of norm about c, whatever Wk is."""
    anisotropy: float = 1.0
    """Largest over smallest eigenvalue of the keys' covariance (geometric spectrum, trace n)."""
    weighting: float | None = None
    """λ of memit and memit_seq, μ² of rlsedit; default: n, the published ratio on GPT-J (15000 : 16384)."""
    ridge: float = 10.0
    """AlphaEdit's L2, whose projector here is P = I; λ² of rlsedit."""
    pilots: int = 200
    """Pilot solves a seed behind the anchor (1000 as published)."""
    batch: int = 1
    """Requests a write (rome: 1)."""
    block: int = 0
    """Writes computed at once by the blocked engine, such as 128, whose norms follow T1; 0 is step by step, as is a
    stream that cannot be blocked, which says so."""
    seed: int = 0
    """The first seed; repetition i uses seed + i."""
    dtype: Literal["float64", "float32"] = "float64"
    """Arithmetic of the memory and the rule; norms are always taken in float64."""
    device: str = "cpu"
    """A torch device."""


@dataclass(frozen=True)
class GrowConfig(Experiment):
    """One Monte-Carlo experiment: a rule on a linear memory, repeated over seeds."""

    seeds: int = 16
    """Independent repetitions; the intervals come from them alone."""
    keys: Literal["gaussian", "unseen"] = "gaussian"
    """Law of k: normal, or drawn from the null space of the current weight (needs m < n and --values free)."""
    burn_in: int | None = None
    """Edits left out of time averages; default: 8n, or half the edits where that is fewer."""
    confidence: float = 0.95
    """Level of the Student t intervals over seeds."""

    @property
    def lam(self) -> float:
        """The weight of C."""
        return float(self.n) if self.weighting is None else self.weighting

    @property
    def burn(self) -> int:
        """Edits left out of time averages."""
        return min(8 * self.n, self.edits // 2) if self.burn_in is None else self.burn_in


@dataclass(frozen=True)
class GrowCommand:
    """Measure growth, Lyapunov exponent or plateau over seeds and set them beside theory's prediction."""

    run: Annotated[GrowConfig, tyro.conf.arg(name="")] = field(default_factory=GrowConfig)
    """The experiment."""
    out: Path = Path("results/grow")
    """The run's folder."""


@dataclass(frozen=True)
class PhaseConfig:
    """The growth factor on a grid of clamp and key dimension (rome, C = I, isotropic keys)."""

    clamps: tuple[float, ...] = (0.25, 0.5, 1.0, 2.0)
    """The values of c."""
    dimensions: tuple[int, ...] = (8, 16, 32, 64)
    """The values of n."""
    m: int = 16
    """Value dimension."""
    edits: int = 200
    """Edits a seed."""
    seeds: int = 10
    """Repetitions a cell."""
    confidence: float = 0.95
    """Level of the Student t intervals over seeds."""
    seed: int = 0
    """The first seed."""


@dataclass(frozen=True)
class PhaseCommand:
    """Sweep the growth rate against clamp and key dimension, theory and simulation."""

    run: Annotated[PhaseConfig, tyro.conf.arg(name="")] = field(default_factory=PhaseConfig)
    """The sweep."""
    out: Path = Path("results/phase")
    """The sweep's folder."""


@dataclass(frozen=True)
class StreamConfig(Experiment):
    """One long stream in blocks: rows in chunks, statistics as it runs; stop it and give the same command again."""

    m: int = 768
    """Value dimension (rows of W)."""
    n: int = 3072
    """Key dimension (columns of W)."""
    edits: int = 20_000
    """Edits of the stream."""
    block: int = 128
    """Writes computed at once; norms follow T1 and are measured on the weight itself every n edits."""
    save_every: int = 4096
    """Writes between two saved states."""

    @property
    def steps(self) -> int:
        """Writes of the stream."""
        return math.ceil(self.edits / self.batch)

    def grown(self) -> GrowConfig:
        """The same experiment in `grow`'s terms."""
        return GrowConfig(**{option.name: getattr(self, option.name) for option in fields(Experiment)})


@dataclass(frozen=True)
class StreamCommand:
    """Run one long stream in blocks; a stopped one goes on with the same command and ends with the same rows."""

    run: Annotated[StreamConfig, tyro.conf.arg(name="")] = field(default_factory=StreamConfig)
    """The stream."""
    out: Path = Path("results/stream")
    """The stream's folder."""


@dataclass(frozen=True)
class ConfrontCommand:
    """Set theory's predictions beside Monte Carlo, each in several settings; exit status 1 if a twin is accepted."""

    names: tyro.conf.Positional[tuple[str, ...]] = ()
    """ids ("S4.ridge") or families ("S4"); all without it"""
    seeds: int = 16
    """Repetitions of a setting, as each family scales them."""
    json: Path | None = None
    """also write the rows as JSON, in the format of claims.json"""


def demand(holds: bool, option: str, value: object, remedy: str) -> None:
    """Raise Misuse, naming the option, its value and the remedy, unless a condition holds."""
    if not holds:
        raise Misuse(f"--{option} is {value}; {remedy}")


def check(config: GrowConfig) -> None:
    """Raise Misuse unless the experiment can be run; the message names the option, its value and the remedy."""
    demand(config.n >= 3, "n", config.n, "a mean of 1/‖k‖² needs a key dimension of at least 3")
    demand(config.m >= 2, "m", config.m, "a shift across Wk needs a value dimension of at least 2")
    demand(config.edits >= 2, "edits", config.edits, "give at least 2")
    demand(config.seeds >= 2, "seeds", config.seeds, "an interval needs at least 2 seeds, such as 16")
    demand(0 < config.clamp < math.inf, "clamp", config.clamp, "it must be positive, such as 0.75")
    demand(1 <= config.anisotropy < math.inf, "anisotropy", config.anisotropy, "it is at least 1 (isotropic keys)")
    demand(0 < config.lam < math.inf, "weighting", config.weighting, "it must be positive, such as the key dimension")
    demand(0 < config.ridge < math.inf, "ridge", config.ridge, "it must be positive, such as 10")
    demand(config.pilots >= 2, "pilots", config.pilots, "give at least 2, such as 200")
    demand(config.batch >= 1, "batch", config.batch, "give at least 1")
    demand(0 <= config.seed < 2**63, "seed", config.seed, "give a number from 0 to 2⁶³ − 1")
    demand(0 < config.confidence < 1, "confidence", config.confidence, "it lies between 0 and 1, such as 0.95")
    demand(0 <= config.burn < config.edits, "burn-in", config.burn, f"it must be below --edits {config.edits}")
    single = config.rule != "rome" or config.batch == 1
    demand(single, "batch", config.batch, "rome writes one key at a time; use --rule memit for a batch")
    plain = config.rule != "alphaedit" or config.metric == "identity"
    demand(plain, "metric", config.metric, "alphaedit makes its own metric; leave it at identity")
    if config.transforms:
        from sim.compose import chosen_transforms

        chosen_transforms(config.transforms)
    demand(config.block >= 0, "block", config.block, "give 0 for step by step, or such as 128")
    if config.keys == "unseen":
        demand(config.m < config.n, "m", config.m, f"--keys unseen needs m below --n {config.n}")
        demand(config.values == "free", "values", config.values, "--keys unseen reads out zero; use --values free")
        demand(config.anisotropy == 1, "anisotropy", config.anisotropy, "--keys unseen has no covariance; use 1")


def check_stream(config: StreamConfig) -> None:
    """Raise Misuse unless the stream can be run."""
    check(config.grown())
    if config.transforms:
        from sim.compose import chosen_transforms

        values_only = not chosen_transforms(config.transforms)[1]
        demand(
            values_only, "transforms", config.transforms, "a delta transform goes step by step; use python -m sim grow"
        )
    demand(config.block >= 1, "block", config.block, "give at least 1, such as 128")
    demand(config.save_every >= 1, "save-every", config.save_every, "give at least 1, such as 4096")


def check_phase(config: PhaseConfig) -> None:
    """Raise Misuse unless every cell of the sweep can be run."""
    demand(bool(config.clamps), "clamps", config.clamps, "give at least one")
    demand(bool(config.dimensions), "dimensions", config.dimensions, "give at least one")
    for cell in cells(config):
        check(cell)


def cells(config: PhaseConfig) -> tuple[GrowConfig, ...]:
    """The sweep's experiments, one a grid cell, each on seeds of its own."""
    grid = [(clamp, n) for clamp in config.clamps for n in config.dimensions]
    return tuple(
        GrowConfig(
            m=config.m,
            n=n,
            clamp=clamp,
            edits=config.edits,
            seeds=config.seeds,
            confidence=config.confidence,
            seed=config.seed + index * config.seeds,
            burn_in=0,
        )
        for index, (clamp, n) in enumerate(grid)
    )


def command_line(config: GrowConfig) -> str:
    """The line that runs this experiment.

    >>> command_line(GrowConfig(rule="memit", anchor=True, burn_in=5))
    'python -m sim grow --rule memit --anchor --burn-in 5'
    """
    words = ["python -m sim grow"]
    for option in fields(config):
        value, name = getattr(config, option.name), option.name.replace("_", "-")
        if isinstance(value, bool) and value != option.default:
            words.append(f"--{name}" if value else f"--no-{name}")
        elif value != option.default:
            words.append(f"--{name} {value}")
    return " ".join(words)
