"""A tiny random decoder of each family on a made-up vocabulary, saved as a user would have it, with data and text."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from random import Random
from typing import NamedTuple

import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    Gemma2Config,
    Gemma2ForCausalLM,
    Gemma3ForCausalLM,
    Gemma3TextConfig,
    GPT2Config,
    GPT2LMHeadModel,
    GPTJConfig,
    GPTJForCausalLM,
    GPTNeoXConfig,
    GPTNeoXForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    Phi3Config,
    Phi3ForCausalLM,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    Qwen2Config,
    Qwen2ForCausalLM,
    Qwen3Config,
    Qwen3ForCausalLM,
)
from transformers.utils import logging

from real_models.adapters.adapter import adapter_for
from real_models.config import SolveConfig
from real_models.prefixes import sample_prefixes
from real_models.values import Editable

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


def _save(folder: Path, model: PreTrainedModel) -> None:
    vocabulary = {word: i for i, word in enumerate(("<unk>", "<s>", *WORDS))}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="<unk>", bos_token="<s>").save_pretrained(folder)
    model.save_pretrained(folder)


LLAMA = {
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
}
GEMMA = LLAMA | {"head_dim": 4, "query_pre_attn_scalar": 4, "sliding_window": 32}
FAMILIES = {
    "gpt2": (GPT2LMHeadModel, GPT2Config, {"n_embd": 16, "n_layer": 3, "n_head": 2, "n_inner": 24}),
    "gptj": (GPTJForCausalLM, GPTJConfig, {"n_embd": 16, "n_layer": 3, "n_head": 2, "n_inner": 24, "rotary_dim": 4}),
    "gpt_neox": (
        *(GPTNeoXForCausalLM, GPTNeoXConfig),
        {"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 3, "num_attention_heads": 2},
    ),
    "llama": (LlamaForCausalLM, LlamaConfig, LLAMA),
    "mistral": (MistralForCausalLM, MistralConfig, LLAMA | {"sliding_window": 32}),
    "qwen2": (Qwen2ForCausalLM, Qwen2Config, LLAMA),
    "qwen3": (Qwen3ForCausalLM, Qwen3Config, LLAMA | {"head_dim": 4}),
    "phi3": (Phi3ForCausalLM, Phi3Config, LLAMA | {"pad_token_id": 0}),
    "gemma2": (Gemma2ForCausalLM, Gemma2Config, GEMMA),
    "gemma3_text": (
        Gemma3ForCausalLM,
        Gemma3TextConfig,
        GEMMA | {"layer_types": ["sliding_attention"] * 2 + ["full_attention"]},
    ),
}


def _model(family: str, vocabulary: int = len(WORDS) + 4, context: int = 64) -> PreTrainedModel:
    """A random model of a family, its biases and the factors of its norms drawn too, so that none is trivial."""
    kind, config, sizes = FAMILIES[family]
    common = {"vocab_size": vocabulary, "initializer_range": 0.4, "bos_token_id": 1, "eos_token_id": 1}
    length = {"n_positions" if family in ("gpt2", "gptj") else "max_position_embeddings": context}
    with torch.random.fork_rng():
        torch.manual_seed(1)
        model = kind(config(**common, **length, **sizes))
        for name, weight in model.named_parameters():
            if name.endswith("bias"):
                torch.nn.init.normal_(weight, std=0.3)
            elif "norm" in name or ".ln_" in name:
                torch.nn.init.normal_(weight, mean=float(weight.detach().mean()), std=0.3)
    return model


def _make(folder: Path, family: str) -> Tiny:
    logging.disable_progress_bar()
    _save(folder / "model", _model(family))
    chance = Random(0)
    (folder / "data.json").write_text(json.dumps(_records(40)))
    (folder / "text.json").write_text(json.dumps([" ".join(chance.choices(WORDS, k=40)) for _ in range(60)]))
    return Tiny(folder / "model", folder / "data.json", folder / "text.json")


@pytest.fixture(scope="session", params=sorted(FAMILIES))
def family(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Tiny]:
    """Every family in turn, with its model type."""
    return request.param, _make(tmp_path_factory.mktemp(request.param), request.param)


@pytest.fixture(scope="session", params=["gpt2", "llama"])
def tiny(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    """Two families in turn: Conv1D with bias, and Linear without."""
    return _make(tmp_path_factory.mktemp(request.param), request.param)


@pytest.fixture(params=sorted(FAMILIES))
def family_model(request: pytest.FixtureRequest) -> Callable[[int], PreTrainedModel]:
    """Every family in turn: a random model with so large a vocabulary, for real tokenizers."""
    return lambda vocabulary: _model(request.param, vocabulary, 256).eval().requires_grad_(False)


@pytest.fixture(scope="session")
def tiny_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Tiny]:
    """One family by its model type, made when first asked for."""
    return cache(lambda family: _make(tmp_path_factory.mktemp(family), family))


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
