"""The growth rate of a run foretold by theory: its keys before any edit, its values from the stream's beginning."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from real_models.finished import Run
from real_models.keys import read_keys
from theory.claim import Claim, Evidence, Kind, Verdict
from theory.fits import mean_rate
from theory.growth.value_models import ValueModel, isotropic_factor

SEEN = 100
"""Edits whose values the forecast may read; it speaks of the edits after them."""
FACTOR = 1.5
"""A forecast of the rate that is off by less than this factor counts as one."""

Forecast = Callable[[ValueModel, NDArray[np.float64], NDArray[np.float64], int], float]
"""(value model, keys (N, n), weight (m, n), edits) -> the mean increment of log ‖W‖ per edit after `SEEN` of them."""


def measured_values(rows: pd.DataFrame) -> ValueModel:
    """b and ω of hard writes from norms alone: v·Wk = (‖v‖² + ‖Wk‖² − ‖r‖²)/2, each key weighted by 1/s as in T1."""
    weight = 1 / rows["s"]
    read, value = rows["readout_norm"] ** 2, rows["value_norm"] ** 2
    along = (value + read - rows["residual_norm"] ** 2) / 2
    kept = float((weight * along).sum() / (weight * read).sum())
    noise = float((weight * (value - 2 * kept * along + kept**2 * read)).sum() / (weight * read).sum())
    return ValueModel(kept - 1, float(np.sqrt(max(noise, 0.0))), 0.0)


def from_keys(model: ValueModel, keys: NDArray[np.float64], weight: NDArray[np.float64], edits: int) -> float:
    """T3's map of every write in turn, at the stream's own keys: the mean is over the values alone."""
    path = path_along(keys[:edits], model, weight.T @ weight)
    return float(np.log(path[-1] / path[SEEN]) / 2 / (edits - SEEN))


def path_along(keys: NDArray[np.float64], model: ValueModel, start: NDArray[np.float64]) -> NDArray[np.float64]:
    """E‖W_t‖²_F along given keys, hard writes with M = I.

        S' = S + b(Skkᵀ + kkᵀS)/s + (b² + ω²)(kᵀSk)kkᵀ/s² + τ²kkᵀ/s²,   s = ‖k‖²,   S_0 = W_0ᵀW_0

    Args:
        keys: (N, n), in the order of the edits.
        model: of the values; its noise has mean 0 given the weight.
        start: S_0 (n, n).

    Returns:
        (N + 1,) tr S_t.
    """
    b, spread, state, norms = model.pull, model.pull**2 + model.relative**2, start.copy(), [float(np.trace(start))]
    for key in keys:
        s = key @ key
        image = state @ key
        gain = (spread * (key @ image) / s + model.absolute**2 / s) / s
        half = b * image / s + gain / 2 * key
        state += np.outer(half, key) + np.outer(key, half)
        norms.append(norms[-1] + 2 * float(half @ key))
    return np.array(norms)


def from_dimension(model: ValueModel, keys: NDArray[np.float64], weight: NDArray[np.float64], edits: int) -> float:
    """The same with isotropic keys: nothing but their dimension is used."""
    return float(np.log(isotropic_factor(keys.shape[1], model)) / 2)


def forecast_claim(plain: Run, keys: Run) -> Claim[Forecast]:
    """T3's forecast beside the rate that was measured."""

    def check(forecast: Forecast) -> Evidence:
        rate = mean_rate(plain.log_norm[SEEN:])
        model = measured_values(plain.rows.iloc[:SEEN])
        drawn, weight = (part.numpy() for part in read_keys(keys.folder))
        told = forecast(model, drawn, weight, len(plain.rows))
        alone = from_dimension(model, drawn, weight, len(plain.rows))
        return Evidence(
            1 / FACTOR < told / rate.mean < FACTOR,
            measured=rate.mean,
            expected=told,
            tolerance=(FACTOR - 1) * rate.mean,
            interval=(rate.low, rate.high),
            steps=(
                f"values of the first {SEEN} edits: b = {model.pull:.3f}, ω = {model.relative:.3f}",
                f"foretold {told:.5f} an edit, {told / rate.mean:.2f} of what edits {SEEN} to {len(plain.rows)} showed",
                f"isotropic keys of dimension {drawn.shape[1]} would give {alone:.5f}, {alone / rate.mean:.2f} of it",
            ),
        )

    return Claim(
        "M1.forecast",
        "P2, T3",
        Kind.MEASURED,
        f"ROME (C = I) without NAS on the trained transformer: the rate of log ‖W‖ after the first {SEEN} edits, "
        f"foretold by T3 from the keys of the unedited model and the values of those {SEEN} edits, is within a factor "
        f"{FACTOR} of the measured one (conditional: the values' law is taken to stay, this model, this stream)",
        check,
        from_keys,
        from_dimension,
        "the key dimension alone foretells it as well (isotropic keys)",
        verdict=Verdict.CONDITIONAL,
        command=keys.command,
    )
