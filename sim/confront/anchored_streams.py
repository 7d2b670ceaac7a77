"""Independent anchored streams side by side: one memory of blocks, so that one write of the project's rule serves all.

Block j of the memory is stream j's weight, its keys lie in block j and so do its values. With a block-diagonal metric
H = KᵀMK is block-diagonal too, and the batch's write is each stream's own: a tensor operation for all of them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator, Tensor

from sim.editor import Edit, Solver, Transform, editor
from sim.engine import write_in_place
from sim.memory import KeyLaw, LinearMemory, ValueLaw
from sim.metric import Metric, inverse_metric
from sim.rules.metric_write import hard, metric_write

GROUP = 8  # streams a memory: more cost in flops what they save in calls

Rule = Callable[[Tensor], Solver]
"""C, the covariance of a memory's keys -> its solver."""


class Streams(NamedTuple):
    """What independent streams measured.

    Attributes:
        norm_sq: (seeds, edits + 1) ‖W_t‖²_{M⁻¹} on the actual weights.
        readout_sq: (seeds, edits) Σ ‖Wk‖² over a write's keys, before it.
        s: (seeds, edits) Σ kᵀMk over a write's keys.
        share: (seeds, edits) η, of the whole write: what it moved along its residuals, Σ r·Δk / Σ ‖r‖².
    """

    norm_sq: NDArray[np.float64]
    readout_sq: NDArray[np.float64]
    s: NDArray[np.float64]
    share: NDArray[np.float64]


def batched_rome(matrix: Tensor) -> Solver:
    """The hard write of a batch in the metric C⁻¹ (EMMET's): rome's gain without its limit to one key."""
    metric = inverse_metric(matrix)

    def solve(edit: Edit, state: Any, weight: Tensor) -> Any:
        return *metric_write(edit, metric, hard, weight), state

    return Solver(lambda weight: metric, solve, lambda keys, state: state, lambda state: metric)


def streams(
    rule: Rule,
    covariance: Tensor,
    values: Transform[Edit],
    memory: tuple[Tensor, KeyLaw, ValueLaw],
    edits: int,
    seeds: int,
    *,
    batch: int = 1,
    first: int = 9000,
) -> Streams:
    """Run independent streams from one weight; stream j draws from a generator of its own, seeded first + j.

    Args:
        rule: C -> solver, of a fixed metric.
        covariance: C (n, n) of one stream's rule.
        values: the value transforms, NAS among them.
        memory: W_0 (m, n) and the laws of keys and of values.
        edits: writes a stream.
        seeds: how many streams.
        batch: u, keys a write.
        first: seed of the first stream.
    """
    generators = [Generator().manual_seed(first + seed) for seed in range(seeds)]
    groups = [generators[at : at + GROUP] for at in range(0, seeds, GROUP)]
    runs = [run_group(rule, covariance, values, memory, edits, group, batch) for group in groups]
    return Streams(*(np.concatenate(parts) for parts in zip(*runs, strict=True)))


def run_group(
    rule: Rule,
    covariance: Tensor,
    values: Transform[Edit],
    memory: tuple[Tensor, KeyLaw, ValueLaw],
    edits: int,
    generators: list[Generator],
    batch: int,
) -> Streams:
    """One memory of blocks, one stream a block."""
    start, key_law, value_law = memory
    count, requests = len(generators), LinearMemory(start, key_law, value_law)
    edit_by, own = editor(rule(torch.block_diag(*[covariance] * count)), values=values), rule(covariance)
    weight = torch.block_diag(*[start] * count)
    state, metric = edit_by.init(weight), own.metric(own.init(start))
    norms, rows = [block_norms(metric, weight, count)], []
    for _ in range(edits):
        asked = [requests.request(W, batch, draw) for W, draw in zip(blocks(weight, count), generators, strict=True)]
        together = Edit(*(torch.block_diag(*parts) for parts in zip(*asked, strict=True)))
        edit, state = edit_by.target(together, state, weight)
        delta, state, _ = edit_by.write(edit, state, weight)
        gram = (edit.keys * edit_by.metric(state).times(edit.keys)).sum(dim=0)
        moved = (edit.residuals * (delta @ edit.keys)).sum(dim=0)
        square = edit.residuals.square().sum(dim=0)
        reads, sizes, along, of = (
            part.view(count, batch).sum(dim=1) for part in (edit.readouts.square().sum(dim=0), gram, moved, square)
        )
        rows.append(torch.stack((reads, sizes, along / of)))
        write_in_place(weight, delta)
        norms.append(block_norms(metric, weight, count))
    measured = torch.stack(rows, dim=2).numpy()
    return Streams(torch.stack(norms, dim=1).numpy(), *measured)


def blocks(weight: Tensor, count: int) -> list[Tensor]:
    """The diagonal blocks of a memory of `count` streams."""
    m, n = weight.shape[0] // count, weight.shape[1] // count
    return [weight[m * j : m * (j + 1), n * j : n * (j + 1)] for j in range(count)]


def block_norms(metric: Metric, weight: Tensor, count: int) -> Tensor:
    """(count,) ‖W_j‖²_{M⁻¹}."""
    return torch.stack([metric.norm_sq(block) for block in blocks(weight, count)])
