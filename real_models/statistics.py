"""The covariance C = E[k kᵀ] of a layer's keys, streamed over text and cached by the hash of model and text."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import torch
from jaxtyping import Float
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from real_models.adapters.adapter import Adapter
from real_models.trace import trace
from theory.command import Misuse
from theory.files import write_atomically


def covariance(
    adapter: Adapter,
    tokenizer: PreTrainedTokenizerBase,
    texts: Sequence[str],
    layer: int,
    *,
    cache: Path | None = None,
    context: int = 128,
    batch_size: int = 32,
) -> Float[Tensor, "n n"]:
    """C = E[k kᵀ] over every token of the texts.

    Args:
        adapter: the unedited model.
        tokenizer: its tokenizer.
        texts: documents.
        layer: whose keys.
        cache: a folder for the result, named by the hashes of model, tokens and layer; None keeps nothing.
        context: tokens a window.
        batch_size: windows a forward pass.

    Returns:
        C (n, n) in float64, in key units squared, on the model's device.

    Raises:
        Misuse: the texts hold no token, a key is not finite, or the cached file is broken.
    """
    limit = min(context, getattr(adapter.model.config, "max_position_embeddings", context))
    windows = [
        ids[start : start + limit]
        for ids in (tokenizer(text)["input_ids"] for text in texts)
        for start in range(0, len(ids), limit)
    ]
    if not windows:
        raise Misuse("the text for the covariance C holds no token; pass a longer --text")
    place = None if cache is None else cache / f"covariance-{_digest(adapter.model, windows)}-{layer}.safetensors"
    if place is not None and place.exists():
        return _read(place).to(adapter.device)
    total = torch.zeros(adapter.weight(layer).shape[1], adapter.weight(layer).shape[1], dtype=torch.float64)
    total, count = total.to(adapter.device), 0
    for start in range(0, len(windows), batch_size):
        chunk = [torch.tensor(window) for window in windows[start : start + batch_size]]
        ids = torch.nn.utils.rnn.pad_sequence(chunk, batch_first=True).to(adapter.device)
        lengths = torch.tensor([len(window) for window in chunk], device=ids.device)
        real = torch.arange(ids.shape[1], device=ids.device) < lengths[:, None]
        keys = trace(adapter, ids, layer).keys[real].double()
        total += keys.mT @ keys
        count += keys.shape[0]
    result = total / count
    if not torch.isfinite(result).all():
        raise Misuse(f"keys of layer {layer} are not finite on this text; the model is broken there")
    if place is not None:
        place.parent.mkdir(parents=True, exist_ok=True)
        content = {"covariance": result.cpu().contiguous()}
        write_atomically(place, lambda path: save_file(content, path, metadata={"tokens": str(count)}))
    return result


def _read(place: Path) -> Tensor:
    try:
        with safe_open(place, framework="pt") as file:
            return file.get_tensor("covariance")
    except SafetensorError as error:
        raise Misuse(f"{place} is truncated or altered ({error}); delete it and run again") from error


def _digest(model: PreTrainedModel, windows: Sequence[Sequence[int]]) -> str:
    """A hash of all the model's weights and of the token windows."""
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().view(torch.uint8).numpy().tobytes())
    for window in windows:
        digest.update(repr(list(window)).encode())
    return digest.hexdigest()[:32]


def read_texts(path: Path) -> tuple[str, ...]:
    """Documents from a .txt file (one a non-empty paragraph) or a JSON list of strings.

    Raises:
        Misuse: the file is missing, empty, or of another form.
    """
    from sim.results import read_json

    if not path.is_file():
        raise Misuse(f"--text {path} is not a file; pass a .txt file or a JSON list of strings")
    if path.suffix == ".json":
        content = read_json(path)
        if not isinstance(content, list) or not all(isinstance(item, str) for item in content):
            raise Misuse(f"{path} is not a JSON list of strings; write one string a document")
    else:
        content = path.read_text(encoding="utf-8").split("\n\n")
    texts = tuple(text for text in content if text.strip())
    if not texts:
        raise Misuse(f"{path} holds no text; pass a file with at least one paragraph")
    return texts
