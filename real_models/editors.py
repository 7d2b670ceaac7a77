"""The editor that a run's config names, at every edited layer, with the statistics that it needs there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from real_models.bench import Bench
from real_models.sequence import Layered
from sim.compose import chosen_rule, chosen_transforms
from sim.editor import Edit, Solver, Transform, chain, editor
from sim.rules.alphaedit import alphaedit, energy_threshold, null_space
from sim.rules.memit import memit
from sim.rules.rome import rome
from sim.settings import Setting
from sim.values.anchor_norm import anchor_norm
from sim.values.drop_norm import drop_norm
from theory.command import Misuse


@dataclass(frozen=True)
class Place(Setting):
    """A layer as the catalogue's rules see it: its sizes and its measured C.

    Attributes:
        bench: the model.
        layer: which layer.
    """

    bench: Bench | None = None
    layer: int = 0

    def covariance(self) -> Tensor:
        """C of the layer's keys on the run's text, in float64."""
        assert self.bench is not None
        return self.bench.covariance(self.layer)


def make_editors(bench: Bench, layers: Sequence[int], anchors: Mapping[int, float]) -> Layered:
    """The config's editor at every edited layer, with fresh states.

    Args:
        bench: the model; unedited where values are solved on the original weights.
        layers: the edited layers, in order.
        anchors: layer -> anchor.

    Raises:
        Misuse: several layers of a model that norms what each of them writes, or a batch for a rule that takes none.
    """
    config, editors = bench.config, {}
    if bench.adapter.after and len(layers) > 1:
        raise Misuse(
            f"layers {' and '.join(map(str, layers))} cannot share an edit of a {type(bench.adapter.model).__name__}, "
            "which norms what each of them writes; edit one layer"
        )
    for layer in layers:
        bias, values = bench.adapter.bias(layer), list[Transform[Edit]]()
        if layer in anchors:
            anchor = config.anchor_times * anchors[layer]
            values += [drop_norm(config.drop * anchor, bias=bias)] if config.drop is not None else []
            values.append(anchor_norm(anchor, two_sided=not config.one_sided, bias=bias))
        solver, own = make_solver(bench, layer)
        if config.batch > 1 and solver.form is not None and not solver.form.batches:
            raise Misuse(f"--batch is {config.batch}, and {config.rule} writes one key at a time; use memit")
        place = place_of(bench, layer)
        deltas = chosen_transforms("+".join(config.deltas))[1] if config.deltas else []
        filters = chain(*(make(place) for make in deltas)) if deltas else None
        editors[layer] = editor(solver, values=chain(*((own,) if own else ()), *values), deltas=filters)
    weights = {layer: bench.adapter.weight(layer).clone() for layer in layers}
    states = {layer: rule.init(weights[layer].double()) for layer, rule in editors.items()}
    return Layered(editors, states, config.anchor_at == "every", weights if config.values_from == "original" else {})


def place_of(bench: Bench, layer: int) -> Place:
    """A layer, for the catalogue."""
    m, n = bench.adapter.weight(layer).shape
    return Place(f"layer {layer}", m, n, bench=bench, layer=layer)


def make_solver(bench: Bench, layer: int) -> tuple[Solver, Transform[Edit] | None]:
    """The config's rule at a layer with the statistics it needs, and the value transform that belongs to it."""
    config = bench.config
    if config.rule == "rome":
        return rome(None if config.metric == "identity" else bench.covariance(layer)), None
    if config.rule not in ("memit", "alphaedit"):
        make, values = chosen_rule(config.rule)
        return make(place_of(bench, layer)), values
    second_moment = bench.covariance(layer)
    if config.rule == "memit":
        return memit(second_moment, weighting=config.weighting or float(second_moment.shape[0])), None
    threshold = config.threshold or energy_threshold(second_moment, config.energy)
    basis = null_space(second_moment, threshold=threshold)
    typical = float(((second_moment @ basis) * basis).sum())
    return alphaedit(basis, ridge=config.ridge or typical / 10), None


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
