"""The keys of a stream at one layer, for theory to read: they do not depend on the weight that they are keys of."""

from __future__ import annotations

from pathlib import Path

import torch
from jaxtyping import Float
from safetensors.torch import load_file, save_file
from torch import Tensor

from real_models.bench import Bench, Track
from real_models.prompts import encode, fill, pad
from real_models.trace import trace
from theory.files import write_atomically

BATCH = 32  # prompts a forward pass
FILE = "keys.safetensors"
"""The file in a reading's folder."""


def stream_keys(bench: Bench, layer: int, track: Track) -> Float[Tensor, "e n"]:
    """The key of every request of a stream, read on the bare prompt at the subject's last token.

    While a single layer is edited its keys stay what they are on the unedited model: nothing below it changes.

    Args:
        bench: the unedited model with its stream.
        layer: the edited layer.
        track: wraps the batches in a progress bar.

    Returns:
        (e, n) one key a row, in float64 and in the stream's order.
    """
    adapter, tokenizer = bench.adapter, bench.editable.tokenizer
    parts = []
    for start in track(range(0, len(bench.stream), BATCH), f"batches of {BATCH} keys"):
        prompts = [fill(one.template, one.subject) for one in bench.stream[start : start + BATCH]]
        batch = pad([encode(tokenizer, prompt, subject=span).cut() for prompt, span in prompts], adapter.device)
        traced = trace(adapter, batch.ids, layer)
        rows = torch.arange(len(prompts), device=traced.keys.device)
        parts.append(traced.keys[rows, batch.subject_last].double().cpu())
    return torch.cat(parts)


def write_keys(keys: Float[Tensor, "e n"], weight: Float[Tensor, "m n"], path: Path) -> None:
    """Write `keys` (e, n) and the unedited `weight` (m, n) as safetensors, atomically."""
    tensors = {"keys": keys.contiguous(), "weight": weight.double().cpu().contiguous()}
    write_atomically(path, lambda place: save_file(tensors, place))


def read_keys(folder: Path) -> tuple[Float[Tensor, "e n"], Float[Tensor, "m n"]]:
    """The keys and the unedited weight of a reading's folder."""
    held = load_file(folder / FILE)
    return held["keys"], held["weight"]
