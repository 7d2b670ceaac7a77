"""How long an edit takes beside the textbook's, on random weights of a model's shape, and where the time goes."""

from __future__ import annotations

import resource
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from random import Random
from statistics import median
from typing import Any

import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from torch import Tensor
from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast

from real_models.adapters.adapter import adapter_for
from real_models.ascent import Ascent
from real_models.bench import Track
from real_models.config import SpeedConfig
from real_models.requests import Request
from real_models.sequence import Layered, edit_once, target
from real_models.textbook import Solve, textbook_edit
from real_models.values import Editable, solve_values
from sim.editor import Solver, editor
from sim.rules.alphaedit import alphaedit
from sim.rules.memit import memit
from sim.rules.rome import rome
from sim.values.anchor_norm import anchor_norm


@dataclass
class Case:
    """A rule on a model, with the statistics that both paths share.

    Attributes:
        config: sizes and counts.
        editable: the model.
        requests: what is written.
        unedited: layer -> W before any edit.
        solves: layer -> what the textbook's solve needs.
        rule: our solver.
    """

    config: SpeedConfig
    editable: Editable
    requests: list[Request]
    unedited: dict[int, Tensor] = field(default_factory=dict)
    solves: dict[int, Solve] = field(default_factory=dict)
    rule: Solver = field(default_factory=rome)

    def put(self, weights: dict[int, Tensor]) -> None:
        """Write these weights into the model."""
        for layer, weight in weights.items():
            self.editable.adapter.write(layer, weight)

    @cached_property
    def anchored(self) -> Layered:
        """The rule with NAS, to time what that adds once its anchor is known."""
        return layered(self, 10.0)

    def weights(self) -> dict[int, Tensor]:
        """The weights as they are now."""
        return {layer: self.editable.adapter.weight(layer).double().clone() for layer in self.config.layers}


def measure(config: SpeedConfig, track: Track) -> list[dict[str, Any]]:
    """One row a rule: seconds an edit by both paths, their ratio, and how far the results are apart.

    The two paths write the same requests, in turn, each on weights of its own; medians over the edits. The first edit
    is not counted: it pays for factorising C.
    """
    editable = random_editable(config)
    return [timed_rule(prepared(config, editable, rule), rule, track) for rule in config.rules]


def timed_rule(case: Case, rule: str, track: Track) -> dict[str, Any]:
    """A rule's row."""
    config, editable, layers = case.config, case.editable, case.config.layers
    editors = layered(case, None)
    edited = {"textbook": case.weights(), "fast": case.weights()}
    times: dict[str, list[float]] = {name: [] for name in ("textbook", "fast", "solve", "look", "anchor")}
    for request in track(case.requests, f"edits by {rule}, on both paths"):
        case.put(edited["textbook"])
        with timed(times["textbook"]):
            textbook_edit(editable, request, case.solves, config.solve)
        edited["textbook"] = case.weights()
        case.put(edited["fast"])
        with timed(times["solve"]):
            solved = solve_values(editable, (request,), layers[-1], config.solve)
        with timed(times["look"]):
            ascent = Ascent(editable, (request,), layers)
            for layer in layers[:-1]:
                ascent.rise(layer, torch.zeros(1, *editable.adapter.weight(layer).shape))
        with timed(times["anchor"]):
            target(editable.adapter, solved, case.anchored, layers[-1], edited["fast"][layers[-1]])
        with timed(times["fast"]):
            _, editors, _ = edit_once(editable, (request,), editors, config.solve, identity=False)
        edited["fast"] = case.weights()
    case.put(case.unedited)
    textbook, fast, solve, looks, anchor = (median(values[1:]) for values in times.values())
    apart = [
        float((edited["fast"][i] - edited["textbook"][i]).norm() / (edited["textbook"][i] - case.unedited[i]).norm())
        for i in layers
    ]
    return {
        "rule": rule,
        "textbook_s": textbook,
        "fast_s": fast,
        "ratio": textbook / fast,
        "max_rel_diff": max(apart),
        "anchor_overhead": anchor / fast,
        "anchor_shares": [one / whole for one, whole in zip(times["anchor"][1:], times["fast"][1:], strict=True)],
        "solve_s": solve,
        "look_s": looks,
        "write_s": fast - solve - looks,
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "edits": len(case.requests) - 1,
    }


