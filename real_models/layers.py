"""Which layer takes single edits best: measured, one edit at a time, each undone."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from real_models.bench import Bench, Track
from real_models.editors import make_editors
from real_models.evaluate import evaluate_edits
from real_models.requests import Request
from real_models.sequence import edit_once
from real_models.write import Row


def measure_layers(bench: Bench, track: Track) -> tuple[list[Row], int]:
    """Choose a layer by trials at every layer, then score it on as many fresh requests as `score_trials` says.

    Returns:
        All rows, `fresh` where the request had no part in the choice, and the layer.
    """
    config, layers = bench.config, range(len(bench.adapter.blocks))
    trials = bench.stream[: config.layer_trials]
    rows = single_edits(bench, trials, layers, track)
    best = best_layer(by_layer(rows))
    fresh = bench.stream[config.layer_trials : config.layer_trials + config.score_trials]
    scored = single_edits(bench, fresh, (best,), track)
    return [row | {"fresh": False} for row in rows] + [row | {"fresh": True} for row in scored], best


def single_edits(bench: Bench, trials: Sequence[Request], layers: Iterable[int], track: Track) -> list[Row]:
    """Write each request at each layer with ROME (C = I), evaluate that edit, undo it.

    Args:
        bench: the unedited model.
        trials: the requests.
        layers: the layers.
        track: wraps the iterator in a progress bar.

    Returns:
        One row a layer and request: efficacy, generalisation, specificity and their exact variants, in percent.
    """
    config = replace(
        bench.config, rule="rome", metric="identity", anchor=False, one_sided=False, drop=None, anchor_times=1.0
    )
    config = replace(config, anchor_at="last", values_from="current")
    single = replace(bench, config=config)
    pairs = [(layer, request) for layer in layers for request in trials]
    rows: list[Row] = []
    for layer, request in track(pairs, "layers"):
        unedited = evaluate_edits(bench.adapter, bench.editable.tokenizer, (request,))
        before = bench.adapter.weight(layer).clone()
        edit_once(bench.editable, (request,), make_editors(single, (layer,), {}), config.solve, identity=False)
        measured = evaluate_edits(bench.adapter, bench.editable.tokenizer, (request,))
        bench.adapter.write(layer, before)
        rows.append({"layer": layer, "case_id": request.case_id, **measured, "efficacy_before": unedited["efficacy"]})
    return rows


def by_layer(rows: Sequence[Row]) -> dict[int, dict[str, Any]]:
    """Mean efficacy and specificity of each layer, in percent, and the number of edits behind them."""
    table: dict[int, dict[str, Any]] = {}
    for layer in dict.fromkeys(row["layer"] for row in rows):
        of_layer = [row for row in rows if row["layer"] == layer]
        means = {
            name: sum(row[name] for row in of_layer) / len(of_layer)
            for name in ("efficacy", "efficacy_exact", "specificity", "specificity_exact")
        }
        table[layer] = {**means, "edits": len(of_layer)}
    return table


def best_layer(table: dict[int, dict[str, Any]]) -> int:
    """The layer of highest efficacy; of equals, the one that spares most neighbours, then the first.

    >>> best_layer({0: {"efficacy": 90.0, "specificity_exact": 99.0}, 1: {"efficacy": 95.0, "specificity_exact": 50.0}})
    1
    """

    def merit(layer: int) -> tuple[float, float]:
        spared = table[layer]["specificity_exact"]
        return table[layer]["efficacy"], spared if spared == spared else 0.0

    return max(table, key=merit)
