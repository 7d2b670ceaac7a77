"""Many editors and seeds on one model, in step: one value solve serves all of them, each writes its own weights."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import Tensor

from real_models.ability import Reading, read_held_out
from real_models.bench import Bench, Track, measure_anchors, set_up
from real_models.check import check
from real_models.collapse.outcomes import outcomes
from real_models.config import CompareConfig, EditConfig
from real_models.editors import describe, make_editors
from real_models.instant import instant
from real_models.run import Progress, checkpoint, due, interruption, passed
from real_models.sequence import Stream, edit_streams
from real_models.write import Row
from sim.results import claim_folder, read_json, release_folder
from sim.resume import finish, load_state, save_state
from sim.state import flatten_state, restore_state
from theory.command import Misuse


def configured(words: str, base: EditConfig) -> EditConfig:
    """The run of an editor in words, RULE+PART+…: `nas` and delta transforms, and `original` for NSE's values.

    Args:
        words: such as "alphaedit", "memit+nas+rect" or "rome+nas:drop=2,one_sided".
        base: all else.

    Raises:
        Misuse: `nas` has another option than drop and one_sided.

    >>> made = configured("memit+nas:drop=2+rect", EditConfig())
    >>> made.rule, made.anchor, made.drop, made.deltas
    ('memit', True, 2.0, ('rect',))
    """
    rule, *parts = words.split("+")
    plain: dict[str, Any] = {"anchor": False, "one_sided": False, "drop": None, "anchor_times": 1.0}
    config = replace(base, rule=rule, deltas=(), values_from="current", **plain)
    for part in parts:
        name, _, options = part.partition(":")
        if name == "nas":
            config = replace(config, anchor=True, **_nas(options))
        elif part == "original":
            config = replace(config, values_from="original")
        else:
            config = replace(config, deltas=(*config.deltas, part))
    return config


def _nas(options: str) -> dict[str, Any]:
    chosen: dict[str, Any] = {}
    for option in filter(None, options.split(",")):
        name, equals, value = option.partition("=")
        if name == "one_sided" and not equals:
            chosen["one_sided"] = True
        elif name in ("drop", "times") and value.replace(".", "", 1).isdigit():
            chosen["anchor_times" if name == "times" else name] = float(value)
        else:
            raise Misuse(f"nas has no option {option!r}; it has one_sided, drop=ANCHORS and times=FACTOR")
    return chosen


@dataclass
class Line:
    """One editor with one seed on its way.

    Attributes:
        editor: in words.
        bench: model, stream and pilots.
        progress: how far it has come.
        weights: edited layer -> its own weight.
        unedited: what the unedited model makes of the held-out text.
        status: "finished", or why it ended before the stream did.
    """

    editor: str
    bench: Bench
    progress: Progress
    weights: dict[int, Tensor]
    unedited: Reading
    status: str = "finished"

    @property
    def name(self) -> dict[str, Any]:
        """The columns that tell its rows from others'."""
        return {"editor": self.editor, "seed": self.bench.config.seed}

    def evaluate(self) -> None:
        """Add a checkpoint, measured on the model with this line's weights in it, which are taken out again."""
        adapter = self.bench.adapter
        before = {layer: adapter.weight(layer).clone() for layer in self.weights}
        for layer, weight in self.weights.items():
            adapter.write(layer, weight)
        self.progress.checkpoints.append(self.name | checkpoint(self.bench, self.progress, self.unedited))
        for layer, weight in before.items():
            adapter.write(layer, weight)


