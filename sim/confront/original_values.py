"""T5.original beside simulation: values solved on the original weight keep the norm without an anchor."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Generator

from sim.confront.anchoring import covariance
from sim.confrontation import Setting, confront
from sim.editor import editor
from sim.engine import run_stream
from sim.memory import LinearMemory, ValueLaw, draw_weight, gaussian_keys, isotropic_shift, orthogonal_shift
from sim.rules.rome import rome
from theory.anchoring.plateaus import original_norm_sq
from theory.claim import Claim
from theory.growth.isotropic import mean_growth

EDITS = 60


def mean_course(m: int, n: int, spread: float, values: ValueLaw, seeds: int) -> NDArray[np.float64]:
    """Each seed's mean of ‖W_t‖²_{M⁻¹}/‖W_0‖²_{M⁻¹} over t = 1..EDITS, M⁻¹ the keys' covariance."""
    sigma, found = covariance(n, spread), []
    for seed in range(seeds):
        generator = Generator().manual_seed(41_000 + seed)
        weight = draw_weight(m, n, generator)
        memory = LinearMemory(weight, gaussian_keys(sigma), values, original=True)
        rows = list(run_stream(editor(rome(sigma)), memory, EDITS, generator))
        found.append(np.mean([row["norm_sq_after"] for row in rows]) / rows[0]["norm_sq"])
    return np.asarray(found)


def original_claim(seeds: int) -> Claim[Any]:
    """NSE's policy, in three settings."""
    laws = {"across": orthogonal_shift, "any direction": isotropic_shift}
    cases = ((8, 16, 1.0, 0.75, "across"), (5, 10, 1.0, 1.5, "any direction"), (6, 8, 12.0, 1.0, "across"))
    edits = np.arange(1, EDITS + 1)
    return confront(
        "S5.original", "P7, T5",
        "ROME (C the keys' covariance), keys N(0, Σ), v = W_0k + δ solved on the original weight with ‖δ‖ = c‖W_0k‖ "
        "(NSE's policy), no anchor: the mean over 60 edits of ‖W_t‖²_{M⁻¹}/‖W_0‖²_{M⁻¹} is that of "
        "1 + c²(1 − (1 − 1/n)^t)",
        settings=[Setting(f"m = {m}, n = {n}, anisotropy {spread:g}, c = {c:g}, δ {law}", partial(
            mean_course, m, n, spread, laws[law](c), 4 * seeds)) for m, n, spread, c, law in cases],
        predicted=[float(original_norm_sq(1.0, c, n, edits).mean()) for _, n, _, c, _ in cases],
        twin=[float(np.mean(mean_growth(n, c) ** edits.astype(float))) for _, n, _, c, _ in cases],
        twin_statement="it grows like (1 + c²/n)^t, as when values are solved on the current weight",
    )  # fmt: skip


def claims(seeds: int) -> tuple[Claim[Any], ...]:
    """The family's claims."""
    return (original_claim(seeds),)
