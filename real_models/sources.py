"""Where a run's model, requests and text come from: files, the made-up world, or a model taught a file's facts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from real_models.config import EditConfig
from real_models.datasets.hub import local_file
from real_models.recipe import FACTS, TrainConfig, chosen_recipe
from real_models.requests import Request
from real_models.statistics import read_texts
from theory.command import Misuse


@dataclass(frozen=True)
class Sources:
    """What a run's config names, read.

    Attributes:
        model: unedited.
        tokenizer: its fast tokenizer.
        requests: all that could be written.
        skipped: malformed records that were left out.
        text: documents for the covariance.
        held_out: documents for perplexity.
        essence: the template whose next-token distribution an edit should keep.
    """

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    requests: tuple[Request, ...]
    skipped: int
    text: tuple[str, ...]
    held_out: tuple[str, ...]
    essence: str = "{} is a"


DOCUMENTS, HELD_OUT = 400, 40
"""How many documents a taught model brings for the covariance and for perplexity."""


def read_sources(config: EditConfig) -> Sources:
    """Load or train the model, and read the data and the text, that a config names.

    Raises:
        Misuse: names that do not go together, a recipe that cannot be followed, or a model, a data set or a text that
            cannot be read.
    """
    kind = config.model.partition(":")[0]
    if "world" in (kind, config.data) and kind != config.data:
        remedy = (
            "facts learns a data set's file, so pass --data FILE" if kind == "facts" else "the world needs both or none"
        )
        raise Misuse(f"model {config.model!r} and data {config.data!r} do not go together; {remedy}")
    if kind in TAUGHT and config.text is not None:
        raise Misuse(f"--text {config.text} is not read with the {kind}, which brings its own text; leave it out")
    return TAUGHT.get(kind, _from_files)(config)


def _world(config: EditConfig) -> Sources:
    from real_models.train import load_trained
    from real_models.world import WorldConfig, make_world

    world = make_world(WorldConfig())
    made = load_trained(world, chosen_recipe(config.model, TrainConfig()))
    text, held_out = world.text(config.seed, DOCUMENTS), world.held_out_text(config.seed, HELD_OUT)
    requests = tuple(world.requests(config.seed))
    return Sources(made.model, made.tokenizer, requests, 0, tuple(text), tuple(held_out), world.essence_template)


def _facts(config: EditConfig) -> Sources:
    from real_models.datasets.formats import read_requests
    from real_models.facts import known_facts
    from real_models.train import load_trained
    from sim.results import sha256

    recipe, file = chosen_recipe(config.model, FACTS), local_file(config.data)
    loaded = read_requests(file, form=config.data_format, skip_bad=config.skip_bad)
    facts = known_facts(loaded.requests, sha256(file))
    check_room(facts.new_tokenizer(), loaded.requests, config, recipe.context)
    made = load_trained(facts, recipe)
    text, held_out = facts.text(config.seed, DOCUMENTS), facts.held_out_text(config.seed, HELD_OUT)
    return Sources(made.model, made.tokenizer, loaded.requests, loaded.skipped, tuple(text), tuple(held_out))


def check_room(
    tokenizer: PreTrainedTokenizerBase, requests: Sequence[Request], config: EditConfig, context: int
) -> None:
    """Raise Misuse where a prompt with an answer, behind a sampled prefix where one may stand, overruns the context."""
    own = [f"{request.prompt} {request.target_new}" for request in requests]
    others = [f"{prompt} {request.target_new}" for request in requests for prompt in request.paraphrases]
    others += [f"{probe.prompt} {request.target_new}" for request in requests for probe in request.neighborhood]
    others += [f"{hop.prompt} {hop.answer}" for request in requests for hop in request.hops]
    prefix = config.solve.prefix_tokens + 2 if config.solve.prefixes else 0
    longest = max(max(map(len, tokenizer(own).input_ids)) + prefix, max(map(len, tokenizer(others or own).input_ids)))
    if longest > context:
        raise Misuse(f"a prompt with its answer takes {longest} tokens, more than context={context}; raise context")


def _from_files(config: EditConfig) -> Sources:
    from real_models.datasets.formats import read_requests
    from real_models.load import load_model

    loaded = read_requests(local_file(config.data), form=config.data_format, skip_bad=config.skip_bad)
    text, held_out = split_text(() if config.text is None else read_texts(Path(config.text)))
    dtype, device = getattr(torch, config.dtype), torch.device(config.device)
    model, tokenizer = load_model(config.model, dtype=dtype, device=device)
    return Sources(model, tokenizer, loaded.requests, loaded.skipped, text, held_out)


TAUGHT: dict[str, Callable[[EditConfig], Sources]] = {"world": _world, "facts": _facts}
"""By the model's name, before its options."""


def split_text(texts: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The first nine tenths for the covariance, the rest held out for perplexity.

    >>> split_text(tuple("abcdefghij"))[1]
    ('j',)
    """
    cut = max(1, len(texts) * 9 // 10)
    return tuple(texts[:cut]), tuple(texts[cut:])
