"""What a run's folder foretells: each stream's collapse point and the growth of its edited norm so far."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from real_models.collapse.foretell import foretell
from real_models.collapse.point import collapse_point
from sim.results import read_json
from sim.resume import load_state
from theory.command import Misuse
from theory.fits import mean_rate

FEWEST = 40
"""Writes below which no rate is told."""


def outlooks(folder: Path, score: str) -> list[dict[str, Any]]:
    """One row a stream of a folder that `edit` or `compare` made, finished, stopped or still running.

    Args:
        folder: the run's.
        score: a score in percent, such as "score_rescaled".

    Returns:
        For each stream its name, edits so far, ‖W‖ of the last edited layer in units of the unedited one, the rate of
        log ‖W‖ an edit over the later half of the edits with its interval, and the collapse point: measured where it
        is past, foretold otherwise.

    Raises:
        Misuse: the folder holds no run that was evaluated, or its checkpoints have no such score.
    """
    rows, points, horizon = read_run(folder)
    if score not in points or not pd.api.types.is_numeric_dtype(points[score]):
        known = ", ".join(name for name in points.columns.astype(str) if name.startswith("score"))
        raise Misuse(f"--score {score} is not in {folder}'s checkpoints; choose among {known}")
    names = [name for name in ("editor", "seed") if name in points]
    streams: list[tuple[Any, pd.DataFrame]] = list(points.groupby(names, sort=False)) if names else [((), points)]
    told = []
    for key, own in streams:
        name = dict(zip(names, key, strict=True))
        mine = rows
        for column, value in name.items():
            mine = mine[mine[column] == value]
        point, made = collapse_point(own, score), foretell(own, horizon, score)
        if point.seen:
            text = f"collapsed in {point}"
        elif own["step"].max() >= horizon:
            text = f"no collapse in {horizon} edits"
        else:
            text = "nothing evaluated yet" if made is None else str(made)
        told.append(name | {"edits": int(own["step"].max()), **growth(mine), "outlook": text})
    return told


def growth(rows: pd.DataFrame) -> dict[str, float]:
    """‖W‖ in units of the unedited norm, and the mean increment of log ‖W‖ an edit with a 95 % interval."""
    if rows.empty:
        return {"ratio": 1.0, "rate": np.nan, "rate_low": np.nan, "rate_high": np.nan}
    last = rows[rows["layer"] == rows["layer"].iloc[-1]]
    norms = np.append(last["weight_norm"].iloc[0], last["weight_norm_after"])
    logs = np.log(norms[np.isfinite(norms)])
    if len(logs) <= FEWEST:
        return {"ratio": float(norms[-1] / norms[0]), "rate": np.nan, "rate_low": np.nan, "rate_high": np.nan}
    rate = mean_rate(logs[len(logs) // 2 :])
    return {"ratio": float(norms[-1] / norms[0]), "rate": rate.mean, "rate_low": rate.low, "rate_high": rate.high}


def read_run(folder: Path) -> tuple[pd.DataFrame, pd.DataFrame, int]:
    """A run's rows, its checkpoints, and how many edits it is to have."""
    if not (folder / "config.json").is_file():
        raise Misuse(f"{folder} is not the folder of a run; pass what `edit` or `compare` was given as --out")
    config = read_json(folder / "config.json")
    horizon = config.get("edits", config.get("run", {}).get("edits"))
    if (folder / "summary.json").exists() and (folder / "checkpoints.parquet").exists():
        rows, points = (pd.read_parquet(folder / f"{name}.parquet") for name in ("rows", "checkpoints"))
    else:
        saved = load_state(folder)
        if saved is None:
            raise Misuse(f"{folder} holds no evaluation yet; ask again when it does")
        rows, points = (pd.DataFrame(saved[2].get(name, [])) for name in ("rows", "checkpoints"))
    if horizon is None or "step" not in points:
        raise Misuse(f"{folder} holds no stream of edits; pass what `edit` or `compare` was given as --out")
    return rows, points, int(horizon)