@contextmanager
def timed(times: list[float]) -> Iterator[None]:
    """Add the seconds that the context lasts."""
    begun = time.perf_counter()
    yield
    times.append(time.perf_counter() - begun)


def prepared(config: SpeedConfig, editable: Editable, rule: str) -> Case:
    """A rule's case: λC of random keys for MEMIT, a random P of nine tenths of the dimensions for AlphaEdit."""
    adapter, chance = editable.adapter, Random(config.seed)
    requests = [random_request(config, index, chance) for index in range(config.edits + 1)]
    unedited = {layer: adapter.weight(layer).double().clone() for layer in config.layers}
    case = Case(config, editable, requests, unedited)
    generator = torch.Generator().manual_seed(config.seed)
    n = 4 * config.width
    projector = None
    if rule == "alphaedit":
        basis = torch.linalg.qr(torch.randn(n, 9 * n // 10, generator=generator, dtype=torch.float64)).Q
        projector, prior = basis @ basis.mT, 10 * torch.eye(n, dtype=torch.float64)
        case.rule = alphaedit(basis, ridge=10.0)
    else:
        keys = torch.randn(n, 2 * n, generator=generator, dtype=torch.float64)
        prior = 15 * keys @ keys.mT / (2 * n)
        case.rule = memit(prior, weighting=1.0)
    case.solves = {layer: Solve(prior, projector, torch.zeros_like(prior)) for layer in config.layers}
    return case


def layered(case: Case, anchor: float | None) -> Layered:
    """The rule at every layer, with NAS at the last where there is an anchor."""
    editors = {}
    for layer in case.config.layers:
        bias = case.editable.adapter.bias(layer)
        last = layer == case.config.layers[-1]
        values = anchor_norm(anchor, bias=bias) if anchor is not None and last else None
        editors[layer] = editor(case.rule, values=values)
    return Layered(editors, {layer: one.init(case.unedited[layer]) for layer, one in editors.items()})


def random_editable(config: SpeedConfig) -> Editable:
    """A GPT-2 of random weights on a vocabulary of made-up words, one token each."""
    words = {f"w{index}": index for index in range(config.vocabulary)}
    backend = Tokenizer(models.WordLevel(words, unk_token="w0"))
    backend.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=backend, unk_token="w0", bos_token="w1", eos_token="w1")
    sizes = {"n_embd": config.width, "n_layer": config.depth, "n_head": max(1, config.width // 64)}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        shape = GPT2Config(vocab_size=config.vocabulary, bos_token_id=1, eos_token_id=1, **sizes)
        model = GPT2LMHeadModel(shape).to(getattr(torch, config.dtype)).eval().requires_grad_(False)
    chance = Random(config.seed)
    prefixes = tuple(f"{random_text(config, 10, chance)} " for _ in range(config.prompts - 1))
    return Editable(adapter_for(model.to(config.device)), tokenizer, prefixes, "{} w2 w3")


def random_text(config: SpeedConfig, words: int, chance: Random) -> str:
    """Made-up words."""
    return " ".join(f"w{chance.randrange(2, config.vocabulary)}" for _ in range(words))


def random_request(config: SpeedConfig, index: int, chance: Random) -> Request:
    """A prompt of nine tokens as CounterFact's, the three of the subject in its middle, and an answer of two."""
    before, after = random_text(config, 2, chance), random_text(config, 4, chance)
    new, true = (random_text(config, 2, chance) for _ in range(2))
    return Request(index, f"{before} {{}} {after}", random_text(config, 3, chance), new, true)