def run_comparison(config: CompareConfig, out: Path, track: Track) -> dict[str, Any]:
    """Run every editor with every seed, or take them up where they stopped.

    Args:
        config: editors, seeds, and the run that they share.
        out: the folder.
        track: wraps the stream's iterator in a progress bar.

    Returns:
        The summary, as written to `out/summary.json`.

    Raises:
        Misuse: the folder belongs to another config, or something the config names cannot be used.
        KeyboardInterrupt: Ctrl-C, after the step under way was finished and the state saved.
    """
    check_comparison(config)
    known = claim_folder(out, config)
    if known and (out / "summary.json").exists():
        return read_json(out / "summary.json")
    start = time.monotonic()
    try:
        lines, first = set_out(config, out, track)
    except Misuse:
        if not known:
            release_folder(out)
        raise
    run = config.run
    with interruption() as interrupted:
        for begun in track(range(first, run.edits, run.batch), f"{len(lines)} streams from edit {first}"):
            step(lines, begun, config)
            after = min(begun + run.batch, run.edits)
            if interrupted or passed(run.save_every, begun, after):
                save(lines, after, out)
            if interrupted:
                raise KeyboardInterrupt
    summary = {
        "status": "finished",
        "edits": run.edits,
        "streams": [facts(line) for line in lines],
        "seconds": round(time.monotonic() - start, 1),
    }
    made = tables(lines)
    points = outcomes(pd.DataFrame(made["checkpoints"]), run.edits)
    finish(out, summary, made | ({"points": points} if points else {}), {})
    return summary


def check_comparison(config: CompareConfig) -> None:
    """Raise Misuse for editors or seeds that cannot run together, and for options that `--editors` gives."""
    run, usual = config.run, EditConfig()
    for name in ("rule", "deltas", "anchor", "one_sided", "drop", "anchor_times", "values_from"):
        if getattr(run, name) != getattr(usual, name):
            raise Misuse(f"--{name.replace('_', '-')} speaks of one editor; write it into --editors, such as rome+nas")
    if run.seed != usual.seed:
        raise Misuse(f"--seed is {run.seed}; a comparison has --seeds, such as --seeds 0 1 2")
    for name in ("editors", "seeds"):
        chosen = getattr(config, name)
        if not chosen or len(set(chosen)) < len(chosen):
            raise Misuse(f"--{name} is {' '.join(map(str, chosen)) or 'empty'}; name at least one, and none twice")
    if run.layers is None:
        raise Misuse("streams in step edit the same layers; name them with --layers, such as --layers 0")
    for editor in config.editors:
        check(configured(editor, run))


def step(lines: Sequence[Line], begun: int, config: CompareConfig) -> None:
    """One step of every line that still goes; those that are due are evaluated, unless edits are single."""
    run = config.run
    live = [line for line in lines if line.status == "finished"]
    if not live:
        return
    streams = [
        Stream(
            line.bench.stream[begun : begun + run.batch],
            line.progress.layered,
            line.weights,
            line.bench.editable.prefixes,
        )
        for line in live
    ]
    identity = begun // run.batch % run.identity_every == 0
    editable = live[0].bench.editable
    outcomes = edit_streams(editable, streams, run.solve, identity=identity)
    written = [
        stream._replace(weights=one.weights) for stream, one in zip(streams, outcomes, strict=True) if one.finite
    ]
    taken = iter(instant(editable, written) if written else ())
    for line, one in zip(live, outcomes, strict=True):
        now = next(taken) if one.finite else {"instant": math.nan, "instant_exact": math.nan}
        progress = line.progress
        progress.rows.extend(line.name | {"step": begun} | row | now for row in one.rows)
        progress.step = min(begun + run.batch, run.edits)
        if not one.finite:
            line.status = f"stopped: a number was not finite at edit {progress.step}"
            # No number of a broken model is measured: every score is missing from here on.
            progress.checkpoints.append(line.name | {"step": progress.step, "weight_norm": math.nan})
            continue
        if config.single:
            continue
        # One layout throughout: products of equal numbers in another one differ in the last digit.
        line.weights = {layer: weight.contiguous() for layer, weight in one.weights.items()}
        progress.layered = one.layered
        if due(run, begun, progress.step):
            line.evaluate()


def set_out(config: CompareConfig, out: Path, track: Track) -> tuple[list[Line], int]:
    """Every line at its beginning, or where its saved state says, and the edit at which the streams go on."""
    saved = load_state(out)
    lines: list[Line] = []
    anchored = any(configured(editor, config.run).anchor for editor in config.editors)
    benches = share_model([set_up(replace(config.run, seed=seed, anchor=anchored)) for seed in config.seeds])
    for bench in benches:
        measured = saved[1]["measured"][str(bench.config.seed)] if saved else measure(bench, config, track)
        unedited = read_held_out(bench.adapter, bench.editable.tokenizer, bench.held_out)
        for editor in config.editors:
            own = replace(bench, config=configured(editor, bench.config))
            lines.append(line_of(editor, own, measured, unedited))
    if saved is None:
        for bench_lines in by_seed(lines):
            bench_lines[0].evaluate()
            for line in bench_lines[1:]:
                line.progress.checkpoints.append(bench_lines[0].progress.checkpoints[0] | line.name)
        save(lines, 0, out)
        return lines, 0
    restore(lines, saved)
    return lines, int(saved[1]["step"])


