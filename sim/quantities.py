"""The table of an experiment: each quantity as theory foretells it and as the seeds measured it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from sim.config import GrowConfig
from sim.montecarlo import (
    Interval,
    Path,
    exponents,
    finite_paths,
    mean_factors,
    plateaus,
    relative_paths,
    student_interval,
    worst_error,
)
from sim.prediction import (
    Foretold,
    accumulates,
    exponent_bound,
    exponent_estimate,
    growth_factor,
    isotropic,
    starting_ridge,
)
from theory.accumulating.mean_field import accumulating_growth
from theory.anchoring.plateaus import plateau


@dataclass(frozen=True)
class Quantity:
    """One row of the table.

    Attributes:
        name: what is measured.
        predicted: theory's number, or None where it has none.
        relation: "=" exact in the mean, "≤" a bound, "≈" an approximation, "" without prediction.
        measured: the mean over seeds.
        low: lower end of its interval, or None where there is none.
        high: upper end.
    """

    name: str
    predicted: float | None
    relation: str
    measured: float
    low: float | None = None
    high: float | None = None


def quantity(name: str, foretold: Foretold | None, interval: Interval) -> Quantity:
    """A row from a prediction and an interval."""
    value, relation = (None, "") if foretold is None else foretold
    return Quantity(name, value, relation, *interval)


def measure_quantities(config: GrowConfig, paths: Sequence[Path]) -> list[Quantity]:
    """Every quantity that the experiment can speak of, from its finite seeds.

    Args:
        config: the experiment.
        paths: what its seeds measured.

    Returns:
        The rows of the table; T1's identity is always the last. Where seeds overflowed, the row before it counts
        them: the others are survivors, so what they say of growth is too small.

    Fewer than two finite seeds leave no growth or plateau.
    """
    whole = finite_paths(paths)
    dropped = len(paths) - len(whole)
    table: list[Quantity] = []
    if len(whole) < 2:
        pass
    elif config.keys == "unseen":
        table = [worst_case_quantity(config, whole)]
    elif config.anchor:
        table = [plateau_quantity(config, whole)]
    elif accumulates(config):
        table = accumulation_quantities(config, whole)
    else:
        table = growth_quantities(config, whole)
    if dropped:
        table.append(
            Quantity(f"seeds dropped of {len(paths)} (overflow: survivors bias growth down)", None, "", float(dropped))
        )
    return [*table, Quantity("T1's relative error, worst write", 0.0, "=", worst_error(paths))]


def growth_quantities(config: GrowConfig, paths: Sequence[Path]) -> list[Quantity]:
    """The mean factor and the Lyapunov exponent of a memoryless rule, per write."""
    factors = student_interval(mean_factors(paths), config.confidence)
    typical = student_interval(exponents(paths, config.burn // config.batch), config.confidence)
    estimate = exponent_estimate(config)
    return [
        quantity("mean growth factor R'/R", growth_factor(config), factors),
        quantity("Lyapunov exponent of R", exponent_bound(config), typical),
        *([quantity("the same, by second moments", estimate, typical)] if estimate else []),
    ]


def plateau_quantity(config: GrowConfig, paths: Sequence[Path]) -> Quantity:
    """The time average of R/a² after the burn-in, against n/(n − 2) where the write is hard and isotropic."""
    # A hard write forgets over n edits; how fast a soft or an accumulating one does is not foretold here.
    relaxed = config.rule == "rome" and config.burn >= 8 * config.n and not config.transforms
    name = "plateau R/a²" if relaxed else f"mean R/a² after {config.burn} edits"
    foretold = Foretold(float(plateau(1.0, config.n))) if relaxed and isotropic(config) else None
    return quantity(name, foretold, student_interval(plateaus(paths, config.burn // config.batch), config.confidence))


def accumulation_quantities(config: GrowConfig, paths: Sequence[Path]) -> list[Quantity]:
    """R_t/R_0 of a rule that adds up its keys, against T3b's mean field."""
    relative = relative_paths(paths)
    law = accumulation_law(config)
    return [
        quantity(
            f"R_t/R_0 at t = {step * config.batch}",
            None if law is None else Foretold(float(law[step]), "≈"),
            student_interval(relative[:, step], config.confidence),
        )
        for step in accumulation_points(config)
    ]


