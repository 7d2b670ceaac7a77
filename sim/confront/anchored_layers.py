"""T5 for several edited layers beside simulation: spread writes by the project's own hard rule."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator, Tensor

from sim.confront.anchored_streams import GROUP, batched_rome, blocks
from sim.confrontation import Setting, confront
from sim.editor import Edit, editor
from sim.lowrank import apply_delta
from sim.values.anchor_norm import anchor_norm
from theory.claim import Claim


def layers_claim(seeds: int) -> Claim[Any]:
    """Spread hard writes over p linear layers with NAS on the last one's value: the first layer's norm."""
    cases = ((2, 4, 6), (3, 4, 6), (2, 6, 5))
    edits = 15

    def samples(layers: int, m: int, n: int) -> NDArray[np.float64]:
        groups = [range(6 * seeds)[at : at + GROUP] for at in range(0, 6 * seeds, GROUP)]
        return np.array([norm for group in groups for norm in first_layers(layers, m, n, edits, group)])

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


def first_layers(layers: int, m: int, n: int, edits: int, seeds: range) -> list[float]:
    """‖W_1‖²_F after some edits, of every seed's stream; the streams are blocks of one memory a layer."""
    generators = [Generator().manual_seed(9500 + seed) for seed in seeds]
    rule, anchor = editor(batched_rome(torch.eye(n * len(seeds), dtype=torch.float64))), anchor_norm(1.0)
    weights = [torch.zeros(m * len(seeds), n * len(seeds), dtype=torch.float64) for _ in range(layers)]
    state = rule.init(weights[0])
    for _ in range(edits):
        drawn = [draw(layers, m, n, generator) for generator in generators]
        keys = [torch.block_diag(*(asked[0][i] for asked in drawn)) for i in range(layers)]
        solved = torch.block_diag(*(value for _, value in drawn))
        asked = Edit(keys[-1], weights[-1] @ keys[-1], solved)
        residual = anchor.update(asked, (), weights[-1])[0].residuals
        for i, weight in enumerate(weights):
            part, read = residual / (layers - i), weight @ keys[i]
            delta, _, _ = rule.write(Edit(keys[i], read, read + part), state, weight)
            weights[i] = apply_delta(weight, delta)
            residual = residual - part
    return [float(block.square().sum()) for block in blocks(weights[0], len(seeds))]


def draw(layers: int, m: int, n: int, generator: Generator) -> tuple[Tensor, Tensor]:
    """(layers, n, 1) isotropic keys of length √n and a solved value (m, 1)."""
    drawn = torch.randn(layers, n, 1, generator=generator, dtype=torch.float64)
    solved = torch.randn(m, 1, generator=generator, dtype=torch.float64)
    return drawn / drawn.norm(dim=1, keepdim=True) * n**0.5, solved
