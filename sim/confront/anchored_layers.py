"""T5 for several edited layers beside simulation: spread writes by the project's own hard rule."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator

from sim.confrontation import Setting, confront
from sim.editor import Edit, editor
from sim.lowrank import apply_delta
from sim.rules.rome import rome
from sim.values.anchor_norm import anchor_norm
from theory.claim import Claim


def layers_claim(seeds: int) -> Claim[Any]:
    """Spread hard writes over p linear layers with NAS on the last one's value: the first layer's norm."""
    cases = ((2, 4, 6), (3, 4, 6), (2, 6, 5))
    edits = 15

    def samples(layers: int, m: int, n: int) -> NDArray[np.float64]:
        return np.array([first_layer(layers, m, n, edits, seed) for seed in range(6 * seeds)])

    def predicted(layers: int, n: int, sign: int) -> float:
        return sum(1 + sign * last_layer(layers, n, t) for t in range(edits)) / (layers**2 * n)

    return confront(
        "S4.anchor_layers", "T5",
        "hard spread writes over p layers, NAS on the last one's value, isotropic keys of fixed length s = n, from "
        "W = 0: after 15 edits ‖W_1‖²_F of the first layer is Σ (a² + E‖W_p k_p‖²)/(p²s), which has no limit",
        settings=tuple(
            Setting(f"p = {p}, m = {m}, n = {n}", partial(samples, p, m, n)) for p, m, n in cases
        ),
        predicted=[predicted(p, n, 1) for p, _, n in cases],
        twin=[predicted(p, n, -1) for p, _, n in cases],
        twin_statement="it is Σ (a² − E‖W_p k_p‖²)/(p²s), as if the earlier layer contracted too",
    )  # fmt: skip


def last_layer(layers: int, n: int, edits: int) -> float:
    """E‖W_p k_p‖² = E‖W_p‖²_F of the last layer, from 0, a = 1: T5.soft_plateau with η = 1/p and s = n."""
    share = 1 / layers
    return (1 - (1 - share * (2 - share) / n) ** edits) / (2 * layers - 1)


def first_layer(layers: int, m: int, n: int, edits: int, seed: int) -> float:
    """‖W_1‖²_F after some edits of one stream."""
    generator = Generator().manual_seed(9500 + seed)
    rule, anchor = editor(rome()), anchor_norm(1.0)
    weights = [torch.zeros(m, n, dtype=torch.float64) for _ in range(layers)]
    state = rule.init(weights[0])
    for _ in range(edits):
        drawn = torch.randn(layers, n, 1, generator=generator, dtype=torch.float64)
        keys = drawn / drawn.norm(dim=1, keepdim=True) * n**0.5
        solved = torch.randn(m, 1, generator=generator, dtype=torch.float64)
        asked = Edit(keys[-1], weights[-1] @ keys[-1], solved)
        residual = anchor.update(asked, (), weights[-1])[0].residuals
        for i, weight in enumerate(weights):
            part, read = residual / (layers - i), weight @ keys[i]
            delta, _, _ = rule.write(Edit(keys[i], read, read + part), state, weight)
            weights[i] = apply_delta(weight, delta)
            residual = residual - part
    return float(weights[0].square().sum())