def accumulation_points(config: GrowConfig) -> list[int]:
    """The steps at which R_t is reported: n/2, n, 2n, 4n where the run reaches them, and its end."""
    last = math.ceil(config.edits / config.batch)
    marks = [math.ceil(config.n * share / config.batch) for share in (0.5, 1, 2, 4)]
    return sorted({mark for mark in marks if mark <= last} | {last})


def accumulation_law(config: GrowConfig) -> np.ndarray | None:
    """T3b's R_t/R_0 for t = 0..edits; None where the mean field does not speak."""
    speaks = config.values in ("orthogonal", "isotropic") and config.batch == 1 and config.anisotropy == 1
    plain = not (config.anchor or config.transforms) and config.keys == "gaussian" and isotropic(config)
    if not (accumulates(config) and plain and speaks):
        return None
    return np.asarray(accumulating_growth(config.n, starting_ridge(config), config.clamp, config.edits))


def worst_case_quantity(config: GrowConfig, paths: Sequence[Path]) -> Quantity:
    """‖W_T‖² over ‖W_0‖² + Σ‖v_i‖²/s_i, which keys outside W's rows attain (one hard key a write)."""
    ratios = [
        float(path.rows["norm_sq_after"].iloc[-1])
        / (float(path.rows["norm_sq"].iloc[0]) + float((path.rows["value_norm"] ** 2 / path.rows["s"]).sum()))
        for path in paths
    ]
    hard = config.rule == "rome" and config.metric == "identity" and not config.transforms
    foretold = Foretold(1.0) if hard else None
    return quantity("‖W_T‖² / (‖W_0‖² + Σ‖v‖²/s)", foretold, student_interval(ratios, config.confidence))


def law_path(config: GrowConfig, start: float) -> np.ndarray | None:
    """Theory's mean of ‖W_t‖² for t = 0..edits from ‖W_0‖² = `start`, where it has one; else None."""
    law = accumulation_law(config)
    if law is not None:
        return start * law
    factor = growth_factor(config)
    if factor is None or factor.relation != "=" or config.anisotropy != 1:
        return None
    with np.errstate(over="ignore"):
        return start * factor.value ** np.arange(config.edits + 1)


def step_table(config: GrowConfig, paths: Sequence[Path]) -> pd.DataFrame:
    """One row a step over the seeds that are still finite there.

    Columns: `step`, `edits`, `seeds` (finite ones), the mean of each measured field, `weight_norm_median`, `_q05`
    and `_q95` of ‖W‖_F after the write, `error_worst` of T1, and `norm_sq_law`, theory's mean of ‖W‖²_F or null.
    """
    rows = pd.concat([path.rows.loc[path.rows["finite"]] for path in paths], ignore_index=True)
    by_step = rows.groupby("step")
    means = by_step.mean(numeric_only=True).drop(columns=["finite"])
    norms = by_step["weight_norm_after"]
    start = float((rows.loc[rows["step"] == 1, "weight_norm"] ** 2).mean())
    law = law_path(config, start)
    steps = means.index.to_numpy()
    return means.assign(
        seeds=by_step.size(),
        weight_norm_median=norms.median(),
        weight_norm_q05=norms.quantile(0.05),
        weight_norm_q95=norms.quantile(0.95),
        error_worst=by_step["error"].max(),
        norm_sq_law=np.full(len(steps), np.nan) if law is None else law[steps],
    ).reset_index()


def seed_table(config: GrowConfig, paths: Sequence[Path]) -> pd.DataFrame:
    """One row a seed: how far it came, its anchor, and where its norm began and ended."""
    return pd.DataFrame(
        {
            "seed": config.seed + index,
            "steps": len(path.rows),
            "finite": bool(path.rows["finite"].all()),
            "anchor": path.anchor.norm if path.anchor else None,
            "anchor_error": path.anchor.standard_error if path.anchor else None,
            "weight_norm_first": float(path.rows["weight_norm"].iloc[0]),
            "weight_norm_last": float(path.rows["weight_norm_after"].iloc[-1]),
            "error_worst": worst_error([path]),
        }
        for index, path in enumerate(paths)
    )
