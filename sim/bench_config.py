"""What a user may choose when the engines are timed; nothing here imports torch."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

import tyro

from sim.config import demand

BenchRule = Literal["rome", "memit", "rome_c", "memit_c", "memit_seq", "alphaedit", "rlsedit"]


@dataclass(frozen=True)
class BenchConfig:
    """Time an edit by the textbook loop, the step engine and the blocked engine; a process a row."""

    rules: tuple[BenchRule, ...] = ("rome", "memit", "rome_c", "memit_c", "memit_seq", "alphaedit", "rlsedit")
    """Rules; "_c" has a covariance C, which the accumulating ones always have."""
    m: int = 768
    """Value dimension."""
    n: int = 3072
    """Key dimension."""
    dtypes: tuple[Literal["float64", "float32"], ...] = ("float64", "float32")
    """Arithmetic."""
    block: int = 128
    """Edits computed at once."""
    edits: int = 2048
    """Edits of the blocked engine."""
    step_edits: int = 20
    """Edits of the step engine, which the blocked engine's first ones are held against."""
    textbook_edits: int | None = None
    """Edits of the textbook loop, held against as well; default: as many as of the step engine."""
    seed: int = 0
    """Of weight, keys and directions."""
    device: str = "cpu"
    """A torch device."""
    json: Path | None = None
    """also write the rows as JSON"""


@dataclass(frozen=True)
class ScalingConfig:
    """Time an edit of the blocked engine against key and value dimension, block size and trials in one tensor."""

    rules: tuple[BenchRule, ...] = ("rome", "memit_seq")
    """Rules, as in `bench`."""
    ns: tuple[int, ...] = (256, 512, 1024, 2048, 4096)
    """Key dimensions, at m and block below."""
    ms: tuple[int, ...] = (128, 256, 512, 1024, 2048)
    """Value dimensions, at n and block below."""
    blocks: tuple[int, ...] = (1, 4, 16, 64, 256, 1024)
    """Block sizes, at m and n below."""
    trials: tuple[int, ...] = (1, 4, 16, 64, 256)
    """Trials in one tensor, at trial_m and trial_n and blocks of trial_n."""
    m: int = 512
    """Value dimension where another size varies."""
    n: int = 1024
    """Key dimension where another size varies."""
    block: int = 128
    """Block size where another size varies."""
    trial_m: int = 16
    """Value dimension of the trials."""
    trial_n: int = 32
    """Key dimension of the trials."""
    repeats: int = 7
    """Timed runs a setting, of n edits each."""
    dtype: Literal["float64", "float32"] = "float64"
    """Arithmetic."""
    seed: int = 0
    """Of weight, keys and directions."""
    device: str = "cpu"
    """A torch device."""


@dataclass(frozen=True)
class ScalingCommand:
    """Time an edit of the blocked engine against every size, and state the exponents."""

    run: Annotated[ScalingConfig, tyro.conf.arg(name="")] = field(default_factory=ScalingConfig)
    """The sizes."""
    out: Path = Path("results/scaling")
    """The run's folder."""


def check_bench(config: BenchConfig) -> None:
    """Raise Misuse unless the benchmark can be run."""
    for option in ("m", "n", "block", "edits", "step_edits", "textbook_edits"):
        value, least = getattr(config, option), 2 if option in ("m", "n") else 1
        if value is None:
            continue
        demand(value >= least, option.replace("_", "-"), value, f"give at least {least}")
    demand(config.n >= 8, "n", config.n, "give at least 8, so that AlphaEdit's projector protects a direction")
    demand(0 <= config.seed < 2**63, "seed", config.seed, "give a number from 0 to 2⁶³ − 1")
    demand(bool(config.rules), "rules", config.rules, "name at least one")
    demand(bool(config.dtypes), "dtypes", config.dtypes, "name at least one")


def check_scaling(config: ScalingConfig) -> None:
    """Raise Misuse unless every size can be timed, and each size that varies has values enough for an exponent."""
    for option in ("ns", "ms", "blocks", "trials"):
        values, least = getattr(config, option), 8 if option == "ns" else 2 if option == "ms" else 1
        demand(min(values, default=0) >= least, option, values, f"give numbers from {least} on")
        demand(len(set(values)) == len(values) >= 2, option, values, "an exponent needs two sizes, each given once")
    demand(max(config.blocks) <= config.n, "blocks", config.blocks, f"a block has at most --n {config.n} writes")
    demand(
        config.block <= min(config.ns), "block", config.block, f"a block has at most min(--ns) {min(config.ns)} writes"
    )
    for option in ("m", "n", "block", "trial_m", "trial_n"):
        value, least = getattr(config, option), 8 if option in ("n", "trial_n") else 2 if option != "block" else 1
        demand(value >= least, option.replace("_", "-"), value, f"give at least {least}")
    demand(config.repeats >= 2, "repeats", config.repeats, "an interval needs at least 2, such as 7")
    demand(0 <= config.seed < 2**63, "seed", config.seed, "give a number from 0 to 2⁶³ − 1")
    demand(bool(config.rules), "rules", config.rules, "name at least one")
