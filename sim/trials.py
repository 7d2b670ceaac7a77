"""One trial of a sweep, and the store of finished trials that a re-run reads."""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import asdict
from pathlib import Path
from typing import Any

from sim.config import GrowConfig
from sim.results import code_digest, only_finite, plain, read_json
from theory.command import Misuse
from theory.files import write_json

Result = dict[str, Any]


def run_trial(config: GrowConfig) -> Result:
    """Run one trial on one thread.

    Args:
        config: the experiment; `seed` is the trial's.

    Returns:
        seed; steps and finite; anchor; ‖W‖_F and ‖W‖²_{M⁻¹}, first and last; factor, the mean of R'/R over the finite
        writes; exponent, log(R_T/R_0)/T; error_worst of T1; skipped requests; step_by_step, why blocks were not used
        although asked for. A number that is not finite is None.
    """
    import torch

    from sim.montecarlo import exponents, mean_factors, run_seed, worst_error

    torch.set_num_threads(1)
    path = run_seed(config, 0)
    finite = bool(path.rows["finite"].all())
    kept = path._replace(rows=path.rows[path.rows["finite"]])
    result = {
        "seed": config.seed,
        "steps": len(path.rows),
        "finite": finite,
        "anchor": path.anchor.norm if path.anchor else None,
        "weight_norm_first": float(path.rows["weight_norm"].iloc[0]),
        "weight_norm_last": float(path.rows["weight_norm_after"].iloc[-1]),
        "norm_sq_first": float(path.rows["norm_sq"].iloc[0]),
        "norm_sq_last": float(path.rows["norm_sq_after"].iloc[-1]),
        "factor": float(mean_factors([kept])[0]) if len(kept.rows) else math.nan,
        "exponent": float(exponents([kept], 0)[0]) if len(kept.rows) else math.nan,
        "error_worst": worst_error([path]),
        "skipped": int(path.rows["skipped"].sum()),
        "step_by_step": path.stepwise,
    }
    return {name: only_finite(value) for name, value in result.items()}


def address(config: GrowConfig, code: str) -> str:
    """A trial's name in the store: a hash of its whole config and of the code that runs it.

    >>> address(GrowConfig(seed=1), "x") == address(GrowConfig(seed=2), "x")
    False
    """
    content = json.dumps({"config": asdict(config), "code": code}, sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()[:24]


class Store:
    """Finished trials, one JSON file each, named by what they ran.

    Args:
        folder: where the files lie; it is made when the first trial is kept.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.code = folder, code_digest()

    def place(self, config: GrowConfig) -> Path:
        """The trial's file."""
        return self.folder / f"{address(config, self.code)}.json"

    def keep(self, config: GrowConfig, result: Result) -> None:
        """Write a finished trial, atomically."""
        self.folder.mkdir(parents=True, exist_ok=True)
        write_json(self.place(config), {"config": plain(config), "code": self.code, "result": result})

    def find(self, config: GrowConfig) -> Result | None:
        """A finished trial's result, or None where it has not been run.

        Raises:
            Misuse: the file is broken, or holds another trial than its name says.
        """
        place = self.place(config)
        if not place.exists():
            return None
        found = read_json(place)
        if not isinstance(found, dict) or (found.get("config"), found.get("code")) != (plain(config), self.code):
            raise Misuse(f"{place} holds another trial than its name says; delete it and run again")
        return found["result"]
