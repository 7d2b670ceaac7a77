"""Everything a sequential run needs before its first edit: model, requests, text, layers, anchor, editors."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

import torch
from torch import Tensor

from real_models.adapters.adapter import Adapter, adapter_for
from real_models.cache import cache_folder
from real_models.check import check
from real_models.config import EditConfig
from real_models.prefixes import sample_prefixes
from real_models.requests import Request
from real_models.sequence import look
from real_models.sources import read_sources
from real_models.statistics import covariance
from real_models.values import Editable, solve_values
from real_models.write import columns
from sim.anchor import PilotAnchor, pilot_anchor
from theory.command import Misuse

Track = Callable[[Iterable[Any], str], Iterable[Any]]

TOGETHER = 16
"""Pilots solved in one batch."""


@dataclass(frozen=True)
class Bench:
    """A model on the bench, unedited.

    Attributes:
        config: the run's config.
        editable: the model with its prefixes.
        stream: the requests to write, in order.
        pilots: the requests behind the anchor.
        pilots_in_stream: how many of them the stream also writes, for want of others.
        text: documents for the covariance.
        held_out: documents for perplexity.
        skipped: malformed records that were left out.
    """

    config: EditConfig
    editable: Editable
    stream: tuple[Request, ...]
    pilots: tuple[Request, ...]
    pilots_in_stream: int
    text: tuple[str, ...]
    held_out: tuple[str, ...]
    skipped: int

    @property
    def adapter(self) -> Adapter:
        """The model's adapter."""
        return self.editable.adapter

    def covariance(self, layer: int) -> Tensor:
        """C of a layer's keys on the run's text, in float64; cached."""
        if not self.text:
            raise Misuse(f"rule {self.config.rule} needs text for the covariance C; pass --text FILE")
        return covariance(self.adapter, self.editable.tokenizer, self.text, layer, cache=cache_folder("covariance"))


def set_up(config: EditConfig) -> Bench:
    """Load the model and the data that a config names, and lay out stream, pilots and text.

    Raises:
        Misuse: an unknown device, a model, a data set or a text that cannot be read, or too few requests.
    """
    check(config)
    read = read_sources(config)
    model = read.model.to(device=torch.device(config.device), dtype=getattr(torch, config.dtype))
    adapter = adapter_for(model)
    generator = torch.Generator().manual_seed(config.seed)
    prefixes = sample_prefixes(adapter, read.tokenizer, config.solve, generator)
    stream, pilots, shared = split_requests(read.requests, config)
    editable = Editable(adapter, read.tokenizer, prefixes, config.solve.essence or read.essence)
    return Bench(config, editable, stream, pilots, shared, read.text, read.held_out, read.skipped)


def split_requests(
    requests: Sequence[Request], config: EditConfig
) -> tuple[tuple[Request, ...], tuple[Request, ...], int]:
    """The stream in its order, and the pilots: from what the stream leaves, then from the stream itself."""
    if config.edits > len(requests):
        raise Misuse(
            f"--edits {config.edits} is more than the {len(requests)} requests of {config.data}; ask for fewer"
        )
    order = list(requests)
    Random(config.seed).shuffle(order)
    stream, rest = order[: config.edits], order[config.edits :]
    pilots = (rest + stream)[: config.pilots]
    if config.order == "template":
        met = {request.template: place for place, request in reversed(list(enumerate(stream)))}
        stream.sort(key=lambda request: met[request.template])
    if not config.anchor:
        return tuple(stream), (), 0
    if len(pilots) < config.pilots:
        raise Misuse(f"--pilots {config.pilots} is more than the {len(requests)} requests; ask for fewer")
    return tuple(stream), tuple(pilots), max(0, config.pilots - len(rest))


def measure_anchors(bench: Bench, layers: Sequence[int], track: Track) -> dict[int, PilotAnchor]:
    """The anchors by layer: trimmed means of ‖v*‖ over pilots solved on the unedited model; none for a run without.

        last layer alone   v* = Wk + b + δ
        every layer        v* = W_l k_l + b_l + δ/L,   what layer l of L writes while the others write their shares

    Pilots are solved as the stream's edits are, each by itself though several go together; the released code solves
    them on the bare prompt only, in batches of 16 with a mean loss.
    """
    config, last = bench.config, layers[-1]
    if not config.anchor:
        return {}
    anchored = layers if config.anchor_at == "every" else (last,)
    values: dict[int, list[Tensor]] = {layer: [] for layer in anchored}
    for start in track(range(0, len(bench.pilots), TOGETHER), f"groups of {TOGETHER} pilots"):
        pilots = bench.pilots[start : start + TOGETHER]
        solved = solve_values(bench.editable, pilots, last, config.solve)
        shifts = columns([one.shift for one in solved])
        for layer in anchored:
            outputs = columns([one.output for one in solved]) if layer == last else _outputs(bench, pilots, layer)
            values[layer] += (outputs + shifts / len(anchored)).split(1, dim=1)
    return {layer: pilot_anchor(solved.__getitem__, len(solved)) for layer, solved in values.items()}


def _outputs(bench: Bench, requests: Sequence[Request], layer: int) -> Tensor:
    """A projection's outputs Wk + b at the subjects' last tokens of the bare prompts, (m, u)."""
    here, bias = look(bench.editable, requests, layer), bench.adapter.bias(layer)
    return here.readouts + (0 if bias is None else columns([bias]))
