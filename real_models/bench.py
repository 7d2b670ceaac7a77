"""Everything a sequential run needs before its first edit: model, requests, text, layers, anchor, editors."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import torch
from torch import Tensor

from real_models.adapters.adapter import Adapter, adapter_for
from real_models.cache import cache_folder
from real_models.config import EditConfig
from real_models.requests import Request
from real_models.sequence import Layered, column, look
from real_models.statistics import covariance, read_texts
from real_models.values import Editable, sample_prefixes, solve_value
from sim.anchor import PilotAnchor, pilot_anchor
from sim.editor import Edit, Solver, Transform, chain, editor
from sim.rules.alphaedit import alphaedit, energy_threshold, null_space
from sim.rules.memit import memit
from sim.rules.rome import rome
from sim.values.anchor_norm import anchor_norm
from sim.values.drop_norm import drop_norm
from theory.command import Misuse

Track = Callable[[Iterable[Any], str], Iterable[Any]]


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
    if "world" in (config.model, config.data) and config.model != config.data:
        raise Misuse(
            f"model {config.model!r} and data {config.data!r} do not go together; the world needs both or none"
        )
    if config.model == "world" and config.text is not None:
        raise Misuse(f"--text {config.text} is not read with the world, which brings its own text; leave it out")
    if config.model == "world":
        from real_models.train import load_world_model
        from real_models.world import WorldConfig

        made = load_world_model(WorldConfig())
        model, tokenizer, world = made.model, made.tokenizer, made.world
        requests, skipped = tuple(world.requests(config.seed)), 0
        text, held_out = tuple(world.text(config.seed, 400)), tuple(world.held_out_text(config.seed, 40))
        essence = world.essence_template
    else:
        from real_models.datasets.counterfact import read_counterfact
        from real_models.load import load_model

        loaded = read_counterfact(Path(config.data), skip_bad=config.skip_bad)
        requests, skipped = loaded.requests, loaded.skipped
        text, held_out = split_text(() if config.text is None else read_texts(Path(config.text)))
        model, tokenizer = load_model(config.model, dtype=torch.float32, device=torch.device("cpu"))
        essence = "{} is a"
    model = model.to(device=torch.device(config.device), dtype=getattr(torch, config.dtype))
    adapter = adapter_for(model)
    generator = torch.Generator().manual_seed(config.seed)
    prefixes = sample_prefixes(adapter, tokenizer, config.solve, generator)
    stream, pilots, shared = split_requests(requests, config)
    editable = Editable(adapter, tokenizer, prefixes, config.solve.essence or essence)
    return Bench(config, editable, stream, pilots, shared, text, held_out, skipped)


def check(config: EditConfig) -> None:
    """Raise Misuse for values that no run can use."""
    positive: dict[str, float] = {"edits": config.edits, "pilots": config.pilots, "layer_trials": config.layer_trials}
    positive |= {"score_trials": config.score_trials}
    positive |= {"checkpoint_every": config.checkpoint_every, "save_every": config.save_every}
    positive |= {"eval_sample": config.eval_sample, "steps": config.solve.steps, "clamp": config.solve.clamp}
    positive |= {"learning_rate": config.solve.learning_rate}
    for name, value in positive.items():
        if not value > 0:
            raise Misuse(f"--{name.replace('_', '-')} is {value}; it must be positive")
    if config.solve.essence is not None and config.solve.essence.count("{}") != 1:
        raise Misuse(f"--essence is {config.solve.essence!r}; it needs exactly one {{}} for the subject")
    if config.metric == "covariance" and config.rule != "rome":
        raise Misuse(f"--metric is ROME's choice of C; {config.rule} always measures C, so leave --metric out")
    if config.rule != "memit" and config.weighting is not None:
        raise Misuse(f"--weighting is MEMIT's λ; {config.rule} has none, so leave it out")
    if config.rule != "alphaedit" and (config.ridge is not None or config.threshold is not None):
        raise Misuse(f"--ridge and --threshold are AlphaEdit's; {config.rule} has neither, so leave them out")
    if config.anchor and config.pilots < 2:
        raise Misuse(f"--pilots is {config.pilots}; an anchor needs at least 2")
    if not config.anchor and (config.one_sided or config.drop is not None or config.anchor_at != "last"):
        raise Misuse("--one-sided, --drop and --anchor-at shape the anchor; add --anchor or leave them out")
    if config.solve.most_probable is not None and config.solve.most_probable < 0:
        raise Misuse(f"--most-probable is {config.solve.most_probable}; give a number of updates, such as 4")
    if config.solve.keep is not None and not 0 < config.solve.keep <= 1:
        raise Misuse(f"--keep is {config.solve.keep}; choose a share above 0 and at most 1, such as 0.2")
    if config.solve.elastic < 0:
        raise Misuse(f"--elastic is {config.solve.elastic}; it must not be negative")
    try:
        torch.empty(0, device=config.device)
    except (RuntimeError, AssertionError) as error:
        raise Misuse(f"--device {config.device} cannot be used here ({str(error).splitlines()[0]}); try cpu") from error


def split_text(texts: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The first nine tenths for the covariance, the rest held out for perplexity.

    >>> split_text(tuple("abcdefghij"))[1]
    ('j',)
    """
    cut = max(1, len(texts) * 9 // 10)
    return tuple(texts[:cut]), tuple(texts[cut:])


def split_requests(
    requests: Sequence[Request], config: EditConfig
) -> tuple[tuple[Request, ...], tuple[Request, ...], int]:
    """The stream in seeded order, and the pilots: from what the stream leaves, then from the stream itself."""
    if config.edits > len(requests):
        raise Misuse(
            f"--edits {config.edits} is more than the {len(requests)} requests of {config.data}; ask for fewer"
        )
    order = list(requests)
    Random(config.seed).shuffle(order)
    stream, rest = order[: config.edits], order[config.edits :]
    if not config.anchor:
        return tuple(stream), (), 0
    pilots = (rest + stream)[: config.pilots]
    if len(pilots) < config.pilots:
        raise Misuse(f"--pilots {config.pilots} is more than the {len(requests)} requests; ask for fewer")
    return tuple(stream), tuple(pilots), max(0, config.pilots - len(rest))


def measure_anchors(bench: Bench, layers: Sequence[int], track: Track) -> dict[int, PilotAnchor]:
    """The anchors by layer: trimmed means of ‖v*‖ over pilots solved on the unedited model; none for a run without.

        last layer alone   v* = Wk + b + δ
        every layer        v* = W_l k_l + b_l + δ/L,   what layer l of L writes while the others write their shares

    Pilots are solved one by one, as the stream's edits are; the released code solves them on the bare prompt only, in
    batches of 16 with a mean loss.
    """
    config, last = bench.config, layers[-1]
    if not config.anchor:
        return {}
    anchored = layers if config.anchor_at == "every" else (last,)
    values: dict[int, list[Tensor]] = {layer: [] for layer in anchored}
    for request in track(bench.pilots, "pilots"):
        solved = solve_value(bench.editable, request, last, config.solve)
        for layer in anchored:
            output = column(solved.output) if layer == last else _output(bench, request, layer)
            values[layer].append(output + column(solved.shift) / len(anchored))
    return {layer: pilot_anchor(solved.__getitem__, len(solved)) for layer, solved in values.items()}


def _output(bench: Bench, request: Request, layer: int) -> Tensor:
    """A projection's output Wk + b at the subject's last token of the bare prompt, (m, 1)."""
    here, bias = look(bench.editable, request, layer, layer), bench.adapter.bias(layer)
    return here.readout + (0 if bias is None else column(bias))


def make_editors(bench: Bench, layers: Sequence[int], anchors: Mapping[int, float]) -> Layered:
    """The config's editor at every edited layer, with fresh states.

    Args:
        bench: the model; unedited where values are solved on the original weights.
        layers: the edited layers, in order.
        anchors: layer -> anchor.
    """
    config, editors = bench.config, {}
    for layer in layers:
        bias, values = bench.adapter.bias(layer), list[Transform[Edit]]()
        if layer in anchors and config.drop is not None:
            values.append(drop_norm(config.drop * anchors[layer], bias=bias))
        if layer in anchors:
            values.append(anchor_norm(anchors[layer], two_sided=not config.one_sided, bias=bias))
        editors[layer] = editor(make_solver(bench, layer), values=chain(*values))
    weights = {layer: bench.adapter.weight(layer).clone() for layer in layers}
    states = {layer: rule.init(weights[layer].double()) for layer, rule in editors.items()}
    return Layered(editors, states, config.anchor_at == "every", weights if config.values_from == "original" else {})


def make_solver(bench: Bench, layer: int) -> Solver:
    """The config's rule at a layer, with the statistics it needs."""
    config = bench.config
    if config.rule == "rome":
        return rome(None if config.metric == "identity" else bench.covariance(layer))
    second_moment = bench.covariance(layer)
    if config.rule == "memit":
        return memit(second_moment, weighting=config.weighting or float(second_moment.shape[0]))
    threshold = config.threshold or energy_threshold(second_moment, config.energy)
    basis = null_space(second_moment, threshold=threshold)
    typical = float(((second_moment @ basis) * basis).sum())
    return alphaedit(basis, ridge=config.ridge or typical / 10)


def describe(layered: Layered) -> Mapping[str, Any]:
    """What the editors' states tell of themselves: dropped edits, and the rank of AlphaEdit's projector."""
    facts: dict[str, Any] = {}
    last = list(layered.states)[-1]
    counts = [part.total for part in layered.states[last].values if hasattr(part, "total")]
    facts["dropped"] = sum(int(count) for count in counts)
    metric = layered.editors[last].metric(layered.states[last])
    if hasattr(metric, "basis"):
        facts["rank_of_P"] = int(metric.basis.shape[1])
    return facts
