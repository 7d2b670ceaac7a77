"""Editing as a textbook has it, to time the fast path against and to check its results.

A whole forward pass with all its logits a step, torch's Adam, a whole forward pass for every vector that is read, and a
dense solve of size n a layer.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from real_models.adapters.adapter import Adapter
from real_models.config import SolveConfig
from real_models.prompts import encode, fill, pad
from real_models.requests import Request
from real_models.trace import hooks, kept, stream
from real_models.values import Editable


def textbook_shift(editable: Editable, request: Request, layer: int, config: SolveConfig) -> Float[Tensor, " d"]:
    """δ of one request, from a whole forward pass a step.

    Args:
        editable: the model; its blocks add a projection's output to the stream as it is.
        request: what to write.
        layer: where δ is added.
        config: the value solve; its MPES and EAC are left out.

    Returns:
        δ (d,), in the stream's units.
    """
    adapter, tokenizer = editable.adapter, editable.tokenizer
    encoded = []
    for prefix in ("", *editable.prefixes):
        prompt, span = fill(request.template, request.subject, prefix)
        encoded.append(encode(tokenizer, prompt, subject=span, answer=request.target_new))
    prompt, span = fill(editable.essence, request.subject)
    encoded.append(encode(tokenizer, prompt, subject=span))
    batch = pad(encoded, adapter.device)
    rows = torch.arange(len(encoded), device=batch.ids.device)
    size = _vectors(adapter, batch.ids, layer)[1][0, batch.subject_last[0]].norm()
    dtype = torch.promote_types(size.dtype, torch.float32)
    shift = torch.zeros(adapter.weight(layer).shape[0], dtype=dtype, device=batch.ids.device, requires_grad=True)
    adam = torch.optim.Adam([shift], lr=config.learning_rate)
    targets, essence = batch.ids.roll(-1, dims=1), None

    def add(module: nn.Module, args: tuple[Any, ...], output: Any) -> Any:
        hidden = stream(output).index_put((rows, batch.subject_last), shift.to(stream(output).dtype), accumulate=True)
        return (hidden, *output[1:]) if isinstance(output, tuple) else hidden

    for taken in range(config.steps):
        with hooks(lambda: adapter.blocks[layer].register_forward_hook(add)):
            log_p = adapter.model(input_ids=batch.ids, use_cache=False).logits.to(dtype).log_softmax(-1)
        now = log_p[-1, batch.subject_last[-1]]
        essence = now.detach() if essence is None else essence
        nll = -log_p.gather(2, targets[..., None])[..., 0].where(batch.answer, 0).sum(1) / batch.answer.sum(1)
        loss = nll[:-1].mean() + config.kl * (now.exp() * (now - essence)).sum() + config.decay * shift.norm() / size**2
        if taken == config.steps - 1 or loss.item() < config.stop_loss:
            break
        adam.zero_grad()
        loss.backward()
        adam.step()
        with torch.no_grad():
            shift.mul_((config.clamp * size / shift.norm()).clamp_max(1))
    return shift.detach()


class Solve(NamedTuple):
    """What a layer's dense solve needs.

    Attributes:
        prior: λC (MEMIT), or L2·I (AlphaEdit), (n, n) in float64.
        projector: AlphaEdit's P (n, n); None for MEMIT.
        past: Σkkᵀ over earlier edits, for AlphaEdit; changed in place.
    """

    prior: Float[Tensor, "n n"]
    projector: Float[Tensor, "n n"] | None
    past: Float[Tensor, "n n"]


def textbook_edit(editable: Editable, request: Request, solves: Mapping[int, Solve], config: SolveConfig) -> None:
    """One edit, written into the model in place; layer after layer, as `solves` has them.

    MEMIT      Δ = r kᵀ (λC + kkᵀ)⁻¹
    AlphaEdit  Δ = r kᵀP (P(Σkkᵀ + kkᵀ)P + L2·I)⁻¹
    """
    adapter, layers = editable.adapter, tuple(solves)
    last = layers[-1]
    shift = textbook_shift(editable, request, last, config).double()
    prompt, span = fill(request.template, request.subject)
    batch = pad([encode(editable.tokenizer, prompt, subject=span)], adapter.device)
    where = int(batch.subject_last[0])

    def read(layer: int) -> tuple[Tensor, Tensor]:
        key, hidden = _vectors(adapter, batch.ids, layer)
        return key[0, where].double(), hidden[0, where].double()

    goal = read(last)[1] + shift
    for position, (layer, solve) in enumerate(solves.items()):
        key = read(layer)[0]
        residual = (goal - read(last)[1]) / (len(layers) - position)
        if solve.projector is None:
            solved = torch.linalg.solve(solve.prior + torch.outer(key, key), key)
        else:
            seen = solve.projector @ (solve.past + torch.outer(key, key)) @ solve.projector
            solved = torch.linalg.solve(seen + solve.prior, solve.projector @ key)
        adapter.write(layer, adapter.weight(layer).double() + torch.outer(residual, solved))
    for layer, solve in solves.items():
        if solve.projector is not None:
            key = read(layer)[0]
            solve.past.add_(torch.outer(key, key))


def _vectors(adapter: Adapter, ids: Tensor, layer: int) -> tuple[Tensor, Tensor]:
    """Keys and hidden states of a layer, from a whole forward pass."""
    with kept(adapter, (layer,)) as vectors, torch.no_grad():
        adapter.model(input_ids=ids, use_cache=False)
    return vectors[layer, "keys"], vectors[layer, "hidden"]
