"""What the ported PRUNE does to a collapse point: nothing, because it acts after the last edit only."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from sim.confront.collapse import Codes
from sim.deltas.prune import prune
from sim.editor import Transform, editor
from sim.lowrank import Delta
from sim.retrieval import relative_code, stream_collapse
from sim.rules.memit import memit
from theory.claim import Claim, Evidence, Kind
from theory.collapse.points import Bracket

Pruning = Callable[[int], Transform[Delta]]
"""The stream's length -> a delta transform."""

CODES = (Codes(32, 64, 1.5, seed=1300), Codes(32, 64, 2.0, seed=1400), Codes(24, 48, 1.5, seed=1700))


def ported(edits: int) -> Transform[Delta]:
    """PRUNE at the last write, its update added a second time."""
    return prune(at=edits, doubled=True)


def every_write(edits: int) -> Transform[Delta]:
    """PRUNE after every write."""
    return prune()


class Points(NamedTuple):
    """CP@60 of a seed under MEMIT and under MEMIT with a PRUNE."""

    plain: Bracket
    pruned: Bracket


def points(codes: Codes, pruning: Pruning, index: int) -> Points:
    """Both collapse points of one stream, on a grid of n/8 edits."""
    grid = list(range(codes.n // 8, 4 * codes.n + 1, codes.n // 8))
    found = []
    for deltas in (None, pruning(grid[-1])):
        stream = codes.stream(editor(memit(weighting=2.0), deltas=deltas), relative_code(codes.c), grid, index)
        found.append(stream_collapse(stream, 60.0))
    return Points(*found)


def prune_claim(seeds: int) -> Claim[Pruning]:
    """Equal collapse points of MEMIT and PRUNE follow from the port."""

    @functools.cache
    def run(pruning: Pruning) -> list[list[Points]]:
        return [[points(codes, pruning, index) for index in range(seeds // 2)] for codes in CODES]

    def check(pruning: Pruning) -> Evidence:
        settings = run(pruning)
        equal = [pair.plain == pair.pruned for pairs in settings for pair in pairs]
        steps = [
            f"{codes}: {sum(one.plain == one.pruned for one in pairs)} of {len(pairs)} streams equal; median CP@60 "
            f"{np.median([one.plain.high for one in pairs]):g} under MEMIT, "
            f"{np.median([one.pruned.high for one in pairs]):g} with this PRUNE, "
            f"{np.median([one.pruned.high for one in each]):g} with PRUNE after every write"
            for codes, pairs, each in zip(CODES, settings, run(every_write), strict=True)
        ]
        return Evidence(all(equal), measured=float(np.mean(equal)), expected=1.0, steps=tuple(steps))

    return Claim(
        "S6.prune", "P8",
        Kind.SIMULATED,
        "PRUNE as ported into AlphaEdit's and NAS's code (once, at the stream's last edit, its update added a second "
        "time) leaves MEMIT's CP@60 as it is, stream by stream: the equal collapse points that P8 reports of MEMIT and "
        "PRUNE follow from the port and say nothing of PRUNE",
        check, ported, every_write,
        "PRUNE after every write leaves it as it is",
    )  # fmt: skip


def claims(seeds: int) -> tuple[Claim[Pruning], ...]:
    """The family's claims."""
    return (prune_claim(seeds),)
