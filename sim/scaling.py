"""How the time of an edit grows with every size of the blocked engine, as exponents with intervals."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
from scipy import stats
from torch import Generator

from sim.bench import Drawn, contest, timed
from sim.bench_config import ScalingConfig
from sim.block_rows import Columns
from sim.blocked import BlockedStream, run_blocks
from sim.montecarlo import Interval, student_interval
from theory.command import Misuse


class Setting(NamedTuple):
    """One size of each kind, of which `axis` is the one that varies.

    Attributes:
        axis: "n", "m", "block" or "trials".
        m: value dimension.
        n: key dimension.
        block: writes computed at once.
        trials: trials in one tensor.
    """

    axis: str
    m: int
    n: int
    block: int
    trials: int


class Exponent(NamedTuple):
    """The slope of log time against log size.

    Attributes:
        rule: the rule.
        axis: the size that varies.
        low: the smallest size that the slope is taken over.
        high: the largest.
        slope: its mean over the repeats with its interval, which speaks of repeats in one process, back to back, and
            not of other runs.
    """

    rule: str
    axis: str
    low: int
    high: int
    slope: Interval


def settings(config: ScalingConfig) -> list[Setting]:
    """Every setting to be timed, axis by axis."""
    base = Setting("", config.m, config.n, config.block, 1)
    small = Setting("", config.trial_m, config.trial_n, config.trial_n, 1)
    return [
        *(base._replace(axis="n", n=n) for n in sorted(config.ns)),
        *(base._replace(axis="m", m=m) for m in sorted(config.ms)),
        *(base._replace(axis="block", block=block) for block in sorted(config.blocks)),
        *(small._replace(axis="trials", trials=trials) for trials in sorted(config.trials)),
    ]


def time_setting(config: ScalingConfig, rule: str, setting: Setting) -> Iterator[dict[str, Any]]:
    """Time n edits a repeat, so that each holds one measurement of the weight and one refresh of a growing metric.

    Yields:
        One row a repeat: rule, the setting, repeat, and `ms`, milliseconds an edit of one trial. Shifts are small, so
        that no norm leaves its range however often the few keys come round.
    """
    generator = Generator(config.device).manual_seed(config.seed)
    like = {"dtype": getattr(torch, config.dtype), "device": config.device}
    editor = contest(rule, setting.n, like["dtype"], config.device, generator).rule
    drawn = Drawn(setting.m, setting.n, 2 * setting.block, generator, like)
    memory = drawn.memory(ratio=1e-4)
    stream = BlockedStream(editor, memory, [generator] * setting.trials, block=setting.block)
    stream.advance(setting.block)
    for repeat in range(config.repeats):
        blocks: list[Columns] = []
        seconds = timed(partial(blocks.extend, run_blocks(stream, setting.n)), config.device)
        if sum(int(columns["finite"].all(axis=0).sum()) for columns in blocks) != setting.n:
            raise Misuse(f"a stream left the range of {config.dtype} at {setting}; use float64")
        yield {
            "rule": rule,
            **setting._asdict(),
            "repeat": repeat,
            "ms": 1e3 * seconds / (setting.n * setting.trials),
        }


def exponents(rows: Sequence[dict[str, Any]], confidence: float = 0.95) -> list[Exponent]:
    """The exponent of every rule along every axis.

        slope of log ms against log size, by least squares, one a repeat

    Over the upper half of the sizes for n and m, where products have left the fixed cost of a call behind; over the
    lower half for blocks and trials, which divide that cost.

    Args:
        rows: as `time_setting` yields them, of at least two repeats.
        confidence: level of the interval over repeats.

    Returns:
        One exponent a rule and axis.
    """
    found = []
    for rule, axis in dict.fromkeys((row["rule"], row["axis"]) for row in rows):
        own = [row for row in rows if (row["rule"], row["axis"]) == (rule, axis)]
        sizes = sorted({row[axis] for row in own})
        half = len(sizes) // 2 + 1
        kept = sizes[-half:] if axis in ("n", "m") else sizes[:half]
        slopes = []
        for repeat in sorted({row["repeat"] for row in own}):
            points = [(row[axis], row["ms"]) for row in own if row["repeat"] == repeat and row[axis] in kept]
            size, time = np.log(np.array(points)).T
            slopes.append(float(stats.linregress(size, time).slope))
        found.append(Exponent(rule, axis, kept[0], kept[-1], student_interval(slopes, confidence)))
    return found
