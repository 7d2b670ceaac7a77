"""A tiny random decoder of each family on a made-up vocabulary, saved as a user would have it, with data and text."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random
from typing import NamedTuple

import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
)
from transformers.utils import logging

from real_models.adapters.adapter import adapter_for
from real_models.config import SolveConfig
from real_models.values import Editable, sample_prefixes

WORDS = ("the", "home", "of", "is", "a", ".", *(f"s{i}" for i in range(40)), *(f"o{i}" for i in range(10)))


class Tiny(NamedTuple):
    """Paths of a tiny model folder, a CounterFact file in EasyEdit's field names and a text."""

    model: Path
    data: Path
    text: Path


def _records(count: int) -> list[dict]:
    return [
        {
            "case_id": i,
            "prompt": f"the home of s{i} is",
            "subject": f"s{i}",
            "target_new": f"o{i % 10}",
            "ground_truth": f"o{(i + 3) % 10}",
            "rephrase_prompt": f"home of s{i} is",
            "locality_prompt": f"the home of s{(i + 1) % 40} is",
            "locality_ground_truth": f"o{(i + 3) % 10}",
        }
        for i in range(count)
    ]


def _save(folder: Path, model: GPT2LMHeadModel | LlamaForCausalLM) -> None:
    vocabulary = {word: i for i, word in enumerate(("<unk>", "<s>", *WORDS))}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="<unk>", bos_token="<s>").save_pretrained(folder)
    model.save_pretrained(folder)


def _model(family: str) -> GPT2LMHeadModel | LlamaForCausalLM:
    size = len(WORDS) + 2
    with torch.random.fork_rng():
        torch.manual_seed(1)
        if family == "gpt2":
            sizes = {"n_positions": 64, "n_embd": 16, "n_layer": 3, "n_head": 2, "n_inner": 24}
            special = {"bos_token_id": 1, "eos_token_id": 1}
            config = GPT2Config(vocab_size=size, initializer_range=0.4, **sizes, **special)
            model = GPT2LMHeadModel(config)
            for block in model.transformer.h:
                torch.nn.init.normal_(block.mlp.c_proj.bias)
            return model
        return LlamaForCausalLM(
            LlamaConfig(
                vocab_size=size,
                hidden_size=16,
                intermediate_size=24,
                num_hidden_layers=3,
                num_attention_heads=4,
                num_key_value_heads=2,
                max_position_embeddings=64,
                initializer_range=0.4,
                bos_token_id=1,
                eos_token_id=1,
            )
        )


def _make(folder: Path, family: str) -> Tiny:
    logging.disable_progress_bar()
    _save(folder / "model", _model(family))
    chance = Random(0)
    (folder / "data.json").write_text(json.dumps(_records(40)))
    (folder / "text.json").write_text(json.dumps([" ".join(chance.choices(WORDS, k=40)) for _ in range(60)]))
    return Tiny(folder / "model", folder / "data.json", folder / "text.json")


@pytest.fixture(scope="session", params=["gpt2", "llama"])
def tiny(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    """Both families in turn."""
    return _make(tmp_path_factory.mktemp(request.param), request.param)


@pytest.fixture(scope="session")
def tiny_gpt2(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    """GPT-2's family, for tests of what does not depend on the family."""
    return _make(tmp_path_factory.mktemp("gpt2"), "gpt2")


@pytest.fixture
def editable(tiny):
    """The tiny model in float64 with two prefixes of its own."""
    model = AutoModelForCausalLM.from_pretrained(tiny.model, dtype=torch.float64).eval().requires_grad_(False)
    adapter, tokenizer = adapter_for(model), AutoTokenizer.from_pretrained(tiny.model)
    generator = torch.Generator().manual_seed(0)
    prefixes = sample_prefixes(adapter, tokenizer, SolveConfig(prefixes=2, prefix_tokens=3), generator)
    return Editable(adapter, tokenizer, prefixes, "{} is a")
