"""A model and its fast tokenizer from a llama2.c file, a local folder or a hub name; never from pickled weights."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import torch
from huggingface_hub.errors import StrictDataclassError
from safetensors import SafetensorError
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    PreTrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from real_models.llama2c import is_llama2c, load_llama2c
from theory.command import Misuse

FAMILIES = (
    *("gpt2", "gptj", "gpt_neox", "llama", "mistral", "qwen2", "qwen3", "phi3"),
    *("gemma2", "gemma3_text"),
)
"""Transformers' model types that real_models/adapters can orient."""

# what transformers raises for a folder or a name that it cannot make a config, a model or a tokenizer of; the second
# line is how a wrong field of config.json or tokenizer.json comes through
REFUSALS = (
    *(OSError, ValueError, StrictDataclassError, SafetensorError),
    *(KeyError, TypeError, AttributeError, RuntimeError),
)


def load_model(
    name_or_path: str, *, dtype: torch.dtype, device: torch.device | str
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """Load a causal language model to edit, with its tokenizer.

    Args:
        name_or_path: a llama2.c v0 checkpoint or its folder, a local folder of one of transformers' families
            in `FAMILIES` with safetensors weights, or such a model's name on the hub.
        dtype: the dtype of the weights.
        device: where the model shall stand.

    Returns:
        The model in evaluation mode, no parameter asking for a gradient, and a fast tokenizer.

    Raises:
        Misuse: nothing stands there, or it is of another family, broken, incomplete or not finite.
    """
    if not dtype.is_floating_point:
        raise Misuse(f"a model's weights cannot be {dtype}; choose a floating-point dtype such as float32")
    path = Path(name_or_path).expanduser()
    if not name_or_path or (not path.exists() and _looks_local(name_or_path)):
        raise Misuse(f"{name_or_path!r} does not exist; pass a model's folder, a llama2.c .bin file or a hub name")
    if is_llama2c(path):
        model, tokenizer = load_llama2c(path, dtype)
    elif path.is_file():
        raise Misuse(f"{name_or_path} is a file, but no llama2.c .bin; pass the model's folder")
    else:
        model, tokenizer = _load_transformers(str(path) if path.is_dir() else name_or_path, dtype, path.is_dir())
    check_finite(model, name_or_path)
    return model.to(device).eval().requires_grad_(False), tokenizer


def _looks_local(name: str) -> bool:
    """Whether a name can only be a path: a hub name is `name` or `owner/name`."""
    return name.startswith((".", "~", os.sep)) or name.endswith(".bin") or len(Path(name).parts) > 2


def _load_transformers(name: str, dtype: torch.dtype, local: bool) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """Load a local folder or a hub name through transformers."""
    config = Path(name) / "config.json"
    if local and config.is_file() and config.read_bytes().lstrip()[:1] == b"[":
        # Some versions of transformers index into it before anyone can look.
        raise Misuse(f"{name} has no config.json that names a model_type; pass a model's own folder")
    try:
        fields, _ = PreTrainedConfig.get_config_dict(name, local_files_only=local)
    except REFUSALS as error:
        raise _refusal(name, error, local) from error
    family = fields.get("model_type") if isinstance(fields, dict) else None
    if family is None:
        raise Misuse(f"{name} has no config.json that names a model_type; pass a model's own folder")
    if family not in FAMILIES:
        raise Misuse(f"{name} is of model type {family!r}; the families that can be edited are {', '.join(FAMILIES)}")
    try:
        model, found = AutoModelForCausalLM.from_pretrained(
            name,
            dtype=dtype,
            local_files_only=local,
            trust_remote_code=False,
            use_safetensors=True,
            ignore_mismatched_sizes=True,
            output_loading_info=True,
        )
        tokenizer = AutoTokenizer.from_pretrained(name, local_files_only=local, trust_remote_code=False)
    except REFUSALS as error:
        raise _refusal(name, error, local) from error
    check_complete(name, found)
    check_tokenizer(name, tokenizer, model)
    return model, tokenizer


def _refusal(name: str, error: Exception, local: bool) -> Misuse:
    """One line from transformers' complaint, with the remedy."""
    said = " ".join(str(error).split())
    remedy = (
        "pass a folder with config.json, model.safetensors and tokenizer.json, as save_pretrained writes it"
        if local
        else "no such local folder either; pass the path of a folder that holds the model"
    )
    return Misuse(f"{name} cannot be loaded ({said:.300}); {remedy}")


def check_complete(name: str, found: dict[str, Any]) -> None:
    """Raise Misuse unless every weight came from the file: transformers would draw the others at random.

    Args:
        name: what was loaded.
        found: transformers' loading info, with missing_keys and mismatched_keys.
    """
    absent = sorted(found["missing_keys"])
    misshapen = sorted(key for key, *_ in found["mismatched_keys"])
    if absent or misshapen:
        raise Misuse(
            f"{name} lacks {len(absent)} weights and has {len(misshapen)} of another shape than its config's "
            f"(the first: {(absent + misshapen)[0]}); fetch or save the model again"
        )


def check_tokenizer(name: str, tokenizer: PreTrainedTokenizerBase, model: PreTrainedModel) -> None:
    """Raise Misuse unless the tokenizer is fast (it gives offsets), not empty, and within the model's vocabulary."""
    if not tokenizer.is_fast:
        raise Misuse(
            f"{name} has a {type(tokenizer).__name__}, which is not fast; add its tokenizer.json to the folder"
        )
    if not tokenizer("a", add_special_tokens=False).input_ids:
        raise Misuse(
            f"{name} has no tokenizer of its own (its {len(tokenizer)} pieces read no text); add tokenizer.json"
        )
    largest, rows = max(tokenizer.get_vocab().values()), model.get_input_embeddings().weight.shape[0]
    if largest >= rows:
        raise Misuse(
            f"{name} has a tokenizer with id {largest}, but embeddings for {rows} only; use the model's own tokenizer"
        )


def check_finite(model: PreTrainedModel, name: str) -> None:
    """Raise Misuse naming the first weight that holds NaN or infinity."""
    for key, weight in model.named_parameters():
        if not torch.isfinite(weight).all():
            raise Misuse(
                f"{name}: {key} holds NaN or infinity in {weight.dtype}; fetch the model again or load a wider dtype"
            )