def share_model(benches: Sequence[Bench]) -> list[Bench]:
    """The benches on the first one's model."""
    first = benches[0].editable
    return [
        replace(one, editable=replace(one.editable, adapter=first.adapter, tokenizer=first.tokenizer))
        for one in benches
    ]


def measure(bench: Bench, config: CompareConfig, track: Track) -> dict[str, Any]:
    """What the unedited model gives a seed: the layers, and the anchors there."""
    layers = [bench.adapter.check_layer(layer) for layer in config.run.layers or ()]
    anchors = measure_anchors(bench, layers, track)
    return {
        "layers": layers,
        "anchors": {str(layer): anchor.norm for layer, anchor in anchors.items()},
        "anchor_se": {str(layer): anchor.standard_error for layer, anchor in anchors.items()},
    }


def line_of(editor: str, bench: Bench, measured: dict[str, Any], unedited: Reading) -> Line:
    """A line at its beginning."""
    layers, adapter = measured["layers"], bench.adapter
    anchors = {int(layer): norm for layer, norm in measured["anchors"].items()} if bench.config.anchor else {}
    weights = {layer: adapter.weight(layer).clone(memory_format=torch.contiguous_format) for layer in layers}
    m, n = weights[layers[-1]].shape
    progress = Progress(0, [], [], make_editors(bench, layers, anchors), {**measured, "m": m, "n": n})
    return Line(editor, bench, progress, weights, unedited)


def by_seed(lines: Sequence[Line]) -> list[list[Line]]:
    """The lines of each seed."""
    seeds = dict.fromkeys(line.bench.config.seed for line in lines)
    return [[line for line in lines if line.bench.config.seed == seed] for seed in seeds]


def tables(lines: Sequence[Line]) -> dict[str, list[Row]]:
    """The rows of all lines."""
    return {
        "rows": [row for line in lines for row in line.progress.rows],
        "checkpoints": [row for line in lines for row in line.progress.checkpoints],
    }


def save(lines: Sequence[Line], after: int, out: Path) -> None:
    """Save every line's weights, states and rows after so many edits; a line that broke has made fewer."""
    tensors: dict[str, Tensor] = {}
    for place, line in enumerate(lines):
        for layer, state in line.progress.layered.states.items():
            tensors[f"{place}.weight.{layer}"] = line.weights[layer]
            tensors |= flatten_state(state, f"{place}.editor.{layer}")
    measured = {str(line.bench.config.seed): line.progress.facts for line in lines}
    status = [[line.status, line.progress.step] for line in lines]
    kept = {"step": after, "measured": measured, "status": status}
    save_state(out, tensors, kept, tables(lines))


def restore(lines: Sequence[Line], saved: tuple[dict[str, Tensor], dict[str, Any], dict[str, list[Row]]]) -> None:
    """Put every line where its saved state says."""
    tensors, kept, rows = saved
    for place, (line, (status, made)) in enumerate(zip(lines, kept["status"], strict=True)):
        progress, states = line.progress, line.progress.layered.states
        progress.layered = progress.layered._replace(
            states={i: restore_state(state, tensors, f"{place}.editor.{i}") for i, state in states.items()}
        )
        line.weights = {i: tensors[f"{place}.weight.{i}"].to(weight) for i, weight in line.weights.items()}
        progress.step, line.status = made, status
        for name, own in (("rows", progress.rows), ("checkpoints", progress.checkpoints)):
            own.extend(row for row in rows[name] if all(row[key] == value for key, value in line.name.items()))


def facts(line: Line) -> dict[str, Any]:
    """What the summary says of a line."""
    return {
        **line.name,
        "status": line.status,
        "edits": line.progress.step,
        **line.progress.facts,
        **describe(line.progress.layered),
        "pilots_in_stream": line.bench.pilots_in_stream,
        "skipped_records": line.bench.skipped,
    }
