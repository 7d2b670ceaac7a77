"""The sequential run: edits one by one, evaluates at checkpoints, saves, stops cleanly and resumes to equal rows."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from torch import Tensor

from real_models.ability import Reading, read_held_out
from real_models.bench import Bench, Track, measure_anchors, set_up
from real_models.config import EditConfig
from real_models.editors import describe, make_editors
from real_models.evaluate import evaluate_edits
from real_models.fluency import fluency
from real_models.layers import best_layer, by_layer, single_edits
from real_models.sequence import Layered, edit_once
from real_models.write import Row
from sim.results import claim_folder, read_json, release_folder
from sim.resume import finish, load_state, save_state
from sim.state import flatten_state, restore_state
from theory.command import Misuse


@dataclass
class Progress:
    """How far a run has come; the only thing in it that changes.

    Attributes:
        step: edits made.
        rows: one row an edit and layer.
        checkpoints: one row an evaluation.
        layered: editors and states.
        facts: what was measured on the unedited model (layers, anchor, ...).
    """

    step: int
    rows: list[Row]
    checkpoints: list[Row]
    layered: Layered
    facts: dict[str, Any]


def run_edits(config: EditConfig, out: Path, track: Track) -> dict[str, Any]:
    """Run a stream of edits, or take it up where it stopped.

    Args:
        config: the run.
        out: its folder.
        track: wraps the stream's iterator in a progress bar.

    Returns:
        The summary, as written to `out/summary.json`.

    Raises:
        Misuse: the folder belongs to another config, or something the config names cannot be used.
        KeyboardInterrupt: Ctrl-C, after the edit under way was finished and the state saved.
    """
    bench = set_up(config)
    known = claim_folder(out, config)
    if known and (out / "summary.json").exists():
        return read_json(out / "summary.json")
    start = time.monotonic()
    try:
        unedited = read_held_out(bench.adapter, bench.editable.tokenizer, bench.held_out)
        progress = restore(bench, out, track, unedited)
    except Misuse:
        if not known:
            release_folder(out)
        raise
    status = "finished"
    with interruption() as interrupted:
        starts = range(progress.step, config.edits, config.batch)
        for begun in track(starts, f"edits from {progress.step}, {config.batch} a step"):
            requests = bench.stream[begun : begun + config.batch]
            # T1 foretells what the solver writes, not what a delta transform makes of it.
            identity = not config.deltas and begun // config.batch % config.identity_every == 0
            rows, progress.layered, finite = edit_once(
                bench.editable, requests, progress.layered, config.solve, identity=identity
            )
            progress.rows.extend({"step": begun, **row} for row in rows)
            progress.step += len(requests)
            if not finite:
                status = f"stopped: a number was not finite at edit {progress.step}"
                break
            if due(config, begun, progress.step):
                progress.checkpoints.append(checkpoint(bench, progress, unedited))
            if interrupted or passed(config.save_every, begun, progress.step):
                save(bench, progress, out)
            if interrupted:
                raise KeyboardInterrupt
    summary = {
        "status": status,
        "edits": progress.step,
        "requested": config.edits,
        **progress.facts,
        **describe(progress.layered),
        "skipped_records": bench.skipped,
        "pilots_in_stream": bench.pilots_in_stream,
        "seed": config.seed,
        "dtype": config.dtype,
        "device": config.device,
        "seconds": round(time.monotonic() - start, 1),
    }
    tables = {"rows": progress.rows, "checkpoints": progress.checkpoints}
    finish(out, summary, tables, weights(bench, progress))
    return summary


def passed(every: int, before: int, after: int) -> bool:
    """Whether a multiple of `every` lies above `before` and at or below `after`.

    >>> passed(50, 48, 50), passed(50, 50, 52)
    (True, False)
    """
    return before // every < after // every


def due(config: EditConfig, before: int, after: int) -> bool:
    """Whether a step ends with an evaluation."""
    early = (2**power for power in range(3, config.checkpoint_every.bit_length()))
    return (
        passed(config.checkpoint_every, before, after)
        or after >= config.edits
        or (config.early and any(before < edits <= after for edits in early))
    )


def restore(bench: Bench, out: Path, track: Track, unedited: Reading) -> Progress:
    """The saved progress put back into the model, or a fresh start with what must be measured unedited."""
    saved = load_state(out)
    if saved is None:
        return begin(bench, out, track, unedited)
    tensors, facts, tables = saved
    measured = facts["measured"]
    layered = make_editors(bench, measured["layers"], {int(layer): a for layer, a in measured["anchors"].items()})
    states = {layer: restore_state(state, tensors, f"editor.{layer}") for layer, state in layered.states.items()}
    for layer in measured["layers"]:
        bench.adapter.write(layer, tensors[f"weight.{layer}"])
    return Progress(facts["step"], tables["rows"], tables["checkpoints"], layered._replace(states=states), measured)


def begin(bench: Bench, out: Path, track: Track, unedited: Reading) -> Progress:
    """Choose the layers, measure the anchor, evaluate the unedited model, and save all that as step 0."""
    facts: dict[str, Any] = {}
    if bench.config.layers is None:
        trials = bench.stream[: bench.config.layer_trials]
        table = by_layer(single_edits(bench, trials, range(len(bench.adapter.blocks)), track))
        facts["single_edits"] = {str(layer): means for layer, means in table.items()}
        layers = [best_layer(table)]
    else:
        layers = [bench.adapter.check_layer(layer) for layer in bench.config.layers]
    anchors = measure_anchors(bench, layers, track)
    last = anchors.get(layers[-1])
    weight = bench.adapter.weight(layers[-1])
    facts |= {
        "layers": layers,
        "m": weight.shape[0],
        "n": weight.shape[1],
        "anchor": None if last is None else last.norm,
        "anchor_se": None if last is None else last.standard_error,
        "anchors": {str(layer): anchor.norm for layer, anchor in anchors.items()},
    }
    layered = make_editors(bench, layers, {layer: anchor.norm for layer, anchor in anchors.items()})
    progress = Progress(0, [], [], layered, facts)
    progress.checkpoints.append(checkpoint(bench, progress, unedited))
    save(bench, progress, out)
    return progress


def checkpoint(bench: Bench, progress: Progress, unedited: Reading) -> Row:
    """Evaluate the edits made so far, or the whole stream's requests before any edit.

    At step 0 efficacy is the unedited model's rate of preferring the new answer, and specificity its own accuracy
    by comparison: what the stream's numbers are to be read against.
    """
    done = bench.stream[: progress.step] if progress.step else bench.stream
    limit = bench.config.eval_sample
    if len(done) > limit:
        done = tuple(Random(f"{bench.config.seed}/{progress.step}").sample(list(done), limit))
    adapter, tokenizer = bench.adapter, bench.editable.tokenizer
    row = {"step": progress.step, **evaluate_edits(adapter, tokenizer, done)}
    reading = read_held_out(adapter, tokenizer, bench.held_out)
    row["perplexity"], row["perplexity_ratio"] = reading.perplexity, reading.perplexity / unedited.perplexity
    row["agreement"] = reading.agreement(unedited)
    prompts = [opening for request in done for opening in (*request.openings, request.prompt)[:1]]
    row["fluency"] = fluency(adapter, tokenizer, prompts[: bench.config.fluency], bench.config.seed)
    row["weight_norm"] = float(adapter.weight(progress.facts["layers"][-1]).double().norm())
    return row


def save(bench: Bench, progress: Progress, out: Path) -> None:
    """Save the edited weights, the editors' states, the rows and what was measured before the first edit."""
    tensors = weights(bench, progress)
    for layer, state in progress.layered.states.items():
        tensors |= flatten_state(state, f"editor.{layer}")
    facts = {"step": progress.step, "measured": progress.facts}
    save_state(out, tensors, facts, {"rows": progress.rows, "checkpoints": progress.checkpoints})


def weights(bench: Bench, progress: Progress) -> dict[str, Tensor]:
    """The edited weights as (d_out, d_in), by name."""
    return {f"weight.{layer}": bench.adapter.weight(layer) for layer in progress.layered.states}


@contextmanager
def interruption() -> Iterator[list[bool]]:
    """A list that Ctrl-C fills, so that the edit under way ends first; a second Ctrl-C stops at once."""
    seen: list[bool] = []

    def note(number: int, frame: object) -> None:
        if seen:
            raise KeyboardInterrupt
        seen.append(True)

    previous = signal.signal(signal.SIGINT, note)
    try:
        yield seen
    finally:
        signal.signal(signal.SIGINT, previous)
