"""What an editor does to the norm of a weight, certified: a regime by a sequential test in each of several settings."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import islice
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator

from sim.blocked import BlockedStream, run_blocks, why_not_blocked
from sim.checks import check_part
from sim.compose import by_words
from sim.editor import Editor, step
from sim.engine import write_in_place
from sim.foretold import foretold_rate
from sim.laws import LAWS, tried
from sim.memory import LinearMemory
from sim.montecarlo import Interval, student_interval
from sim.pool import one_thread, over_processes
from sim.regime import STEADY, Verdict, sequential_test
from sim.settings import SETTINGS, MakeEditor, Setting, make_world
from theory.command import Misuse, told

ALONE = (6, 4), (2 / 3, 1 / 2)
"""Doublings at most, and the share of the streams, in the headline and elsewhere, where each stream is blocked by
itself."""

STEPPED = (5, 3), (1 / 2, 1 / 3)
"""The same where every stream goes step by step."""


class Finding(NamedTuple):
    """What one setting showed.

    Attributes:
        setting: where.
        verdict: regime and evidence.
        streams: how many there were.
        rate: growth of log ‖W‖² an edit over the last doubling; None unless exponential, or shrinking like one.
        power: of ‖W‖² in the number of edits; None unless polynomial, or shrinking like a power.
        plateau: mean ‖W‖²_F over the last quarter, with its interval; None unless bounded.
        foretold: theory's rate, or None where it has none.
        relation: "≤" a bound by Jensen, "≈" an approximation; "" without prediction.
        contradicted: the regime that it looked to be in, against what theory proves, or None.
        step_by_step: why it did not go in blocks, or None.
        refused: why the editor does not write here at all, or None.
    """

    setting: Setting
    verdict: Verdict
    streams: int = 0
    rate: Interval | None = None
    power: Interval | None = None
    plateau: Interval | None = None
    foretold: float | None = None
    relation: str = ""
    contradicted: str | None = None
    step_by_step: str | None = None
    refused: str | None = None


def certify(
    make: MakeEditor | str,
    settings: Sequence[Setting] = SETTINGS,
    *,
    seeds: int = 24,
    seed: int = 0,
    looks: int = 7,
    error_rate: float = 0.01,
    workers: int = 1,
    thorough: bool = False,
) -> Iterator[Finding]:
    """Try an editor in every setting.

    Args:
        make: setting -> the editor, such as `lambda setting: mine(setting.m, setting.n)` or, with transforms,
            `sim.compose.by_words("rome", ["nas"])`; or a rule as `sim.compose.compose` takes it.
        settings: the worlds; the first is the certificate's headline.
        seeds: independent streams a setting.
        seed: the first of them.
        looks: doublings of the time at most, from 8n edits on.
        error_rate: of the t tests behind a regime, a setting; see `sim.regime.Verdict`.
        workers: processes over which the settings go; above 1 `make` must be picklable, as `by_words` is.
        thorough: give every setting all streams and looks, however long it takes.

    Yields:
        One finding a setting, in order. An editor whose streams cannot share a tensor, or cannot go in blocks, is up to
        two hundred times slower: it gets fewer doublings and streams (`ALONE`, `STEPPED`), fewest but in the headline.

    Raises:
        Misuse: the editor breaks a law, so that no stream of it means anything, or cannot be made at all.
    """
    make = by_words(make) if isinstance(make, str) else make
    check_made(make, settings[0])
    one = partial(_finding, make, [seed + i for i in range(seeds)], looks, error_rate, thorough)
    ranked = [(setting, not index) for index, setting in enumerate(settings)]
    writing = next((setting for setting in settings if refusal(make(setting), setting) is None), None)
    if writing is not None:
        check_laws(make, writing)
    if workers == 1 or len(settings) == 1:
        yield from map(one, ranked)
    else:
        yield from over_processes(one, ranked, min(workers, len(settings)))


def _finding(
    make: MakeEditor,
    seeds: list[int],
    looks: int,
    error_rate: float,
    thorough: bool,
    ranked: tuple[Setting, bool],
) -> Finding:
    """One setting's finding; the headline, ranked True, is given more, and all is given where `thorough`.

    An editor that fails there, at once or late, does not end the certificate: what it said is the finding.
    """
    setting, headline = ranked
    try:
        rule = make(setting)
        reason = refusal(rule, setting)
        if reason is None:
            streams = Streams(rule, setting, seeds)
            if streams.slow and not thorough:
                most, fewer = ALONE if streams.step_by_step is None else STEPPED
                looks = min(looks, most[not headline])
                streams = Streams(rule, setting, seeds[: max(8, round(fewer[not headline] * len(seeds)))])
            return found(rule, setting, streams, looks, error_rate)
    except Misuse as error:
        reason = str(error)
    except Exception as error:
        reason = f"the editor failed: {told(error)}"
    return Finding(setting, Verdict("undecided", (), (), error_rate, 0), refused=reason)


def check_made(make: MakeEditor, setting: Setting) -> None:
    """Raise Misuse unless `make` makes an editor of a setting."""
    try:
        made = make(setting)
    except Misuse:
        raise
    except Exception as error:
        raise Misuse(
            f"making the editor of a Setting raised {told(error)}; give `lambda setting: mine(setting.m, setting.n)`"
        ) from error
    check_part(made, Editor, "what was made of a Setting", "editor(rome())")


def check_laws(make: MakeEditor, setting: Setting) -> None:
    """Raise Misuse where an editor breaks a law of `sim.laws` in a setting, or cannot be tried at all."""
    try:
        seen = tried(make, setting, LAWS)
    except Misuse:
        raise
    except Exception as error:
        raise Misuse(f"the editor failed at its first writes: {told(error)}; mend it and run again") from error
    for name, what in seen.items():
        if what is not None:
            stated = " ".join((LAWS[name].__doc__ or "").split())
            raise Misuse(f"the editor breaks the law {name!r} ({stated}): {what}; mend it, no stream of it would count")


def refusal(rule: Editor, setting: Setting) -> str | None:
    """Why an editor will not write in a setting, such as one key at a time where there are four; None if it will."""
    generator = Generator().manual_seed(0)
    world = make_world(setting, generator)
    edit = world.request(world.weight, setting.batch, generator)
    try:
        step(rule, edit, rule.init(world.weight), world.weight)
    except Misuse as error:
        return str(error)
    return None


def found(rule: Editor, setting: Setting, streams: Streams, looks: int, error_rate: float) -> Finding:
    """One setting's regime, and the number that goes with it.

    Where theory proves that the mean grows exponentially, a norm that looks bounded or polynomial is called undecided:
    its growth is too slow for the edits given.
    """
    verdict = sequential_test(streams.extend, 8 * setting.n, looks, error_rate=error_rate)
    value, relation = foretold_rate(rule, setting) or (None, "")
    rate = power = level = contradicted = None
    if value is not None and verdict.regime in ("bounded", "polynomial"):
        contradicted, verdict = verdict.regime, verdict._replace(regime="undecided")
    if verdict.regime == "exponential" or (verdict.regime == "shrinking" and verdict.looks[-1].ratio > STEADY[1]):
        edits = verdict.looks[-1].edits
        between = middle(edits) - middle(edits // 2)
        rate = Interval(*(value / between for value in verdict.looks[-1].growth))
    elif verdict.regime in ("polynomial", "shrinking"):
        power = Interval(*(value / math.log(2) for value in verdict.looks[-1].growth))
    elif verdict.regime == "bounded":
        level = student_interval(streams.norm_sq[np.isfinite(streams.norm_sq)])
    number = len(streams.norm_sq)
    return Finding(setting, verdict, number, rate, power, level, value, relation, contradicted, streams.step_by_step)


def middle(edits: int, *, first: bool = False) -> float:
    """The middle of the stretch whose log R a look at t = `edits` averages: t/2 to t at the first, ¾t to t later.

    >>> middle(128, first=True), middle(256)
    (96.0, 224.0)
    """
    return (3 if first else 3.5) * edits / 4


class Streams:
    """Independent streams of one editor, carried on as far as a test asks.

    They go in blocks, all in one tensor or, where the editor's values do not take that, one by one; else step by step.

    Args:
        rule: the editor.
        setting: the world.
        seeds: one a stream, of its weight and its requests.
    """

    def __init__(self, rule: Editor, setting: Setting, seeds: list[int]) -> None:
        self.setting, self.written = setting, 0
        generators = [Generator().manual_seed(seed) for seed in seeds]
        worlds = [make_world(setting, generator) for generator in generators]
        self.step_by_step = why_not_blocked(rule, worlds[0])
        self.slow = why_not_blocked(rule, worlds[0], len(seeds)) is not None
        groups = [range(i, i + 1) for i in range(len(seeds))] if self.slow else [range(len(seeds))]
        self.blocks: list[BlockedStream] = []
        self.norms: list[Iterator[float]] = []
        if self.step_by_step is None:
            for group in groups:
                weights = torch.stack([worlds[i].weight for i in group])
                own = [generators[i] for i in group]
                block = 8 * setting.n if self.slow else 2 * setting.n
                stream = BlockedStream(rule, worlds[0], own, batch=setting.batch, block=block, weights=weights)
                self.blocks.append(stream)
        else:
            pairs = zip(worlds, generators, strict=True)
            self.norms = [edited_norms(rule, world, setting.batch, generator) for world, generator in pairs]
        self.norm_sq = np.full(len(seeds), math.nan)

    def extend(self, edits: int) -> NDArray[np.float64]:
        """log ‖W‖²_F of every stream up to so many edits, averaged over the second half of those that are new.

        NaN for a stream that has left its dtype's range or whose norm has come to 0.
        """
        steps = math.ceil(edits / self.setting.batch) - self.written
        self.written += steps
        with one_thread():
            rows = [_in_blocks(stream, steps) for stream in self.blocks]
            rows += [_step_by_step(ahead, steps) for ahead in self.norms]
        latest = np.concatenate(rows)[:, steps // 2 :]
        with np.errstate(divide="ignore", over="ignore"):
            self.norm_sq, logs = (latest**2).mean(axis=1), 2 * np.log(latest).mean(axis=1)
        return np.where(np.isfinite(logs), logs, math.nan)


def _in_blocks(stream: BlockedStream, steps: int) -> NDArray[np.float64]:
    """‖W‖_F after each of the next writes, (trials, steps); NaN from where a trial is not finite."""
    norms = np.full((len(stream.generators), steps), math.nan)
    done = 0
    for columns in run_blocks(stream, steps):
        number = columns["finite"].shape[1]
        norms[:, done : done + number] = np.where(columns["finite"], columns["weight_norm_after"], math.nan)
        done += number
    return norms


def _step_by_step(ahead: Iterator[float], steps: int) -> NDArray[np.float64]:
    norms = np.full((1, steps), math.nan)
    own = list(islice(ahead, steps))
    norms[0, : len(own)] = own
    return norms


def edited_norms(rule: Editor, memory: LinearMemory, batch: int, generator: Generator) -> Iterator[float]:
    """‖W‖_F after every write, without end but at a write that is not finite; `run_stream` measures more."""
    weight = memory.weight.clone()
    state = rule.init(weight)
    while True:
        delta, state, info = step(rule, memory.request(weight, batch, generator), state, weight)
        write_in_place(weight, delta)
        norm = float(info.weight_norm_after)
        if not math.isfinite(norm):
            return
        yield norm
